# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Joining, splitting, repeating, padding, and arrays like others."""

from __future__ import annotations

import itertools
import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from gradopt.array.dispatch import implements, unsupported
from gradopt.array.handle import (
    Handle,
    array_of,
    array_of_size,
    as_array,
    is_ordered,
    wrap,
)
from gradopt.array.indexing import getitem
from gradopt.array.operands import checked_order, handle_of, is_traced, rows_of, traced
from gradopt.base.dtypes import BOOL, INT64, require_cast, result_type, supported
from gradopt.base.location import source_location
from gradopt.base.unknown_sizes import unknown_size
from gradopt.errors import DTypeError, ShapeError
from gradopt.functions.matrices import take
from gradopt.functions.shapes import (
    arranged,
    atleast_1d,
    atleast_2d,
    atleast_3d,
    moveaxis,
    shape_of,
)
from gradopt.ir import places, prims, sized
from gradopt.ir.extents import Sizes, is_extent, shape_with
from gradopt.ir.prims import scalar
from gradopt.ir.values import Value


def _parts(arrays: Any) -> list[Value]:
    """Arrays to be joined."""
    parts = [traced(part) for part in arrays]
    if not parts:
        raise ShapeError("need at least one array to join", source_location())
    return parts


def _cast(parts: Sequence[Value], dtype: Any, casting: Any) -> list[Value]:
    """The arrays in one dtype, cast by NumPy's rule."""
    target = supported(dtype) if dtype is not None else result_type(*[p.dtype for p in parts])
    for part in parts:
        require_cast(part.dtype, target, casting)
    return [prims.convert(part, target) for part in parts]


def _check_joinable(parts: Sequence[Value], axis: int) -> None:
    is_sized = any(part.shape.__class__ is Sizes for part in parts)
    for part in parts[1:]:
        if is_sized and part.ndim == parts[0].ndim:
            continue  # Sizes are compared when the parts are joined.
        if part.ndim != parts[0].ndim or any(
            i != axis and a != b
            for i, (a, b) in enumerate(zip(part.shape, parts[0].shape, strict=False))
        ):
            raise ShapeError(
                "all the input array dimensions except for the concatenation axis must match: "
                f"got {parts[0].shape} and {part.shape}",
                source_location(),
            )


def _side_by_side(whole: Handle, axis: int, dtype: Any, casting: Any) -> Value:
    """The rows of an array joined along one of their axes."""
    (value,) = _cast([whole._read()], dtype, casting)
    count, *extents = value.shape
    extents[axis] *= count
    return prims.reshape(traced(moveaxis(wrap(value), 0, axis)), tuple(extents))


@implements(np.concatenate)
def concatenate(
    arrays: Any, axis: Any = 0, *, dtype: Any = None, casting: str = "same_kind"
) -> Value:
    """`numpy.concatenate`."""
    whole = rows_of(arrays)
    if whole is not None and whole.ndim > 1 and axis is not None:
        return _side_by_side(whole, prims.normalize_axis(axis, whole.ndim - 1), dtype, casting)
    parts = _parts(arrays)
    if axis is None:
        parts, axis = [prims.reshape(part, (part.size,)) for part in parts], 0
    if parts[0].ndim == 0:
        raise ShapeError("zero-dimensional arrays cannot be concatenated", source_location())
    place = prims.normalize_axis(axis, parts[0].ndim)
    _check_joinable(parts, place)
    return prims.concatenate(_cast(parts, dtype, casting), place)


@implements(np.stack)
def stack(arrays: Any, axis: Any = 0, *, dtype: Any = None, casting: str = "same_kind") -> Value:
    """`numpy.stack`."""
    whole = rows_of(arrays)
    if whole is not None:
        (value,) = _cast([whole._read()], dtype, casting)
        return traced(moveaxis(wrap(value), 0, axis)) if axis else value
    parts = _parts(arrays)
    is_sized = any(part.shape.__class__ is Sizes for part in parts)
    first = parts[0]
    if any(part.ndim != first.ndim for part in parts) or (
        not is_sized and any(part.shape != first.shape for part in parts)
    ):
        raise ShapeError("all input arrays must have the same shape", source_location())
    place = prims.normalize_axis(axis, first.ndim + 1)
    parts = [
        prims.reshape(part, shape_with([*part.shape[:place], 1, *part.shape[place:]]))
        for part in _cast(parts, dtype, casting)
    ]
    return prims.concatenate(parts, place)


@implements(np.vstack, *filter(None, [getattr(np, "row_stack", None)]))
def vstack(tup: Any, *, dtype: Any = None, casting: str = "same_kind") -> Value:
    """`numpy.vstack`."""
    whole = rows_of(tup)
    if whole is not None and whole.ndim < 3:
        value = whole._read()
        value = prims.reshape(value, (value.shape[0], 1)) if value.ndim == 1 else value
        return _cast([value], dtype, casting)[0]
    parts = [traced(atleast_2d(part)) for part in tup]
    return concatenate(parts, 0, dtype=dtype, casting=casting)


@implements(np.hstack)
def hstack(tup: Any, *, dtype: Any = None, casting: str = "same_kind") -> Value:
    """`numpy.hstack`."""
    whole = rows_of(tup)
    if whole is not None:
        if whole.ndim == 1:
            return _cast([whole._read()], dtype, casting)[0]
        return _side_by_side(whole, int(whole.ndim > 2), dtype, casting)
    parts = [traced(atleast_1d(part)) for part in tup]
    axis = 0 if parts and parts[0].ndim == 1 else 1
    return concatenate(parts, axis, dtype=dtype, casting=casting)


@implements(np.dstack)
def dstack(tup: Any) -> Value:
    """`numpy.dstack`."""
    return concatenate([traced(atleast_3d(part)) for part in tup], 2)


@implements(np.column_stack)
def column_stack(tup: Any) -> Value:
    """`numpy.column_stack`."""
    parts = [traced(part) for part in tup]
    return concatenate([prims.reshape(p, (p.size, 1)) if p.ndim < 2 else p for p in parts], 1)


@implements(np.block)
def block(arrays: Any) -> Value:
    """`numpy.block`."""
    depth = _block_depth(arrays, ())

    def joined(value: Any, level: int, rank: int) -> Value:
        if level:
            return concatenate([joined(part, level - 1, rank) for part in value], -level)
        x = traced(value)
        return prims.reshape(x, (1,) * (rank - x.ndim) + x.shape)

    leaves: list[Any] = [arrays]
    for _ in range(depth):
        leaves = [leaf for part in leaves for leaf in part]
    rank = max(depth, *[np.ndim(leaf) for leaf in leaves], 0)
    return joined(arrays, depth, rank)


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
def append(arr: Any, values: Any, axis: Any = None) -> Value:
    """`numpy.append`."""
    return concatenate((traced(arr), traced(values)), axis)


@implements(np.array_split)
def array_split(ary: Any, indices_or_sections: Any, axis: Any = 0) -> list[Any]:
    """`numpy.array_split`."""
    x = handle_of(ary)
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
    before = (slice(None),) * place
    return [getitem(x, (*before, slice(a, max(a, b)))) for a, b in itertools.pairwise(edges)]


@implements(np.split)
def split(ary: Any, indices_or_sections: Any, axis: Any = 0) -> list[Any]:
    """`numpy.split`."""
    x = handle_of(ary)
    length = x.shape[prims.normalize_axis(axis, x.ndim)]
    if not np.ndim(indices_or_sections) and length % operator.index(indices_or_sections):
        raise ShapeError("array split does not result in an equal division", source_location())
    return array_split(x, indices_or_sections, axis)


@implements(np.vsplit)
def vsplit(ary: Any, indices_or_sections: Any) -> list[Any]:
    """`numpy.vsplit`."""
    return split(ary, indices_or_sections, 0)


@implements(np.hsplit)
def hsplit(ary: Any, indices_or_sections: Any) -> list[Any]:
    """`numpy.hsplit`."""
    return split(ary, indices_or_sections, 0 if np.ndim(ary) == 1 else 1)


@implements(np.dsplit)
def dsplit(ary: Any, indices_or_sections: Any) -> list[Any]:
    """`numpy.dsplit`."""
    x = handle_of(ary)
    if x.ndim < 3:
        raise ShapeError("dsplit only works on arrays of 3 or more dimensions", source_location())
    return split(x, indices_or_sections, 2)


@implements(np.unstack)
def unstack(x: Any, /, *, axis: Any = 0) -> tuple[Any, ...]:
    """`numpy.unstack`."""
    first = moveaxis(x, axis, 0)
    return tuple([getitem(first, i) for i in range(first.shape[0])])


@implements(np.tile)
def tile(A: Any, reps: Any) -> Value:
    """`numpy.tile`."""
    x = traced(A)
    counts = shape_of(reps)
    rank = max(x.ndim, len(counts))
    counts = (1,) * (rank - len(counts)) + counts
    shape = shape_with((1,) * (rank - x.ndim) + x.shape)
    if shape.__class__ is Sizes:
        return _tiled(prims.reshape(x, shape), counts)
    apart = prims.reshape(x, tuple([n for size in shape for n in (1, size)]))
    repeated = prims.broadcast_to(
        apart, tuple([n for count, size in zip(counts, shape, strict=True) for n in (count, size)])
    )
    return prims.reshape(repeated, tuple([a * b for a, b in zip(counts, shape, strict=True)]))


def _tiled(x: Value, counts: Sequence[int]) -> Value:
    """`numpy.tile` of an array whose size is known at run time only."""
    for axis, count in enumerate(counts):
        if count == 0 or is_extent(x.shape[axis]):
            x = sized.tiled(x, axis, count) if count != 1 else x
        elif count > 1:
            x = sized.concatenate([x] * count, axis)
    return x


@implements(np.repeat)
def repeat(a: Any, repeats: Any, axis: Any = None) -> Value:
    """`numpy.repeat`; the counts are concrete."""
    x = traced(a)
    if axis is None:
        x, axis = prims.reshape(x, (x.size,)), 0
    place = prims.normalize_axis(axis, x.ndim)
    if is_traced(repeats):
        repeats.__index__()
    counts = prims.concrete(repeats)
    if not counts.size:
        counts = counts.astype(np.int64)
    if (counts < 0).any():
        raise ShapeError("repeats may not contain negative values.", source_location())
    if counts.size == 1:
        count = int(counts.reshape(()))
        if is_extent(x.shape[place]):
            return sized.repeated(x, place, count)
        before, after = x.shape[: place + 1], x.shape[place + 1 :]
        apart = prims.reshape(x, (*before, 1, *after))
        repeated = prims.broadcast_to(apart, (*before, count, *after))
        return prims.reshape(repeated, (*before[:-1], before[-1] * count, *after))
    if is_extent(x.shape[place]):
        raise unknown_size("numpy.repeat with a number for each element")
    return take(x, np.repeat(np.arange(x.shape[place]), counts), axis=place)


@implements(np.roll)
def roll(a: Any, shift: Any, axis: Any = None) -> Any:
    """`numpy.roll`, by traced numbers of places too."""
    x = traced(a)
    if axis is None:
        return as_array(prims.reshape(roll(prims.reshape(x, (x.size,)), shift, 0), x.shape))
    axes = prims.normalize_axes(axis, x.ndim)
    if is_traced(shift):
        shifts = np.broadcast_to(wrap(traced(shift)), len(axes))
        for place, amount in zip(axes, shifts, strict=True):
            size: Any = x.shape[place]
            if is_extent(size):
                x = places.rolled(x, place, traced(amount, INT64))
                continue
            x = take(x, (np.arange(size) - amount) % max(size, 1), axis=place)
        return x
    for place, amount in np.broadcast(axes, shift):
        size = x.shape[place]
        if is_extent(size):
            x = places.rolled(x, place, operator.index(amount))
            continue
        amount = operator.index(amount) % size if size else 0
        if amount:
            parts = [
                prims.take_range(x, place, size - amount, size),
                prims.take_range(x, place, 0, size - amount),
            ]
            x = prims.concatenate(parts, place)
    return x


@implements(np.pad)
def pad(
    array: Any,
    pad_width: Any,
    mode: str = "constant",
    *,
    constant_values: Any = 0,
    end_values: Any = 0,
    reflect_type: str = "even",
    stat_length: Any = None,
) -> Value:
    """`numpy.pad`; any mode but functions."""
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
        if mode == "empty":
            return _with_constant(x, widths, scalar(0, x.dtype))
        if mode in ("linear_ramp", *_STATISTICS) and x.shape.__class__ is Sizes:
            raise unknown_size(f"numpy.pad with mode={mode!r}")
        if mode == "linear_ramp":
            return _ramps(x, widths, end_values)
        if mode in _STATISTICS:
            return _with_statistics(x, widths, mode, stat_length)
        if mode not in ("edge", "reflect", "symmetric", "wrap"):
            raise unsupported(
                f"mode={mode!r} of numpy.pad",
                "use constant, edge, reflect, symmetric, wrap, linear_ramp, maximum, minimum, "
                "mean, median",
            )
        is_odd = reflect_type == "odd" and mode in ("reflect", "symmetric")
        if is_odd and (x.dtype == BOOL or x.shape.__class__ is Sizes):
            what = "of booleans" if x.dtype == BOOL else "along axes of run-time size"
            raise unsupported(f"reflect_type='odd' of numpy.pad {what}", "use reflect_type='even'")
        for axis, pair in enumerate(widths):
            if any(pair):
                if is_extent(x.shape[axis]):
                    x = places.extended(x, axis, pair[0], pair[1], mode)
                    continue
                if not x.shape[axis]:
                    raise ShapeError(
                        f"numpy.pad cannot extend the empty axis {axis} with mode={mode!r}",
                        source_location(),
                    )
                if is_odd and x.shape[axis] > 1:
                    x = _odd(x, axis, pair, mode)
                    continue
                index = np.pad(np.arange(x.shape[axis]), pair, mode)  # pyright: ignore
                x = take(x, index, axis=axis)
        return x
    if not is_traced(constant_values) and np.ndim(constant_values):
        values = np.broadcast_to(constant_values, (x.ndim, 2))
        if (values != values[:1, :1]).any():
            for axis, (pair, (low, high)) in enumerate(zip(widths, values.tolist(), strict=True)):
                x = _pad_axis(_pad_axis(x, axis, (pair[0], 0), low), axis, (0, pair[1]), high)
            return x
        constant_values = values[0, 0].item() if values.size else 0
    value = traced(constant_values, x.dtype)
    if not any(map(any, widths)):
        return x
    return _with_constant(x, widths, value)


def _odd(x: Value, axis: int, pair: tuple[int, int], mode: str) -> Value:
    """Reflected about the ends in value, too: twice an end less what is reflected.

    What is padded widely is made in turns, as by NumPy: each reflects whole periods of what is
    there about the ends that it has.
    """
    to_front, to_back = pair
    skipped = int(mode == "reflect")  # An end that is not repeated.
    period = x.shape[axis] - skipped

    def reflected(edge: int, start: int, stop: int) -> Value:
        end = wrap(prims.take_range(x, axis, edge, edge + 1))
        return traced(2 * end - np.flip(wrap(prims.take_range(x, axis, start, stop)), axis))

    while to_front or to_back:
        most = (x.shape[axis] - skipped) // period * period
        if to_front:
            width = min(most, to_front)
            x = prims.concatenate([reflected(0, skipped, skipped + width), x], axis)
            to_front -= width
        if to_back:
            width, last = min(most, to_back), x.shape[axis] - 1
            end = last + 1 - skipped
            x = prims.concatenate([x, reflected(last, end - width, end)], axis)
            to_back -= width
    return x


def _with_constant(x: Value, widths: Sequence[tuple[int, int]], value: Value) -> Value:
    """One value in front and behind."""
    if x.shape.__class__ is not Sizes:
        return prims.pad(x, [p[0] for p in widths], [p[1] for p in widths], value=value)
    for axis, pair in enumerate(widths):
        ends = [
            prims.broadcast_to(value, shape_with([*x.shape[:axis], width, *x.shape[axis + 1 :]]))
            for width in pair
        ]
        if any(pair):
            x = prims.concatenate([ends[0], x, ends[1]], axis)
    return x


_STATISTICS = {"maximum": np.max, "minimum": np.min, "mean": np.mean, "median": np.median}


def _pairs(values: Any, count: int) -> list[list[Any]]:
    """What is given for each axis in front and behind."""
    return np.broadcast_to(values, (count, 2)).tolist()


def _ramps(x: Value, widths: Sequence[tuple[int, int]], ends: Any) -> Value:
    """From the edges to other values, in equal steps."""
    for axis, ((low, high), (first, last)) in enumerate(
        zip(widths, _pairs(ends, x.ndim), strict=True)
    ):
        size = x.shape[axis]
        parts = [x]
        for width, end, edge, is_front in ((low, first, 0, True), (high, last, size - 1, False)):
            if not width:
                continue
            value = wrap(prims.take_range(x, axis, edge, edge + 1))
            steps = np.arange(width) if is_front else np.arange(width)[::-1]
            shape = [1] * x.ndim
            shape[axis] = width
            ramp = end + (value - end) * (steps.reshape(shape) / width)
            if x.dtype.kind in "iu":
                ramp = np.floor(ramp)
            part = prims.convert(traced(ramp), x.dtype)
            parts = [part, *parts] if is_front else [*parts, part]
        x = prims.concatenate(parts, axis)
    return x


def _with_statistics(x: Value, widths: Sequence[tuple[int, int]], mode: str, length: Any) -> Value:
    """An extreme or the mean of elements at each end, or of all."""
    lengths = [[None, None]] * x.ndim if length is None else _pairs(length, x.ndim)
    for axis, (pair, taken) in enumerate(zip(widths, lengths, strict=True)):
        size = x.shape[axis]
        parts = [x]
        for width, count, is_front in zip(pair, taken, (True, False), strict=True):
            if not width:
                continue
            count = size if count is None else min(int(count), size)
            chosen = prims.take_range(x, axis, *((0, count) if is_front else (size - count, size)))
            found = _STATISTICS[mode](wrap(chosen), axis=axis, keepdims=True)
            if x.dtype.kind in "iu":
                found = np.round(found)
            shape = [n if i != axis else width for i, n in enumerate(x.shape)]
            part = prims.broadcast_to(prims.convert(traced(found), x.dtype), tuple(shape))
            parts = [part, *parts] if is_front else [*parts, part]
        x = prims.concatenate(parts, axis)
    return x


def _pad_axis(x: Value, axis: int, pair: tuple[int, int], value: Any) -> Value:
    widths = [pair if i == axis else (0, 0) for i in range(x.ndim)]
    return _with_constant(x, widths, traced(value, x.dtype)) if any(pair) else x


def _like(a: Any, value: Any, dtype: Any, order: Any, shape: Any) -> Any:
    x = handle_of(a)
    target = supported(dtype) if dtype is not None else x.dtype
    if shape is None:
        if x._extents.__class__ is Sizes:
            checked_order(order)
            one = traced(value, target)
            return array_of_size(lambda n: array_of(prims.broadcast_to(one, n)), x._extents)
        return arranged(prims.broadcast_to(traced(value, target), x.shape), x, order)
    checked_order(order)
    result = array_of(prims.broadcast_to(traced(value, target), shape_of(shape)))
    if order != "C" and result.ndim > 1 and not is_ordered(x):
        result._storage.strides = None
    return result


@implements(np.zeros_like, np.empty_like)
def zeros_like(
    a: Any, dtype: Any = None, order: str = "K", subok: bool = True, shape: Any = None
) -> Any:
    """`numpy.zeros_like`, and `empty_like`."""
    return _like(a, 0, dtype, order, shape)


@implements(np.ones_like)
def ones_like(
    a: Any, dtype: Any = None, order: str = "K", subok: bool = True, shape: Any = None
) -> Any:
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
) -> Any:
    """`numpy.full_like`."""
    # A Python integer must fit the dtype; anything else is converted.
    keep = is_traced(fill_value) or type(fill_value) is int
    value = fill_value if keep else prims.concrete(fill_value)
    return _like(a, value, dtype, order, shape)
