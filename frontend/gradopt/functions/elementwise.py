# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Elementwise functions that are not ufuncs."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from gradopt.array.dispatch import UFUNCS, call_function, implements, require_output, unsupported
from gradopt.array.handle import Handle, as_array, python_number
from gradopt.array.operands import (
    handle_of,
    is_traced,
    is_traced_integer,
    listed,
    promotion_kind,
    traced,
)
from gradopt.base.dtypes import (
    BOOL,
    FLOAT16,
    FLOAT64,
    DType,
    float_limits,
    is_inexact,
    kind_of,
    resolve_ufunc,
    result_type,
)
from gradopt.base.location import source_location
from gradopt.errors import ArgumentError, DTypeError, ShapeError
from gradopt.functions.reductions import all_
from gradopt.functions.ufuncs import rounded, to_bool
from gradopt.ir import prims
from gradopt.ir.prims import scalar
from gradopt.ir.values import Value, emit
from gradopt.recording import grad

# Since NumPy 2.5, integers of Python have to fit, as in other functions.
_WHERE_CHECKS_INTEGERS = np.lib.NumpyVersion(np.__version__) >= "2.5.0"


@implements(np.where)
def where(condition: Any, x: Any = None, y: Any = None, /) -> Any:
    """`numpy.where`; with one argument, `numpy.nonzero`."""
    if x is None and y is None:
        return call_function(np.nonzero, (condition,), {})
    if x is None or y is None:
        raise ArgumentError("either both or neither of x and y should be given", source_location())
    x, y = listed(x), listed(y)
    dtype = result_type(promotion_kind(x), promotion_kind(y))
    choice = traced if _WHERE_CHECKS_INTEGERS else _choice
    return as_array(prims.select(to_bool(condition), choice(x, dtype), choice(y, dtype)))


def _choice(value: Any, dtype: DType) -> Value:
    """A choice of select, and of where once: NumPy takes integers modulo the range of the dtype."""
    if type(value) is int and dtype.kind in "iu":
        array = np.asarray(value)
        if array.dtype.kind in "iu":
            return traced(array.astype(dtype))
    if isinstance(value, Handle):
        return prims.convert(traced(value), dtype)
    return traced(value, dtype)


@implements(np.select)
def select(condlist: Sequence[Any], choicelist: Sequence[Any], default: Any = 0) -> Any:
    """`numpy.select`."""
    if len(condlist) == 0 or len(condlist) != len(choicelist):
        raise ShapeError(
            f"select needs as many choices as conditions, at least one: got {len(choicelist)} "
            f"and {len(condlist)}",
            source_location(),
        )
    conditions = [traced(condition) for condition in condlist]
    if any(condition.dtype != BOOL for condition in conditions):
        raise DTypeError("the conditions of numpy.select must be bool arrays", source_location())
    choices = [listed(choice) for choice in (*choicelist, default)]
    dtype = result_type(*[promotion_kind(choice) for choice in choices])
    *values, result = [_choice(choice, dtype) for choice in choices]
    for condition, value in reversed(list(zip(conditions, values, strict=True))):
        result = prims.select(condition, value, result)
    return as_array(result)


@implements(np.clip)
def clip(
    a: Any, a_min: Any = None, a_max: Any = None, *, min: Any = None, max: Any = None
) -> Value:
    """`numpy.clip`; at a bound the derivative is 1/2."""
    result = traced(a)
    bounds = [
        listed(new if old is None or old is np._NoValue else old)
        for old, new in ((a_min, min), (a_max, max))
    ]
    for i, (bound, limit) in enumerate(zip(bounds, _limits(result.dtype), strict=True)):
        # A Python integer at or beyond the limits of the dtype is no bound.
        if type(bound) is int and result.dtype.kind in "iu" and (bound > limit) == bool(i):
            bounds[i] = None
        elif is_traced_integer(bound) and result.dtype.kind in "iu":
            within = (np.maximum, np.minimum)[i]
            bounds[i] = python_number(UFUNCS[within](bound, limit))
    given = [promotion_kind(bound) for bound in bounds if bound is not None]
    dtype = result_type(result.dtype, *given)
    result = prims.convert(result, dtype)
    for ufunc, bound in zip((np.maximum, np.minimum), bounds, strict=True):
        if bound is not None:
            result = UFUNCS[ufunc](result, traced(bound, dtype))
    return result


def _limits(dtype: DType) -> tuple[Any, Any]:
    if dtype.kind not in "iu":
        return -math.inf, math.inf
    return np.iinfo(dtype).min, np.iinfo(dtype).max


@implements(np.round, np.around)
def round_(a: Any, decimals: Any = 0) -> Value:
    """`numpy.round`: half to even; decimals by scaling, as NumPy does."""
    x = traced(a)
    if x.dtype == BOOL:
        x = prims.convert(x, FLOAT16)
    digits = operator.index(decimals)
    if x.dtype.kind in "iu":
        if digits >= 0:
            return x
        raise unsupported(
            "numpy.round of integers with negative decimals", "convert them with astype(float)"
        )
    if digits == 0:
        return rounded(x)
    factor = scalar(10.0 ** abs(digits), x.dtype)
    if digits > 0:
        return rounded(x * factor) / factor
    return rounded(x / factor) * factor


@implements(np.angle)
def angle(z: Any, deg: bool = False) -> Value:
    """`numpy.angle`; the derivative at 0 is 0."""
    v = traced(z)
    if not is_inexact(v.dtype):
        v = prims.convert(v, FLOAT64)
    result = emit(grad.arctan2, prims.imag(v), prims.real(v))
    return result * scalar(180 / math.pi, result.dtype) if deg else result


@implements(np.iscomplex)
def iscomplex(x: Any) -> Value:
    """`numpy.iscomplex`: whether the imaginary part is not zero."""
    return prims.not_equal(prims.imag(traced(x)), 0)


@implements(np.isreal)
def isreal(x: Any) -> Value:
    """`numpy.isreal`: whether the imaginary part is zero."""
    return prims.equal(prims.imag(traced(x)), 0)


@implements(np.fix)
def fix(x: Any) -> Value:
    """`numpy.fix`: rounding toward zero."""
    return UFUNCS[np.trunc](x)


@implements(np.sinc)
def sinc(x: Any) -> Value:
    """`numpy.sinc`; the derivatives at 0 are those of 1 - (pi x)^2 / 6."""
    v = traced(x)
    if not is_inexact(v.dtype):
        v = prims.convert(v, FLOAT64)
    angle = v * scalar(math.pi, v.dtype)
    size = UFUNCS[np.absolute](angle)
    small = size < scalar(1e-4 if size.dtype == FLOAT64 else 1e-2, size.dtype)
    safe = prims.select(small, scalar(1, v.dtype), angle)
    square = emit(grad.square, angle)
    series = 1 - square / 6 * (1 - square / 20)
    return prims.select(small, series, emit(grad.sin, safe) / safe)


@implements(np.nan_to_num)
def nan_to_num(
    x: Any, copy: bool = True, nan: Any = 0.0, posinf: Any = None, neginf: Any = None
) -> Any:
    """`numpy.nan_to_num`; in place if it is not to copy."""
    if not copy:
        h = handle_of(x)
        if not h._is_scalar and is_inexact(h.dtype):
            require_output(h, "numpy.nan_to_num")
            h._write(traced(nan_to_num(h, True, nan, posinf, neginf)))
        return h
    v = traced(x)
    if v.dtype.kind == "c":
        parts = prims.real(v), prims.imag(v)
        return prims.complex_(*[nan_to_num(part, True, nan, posinf, neginf) for part in parts])
    if kind_of(v.dtype) != "f":
        return v
    limits = float_limits(v.dtype)
    high = limits.max if posinf is None else posinf
    low = limits.min if neginf is None else neginf
    v = prims.select(emit(grad.isnan, v), traced(nan, v.dtype), v)
    v = prims.select(prims.equal(v, math.inf), traced(high, v.dtype), v)
    return prims.select(prims.equal(v, -math.inf), traced(low, v.dtype), v)


@implements(np.isclose)
def isclose(a: Any, b: Any, rtol: Any = 1e-05, atol: Any = 1e-08, equal_nan: bool = False) -> Value:
    """`numpy.isclose`."""
    x, y = listed(a), listed(b)
    # The second operand is a float in NumPy.
    dtype = resolve_ufunc(np.subtract, promotion_kind(x), result_type(promotion_kind(y), float))[0]
    u, v = traced(x, dtype), traced(y, dtype)
    size = UFUNCS[np.absolute]
    bound = UFUNCS[np.add](atol, UFUNCS[np.multiply](rtol, size(v)))
    close = UFUNCS[np.less_equal](size(u - v), bound) & UFUNCS[np.isfinite](v)
    result = close | prims.equal(u, v)
    if not equal_nan:
        return result
    return result | (UFUNCS[np.isnan](u) & UFUNCS[np.isnan](v))


@implements(np.allclose)
def allclose(a: Any, b: Any, rtol: Any = 1e-05, atol: Any = 1e-08, equal_nan: bool = False) -> Any:
    """`numpy.allclose`, as a traced Python bool."""
    return python_number(all_(isclose(a, b, rtol, atol, equal_nan)))


@implements(np.array_equal)
def array_equal(a1: Any, a2: Any) -> Any:
    """`numpy.array_equal`, as a traced Python bool where the shapes agree."""
    x, y = traced(a1), traced(a2)
    return python_number(all_(UFUNCS[np.equal](x, y))) if x.shape == y.shape else False


@implements(np.isposinf)
def isposinf(x: Any) -> Value:
    """`numpy.isposinf`."""
    return UFUNCS[np.equal](x, math.inf)


@implements(np.isneginf)
def isneginf(x: Any) -> Value:
    """`numpy.isneginf`."""
    return UFUNCS[np.equal](x, -math.inf)


@implements(np.polyval)
def polyval(p: Any, x: Any) -> Value:
    """`numpy.polyval` by Horner's rule."""
    v = traced(x)
    coefficients = listed(p)
    if is_traced(coefficients):
        row = traced(coefficients)
        if row.ndim == 0:
            raise ShapeError("numpy.polyval: the coefficients are no sequence", source_location())
        coefficients = [
            prims.reshape(prims.take_range(row, 0, i, i + 1), row.shape[1:])
            for i in range(row.shape[0])
        ]
    result: Any = prims.full(v.shape, 0, v.dtype)
    for coefficient in coefficients:
        result = UFUNCS[np.add](UFUNCS[np.multiply](result, v), coefficient)
    return result
