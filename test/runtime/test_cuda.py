# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Programs on a GPU: what the runtime asks of the driver, with an emulator in its place."""

from __future__ import annotations

import ctypes
import gc
import threading
from collections.abc import Iterator
from typing import Any

import device_programs as programs
import ml_dtypes
import numpy as np
import pytest
from command_lists import (
    CONSTANTS,
    COPY,
    END,
    EQUAL,
    GEMM_BF16,
    GEMM_F16,
    GEMM_F32,
    GEMM_F64,
    LESS,
    MAXIMUM,
    MINIMUM,
    MULTIPLY_ADD,
    READ,
    SET,
    ZERO,
    CommandList,
    Operand,
    bits,
    constant,
)
from device_programs import CudaError, Runtime, device_program
from emulated_cuda import Driver, Emulator

N = 8
BYTES = 8 * N
X = np.arange(float(N))


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    emulator = Emulator()
    yield emulator
    # Where memory runs out, what streams are left with is freed: nothing of it is seen by others.
    emulator.set_memory(0)
    with pytest.raises(CudaError):
        Runtime().allocate(1)
    emulator.set_memory(1 << 32)


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> programs.Image:
    return 0, programs.HOST, programs.kernel_object(tmp_path_factory.mktemp("kernels"))


@pytest.fixture
def cuda(emulator: Emulator) -> Iterator[Runtime]:
    runtime = Runtime()
    runtime.set_driver(emulator.path)
    runtime.set_blas(emulator.path)
    runtime.count()
    emulator.recover()
    emulator.set_memory(1 << 32)
    emulator.record()
    yield runtime
    emulator.recover()
    with Driver(emulator) as driver:
        driver.library.cuCtxSynchronize()
    emulator.recover()


@pytest.fixture
def driver(cuda: Runtime, emulator: Emulator) -> Driver:
    """The driver, for who has streams of his own."""
    return Driver(emulator)


def stream_of(driver: Driver) -> ctypes.c_void_p:
    with driver:
        return driver.stream()


def chain(length: int = 2) -> CommandList:
    """y = x + length, step by step, through the arena."""
    program = CommandList([BYTES, BYTES])
    arena = program.buffer(2)
    for step in range(length):
        source = program.buffer(0) if step == 0 else arena
        target = program.buffer(1) if step == length - 1 else arena
        program.launch(("add_one", 2, 4), source, target, constant(N))
    program.add(END, 0)
    return program


def chain_bytes(image: programs.Image, length: int = 2) -> bytes:
    return device_program(chain(length), [image], arena=BYTES)


def calls(emulator: Emulator) -> list[str]:
    """The functions that were called, without those that every call needs."""
    common = ("cuCtxGetCurrent", "cuCtxPushCurrent_v2", "cuCtxPopCurrent_v2", "cuStreamGetId")
    names = [line.split()[0] for line in emulator.log() if line[0] != " "]
    return [name for name in names if name not in common and name != "cuStreamIsCapturing"]


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


# -- Matrix products ------------------------------------------------------------------------


BFLOAT16 = ml_dtypes.bfloat16
GEMM = {
    np.float64: GEMM_F64,
    np.float32: GEMM_F32,
    np.float16: GEMM_F16,
    BFLOAT16: GEMM_BF16,
}


def multiplication(
    dtype: type,
    shape: tuple[int, int, int],
    transposed: tuple[int, int],
    beta: float,
    count: int = 1,
) -> CommandList:
    """c = op(a) op(b) + beta c, for so many a and c, and one b"""
    size = np.dtype(dtype).itemsize
    m, n, k = shape
    total = np.float32 if size == 2 else dtype
    sizes = [size * count * m * k, size * k * n, np.dtype(total).itemsize * count * m * n]
    program = CommandList(sizes)
    program.kernels.append(("product", 1, 32))
    half = np.zeros(8 // np.dtype(total).itemsize, total)
    half[0] = beta
    operands: list[Operand] = [constant(v) for v in (*transposed, m, n, k)]
    operands += [program.buffer(0), constant(m if transposed[0] else k)]
    operands += [program.buffer(1), constant(k if transposed[1] else n)]
    operands += [program.buffer(2), constant(n), constant(int(half.view(np.int64)[0]))]
    operands += [constant(v) for v in (count, m * k, 0, m * n)]
    program.add(GEMM[dtype], 0, *operands)
    program.launch(("nothing", 1, 1))
    program.add(END, 0)
    return program


def check_product(
    cuda: Runtime,
    image: programs.Image,
    dtype: type,
    shape: tuple[int, int, int],
    transposed: tuple[int, int],
    beta: float,
    count: int = 1,
) -> None:
    rng = np.random.default_rng(0)
    m, n, k = shape
    a = rng.normal(size=(count, *((k, m) if transposed[0] else (m, k)))).astype(dtype)
    b = rng.normal(size=(n, k) if transposed[1] else (k, n)).astype(dtype)
    # Narrow floats are added up as float32.
    total = np.float64 if dtype == np.float64 else np.float32
    c = rng.normal(size=(count, m, n)).astype(total)
    if beta == 0:
        c[:] = np.nan
    left, right = a.astype(total), b.astype(total)
    expected = (left.swapaxes(1, 2) if transposed[0] else left) @ (
        right.T if transposed[1] else right
    )
    program = multiplication(dtype, shape, transposed, beta, count)
    module = cuda.load(device_program(program, [image]))
    at = [cuda.upload(array) for array in (a, b, c)]
    tolerance = 1e-5 if total == np.float32 else 1e-13
    for _ in range(3):
        expected = expected + total(beta) * c if beta else expected
        cuda.run(module, *at)
        c = cuda.download(at[2], c)
        np.testing.assert_allclose(c, expected, rtol=tolerance, atol=tolerance)
        expected = expected - total(beta) * c if beta else expected
        if beta:
            break
    cuda.unload(module)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("transposed", [(0, 0), (0, 1), (1, 0), (1, 1)])
@pytest.mark.parametrize("beta", [0.0, 0.5])
@pytest.mark.parametrize("shape", [(3, 4, 5), (1, 4, 5), (5, 1, 2), (1, 1, 7)])
def test_products_by_the_library(
    cuda: Runtime,
    emulator: Emulator,
    image: programs.Image,
    dtype: type,
    shape: tuple[int, int, int],
    transposed: tuple[int, int],
    beta: float,
) -> None:
    check_product(cuda, image, dtype, shape, transposed, beta)
    assert not any("run product" in line for line in emulator.done())
    assert any(
        f"run cublas{'S' if dtype == np.float32 else 'D'}gemm" in line for line in emulator.done()
    )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("transposed", [(0, 0), (0, 1), (1, 0), (1, 1)])
@pytest.mark.parametrize("beta", [0.0, 0.5])
def test_several_products_by_the_library(
    cuda: Runtime,
    emulator: Emulator,
    image: programs.Image,
    dtype: type,
    transposed: tuple[int, int],
    beta: float,
) -> None:
    check_product(cuda, image, dtype, (3, 4, 5), transposed, beta, count=4)
    name = f"cublas{'S' if dtype == np.float32 else 'D'}gemmStridedBatched_64"
    assert any(f"run {name}" in line for line in emulator.done())
    assert not any("run product" in line for line in emulator.done())


@pytest.mark.parametrize("dtype", [np.float16, BFLOAT16])
@pytest.mark.parametrize("transposed", [(0, 0), (0, 1), (1, 0), (1, 1)])
@pytest.mark.parametrize("count", [1, 4])
def test_products_of_narrow_floats_by_the_library(
    cuda: Runtime,
    emulator: Emulator,
    image: programs.Image,
    dtype: type,
    transposed: tuple[int, int],
    count: int,
) -> None:
    check_product(cuda, image, dtype, (3, 4, 5), transposed, 0.5 if count > 1 else 0.0, count)
    name = "cublasGemmStridedBatchedEx_64" if count > 1 else "cublasGemmEx_64"
    assert any(f"run {name}" in line for line in emulator.done())
    assert not any("run product" in line for line in emulator.done())


def test_several_products_that_the_library_does_not_do(
    cuda: Runtime, emulator: Emulator, image: programs.Image
) -> None:
    check_product(cuda, image, np.float64, (3, 4, 0), (0, 0), 0.0, count=3)
    assert any("run product" in line for line in emulator.done())


def test_products_that_the_library_does_not_do(
    cuda: Runtime, emulator: Emulator, image: programs.Image
) -> None:
    """Where nothing is to be summed up, C is still to be scaled; that is a kernel's."""
    check_product(cuda, image, np.float64, (3, 4, 0), (0, 0), 0.0)
    assert any("run product" in line for line in emulator.done())


def test_empty_products(cuda: Runtime, emulator: Emulator, image: programs.Image) -> None:
    check_product(cuda, image, np.float64, (0, 4, 3), (0, 0), 0.0)
    assert not any("product" in line or "gemm" in line for line in emulator.done())


def test_failing_products(cuda: Runtime, emulator: Emulator, image: programs.Image) -> None:
    module = cuda.load(device_program(multiplication(np.float64, (2, 3, 4), (0, 0), 0.0), [image]))
    at = [cuda.allocate(256) for _ in range(3)]
    emulator.fail("cublasDgemm_v2_64", 999)
    with pytest.raises(CudaError, match="2 x 4 and 4 x 3 on cuda:0 failed: status 13") as caught:
        cuda.run(module, *at)
    assert caught.value.status == programs.DEVICE_ERROR
    cuda.run(module, *at)
    cuda.unload(module)


# -- Graphs ---------------------------------------------------------------------------------


@pytest.mark.parametrize("own_stream", [False, True])
def test_the_steady_state_is_one_launch(
    cuda: Runtime, driver: Driver, emulator: Emulator, image: programs.Image, own_stream: bool
) -> None:
    stream = stream_of(driver) if own_stream else None
    module = cuda.load(chain_bytes(image, 5))
    x, y = cuda.upload(X, stream), cuda.allocate(BYTES, stream)
    for step in range(5):
        emulator.record()
        cuda.run(module, x, y, stream=stream)
        if step == 0:
            assert calls(emulator)[-5:] == ["cuLaunchKernel"] * 5
        elif step == 1:
            names = calls(emulator)
            assert names[-1] == "cuGraphLaunch"
            assert names.count("cuLaunchKernel") == 5
            assert names.count("cuGraphInstantiateWithFlags") == 1
        else:
            assert calls(emulator) == ["cuGraphLaunch"]
        np.testing.assert_array_equal(cuda.download(y, X, stream), X + 5)
        cuda.copy(x, X.ctypes.data, BYTES, stream)
    cuda.unload(module)


def test_each_call_has_its_buffers(cuda: Runtime, image: programs.Image) -> None:
    """More than there are graphs: those that are not needed any more become others."""
    module = cuda.load(chain_bytes(image, 3))
    inputs = [cuda.upload(X + k) for k in range(20)]
    outputs = [cuda.allocate(BYTES) for _ in range(20)]
    for turn in range(4):
        for k in range(20):
            for _ in range(1 + turn):
                cuda.run(module, inputs[k], outputs[k])
            np.testing.assert_array_equal(cuda.download(outputs[k], X), X + k + 3)
    cuda.unload(module)


def test_graphs_are_updated(cuda: Runtime, emulator: Emulator, image: programs.Image) -> None:
    module = cuda.load(chain_bytes(image, 3))
    x = cuda.upload(X)
    emulator.record()
    for _ in range(20):
        y = cuda.allocate(BYTES)
        for _ in range(2):
            cuda.run(module, x, y)
        np.testing.assert_array_equal(cuda.download(y, X), X + 3)
    assert len(emulator.calls("cuGraphInstantiateWithFlags")) == 16
    assert len(emulator.calls("cuGraphExecUpdate_v2")) == 4
    emulator.fail("cuGraphExecUpdate_v2", 910)
    y = cuda.allocate(BYTES)
    for _ in range(3):
        cuda.run(module, x, y)
    np.testing.assert_array_equal(cuda.download(y, X), X + 3)
    assert len(emulator.calls("cuGraphInstantiateWithFlags")) == 17
    assert len(emulator.calls("cuGraphExecDestroy")) == 1
    cuda.unload(module)
    assert len(emulator.calls("cuGraphExecDestroy")) == 17
    assert len(emulator.calls("cuGraphDestroy")) == 21


@pytest.mark.parametrize(
    "function", ["cuStreamBeginCapture_v2", "cuStreamEndCapture", "cuGraphInstantiateWithFlags"]
)
def test_what_cannot_be_captured_is_run(
    cuda: Runtime, emulator: Emulator, image: programs.Image, function: str
) -> None:
    module = cuda.load(chain_bytes(image, 3))
    x, y = cuda.upload(X), cuda.allocate(BYTES)
    emulator.fail(function, 900)
    for _ in range(4):
        cuda.run(module, x, y)
        np.testing.assert_array_equal(cuda.download(y, X), X + 3)
    assert not emulator.calls("cuGraphLaunch")
    with Driver(emulator) as driver:
        # Nobody captures any more.
        driver.allocate(8)
    cuda.unload(module)


def test_single_kernels_are_no_graphs(
    cuda: Runtime, emulator: Emulator, image: programs.Image
) -> None:
    module = cuda.load(chain_bytes(image, 1))
    x, y = cuda.upload(X), cuda.allocate(BYTES)
    for _ in range(3):
        emulator.record()
        cuda.run(module, x, y)
        assert calls(emulator)[-1] == "cuLaunchKernel"
    assert calls(emulator) == ["cuLaunchKernel"]
    cuda.unload(module)


def test_products_in_graphs(cuda: Runtime, emulator: Emulator, image: programs.Image) -> None:
    check_product(cuda, image, np.float64, (3, 4, 5), (0, 1), 0.0)
    assert len(emulator.calls("cuGraphLaunch")) == 2
    assert len(emulator.calls("cublasDgemm_v2_64")) == 2  # eager, and captured


def test_part_of_the_caller_s_graph(
    cuda: Runtime, driver: Driver, emulator: Emulator, image: programs.Image
) -> None:
    """Its arena is kept for the graph: calls on the same stream do not use it."""
    stream = stream_of(driver)
    module = cuda.load(chain_bytes(image, 3))
    x, y, z = cuda.upload(X, stream), cuda.allocate(BYTES, stream), cuda.allocate(BYTES, stream)
    for warm in (True, False):
        if warm:
            cuda.run(module, x, y, stream=stream)
        cuda.synchronize(stream)
        with driver:
            driver.call("cuStreamBeginCapture_v2", stream, 0)
            emulator.record()
            cuda.run(module, x, z, stream=stream)
            assert len(emulator.calls("cuLaunchKernel")) == 3
            graph = driver.end_capture(stream)
            executable = driver.handle("cuGraphInstantiateWithFlags", graph, ctypes.c_uint64(0))
            driver.call("cuGraphLaunch", executable, stream)
        cuda.run(module, x, y, stream=stream)
        np.testing.assert_array_equal(cuda.download(y, X, stream), X + 3)
        np.testing.assert_array_equal(cuda.download(z, X, stream), X + 3)
    cuda.unload(module)


def test_waits_of_what_is_captured(
    cuda: Runtime, driver: Driver, emulator: Emulator, image: programs.Image
) -> None:
    """What a graph needs is done before it is launched; nobody waits for what it will do."""
    stream, other = stream_of(driver), stream_of(driver)
    module = cuda.load(chain_bytes(image, 3))
    x, y = cuda.upload(X, other), cuda.allocate(BYTES, other)
    z = cuda.allocate(BYTES, stream)
    cuda.synchronize(stream)
    cuda.run(module, x, y, stream=other)
    emulator.record()
    with driver:
        driver.call("cuStreamBeginCapture_v2", stream, 0)
        cuda.wait(stream, other)
        assert emulator.done()[-1] == "run add_one"
        cuda.run(module, y, z, stream=stream)
        cuda.wait(other, stream)
        cuda.run(module, x, y, stream=other)
        with pytest.raises(CudaError, match="when stream is capturing"):
            cuda.call("mark", 0, stream, ctypes.byref(ctypes.c_void_p()))
        graph = driver.end_capture(stream)
        executable = driver.handle("cuGraphInstantiateWithFlags", graph, ctypes.c_uint64(0))
        driver.call("cuGraphLaunch", executable, stream)
    np.testing.assert_array_equal(cuda.download(z, X, stream), X + 6)
    cuda.unload(module)


def test_reads_are_no_part_of_a_graph(cuda: Runtime, driver: Driver, image: programs.Image) -> None:
    program = CommandList([8], registers=1)
    program.add(READ, program.word(0), program.buffer(0), constant(8))
    program.add(END, 0)
    stream = stream_of(driver)
    module = cuda.load(device_program(program, [image]))
    x = cuda.upload(X, stream)
    with driver:
        driver.call("cuStreamBeginCapture_v2", stream, 0)
        with pytest.raises(CudaError, match="reads numbers from the GPU"):
            cuda.run(module, x, stream=stream)
        driver.end_capture(stream)
    cuda.run(module, x, stream=stream)
    cuda.unload(module)


# -- Streams, threads, devices --------------------------------------------------------------


def test_streams_have_arenas_of_their_own(
    cuda: Runtime, driver: Driver, emulator: Emulator, image: programs.Image
) -> None:
    """Programs on one stream share one."""
    big = 1 << 20
    modules = [cuda.load(device_program(chain(length), [image], arena=big)) for length in (2, 3)]
    streams = [stream_of(driver) for _ in range(3)]
    x = [cuda.upload(X + k, s) for k, s in enumerate(streams)]
    y = [[cuda.allocate(BYTES, s) for _ in modules] for s in streams]
    before = emulator.bytes_in_use()
    for _ in range(3):
        for k, stream in enumerate(streams):
            for module, target in zip(modules, y[k], strict=True):
                cuda.run(module, x[k], target, stream=stream)
    assert emulator.bytes_in_use() == before + len(streams) * big
    for k, stream in enumerate(streams):
        for length, target in zip((2, 3), y[k], strict=True):
            np.testing.assert_array_equal(cuda.download(target, X, stream), X + k + length)
    for module in modules:
        cuda.unload(module)


def test_a_stream_like_one_that_is_gone(
    cuda: Runtime, driver: Driver, emulator: Emulator, image: programs.Image
) -> None:
    """There are not more arenas than lanes, however many streams come and go."""
    module = cuda.load(chain_bytes(image, 3))
    x = cuda.upload(X)
    cuda.synchronize()
    for k in range(150):
        stream = stream_of(driver)
        y = cuda.allocate(BYTES, stream)
        cuda.run(module, x, y, stream=stream)
        if k % 50 == 0:
            np.testing.assert_array_equal(cuda.download(y, X, stream), X + 3)
        cuda.free(y, stream)
        with driver:
            driver.call("cuStreamDestroy_v2", stream)
        if k == 99:
            before = emulator.bytes_in_use()
    assert emulator.bytes_in_use() == before
    cuda.unload(module)


def test_waits_between_streams(cuda: Runtime, driver: Driver, image: programs.Image) -> None:
    module = cuda.load(chain_bytes(image))
    first, second = stream_of(driver), stream_of(driver)
    x, y = cuda.upload(X, first), cuda.allocate(BYTES, first)
    z = cuda.allocate(BYTES, second)
    cuda.run(module, x, y, stream=first)
    cuda.wait(second, first)
    cuda.run(module, y, z, stream=second)
    np.testing.assert_array_equal(cuda.download(z, X, second), X + 4)
    cuda.unload(module)


def test_several_devices(cuda: Runtime, emulator: Emulator, image: programs.Image) -> None:
    other = Runtime(1)
    modules = [r.load(chain_bytes(image)) for r in (cuda, other)]
    streams = [stream_of(Driver(emulator, k)) for k in range(2)]
    x, y = cuda.upload(X, streams[0]), cuda.allocate(BYTES, streams[0])
    x1, y1 = (other.allocate(BYTES, streams[1]) for _ in range(2))
    assert [cuda.device_of(a) for a in (x, y1, X.ctypes.data, 0)] == [0, 1, -1, -1]
    cuda.run(modules[0], x, y, stream=streams[0])
    other.wait(streams[1], streams[0])
    other.copy(x1, y, BYTES, streams[1])
    other.run(modules[1], x1, y1, stream=streams[1])
    np.testing.assert_array_equal(other.download(y1, X, streams[1]), X + 4)
    with pytest.raises(CudaError, match="cannot use the stream on cuda:0"):
        cuda.run(modules[0], x, y, stream=streams[1])
    for runtime, module in zip((cuda, other), modules, strict=True):
        runtime.unload(module)


@pytest.mark.parametrize("shared", [False, True])
def test_threads(cuda: Runtime, driver: Driver, image: programs.Image, shared: bool) -> None:
    """On streams of their own or on one, where calls do not get in each other's way."""
    module = cuda.load(chain_bytes(image, 4))
    common = stream_of(driver)
    failures: list[Any] = []

    def work(k: int) -> None:
        stream = common if shared else stream_of(driver)
        x, y = cuda.upload(X + k, stream), cuda.allocate(BYTES, stream)
        for _ in range(30):
            cuda.run(module, x, y, stream=stream)
            got = cuda.download(y, X, stream)
            if not np.array_equal(got, X + k + 4):
                failures.append(got)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    cuda.unload(module)


def test_threads_that_load_and_unload(
    cuda: Runtime, emulator: Emulator, image: programs.Image
) -> None:
    before = emulator.bytes_in_use()
    code = [chain_bytes(image, k) for k in (1, 2)]

    def work() -> None:
        for k in range(40):
            cuda.unload(cuda.load(code[k % 2]))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert emulator.bytes_in_use() == before


def test_equal_programs_are_loaded_once(
    cuda: Runtime, emulator: Emulator, image: programs.Image
) -> None:
    program = CommandList([BYTES], constants=BYTES)
    program.launch(("add_one", 1, N), (CONSTANTS, ZERO, 0), program.buffer(0), constant(N))
    program.add(END, 0)
    code = device_program(program, [image], constants=X.tobytes())
    before = emulator.bytes_in_use()
    first, second = cuda.load(code), cuda.load(code)
    assert first.value == second.value
    assert len(emulator.calls("cuModuleLoadDataEx")) == 1
    cuda.unload(first)
    y = cuda.allocate(BYTES)
    cuda.run(second, y)
    np.testing.assert_array_equal(cuda.download(y, X), X + 1)
    cuda.free(y)
    cuda.unload(second)
    assert len(emulator.calls("cuModuleUnload")) == 1
    assert emulator.bytes_in_use() == before


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
