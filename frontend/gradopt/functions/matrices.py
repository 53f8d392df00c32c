# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Diagonals and triangles of matrices, and elements taken by index."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from gradopt.array.dispatch import call_function, call_ufunc, implements, unsupported
from gradopt.array.handle import Handle, array_of
from gradopt.array.indexing import elements
from gradopt.array.operands import handle_of, listed, traced
from gradopt.array.views import Diagonal
from gradopt.base.dtypes import INT64, result_type
from gradopt.base.location import source_location
from gradopt.base.unknown_sizes import unknown_size
from gradopt.errors import ShapeError
from gradopt.functions.reductions import sum_
from gradopt.ir import places, prims
from gradopt.ir.extents import Sizes, is_extent
from gradopt.ir.values import Value


def diagonal_view(x: Handle, offset: int, axis1: int, axis2: int, writable: bool) -> Handle:
    """The diagonal of two dimensions, behind the others.

    Raises:
        ShapeError: there are less than two dimensions.
    """
    i, j = _diagonal_axes(x, axis1, axis2)
    x = x._with_axes([*[k for k in range(x.ndim) if k not in (i, j)], i, j])
    return x._view(Diagonal(x.shape, operator.index(offset), writable))


def _diagonal_axes(x: Handle, axis1: int, axis2: int) -> tuple[int, int]:
    if x.ndim < 2:
        raise ShapeError("diag requires an array of at least two dimensions", source_location())
    i, j = prims.normalize_axis(axis1, x.ndim), prims.normalize_axis(axis2, x.ndim)
    if i == j:
        raise ShapeError("axis1 and axis2 cannot be the same", source_location())
    return i, j


@implements(np.diagonal)
def diagonal(a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Handle:
    """`numpy.diagonal`: a view that cannot be written to."""
    x = handle_of(a)
    if x._extents.__class__ is not Sizes:
        return diagonal_view(x, offset, axis1, axis2, writable=False)
    i, j = _diagonal_axes(x, axis1, axis2)
    order = [*[k for k in range(x.ndim) if k not in (i, j)], i, j]
    moved = prims.transpose(x._read(), order)
    if not any(map(is_extent, moved.shape[-2:])):
        raise unknown_size("numpy.diagonal beside a dimension")
    return array_of(places.diagonal(moved, operator.index(offset)))


@implements(np.linalg.diagonal)
def linalg_diagonal(x: Any, /, *, offset: int = 0) -> Handle:
    """`numpy.linalg.diagonal`."""
    return diagonal(x, offset, -2, -1)


@implements(np.diag)
def diag(v: Any, k: int = 0) -> Any:
    """`numpy.diag`: a vector padded to a matrix, or the diagonal of a matrix."""
    h = handle_of(v)
    if h.ndim == 2:
        return diagonal(h, k)
    if h.ndim != 1:
        raise ShapeError("Input must be 1- or 2-d.", source_location())
    return _padded(h._read(), k)


def _padded(x: Value, k: int) -> Value:
    """The matrix with this diagonal."""
    size = x.size + abs(k)
    if not x.size:
        return prims.full((size, size), 0, x.dtype)
    start = k if k >= 0 else -k * size
    span = x.size + (x.size - 1) * size
    flat = prims.pad(x, [start], [size * size - start - span], [size])
    return prims.reshape(flat, (size, size))


@implements(np.diagflat)
def diagflat(v: Any, k: int = 0) -> Value:
    """`numpy.diagflat`."""
    x = traced(v)
    return _padded(prims.reshape(x, (x.size,)), k)


@implements(np.trace)
def trace(a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1, dtype: Any = None) -> Value:
    """`numpy.trace`."""
    return sum_(diagonal(a, offset, axis1, axis2), -1, dtype)


@implements(np.linalg.trace)
def linalg_trace(x: Any, /, *, offset: int = 0, dtype: Any = None) -> Value:
    """`numpy.linalg.trace`."""
    return trace(x, offset, -2, -1, dtype)


def _triangle(m: Any, k: int, lower: bool) -> Value:
    x = traced(m)
    if x.ndim < 2:
        # NumPy makes a matrix of equal rows.
        x = prims.broadcast_to(x, (x.size, x.size))
    shape = x.shape[-2:]
    rows, columns = prims.iota(shape, 0, INT64), prims.iota(shape, 1, INT64)
    mask = columns <= rows + k if lower else columns >= rows + k
    return prims.select(mask, x, prims.full((), 0, x.dtype))


@implements(np.tril)
def tril(m: Any, k: int = 0) -> Value:
    """`numpy.tril`."""
    return _triangle(m, k, lower=True)


@implements(np.triu)
def triu(m: Any, k: int = 0) -> Value:
    """`numpy.triu`."""
    return _triangle(m, k, lower=False)


@implements(np.vander)
def vander(x: Any, N: int | None = None, increasing: bool = False) -> Value:
    """`numpy.vander`: products of powers."""
    v = traced(x)
    if v.ndim != 1:
        raise ShapeError("x must be a one-dimensional array or sequence.", source_location())
    v = prims.convert(v, result_type(v.dtype, INT64))
    count = v.size if N is None else operator.index(N)
    if count < 0:
        raise ShapeError("negative dimensions are not allowed", source_location())
    if not count:
        return prims.full((v.size, 0), 0, v.dtype)
    columns = [prims.full(v.shape, 1, v.dtype)]
    while len(columns) < count:
        columns.append(columns[-1] * v)
    parts = [prims.reshape(column, (v.size, 1)) for column in columns]
    return prims.concatenate(parts if increasing else parts[::-1], 1)


@implements(np.take)
def take(a: Any, indices: Any, axis: Any = None, *, mode: str = "raise") -> Value:
    """`numpy.take`.

    In mode raise, concrete indices are checked while tracing, traced ones when the compiled code
    has run.
    """
    x = traced(a)
    if axis is None:
        x, axis = prims.reshape(x, (x.size,)), 0
    place = prims.normalize_axis(axis, x.ndim)
    indices = listed(indices)
    size = x.shape[place]
    if mode == "clip":
        indices = call_function(np.clip, (indices, 0, size - 1), {})
    elif mode == "wrap":
        indices = call_ufunc(np.remainder, "__call__", (indices, size), {})
    elif mode != "raise":
        raise unsupported(f"mode={mode!r} of numpy.take", "use raise, wrap or clip")
    return elements(x, (slice(None),) * place + (indices,))


@implements(np.take_along_axis)
def take_along_axis(arr: Any, indices: Any, axis: Any = -1) -> Value:
    """`numpy.take_along_axis`."""
    x = traced(arr)
    if axis is None:
        x, axis = prims.reshape(x, (x.size,)), 0
    place = prims.normalize_axis(axis, x.ndim)
    return elements(x, along_axis(indices, x.shape, place))


def along_axis(indices: Any, shape: tuple[int, ...], place: int) -> tuple[Any, ...]:
    """The index that takes `indices` along one axis, and all of the others beside each other."""
    rank = len(shape)
    if np.ndim(indices) != rank:
        raise ShapeError(
            "`indices` and `arr` must have the same number of dimensions", source_location()
        )
    beside = [
        np.arange(n).reshape([-1 if k == i else 1 for k in range(rank)])
        for i, n in enumerate(shape)
    ]
    return (*beside[:place], indices, *beside[place + 1 :])
