# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The polynomial through samples, and values between scattered ones."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.interpolate
from budget import generator

import gradopt as go
from gradopt.errors import ArgumentError, ShapeError, UnsupportedError
from gradopt.scipy import interpolate

rng = generator(17)
XI = np.array([0.3, 1.1, 0.7, 2.0, 1.6])
YI = rng.normal(size=(5, 2))
# Between places, and at one.
X = np.array([[0.5, 1.1], [1.9, 2.3]])
REPEATED = np.array([0.3, 0.3, 0.3, 1.0, 1.7, 1.7])
SIX = rng.normal(size=6)
POINTS = rng.uniform(size=(12, 2))
VALUES = rng.normal(size=(12, 3))
PLACES = np.array([[[0.4, 0.5], [0.6, 0.3]], [[0.5, 0.6], [3.0, 0.1]]])


@pytest.mark.parametrize("name", ["BarycentricInterpolator", "KroghInterpolator"])
def test_polynomials_are_scipys(name: str) -> None:
    theirs = getattr(scipy.interpolate, name)
    ours = getattr(interpolate, name)
    for yi, axis in ((YI, 0), (YI.T, 1), (YI.T, -1), (YI[:, 0], 0), (YI + 1j * YI[::-1], 0)):
        expected, found = theirs(XI, yi, axis), ours(XI, yi, axis)
        for x in (X, 0.9):
            np.testing.assert_allclose(found(x), expected(x), rtol=1e-11)
            for der in (1, 2):
                np.testing.assert_allclose(
                    found.derivative(x, der), expected.derivative(x, der), rtol=1e-9
                )
    found = ours(XI, YI).derivatives(X, 3)
    np.testing.assert_allclose(found, theirs(XI, YI).derivatives(X, 3), rtol=1e-9)
    compiled = go.compile(lambda xi, yi, x: ours(xi, yi)(x))
    np.testing.assert_allclose(compiled(XI, YI, X), theirs(XI, YI)(X), rtol=1e-11)


@pytest.mark.parametrize("name", ["barycentric_interpolate", "krogh_interpolate"])
def test_derivatives_at_places_and_between(name: str) -> None:
    function = getattr(interpolate, name)
    expected = getattr(scipy.interpolate, name)(XI, YI, X, der=1)
    np.testing.assert_allclose(function(XI, YI, X, der=1), expected, rtol=1e-9)
    go.gradcheck(
        lambda xi, yi, x: np.sum(np.sin(function(xi, yi, x))),
        (XI, YI[:, 0], X[0]),
        order=2,
        rtol=1e-4,
    )


def test_places_that_repeat() -> None:
    expected = scipy.interpolate.KroghInterpolator(REPEATED, SIX)
    found = interpolate.KroghInterpolator(REPEATED, SIX)
    np.testing.assert_allclose(found(X), expected(X), rtol=1e-12)
    np.testing.assert_allclose(found.derivatives(0.3, 3), SIX[:3], rtol=1e-12)
    go.gradcheck(
        lambda y, x: np.sum(interpolate.KroghInterpolator(REPEATED, y)(x) ** 2), (SIX, X), order=2
    )


def test_many_samples() -> None:
    nodes = np.cos(np.pi * np.arange(101) / 100)
    x = np.linspace(-0.99, 0.99, 7)
    made = interpolate.BarycentricInterpolator(nodes, np.sin(5 * nodes))
    np.testing.assert_allclose(made(x), np.sin(5 * x), atol=1e-13)
    np.testing.assert_allclose(made(nodes), np.sin(5 * nodes), atol=1e-13)


@pytest.mark.parametrize("method", ["linear", "nearest"])
def test_scattered_samples_are_scipys(method: str) -> None:
    for values in (VALUES, VALUES[:, 0], VALUES[:, 0] + 1j * VALUES[:, 1]):
        for rescale in (False, True):
            options = {"method": method, "fill_value": -2.0, "rescale": rescale}
            expected = scipy.interpolate.griddata(POINTS * [1, 9], values, PLACES, **options)
            found = interpolate.griddata(POINTS * [1, 9], values, PLACES, **options)
            np.testing.assert_allclose(found, expected, rtol=1e-11)
    expected = scipy.interpolate.griddata(POINTS, VALUES, (0.5, PLACES[0, :, 1]), method)
    found = go.compile(
        lambda v, x: interpolate.griddata((POINTS[:, 0], POINTS[:, 1]), v, (0.5, x), method)
    )(VALUES, PLACES[0, :, 1])
    np.testing.assert_allclose(found, expected, rtol=1e-11)


@pytest.mark.parametrize("method", ["linear", "nearest", "cubic"])
def test_scattered_samples_on_a_line(method: str) -> None:
    x = np.array([0.4, 1.5, 5.0])
    expected = scipy.interpolate.griddata(XI, YI, x, method)
    np.testing.assert_allclose(interpolate.griddata(XI, YI, x, method), expected, rtol=1e-11)


def test_derivatives_between_scattered_samples() -> None:
    inside = PLACES[0]

    def loss(values: Any, x: Any) -> Any:
        return np.sum(interpolate.griddata(POINTS, values, x) ** 2)

    go.gradcheck(loss, (VALUES, inside), order=2)
    three = rng.uniform(size=(15, 3))
    go.gradcheck(
        lambda v: np.sum(interpolate.griddata(three, v, np.full((1, 3), 0.5)) ** 2),
        (three[:, 0] ** 2,),
    )


def test_places_made_inside() -> None:
    def f(y: Any, x: Any) -> Any:
        return scipy.interpolate.KroghInterpolator(np.array([0.0, 0.0, 2.0, 4.0]), y)(x)

    y = np.array([1.0, 2.0, 3.0, 4.0])
    np.testing.assert_allclose(go.compile(f)(y, X), f(y, X), rtol=1e-12)


def test_what_is_refused() -> None:
    with pytest.raises(ShapeError, match="one sample for each place"):
        interpolate.KroghInterpolator(XI, YI[1:])
    with pytest.raises(ArgumentError, match="have to follow each other"):
        interpolate.KroghInterpolator([0.0, 1.0, 0.0], np.ones(3))
    with pytest.raises(ArgumentError, match="der is -1"):
        interpolate.krogh_interpolate(XI, YI, X, der=-1)
    with pytest.raises(ArgumentError, match="No y-values"):
        interpolate.BarycentricInterpolator(XI)(X)
    with pytest.raises(UnsupportedError, match="wi="):
        interpolate.BarycentricInterpolator(XI, YI, wi=XI)
    with pytest.raises(UnsupportedError, match=r"traced points of scipy\.interpolate\.griddata"):
        go.compile(lambda p: interpolate.griddata(p, VALUES, PLACES))(POINTS)
    with pytest.raises(UnsupportedError, match=r"'cubic'.* in 2 dimensions"):
        interpolate.griddata(POINTS, VALUES, PLACES, "cubic")
    with pytest.raises(ArgumentError, match="no triangulation"):
        interpolate.griddata(np.zeros((4, 2)), np.ones(4), PLACES)
    with pytest.raises(ShapeError, match="2 coordinates"):
        interpolate.griddata(POINTS, VALUES, np.ones((3, 3)))
