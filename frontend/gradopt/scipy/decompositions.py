# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""`scipy.linalg`: eigenvalues, singular values and what is made of them, with SciPy's keywords.

`overwrite_a`, `check_finite`, `lwork` and the names of LAPACK's drivers are accepted and mean
nothing. Derivatives are those of the functions of `numpy.linalg`, and stay finite where those do.
"""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from gradopt.array.dispatch import unsupported
from gradopt.array.handle import wrap
from gradopt.array.operands import traced
from gradopt.base.dtypes import INT64, part_dtype
from gradopt.base.frames import hide_frames
from gradopt.base.location import source_location
from gradopt.compilation.programs import program
from gradopt.errors import ArgumentError, ShapeError
from gradopt.ir import prims
from gradopt.ir.factorizations import adjoint, inexact
from gradopt.ir.values import Value
from gradopt.linalg.factors import mirrored, square


def _matrices(a: Any) -> Any:
    """The array that holds square matrices of floats."""
    return wrap(square(a))


def _transposed(a: Any) -> Any:
    """The conjugate transposes."""
    return np.conj(np.matrix_transpose(a))


def _hermitian(a: Any, lower: bool) -> Any:
    """The matrices of which one triangle is given."""
    x = square(a)
    return wrap(mirrored(x if lower else adjoint(x)))


@hide_frames
def det(a: Any, overwrite_a: bool = False, check_finite: bool = True) -> Any:
    """The determinants of square matrices, in double precision.

    Raises:
        LinAlgError: they are not square.
    """
    return _det(a)


@program
def _det(a: Any) -> Value:
    x = square(a)
    double = np.result_type(x.dtype, np.float64)
    return traced(np.linalg.det(wrap(prims.convert(x, double))))


@hide_frames
def inv(
    a: Any,
    overwrite_a: bool = False,
    check_finite: bool = True,
    *,
    assume_a: str | None = None,
    lower: bool = False,
) -> Any:
    """The inverses of square matrices.

    Args:
        a: matrices.
        overwrite_a: means nothing.
        check_finite: means nothing.
        assume_a: as for `solve`.
        lower: which triangle is read, if the matrix is symmetric or positive definite.

    Raises:
        LinAlgError: a matrix is singular, or not square.
        UnsupportedError: `assume_a` names a triangle, a diagonal or a band.
    """
    kinds = {"gen": "gen", "general": "gen"}
    kinds |= dict.fromkeys(("sym", "symmetric"), "sym")
    kinds |= dict.fromkeys(("her", "hermitian", "pos", "positive definite"), "her")
    if assume_a is not None and assume_a not in kinds:
        raise unsupported(
            f"assume_a={assume_a!r} of scipy.linalg.inv", "solve for the columns of numpy.eye"
        )
    return _inv(a, kind=kinds[assume_a or "gen"], lower=bool(lower))


@program
def _inv(a: Any, *, kind: str, lower: bool) -> Value:
    if kind == "her":
        return traced(np.linalg.inv(_hermitian(a, lower)))
    x = _matrices(a)
    if kind == "sym":
        below = np.tril(x, -1) if lower else np.matrix_transpose(np.triu(x, 1))
        x = below + np.matrix_transpose(below) + np.tril(np.triu(x))
    return traced(np.linalg.inv(x))


# -- Eigenvalues -------------------------------------------------------------------------------


def _require_defaults(name: str, **keywords: Any) -> None:
    for keyword, value in keywords.items():
        if value is not None and value is not False:
            raise unsupported(f"keyword {keyword}= of scipy.linalg.{name}")


@hide_frames
def eigh(
    a: Any,
    b: Any = None,
    *,
    lower: bool = True,
    eigvals_only: bool = False,
    overwrite_a: bool = False,
    overwrite_b: bool = False,
    type: int = 1,
    check_finite: bool = True,
    subset_by_index: Any = None,
    subset_by_value: Any = None,
    driver: str | None = None,
) -> Any:
    """Eigenvalues and -vectors of Hermitian matrices, of `a v = w v`, or of `a v = w b v`.

    Args:
        a: matrices, of which one triangle is read.
        b: positive definite matrices, of which the same triangle is read.
        lower: which triangle.
        eigvals_only: whether to return the values alone.
        overwrite_a, overwrite_b: mean nothing.
        type: 1.
        check_finite: means nothing.
        subset_by_index: the first and the last place of the values that are returned.
        subset_by_value: not supported: how many there are depends on values.
        driver: means nothing.

    Returns:
        The values in ascending order, and the vectors as columns.

    Raises:
        LinAlgError: `b` is not positive definite, or the matrices are not square.
        UnsupportedError: what is not supported.
    """
    _require_defaults("eigh", subset_by_value=subset_by_value)
    if type != 1:
        raise unsupported(f"type={type!r} of scipy.linalg.eigh", "use type=1")
    found = _eigh(a, lower=bool(lower)) if b is None else _eigh(a, b, lower=bool(lower))
    if subset_by_index is not None:
        first, last = map(operator.index, subset_by_index)
        found = found[0][..., first : last + 1], found[1][..., first : last + 1]
    return found[0] if eigvals_only else found


@program
def _eigh(a: Any, b: Any = None, *, lower: bool) -> Any:
    x = _hermitian(a, lower)
    if b is None:
        return tuple(map(traced, np.linalg.eigh(x)))
    factor = np.linalg.cholesky(_hermitian(b, lower))
    left = np.linalg.solve(factor, x)
    inner = np.linalg.solve(factor, _transposed(left))
    values, vectors = np.linalg.eigh(inner)
    return traced(values), traced(np.linalg.solve(_transposed(factor), vectors))


def eigvalsh(
    a: Any,
    b: Any = None,
    *,
    lower: bool = True,
    overwrite_a: bool = False,
    overwrite_b: bool = False,
    type: int = 1,
    check_finite: bool = True,
    subset_by_index: Any = None,
    subset_by_value: Any = None,
    driver: str | None = None,
) -> Any:
    """The eigenvalues that `eigh` finds."""
    return eigh(
        a, b, lower=lower, eigvals_only=True, type=type, subset_by_index=subset_by_index,
        subset_by_value=subset_by_value,
    )  # fmt: skip


@hide_frames
def eig(
    a: Any,
    b: Any = None,
    left: bool = False,
    right: bool = True,
    overwrite_a: bool = False,
    overwrite_b: bool = False,
    check_finite: bool = True,
    homogeneous_eigvals: bool = False,
) -> Any:
    """Eigenvalues and -vectors of square matrices, complex ones.

    The derivative of the vectors needs values that differ.

    Args:
        a: matrices.
        b: regular matrices, of `a v = w b v`, with `left=False` only.
        left: whether to return the vectors of `v^H a = w v^H`.
        right: whether to return those of `a v = w v`.
        overwrite_a, overwrite_b, check_finite: mean nothing.
        homogeneous_eigvals: not supported.

    Returns:
        The values, left vectors and right vectors, those that are asked for. Vectors are columns of
        length 1.

    Raises:
        LinAlgError: `b` is singular, or the matrices are not square.
        UnsupportedError: what is not supported.
    """
    _require_defaults("eig", homogeneous_eigvals=homogeneous_eigvals)
    if b is not None and left:
        raise unsupported("left=True of scipy.linalg.eig with b=", "transpose both matrices")
    values, lefts, rights = _eig(a, left=bool(left)) if b is None else _eig(a, b, left=False)
    parts = (values, *([lefts] if left else []), *([rights] if right else []))
    return parts if len(parts) > 1 else values


@program
def _eig(a: Any, b: Any = None, *, left: bool) -> Any:
    x = _matrices(a)
    if b is not None:
        x = np.linalg.solve(_matrices(b), x)
    values, rights = np.linalg.eig(x)
    lefts = rights
    if left:
        lefts = _transposed(np.linalg.inv(rights))
        lefts = lefts / np.sqrt(np.sum(np.real(lefts * np.conj(lefts)), -2, keepdims=True))
    return traced(values), traced(lefts), traced(rights)


def eigvals(
    a: Any,
    b: Any = None,
    overwrite_a: bool = False,
    check_finite: bool = True,
    homogeneous_eigvals: bool = False,
) -> Any:
    """The eigenvalues that `eig` finds."""
    return eig(a, b, right=False, homogeneous_eigvals=homogeneous_eigvals)


# -- Singular values, orthogonal factors -------------------------------------------------------


@hide_frames
def svd(
    a: Any,
    full_matrices: bool = True,
    compute_uv: bool = True,
    overwrite_a: bool = False,
    check_finite: bool = True,
    lapack_driver: str = "gesdd",
) -> Any:
    """The singular value decomposition, `a = u diag(s) vh`.

    Args:
        a: matrices.
        full_matrices: whether `u` and `vh` are square.
        compute_uv: whether to return them.
        overwrite_a, check_finite, lapack_driver: mean nothing.

    Returns:
        `u`, `s` and `vh`, or `s` alone.
    """
    if not compute_uv:
        return _svdvals(a)
    return tuple(_svd(a, full=bool(full_matrices)))


@program
def _svd(a: Any, *, full: bool) -> Any:
    return tuple(map(traced, np.linalg.svd(wrap(inexact(traced(a))), full)))


@program
def _svdvals(a: Any) -> Value:
    return traced(np.linalg.svdvals(wrap(inexact(traced(a)))))


@hide_frames
def svdvals(a: Any, overwrite_a: bool = False, check_finite: bool = True) -> Any:
    """The singular values of matrices, in descending order."""
    return _svdvals(a)


@hide_frames
def qr(
    a: Any,
    overwrite_a: bool = False,
    lwork: Any = None,
    mode: str = "full",
    pivoting: bool = False,
    check_finite: bool = True,
) -> Any:
    """Orthogonal and triangular factors, `a = q r`.

    Args:
        a: matrices.
        overwrite_a, lwork, check_finite: mean nothing.
        mode: "full" for a square `q`, "economic" for as many columns as there are rows or columns,
            or "r" for `r` alone.
        pivoting: not supported.

    Returns:
        `q` and `r`; `r` in a tuple, for mode "r".

    Raises:
        ArgumentError: there is no such mode.
        UnsupportedError: mode "raw", and pivoting.
    """
    _require_defaults("qr", pivoting=pivoting)
    if mode == "raw":
        raise unsupported("mode='raw' of scipy.linalg.qr", "use mode='economic'")
    if mode not in ("full", "economic", "r"):
        raise ArgumentError(
            "Mode argument should be one of ['full', 'r','economic', 'raw']", source_location()
        )
    q, r = _qr(a, full=mode != "economic")
    return (r,) if mode == "r" else (q, r)


@program
def _qr(a: Any, *, full: bool) -> Any:
    x = wrap(inexact(traced(a)))
    return tuple(map(traced, np.linalg.qr(x, "complete" if full else "reduced")))


@hide_frames
def polar(a: Any, side: str = "right") -> tuple[Any, Any]:
    """The factors of `a = u p`, or `a = p u`, with unitary `u` and positive semidefinite `p`.

    Args:
        a: matrices; the derivative needs singular values that differ.
        side: "right", or "left".

    Raises:
        ArgumentError: there is no such side.
    """
    if side not in ("right", "left"):
        raise ArgumentError("`side` must be either 'right' or 'left'", source_location())
    unitary, positive = _polar(a, right=side == "right")
    return unitary, positive


@program
def _polar(a: Any, *, right: bool) -> Any:
    u, s, vh = np.linalg.svd(wrap(inexact(traced(a))), False)
    scaled = s[..., None, :]
    positive = (_transposed(vh) * scaled) @ vh if right else (u * scaled) @ _transposed(u)
    return traced(u @ vh), traced(positive)


@hide_frames
def orthogonal_procrustes(A: Any, B: Any, check_finite: bool = True) -> tuple[Any, Any]:
    """The orthogonal matrix that maps `A` to `B` as nearly as one can, and a scale.

    Args:
        A: matrix of shape (m, n).
        B: matrix of that shape.
        check_finite: means nothing.

    Returns:
        The matrix r of shape (n, n) with the least norm of `A r - B` (Schönemann 1966), and the sum
        of the singular values of `A^T B`.

    Raises:
        ShapeError: they are no matrices of one shape.
    """
    r, scale = _procrustes(A, B)
    return r, scale


@program
def _procrustes(a: Any, b: Any) -> Any:
    x, y = wrap(inexact(traced(a))), wrap(inexact(traced(b)))
    if x.ndim != 2 or x.shape != y.shape:
        raise ShapeError(
            f"orthogonal_procrustes: A and B must be matrices of one shape, but their shapes are "
            f"{x.shape} and {y.shape}",
            source_location(),
        )
    u, s, vh = np.linalg.svd(_transposed(x) @ y, False)
    return traced(u @ vh), traced(np.sum(s))


# -- Least squares -----------------------------------------------------------------------------


@hide_frames
def lstsq(
    a: Any,
    b: Any,
    cond: Any = None,
    overwrite_a: bool = False,
    overwrite_b: bool = False,
    check_finite: bool = True,
    lapack_driver: str | None = None,
) -> tuple[Any, Any, Any, Any]:
    """The solution of least squares, of least norm.

    Args:
        a: matrix of shape (m, n).
        b: vector, or matrix of columns.
        cond: a known number: singular values below this part of the largest one count as zero; the
            rounding error if None.
        overwrite_a, overwrite_b, check_finite, lapack_driver: mean nothing.

    Returns:
        The solution, the sums of squares of `b - a x`, the rank, and the singular values. The sums
        are NaN if m > n and the rank is not full, where SciPy's have no elements.

    Raises:
        LinAlgError: the shapes do not go together.
    """
    x, residues, rank, s = _lstsq(a, b, cond=None if cond is None else float(cond))
    if np.ndim(b) == 1 and np.size(residues):
        residues = residues[0]
    return x, residues, rank, s


@program
def _lstsq(a: Any, b: Any, *, cond: float | None) -> Any:
    x = wrap(inexact(traced(a)))
    limit = float(np.finfo(x.dtype).eps) if cond is None else cond
    return tuple(map(traced, np.linalg.lstsq(x, wrap(traced(b)), limit)))


@hide_frames
def pinv(
    a: Any,
    *,
    atol: Any = None,
    rtol: Any = None,
    return_rank: bool = False,
    check_finite: bool = True,
) -> Any:
    """The pseudo-inverses of matrices; the derivative is that of a rank that does not change.

    Args:
        a: matrices.
        atol: absolute tolerance, 0 if None.
        rtol: singular values up to `atol + rtol` times the largest one count as zero; the rounding
            error times the larger size if None.
        return_rank: whether to return how many count, too.
        check_finite: means nothing.
    """
    return _tolerant(a, atol, rtol, return_rank, None)


@hide_frames
def pinvh(
    a: Any,
    atol: Any = None,
    rtol: Any = None,
    lower: bool = True,
    return_rank: bool = False,
    check_finite: bool = True,
) -> Any:
    """The pseudo-inverses of Hermitian matrices, of which one triangle is read.

    Parameters are those of `pinv`; `lower` says which triangle.
    """
    return _tolerant(a, atol, rtol, return_rank, bool(lower))


def _tolerant(a: Any, atol: Any, rtol: Any, return_rank: bool, lower: bool | None) -> Any:
    tolerances = {"atol": atol, "rtol": rtol}
    given = {name: value for name, value in tolerances.items() if value is not None}
    inverse, rank = _pinv(a, given, lower=lower)
    return (inverse, rank) if return_rank else inverse


@program
def _pinv(a: Any, tolerances: dict[str, Any], *, lower: bool | None) -> Any:
    x = wrap(inexact(traced(a))) if lower is None else _hermitian(a, lower)
    real = part_dtype(x.dtype)
    largest = np.linalg.svdvals(x)
    top = np.max(largest, -1, keepdims=True)
    relative = tolerances.get("rtol", max(x.shape[-2:]) * np.finfo(real).eps)
    # Of zeros alone, none counts.
    safe = np.where(top > 0, top, 1.0).astype(real)
    limit = relative + tolerances.get("atol", 0.0) / safe
    rank = prims.convert(traced(np.sum(largest > limit * top, -1)), INT64)
    return traced(np.linalg.pinv(x, np.squeeze(limit, -1).astype(real))), rank


@hide_frames
def norm(
    a: Any, ord: Any = None, axis: Any = None, keepdims: bool = False, check_finite: bool = True
) -> Any:
    """The norm of a vector or of matrices, as `numpy.linalg.norm`."""
    return _norm(a, ord=ord, axis=axis, keepdims=bool(keepdims))


@program
def _norm(a: Any, *, ord: Any, axis: Any, keepdims: bool) -> Value:
    return traced(np.linalg.norm(wrap(traced(a)), ord, axis, keepdims))
