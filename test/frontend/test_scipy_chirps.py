# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Chirp z-transforms, periodograms at any times and logarithmic Hankel transforms."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.fft
import scipy.signal

import gradopt as go
from gradopt.errors import ArgumentError, ShapeError, UnsupportedError
from gradopt.scipy import fft, signal

rng = np.random.default_rng(9)
X = rng.normal(size=(3, 7))
TIMES = np.sort(rng.uniform(0, 9, 12))
SAMPLES = np.sin(2 * TIMES) + 0.3 * rng.normal(size=12)
WEIGHTS = rng.uniform(0.5, 2, 12)
RATES = np.array([0.7, 1.9, 2.0, 3.1])


@pytest.mark.parametrize(
    ("name", "arguments", "options"),
    [
        ("czt", (X,), {}),
        ("czt", (X,), {"m": 4, "axis": 0}),
        ("czt", (X + 1j * X[::-1], 11, 0.98 * np.exp(-0.2j), 1.1 + 0.1j), {}),
        ("zoom_fft", (X, [0.2, 0.9]), {}),
        ("zoom_fft", (X, 0.6, 9), {"fs": 3.0, "endpoint": True}),
        ("zoom_fft", (X, 0.6), {"m": 1, "axis": 0, "endpoint": False}),
        ("czt_points", (6, 0.9 * np.exp(-0.3j), 1.2), {}),
        ("czt_points", (5,), {}),
        ("lombscargle", (TIMES, SAMPLES, RATES), {}),
        ("lombscargle", (TIMES, SAMPLES, RATES), {"normalize": True, "floating_mean": True}),
        (
            "lombscargle",
            (TIMES, SAMPLES, RATES),
            {"normalize": "amplitude", "weights": WEIGHTS, "floating_mean": True},
        ),
        ("lombscargle", (TIMES, SAMPLES, RATES), {"normalize": "normalize", "weights": WEIGHTS}),
    ],
)
def test_values_are_scipys(name: str, arguments: tuple[Any, ...], options: dict[str, Any]) -> None:
    expected = getattr(scipy.signal, name)(*arguments, **options)
    ours: Callable[..., Any] = getattr(signal, name)
    found = ours(*arguments, **options)
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=1e-11, atol=1e-12)
    if name != "czt_points":
        first, *others = arguments
        traced = go.compile(lambda x: ours(x, *others, **options))(first)
        np.testing.assert_allclose(traced, expected, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("n", [8, 9])
@pytest.mark.parametrize(("mu", "bias"), [(0.0, 0.0), (1.5, 0.3), (-0.5, -0.2)])
def test_hankel_transforms_are_scipys(n: int, mu: float, bias: float) -> None:
    a = rng.normal(size=(2, n))
    offset = scipy.fft.fhtoffset(0.1, mu, bias=bias)
    assert fft.fhtoffset(0.1, mu, bias=bias) == pytest.approx(offset, rel=1e-13)
    expected = scipy.fft.fht(a, 0.1, mu, offset, bias)
    np.testing.assert_allclose(fft.fht(a, 0.1, mu, offset, bias), expected, rtol=1e-12)
    back = fft.ifht(expected, 0.1, mu, offset, bias)
    np.testing.assert_allclose(back, scipy.fft.ifht(expected, 0.1, mu, offset, bias), rtol=1e-11)
    np.testing.assert_allclose(back, a, rtol=1e-10)


def test_the_chirp_transform_is_the_fourier_transform() -> None:
    np.testing.assert_allclose(signal.czt(X), np.fft.fft(X), rtol=1e-12, atol=1e-13)
    zoomed = signal.zoom_fft(X, 2)
    np.testing.assert_allclose(zoomed, np.fft.fft(X), rtol=1e-12, atol=1e-13)


def test_derivatives() -> None:
    def chirp(x: Any, ratio: Any, start: Any) -> Any:
        w = ratio * np.exp(-0.3j * ratio)
        return np.sum(np.abs(signal.czt(x, 5, w, start + 0.2j)) ** 2)

    go.gradcheck(chirp, (X, 0.9, 1.1), order=2)
    go.gradcheck(
        lambda x, ends, rate: np.sum(np.abs(signal.zoom_fft(x, ends, 5, fs=rate)) ** 2),
        (X[0], np.array([0.2, 0.9]), 2.5),
        order=2,
    )
    go.gradcheck(
        lambda t, y, f, w: np.sum(signal.lombscargle(t, y, f, weights=w, floating_mean=True)),
        (TIMES, SAMPLES, RATES, WEIGHTS),
        order=2,
        rtol=1e-4,
    )
    go.gradcheck(lambda a: np.sum(fft.fht(a, 0.1, 0.5, bias=0.2) ** 3), (X[0],), order=2)
    go.gradcheck(lambda a: np.sum(fft.ifht(a, 0.1, 0.5, bias=0.2) ** 3), (X[0],), order=2)


def test_what_is_refused() -> None:
    with pytest.raises(ArgumentError, match="at least one sample and one point"):
        signal.czt(X, 0)
    with pytest.raises(ShapeError, match="axis 2 is out of bounds"):
        signal.czt(X, axis=2)
    with pytest.raises(ArgumentError, match="fn must be"):
        signal.zoom_fft(X, [0.1, 0.2, 0.3])
    with pytest.raises(ShapeError, match="vectors of one length"):
        signal.lombscargle(TIMES, SAMPLES[1:], RATES)
    with pytest.raises(ShapeError, match="vector of frequencies"):
        signal.lombscargle(TIMES, SAMPLES, 2.0)
    with pytest.raises(ArgumentError, match="Normalize must be"):
        signal.lombscargle(TIMES, SAMPLES, RATES, normalize="area")
    with pytest.raises(UnsupportedError, match=r"a traced dln of scipy\.fft\.fht"):
        go.compile(lambda d: fft.fht(X, d, 0.5))(0.1)
    with pytest.raises(ShapeError, match="array of samples"):
        fft.fht(1.0, 0.1, 0.5)


def test_options_of_periodograms_by_place() -> None:
    """As SciPy takes them, with a warning."""
    options = (True, "normalize", WEIGHTS, True)
    with pytest.warns(DeprecationWarning, match="positional"):
        want = scipy.signal.lombscargle(TIMES, SAMPLES, RATES, *options)
    np.testing.assert_allclose(signal.lombscargle(TIMES, SAMPLES, RATES, *options), want, 1e-10)
    compiled = go.compile(lambda y: scipy.signal.lombscargle(TIMES, y, RATES, *options))
    np.testing.assert_allclose(compiled(SAMPLES), want, 1e-10)
