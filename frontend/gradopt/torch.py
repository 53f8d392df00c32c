# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
# pyright: basic, reportMissingImports=false
"""Compiled functions in PyTorch's autograd."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from gradopt.api import compile
from gradopt.base.pytree import TreeDef, flatten, leaf_paths
from gradopt.compilation.compiled import Compiled
from gradopt.errors import ArgumentTypeError
from gradopt.transforms.pullbacks import pullback_of


def wrap(function: Callable[..., Any], **options: Any) -> Callable[..., Any]:
    """A NumPy function as one of tensors, which PyTorch differentiates, to any order.

    Args:
        function: takes and returns pytrees of arrays and numbers; or what a compile function
            returned.
        options: as for `gradopt.compile`.

    Returns:
        A function that takes tensors on the CPU in place of arrays, and returns tensors. Memory is
        shared, and not copied. Gradients recompute what they need of the function.

    Raises:
        ArgumentTypeError: when called, with a tensor on another device, or a sparse one.
    """
    compiled = function if isinstance(function, Compiled) else compile(function, **options)
    pullbacks: dict[Any, Callable[..., Any]] = {}

    def call(*args: Any) -> Any:
        leaves, tree = flatten(args)
        places = [i for i, leaf in enumerate(leaves) if isinstance(leaf, torch.Tensor)]
        for i in places:
            _require_readable(leaves[i], leaf_paths(tree, "args")[i])
        tensors = [leaves[i] for i in places]
        active = tuple(i for i in places if leaves[i].is_floating_point())

        def pullback() -> Callable[..., Any]:
            # The same one for the same structure, or it would be compiled each time.
            key = (tree, active)
            if key not in pullbacks:
                pullbacks[key] = wrap(pullback_of(compiled, tree, active))
            return pullbacks[key]

        structure: list[TreeDef] = []

        class Apply(torch.autograd.Function):
            """One call; PyTorch wants a class."""

            @staticmethod
            def forward(ctx: Any, *given: Any) -> Any:
                ctx.save_for_backward(*given)
                arrays = list(leaves)
                for i, tensor in zip(places, given, strict=True):
                    arrays[i] = tensor.detach().numpy()
                results, found = flatten(compiled(*tree.unflatten(arrays)))
                structure.append(found)
                made = [torch.from_numpy(np.asarray(result)) for result in results]
                fixed = [tensor for tensor in made if not tensor.is_floating_point()]
                ctx.mark_non_differentiable(*fixed)
                return tuple(made)

            @staticmethod
            def backward(ctx: Any, *cotangents: Any) -> Any:
                inputs = list(leaves)
                for i, tensor in zip(places, ctx.saved_tensors, strict=True):
                    inputs[i] = tensor
                floats = [c.contiguous() for c in cotangents if c.is_floating_point()]
                found = dict(zip(active, pullback()(inputs, floats), strict=True))
                return tuple([found.get(i) for i in places])

        return structure[0].unflatten(results) if (results := Apply.apply(*tensors)) else ()

    return call


def _require_readable(tensor: torch.Tensor, path: str) -> None:
    if tensor.device.type != "cpu" or tensor.layout is not torch.strided:
        raise ArgumentTypeError(
            f"expected a dense tensor on the CPU at {path}, but got one on {tensor.device}, of "
            f"layout {tensor.layout}"
        )
