# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Events of solve_ivp against SciPy's, and derivatives of their times and states."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.integrate

import gradopt as go
from gradopt.errors import ArgumentError, ShapeError
from gradopt.scipy import integrate

TIGHT = {"rtol": 1e-9, "atol": 1e-9}
START = np.array([1.0, 0.2])


def oscillator(_: Any, y: Any) -> Any:
    return [y[1], -y[0]]


def event(function: Callable[..., Any], terminal: Any = None, direction: float = 0) -> Any:
    # Functions of their own, whose attributes are not shared.
    def made(*args: Any) -> Any:
        return function(*args)

    setattr(made, "terminal", terminal)  # noqa: B010
    setattr(made, "direction", direction)  # noqa: B010
    return made


def crossing(t: Any, y: Any) -> Any:
    return y[0] - 0.3 * np.sin(t)


@pytest.mark.parametrize(
    ("method", "span"), [("DOP853", (0.0, 20.0)), ("DOP853", (20.0, 0.0)), ("RK45", (20.0, 0.0))]
)
def test_against_scipy(span: tuple[float, float], method: str) -> None:
    times = np.linspace(*span, 11)
    cases = (
        [event(crossing), event(crossing, direction=1), event(lambda _, y: y[1], direction=-1)],
        [event(crossing, 4), event(lambda _, y: y[1])],
        [event(crossing, True, -1), event(lambda _, y: y[1], 2)],
        event(lambda _, y: y[0] + 9, True),
    )
    for events in cases[: 2 if method == "RK45" else None]:
        args = (span, START, method, times)
        got = integrate.solve_ivp(oscillator, *args, events=events, **TIGHT)
        want = scipy.integrate.solve_ivp(oscillator, *args, events=events, **TIGHT)
        assert got.status == want.status
        np.testing.assert_array_equal(got.t, want.t)
        np.testing.assert_allclose(got.y, want.y, 1e-7, 1e-8)
        assert got.t_events is not None
        assert got.y_events is not None
        for ours, theirs in ((got.t_events, want.t_events), (got.y_events, want.y_events)):
            assert len(ours) == len(theirs)
            for one, other in zip(ours, theirs, strict=True):
                assert len(one) == len(other)
                np.testing.assert_allclose(one, np.reshape(other, one.shape), 1e-7, 2e-8)


@pytest.mark.parametrize("span", [(0.0, 1.0), (1.0, 0.0)])
def test_an_event_at_one_of_the_times_is_one(span: tuple[float, float]) -> None:
    """Signs are looked at there: a zero ends one interval and begins another one."""

    def product(t: Any, _: Any) -> Any:
        return (t - 0.125) * (t - 0.5) * (t - 0.75)

    begun, ended = (lambda t, _: (t - span[0]) * 3), (lambda t, _: t - span[1])
    events = [
        *[event(product, None, direction) for direction in (0, 1, -1)],
        *[event(f, None, direction) for f in (begun, ended) for direction in (0, 1, -1)],
        event(product, 3),
    ]
    times = np.sort([0.0, 0.125, 0.25, 0.5, 0.75, 1.0])[:: 1 if span[0] == 0 else -1]

    def rate(_: Any, y: Any) -> Any:
        return 0 * y

    terminal = [event(product, 2)], [event(product, 1, -1)], [event(begun, True)]
    for chosen in (events, *terminal[: 3 if span[0] == 0 else 1]):
        for at in (times, times[1:-1]) if chosen is events else (times,):
            args: Any = (rate, span, [1.0], "RK45", at)
            got = integrate.solve_ivp(*args, events=chosen)
            # SciPy's looks at signs where its steps end.
            want = scipy.integrate.solve_ivp(*args, events=chosen, max_step=0.07)
            assert got.status == want.status
            assert got.message == want.message
            # Where SciPy's finds no time before the end, it has no states, not none of them.
            np.testing.assert_allclose(got.t, np.reshape(want.t, -1), atol=1e-12)
            assert got.t_events is not None
            for ours, theirs in zip(got.t_events, want.t_events, strict=True):
                np.testing.assert_allclose(ours, theirs, atol=1e-12)


def test_the_message_is_that_of_the_status() -> None:
    said = []

    def status(level: Any) -> Any:
        found = integrate.solve_ivp(
            oscillator, (0, 3.0), START, t_eval=[3.0], events=event(lambda _, y: y[0] - level, True)
        )
        said.append(found.message)
        return found.status

    assert [status(level) for level in (0.5, 2.0)] == [1, 0]
    assert [go.compile(status)(level) for level in (0.5, 2.0)] == [1, 0]
    assert said[0] == "A termination event occurred."
    assert said[1] == "The solver successfully reached the end of the integration interval."
    assert all(text.endswith("interval, or a termination event occurred.") for text in said[2:])
    assert len(said) > 2


@pytest.mark.slow
def test_derivatives_of_a_throw() -> None:
    """Of a body that is thrown up and falls down again, all is known."""

    def hit(_: Any, y: Any, __: Any) -> Any:
        return y[0]

    ground = event(hit, True, -1)
    times = np.array([0.5, 1.0, 9.0])

    def throw(speed: Any, gravity: Any) -> Any:
        found = scipy.integrate.solve_ivp(
            lambda _, y, g: [y[1], -g],
            (0, 10.0),
            np.stack([1 + 0 * speed, speed]),
            t_eval=times,
            events=ground,
            args=(gravity,),
            **TIGHT,
        )
        return found.t_events[0][0], found.y_events[0][0, 1], np.sum(found.y[0]), found.status

    def exact(speed: Any, gravity: Any) -> Any:
        root = np.sqrt(speed * speed + 2 * gravity)
        heights = [1 + speed * t - gravity * t * t / 2 for t in times[:2]]
        return (speed + root) / gravity, -root, heights[0] + heights[1], 1

    args = (10.0, 9.81)
    np.testing.assert_allclose(go.compile(throw)(*args), exact(*args), 1e-9)
    want = np.array(go.jacfwd(lambda *a: exact(*a)[:3], (0, 1))(*args))
    for transform in (go.jacrev, go.jacfwd):
        got = transform(lambda *a: throw(*a)[:3], (0, 1))(*args)
        np.testing.assert_allclose(np.array(got), want, 1e-8)
    got = go.hessian(lambda *a: throw(*a)[0], (0, 1))(*args)
    want = go.hessian(lambda *a: exact(*a)[0], (0, 1))(*args)
    np.testing.assert_allclose(got, want, 1e-6)


def test_events_know_what_they_close_over() -> None:
    def when(level: Any) -> Any:
        found = scipy.integrate.solve_ivp(
            lambda _, y: -y, (0, 3.0), [1.0], "Radau", [3.0],
            events=lambda _, y: y - level, rtol=1e-7, atol=1e-9,
        )  # fmt: skip
        return found.t_events[0][0]

    value, slope = go.value_and_grad(when)(0.3)
    np.testing.assert_allclose([value, slope], [-math.log(0.3), -1 / 0.3], 1e-5)
    mapped = go.compile(lambda levels: go.map(when, levels))(np.array([0.3, 0.5]))
    np.testing.assert_allclose(mapped, -np.log([0.3, 0.5]), 1e-5)


def test_errors() -> None:
    with pytest.raises(ArgumentError, match="must be a boolean or positive integer"):
        integrate.solve_ivp(oscillator, (0, 1), START, t_eval=[1.0], events=event(crossing, -1))
    with pytest.raises(ShapeError, match=r"an event must return a number, but its shape is \(2,\)"):
        integrate.solve_ivp(oscillator, (0, 1), START, t_eval=[1.0], events=event(lambda _, y: y))
