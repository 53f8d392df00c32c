# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""`dynamic=` on CUDA devices: one code for all sizes of dimensions of arguments there."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from devices import cuda, emulator
from emulated_cuda import Driver, Emulator
from foreign_arrays import CupyArray, CupyResult, fake_cupy
from page_end import at_page_end

import gradopt as go
from gradopt.errors import ArgumentError, PlacementError, UnsupportedError
from gradopt.ir.current import trace_count
from gradopt_runtime.structure import first_ones

pytestmark = pytest.mark.usefixtures("cuda")
__all__ = ["cuda", "emulator"]

MATRIX = np.random.default_rng(3).normal(size=(3, 3)) / 2
MOST = 20
ROWS = {"x": {0: go.Dim("n", max=MOST)}}


def on_device(x: Any) -> Any:
    return go.asarray(x, device="cuda")


def same(got: Any, want: Any) -> None:
    assert np.shape(got) == np.shape(want)
    assert np.asarray(got).dtype == np.asarray(want).dtype
    np.testing.assert_allclose(got, want, rtol=1e-10, atol=1e-12)


def softmax(x: Any) -> Any:
    e = np.exp(x - np.max(x, axis=1, keepdims=True))
    return e / np.sum(e, axis=1, keepdims=True)


def products(x: Any) -> Any:
    """With n rows and n columns."""
    return np.tanh(x @ x.T) * len(x)


def differences(x: Any) -> Any:
    return x[1:] * x[:-1]


def totals(x: Any) -> Any:
    return np.sum(np.sin(x), axis=0) + x.shape[0]


def positive_ones(x: Any) -> Any:
    """How many there are, only the run tells."""
    y = x[:, 0]
    return np.log1p(y[y > 0])


def recurrence(x: Any) -> Any:
    """A loop over n."""
    h = np.zeros(3)
    for i in range(x.shape[0]):
        h = np.tanh(MATRIX @ h + x[i])
    return h


def columns(x: Any) -> Any:
    return np.cumsum(MATRIX @ x.T, axis=1)


PROGRAMS: list[Callable[..., Any]] = [
    *(softmax, products, differences, totals, positive_ones, recurrence, columns),
]


@pytest.mark.parametrize("f", PROGRAMS)
def test_values_and_gradients_of_all_sizes(f: Callable[..., Any]) -> None:
    """The emulator finds what is read beyond the rows of a call."""

    def loss(x: Any) -> Any:
        return np.sum(np.sin(f(x)))

    def both(x: Any) -> Any:
        return f(x), go.grad(loss)(x)

    compiled = go.compile(both, dynamic=ROWS)
    to_device = go.compile(both, dynamic=ROWS, device="cuda")
    before = 0
    for n in (5, 0, 1, 2, MOST):
        rng = np.random.default_rng(n)
        x, t = at_page_end(rng.uniform(-1, 1, size=(n, 3))), rng.uniform(-1, 1, size=(n, 3))
        value, gradient = compiled(on_device(x))
        assert type(value) is type(gradient) is go.DeviceArray
        same(value.numpy(), f(x))
        slope = (loss(x + 1e-6 * t) - loss(x - 1e-6 * t)) / 2e-6
        np.testing.assert_allclose(np.sum(gradient.numpy() * t), slope, rtol=1e-6, atol=1e-8)
        for got, want in zip(to_device(x), (value, gradient), strict=True):
            assert type(got) is np.ndarray
            np.testing.assert_array_equal(got, want.numpy())
        before = before or trace_count()
    assert trace_count() == before
    assert compiled.cache_size() == to_device.cache_size() == 1


def test_without_a_largest_size() -> None:
    """There is room for the next power of two."""
    compiled = go.compile_grad(lambda x: np.sum(np.tanh(x @ MATRIX) ** 2), dynamic={"x": {0: "n"}})
    traces: list[int] = []
    for n in (3, 64, 0, 65, 300, 128, 512, 2):
        before = trace_count()
        x = np.random.default_rng(n).normal(size=(n, 3))
        y = np.tanh(x @ MATRIX)
        same(compiled(on_device(x)).numpy(), (2 * y * (1 - y**2)) @ MATRIX.T)
        traces.append(trace_count() - before)
    # The first call also finds that there has to be a largest size.
    assert [count > 0 for count in traces] == [True, False, False, True, True, False, False, False]


def test_parts_of_rows_are_one_copy(emulator: Emulator) -> None:
    """Where rows are columns, what a call has of each is copied at once."""
    compiled = go.compile(lambda x: x.T * 2, dynamic=ROWS)
    for n in (5, 3, MOST):
        x = np.random.default_rng(n).normal(size=(n, 3))
        emulator.record()
        got = compiled(on_device(x))
        assert len(emulator.calls("cuMemcpy3DAsync_v2")) == (n < MOST)
        same(got.numpy(), x.T * 2)


@pytest.mark.parametrize("count", [-1, MOST + 1])
def test_more_elements_than_memory(count: int) -> None:
    """What compiled code says that there is, is not cut off in silence."""
    lowered = go.compile(lambda x, n: (x * 2, n * 1), device="cuda").lower(np.ones((MOST, 3)), 1)
    lowered.cuts = ((0, 0, 1, -1),)
    run = lowered._load_on_device()
    message = f"result 0 of lambda has {count} elements along dimension 0, but memory for {MOST}"
    n = np.array(count)
    for place in (np.asarray, on_device):
        with pytest.raises(RuntimeError, match=message):
            run(place(np.ones((MOST, 3))), place(n))
    with pytest.raises(RuntimeError, match=f"has {count} elements along dimension 1, but memory"):
        first_ones(np.ones((2, MOST)), [1], [count])


@dataclasses.dataclass
class Pair:
    left: Any
    right: Any


def test_containers_several_sizes_and_other_axes() -> None:
    def f(a: Any, b: Any, scale: Any) -> Any:
        return Pair({"p": a @ b * scale, "t": (a.T * 1, b[0])}, [np.sum(b, axis=0), len(a)])

    dims = {"a": {0: go.Dim("m", max=7)}, "b": {1: go.Dim("k", max=5)}}
    compiled = go.compile(f, dynamic=dims)
    for m in (7, 2, 0):
        a, b = np.arange(3.0 * m).reshape(m, 3), np.ones((3, 5))
        got, want = compiled(on_device(a), on_device(b), 0.5), f(a, b, 0.5)
        same(got.left["p"].numpy(), want.left["p"])
        for x, y in zip(
            (*got.left["t"], got.right[0]), (*want.left["t"], want.right[0]), strict=True
        ):
            same(x.numpy(), y)
        assert int(got.right[1]) == m
    with pytest.raises(
        UnsupportedError, match=r"b is on a device, and has shape \(3, 4\); of what"
    ):
        compiled(on_device(a), on_device(b[:, :4]), 0.5)
    # From the host it is copied in any case.
    to_device = go.compile(f, dynamic=dims, device="cuda")
    got = to_device(a, b[:, :4], 0.5)
    same(got.left["p"], f(a, b[:, :4], 0.5).left["p"])
    same(got.left["t"][1], b[0, :4])


def test_wrong_arguments() -> None:
    compiled = go.compile(lambda x, y: x * y, dynamic={"x": ROWS["x"], "y": {0: "n"}})
    x, y = np.ones(4), np.ones(3)
    for arguments, error, message in [
        ((on_device(x), on_device(y)), ArgumentError, "0 of x is 4 and dimension 0 of y is 3"),
        ((on_device(np.ones(21)),) * 2, ArgumentError, "x is 21, but the size 'n' is at most 20"),
        ((on_device(x), x), PlacementError, "x is on cuda:0, but y is an array on the host"),
    ]:
        with pytest.raises(error, match=message):
            compiled(*arguments)
    same(compiled(on_device(x), on_device(x)).numpy(), x)


def test_results_are_of_the_callers_kind(cuda: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_cupy(monkeypatch, cuda)
    compiled = go.compile(lambda x: (np.sin(x), x[1:]), dynamic=ROWS)
    for n in (5, 3):
        x = np.arange(3.0 * n).reshape(n, 3)
        got = compiled(CupyArray(on_device(x)))
        assert [type(value) for value in got] == [CupyResult] * 2
        same(got[0].values(), np.sin(x))
        same(got[1].values(), x[1:])


def short_rows(x: Any) -> Any:
    return np.sin(x[:, :8]) * 2


def layer(x: Any) -> Any:
    return np.maximum(x @ np.cos(np.arange(24.0 * 5).reshape(24, 5)), 0)


def transposed(x: Any) -> Any:
    return x.T * 2


@pytest.mark.parametrize("f", [short_rows, softmax, layer, differences, transposed])
def test_rows_of_a_call_are_done_at_once(f: Callable[..., Any]) -> None:
    """By many blocks; the emulator finds races between them."""
    most = 700
    compiled = go.compile(f, dynamic={"x": {0: go.Dim("n", max=most)}}, device="cuda")
    text = compiled.lower(np.ones((5, 24))).mlir("bufferized")
    assert "scf.for" not in text[: text.index("func.func private")]
    assert text.count("grad.most_iterations") == text.count("scf.for") > 0
    for n in (5, 0, 1, 2, 255, 600, most):
        x = at_page_end(np.random.default_rng(n).uniform(-1, 1, size=(n, 24)))
        same(compiled(on_device(x)).numpy(), f(x))


SUMS: list[Callable[..., Any]] = [
    lambda x: np.sum(np.sin(x)),
    lambda x: np.sum(np.cos(x), axis=0) * 2,
    lambda x: x.T @ np.sin(x),
    lambda x: (np.sum(x, axis=0), np.tanh(x), np.sum(x * x)),
]


def flat(found: Any) -> tuple[Any, ...]:
    return found if isinstance(found, tuple) else (found,)


@pytest.mark.parametrize("number", range(len(SUMS)))
def test_sums_over_rows_are_divided(number: int) -> None:
    """Chunks of rows at once, whose sums are added up in a fixed order."""
    most, f = 3000, SUMS[number]
    dims = {"x": {0: go.Dim("n", max=most)}}
    compiled = go.compile(f, dynamic=dims, device="cuda")
    text = compiled.lower(np.ones((5, 24))).mlir("bufferized")
    assert "grad.parallel" in text
    for n in (5, 0, 1, 777, most):
        x = at_page_end(np.random.default_rng(n).uniform(-1, 1, size=(n, 24)))
        found = [flat(compiled(on_device(x))) for _ in range(2)]
        for part, again, want in zip(*found, flat(f(x)), strict=True):
            same(part.numpy(), want)
            np.testing.assert_array_equal(part.numpy(), again.numpy())


@pytest.mark.parametrize("f", [softmax, layer, differences])
def test_gradients_of_many_rows(f: Callable[..., Any]) -> None:
    """Cotangents go through rows from the last one to the first one."""

    def loss(x: Any) -> Any:
        return np.sum(np.sin(f(x)) * 2)

    step = go.compile_grad(loss, dynamic={"x": {0: go.Dim("n", max=700)}}, device="cuda")
    for n in (300, 1, 0):
        rng = np.random.default_rng(n)
        x, t = rng.uniform(-1, 1, size=(n, 24)), rng.uniform(-1, 1, size=(n, 24))
        slope = (loss(x + 1e-5 * t) - loss(x - 1e-5 * t)) / 2e-5
        np.testing.assert_allclose(np.sum(step(x) * t), slope, rtol=1e-6, atol=1e-8)


def test_calls_wait_only_for_sizes_that_the_run_tells(emulator: Emulator) -> None:
    """How many rows a call has is known; the program is the same list of kernels for all."""

    def waits(compiled: Any, x: Any) -> bool:
        emulator.record()
        compiled(x)
        return any("Synchronize" in line for line in emulator.log())

    arrays = [on_device(np.ones((n, 3))) for n in (5, 1, MOST, 0, 7)]
    scaled = go.compile(lambda x: np.sin(x) * 2, dynamic=ROWS)
    scaled(arrays[0])
    assert not any(waits(scaled, x) for x in arrays)
    fewer = go.compile(lambda x: x[1:] * 2, dynamic=ROWS)
    fewer(arrays[0])
    assert all(waits(fewer, x) for x in arrays)
    # Memory of the steady state is that of results.
    emulator.record()
    scaled(arrays[1])
    assert len(emulator.calls("cuMemAllocFromPoolAsync")) <= 3
