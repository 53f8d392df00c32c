# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Fusion on random graphs of elementwise operations, broadcasts, reductions and products.

Values are used several times and by several results, which is what makes loops merge. Everything
runs through the whole pipeline and is compared with NumPy.
"""

import math
from collections.abc import Iterator, Sequence
from typing import TypeVar

import numpy as np
import pytest
from budget import by_hypothesis, by_seed, generator
from hypothesis import given
from hypothesis import strategies as st

import gradopt as go

T = TypeVar("T")
UNARY = (np.sin, np.tanh, np.negative, lambda x: np.exp(-x * x), lambda x: 1.0 / (2.0 + x * x))
BINARY = (np.add, np.subtract, np.multiply, np.maximum, lambda a, b: np.where(a < b, a, b))
SHAPES = ((5, 7), (7,), (5, 1), (5, 5))
# Each of the large ones exceeds the cache that grad-block-loops works in.
LARGE_SHAPES = ((300, 400), (400,), (300, 1), (300, 300))


def graph(choices: Sequence[int], inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Grows a graph from `inputs` as `choices` tell; returns three of its values."""
    numbers: Iterator[int] = iter(choices)
    values = list(inputs)
    shapes = [v.shape for v in inputs]

    def pick(options: Sequence[T]) -> T:
        return options[next(numbers, 0) % len(options)]

    def step() -> np.ndarray:
        kind = next(numbers, 0) % 9
        a = pick(values)
        if kind <= 1:
            return pick(UNARY)(a)
        if kind <= 4:
            limit = math.prod(shapes[0])
            return pick(BINARY)(a, pick([v for v in values if fits(v.shape, a.shape, limit)]))
        if kind == 5 and a.ndim:
            return np.sum(a, axis=pick(range(a.ndim)), keepdims=bool(pick([0, 1]))) / 7.0
        if kind == 6:
            return np.max(a) - a if a.ndim else a
        if kind == 7:
            return a.T
        square = [v for v in values if v.shape == shapes[-1]]
        wide = [v for v in values if v.ndim == 2 and v.shape[0] == shapes[-1][0]]
        return np.tanh(pick(square) @ pick(wide))

    for _ in range(len(choices) // 4):
        values.append(step())
    return [values[-1], pick(values), pick(values)]


def fits(a: tuple[int, ...], b: tuple[int, ...], limit: int) -> bool:
    try:
        return math.prod(np.broadcast_shapes(a, b)) <= limit
    except ValueError:
        return False


def check(choices: Sequence[int], shapes: Sequence[tuple[int, ...]] = SHAPES) -> None:
    rng = generator(len(choices))
    inputs = [rng.uniform(-1.0, 1.0, shape) for shape in shapes]
    expected = graph(choices, inputs)
    actual = go.compile(lambda *arrays: graph(choices, arrays))(*inputs)
    for a, e in zip(actual, expected, strict=True):
        np.testing.assert_allclose(a, e, rtol=1e-9, atol=1e-11)


@by_hypothesis()
@given(st.lists(st.integers(0, 2519), min_size=4, max_size=80))
def test_random_graphs(choices: list[int]) -> None:
    check(choices)


@by_seed(6)
def test_large_graphs(seed: int) -> None:
    check(generator(seed).integers(0, 2520, 200).tolist())


@by_seed(12)
def test_large_arrays(seed: int) -> None:
    rng = generator(seed)
    check(rng.integers(0, 2520, rng.integers(20, 120)).tolist(), LARGE_SHAPES)


@pytest.mark.parametrize("length", [20, 80])
def test_long_chains_are_not_repeated(length: int) -> None:
    """Each link is cheap and read by another loop, too: copies of copies would be quadratic."""

    def chain(x: np.ndarray) -> list[np.ndarray]:
        results = []
        total = x[0]
        for i in range(1, length):
            total = np.maximum(total, x[i])
            results.append(x * total)
        return results

    lowered = go.compile(chain, capture="trace").lower(np.ones(length))
    before, after = (lowered.mlir(s).count("maximum") for s in ("simplified", "linalg"))
    assert before == length - 1
    # A copy repeats at most the 8 operations that count as cheap.
    assert after <= 9 * before


@pytest.mark.parametrize("length", [20, 60])
def test_cotangents_of_windows_are_not_repeated(length: int) -> None:
    """Each is read by the next one and by a sum, and the sums wait for one another."""

    def loss(x: np.ndarray) -> np.floating:
        h = np.zeros(64)
        for t in range(length):
            h = np.tanh(h + x[t : t + 64])
        return np.sum(h)

    lowered = go.compile_grad(loss, capture="trace").lower(np.ones(length + 64))
    before, after = lowered.mlir("simplified"), lowered.mlir("linalg")
    assert before.count("grad.multiply") == 2 * length - 1
    assert after.count("arith.mulf") <= 2.5 * length


def test_steps_of_long_loops_fuse_as_those_of_short_ones() -> None:
    """All steps read one large array, by which any two of their loops could be merged."""

    def nests(steps: int) -> int:
        def loss(a: np.ndarray, state: np.ndarray) -> np.ndarray:
            for t in range(steps):
                terms = state[:, None] + a
                top = np.max(terms, axis=0)
                state = np.log(np.sum(np.exp(terms - top), axis=0)) + top + a[:, t % 8]
            return np.sum(state)

        lowered = go.compile_grad(loss, (0, 1)).lower(np.ones((8, 8)), np.ones(8))
        return lowered.mlir("linalg").count("linalg.generic")

    short, middle, long = nests(16), nests(32), nests(64)
    assert long - middle <= 2 * (middle - short) + 2
    assert middle <= 7 * 32
