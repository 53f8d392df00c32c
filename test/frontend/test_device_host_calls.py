# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What only the host can do, in programs for a device: factorizations, functions of the caller.
The results are those of the CPU."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.linalg
import scipy.special
from devices import cuda, emulator
from emulated_cuda import Emulator

import gradopt as go
from gradopt import errors

pytestmark = pytest.mark.usefixtures("cuda")
__all__ = ["cuda", "emulator"]

Array = np.ndarray[Any, Any]
RNG = np.random.default_rng(3)
A = RNG.normal(size=(4, 4))
POSITIVE = A @ A.T + 4 * np.eye(4)
STACK = np.stack([POSITIVE, 2 * POSITIVE])
B = RNG.normal(size=(4, 2))
# Smaller matrices are factored by kernels.
LARGE = RNG.normal(size=(33, 33)) + 12 * np.eye(33)
LARGE_POSITIVE = LARGE @ LARGE.T
LARGE_B = RNG.normal(size=(33, 2))
X = np.array([0.3, -0.7, 1.2])


def there(x: Any) -> Any:
    return go.asarray(x, device="cuda")


def sine(x: Any) -> Any:
    return go.pure_callback(lambda v: np.sin(v), x, x)


# -- Factorizations --------------------------------------------------------------------------


def newton(a: Any, b: Any) -> Any:
    """Solves in each iteration of a loop, until the device says that it is enough."""

    def step(state: Any) -> Any:
        x, count = state
        return x - np.linalg.solve(a, a @ x - b) / 2, count + 1

    return go.while_loop(lambda s: np.sum((a @ s[0] - b) ** 2) > 1e-12, step, (b, 0))


VALUES: dict[str, tuple[Callable[..., Any], tuple[Array, ...]]] = {
    "cholesky": (np.linalg.cholesky, (np.stack([LARGE_POSITIVE, 2 * LARGE_POSITIVE]),)),
    "solve": (np.linalg.solve, (LARGE, LARGE_B)),
    "det": (lambda a: np.linalg.det(a / 12), (LARGE,)),
    "eigh": (lambda a: np.linalg.eigh(a)[0], (STACK,)),
    "svd": (lambda a: np.linalg.svd(a)[1], (B,)),
    "qr": (lambda a: np.linalg.qr(a)[1], (B,)),
    "eigvals": (lambda a: np.sort(np.abs(np.linalg.eigvals(a))), (A,)),
    "expm": (scipy.linalg.expm, (A,)),
    "complex inverse": (lambda a: np.abs(np.linalg.inv(a + 1j * a.T)), (A,)),
    "gammainc": (scipy.special.gammainc, (np.abs(A) + 0.5, np.abs(A))),
    "branch": (
        lambda a, b: go.cond(
            np.sum(a) > 0, lambda: np.linalg.solve(a, b), lambda: np.linalg.solve(a.T, b)
        ),
        (LARGE, LARGE_B),
    ),
}


@pytest.mark.parametrize("name", VALUES)
def test_values_and_derivatives_are_those_of_the_cpu(name: str) -> None:
    function, arguments = VALUES[name]

    def loss(*args: Any) -> Any:
        return np.sum(np.sin(function(*args)))

    def both(*args: Any) -> Any:
        return function(*args), go.grad(loss)(*args)

    expected = go.compile(both)(*arguments)
    np.testing.assert_allclose(expected[0], function(*arguments), rtol=1e-9)
    found = go.compile(both)(*map(there, arguments))
    for got, want in zip(found, expected, strict=True):
        assert isinstance(got, go.DeviceArray)
        np.testing.assert_allclose(got.numpy(), want, rtol=1e-10, atol=1e-12, strict=True)


def test_loops_that_call_the_host() -> None:
    expected = go.compile(newton)(LARGE, LARGE_B)
    found = go.compile(newton, device="cuda")(LARGE, LARGE_B)
    assert found[1] == expected[1] > 3
    np.testing.assert_allclose(found[0], np.linalg.solve(LARGE, LARGE_B), atol=1e-6)
    stack = np.stack([LARGE, LARGE.T])
    batched = go.compile(go.vmap(np.linalg.solve, in_axes=(0, None)), device="cuda")
    expected = np.linalg.solve(stack, LARGE_B[None])
    np.testing.assert_allclose(batched(stack, LARGE_B), expected, rtol=1e-11)


@pytest.mark.parametrize("argument", [-LARGE_POSITIVE, there])
def test_failures_are_raised_at_the_user_s_line(argument: Any) -> None:
    def f(a: Any) -> Any:
        return np.linalg.cholesky(a) * 2

    with pytest.raises(errors.LinAlgError, match="not positive definite") as caught:
        go.compile(f, device="cuda")(argument(-LARGE_POSITIVE) if argument is there else argument)
    assert caught.value.location is not None
    assert caught.value.location.function.endswith("f")
    assert caught.value.location.file == __file__


# -- Functions of the caller -----------------------------------------------------------------


def test_callbacks() -> None:
    calls: list[Any] = []

    def callback(v: Any) -> Any:
        calls.append(v)
        return np.sin(v)

    def f(x: Any) -> Any:
        return go.pure_callback(callback, x, x * 2) + 1

    compiled = go.compile(f)
    for x in (X, X + 1):
        np.testing.assert_array_equal(compiled(there(x)).numpy(), np.sin(x * 2) + 1)
    assert [type(v) for v in calls] == [np.ndarray] * 2
    np.testing.assert_array_equal(np.stack(calls), [X * 2, (X + 1) * 2])


@pytest.mark.parametrize("dtype", ["?", "i1", "u4", "i8", "f4", "f8", "c8", "c16"])
def test_callbacks_of_all_types(dtype: str) -> None:
    for shape in ((), (2, 3)):
        x = np.arange(np.prod(shape, dtype=int)).reshape(shape).astype(dtype)
        f = go.compile(lambda x: go.pure_callback(lambda v: v, x, x), device="cuda")
        np.testing.assert_array_equal(f(x), x, strict=True)


def test_callbacks_in_loops_and_with_rules() -> None:
    @go.custom_vjp
    def ruled(x: Any) -> Any:
        return sine(x)

    ruled.defvjp(lambda x: (sine(x), x), lambda x, g: (g * go.pure_callback(np.cos, x, x),))

    def f(x: Any) -> Any:
        return np.sum(go.fori_loop(0, 3, lambda _, y: ruled(y) * 1.5, x))

    value, gradient = go.compile_value_and_grad(f, device="cuda")(X)
    wanted = go.compile_value_and_grad(
        lambda x: np.sum(go.fori_loop(0, 3, lambda _, y: np.sin(y) * 1.5, x))
    )(X)
    np.testing.assert_allclose(value, wanted[0], rtol=1e-12)
    np.testing.assert_allclose(gradient, wanted[1], rtol=1e-12)


def test_what_a_callback_raises() -> None:
    class OwnError(Exception):
        pass

    def callback(v: Any) -> Any:
        if v[0] > 1:
            raise OwnError("too much")
        return v

    f = go.compile(lambda x: go.pure_callback(callback, x, x) + 1, device="cuda")
    for _ in range(2):
        with pytest.raises(OwnError, match="too much"):
            f(X + 5)
        np.testing.assert_array_equal(f(X), X + 1)


def test_callbacks_may_call_compiled_functions() -> None:
    inner = go.compile(lambda x: sine(x) * 2, device="cuda")
    threads: list[Any] = []

    def callback(v: Any) -> Any:
        if v[0] > 0:
            return inner(v)
        thread = threading.Thread(target=lambda: threads.append(inner(v)))
        thread.start()
        thread.join()
        return threads.pop()

    f = go.compile(lambda x: go.pure_callback(callback, x, x) + 1, device="cuda")
    for x in (X, -X):
        np.testing.assert_allclose(f(x), np.sin(x) * 2 + 1)


def test_callables_are_let_go() -> None:
    class Callback:
        def __call__(self, v: Any) -> Any:
            return v

    def run() -> weakref.ref[Any]:
        callback = Callback()
        np.testing.assert_array_equal(
            go.compile(lambda x: go.pure_callback(callback, x, x), device="cuda")(X), X
        )
        return weakref.ref(callback)

    kept = run()
    gc.collect()
    assert kept() is None


def test_prints(capsys: pytest.CaptureFixture[str]) -> None:
    def f(x: Any) -> Any:
        y = x * 2
        for i in range(2):
            print(f"step {i}: {np.sum(y):.3f}")
            y = np.sin(y)
        return y

    got = go.compile(f, device="cuda")(X)
    np.testing.assert_allclose(got, np.sin(np.sin(X * 2)), rtol=1e-14)
    total = np.sum(np.sin(X * 2))
    assert capsys.readouterr().out == f"step 0: {np.sum(X * 2):.3f}\nstep 1: {total:.3f}\n"


# -- Commands --------------------------------------------------------------------------------


def test_no_more_is_copied_than_has_to_be(emulator: Emulator) -> None:
    """Of an LU factorization, the pivots are, and not the memory that the host works in."""
    compiled = go.compile(np.linalg.solve)
    a, b = there(LARGE), there(LARGE_B)
    compiled(a, b).numpy()
    emulator.record()
    compiled(a, b).numpy()
    copied = [int(line.split()[1]) for line in emulator.done() if line.startswith("copy")]
    # a; factors, pivots, permutation, status; what the solution needs; it, twice; the check.
    numbers = 33 * (3 * np.dtype(np.int32).itemsize + np.dtype(np.int64).itemsize)
    assert sum(copied) < 5 * LARGE.nbytes + 3 * LARGE_B.nbytes + numbers + 100
    assert not emulator.calls("cuGraphLaunch")


def test_they_are_commands() -> None:
    compiled = go.compile(lambda a: np.linalg.cholesky(a) + 1, device="cuda")
    lowered = compiled.lower(LARGE_POSITIVE)
    text = lowered.mlir("gpu")
    assert "grad.lapack_into" in text
    assert "gpu.launch_func" in text
    assert "lapack" not in lowered.ptx()


def test_bundles(tmp_path: Path) -> None:
    """They need the libraries of the host where they run, as those for the CPU do."""

    def solution(a: Any, b: Any) -> Any:
        return np.linalg.solve(a, np.fft.irfft(np.fft.rfft(b)))

    lowered = go.compile(solution, device="cuda").lower(LARGE, LARGE_B)
    go.save(lowered, tmp_path / "solution", cpu=(), chips=("emulated",))
    loaded = go.load(tmp_path / "solution")
    expected = np.linalg.solve(LARGE, LARGE_B)
    np.testing.assert_allclose(loaded(there(LARGE), there(LARGE_B)).numpy(), expected)
    with pytest.raises(ValueError, match="Singular matrix"):
        loaded(there(0 * LARGE), there(LARGE_B))
