# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Medians, percentiles and quantiles.

The methods are those of Hyndman and Fan (Sample quantiles in statistical packages, 1996) and
NumPy's further ones. The derivative of a quantile is that of the elements that it lies between; of
a quantile of a kind that is one of the elements, that of this element. That in `q` is the slope
between the elements.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from gradopt.array.dispatch import UFUNCS, implements
from gradopt.array.handle import wrap
from gradopt.array.operands import is_known, is_traced, listed, traced
from gradopt.base.dtypes import FLOAT64, INT64, DType, is_inexact, kind_of, mean_dtype
from gradopt.base.location import source_location
from gradopt.base.unknown_sizes import unknown_size
from gradopt.errors import DTypeError, ElementError, KeywordError, ShapeError, TraceIndexError
from gradopt.functions.reductions import weights_along
from gradopt.ir import prims, sized
from gradopt.ir.checks import require_all
from gradopt.ir.extents import Sizes
from gradopt.ir.prims import scalar
from gradopt.ir.sorting import last_of, sort, take_along
from gradopt.ir.values import Shape, Value

# -- Places ------------------------------------------------------------------------------------

# The place, counted from 0, of the quantile `q` among `n` elements.
_Place = Callable[[Any, Any], Any]


def _hyndman_fan(alpha: float, beta: float) -> _Place:
    """The place n q + m - 1, where m = alpha + q (1 - alpha - beta)."""
    return lambda n, q: n * q + (alpha + q * (1 - alpha - beta)) - 1


def _first_behind(place: Any, stays: Any) -> Any:
    """The element behind a place; where it `stays`, the one at or before it."""
    below = np.floor(place)
    return np.maximum(np.where(stays(place, below), below, below + 1), 0)


def _closest(n: Any, q: Any) -> Any:
    """The closest observation; of two, that of even number, which are counted from 1."""
    return _first_behind(
        n * q - 1.5, lambda place, below: (place == below) & (np.mod(below, 2) == 1)
    )


# The methods that choose an element, and those that go between two of them.
_CHOSEN: dict[str, _Place] = {
    "inverted_cdf": lambda n, q: _first_behind(n * q - 1, lambda place, below: place == below),
    "closest_observation": _closest,
    "lower": lambda n, q: np.floor((n - 1) * q),
    "higher": lambda n, q: np.ceil((n - 1) * q),
    "nearest": lambda n, q: np.round((n - 1) * q),
}
_BETWEEN: dict[str, _Place] = {
    "averaged_inverted_cdf": lambda n, q: n * q - 1,
    "interpolated_inverted_cdf": _hyndman_fan(0, 1),
    "hazen": _hyndman_fan(0.5, 0.5),
    "weibull": _hyndman_fan(0, 0),
    "linear": lambda n, q: (n - 1) * q,
    "median_unbiased": _hyndman_fan(1 / 3, 1 / 3),
    "normal_unbiased": _hyndman_fan(3 / 8, 3 / 8),
    "midpoint": lambda n, q: 0.5 * (np.floor((n - 1) * q) + np.ceil((n - 1) * q)),
}


def _part(method: str, place: Any, below: Any) -> Any:
    """Which part of the way from the element below to the next one a quantile is at."""
    part = place - below
    if method == "averaged_inverted_cdf":
        return np.where(part == 0, 0.5 + 0 * part, 1 + 0 * part)
    if method == "midpoint":
        return np.where(np.mod(place, 1) == 0, 0 * part, 0.5 + 0 * part)
    return part


def _neighbours(place: Any, n: Any) -> tuple[Any, Any]:
    """The elements that a place is between; the same one twice beyond the ends."""
    below = np.floor(place)
    beyond, before = place >= n - 1, place < 0
    next_ = np.where(beyond, n - 1, np.where(before, 0, below + 1))
    return np.where(beyond, n - 1, np.where(before, 0, below)), next_


# -- Rows --------------------------------------------------------------------------------------


class _Rows:
    """An array as rows, along which quantiles are taken.

    Attributes:
        x: the rows; as long as they can be, where that is known at run time only.
        n: how many elements there are, an array of one integer.
        shape: of the result for one quantile.
    """

    def __init__(self, whole: Value, axis: Any, keepdims: Any) -> None:
        self._axes = prims.normalize_axes(axis, whole.ndim)
        self._rest = [i for i in range(whole.ndim) if i not in self._axes]
        if whole.shape.__class__ is Sizes:
            if whole.ndim != 1:
                raise unknown_size("a quantile of an array of several dimensions")
            self.x = sized.padded(whole, last_of(whole.dtype))
            self.n: Any = wrap(prims.reshape(sized.word(whole.shape[0]), (1,)))
        else:
            self.x = self.of(whole)
            self.n = np.array([self.x.shape[-1]])
        kept = keepdims is not np._NoValue and bool(keepdims)
        shape = [1 if i in self._axes else n for i, n in enumerate(whole.shape)]
        self.shape = tuple(shape if kept else [shape[i] for i in self._rest])

    def of(self, whole: Value) -> Value:
        """The rows of another array of the same shape."""
        front = prims.transpose(whole, [*self._rest, *self._axes])
        rows = front.shape[: len(self._rest)]
        return prims.reshape(front, (*rows, prims.size_of(front.shape[len(rows) :])))

    def result(self, found: Value, shape: Shape) -> Value:
        """What was found, the quantiles along the last axis, with their shape in front."""
        last = found.ndim - 1
        front = prims.transpose(found, [last, *range(last)])
        return prims.reshape(front, (*shape, *self.shape))


class _Ordered:
    """Sorted rows.

    Attributes:
        values: the rows.
        order: where they were.
        n: how many elements of each count, an array of one integer, for all rows or for each.
    """

    def __init__(self, rows: _Rows, skips_nan: bool) -> None:
        self._last = rows.x.ndim - 1
        self.values, self.order = sort(rows.x, self._last)
        self.n = rows.n
        self._ends_with_nan = is_inexact(rows.x.dtype) and not skips_nan
        if skips_nan and is_inexact(rows.x.dtype):
            present = prims.convert(~_isnan(rows.x), INT64)
            count = prims.reduce("sum", present, [self._last])
            self.n = wrap(prims.reshape(count, (*count.shape, 1)))

    def n_of(self, dtype: DType) -> Any:
        """How many there are, in a dtype to calculate in."""
        if is_traced(self.n):
            return wrap(prims.convert(traced(self.n), dtype))
        return self.n.astype(dtype)

    def at(self, *places: Any) -> list[Value]:
        """Elements at several places each, by one gather; of rows with NaN, the last one.

        Args:
            *places: of shape (k,), which all rows share, or with k for each row.
        """
        last, rows = self._last, self.values.shape[:-1]
        parts = [prims.convert(traced(place), INT64) for place in places]
        parts = [prims.broadcast_to(part, (*rows, part.shape[-1])) for part in parts]
        index = prims.concatenate(parts, last)
        zero, end = scalar(0, INT64), traced(self.n - 1)
        index = prims.select(index < zero, zero, index)
        index = prims.select(UFUNCS[np.greater](index, end), end, index)
        if self._ends_with_nan:
            # NaN is behind all else.
            behind = take_along(self.values, prims.broadcast_to(end, (*rows, 1)), last)
            index = prims.select(_isnan(behind), end, index)
        found = take_along(self.values, index, last)
        starts = np.cumsum([0, *[part.shape[-1] for part in parts]]).tolist()
        return [prims.take_range(found, last, *ends) for ends in itertools.pairwise(starts)]


def _isnan(x: Value) -> Value:
    return UFUNCS[np.isnan](x)


# -- Medians -----------------------------------------------------------------------------------


def _median(a: Any, axis: Any, keepdims: Any, skips_nan: bool) -> Value:
    rows = _Rows(traced(a), axis, keepdims)
    dtype = mean_dtype(rows.x.dtype)
    if not rows.x.shape[-1]:
        return prims.full(rows.shape, math.nan, dtype)
    ordered = _Ordered(rows, skips_nan)
    n = ordered.n
    low, high = _middle(ordered, dtype)
    middle = (low + high) / scalar(2, dtype)
    if is_traced(n):
        middle = prims.select(traced(np.mod(n, 2) == 1), low, middle)
        middle = prims.select(traced(n == 0), scalar(math.nan, dtype), middle)
    return rows.result(low if not is_traced(n) and n[0] % 2 else middle, ())


def _middle(ordered: _Ordered, dtype: DType) -> list[Value]:
    """The two elements in the middle, which may be the same one."""
    n = ordered.n
    return [prims.convert(part, dtype) for part in ordered.at((n - 1) // 2, n // 2)]


def middle_of(
    a: Any, axis: Any = None, *, overwrite_input: Any = False, keepdims: Any = False
) -> tuple[Value, Any]:
    """The sum of the elements in the middle, of which the median is the mean, and their number."""
    rows = _Rows(traced(a), axis, keepdims)
    dtype = mean_dtype(rows.x.dtype)
    if not rows.x.shape[-1]:
        return prims.full(rows.shape, math.nan, dtype), 1
    ordered = _Ordered(rows, skips_nan=False)
    if is_traced(ordered.n):
        raise unknown_size("out= of another dtype")
    low, high = _middle(ordered, dtype)
    is_odd = ordered.n[0] % 2
    return rows.result(low if is_odd else low + high, ()), 1 if is_odd else 2


@implements(np.median)
def median(
    a: Any, axis: Any = None, *, overwrite_input: Any = False, keepdims: Any = False
) -> Value:
    """`numpy.median`: of an even number of elements, the mean of the two in the middle."""
    return _median(a, axis, keepdims, skips_nan=False)


@implements(np.nanmedian)
def nanmedian(
    a: Any, axis: Any = None, *, overwrite_input: Any = False, keepdims: Any = np._NoValue
) -> Value:
    """`numpy.nanmedian`; of NaN alone NaN, without a warning."""
    return _median(a, axis, keepdims, skips_nan=True)


# -- Quantiles ---------------------------------------------------------------------------------


def _checked(q: Any, message: str) -> Any:
    """Quantiles, of which all are between 0 and 1."""
    if not is_known(q):
        v = traced(q)
        require_all(traced((wrap(v) >= 0) & (wrap(v) <= 1)), message, ElementError)
        return q
    known = np.asarray(q)
    if not ((known >= 0) & (known <= 1)).all():
        raise ElementError(message, source_location())
    return known


def _is_weak(q: Any) -> bool:
    """Whether the result has the dtype of the array, as for Python's numbers."""
    return type(q) in (int, float) or bool(getattr(q, "_weak", False))


def _quantile(
    a: Any,
    q: Any,
    axis: Any,
    method: Any,
    keepdims: Any,
    weights: Any,
    function: Any,
    scale: int,
) -> Value:
    """Quantiles, or percentiles where `scale` is 100; NaN counts as in NumPy's `function`."""
    skips_nan = function in (np.nanquantile, np.nanpercentile)
    whole = traced(a)
    if whole.dtype.kind == "c":
        raise DTypeError("a must be an array of real numbers", source_location())
    is_weak, q = _is_weak(q), listed(q)
    if scale != 1:
        q = np.true_divide(q, scale)
    kind = "Percentiles" if scale == 100 else "Quantiles"
    q = _checked(q, f"{kind} must be in the range [0, {scale}]")
    if method not in _CHOSEN and method not in _BETWEEN:
        names = [*_CHOSEN, *_BETWEEN]
        raise KeywordError(
            f"{method!r} is not a valid method. Use one of: {', '.join(names)}", source_location()
        )
    shape = np.shape(q)
    if len(shape) > 2:
        raise ShapeError("q must be a scalar or 1d", source_location())
    rows = _Rows(whole, axis, keepdims)
    if not rows.x.shape[-1]:
        if skips_nan:
            # As NumPy, which takes the mean of nothing, one for all quantiles.
            return prims.full(rows.shape, math.nan, mean_dtype(whole.dtype))
        raise TraceIndexError("index -1 is out of bounds for axis 0 with size 0", source_location())
    if is_traced(rows.n):
        message = "index -1 is out of bounds for axis 0 with size 0"
        require_all(traced(rows.n > 0), message, TraceIndexError)
    flat = np.reshape(q, (-1,))
    ordered = _Ordered(rows, skips_nan)
    if weights is None or weights is np._NoValue:
        return rows.result(_found(ordered, flat, method, is_weak), shape)
    if method != "inverted_cdf":
        raise KeywordError(
            f"Only method 'inverted_cdf' supports weights. Got: {method}.", source_location()
        )
    if is_traced(rows.n):
        raise unknown_size("weights= of a quantile")
    w = rows.of(_spread_weights(traced(weights), whole.shape, axis))
    return rows.result(_weighted(ordered, rows.x, flat, w, skips_nan), shape)


def _found(ordered: _Ordered, q: Any, method: str, is_weak: bool) -> Value:
    """The quantiles of rows."""
    dtype = traced(q).dtype
    n = ordered.n_of(dtype if kind_of(dtype) == "f" else INT64)
    if method in _CHOSEN:
        return ordered.at(_CHOSEN[method](n, q))[0]
    place = _BETWEEN[method](n, q)
    if method == "linear" and dtype.kind in "biu":
        return ordered.at(place)[0]
    below, above = _neighbours(place, n)
    part = _part(method, place, below)
    low, high = wrap(ordered.at(below, above))
    if is_weak:
        part = wrap(traced(part, low.dtype if is_inexact(low.dtype) else FLOAT64))
    distance = high - low
    return traced(np.where(part >= 0.5, high - distance * (1 - part), low + distance * part))


def _weighted(ordered: _Ordered, x: Value, q: Any, w: Value, skips_nan: bool) -> Value:
    """The first element at which the weights so far are as much as `q` of all of them."""
    require_all(~traced(wrap(w) < 0), "Weights must be non-negative.", ElementError)
    last = x.ndim - 1
    w = prims.stop_gradient(prims.convert(w, FLOAT64))
    skips_nan &= is_inexact(x.dtype)
    if skips_nan:
        w = prims.select(_isnan(x), scalar(0, FLOAT64), w)
    sums = prims.cumsum(take_along(w, ordered.order, last), last)
    total = prims.take_range(sums, last, x.shape[last] - 1, x.shape[last])
    right = np.isfinite(wrap(total)) & (wrap(total) > 0)
    if skips_nan:
        # The quantiles of NaN alone are NaN all the same.
        right = right | (ordered.n == 0)
    require_all(traced(right), "Weights included NaN, inf or were all zero.", ElementError)
    share = sums / prims.broadcast_to(total, sums.shape)
    kind = traced(q).dtype
    if kind_of(kind) == "f":
        share = prims.convert(share, kind)
    # Elements without weight in front are not the first ones for q = 0.
    share = prims.select(prims.equal(share, 0), scalar(-1, share.dtype), share)
    each = prims.reshape(share, (*share.shape, 1))
    before = prims.convert(traced(wrap(each) < wrap(prims.stop_gradient(traced(q)))), INT64)
    return ordered.at(wrap(prims.reduce("sum", before, [last])))[0]


def _spread_weights(w: Value, shape: Shape, axis: Any) -> Value:
    """Weights of all elements; those given may be of a row alone."""
    if w.shape == shape:
        return w
    if axis is None:
        raise DTypeError(
            "Axis must be specified when shapes of a and weights differ.", source_location()
        )
    return weights_along(w, shape, prims.normalize_axes(axis, len(shape)))


def _quantiles(function: Any, scale: int) -> None:
    def call(
        a: Any,
        q: Any,
        axis: Any = None,
        *,
        overwrite_input: Any = False,
        method: Any = "linear",
        keepdims: Any = False,
        weights: Any = None,
    ) -> Value:
        return _quantile(a, q, axis, method, keepdims, weights, function, scale)

    call.__doc__ = f"`numpy.{function.__name__}`, by any of NumPy's methods."
    implements(function)(call)


_quantiles(np.quantile, 1)
_quantiles(np.percentile, 100)
_quantiles(np.nanquantile, 1)
_quantiles(np.nanpercentile, 100)
