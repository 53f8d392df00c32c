# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Norms."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from gradopt.array.dispatch import UFUNCS, implements
from gradopt.array.operands import traced
from gradopt.base.dtypes import FLOAT64, is_inexact, part_dtype
from gradopt.base.location import source_location
from gradopt.errors import ShapeError
from gradopt.functions.reductions import max_, min_, root_of_sum, square_of_size, sum_
from gradopt.functions.shapes import squeeze
from gradopt.ir import factorizations, prims
from gradopt.ir.values import Value


def _floating(value: Any) -> Value:
    x = traced(value)
    return x if is_inexact(x.dtype) else prims.convert(x, FLOAT64)


def _largest(x: Value, axis: Any, keepdims: bool = False) -> Value:
    """The largest of what is not negative; 0 of nothing."""
    is_empty = any(type(size) is int and size == 0 for size in x.shape)
    return max_(x, axis, keepdims=keepdims, initial=0 if is_empty else None)


def _vector_norm(x: Value, order: Any, axis: Any, keepdims: bool) -> Value:
    if order is None or order == 2:
        return root_of_sum(sum_(square_of_size(x), axis, keepdims=keepdims))
    if order == math.inf:
        return _largest(UFUNCS[np.absolute](x), axis, keepdims)
    if order == -math.inf:
        return min_(UFUNCS[np.absolute](x), axis, keepdims=keepdims)
    if order == 0:
        nonzero = prims.convert(prims.not_equal(x, 0), part_dtype(x.dtype))
        return sum_(nonzero, axis, keepdims=keepdims)
    if order == 1:
        return sum_(UFUNCS[np.absolute](x), axis, keepdims=keepdims)
    if isinstance(order, str):
        raise ShapeError(f"Invalid norm order '{order}' for vectors", source_location())
    power = UFUNCS[np.power]
    total = sum_(power(UFUNCS[np.absolute](x), order), axis, keepdims=keepdims)
    return root_of_sum(total, order) if order > 0 else power(total, 1.0 / order)


def _matrix_norm(x: Value, order: Any, axes: tuple[int, int], keepdims: bool) -> Value:
    row, column = axes
    if order in (None, "fro", "f"):
        return root_of_sum(sum_(square_of_size(x), axes, keepdims=keepdims))
    if order in (1, -1, math.inf, -math.inf):
        summed, other = (row, column) if abs(order) == 1 else (column, row)
        sums = sum_(UFUNCS[np.absolute](x), summed, keepdims=True)
        extreme = (_largest if order > 0 else min_)(sums, other, keepdims=True)
        return extreme if keepdims else traced(squeeze(extreme, axes))
    if order in (2, -2, "nuc"):
        others = [i for i in range(x.ndim) if i not in axes]
        last = prims.transpose(x, [*others, row, column])
        s = factorizations.svd(last, False)[1]
        values = sum_(s, -1) if order == "nuc" else (_largest if order == 2 else min_)(s, -1)
        if not keepdims:
            return values
        kept = tuple([1 if i in axes else n for i, n in enumerate(x.shape)])
        return prims.reshape(values, kept)
    raise ShapeError("Invalid norm order for matrices.", source_location())


@implements(np.linalg.norm)
def norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Value:
    """`numpy.linalg.norm`."""
    v = _floating(x)
    if axis is None:
        if ord is None:
            return _vector_norm(v, None, None, keepdims)
        if v.ndim > 2 or v.ndim < 1:
            raise ShapeError("Improper number of dimensions to norm.", source_location())
        axis = tuple(range(v.ndim))
    axes = prims.normalize_axes(axis, v.ndim)
    if len(axes) == 1:
        return _vector_norm(v, ord, axes[0], keepdims)
    if len(axes) == 2:
        return _matrix_norm(v, ord, (axes[0], axes[1]), keepdims)
    raise ShapeError("Improper number of dimensions to norm.", source_location())


@implements(np.linalg.vector_norm)
def vector_norm(x: Any, /, *, axis: Any = None, keepdims: bool = False, ord: Any = 2) -> Value:
    """`numpy.linalg.vector_norm`."""
    v = _floating(x)
    return _vector_norm(v, ord, axis, keepdims)


@implements(np.linalg.matrix_norm)
def matrix_norm(x: Any, /, *, keepdims: bool = False, ord: Any = "fro") -> Value:
    """`numpy.linalg.matrix_norm`."""
    v = _floating(x)
    return _matrix_norm(v, ord, (v.ndim - 2, v.ndim - 1), keepdims)
