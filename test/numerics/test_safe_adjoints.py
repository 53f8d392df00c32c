# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Functions that a choice keeps away from points where they have no derivative."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import gradopt as go

# f(x), x, and its first and second derivatives where x is in the domain of what is chosen; 0 in
# all other places.
Unary = Callable[[Any], Any]
X = np.array([0.0, -1.0, 2.0, -np.inf, 0.5])
CASES: dict[str, tuple[Unary, Unary, Unary]] = {
    "log": (np.log, lambda x: 1 / x, lambda x: -1 / x**2),
    "sqrt": (np.sqrt, lambda x: 0.5 * x**-0.5, lambda x: -0.25 * x**-1.5),
    "negative": (lambda x: -np.log(x), lambda x: -1 / x, lambda x: 1 / x**2),
    "power": (lambda x: x**-1.5, lambda x: -1.5 * x**-2.5, lambda x: 3.75 * x**-3.5),
    "division": (lambda x: 1 / x, lambda x: -1 / x**2, lambda x: 2 / x**3),
    "chain": (
        lambda x: np.exp(3 * np.log(x)),
        lambda x: 3 * x**2,
        lambda x: 6 * x,
    ),
    "xlogx": (lambda x: x * np.log(x), lambda x: np.log(x) + 1, lambda x: 1 / x),
    "arctan2": (
        lambda x: np.arctan2(x, x * 0),
        lambda x: 0 * x,
        lambda x: 0 * x,
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_choices(name: str) -> None:
    f, first, second = CASES[name]
    chosen = X > 0

    def safe(x: Any) -> Any:
        return np.where(x > 0, f(x), 0.0)

    def nested(x: Any) -> Any:
        return np.where(x <= 0, 0.0, np.where(x > -1, f(x), np.log(x)))

    expected, curvature = np.zeros_like(X), np.zeros_like(X)
    expected[chosen], curvature[chosen] = first(X[chosen]), second(X[chosen])
    ones = np.ones_like(X)
    for g in (safe, nested):
        gradient = go.grad(lambda x, g=g: np.sum(g(x)))
        np.testing.assert_allclose(go.compile(gradient)(X), expected, rtol=1e-12)
        # Forward over reverse, reverse over reverse, and forward.
        forward = go.compile(lambda x, d=gradient: go.jvp(d, (x,), (ones,))[1])
        np.testing.assert_allclose(forward(X), curvature, rtol=1e-12, atol=1e-15)
        reverse = go.compile_grad(lambda x, d=gradient: np.sum(d(x)))
        np.testing.assert_allclose(reverse(X), curvature, rtol=1e-12, atol=1e-15)
        tangent = go.compile(lambda x, g=g: go.jvp(g, (x,), (ones,))[1])
        np.testing.assert_allclose(tangent(X), expected, rtol=1e-12)


def test_a_choice_of_a_sum() -> None:
    """The choice is made of a sum, a reshaped array, or another type."""
    x = np.array([[0.0, 1.0], [2.0, 3.0]])

    def f(x: Any) -> Any:
        total = np.where(x[0, 0] > 0, np.sum(np.log(x)), 1.0)
        rows = np.where(x[0] > 0, np.log(x[0]).reshape(2), 0.0)
        single = np.where(x.T > 0, np.log(x.T).astype(np.float32), np.float32(0))
        return total + np.sum(rows) + np.sum(single)

    expected = np.where(x > 0, 1 / np.where(x > 0, x, 1), 0)
    expected[0] *= 2
    np.testing.assert_allclose(go.compile_grad(f)(x), expected, rtol=1e-6)


def test_branches() -> None:
    def f(x: Any) -> Any:
        return go.cond(x > 0, np.log, lambda x: 0.0 * x, x)

    for x, d, dd in ((0.0, 0.0, 0.0), (2.0, 0.5, -0.25)):
        assert go.compile_grad(f)(x) == d
        assert go.compile_grad(go.grad(f))(x) == dd


def test_norms() -> None:
    def f(x: Any) -> Any:
        n = np.sqrt(np.sum(x * x, axis=1))
        return np.sum(np.where(n > 0, n, 0.0))

    x = np.array([[0.0, 0.0], [3.0, 4.0]])
    np.testing.assert_allclose(go.compile_grad(f)(x), [[0, 0], [0.6, 0.8]], rtol=1e-14)
    ones = np.ones_like(x)
    product = go.compile(lambda x: go.jvp(go.grad(f), (x,), (ones,))[1])
    expected = [[0, 0], [(1 - 0.6 * 1.4) / 5, (1 - 0.8 * 1.4) / 5]]
    np.testing.assert_allclose(product(x), expected, rtol=1e-13)


def test_domains_of_arccos() -> None:
    x = np.array([1.0, -1.0, 0.5, 3.0])

    def f(x: Any) -> Any:
        return np.sum(np.where(np.abs(x) < 1, np.arccos(x), 0.0))

    np.testing.assert_allclose(go.compile_grad(f)(x), [0, 0, -1 / np.sqrt(0.75), 0], rtol=1e-14)


def test_softmax_of_masked_scores() -> None:
    """Scores of minus infinity have no weight and no derivative."""
    x = np.array([1.0, -np.inf, 2.0])

    def softmax(x: Any) -> Any:
        e = np.exp(x - np.max(x))
        return e / np.sum(e)

    def logsumexp(x: Any) -> Any:
        m = np.max(x)
        return m + np.log(np.sum(np.exp(x - m)))

    p = softmax(x)
    np.testing.assert_allclose(go.compile_grad(logsumexp)(x), p, rtol=1e-14)
    expected = p * (np.array([1.0, 0, 0]) - p[0])
    np.testing.assert_allclose(go.compile_grad(lambda x: softmax(x)[0])(x), expected, rtol=1e-13)


def test_user_code_is_not_changed() -> None:
    """A product of a choice is NumPy's, NaN where NumPy has NaN."""
    x, y = np.array([0.0, 2.0]), np.array([np.inf, 3.0])
    compiled = go.compile(lambda x, y: np.where(x > 0, x, 0.0) * y)
    np.testing.assert_array_equal(compiled(x, y), [np.nan, 6.0])
