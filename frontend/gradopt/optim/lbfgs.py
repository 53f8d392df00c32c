# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""L-BFGS: steps from the curvature that past steps saw, with a line search."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from gradopt.base.location import source_location
from gradopt.base.pytree import flatten, tree_map
from gradopt.errors import ArgumentError
from gradopt.optim.checks import public
from gradopt.optim.limits import global_norm
from gradopt.optim.scaling import like_state
from gradopt.optim.transformation import (
    GradientTransformation,
    as_array,
    cast,
    float_leaves,
    required,
    transformation_of,
)
from gradopt.transforms.gradient import value_and_grad
from gradopt.transforms.loops import while_loop

# Of the decrease that the slope promises, what a step must reach; of the slope, what may be left.
_DECREASE = 1e-4
_SLOPE = 0.9


class LBFGSState(NamedTuple):
    """State of L-BFGS.

    Attributes:
        steps: last steps, the newest one last: of each array (memory, *shape).
        changes: changes of the gradient in these steps.
        inverses: `1 / dot(step, change)`, shape (memory,); 0 where there is none yet.
    """

    steps: Any
    changes: Any
    inverses: Any


def _dot(x: Any, y: Any) -> Any:
    products = tree_map(lambda a, b: np.sum(a * b), x, y)
    leaves = flatten(products)[0]
    return sum(leaves[1:], leaves[0])


def _add(x: Any, factor: Any, y: Any) -> Any:
    """`x + factor * y`."""
    return tree_map(lambda a, b: a + cast(factor, a) * b, x, y)


def _scale(factor: Any, x: Any) -> Any:
    return tree_map(lambda a: cast(factor, a) * a, x)


def _direction(grads: Any, state: LBFGSState, memory: int) -> Any:
    """Minus the gradient times an inverse of the Hessian that agrees with all past steps.

    Nocedal and Wright, Numerical optimization, algorithm 7.4.
    """
    pairs = [
        (*[tree_map(lambda a, i=i: a[i], kept) for kept in state[:2]], state.inverses[i])
        for i in range(memory)
    ]
    left, factors = grads, []
    for step, change, inverse in reversed(pairs):
        factors.append(inverse * _dot(step, left))
        left = _add(left, -factors[-1], change)
    step, change, inverse = pairs[-1]
    square = _dot(change, change)
    known = (inverse > 0) & (square > 0)
    curvature = np.where(known, inverse * square, 1)
    left = _scale(1 / curvature, left)
    for (step, change, inverse), factor in zip(pairs, reversed(factors), strict=True):
        left = _add(left, factor - inverse * _dot(change, left), step)
    return _scale(-1.0, left)


def _search(
    loss: Callable[[Any], Any], params: Any, direction: Any, first: Any, tries: int
) -> tuple[Any, Any, Any]:
    """The length of a step that fulfils Wolfe's conditions, the gradient here and behind it.

    By bisection: Lewis and Overton, Nonsmooth optimization via quasi-Newton methods, 2013. Where
    the tries do not suffice, the longest step that decreased the loss enough, which may be 0.
    """
    evaluate = value_and_grad(loss)
    start, grads = evaluate(params)
    slope = _dot(grads, direction)

    def goes_on(state: Any) -> Any:
        count, _, _, _, done, _ = state
        return (count < tries) & np.logical_not(done)

    def halve(state: Any) -> Any:
        count, length, low, high, _, behind = state
        value, found = evaluate(_add(params, length, direction))
        # What is no number is no decrease.
        falls = value <= start + cast(_DECREASE * length * slope, as_array(start))
        flat = _dot(found, direction) >= _SLOPE * slope
        low = np.where(falls, length, low)
        high = np.where(falls, high, length)
        behind = tree_map(lambda new, old: np.where(falls, new, old), found, behind)
        following = np.where(np.isinf(high), 2 * low, 0.5 * (low + high))
        return count + 1, following, low, high, falls & flat, behind

    none = first - first
    init = (np.int64(0), first, none, none + np.inf, np.bool_(False), grads)
    _, _, length, _, _, behind = while_loop(goes_on, halve, init)
    return length, grads, behind


@public()
def lbfgs(
    loss: Callable[[Any], Any], memory: int = 10, max_evaluations: int = 30
) -> GradientTransformation:
    """Steps of L-BFGS; each fulfils Wolfe's conditions of `loss`.

    For losses that are functions of the parameters alone, such as that of all examples. Gradients
    that `update` gets should be those of `loss`; parameters must be given to it, too. A minimum is
    reached when updates are zero.

    Args:
        loss: function of the parameters, a float scalar.
        memory: how many steps the curvature is taken from.
        max_evaluations: how often a step may evaluate the loss and its gradient.

    Raises:
        ArgumentError: `memory` or `max_evaluations` is not positive.

    Liu and Nocedal, On the limited memory BFGS method, 1989.
    """
    for name, number in (("memory", memory), ("max_evaluations", max_evaluations)):
        if number < 1:
            raise ArgumentError(f"{name} must be at least 1, but it is {number}", source_location())

    def init(params: Any) -> LBFGSState:
        leaves, tree = float_leaves(params, "params")
        dtype = np.result_type(*[leaf.dtype for leaf in leaves]) if leaves else np.float64

        def empty() -> Any:
            return tree.unflatten([np.zeros((memory, *x.shape), x.dtype) for x in leaves])

        return LBFGSState(empty(), empty(), np.zeros(memory, dtype))

    def update(grads: Any, state: Any, params: Any = None) -> tuple[Any, LBFGSState]:
        params = required(params, "lbfgs")
        grads = like_state(grads, params, "params")
        direction = _direction(grads, state, memory)
        norm = np.maximum(global_norm(grads), 1)
        fresh = state.inverses[-1] == 0
        first = np.where(fresh, 1 / norm, norm / norm).astype(state.inverses.dtype)
        length, here, behind = _search(loss, params, direction, first, max_evaluations)
        step = _scale(length, direction)
        change = tree_map(lambda b, a: b - a, behind, here)
        product = _dot(step, change)
        # Without a step, or with a change that is lost in rounding, what is known is dropped: the
        # next step is along the gradient.
        useful = product > 0
        inverse = np.where(useful, 1 / np.where(useful, product, 1), 0)

        def kept(old: Any, new: Any) -> Any:
            return tree_map(lambda a, b: np.concatenate([a[1:], b[np.newaxis]]), old, new)

        before = np.where(useful, state.inverses[1:], 0)
        inverses = np.concatenate([before, np.reshape(inverse, (1,))])
        return step, LBFGSState(
            kept(state.steps, step),
            kept(state.changes, change),
            inverses.astype(state.inverses.dtype),
        )

    return transformation_of(init, update)
