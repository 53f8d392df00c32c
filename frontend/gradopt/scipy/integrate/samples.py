# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Integrals of functions that are known at some places: `scipy.integrate`'s rules for samples."""

from __future__ import annotations

import itertools
import operator
from typing import Any

import numpy as np

from gradopt.array.dispatch import unsupported
from gradopt.array.handle import wrap
from gradopt.array.operands import traced
from gradopt.base.frames import hide_frames
from gradopt.base.location import source_location
from gradopt.compilation.programs import program
from gradopt.errors import ArgumentError, ShapeError
from gradopt.functions.signal import trapezoid as trapezoids
from gradopt.ir import prims
from gradopt.scipy.operands import inexact


def _along_last(name: str, y: Any, places: tuple[Any, ...], axis: int) -> tuple[Any, Any]:
    """Samples with their axis as the last one, and the distances between their places.

    Args:
        name: of the function, for messages.
        y: the samples.
        places: one array, where they are, or nothing.
        axis: along which they lie.

    Returns:
        The samples and, with `places`, the distances, which broadcast against them.
    """
    values, *x = inexact(y, *places)
    place = prims.normalize_axis(axis, values.ndim)
    values = np.moveaxis(values, place, -1)
    if not x:
        return values, None
    (x,) = x
    if x.ndim != 1 and x.ndim != values.ndim:
        raise ShapeError(
            f"{name}: x must have one dimension, or the shape of y, but their shapes are {x.shape} "
            f"and {np.shape(y)}",
            source_location(),
        )
    x = np.moveaxis(x, place, -1) if x.ndim > 1 else x
    if x.shape[-1] != values.shape[-1]:
        raise ShapeError(
            f"{name}: there are {values.shape[-1]} samples along axis {axis}, but {x.shape[-1]} "
            "places",
            source_location(),
        )
    return values, np.diff(x, axis=-1)


def _require_samples(name: str, y: Any) -> None:
    if not y.shape[-1]:
        raise ShapeError(f"{name}: there must be a sample or more along axis", source_location())


def _operands(y: Any, x: Any, dx: Any) -> tuple[Any, ...]:
    """Those of a program: samples, their distance, and their places if they are given."""
    return (y, dx) if x is None else (y, dx, x)


@hide_frames
def trapezoid(y: Any, x: Any = None, dx: Any = 1.0, axis: int = -1) -> Any:
    """The integral by the trapezoidal rule: that of straight lines between the samples.

    Args:
        y: samples.
        x: where they are: one dimension, or the shape of `y`; by default they are `dx` apart.
        dx: their distance.
        axis: along which they lie.

    Returns:
        An array of the shape of `y` without the axis.

    Raises:
        ShapeError: the shapes do not go together.
    """
    given = _operands(y, x, dx)
    return _trapezoid(*given, axis=operator.index(axis), weak=_is_weak(dx))


def _is_weak(dx: Any) -> bool:
    """Whether a distance is a number of Python's, which has the precision of the samples."""
    return isinstance(dx, (int, float)) and not isinstance(dx, np.generic)


def _distance(dx: Any, values: Any, weak: bool) -> Any:
    return wrap(prims.convert(traced(dx), values.dtype) if weak else traced(dx))


@program
def _trapezoid(y: Any, dx: Any, *x: Any, axis: int, weak: bool) -> Any:
    values, *places = inexact(y, *x)
    return traced(trapezoids(values, *places, dx=_distance(dx, values, weak), axis=axis))


@hide_frames
def cumulative_trapezoid(
    y: Any, x: Any = None, dx: Any = 1.0, axis: int = -1, initial: Any = None
) -> Any:
    """The integrals from the first sample to each of the others, by the trapezoidal rule.

    Args:
        y, x, dx, axis: as those of `trapezoid`.
        initial: None, or 0: then the first integral, of nothing, is there, too.

    Raises:
        ArgumentError: `initial` is another number.
        ShapeError: the shapes do not go together.
    """
    if initial is not None and initial != 0:
        raise ArgumentError("`initial` must be `None` or `0`.", source_location())
    given = _operands(y, x, dx)
    return _cumulative_trapezoid(
        *given, axis=operator.index(axis), starts=initial is not None, weak=_is_weak(dx)
    )


@program
def _cumulative_trapezoid(y: Any, dx: Any, *x: Any, axis: int, starts: bool, weak: bool) -> Any:
    values, steps = _along_last("cumulative_trapezoid", y, x, axis)
    _require_samples("cumulative_trapezoid", values)
    steps = _distance(dx, values, weak) if steps is None else steps
    return traced(_cumulated(_trapezoids(values, steps), starts, axis))


def _trapezoids(values: Any, steps: Any) -> Any:
    return steps * (values[..., 1:] + values[..., :-1]) / 2


def _cumulated(parts: Any, starts: bool, axis: int) -> Any:
    """The sums of parts along the last axis, which goes back to its place."""
    sums = np.cumsum(parts, axis=-1)
    if starts:
        sums = np.concatenate([np.zeros_like(sums, shape=(*sums.shape[:-1], 1)), sums], axis=-1)
    return np.moveaxis(sums, -1, axis)


# -- Parabolas ---------------------------------------------------------------------------------


def _ratio(numerator: Any, denominator: Any) -> Any:
    """A quotient, and 0 where the denominator is, as at samples in one place."""
    is_zero = denominator == 0
    return np.where(is_zero, 0, numerator / np.where(is_zero, 1, denominator))


def _parabolas(y: Any, h0: Any, h1: Any) -> Any:
    """The integrals of parabolas through samples 0, 1 and 2, through 2, 3 and 4, and so on."""
    first, middle, last = y[..., :-2:2], y[..., 1:-1:2], y[..., 2::2]
    total, ratio = h0 + h1, _ratio(h0, h1)
    return (
        total
        / 6
        * (
            first * (2 - _ratio(1, ratio))
            + middle * (total * _ratio(total, h0 * h1))
            + last * (2 - ratio)
        )
    )


@hide_frames
def simpson(y: Any, x: Any = None, *, dx: Any = 1.0, axis: int = -1) -> Any:
    """The integral by Simpson's rule: that of parabolas through three samples each.

    If the number of samples is even, the part between the last two is that of the parabola through
    the last three (Cartwright, Simpson's rule cumulative integration with MS Excel and irregularly
    spaced data, 2017).

    Args:
        y, x, dx, axis: as those of `trapezoid`.

    Returns:
        An array of the shape of `y` without the axis.

    Raises:
        ShapeError: the shapes do not go together.
    """
    return _simpson(*_operands(y, x, dx), axis=operator.index(axis))


@program
def _simpson(y: Any, dx: Any, *x: Any, axis: int) -> Any:
    values, steps = _along_last("simpson", y, x, axis)
    _require_samples("simpson", values)
    count = values.shape[-1]
    if steps is None:
        steps = np.broadcast_to(wrap(traced(dx, values.dtype)), (count - 1,))
    if count <= 2:
        return traced(np.sum(_trapezoids(values, steps), axis=-1))
    odd = count - (count % 2 == 0)
    parts = _parabolas(values[..., :odd], steps[..., : odd - 1 : 2], steps[..., 1 : odd - 1 : 2])
    total = np.sum(parts, axis=-1)
    if odd != count:
        ends = values[..., -3], values[..., -2], values[..., -1]
        total = total + _second_part(*ends, steps[..., -2], steps[..., -1])
    return traced(total)


def _second_part(y0: Any, y1: Any, y2: Any, h0: Any, h1: Any) -> Any:
    """The integral from the second to the third place of the parabola through three samples."""
    last = _ratio(2 * h1**2 + 3 * h0 * h1, 6 * (h1 + h0))
    middle = _ratio(h1**2 + 3 * h0 * h1, 6 * h0)
    first = _ratio(h1**3, 6 * h0 * (h0 + h1))
    return last * y2 + middle * y1 - first * y0


@hide_frames
def cumulative_simpson(
    y: Any, *, x: Any = None, dx: Any = 1.0, axis: int = -1, initial: Any = None
) -> Any:
    """The integrals from the first sample to each of the others, by Simpson's rule.

    Between two samples it is the parabola through these and the next one that is integrated, or
    the one before, alternately; with less than three samples it is a straight line.

    Args:
        y, x, dx, axis: as those of `trapezoid`.
        initial: what the integrals begin with, and are added to; it broadcasts against `y` with
            one sample along the axis. Without it, the first integral, of nothing, is left out.

    Raises:
        ShapeError: the shapes do not go together. That `x` increases is not looked at.
    """
    operands = [y, dx] + ([] if x is None else [x]) + ([] if initial is None else [initial])
    selection = {"has_places": x is not None, "starts": initial is not None}
    return _cumulative_simpson(*operands, axis=operator.index(axis), **selection)


@program
def _cumulative_simpson(
    y: Any, dx: Any, *others: Any, axis: int, has_places: bool, starts: bool
) -> Any:
    values, steps = _along_last("cumulative_simpson", y, others[:has_places], axis)
    _require_samples("cumulative_simpson", values)
    count = values.shape[-1]
    if steps is None:
        steps = np.broadcast_to(wrap(traced(dx, values.dtype)), (count - 1,))
    if count < 3:
        parts = _trapezoids(values, steps)
    else:
        y0, y1, y2 = values[..., :-2], values[..., 1:-1], values[..., 2:]
        h0, h1 = steps[..., :-1], steps[..., 1:]
        forward, backward = _second_part(y2, y1, y0, h1, h0), _second_part(y0, y1, y2, h0, h1)
        # The parts before places 1, 3 ... by what follows, and the others by what is before.
        is_first = np.arange(count - 2) % 2 == 0
        inner = np.where(is_first[1:], forward[..., 1:], backward[..., :-1])
        parts = np.concatenate([forward[..., :1], inner, backward[..., -1:]], axis=-1)
    if not starts:
        return traced(_cumulated(parts, False, axis))
    sums = _cumulated(parts, True, axis)
    return traced(sums + wrap(traced(others[-1])))


@hide_frames
def romb(y: Any, dx: Any = 1.0, axis: int = -1, show: bool = False) -> Any:
    """The integral of 2**k + 1 samples by Romberg's method.

    Args:
        y: samples.
        dx: their distance.
        axis: along which they lie.
        show: not supported.

    Returns:
        An array of the shape of `y` without the axis.

    Raises:
        ShapeError: there is another number of samples.
        UnsupportedError: `show`.
    """
    if show:
        raise unsupported("show=True of scipy.integrate.romb", "print the result after the call")
    return _romb(y, dx, axis=operator.index(axis))


@program
def _romb(y: Any, dx: Any, *, axis: int) -> Any:
    values, _ = _along_last("romb", y, (), axis)
    intervals = values.shape[-1] - 1
    if intervals < 1 or intervals & (intervals - 1):
        raise ShapeError(
            f"romb: the number of samples must be one plus a power of 2, but it is {intervals + 1}",
            source_location(),
        )
    step = wrap(traced(dx, values.dtype))
    # Trapezoidal sums of all steps; then each is combined with the one of twice the step.
    sums = [
        intervals
        // count
        * step
        * (
            np.sum(values[..., :: intervals // count], axis=-1)
            - (values[..., 0] + values[..., -1]) / 2
        )
        for count in [1 << k for k in range(intervals.bit_length())]
    ]
    power = 4
    while len(sums) > 1:
        sums = [b + (b - a) / (power - 1) for a, b in itertools.pairwise(sums)]
        power *= 4
    return traced(sums[0])
