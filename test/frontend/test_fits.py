# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Quotients and fits of polynomials, series of numpy.polynomial, histograms, bits: as NumPy's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from test_breadth import agrees, same

import gradopt as go
from gradopt.errors import DTypeError, ElementError, KeywordError, ShapeError, UnsupportedError

RNG = np.random.default_rng(5)
X = RNG.uniform(-1.2, 1.3, 9)
Y = RNG.normal(size=9)
V = np.array([0.7, -1.2, 0.4])
M = RNG.normal(size=(4, 5))
INTS = np.array([3, 1, 2])
BYTES = RNG.integers(0, 255, (3, 4)).astype(np.uint8)


# -- Polynomials -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "f",
    [
        lambda x: np.polydiv(x, V)[0],
        lambda x: np.polydiv(x, x[:3] + 2)[0],
        lambda x: np.polydiv(V, x)[0],
        lambda x: np.polydiv(x, 2.0)[0],
        lambda x: np.sum(np.sin(np.polydiv(x, V)[1])),
    ],
)
def test_quotients(f: Any) -> None:
    agrees(f, X, order=2)


def test_remainders() -> None:
    """Leading coefficients that are zero are dropped, as NumPy does."""
    for u in (X, np.convolve(X, V), np.zeros(4), np.array([2.0, 4.0, 2.5])):
        for v in (V, np.array([2.0]), np.array([1.0, 2.0])):
            same(go.compile(np.polydiv)(u, v), np.polydiv(u, v))
    same(go.compile(np.polydiv)(INTS, np.array([1, 2])), np.polydiv(INTS, np.array([1, 2])))


@pytest.mark.parametrize(
    ("f", "order"),
    [
        (lambda x, y: (np.polyfit(x, y, 3), np.polyfit(x, y, 0)), 1),
        (lambda x, y: np.polyfit(x, np.stack([y, y**2], 1), 2), 1),
        (lambda x, y: np.polyfit(x, y, 2, w=y**2 + 1), 1),
        (lambda x, y: np.polyfit(x, y, 2, w=y**2 + 1, cov=True), 2),
        (lambda x, y: np.polyfit(x, np.stack([y, y**2], 1), 1, cov=True)[1], 1),
        (lambda x, y: np.polyfit(x, np.stack([y, y**2], 1), 2, cov="unscaled"), 1),
        (lambda x, y: np.polyfit(x, y, 2, full=True)[:4], 1),
    ],
)
def test_fits(f: Any, order: int) -> None:
    agrees(f, X, Y, order=order)


def test_fits_that_cannot_be() -> None:
    for f, message in [
        (lambda x: np.polyfit(x, x[:3], 1), "as long as x"),
        (lambda x: np.polyfit(x[:, None], x, 1), "1D vector for x"),
        (lambda x: np.polyfit(x, x, -1), "deg >= 0"),
        (lambda x: np.polyfit(x, x, 1, w=x[:2]), "weights of the shape of x"),
        (lambda x: np.polyfit(x, x, 8, cov=True), "exceed order"),
    ]:
        with pytest.raises(ShapeError, match=message):
            go.compile(f)(X)


FAMILIES = {
    "poly": np.polynomial.polynomial,
    "cheb": np.polynomial.chebyshev,
    "leg": np.polynomial.legendre,
    "herm": np.polynomial.hermite,
    "herme": np.polynomial.hermite_e,
    "lag": np.polynomial.laguerre,
}
C = RNG.normal(size=5)
C2 = RNG.normal(size=(3, 4))
C3 = RNG.normal(size=(3, 2, 4))


@pytest.mark.parametrize("name", FAMILIES)
def test_series(name: str) -> None:
    module = FAMILIES[name]
    val, vander, fit = [getattr(module, name + part) for part in ("val", "vander", "fit")]
    agrees(lambda x, c: val(x, c), X, C, order=2 if name == "cheb" else 1)
    agrees(lambda x, c: (val(x, c[:1]), val(x, c[:2]), val(0.3, c)), X, C)
    same(go.compile(lambda c: val([0.1, 0.2], c))(C), val([0.1, 0.2], C))
    agrees(lambda x, c: (val(x, c), val(x[:5], c, tensor=False)), X, M)
    agrees(lambda x: (vander(x, 4), vander(x, 0), vander(x[:8].reshape(2, 4), 1)), X)
    agrees(lambda x, y: fit(x, y, 1), X, Y)
    agrees(lambda x, y: fit(x, np.stack([y, y * x], 1), 2, w=y**2 + 1), X, Y)
    agrees(lambda i: val(i, [1, 2, 3]), INTS)
    with pytest.raises(ShapeError, match="deg must be non-negative"):
        go.compile(lambda x: vander(x, -1))(X)


@pytest.mark.parametrize("name", FAMILIES)
def test_series_of_several_variables(name: str) -> None:
    module = FAMILIES[name]
    on, grid = getattr(module, f"{name}val2d"), getattr(module, f"{name}grid2d")
    agrees(lambda x, y, c: (on(x, y, c), grid(x, y[:3], c)), X, Y, C2)
    on3, grid3 = getattr(module, f"{name}val3d"), getattr(module, f"{name}grid3d")
    agrees(lambda x, y, c: (on3(x, y, x + y, c), grid3(x, y[:3], x[:2], c)), X, Y, C3)
    with pytest.raises(ShapeError, match="incompatible"):
        go.compile(lambda x: on(x, x[:3], C2))(X)


# -- Histograms --------------------------------------------------------------------------------

EDGES = np.array([-1.0, 0.0, 0.5, 1.0])


@pytest.mark.parametrize(
    "f",
    [
        lambda x, y: np.histogram2d(x, y, 4),
        lambda x, y: np.histogram2d(x, y, (3, 4), weights=y**2),
        lambda x, y: np.histogram2d(x, y, 3, weights=y**2, density=True),
        lambda x, y: np.histogram2d(x, y, EDGES),
        lambda x, y: np.histogram2d(x, y, [EDGES, 2]),
        lambda x, y: np.histogram2d(x, y, 3, range=[(-1, 1), (-0.5, 2)], density=True),
        lambda x, y: np.histogramdd(np.stack([x, y, x * y], 1), 3),
        lambda x, y: np.histogramdd((x, y), [EDGES, EDGES]),
        lambda x, y: np.histogramdd(x, (4,)),
        lambda x, y: np.histogramdd(np.ones((4, 2)) * x[0], 2),
        lambda x, y: np.histogram_bin_edges(x, 5),
        lambda x, y: np.histogram_bin_edges(x, EDGES),
        lambda x, y: np.histogram_bin_edges(x[:0], 2),
        lambda x, y: np.histogram_bin_edges(x, 3, (0, 2)),
    ],
)
def test_histograms(f: Any) -> None:
    agrees(f, X, Y)


def test_histograms_of_what_is_on_edges_and_of_integers() -> None:
    agrees(lambda i: np.histogram2d(i, i, 2), INTS)
    points = np.array([-1.0, 0.0, 0.5, 1.0, 1.5, -2.0])
    agrees(lambda x: np.histogramdd((x, x[::-1]), [EDGES, EDGES]), points, order=0)


def test_histograms_that_cannot_be() -> None:
    for f, kind, message in [
        (lambda x: np.histogram2d(x, x, 0), ShapeError, "must be positive"),
        (lambda x: np.histogramdd(x, (2, 3)), ShapeError, "equal to the dimension"),
        (lambda x: np.histogramdd(x, [np.ones((2, 2))]), ShapeError, "scalar or 1d"),
        (lambda x: np.histogramdd(x, [EDGES[::-1]]), ElementError, "monotonically"),
        (lambda x: np.histogram_bin_edges(x, 2, (2, 1)), ElementError, "max must be larger"),
        (lambda x: np.histogram_bin_edges(x, "fd"), UnsupportedError, "with a rule for bins"),
        (lambda x: np.histogram2d(1j * x, x), UnsupportedError, "histogram2d of complex"),
    ]:
        with pytest.raises(kind, match=message):
            go.compile(f)(X)


# -- Bits and indices --------------------------------------------------------------------------


def test_bits() -> None:
    agrees(lambda x: np.packbits(x > 0.1), X)
    agrees(lambda u: (np.packbits(u), np.packbits(u > 100, 1), np.packbits(u, 0, "little")), BYTES)
    agrees(lambda i: np.packbits(i - 1, bitorder="little"), INTS)
    agrees(
        lambda u: (
            np.unpackbits(u),
            np.unpackbits(u, axis=0),
            np.unpackbits(u, 1, bitorder="little"),
            np.unpackbits(u, count=20),
            np.unpackbits(u, 1, 40),
            np.unpackbits(u, -1, -3),
        ),
        BYTES,
    )
    for f, kind in [
        (lambda x: np.packbits(x), DTypeError),
        (lambda x: np.unpackbits(x.astype(int)), DTypeError),
        (lambda x: np.packbits(x > 0, bitorder="middle"), KeywordError),
    ]:
        with pytest.raises(kind):
            go.compile(f)(X)


def test_crossed_indices() -> None:
    agrees(lambda m, i: m[np.ix_(i, np.array([0, 2]))], M, INTS)
    agrees(lambda m, i: np.ix_(i, i[:2], [True, False])[0] * m[0, 0], M, INTS)
    agrees(lambda m: np.sum(m[np.ix_(m[:, 0] > -0.3, [0, 2])]), M)
    with pytest.raises(ShapeError, match="must be 1 dimensional"):
        go.compile(lambda m: np.ix_(m.astype(int)))(M)


def test_methods_and_attributes() -> None:
    agrees(lambda m: m.cumprod(1), M)
    agrees(lambda i, x: (i - 1).choose([x[:3], x[3:6], x[6:]]), INTS, X)
    agrees(lambda x: x[:3].searchsorted(x), np.sort(X))
    agrees(lambda x: np.linalg.cross(x.reshape(3, 3), x.reshape(3, 3)[::-1], axis=0), X)
    agrees(lambda m: np.linalg.vecdot(m, m + 1, axis=0), M)
    assert go.compile(lambda x: x.astype(np.common_type(x, INTS)))(X).dtype == np.float64
    single = X.astype(np.float32)
    assert go.compile(lambda x: x.astype(np.common_type(x)))(single).dtype == np.float32
    agrees(lambda x: x.to_device(x.device) * 2, X)
