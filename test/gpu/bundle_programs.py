# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Whole programs for a bundle that is run elsewhere, by name.

Each is a function of arrays. Plain NumPy computes it as well, but where it says that it does not.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

import gradopt as go

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Whole:
    """A program.

    Attributes:
        function: of arrays.
        arguments: what it is called with.
        argnums: the arguments that it is differentiated in; none: it is just called.
        is_numpy: whether NumPy computes it.
    """

    function: Callable[..., Any]
    arguments: tuple[Any, ...]
    argnums: tuple[int, ...] = ()
    is_numpy: bool = True

    def compiled(self) -> Any:
        """The compiled function, or its value and gradient."""
        if not self.argnums:
            return go.compile(self.function)
        return go.compile_value_and_grad(self.function, argnums=self.argnums)


def elementwise(x: Any, y: Any) -> Any:
    return np.exp(-np.abs(x)) * np.tanh(y) + np.sqrt(1 + x * x)


def reductions(x: Any) -> Any:
    return np.sum(x), np.sum(x, axis=0), np.mean(x * x, axis=1), np.max(x), np.argmax(x, axis=1)


def softmax(x: Any) -> Any:
    e = np.exp(x - np.max(x, axis=-1, keepdims=True))
    return e / np.sum(e, axis=-1, keepdims=True)


def scan(x: Any) -> Any:
    return np.cumsum(x, axis=0), np.cumsum(x * x, axis=1)[:, ::-1]


def products(a: Any, b: Any) -> Any:
    return a @ b, a.T @ a, b @ b.T


def gathered(table: Any, i: Any) -> Any:
    return table[i], np.transpose(table), np.where(table > 0, table, 0)[:, ::-1]


def perceptron(x: Any, t: Any, w1: Any, b1: Any, w2: Any, b2: Any) -> Any:
    z = np.tanh(x @ w1 + b1) @ w2 + b2
    z = z - np.max(z, axis=1, keepdims=True)
    return np.mean(np.log(np.sum(np.exp(z), axis=1)) - np.sum(z * t, axis=1))


def layer_norm(x: Any, scale: Any, bias: Any) -> Any:
    centred = x - np.mean(x, axis=1, keepdims=True)
    scaled = centred / np.sqrt(np.mean(centred**2, axis=1, keepdims=True) + 1e-5)
    return np.sum(np.tanh(scaled * scale + bias))


def attention(q: Any, k: Any, v: Any) -> Any:
    return np.sum((softmax(q @ np.swapaxes(k, -1, -2) / np.sqrt(q.shape[-1])) @ v) ** 2)


def recurrent(x: Any, h: Any, w: Any, u: Any) -> Any:
    for i in range(x.shape[0]):
        gate = 1 / (1 + np.exp(-(x[i] @ w)))
        h = gate * np.tanh(h @ u) + (1 - gate) * h
    return np.sum(h * h)


def recurrent_loop(x: Any, h: Any, w: Any, u: Any) -> Any:
    def step(h: Any, row: Any) -> Any:
        gate = 1 / (1 + np.exp(-(row @ w)))
        h = gate * np.tanh(h @ u) + (1 - gate) * h
        return h, np.sum(h)

    h, sums = go.scan(step, h, x)
    return np.sum(h * h) + np.sum(sums)


def newton(a: Any) -> Any:
    """Square roots, with a condition that is read from the device."""

    def is_far(state: Any) -> Any:
        return np.max(np.abs(state * state - a)) > 1e-12

    return go.while_loop(is_far, lambda y: 0.5 * (y + a / y), np.ones_like(a))


def convolution(x: Any, w: Any) -> Any:
    return np.sum(np.tanh(go.nn.conv2d(x, w, padding="same")) ** 2)


def random_numbers(x: Any) -> Any:
    key = go.random.key(7)
    return x + go.random.normal(key, x.shape)


def _programs() -> dict[str, Whole]:
    random = np.random.default_rng(0)

    def normal(*shape: int, dtype: Any = np.float64) -> Array:
        return random.normal(size=shape).astype(dtype)

    x, y = normal(300, 257), normal(300, 257)
    labels = np.eye(10)[random.integers(0, 10, 64)]
    network = (normal(64, 50), labels, normal(50, 32) / 7, normal(32), normal(32, 10), normal(10))
    cell = (normal(12, 8, 6), normal(8, 16), normal(6, 16), normal(16, 16) / 4)
    made = {
        "elementwise": Whole(elementwise, (x, y)),
        "reductions": Whole(reductions, (x,)),
        "softmax": Whole(softmax, (x,)),
        "scan": Whole(scan, (x,)),
        "products": Whole(products, (normal(70, 33), normal(33, 45))),
        "gathered": Whole(gathered, (x, random.integers(-300, 300, 40))),
        "perceptron": Whole(perceptron, network, (2, 3, 4, 5)),
        "layer_norm": Whole(layer_norm, (x, normal(257), normal(257)), (0, 1, 2)),
        "attention": Whole(attention, tuple(normal(3, 20, 16) for _ in range(3)), (0, 1, 2)),
        "recurrent": Whole(recurrent, cell, (1, 2, 3)),
        "recurrent_loop": Whole(recurrent_loop, cell, (1, 2, 3), is_numpy=False),
        "newton": Whole(newton, (np.abs(normal(1000)) + 1,), is_numpy=False),
        "convolution": Whole(
            convolution, (normal(2, 3, 12, 12), normal(5, 3, 3, 3)), (0, 1), is_numpy=False
        ),
        "random_numbers": Whole(random_numbers, (normal(999),), is_numpy=False),
    }
    single = {
        f"{name}_single": Whole(
            whole.function,
            tuple(a.astype(np.float32) if a.dtype == np.float64 else a for a in whole.arguments),
            whole.argnums,
            whole.is_numpy,
        )
        for name, whole in made.items()
        if name not in ("newton", "random_numbers")
    }
    return made | single


PROGRAMS = _programs()
