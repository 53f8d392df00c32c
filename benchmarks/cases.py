# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What is timed: scalar functions written once, over any library with NumPy's names."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

Function = Callable[..., Any]


@dataclass(frozen=True)
class Case:
    """One function and its arguments.

    Attributes:
        title: for the table.
        function: makes, from a library's namespace, the function of (parameters, *data).
        arguments: makes parameters, an array or a list of arrays, and data.
    """

    title: str
    function: Callable[[Any], Function]
    arguments: Callable[[np.random.Generator], tuple[Any, ...]]


def _digits(xp: Any) -> Function:
    def loss(params: Any, x: Any, y: Any) -> Any:
        w0, w1, b0, b1 = params
        h1 = xp.tanh(x @ w0 + b0)
        h2 = xp.tanh(h1 @ w1 + b1)
        yhat = h2 - xp.log(xp.sum(xp.exp(h2), axis=1, keepdims=True))
        return -xp.sum(yhat * y)

    return loss


def _digits_arguments(generator: np.random.Generator) -> tuple[Any, ...]:
    shapes = (64, 64), (64, 10), (64,), (10,)
    params = [0.1 * generator.normal(size=shape) for shape in shapes]
    return params, generator.random((32, 64)), np.eye(10)[generator.integers(10, size=32)]


def _rosenbrock(xp: Any) -> Function:
    return lambda x: xp.sum(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2)


def _logistic(xp: Any) -> Function:
    def loss(w: Any, x: Any, t: Any) -> Any:
        return xp.mean(xp.log1p(xp.exp(-t * (x @ w)))) + 0.01 * xp.sum(w * w)

    return loss


def _logistic_arguments(generator: np.random.Generator) -> tuple[Any, ...]:
    labels = np.where(generator.random(10_000) < 0.5, -1.0, 1.0)
    return 0.1 * generator.normal(size=100), generator.normal(size=(10_000, 100)), labels


def _chain(xp: Any) -> Function:
    return lambda x: xp.sum(xp.tanh(xp.sin(x) * xp.exp(-0.5 * x * x) + x))


def _logsumexp(xp: Any) -> Function:
    # torch.max returns positions as well.
    largest = xp.amax if xp.__name__ == "torch" else xp.max

    def loss(x: Any) -> Any:
        top = largest(x, axis=1, keepdims=True)
        return xp.sum(xp.log(xp.sum(xp.exp(x - top), axis=1)) + top[:, 0])

    return loss


CASES = {
    "digits": Case("demo model, batch of 32", _digits, _digits_arguments),
    "rosenbrock": Case("Rosenbrock, n = 4", _rosenbrock, lambda g: (g.normal(size=4),)),
    "logistic": Case("logistic regression, 10,000 x 100", _logistic, _logistic_arguments),
    "chain": Case("elementwise chain, 10^6", _chain, lambda g: (g.normal(size=10**6),)),
    "logsumexp": Case(
        "log-sum-exp, 1000 x 1000", _logsumexp, lambda g: (g.normal(size=(1000, 1000)),)
    ),
}
