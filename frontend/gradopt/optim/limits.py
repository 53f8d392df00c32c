# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Clipping, weight decay, and gradients of several batches in one step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from gradopt.base.location import source_location
from gradopt.base.pytree import TreeDef, flatten, flatten_like, leaf_paths, tree_map
from gradopt.errors import ArgumentError, ArgumentTypeError
from gradopt.optim.checks import public
from gradopt.optim.scaling import FIRST_COUNT, like_state
from gradopt.optim.transformation import (
    GradientTransformation,
    cast,
    float_leaves,
    leaves_like,
    require_transformation,
    required,
    stateless,
    transformation_of,
    zeros_like,
)
from gradopt.transforms.branches import cond

# Which parameters: a pytree of bools like the parameters, or a function from those to it.
Mask = Any | Callable[[Any], Any] | None


@public()
def global_norm(tree: Any) -> Any:
    """The root of the sum of squares of all elements; also where squares are out of range.

    Returns:
        A scalar of the widest dtype; 0 for a tree without elements.
    """
    leaves, _ = float_leaves(tree, "tree")
    leaves = [leaf for leaf in leaves if leaf.size]
    if not leaves:
        return np.float64(0.0)
    largest = np.max(np.abs(leaves[0]))
    for leaf in leaves[1:]:
        largest = np.maximum(largest, np.max(np.abs(leaf)))
    unit = np.where((largest > 0) & np.isfinite(largest), largest, cast(1.0, largest))
    squares = [np.sum(np.square(leaf / unit)) for leaf in leaves]
    return unit * np.sqrt(sum(squares[1:], squares[0]))


@public()
def clip(max_delta: float) -> GradientTransformation:
    """Limits each element to `[-max_delta, max_delta]`."""
    return stateless(
        lambda leaves, _params, _tree: [np.clip(leaf, -max_delta, max_delta) for leaf in leaves]
    )


@public()
def clip_by_global_norm(max_norm: float) -> GradientTransformation:
    """Scales all gradients by one factor, so that their common norm is at most `max_norm`.

    Raises:
        ArgumentError: `max_norm` is not positive.
    """
    if max_norm <= 0:
        raise ArgumentError(f"max_norm must be positive, but it is {max_norm}", source_location())

    def update(leaves: list[Any], _params: Any, _tree: TreeDef) -> list[Any]:
        factor = max_norm / np.maximum(global_norm(leaves), max_norm)
        return [cast(factor, leaf) * leaf for leaf in leaves]

    return stateless(update)


def masked_leaves(mask: Mask, params: Any) -> list[bool]:
    """For each leaf of the parameters whether the mask selects it.

    Raises:
        ArgumentError: the mask has another structure; ArgumentTypeError: a leaf of it is no bool.
    """
    _, treedef = flatten(params)
    if mask is None:
        return [True] * treedef.leaf_count
    try:
        found = flatten_like(mask(params) if callable(mask) else mask, treedef, "mask")
    except ArgumentError as error:
        error.location = error.location or source_location()
        raise
    for leaf, path in zip(found, leaf_paths(treedef, "mask"), strict=True):
        if type(leaf) not in (bool, np.bool_):
            raise ArgumentTypeError(
                f"expected a bool at {path}, but got {type(leaf).__name__}", source_location()
            )
    return found


@public()
def add_decayed_weights(weight_decay: float, mask: Mask = None) -> GradientTransformation:
    """Adds `weight_decay * params`.

    Args:
        weight_decay: the factor.
        mask: which parameters decay: a pytree of bools like the parameters, or a function from the
            parameters to it; all without one.
    """

    def update(grads: Any, state: Any, params: Any = None) -> tuple[Any, Any]:
        params = required(params, "add_decayed_weights")
        leaves, weights = leaves_like(grads, "grads", params, "params")
        selected = masked_leaves(mask, params)
        decayed = [
            g + weight_decay * p if chosen else g
            for g, p, chosen in zip(leaves, weights, selected, strict=True)
        ]
        return flatten(params)[1].unflatten(decayed), state

    return transformation_of(lambda _params: (), update)


class AccumulationState(NamedTuple):
    """State of accumulation.

    Attributes:
        mini_step: gradients taken since the last step, an int64.
        mean: their mean.
        inner: state of the transformation that gets it.
    """

    mini_step: Any
    mean: Any
    inner: Any


@public()
def multi_steps(inner: GradientTransformation, every: int) -> GradientTransformation:
    """One step with the mean of the gradients of several calls; zero updates between.

    Raises:
        ArgumentError: `every` is not positive.
    """
    require_transformation(inner, "inner")
    if every < 1:
        raise ArgumentError(f"every must be at least 1, but it is {every}", source_location())

    def init(params: Any) -> AccumulationState:
        return AccumulationState(FIRST_COUNT, zeros_like(params, "params"), inner.init(params))

    def update(grads: Any, state: Any, params: Any = None) -> tuple[Any, Any]:
        grads = like_state(grads, state.mean, "state.mean")
        taken = state.mini_step + 1
        mean = tree_map(lambda m, g: m + (g - m) / cast(taken, m), state.mean, grads)

        def step(mean: Any, old: Any, params: Any) -> Any:
            updates, new = inner.update(mean, old, params)
            return updates, AccumulationState(FIRST_COUNT, tree_map(np.zeros_like, mean), new)

        def wait(mean: Any, old: Any, params: Any) -> Any:
            return tree_map(np.zeros_like, mean), AccumulationState(taken, mean, old)

        return cond(taken >= every, step, wait, mean, state.inner, params)

    return transformation_of(init, update)
