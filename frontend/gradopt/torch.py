# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
# pyright: basic, reportMissingImports=false
"""Compiled functions in PyTorch's autograd."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from gradopt.api import compile
from gradopt.base.dtypes import is_bfloat16
from gradopt.base.pytree import LEAF, TreeDef, flatten, leaf_paths
from gradopt.compilation.compiled import Compiled
from gradopt.errors import ArgumentTypeError, UnsupportedError
from gradopt.transforms.pullbacks import options_of_derivatives, pullback_of


def wrap(function: Callable[..., Any], **options: Any) -> Callable[..., Any]:
    """A NumPy function as one of tensors, which PyTorch differentiates, to any order.

    Args:
        function: takes and returns pytrees of arrays and numbers; or what a compile function
            returned.
        options: as for `gradopt.compile`.

    Returns:
        A function that takes tensors in place of arrays, on the CPU or a CUDA device, and returns
        tensors there. Memory is shared, and not copied. Gradients recompute what they need of the
        function. `torch.autograd` differentiates it, the transforms of `torch.func` do not.

    Raises:
        ArgumentTypeError: when called, with a tensor on a device of another kind, or a sparse one.
        PlacementError: when called, with tensors on different devices.
    """
    compiled = function if isinstance(function, Compiled) else compile(function, **options)
    pullbacks: dict[Any, Callable[..., Any]] = {}

    def call(*args: Any) -> Any:
        leaves, tree = flatten(args)
        places = [i for i, leaf in enumerate(leaves) if isinstance(leaf, torch.Tensor)]
        for i in places:
            _require_readable(leaves[i], tree, i)
        active = tuple(i for i in places if _has_gradient(leaves[i]))

        def pullback() -> Callable[..., Any]:
            # The same one for the same structure, or it would be compiled each time.
            key = (tree, active)
            if key not in pullbacks:
                function = pullback_of(compiled, tree, active)
                pullbacks[key] = wrap(function, **options_of_derivatives(compiled))
            return pullbacks[key]

        made = _Call(compiled, pullback, leaves, tree, places, active)
        results = _Apply.apply(made, *[leaves[i] for i in places])
        return made.structure.unflatten(results) if results else ()

    return call


@dataclass
class _Call:
    """One call of a wrapped function.

    Attributes:
        compiled: the function.
        pullback: gives its pullback, of tensors.
        leaves: those of the arguments.
        tree: their structure.
        places: the leaves that are tensors, by number.
        active: the leaves that are tensors of floats or complex numbers.
        structure: that of the result, when it is known.
    """

    compiled: Compiled
    pullback: Callable[[], Callable[..., Any]]
    leaves: list[Any]
    tree: TreeDef
    places: list[int]
    active: tuple[int, ...]
    structure: TreeDef = LEAF

    def leaves_with(self, values: Iterable[Any]) -> list[Any]:
        """The leaves, with these values in place of the tensors."""
        leaves = list(self.leaves)
        for i, value in zip(self.places, values, strict=True):
            leaves[i] = value
        return leaves


class _Apply(torch.autograd.Function):
    """A `_Call`, for PyTorch."""

    @staticmethod
    def forward(ctx: Any, call: _Call, *tensors: Any) -> Any:
        ctx.save_for_backward(*tensors)
        ctx.call = call
        leaves = call.leaves_with(_readable(tensor) for tensor in tensors)
        results, call.structure = flatten(call.compiled(*call.tree.unflatten(leaves)))
        made = [_tensor(result) for result in results]
        ctx.mark_non_differentiable(*[tensor for tensor in made if not _has_gradient(tensor)])
        return tuple(made)

    @staticmethod
    def backward(ctx: Any, *cotangents: Any) -> Any:
        call: _Call = ctx.call
        # Gradients in complex numbers are conjugates of ours, which are JAX's.
        floats = [c.contiguous().conj_physical() for c in cotangents if _has_gradient(c)]
        gradients = call.pullback()(call.leaves_with(ctx.saved_tensors), floats)
        found = dict(zip(call.active, [g.conj_physical() for g in gradients], strict=True))
        return None, *[found.get(i) for i in call.places]


def _has_gradient(tensor: torch.Tensor) -> bool:
    return tensor.is_floating_point() or tensor.is_complex()


def _require_readable(tensor: torch.Tensor, tree: TreeDef, number: int) -> None:
    if tensor.device.type not in ("cpu", "cuda") or tensor.layout is not torch.strided:
        raise ArgumentTypeError(
            "expected a dense tensor on the CPU or a CUDA device at "
            f"{leaf_paths(tree, 'args')[number]}, but got one on {tensor.device}, of layout "
            f"{tensor.layout}"
        )


def _readable(tensor: torch.Tensor) -> Any:
    """What compiled code takes."""
    tensor = tensor.detach().resolve_conj().resolve_neg()
    if tensor.is_cuda:
        return tensor
    if tensor.dtype is torch.bfloat16:
        return tensor.view(torch.int16).numpy().view(_bfloat16())
    return tensor.numpy()


def _bfloat16() -> Any:
    try:
        return importlib.import_module("ml_dtypes").bfloat16
    except ImportError:
        raise UnsupportedError("tensors of bfloat16 need the package ml_dtypes") from None


def _tensor(result: Any) -> torch.Tensor:
    """A result of compiled code as a tensor; from a device it is one."""
    if isinstance(result, torch.Tensor):
        return result
    array = np.asarray(result)
    if is_bfloat16(array.dtype):
        return torch.from_numpy(array.view(np.int16)).view(torch.bfloat16)
    return torch.from_numpy(array)
