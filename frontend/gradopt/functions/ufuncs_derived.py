# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""NumPy's ufuncs that are expressions of other ops."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from gradopt.array.dispatch import FOREIGN_UFUNCS, UFUNCS
from gradopt.base.dtypes import FLOAT64, float_limits, kind_of
from gradopt.functions.ufuncs import floats, operands_of, register
from gradopt.ir import prims
from gradopt.ir.prims import scalar
from gradopt.ir.values import Value, emit
from gradopt.recording import grad


def _same_shape(x: Value, y: Value) -> tuple[Value, Value]:
    shape = prims.broadcast_shapes(x.shape, y.shape)
    return prims.broadcast_to(x, shape), prims.broadcast_to(y, shape)


@register(np.trunc)
def trunc(x: Any) -> Value:
    """`numpy.trunc`."""
    (v,) = operands_of(np.trunc, x)
    return _trunc(v)


def _trunc(v: Value) -> Value:
    if kind_of(v.dtype) != "f":
        return v
    return prims.select(v < scalar(0, v.dtype), emit(grad.ceil, v), emit(grad.floor, v))


@register(np.fabs)
def fabs(x: Any) -> Value:
    """`numpy.fabs`."""
    return emit(grad.absolute, *operands_of(np.fabs, x))


def _scaled(ufunc: np.ufunc, factor: float) -> None:
    def handler(x: Any) -> Value:
        (v,) = operands_of(ufunc, x)
        return emit(grad.multiply, v, scalar(factor, v.dtype))

    UFUNCS[ufunc] = handler


_scaled(np.deg2rad, math.pi / 180)
_scaled(np.radians, math.pi / 180)
_scaled(np.rad2deg, 180 / math.pi)
_scaled(np.degrees, 180 / math.pi)


def _log_add(ufunc: np.ufunc, base: float) -> None:
    def handler(x: Any, y: Any) -> Value:
        u, v = _same_shape(*operands_of(ufunc, x, y))
        zero = scalar(0, u.dtype)
        # Equal infinities have no difference.
        same = emit(grad.isinf, u) & emit(grad.equal, u, v)
        difference = prims.select(same, zero, u - v)
        # Both branches are the whole function: no kink where u is v, as abs and maximum have.
        above = difference > zero
        down = prims.select(above, -difference, difference)
        if base == 2.0:
            tail = emit(grad.log1p, emit(grad.exp2, down)) * (1 / math.log(2))
        else:
            tail = emit(grad.log1p, emit(grad.exp, down))
        # Equal infinities share, too.
        larger = prims.select(same, (u + v) * 0.5, prims.select(above, u, v))
        return larger + tail

    UFUNCS[ufunc] = handler


_log_add(np.logaddexp, math.e)
_log_add(np.logaddexp2, 2.0)


def _ignoring_nan(ufunc: np.ufunc, base: np.ufunc) -> None:
    def handler(x: Any, y: Any) -> Value:
        u, v = _same_shape(*operands_of(ufunc, x, y))
        if kind_of(u.dtype) != "f":
            return UFUNCS[base](u, v)
        # Of a NaN and a number, the number twice: at a tie it has the whole derivative.
        a = prims.select(emit(grad.isnan, u), v, u)
        b = prims.select(emit(grad.isnan, v), u, v)
        return UFUNCS[base](a, b)

    UFUNCS[ufunc] = handler


_ignoring_nan(np.fmax, np.maximum)
_ignoring_nan(np.fmin, np.minimum)


@register(np.heaviside)
def heaviside(x: Any, y: Any) -> Value:
    """`numpy.heaviside`: 0, `y` at 0, or 1; NaN at NaN."""
    u, v = _same_shape(*operands_of(np.heaviside, x, y))
    zero = scalar(0, u.dtype)
    step = prims.select(u > zero, scalar(1, u.dtype), zero)
    step = prims.select(emit(grad.isnan, u), prims.stop_gradient(u), step)
    return prims.select(emit(grad.equal, u, prims.broadcast_to(zero, u.shape)), v, step)


# -- Quotients that are rounded ----------------------------------------------------------------


def _exact_remainder(x: Value, y: Value, quotient: Value) -> Value:
    """`x - quotient * y` of float64, rounded once (Dekker's product)."""
    product = quotient * y
    splitter = scalar(2.0**27 + 1, FLOAT64)

    def split(v: Value) -> tuple[Value, Value]:
        c = splitter * v
        high = c - (c - v)
        return high, v - high

    (qh, ql), (dh, dl) = split(quotient), split(y)
    error = ((qh * dh - product) + qh * dl + ql * dh) + ql * dl
    # Beyond about 1e300 the splitting overflows: the plain remainder must do.
    error = prims.select(emit(grad.isfinite, error), error, scalar(0, FLOAT64))
    return (x - product) - error


def _truncated_remainder(x: Value, y: Value) -> Value:
    """C's fmod of finite float64: exact for quotients below 2^105, NaN for others."""
    size, bit = abs(x / y), scalar(2.0**52, FLOAT64)
    # What is left of a multiple of the divisor has a quotient of 52 bits.
    is_far = size >= bit
    rest = prims.select(is_far, _remainder_of_bits(x, prims.select(is_far, y * bit, y)), x)
    rest = _remainder_of_bits(rest, y)
    return prims.select(size < scalar(2.0**105, FLOAT64), rest, scalar(math.nan, FLOAT64))


def _remainder_of_bits(x: Value, y: Value) -> Value:
    """That of quotients below 2^53."""
    zero, one = scalar(0, FLOAT64), scalar(1, FLOAT64)
    quotient = _trunc(x / y)
    rest = _exact_remainder(x, y, quotient)
    # The division may have rounded up to the next integer, or down below one.
    away = prims.select((x < zero) ^ (y < zero), -one, one)
    over = prims.select(x < zero, rest > zero, rest < zero)
    shift = prims.select(over, -away, prims.select(abs(rest) >= abs(y), away, zero))
    rest = _exact_remainder(x, y, quotient + shift)
    # Of a zero, that zero.
    rest = prims.select(x < zero, -abs(rest), abs(rest))
    return prims.select(prims.equal(x, 0) & prims.equal(rest, 0), x, rest)


def _float_divmod(x: Value, y: Value, toward_zero: bool) -> tuple[Value, Value]:
    """Quotient and remainder as NumPy computes them from C's fmod.

    Exact for quotients below 2^105, else NaN. The derivatives of the remainder are 1 and -quotient.
    """
    x, y = _same_shape(x, y)
    zero, one = scalar(0, x.dtype), scalar(1, x.dtype)
    a, b = prims.stop_gradient(x), prims.stop_gradient(y)
    rest = _truncated_remainder(prims.convert(a, FLOAT64), prims.convert(b, FLOAT64))
    infinite = emit(grad.isinf, b) & emit(grad.isfinite, a)
    rest = prims.select(infinite, a, prims.convert(rest, x.dtype))
    # Far from zero the quotient has fewer digits than the remainder would change.
    lost = emit(grad.isnan, rest) & emit(grad.isfinite, a) & emit(grad.isfinite, b)
    quotient = (a - prims.select(lost, zero, rest)) / b
    if not toward_zero:
        away = prims.select(b < zero, rest > zero, rest < zero)
        quotient = prims.select(away, quotient - one, quotient)
        rest = prims.select(away, rest + b, rest)
        # A zero has the sign of the divisor.
        signed = prims.select(b < zero, scalar(-0.0, x.dtype), zero)
        rest = prims.select(prims.equal(rest, 0), signed, rest)
    # Nearly an integer.
    down = emit(grad.floor, quotient)
    quotient = prims.select(quotient - down > scalar(0.5, x.dtype), down + one, down)
    # Zero, with the derivatives of the remainder.
    # It is subtracted, as a zero keeps its sign.
    # The quotient may be an infinity where it is not representable.
    most = scalar(float(float_limits(x.dtype).max), x.dtype)
    turns = prims.select(quotient > most, most, prims.select(quotient < -most, -most, quotient))
    rest = rest - prims.select(infinite, a - x, (a - x) + turns * (y - b))
    # A zero has the sign of the ratio; division by zero has no remainder.
    ratio = a / b
    zero_quotient = emit(grad.equal, quotient, prims.broadcast_to(zero, quotient.shape))
    quotient = prims.select(zero_quotient, ratio * zero, quotient)
    null = emit(grad.equal, b, prims.broadcast_to(zero, b.shape))
    rest = prims.select(null, scalar(math.nan, x.dtype), rest)
    return prims.select(null, ratio, quotient), rest


def _divmod(ufunc: np.ufunc, x: Any, y: Any) -> tuple[Value, Value]:
    u, v = operands_of(ufunc, x, y)
    if kind_of(u.dtype) == "f":
        return _float_divmod(u, v, toward_zero=False)
    return emit(grad.floor_divide, u, v), emit(grad.remainder, u, v)


@register(np.floor_divide)
def floor_divide(x: Any, y: Any) -> Value:
    """`numpy.floor_divide`; of integers 0 for division by 0."""
    return _divmod(np.floor_divide, x, y)[0]


@register(np.remainder)
def remainder(x: Any, y: Any) -> Value:
    """`numpy.remainder`: the sign of the divisor; of integers 0 for division by 0."""
    return _divmod(np.remainder, x, y)[1]


@register(np.fmod)
def fmod(x: Any, y: Any) -> Value:
    """`numpy.fmod`: the sign of the dividend; of integers 0 for division by 0."""
    u, v = operands_of(np.fmod, x, y)
    if kind_of(u.dtype) == "f":
        return _float_divmod(u, v, toward_zero=True)[1]
    return emit(grad.fmod, u, v)


@register(np.divmod)
def divmod_(x: Any, y: Any) -> tuple[Value, Value]:
    """`numpy.divmod`."""
    return _divmod(np.divmod, x, y)


@register(np.modf)
def modf(x: Any) -> tuple[Value, Value]:
    """`numpy.modf`: fractional and integral part."""
    (v,) = operands_of(np.modf, x)
    whole, zero = _trunc(v), scalar(0, v.dtype)
    # A zero has the sign of the number.
    below, null = v < zero, emit(grad.equal, v, prims.broadcast_to(zero, v.shape))
    fraction = prims.select(below, -(whole - v), prims.select(null, v, v - whole))
    at_infinity = prims.select(below, scalar(-0.0, v.dtype), zero)
    return prims.select(emit(grad.isinf, v), at_infinity, fraction), whole


@register(np.signbit)
def signbit(x: Any) -> Value:
    """`numpy.signbit`, but false for every NaN."""
    (v,) = operands_of(np.signbit, x)
    zero = scalar(0, v.dtype)
    return (v < zero) | (
        emit(grad.equal, v, prims.broadcast_to(zero, v.shape)) & (emit(grad.reciprocal, v) < zero)
    )


@register(np.copysign)
def copysign(x: Any, y: Any) -> Value:
    """`numpy.copysign`; a NaN counts as positive."""
    u, v = _same_shape(*operands_of(np.copysign, x, y))
    return prims.select(signbit(v), -abs(u), abs(u))


def _special(*names: str) -> Any:
    def add(function: Any) -> Any:
        for name in names:
            FOREIGN_UFUNCS[name] = function
        return function

    return add


FOREIGN_UFUNCS["xlogy"] = lambda x, y: emit(grad.xlogy, *_same_shape(*floats("xlogy", x, y)))
FOREIGN_UFUNCS["xlog1py"] = lambda x, y: emit(grad.xlog1py, *_same_shape(*floats("xlog1py", x, y)))


@_special("log_expit")
def log_expit(x: Any) -> Value:
    """`scipy.special.log_expit`."""
    (v,) = floats("log_expit", x)
    return -UFUNCS[np.logaddexp](scalar(0, v.dtype), -v)


@_special("logit")
def logit(x: Any) -> Value:
    """`scipy.special.logit`."""
    (v,) = floats("logit", x)
    # Not the logarithm of a quotient, whose slope is a product of zero and infinity at 0 and 1.
    return emit(grad.log, v) - emit(grad.log1p, -v)
