# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""convolve and correlate: NumPy's values, and memory of the order of inputs and results."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from budget import by_hypothesis
from hypothesis import given
from hypothesis import strategies as st

import gradopt as go
from gradopt import errors

FUNCTIONS: list[Callable[..., Any]] = [np.convolve, np.correlate]
MODES = ["full", "same", "valid"]
RNG = np.random.default_rng(3)


def numbers(size: int, dtype: str = "f8") -> Any:
    return (5 * RNG.normal(size=size)).astype(dtype)


@by_hypothesis(150)
@given(
    st.sampled_from(FUNCTIONS),
    st.sampled_from(MODES),
    st.sampled_from(["f8", "f4", "i8", "i1", "?"]),
    st.integers(1, 9),
    st.integers(1, 9),
)
def test_small_ones(f: Callable[..., Any], mode: str, dtype: str, n: int, m: int) -> None:
    x, w = numbers(n, dtype), numbers(m, dtype)
    expected, actual = f(x, w, mode), go.compile(lambda x, w: f(x, w, mode))(x, w)
    assert (actual.dtype, actual.shape) == (expected.dtype, expected.shape)
    tolerance = 1e-4 if dtype == "f4" else 1e-12
    np.testing.assert_allclose(actual, expected, rtol=tolerance, atol=tolerance)
    if dtype == "f8":
        assert go.gradcheck(lambda x, w: f(x, w, mode), (x, w), rtol=1e-5, atol=1e-7)
        assert go.gradcheck(lambda x: f(x, x, mode) ** 2, x, rtol=1e-5, atol=1e-5, order=2)


@pytest.mark.parametrize("f", FUNCTIONS)
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("n", "m"), [(2500, 3), (1500, 70), (300, 300), (40, 1100), (5000, 4500)])
def test_large_ones(f: Callable[..., Any], mode: str, n: int, m: int) -> None:
    x, w, c = numbers(n), numbers(m), np.sin(np.arange(len(f(numbers(n), numbers(m), mode))))

    def loss(x: Any, w: Any) -> Any:
        return np.sum(f(x, w, mode) * c)

    value, (dx, dw) = go.value_and_grad(loss, (0, 1))(x, w)
    np.testing.assert_allclose(value, loss(x, w), rtol=1e-11, atol=1e-9)
    # The loss is linear in each argument.
    np.testing.assert_allclose(np.sum(dx * x), value, rtol=1e-10, atol=1e-8)
    np.testing.assert_allclose(np.sum(dw * w), value, rtol=1e-10, atol=1e-8)
    for i in (0, 1, n // 2, n - 1):
        unit = np.zeros(n)
        unit[i] = 1
        np.testing.assert_allclose(dx[i], loss(unit, w), rtol=1e-10, atol=1e-10)
    for i in (0, 1, m // 2, m - 1):
        unit = np.zeros(m)
        unit[i] = 1
        np.testing.assert_allclose(dw[i], loss(x, unit), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("f", FUNCTIONS)
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("n", "m"), [(6, 3), (200, 50), (80, 37), (41, 41), (1300, 1130)])
def test_no_products_beyond_the_ends(f: Callable[..., Any], mode: str, n: int, m: int) -> None:
    for place in (0, m // 2, m - 1):
        x, w = np.ones(n), np.ones(m)
        w[place] = np.inf
        compiled = go.compile(lambda x, w: f(x, w, mode))
        np.testing.assert_array_equal(compiled(x, w), f(x, w, mode))
        w[place], x[n // 2], x[-1] = 1, np.nan, np.inf
        np.testing.assert_array_equal(compiled(x, w), f(x, w, mode))


@pytest.mark.parametrize("f", FUNCTIONS)
@pytest.mark.parametrize("mode", MODES)
def test_memory_is_that_of_inputs_and_results(f: Callable[..., Any], mode: str) -> None:
    x, w = np.ones(20000), np.ones(500)
    gradient = go.compile_grad(lambda x, w: np.sum(f(x, w, mode) ** 2), argnums=(0, 1))
    for compiled, bound in ((go.compile(lambda x, w: f(x, w, mode)), 2), (gradient, 4)):
        memory = compiled.lower(x, w).memory()
        assert memory.captures == 0
        assert memory.arena <= bound * 8 * 20500
    assert "grad.gather" not in gradient.lower(x, w).mlir("simplified")


def test_programs_do_not_grow_with_the_kernel() -> None:
    def lines(m: int) -> int:
        f = go.compile_grad(lambda x, w: np.sum(np.convolve(x, w) ** 2), argnums=(0, 1))
        return f.lower(np.ones(1000), np.ones(m)).mlir("llvm").count("\n")

    assert abs(lines(640) - lines(320)) < 20


def test_what_cannot_be_convolved() -> None:
    x = np.ones(3)
    for f in FUNCTIONS:
        with pytest.raises(errors.UnsupportedError, match="mode='wrong'"):
            go.compile(lambda x, f=f: f(x, x, "wrong"))(x)
        for other in (np.ones(0), np.ones((2, 2))):
            with pytest.raises(errors.ShapeError, match=f"numpy.{f.__name__}"):
                go.compile(lambda x, o=other, f=f: f(x, o))(x)
