# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""NumPy's ufuncs that are expressions of other ops."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from gradopt import prims
from gradopt.dialects import grad
from gradopt.dispatch import FOREIGN_UFUNCS, UFUNCS
from gradopt.dtypes import FLOAT64, INT64
from gradopt.tracer import Tracer
from gradopt.ufuncs import emit, operands_of, register, scalar


def _same_shape(x: Tracer, y: Tracer) -> tuple[Tracer, Tracer]:
    shape = prims.broadcast_shapes(x.shape, y.shape)
    return prims.broadcast_to(x, shape), prims.broadcast_to(y, shape)


@register(np.trunc)
def trunc(x: Any) -> Tracer:
    """`numpy.trunc`."""
    (v,) = operands_of(np.trunc, x)
    return _trunc(v)._alias()


def _trunc(v: Tracer) -> Tracer:
    if v.dtype.kind != "f":
        return v
    return prims.select(v < scalar(0, v.dtype), emit(grad.ceil, v), emit(grad.floor, v))


@register(np.fabs)
def fabs(x: Any) -> Tracer:
    """`numpy.fabs`."""
    return emit(grad.absolute, *operands_of(np.fabs, x))


def _scaled(ufunc: np.ufunc, factor: float) -> None:
    def handler(x: Any) -> Tracer:
        (v,) = operands_of(ufunc, x)
        return emit(grad.multiply, v, scalar(factor, v.dtype))

    UFUNCS[ufunc] = handler


_scaled(np.deg2rad, math.pi / 180)
_scaled(np.radians, math.pi / 180)
_scaled(np.rad2deg, 180 / math.pi)
_scaled(np.degrees, 180 / math.pi)


@register(np.hypot)
def hypot(x: Any, y: Any) -> Tracer:
    """`numpy.hypot`: scaled, so that squares neither overflow nor vanish."""
    u, v = _same_shape(*operands_of(np.hypot, x, y))
    a, b = emit(grad.absolute, prims.stop_gradient(u)), emit(grad.absolute, prims.stop_gradient(v))
    largest = emit(grad.maximum, a, b)
    one, infinity = scalar(1, u.dtype), scalar(math.inf, u.dtype)
    usable = (largest > scalar(0, u.dtype)) & (largest < infinity)
    scale = prims.select(usable, largest, one)
    value = scale * np.sqrt(np.square(u / scale) + np.square(v / scale))
    infinite = emit(grad.isinf, u) | emit(grad.isinf, v)
    return prims.select(infinite, prims.broadcast_to(infinity, value.shape), value)


def _log_add(ufunc: np.ufunc, base: float) -> None:
    def handler(x: Any, y: Any) -> Tracer:
        u, v = _same_shape(*operands_of(ufunc, x, y))
        zero = scalar(0, u.dtype)
        # Equal infinities have no difference.
        same = emit(grad.isinf, u) & emit(grad.equal, u, v)
        difference = prims.select(same, zero, u - v)
        # Both branches are the whole function: no kink where u is v, as abs and maximum have.
        above = difference > zero
        down = prims.select(above, -difference, difference)
        if base == 2.0:
            tail = np.log1p(np.exp2(down)) * scalar(1 / math.log(2), u.dtype)
        else:
            tail = np.log1p(np.exp(down))
        return prims.select(above, u, v) + tail

    UFUNCS[ufunc] = handler


_log_add(np.logaddexp, math.e)
_log_add(np.logaddexp2, 2.0)


def _ignoring_nan(ufunc: np.ufunc, base: np.ufunc) -> None:
    def handler(x: Any, y: Any) -> Tracer:
        u, v = _same_shape(*operands_of(ufunc, x, y))
        if u.dtype.kind != "f":
            return UFUNCS[base](u, v)
        either = prims.select(emit(grad.isnan, v), u, UFUNCS[base](u, v))
        return prims.select(emit(grad.isnan, u), v, either)

    UFUNCS[ufunc] = handler


_ignoring_nan(np.fmax, np.maximum)
_ignoring_nan(np.fmin, np.minimum)


@register(np.heaviside)
def heaviside(x: Any, y: Any) -> Tracer:
    """`numpy.heaviside`: 0, `y` at 0, or 1; NaN at NaN."""
    u, v = _same_shape(*operands_of(np.heaviside, x, y))
    zero = scalar(0, u.dtype)
    step = prims.select(u > zero, scalar(1, u.dtype), zero)
    step = prims.select(emit(grad.isnan, u), prims.stop_gradient(u), step)
    return prims.select(emit(grad.equal, u, prims.broadcast_to(zero, u.shape)), v, step)


# -- Quotients that are rounded ----------------------------------------------------------------


def _exact_remainder(x: Tracer, y: Tracer, quotient: Tracer) -> Tracer:
    """`x - quotient * y` of floats, rounded once (Dekker's product); d/dx = 1, d/dy = -quotient."""
    product = quotient * y
    if x.dtype != FLOAT64:
        wide = [prims.convert(prims.stop_gradient(v), FLOAT64) for v in (x, y, quotient)]
        rest = prims.convert(wide[0] - wide[1] * wide[2], x.dtype)
        naive = prims.stop_gradient(x) - prims.stop_gradient(product)
        return (x - product) + (rest - naive)
    p, q, d = (prims.stop_gradient(v) for v in (product, quotient, y))
    splitter = scalar(2.0**27 + 1, FLOAT64)

    def split(v: Tracer) -> tuple[Tracer, Tracer]:
        c = splitter * v
        high = c - (c - v)
        return high, v - high

    (qh, ql), (dh, dl) = split(q), split(d)
    error = ((qh * dh - p) + qh * dl + ql * dh) + ql * dl
    # Beyond about 1e300 the splitting overflows: the plain remainder must do.
    error = prims.select(emit(grad.isfinite, error), error, scalar(0, FLOAT64))
    return (x - product) - error


def _float_divmod(x: Tracer, y: Tracer, toward_zero: bool) -> tuple[Tracer, Tracer]:
    """Quotient and remainder as NumPy computes them from C's fmod.

    Exact for quotients below 2^53 (2^24 in float32).
    """
    x, y = _same_shape(x, y)
    zero, one = scalar(0, x.dtype), scalar(1, x.dtype)
    a, b = prims.stop_gradient(x), prims.stop_gradient(y)
    quotient = _trunc(a / b) if toward_zero else emit(grad.floor, a / b)
    rest = _exact_remainder(x, y, quotient)
    r = prims.stop_gradient(rest)
    # The division may have rounded up to the next integer, or down below one.
    if toward_zero:
        step = prims.select(a * b >= zero, one, -one)
        over = (r * a < zero) & emit(grad.not_equal, r, prims.broadcast_to(zero, r.shape))
        under = abs(r) >= abs(b)
    else:
        step = prims.broadcast_to(one, r.shape)
        over = prims.select(b > zero, r < zero, r > zero)
        under = prims.select(b > zero, r >= b, r <= b)
    shift = prims.select(over, -step, prims.select(under, step, zero))
    adjusted = emit(grad.not_equal, shift, prims.broadcast_to(zero, r.shape))
    quotient = quotient + shift
    rest = prims.select(adjusted, _exact_remainder(x, y, quotient), rest)
    # A finite number by an infinite one.
    infinite = emit(grad.isinf, b) & emit(grad.isfinite, a)
    if toward_zero:
        far_quotient, far_rest = zero, x
    else:
        opposite = (a * prims.select(b > zero, one, -one)) < zero
        far_quotient = prims.select(opposite, -one, zero)
        far_rest = prims.select(opposite, y, x)
    quotient = prims.select(infinite, far_quotient, quotient)
    rest = prims.select(infinite, far_rest, rest)
    # Division by zero: NaN remainder; the quotient is that of the division.
    null = emit(grad.equal, b, prims.broadcast_to(zero, b.shape))
    rest = prims.select(null, scalar(math.nan, x.dtype), rest)
    ratio = a / b
    # A zero has the sign of the ratio; an infinity has no remainder, and so no quotient.
    no_quotient = emit(grad.equal, quotient, prims.broadcast_to(zero, quotient.shape))
    quotient = prims.select(no_quotient, ratio * zero, quotient)
    quotient = prims.select(emit(grad.isinf, a), scalar(math.nan, x.dtype), quotient)
    quotient = prims.select(null, ratio, quotient)
    return quotient, rest


def _int_divmod(x: Tracer, y: Tracer, toward_zero: bool) -> tuple[Tracer, Tracer]:
    """Quotient and remainder of integers; both 0 for division by 0.

    Through float64, corrected in int64: exact for operands up to 2^62 in magnitude.
    """
    dtype = x.dtype
    x, y = _same_shape(prims.convert(x, INT64), prims.convert(y, INT64))
    zero, one = scalar(0, INT64), scalar(1, INT64)
    null = emit(grad.equal, y, prims.broadcast_to(zero, y.shape))
    divisor = prims.select(null, one, y)
    wide = prims.convert(divisor, FLOAT64)

    def approximate(v: Tracer) -> Tracer:
        return prims.convert(emit(grad.floor, prims.convert(v, FLOAT64) / wide), INT64)

    quotient = approximate(x)
    if dtype == INT64:
        quotient = quotient + approximate(x - quotient * divisor)
    rest = x - quotient * divisor
    positive = divisor > zero
    over = prims.select(positive, rest < zero, rest > zero)
    under = prims.select(positive, rest >= divisor, rest <= divisor)
    quotient = quotient + prims.select(over, -one, prims.select(under, one, zero))
    rest = x - quotient * divisor
    if toward_zero:
        rounded_down = ((x < zero) ^ (divisor < zero)) & emit(
            grad.not_equal, rest, prims.broadcast_to(zero, rest.shape)
        )
        quotient = prims.select(rounded_down, quotient + one, quotient)
        rest = x - quotient * divisor
    quotient, rest = (prims.select(null, zero, v) for v in (quotient, rest))
    return prims.convert(quotient, dtype), prims.convert(rest, dtype)


def _divmod(ufunc: np.ufunc, x: Any, y: Any, toward_zero: bool = False) -> tuple[Tracer, Tracer]:
    u, v = operands_of(ufunc, x, y)
    if u.dtype.kind == "f":
        return _float_divmod(u, v, toward_zero)
    return _int_divmod(u, v, toward_zero)


@register(np.floor_divide)
def floor_divide(x: Any, y: Any) -> Tracer:
    """`numpy.floor_divide`."""
    return _divmod(np.floor_divide, x, y)[0]


@register(np.remainder)
def remainder(x: Any, y: Any) -> Tracer:
    """`numpy.remainder`: the sign of the divisor."""
    return _divmod(np.remainder, x, y)[1]


@register(np.fmod)
def fmod(x: Any, y: Any) -> Tracer:
    """`numpy.fmod`: the sign of the dividend."""
    return _divmod(np.fmod, x, y, toward_zero=True)[1]


@register(np.divmod)
def divmod_(x: Any, y: Any) -> tuple[Tracer, Tracer]:
    """`numpy.divmod`."""
    return _divmod(np.divmod, x, y)


@register(np.modf)
def modf(x: Any) -> tuple[Tracer, Tracer]:
    """`numpy.modf`: fractional and integral part."""
    (v,) = operands_of(np.modf, x)
    whole = _trunc(v)
    finite = emit(grad.isinf, v)
    return prims.select(finite, scalar(0, v.dtype), v - whole), whole


@register(np.signbit)
def signbit(x: Any) -> Tracer:
    """`numpy.signbit`, but false for every NaN."""
    (v,) = operands_of(np.signbit, x)
    zero = scalar(0, v.dtype)
    return (v < zero) | (
        emit(grad.equal, v, prims.broadcast_to(zero, v.shape)) & (emit(grad.reciprocal, v) < zero)
    )


@register(np.copysign)
def copysign(x: Any, y: Any) -> Tracer:
    """`numpy.copysign`; a NaN counts as positive."""
    u, v = _same_shape(*operands_of(np.copysign, x, y))
    return prims.select(signbit(v), -abs(u), abs(u))


def _special(*names: str) -> Any:
    def add(function: Any) -> Any:
        for name in names:
            FOREIGN_UFUNCS[name] = function
        return function

    return add


def _float_operands(*inputs: Any) -> list[Tracer]:
    return operands_of(np.hypot if len(inputs) == 2 else np.exp, *inputs)


@_special("xlogy")
def xlogy(x: Any, y: Any) -> Tracer:
    """`scipy.special.xlogy`: 0 where x is 0 and y is not NaN."""
    u, v = _same_shape(*_float_operands(x, y))
    null = emit(grad.equal, u, prims.full(u.shape, 0, u.dtype)) & ~emit(grad.isnan, v)
    safe = prims.select(null, scalar(1, v.dtype), v)
    return prims.select(null, scalar(0, u.dtype), u * np.log(safe))


@_special("xlog1py")
def xlog1py(x: Any, y: Any) -> Tracer:
    """`scipy.special.xlog1py`."""
    u, v = _same_shape(*_float_operands(x, y))
    null = emit(grad.equal, u, prims.full(u.shape, 0, u.dtype)) & ~emit(grad.isnan, v)
    safe = prims.select(null, scalar(0, v.dtype), v)
    return prims.select(null, scalar(0, u.dtype), u * np.log1p(safe))


@_special("log_expit")
def log_expit(x: Any) -> Tracer:
    """`scipy.special.log_expit`."""
    (v,) = _float_operands(x)
    return -UFUNCS[np.logaddexp](scalar(0, v.dtype), -v)


@_special("logit")
def logit(x: Any) -> Tracer:
    """`scipy.special.logit`."""
    (v,) = _float_operands(x)
    return np.log(v / (scalar(1, v.dtype) - v))
