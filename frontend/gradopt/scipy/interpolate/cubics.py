# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Piecewise cubic interpolants of `scipy.interpolate`.

They differ by the slopes at the places of samples: those of a spline make the second derivative
continuous, and are the solution of a system with a band matrix; the others are formulas.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from gradopt.array.handle import Handle
from gradopt.array.operands import traced
from gradopt.base.frames import hide_frames
from gradopt.base.location import source_location
from gradopt.compilation.programs import program
from gradopt.errors import ArgumentError, ShapeError
from gradopt.scipy.equations import solve_banded
from gradopt.scipy.interpolate.piecewise import (
    Extrapolation,
    PPoly,
    along,
    axis_of,
    hermite,
    require,
    samples,
)
from gradopt.scipy.operands import inexact

# -- Splines -----------------------------------------------------------------------------------

_NAMED = {"clamped": (1, 0.0), "natural": (2, 0.0)}
_CONDITIONS = "'not-a-knot', 'periodic', 'clamped', 'natural', or a pair of an order and a value"


def _conditions(bc_type: Any) -> tuple[list[Any], list[Any]]:
    """What holds at both ends: names or orders of derivatives; and the values of these.

    Raises:
        ArgumentError: there is no such condition.
    """
    if isinstance(bc_type, str):
        both: Any = (bc_type, bc_type)
    else:
        both = tuple(bc_type)
    if len(both) != 2:
        raise ArgumentError(
            f"`bc_type` must contain 2 elements to specify start and end conditions: {_CONDITIONS}",
            source_location(),
        )
    kinds: list[Any] = []
    values: list[Any] = []
    for condition in both:
        if isinstance(condition, str):
            if condition not in ("not-a-knot", "periodic", *_NAMED):
                raise ArgumentError(f"bc_type={condition!r} is not allowed.", source_location())
            kind, value = _NAMED.get(condition, (condition, 0.0))
        else:
            kind, value = condition
            if kind not in (1, 2):
                raise ArgumentError(
                    "The specified derivative order must be 1 or 2.", source_location()
                )
        kinds.append(kind)
        values.append(value)
    if ("periodic" in kinds) and kinds[0] != kinds[1]:
        raise ArgumentError(
            "'periodic' `bc_type` is defined for both curve ends and cannot be used with other "
            "boundary conditions.",
            source_location(),
        )
    return kinds, values


@program
def _spline(x: Any, y: Any, first: Any, last: Any, *, axis: int, kinds: tuple[Any, Any]) -> Any:
    places, values = samples("CubicSpline", x, y, axis)
    ends = [np.broadcast_to(inexact(end)[0], values.shape[1:]) for end in (first, last)]
    if kinds[0] == "periodic":
        near = np.abs(values[0] - values[-1]) <= 1e-15 + 1e-15 * np.abs(values[-1])
        require(
            near,
            "The first and last `y` point along axis 0 must be identical (within machine "
            "precision) when bc_type='periodic'.",
        )
    h = places[1:] - places[:-1]
    rise = (values[1:] - values[:-1]) / along(h, values)
    slopes = _spline_slopes(h, rise, ends, kinds)
    return traced(hermite(places, values, slopes))


def _spline_slopes(h: Any, rise: Any, ends: list[Any], kinds: tuple[Any, Any]) -> Any:
    """The slopes at all places, from distances and slopes between them."""
    count, is_periodic = h.shape[0] + 1, kinds[0] == "periodic"
    if count == 2:
        # A line through two places for a condition that needs more.
        if is_periodic:
            return np.zeros_like(np.concatenate([rise, rise]))
        known = [(1, rise[0]) if kind == "not-a-knot" else (kind, end) for kind, end in
                 zip(kinds, ends, strict=True)]  # fmt: skip
        kinds, ends = (known[0][0], known[1][0]), [known[0][1], known[1][1]]
    if count == 3 and is_periodic:
        wide = along(h, rise)
        t = np.sum(rise / wide, axis=0) / np.sum(1 / wide, axis=0)
        return np.stack([t, t, t])
    if count == 3 and kinds == ("not-a-knot", "not-a-knot"):
        return _parabola_slopes(h, rise)
    if is_periodic:
        return _periodic_slopes(h, rise)
    wide = along(h, rise)
    middle = 3 * (wide[1:] * rise[:-1] + wide[:-1] * rise[1:])
    first = _end_row(kinds[0], h, rise, ends[0], 1)
    last = _end_row(kinds[1], h[::-1], rise[::-1], ends[1], -1)
    zero = np.zeros_like(h[:1])
    below = np.concatenate([h[1:], last[1][None], zero])
    main = np.concatenate([first[0][None], 2 * (h[:-1] + h[1:]), last[0][None]])
    above = np.concatenate([zero, first[1][None], h[:-1]])
    right = np.concatenate([first[2][None], middle, last[2][None]])
    bands = np.stack([above, main, below])
    flat = np.reshape(right, (count, -1))
    return np.reshape(solve_banded((1, 1), bands, flat), right.shape)


def _end_row(kind: Any, h: Any, rise: Any, end: Any, sign: int) -> tuple[Any, Any, Any]:
    """The row of an end: its coefficient, that of its neighbour, and the right side.

    Args:
        kind: what holds there.
        h: distances from there on.
        rise: slopes between places from there on.
        end: the value of the condition.
        sign: of the direction.
    """
    if kind == "not-a-knot":
        # The third derivative is continuous one place from the end.
        total = h[0] + h[1]
        right = ((h[0] + 2 * total) * h[1] * rise[0] + h[0] ** 2 * rise[1]) / total
        return h[1], total, right
    if kind == 1:
        return np.ones_like(h[0]), np.zeros_like(h[0]), end
    return 2 * h[0], h[0], -0.5 * sign * end * h[0] ** 2 + 3 * h[0] * rise[0]


def _parabola_slopes(h: Any, rise: Any) -> Any:
    """The slopes of the parabola through three places."""
    middle = (h[1] * rise[0] + h[0] * rise[1]) / (h[0] + h[1])
    return np.stack([2 * rise[0] - middle, middle, 2 * rise[1] - middle])


def _periodic_slopes(h: Any, rise: Any) -> Any:
    """The slopes of a periodic spline: the band system of all but the last unknown, twice."""
    count = h.shape[0]
    before = np.roll(h, 1)
    wide, early = along(h, rise), along(before, rise)
    right = 3 * (wide * np.roll(rise, 1, axis=0) + early * rise)
    main = 2 * (before + h)
    # Unknown i: h[i] s[i - 1] + main s[i] + before[i] s[i + 1].
    corner = np.zeros_like(h[:-1])
    corner = np.concatenate([h[:1], corner[1:-1], before[-2:-1]]) if count > 2 else corner
    size = count - 1
    zero = np.zeros_like(h[:1])
    bands = np.stack(
        [
            np.concatenate([zero, before[: size - 1]]),
            main[:size],
            np.concatenate([h[1:size], zero]),
        ]
    )
    flat = np.reshape(right[:size], (size, -1))
    both = solve_banded((1, 1), bands, np.concatenate([flat, -corner[:, None]], axis=1))
    shape = right[:size].shape
    one = np.reshape(both[:, :-1], shape)
    other = along(both[:, -1], one)
    left = before[-1] * one[0] + h[-1] * one[-1]
    factor = main[-1] + before[-1] * other[0] + h[-1] * other[-1]
    last = (right[-1] - left) / factor
    slopes = one + other * last
    return np.concatenate([slopes, last[None], slopes[:1]])


class CubicSpline(PPoly):
    """`scipy.interpolate.CubicSpline`: a spline through samples, with methods of `PPoly`.

    There are derivatives in `x`, `y` and the values of conditions.

    Args:
        x: n places, 2 or more, that increase.
        y: samples.
        axis: along which they lie.
        bc_type: what holds at the ends: "not-a-knot", "periodic", "clamped", "natural", or for each
            end one of these or a pair (order of a derivative, value).
        extrapolate: as that of `PPoly`; by default true, and "periodic" of periodic splines.

    Raises:
        ShapeError: the shapes do not go together.
        ArgumentError: `x` does not increase; there is no such condition; the samples at the ends
            of a periodic spline differ.
    """

    @hide_frames
    def __init__(
        self,
        x: Any,
        y: Any,
        axis: int = 0,
        bc_type: Any = "not-a-knot",
        extrapolate: Extrapolation = None,
    ) -> None:
        kinds, ends = _conditions(bc_type)
        place = axis_of(axis, y)
        c = _spline(x, y, *ends, axis=place, kinds=(kinds[0], kinds[1]))
        if extrapolate is None:
            extrapolate = "periodic" if kinds[0] == "periodic" else True
        self._fill(c, _kept(x), extrapolate, place)


def _kept(x: Any) -> Any:
    return x if isinstance(x, Handle) else np.asarray(x)


# -- Formulas for slopes -----------------------------------------------------------------------


@program
def _hermite(x: Any, y: Any, slopes: Any, *, axis: int) -> Any:
    places, values = samples("CubicHermiteSpline", x, y, axis)
    if np.shape(slopes) != np.shape(y):
        raise ShapeError("The shapes of `y` and `dydx` must be identical.", source_location())
    return traced(hermite(places, values, np.moveaxis(inexact(slopes)[0], axis, 0)))


class CubicHermiteSpline(PPoly):
    """`scipy.interpolate.CubicHermiteSpline`: a cubic interpolant with given slopes.

    Parameters and errors are those of `CubicSpline`, with the slopes `dydx`, of the shape of `y`.
    """

    @hide_frames
    def __init__(
        self, x: Any, y: Any, dydx: Any, axis: int = 0, extrapolate: Extrapolation = None
    ) -> None:
        place = axis_of(axis, y)
        c = _hermite(x, y, dydx, axis=place)
        self._fill(c, _kept(x), True if extrapolate is None else extrapolate, place)


def _end_slope(h0: Any, h1: Any, m0: Any, m1: Any) -> Any:
    """A slope at an end that keeps the shape: that of a parabola, within limits."""
    slope = ((2 * h0 + h1) * m0 - h0 * m1) / (h0 + h1)
    too_large = (np.sign(m0) != np.sign(m1)) & (np.abs(slope) > 3 * np.abs(m0))
    slope = np.where(too_large, 3 * m0, slope)
    return np.where(np.sign(slope) != np.sign(m0), 0, slope)


@program
def _pchip(x: Any, y: Any, *, axis: int) -> Any:
    places, values = samples("PchipInterpolator", x, y, axis)
    h = along(places[1:] - places[:-1], values)
    m = (values[1:] - values[:-1]) / h
    if values.shape[0] == 2:
        return traced(hermite(places, values, np.concatenate([m, m])))
    early, late = m[:-1], m[1:]
    is_flat = np.sign(early) * np.sign(late) <= 0
    w0, w1 = 2 * h[1:] + h[:-1], h[1:] + 2 * h[:-1]
    # A mean of slopes of one sign, with the weights of Fritsch and Butland (1984).
    mean = (w0 / np.where(is_flat, 1, early) + w1 / np.where(is_flat, 1, late)) / (w0 + w1)
    inner = np.where(is_flat, 0, 1 / np.where(is_flat, 1, mean))
    first = _end_slope(h[0], h[1], m[0], m[1])
    last = _end_slope(h[-1], h[-2], m[-1], m[-2])
    return traced(hermite(places, values, np.concatenate([first[None], inner, last[None]])))


class PchipInterpolator(PPoly):
    """`scipy.interpolate.PchipInterpolator`: a cubic interpolant that is monotonic as its samples.

    Parameters and errors are those of `CubicSpline`.
    """

    @hide_frames
    def __init__(self, x: Any, y: Any, axis: int = 0, extrapolate: Extrapolation = None) -> None:
        place = axis_of(axis, y)
        c = _pchip(x, y, axis=place)
        self._fill(c, _kept(x), True if extrapolate is None else extrapolate, place)


@program
def _akima(x: Any, y: Any, *, axis: int, modified: bool) -> Any:
    places, values = samples("Akima1DInterpolator", x, y, axis)
    m = (values[1:] - values[:-1]) / along(places[1:] - places[:-1], values)
    if values.shape[0] == 2:
        return traced(hermite(places, values, np.concatenate([m, m])))
    # Two slopes more at each end, as if they changed by the same.
    low = 2 * m[0] - m[1]
    high = 2 * m[-1] - m[-2]
    m = np.concatenate([(2 * low - m[0])[None], low[None], m, high[None], (2 * high - m[-1])[None]])
    change = np.abs(m[1:] - m[:-1])
    if modified:
        change = change + 0.5 * np.abs(m[1:] + m[:-1])
    late, early = change[2:], change[:-2]
    total = late + early
    # Akima's weights; where nothing changes, the mean.
    is_sharp = total > 1e-9 * np.max(total)
    weight = early / np.where(is_sharp, total, 1)
    sharp = m[1:-2] + weight * (m[2:-1] - m[1:-2])
    flat = 0.5 * (m[3:] + m[:-3])
    return traced(hermite(places, values, np.where(is_sharp, sharp, flat)))


class Akima1DInterpolator(PPoly):
    """`scipy.interpolate.Akima1DInterpolator`: a cubic interpolant that does not swing.

    Parameters and errors are those of `CubicSpline`; by default nothing is extrapolated.

    Args:
        method: "akima", or "makima" with weights that keep flat samples flat.
    """

    @hide_frames
    def __init__(
        self,
        x: Any,
        y: Any,
        axis: int = 0,
        *,
        method: str = "akima",
        extrapolate: Extrapolation = None,
    ) -> None:
        if method not in ("akima", "makima"):
            raise ArgumentError(
                f"`method`={method} is unsupported: use akima or makima", source_location()
            )
        place = axis_of(axis, y)
        c = _akima(x, y, axis=place, modified=method == "makima")
        kept = extrapolate if extrapolate == "periodic" else bool(extrapolate)
        self._fill(c, _kept(x), kept, place)
