# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""NumPy's indexing rules on traced arrays.

Basic indices become a static slice, a reversal and a reshape; traced integers a dynamic slice;
integer arrays and concrete boolean masks a gather. A concrete index is checked against the
bounds while tracing, a traced one when the compiled code has run (see `gradopt.ir.checks`).
"""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from gradopt.array.tracer import Tracer
from gradopt.base.dtypes import BOOL, INT64
from gradopt.base.location import source_location
from gradopt.errors import ConversionError, TraceIndexError
from gradopt.ir import prims
from gradopt.ir.checks import require_in_bounds
from gradopt.ir.prims import scalar

_ALL = slice(None)


def getitem(x: Tracer, index: Any) -> Tracer:
    """`x[index]`.

    Raises:
        TraceIndexError: a concrete index is out of bounds, or no index at all.
        ConversionError: the index is a traced boolean mask, or a traced slice bound.
    """
    parts, gap = _expand(x, index if isinstance(index, tuple) else (index,))
    if any(_is_array(part) for part in parts):
        return _advanced(x, parts, gap)
    result = _basic(x, parts)
    if result is x:
        result = x._alias()
    if result.ndim:
        x._viewed = result._viewed = True
    return result


def _is_array(part: Any) -> bool:
    return isinstance(part, (Tracer, np.ndarray)) and part.ndim > 0


def _is_scalar(part: Any) -> bool:
    return isinstance(part, (int, Tracer, np.ndarray)) and not _is_array(part)


def _error(message: str) -> TraceIndexError:
    return TraceIndexError(message, source_location())


def _expand(x: Tracer, index: tuple[Any, ...]) -> tuple[list[Any], int | None]:
    """The index with one entry for each dimension, and None for each new one.

    With it the place of the ellipsis, which parts the entries around it even where it stands for
    no dimension.

    Entries are int, slice, None, integer arrays (concrete or traced), and traced 0-d integers.
    """
    parts: list[Any] = []
    ellipsis: int | None = None
    consumed = 0
    for entry in index:
        if entry is None:
            parts.append(None)
        elif entry is Ellipsis:
            if ellipsis is not None:
                raise _error("an index can only have a single ellipsis ('...')")
            ellipsis = len(parts)
        else:
            new = _entry(entry, x, consumed)
            consumed += len(new)
            parts.extend(new)
    if consumed > x.ndim:
        raise _error(
            f"too many indices for array: array is {x.ndim}-dimensional, "
            f"but {consumed} were indexed"
        )
    missing = [_ALL] * (x.ndim - consumed)
    place = len(parts) if ellipsis is None else ellipsis
    return parts[:place] + missing + parts[place:], ellipsis


def _entry(entry: Any, x: Tracer, dimension: int) -> list[Any]:
    if isinstance(entry, slice):
        return [entry]
    if isinstance(entry, Tracer):
        if entry.dtype == BOOL:
            raise ConversionError(
                "the shape of a selection by a traced boolean mask is not known while tracing; "
                "use numpy.where(mask, x, value), and reductions with where=mask",
                source_location(),
            )
        if entry.dtype.kind != "i":
            raise _error(f"arrays used as indices must be of integer type, not {entry.dtype}")
        return [prims.convert(entry, INT64)]
    if isinstance(entry, (bool, np.bool_)):
        raise _error("a single bool as index is not supported")
    if isinstance(entry, (list, tuple, range, np.ndarray)):
        if prims.is_traced(entry):
            return _entry(prims.as_traced(entry), x, dimension)
        array = prims.concrete(entry)
        if array.size == 0 and not isinstance(entry, np.ndarray):
            array = array.astype(np.int64)
        if array.dtype == BOOL:
            expected = x.shape[dimension : dimension + array.ndim]
            if array.shape != expected:
                raise _error(
                    f"boolean index of shape {array.shape} does not match "
                    f"the indexed shape {expected}"
                )
            return list(array.nonzero())
        if array.dtype.kind not in "iu":
            raise _error(f"arrays used as indices must be of integer type, not {array.dtype}")
        array = array.astype(np.int64)
        return [array] if array.ndim else [int(array)]
    try:
        return [operator.index(entry)]
    except TypeError:
        raise _error(
            "only integers, slices, ellipsis, None and integer or boolean arrays are valid "
            f"indices, not {type(entry).__name__}"
        ) from None


def _checked(value: int, size: int, axis: int) -> int:
    if not -size <= value < size:
        raise _error(f"index {value} is out of bounds for axis {axis} with size {size}")
    return value + size if value < 0 else value


def _wrapped(index: Tracer, size: int, axis: int) -> Tracer:
    """A traced index, checked and made non-negative."""
    require_in_bounds(index, size, axis)
    return prims.select(index < scalar(0, INT64), index + scalar(size, INT64), index)


def _basic(x: Tracer, parts: list[Any]) -> Tracer:
    """Slices, integers and None."""
    offsets: list[int] = []
    sizes: list[int] = []
    strides: list[int] = []
    backwards: list[int] = []
    dynamic: dict[int, Tracer] = {}
    shape: list[int] = []
    axis = 0
    for part in parts:
        if part is None:
            shape.append(1)
            continue
        extent = x.shape[axis]
        offset, size, stride = 0, extent, 1
        if isinstance(part, slice):
            if not (part.start is None and part.stop is None and part.step is None):
                offset, size, stride = _slice_range(part, extent)
                if stride < 0:
                    backwards.append(axis)
                    offset, stride = offset + (size - 1) * stride, -stride
            shape.append(size)
        elif isinstance(part, int):
            offset, size = _checked(part, extent, axis), 1
        else:
            if not extent:
                raise _error(f"index into axis {axis} with size 0")
            dynamic[axis] = _wrapped(part, extent, axis)
        offsets.append(offset)
        sizes.append(size)
        strides.append(stride)
        axis += 1
    x = prims.slice_(x, offsets, sizes, strides)
    x = prims.reverse(x, backwards)
    if dynamic:
        zero = scalar(0, INT64)
        starts = [dynamic.get(i, zero) for i in range(x.ndim)]
        x = prims.dynamic_slice(
            x, starts, [1 if i in dynamic else n for i, n in enumerate(x.shape)]
        )
    return prims.reshape(x, tuple(shape))


def _slice_range(part: slice, extent: int) -> tuple[int, int, int]:
    """Offset, number of elements and step of a slice."""
    if prims.is_traced(part.start, part.stop, part.step):
        raise ConversionError(
            "a bound of a slice is traced, so the size of the result is not known; use a "
            "constant or static_argnums, or select elements with numpy.where",
            source_location(),
        )
    start, stop, step = part.indices(extent)
    size = len(range(start, stop, step))
    return (start, size, step) if size else (0, 0, 1)


def _advanced(x: Tracer, parts: list[Any], gap: int | None) -> Tracer:
    """Integer arrays, with slices, None and integers beside them."""
    places = [i for i, part in enumerate(parts) if _is_array(part) or _is_scalar(part)]
    adjacent = places == list(range(places[0], places[-1] + 1))
    if gap is not None and places[0] < gap <= places[-1]:
        adjacent = False
    # Slices and None first; the indexed dimensions stay whole.
    x_indexed = _basic(x, [_ALL if i in places else part for i, part in enumerate(parts)])
    sizes = [x_indexed.shape[i] for i in places]
    rest = [i for i in range(x_indexed.ndim) if i not in places]
    axes = [sum(part is not None for part in parts[:i]) for i in places]
    indices = _index_rows([parts[i] for i in places], sizes, axes)
    front = prims.transpose(x_indexed, [*places, *rest])
    result = prims.gather(front, indices)
    count = indices.ndim - 1
    if not adjacent:
        return result
    before = sum(1 for i in rest if i < places[0])
    order = [*range(count, count + before), *range(count), *range(count + before, result.ndim)]
    return prims.transpose(result, order)


def _index_rows(entries: list[Any], sizes: list[int], axes: list[int]) -> Tracer:
    """The rows of `grad.gather`: broadcast indices side by side, non-negative."""
    shape = prims.broadcast_shapes(*[np.shape(entry) for entry in entries])
    columns: list[Any] = []
    for entry, size, axis in zip(entries, sizes, axes, strict=True):
        if isinstance(entry, Tracer):
            if not size and prims.size_of(shape):
                raise _error(f"index into axis {axis} with size 0")
            columns.append(_wrapped(entry, size, axis))
            continue
        values = np.asarray(entry)
        wrong = (values < -size) | (values >= size)
        if prims.size_of(shape) and wrong.any():
            _checked(int(values[wrong].flat[0]), size, axis)
        columns.append(np.where(values < 0, values + size, values))
    if not prims.is_traced(*columns):
        rows = np.stack([np.broadcast_to(column, shape) for column in columns], -1)
        return prims.as_traced(rows, INT64)
    traced = [prims.broadcast_to(prims.as_traced(column, INT64), shape) for column in columns]
    return prims.concatenate([prims.reshape(column, (*shape, 1)) for column in traced], len(shape))
