# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Loops over columns: arrays are stored so that these lie in a row, and nobody notices."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import gradopt as go

RNG = np.random.default_rng(11)


def recurrence(a: Any) -> Any:
    """Two arrays, forwards and backwards, whose columns depend on those beside them."""
    p, q = np.zeros(a.shape), np.ones(a.shape)
    for j in range(1, a.shape[1] - 1):
        p[1:-1, j] = a[1:-1, j] * p[1:-1, j - 1] + q[:-2, j - 1]
        q[:, j] = p[:, j] * 0.5 + np.sin(a[:, j + 1])
    for j in range(a.shape[1] - 2, 0, -1):
        q[1:-1, j] += p[1:-1, j] * q[1:-1, j + 1]
    return p + q


def sweeps(a: Any) -> Any:
    """An array that is kept of each sweep, for the derivative."""
    p = np.zeros(a.shape)
    for _ in range(12):
        p[:, 0] = a[:, 0]
        for j in range(1, a.shape[1]):
            p[:, j] = 0.5 * np.sin(p[:, j - 1]) + 0.2 * a[:, j] * (1.0 + p[:, j])
    return p


def branches(a: Any) -> Any:
    """What is done to a column depends on it."""
    p = np.zeros(a.shape)
    for _ in range(12):
        for j in range(1, a.shape[1]):
            if p[0, j - 1] > a[1, j]:
                p[:, j] = 0.4 * p[:, j - 1] + 0.2 * a[:, j] * p[:, j]
            else:
                p[:, j] = 0.4 * p[:, j] + 0.2 * p[:, j - 1] - 0.1 * a[:, j]
    return p


def planes(a: Any) -> Any:
    """The last of three dimensions."""
    b = np.empty((4, *a.shape))
    b[:, :, 0] = a[:, 0]
    for k in range(1, a.shape[1]):
        b[:, :, k] = np.sin(b[:, :, k - 1]) * a[:, k] + b[::-1, :, k - 1]
    return b * b


def orthogonal(a: Any) -> Any:
    """An argument that is written to, and rows of another array."""
    q, r = np.zeros(a.shape), np.zeros((a.shape[1], a.shape[1]))
    for k in range(a.shape[1]):
        r[k, k] = np.sqrt(a[:, k] @ a[:, k] + 1.0)
        q[:, k] = a[:, k] / r[k, k]
        for j in range(k + 1, a.shape[1]):
            r[k, j] = q[:, k] @ a[:, j]
            a[:, j] -= q[:, k] * r[k, j]
    return q @ r + a


def until(a: Any) -> Any:
    """How far it goes is known when it runs."""
    p, j = np.zeros(a.shape), 1
    while np.sum(p) < 9.0 and j < a.shape[1]:
        p[:, j] = np.cos(p[:, j - 1] + p[::-1, j]) * a[:, j - 1] + 0.2
        j += 1
    return p


def copies(a: Any) -> Any:
    """Arrays that change places, and parts that are written from the same places twice."""
    p, q, t = np.zeros(a.shape), a * 1.0, np.zeros((3, *a.shape))
    for _ in range(1, 14):
        p, q = q, p
        t[2] = t[1]
    for j in range(1, a.shape[1]):
        t[1] = p
        t[1] = p
        q = t[2] + q * 0.5
        p[1:-1, j] = 0.3 * p[1:-1, j - 1] + 0.1 * p[:-2, j]
    return np.sin(p) + q * q + t


PROGRAMS = (recurrence, sweeps, branches, planes, orthogonal, until, copies)


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.__name__)
def test_columns(program: Callable[[Any], Any]) -> None:
    a, v = 0.7 * RNG.normal(size=(2, 24, 26))
    before, after = a.copy(), a.copy()
    compiled = go.compile(program)
    assert all("rolled" in str(loop) for loop in compiled.lower(a).loops())
    np.testing.assert_allclose(compiled(after), program(before), rtol=1e-11, atol=1e-12)
    np.testing.assert_allclose(after, before, rtol=1e-11, atol=1e-12)

    def loss(x: Any) -> Any:
        return np.sum(np.sin(program(x.copy())))

    def products(x: Any, v: Any) -> tuple[Any, Any]:
        return go.jvp(go.grad(loss), (x,), (v,))

    step = 1e-6
    gradient, product = go.compile(products)(a, v)
    slope = (loss(a + step * v) - loss(a - step * v)) / (2 * step)
    np.testing.assert_allclose(np.sum(gradient * v), slope, rtol=2e-6)
    gradient_of = go.compile_grad(loss)
    np.testing.assert_allclose(gradient_of(a), gradient, rtol=1e-10, atol=1e-10)
    change = (gradient_of(a + step * v) - gradient_of(a - step * v)) / (2 * step)
    np.testing.assert_allclose(product, change, rtol=1e-4, atol=1e-6 * np.max(np.abs(product)))


def test_layout_is_exchanged() -> None:
    a = RNG.normal(size=(24, 26))
    for program in (recurrence, sweeps):
        gradient = go.compile_grad(lambda x, f=program: np.sum(f(x)))
        texts = [f.lower(a).mlir("simplified") for f in (go.compile(program), gradient)]
        assert ": tensor<24x26xf64>, tensor<24x1xf64>" not in texts[0]
        assert all(": tensor<26x24xf64>, tensor<1x24xf64>" in text for text in texts)
