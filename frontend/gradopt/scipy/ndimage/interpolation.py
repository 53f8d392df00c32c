# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""`scipy.ndimage`: arrays at places between their elements.

Splines of the orders 0 (the nearest element), 1 and 3. There are derivatives in the array, and for
the orders 1 and 3 in the places. The modes are those of `filters`, with SciPy's distinctions:
"constant" is `cval` wherever a place is outside, "grid-constant" goes over to it; "wrap" makes the
last element the first one of the next period.
"""

from __future__ import annotations

import itertools
import math
import operator
from typing import Any

import numpy as np

from gradopt.array.dispatch import unsupported
from gradopt.array.handle import Handle, array_of, wrap
from gradopt.array.operands import traced
from gradopt.base.frames import hide_frames
from gradopt.base.location import source_location
from gradopt.compilation.programs import program
from gradopt.errors import ArgumentError, ShapeError
from gradopt.ir import prims
from gradopt.scipy.ndimage.filters import check_mode, floats, like, no_output, padded
from gradopt.scipy.operands import real
from gradopt.transforms.loops import scan

_ORDERS = (0, 1, 3)
# The pole of the cubic spline's filter, and how many elements SciPy adds before it for some modes.
_POLE = math.sqrt(3) - 2
_ADDED = 12


def _check_order(name: str, order: Any) -> int:
    """The order of the spline.

    Raises:
        UnsupportedError: it is another one.
    """
    if order not in _ORDERS:
        raise unsupported(f"order={order!r} of scipy.ndimage.{name}", "use order=0, 1 or 3")
    return int(order)


def _options(name: str, output: Any, order: int, mode: str, prefilter: bool) -> dict[str, Any]:
    """What selects a program.

    Raises:
        UnsupportedError: another order, `output`, or modes that elements are added for, of an array
            that is filtered already.
        ArgumentError: there is no such mode.
    """
    no_output(name, output)
    chosen = _check_order(name, order)
    if chosen == 3 and not prefilter and check_mode(mode) in ("nearest", "grid-constant"):
        raise unsupported(
            f"prefilter=False of scipy.ndimage.{name} in mode {mode!r}", "leave the filter to it"
        )
    return {"order": chosen, "mode": check_mode(mode), "prefilter": bool(prefilter)}


# -- Coefficients of splines -------------------------------------------------------------------


def _spline_coefficients(x: Any, axis: int, mode: str) -> Any:
    """What cubic B-splines are multiplied by to go through elements along an axis.

    A recursion in both directions (Unser, Aldroubi and Eden, B-spline signal processing, 1993),
    whose begin and end are those of an array that is continued without end.
    """
    count = x.shape[axis]
    if count == 1:
        return x
    x = np.moveaxis(x, axis, 0) * 6
    powers = _POLE ** np.arange(count)
    # SciPy continues what is "nearest" so, too.
    is_reflected = mode in ("reflect", "grid-mirror", "nearest")
    if is_reflected:
        weights = powers * _POLE + _POLE ** (2.0 * count) * _POLE ** -np.arange(count)
        first = x[0] + _weighted(weights / (1 - _POLE ** (2.0 * count)), x)
    elif mode == "grid-wrap":
        weights = np.concatenate([[1.0], powers[:0:-1]])
        first = _weighted(weights / (1 - _POLE**count), x)
    else:
        far = _POLE ** (2.0 * (count - 1)) * _POLE ** -np.arange(count)
        weights = powers + far
        weights[0], weights[-1] = 1, powers[-1]
        first = _weighted(weights / (1 - _POLE ** (2.0 * (count - 1))), x)

    def forward(before: Any, element: Any) -> Any:
        after = element + _POLE * before
        return after, after

    def backward(behind: Any, element: Any) -> Any:
        here = _POLE * (behind - element)
        return here, here

    first = first.astype(x.dtype)
    _, rest = scan(forward, array_of(traced(first)), array_of(traced(x[1:])))
    x = np.concatenate([first[None], rest])
    if is_reflected:
        last = x[-1] * (_POLE / (_POLE - 1))
    elif mode == "grid-wrap":
        weights = np.concatenate([powers[1:], [1.0]])
        last = _weighted(weights, x) * (_POLE / (_POLE**count - 1))
    else:
        last = (x[-1] + _POLE * x[-2]) * (_POLE / (_POLE**2 - 1))
    last = last.astype(x.dtype)
    _, rest = scan(backward, array_of(traced(last)), array_of(traced(x[:-1])), reverse=True)
    return np.moveaxis(np.concatenate([rest, last[None]]), 0, axis)


def _weighted(weights: Any, x: Any) -> Any:
    return np.tensordot(weights.astype(x.dtype), x, 1)


@hide_frames
def spline_filter1d(
    input: Any, order: int = 3, axis: int = -1, output: Any = None, mode: str = "mirror"
) -> Any:
    """The coefficients of the spline through elements along an axis.

    Args:
        input: array.
        order: 0, 1 or 3.
        axis: along which they lie.
        output: not supported.
        mode: how the array is continued.

    Returns:
        An array of floats, of the shape of `input`.

    Raises:
        UnsupportedError: another order, or `output`.
        ArgumentError: there is no such mode.
    """
    if output is not None and output is not np.float64:
        no_output("spline_filter1d", output)
    chosen = _check_order("spline_filter1d", order)
    return _filtered(input, order=chosen, axes=(operator.index(axis),), mode=check_mode(mode))


@hide_frames
def spline_filter(
    input: Any, order: int = 3, output: Any = np.float64, mode: str = "mirror"
) -> Any:
    """As `spline_filter1d`, along all axes."""
    if output is not np.float64:
        no_output("spline_filter", output)
    chosen = _check_order("spline_filter", order)
    axes = tuple(range(np.ndim(input)))
    return _filtered(input, order=chosen, axes=axes, mode=check_mode(mode))


@program
def _filtered(input: Any, *, order: int, axes: tuple[int, ...], mode: str) -> Any:
    x, _ = floats(input)
    for axis in axes:
        place = prims.normalize_axis(axis, x.ndim)
        x = _spline_coefficients(x, place, mode) if order == 3 else x
    return traced(x)


# -- Values between elements -------------------------------------------------------------------


def _folded(number: Any, count: int, mode: str) -> Any:
    """The number of an element of the array for one beyond its ends."""
    if mode in ("reflect", "grid-mirror"):
        period = 2 * count
        number = np.mod(number, period)
        return np.minimum(number, period - 1 - number)
    if mode == "grid-wrap":
        return np.mod(number, count)
    if mode == "nearest":
        return np.clip(number, 0, count - 1)
    period = max(2 * (count - 1), 1)
    number = np.mod(number, period)
    return np.minimum(number, period - number)


def _weights(part: Any, order: int) -> list[Any]:
    """The splines at the neighbours of a place, by its distance to the element before it."""
    if order == 1:
        return [1 - part, part]
    rest = 1 - part
    return [
        rest**3 / 6,
        (4 - 6 * part**2 + 3 * part**3) / 6,
        (4 - 6 * rest**2 + 3 * rest**3) / 6,
        part**3 / 6,
    ]


def _at(x: Any, places: list[Any], order: int, mode: str, cval: Any, filters: bool) -> Any:
    """The array at places, an array for each dimension; all of one shape."""
    sizes, added = x.shape, 0
    is_spline = order == 3
    if is_spline and filters:
        if mode in ("nearest", "grid-constant"):
            added = _ADDED
            for axis in range(x.ndim):
                x = padded(x, axis, added, added, mode, cval)
            sizes = x.shape
        for axis in range(x.ndim):
            x = _spline_coefficients(x, axis, mode)
    numbers: list[list[Any]] = []
    weights: list[list[Any]] = []
    outside: Any = False
    for place, count in zip(places, sizes, strict=True):
        place = place + added
        if mode == "constant" or (mode == "grid-constant" and is_spline):
            outside = outside | (place < 0) | (place > count - 1)
        elif mode == "nearest":
            place = np.clip(place, 0, count - 1)
        elif mode == "wrap":
            is_beyond = (place < 0) | (place > count - 1)
            place = np.where(is_beyond, np.mod(place, max(count - 1, 1)), place)
        elif mode == "mirror" and order == 0:
            place = _folded(place, count, mode)
        low = np.floor(place + 0.5 if order == 0 else place)
        first = low.astype(np.int64)
        if order == 0:
            numbers.append([first])
            weights.append([])
        else:
            reach = range(-1, 3) if is_spline else range(2)
            numbers.append([first + k for k in reach])
            weights.append(_weights(place - low, order))
    result: Any = None
    for corner in itertools.product(*[range(len(part)) for part in numbers]):
        chosen = [part[k] for part, k in zip(numbers, corner, strict=True)]
        inside: Any = True
        folded: list[Any] = []
        for number, count in zip(chosen, sizes, strict=True):
            if mode == "grid-constant" and not is_spline:
                inside = inside & (number >= 0) & (number <= count - 1)
            folded.append(_folded(number, count, mode))
        term = x[tuple(folded)]
        if mode == "grid-constant" and not is_spline:
            term = np.where(inside, term, cval)
        for part, k in zip(weights, corner, strict=True):
            term = term * part[k] if part else term
        result = term if result is None else result + term
    if outside is not False:
        result = np.where(outside, cval, result)
    return result


@hide_frames
def map_coordinates(
    input: Any,
    coordinates: Any,
    output: Any = None,
    order: int = 3,
    mode: str = "constant",
    cval: Any = 0.0,
    prefilter: bool = True,
) -> Any:
    """The array at coordinates, by splines.

    Args:
        input: array of n dimensions.
        coordinates: of shape (n, ...): for each dimension the coordinates of places.
        output: not supported.
        order: 0, 1 or 3.
        mode: how the array is continued.
        cval: what is outside, in modes "constant" and "grid-constant".
        prefilter: whether the array is no `spline_filter` of it yet.

    Returns:
        An array of the dtype of `input`, with a number for each place.

    Raises:
        UnsupportedError: another order, or `output`.
        ShapeError: there are coordinates for other dimensions.
        ArgumentError: there is no such mode.
    """
    options = _options("map_coordinates", output, order, mode, prefilter)
    return _mapped(input, coordinates, cval, **options)


@program
def _mapped(
    input: Any, coordinates: Any, cval: Any, *, order: int, mode: str, prefilter: bool
) -> Any:
    (x, dtype), (places,) = floats(input), real("ndimage.map_coordinates", coordinates)
    if not places.ndim or places.shape[0] != x.ndim:
        raise ShapeError(
            f"invalid shape for coordinate array: {places.shape}, for an array of {x.ndim} "
            "dimensions",
            source_location(),
        )
    parts = [places[axis] for axis in range(x.ndim)]
    return _moved(x, dtype, parts, cval, order, mode, prefilter)


def _moved(
    x: Any, dtype: Any, places: list[Any], cval: Any, order: int, mode: str, prefilter: bool
) -> Any:
    """The array of floats at places, in a dtype."""
    return _rounded(_at(x, places, order, mode, wrap(traced(cval, x.dtype)), prefilter), dtype)


def _rounded(result: Any, dtype: Any) -> Any:
    """A result in the dtype of the array; integers are the nearest ones, as SciPy's."""
    return like(np.floor(result + 0.5) if dtype.kind in "iu" else result, dtype)


# -- Arrays that are moved ---------------------------------------------------------------------


def _grid(shape: tuple[int, ...]) -> list[Any]:
    return list(np.meshgrid(*[np.arange(n, dtype=np.float64) for n in shape], indexing="ij"))


@hide_frames
def shift(
    input: Any,
    shift: Any,
    output: Any = None,
    order: int = 3,
    mode: str = "constant",
    cval: Any = 0.0,
    prefilter: bool = True,
) -> Any:
    """The array, moved to higher numbers along its axes.

    Args:
        input: array.
        shift: by how much, a number or one for each axis.
        output, order, mode, cval, prefilter: as those of `map_coordinates`, with the same errors.

    Returns:
        An array of the shape and dtype of `input`.
    """
    return _shifted(input, shift, cval, **_options("shift", output, order, mode, prefilter))


@program
def _shifted(input: Any, shift: Any, cval: Any, *, order: int, mode: str, prefilter: bool) -> Any:
    (x, dtype), (by,) = floats(input), real("ndimage.shift", shift)
    by = np.broadcast_to(by, (x.ndim,))
    places = [axis - by[k] for k, axis in enumerate(_grid(x.shape))]
    return _moved(x, dtype, places, cval, order, mode, prefilter)


@hide_frames
def zoom(
    input: Any,
    zoom: Any,
    output: Any = None,
    order: int = 3,
    mode: str = "constant",
    cval: Any = 0.0,
    prefilter: bool = True,
    *,
    grid_mode: bool = False,
) -> Any:
    """The array with more or less elements along its axes.

    Args:
        input: array.
        zoom: by which factor, a number or one for each axis, known while tracing.
        output, order, mode, cval, prefilter: as those of `map_coordinates`, with the same errors.
        grid_mode: whether elements are areas, so that the ends of these stay; by default the
            middles of the first and last elements do.

    Returns:
        An array of the dtype of `input`.

    Raises:
        UnsupportedError: the factor is not known while tracing.
    """
    factors = (zoom,) * np.ndim(input) if np.ndim(zoom) == 0 else tuple(zoom)
    if any(isinstance(factor, Handle) for factor in factors):
        raise unsupported(
            "scipy.ndimage.zoom by a traced factor",
            "the shape of the result must be known; make it a number, or use affine_transform",
        )
    if len(factors) != np.ndim(input):
        raise ShapeError(
            f"zoom: sequence argument must have length equal to input rank, {np.ndim(input)}",
            source_location(),
        )
    return _zoomed(
        input, cval, factors=tuple(map(float, factors)), is_grid=bool(grid_mode),
        **_options("zoom", output, order, mode, prefilter),
    )  # fmt: skip


@program
def _zoomed(
    input: Any,
    cval: Any,
    *,
    factors: tuple[float, ...],
    is_grid: bool,
    order: int,
    mode: str,
    prefilter: bool,
) -> Any:
    x, dtype = floats(input)
    shape = tuple([round(n * factor) for n, factor in zip(x.shape, factors, strict=True)])
    places: list[Any] = []
    for axis, old, new in zip(_grid(shape), x.shape, shape, strict=True):
        if is_grid:
            places.append((axis + 0.5) * (old / new if new else 1) - 0.5)
        else:
            places.append(axis * ((old - 1) / (new - 1) if new > 1 else 1))
    return _moved(x, dtype, places, cval, order, mode, prefilter)


@hide_frames
def affine_transform(
    input: Any,
    matrix: Any,
    offset: Any = 0.0,
    output_shape: Any = None,
    output: Any = None,
    order: int = 3,
    mode: str = "constant",
    cval: Any = 0.0,
    prefilter: bool = True,
) -> Any:
    """The array at `matrix @ o + offset` for each index o of the result.

    Args:
        input: array of n dimensions.
        matrix: of shape (n, n); (n,), its diagonal; or (n, n + 1) or (n + 1, n + 1), with the
            offset in the last column.
        offset: a number or one for each dimension.
        output_shape: the shape of the result; by default that of `input`.
        output, order, mode, cval, prefilter: as those of `map_coordinates`, with the same errors.

    Returns:
        An array of the dtype of `input`.

    Raises:
        ShapeError: the matrix has another shape.
    """
    shape = np.shape(input) if output_shape is None else output_shape
    sizes = tuple([operator.index(n) for n in shape])
    options = _options("affine_transform", output, order, mode, prefilter)
    return _transformed(input, matrix, offset, cval, shape=sizes, **options)


@program
def _transformed(
    input: Any,
    matrix: Any,
    offset: Any,
    cval: Any,
    *,
    shape: tuple[int, ...],
    order: int,
    mode: str,
    prefilter: bool,
) -> Any:
    (x, dtype), (m, by) = floats(input), real("ndimage.affine_transform", matrix, offset)
    n = x.ndim
    if m.shape in ((n, n + 1), (n + 1, n + 1)):
        m, by = m[:n, :n], m[:n, n]
    if m.shape not in ((n, n), (n,)):
        raise ShapeError(
            f"affine_transform: the matrix has shape {m.shape}, for an array of {n} dimensions",
            source_location(),
        )
    by = np.broadcast_to(by, (n,))
    grid = _grid(shape)
    places: list[Any] = []
    for k in range(n):
        row = [(m[k] if k == j else None) if m.ndim == 1 else m[k, j] for j in range(n)]
        terms = [axis * part for axis, part in zip(grid, row, strict=True) if part is not None]
        places.append(sum(terms, by[k]))
    return _moved(x, dtype, places, cval, order, mode, prefilter)


@hide_frames
def rotate(
    input: Any,
    angle: Any,
    axes: Any = (1, 0),
    reshape: bool = True,
    output: Any = None,
    order: int = 3,
    mode: str = "constant",
    cval: Any = 0.0,
    prefilter: bool = True,
) -> Any:
    """The array, turned by an angle about its middle.

    Args:
        input: array of two dimensions or more.
        angle: in degrees; it may be traced, without `reshape`.
        axes: the two axes of the plane.
        reshape: whether the result is as large as all of the array needs.
        output, order, mode, cval, prefilter: as those of `map_coordinates`, with the same errors.

    Returns:
        An array of the dtype of `input`.

    Raises:
        UnsupportedError: the size of the result depends on what is not known while tracing.
        ArgumentError: there are not two axes.
    """
    rank = np.ndim(input)
    plane = sorted([prims.normalize_axis(operator.index(axis), rank) for axis in axes])
    if len(plane) != 2 or plane[0] == plane[1]:
        raise ArgumentError("axes should contain exactly two values", source_location())
    shape = list(np.shape(input))
    if reshape:
        if isinstance(angle, Handle) and angle._known() is None:
            raise unsupported(
                "scipy.ndimage.rotate by a traced angle",
                "the shape of the result must be known: give reshape=False",
            )
        degrees: Any = angle
        turn = _turn(math.radians(float(degrees)))
        height, width = (shape[axis] for axis in plane)
        corners = turn @ np.array([[0, 0, height, height], [0, width, 0, width]])
        for axis, extent in zip(plane, np.ptp(corners, axis=1), strict=True):
            shape[axis] = int(extent + 0.5)
    return _rotated(
        input, angle, cval, plane=(plane[0], plane[1]), shape=tuple(shape),
        **_options("rotate", output, order, mode, prefilter),
    )  # fmt: skip


def _turn(radians: Any) -> Any:
    c, s = np.cos(radians), np.sin(radians)
    return np.stack([np.stack([c, s]), np.stack([-s, c])])


@program
def _rotated(
    input: Any,
    angle: Any,
    cval: Any,
    *,
    plane: tuple[int, int],
    shape: tuple[int, ...],
    order: int,
    mode: str,
    prefilter: bool,
) -> Any:
    (x, dtype), (degrees,) = floats(input), real("ndimage.rotate", angle)
    turn = _turn(degrees * (math.pi / 180))
    grid = _grid(shape)
    middles = [(shape[axis] - 1) / 2 for axis in plane]
    centered = [grid[axis] - middle for axis, middle in zip(plane, middles, strict=True)]
    places = list(grid)
    for k, axis in enumerate(plane):
        places[axis] = turn[k, 0] * centered[0] + turn[k, 1] * centered[1] + (x.shape[axis] - 1) / 2
    # Each plane is turned by itself; across them splines would change nothing.
    x = np.moveaxis(x, plane, (0, 1))
    rest = x.shape[2:]
    flattened: Any = np.reshape(x, (*x.shape[:2], -1))
    first = tuple([slice(None) if axis in plane else 0 for axis in range(len(shape))])
    flat = [places[axis][first] for axis in plane]
    constant = wrap(traced(cval, x.dtype))
    count = math.prod(rest)
    planes = [_at(flattened[..., k], flat, order, mode, constant, prefilter) for k in range(count)]
    made = np.reshape(np.stack(planes, axis=-1), (*flat[0].shape, *rest))
    made = np.moveaxis(made, (0, 1), plane) if rest else np.reshape(made, shape)
    return _rounded(made, dtype)
