# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Discrete Fourier transforms: `numpy.fft`."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from gradopt.array.dispatch import implements
from gradopt.array.operands import traced
from gradopt.base.location import source_location
from gradopt.errors import ShapeError
from gradopt.functions.joining import roll
from gradopt.ir import fourier, prims
from gradopt.ir.fourier import divisor, require_points, resized
from gradopt.ir.values import Value


def _complex_1d(forward: bool) -> Callable[..., Value]:
    def transform(a: Any, n: Any = None, axis: Any = -1, norm: Any = None) -> Value:
        x = traced(a)
        place = prims.normalize_axis(axis, x.ndim)
        size = require_points(x.shape[place] if n is None else operator.index(n))
        factor = divisor(norm, forward)
        return fourier.fft(resized(x, place, size), [place], forward, factor)

    return transform


def _real_1d(name: str, forward: bool) -> Callable[..., Value]:
    def transform(a: Any, n: Any = None, axis: Any = -1, norm: Any = None) -> Value:
        x = traced(a)
        place = prims.normalize_axis(axis, x.ndim)
        size = require_points(x.shape[place] if n is None else operator.index(n))
        factor = divisor(norm, forward)
        return fourier.rfft(resized(x, place, size), [place], forward, factor, name)

    return transform


def _to_real_1d(forward: bool) -> Callable[..., Value]:
    def transform(a: Any, n: Any = None, axis: Any = -1, norm: Any = None) -> Value:
        x = traced(a)
        place = prims.normalize_axis(axis, x.ndim)
        size = require_points(2 * (x.shape[place] - 1) if n is None else operator.index(n))
        x = resized(x, place, size // 2 + 1)
        return fourier.irfft(x, [place], size, forward, divisor(norm, forward))

    return transform


implements(np.fft.fft)(_complex_1d(forward=True))
implements(np.fft.ifft)(_complex_1d(forward=False))
implements(np.fft.rfft)(_real_1d("numpy.fft.rfft", forward=True))
implements(np.fft.irfft)(_to_real_1d(forward=False))
# The transforms of what has a real spectrum: as the others, in the other direction.
implements(np.fft.hfft)(_to_real_1d(forward=True))
implements(np.fft.ihfft)(_real_1d("numpy.fft.ihfft", forward=False))


# -- Several axes ------------------------------------------------------------------------------


def sizes_and_axes(
    x: Value, s: Any, axes: Any, *, halved: bool = False
) -> tuple[list[int], list[int]]:
    """The sizes and the axes of a transform along several axes, as NumPy has them.

    Args:
        x: the operand.
        s: sizes, of which -1 is that of the operand; None for all of these.
        axes: axes, one for each size; None for all, or for the last ones if there are sizes.
        halved: whether the last axis holds half of a spectrum.

    Raises:
        ShapeError: they do not go together.
        AxisError: an axis is out of bounds.
    """
    if axes is None:
        count = x.ndim if s is None else len(s)
        axes = range(-count, 0)
    places = [prims.normalize_axis(axis, x.ndim) for axis in axes]
    if s is not None and len(s) != len(places):
        raise ShapeError("Shape and axes have different lengths.", source_location())
    sizes = [x.shape[place] for place in places]
    if s is not None:
        sizes = [
            size if n is None or operator.index(n) == -1 else operator.index(n)
            for n, size in zip(s, sizes, strict=True)
        ]
    elif halved and sizes:
        sizes[-1] = 2 * (sizes[-1] - 1)
    return [require_points(size) for size in sizes], places


def _resized_all(x: Value, sizes: Sequence[int], axes: Sequence[int]) -> Value:
    """All axes with their sizes: first what cuts elements off, then what adds some."""
    pairs = list(zip(axes, sizes, strict=True))
    for axis, size in pairs:
        x = resized(x, axis, min(size, x.shape[axis]))
    if all(x.shape[axis] == size for axis, size in pairs):
        return x
    high = [0] * x.ndim
    for axis, size in pairs:
        high[axis] = size - x.shape[axis]
    return prims.pad(x, [0] * x.ndim, high)


def _require_axes(axes: Sequence[int], name: str) -> None:
    if not axes:
        raise ShapeError(f"{name}: at least one axis must be transformed", source_location())


def along_axes(x: Value, s: Any, axes: Any, forward: bool, norm: Any) -> Value:
    """The transform along several axes; one that stands there twice is transformed twice."""
    sizes, places = sizes_and_axes(x, s, axes)
    factor = divisor(norm, forward)
    if not places:
        return x
    if len(set(places)) == len(places):
        return fourier.fft(_resized_all(x, sizes, places), places, forward, factor)
    for size, place in reversed(list(zip(sizes, places, strict=True))):
        x = fourier.fft(resized(x, place, size), [place], forward, factor)
    return x


def along_axes_of_reals(x: Value, s: Any, axes: Any, forward: bool, norm: Any, name: str) -> Value:
    """The transform of real numbers, half of it along the last axis."""
    sizes, places = sizes_and_axes(x, s, axes)
    _require_axes(places, name)
    factor = divisor(norm, forward)
    if len(set(places)) == len(places):
        return fourier.rfft(_resized_all(x, sizes, places), places, forward, factor, name)
    last = fourier.rfft(resized(x, places[-1], sizes[-1]), places[-1:], forward, factor, name)
    return along_axes(last, sizes[:-1], places[:-1], forward, norm)


def along_axes_to_reals(x: Value, s: Any, axes: Any, forward: bool, norm: Any, name: str) -> Value:
    """The transform of half of a spectrum, along the last axis, to real numbers."""
    sizes, places = sizes_and_axes(x, s, axes, halved=True)
    _require_axes(places, name)
    factor = divisor(norm, forward)
    half = [*sizes[:-1], sizes[-1] // 2 + 1]
    if len(set(places)) == len(places):
        x = _resized_all(x, half, places)
        return fourier.irfft(x, places, sizes[-1], forward, factor)
    for size, place in zip(sizes[:-1], places[:-1], strict=True):
        x = fourier.fft(resized(x, place, size), [place], forward, factor)
    x = resized(x, places[-1], half[-1])
    return fourier.irfft(x, places[-1:], sizes[-1], forward, factor)


@implements(np.fft.fftn)
def fftn(a: Any, s: Any = None, axes: Any = None, norm: Any = None) -> Value:
    """`numpy.fft.fftn`."""
    return along_axes(traced(a), s, axes, True, norm)


@implements(np.fft.ifftn)
def ifftn(a: Any, s: Any = None, axes: Any = None, norm: Any = None) -> Value:
    """`numpy.fft.ifftn`."""
    return along_axes(traced(a), s, axes, False, norm)


@implements(np.fft.fft2)
def fft2(a: Any, s: Any = None, axes: Any = (-2, -1), norm: Any = None) -> Value:
    """`numpy.fft.fft2`."""
    return along_axes(traced(a), s, axes, True, norm)


@implements(np.fft.ifft2)
def ifft2(a: Any, s: Any = None, axes: Any = (-2, -1), norm: Any = None) -> Value:
    """`numpy.fft.ifft2`."""
    return along_axes(traced(a), s, axes, False, norm)


@implements(np.fft.rfftn)
def rfftn(a: Any, s: Any = None, axes: Any = None, norm: Any = None) -> Value:
    """`numpy.fft.rfftn`."""
    return along_axes_of_reals(traced(a), s, axes, True, norm, "numpy.fft.rfftn")


@implements(np.fft.rfft2)
def rfft2(a: Any, s: Any = None, axes: Any = (-2, -1), norm: Any = None) -> Value:
    """`numpy.fft.rfft2`."""
    return along_axes_of_reals(traced(a), s, axes, True, norm, "numpy.fft.rfft2")


@implements(np.fft.irfftn)
def irfftn(a: Any, s: Any = None, axes: Any = None, norm: Any = None) -> Value:
    """`numpy.fft.irfftn`."""
    return along_axes_to_reals(traced(a), s, axes, False, norm, "numpy.fft.irfftn")


@implements(np.fft.irfft2)
def irfft2(a: Any, s: Any = None, axes: Any = (-2, -1), norm: Any = None) -> Value:
    """`numpy.fft.irfft2`."""
    return along_axes_to_reals(traced(a), s, axes, False, norm, "numpy.fft.irfft2")


# -- Frequencies -------------------------------------------------------------------------------


@implements(np.fft.fftshift)
def fftshift(x: Any, axes: Any = None) -> Any:
    """`numpy.fft.fftshift`."""
    v = traced(x)
    places = prims.normalize_axes(axes, v.ndim)
    return roll(v, [v.shape[place] // 2 for place in places], places)


@implements(np.fft.ifftshift)
def ifftshift(x: Any, axes: Any = None) -> Any:
    """`numpy.fft.ifftshift`."""
    v = traced(x)
    places = prims.normalize_axes(axes, v.ndim)
    return roll(v, [-(v.shape[place] // 2) for place in places], places)
