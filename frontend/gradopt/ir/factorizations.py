# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The ops on matrices, on values: stacks of matrices along the last two dimensions.

What may fail is checked, with the error that NumPy raises.
"""

from __future__ import annotations

from gradopt.base.dtypes import FLOAT64, INT32, is_inexact, is_narrow
from gradopt.base.location import source_location
from gradopt.errors import DTypeError, LinAlgError
from gradopt.ir import prims
from gradopt.ir.checks import require_all
from gradopt.ir.prims import scalar, scope
from gradopt.ir.values import Value
from gradopt.recording import grad, spectra

NOT_POSITIVE = "Matrix is not positive definite"
SINGULAR = "Singular matrix"
NO_VALUES = "Eigenvalues did not converge"
NO_SINGULAR_VALUES = "SVD did not converge"
NO_FORM = "Schur form not found. Possibly ill-conditioned."
NOT_FINITE = "Array must not contain infs or NaNs"
NO_LIBRARY = (
    "eigenvalues of general matrices are calculated by LAPACK, and no library that has it was "
    "found: install the package scipy-openblas32"
)
# The status of a routine without a library (`runtime/Lapack.h`).
_NO_LIBRARY_STATUS = -1


def inexact(x: Value) -> Value:
    """Matrices of a dtype that has factorisations; integers become float64.

    Raises:
        DTypeError: it is float16 or bfloat16, of which NumPy has none either.
        LinAlgError: it has less than two dimensions.
    """
    if is_narrow(x.dtype):
        raise DTypeError(
            f"array type {x.dtype} is unsupported in linalg; convert it with x.astype(np.float32)",
            source_location(),
        )
    if x.ndim < 2:
        raise LinAlgError(
            f"{x.ndim}-dimensional array given. Array must be at least two-dimensional",
            source_location(),
        )
    return x if is_inexact(x.dtype) else prims.convert(x, FLOAT64)


def require_square(x: Value) -> None:
    """Checks that the matrices are square.

    Raises:
        LinAlgError: they are not.
    """
    if x.shape[-1] != x.shape[-2]:
        raise LinAlgError("Last 2 dimensions of the array must be square", source_location())


def require_all_of(right: Value, message: str) -> None:
    """Checks, at run time, that all of the bools are true.

    Raises:
        LinAlgError: at run time, one is not.
    """
    require_all(right, message, LinAlgError)


def _require_success(status: Value, message: str) -> None:
    require_all_of(prims.equal(status, scalar(0, INT32)), message)


def _require_spectrum(a: Value, status: Value, message: str) -> None:
    """Checks what came of a routine for general matrices, for which there is only LAPACK's."""
    parts = [prims.real(a), prims.imag(a)] if a.dtype.kind == "c" else [a]
    for part in parts:
        require_all_of(scope().emit(grad.isfinite, part), NOT_FINITE)
    require_all_of(prims.not_equal(status, scalar(_NO_LIBRARY_STATUS, INT32)), NO_LIBRARY)
    _require_success(status, message)


def transposed(x: Value) -> Value:
    """The matrices with rows and columns exchanged."""
    axes = list(range(x.ndim))
    return prims.transpose(x, [*axes[:-2], axes[-1], axes[-2]])


def adjoint(x: Value) -> Value:
    """The conjugate transposes of the matrices."""
    return prims.conjugate(transposed(x))


def cholesky(a: Value, message: str = NOT_POSITIVE) -> Value:
    """The lower factor of square matrices, of which the lower triangle is read.

    Args:
        a: the matrices.
        message: of the error where one is not positive definite.
    """
    here = scope()
    factor, status = here.emit_many(grad.CholeskyOp, here.use(a))
    _require_success(status, message)
    return factor


def lu(a: Value) -> tuple[Value, Value, Value, Value]:
    """Packed factors, pivots (int32), permutation (int64), and status (int32): not checked."""
    here = scope()
    factors, pivots, permutation, status = here.emit_many(grad.LuOp, here.use(a))
    return factors, pivots, permutation, status


def require_regular(status: Value) -> None:
    """Checks the status of `lu`."""
    _require_success(status, SINGULAR)


def lu_solve(a: Value, factors: Value, pivots: Value, rhs: Value) -> Value:
    """The solution of `a x = rhs`, for a matrix of columns for each matrix."""
    return scope().emit(grad.lu_solve, a, factors, pivots, rhs)


def identities(a: Value) -> Value:
    """An identity for each of the square matrices."""
    n = a.shape[-1]
    return prims.broadcast_to(prims.identity((n,), a.dtype), a.shape)


def inverse(a: Value) -> Value:
    """The inverses of square matrices.

    Raises:
        LinAlgError: at run time, one is singular.
    """
    factors, pivots, _, status = lu(a)
    require_regular(status)
    return lu_solve(a, factors, pivots, identities(a))


def triangular_solve(
    a: Value,
    rhs: Value,
    *,
    lower: bool,
    left: bool = True,
    transpose: bool = False,
    unit: bool = False,
) -> Value:
    """`grad.triangular_solve`."""
    return scope().emit(grad.triangular_solve, a, rhs, left, lower, transpose, unit)


def qr(a: Value, full: bool) -> tuple[Value, Value]:
    """Orthonormal columns, as many as rows if `full`, and the upper triangular matrix."""
    here = scope()
    q, r = here.emit_many(grad.QrOp, here.use(a), full)
    return q, r


def eigh(a: Value) -> tuple[Value, Value]:
    """Values and vectors of square matrices, of which the lower triangle is read."""
    here = scope()
    values, vectors, status = here.emit_many(grad.EighOp, here.use(a))
    _require_success(status, NO_VALUES)
    return values, vectors


def svd(a: Value, full: bool) -> tuple[Value, Value, Value]:
    """u, the singular values, and the adjoint of v."""
    here = scope()
    u, s, vh, status = here.emit_many(grad.SvdOp, here.use(a), full)
    _require_success(status, NO_SINGULAR_VALUES)
    return u, s, vh


def eig(a: Value) -> tuple[Value, Value]:
    """Values and vectors of square matrices, complex ones."""
    here = scope()
    values, vectors, status = here.emit_many(spectra.EigOp, here.use(a))
    _require_spectrum(a, status, NO_VALUES)
    return values, vectors


def schur(a: Value) -> tuple[Value, Value]:
    """Triangular forms of square matrices, of real ones with blocks, and orthonormal columns."""
    form, vectors, status = unchecked_schur(a)
    _require_spectrum(a, status, NO_FORM)
    return form, vectors


def unchecked_schur(a: Value) -> tuple[Value, Value, Value]:
    """As `schur`, and the status: all is NaN where it is not zero. Rules of cotangents need it."""
    here = scope()
    form, vectors, status = here.emit_many(spectra.SchurOp, here.use(a))
    return form, vectors, status


def triangular_sylvester(a: Value, b: Value, rhs: Value) -> Value:
    """The solution of `a x + x b = rhs`, for forms of `schur`."""
    return scope().emit(spectra.triangular_sylvester, a, b, rhs, False, False)


def triangular_sqrt(a: Value) -> Value:
    """The principal square roots of forms of `schur`; NaN where there is no real one."""
    return scope().emit(spectra.triangular_sqrt, a)
