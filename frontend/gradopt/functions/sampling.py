# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Functions given by samples: gradients, interpolation, and places in sorted arrays."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from gradopt.array.dispatch import UFUNCS, implements
from gradopt.array.handle import wrap
from gradopt.array.operands import is_known, is_traced, listed, promotion_kind, traced
from gradopt.base.dtypes import FLOAT64, INT64, is_inexact, kind_of, require_cast, result_type
from gradopt.base.location import source_location
from gradopt.base.unknown_sizes import unknown_size
from gradopt.errors import ElementError, ShapeError
from gradopt.functions.ufuncs import require_order, require_subtraction
from gradopt.ir import prims
from gradopt.ir.checks import require_all
from gradopt.ir.extents import is_extent
from gradopt.ir.outcomes import require
from gradopt.ir.prims import scalar
from gradopt.ir.values import Value

# -- Gradients ---------------------------------------------------------------------------------


_TOO_SMALL = (
    "Shape of array too small to calculate a numerical gradient, at least (edge_order + 1) "
    "elements are required."
)


@implements(np.gradient)
def gradient(f: Any, *varargs: Any, axis: Any = None, edge_order: Any = 1) -> Any:
    """`numpy.gradient`."""
    x = traced(f)
    require_subtraction(x)
    axes = prims.normalize_axes(axis, x.ndim)
    if edge_order > 2:
        raise ShapeError("'edge_order' greater than 2 not supported", source_location())
    spacings = _spacings(varargs, axes, x)
    if not is_inexact(x.dtype):
        x = prims.convert(x, FLOAT64)
    found: list[Any] = []
    for place, spacing in zip(axes, spacings, strict=True):
        size: Any = x.shape[place]
        if is_extent(size):
            require(size.value > edge_order, size.value, _TOO_SMALL, ShapeError)
        elif size < edge_order + 1:
            raise ShapeError(_TOO_SMALL, source_location())
        rows = np.moveaxis(wrap(x), place, 0)
        slope = _slope(rows, spacing, edge_order)
        found.append(prims.convert(traced(np.moveaxis(slope, 0, place)), x.dtype))
    return found[0] if len(axes) == 1 else tuple(found)


def _spacings(given: Sequence[Any], axes: Sequence[int], x: Value) -> list[Any]:
    """For each axis the distance of samples, or of each two of them."""
    values = [listed(value) for value in given]
    if not values:
        return [1.0] * len(axes)
    if len(values) == 1 and np.ndim(values[0]) == 0:
        return values * len(axes)
    if len(values) != len(axes):
        raise TypeError("invalid number of arguments")
    spacings: list[Any] = []
    for value, place in zip(values, axes, strict=True):
        if np.ndim(value) == 0:
            spacings.append(value)
            continue
        if np.ndim(value) != 1:
            raise ShapeError("distances must be either scalars or 1d", source_location())
        if is_extent(x.shape[place]):
            raise unknown_size("numpy.gradient with a distance for each element")
        if len(value) != x.shape[place]:
            raise ShapeError(
                "when 1d, distances must match the length of the corresponding dimension",
                source_location(),
            )
        if not is_traced(value) and value.dtype.kind in "iu":
            value = value.astype(np.float64)
        steps = np.diff(value)
        is_even = not is_traced(steps) and bool((steps == steps[:1]).all())
        spacings.append(steps[0] if is_even else steps)
    return spacings


def _slope(f: Any, h: Any, order: int) -> Any:
    """The derivative of samples along the first axis."""
    if np.ndim(h) == 0:
        inner = (f[2:] - f[:-2]) / (2.0 * h)
        if order == 1:
            first, last = (f[1] - f[0]) / h, (f[-1] - f[-2]) / h
        else:
            first = (-1.5 / h) * f[0] + (2.0 / h) * f[1] + (-0.5 / h) * f[2]
            last = (0.5 / h) * f[-3] + (-2.0 / h) * f[-2] + (1.5 / h) * f[-1]
        return np.concatenate([first[None], inner, last[None]])
    column = np.reshape(h, (-1, *[1] * (f.ndim - 1)))
    a, b = column[:-1], column[1:]
    inner = -b / (a * (a + b)) * f[:-2] + (b - a) / (a * b) * f[1:-1] + a / (b * (a + b)) * f[2:]
    if order == 1:
        first, last = (f[1] - f[0]) / h[0], (f[-1] - f[-2]) / h[-1]
    else:
        p, q = h[0], h[1]
        first = (
            -(2.0 * p + q) / (p * (p + q)) * f[0]
            + (p + q) / (p * q) * f[1]
            - p / (q * (p + q)) * f[2]
        )
        p, q = h[-2], h[-1]
        last = (
            q / (p * (p + q)) * f[-3]
            - (q + p) / (p * q) * f[-2]
            + (2.0 * q + p) / (q * (p + q)) * f[-1]
        )
    return np.concatenate([first[None], inner, last[None]])


@implements(np.ediff1d)
def ediff1d(ary: Any, to_end: Any = None, to_begin: Any = None) -> Any:
    """`numpy.ediff1d`."""
    require_subtraction(traced(ary))
    x = np.ravel(wrap(traced(ary)))
    parts = [np.diff(x)]
    for values, is_first in ((to_begin, True), (to_end, False)):
        if values is None:
            continue
        part = traced(values)
        require_cast(part.dtype, x.dtype, "same_kind")
        flat = wrap(prims.reshape(prims.convert(part, x.dtype), (part.size,)))
        parts = [flat, *parts] if is_first else [*parts, flat]
    return np.concatenate(parts)


@implements(np.unwrap)
def unwrap(p: Any, discont: Any = None, axis: Any = -1, *, period: Any = 2 * math.pi) -> Any:
    """`numpy.unwrap`: the corrections have no derivative, but for that in `period`."""
    x = traced(p)
    place = prims.normalize_axis(axis, x.ndim)
    h = wrap(x)
    steps = np.diff(h, axis=place)
    dtype = result_type(steps.dtype, promotion_kind(period))
    limit = period / 2 if discont is None else discont
    if dtype.kind in "iu":
        high, rest = divmod(period, 2)
        is_ambiguous = rest == 0
    else:
        high, is_ambiguous = period / 2, True
    low = -high
    turned = np.mod(steps - low, period) + low
    if is_ambiguous:
        turned = np.where((turned == low) & (steps > 0), high, turned)
    correction = np.where(abs(steps) < limit, 0, turned - steps)
    first = prims.take_range(x, place, 0, min(1, x.shape[place]))
    rest = prims.take_range(x, place, min(1, x.shape[place]), x.shape[place])
    later = traced(wrap(rest) + np.cumsum(correction, axis=place))
    return prims.concatenate([prims.convert(first, dtype), prims.convert(later, dtype)], place)


# -- Sorted arrays -----------------------------------------------------------------------------


def _before(a: Any, b: Any) -> Value:
    """Whether `a` comes before `b` where arrays are sorted: NaN is behind everything."""
    less = UFUNCS[np.less](a, b)
    if kind_of(a.dtype) != "f":
        return less
    return less | (UFUNCS[np.isnan](b) & ~UFUNCS[np.isnan](a))


def insertion_points(a: Value, v: Value, side: str) -> Value:
    """How many elements of the sorted `a` come before each of `v`: a search by halves."""
    dtype = result_type(a.dtype, v.dtype)
    table, values = wrap(prims.convert(a, dtype)), prims.convert(v, dtype)
    found: Value = prims.full(v.shape, 0, INT64)
    step = 1 << max(a.size.bit_length() - 1, 0) if a.size else 0
    while step:
        tried = found + scalar(step, INT64)
        inside = ~(tried > scalar(a.size, INT64))
        at = prims.select(inside, tried - scalar(1, INT64), scalar(0, INT64))
        element = traced(np.take(table, wrap(at), mode="clip"))
        comes = _before(element, values) if side == "left" else ~_before(values, element)
        found = prims.select(inside & comes, tried, found)
        step //= 2
    return found


@implements(np.searchsorted)
def searchsorted(a: Any, v: Any, side: str = "left", sorter: Any = None) -> Value:
    """`numpy.searchsorted`, by a search by halves."""
    x, values = traced(a), traced(v)
    if x.ndim != 1:
        raise ShapeError("object too deep for desired array", source_location())
    if side not in ("left", "right"):
        raise ShapeError(f"side must be one of 'left' or 'right' (got {side!r})", source_location())
    require_order("numpy.searchsorted", x)
    if sorter is not None:
        x = traced(np.take(wrap(x), sorter))
    return insertion_points(prims.stop_gradient(x), prims.stop_gradient(values), side)


@implements(np.digitize)
def digitize(x: Any, bins: Any, right: bool = False) -> Any:
    """`numpy.digitize`."""
    edges = traced(bins)
    if edges.ndim != 1:
        raise ShapeError("object of too small depth for desired array", source_location())
    side = "left" if right else "right"
    up = searchsorted(edges, x, side)
    if edges.size < 2:
        return up
    table = wrap(edges)
    before, later = table[:-1], table[1:]
    # A NaN is on neither side of anything.
    rises, falls = np.any(before < later), np.any(before > later)
    is_up = ~falls & (rises | np.all(before == later))
    is_down = ~rises
    if is_traced(bins):
        message = "bins must be monotonically increasing or decreasing"
        require_all(traced(is_up | is_down), message, ElementError)
    down = scalar(edges.size, INT64) - searchsorted(table[::-1], x, side)
    return prims.select(prims.broadcast_to(traced(is_up), up.shape), up, down)


@implements(np.interp)
def interp(
    x: Any, xp: Any, fp: Any, left: Any = None, right: Any = None, period: Any = None
) -> Any:
    """`numpy.interp`, with derivatives in `x`, `xp` and `fp`; at a sample that to its right."""
    values, xs, fs = traced(x), traced(xp), traced(fp)
    if xs.ndim != 1 or xs.shape != fs.shape:
        raise ShapeError("fp and xp are not of the same length.", source_location())
    if not xs.size:
        raise ShapeError("array of sample points is empty", source_location())
    kind = result_type(fs.dtype, FLOAT64)
    values, xs = prims.convert(values, FLOAT64), prims.convert(xs, FLOAT64)
    fs = prims.convert(fs, kind)
    if period is not None:
        values, xs, fs = _periodic(values, xp, fs, period)
        left = right = None
    size = xs.size
    v, points, samples = wrap(values), wrap(xs), wrap(fs)
    place = insertion_points(prims.stop_gradient(xs), prims.stop_gradient(values), "right")
    below, above = samples[0] if left is None else left, samples[-1] if right is None else right
    if size == 1:
        result = np.where(v < points[0], below, np.where(v > points[0], above, samples[0]))
        return prims.convert(traced(result), kind)
    j = np.clip(wrap(place) - 1, 0, size - 2)
    x0, x1 = np.take(points, j), np.take(points, j + 1)
    y0, y1 = np.take(samples, j), np.take(samples, j + 1)
    slope = (y1 - y0) / (x1 - x0)
    from_right = slope * (v - x1) + y1
    result = slope * (v - x0) + y0
    # Infinite samples: what NumPy tries then.
    result = np.where(np.isnan(result), np.where(y0 == y1, y0, from_right), result)
    result = np.where(v == points[-1], from_right, result)
    result = np.where(v < points[0], below, np.where(v > points[-1], above, result))
    return prims.convert(traced(np.where(np.isnan(v), v, result)), kind)


def _periodic(values: Value, xp: Any, samples: Value, period: Any) -> tuple[Value, Value, Value]:
    """The values modulo the period; sample points in order, and one more at each end."""
    length = np.absolute(listed(period))
    if not is_known(period):
        require_all(traced(length != 0), "period must be a non-zero value", ElementError)
    elif not length:
        raise ElementError("period must be a non-zero value", source_location())
    # Traced or not.
    points = listed(xp)
    points = np.remainder(np.asarray(points, float) if is_known(points) else points, length)
    order = np.argsort(points)
    points = np.take(points, order)
    points = np.concatenate([points[-1:] - length, points, points[:1] + length])
    around = np.concatenate([order[-1:], order, order[:1]])
    values = traced(np.remainder(wrap(values), length))
    return values, traced(points), traced(np.take(wrap(samples), around))
