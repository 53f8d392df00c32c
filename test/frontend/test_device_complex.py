# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Complex numbers on devices: sums of many threads, loops, sorts, and arrays of other libraries."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from devices import cuda, emulator
from foreign_arrays import DlpackArray, InterfaceArray

import gradopt as go

pytestmark = pytest.mark.usefixtures("cuda")
__all__ = ["cuda", "emulator"]

Array = np.ndarray[Any, Any]


def numbers(*shape: int, dtype: str = "c16") -> Array:
    parts = np.random.default_rng(7).uniform(-1, 1, (2, *shape))
    return (parts[0] + 1j * parts[1]).astype(dtype)


def recurrence(z: Any) -> Any:
    """The list of commands carries a number and an array, and branches on a part of the number."""

    def step(i: Any, state: Any) -> Any:
        number, array = state
        return number * 1.1j + np.mean(array), np.fft.fft(array) / 3

    number, array = go.fori_loop(0, 3, step, (0.5 + 0j, z))
    return go.cond(np.imag(number) > 0, lambda: array * number, lambda: array - number)


FUNCTIONS: dict[str, tuple[Callable[..., Any], tuple[Array, ...]]] = {
    # One kernel each: elements of threads, squares in shared memory, rows in registers, chunks.
    "elements": (lambda z: np.exp(z) * z / (1 + z**2), (numbers(70, 9),)),
    "transposed": (lambda z: z.T * 2j, (numbers(130, 140),)),
    "sum": (lambda z: np.sum(z * z), (numbers(70, 300),)),
    "sums of columns": (lambda z: np.sum(np.cos(z), 0), (numbers(70, 300),)),
    "rows": (lambda z: z / np.sqrt(np.sum(z * z, 1, keepdims=True)), (numbers(40, 200),)),
    "cumsum": (lambda z: np.cumsum(z, 1), (numbers(3, 2000),)),
    "cumprod": (lambda z: np.cumprod(z, 1), (numbers(3, 20),)),
    "product": (lambda z, w: z @ w, (numbers(33, 40), numbers(40, 21))),
    "batch": (lambda z: np.matmul(z, np.swapaxes(z, 1, 2)), (numbers(3, 17, 20),)),
    "gather": (lambda z: z[np.array([2, 0, 2])] * z[:3], (numbers(4, 5),)),
    "choice": (lambda z: np.where(z.real > 0, z, np.conj(z)), (numbers(50),)),
    "parts": (lambda z: np.abs(z) * np.angle(z) + z.imag * 1j, (numbers(50),)),
    "loop": (recurrence, (numbers(6),)),
    "single": (lambda z: np.sum(z @ z.T, 1), (numbers(40, 50, dtype="c8"),)),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_values_and_derivatives_are_those_of_the_cpu(name: str) -> None:
    function, arguments = FUNCTIONS[name]

    def both(*args: Any) -> Any:
        gradient = go.grad(lambda *a: np.sum(np.abs(function(*a)) ** 2))
        return function(*args), gradient(*args)

    expected = go.compile(both)(*arguments)
    found = go.compile(both)(*(go.asarray(x, device="cuda") for x in arguments))
    tolerance = 1e-4 if arguments[0].dtype == np.complex64 else 1e-11
    for got, want in zip(found, expected, strict=True):
        scale = np.max(np.abs(want))
        np.testing.assert_allclose(got.numpy() / scale, want / scale, atol=tolerance, rtol=0)
        assert got.dtype == want.dtype
    if name != "loop":
        np.testing.assert_allclose(
            found[0].numpy(), function(*arguments), rtol=100 * tolerance, atol=100 * tolerance
        )


@pytest.mark.parametrize("dtype", ["c8", "c16"])
def test_sorts(dtype: str) -> None:
    nan = float("nan")
    parts = [nan, 0.0, 1.0, -1.0, 2.0]
    z = np.array([complex(a, b) for a in parts for b in parts] * 2, dtype)
    z = np.random.default_rng(1).permutation(z)
    f = go.compile(lambda z: (np.sort(z), np.argsort(z, kind="stable")), device="cuda")
    values, order = f(z)
    np.testing.assert_array_equal(order, np.argsort(z, kind="stable"))
    np.testing.assert_array_equal(values, np.sort(z))


def test_arrays_of_other_libraries() -> None:
    z = numbers(3, 4)
    f = go.compile(lambda z: z * 1j)
    for wrap in (DlpackArray, InterfaceArray):
        np.testing.assert_array_equal(f(wrap(go.asarray(z, device="cuda"))).numpy(), z * 1j)


def test_large_products_are_those_of_their_parts() -> None:
    """By tiles of blocks, as real products, also where an operand is a transpose or a conjugate."""
    z, w = numbers(32, 40), numbers(26, 2600)

    def products(z: Any, w: Any) -> Any:
        gram = w @ np.conj(w).T
        return z[:26, :26] @ gram, np.einsum("ij,kj->ik", w, w)

    compiled = go.compile(products, device="cuda")
    kernels = compiled.lower(z, w).mlir("gpu")
    assert "gemm_f64" in kernels
    for got, want in zip(compiled(z, w), products(z, w), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-11, atol=1e-11)
    z[0, 0] = complex(np.inf, np.nan)
    assert np.isnan(compiled(z, w)[0][0, 0])
