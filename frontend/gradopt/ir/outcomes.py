# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What comes of checks, which are made while compiled code runs.

A function has one outcome: the number of the first check that failed, 0 if none did, and a value.
"""

from __future__ import annotations

from typing import NamedTuple

from gradopt.base.dtypes import INT64
from gradopt.base.location import source_location
from gradopt.errors import GradoptError, SourceLocation
from gradopt.ir.current import scope
from gradopt.ir.handlers import advice
from gradopt.ir.values import Value, not_equal, scalar
from gradopt.recording import grad


class Check(NamedTuple):
    """A check in the user's source.

    Attributes:
        message: what is wrong, with `{value}` for the value.
        location: where.
        error: what is raised.
        exception: what the user's code raises, in place of that.
    """

    message: str
    location: SourceLocation | None
    error: type[GradoptError]
    exception: BaseException | None = None


def require(right: Value, number: Value, message: str, error: type[GradoptError]) -> None:
    """Checks that a bool is true.

    Args:
        right: shape ().
        number: what is asked of it; an int64 of shape ().
        message: what is wrong, with `{value}` for the number.
        error: what is raised.
    """
    checks = scope().trace.checks
    checks.append(Check(message + advice(error), source_location(), error))
    add_outcome(_choose(right, scalar(0, INT64), scalar(len(checks), INT64)), number)


def add_outcome(number: Value, value: Value) -> None:
    """Adds what came of checks to the current function's: the first failure counts."""
    here = scope()
    if here.outcome is not None:
        earlier, earlier_value = here.outcome
        failed = not_equal(earlier, 0)
        number = _choose(failed, earlier, number)
        value = _choose(failed, earlier_value, value)
    here.outcome = number, value


def _choose(condition: Value, x: Value, y: Value) -> Value:
    return scope().emit(grad.select, condition, x, y)
