# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Operands as users give them: numbers, lists and arrays, and what NumPy's promotion sees."""

from __future__ import annotations

from typing import Any

import numpy as np

from gradopt.array.tracer import Tracer
from gradopt.base.dtypes import WEAK_TYPES, DType, result_type, supported
from gradopt.base.location import source_location
from gradopt.errors import ShapeError
from gradopt.ir import prims


def promotion_kind(value: Any) -> Any:
    """What NumPy's promotion sees: a dtype, or the type of a Python scalar."""
    if value.__class__ is Tracer:
        return WEAK_TYPES[value.dtype.kind] if value._weak else value.dtype
    kind = type(value)
    if kind is float or kind is int or kind is bool:
        return kind
    return prims.concrete(value).dtype


def array_kind(value: Any) -> DType:
    """As `promotion_kind`, where a Python number counts as an array of its default dtype."""
    kind = promotion_kind(value)
    return np.dtype(kind) if isinstance(kind, type) else kind


def listed(value: Any) -> Any:
    """A list or tuple operand as an array, traced if an element is."""
    if type(value) in (list, tuple):
        if prims.is_traced(*value):
            return array(value)
        return prims.concrete(value)
    return value


def traced(value: Any) -> Tracer:
    """An operand of a function that is not a ufunc: a list or a number becomes an array."""
    x = prims.as_traced(listed(value))
    return x._alias() if x._weak else x


def array(value: Any, dtype: Any = None) -> Tracer:
    """The traced array of a nested list with traced elements, as `numpy.array` would make it.

    Raises:
        ShapeError: the list is ragged.
    """
    kinds: list[Any] = []
    _collect_kinds(value, kinds)
    target = supported(dtype) if dtype is not None else result_type(*kinds)
    return _nested(value, target)


def _collect_kinds(value: Any, kinds: list[Any]) -> None:
    if isinstance(value, (list, tuple)):
        for part in value:
            _collect_kinds(part, kinds)
    else:
        kinds.append(array_kind(value))


def _nested(value: Any, dtype: DType) -> Tracer:
    if not isinstance(value, (list, tuple)):
        return prims.as_traced(value, dtype)
    if not prims.is_traced(*value):
        return prims.as_traced(prims.concrete(value), dtype)
    parts = [_nested(part, dtype) for part in value]
    if any(part.shape != parts[0].shape for part in parts):
        shapes = sorted({str(part.shape) for part in parts})
        raise ShapeError(
            f"a ragged list: elements of shapes {', '.join(shapes)}", source_location()
        )
    return prims.concatenate([prims.reshape(part, (1, *part.shape)) for part in parts], 0)
