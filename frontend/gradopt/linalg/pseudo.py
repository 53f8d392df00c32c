# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""`numpy.linalg`: pseudo-inverses, least squares, ranks and condition numbers."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from gradopt.array.dispatch import UFUNCS, implements
from gradopt.array.handle import array_of, wrap
from gradopt.array.operands import traced
from gradopt.base.dtypes import INT32, INT64, part_dtype
from gradopt.base.location import source_location
from gradopt.errors import LinAlgError, ShapeError
from gradopt.functions.linalg import norm
from gradopt.functions.products import matmul, promoted
from gradopt.functions.reductions import any_, count_nonzero, max_, square_of_size, sum_
from gradopt.ir import factorizations, prims
from gradopt.ir.factorizations import adjoint, inexact
from gradopt.ir.values import Value
from gradopt.linalg.factors import mirrored, singular, square
from gradopt.transforms.custom import custom_jvp

_Missing = type(np._NoValue)


def _precision(x: Value) -> float:
    return float(np.finfo(x.dtype).eps) * max(x.shape[-2:])


def _cutoff(s: Value, tolerance: Any) -> Value:
    """For each matrix, what its singular values that count are larger than."""
    if s.shape[-1] == 0:
        return prims.full((*s.shape[:-1], 1), 0, s.dtype)
    limit = traced(tolerance, s.dtype)
    return max_(s, -1, keepdims=True) * prims.reshape(limit, (*limit.shape, 1))


@custom_jvp
def _pseudo_inverse(a: Any, tolerance: Any) -> Any:
    x = traced(a)
    u, s, vh = factorizations.svd(x, False)
    counts = s > _cutoff(s, tolerance)
    one, zero = prims.full((), 1, s.dtype), prims.full((), 0, s.dtype)
    inverse = prims.select(counts, 1.0 / prims.select(counts, s, one), zero)
    inverse = prims.convert(inverse, x.dtype)
    scaled = adjoint(vh) * prims.reshape(inverse, (*s.shape[:-1], 1, s.shape[-1]))
    return array_of(matmul(scaled, adjoint(u)))


def _require_rank(x: Value, tolerance: Any) -> None:
    s = factorizations.svd(x, False)[1]
    counts = s > _cutoff(s, tolerance)
    factorizations.require_all_of(
        counts | (s <= _cutoff(s, _precision(x))),
        "the derivative of a pseudo-inverse that leaves out singular values which are not 0 is not "
        "supported: choose a smaller rcond, or leave them out of the matrix before",
    )


@_pseudo_inverse.defjvp
def _pseudo_inverse_rule(primals: Any, tangents: Any) -> Any:
    """Golub, Pereyra: *The differentiation of pseudo-inverses …*, SIAM J. Numer. Anal. 10 (1973).

    Of matrices whose rank does not change. Equal singular values do no harm. Those that are left
    out have to be zeros but for rounding: with others, the matrix that is inverted changes in more
    ways than the rule knows.

    Raises:
        LinAlgError: when the compiled code runs, if they are not.
    """
    a, tolerance = primals
    _require_rank(traced(a), tolerance)
    p = _pseudo_inverse(a, tolerance)
    da = tangents[0]
    ph, dah = np.conj(np.matrix_transpose(p)), np.conj(np.matrix_transpose(da))
    rows, columns = a.shape[-2:]
    within = -p @ da @ p
    left = p @ (ph @ dah)
    right = (dah @ ph) @ p
    beyond = left @ (np.eye(rows, dtype=a.dtype) - a @ p)
    before = (np.eye(columns, dtype=a.dtype) - p @ a) @ right
    return p, within + beyond + before


@implements(np.linalg.pinv)
def pinv(a: Any, rcond: Any = None, hermitian: bool = False, *, rtol: Any = np._NoValue) -> Any:
    """`numpy.linalg.pinv`; the derivative is that of a rank that does not change."""
    x = square(a) if hermitian else inexact(traced(a))
    if rcond is None:
        rcond = 1e-15 if isinstance(rtol, _Missing) else rtol
        if rcond is None:
            rcond = _precision(x)
    elif not isinstance(rtol, _Missing):
        raise ShapeError("`rtol` and `rcond` can't be both set.", source_location())
    if x.size == 0:
        return prims.full((*x.shape[:-2], x.shape[-1], x.shape[-2]), 0, x.dtype)
    x = mirrored(x) if hermitian else x
    return _pseudo_inverse(array_of(x), array_of(traced(rcond, part_dtype(x.dtype))))


@implements(np.linalg.lstsq)
def lstsq(a: Any, b: Any, rcond: Any = None) -> Any:
    """`numpy.linalg.lstsq`.

    The residuals of a tall matrix are NaN if its rank is not full: NumPy's are an array without
    elements then.
    """
    x, y = promoted(a, b)
    x = inexact(x)
    y = prims.convert(y, x.dtype)
    if x.ndim != 2:
        raise LinAlgError(
            f"{x.ndim}-dimensional array given. Array must be two-dimensional", source_location()
        )
    if y.ndim not in (1, 2):
        raise LinAlgError(
            f"{y.ndim}-dimensional array given. Array must be one- or two-dimensional",
            source_location(),
        )
    (m, n), k = x.shape, min(x.shape)
    if y.shape[0] != m:
        raise LinAlgError("Incompatible dimensions", source_location())
    if rcond is None:
        rcond = _precision(x)
    elif not isinstance(rcond, Value) and np.ndim(rcond) == 0 and _is_negative(rcond):
        rcond = float(np.finfo(x.dtype).eps)
    s = factorizations.svd(x, False)[1]
    rank = count_nonzero(wrap(s > _cutoff(s, rcond)))
    if x.size == 0:
        solution = prims.full((n, *y.shape[1:]), 0, x.dtype)
    else:
        p = _pseudo_inverse(array_of(x), array_of(traced(rcond, part_dtype(x.dtype))))
        solution = matmul(p, y)
    if m > n:
        rest = y - matmul(x, solution)
        squares = sum_(square_of_size(rest), 0)
        squares = prims.reshape(squares, (squares.size,))
        full = prims.equal(traced(rank), prims.scalar(k, INT64))
        residuals = prims.select(full, squares, prims.full((), math.nan, squares.dtype))
    else:
        residuals = prims.full((0,), 0, part_dtype(x.dtype))
    rank = prims.convert(traced(rank), INT32)
    return tuple(wrap(part) for part in (solution, residuals, rank, s))


def _is_negative(number: Any) -> bool:
    return isinstance(number, (int, float)) and number < 0


@implements(np.linalg.matrix_rank)
def matrix_rank(A: Any, tol: Any = None, hermitian: bool = False, *, rtol: Any = None) -> Value:
    """`numpy.linalg.matrix_rank`: an int64 for each matrix."""
    x = traced(A)
    if x.ndim < 2:
        return prims.convert(any_(wrap(prims.not_equal(x, 0))), INT64)
    s = singular(x, hermitian, full=False)[1]
    if tol is not None:
        limit = traced(tol, s.dtype)
        limit = prims.reshape(limit, (*limit.shape, 1))
    else:
        limit = _cutoff(s, _precision(inexact(x)) if rtol is None else rtol)
    return count_nonzero(wrap(s > limit), -1)


@implements(np.linalg.cond)
def cond(x: Any, p: Any = None) -> Any:
    """`numpy.linalg.cond`; infinite for singular matrices."""
    a = inexact(traced(x))
    if a.size == 0 and 0 in a.shape[-2:]:
        raise LinAlgError("cond is not defined on empty arrays", source_location())
    if p in (None, 2, -2):
        s = singular(a, hermitian=False, full=False)[1]
        count = s.shape[-1]
        ends = [
            prims.reshape(prims.take_range(s, s.ndim - 1, i, i + 1), s.shape[:-1])
            for i in (0, count - 1)
        ]
        ratio = ends[1] / ends[0] if p == -2 else ends[0] / ends[1]
    else:
        a = square(a)
        factors, pivots, _, _ = factorizations.lu(a)
        inverse = factorizations.lu_solve(a, factors, pivots, factorizations.identities(a))
        ratio = norm(a, p, (-2, -1)) * norm(inverse, p, (-2, -1))
    is_nan = UFUNCS[np.isnan]
    unknown = any_(wrap(is_nan(a)), (-2, -1))
    infinite = is_nan(ratio) & ~traced(unknown)
    return prims.select(infinite, prims.full((), math.inf, part_dtype(a.dtype)), ratio)
