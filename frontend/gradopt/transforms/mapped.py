# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""NumPy's functions that call a function for each element or row: as `vmap`, where it can be."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from gradopt.array.dispatch import implements, unsupported
from gradopt.array.handle import Handle, array_of
from gradopt.array.operands import handle_of, is_traced, traced
from gradopt.base.location import source_location
from gradopt.compilation.calling import rewritten_here
from gradopt.errors import ElementError, ShapeError
from gradopt.ir import prims
from gradopt.transforms.batching import vmap

# The dimensions of one argument in a signature, as `(n,m)`.
_PARTS = re.compile(r"\(([^)]*)\)")


# Makes a function of arrays, which gives results for each element along their first axes, of one
# of elements; `vmap` does.
Mapping = Callable[[Callable[..., Any]], Callable[..., Any]]


def mapped(
    function: Callable[..., Any],
    arrays: Sequence[Any],
    core: Sequence[int] | None = None,
    by: Mapping = vmap,
) -> Any:
    """The function of all elements of arrays that are broadcast.

    Args:
        function: of scalars, or of arrays with so many dimensions as `core` says.
        arrays: the arrays.
        core: for each of them how many of its last dimensions the function gets at once.
        by: what applies it to each.
    """
    values = [traced(array) for array in arrays]
    cores = core or [0] * len(values)
    loops = [v.shape[: v.ndim - n] for v, n in zip(values, cores, strict=True)]
    shape: tuple[int, ...] = ()
    for loop in loops:
        shape = prims.broadcast_shapes(shape, loop)
    size = prims.size_of(shape)
    if size == 0:
        raise ValueError("cannot call `vectorize` on size 0 inputs unless `otypes` is set")
    rows: list[Any] = []
    for value, n in zip(values, cores, strict=True):
        inner = value.shape[value.ndim - n :]
        whole = prims.broadcast_to(value, (*shape, *inner))
        rows.append(array_of(prims.reshape(whole, (size, *inner))))
    results = by(function)(*rows)

    def shaped(result: Any) -> Any:
        return np.reshape(result, (*shape, *result.shape[1:]))

    if type(results) in (tuple, list):
        return tuple([shaped(result) for result in results])
    if not isinstance(results, Handle):
        raise unsupported("numpy.vectorize of a function that does not return arrays")
    result = shaped(results)
    return result if shape or result.shape else result[()]


def vectorized(
    vectorize: Any, args: tuple[Any, ...], kwargs: dict[str, Any], by: Mapping = vmap
) -> Any:
    """A call of a `numpy.vectorize` object with traced arguments."""
    excluded: set[Any] = set(vectorize.excluded or ())
    places = [i for i in range(len(args)) if i not in excluded]
    names = [name for name in kwargs if name not in excluded]
    function = rewritten_here(vectorize.pyfunc)

    def call(*values: Any) -> Any:
        full, named = list(args), dict(kwargs)
        for i, value in zip(places, values, strict=False):
            full[i] = value
        named.update(zip(names, values[len(places) :], strict=True))
        return function(*full, **named)

    given = [*[args[i] for i in places], *[kwargs[name] for name in names]]
    core = None
    if vectorize.signature is not None:
        inner = vectorize.signature.partition("->")[0]
        core = [len([n for n in part.split(",") if n]) for part in _PARTS.findall(inner)]
    result = mapped(call, given, core, by)
    if vectorize.otypes is None:
        return result
    if not isinstance(result, tuple):
        return result.astype(vectorize.otypes[0])
    return tuple([r.astype(t) for r, t in zip(result, vectorize.otypes, strict=True)])


@implements(np.apply_along_axis)
def apply_along_axis(func1d: Any, axis: int, arr: Any, *args: Any, **kwargs: Any) -> Any:
    """`numpy.apply_along_axis`."""
    x = traced(arr)
    place = prims.normalize_axis(axis, x.ndim)
    last: Any = np.moveaxis(array_of(x), place, -1)
    if 0 in last.shape[:-1]:
        raise ElementError(
            "Cannot apply_along_axis when any iteration dimensions are 0", source_location()
        )
    call = functools.partial(rewritten_here(func1d), **kwargs)
    result = mapped(lambda row: call(row, *args), [last], [1])
    return along_axis(result, place, x.ndim - 1)


def along_axis(results: Any, place: int, others: int) -> Any:
    """What a function gave for rows along an axis, in the place of that.

    Args:
        results: one for each index along the other axes, which come first.
        place: the axis.
        others: how many other axes there are.
    """
    order = [*range(place), *range(others, results.ndim), *range(place, others)]
    return np.transpose(results, order)


@implements(np.apply_over_axes)
def apply_over_axes(func: Any, a: Any, axes: Any) -> Any:
    """`numpy.apply_over_axes`."""
    result: Any = handle_of(a)
    count = result.ndim
    for axis in np.atleast_1d(axes).tolist():
        found = rewritten_here(func)(result, axis)
        if found.ndim != count:
            found = np.expand_dims(found, axis)
        if found.ndim != count:
            raise ShapeError(
                "function is not returning an array of the correct shape", source_location()
            )
        result = found
    return result


@implements(np.piecewise)
def piecewise(x: Any, condlist: Any, funclist: Any, *args: Any, **kw: Any) -> Any:
    """`numpy.piecewise`: functions of the elements where a condition holds."""

    def assign(result: Any, condition: Any, some: Any, function: Callable[[Any], Any]) -> None:
        result[condition] = function(some)

    return by_pieces(assign, x, condlist, funclist, *args, **kw)


def by_pieces(
    assign: Callable[[Any, Any, Any, Callable[[Any], Any]], None],
    x: Any,
    condlist: Any,
    funclist: Any,
    *args: Any,
    **kw: Any,
) -> Any:
    """The same.

    Args:
        assign: writes what a function gives for the elements where a condition holds; gets the
            array to write to, the condition, these elements, and the function.
        x: as that of `numpy.piecewise`.
        condlist: the same.
        funclist: the same.
        args: the same.
        kw: the same.
    """
    array: Any = array_of(traced(x))
    is_one = not isinstance(condlist, (list, tuple)) and np.ndim(condlist) == array.ndim
    conditions: list[Any] = [
        c if is_traced(c) else np.asarray(c) for c in ([condlist] if is_one else condlist)
    ]
    if array.ndim == 0:
        # As NumPy's, functions get an array of one element, or of none.
        rows = [c.reshape(1) for c in conditions]
        return by_pieces(assign, array.reshape(1), rows, funclist, *args, **kw).reshape(())
    functions = list(funclist)
    if len(functions) == len(conditions) + 1:
        rest = conditions[0]
        for condition in conditions[1:]:
            rest = rest | condition
        conditions.append(~rest)
    elif len(functions) != len(conditions):
        count = len(conditions)
        raise ValueError(
            f"with {count} condition(s), either {count} or {count + 1} functions are expected"
        )
    result: Any = np.zeros_like(array)
    for condition, function in zip(conditions, functions, strict=True):
        if callable(function):
            call = rewritten_here(function)
            assign(result, condition, array[condition], lambda some, f=call: f(some, *args, **kw))
        else:
            result[condition] = function
    return result


class Joined:
    """`numpy.r_` and `numpy.c_` for traced arrays."""

    def __init__(self, made: Any) -> None:
        self._made = made
        self._is_columns = made is np.c_

    def __getitem__(self, key: Any) -> Any:
        items = key if isinstance(key, tuple) else (key,)
        if not is_traced(*items):
            return self._made[key]
        if isinstance(items[0], str):
            raise unsupported("a text in numpy.r_ or c_", "use numpy.concatenate or stack")
        return np.concatenate([self._part(item) for item in items], -1 if self._is_columns else 0)

    def _part(self, item: Any) -> Any:
        if isinstance(item, slice):
            return array_of(traced(self._made[item]))
        part: Any = array_of(traced(item))
        if part.ndim == 0:
            return part.reshape((1, 1) if self._is_columns else (1,))
        return part.reshape((-1, 1)) if self._is_columns and part.ndim == 1 else part
