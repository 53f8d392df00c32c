# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Loops whose bodies are very long: hundreds of scalars, each with residuals of its own."""

import re

import numpy as np
import pytest

import gradopt as go

COUNT = 200
X = np.linspace(0.1, 1.0, COUNT)
DIRECTION = np.cos(np.arange(COUNT))


def step(a):
    """Each element from itself and the next one, which may be a new one already."""
    a = a.copy()
    for i in range(COUNT):
        a[i] = 0.9 * a[i] + 0.3 * np.sin(a[(i + 1) % COUNT] * a[i])
    return a


def by_while(x):
    def advance(state):
        return step(state[0]), state[1] + 1

    return np.sum(go.while_loop(lambda state: state[1] < 3, advance, (x, 0))[0] ** 2)


def by_count(x):
    return np.sum(go.fori_loop(0, 3, lambda _, a: step(a), x) ** 2)


def by_pairs(x):
    """Carries scalars, not an array."""

    def advance(_, values):
        return [np.sin(v * w) for v, w in zip(values, values[1:] + values[:1], strict=True)]

    return sum(go.fori_loop(0, 3, advance, [x[i] for i in range(COUNT)]))


def expected(f, x):
    if f is by_pairs:
        for _ in range(3):
            x = np.sin(x * np.roll(x, -1))
        return np.sum(x)
    for _ in range(3):
        x = step(x)
    return np.sum(x**2)


def difference(f, x, direction, h=1e-5):
    return (f(x + h * direction) - f(x - h * direction)) / (2 * h)


FUNCTIONS = pytest.mark.parametrize("f", [by_while, by_count, by_pairs])


@FUNCTIONS
def test_values_and_derivatives(f):
    value, gradient = go.compile_value_and_grad(f, capture="trace")(X)
    np.testing.assert_allclose(value, expected(f, X), rtol=1e-13)
    slope = difference(lambda x: expected(f, x), X, DIRECTION)
    np.testing.assert_allclose(gradient @ DIRECTION, slope, rtol=1e-7)
    _, tangent = go.compile_jvp(f, capture="trace")((X,), (DIRECTION,))
    np.testing.assert_allclose(tangent, gradient @ DIRECTION, rtol=1e-12)


def test_second_derivative():
    gradient = go.compile_grad(by_count, capture="trace")
    product = go.compile(lambda x, v: go.hvp(by_count, (x,), (v,)), capture="trace")(X, DIRECTION)
    np.testing.assert_allclose(product, difference(gradient, X, DIRECTION), rtol=1e-6, atol=1e-8)


def test_checkpoints():
    gradient = go.compile_grad(by_while, capture="trace", checkpoint=2)(X)
    np.testing.assert_allclose(gradient, go.compile_grad(by_while, capture="trace")(X), rtol=1e-13)


@FUNCTIONS
def test_scalars_are_stored_in_rows(f):
    text = go.compile_grad(f, capture="trace").lower(X).mlir("simplified")
    loops = [line for line in text.splitlines() if "= scf.for" in line]
    rows = re.findall(r"iter_args\(.*tensor<\d+x(\d+)xf64>", "\n".join(loops))
    assert any(int(width) >= COUNT for width in rows)
    # Stacks of single scalars.
    single = [set(re.findall(r"tensor<(\d+)xf64>", line)) - {"1", str(COUNT)} for line in loops]
    assert not any(single)


def test_few_values_are_alive_at_once():
    """Coefficients are stored where they are computed, and read where they are used."""
    text = go.compile_grad(by_count, capture="trace").lower(X).mlir("bufferized")
    lines = text.splitlines()

    def spread(pattern):
        found = [i for i, line in enumerate(lines) if re.search(pattern, line)]
        assert len(found) >= COUNT
        return found[COUNT - 1] - found[0]

    assert spread(r"math\.cos") > 3 * COUNT
    assert spread(r"memref\.load .*memref<3x\d+xf64>") > 3 * COUNT
