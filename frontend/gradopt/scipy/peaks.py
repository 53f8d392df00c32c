# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Peaks of signals, in `scipy.signal`: where they are, how high and how wide.

How many there are is known at run time only. Everything is found for each element first, whether it
is a peak or not, and then selected. Places are integers and have no derivatives; heights,
prominences and widths are functions of the elements at the places, and have those.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from gradopt.array.dispatch import unsupported
from gradopt.array.handle import wrap
from gradopt.array.operands import traced
from gradopt.base.frames import hide_frames
from gradopt.base.location import source_location
from gradopt.compilation.programs import program
from gradopt.errors import ArgumentError, ShapeError
from gradopt.ir import prims
from gradopt.ir.checks import require_within
from gradopt.ir.extents import is_extent
from gradopt.scipy.operands import real
from gradopt.transforms.gradient import stop_gradient
from gradopt.transforms.loops import fori_loop
from gradopt.transforms.loops import map as map_

# -- Extrema -----------------------------------------------------------------------------------


def _extrema(
    name: str, data: Any, compare: Callable[[Any, Any], Any], axis: int, order: Any, mode: str
) -> Any:
    if mode not in ("clip", "wrap"):
        raise ArgumentError(
            f"{name}: mode must be 'clip' or 'wrap', but it is {mode!r}", source_location()
        )
    count = operator.index(order)
    if count < 1:
        raise ArgumentError(f"{name}: Order must be an int >= 1, got {order}", source_location())
    return np.nonzero(_is_extremal(data, compare=compare, axis=axis, order=count, mode=mode))


@program
def _is_extremal(data: Any, *, compare: Any, axis: int, order: int, mode: str) -> Any:
    x = wrap(traced(data))
    size = x.shape[prims.normalize_axis(axis, x.ndim)]
    places = np.arange(size)
    holds: Any = np.ones(x.shape, bool)
    for step in range(1, order + 1):
        for other in (places + step, places - step):
            at = np.clip(other, 0, size - 1) if mode == "clip" else other % max(size, 1)
            holds = holds & compare(x, np.take(x, at, axis=axis))
    return traced(holds)


@hide_frames
def argrelmax(data: Any, axis: int = 0, order: int = 1, mode: str = "clip") -> Any:
    """Where elements are larger than those beside them.

    Args:
        data: real numbers.
        axis: along which they are compared.
        order: with how many on each side.
        mode: beyond the ends: "clip", the last element again; or "wrap", the first ones.

    Returns:
        A tuple of an array of int64 for each axis.

    Raises:
        ArgumentError: there is no such order or mode.
    """
    return _extrema("argrelmax", data, np.greater, axis, order, mode)


@hide_frames
def argrelmin(data: Any, axis: int = 0, order: int = 1, mode: str = "clip") -> Any:
    """Where elements are smaller than those beside them, as `argrelmax`."""
    return _extrema("argrelmin", data, np.less, axis, order, mode)


@hide_frames
def argrelextrema(
    data: Any, comparator: Callable[..., Any], axis: int = 0, order: int = 1, mode: str = "clip"
) -> Any:
    """Where `comparator`, as `numpy.greater`, is true of elements and those beside them.

    The other parameters are those of `argrelmax`.
    """
    return _extrema("argrelextrema", data, comparator, axis, order, mode)


# -- Prominences and widths of places ----------------------------------------------------------


class _Bases(NamedTuple):
    """What is around a place: where a peak's base ends on both sides."""

    left: Any
    right: Any


def _bases(x: Any, places: Any, wlen: int) -> _Bases:
    """The lowest places on both sides, up to what is higher, or to the end of the window."""
    size = x.shape[0]
    numbers = np.arange(size)
    half = size if wlen < 2 else wlen // 2

    def of(place: Any) -> Any:
        height = x[place]
        near = (numbers >= place - half) & (numbers <= place + half)
        beyond = ~(x <= height) | ~near
        first = np.max(np.where(beyond & (numbers < place), numbers + 1, 0))
        last = np.min(np.where(beyond & (numbers > place), numbers - 1, size - 1))
        on_left = (numbers >= first) & (numbers <= place)
        on_right = (numbers <= last) & (numbers >= place)
        # Of equal ones the nearest.
        left = size - 1 - np.argmin(np.where(on_left, x, math.inf)[::-1])
        return left, np.argmin(np.where(on_right, x, math.inf))

    return _Bases(*map_(of, places))


def _prominence(x: Any, places: Any, bases: _Bases) -> Any:
    """Heights over the higher one of both bases."""
    return x[places] - np.maximum(x[bases.left], x[bases.right])


class _Widths(NamedTuple):
    """The widths of peaks, the heights where these are measured, and both ends."""

    widths: Any
    heights: Any
    left: Any
    right: Any


def _widths(x: Any, places: Any, prominences: Any, bases: _Bases, share: float) -> _Widths:
    size = x.shape[0]
    numbers = np.arange(size)
    heights = x[places] - prominences * share
    known = stop_gradient(x)

    def of(row: Any) -> Any:
        place, height, first, last = row
        is_low = ~(height < known)
        left = np.max(np.where(is_low & (numbers <= place), numbers, first))
        right = np.min(np.where(is_low & (numbers >= place), numbers, last))
        return np.maximum(left, first), np.minimum(right, last)

    left, right = map_(of, (places, stop_gradient(heights), bases.left, bases.right))

    def between(outer: Any, step: int) -> Any:
        """How far the height is from an element below to the next one."""
        inner = np.clip(outer + step, 0, size - 1)
        is_below = x[outer] < heights
        rise = np.where(is_below, x[inner] - x[outer], 1.0)
        return np.where(is_below, (heights - x[outer]) / rise, 0.0)

    ends = left + between(left, 1), right - between(right, -1)
    return _Widths(ends[1] - ends[0], heights, *ends)


def _signal(name: str, x: Any) -> Any:
    (values,) = real(f"signal.{name}", x)
    if values.ndim != 1:
        raise ShapeError(f"{name}: `x` must be a 1-D array, got {values.ndim}-D", source_location())
    return prims.convert(traced(values), np.dtype(np.float64))


def _window(name: str, wlen: Any) -> int:
    if wlen is None:
        return -1
    if not wlen > 1:
        raise ArgumentError(f"{name}: `wlen` must be larger than 1, was {wlen}", source_location())
    return math.ceil(wlen)


def _share(name: str, rel_height: Any) -> float:
    if rel_height < 0:
        raise ArgumentError(
            f"{name}: `rel_height` must be greater or equal to 0.0, was {rel_height}",
            source_location(),
        )
    return float(rel_height)


@hide_frames
def peak_prominences(x: Any, peaks: Any, wlen: Any = None) -> tuple[Any, Any, Any]:
    """How far peaks stand out from what is around them.

    Args:
        x: a vector of real numbers.
        peaks: their places.
        wlen: the size of the window around a peak that counts; all by default.

    Returns:
        The prominences, as float64, and the places of the bases on the left and on the right.

    Raises:
        ShapeError: `x` is no vector.
        ArgumentError: `wlen` is too small, or a peak is not in `x`.
    """
    return tuple(_prominences(x, peaks, wlen=_window("peak_prominences", wlen)))


@program
def _prominences(x: Any, peaks: Any, *, wlen: int) -> Any:
    values = wrap(_signal("peak_prominences", x))
    places = _peaks(peaks, values.shape[0])
    bases = _bases(stop_gradient(values), places, wlen)
    return [traced(part) for part in (_prominence(values, places, bases), *bases)]


def _places(peaks: Any) -> Any:
    return wrap(prims.convert(traced(peaks), np.dtype(np.int64)))


def _peaks(peaks: Any, size: int) -> Any:
    """Places of peaks in a signal of some size, which do not count from its end."""
    places = _places(peaks)
    message = "peak {value} is not a valid index for `x`"
    require_within(traced(places), 0, size - 1, message, ArgumentError)
    return places


@hide_frames
def peak_widths(
    x: Any, peaks: Any, rel_height: Any = 0.5, prominence_data: Any = None, wlen: Any = None
) -> tuple[Any, Any, Any, Any]:
    """How wide peaks are at some part of their prominence below them.

    Args:
        x: a vector of real numbers.
        peaks: their places.
        rel_height: that part, a constant.
        prominence_data: what `peak_prominences` gives; it is computed by default.
        wlen: as there.

    Returns:
        The widths, the heights where they are measured, and the ends on the left and on the right,
        where lines between elements have that height.

    Raises:
        ShapeError: `x` is no vector.
        ArgumentError: `rel_height` is negative, `wlen` too small, or a peak not in `x`.
    """
    share = _share("peak_widths", rel_height)
    window = _window("peak_widths", wlen)
    given = () if prominence_data is None else tuple(prominence_data)
    return tuple(_measured(x, peaks, *given, share=share, wlen=window))


@program
def _measured(x: Any, peaks: Any, *given: Any, share: float, wlen: int) -> Any:
    values = wrap(_signal("peak_widths", x))
    places = _peaks(peaks, values.shape[0])
    if given:
        prominences, bases = wrap(traced(given[0])), _Bases(*map(_places, given[1:]))
    else:
        bases = _bases(stop_gradient(values), places, wlen)
        prominences = _prominence(values, places, bases)
    return [traced(part) for part in _widths(values, places, prominences, bases, share)]


# -- Peaks -------------------------------------------------------------------------------------


@hide_frames
def find_peaks(
    x: Any,
    height: Any = None,
    threshold: Any = None,
    distance: Any = None,
    prominence: Any = None,
    width: Any = None,
    wlen: Any = None,
    rel_height: Any = 0.5,
    plateau_size: Any = None,
) -> tuple[Any, dict[str, Any]]:
    """The local maxima of a signal that meet some conditions.

    A condition is the least value, or a sequence of the least and the largest one, of which either
    may be None; each a number, or an array with an element for each one of `x`.

    Args:
        x: a vector of real numbers.
        height: of the peaks.
        threshold: how far they are above the elements beside them.
        distance: how many elements are from one to the next at least: of those that are nearer
            the higher ones stay.
        prominence: as `peak_prominences` gives it.
        width: as `peak_widths` gives it.
        wlen: of the prominences.
        rel_height: of the widths.
        plateau_size: how many equal elements a peak has; its place is in the middle.

    Returns:
        Their places, an array of int64 whose size is known at run time only; and by name what the
        conditions are about.

    Raises:
        ShapeError: `x` is no vector.
        ArgumentError: `distance`, `wlen` or `rel_height` is too small.
    """
    if distance is not None and distance < 1:
        raise ArgumentError(
            "find_peaks: `distance` must be greater or equal to 1", source_location()
        )
    conditions = {
        "plateau_size": plateau_size,
        "height": height,
        "threshold": threshold,
        "prominence": prominence,
        "width": width,
    }
    limits: list[Any] = []
    kinds: list[tuple[str, bool, bool]] = []
    for kind, condition in conditions.items():
        if condition is not None:
            ends = _ends(condition)
            kinds.append((kind, ends[0] is not None, ends[1] is not None))
            limits += [end for end in ends if end is not None]
    is_peak, properties = _found(
        x, *limits, kinds=tuple(kinds),
        distance=0 if distance is None else math.ceil(distance),
        wlen=_window("find_peaks", wlen), share=_share("find_peaks", rel_height),
    )  # fmt: skip
    places = np.flatnonzero(is_peak)
    return places, {name: values[places] for name, values in properties.items()}


def _ends(condition: Any) -> tuple[Any, Any]:
    """The least and the largest value: an array of two is both of them, another one the least."""
    if np.ndim(condition) == 0 and not isinstance(condition, (tuple, list)):
        return condition, None
    return (condition[0], condition[1]) if len(condition) == 2 else (condition, None)


@program
def _found(
    x: Any, *limits: Any, kinds: tuple[Any, ...], distance: int, wlen: int, share: float
) -> Any:
    signal = _signal("find_peaks", x)
    size = signal.shape[0]
    if is_extent(size):
        raise unsupported(
            "scipy.signal.find_peaks of a size that is known at run time only",
            "give it an array of a known size, with -inf where nothing counts",
        )
    given = list(limits)
    if size < 3:  # There is no peak, nor in three equal elements.
        signal, size, given = prims.as_value(np.zeros(3)), 3, [0.0] * len(limits)
    values = wrap(signal)
    known = stop_gradient(values)
    is_peak, first, last = _maxima(known)
    numbers = np.arange(size)
    properties: dict[str, Any] = {}
    bases: Any = None
    found: Any = None

    def meet(smallest: Any, largest: Any, has: list[bool]) -> Any:
        meets: Any = is_peak
        if has[0]:
            meets = meets & (smallest >= wrap(traced(given.pop(0))))
        if has[1]:
            meets = meets & (largest <= wrap(traced(given.pop(0))))
        return meets

    thinned = distance < 1
    for kind, *has in kinds:
        if kind in ("prominence", "width") and not thinned:
            is_peak, thinned = _thinned(is_peak, known, distance), True
        if kind in ("prominence", "width") and bases is None:
            bases = _bases(known, numbers, wlen)
            found = _prominence(values, numbers, bases)
            properties |= {"prominences": found}
            properties |= {"left_bases": bases.left, "right_bases": bases.right}
        if kind == "plateau_size":
            sizes = last - first + 1
            properties |= {"plateau_sizes": sizes, "left_edges": first, "right_edges": last}
            is_peak = meet(sizes, sizes, has)
        elif kind == "height":
            properties["peak_heights"] = values
            is_peak = meet(known, known, has)
        elif kind == "threshold":
            sides = values - np.roll(values, 1), values - np.roll(values, -1)
            properties |= {"left_thresholds": sides[0], "right_thresholds": sides[1]}
            is_peak = meet(np.minimum(*sides), np.maximum(*sides), has)
        elif kind == "prominence":
            is_peak = meet(found, found, has)
        else:
            measured = _widths(values, numbers, found, bases, share)
            names = ("widths", "width_heights", "left_ips", "right_ips")
            properties |= dict(zip(names, measured, strict=True))
            is_peak = meet(measured.widths, measured.widths, has)
    if not thinned:
        is_peak = _thinned(is_peak, known, distance)
    return wrap(traced(is_peak)), {name: wrap(traced(part)) for name, part in properties.items()}


def _maxima(x: Any) -> tuple[Any, Any, Any]:
    """Which elements are in the middle of a plateau above what is beside it; its both ends."""
    size = x.shape[0]
    numbers = np.arange(size)
    differs = x[1:] != x[:-1]
    end = np.ones(1, bool)
    starts, stops = np.concatenate([end, differs]), np.concatenate([differs, end])
    first = np.maximum.accumulate(np.where(starts, numbers, 0))
    last = np.minimum.accumulate(np.where(stops, numbers, size - 1)[::-1])[::-1]
    before, behind = np.maximum(first - 1, 0), np.minimum(last + 1, size - 1)
    is_above = (x[before] < x) & (x[behind] < x) & (first > 0) & (last < size - 1)
    return is_above & (numbers == (first + last) // 2), first, last


def _thinned(is_peak: Any, x: Any, distance: int) -> Any:
    """The peaks without those that are nearer to a higher one that stays."""
    size = x.shape[0]
    numbers = np.arange(size)
    order = np.argsort(np.where(is_peak, x, -math.inf), stable=True)

    def step(k: Any, kept: Any) -> Any:
        place = order[size - 1 - k]
        is_near = (np.abs(numbers - place) < distance) & (numbers != place)
        return kept & ~(is_near & kept[place])

    return fori_loop(0, size, step, is_peak)
