# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""`scipy.fft`: Fourier, cosine and sine transforms.

`overwrite_x`, `workers` and `plan` are accepted and mean nothing: nothing is overwritten, one
thread computes, and what is known of a size is kept anyway. Parameters that functions share:

    x: an array. Integers become float64.
    n, s: the number of points along the axis, or along each of several: elements are cut off, or
        zeros are put behind.
    axis, axes: what is transformed.
    norm: "backward", where the inverse is divided by the number of points, "forward", where the
        other one is, or "ortho", where both are divided by its square root.

Errors that functions share:

    ArgumentError: there are no points, or no such norm or type.
    AxisError: an axis is out of bounds.
    ShapeError: sizes and axes do not go together, or an axis stands there twice.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from gradopt.array.operands import traced
from gradopt.base.frames import hide_frames
from gradopt.base.location import source_location
from gradopt.base.unknown_sizes import unknown_size
from gradopt.compilation.programs import program
from gradopt.errors import ArgumentError, ShapeError
from gradopt.functions import fourier as transforms
from gradopt.ir import fourier, prims
from gradopt.ir.extents import Sizes
from gradopt.ir.values import Value
from gradopt.scipy.cosines import cosine_transform
from gradopt.scipy.logarithmic import fht, fhtoffset, ifht

__all__ = [
    "dct",
    "dctn",
    "dst",
    "dstn",
    "fft",
    "fft2",
    "fftfreq",
    "fftn",
    "fftshift",
    "fht",
    "fhtoffset",
    "hfft",
    "hfft2",
    "hfftn",
    "idct",
    "idctn",
    "idst",
    "idstn",
    "ifft",
    "ifft2",
    "ifftn",
    "ifftshift",
    "ifht",
    "ihfft",
    "ihfft2",
    "ihfftn",
    "irfft",
    "irfft2",
    "irfftn",
    "next_fast_len",
    "prev_fast_len",
    "rfft",
    "rfft2",
    "rfftfreq",
    "rfftn",
]

fftfreq, rfftfreq = np.fft.fftfreq, np.fft.rfftfreq
fftshift, ifftshift = np.fft.fftshift, np.fft.ifftshift


def _selected(value: Any) -> Any:
    """Sizes or axes as integers, or tuples of them."""
    if value is None:
        return None
    if np.ndim(value) == 0:
        return operator.index(value)
    return tuple([operator.index(part) for part in value])


def _listed(value: Any) -> Any:
    return (value,) if isinstance(value, int) else value


def _operand(x: Any, name: str) -> Value:
    value = traced(x)
    if value.shape.__class__ is Sizes:
        raise unknown_size(name)
    return value


def _one_axis(name: str, kind: str, forward: bool, what: str) -> Callable[..., Any]:
    @program
    def transform(x: Any, *, n: Any, axis: Any, norm: Any) -> Value:
        s, axes = (None if n is None else (n,)), (axis,)
        return _along(_operand(x, f"scipy.fft.{name}"), kind, s, axes, forward, norm, name)

    @hide_frames
    def function(
        x: Any,
        n: int | None = None,
        axis: int = -1,
        norm: str | None = None,
        overwrite_x: bool = False,
        workers: int | None = None,
        *,
        plan: Any = None,
    ) -> Any:
        return transform(x, n=_selected(n), axis=_selected(axis), norm=norm)

    return _described(function, name, f"The transform of {what} along one axis.")


def _several_axes(
    name: str, kind: str, forward: bool, what: str, default: Any = None
) -> Callable[..., Any]:
    @program
    def transform(x: Any, *, s: Any, axes: Any, norm: Any) -> Value:
        return _along(_operand(x, f"scipy.fft.{name}"), kind, s, axes, forward, norm, name)

    @hide_frames
    def function(
        x: Any,
        s: Any = None,
        axes: Any = default,
        norm: str | None = None,
        overwrite_x: bool = False,
        workers: int | None = None,
        *,
        plan: Any = None,
    ) -> Any:
        return transform(x, s=_listed(_selected(s)), axes=_listed(_selected(axes)), norm=norm)

    return _described(function, name, f"The transform of {what} along several axes.")


def _described(function: Callable[..., Any], name: str, text: str) -> Callable[..., Any]:
    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"{text}\n\nParameters and errors are those of this module."
    return function


_ALONG = {
    "half": transforms.along_axes_of_reals,
    "real": transforms.along_axes_to_reals,
}


def _along(x: Value, kind: str, s: Any, axes: Any, forward: bool, norm: Any, name: str) -> Value:
    _require_different(axes, x.ndim)
    if kind == "complex":
        return transforms.along_axes(fourier.as_complex(x), s, axes, forward, norm)
    return _ALONG[kind](x, s, axes, forward, norm, f"scipy.fft.{name}")


def _require_different(axes: Any, ndim: int) -> None:
    places = [] if axes is None else [prims.normalize_axis(axis, ndim) for axis in axes]
    if len(set(places)) != len(places):
        raise ShapeError("all axes must be unique", source_location())


fft = _one_axis("fft", "complex", True, "numbers")
ifft = _one_axis("ifft", "complex", False, "numbers, the inverse of `fft`,")
rfft = _one_axis("rfft", "half", True, "real numbers, half of it,")
irfft = _one_axis("irfft", "real", False, "half of a spectrum to real numbers")
hfft = _one_axis("hfft", "real", True, "half of what has a real spectrum")
ihfft = _one_axis("ihfft", "half", False, "a real spectrum, half of it,")

fftn = _several_axes("fftn", "complex", True, "numbers")
ifftn = _several_axes("ifftn", "complex", False, "numbers, the inverse of `fftn`,")
rfftn = _several_axes("rfftn", "half", True, "real numbers, half of it,")
irfftn = _several_axes("irfftn", "real", False, "half of a spectrum to real numbers")
hfftn = _several_axes("hfftn", "real", True, "half of what has a real spectrum")
ihfftn = _several_axes("ihfftn", "half", False, "a real spectrum, half of it,")

_LAST_TWO = (-2, -1)
fft2 = _several_axes("fft2", "complex", True, "numbers", _LAST_TWO)
ifft2 = _several_axes("ifft2", "complex", False, "numbers, the inverse of `fft2`,", _LAST_TWO)
rfft2 = _several_axes("rfft2", "half", True, "real numbers, half of it,", _LAST_TWO)
irfft2 = _several_axes("irfft2", "real", False, "half of a spectrum", _LAST_TWO)
hfft2 = _several_axes("hfft2", "real", True, "half of what has a real spectrum", _LAST_TWO)
ihfft2 = _several_axes("ihfft2", "half", False, "a real spectrum, half of it,", _LAST_TWO)


# -- Cosines and sines -------------------------------------------------------------------------


def _cosines(name: str, sine: bool, inverse: bool) -> Callable[..., Any]:
    @program
    def transform(x: Any, *, kind: int, s: Any, axes: Any, norm: Any, orthogonal: bool) -> Value:
        v = fourier.inexact(_operand(x, f"scipy.fft.{name}"))
        _require_different(axes, v.ndim)
        sizes, places = transforms.sizes_and_axes(v, s, axes)
        factor = fourier.divisor(norm, not inverse)
        for size, place in zip(sizes, places, strict=True):
            v = fourier.resized(v, place, size)
            v = cosine_transform(v, place, kind, sine, factor, orthogonal, f"scipy.fft.{name}")
        return v

    def call(x: Any, type: int, s: Any, axes: Any, norm: Any, orthogonalize: Any) -> Any:
        if type not in (1, 2, 3, 4):
            raise ArgumentError(
                f"scipy.fft.{name}: type must be 1, 2, 3 or 4, but it is {type!r}",
                source_location(),
            )
        kind = {2: 3, 3: 2}.get(type, type) if inverse else type
        orthogonal = norm == "ortho" if orthogonalize is None else bool(orthogonalize)
        return transform(x, kind=kind, s=s, axes=axes, norm=norm, orthogonal=orthogonal)

    return call


def _cosines_1d(name: str, sine: bool, inverse: bool, text: str) -> Callable[..., Any]:
    call = _cosines(name, sine, inverse)

    @hide_frames
    def function(
        x: Any,
        type: int = 2,
        n: int | None = None,
        axis: int = -1,
        norm: str | None = None,
        overwrite_x: bool = False,
        workers: int | None = None,
        orthogonalize: bool | None = None,
    ) -> Any:
        size = _selected(n)
        axes = (_selected(axis),)
        return call(x, type, None if size is None else (size,), axes, norm, orthogonalize)

    return _described(function, name, f"The {text} along one axis.")


def _cosines_nd(name: str, sine: bool, inverse: bool, text: str) -> Callable[..., Any]:
    call = _cosines(name, sine, inverse)

    @hide_frames
    def function(
        x: Any,
        type: int = 2,
        s: Any = None,
        axes: Any = None,
        norm: str | None = None,
        overwrite_x: bool = False,
        workers: int | None = None,
        *,
        orthogonalize: bool | None = None,
    ) -> Any:
        sizes, places = _listed(_selected(s)), _listed(_selected(axes))
        return call(x, type, sizes, places, norm, orthogonalize)

    return _described(function, name, f"The {text} along several axes.")


dct = _cosines_1d("dct", False, False, "cosine transform, of type 1, 2, 3 or 4,")
idct = _cosines_1d("idct", False, True, "inverse of `dct`")
dst = _cosines_1d("dst", True, False, "sine transform, of type 1, 2, 3 or 4,")
idst = _cosines_1d("idst", True, True, "inverse of `dst`")
dctn = _cosines_nd("dctn", False, False, "cosine transform, of type 1, 2, 3 or 4,")
idctn = _cosines_nd("idctn", False, True, "inverse of `dctn`")
dstn = _cosines_nd("dstn", True, False, "sine transform, of type 1, 2, 3 or 4,")
idstn = _cosines_nd("idstn", True, True, "inverse of `dstn`")


# -- Sizes -------------------------------------------------------------------------------------


def _is_fast(n: int, real: bool) -> bool:
    for factor in (2, 3, 5) if real else (2, 3, 5, 7, 11):
        while n % factor == 0:
            n //= factor
    return n == 1


def next_fast_len(target: int, real: bool = False) -> int:
    """The smallest number of points, not below `target`, that is a product of small factors.

    Args:
        target: a positive number.
        real: whether real numbers are transformed: then the factors are 2, 3 and 5, else also 7
            and 11.

    Raises:
        ArgumentError: `target` is negative.
    """
    size = _require_target(target)
    while size > 0 and not _is_fast(size, real):
        size += 1
    return size


def prev_fast_len(target: int, real: bool = False) -> int:
    """The largest such number that is not above `target`; see `next_fast_len`."""
    size = _require_target(target)
    while size > 0 and not _is_fast(size, real):
        size -= 1
    return size


def _require_target(target: Any) -> int:
    size = operator.index(target)
    if size < 0:
        raise ArgumentError("Target cannot be negative", source_location())
    return size
