# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Elementwise functions that are not ufuncs."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from gradopt import prims
from gradopt.dialects import grad
from gradopt.dispatch import implements, unsupported
from gradopt.dtypes import BOOL, FLOAT64, resolve_ufunc, result_type
from gradopt.functions.shapes import traced
from gradopt.tracer import Tracer
from gradopt.ufuncs import emit, listed, promotion_kind, scalar, to_bool

# NumPy's functions as they are on traced arrays.
xp: Any = np


@implements(np.where)
def where(condition: Any, x: Any = None, y: Any = None, /) -> Tracer:
    """`numpy.where` with three arguments."""
    if x is None or y is None:
        raise unsupported("numpy.where with one argument", "the shape of its result is not known")
    x, y = listed(x), listed(y)
    dtype = result_type(promotion_kind(x), promotion_kind(y))
    return prims.select(to_bool(condition), prims.as_traced(x, dtype), prims.as_traced(y, dtype))


@implements(np.select)
def select(condlist: Sequence[Any], choicelist: Sequence[Any], default: Any = 0) -> Tracer:
    """`numpy.select`."""
    result = default
    for condition, choice in reversed(list(zip(condlist, choicelist, strict=True))):
        result = where(condition, choice, result)
    return traced(result)


@implements(np.clip)
def clip(
    a: Any, a_min: Any = None, a_max: Any = None, *, min: Any = None, max: Any = None
) -> Tracer:
    """`numpy.clip`; at a bound the derivative is 1/2."""
    low = min if a_min is None or a_min is np._NoValue else a_min
    high = max if a_max is None or a_max is np._NoValue else a_max
    result = listed(a)
    if low is not None:
        result = np.maximum(prims.as_traced(result) if high is None else result, low)
    if high is not None:
        result = np.minimum(prims.as_traced(result), high)
    return traced(result)


@implements(np.round, np.around)
def round_(a: Any, decimals: Any = 0) -> Tracer:
    """`numpy.round`: half to even; decimals by scaling, as NumPy does."""
    x = traced(a)
    if x.dtype == BOOL:
        x = prims.convert(x, np.dtype(np.float64))
    digits = operator.index(decimals)
    if x.dtype.kind == "i":
        if digits >= 0:
            return x
        raise unsupported("numpy.round of integers with negative decimals")
    if digits == 0:
        return emit(grad.round, x)
    factor = scalar(10.0 ** abs(digits), x.dtype)
    if digits > 0:
        return emit(grad.round, x * factor) / factor
    return emit(grad.round, x / factor) * factor


@implements(np.fix)
def fix(x: Any) -> Tracer:
    """`numpy.fix`: rounding toward zero."""
    return xp.trunc(traced(x))


@implements(np.sinc)
def sinc(x: Any) -> Tracer:
    """`numpy.sinc`; the derivatives at 0 are those of 1 - (pi x)^2 / 6."""
    v = traced(x)
    if v.dtype.kind != "f":
        v = prims.convert(v, FLOAT64)
    angle = v * scalar(math.pi, v.dtype)
    small = abs(angle) < scalar(1e-4 if v.dtype == FLOAT64 else 1e-2, v.dtype)
    safe = prims.select(small, scalar(1, v.dtype), angle)
    square = np.square(angle)
    series = 1 - square / 6 * (1 - square / 20)
    return prims.select(small, series, xp.sin(safe) / safe)


@implements(np.nan_to_num)
def nan_to_num(
    x: Any, copy: bool = True, nan: Any = 0.0, posinf: Any = None, neginf: Any = None
) -> Tracer:
    """`numpy.nan_to_num`."""
    v = traced(x)
    if v.dtype.kind != "f":
        return v
    limits = np.finfo(v.dtype)
    high = limits.max if posinf is None else posinf
    low = limits.min if neginf is None else neginf
    v = prims.select(xp.isnan(v), prims.as_traced(nan, v.dtype), v)
    v = prims.select(xp.equal(v, math.inf), prims.as_traced(high, v.dtype), v)
    return prims.select(xp.equal(v, -math.inf), prims.as_traced(low, v.dtype), v)


@implements(np.isclose)
def isclose(
    a: Any, b: Any, rtol: Any = 1e-05, atol: Any = 1e-08, equal_nan: bool = False
) -> Tracer:
    """`numpy.isclose`."""
    x, y = listed(a), listed(b)
    dtype = resolve_ufunc(
        np.subtract,
        *[FLOAT64 if promotion_kind(v) in (bool, BOOL) else promotion_kind(v) for v in (x, y)],
    )[0]
    u, v = prims.as_traced(x, dtype), prims.as_traced(y, dtype)
    close = (abs(u - v) <= atol + rtol * abs(v)) & np.isfinite(v)
    result = close | np.equal(u, v)
    return result | (np.isnan(u) & np.isnan(v)) if equal_nan else result


@implements(np.allclose)
def allclose(
    a: Any, b: Any, rtol: Any = 1e-05, atol: Any = 1e-08, equal_nan: bool = False
) -> Tracer:
    """`numpy.allclose`, as a traced bool."""
    return xp.all(isclose(a, b, rtol, atol, equal_nan))


@implements(np.array_equal)
def array_equal(a1: Any, a2: Any) -> Any:
    """`numpy.array_equal`, as a traced bool where the shapes agree."""
    x, y = traced(a1), traced(a2)
    return np.all(np.equal(x, y)) if x.shape == y.shape else False


@implements(np.isposinf)
def isposinf(x: Any) -> Tracer:
    """`numpy.isposinf`."""
    return xp.equal(traced(x), math.inf)


@implements(np.isneginf)
def isneginf(x: Any) -> Tracer:
    """`numpy.isneginf`."""
    return xp.equal(traced(x), -math.inf)


@implements(np.polyval)
def polyval(p: Any, x: Any) -> Tracer:
    """`numpy.polyval` by Horner's rule."""
    result: Any = np.zeros_like(x)
    for coefficient in p:
        result = result * x + coefficient
    return result
