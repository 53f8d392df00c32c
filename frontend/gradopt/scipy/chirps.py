# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""`scipy.signal`: spectra at other frequencies than those of the Fourier transform.

The chirp z-transform is a convolution (Rabiner, Schafer and Rader 1969); the periodogram of samples
at any times is that of Lomb and Scargle, with weights and a mean as Zechmeister and Kuerster (2009)
have them. Points on contours, frequencies, times and samples may be traced.
"""

from __future__ import annotations

import math
import operator
from typing import Any

import numpy as np

from gradopt.array.handle import wrap
from gradopt.array.operands import listed, traced
from gradopt.base.dtypes import FLOAT64
from gradopt.base.frames import hide_frames
from gradopt.base.location import source_location
from gradopt.compilation.programs import program
from gradopt.errors import ArgumentError, ShapeError
from gradopt.ir import prims
from gradopt.ir.values import Value
from gradopt.scipy.fft import next_fast_len


def _count(name: str, m: Any, n: int) -> int:
    """The number of points, as many as samples by default.

    Raises:
        ArgumentError: there are none.
    """
    count = n if m is None else operator.index(m)
    if n < 1 or count < 1:
        raise ArgumentError(
            f"scipy.signal.{name} takes at least one sample and one point, not {n} and {count}",
            source_location(),
        )
    return count


def _size(name: str, x: Any, axis: int) -> int:
    shape = np.shape(x)
    if not -len(shape) <= axis < len(shape):
        raise ShapeError(
            f"scipy.signal.{name}: axis {axis} is out of bounds for an array of {len(shape)} "
            "dimensions",
            source_location(),
        )
    return shape[axis]


@hide_frames
def czt(x: Any, m: int | None = None, w: Any = None, a: Any = 1 + 0j, *, axis: int = -1) -> Any:
    """The z-transform of a signal at the points `a * w**-k` for k from 0 to m - 1.

    Args:
        x: the signal, along `axis`.
        m: the number of points, as many as there are samples if None.
        w: the ratio between points; the m-th root of unity if None.
        a: the first point.
        axis: of the samples, and of the points in the result.

    Raises:
        ArgumentError: there are no samples or no points.
        ShapeError: there is no such axis.
    """
    n = _size("czt", x, axis)
    count = _count("czt", m, n)
    ratio = () if w is None else (w,)
    return _czt(x, a, *ratio, count=count, axis=axis)


@program
def _czt(x: Any, a: Any, *w: Any, count: int, axis: int) -> Value:
    k = np.arange(max(count, np.shape(x)[axis]))
    if w:
        chirp = _complex(w[0]) ** (k**2 / 2.0)
    else:
        # Angles by whole numbers, which lose no digits however large they are.
        chirp = np.exp(-1j * math.pi * (k**2 % (2 * count)) / count)
    starts = _complex(a) ** -k[: np.shape(x)[axis]]
    return _convolved(x, chirp, starts, count, axis)


@hide_frames
def zoom_fft(
    x: Any,
    fn: Any,
    m: int | None = None,
    *,
    fs: Any = 2,
    endpoint: bool = False,
    axis: int = -1,
) -> Any:
    """The Fourier transform of a signal at m frequencies in a range.

    Args:
        x: the signal, along `axis`.
        fn: the first frequency and the last one, or the last one behind 0.
        m: the number of frequencies, as many as there are samples if None.
        fs: the rate of sampling.
        endpoint: whether the last frequency is one of them.
        axis: of the samples, and of the frequencies in the result.

    Raises:
        ArgumentError: there are no samples or no frequencies, or `fn` is neither.
        ShapeError: there is no such axis.
    """
    count = _count("zoom_fft", m, _size("zoom_fft", x, axis))
    fn = listed(fn)
    if np.shape(fn) not in ((), (1,), (2,)):
        raise ArgumentError("fn must be a scalar or 2-length sequence", source_location())
    return _zoom_fft(x, fn, fs, count=count, endpoint=bool(endpoint), axis=axis)


@program
def _zoom_fft(x: Any, fn: Any, fs: Any, *, count: int, endpoint: bool, axis: int) -> Value:
    ends = wrap(prims.convert(traced(fn), FLOAT64)).reshape(-1)
    first, last = (ends[0], ends[1]) if ends.size == 2 else (0.0, ends[0])
    rate = wrap(prims.convert(traced(fs), FLOAT64))
    gaps = count - 1 if endpoint else count
    step = 2 * math.pi * (last - first) / (rate * gaps) if gaps else 0.0
    k = np.arange(max(count, np.shape(x)[axis]))
    chirp = np.exp(-0.5j * step * k**2)
    starts = np.exp(-2j * math.pi * first / rate * k[: np.shape(x)[axis]])
    return _convolved(x, chirp, starts, count, axis)


def _complex(number: Any) -> Any:
    """A point of a contour, in double precision."""
    return wrap(prims.convert(traced(number), np.dtype(np.complex128)))


def _convolved(x: Any, chirp: Any, starts: Any, count: int, axis: int) -> Value:
    """The sums of `x[n] * starts[n] * w**(n k)` for k below `count`, where `chirp` is
    `w**(k**2 / 2)`: as `n k = (n**2 + k**2 - (k - n)**2) / 2`, they are a convolution."""
    signal = np.moveaxis(wrap(traced(x)), axis, -1)
    n = signal.shape[-1]
    size = next_fast_len(n + count - 1)
    inverse = 1 / np.concatenate([chirp[n - 1 : 0 : -1], chirp[:count]])
    spectrum = np.fft.fft(signal * (starts * chirp[:n]), size)
    product = np.fft.ifft(np.fft.fft(inverse, size) * spectrum)
    return traced(np.moveaxis(product[..., n - 1 : n + count - 1] * chirp[:count], -1, axis))


def czt_points(m: int, w: Any = None, a: Any = 1 + 0j) -> Any:
    """The points at which `czt` gives a z-transform.

    Args:
        m: their number.
        w: the ratio between points; the m-th root of unity if None.
        a: the first point.

    Raises:
        ArgumentError: there are none.
    """
    count = _count("czt_points", m, 1)
    return _points(a, *(() if w is None else (w,)), count=count)


@program
def _points(a: Any, *w: Any, count: int) -> Value:
    k = np.arange(count)
    turns = _complex(w[0]) ** -k if w else np.exp(2j * math.pi * k / count)
    return traced(_complex(a) * turns)


_NORMALIZATIONS = ("power", "normalize", "amplitude")


@hide_frames
def lombscargle(
    x: Any,
    y: Any,
    freqs: Any,
    precenter: bool = False,
    normalize: bool | str = False,
    weights: Any = None,
    floating_mean: bool = False,
) -> Any:
    """The periodogram of samples at any times.

    Args:
        x: times, of shape (n,).
        y: samples, of shape (n,).
        freqs: angular frequencies, of shape (m,).
        precenter: whether the mean is subtracted before.
        normalize: "power" or False, "normalize" or True, or "amplitude".
        weights: of the samples, not negative; 1 if None.
        floating_mean: whether a mean is fitted at each frequency, too.

    Returns:
        Power at the frequencies, relative power for "normalize", or the complex amplitude.

    Raises:
        ShapeError: an operand is no vector, empty, or of another length.
        ArgumentError: there is no such normalization.
    """
    kind = normalize
    if isinstance(kind, (bool, np.bool_)):
        kind = "normalize" if kind else "power"
    if kind not in _NORMALIZATIONS:
        raise ArgumentError(
            "Normalize must be: False (or 'power'), True (or 'normalize'), or 'amplitude'.",
            source_location(),
        )
    shapes = [np.shape(v) for v in (x, y, *([] if weights is None else [weights]))]
    if len(shapes[0]) != 1 or shapes[0] == (0,) or len(set(shapes)) != 1:
        raise ShapeError(
            f"scipy.signal.lombscargle takes vectors of one length, not of shapes {shapes}",
            source_location(),
        )
    if len(np.shape(freqs)) != 1 or np.shape(freqs) == (0,):
        raise ShapeError(
            "scipy.signal.lombscargle takes a vector of frequencies, not an array of shape "
            f"{np.shape(freqs)}",
            source_location(),
        )
    given = () if weights is None else (weights,)
    options = {"floating": bool(floating_mean), "centered": bool(precenter)}
    return _lombscargle(x, y, freqs, *given, kind=kind, **options)


@program
def _lombscargle(
    x: Any, y: Any, freqs: Any, *weights: Any, kind: str, floating: bool, centered: bool
) -> Value:
    times, samples, rates = (wrap(prims.convert(traced(v), FLOAT64)) for v in (x, y, freqs))
    n = times.shape[0]
    shares = np.full(n, 1 / n)
    if weights:
        w = wrap(prims.convert(traced(weights[0]), FLOAT64))
        shares = w / np.sum(w)
    if centered:
        samples = samples - np.mean(samples)
    mean = shares @ samples if floating else 0.0

    def squares(angles: Any) -> tuple[Any, Any, Any, Any]:
        """The cosines and sines, less their means, and what these multiply to."""
        c, s = np.cos(angles), np.sin(angles)
        cc, cs = shares @ (c * c), shares @ (c * s)
        ss = 1 - cc
        if floating:
            c_mean, s_mean = shares @ c, shares @ s
            cc, ss, cs = cc - c_mean**2, ss - s_mean**2, cs - c_mean * s_mean
            c, s = c - c_mean, s - s_mean
        return (c, s), cc, ss, cs

    angles = np.outer(times, rates)
    _, cc, ss, cs = squares(angles)
    # Turned by this, cosines and sines are orthogonal.
    turn = 0.5 * np.arctan2(2 * cs, cc - ss)
    (c, s), cc, ss, _ = squares(angles - turn)
    weighted = shares * (samples - mean) if floating else shares * samples
    yc, ys = weighted @ c, weighted @ s
    least = np.finfo(np.float64).epsneg
    a, b = yc / np.maximum(cc, least), ys / np.maximum(ss, least)
    if kind == "amplitude":
        return traced((a + 1j * b) * np.exp(1j * turn))
    power = 2 * (a * yc + b * ys)
    if kind == "power":
        return traced(power * (n / 4))
    total = shares @ (samples * samples) - (mean**2 if floating else 0.0)
    return traced(power * (0.5 / total))
