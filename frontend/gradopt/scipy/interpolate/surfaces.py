# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""`scipy.interpolate.RectBivariateSpline`: products of B-splines through samples on a grid."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from gradopt.array.dispatch import unsupported
from gradopt.array.operands import is_traced
from gradopt.base.frames import hide_frames
from gradopt.base.location import source_location
from gradopt.errors import ArgumentError, ShapeError
from gradopt.scipy.interpolate.bsplines import BSpline, make_interp_spline


class RectBivariateSpline:
    """`scipy.interpolate.RectBivariateSpline`, through all samples.

    There are derivatives in samples and places; outside of the grid, the value is that at its edge.

    Args:
        x: n places that increase, n above `kx`.
        y: m places.
        z: samples, of shape (n, m).
        bbox: not supported.
        kx, ky: degrees, which are odd.
        s: 0.
        maxit: means nothing.

    Raises:
        UnsupportedError: `bbox`, even degrees or a smoothing spline.
        ShapeError: shapes do not fit.
        ArgumentError: places do not increase.
    """

    @hide_frames
    def __init__(
        self, x: Any, y: Any, z: Any, bbox: Any = None, kx: int = 3, ky: int = 3, s: Any = 0,
        maxit: int = 20,
    ) -> None:  # fmt: skip
        name = "scipy.interpolate.RectBivariateSpline"
        if bbox is not None and any(end is not None for end in bbox):
            raise unsupported(f"keyword bbox= of {name}")
        if is_traced(s) or s != 0:
            raise unsupported(f"keyword s= of {name}", "a spline through the samples has s=0")
        self.degrees = operator.index(kx), operator.index(ky)
        if any(k % 2 == 0 for k in self.degrees):
            raise unsupported(f"even degrees of {name}", "use kx=3 and ky=3")
        if np.ndim(z) != 2 or np.shape(z) != (np.size(x), np.size(y)):
            raise ShapeError(
                f"RectBivariateSpline: z must have shape {(np.size(x), np.size(y))}, but it is "
                f"{np.shape(z)}",
                source_location(),
            )
        rows = make_interp_spline(x, z, self.degrees[0])
        columns = make_interp_spline(y, rows.c.T, self.degrees[1])
        self.knots = rows.t, columns.t
        self.c = columns.c.T

    def _bases(self, axis: int, places: Any, order: int) -> Any:
        """The B-splines along an axis, or derivatives, at places: one row for each place."""
        t, k = self.knots[axis], self.degrees[axis]
        identity = np.eye(int(self.c.shape[axis]))
        inside = np.clip(places, t[0], t[-1])
        return BSpline(t, identity, k)(inside, operator.index(order))

    @hide_frames
    def __call__(self, x: Any, y: Any, dx: int = 0, dy: int = 0, grid: bool = True) -> Any:
        """The values, or those of a partial derivative of the orders `dx` and `dy`.

        Args:
            x: places along the first axis.
            y: places along the second one.
            dx, dy: orders.
            grid: whether all pairs of places, which increase, are meant, and the result has shape
                (n, m); else they are broadcast against each other.

        Raises:
            ArgumentError: places do not increase, where they are known.
        """
        if not grid:
            return self.ev(x, y, dx, dy)
        along = [np.reshape(v if is_traced(v) else np.asarray(v, float), -1) for v in (x, y)]
        for places in along:
            if not is_traced(places) and np.any(np.diff(places) < 0):
                raise ArgumentError("x and y must be sorted to increase", source_location())
        return self._bases(0, along[0], dx) @ self.c @ self._bases(1, along[1], dy).T

    @hide_frames
    def ev(self, xi: Any, yi: Any, dx: int = 0, dy: int = 0) -> Any:
        """The values at places that are broadcast against each other, as `__call__`."""
        shape = np.broadcast_shapes(np.shape(xi), np.shape(yi))
        places = [np.reshape(np.broadcast_to(v, shape), -1) for v in (xi, yi)]
        rows = self._bases(0, places[0], dx) @ self.c
        return np.reshape(np.sum(rows * self._bases(1, places[1], dy), axis=-1), shape)


def converted(theirs: Any) -> RectBivariateSpline:
    """Ours of SciPy's object, which was made of known numbers."""
    made = RectBivariateSpline.__new__(RectBivariateSpline)
    made.degrees = theirs.degrees
    *knots, c = theirs.tck
    made.knots = knots[0], knots[1]
    shape = [t.size - k - 1 for t, k in zip(knots, theirs.degrees, strict=True)]
    made.c = np.reshape(c, shape)
    return made
