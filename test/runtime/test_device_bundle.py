# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Bundles with code for GPUs, on emulated ones."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import emulated_cuda
import numpy as np
import pytest
from budget import budget, generator
from c_compiler import HERE
from devices import cuda, emulator, number_of
from emulated_cuda import OUT_OF_MEMORY, Driver, Emulator
from foreign_arrays import (
    LEGACY,
    CupyArray,
    CupyResult,
    DlpackArray,
    InterfaceArray,
    Taken,
    fake_cupy,
)
from saved import load, path, there, values
from test_bundle import PARAMS, TABLE, T, X, loss, rehashed, same
from test_cpp_wrapper import build, run

import gradopt as go
import gradopt_runtime
from gradopt import _gradopt
from gradopt.errors import ArgumentError, UnsupportedError
from gradopt_runtime.library import runtime

pytestmark = pytest.mark.usefixtures("cuda")
__all__ = ["cuda", "emulator", "load", "path"]

EMULATED = {"cpu": [], "chips": ["emulated"]}
BOTH = {"cpu": ["x86-64-v2"], "chips": ["emulated"]}


# -- Where a call runs -----------------------------------------------------------------------


def test_code_for_gpus_alone_takes_arrays_of_the_host(path: Path, load: Any) -> None:
    compiled = go.compile_value_and_grad(loss)
    go.save(compiled.lower(PARAMS, X, T), path, **EMULATED)
    loaded = load(path)
    for _ in range(3):
        same(loaded(PARAMS, X, T), compiled(PARAMS, X, T))
    assert loaded.arena_bytes == compiled.lower(PARAMS, X, T).memory().arena


def test_a_call_runs_where_its_arrays_are(
    path: Path, cuda: Driver, emulator: Emulator, load: Any
) -> None:
    compiled = go.compile_value_and_grad(loss)
    go.save(compiled.lower(PARAMS, X, T), path, **BOTH)
    loaded = load(path)
    expected = compiled(PARAMS, X, T)
    emulator.record()
    same(loaded(PARAMS, X, T), expected)
    assert emulator.log() == []
    for device in ("cuda:0", "cuda:1"):
        params = {key: there(value, device) for key, value in PARAMS.items()}
        for _ in range(3):
            value, gradient = loaded(params, there(X, device), there(T, device))
            assert value.device == gradient["w"].device == device
            same(values(gradient), expected[1])
            np.testing.assert_allclose(float(value), expected[0], rtol=1e-12)
    assert emulator.calls("cuGraphLaunch") or emulator.calls("cuLaunchKernel")


def test_signatures_that_were_called_on_both(path: Path, load: Any) -> None:
    """They are one program; what was called on one of them has code for it alone."""
    compiled = go.compile(lambda x: np.tanh(x) + TABLE[0])
    compiled(X)
    compiled(go.asarray(X, device="cuda"))
    compiled(go.asarray(X[:2], device="cuda"))
    go.save(compiled, path, cpu=None, chips=None)
    loaded = load(path)
    assert loaded.signatures == ("(x: float64[7, 5])", "(x: float64[2, 5])")
    bundle = _gradopt.Bundle(os.fsencode(path))
    assert [bundle.has_cpu_code(number) for number in range(2)] == [True, False]
    assert [bundle.has_cuda_code(number) for number in range(2)] == [True, True]
    same(loaded(X), np.tanh(X) + TABLE[0])
    # The code is for real GPUs.
    with pytest.raises(gradopt_runtime.BundleError, match=r"emulator of sm_90.*sm_80 and later, s"):
        loaded(there(X))
    with pytest.raises(gradopt_runtime.BundleError, match="is for sm_80 and later"):
        loaded(X[:2])


def test_constants_dtypes_and_numbers(path: Path, load: Any) -> None:
    def f(x: Any, i: Any, n: Any, flag: Any) -> Any:
        row = go.numpy.take(TABLE, i, axis=0)
        return x @ TABLE.T + n, row, np.where(flag, x, -x), {"i": i + 1}

    arguments = X, np.int32(3), 2.5, np.bool_(True)
    compiled = go.compile(f)
    expected = compiled(*arguments)
    go.save(compiled, path, **EMULATED)
    loaded = load(path)
    same(loaded(*arguments), expected)
    got = values(loaded(there(X), *arguments[1:]))
    np.testing.assert_allclose(got[0], expected[0], rtol=1e-12)
    np.testing.assert_array_equal(got[1], TABLE[3])
    np.testing.assert_array_equal(got[2], X)
    assert (got[3]["i"], got[3]["i"].dtype) == (4, np.dtype(np.int32))


def test_donated_arguments_are_copied(path: Path, load: Any) -> None:
    compiled = go.compile(lambda x, y: (x + y, np.sum(x)), donate_argnums=0)
    go.save(compiled.lower(X, X), path, **EMULATED)
    loaded = load(path)
    mine, other = X.copy(), there(X)
    for _ in range(2):
        same(loaded(mine, X), (X + X, np.sum(X)))
        np.testing.assert_array_equal(values(loaded(other, there(X))[0]), X + X)
    np.testing.assert_array_equal(mine, X)
    np.testing.assert_array_equal(other.numpy(), X)


def test_checks_raise_what_python_raises(path: Path, load: Any) -> None:
    go.save(go.compile(lambda x, i: x[i]).lower(X, np.int64(0)), path, **EMULATED)
    loaded = load(path)
    for x in (X, there(X)):
        np.testing.assert_array_equal(values(loaded(x, np.int64(-7))), X[-7])
        with pytest.raises(IndexError, match=r"index 7 is out of bounds.*test_device_bundle.py"):
            loaded(x, np.int64(7))
        np.testing.assert_array_equal(values(loaded(x, np.int64(6))), X[6])


def test_loops_that_read_from_the_device(path: Path, load: Any) -> None:
    def root(a: Any) -> Any:
        def is_far(y: Any) -> Any:
            return np.max(np.abs(y * y - a)) > 1e-9

        return go.while_loop(is_far, lambda y: 0.5 * (y + a / y), np.ones_like(a))

    a = np.linspace(1, 9, 1000)
    go.save(go.compile(root).lower(a), path, **EMULATED)
    loaded = load(path)
    for x in (a, there(a)):
        np.testing.assert_allclose(values(loaded(x)), np.sqrt(a), rtol=1e-9)


def test_empty_arrays_and_no_arguments(path: Path, load: Any) -> None:
    empty = np.zeros((0, 3), np.float32)
    for function, arguments in [
        (lambda x: (2 * x, np.sum(x)), (empty,)),
        (lambda: np.arange(4) * 2.0, ()),
        (lambda x: (x, x.T), (X,)),
    ]:
        compiled = go.compile(function)
        expected = compiled(*arguments)
        go.save(compiled, path, **EMULATED)
        loaded = load(path)
        same(loaded(*arguments), expected)
        if arguments:
            for got, value in zip(loaded(there(arguments[0])), expected, strict=True):
                np.testing.assert_array_equal(got.numpy(), value)


def test_threads(path: Path, load: Any) -> None:
    go.save(go.compile_grad(loss).lower(PARAMS, X, T), path, **EMULATED)
    loaded = load(path)
    expected = go.compile_grad(loss)(PARAMS, X, T)
    failures: list[BaseException] = []

    def work() -> None:
        try:
            for _ in range(20):
                same(loaded(PARAMS, X, T), expected)
                same(values(loaded(params, x, t)), expected)
        except BaseException as error:
            failures.append(error)

    params = {key: there(value) for key, value in PARAMS.items()}
    x, t = there(X), there(T)
    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


# -- Arrays of other libraries ---------------------------------------------------------------


def test_arrays_of_libraries_that_nobody_knows(path: Path, load: Any) -> None:
    go.save(go.compile(lambda x, y: (x + 2 * y, np.sum(y))).lower(X, X), path, **EMULATED)
    loaded = load(path)
    x, y = go.asarray(X, device="cuda:1"), go.asarray(-X, device="cuda:1")
    for foreign in (DlpackArray(x), InterfaceArray(x), x):
        total, number = loaded(foreign, DlpackArray(y))
        assert type(total) in (go.DeviceArray, gradopt_runtime.DeviceArray)
        assert total.device == "cuda:1"
        np.testing.assert_array_equal(total.numpy(), -X)
        # Others take the result.
        np.testing.assert_array_equal(Taken(total.__dlpack__(stream=LEGACY)).values(), -X)
        np.testing.assert_array_equal(go.asarray(total).numpy(), -X)
        np.testing.assert_array_equal(go.asarray(InterfaceArray(total)).numpy(), -X)
        np.testing.assert_allclose(float(number), -np.sum(X))
        total.__dlpack__()  # Nobody takes it.


def test_memory_of_others_is_kept_until_work_is_done(path: Path, load: Any) -> None:
    go.save(go.compile(lambda x: np.tanh(x)).lower(X), path, **EMULATED)
    loaded = load(path)
    foreign = DlpackArray(go.asarray(X, device="cuda"))
    result = loaded(foreign)
    loaded(there(X))
    # The emulator does nothing before somebody waits.
    assert foreign.deleted < len(foreign.asked)
    np.testing.assert_allclose(result.numpy(), np.tanh(X), rtol=1e-14)
    loaded(there(X))
    assert foreign.deleted == len(foreign.asked)


def test_a_library_that_is_known(
    path: Path, cuda: Driver, monkeypatch: pytest.MonkeyPatch, load: Any
) -> None:
    """Calls are on its stream, and results are its arrays."""
    cupy = fake_cupy(monkeypatch, cuda)
    cupy.current = number_of(cuda.stream())
    go.save(go.compile(lambda x, n: {"y": x * n}).lower(X, 2.0), path, **EMULATED)
    x = CupyArray(go.asarray(X, device="cuda"))
    y = load(path)(x, 3.0)["y"]
    assert set(x.asked) == {cupy.current}
    assert isinstance(y, CupyResult)
    assert y.stream == cupy.current
    np.testing.assert_array_equal(y.values(), 3 * X)
    # Its columns lie side by side.
    columns = CupyArray(go.asarray(X.T.reshape(X.shape), device="cuda"), strides=(1, 7))
    y = load(path)(columns, 3.0)["y"]
    np.testing.assert_array_equal(y.values(), 3 * X)


def test_streams_wait_for_each_other(path: Path, cuda: Driver, load: Any) -> None:
    go.save(go.compile(lambda x, y: x - y).lower(X, X), path, **EMULATED)
    loaded = load(path)
    x, stream = go.asarray(X, device="cuda"), number_of(cuda.stream())
    for _ in range(3):
        result = loaded(there(X), InterfaceArray(x, stream=stream))
        result = loaded(InterfaceArray(result, stream=stream), there(-X))
        np.testing.assert_array_equal(result.numpy(), X)


def test_arrays_that_cannot_be_passed(path: Path, load: Any) -> None:
    go.save(go.compile(lambda x: x + 1).lower(X), path, **EMULATED)
    loaded = load(path)
    x = go.asarray(X, device="cuda")
    for value, message in [
        (DlpackArray(x, strides=(1, 7)), "x, a DlpackArray on a device.* not row-major"),
        (InterfaceArray(x, strides=(8, 56)), "not row-major"),
        (InterfaceArray(x, mask=x), "has a mask"),
        (InterfaceArray(x, stream=0), "could be two"),
        (InterfaceArray(x, data=(X.ctypes.data, False)), "is not on a device"),
        (there(X.astype(np.float32)), r"expected float64\[7, 5\] at x, but got float32\[7, 5\]"),
    ]:
        with pytest.raises(TypeError, match=message):
            loaded(value)
    with pytest.raises(ValueError, match=r"shape \(7, 5\) at x, but got \(5, 7\)"):
        loaded(there(X.T))


def test_memory_that_is_not_aligned(path: Path, cuda: Driver, load: Any) -> None:
    go.save(go.compile(lambda x: x + 1).lower(X[0]), path, **EMULATED)
    whole = there(np.arange(6.0))
    entries = {"data": (whole.__cuda_array_interface__["data"][0] + 8, False), "shape": (5,)}
    got = load(path)(InterfaceArray(whole, **entries))
    np.testing.assert_array_equal(got.numpy(), np.arange(2.0, 7.0))


def test_arrays_in_different_places(path: Path, load: Any) -> None:
    go.save(go.compile(lambda x, y: x + y).lower(X, X), path, **BOTH)
    loaded = load(path)
    with pytest.raises(ValueError, match="x is on cuda:0, but y is an array on the host"):
        loaded(there(X), X)
    with pytest.raises(ValueError, match="x is on cuda:0, but y is on cuda:1"):
        loaded(there(X), there(X, "cuda:1"))
    go.save(go.compile(lambda x, y: x + y).lower(X, X), path)
    with pytest.raises(ValueError, match="x is on cuda:0, but lambda is machine code for the CPU"):
        load(path)(there(X), there(X))


def test_asarray() -> None:
    made = there([[1, 2], [3, 4]], "cuda:1")
    assert (made.device, made.shape, made.ndim, made.size, made.nbytes) == (
        "cuda:1", (2, 2), 2, 4, 32
    )  # fmt: skip
    assert np.asarray(made).tolist() == [[1, 2], [3, 4]]
    assert there(made, "cuda:1") is made
    assert there(made) is made
    assert (int(there(3)), bool(there(False)), float(there(2.5))) == (3, False, 2.5)
    np.testing.assert_array_equal(there(X.T.astype(">f8")).numpy(), X.T)
    for value, device, error, message in [
        (X, "gpu", ValueError, '"cuda" or "cuda:N", not \'gpu\''),
        (made, "cuda:0", ValueError, "is on cuda:1, not on cuda:0"),
        (X, "cuda:7", gradopt_runtime.BundleError, "needed GPU number 7, but there are only 2"),
        (X.astype(np.longdouble), "cuda", TypeError, "no arrays of float128"),
    ]:
        with pytest.raises(error, match=message):
            there(value, device)


# -- In C and C++ ----------------------------------------------------------------------------


def test_a_program_in_cpp(path: Path, tmp_path: Path) -> None:
    """Its bits of 3.0 are an index out of bounds, those of 0.0 are index 0."""

    def scaled(x: Any, factor: Any) -> Any:
        return x * x * factor

    def moved(x: Any, by: Any) -> Any:
        return x + by, np.sum(x)

    x, number = np.ones(3), np.float64(1)
    functions = {
        "scaled": go.compile(scaled, device="cuda").lower(x, number),
        "moved": go.compile(moved, donate_argnums=0, device="cuda").lower(x, number),
        "take": go.compile(lambda x, i: x[i], device="cuda").lower(x, np.int64(0)),
    }
    go.save(functions, path, chips=["emulated"], header=tmp_path / "functions.h")
    build(HERE / "call_device_bundle.cpp", tmp_path / "program", f"-I{tmp_path}")
    printed = run(tmp_path / "program", path, emulated_cuda.library_path(), folder=tmp_path)
    assert printed.splitlines() == [
        "0 1 0 1",
        "2 8 18 ",
        "8 128 648 ",
        "10 130 650 ",
        "12 132 652 ",
        "790 ",
        "2 3 4 6",
        "12 ",
        "IndexError: index 4613937818241073152 is o",
        "thrown: scaled: expected float64[] for the argument factor, but got 3 elements of float64",
        "thrown: scaled: expected 2 arguments, but got 1",
        "thrown: needed GPU number 9, but there are only 2",
    ]


# -- What cannot be saved or run -------------------------------------------------------------


def test_what_cannot_be_saved(path: Path) -> None:
    lowered = go.compile_grad(loss).lower(PARAMS, X, T)
    called = go.compile(lambda x: go.pure_callback(np.sort, go.ShapeDtypeStruct((3,), float), x))
    for what, chips, error, message in [
        (lowered, ["sm_1"], ArgumentError, "no such GPU: sm_1"),
        (lowered, ["emulated", "sm_90"], ArgumentError, "no such GPU: emulated,sm_90"),
        (called.lower(np.ones(3)), ["sm_90"], UnsupportedError, "outside of the program"),
        (lowered, [], ArgumentError, "loss has nothing to run on"),
    ]:
        with pytest.raises(error, match=message):
            go.save(what, path, cpu=[], chips=chips)
    assert not path.exists()


def test_other_chips_are_an_error(path: Path, load: Any) -> None:
    go.save(go.compile(np.tanh, device="cuda").lower(X), path, chips=["sm_100"])
    loaded = load(path)
    with pytest.raises(gradopt_runtime.BundleError, match=r"needed a program for cuda:0.* sm_100"):
        loaded(X)


def test_failures_of_the_driver_are_errors(path: Path, emulator: Emulator, load: Any) -> None:
    go.save(go.compile(lambda x: np.tanh(x) @ TABLE.T).lower(X), path, **EMULATED)
    for function in ("cuModuleLoadDataEx", "cuMemAllocFromPoolAsync", "cuMemcpyAsync"):
        loaded = load(path)
        for skip in range(8):
            emulator.fail(function, OUT_OF_MEMORY, skip)
            try:
                np.testing.assert_allclose(loaded(X), np.tanh(X) @ TABLE.T)
            except RuntimeError as error:
                assert "CUDA_ERROR_OUT_OF_MEMORY" in str(error)  # noqa: PT017
            emulator.recover()
        np.testing.assert_allclose(loaded(X), np.tanh(X) @ TABLE.T)


def test_programs_without_code_for_gpus_and_null(path: Path) -> None:
    library, handle = runtime(), ctypes.c_void_p()
    go.save(go.compile(np.tanh).lower(X), path, cpu=["x86-64-v2"])
    assert library.gradopt_bundle_open(os.fsencode(path), ctypes.byref(handle)) == 0
    program = library.gradopt_bundle_program(handle, 0)
    pointers = (ctypes.c_void_p * 1)()
    for arguments, message in [
        ((program, 0, pointers, pointers, None), "tanh has no code for GPUs"),
        ((None, 0, pointers, pointers, None), "null program"),
        ((program, 0, None, pointers, None), "null program, arguments or results"),
    ]:
        assert library.gradopt_program_call_cuda(*arguments) != 0
        assert message in library.gradopt_last_error().decode()
    assert library.gradopt_program_load_cuda(program, 0) != 0
    assert library.gradopt_program_load_cuda(None, 0) != 0
    library.gradopt_bundle_close(handle)


def test_a_child_cannot_use_what_its_parent_did(path: Path) -> None:
    go.save(go.compile(lambda x: x @ TABLE.T).lower(X), path, **EMULATED)
    loaded = gradopt_runtime.load(path)
    x = there(X)
    expected = loaded(x)
    child = os.fork()
    if child == 0:
        signal.alarm(60)
        status = 1
        try:
            loaded(x)
        except gradopt_runtime.BundleError as error:
            status = 0 if "forked from one that had used them before" in str(error) else 2
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    np.testing.assert_allclose(expected.numpy(), X @ TABLE.T, rtol=1e-12)
    np.testing.assert_allclose(loaded(x).numpy(), X @ TABLE.T, rtol=1e-12)


def test_no_driver_is_an_error_of_the_call(path: Path) -> None:
    go.save(go.compile(lambda x: x + 1).lower(X), path, **EMULATED)
    script = f"""
import numpy as np, gradopt_runtime
gradopt_runtime.set_driver("/none/libcuda.so.1")
loaded = gradopt_runtime.load({str(path)!r})
try:
    loaded(np.zeros((7, 5)))
except gradopt_runtime.BundleError as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True
    )
    assert "needed the driver of NVIDIA GPUs for CUDA 12.0 or later" in done.stdout


def test_everything_on_a_device_is_given_back(path: Path, emulator: Emulator, load: Any) -> None:
    go.save(go.compile(lambda x: x @ TABLE.T).lower(X), path, **EMULATED)
    for number in range(4):
        loaded = load(path)
        np.testing.assert_allclose(loaded(X), X @ TABLE.T)
        del loaded
        if number == 1:
            used = emulator.bytes_in_use()
    assert emulator.bytes_in_use() == used


@pytest.mark.parametrize("has_cpu_code", [False, True])
def test_damaged_bundles_are_errors(path: Path, has_cpu_code: bool) -> None:
    """With the right hash, too; nothing of what is loaded all the same is run."""
    lowered = go.compile(lambda x, i: (np.tanh(x[i]) @ TABLE.T, X)).lower(X, np.int64(0))
    go.save(lowered, path, **(BOTH if has_cpu_code else EMULATED))
    whole = path.read_bytes()
    begin = whole.index(b"GDEV")
    (table,) = np.frombuffer(whole, np.uint64, 1, begin + 24)
    images = int(np.frombuffer(whole, np.uint64, 1, begin + 72)[0]) + begin
    library, random, opened, loaded = runtime(), generator(), 0, 0
    # Numbers of the file, of its program for GPUs, of the commands, of kernels and of images.
    ranges = [
        (0, 64),
        (64, 512),
        (begin, begin + 88),
        (begin + int(table), begin + int(table) + 600),
    ]
    ranges += [(images - 64, images + 48), (begin, begin + 512), (0, len(whole))]
    for number in range(budget(10_000)):
        content = bytearray(whole)
        low, high = ranges[number % len(ranges)]
        for place in random.integers(low, min(high, len(whole)), random.integers(1, 6)):
            content[place] = random.choice([0, 1, 127, 128, 255, random.integers(256)])
        with path.open("r+b") as file:
            file.write(rehashed(content) if number % 8 else content)
        handle = ctypes.c_void_p()
        if library.gradopt_bundle_open(os.fsencode(path), ctypes.byref(handle)) != 0:
            assert library.gradopt_last_error()
            continue
        opened += 1
        program = library.gradopt_bundle_program(handle, 0)
        if program and library.gradopt_program_has_cuda_code(program):
            loaded += library.gradopt_program_load_cuda(program, 0) == 0
        library.gradopt_bundle_close(handle)
    assert 0 < loaded <= opened < budget(10_000) * 0.9


def test_commands_for_other_arrays_are_errors(path: Path, load: Any) -> None:
    go.save(go.compile(lambda x: np.tanh(x) @ TABLE.T).lower(X), path, **EMULATED)
    whole = path.read_bytes()
    begin = whole.index(b"CMDS")
    sizes = np.frombuffer(whole, np.int64, 4, begin + 40)
    assert sizes[1] == X.nbytes
    content = bytearray(whole)
    content[begin + 48 : begin + 56] = np.int64(X.nbytes + 8).tobytes()
    path.write_bytes(rehashed(content))
    with pytest.raises(gradopt_runtime.BundleError, match="code for GPUs of lambda is for other"):
        load(path)
