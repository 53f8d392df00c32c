# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
# pyright: basic, reportMissingImports=false
"""Compiled functions in JAX."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from gradopt.api import compile
from gradopt.base.pytree import flatten
from gradopt.compilation.compiled import Compiled
from gradopt.transforms.pullbacks import is_float, pullback_of


def wrap(function: Callable[..., Any], **options: Any) -> Callable[..., Any]:
    """A NumPy function as one that JAX traces, compiles around and differentiates, to any order.

    Args:
        function: takes and returns pytrees of arrays; or what a compile function returned. It has
            the dtypes that JAX gives it: float32 unless `jax_enable_x64` is set.
        options: as for `gradopt.compile`.

    Returns:
        A function of JAX arrays. It runs on the host, by `jax.pure_callback`; `jax.vmap` calls it
        for one example after the other. It has reverse mode only, as `jax.custom_vjp` does.
    """
    compiled = function if isinstance(function, Compiled) else compile(function, **options)
    pullbacks: dict[Any, Callable[..., Any]] = {}

    @jax.custom_vjp
    def call(*args: Any) -> Any:
        blanks = jax.tree.map(lambda x: np.broadcast_to(np.zeros((), x.dtype), x.shape), args)
        lowered = compiled.lower(*blanks)
        shapes = lowered.result_tree.unflatten(
            [
                jax.ShapeDtypeStruct(leaf.shape, jax.dtypes.canonicalize_dtype(leaf.dtype))
                for leaf in lowered.results[: lowered.result_tree.leaf_count]
            ]
        )

        def on_host(*values: Any) -> Any:
            result = compiled(*jax.tree.map(np.asarray, values))
            return jax.tree.map(lambda x, like: np.asarray(x, like.dtype), result, shapes)

        return jax.pure_callback(on_host, shapes, *args, vmap_method="sequential")

    def forward(*args: Any) -> tuple[Any, Any]:
        return call(*args), args

    def backward(args: Any, cotangents: Any) -> Any:
        leaves, tree = flatten(args)
        active = tuple(i for i, leaf in enumerate(leaves) if is_float(leaf))
        key = (tree, active)
        if key not in pullbacks:
            pullbacks[key] = wrap(pullback_of(compiled, tree, active))
        floats = [c for c in flatten(cotangents)[0] if c.dtype != jax.dtypes.float0]
        found = dict(zip(active, pullbacks[key](leaves, floats), strict=True))
        nothing = [np.zeros(np.shape(leaf), jax.dtypes.float0) for leaf in leaves]
        return tree.unflatten([found.get(i, nothing[i]) for i in range(len(leaves))])

    call.defvjp(forward, backward)
    return lambda *args: call(*jax.tree.map(jax.numpy.asarray, args))
