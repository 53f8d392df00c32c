# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Fourier transforms of NumPy functions on a device, by an emulator of cuFFT."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.fft
from devices import cuda, emulator
from emulated_cuda import Emulator
from matrices import normal

import gradopt as go
from gradopt import errors

pytestmark = pytest.mark.usefixtures("cuda")
__all__ = ["cuda", "emulator"]

X = normal(4, 6)

FUNCTIONS: dict[str, Callable[..., Any]] = {
    "fft2": lambda x: np.abs(np.fft.fft2(x)),
    "convolution": lambda x: np.fft.irfft(np.fft.rfft(x) * np.fft.rfft(x[::-1])),
    "root": lambda x: np.abs(np.fft.ifft(np.fft.fft(x, axis=0, norm="ortho") * 1j)),
    "forward": lambda x: np.fft.irfft2(np.fft.rfft2(x, norm="forward") ** 2),
    # Of real numbers in the other direction.
    "hfft": lambda x: np.fft.hfft(np.fft.ihfft(x, norm="ortho") * (1 + 2j), 6),
    "dct": lambda x: scipy.fft.dct(x, norm="ortho"),
}


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_values_and_derivatives(emulator: Emulator, name: str, dtype: str) -> None:
    """Those of the CPU, with nothing copied to the host."""
    function, x = FUNCTIONS[name], X.astype(dtype)

    def loss(x: Any) -> Any:
        return np.sum(np.sin(function(x)))

    def all_of(x: Any) -> Any:
        gradient = go.grad(loss)
        return function(x), gradient(x), go.jvp(gradient, (x,), (x * x,))[1]

    compiled = go.compile(all_of)
    there = go.asarray(x, device="cuda")
    expected = go.compile(all_of)(x)
    np.testing.assert_allclose(expected[0], function(x), rtol=1e-4 if dtype == "f4" else 1e-10)
    tolerance = 2e-4 if dtype == "f4" else 1e-10
    emulator.record()
    found = compiled(there)
    found[0].wait()
    assert any(line.startswith("run cufftExec") for line in emulator.done())
    assert not emulator.calls("cuMemAllocHost_v2")
    for got, want in zip(found, expected, strict=True):
        np.testing.assert_allclose(got.numpy(), want, rtol=tolerance, atol=tolerance, strict=True)


def test_a_gradient_is_a_graph(emulator: Emulator) -> None:
    compiled = go.compile_grad(lambda x: np.sum(FUNCTIONS["convolution"](x) ** 2))
    there = go.asarray(X, device="cuda")
    for call in range(3):
        emulator.record()
        compiled(there).wait()
        assert bool(emulator.calls("cuGraphLaunch")) == (call > 0)


def test_failures_name_the_status(emulator: Emulator) -> None:
    compiled = go.compile(lambda x: np.abs(np.fft.fft(x)))
    there = go.asarray(X, device="cuda")
    compiled(there)
    for name, status, words in (
        ("cufftExecZ2Z", 6, r"failed on cuda:0: cuFFT returned CUFFT_EXEC_FAILED \(6\)"),
        ("cufftSetStream", 1, r"failed on cuda:0: cuFFT returned CUFFT_INVALID_PLAN \(1\)"),
    ):
        emulator.fail(name, status)
        # What cannot be captured is run, and fails as that.
        with pytest.raises(errors.DeviceError, match=words):
            go.compile(lambda x: np.abs(np.fft.fft(x * 2)))(there)
        emulator.recover()
    np.testing.assert_allclose(compiled(there).numpy(), np.abs(np.fft.fft(X)))
