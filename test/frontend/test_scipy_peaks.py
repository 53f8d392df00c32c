# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Peaks of signals against SciPy, and derivatives of what is said of them."""

from __future__ import annotations

import inspect
import warnings
from typing import Any

import numpy as np
import pytest
import scipy.signal
from budget import generator

import gradopt as go
from gradopt.errors import ArgumentError, ShapeError, UnsupportedError
from gradopt.scipy import signal

RNG = generator(23)
# With plateaus and equal heights; and without.
STEPS, SMOOTH = np.round(RNG.normal(size=50).cumsum(), 1), RNG.normal(size=30).cumsum()
CONDITIONS: list[dict[str, Any]] = [
    {},
    {"height": 0.3},
    {"height": (None, 0.5), "threshold": (0.05, 2.0)},
    {"height": STEPS - 1},
    {"distance": 5},
    {"distance": 2.5, "height": 0},
    {"prominence": (0.5, 3.0)},
    {"prominence": 0, "wlen": 11},
    {"width": (1, 6), "rel_height": 0.8, "prominence": 0.1, "distance": 3},
    {"plateau_size": (None, 2)},
]


@pytest.mark.parametrize("conditions", CONDITIONS, ids=lambda c: "-".join(c) or "all")
def test_peaks_are_scipys(conditions: dict[str, Any]) -> None:
    def find(x: Any) -> Any:
        return scipy.signal.find_peaks(x, **conditions)

    places, properties = find(STEPS)
    for got, found in (signal.find_peaks(STEPS, **conditions), go.compile(find)(STEPS)):
        np.testing.assert_array_equal(got, places)
        assert got.dtype == places.dtype
        assert set(found) == set(properties)
        for name, want in properties.items():
            np.testing.assert_allclose(found[name], want, 1e-13, 1e-13)
            assert found[name].dtype == want.dtype


def test_derivatives_of_properties() -> None:
    def loss(x: Any) -> Any:
        least = np.mean(x) - 99
        _, found = scipy.signal.find_peaks(x, height=least, threshold=0, prominence=0.1, width=0)
        return sum(np.sum(np.tanh(part * 1.0)) for part in found.values())

    assert len(scipy.signal.find_peaks(SMOOTH, prominence=0.1)[0]) > 3
    assert go.gradcheck(loss, (SMOOTH,))
    assert go.gradcheck(loss, (SMOOTH,), order=2)


@pytest.mark.parametrize("wlen", [None, 9, 6.5])
def test_prominences_and_widths(wlen: Any) -> None:
    places, _ = scipy.signal.find_peaks(STEPS)
    got, want = [of.peak_prominences(STEPS, places, wlen) for of in (signal, scipy.signal)]
    for one, other in zip(got, want, strict=True):
        np.testing.assert_allclose(one, other, 1e-13)
        assert one.dtype == other.dtype
    for share in (0.0, 0.4, 1.0):
        for data in (None, want):
            calls = [
                of.peak_widths(STEPS, places, share, data, wlen) for of in (signal, scipy.signal)
            ]
            for one, other in zip(*calls, strict=True):
                np.testing.assert_allclose(one, other, 1e-12, 1e-12)
    places, _ = scipy.signal.find_peaks(SMOOTH)
    go.gradcheck(
        lambda x: np.sum(scipy.signal.peak_prominences(x, places, wlen)[0] ** 2), (SMOOTH,)
    )
    go.gradcheck(
        lambda x: np.sum(scipy.signal.peak_widths(x, places, wlen=wlen)[0] ** 2), (SMOOTH,)
    )


@pytest.mark.parametrize("name", ["argrelmax", "argrelmin"])
@pytest.mark.parametrize("mode", ["clip", "wrap"])
def test_extrema(name: str, mode: str) -> None:
    image = STEPS.reshape(5, 10)
    for data, axis, order in ((STEPS, 0, 1), (STEPS, 0, 3), (image, 1, 2), (image, 0, 1)):

        def find(x: Any, axis: int = axis, order: int = order) -> Any:
            return getattr(scipy.signal, name)(x, axis, order, mode)

        for got in (getattr(signal, name)(data, axis, order, mode), go.compile(find)(data)):
            for one, other in zip(got, find(data), strict=True):
                np.testing.assert_array_equal(one, other)
    got = signal.argrelextrema(STEPS, np.greater_equal)
    np.testing.assert_array_equal(got, scipy.signal.argrelextrema(STEPS, np.greater_equal))


def test_few_elements_and_other_dtypes() -> None:
    for size in range(4):
        places, found = signal.find_peaks(np.arange(size)[::-1] * 1.0, height=0, width=0)
        assert places.shape == found["widths"].shape == (0,)
    for x in (np.array([0, 2, 1, 1, 3, 3, 0]), np.array([0, 2, np.nan, 1, 3, 2], np.float32)):
        got, want = signal.find_peaks(x, height=1), scipy.signal.find_peaks(x, height=1)
        np.testing.assert_array_equal(got[0], want[0])
        np.testing.assert_array_equal(got[1]["peak_heights"], want[1]["peak_heights"])


@pytest.mark.parametrize("name", ["find_peaks", "peak_prominences", "peak_widths", "argrelmax"])
def test_parameters_are_scipys(name: str) -> None:
    ours, theirs = (
        inspect.signature(getattr(of, name)).parameters for of in (signal, scipy.signal)
    )
    assert [(p.name, p.default) for p in ours.values()] == [
        (p.name, p.default) for p in theirs.values()
    ]


def test_errors() -> None:
    text: Any = "other"
    for call, error, message in [
        (lambda: signal.find_peaks(STEPS, distance=0.5), ArgumentError, "`distance` must be"),
        (lambda: signal.find_peaks(STEPS, wlen=1), ArgumentError, "`wlen` must be larger than 1"),
        (lambda: signal.find_peaks(STEPS, rel_height=-1), ArgumentError, "`rel_height` must be"),
        (lambda: signal.find_peaks(STEPS.reshape(5, 10)), ShapeError, "must be a 1-D array"),
        (lambda: signal.find_peaks(STEPS + 1j), UnsupportedError, "complex"),
        (lambda: signal.peak_prominences(STEPS, [-1]), ArgumentError, "peak -1 is not a valid"),
        (lambda: signal.peak_widths(STEPS, [3, 99]), ArgumentError, "peak 99 is not a valid"),
        (lambda: signal.argrelmax(STEPS, order=0), ArgumentError, "Order must be an int >= 1"),
        (lambda: signal.argrelmin(STEPS, mode=text), ArgumentError, "mode must be 'clip' or"),
        (
            lambda: go.compile(lambda x: scipy.signal.find_peaks(x[x > 0])[0])(STEPS),
            UnsupportedError,
            "of a known size, with -inf where nothing counts",
        ),
    ]:
        with warnings.catch_warnings(), pytest.raises(error, match=message):
            call()
