# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Parts of arrays that hang together, places of extremes and distances, against SciPy."""

from __future__ import annotations

import inspect
import warnings
from typing import Any

import numpy as np
import pytest
import scipy.ndimage
from budget import generator

import gradopt as go
from gradopt.errors import ArgumentError, ConversionError, ShapeError, UnsupportedError
from gradopt.scipy import ndimage

RNG = generator(41)
PLANE, SPACE = RNG.uniform(size=(9, 11)) > 0.5, RNG.uniform(size=(5, 4, 6)) > 0.6
IMAGE, LABELS = RNG.normal(size=(4, 5)), RNG.integers(0, 4, size=(4, 5))


def spiral() -> Any:
    """One part with a long way through it."""
    x = np.zeros((21, 21))
    for k in range(0, 10, 2):
        x[k, k : 21 - k] = x[20 - k, k : 21 - k] = x[k : 21 - k, 20 - k] = 1
        x[k + 2 : 21 - k, k] = 1
    return x


@pytest.mark.parametrize("x", [PLANE, SPACE, PLANE[0], np.zeros((0, 3)), np.ones((3, 3)), spiral()])
@pytest.mark.parametrize("is_full", [False, True])
def test_labels(x: Any, is_full: bool) -> None:
    structure = np.ones((3,) * x.ndim) if is_full else None
    want, count = scipy.ndimage.label(x, structure)
    compiled = go.compile(lambda x: scipy.ndimage.label(x, structure))
    for labels, number in (ndimage.label(x, structure), compiled(x)):
        np.testing.assert_array_equal(labels, want)
        assert labels.dtype == want.dtype
        assert number == count


def test_labels_in_another_dtype() -> None:
    assert ndimage.label(PLANE, output=np.int64)[0].dtype == np.int64
    # Sums of the parts have derivatives.
    labels, count = scipy.ndimage.label(IMAGE > 0)
    index = np.arange(1, count + 1)

    def f(x: Any) -> Any:
        found, _ = scipy.ndimage.label(x > 0)
        return np.sum(scipy.ndimage.sum_labels(x, found, index) ** 2)

    assert go.gradcheck(f, (IMAGE,))
    np.testing.assert_allclose(
        go.compile(f)(IMAGE), np.sum(scipy.ndimage.sum_labels(IMAGE, labels, index) ** 2)
    )


@pytest.mark.parametrize("x", [PLANE, SPACE, PLANE[0]])
@pytest.mark.parametrize("sampling", [None, 2.0, (1.0, 0.5, 2.0)])
def test_distances(x: Any, sampling: Any) -> None:
    spacing = sampling[: x.ndim] if isinstance(sampling, tuple) else sampling
    want, _ = scipy.ndimage.distance_transform_edt(x, spacing, return_indices=True)
    got, places = ndimage.distance_transform_edt(x, spacing, return_indices=True)
    np.testing.assert_allclose(got, want, 1e-14)
    assert places.dtype == np.int32
    # The places are zeros at this distance; which of several is not stated.
    assert not x[tuple(places)].any()
    steps = (places - np.indices(x.shape)) * np.reshape(
        np.broadcast_to(1.0 if spacing is None else spacing, x.ndim), (-1, *[1] * x.ndim)
    )
    np.testing.assert_allclose(np.sqrt(np.sum(steps**2, axis=0)), want, 1e-14)
    compiled = go.compile(lambda x: scipy.ndimage.distance_transform_edt(x, spacing))
    np.testing.assert_allclose(compiled(x), want, 1e-14)


def test_distances_without_zeros_are_infinite() -> None:
    assert np.isposinf(ndimage.distance_transform_edt(np.ones((2, 3)))).all()
    assert ndimage.distance_transform_edt(np.zeros((0, 3))).shape == (0, 3)


@pytest.mark.parametrize("name", ["extrema", "minimum_position", "maximum_position"])
@pytest.mark.parametrize("args", [(), (LABELS,), (LABELS, 2), (LABELS, [1, 3])])
def test_places_of_extremes(name: str, args: Any) -> None:
    theirs = getattr(scipy.ndimage, name)
    want = theirs(IMAGE, *args)
    for got in (
        getattr(ndimage, name)(IMAGE, *args),
        go.compile(lambda x: theirs(x, *args))(IMAGE),
    ):
        flat = [np.ravel(part) for part in (got if name == "extrema" else [got])]
        other = [np.ravel(part) for part in (want if name == "extrema" else [want])]
        for one, two in zip(flat, other, strict=True):
            np.testing.assert_array_equal(one, two)


def outcome(call: Any, *args: Any) -> Any:
    """What a call gives, flat; or "error"."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            found = call(*args)
        except (ValueError, IndexError):
            return "error"
    parts = found if call.__name__ == "extrema" else [found]
    return [np.ravel(part).tolist() for part in parts]


LABELS_OF_EXTREMES = np.array([[1, 5, 1, 0], [2, 2, 0, 1], [2, 2, 4, 4]])
EXTREMES = np.array([[0.5, np.inf, -2.0, 7.0], [3.0, np.nan, 1.0, 4.0], [-1.0, 9.0, 0.1, 0.2]])


@pytest.mark.parametrize(
    "name",
    ["minimum", "maximum", "median", "minimum_position", "maximum_position", "extrema"],
)
@pytest.mark.parametrize("index", [None, 1, 2, 3, 5, [1, 2, 4], [[4, 2]], np.array(2), "none"])
def test_parts_of_nothing_and_with_nan(name: str, index: Any) -> None:
    """One part of nothing is an error; NaN is behind all numbers where there are several."""
    labels = LABELS_OF_EXTREMES
    if isinstance(index, str):
        labels, index = -labels, None
    theirs = getattr(scipy.ndimage, name)
    want = outcome(theirs, EXTREMES, labels, index)
    compiled = go.compile(lambda x, labels: theirs(x, labels, index))
    compiled.__name__ = name
    for got in (
        outcome(getattr(ndimage, name), EXTREMES, labels, index),
        outcome(compiled, EXTREMES, labels),
    ):
        np.testing.assert_equal(got, want)


def test_a_part_that_is_traced() -> None:
    f = go.compile(lambda x, k: scipy.ndimage.minimum(x, LABELS_OF_EXTREMES, k))
    assert f(EXTREMES, 4) == 0.1
    with pytest.raises(ArgumentError, match="no element has the label"):
        f(EXTREMES, 3)
    # Of several parts SciPy gives 0.
    labels, index = LABELS_OF_EXTREMES, [3, 4]
    got, want = (of.maximum(EXTREMES, labels, index) for of in (ndimage, scipy.ndimage))
    np.testing.assert_array_equal(got, want)


def test_medians_of_parts_have_derivatives() -> None:
    go.gradcheck(lambda x: np.sum(ndimage.median(x, LABELS, [1, 2, 3]) ** 2), (IMAGE,), order=2)


@pytest.mark.parametrize("name", ["label", "extrema", "distance_transform_edt", "maximum_position"])
def test_parameters_are_scipys(name: str) -> None:
    ours, theirs = (
        inspect.signature(getattr(of, name)).parameters for of in (ndimage, scipy.ndimage)
    )
    assert [(p.name, p.default) for p in ours.values()] == [
        (p.name, p.default) for p in theirs.values()
    ]


def test_errors() -> None:
    for call, error, message in [
        (lambda: ndimage.label(PLANE, np.ones(3)), ShapeError, r"must have the shape \(3, 3\)"),
        (lambda: ndimage.label(PLANE[0], [1, 1, 0]), ArgumentError, "not symmetric"),
        (
            lambda: go.compile(lambda s: scipy.ndimage.label(PLANE, s))(np.ones((3, 3))),
            ConversionError,
            "structure must be known while tracing",
        ),
        (
            lambda: ndimage.label(PLANE, output=LABELS),
            UnsupportedError,
            "output= of scipy.ndimage.l",
        ),
        (
            lambda: ndimage.distance_transform_edt(PLANE, return_distances=False),
            ArgumentError,
            "at least one of distances and indices",
        ),
        (lambda: ndimage.distance_transform_edt(PLANE, [1, 2, 3]), ArgumentError, "must have 2"),
        (
            lambda: ndimage.distance_transform_edt(PLANE, distances=IMAGE),
            UnsupportedError,
            "distances= and indices=",
        ),
    ]:
        with pytest.raises(error, match=message):
            call()
