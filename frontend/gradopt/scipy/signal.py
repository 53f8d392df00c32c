# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""`scipy.signal`: convolutions and correlations of arrays of any rank, analytic signals, spectra.

A convolution is sums of products, or a product of spectra; integers stay integers.
"""

from __future__ import annotations

import math
import operator
from typing import Any, Literal

import numpy as np

from gradopt.array.dispatch import UFUNCS
from gradopt.array.operands import traced
from gradopt.base.dtypes import BOOL, FLOAT64, INT64, is_inexact, kind_of
from gradopt.base.frames import hide_frames
from gradopt.base.location import source_location
from gradopt.compilation.programs import program
from gradopt.errors import ArgumentError, DTypeError, ShapeError
from gradopt.functions.joining import pad
from gradopt.functions.products import promoted
from gradopt.ir import fourier, prims
from gradopt.ir.values import Shape, Value
from gradopt.scipy.chirps import czt as czt
from gradopt.scipy.chirps import czt_points as czt_points
from gradopt.scipy.chirps import lombscargle as lombscargle
from gradopt.scipy.chirps import zoom_fft as zoom_fft
from gradopt.scipy.fft import next_fast_len
from gradopt.scipy.filter_design import bessel as bessel
from gradopt.scipy.filter_design import bilinear_zpk as bilinear_zpk
from gradopt.scipy.filter_design import butter as butter
from gradopt.scipy.filter_design import cheby1 as cheby1
from gradopt.scipy.filter_design import cheby2 as cheby2
from gradopt.scipy.filter_design import ellip as ellip
from gradopt.scipy.filter_design import firwin as firwin
from gradopt.scipy.filter_design import iirfilter as iirfilter
from gradopt.scipy.filter_design import iirnotch as iirnotch
from gradopt.scipy.filter_design import iirpeak as iirpeak
from gradopt.scipy.filter_design import lp2bp_zpk as lp2bp_zpk
from gradopt.scipy.filter_design import lp2bs_zpk as lp2bs_zpk
from gradopt.scipy.filter_design import lp2hp_zpk as lp2hp_zpk
from gradopt.scipy.filter_design import lp2lp_zpk as lp2lp_zpk
from gradopt.scipy.filter_forms import bilinear as bilinear
from gradopt.scipy.filter_forms import hilbert2 as hilbert2
from gradopt.scipy.filter_forms import lfiltic as lfiltic
from gradopt.scipy.filter_forms import lp2bp as lp2bp
from gradopt.scipy.filter_forms import lp2bs as lp2bs
from gradopt.scipy.filter_forms import lp2hp as lp2hp
from gradopt.scipy.filter_forms import lp2lp as lp2lp
from gradopt.scipy.filter_forms import minimum_phase as minimum_phase
from gradopt.scipy.filter_forms import sos2zpk as sos2zpk
from gradopt.scipy.filter_forms import tf2ss as tf2ss
from gradopt.scipy.filter_forms import vectorstrength as vectorstrength
from gradopt.scipy.filters import detrend as detrend
from gradopt.scipy.filters import lfilter as lfilter
from gradopt.scipy.filters import savgol_coeffs as savgol_coeffs
from gradopt.scipy.filters import savgol_filter as savgol_filter
from gradopt.scipy.filters import sosfilt as sosfilt
from gradopt.scipy.peaks import argrelextrema as argrelextrema
from gradopt.scipy.peaks import argrelmax as argrelmax
from gradopt.scipy.peaks import argrelmin as argrelmin
from gradopt.scipy.peaks import find_peaks as find_peaks
from gradopt.scipy.peaks import peak_prominences as peak_prominences
from gradopt.scipy.peaks import peak_widths as peak_widths
from gradopt.scipy.rates import decimate as decimate
from gradopt.scipy.rates import medfilt as medfilt
from gradopt.scipy.rates import medfilt2d as medfilt2d
from gradopt.scipy.rates import resample_poly as resample_poly
from gradopt.scipy.rates import wiener as wiener
from gradopt.scipy.responses import freqs as freqs
from gradopt.scipy.responses import freqs_zpk as freqs_zpk
from gradopt.scipy.responses import freqz as freqz
from gradopt.scipy.responses import freqz_sos as freqz_sos
from gradopt.scipy.responses import freqz_zpk as freqz_zpk
from gradopt.scipy.responses import group_delay as group_delay
from gradopt.scipy.responses import sos2tf as sos2tf
from gradopt.scipy.responses import sosfreqz as sosfreqz
from gradopt.scipy.responses import tf2zpk as tf2zpk
from gradopt.scipy.responses import zpk2tf as zpk2tf
from gradopt.scipy.spectra import coherence as coherence
from gradopt.scipy.spectra import csd as csd
from gradopt.scipy.spectra import istft as istft
from gradopt.scipy.spectra import periodogram as periodogram
from gradopt.scipy.spectra import spectrogram as spectrogram
from gradopt.scipy.spectra import stft as stft
from gradopt.scipy.spectra import welch as welch
from gradopt.scipy.two_way import deconvolve as deconvolve
from gradopt.scipy.two_way import filtfilt as filtfilt
from gradopt.scipy.two_way import lfilter_zi as lfilter_zi
from gradopt.scipy.two_way import resample as resample
from gradopt.scipy.two_way import sawtooth as sawtooth
from gradopt.scipy.two_way import sosfilt_zi as sosfilt_zi
from gradopt.scipy.two_way import sosfiltfilt as sosfiltfilt
from gradopt.scipy.two_way import square as square
from gradopt.scipy.two_way import unit_impulse as unit_impulse
from gradopt.scipy.two_way import upfirdn as upfirdn
from gradopt.scipy.windows import get_window as get_window

__all__ = [
    "argrelextrema",
    "argrelmax",
    "argrelmin",
    "bessel",
    "bilinear",
    "bilinear_zpk",
    "butter",
    "cheby1",
    "cheby2",
    "choose_conv_method",
    "coherence",
    "convolve",
    "convolve2d",
    "correlate",
    "correlate2d",
    "correlation_lags",
    "csd",
    "czt",
    "czt_points",
    "decimate",
    "deconvolve",
    "detrend",
    "ellip",
    "fftconvolve",
    "filtfilt",
    "find_peaks",
    "firwin",
    "freqs",
    "freqs_zpk",
    "freqz",
    "freqz_sos",
    "freqz_zpk",
    "get_window",
    "group_delay",
    "hilbert",
    "hilbert2",
    "iirfilter",
    "iirnotch",
    "iirpeak",
    "istft",
    "lfilter",
    "lfilter_zi",
    "lfiltic",
    "lombscargle",
    "lp2bp",
    "lp2bp_zpk",
    "lp2bs",
    "lp2bs_zpk",
    "lp2hp",
    "lp2hp_zpk",
    "lp2lp",
    "lp2lp_zpk",
    "medfilt",
    "medfilt2d",
    "minimum_phase",
    "oaconvolve",
    "peak_prominences",
    "peak_widths",
    "periodogram",
    "resample",
    "resample_poly",
    "savgol_coeffs",
    "savgol_filter",
    "sawtooth",
    "sos2tf",
    "sos2zpk",
    "sosfilt",
    "sosfilt_zi",
    "sosfiltfilt",
    "sosfreqz",
    "spectrogram",
    "square",
    "stft",
    "tf2ss",
    "tf2zpk",
    "unit_impulse",
    "upfirdn",
    "vectorstrength",
    "welch",
    "wiener",
    "zoom_fft",
    "zpk2tf",
]

Mode = Literal["full", "valid", "same"]
Boundary = Literal["fill", "wrap", "symm"]


@hide_frames
def convolve(in1: Any, in2: Any, mode: Mode = "full", method: str = "auto") -> Any:
    """The convolution of two arrays.

    Args:
        in1: array.
        in2: array of the same rank.
        mode: "full", wherever the arrays overlap; "same", the middle of it, of the shape of
            `in1`; "valid", where one array lies within the other.
        method: "direct", sums of products; "fft", a product of spectra, which takes less time for
            long arrays, and whose rounding errors are relative to the largest element; or "auto",
            whichever is faster, but "direct" for integers.

    Returns:
        An array of the arrays' common dtype.

    Raises:
        ShapeError: ranks differ, an array is empty, or no array holds the other in "valid" mode.
        ArgumentError: there is no such mode or method.
    """
    _check_options("convolve", mode, method)
    return _convolved(in1, in2, name="convolve", mode=mode, flip=False, method=method)


@hide_frames
def correlate(in1: Any, in2: Any, mode: Mode = "full", method: str = "auto") -> Any:
    """The correlation of two arrays: the convolution with the conjugate of `in2` in reverse order.

    Parameters, result and errors are those of `convolve`.
    """
    _check_options("correlate", mode, method)
    return _convolved(in1, in2, name="correlate", mode=mode, flip=True, method=method)


def choose_conv_method(in1: Any, in2: Any, mode: Mode = "full", measure: bool = False) -> str:
    """The method, "direct" or "fft", that `convolve` takes for two arrays.

    Args:
        in1: array.
        in2: array of the same rank.
        mode: as for `convolve`.
        measure: means nothing: nothing is measured.

    Raises:
        ArgumentError: there is no such mode.
    """
    _check_mode("choose_conv_method", mode)
    x, y = (array if hasattr(array, "dtype") else np.asarray(array) for array in (in1, in2))
    return _method(np.result_type(x.dtype, y.dtype), np.shape(x), np.shape(y), mode)


@hide_frames
def fftconvolve(in1: Any, in2: Any, mode: Mode = "full", axes: Any = None) -> Any:
    """The convolution of two arrays, by a product of their spectra.

    Args:
        in1: array.
        in2: array of the same rank.
        mode: as for `convolve`.
        axes: those along which the arrays are convolved; None for all. Along the others they are
            broadcast.

    Returns:
        An array of floats or complex numbers; empty, if an array is.

    Raises:
        ShapeError: ranks differ, no array holds the other in "valid" mode, or the other axes do
            not go together.
        AxisError: an axis is out of bounds.
        ArgumentError: there is no such mode.
    """
    _check_mode("fftconvolve", mode)
    return _by_spectra_along(in1, in2, name="fftconvolve", mode=mode, axes=_hashable(axes))


@hide_frames
def oaconvolve(in1: Any, in2: Any, mode: Mode = "full", axes: Any = None) -> Any:
    """The convolution of two arrays, as `fftconvolve`.

    SciPy's is faster where one array is much longer: it transforms parts of that. Here the sizes
    decide what is faster, as in `convolve`, where all axes are convolved.
    """
    _check_mode("oaconvolve", mode)
    return _by_spectra_along(in1, in2, name="oaconvolve", mode=mode, axes=_hashable(axes))


@hide_frames
def hilbert(x: Any, N: int | None = None, axis: int = -1) -> Any:
    """The analytic signal: real numbers, and their Hilbert transform as imaginary parts.

    Args:
        x: array of real numbers.
        N: the number of points along the axis: elements are cut off, or zeros put behind.
        axis: what is transformed.

    Returns:
        An array of complex numbers.

    Raises:
        DTypeError: the numbers are complex.
        ArgumentError: `N` is not positive.
        AxisError: the axis is out of bounds.
    """
    size = None if N is None else operator.index(N)
    if size is not None and size <= 0:
        raise ArgumentError("N must be positive.", source_location())
    return _analytic(x, size=size, axis=operator.index(axis))


@hide_frames
def convolve2d(
    in1: Any, in2: Any, mode: Mode = "full", boundary: Boundary = "fill", fillvalue: Any = 0
) -> Any:
    """The convolution of two matrices.

    Args:
        in1: matrix.
        in2: matrix.
        mode: as for `convolve`.
        boundary: what is beyond the ends of `in1`: "fill", `fillvalue`; "wrap", `in1` again;
            "symm", its mirror image.
        fillvalue: a number.

    Returns:
        A matrix of the common dtype.

    Raises:
        ShapeError: an array is not a matrix, or no array holds the other in "valid" mode.
        ArgumentError: there is no such mode or boundary.
    """
    _check_boundary("convolve2d", mode, boundary)
    return _convolved2d(
        in1, in2, fillvalue, name="convolve2d", mode=mode, boundary=boundary, flip=False
    )


@hide_frames
def correlate2d(
    in1: Any, in2: Any, mode: Mode = "full", boundary: Boundary = "fill", fillvalue: Any = 0
) -> Any:
    """The correlation of two matrices, as `convolve2d` with `in2` reversed along both axes."""
    _check_boundary("correlate2d", mode, boundary)
    return _convolved2d(
        in1, in2, fillvalue, name="correlate2d", mode=mode, boundary=boundary, flip=True
    )


def correlation_lags(in1_len: int, in2_len: int, mode: Mode = "full") -> Any:
    """The displacements that the elements of a one-dimensional correlation belong to.

    Args:
        in1_len: size of the first array.
        in2_len: size of the second one.
        mode: as for `correlate`.

    Returns:
        An array of int64.

    Raises:
        ArgumentError: there is no such mode.
    """
    _check_mode("correlation_lags", mode)
    if mode == "valid":
        difference = in1_len - in2_len
        return np.arange(difference + 1) if difference >= 0 else np.arange(difference, 1)
    lags = np.arange(-in2_len + 1, in1_len)
    if mode == "full":
        return lags
    middle = lags.size // 2
    return lags[middle - in1_len // 2 : middle - in1_len // 2 + in1_len]


def _check_mode(name: str, mode: Any) -> None:
    if not isinstance(mode, str) or mode not in ("full", "valid", "same"):
        raise ArgumentError(
            f'{name}: mode must be "full", "valid" or "same", but it is {mode!r}',
            source_location(),
        )


def _check_options(name: str, mode: Any, method: Any) -> None:
    _check_mode(name, mode)
    if not isinstance(method, str) or method not in ("auto", "direct", "fft"):
        raise ArgumentError(
            f'{name}: method must be "auto", "direct" or "fft", but it is {method!r}',
            source_location(),
        )


def _check_boundary(name: str, mode: Any, boundary: Any) -> None:
    _check_mode(name, mode)
    if not isinstance(boundary, str) or boundary not in ("fill", "wrap", "symm"):
        raise ArgumentError(
            f'{name}: boundary must be "fill", "wrap" or "symm", but it is {boundary!r}',
            source_location(),
        )


def _error(name: str, what: str, x: Value, y: Value) -> ShapeError:
    return ShapeError(
        f"{name}: {what}, but in1 has shape {x.shape} and in2 {y.shape}", source_location()
    )


@program
def _convolved(in1: Any, in2: Any, *, name: str, mode: str, flip: bool, method: str) -> Value:
    x, y = promoted(in1, in2)
    if x.ndim != y.ndim:
        raise _error(name, "both arrays must have the same number of dimensions", x, y)
    if x.ndim == 0:
        return UFUNCS[np.multiply](x, y)
    if x.size == 0 or y.size == 0:
        raise _error(name, "both arrays must have elements", x, y)
    if flip:
        y = prims.conjugate(prims.reverse(y, range(y.ndim)))
    if method == "auto":
        method = _method(x.dtype, x.shape, y.shape, mode)
    if method == "direct":
        return _in_mode(name, x, y, mode)
    a, b = fourier.inexact(x), fourier.inexact(y)
    found = _by_spectra(name, a, b, mode, tuple(range(x.ndim)))
    if is_inexact(x.dtype):
        return found
    return prims.convert(UFUNCS[np.rint](found), x.dtype)


# A transform of n numbers takes the time of so many products for each of n log2 n.
_PRODUCTS = 10


def _method(dtype: Any, shape: Shape, other: Shape, mode: str) -> str:
    """What takes less time, of what is as exact as it has to be."""
    if kind_of(dtype) not in "fc" or 0 in (*shape, *other) or not shape:
        return "direct"
    full = math.prod([n + m - 1 for n, m in zip(shape, other, strict=True)])
    results = full
    if mode == "same":
        results = math.prod(shape)
    if mode == "valid":
        results = math.prod([abs(n - m) + 1 for n, m in zip(shape, other, strict=True)])
    direct = results * min(math.prod(shape), math.prod(other))
    return "fft" if direct > _PRODUCTS * full * math.log2(full + 1) else "direct"


@program
def _by_spectra_along(in1: Any, in2: Any, *, name: str, mode: str, axes: Any) -> Value:
    x, y = promoted(in1, in2)
    if x.ndim != y.ndim:
        raise _error(name, "both arrays must have the same number of dimensions", x, y)
    if x.ndim == 0:
        return UFUNCS[np.multiply](x, y)
    places = prims.normalize_axes(axes, x.ndim)
    if x.size == 0 or y.size == 0:
        return prims.full((0,), 0, FLOAT64)
    if any(1 not in (x.shape[axis], y.shape[axis]) for axis in places):
        x, y = fourier.inexact(x), fourier.inexact(y)
    if name == "oaconvolve" and len(places) == x.ndim and 1 not in (*x.shape, *y.shape):
        method = _method(x.dtype, x.shape, y.shape, mode)
        if method == "direct":
            return _in_mode(name, x, y, mode)
    return _by_spectra(name, x, y, mode, places)


def _by_spectra(name: str, x: Value, y: Value, mode: str, axes: tuple[int, ...]) -> Value:
    """The convolution along some axes of arrays with elements, which are broadcast along others."""
    # Along an axis on which an array has one element, it is a factor.
    axes = tuple([axis for axis in axes if x.shape[axis] != 1 and y.shape[axis] != 1])
    others = [axis for axis in range(x.ndim) if axis not in axes]
    if any(x.shape[i] != y.shape[i] and 1 not in (x.shape[i], y.shape[i]) for i in others):
        raise _error(name, "sizes of axes that are not convolved must be the same, or 1", x, y)
    pairs = [(x.shape[axis], y.shape[axis]) for axis in axes]
    if mode == "valid" and not (all(n >= m for n, m in pairs) or all(n <= m for n, m in pairs)):
        raise _error(name, 'in "valid" mode one array must hold the other in all dimensions', x, y)
    shape = prims.broadcast_shapes(
        tuple([1 if i in axes else n for i, n in enumerate(x.shape)]),
        tuple([1 if i in axes else n for i, n in enumerate(y.shape)]),
    )
    if axes:
        full = [n + m - 1 for n, m in pairs]
        result = _product_of_spectra(name, x, y, axes, [_fast(size) for size in full])
    else:
        full = []
        result = prims.broadcast_to(x, shape) * prims.broadcast_to(y, shape)
    for axis, (n, m), size in zip(axes, pairs, full, strict=True):
        count = size if mode == "full" else n if mode == "same" else abs(n - m) + 1
        start = (size - count) // 2
        result = prims.take_range(result, axis, start, start + count)
    for axis in others if mode == "same" else ():
        start = (result.shape[axis] - x.shape[axis]) // 2
        result = prims.take_range(result, axis, start, start + x.shape[axis])
    return result


def _fast(size: int) -> int:
    """A number of points that fills vectors, unless there are few."""
    return next_fast_len(size, True) if size < 64 else 16 * next_fast_len(-(-size // 16), True)


def _product_of_spectra(
    name: str, x: Value, y: Value, axes: tuple[int, ...], sizes: list[int]
) -> Value:
    x, y = (_extended(value, axes, sizes) for value in (x, y))
    name = f"scipy.signal.{name}"
    if x.dtype.kind == "c":
        a, b = (fourier.fft(value, axes, True, "none") for value in (x, y))
    else:
        a, b = (fourier.rfft(value, axes, True, "none", name) for value in (x, y))
    shape = prims.broadcast_shapes(a.shape, b.shape)
    product = prims.broadcast_to(a, shape) * prims.broadcast_to(b, shape)
    if x.dtype.kind == "c":
        return fourier.fft(product, axes, False, "size")
    return fourier.irfft(product, axes, sizes[-1], False, "size")


def _extended(x: Value, axes: tuple[int, ...], sizes: list[int]) -> Value:
    for axis, size in zip(axes, sizes, strict=True):
        x = fourier.resized(x, axis, size)
    return x


def _hashable(axes: Any) -> Any:
    if axes is None or np.ndim(axes) == 0:
        return axes if axes is None else (operator.index(axes),)
    return tuple([operator.index(axis) for axis in axes])


@program
def _analytic(x: Any, *, size: int | None, axis: int) -> Value:
    value = fourier.inexact(traced(x))
    if value.dtype.kind == "c":
        raise DTypeError("x must be real.", source_location())
    place = prims.normalize_axis(axis, value.ndim)
    n = fourier.require_points(value.shape[place] if size is None else size)
    name = "scipy.signal.hilbert"
    half = fourier.rfft(fourier.resized(value, place, n), [place], True, "none", name)
    # Frequencies between the first and the middle one count twice, negative ones not at all.
    factors = np.full(n // 2 + 1, 2.0)
    factors[0] = 1
    if n % 2 == 0:
        factors[-1] = 1
    shape = [1] * value.ndim
    shape[place] = factors.size
    scale = prims.as_value(factors.reshape(shape), half.dtype)
    whole = fourier.resized(half * prims.broadcast_to(scale, half.shape), place, n)
    return fourier.fft(whole, [place], False, "size")


@program
def _convolved2d(
    in1: Any, in2: Any, fillvalue: Any, *, name: str, mode: str, boundary: str, flip: bool
) -> Value:
    x, y = promoted(in1, in2)
    if x.ndim != 2 or y.ndim != 2:
        raise _error(name, "both arrays must have two dimensions", x, y)
    if x.size == 0 or y.size == 0:
        raise _error(name, "both arrays must have elements", x, y)
    if flip:
        y = prims.reverse(y, [0, 1])
    if mode == "valid":
        return _in_mode(name, x, y, mode)
    widths = [(size - 1, size - 1) for size in y.shape]
    if mode == "same":
        # The middle of a window of even size is on one side, which flipping changes.
        widths = [(size // 2, (size - 1) // 2) for size in y.shape]
        widths = [(high, low) for low, high in widths] if flip else widths
    how = {"fill": "constant", "wrap": "wrap", "symm": "symmetric"}[boundary]
    x = pad(x, widths, how, **({"constant_values": fillvalue} if boundary == "fill" else {}))
    return _correlated(x, prims.reverse(y, [0, 1]), [(0, 0), (0, 0)])


def _in_mode(name: str, x: Value, y: Value, mode: str) -> Value:
    """The convolution of arrays with elements."""
    shape = x.shape
    if mode == "valid" and not (_holds(x.shape, y.shape) or _holds(y.shape, x.shape)):
        raise _error(name, 'in "valid" mode one array must hold the other in all dimensions', x, y)
    if x.size < y.size:
        x, y = y, x
    starts = [{"full": 0, "same": (n + m - 1 - size) // 2, "valid": min(n, m) - 1}[mode]
              for n, m, size in zip(x.shape, y.shape, shape, strict=True)]  # fmt: skip
    sizes = [{"full": n + m - 1, "same": size, "valid": abs(n - m) + 1}[mode]
             for n, m, size in zip(x.shape, y.shape, shape, strict=True)]  # fmt: skip
    # Element p of the full result is the sum in the window that ends at p.
    padding = [
        (m - 1 - start, start + size - n)
        for n, m, start, size in zip(x.shape, y.shape, starts, sizes, strict=True)
    ]
    return _correlated(x, prims.reverse(y, range(y.ndim)), padding)


def _holds(outer: Shape, inner: Shape) -> bool:
    return all(a >= b for a, b in zip(outer, inner, strict=True))


def _correlated(x: Value, kernel: Value, padding: list[tuple[int, int]]) -> Value:
    """Sums of products of the kernel and all its windows in x, with zeros around it."""
    if x.dtype == BOOL:
        counts = _correlated(prims.convert(x, INT64), prims.convert(kernel, INT64), padding)
        return prims.convert(counts, BOOL)
    if x.ndim == 1 and min(padding[0]) >= 0:
        return prims.correlate(x, kernel, *padding[0])
    if x.dtype.kind == "c":
        parts = prims.real(x), prims.imag(x)
        re, im = (_correlated(part, prims.real(kernel), padding) for part in parts)
        turned_re, turned_im = (_correlated(part, prims.imag(kernel), padding) for part in parts)
        return prims.complex_(re - turned_im, im + turned_re)
    ones = (1,) * x.ndim
    result = prims.convolution(
        prims.reshape(x, (1, 1, 1, *x.shape)),
        prims.reshape(kernel, (1, 1, 1, *kernel.shape)),
        ones,
        padding,
        ones,
        ones,
    )
    return prims.reshape(result, result.shape[3:])
