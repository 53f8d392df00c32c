# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The ops on matrices, on values: stacks of matrices along the last two dimensions.

What may fail is checked, with the error that NumPy raises.
"""

from __future__ import annotations

from gradopt.base.dtypes import FLOAT64, INT32, is_inexact
from gradopt.base.location import source_location
from gradopt.errors import LinAlgError, UnsupportedError
from gradopt.ir import prims
from gradopt.ir.checks import require_all
from gradopt.ir.prims import scalar, scope
from gradopt.ir.values import Value
from gradopt.recording import grad

NOT_POSITIVE = "Matrix is not positive definite"
SINGULAR = "Singular matrix"
NO_VALUES = "Eigenvalues did not converge"
NO_SINGULAR_VALUES = "SVD did not converge"


def inexact(x: Value) -> Value:
    """Matrices of a dtype that has factorisations; integers become float64.

    Raises:
        LinAlgError: it has less than two dimensions.
    """
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


def _require_host(name: str) -> None:
    if scope().trace.on_device:
        raise UnsupportedError(
            f"{name} is not supported on devices yet: it is a routine of LAPACK, which runs on the "
            "host; call it outside of the function, or compile for the CPU",
            source_location(),
        )


def _require_real(x: Value, name: str) -> None:
    _require_host(name)
    if x.dtype.kind == "c":
        raise UnsupportedError(
            f"{name} of complex matrices is not supported on traced arrays; write it with the "
            "real and imaginary parts, as numpy.block([[a.real, -a.imag], [a.imag, a.real]])",
            source_location(),
        )


def require_all_of(right: Value, message: str) -> None:
    """Checks, at run time, that all of the bools are true.

    Raises:
        LinAlgError: at run time, one is not.
    """
    require_all(right, message, LinAlgError)


def _require_success(status: Value, message: str) -> None:
    require_all_of(prims.equal(status, scalar(0, INT32)), message)


def transposed(x: Value) -> Value:
    """The matrices with rows and columns exchanged."""
    axes = list(range(x.ndim))
    return prims.transpose(x, [*axes[:-2], axes[-1], axes[-2]])


def cholesky(a: Value, name: str, message: str = NOT_POSITIVE) -> Value:
    """The lower factor of square real matrices, of which the lower triangle is read.

    Args:
        a: the matrices.
        name: of the user's function.
        message: of the error where one is not positive definite.
    """
    _require_real(a, name)
    here = scope()
    factor, status = here.emit_many(grad.CholeskyOp, here.use(a))
    _require_success(status, message)
    return factor


def lu(a: Value, name: str) -> tuple[Value, Value, Value, Value]:
    """Packed factors, pivots (int32), permutation (int64), and status (int32): not checked."""
    _require_host(name)
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


def inverse(a: Value, name: str) -> Value:
    """The inverses of square matrices.

    Raises:
        LinAlgError: at run time, one is singular.
    """
    factors, pivots, _, status = lu(a, name)
    require_regular(status)
    return lu_solve(a, factors, pivots, identities(a))


def triangular_solve(
    a: Value,
    rhs: Value,
    name: str,
    *,
    lower: bool,
    left: bool = True,
    transpose: bool = False,
    unit: bool = False,
) -> Value:
    """`grad.triangular_solve`, for the user's function of that name."""
    _require_host(name)
    return scope().emit(grad.triangular_solve, a, rhs, left, lower, transpose, unit)


def qr(a: Value, full: bool, name: str) -> tuple[Value, Value]:
    """Orthonormal columns, as many as rows if `full`, and the upper triangular matrix."""
    _require_real(a, name)
    here = scope()
    q, r = here.emit_many(grad.QrOp, here.use(a), full)
    return q, r


def eigh(a: Value, name: str) -> tuple[Value, Value]:
    """Values and vectors of square real matrices, of which the lower triangle is read."""
    _require_real(a, name)
    here = scope()
    values, vectors, status = here.emit_many(grad.EighOp, here.use(a))
    _require_success(status, NO_VALUES)
    return values, vectors


def svd(a: Value, full: bool, name: str) -> tuple[Value, Value, Value]:
    """u, the singular values, and the transpose of v."""
    _require_real(a, name)
    here = scope()
    u, s, vh, status = here.emit_many(grad.SvdOp, here.use(a), full)
    _require_success(status, NO_SINGULAR_VALUES)
    return u, s, vh
