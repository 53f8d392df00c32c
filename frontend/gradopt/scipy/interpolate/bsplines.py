# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Splines of `scipy.interpolate` as sums of B-splines.

There are derivatives in the places, the coefficients and the knots.
de Boor, A practical guide to splines, 1978, chapters IX and X.
"""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from gradopt.array.dispatch import unsupported
from gradopt.array.operands import traced
from gradopt.base.frames import hide_frames
from gradopt.base.location import source_location
from gradopt.compilation.programs import program
from gradopt.errors import ArgumentError, ShapeError
from gradopt.scipy.interpolate.piecewise import (
    Extrapolation,
    along,
    axis_of,
    interval,
    require,
    samples,
    with_axis,
)
from gradopt.scipy.operands import inexact, real


def _ratio(numerator: Any, denominator: Any) -> Any:
    """A quotient, and 0 where knots coincide."""
    is_zero = denominator == 0
    return np.where(is_zero, 0, numerator / np.where(is_zero, 1, denominator))


def _differentiated(t: Any, c: Any, k: int) -> tuple[Any, Any]:
    """Knots and coefficients of the derivative, of degree k - 1."""
    count = t.shape[0] - k - 1
    c = c[:count]
    width = t[k + 1 : k + count] - t[1:count]
    return t[1:-1], k * (c[1:] - c[:-1]) * along(_ratio(np.ones_like(width), width), c)


def _integrated(t: Any, c: Any, k: int) -> tuple[Any, Any]:
    """Knots and coefficients of the antiderivative that is 0 at first, of degree k + 1."""
    count = t.shape[0] - k - 1
    c = c[:count]
    width = t[k + 1 : k + 1 + count] - t[:count]
    sums = np.cumsum(c * along(width, c), axis=0) / (k + 1)
    knots = np.concatenate([t[:1], t, t[-1:]])
    # As many coefficients as SciPy has, constant behind the last one.
    return knots, np.concatenate([np.zeros_like(sums[:1]), sums])


def _values(t: Any, c: Any, k: int, v: Any, extrapolate: Extrapolation) -> Any:
    """The values of a spline, by de Boor's recursion."""
    count = t.shape[0] - k - 1
    flat = np.ravel(v)
    if extrapolate == "periodic":
        flat = t[k] + np.mod(flat - t[k], t[count] - t[k])
    place = interval(t, flat, k, count - 1)
    parts = [c[place - k + j] for j in range(k + 1)]
    knots = [t[place - k + 1 + j] for j in range(2 * k)]
    for level in range(1, k + 1):
        for j in range(k, level - 1, -1):
            low, high = knots[j - 1], knots[j + k - level]
            weight = along(_ratio(flat - low, high - low), parts[0])
            parts[j] = (1 - weight) * parts[j - 1] + weight * parts[j]
    result = parts[k]
    if not extrapolate:
        inside = (flat >= t[k]) & (flat <= t[count])
        result = np.where(along(inside, result), result, np.nan)
    result = np.where(along(np.isnan(flat), result), np.nan, result)
    return np.reshape(result, (*v.shape, *result.shape[1:]))


@program
def _evaluated(
    t: Any, c: Any, v: Any, *, k: int, nu: int, extrapolate: Extrapolation, axis: int
) -> Any:
    (t, v), (c,) = real("interpolate.BSpline", t, v), inexact(c)
    for _ in range(min(nu, k)):
        t, c = _differentiated(t, c, k)
        k, nu = k - 1, nu - 1
    c = np.zeros_like(c) if nu else c
    return traced(with_axis(_values(t, c, k, v, extrapolate), v, axis))


@program
def _derived(t: Any, c: Any, *, k: int, nu: int) -> tuple[Any, Any]:
    (t,), (c,) = real("interpolate.BSpline", t), inexact(c)
    for _ in range(nu):
        t, c = _differentiated(t, c, k)
        k -= 1
    for _ in range(-nu):
        t, c = _integrated(t, c, k)
        k += 1
    return traced(t), traced(c)


@program
def _integral(t: Any, c: Any, a: Any, b: Any, *, k: int, extrapolate: bool) -> Any:
    (t, a, b), (c,) = real("interpolate.BSpline", t, a, b), inexact(c)
    low, high = t[k], t[t.shape[0] - k - 1]
    t, c = _integrated(t, c, k)
    if not extrapolate:
        # There is nothing outside, as in SciPy.
        a, b = np.clip(a, low, high), np.clip(b, low, high)
    return traced(_values(t, c, k + 1, b, True) - _values(t, c, k + 1, a, True))


class BSpline:
    """`scipy.interpolate.BSpline`: sum_j c[j] B_j of B-splines of degree k on knots t.

    Attributes:
        t: knots, of shape (n + k + 1,) or longer; they do not decrease.
        c: coefficients, of shape (n, ...), n at least k + 1.
        k: the degree.
        extrapolate: whether the first and last pieces go on, or "periodic".
        axis: where the axis of interpolation is in results.

    Raises:
        ShapeError: the shapes do not go together.
        ArgumentError: k is negative.
    """

    @hide_frames
    def __init__(
        self, t: Any, c: Any, k: int, extrapolate: Extrapolation = True, axis: int = 0
    ) -> None:
        self.k = operator.index(k)
        if self.k < 0:
            raise ArgumentError("Spline order cannot be negative.", source_location())
        self.axis = axis_of(axis, c)
        knots, count = np.shape(t), np.shape(t)[0] - self.k - 1 if np.ndim(t) == 1 else 0
        if count <= self.k or np.ndim(c) == 0 or np.shape(c)[self.axis] < count:
            raise ShapeError(
                f"BSpline: knots of shape {knots} and coefficients of shape {np.shape(c)} do not "
                f"make a spline of degree {self.k}: n >= {self.k + 1} coefficients along axis "
                f"{self.axis} need n + {self.k + 1} knots",
                source_location(),
            )
        self.t = t
        self.c = np.moveaxis(_array(c), self.axis, 0) if self.axis else c
        self.extrapolate = extrapolate

    @hide_frames
    def __call__(self, x: Any, nu: int = 0, extrapolate: Extrapolation = None) -> Any:
        """The values at places, or those of the derivative of an order `nu`.

        Returns:
            An array with the axes of places in the place of the axis of interpolation; NaN outside,
            if nothing is extrapolated.
        """
        beyond = self.extrapolate if extrapolate is None else extrapolate
        order = operator.index(nu)
        return _evaluated(self.t, self.c, x, k=self.k, nu=order, extrapolate=beyond, axis=self.axis)

    @hide_frames
    def derivative(self, nu: int = 1) -> BSpline:
        """The derivative of an order, not above the degree: a spline."""
        order = operator.index(nu)
        if order > self.k:
            raise ArgumentError(
                f"the derivative of order {order} of a spline of degree {self.k} is no spline",
                source_location(),
            )
        return self._derived(order)

    @hide_frames
    def antiderivative(self, nu: int = 1) -> BSpline:
        """The antiderivative that is 0 at the first knot: a spline."""
        return self._derived(-operator.index(nu))

    def _derived(self, order: int) -> BSpline:
        t, c = _derived(self.t, self.c, k=self.k, nu=order)
        made = BSpline(t, c, self.k - order, self.extrapolate)
        made.axis = self.axis
        return made

    @hide_frames
    def integrate(self, a: Any, b: Any, extrapolate: Extrapolation = None) -> Any:
        """The integral from the number `a` to `b`; nothing is outside, if it is not extrapolated.

        Raises:
            UnsupportedError: the spline is periodic.
        """
        beyond = self.extrapolate if extrapolate is None else extrapolate
        if beyond == "periodic":
            raise unsupported(
                "scipy.interpolate.BSpline.integrate of periodic splines",
                "integrate over one period",
            )
        return _integral(self.t, self.c, a, b, k=self.k, extrapolate=bool(beyond))


def _array(value: Any) -> Any:
    return value if hasattr(value, "ndim") else np.asarray(value)


# -- Interpolants ------------------------------------------------------------------------------


def _basis(t: Any, k: int, x: Any) -> Any:
    """All B-splines at places within the knots: of shape (places, splines)."""
    count = t.shape[0] - k - 1
    numbers = np.arange(t.shape[0] - 1)
    values = np.where(interval(t, x, k, count - 1)[:, None] == numbers, 1.0, 0.0).astype(x.dtype)
    for level in range(1, k + 1):
        size = t.shape[0] - 1 - level
        rising = _ratio(x[:, None] - t[:size], t[level : level + size] - t[:size])
        ends = t[level + 1 : level + 1 + size]
        falling = _ratio(ends - x[:, None], ends - t[1 : 1 + size])
        values = rising * values[:, :-1] + falling * values[:, 1:]
    return values


def _knots(x: Any, k: int) -> Any:
    """The knots of a spline of degree k with as many coefficients as there are places."""
    if k % 2:
        half = (k + 1) // 2
        inner = x[half:-half]
    else:
        inner = ((x[1:] + x[:-1]) / 2)[k // 2 : x.shape[0] - 1 - k // 2]
    return np.concatenate([np.repeat(x[:1], k + 1), inner, np.repeat(x[-1:], k + 1)])


def cardinal(x: Any, k: int, v: Any) -> Any:
    """At places v, the splines of degree k that are 1 at one of the places x and 0 at the others.

    Returns:
        An array of shape (places, splines).
    """
    t = _knots(x, k)
    return np.linalg.solve(_basis(t, k, x).T, _basis(t, k, v).T).T


@program
def _through(x: Any, y: Any, *knots: Any, k: int, axis: int) -> tuple[Any, Any]:
    places, values = samples("make_interp_spline", x, y, axis, max(k + 1, 2))
    t = real("interpolate.make_interp_spline", *knots)[0] if knots else _knots(places, k)
    if t.shape != (places.shape[0] + k + 1,):
        raise ShapeError(
            f"make_interp_spline: {places.shape[0]} places and degree {k} need "
            f"{places.shape[0] + k + 1} knots, got shape {t.shape}",
            source_location(),
        )
    if knots:
        inside = (places >= t[k]) & (places <= t[places.shape[0]])
        require(inside, "Out of bounds w/ x")
    matrix = _basis(t, k, places)
    flat = np.reshape(values, (values.shape[0], -1))
    return traced(t), traced(np.reshape(np.linalg.solve(matrix, flat), values.shape))


def spline_through(x: Any, y: Any, k: int) -> BSpline:
    """The spline of a degree through samples along the first axis."""
    t, c = _through(x, y, k=k, axis=0)
    return BSpline(t, c, k)


@hide_frames
def make_interp_spline(
    x: Any,
    y: Any,
    k: int = 3,
    t: Any = None,
    bc_type: Any = None,
    axis: int = 0,
    check_finite: bool = True,
) -> BSpline:
    """The spline of a degree through samples, of a system with all its coefficients.

    Args:
        x: n places that increase, n above k.
        y: samples.
        k: the degree.
        t: knots, n + k + 1 of them; by default those of SciPy's, "not-a-knot" where k is 3.
        bc_type: None.
        axis: along which samples lie.
        check_finite: means nothing.

    Raises:
        LinAlgError: the places do not determine the coefficients.
        ShapeError: the shapes do not go together.
        ArgumentError: `x` does not increase, or is outside of the knots.
        UnsupportedError: conditions at the ends; `CubicSpline` has them.
    """
    if bc_type is not None and bc_type != "not-a-knot" and tuple(bc_type) != (None, None):
        raise unsupported(
            "keyword bc_type= of scipy.interpolate.make_interp_spline",
            "use scipy.interpolate.CubicSpline, where k is 3",
        )
    degree = operator.index(k)
    if degree < 0:
        raise ArgumentError("Expect non-negative k.", source_location())
    place = axis_of(axis, y)
    knots, c = _through(x, y, *(() if t is None else (t,)), k=degree, axis=place)
    made = BSpline(knots, c, degree)
    made.axis = place
    return made


@hide_frames
def splev(x: Any, tck: Any, der: int = 0, ext: int = 0) -> Any:
    """The values of a spline, or of a derivative.

    Args:
        x: places.
        tck: knots, coefficients and degree, or a `BSpline`.
        der: the order of the derivative.
        ext: what is outside: 0, what is extrapolated; 1, zero; 3, without `der`, the value at the
            end.

    Raises:
        UnsupportedError: another `ext`, or curves, with lists of coefficients.
    """
    if isinstance(tck, (tuple, list)):
        t, c, k = tck
        if isinstance(c, (tuple, list)) and c and np.ndim(c[0]):
            raise unsupported("scipy.interpolate.splev of curves", "call it for each coordinate")
        tck = BSpline(t, c, k)
    if ext not in (0, 1, 3):
        raise unsupported(f"ext={ext!r} of scipy.interpolate.splev", "use 0, 1 or 3")
    if ext == 3 and der:
        # SciPy extrapolates all the same.
        raise unsupported(
            "ext=3 of scipy.interpolate.splev with der=", "use ext=0, or clip the places"
        )
    low, high = tck.t[tck.k], tck.t[np.shape(tck.t)[0] - tck.k - 1]
    if ext == 3:
        return tck(np.clip(x, low, high))
    values = tck(x, der)
    return np.where((x >= low) & (x <= high), values, 0.0) if ext else values


def converted(theirs: Any) -> BSpline:
    """One of SciPy's splines as one of ours."""
    made = BSpline(theirs.t, theirs.c, theirs.k, theirs.extrapolate)
    made.axis = theirs.axis
    return made
