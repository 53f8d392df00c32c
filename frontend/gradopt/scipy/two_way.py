# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Filters made of others: `scipy.signal`'s filtfilt, sosfiltfilt, upfirdn, resample, medfilt ...

They are written with NumPy's functions and those of `gradopt.scipy`, so that there are derivatives
in all that is a float.
"""

from __future__ import annotations

import math
import operator
from typing import Any

import numpy as np

from gradopt.array.dispatch import unsupported
from gradopt.array.operands import is_traced, traced
from gradopt.base.frames import hide_frames
from gradopt.base.location import source_location
from gradopt.compilation.programs import program
from gradopt.errors import ArgumentError, ShapeError
from gradopt.ir import prims
from gradopt.scipy.filters import lfilter, sosfilt
from gradopt.scipy.operands import inexact


def _length(value: Any) -> int:
    return len(value) if isinstance(value, (list, tuple)) else int(np.size(value))


def _axis_of(x: Any, axis: int) -> int:
    return prims.normalize_axis(operator.index(axis), x.ndim)


# -- States of rest ----------------------------------------------------------------------------


@hide_frames
def lfilter_zi(b: Any, a: Any) -> Any:
    """What is in the delays of `lfilter` where a step response has settled.

    Args:
        b: the numerator, a vector.
        a: the denominator, a vector; a[0] is not zero.

    Raises:
        ShapeError: one of them is no vector.
    """
    return _rest(b, a)


@program
def _rest(b: Any, a: Any) -> Any:
    return traced(_settled(*inexact(b, a)))


def _settled(b: Any, a: Any) -> Any:
    if b.ndim != 1 or a.ndim != 1:
        raise ShapeError(
            f"lfilter_zi: expected vectors, got {b.shape} and {a.shape}", source_location()
        )
    size = max(b.shape[0], a.shape[0])
    b, a = b / a[0], a / a[0]
    b, a = [np.concatenate([v, np.zeros(size - v.shape[0], v.dtype)]) for v in (b, a)]
    # Each delay holds what is left of the sums; at rest the output is sum(b) / sum(a).
    gain = np.sum(b) / np.sum(a)
    rests = b - a * gain
    return np.cumsum(rests[:0:-1])[::-1]


@hide_frames
def sosfilt_zi(sos: Any) -> Any:
    """What is in the delays of `sosfilt` where a step response has settled, of shape (n, 2).

    Args:
        sos: sections, of shape (n, 6).

    Raises:
        ShapeError: it has another shape.
    """
    return _rest_of_sections(sos)


@program
def _rest_of_sections(sos: Any) -> Any:
    (sections,) = inexact(sos)
    return traced(_settled_sections(sections))


def _settled_sections(sections: Any) -> Any:
    if sections.ndim != 2 or sections.shape[1] != 6:
        raise ShapeError(
            f"sos array must be shape (n_sections, 6), but it is {sections.shape}",
            source_location(),
        )
    level: Any = 1.0
    rows: list[Any] = []
    for i in range(sections.shape[0]):
        b, a = sections[i, :3], sections[i, 3:]
        rows.append(level * _settled(b, a))
        level = level * np.sum(b) / np.sum(a)
    return np.stack(rows)


# -- Forwards and backwards --------------------------------------------------------------------


@hide_frames
def filtfilt(
    b: Any,
    a: Any,
    x: Any,
    axis: int = -1,
    padtype: str | None = "odd",
    padlen: int | None = None,
    method: str = "pad",
    irlen: None = None,
) -> Any:
    """A rational filter forwards and backwards, which delays nothing.

    Args:
        b: the numerator, a vector.
        a: the denominator, a vector; a[0] is not zero.
        x: signals.
        axis: along which they are filtered.
        padtype: how they are continued at both ends: "odd", turned by half a turn; "even",
            mirrored; "constant"; or None, not at all.
        padlen: by how many elements; three times the length of the filter by default.
        method: "pad".
        irlen: not used.

    Raises:
        UnsupportedError: another method.
        ArgumentError: there is no such `padtype`, or signals are not longer than `padlen`.
    """
    if method != "pad":
        raise unsupported(f"method={method!r} of scipy.signal.filtfilt", 'use method="pad"')
    width = 3 * max(_length(b), _length(a))
    return _forwards_backwards(
        b,
        a,
        x,
        axis=operator.index(axis),
        kind=_checked(padtype),
        width=_width(width, padlen, padtype),
    )


@hide_frames
def sosfiltfilt(
    sos: Any, x: Any, axis: int = -1, padtype: str | None = "odd", padlen: int | None = None
) -> Any:
    """As `filtfilt`, of sections of second order.

    By default, signals are continued by `3 * (2 * n + 1 - m)` elements, m the number of sections
    that are of first order in numerator or denominator: where `sos` is traced, m counts as 0, and
    `padlen` is needed to have SciPy's.
    """
    count = int(np.shape(sos)[0])
    least = 0
    if not is_traced(sos):
        rows = np.asarray(sos)
        least = int(min(np.sum(rows[:, 2] == 0), np.sum(rows[:, 5] == 0)))
    width = 3 * (2 * count + 1 - least)
    return _sections_both_ways(
        sos,
        x,
        axis=operator.index(axis),
        kind=_checked(padtype),
        width=_width(width, padlen, padtype),
    )


def _checked(padtype: str | None) -> str | None:
    if padtype not in ("even", "odd", "constant", None):
        raise ArgumentError(
            f"Unknown value '{padtype}' given to padtype. padtype must be 'even', 'odd', "
            "'constant', or None.",
            source_location(),
        )
    return padtype


def _width(default: int, padlen: int | None, padtype: str | None) -> int:
    if padtype is None:
        return 0
    return default if padlen is None else operator.index(padlen)


def _continued(x: Any, kind: str | None, width: int) -> Any:
    """Signals that are continued along the last axis.

    Raises:
        ArgumentError: they are too short.
    """
    if x.shape[-1] <= width:
        raise ArgumentError(
            f"The length of the input vector x must be greater than padlen, which is {width}.",
            source_location(),
        )
    if not width:
        return x
    low, high = x[..., :1], x[..., -1:]
    if kind == "constant":
        before, after = np.repeat(low, width, -1), np.repeat(high, width, -1)
    else:
        before, after = x[..., width:0:-1], x[..., -2 : -width - 2 : -1]
    if kind == "odd":
        before, after = 2 * low - before, 2 * high - after
    return np.concatenate([before, x, after], axis=-1)


def _cut(y: Any, width: int, place: int) -> Any:
    kept = y[..., width : y.shape[-1] - width]
    return traced(np.moveaxis(kept, -1, place))


@program
def _forwards_backwards(b: Any, a: Any, x: Any, *, axis: int, kind: str | None, width: int) -> Any:
    b, a, x = inexact(b, a, x)
    place = _axis_of(x, axis)
    y = _continued(np.moveaxis(x, place, -1), kind, width)
    start = _settled(b, a)
    for _ in range(2):
        y = lfilter(b, a, y, zi=start * y[..., :1])[0][..., ::-1]
    return _cut(y, width, place)


@program
def _sections_both_ways(sos: Any, x: Any, *, axis: int, kind: str | None, width: int) -> Any:
    sos, x = inexact(sos, x)
    place = _axis_of(x, axis)
    y = _continued(np.moveaxis(x, place, -1), kind, width)
    start = _settled_sections(sos)
    start = np.reshape(start, (start.shape[0], *(1,) * (y.ndim - 1), 2))
    for _ in range(2):
        y = sosfilt(sos, y, zi=start * y[..., :1])[0][..., ::-1]
    return _cut(y, width, place)


# -- Other rates -------------------------------------------------------------------------------


@hide_frames
def upfirdn(h: Any, x: Any, up: int = 1, down: int = 1, axis: int = -1) -> Any:
    """Zeros between samples, a filter of finite length, and every `down`-th sample of that.

    Args:
        h: the filter, a vector.
        x: signals.
        up: as many times more samples.
        down: of how many one is taken.
        axis: of the samples.

    Raises:
        ArgumentError: `up` or `down` is less than 1.
        ShapeError: `h` is no vector with elements.
    """
    counts = operator.index(up), operator.index(down)
    if min(counts) < 1:
        raise ArgumentError("Both up and down must be >= 1", source_location())
    return _resampled(h, x, up=counts[0], down=counts[1], axis=operator.index(axis))


@program
def _resampled(h: Any, x: Any, *, up: int, down: int, axis: int) -> Any:
    h, x = inexact(h, x)
    if h.ndim != 1 or not h.shape[0]:
        raise ShapeError("h must be 1-D with non-zero length", source_location())
    place = _axis_of(x, axis)
    rows = np.moveaxis(x, place, -1)
    if up > 1:
        zeros = np.zeros((*rows.shape, up - 1), rows.dtype)
        rows = np.concatenate([rows[..., None], zeros], axis=-1)
        rows = np.reshape(rows, (*rows.shape[:-2], -1))[..., : (x.shape[place] - 1) * up + 1]
    rows = np.concatenate([rows, np.zeros((*rows.shape[:-1], h.shape[0] - 1), rows.dtype)], axis=-1)
    y = lfilter(h, np.ones(1, h.dtype), rows)[..., ::down]
    return traced(np.moveaxis(y, -1, place))


@hide_frames
def resample(
    x: Any, num: int, t: Any = None, axis: int = 0, window: None = None, domain: str = "time"
) -> Any:
    """Signals at another number of places, by their spectra: they are taken for periodic.

    Args:
        x: signals.
        num: the number of samples.
        t: not supported.
        axis: of the samples.
        window: not supported.
        domain: "time".

    Raises:
        UnsupportedError: `t`, `window` or another domain.
        ArgumentError: `num` is not positive.
    """
    for keyword, value in (("t", t), ("window", window)):
        if value is not None:
            raise unsupported(f"keyword {keyword}= of scipy.signal.resample")
    if domain != "time":
        raise unsupported(f"domain={domain!r} of scipy.signal.resample")
    count = operator.index(num)
    if count < 1:
        raise ArgumentError(f"resample: num must be positive, but it is {count}", source_location())
    return _by_spectrum(x, count=count, axis=operator.index(axis))


@program
def _by_spectrum(x: Any, *, count: int, axis: int) -> Any:
    (x,) = inexact(x)
    place = _axis_of(x, axis)
    rows = np.moveaxis(x, place, -1)
    size = rows.shape[-1]
    least = min(size, count)
    is_complex = x.dtype.kind == "c"
    if not is_complex:
        spectrum = np.fft.rfft(rows)[..., : least // 2 + 1]
        if least % 2 == 0 and size != count:
            # The highest frequency is its own counterpart in the shorter one only.
            factor = np.ones(least // 2 + 1)
            factor[-1] = 2.0 if count < size else 0.5
            spectrum = spectrum * factor
        y = np.fft.irfft(spectrum, count)
    else:
        spectrum = np.fft.fft(rows)
        middle = least // 2 + 1
        low, high = spectrum[..., :middle], spectrum[..., size - (least - middle) :]
        if least % 2 == 0 and size != count:
            top = spectrum[..., least // 2 : least // 2 + 1]
            if count < size:
                top = top + spectrum[..., size - least // 2 : size - least // 2 + 1]
                low = np.concatenate([low[..., :-1], top], axis=-1)
            else:
                low = np.concatenate([low[..., :-1], 0.5 * top], axis=-1)
                high = np.concatenate([0.5 * top, high], axis=-1)
        gap = np.zeros((*rows.shape[:-1], count - low.shape[-1] - high.shape[-1]), low.dtype)
        y = np.fft.ifft(np.concatenate([low, gap, high], axis=-1))
    return traced(np.moveaxis((y * (count / size)).astype(x.dtype), -1, place))


@hide_frames
def deconvolve(signal: Any, divisor: Any) -> tuple[Any, Any]:
    """Quotient and rest of two polynomials: `signal = convolve(divisor, quotient) + rest`.

    Args:
        signal: a vector.
        divisor: a vector, whose first element is not zero.

    Raises:
        ShapeError: one of them is no vector.
    """
    return tuple(_divided(signal, divisor))  # pyright: ignore[reportReturnType]


@program
def _divided(signal: Any, divisor: Any) -> Any:
    x, d = inexact(signal, divisor)
    if x.ndim != 1 or d.ndim != 1:
        raise ShapeError(
            f"deconvolve: expected vectors, got {x.shape} and {d.shape}", source_location()
        )
    size = x.shape[0] - d.shape[0] + 1
    if size < 1:
        return [traced(np.zeros(0, x.dtype)), traced(x)]
    impulse = np.zeros(size, x.dtype)
    impulse[0] = 1
    quotient = lfilter(x, d, impulse)
    return [traced(quotient), traced(x - np.convolve(d, quotient))]


# -- Waves -------------------------------------------------------------------------------------


@hide_frames
def unit_impulse(shape: Any, idx: Any = None, dtype: Any = float) -> Any:
    """Zeros, and a one: at the beginning, at `idx`, or in the "mid"dle."""
    out = np.zeros(shape, dtype)
    if idx is None:
        place: Any = (0,) * out.ndim
    elif isinstance(idx, str):
        if idx != "mid":
            raise ArgumentError(f"unit_impulse: there is no idx={idx!r}", source_location())
        place = tuple([size // 2 for size in out.shape])
    else:
        place = idx if np.ndim(idx) else (idx,) * out.ndim
        place = tuple([operator.index(i) for i in place])
    out[place] = 1
    return out


@hide_frames
def square(t: Any, duty: Any = 0.5) -> Any:
    """A square wave: 1 for `duty` of each turn of 2 pi, then -1. Its derivatives are zero.

    Args:
        t: angles.
        duty: between 0 and 1; the wave is NaN elsewhere.
    """
    return _square(t, duty)


@program
def _square(t: Any, duty: Any) -> Any:
    angle, part = inexact(t, duty)
    turn = np.mod(angle, 2 * math.pi)
    wave = np.where(turn < part * (2 * math.pi), 1.0, -1.0) + 0 * angle
    valid = (part >= 0) & (part <= 1)
    return prims.stop_gradient(traced(np.where(valid, wave, math.nan)))


@hide_frames
def sawtooth(t: Any, width: Any = 1) -> Any:
    """A wave that rises from -1 to 1 in `width` of each turn of 2 pi, and falls in the rest.

    Args:
        t: angles.
        width: between 0 and 1; the wave is NaN elsewhere.
    """
    return _sawtooth(t, width)


@program
def _sawtooth(t: Any, width: Any) -> Any:
    angle, part = inexact(t, width)
    valid = (part >= 0) & (part <= 1)
    turn = np.mod(angle, 2 * math.pi) / (2 * math.pi)
    rises = turn < part
    up, down = np.where(rises, part, 1.0), np.where(rises, 0.5, part)
    wave = np.where(rises, 2 * turn / up - 1, (1 + down - 2 * turn) / (1 - down))
    return traced(np.where(valid, wave, math.nan))
