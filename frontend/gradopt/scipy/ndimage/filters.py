# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Filters of `scipy.ndimage`: weighted sums, smallest and largest elements of neighbourhoods.

Arrays are continued beyond their ends as `mode` says: "reflect" (d c b a | a b c d | d c b a),
"mirror" (d c b | a b c d | c b a), "nearest" (a a a a | a b c d | d d d d), "wrap"
(a b c d | a b c d | a b c d), "constant", by `cval`, and their names with "grid-". Results have the
dtype of the array, as SciPy's; integers are computed in float64 and cut off.
"""

from __future__ import annotations

import itertools
import math
import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from gradopt.array.dispatch import unsupported
from gradopt.array.handle import Handle, wrap
from gradopt.array.operands import traced
from gradopt.base.dtypes import FLOAT64, is_inexact
from gradopt.base.frames import hide_frames
from gradopt.base.location import source_location
from gradopt.compilation.programs import program
from gradopt.errors import ArgumentError, ShapeError
from gradopt.ir import prims
from gradopt.scipy.filters import windows_product
from gradopt.scipy.signal import correlate as correlate_arrays

MODES = {
    "reflect": "symmetric",
    "grid-mirror": "symmetric",
    "mirror": "reflect",
    "nearest": "edge",
    "wrap": "wrap",
    "grid-wrap": "wrap",
    "constant": "constant",
    "grid-constant": "constant",
}


def check_mode(mode: Any) -> str:
    """The mode.

    Raises:
        ArgumentError: there is no such mode.
    """
    if mode not in MODES:
        raise ArgumentError("boundary mode not supported", source_location())
    return mode


def no_output(name: str, output: Any) -> None:
    """Raises UnsupportedError if there is an `output`."""
    if output is not None:
        raise unsupported(
            f"keyword output= of scipy.ndimage.{name}",
            "use what is returned, and convert it with astype",
        )


def floats(value: Any) -> tuple[Any, Any]:
    """An array in the dtype that it is computed in, and its own."""
    x = traced(value)
    kind = x.dtype
    return wrap(x if is_inexact(kind) else prims.convert(x, FLOAT64)), kind


def like(result: Any, dtype: Any) -> Any:
    """A result in the dtype of the array."""
    return traced(result.astype(dtype) if result.dtype != dtype else result)


def padded(x: Any, axis: int, low: int, high: int, mode: str, cval: Any) -> Any:
    """An array that is continued beyond the ends of an axis; cut off, where that is negative."""
    if low < 0 or high < 0:
        kept = [slice(None)] * x.ndim
        kept[axis] = slice(max(-low, 0), x.shape[axis] - max(-high, 0))
        return padded(x[tuple(kept)], axis, max(low, 0), max(high, 0), mode, cval)
    if low == high == 0:
        return x
    widths = [(0, 0)] * x.ndim
    widths[axis] = (low, high)
    if MODES[mode] == "constant":
        return np.pad(x, widths, constant_values=cval)
    how: Any = MODES[mode]
    return np.pad(x, widths, how)


def _reach(size: int, origin: int) -> tuple[int, int]:
    """How far a window goes beyond the ends on both sides.

    Raises:
        ArgumentError: the origin is not in the window.
    """
    low = size // 2 + origin
    if not 0 <= low < size:
        raise ArgumentError(
            "Invalid origin; origin must satisfy -(len(weights) // 2) <= origin <= "
            "(len(weights)-1) // 2",
            source_location(),
        )
    return low, size - 1 - low


def _axes(axes: Any, rank: int) -> tuple[int, ...]:
    chosen = range(rank) if axes is None else axes if isinstance(axes, (tuple, list)) else (axes,)
    return tuple([prims.normalize_axis(operator.index(axis), rank) for axis in chosen])


def _each(name: str, value: Any, count: int) -> tuple[Any, ...]:
    """A number or a name for each axis.

    Raises:
        ShapeError: there are others.
    """
    if isinstance(value, (str, int, float, np.generic)) or value is None:
        return (value,) * count
    given = tuple(value)
    if len(given) != count:
        raise ShapeError(
            f"{name}: sequence argument must have length equal to input rank, {count}, but it has "
            f"{len(given)}",
            source_location(),
        )
    return given


# -- Along one axis ----------------------------------------------------------------------------


def _correlated(x: Any, weights: Any, axis: int, mode: str, cval: Any, origin: int) -> Any:
    """Sums of products of weights, in one dimension, and the elements around each."""
    size = weights.shape[0]
    x = padded(x, axis, *_reach(size, origin), mode, cval)
    rows = traced(np.moveaxis(x, axis, -1))
    result = windows_product(rows, traced(weights, rows.dtype), (0, 0))
    return np.moveaxis(wrap(result), -1, axis)


@hide_frames
def correlate1d(
    input: Any,
    weights: Any,
    axis: int = -1,
    output: Any = None,
    mode: str = "reflect",
    cval: Any = 0.0,
    origin: int = 0,
) -> Any:
    """Sums of products of weights and the elements around each, along an axis.

    Args:
        input: array.
        weights: a vector.
        axis: along which sums are.
        output: not supported.
        mode: how the array is continued.
        cval: with what, in mode "constant".
        origin: by how many elements the window is moved to the left.

    Returns:
        An array of the shape and dtype of `input`.

    Raises:
        ShapeError: the weights are no vector.
        ArgumentError: there is no such mode, or the origin is not in the window.
        UnsupportedError: `output`.
    """
    no_output("correlate1d", output)
    return _correlate1d(
        input, weights, cval, axis=operator.index(axis), mode=check_mode(mode),
        origin=operator.index(origin), flip=False,
    )  # fmt: skip


@hide_frames
def convolve1d(
    input: Any,
    weights: Any,
    axis: int = -1,
    output: Any = None,
    mode: str = "reflect",
    cval: Any = 0.0,
    origin: int = 0,
) -> Any:
    """As `correlate1d`, with the weights in reverse order."""
    no_output("convolve1d", output)
    return _correlate1d(
        input, weights, cval, axis=operator.index(axis), mode=check_mode(mode),
        origin=operator.index(origin), flip=True,
    )  # fmt: skip


@program
def _correlate1d(
    input: Any, weights: Any, cval: Any, *, axis: int, mode: str, origin: int, flip: bool
) -> Any:
    (x, dtype), w = floats(input), wrap(traced(weights))
    if w.ndim != 1 or not w.shape[0]:
        raise ShapeError(f"expected a vector of weights, got shape {w.shape}", source_location())
    if flip:
        w, origin = w[::-1], -origin - (w.shape[0] % 2 == 0)
    place = prims.normalize_axis(axis, x.ndim)
    return like(_correlated(x, w, place, mode, wrap(traced(cval)), origin), dtype)


def _gaussian(sigma: Any, order: int, radius: int) -> Any:
    """Weights of a Gaussian's derivative, in reverse order, as they are correlated with.

    The derivatives are products with Hermite polynomials.
    """
    places = np.arange(-radius, radius + 1)
    scaled = places / sigma
    weights = np.exp(-0.5 * scaled * scaled)
    weights = weights / np.sum(weights)
    before, factor = 0.0 * scaled, 1.0 + 0.0 * scaled
    for k in range(order):
        before, factor = factor, -scaled * factor - k * before
    return (weights * factor / sigma**order)[::-1] if order else weights


def _radius(name: str, sigma: Any, truncate: float, radius: Any) -> int:
    """How many elements weights reach to each side.

    Raises:
        UnsupportedError: that depends on what is not known while tracing.
        ArgumentError: it is negative.
    """
    if radius is None:
        if isinstance(sigma, Handle) and sigma._known() is None:
            raise unsupported(
                f"scipy.ndimage.{name} with a traced sigma",
                "say with radius= how far the weights reach",
            )
        deviation: Any = sigma
        radius = int(truncate * float(deviation) + 0.5)
    if operator.index(radius) < 0:
        raise ArgumentError("Radius must be a nonnegative integer.", source_location())
    return operator.index(radius)


@hide_frames
def gaussian_filter1d(
    input: Any,
    sigma: Any,
    axis: int = -1,
    order: int = 0,
    output: Any = None,
    mode: str = "reflect",
    cval: Any = 0.0,
    truncate: float = 4.0,
    *,
    radius: int | None = None,
) -> Any:
    """Means of the elements around each with the weights of a Gaussian, or its derivative.

    Args:
        input: array.
        sigma: the standard deviation; it may be traced, with a `radius`.
        axis: along which they lie.
        order: of the derivative.
        output: not supported.
        mode: how the array is continued.
        cval: with what, in mode "constant".
        truncate: how many standard deviations the weights reach.
        radius: how many elements they reach.

    Raises:
        UnsupportedError: `output`, or a traced `sigma` without `radius`.
        ArgumentError: there is no such mode, or a number is negative.
    """
    no_output("gaussian_filter1d", output)
    return _gaussian_filter(
        input, (sigma,), cval, axes=(operator.index(axis),), orders=(operator.index(order),),
        modes=(check_mode(mode),), radii=(_radius("gaussian_filter1d", sigma, truncate, radius),),
    )  # fmt: skip


@hide_frames
def gaussian_filter(
    input: Any,
    sigma: Any,
    order: Any = 0,
    output: Any = None,
    mode: Any = "reflect",
    cval: Any = 0.0,
    truncate: float = 4.0,
    *,
    radius: Any = None,
    axes: Any = None,
) -> Any:
    """As `gaussian_filter1d`, along all axes; what is given may be given for each of them."""
    no_output("gaussian_filter", output)
    along = _axes(axes, np.ndim(input))
    count = len(along)
    sigmas = (sigma,) * count if np.ndim(sigma) == 0 else tuple(sigma)
    radii = _each("gaussian_filter", radius, count)
    if len(sigmas) != count:
        raise ShapeError(
            f"gaussian_filter: expected {count} of sigma, got {len(sigmas)}", source_location()
        )
    orders = map(operator.index, _each("gaussian_filter", order, count))
    modes = map(check_mode, _each("gaussian_filter", mode, count))
    # Where sigma is zero, nothing is done.
    rows = [
        (s, axis, order, mode, _radius("gaussian_filter", s, truncate, r))
        for s, axis, order, mode, r in zip(sigmas, along, orders, modes, radii, strict=True)
        if isinstance(s, Handle) or s > 1e-15
    ]
    chosen = list(zip(*rows, strict=True)) or [()] * 5
    return _gaussian_filter(
        input, chosen[0], cval, axes=chosen[1], orders=chosen[2], modes=chosen[3], radii=chosen[4]
    )


@program
def _gaussian_filter(
    input: Any, sigmas: Any, cval: Any, *, axes: Any, orders: Any, modes: Any, radii: Any
) -> Any:
    x, dtype = floats(input)
    constant = wrap(traced(cval))
    for axis, sigma, order, mode, radius in zip(axes, sigmas, orders, modes, radii, strict=True):
        place = prims.normalize_axis(axis, x.ndim)
        weights = _gaussian(wrap(traced(sigma)), order, radius)
        x = _stored(_correlated(x, weights, place, mode, constant, 0), dtype)
    return like(x, dtype)


def _stored(x: Any, dtype: Any) -> Any:
    """What SciPy keeps between two axes: the array in its dtype."""
    return x if is_inexact(dtype) else x.astype(dtype).astype(x.dtype)


# -- Means -------------------------------------------------------------------------------------


@hide_frames
def uniform_filter1d(
    input: Any,
    size: int,
    axis: int = -1,
    output: Any = None,
    mode: str = "reflect",
    cval: Any = 0.0,
    origin: int = 0,
) -> Any:
    """Means of `size` elements around each, along an axis.

    Other parameters, and errors, are those of `correlate1d`.
    """
    no_output("uniform_filter1d", output)
    return _uniform(
        input, cval, axes=(operator.index(axis),), sizes=(operator.index(size),),
        modes=(check_mode(mode),), origins=(operator.index(origin),),
    )  # fmt: skip


@hide_frames
def uniform_filter(
    input: Any,
    size: Any = 3,
    output: Any = None,
    mode: Any = "reflect",
    cval: Any = 0.0,
    origin: Any = 0,
    *,
    axes: Any = None,
) -> Any:
    """As `uniform_filter1d`, along all axes; what is given may be given for each of them."""
    no_output("uniform_filter", output)
    return _uniform(input, cval, **_windows("uniform_filter", input, size, mode, origin, axes))


def _windows(name: str, input: Any, size: Any, mode: Any, origin: Any, axes: Any) -> dict[str, Any]:
    along = _axes(axes, np.ndim(input))
    count = len(along)
    return {
        "axes": along,
        "sizes": tuple(map(operator.index, _each(name, size, count))),
        "modes": tuple(map(check_mode, _each(name, mode, count))),
        "origins": tuple(map(operator.index, _each(name, origin, count))),
    }


@program
def _uniform(input: Any, cval: Any, *, axes: Any, sizes: Any, modes: Any, origins: Any) -> Any:
    x, dtype = floats(input)
    for axis, size, mode, origin in zip(axes, sizes, modes, origins, strict=True):
        if size < 1:
            raise ArgumentError("incorrect filter size", source_location())
        place = prims.normalize_axis(axis, x.ndim)
        sums = _correlated(x, np.ones(size), place, mode, wrap(traced(cval)), origin)
        x = _stored(sums / size, dtype)
    return like(x, dtype)


# -- In all dimensions -------------------------------------------------------------------------


@hide_frames
def correlate(
    input: Any,
    weights: Any,
    output: Any = None,
    mode: str = "reflect",
    cval: Any = 0.0,
    origin: Any = 0,
    *,
    axes: Any = None,
) -> Any:
    """Sums of products of weights and the elements around each.

    Args:
        input: array.
        weights: array of the same rank.
        output: not supported.
        mode: how the array is continued.
        cval: with what, in mode "constant".
        origin: by how many elements the window is moved, for each axis.
        axes: not supported.

    Returns:
        An array of the shape and dtype of `input`.

    Raises:
        ShapeError: the ranks differ.
        ArgumentError: there is no such mode, or the origin is not in the window.
        UnsupportedError: `output` or `axes`.
    """
    return _weighted("correlate", input, weights, output, mode, cval, origin, axes)


@hide_frames
def convolve(
    input: Any,
    weights: Any,
    output: Any = None,
    mode: str = "reflect",
    cval: Any = 0.0,
    origin: Any = 0,
    *,
    axes: Any = None,
) -> Any:
    """As `correlate`, with the weights in reverse order along all axes."""
    return _weighted("convolve", input, weights, output, mode, cval, origin, axes)


def _weighted(
    name: str,
    input: Any,
    weights: Any,
    output: Any,
    mode: str,
    cval: Any,
    origin: Any,
    axes: Any,
) -> Any:
    no_output(name, output)
    if axes is not None:
        raise unsupported(
            f"keyword axes= of scipy.ndimage.{name}", "give weights of all dimensions"
        )
    origins = tuple(map(operator.index, _each(name, origin, np.ndim(input))))
    return _correlate(
        input, weights, cval, mode=check_mode(mode), origins=origins, flip=name == "convolve"
    )


@program
def _correlate(
    input: Any, weights: Any, cval: Any, *, mode: str, origins: tuple[int, ...], flip: bool
) -> Any:
    (x, dtype), w = floats(input), wrap(traced(weights))
    if w.ndim != x.ndim or not w.size:
        raise ShapeError(
            f"filter weights array has incorrect shape: {w.shape}, for an array of shape {x.shape}",
            source_location(),
        )
    if flip:
        w = np.flip(w)
        origins = tuple([-o - (n % 2 == 0) for o, n in zip(origins, w.shape, strict=True)])
    constant = wrap(traced(cval))
    for axis, (size, origin) in enumerate(zip(w.shape, origins, strict=True)):
        x = padded(x, axis, *_reach(size, origin), mode, constant)
    return like(correlate_arrays(x, w.astype(x.dtype), mode="valid", method="direct"), dtype)


def _derivative_filter(name: str, smooth: Sequence[float]) -> Callable[..., Any]:
    """Differences along an axis, and means with weights along the others."""

    @hide_frames
    def derivative(
        input: Any, axis: int = -1, output: Any = None, mode: Any = "reflect", cval: Any = 0.0
    ) -> Any:
        no_output(name, output)
        rank = np.ndim(input)
        modes = tuple(map(check_mode, _each(name, mode, rank)))
        return _differences(
            input, cval, axis=prims.normalize_axis(operator.index(axis), rank), modes=modes,
            smooth=tuple(smooth),
        )  # fmt: skip

    derivative.__name__ = derivative.__qualname__ = name
    derivative.__doc__ = f"""{name.capitalize()}'s filter: differences along an axis, smoothed.

    Args:
        input: array.
        axis: along which differences are.
        output: not supported.
        mode: how the array is continued, for each axis.
        cval: with what, in mode "constant".

    Raises:
        UnsupportedError: `output`.
        ArgumentError: there is no such mode.
    """
    return derivative


@program
def _differences(input: Any, cval: Any, *, axis: int, modes: Any, smooth: Any) -> Any:
    (x, dtype), constant = floats(input), wrap(traced(cval))
    weights = np.array([-1.0, 0.0, 1.0])
    x = _stored(_correlated(x, weights, axis, modes[axis], constant, 0), dtype)
    for other in range(x.ndim):
        if other != axis:
            x = _correlated(x, np.array(smooth), other, modes[other], constant, 0)
            x = _stored(x, dtype)
    return like(x, dtype)


sobel = _derivative_filter("sobel", (1.0, 2.0, 1.0))
prewitt = _derivative_filter("prewitt", (1.0, 1.0, 1.0))


@hide_frames
def laplace(
    input: Any, output: Any = None, mode: Any = "reflect", cval: Any = 0.0, *, axes: Any = None
) -> Any:
    """The sum of second differences along the axes, with the parameters of `uniform_filter`."""
    no_output("laplace", output)
    along = _axes(axes, np.ndim(input))
    modes = tuple(map(check_mode, _each("laplace", mode, len(along))))
    return _laplace(input, cval, axes=along, modes=modes)


@program
def _laplace(input: Any, cval: Any, *, axes: Any, modes: Any) -> Any:
    (x, dtype), constant = floats(input), wrap(traced(cval))
    weights = np.array([1.0, -2.0, 1.0])
    parts = [
        _stored(_correlated(x, weights, axis, mode, constant, 0), dtype)
        for axis, mode in zip(axes, modes, strict=True)
    ]
    return like(sum(parts[1:], parts[0]), dtype)


def _of_gaussians(input: Any, sigma: Any, axes: Any, order: int, rest: Any) -> list[Any]:
    """Derivatives of an order along each of the axes of an array that is smoothed along them."""
    along = _axes(axes, np.ndim(input))
    orders = order * np.eye(len(along), dtype=np.int64)
    return [gaussian_filter(input, sigma, tuple(row), axes=along, **rest) for row in orders]


@hide_frames
def gaussian_laplace(
    input: Any,
    sigma: Any,
    output: Any = None,
    mode: Any = "reflect",
    cval: Any = 0.0,
    *,
    axes: Any = None,
    **kwargs: Any,
) -> Any:
    """The sum of second derivatives of an array that is smoothed by a Gaussian.

    Parameters and errors are those of `gaussian_filter`.
    """
    no_output("gaussian_laplace", output)
    parts = _of_gaussians(input, sigma, axes, 2, {"mode": mode, "cval": cval, **kwargs})
    return sum(parts[1:], parts[0])


@hide_frames
def gaussian_gradient_magnitude(
    input: Any,
    sigma: Any,
    output: Any = None,
    mode: Any = "reflect",
    cval: Any = 0.0,
    *,
    axes: Any = None,
    **kwargs: Any,
) -> Any:
    """The size of the gradient of an array that is smoothed by a Gaussian.

    Parameters and errors are those of `gaussian_filter`.
    """
    no_output("gaussian_gradient_magnitude", output)
    parts = _of_gaussians(input, sigma, axes, 1, {"mode": mode, "cval": cval, **kwargs})
    squares = [part * part for part in parts]
    return np.sqrt(sum(squares[1:], squares[0]))


# -- Orders ------------------------------------------------------------------------------------


@program
def _extreme(
    input: Any, cval: Any, *, axes: Any, sizes: Any, modes: Any, origins: Any, largest: bool
) -> Any:
    x = wrap(traced(input))
    constant = wrap(traced(cval, x.dtype))
    choose = np.maximum if largest else np.minimum
    for axis, size, mode, origin in zip(axes, sizes, modes, origins, strict=True):
        place = prims.normalize_axis(axis, x.ndim)
        wide = padded(x, place, *_reach(size, origin), mode, constant)
        parts = [_shifted(wide, place, k, x.shape[place]) for k in range(size)]
        while len(parts) > 1:
            pairs = [choose(a, b) for a, b in zip(parts[::2], parts[1::2], strict=False)]
            parts = pairs + parts[len(parts) - len(parts) % 2 :]
        x = parts[0]
    return traced(x)


def _require_size(name: str, size: Any, footprint: Any) -> None:
    if footprint is not None or size is None:
        raise unsupported(f"footprint= of scipy.ndimage.{name}", "give a size")


def _shifted(x: Any, axis: int, start: int, count: int) -> Any:
    kept = [slice(None)] * x.ndim
    kept[axis] = slice(start, start + count)
    return x[tuple(kept)]


def _order_filters(name: str, what: str) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """The filters of the smallest or largest elements, along one axis and all."""
    is_largest = name == "maximum"

    @hide_frames
    def along_one(
        input: Any,
        size: int,
        axis: int = -1,
        output: Any = None,
        mode: str = "reflect",
        cval: Any = 0.0,
        origin: int = 0,
    ) -> Any:
        no_output(f"{name}_filter1d", output)
        return _extreme(
            input, cval, axes=(operator.index(axis),), sizes=(operator.index(size),),
            modes=(check_mode(mode),), origins=(operator.index(origin),), largest=is_largest,
        )  # fmt: skip

    @hide_frames
    def along_all(
        input: Any,
        size: Any = None,
        footprint: Any = None,
        output: Any = None,
        mode: Any = "reflect",
        cval: Any = 0.0,
        origin: Any = 0,
        *,
        axes: Any = None,
    ) -> Any:
        no_output(f"{name}_filter", output)
        _require_size(f"{name}_filter", size, footprint)
        windows = _windows(f"{name}_filter", input, size, mode, origin, axes)
        return _extreme(input, cval, **windows, largest=is_largest)

    for made, end in ((along_one, "_filter1d"), (along_all, "_filter")):
        made.__name__ = made.__qualname__ = name + end
        made.__doc__ = f"""The {what} of the elements around each, within `size` of them.

        Parameters and errors are those of `uniform{end}`; a `footprint` is not supported.
        """
    return along_one, along_all


maximum_filter1d, maximum_filter = _order_filters("maximum", "largest")
minimum_filter1d, minimum_filter = _order_filters("minimum", "smallest")


@hide_frames
def median_filter(
    input: Any,
    size: Any = None,
    footprint: Any = None,
    output: Any = None,
    mode: Any = "reflect",
    cval: Any = 0.0,
    origin: Any = 0,
    *,
    axes: Any = None,
) -> Any:
    """The median of the elements around each, within `size` of them.

    Of an even number it is the larger one of the two in the middle. Parameters and errors are those
    of `uniform_filter`; a `footprint` is not supported.
    """
    no_output("median_filter", output)
    _require_size("median_filter", size, footprint)
    return _median(input, cval, **_windows("median_filter", input, size, mode, origin, axes))


@program
def _median(input: Any, cval: Any, *, axes: Any, sizes: Any, modes: Any, origins: Any) -> Any:
    x = wide = wrap(traced(input))
    constant = wrap(traced(cval, x.dtype))
    for axis, size, mode, origin in zip(axes, sizes, modes, origins, strict=True):
        wide = padded(wide, axis, *_reach(size, origin), mode, constant)
    parts: list[Any] = []
    for shifts in itertools.product(*[range(size) for size in sizes]):
        part = wide
        for axis, shift in zip(axes, shifts, strict=True):
            part = _shifted(part, axis, shift, x.shape[axis])
        parts.append(part)
    order = np.sort(np.stack(parts), axis=0)
    return traced(order[math.prod(sizes) // 2])
