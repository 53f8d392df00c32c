# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Python loops become long programs: their nests become functions, used again and again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import gradopt as go

Array = np.ndarray[Any, Any]

STEPS = 40


def recurrent_network(w: Array, u: Array) -> Any:
    """Reads row after row of an argument, and stores all states."""
    h = np.zeros(5)
    states = []
    for t in range(STEPS):
        h = np.tanh(w @ h + u[t])
        states.append(h)
    return np.sum(np.stack(states) ** 2)


def leapfrog(w: Array, u: Array) -> Any:
    """Two coupled elementwise recurrences."""
    x, v = u[:, 0], u[:, 1]
    for _ in range(STEPS):
        v = v - 0.05 * np.sin(x)
        x = x + 0.05 * v
    return np.sum(x * w[0, 0] + v * w[1, 1])


def shuffled(w: Array, u: Array) -> Any:
    """Reads strided and reversed views in every step."""
    y = u
    for t in range(STEPS // 2):
        y = np.concatenate([y[::-1, :2], y[:, 2:] * w[t % 5, 0]], axis=1)
        y = y - 0.1 * np.sum(y, axis=0)
    return np.sum(y**2)


def hidden_markov_model(w: Array, u: Array, observed: Array) -> Any:
    """The forward algorithm; reads columns at indices known at run time."""
    alpha = w[0] + u[observed[0]]
    for o in observed[1:]:
        terms = alpha[:, None] + w
        top = stop_gradient(np.max(terms, axis=0))
        alpha = top + np.log(np.sum(np.exp(terms - top), axis=0)) + u[o]
    return np.log(np.sum(np.exp(alpha - 50.0)))


def stop_gradient(x: Any) -> Any:
    """The real part where the function is evaluated in complex numbers."""
    return np.real(x) if isinstance(x, (np.ndarray, np.generic)) else go.stop_gradient(x)


def complex_step(f: Callable[..., Any], args: tuple[Array, ...], argnum: int) -> Array:
    """The gradient of an analytic function, without cancellation (Squire and Trapp, 1998)."""
    gradient = np.empty(args[argnum].shape)
    for index in np.ndindex(gradient.shape):
        moved = [a.astype(complex) for a in args]
        moved[argnum][index] += 1e-30j
        gradient[index] = f(*moved).imag / 1e-30
    return gradient


@pytest.mark.parametrize("f", [recurrent_network, leapfrog, shuffled])
def test_gradients_of_unrolled_loops(f: Callable[..., Any]) -> None:
    rng = np.random.default_rng(3)
    args = (rng.normal(size=(5, 5)) / 3, rng.normal(size=(STEPS, 5)))
    compiled = go.compile_value_and_grad(f, argnums=(0, 1), capture="trace")
    # All of the leapfrog runs in a few loops with long bodies.
    calls = compiled.lower(*args).mlir("bufferized").count("call @kernel")
    assert calls == 0 if f is leapfrog else calls >= STEPS
    value, gradients = compiled(*args)
    np.testing.assert_allclose(value, f(*args), rtol=1e-12)
    for argnum, gradient in enumerate(gradients):
        expected = complex_step(f, args, argnum)
        np.testing.assert_allclose(gradient, expected, rtol=1e-11, atol=1e-13)


def test_gradients_at_traced_indices() -> None:
    rng = np.random.default_rng(4)
    args = (rng.normal(size=(5, 5)), rng.normal(size=(8, 5)))
    observed = rng.integers(0, 8, STEPS)
    gradients = go.grad(hidden_markov_model, argnums=(0, 1))(*args, observed)
    for argnum, gradient in enumerate(gradients):
        expected = complex_step(lambda w, u: hidden_markov_model(w, u, observed), args, argnum)
        np.testing.assert_allclose(gradient, expected, rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("axis", [0, 1])
def test_many_parts(axis: int) -> None:
    def f(x: Array) -> Any:
        parts = [np.sin(x[i]) * x[i - 1] for i in range(STEPS)]
        return np.concatenate([np.stack(parts, axis), np.stack(parts[::-1], axis)], axis)

    x = np.random.default_rng(5).normal(size=(STEPS, 3))
    np.testing.assert_allclose(go.compile(f)(x), f(x), rtol=1e-15)
    expected = complex_step(lambda x: np.sum(f(x) ** 2), (x,), 0)
    gradient = go.grad(lambda x: np.sum(f(x) ** 2))(x)
    np.testing.assert_allclose(gradient, expected, rtol=1e-12, atol=1e-14)
