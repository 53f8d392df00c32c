# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What follows a product of matrices on a device: one kernel, or cuBLAS and a kernel."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from devices import cuda, emulator
from emulated_cuda import Emulator

import gradopt as go

pytestmark = pytest.mark.usefixtures("cuda")
__all__ = ["cuda", "emulator"]

Array = np.ndarray[Any, Any]
Program = Callable[..., Any]

BFLOAT16 = ml_dtypes.bfloat16


def gelu(x: Any) -> Any:
    return 0.5 * x * (1 + np.tanh(0.7978845608028654 * (x + 0.044715 * x**3)))


# Edges of tiles in all dimensions, and products of which nothing divides a tile.
SHAPES = [(70, 45, 33), (16, 300, 20), (130, 9, 140)]
DTYPES = {np.float64: 1e-13, np.float32: 2e-5, np.float16: 4e-3, BFLOAT16: 3e-2}

# Of x with shape (m, k), w (k, n), b (n,), r (m, n), c (m, 1).
LAYERS: dict[str, Program] = {
    "bias": lambda x, w, b, r, c: x @ w + b,
    "relu": lambda x, w, b, r, c: np.maximum(x @ w + b, 0),
    "gelu": lambda x, w, b, r, c: gelu(x @ w + b),
    "rows, columns and elements": lambda x, w, b, r, c: np.tanh(x @ w * c + b) * r,
    "sum": lambda x, w, b, r, c: r + x @ w,
    "two results": lambda x, w, b, r, c: (lambda y: (y * 2, np.tanh(y) * r))(x @ w + b),
    "factors as they lie": lambda x, w, b, r, c: np.exp(-np.abs(w.T @ x.T)) * c.T,
    "narrow": lambda x, w, b, r, c: (x @ w).astype(np.float16),
}


def operands(m: int, n: int, k: int, dtype: Any) -> list[Array]:
    rng = np.random.default_rng(m)
    shapes = [(m, k), (k, n), (n,), (m, n), (m, 1)]
    return [rng.uniform(-1, 1, shape).astype(dtype) for shape in shapes]


def on_host(found: Any) -> list[Array]:
    parts = found if isinstance(found, tuple) else (found,)
    return [
        np.asarray(part.numpy() if isinstance(part, go.DeviceArray) else part) for part in parts
    ]


def kernels(emulator: Emulator) -> list[str]:
    return [line for line in emulator.done() if line.startswith("run ")]


def check(found: Any, expected: Any, tolerance: float) -> None:
    for got, want in zip(on_host(found), on_host(expected), strict=True):
        assert got.shape == want.shape
        largest = max(1.0, float(np.max(np.abs(want.astype(np.float64)))))
        np.testing.assert_allclose(
            got.astype(np.float64), want.astype(np.float64), rtol=0, atol=tolerance * largest
        )


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_products_with_epilogues_are_one_kernel(emulator: Emulator, name: str, dtype: Any) -> None:
    """The emulator finds races, and what is read and written beyond edges."""
    f = LAYERS[name]
    for shape in SHAPES if dtype is np.float32 else SHAPES[:1]:
        arguments = operands(*shape, dtype)
        emulator.record()
        got = on_host(go.compile(f, device="cuda")(*arguments))
        assert len(kernels(emulator)) == 1, kernels(emulator)
        expected = f(*[a.astype(np.float64) for a in arguments])
        check(tuple(got), expected, 4e-3 if name == "narrow" else DTYPES[dtype])
        for part, want in zip(got, on_host(f(*arguments)), strict=True):
            assert part.dtype == want.dtype


def batch(x: Any, w: Any, b: Any, s: Any) -> Any:
    """As of heads; the bias is the same for all of them."""
    return np.tanh(np.einsum("abmk,abkn->abmn", x, w) * s + b)


def test_products_that_others_read_are_kept(cuda: Any) -> None:
    """As a part of an array that is a result, or that is read later."""

    def function(a: Any, b: Any) -> Any:
        kept, read = np.zeros((2, 2, 64, 64), a.dtype)
        kept[1] = a @ b
        read[0] = b @ a
        return kept, np.exp(kept[1]), np.tanh(read[0]), np.sum(read)

    a, b = operands(64, 64, 64, np.float64)[:2]
    found = go.compile(function)(go.asarray(a, device="cuda"), go.asarray(b, device="cuda"))
    for got, wanted in zip(on_host(found), function(a, b), strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_batches(emulator: Emulator, dtype: Any) -> None:
    rng = np.random.default_rng(1)
    shapes = [(2, 3, 20, 33), (2, 3, 33, 21), (21,), (2, 1, 20, 1)]
    arguments = [rng.uniform(-1, 1, shape).astype(dtype) for shape in shapes]
    emulator.record()
    found = go.compile(batch, device="cuda")(*arguments)
    assert len(kernels(emulator)) == 1
    check(found, batch(*[a.astype(np.float64) for a in arguments]), DTYPES[dtype])


def network(params: Any, x: Any, y: Any) -> Any:
    h = x
    for w, b in params:
        h = np.maximum(h @ w + b, 0)
    return np.mean((h - y) ** 2)


def layers() -> tuple[Any, Array, Array]:
    rng = np.random.default_rng(2)
    params = [(rng.normal(size=(24, 24)) / 4, rng.normal(size=24)) for _ in range(3)]
    return params, rng.normal(size=(40, 24)), rng.normal(size=(40, 24))


def test_gradients(emulator: Emulator) -> None:
    """The memory that a layer writes may be that of what it reads."""
    params, x, y = layers()
    step = go.compile_value_and_grad(network, device="cuda")
    value, gradient = step(params, x, y)
    np.testing.assert_allclose(value, network(params, x, y), rtol=1e-12)
    rng = np.random.default_rng(3)
    tangents = [tuple(rng.normal(size=p.shape) for p in layer) for layer in params]

    def at(t: float) -> Any:
        moved = [
            tuple(p + t * d for p, d in zip(layer, tangent, strict=True))
            for layer, tangent in zip(params, tangents, strict=True)
        ]
        return network(moved, x, y)

    slope = (at(1e-6) - at(-1e-6)) / 2e-6
    found = sum(
        np.sum(g * d)
        for layer, tangent in zip(gradient, tangents, strict=True)
        for g, d in zip(layer, tangent, strict=True)
    )
    np.testing.assert_allclose(found, slope, rtol=1e-7)


def test_donated_arguments(emulator: Emulator) -> None:
    """What is written is where the other threads still read a factor: two kernels."""
    x, w = np.random.default_rng(4).uniform(-1, 1, (2, 40, 40))
    step = go.compile(lambda x, w: np.tanh(x @ w), donate_argnums=0)
    expected = np.tanh(x @ w)
    emulator.record()
    found = step(go.asarray(x, device="cuda"), go.asarray(w, device="cuda"))
    check(found, expected, 1e-13)
    assert len(kernels(emulator)) == 2


def both_forms() -> None:
    """Runs with cuBLAS, in a process of its own: a library that is in use stays."""
    from gradopt import _gradopt

    emulator = Emulator()
    _gradopt.set_driver(str(emulator.path))
    _gradopt.set_cublas(str(emulator.path))
    for name in ("relu", "sum", "two results"):
        arguments = operands(*SHAPES[0], np.float32)
        emulator.record()
        found = go.compile(LAYERS[name], device="cuda")(*arguments)
        done = [line.split()[1] for line in kernels(emulator)]
        assert len(done) == 2, done
        assert done[0].startswith("cublasSgemm")
        check(found, LAYERS[name](*[a.astype(np.float64) for a in arguments]), 2e-5)
    # A graph of calls on the same arrays takes the same branch.
    arrays = [go.asarray(a, device="cuda") for a in arguments]
    compiled = go.compile(LAYERS["relu"])
    for _ in range(4):
        found = compiled(*arrays)
    check(found, LAYERS["relu"](*arguments), 2e-5)


def test_with_a_library() -> None:
    root = Path(__file__).parent
    code = f"import sys; sys.path[:0] = {[str(root), str(root.parent)]!r}; import "
    code += f"{Path(__file__).stem} as test; test.both_forms()"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
