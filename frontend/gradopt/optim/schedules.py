# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Schedules: numbers, as learning rates, that depend on how many steps were made.

A schedule takes the count of steps before this one, an integer, concrete or traced, and returns a
number. Names and formulas are those of optax.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from gradopt.base.location import source_location
from gradopt.errors import ArgumentError
from gradopt.optim.checks import public

Schedule = Callable[[Any], Any]
# What stands for a number that may be a schedule.
ScalarOrSchedule = float | Schedule


def _positive(number: int, name: str) -> int:
    if number <= 0:
        raise ArgumentError(
            f"{name} must be at least one step, but it is {number}", source_location()
        )
    return number


def _fraction(count: Any, steps: int) -> Any:
    """How much of the steps is made, from 0 to 1."""
    return np.minimum(np.maximum(count, 0), steps) / steps


@public()
def constant_schedule(value: float) -> Schedule:
    """The same number at each step."""
    return lambda count: value


@public()
def polynomial_schedule(
    init_value: float,
    end_value: float,
    power: float,
    transition_steps: int,
    transition_begin: int = 0,
) -> Schedule:
    """From one number to another: `(init - end) * (1 - count / steps)**power + end`.

    Raises:
        ArgumentError: `transition_steps` is not positive.
    """
    _positive(transition_steps, "transition_steps")

    def schedule(count: Any) -> Any:
        left = 1.0 - _fraction(count - transition_begin, transition_steps)
        return (init_value - end_value) * left**power + end_value

    return schedule


@public()
def linear_schedule(
    init_value: float, end_value: float, transition_steps: int, transition_begin: int = 0
) -> Schedule:
    """From one number to another in equal steps; then that.

    Raises:
        ArgumentError: `transition_steps` is not positive.
    """
    return polynomial_schedule(init_value, end_value, 1, transition_steps, transition_begin)


@public()
def exponential_decay(
    init_value: float,
    transition_steps: int,
    decay_rate: float,
    transition_begin: int = 0,
    staircase: bool = False,
    end_value: float | None = None,
) -> Schedule:
    """`init_value * decay_rate ** (count / transition_steps)`.

    Args:
        init_value: the number until `transition_begin`.
        transition_steps: in how many steps it is multiplied by `decay_rate`.
        decay_rate: positive.
        transition_begin: how many steps come before.
        staircase: whether the exponent is rounded down.
        end_value: a bound that is not passed.

    Raises:
        ArgumentError: `transition_steps` or `decay_rate` is not positive.
    """
    _positive(transition_steps, "transition_steps")
    if decay_rate <= 0:
        raise ArgumentError(
            f"decay_rate must be positive, but it is {decay_rate}", source_location()
        )

    def schedule(count: Any) -> Any:
        exponent = np.maximum(count - transition_begin, 0) / transition_steps
        value = init_value * decay_rate ** (np.floor(exponent) if staircase else exponent)
        if end_value is None:
            return value
        return np.maximum(value, end_value) if decay_rate < 1 else np.minimum(value, end_value)

    return schedule


@public()
def cosine_decay_schedule(
    init_value: float, decay_steps: int, alpha: float = 0.0, exponent: float = 1.0
) -> Schedule:
    """Half a cosine from `init_value` down to `alpha * init_value`.

    Raises:
        ArgumentError: `decay_steps` is not positive.
    """
    _positive(decay_steps, "decay_steps")

    def schedule(count: Any) -> Any:
        half = 0.5 * (1.0 + np.cos(np.pi * _fraction(count, decay_steps)))
        return init_value * ((1.0 - alpha) * half**exponent + alpha)

    return schedule


@public()
def piecewise_constant_schedule(
    init_value: float, boundaries_and_scales: Mapping[int, float] | None = None
) -> Schedule:
    """A number that is multiplied by a factor from each boundary on.

    Args:
        init_value: the number at first.
        boundaries_and_scales: factors by the count of steps from which they hold.

    Raises:
        ArgumentError: a factor is negative.
    """
    pairs = sorted((boundaries_and_scales or {}).items())
    for boundary, factor in pairs:
        if factor < 0:
            raise ArgumentError(
                f"boundaries_and_scales[{boundary}] must not be negative, but it is {factor}",
                source_location(),
            )

    def schedule(count: Any) -> Any:
        value = init_value
        for boundary, factor in pairs:
            value = value * np.where(count >= boundary, factor, 1.0)
        return value

    return schedule


@public()
def join_schedules(schedules: Sequence[Schedule], boundaries: Sequence[int]) -> Schedule:
    """Schedules one after the other; each counts from its own beginning.

    Args:
        schedules: one more than there are boundaries.
        boundaries: counts of steps from which the next schedule holds, ascending.

    Raises:
        ArgumentError: the numbers do not fit, or the boundaries do not ascend.
    """
    parts, starts = schedules, list(boundaries)
    if len(parts) != len(starts) + 1:
        raise ArgumentError(
            f"{len(parts)} schedules need {len(parts) - 1} boundaries, but got {len(starts)}",
            source_location(),
        )
    if starts != sorted(starts):
        raise ArgumentError(f"boundaries must ascend, but they are {starts}", source_location())

    def schedule(count: Any) -> Any:
        value = parts[0](count)
        for part, start in zip(parts[1:], starts, strict=True):
            value = np.where(count >= start, part(count - start), value)
        return value

    return schedule


@public()
def warmup_cosine_decay_schedule(
    init_value: float,
    peak_value: float,
    warmup_steps: int,
    decay_steps: int,
    end_value: float = 0.0,
    exponent: float = 1.0,
) -> Schedule:
    """Up to a peak in equal steps, then down in half a cosine.

    Args:
        init_value: where it starts.
        peak_value: what it reaches after `warmup_steps`.
        warmup_steps: steps of the rise; 0 for none.
        decay_steps: steps of both together.
        end_value: where it ends.
        exponent: power of the cosine.

    Raises:
        ArgumentError: there are no steps to go down, or `peak_value` is zero.
    """
    if peak_value == 0:
        raise ArgumentError("peak_value must not be zero", source_location())
    down = cosine_decay_schedule(
        peak_value, decay_steps - warmup_steps, end_value / peak_value, exponent
    )
    if warmup_steps == 0:
        return down
    up = linear_schedule(init_value, peak_value, warmup_steps)
    return join_schedules([up, down], [warmup_steps])
