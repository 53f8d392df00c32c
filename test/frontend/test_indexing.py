# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Indexing: values against NumPy, derivatives against finite differences, and errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from budget import by_hypothesis
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import gradopt as go
from gradopt.errors import ConversionError, TraceIndexError

X = np.arange(60.0).reshape(3, 4, 5)
MASK = X[:, :, 0] % 3 == 0

BASIC: list[Any] = [
    0,
    -1,
    (1, 2, 3),
    (-1, -2, -3),
    slice(None),
    slice(1, 3),
    slice(None, None, 2),
    slice(None, None, -1),
    slice(2, None, -2),
    slice(-1, -10, -1),
    slice(5, 1),
    slice(1, 100),
    (slice(None), slice(None, None, -3), slice(4, 0, -2)),
    (..., 0),
    (0, ...),
    (..., slice(1, 2)),
    None,
    (None, ..., None),
    (slice(None), None, 1),
    (1, None, slice(None, None, 2), None, -1),
    (),
    ...,
    (np.int64(1), slice(np.int32(0), 2)),
    (0, slice(3, 3)),
]

ADVANCED: list[Any] = [
    [0, 2],
    [-1, 0, 0],
    np.array([[0, 1], [2, -3]]),
    ([0, 1], [1, -1]),
    ([0, 1], slice(None), [1, 2]),
    (slice(None), [0, 3, 3]),
    (slice(None), slice(None), [[0, 1], [4, 3]]),
    (0, slice(None), [1, 2]),
    (0, [1, 2]),
    (slice(None), 1, [1, 2]),
    ([[0], [1]], [[1, 2, 3]]),
    (..., [0, 1]),
    (slice(None), (0, 1)),
    range(2),
    ((),),
    (None, [0, 1]),
    ([0, 1], None, [1, 2]),
    (slice(None), [0, 2], ..., [1, 1]),  # the ellipsis stands for nothing, and parts them
    (slice(None), ..., [0, 2], [1, 1]),
    (slice(None, None, -1), [1, 1, 1, 0], slice(1, 3)),
    (slice(1, 3), [0, 2], None, [4, 4]),
    [],
    (slice(None), np.zeros((0, 2), int)),
    MASK,
    (MASK, 2),
    (slice(None), X[0, :, 0] > 5),
    X > 30,
    (np.uint8([1, 2]), np.array(1)),
]


def check(index: Any, x: np.ndarray[Any, Any] = X) -> None:
    actual = go.compile(lambda v: v[index])(x)
    expected = x[index]
    assert np.shape(actual) == expected.shape
    np.testing.assert_array_equal(actual, expected)


@pytest.mark.parametrize("index", BASIC, ids=repr)
def test_basic(index: Any) -> None:
    check(index)


@pytest.mark.parametrize("index", ADVANCED, ids=lambda i: repr(i)[:40])
def test_advanced(index: Any) -> None:
    check(index)


@by_hypothesis()
@given(st.data())
def test_any_index(data: st.DataObject) -> None:
    shape = data.draw(hnp.array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=4))
    x = np.arange(float(np.prod(shape))).reshape(shape)
    index = data.draw(hnp.basic_indices(shape, max_dims=5, allow_newaxis=True))
    check(index, x)
    if x.size:
        check(data.draw(hnp.integer_array_indices(shape)), x)


@st.composite
def mixed_indices(draw: Any, shape: tuple[int, ...]) -> tuple[Any, ...]:
    """Masks of one or more dimensions, single bools, integers, slices, new axes, an ellipsis."""
    seed = np.random.default_rng(draw(st.integers(0, 99)))
    before = draw(st.integers(0, len(shape)))
    hidden = draw(st.integers(0, len(shape) - before))
    sections = [shape[:before], shape[before + hidden :]]
    index: list[Any] = []
    for k, sizes in enumerate(sections):
        place = 0
        while place < len(sizes):
            size = sizes[place]
            kind = draw(st.sampled_from(["mask", "mask", "slice", "array", "int", "none", "bool"]))
            if kind == "mask":
                rank = draw(st.integers(1, len(sizes) - place))
                # Masks of one index select equally many elements, or one.
                mask = np.zeros(sizes[place : place + rank], bool)
                flat = mask.reshape(-1)
                flat[seed.permutation(flat.size)[: draw(st.sampled_from([1, 2]))]] = True
                index.append(mask if draw(st.booleans()) else mask.tolist())
                place += rank
                continue
            if kind == "none":
                index.append(None)
                continue
            if kind == "bool":
                index.append(draw(st.sampled_from([True, np.True_, np.array(True), False])))
                continue
            if kind == "slice":
                index.append(slice(None, None, draw(st.sampled_from([1, -1, 2]))))
            elif kind == "array":
                index.append(seed.integers(-size, size, 2))
            else:
                index.append(int(seed.integers(-size, size)))
            place += 1
        if k == 0 and (hidden or draw(st.booleans())):
            index.append(...)
    return tuple(index)


@by_hypothesis(150)
@given(st.data())
def test_masks_among_other_indices(data: st.DataObject) -> None:
    shape = tuple(data.draw(st.lists(st.integers(1, 3), min_size=1, max_size=4)))
    x = np.arange(1.0, 1 + np.prod(shape)).reshape(shape)
    index = data.draw(mixed_indices(shape))

    def write(v: Any) -> Any:
        y = v * 1.0
        y[index] = 7.5
        return y

    try:
        x[index]
    except IndexError:
        with pytest.raises((TraceIndexError, ValueError)):
            go.compile(lambda v: v[index])(x)
        return
    check(index, x)
    np.testing.assert_array_equal(go.compile(write)(x), write(x))
    counts = np.zeros(shape)
    np.add.at(counts, index, 1)
    np.testing.assert_array_equal(go.grad(lambda v: np.sum(v[index]))(x), counts)


def test_masks_must_fit_where_they_stand() -> None:
    for index in (
        (..., np.array([True, False])),
        (..., np.ones((4, 3), bool)),
        (np.ones(3, bool), ..., np.ones(4, bool)),
        (slice(None), np.ones((5, 4), bool)),
        (True, np.ones(4, bool)),
    ):
        with pytest.raises(IndexError):
            X[index]
        with pytest.raises(TraceIndexError, match="does not match the indexed shape"):
            go.compile(lambda x, i=index: x[i])(X)


@pytest.mark.parametrize(
    "index",
    [
        (9, np.array(False)),
        (-4, np.zeros(0, int)),
        (False, -4, slice(4, 4, -2)),
        (slice(None), np.zeros(0, int), 5),
        (0, 0, 0, 0, np.array(True)),
    ],
    ids=repr,
)
def test_numbers_beside_indices_of_nothing_are_checked(index: Any) -> None:
    with pytest.raises(IndexError):
        X[index]
    with pytest.raises(TraceIndexError, match=r"out of bounds|too many indices"):
        go.compile(lambda x: x[index])(X)


def test_traced_index() -> None:
    f = go.compile(lambda x, i, j: (x[i], x[:, j], x[i, 1:3, j], x[i, j], x[..., i, None]))
    for i, j in ((0, 1), (2, -1), (-3, 3)):
        actual = f(X, np.int64(i), j)
        expected = (X[i], X[:, j], X[i, 1:3, j], X[i, j], X[..., i, None])
        for a, e in zip(actual, expected, strict=True):
            np.testing.assert_array_equal(a, e)


def test_traced_index_arrays() -> None:
    f = go.compile(lambda x, i: (x[i], x[:, i], x[i, 0], np.take(x, i, axis=2), x[0, i, :]))
    i = np.array([[0, -1], [2, 1]])
    for a, e in zip(
        f(X, i), (X[i], X[:, i], X[i, 0], np.take(X, i, axis=2), X[0, i, :]), strict=True
    ):
        np.testing.assert_array_equal(a, e)


@pytest.mark.parametrize(
    "index",
    [(slice(None, None, -2), 1), ([0, 0, 2], slice(None), [1, 1, 2]), (slice(1, 3), [0, 2], None)],
    ids=repr,
)
def test_derivative(index: Any) -> None:
    go.gradcheck(lambda x: np.sin(x[index] / 9), (X,))


def test_derivative_of_a_traced_index() -> None:
    go.gradcheck(lambda x, i: np.sin(x[i] * x[i[::-1]] / 9), (X[:, 0, 0], np.array([0, 2, 2])))
    go.gradcheck(lambda x, i: x[i] ** 2, (X[:, 0, 0], 1), argnums=0)


def test_errors_name_the_line() -> None:
    def out_of_bounds(x: Any) -> Any:
        return x[0, 7]

    with pytest.raises(
        TraceIndexError, match=r"index 7 is out of bounds for axis 1 with size 4"
    ) as e:
        go.compile(out_of_bounds)(X)
    assert "return x[0, 7]" in str(e.value)
    assert "^" in str(e.value)
    with pytest.raises(IndexError, match="out of bounds"):
        go.compile(lambda x: x[[0, 3]])(X)
    with pytest.raises(TraceIndexError, match="too many indices"):
        go.compile(lambda x: x[0, 0, 0, 0])(X)
    with pytest.raises(TraceIndexError, match="single ellipsis"):
        go.compile(lambda x: x[..., ...])(X)
    with pytest.raises(TraceIndexError, match="integer type, not float64"):
        go.compile(lambda x: x[x[0, 0].astype(float)])(X)
    with pytest.raises(TraceIndexError, match="does not match the indexed shape"):
        go.compile(lambda x: x[np.array([True, False])])(X)
    with pytest.raises(ConversionError, match="step of a slice"):
        go.compile(lambda x, n: x[::n])(X, np.int64(2))
