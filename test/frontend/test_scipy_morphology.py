# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Morphology in gradopt.scipy.ndimage against SciPy; derivatives against differences."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import scipy.ndimage

import gradopt as go
from gradopt.errors import ArgumentError, ConversionError, ShapeError, UnsupportedError
from gradopt.scipy import ndimage

RNG = np.random.default_rng(5)
X = RNG.normal(size=(6, 7))
BITS = RNG.random((8, 9)) < 0.6
FOOT = np.array([[1, 0, 1], [1, 1, 0]], bool)
HEIGHTS = RNG.normal(size=(2, 3))
GREY = (
    *("grey_erosion", "grey_dilation", "grey_opening", "grey_closing", "white_tophat"),
    *("black_tophat", "morphological_gradient", "morphological_laplace"),
)
BINARY = ("binary_erosion", "binary_dilation", "binary_opening", "binary_closing")


def agrees(found: Any, wanted: Any) -> None:
    assert np.shape(found) == np.shape(wanted)
    assert found.dtype == wanted.dtype
    np.testing.assert_allclose(found, wanted, 1e-13, 1e-13)


@pytest.mark.parametrize("name", GREY)
def test_grey_values(name: str) -> None:
    ours, theirs = getattr(ndimage, name), getattr(scipy.ndimage, name)
    uses: list[dict[str, Any]] = [
        {"size": 3}, {"size": (2, 3), "mode": "nearest"}, {"footprint": FOOT, "mode": "wrap"},
        {"footprint": FOOT, "structure": HEIGHTS, "mode": "constant", "cval": 0.5},
    ]  # fmt: skip
    for rest in uses:
        agrees(ours(X, **rest), theirs(X, **rest))
    agrees(ours((9 * X).astype(np.int32), size=3), theirs((9 * X).astype(np.int32), size=3))


def test_grey_values_have_derivatives() -> None:
    def made(x: Any, heights: Any) -> list[Any]:
        rest: dict[str, Any] = {"footprint": FOOT, "structure": heights}
        return [ndimage.grey_erosion(x, **rest) ** 2, ndimage.white_tophat(x, **rest)]

    go.gradcheck(made, (X[:3, :4], HEIGHTS), argnums=(0, 1))
    go.gradcheck(lambda x: ndimage.rank_filter(x, 2, footprint=FOOT) ** 2, (X[:3, :4],), order=2)


def test_orders() -> None:
    uses: list[dict[str, Any]] = [
        {"size": 3}, {"footprint": FOOT, "mode": "mirror", "origin": (-1, 1)},
    ]  # fmt: skip
    for rest in uses:
        for rank in (0, 2, -1):
            want = scipy.ndimage.rank_filter(X, rank, **rest)
            agrees(ndimage.rank_filter(X, rank, **rest), want)
        for part in (0, 30, -20, 100):
            want = scipy.ndimage.percentile_filter(X, part, **rest)
            agrees(ndimage.percentile_filter(X, part, **rest), want)


@pytest.mark.parametrize("name", BINARY)
def test_binary(name: str) -> None:
    ours, theirs = getattr(ndimage, name), getattr(scipy.ndimage, name)
    uses: list[dict[str, Any]] = [
        {}, {"structure": FOOT, "origin": (0, 1)}, {"iterations": 2, "border_value": 1},
        {"structure": np.ones((2, 2)), "mask": RNG.random(BITS.shape) < 0.8},
    ]  # fmt: skip
    for rest in uses:
        agrees(ours(BITS, **rest), theirs(BITS, **rest))
    agrees(ours(np.where(BITS, X[0, 0], 0.0)), theirs(BITS))


def test_until_nothing_changes() -> None:
    ring = np.zeros((7, 8), bool)
    ring[1:6, 1:6] = True
    ring[2:5, 2:5] = False
    ring[3, 7] = True
    agrees(ndimage.binary_fill_holes(ring), scipy.ndimage.binary_fill_holes(ring))
    seed = np.zeros_like(ring)
    seed[1, 1] = True
    for structure in (None, FOOT):
        want = scipy.ndimage.binary_propagation(seed, structure, mask=ring)
        agrees(ndimage.binary_propagation(seed, structure, mask=ring), want)
    agrees(
        ndimage.binary_erosion(BITS, iterations=0), scipy.ndimage.binary_erosion(BITS, iterations=0)
    )
    for rank, connectivity in itertools.product((0, 1, 2, 3), (0, 1, 2, 3)):
        want = scipy.ndimage.generate_binary_structure(rank, connectivity)
        agrees(ndimage.generate_binary_structure(rank, connectivity), want)


def test_errors() -> None:
    with pytest.raises(ArgumentError, match="must be specified"):
        ndimage.grey_erosion(X)
    with pytest.raises(ConversionError, match="footprint must be known while tracing"):
        go.compile(lambda x, f: ndimage.grey_dilation(x, footprint=f))(X, FOOT)
    with pytest.raises(ShapeError, match="the rank of the array, 2"):
        ndimage.binary_erosion(BITS, np.ones(3))
    with pytest.raises(ArgumentError, match="invalid origin"):
        ndimage.binary_erosion(BITS, FOOT, origin=3)
    with pytest.raises(ArgumentError, match="not within filter footprint"):
        ndimage.rank_filter(X, 9, size=3)
    with pytest.raises(UnsupportedError, match=r"scipy\.ndimage\.watershed_ift is not supported"):
        go.compile(lambda x: scipy.ndimage.watershed_ift(x, x))(X)
