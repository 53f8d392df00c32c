# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""`numpy.linalg`: factorisations, eigenvalues and singular values."""

from __future__ import annotations

from typing import Any

import numpy as np

from gradopt.array.dispatch import implements, unsupported
from gradopt.array.handle import wrap
from gradopt.array.operands import traced
from gradopt.base.location import source_location
from gradopt.errors import KeywordError
from gradopt.functions.matrices import tril
from gradopt.ir import factorizations, prims
from gradopt.ir.factorizations import adjoint, inexact, require_square
from gradopt.ir.values import Value


def square(a: Any) -> Value:
    """Square matrices of floats.

    Raises:
        LinAlgError: they are no matrices, or not square.
    """
    x = inexact(traced(a))
    require_square(x)
    return x


def named(function: Any, *parts: Value) -> Any:
    """The parts in a named tuple of the type that NumPy's function returns."""
    return type(function(np.eye(1)))(*[wrap(part) for part in parts])


@implements(np.linalg.cholesky)
def cholesky(a: Any, /, *, upper: bool = False) -> Value:
    """`numpy.linalg.cholesky`; one triangle is read, and the derivative in the other is zero."""
    x = square(a)
    factor = factorizations.cholesky(adjoint(x) if upper else x)
    return adjoint(factor) if upper else factor


@implements(np.linalg.qr)
def qr(a: Any, mode: str = "reduced") -> Any:
    """`numpy.linalg.qr`, except for mode raw."""
    name = "numpy.linalg.qr"
    if mode not in ("reduced", "complete", "r"):
        if mode == "raw":
            raise unsupported(f"mode='raw' of {name}", "use mode='reduced'")
        raise KeywordError(f"Unrecognized mode '{mode}'", source_location())
    q, r = factorizations.qr(inexact(traced(a)), mode == "complete")
    return r if mode == "r" else named(np.linalg.qr, q, r)


def _symmetric(a: Any, uplo: Any) -> Value:
    side = str(uplo).upper()
    if side not in ("L", "U"):
        raise KeywordError("UPLO argument must be 'L' or 'U'", source_location())
    x = square(a)
    return x if side == "L" else adjoint(x)


@implements(np.linalg.eigh)
def eigh(a: Any, UPLO: str = "L") -> Any:
    """`numpy.linalg.eigh`; one triangle is read, and the derivative in the other is zero."""
    return named(np.linalg.eigh, *factorizations.eigh(_symmetric(a, UPLO)))


@implements(np.linalg.eigvalsh)
def eigvalsh(a: Any, UPLO: str = "L") -> Value:
    """`numpy.linalg.eigvalsh`."""
    return factorizations.eigh(_symmetric(a, UPLO))[0]


def mirrored(x: Value) -> Value:
    """The Hermitian matrices with these lower triangles; of diagonals, the real parts."""
    below = tril(x, -1)
    if x.dtype.kind != "c":
        return tril(x) + adjoint(below)
    return below + adjoint(below) + prims.convert(prims.real(tril(x) - below), x.dtype)


def singular(a: Any, hermitian: bool, full: bool) -> tuple[Value, Value, Value]:
    """The singular value decomposition; of `hermitian` matrices, the lower triangle is read."""
    x = square(a) if hermitian else inexact(traced(a))
    return factorizations.svd(mirrored(x) if hermitian else x, full)


@implements(np.linalg.svd)
def svd(
    a: Any, full_matrices: bool = True, compute_uv: bool = True, hermitian: bool = False
) -> Any:
    """`numpy.linalg.svd`."""
    parts = singular(a, hermitian, bool(full_matrices and compute_uv))
    return named(np.linalg.svd, *parts) if compute_uv else parts[1]


@implements(np.linalg.svdvals)
def svdvals(x: Any, /) -> Value:
    """`numpy.linalg.svdvals`."""
    return singular(x, hermitian=False, full=False)[1]
