# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The emulator of CUDA's driver finds the faults of kernels and of their callers."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import emulated_cuda
import ml_dtypes
import numpy as np
import pytest
from c_compiler import HERE, compile_c
from emulated_cuda import Driver, DriverError, Emulator

LOAD, STORE, BARRIER, THEN_STORE = 0, 1, 2, 4


@pytest.fixture(scope="module")
def emulator() -> Emulator:
    return Emulator()


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    target: Path = tmp_path_factory.mktemp("kernels") / "kernels.o"
    flags = ["-O1", "-fPIC", "-c", f"-I{emulated_cuda.HEADERS}", "-o", str(target)]
    compile_c(HERE / "kernels.c", *flags)
    return target.read_bytes()


@pytest.fixture
def cuda(emulator: Emulator) -> Iterator[Driver]:
    emulator.recover()
    emulator.record()
    with Driver(emulator) as driver:
        yield driver
        # Nothing is left for the next test.
        emulator.recover()
        driver.library.cuCtxSynchronize()
        emulator.recover()


@pytest.fixture
def module(cuda: Driver, image: bytes) -> ctypes.c_void_p:
    return cuda.module(image)


def failure(cuda: Driver, stream: Any = None) -> DriverError:
    """What waiting for the stream says."""
    with pytest.raises(DriverError) as caught:
        cuda.synchronize(stream)
    return caught.value


# -- Kernels --------------------------------------------------------------------------------


@pytest.mark.parametrize(("grid", "block"), [(1, 1), (3, 32), (5, 48), (1, 1024)])
def test_all_threads_run(cuda: Driver, module: Any, grid: int, block: int) -> None:
    x = np.arange(1000.0)
    source, target = cuda.upload(x), cuda.allocate(x.nbytes)
    cuda.launch(module, "add_one", grid, block, source, target, x.size)
    np.testing.assert_array_equal(cuda.download(target, x), x + 1)


@pytest.mark.parametrize("block", [32, 128, 1024])
def test_barriers_and_shared_memory(cuda: Driver, module: Any, block: int) -> None:
    x = np.arange(5000.0)
    source, target = cuda.upload(x), cuda.allocate(8)
    cuda.launch(module, "block_sum", 1, block, source, target, x.size)
    assert cuda.download(target, np.empty(1)) == x.sum()


@pytest.mark.parametrize("operand", [0, 1, 5, 16, 31])
@pytest.mark.parametrize("kind", range(4))
@pytest.mark.parametrize("block", [64, 48])
def test_shuffles(cuda: Driver, module: Any, kind: int, operand: int, block: int) -> None:
    """Lanes that do not exist are those of a warp that is not full, too."""
    x = np.arange(100, 100 + 2 * block)
    source, target = cuda.upload(x), cuda.allocate(x.nbytes)
    cuda.launch(module, "shuffle", 2, block, source, target, operand, kind)
    expected = x.copy()
    for i in range(2 * block):
        thread = i % block
        warp, lane = thread // 32 * 32, thread % 32
        lanes = [lane ^ operand, lane + operand, lane - operand, operand]
        if 0 <= lanes[kind] < min(32, block - warp):
            expected[i] = x[i - thread + warp + lanes[kind]]
    np.testing.assert_array_equal(cuda.download(target, x), expected)


def test_products_of_matrices(cuda: Driver, module: Any) -> None:
    """Two warps of two blocks each, with the fragments of mma.sync.m8n8k4 for f64."""
    rng = np.random.default_rng(4)
    a, b, c = (rng.integers(-9, 9, (4, *shape)) + 0.0 for shape in ((8, 4), (4, 8), (8, 8)))
    # The PTX manual has %laneid >> 2 as the row of A, the column of B and the row of C, and
    # %laneid % 4 as the column of A, the row of B, and twice that as the first column of C.
    columns = np.swapaxes(b, 1, 2)
    buffers = [cuda.upload(np.ascontiguousarray(each)) for each in (a, columns, c)]
    cuda.launch(module, "multiply", 2, 64, *buffers)
    np.testing.assert_array_equal(cuda.download(buffers[2], c), a @ b + c)


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16])
def test_products_of_matrices_of_narrow_floats(cuda: Driver, module: Any, dtype: type) -> None:
    """One warp, with the fragments of mma.sync.m16n8k16, as the PTX manual has them."""
    rng = np.random.default_rng(5)
    a, b = (rng.integers(-9, 9, shape).astype(dtype) for shape in ((16, 16), (16, 8)))
    c = rng.integers(-9, 9, (16, 8)).astype("f4")
    lane = np.arange(32)[:, None]
    group, member = lane // 4, lane % 4
    i, k = np.arange(8), np.arange(4)
    # For ai, i = 0 ... 7: row = groupID where i < 2 or 4 <= i < 6, else groupID + 8; column =
    # threadID_in_group * 2 + (i & 1) where i < 4, and 8 more elsewhere.
    in_a = a[group + i // 2 % 2 * 8, member * 2 + i % 2 + i // 4 * 8]
    # For bi, i = 0 ... 3: row = threadID_in_group * 2 + (i & 1) where i < 2, and 8 more elsewhere.
    in_b = b[member * 2 + k % 2 + k // 2 * 8, group]
    # For ci: row = groupID where i < 2, else groupID + 8; column = that pair.
    of_c = group + k // 2 * 8, member * 2 + k % 2
    buffers = [cuda.upload(np.ascontiguousarray(each)) for each in (in_a, in_b, c[of_c])]
    cuda.launch(module, "multiply_narrow", 1, 32, *buffers, int(dtype != np.float16))
    expected = a.astype("f4") @ b.astype("f4") + c
    np.testing.assert_array_equal(cuda.download(buffers[2], c[of_c]), expected[of_c])


def test_barriers_on_deep_stacks(cuda: Driver, module: Any) -> None:
    cuda.launch(module, "many_barriers", 2, 256, 20, 100)
    cuda.synchronize()


def test_a_race_in_shared_memory(cuda: Driver, module: Any) -> None:
    source, target = cuda.upload(np.ones(4)), cuda.allocate(8)
    cuda.launch(module, "racing_sum", 1, 4, source, target)
    error = failure(cuda)
    assert error.code == emulated_cuda.LAUNCH_FAILED
    # Thread 0 goes on to the end before thread 1 begins.
    assert "kernel racing_sum, block 0, thread 1: stores 8 bytes" in error.words
    assert "a race: thread 0 of the block read it, with no barrier between" in error.words


@pytest.mark.parametrize("size", [1, 2, 4, 8])
@pytest.mark.parametrize(
    ("what", "raced"),
    [
        (LOAD, None),
        (STORE, "read"),
        (THEN_STORE, "wrote"),
        (STORE | THEN_STORE, "wrote"),
        (LOAD | BARRIER, None),
        (STORE | BARRIER, None),
        (BARRIER | THEN_STORE, None),
        (STORE | BARRIER | THEN_STORE, None),
    ],
)
def test_races_between_threads_of_a_block(
    cuda: Driver, module: Any, size: int, what: int, raced: str | None
) -> None:
    """Each thread accesses bytes of its own, then those of its neighbour."""
    address = cuda.allocate(64 * 8)
    cuda.launch(module, "access_twice", 1, 64, address, size, size, what)
    if raced is None:
        cuda.synchronize()
    else:
        assert f"of the block {raced} it" in failure(cuda).words


@pytest.mark.parametrize("size", [1, 4, 8])
@pytest.mark.parametrize("what", [STORE | BARRIER | THEN_STORE, BARRIER | THEN_STORE, LOAD])
def test_races_between_blocks(cuda: Driver, module: Any, size: int, what: int) -> None:
    """No barrier orders them; each of two blocks accesses the same bytes."""
    address = cuda.allocate(8)
    cuda.launch(module, "access_twice", 2, 1, address, size, 0, what)
    if what == LOAD:
        cuda.synchronize()
    else:
        assert "a thread of another block" in failure(cuda).words


def test_launches_do_not_race(cuda: Driver, module: Any) -> None:
    address = cuda.allocate(64 * 8)
    for what in (STORE | BARRIER | THEN_STORE, LOAD, STORE | BARRIER):
        cuda.launch(module, "access_twice", 1, 64, address, 8, 8, what)
    cuda.synchronize()


def test_bytes_of_a_word_are_told_apart(cuda: Driver, module: Any) -> None:
    """Also where the whole word was accessed before."""
    address = cuda.allocate(64)
    cuda.launch(module, "access_twice", 1, 8, address, 8, 8, STORE | BARRIER)
    cuda.launch(module, "access_twice", 1, 64, address, 1, 1, STORE | BARRIER)
    cuda.launch(module, "access_twice", 1, 8, address, 8, 8, STORE | BARRIER)
    cuda.synchronize()
    cuda.launch(module, "access_twice", 1, 8, address, 2, 1, STORE)
    assert "which is not aligned" in failure(cuda).words


@pytest.mark.parametrize("store", [0, 1])
@pytest.mark.parametrize(
    ("offset", "size", "words"),
    [
        (100, 1, "1 bytes beyond the end of an allocation of 100"),
        (96, 8, "4 bytes beyond the end of an allocation of 100"),
        (-8, 8, "8 bytes before the beginning of an allocation of 100"),
        (1 << 40, 8, "which is no memory of a device"),
        (4, 8, "which is not aligned"),
        (8, 16, "which is not aligned"),
    ],
)
def test_bounds(cuda: Driver, module: Any, offset: int, size: int, words: str, store: int) -> None:
    address = cuda.allocate(100)
    cuda.launch(module, "access", 2, 32, address + offset, size, store, 40)
    error = failure(cuda)
    assert words in error.words
    assert "kernel access, block 1, thread 8: " in error.words
    assert ("stores" if store else "loads") in error.words


def test_memory_of_the_host_is_not_the_device_s(cuda: Driver, module: Any) -> None:
    x = np.ones(4)
    cuda.launch(module, "access", 1, 1, x.ctypes.data, 8, 0, 0)
    assert "no memory of a device" in failure(cuda).words


def test_freed_memory(cuda: Driver, module: Any) -> None:
    address = cuda.allocate(64)
    cuda.free(address)
    cuda.launch(module, "access", 1, 1, address, 8, 0, 0)
    assert "which is freed" in failure(cuda).words
    with pytest.raises(DriverError):
        cuda.free(address)


def test_unannounced_stores_beside_an_allocation(cuda: Driver, module: Any) -> None:
    address = cuda.allocate(64)
    cuda.launch(module, "silent_store", 1, 1, address + 64)
    cuda.synchronize()
    with pytest.raises(DriverError, match="beside an allocation"):
        cuda.free(address)


@pytest.mark.parametrize(
    ("kernel", "parameters", "words"),
    [
        ("some_wait", (5,), "thread 0: waits in a barrier, but thread 5 ended"),
        ("some_shuffle", (5, 0), "thread 0: waits in a shuffle, but thread 5 of its warp ended"),
        ("some_shuffle", (37, 1), "thread 32: waits in a shuffle, but thread 37 of its warp waits"),
        ("some_multiply", (5, 0), "thread 0: waits in a shuffle, but thread 5 of its warp ended"),
        ("some_multiply", (37, 1), "thread 32: not all threads of its warp bring a part of a matr"),
    ],
)
def test_what_not_all_threads_reach(
    cuda: Driver, module: Any, kernel: str, parameters: tuple[int, ...], words: str
) -> None:
    cuda.launch(module, kernel, 1, 64, *parameters)
    assert words in failure(cuda).words


def test_a_shuffle_of_whole_warps(cuda: Driver, module: Any) -> None:
    cuda.launch(module, "some_shuffle", 1, 96, 32, 0)
    cuda.synchronize()


def test_shared_memory_is_garbage_in_each_block(cuda: Driver, module: Any) -> None:
    target = cuda.allocate(24)
    cuda.launch(module, "first_of_shared", 3, 1, target)
    garbage = int.from_bytes(b"\xa5" * 8, "little", signed=True)
    assert cuda.download(target, np.empty(3, np.int64)).tolist() == [garbage] * 3


def test_sizes_of_shared_memory(cuda: Driver, module: Any, emulator: Emulator) -> None:
    cuda.launch(module, "shared_bytes", 1, 2, 48 << 10)
    cuda.synchronize()
    cuda.launch(module, "shared_bytes", 1, 2, (48 << 10) + 1)
    assert "at most 49152" in failure(cuda).words
    emulator.recover()
    cuda.launch(module, "unequal_shared", 1, 2)
    assert "asks for 9 bytes of shared memory, but another thread for 8" in failure(cuda).words


def test_missing_parameters_are_garbage(cuda: Driver, module: Any) -> None:
    cuda.launch(module, "silent_store", 1, 1, cuda.allocate(8))
    cuda.launch(module, "access", 1, 1, 0, 8, 0)
    cuda.synchronize()
    cuda.launch(module, "add_one", 1, 1, cuda.allocate(8))
    cuda.synchronize()  # there are less than no elements


# -- Modules --------------------------------------------------------------------------------


def test_modules(cuda: Driver, module: Any, image: bytes) -> None:
    with pytest.raises(DriverError) as caught:
        cuda.launch(module, "no_such_kernel", 1, 1)
    assert caught.value.code == 500
    with pytest.raises(DriverError) as caught:
        cuda.module(b".version 8.0\n.target sm_90\n" + bytes(64))
    assert caught.value.code == 200
    log = ctypes.create_string_buffer(100)
    values = (ctypes.c_void_p * 2)(ctypes.addressof(log), 100)
    options = (ctypes.c_int * 2)(5, 6)
    module = ctypes.c_void_p()
    damaged = image[:1000].ljust(len(image), b"\0")
    code = cuda.library.cuModuleLoadDataEx(ctypes.byref(module), damaged, 2, options, values)
    assert code == 200
    assert b"invalid object code" in log.value


# -- Streams --------------------------------------------------------------------------------


def test_nothing_is_done_before_it_is_waited_for(
    cuda: Driver, module: Any, emulator: Emulator
) -> None:
    x = np.arange(4.0)
    stream = cuda.stream()
    source, target = cuda.upload(x), cuda.allocate(x.nbytes)
    cuda.synchronize()
    emulator.record()
    cuda.launch(module, "add_one", 1, 4, source, target, 4, stream=stream)
    assert emulator.done() == []
    cuda.synchronize()  # another stream
    assert emulator.done() == []
    cuda.synchronize(stream)
    assert emulator.done() == ["run add_one"]


def test_garbage_where_a_wait_is_missing(cuda: Driver, module: Any) -> None:
    x = np.arange(4.0)
    first, second = cuda.stream(), cuda.stream()
    source, between, target = cuda.upload(x), cuda.allocate(32), cuda.allocate(32)
    cuda.synchronize()
    garbage = np.frombuffer(b"\xa5" * 8).item()
    cuda.launch(module, "add_one", 1, 4, source, between, 4, stream=first)
    cuda.launch(module, "add_one", 1, 4, between, target, 4, stream=second)
    np.testing.assert_array_equal(cuda.download(target, x, second), [garbage + 1] * 4)
    event = cuda.handle("cuEventCreate", 2)
    cuda.call("cuEventRecord", event, first)
    cuda.call("cuStreamWaitEvent", second, event, 0)
    cuda.launch(module, "add_one", 1, 4, between, target, 4, stream=second)
    np.testing.assert_array_equal(cuda.download(target, x, second), x + 2)


@pytest.mark.parametrize("blocking", [False, True])
def test_the_legacy_stream_waits_for_blocking_streams(
    cuda: Driver, module: Any, blocking: bool
) -> None:
    x = np.arange(4.0)
    stream = cuda.stream(blocking)
    source, target = cuda.upload(x), cuda.allocate(32)
    cuda.launch(module, "add_one", 1, 4, source, target, 4, stream=stream)
    assert np.array_equal(cuda.download(target, x), x + 1) == blocking


def test_copies_of_pageable_and_of_pinned_memory(cuda: Driver) -> None:
    stream = cuda.stream()
    x = np.arange(4.0)
    address = cuda.upload(x, stream)
    x[:] = -1  # was staged
    assert cuda.download(address, x, stream).tolist() == [0, 1, 2, 3]
    pinned = cuda.handle("cuMemAllocHost_v2", ctypes.c_size_t(32)).value
    assert pinned is not None
    values = np.ctypeslib.as_array(ctypes.cast(pinned, ctypes.POINTER(ctypes.c_double)), (4,))
    cuda.copy(pinned, address, 32, stream)
    assert values[1] != 1
    cuda.synchronize(stream)
    assert values.tolist() == [0, 1, 2, 3]
    cuda.call("cuMemFreeHost", ctypes.c_void_p(pinned))


def pool_of(cuda: Driver, device: int = 0) -> ctypes.c_void_p:
    properties = (ctypes.c_int * 22)(1, 0, 1, device)
    return cuda.handle("cuMemPoolCreate", properties)


def test_memory_in_the_order_of_a_stream(cuda: Driver, module: Any, emulator: Emulator) -> None:
    pool, stream = pool_of(cuda), cuda.stream()
    before = emulator.bytes_in_use()

    def allocate(on: Any) -> int:
        made = cuda.handle("cuMemAllocFromPoolAsync", ctypes.c_size_t(64), pool, on).value
        assert made is not None
        return made

    def free(address: int, on: Any) -> None:
        cuda.call("cuMemFreeAsync", ctypes.c_uint64(address), on)

    address = allocate(stream)
    assert emulator.bytes_in_use() == before + 64
    cuda.launch(module, "access", 1, 1, address, 8, 1, 0, stream=stream)
    free(address, stream)
    assert emulator.bytes_in_use() == before
    again = allocate(stream)
    assert again == address  # it is in order on the stream
    free(again, stream)
    other = cuda.stream()
    assert allocate(other) != address  # nobody knows when the first stream is done
    cuda.synchronize(stream)
    cuda.launch(module, "access", 1, 1, address, 8, 1, 0, stream=stream)
    assert "which is freed" in failure(cuda, stream).words


def test_what_several_pieces_freed_is_not_for_other_streams(cuda: Driver) -> None:
    """One of them is for the same stream; the others are not done with, either."""
    pool, stream, other = pool_of(cuda), cuda.stream(), cuda.stream()

    def allocate(on: Any) -> int:
        made = cuda.handle("cuMemAllocFromPoolAsync", ctypes.c_size_t(64), pool, on).value
        assert made is not None
        return made

    pieces = [allocate(stream) for _ in range(3)]
    for piece in pieces:
        cuda.call("cuMemFreeAsync", ctypes.c_uint64(piece), stream)
    assert allocate(stream) in pieces
    assert allocate(other) not in pieces


def test_memory_runs_out(cuda: Driver, emulator: Emulator) -> None:
    emulator.set_memory(emulator.bytes_in_use() + 1000)
    cuda.free(cuda.allocate(1000))
    with pytest.raises(DriverError) as caught:
        cuda.allocate(1001)
    assert caught.value.code == emulated_cuda.OUT_OF_MEMORY
    emulator.set_memory(1 << 32)


# -- Graphs ---------------------------------------------------------------------------------


def test_graphs(cuda: Driver, module: Any, emulator: Emulator) -> None:
    x = np.arange(4.0)
    stream, other = cuda.stream(), cuda.stream()
    source, between, target = cuda.upload(x), cuda.allocate(32), cuda.allocate(32)
    cuda.synchronize()
    cuda.call("cuStreamBeginCapture_v2", stream, 1)
    cuda.launch(module, "add_one", 1, 4, source, between, 4, stream=stream)
    cuda.copy(target, between, 32, stream)
    with pytest.raises(DriverError):
        cuda.allocate(8)
    graph = cuda.end_capture(stream)
    emulator.record()
    executable = cuda.handle("cuGraphInstantiateWithFlags", graph, ctypes.c_uint64(0))
    cuda.synchronize(stream)
    assert emulator.done() == []
    cuda.call("cuGraphLaunch", executable, other)
    np.testing.assert_array_equal(cuda.download(target, x, other), x + 1)
    assert emulator.done() == ["run add_one", "copy 32", "copy 32"]

    def captured(count: int) -> ctypes.c_void_p:
        cuda.call("cuStreamBeginCapture_v2", stream, 1)
        for _ in range(count):
            cuda.launch(module, "add_one", 1, 4, between, target, 4, stream=stream)
        cuda.copy(target, target, 0, stream)
        return cuda.end_capture(stream)

    info = (ctypes.c_int64 * 3)()
    cuda.call("cuGraphExecUpdate_v2", executable, captured(1), info)
    cuda.call("cuGraphLaunch", executable, other)
    np.testing.assert_array_equal(cuda.download(target, x, other), x + 2)
    with pytest.raises(DriverError) as caught:
        cuda.call("cuGraphExecUpdate_v2", executable, captured(2), info)
    assert caught.value.code == 910


def test_waiting_spoils_a_capture(cuda: Driver) -> None:
    stream = cuda.stream()
    cuda.call("cuStreamBeginCapture_v2", stream, 2)
    with pytest.raises(DriverError):
        cuda.synchronize(stream)
    with pytest.raises(DriverError) as caught:
        cuda.end_capture(stream)
    assert caught.value.code == 901


# -- Errors ---------------------------------------------------------------------------------


def test_errors_of_kernels_stay(cuda: Driver, module: Any, emulator: Emulator) -> None:
    cuda.launch(module, "access", 1, 1, 0, 8, 0, 0)
    assert failure(cuda).code == emulated_cuda.ILLEGAL_ADDRESS
    with pytest.raises(DriverError) as caught:
        cuda.allocate(8)
    assert caught.value.code == emulated_cuda.ILLEGAL_ADDRESS
    emulator.recover()
    cuda.allocate(8)


def test_failures_on_demand(cuda: Driver, emulator: Emulator) -> None:
    emulator.fail("cuMemAlloc_v2", emulated_cuda.OUT_OF_MEMORY, 1)
    cuda.allocate(8)
    with pytest.raises(DriverError) as caught:
        cuda.allocate(8)
    assert caught.value.code == emulated_cuda.OUT_OF_MEMORY
    cuda.allocate(8)


def test_devices_are_apart(cuda: Driver, module: Any, image: bytes, emulator: Emulator) -> None:
    address, stream = cuda.allocate(64), cuda.stream()
    with Driver(emulator, 1) as second:
        with pytest.raises(DriverError) as caught:
            second.synchronize(stream)
        assert caught.value.code == emulated_cuda.INVALID_HANDLE
        with pytest.raises(DriverError):
            second.launch(module, "access", 1, 1, address, 8, 0, 0)
        own = second.module(image)
        second.launch(own, "access", 1, 1, address, 8, 0, 0)
        assert "which is memory of device 0" in failure(second).words
    cuda.synchronize()
