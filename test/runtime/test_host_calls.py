# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Programs for a GPU that call functions of the host on their data."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable
from typing import Any

import device_programs as programs
import numpy as np
import pytest
from command_lists import END, HOST_CALL, ZERO, CommandList, Operand, constant
from device_programs import INVALID_ARGUMENT, CudaError, Runtime, device_program
from emulated_cuda import Driver, Emulator
from emulated_runtime import BYTES, N, cuda, emulator, image

__all__ = ["cuda", "emulator", "image"]

X = np.array([3.0, -1, 7, 0, 2, 2, -5, 4])
TARGET, _, SORT, _ = range(4)
F64, I64, SCRATCH = 6, 4, 0x100
TARGET_ERROR = 7


def array(address: Operand, dtype: int = F64, size: int = N) -> list[Operand]:
    return [address, constant(dtype), constant(1), constant(size)]


def add_one(program: CommandList, source: Operand, target: Operand) -> None:
    program.launch(("add_one", 2, 4), source, target, constant(N))


def sorting(image: programs.Image) -> bytes:
    """y = sort(x + 1) + 1, where the sort is the host's, with memory to work in."""
    program = CommandList([BYTES, BYTES])
    x, y = program.buffer(0), program.buffer(1)
    before, after, work = (program.buffer(2, BYTES * i) for i in range(3))
    add_one(program, x, before)
    buffers = [*array(before), *array(after), *array(work, I64 | SCRATCH)]
    has_values, inputs = constant(1), constant(1)
    program.add(HOST_CALL, SORT, has_values, inputs, *buffers)
    add_one(program, after, y)
    program.add(END, 0)
    return device_program(program, [image], arena=3 * BYTES)


def targets_of(image: programs.Image, number: int = 0) -> bytes:
    """y = target(x + 1) + 1."""
    program = CommandList([BYTES, BYTES])
    before, after = program.buffer(2), program.buffer(2, BYTES)
    add_one(program, program.buffer(0), before)
    operands = [constant(number), constant(1), *array(before), *array(after)]
    program.add(HOST_CALL, TARGET, *operands)
    add_one(program, after, program.buffer(1))
    program.add(END, 0)
    return device_program(program, [image], arena=2 * BYTES)


class Buffer(ctypes.Structure):
    """gradopt_buffer."""

    _fields_ = (
        ("data", ctypes.c_void_p),
        ("shape", ctypes.POINTER(ctypes.c_int64)),
        ("rank", ctypes.c_int32),
        ("dtype", ctypes.c_int32),
    )

    def array(self) -> Any:
        assert (self.rank, self.dtype) == (1, F64)
        count = self.shape[0]
        return np.ctypeslib.as_array((ctypes.c_double * count).from_address(self.data or 0))


FUNCTION = ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.POINTER(Buffer), ctypes.POINTER(Buffer))


class Target(ctypes.Structure):
    """gradopt_target, of a function."""

    _fields_ = (
        ("function", FUNCTION),
        ("callback", ctypes.c_void_p),
        ("state", ctypes.c_void_p),
    )


def call(
    cuda: Runtime,
    module: ctypes.c_void_p,
    function: Callable[[Any, Any], int],
    *buffers: int,
    stream: Any = None,
) -> None:
    """Calls a program with one target, of NumPy arrays."""
    table = (Target * 1)(Target(FUNCTION(lambda x, y: function(x[0].array(), y[0].array()))))
    addresses = (ctypes.c_void_p * len(buffers))(*buffers)
    count = ctypes.c_size_t(len(buffers))
    cuda.call("call_with_targets", module, addresses, count, table, ctypes.c_size_t(1), stream)


def cube(x: Any, y: Any) -> int:
    y[:] = x**3
    return 0


def copies(emulator: Emulator) -> list[str]:
    return [line for line in emulator.done() if line.startswith("copy")]


def test_the_host_sorts(cuda: Runtime, emulator: Emulator, image: programs.Image) -> None:
    module = cuda.load(sorting(image))
    y = cuda.allocate(BYTES)
    for shift in range(4):
        x = cuda.upload(X[::-1] * (shift + 1))
        cuda.synchronize()
        emulator.record()
        cuda.run(module, x, y)
        cuda.synchronize()
        # To the host and back; not what it worked in. Nor is it captured, in no call.
        assert copies(emulator) == [f"copy {BYTES}"] * 2
        assert not emulator.calls("cuStreamBeginCapture_v2")
        np.testing.assert_array_equal(cuda.download(y, X), np.sort(X * (shift + 1)) + 2)
    cuda.unload(module)


def test_streams_have_memory_of_their_own(
    cuda: Runtime, emulator: Emulator, image: programs.Image
) -> None:
    module = cuda.load(sorting(image))
    with Driver(emulator) as driver:
        streams = [driver.stream() for _ in range(3)]
    arrays = [X + i for i in range(3)]
    x = [cuda.upload(a, s) for a, s in zip(arrays, streams, strict=True)]
    y = [cuda.allocate(BYTES, s) for s in streams]
    for i in (0, 1, 2, 1, 0):
        cuda.run(module, x[i], y[i], stream=streams[i])
    for i, stream in enumerate(streams):
        np.testing.assert_array_equal(cuda.download(y[i], X, stream), np.sort(arrays[i]) + 2)
    cuda.unload(module)


def test_a_program_that_needs_more(cuda: Runtime, image: programs.Image) -> None:
    """The memory of a stream grows, when what was copied out of it has arrived."""
    small = cuda.load(sorting(image))
    count = 4 * N
    program = CommandList([8 * count, 8 * count])
    buffers = [*array(program.buffer(0), size=count), *array(program.buffer(1), size=count)]
    work = array(program.buffer(2), I64 | SCRATCH, count)
    program.add(HOST_CALL, SORT, constant(1), constant(1), *buffers, *work)
    program.add(END, 0)
    large = cuda.load(device_program(program, [image], arena=8 * count))
    x, y = cuda.upload(X), cuda.allocate(BYTES)
    values = np.arange(float(count))[::-1].copy()
    z, w = cuda.upload(values), cuda.allocate(8 * count)
    for module, buffers in ((small, (x, y)), (large, (z, w)), (small, (x, y))):
        cuda.run(module, *buffers)
    np.testing.assert_array_equal(cuda.download(y, X), np.sort(X) + 2)
    np.testing.assert_array_equal(cuda.download(w, values), values[::-1])
    cuda.unload(small)
    cuda.unload(large)


def test_functions_of_the_caller(cuda: Runtime, image: programs.Image) -> None:
    module = cuda.load(targets_of(image))
    x, y = cuda.upload(X), cuda.allocate(BYTES)
    for function, expected in (
        (cube, (X + 1) ** 3 + 1),
        (lambda x, y: y.fill(x[0]) or 0, X * 0 + 5),
    ):
        call(cuda, module, function, x, y)
        np.testing.assert_array_equal(cuda.download(y, X), expected)
    cuda.unload(module)


def test_a_function_that_fails(cuda: Runtime, image: programs.Image) -> None:
    module = cuda.load(targets_of(image))
    x, y = cuda.upload(X), cuda.allocate(BYTES)
    with pytest.raises(CudaError, match="target 0 returned status 9") as caught:
        call(cuda, module, lambda x, y: 9, x, y)
    assert caught.value.status == TARGET_ERROR
    with pytest.raises(CudaError, match="calls target 0, but its caller set 0") as caught:
        cuda.run(module, x, y)
    assert caught.value.status == INVALID_ARGUMENT
    call(cuda, module, cube, x, y)
    np.testing.assert_array_equal(cuda.download(y, X), (X + 1) ** 3 + 1)
    cuda.unload(module)


@pytest.mark.parametrize("in_thread", [False, True])
def test_a_function_that_calls_programs(
    cuda: Runtime, image: programs.Image, in_thread: bool
) -> None:
    """On the same stream, from its own thread or another one that it waits for."""
    module, other = cuda.load(targets_of(image)), cuda.load(sorting(image))
    x, y, z, w = cuda.upload(X), *(cuda.allocate(BYTES) for _ in range(3))

    def work(inside: Any) -> None:
        call(cuda, module, cube, x, z)
        cuda.run(other, z, w)
        inside[:] = cuda.download(w, X)

    def nested(x: Any, y: Any) -> int:
        if in_thread:
            thread = threading.Thread(target=work, args=(y,))
            thread.start()
            thread.join(60)
            return int(thread.is_alive())
        work(y)
        return 0

    for _ in range(2):
        call(cuda, module, nested, x, y)
        expected = np.sort((X + 1) ** 3 + 1) + 2
        np.testing.assert_array_equal(cuda.download(y, X), expected + 1)
    cuda.unload(module)
    cuda.unload(other)


def test_no_part_of_a_graph(cuda: Runtime, emulator: Emulator, image: programs.Image) -> None:
    module = cuda.load(sorting(image))
    with Driver(emulator) as driver:
        stream = driver.stream()
        x, y = cuda.upload(X, stream), cuda.allocate(BYTES, stream)
        driver.call("cuStreamBeginCapture_v2", stream, 0)
        with pytest.raises(CudaError, match="calls functions of the host"):
            cuda.run(module, x, y, stream=stream)
        driver.end_capture(stream)
    cuda.run(module, x, y, stream=stream)
    np.testing.assert_array_equal(cuda.download(y, X, stream), np.sort(X) + 2)
    cuda.unload(module)


@pytest.mark.parametrize("function", ["cuMemAllocHost_v2", "cuMemcpyAsync", "cuStreamSynchronize"])
def test_the_driver_fails(
    cuda: Runtime, emulator: Emulator, image: programs.Image, function: str
) -> None:
    module = cuda.load(targets_of(image))
    x, y = cuda.upload(X), cuda.allocate(BYTES)
    emulator.fail(function, 2)
    with pytest.raises(CudaError):
        call(cuda, module, cube, x, y)
    emulator.recover()
    call(cuda, module, cube, x, y)
    np.testing.assert_array_equal(cuda.download(y, X), (X + 1) ** 3 + 1)
    cuda.unload(module)


@pytest.mark.parametrize(
    ("function", "operands", "problem"),
    [
        (4, [constant(1), constant(0)], "no such function"),
        (SORT, [constant(1)], "wrong number of operands"),
        (SORT, [constant(1), constant(-1)], "wrong number of inputs"),
        (SORT, [constant(1), constant(2), *array((3, ZERO, 0))], "wrong number of inputs"),
        (SORT, [constant(1), constant(0), (3, ZERO, 0)], "expected a type and a shape"),
        (SORT, [constant(1), constant(0), *array((3, ZERO, 0), 15)], "expected a type and a shape"),
        (SORT, [constant(1), constant(0), *array((3, ZERO, 0), -1)], "expected a type and a shape"),
        (
            SORT,
            [constant(1), constant(0), *array((3, ZERO, 0), size=2**61)],
            "expected a type and a shape",
        ),
        (
            SORT,
            [constant(1), constant(0), *array((3, ZERO, 0), size=N + 1)],
            "outside of its buffer",
        ),
        (SORT, [constant(1), constant(0), *array((3, ZERO, 8))], "outside of its buffer"),
        (
            SORT,
            [constant(1), constant(0), *array((3, ZERO, 0))[:-1]],
            "expected a type and a shape",
        ),
        (
            SORT,
            [constant(1), constant(0), (3, ZERO, 0), constant(F64), constant(65)],
            "expected a type and a shape",
        ),
        (SORT, [constant(1), (3, ZERO, 0)], "expected numbers"),
    ],
)
def test_bad_calls(
    cuda: Runtime, image: programs.Image, function: int, operands: list[Operand], problem: str
) -> None:
    program = CommandList([BYTES])
    program.add(HOST_CALL, function, *operands)
    program.add(END, 0)
    with pytest.raises(CudaError, match=problem):
        cuda.load(device_program(program, [image]))
