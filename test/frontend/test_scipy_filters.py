# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Filters of gradopt.scipy.signal against SciPy's."""

from __future__ import annotations

import functools
import inspect
import itertools
from typing import Any

import numpy as np
import pytest
import scipy.signal
from budget import generator

import gradopt as go
from gradopt.errors import ArgumentError, ShapeError
from gradopt.scipy import signal

Array = np.ndarray[Any, Any]
SMOOTH: Any = scipy.signal.butter(4, 0.3)
SECTIONS: Array = np.asarray(scipy.signal.butter(5, [0.2, 0.5], "band", output="sos"))


def numbers(shape: Any, dtype: str = "f8", seed: int = 0) -> Array:
    rng = generator(seed)
    x = rng.normal(size=shape)
    if np.dtype(dtype).kind == "c":
        x = x + 1j * rng.normal(size=shape)
    return (10 * x if np.dtype(dtype).kind == "i" else x).astype(dtype)


def check(got: Any, want: Any, message: Any = "") -> None:
    got, want = np.asarray(got), np.asarray(want)
    assert got.shape == want.shape, message
    assert got.dtype == want.dtype, message
    scale = np.max(np.abs(want), initial=0)
    tolerance = 500 * np.finfo(want.dtype).eps
    np.testing.assert_allclose(got, want, 0, tolerance * scale, err_msg=str(message))


@pytest.mark.parametrize(
    "name", ["lfilter", "sosfilt", "savgol_filter", "savgol_coeffs", "detrend"]
)
def test_parameters_are_scipys(name: str) -> None:
    ours = inspect.signature(getattr(signal, name)).parameters
    theirs = inspect.signature(getattr(scipy.signal, name)).parameters
    assert [*ours] == [name for name in theirs if name not in ("xp", "device")]
    assert all(p.default == theirs[p.name].default for p in ours.values())


FILTERS: list[tuple[Any, Any]] = [
    SMOOTH,
    ([1.0, 0.5], [1.0]),
    ([0.2, 0.3, 0.4, 0.1], [2.0]),
    ([1.0], [2.0, -0.5]),
    ([3.0], [2.0]),
    ([1.0, 2.0], [0.5, 0.2, -0.1, 0.05]),
]


@pytest.mark.parametrize("which", range(len(FILTERS)))
def test_rational_filters(which: int) -> None:
    b, a = (np.asarray(part) for part in FILTERS[which])
    for (shape, axis), dtype in itertools.product(
        [((30,), -1), ((3, 20), 1), ((20, 3), 0), ((2, 9, 3), 1)], ["f8", "c16", "i4"]
    ):
        x = numbers(shape, dtype)
        want = scipy.signal.lfilter(b, a, x, axis)
        check(signal.lfilter(b, a, x, axis), want, (shape, dtype))
        check(go.compile(lambda b, a, x: signal.lfilter(b, a, x, axis))(b, a, x), want)  # noqa: B023
    b, a, x = (part.astype("f4") for part in (b, a, numbers(30)))
    check(signal.lfilter(b, a, x), scipy.signal.lfilter(b, a, x))


def test_what_is_in_the_delays() -> None:
    b, a = SMOOTH
    for shape, axis, start in (((30,), 0, (4,)), ((3, 20), 1, (3, 4)), ((20, 3), 0, (4, 1))):
        x, zi = numbers(shape), numbers(start, seed=1)
        got = signal.lfilter(b, a, x, axis, zi)
        want = scipy.signal.lfilter(b, a, x, axis, zi)
        for one, other in zip(got, want, strict=True):
            check(one, other, shape)
    fir = signal.lfilter([1.0, 2.0], [1.0], numbers(5), zi=np.ones(1))
    for one, other in zip(
        fir, scipy.signal.lfilter([1.0, 2.0], [1.0], numbers(5), zi=np.ones(1)), strict=True
    ):
        check(one, other)


def test_cascades() -> None:
    for shape, axis, start in (
        ((30,), -1, (5, 2)),
        ((3, 20), 1, (5, 3, 2)),
        ((20, 3), 0, (5, 2, 3)),
    ):
        x, zi = numbers(shape), numbers(start, seed=1)
        check(signal.sosfilt(SECTIONS, x, axis), scipy.signal.sosfilt(SECTIONS, x, axis), shape)
        got = signal.sosfilt(SECTIONS, x, axis, zi)
        want = scipy.signal.sosfilt(SECTIONS, x, axis, zi)
        for one, other in zip(got, want, strict=True):
            check(one, other, shape)


def test_smoothing() -> None:
    for (shape, axis), (size, degree), deriv in itertools.product(
        [((30,), -1), ((3, 20), 1), ((20, 2), 0)], [(5, 2), (7, 3), (9, 0), (1, 0)], (0, 1)
    ):
        for mode in ("interp", "mirror", "nearest", "wrap", "constant"):
            rest: dict[str, Any] = {"deriv": deriv, "delta": 0.5, "axis": axis, "mode": mode}
            x = numbers(shape)
            got = signal.savgol_filter(x, size, degree, cval=1.5, **rest)
            want = scipy.signal.savgol_filter(x, size, degree, cval=1.5, **rest)
            check(got, want, (shape, size, degree, rest))
    for size, degree in ((4, 2), (5, 2)):
        for pos, use in itertools.product((None, 0, 3), ("conv", "dot")):
            got = signal.savgol_coeffs(size, degree, 1, 0.5, pos, use)
            want = scipy.signal.savgol_coeffs(size, degree, 1, 0.5, pos, use)
            np.testing.assert_allclose(got, want, atol=1e-13)


def test_lines() -> None:
    for shape, axis in (((30,), -1), ((3, 20), 1), ((20, 3), 0)):
        uses: list[dict[str, Any]] = [{}, {"type": "constant"}, {"bp": 7}, {"bp": [4, 11]}]
        for rest in uses:
            x = numbers(shape, "c16" if shape == (30,) else "f8")
            got, want = signal.detrend(x, axis, **rest), scipy.signal.detrend(x, axis, **rest)
            check(got, want, (shape, rest))


def test_derivatives() -> None:
    """In coefficients, samples and what is in the delays."""
    b, a, x = np.array([0.4, 0.3]), np.array([1.2, -0.5, 0.2]), numbers(12)
    go.gradcheck(lambda *p: np.sin(signal.lfilter(*p)), (b, a, x), order=2)
    go.gradcheck(lambda b, x: np.sin(signal.lfilter(b, [2.0], x)), (b, x), order=2)
    zi = numbers(2, seed=3)
    go.gradcheck(lambda z: signal.lfilter(b, a, x, zi=z)[1] ** 2, (zi,))
    go.gradcheck(lambda s, x: signal.sosfilt(s, x), (SECTIONS[:2], x))
    smoothed = functools.partial(signal.savgol_filter, window_length=5, polyorder=2)
    go.gradcheck(lambda x: smoothed(x) ** 2, (x,), order=2)
    go.gradcheck(lambda x: signal.detrend(x) ** 2, (x,), order=2)


def test_a_long_filter_is_a_loop() -> None:
    """Neither the program nor the memory grows with the number of samples."""
    b, a = SMOOTH
    x = numbers(50_000)
    compiled = go.compile(lambda x: signal.lfilter(b, a, x))
    assert compiled.lower(x).memory().arena < 4096
    check(compiled(x), scipy.signal.lfilter(b, a, x))


def test_errors() -> None:
    x, wrong = np.ones(9), "other"
    mode: Any = wrong
    with pytest.raises(
        ShapeError, match=r"a must be a vector with elements, but its shape is \(0,\)"
    ):
        signal.lfilter([1.0], [], x)
    with pytest.raises(ShapeError, match=r"zi has a wrong shape"):
        signal.lfilter([1.0, 2.0], [1.0, 0.5], x, zi=np.ones(2))
    with pytest.raises(ShapeError, match=r"sos must have the shape \(sections, 6\)"):
        signal.sosfilt(np.ones((2, 5)), x)
    with pytest.raises(ArgumentError, match="polyorder must be less than window_length"):
        signal.savgol_filter(x, 3, 3)
    with pytest.raises(ArgumentError, match="mode must be"):
        signal.savgol_filter(x, 3, 1, mode=mode)
    with pytest.raises(ArgumentError, match="window_length must be less than or equal"):
        signal.savgol_filter(x, 11, 1)
    with pytest.raises(ArgumentError, match="Trend type must be"):
        signal.detrend(x, type=wrong)
    with pytest.raises(ArgumentError, match="Breakpoints must be less"):
        signal.detrend(x, bp=12)
