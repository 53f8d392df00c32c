# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""`scipy.signal`: signals at other rates by filters, and local medians and means."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from gradopt.array.dispatch import unsupported
from gradopt.array.handle import wrap
from gradopt.array.operands import traced
from gradopt.base.frames import hide_frames
from gradopt.base.location import source_location
from gradopt.compilation.programs import program
from gradopt.errors import ArgumentError, ShapeError
from gradopt.scipy.filter_design import cheby1, firwin
from gradopt.scipy.filters import sosfilt
from gradopt.scipy.operands import inexact
from gradopt.scipy.two_way import sosfiltfilt, upfirdn

_LEVELS: dict[str, Callable[..., Any]] = {
    "mean": np.mean, "median": np.median, "minimum": np.min, "maximum": np.max,
}  # fmt: skip


# -- Other rates -------------------------------------------------------------------------------


def _counts(name: str, *values: Any) -> list[int]:
    found = [operator.index(value) for value in values]
    if min(found) < 1:
        raise ArgumentError(f"{name}: rates must be >= 1, but got {found}", source_location())
    return found


@hide_frames
def resample_poly(
    x: Any,
    up: int,
    down: int,
    axis: int = 0,
    window: Any = ("kaiser", 5.0),
    padtype: str = "constant",
    cval: Any = None,
) -> Any:
    """Signals at `up / down` times as many places, by a filter of finite length.

    Args:
        x: signals.
        up, down: the ratio of the rates.
        axis: of the samples.
        window: as for `get_window`, that of the low-pass filter; or the filter itself, an array,
            which may be traced.
        padtype: what is beyond the ends: zeros with "constant"; else "mean", "median", "minimum"
            or "maximum" of the samples.
        cval: None or 0.

    Returns:
        An array of floats, as long as the ratio says, rounded up.

    Raises:
        UnsupportedError: another `padtype` or `cval`.
        ArgumentError: `up` or `down` is less than 1.
        ShapeError: the filter is no vector.
    """
    rises, falls = _counts("resample_poly", up, down)
    if padtype != "constant" and padtype not in _LEVELS:
        raise unsupported(
            f"padtype={padtype!r} of scipy.signal.resample_poly",
            f"use constant, {', '.join(_LEVELS)}, or pad the signal before",
        )
    if cval is not None and not (np.ndim(cval) == 0 and cval == 0):
        raise unsupported(
            "keyword cval= of scipy.signal.resample_poly", "subtract the number, and add it again"
        )
    common = math.gcd(rises, falls)
    rises, falls = rises // common, falls // common
    filters = () if isinstance(window, (str, tuple, float, int)) else (window,)
    return _by_phases(
        x, *filters, up=rises, down=falls, axis=operator.index(axis),
        window=None if filters else window, padtype=padtype,
    )  # fmt: skip


@program
def _by_phases(
    x: Any, *filters: Any, up: int, down: int, axis: int, window: Any, padtype: str
) -> Any:
    (x,) = inexact(x)
    if up == down:
        return traced(x)
    if filters:
        (taps,) = inexact(*filters)
        if taps.ndim != 1:
            raise ShapeError("window must be 1-D", source_location())
    else:
        longest = max(up, down)
        taps = firwin(20 * longest + 1, 1 / longest, window=window)
    taps = (taps * up).astype(x.dtype)
    half, count = (taps.shape[0] - 1) // 2, x.shape[axis]
    size = -(-count * up // down)
    # So that the middle of the filter is on a sample that is kept.
    front = down - half % down
    start = (half + front) // down
    missing = (size + start - 1) * down + 1 - ((count - 1) * up + taps.shape[0] + front)
    back = max(0, missing)
    taps = np.concatenate([np.zeros(front, x.dtype), taps, np.zeros(back, x.dtype)])
    level = _LEVELS[padtype](x, axis=axis, keepdims=True) if padtype in _LEVELS else None
    y = upfirdn(taps, x if level is None else x - level, up, down, axis)
    y = np.moveaxis(np.moveaxis(y, axis, 0)[start : start + size], 0, axis)
    return traced(y if level is None else y + level)


@hide_frames
def decimate(
    x: Any, q: int, n: int | None = None, ftype: Any = "iir", axis: int = -1,
    zero_phase: bool = True,
) -> Any:  # fmt: skip
    """Every `q`-th sample, behind a low-pass filter.

    Args:
        x: signals.
        q: of how many one is taken.
        n: the order of the filter: 8 of "iir", and 20 q of "fir" by default.
        ftype: "iir", Chebyshev's of the first kind, or "fir", with a Hamming window.
        axis: of the samples.
        zero_phase: whether the filter is applied from both sides, or its delay taken away.

    Raises:
        UnsupportedError: another filter.
        ArgumentError: `q` is less than 1.
    """
    (step,) = _counts("decimate", q)
    if ftype not in ("iir", "fir"):
        raise unsupported(f"ftype={ftype!r} of scipy.signal.decimate", "use 'iir' or 'fir'")
    order = None if n is None else operator.index(n)
    return _thinned(
        x, step=step, order=order, is_fir=ftype == "fir", axis=operator.index(axis),
        both=bool(zero_phase),
    )  # fmt: skip


@program
def _thinned(x: Any, *, step: int, order: int | None, is_fir: bool, axis: int, both: bool) -> Any:
    (x,) = inexact(x)
    if is_fir:
        taps = firwin((20 * step if order is None else order) + 1, 1.0 / step, window="hamming")
        taps = taps.astype(np.zeros(0, x.dtype).real.dtype)
        if both:
            return traced(resample_poly(x, 1, step, axis, taps))
        y = upfirdn(taps, x, 1, step, axis)
        return traced(np.moveaxis(np.moveaxis(y, axis, 0)[: -(-x.shape[axis] // step)], 0, axis))
    sections = cheby1(8 if order is None else order, 0.05, 0.8 / step, output="sos")
    sections = sections.astype(np.zeros(0, x.dtype).real.dtype)
    y = (sosfiltfilt if both else sosfilt)(sections, x, axis)
    return traced(np.moveaxis(np.moveaxis(y, axis, 0)[::step], 0, axis))


# -- Local medians and means -------------------------------------------------------------------


def _sizes(name: str, size: Any, rank: int) -> tuple[int, ...]:
    given = [3] if size is None else np.ravel(size).tolist()
    found = tuple([operator.index(n) for n in (given * rank if len(given) == 1 else given)])
    if len(found) != rank:
        raise ArgumentError(
            f"{name}: {len(found)} sizes are given for {rank} axes", source_location()
        )
    if any(size < 1 for size in found):
        raise ArgumentError(
            f"{name}: sizes must be positive, but are {list(found)}", source_location()
        )
    return found


@hide_frames
def medfilt(volume: Any, kernel_size: Any = None) -> Any:
    """The median of the elements around each, and of zeros beyond the ends.

    Args:
        volume: array of integers, float32 or float64.
        kernel_size: how many elements along all axes, or each, an odd number; 3 by default.

    Raises:
        ArgumentError: a size is even or not positive, or elements are of another dtype.
    """
    rank = max(np.ndim(volume), 1)
    sizes = _sizes("medfilt", kernel_size, rank)
    if any(size % 2 != 1 for size in sizes):
        raise ArgumentError("Each element of kernel_size should be odd.", source_location())
    return _medians(volume if np.ndim(volume) else np.reshape(volume, 1), sizes=sizes)


@program
def _medians(volume: Any, *, sizes: tuple[int, ...]) -> Any:
    x = wrap(traced(volume))
    if x.dtype.kind not in "iu" and x.dtype not in (np.float32, np.float64):
        raise ArgumentError(f"dtype={x.dtype} is not supported by medfilt", source_location())
    around = _around(x, sizes)
    count = math.prod(sizes)
    rows = np.sort(np.reshape(around, (*x.shape, count)), axis=-1)
    return traced(rows[..., count // 2])


def _around(x: Any, sizes: tuple[int, ...]) -> Any:
    """The elements around each, along further axes, and zeros beyond the ends."""
    # Of an even size, the element is behind the middle.
    wide = np.pad(x, [(size // 2, (size - 1) // 2) for size in sizes])
    return np.lib.stride_tricks.sliding_window_view(wide, sizes)


@hide_frames
def medfilt2d(input: Any, kernel_size: Any = 3) -> Any:
    """As `medfilt`, of an array of two dimensions.

    Raises:
        ShapeError: it has others.
        ArgumentError: as there.
    """
    if np.ndim(input) != 2:
        raise ShapeError(
            f"medfilt2d: the array must have two dimensions, but has {np.ndim(input)}",
            source_location(),
        )
    return medfilt(input, kernel_size)


@hide_frames
def wiener(im: Any, mysize: Any = None, noise: Any = None) -> Any:
    """Wiener's filter: nearer to the mean of what is around, the less that varies.

    Args:
        im: array of real numbers.
        mysize: how many elements along all axes, or each; 3 by default.
        noise: the variance of the noise; the mean of the local ones by default.
    """
    sizes = _sizes("wiener", mysize, np.ndim(im))
    return _wiener(im, *(() if noise is None else (noise,)), sizes=sizes)


@program
def _wiener(im: Any, *noise: Any, sizes: tuple[int, ...]) -> Any:
    x, *given = inexact(im, *noise)
    within = tuple(range(-len(sizes), 0))

    def local(values: Any) -> Any:
        return np.mean(_around(values, sizes), axis=within)

    mean = local(x)
    variance = local(x * x) - mean * mean
    limit = given[0] if given else np.mean(variance)
    is_noise = variance < limit
    ratio = limit / np.where(is_noise, 1, variance)
    return traced(np.where(is_noise, mean, (x - mean) * (1 - ratio) + mean))
