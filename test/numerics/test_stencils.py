# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Stencils: sums of shifted slices, whose gradients are sums of pads."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from test_unrolled import complex_step

import gradopt as go


def laplacian(u: Any) -> Any:
    around = u[2:, 1:-1] + u[:-2, 1:-1] + u[1:-1, 2:] + u[1:-1, :-2]
    return np.sum((around - 4 * u[1:-1, 1:-1]) ** 2)


def differences(u: Any) -> Any:
    return np.sum((u[1:] - u[:-1]) ** 2) + np.sum(np.sin(u[:, 2:] - u[:, :-2]))


def heat(u: Any) -> Any:
    for _ in range(3):
        inner = u[1:-1] + 0.1 * (u[2:] - 2 * u[1:-1] + u[:-2])
        u = np.concatenate([u[:1], inner, u[-1:]])
    return np.sum(u**3)


def red_and_black(u: Any) -> Any:
    return np.sum((u[::2] - u[1::2]) ** 2 * 0.5) + np.sum(-u[:, ::3] * 2.0 + u[:, 1::3])


@pytest.mark.parametrize("f", [laplacian, differences, heat, red_and_black])
@pytest.mark.parametrize("shape", [(12, 15), (4, 6), (30, 3)])
def test_gradients(f: Callable[..., Any], shape: tuple[int, int]) -> None:
    u = np.random.default_rng(5).normal(size=shape)
    expected = complex_step(f, (u,), 0)
    np.testing.assert_allclose(go.grad(f)(u), expected, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("f", [laplacian, differences, heat, red_and_black])
def test_second_derivatives(f: Callable[..., Any]) -> None:
    go.gradcheck(f, np.random.default_rng(6).normal(size=(8, 6)), order=2)


@pytest.mark.parametrize("low", [0, 1, 3])
@pytest.mark.parametrize("high", [0, 2])
def test_borders_of_large_arrays(low: int, high: int) -> None:
    x = np.random.default_rng(7).normal(size=(20, 30, 40))
    widths = ((low, high), (0, 0), (high, low))
    padded = go.compile(lambda x: np.pad(x, widths, constant_values=2.5))(x)
    np.testing.assert_array_equal(padded, np.pad(x, widths, constant_values=2.5))


def test_a_laplacian_needs_one_temporary() -> None:
    u = np.ones((100, 100))
    memory = go.compile_grad(laplacian).lower(u).memory()
    assert memory.arena < 1.1 * u.nbytes
