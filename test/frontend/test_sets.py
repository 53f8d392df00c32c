# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Unique elements and sets, whose size is known at run time only."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from test_breadth import agrees, same

import gradopt as go
from gradopt import errors

RNG = np.random.default_rng(23)
NAN = np.nan
INTS = RNG.integers(-4, 5, (4, 6))
FLOATS = np.round(RNG.normal(size=(4, 6)), 1)
SAMPLES = [
    *(INTS, INTS.astype("u1"), INTS > 0, FLOATS, np.round(FLOATS).astype("F"), np.zeros(0)),
    *(np.array([NAN, 1.0, NAN, -0.0, 0.0, 1.0]), np.array(5.0), np.zeros((0, 3)), np.ones(7)),
]
ROWS = np.array([[1, 2, 0], [0, 1, 2], [1, 2, 0], [1, -1, 3], [0, 1, 2]])


@pytest.mark.parametrize("x", SAMPLES, ids=lambda x: f"{x.dtype}{list(x.shape)}")
def test_unique(x: np.ndarray[Any, Any]) -> None:
    agrees(lambda x: np.unique(x), x, order=0)
    agrees(lambda x: np.unique(x, True, True, True), x, order=0)
    agrees(lambda x: np.unique(x, return_inverse=True), x, order=0)
    agrees(lambda x: np.unique(x, return_counts=True, equal_nan=False), x, order=0)


def test_unique_complex_nan() -> None:
    z = np.array([NAN + 1j, 1 + 1j, 1j * NAN, 1 + 1j, NAN + 0j])
    same(go.compile(lambda z: np.unique(z, return_counts=True)[1])(z), np.array([2, 3]))


@pytest.mark.parametrize("axis", [0, 1, -1])
@pytest.mark.parametrize("kind", ["l", "d", "?", "D"])
def test_unique_slices(axis: int, kind: str) -> None:
    x = np.moveaxis(np.stack([ROWS, ROWS[::-1]], 2), 0, axis).astype(kind)
    agrees(lambda x: np.unique(x, axis=axis), x, order=0)
    agrees(lambda x: np.unique(x, True, True, True, axis), x, order=0)
    agrees(lambda x: np.unique(x, axis=0), x[:0], order=0)
    agrees(lambda x: np.unique(x, axis=0, return_counts=True), x[:, 0, 0], order=0)


@pytest.mark.parametrize("name", ["unique_all", "unique_counts", "unique_inverse", "unique_values"])
def test_unique_of_the_array_api(name: str) -> None:
    function = getattr(np, name)
    for x in (INTS, np.array([2.0, NAN, 2.0, NAN])):
        expected = function(x)
        if name == "unique_values":
            expected = np.sort(expected)
        got = go.compile(lambda x: function(x))(x)
        assert type(got) is type(expected)
        same(
            tuple(got) if isinstance(got, tuple) else got,
            tuple(expected) if isinstance(got, tuple) else expected,
        )


PAIRS = [
    (INTS, INTS[1:] + 3),
    (FLOATS, FLOATS[:2] + 0.5),
    (INTS, FLOATS),
    (np.array([NAN, 1.0, 2.0]), np.array([2.0, NAN, 3.0, NAN])),
    (INTS.astype("i1"), INTS.astype("u1") + 100),
    (INTS, np.zeros(0, int)),
    (np.zeros(0), np.zeros(0)),
    (np.zeros(0), FLOATS),
    (INTS > 0, np.array([True])),
]


@pytest.mark.parametrize("name", ["union1d", "intersect1d", "setdiff1d", "setxor1d"])
@pytest.mark.parametrize(("x", "y"), PAIRS)
def test_sets(name: str, x: Any, y: Any) -> None:
    f = getattr(np, name)
    agrees(lambda x, y: f(x, y), x, y, order=0)
    agrees(lambda x: f(x, y), x, order=0)
    if name == "intersect1d":
        agrees(lambda x, y: f(x, y, return_indices=True), x, y, order=0)
    if name != "union1d":
        one, other = np.unique(x)[::-1].copy(), np.unique(y)
        agrees(lambda x, y: f(x, y, True), one, other, order=0)


@pytest.mark.parametrize(("x", "y"), PAIRS)
def test_isin(x: Any, y: Any) -> None:
    agrees(lambda x, y: (np.isin(x, y), np.isin(x, y, invert=True)), x, y, order=0)
    agrees(lambda x: np.isin(x, [1, 2]), x, order=0)
    agrees(lambda x: np.isin(x, y, kind="sort"), x, order=0)


def test_trim_zeros() -> None:
    x = np.array([0, 0, 1.5, 0, 2, 0])
    for trim in ("fb", "f", "b", "bf", "FB"):
        agrees(lambda x, trim=trim: np.trim_zeros(x, trim), x, order=0)
        agrees(lambda x, trim=trim: np.trim_zeros(x, trim), 0 * x, order=0)
    agrees(lambda x: np.trim_zeros(x), np.array([0, NAN, 0]), order=0)
    agrees(lambda x: np.trim_zeros(x), np.zeros(0), order=0)
    table = np.zeros((4, 5))
    table[1, 2:4] = 3
    for axis in (None, 0, 1, (0, 1)):
        agrees(lambda x, axis=axis: np.trim_zeros(x, axis=axis), table, order=0)


def test_derivatives() -> None:
    x = RNG.permutation(np.linspace(-1, 2, 12))
    go.gradcheck(lambda x: np.sum(np.sin(np.unique(x) ** 2)), (x,), order=2)
    go.gradcheck(lambda x: np.sum(np.unique(x, axis=0) ** 3), (x.reshape(6, 2),))
    go.gradcheck(lambda x: np.sum(np.union1d(x, x + 10) ** 2), (x,))
    go.gradcheck(lambda x: np.sum(np.setdiff1d(x, x[:5]) ** 2), (x,))
    go.gradcheck(lambda x: np.sum(np.trim_zeros(x) ** 2), (np.array([0, 1.0, 2.0, 0]),))
    # Of equal elements the first one.
    tied = np.array([2.0, 1.0, 2.0, 1.0])
    gradient = go.compile_grad(lambda x: np.sum(np.unique(x) * 3))(tied)
    np.testing.assert_array_equal(gradient, [3, 3, 0, 0])


def test_numbers_of_unique_elements() -> None:
    def f(x: Any) -> Any:
        values, counts = np.unique(x, return_counts=True)
        share = counts / x.size
        return -np.sum(share * np.log(share)), values.size

    same(go.compile(f)(INTS), f(INTS))


def test_errors() -> None:
    for f, kind, text in (
        (lambda x: np.trim_zeros(x, "x"), errors.KeywordError, "unexpected character"),
        (lambda x: np.unique(x, axis=3), errors.AxisError, "out of bounds"),
        (lambda x: np.isin(x, x, kind="hash"), errors.KeywordError, "Invalid kind"),
    ):
        with pytest.raises(kind, match=text):
            go.compile(f)(INTS)
