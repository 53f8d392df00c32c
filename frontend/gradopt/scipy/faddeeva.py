# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Faddeeva's function of complex numbers, and the error functions that follow from it.

By trapezoidal rules of the integral that take away its nearest pole (Al Azah and Chandler-Wilde,
2021, Computation of the complex error function using modified trapezoidal rules): two sums of
twelve terms, of which one has no pole near the argument. All functions here are holomorphic, and
their derivatives are those of the equations that they solve, of all orders.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from gradopt.array.dispatch import COMPLEX_UFUNCS, FOREIGN_UFUNCS
from gradopt.array.handle import wrap
from gradopt.array.operands import traced
from gradopt.base.dtypes import COMPLEX128, FLOAT64
from gradopt.functions.special import ufunc
from gradopt.functions.special_derived import alike
from gradopt.ir import prims
from gradopt.ir.values import Value
from gradopt.transforms.custom import custom_jvp

_COUNT = 12
_STEP = math.sqrt(math.pi / _COUNT)
_MIDDLES = (np.arange(_COUNT) + 0.5) * _STEP
_ENDS = np.arange(1, _COUNT) * _STEP
_ROOT_PI = math.sqrt(math.pi)
# Terms of series around 0, for numbers of a size up to 1.
_TERMS = 22
# Where series at infinity are exact, and their terms: DLMF 7.12.1, differentiated.
_FAR = 20.0
_FAR_TERMS = [math.prod(range(1, 2 * k + 2, 2)) / 2**k for k in range(10)]

Function = Callable[[Any], Any]


def _weighted(square: Any, nodes: Any) -> Any:
    """The sum of `exp(-t^2) / (z^2 - t^2)` over the nodes."""
    return np.sum(np.exp(-nodes * nodes) / (square[..., None] - nodes * nodes), axis=-1)


def _in_quadrant(z: Any) -> Any:
    """Faddeeva's function of numbers with parts that are not negative."""
    x, y = np.real(z), np.imag(z)
    is_high = y >= np.maximum(x, math.pi / _STEP)
    # Where the nodes of one rule are near, the other one is used.
    fraction = x / _STEP - np.floor(x / _STEP)
    by_ends = ~is_high & (fraction >= 0.25) & (fraction <= 0.75)
    square = z * z
    factor = 2j * _STEP / math.pi * z
    at_middles = factor * _weighted(np.where(by_ends, -1.0, square), _MIDDLES)
    safe = np.where(by_ends, z, 1.0)
    at_ends = 1j * _STEP / (math.pi * safe) + factor * _weighted(
        np.where(by_ends, square, -1.0), _ENDS
    )
    # What the pole between the nodes adds; of what is high it counts for nothing.
    low = np.where(is_high, 1.0, z)
    turn = np.exp(2j * math.pi / _STEP * low)
    pole = 2 * np.exp(-low * low) * turn / np.where(by_ends, turn - 1, turn + 1)
    return np.where(by_ends, at_ends, at_middles) + np.where(is_high, 0.0, pole)


def _faddeeva(z: Any) -> Any:
    x, y = np.real(z), np.imag(z)
    upper = np.abs(x) + 1j * np.abs(y)
    found = _in_quadrant(upper)
    # w(-conj(z)) = conj(w(z)), and w(z) + w(-z) = 2 exp(-z^2).
    right = np.where((x < 0) == (y < 0), found, np.conj(found))
    below = y < 0
    square = np.where(below, z * z, 0.0)
    return np.where(below, 2 * np.exp(-square) - right, right)


def _series(z: Any, sign: int) -> Any:
    """The sum of `(sign z^2)^k / (k! (2 k + 1))` of small numbers, times z."""
    square = sign * z * z
    total: Any = 0.0
    for k in range(_TERMS, -1, -1):
        total = 1 / (math.factorial(k) * (2 * k + 1)) + square * total
    return z * total


def _is_far(z: Any) -> Any:
    return np.real(z) ** 2 + np.imag(z) ** 2 > _FAR**2


def _slope_at_infinity(z: Any) -> Any:
    """`i sqrt(pi) w'(z)` in the upper half plane, less what decays there as `exp(-z^2)`."""
    inverse, total = 1 / (z * z), 0.0
    for factor in reversed(_FAR_TERMS):
        total = (total + factor) * inverse
    return total


def _faddeeva_slope(z: Any, w: Any) -> Any:
    """`2 i / sqrt(pi) - 2 z w`, in which little is left of large numbers but rounding errors."""
    # Upon the axis, what decays is all of the real part.
    is_far = _is_far(z) & (np.abs(np.imag(z)) > 1e-150)
    below = np.imag(z) < 0
    upper = np.where(is_far, np.where(below, -z, z), _FAR)
    # w'(z) = w'(-z) - 4 z exp(-z^2)
    under = is_far & below
    inner = np.where(under, z, 0.0)
    far = -1j / _ROOT_PI * _slope_at_infinity(upper) - 4 * inner * np.exp(-inner * inner)
    return np.where(is_far, far, 2j / _ROOT_PI - 2 * z * w)


def _dawson_slope(z: Any, d: Any) -> Any:
    """`1 - 2 z d`; see `_faddeeva_slope`."""
    is_far = _is_far(z)
    # It is even. On the axis nothing decays.
    upper = np.where(is_far, np.where(np.imag(z) < 0, -z, z), _FAR)
    inner = np.where(np.imag(upper) > 0, upper, 0.0)
    decays = 1j * _ROOT_PI * inner * np.exp(-inner * inner)
    return np.where(is_far, -_slope_at_infinity(upper) / 2 - decays, 1 - 2 * z * d)


def _near(z: Any) -> Any:
    return np.real(z) ** 2 + np.imag(z) ** 2 < 1


def _complement(z: Any) -> Any:
    """`erfc`, by the half plane where it decays."""
    left = np.real(z) < 0
    right = np.where(left, -z, z)
    value = np.exp(-right * right) * _faddeeva(1j * right)
    return np.where(left, 2 - value, value)


def _error(z: Any) -> Any:
    """`erf`, which is odd."""
    near = _near(z)
    small = 2 / _ROOT_PI * _series(np.where(near, z, 0.0), -1)
    return np.where(near, small, 1 - _complement(np.where(near, 1.0, z)))


def _dawson(z: Any) -> Any:
    """Dawson's integral, which is odd."""
    near = _near(z)
    inner = np.where(near, z, 0.0)
    small = np.exp(-inner * inner) * _series(inner, 1)
    below = np.imag(z) < 0
    upper = np.where(near, 1.0, np.where(below, -z, z))
    far = 0.5j * _ROOT_PI * (np.exp(-upper * upper) - _faddeeva(upper))
    return np.where(near, small, np.where(below, -far, far))


def _holomorphic(name: str, value: Function, slope: Callable[[Any, Any], Any]) -> Function:
    """A function with its derivative, given the argument and the function's value."""

    def function(z: Any) -> Any:
        return value(z)

    function.__name__ = function.__qualname__ = name
    made = custom_jvp(function)

    @made.defjvp
    def _(primals: Any, tangents: Any) -> Any:
        (z,), (change,) = primals, tangents
        found = made(z)
        return found, slope(z, found) * change

    def handler(z: Value) -> Value:
        dtype = z.dtype
        # As SciPy, in double precision.
        found = made(wrap(prims.convert(z, COMPLEX128)))
        return prims.convert(traced(found), dtype)

    COMPLEX_UFUNCS[name] = handler
    return made


WOFZ = _holomorphic("wofz", _faddeeva, _faddeeva_slope)
_holomorphic("erf", _error, lambda z, _: 2 / _ROOT_PI * np.exp(-z * z))
_holomorphic("erfc", _complement, lambda z, _: -2 / _ROOT_PI * np.exp(-z * z))
_holomorphic("erfcx", lambda z: _faddeeva(1j * z), lambda z, w: 1j * _faddeeva_slope(1j * z, w))
_holomorphic("erfi", lambda z: -1j * _error(1j * z), lambda z, _: 2 / _ROOT_PI * np.exp(z * z))
_holomorphic("dawsn", _dawson, _dawson_slope)


def _wofz(z: Any, out: None = None) -> Value:
    """`scipy.special.wofz`: of real numbers, too, it is complex."""
    operand = traced(z)
    is_complex = operand.dtype.kind == "c"
    return COMPLEX_UFUNCS["wofz"](operand if is_complex else prims.convert(operand, COMPLEX128))


FOREIGN_UFUNCS["wofz"] = _wofz


@ufunc("voigt_profile")
def voigt_profile(x: Value, sigma: Value, gamma: Value) -> Value:
    """`scipy.special.voigt_profile`: the density of the sum of a normal and a Cauchy variable."""
    dtype = x.dtype
    place, deviation, width = [wrap(prims.convert(v, FLOAT64)) for v in alike(x, sigma, gamma)]
    is_normal, is_cauchy = width == 0, deviation == 0
    scale = np.where(is_cauchy, 1.0, deviation)
    root = math.sqrt(2) * scale
    # With no width the density is normal, in its derivatives, too.
    whole = np.real(WOFZ(place / root + 1j * (width / root))) / (scale * math.sqrt(2 * math.pi))
    # All of it is in one place where there is neither, but it grows elsewhere with the width.
    is_peak = is_normal & is_cauchy & (place == 0)
    wide, away = np.where(is_cauchy, width, 1.0), np.where(is_peak, 1.0, place)
    cauchy = wide / (math.pi * (away * away + wide * wide))
    value = np.where(is_peak, math.inf, np.where(is_cauchy, cauchy, whole))
    return prims.convert(traced(value), dtype)
