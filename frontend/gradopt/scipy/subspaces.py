# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""`scipy.linalg`: bases of ranges and null spaces, and Hessenberg's form.

How many vectors a basis has is found when code runs. Its derivative is that of singular vectors,
which are one basis of many: functions of the space alone have the derivative of those.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from gradopt.array.handle import wrap
from gradopt.array.operands import traced
from gradopt.base.dtypes import part_dtype
from gradopt.base.frames import hide_frames
from gradopt.base.location import source_location
from gradopt.compilation.programs import program
from gradopt.errors import ShapeError
from gradopt.ir.factorizations import inexact
from gradopt.ir.values import Value
from gradopt.linalg.factors import square
from gradopt.transforms.loops import fori_loop


def _matrix(name: str, a: Any) -> None:
    if np.ndim(a) != 2:
        raise ShapeError(
            f"scipy.linalg.{name} takes a matrix, not an array of shape {np.shape(a)}",
            source_location(),
        )


def _tolerance(rcond: Any, x: Any, s: Any) -> Any:
    relative = np.finfo(part_dtype(x.dtype)).eps * max(x.shape) if rcond is None else rcond
    return np.max(s, initial=0.0) * relative


@hide_frames
def orth(A: Any, rcond: Any = None) -> Any:
    """An orthonormal basis of the range of a matrix, as columns.

    Args:
        A: a matrix, of shape (m, n).
        rcond: singular values up to `rcond` times the largest one count as zero; the rounding
            error times the larger size if None.

    Returns:
        An array of shape (m, rank).

    Raises:
        ShapeError: `A` is no matrix.
    """
    _matrix("orth", A)
    return _range(A, *(() if rcond is None else (rcond,)))


@program
def _range(a: Any, *rcond: Any) -> Value:
    x = wrap(inexact(traced(a)))
    u, s, _ = np.linalg.svd(x, full_matrices=False)
    return traced(u[:, s > _tolerance(rcond[0] if rcond else None, x, s)])


@hide_frames
def null_space(
    A: Any,
    rcond: Any = None,
    *,
    overwrite_a: bool = False,
    check_finite: bool = True,
    lapack_driver: str = "gesdd",
) -> Any:
    """An orthonormal basis of what a matrix maps to zero, as columns.

    Args:
        A: a matrix, of shape (m, n).
        rcond: as for `orth`.
        overwrite_a, check_finite, lapack_driver: mean nothing.

    Returns:
        An array of shape (n, n - rank).

    Raises:
        ShapeError: `A` is no matrix.
    """
    _matrix("null_space", A)
    return _null(A, *(() if rcond is None else (rcond,)))


@program
def _null(a: Any, *rcond: Any) -> Value:
    x = wrap(inexact(traced(a)))
    _, s, vh = np.linalg.svd(x, full_matrices=True)
    is_null = s <= _tolerance(rcond[0] if rcond else None, x, s)
    beyond = np.ones(x.shape[1] - s.shape[0], dtype=bool)
    return traced(np.conj(vh.T)[:, np.concatenate([is_null, beyond])])


# -- Hessenberg's form -------------------------------------------------------------------------


@hide_frames
def hessenberg(
    a: Any, calc_q: bool = False, overwrite_a: bool = False, check_finite: bool = True
) -> Any:
    """Hessenberg's form `h` of a square matrix, with `a = q h q^H`: zero below the subdiagonal.

    It is unique, with its derivatives, while no element of the subdiagonal is zero.

    Args:
        a: a matrix, of shape (n, n).
        calc_q: whether to return the unitary `q`, too.
        overwrite_a, check_finite: mean nothing.

    Raises:
        ShapeError: `a` is no matrix.
        LinAlgError: it is not square.
    """
    _matrix("hessenberg", a)
    h, q = _hessenberg(a)
    return (h, q) if calc_q else h


@program
def _hessenberg(a: Any) -> tuple[Value, Value]:
    """By Householder's reflections, with the signs that LAPACK's `gehrd` gives them."""
    x = wrap(square(a))
    n = x.shape[0]
    rows = np.arange(n)

    def step(k: Any, state: Any) -> Any:
        h, q = state
        is_pivot, is_below = rows == k + 1, rows > k + 1
        column = h[:, k]
        pivot, below = np.sum(np.where(is_pivot, column, 0)), np.where(is_below, column, 0)
        size = np.sum(np.abs(below) ** 2)
        # Where nothing has to be reflected, nothing is.
        is_done = (size == 0) & (np.imag(pivot) == 0)
        length = np.sqrt(np.where(is_done, 1, np.abs(pivot) ** 2 + size))
        diagonal = np.where(np.real(pivot) < 0, length, -length)
        tau = np.where(is_done, 0, (diagonal - pivot) / diagonal)
        scale = np.where(is_done, 1, pivot - diagonal)
        v = np.where(is_pivot, 1, below / scale).astype(x.dtype)
        h = h - np.conj(tau) * np.outer(v, np.conj(v) @ h)
        h = h - tau * np.outer(h @ v, np.conj(v))
        q = q - tau * np.outer(q @ v, np.conj(v))
        return h, q

    h, q = x, np.eye(n, dtype=x.dtype)
    # The last one makes a complex element of the subdiagonal real. With two rows, all stays.
    steps = 0 if n <= 2 else n - 1 if x.dtype.kind == "c" else n - 2
    if steps > 0:
        h, q = fori_loop(0, steps, step, (h, q))
    return traced(np.triu(h, -1)), traced(q)
