# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""`scipy.integrate.quad` and `quad_vec`, by the double exponential rule.

The integral is a sum over places that approach the ends doubly exponentially (Takahasi and Mori,
*Double exponential formulas for numerical integration*, 1974), where a function may be singular.
Its error is estimated from the sums over every second and every fourth place (Bailey, Jeyabalan and
Li 2005), and from what may lie beyond the last places. SciPy divides the interval where the
function needs it; here places are fixed, so that derivatives are those of the sum, and an estimate
that is too large is an error.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from gradopt.array.dispatch import unsupported
from gradopt.array.handle import Handle, wrap
from gradopt.array.operands import traced
from gradopt.base.frames import hide_frames
from gradopt.base.location import source_location
from gradopt.compilation.calling import call_user, check_callable
from gradopt.compilation.programs import program
from gradopt.errors import ArgumentError, ConvergenceError, ShapeError
from gradopt.ir import checks
from gradopt.scipy.operands import real
from gradopt.transforms.batching import vmap

_STEP = 1 / 128
# Beyond these, weights are below the rounding error, or places too far away to count.
_REACH = {"finite": 4.0, "half": 4.5, "whole": 4.5}

Array = np.ndarray[Any, Any]


@functools.cache
def _rule(kind: str) -> tuple[Array, Array, Array]:
    """Places, on either side, and weights with the step included.

    In a finite interval, of length 1: distances from both ends; else distances from the end or
    from 0, and what is not used.
    """
    count = round(_REACH[kind] / _STEP)
    t = np.arange(-count, count + 1) * _STEP
    angle, slope = math.pi / 2 * np.sinh(t), math.pi / 2 * np.cosh(t)
    if kind == "finite":
        left, right = 1 / (1 + np.exp(-2 * angle)), 1 / (1 + np.exp(2 * angle))
        return left, right, 2 * _STEP * slope * left * right
    if kind == "half":
        return np.exp(angle), angle, _STEP * slope * np.exp(angle)
    return np.sinh(angle), angle, _STEP * slope * np.cosh(angle)


def _is_infinite(end: Any) -> bool:
    return not isinstance(end, Handle) and np.ndim(end) == 0 and bool(np.isinf(end))


@hide_frames
def quad(
    func: Callable[..., Any],
    a: Any,
    b: Any,
    args: Any = (),
    full_output: int = 0,
    epsabs: float = 1.49e-8,
    epsrel: float = 1.49e-8,
    limit: int = 50,
    points: Any = None,
    weight: Any = None,
    wvar: Any = None,
    wopts: Any = None,
    maxp1: int = 50,
    limlst: int = 50,
    complex_func: bool = False,
) -> tuple[Any, Any]:
    """The integral of a function from `a` to `b`, and an estimate of its error.

    There are derivatives in `a`, `b`, `args`, `points` and all that `func` closes over. The
    function may be singular at the ends; places in between where it, or a derivative of it, jumps
    are for `points`.

    Args:
        func: function of a number and of `args`; returns a number.
        a: the lower end; infinite, if it is known while tracing.
        b: the upper end; the same.
        args: passed on.
        full_output: not supported.
        epsabs: the absolute error that there may be.
        epsrel: the relative one; the larger one counts.
        limit, maxp1, limlst: mean nothing.
        points: places that divide the interval, in order; how many there are must be known.
        weight, wvar, wopts: not supported: multiply in the function.
        complex_func: not supported: integrate the real and the imaginary part.

    Returns:
        The integral, and the estimate.

    Raises:
        ConvergenceError: the estimated error is too large.
        UnsupportedError: what is not supported.
        ArgumentError: there are `points`, and an end is infinite.
        ShapeError: the function does not return a number.
    """
    for keyword, value in (
        ("full_output", full_output), ("weight", weight), ("complex_func", complex_func)
    ):  # fmt: skip
        if value:
            raise unsupported(
                f"keyword {keyword}= of scipy.integrate.quad", "integrate the product, or the parts"
            )
    args = args if isinstance(args, tuple) else (args,)
    return _integrated("quad", func, a, b, args, points, float(epsabs), float(epsrel))


@hide_frames
def quad_vec(
    f: Callable[..., Any],
    a: Any,
    b: Any,
    epsabs: float = 1e-200,
    epsrel: float = 1e-08,
    norm: str = "2",
    cache_size: float = 100e6,
    limit: float = 10000,
    workers: Any = 1,
    points: Any = None,
    quadrature: Any = None,
    full_output: bool = False,
    *,
    args: Any = (),
) -> tuple[Any, Any]:
    """The integral of a function with arrays as values.

    Parameters, derivatives and errors are those of `quad`; `norm`, "2" or "max", is that of the
    error and of the integral. `cache_size`, `limit`, `workers` and `quadrature` mean nothing.
    """
    if full_output:
        raise unsupported("keyword full_output= of scipy.integrate.quad_vec")
    if norm not in ("2", "max"):
        raise ArgumentError("`norm` must be '2' or 'max'", source_location())
    args = args if isinstance(args, tuple) else (args,)
    tolerances = float(epsabs), float(epsrel)
    return _integrated("quad_vec", f, a, b, args, points, *tolerances, norm=norm)


def _integrated(
    name: str,
    func: Callable[..., Any],
    a: Any,
    b: Any,
    args: tuple[Any, ...],
    points: Any,
    epsabs: float,
    epsrel: float,
    norm: str = "",
) -> tuple[Any, Any]:
    check_callable(func)
    infinite = [_is_infinite(end) for end in (a, b)]
    if any(infinite) and points is not None:
        raise ArgumentError("Infinity inputs cannot be used with break points.", source_location())
    signs: list[float] = []
    ends: list[Any] = []
    for end, is_infinite in zip((a, b), infinite, strict=True):
        signs.append(math.copysign(1.0, end) if is_infinite else 0.0)
        ends.append(0.0 if is_infinite else end)
    value, error = _summed(
        ends[0], ends[1], () if points is None else tuple(points), args,
        func=func, signs=(signs[0], signs[1]), name=name, epsabs=epsabs, epsrel=epsrel, norm=norm,
    )  # fmt: skip
    return value, error


@program
def _summed(
    a: Any,
    b: Any,
    points: Sequence[Any],
    args: tuple[Any, ...],
    *,
    func: Callable[..., Any],
    signs: tuple[float, float],
    name: str,
    epsabs: float,
    epsrel: float,
    norm: str,
) -> tuple[Any, Any]:
    ends = real(f"integrate.{name}", a, *points, b)
    totals: Any = 0.0
    beyond: Any = 0.0

    def values(x: Any, counts: Any) -> Any:
        found = vmap(lambda place: call_user(func, (place, *args), {}))(x)
        found = wrap(traced(found))
        if not norm and found.ndim != 1:
            raise ShapeError(
                f"{name}: the function must return a number, but what it returns has shape "
                f"{found.shape[1:]}",
                source_location(),
            )
        kept = np.reshape(counts, (-1, *(1,) * (found.ndim - 1)))
        return np.where(kept, found, 0.0)

    for low, high in itertools.pairwise(ends):
        sums, tails = _sums(values, low, high, signs)
        totals, beyond = totals + sums, beyond + tails
    total, half, quarter = totals[0], totals[1], totals[2]

    def size(x: Any) -> Any:
        return np.max(np.abs(x)) if norm == "max" else np.sqrt(np.sum(x * x))

    scale = size(total)
    # Where the function is smooth each difference is about the square of the one before.
    error = np.maximum(size(total - half), 0.01 * size(half - quarter))
    error = error + 2 * size(beyond) + np.finfo(scale.dtype).eps * scale
    right = error <= np.maximum(epsabs, epsrel * scale)
    checks.require_all(
        traced(right),
        f"scipy.integrate.{name}: the estimated error is larger than epsabs and epsrel allow: name "
        "the places where the function is not smooth with points=, integrate over parts, or allow "
        "more",
        ConvergenceError,
    )
    return traced(total), traced(error)


# Places are next to an end which are nearer than this part of the interval, or of 1.
_NEAR = 1e-10


def _sums(
    values: Callable[..., Any], low: Any, high: Any, signs: tuple[float, float]
) -> tuple[Any, Any]:
    """The sums over all places, every second one and every fourth one; what may lie beyond."""
    left, right, weights = _rule("finite" if not any(signs) else "whole" if all(signs) else "half")
    if not any(signs):
        length = high - low
        x = np.where(left < 0.5, low + length * left, high - length * right)
        # What is an end to rounding is none of the function's.
        counts = (x != low) & (x != high)
        x = np.where(counts, x, low + 0.5 * length)
        factor = length
        distances = [np.abs(length) * side for side in (left, right)]
        near = [side < _NEAR for side in (left, right)]
    elif all(signs):
        x, counts = traced(left), weights > 0
        factor = 0.5 * (signs[1] - signs[0])
        distances = [np.abs(left)] * 2
        near = [np.arange(len(left)) == place for place in (0, len(left) - 1)]
    else:
        end, sign = (high, signs[0]) if signs[0] else (low, signs[1])
        x = end + sign * left
        counts = x != end
        x = np.where(counts, x, end + sign)
        factor = sign if signs[1] else -sign
        distances = [left] * 2
        near = [left < _NEAR, np.arange(len(left)) == len(left) - 1]
    terms = values(wrap(traced(x)), counts)
    shape = (-1, *(1,) * (terms.ndim - 1))
    beyond: Any = 0.0
    for distance, chosen in zip(distances, near, strict=True):
        # It is at most about as much as in the last step before an end: the smallest one.
        mass = np.abs(terms) * np.reshape(distance, shape).astype(terms.dtype)
        kept = np.reshape(counts & chosen, shape)
        beyond = beyond + np.min(np.where(kept, mass, math.inf), axis=0)
    sums = []
    middle = len(weights) // 2
    for stride in (1, 2, 4):
        chosen = (np.arange(len(weights)) - middle) % stride == 0
        each = np.reshape(np.where(chosen, weights * stride, 0.0), shape)
        sums.append(factor * np.sum(each.astype(terms.dtype) * terms, axis=0))
    return np.stack(sums), np.where(np.isfinite(beyond), beyond, 0.0)
