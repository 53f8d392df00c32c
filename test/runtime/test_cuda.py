# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Programs on a GPU: what the runtime asks of the driver, with an emulator in its place."""

from __future__ import annotations

import ctypes
import gc

import device_programs as programs
import numpy as np
import pytest
from command_lists import (
    CONSTANTS,
    COPY,
    END,
    EQUAL,
    LESS,
    MAXIMUM,
    MINIMUM,
    MULTIPLY_ADD,
    READ,
    SET,
    ZERO,
    CommandList,
    bits,
    constant,
)
from device_programs import CudaError, Runtime, device_program
from emulated_cuda import Driver, Emulator
from emulated_runtime import (
    BYTES,
    N,
    X,
    chain,
    chain_bytes,
    cuda,
    driver,
    emulator,
    image,
    stream_of,
)

__all__ = ["cuda", "driver", "emulator", "image"]


# -- Devices --------------------------------------------------------------------------------


def test_devices(cuda: Runtime) -> None:
    assert cuda.count() == 2
    for number in range(2):
        info = Runtime(number).info()
        assert info.name.decode() == f"Emulated device {number}"
        assert (info.chip, info.driver_version, info.is_emulated) == (90, 12040, 1)
        assert info.num_multiprocessors > 0
        assert info.memory_bytes == 1 << 32
    for number in (-1, 2):
        with pytest.raises(CudaError, match=r"but there are only 2") as caught:
            Runtime(number).info()
        assert caught.value.status == programs.NO_DEVICE


def test_the_driver_stays(cuda: Runtime, emulator: Emulator) -> None:
    cuda.set_driver(emulator.path)
    with pytest.raises(CudaError, match="is in use already") as caught:
        cuda.set_driver("/no/such/driver.so")
    assert caught.value.status == programs.INVALID_ARGUMENT


# -- Copies ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shape", "counts", "copies"),
    [
        ((), (), (1, 0)),
        ((6, 3), (4, 3), (1, 0)),
        ((6, 3), (6, 2), (0, 1)),
        ((5, 4, 3), (5, 2, 3), (0, 1)),
        ((5, 4, 3), (2, 3, 3), (0, 1)),
        ((5, 4, 3), (4, 3, 2), (0, 1)),
        ((4, 5, 4, 3), (2, 5, 4, 2), (0, 1)),
        ((4, 5, 4, 3), (3, 2, 3, 2), (0, 3)),
        ((3, 2, 3, 2, 2), (2, 1, 2, 1, 2), (0, 2)),
        ((5, 4, 3), (5, 0, 3), (0, 0)),
        ((5, 4, 0), (5, 2, 0), (0, 0)),
    ],
)
def test_copies_of_the_first_elements(
    cuda: Runtime,
    emulator: Emulator,
    shape: tuple[int, ...],
    counts: tuple[int, ...],
    copies: tuple[int, int],
) -> None:
    """As few as the driver's of three dimensions allow, of what is as a whole one."""
    x = np.arange(np.prod(shape, dtype=int), dtype=np.float32).reshape(shape)
    part = x[tuple([slice(count) for count in counts])]
    at, to = cuda.upload(x), cuda.allocate(max(part.nbytes, 1))
    cuda.synchronize()
    emulator.record()
    cuda.copy_first(to, at, x.itemsize, shape, counts)
    found = [len(emulator.calls(name)) for name in ("cuMemcpyAsync", "cuMemcpy3DAsync_v2")]
    assert tuple(found) == copies
    np.testing.assert_array_equal(cuda.download(to, np.ascontiguousarray(part)), part)


def test_wrong_copies_of_the_first_elements(cuda: Runtime, emulator: Emulator) -> None:
    x = np.ones((3, 2))
    at, to = cuda.upload(x), cuda.allocate(x.nbytes)
    for counts, message in [
        ((3, 3), "expected 0 to 2 elements along dimension 1, but got 3"),
        ((-1, 2), "expected 0 to 3 elements along dimension 0, but got -1"),
    ]:
        with pytest.raises(CudaError, match=message) as caught:
            cuda.copy_first(to, at, 8, x.shape, counts)
        assert caught.value.status == programs.INVALID_ARGUMENT
    with pytest.raises(CudaError, match="copy_first: null"):
        cuda.copy_first(0, at, 8, x.shape, (3, 1))
    emulator.fail("cuMemcpy3DAsync_v2", 1)
    with pytest.raises(CudaError, match="cannot copy a part of an array on cuda:0"):
        cuda.copy_first(to, at, 8, x.shape, (3, 1))


# -- Calls ----------------------------------------------------------------------------------


def test_a_call(cuda: Runtime, emulator: Emulator, image: programs.Image) -> None:
    """What it computes is there when the stream was waited for."""
    module = cuda.load(chain_bytes(image))
    x, y = cuda.upload(X), cuda.allocate(BYTES)
    emulator.record()
    cuda.run(module, x, y)
    assert emulator.done() == []
    np.testing.assert_array_equal(cuda.download(y, X), X + 2)
    cuda.unload(module)


def test_constants(cuda: Runtime, image: programs.Image) -> None:
    """They are on the device, and the bytes of the program are not needed any more."""
    program = CommandList([BYTES], constants=BYTES)
    program.launch(("add_one", 1, N), (CONSTANTS, ZERO, 0), program.buffer(0), constant(N))
    program.add(END, 0)
    code = bytearray(device_program(program, [image], constants=X.tobytes()))
    module = cuda.load(bytes(code))
    gc.collect()
    y = cuda.allocate(BYTES)
    cuda.run(module, y)
    np.testing.assert_array_equal(cuda.download(y, X), X + 1)
    cuda.unload(module)


def test_numbers_are_parameters(cuda: Runtime, image: programs.Image) -> None:
    program = CommandList([BYTES, BYTES])
    operands = program.buffer(0), program.buffer(1), constant(N), bits(-0.5)
    program.launch(("add_multiple", 1, N), *operands)
    program.add(END, 0)
    module = cuda.load(device_program(program, [image]))
    x, y = cuda.upload(X), cuda.upload(X + 3)
    cuda.run(module, x, y)
    np.testing.assert_array_equal(cuda.download(y, X), X + 3 - 0.5 * X)
    cuda.unload(module)


def test_loops_on_the_host(cuda: Runtime, emulator: Emulator, image: programs.Image) -> None:
    """Elements 1, 3, 5 of y get those of x and 10 more than a number that is calculated."""
    program = CommandList([BYTES, BYTES], registers=4)
    i, address, least, most = range(4)
    program.add(SET, program.word(i), constant(1), constant(0))
    body = program.here()
    program.add(MULTIPLY_ADD, program.word(address), constant(0), program.register(i), constant(8))
    program.add(MINIMUM, program.word(least), program.register(i), constant(4))
    program.add(MAXIMUM, program.word(most), program.register(least), constant(2))
    at = [(program.buffer(n)[0], program.word(address), 0) for n in range(2)]
    program.launch(("add_one", 1, 1), *at, constant(1))
    program.launch(("nothing", 1, 1), program.register(most))
    program.add(
        COPY,
        0,
        program.buffer(1),
        (program.buffer(0)[0], program.word(address), 0),
        program.register(most),
    )
    program.add(SET, program.word(i), program.register(i, 2))
    program.add(LESS, body, program.register(i), constant(7))
    program.add(END, 0)
    module = cuda.load(device_program(program, [image]))
    x, y = cuda.upload(X), cuda.upload(0 * X)
    cuda.synchronize()
    emulator.record()
    cuda.run(module, x, y)
    cuda.synchronize()
    expected = 0 * X
    expected[[1, 3, 5]] = X[[1, 3, 5]] + 1
    np.testing.assert_array_equal(cuda.download(y, X)[1:], expected[1:])
    # The bytes of each copy are the clamped number.
    assert [line for line in emulator.done() if "copy" in line][:3] == [
        "copy 2",
        "copy 3",
        "copy 4",
    ]
    cuda.unload(module)


@pytest.mark.parametrize("size", [1, 2, 4, 8])
def test_numbers_of_the_device(cuda: Runtime, image: programs.Image, size: int) -> None:
    """As in a loop whose condition the device computes: here until it reads -2."""
    program = CommandList([16], registers=2)
    program.add(SET, program.word(0), constant(-1), constant(5))
    begin = program.here()
    program.launch(("set_number", 1, 1), program.buffer(0), program.register(1, -3), constant(size))
    program.add(READ, program.word(0), program.buffer(0), constant(size))
    program.add(SET, program.word(1), program.register(1, -1))
    last = (1 << 8 * size) - 2 if size < 8 else -2
    skip = program.here() + 10
    program.add(EQUAL, skip, program.register(0), constant(last))
    program.add(EQUAL, begin, constant(0), constant(0))
    assert program.here() == skip
    program.launch(("set_number", 1, 1), program.buffer(0, 8), program.register(1), constant(8))
    program.add(END, 0)
    module = cuda.load(device_program(program, [image]))
    y = cuda.allocate(16)
    for _ in range(3):
        cuda.run(module, y)
        assert cuda.download(y, np.empty(2, np.int64))[1] == 0
    cuda.unload(module)


def test_wrong_buffers(cuda: Runtime, image: programs.Image) -> None:
    module = cuda.load(chain_bytes(image))
    with pytest.raises(CudaError, match="expected 2 buffers, but got 1") as caught:
        cuda.run(module, 0)
    assert caught.value.status == programs.INVALID_ARGUMENT
    cuda.unload(module)
    cuda.unload(ctypes.c_void_p())


def test_the_caller_s_context_stays(
    cuda: Runtime, driver: Driver, emulator: Emulator, image: programs.Image
) -> None:
    module = cuda.load(chain_bytes(image))
    x, y = cuda.upload(X), cuda.allocate(BYTES)

    def current() -> int | None:
        return driver.handle("cuCtxGetCurrent").value

    assert current() is None
    cuda.run(module, x, y)
    assert current() is None
    with Driver(emulator, 1) as other:
        cuda.run(module, x, y)
        assert current() == other.context.value
    cuda.unload(module)


# -- Memory ---------------------------------------------------------------------------------


def test_memory(cuda: Runtime, emulator: Emulator) -> None:
    assert cuda.allocate(0) == 0
    cuda.free(0)
    x = cuda.allocate(1000)
    assert x % 256 == 0
    assert len(emulator.calls("cuMemAllocFromPoolAsync")) == 1
    y = cuda.upload(X)
    cuda.copy(x, y, BYTES)
    np.testing.assert_array_equal(cuda.download(x, X), X)
    other = np.zeros_like(X)
    cuda.copy(other.ctypes.data, X.ctypes.data, BYTES)
    np.testing.assert_array_equal(other, X)
    cuda.copy(0, 0, 0)
    with pytest.raises(CudaError, match="null"):
        cuda.copy(0, x, 8)
    cuda.free(x)
    with pytest.raises(CudaError, match="cannot free memory on cuda:0: CUDA_ERROR_INVALID_VALUE"):
        cuda.free(x)
    cuda.free(y)


def test_memory_runs_out(cuda: Runtime, emulator: Emulator) -> None:
    emulator.set_memory(1 << 20)
    with pytest.raises(CudaError) as caught:
        cuda.allocate(1 << 21)
    assert caught.value.status == programs.OUT_OF_MEMORY
    words = str(caught.value)
    assert "needed 2097152 bytes on cuda:0 (Emulated device 0), which has 1048576, of" in words
    assert "are free: CUDA_ERROR_OUT_OF_MEMORY: out of memory" in words
    cuda.free(cuda.allocate(4096))


def test_idle_arenas_make_room(
    cuda: Runtime, driver: Driver, emulator: Emulator, image: programs.Image
) -> None:
    big = 1 << 24
    module = cuda.load(device_program(chain(3), [image], arena=big))
    x = cuda.upload(X)
    cuda.synchronize()
    emulator.set_memory(emulator.bytes_in_use() + 2 * big + 65536)
    ys = []
    for _ in range(5):
        stream = stream_of(driver)
        y = cuda.allocate(BYTES, stream)
        for _ in range(3):
            cuda.run(module, x, y, stream=stream)
        ys.append((y, stream))
    for y, stream in ys:
        np.testing.assert_array_equal(cuda.download(y, X, stream), X + 3)
    emulator.set_memory(1 << 32)
    cuda.unload(module)


# -- Errors of the device -------------------------------------------------------------------


def test_an_error_of_a_kernel(cuda: Runtime, emulator: Emulator, image: programs.Image) -> None:
    """It is seen later, in the driver's words, and stays."""
    program = CommandList([BYTES])
    program.launch(("access", 1, 1), program.buffer(0, BYTES), *map(constant, (8, 1, 0)))
    program.add(END, 0)
    module = cuda.load(device_program(program, [image]))
    x = cuda.upload(X)
    cuda.run(module, x)
    for action in (cuda.synchronize, lambda: cuda.run(module, x), lambda: cuda.allocate(8)):
        with pytest.raises(CudaError) as caught:
            action()
        assert caught.value.status == programs.DEVICE_ERROR
        words = str(caught.value)
        assert "CUDA_ERROR_ILLEGAL_ADDRESS: an illegal memory access was encountered" in words
        assert "kernel access, block 0, thread 0: stores 8 bytes" in words
        assert "this process cannot use the GPU any more" in words
    emulator.recover()
    cuda.unload(module)


@pytest.mark.parametrize(
    ("function", "words"),
    [
        ("cuLaunchKernel", "cannot launch kernel add_one (2 blocks of 4 threads) on cuda:0"),
        ("cuStreamGetId", "cannot use the stream on cuda:0"),
        ("cuCtxGetCurrent", "cannot use cuda:0"),
    ],
)
def test_refused_calls(
    cuda: Runtime, emulator: Emulator, image: programs.Image, function: str, words: str
) -> None:
    module = cuda.load(chain_bytes(image))
    x, y = cuda.upload(X), cuda.allocate(BYTES)
    emulator.fail(function, 1)
    with pytest.raises(CudaError) as caught:
        cuda.run(module, x, y)
    assert caught.value.status == programs.DEVICE_ERROR
    assert str(caught.value) == f"{words}: CUDA_ERROR_INVALID_VALUE: invalid argument"
    cuda.run(module, x, y)
    np.testing.assert_array_equal(cuda.download(y, X), X + 2)
    cuda.unload(module)


def test_an_arena_that_does_not_fit(
    cuda: Runtime, driver: Driver, emulator: Emulator, image: programs.Image
) -> None:
    module = cuda.load(device_program(chain(3), [image], arena=1 << 30))
    stream = stream_of(driver)
    x, y = cuda.upload(X, stream), cuda.allocate(BYTES, stream)
    emulator.set_memory(1 << 20)
    with pytest.raises(CudaError, match="needed 1073741824 bytes on cuda:0") as caught:
        cuda.run(module, x, y, stream=stream)
    assert caught.value.status == programs.OUT_OF_MEMORY
    emulator.set_memory(1 << 32)
    cuda.run(module, x, y, stream=stream)
    np.testing.assert_array_equal(cuda.download(y, X, stream), X + 3)
    cuda.unload(module)


def test_missing_kernels(cuda: Runtime, emulator: Emulator, image: programs.Image) -> None:
    program = CommandList([])
    program.launch(("no_such_kernel", 1, 1))
    program.add(END, 0)
    with pytest.raises(CudaError, match="a program has no kernel no_such_kernel: CUDA_ERROR_NOT"):
        cuda.load(device_program(program, [image]))
    assert len(emulator.calls("cuModuleUnload")) == 1


def test_a_program_without_kernels_needs_no_code(cuda: Runtime) -> None:
    program = CommandList([BYTES, BYTES])
    program.add(COPY, 0, program.buffer(1), program.buffer(0), constant(BYTES))
    program.add(END, 0)
    module = cuda.load(device_program(program, []))
    x, y = cuda.upload(X), cuda.allocate(BYTES)
    cuda.run(module, x, y)
    np.testing.assert_array_equal(cuda.download(y, X), X)
    cuda.unload(module)
