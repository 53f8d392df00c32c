# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Design of filters: `scipy.signal`'s bessel, butter, cheby1, cheby2, ellip, firwin, iirnotch ...

The order, the kind and the ripples are known while tracing, and with them the zeros and poles of
the prototype; its frequencies may be traced, and coefficients have derivatives in them. Formulas
are those of Oppenheim and Schafer, Discrete-Time Signal Processing, and Parks and Burrus, Digital
Filter Design, in SciPy's conventions.
"""

from __future__ import annotations

import importlib
import math
import operator
from typing import Any, NamedTuple

import numpy as np

from gradopt.array.dispatch import unsupported
from gradopt.array.operands import is_traced
from gradopt.base.frames import hide_frames
from gradopt.base.location import source_location
from gradopt.errors import ArgumentError, ConversionError
from gradopt.scipy.windows import get_window

_KINDS = {
    "band": "bandpass", "bandpass": "bandpass", "pass": "bandpass", "bp": "bandpass",
    "bs": "bandstop", "bandstop": "bandstop", "bands": "bandstop", "stop": "bandstop",
    "l": "lowpass", "low": "lowpass", "lowpass": "lowpass", "lp": "lowpass",
    "high": "highpass", "highpass": "highpass", "h": "highpass", "hp": "highpass",
}  # fmt: skip


class Roots(NamedTuple):
    """A filter by its zeros, its poles and a factor."""

    z: Any
    p: Any
    k: Any


def _known(name: str, what: str, value: Any) -> float:
    """A number that is known while tracing.

    Raises:
        ConversionError: it is not.
    """
    if is_traced(value):
        raise ConversionError(
            f"scipy.signal.{name}: {what} must be known while tracing", source_location()
        )
    return float(value)


def _require(condition: Any, message: str) -> None:
    """Raises ArgumentError, unless something holds or is not known."""
    if not is_traced(condition) and not np.all(condition):
        raise ArgumentError(message, source_location())


# -- Prototypes --------------------------------------------------------------------------------


def _angles(order: int) -> np.ndarray[Any, Any]:
    return np.arange(-order + 1, order, 2)


def _butterworth(order: int) -> Roots:
    poles = -np.exp(1j * np.pi * _angles(order) / (2 * order))
    poles[_angles(order) == 0] = -1  # Of which rounding leaves an imaginary part.
    return Roots(np.zeros(0), poles, 1.0)


def _chebyshev_first(order: int, ripple: float) -> Roots:
    if not order:
        return Roots(np.zeros(0), np.zeros(0), 10 ** (-ripple / 20))
    height = math.sqrt(10 ** (0.1 * ripple) - 1)
    spread = math.asinh(1 / height) / order
    poles = -np.sinh(spread + 1j * np.pi * _angles(order) / (2 * order))
    factor = float(np.prod(-poles).real)
    return Roots(np.zeros(0), poles, factor / (1 if order % 2 else math.hypot(1, height)))


def _chebyshev_second(order: int, attenuation: float) -> Roots:
    if not order:
        return Roots(np.zeros(0), np.zeros(0), 1.0)
    spread = math.asinh(math.sqrt(10 ** (0.1 * attenuation) - 1)) / order
    angles = _angles(order)
    zeros = 1j / np.sin(angles[angles != 0] * np.pi / (2 * order))
    circle: Any = -np.exp(1j * np.pi * angles / (2 * order))
    poles = 1 / (math.sinh(spread) * circle.real + 1j * math.cosh(spread) * circle.imag)
    return Roots(zeros, poles, float((np.prod(-poles) / np.prod(-zeros)).real))


def _of_scipy(name: str, *args: Any) -> Roots:
    """A prototype that SciPy computes: by searches, of numbers that are known while tracing.

    Raises:
        ArgumentError: there is none.
    """
    try:
        found = getattr(importlib.import_module("scipy.signal"), name)(*args)
    except ValueError as error:
        raise ArgumentError(str(error), source_location()) from None
    zeros, poles, factor = found
    return Roots(np.ravel(zeros), np.ravel(poles), float(factor))


# -- Changes of frequencies --------------------------------------------------------------------


def _degree(roots: Roots) -> int:
    return int(np.shape(roots.p)[0] - np.shape(roots.z)[0])


def _both(roots: Any, middle: Any) -> Any:
    """Where a root is after a change to a band."""
    shift = np.sqrt(roots * roots - middle * middle + 0j)
    return np.concatenate([roots + shift, roots - shift])


def _to_low(roots: Roots, edge: Any) -> Roots:
    return Roots(roots.z * edge, roots.p * edge, roots.k * edge ** _degree(roots))


def _to_high(roots: Roots, edge: Any) -> Roots:
    zeros = np.concatenate([edge / (roots.z + 0j), np.zeros(_degree(roots))])
    factor = np.real(np.prod(-roots.z) / np.prod(-roots.p))
    return Roots(zeros, edge / roots.p, roots.k * factor)


def _to_band(roots: Roots, middle: Any, width: Any) -> Roots:
    zeros = _both(roots.z * width / 2, middle)
    zeros = np.concatenate([zeros, np.zeros(_degree(roots))])
    poles = _both(roots.p * width / 2, middle)
    return Roots(zeros, poles, roots.k * width ** _degree(roots))


def _to_gap(roots: Roots, middle: Any, width: Any) -> Roots:
    rest = 1j * middle * np.ones(_degree(roots))
    zeros = np.concatenate([_both(width / 2 / (roots.z + 0j), middle), rest, -rest])
    factor = np.real(np.prod(-roots.z) / np.prod(-roots.p))
    return Roots(zeros, _both(width / 2 / roots.p, middle), roots.k * factor)


def _to_digital(roots: Roots, rate: float) -> Roots:
    """The bilinear transformation."""
    twice = 2 * rate
    zeros = (twice + roots.z) / (twice - roots.z)
    zeros = np.concatenate([zeros, -np.ones(_degree(roots))])
    factor = np.real(np.prod(twice - roots.z) / np.prod(twice - roots.p))
    return Roots(zeros, (twice + roots.p) / (twice - roots.p), roots.k * factor)


def coefficients(roots: Any) -> Any:
    """The polynomial with these roots, whose first coefficient is 1; real ones."""
    result: Any = np.ones(1)
    for i in range(np.shape(roots)[0]):
        zero = np.zeros(1)
        longer = np.concatenate([result, zero]), np.concatenate([zero, result])
        result = longer[0] - roots[i] * longer[1]
    return np.real(result)


def _designed(
    name: str, prototype: Roots, edges: Any, btype: str, analog: bool, output: str, fs: Any
) -> Any:
    kind = _KINDS.get(str(btype).lower())
    if kind is None:
        raise ArgumentError(f"'{btype}' is an invalid bandtype for filter.", source_location())
    if output not in ("ba", "zpk", "sos"):
        raise ArgumentError(f"'{output}' is not a valid output form.", source_location())
    edge = edges if is_traced(edges) and not isinstance(edges, (list, tuple)) else None
    edge = np.stack(edges) if edge is None and is_traced(edges) else edge
    edge = np.asarray(edges, float) if edge is None else edge
    size = int(np.prod(edge.shape))
    if fs is not None:
        if analog:
            raise ArgumentError("fs cannot be specified for an analog filter", source_location())
        edge = 2 * edge / fs
    _require(edge > 0, "filter critical frequencies must be greater than 0")
    wanted = 1 if kind in ("lowpass", "highpass") else 2
    if size != wanted:
        raise ArgumentError(
            f"{name}: Wn must be {wanted} frequencies for btype={btype!r}, but it has {size}",
            source_location(),
        )
    edge = np.reshape(edge, wanted)
    if not analog:
        _require(edge < 1, "Digital filter critical frequencies must be 0 < Wn < 1 (or fs/2)")
        edge = 4 * np.tan(np.pi / 2 * edge)
    if wanted == 1:
        roots = (_to_low if kind == "lowpass" else _to_high)(prototype, edge[0])
    else:
        middle, width = np.sqrt(edge[0] * edge[1]), edge[1] - edge[0]
        _require(width > 0, "Wn[0] must be less than Wn[1]")
        roots = (_to_band if kind == "bandpass" else _to_gap)(prototype, middle, width)
    if not analog:
        roots = _to_digital(roots, 2.0)
    if output == "zpk":
        return tuple(roots)
    if output == "ba":
        return roots.k * coefficients(roots.z), coefficients(roots.p)
    if analog or wanted == 2 or np.shape(prototype.z)[0]:
        raise unsupported(
            f"scipy.signal.{name} with output='sos' and traced frequencies",
            'there it is for digital "lowpass" and "highpass" filters without zeros of the '
            'prototype; use output="ba"',
        )
    return _sections(prototype, roots)


def _sections(prototype: Roots, roots: Roots) -> Any:
    """Sections of second order, of a filter whose zeros are all the same.

    Poles next to the circle come last: those of the prototype with the largest imaginary parts in
    relation to their sizes.
    """
    order = int(prototype.p.size)
    if not order:
        return np.reshape(roots.k * np.array([1.0, 0, 0, 1, 0, 0]), (1, 6))
    upper = [i for i in range(order) if prototype.p[i].imag > 1e-12]
    upper.sort(key=lambda i: -prototype.p[i].real / abs(prototype.p[i]), reverse=True)
    rows: list[Any] = []
    zero = np.real(roots.z)
    one = np.ones(1)
    if order % 2:
        (single,) = [i for i in range(order) if abs(prototype.p[i].imag) <= 1e-12]
        pole = np.real(roots.p[single : single + 1])
        nothing = np.zeros(1)
        rows.append(np.concatenate([one, -zero[:1], nothing, one, -pole, nothing]))
    for i in upper:
        pole = roots.p[i : i + 1]
        top = [one, -2 * zero[:1], zero[:1] * zero[:1]]
        rows.append(np.concatenate([*top, one, -2 * np.real(pole), np.real(pole * np.conj(pole))]))
    first = rows[0]
    rows[0] = np.concatenate([roots.k * first[:3], first[3:]])
    return np.stack(rows)


def _order(name: str, order: Any) -> int:
    found = operator.index(order)
    if found < 0:
        raise ArgumentError(f"{name}: the order must be from 0 up, but it is {found}",
                            source_location())  # fmt: skip
    return found


@hide_frames
def butter(
    N: int,
    Wn: Any,
    btype: str = "low",
    analog: bool = False,
    output: str = "ba",
    fs: Any = None,
) -> Any:
    """Butterworth's filter.

    Args:
        N: the order.
        Wn: the frequency where the gain is 1 / sqrt(2), or two for a band: between 0 and 1, half
            of the sampling rate; or in the units of `fs`; may be traced.
        btype: "lowpass", "highpass", "bandpass" or "bandstop".
        analog: whether it is no digital one; then `Wn` is in radians per second.
        output: "ba", numerator and denominator; "zpk", zeros, poles and a factor; "sos", sections
            of second order, with traced frequencies for low and high passes.
        fs: the sampling rate.

    Raises:
        ArgumentError: there is no such kind or output, or no filter with these frequencies, where
            they are known.
        UnsupportedError: other sections of second order.
    """
    prototype = _butterworth(_order("butter", N))
    return _designed("butter", prototype, Wn, btype, analog, output, fs)


@hide_frames
def cheby1(
    N: int,
    rp: float,
    Wn: Any,
    btype: str = "low",
    analog: bool = False,
    output: str = "ba",
    fs: Any = None,
) -> Any:
    """Chebyshev's filter of the first kind, with a ripple of at most `rp` decibels in the band.

    Other parameters, results and errors are those of `butter`.
    """
    prototype = _chebyshev_first(_order("cheby1", N), _known("cheby1", "rp", rp))
    return _designed("cheby1", prototype, Wn, btype, analog, output, fs)


@hide_frames
def cheby2(
    N: int,
    rs: float,
    Wn: Any,
    btype: str = "low",
    analog: bool = False,
    output: str = "ba",
    fs: Any = None,
) -> Any:
    """Chebyshev's filter of the second kind, with at least `rs` decibels less beyond the band.

    Other parameters, results and errors are those of `butter`.
    """
    prototype = _chebyshev_second(_order("cheby2", N), _known("cheby2", "rs", rs))
    return _designed("cheby2", prototype, Wn, btype, analog, output, fs)


@hide_frames
def ellip(
    N: int,
    rp: float,
    rs: float,
    Wn: Any,
    btype: str = "low",
    analog: bool = False,
    output: str = "ba",
    fs: Any = None,
) -> Any:
    """Cauer's filter: a ripple of at most `rp` decibels in the band, and `rs` less beyond it.

    Other parameters, results and errors are those of `butter`. It needs SciPy.
    """
    ripples = _known("ellip", "rp", rp), _known("ellip", "rs", rs)
    prototype = _of_scipy("ellipap", _order("ellip", N), *ripples)
    return _designed("ellip", prototype, Wn, btype, analog, output, fs)


@hide_frames
def bessel(
    N: int,
    Wn: Any,
    btype: str = "low",
    analog: bool = False,
    output: str = "ba",
    norm: str = "phase",
    fs: Any = None,
) -> Any:
    """Bessel's filter, whose group delay is flat.

    Args:
        norm: what `Wn` is: "phase", where the phase is in the middle, "delay", the reciprocal of
            the delay, or "mag", where the gain is 1 / sqrt(2).

    Other parameters, results and errors are those of `butter`. It needs SciPy.
    """
    prototype = _of_scipy("besselap", _order("bessel", N), norm)
    return _designed("bessel", prototype, Wn, btype, analog, output, fs)


@hide_frames
def iirfilter(
    N: int,
    Wn: Any,
    rp: float | None = None,
    rs: float | None = None,
    btype: str = "band",
    analog: bool = False,
    ftype: str = "butter",
    output: str = "ba",
    fs: Any = None,
) -> Any:
    """One of these filters: `ftype` is "butter", "cheby1", "cheby2", "ellip" or "bessel".

    Parameters, results and errors are those of `ellip`; a "bessel" one is normalized by its phase,
    and "bessel_delay" and "bessel_mag" are the others.

    Raises:
        ArgumentError: there is no such filter, or a ripple is missing.
    """
    kind = str(ftype).lower()
    names = {"butterworth": "butter", "chebyshev1": "cheby1", "chebyshev2": "cheby2",
             "chebyi": "cheby1", "chebyii": "cheby2", "cauer": "ellip", "elliptic": "ellip",
             "bessel_phase": "bessel"}  # fmt: skip
    kind = names.get(kind, kind)
    given = {"cheby1": (rp,), "cheby2": (rs,), "ellip": (rp, rs)}.get(kind, ())
    if any(value is None for value in given):
        raise ArgumentError(f"iirfilter: {kind} needs ripples, rp= or rs=", source_location())
    rest = (btype, analog, output)
    if kind in ("bessel", "bessel_delay", "bessel_mag"):
        return bessel(N, Wn, *rest, kind.partition("_")[2] or "phase", fs)
    makers: dict[str, Any] = {"butter": butter, "cheby1": cheby1, "cheby2": cheby2, "ellip": ellip}
    if kind not in makers:
        raise ArgumentError(f"'{ftype}' is not a valid basic IIR filter.", source_location())
    return makers[kind](N, *given, Wn, *rest, fs)


# -- Changes of prototypes ---------------------------------------------------------------------


def _roots(z: Any, p: Any, k: Any) -> Roots:
    """What may be a list of numbers.

    Raises:
        ArgumentError: there are more zeros than poles.
    """
    zeros, poles = [v if is_traced(v) and not isinstance(v, list) else np.asarray(v) + 0j
                    for v in (z, p)]  # fmt: skip
    roots = Roots(zeros, poles, k)
    if _degree(roots) < 0:
        raise ArgumentError(
            "Improper transfer function. Must have at least as many poles as zeros.",
            source_location(),
        )
    return roots


@hide_frames
def lp2lp_zpk(z: Any, p: Any, k: Any, wo: Any = 1.0) -> tuple[Any, Any, Any]:
    """An analog low-pass filter with another frequency, by zeros, poles and factor."""
    return tuple(_to_low(_roots(z, p, k), wo))


@hide_frames
def lp2hp_zpk(z: Any, p: Any, k: Any, wo: Any = 1.0) -> tuple[Any, Any, Any]:
    """The high-pass filter of an analog low-pass filter, as `lp2lp_zpk`."""
    return tuple(_to_high(_roots(z, p, k), wo))


@hide_frames
def lp2bp_zpk(z: Any, p: Any, k: Any, wo: Any = 1.0, bw: Any = 1.0) -> tuple[Any, Any, Any]:
    """The filter of a band around `wo` and `bw` wide, as `lp2lp_zpk`."""
    return tuple(_to_band(_roots(z, p, k), wo, bw))


@hide_frames
def lp2bs_zpk(z: Any, p: Any, k: Any, wo: Any = 1.0, bw: Any = 1.0) -> tuple[Any, Any, Any]:
    """The filter that stops a band around `wo` and `bw` wide, as `lp2lp_zpk`."""
    return tuple(_to_gap(_roots(z, p, k), wo, bw))


@hide_frames
def bilinear_zpk(z: Any, p: Any, k: Any, fs: float) -> tuple[Any, Any, Any]:
    """The digital filter of an analog one, by the bilinear transformation, as `lp2lp_zpk`."""
    return tuple(_to_digital(_roots(z, p, k), fs))


# -- Notches and peaks -------------------------------------------------------------------------


def _resonator(name: str, w0: Any, quality: Any, fs: Any) -> tuple[Any, Any]:
    """The cosine of the frequency, and the factor that the width gives."""
    place = 2 * w0 / fs
    _require((place > 0) & (place < 1), f"{name}: w0 should be such that 0 < w0 < fs/2")
    gain = 1 / (1 + np.tan(place / quality * np.pi / 2))
    return np.cos(place * np.pi), gain


@hide_frames
def iirnotch(w0: Any, Q: Any, fs: Any = 2.0) -> tuple[Any, Any]:
    """A filter of second order that stops one frequency.

    Args:
        w0: the frequency, in the units of `fs`.
        Q: the frequency divided by the width of what is attenuated by 3 decibels.
        fs: the sampling rate.

    Returns:
        Numerator and denominator.

    Raises:
        ArgumentError: the frequency, if it is known, is not between 0 and `fs` / 2.
    """
    cosine, gain = _resonator("iirnotch", w0, Q, fs)
    one = 1 + 0 * gain
    middle = -2 * gain * cosine
    return np.stack([gain, middle, gain]), np.stack([one, middle, 2 * gain - 1])


@hide_frames
def iirpeak(w0: Any, Q: Any, fs: Any = 2.0) -> tuple[Any, Any]:
    """A filter of second order that lets one frequency pass, with the parameters of `iirnotch`."""
    cosine, gain = _resonator("iirpeak", w0, Q, fs)
    one = 1 + 0 * gain
    return (
        np.stack([1 - gain, 0 * gain, gain - 1]),
        np.stack([one, -2 * gain * cosine, 2 * gain - 1]),
    )


# -- Of finite length --------------------------------------------------------------------------


@hide_frames
def firwin(
    numtaps: int,
    cutoff: Any,
    *,
    width: Any = None,
    window: Any = "hamming",
    pass_zero: Any = True,
    scale: bool = True,
    fs: Any = None,
) -> Any:
    """A filter of finite length with linear phase: the ideal one's response, times a window.

    Args:
        numtaps: how long it is.
        cutoff: the frequencies where bands end, increasing, in the units of `fs`; may be traced.
        width: not supported.
        window: as for `get_window`.
        pass_zero: whether the first band passes; or "lowpass", "highpass", "bandpass", "bandstop".
        scale: whether the gain is 1 at 0, half of `fs`, or in the middle of the first band.
        fs: the sampling rate, 2 by default.

    Raises:
        ArgumentError: there is no such filter.
        UnsupportedError: `width`.
    """
    if width is not None:
        raise unsupported("keyword width= of scipy.signal.firwin", 'use window=("kaiser", beta)')
    size = operator.index(numtaps)
    known = {"bandstop": True, "lowpass": True, "bandpass": False, "highpass": False}
    first = known.get(pass_zero, pass_zero) if isinstance(pass_zero, str) else bool(pass_zero)
    if not isinstance(first, bool):
        raise ArgumentError(f"firwin: there is no pass_zero={pass_zero!r}", source_location())
    given = np.stack(cutoff) if isinstance(cutoff, (list, tuple)) else cutoff
    edges = np.reshape(given, -1) / (1.0 if fs is None else 0.5 * fs)
    _require(
        (edges > 0) & (edges < 1),
        "Invalid cutoff frequency: frequencies must be greater than 0 and less than fs/2.",
    )
    count = int(edges.shape[0])
    last = first == (count % 2 == 0)
    if last and size % 2 == 0:
        raise ArgumentError(
            "A filter with an even number of coefficients must have zero response at the Nyquist "
            "frequency.",
            source_location(),
        )
    ends = [*([0.0] if first else []), *[edges[i] for i in range(count)], *([1.0] if last else [])]
    place = np.arange(size) - 0.5 * (size - 1)
    taps: Any = 0.0
    for left, right in zip(ends[::2], ends[1::2], strict=True):
        taps = taps + right * np.sinc(right * place) - left * np.sinc(left * place)
    taps = taps * get_window(window, size, fftbins=False)
    if not scale:
        return taps
    left, right = ends[:2]
    middle = 0.0 if first else 1.0 if count == 1 else 0.5 * (left + right)
    return taps / np.sum(taps * np.cos(np.pi * place * middle))
