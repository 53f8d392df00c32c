# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Sorted arrays, and the orders that sort them.

All of them are stable. The derivative of a sorted array is that of the elements in the order at
hand; that of an order is zero.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from gradopt.array.dispatch import implements
from gradopt.array.operands import listed, traced
from gradopt.base.dtypes import INT64
from gradopt.base.location import source_location
from gradopt.errors import DTypeError, KeywordError, ShapeError
from gradopt.ir import prims
from gradopt.ir.sorting import sort as sort_along
from gradopt.ir.sorting import take_along
from gradopt.ir.values import Value

_KINDS = ("quicksort", "heapsort", "mergesort", "stable")


def _check_kind(kind: Any, order: Any, stable: Any = None) -> None:
    """Checks what chooses an algorithm: all give the results of a stable one."""
    if order is not None:
        raise KeywordError("Cannot specify order when the array has no fields.", source_location())
    if kind is None:
        return
    if stable is not None and stable is not np._NoValue:
        raise KeywordError(
            "`kind` and keyword parameters can't be provided at the same time. Use only one of "
            "them.",
            source_location(),
        )
    if kind not in _KINDS:
        raise KeywordError(
            f"sort kind must be one of 'quick', 'heap', or 'stable' (got {kind!r})",
            source_location(),
        )


def _along(a: Any, axis: Any, least: int = 1) -> tuple[Value, int]:
    """The array, flattened if `axis` is None, and the axis; of a number perhaps an array of it."""
    x = traced(a)
    if axis is None or x.ndim < 1 - least:
        return prims.reshape(x, (x.size,)), 0
    return x, prims.normalize_axis(axis, x.ndim)


@implements(np.sort)
def sort(
    a: Any, axis: Any = -1, kind: Any = None, order: Any = None, *, stable: Any = None
) -> Value:
    """`numpy.sort`."""
    _check_kind(kind, order, stable)
    return sort_along(*_along(a, axis))[0]


@implements(np.argsort)
def argsort(
    a: Any, axis: Any = -1, kind: Any = None, order: Any = None, *, stable: Any = None
) -> Value:
    """`numpy.argsort`."""
    _check_kind(kind, order, stable)
    return sort_along(*_along(a, axis, least=0))[1]


def _check_places(kth: Any, size: int) -> None:
    places = np.asarray(listed(kth))
    if places.dtype.kind not in "iu":
        raise DTypeError("Partition index must be integer", source_location())
    for place in places.ravel().tolist():
        if not -size <= place < size and size:
            raise ShapeError(f"kth(={place}) out of bounds ({size})", source_location())


@implements(np.partition)
def partition(
    a: Any, kth: Any, axis: Any = -1, kind: str = "introselect", order: Any = None
) -> Value:
    """`numpy.partition`: sorted, which is more than is asked for."""
    return _partitioned(*_along(a, axis), kth, kind, order)[0]


@implements(np.argpartition)
def argpartition(
    a: Any, kth: Any, axis: Any = -1, kind: str = "introselect", order: Any = None
) -> Value:
    """`numpy.argpartition`: the order that sorts."""
    place = _along(a, axis, least=0)
    return _partitioned(*place, kth, kind, order)[1]


def _partitioned(x: Value, axis: int, kth: Any, kind: str, order: Any) -> tuple[Value, Value]:
    _check_kind(None, order)
    if kind != "introselect":
        raise KeywordError(f"select kind must be 'introselect' (got {kind!r})", source_location())
    _check_places(kth, x.shape[axis])
    return sort_along(x, axis)


@implements(np.lexsort)
def lexsort(keys: Any, axis: Any = -1) -> Value:
    """`numpy.lexsort`: by the last key, then by the one before, and so on."""
    parts = [traced(key) for key in keys]
    if not parts:
        raise DTypeError("need sequence of keys with len > 0 in lexsort", source_location())
    if any(part.shape != parts[0].shape for part in parts):
        raise ShapeError("all keys need to be the same shape", source_location())
    if not parts[0].ndim:
        return prims.full((), 0, INT64)
    place = prims.normalize_axis(axis, parts[0].ndim)
    found = sort_along(parts[0], place)[1]
    for part in parts[1:]:
        order = sort_along(take_along(part, found, place), place)[1]
        found = take_along(found, order, place)
    return found


@implements(np.sort_complex)
def sort_complex(a: Any) -> Value:
    """`numpy.sort_complex`."""
    values = sort_along(*_along(a, -1))[0]
    if values.dtype.kind == "c":
        return values
    is_narrow = values.dtype.kind in "iu" and values.dtype.itemsize < 4
    return prims.convert(values, np.dtype(np.complex64 if is_narrow else np.complex128))
