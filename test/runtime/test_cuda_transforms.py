# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Fourier transforms on a GPU, by an emulator of cuFFT and by the host."""

from __future__ import annotations

import ctypes
import math
from typing import Any

import device_programs as programs
import numpy as np
import pytest
from command_lists import END, HOST_CALL, CommandList, Operand, constant
from device_programs import CudaError, Runtime, device_program
from emulated_cuda import Driver, Emulator
from emulated_runtime import cuda, emulator, image

__all__ = ["cuda", "emulator", "image"]

Array = np.ndarray[Any, Any]

FOURIER, SCRATCH = 3, 0x100
DTYPES = {"f": 5, "d": 6, "F": 11, "D": 12}
FFT, RFFT, IRFFT = range(3)
NONE, SIZE, _ = range(3)
NOT_SUPPORTED, ALLOC_FAILED, EXEC_FAILED = 16, 2, 6
RNG = np.random.default_rng(5)


def encode(transform: int, dimensions: tuple[int, ...], forward: bool, norm: int = NONE) -> int:
    """The number of `runtime/Fourier.h`."""
    number = transform | norm << 2 | forward << 4 | dimensions[-1] << 8
    return number | sum(1 << (16 + d) for d in dimensions)


class Case:
    """A transform, with NumPy's result."""

    def __init__(
        self,
        kind: int,
        shape: tuple[int, ...],
        dimensions: tuple[int, ...],
        dtype: str = "d",
        forward: bool = True,
    ) -> None:
        self.kind, self.forward, self.dimensions = kind, forward, dimensions
        single = dtype == "f"
        real = RNG.normal(size=shape)
        if kind == FFT:
            x = real + 1j * RNG.normal(size=shape)
            function = np.fft.fftn if forward else np.fft.ifftn
            y = function(x, axes=dimensions, norm="backward" if forward else "forward")
        elif kind == RFFT:
            x, y = real, np.fft.rfftn(real, axes=dimensions)
        else:
            x = np.fft.rfftn(real, axes=dimensions)
            y = np.fft.irfftn(x, [shape[d] for d in dimensions], axes=dimensions, norm="forward")
        narrow = {"d": "f", "D": "F"}
        self.x = np.ascontiguousarray(x.astype(narrow[x.dtype.char]) if single else x)
        self.y = np.ascontiguousarray(y.astype(narrow[y.dtype.char]) if single else y)
        self.tolerance = 1e-4 if single else 1e-11

    def program(self, image: programs.Image, norm: int = NONE, times: int = 1) -> bytes:
        """y = transform(x), so many times, and something else behind: what is to be a graph."""
        work = 1 << 14
        program = CommandList([self.x.nbytes, self.y.nbytes])
        number = encode(self.kind, self.dimensions, self.forward, norm)
        buffers = [
            *buffer(program.buffer(0), self.x),
            *buffer(program.buffer(1), self.y),
            program.buffer(2),
            constant(DTYPES["f" if self.x.dtype.char in "fF" else "d"] | SCRATCH),
            constant(1),
            constant(work // 8),
        ]
        for _ in range(times):
            program.add(HOST_CALL, FOURIER, constant(number), constant(1), *buffers)
        program.launch(("nothing", 1, 1))
        program.add(END, 0)
        return device_program(program, [image], arena=work)


def buffer(address: Operand, like: Array) -> list[Operand]:
    extents = [constant(n) for n in like.shape]
    return [address, constant(DTYPES[like.dtype.char]), constant(like.ndim), *extents]


def check(cuda: Runtime, image: programs.Image, case: Case) -> None:
    """Three calls: the first one, one that is captured, and one that is launched."""
    module = cuda.load(case.program(image))
    x = cuda.upload(case.x)
    y = cuda.allocate(case.y.nbytes)
    for _ in range(3):
        cuda.copy(y, np.full_like(case.y, np.nan).ctypes.data, case.y.nbytes)
        cuda.run(module, x, y)
        found = cuda.download(y, case.y)
        np.testing.assert_allclose(found, case.y, rtol=case.tolerance, atol=case.tolerance)
    # An argument is what it was.
    np.testing.assert_array_equal(cuda.download(x, case.x), case.x)
    cuda.unload(module)


# Steps: one for up to three dimensions in a row, inner or not, and more for others.
CASES: dict[str, tuple[Any, int]] = {
    "inner": (((2, 6), (1,)), 1),
    "of one": (((3, 1), (1,)), 1),
    "outer": (((5, 2, 2), (0,)), 1),
    "middle": (((2, 5, 4), (1,)), 2),
    "between complex numbers": (((2, 5, 3), (1,)), 2),
    "two": (((2, 3, 4), (1, 2)), 1),
    "outer two": (((3, 4, 2), (0, 1)), 1),
    "three": (((2, 3, 4), (0, 1, 2)), 1),
    "apart": (((4, 2, 3), (0, 2)), 2),
    "four": (((2, 3, 2, 4), (0, 1, 2, 3)), 2),
    "last is not the innermost": (((3, 4, 6), (2, 1)), 4),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("dtype", ["f", "d"])
@pytest.mark.parametrize("kind", [FFT, RFFT, IRFFT])
def test_transforms(
    cuda: Runtime, emulator: Emulator, image: programs.Image, name: str, dtype: str, kind: int
) -> None:
    (shape, dimensions), steps = CASES[name]
    case = Case(kind, shape, dimensions, dtype, forward=kind != IRFFT)
    check(cuda, image, case)
    runs = [line for line in emulator.done() if line.startswith("run cufftExec")]
    if kind == FFT and name == "last is not the innermost":
        steps = 1  # All are alike.
    if kind != FFT and name == "between complex numbers":
        steps = 0  # The second half of the real numbers is not aligned: it is the host's.
    # Once by the first call, and captured by the second one.
    assert len(emulator.calls("cufftSetWorkArea")) == 2 * steps
    assert len(runs) == 3 * steps
    assert bool(emulator.calls("cuGraphLaunch")) == (steps > 0)
    # What is planned is destroyed.
    assert len(emulator.calls("cufftCreate")) == len(emulator.calls("cufftDestroy"))


def test_backwards(cuda: Runtime, image: programs.Image) -> None:
    check(cuda, image, Case(FFT, (3, 7), (1,), forward=False))


def test_plans_are_made_once(cuda: Runtime, emulator: Emulator, image: programs.Image) -> None:
    """When a program is loaded, for equal transforms; calls allocate nothing but the first one."""
    case = Case(FFT, (3, 8), (1,))
    module = cuda.load(case.program(image, times=3))
    assert emulator.calls("cufftMakePlanMany64") == ["cufftMakePlanMany64 8 3"]
    x, y = cuda.upload(case.x), cuda.allocate(case.y.nbytes)
    cuda.run(module, x, y)
    cuda.synchronize()
    emulator.record()
    for _ in range(3):
        cuda.run(module, x, y)
    cuda.synchronize()
    assert not emulator.calls("cufftMakePlanMany64")
    assert not [line for line in emulator.log() if line.startswith("cuMemAlloc")]
    assert not emulator.calls("cuStreamSynchronize") or not emulator.calls("cuMemAllocHost_v2")
    np.testing.assert_allclose(cuda.download(y, case.y), case.y, rtol=1e-11)
    cuda.unload(module)


def test_streams_work_in_memory_of_their_own(
    cuda: Runtime, emulator: Emulator, image: programs.Image
) -> None:
    case = Case(IRFFT, (4, 8), (1,), forward=False)
    module = cuda.load(case.program(image))
    with Driver(emulator) as driver:
        streams = [driver.stream() for _ in range(3)]
    x = [cuda.upload(case.x * (i + 1), s) for i, s in enumerate(streams)]
    y = [cuda.allocate(case.y.nbytes, s) for s in streams]
    for i in (0, 1, 2, 2, 1, 0, 0, 1, 2):
        cuda.run(module, x[i], y[i], stream=streams[i])
    for i, stream in enumerate(streams):
        found = cuda.download(y[i], case.y, stream)
        np.testing.assert_allclose(found, case.y * (i + 1), rtol=1e-11, atol=1e-11)
    cuda.unload(module)


def test_a_graph_of_somebody_else(cuda: Runtime, emulator: Emulator, image: programs.Image) -> None:
    """A program whose transforms are cuFFT's can be captured."""
    case = Case(RFFT, (2, 6), (1,))
    module = cuda.load(case.program(image))
    x, y = cuda.upload(case.x), cuda.allocate(case.y.nbytes)
    cuda.synchronize()
    with Driver(emulator) as driver:
        stream = driver.stream()
        driver.call("cuStreamBeginCapture_v2", stream, 0)
        cuda.run(module, x, y, stream=stream)
        graph = driver.end_capture(stream)
        executable = driver.handle("cuGraphInstantiateWithFlags", graph, ctypes.c_ulonglong(0))
        driver.call("cuGraphLaunch", executable, stream)
        driver.call("cuStreamSynchronize", stream)
    np.testing.assert_allclose(cuda.download(y, case.y), case.y, rtol=1e-11, atol=1e-12)
    cuda.unload(module)


@pytest.mark.parametrize("status", [NOT_SUPPORTED, 14, 8])
def test_what_the_library_refuses(
    cuda: Runtime, emulator: Emulator, image: programs.Image, status: int
) -> None:
    """It is the host's then."""
    case = Case(FFT, (3, 7), (1,))
    emulator.fail("cufftMakePlanMany64", status)
    module = cuda.load(case.program(image))
    x, y = cuda.upload(case.x), cuda.allocate(case.y.nbytes)
    for _ in range(3):
        cuda.run(module, x, y)
        np.testing.assert_allclose(cuda.download(y, case.y), case.y, rtol=1e-11)
    assert not [line for line in emulator.done() if "cufft" in line]
    cuda.unload(module)
    assert len(emulator.calls("cufftDestroy")) == 1


def test_factors_are_the_host_s(cuda: Runtime, emulator: Emulator, image: programs.Image) -> None:
    """Compiled programs have none: cuFFT has none either."""
    case = Case(FFT, (3, 7), (1,))
    module = cuda.load(case.program(image, norm=SIZE))
    x, y = cuda.upload(case.x), cuda.allocate(case.y.nbytes)
    cuda.run(module, x, y)
    np.testing.assert_allclose(cuda.download(y, case.y), case.y / math.prod((7,)), rtol=1e-11)
    assert not emulator.calls("cufftCreate")
    cuda.unload(module)


def test_failures(cuda: Runtime, emulator: Emulator, image: programs.Image) -> None:
    case = Case(FFT, (3, 7), (1,))
    emulator.fail("cufftMakePlanMany64", ALLOC_FAILED)
    with pytest.raises(
        CudaError, match=r"cannot plan .* cuda:0: cuFFT .* CUFFT_ALLOC_FAILED \(2\)"
    ):
        cuda.load(case.program(image))
    emulator.recover()
    module = cuda.load(case.program(image))
    x, y = cuda.upload(case.x), cuda.allocate(case.y.nbytes)
    for function in "cufftSetStream", "cufftSetWorkArea", "cufftExecZ2Z":
        emulator.fail(function, EXEC_FAILED)
        with pytest.raises(
            CudaError, match=r"the last one of 7, failed .* CUFFT_EXEC_FAILED"
        ) as info:
            cuda.run(module, x, y)
        assert "cuda:0" in str(info.value)
        emulator.recover()
    cuda.run(module, x, y)
    np.testing.assert_allclose(cuda.download(y, case.y), case.y, rtol=1e-11)
    cuda.unload(module)
