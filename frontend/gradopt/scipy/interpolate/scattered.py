# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""`scipy.interpolate.griddata`: interpolation between samples at any places, which are known.

Their triangulation is SciPy's, made while tracing. Where values are wanted may be traced: then all
triangles are looked at for each place.
"""

from __future__ import annotations

import importlib
import math
from typing import Any

import numpy as np

from gradopt.array.dispatch import unsupported
from gradopt.array.handle import wrap
from gradopt.array.operands import is_traced, traced
from gradopt.base.frames import hide_frames
from gradopt.base.location import source_location
from gradopt.compilation.programs import program
from gradopt.errors import ArgumentError, ShapeError
from gradopt.scipy.interpolate.lookup import interp1d
from gradopt.scipy.interpolate.piecewise import along
from gradopt.scipy.operands import inexact, real

Array = np.ndarray[Any, Any]

_NAME = "scipy.interpolate.griddata"


@hide_frames
def griddata(
    points: Any,
    values: Any,
    xi: Any,
    method: str = "linear",
    fill_value: Any = math.nan,
    rescale: bool = False,
) -> Any:
    """Values between samples at scattered points.

    There are derivatives in the samples and, unless it is "nearest", in the places. What is nearest
    to a place that is not finite is NaN.

    Args:
        points: of shape (n, d), or d arrays of shape (n,); numbers that are known.
        values: samples, of shape (n, ...).
        xi: places, of shape (..., d), or d arrays that broadcast.
        method: "linear" or "nearest"; in one dimension, "cubic", too.
        fill_value: what is outside of the convex hull; means nothing for "nearest".
        rescale: whether axes are scaled to the same extent before.

    Raises:
        UnsupportedError: points are traced, or the method is "cubic" in more than one dimension.
        ArgumentError: there is no such method, or the points have no triangulation.
        ShapeError: the shapes do not go together.
    """
    if is_traced(points):
        raise unsupported(
            f"traced points of {_NAME}",
            "give the points as numbers, or use interp1d or RegularGridInterpolator",
        )
    known = _stacked(points)
    dimensions = 1 if known.ndim == 1 else known.shape[-1]
    if known.ndim > 2 or np.shape(values)[:1] != known.shape[:1]:
        raise ShapeError(
            f"griddata: points have shape {known.shape}, and values {np.shape(values)}; there is "
            "one value for each point",
            source_location(),
        )
    if dimensions == 1 and method in ("linear", "nearest", "cubic"):
        return _on_a_line(np.ravel(known), values, xi, method, fill_value)
    if method == "cubic":
        raise unsupported(
            f"method='cubic' of {_NAME} in {dimensions} dimensions",
            "use 'linear', or RectBivariateSpline on a grid",
        )
    if method not in ("linear", "nearest"):
        raise ArgumentError(
            f"Unknown interpolation method {method!r} for {dimensions} dimensional data",
            source_location(),
        )
    places = tuple(xi) if isinstance(xi, tuple) else (xi,)
    extent = np.ptp(known, axis=0) if rescale else np.ones(dimensions)
    scale = np.where(extent > 0, extent, 1.0)
    if method == "nearest":
        return _nearest(known / scale, scale, values, *places)
    mesh = _triangulated(known / scale)
    return _linear(mesh.simplices, mesh.transform, scale, values, fill_value, *places)


def _stacked(points: Any) -> Array:
    if isinstance(points, tuple):
        return np.stack(np.broadcast_arrays(*points), axis=-1).astype(float)
    return np.asarray(points, float)


def _triangulated(points: Array) -> Any:
    """SciPy's triangulation.

    Raises:
        ArgumentError: there is none.
    """
    spatial = importlib.import_module("scipy.spatial")
    try:
        return spatial.Delaunay(points)
    except (spatial.QhullError, ValueError) as error:
        raise ArgumentError(
            f"griddata: the points have no triangulation: {str(error).splitlines()[0]}",
            source_location(),
        ) from None


def _on_a_line(points: Array, values: Any, xi: Any, method: str, fill_value: Any) -> Any:
    order = np.argsort(points)
    places = xi[0] if isinstance(xi, tuple) and len(xi) == 1 else xi
    chosen = "extrapolate" if method == "nearest" else fill_value
    made = interp1d(
        points[order], _chosen(values, order), kind=method, axis=0, bounds_error=False,
        fill_value=chosen,
    )  # fmt: skip
    return made(places)


@program
def _chosen(values: Any, order: Any) -> Any:
    return traced(inexact(values)[0][wrap(traced(order))])


def _places(xi: tuple[Any, ...], count: int) -> Any:
    """Places of shape (..., count)."""
    parts = real("interpolate.griddata", *xi)
    x = parts[0] if len(parts) == 1 else np.stack(np.broadcast_arrays(*parts), axis=-1)
    if x.ndim == 0 or x.shape[-1] != count:
        raise ShapeError(
            f"griddata: places have shape {x.shape}; the last axis has {count} coordinates, as "
            "points have",
            source_location(),
        )
    return x


@program
def _nearest(points: Any, scale: Any, values: Any, *xi: Any) -> Any:
    (known, unit), (v,) = real("interpolate.griddata", points, scale), inexact(values)
    x = _places(xi, known.shape[-1])
    distances = np.sum((x[..., None, :] / unit - known) ** 2, axis=-1)
    found = v[np.argmin(distances, axis=-1)]
    is_known = np.ravel(np.all(np.isfinite(x), axis=-1))
    flat = found.reshape(-1, *v.shape[1:])
    return traced(np.where(along(is_known, flat), flat, np.nan).reshape(found.shape))


@program
def _linear(
    simplices: Any, transform: Any, scale: Any, values: Any, fill_value: Any, *xi: Any
) -> Any:
    maps, unit = real("interpolate.griddata", transform, scale)
    v, beyond = inexact(values, fill_value)
    count = maps.shape[-1]
    x = _places(xi, count)
    flat = x.reshape(-1, count) / unit
    # Barycentric coordinates in all triangles, of which one with no negative ones is chosen.
    steps = flat[:, None, :] - maps[:, count]
    first = np.einsum("sij,msj->msi", maps[:, :count], steps)
    weights = np.concatenate([first, 1 - np.sum(first, axis=-1, keepdims=True)], axis=-1)
    # Triangles without an extent have no coordinates.
    least = np.min(weights, axis=-1)
    least = np.where(np.isnan(least), -np.inf, least)
    triangle = np.argmax(least, axis=-1)
    rows = np.arange(flat.shape[0])
    chosen = weights[rows, triangle]
    is_inside = least[rows, triangle] >= -100 * np.finfo(np.float64).eps
    corners = v[wrap(traced(simplices))[triangle]]
    terms = chosen.reshape(*chosen.shape, *[1] * (v.ndim - 1)) * corners
    total = np.sum(terms, axis=1)
    result = np.where(along(is_inside, total), total, beyond)
    return traced(result.reshape(*x.shape[:-1], *v.shape[1:]))
