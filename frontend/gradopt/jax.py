# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
# pyright: basic, reportMissingImports=false
"""Compiled functions in JAX."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir

from gradopt.api import compile
from gradopt.base.pytree import TreeDef, flatten
from gradopt.compilation.compiled import Compiled
from gradopt.transforms.pullbacks import (
    is_float,
    options_of_derivatives,
    pullback_of,
    pushforward_of,
)


def wrap(function: Callable[..., Any], **options: Any) -> Callable[..., Any]:
    """A NumPy function as one that JAX traces, compiles around and differentiates, to any order.

    Args:
        function: takes and returns pytrees of arrays; or what a compile function returned. It has
            the dtypes that JAX gives it: float32 unless `jax_enable_x64` is set.
        options: as for `gradopt.compile`.

    Returns:
        A function of JAX arrays. JAX hands them over on the host, by `jax.pure_callback`, wherever
        they are, and takes results there; with `device="cuda"` they are copied to the first GPU in
        between. `jax.vmap` calls it for one example after the other. Forward and reverse mode may
        be nested, and have the options of the function.
    """
    compiled = function if isinstance(function, Compiled) else compile(function, **options)
    flat: dict[TreeDef, _Flat] = {}

    def call(*args: Any) -> Any:
        leaves, tree = flatten(jax.tree.map(jax.numpy.asarray, args))
        if tree not in flat:
            flat[tree] = _Flat(compiled, tree)
        return flat[tree](leaves)

    return call


class _Flat:
    """A compiled function of the leaves of its arguments, for JAX.

    Its tangents are those of its results by `_linear`, a primitive, which JAX transposes.
    """

    def __init__(self, compiled: Compiled, tree: TreeDef) -> None:
        self._compiled = compiled
        self._tree = tree
        self._derivatives: dict[Any, _Flat] = {}
        self._apply: Any = jax.custom_jvp(self._on_host)
        self._apply.defjvp(self._tangents)

    def __call__(self, leaves: Sequence[Any]) -> Any:
        return self.results(leaves)[1].unflatten(self._apply(*leaves))

    def results(self, leaves: Sequence[Any]) -> tuple[list[Any], TreeDef]:
        """Shapes and dtypes of the results for leaves of these, and the structure."""
        blanks = [np.broadcast_to(np.zeros((), leaf.dtype), leaf.shape) for leaf in leaves]
        lowered = self._compiled.lower(*self._tree.unflatten(blanks))
        tree = lowered.result_tree
        return [
            jax.ShapeDtypeStruct(leaf.shape, jax.dtypes.canonicalize_dtype(leaf.dtype))
            for leaf in lowered.results[: tree.leaf_count]
        ], tree

    def float_results(self, leaves: Sequence[Any]) -> list[Any]:
        """Those results that have tangents."""
        return [leaf for leaf in self.results(leaves)[0] if is_float(leaf)]

    def linear(self, leaves: Sequence[Any], tangents: Sequence[Any]) -> list[Any]:
        """Tangents of the float results, of those of the float leaves."""
        return _linear.bind(*leaves, *tangents, flat=self, count=len(leaves))

    def derivative(self, make: Callable[..., Any], leaves: Sequence[Any]) -> _Flat:
        """The function that `pullback_of` or `pushforward_of` makes."""
        active = tuple(i for i, leaf in enumerate(leaves) if is_float(leaf))
        found = self._derivatives.get((make, active))
        if found is None:
            function = make(self._compiled, self._tree, active)
            inner = compile(function, **options_of_derivatives(self._compiled))
            count = len(active) if make is pushforward_of else len(self.float_results(leaves))
            tree = flatten(([0] * len(leaves), [0] * count))[1]
            found = self._derivatives[make, active] = _Flat(inner, tree)
        return found

    def _on_host(self, *leaves: Any) -> list[Any]:
        shapes, _ = self.results(leaves)

        def run(*values: Any) -> list[Any]:
            values = tuple(np.asarray(value) for value in values)
            found = flatten(self._compiled(*self._tree.unflatten(values)))[0]
            return [np.asarray(x, like.dtype) for x, like in zip(found, shapes, strict=True)]

        return jax.pure_callback(run, shapes, *leaves, vmap_method="sequential")

    def _tangents(self, primals: Sequence[Any], tangents: Sequence[Any]) -> tuple[Any, Any]:
        results = self._apply(*primals)
        floats = [t for x, t in zip(primals, tangents, strict=True) if is_float(x)]
        if not floats:
            return results, [_no_tangent(x) for x in results]
        found = iter(self.linear(primals, floats))
        return results, [next(found) if is_float(x) else _no_tangent(x) for x in results]


def _no_tangent(x: Any) -> Any:
    return np.zeros(np.shape(x), jax.dtypes.float0)


# The tangents of a function's results, of its leaves and, linear in these, of their tangents.
_linear = Primitive("gradopt_linear")
_linear.multiple_results = True


def _evaluate(*operands: Any, flat: _Flat, count: int) -> list[Any]:
    leaves, tangents = operands[:count], operands[count:]
    return flat.derivative(pushforward_of, leaves)([*leaves, *tangents])


def _result_types(*operands: Any, flat: _Flat, count: int) -> list[Any]:
    return [jax.core.ShapedArray(x.shape, x.dtype) for x in flat.float_results(operands[:count])]


def _derivative(
    primals: Sequence[Any], tangents: Sequence[Any], *, flat: _Flat, count: int
) -> tuple[Any, Any]:
    results = _linear.bind(*primals, flat=flat, count=count)
    leaves = primals[:count]
    if all(type(t) is ad.Zero for t in tangents[:count]):
        moved = flat.linear(leaves, [ad.instantiate_zeros(t) for t in tangents[count:]])
        return results, moved
    push = flat.derivative(pushforward_of, leaves)
    floats = [
        ad.instantiate_zeros(t) for x, t in zip(primals, tangents, strict=True) if is_float(x)
    ]
    return results, push.linear(primals, floats)


def _transpose(cotangents: Sequence[Any], *operands: Any, flat: _Flat, count: int) -> list[Any]:
    leaves = operands[:count]
    back = flat.derivative(pullback_of, leaves)
    found = back([*leaves, *[ad.instantiate_zeros(c) for c in cotangents]])
    places = operands[count:]
    return [None] * count + [
        g if ad.is_undefined_primal(x) else None for g, x in zip(found, places, strict=True)
    ]


def _batch(
    operands: Sequence[Any], axes: Sequence[Any], *, flat: _Flat, count: int
) -> tuple[Any, Any]:
    def one(rows: Sequence[Any]) -> list[Any]:
        rest = iter(rows)
        own = [x if axis is None else next(rest) for x, axis in zip(operands, axes, strict=True)]
        return _linear.bind(*own, flat=flat, count=count)

    pairs = zip(operands, axes, strict=True)
    rows = [jax.numpy.moveaxis(x, axis, 0) for x, axis in pairs if axis is not None]
    results = jax.lax.map(one, rows)
    return results, [0] * len(results)


_linear.def_impl(_evaluate)
_linear.def_abstract_eval(_result_types)
ad.primitive_jvps[_linear] = _derivative
ad.primitive_transposes[_linear] = _transpose
batching.primitive_batchers[_linear] = _batch
mlir.register_lowering(_linear, mlir.lower_fun(_evaluate, multiple_results=True))
