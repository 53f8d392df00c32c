# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Programs that factor matrices, on an emulated device: handles of cuSOLVER, and odd operands."""

from __future__ import annotations

import ctypes
import threading
from typing import Any

import device_programs as programs
import numpy as np
import pytest
from command_lists import END, HOST_CALL, CommandList, Operand, constant
from device_programs import Runtime, device_program
from emulated_cuda import Driver, Emulator
from emulated_runtime import cuda, emulator, image

__all__ = ["cuda", "emulator", "image"]

Array = np.ndarray[Any, Any]

# Of runtime/Commands.h, of the C API, and of runtime/Lapack.h.
LAPACK, I32, F64 = 1, 3, 6
CHOLESKY, TRIANGULAR_SOLVE = 0, 3
IS_LEFT = 2 << 8


def stack(address: Operand, shape: tuple[int, ...], dtype: int = F64) -> list[Operand]:
    return [address, constant(dtype), constant(len(shape)), *map(constant, shape)]


class Cholesky:
    """The lower factors of some matrices of n rows."""

    def __init__(self, count: int, n: int, seed: int = 0) -> None:
        self.shape = count, n, n
        half = np.random.default_rng(seed).normal(size=self.shape)
        self.x = half @ half.swapaxes(1, 2) + np.eye(n)
        self.y = np.linalg.cholesky(self.x)

    def program(self, image: programs.Image) -> bytes:
        program = CommandList([self.x.nbytes, self.y.nbytes, 4 * self.shape[0]])
        arrays = [
            *stack(program.buffer(0), self.shape),
            *stack(program.buffer(1), self.shape),
            *stack(program.buffer(2), self.shape[:1], I32),
        ]
        program.add(HOST_CALL, LAPACK, constant(CHOLESKY), constant(1), *arrays)
        program.launch(("nothing", 1, 1))
        program.add(END, 0)
        return device_program(program, [image])

    def upload(self, cuda: Runtime, stream: Any = None) -> list[int]:
        sizes = self.y.nbytes, 4 * self.shape[0]
        return [cuda.upload(self.x, stream), *(cuda.allocate(size, stream) for size in sizes)]

    def compare(self, cuda: Runtime, at: list[int], stream: Any = None) -> None:
        # What is above the diagonal, programs make zeros of.
        found = np.tril(cuda.download(at[1], self.y, stream))
        np.testing.assert_allclose(found, self.y, rtol=1e-12, atol=1e-12)
        statuses = np.empty(self.shape[0], np.int32)
        assert not cuda.download(at[2], statuses, stream).any()

    def check(self, cuda: Runtime, image: programs.Image) -> None:
        """The first call, one that is captured, and one that is launched."""
        module = cuda.load(self.program(image))
        at = self.upload(cuda)
        for _ in range(3):
            cuda.run(module, *at)
            self.compare(cuda, at)
        cuda.unload(module)


def handles(emulator: Emulator) -> list[str]:
    return [line.split()[1] for line in emulator.calls("cusolverDnSetStream")]


def test_the_library_factors(cuda: Runtime, emulator: Emulator, image: programs.Image) -> None:
    Cholesky(2, 7).check(cuda, image)
    assert len([line for line in emulator.done() if line == "run cusolverDnDpotrf"]) == 6
    assert len(emulator.calls("cuGraphLaunch")) == 2


def test_each_stream_has_a_handle(cuda: Runtime, emulator: Emulator, image: programs.Image) -> None:
    """A handle has memory of its own, which what is queued on two streams would share."""
    case = Cholesky(3, 5)
    module = cuda.load(case.program(image))
    with Driver(emulator) as driver:
        streams = [driver.stream() for _ in range(3)]
    at = [case.upload(cuda, stream) for stream in streams]
    used: list[set[str]] = []
    for i in (0, 1, 2, 2, 1, 0, 0, 1, 2):
        emulator.record()
        cuda.run(module, *at[i], stream=streams[i])
        if len(used) < 3:
            used.append(set(handles(emulator)))
        else:
            assert set(handles(emulator)) <= used[i]
    assert [len(numbers) for numbers in used] == [1, 1, 1]
    assert len(set().union(*used)) == 3
    # In the steady state none is made.
    assert not emulator.calls("cusolverDnCreate")
    for i, stream in enumerate(streams):
        case.compare(cuda, at[i], stream)
    cuda.unload(module)


def test_handles_of_graphs_of_somebody_else(
    cuda: Runtime, emulator: Emulator, image: programs.Image
) -> None:
    """Such a graph may run beside anything, so it has a handle until the program is unloaded."""
    case = Cholesky(1, 6)
    module = cuda.load(case.program(image))
    at = case.upload(cuda)
    cuda.run(module, *at)
    cuda.synchronize()
    emulator.record()
    cuda.run(module, *at)
    mine = set(handles(emulator))
    with Driver(emulator) as driver:
        stream = driver.stream()
        emulator.record()
        driver.call("cuStreamBeginCapture_v2", stream, 0)
        cuda.run(module, *at, stream=stream)
        graph = driver.end_capture(stream)
        assert not set(handles(emulator)) & mine
        executable = driver.handle("cuGraphInstantiateWithFlags", graph, ctypes.c_ulonglong(0))
        driver.call("cuGraphLaunch", executable, stream)
        driver.call("cuStreamSynchronize", stream)
    case.compare(cuda, at)
    cuda.unload(module)
    # The handle is there for others now.
    emulator.record()
    again = Cholesky(1, 9)
    again.check(cuda, image)
    assert not emulator.calls("cusolverDnCreate")


def test_threads(cuda: Runtime, emulator: Emulator, image: programs.Image) -> None:
    cases = [Cholesky(2, 4 + i, seed=i) for i in range(4)]
    modules = [cuda.load(case.program(image)) for case in cases]
    with Driver(emulator) as driver:
        streams = [driver.stream() for _ in range(4)]
    failures: list[BaseException] = []

    def work(number: int) -> None:
        try:
            for turn in range(4):
                i = (number + turn) % len(cases)
                stream = streams[number]
                at = cases[i].upload(cuda, stream)
                for _ in range(3):
                    cuda.run(modules[i], *at, stream=stream)
                cases[i].compare(cuda, at, stream)
                for address in at:
                    cuda.free(address, stream)
        except BaseException as failure:
            failures.append(failure)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    for module in modules:
        cuda.unload(module)


N = 4


@pytest.mark.parametrize(
    ("number", "shapes", "is_planned"),
    [
        (CHOLESKY, ((2, N, N), (2, N, N), (2,)), True),
        (CHOLESKY, ((2, N, N), (3, N, N), (2,)), False),
        (CHOLESKY, ((2, N, N), (2, N, N), (3,)), False),
        (CHOLESKY, ((N, 2 * N), (N, 2 * N), ()), False),
        (TRIANGULAR_SOLVE | IS_LEFT, ((2, N, N), (2, N, 3), (2, N, 3)), True),
        (TRIANGULAR_SOLVE | IS_LEFT, ((N, N), (2, N, 3), (2, N, 3)), False),
        (TRIANGULAR_SOLVE | IS_LEFT, ((1, N, N), (2, N, 3), (2, N, 3)), False),
        (TRIANGULAR_SOLVE | IS_LEFT, ((2, N, N), (2, N, 3), (1, N, 3)), False),
        (TRIANGULAR_SOLVE | IS_LEFT, ((N, N), (3, N), (3, N)), False),
        (TRIANGULAR_SOLVE, ((N, N), (3, N), (3, N)), True),
        (TRIANGULAR_SOLVE, ((N, N), (N, 3), (N, 3)), False),
    ],
)
def test_operands_that_are_of_other_stacks(
    cuda: Runtime,
    emulator: Emulator,
    image: programs.Image,
    number: int,
    shapes: tuple[tuple[int, ...], ...],
    is_planned: bool,
) -> None:
    """Each operand is looked at: what is not as the routine's documentation says is no library's,
    which would go beyond the end of one of them."""
    dtypes = [F64, F64, I32 if number == CHOLESKY else F64]
    sizes = [
        int(np.prod(shape, dtype=int)) * (4 if dtype == I32 else 8)
        for shape, dtype in zip(shapes, dtypes, strict=True)
    ]
    program = CommandList(sizes)
    arrays = [
        operand
        for i, (shape, dtype) in enumerate(zip(shapes, dtypes, strict=True))
        for operand in stack(program.buffer(i), shape, dtype)
    ]
    inputs = 1 if number == CHOLESKY else 2
    program.add(HOST_CALL, LAPACK, constant(number), constant(inputs), *arrays)
    program.launch(("nothing", 1, 1))
    program.add(END, 0)
    module = cuda.load(device_program(program, [image]))
    if is_planned:
        square = np.broadcast_to(np.eye(N), shapes[0])
        at = [cuda.upload(np.ascontiguousarray(square)), *map(cuda.allocate, sizes[1:])]
        if number != CHOLESKY:
            right = np.arange(float(np.prod(shapes[1]))).reshape(shapes[1])
            cuda.copy(at[1], right.ctypes.data, right.nbytes)
        cuda.run(module, *at)
        want = square if number == CHOLESKY else right
        like = np.empty(shapes[1])
        np.testing.assert_array_equal(cuda.download(at[1 if number == CHOLESKY else 2], like), want)
    work = [line for line in emulator.done() if "potrf" in line or "trsm" in line]
    assert bool(work) == is_planned
    # Planning is all that is done for a factorization.
    sized = emulator.calls("cusolverDnDpotrf_bufferSize")
    assert bool(sized) == (is_planned and number == CHOLESKY)
    cuda.unload(module)
