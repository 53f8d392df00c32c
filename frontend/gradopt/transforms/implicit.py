# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""custom_linear_solve, custom_root and fixed_point: functions that equations define.

How a solution was found says nothing of its derivative: that follows from the equation, by the
implicit function theorem. Where F(x, p) = 0,

    dx = -(dF/dx)^-1 (dF/dp) dp

so that forward and reverse mode cost one more linear system, whatever the solver did. All here are
functions with rules (`gradopt.transforms.custom`); the rules call these functions again, so that
there are derivatives of any order. What p is, tracing tells (`gradopt.transforms.closures`).
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from gradopt.base.frames import hide_frames
from gradopt.base.pytree import flatten, tree_map
from gradopt.compilation.calling import call_user, check_callable
from gradopt.ir.current import current_scope, scope
from gradopt.transforms.closures import Captured, closure_of, nan_if_unchecked, traced_once
from gradopt.transforms.convergence import (
    checked_count,
    checked_tolerance,
    precision,
    require_converged,
)
from gradopt.transforms.custom import custom_vjp
from gradopt.transforms.inner import split_aux
from gradopt.transforms.jacobian_products import jvp, linearize, named_like, vjp
from gradopt.transforms.likeness import Likeness
from gradopt.transforms.loops import while_loop

Function = Callable[[Any], Any]


@hide_frames
def custom_linear_solve(
    matvec: Function,
    b: Any,
    solve: Callable[[Function, Any], Any],
    transpose_solve: Callable[[Function, Any], Any] | None = None,
    symmetric: bool = False,
    has_aux: bool = False,
) -> Any:
    """The solution x of a linear system, `matvec(x) = b`, with derivatives that follow from it.

    Derivatives are those in `b` and in all that `matvec` closes over; the solvers are not
    differentiated.

    Args:
        matvec: a linear function of a pytree like `b`, with a result like `b`.
        b: pytree of arrays of floats.
        solve: called as `solve(matvec, b)`; returns x.
        transpose_solve: called as `transpose_solve(vecmat, b)` for the transposed system, whose
            function it gets. Reverse mode uses it; without it, `solve` is differentiated in `b`.
        symmetric: whether `matvec` is its own transpose: then `solve` is for both.
        has_aux: whether the solvers return `(x, aux)`; aux has no derivatives.

    Returns:
        x, or `(x, aux)`.

    Raises:
        ArgumentError: what a function returns is not like `b`; the message names the path.
    """
    solvers = [solve] if transpose_solve is None else [solve, transpose_solve]
    for function in (matvec, *solvers):
        check_callable(function)
    like = Likeness.of(b, "b")
    transposed = solve if symmetric else transpose_solve

    def first(result: Any) -> Any:
        return result[0] if has_aux else result

    is_differentiated = _is_differentiated()
    product = _checked(matvec, like)
    if is_differentiated:
        product = traced_once(product, b)

    def solved(solve: Any, b: Any) -> Any:
        return _fitted(like, call_user(solve, (product, b), {}), solve, has_aux)

    if not is_differentiated:
        return solved(solve, b)

    def look(b: Any) -> None:
        product(b)
        for solver in solvers:
            solved(solver, b)

    closure = closure_of(matvec, (b,), look)

    def apply(captured: Captured, x: Any) -> Any:
        return closure.call(captured, product, x)

    def call(captured: Captured, b: Any) -> Any:
        return closure.call(captured, solved, solve, b)

    solution = custom_vjp(named_like(matvec, call))

    def fwd(captured: Captured, b: Any) -> Any:
        result = solution(captured, b)
        return result, (captured, b, result)

    def bwd(residuals: Any, cotangent: Any) -> Any:
        (floats, others), b, result = residuals
        x, given = first(result), first(cotangent)

        def inside(solve: Any) -> Any:
            return functools.wraps(solve)(lambda f, b: closure.call((floats, others), solve, f, b))

        def adjoint() -> Any:
            if transposed is None:
                return vjp(lambda b: first(call((floats, others), b)), b)[1](given)[0]
            pull = vjp(lambda x: apply((floats, others), x), x)[1]
            found = custom_linear_solve(
                functools.wraps(matvec)(lambda v: pull(v)[0]),
                given,
                inside(transposed),
                inside(solve),
                symmetric,
                has_aux,
            )
            return first(found)

        def changes() -> Any:
            change = adjoint()
            pull = vjp(lambda floats: apply((floats, others), x), floats)[1]
            return tree_map(np.negative, pull(change)[0]), change

        moved, change = nan_if_unchecked(changes)
        return (moved, None), change

    def push(primals: Any, tangents: Any) -> Any:
        (floats, others), b = primals
        (moved, _), change = tangents
        result = solution((floats, others), b)
        x = first(result)

        def tangent() -> Any:
            _, product = jvp(lambda floats: apply((floats, others), x), (floats,), (moved,))
            return first(solution((floats, others), tree_map(np.subtract, change, product)))

        tangent = nan_if_unchecked(tangent)
        return result, (tangent, None) if has_aux else tangent

    solution.defvjp(fwd, bwd)
    solution.defjvp(push)
    return solution(closure.captured, b)


def _is_differentiated() -> bool:
    """Whether somebody may ask for derivatives of the code that is traced."""
    return current_scope() is not None and scope().order > 0


def _checked(function: Function, like: Likeness) -> Function:
    """The function, whose results are checked."""
    return functools.wraps(function)(lambda x: like.fit(call_user(function, (x,), {}), function))


def _fitted(like: Likeness, returned: Any, solve: Callable[..., Any], has_aux: bool) -> Any:
    """What a solver returned, checked."""
    if not has_aux:
        return like.fit(returned, solve)
    solution, aux = split_aux(returned, "solution", solve)
    return like.fit(solution, solve), aux


@hide_frames
def custom_root(
    f: Function,
    initial_guess: Any,
    solve: Callable[[Function, Any], Any],
    tangent_solve: Callable[[Function, Any], Any],
    has_aux: bool = False,
) -> Any:
    """A root of a function, `f(x) = 0`, with derivatives by the implicit function theorem.

    Derivatives are those in all that `f` closes over. Neither `solve` nor what it does is
    differentiated; the root does not depend on `initial_guess`.

    Args:
        f: function of a pytree like `initial_guess`, with a result like it.
        initial_guess: pytree of arrays of floats.
        solve: called as `solve(f, initial_guess)`; returns a root.
        tangent_solve: called as `tangent_solve(g, y)`, with a linear function g (`f`, linearized at
            the root); returns x with g(x) = y. For scalars, `lambda g, y: y / g(1.0)`. It should
            be linear in y, and reverse mode transposes it; what iterates until it is near
            enough is not linear for the compiler, and calls `custom_linear_solve`.
        has_aux: whether `solve` returns `(root, aux)`; aux has no derivatives.

    Returns:
        The root, or `(root, aux)`.

    Raises:
        ArgumentError: what a function returns is not like `initial_guess`; the message names the
            path.
    """
    for function in (f, solve, tangent_solve):
        check_callable(function)
    like = Likeness.of(initial_guess, "initial_guess")
    return _root(f, initial_guess, like, solve, tangent_solve, None, has_aux)


def _root(
    f: Function,
    initial_guess: Any,
    like: Likeness,
    solve: Callable[[Function, Any], Any],
    tangent_solve: Callable[[Function, Any], Any],
    transpose_solve: Callable[[Function, Any], Any] | None,
    has_aux: bool = False,
) -> Any:
    """As `custom_root`, with a solver for the transposed linear function, if there is one."""

    def first(result: Any) -> Any:
        return result[0] if has_aux else result

    is_differentiated = _is_differentiated()
    equation = _checked(f, like)
    if is_differentiated:
        equation = traced_once(equation, initial_guess)

    def solved(guess: Any) -> Any:
        return _fitted(like, call_user(solve, (equation, guess), {}), solve, has_aux)

    if not is_differentiated:
        return solved(initial_guess)

    def look(guess: Any) -> None:
        solved(guess)
        linear = linearize(equation, guess)[1]
        like.fit(call_user(tangent_solve, (linear, guess), {}), tangent_solve)

    closure = closure_of(f, (initial_guess,), look)

    def residual(captured: Captured, x: Any) -> Any:
        return closure.call(captured, equation, x)

    def root(captured: Captured, guess: Any) -> Any:
        return closure.call(captured, solved, guess)

    solution = custom_vjp(named_like(f, root))

    def tangent(captured: Captured, x: Any, y: Any) -> Any:
        linear = linearize(lambda x: residual(captured, x), x)[1]
        return like.fit(closure.call(captured, tangent_solve, linear, y), tangent_solve)

    def push(primals: Any, tangents: Any) -> Any:
        (floats, others), guess = primals
        (moved, _), _ = tangents
        result = solution((floats, others), guess)
        x = first(result)

        def change() -> Any:
            _, change = jvp(lambda floats: residual((floats, others), x), (floats,), (moved,))
            return tree_map(np.negative, tangent((floats, others), x, change))

        change = nan_if_unchecked(change)
        return result, (change, None) if has_aux else change

    def fwd(captured: Captured, guess: Any) -> Any:
        result = solution(captured, guess)
        return result, (captured, first(result))

    def bwd(residuals: Any, cotangent: Any) -> Any:
        (floats, others), x = residuals
        given = first(cotangent)

        def change() -> Any:
            if transpose_solve is None:
                # Linear, so that it does not matter where it is differentiated.
                (adjoint,) = vjp(lambda y: tangent((floats, others), x, y), given)[1](given)
            else:
                transposed = vjp(lambda x: residual((floats, others), x), x)[1]
                adjoint = closure.call(
                    (floats, others), transpose_solve, lambda y: transposed(y)[0], given
                )
            pull = vjp(lambda floats: residual((floats, others), x), floats)[1]
            return pull(tree_map(np.negative, adjoint))[0]

        return (nan_if_unchecked(change), None), None

    solution.defjvp(push)
    solution.defvjp(fwd, bwd)
    return solution(closure.captured, initial_guess)


@hide_frames
def fixed_point(
    f: Function,
    x0: Any,
    *,
    rtol: float | None = None,
    atol: float | None = None,
    max_steps: int = 1000,
) -> Any:
    """A fixed point of a function, `f(x) = x`, with derivatives by the implicit function theorem.

    `f` is applied until it changes the largest element of x by no more than `atol + rtol * |x|`,
    with the largest element there, too. The derivatives, in all that `f` closes over, are those of
    the equation. They are found by iterations of the same kind, which converge where these do.

    Args:
        f: function of a pytree like `x0`, with a result like it; a contraction near the fixed
            point.
        x0: pytree of arrays of floats, where to begin. The result does not depend on it.
        rtol: relative tolerance; by default eps^(2/3): 4e-11 in float64, 2e-5 in float32.
        atol: absolute tolerance; by default the same.
        max_steps: how often `f` may be applied.

    Returns:
        The fixed point, a pytree like `x0`. A derivative whose iterations do not converge is NaN.

    Raises:
        ConvergenceError: the iterations do not converge.
        ArgumentError: what `f` returns is not like `x0`; the message names the path.
    """
    check_callable(f)
    like = Likeness.of(x0, "x0")
    default = precision(dtype for _, dtype in like.kinds) ** (2 / 3)
    relative = checked_tolerance(default if rtol is None else rtol, "rtol")
    absolute = checked_tolerance(default if atol is None else atol, "atol")
    max_steps = checked_count(max_steps, "max_steps")
    following = _checked(f, like)
    if _is_differentiated():
        following = traced_once(following, x0)

    def solve(_: Function, x: Any) -> Any:
        found, converged, count = _iterate(following, x, relative, absolute, max_steps)
        require_converged(
            converged,
            count,
            "fixed_point did not converge: after {value} steps, f still changes x by more than "
            f"rtol = {relative:.3g} and atol = {absolute:.3g} allow",
        )
        return found

    def linear_solve(g: Function, y: Any) -> Any:
        return custom_linear_solve(g, y, neumann, neumann)

    def neumann(g: Function, y: Any) -> Any:
        # g(v) is J v - v: the fixed point of J v - y.
        def step(v: Any) -> Any:
            return tree_map(lambda v, change, y: v + change - y, v, g(v), y)

        found, converged, _ = _iterate(step, like.zeros, relative, 0.0, max_steps)
        return tree_map(lambda v: np.where(converged, v, np.nan).astype(v.dtype), found)

    def residual(x: Any) -> Any:
        return tree_map(np.subtract, following(x), x)

    return _root(functools.wraps(f)(residual), x0, like, solve, linear_solve, linear_solve)


def _iterate(
    step: Function, start: Any, rtol: float, atol: float, max_steps: int
) -> tuple[Any, Any, Any]:
    """The last iterate, whether it is converged, and the number of steps."""

    def goes_on(state: Any) -> Any:
        count, _, excess = state
        return (count < max_steps) & (excess > 0)  # Not if it is NaN.

    def body(state: Any) -> Any:
        count, x, _ = state
        following = step(x)
        pairs = list(zip(flatten(following)[0], flatten(x)[0], strict=True))
        pairs = [(new, old) for new, old in pairs if np.size(new)]
        change = _largest([new - old for new, old in pairs])
        size = _largest([new for new, _ in pairs])
        with np.errstate(invalid="ignore"):  # Of two infinities.
            return count + 1, following, change - (atol + rtol * size)

    init = (np.int64(0), start, np.float64(math.inf))
    count, found, excess = while_loop(goes_on, body, init)
    return found, excess <= 0, count


def _largest(leaves: list[Any]) -> Any:
    """The largest magnitude among the elements, a float64."""
    largest = np.float64(0)
    for leaf in leaves:
        largest = np.maximum(largest, np.max(np.abs(leaf)))
    return largest
