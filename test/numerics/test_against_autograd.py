# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Gradients against HIPS autograd, a reverse-mode peer in plain NumPy."""

from __future__ import annotations

import types
from collections.abc import Callable
from typing import Any

import autograd
import autograd.numpy as peer_numpy
import numpy as np
from budget import generator

import gradopt as go

Array = np.ndarray[Any, Any]


def loss(x: Array, y: Array, weights: list[tuple[Array, Array]]) -> Array:
    """The cross entropy of a network with two layers of tanh."""
    for w, b in weights:
        x = np.tanh(x @ w + b)
    logits = x - np.log(np.sum(np.exp(x), axis=1, keepdims=True))
    return -np.sum(logits * y)


def logistic_regression(w: Array, x: Array, y: Array) -> Array:
    z = x @ w
    return np.mean(np.logaddexp(0.0, z) - y * z) + 0.01 * np.sum(w**2)


def mixture(means: Array, logs: Array, x: Array) -> Array:
    """The negative logarithm of the likelihood of a mixture of Gaussians."""
    difference = (x[:, None, :] - means[None]) / np.exp(logs)
    density = -0.5 * np.sum(difference**2, axis=2) - np.sum(logs, axis=1)
    top = np.max(density, axis=1, keepdims=True)
    return -np.sum(top[:, 0] + np.log(np.sum(np.exp(density - top), axis=1)))


def with_peer(f: Callable[..., Any]) -> Callable[..., Any]:
    """The function with autograd's numpy in place of NumPy."""
    return types.FunctionType(f.__code__, {**f.__globals__, "np": peer_numpy}, f.__name__)


def compare(got: Any, want: Any) -> None:
    if isinstance(want, (list, tuple)):
        assert len(got) == len(want)
        for a, b in zip(got, want, strict=True):
            compare(a, b)
    else:
        np.testing.assert_allclose(got, want, 1e-11, 1e-13)


def test_network() -> None:
    rng = generator(7)
    x, y = rng.normal(size=(20, 8)), np.eye(5)[rng.integers(0, 5, 20)]
    weights = [
        (rng.normal(size=(8, 12)), rng.normal(size=12)),
        (rng.normal(size=(12, 5)), rng.normal(size=5)),
    ]
    value, gradient = go.compile_value_and_grad(loss, argnums=2)(x, y, weights)
    compare(value, loss(x, y, weights))
    compare(gradient, autograd.grad(with_peer(loss), 2)(x, y, weights))


def test_logistic_regression() -> None:
    rng = generator(8)
    w, x, y = rng.normal(size=10), rng.normal(size=(50, 10)), rng.integers(0, 2, 50) * 1.0
    peer = with_peer(logistic_regression)
    compare(go.compile_grad(logistic_regression)(w, x, y), autograd.grad(peer)(w, x, y))
    v = rng.normal(size=10)

    def product(w: Array) -> Array:
        return np.sum(go.grad(logistic_regression)(w, x, y) * v)

    want = autograd.grad(lambda w: peer_numpy.sum(autograd.grad(peer)(w, x, y) * v))(w)
    compare(go.compile_grad(product)(w), want)


def test_mixture() -> None:
    rng = generator(9)
    means, logs, x = (
        rng.normal(size=(3, 2)),
        0.1 * rng.normal(size=(3, 2)),
        rng.normal(size=(30, 2)),
    )
    for i in range(3):
        got = go.compile_grad(mixture, argnums=i)(means, logs, x)
        compare(got, autograd.grad(with_peer(mixture), i)(means, logs, x))
