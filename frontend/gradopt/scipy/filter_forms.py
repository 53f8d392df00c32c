# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Filters in other forms and at other frequencies, and what is made of signals by transforms, in
`scipy.signal`.

A change of the variable of a rational function is linear in the coefficients of each polynomial
(Oppenheim and Schafer, Discrete-Time Signal Processing, chapter 7). Leading coefficients that
vanish are not cut off, as sizes do not depend on values.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from gradopt.array.handle import wrap
from gradopt.array.operands import traced
from gradopt.base.frames import hide_frames
from gradopt.base.location import source_location
from gradopt.compilation.programs import program
from gradopt.errors import ArgumentError, ShapeError
from gradopt.ir import prims
from gradopt.scipy.operands import inexact, real

# Coefficients of polynomials, those of the highest power first.
Polynomial = Sequence[float]


def _vectors(name: str, *values: Any) -> list[Any]:
    """Coefficients of filters, in one dtype.

    Raises:
        ShapeError: they are no vectors with elements.
    """
    found = [np.atleast_1d(x) for x in inexact(*values)]
    if any(x.ndim != 1 or not x.shape[0] for x in found):
        raise ShapeError(
            f"{name}: expected vectors of coefficients, got {[x.shape for x in found]}",
            source_location(),
        )
    return found


def _powers(base: Polynomial, count: int) -> list[np.ndarray[Any, Any]]:
    """The powers of a polynomial from 0 on."""
    found = [np.ones(1)]
    for _ in range(count):
        found.append(np.convolve(found[-1], base))
    return found


def _substitution(top: Polynomial, bottom: Polynomial, count: int, degree: int) -> Any:
    """The matrix from coefficients of s to those of z, for `s = top(z) / bottom(z)`.

    Args:
        top, bottom: polynomials of z.
        count: how many coefficients of s there are.
        degree: the power of `bottom` that everything is multiplied by.
    """
    tops, bottoms = _powers(top, degree), _powers(bottom, degree)
    columns = [np.convolve(tops[k], bottoms[degree - k]) for k in reversed(range(count))]
    size = max(column.size for column in columns)
    return np.stack([np.pad(column, (size - column.size, 0)) for column in columns], axis=-1)


def _divided(b: Any, a: Any) -> list[Any]:
    return [traced(b / a[0]), traced(a / a[0])]


@hide_frames
def bilinear(b: Any, a: Any, fs: float = 1.0) -> tuple[Any, Any]:
    """The digital filter of an analog one, by the bilinear transform.

    Args:
        b: the numerator, a vector.
        a: the denominator, a vector.
        fs: the rate of samples, a constant.

    Returns:
        Numerator and denominator, the first coefficient of which is 1.

    Raises:
        ShapeError: they are no vectors.
    """
    return tuple(_bilinear(b, a, fs=float(fs)))


@program
def _bilinear(b: Any, a: Any, *, fs: float) -> Any:
    top, bottom = _vectors("bilinear", b, a)
    degree = max(top.shape[0], bottom.shape[0]) - 1
    numerator, denominator = [
        _substitution((2 * fs, -2 * fs), (1.0, 1.0), x.shape[0], degree).astype(x.dtype) @ x
        for x in (top, bottom)
    ]
    return _divided(numerator, denominator)


def _powers_of(x: Any, count: int) -> Any:
    """Powers of a number from `count - 1` down to 0."""
    return x ** np.arange(count - 1.0, -1.0, -1.0)


@hide_frames
def lp2lp(b: Any, a: Any, wo: Any = 1.0) -> tuple[Any, Any]:
    """An analog lowpass with another edge than 1.

    Args:
        b: the numerator, a vector.
        a: the denominator, a vector.
        wo: the edge, in radians per second.

    Returns:
        Numerator and denominator, the first coefficient of which is 1.

    Raises:
        ShapeError: they are no vectors.
    """
    return tuple(_lp2lp(b, a, wo))


@program
def _lp2lp(b: Any, a: Any, wo: Any) -> Any:
    *parts, edge = inexact(b, a, wo)
    top, bottom = _vectors("lp2lp", *parts)
    return _divided(*[x / _powers_of(edge, x.shape[0]) for x in (top, bottom)])


@hide_frames
def lp2hp(b: Any, a: Any, wo: Any = 1.0) -> tuple[Any, Any]:
    """The analog highpass of a lowpass, with the parameters of `lp2lp`."""
    return tuple(_lp2hp(b, a, wo))


@program
def _lp2hp(b: Any, a: Any, wo: Any) -> Any:
    *parts, edge = inexact(b, a, wo)
    top, bottom = _vectors("lp2hp", *parts)
    size = max(top.shape[0], bottom.shape[0])
    found: list[Any] = []
    for x in (top, bottom):
        # s^k becomes (wo / s)^k, times s to the highest power.
        turned = (x * _powers_of(edge, x.shape[0]))[::-1]
        found.append(np.concatenate([turned, np.zeros(size - x.shape[0], x.dtype)]))
    return _divided(*found)


@hide_frames
def lp2bp(b: Any, a: Any, wo: Any = 1.0, bw: Any = 1.0) -> tuple[Any, Any]:
    """The analog bandpass of a lowpass.

    Args:
        b: the numerator, a vector.
        a: the denominator, a vector.
        wo: the middle of the band, in radians per second.
        bw: its width.

    Returns:
        Numerator and denominator, the first coefficient of which is 1.

    Raises:
        ShapeError: they are no vectors.
    """
    return tuple(_lp2bp(b, a, wo, bw))


def _of_band(x: Any, degree: int, middle: Any, width: Any, is_pass: bool) -> Any:
    """Coefficients for `s = (z^2 + wo^2) / (bw z)`, or its reciprocal, times its denominator."""
    total: Any = np.zeros(2 * degree + 1, x.dtype)
    count = x.shape[0]
    for k in range(count):
        power = k if is_pass else degree - k
        term = x[count - 1 - k]
        # (z^2 + wo^2)^power (bw z)^(degree - power), by the binomial formula.
        for j in range(power + 1):
            place = 2 * degree - (2 * (power - j) + degree - power)
            factor = math.comb(power, j) * middle ** (2 * j) * width ** (degree - power)
            total = total + np.where(np.arange(2 * degree + 1) == place, term * factor, 0)
    return total


@program
def _lp2bp(b: Any, a: Any, wo: Any, bw: Any) -> Any:
    *parts, middle, width = inexact(b, a, wo, bw)
    top, bottom = _vectors("lp2bp", *parts)
    degree = max(top.shape[0], bottom.shape[0]) - 1
    found = [_of_band(x, degree, middle, width, is_pass=True) for x in (top, bottom)]
    # Of a polynomial of lower degree the first coefficients are zero, and known to be.
    starts = [degree + 1 - x.shape[0] for x in (top, bottom)]
    return _divided(*[x[start:] for x, start in zip(found, starts, strict=True)])


@hide_frames
def lp2bs(b: Any, a: Any, wo: Any = 1.0, bw: Any = 1.0) -> tuple[Any, Any]:
    """The analog bandstop of a lowpass, with the parameters of `lp2bp`."""
    return tuple(_lp2bs(b, a, wo, bw))


@program
def _lp2bs(b: Any, a: Any, wo: Any, bw: Any) -> Any:
    *parts, middle, width = inexact(b, a, wo, bw)
    top, bottom = _vectors("lp2bs", *parts)
    degree = max(top.shape[0], bottom.shape[0]) - 1
    return _divided(*[_of_band(x, degree, middle, width, is_pass=False) for x in (top, bottom)])


# -- States and sections -----------------------------------------------------------------------


@hide_frames
def lfiltic(b: Any, a: Any, y: Any, x: Any = None) -> Any:
    """What is in the delays of `lfilter` after some inputs and outputs.

    Args:
        b: the numerator, a vector.
        a: the denominator, a vector; a[0] is not zero.
        y: the last outputs, the latest one first.
        x: the last inputs; zeros by default.

    Returns:
        A vector of as many elements as the filter has delays.

    Raises:
        ShapeError: one of them is no vector.
    """
    return _lfiltic(b, a, y, *(() if x is None else (x,)))


@program
def _lfiltic(*operands: Any) -> Any:
    b, a, *signals = _vectors("lfiltic", *operands)
    b, a = b / a[0], a / a[0]
    size = max(b.shape[0], a.shape[0]) - 1
    total: Any = np.zeros(size, b.dtype)
    for weights, values, sign in zip((a, b), signals, (-1, 1), strict=False):
        count = weights.shape[0] - 1
        known = values[:count]
        known = np.concatenate([known, np.zeros(count - known.shape[0], b.dtype)])
        for k in range(count):
            part = np.sum(weights[k + 1 :] * known[: count - k])
            total = total + np.where(np.arange(size) == k, sign * part, 0)
    return traced(total)


@hide_frames
def sos2zpk(sos: Any) -> tuple[Any, Any, Any]:
    """Zeros, poles and the factor of a filter of sections of second order.

    Args:
        sos: a matrix with six columns: the coefficients of each section.

    Returns:
        Two complex vectors, two of each for each section, and a number.

    Raises:
        ShapeError: it is no such matrix.
    """
    return tuple(_sos2zpk(sos))


@program
def _sos2zpk(sos: Any) -> Any:
    (rows,) = real("signal.sos2zpk", sos)
    if rows.ndim != 2 or rows.shape[1] != 6:
        raise ShapeError(
            f"sos2zpk: sos array must be shape (n_sections, 6), got {rows.shape}", source_location()
        )
    zeros, poles = [_both_roots(rows[:, k : k + 3]) for k in (0, 3)]
    return [traced(zeros), traced(poles), traced(np.prod(rows[:, 0] / rows[:, 3]))]


def _both_roots(rows: Any) -> Any:
    """The roots of polynomials of second order, the two of each beside each other."""
    half = -0.5 * rows[:, 1] / rows[:, 0]
    rest = half * half - rows[:, 2] / rows[:, 0]
    is_real = rest >= 0
    root = np.sqrt(np.where(rest == 0, 1.0, np.abs(rest)))
    root = np.where(rest == 0, 0.0, root)
    # The larger one without cancellation, and the other one by their product.
    large = np.where(half < 0, half - root, half + root)
    is_zero = large == 0
    small = np.where(is_zero, 0.0, rows[:, 2] / rows[:, 0] / np.where(is_zero, 1.0, large))
    first = np.where(is_real, large, half) + 1j * np.where(is_real, 0.0, root)
    second = np.where(is_real, small, half) - 1j * np.where(is_real, 0.0, root)
    return np.ravel(np.stack([first, second], axis=-1))


@hide_frames
def tf2ss(num: Any, den: Any) -> tuple[Any, Any, Any, Any]:
    """The matrices of a state space of a filter, in controllable canonical form.

    Args:
        num: the numerator, a vector of at most as many coefficients as the denominator.
        den: the denominator, a vector.

    Returns:
        The matrices A, B, C and D.

    Raises:
        ShapeError: they are no such vectors.
    """
    return tuple(_tf2ss(num, den))


@program
def _tf2ss(num: Any, den: Any) -> Any:
    top, bottom = _vectors("tf2ss", num, den)
    size = bottom.shape[0] - 1
    if top.shape[0] > size + 1:
        raise ShapeError(
            "tf2ss: Improper transfer function. `num` is longer than `den`.", source_location()
        )
    top, bottom = top / bottom[0], bottom / bottom[0]
    top = np.concatenate([np.zeros(size + 1 - top.shape[0], top.dtype), top])
    through = np.reshape(top[0], (1, 1))
    if not size:
        zero = np.zeros((1, 1), top.dtype)
        return [traced(part) for part in (zero, np.zeros((1, 1), top.dtype), zero, through)]
    below = np.eye(size, dtype=top.dtype)[:-1]
    a = np.concatenate([-bottom[None, 1:], below], axis=0)
    b = np.eye(size, 1, dtype=top.dtype)
    c = top[None, 1:] - top[0] * bottom[None, 1:]
    return [traced(part) for part in (a, wrap(prims.as_value(b)), c, through)]


# -- Signals -----------------------------------------------------------------------------------


@hide_frames
def vectorstrength(events: Any, period: Any) -> tuple[Any, Any]:
    """How far events agree with a period: the length and the angle of the mean of their phases.

    Args:
        events: a vector of times.
        period: one or several.

    Raises:
        ShapeError: the events are no vector, or the periods have several dimensions.
    """
    return tuple(_vectorstrength(events, period))


@program
def _vectorstrength(events: Any, period: Any) -> Any:
    times, periods = real("signal.vectorstrength", events, period)
    if times.ndim > 1 or periods.ndim > 1:
        raise ShapeError(
            f"vectorstrength: events and periods must be vectors, got {times.shape} and "
            f"{periods.shape}",
            source_location(),
        )
    angles = 2 * math.pi * np.ravel(times) / periods[..., None]
    cosine, sine = np.mean(np.cos(angles), axis=-1), np.mean(np.sin(angles), axis=-1)
    return [traced(np.hypot(cosine, sine)), traced(np.arctan2(sine, cosine))]


@hide_frames
def hilbert2(x: Any, N: Any = None, axes: tuple[int, int] = (-2, -1)) -> Any:
    """The analytic signal of two dimensions.

    Args:
        x: array of real numbers; a vector is a row.
        N: the number of points along both axes, or one for each.
        axes: what is transformed.

    Raises:
        UnsupportedError: the numbers are complex.
    """
    places = tuple([operator.index(axis) for axis in axes])
    sizes = None if N is None else tuple(np.broadcast_to(np.asarray(N, int), (2,)).tolist())
    return _hilbert2(x, sizes=sizes, axes=places)


@program
def _hilbert2(x: Any, *, sizes: Any, axes: tuple[int, int]) -> Any:
    (values,) = real("signal.hilbert2", x)
    values = np.atleast_2d(values)
    shape = [values.shape[axis] for axis in axes] if sizes is None else sizes
    spectrum = np.fft.fft2(values, s=shape, axes=axes)
    for axis, size in zip(axes, shape, strict=True):
        weights = np.zeros(size)
        weights[:1] = 1
        weights[1 : (size + 1) // 2] = 2
        place = prims.normalize_axis(axis, values.ndim)
        spectrum = spectrum * np.reshape(
            weights, [size if k == place else 1 for k in range(values.ndim)]
        )
    return traced(np.fft.ifft2(spectrum, axes=axes))


@hide_frames
def minimum_phase(
    h: Any, method: str = "homomorphic", n_fft: int | None = None, *, half: bool = True
) -> Any:
    """The filter of minimum phase of one of linear phase.

    Args:
        h: the coefficients of the filter, a vector of at least 3.
        method: "homomorphic", by the cepstrum (Oppenheim and Schafer, chapter 12); "hilbert" is not
            supported.
        n_fft: the number of points of the transforms.
        half: whether the filter has half of the length, and the root of the response.

    Returns:
        The coefficients, as floats.

    Raises:
        ArgumentError: there is no such method, or there are too few coefficients or points.
    """
    if method not in ("homomorphic", "hilbert"):
        raise ArgumentError(
            f"minimum_phase: method must be 'homomorphic' or 'hilbert', got {method!r}",
            source_location(),
        )
    return _minimum_phase(h, method=method, points=n_fft, half=bool(half))


@program
def _minimum_phase(h: Any, *, method: str, points: Any, half: bool) -> Any:
    (taps,) = real("signal.minimum_phase", h)
    count = taps.shape[0] if taps.ndim == 1 else 0
    if count <= 2:
        raise ArgumentError(
            "h must be 1-D and at least 2 samples long: 3 or more coefficients", source_location()
        )
    size = 2 ** math.ceil(math.log2(2 * (count - 1) / 0.01)) if points is None else int(points)
    if size < count:
        raise ArgumentError(f"n_fft must be at least len(h)=={count}", source_location())
    kept = count // 2 + count % 2 if half else count
    if method == "hilbert":
        raise ArgumentError(
            "minimum_phase: method='hilbert' is not supported; use 'homomorphic'",
            source_location(),
        )
    gain = np.abs(np.fft.fft(taps, size))
    positive = np.where(gain > 0, gain, math.inf)
    logs = np.log(gain + 1e-7 * np.min(positive))
    logs = 0.5 * logs if half else logs
    cepstrum = np.real(np.fft.ifft(logs))
    window = np.zeros(size)
    window[0] = 1
    window[1 : (size + 1) // 2] = 2
    if size % 2 == 0:
        window[size // 2] = 1
    found = np.fft.ifft(np.exp(np.fft.fft(cepstrum * window)))
    return traced(np.real(found)[:kept])
