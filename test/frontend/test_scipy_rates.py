# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Signals at other rates, and local medians and means, against SciPy; their derivatives."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest
import scipy.signal
from budget import generator

import gradopt as go
from gradopt.errors import ArgumentError, ShapeError, UnsupportedError
from gradopt.scipy import signal

RNG = generator(4)
X, ROWS, TAPS = RNG.normal(size=37), RNG.normal(size=(3, 40)), RNG.normal(size=10)
IMAGE = RNG.normal(size=(7, 8))
CALLS: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = [
    ("resample_poly", (X, 3, 2), {}),
    ("resample_poly", (X, 2, 3), {"window": "hamming"}),
    ("resample_poly", (X, 4, 4), {}),
    ("resample_poly", (ROWS, 7, 5), {"axis": -1, "padtype": "mean"}),
    ("resample_poly", (ROWS, 1, 4), {"axis": 1, "padtype": "maximum"}),
    ("resample_poly", (X, 2, 5), {"window": TAPS}),
    ("decimate", (ROWS, 3), {}),
    ("decimate", (ROWS.T, 4, 5), {"axis": 0, "zero_phase": False}),
    ("decimate", (ROWS, 3), {"ftype": "fir"}),
    ("decimate", (ROWS, 3, 30), {"ftype": "fir", "zero_phase": False}),
    ("medfilt", (IMAGE,), {}),
    ("medfilt", (IMAGE, [1, 5]), {}),
    ("medfilt", (np.round(10 * X).astype(np.int32), 5), {}),
    ("medfilt2d", (IMAGE, 3), {}),
    ("wiener", (IMAGE,), {}),
    ("wiener", (IMAGE, [2, 3]), {}),
    ("wiener", (X, 4, 0.7), {}),
]


@pytest.mark.parametrize(("name", "args", "kwargs"), CALLS)
def test_against_scipy(name: str, args: Any, kwargs: Any) -> None:
    ours, theirs = getattr(signal, name), getattr(scipy.signal, name)
    x, *others = args
    got, want = ours(*args, **kwargs), theirs(*args, **kwargs)
    assert got.dtype == want.dtype
    np.testing.assert_allclose(got, want, 1e-9, 1e-10)
    if x.dtype == np.float64:
        assert go.gradcheck(lambda x: np.sum(np.sin(ours(x, *others, **kwargs))), (x,))
        single = ours(x.astype(np.float32), *others, **kwargs)
        assert single.dtype == np.float32
        np.testing.assert_allclose(single, want, 2e-3, 1e-4)


@pytest.mark.parametrize("name", ["resample_poly", "decimate", "medfilt", "medfilt2d", "wiener"])
def test_parameters_are_scipys(name: str) -> None:
    ours = inspect.signature(getattr(signal, name)).parameters
    theirs = inspect.signature(getattr(scipy.signal, name)).parameters
    assert [(p.name, p.default) for p in ours.values()] == [
        (p.name, p.default) for p in theirs.values()
    ]


def test_filters_may_be_traced() -> None:
    def loss(x: Any, taps: Any, noise: Any) -> Any:
        y = scipy.signal.resample_poly(x, 3, 2, window=taps)
        return np.sum(np.sin(scipy.signal.wiener(y, 3, noise)))

    args = (X, TAPS, np.array(0.8))
    np.testing.assert_allclose(go.compile(loss)(*args), loss(*args), 1e-11)
    assert go.gradcheck(loss, args, argnums=(0, 1, 2), order=2)


def test_errors() -> None:
    with pytest.raises(ArgumentError, match="rates must be >= 1"):
        signal.resample_poly(X, 0, 2)
    with pytest.raises(ArgumentError, match="should be odd"):
        signal.medfilt(X, 4)
    for size in (-1, [3, -3], 0):
        with pytest.raises(ArgumentError, match=r"medfilt: sizes must be positive, but are \["):
            signal.medfilt(IMAGE, size)
    with pytest.raises(ArgumentError, match=r"wiener: sizes must be positive, but are \[-2, -2\]"):
        signal.wiener(IMAGE, -2)
    for values in (IMAGE + 1j, IMAGE > 0, IMAGE.astype(np.complex64)):
        for of in (scipy.signal, signal):
            for function in (of.medfilt, of.medfilt2d):
                with pytest.raises(ValueError, match=f"{values.dtype} is not supported by medfilt"):
                    function(values)
    with pytest.raises(ArgumentError, match="3 sizes are given for 2 axes"):
        signal.wiener(IMAGE, [1, 2, 3])
    with pytest.raises(ShapeError, match="must have two dimensions, but has 1"):
        signal.medfilt2d(X)
    with pytest.raises(ShapeError, match="window must be 1-D"):
        signal.resample_poly(X, 2, 3, window=IMAGE)
    with pytest.raises(UnsupportedError, match=r"padtype='isnat' .*use constant, mean"):
        signal.resample_poly(X, 2, 3, padtype="isnat")
