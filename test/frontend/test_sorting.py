# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Sorted arrays and orders: values of all kinds against NumPy, and derivatives."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from devices import cuda, emulator
from test_breadth import agrees, same

import gradopt as go
from gradopt import errors

__all__ = ["cuda", "emulator"]

RNG = np.random.default_rng(21)
X = RNG.permutation(np.linspace(-2, 2, 60)).reshape(3, 4, 5)
NAN, INF = np.nan, np.inf
SPECIAL = np.array(
    [[3.0, NAN, -INF, 0.0, -0.0, INF, NAN], [-0.0, 0.0, 1.0, -1.0, NAN, 2.0, 1e-320]]
)
KINDS = ["?", *"bhilBHILfd", "F", "D"]


def sample(kind: str, shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
    """Numbers of which many are equal, with the ends of the range."""
    dtype = np.dtype(kind)
    if kind == "?":
        return RNG.integers(0, 2, shape).astype(bool)
    if dtype.kind in "iu":
        info = np.iinfo(dtype)
        few = RNG.integers(-3 if dtype.kind == "i" else 0, 4, shape).astype(dtype)
        ends = RNG.choice(np.array([info.min, info.max], dtype), shape)
        return np.where(RNG.random(shape) < 0.2, ends, few)
    few = np.round(RNG.normal(size=shape))
    if dtype.kind == "c":
        few = few + 1j * np.round(RNG.normal(size=shape))
    return few.astype(dtype)


def bits(x: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return np.frombuffer(np.ascontiguousarray(x).tobytes(), np.uint8)


def stable(x: np.ndarray[Any, Any], axis: Any) -> tuple[Any, Any]:
    """Where NumPy's stable sort takes elements from, and these: to the bit."""
    if axis is None:
        x, axis = x.ravel(), 0
    order = np.argsort(x, axis, kind="stable")
    return np.take_along_axis(x, order, axis), order


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [0, 1, 2, 3, 7, 60, 300, 3000])
def test_all_dtypes_and_sizes(kind: str, size: int) -> None:
    """Short rows are merged, long ones distributed; with and without indices."""
    x = sample(kind, (3, size))
    values, order = stable(x, -1)
    same(go.compile(lambda x: np.sort(x))(x), values)
    same(go.compile(lambda x: np.argsort(x))(x), order)
    both = go.compile(lambda x: (np.sort(x), np.argsort(x)))(x)
    same(both, (values, order))
    assert (bits(both[0]) == bits(values)).all()


@pytest.mark.parametrize("axis", [0, 1, 2, -1, -3, None])
def test_axes(axis: Any) -> None:
    for x in (X, np.asfortranarray(X), X[::2, ::-1], X[:, :0], X[:1, :1, :1]):
        agrees(lambda x: (np.sort(x, axis), np.argsort(x, axis)), x, order=0)
        agrees(lambda x: np.sort(x, axis=axis, kind="mergesort"), x)


@pytest.mark.parametrize("kind", ["f", "d"])
@pytest.mark.parametrize("repeat", [1, 100, 1000])
def test_special_values(kind: str, repeat: int) -> None:
    """NaN last, and zeros of both signs in the order in which they are."""
    x = np.repeat(SPECIAL, repeat, 1).astype(kind)
    x = RNG.permuted(x, axis=1)
    values, order = stable(x, -1)
    alone = go.compile(lambda x: np.sort(x))(x)
    both = go.compile(lambda x: (np.sort(x), np.argsort(x)))(x)
    np.testing.assert_array_equal(both[1], order)
    for found in (alone, both[0]):
        np.testing.assert_array_equal(found, values)
        assert (bits(found) == bits(values)).all()


@pytest.mark.parametrize("kind", ["F", "D"])
def test_complex_numbers_with_nan(kind: str) -> None:
    parts = np.array([1.0, -0.0, 0.0, NAN, INF, -INF, 2.0])
    x = (parts[:, None] + 1j * parts).astype(kind)
    x.imag = parts
    x = RNG.permutation(x.ravel())
    values, order = stable(x, -1)
    found = go.compile(lambda x: (np.sort(x), np.argsort(x)))(x)
    np.testing.assert_array_equal(found[1], order)
    assert (bits(found[0]) == bits(values)).all()


def test_special_nan_stay_what_they_are() -> None:
    """NaNs keep their signs and payloads, in their order."""
    payloads = np.array([0x7FF8000000000001, 0xFFF8000000000002, 0x7FFFFFFFFFFFFFFF], np.uint64)
    x = np.concatenate([payloads.view(float), [1.0, -1.0], payloads[::-1].view(float)])
    values, _ = stable(x, -1)
    assert (bits(go.compile(lambda x: np.sort(x))(x)) == bits(values)).all()


@pytest.mark.parametrize("size", [2, 5, 40, 700, 5000])
def test_numbers_that_differ_in_their_last_bits(size: int) -> None:
    """Alone, in groups of like numbers, and all of them alike in the first 32 bits."""
    steps = RNG.integers(0, 50, (4, size))
    steps[1] = RNG.integers(0, 2**31, size)
    close = 1.0 + steps * 2.0**-52
    close[2] += RNG.integers(-3, 3, size)
    close[3, ::2] = -close[3, ::2]
    large = steps + 2**40 * RNG.integers(-2, 3, (4, 1)) + 2**50 * (steps % 3)
    for x in (close, large, large.astype(np.uint64)):
        values, order = stable(x, -1)
        alone, both = (
            go.compile(lambda x: np.sort(x)),
            go.compile(lambda x: (np.sort(x), np.argsort(x))),
        )
        np.testing.assert_array_equal(alone(x), values)
        np.testing.assert_array_equal(both(x)[0], values)
        np.testing.assert_array_equal(both(x)[1], order)


def test_order_of_sorted_and_reversed_rows() -> None:
    rows = np.array([np.arange(900.0), np.arange(900.0)[::-1], np.ones(900)])
    same(go.compile(lambda x: (np.sort(x), np.argsort(x)))(rows), stable(rows, -1))


# -- Derivatives -------------------------------------------------------------------------------


@pytest.mark.parametrize("axis", [0, 1, -1, None])
def test_derivatives(axis: Any) -> None:
    weights = np.linspace(1, 3, 60).reshape(3, 4, 5)

    def f(x: Any) -> Any:
        ordered = np.sort(x * x * x, axis)
        return np.sum(np.sin(ordered) * np.reshape(weights, ordered.shape))

    go.gradcheck(f, (X,), order=2)
    order = np.argsort(X, axis)
    gradient = go.compile_grad(lambda x: np.sum(np.sort(x, axis) * weights.reshape(order.shape)))
    expected = np.zeros_like(X) if axis is not None else np.zeros(60)
    np.put_along_axis(expected, order, weights.reshape(order.shape), 0 if axis is None else axis)
    np.testing.assert_array_equal(gradient(X), expected.reshape(X.shape))


def test_ties_have_the_derivative_of_the_order_at_hand() -> None:
    x = np.array([2.0, 1.0, 2.0, 1.0])
    gradient = go.compile_grad(lambda x: np.sum(np.sort(x) * np.arange(1.0, 5)))(x)
    np.testing.assert_array_equal(gradient, [3, 1, 4, 2])


def test_complex_derivatives() -> None:
    z = RNG.normal(size=(2, 6)) + 1j * RNG.normal(size=(2, 6))
    weights = np.arange(1.0, 7)
    go.gradcheck(lambda z: np.sum(np.real(np.sort(z) ** 2 * weights)), (z,))


def test_orders_have_no_derivative() -> None:
    def f(x: Any) -> Any:
        return np.sum(x * np.argsort(x, 0))

    np.testing.assert_array_equal(go.compile_grad(f)(X), np.argsort(X, 0))


def test_mapped_and_in_loops() -> None:
    rows = X.reshape(12, 5)
    np.testing.assert_array_equal(go.vmap(lambda x: np.sort(x))(rows), np.sort(rows))
    np.testing.assert_array_equal(go.vmap(np.argsort, in_axes=1)(rows), np.argsort(rows.T))

    def f(x: Any) -> Any:
        for i in range(4):
            x = np.sort(np.sin(3 * x + i), axis=0)
        return x * x

    assert go.compile(f).lower(rows).loops()
    same(go.compile(f)(rows), f(rows))
    go.gradcheck(lambda x: np.sum(f(x)), (rows,), order=2)


# -- In place ----------------------------------------------------------------------------------


def test_sort_in_place() -> None:
    def f(x: Any) -> Any:
        x = x.copy()
        x[1].sort(axis=0)
        x[0, ::2].sort()
        view = x.T
        view.partition(1, axis=1)
        return x, x.argsort(axis=1), x.argpartition(2)

    agrees(f, X, order=0)
    agrees(lambda x: f(x)[0] ** 2, X)
    with pytest.raises(TypeError, match="NoneType"):
        go.compile(lambda x: x.copy().sort(axis=None))(X)


def test_sort_of_an_argument_is_written_back() -> None:
    def f(x: Any) -> None:
        x.sort()

    x = X.copy()
    go.compile(f)(x)
    np.testing.assert_array_equal(x, np.sort(X))


# -- More than sorting -------------------------------------------------------------------------


def test_partitions() -> None:
    for kth in (0, 2, -1, (1, 3)):
        found = go.compile(lambda x, kth=kth: np.partition(x, kth, axis=1))(X)
        order = go.compile(lambda x, kth=kth: np.argpartition(x, kth, axis=1))(X)
        expected = np.partition(X, kth, axis=1)
        places = np.atleast_1d(kth)
        np.testing.assert_array_equal(found[:, places], expected[:, places])
        np.testing.assert_array_equal(np.take_along_axis(X, order, 1), found)
    same(go.compile(lambda x: np.partition(x, 0))(X[:, :, :0]), X[:, :, :0])


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_lexsort(axis: int) -> None:
    keys = [
        RNG.integers(0, 3, (4, 30)),
        RNG.integers(0, 2, (4, 30)).astype(bool),
        X.reshape(-1)[:30],
    ]
    keys[2] = np.broadcast_to(np.round(keys[2]), (4, 30))
    agrees(lambda a, b, c: np.lexsort((a, b, c), axis=axis), *keys, order=0)
    agrees(lambda a, b: np.lexsort([a, b]), keys[0][0], keys[1][0], order=0)
    agrees(lambda a: np.lexsort(a), keys[0], order=0)


def test_sort_complex() -> None:
    for x in (X[0], X[0].astype("f"), sample("b", (2, 7)), sample("l", (9,)), sample("F", (2, 7))):
        agrees(lambda x: np.sort_complex(x), x, order=0)


def test_python_sorted_of_many() -> None:
    x = RNG.permutation(np.linspace(-3, 3.1, 40))

    def f(x: Any) -> Any:
        return sorted(x)[7] + sorted(x, key=abs)[3] ** 2 + sorted(x, reverse=True)[1]

    agrees(f, x)


# -- Errors ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("f", "kind", "text"),
    [
        (lambda x: np.sort(x, axis=3), errors.AxisError, "axis 3 is out of bounds"),
        (lambda x: np.sort(x[0, 0, 0]), errors.AxisError, "axis -1 is out of bounds"),
        (lambda x: np.sort(x, kind="bubble"), errors.KeywordError, "got 'bubble'"),
        (lambda x: np.sort(x, order="name"), errors.KeywordError, "has no fields"),
        (lambda x: np.sort(x, kind="stable", stable=True), errors.KeywordError, "same time"),
        (lambda x: np.partition(x, 5), errors.ShapeError, r"kth\(=5\) out of bounds \(5\)"),
        (lambda x: np.partition(x, 1.5), errors.DTypeError, "must be integer"),
        (lambda x: np.lexsort(()), TypeError, "need sequence of keys"),
        (lambda x: np.lexsort((x[0], x[1, :2])), errors.ShapeError, "same shape"),
    ],
)
def test_errors(f: Any, kind: type[Exception], text: str) -> None:
    with pytest.raises(kind, match=text):
        go.compile(f)(X)


@pytest.mark.parametrize("shape", [(9,), (700,), (3, 40), (5000,), (2, 1), (0, 3)])
def test_devices_sort(cuda: None, shape: tuple[int, ...]) -> None:
    """By a network, within one block of threads and across many."""
    x = RNG.choice(np.array([*np.linspace(-1, 1, 50), NAN, INF, -INF, 0.0, -0.0]), shape)

    def f(x: Any) -> Any:
        return np.sort(x), np.argsort(x, kind="stable"), np.sort(x, 0)

    got = [np.asarray(part) for part in go.compile(f)(go.asarray(x, device="cuda"))]
    same(tuple(got), f(x))
    assert (bits(got[0]) == bits(stable(x, -1)[0])).all()


def test_devices_take_medians_and_gradients(cuda: None) -> None:
    x = RNG.permutation(np.linspace(-1, 3, 600)).reshape(3, 200)

    def f(x: Any) -> Any:
        return np.sum(np.median(x, axis=1) ** 2) + np.quantile(x, 0.3) + np.sum(np.sort(x)[:, ::3])

    value, gradient = go.compile_value_and_grad(f)(go.asarray(x, device="cuda"))
    expected = go.compile_value_and_grad(f)(x)
    np.testing.assert_allclose(np.asarray(value), expected[0], rtol=1e-13)
    np.testing.assert_array_equal(np.asarray(gradient), expected[1])
