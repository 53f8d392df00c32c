# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The matrix products that compiled code calls, with and without a BLAS library.

Each configuration runs in a process of its own, since a library stays loaded.
"""

import importlib.util
import itertools
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from gradopt import _gradopt

SIZES = [
    (0, 3, 4), (3, 0, 4), (3, 4, 0), (1, 1, 1), (2, 3, 4), (8, 8, 8),
    (1, 40, 50), (40, 1, 50), (40, 50, 1), (1, 1, 600), (1, 600, 1), (600, 1, 1), (17, 23, 31),
]  # fmt: skip


def openblas() -> str | None:
    found = importlib.util.find_spec("scipy_openblas32")
    if found is None or found.origin is None:
        return None
    library = Path(found.origin).parent / "lib" / "libscipy_openblas.so"
    return str(library) if library.exists() else None


def check_all_products() -> int:
    """Compares every combination with NumPy; returns how many there were."""
    import ctypes

    library = ctypes.CDLL(_gradopt.__file__)  # resolves the runtime's symbols too
    random = np.random.default_rng(0)
    checked = 0
    for dtype, beta, transa, transb, (m, n, k), pad in itertools.product(
        (np.float64, np.float32), (0.0, 1.0, -0.5), (0, 1), (0, 1), SIZES, (0, 3)
    ):
        real = ctypes.c_double if dtype is np.float64 else ctypes.c_float
        function = library.gradopt_gemm_f64 if dtype is np.float64 else library.gradopt_gemm_f32
        function.restype = None

        def matrix(rows: int, columns: int, pad: int = pad, dtype: type = dtype) -> np.ndarray:
            full = random.normal(size=(rows, columns + pad)).astype(dtype)
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
        tolerance = 1e-12 if dtype is np.float64 else 2e-4
        np.testing.assert_allclose(
            c, expected, rtol=tolerance, atol=tolerance,
            err_msg=f"{dtype.__name__} {transa=} {transb=} {m=} {n=} {k=} {pad=} {beta=}",
        )  # fmt: skip
        checked += 1
    return checked


@pytest.mark.parametrize("library", [None, "openblas"])
def test_all_products_agree_with_numpy(library):
    path = openblas() if library else None
    if library and path is None:
        pytest.skip("scipy-openblas32 is not installed")
    script = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
import test_blas
assert test_blas._gradopt.blas_path() is None
if {path!r}:
    test_blas._gradopt.set_blas({path!r})
    assert test_blas._gradopt.blas_path() == {path!r}
    test_blas._gradopt.set_blas_threads(1)
print(test_blas.check_all_products())
"""
    result = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=300
    )
    assert result.returncode == 0, result.stderr
    assert int(result.stdout) == 2 * 3 * 2 * 2 * len(SIZES) * 2


def test_a_missing_library_is_an_error():
    with pytest.raises(_gradopt.ExecutionError, match="cannot load the BLAS library"):
        _gradopt.set_blas("/no/such/library.so")


def test_a_library_without_cblas_is_an_error():
    with pytest.raises(_gradopt.ExecutionError, match="no CBLAS interface"):
        _gradopt.set_blas("libm.so.6")


def test_threads_are_at_least_one():
    with pytest.raises(_gradopt.ExecutionError, match=">= 1"):
        _gradopt.set_blas_threads(0)
