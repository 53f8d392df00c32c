# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Programs on several streams, devices and threads."""

from __future__ import annotations

import threading
from typing import Any

import device_programs as programs
import numpy as np
import pytest
from command_lists import (
    CONSTANTS,
    END,
    ZERO,
    CommandList,
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
