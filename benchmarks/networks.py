# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Losses of networks, written once over what each library has for their layers."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

Function = Callable[..., Any]


class _Layers:
    """Convolution of images with padding that keeps their size, and pooling of pairs of rows."""

    def __init__(self, xp: Any) -> None:
        self.conv, self.pool = getattr(self, xp.__name__.replace(".", "_"))()

    def numpy(self) -> tuple[Function, Function]:
        from gradopt import nn

        return lambda x, w: nn.conv2d(x, w, padding="same"), lambda x: nn.max_pool2d(x, 2)

    def jax_numpy(self) -> tuple[Function, Function]:
        from jax import lax

        def conv(x: Any, w: Any) -> Any:
            return lax.conv_general_dilated(x, w, (1, 1), "SAME")

        def pool(x: Any) -> Any:
            window = (1, 1, 2, 2)
            return lax.reduce_window(x, -np.inf, lax.max, window, window, "VALID")

        return conv, pool

    def torch(self) -> tuple[Function, Function]:
        from torch.nn import functional

        def conv(x: Any, w: Any) -> Any:
            return functional.conv2d(x, w, padding="same")

        return conv, lambda x: functional.max_pool2d(x, 2)


def _relu(xp: Any, x: Any) -> Any:
    return xp.where(x > 0, x, xp.zeros_like(x))


def _cross_entropy(xp: Any, scores: Any, y: Any) -> Any:
    """Of rows of scores and one-hot rows."""
    logs = scores - xp.log(xp.sum(xp.exp(scores), axis=-1, keepdims=True))
    return -xp.sum(logs * y) / math.prod(y.shape[:-1])


def conv_net(xp: Any) -> Function:
    """Two convolutions with pools, and a linear layer."""

    def loss(params: Any, x: Any, y: Any) -> Any:
        layers = _Layers(xp)
        first, second, w = params
        x = layers.pool(_relu(xp, layers.conv(x, first)))
        x = layers.pool(_relu(xp, layers.conv(x, second)))
        return _cross_entropy(xp, xp.reshape(x, (x.shape[0], -1)) @ w, y)

    return loss


def conv_net_arguments(generator: np.random.Generator, batch: int = 32) -> tuple[Any, ...]:
    shapes = (16, 1, 5, 5), (32, 16, 5, 5), (32 * 7 * 7, 10)
    params = [generator.normal(size=shape) * 0.05 for shape in shapes]
    y = np.eye(10)[generator.integers(10, size=batch)]
    return params, generator.normal(size=(batch, 1, 28, 28)), y


def attention(xp: Any) -> Function:
    """A block of a transformer: attention of 4 heads to what lies before, and two layers."""

    def norm(x: Any) -> Any:
        x = x - xp.mean(x, axis=-1, keepdims=True)
        return x / xp.sqrt(xp.mean(x * x, axis=-1, keepdims=True) + 1e-5)

    def split(x: Any) -> Any:
        return xp.swapaxes(xp.reshape(x, (*x.shape[:-1], 4, x.shape[-1] // 4)), -2, -3)

    def loss(params: Any, x: Any, y: Any, mask: Any) -> Any:
        wq, wk, wv, wo, up, down = params
        z = norm(x)
        q, k, v = split(z @ wq), split(z @ wk), split(z @ wv)
        powers = xp.exp(q @ xp.swapaxes(k, -1, -2) / math.sqrt(q.shape[-1])) * mask
        mixed = (powers / xp.sum(powers, axis=-1, keepdims=True)) @ v
        x = x + xp.reshape(xp.swapaxes(mixed, -2, -3), x.shape) @ wo
        x = x + _relu(xp, norm(x) @ up) @ down
        return _cross_entropy(xp, x, y)

    return loss


def attention_arguments(
    generator: np.random.Generator, batch: int = 8, length: int = 64, width: int = 64
) -> tuple[Any, ...]:
    shapes = *(((width, width),) * 4), (width, 4 * width), (4 * width, width)
    params = [generator.normal(size=shape) / math.sqrt(width) for shape in shapes]
    y = np.eye(width)[generator.integers(width, size=(batch, length))]
    return params, generator.normal(size=(batch, length, width)), y, np.tri(length)


def lstm(xp: Any, scan: Function) -> Function:
    """A layer along all steps, and a linear layer."""

    def sigmoid(x: Any) -> Any:
        return 0.5 * xp.tanh(0.5 * x) + 0.5

    def loss(params: Any, start: Any, x: Any, y: Any) -> Any:
        wi, wh, b, w = params

        def cell(state: Any, x: Any) -> Any:
            h, c = state
            sums = x @ wi + h @ wh + b
            width = h.shape[1]
            i, f, g, o = (sums[:, width * n : width * (n + 1)] for n in range(4))
            c = sigmoid(f) * c + sigmoid(i) * xp.tanh(g)
            h = sigmoid(o) * xp.tanh(c)
            return (h, c), h

        _, outputs = scan(cell, (start, start), x)
        return _cross_entropy(xp, outputs @ w, y)

    return loss


def lstm_arguments(
    generator: np.random.Generator, batch: int = 32, width: int = 128
) -> tuple[Any, ...]:
    shapes = (32, 4 * width), (width, 4 * width), (4 * width,), (width, 64)
    params = [generator.normal(size=shape) / 8 for shape in shapes]
    y = np.eye(64)[generator.integers(64, size=(64, batch))]
    return params, np.zeros((batch, width)), generator.normal(size=(64, batch, 32)), y
