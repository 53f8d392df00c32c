# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Operands as users give them: numbers, lists and arrays, and what NumPy's promotion sees."""

from __future__ import annotations

from typing import Any

import numpy as np

from gradopt.array.handle import Handle, Row, Storage
from gradopt.array.views import Range, Window
from gradopt.base.dtypes import PYTHON_NUMBERS, WEAK_TYPES, DType, result_type, supported
from gradopt.base.location import source_location
from gradopt.errors import KeywordError, ShapeError, UnsupportedError
from gradopt.ir import prims
from gradopt.ir.checks import require_in_range
from gradopt.ir.extents import require_plain
from gradopt.ir.values import Shape, Value


def is_traced(*values: Any) -> bool:
    """Whether a value is traced, or a list or tuple that holds a traced one."""
    return any(
        isinstance(value, (Handle, Value)) or (type(value) in (list, tuple) and is_traced(*value))
        for value in values
    )


def is_known(value: Any) -> bool:
    """Whether what a value holds is known while tracing."""
    return not isinstance(value, Handle) or value._known() is not None


def is_traced_integer(value: Any) -> bool:
    """Whether a value is a traced Python integer."""
    return isinstance(value, Handle) and value._weak and value.dtype.kind == "i"


def promotion_kind(value: Any) -> Any:
    """What NumPy's promotion sees: a dtype, or the type of a Python scalar."""
    if isinstance(value, Handle):
        return WEAK_TYPES[value.dtype.kind] if value._weak else value.dtype
    if value.__class__ is Value:
        return value.dtype
    kind = type(value)
    if kind in PYTHON_NUMBERS:
        return kind
    return prims.concrete(value).dtype


def array_kind(value: Any) -> DType:
    """As `promotion_kind`, where a Python number counts as an array of its default dtype."""
    kind = promotion_kind(value)
    return np.dtype(kind) if isinstance(kind, type) else kind


def listed(value: Any) -> Any:
    """A list or tuple operand as an array, traced if an element is."""
    if type(value) in (list, tuple):
        if is_traced(*value):
            return nested(value)
        return prims.concrete(value)
    return value


def traced(value: Any, dtype: DType | None = None) -> Value:
    """The value of an operand, converted to `dtype` if given.

    Args:
        value: an array, a number, or a nested list of such; traced, concrete or both.
        dtype: the dtype to convert to; a traced Python integer must fit it when the code runs.
    """
    if isinstance(value, Handle):
        read = value._read()
        if dtype is None or read.dtype is dtype:
            return read
        if dtype.kind in "iu" and dtype != read.dtype and is_traced_integer(value):
            require_in_range(read, dtype)
        return prims.convert(read, dtype)
    if type(value) in (list, tuple) and (dtype is None or is_traced(*value)):
        value = listed(value)
    return prims.as_value(require_plain(value), dtype)


def handle_of(value: Any) -> Handle:
    """The operand of a function that gives views: of a concrete array, which is not ours to change.

    A number or a list becomes an array of its own.
    """
    if isinstance(value, Handle):
        return value
    argument = "a concrete array" if isinstance(value, np.ndarray) else None
    return Handle.facade(Storage(traced(value), argument, scalar=np.isscalar(value)))


def checked_order(order: Any) -> str:
    """An order of elements in memory: C, F, A or K.

    Raises:
        KeywordError: it is another one.
    """
    name = "C" if order is None else order.upper() if isinstance(order, str) else order
    if name not in ("C", "F", "A", "K"):
        raise KeywordError(
            f"order must be one of 'C', 'F', 'A', or 'K' (got {order!r})", source_location()
        )
    return name


def known_order(shape: Shape, order: Any, name: str) -> str:
    """In which order, C or F, a function takes the elements.

    Raises:
        UnsupportedError: it is the order in memory, which of arguments is not known.
    """
    order = checked_order(order)
    if order in ("A", "K"):
        if sum(size != 1 for size in shape) > 1 and 0 not in shape:
            raise UnsupportedError(
                f"order={order!r} of {name} is not supported on traced arrays: NumPy's answer "
                "depends on how the array lies in memory; use C or F",
                source_location(),
            )
        return "C"
    return order


def rows_of(values: Any) -> Handle | None:
    """The array whose consecutive elements along the first axis a list or tuple holds, if any.

    An array given for a list is that itself.
    """
    if isinstance(values, Handle):
        return values if values.ndim else None
    first = values[0] if values else None
    if not isinstance(first, Row):
        return None
    number, whole = first.number, first.whole
    for value in values:
        if type(value) is not type(first) or value.whole is not whole or value.number != number:
            return None
        number += 1
    extents = whole.shape
    ranges = (Range(first.number, number - first.number), *[Range(0, n) for n in extents[1:]])
    window = Window(extents, ranges, tuple(range(len(extents))))
    views = whole._views if window.is_identity() else (*whole._views, window)
    return Handle.facade(whole._storage, views, weak=whole._weak)


def nested(value: Any, dtype: Any = None) -> Value:
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
        for part in value if rows_of(value) is None else value[:1]:
            _collect_kinds(part, kinds)
    else:
        kinds.append(array_kind(value))


def _nested(value: Any, dtype: DType) -> Value:
    if not isinstance(value, (list, tuple)):
        return traced(value, dtype)
    whole = rows_of(value)
    if whole is not None:
        return prims.convert(whole._read(), dtype)
    if not is_traced(*value):
        return prims.as_value(prims.concrete(value), dtype)
    parts = [_nested(part, dtype) for part in value]
    if any(part.shape != parts[0].shape for part in parts):
        shapes = sorted({str(part.shape) for part in parts})
        raise ShapeError(
            f"a ragged list: elements of shapes {', '.join(shapes)}", source_location()
        )
    return prims.concatenate([prims.reshape(part, (1, *part.shape)) for part in parts], 0)
