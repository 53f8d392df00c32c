# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""einsum and multi_dot multiply in the cheapest order, and as NumPy does in any."""

from __future__ import annotations

import functools
import itertools
import math
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from budget import by_hypothesis
from hypothesis import given
from hypothesis import strategies as st

import gradopt as go
from gradopt import errors
from gradopt.functions.contraction_order import chain_splits

SIZES = {"a": 2, "b": 3, "c": 1, "d": 4, "e": 2}
RNG = np.random.default_rng(7)


def values(*shapes: tuple[int, ...]) -> list[Any]:
    return [RNG.normal(size=shape) for shape in shapes]


def product_sizes(lowered: Any) -> list[int]:
    """Elements of each intermediate product."""
    types = re.findall(r"grad\.dot_general.*-> tensor<(\S+)x?f64>|grad\.dot_general.*-> tensor<f64>", lowered.mlir())  # fmt: skip
    return [math.prod(int(n) for n in shape.split("x") if n) for shape in types]


@by_hypothesis(60)
@given(st.data())
def test_random_sums_are_numpys(data: st.DataObject) -> None:
    count = data.draw(st.integers(1, 5))
    term = st.lists(st.sampled_from("abcde"), max_size=3, unique=data.draw(st.booleans()))
    terms = ["".join(data.draw(term)) for _ in range(count)]
    labels = sorted(set("".join(terms)))
    output = "".join(data.draw(st.lists(st.sampled_from(labels), unique=True))) if labels else ""
    subscripts = ",".join(terms) + "->" + output
    arrays = values(*[tuple(SIZES[label] for label in term) for term in terms])
    options: list[Any] = [False, True, "greedy", "optimal", ("greedy", 2)]
    expected = np.einsum(subscripts, *arrays)
    for optimize in options:
        compiled = go.compile(lambda *x, o=optimize: np.einsum(subscripts, *x, optimize=o))
        np.testing.assert_allclose(compiled(*arrays), expected, rtol=1e-12, atol=1e-12)


def test_paths_are_followed() -> None:
    arrays = values((2, 30), (30, 3), (3, 40))
    for path in (
        ["einsum_path", (0, 1), (0, 1)],
        ["einsum_path", (1, 2), (0, 1)],
        ["einsum_path", (0, 2), (0, 1)],
        ["einsum_path", (0, 1, 2)],
    ):
        f = go.compile(lambda a, b, c, p=path: np.einsum("ij,jk,kl->il", a, b, c, optimize=p))
        np.testing.assert_allclose(f(*arrays), functools.reduce(np.dot, arrays), rtol=1e-12)
        first = {(0, 1): 2 * 3, (1, 2): 30 * 40, (0, 2): 2 * 30 * 3 * 40, (0, 1, 2): 2 * 3}
        assert product_sizes(f.lower(*arrays))[0] == first[path[1]]
    wrong: list[Any] = ["bogus", ["einsum_path", (0, 5)], ["einsum_path", (0, 1)], 3.5, ("greedy",)]
    for optimize in wrong:
        with pytest.raises(errors.KeywordError, match="optimize="):
            go.compile(lambda a, b, c, o=optimize: np.einsum("ij,jk,kl->il", a, b, c, optimize=o))(*arrays)  # fmt: skip


@pytest.mark.parametrize("optimize", [False, True, "greedy", "optimal"])
def test_no_large_temporaries(optimize: Any) -> None:
    n = 20
    a = np.ones((n, n))
    for subscripts in ("ij,kl,jk->il", "kl,ij,jk->il", "ij,kl,jk,lm->im", "ab,cd,bc,de,ea->", "ij,k,k->i"):  # fmt: skip
        arrays = [a if len(term) == 2 else a[0] for term in subscripts.split("->")[0].split(",")]
        f = go.compile(lambda *x, s=subscripts: np.einsum(s, *x, optimize=optimize))
        assert max(product_sizes(f.lower(*arrays))) <= n * n
        assert f.lower(*arrays).memory().arena <= 8 * 4 * n * n
        gradient = go.compile_grad(lambda *x, s=subscripts: np.sum(np.einsum(s, *x, optimize=optimize)), argnums=tuple(range(len(arrays))))  # fmt: skip
        assert gradient.lower(*arrays).memory().arena <= 8 * 12 * n * n


def test_many_operands_and_labels() -> None:
    arrays = values(*[(2, 2)] * 30)
    chain: list[Any] = []
    for i, array in enumerate(arrays):
        chain += [array, [i, i + 1]]
    expected = functools.reduce(np.dot, arrays)

    def f(*x: Any) -> Any:
        operands: list[Any] = []
        for i, array in enumerate(x):
            operands += [array, [i, i + 1]]
        return np.einsum(*operands, [0, 30])

    np.testing.assert_allclose(go.compile(f)(*arrays), expected, rtol=1e-10)


def cost_of(sizes: Sequence[int], order: Sequence[int]) -> int:
    """Multiplications of a chain whose inner dimensions are summed in this order."""
    remaining = dict(enumerate(sizes))
    total = 0
    for place in order:
        keys = sorted(remaining)
        i = keys.index(place)
        total += remaining[keys[i - 1]] * remaining[place] * remaining[keys[i + 1]]
        del remaining[place]
    return total


@by_hypothesis(60)
@given(st.lists(st.integers(1, 9), min_size=3, max_size=6))
def test_chains_are_multiplied_in_the_cheapest_order(sizes: list[int]) -> None:
    arrays = values(*itertools.pairwise(sizes))
    lowered = go.compile(lambda *x: np.linalg.multi_dot(x)).lower(*arrays)
    splits = chain_splits(sizes)

    def cost(i: int, j: int) -> int:
        if i == j:
            return 0
        k = splits[i, j]
        return cost(i, k) + cost(k + 1, j) + sizes[i] * sizes[k + 1] * sizes[j + 1]

    inner = range(1, len(sizes) - 1)
    best = min(cost_of(sizes, order) for order in itertools.permutations(inner))
    assert cost(0, len(sizes) - 2) == best
    result, expected = lowered.compile()(*arrays), np.linalg.multi_dot(arrays)
    # Rounding errors are relative to the terms of the sums, which may cancel.
    bound = np.linalg.multi_dot([np.abs(array) for array in arrays])
    assert np.all(np.abs(result - expected) <= 1e-13 * bound)


def test_chains_with_vectors() -> None:
    a, b, c, v = values((5, 2), (2, 6), (6, 3), (3,))
    for chain in ([a[:, 0], a, b], [a, b, c, v], [a[:, 1], a, b, c, v], [v, v], [a, b], [v, c.T, b.T]):  # fmt: skip
        actual = go.compile(lambda *x: np.linalg.multi_dot(x))(*chain)
        expected = np.linalg.multi_dot(chain)
        assert np.shape(actual) == np.shape(expected)
        np.testing.assert_allclose(actual, expected, rtol=1e-12)
    for wrong in ([a, v, c], [a], [a, a]):
        with pytest.raises(ValueError, match=r"array|aligned"):
            np.linalg.multi_dot(wrong)
        with pytest.raises(errors.ShapeError):
            go.compile(lambda *x: np.linalg.multi_dot(x))(*wrong)
    thin, wide = np.ones((300, 4)), np.ones((4, 300))
    lowered = go.compile(lambda a, b: np.linalg.multi_dot([a, b, a])).lower(thin, wide)
    assert product_sizes(lowered) == [16, 1200]
    assert go.gradcheck(lambda a, b, c: np.linalg.multi_dot([a, b, c]), (a, b, c))
