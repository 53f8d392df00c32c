# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""float16 and bfloat16 on a device: an emulated one, or a GPU with `make test-gpu`."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import test_narrow_floats as narrow
from devices import any_cuda, cuda, emulator

import gradopt as go

__all__ = ["any_cuda", "cuda", "emulator"]

pytestmark = pytest.mark.usefixtures("any_cuda")


def on_host(array: Any) -> Any:
    return array.numpy() if isinstance(array, go.DeviceArray) else np.asarray(array)


@narrow.both
def test_values(dtype: Any) -> None:
    """Conversions of all numbers, and what one operation rounds, have the same bits as elsewhere."""
    numbers = narrow.patterns(dtype)
    wide = np.concatenate([numbers.astype("f8"), [1 + 2.0**-11, 1 + 2.0**-8 + 2.0**-40, 65520.0]])

    def every(x: Any, wide: Any) -> Any:
        parts = [x.astype("f4"), wide.astype(dtype), wide.astype("f4").astype(dtype)]
        return [*parts, x + x, x * x, np.sqrt(x), x < x[0], x[::-1], np.where(x < x[0], x, x[3])]

    with np.errstate(all="ignore"):
        expected = every(numbers, wide)
        expected[1] = narrow.rounded(wide, dtype)
        for k, (got, true) in enumerate(
            zip(go.compile(every, device="cuda")(numbers, wide), expected, strict=True)
        ):
            narrow.assert_same(on_host(got), true, str(k))


@narrow.both
def test_gradients(dtype: Any) -> None:
    rng = np.random.default_rng(4)
    shapes = {"w": (6, 8), "b": (8,), "v": (8,)}
    params = {k: rng.normal(size=s, scale=0.5).astype(dtype) for k, s in shapes.items()}
    x, y = rng.normal(size=(64, 6)).astype(dtype), rng.normal(size=64).astype(dtype)
    true = narrow.slopes(
        {k: p.astype("f8") for k, p in params.items()}, x.astype("f8"), y.astype("f8")
    )
    _, gradient = go.compile_value_and_grad(narrow.layers, device="cuda")(params, x, y)
    for key, found in gradient.items():
        assert found.dtype == dtype
        narrow.assert_close(on_host(found), true[key], dtype, 8)
    rows = go.compile(lambda x: (np.sum(x, axis=0), np.cumsum(x[:, 0])), device="cuda")(x)
    narrow.assert_close(on_host(rows[0]), x.astype("f8").sum(0), dtype)
    narrow.assert_close(on_host(rows[1]), np.cumsum(x[:, 0].astype("f8")), dtype)


@narrow.both
@pytest.mark.parametrize(
    ("lhs", "rhs", "subscripts"),
    [
        ((70, 90), (90, 80), "mk,kn->mn"),
        ((90, 33), (80, 90), "km,nk->mn"),
        ((3, 2, 40, 50), (3, 2, 50, 60), "abmk,abkn->abmn"),
        ((5, 3), (3, 2), "mk,kn->mn"),
        ((17, 60), (60, 200), "mk,kn->mn"),
        ((40, 150), (20, 40), "km,nk->mn"),
        ((30, 129), (129, 31), "mk,kn->mn"),
    ],
)
def test_products_read_narrow_numbers(
    dtype: Any, lhs: tuple[int, ...], rhs: tuple[int, ...], subscripts: str
) -> None:
    """Products of two numbers are exact in float32, and so is how they are added up."""
    rng = np.random.default_rng(5)
    a, b = (rng.normal(size=shape).astype(dtype) for shape in (lhs, rhs))
    compiled = go.compile(lambda a, b: np.einsum(subscripts, a, b), device="cuda")
    text = compiled.lower(a, b).mlir("bufferized")
    assert "arith.extf" not in text or "arith.mulf" in text, "nothing is widened by itself"
    if a.size > 1000:
        assert f"@gradopt_gemm_batched_{'f16' if dtype == np.float16 else 'bf16'}" in text
    true = np.einsum(subscripts, a.astype("f8"), b.astype("f8"))
    got = on_host(compiled(a, b))
    # One rounding of the result, which NumPy has in dtype, and those of the sums.
    eps = float(np.finfo("f4").eps) if got.dtype == np.float32 else narrow.eps(dtype)
    np.testing.assert_allclose(got.astype("f8"), true, rtol=eps, atol=1e-4)
