# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What an optimiser is: a pair of pure functions on pytrees, and how such pairs are joined."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from gradopt.base.dtypes import SUPPORTED, kind_of
from gradopt.base.frames import hide_frames
from gradopt.base.location import source_location
from gradopt.base.pytree import TreeDef, flatten, flatten_like, leaf_paths
from gradopt.compilation.calling import describe_value
from gradopt.errors import ArgumentError, ArgumentTypeError, ShapeError
from gradopt.optim.checks import public


class GradientTransformation(NamedTuple):
    """Two pure functions: the step of an optimiser, or a part of one.

    Attributes:
        init: `init(params) -> state`, the state before the first step: a pytree of arrays.
        update: `update(grads, state, params=None) -> (updates, state)`. Updates have the structure,
            shapes and dtypes of the parameters, and are added to them by `apply_updates`.
    """

    init: Callable[[Any], Any]
    update: Callable[..., tuple[Any, Any]]


def transformation_of(
    init: Callable[[Any], Any], update: Callable[..., tuple[Any, Any]]
) -> GradientTransformation:
    """A transformation of this package, whose errors show no frames of it."""
    return GradientTransformation(hide_frames(init), hide_frames(update))


def as_array(leaf: Any) -> Any:
    """A leaf that has a shape and a dtype."""
    return leaf if hasattr(leaf, "dtype") else np.asarray(leaf)


def cast(value: Any, like: Any) -> Any:
    """A number in the dtype of an array; a Python number takes it by itself."""
    return value if type(value) in (int, float) else as_array(value).astype(like.dtype)


def float_leaves(tree: Any, root: str) -> tuple[list[Any], TreeDef]:
    """The leaves, as arrays, and the structure.

    Raises:
        ArgumentTypeError: a leaf is not of floats.
    """
    leaves, treedef = flatten(tree)
    return _floats(leaves, treedef, root), treedef


def _floats(leaves: list[Any], treedef: TreeDef, root: str) -> list[Any]:
    arrays = [as_array(leaf) for leaf in leaves]
    for i, array in enumerate(arrays):
        is_plain = kind_of(array.dtype) == "f" and array.dtype.newbyteorder("=") in SUPPORTED
        if not is_plain or isinstance(array, np.ma.MaskedArray):
            raise ArgumentTypeError(
                f"expected floats of 16 to 64 bits at {leaf_paths(treedef, root)[i]}, but got "
                f"{describe_value(leaves[i])}",
                source_location(),
            )
    return arrays


def leaves_like(tree: Any, root: str, like: Any, like_root: str) -> tuple[list[Any], list[Any]]:
    """The leaves of a tree in the order and the dtypes of another one, and the leaves of that.

    Raises:
        ArgumentError: the structures differ.
        ArgumentTypeError: a leaf is not of floats.
        ShapeError: two leaves have different shapes.
    """
    models, treedef = float_leaves(like, like_root)
    try:
        found = flatten_like(tree, treedef, root)
    except ArgumentError as error:
        error.location = error.location or source_location()
        raise
    arrays = _floats(found, treedef, root)
    for i, (array, model) in enumerate(zip(arrays, models, strict=True)):
        if array.shape != model.shape:
            raise ShapeError(
                f"expected shape {model.shape} at {leaf_paths(treedef, root)[i]}, as that of "
                f"{leaf_paths(treedef, like_root)[i]}, but got {array.shape}",
                source_location(),
            )
    return [cast(array, model) for array, model in zip(arrays, models, strict=True)], models


def zeros_like(tree: Any, root: str, value: float = 0.0) -> Any:
    """A pytree of arrays of one number, of the shapes and dtypes of another tree."""
    leaves, treedef = float_leaves(tree, root)
    # Of no dimensions NumPy's scalars, as results of steps are.
    return treedef.unflatten([np.full_like(leaf, value)[()] for leaf in leaves])


def required(params: Any, name: str) -> Any:
    """The parameters, where a transformation needs them.

    Raises:
        ArgumentError: they were not given.
    """
    if params is None:
        raise ArgumentError(f"{name} needs update(grads, state, params)", source_location())
    return params


def stateless(update: Callable[[list[Any], Any, TreeDef], list[Any]]) -> GradientTransformation:
    """A transformation that has no state.

    Args:
        update: from leaves of the gradients, parameters and the structure to those of the updates.
    """

    def transform(grads: Any, state: Any, params: Any = None) -> tuple[Any, Any]:
        leaves, treedef = float_leaves(grads, "grads")
        return treedef.unflatten(update(leaves, params, treedef)), state

    return transformation_of(lambda _params: (), transform)


def require_transformation(value: Any, name: str) -> None:
    """Raises an ArgumentTypeError for what is no GradientTransformation."""
    if type(value) is not GradientTransformation:
        raise ArgumentTypeError(
            f"{name} must be a GradientTransformation, but it is {describe_value(value)}",
            source_location(),
        )


@public()
def chain(*transformations: GradientTransformation) -> GradientTransformation:
    """Transformations one after the other; the updates of each are the gradients of the next.

    Raises:
        ArgumentTypeError: an argument is no GradientTransformation.
    """
    for number, transformation in enumerate(transformations):
        require_transformation(transformation, f"argument {number} of chain")

    def init(params: Any) -> tuple[Any, ...]:
        return tuple([part.init(params) for part in transformations])

    def update(grads: Any, state: Any, params: Any = None) -> tuple[Any, tuple[Any, ...]]:
        if not isinstance(state, tuple) or len(state) != len(transformations):
            raise ArgumentError(
                f"expected a state of {len(transformations)} parts, as init made it, but got "
                f"{type(state).__name__}",
                source_location(),
            )
        states: list[Any] = []
        for part, old in zip(transformations, state, strict=True):
            grads, new = part.update(grads, old, params)
            states.append(new)
        return grads, tuple(states)

    return transformation_of(init, update)


@public()
def apply_updates(params: Any, updates: Any) -> Any:
    """Parameters after a step: `params + updates`, in the parameters' dtypes.

    Raises:
        ArgumentError: the structures differ; ShapeError: the shapes do. The message names the path.
    """
    changes, values = leaves_like(updates, "updates", params, "params")
    _, treedef = flatten(params)
    return treedef.unflatten([p + u for p, u in zip(values, changes, strict=True)])
