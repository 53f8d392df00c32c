# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Statistics of samples in `scipy.stats`.

`axis` is an axis, or None for all elements; `keepdims` is NumPy's.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from gradopt.array.dispatch import unsupported
from gradopt.array.handle import Handle
from gradopt.array.operands import traced
from gradopt.base.frames import hide_frames
from gradopt.base.location import source_location
from gradopt.compilation.programs import program
from gradopt.errors import ArgumentError, ShapeError
from gradopt.ir import prims
from gradopt.scipy.operands import real
from gradopt.scipy.stats.distribution import special


def _sample(name: str, value: Any) -> Any:
    """Real numbers, in their dtype of floats."""
    return real(f"stats.{name}", value)[0]


def _count(x: Any, axis: Any) -> int:
    return x.size if axis is None else x.shape[prims.normalize_axis(axis, x.ndim)]


@hide_frames
def zscore(a: Any, axis: int | None = 0, ddof: int = 0) -> Any:
    """The distances from the mean in standard deviations, of the shape of `a`."""
    return zmap(a, a, axis, ddof)


@hide_frames
def zmap(scores: Any, compare: Any, axis: int | None = 0, ddof: int = 0) -> Any:
    """The distances of `scores` from the mean of `compare`, in its standard deviations."""
    return _zmap(scores, compare, axis=axis, ddof=ddof)


@program
def _zmap(scores: Any, compare: Any, *, axis: int | None, ddof: int) -> Any:
    x, y = _sample("zmap", scores), _sample("zmap", compare)
    deviation = np.std(y, axis=axis, ddof=ddof, keepdims=True)
    return traced((x - np.mean(y, axis=axis, keepdims=True)) / deviation)


def _central(x: Any, order: int, axis: int | None, keepdims: bool) -> Any:
    return np.mean((x - np.mean(x, axis=axis, keepdims=True)) ** order, axis, keepdims=keepdims)


@hide_frames
def moment(a: Any, order: int = 1, axis: int | None = 0, *, keepdims: bool = False) -> Any:
    """The central moment of an order."""
    return _moment(a, order=int(order), axis=axis, keepdims=bool(keepdims))


@program
def _moment(a: Any, *, order: int, axis: int | None, keepdims: bool) -> Any:
    return traced(_central(_sample("moment", a), order, axis, keepdims))


@hide_frames
def skew(a: Any, axis: int | None = 0, bias: bool = True, *, keepdims: bool = False) -> Any:
    """The third central moment over the cube of the standard deviation; NaN of equal numbers.

    With `bias=False` it is Fisher's g1 (Joanes and Gill 1998).
    """
    return _skew(a, axis=axis, bias=bool(bias), keepdims=bool(keepdims))


@program
def _skew(a: Any, *, axis: int | None, bias: bool, keepdims: bool) -> Any:
    x = _sample("skew", a)
    n = _count(x, axis)
    result = _central(x, 3, axis, keepdims) / _central(x, 2, axis, keepdims) ** 1.5
    if not bias and n > 2:
        result = result * (math.sqrt((n - 1) * n) / (n - 2))
    return traced(result)


@hide_frames
def kurtosis(
    a: Any,
    axis: int | None = 0,
    fisher: bool = True,
    bias: bool = True,
    *,
    keepdims: bool = False,
) -> Any:
    """The fourth central moment over the square of the variance, less 3 with `fisher`.

    With `bias=False` it is Fisher's g2 (Joanes and Gill 1998). It is NaN of equal numbers.
    """
    return _kurtosis(a, axis=axis, fisher=bool(fisher), bias=bool(bias), keepdims=bool(keepdims))


@program
def _kurtosis(a: Any, *, axis: int | None, fisher: bool, bias: bool, keepdims: bool) -> Any:
    x = _sample("kurtosis", a)
    n = _count(x, axis)
    result = _central(x, 4, axis, keepdims) / _central(x, 2, axis, keepdims) ** 2
    if not bias and n > 3:
        result = ((n**2 - 1.0) * result - 3 * (n - 1.0) ** 2) / ((n - 2.0) * (n - 3.0)) + 3
    return traced(result - 3 if fisher else result)


@hide_frames
def sem(a: Any, axis: int | None = 0, ddof: int = 1, *, keepdims: bool = False) -> Any:
    """The standard deviation of the mean."""
    return _sem(a, axis=axis, ddof=ddof, keepdims=bool(keepdims))


@program
def _sem(a: Any, *, axis: int | None, ddof: int, keepdims: bool) -> Any:
    x = _sample("sem", a)
    root = math.sqrt(_count(x, axis))
    return traced(np.std(x, axis=axis, ddof=ddof, keepdims=keepdims) / root)


@hide_frames
def gmean(a: Any, axis: int | None = 0, *, keepdims: bool = False) -> Any:
    """The geometric mean."""
    return _gmean(a, axis=axis, keepdims=bool(keepdims))


@program
def _gmean(a: Any, *, axis: int | None, keepdims: bool) -> Any:
    return traced(np.exp(np.mean(np.log(_sample("gmean", a)), axis=axis, keepdims=keepdims)))


@hide_frames
def hmean(a: Any, axis: int | None = 0, *, keepdims: bool = False) -> Any:
    """The harmonic mean."""
    return _hmean(a, axis=axis, keepdims=bool(keepdims))


@program
def _hmean(a: Any, *, axis: int | None, keepdims: bool) -> Any:
    return traced(1 / np.mean(1 / _sample("hmean", a), axis=axis, keepdims=keepdims))


@hide_frames
def entropy(
    pk: Any, qk: Any = None, base: float | None = None, axis: int = 0, *, keepdims: bool = False
) -> Any:
    """The entropy of probabilities, or relative to others; they are divided by their sums.

    Args:
        pk: probabilities along `axis`.
        qk: those of another distribution, of a shape that goes with it.
        base: of the logarithm; e by default.
        axis: the axis of outcomes.
        keepdims: as NumPy's.
    """
    operands = (pk,) if qk is None else (pk, qk)
    return _entropy(*operands, base=base, axis=axis, keepdims=bool(keepdims))


@program
def _entropy(pk: Any, *others: Any, base: float | None, axis: int, keepdims: bool) -> Any:
    p = _sample("entropy", pk)
    p = p / np.sum(p, axis=axis, keepdims=True)
    terms = -special.xlogy(p, p)
    if others:
        q = _sample("entropy", others[0])
        q = q / np.sum(q, axis=axis, keepdims=True)
        # Where p is 0 nothing counts, whatever q is; else it must not be 0 there.
        terms = np.where(p > 0, -terms - p * np.log(np.where(p > 0, q, 1.0)), 0.0)
    result = np.sum(terms, axis=axis, keepdims=keepdims)
    return traced(result if base is None else result / math.log(base))


@hide_frames
def gstd(a: Any, axis: int | None = 0, ddof: int = 1, *, keepdims: bool = False) -> Any:
    """The geometric standard deviation."""
    return _gstd(a, axis=axis, ddof=ddof, keepdims=bool(keepdims))


@program
def _gstd(a: Any, *, axis: int | None, ddof: int, keepdims: bool) -> Any:
    logs = np.log(_sample("gstd", a))
    return traced(np.exp(np.std(logs, axis=axis, ddof=ddof, keepdims=keepdims)))


@hide_frames
def gzscore(a: Any, *, axis: int | None = 0, ddof: int = 0) -> Any:
    """The `zscore` of logarithms."""
    return _gzscore(a, axis=axis, ddof=ddof)


@program
def _gzscore(a: Any, *, axis: int | None, ddof: int) -> Any:
    logs = np.log(_sample("gzscore", a))
    return traced(_zmap(logs, logs, axis=axis, ddof=ddof))


@hide_frames
def variation(a: Any, axis: int | None = 0, ddof: int = 0, *, keepdims: bool = False) -> Any:
    """The standard deviation by the mean."""
    return _variation(a, axis=axis, ddof=ddof, keepdims=bool(keepdims))


@program
def _variation(a: Any, *, axis: int | None, ddof: int, keepdims: bool) -> Any:
    x = _sample("variation", a)
    deviation = np.std(x, axis=axis, ddof=ddof, keepdims=keepdims)
    return traced(deviation / np.mean(x, axis=axis, keepdims=keepdims))


@hide_frames
def pmean(a: Any, p: Any, *, axis: int | None = 0, keepdims: bool = False) -> Any:
    """The power mean of an exponent; the geometric one if it is known to be 0."""
    if not isinstance(p, Handle) and p == 0:
        return gmean(a, axis, keepdims=keepdims)
    return _pmean(a, p, axis=axis, keepdims=bool(keepdims))


@program
def _pmean(a: Any, p: Any, *, axis: int | None, keepdims: bool) -> Any:
    x, power = real("stats.pmean", a, p)
    return traced(np.mean(x**power, axis=axis, keepdims=keepdims) ** (1 / power))


@hide_frames
def iqr(
    x: Any,
    axis: int | None = None,
    rng: Any = (25, 75),
    scale: Any = 1.0,
    nan_policy: str = "propagate",
    interpolation: str = "linear",
    keepdims: bool = False,
) -> Any:
    """The distance of two percentiles, divided by `scale`, a number or "normal".

    Raises:
        UnsupportedError: another `nan_policy` than "propagate".
    """
    if nan_policy != "propagate":
        raise unsupported(f"nan_policy={nan_policy!r} of scipy.stats.iqr", "leave NaN out before")
    # The distance of the quartiles of a normal distribution.
    divisor = 1.3489795003921634 if isinstance(scale, str) and scale == "normal" else scale
    low, high = rng
    return _iqr(
        x, divisor, axis=axis, low=low, high=high, method=interpolation, keepdims=bool(keepdims)
    )


@program
def _iqr(
    x: Any, scale: Any, *, axis: int | None, low: float, high: float, method: Any, keepdims: bool
) -> Any:
    v, divisor = real("stats.iqr", x, scale)
    ends = np.percentile(v, np.array([low, high]), axis=axis, method=method, keepdims=keepdims)
    return traced((ends[1] - ends[0]) / divisor)


@hide_frames
def trim_mean(a: Any, proportiontocut: float, axis: int | None = 0) -> Any:
    """The mean without a part of the smallest and of the largest numbers each.

    Raises:
        ArgumentError: nothing is left.
    """
    return _trim_mean(a, part=float(proportiontocut), axis=axis)


@program
def _trim_mean(a: Any, *, part: float, axis: int | None) -> Any:
    x = _sample("trim_mean", a)
    x = np.ravel(x) if axis is None else np.moveaxis(x, axis, 0)
    cut = int(part * x.shape[0])
    if 2 * cut >= x.shape[0]:
        raise ArgumentError("Proportion too big.", source_location())
    return traced(np.mean(np.sort(x, axis=0)[cut : x.shape[0] - cut], axis=0))


def _circular(x: Any, high: float, low: float, axis: int | None) -> tuple[Any, Any]:
    """The means of sines and cosines of numbers that go round from low to high."""
    angles = (x - low) * (2 * math.pi / (high - low))
    return np.mean(np.sin(angles), axis=axis), np.mean(np.cos(angles), axis=axis)


@hide_frames
def circmean(
    samples: Any, high: float = 2 * math.pi, low: float = 0, axis: int | None = None
) -> Any:
    """The mean of angles, or of what goes round from `low` to `high`."""
    return _circmean(samples, high=float(high), low=float(low), axis=axis)


@program
def _circmean(samples: Any, *, high: float, low: float, axis: int | None) -> Any:
    sine, cosine = _circular(_sample("circmean", samples), high, low, axis)
    angle = np.mod(np.arctan2(sine, cosine), 2 * math.pi)
    return traced(angle * ((high - low) / (2 * math.pi)) + low)


@hide_frames
def circvar(
    samples: Any, high: float = 2 * math.pi, low: float = 0, axis: int | None = None
) -> Any:
    """One less the length of the mean of directions."""
    return _circvar(samples, high=float(high), low=float(low), axis=axis)


@program
def _circvar(samples: Any, *, high: float, low: float, axis: int | None) -> Any:
    sine, cosine = _circular(_sample("circvar", samples), high, low, axis)
    return traced(1 - np.minimum(np.sqrt(sine**2 + cosine**2), 1.0))


@hide_frames
def circstd(
    samples: Any,
    high: float = 2 * math.pi,
    low: float = 0,
    axis: int | None = None,
    *,
    normalize: bool = False,
) -> Any:
    """The standard deviation of angles, or of what goes round from `low` to `high`."""
    scale = 1.0 if normalize else (float(high) - float(low)) / (2 * math.pi)
    return _circstd(samples, high=float(high), low=float(low), axis=axis, scale=scale)


@program
def _circstd(samples: Any, *, high: float, low: float, axis: int | None, scale: float) -> Any:
    sine, cosine = _circular(_sample("circstd", samples), high, low, axis)
    return traced(scale * np.sqrt(-np.log(sine**2 + cosine**2)))


class Correlation(NamedTuple):
    """What `pearsonr` returns.

    Attributes:
        statistic: the correlation.
        pvalue: how likely one as large is without a correlation, of normal numbers.
    """

    statistic: Any
    pvalue: Any


@hide_frames
def pearsonr(x: Any, y: Any) -> Correlation:
    """The correlation of two samples of one dimension, and its p-value, as a tuple.

    Raises:
        ShapeError: they are not as long, or of less than two numbers.
    """
    return Correlation(*_pearsonr(x, y))


@program
def _pearsonr(x: Any, y: Any) -> Any:
    a, b = real("stats.pearsonr", x, y)
    if a.ndim != 1 or a.shape != b.shape or len(a) < 2:
        raise ShapeError(
            f"pearsonr: expected two vectors of the same length, at least 2, got {a.shape} and "
            f"{b.shape}",
            source_location(),
        )
    a, b = a - np.mean(a), b - np.mean(b)
    r = np.clip(np.sum(a * b) / np.sqrt(np.sum(a * a) * np.sum(b * b)), -1.0, 1.0)
    if len(a) == 2:
        return [traced(r), traced(np.ones_like(r))]
    half = 0.5 * len(a) - 1
    # Twice the tail of a beta distribution on [-1, 1].
    p = 2 * special.betainc(half, half, 0.5 * (1 - np.abs(r)))
    return [traced(r), traced(p)]
