# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Activation functions: elementwise ones, and softmax.

Values and derivatives are right at all floats: nothing overflows on the way to a finite result, and
infinities give limits. At kinks the derivative is that of the side that each function names.
Integers become float64.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from gradopt.array.dispatch import FOREIGN_UFUNCS
from gradopt.array.handle import Handle, wrap
from gradopt.base.dtypes import kind_of
from gradopt.nn.checks import public
from gradopt.transforms.gradient import stop_gradient

Axis = int | tuple[int, ...]


def as_floats(x: Any) -> Any:
    """An array of floats, as it is; of the rest in float64."""
    array: Any = x if isinstance(x, Handle) else np.asarray(x)
    return array if kind_of(array.dtype) == "f" else array.astype(np.float64)


def _special(name: str, concrete: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """A function that is an op of the dialect, and not in NumPy."""

    def call(x: Any) -> Any:
        return wrap(FOREIGN_UFUNCS[name](x)) if isinstance(x, Handle) else concrete(x)

    return call


def _concrete_sigmoid(x: Any) -> Any:
    decay = np.exp(-np.abs(x))
    return np.where(x >= 0, 1, decay) / (1 + decay)


def _concrete_erfc(x: Any) -> Any:
    return np.vectorize(math.erfc, otypes=[np.float64])(x).astype(x.dtype)


_sigmoid = _special("expit", _concrete_sigmoid)
_erfc = _special("erfc", _concrete_erfc)


@public()
def tanh(x: Any) -> Any:
    """The hyperbolic tangent."""
    return np.tanh(x)


@public()
def sigmoid(x: Any) -> Any:
    """`1 / (1 + exp(-x))`."""
    return _sigmoid(as_floats(x))


@public()
def relu(x: Any) -> Any:
    """`max(x, 0)`; the derivative at 0 is 0."""
    return np.where(x <= 0, 0, x)


@public()
def leaky_relu(x: Any, negative_slope: float = 0.01) -> Any:
    """`x` where it is positive, `negative_slope * x` elsewhere; at 0 that slope."""
    return np.where(x > 0, x, negative_slope * x)


@public()
def elu(x: Any, alpha: float = 1.0) -> Any:
    """`x` where it is positive, `alpha * (exp(x) - 1)` elsewhere; the derivative at 0 is `alpha`.

    Clevert et al., arXiv:1511.07289.
    """
    x = as_floats(x)
    return np.where(x > 0, x, alpha * np.expm1(np.where(x > 0, 0, x)))


def _gate(x: Any, bound: float, gated: Callable[[Any], Any]) -> Any:
    """`gated(x)`, which rounds to 0 below `-bound`, and to `x` above `bound`."""
    # Beyond it is not evaluated: its derivative would be a product of zero and infinity.
    inner = np.where(np.abs(x) > bound, 0, x)
    return np.where(x > bound, x, np.where(x < -bound, 0, gated(inner)))


@public()
def silu(x: Any) -> Any:
    """`x * sigmoid(x)`, also known as swish."""
    return _gate(as_floats(x), 800.0, lambda v: v * _sigmoid(v))


@public()
def gelu(x: Any, approximate: bool = False) -> Any:
    """`x * P(X <= x)` for a normal `X`.

    Args:
        x: array.
        approximate: whether to compute it by a tanh.

    Hendrycks and Gimpel, arXiv:1606.08415, has both forms.
    """

    def exact(v: Any) -> Any:
        return v * (0.5 * _erfc(-math.sqrt(0.5) * v))

    def by_tanh(v: Any) -> Any:
        # (1 + tanh(u)) / 2 is sigmoid(2 * u), which does not cancel.
        return v * _sigmoid(2 * math.sqrt(2 / math.pi) * (v + 0.044715 * v * v * v))

    return _gate(as_floats(x), 40.0, by_tanh if approximate else exact)


@public()
def softplus(x: Any) -> Any:
    """`log(1 + exp(x))`."""
    return np.logaddexp(as_floats(x), 0)


def _finite_maximum(x: Any, axis: Axis) -> Any:
    """The largest element, which a softmax subtracts; 0 where that is no number to subtract."""
    largest = np.max(stop_gradient(x), axis=axis, keepdims=True)
    return np.where(np.isinf(largest), 0, largest)


@public()
def softmax(x: Any, axis: Axis = -1) -> Any:
    """`exp(x) / sum(exp(x))` along an axis or several; `-inf` has the weight 0.

    Args:
        x: array with at least one element that is not `-inf` along the axes, or the result is NaN.
        axis: over which the results sum up to 1.
    """
    x = as_floats(x)
    powers = np.exp(x - _finite_maximum(x, axis))
    return powers / np.sum(powers, axis=axis, keepdims=True)


@public()
def log_softmax(x: Any, axis: Axis = -1) -> Any:
    """The logarithm of `softmax`, also where that is 0."""
    x = as_floats(x)
    shifted = x - _finite_maximum(x, axis)
    return shifted - np.log(np.sum(np.exp(shifted), axis=axis, keepdims=True))
