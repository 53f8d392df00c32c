# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Programs on a GPU as CUDA graphs, of the runtime's own and of its callers."""

from __future__ import annotations

import ctypes
from typing import Any

import device_programs as programs
import numpy as np
import pytest
from command_lists import (
    END,
    READ,
    CommandList,
    constant,
)
from device_programs import CudaError, Runtime, device_program
from emulated_cuda import Driver, Emulator
from emulated_runtime import (
    BYTES,
    X,
    calls,
    chain_bytes,
    cuda,
    driver,
    emulator,
    image,
    stream_of,
)

__all__ = ["cuda", "driver", "emulator", "image"]


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


def test_numbers_of_the_host_are_values_of_a_graph(
    cuda: Runtime, driver: Driver, image: programs.Image
) -> None:
    """A copy would read them when the graph is launched, and they may be gone by then."""
    stream = stream_of(driver)
    module = cuda.load(chain_bytes(image, 3))
    x, y = cuda.allocate(BYTES, stream), cuda.allocate(BYTES, stream)
    numbers, many = X + 0.5, np.zeros(1 << 10)
    big = cuda.allocate(many.nbytes, stream)
    cuda.synchronize(stream)
    with driver:
        driver.call("cuStreamBeginCapture_v2", stream, 0)
        cuda.copy(x, numbers.ctypes.data, BYTES, stream)
        message = "cannot copy 8192 bytes of the host to cuda:0 as part of a graph.*before the"
        with pytest.raises(CudaError, match=message):
            cuda.copy(big, many.ctypes.data, many.nbytes, stream)
        with pytest.raises(CudaError, match="cannot copy 3 bytes of the host"):
            cuda.copy(big, many.ctypes.data, 3, stream)
        cuda.run(module, x, y, stream=stream)
        graph = driver.end_capture(stream)
        numbers[:] = np.nan
        executable = driver.handle("cuGraphInstantiateWithFlags", graph, ctypes.c_uint64(0))
        for _ in range(2):
            driver.call("cuGraphLaunch", executable, stream)
            np.testing.assert_array_equal(cuda.download(y, X, stream), X + 3.5)
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


# -- Times of commands ----------------------------------------------------------------------


class Time(ctypes.Structure):
    """gradopt_command_time."""

    _fields_ = (("runs", ctypes.c_uint64), ("ticks", ctypes.c_uint64))


def run_timed(
    cuda: Runtime, module: ctypes.c_void_p, *buffers: int, stream: Any = None
) -> tuple[list[tuple[int, int]], int]:
    """Runs and nanoseconds of the commands that ran, and of all."""
    places = cuda.library.gradopt_cuda_module_num_places
    places.restype = ctypes.c_size_t
    times = (Time * places(module))()
    total = ctypes.c_uint64()
    array = (ctypes.c_void_p * len(buffers))(*buffers)
    count, none = ctypes.c_size_t(len(buffers)), ctypes.c_size_t(0)
    arguments = (module, array, count, None, none, stream, times, ctypes.byref(total))
    cuda.call("call_timed", *arguments)
    return [(time.runs, time.ticks) for time in times if time.runs], total.value


def test_timed_commands_are_no_graph(
    cuda: Runtime, driver: Driver, emulator: Emulator, image: programs.Image
) -> None:
    """More of them than there are events at once."""
    length = 600
    stream = stream_of(driver)
    module = cuda.load(chain_bytes(image, length))
    x, y = cuda.upload(X, stream), cuda.allocate(BYTES, stream)
    for _ in range(3):
        emulator.record()
        times, total = run_timed(cuda, module, x, y, stream=stream)
        assert [runs for runs, _ in times] == [1] * (length + 1)  # The last one is the end.
        assert all(ticks > 0 for _, ticks in times[:-1])
        assert sum(ticks for _, ticks in times) == total
        assert not emulator.calls("cuGraphLaunch")
        created = len(emulator.calls("cuEventCreate"))
        assert created == len(emulator.calls("cuEventDestroy_v2")) == length + 1
        np.testing.assert_array_equal(cuda.download(y, X, stream), X + length)
    with driver:
        driver.call("cuStreamBeginCapture_v2", stream, 0)
        with pytest.raises(CudaError, match="timed, and cannot be captured"):
            run_timed(cuda, module, x, y, stream=stream)
        driver.end_capture(stream)
    with pytest.raises(CudaError, match="expected 2 buffers, but got 1"):
        run_timed(cuda, module, x)
    buffers, two, none = (ctypes.c_void_p * 2)(x, y), ctypes.c_size_t(2), ctypes.c_size_t(0)
    with pytest.raises(CudaError, match="null times"):
        cuda.call("call_timed", module, buffers, two, None, none, None, None, None)
    cuda.unload(module)
