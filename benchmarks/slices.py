# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What the gradient of a loop over slices costs, beside the function itself.

Time and memory of the gradient should be a small multiple of the function's, whatever the number
of steps. For each case and number of steps: seconds of the first gradient call, microseconds of a
call of the function and of its gradient, and the bytes of their arenas.

    python benchmarks/slices.py [--steps 50 100 200 400] [case ...]

Inputs are so small that derivatives do not vanish in many steps of tanh: arithmetic on subnormal
numbers takes ten times as long, and would be what is measured.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import numpy as np

import gradopt as go

Case = Callable[[int], tuple[Callable[..., Any], tuple[Any, ...]]]


def small(*shape: int) -> np.ndarray[Any, Any]:
    return np.random.default_rng(0).normal(scale=0.01, size=shape)


def rows(steps: int) -> Any:
    def loss(x: Any) -> Any:
        h = np.zeros(x.shape[1])
        for t in range(steps):
            h = np.tanh(h + x[t])
        return np.sum(h)

    return loss, (small(steps, 64),)


def columns(steps: int) -> Any:
    def loss(x: Any) -> Any:
        p = np.ones(x.shape[0])
        for j in range(steps):
            p = p * x[:, j]
        return np.sum(p)

    return loss, (np.random.default_rng(0).uniform(0.9, 1.1, size=(1000, steps)),)


def elements(steps: int) -> Any:
    def loss(x: Any) -> Any:
        total = 0.0
        for i in range(steps):
            total = total + np.tanh(x[i])
        return total

    return loss, (np.random.default_rng(0).normal(size=steps),)


def diagonal(steps: int) -> Any:
    def loss(a: Any) -> Any:
        total = 0.0
        for i in range(steps):
            total = total + np.tanh(a[i, i])
        return total

    return loss, (np.random.default_rng(0).normal(size=(steps, steps)),)


def table(steps: int) -> Any:
    indices = np.random.default_rng(1).integers(0, 1000, size=(steps, 32))

    def loss(embedding: Any) -> Any:
        h = np.zeros((32, 16))
        for t in range(steps):
            h = np.tanh(h + embedding[indices[t]])
        return np.sum(h)

    return loss, (small(1000, 16),)


def windows(steps: int) -> Any:
    def loss(x: Any) -> Any:
        h = np.zeros(64)
        for t in range(steps):
            h = np.tanh(h + x[t : t + 64])
        return np.sum(h)

    return loss, (small(steps + 64),)


def matrices(steps: int) -> Any:
    def loss(w: Any, x: Any) -> Any:
        for t in range(steps):
            x = np.tanh(x @ w[t])
        return np.sum(x)

    rng = np.random.default_rng(0)
    return loss, (rng.normal(size=(steps, 64, 64)) / 8, rng.normal(size=(16, 64)))


def products(steps: int) -> Any:
    def loss(w: Any, x: Any) -> Any:
        h = np.zeros((16, 64))
        for t in range(steps):
            h = np.tanh(h @ w + x[t])
        return np.sum(h)

    w = np.random.default_rng(1).normal(size=(64, 64)) / 8
    return loss, (w, small(steps, 16, 64))


CASES: dict[str, Case] = {
    case.__name__: case
    for case in (rows, columns, elements, diagonal, table, windows, matrices, products)
}


def seconds(function: Callable[..., Any], arguments: tuple[Any, ...]) -> float:
    """The least time of a call, of calls that take about a fifth of a second together."""
    best, spent = float("inf"), 0.0
    while spent < 0.2:
        start = time.perf_counter()
        function(*arguments)
        taken = time.perf_counter() - start
        best, spent = min(best, taken), spent + taken
    return best


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cases", nargs="*", metavar="case", help=", ".join(CASES))
    parser.add_argument("--steps", type=int, nargs="+", default=[50, 100, 200, 400])
    options = parser.parse_args()
    print(f"{'case':10} {'steps':>6} {'first s':>8} {'f us':>9} {'grad us':>9} {'ratio':>6} "
          f"{'f arena':>10} {'grad arena':>10} {'arguments':>10}")  # fmt: skip
    for name in options.cases or CASES:
        for steps in options.steps:
            function, arguments = CASES[name](steps)
            primal, gradient = (
                go.compile(function, capture="trace"),
                go.compile_grad(function, capture="trace"),
            )
            primal(*arguments)
            start = time.perf_counter()
            gradient(*arguments)
            first = time.perf_counter() - start
            before, after = seconds(primal, arguments), seconds(gradient, arguments)
            memory = gradient.lower(*arguments).memory()
            print(
                f"{name:10} {steps:6} {first:8.2f} {before * 1e6:9.1f} {after * 1e6:9.1f} "
                f"{after / before:6.1f} {primal.lower(*arguments).memory().arena:10} "
                f"{memory.arena:10} {memory.arguments:10}",
                flush=True,
            )


if __name__ == "__main__":
    main()
