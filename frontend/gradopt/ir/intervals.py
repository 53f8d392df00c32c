# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Between which numbers traced integers are: indices in them need no check."""

from __future__ import annotations

from gradopt.ir.current import state
from gradopt.ir.values import Value
from gradopt.recording import ir

Interval = tuple[int, int]

# What int64 holds: beyond it nothing is known.
_LEAST, _MOST = -(2**63), 2**63 - 1


def interval(value: Value) -> Interval | None:
    """The least and the greatest number that a traced integer can be, if that is known."""
    scope = state.scope
    if scope is None or value.shape:
        return None
    known = scope.intervals
    return _of(scope.use(value), known)


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


def assume(value: Value, least: int, most: int) -> None:
    """Notes that an integer of the current function lies between two numbers."""
    scope = state.scope
    assert scope is not None
    scope.intervals[scope.use(value)] = least, most
