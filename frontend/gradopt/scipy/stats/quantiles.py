# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Quantiles and probabilities of distributions without a formula for them: searches and sums.

A continuous one is bisected and polished by Newton's method; its derivatives, of all orders, are
those of the root of an equation. That of a discrete distribution jumps: its derivatives are zero.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from gradopt.transforms.gradient import stop_gradient
from gradopt.transforms.implicit import custom_root
from gradopt.transforms.jacobian_products import jvp
from gradopt.transforms.loops import fori_loop, while_loop

# A function of places.
Function = Callable[[Any], Any]
# After these the ends are neighbours: of the exponents of all numbers, or of parts of an interval.
_BISECTIONS = 64
_POLISHES = 2
# Integers beyond are not all floats.
_MOST = 2.0**53
# Terms of a sum.
_LONGEST = 1e6


def _from_scale(t: Any, low: Any, high: Any) -> Any:
    """Places, of a number between -1 and 1: by exponents, counted from the end that there is."""
    has_low, has_high = np.isfinite(low), np.isfinite(high)
    start, stop = np.where(has_low, low, 0.0), np.where(has_high, high, 0.0)
    size = np.exp2(1022.0 * t)
    inside = start + (stop - start) * (0.5 * (1 + t))
    around = np.sign(t) * np.expm1(700.0 * np.abs(t))
    half = np.where(has_low, start + size, stop - np.exp2(-1022.0 * t))
    return np.where(has_low & has_high, inside, np.where(has_low | has_high, half, around))


def continuous(log_probability: Function, log_q: Any, low: Any, high: Any, rises: bool) -> Any:
    """Where the logarithm of a probability is `log_q`.

    Args:
        log_probability: of places in the support.
        log_q: of the shape of the result.
        low, high: the ends of the support.
        rises: whether the probability does; else it falls.
    """

    def residual(x: Any) -> Any:
        return log_probability(x) - log_q

    def solve(residual: Function, guess: Any) -> Any:
        def bisect(_: Any, ends: Any) -> Any:
            left, right = ends
            middle = 0.5 * (left + right)
            value = residual(_from_scale(middle, low, high))
            goes_right = value < 0 if rises else value > 0
            return np.where(goes_right, middle, left), np.where(goes_right, right, middle)

        start = (np.full_like(guess, -1.0), np.full_like(guess, 1.0))
        left, right = fori_loop(0, _BISECTIONS, bisect, start)
        x = _from_scale(0.5 * (left + right), low, high)
        below, above = _from_scale(left, low, high), _from_scale(right, low, high)
        # Rounding of the scale is wider than that of the place.
        margin = 1e-12 * np.abs(x)

        def polish(_: Any, x: Any) -> Any:
            value, slope = jvp(residual, (x,), (np.ones_like(x),))
            better = x - value / slope
            near = (better >= below - margin) & (better <= above + margin)
            inside = near & (better > low) & (better < high)
            return np.where(inside, better, x)

        return fori_loop(0, _POLISHES, polish, x)

    def tangent_solve(linear: Function, y: Any) -> Any:
        return y / linear(np.ones_like(y))

    return custom_root(residual, np.zeros_like(log_q), solve, tangent_solve)


def discrete(accumulated: Function, reached: Function, q: Any, low: Any, high: Any) -> Any:
    """The smallest integer at which a probability is reached.

    Args:
        accumulated: the probability, of integers.
        reached: whether one of these values is enough.
        q: of the shape of the result.
        low, high: the ends of the support.
    """
    from_zero = ~np.isfinite(low)
    first = np.where(from_zero, 0.0, low)
    down = from_zero & reached(accumulated(np.full_like(q, -1.0)))

    def place(steps: Any) -> Any:
        return np.where(down, -steps, first + steps)

    def before(steps: Any) -> Any:
        """Whether there is still a way to go."""
        return reached(accumulated(place(steps))) == down

    end = np.where(np.isfinite(high), high - first, _MOST)
    most = np.where(down, _MOST, np.maximum(end, 0.0)) + np.zeros_like(q)
    left = np.where(down, 1.0, -1.0) + np.zeros_like(q)

    def is_short(ends: Any) -> Any:
        _, right = ends
        return np.any(before(right) & (right < most))

    def extend(ends: Any) -> Any:
        left, right = ends
        ahead = before(right) & (right < most)
        further = np.minimum(2 * right + 1, most)
        return np.where(ahead, right, left), np.where(ahead, further, right)

    ends = while_loop(is_short, extend, (left, np.minimum(left + 1, most)))

    def goes_on(ends: Any) -> Any:
        left, right = ends
        return np.any(right - left > 1)

    def halve(ends: Any) -> Any:
        left, right = ends
        middle = np.floor(0.5 * (left + right))
        ahead = before(middle)
        done = right - left <= 1
        return (
            np.where(done | ~ahead, left, middle),
            np.where(done | ahead, right, middle),
        )

    left, right = while_loop(goes_on, halve, ends)
    return stop_gradient(np.where(down, -left, np.where(right < _MOST, first + right, math.nan)))


def summed(probability: Function, first: Any, last: Any, shape: tuple[int, ...]) -> Any:
    """The sum of a probability over the integers from `first` to `last`; 0 if there are none.

    NaN of more than a million.
    """
    count = stop_gradient(np.broadcast_to(last - first + 1, shape))
    fits = count <= _LONGEST
    longest = np.max(np.where(fits, count, 0.0), initial=0.0).astype(np.int64)

    def add(number: Any, total: Any) -> Any:
        place = first + number.astype(np.float64)
        inside = place <= last
        return total + np.where(inside, probability(np.where(inside, place, first)), 0.0)

    return np.where(fits, fori_loop(0, longest, add, np.zeros(shape)), math.nan)
