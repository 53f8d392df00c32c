# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Sparse matrices whose elements are traced, with SciPy's names and arguments.

`csr_array((data, indices, indptr), shape)`, `csc_array` the same, `coo_array((data, (row, col)),
shape)`: `data` may be traced, where the elements are is concrete. A sparse matrix of SciPy's can
be given in place of that, too. Outside of traces the result is SciPy's.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from gradopt.array.handle import Handle
from gradopt.array.operands import is_traced
from gradopt.base.location import source_location
from gradopt.errors import ArgumentTypeError, ShapeError
from gradopt.functions.sparse import SparseArray, Structure, as_traced, is_scipys

__all__ = [
    "coo_array",
    "coo_matrix",
    "csc_array",
    "csc_matrix",
    "csr_array",
    "csr_matrix",
    "issparse",
]


def _made(name: str, arg1: Any, shape: Any) -> Any:
    if isinstance(arg1, SparseArray):
        return _converted(name, arg1)
    if is_scipys(arg1):
        converted = getattr(arg1, f"to{name[:3]}")()
        return as_traced(converted)
    if not isinstance(arg1, tuple) or len(arg1) not in (2, 3) or is_traced(arg1[1:]):
        raise ArgumentTypeError(
            f"{name} takes (data, indices, indptr), or (data, (row, col)), where all but data are "
            "concrete, or a sparse matrix",
            source_location(),
        )
    data, *rest = arg1
    by_coordinates = len(arg1) == 2
    first, second = (np.asarray(part) for part in (rest[0] if by_coordinates else rest))
    if first.dtype.kind not in "iu" or second.dtype.kind not in "iu":
        raise ArgumentTypeError(f"the indices of {name} are integers", source_location())
    data = data if isinstance(data, Handle) else np.asarray(data)
    if data.ndim != 1 or first.shape != data.shape:
        raise ShapeError(
            f"{name} takes one index for each element, but data has shape {tuple(data.shape)}, and "
            f"the indices {first.shape}",
            source_location(),
        )
    sizes = _shape(name, shape, first, second, by_coordinates)
    if by_coordinates and not name.startswith("coo"):
        coordinates = Structure("coo_array", sizes, (first, second))
        return _converted(name, SparseArray(data, coordinates))
    _check(name, sizes, first, second, by_coordinates)
    return _outside(SparseArray(data, Structure(name, sizes, (first.copy(), second.copy()))))


def _shape(name: str, shape: Any, first: Any, second: Any, by_coordinates: bool) -> tuple[int, int]:
    if shape is not None:
        rows, columns = shape
        return int(rows), int(columns)
    if by_coordinates:
        return int(first.max(initial=-1)) + 1, int(second.max(initial=-1)) + 1
    inner = int(first.max(initial=-1)) + 1
    return (second.size - 1, inner) if name.startswith("csr") else (inner, second.size - 1)


def _check(
    name: str, shape: tuple[int, int], first: Any, second: Any, by_coordinates: bool
) -> None:
    """Raises where SciPy would: for indices out of bounds and pointers that do not fit."""

    def is_within(indices: Any, size: int) -> bool:
        return not indices.size or (indices.min() >= 0 and indices.max() < size)

    if by_coordinates:
        is_right = is_within(first, shape[0]) and is_within(second, shape[1])
    else:
        outer, inner = shape if name.startswith("csr") else shape[::-1]
        is_right = (
            second.shape == (outer + 1,)
            and second[0] == 0
            and second[-1] == first.size
            and bool((np.diff(second) >= 0).all())
            and is_within(first, inner)
        )
    if not is_right:
        raise ShapeError(
            f"the indices of {name} do not fit a matrix of shape {shape}", source_location()
        )


def _converted(name: str, array: SparseArray) -> Any:
    """In another format, with the elements in the order that this has."""
    rows, columns = array._structure.coordinates
    shape = array.shape
    _check("coo_array", shape, rows, columns, True)
    if name.startswith("coo"):
        return _outside(SparseArray(array.data, Structure(name, shape, (rows, columns))))
    outer, inner = (rows, columns) if name.startswith("csr") else (columns, rows)
    order = np.lexsort((inner, outer))
    size = shape[0 if name.startswith("csr") else 1]
    pointers = np.concatenate(([0], np.cumsum(np.bincount(outer, minlength=size))))
    width = np.int32 if max(*shape, math.prod(array.data.shape)) < 2**31 else np.int64
    parts = inner[order].astype(width), pointers.astype(width)
    return _outside(SparseArray(array.data[order], Structure(name, shape, parts)))


def _outside(array: SparseArray) -> Any:
    """SciPy's, where nothing is traced."""
    data = array.data
    return array if isinstance(data, Handle) else array._structure.of_scipy(data)


def _constructor(name: str) -> Callable[..., Any]:
    def make(arg1: Any, shape: Any = None) -> Any:
        return _made(name, arg1, shape)

    make.__name__ = make.__qualname__ = name
    make.__doc__ = f"""As `scipy.sparse.{name}`, of elements that may be traced.

    Args:
        arg1: `(data, indices, indptr)` or `(data, (row, col))`, with `data` of shape (nnz,), or a
            sparse matrix. Elements at the same place add up.
        shape: rows and columns; as few as hold all elements if None.

    Raises:
        ArgumentTypeError: the indices are traced, or no integers.
        ShapeError: they do not fit the data or the shape.
    """
    return make


csr_array = _constructor("csr_array")
csc_array = _constructor("csc_array")
coo_array = _constructor("coo_array")
csr_matrix = _constructor("csr_matrix")
csc_matrix = _constructor("csc_matrix")
coo_matrix = _constructor("coo_matrix")


def issparse(x: Any) -> bool:
    """As `scipy.sparse.issparse`; true of sparse matrices in traced code, too."""
    return isinstance(x, SparseArray) or is_scipys(x)
