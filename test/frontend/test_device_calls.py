# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Compiled functions on CUDA devices: values, kinds of arrays, streams and memory."""

from __future__ import annotations

import gc
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
import pytest
from devices import cuda, emulator, number_of
from emulated_cuda import Driver, Emulator
from foreign_arrays import (
    LEGACY,
    CupyArray,
    CupyResult,
    DlpackArray,
    InterfaceArray,
    fake_cupy,
)

import gradopt as go
from gradopt import _compiler, errors

pytestmark = pytest.mark.usefixtures("cuda")
__all__ = ["cuda", "emulator"]

RANDOM = np.random.default_rng(0)
X, Y = RANDOM.normal(size=(2, 7, 5))


def on_device(x: Any, device: str = "cuda") -> Any:
    return go.asarray(x, device=device)


def f(x: Any, y: Any) -> Any:
    return {"product": x * np.tanh(y), "sum": np.sum(x)}


def same(got: Any, expected: Any) -> None:
    np.testing.assert_allclose(got, expected, rtol=1e-12, atol=1e-14)


# -- Where a call runs -----------------------------------------------------------------------


def test_arrays_on_a_device_are_computed_with_there() -> None:
    compiled = go.compile(f)
    for device in ("cuda:0", "cuda:1"):
        got = compiled(on_device(X, device), on_device(Y, device))
        assert [type(value) for value in got.values()] == [go.DeviceArray] * 2
        assert [value.device for value in got.values()] == [device] * 2
        same(got["product"], X * np.tanh(Y))
        same(got["sum"], X.sum())
    same(compiled(X, Y)["sum"], X.sum())
    assert compiled.cache_size() == 3


def test_numpy_arrays_go_to_the_device_that_is_named_and_come_back() -> None:
    for device in ("cuda", "cuda:1"):
        compiled = go.compile(f, device=device)
        got = compiled(X, Y)
        assert type(got["product"]) is np.ndarray
        assert type(got["sum"]) is np.float64
        same(got["product"], X * np.tanh(Y))
        assert compiled.lower(X, Y).device == ("cuda:0" if device == "cuda" else device)
        # Memory of the result is the caller's.
        got["product"][...] = 0
        same(compiled(X.T, Y.T)["product"], (X * np.tanh(Y)).T)


def test_a_function_of_numbers_alone() -> None:
    compiled = go.compile(lambda x, n: (x**n, np.arange(4) * x), device="cuda")
    power, multiples = compiled(2.0, 3)
    assert type(power) is np.float64
    assert type(multiples) is np.ndarray
    assert power == 8.0
    np.testing.assert_array_equal(multiples, [0, 2, 4, 6])


def test_numbers_may_be_anywhere() -> None:
    compiled = go.compile(lambda x, a, b, c, d: a * x + b + c * d)
    got = compiled(on_device(X), 2, 0.5, np.float64(3), True)
    same(got, 2 * X + 3.5)


@pytest.mark.parametrize(
    "transform",
    [
        go.compile, go.compile_grad, go.compile_value_and_grad, go.compile_hessian,
        go.compile_jacobian,
    ],
)  # fmt: skip
def test_every_compile_function_takes_a_device(transform: Any) -> None:
    def loss(x: Any) -> Any:
        return np.sum(x**3)

    expected = go.compile(lambda x: x)(transform(loss)(X))
    for got in (transform(loss, device="cuda")(X), transform(loss)(on_device(X))):
        for a, b in zip(_leaves(got), _leaves(expected), strict=True):
            same(a, b)


def _leaves(tree: Any) -> Any:
    return tree if isinstance(tree, tuple) else (tree,)


def test_products_with_jacobians() -> None:
    x, y = on_device(X), on_device(Y)
    result, tangent = go.compile_jvp(np.tanh)((x,), (y,))
    same(result, np.tanh(X))
    same(tangent, Y / np.cosh(X) ** 2)
    result, (gradient,) = go.compile_vjp(np.tanh)((x,), y)
    same(gradient, Y / np.cosh(X) ** 2)


def test_transforms_by_themselves() -> None:
    x = on_device(X)
    expected = 3 * X**2

    def loss(x: Any) -> Any:
        return np.sum(x**3)

    before = None
    for _ in range(2):
        got = [
            go.grad(loss)(x),
            go.vjp(loss, x)[1](1.0)[0],
            go.vjp(lambda x: x**3, x)[1](on_device(np.ones_like(X)))[0],
            go.linearize(lambda x: x**3, x)[1](on_device(np.ones_like(X))),
            go.jvp(lambda x: x**3, (x,), (on_device(np.ones_like(X)),))[1],
        ]
        for value in got:
            assert type(value) is go.DeviceArray
            same(value, expected)
        # What was compiled is found again.
        assert before is None or _compiler.programs_compiled() == before
        before = _compiler.programs_compiled()


def test_random_numbers_are_the_same_everywhere() -> None:
    key = go.random.key(3)
    there = on_device(key)
    draws = go.random.normal(there, (4,))
    assert type(draws) is go.DeviceArray
    same(draws, go.random.normal(key, (4,)))
    np.testing.assert_array_equal(go.random.split(there, 3), go.random.split(key, 3))


class Layer(NamedTuple):
    w: Any
    b: Any


def test_structures_and_static_arguments() -> None:
    def apply(layers: Any, x: Any, kind: str, *, scale: Any) -> Any:
        for layer in layers["all"]:
            x = x * layer.w + layer.b
        return {"out": Layer(x * scale, None), kind: [x]}

    compiled = go.compile(apply, static_argnums=2)
    got = compiled({"all": [Layer(on_device(X), on_device(Y))]}, on_device(Y), "k", scale=2.0)
    same(got["out"].w, 2 * (Y * X + Y))
    same(got["k"][0], Y * X + Y)
    assert got["out"].b is None


def test_constants_are_on_the_device() -> None:
    weights = RANDOM.normal(size=(5, 4))
    compiled = go.compile(lambda x: x @ weights + weights[0])
    for _ in range(2):
        same(compiled(on_device(X)), X @ weights + weights[0])


@pytest.mark.parametrize("dtype", ["?", "i1", "i2", "i4", "i8", "f4", "f8"])
def test_dtypes_and_shapes(dtype: str) -> None:
    compiled = go.compile(lambda x: (x, np.concatenate([x, x]), np.sum(x)))
    for shape in ((), (0, 3), (3,), (2, 3, 4)):
        x = RANDOM.integers(0, 2, shape).astype(dtype)
        if not shape:
            compiled_one = go.compile(lambda x: (x, x, np.sum(x)))
            got, expected = compiled_one(on_device(x)), (x, x, np.sum(x))
        else:
            got, expected = compiled(on_device(x)), (x, np.concatenate([x, x]), np.sum(x))
        for a, b in zip(got, expected, strict=True):
            assert a.dtype == np.asarray(b).dtype
            np.testing.assert_array_equal(a, b)


def test_a_function_lowered_for_a_device() -> None:
    lowered = go.compile(f).lower(on_device(X), on_device(Y))
    assert lowered.device == "cuda:0"
    assert repr(lowered) == "Lowered<f(float64[7, 5], float64[7, 5]) on cuda:0>"
    fixed = lowered.compile()
    same(fixed(on_device(X), on_device(Y))["product"], X * np.tanh(Y))
    same(fixed(InterfaceArray(on_device(X)), on_device(Y))["product"], X * np.tanh(Y))
    assert type(fixed(X, Y)["product"]) is np.ndarray
    with pytest.raises(errors.PlacementError, match="is on cuda:1, but f is compiled with"):
        fixed(on_device(X, "cuda:1"), on_device(Y, "cuda:1"))
    with pytest.raises(errors.ArgumentError, match=r"expected shape \(7, 5\) at x"):
        fixed(on_device(X.T), on_device(Y))
    on_cpu = go.compile(f).lower(X, Y).compile()
    with pytest.raises(
        errors.PlacementError, match='x is on cuda:0, but f is compiled with device="cpu"'
    ):
        on_cpu(on_device(X), on_device(Y))


# -- Arrays of other libraries ---------------------------------------------------------------


def test_results_are_of_the_callers_kind(cuda: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_cupy(monkeypatch, cuda)
    compiled = go.compile(f)
    x, y = CupyArray(on_device(X)), CupyArray(on_device(Y))
    for args in ((x, y), (x, on_device(Y)), (on_device(X), y)):
        got = compiled(*args)
        assert [type(value) for value in got.values()] == [CupyResult] * 2
        same(got["product"].values(), X * np.tanh(Y))
        same(got["sum"].values(), X.sum())
    # And they are arguments again.
    same(compiled(got["product"], y)["sum"].values(), (X * np.tanh(Y)).sum())
    for args in ((DlpackArray(x.memory), InterfaceArray(y.memory)), (x.memory, y.memory)):
        got = compiled(*args)
        assert [type(value) for value in got.values()] == [go.DeviceArray] * 2
        same(got["product"], X * np.tanh(Y))


def test_transforms_of_arrays_of_other_libraries(
    cuda: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_cupy(monkeypatch, cuda)
    x = CupyArray(on_device(X))
    before = None
    for _ in range(2):
        got = [
            go.grad(lambda p: np.sum(p["w"] ** 2))({"w": x})["w"],
            go.vjp(lambda x: x**2, x)[1](CupyArray(on_device(np.ones_like(X))))[0],
        ]
        for value in got:
            assert type(value) is CupyResult
            same(value.values(), 2 * X)
        assert before is None or _compiler.programs_compiled() == before
        before = _compiler.programs_compiled()


def test_calls_run_on_the_callers_stream(
    emulator: Emulator, cuda: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = fake_cupy(monkeypatch, cuda)
    compiled = go.compile(f)
    x, y = CupyArray(on_device(X)), CupyArray(on_device(Y))
    compiled(x, y)
    for array in (x, y):
        array.memory.wait()
    stream = number_of(cuda.stream())
    module.current = stream
    x.asked.clear()
    emulator.record()
    got = compiled(x, y)
    assert x.asked == [stream]
    # Nothing waits, on the host or on the device.
    for function in ("cuStreamWaitEvent", "cuStreamSynchronize", "cuCtxSynchronize"):
        assert not emulator.calls(function), function
    assert got["product"].stream == stream
    same(got["product"].values(), X * np.tanh(Y))


def test_arrays_ready_on_other_streams_are_waited_for(cuda: Driver) -> None:
    compiled = go.compile(lambda x, y: x + y)
    x, y = on_device(np.zeros_like(X)), on_device(Y)
    streams = [cuda.stream(), cuda.stream()]
    source = cuda.upload(X)
    cuda.synchronize()
    for stream in streams:
        x.wait()
        # Queued, and not done before somebody waits for it.
        cuda.copy(x.__cuda_array_interface__["data"][0], source, X.nbytes, stream)
        other = InterfaceArray(x, stream=number_of(stream))
        same(compiled(y, other), X + Y)
        cuda.copy(x.__cuda_array_interface__["data"][0], source, X.nbytes, stream)
        result = compiled(other, y)
        # The stream is the array's own.
        assert result.__cuda_array_interface__["stream"] == number_of(stream)
        same(result, X + Y)
    cuda.free(source)


def test_their_memory_is_not_reused_before_it_was_read(cuda: Driver) -> None:
    stream = cuda.stream()
    compiled = go.compile(lambda x, y: x + y)
    x, y = on_device(X), on_device(Y)
    got = compiled(y, InterfaceArray(x, stream=number_of(stream)))
    # What its owner does next on its stream comes after the call.
    source = cuda.upload(np.full_like(X, 99))
    cuda.copy(x.__cuda_array_interface__["data"][0], source, X.nbytes, stream)
    cuda.synchronize(stream)
    same(got, X + Y)
    cuda.free(source)


def test_arrays_that_begin_anywhere() -> None:
    memory = on_device(np.arange(12.0))
    compiled = go.compile(lambda x: 2 * x)
    for first in range(4):
        address = memory.__cuda_array_interface__["data"][0] + 8 * first
        part = InterfaceArray(memory, data=(address, False), shape=(8,))
        same(compiled(part), 2 * np.arange(12.0)[first : first + 8])


@pytest.mark.parametrize("library", ["torch", "jax"])
def test_capsules_that_libraries_make(library: str) -> None:
    module = pytest.importorskip(library)
    memory = on_device(X.astype("f4"))
    memory.wait()
    host = np.ctypeslib.as_array(_floats(memory), (7, 5))

    class Array(DlpackArray):
        """Theirs, which says that it is on a device: the emulator's memory is the host's."""

        def __dlpack__(self, *, stream: Any = None, **others: Any) -> Any:
            made = module.from_numpy(host) if library == "torch" else module.numpy.array(host)
            capsule = made.__dlpack__(**others)
            self.kept = made
            _pretend(capsule)
            return capsule

    if library == "torch":
        same(go.compile(lambda x: x + 1)(Array(memory)), X.astype("f4") + 1)
    assert go.asarray(Array(memory)).shape == (7, 5)
    assert go.asarray(Array(memory)).dtype == np.float32


def _floats(array: Any) -> Any:
    import ctypes

    address = array.__cuda_array_interface__["data"][0]
    return ctypes.cast(address, ctypes.POINTER(ctypes.c_float))


def _pretend(capsule: Any) -> None:
    import foreign_arrays as foreign

    versioned = foreign._api.PyCapsule_IsValid(capsule, b"dltensor_versioned")
    name = b"dltensor_versioned" if versioned else b"dltensor"
    kind = foreign.ManagedVersioned if versioned else foreign.Managed
    kind.from_address(foreign._api.PyCapsule_GetPointer(capsule, name)).tensor.device_type = 2


# -- Memory and waiting ----------------------------------------------------------------------


def test_a_call_does_not_wait(emulator: Emulator) -> None:
    compiled = go.compile(f)
    x, y = on_device(X), on_device(Y)
    compiled(x, y)
    emulator.record()
    got = compiled(x, y)
    assert not emulator.done()
    for function in ("cuStreamSynchronize", "cuCtxSynchronize", "cuEventSynchronize"):
        assert not emulator.calls(function)
    same(got["product"], X * np.tanh(Y))
    assert emulator.done()


def test_results_do_not_go_through_the_host(emulator: Emulator) -> None:
    compiled = go.compile(lambda x, y: (x * y, np.sum(x)))
    x, y = on_device(X), on_device(Y)
    compiled(x, y)
    emulator.record()
    compiled(x, y)
    assert not [line for line in emulator.log() if "cpy" in line]


def test_memory_is_in_use_as_long_as_there_are_arrays(emulator: Emulator) -> None:
    compiled = go.compile(lambda x: x * 2)
    x = on_device(np.ones(1 << 16))
    for _ in range(3):
        compiled(x).numpy()
    before = emulator.bytes_in_use()
    for _ in range(10):
        compiled(x).numpy()
    assert emulator.bytes_in_use() == before


def test_checks_raise_as_on_the_cpu(emulator: Emulator) -> None:
    def pick(x: Any, i: Any) -> Any:
        return x[i]

    compiled = go.compile(pick)
    x = on_device(X)
    same(compiled(x, 3), X[3])
    messages: list[str] = []
    for array in (x, X):
        with pytest.raises(errors.TraceIndexError) as caught:
            compiled(array, 9)
        messages.append(str(caught.value))
    assert messages[0] == messages[1]
    assert "index 9 is out of bounds" in messages[0]
    with pytest.raises(errors.TraceIndexError):
        go.compile(pick, device="cuda")(X, 9)
    same(compiled(x, 4), X[4])


def test_threads_may_call_at_the_same_time() -> None:
    compiled = go.compile(f)
    x = on_device(X)

    def run(number: int) -> None:
        for i in range(5):
            scaled = Y * (number + i)
            same(compiled(x, on_device(scaled))["product"], X * np.tanh(scaled))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(run, range(8)))


# -- Donation --------------------------------------------------------------------------------


def step(w: Any, x: Any) -> Any:
    return w - 0.1 * np.tanh(w * x)


def address(array: Any) -> int:
    return array.__cuda_array_interface__["data"][0]


def test_a_donated_array_is_computed_in(emulator: Emulator) -> None:
    compiled = go.compile(step, donate_argnums=0)
    x = on_device(X)
    w, expected = on_device(Y), Y
    w = compiled(w, x)
    expected = step(expected, X)
    emulator.record()
    for _ in range(3):
        w, expected = compiled(w, x), step(expected, X)
    assert not [line for line in emulator.log() if "Alloc" in line or "cpy" in line]
    same(w, expected)


def test_a_donated_array_is_gone() -> None:
    compiled = go.compile(step, donate_argnums=0)
    w, x = on_device(Y), on_device(X)
    compiled(w, x)
    uses = [
        lambda: compiled(w, x),
        lambda: compiled(x, w),
        lambda: w.numpy(),
        lambda: float(w),
        lambda: w.wait(),
        lambda: w.__dlpack__(),
        lambda: w.__cuda_array_interface__,
        lambda: go.asarray(w, device="cuda:1"),
    ]
    for use in uses:
        with pytest.raises(errors.DonatedArrayError, match="donated, as w of step"):
            use()
    assert (w.shape, w.dtype, w.device) == (Y.shape, Y.dtype, "cuda:0")


def test_what_others_may_see_is_copied() -> None:
    compiled = go.compile(step, donate_argnums=0)
    x = on_device(X)
    expected = step(Y, X)
    exposed = on_device(Y)
    address(exposed)
    held = on_device(Y)
    capsule = held.__dlpack__()
    for array, look in (
        (exposed, lambda: exposed),
        (held, lambda: held),
        (InterfaceArray(on_device(Y)), lambda: Y),
    ):
        same(compiled(array, x), expected)
        same(look(), Y)
    del capsule
    same(compiled(held, x), expected)
    with pytest.raises(errors.DonatedArrayError):
        held.numpy()


def test_a_donated_array_that_is_an_argument_twice() -> None:
    compiled = go.compile(step, donate_argnums=0)
    w = on_device(Y)
    with pytest.raises(errors.ArgumentError, match="w is donated to step, but x shares its memory"):
        compiled(w, w)
    same(w, Y)


def test_donated_numpy_arrays_stay_what_they_are() -> None:
    compiled = go.compile(step, donate_argnums=0, device="cuda")
    w = Y.copy()
    for _ in range(2):
        same(compiled(w, X), step(Y, X))
    np.testing.assert_array_equal(w, Y)


def test_a_donated_array_may_have_been_used_elsewhere(cuda: Driver) -> None:
    compiled = go.compile(step, donate_argnums=0)
    stream = cuda.stream()
    w, x = on_device(Y), on_device(X)
    got = np.empty_like(Y)
    place = address(on_device(Y))
    del place
    capsule = w.__dlpack__(stream=number_of(stream))
    from foreign_arrays import Taken

    taken = Taken(capsule)
    cuda.copy(got.ctypes.data, taken.data, Y.nbytes, stream)
    del taken, capsule
    gc.collect()
    same(compiled(w, x), step(Y, X))
    cuda.synchronize(stream)
    # It was read before it was written to.
    np.testing.assert_array_equal(got, Y)


def test_legacy_streams_are_one(emulator: Emulator) -> None:
    x = on_device(X)
    emulator.record()
    go.asarray(InterfaceArray(x, stream=LEGACY))
    same(go.compile(lambda x, y: x + y)(x, InterfaceArray(x, stream=LEGACY)), 2 * X)
    assert not emulator.calls("cuStreamWaitEvent")


def test_constants_are_waited_for_when_they_are_loaded(cuda: Driver, emulator: Emulator) -> None:
    table = RANDOM.normal(size=(50, 5))
    compiled = go.compile(lambda x: x @ table.T)
    x = on_device(X)
    assert compiled.lower(x).captures
    stream = number_of(cuda.stream())
    given = InterfaceArray(x, stream=stream)
    same(compiled(given), X @ table.T)
    emulator.record()
    results = [compiled(given) for _ in range(3)]
    assert not emulator.calls("cuStreamWaitEvent")
    assert not emulator.calls("cuStreamSynchronize")
    # They are not freed before the work of that stream is done.
    del compiled
    gc.collect()
    for result in results:
        same(result, X @ table.T)
