# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Diagonals and triangles of matrices, and elements taken by index."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from gradopt.array.dispatch import implements, unsupported
from gradopt.array.indexing import getitem
from gradopt.array.operands import traced
from gradopt.array.tracer import Tracer
from gradopt.base.dtypes import INT64, result_type
from gradopt.base.location import source_location
from gradopt.errors import ShapeError
from gradopt.functions.reductions import sum_
from gradopt.ir import prims

# NumPy's functions as they are on traced arrays.
xp: Any = np


@implements(np.diagonal, view=True)
def diagonal(a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Tracer:
    """`numpy.diagonal`: a strided slice of the flattened matrices."""
    x = traced(a)
    if x.ndim < 2:
        raise ShapeError("diag requires an array of at least two dimensions", source_location())
    i, j = prims.normalize_axis(axis1, x.ndim), prims.normalize_axis(axis2, x.ndim)
    rest = [k for k in range(x.ndim) if k not in (i, j)]
    x = prims.transpose(x, [*rest, i, j])
    *outer, rows, columns = x.shape
    size = max(0, min(rows, columns - offset) if offset >= 0 else min(rows + offset, columns))
    flat = prims.reshape(x, (*outer, rows * columns))
    if not size:
        return prims.slice_(flat, [0] * flat.ndim, [*outer, 0], [1] * flat.ndim)
    start = offset if offset >= 0 else -offset * columns
    zeros, ones = [0] * len(outer), [1] * len(outer)
    return prims.slice_(flat, [*zeros, start], [*outer, size], [*ones, columns + 1])


@implements(np.linalg.diagonal, view=True)
def linalg_diagonal(x: Any, /, *, offset: int = 0) -> Tracer:
    """`numpy.linalg.diagonal`."""
    return diagonal(x, offset, -2, -1)


@implements(np.diag)
def diag(v: Any, k: int = 0) -> Tracer:
    """`numpy.diag`: a vector padded to a matrix, or the diagonal of a matrix."""
    x = traced(v)
    if x.ndim == 2:
        return diagonal(x, k)
    if x.ndim != 1:
        raise ShapeError("Input must be 1- or 2-d.", source_location())
    size = x.size + abs(k)
    if not x.size:
        return prims.full((size, size), 0, x.dtype)
    start = k if k >= 0 else -k * size
    span = x.size + (x.size - 1) * size
    flat = prims.pad(x, [start], [size * size - start - span], [size])
    return prims.reshape(flat, (size, size))


@implements(np.diagflat)
def diagflat(v: Any, k: int = 0) -> Tracer:
    """`numpy.diagflat`."""
    x = traced(v)
    return diag(prims.reshape(x, (x.size,)), k)


@implements(np.trace)
def trace(a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1, dtype: Any = None) -> Tracer:
    """`numpy.trace`."""
    return sum_(diagonal(a, offset, axis1, axis2), -1, dtype)


@implements(np.linalg.trace)
def linalg_trace(x: Any, /, *, offset: int = 0, dtype: Any = None) -> Tracer:
    """`numpy.linalg.trace`."""
    return trace(x, offset, -2, -1, dtype)


def _triangle(m: Any, k: int, lower: bool) -> Tracer:
    x = traced(m)
    if x.ndim < 2:
        # NumPy makes a matrix of equal rows.
        x = prims.broadcast_to(x, (x.size, x.size))
    shape = x.shape[-2:]
    rows, columns = prims.iota(shape, 0, INT64), prims.iota(shape, 1, INT64)
    mask = columns <= rows + k if lower else columns >= rows + k
    return prims.select(mask, x, prims.full((), 0, x.dtype))


@implements(np.tril)
def tril(m: Any, k: int = 0) -> Tracer:
    """`numpy.tril`."""
    return _triangle(m, k, lower=True)


@implements(np.triu)
def triu(m: Any, k: int = 0) -> Tracer:
    """`numpy.triu`."""
    return _triangle(m, k, lower=False)


@implements(np.vander)
def vander(x: Any, N: int | None = None, increasing: bool = False) -> Tracer:
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
    return xp.stack(columns if increasing else columns[::-1], 1)


@implements(np.take)
def take(a: Any, indices: Any, axis: Any = None, *, mode: str = "raise") -> Tracer:
    """`numpy.take`; modes wrap and clip, and raise with checks of concrete indices only."""
    x = traced(a)
    if axis is None:
        x, axis = prims.reshape(x, (x.size,)), 0
    place = prims.normalize_axis(axis, x.ndim)
    if isinstance(indices, list):
        indices = traced(indices) if prims.is_traced(indices) else prims.concrete(indices)
    size = x.shape[place]
    if mode == "clip":
        indices = np.clip(indices, 0, size - 1)
    elif mode == "wrap":
        indices = np.remainder(indices, size)
    elif mode != "raise":
        raise unsupported(f"mode={mode!r} of numpy.take", "use raise, wrap or clip")
    return getitem(x, (slice(None),) * place + (indices,))._alias()


@implements(np.take_along_axis)
def take_along_axis(arr: Any, indices: Any, axis: Any = -1) -> Tracer:
    """`numpy.take_along_axis`."""
    x = traced(arr)
    if axis is None:
        x, axis = prims.reshape(x, (x.size,)), 0
    place = prims.normalize_axis(axis, x.ndim)
    shape = np.shape(indices)
    if len(shape) != x.ndim:
        raise ShapeError(
            "`indices` and `arr` must have the same number of dimensions", source_location()
        )
    index: list[Any] = []
    for i in range(x.ndim):
        if i == place:
            index.append(indices)
        else:
            index.append(
                np.arange(x.shape[i]).reshape([-1 if k == i else 1 for k in range(x.ndim)])
            )
    return getitem(x, tuple(index))


@implements(np.compress)
def compress(condition: Any, a: Any, axis: Any = None) -> Tracer:
    """`numpy.compress` with a concrete condition."""
    if prims.is_traced(condition):
        condition.__array__()
    return take(a, np.flatnonzero(np.asarray(condition)), axis)


@implements(np.extract)
def extract(condition: Any, arr: Any) -> Tracer:
    """`numpy.extract` with a concrete condition."""
    if prims.is_traced(condition):
        condition.__array__()
    return take(arr, np.flatnonzero(np.asarray(condition)))
