# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Windows and spectra of gradopt.scipy.signal against SciPy's."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.signal
from budget import generator

import gradopt as go
from gradopt.errors import ArgumentError, ShapeError, UnsupportedError
from gradopt.scipy import signal

Array = np.ndarray[Any, Any]
SPECTRA = ("coherence", "csd", "istft", "periodogram", "spectrogram", "stft", "welch")


def numbers(shape: Any, dtype: str = "f8", seed: int = 0) -> Array:
    rng = generator(seed)
    x = rng.normal(size=shape)
    return (x + 1j * rng.normal(size=shape) if np.dtype(dtype).kind == "c" else x).astype(dtype)


def check(got: Any, want: Any, message: Any = "") -> None:
    assert len(got) == len(want)
    for one, other in zip(got, want, strict=True):
        assert one.shape == other.shape, message
        assert one.dtype == other.dtype, message
        scale = np.max(np.abs(other), initial=0)
        tolerance = 100 * np.finfo(other.dtype).eps
        np.testing.assert_allclose(one, other, 0, tolerance * scale, err_msg=str(message))


@pytest.mark.parametrize("name", [*SPECTRA, "get_window"])
def test_parameters_are_scipys(name: str) -> None:
    ours = inspect.signature(getattr(signal, name)).parameters.values()
    theirs = inspect.signature(getattr(scipy.signal, name)).parameters
    for parameter in ours:
        assert parameter.default == theirs[parameter.name].default


WINDOWS = [
    *("boxcar", "triang", "blackman", "hamming", "hann", "bartlett", "flattop", "nuttall"),
    *("blackmanharris", "cosine", "tukey", ("tukey", 0.25), ("tukey", 0.0), ("tukey", 1.0)),
    *(("kaiser", 8.6), 4.0, ("gaussian", 3.0), ("general_hamming", 0.6), "exponential"),
    *(("exponential", None, 2.5), "hann_symmetric", ("tukey_periodic", 0.25), "han", "rect"),
    # What is SciPy's alone.
    *("parzen", ("dpss", 0.4), ("chebwin", 50.0), "lanczos_symmetric"),
]


@pytest.mark.parametrize("window", WINDOWS)
def test_windows(window: Any) -> None:
    for n in (1, 2, 3, 8, 15, 16):
        for periodic in (True, False):
            got = signal.get_window(window, n, periodic)
            want = scipy.signal.get_window(window, n, periodic)
            np.testing.assert_allclose(got, want, rtol=1e-13, atol=1e-15, err_msg=str(n))


def test_windows_that_are_not_there() -> None:
    with pytest.raises(ArgumentError, match="there is no window 'flat top'; there are bartlett"):
        signal.get_window("flat top", 8)
    with pytest.raises(ArgumentError, match="the parameters of 'gaussian' are not those of"):
        signal.get_window("gaussian", 8)


X, Y, LONG = numbers(60), numbers((3, 60), seed=1), numbers((60, 2), seed=2)
USES: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = [
    ("welch", (X,), {"nperseg": 16}),
    ("welch", (X,), {"nperseg": 60}),
    ("welch", (Y,), {"nperseg": 15, "noverlap": 4, "scaling": "spectrum", "detrend": "linear"}),
    ("welch", (LONG,), {"fs": 3.5, "nperseg": 20, "axis": 0, "nfft": 33, "detrend": False}),
    ("welch", (numbers(50, "c16"),), {"nperseg": 16, "return_onesided": False}),
    ("welch", (numbers(50, "f4"),), {"nperseg": 16, "window": "blackman"}),
    ("welch", (X,), {"window": np.hanning(12), "noverlap": 9}),
    ("csd", (X, Y), {"nperseg": 16}),
    ("csd", (X, numbers(40, seed=4)), {"nperseg": 16, "fs": 2.0}),
    ("coherence", (Y, X), {"nperseg": 16}),
    ("periodogram", (X,), {}),
    ("periodogram", (LONG,), {"fs": 4.0, "axis": 0, "nfft": 30, "window": "hann"}),
    ("periodogram", (Y,), {"nfft": 75, "scaling": "spectrum", "detrend": "linear"}),
    ("stft", (X,), {"nperseg": 16}),
    ("stft", (X,), {"nperseg": 15, "noverlap": 10, "boundary": "even", "scaling": "psd"}),
    ("stft", (LONG,), {"fs": 2.0, "nperseg": 12, "axis": 0, "boundary": "odd", "nfft": 16}),
    ("stft", (Y,), {"nperseg": 16, "boundary": None, "padded": False, "detrend": "constant"}),
    (
        "stft",
        (numbers(50, "c8"),),
        {"nperseg": 16, "boundary": "constant", "return_onesided": False},
    ),
    ("spectrogram", (X,), {"nperseg": 16}),
    ("spectrogram", (LONG,), {"nperseg": 16, "axis": 0, "noverlap": 8, "mode": "magnitude"}),
    ("spectrogram", (X,), {"nperseg": 16, "mode": "complex"}),
    ("spectrogram", (X,), {"nperseg": 16, "mode": "angle", "window": "hann"}),
]


@pytest.mark.parametrize("use", range(len(USES)))
def test_spectra(use: int) -> None:
    name, signals, rest = USES[use]
    want = getattr(scipy.signal, name)(*signals, **rest)
    ours: Callable[..., Any] = functools.partial(getattr(signal, name), **rest)
    check(go.compile(lambda *x: ours(*x))(*signals), want, USES[use])
    check(ours(*signals), want, USES[use])


def test_a_signal_with_itself() -> None:
    """Where it is known to be the same, its power is real."""
    want = scipy.signal.csd(X, X, nperseg=16)
    check(signal.csd(X, X, nperseg=16), want)
    check(go.compile(lambda x: signal.csd(x, x, nperseg=16))(X), want)
    got = go.compile(lambda x, y: signal.csd(x, y, nperseg=16))(X, X.copy())
    check(got, scipy.signal.csd(X, X.copy(), nperseg=16))


@pytest.mark.parametrize("seed", range(6))
def test_the_inverse_of_short_spectra(seed: int) -> None:
    rest: dict[str, Any] = [
        {"nperseg": 16},
        {"nperseg": 15, "noverlap": 10},
        {"nperseg": 16, "noverlap": 12, "window": "blackman", "fs": 3.0},
        {"nperseg": 16, "scaling": "psd"},
        {"nperseg": 16, "nfft": 20},
        {"nperseg": 16, "boundary": None, "window": "hamming"},
    ][seed]
    x = numbers((2, 64), seed=seed)
    spectra = scipy.signal.stft(x, **rest)[2]
    back: dict[str, Any] = {**rest, "boundary": "boundary" not in rest}
    got, want = signal.istft(spectra, **back), scipy.signal.istft(spectra, **back)
    np.testing.assert_allclose(got[1], want[1], atol=1e-14)
    np.testing.assert_allclose(got[1][:, :64], x, atol=1e-13)
    assert got[0].size == got[1].shape[-1]


def test_the_inverse_along_other_axes() -> None:
    z = numbers((9, 2, 7), "c16")
    uses: list[dict[str, Any]] = [
        {"time_axis": 0, "freq_axis": 2},
        {"time_axis": 2, "freq_axis": 0},
    ]
    for rest in uses:
        want = scipy.signal.istft(z, **rest)[1]
        np.testing.assert_allclose(signal.istft(z, **rest)[1], want, atol=1e-14)
    whole = numbers((16, 5), "c16")
    want = scipy.signal.istft(whole, input_onesided=False)[1]
    np.testing.assert_allclose(signal.istft(whole, input_onesided=False)[1], want, atol=1e-14)


DERIVATIVES: dict[str, Callable[..., Any]] = {
    "welch": lambda x, fs: np.log(signal.welch(x, fs, nperseg=8)[1]),
    "csd": lambda x, fs: np.abs(signal.csd(x, x[::-1], fs, nperseg=7, noverlap=2)[1]),
    "stft": lambda x, fs: np.real(signal.stft(x, fs, nperseg=8, scaling="psd")[2]) ** 3,
    "istft": lambda x, fs: np.sin(
        signal.istft(signal.stft(x, nperseg=7)[2] ** 2, fs, nperseg=7)[1]
    ),
    "periodogram": lambda x, fs: signal.periodogram(x, fs, detrend="linear")[1],
}


def test_a_window_is_an_argument() -> None:
    x = numbers(20)
    window: Any = np.hanning(8) + 0.1
    check(
        go.compile(lambda x, w: signal.welch(x, window=w))(x, window),
        scipy.signal.welch(x, window=window),
    )
    go.gradcheck(lambda w: np.log(signal.welch(x, window=w)[1]), (window,), order=2)


@pytest.mark.parametrize("name", DERIVATIVES)
def test_derivatives(name: str) -> None:
    function = DERIVATIVES[name]
    go.gradcheck(lambda x, fs: np.sum(function(x, fs)), (numbers(20), 1.5), order=2)


def test_errors() -> None:
    x, wrong = np.ones(30), "other"
    wrong_mode: Any = wrong
    for call, said in (
        (lambda: signal.welch(x, nperseg=0), "nperseg must be a positive integer"),
        (lambda: signal.welch(x, nperseg=8, noverlap=8), "noverlap must be less than nperseg"),
        (lambda: signal.welch(x, nperseg=8, nfft=7), "nfft must be greater than or equal"),
        (lambda: signal.welch(x, scaling=wrong_mode), "Unknown scaling"),
        (lambda: signal.welch(x, window=np.ones(31)), "window is longer than input signal"),
        (lambda: signal.welch(x, window=np.ones(9), nperseg=8), "different from length of window"),
        (lambda: signal.welch(x, window=np.ones((3, 3))), "window must be 1-D"),
        (lambda: signal.stft(x, boundary=wrong_mode), "Unknown boundary option"),
        (lambda: signal.istft(x), "must be at least 2d"),
        (lambda: signal.periodogram(x, window=np.ones(9)), "size of the window must be the same"),
    ):
        with pytest.raises(ArgumentError, match=said):
            call()
    for call, said in (
        (lambda: signal.welch(x, average=wrong_mode), "average='other' of welch"),
        (lambda: signal.welch(x, detrend=np.sin), "detrend=.* of welch"),
        (lambda: signal.spectrogram(x, mode=wrong_mode), "mode='other' of spectrogram"),
    ):
        with pytest.raises(UnsupportedError, match=said):
            call()
    with pytest.raises(ShapeError, match="the signal has no elements"):
        signal.welch(np.ones(0))
