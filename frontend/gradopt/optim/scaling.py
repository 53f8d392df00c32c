# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Transformations that scale gradients by numbers, and by what past gradients say."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from gradopt.base.pytree import flatten, tree_map
from gradopt.optim.checks import public
from gradopt.optim.schedules import ScalarOrSchedule, Schedule
from gradopt.optim.transformation import (
    GradientTransformation,
    cast,
    leaves_like,
    stateless,
    transformation_of,
    zeros_like,
)

FIRST_COUNT = np.int64(0)


class ScheduleState(NamedTuple):
    """State of a schedule.

    Attributes:
        count: steps made, an int64.
    """

    count: Any


class MomentumState(NamedTuple):
    """State of momentum.

    Attributes:
        trace: decaying sums of gradients.
    """

    trace: Any


class AdamState(NamedTuple):
    """State of Adam.

    Attributes:
        count: steps made, an int64.
        mu: means of gradients.
        nu: means of their squares.
    """

    count: Any
    mu: Any
    nu: Any


class SquaresState(NamedTuple):
    """State of RMSprop and Adagrad.

    Attributes:
        nu: means or sums of squared gradients.
    """

    nu: Any


class CenteredState(NamedTuple):
    """State of centered RMSprop.

    Attributes:
        mu: means of gradients.
        nu: means of their squares.
    """

    mu: Any
    nu: Any


class LionState(NamedTuple):
    """State of Lion.

    Attributes:
        mu: means of gradients.
    """

    mu: Any


def _mean(old: Any, new: Any, decay: float) -> Any:
    """Means that forget: `decay * old + (1 - decay) * new`."""
    return tree_map(lambda m, g: decay * m + (1.0 - decay) * g, old, new)


def _square(tree: Any) -> Any:
    return tree_map(np.square, tree)


def like_state(grads: Any, kept: Any, name: str) -> Any:
    """Gradients as a tree like one in the state; raises as `leaves_like`."""
    leaves, _ = leaves_like(grads, "grads", kept, name)
    return flatten(kept)[1].unflatten(leaves)


@public()
def scale(factor: float) -> GradientTransformation:
    """Multiplies by a number."""
    return stateless(lambda leaves, _params, _tree: [factor * leaf for leaf in leaves])


@public()
def scale_by_schedule(schedule: Schedule) -> GradientTransformation:
    """Multiplies by what a schedule says."""

    def update(grads: Any, state: Any, params: Any = None) -> tuple[Any, Any]:
        factor = schedule(state.count)
        scaled, _ = stateless(
            lambda leaves, _params, _tree: [cast(factor, leaf) * leaf for leaf in leaves]
        ).update(grads, ())
        return scaled, ScheduleState(state.count + 1)

    return transformation_of(lambda _params: ScheduleState(FIRST_COUNT), update)


@public()
def scale_by_learning_rate(learning_rate: ScalarOrSchedule) -> GradientTransformation:
    """Multiplies by the negative of a number, or of what a schedule says."""
    if callable(learning_rate):
        schedule = learning_rate
        return scale_by_schedule(lambda count: -schedule(count))
    return scale(-learning_rate)


@public()
def trace(decay: float, nesterov: bool = False) -> GradientTransformation:
    """Momentum: `t = g + decay * t`, and the update is `t`, or `g + decay * t` (Nesterov)."""

    def update(grads: Any, state: Any, params: Any = None) -> tuple[Any, Any]:
        grads = like_state(grads, state.trace, "state.trace")
        kept = tree_map(lambda g, t: g + decay * t, grads, state.trace)
        updates = tree_map(lambda g, t: g + decay * t, grads, kept) if nesterov else kept
        return updates, MomentumState(kept)

    return transformation_of(lambda params: MomentumState(zeros_like(params, "params")), update)


@public()
def scale_by_adam(
    b1: float = 0.9,
    b2: float = 0.999,
    eps: float = 1e-8,
    eps_root: float = 0.0,
    nesterov: bool = False,
) -> GradientTransformation:
    """Adam: `m / (sqrt(v + eps_root) + eps)` of the moments, without their bias to zero.

    Kingma and Ba, Adam: a method for stochastic optimization, 2015. With `nesterov`, NAdam as
    Dozat gives it, 2016, with a constant `b1`.
    """

    def init(params: Any) -> AdamState:
        zeros = zeros_like(params, "params")
        return AdamState(FIRST_COUNT, zeros, zeros_like(params, "params"))

    def update(grads: Any, state: Any, params: Any = None) -> tuple[Any, Any]:
        grads = like_state(grads, state.mu, "state.mu")
        count = state.count + 1
        mu = _mean(state.mu, grads, b1)
        nu = _mean(state.nu, _square(grads), b2)
        first, second = 1.0 - b1**count, 1.0 - b2**count
        ahead = 1.0 - b1 ** (count + 1)

        def step(g: Any, m: Any, v: Any) -> Any:
            if nesterov:
                m = b1 * (m / cast(ahead, m)) + (1.0 - b1) * (g / cast(first, g))
            else:
                m = m / cast(first, m)
            return m / (np.sqrt(v / cast(second, v) + eps_root) + eps)

        return tree_map(step, grads, mu, nu), AdamState(count, mu, nu)

    return transformation_of(init, update)


@public()
def scale_by_rms(
    decay: float = 0.9,
    eps: float = 1e-8,
    initial_scale: float = 0.0,
    eps_in_sqrt: bool = True,
    centered: bool = False,
) -> GradientTransformation:
    """RMSprop: divides by the root of the mean of squares, with `centered` of the variance.

    `g / sqrt(nu + eps)`, or `g / (sqrt(nu) + eps)` without `eps_in_sqrt`. Hinton, Overview of
    mini-batch gradient descent, 2012; centered as Graves, arXiv:1308.0850.
    """

    def init(params: Any) -> Any:
        nu = zeros_like(params, "params", initial_scale)
        return CenteredState(zeros_like(params, "params"), nu) if centered else SquaresState(nu)

    def update(grads: Any, state: Any, params: Any = None) -> tuple[Any, Any]:
        grads = like_state(grads, state.nu, "state.nu")
        nu = _mean(state.nu, _square(grads), decay)
        if centered:
            mu = _mean(state.mu, grads, decay)
            # A variance that rounding makes negative is none.
            spread = tree_map(lambda v, m: np.maximum(v - np.square(m), 0.0), nu, mu)
            new: Any = CenteredState(mu, nu)
        else:
            spread, new = nu, SquaresState(nu)
        return tree_map(lambda g, v: _by_root(g, v, eps, eps_in_sqrt), grads, spread), new

    return transformation_of(init, update)


def _by_root(g: Any, v: Any, eps: float, eps_in_sqrt: bool) -> Any:
    return g / np.sqrt(v + eps) if eps_in_sqrt else g / (np.sqrt(v) + eps)


@public()
def scale_by_rss(
    initial_accumulator_value: float = 0.1, eps: float = 1e-7
) -> GradientTransformation:
    """Adagrad: divides by the root of the sum of all squares; `0` where that is zero.

    Duchi et al., Adaptive subgradient methods, 2011.
    """

    def update(grads: Any, state: Any, params: Any = None) -> tuple[Any, Any]:
        grads = like_state(grads, state.nu, "state.nu")
        nu = tree_map(lambda g, s: s + np.square(g), grads, state.nu)
        return tree_map(lambda g, s: g / np.sqrt(s + eps), grads, nu), SquaresState(nu)

    return transformation_of(
        lambda params: SquaresState(zeros_like(params, "params", initial_accumulator_value)),
        update,
    )


@public()
def scale_by_lion(b1: float = 0.9, b2: float = 0.99) -> GradientTransformation:
    """Lion: the sign of a mean of the past and the present gradient.

    Chen et al., Symbolic discovery of optimization algorithms, arXiv:2302.06675.
    """

    def update(grads: Any, state: Any, params: Any = None) -> tuple[Any, Any]:
        grads = like_state(grads, state.mu, "state.mu")
        updates = tree_map(np.sign, _mean(state.mu, grads, b1))
        return updates, LionState(_mean(state.mu, grads, b2))

    return transformation_of(lambda params: LionState(zeros_like(params, "params")), update)
