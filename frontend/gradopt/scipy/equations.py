# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""`scipy.linalg`: systems with band matrices, and equations whose unknown is a matrix."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from gradopt.array.dispatch import unsupported
from gradopt.array.handle import array_of
from gradopt.array.operands import traced
from gradopt.base.frames import hide_frames
from gradopt.base.location import source_location
from gradopt.compilation.programs import program
from gradopt.errors import ArgumentError, LinAlgError, ShapeError
from gradopt.functions.products import matmul
from gradopt.ir import factorizations
from gradopt.ir.checks import require_all
from gradopt.scipy.operands import inexact
from gradopt.transforms.custom import custom_vjp
from gradopt.transforms.loops import scan

# Unknowns of a matrix equation that are solved for as a vector.
_MOST_UNKNOWNS = 4096
# Rows from which SciPy solves a discrete equation as a continuous one.
_FEWEST_BILINEAR = 10


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
    """The solution x of `a x + x b = q` (Bartels, Stewart: Solution of the matrix equation, 1972).

    The derivatives are solutions of such equations, too: of `a dx + dx b = dq - da x - x db`.

    Args:
        a: of shape (m, m).
        b: of shape (n, n).
        q: of shape (m, n).

    Returns:
        A matrix of shape (m, n).

    Raises:
        LinAlgError: there is no single solution: an eigenvalue of `a` is one of `-b`.
        ShapeError: the shapes do not go together.
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
    return traced(checked_sylvester("solve_sylvester", x, y, right))


def checked_sylvester(name: str, a: Any, b: Any, q: Any) -> Any:
    """The solution, of which all is finite, for SciPy's function of that name."""
    for matrix in (a, b):
        # The same that `sylvester` calculates: here it is checked.
        factorizations.schur(traced(matrix))
    x = sylvester(a, b, q)
    parts = [x.real, x.imag] if np.iscomplexobj(x) else [x]
    for part in parts:
        require_all(
            traced(np.isfinite(part)), f"{name}: the equation has no single solution", LinAlgError
        )
    return x


@custom_vjp
def sylvester(a: Any, b: Any, q: Any) -> Any:
    """The solution of `a x + x b = q`, for stacks of matrices of one dtype and batch: unchecked."""
    form, left, _ = factorizations.unchecked_schur(traced(a))
    other, right, _ = factorizations.unchecked_schur(traced(b))
    inside = matmul(matmul(factorizations.adjoint(left), traced(q)), right)
    x = factorizations.triangular_sylvester(form, other, inside)
    return array_of(matmul(matmul(left, x), factorizations.adjoint(right)))


@sylvester.defjvp
def _sylvester_tangent(primals: Any, tangents: Any) -> Any:
    a, b, _ = primals
    da, db, dq = tangents
    x = sylvester(*primals)
    return x, sylvester(a, b, dq - da @ x - x @ db)


def _sylvester_forwards(a: Any, b: Any, q: Any) -> Any:
    x = sylvester(a, b, q)
    return x, (a, b, x)


def _sylvester_backwards(residuals: Any, cotangent: Any) -> Any:
    a, b, x = residuals
    y = sylvester(np.matrix_transpose(a), np.matrix_transpose(b), cotangent)
    xt = np.matrix_transpose(x)
    return -(y @ xt), -(xt @ y), y


sylvester.defvjp(_sylvester_forwards, _sylvester_backwards)


@hide_frames
def solve_continuous_lyapunov(a: Any, q: Any) -> Any:
    """The solution x of `a x + x a^H = q`; errors are those of `solve_sylvester`."""
    return _solve_continuous_lyapunov(a, q)


@program
def _solve_continuous_lyapunov(a: Any, q: Any) -> Any:
    x, right = inexact(a, q)
    _require_like(x, right, "solve_continuous_lyapunov")
    return traced(checked_sylvester("solve_continuous_lyapunov", x, np.conj(x.T), right))


@hide_frames
def solve_discrete_lyapunov(a: Any, q: Any, method: str | None = None) -> Any:
    """The solution x of `a x a^H - x + q = 0`.

    Args:
        a: of shape (n, n).
        q: of the same shape.
        method: "direct": a system for all elements, of which there must be at most 4096;
            "bilinear": a continuous equation, for which -1 must not be an eigenvalue of `a`; None:
            the first one for less than 10 rows, as in SciPy.

    Returns:
        A matrix of that shape; errors are those of `solve_sylvester`.

    Raises:
        ArgumentError: another method.
        UnsupportedError: a direct system has too many elements.
    """
    if method not in (None, "direct", "bilinear"):
        raise ArgumentError(f"solve_discrete_lyapunov: unknown method {method!r}")
    return _solve_discrete_lyapunov(a, q, method=method)


@program
def _solve_discrete_lyapunov(a: Any, q: Any, *, method: str | None) -> Any:
    x, right = inexact(a, q)
    _require_like(x, right, "solve_discrete_lyapunov")
    if method is None:
        method = "direct" if len(x) < _FEWEST_BILINEAR else "bilinear"
    if method == "bilinear":
        # Of (a - 1) / (a + 1), which maps the inside of the circle to the left half-plane.
        eye = np.eye(len(x), dtype=x.dtype)
        inverse = np.linalg.inv(np.conj(x.T) + eye)
        b = (np.conj(x.T) - eye) @ inverse
        c = 2 * np.linalg.inv(x + eye) @ right @ inverse
        return traced(checked_sylvester("solve_discrete_lyapunov", np.conj(b.T), b, -c))
    if right.size > _MOST_UNKNOWNS:
        raise unsupported(
            f"method='direct' of scipy.linalg.solve_discrete_lyapunov for {right.size} elements",
            f"at most {_MOST_UNKNOWNS} are solved for at once; use bilinear",
        )
    system = np.eye(right.size) - np.kron(x, np.conj(x))
    return traced(np.linalg.solve(system, np.ravel(right)).reshape(right.shape))


def _require_like(a: Any, q: Any, name: str) -> None:
    if a.ndim != 2 or a.shape[0] != a.shape[1] or q.shape != a.shape:
        raise ShapeError(
            f"{name}: expected two square matrices of one shape, got {a.shape} and {q.shape}",
            source_location(),
        )
