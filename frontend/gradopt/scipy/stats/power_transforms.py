# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Powers that make samples more normal in `scipy.stats`: of Box and Cox (1964), and of Yeo and
Johnson (2000).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gradopt.array.dispatch import unsupported
from gradopt.array.operands import traced
from gradopt.base.frames import hide_frames
from gradopt.base.location import source_location
from gradopt.compilation.programs import program
from gradopt.errors import ShapeError
from gradopt.scipy.operands import real
from gradopt.scipy.stats.distribution import special
from gradopt.scipy.stats.lanes import along, require_propagation
from gradopt.transforms.implicit import custom_root
from gradopt.transforms.jacobian_products import jvp
from gradopt.transforms.loops import fori_loop

# What is searched for the best power.
_LOW, _HIGH = -32.0, 32.0
_SECTIONS, _POLISHES = 60, 3
_GOLDEN = 0.6180339887498949


def _box_cox(x: Any, power: Any) -> Any:
    return special.boxcox(x, power)


def _yeo_johnson(x: Any, power: Any) -> Any:
    is_right = x >= 0
    right, left = np.where(is_right, x, 0.0), np.where(is_right, 0.0, -x)
    return np.where(is_right, special.boxcox1p(right, power), -special.boxcox1p(left, 2.0 - power))


def _box_cox_likelihood(x: Any, power: Any) -> Any:
    """The profile of the logarithm of the likelihood, along the last axis."""
    size = x.shape[-1]
    spread = np.log(np.var(_box_cox(x, power), axis=-1))
    return (power - 1) * np.sum(np.log(x), axis=-1) - 0.5 * size * spread


def _yeo_johnson_likelihood(x: Any, power: Any) -> Any:
    size = x.shape[-1]
    spread = np.log(np.var(_yeo_johnson(x, power), axis=-1))
    return (power - 1) * np.sum(np.sign(x) * np.log1p(np.abs(x)), axis=-1) - 0.5 * size * spread


def _best(likelihood: Callable[[Any, Any], Any], x: Any) -> Any:
    """The power of the largest likelihood; its derivative is that of the root of the slope."""

    def slope(power: Any) -> Any:
        return jvp(lambda p: likelihood(x, p), (power,), (np.ones_like(power),))[1]

    def solve(slope: Any, start: Any) -> Any:
        def narrow(_: Any, ends: Any) -> Any:
            low, high = ends
            left, right = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
            first, second = likelihood(x, left), likelihood(x, right)
            # Where nothing is left of a number, its likelihood is none.
            is_left = (first > second) | ~np.isfinite(second)
            return np.where(is_left, low, left), np.where(is_left, right, high)

        low, high = fori_loop(0, _SECTIONS, narrow, (start + _LOW, start + _HIGH))
        power = 0.5 * (low + high)

        def polish(_: Any, power: Any) -> Any:
            value, change = jvp(slope, (power,), (np.ones_like(power),))
            better = power - value / change
            return np.where(np.abs(better - power) < 1e-3, better, power)

        return fori_loop(0, _POLISHES, polish, power)

    def tangent_solve(linear: Any, y: Any) -> Any:
        return y / linear(np.ones_like(y))

    return custom_root(slope, np.zeros((), x.dtype), solve, tangent_solve)


def _sample(name: str, x: Any) -> Any:
    (values,) = real(f"stats.{name}", x)
    if values.ndim != 1:
        raise ShapeError(
            f"{name}: Data must be 1-dimensional, got the shape {values.shape}", source_location()
        )
    return values


@program
def _transformed(x: Any, *power: Any, name: str) -> Any:
    transform, likelihood = {
        "boxcox": (_box_cox, _box_cox_likelihood),
        "yeojohnson": (_yeo_johnson, _yeo_johnson_likelihood),
    }[name]
    if power:
        values, exponent = real(f"stats.{name}", x, power[0])
        return traced(transform(values, exponent))
    values = _sample(name, x)
    best = _best(likelihood, values)
    return [traced(transform(values, best)), traced(best)]


@hide_frames
def boxcox(x: Any, lmbda: Any = None, alpha: None = None, optimizer: None = None) -> Any:
    """Positive numbers to a power, less 1 and divided by it; their logarithms for the power 0.

    Args:
        x: positive numbers; a vector where the power is to be found.
        lmbda: the power; by default that with the largest likelihood, which is between -32 and 32.
        alpha: not supported.
        optimizer: not supported.

    Returns:
        The transformed numbers; without `lmbda` a tuple of these and of the power, whose derivative
        is that of the largest likelihood.

    Raises:
        ShapeError: numbers without a power are no vector.
        UnsupportedError: there is an `alpha` or an `optimizer`.
    """
    if alpha is not None or optimizer is not None:
        name = "alpha" if alpha is not None else "optimizer"
        raise unsupported(
            f"{name}= of scipy.stats.boxcox", "write it with boxcox_llf and gradopt.scipy.minimize"
        )
    found = _transformed(x, *(() if lmbda is None else (lmbda,)), name="boxcox")
    return found if lmbda is not None else tuple(found)


@hide_frames
def yeojohnson(x: Any, lmbda: Any = None) -> Any:
    """The powers of `boxcox` of `1 + x`, and of negative numbers turned round.

    Parameters and results are those of `boxcox`, for numbers of both signs.
    """
    found = _transformed(x, *(() if lmbda is None else (lmbda,)), name="yeojohnson")
    return found if lmbda is not None else tuple(found)


@hide_frames
def boxcox_llf(
    lmb: Any,
    data: Any,
    *,
    axis: int | None = 0,
    keepdims: bool = False,
    nan_policy: str = "propagate",
) -> Any:
    """The logarithm of the likelihood of a power of `boxcox`.

    Args:
        lmb: the power, a number.
        data: positive numbers.
        axis: along which the samples lie; all elements by None.
        keepdims: whether the axis stays, with one element.
        nan_policy: "propagate".

    Raises:
        UnsupportedError: another `nan_policy`.
    """
    require_propagation("boxcox_llf", nan_policy)
    return along(_box_cox_row, "boxcox_llf", (data,), (lmb,), axis=axis, keepdims=keepdims)[0]


def _box_cox_row(x: Any, power: Any) -> tuple[Any]:
    """`boxcox_llf` along the last axis."""
    return (_box_cox_likelihood(x, power),)


@hide_frames
def yeojohnson_llf(
    lmb: Any,
    data: Any,
    *,
    axis: int | None = 0,
    nan_policy: str = "propagate",
    keepdims: bool = False,
) -> Any:
    """The logarithm of the likelihood of a power of `yeojohnson`, as `boxcox_llf`."""
    require_propagation("yeojohnson_llf", nan_policy)
    return along(_yeo_johnson_row, "yeojohnson_llf", (data,), (lmb,), axis=axis, keepdims=keepdims)[
        0
    ]


def _yeo_johnson_row(x: Any, power: Any) -> tuple[Any]:
    """`yeojohnson_llf` along the last axis."""
    return (_yeo_johnson_likelihood(x, power),)
