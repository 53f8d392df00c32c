# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""`scipy.linalg`: systems with band matrices, and equations whose unknown is a matrix."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from gradopt.array.dispatch import unsupported
from gradopt.array.operands import traced
from gradopt.base.frames import hide_frames
from gradopt.base.location import source_location
from gradopt.compilation.programs import program
from gradopt.errors import ArgumentError, LinAlgError, ShapeError
from gradopt.ir.checks import require_all
from gradopt.scipy.operands import inexact
from gradopt.transforms.loops import scan

# Unknowns of a matrix equation that are solved for as a vector.
_MOST_UNKNOWNS = 4096


@hide_frames
def solve_banded(
    l_and_u: Any,
    ab: Any,
    b: Any,
    overwrite_ab: bool = False,
    overwrite_b: bool = False,
    check_finite: bool = True,
) -> Any:
    """The solution of a system with a band matrix, by elimination with pivots.

    It takes time and memory of n (l + 1) (l + u + 1), in loops.

    Args:
        l_and_u: how many diagonals there are below and above the main one.
        ab: of shape (l + u + 1, n): `ab[u + i - j, j]` is the element (i, j) of the matrix.
        b: a vector of n elements, or columns, of shape (n, k).
        overwrite_ab: means nothing.
        overwrite_b: means nothing.
        check_finite: means nothing.

    Returns:
        The solution, of the shape of `b`.

    Raises:
        LinAlgError: the matrix is singular.
        ArgumentError: a number of diagonals is negative.
        ShapeError: the shapes do not go together.
    """
    below, above = (operator.index(count) for count in l_and_u)
    if below < 0 or above < 0:
        raise ArgumentError(f"solve_banded: l_and_u must not be negative, got {l_and_u}")
    return _solve_banded(ab, b, below=below, above=above)


@program
def _solve_banded(ab: Any, b: Any, *, below: int, above: int) -> Any:
    bands, right = inexact(ab, b)
    width = below + above + 1
    if bands.ndim != 2 or bands.shape[0] != width:
        raise ShapeError(
            f"solve_banded: ab has shape {bands.shape}, for {below} diagonals below and {above} "
            f"above: expected ({width}, n)",
            source_location(),
        )
    size = bands.shape[1]
    if right.ndim not in (1, 2) or right.shape[0] != size:
        raise ShapeError(
            f"solve_banded: ab is of a matrix of {size} rows, but b has shape {right.shape}",
            source_location(),
        )
    columns = right[:, None] if right.ndim == 1 else right
    if not size:
        return traced(right)
    # Rows of the matrix from the first column of the band on, and zeros behind the last one.
    row, place = np.meshgrid(np.arange(size), np.arange(width), indexing="ij")
    column = row - below + place
    inside = (column >= 0) & (column < size)
    taken = bands[np.broadcast_to(width - 1 - place, row.shape), np.clip(column, 0, size - 1)]
    rows = np.pad(np.where(inside, taken, 0), [(0, below + 1), (0, 0)])
    columns = np.pad(columns, [(0, below + 1), (0, 0)])
    # The window: rows k to k + below, columns from k on.
    count, zero = below + 1, np.zeros_like(rows[:1, 0])
    first = [
        np.concatenate([rows[i, below - i :], np.zeros_like(rows[i, : below - i])])
        for i in range(count)
    ]
    window, sides = np.stack(first), columns[:count]

    def eliminate(state: Any, following: Any) -> Any:
        window, sides = state
        pivot = np.argmax(np.abs(window[:, 0]))
        order = np.arange(count)
        order = np.where(order == 0, pivot, np.where(order == pivot, 0, order))
        window, sides = np.take(window, order, axis=0), np.take(sides, order, axis=0)
        require_all(traced(window[0, 0] != 0), "singular matrix", LinAlgError)
        factors = window[1:, :1] / window[0, 0]
        rest = (window[1:] - factors * window[0])[:, 1:]
        rest = np.concatenate([rest, np.zeros_like(window[1:, :1])], axis=1)
        row, side = following
        after = np.concatenate([rest, row[None]])
        side = np.concatenate([sides[1:] - factors * sides[0], side[None]])
        return (after, side), (window[0], sides[0])

    following = (rows[count : count + size], columns[count : count + size])
    _, (upper, reduced) = scan(eliminate, (window, sides), following)

    def substitute(behind: Any, step: Any) -> Any:
        row, side = step
        x = (side - row[1:] @ behind) / row[0]
        return np.concatenate([x[None], behind])[: width - 1], x

    behind = np.zeros((width - 1, columns.shape[1]), rows.dtype) + zero
    _, solution = scan(substitute, behind, (upper, reduced), reverse=True)
    return traced(np.reshape(solution, right.shape))


@hide_frames
def solve_sylvester(a: Any, b: Any, q: Any) -> Any:
    """The solution x of `a x + x b = q`.

    It is solved as a system for all elements of x, so that there must not be many: SciPy's Schur
    decompositions have no counterpart here yet.

    Args:
        a: of shape (m, m).
        b: of shape (n, n).
        q: of shape (m, n).

    Returns:
        A matrix of shape (m, n).

    Raises:
        LinAlgError: there is no single solution: eigenvalues of `a` and `-b` are equal.
        ShapeError: the shapes do not go together.
        UnsupportedError: x has more than 4096 elements.
    """
    return _solve_sylvester(a, b, q)


@program
def _solve_sylvester(a: Any, b: Any, q: Any) -> Any:
    x, y, right = inexact(a, b, q)
    if x.ndim != 2 or y.ndim != 2 or right.shape != (len(x), len(y)):
        raise ShapeError(
            f"solve_sylvester: expected shapes (m, m), (n, n) and (m, n), got {x.shape}, "
            f"{y.shape} and {right.shape}",
            source_location(),
        )
    if x.shape[0] != x.shape[1] or y.shape[0] != y.shape[1]:
        raise ShapeError(
            f"solve_sylvester: a and b must be square, got {x.shape} and {y.shape}",
            source_location(),
        )
    return traced(_sylvester("solve_sylvester", x, y, right))


def _sylvester(name: str, a: Any, b: Any, q: Any) -> Any:
    if q.size > _MOST_UNKNOWNS:
        raise unsupported(
            f"scipy.linalg.{name} for a matrix of {q.size} elements",
            f"at most {_MOST_UNKNOWNS} are solved for at once; reduce a and b to triangular form "
            "before the call",
        )
    system = np.kron(a, np.eye(len(b))) + np.kron(np.eye(len(a)), b.T)
    return np.linalg.solve(system.astype(q.dtype), np.ravel(q)).reshape(q.shape)


@hide_frames
def solve_continuous_lyapunov(a: Any, q: Any) -> Any:
    """The solution x of `a x + x a^H = q`; limits and errors are those of `solve_sylvester`."""
    return _solve_continuous_lyapunov(a, q)


@program
def _solve_continuous_lyapunov(a: Any, q: Any) -> Any:
    x, right = inexact(a, q)
    _require_like(x, right, "solve_continuous_lyapunov")
    return traced(_sylvester("solve_continuous_lyapunov", x, np.conj(x.T), right))


@hide_frames
def solve_discrete_lyapunov(a: Any, q: Any, method: str | None = None) -> Any:
    """The solution x of `a x a^H - x + q = 0`.

    Args:
        a: of shape (n, n).
        q: of the same shape.
        method: None or "direct".

    Returns:
        A matrix of that shape; limits and errors are those of `solve_sylvester`.

    Raises:
        UnsupportedError: another method.
    """
    if method not in (None, "direct"):
        raise unsupported(
            f"method={method!r} of scipy.linalg.solve_discrete_lyapunov", "use direct"
        )
    return _solve_discrete_lyapunov(a, q)


@program
def _solve_discrete_lyapunov(a: Any, q: Any) -> Any:
    x, right = inexact(a, q)
    _require_like(x, right, "solve_discrete_lyapunov")
    if right.size > _MOST_UNKNOWNS:
        raise unsupported(
            f"scipy.linalg.solve_discrete_lyapunov for a matrix of {right.size} elements",
            f"at most {_MOST_UNKNOWNS} are solved for at once",
        )
    system = np.eye(right.size) - np.kron(x, np.conj(x))
    return traced(np.linalg.solve(system, np.ravel(right)).reshape(right.shape))


def _require_like(a: Any, q: Any, name: str) -> None:
    if a.ndim != 2 or a.shape[0] != a.shape[1] or q.shape != a.shape:
        raise ShapeError(
            f"{name}: expected two square matrices of one shape, got {a.shape} and {q.shape}",
            source_location(),
        )
