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


def of_unknown_length(x, count):
    """Carries scalars, mixed in place; only the run tells how often."""

    def advance(i, values):
        values = list(values)
        for k in range(len(values) - 1):
            v, w = values[k], values[k + 1]
            values[k], values[k + 1] = np.sin(v * w), v + 0.1 * i * w
        return values

    elements = [x[i] for i in range(len(x))]
    return sum(go.fori_loop(0, count, advance, elements, checkpoint="all"))


def in_another_loop(x, count):
    """Each run of the inner loop goes on where the tapes end."""

    def again(i, y):
        return y + of_unknown_length(x * (1 + 0.1 * y), count - i)

    return go.fori_loop(0, 2, again, x[0])


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


@pytest.mark.parametrize("f", [of_unknown_length, in_another_loop])
def test_rows_of_tapes(f):
    """There are a few tapes, however many values there are; derivatives are right."""
    x, direction = X[:70], DIRECTION[:70]
    run = go.compile_value_and_grad(f, capture="trace")
    made = re.findall(
        r"tensor\.empty\(\) : tensor<(\d{9,}\S*)>", run.lower(x, 2).mlir("simplified")
    )
    assert 1 <= len(made) <= 3
    assert any(int(tape.removesuffix("xf64").split("x")[1]) >= 128 for tape in made)
    for count in 0, 1, 3:
        value, gradient = run(x, count)
        plain = lambda x: f(x, count)  # noqa: B023, E731
        np.testing.assert_allclose(value, plain(x), rtol=1e-13)
        slope = difference(plain, x, direction)
        np.testing.assert_allclose(gradient @ direction, slope, rtol=1e-7)


def test_second_derivative_with_tapes():
    """Cotangents of tapes are zeros, and tapes are filled again."""
    x, direction = X[:70], DIRECTION[:70]
    gradient = go.compile_grad(of_unknown_length, capture="trace")
    product = go.compile(
        lambda x, v, n: go.grad(lambda x: go.grad(of_unknown_length)(x, n) @ v)(x), capture="trace"
    )(x, direction, 2)
    slope = difference(lambda x: gradient(x, 2), x, direction)
    np.testing.assert_allclose(product, slope, rtol=1e-6, atol=1e-8)


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
