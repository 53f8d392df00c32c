# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What all Runge-Kutta methods with error control have in common.

States are lists of arrays. Times increase. Nothing here depends on how derivatives are found, but
for one thing: the sizes of steps have none. The solution depends on them by no more than its error,
and where steps are refused not even continuously.

The first step is that of Hairer, Norsett and Wanner, Solving ordinary differential equations I,
section II.4, and so is what the size of each further one is made of.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from gradopt.transforms.gradient import stop_gradient

State = list[Any]
# Of a state and a time.
Slope = Callable[[State, Any], State]

# Of the size that the error allows, what a step takes; the least and the largest ratio of two.
_SAFETY, _LEAST, _MOST = 0.9, 0.2, 10.0


class Tolerances(NamedTuple):
    """How large the error of a step may be: `absolute + relative * |y|`, in each array."""

    relative: float
    absolute: float


class Step(NamedTuple):
    """One step: where it began and ended, and what its dense output needs.

    Attributes:
        size: how long it is.
        start: state at the beginning.
        rise: slope there.
        inner: states, as many as the method has.
        end: state at the end.
        fall: slope there.
    """

    size: Any
    start: State
    rise: State
    inner: list[State]
    end: State
    fall: State


class Method(NamedTuple):
    """A method of steps.

    Attributes:
        order: of the estimate of the error.
        inner: how many states are `Step.inner`.
        step: makes one, of slope, state, its slope, time, size and tolerances; and the ratio of its
            error by what it may be, or no number, if there is no such step.
        at: the state of a step, where some fraction of it is over, array by array: a function of
            the fraction, the size, and what else is in the step.
    """

    order: int
    inner: int
    step: Callable[[Slope, State, State, Any, Any, Tolerances], tuple[Step, Any]]
    at: Callable[..., Any]


def cast(number: Any, array: Any) -> Any:
    """A float in the dtype of an array."""
    return number if number.dtype == array.dtype else number.astype(array.dtype)


def weighted(weights: Sequence[float], parts: Sequence[Any]) -> Any:
    """The sum of arrays times weights, of which one is not 0."""
    terms = [weight * part for weight, part in zip(weights, parts, strict=True) if weight]
    return sum(terms[1:], terms[0])


def moved(state: State, size: Any, weights: Sequence[float], slopes: list[State]) -> State:
    """The state, moved by a weighted sum of the first slopes."""
    return [
        y + cast(size, y) * weighted(weights, parts)
        for y, *parts in zip(state, *slopes[: len(weights)], strict=True)
    ]


def stages(
    slope: Slope,
    y: State,
    rise: State,
    t: Any,
    size: Any,
    nodes: Sequence[float],
    rows: Sequence[Sequence[float]],
) -> list[State]:
    """The slopes of an explicit method: at the beginning, and for each node and row of weights."""
    slopes = [rise]
    for node, weights in zip(nodes, rows, strict=True):
        slopes.append(slope(moved(y, size, weights, slopes), t + node * size))
    return slopes


def norm(state: State, scale: State) -> Any:
    """The largest root mean square of an array, relative to a scale: a float64.

    None of the arrays hides behind another one that has more elements.
    """
    largest = np.float64(0)
    for values, unit in zip(state, scale, strict=True):
        if np.size(values):
            ratio = values / unit
            largest = np.maximum(largest, np.sqrt(np.mean(ratio * ratio)))
    return largest


def scale_of(start: State, end: State, tolerances: Tolerances) -> State:
    """How large the error of a step may be."""
    return [
        tolerances.absolute + tolerances.relative * np.maximum(np.abs(a), np.abs(b))
        for a, b in zip(start, end, strict=True)
    ]


class Tableau(NamedTuple):
    """The numbers of an explicit method whose last slope is the first one of the next step.

    Attributes:
        nodes, rows: as those of `stages`.
        weights: of the slopes, for the end.
        error: of the slopes and of that at the end: the weights less those of lower order.
    """

    nodes: tuple[float, ...]
    rows: tuple[tuple[float, ...], ...]
    weights: tuple[float, ...]
    error: tuple[float, ...]

    def step(
        self, slope: Slope, y: State, rise: State, t: Any, size: Any, tolerances: Tolerances
    ) -> tuple[list[State], State, Any]:
        """The slopes, that at the end among them; the end; and the ratio of its error."""
        slopes = stages(slope, y, rise, t, size, self.nodes, self.rows)
        end = moved(y, size, self.weights, slopes)
        slopes.append(slope(end, t + size))
        error = [
            cast(size, part) * weighted(self.error, [s[i] for s in slopes])
            for i, part in enumerate(y)
        ]
        return slopes, end, error_ratio(y, end, error, tolerances)


def error_ratio(start: State, end: State, error: State, tolerances: Tolerances) -> Any:
    """The error of a step by what it may be; NaN if something is no number."""
    start, end, error = stop_gradient((start, end, error))
    return stop_gradient(norm(error, scale_of(start, end, tolerances)))


def first_size(
    slope: Slope, y: State, rise: State, t: Any, tolerances: Tolerances, order: int
) -> Any:
    """The size of a first step of a method whose error is of an order."""
    y, rise, t = stop_gradient((y, rise, t))
    scale = [tolerances.absolute + tolerances.relative * np.abs(a) for a in y]
    size, speed = norm(y, scale), norm(rise, scale)
    known = (size >= 1e-5) & (speed >= 1e-5)
    trial = np.where(known, 0.01 * size / np.where(known, speed, 1), 1e-6)
    trial = cast(trial, t)
    later = slope(moved(y, trial, (1.0,), [rise]), t + trial)
    bend = norm([b - a for a, b in zip(rise, stop_gradient(later), strict=True)], scale) / trial
    most = np.maximum(speed, bend)
    flat = most <= 1e-15
    found = np.where(
        flat,
        np.maximum(1e-6, 1e-3 * trial),
        (0.01 / np.where(flat, 1, most)) ** (1 / (order + 1)),
    )
    return stop_gradient(cast(np.minimum(100 * trial, found), t))


def next_size(size: Any, ratio: Any, order: int) -> Any:
    """The size of the step after one with this error: that again, if it was refused."""
    usable = ratio > 0
    factor = _SAFETY * np.where(usable, ratio, 1) ** (-1 / (order + 1))
    factor = np.minimum(factor, np.where(ratio <= 1, _MOST, 1))
    factor = np.where(ratio == 0, _MOST, np.where(usable, np.maximum(factor, _LEAST), _LEAST))
    return stop_gradient(size * cast(factor, size))


def between(method: Method, made: Step, elapsed: Any) -> State:
    """The state at some time after the beginning of a step: its dense output."""
    fraction = elapsed / made.size
    parts = zip(made.start, made.rise, *made.inner, made.end, made.fall, strict=True)
    return [
        method.at(cast(fraction, start), cast(made.size, start), start, *rest)
        for start, *rest in parts
    ]


def quartic(x: Any, size: Any, start: Any, rise: Any, middle: Any, end: Any, fall: Any) -> Any:
    """The polynomial of degree 4 with the states and slopes at both ends, and that in the middle.

    Args:
        x: at which fraction of the step.
        size: of the step.
        start, rise, end, fall: states and slopes at its ends.
        middle: the state in its middle.
    """
    rise, fall, middle, end = size * rise, size * fall, middle - start, end - start
    a = 2 * (fall - rise) - 8 * end + 16 * middle
    b = 5 * rise - 3 * fall + 14 * end - 32 * middle
    c = fall - 4 * rise - 5 * end + 16 * middle
    return start + x * (rise + x * (c + x * (b + x * a)))
