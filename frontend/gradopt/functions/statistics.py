# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Covariances, reductions that leave out NaN, and what is accumulated."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from gradopt.array.dispatch import UFUNCS, implements
from gradopt.array.handle import as_array, wrap
from gradopt.array.operands import is_traced, traced
from gradopt.base.dtypes import FLOAT64, kind_of, result_type, supported
from gradopt.base.location import source_location
from gradopt.errors import ElementError, ShapeError
from gradopt.functions.reductions import (
    all_,
    argmax,
    argmin,
    average,
    cumsum,
    deviation,
    max_,
    min_,
    prod,
    square_of_size,
    sum_,
)
from gradopt.ir import prims
from gradopt.ir.checks import require_all
from gradopt.ir.prims import scalar
from gradopt.ir.values import Value


def _rows(values: Any, dtype: Any, rowvar: Any) -> Value:
    """Variables as rows."""
    x = prims.convert(traced(values), dtype)
    if x.ndim > 2:
        raise ShapeError("m has more than 2 dimensions", source_location())
    flat = x.ndim < 2
    x = prims.reshape(x, (1, x.size)) if flat else x
    return x if rowvar or flat else prims.transpose(x, (1, 0))


@implements(np.cov)
def cov(
    m: Any,
    y: Any = None,
    rowvar: Any = True,
    bias: Any = False,
    ddof: Any = None,
    fweights: Any = None,
    aweights: Any = None,
    *,
    dtype: Any = None,
) -> Any:
    """`numpy.cov`."""
    given = [traced(part).dtype for part in (m, y) if part is not None]
    kind = supported(dtype) if dtype is not None else result_type(*given, FLOAT64)
    x = _rows(m, kind, rowvar)
    if y is not None:
        x = prims.concatenate([x, _rows(y, kind, rowvar)], 0)
    degrees = ddof if ddof is not None else 0 if bias else 1
    weights = _weights(fweights, aweights, x.shape[1])
    if weights is None:
        factor: Any = x.shape[1] - degrees
        mean: Any = average(x, 1)
    else:
        mean, total = average(x, 1, weights, returned=True)
        total = wrap(total)[0]
        if not degrees:
            factor = total
        elif aweights is None:
            factor = total - degrees
        else:
            squares = wrap(sum_(wrap(weights) * wrap(traced(aweights))))
            factor = total - degrees * squares / total
    if not is_traced(factor):
        factor = max(factor, 0)
    centred = wrap(x) - wrap(mean)[:, None]
    other = centred if weights is None else centred * wrap(weights)
    product = centred @ np.conj(other.T)
    with np.errstate(all="ignore"):
        result = product * (np.true_divide(1, factor) if not is_traced(factor) else 1 / factor)
    return as_array(traced(np.squeeze(result)))


def _weights(fweights: Any, aweights: Any, count: int) -> Value | None:
    """The product of what is given of the two kinds of weights."""
    found: Value | None = None
    for name, weights in (("fweights", fweights), ("aweights", aweights)):
        if weights is None:
            continue
        w = traced(weights)
        if w.shape != (count,):
            raise ShapeError(
                f"incompatible numbers of samples and {name}: {w.shape} for {count}",
                source_location(),
            )
        w = prims.convert(w, FLOAT64) if name == "aweights" else w
        found = w if found is None else traced(wrap(found) * wrap(w))
    return found


@implements(np.corrcoef)
def corrcoef(x: Any, y: Any = None, rowvar: Any = True, *, dtype: Any = None) -> Any:
    """`numpy.corrcoef`."""
    c = cov(x, y, rowvar, dtype=dtype)
    c = c if isinstance(c, Value) else traced(c)
    if not c.ndim:
        return as_array(c / c)
    h = wrap(c)
    deviation = np.sqrt(np.real(np.diagonal(h)))
    h = h / deviation[:, None] / deviation[None, :]
    if c.dtype.kind == "c":
        return np.clip(np.real(h), -1, 1) + 1j * np.clip(np.imag(h), -1, 1)
    return np.clip(h, -1, 1)


# -- Without NaN -------------------------------------------------------------------------------


def _split(a: Any) -> tuple[Value, Value | None]:
    """The array, and where it is NaN; None where it cannot be."""
    x = traced(a)
    return x, UFUNCS[np.isnan](x) if kind_of(x.dtype) in "fc" else None


def _without(a: Any, number: float) -> tuple[Value, Value | None]:
    """The array with a number in place of NaN, and where that is."""
    x, missing = _split(a)
    return (x if missing is None else prims.select(missing, scalar(number, x.dtype), x)), missing


def _extreme(find: Callable[..., Value], number: float) -> Callable[..., Value]:
    def call(
        a: Any, axis: Any = None, *, keepdims: Any = False, initial: Any = None, where: Any = None
    ) -> Value:
        x, missing = _without(a, number)
        result = find(x, axis, keepdims=keepdims, initial=initial, where=where)
        if missing is None or not (initial is None or initial is np._NoValue):
            return result
        nothing = all_(missing, axis, keepdims=keepdims)
        return prims.select(nothing, scalar(math.nan, result.dtype), result)

    call.__doc__ = f"`numpy.nan{find.__name__.strip('_')}`; of NaN alone NaN, without a warning."
    return call


implements(np.nanmax)(_extreme(max_, -math.inf))
implements(np.nanmin)(_extreme(min_, math.inf))


def _place(find: Callable[..., Value], number: float) -> Callable[..., Value]:
    def call(a: Any, axis: Any = None, *, keepdims: Any = False) -> Value:
        x, missing = _without(a, number)
        if missing is not None:
            require_all(~all_(missing, axis), "All-NaN slice encountered", ElementError)
        return find(x, axis, keepdims=keepdims)

    call.__doc__ = f"`numpy.nan{find.__name__}`."
    return call


implements(np.nanargmax)(_place(argmax, -math.inf))
implements(np.nanargmin)(_place(argmin, math.inf))


@implements(np.nanprod)
def nanprod(
    a: Any, axis: Any = None, dtype: Any = None, *, keepdims: Any = False, initial: Any = None
) -> Value:
    """`numpy.nanprod`."""
    return prod(_without(a, 1)[0], axis, dtype, keepdims=keepdims, initial=initial)


@implements(np.nancumsum)
def nancumsum(a: Any, axis: Any = None, dtype: Any = None) -> Value:
    """`numpy.nancumsum`."""
    return cumsum(_without(a, 0)[0], axis, dtype)


@implements(np.nancumprod)
def nancumprod(a: Any, axis: Any = None, dtype: Any = None) -> Any:
    """`numpy.nancumprod`."""
    return np.cumprod(wrap(_without(a, 1)[0]), axis, dtype)


@implements(np.nanvar)
def nanvar(
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    *,
    ddof: Any = 0,
    keepdims: Any = False,
    mean: Any = None,
    correction: Any = None,
) -> Value:
    """`numpy.nanvar`; NaN where there are not more numbers than `ddof`."""
    x, missing = _split(a)
    degrees = ddof if correction is None or correction is np._NoValue else correction
    if missing is None:
        return traced(
            np.var(wrap(x), axis, dtype, ddof=degrees, keepdims=keepdims, mean=_given(mean))
        )
    kind = x.dtype if dtype is None else supported(dtype)
    present = prims.convert(~missing, kind)
    clean = prims.select(missing, scalar(0, kind), prims.convert(x, kind))
    one = scalar(1, kind)
    count = sum_(present, axis, keepdims=True)
    centre = _given(mean)
    if centre is None:
        safe = prims.select(prims.equal(count, 0), one, count)
        centre = sum_(clean, axis, keepdims=True) / safe
    centre = prims.convert(traced(centre), kind)
    distance = prims.select(missing, scalar(0, kind), traced(wrap(clean) - wrap(centre)))
    total = sum_(square_of_size(distance), axis, keepdims=keepdims)
    left = prims.reshape(prims.real(count), total.shape) - scalar(degrees, total.dtype)
    none = ~(left > scalar(0, left.dtype))
    safe = prims.select(none, scalar(1, left.dtype), left)
    return prims.select(none, scalar(math.nan, total.dtype), total / safe)


def _given(mean: Any) -> Any:
    return None if mean is np._NoValue else mean


implements(np.nanstd)(deviation(nanvar, "nanstd"))


# -- Accumulated -------------------------------------------------------------------------------


def _cumulative(accumulate: Any, first: int) -> Callable[..., Any]:
    def call(
        x: Any, /, *, axis: Any = None, dtype: Any = None, include_initial: Any = False
    ) -> Any:
        v = traced(x)
        if axis is None and v.ndim != 1:
            raise ShapeError(
                "For arrays which have more than one dimension ``axis`` argument is required.",
                source_location(),
            )
        place = prims.normalize_axis(0 if axis is None else axis, v.ndim)
        result = traced(accumulate(wrap(v), place, dtype))
        if not include_initial:
            return result
        shape = tuple([1 if i == place else n for i, n in enumerate(v.shape)])
        return prims.concatenate([prims.full(shape, first, result.dtype), result], place)

    call.__doc__ = f"`numpy.cumulative_{'prod' if first else 'sum'}`."
    return call


implements(np.cumulative_sum)(_cumulative(np.cumsum, 0))
implements(np.cumulative_prod)(_cumulative(np.cumprod, 1))
