# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""odeint: ordinary differential equations, with derivatives through the steps or by the adjoint.

Through the steps means that the solver is a loop like any other. The adjoint of a solution is that
of another equation, which is solved backwards:

    d(adjoint)/dt = -adjoint df/dy        d(gradient)/dt = -adjoint df/dp

where p is all else that f depends on. Tracing tells what that is (`gradopt.transforms.closures`).
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import numpy as np

from gradopt.array.handle import Handle, wrap
from gradopt.array.operands import is_traced
from gradopt.base.dtypes import kind_of
from gradopt.base.frames import hide_frames
from gradopt.base.location import source_location
from gradopt.base.policies import Checkpoint, check_policy
from gradopt.base.pytree import flatten, tree_map
from gradopt.compilation.arguments import checked_array
from gradopt.compilation.calling import call_user, check_callable
from gradopt.errors import ArgumentError, ArgumentTypeError
from gradopt.ir.current import current_scope, scope
from gradopt.transforms.closures import Captured, closure_of, nan_if_unchecked, traced_once
from gradopt.transforms.convergence import (
    checked_count,
    checked_tolerance,
    precision,
    require_converged,
    require_none,
)
from gradopt.transforms.custom import custom_jvp, custom_vjp
from gradopt.transforms.dormand_prince import DORMAND_PRINCE
from gradopt.transforms.gradient import stop_gradient
from gradopt.transforms.jacobian_products import jvp, linearize, named_like, vjp
from gradopt.transforms.likeness import Likeness
from gradopt.transforms.loops import scan, while_loop
from gradopt.transforms.runge_kutta import (
    Method,
    Slope,
    State,
    Step,
    Tolerances,
    between,
    cast,
    first_size,
    next_size,
)

Gradient = Literal["steps", "adjoint"]


class Limits(NamedTuple):
    """How a solution is found.

    Attributes:
        method: of the steps.
        tolerances: that the error of each keeps to.
        steps: how many there may be between two times.
        size: of the longest one.
        first: the size of the first one; None if it is estimated.
        checkpoint: what is kept of them for derivatives.
    """

    method: Method
    tolerances: Tolerances
    steps: int
    size: float
    first: float | None
    checkpoint: Checkpoint


class _Progress(NamedTuple):
    """Where a solution is.

    Attributes:
        begin: when the last step began.
        t: when it ended.
        made: that step.
        size: of the next one.
    """

    begin: Any
    t: Any
    made: Step
    size: Any


@hide_frames
def odeint(
    f: Callable[..., Any],
    y0: Any,
    t: Any,
    *args: Any,
    rtol: float | None = None,
    atol: float | None = None,
    mxstep: int = 10_000,
    hmax: float = math.inf,
    gradient: Gradient = "steps",
    checkpoint: Checkpoint = 8,
) -> Any:
    """The solution of `dy/dt = f(y, t, *args)` with `y(t[0]) = y0`, at the times `t`.

    Steps are those of Dormand and Prince's method of order 5(4), as long as their error allows.
    They do not stop at the times: in between, a polynomial of degree 4 gives the solution.

    There are derivatives in `y0`, `t`, `args` and all that `f` closes over, in both modes. In
    reverse mode, with

    * `gradient="steps"`, they are those of the steps that were made, whose sizes count as
      constants. They agree with forward mode to rounding, whatever the tolerances, so that what
      minimises a loss is not led astray; the memory is that of a loop (see `while_loop`).
    * `gradient="adjoint"`, the adjoint equation is solved backwards with the same tolerances, from
      the states at `t`. The memory does not grow with the number of steps, but the derivatives are
      off by the error of this solution: do not use it where solutions approach each other quickly,
      as backwards they part.

    Args:
        f: function of the state, the time, and `args`; returns a pytree like `y0`, of floats.
        y0: pytree of arrays of floats.
        t: array of shape (n,), n at least 1; increases, or decreases.
        args: passed on.
        rtol: relative tolerance; by default sqrt(eps): 1.5e-8 in float64, 3.5e-4 in float32. The
            estimated error of a step is at most `atol + rtol * |y|`, as root mean square over each
            array.
        atol: absolute tolerance; by default the same.
        mxstep: how many steps there may be between two of the times.
        hmax: longest step.
        gradient: how derivatives in reverse mode are found.
        checkpoint: what "steps" keep between two of the times (`gradopt.base.policies`), each
            five arrays like `y0`. The steps are made again from there: where there are many of them
            between two times, more states make derivatives faster, 64 ten times for 2,500 steps;
            where there are one or two, 2 states are as fast, with a third of the memory.

    Returns:
        A pytree like `y0` of arrays with a first axis of length n. Derivatives are NaN where the
        adjoint equation could not be solved.

    Raises:
        ConvergenceError: a time is not reached in `mxstep` steps, or only with steps too short to
            count, as where the solution has no limit.
        ArgumentError: `f` returns what is not like `y0`; `t` does not increase or decrease.
        ArgumentTypeError: `y0` or `t` is not of floats.
    """
    check_callable(f)
    like = Likeness.of(y0, "y0")
    times = checked_times(t)
    dtypes = [dtype for _, dtype in like.kinds]
    default = math.sqrt(precision([*dtypes, times.dtype]))
    tolerances = Tolerances(
        checked_tolerance(default if rtol is None else rtol, "rtol"),
        checked_tolerance(default if atol is None else atol, "atol"),
    )
    check_policy(checkpoint)
    limits = Limits(
        DORMAND_PRINCE,
        tolerances,
        checked_count(mxstep, "mxstep"),
        checked_tolerance(hmax, "hmax"),
        None,
        checkpoint,
    )
    if gradient not in ("steps", "adjoint"):
        raise ArgumentError(
            f'gradient must be "steps" or "adjoint", but it is {gradient!r}', source_location()
        )

    def slope(y: Any, t: Any) -> Any:
        return call_user(f, (y, t, *args), {})

    return solution(f, slope, y0, like, times, limits, gradient, "odeint")


def solution(
    f: Callable[..., Any],
    rate: Callable[[Any, Any], Any],
    y0: Any,
    like: Likeness,
    times: Any,
    limits: Limits,
    gradient: Gradient,
    name: str,
) -> Any:
    """The states at the times, stacked.

    Args:
        f: the user's function, for messages.
        rate: the slope, of the state and the time.
        y0: the state at the first time.
        like: what it is like.
        times: as `checked_times` gives them.
        limits: how the solution is found.
        gradient: how derivatives in reverse mode are found.
        name: of the function that the user called.

    Raises:
        ConvergenceError: a time is not reached.
        ArgumentError: the slope is not like `y0`.
    """

    def slope(y: State, t: Any) -> State:
        return flatten(like.fit(rate(like.tree.unflatten(y), t), f, convert=True))[0]

    state = [_array(leaf) for leaf in flatten(y0)[0]]
    if current_scope() is not None:
        slope = traced_once(slope, state, times[0])
    if gradient == "steps" or current_scope() is None:
        ys, stuck = _solve(slope, state, times, limits)
    else:
        ys, stuck = _solve_at_any_order(f, slope, state, times, limits)
    require_converged(
        stuck < 0,
        np.maximum(stuck, 0),
        f"{name} did not get from t[{{value}}] to the next time: more than mxstep = "
        f"{limits.steps} steps are needed, or steps that are too short, as f or y is no number, "
        "or has no limit",
    )
    return like.tree.unflatten(ys)


def _array(leaf: Any) -> Any:
    """An array or NumPy scalar, for a Python number, too."""
    if isinstance(leaf, Handle):
        return wrap(leaf._read()) if leaf._weak else leaf
    return np.asarray(leaf)[()]


def checked_times(t: Any) -> Any:
    """The times, an array of floats that increases or decreases."""
    if is_traced(t) and not isinstance(t, Handle):
        t = np.stack(t)
    given = checked_array(t, "t") if isinstance(t, (list, tuple)) else t
    times: Any = given if isinstance(given, Handle) else np.asarray(given)
    text = f"{times.dtype}{list(times.shape)}"
    if kind_of(times.dtype) not in "fi":
        raise ArgumentTypeError(f"t must be of floats, but it is {text}", source_location())
    if times.ndim != 1 or not times.shape[0]:
        raise ArgumentError(
            f"t must be an array of one dimension, with one time or more, but it is {text}",
            source_location(),
        )
    if times.dtype.kind == "i":
        times = times.astype(np.float64)
    if times.shape[0] > 1:
        steps = times[1:] - times[:-1]
        wrong = np.logical_not(_direction(times) * steps >= 0)
        require_none(
            wrong,
            "t must increase or decrease, but t[{value}] and the next time do not follow the first "
            "and the last one",
        )
    return times


def _direction(times: Any) -> Any:
    """1 or -1: the way from the first time to the last one."""
    return stop_gradient(np.where(times[-1] >= times[0], 1, -1).astype(times.dtype))


def _solve(slope: Slope, y0: State, times: Any, limits: Limits) -> tuple[State, Any]:
    """The states at the times, and the number of the first time that was not left, or -1.

    The states are stacked; behind that time they are NaN.
    """
    if times.shape[0] == 1:
        return [y[np.newaxis] for y in y0], np.int64(-1)
    way = _direction(times)
    times = way * times

    def forward(y: State, t: Any) -> State:
        return [cast(way, rate) * rate for rate in slope(y, way * t)]

    rise = forward(y0, times[0])
    method = limits.method
    if limits.first is None:
        size = first_size(forward, y0, rise, times[0], limits.tolerances, method.order)
    else:
        size = cast(np.float64(limits.first), times)
    none = Step(size, y0, rise, [y0] * method.inner, y0, rise)
    begin = _Progress(times[0], times[0], none, size)
    at = _dense_output(method, forward, y0, times)

    def advance(state: Any, item: Any) -> Any:
        progress, stuck = state
        number, target = item
        progress = _reach(forward, progress, target, times[-1], limits)
        stuck = np.where((stuck < 0) & np.logical_not(progress.t >= target), number, stuck)
        found = at(progress.made, target - progress.begin, target)
        return (progress, stuck), [np.where(stuck < 0, y, np.nan).astype(y.dtype) for y in found]

    numbers = np.arange(times.shape[0] - 1)
    (_, stuck), rest = scan(advance, (begin, np.int64(-1)), (numbers, times[1:]))
    ys = [np.concatenate([y[np.newaxis], later]) for y, later in zip(y0, rest, strict=True)]
    return ys, stuck


def _dense_output(
    method: Method, slope: Slope, y0: State, times: Any
) -> Callable[[Step, Any, Any], State]:
    """The state at some time in or behind a step, of that time after its beginning.

    As `between`, but the derivative in the time is the slope: that of the polynomial is near it.
    """
    if not is_traced(times) or times._known() is not None or scope().order == 0:
        return lambda made, elapsed, _: between(method, made, elapsed)
    closure = closure_of(slope, (y0, times[0]), slope)

    def state(_captured: Captured, made: Step, elapsed: Any, _t: Any) -> State:
        return between(method, made, elapsed)

    output = custom_jvp(state)

    @output.defjvp
    def _(primals: Any, tangents: Any) -> Any:
        captured, made, elapsed, t = primals
        _, moved, later, _ = tangents
        y = output(*primals)
        _, changes = jvp(lambda made: between(method, made, elapsed), (made,), (moved,))
        rates = closure.call(captured, slope, y, t)
        return y, [a + cast(later, a) * rate for a, rate in zip(changes, rates, strict=True)]

    return lambda made, elapsed, t: output(closure.captured, made, elapsed, t)


def _reach(slope: Slope, progress: _Progress, target: Any, end: Any, limits: Limits) -> _Progress:
    """Steps to the target or behind it, but not behind the end."""
    target, end = stop_gradient((target, end))
    method = limits.method

    def goes_on(state: Any) -> Any:
        count, (_, t, _, size) = state
        return (count < limits.steps) & (t < target) & (t + size > t)

    def attempt(state: Any) -> Any:
        count, old = state
        now = stop_gradient(old.t)
        size = np.minimum(old.size, cast(np.float64(limits.size), now))
        is_last = size >= end - now
        size = np.where(is_last, end - now, size)
        made, ratio = method.step(
            slope, old.made.end, old.made.fall, old.t, size, limits.tolerances
        )
        # The end itself where it is reached; the time moves as its beginning does in any case.
        t = np.where(is_last, end, now + size) + (old.t - now)
        new = _Progress(old.t, t, made, size)
        chosen = tree_map(lambda new, old: np.where(ratio <= 1, new, old), new, old)
        return count + 1, chosen._replace(size=next_size(size, ratio, method.order))

    return while_loop(goes_on, attempt, (np.int64(0), progress), checkpoint=limits.checkpoint)[1]


def _solve_with_adjoint(
    f: Callable[..., Any], slope: Slope, y0: State, times: Any, limits: Limits
) -> tuple[State, Any]:
    """As `_solve`, with the derivative in reverse mode by the adjoint equation."""
    slope = traced_once(slope, y0, times[0])
    closure = closure_of(f, (y0, times[0]), slope)
    count = len(y0)

    def run(captured: Captured, y0: State, times: Any) -> Any:
        return closure.call(captured, _solve, slope, y0, times, limits)

    solution = custom_vjp(named_like(f, run))

    def push(primals: Any, tangents: Any) -> Any:
        (floats, others), y0, times = primals
        (moved, _), *further = tangents
        result, linear = linearize(
            lambda floats, y0, times: run((floats, others), y0, times), floats, y0, times
        )
        return result, (nan_if_unchecked(lambda: linear(moved, *further)[0]), None)

    def fwd(captured: Captured, y0: State, times: Any) -> Any:
        result = solution(captured, y0, times)
        return result, (captured, result[0], times)

    def bwd(residuals: Any, cotangent: Any) -> Any:
        (floats, others), ys, times = residuals

        def backward(state: State, t: Any) -> State:
            y, adjoint = state[:count], state[count : 2 * count]
            rates, pull = vjp(
                lambda y, floats: closure.call((floats, others), slope, y, t), y, floats
            )
            return [*rates, *[-change for part in pull(adjoint) for change in part]]

        def rate_at(y: State, t: Any) -> State:
            return closure.call((floats, others), slope, y, t)

        def interval(state: Any, item: Any) -> Any:
            adjoint, gradient = state
            y, given, late, early = item
            adjoint = [a + b for a, b in zip(adjoint, given, strict=True)]
            start, ends = [*y, *adjoint, *gradient], np.stack([late, early])
            found, _ = _solve_at_any_order(f, backward, start, ends, limits)
            last = [part[-1] for part in found]
            moved = (last[count : 2 * count], last[2 * count :])
            return moved, _dot(given, rate_at(y, late))

        def changes() -> Any:
            zero = [np.zeros_like(y[0]) for y in ys], [np.zeros_like(p) for p in floats]
            given = cotangent[0]
            items = ([y[1:] for y in ys], [g[1:] for g in given], times[1:], times[:-1])
            (adjoint, gradient), later = scan(interval, zero, items, reverse=True)
            first = -_dot(adjoint, rate_at([y[0] for y in ys], times[0]))
            adjoint = [a + g[0] for a, g in zip(adjoint, given, strict=True)]
            in_times = np.concatenate([first[np.newaxis], later]).astype(times.dtype)
            return gradient, adjoint, in_times

        gradient, adjoint, in_times = nan_if_unchecked(changes)
        return (gradient, None), adjoint, in_times

    solution.defvjp(fwd, bwd)
    solution.defjvp(push)
    return solution(closure.captured, y0, times)


def _solve_at_any_order(
    f: Callable[..., Any], slope: Slope, y0: State, times: Any, limits: Limits
) -> tuple[State, Any]:
    solve = _solve if scope().order == 0 else functools.partial(_solve_with_adjoint, f)
    return solve(slope, y0, times, limits)


def _dot(x: State, y: State) -> Any:
    """The sum of products of all elements, a float64."""
    total = np.float64(0)
    for a, b in zip(x, y, strict=True):
        total = total + np.sum(a * b)
    return total
