# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Design and responses of filters in gradopt.scipy.signal against SciPy; their derivatives."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import scipy.signal

import gradopt as go
from gradopt.errors import ArgumentError, ConversionError, UnsupportedError
from gradopt.scipy import signal

BANDS: tuple[tuple[str, Any], ...] = (
    ("low", 0.2), ("low", 0.8), ("high", 0.3), ("bandpass", (0.2, 0.5)), ("bandstop", [0.3, 0.6]),
)  # fmt: skip
RIPPLES: dict[str, tuple[float, ...]] = {"butter": (), "cheby1": (1.2,), "cheby2": (30.0,),
                                      "ellip": (1.2, 30.0)}  # fmt: skip
B, A = scipy.signal.butter(3, 0.3)
SECTIONS = scipy.signal.butter(4, 0.3, output="sos")
X = np.random.default_rng(0).normal(size=(3, 40))


def agrees(found: Any, wanted: Any, tolerance: float = 1e-9) -> None:
    found, wanted = [v if isinstance(v, tuple) else (v,) for v in (found, wanted)]
    for got, want in zip(found, wanted, strict=True):
        assert np.shape(got) == np.shape(want)
        assert np.asarray(got).dtype == np.asarray(want).dtype
        np.testing.assert_allclose(got, want, tolerance, tolerance)


def by_size(roots: Any) -> Any:
    return np.sort_complex(np.round(np.asarray(roots, complex), 8))


@pytest.mark.parametrize("name", RIPPLES)
def test_recursive_filters(name: str) -> None:
    ours, theirs, ripple = getattr(signal, name), getattr(scipy.signal, name), RIPPLES[name]
    for order, (kind, edge), analog in itertools.product((0, 1, 2, 3, 6), BANDS, (False, True)):
        want = theirs(order, *ripple, edge, kind, analog)
        agrees(ours(order, *ripple, edge, kind, analog), want, 1e-8)
        *got, k = ours(order, *ripple, edge, kind, analog, "zpk")
        *want, factor = theirs(order, *ripple, edge, kind, analog, "zpk")
        for one, other in zip(got, want, strict=True):
            np.testing.assert_allclose(by_size(one), by_size(other), 1e-6, 1e-6)
        np.testing.assert_allclose(k, factor, 1e-9)
    agrees(ours(3, *ripple, 30.0, fs=100), theirs(3, *ripple, 30.0, fs=100))


@pytest.mark.parametrize("kind", ["phase", "delay", "mag"])
def test_bessel(kind: str) -> None:
    for order, (band, edge) in ((0, BANDS[0]), (3, BANDS[2]), (4, BANDS[3]), (2, BANDS[4])):
        args = (order, edge, band, order == 3)
        agrees(signal.bessel(*args, norm=kind), scipy.signal.bessel(*args, norm=kind), 1e-8)
    edge = np.array(0.3)
    agrees(
        signal.bessel(4, edge, output="sos", norm=kind),
        scipy.signal.bessel(4, edge, output="sos", norm=kind),
    )


def test_filters_by_their_names() -> None:
    for name in ("butter", "cheby1", "Chebyshev2", "cauer", "bessel", "bessel_mag"):
        args = (3, [0.2, 0.5], 1.1, 35.0)
        want = scipy.signal.iirfilter(*args, ftype=name.lower())
        agrees(signal.iirfilter(*args, ftype=name), want, 1e-8)
    with pytest.raises(ArgumentError, match="ellip needs ripples"):
        signal.iirfilter(3, 0.2, 1.0, btype="low", ftype="ellip")
    with pytest.raises(ArgumentError, match="not a valid basic IIR filter"):
        signal.iirfilter(3, 0.2, btype="low", ftype="other")


def test_changes_of_prototypes() -> None:
    prototype = scipy.signal.ellip(3, 1, 40, 1.1, analog=True, output="zpk")
    for name, args in (
        ("lp2lp_zpk", (1.7,)), ("lp2hp_zpk", (1.7,)), ("lp2bp_zpk", (1.7, 0.4)),
        ("lp2bs_zpk", (1.7, 0.4)), ("bilinear_zpk", (2.0,)),
    ):  # fmt: skip
        *got, k = getattr(signal, name)(*prototype, *args)
        *want, factor = getattr(scipy.signal, name)(*prototype, *args)
        for one, other in zip(got, want, strict=True):
            np.testing.assert_allclose(by_size(one), by_size(other), 1e-6, 1e-6)
        np.testing.assert_allclose(k, factor, 1e-11)
    with pytest.raises(ArgumentError, match="as many poles as zeros"):
        signal.lp2lp_zpk([1.0, 2.0], [1.0], 1.0)

    def gain(frequency: Any, width: Any) -> Any:
        z, p, k = scipy.signal.lp2bp_zpk(*prototype, frequency, width)
        return k * np.abs(np.prod(0.3j - z) / np.prod(0.3j - p))

    assert go.gradcheck(gain, (1.7, 0.4), argnums=(0, 1))


@pytest.mark.parametrize("name", ["butter", "cheby1"])
def test_sections(name: str) -> None:
    ours, theirs, ripple = getattr(signal, name), getattr(scipy.signal, name), RIPPLES[name]
    for order, (kind, edge) in itertools.product((1, 2, 4, 8), BANDS[:3]):
        want = theirs(order, *ripple, edge, kind, output="sos")
        agrees(ours(order, *ripple, edge, kind, output="sos"), want)
    # Of odd orders, SciPy's zeros may be in other sections.
    for order, (kind, edge) in itertools.product((3, 5), BANDS[:3]):
        want = theirs(order, *ripple, edge, kind)
        got = scipy.signal.sos2tf(ours(order, *ripple, edge, kind, output="sos"))
        agrees(tuple([part[:-1] for part in got]), want)


def test_other_filters() -> None:
    agrees(signal.iirnotch(0.3, 20.0), scipy.signal.iirnotch(0.3, 20.0))
    agrees(signal.iirpeak(0.3, 20.0, fs=4.0), scipy.signal.iirpeak(0.3, 20.0, fs=4.0))
    uses: list[tuple[int, Any, dict[str, Any]]] = [
        *((size, 0.3, {}) for size in (10, 11)),
        *((11, 0.3, {"pass_zero": kind}) for kind in (False, "highpass", "lowpass")),
        *((11, [0.2, 0.5], {"pass_zero": kind}) for kind in (True, False, "bandpass")),
        (11, [0.2, 0.5, 0.7], {"pass_zero": False}),
        (11, 0.3, {"scale": False, "window": ("kaiser", 4.0), "fs": 3.0}),
    ]
    for size, edge, rest in uses:
        agrees(signal.firwin(size, edge, **rest), scipy.signal.firwin(size, edge, **rest))


def test_responses_and_forms() -> None:
    z, p, k = scipy.signal.butter(3, 0.3, output="zpk")
    places = np.array([0.1, 2.0])
    uses: list[dict[str, Any]] = [
        {"worN": 7}, {"worN": places}, {"whole": True, "worN": 9, "fs": 3.0},
        {"include_nyquist": True, "worN": 5}, {},
    ]  # fmt: skip
    for rest in uses:
        agrees(signal.freqz(B, A, **rest), scipy.signal.freqz(B, A, **rest))
    calls: list[tuple[str, tuple[Any, ...]]] = [
        ("freqz_zpk", (z, p, k, 5)), ("freqz_sos", (SECTIONS, 5)), ("sosfreqz", (SECTIONS, 5)),
        ("freqs", (B, A, places)), ("freqs_zpk", (z, p, k, places)), ("zpk2tf", (z, p, k)),
        ("group_delay", ((B, A), 9)), ("sos2tf", (SECTIONS,)), ("freqz", (B,)),
    ]  # fmt: skip
    for name, args in calls:
        agrees(getattr(signal, name)(*args), getattr(scipy.signal, name)(*args))
    got, want = signal.tf2zpk(B[:-1], A), scipy.signal.tf2zpk(B[:-1], A)
    for one, other in zip(got[:2], want[:2], strict=True):
        np.testing.assert_allclose(by_size(one), by_size(other))


def test_filters_made_of_others() -> None:
    agrees(signal.lfilter_zi(B, A), scipy.signal.lfilter_zi(B, A))
    agrees(signal.sosfilt_zi(SECTIONS), scipy.signal.sosfilt_zi(SECTIONS))
    uses: list[dict[str, Any]] = [
        {}, {"axis": 0, "padlen": 1}, {"padtype": "even"}, {"padtype": "constant", "padlen": 5},
        {"padtype": None},
    ]  # fmt: skip
    for rest in uses:
        agrees(signal.filtfilt(B, A, X, **rest), scipy.signal.filtfilt(B, A, X, **rest))
        want = scipy.signal.sosfiltfilt(SECTIONS, X, **rest)
        agrees(signal.sosfiltfilt(SECTIONS, X, **rest), want)
    odd = scipy.signal.butter(3, 0.3, output="sos")
    agrees(signal.sosfiltfilt(odd, X), scipy.signal.sosfiltfilt(odd, X))
    for up, down, axis in ((1, 1, -1), (3, 2, 1), (2, 5, 0)):
        want = scipy.signal.upfirdn(B, X, up, down, axis)
        agrees(signal.upfirdn(B, X, up, down, axis), want)
    for size, (x, axis) in itertools.product(
        (1, 20, 39, 41, 60), ((X, 1), (X[:, :39], 1), (X.T * (1 - 0.3j), 0), (X[:, :39] + 1j, 1))
    ):
        want = scipy.signal.resample(x, size, axis=axis)
        agrees(signal.resample(x, size, axis=axis), want)
    agrees(signal.deconvolve(X[0], A), scipy.signal.deconvolve(X[0], A))
    t = np.linspace(-10, 10, 101)
    for name, rest in itertools.product(("square", "sawtooth"), ((), (0.3,), (0,), (1.5,))):
        want = getattr(scipy.signal, name)(t, *rest)
        agrees(getattr(signal, name)(t, *rest), want)
    agrees(signal.unit_impulse((3, 4), "mid"), scipy.signal.unit_impulse((3, 4), "mid"))


def test_derivatives() -> None:
    def designed(w: Any, b: Any) -> list[Any]:
        edges = np.stack([w, w + 0.2])
        return [
            signal.butter(2, edges, "bandpass")[1],
            signal.cheby2(2, 30, w, "high")[0],
            signal.butter(3, w, output="sos"),
            signal.firwin(5, w),
            signal.iirnotch(w, 3.0)[1],
            np.real(signal.freqz(b, worN=3)[1]) ** 2,
        ]

    go.gradcheck(designed, (0.3, B), argnums=(0, 1), order=2)

    def filtered(b: Any, a: Any, x: Any) -> list[Any]:
        return [
            signal.filtfilt(b, a, x, padlen=3) ** 2,
            signal.upfirdn(b, x, 2, 3) ** 2,
            signal.resample(x, 11) ** 2,
            *signal.deconvolve(x, a),
            signal.sawtooth(x, 0.3),
        ]

    go.gradcheck(filtered, (B, A, X[0, :7]), argnums=(0, 1, 2))


def test_designs_are_found_in_rewritten_functions() -> None:
    def cleaned(x: Any, w: Any) -> Any:
        b, a = scipy.signal.butter(3, w)
        return scipy.signal.filtfilt(b, a, x)

    got = go.compile(cleaned)(X, 0.3)
    np.testing.assert_allclose(got, cleaned(X, 0.3), 1e-9)


def test_errors() -> None:
    with pytest.raises(ArgumentError, match="0 < Wn < 1"):
        signal.butter(2, 1.5)
    with pytest.raises(ArgumentError, match="invalid bandtype"):
        signal.butter(2, 0.5, "notch")
    with pytest.raises(UnsupportedError, match="output='sos' and traced frequencies"):
        signal.butter(2, (0.2, 0.5), "bandpass", output="sos")
    with pytest.raises(ConversionError, match="rp must be known while tracing"):
        go.compile(lambda rp: signal.cheby1(2, rp, 0.3)[0])(1.0)
    with pytest.raises(ArgumentError, match="must be greater than padlen"):
        signal.filtfilt(B, A, X[0, :5])
    with pytest.raises(UnsupportedError, match="gust"):
        signal.filtfilt(B, A, X, method="gust")
