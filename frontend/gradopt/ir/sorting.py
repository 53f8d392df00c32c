# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The op `grad.sort` on values, along any axis."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from gradopt.base.dtypes import DType, kind_of
from gradopt.ir import prims, sized
from gradopt.ir.extents import Sizes
from gradopt.ir.prims import scope
from gradopt.ir.values import Value
from gradopt.recording import grad


def sort(x: Value, axis: int) -> tuple[Value, Value]:
    """The elements along an axis in NumPy's order, and where they were (int64); stable.

    Args:
        x: of at least one dimension.
        axis: not negative.
    """
    here = scope()
    shape = x.shape
    if shape.__class__ is Sizes:
        # What fills the rest stays behind: it is last in the order, and comes last.
        x = sized.padded(x, last_of(x.dtype))
    rows = here.emit_many(grad.SortOp, here.use(_last(x, axis)))
    values, indices = (_back(result, axis) for result in rows)
    if shape.__class__ is Sizes:
        zeros, every = [0] * len(shape), range(len(shape))
        values, indices = (sized.slice_(v, zeros, shape, every) for v in (values, indices))
    return values, indices


def take_along(x: Value, places: Value, axis: int) -> Value:
    """The elements at places along an axis, as `numpy.take_along_axis`.

    Args:
        x: of known size.
        places: int64, in bounds, of the same other dimensions.
        axis: not negative.
    """
    rows, rows_of_places = _last(x, axis), _last(places, axis)
    gather = functools.partial(grad.gather, batch=x.ndim - 1)
    index = prims.reshape(rows_of_places, (*rows_of_places.shape, 1))
    return _back(scope().emit(gather, rows, index), axis)


def _last(x: Value, axis: int) -> Value:
    """The array with an axis behind the others."""
    return prims.transpose(x, [*[i for i in range(x.ndim) if i != axis], axis])


def _back(x: Value, axis: int) -> Value:
    """The array with its last axis where it was."""
    others = range(x.ndim - 1)
    return prims.transpose(x, [*others[:axis], x.ndim - 1, *others[axis:]])


def last_of(dtype: DType) -> Any:
    """A number that no other one comes behind."""
    if dtype.kind == "c":
        return complex(np.nan, np.nan)
    if kind_of(dtype) == "f":
        return np.nan
    return True if dtype.kind == "b" else np.iinfo(dtype).max
