# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The runtime's API for GPUs with an emulator in place of the driver: fixtures, and small programs."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator

import device_programs as programs
import numpy as np
import pytest
from command_lists import (
    END,
    CommandList,
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
    runtime.set_fourier(emulator.path)
    runtime.set_solver(emulator.path)
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
