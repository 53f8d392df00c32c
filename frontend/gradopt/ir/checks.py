# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Conditions on traced values, looked at when compiled code has run.

Compiled code raises nothing. While tracing, the checks of a function are folded into two more
results of it: the number of the first check that failed, 0 for none, and the value that failed
it. A function that is differentiated hands them to its caller; those of the outermost one go to
`Lowered`, which raises.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gradopt.base.dtypes import INT64, DType
from gradopt.base.location import source_location
from gradopt.errors import GradoptError, NumberRangeError, TraceIndexError
from gradopt.ir import prims
from gradopt.ir.handlers import advice
from gradopt.ir.outcomes import Check, add_outcome
from gradopt.ir.prims import scalar
from gradopt.ir.trace import Scope
from gradopt.ir.values import Value


def require_in_bounds(index: Value, size: int, axis: int) -> None:
    """Checks that all of the int64 `index` are at least `-size` and less than `size`."""
    message = f"index {{value}} is out of bounds for axis {axis} with size {size}"
    require_within(index, -size, size - 1, message, TraceIndexError)


def require_in_range(number: Value, dtype: DType) -> None:
    """Checks that an int64 fits an integer dtype, as NumPy requires of Python integers."""
    limits = np.iinfo(dtype)
    message = f"Python integer {{value}} out of bounds for {dtype}"
    high = min(int(limits.max), int(np.iinfo(np.int64).max))
    require_within(number, int(limits.min), high, message, NumberRangeError)


def require_within(
    numbers: Value, low: int, high: int, message: str, error: type[GradoptError]
) -> None:
    """Checks that all of the int64 `numbers` are at least `low` and at most `high`.

    Args:
        numbers: of any shape.
        low: the smallest that is right.
        high: the largest that is right.
        message: what is wrong, with `{value}` for a number that is not.
        error: what is raised.
    """
    if numbers.size == 0:
        return
    smallest = largest = numbers
    if numbers.ndim:
        axes = list(range(numbers.ndim))
        smallest, largest = prims.reduce("min", numbers, axes), prims.reduce("max", numbers, axes)
    too_large = largest > scalar(high, INT64)
    too_small = smallest < scalar(low, INT64)
    checks = prims.scope().trace.checks
    checks.append(Check(message + advice(error), source_location(), error))
    zero, number = scalar(0, INT64), scalar(len(checks), INT64)
    add_outcome(
        prims.select(too_large | too_small, number, zero),
        prims.select(too_large, largest, smallest),
    )


def require_all(right: Value, message: str, error: type[GradoptError]) -> None:
    """Checks that all of the bools are true.

    Args:
        right: of any shape.
        message: what is wrong, with `{value}` for how many are not.
        error: what is raised.
    """
    wrong = prims.select(right, scalar(0, INT64), scalar(1, INT64))
    count = prims.reduce("sum", wrong, list(range(wrong.ndim))) if wrong.ndim else wrong
    require_within(count, 0, 0, message, error)


def fail(exception: BaseException, passed: Value | None = None) -> None:
    """A check that fails in a part of the program: there the user's code raises.

    Args:
        exception: what it raises.
        passed: one bool, whether it does not; None if it always does.
    """
    all_checks = prims.scope().trace.checks
    all_checks.append(Check("", source_location(), GradoptError, exception))
    number, zero = scalar(len(all_checks), INT64), scalar(0, INT64)
    add_outcome(number if passed is None else prims.select(passed, zero, number), zero)


def outcome_of(scope: Scope) -> tuple[Value, ...]:
    """What came of the checks in a function that ends, behind its effects; empty without any."""
    if scope.effects is not None:
        # The state that effects leave behind is 0. Who needs the outcome needs them all.
        if not scope.trace.checks:
            scope.trace.checks.append(Check("an effect failed", None, GradoptError))
        add_outcome(prims.convert(scope.effects._read(), INT64), scalar(0, INT64))
    return scope.outcome or ()


def add_outcomes(numbers: Value, values: Value) -> None:
    """Adds what came of checks in each element of a batch: the first one that failed counts."""
    if numbers.size == 0:
        return
    failed = prims.convert(prims.not_equal(numbers, 0), INT64)
    first = prims.reshape(prims.argreduce("argmax", failed, 0), (1,))
    add_outcome(prims.gather(numbers, first), prims.gather(values, first))


def another(exception: BaseException) -> BaseException:
    """An exception like this one, without its traceback; its class is not called."""
    made = type(exception).__new__(type(exception), *exception.args)
    made.args = exception.args
    vars(made).update(vars(exception))
    made.__cause__, made.__suppress_context__ = exception.__cause__, exception.__suppress_context__
    return made


def raise_failure(checks: Sequence[Check], number: int, value: int) -> None:
    """Raises the error of check `number`.

    Raises:
        GradoptError: of the check's kind, always, at the user's line.
    """
    check = checks[number - 1]
    if check.exception is not None:
        raise another(check.exception)
    raise check.error(check.message.format(value=value), check.location)
