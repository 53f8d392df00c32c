# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Between which numbers traced integers are: indices in them need no check."""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING

import numpy as np

from gradopt.base.dtypes import DType
from gradopt.ir.current import state
from gradopt.ir.extents import larger
from gradopt.ir.types import shape_and_dtype
from gradopt.ir.values import Value
from gradopt.recording import ir

if TYPE_CHECKING:
    from gradopt.ir.trace import Scope

Interval = tuple[int, int]


# What has elements of the first operand alone.
_MOVING = frozenset(
    f"grad.{name}"
    for name in (
        *("broadcast", "gather", "reduce_max", "reduce_min", "reshape", "reverse", "slice"),
        *("sized_slice", "transpose"),
    )
)


@functools.cache
def _limits(dtype: DType) -> Interval:
    """What a dtype of integers holds."""
    limits = np.iinfo(dtype)
    return int(limits.min), int(limits.max)


def interval_in(scope: Scope, value: ir.Value) -> Interval | None:
    """The least and the greatest number that an integer of a function can be, if that is known."""
    return _of(value, scope.intervals)


def _of(value: ir.Value, known: dict[ir.Value, Interval]) -> Interval | None:
    found = known.get(value)
    if found is not None or isinstance(value.owner, ir.Block):
        return found
    op = value.owner
    dtype = shape_and_dtype(value.type)[1]
    if dtype.kind not in "iu":
        return None
    limits = _limits(dtype)
    if op.name == "grad.constant":
        number = op.attributes["value"].value
        if not number.size:
            return None
        found = int(number.min()), int(number.max())
    elif op.name in ("grad.add", "grad.subtract", "grad.multiply"):
        left, right = (_of(operand, known) for operand in op.operands)
        if left is None or right is None:
            return None
        found = _combined(op.name, left, right)
    elif op.name in ("grad.minimum", "grad.maximum"):
        ends = [_of(operand, known) for operand in op.operands]
        found = None if ends == [None, None] else _extreme(op.name, [e or limits for e in ends])
    elif op.name in ("grad.floor_divide", "grad.remainder"):
        found = _quotient(op.name, *[_of(operand, known) for operand in op.operands])
    elif op.name == "grad.convert":
        found = _converted(op.operands[0], known)
    elif op.name == "grad.reduce_sum":
        inner = _of(op.operands[0], known)
        count = _count(op.operands[0].type, value.type)
        found = None if inner is None or count is None else _combined("", inner, (0, count))
    elif op.name in _MOVING:
        found = _of(op.operands[0], known)
    elif op.name == "grad.negative":
        inner = _of(op.operands[0], known)
        found = None if inner is None else (-inner[1], -inner[0])
    # Elsewhere it wraps around.
    if found is None or found[0] < limits[0] or found[1] > limits[1]:
        return None
    known[value] = found
    return found


def _combined(name: str, left: Interval, right: Interval) -> Interval:
    if name == "grad.add":
        return left[0] + right[0], left[1] + right[1]
    if name == "grad.subtract":
        return left[0] - right[1], left[1] - right[0]
    products = [a * b for a in left for b in right]
    return min(products), max(products)


def _extreme(name: str, operands: list[Interval]) -> Interval:
    """Of the smaller or larger one of two numbers."""
    lows, highs = zip(*operands, strict=True)
    if name == "grad.minimum":
        return min(lows), min(highs)
    return max(lows), larger(*highs)


def _quotient(name: str, number: Interval | None, by: Interval | None) -> Interval | None:
    """Of a quotient by a positive number, or of what is left."""
    if by is None or by[0] < 1:
        return None
    if name == "grad.remainder":
        return 0, by[1] - 1
    if number is None:
        return None
    quotients = [a // b for a in number for b in by]
    return min(quotients), max(quotients)


def _converted(operand: ir.Value, known: dict[ir.Value, Interval]) -> Interval | None:
    """Of an integer that was another integer, or a bool."""
    dtype = shape_and_dtype(operand.type)[1]
    if dtype.kind == "b":
        return 0, 1
    return (_of(operand, known) or _limits(dtype)) if dtype.kind in "iu" else None


def _count(type_: str, reduced: str) -> int | None:
    """How many elements are summed."""
    (shape, _), (rest, _) = shape_and_dtype(type_), shape_and_dtype(reduced)
    if -1 in shape:
        return None
    return math.prod(shape) // max(math.prod(rest), 1)


def assume(value: Value, least: int, most: int) -> None:
    """Notes that an integer of the current function lies between two numbers."""
    scope = state.scope
    assert scope is not None
    ssa = scope.use(value)
    scope.intervals[ssa] = least, most
    scope.assumed.add(ssa)
