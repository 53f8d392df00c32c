# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Filters of spectra and order statistics of parts in gradopt.scipy.ndimage against SciPy."""

from __future__ import annotations

import inspect
from contextlib import nullcontext
from typing import Any

import numpy as np
import pytest
import scipy.ndimage
from budget import generator

import gradopt as go
from gradopt.errors import ShapeError
from gradopt.scipy import ndimage

RNG = generator(5)
X = RNG.normal(size=(5, 6))
WHOLE, HALF = np.fft.fft2(X), np.fft.rfft2(X)
LABELS = RNG.integers(0, 4, size=(5, 6))
PARAMETERS = {"fourier_gaussian": [0.7, 1.2], "fourier_uniform": [2, 3], "fourier_shift": [1.7, -1]}


@pytest.mark.parametrize("name", PARAMETERS)
def test_filters_of_spectra(name: str) -> None:
    ours, theirs, parameter = getattr(ndimage, name), getattr(scipy.ndimage, name), PARAMETERS[name]
    for args in ((WHOLE, parameter), (HALF, parameter[0], 6), (HALF.T, parameter, 6, 0), (X, 1.5)):
        got, want = ours(*args), theirs(*args)
        assert got.dtype == want.dtype
        np.testing.assert_allclose(got, want, 1e-12, 1e-12)
    assert [*inspect.signature(ours).parameters] == [*inspect.signature(theirs).parameters]

    def loss(x: Any, parameter: Any) -> Any:
        return np.sum(np.sin(np.fft.irfft2(theirs(np.fft.rfft2(x), parameter, 6), X.shape)))

    assert go.gradcheck(loss, (X, np.array(parameter, float)), argnums=(0, 1), order=2)
    with pytest.raises(ShapeError, match=r"one for each of 2 axes, but got shape \(3,\)"):
        ours(WHOLE, [1.0, 2.0, 3.0])


@pytest.mark.parametrize("name", ["minimum", "maximum", "median"])
def test_order_statistics_of_parts(name: str) -> None:
    ours, theirs = getattr(ndimage, name), getattr(scipy.ndimage, name)
    for kept in ((), (LABELS,), (LABELS, 2), (LABELS, [1, 3])):
        np.testing.assert_array_equal(ours(X, *kept), theirs(X, *kept))
        whole = np.round(10 * X).astype(np.int64)
        got, want = ours(whole, *kept), theirs(whole, *kept)
        assert got.dtype == np.asarray(want).dtype
        np.testing.assert_array_equal(got, want)
    # A part of nothing.
    with pytest.raises(ValueError, match="zero-size") if name != "median" else nullcontext():
        assert np.isnan(ours(X, LABELS, 9))
    assert go.gradcheck(lambda x: np.sum(np.sin(theirs(x, LABELS, [1, 3]))), (X,))
