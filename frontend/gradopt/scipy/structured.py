# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""`scipy.linalg`: Toeplitz, circulant and Hermitian band matrices, and what is said of matrices."""

from __future__ import annotations

from typing import Any

import numpy as np

from gradopt.array.dispatch import unsupported
from gradopt.array.handle import wrap
from gradopt.array.operands import traced
from gradopt.base.frames import hide_frames
from gradopt.base.location import source_location
from gradopt.compilation.programs import program
from gradopt.errors import LinAlgError, ShapeError
from gradopt.ir.checks import require_all
from gradopt.scipy.equations import solve_banded
from gradopt.scipy.operands import inexact
from gradopt.scipy.special_matrices import toeplitz
from gradopt.transforms.loops import scan


def _column_and_row(c_or_cr: Any) -> tuple[Any, ...]:
    """What is given of a Toeplitz matrix: the first column, and the first row if there is one."""
    return tuple(c_or_cr) if isinstance(c_or_cr, tuple) else (c_or_cr,)


def _require_rows(name: str, count: int, b: Any) -> None:
    if b.ndim not in (1, 2) or b.shape[0] != count:
        raise ShapeError(
            f"{name}: expected an array of {count} rows, but got shape {b.shape}",
            source_location(),
        )


@hide_frames
def solve_toeplitz(c_or_cr: Any, b: Any, check_finite: bool = True) -> Any:
    """The solution of a system with a Toeplitz matrix, by elimination.

    Args:
        c_or_cr: the first column, or a tuple of it and the first row, whose first element means
            nothing; the row of a column alone is its conjugate.
        b: a vector, or columns.
        check_finite: means nothing.

    Raises:
        LinAlgError: the matrix is singular.
        ShapeError: the shapes do not go together.
    """
    return _solved_toeplitz(b, *_column_and_row(c_or_cr))


@program
def _solved_toeplitz(b: Any, *lines: Any) -> Any:
    b, *given = inexact(b, *lines)
    matrix = toeplitz(*given)
    _require_rows("solve_toeplitz", matrix.shape[0], b)
    return traced(np.linalg.solve(matrix, b))


@hide_frames
def matmul_toeplitz(
    c_or_cr: Any, x: Any, check_finite: bool = False, workers: int | None = None
) -> Any:
    """The product of a Toeplitz matrix with a vector or columns, by Fourier transforms.

    Args:
        c_or_cr: as that of `solve_toeplitz`.
        x: a vector, or columns.
        check_finite, workers: mean nothing.

    Raises:
        ShapeError: the shapes do not go together.
    """
    return _multiplied_toeplitz(x, *_column_and_row(c_or_cr))


@program
def _multiplied_toeplitz(x: Any, *lines: Any) -> Any:
    x, column, *rest = inexact(x, *lines)
    row = rest[0] if rest else np.conj(column)
    rows, count = column.shape[0], row.shape[0]
    _require_rows("matmul_toeplitz", count, x)
    columns = x[:, None] if x.ndim == 1 else x
    # The matrix is a corner of a circulant one.
    line = np.concatenate([column, row[:0:-1]])
    size = rows + count - 1
    if x.dtype.kind == "c":
        product = np.fft.ifft(np.fft.fft(line)[:, None] * np.fft.fft(columns, size, axis=0), axis=0)
    else:
        spectrum = np.fft.rfft(line)[:, None] * np.fft.rfft(columns, size, axis=0)
        product = np.fft.irfft(spectrum, size, axis=0)
    product = product[:rows]
    return traced(product[:, 0] if x.ndim == 1 else product)


@hide_frames
def solve_circulant(
    c: Any,
    b: Any,
    singular: str = "raise",
    tol: float | None = None,
    caxis: int = -1,
    baxis: int = 0,
    outaxis: int = 0,
) -> Any:
    """The solution of a system with a circulant matrix, by Fourier transforms.

    Args:
        c: the first column.
        b: a vector, or columns.
        singular: "raise".
        tol: a matrix is singular whose smallest eigenvalue is not above it: by default the largest
            one times n times the rounding error.
        caxis, baxis, outaxis: their defaults.

    Raises:
        LinAlgError: the matrix is singular.
        UnsupportedError: other axes, or `singular`.
        ShapeError: the shapes do not go together.
    """
    if singular != "raise" or (caxis, baxis, outaxis) not in ((-1, 0, 0), (0, 0, 0)):
        raise unsupported(
            "singular= and the axes of scipy.linalg.solve_circulant", "use their defaults"
        )
    return _solved_circulant(c, b, tol=None if tol is None else float(tol))


@program
def _solved_circulant(c: Any, b: Any, *, tol: float | None) -> Any:
    c, b = inexact(c, b)
    if c.ndim != 1:
        raise ShapeError(f"solve_circulant: c has shape {c.shape}, not (n,)", source_location())
    _require_rows("solve_circulant", c.shape[0], b)
    values = np.fft.fft(c)
    sizes = np.abs(values)
    limit: Any = tol
    if tol is None:
        limit = np.max(sizes) * c.shape[0] * float(np.finfo(c.dtype).eps)
    require_all(traced(sizes > limit), "near singular circulant matrix.", LinAlgError)
    spectrum = np.fft.fft(b, axis=0)
    x = np.fft.ifft(spectrum / (values if b.ndim == 1 else values[:, None]), axis=0)
    return traced(x if c.dtype.kind == "c" else np.real(x))


# -- Hermitian band matrices -------------------------------------------------------------------


def _bands(name: str, ab: Any) -> Any:
    """The bands.

    Raises:
        ShapeError: they are no matrix that has elements.
    """
    if ab.ndim != 2 or not ab.shape[0]:
        raise ShapeError(
            f"{name}: expected bands of shape (u + 1, n), but got {ab.shape}", source_location()
        )
    return ab


def _rows_below(ab: Any, lower: bool) -> Any:
    """Of each row, the elements from the diagonal to the left: zeros where there is no column."""
    count, size = ab.shape[0] - 1, ab.shape[1]
    i, d = np.arange(size)[:, None], np.arange(count + 1)
    inside = i - d >= 0
    taken = ab[d, np.maximum(i - d, 0)] if lower else np.conj(ab[count - d, i])
    return np.where(inside, taken, 0)


def _as_bands(rows: Any, lower: bool) -> Any:
    """The inverse of `_rows_below`, with zeros in the corner."""
    size, width = rows.shape
    count = width - 1
    k, j = np.arange(width)[:, None], np.arange(size)
    if not lower:
        return np.conj(rows[j, count - k])
    return np.where(j + k < size, rows[np.minimum(j + k, size - 1), k], 0)


@hide_frames
def cholesky_banded(
    ab: Any, overwrite_ab: bool = False, lower: bool = False, check_finite: bool = True
) -> Any:
    """The Cholesky factor of a Hermitian band matrix, in n (u + 1)^2 steps of loops.

    Args:
        ab: of shape (u + 1, n): `ab[u + i - j, j]` is the element (i, j) above the diagonal, or
            with `lower`, `ab[i - j, j]` below it.
        lower: which triangle is given and returned.
        overwrite_ab, check_finite: mean nothing.

    Returns:
        The factor, in bands as `ab`, of which the corner without elements stays as it is.

    Raises:
        LinAlgError: the matrix is not positive definite.
        ShapeError: `ab` is no matrix.
    """
    return _factored(ab, lower=bool(lower))


@program
def _factored(ab: Any, *, lower: bool) -> Any:
    (ab,) = inexact(ab)
    rows = _rows_below(_bands("cholesky_banded", ab), lower)
    count = rows.shape[1] - 1
    none = np.zeros((count, count + 1), rows.dtype)
    if count:
        none[:, 0] = 1

    def eliminate(before: Any, row: Any) -> Any:
        """The next row of the factor: `before` are those above it, the last one first."""
        found: list[Any] = [None] * (count + 1)
        for d in range(count, 0, -1):
            rest = row[d]
            for m in range(d + 1, count + 1):
                rest = rest - found[m] * np.conj(before[d - 1, m - d])
            found[d] = rest / np.real(before[d - 1, 0])
        square = np.real(row[0])
        for m in range(1, count + 1):
            square = square - np.real(found[m] * np.conj(found[m]))
        require_all(traced(square > 0), "the matrix is not positive definite", LinAlgError)
        found[0] = np.sqrt(square).astype(rows.dtype)
        made = np.stack(found)
        return np.concatenate([made[None], before])[:count], made

    _, factor = scan(eliminate, wrap(traced(none)), rows)
    k, j = np.arange(count + 1)[:, None], np.arange(ab.shape[1])
    held = k + j < ab.shape[1] if lower else k + j >= count
    return traced(np.where(held, _as_bands(factor, lower), ab))


@hide_frames
def cho_solve_banded(
    cb_and_lower: Any, b: Any, overwrite_b: bool = False, check_finite: bool = True
) -> Any:
    """The solution of a system whose Cholesky factor `cholesky_banded` gave.

    Args:
        cb_and_lower: the factor's bands, and whether they are of the lower triangle.
        b: a vector, or columns.
        overwrite_b, check_finite: mean nothing.
    """
    bands, lower = cb_and_lower
    return _with_factor(bands, b, lower=bool(lower))


@program
def _with_factor(cb: Any, b: Any, *, lower: bool) -> Any:
    cb, b = inexact(cb, b)
    rows = _rows_below(_bands("cho_solve_banded", cb), lower)
    count = rows.shape[1] - 1
    half = solve_banded((count, 0), _as_bands(rows, True), b)
    return traced(solve_banded((0, count), _as_bands(rows, False), half))


@hide_frames
def solveh_banded(
    ab: Any,
    b: Any,
    overwrite_ab: bool = False,
    overwrite_b: bool = False,
    lower: bool = False,
    check_finite: bool = True,
) -> Any:
    """The solution of a system with a Hermitian band matrix that is positive definite.

    Parameters and errors are those of `cholesky_banded`, `b` is a vector, or columns.
    """
    return cho_solve_banded((cholesky_banded(ab, lower=lower), lower), b)


@program
def _whole(ab: Any, *, lower: bool) -> Any:
    (ab,) = inexact(ab)
    rows = _rows_below(_bands("eig_banded", ab), lower)
    size, width = rows.shape
    i, j = np.arange(size)[:, None], np.arange(size)
    inside = (i >= j) & (i - j < width)
    below = np.where(inside, rows[i + 0 * j, np.clip(i - j, 0, width - 1)], 0)
    return traced(below + np.conj(np.where(i > j, below, 0)).T)


def _require_all_values(name: str, select: Any) -> None:
    if select not in ("a", "all", 0):
        raise unsupported(
            f"keyword select= of scipy.linalg.{name}", "take a part of all values and vectors"
        )


@hide_frames
def eig_banded(
    a_band: Any,
    lower: bool = False,
    eigvals_only: bool = False,
    overwrite_a_band: bool = False,
    select: Any = "a",
    select_range: Any = None,
    max_ev: int = 0,
    check_finite: bool = True,
) -> Any:
    """Eigenvalues, and eigenvectors, of a Hermitian band matrix: those of all of the matrix.

    Args:
        a_band: bands, as those of `cholesky_banded`.
        lower: which triangle they are of.
        eigvals_only: whether there are no vectors.
        select: "a"; a part is not supported.
        overwrite_a_band, select_range, max_ev, check_finite: mean nothing.

    Raises:
        UnsupportedError: another `select`.
        ShapeError: the bands are no matrix.
    """
    _require_all_values("eig_banded", select)
    matrix = _whole(a_band, lower=bool(lower))
    return np.linalg.eigvalsh(matrix) if eigvals_only else tuple(np.linalg.eigh(matrix))


@hide_frames
def eigvals_banded(
    a_band: Any,
    lower: bool = False,
    overwrite_a_band: bool = False,
    select: Any = "a",
    select_range: Any = None,
    check_finite: bool = True,
) -> Any:
    """Eigenvalues alone, with the parameters and errors of `eig_banded`."""
    _require_all_values("eigvals_banded", select)
    return np.linalg.eigvalsh(_whole(a_band, lower=bool(lower)))


# -- Fiedler's matrices, other factorisations, subspaces ---------------------------------------


@hide_frames
def fiedler(a: Any) -> Any:
    """The matrix of the distances between the elements of a vector.

    Raises:
        ShapeError: it is none.
    """
    return _fiedler(a)


@program
def _fiedler(a: Any) -> Any:
    x = wrap(traced(a))
    if x.ndim != 1:
        raise ShapeError(f"fiedler: a has shape {x.shape}, not (n,)", source_location())
    return traced(np.abs(x[:, None] - x))


@hide_frames
def rq(
    a: Any,
    overwrite_a: bool = False,
    lwork: Any = None,
    mode: str = "full",
    check_finite: bool = True,
) -> Any:
    """The factors of `a = r q`, r of a triangle and q unitary: by that of the matrix turned round.

    With more columns than rows, and in mode "full", the first rows of q are some that complete it.

    Args:
        a: matrix, of shape (m, n), m <= n unless `mode` is "economic" or "r".
        mode: "full", "economic", or "r", the triangle alone.
        overwrite_a, lwork, check_finite: mean nothing.

    Raises:
        UnsupportedError: another mode, or more rows than columns in "full".
        ShapeError: `a` is no matrix.
    """
    if mode not in ("full", "r", "economic"):
        raise unsupported(f"mode={mode!r} of scipy.linalg.rq", "use full, r or economic")
    r, q = _rq(a, full=mode != "economic")
    return r if mode == "r" else (r, q)


@program
def _rq(a: Any, *, full: bool) -> Any:
    (x,) = inexact(a)
    if x.ndim != 2:
        raise ShapeError(f"rq: a has shape {x.shape}, not (m, n)", source_location())
    q, r = np.linalg.qr(np.conj(x[::-1].T), mode="complete" if full else "reduced")
    q, r = np.conj(q.T)[::-1], np.conj(r.T)[::-1, ::-1]
    return traced(r), traced(q)


@hide_frames
def subspace_angles(A: Any, B: Any) -> Any:
    """The angles between the spaces of the columns of two matrices, the largest one first.

    Those below 45 degrees are found by their sines (Knyazev and Argentati, Principal angles between
    subspaces in an A-based scalar product, 2002). The columns of each are independent.

    Raises:
        ShapeError: the matrices have other numbers of rows.
    """
    return _angles(A, B)


@program
def _angles(a: Any, b: Any) -> Any:
    a, b = inexact(a, b)
    if a.ndim != 2 or b.ndim != 2 or a.shape[0] != b.shape[0]:
        raise ShapeError(
            f"subspace_angles: expected matrices of as many rows, but got shapes {a.shape} and "
            f"{b.shape}",
            source_location(),
        )
    first, second = np.linalg.qr(a)[0], np.linalg.qr(b)[0]
    product = np.conj(first.T) @ second
    cosines = np.linalg.svdvals(product)
    if a.shape[1] >= b.shape[1]:
        rest = second - first @ product
    else:
        rest = first - second @ np.conj(product.T)
    sines = np.clip(np.linalg.svdvals(rest), -1.0, 1.0)
    near = cosines**2 >= 0.5
    cosines = np.where(near, 0.0, np.clip(cosines, -1.0, 1.0))
    angles = np.where(near, np.arcsin(np.where(near, sines[::-1], 0.0)), np.arccos(cosines))
    return traced(angles[::-1])


# -- What is said of matrices ------------------------------------------------------------------


@hide_frames
def issymmetric(a: Any, atol: Any = None, rtol: Any = None) -> Any:
    """Whether a matrix is symmetric: exactly, or within tolerances as those of numpy.allclose.

    Raises:
        LinAlgError: it is not square.
    """
    return _mirrors(a, *_tolerances(atol, rtol), conjugate=False)


@hide_frames
def ishermitian(a: Any, atol: Any = None, rtol: Any = None) -> Any:
    """Whether a matrix is Hermitian, as `issymmetric`."""
    return _mirrors(a, *_tolerances(atol, rtol), conjugate=True)


def _tolerances(atol: Any, rtol: Any) -> tuple[Any, ...]:
    if atol is None and rtol is None:
        return ()
    return (0.0 if atol is None else atol, 0.0 if rtol is None else rtol)


@program
def _mirrors(a: Any, *tolerances: Any, conjugate: bool) -> Any:
    x = wrap(traced(a))
    if x.ndim != 2 or x.shape[0] != x.shape[1]:
        raise LinAlgError("Input array must be a square matrix.", source_location())
    other = np.conj(x.T) if conjugate else x.T
    if not tolerances:
        return traced(np.all(x == other))
    return traced(np.allclose(x, other, atol=tolerances[0], rtol=tolerances[1]))


@hide_frames
def bandwidth(a: Any) -> Any:
    """How many diagonals below and above the main one are not all zero.

    Returns:
        Two int64s.

    Raises:
        ShapeError: it is no matrix.
    """
    return tuple(_widths(a))


@program
def _widths(a: Any) -> Any:
    x = wrap(traced(a))
    if x.ndim != 2:
        raise ShapeError(f"bandwidth: a has shape {x.shape}, not (m, n)", source_location())
    i, j = np.arange(x.shape[0])[:, None], np.arange(x.shape[1])
    held = x != 0
    return tuple(
        [traced(np.max(np.where(held, np.maximum(d, 0), 0), initial=0)) for d in (i - j, j - i)]
    )
