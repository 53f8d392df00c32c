# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Ordinary differential equations in `scipy.integrate`: solve_ivp and odeint.

Derivatives are those of the steps that were made, or of the adjoint equation, as of
`gradopt.odeint`, which has the loop for these methods, too.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from gradopt.array.dispatch import unsupported
from gradopt.array.handle import Handle, wrap
from gradopt.array.operands import traced
from gradopt.base.frames import hide_frames
from gradopt.base.location import source_location
from gradopt.base.policies import Checkpoint, check_policy
from gradopt.compilation.calling import call_user, check_callable
from gradopt.compilation.programs import program
from gradopt.errors import ArgumentError, ShapeError
from gradopt.ir import checks
from gradopt.scipy.integrate.bogacki_shampine import BOGACKI_SHAMPINE
from gradopt.scipy.integrate.dop853 import DOP853
from gradopt.scipy.integrate.events import Event, checked_events, find
from gradopt.scipy.integrate.radau import RADAU
from gradopt.scipy.operands import inexact
from gradopt.transforms.convergence import checked_count, checked_tolerance
from gradopt.transforms.dormand_prince import DORMAND_PRINCE
from gradopt.transforms.integrate import Gradient, Limits, checked_times, solution
from gradopt.transforms.likeness import Likeness
from gradopt.transforms.runge_kutta import Tolerances

_METHODS = {"RK45": DORMAND_PRINCE, "RK23": BOGACKI_SHAMPINE, "DOP853": DOP853, "Radau": RADAU}
# Smaller tolerances than 100 times the rounding error cannot be kept to.
_LEAST_RELATIVE = 100
_MESSAGES = (
    "The solver successfully reached the end of the integration interval.",
    "A termination event occurred.",
)
# Of a status that the run finds.
_EITHER_MESSAGE = (
    "The solver successfully reached the end of the integration interval, or a termination event "
    "occurred."
)


class OdeResult(NamedTuple):
    """What `solve_ivp` returns.

    Attributes:
        t: the times, of shape (m,); up to the event where the solution ends, if there is one.
        y: the states there, of shape (n, m).
        status: 0, as in SciPy, if the end was reached; 1 if an event ended the solution. What is
            not reached raises.
        success: True.
        message: what SciPy says of this status; of both, where the status is traced.
        sol: with `dense_output`, the solution as a function of the time; else None.
        t_events: with `events`, a list of their times, as many as there are of each.
        y_events: the states there, of shape (k, n).
    """

    t: Any
    y: Any
    status: Any = 0
    success: bool = True
    message: str = _MESSAGES[0]
    sol: Callable[[Any], Any] | None = None
    t_events: list[Any] | None = None
    y_events: list[Any] | None = None


@hide_frames
def solve_ivp(
    fun: Callable[..., Any],
    t_span: Any,
    y0: Any,
    method: str = "RK45",
    t_eval: Any = None,
    dense_output: bool = False,
    events: Any = None,
    vectorized: bool = False,
    args: Any = None,
    *,
    rtol: float = 1e-3,
    atol: float = 1e-6,
    first_step: float | None = None,
    max_step: float = math.inf,
    jac: Any = None,
    mxstep: int = 10_000,
    gradient: Gradient = "steps",
    checkpoint: Checkpoint = 8,
) -> OdeResult:
    """The solution of `dy/dt = fun(t, y, *args)` with `y(t_span[0]) = y0`, at the times `t_eval`.

    There are derivatives in `y0`, `t_span`, `t_eval`, `args` and all that `fun` closes over, in
    both modes. Steps end where their error asks for it, not at these times.

    Args:
        fun: function of the time and the state, of shape (n,); returns n numbers.
        t_span: the first and the last time.
        y0: n numbers.
        method: "RK45", "RK23", "DOP853", or, for stiff equations, "Radau". With "Radau" each step
            solves a system of 3 n unknowns by elimination, with a Jacobian that is exact.
        t_eval: times within `t_span`, in its order. It is needed: how many steps are made is not
            known while tracing.
        dense_output: whether `sol` is there: a function of a time, or of several in any order,
            whose derivatives in times are slopes. It makes the steps again, where it is called.
        events: a function of the time, the state and `args` that returns a number, or a list of
            them: times are looked for where these change their sign, between sixteen places in each
            interval between the start, the times `t_eval`, and the end. As in SciPy, the attribute
            `direction` of a function says which sign changes count, and `terminal` whether, or at
            which of its events, the solution ends. There are derivatives in what it depends on.
            What follows such an end is computed, too, and must be there.
        vectorized: means nothing.
        args: passed on.
        rtol: relative tolerance; the root mean square of estimated errors, each divided by
            `atol + rtol * |y|`, is at most 1 in each step.
        atol: absolute tolerance.
        first_step: the size of the first step.
        max_step: that of the longest one.
        jac: means nothing: derivatives are ours.
        mxstep: how many steps there may be between two of the times.
        gradient: as that of `gradopt.odeint`.
        checkpoint: as that of `gradopt.odeint`.

    Returns:
        Times, and states of shape (n, m); other fields are those of success.

    Raises:
        ConvergenceError: a time is not reached in `mxstep` steps, or only with steps too short to
            count.
        UnsupportedError: what is not supported, and other methods.
        ArgumentError: times are not in order, or outside of `t_span`.
        ShapeError: `y0` is no vector.
    """
    check_callable(fun)
    if method not in _METHODS:
        hint = "use one of " + ", ".join(_METHODS) + ("; Radau is for stiff equations, too")
        raise unsupported(f"method={method!r} of scipy.integrate.solve_ivp", hint)
    if t_eval is None:
        raise unsupported(
            "scipy.integrate.solve_ivp without t_eval",
            "how many steps are made is not known while tracing; give the times, such as "
            "t_eval=numpy.linspace(*t_span, 100)",
        )
    start, end = t_span
    extra = () if args is None else tuple(args) if isinstance(args, (list, tuple)) else (args,)
    limits = _limits(method, rtol, atol, mxstep, max_step, first_step, checkpoint)

    def states(times: Any) -> tuple[Any, Any]:
        return _solved(
            y0, start, end, times, extra,
            fun=fun, method=method, first=True, name="solve_ivp", gradient=gradient, limits=limits,
        )  # fmt: skip

    @hide_frames
    def solution_at(t: Any) -> Any:
        """The states at a time, or at times: of shape (n,) or (n, m)."""
        given: Any = t if isinstance(t, Handle) else np.asarray(t, float)
        times = np.reshape(given, -1)
        # The solver takes them in the order in which they come.
        order = np.argsort(np.where(end < start, -times, times), stable=True)
        found = states(np.take(times, order))[1]
        found = np.take(found, np.argsort(order, stable=True), axis=0).T
        return found[:, 0] if given.ndim == 0 else found

    sol = solution_at if dense_output else None
    if events is None:
        t, ys = states(t_eval)
        return OdeResult(t, ys.T, sol=sol)
    known = checked_events(events)
    t, ys, status, times, places = _solved_with_events(
        y0, start, end, t_eval, extra,
        fun=fun, events=known, method=method, gradient=gradient, limits=limits,
    )  # fmt: skip
    known_status = status._known() if isinstance(status, Handle) else status
    message = _EITHER_MESSAGE if known_status is None else _MESSAGES[int(known_status)]
    return OdeResult(
        t, ys.T, status, message=message, sol=sol, t_events=list(times), y_events=list(places)
    )


def _limits(
    method: str,
    rtol: float,
    atol: float,
    mxstep: int,
    max_step: float,
    first_step: float | None,
    checkpoint: Checkpoint,
) -> Limits:
    least = _LEAST_RELATIVE * float(np.finfo(np.float64).eps)
    check_policy(checkpoint)
    return Limits(
        _METHODS[method],
        Tolerances(max(checked_tolerance(rtol, "rtol"), least), checked_tolerance(atol, "atol")),
        checked_count(mxstep, "mxstep"),
        checked_tolerance(max_step, "max_step"),
        None if first_step is None else checked_tolerance(first_step, "first_step"),
        checkpoint,
    )


def _require_within(times: Any, start: Any, end: Any) -> None:
    """Checks that times are between two others.

    Raises:
        ArgumentError: one is not.
    """
    low, high = np.minimum(start, end), np.maximum(start, end)
    message = "Values in `t_eval` are not within `t_span`."
    right = (times >= low) & (times <= high)
    known = right._known() if isinstance(right, Handle) else right
    if known is None:
        checks.require_all(traced(right), message, ArgumentError)
    elif not np.all(known):
        raise ArgumentError(message, source_location())


@program
def _solved(
    y0: Any,
    start: Any,
    end: Any,
    t_eval: Any,
    args: tuple[Any, ...],
    *,
    fun: Callable[..., Any],
    method: str,
    first: bool,
    name: str,
    gradient: Gradient,
    limits: Limits,
) -> tuple[Any, Any]:
    """The times, and the states there; `first` says whether the time is the first argument."""
    (y,) = inexact(y0)
    if y.ndim != 1:
        raise ShapeError(
            f"{name}: y0 must be a vector, but its shape is {y.shape}", source_location()
        )
    (times,) = inexact(t_eval)
    if times.ndim != 1:
        raise ShapeError("`t_eval` must be 1-dimensional.", source_location())
    if start is not None:
        start, end = inexact(start, end)
        _require_within(times, start, end)
        whole = np.concatenate([np.reshape(start, 1), times]).astype(times.dtype)
    else:
        whole = times
    like = Likeness.of(y, "y0")

    def rate(state: Any, t: Any) -> Any:
        value = call_user(fun, (t, state, *args) if first else (state, t, *args), {})
        value = wrap(traced(value))
        return np.reshape(value, state.shape) if value.size == state.size else value

    ys = solution(fun, rate, y, like, checked_times(whole), limits, gradient, name)
    return traced(times), traced(ys if start is None else ys[1:])


@program
def _solved_with_events(
    y0: Any,
    start: Any,
    end: Any,
    t_eval: Any,
    args: tuple[Any, ...],
    *,
    fun: Callable[..., Any],
    events: tuple[Event, ...],
    method: str,
    gradient: Gradient,
    limits: Limits,
) -> Any:
    """The times and the states there, the status, and times and states of events."""
    (y,) = inexact(y0)
    start, end, times = inexact(start, end, t_eval)
    _require_within(times, start, end)

    def solve(start: Any, y: Any, times: Any) -> Any:
        return _solved(
            y, None, None, np.concatenate([np.reshape(start, 1), times]), args,
            fun=fun, method=method, first=True, name="solve_ivp", gradient=gradient, limits=limits,
        )[1][1:]  # fmt: skip

    ys, found, last = find(events, solve, y, start, times, end, args)
    status: Any = 0
    if any(event.most for event in events):
        kept = np.where(end < start, times >= last, times <= last)
        times, ys = times[kept], ys[kept]
        status = np.isfinite(last).astype(np.int64)
    chosen = [(one.times[one.is_one], one.states[one.is_one]) for one in found]
    return times, ys, status, tuple([t for t, _ in chosen]), tuple([y for _, y in chosen])


@hide_frames
def odeint(
    func: Callable[..., Any],
    y0: Any,
    t: Any,
    args: Any = (),
    Dfun: Any = None,
    col_deriv: Any = 0,
    full_output: Any = 0,
    ml: Any = None,
    mu: Any = None,
    rtol: float | None = None,
    atol: float | None = None,
    tcrit: Any = None,
    h0: float = 0.0,
    hmax: float = 0.0,
    hmin: float = 0.0,
    ixpr: Any = 0,
    mxstep: int = 0,
    mxhnil: int = 0,
    mxordn: int = 12,
    mxords: int = 5,
    printmessg: Any = 0,
    tfirst: bool = False,
) -> Any:
    """The solution of `dy/dt = func(y, t, *args)` at the times `t`, by the method of solve_ivp.

    SciPy's changes to an implicit method where the equation is stiff; this one is "RK45" always,
    and takes many steps there: call `solve_ivp` with "Radau".

    Args:
        func: function of the state and the time.
        y0: the state at the first of the times: numbers, or one.
        t: times, increasing or decreasing.
        args: passed on.
        full_output: not supported.
        tcrit: not supported.
        rtol: relative tolerance, 1.49e-8 by default.
        atol: absolute tolerance, 1.49e-8 by default.
        h0: the size of the first step, 0 to have it estimated.
        hmax: that of the longest one, 0 if there is no limit.
        mxstep: how many steps there may be between two of the times; 0 is 10,000.
        tfirst: whether `func` takes the time first.
        Dfun, col_deriv, ml, mu, hmin, ixpr, mxhnil, mxordn, mxords, printmessg: mean nothing.

    Returns:
        States of shape (m, n) at m times.

    Raises:
        ConvergenceError: a time is not reached in `mxstep` steps, or only with steps too short to
            count.
        UnsupportedError: `full_output` or `tcrit`.
        ArgumentError: times are not in order.
        ShapeError: `y0` is no vector and no number.
    """
    check_callable(func)
    for keyword, value in (("full_output", full_output), ("tcrit", tcrit)):
        if value is not None and not (np.ndim(value) == 0 and not value):
            raise unsupported(f"keyword {keyword}= of scipy.integrate.odeint")
    extra = tuple(args) if isinstance(args, (list, tuple)) else (args,)
    tolerance = 1.49012e-8
    limits = _limits(
        "RK45",
        tolerance if rtol is None else rtol,
        tolerance if atol is None else atol,
        mxstep or 10_000,
        hmax or math.inf,
        h0 or None,
        2,
    )
    start = y0 if np.ndim(y0) else np.reshape(y0, 1)
    return _solved(
        start, None, None, t, extra,
        fun=func, method="RK45", first=bool(tfirst), name="odeint", gradient="steps",
        limits=limits,
    )[1]  # fmt: skip
