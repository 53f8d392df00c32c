# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""`scipy.linalg`: matrices that are made of a few numbers or of other matrices."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from gradopt.array.handle import wrap
from gradopt.array.operands import traced
from gradopt.base.frames import hide_frames
from gradopt.base.location import source_location
from gradopt.compilation.programs import program
from gradopt.errors import ArgumentError, ShapeError
from gradopt.functions.products import promoted
from gradopt.ir import prims
from gradopt.ir.values import Value
from gradopt.scipy.operands import inexact


@hide_frames
def block_diag(*arrs: Any) -> Any:
    """The matrix with these matrices along its diagonal, and zeros elsewhere.

    Args:
        arrs: matrices; vectors and numbers count as rows.

    Returns:
        A matrix of the arrays' common dtype.

    Raises:
        ShapeError: an array has more than two dimensions.
    """
    return _block_diag(*(arrs or (np.zeros((1, 0)),)))


@program
def _block_diag(*arrays: Any) -> Value:
    blocks = promoted(*arrays)
    for block in blocks:
        if block.ndim > 2:
            raise ShapeError(
                f"block_diag: arrays must have at most two dimensions, not {block.ndim}",
                source_location(),
            )
    blocks = [x if x.ndim == 2 else prims.reshape(x, (1, x.size)) for x in blocks]
    width = sum(x.shape[1] for x in blocks)
    rows: list[Value] = []
    place = 0
    for block in blocks:
        behind = width - place - block.shape[1]
        rows.append(prims.pad(block, [0, place], [0, behind], [0, 0]))
        place += block.shape[1]
    return prims.concatenate(rows, 0)


@hide_frames
def toeplitz(c: Any, r: Any = None) -> Any:
    """The matrix that is constant along its diagonals.

    Args:
        c: vector: the first column.
        r: vector: the first row, whose first element is not used; the conjugate of `c` if None.

    Returns:
        A matrix of the vectors' common dtype.

    Raises:
        ShapeError: they are no vectors.
    """
    return _toeplitz(c) if r is None else _toeplitz(c, r)


@program
def _toeplitz(c: Any, r: Any = None) -> Value:
    column = traced(c)
    row = prims.conjugate(column) if r is None else traced(r)
    column, row = promoted(column, row)
    if column.ndim != 1 or row.ndim != 1:
        raise ShapeError(
            f"toeplitz: the column and the row must be vectors, but their shapes are "
            f"{column.shape} and {row.shape}",
            source_location(),
        )
    if column.size == 0 or row.size == 0:
        return prims.full((column.size, row.size), 0, column.dtype)
    rest = prims.take_range(row, 0, 1, row.size)
    line = prims.concatenate([prims.reverse(column, [0]), rest], 0)
    i = np.arange(column.size)[:, None]
    places = column.size - 1 - i + np.arange(row.size)
    return _gathered(line, places)


def _vector(name: str, value: Any) -> Value:
    """A vector that has elements.

    Raises:
        ShapeError: it is none.
    """
    x = traced(value)
    if x.ndim != 1 or x.size == 0:
        raise ShapeError(
            f"{name}: expected a vector that has elements, but the shape is {x.shape}",
            source_location(),
        )
    return x


def _gathered(line: Value, places: np.ndarray[Any, Any]) -> Value:
    """The elements of a vector at places, in their shape."""
    return prims.gather(line, prims.as_value(places[..., None]))


@hide_frames
def circulant(c: Any) -> Any:
    """The matrix whose columns are `c`, each turned one place further.

    Args:
        c: vector of n elements.

    Returns:
        A matrix of shape (n, n).

    Raises:
        ShapeError: `c` is no vector that has elements.
    """
    return _circulant(c)


@program
def _circulant(c: Any) -> Value:
    column = _vector("circulant", c)
    i = np.arange(column.size)
    return _gathered(column, (i[:, None] - i) % column.size)


@hide_frames
def hankel(c: Any, r: Any = None) -> Any:
    """The matrix that is constant along its counterdiagonals.

    Args:
        c: vector: the first column.
        r: vector: the last row, whose first element is not used; zeros if None.

    Raises:
        ShapeError: they are no vectors that have elements.
    """
    return _hankel(c) if r is None else _hankel(c, r)


@program
def _hankel(c: Any, r: Any = None) -> Value:
    column = _vector("hankel", c)
    row = prims.full(column.shape, 0, column.dtype) if r is None else _vector("hankel", r)
    column, row = promoted(column, row)
    line = prims.concatenate([column, prims.take_range(row, 0, 1, row.size)], 0)
    return _gathered(line, np.arange(column.size)[:, None] + np.arange(row.size))


@hide_frames
def companion(a: Any) -> Any:
    """The matrix whose characteristic polynomial has these coefficients.

    Args:
        a: vector of n >= 2 coefficients, of the highest power first, which must not be zero.

    Returns:
        A matrix of shape (n - 1, n - 1).

    Raises:
        ShapeError: it is no vector of that many.
    """
    return _companion(a)


@program
def _companion(a: Any) -> Value:
    (x,) = inexact(_vector("companion", a))
    if x.size < 2:
        raise ShapeError("companion: the length of `a` must be at least 2", source_location())
    n = x.size - 1
    return traced(np.concatenate([(-x[1:] / x[0])[None], np.eye(n - 1, n, dtype=x.dtype)]))


@hide_frames
def convolution_matrix(a: Any, n: int, mode: str = "full") -> Any:
    """The matrix whose product with a vector of n elements is its convolution with `a`.

    Args:
        a: vector.
        n: how many columns there are.
        mode: "full", "same" or "valid", as of numpy.convolve.

    Raises:
        ShapeError: `a` is no vector that has elements.
        ArgumentError: n is not positive, or there is no such mode.
    """
    count = operator.index(n)
    if count <= 0:
        raise ArgumentError("n must be a positive integer.", source_location())
    if mode not in ("full", "valid", "same"):
        raise ArgumentError("`mode` argument must be one of ('full', 'valid', 'same')")
    return _convolution_matrix(a, n=count, mode=mode)


@program
def _convolution_matrix(a: Any, *, n: int, mode: str) -> Value:
    x = _vector("convolution_matrix", a)
    zeros = prims.full((1,), 0, x.dtype)
    size = x.size
    i, j = np.arange(size + n - 1)[:, None], np.arange(n)
    inside = (i - j >= 0) & (i - j < size)
    whole = _gathered(prims.concatenate([x, zeros], 0), np.where(inside, i - j, size))
    if mode == "full":
        return whole
    kept = max(size, n) if mode == "same" else abs(size - n) + 1
    first = (size + n - 1 - kept) // 2 if mode == "same" else min(size, n) - 1
    return prims.take_range(whole, 0, first, first + kept)


@hide_frames
def khatri_rao(a: Any, b: Any) -> Any:
    """The products of Kronecker's of columns.

    Args:
        a: matrix of shape (n, k).
        b: matrix of shape (m, k).

    Returns:
        A matrix of shape (n m, k).

    Raises:
        ShapeError: they are no matrices of as many columns.
    """
    return _khatri_rao(a, b)


@program
def _khatri_rao(a: Any, b: Any) -> Value:
    x, y = map(wrap, promoted(a, b))
    if x.ndim != 2 or y.ndim != 2 or x.shape[1] != y.shape[1]:
        raise ShapeError(
            f"khatri_rao: expected matrices of as many columns, but the shapes are {x.shape} and "
            f"{y.shape}",
            source_location(),
        )
    return traced(np.reshape(x[:, None] * y, (-1, x.shape[1])))
