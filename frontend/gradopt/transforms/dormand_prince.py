# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Steps of Dormand and Prince's method of order 5(4), with their error and dense output.

States are lists of arrays. Times increase. Nothing here depends on how derivatives are found, but
for one thing: the sizes of steps have none. The solution depends on them by no more than its error,
and where steps are refused not even continuously.

Dormand and Prince, A family of embedded Runge-Kutta formulae, 1980. The dense output is Shampine's,
Some practical Runge-Kutta formulas, 1986; the first step is that of Hairer, Norsett and Wanner,
Solving ordinary differential equations I, section II.4.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from gradopt.transforms.gradient import stop_gradient

State = list[Any]
# Of a state and a time.
Slope = Callable[[State, Any], State]

_NODES = (1 / 5, 3 / 10, 4 / 5, 8 / 9, 1.0)
_STAGES = (
    (1 / 5,),
    (3 / 40, 9 / 40),
    (44 / 45, -56 / 15, 32 / 9),
    (19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729),
    (9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656),
)
_WEIGHTS = (35 / 384, 0.0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84)
# The weights less those of order 4.
_ERROR = (71 / 57600, 0.0, -71 / 16695, 71 / 1920, -17253 / 339200, 22 / 525, -1 / 40)
_MIDDLE = (
    6025192743 / 60171106304,
    0.0,
    51252292925 / 130801643196,
    -2691868925 / 90256659456,
    187940372067 / 3189068634112,
    -1776094331 / 39487288512,
    11237099 / 470086768,
)
# Of the size that the error allows, what a step takes; the least and the largest ratio of two.
_SAFETY, _LEAST, _MOST = 0.9, 0.2, 10.0


class Tolerances(NamedTuple):
    """How large the error of a step may be: `absolute + relative * |y|`, in each array."""

    relative: float
    absolute: float


class Step(NamedTuple):
    """One step: where it began and ended, and its middle.

    Attributes:
        size: how long it is.
        start: state at the beginning.
        rise: slope there.
        middle: state in the middle.
        end: state at the end.
        fall: slope there.
    """

    size: Any
    start: State
    rise: State
    middle: State
    end: State
    fall: State


def cast(number: Any, array: Any) -> Any:
    """A float in the dtype of an array."""
    return number if number.dtype == array.dtype else number.astype(array.dtype)


def _moved(state: State, size: Any, weights: tuple[float, ...], slopes: list[State]) -> State:
    """The state, moved by a weighted sum of slopes."""
    return [
        y + cast(size, y) * _sum(weights, parts)
        for y, *parts in zip(state, *slopes[: len(weights)], strict=True)
    ]


def _sum(weights: tuple[float, ...], parts: list[Any]) -> Any:
    terms = [weight * part for weight, part in zip(weights, parts, strict=True) if weight]
    return sum(terms[1:], terms[0])


def _norm(state: State, scale: State) -> Any:
    """The largest root mean square of an array, relative to a scale: a float64.

    None of the arrays hides behind another one that has more elements.
    """
    largest = np.float64(0)
    for values, unit in zip(state, scale, strict=True):
        if np.size(values):
            ratio = values / unit
            largest = np.maximum(largest, np.sqrt(np.mean(ratio * ratio)))
    return largest


def first_size(slope: Slope, y: State, rise: State, t: Any, tolerances: Tolerances) -> Any:
    """The size of a first step."""
    y, rise, t = stop_gradient((y, rise, t))
    scale = [tolerances.absolute + tolerances.relative * np.abs(a) for a in y]
    size, speed = _norm(y, scale), _norm(rise, scale)
    known = (size >= 1e-5) & (speed >= 1e-5)
    trial = np.where(known, 0.01 * size / np.where(known, speed, 1), 1e-6)
    trial = cast(trial, t)
    later = slope(_moved(y, trial, (1.0,), [rise]), t + trial)
    bend = _norm([b - a for a, b in zip(rise, stop_gradient(later), strict=True)], scale) / trial
    most = np.maximum(speed, bend)
    flat = most <= 1e-15
    found = np.where(
        flat, np.maximum(1e-6, 1e-3 * trial), (0.01 / np.where(flat, 1, most)) ** (1 / 5)
    )
    return stop_gradient(cast(np.minimum(100 * trial, found), t))


def step(slope: Slope, y: State, rise: State, t: Any, size: Any) -> tuple[Step, State]:
    """A step, and the estimate of its error."""
    slopes = [rise]
    for node, weights in zip(_NODES, _STAGES, strict=True):
        slopes.append(slope(_moved(y, size, weights, slopes), t + node * size))
    end = _moved(y, size, _WEIGHTS, slopes)
    slopes.append(slope(end, t + size))
    middle = _moved(y, size, _MIDDLE, slopes)
    error = [cast(size, y[i]) * _sum(_ERROR, [s[i] for s in slopes]) for i in range(len(y))]
    return Step(size, y, rise, middle, end, slopes[-1]), error


def error_ratio(made: Step, error: State, tolerances: Tolerances) -> Any:
    """The error of a step by what it may be; NaN if something is no number."""
    start, end, error = stop_gradient((made.start, made.end, error))
    scale = [
        tolerances.absolute + tolerances.relative * np.maximum(np.abs(a), np.abs(b))
        for a, b in zip(start, end, strict=True)
    ]
    return stop_gradient(_norm(error, scale))


def next_size(size: Any, ratio: Any) -> Any:
    """The size of the step after one with this error: that again, if it was refused."""
    usable = ratio > 0
    factor = _SAFETY * np.where(usable, ratio, 1) ** (-1 / 5)
    factor = np.minimum(factor, np.where(ratio <= 1, _MOST, 1))
    factor = np.where(ratio == 0, _MOST, np.where(usable, np.maximum(factor, _LEAST), _LEAST))
    return stop_gradient(size * cast(factor, size))


def between(made: Step, elapsed: Any) -> State:
    """The state at some time after the beginning of a step.

    The polynomial of degree 4 with the states and slopes at both ends, and the state in the middle.
    """
    fraction = elapsed / made.size

    def at(start: Any, rise: Any, middle: Any, end: Any, fall: Any) -> Any:
        size, x = cast(made.size, start), cast(fraction, start)
        rise, fall, middle, end = size * rise, size * fall, middle - start, end - start
        a = 2 * (fall - rise) - 8 * end + 16 * middle
        b = 5 * rise - 3 * fall + 14 * end - 32 * middle
        c = fall - 4 * rise - 5 * end + 16 * middle
        return start + x * (rise + x * (c + x * (b + x * a)))

    return [at(*parts) for parts in zip(*made[1:], strict=True)]
