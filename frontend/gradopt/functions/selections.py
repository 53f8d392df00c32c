# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Which elements there are of a kind, and how many of each.

Where the result has as many elements as the run finds, it is an array whose size is known at run
time only.
"""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from gradopt.array.dispatch import implements, unsupported
from gradopt.array.handle import wrap
from gradopt.array.masks import nonzero as places
from gradopt.array.operands import is_known, listed, traced
from gradopt.base.dtypes import BOOL, FLOAT64, INT64, is_inexact, result_type
from gradopt.base.location import source_location
from gradopt.errors import ConversionError, DTypeError, ElementError, ShapeError
from gradopt.functions.matrices import take
from gradopt.functions.sampling import insertion_points
from gradopt.functions.ufuncs import require_order, to_bool
from gradopt.ir import prims, sized
from gradopt.ir.affine import between
from gradopt.ir.checks import require_all
from gradopt.ir.extents import Sizes, bounds_of, shape_with
from gradopt.ir.prims import scalar
from gradopt.ir.values import Value, emit
from gradopt.recording import grad

# What no array is meant to be as large as: so large a bound says nothing.
_LARGEST = 2**31


@implements(np.nonzero)
def nonzero(a: Any) -> tuple[Value, ...]:
    """`numpy.nonzero`."""
    x = to_bool(a)
    if not x.ndim:
        raise ShapeError(
            "Calling nonzero on 0d arrays is not allowed. Use np.atleast_1d(scalar).nonzero() "
            "instead.",
            source_location(),
        )
    return tuple(places(x))


@implements(np.flatnonzero)
def flatnonzero(a: Any) -> Value:
    """`numpy.flatnonzero`."""
    x = to_bool(a)
    return places(prims.reshape(x, (x.size,)))[0]


@implements(np.ix_)
def ix_(*args: Any) -> tuple[Any, ...]:
    """`numpy.ix_`; of bools, arrays whose size is known at run time."""
    found: list[Any] = []
    for i, arg in enumerate(args):
        x = traced(arg)
        if x.ndim != 1:
            raise ShapeError("Cross index must be 1 dimensional", source_location())
        if x.dtype == BOOL:
            x = flatnonzero(x)
        elif x.shape[0] == 0:
            x = prims.convert(x, INT64)
        shape = (1,) * i + (x.shape[0],) + (1,) * (len(args) - i - 1)
        found.append(prims.reshape(x, shape_with(shape)))
    return tuple(found)


@implements(np.argwhere)
def argwhere(a: Any) -> Value:
    """`numpy.argwhere`."""
    x = to_bool(a)
    if not x.ndim:
        raise unsupported("numpy.argwhere of a number", "use numpy.nonzero of an array")
    columns = [prims.reshape(part, (part.shape[0], 1)) for part in places(x)]
    return prims.concatenate(columns, 1)


@implements(np.compress)
def compress(condition: Any, a: Any, axis: Any = None) -> Any:
    """`numpy.compress`."""
    chosen = listed(condition)
    if is_known(chosen):
        return take(a, np.flatnonzero(np.asarray(chosen)), axis)
    mask = to_bool(chosen)
    if mask.ndim != 1:
        raise ShapeError("condition must be a 1-d array", source_location())
    x = traced(a)
    if axis is None:
        x, axis = prims.reshape(x, (x.size,)), 0
    return take(x, places(mask)[0], axis)


@implements(np.extract)
def extract(condition: Any, arr: Any) -> Any:
    """`numpy.extract`."""
    chosen = listed(condition)
    if is_known(chosen):
        return take(arr, np.flatnonzero(np.asarray(chosen)))
    return take(arr, flatnonzero(chosen))


# -- Counts ------------------------------------------------------------------------------------


@implements(np.bincount)
def bincount(x: Any, weights: Any = None, minlength: Any = 0) -> Value:
    """`numpy.bincount`, of integers of which the largest has a known bound."""
    numbers = traced(x)
    if numbers.dtype.kind not in "iub":
        raise DTypeError(f"Cannot cast array data from {numbers.dtype} to int64", source_location())
    if numbers.ndim != 1:
        raise ShapeError("object of too small depth for desired array", source_location())
    numbers = prims.convert(numbers, INT64)
    least = operator.index(minlength)
    if least < 0:
        raise ValueError("'minlength' must not be negative")
    zero = scalar(0, INT64)
    require_all(numbers >= zero, "'list' argument must have no negative elements", ShapeError)
    if numbers.shape.__class__ is not Sizes and not numbers.size:
        return prims.full((least,), 0, INT64 if weights is None else FLOAT64)
    most = prims.reduce("max", numbers, [0])
    count = emit(grad.maximum, emit(grad.maximum, most + 1, scalar(least, INT64)), zero)
    known = between(count)
    if known is None or known[1] > _LARGEST:
        raise ConversionError(
            "numpy.bincount has as many results as the largest number says, and nothing says how "
            "large it is at most; say so, as in numpy.bincount(numpy.minimum(x, 99))",
            source_location(),
        )
    totals = counted(numbers, weights, known[1])
    size = sized.extent_of(count, known[1])
    return totals if size == known[1] else sized.slice_(totals, [0], [size], [0])


def counted(places: Value, weights: Any, size: int) -> Value:
    """How often each place is there, or the sum of the weights that are at it.

    Args:
        places: int64 of shape (n,).
        weights: of the same shape; None for ones.
        size: how many places there are.
    """
    if weights is None:
        each = prims.broadcast_to(scalar(1, INT64), places.shape)
    else:
        each = traced(weights)
        each = prims.convert(each, result_type(each.dtype, FLOAT64))
        if each.shape.__class__ is not Sizes and each.shape != places.shape:
            raise ShapeError("The weights and list don't have the same length.", source_location())
    rows = prims.reshape(places, (places.shape[0], 1))
    each, _ = sized.aligned(each, 0, places, 0)
    zeros = prims.full((size,), 0, each.dtype)
    return prims.scatter_add(zeros, rows, each)


@implements(np.histogram)
def histogram(
    a: Any, bins: Any = 10, range: Any = None, density: Any = None, weights: Any = None
) -> tuple[Value, Value]:
    """`numpy.histogram`, with bins of one width or with edges."""
    x = traced(a)
    require_order("numpy.histogram", x)
    if isinstance(bins, str):
        raise unsupported(
            "numpy.histogram with a rule for bins", "give the number of bins, or their edges"
        )
    x = prims.reshape(x, (x.size,))
    if x.dtype == BOOL:
        x = prims.convert(x, np.dtype(np.uint8))
    given = listed(bins)
    if np.ndim(given):
        edges, places, inside = _between_edges(x, given)
    else:
        edges, places, inside = _between_ends(x, operator.index(given), range)
    return _histogram(edges, places, inside, weights, density)


def _between_edges(x: Value, bins: Any) -> tuple[Value, Value, Value]:
    """The edges, the bin of each value, and whether it is in one, for edges that increase."""
    edges = traced(bins)
    if edges.ndim != 1:
        raise ShapeError("`bins` must be 1d, when an array", source_location())
    table = wrap(prims.stop_gradient(edges))
    require_all(
        ~traced(table[:-1] > table[1:]),
        "`bins` must increase monotonically, when an array",
        ElementError,
    )
    values = wrap(prims.stop_gradient(x))
    place = wrap(insertion_points(traced(table), traced(values), "right")) - 1
    # The last bin has its upper edge, too.
    place = np.where(values == table[-1], table.size - 2, place)
    inside = (values >= table[0]) & (values <= table[-1])
    return edges, traced(place), traced(inside)


def _between_ends(x: Value, count: int, range: Any) -> tuple[Value, Value, Value]:
    """The same for so many bins of one width."""
    if count < 1:
        raise ValueError("`bins` must be positive, when an integer")
    dtype = result_type(x.dtype, np.float32) if is_inexact(x.dtype) else FLOAT64
    values = prims.convert(x, dtype)
    low, high = _ends(values, range)
    # NumPy widens a range of no width.
    alike = prims.equal(low, high)
    half = scalar(0.5, dtype)
    low, high = prims.select(alike, low - half, low), prims.select(alike, high + half, high)
    edges = _edges(low, high, count)
    return edges, *_bins(values, edges, low, high, count)


def _histogram(
    edges: Value, places: Value, inside: Value, weights: Any, density: Any
) -> tuple[Value, Value]:
    """How much is in each bin, and the edges."""
    count = edges.size - 1
    # What is in none goes behind the last one.
    places = prims.select(inside, places, scalar(count, INT64))
    each = None if weights is None else traced(weights)
    if each is not None:
        each = prims.reshape(each, (each.size,))
    totals = prims.take_range(counted(places, each, count + 1), 0, 0, count)
    if each is not None:
        totals = prims.convert(totals, each.dtype)
    if density:
        widths = prims.take_range(edges, 0, 1, count + 1) - prims.take_range(edges, 0, 0, count)
        floats = prims.convert(totals, FLOAT64)
        totals = floats / prims.convert(widths, FLOAT64) / prims.reduce("sum", floats, [0])
    return totals, edges


def _ends(values: Value, range: Any) -> tuple[Value, Value]:
    if range is not None:
        low, high = (traced(end, values.dtype) for end in range)
        return low, high
    if not prims.size_of(bounds_of(values.shape)):
        return scalar(0, values.dtype), scalar(1, values.dtype)
    low, high = (prims.reduce(kind, values, [0]) for kind in ("min", "max"))
    finite = emit(grad.isfinite, low) & emit(grad.isfinite, high)
    require_all(finite, "autodetected range of numpy.histogram is not finite", ShapeError)
    return low, high


def _edges(low: Value, high: Value, count: int) -> Value:
    """`numpy.linspace` between the ends."""
    numbers = prims.iota((count + 1,), 0, low.dtype)
    edges = numbers * ((high - low) / scalar(count, low.dtype)) + low
    last = prims.equal(numbers, scalar(count, low.dtype))
    return prims.select(last, high, edges)


def _bins(values: Value, edges: Value, low: Value, high: Value, count: int) -> tuple[Value, Value]:
    """In which bin each value is, as NumPy finds it, and whether it is in one."""
    x = prims.stop_gradient(values)
    edges, low, high = (prims.stop_gradient(v) for v in (edges, low, high))
    inside = (x >= low) & (x <= high)
    x = prims.select(inside, x, low)
    ratio = (x - low) / (high - low) * scalar(count, x.dtype)
    places = prims.convert(ratio, INT64)
    last = scalar(count - 1, INT64)
    places = prims.select(places > last, last, places)
    rounded = _at(edges, places)
    places = prims.select(x < rounded, places - 1, places)
    above = (x >= _at(edges, places + 1)) & prims.not_equal(places, count - 1)
    places = prims.select(above, places + 1, places)
    return places, inside


def _at(edges: Value, places: Value) -> Value:
    return prims.gather(edges, prims.reshape(places, (places.shape[0], 1)))
