# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Joining, splitting, repeating, padding, and arrays like others."""

from __future__ import annotations

import itertools
import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from gradopt.array.dispatch import implements, unsupported
from gradopt.array.operands import traced
from gradopt.array.tracer import Tracer
from gradopt.base.dtypes import require_cast, result_type, supported
from gradopt.base.location import source_location
from gradopt.errors import DTypeError, ShapeError
from gradopt.functions.shapes import checked_order, shape_of
from gradopt.ir import prims

# NumPy's functions as they are on traced arrays.
xp: Any = np


def _parts(arrays: Any) -> list[Tracer]:
    """Arrays to be joined."""
    parts = [traced(part) for part in (list(arrays) if isinstance(arrays, Tracer) else arrays)]
    if not parts:
        raise ShapeError("need at least one array to join", source_location())
    return parts


def _cast(parts: Sequence[Tracer], dtype: Any, casting: Any) -> list[Tracer]:
    """The arrays in one dtype, cast by NumPy's rule."""
    target = supported(dtype) if dtype is not None else result_type(*[p.dtype for p in parts])
    for part in parts:
        require_cast(part.dtype, target, casting)
    return [prims.convert(part, target) for part in parts]


def _check_joinable(parts: Sequence[Tracer], axis: int) -> None:
    for part in parts[1:]:
        if part.ndim != parts[0].ndim or any(
            i != axis and a != b
            for i, (a, b) in enumerate(zip(part.shape, parts[0].shape, strict=False))
        ):
            raise ShapeError(
                "all the input array dimensions except for the concatenation axis must match: "
                f"got {parts[0].shape} and {part.shape}",
                source_location(),
            )


@implements(np.concatenate)
def concatenate(
    arrays: Any, axis: Any = 0, *, dtype: Any = None, casting: str = "same_kind"
) -> Tracer:
    """`numpy.concatenate`."""
    parts = _parts(arrays)
    if axis is None:
        parts, axis = [prims.reshape(part, (part.size,)) for part in parts], 0
    if parts[0].ndim == 0:
        raise ShapeError("zero-dimensional arrays cannot be concatenated", source_location())
    place = prims.normalize_axis(axis, parts[0].ndim)
    _check_joinable(parts, place)
    return prims.concatenate(_cast(parts, dtype, casting), place)._alias()


@implements(np.stack)
def stack(arrays: Any, axis: Any = 0, *, dtype: Any = None, casting: str = "same_kind") -> Tracer:
    """`numpy.stack`."""
    parts = _parts(arrays)
    if any(part.shape != parts[0].shape for part in parts):
        raise ShapeError("all input arrays must have the same shape", source_location())
    place = prims.normalize_axis(axis, parts[0].ndim + 1)
    shape = (*parts[0].shape[:place], 1, *parts[0].shape[place:])
    parts = [prims.reshape(part, shape) for part in _cast(parts, dtype, casting)]
    return prims.concatenate(parts, place)._alias()


@implements(np.vstack, *filter(None, [getattr(np, "row_stack", None)]))
def vstack(tup: Any, *, dtype: Any = None, casting: str = "same_kind") -> Tracer:
    """`numpy.vstack`."""
    parts = [np.atleast_2d(traced(part)) for part in tup]
    return concatenate(parts, 0, dtype=dtype, casting=casting)


@implements(np.hstack)
def hstack(tup: Any, *, dtype: Any = None, casting: str = "same_kind") -> Tracer:
    """`numpy.hstack`."""
    parts = [np.atleast_1d(traced(part)) for part in tup]
    axis = 0 if parts and parts[0].ndim == 1 else 1
    return concatenate(parts, axis, dtype=dtype, casting=casting)


@implements(np.dstack)
def dstack(tup: Any) -> Tracer:
    """`numpy.dstack`."""
    return concatenate([np.atleast_3d(traced(part)) for part in tup], 2)


@implements(np.column_stack)
def column_stack(tup: Any) -> Tracer:
    """`numpy.column_stack`."""
    parts = [traced(part) for part in tup]
    return concatenate([prims.reshape(p, (p.size, 1)) if p.ndim < 2 else p for p in parts], 1)


@implements(np.block)
def block(arrays: Any) -> Tracer:
    """`numpy.block`."""
    depth = _block_depth(arrays, ())

    def joined(value: Any, level: int, rank: int) -> Tracer:
        if level:
            return concatenate([joined(part, level - 1, rank) for part in value], -level)
        x = traced(value)
        return prims.reshape(x, (1,) * (rank - x.ndim) + x.shape)

    leaves: list[Any] = [arrays]
    for _ in range(depth):
        leaves = [leaf for part in leaves for leaf in part]
    rank = max(depth, *[np.ndim(leaf) for leaf in leaves], 0)
    return joined(arrays, depth, rank)._alias()


def _block_depth(value: Any, place: tuple[int, ...]) -> int:
    """How deep the lists are, which must be the same everywhere."""
    name = "arrays" + "".join(f"[{i}]" for i in place)
    if isinstance(value, tuple):
        raise DTypeError(f"{name} is a tuple; numpy.block takes lists only", source_location())
    if not isinstance(value, list):
        return 0
    depths = {_block_depth(part, (*place, i)) for i, part in enumerate(value)}
    if len(depths) != 1:
        text = "is an empty list" if not depths else "has lists of different depths"
        raise ShapeError(f"numpy.block: {name} {text}", source_location())
    return depths.pop() + 1


@implements(np.append)
def append(arr: Any, values: Any, axis: Any = None) -> Tracer:
    """`numpy.append`."""
    return concatenate((traced(arr), traced(values)), axis)


@implements(np.array_split, view=True)
def array_split(ary: Any, indices_or_sections: Any, axis: Any = 0) -> list[Tracer]:
    """`numpy.array_split`."""
    x = traced(ary)
    place = prims.normalize_axis(axis, x.ndim)
    length = x.shape[place]
    if np.ndim(indices_or_sections):
        bounds = [slice(int(i)).indices(length)[1] for i in indices_or_sections]
        edges = [0, *bounds, length]
    else:
        count = operator.index(indices_or_sections)
        if count <= 0:
            raise ShapeError("number sections must be larger than 0", source_location())
        each, extra = divmod(length, count)
        edges = np.cumsum([0] + extra * [each + 1] + (count - extra) * [each]).tolist()
    return [
        prims.take_range(x, place, start, max(start, stop))._alias()
        for start, stop in itertools.pairwise(edges)
    ]


@implements(np.split, view=True)
def split(ary: Any, indices_or_sections: Any, axis: Any = 0) -> list[Tracer]:
    """`numpy.split`."""
    x = traced(ary)
    length = x.shape[prims.normalize_axis(axis, x.ndim)]
    if not np.ndim(indices_or_sections) and length % operator.index(indices_or_sections):
        raise ShapeError("array split does not result in an equal division", source_location())
    return array_split(x, indices_or_sections, axis)


@implements(np.vsplit, view=True)
def vsplit(ary: Any, indices_or_sections: Any) -> list[Tracer]:
    """`numpy.vsplit`."""
    return split(ary, indices_or_sections, 0)


@implements(np.hsplit, view=True)
def hsplit(ary: Any, indices_or_sections: Any) -> list[Tracer]:
    """`numpy.hsplit`."""
    return split(ary, indices_or_sections, 0 if np.ndim(ary) == 1 else 1)


@implements(np.unstack, view=True)
def unstack(x: Any, /, *, axis: Any = 0) -> tuple[Tracer, ...]:
    """`numpy.unstack`."""
    return tuple(xp.moveaxis(traced(x), axis, 0))


@implements(np.tile)
def tile(A: Any, reps: Any) -> Tracer:
    """`numpy.tile`."""
    x = traced(A)
    counts = shape_of(reps)
    rank = max(x.ndim, len(counts))
    counts = (1,) * (rank - len(counts)) + counts
    shape = (1,) * (rank - x.ndim) + x.shape
    apart = prims.reshape(x, tuple([n for size in shape for n in (1, size)]))
    repeated = prims.broadcast_to(
        apart, tuple([n for count, size in zip(counts, shape, strict=True) for n in (count, size)])
    )
    return prims.reshape(repeated, tuple([a * b for a, b in zip(counts, shape, strict=True)]))


@implements(np.repeat)
def repeat(a: Any, repeats: Any, axis: Any = None) -> Tracer:
    """`numpy.repeat`; the counts are concrete."""
    x = traced(a)
    if axis is None:
        x, axis = prims.reshape(x, (x.size,)), 0
    place = prims.normalize_axis(axis, x.ndim)
    if prims.is_traced(repeats):
        repeats.__index__()
    counts = prims.concrete(repeats)
    if not counts.size:
        counts = counts.astype(np.int64)
    if (counts < 0).any():
        raise ShapeError("repeats may not contain negative values.", source_location())
    if counts.size == 1:
        count = int(counts.reshape(()))
        before, after = x.shape[: place + 1], x.shape[place + 1 :]
        apart = prims.reshape(x, (*before, 1, *after))
        repeated = prims.broadcast_to(apart, (*before, count, *after))
        return prims.reshape(repeated, (*before[:-1], before[-1] * count, *after))
    return xp.take(x, np.repeat(np.arange(x.shape[place]), counts), axis=place)


@implements(np.roll)
def roll(a: Any, shift: Any, axis: Any = None) -> Tracer:
    """`numpy.roll`."""
    x = traced(a)
    if axis is None:
        return prims.reshape(roll(prims.reshape(x, (x.size,)), shift, 0), x.shape)
    axes = prims.normalize_axes(axis, x.ndim)
    for place, amount in np.broadcast(axes, shift):
        size = x.shape[place]
        amount = operator.index(amount) % size if size else 0
        if amount:
            parts = [
                prims.take_range(x, place, size - amount, size),
                prims.take_range(x, place, 0, size - amount),
            ]
            x = prims.concatenate(parts, place)
    return x


@implements(np.pad)
def pad(array: Any, pad_width: Any, mode: str = "constant", *, constant_values: Any = 0) -> Tracer:
    """`numpy.pad`; mode constant, edge, reflect, symmetric or wrap."""
    x = traced(array)
    if isinstance(pad_width, dict):
        table = [(0, 0)] * x.ndim
        for axis, width in pad_width.items():
            low, high = np.broadcast_to(width, 2).tolist()
            table[prims.normalize_axis(axis, x.ndim)] = (low, high)
        pad_width = table
    widths = [tuple(pair) for pair in np.broadcast_to(pad_width, (x.ndim, 2)).tolist()]
    if any(n < 0 for pair in widths for n in pair):
        raise ShapeError("index can't contain negative values", source_location())
    if mode != "constant":
        if mode not in ("edge", "reflect", "symmetric", "wrap"):
            raise unsupported(
                f"mode={mode!r} of numpy.pad", "use constant, edge, reflect, symmetric or wrap"
            )
        for axis, pair in enumerate(widths):
            if any(pair):
                if not x.shape[axis]:
                    raise ShapeError(
                        f"numpy.pad cannot extend the empty axis {axis} with mode={mode!r}",
                        source_location(),
                    )
                index = np.pad(np.arange(x.shape[axis]), pair, mode)  # pyright: ignore
                x = xp.take(x, index, axis=axis)
        return x
    if not prims.is_traced(constant_values) and np.ndim(constant_values):
        values = np.broadcast_to(constant_values, (x.ndim, 2))
        if (values != values[:1, :1]).any():
            for axis, (pair, (low, high)) in enumerate(zip(widths, values.tolist(), strict=True)):
                x = _pad_axis(_pad_axis(x, axis, (pair[0], 0), low), axis, (0, pair[1]), high)
            return x
        constant_values = values[0, 0] if values.size else 0
    value = prims.as_traced(constant_values, x.dtype)
    if not any(map(any, widths)):
        return x
    return prims.pad(x, [p[0] for p in widths], [p[1] for p in widths], value=value)


def _pad_axis(x: Tracer, axis: int, pair: tuple[int, int], value: Any) -> Tracer:
    low, high = [0] * x.ndim, [0] * x.ndim
    low[axis], high[axis] = pair
    return prims.pad(x, low, high, value=prims.as_traced(value, x.dtype)) if any(pair) else x


def _like(a: Any, value: Any, dtype: Any, order: Any, shape: Any) -> Tracer:
    x = traced(a)
    checked_order(order)
    target = supported(dtype) if dtype is not None else x.dtype
    return prims.broadcast_to(
        prims.as_traced(value, target), x.shape if shape is None else shape_of(shape)
    )


@implements(np.zeros_like, np.empty_like)
def zeros_like(
    a: Any, dtype: Any = None, order: str = "K", subok: bool = True, shape: Any = None
) -> Tracer:
    """`numpy.zeros_like`, and `empty_like`."""
    return _like(a, 0, dtype, order, shape)


@implements(np.ones_like)
def ones_like(
    a: Any, dtype: Any = None, order: str = "K", subok: bool = True, shape: Any = None
) -> Tracer:
    """`numpy.ones_like`."""
    return _like(a, 1, dtype, order, shape)


@implements(np.full_like)
def full_like(
    a: Any,
    fill_value: Any,
    dtype: Any = None,
    order: str = "K",
    subok: bool = True,
    shape: Any = None,
) -> Tracer:
    """`numpy.full_like`."""
    value = fill_value if isinstance(fill_value, Tracer) else prims.concrete(fill_value)
    return _like(a, value, dtype, order, shape)
