# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Comparisons of tuples and lists with traced elements: the first two that differ decide."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from gradopt.array.handle import Handle, python_number
from gradopt.array.operands import is_traced, traced
from gradopt.control.branches import to_bool
from gradopt.ir import prims

_SEQUENCES = (tuple, list)
ORDERS: dict[str, Callable[[Any, Any], Any]] = {
    name: getattr(operator, f"__{name}__") for name in ("lt", "le", "gt", "ge")
}


def are_ordered(left: Any, right: Any) -> bool:
    """Whether these are sequences of one kind, of numbers, of which some are traced."""
    kind = type(left)
    return (
        kind in _SEQUENCES
        and type(right) is kind
        and is_traced(left, right)
        and not any(type(item) in _SEQUENCES for item in (*left, *right))
    )


def order(name: str, left: Any, right: Any) -> Any:
    """`left < right`, and the like, of any two values.

    Args:
        name: "lt", "le", "gt" or "ge".
        left: the left one.
        right: the right one.
    """
    compare = ORDERS[name]
    if not are_ordered(left, right):
        return compare(left, right)
    result: Any = compare(len(left), len(right))
    for one, other in reversed(list(zip(left, right, strict=False))):
        equal = one is other or one == other
        if isinstance(equal, Handle):
            parts = [to_bool(traced(part)) for part in (equal, result, compare(one, other))]
            result = python_number(prims.select(*parts))
        elif not equal:
            result = compare(one, other)
    return result
