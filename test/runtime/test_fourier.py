# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The runtime's Fourier transforms: with the vectors of each CPU, in their memory, in threads."""

from __future__ import annotations

import ctypes
import re
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from budget import generator

import gradopt as go
import gradopt_runtime
from gradopt import _gradopt

Array = np.ndarray[Any, Any]
FFT, RFFT, IRFFT = range(3)
SIZE, FORWARD = 1 << 2, 1 << 4
VECTORS = {"all": 1, "v3": 2, "v4": 3}
GUARD = 12345.0


def vectors_of_this_cpu() -> list[str]:
    flags = Path("/proc/cpuinfo").read_text().split()
    found = ["all"]
    if {"avx2", "fma"} <= set(flags):
        found.append("v3")
    if {"avx512f", "avx512vl", "avx512dq"} <= set(flags):
        found.append("v4")
    return found


class Buffer(ctypes.Structure):
    """`gradopt_buffer`."""

    _fields_ = (
        ("data", ctypes.c_void_p),
        ("shape", ctypes.c_void_p),
        ("rank", ctypes.c_int32),
        ("dtype", ctypes.c_int32),
    )


def dtypes() -> dict[str, int]:
    """The numbers of the header."""
    header = Path(gradopt_runtime.include_path(), "gradopt_runtime.h").read_text()
    names = {"F32": "f4", "F64": "f8", "C64": "c8", "C128": "c16"}
    return {
        names[name]: int(number)
        for name, number in re.findall(r"GRADOPT_(\w+) = (\d+)", header)
        if name in names
    }


def work_size(function: Any, x: Array) -> int:
    """How many numbers the compiler asks for."""
    text = go.compile(function).lower(x).mlir("linalg")
    found = re.search(r"fourier_into .*, tensor<(\d+)xf\d\d>\)", text)
    assert found
    return int(found[1])


def run(number: int, x: Array, y: Array, axis: int, size: int, vectors: str) -> None:
    """Calls the runtime, and checks that what lies behind the memory to work in is as before."""
    numbers = dtypes()
    work = np.full(size + 64, np.nan, np.dtype(x.dtype.char.lower()))
    work[size:] = GUARD
    shapes = [(ctypes.c_int64 * a.ndim)(*a.shape) for a in (x, y, work)]
    buffers = [
        Buffer(a.ctypes.data, ctypes.addressof(shape), a.ndim, numbers[a.dtype.str[1:]])
        for a, shape in zip((x, y, work), shapes, strict=True)
    ]
    outs = (Buffer * 2)(*buffers[1:])
    number |= VECTORS[vectors] << 5 | axis << 8 | 1 << (16 + axis)
    library = ctypes.CDLL(_gradopt.__file__)  # resolves the runtime's symbols too
    library.gradopt_fourier(
        ctypes.c_int64(number), ctypes.byref(buffers[0]), ctypes.c_int64(1), outs, ctypes.c_int64(2)
    )
    assert (work[size:] == GUARD).all()


@pytest.mark.parametrize("vectors", vectors_of_this_cpu())
@pytest.mark.parametrize("single", [False, True])
def test_vectors_of_each_cpu(vectors: str, single: bool) -> None:
    real, whole = ("f4", "c8") if single else ("f8", "c16")
    tolerance = 12 * np.finfo(real).eps
    for n in (
        *range(2, 36),
        62,
        64,
        67,
        96,
        125,
        128,
        256,
        385,
        512,
        1009,
        1024,
        8192,
        9999,
        16384,
    ):
        for shape, axis in (((n,), 0), ((n, 21), 0), ((3, n), 1), ((19, n), 1)):
            rng = generator(n, axis)
            x = (rng.normal(size=shape) + 1j * rng.normal(size=shape)).astype(whole)
            if x.size > 50_000:
                continue
            half = np.ascontiguousarray(x.take(range(n // 2 + 1), axis))
            uses: list[tuple[int, Any, Array]] = [
                (FFT | FORWARD, lambda x: np.fft.fft(x, axis=axis), x),  # noqa: B023
                (FFT | SIZE, lambda x: np.fft.ifft(x, axis=axis), x),  # noqa: B023
                (RFFT | FORWARD, lambda x: np.fft.rfft(x, axis=axis), np.real(x).copy()),  # noqa: B023
                (IRFFT | SIZE, lambda x: np.fft.irfft(x, n, axis), half),  # noqa: B023
            ]
            for number, function, a in uses:
                want = function(a.astype("c16" if a.dtype.kind == "c" else "f8"))
                got = np.full(want.shape, np.nan, whole if want.dtype.kind == "c" else real)
                run(number, a, got, axis, work_size(function, a), vectors)
                error = np.max(np.abs(got - want))
                assert error <= tolerance * np.max(np.abs(want)), (number, shape, axis)


def test_threads_that_meet_a_new_size() -> None:
    """All of them make its tables, of which those of one are kept."""
    sizes = range(701, 741)
    programs = {n: go.compile(np.fft.fft) for n in sizes}
    arrays = {n: generator(n).normal(size=(2, n)) + 1j for n in sizes}
    for n in sizes:
        programs[n].lower(arrays[n]).compile()
    barrier = threading.Barrier(8)
    wrong: list[int] = []

    def work() -> None:
        for n in sizes:
            barrier.wait()
            got = programs[n](arrays[n])
            if not np.allclose(got, np.fft.fft(arrays[n]), rtol=1e-11, atol=1e-11):
                wrong.append(n)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


@pytest.mark.parametrize("load", [go.load, gradopt_runtime.load])
def test_bundles_transform(tmp_path: Path, load: Any) -> None:
    """A program without a compiler has the functions, too."""
    x = generator(0).normal(size=(4, 30))
    compiled = go.compile_value_and_grad(lambda x: np.sum(np.abs(np.fft.rfft(x, 32)) ** 3))
    go.save(compiled.lower(x), tmp_path / "a.bundle")
    for got, want in zip(load(tmp_path / "a.bundle")(x), compiled(x), strict=True):
        np.testing.assert_array_equal(got, want)
