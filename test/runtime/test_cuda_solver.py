# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Factorizations of larger matrices on a device, by emulators of cuSOLVER and cuBLAS."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.linalg
from devices import cuda, emulator
from emulated_cuda import Emulator
from matrices import normal, positive, regular

import gradopt as go
from gradopt import _gradopt, errors

__all__ = ["cuda", "emulator"]

N = 35


@pytest.fixture(autouse=True)
def libraries(cuda: Any, emulator: Emulator) -> None:
    """cuBLAS, too."""
    _gradopt.set_cublas(str(emulator.path))


def there(x: Any) -> Any:
    return go.asarray(x, device="cuda")


@pytest.mark.parametrize("shape", [(N, N), (2, 3, N, N)])
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_cholesky(emulator: Emulator, shape: tuple[int, ...], dtype: str) -> None:
    """What is above the diagonal is not read, and zero."""
    a = positive(*shape).astype(dtype)
    compiled = go.compile(np.linalg.cholesky)
    found = compiled(there(np.tril(a))).numpy()
    tolerance = 1e-4 if dtype == "f4" else 1e-12
    expected = np.linalg.cholesky(a)
    np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance, strict=True)
    runs = [line for line in emulator.done() if "potrf" in line]
    assert len(runs) == np.prod(shape[:-2], dtype=int)
    assert not [line for line in emulator.log() if line.startswith("cuMemAllocHost")][1:]


@pytest.mark.parametrize("lower", [False, True])
@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("unit", [False, True])
def test_triangular_systems(emulator: Emulator, lower: bool, transposed: bool, unit: bool) -> None:
    """On the left; their derivatives have some with the transpose, and on the right."""
    a, b = regular(N, N), normal(N, 3, seed=1)
    a /= np.max(np.abs(a))
    np.fill_diagonal(a, 1 + np.abs(np.diag(a)))

    def solve(a: Any, b: Any) -> Any:
        return scipy.linalg.solve_triangular(a, b, int(transposed), lower, unit)

    def both(a: Any, b: Any) -> Any:
        return solve(a, b), go.grad(lambda a, b: np.sum(np.sin(solve(a, b))), (0, 1))(a, b)

    compiled = go.compile(both)
    arguments = there(a), there(b)
    found, (in_a, in_b) = compiled(*arguments)
    expected, (grad_a, grad_b) = go.compile(both)(a, b)
    np.testing.assert_allclose(expected, solve(a, b), rtol=1e-9, atol=1e-10)
    for got, want in ((found, expected), (in_a, grad_a), (in_b, grad_b)):
        np.testing.assert_allclose(got.numpy(), want, rtol=1e-9, atol=1e-9)
    assert len([line for line in emulator.done() if "trsm" in line]) == 2


def test_a_matrix_on_the_right(emulator: Emulator) -> None:
    a, b = positive(2, N, N), normal(2, N, N, seed=1)

    def loss(a: Any) -> Any:
        return np.sum(np.linalg.cholesky(a) * b)

    found = go.compile_grad(loss)(there(a)).numpy()
    np.testing.assert_allclose(found, go.compile_grad(loss)(a), rtol=1e-9, atol=1e-10)
    assert any("trsm" in line for line in emulator.done())


def test_a_gaussian_process_is_a_graph(emulator: Emulator) -> None:
    """The gradient of a likelihood but for its check, which is no part of this."""
    x, y = np.linspace(0, 3, N), normal(N, seed=2)
    factor = np.linalg.cholesky(positive(N, N))

    def loss(factor: Any, y: Any) -> Any:
        half = scipy.linalg.solve_triangular(factor, y[:, None], lower=True)
        return np.sum(half**2) + np.sum(np.log(np.diagonal(factor)))

    compiled = go.compile_grad(loss, argnums=1)
    arguments = there(factor), there(y * x)
    for call in range(3):
        emulator.record()
        compiled(*arguments).wait()
        assert bool(emulator.calls("cuGraphLaunch")) == (call > 0)
        assert not emulator.calls("cuMemAllocHost_v2")
    np.testing.assert_allclose(
        compiled(*arguments).numpy(), go.compile_grad(loss, argnums=1)(factor, y * x), rtol=1e-10
    )


def test_statuses(emulator: Emulator) -> None:
    """Not positive, or no number, which the library need not say."""

    def factor(a: Any) -> Any:
        return np.linalg.cholesky(a)

    negative, nothing = positive(2, N, N), positive(N, N)
    negative[1, 20, 20] = -1
    nothing[7, 3] = np.nan
    compiled = go.compile(factor)
    for wrong in negative, nothing:
        with pytest.raises(errors.LinAlgError, match="not positive definite") as caught:
            compiled(there(wrong))
        assert caught.value.location is not None
        assert caught.value.location.file == __file__
    assert any("potrf" in line for line in emulator.done())


def test_failures_name_the_status(emulator: Emulator) -> None:
    a = there(positive(N, N))
    for name, status, words in (
        ("cusolverDnDpotrf_bufferSize", 2, r"cuSOLVER returned CUSOLVER_STATUS_ALLOC_FAILED \(2\)"),
        ("cusolverDnDpotrf", 6, r"cuSOLVER returned CUSOLVER_STATUS_EXECUTION_FAILED \(6\)"),
        ("cusolverDnSetStream", 1, r"CUSOLVER_STATUS_NOT_INITIALIZED \(1\)"),
    ):
        emulator.fail(name, status)
        with pytest.raises(errors.DeviceError, match=words):
            go.compile(lambda a: np.linalg.cholesky(a) * 2)(a)
        emulator.recover()
    go.compile(lambda a: np.linalg.cholesky(a) * 2)(a).wait()
