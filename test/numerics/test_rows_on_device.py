# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Ops on rows, such as softmax: on a device, threads keep a row in registers and load it once."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from devices import any_cuda, cuda, emulator

import gradopt as go

__all__ = ["any_cuda", "cuda", "emulator"]

pytestmark = pytest.mark.usefixtures("any_cuda")


def _softmax(x: Any) -> Any:
    e = np.exp(x - np.max(x, -1, keepdims=True))
    return e / np.sum(e, -1, keepdims=True)


def _log_softmax(x: Any) -> Any:
    x = x - np.max(x, -1, keepdims=True)
    return x - np.log(np.sum(np.exp(x), -1, keepdims=True))


def _layer_norm(x: Any, scale: Any, shift: Any) -> Any:
    x = x - np.mean(x, -1, keepdims=True)
    return x / np.sqrt(np.mean(x * x, -1, keepdims=True) + 1e-5) * scale + shift


def _masked(x: Any, mask: Any) -> Any:
    e = np.exp(x) * (mask > 0)
    return e / np.sum(e, -1, keepdims=True)


def _residual(x: Any, y: Any) -> Any:
    z = x + y
    return z, z / np.sqrt(np.mean(z * z, -1, keepdims=True) + 1e-5)


def _images(x: Any) -> Any:
    x = x - np.mean(x, (-2, -1), keepdims=True)
    return x / np.sqrt(np.mean(x * x, (-2, -1), keepdims=True) + 1e-5)


FUNCTIONS: dict[str, tuple[Callable[..., Any], list[tuple[int, ...]]]] = {
    "softmax": (_softmax, [(300, 512)]),
    "warps": (_softmax, [(40, 3000)]),
    "many threads": (_softmax, [(33, 7000)]),
    "batch": (_log_softmax, [(3, 40, 100)]),
    "odd": (_log_softmax, [(77, 131)]),
    "layer norm": (_layer_norm, [(6, 64, 256), (256,), (256,)]),
    "mask": (_masked, [(2, 3, 64, 96), (64, 96)]),
    "residual": (_residual, [(128, 192), (128, 192)]),
    "images": (_images, [(5, 16, 12, 20)]),
}


def _arrays(shapes: list[tuple[int, ...]], dtype: str) -> list[Any]:
    generator = np.random.default_rng(0)
    return [generator.normal(size=shape).astype(dtype) for shape in shapes]


def _rows(compiled: Any, arrays: list[Any]) -> str:
    """The kernel of the rows, in the form that it has for a GPU."""
    kernels = re.findall(r"gpu.func @.*?gpu.return", compiled.lower(*arrays).mlir("gpu"), re.S)
    assert len(kernels) == 1
    return kernels[0]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_one_kernel_gives_the_values_of_numpy(name: str, dtype: str) -> None:
    function, shapes = FUNCTIONS[name]
    arrays = _arrays(shapes, dtype)
    compiled = go.compile(function, device="cuda")
    kernel = _rows(compiled, arrays)
    # No row is in shared memory, nor is there a loop along one.
    assert not re.search(r"memref<\d+x\d+x?\d*x?\d*xf\d\d, #gpu", kernel)
    assert "scf.for" not in kernel
    rtol = 2e-5 if dtype == "float32" else 1e-12
    got, wanted = compiled(*arrays), function(*arrays)
    for a, b in zip(got, wanted, strict=True) if isinstance(got, tuple) else [(got, wanted)]:
        np.testing.assert_allclose(a, b, rtol=rtol, atol=rtol / 10)


@pytest.mark.parametrize("name", ["warps", "layer norm", "mask", "images"])
def test_gradients_are_those_of_the_cpu(name: str) -> None:
    function, shapes = FUNCTIONS[name]
    arrays = _arrays(shapes, "float64")
    weights = np.cos(np.arange(arrays[0].size)).reshape(arrays[0].shape)

    def loss(*arrays: Any) -> Any:
        return np.sum(function(*arrays) * weights)

    wanted = go.compile_grad(loss)(*arrays)
    got = go.compile_grad(loss, device="cuda")(*arrays)
    np.testing.assert_allclose(got, wanted, rtol=1e-9, atol=1e-11)


def test_nan_stays_in_its_row() -> None:
    x = _arrays([(64, 200)], "float32")[0]
    x[3, 150] = np.nan
    got = go.compile(_softmax, device="cuda")(x)
    assert np.isnan(got[3]).all()
    assert not np.isnan(np.delete(got, 3, 0)).any()
