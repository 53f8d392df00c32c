# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""`scipy.interpolate`'s interp1d: lines, steps and splines through samples."""

from __future__ import annotations

from typing import Any

import numpy as np

from gradopt.array.dispatch import unsupported
from gradopt.array.operands import traced
from gradopt.base.frames import hide_frames
from gradopt.base.location import source_location
from gradopt.compilation.programs import program
from gradopt.errors import ArgumentError, ShapeError
from gradopt.scipy.interpolate.bsplines import spline_through
from gradopt.scipy.interpolate.cubics import CubicSpline
from gradopt.scipy.interpolate.piecewise import along, axis_of, interval, require, with_axis
from gradopt.scipy.operands import inexact, real

_SPLINES = {"quadratic": 2, "cubic": 3}
_KINDS = ("linear", "slinear", "nearest", "nearest-up", "zero", "previous", "next", *_SPLINES)


class interp1d:
    """`scipy.interpolate.interp1d`: a function through samples.

    There are derivatives in the samples, and for kinds that are continuous in all places, too.

    Args:
        x: n places; they are sorted first, unless `assume_sorted`.
        y: samples.
        kind: "linear", "slinear", "nearest", "nearest-up", "zero", "previous", "next", "quadratic",
            "cubic", or the order of a spline from 0 to 3.
        axis: along which samples lie.
        copy: means nothing.
        bounds_error: whether a place outside raises; by default where there is no `fill_value`.
        fill_value: what is there, or a pair for both sides, or "extrapolate".
        assume_sorted: whether `x` increases.

    Raises:
        UnsupportedError: there is no such kind.
        ShapeError: the shapes do not go together.
        ArgumentError: `bounds_error` is true, and values outside are extrapolated.
    """

    @hide_frames
    def __init__(
        self,
        x: Any,
        y: Any,
        kind: Any = "linear",
        axis: int = -1,
        copy: bool = True,
        bounds_error: bool | None = None,
        fill_value: Any = np.nan,
        assume_sorted: bool = False,
    ) -> None:
        if isinstance(kind, int):
            orders = ("zero", "slinear", *_SPLINES)
            kind = orders[kind] if 0 <= kind < len(orders) else kind
        if kind not in _KINDS:
            raise unsupported(
                f"kind={kind!r} of scipy.interpolate.interp1d", "use one of " + ", ".join(_KINDS)
            )
        extrapolates = isinstance(fill_value, str) and fill_value == "extrapolate"
        if extrapolates and bounds_error:
            raise ArgumentError("Cannot extrapolate and raise at the same time.", source_location())
        is_default = isinstance(fill_value, float) and np.isnan(fill_value)
        self.axis = axis_of(axis, y)
        self._kind = kind
        self._raises = is_default if bounds_error is None else bool(bounds_error)
        self._extrapolates = extrapolates
        beyond = (np.nan, np.nan) if extrapolates else fill_value
        self._beyond = beyond if isinstance(beyond, tuple) and len(beyond) == 2 else (beyond,) * 2
        self.x, self.y = _sorted(x, y, axis=self.axis, sort=not assume_sorted)
        if kind in _SPLINES:
            self._spline = _spline_of(self.x, self.y, kind)

    @hide_frames
    def __call__(self, x: Any) -> Any:
        """The values at places, with their axes in the place of the axis of samples.

        They are NaN where the place is, for steps, too.

        Raises:
            ArgumentError: a place is outside, where that raises.
        """
        operands = (self.y,)
        if self._kind in _SPLINES:
            operands = (self._spline(x),)
        return _looked_up(
            self.x, x, *self._beyond, *operands,
            kind=self._kind, axis=self.axis, raises=self._raises, extrapolates=self._extrapolates,
        )  # fmt: skip


def _spline_of(x: Any, y: Any, kind: str) -> Any:
    """An interpolant that is evaluated everywhere, of samples with their axis first."""
    return CubicSpline(x, y) if kind == "cubic" else spline_through(x, y, 2)


@program
def _sorted(x: Any, y: Any, *, axis: int, sort: bool) -> tuple[Any, Any]:
    (places,), (values,) = real("interpolate.interp1d", x), inexact(y)
    if places.ndim != 1 or not values.ndim or values.shape[axis] != places.shape[0]:
        raise ShapeError(
            f"interp1d: x must be a vector with a sample of y for each place along axis {axis}, "
            f"but their shapes are {places.shape} and {values.shape}",
            source_location(),
        )
    values = np.moveaxis(values, axis, 0)
    if sort:
        order = np.argsort(places, stable=True)
        places, values = places[order], values[order]
    return traced(places), traced(values)


@program
def _looked_up(
    x: Any,
    v: Any,
    below: Any,
    above: Any,
    y: Any,
    *,
    kind: str,
    axis: int,
    raises: bool,
    extrapolates: bool,
) -> Any:
    (x, v), (y,) = real("interpolate.interp1d", x, v), inexact(y)
    flat = np.ravel(v)
    is_low, is_high = flat < x[0], flat > x[-1]
    if raises:
        require(~(is_low | is_high), "A value in x_new is outside of the interpolation range.")
    if kind in _SPLINES:
        found = np.reshape(y, (flat.shape[0], *y.shape[v.ndim :]))
    else:
        found = _by_kind(x, y, flat, kind)
    if not extrapolates:
        low, high = (inexact(end)[0].astype(found.dtype) for end in (below, above))
        found = np.where(along(is_low, found), low, np.where(along(is_high, found), high, found))
    # Before the first place there is none, nor behind the last one.
    elif kind in ("previous", "next"):
        found = np.where(along(is_low if kind == "previous" else is_high, found), np.nan, found)
    is_nan = along(np.isnan(flat), found)
    found = np.where(is_nan, np.nan, found)
    return traced(with_axis(np.reshape(found, (*v.shape, *found.shape[1:])), v, axis))


def _by_kind(x: Any, y: Any, flat: Any, kind: str) -> Any:
    last = x.shape[0] - 1
    if kind in ("linear", "slinear"):
        i = interval(x, flat, 0, last - 1)
        part = along((flat - x[i]) / (x[i + 1] - x[i]), y)
        return y[i] + part * (y[i + 1] - y[i])
    if kind in ("nearest", "nearest-up"):
        side = "left" if kind == "nearest" else "right"
        middles = (x[1:] + x[:-1]) / 2
        return y[np.clip(np.searchsorted(middles, flat, side=side), 0, last)]
    if kind == "next":
        return y[np.clip(np.searchsorted(x, flat, side="left"), 0, last)]
    return y[interval(x, flat, 0, last)]


def converted(theirs: Any) -> interp1d:
    """One of SciPy's as one of ours."""
    beyond = "extrapolate" if theirs._extrapolate else theirs.fill_value
    return interp1d(
        theirs.x, theirs.y, theirs._kind if theirs._kind != "spline" else theirs._spline.k,
        axis=theirs.axis, bounds_error=theirs.bounds_error, fill_value=beyond, assume_sorted=True,
    )  # fmt: skip
