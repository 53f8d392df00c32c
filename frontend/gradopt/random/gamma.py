# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Gamma, beta and Dirichlet distributions.

Numbers are drawn by rejection, which has no derivative. What a number z of the gamma distribution
has in the parameter a is that of the quantile it is: dz/da = -(dF/da) / (dF/dz), where F(z; a) is
the distribution function (Figurnov, Mohamed, Mnih: *Implicit reparameterization gradients*,
NeurIPS 2018). All is computed of log z, as z itself underflows for small a.
"""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

from gradopt.array.handle import array_of
from gradopt.array.operands import traced
from gradopt.base.dtypes import INT64, DType
from gradopt.base.frames import hide_frames
from gradopt.base.location import source_location
from gradopt.compilation.arguments import checked_array
from gradopt.compilation.programs import program
from gradopt.errors import ShapeError
from gradopt.ir.values import Shape, Value, broadcast_shapes, emit
from gradopt.random.arguments import (
    broadcast,
    checked_key,
    checked_shape,
    dtype_of,
)
from gradopt.random.distributions import open_unit, standard_normal
from gradopt.random.keys import fold_in, split
from gradopt.recording import grad
from gradopt.transforms.custom import custom_jvp
from gradopt.transforms.gradient import stop_gradient
from gradopt.transforms.loops import fori_loop, while_loop

# The series counts for z below this number, and has so many terms.
_SERIES_END, _SERIES_TERMS = 2.0, 24
# Of the integrals: nodes, and the exponent that ends them, exp(-36) being next to nothing.
_NODES, _END = 32, 36.0


def _candidates(key: Any, a: Any, attempt: Any, first: Any) -> Any:
    """Logarithms of numbers of the gamma distributions `a`, at least 1; inf for a rejected one.

    Marsaglia, Tsang: *A simple method for generating gamma variables*, ACM TOMS 26 (2000): of a
    normal x, d (1 + x / sqrt(9 d))^3 with d = a - 1/3.

    Args:
        a: array.
        attempt: number of the attempt; each has keys of its own.
        first: the place of the first element among all.
    """
    place = traced(first, INT64)
    x = array_of(standard_normal(fold_in(key, 2 * attempt + 1), a.shape, a.dtype, place))
    u = array_of(open_unit(fold_in(key, 2 * attempt + 2), a.shape, a.dtype, place))
    d = a - 1 / 3
    t = x / np.sqrt(9 * d)
    possible = t > -1
    log_cube = 3 * np.log1p(np.where(possible, t, 0.0))
    # The cube is 1 + t (3 + 3 t + t^2).
    likely = np.log(u) < x * x / 2 + d * (log_cube - t * (3 + t * (3 + t)))
    return np.where(possible & likely, np.log(d) + log_cube, np.inf)


def _drawn(key: Any, a: Any) -> Any:
    """Logarithms of numbers of the gamma distributions `a`; NaN where it is not positive."""
    usable = (a > 0) & np.isfinite(a)
    is_small = usable & (a < 1)
    raised = np.where(usable, np.where(is_small, a + 1, a), 1.0).ravel()
    found = _candidates(key, raised, 0, 0)

    def settle(i: Any, found: Any) -> Any:
        def again(state: Any) -> Any:
            attempt, _ = state
            return attempt + 1, _candidates(key, raised[i], attempt, i)

        found[i] = while_loop(lambda state: state[1] == np.inf, again, (1, found[i]))[1]
        return found

    # About one in twenty was rejected, and the others are passed by quickly.
    found = fori_loop(0, raised.size, settle, found).reshape(a.shape)
    # z of a + 1 times u^(1 / a) is one of a.
    u = array_of(open_unit(fold_in(key, 0), a.shape, a.dtype))
    found = found + np.where(is_small, np.log(u) / np.where(is_small, a, 1.0), 0.0)
    return np.where(usable, found, np.nan)


def _digamma_of_next(a: Any) -> Any:
    """The digamma function of a + 1, for a > 0: by its recurrence, and asymptotically."""
    x = a + 10.0
    inverse = 1 / x
    square = inverse * inverse
    # B_2k / 2k of Bernoulli's numbers.
    tail = 0.0
    for c in (1 / 12, -691 / 32760, 1 / 132, -1 / 240, 1 / 252, -1 / 120, 1 / 12):
        tail = square * (c + tail)
    result = np.log(x) - inverse / 2 - tail
    for k in range(1, 10):
        result = result - 1 / (a + k)
    return result


def _slope_of_small(a: Any, z: Any, log_z: Any, digamma: Any) -> Any:
    """d log z / da, by the series of F, for z below 2.

    F = z^a exp(-z) s / gamma(a + 1), s the sum of z^n / ((a + 1) ... (a + n)).
    """
    total, change = 1.0, 0.0  # s from its last term on, and ds / da.
    for n in range(_SERIES_TERMS, 0, -1):
        inverse = 1 / (a + n)
        ratio = z * inverse
        change = ratio * (change - total * inverse)
        total = 1.0 + ratio * total
    return -(total * (log_z - digamma) + change) / a


@functools.cache
def _rule() -> tuple[Any, Any]:
    """Nodes and weights of Gauss and Legendre in (0, 1)."""
    nodes, weights = np.polynomial.legendre.leggauss(_NODES)
    return (nodes + 1) / 2, weights / 2


def _slope_of_large(a: Any, z: Any, log_z: Any, digamma: Any) -> Any:
    """d log z / da, by integrals, for z from 2 on.

    Of the density p(t), dF/da is the integral of p(t) (log t - digamma(a)) up to z, or that from z
    on, with the other sign. The one for which p falls is taken, in w = |log(t / z)|, up to where
    `exp(-_END)` is left of p.
    """
    nodes, weights = _rule()
    is_lower = z <= a
    # Bounds of the exponents, -a w + z (1 - exp(-w)) and a w - z (exp(w) - 1), have these roots.
    gap = np.where(is_lower, a - z, z - a)
    b = 2 * gap - _END
    root = np.sqrt(b * b + 8 * _END * a)
    end_below = np.where(b < 0, (root - b) / (2 * a), 4 * _END / np.where(b < 0, 1.0, b + root))
    end_above = 2 * _END / (gap + np.sqrt(gap * gap + 2 * _END * z))
    # Where z is small, the second of them is far from it.
    end_above = np.where(z < 20, np.minimum(end_above, np.log1p(80 / z)), end_above)
    end = stop_gradient(np.where(is_lower, -end_below, end_above))
    w = end[..., None] * nodes
    exponent = a[..., None] * w - z[..., None] * np.expm1(w)
    heights = np.exp(exponent) * ((log_z - digamma)[..., None] + w)
    return end * np.sum(weights * heights, axis=-1)


def _slope(a: Any, log_z: Any) -> Any:
    """d log z / da for numbers z of the gamma distributions `a`, in float64."""
    a, log_z = a.astype(np.float64), log_z.astype(np.float64)
    digamma = _digamma_of_next(a)
    is_small = log_z < math.log(_SERIES_END)
    log_small = np.where(is_small, log_z, 0.0)
    log_large = np.where(is_small, math.log(_SERIES_END), log_z)
    small = _slope_of_small(a, np.exp(log_small), log_small, digamma)
    large = _slope_of_large(a, np.exp(log_large), log_large, digamma - 1 / a)
    return np.where(is_small, small, large)


@custom_jvp
def following(log_z: Any, a: Any) -> Any:
    """`log_z`, with the derivative in `a` that a quantile has."""
    return log_z


following.defjvps(
    None, lambda tangent, log_z, _, a: (_slope(a, log_z) * tangent).astype(log_z.dtype)
)


@program
def _loggamma(key: Any, a: Any, *, shape: Shape, dtype: DType) -> Any:
    parameters = array_of(broadcast(traced(a, dtype), shape, "a"))
    if not parameters.size:
        return parameters
    return following(_drawn(key, stop_gradient(parameters)), parameters)


@hide_frames
def loggamma(key: Any, a: Any, shape: Any = None) -> Any:
    """Logarithms of numbers of the gamma distribution, also where these underflow.

    Args:
        a: the distribution's shape parameter, a positive number or array; NaN for others. The
            result has a derivative in it.
        shape: shape of the result, to which `a` is broadcast; None for that of `a`.

    Returns:
        array of the dtype of `a`, if that is of floats, or float64.
    """
    return _of_one(_loggamma, key, a, shape)


def _of_one(draw: Any, key: Any, a: Any, shape: Any) -> Any:
    a = checked_array(a, "a")
    sizes = checked_shape(np.shape(a) if shape is None else shape)
    return draw(checked_key(key), a, shape=sizes, dtype=dtype_of(a))


@program
def _gamma(key: Any, a: Any, *, shape: Shape, dtype: DType) -> Any:
    return np.exp(_loggamma(key, a, shape=shape, dtype=dtype))


@hide_frames
def gamma(key: Any, a: Any, shape: Any = None) -> Any:
    """Floats of the gamma distribution with scale 1; see `loggamma`."""
    return _of_one(_gamma, key, a, shape)


@program
def _beta(key: Any, a: Any, b: Any, *, shape: Shape, dtype: DType) -> Value:
    one, two = split(key)
    logs = [_loggamma(k, p, shape=shape, dtype=dtype) for k, p in ((one, a), (two, b))]
    return emit(grad.logistic, traced(logs[0]) - traced(logs[1]))


@hide_frames
def beta(key: Any, a: Any, b: Any, shape: Any = None) -> Any:
    """Floats of the beta distribution.

    Args:
        a: a positive number or array; NaN for others. The result has a derivative in it.
        b: the same.
        shape: shape of the result, to which both are broadcast; None for their common one.

    Returns:
        array of the dtype that NumPy promotes `a` and `b` to, if that is of floats, or float64.
    """
    a, b = checked_array(a, "a"), checked_array(b, "b")
    sizes = checked_shape(broadcast_shapes(np.shape(a), np.shape(b)) if shape is None else shape)
    return _beta(checked_key(key), a, b, shape=sizes, dtype=dtype_of(a, b))


@program
def _dirichlet(key: Any, alpha: Any, *, shape: Shape, dtype: DType) -> Any:
    x = _loggamma(key, alpha, shape=shape, dtype=dtype)
    e = np.exp(x - stop_gradient(np.max(x, axis=-1, keepdims=True)))
    return e / np.sum(e, axis=-1, keepdims=True)


@hide_frames
def dirichlet(key: Any, alpha: Any, shape: Any = None) -> Any:
    """Vectors of the Dirichlet distribution, which sum to 1.

    Args:
        alpha: array of positive numbers, whose last axis is that of the vectors; a vector is NaN
            where a number is not. The result has a derivative in it.
        shape: shape of the result without its last axis; None for that of `alpha` without.

    Returns:
        array of shape (*shape, alpha.shape[-1]), of the dtype of `alpha`, if that is of floats, or
        float64.
    """
    alpha = checked_array(alpha, "alpha")
    if np.ndim(alpha) == 0:
        raise ShapeError("alpha must have at least one dimension", source_location())
    *batch, count = np.shape(alpha)
    if not count:
        raise ShapeError(
            f"alpha must have elements along its last axis, but its shape is {np.shape(alpha)}",
            source_location(),
        )
    sizes = checked_shape(tuple(batch) if shape is None else shape)
    return _dirichlet(checked_key(key), alpha, shape=(*sizes, count), dtype=dtype_of(alpha))
