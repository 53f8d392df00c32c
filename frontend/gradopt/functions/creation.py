# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""New arrays whose size is known at run time only."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from gradopt.array.handle import Handle, array_of, array_of_size, known_array
from gradopt.array.operands import is_traced_integer, traced
from gradopt.base.dtypes import INT64, supported
from gradopt.base.location import source_location
from gradopt.errors import ConversionError, ShapeError
from gradopt.ir import prims
from gradopt.ir.affine import Number, between, plus
from gradopt.ir.extents import bounds_of, has_extents, is_extent, require_plain, shape_with
from gradopt.ir.outcomes import require
from gradopt.ir.sized import extent_of, iota

# What no array is meant to be as large as: so large a bound says nothing.
_LARGEST = 2**31
# Of larger arrays no elements are known while tracing.
_MOST_KNOWN = 2**22


def _is_unknown(value: Any) -> bool:
    return isinstance(value, Handle) and value._known() is None


def _number(value: Any) -> Number:
    if _is_unknown(value):
        return prims.convert(value._read(), INT64)
    return require_plain(operator.index(value))


def _size(name: str, number: Number) -> Any:
    """The size of a new array: an integer or an `Extent`."""
    if isinstance(number, int):
        return number
    known = between(number)
    if known is None or known[1] > _LARGEST:
        raise ConversionError(
            f"{name} has a size that is known at run time only, and nothing says how large it is "
            "at most; say so, as in numpy.minimum(n, 100), or make the array as large as it can "
            "be, and take a part of it, as in `numpy.zeros(100)[:n]`",
            source_location(),
        )
    if known[0] < 0:
        require(number >= 0, number, "negative dimensions are not allowed", ShapeError)
    return extent_of(number, max(known[1], 0))


def _shape(name: str, shape: Any) -> Any:
    """A shape that has sizes known at run time only; None if it has not."""
    parts = list(shape) if prims.is_sequence(shape) and not _is_unknown(shape) else [shape]
    if not all(type(part) is int or is_traced_integer(part) or _is_integer(part) for part in parts):
        return None
    sizes = [_size(name, _number(part)) for part in parts]
    return shape_with(sizes)


def _is_integer(value: Any) -> bool:
    return isinstance(value, (int, np.integer)) or (
        isinstance(value, Handle) and not value.ndim and value.dtype.kind in "iu"
    )


def filled(name: str, value: Any, shape: Any, dtype: Any = None) -> Any:
    """An array of one value; None if its size is no traced integer, or several."""
    sizes = _shape(name, shape)
    if sizes is None:
        return None
    one = traced(value) if dtype is None else prims.convert(traced(value), supported(dtype))
    return array_of_size(lambda n: array_of(prims.broadcast_to(one, n)), sizes)


def _constant(make: Callable[..., Any]) -> Callable[..., Any]:
    def create(shape: Any, dtype: Any = float, *order: Any, **others: Any) -> Any:
        sizes = None if order or others else _shape(f"numpy.{make.__name__}", shape)
        if sizes is None:
            return None
        kind = supported(dtype)
        if math.prod(bounds_of(sizes)) > _MOST_KNOWN and has_extents(sizes):
            one = prims.as_value(make((), kind))
            return array_of_size(lambda n: array_of(prims.broadcast_to(one, n)), sizes)
        return array_of_size(lambda n: known_array(make(n, kind)), sizes)

    return create


def _arange(*bounds: Any, dtype: Any = None, **others: Any) -> Any:
    """`numpy.arange` of integers with step 1; None for another."""
    start, stop = (0, *bounds) if len(bounds) == 1 else (*bounds, None)[:2]
    step = bounds[2] if len(bounds) > 2 else 1
    is_plain = type(step) is int and step == 1 and not others and len(bounds) < 4
    if not is_plain or not (_is_integer(start) and _is_integer(stop)):
        return None
    first = _number(start)
    count = plus(_number(stop), first, -1)
    known = None if isinstance(count, int) else between(count)
    if known is not None and known[0] < 0:
        count = prims.select(count < 0, prims.scalar(0, INT64), count)  # pyright: ignore
        size = extent_of(count, max(known[1], 0))
    else:
        size = _size("numpy.arange", count)
    if not is_extent(size):
        return None
    numbers = iota(size, INT64)
    if not (isinstance(first, int) and first == 0):
        numbers = numbers + first
    return array_of(numbers if dtype is None else prims.convert(numbers, supported(dtype)))


CREATIONS: Mapping[Any, Callable[..., Any]] = {
    np.zeros: _constant(np.zeros),
    np.ones: _constant(np.ones),
    np.arange: _arange,
}
