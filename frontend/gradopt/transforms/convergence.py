# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Tolerances and limits of iterations, and the error where they end without success."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from gradopt.array.handle import Handle
from gradopt.array.operands import is_traced, traced
from gradopt.base.dtypes import INT64, float_limits
from gradopt.base.location import source_location
from gradopt.compilation.arguments import checked_integer
from gradopt.compilation.calling import describe_value
from gradopt.errors import ArgumentError, ArgumentTypeError, ConvergenceError
from gradopt.ir import checks
from gradopt.ir.current import current_scope


def checked_tolerance(value: Any, name: str, low: float = 0.0) -> float:
    """A number of an iteration, known while tracing.

    Raises:
        ArgumentTypeError: it is none.
        ArgumentError: it is less than `low`.
    """
    if is_traced(value) or not isinstance(value, (int, float, np.integer, np.floating)):
        raise ArgumentTypeError(
            f"{name} must be a number that is known while tracing, but it is "
            f"{describe_value(value)}",
            source_location(),
        )
    if not value >= low:
        raise ArgumentError(
            f"{name} must be at least {low:g}, but it is {value}", source_location()
        )
    return float(value)


def checked_count(value: Any, name: str) -> int:
    """A number of steps: a positive integer.

    Raises:
        ArgumentTypeError: it is no integer.
        ArgumentError: it is not positive.
    """
    return int(checked_tolerance(checked_integer(value, name), name, 1))


def require_converged(converged: Any, value: Any, message: str) -> None:
    """Checks a condition when the code has run.

    Args:
        converged: a bool, traced or not.
        value: an integer that is not negative.
        message: what is wrong, with `{value}` for it.

    Raises:
        ConvergenceError: the condition does not hold; in compiled code, after it has run.
    """
    if current_scope() is None:
        if not converged:
            raise ConvergenceError(message.format(value=int(value)), source_location())
        return
    number = traced(np.where(converged, -1, value), INT64)
    checks.require_within(number, -1, -1, message, ConvergenceError)


def require_none(wrong: Any, message: str) -> None:
    """Checks that no bool is true: while tracing, if that is known, or when the code has run.

    Args:
        wrong: an array of one dimension, with an element or more.
        message: what is wrong, with `{value}` for the number of the first one that is true.

    Raises:
        ArgumentError: one is true.
    """
    bools: Any = wrong
    known = bools._known() if isinstance(wrong, Handle) else bools
    if known is None:
        number = np.where(np.any(bools), np.argmax(bools), -1)
        checks.require_within(traced(number, INT64), -1, -1, message, ArgumentError)
    elif np.any(known):
        raise ArgumentError(message.format(value=int(np.argmax(known))), source_location())


def precision(dtypes: Any) -> float:
    """The largest distance from 1 to the next float of one of the dtypes."""
    return max([float(float_limits(dtype).eps) for dtype in dtypes], default=math.inf)
