# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Derivatives over the whole range of the floats: huge, tiny, infinite, at branch points, NaN.

The first and second derivatives of each function stand here in closed form and are evaluated by
mpmath with a precision and a range that nothing leaves. Where they are numbers of the dtype, ours
are these numbers, however far a square on the way to them is out of range. At infinity and at ends
of the domain, where a closed form has no value, its limit counts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import mpmath as mp
import numpy as np
import pytest
import scipy.special

import gradopt as go

# In bits: of all points, and enough for 1 - 2^-3100.
PRECISION, NEXT_TO_ONE = 300, 6500
NEARLY = mp.mpf(2) ** -3100
BEYOND = mp.mpf(2) ** 2200
EPS = {"f8": 2.0**-52, "f4": 2.0**-23}


def inside(x: float) -> Any:
    """A point of extended range for `x`: near to 0 for 0, beyond all floats for infinity."""
    if x == 0:
        return NEARLY * mp.mpf(float(np.copysign(1, x)))
    return BEYOND * (1 if x > 0 else -1) if np.isinf(x) else mp.mpf(float(x))


def below_one(x: float) -> Any:
    """The same, where the domain ends at -1 and 1."""
    return mp.mpf(float(x)) * (1 - NEARLY) if abs(x) == 1 else inside(x)


def above_one(x: float) -> Any:
    """The same, where the domain begins at 1."""
    return 1 + NEARLY if x == 1 else inside(x)


@dataclass(frozen=True)
class Unary:
    """A function of one variable.

    Attributes:
        f: NumPy's function.
        exact: mpmath's.
        first: the derivative in closed form.
        second: the second derivative.
        low: of the domain.
        high: of the domain.
        at: from a float of the domain to the point where the closed forms are evaluated.
        scale: the size of terms that cancel, where an error of some eps of it is due to them.
    """

    f: Callable[..., Any]
    exact: Callable[..., Any]
    first: Callable[..., Any]
    second: Callable[..., Any]
    low: float = -np.inf
    high: float = np.inf
    at: Callable[[float], Any] = inside
    scale: float = 0.0


def sech(x: Any) -> Any:
    return 1 / mp.cosh(x)


def gauss(x: Any) -> Any:
    return 2 / mp.sqrt(mp.pi) * mp.exp(-x * x)


def real_cbrt(x: Any) -> Any:
    return mp.sign(x) * mp.cbrt(abs(x))


def expit(x: Any) -> Any:
    return 1 / (1 + mp.exp(-x)) if x > 0 else mp.exp(x) / (1 + mp.exp(x))


def sinc_parts(x: Any) -> tuple[Any, Any, Any]:
    """`sin(z) / z` and its derivatives for z = pi x, by the series where that is small."""
    z = mp.pi * x
    if abs(z) < 1e-3:
        terms = [(-1) ** k / mp.factorial(2 * k + 1) for k in range(8)]
        return (
            sum(c * z ** (2 * k) for k, c in enumerate(terms)),
            mp.pi * sum(2 * k * c * z ** (2 * k - 1) for k, c in enumerate(terms) if k),
            mp.pi**2
            * sum(2 * k * (2 * k - 1) * c * z ** (2 * k - 2) for k, c in enumerate(terms) if k),
        )
    s, c = mp.sin(z), mp.cos(z)
    return s / z, mp.pi * (c / z - s / z**2), mp.pi**2 * (-s / z - 2 * c / z**2 + 2 * s / z**3)


FINITE = float(np.finfo("f8").max)
UNARY = {
    "square": Unary(np.square, lambda x: x * x, lambda x: 2 * x, lambda x: mp.mpf(2)),
    "absolute": Unary(
        np.absolute,
        abs,
        mp.sign,
        lambda x: mp.mpf(0),
        # Where there is no derivative, the convention is 0.
        at=lambda x: inside(x) if x else mp.mpf(0),
    ),
    "reciprocal": Unary(np.reciprocal, lambda x: 1 / x, lambda x: -1 / x**2, lambda x: 2 / x**3),
    "sqrt": Unary(
        np.sqrt,
        mp.sqrt,
        lambda x: 1 / (2 * mp.sqrt(x)),
        lambda x: -1 / (4 * x * mp.sqrt(x)),
        0.0,
        at=lambda x: inside(x) ** 2 if np.isinf(x) else inside(x),
    ),
    "cbrt": Unary(
        np.cbrt,
        real_cbrt,
        lambda x: 1 / (3 * real_cbrt(x) ** 2),
        lambda x: -2 / (9 * real_cbrt(x) ** 5),
    ),
    "exp": Unary(np.exp, mp.exp, mp.exp, mp.exp),
    "exp2": Unary(
        np.exp2,
        lambda x: mp.mpf(2) ** x,
        lambda x: mp.log(2) * mp.mpf(2) ** x,
        lambda x: mp.log(2) ** 2 * mp.mpf(2) ** x,
    ),
    "expm1": Unary(np.expm1, mp.expm1, mp.exp, mp.exp),
    "log": Unary(np.log, mp.log, lambda x: 1 / x, lambda x: -1 / x**2, 0.0),
    "log2": Unary(
        np.log2,
        lambda x: mp.log(x, 2),
        lambda x: 1 / (x * mp.log(2)),
        lambda x: -1 / (x**2 * mp.log(2)),
        0.0,
    ),
    "log10": Unary(
        np.log10,
        mp.log10,
        lambda x: 1 / (x * mp.log(10)),
        lambda x: -1 / (x**2 * mp.log(10)),
        0.0,
    ),
    "log1p": Unary(
        np.log1p, mp.log1p, lambda x: 1 / (1 + x), lambda x: -1 / (1 + x) ** 2, -1.0, at=below_one
    ),
    "expit": Unary(
        scipy.special.expit,
        expit,
        lambda x: expit(x) * expit(-x),
        lambda x: expit(x) * expit(-x) * (expit(-x) - expit(x)),
        scale=1.0,
    ),
    "log_expit": Unary(
        scipy.special.log_expit,
        lambda x: mp.log(expit(x)),
        lambda x: expit(-x),
        lambda x: -expit(x) * expit(-x),
        scale=1.0,
    ),
    "logit": Unary(
        scipy.special.logit,
        lambda x: mp.log(x / (1 - x)),
        lambda x: 1 / (x * (1 - x)),
        lambda x: (2 * x - 1) / (x * (1 - x)) ** 2,
        0.0,
        1.0,
        below_one,
    ),
    "sin": Unary(np.sin, mp.sin, mp.cos, lambda x: -mp.sin(x), -FINITE, FINITE),
    "cos": Unary(np.cos, mp.cos, lambda x: -mp.sin(x), lambda x: -mp.cos(x), -FINITE, FINITE),
    "tan": Unary(
        np.tan,
        mp.tan,
        lambda x: 1 / mp.cos(x) ** 2,
        lambda x: 2 * mp.tan(x) / mp.cos(x) ** 2,
        -FINITE,
        FINITE,
    ),
    "arcsin": Unary(
        np.arcsin,
        mp.asin,
        lambda x: 1 / mp.sqrt((1 - x) * (1 + x)),
        lambda x: x / mp.sqrt((1 - x) * (1 + x)) ** 3,
        -1.0,
        1.0,
        below_one,
        1.0,
    ),
    "arccos": Unary(
        np.arccos,
        mp.acos,
        lambda x: -1 / mp.sqrt((1 - x) * (1 + x)),
        lambda x: -x / mp.sqrt((1 - x) * (1 + x)) ** 3,
        -1.0,
        1.0,
        below_one,
        1.0,
    ),
    "arctan": Unary(
        np.arctan, mp.atan, lambda x: 1 / (1 + x * x), lambda x: -2 * x / (1 + x * x) ** 2
    ),
    "sinh": Unary(np.sinh, mp.sinh, mp.cosh, mp.sinh),
    "cosh": Unary(np.cosh, mp.cosh, mp.sinh, mp.cosh),
    "tanh": Unary(
        np.tanh,
        mp.tanh,
        lambda x: sech(x) ** 2,
        lambda x: -2 * mp.tanh(x) * sech(x) ** 2,
        scale=1.0,
    ),
    "arcsinh": Unary(
        np.arcsinh,
        mp.asinh,
        lambda x: 1 / mp.sqrt(1 + x * x),
        lambda x: -x / mp.sqrt(1 + x * x) ** 3,
    ),
    "arccosh": Unary(
        np.arccosh,
        mp.acosh,
        lambda x: 1 / mp.sqrt((x - 1) * (x + 1)),
        lambda x: -x / mp.sqrt((x - 1) * (x + 1)) ** 3,
        1.0,
        at=above_one,
    ),
    "arctanh": Unary(
        np.arctanh,
        mp.atanh,
        lambda x: 1 / ((1 - x) * (1 + x)),
        lambda x: 2 * x / ((1 - x) * (1 + x)) ** 2,
        -1.0,
        1.0,
        below_one,
        1.0,
    ),
    "erf": Unary(scipy.special.erf, mp.erf, gauss, lambda x: -2 * x * gauss(x)),
    "erfc": Unary(
        scipy.special.erfc,
        mp.erfc,
        lambda x: -gauss(x),
        lambda x: 2 * x * gauss(x),
    ),
    "erfinv": Unary(
        scipy.special.erfinv,
        mp.erfinv,
        lambda x: mp.sqrt(mp.pi) / 2 * mp.exp(mp.erfinv(x) ** 2),
        lambda x: mp.pi / 2 * mp.erfinv(x) * mp.exp(2 * mp.erfinv(x) ** 2),
        -1 + EPS["f8"],
        1 - EPS["f8"],
    ),
    "sinc": Unary(
        np.sinc,
        lambda x: sinc_parts(x)[0],
        lambda x: sinc_parts(x)[1],
        lambda x: sinc_parts(x)[2],
        -1e5,
        1e5,
        scale=10.0,
    ),
}


def spread(dtype: str, count: int = 24) -> list[float]:
    """Zeros, infinities, the ends of the range, points of all magnitudes and some next to 1."""
    info, eps = np.finfo(dtype), EPS[dtype]
    exponents = np.linspace(info.minexp - info.nmant, info.maxexp - 1, count).round()
    sizes = [float(2.0**e * (1.37 if e > info.minexp else 1)) for e in exponents]
    sizes += [0.0, 0.3, 1.0, 1.7, 5.0, 1 - eps, 1 + eps, float(info.tiny), float(info.max), np.inf]
    return [sign * x for x in sizes for sign in (1.0, -1.0)]


def rounded(exact: Any, dtype: str) -> float:
    """The float next to a number of any size."""
    if abs(exact) > mp.mpf(float(np.finfo(dtype).max)):
        return np.inf if exact > 0 else -np.inf
    return float(np.dtype(dtype).type(float(exact)))


def agree(
    got: float, exact: Any, dtype: str, scale: float, order: int, rounding: float = 1.0
) -> bool:
    """Whether a derivative of first (`order` 0) or second order is the exact one but for rounding.

    At a pole of the second there may be a difference of infinities.
    """
    want = rounded(exact, dtype)
    ulps = rounding * (2000.0 if order else 200.0)
    if order and np.isinf(want) and not np.isfinite(got):
        return True
    if np.isinf(want) or np.isinf(got):
        # Next to the largest number it may be rounded either way.
        edge = abs(exact) / mp.mpf(float(np.finfo(dtype).max))
        return got == want or bool(abs(edge - 1) < 1e-4)
    tolerance = ulps * (
        EPS[dtype] * (abs(want) + scale) + float(np.finfo(dtype).smallest_subnormal)
    )
    return bool(abs(got - want) <= tolerance)


def first_and_second(f: Callable[..., Any]) -> Callable[..., Any]:
    """The derivatives of an elementwise function in each mode, on arrays."""

    def modes(x: Any, one: Any) -> dict[str, Any]:
        def forward(x: Any) -> Any:
            return go.jvp(f, (x,), (one,))[1]

        def reverse(x: Any) -> Any:
            return go.vjp(f, x)[1](one)[0]

        return {
            "forward": forward(x),
            "reverse": reverse(x),
            "forward over forward": go.jvp(forward, (x,), (one,))[1],
            "forward over reverse": go.jvp(reverse, (x,), (one,))[1],
            "reverse over forward": go.vjp(forward, x)[1](one)[0],
            "reverse over reverse": go.vjp(reverse, x)[1](one)[0],
        }

    return go.compile(modes)


@pytest.mark.parametrize("dtype", EPS)
@pytest.mark.parametrize("name", UNARY)
def test_functions_of_one_variable(name: str, dtype: str) -> None:
    row = UNARY[name]
    points = [v for v in spread(dtype) if row.low <= v <= row.high]
    if row.low == 0:
        points = [v for v in points if np.copysign(1, v) > 0]
    x = np.array([*points, np.nan], dtype)
    got = first_and_second(row.f)(x, np.ones_like(x))
    wrong = []
    exact: tuple[list[Any], list[Any]] = ([], [])
    with mp.workprec(NEXT_TO_ONE):
        at = [row.at(float(v)) for v in x[:-1]]
    for v in at:
        with mp.workprec(NEXT_TO_ONE if abs(float(v)) == 1 else PRECISION):
            exact[0].append(row.first(v))
            exact[1].append(row.second(v))
    for mode, values in got.items():
        order = " over " in mode
        assert np.isnan(values[-1]) or (order and name in ("square", "absolute")), mode
        for v, value, want in zip(x.tolist(), values, exact[order], strict=False):
            if not agree(float(value), want, dtype, row.scale, order):
                wrong.append(f"{mode} at {v!r}: got {value!r}, expected {rounded(want, dtype)!r}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("name", UNARY)
def test_the_closed_forms_are_derivatives(name: str) -> None:
    row = UNARY[name]
    for x in (0.31, 0.77, 1.9, -0.4):
        if row.low < x < row.high:
            with mp.workprec(200):
                point = mp.mpf(x)
                assert mp.almosteq(mp.diff(row.exact, point), row.first(point), 1e-20)
                assert mp.almosteq(mp.diff(row.exact, point, 2), row.second(point), 1e-15, 1e-15)


@dataclass(frozen=True)
class Binary:
    """A function of two variables.

    Attributes:
        f: NumPy's function.
        exact: mpmath's.
        partials: the two derivatives in closed form.
        second: derivatives of the first one in both, and of the second in the second variable.
        is_inside: whether there are derivatives at a point.
        scale: as of `Unary`.
        rounding: how many times the tolerance is that of others.
    """

    f: Callable[..., Any]
    exact: Callable[..., Any]
    partials: Callable[..., tuple[Any, Any]]
    second: Callable[..., tuple[Any, Any, Any]]
    is_inside: Callable[[float, float], bool] = lambda x, y: True
    scale: float = 0.0
    rounding: float = 1.0


def hypot_second(x: Any, y: Any) -> tuple[Any, Any, Any]:
    cube = mp.hypot(x, y) ** 3
    return y * y / cube, -x * y / cube, x * x / cube


def arctan2_second(y: Any, x: Any) -> tuple[Any, Any, Any]:
    fourth = (x * x + y * y) ** 2
    return -2 * x * y / fourth, (y * y - x * x) / fourth, 2 * x * y / fourth


def power_second(x: Any, y: Any) -> tuple[Any, Any, Any]:
    z = x**y
    return y * (y - 1) * z / x**2, z / x * (1 + y * mp.log(x)), z * mp.log(x) ** 2


def logaddexp_second(x: Any, y: Any) -> tuple[Any, Any, Any]:
    p = expit(x - y) * expit(y - x)
    return p, -p, p


def one_is_finite(x: float, y: float) -> bool:
    return not (np.isinf(x) and np.isinf(y))


def one_is_not_zero(x: float, y: float) -> bool:
    return bool(x or y) and one_is_finite(x, y)


BINARY = {
    "divide": Binary(
        np.divide,
        lambda x, y: x / y,
        lambda x, y: (1 / y, -x / y**2),
        lambda x, y: (mp.mpf(0), -1 / y**2, 2 * x / y**3),
        lambda x, y: one_is_not_zero(x, y) and np.isfinite(x),
    ),
    "hypot": Binary(
        np.hypot,
        mp.hypot,
        lambda x, y: (x / mp.hypot(x, y), y / mp.hypot(x, y)),
        hypot_second,
        one_is_not_zero,
    ),
    "arctan2": Binary(
        np.arctan2,
        lambda y, x: mp.atan2(y, x),
        lambda y, x: (x / (x * x + y * y), -y / (x * x + y * y)),
        arctan2_second,
        one_is_not_zero,
    ),
    "power": Binary(
        np.power,
        lambda x, y: x**y,
        lambda x, y: (y * x ** (y - 1), x**y * mp.log(x)),
        power_second,
        lambda x, y: bool(0 < x < np.inf and np.isfinite(y)),
        # The logarithm of the base multiplies what is rounded of the exponent.
        rounding=4.0,
    ),
    "logaddexp": Binary(
        np.logaddexp,
        lambda x, y: mp.log(mp.exp(x) + mp.exp(y)),
        lambda x, y: (expit(x - y), expit(y - x)),
        logaddexp_second,
        one_is_finite,
        scale=1.0,
    ),
    "xlogy": Binary(
        scipy.special.xlogy,
        lambda x, y: x * mp.log(y),
        lambda x, y: (mp.log(y), x / y),
        lambda x, y: (mp.mpf(0), 1 / y, -x / y**2),
        lambda x, y: 0 < y < np.inf and np.isfinite(x),
    ),
    "xlog1py": Binary(
        scipy.special.xlog1py,
        lambda x, y: x * mp.log1p(y),
        lambda x, y: (mp.log1p(y), x / (1 + y)),
        lambda x, y: (mp.mpf(0), 1 / (1 + y), -x / (1 + y) ** 2),
        lambda x, y: -1 < y < np.inf and np.isfinite(x),
    ),
}


def partials_and_second(f: Callable[..., Any]) -> Callable[..., Any]:
    """The derivatives in each variable alone, in each mode: by order, then by name and indices."""

    def forward(i: int, x: Sequence[Any], one: Any, g: Callable[..., Any]) -> Any:
        return go.jvp(lambda v: g(*x[:i], v, *x[i + 1 :]), (x[i],), (one,))[1]

    def reverse(i: int, x: Sequence[Any], one: Any, g: Callable[..., Any]) -> Any:
        return go.vjp(lambda v: g(*x[:i], v, *x[i + 1 :]), x[i])[1](one)[0]

    modes = {"forward": forward, "reverse": reverse}

    def derivatives(x: Any, y: Any, one: Any) -> Any:
        first = {(name, i): d(i, (x, y), one, f) for name, d in modes.items() for i in (0, 1)}
        second = {
            (f"{outer} over {inner}", i, j): modes[outer](
                j, (x, y), one, lambda *v, i=i, inner=inner: modes[inner](i, v, one, f)
            )
            for outer in modes
            for inner in modes
            for i in (0, 1)
            for j in (0, 1)
        }
        return first, second

    return go.compile(derivatives)


@pytest.mark.parametrize("dtype", EPS)
@pytest.mark.parametrize("name", BINARY)
def test_functions_of_two_variables(name: str, dtype: str) -> None:
    row = BINARY[name]
    # Quotients of subnormal numbers have few digits.
    values = [v for v in spread(dtype, 9) if not 0 < abs(v) < np.finfo(dtype).tiny]
    points = [(x, y) for x in values for y in values if row.is_inside(x, y)]
    x, y = np.array(points, dtype).T.copy()
    got = partials_and_second(row.f)(x, y, np.ones_like(x))
    wrong = []
    for k in range(len(points)):
        with mp.workprec(PRECISION):
            try:
                a, b = (inside(float(v)) if np.isinf(v) else mp.mpf(float(v)) for v in (x[k], y[k]))
                exact = [row.partials(a, b), row.second(a, b)]
            except ZeroDivisionError:
                a, b = inside(float(x[k])), inside(float(y[k]))
                exact = [row.partials(a, b), row.second(a, b)]
            # One second derivative may be small because others cancel.
            scales = [row.scale, max(row.scale, *(rounded(abs(v), dtype) for v in exact[1]))]
            is_finite = np.isfinite([x[k], y[k]]).all()
            if is_finite and np.isinf(rounded(row.exact(a, b), dtype)):
                continue
        if np.isinf(scales[1]) or not is_finite:
            del exact[1]
        for order, wanted in enumerate(exact):
            for key, values in got[order].items():
                want = wanted[sum(key[1:])]
                if not agree(float(values[k]), want, dtype, scales[order], order, row.rounding):
                    wrong.append(
                        f"{key} at {x[k]!r}, {y[k]!r}: got {values[k]!r}, "
                        f"expected {rounded(want, dtype)!r}"
                    )
    assert not wrong, f"{len(wrong)} wrong\n" + "\n".join(wrong[:40])


@pytest.mark.parametrize("name", BINARY)
def test_the_closed_forms_in_two_variables_are_derivatives(name: str) -> None:
    row = BINARY[name]
    for point in ((0.31, 0.77), (1.9, 0.4), (-0.4, 2.5)):
        with mp.workprec(200):
            x = tuple(mp.mpf(v) for v in point)
            for n, exact in (
                ((1, 0), row.partials(*x)[0]),
                ((0, 1), row.partials(*x)[1]),
                ((2, 0), row.second(*x)[0]),
                ((1, 1), row.second(*x)[1]),
                ((0, 2), row.second(*x)[2]),
            ):
                assert mp.almosteq(mp.diff(row.exact, x, n), exact, 1e-15, 1e-15)


def limits_of_power(base: float, exponent: float) -> tuple[list[float], list[float]]:
    """The first and second derivatives of a power at an infinite exponent.

    Where it tends to 0, they do, and to infinity where it does.
    """
    if (base < 1) == (exponent > 0):
        return [0.0, 0.0], [0.0, 0.0, 0.0]
    growth = np.inf if exponent > 0 else -np.inf
    return [growth, growth], [np.inf, np.inf, np.inf]


@pytest.mark.parametrize("dtype", EPS)
def test_powers_with_infinite_exponents(dtype: str) -> None:
    info, eps = np.finfo(dtype), EPS[dtype]
    bases = [0.0, float(info.tiny), 0.5, 1 - eps, 1 + eps, 3.0, float(info.max), np.inf]
    points = [(base, exponent) for base in bases for exponent in (np.inf, -np.inf)]
    x, y = np.array(points, dtype).T.copy()
    got = partials_and_second(np.power)(x, y, np.ones_like(x))
    for k, point in enumerate(points):
        wanted = limits_of_power(*point)
        for order in (0, 1):
            for key, values in got[order].items():
                want, value = wanted[order][sum(key[1:])], values[k]
                # At a pole of the second there may be a difference of infinities.
                at_pole = order == 1 and np.isinf(want) and not np.isfinite(value)
                assert value == want or at_pole, (key, point, value, want)


@pytest.mark.parametrize("mode", ["forward", "reverse"])
def test_powers_of_infinity(mode: str) -> None:
    exponents = np.array([-2.0, -0.5, 0.5, 1.0, 2.0])
    x = np.full_like(exponents, np.inf)
    first, second = partials_and_second(np.power)(x, exponents, np.ones_like(x))
    np.testing.assert_array_equal(first[mode, 0], [0, 0, 0, 1, np.inf])
    np.testing.assert_array_equal(first[mode, 1], [0, 0, np.inf, np.inf, np.inf])
    for outer in ("forward", "reverse"):
        key = f"{outer} over {mode}"
        np.testing.assert_array_equal(second[key, 0, 0], [0, 0, 0, 0, 2])
        np.testing.assert_array_equal(second[key, 1, 1][:2], [0, 0])
