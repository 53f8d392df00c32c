# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Functions of Python on traced numbers: values and kinds of numbers are Python's."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import gradopt as go

SINGLES = np.array([0.5, -0.25, 3], np.float32)


@pytest.mark.parametrize(
    "name",
    [
        "sin",
        "cos",
        "tan",
        "sinh",
        "cosh",
        "tanh",
        "asin",
        "acos",
        "atan",
        "asinh",
        "atanh",
        "exp",
        "expm1",
        "exp2",
        "log",
        "log1p",
        "log2",
        "log10",
        "sqrt",
        "cbrt",
        "fabs",
        "degrees",
        "radians",
        "hypot",
    ],
)
def test_functions_of_math_take_and_give_pythons_floats(name: str) -> None:
    """Also of single precision, and of integers; what they give leaves dtypes as they are."""
    function = getattr(math, name, None)
    if function is None:
        pytest.skip("this Python does not have it")

    def f(x: Any, n: Any, w: Any) -> Any:
        return function(x), function(n), function(w[0]), function(w[0]) * w

    n = 0 if name in ("asin", "acos", "atanh", "sin") else 1
    for got, want in zip(go.compile(f)(0.3, n, SINGLES), f(0.3, n, SINGLES), strict=True):
        assert np.asarray(got).dtype == np.asarray(want).dtype
        np.testing.assert_allclose(got, want, rtol=1e-6 if np.ndim(want) else 1e-13)
    go.gradcheck(go.compile(lambda x: function(x)), (0.3,))


@pytest.mark.parametrize(
    "function",
    [
        lambda x, y: math.hypot(x, y, 2),
        lambda x, y: math.log(y, 3),
        lambda x, y: math.log(4, y),
        lambda x, y: math.pow(y, x),
        lambda x, y: math.atan2(x, y),
        lambda x, y: math.copysign(x, -y),
        lambda x, y: math.fmod(y, 0.4) * x,
    ],
)
def test_functions_of_math_of_several_numbers(function: Callable[..., Any]) -> None:
    x, y = 0.7, 1.5
    np.testing.assert_allclose(go.compile(function)(x, y), function(x, y), rtol=1e-14)
    go.gradcheck(go.compile(function), (x, y))


@pytest.mark.parametrize("x", [2.0, 0.7, -0.7, -3.0])
def test_what_rounds_gives_integers(x: float) -> None:
    def f(x: Any, n: Any, w: Any) -> Any:
        rounded = math.floor(x), math.ceil(x), math.trunc(x), int(x)
        return *rounded, math.floor(n), math.ceil(w[1] * 2), w * math.floor(x)

    for got, want in zip(go.compile(f)(x, 3, SINGLES), f(x, 3, SINGLES), strict=True):
        assert np.asarray(got).dtype == np.asarray(want).dtype
        np.testing.assert_array_equal(got, want)


def test_parts_of_floats_and_divisors() -> None:
    def f(x):
        fraction, whole = math.modf(x)
        mantissa, exponent = math.frexp(x)
        return fraction, whole, mantissa, exponent, math.gcd(int(x), 12, 18)

    compiled = go.compile(f)
    for x in (6.75, -30.5, 0.0):
        assert compiled(x) == f(x)


def test_gamma_functions_of_math() -> None:
    def f(x):
        return math.gamma(x) + math.lgamma(x + 1)

    np.testing.assert_allclose(go.compile(f)(2.3), f(2.3), rtol=1e-14)
    go.gradcheck(f, (2.3,))
