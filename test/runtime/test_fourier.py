# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""libGradOptFourier through its C interface: sizes of every kind, any rows, memory to work in."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys
import textwrap
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from c_compiler import shared_library
from test_bundles_of_modules import compile_module

import gradopt_runtime
from gradopt import _gradopt

Array = np.ndarray[Any, Any]

HERE = Path(_gradopt.__file__).parent
RUNTIME, LIBRARY = "libGradOptRuntime.so", "libGradOptFourier.so"
# The numbers of runtime/Fourier.h and gradopt_runtime.h.
TRANSFORMS = {"fft": 0, "rfft": 1, "irfft": 2}
NORMS = {"none": 0, "size": 1, "root": 2}
DTYPES = {"float32": 5, "float64": 6, "complex64": 11, "complex128": 12}
CANARY = 0x7F


class Buffer(ctypes.Structure):
    """gradopt_buffer."""

    _fields_ = [
        ("data", ctypes.c_void_p),
        ("shape", ctypes.c_void_p),
        ("rank", ctypes.c_int32),
        ("dtype", ctypes.c_int32),
    ]


def buffer(x: Array, shapes: list[Array]) -> Buffer:
    shapes.append(np.array(x.shape, np.int64))
    return Buffer(x.ctypes.data, shapes[-1].ctypes.data, x.ndim, DTYPES[x.dtype.name])


class Transform:
    """A call, with as much memory as the library asks for, and not a byte more."""

    def __init__(
        self,
        name: str,
        x: Array,
        y: Array,
        axes: list[int],
        forward: bool = True,
        norm: str = "none",
        offset: int = 0,
    ):
        library = ctypes.CDLL(str(HERE / LIBRARY))
        library.gradopt_fourier_work.restype = ctypes.c_int64
        library.gradopt_fourier.restype = None
        self.number = TRANSFORMS[name] | NORMS[norm] << 2 | forward << 4 | axes[-1] << 8
        self.number |= sum(1 << (16 + axis) for axis in axes)
        real = x if name == "rfft" else y
        shape = np.array(real.shape, np.int64)
        is_f32 = real.dtype in (np.float32, np.complex64)
        numbers = library.gradopt_fourier_work(
            ctypes.c_int64(self.number),
            ctypes.c_void_p(shape.ctypes.data),
            ctypes.c_int32(real.ndim),
            ctypes.c_bool(is_f32),
        )
        assert numbers > 0
        dtype = np.dtype(np.float32 if is_f32 else np.float64)
        self.memory = np.full(numbers * dtype.itemsize + 256, CANARY, np.uint8)
        start = -self.memory.ctypes.data % 64 + offset * dtype.itemsize
        self.work = self.memory[start : start + numbers * dtype.itemsize].view(dtype)
        self.x, self.y, self.function = x, y, library.gradopt_fourier

    def __call__(self, work: Array | None = None) -> Array:
        shapes: list[Array] = []
        x, y = buffer(self.x, shapes), buffer(self.y, shapes)
        outs = (Buffer * 2)(y, buffer(self.work if work is None else work, shapes))
        self.function(ctypes.c_int64(self.number), ctypes.byref(x), 1, outs, 2)
        start = self.work.ctypes.data - self.memory.ctypes.data
        assert np.all(self.memory[:start] == CANARY)
        assert np.all(self.memory[start + self.work.nbytes :] == CANARY)
        return self.y


def is_close(got: Array, want: Array, points: int) -> None:
    eps = np.finfo(got.dtype).eps
    error = np.linalg.norm(got - want) / max(np.linalg.norm(want), 1e-300)
    assert error < 2 * eps * max(np.log2(points), 1), error


def check(
    name: str,
    shape: tuple[int, ...],
    axes: list[int],
    dtype: str = "float64",
    forward: bool = True,
    norm: str = "none",
    offset: int = 0,
) -> Transform:
    """Compares with NumPy, in double precision; `shape` is that of the real numbers."""
    random = np.random.default_rng(0)
    numbers = np.result_type(dtype, np.complex64)
    half = list(shape)
    half[axes[-1]] = half[axes[-1]] // 2 + 1
    if name == "rfft":
        x, y = random.normal(size=shape).astype(dtype), np.empty(half, numbers)
    else:
        pairs = random.normal(size=(*(shape if name == "fft" else half), 2)).astype(dtype)
        x, y = pairs.view(numbers)[..., 0], np.empty(shape, numbers if name == "fft" else dtype)
    call = Transform(name, x, y, axes, forward, norm, offset)
    given = x.copy()
    got = call().copy()
    np.testing.assert_array_equal(x, given)
    wide = x.astype(np.result_type(x.dtype, np.float64))
    sizes = [shape[axis] for axis in axes]
    points = int(np.prod(sizes))
    # NumPy's transforms have one direction each: the other one is that of the conjugate.
    if name == "fft":
        want = np.fft.fftn(wide, axes=axes) if forward else np.fft.ifftn(wide, axes=axes) * points
    elif name == "rfft":
        want = np.fft.rfftn(wide, axes=axes)
        want = want if forward else want.conj()
    else:
        want = np.fft.irfftn(wide.conj() if forward else wide, s=sizes, axes=axes) * points
    want = want / {"none": 1, "size": points, "root": np.sqrt(points)}[norm]
    is_close(got, want, points)
    return call


SMALL = [*range(1, 24), 25, 27, 32, 49, 60, 64, 77, 97, 121, 127, 128, 169, 251, 254, 256, 289]
MEDIUM = [300, 304, 509, 1000, 1009, 1024, 2003, 2018, 2047, 2048, 2049, 4096, 4099, 8192, 10000]
LARGE = [10007, 10080, 10082, 16384, 16385, 20011, 32768, 60000, 65537, 98304, 100003, 1 << 17]


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", TRANSFORMS)
def test_rows_of_all_sizes(name: str, dtype: str) -> None:
    """As many as vectors have lanes, more or less; one by one where they are large."""
    for n in SMALL:
        for rows in (1, 2, 3, 4, 5, 8, 9, 17):
            check(name, (rows, n), [1], dtype)
    for n in MEDIUM:
        for rows in (1, 2, 5):
            check(name, (rows, n), [1], dtype)
    for n in LARGE:
        check(name, (1, n), [1], dtype)
    check(name, (3, LARGE[0]), [1], dtype)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", TRANSFORMS)
def test_numbers_that_lie_apart(name: str, dtype: str) -> None:
    for n in [1, 2, 3, 8, 45, 128, 257, 1024, 4099]:
        for inner in (2, 3, 8, 13):
            check(name, (2, n, inner), [1], dtype)
    for n in [16385, 40000, 65536, 100003]:
        check(name, (n, 3), [0], dtype)
        check(name, (n, 9), [0], dtype)


@pytest.mark.parametrize("forward", [True, False])
@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("name", TRANSFORMS)
def test_directions_factors_dimensions(name: str, norm: str, forward: bool) -> None:
    for shape, axes in [
        ((7,), [0]),
        ((3, 30), [1]),
        ((5, 6), [0, 1]),
        ((5, 6), [1, 0]),
        ((4, 3, 8), [2, 0, 1]),
        ((2, 70, 3, 5), [1, 3]),
        ((1, 1), [0, 1]),
        ((20001,), [0]),
        ((20001, 2), [0]),
        ((2, 12000), [0, 1]),
    ]:
        for dtype in ("float64", "float32"):
            check(name, shape, axes, dtype, forward, norm)


def test_memory_to_work_in() -> None:
    """Aligned as its numbers are. Where there is too little, as in an older bundle, there is more."""
    for name in TRANSFORMS:
        for shape, axes in [((1000,), [0]), ((9, 16), [1]), ((6, 9), [0, 1]), ((20000, 3), [0])]:
            for dtype in ("float64", "float32"):
                for offset in (1, 2, 3, 5):
                    check(name, shape, axes, dtype, offset=offset)
                call = check(name, shape, axes, dtype)
                want = call.y.copy()
                np.testing.assert_array_equal(call(call.work[:0]), want)


def test_first_calls_from_many_threads() -> None:
    """Each makes the same tables, or finds those of another one."""
    # Sizes that no other test has.
    sizes = [3001, 3002, 3003, 3004, 11111]
    errors: list[BaseException] = []
    start = threading.Barrier(8)

    def work() -> None:
        try:
            for n in sizes:
                start.wait()
                check("fft", (n,), [0])
                check("irfft", (n,), [0])
        except BaseException as error:
            errors.append(error)
            start.abort()

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors


def count_allocations() -> list[int]:
    """Of calls whose tables are there; for a process with the counting library."""
    library = ctypes.CDLL(None)
    counting = ctypes.c_int.in_dll(library, "counting")
    allocations = ctypes.c_long.in_dll(library, "allocations")
    counts: list[int] = []
    for name in TRANSFORMS:
        # From some 10,000 points on, ducc0 allocates.
        for shape in [(1000,), (9, 16), (10080,), (20011,), (40000, 3), (1 << 17,)]:
            call = check(name, shape, [0], "float32")
            shapes: list[Array] = []
            x, y = buffer(call.x, shapes), buffer(call.y, shapes)
            outs = (Buffer * 2)(y, buffer(call.work, shapes))
            arguments = ctypes.c_int64(call.number), ctypes.byref(x), 1, outs, 2
            before, counting.value = allocations.value, 1
            call.function(*arguments)
            counting.value = 0
            counts.append(allocations.value - before)
    return counts


def test_calls_allocate_nothing(tmp_path: Path) -> None:
    counter = shared_library("count_allocations", tmp_path)
    done = subprocess.run(
        [sys.executable, "-c", "import test_fourier as t; print(t.count_allocations())"],
        env={
            **os.environ,
            "LD_PRELOAD": str(counter),
            "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        },
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str([0] * 18)


# -- Beside the runtime ----------------------------------------------------------------------

MODULE = """
func.func @spectrum(%x: tensor<3x10xf64>) -> tensor<3x6xcomplex<f64>> {
  %y = grad.rfft %x, dimensions = [1], forward = true, norm = "none"
      : tensor<3x10xf64> -> tensor<3x6xcomplex<f64>>
  return %y : tensor<3x6xcomplex<f64>>
}
"""
WITHOUT = """
func.func @sine(%x: tensor<4xf64>) -> tensor<4xf64> {
  %y = grad.sin %x : tensor<4xf64>
  return %y : tensor<4xf64>
}
"""


def test_bundles_need_the_library_for_transforms_alone(tmp_path: Path) -> None:
    compile_module(MODULE, tmp_path / "spectrum.bundle")
    compile_module(WITHOUT, tmp_path / "sine.bundle")
    package = tmp_path / "elsewhere" / "gradopt_runtime"
    source = Path(gradopt_runtime.__file__).parent
    shutil.copytree(source, package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(HERE / RUNTIME, package)
    script = f"""
        import shutil, sys
        sys.path.insert(0, {str(package.parent)!r})
        sys.meta_path = [f for f in sys.meta_path if type(f).__name__ != "ScikitBuildRedirectingFinder"]
        import numpy as np, gradopt_runtime
        assert gradopt_runtime.__file__.startswith({str(package)!r})
        folder = {str(tmp_path)!r}
        gradopt_runtime.load(folder + "/sine.bundle")(np.ones(4))
        x = np.random.default_rng(0).normal(size=(3, 10))
        try:
            gradopt_runtime.load(folder + "/spectrum.bundle")(x)
        except gradopt_runtime.BundleError as error:
            assert "{LIBRARY} has to lie beside {RUNTIME}" in str(error), error
        else:
            raise AssertionError("loaded without the library")
        shutil.copy({str(HERE / LIBRARY)!r}, {str(package)!r})
        got = gradopt_runtime.load(folder + "/spectrum.bundle")(x)
        np.testing.assert_allclose(got, np.fft.rfft(x), rtol=1e-13, atol=1e-13)
        libraries = open("/proc/self/maps").read()
        assert "libMLIR" not in libraries and "libLLVM" not in libraries
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(script)], check=True, timeout=60)
