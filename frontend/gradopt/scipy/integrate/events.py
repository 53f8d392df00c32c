# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Events of differential equations: where functions of the solution change their sign.

A first solution says between which places they do, bisections of short ones where, and the events
are roots of equations, of which another solution gives the derivatives, of all orders.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from gradopt.array.handle import wrap
from gradopt.array.operands import traced
from gradopt.base.location import source_location
from gradopt.compilation.calling import call_user, check_callable
from gradopt.errors import ArgumentError, ShapeError
from gradopt.transforms.batching import vmap
from gradopt.transforms.branches import cond
from gradopt.transforms.gradient import stop_gradient
from gradopt.transforms.implicit import custom_root
from gradopt.transforms.loops import fori_loop, scan

# Signs are looked at in as many places between two of the times.
_PLACES = 16
# Halvings of an interval, after which its ends are neighbours.
_HALVINGS = 60

# The states, of shape (m, n), at times that follow another one and a state there.
Solver = Callable[[Any, Any, Any], Any]


class Event(NamedTuple):
    """A function whose roots are looked for.

    Attributes:
        function: of the time, the state, and further arguments; returns a number.
        most: at which of its events the solution ends; 0 if at none.
        direction: 1 if only rising through zero counts, -1 if only falling does, else 0.
    """

    function: Callable[..., Any]
    most: int
    direction: int


class Found(NamedTuple):
    """What was found of one event: with every interval's end, whether it is one, and the state."""

    times: Any
    states: Any
    is_one: Any


def checked_events(events: Any) -> tuple[Event, ...]:
    """The events by their functions' attributes `terminal` and `direction`.

    Raises:
        ArgumentError: `terminal` is no bool and no positive integer.
    """
    found: list[Event] = []
    for function in events if isinstance(events, (tuple, list)) else (events,):
        check_callable(function)
        terminal = getattr(function, "terminal", None)
        direction = getattr(function, "direction", 0)
        most = 0 if terminal is None else operator.index(terminal)
        if most < 0 or (most == 0 and terminal not in (None, False)):
            raise ArgumentError(
                "The `terminal` attribute of each event must be a boolean or positive integer.",
                source_location(),
            )
        found.append(Event(function, most, int(np.sign(direction))))
    return tuple(found)


def _places(start: Any, times: Any, end: Any) -> Any:
    """Where signs are looked at: the beginning, the times, the end, and places between them."""
    fixed = np.concatenate([np.reshape(start, 1), times, np.reshape(end, 1)])
    steps = (fixed[1:] - fixed[:-1])[:, None] * (np.arange(_PLACES) / _PLACES)
    inner = np.reshape(fixed[:-1, None] + steps, -1)
    return np.concatenate([inner, fixed[-1:]])


def find(
    events: tuple[Event, ...],
    solve: Solver,
    y: Any,
    start: Any,
    times: Any,
    end: Any,
    args: tuple[Any, ...],
) -> tuple[Any, list[Found], Any]:
    """Looks for events.

    Args:
        events: the events.
        solve: the solution.
        y: the state at the start, of shape (n,).
        start: the first time.
        times: those where the states are wanted, in order.
        end: the last one.
        args: further arguments of the events.

    Returns:
        The states at the times, the events, and the last time: that of the event where the
        solution ends, or infinity in the direction of the times.
    """
    places = stop_gradient(_places(start, times, end))
    coarse = stop_gradient(np.concatenate([y[None], solve(start, y, places[1:])]))
    way = stop_gradient(np.where(end < start, -1.0, 1.0))
    found: list[Found] = []
    last: Any = math.inf
    for event in events:
        one, order = _find(event, solve, y, start, places, coarse, way, args)
        found.append(one)
        if event.most:
            ends = np.where(one.is_one & (order == event.most), way * one.times, math.inf)
            last = np.minimum(last, np.min(ends))
    found = [one._replace(is_one=one.is_one & (way * one.times <= last)) for one in found]
    return solve(start, y, times), found, way * last


def _find(
    event: Event,
    solve: Solver,
    y: Any,
    start: Any,
    places: Any,
    coarse: Any,
    way: Any,
    args: tuple[Any, ...],
) -> tuple[Found, Any]:
    """One event in all intervals, and the number of each among those that there are."""

    def value(t: Any, state: Any) -> Any:
        result = wrap(traced(call_user(event.function, (t, state, *args), {})))
        if result.size != 1:
            raise ShapeError(
                f"an event must return a number, but its shape is {result.shape}",
                source_location(),
            )
        return np.reshape(result, ())

    values = stop_gradient(vmap(value)(places, coarse))
    before, after = values[:-1], values[1:]
    # A zero belongs to the interval that ends there, and one at the start to the first.
    is_first = (before == 0) & (places[:-1] == places[0])
    rises = ((before < 0) | is_first) & (after >= 0)
    falls = ((before > 0) | is_first) & (after <= 0)
    changes = {1: rises, -1: falls, 0: rises | falls}[event.direction]
    changes = changes & (places[1:] != places[:-1])

    def bisected(interval: Any) -> Any:
        left, right, state, first = interval

        def halve(_: Any, ends: Any) -> Any:
            low, high = ends
            middle = 0.5 * (low + high)
            here = value(middle, solve(left, state, np.reshape(middle, 1))[0])
            is_before = (here < 0) if event.direction > 0 else (here > 0)
            if not event.direction:
                is_before = np.sign(here) == np.sign(first)
            return np.where(is_before, middle, low), np.where(is_before, high, middle)

        # The later end: where the interval ends, if the zero is there.
        _, high = fori_loop(0, _HALVINGS, halve, (left, right))
        return np.where(first == 0, left, high)

    def look(count: Any, item: Any) -> Any:
        is_one, *interval = item
        time = cond(is_one, bisected, lambda interval: interval[0], tuple(interval))
        return count + is_one, (time, count + is_one)

    items = (changes, places[:-1], places[1:], coarse[:-1], before)
    _, (guesses, order) = scan(look, np.int64(0), items)
    guesses = stop_gradient(guesses)

    def residual(times: Any) -> Any:
        result = vmap(value)(times, solve(start, y, times))
        # Where there is none, the place is kept.
        return np.where(changes, result, times - guesses)

    times = custom_root(
        residual, guesses, lambda _, guess: guess, lambda linear, v: v / linear(np.ones_like(v))
    )
    return Found(times, solve(start, y, times), changes), order
