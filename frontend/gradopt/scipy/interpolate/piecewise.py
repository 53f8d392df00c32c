# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Piecewise polynomials of `scipy.interpolate`: their values, derivatives and integrals.

There are derivatives in the places, the coefficients and the breakpoints. Which piece a place is in
is found by a search, and has none.
"""

from __future__ import annotations

import math
import operator
from typing import Any

import numpy as np

from gradopt.array.handle import Handle
from gradopt.array.operands import traced
from gradopt.base.frames import hide_frames
from gradopt.base.location import source_location
from gradopt.compilation.programs import program
from gradopt.errors import ArgumentError, GradoptError, ShapeError
from gradopt.ir import checks
from gradopt.scipy.operands import inexact, real

# None, True or False, or "periodic".
Extrapolation = Any


def require(right: Any, message: str, error: type[GradoptError] = ArgumentError) -> None:
    """Checks that all bools are true: while tracing, where they are known, or when code has run."""
    known = right._known() if isinstance(right, Handle) else right
    if known is None:
        checks.require_all(traced(right), message, error)
    elif not np.all(known):
        raise error(message, source_location())


def require_increasing(name: str, x: Any) -> None:
    """Checks that places increase.

    Raises:
        ArgumentError: they do not.
    """
    require(x[1:] > x[:-1], f"{name}: `x` must be strictly increasing sequence.")


def samples(name: str, x: Any, y: Any, axis: int, least: int = 2) -> tuple[Any, Any]:
    """Places, and samples with their axis first.

    Raises:
        ShapeError: the shapes do not go together.
        ArgumentError: the places do not increase.
    """
    (places,), (values,) = real(f"interpolate.{name}", x), inexact(y)
    values = np.moveaxis(values, axis, 0)
    if places.ndim != 1 or places.shape[0] < least or values.shape[0] != places.shape[0]:
        raise ShapeError(
            f"{name}: x must be a vector of {least} places or more, with a sample of y for each "
            f"along axis {axis}, but their shapes are {places.shape} and {np.shape(y)}",
            source_location(),
        )
    require_increasing(name, places)
    return places, values


def along(h: Any, values: Any) -> Any:
    """A vector for the first axis of values, so that it broadcasts."""
    return np.reshape(h, (h.shape[0],) + (1,) * (values.ndim - 1))


def interval(edges: Any, places: Any, low: int, high: int) -> Any:
    """The number of the last edge at or before each place, between `low` and `high`."""
    return np.clip(np.searchsorted(edges, places, side="right") - 1, low, high)


def axis_of(axis: Any, samples: Any) -> int:
    """Which axis an interpolant's argument names, counted round as by SciPy's."""
    return operator.index(axis) % max(np.ndim(samples), 1)


def with_axis(result: Any, places: Any, axis: int) -> Any:
    """A result with the axes of places first, as SciPy orders them: in place of an axis."""
    if axis == 0:
        return result
    order = list(range(result.ndim))
    count = places.ndim
    return np.transpose(result, order[count : count + axis] + order[:count] + order[count + axis :])


def _differentiated(c: Any, order: int) -> Any:
    """Coefficients, the highest power first, of a derivative."""
    if c.shape[0] <= order:
        return np.zeros_like(c[:1])
    powers = range(c.shape[0] - 1, order - 1, -1)
    factors = np.array([math.perm(power, order) for power in powers], c.dtype)
    return c[: c.shape[0] - order] * along(factors, c)


def _integrated(c: Any, x: Any) -> Any:
    """Coefficients of the antiderivative that is 0 at the first breakpoint."""
    factors = 1 / np.arange(c.shape[0], 0, -1).astype(c.dtype)
    c = c * along(factors, c)
    h = along(x[1:] - x[:-1], c[0])
    piece = np.zeros_like(c[0])
    for part in c:
        piece = (piece + part) * h
    sums = np.cumsum(piece, axis=0)
    constants = np.concatenate([np.zeros_like(sums[:1]), sums[:-1]])
    return np.concatenate([c, constants[None]])


def _of_order(c: Any, x: Any, nu: int) -> Any:
    if nu >= 0:
        return _differentiated(c, nu) if nu else c
    for _ in range(-nu):
        c = _integrated(c, x)
    return c


def _values(c: Any, x: Any, v: Any, extrapolate: Extrapolation) -> Any:
    flat = np.ravel(v)
    if extrapolate == "periodic":
        flat = x[0] + np.mod(flat - x[0], x[-1] - x[0])
    place = interval(x, flat, 0, x.shape[0] - 2)
    beyond = flat - x[place]
    pieces = c[:, place]
    beyond = along(beyond, pieces[0])
    result = pieces[0]
    for coefficient in pieces[1:]:
        result = result * beyond + coefficient
    if c.shape[0] == 1:
        result = result + 0 * beyond  # No number of a place that is none.
    if not extrapolate:
        inside = (flat >= x[0]) & (flat <= x[-1])
        result = np.where(along(inside, result), result, np.nan)
    return np.reshape(result, (*v.shape, *result.shape[1:]))


@program
def _evaluated(c: Any, x: Any, v: Any, *, nu: int, extrapolate: Extrapolation, axis: int) -> Any:
    (c,), (x, v) = inexact(c), real("interpolate.PPoly", x, v)
    return traced(with_axis(_values(_of_order(c, x, nu), x, v, extrapolate), v, axis))


@program
def _coefficients(c: Any, x: Any, *, nu: int) -> Any:
    return traced(_of_order(inexact(c)[0], inexact(x)[0], nu))


@program
def _integral(c: Any, x: Any, a: Any, b: Any, *, extrapolate: Extrapolation, axis: int) -> Any:
    (c,), (x, a, b) = inexact(c), real("interpolate.PPoly", x, a, b)
    c = _integrated(c, x)

    def from_start(v: Any) -> Any:
        whole = _values(c, x, v, extrapolate)
        if extrapolate == "periodic":
            # Places lie in the first period; behind it each counts for another integral of all.
            periods = np.floor((v - x[0]) / (x[-1] - x[0]))
            whole = whole + periods * _values(c, x, x[-1:], True)[0]
        return whole

    return traced(with_axis(from_start(b) - from_start(a), b, axis))


class PPoly:
    """A piecewise polynomial: in `x[i] <= x <= x[i + 1]`, sum_m c[m, i] (x - x[i])^(k - m).

    Attributes:
        c: coefficients, of shape (k + 1, m, ...), the highest power first.
        x: breakpoints, of shape (m + 1,); they increase.
        extrapolate: whether the first and last pieces go on, or "periodic".
        axis: where the axis of interpolation is in results.
    """

    def __init__(self, c: Any, x: Any, extrapolate: Extrapolation = None, axis: int = 0) -> None:
        shape, count = np.shape(c), np.shape(x)
        if len(count) != 1 or len(shape) < 2 or not shape[0] or shape[1] != count[0] - 1:
            raise ShapeError(
                f"PPoly: c must have the shape (k + 1, m, ...) for m + 1 breakpoints, but their "
                f"shapes are {shape} and {count}",
                source_location(),
            )
        self._fill(c, x, True if extrapolate is None else extrapolate, operator.index(axis))

    def _fill(self, c: Any, x: Any, extrapolate: Extrapolation, axis: int) -> None:
        self.c = c
        self.x = x
        self.extrapolate = extrapolate
        self.axis = axis

    @hide_frames
    def __call__(self, x: Any, nu: int = 0, extrapolate: Extrapolation = None) -> Any:
        """The values at places, or those of a derivative.

        Args:
            x: places, of any shape.
            nu: order of the derivative.
            extrapolate: as the attribute; None for that.

        Returns:
            An array with the axes of places in the place of the axis of interpolation; NaN outside,
            if nothing is extrapolated.
        """
        if operator.index(nu) < 0:
            raise ArgumentError("Order of derivative cannot be negative", source_location())
        beyond = self.extrapolate if extrapolate is None else extrapolate
        return _evaluated(
            self.c, self.x, x, nu=operator.index(nu), extrapolate=beyond, axis=self.axis
        )

    @hide_frames
    def derivative(self, nu: int = 1) -> PPoly:
        """The derivative of an order, which is a piecewise polynomial."""
        c = _coefficients(self.c, self.x, nu=operator.index(nu))
        return PPoly(c, self.x, self.extrapolate, self.axis)

    @hide_frames
    def antiderivative(self, nu: int = 1) -> PPoly:
        """The antiderivative that is 0, as those before it, at the first breakpoint."""
        c = _coefficients(self.c, self.x, nu=-operator.index(nu))
        extrapolate = False if self.extrapolate == "periodic" else self.extrapolate
        return PPoly(c, self.x, extrapolate, self.axis)

    @hide_frames
    def integrate(self, a: Any, b: Any, extrapolate: Extrapolation = None) -> Any:
        """The integral from the number `a` to `b`; NaN from or to where nothing is extrapolated."""
        beyond = self.extrapolate if extrapolate is None else extrapolate
        return _integral(self.c, self.x, a, b, extrapolate=beyond, axis=self.axis)


def hermite(x: Any, y: Any, slopes: Any) -> Any:
    """The coefficients of the cubic polynomials with these values and slopes at breakpoints.

    Args:
        x: breakpoints, of shape (m,).
        y: of shape (m, ...).
        slopes: of the same shape.

    Returns:
        Coefficients of shape (4, m - 1, ...).
    """
    h = along(x[1:] - x[:-1], y)
    rise = (y[1:] - y[:-1]) / h
    bend = (slopes[:-1] + slopes[1:] - 2 * rise) / h
    return np.stack([bend / h, (rise - slopes[:-1]) / h - bend, slopes[:-1], y[:-1]])


def converted(theirs: Any) -> PPoly:
    """One of SciPy's piecewise polynomials as one of ours."""
    return PPoly(theirs.c, theirs.x, theirs.extrapolate, theirs.axis)
