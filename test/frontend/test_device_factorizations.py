# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Factorizations of small matrices, and solutions by them, as kernels of a device."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.linalg
from devices import cuda, emulator
from emulated_cuda import Emulator
from matrices import normal, positive, regular

import gradopt as go
from gradopt import errors

pytestmark = pytest.mark.usefixtures("cuda")
__all__ = ["cuda", "emulator"]

Array = np.ndarray[Any, Any]

SINGULAR = np.array([[0.0, 2, 1], [0, 4, 2], [0, 1, 3]])


def there(x: Any) -> Any:
    return go.asarray(x, device="cuda")


def leaves(x: Any) -> list[Any]:
    """The arrays of nested tuples."""
    return [leaf for part in x for leaf in leaves(part)] if isinstance(x, tuple) else [x]


def run(emulator: Emulator, function: Any, *args: Array) -> list[Array]:
    """The arrays that a function returns on the device, where it is done without the host."""
    compiled = go.compile(function)
    arguments = [there(x) for x in args]
    commands = compiled.lower(*arguments).mlir("gpu")
    assert "grad.lapack_into" not in commands
    assert "gpu.launch_func" in commands
    emulator.record()
    results = compiled(*arguments)
    assert not any(line.startswith("cuMemAllocHost") for line in emulator.log())
    return [x.numpy() for x in leaves(results)]


# Shapes of which neither rows nor matrices fill up the threads of blocks.
@pytest.mark.parametrize("shape", [(1, 1), (5, 5), (32, 32), (3, 4, 7, 7), (40, 4, 4)])
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_cholesky(emulator: Emulator, shape: tuple[int, ...], dtype: str) -> None:
    a = positive(*shape).astype(dtype)
    tolerance = 1e-5 if dtype == "f4" else 1e-13
    # What is above the diagonal is not read.
    (found,) = run(emulator, np.linalg.cholesky, np.tril(a))
    np.testing.assert_allclose(
        found, np.linalg.cholesky(a), rtol=tolerance, atol=tolerance, strict=True
    )
    assert not np.any(np.triu(found, 1))


@pytest.mark.parametrize("shape", [(1, 1), (5, 5), (32, 32), (4, 7), (7, 4), (2, 20, 6, 6)])
def test_lu(emulator: Emulator, shape: tuple[int, ...]) -> None:
    a = normal(*shape)
    permuted, lower, upper = run(emulator, lambda a: scipy.linalg.lu(a), a)
    np.testing.assert_allclose(permuted @ lower @ upper, a, rtol=1e-13, atol=1e-13)
    for got, want in zip((permuted, lower, upper), scipy.linalg.lu(a), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("shape", [(1, 1), (6, 6), (32, 32), (30, 3, 3)])
@pytest.mark.parametrize("transposed", [False, True])
def test_solve(emulator: Emulator, shape: tuple[int, ...], transposed: bool) -> None:
    a, b = normal(*shape), normal(*shape[:-1], 5, seed=1)

    def solve(a: Any, b: Any) -> Any:
        return np.linalg.solve(np.swapaxes(a, -1, -2) if transposed else a, b)

    (found,) = run(emulator, solve, a, b)
    np.testing.assert_allclose(found, solve(a, b), rtol=1e-9)
    # The factors are solved with as they are, and transposed.
    factors = scipy.linalg.lu_factor(a) if a.ndim == 2 else None
    if factors is not None:
        (found,) = run(
            emulator,
            lambda a, b: scipy.linalg.lu_solve(scipy.linalg.lu_factor(a), b, int(transposed)),
            a,
            b,
        )
        expected = scipy.linalg.lu_solve(factors, b, int(transposed))
        np.testing.assert_allclose(found, expected, rtol=1e-9)


@pytest.mark.parametrize("lower", [False, True])
@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("unit", [False, True])
def test_triangular_systems(emulator: Emulator, lower: bool, transposed: bool, unit: bool) -> None:
    a, b = regular(6, 6), normal(6, 150, seed=1)

    def solve(a: Any, b: Any) -> Any:
        return scipy.linalg.solve_triangular(a, b, int(transposed), lower, unit)

    (found,) = run(emulator, solve, a, b)
    np.testing.assert_allclose(found, solve(a, b), rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("n", [4, 9])
def test_derivatives(emulator: Emulator, n: int) -> None:
    """Forward, reverse and second order: with systems on the right and transposed ones."""
    a, b = np.stack([positive(n, n), 2 * positive(n, n, seed=2)]), normal(2, n, 2, seed=1)

    def loss(a: Any, b: Any) -> Any:
        lower = np.linalg.cholesky(a @ np.swapaxes(a, -1, -2))
        return np.sum(np.sin(np.linalg.solve(a, b))) + np.sum(np.cos(lower)) * np.sum(
            np.linalg.slogdet(a)[1]
        )

    def derivatives(a: Any, b: Any) -> Any:
        gradient = go.grad(loss, argnums=(0, 1))
        return gradient(a, b), go.jvp(gradient, (a, b), (b @ np.swapaxes(b, -1, -2), b))[1]

    expected = leaves(go.compile(derivatives)(a, b))
    for got, want in zip(run(emulator, derivatives, a, b), expected, strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-9, atol=1e-11)


def test_statuses(emulator: Emulator) -> None:
    """What fails is raised at the user's line; where nobody asks, floats are NaN, and other
    matrices of the stack are factored."""

    def factor(a: Any) -> Any:
        return np.linalg.cholesky(a)

    def solve(a: Any) -> Any:
        return np.linalg.inv(a)

    negative = positive(2, 5, 5)
    negative[1, 3, 3] = -1
    for function, wrong, message in (
        (factor, negative, "not positive definite"),
        (factor, np.full((3, 3), np.nan), "not positive definite"),
        (solve, SINGULAR, "Singular matrix"),
        (solve, np.stack([np.eye(3), SINGULAR]), "Singular matrix"),
    ):
        with pytest.raises(errors.LinAlgError, match=message) as caught:
            go.compile(function)(there(wrong))
        assert caught.value.location is not None
        assert caught.value.location.file == __file__
    # A determinant needs no matrix that can be inverted.
    assert run(emulator, lambda a: np.linalg.det(a), SINGULAR) == [0]
    # With NaN, every element below is, as on the host.
    broken = normal(4, 4)
    broken[2, 0] = np.nan
    (found,) = run(emulator, lambda a: scipy.linalg.lu(a)[2], broken)
    np.testing.assert_array_equal(found, go.compile(lambda a: scipy.linalg.lu(a)[2])(broken))


def test_what_the_host_does() -> None:
    """Larger and complex matrices, and stacks of nothing."""
    lowered = go.compile(np.linalg.cholesky, device="cuda").lower(positive(33, 33))
    assert 'grad.lapack_into "cholesky"' in lowered.mlir("gpu")
    lowered = go.compile(np.linalg.cholesky, device="cuda").lower(positive(4, 4) + 0j)
    assert 'grad.lapack_into "cholesky"' in lowered.mlir("gpu")
    empty = go.compile(np.linalg.cholesky, device="cuda")(np.zeros((0, 3, 3)))
    assert empty.shape == (0, 3, 3)


def test_a_step_is_a_graph(emulator: Emulator) -> None:
    """With nothing for the host to do, the third call launches what the second one captured."""
    a, b = there(positive(4, 5, 5)), there(normal(4, 5, 2))
    # The status is not asked for: to raise an error is to wait.
    step = go.compile(lambda a, b: np.tanh(scipy.linalg.solve_triangular(a, b, lower=True)))
    for number in range(4):
        emulator.record()
        step(a, b).wait()
        assert bool(emulator.calls("cuGraphLaunch")) == (number > 0)
