# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""`scipy.interpolate`: interpolation between the values on a grid of any rank."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from gradopt.array.dispatch import unsupported
from gradopt.array.operands import traced
from gradopt.base.frames import hide_frames
from gradopt.base.location import source_location
from gradopt.compilation.programs import program
from gradopt.errors import ShapeError
from gradopt.scipy.interpolate.bsplines import cardinal
from gradopt.scipy.interpolate.piecewise import along, interval, require
from gradopt.scipy.operands import inexact, real

# The degrees of splines.
_DEGREES = {"slinear": 1, "cubic": 3, "quintic": 5}
_METHODS = ("linear", "nearest", *_DEGREES)


def _require_method(name: str, method: str) -> None:
    if method not in _METHODS:
        raise unsupported(
            f"method={method!r} of scipy.interpolate.{name}",
            "use one of " + ", ".join(map(repr, _METHODS)),
        )


def _least(method: str) -> int:
    """How many places an axis needs."""
    return {"linear": 2, "nearest": 1}.get(method, _DEGREES.get(method, 0) + 1)


class RegularGridInterpolator:
    """`scipy.interpolate.RegularGridInterpolator`: a function through the values on a grid.

    There are derivatives in the values and, unless it is "nearest", in the places and the grid,
    too. Splines are products of splines along the axes, whose coefficients are exact, where SciPy's
    are iterated; a place costs as much as there are values.

    Args:
        points: for each dimension the places of the grid, which increase.
        values: of the shape of the grid, and any behind.
        method: "linear", "nearest", or a spline: "slinear", "cubic", "quintic".
        bounds_error: whether a place outside raises.
        fill_value: what is there otherwise; None to extrapolate.
        solver, solver_args: of other methods; they mean nothing.

    Raises:
        UnsupportedError: another method.
        ShapeError: the shapes do not go together.
        ArgumentError: a grid does not increase.
    """

    @hide_frames
    def __init__(
        self,
        points: Any,
        values: Any,
        method: str = "linear",
        bounds_error: bool = True,
        fill_value: Any = np.nan,
        *,
        solver: Any = None,
        solver_args: Any = None,
    ) -> None:
        _require_method("RegularGridInterpolator", method)
        self.grid = tuple(points)
        self.values = values
        self.method = method
        self.bounds_error = bool(bounds_error)
        self.fill_value = fill_value
        shape = np.shape(values)
        sizes = [np.shape(axis) for axis in self.grid]
        wanted = [(n,) for n in shape[: len(sizes)]]
        if sizes != wanted or any(n < _least(method) for (n,) in sizes):
            raise ShapeError(
                f"RegularGridInterpolator: the grid has axes of shapes {sizes}, and the values "
                f"have shape {shape}",
                source_location(),
            )

    @hide_frames
    def __call__(self, xi: Any, method: str | None = None, *, nu: Any = None) -> Any:
        """The values at places.

        Args:
            xi: of shape (..., n) in n dimensions, or a tuple of n arrays that broadcast.
            method: as that of the interpolator; None for that.
            nu: not supported: take the derivative.

        Returns:
            An array of the shape of places, and of what is behind the grid.

        Raises:
            ArgumentError: a place is outside, where that raises.
        """
        chosen = self.method if method is None else method
        _require_method("RegularGridInterpolator", chosen)
        if any(np.shape(axis)[0] < _least(chosen) for axis in self.grid):
            raise ShapeError(
                f"RegularGridInterpolator: method {chosen!r} needs {_least(chosen)} places or more "
                "along each axis",
                source_location(),
            )
        if nu is not None:
            raise unsupported(
                "keyword nu= of scipy.interpolate.RegularGridInterpolator",
                "differentiate with gradopt.grad or gradopt.jvp",
            )
        fill = () if self.fill_value is None else (self.fill_value,)
        selection = {"method": chosen, "raises": self.bounds_error}
        # As in SciPy, a tuple of one array is that array.
        places = xi[0] if isinstance(xi, tuple) and len(xi) == 1 else xi
        return _at(self.grid, self.values, places, *fill, **selection)


@program
def _at(grid: Any, values: Any, xi: Any, *fill: Any, method: str, raises: bool) -> Any:
    (v,) = inexact(values)
    count = len(grid)
    if isinstance(xi, tuple):
        places = np.broadcast_arrays(*real("interpolate.RegularGridInterpolator", *xi))
    else:
        (x,) = real("interpolate.RegularGridInterpolator", xi)
        if x.ndim < 2 and x.size % count == 0:
            x = np.reshape(x, (-1, count))
        places = [x[..., axis] for axis in range(x.shape[-1])]
    if len(places) != count:
        raise ShapeError(
            f"The requested sample points xi have dimension {len(places)} but this "
            f"RegularGridInterpolator has dimension {count}",
            source_location(),
        )
    shape = places[0].shape
    inside: Any = True
    splines: list[Any] = []
    numbers: list[list[Any]] = []
    weights: list[list[Any]] = []
    for axis, (edges, place) in enumerate(zip(grid, places, strict=True)):
        edges, flat = real("interpolate.RegularGridInterpolator", edges, np.ravel(place))
        require(
            edges[1:] > edges[:-1],
            f"The points in dimension {axis} must be strictly ascending or descending",
        )
        within = (flat >= edges[0]) & (flat <= edges[-1])
        if raises:
            message = f"One of the requested xi is out of bounds in dimension {axis}"
            require(within | np.isnan(flat), message)
        inside = inside & within
        if method in _DEGREES:
            splines.append(cardinal(edges, _DEGREES[method], flat))
            continue
        low = interval(edges, flat, 0, max(edges.shape[0] - 2, 0))
        high = np.minimum(low + 1, edges.shape[0] - 1)
        part = (flat - edges[low]) / np.where(high > low, edges[high] - edges[low], 1)
        if method == "nearest":
            numbers.append([np.where(part <= 0.5, low, high)])
            weights.append([])
        else:
            numbers.append([low, high])
            weights.append([1 - part, part])
    result = _combined(v, splines) if splines else _at_corners(v, numbers, weights)
    if fill:
        beyond = inexact(fill[0])[0].astype(result.dtype)
        result = np.where(along(inside, result), result, beyond)
    is_nan: Any = False
    for place in places:
        is_nan = is_nan | np.isnan(np.ravel(place))
    result = np.where(along(is_nan, result), np.nan, result)
    return traced(np.reshape(result, (*shape, *result.shape[1:])))


def _at_corners(values: Any, numbers: list[list[Any]], weights: list[list[Any]]) -> Any:
    """The sums of the values at the corners around each place."""
    result: Any = None
    for corner in itertools.product(*[range(len(part)) for part in numbers]):
        term = values[tuple([part[i] for part, i in zip(numbers, corner, strict=True)])]
        for part, i in zip(weights, corner, strict=True):
            term = term * along(part[i], term) if part else term
        result = term if result is None else result + term
    return result


def _combined(values: Any, weights: list[Any]) -> Any:
    """The sums of values with the weights of each place, axis by axis."""
    first, *others = weights
    result = np.tensordot(first, values, 1)
    for part in others:
        shape = (*part.shape, *[1] * (result.ndim - 2))
        result = np.sum(np.reshape(part, shape) * result, axis=1)
    return result


@hide_frames
def interpn(
    points: Any,
    values: Any,
    xi: Any,
    method: str = "linear",
    bounds_error: bool = True,
    fill_value: Any = np.nan,
) -> Any:
    """The values of `RegularGridInterpolator` at places, with its parameters and errors."""
    made = RegularGridInterpolator(points, values, method, bounds_error, fill_value)
    return made(xi)


def converted(theirs: Any) -> RegularGridInterpolator:
    """One of SciPy's as one of ours."""
    return RegularGridInterpolator(
        theirs.grid, theirs.values, theirs.method, theirs.bounds_error, theirs.fill_value
    )
