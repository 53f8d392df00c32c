# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Normalisation: of layers, groups, batches, and by the root of the mean square.

Weights and biases are factors and offsets of what is normalised; None for none.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from gradopt.compilation.arguments import checked_integer
from gradopt.nn.activations import Axis, as_floats
from gradopt.nn.checks import entry, public, require, require_shape, shape_of
from gradopt.transforms.gradient import stop_gradient


def _centered(x: Any, axis: Axis) -> tuple[Any, Any, Any]:
    """What is left without the mean; the mean and the variance."""
    mean = np.mean(x, axis=axis, keepdims=True)
    rest = x - mean
    return rest, mean, np.mean(np.square(rest), axis=axis, keepdims=True)


def _scaled(x: Any, weight: Any, bias: Any) -> Any:
    if weight is not None:
        x = x * weight
    return x if bias is None else x + bias


@public()
def layer_norm(
    x: Any, weight: Any = None, bias: Any = None, axis: Axis = -1, eps: float = 1e-5
) -> Any:
    """`(x - mean) / sqrt(variance + eps) * weight + bias`, of the elements along the axes.

    Args:
        x: array.
        weight: broadcast against `x`: for the last axis, of its size.
        bias: the same.
        axis: an axis or several.
        eps: is added to the variance.

    Ba et al., arXiv:1607.06450.
    """
    rest, _, variance = _centered(as_floats(x), axis)
    return _scaled(rest / np.sqrt(variance + eps), weight, bias)


@public()
def rms_norm(x: Any, weight: Any = None, axis: Axis = -1, eps: float = 1e-6) -> Any:
    """`x / sqrt(mean(x**2) + eps) * weight`, of the elements along the axes.

    Zhang and Sennrich, arXiv:1910.07467.
    """
    x = as_floats(x)
    square = np.mean(np.square(x), axis=axis, keepdims=True)
    return _scaled(x / np.sqrt(square + eps), weight, None)


def _along(vector: Any, axis: int, ndim: int) -> Any:
    """A vector of channels, shaped to broadcast along an axis."""
    if vector is None:
        return None
    shape = [1] * ndim
    shape[axis] = shape_of(vector)[0]
    return np.reshape(vector, shape)


@public()
def group_norm(x: Any, groups: int, weight: Any = None, bias: Any = None, eps: float = 1e-5) -> Any:
    """`layer_norm` of each group of channels, over their elements.

    Args:
        x: shape (batch, channels, ...).
        groups: how many; divides the channels.
        weight: shape (channels,).
        bias: shape (channels,).
        eps: is added to the variance.

    Wu and He, arXiv:1803.08494.
    """
    x = as_floats(x)
    shape = shape_of(x)
    require(len(shape) >= 2, f"expected x of shape (batch, channels, ...), but got {shape}")
    channels = shape[1]
    require(
        groups > 0 and channels % groups == 0,
        f"groups must divide the {channels} channels, but they are {groups}",
    )
    for vector, name in ((weight, "weight"), (bias, "bias")):
        if vector is not None:
            require_shape(vector, name, (channels,))
    grouped = np.reshape(x, (shape[0], groups, math.prod(shape[1:]) // groups))
    normal = np.reshape(layer_norm(grouped, eps=eps), shape)
    return _scaled(normal, _along(weight, 1, len(shape)), _along(bias, 1, len(shape)))


def _running(old: Any, seen: Any, momentum: float) -> Any:
    """A running mean with one more number for each channel."""
    new = np.reshape(stop_gradient(seen), (-1,))
    return ((1 - momentum) * old + momentum * new).astype(old.dtype)


@public(axis=checked_integer)
def batch_norm(
    x: Any,
    state: dict[str, Any],
    weight: Any = None,
    bias: Any = None,
    *,
    training: bool,
    momentum: float = 0.1,
    eps: float = 1e-5,
    axis: int = 1,
) -> tuple[Any, dict[str, Any]]:
    """Normalises each channel over the batch, or by what was seen of earlier batches.

    Args:
        x: shape (batch, channels, ...).
        state: {"mean": running means, "var": running variances}, both of shape (channels,).
        weight: shape (channels,).
        bias: shape (channels,).
        training: whether to take mean and variance of `x`, and to let them run into the state;
            otherwise those of the state are taken, and it stays.
        momentum: the weight of `x` in the next state, `(1 - momentum) * old + momentum * new`; the
            variance there is the unbiased one.
        eps: is added to the variance.
        axis: the axis of channels.

    Returns:
        The normalised array, and the next state, through which no derivative goes.

    Raises:
        ArgumentError: there is one element of each channel only, which has no variance.
        ShapeError: a vector has not one element for each channel.

    Ioffe and Szegedy, arXiv:1502.03167.
    """
    x = as_floats(x)
    shape = shape_of(x)
    require(-len(shape) <= axis < len(shape), f"x of shape {shape} has no axis {axis} of channels")
    axis %= len(shape)
    vectors = {f"state[{name!r}]": entry(state, name, "state") for name in ("mean", "var")}
    vectors |= {"weight": weight, "bias": bias}
    for name, vector in vectors.items():
        if vector is not None:
            require_shape(vector, name, (shape[axis],))
    if training:
        others = tuple(i for i in range(len(shape)) if i != axis)
        count = math.prod(shape[i] for i in others)
        require(count > 1, f"training needs more than one element of each channel, not {shape}")
        rest, mean, variance = _centered(x, others)
        seen = {"mean": mean, "var": variance * (count / (count - 1))}
        state = {name: _running(old, seen[name], momentum) for name, old in state.items()}
    else:
        rest = x - _along(state["mean"], axis, len(shape))
        variance = _along(state["var"], axis, len(shape))
    normal = rest / np.sqrt(variance + eps)
    return _scaled(normal, _along(weight, axis, len(shape)), _along(bias, axis, len(shape))), state
