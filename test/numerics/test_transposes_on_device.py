# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Large nests that read across rows: on a device, squares of them go through shared memory."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from devices import any_cuda, cuda, emulator

import gradopt as go

__all__ = ["any_cuda", "cuda", "emulator"]

FUNCTIONS = {
    "transpose": (lambda x: x.T.copy(), [(200, 150)]),
    "fused": (lambda x, y: np.tanh(x.T) * y, [(200, 150), (150, 200)]),
    "two of them": (lambda x, y, z: x.T * y.T + z, [(161, 129), (161, 129), (129, 161)]),
    "last two axes": (lambda x: np.exp(np.swapaxes(x, 1, 2)), [(7, 130, 140)]),
    "first axis last": (lambda x: np.transpose(x, (1, 2, 0)) * 2, [(128, 5, 67)]),
    "last axis first": (lambda x: np.transpose(x, (2, 0, 1)) * 2, [(7, 130, 33)]),
    "reversed": (lambda x: np.transpose(x, (2, 1, 0)) * 2, [(160, 3, 131)]),
    "a part": (lambda x: x[3:350:2, 1:].T * 2, [(400, 300)]),
    "backwards": (lambda x: x[::-1].T * 2, [(200, 150)]),
    "a column": (lambda x, y: x.T + y[:, None], [(200, 150), (150,)]),
    "counters": (lambda x: x.T * np.arange(200) + np.arange(150)[:, None], [(200, 150)]),
    "comparison": (lambda x: x.T > 0, [(200, 150)]),
}


pytestmark = pytest.mark.usefixtures("any_cuda")


def _arrays(shapes: list[tuple[int, ...]], dtype: str) -> list[Any]:
    generator = np.random.default_rng(0)
    return [generator.normal(size=shape).astype(dtype) for shape in shapes]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_values_are_those_of_numpy(name: str, dtype: str) -> None:
    function, shapes = FUNCTIONS[name]
    arrays = _arrays(shapes, dtype)
    compiled = go.compile(function, device="cuda")
    assert "workgroup" in compiled.lower(*arrays).mlir("gpu")
    rtol = 1e-5 if dtype == "float32" else 1e-13
    np.testing.assert_allclose(compiled(*arrays), function(*arrays), rtol=rtol)


def test_gradients_are_those_of_the_cpu() -> None:
    def loss(x: Any, y: Any) -> Any:
        return np.sum(np.tanh(x.T * y) ** 2)

    arrays = _arrays([(200, 150), (150, 200)], "float64")
    wanted = go.compile_grad(loss, (0, 1))(*arrays)
    got = go.compile_grad(loss, (0, 1), device="cuda")(*arrays)
    for a, b in zip(got, wanted, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12)


@pytest.mark.parametrize("axes", [(0, 2, 1, 3), (0, 3, 1, 2), (0, 1, 3, 2)])
def test_products_write_what_is_transposed(axes: tuple[int, ...]) -> None:
    arrays = _arrays([(2, 3, 33, 20), (2, 3, 20, 40)], "float64")
    compiled = go.compile(lambda a, b: np.transpose(a @ b, axes), device="cuda")
    text = compiled.lower(*arrays).mlir("bufferized")
    assert "@gradopt_gemm_batched_f64" in text
    assert "call @kernel" not in text
    np.testing.assert_allclose(
        compiled(*arrays), np.transpose(arrays[0] @ arrays[1], axes), rtol=1e-12, atol=1e-12
    )
