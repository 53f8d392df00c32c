# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Differences, integrals, convolutions, windows and grids."""

from __future__ import annotations

import math
import operator
from typing import Any

import numpy as np

from gradopt.array.dispatch import UFUNCS, implements, unsupported
from gradopt.array.handle import Handle, wrap
from gradopt.array.operands import handle_of, listed, promotion_kind, traced
from gradopt.base.dtypes import BOOL, INT64, result_type, supported
from gradopt.base.location import source_location
from gradopt.errors import ShapeError
from gradopt.functions.joining import concatenate
from gradopt.functions.products import promoted
from gradopt.functions.reductions import sum_
from gradopt.functions.shapes import broadcast_arrays, moveaxis
from gradopt.ir import prims, sized
from gradopt.ir.extents import Sizes, is_extent, shape_with
from gradopt.ir.prims import scalar
from gradopt.ir.values import Value, emit
from gradopt.recording import grad


def _neighbours(x: Value, axis: int) -> tuple[Value, Value]:
    """All elements along the axis but the first one, and all but the last one."""
    size: Any = x.shape[axis]
    if x.shape.__class__ is not Sizes:
        upper = prims.take_range(x, axis, min(1, size), size)
        return upper, prims.take_range(x, axis, 0, max(size - 1, 0))
    starts = [0] * x.ndim
    shape = list(x.shape)
    if is_extent(size):
        less = emit(grad.maximum, size.value - 1, scalar(0, INT64))
        shape[axis] = sized.extent_of(less, max(size.bound - 1, 0))
    else:
        shape[axis] = max(size - 1, 0)
    lower = sized.slice_(x, starts, shape, range(x.ndim))
    starts[axis] = 1
    return sized.slice_(x, starts, shape, range(x.ndim)), lower


@implements(np.diff)
def diff(a: Any, n: Any = 1, axis: Any = -1, prepend: Any = None, append: Any = None) -> Any:
    """`numpy.diff`; of order 0 it is the array."""
    if operator.index(n) == 0:
        return handle_of(a)
    x = traced(a)
    place = prims.normalize_axis(axis, x.ndim)

    def extend(value: Any) -> Value:
        part = traced(value)
        if part.ndim == 0:
            shape = shape_with([1 if i == place else size for i, size in enumerate(x.shape)])
            part = prims.broadcast_to(part, shape)
        return part

    before = [] if prepend is None or prepend is np._NoValue else [extend(prepend)]
    after = [] if append is None or append is np._NoValue else [extend(append)]
    if before or after:
        x = concatenate([*before, x, *after], place)
    if operator.index(n) < 0:
        raise ShapeError(f"order must be non-negative but got {n}", source_location())
    for _ in range(operator.index(n)):
        upper, lower = _neighbours(x, place)
        x = prims.not_equal(upper, lower) if x.dtype == BOOL else upper - lower
    return x


@implements(np.trapezoid)
def trapezoid(y: Any, x: Any = None, dx: Any = 1.0, axis: Any = -1) -> Value:
    """`numpy.trapezoid`."""
    v = traced(y)
    place = prims.normalize_axis(axis, v.ndim)
    upper, lower = _neighbours(v, place)
    if x is None:
        width = dx
    else:
        points = traced(x)
        if points.ndim == 1:
            width = traced(diff(points))
            shape = [1] * v.ndim
            shape[place] = width.shape[0]
            width = prims.reshape(width, shape_with(shape))
        else:
            width = diff(points, axis=place)
    add, multiply, divide = UFUNCS[np.add], UFUNCS[np.multiply], UFUNCS[np.divide]
    return sum_(divide(multiply(width, add(upper, lower)), 2.0), place)


@implements(np.convolve)
def convolve(a: Any, v: Any, mode: str = "full") -> Value:
    """`numpy.convolve`."""
    x, w = _vectors("numpy.convolve", a, v)
    if w.size > x.size:
        x, w = w, x
    return _correlate("numpy.convolve", x, prims.reverse(w, [0]), mode)


@implements(np.correlate)
def correlate(a: Any, v: Any, mode: str = "valid") -> Value:
    """`numpy.correlate`."""
    x, w = _vectors("numpy.correlate", a, v)
    w = prims.conjugate(w)
    if x.size >= w.size:
        return _correlate("numpy.correlate", x, w, mode)
    return prims.reverse(_correlate("numpy.correlate", w, x, mode), [0])


def _vectors(name: str, a: Any, v: Any) -> tuple[Value, Value]:
    x, w = promoted(a, v)
    if x.ndim != 1 or w.ndim != 1 or not x.size or not w.size:
        raise ShapeError(
            f"{name}: two non-empty one-dimensional arrays are needed", source_location()
        )
    return x, w


def _correlate(name: str, x: Value, kernel: Value, mode: str) -> Value:
    """Sums of products with the shorter vector at all places that the mode names."""
    m = kernel.size
    overhang = {"full": (m - 1, m - 1), "same": (m // 2, (m - 1) // 2), "valid": (0, 0)}.get(mode)
    if overhang is None:
        raise unsupported(f"mode={mode!r} of {name}", "use full, same or valid")
    return prims.correlate(x, kernel, *overhang)


@implements(np.lib.stride_tricks.sliding_window_view)
def sliding_window_view(
    x: Any, window_shape: Any, axis: Any = None, *, writeable: bool = False
) -> Any:
    """`numpy.lib.stride_tricks.sliding_window_view`, as an array of its own."""
    if writeable:
        raise unsupported(
            "writeable=True of numpy.lib.stride_tricks.sliding_window_view", "write to the array"
        )
    value = traced(x)
    windows = [operator.index(w) for w in np.atleast_1d(window_shape)]
    axes = range(value.ndim) if axis is None else [axis] if np.ndim(axis) == 0 else axis
    if len(axes) != len(windows):
        raise ShapeError(
            f"Must provide matching length window_shape and axis; got {len(windows)} window_shape "
            f"elements and {len(axes)} axes elements.",
            source_location(),
        )
    for place, window in zip(
        [prims.normalize_axis(a, value.ndim) for a in axes], windows, strict=True
    ):
        count = value.shape[place] - window + 1
        if window < 0:
            raise ShapeError("`window_shape` cannot contain negative values", source_location())
        if count < 1:
            raise ShapeError(
                "window shape cannot be larger than input array shape", source_location()
            )
        places = np.arange(count)[:, None] + np.arange(window)
        taken: Any = np.take(wrap(value), places, place)
        value = traced(moveaxis(taken, place + 1, -1))
    return value


@implements(np.linspace)
def linspace(
    start: Any,
    stop: Any,
    num: Any = 50,
    endpoint: bool = True,
    retstep: bool = False,
    dtype: Any = None,
    axis: Any = 0,
) -> Any:
    """`numpy.linspace`, between traced bounds."""
    bounds = [listed(start), listed(stop)]
    kind = result_type(*[promotion_kind(bound) for bound in bounds], float)
    first, last = (traced(bound, kind) for bound in bounds)
    count = operator.index(num)
    if count < 0:
        raise ShapeError(f"Number of samples, {num}, must be non-negative.", source_location())
    shape = prims.broadcast_shapes(first.shape, last.shape)
    steps = np.arange(count, dtype=kind).reshape((count,) + (1,) * len(shape))
    intervals = count - 1 if endpoint else count
    places = prims.as_value(steps)
    span = last - first
    step = span / intervals if intervals > 0 else scalar(math.nan, kind)
    result = first + places * (step if intervals > 0 else span)
    if endpoint and count > 1:
        end = prims.broadcast_to(last, (1, *shape))
        result = prims.concatenate([prims.take_range(result, 0, 0, count - 1), end], 0)
    if dtype is not None:
        target = supported(dtype)
        if target.kind in "iu":
            result = emit(grad.floor, result)
        result = prims.convert(result, target)
    along = moveaxis(result, 0, axis)
    return (along, step) if retstep else along


@implements(np.logspace)
def logspace(
    start: Any,
    stop: Any,
    num: Any = 50,
    endpoint: bool = True,
    base: Any = 10.0,
    dtype: Any = None,
    axis: Any = 0,
) -> Any:
    """`numpy.logspace`, between traced exponents."""
    exponents = np.linspace(start, stop, num, endpoint=endpoint, axis=axis)
    result = np.power(base, exponents)
    return result if dtype is None else result.astype(dtype)


@implements(np.geomspace)
def geomspace(
    start: Any,
    stop: Any,
    num: Any = 50,
    endpoint: bool = True,
    dtype: Any = None,
    axis: Any = 0,
) -> Any:
    """`numpy.geomspace`, between traced bounds of one sign."""
    sign = np.sign(start)
    first, last = (np.log(np.abs(bound)) for bound in (start, stop))
    result = sign * np.exp(np.linspace(first, last, num, endpoint=endpoint, axis=axis))
    return result if dtype is None else result.astype(dtype)


@implements(np.meshgrid)
def meshgrid(
    *xi: Any, indexing: str = "xy", sparse: bool = False, copy: bool = True
) -> tuple[Any, ...]:
    """`numpy.meshgrid`; views without copies."""
    if indexing not in ("xy", "ij"):
        raise unsupported(f"indexing={indexing!r} of numpy.meshgrid", "use xy or ij")
    vectors = [handle_of(x) for x in xi]
    rank = len(vectors)
    grids: list[Handle] = []
    for i, vector in enumerate(vectors):
        place = 1 - i if indexing == "xy" and i < 2 and rank > 1 else i
        shape = tuple([vector.size if k == place else 1 for k in range(rank)])
        grids.append(vector._reshaped(shape))
    if not sparse:
        grids = list(broadcast_arrays(*grids))
    return tuple([grid._read() for grid in grids] if copy else grids)
