# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Frequency responses and other forms of filters: `scipy.signal`'s freqz, freqs, zpk2tf ..."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from gradopt.array.operands import is_traced
from gradopt.base.frames import hide_frames
from gradopt.base.location import source_location
from gradopt.errors import ShapeError
from gradopt.scipy.filter_design import coefficients


def _vector(value: Any) -> Any:
    """A vector of numbers; of one number, one."""
    if isinstance(value, (list, tuple)) and is_traced(value):
        value = np.stack(value)
    return np.reshape(value if is_traced(value) else np.asarray(value), -1)


def _polynomial(rows: Any, x: Any) -> Any:
    """The sum of `rows[k] * x**k`, by Horner's scheme."""
    total = 0 * x
    for k in range(int(rows.shape[0]) - 1, -1, -1):
        total = total * x + rows[k]
    return total


def _frequencies(worN: Any, whole: bool, fs: Any, nyquist: bool) -> tuple[Any, Any]:
    """The frequencies in radians per sample, and in the units of `fs`."""
    scale = 2 * np.pi / fs
    if worN is None:
        worN = 512
    if not is_traced(worN) and np.ndim(worN) == 0:
        last = 2 * np.pi if whole else np.pi
        count = operator.index(worN)
        radians = np.linspace(0, last, count, endpoint=nyquist and not whole)
        return radians, radians / scale
    given = _vector(worN)
    return given * scale, given


@hide_frames
def freqz(
    b: Any,
    a: Any = 1,
    worN: Any = 512,
    whole: bool = False,
    plot: None = None,
    fs: Any = 2 * np.pi,
    include_nyquist: bool = False,
) -> tuple[Any, Any]:
    """The frequency response of a digital filter.

    Args:
        b: numerator, a vector.
        a: denominator, a vector or a number.
        worN: the number of frequencies, or these, in the units of `fs`.
        whole: whether they go up to `fs`, and not to its half.
        plot: not used.
        fs: the sampling rate.
        include_nyquist: whether half of `fs` is one of them.

    Returns:
        Frequencies, and complex numbers.

    Raises:
        ShapeError: `b` or `a` has more dimensions.
    """
    if max(np.ndim(b), np.ndim(a)) > 1:
        raise ShapeError("freqz: expected vectors b and a", source_location())
    radians, frequencies = _frequencies(worN, whole, fs, include_nyquist)
    delay = np.exp(-1j * radians)
    return frequencies, _polynomial(_vector(b), delay) / _polynomial(_vector(a), delay)


@hide_frames
def freqz_zpk(
    z: Any, p: Any, k: Any, worN: Any = 512, whole: bool = False, fs: Any = 2 * np.pi
) -> tuple[Any, Any]:
    """As `freqz`, of a filter by its zeros, poles and factor."""
    radians, frequencies = _frequencies(worN, whole, fs, False)
    place = np.exp(1j * radians)[:, None]
    ratio = np.prod(place - _vector(z), axis=-1) / np.prod(place - _vector(p), axis=-1)
    return frequencies, k * ratio


@hide_frames
def freqz_sos(
    sos: Any, worN: Any = 512, whole: bool = False, fs: Any = 2 * np.pi
) -> tuple[Any, Any]:
    """As `freqz`, of sections of second order, of shape (n, 6)."""
    sections = _sections("freqz_sos", sos)
    radians, frequencies = _frequencies(worN, whole, fs, False)
    delay = np.exp(-1j * radians)
    response: Any = 1.0
    for section in [sections[row] for row in range(int(sections.shape[0]))]:
        response = response * _polynomial(section[:3], delay) / _polynomial(section[3:], delay)
    return frequencies, response


sosfreqz = freqz_sos


def _sections(name: str, sos: Any) -> Any:
    """Sections of second order.

    Raises:
        ShapeError: they are not.
    """
    if np.ndim(sos) != 2 or np.shape(sos)[1] != 6:
        raise ShapeError(
            f"{name}: sos array must be shape (n_sections, 6), but it is {np.shape(sos)}",
            source_location(),
        )
    return sos if is_traced(sos) else np.asarray(sos)


@hide_frames
def freqs(b: Any, a: Any, worN: Any, plot: None = None) -> tuple[Any, Any]:
    """The frequency response of an analog filter.

    Args:
        b: numerator, a vector, the highest power first.
        a: denominator.
        worN: frequencies in radians per second.
        plot: not used.

    Returns:
        Frequencies, and complex numbers.
    """
    radians = _vector(worN)
    place = 1j * radians
    return radians, _polynomial(_vector(b)[::-1], place) / _polynomial(_vector(a)[::-1], place)


@hide_frames
def freqs_zpk(z: Any, p: Any, k: Any, worN: Any) -> tuple[Any, Any]:
    """As `freqs`, of a filter by its zeros, poles and factor."""
    radians = _vector(worN)
    place = (1j * radians)[:, None]
    ratio = np.prod(place - _vector(z), axis=-1) / np.prod(place - _vector(p), axis=-1)
    return radians, k * ratio


@hide_frames
def group_delay(
    system: Any, w: Any = 512, whole: bool = False, fs: Any = 2 * np.pi
) -> tuple[Any, Any]:
    """The delay of the envelope: minus the derivative of the phase in the frequency.

    Args:
        system: numerator and denominator.
        w: the number of frequencies, or these, in the units of `fs`.
        whole: whether they go up to `fs`, and not to its half.
        fs: the sampling rate.

    Returns:
        Frequencies, and delays in samples; infinite or NaN where the response is zero, where SciPy
        warns and gives 0.
    """
    b, a = [_vector(part) for part in system]
    radians, frequencies = _frequencies(w, whole, fs, False)
    delay = np.exp(-1j * radians)
    # That of a product is the sum of delays (Smith, Introduction to Digital Filters).
    rows = np.convolve(b, np.conj(a)[::-1])
    ramp = rows * np.arange(int(rows.shape[0]))
    ratio = _polynomial(ramp, delay) / _polynomial(rows, delay)
    return frequencies, np.real(ratio) - (int(a.shape[0]) - 1)


# -- Forms -------------------------------------------------------------------------------------


@hide_frames
def zpk2tf(z: Any, p: Any, k: Any) -> tuple[Any, Any]:
    """Numerator and denominator of a filter by its zeros, poles and factor.

    Args:
        z: zeros, a vector; complex ones come with their conjugates.
        p: poles.
        k: the factor.
    """
    return k * coefficients(_vector(z)), coefficients(_vector(p))


@hide_frames
def tf2zpk(b: Any, a: Any) -> tuple[Any, Any, Any]:
    """Zeros, poles and factor of a filter by its numerator and denominator."""
    top, bottom = _vector(b), _vector(a)
    top, bottom = top / bottom[0], bottom / bottom[0]
    return np.roots(top), np.roots(bottom), top[0]


@hide_frames
def sos2tf(sos: Any) -> tuple[Any, Any]:
    """Numerator and denominator of sections of second order, of shape (n, 6)."""
    sections = _sections("sos2tf", sos)
    top, bottom = np.ones(1), np.ones(1)
    for section in [sections[row] for row in range(int(sections.shape[0]))]:
        top, bottom = np.convolve(top, section[:3]), np.convolve(bottom, section[3:])
    return top, bottom
