# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Between which numbers traced integers are: indices in them need no check."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from gradopt.ir.current import state
from gradopt.ir.types import shape_and_dtype
from gradopt.ir.values import Value
from gradopt.recording import ir

if TYPE_CHECKING:
    from gradopt.ir.trace import Scope

Interval = tuple[int, int]

# What int64 holds: beyond it nothing is known.
_LEAST, _MOST = -(2**63), 2**63 - 1


def interval_in(scope: Scope, value: ir.Value) -> Interval | None:
    """The least and the greatest number that an integer of a function can be, if that is known."""
    return _of(value, scope.intervals)


def _of(value: ir.Value, known: dict[ir.Value, Interval]) -> Interval | None:
    found = known.get(value)
    if found is not None or isinstance(value.owner, ir.Block):
        return found
    op = value.owner
    if op.name == "grad.constant":
        number = op.attributes["value"].value
        if number.size != 1 or number.dtype.kind != "i":
            return None
        found = int(number), int(number)
    elif op.name in ("grad.add", "grad.subtract", "grad.multiply"):
        left, right = (_of(operand, known) for operand in op.operands)
        if left is None or right is None:
            return None
        found = _combined(op.name, left, right)
    elif op.name in ("grad.minimum", "grad.maximum"):
        found = _extreme(op.name, [_of(operand, known) for operand in op.operands])
    elif op.name == "grad.convert":
        found = _converted(op.operands[0], value, known)
    elif op.name == "grad.reduce_sum":
        inner = _of(op.operands[0], known)
        count = _count(op.operands[0].type, value.type)
        found = None if inner is None or count is None else _combined("", inner, (0, count))
    elif op.name == "grad.negative":
        inner = _of(op.operands[0], known)
        found = None if inner is None else (-inner[1], -inner[0])
    if found is None or found[0] < _LEAST or found[1] > _MOST:
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


def _extreme(name: str, operands: list[Interval | None]) -> Interval | None:
    """Of the smaller or larger one of two numbers; one of them is a limit by itself."""
    known = [operand for operand in operands if operand is not None]
    if not known:
        return None
    low, high = min(k[0] for k in known), max(k[1] for k in known)
    if name == "grad.minimum":
        high = min(k[1] for k in known)
        return (low if len(known) == 2 else _LEAST), high
    low = max(k[0] for k in known)
    return low, (high if len(known) == 2 else _MOST)


def _converted(operand: ir.Value, value: ir.Value, known: dict[ir.Value, Interval]) -> Any:
    """Of an integer that was another integer, or a bool."""
    (_, source), (_, target) = shape_and_dtype(operand.type), shape_and_dtype(value.type)
    if source.kind == "b":
        return 0, 1
    if source.kind != "i" or target.kind != "i" or target.itemsize < source.itemsize:
        return None
    return _of(operand, known)


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
