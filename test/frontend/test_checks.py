# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Traced indices out of bounds raise as in NumPy, in every transform, at the user's line."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pytest

import gradopt as go
from gradopt.errors import TraceIndexError

X = np.arange(12.0).reshape(3, 4)


def column(x: Any, i: Any) -> Any:
    return x[:, i]


def total(x: Any, i: Any) -> Any:
    return np.sum(x[:, i] ** 2)


def pick(x: Any, i: Any) -> Any:
    return x[np.arange(3), i]


@pytest.mark.parametrize("f", [column, pick])
@pytest.mark.parametrize("index", [0, 3, -1, -4])
def test_indices_within_bounds(f: Any, index: int) -> None:
    index_array = np.array([index, 1, -2])
    compiled = go.compile(f)
    np.testing.assert_array_equal(compiled(X, index), f(X, index))
    np.testing.assert_array_equal(compiled(X, index_array), f(X, index_array))
    np.testing.assert_array_equal(compiled(X, index_array.astype(np.int8)), f(X, index_array))


@pytest.mark.parametrize("index", [4, -5, 2**40, np.iinfo(np.int64).min, np.iinfo(np.int64).max])
@pytest.mark.parametrize("shape", [(), (3,)])
@pytest.mark.parametrize(
    "call",
    [
        lambda i: go.compile(column)(X, i),
        lambda i: go.compile(pick)(X, i),
        lambda i: go.compile_grad(total)(X, i),
        lambda i: go.grad(total)(X, i),
        lambda i: go.value_and_grad(lambda x: (total(x, i), i), has_aux=True)(X),
        lambda i: go.compile(lambda x, i: go.value_and_grad(total)(x, i))(X, i),
        lambda i: go.compile(
            lambda x, i: go.grad(lambda s: go.grad(lambda t: total(x, i) * t**3)(s))(2.0)
        )(X, i),
        lambda i: go.jvp(column, (X, i), (X, np.zeros_like(i))),
        lambda i: go.compile(lambda x, i: go.vjp(lambda x: column(x, i), x)[1](x[:, i]))(X, i),
    ],
)
def test_indices_out_of_bounds(call: Any, index: int, shape: tuple[int, ...]) -> None:
    indices = np.full(shape, index) if shape else np.int64(index)
    if shape:
        indices[0] = 1
    with pytest.raises(
        TraceIndexError, match=f"index {index} is out of bounds for axis 1 with size 4"
    ) as raised:
        call(indices)
    location = raised.value.location
    assert location is not None
    assert location.file == __file__
    assert location.function in ("column", "total", "pick")


def test_first_failure_counts_and_calls_go_on() -> None:
    f = go.compile(lambda x, i, j: x[i] + x[0, j])
    with pytest.raises(IndexError, match="index 7 is out of bounds for axis 0 with size 3"):
        f(X, 7, 9)
    with pytest.raises(IndexError, match="index 9 is out of bounds for axis 1 with size 4"):
        f(X, 2, 9)
    np.testing.assert_array_equal(f(X, 2, 3), X[2] + 3)


def test_results_keep_their_structure() -> None:
    class Pair(NamedTuple):
        first: Any
        second: Any

    plain = go.compile(lambda x, i: {"a": (x[i], None), "b": [x[i, 0]]})(X, 1)
    assert plain.keys() == {"a", "b"}
    assert plain["a"][1] is None
    assert isinstance(plain["b"], list)
    pair = go.compile(lambda x, i: Pair(x[i], i))(X, 1)
    assert isinstance(pair, Pair)
    assert pair.second == 1
    empty = go.compile(lambda x, i: x[i])(X, np.zeros((0,), dtype=int))
    assert empty.shape == (0, 4)
