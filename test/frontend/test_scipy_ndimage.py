# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""gradopt.scipy.ndimage against SciPy; derivatives against differences."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest
import scipy.ndimage
from budget import generator

import gradopt as go
from gradopt.errors import ArgumentError, ShapeError, UnsupportedError
from gradopt.scipy import ndimage

RNG = generator(59)
MODES = ("reflect", "mirror", "nearest", "wrap", "constant", "grid-wrap", "grid-constant")
# SciPy's coefficients of splines that are reflected are not exact in arrays of few elements.
X = RNG.normal(size=(16, 17))
PLACES = RNG.uniform(-11, 27, size=(2, 60))


def agrees(name: str, *args: Any, tolerance: float = 1e-12, **rest: Any) -> None:
    got = np.asarray(getattr(ndimage, name)(*args, **rest))
    want = np.asarray(getattr(scipy.ndimage, name)(*args, **rest))
    assert got.shape == want.shape
    assert got.dtype == want.dtype
    np.testing.assert_allclose(got, want, tolerance, tolerance, err_msg=f"{name} {rest}")


@pytest.mark.parametrize("name", ndimage.__all__)
def test_parameters_are_scipys(name: str) -> None:
    theirs = inspect.signature(getattr(scipy.ndimage, name)).parameters
    ours = inspect.signature(getattr(ndimage, name)).parameters
    assert [*ours] == [*theirs]


@pytest.mark.parametrize("mode", MODES)
def test_filters(mode: str) -> None:
    x = X[:5, :7]
    rest: Any = {"mode": mode, "cval": 0.7}
    w, u = RNG.normal(size=4), RNG.normal(size=(3, 4))
    agrees("correlate1d", x, w, 0, origin=1, **rest)
    agrees("convolve1d", x, w, origin=-1, **rest)
    agrees("correlate", x, u, **rest)
    agrees("convolve", x, u, origin=(1, -1), **rest)
    agrees("gaussian_filter", x, (1.3, 0.4), (0, 2), **rest)
    agrees("gaussian_filter1d", x, 1.1, 0, 3, **rest)
    agrees("uniform_filter", x, (3, 4), **rest)
    agrees("sobel", x, 0, **rest)
    agrees("laplace", x, **rest)
    agrees("maximum_filter", x, (3, 4), **rest)
    agrees("median_filter", x, (3, 2), **rest)


def test_other_filters() -> None:
    x = X[:5, :7]
    agrees("uniform_filter1d", x, 4, 0, origin=1)
    agrees("prewitt", x)
    agrees("gaussian_laplace", x, 1.0)
    agrees("gaussian_gradient_magnitude", x, 1.0, mode="wrap")
    agrees("minimum_filter", x, 3)
    agrees("minimum_filter1d", x, 4)
    agrees("maximum_filter1d", x, 5, 0)
    agrees("gaussian_filter", x, 1.0, axes=(1,), radius=2)
    agrees("gaussian_filter", x, (0.0, 1.0), mode=("wrap", "mirror"))
    agrees("gaussian_filter", x.astype("f4"), 1.0, tolerance=1e-6)
    agrees("correlate", X[:4, :4].reshape(4, 2, 2), RNG.normal(size=(3, 1, 2)))


def test_integers() -> None:
    """Results are integers, too, that are cut off after each axis."""
    x = RNG.integers(-50, 50, size=(5, 7))
    for name, args in (
        ("gaussian_filter", (1.0,)),
        ("uniform_filter", (3,)),
        ("sobel", ()),
        ("laplace", ()),
        ("convolve", (RNG.normal(size=(3, 4)),)),
        ("median_filter", (3,)),
        ("map_coordinates", (np.abs(PLACES[:, :9]) % 4,)),
    ):
        agrees(name, x, *args)


def test_derivatives_of_filters() -> None:
    x = X[:4, :3]
    for name, args in (
        ("correlate1d", (RNG.normal(size=3),)),
        ("convolve", (RNG.normal(size=(2, 2)),)),
    ):
        go.gradcheck(lambda x, w, n=name: np.sin(getattr(ndimage, n)(x, w)), (x, *args), order=2)
    for name, args in (("sobel", ()), ("laplace", ()), ("maximum_filter", (2,)),
                       ("median_filter", (3,))):  # fmt: skip
        go.gradcheck(
            lambda x, n=name, a=args: np.sin(getattr(ndimage, n)(x, *a)), (x,), modes=("rev",)
        )
    go.gradcheck(
        lambda x, s: np.sin(ndimage.gaussian_filter1d(x, s, radius=3)), (x[0], 0.8), order=2
    )
    go.gradcheck(lambda x: ndimage.gaussian_filter(x, 0.8), (x,), modes=("rev",))


# -- Between elements --------------------------------------------------------------------------


@pytest.mark.parametrize("mode", MODES)
def test_coordinates(mode: str) -> None:
    for order in (0, 1, 3):
        rest: Any = {"mode": mode, "cval": 0.7, "order": order, "tolerance": 1e-9}
        # More than an array beyond the ends, but where splines meet what SciPy adds to an array.
        places = PLACES if mode in ("nearest", "grid-constant") else 2 * PLACES
        agrees("map_coordinates", X, places, **rest)
        if order == 3:
            agrees("shift", X, (0.7, -1.3), **rest)
    agrees("spline_filter", X, mode=mode)


def test_elements_that_are_reflected() -> None:
    """Splines go through them, which SciPy's do not to more than 2e-6 here."""
    x = X[:5, :7]
    places = np.stack(np.meshgrid(np.arange(5.0), np.arange(7.0), indexing="ij"))
    got = ndimage.map_coordinates(x, places, mode="reflect")
    np.testing.assert_allclose(got, x, atol=1e-14)


def test_arrays_that_are_moved() -> None:
    matrix, offset = np.array([[0.93, 0.21], [-0.33, 1.13]]), np.array([0.3, -0.5])
    whole = np.block([[matrix, offset[:, None]], [np.zeros(2), np.ones(1)]])
    for order, mode in ((1, "constant"), (3, "mirror"), (0, "nearest")):
        rest: Any = {"mode": mode, "cval": 0.7, "order": order, "tolerance": 1e-9}
        agrees("affine_transform", X, matrix, offset, **rest)
        agrees("zoom", X, (1.7, 0.6), **rest)
        agrees("rotate", X, 31.0, **rest)
    agrees("affine_transform", X, whole, order=1, tolerance=1e-9)
    agrees("affine_transform", X, matrix[0], 0.5, (4, 5), order=1, tolerance=1e-9)
    agrees("zoom", X, 2, order=1, grid_mode=True, mode="grid-wrap", tolerance=1e-9)
    agrees("rotate", X, -70.0, reshape=False, order=1, tolerance=1e-9)
    x = X[:4, :12].reshape(4, 3, 4)
    agrees("rotate", x, 25.0, (0, 2), order=1, tolerance=1e-9)
    agrees("shift", x, 0.5, order=1, tolerance=1e-9)


def test_derivatives_between_elements() -> None:
    x, places = X[:4, :5], np.array([[0.3, 1.2, 2.6], [1.1, 2.7, 3.4]])
    go.gradcheck(
        lambda x, c: np.sin(ndimage.map_coordinates(x, c)), (x[:, 0], places[:1]), order=2,
        rtol=1e-4, atol=1e-5,
    )  # fmt: skip
    go.gradcheck(lambda x, c: ndimage.map_coordinates(x, c, order=1), (x, places))
    go.gradcheck(lambda x, c: ndimage.map_coordinates(x, c), (x, places), modes=("rev",))
    shift, rotate, affine = ndimage.shift, ndimage.rotate, ndimage.affine_transform
    go.gradcheck(lambda s: shift(x, s, order=1, mode="wrap"), (np.array([0.3, -0.6]),))
    go.gradcheck(lambda a: rotate(x, a, reshape=False, order=1, mode="nearest"), (33.0,))
    matrix = np.array([[0.93, 0.21], [-0.13, 0.87]])
    go.gradcheck(lambda m, o: affine(x, m, o, order=1, mode="mirror"), (matrix, 0.353))


# -- Parts -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["sum", "sum_labels", "mean", "variance", "standard_deviation", "center_of_mass"]
)
def test_parts(name: str) -> None:
    x, labels = X[:5, :7], RNG.integers(0, 4, size=(5, 7))
    agrees(name, x)
    agrees(name, x, labels)
    agrees(name, x, labels, [1, 2, 3])
    agrees(name, x, labels, 2)
    f = getattr(ndimage, name)
    go.gradcheck(lambda x: np.asarray(f(x, labels, 2)) if name != "center_of_mass" else f(
        x, labels, 2)[0], (x[:5, :7],), modes=("rev",))  # fmt: skip


def test_in_the_users_code() -> None:
    def f(x: Any) -> Any:
        return scipy.ndimage.gaussian_filter(x, 1.0), scipy.ndimage.map_coordinates(
            x, PLACES, order=1
        )

    for got, want in zip(go.compile(f)(X), f(X), strict=True):
        np.testing.assert_allclose(got, want, atol=1e-12)


def test_errors() -> None:
    x, out = X[:4, :5], np.empty((4, 5))
    mode: Any = "other"
    spread: Any = ndimage.gaussian_filter
    for call, error, message in [
        (lambda: ndimage.sobel(x, output=out), UnsupportedError, "output= of scipy.ndimage.sobel"),
        (lambda: ndimage.sobel(x, mode=mode), ArgumentError, "mode not supported"),
        (lambda: ndimage.correlate1d(x, x), ShapeError, "a vector of weights"),
        (lambda: ndimage.correlate1d(x, x[0], origin=3), ArgumentError, "Invalid origin"),
        (lambda: ndimage.correlate(x, x[0]), ShapeError, r"incorrect shape: \(5,\)"),
        (lambda: spread(x, (1.0, 2.0, 3.0)), ShapeError, "expected 2 of sigma, got 3"),
        (lambda: go.compile(lambda s: spread(x, s))(1.0), UnsupportedError, "traced sigma"),
        (lambda: ndimage.median_filter(x, footprint=x), UnsupportedError, "give a size"),
        (lambda: ndimage.map_coordinates(x, PLACES, order=2), UnsupportedError, "order=2"),
        (lambda: ndimage.map_coordinates(x, PLACES[:1]), ShapeError, "of 2 dimensions"),
        (
            lambda: ndimage.shift(x, 1.0, mode="nearest", prefilter=False),
            UnsupportedError,
            "prefilter=False",
        ),
        (
            lambda: go.compile(lambda a: ndimage.rotate(x, a))(30.0),
            UnsupportedError,
            "reshape=False",
        ),
        (
            lambda: go.compile(lambda z: ndimage.zoom(x, z))(2.0),
            UnsupportedError,
            "traced factor",
        ),
        (lambda: ndimage.affine_transform(x, np.ones((3, 2))), ShapeError, r"shape \(3, 2\)"),
    ]:
        with pytest.raises(error, match=message):
            call()
