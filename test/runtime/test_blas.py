# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The matrix products that compiled code calls, with and without a BLAS library.

Each configuration runs in a process of its own, since a library stays loaded.
"""

import ctypes
import importlib.util
import itertools
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from c_compiler import shared_library

from gradopt import _gradopt

SIZES = [
    (0, 3, 4), (3, 0, 4), (3, 4, 0), (1, 1, 1), (2, 3, 4), (8, 8, 8),
    (1, 40, 50), (40, 1, 50), (40, 50, 1), (1, 1, 600), (1, 600, 1), (600, 1, 1), (17, 23, 31),
]  # fmt: skip


# The name of the function, the type of its last argument, and errors.
DTYPES = {
    np.float64: ("f64", ctypes.c_double, 1e-12),
    np.float32: ("f32", ctypes.c_float, 2e-4),
    np.complex128: ("c128", ctypes.c_double, 1e-12),
    np.complex64: ("c64", ctypes.c_float, 4e-4),
}


def openblas() -> str | None:
    found = importlib.util.find_spec("scipy_openblas32")
    if found is None or found.origin is None:
        return None
    library = Path(found.origin).parent / "lib" / "libscipy_openblas.so"
    return str(library) if library.exists() else None


def check_all_products(path: str | None) -> int:
    """Compares every combination with NumPy; returns how many there were."""
    assert _gradopt.blas_path() is None
    if path is not None:
        _gradopt.set_blas(path)
        assert _gradopt.blas_path() == path
        _gradopt.set_blas_threads(1)
    library = ctypes.CDLL(_gradopt.__file__)  # resolves the runtime's symbols too
    random = np.random.default_rng(0)
    checked = 0
    for dtype, beta, transa, transb, (m, n, k), pad in itertools.product(
        DTYPES, (0.0, 1.0, -0.5), (0, 1), (0, 1), SIZES, (0, 3)
    ):
        name, real, tolerance = DTYPES[dtype]
        function = getattr(library, f"gradopt_gemm_{name}")
        function.restype = None

        def matrix(rows: int, columns: int, pad: int = pad, dtype: type = dtype) -> np.ndarray:
            full = random.normal(size=(rows, columns + pad)).astype(dtype)
            if full.dtype.kind == "c":
                full.imag = random.normal(size=full.shape)
            full[:, columns:] = np.nan  # reading or writing the padding shows
            return full[:, :columns]

        a = matrix(*((k, m) if transa else (m, k)))
        b = matrix(*((n, k) if transb else (k, n)))
        c = matrix(m, n)
        if beta == 0.0:
            c[...] = np.nan  # must not be read
        factors = (a.T if transa else a) @ (b.T if transb else b)
        expected = factors if beta == 0.0 else factors + dtype(beta) * c
        args = [ctypes.c_int64(v) for v in (transa, transb, m, n, k)]
        for array in (a, b, c):
            leading = max(array.shape[1] + pad, 1)
            args += [ctypes.c_void_p(array.ctypes.data), ctypes.c_int64(leading)]
        function(*args, real(beta))
        np.testing.assert_allclose(
            c, expected, rtol=tolerance, atol=tolerance,
            err_msg=f"{dtype.__name__} {transa=} {transb=} {m=} {n=} {k=} {pad=} {beta=}",
        )  # fmt: skip
        checked += 1
    return checked


def run(call: str) -> str:
    """What a process prints that calls a function of this file."""
    here = str(Path(__file__).parent)
    script = f"import sys; sys.path.insert(0, {here!r}); import test_blas; print(test_blas.{call})"
    result = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=300
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


@pytest.mark.parametrize("library", [None, "openblas"])
def test_all_products_agree_with_numpy(library):
    path = openblas() if library else None
    if library and path is None:
        pytest.skip("scipy-openblas32 is not installed")
    products = run(f"check_all_products({path!r})")
    assert int(products) == 4 * 3 * 2 * 2 * len(SIZES) * 2


def test_a_missing_library_is_an_error():
    with pytest.raises(_gradopt.ExecutionError, match="cannot load the BLAS library"):
        _gradopt.set_blas("/no/such/library.so")


def test_a_library_without_cblas_is_an_error():
    with pytest.raises(_gradopt.ExecutionError, match="no CBLAS interface"):
        _gradopt.set_blas("libm.so.6")


def test_threads_are_at_least_one():
    with pytest.raises(_gradopt.ExecutionError, match=">= 1"):
        _gradopt.set_blas_threads(0)


def fork_during_products(path: str) -> list[int]:
    """Exit statuses of children that multiply, forked while another thread multiplies."""
    _gradopt.set_blas(path)
    products = ctypes.c_int.in_dll(ctypes.CDLL(path), "products")
    multiply = ctypes.CDLL(_gradopt.__file__).gradopt_gemm_f64
    multiply.restype = None
    matrix = ctypes.c_void_p(np.eye(16).ctypes.data)
    n = ctypes.c_int64(16)
    arguments = [ctypes.c_int64(0), ctypes.c_int64(0), n, n, n, *[matrix, n] * 3]
    statuses = []
    for _ in range(3):
        before = products.value
        thread = threading.Thread(target=multiply, args=(*arguments, ctypes.c_double(0)))
        thread.start()
        while products.value == before:
            time.sleep(0.001)
        child = os.fork()
        if child == 0:
            signal.alarm(20)
            multiply(*arguments, ctypes.c_double(0))
            os._exit(0)
        thread.join()
        statuses.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    return statuses


def test_a_process_may_fork_during_a_product(tmp_path):
    """The lock of a library, as OpenBLAS has one, is not held in the child."""
    library = shared_library("locking_blas", tmp_path)
    assert run(f"fork_during_products({str(library)!r})") == "[0, 0, 0]\n"
