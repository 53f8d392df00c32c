# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Spectra of signals by their segments: `scipy.signal`'s periodogram, welch, stft and the like.

Parameters that functions share:

    x, y: signals, along `axis`.
    fs: the number of samples in a unit of time.
    window: what segments are multiplied by: values, or what `get_window` takes.
    nperseg: the size of segments; 256 by default, or that of the window.
    noverlap: how many samples a segment shares with the next one; half of it by default.
    nfft: the number of points of transforms; zeros are put behind segments.
    detrend: what is taken away from each segment: "constant", its mean, "linear", the line through
        it, or False, nothing.
    return_onesided: whether of a real signal half of the spectrum is returned.
    scaling: "density", power in a unit of frequency, or "spectrum", power.

Errors that functions share:

    ArgumentError: sizes, names or windows that do not go together.
    AxisError: the axis is out of bounds.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from gradopt.array.dispatch import UFUNCS, unsupported
from gradopt.array.operands import traced
from gradopt.base.dtypes import FLOAT64, kind_of, part_dtype
from gradopt.base.frames import hide_frames
from gradopt.base.location import source_location
from gradopt.compilation.programs import program
from gradopt.errors import ArgumentError, ShapeError
from gradopt.functions.joining import pad
from gradopt.ir import fourier, prims
from gradopt.ir.values import Value
from gradopt.scipy.filters import without_trend
from gradopt.scipy.segments import overlapped, segments
from gradopt.scipy.windows import get_window


class _Options(NamedTuple):
    """What is known of a spectrum while tracing.

    Attributes:
        name: of the function, for messages.
        size: of segments.
        step: from one segment to the next.
        points: of transforms.
        detrend: "constant", "linear" or "".
        one_sided: whether half of a spectrum is asked for.
        density: whether power is that in a unit of frequency.
        axis: of the signal.
        boundary: how the signal is continued at its ends: "zeros", "even", "odd", "constant" or "".
        padded: whether the last segment is filled with zeros.
    """

    name: str
    size: int
    step: int
    points: int
    detrend: str
    one_sided: bool
    density: bool
    axis: int
    boundary: str = ""
    padded: bool = False


def _error(name: str, what: str) -> ArgumentError:
    return ArgumentError(f"scipy.signal.{name}: {what}", source_location())


def _options(
    name: str,
    lengths: Sequence[int],
    window: Any,
    nperseg: Any,
    noverlap: Any,
    nfft: Any,
    detrend: Any,
    one_sided: Any,
    scaling: Any,
    axis: Any,
    **others: Any,
) -> tuple[Any, _Options]:
    """The window as an array, and the options."""
    length = max(lengths)
    size = None if nperseg is None else operator.index(nperseg)
    if size is not None and size < 1:
        raise _error(name, "nperseg must be a positive integer")
    if isinstance(window, (str, tuple, float)):
        size = min(256 if size is None else size, length)
        window = get_window(window, size)
    else:
        shape = np.shape(window)
        if len(shape) != 1:
            raise _error(name, "window must be 1-D")
        if shape[0] > length:
            raise _error(name, "window is longer than input signal")
        if size is not None and size != shape[0]:
            raise _error(name, "value specified for nperseg is different from length of window")
        size = shape[0]
    points = size if nfft is None else operator.index(nfft)
    if points < size:
        raise _error(name, "nfft must be greater than or equal to nperseg.")
    overlap = size // 2 if noverlap is None else operator.index(noverlap)
    if overlap >= size:
        raise _error(name, "noverlap must be less than nperseg.")
    if detrend is not False and (
        not isinstance(detrend, str) or detrend not in ("constant", "linear")
    ):
        raise unsupported(f"detrend={detrend!r} of {name}", 'use "constant", "linear" or False')
    if not isinstance(scaling, str) or scaling not in ("density", "spectrum", "psd"):
        raise _error(name, f"Unknown scaling: {scaling!r}")
    return window, _Options(
        name,
        size,
        size - overlap,
        points,
        detrend or "",
        bool(one_sided),
        scaling != "spectrum",
        operator.index(axis),
        **others,
    )


def _length(x: Any, axis: Any, name: str) -> int:
    shape = np.shape(x)
    length = shape[prims.normalize_axis(axis, len(shape))]
    if length == 0:
        raise ShapeError(f"scipy.signal.{name}: the signal has no elements", source_location())
    return length


# -- Programs ----------------------------------------------------------------------------------


def _last(x: Any, axis: int) -> Value:
    """The signal along the last axis."""
    value = fourier.inexact(traced(x))
    place = prims.normalize_axis(axis, value.ndim)
    return prims.transpose(value, [*[i for i in range(value.ndim) if i != place], place])


def _moved(x: Value, place: int) -> Value:
    """The last axis back at its place."""
    order = list(range(x.ndim - 1))
    order.insert(place, x.ndim - 1)
    return prims.transpose(x, order)


def _rows(values: Value, like: Value) -> Value:
    """A vector for each row, in the dtype of the rows."""
    return prims.broadcast_to(prims.convert(values, like.dtype), like.shape)


def _transformed(x: Value, window: Value, options: _Options, one_sided: bool) -> Value:
    """The spectra of all segments, (..., segments, frequencies)."""
    parts = segments(x, options.size, options.step)
    if options.detrend:
        parts = without_trend(parts, options.detrend)
    last = parts.ndim - 1
    parts = fourier.resized(parts * _rows(window, parts), last, options.points)
    name = f"scipy.signal.{options.name}"
    if one_sided:
        return fourier.rfft(parts, [last], True, "none", name)
    return fourier.fft(parts, [last], True, "none")


def _scale(window: Value, fs: Value, density: bool) -> Value:
    """What power is multiplied by, a float64."""
    w = prims.convert(window, FLOAT64)
    if density:
        return _number(1.0) / (fs * prims.reduce("sum", w * w, [0]))
    total = prims.reduce("sum", w, [0])
    return _number(1.0) / (total * total)


def _number(value: float) -> Value:
    return prims.scalar(value, FLOAT64)


def _scaled(x: Value, scale: Value) -> Value:
    return x * prims.broadcast_to(prims.convert(scale, x.dtype), x.shape)


def _sampling(fs: Any) -> Value:
    return prims.convert(traced(fs), FLOAT64)


def _frequencies(options: _Options, fs: Value, one_sided: bool) -> Value:
    made = np.fft.rfftfreq if one_sided else np.fft.fftfreq
    return _scaled(prims.as_value(made(options.points)), fs)


def _times(count: int, options: _Options, fs: Value) -> Value:
    """The middles of the segments."""
    first = 0.0 if options.boundary else options.size / 2
    places = prims.as_value(first + options.step * np.arange(count, dtype=float))
    return places / prims.broadcast_to(fs, places.shape)


def _doubled(x: Value, options: _Options) -> Value:
    """Power that stands for that of two frequencies, twice."""
    factors = np.full(x.shape[-1], 2.0)
    factors[0] = 1
    if options.points % 2 == 0:
        factors[-1] = 1
    return x * _rows(prims.as_value(factors), x)


def _powers(
    x: Value, y: Value | None, window: Value, fs: Value, options: _Options
) -> tuple[Value, bool]:
    """Power, or that of two signals together, of each segment; whether it is one-sided."""
    one_sided = options.one_sided and all(
        kind_of(signal.dtype) == "f" for signal in (x, y) if signal is not None
    )
    spectrum = _transformed(x, window, options, one_sided)
    if y is None:
        re, im = prims.real(spectrum), prims.imag(spectrum)
        power = re * re + im * im
    else:
        other = _transformed(y, window, options, one_sided)
        shape = prims.broadcast_shapes(spectrum.shape, other.shape)
        power = prims.broadcast_to(prims.conjugate(spectrum), shape)
        power = power * prims.broadcast_to(other, shape)
    power = _scaled(power, _scale(window, fs, options.density))
    return _doubled(power, options) if one_sided else power, one_sided


@program
def _mean_powers(
    x: Any, y: Any, window: Any, fs: Any, *, options: _Options, same: bool
) -> tuple[Any, Any]:
    rate, signal = _sampling(fs), _last(x, options.axis)
    other = None if same else _last(y, options.axis)
    if other is not None:
        dtype = np.result_type(signal.dtype, other.dtype)
        length = max(signal.shape[-1], other.shape[-1])
        signal, other = (
            fourier.resized(prims.convert(v, dtype), v.ndim - 1, length) for v in (signal, other)
        )
    power, one_sided = _powers(signal, other, traced(window), rate, options)
    count = power.ndim - 2
    mean = prims.reduce("sum", power, [count]) * (1 / power.shape[count])
    place = prims.normalize_axis(options.axis, mean.ndim)
    return _frequencies(options, rate, one_sided), _moved(mean, place)


def _continued(x: Value, boundary: str, count: int) -> Value:
    """The signal with `count` more samples at both ends."""
    widths = [(0, 0)] * (x.ndim - 1) + [(count, count)]
    if boundary == "zeros":
        return traced(pad(x, widths))
    if boundary == "constant":
        return traced(pad(x, widths, "edge"))
    mirrored = traced(pad(x, widths, "reflect"))
    # Its mirror image at the first and at the last sample; of the samples themselves, they.
    return mirrored if boundary == "even" else traced(pad(x, widths, "edge")) * 2.0 - mirrored


_BOUNDARIES = ("zeros", "even", "odd", "constant")


@program
def _short_spectra(
    x: Any, window: Any, fs: Any, *, options: _Options, mode: str
) -> tuple[Any, Any, Any]:
    rate, signal, w = _sampling(fs), _last(x, options.axis), traced(window)
    if options.boundary:
        signal = _continued(signal, options.boundary, options.size // 2)
    if options.padded:
        length = signal.shape[-1]
        more = -(length - options.size) % options.step % options.size
        signal = fourier.resized(signal, signal.ndim - 1, length + more)
    if mode == "psd":
        result, one_sided = _powers(signal, None, w, rate, options)
    else:
        one_sided = options.one_sided and kind_of(signal.dtype) == "f"
        root = UFUNCS[np.sqrt](_scale(w, rate, options.density))
        result = _scaled(_transformed(signal, w, options, one_sided), root)
        if mode == "magnitude":
            result = UFUNCS[np.absolute](result)
        elif mode == "angle":
            result = UFUNCS[np.arctan2](prims.imag(result), prims.real(result))
    times = _times(result.shape[-2], options, rate)
    # The frequencies where the signal was, and the segments last.
    swapped = prims.transpose(result, [*range(result.ndim - 2), result.ndim - 1, result.ndim - 2])
    place = prims.normalize_axis(options.axis, signal.ndim)
    order = list(range(result.ndim - 2))
    order.insert(place, result.ndim - 2)
    result = prims.transpose(swapped, [*order, result.ndim - 1])
    return _frequencies(options, rate, one_sided), times, result


# -- Functions ---------------------------------------------------------------------------------


@hide_frames
def welch(
    x: Any,
    fs: Any = 1.0,
    window: Any = "hann_periodic",
    nperseg: int | None = None,
    noverlap: int | None = None,
    nfft: int | None = None,
    detrend: Any = "constant",
    return_onesided: bool = True,
    scaling: str = "density",
    axis: int = -1,
    average: str = "mean",
) -> tuple[Any, Any]:
    """The power of a signal at each frequency: the mean of that of its segments (Welch 1967).

    Parameters and errors are those of this module; `average` is "mean".

    Returns:
        Frequencies, and power along the axis.
    """
    return _mean_spectrum(
        *("welch", x, x, fs, window, nperseg, noverlap, nfft),
        *(detrend, return_onesided, scaling, axis, average),
    )


@hide_frames
def csd(
    x: Any,
    y: Any,
    fs: Any = 1.0,
    window: Any = "hann_periodic",
    nperseg: int | None = None,
    noverlap: int | None = None,
    nfft: int | None = None,
    detrend: Any = "constant",
    return_onesided: bool = True,
    scaling: str = "density",
    axis: int = -1,
    average: str = "mean",
) -> tuple[Any, Any]:
    """The power of two signals together, conj(X) Y, as `welch`; the shorter one ends in zeros."""
    return _mean_spectrum(
        *("csd", x, y, fs, window, nperseg, noverlap, nfft),
        *(detrend, return_onesided, scaling, axis, average),
    )


def _mean_spectrum(
    name: str,
    x: Any,
    y: Any,
    fs: Any,
    window: Any,
    nperseg: Any,
    noverlap: Any,
    nfft: Any,
    detrend: Any,
    return_onesided: Any,
    scaling: Any,
    axis: Any,
    average: Any,
) -> tuple[Any, Any]:
    if average != "mean":
        raise unsupported(f"average={average!r} of {name}", 'use "mean"')
    lengths = [_length(signal, axis, name) for signal in (x, y)]
    values, options = _options(
        name, lengths, window, nperseg, noverlap, nfft, detrend, return_onesided, scaling, axis
    )
    return _mean_powers(x, y, values, fs, options=options, same=x is y)


@hide_frames
def coherence(
    x: Any,
    y: Any,
    fs: Any = 1.0,
    window: Any = "hann_periodic",
    nperseg: int | None = None,
    noverlap: int | None = None,
    nfft: int | None = None,
    detrend: Any = "constant",
    axis: int = -1,
) -> tuple[Any, Any]:
    """How far two signals depend on each other linearly: |Pxy|^2 / (Pxx Pyy), between 0 and 1."""
    rest = (fs, window, nperseg, noverlap, nfft, detrend, True, "density", axis, "mean")
    frequencies, xx = _mean_spectrum("coherence", x, x, *rest)
    yy = _mean_spectrum("coherence", y, y, *rest)[1]
    xy = _mean_spectrum("coherence", x, y, *rest)[1]
    return frequencies, np.abs(xy) ** 2 / xx / yy


@hide_frames
def periodogram(
    x: Any,
    fs: Any = 1.0,
    window: Any = "boxcar",
    nfft: int | None = None,
    detrend: Any = "constant",
    return_onesided: bool = True,
    scaling: str = "density",
    axis: int = -1,
) -> tuple[Any, Any]:
    """The power of a signal at each frequency, of the whole of it: `welch` with one segment."""
    length = _length(x, axis, "periodogram")
    size = length if nfft is None else min(length, fourier.require_points(operator.index(nfft)))
    if size < length:
        place = prims.normalize_axis(axis, np.ndim(x))
        x = x[(slice(None),) * place + (slice(size),)]
    if not isinstance(window, (str, tuple, float)) and np.shape(window) != (size,):
        raise _error("periodogram", "the size of the window must be the same size of the input")
    return _mean_spectrum(
        *("periodogram", x, x, fs, window, size, 0, nfft),
        *(detrend, return_onesided, scaling, axis, "mean"),
    )


@hide_frames
def stft(
    x: Any,
    fs: Any = 1.0,
    window: Any = "hann_periodic",
    nperseg: int | None = 256,
    noverlap: int | None = None,
    nfft: int | None = None,
    detrend: Any = False,
    return_onesided: bool = True,
    boundary: str | None = "zeros",
    padded: bool = True,
    axis: int = -1,
    scaling: str = "spectrum",
) -> tuple[Any, Any, Any]:
    """The spectra of the segments of a signal.

    Parameters and errors are those of this module, and:

    Args:
        boundary: how the signal is continued at its ends, so that the first segment is around the
            first sample: "zeros", "even", "odd", "constant", or None, not at all.
        padded: whether zeros are put behind it to fill the last segment.
        scaling: "spectrum" or "psd".

    Returns:
        Frequencies, times, and spectra: frequencies along the axis, and times along the last one.
    """
    if boundary is not None and boundary not in _BOUNDARIES:
        raise _error("stft", f"Unknown boundary option {boundary!r}")
    if scaling not in ("spectrum", "psd"):
        raise _error("stft", f"Parameter scaling={scaling!r} not in ['spectrum', 'psd']!")
    values, options = _options(
        *("stft", [_length(x, axis, "stft")], window, nperseg, noverlap, nfft),
        *(detrend, return_onesided, scaling, axis),
        boundary=boundary or "",
        padded=bool(padded),
    )
    return _short_spectra(x, values, fs, options=options, mode="stft")


@hide_frames
def spectrogram(
    x: Any,
    fs: Any = 1.0,
    window: Any = ("tukey_periodic", 0.25),
    nperseg: int | None = None,
    noverlap: int | None = None,
    nfft: int | None = None,
    detrend: Any = "constant",
    return_onesided: bool = True,
    scaling: str = "density",
    axis: int = -1,
    mode: str = "psd",
) -> tuple[Any, Any, Any]:
    """The power of the segments of a signal at each frequency.

    Parameters and errors are those of this module; segments share an eighth by default. `mode` is
    "psd", "complex", the spectra themselves, "magnitude", or "angle".

    Returns:
        Frequencies, times, and power: frequencies along the axis, and times along the last one.
    """
    if mode not in ("psd", "complex", "magnitude", "angle"):
        raise unsupported(f"mode={mode!r} of spectrogram", "use psd, complex, magnitude or angle")
    length = _length(x, axis, "spectrogram")
    if noverlap is None:
        is_named = isinstance(window, (str, tuple, float))
        size = min(nperseg or 256, length) if is_named else np.shape(window)[0]
        noverlap = size // 8
    values, options = _options(
        *("spectrogram", [length], window, nperseg, noverlap, nfft),
        *(detrend, return_onesided, scaling, axis),
    )
    return _short_spectra(x, values, fs, options=options, mode=mode)


@hide_frames
def istft(
    Zxx: Any,
    fs: Any = 1.0,
    window: Any = "hann_periodic",
    nperseg: int | None = None,
    noverlap: int | None = None,
    nfft: int | None = None,
    input_onesided: bool = True,
    boundary: bool = True,
    time_axis: int = -1,
    freq_axis: int = -2,
    scaling: str = "spectrum",
) -> tuple[Any, Any]:
    """The signal of which `stft` has made spectra, or the one next to it.

    Parameters and errors are those of this module, and:

    Args:
        Zxx: the spectra.
        input_onesided: whether they are half of a spectrum each.
        boundary: whether the signal was continued at its ends.
        time_axis: along which the segments lie.
        freq_axis: along which the frequencies lie.
        scaling: "spectrum" or "psd".

    Returns:
        Times, and the signal, along the axis of times.
    """
    rank = np.ndim(Zxx)
    if rank < 2:
        raise _error("istft", "Input stft must be at least 2d!")
    times, frequencies = (prims.normalize_axis(axis, rank) for axis in (time_axis, freq_axis))
    if times == frequencies:
        raise _error("istft", "Must specify differing time and frequency axes!")
    if scaling not in ("spectrum", "psd"):
        raise _error("istft", f"Parameter scaling={scaling!r} not in ['spectrum', 'psd']!")
    count = np.shape(Zxx)[frequencies]
    usual = 2 * (count - 1) if input_onesided else count
    size = usual if nperseg is None else operator.index(nperseg)
    points = nfft
    if points is None:
        points = size if input_onesided and size == usual + 1 else usual
    values, options = _options(
        *("istft", [size], window, size, noverlap, points, False, input_onesided, scaling, times),
        boundary="zeros" if boundary else "",
    )
    return _signal(Zxx, values, fs, options=options, frequencies=frequencies)


@program
def _signal(
    spectra: Any, window: Any, fs: Any, *, options: _Options, frequencies: int
) -> tuple[Any, Any]:
    rate, z = _sampling(fs), fourier.as_complex(traced(spectra))
    others = [i for i in range(z.ndim) if i not in (options.axis, frequencies)]
    z = prims.transpose(z, [*others, options.axis, frequencies])
    last = z.ndim - 1
    if options.one_sided:
        half = fourier.resized(z, last, options.points // 2 + 1)
        parts = fourier.irfft(half, [last], options.points, False, "size")
    else:
        parts = fourier.fft(fourier.resized(z, last, options.points), [last], False, "size")
    parts = prims.take_range(parts, last, 0, options.size)
    kind = part_dtype(parts.dtype)
    w = prims.convert(traced(window), kind)
    # Each is multiplied by the window once more, and the sum divided by that of the squares.
    signal = overlapped(parts * _rows(w, parts), options.step)
    squares = prims.broadcast_to(w * w, (z.shape[-2], options.size))
    weights = overlapped(squares, options.step)
    if options.boundary:
        start, stop = options.size // 2, signal.shape[-1] - options.size // 2
        signal = prims.take_range(signal, signal.ndim - 1, start, stop)
        weights = prims.take_range(weights, 0, start, stop)
    one = prims.full(weights.shape, 1, kind)
    weights = prims.select(weights > 1e-10, weights, one)
    root = UFUNCS[np.sqrt](_scale(w, rate, options.density))
    signal = signal / _rows(weights, signal)
    signal = signal / prims.broadcast_to(prims.convert(root, signal.dtype), signal.shape)
    place = options.axis - (frequencies < options.axis)
    places = prims.as_value(np.arange(signal.shape[-1], dtype=float))
    return places / prims.broadcast_to(rate, places.shape), _moved(signal, place)
