# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""`scipy.integrate.quad` and `quad_vec`: values, estimates, derivatives and refusals."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.integrate

import gradopt as go
from gradopt.errors import ArgumentError, ConvergenceError, ShapeError, UnsupportedError
from gradopt.scipy import integrate

PI, INF = np.pi, np.inf
# Functions, ends and what comes of them.
INTEGRALS: dict[str, tuple[Callable[[Any], Any], float, float, float]] = {
    "smooth": (np.sin, 0, 3, 1 - np.cos(3)),
    "backwards": (np.sin, 3, 0, np.cos(3) - 1),
    "of nothing": (np.sin, 2, 2, 0.0),
    "that is 0": (lambda x: np.cos(x) ** 2 - 0.5, 0, PI, 0.0),
    "fast": (lambda x: np.sin(30 * x), 0, 3, (1 - np.cos(90)) / 30),
    "singular on the left": (lambda x: 1 / np.sqrt(x), 0, 1, 2.0),
    "singular on the right": (lambda x: np.log(2 - x), 0, 2, 2 * np.log(2) - 2),
    "with poles near": (lambda x: 1 / (1 + 25 * x * x), -1, 1, 0.4 * np.arctan(5)),
    "peak": (lambda x: np.exp(-1000 * (x - 0.4) ** 2), 0, 1, np.sqrt(PI / 1000)),
    "of all numbers": (lambda x: np.exp(-((x - 1) ** 2)), -INF, INF, np.sqrt(PI)),
    "of all, backwards": (lambda x: np.exp(-((x - 1) ** 2)), INF, -INF, -np.sqrt(PI)),
    "from a number up": (lambda x: 1 / x**1.5, 1, INF, 2.0),
    "up to a number": (np.exp, -INF, 0.5, np.exp(0.5)),
    "from infinity": (lambda x: np.exp(-x), INF, 1, -np.exp(-1)),
}


def test_values() -> None:
    """In one program: each is right, and not farther off than its estimate says."""
    found = go.compile(lambda: [integrate.quad(f, a, b) for f, a, b, _ in INTEGRALS.values()])()
    for (value, error), (name, (_, _, _, want)) in zip(found, INTEGRALS.items(), strict=True):
        np.testing.assert_allclose(value, want, 1e-12, 1e-13, err_msg=name)
        assert error <= max(1.49e-8, 1.49e-8 * abs(want)), name


@pytest.mark.parametrize(
    ("function", "a", "b"),
    [
        (lambda x: abs(x - 0.3), 0.0, 1.0),
        (lambda x: np.where(x < 0.7, 1.0, 0.0), 0.0, 1.0),
        (lambda x: np.sin(x) / x, 0.0, INF),
        (lambda x: 1 / x, 0.0, 1.0),
        (lambda x: np.sin(3000 * x), 0.0, 3.0),
        (lambda x: 1 / x**1.1, 1.0, INF),
    ],
)
def test_what_it_does_not_reach_is_an_error(function: Any, a: float, b: float) -> None:
    with pytest.raises(ConvergenceError, match=r"quad: the estimated error .*points="):
        integrate.quad(function, a, b)


def test_points() -> None:
    value, error = integrate.quad(lambda x: abs(x - 0.3), 0, 1, points=[0.3])
    np.testing.assert_allclose(value, 0.29, 1e-14)
    assert error < 1e-14
    # How the jump moves is known if it is one of the points.
    go.gradcheck(
        lambda a, c: integrate.quad(lambda x: abs(x - c) ** 1.5, a, 2.0, points=(c,))[0],
        (0.3, 1.2),
    )


def test_vectors() -> None:
    def f(x: Any, p: Any) -> Any:
        return np.stack([np.sin(p * x), np.cos(x) * p])

    for norm in ("2", "max"):
        value, error = integrate.quad_vec(f, 0, 1, norm=norm, args=(1.3,))
        np.testing.assert_allclose(value, scipy.integrate.quad_vec(f, 0, 1, args=(1.3,))[0], 1e-13)
        assert error < 1e-14
    go.gradcheck(lambda p: integrate.quad_vec(f, 0, p, args=(p,))[0], (1.3,), order=2)


def test_derivatives() -> None:
    """In ends and parameters, of SciPy's own name, of both orders."""

    def integrals(a: Any, b: Any, p: Any) -> Any:
        first = scipy.integrate.quad(lambda x, p: np.sin(p * x) + x**2 / p, a, b, (p,))[0]
        second = scipy.integrate.quad(lambda x: np.exp(-p * x) * x**p, 0, np.inf)[0]
        return first, second

    want = integrals(0.3, 2.0, 1.7)
    np.testing.assert_allclose(go.compile(integrals)(0.3, 2.0, 1.7), want, 1e-10)
    go.gradcheck(integrals, (0.3, 2.0, 1.7), order=2)


def test_integrals_of_integrals() -> None:
    def outer(p: Any) -> Any:
        return scipy.integrate.quad(
            lambda y: scipy.integrate.quad(lambda x: np.exp(-p * x * y), 0, y)[0], 0, 1
        )[0]

    np.testing.assert_allclose(go.compile(outer)(1.3), outer(1.3), 1e-13)


def test_errors() -> None:
    with pytest.raises(UnsupportedError, match="keyword weight= of scipy"):
        integrate.quad(np.sin, 0, 1, weight="cos", wvar=2)
    with pytest.raises(UnsupportedError, match="keyword full_output= of scipy"):
        integrate.quad_vec(np.sin, 0, 1, full_output=True)
    with pytest.raises(ArgumentError, match="break points"):
        integrate.quad(np.sin, 0, np.inf, points=[1])
    with pytest.raises(ArgumentError, match="norm"):
        integrate.quad_vec(np.sin, 0, 1, norm="1")
    with pytest.raises(ShapeError, match=r"must return a number.* shape \(2,\)"):
        integrate.quad(lambda x: np.stack([x, x]), 0, 1)
