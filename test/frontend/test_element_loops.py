# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Loops over parts whose sizes grow with a counter: along columns, backwards, and kept in part.

Passes store arrays otherwise for them, write what is kept where it is kept, and split loops that add
in both directions. The reference is the same program in NumPy, with derivatives by complex steps.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from budget import by_seed

import gradopt as go

N, M = 26, 24  # Enough elements for another layout.
Statement = Callable[[Any, Any, Any, int], None]


def toeplitz(r: Any, m: Any) -> Any:
    """A vector that is added to itself backwards, of which a part is kept in each iteration."""
    r = 0.1 * r
    y = np.empty_like(r)
    alpha, beta = -r[0], 1.0
    y[0] = -r[0]
    for k in range(1, len(r)):
        beta *= 1.0 - alpha * alpha
        alpha = -(r[k] + np.dot(np.flip(r[:k]), y[:k])) / beta
        y[:k] += alpha * np.flip(y[:k])
        y[k] = alpha
    return y * m[:, 0]


def triangle(x: Any, m: Any) -> Any:
    """Products of columns from the diagonal on, which change what the next ones are made of."""
    m = m.copy()
    for i in range(N):
        for j in range(M):
            m[i, j] += 0.1 * x[i] * np.dot(x[i + 1 :], m[i + 1 :, j])
    return m


def rows(x: Any, m: Any) -> Any:
    """Parts of rows, of products of columns."""
    c = m @ m.T
    for i in range(N):
        c[i, : i + 1] *= x[i]
        for k in range(M):
            c[i, : i + 1] += m[: i + 1, k] * 0.5 * m[i, k] + x[: i + 1] * m[i, k]
    return c


def palindrome(x: Any, m: Any) -> Any:
    """What is written to is read in both directions."""
    x = x.copy()
    for k in range(2, N):
        old = x[:k].copy()
        x[:k] = (
            0.5 * old + 0.1 * np.flip(old) * m[k, 0] + 0.1 * np.sin(np.flip(x[k - 1 : 0 : -1]))[0]
        )
    return x


def tables(x: Any, m: Any) -> Any:
    """Arrays that inner loops fill, kept by outer ones."""
    found = np.zeros_like(m)
    state = m[0].copy()
    for i in range(N):
        row = np.empty_like(state)
        for j in range(M):
            row[j] = np.sin(state[j]) * x[i] + 0.1 * j
        found[i] = row
        state = 0.5 * row + m[i]
    return found


PROGRAMS = (toeplitz, triangle, rows, palindrome, tables)


def add_column(p: Any) -> Statement:
    def run(x: Any, m: Any, w: Any, i: int) -> None:
        m[:i, p[0]] += 0.1 * p[2] * x[:i] * w[i, p[1]]

    return run


def add_backwards(p: Any) -> Statement:
    def run(x: Any, m: Any, w: Any, i: int) -> None:
        x[:i] += 0.2 * np.flip(x[:i]) * w[i, p[0]]

    return run


def scale_column(p: Any) -> Statement:
    def run(x: Any, m: Any, w: Any, i: int) -> None:
        m[i:, p[0]] *= 1.0 + 0.1 * np.sin(x[i])

    return run


def take_products(p: Any) -> Statement:
    def run(x: Any, m: Any, w: Any, i: int) -> None:
        x[i] = 0.3 * x[i] + 0.1 * np.dot(m[:i, p[0]], m[:i, p[1]]) + 0.1 * np.dot(x[:i], w[:i, 0])

    return run


def take_row(p: Any) -> Statement:
    def run(x: Any, m: Any, w: Any, i: int) -> None:
        m[i, : p[0]] = 0.5 * m[i - 1, : p[0]] + 0.1 * m[i, : p[0]] * x[i - 1]

    return run


def go_down(p: Any) -> Statement:
    def run(x: Any, m: Any, w: Any, i: int) -> None:
        for j in range(1, i):
            m[j, p[0]] = 0.5 * m[j - 1, p[0]] + 0.1 * np.sin(x[i - j]) * w[j, p[1]]

    return run


def turn_column(p: Any) -> Statement:
    def run(x: Any, m: Any, w: Any, i: int) -> None:
        m[:i, p[0]] = 0.7 * m[:i, p[0]] + 0.2 * np.flip(m[:i, p[1]]) * w[i, 0]

    return run


def fill_row(p: Any) -> Statement:
    def run(x: Any, m: Any, w: Any, i: int) -> None:
        row = np.zeros_like(m[0])
        for j in range(p[0]):
            row[j] = np.sin(m[i - 1, j]) * x[i]
        m[i] = 0.4 * m[i] + 0.2 * row

    return run


KINDS = (
    add_column, add_backwards, scale_column, take_products, take_row, go_down, turn_column, fill_row,
)  # fmt: skip


def write_program(rng: np.random.Generator) -> Callable[[Any, Any], Any]:
    chosen = rng.choice(len(KINDS), size=int(rng.integers(1, 4)))
    statements = [KINDS[k](rng.integers(1, M, size=3).tolist()) for k in chosen]

    def program(x: Any, m: Any) -> Any:
        x, w, m = x.copy(), m, m.copy()
        for i in range(2, N):
            for statement in statements:
                statement(x, m, w, i)
        return x, m

    return program


def check(program: Callable[[Any, Any], Any], x: Any, m: Any, rng: np.random.Generator) -> None:
    def loss(x: Any, m: Any) -> Any:
        found = program(x, m)
        if isinstance(found, tuple):
            return np.sum(np.sin(found[0])) + np.sum(found[1] * found[1])
        return np.sum(found**3)

    assert all("rolled" in str(loop) for loop in go.compile(loss).lower(x, m).loops())
    found, expected = go.compile(program)(x, m), program(x, m)
    if not isinstance(expected, tuple):
        found, expected = (found,), (expected,)
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-11, atol=1e-11)
    gradients = go.compile_grad(loss, argnums=(0, 1))(x, m)
    for _ in range(2):
        u, v = rng.normal(size=N), rng.normal(size=(N, M))
        slope = loss(x + 1e-30j * u, m + 1e-30j * v).imag * 1e30
        ours = np.sum(gradients[0] * u) + np.sum(gradients[1] * v)
        np.testing.assert_allclose(ours, slope, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.__name__)
def test_programs(program: Callable[[Any, Any], Any]) -> None:
    rng = np.random.default_rng(3)
    check(program, 0.3 * rng.normal(size=N), 0.4 * rng.normal(size=(N, M)), rng)


@by_seed(12)
def test_random_programs(seed: int) -> None:
    rng = np.random.default_rng([seed, 23])
    check(write_program(rng), 0.3 * rng.normal(size=N), 0.4 * rng.normal(size=(N, M)), rng)


def test_second_order() -> None:
    rng = np.random.default_rng(5)
    x, m, u = 0.3 * rng.normal(size=N), 0.4 * rng.normal(size=(N, M)), rng.normal(size=N)
    for program in (toeplitz, palindrome):
        gradient_of = go.compile_grad(lambda x, f=program: np.sum(f(x, m) ** 3))

        def product_of(x: Any, u: Any, f: Any = program) -> Any:
            return go.jvp(go.grad(lambda x: np.sum(f(x, m) ** 3)), (x,), (u,))[1]

        found = go.compile(product_of)(x, u)
        change = (gradient_of(x + 1e-5 * u) - gradient_of(x - 1e-5 * u)) / 2e-5
        np.testing.assert_allclose(found, change, rtol=1e-5, atol=1e-6 * np.max(np.abs(found)))


def test_what_is_kept_is_written_once() -> None:
    """Of a vector of which an iteration changes a part, that part is kept, and not all of it."""
    x, m = np.zeros(N), np.zeros((N, M))
    text = go.compile_grad(lambda x: np.sum(toeplitz(x, m) ** 3)).lower(x).mlir("bufferized")
    assert f"memref<{N - 1}x{N - 1}x1xf64>" in text
    assert f"[1, {N - 1}, 1] [1, 1, 1]" not in text.split("scf.for")[1]
    assert not any("memref.copy" in line and "x1xf64" in line for line in text.splitlines())


def test_what_is_restored_is_not_copied() -> None:
    """An array that is put back step by step is read before that in each step, not copied."""

    def cholesky(a: Any) -> Any:
        a = a.copy()
        for i in range(len(a)):
            for j in range(i):
                a[i, j] -= np.dot(a[i, :j], a[j, :j])
                a[i, j] /= a[j, j]
            a[i, i] -= np.dot(a[i, :i], a[i, :i])
            a[i, i] = np.sqrt(a[i, i])
        return np.sum(np.tril(a) ** 3)

    a = np.random.default_rng(7).normal(size=(N, N))
    a = a @ a.T + N * np.eye(N)
    gradient = go.compile_grad(cholesky)
    lines = gradient.lower(a).mlir("bufferized").splitlines()
    copies = [line for line in lines if "memref.copy" in line and f"<{N}x{N}xf64>" in line]
    assert copies
    assert all(line.startswith("    memref.copy") for line in copies)
    v = np.random.default_rng(8).normal(size=(N, N))
    slope = cholesky(a + 1e-30j * v).imag * 1e30
    np.testing.assert_allclose(np.sum(gradient(a) * v), slope, rtol=1e-9)
