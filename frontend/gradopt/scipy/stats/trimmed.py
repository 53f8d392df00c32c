# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Statistics of samples in `scipy.stats`: within limits, of order, and by frequencies.

Orders are constant between the places where samples change it; what is selected there has the
derivatives of the elements that it is.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from gradopt.array.dispatch import unsupported
from gradopt.array.handle import wrap
from gradopt.array.operands import traced
from gradopt.base.frames import hide_frames
from gradopt.base.location import source_location
from gradopt.compilation.programs import program
from gradopt.errors import ArgumentError, ShapeError
from gradopt.scipy.operands import real
from gradopt.scipy.stats.descriptive import kurtosis, skew
from gradopt.scipy.stats.distribution import special
from gradopt.scipy.stats.lanes import along, by_rows, require_choice, require_propagation, shape_of

# -- Within limits -----------------------------------------------------------------------------


def _inside(x: Any, ends: tuple[Any, ...], has: tuple[bool, bool], inclusive: Any) -> Any:
    """Which elements are between the limits that there are."""
    given = list(ends)
    inside = np.ones(x.shape, bool)
    if has[0]:
        low = given.pop(0)
        inside = inside & ((x >= low) if inclusive[0] else (x > low))
    if has[1]:
        high = given.pop(0)
        inside = inside & ((x <= high) if inclusive[1] else (x < high))
    return inside


def _trimmed(x: Any, *ends: Any, what: str, has: Any, inclusive: Any, ddof: float) -> tuple[Any]:
    # NaN is in all limits, so that it is handed on.
    inside = _inside(x, ends, has, inclusive) | np.isnan(x)
    count = np.sum(inside, axis=-1).astype(x.dtype)
    if what in ("min", "max"):
        outside = math.inf if what == "min" else -math.inf
        reduced = np.min if what == "min" else np.max
        found = reduced(np.where(inside, x, outside), axis=-1)
        return (np.where(count > 0, found, np.nan),)
    mean = np.sum(np.where(inside, x, 0), axis=-1) / count
    if what == "mean":
        return (mean,)
    squares = np.where(inside, x - mean[..., None], 0) ** 2
    free = np.where(count > ddof, count - ddof, np.nan)
    variance = np.sum(squares, axis=-1) / free
    if what == "var":
        return (variance,)
    return (np.sqrt(variance) if what == "std" else np.sqrt(variance / count),)


def _call(
    name: str,
    a: Any,
    limits: Any,
    inclusive: Any,
    axis: int | None,
    nan_policy: str,
    keepdims: bool,
    ddof: float = 0,
) -> Any:
    require_propagation(name, nan_policy)
    low, high = (None, None) if limits is None else limits
    ends = tuple([end for end in (low, high) if end is not None])
    return along(
        _trimmed, name, (a,), ends, axis=axis, keepdims=keepdims, what=name[1:],
        has=(low is not None, high is not None), inclusive=tuple(map(bool, inclusive)), ddof=ddof,
    )[0]  # fmt: skip


@hide_frames
def tmean(
    a: Any,
    limits: Any = None,
    inclusive: tuple[bool, bool] = (True, True),
    axis: int | None = None,
    *,
    nan_policy: str = "propagate",
    keepdims: bool = False,
) -> Any:
    """The mean of the numbers within limits.

    Args:
        a: real numbers.
        limits: the lower and the upper one, each a number or None; None of both by default.
        inclusive: whether what is equal to them is within.
        axis: along which the samples lie; all elements by None.
        nan_policy: "propagate".
        keepdims: whether the axis stays, with one element.

    Returns:
        Floats; NaN where nothing is within, also where SciPy raises an error.

    Raises:
        UnsupportedError: another `nan_policy`.
    """
    return _call("tmean", a, limits, inclusive, axis, nan_policy, keepdims)


@hide_frames
def tvar(
    a: Any,
    limits: Any = None,
    inclusive: tuple[bool, bool] = (True, True),
    axis: int | None = 0,
    ddof: float = 1,
    *,
    nan_policy: str = "propagate",
    keepdims: bool = False,
) -> Any:
    """The variance of the numbers within limits, with the parameters of `tmean`."""
    return _call("tvar", a, limits, inclusive, axis, nan_policy, keepdims, ddof)


@hide_frames
def tstd(
    a: Any,
    limits: Any = None,
    inclusive: tuple[bool, bool] = (True, True),
    axis: int | None = 0,
    ddof: float = 1,
    *,
    nan_policy: str = "propagate",
    keepdims: bool = False,
) -> Any:
    """The standard deviation of the numbers within limits, with the parameters of `tmean`."""
    return _call("tstd", a, limits, inclusive, axis, nan_policy, keepdims, ddof)


@hide_frames
def tsem(
    a: Any,
    limits: Any = None,
    inclusive: tuple[bool, bool] = (True, True),
    axis: int | None = 0,
    ddof: float = 1,
    *,
    nan_policy: str = "propagate",
    keepdims: bool = False,
) -> Any:
    """The standard error of the mean within limits, with the parameters of `tmean`."""
    return _call("tsem", a, limits, inclusive, axis, nan_policy, keepdims, ddof)


@hide_frames
def tmin(
    a: Any,
    lowerlimit: Any = None,
    axis: int | None = 0,
    inclusive: bool = True,
    nan_policy: str = "propagate",
    *,
    keepdims: bool = False,
) -> Any:
    """The smallest number that is not below a limit, as a float; NaN if there is none."""
    limits = (lowerlimit, None)
    return _call("tmin", a, limits, (inclusive, True), axis, nan_policy, keepdims)


@hide_frames
def tmax(
    a: Any,
    upperlimit: Any = None,
    axis: int | None = 0,
    inclusive: bool = True,
    nan_policy: str = "propagate",
    *,
    keepdims: bool = False,
) -> Any:
    """The largest number that is not above a limit, as a float; NaN if there is none."""
    limits = (None, upperlimit)
    return _call("tmax", a, limits, (True, inclusive), axis, nan_policy, keepdims)


@hide_frames
def trimboth(a: Any, proportiontocut: float, axis: int | None = 0) -> Any:
    """Samples without a part of the smallest and of the largest numbers each, sorted.

    SciPy gives the same numbers in an order that it does not state.

    Raises:
        ArgumentError: nothing is left.
    """
    return _cut(a, part=float(proportiontocut), tails="both", axis=axis)


@hide_frames
def trim1(a: Any, proportiontocut: float, tail: str = "right", axis: int | None = 0) -> Any:
    """Samples without a part of the largest numbers, or of the smallest by "left", sorted.

    SciPy gives the same numbers in an order that it does not state.

    Raises:
        ArgumentError: there is no such tail.
    """
    require_choice("trim1", "tail", tail, ("left", "right"))
    return _cut(a, part=float(proportiontocut), tails=tail, axis=axis)


@program
def _cut(a: Any, *, part: float, tails: str, axis: int | None) -> Any:
    x = wrap(traced(a))
    x = np.ravel(x) if axis is None else x
    place = 0 if axis is None else axis
    size = x.shape[place]
    cut = int(part * size)
    if tails == "both" and 2 * cut >= size and size:
        raise ArgumentError("Proportion too big.", source_location())
    first = 0 if tails == "right" else cut
    last = size if tails == "left" else max(size - cut, 0)
    ordered = np.moveaxis(np.sort(x, axis=place), place, 0)
    return traced(np.moveaxis(ordered[first:last], 0, place))


# -- Descriptions ------------------------------------------------------------------------------


class DescribeResult(NamedTuple):
    """What `describe` returns.

    Attributes:
        nobs: how many numbers a sample has.
        minmax: the smallest and the largest one.
        mean, variance, skewness, kurtosis: of the sample.
    """

    nobs: int
    minmax: tuple[Any, Any]
    mean: Any
    variance: Any
    skewness: Any
    kurtosis: Any


@hide_frames
def describe(
    a: Any, axis: int | None = 0, ddof: int = 1, bias: bool = True, nan_policy: str = "propagate"
) -> DescribeResult:
    """Size, ends, mean, variance, skew and kurtosis of samples.

    Args:
        a: real numbers.
        axis: along which the samples lie; all elements by None.
        ddof: of the variance.
        bias: as for `skew` and `kurtosis`.
        nan_policy: "propagate".

    Raises:
        ArgumentError: there are no numbers.
        UnsupportedError: another `nan_policy`.
    """
    require_propagation("describe", nan_policy)
    shape = shape_of(a)
    if not math.prod(shape):
        raise ArgumentError("The input must not be empty.", source_location())
    size = math.prod(shape) if axis is None else shape[axis]
    low, high, mean, variance = along(_ends_and_moments, "describe", (a,), axis=axis, ddof=ddof)
    return DescribeResult(
        size, (low, high), mean, variance, skew(a, axis, bias), kurtosis(a, axis, True, bias)
    )


def _ends_and_moments(x: Any, *, ddof: int) -> tuple[Any, ...]:
    ends = np.min(x, axis=-1), np.max(x, axis=-1)
    return (*ends, np.mean(x, axis=-1), np.var(x, axis=-1, ddof=ddof))


class ModeResult(NamedTuple):
    """What `mode` returns.

    Attributes:
        mode: the number that is found most often; the smallest of these.
        count: how often.
    """

    mode: Any
    count: Any


@hide_frames
def mode(
    a: Any, axis: int | None = 0, nan_policy: str = "propagate", keepdims: bool = False
) -> ModeResult:
    """The number that samples have most often.

    Args:
        a: real numbers, which keep their dtype.
        axis: along which the samples lie; all elements by None.
        nan_policy: "propagate".
        keepdims: whether the axis stays, with one element.

    Raises:
        ShapeError: a sample has no numbers.
        UnsupportedError: another `nan_policy`.
    """
    require_propagation("mode", nan_policy)
    return ModeResult(*_mode(a, axis=axis, keepdims=bool(keepdims)))


@program
def _mode(a: Any, *, axis: int | None, keepdims: bool) -> Any:
    real("stats.mode", a)
    x = wrap(traced(a))
    rank = x.ndim
    rows = np.ravel(x) if axis is None else np.moveaxis(x, axis, -1)
    if not rows.shape[-1]:
        raise ShapeError(f"mode: samples of shape {x.shape} have no numbers", source_location())

    def of(row: Any) -> Any:
        order = np.sort(row)
        left = np.searchsorted(order, order, side="left")
        count = np.searchsorted(order, order, side="right") - left
        place = np.argmax(count)
        return order[place], count[place]

    found = by_rows(of, rows)
    if keepdims:
        found = [
            np.reshape(part, (1,) * rank) if axis is None else np.expand_dims(part, axis)
            for part in found
        ]
    return [traced(part) for part in found]


# -- Cumulants and moments ---------------------------------------------------------------------


def _cumulant(x: Any, *, n: int) -> tuple[Any]:
    """Fisher's k-statistics (1928): estimates of cumulants without bias."""
    size = float(x.shape[-1])
    mean = np.mean(x, axis=-1, keepdims=True)
    if n == 1:
        return (mean[..., 0],)
    m2, m3, m4 = [np.mean((x - mean) ** order, axis=-1) for order in (2, 3, 4)]
    if size < n:
        return (m2 * math.nan,)
    if n == 2:
        return (m2 * (size / (size - 1)),)
    if n == 3:
        return (m3 * (size * size / ((size - 1) * (size - 2))),)
    inner = (size + 1) * m4 - 3 * (size - 1) * m2 * m2
    return (inner * (size * size / ((size - 1) * (size - 2) * (size - 3))),)


def _cumulant_variance(x: Any, *, n: int) -> tuple[Any]:
    """The estimate of the variance of a k-statistic without bias, of the first two."""
    size = float(x.shape[-1])
    (k2,) = _cumulant(x, n=2)
    if n == 1:
        return (k2 / size,)
    (k4,) = _cumulant(x, n=4)
    return ((2 * size * k2 * k2 + (size - 1) * k4) / (size * (size + 1)),)


@hide_frames
def kstat(
    data: Any,
    n: int = 2,
    *,
    axis: int | None = None,
    nan_policy: str = "propagate",
    keepdims: bool = False,
) -> Any:
    """The estimate of a cumulant without bias, of the order n from 1 to 4.

    Args:
        data: real numbers.
        n: the order.
        axis: along which the samples lie; all elements by None.
        nan_policy: "propagate".
        keepdims: whether the axis stays, with one element.

    Raises:
        ArgumentError: there is no such order.
        UnsupportedError: another `nan_policy`.
    """
    require_propagation("kstat", nan_policy)
    require_choice("kstat", "n", n, (1, 2, 3, 4))
    return along(_cumulant, "kstat", (data,), axis=axis, keepdims=keepdims, n=int(n))[0]


@hide_frames
def kstatvar(
    data: Any,
    n: int = 2,
    *,
    axis: int | None = None,
    nan_policy: str = "propagate",
    keepdims: bool = False,
) -> Any:
    """The estimate of the variance of `kstat`, of the order n of 1 or 2; as there."""
    require_propagation("kstatvar", nan_policy)
    require_choice("kstatvar", "n", n, (1, 2))
    return along(_cumulant_variance, "kstatvar", (data,), axis=axis, keepdims=keepdims, n=int(n))[0]


def _l_moments(x: Any, *, orders: tuple[int, ...], is_single: bool, scaled: bool) -> tuple[Any]:
    """Hosking (1990), by probability-weighted moments."""
    size = x.shape[-1]
    ordered = np.sort(x, axis=-1)
    places = np.arange(size, dtype=np.float64)
    weights = np.ones(size)
    weighted: list[Any] = []
    for k in range(max(*orders, 2)):
        weighted.append(np.mean(ordered * weights, axis=-1))
        weights = weights * (places - k) / max(size - 1 - k, 1)
    found: list[Any] = []
    for order in range(1, max(*orders, 2) + 1):
        r = order - 1
        signed = [
            (-1) ** (r - k) * math.comb(r, k) * math.comb(r + k, k) * weighted[k]
            for k in range(order)
        ]
        found.append(sum(signed[1:], signed[0]) if size >= order else weighted[0] * math.nan)
    chosen = [found[order - 1] / (found[1] if scaled and order > 2 else 1.0) for order in orders]
    return (chosen[0] if is_single else np.stack(chosen),)


@hide_frames
def lmoment(
    sample: Any,
    order: Any = None,
    *,
    axis: int | None = 0,
    sorted: bool = False,
    standardize: bool = True,
    nan_policy: str = "propagate",
    keepdims: bool = False,
) -> Any:
    """L-moments: linear combinations of the numbers in their order.

    Args:
        sample: real numbers.
        order: one order from 1 up, or several; 1 to 4 by default.
        axis: along which the samples lie; all elements by None.
        sorted: means nothing: numbers are sorted.
        standardize: whether those from order 3 on are divided by the second one.
        nan_policy: "propagate".
        keepdims: not supported.

    Returns:
        Floats; of several orders with an axis of these in front.

    Raises:
        ArgumentError: an order is not positive.
        UnsupportedError: `keepdims`, or another `nan_policy`.
    """
    require_propagation("lmoment", nan_policy)
    if keepdims:
        raise unsupported("keepdims=True of scipy.stats.lmoment", "expand the result's dimensions")
    orders = tuple(map(int, np.atleast_1d([1, 2, 3, 4] if order is None else order)))
    if not orders or min(orders) < 1:
        raise ArgumentError(f"lmoment: orders must be positive, got {order!r}", source_location())
    is_single = order is not None and np.ndim(order) == 0
    return along(
        _l_moments, "lmoment", (sample,),
        axis=axis, orders=orders, is_single=is_single, scaled=bool(standardize),
    )[0]  # fmt: skip


# -- Orders ------------------------------------------------------------------------------------


@hide_frames
def percentileofscore(a: Any, score: Any, kind: str = "rank", nan_policy: str = "propagate") -> Any:
    """How many percent of the numbers are below a score.

    Args:
        a: a vector.
        score: numbers.
        kind: "rank", where equal numbers count by the mean of their ranks; "weak", with those that
            are equal; "strict", without; "mean" of these two.
        nan_policy: "propagate".

    Returns:
        Floats of the shape of `score`, whose derivatives are zero.

    Raises:
        ArgumentError: there is no such kind.
        UnsupportedError: another `nan_policy`.
    """
    require_propagation("percentileofscore", nan_policy)
    require_choice("percentileofscore", "kind", kind, ("rank", "weak", "strict", "mean"))
    return _percentileofscore(a, score, kind=kind)


@program
def _percentileofscore(a: Any, score: Any, *, kind: str) -> Any:
    x, places = real("stats.percentileofscore", a, score)
    x = np.ravel(x)
    below = np.sum(x < places[..., None], axis=-1)
    upto = np.sum(x <= places[..., None], axis=-1)
    if not x.shape[0]:
        return traced(np.full(places.shape, np.nan))
    scale = 100.0 / x.shape[0]
    found = {
        "rank": (below + upto + (below < upto)) * (0.5 * scale),
        "weak": upto * scale,
        "strict": below * scale,
        "mean": (below + upto) * (0.5 * scale),
    }[kind]
    return traced(np.where(np.isnan(places) | np.any(np.isnan(x)), np.nan, found))


@hide_frames
def scoreatpercentile(
    a: Any,
    per: Any,
    limit: tuple[Any, ...] = (),
    interpolation_method: str = "fraction",
    axis: int | None = None,
) -> Any:
    """The number of which so many percent are below: `numpy.percentile`.

    Args:
        a: real numbers.
        per: percents.
        limit: not supported.
        interpolation_method: between two numbers: "fraction", "lower" or "higher".
        axis: along which the samples lie; all elements by None.

    Raises:
        ArgumentError: there is no such method.
        UnsupportedError: there is a `limit`.
    """
    if len(limit):
        raise unsupported(
            "limit= of scipy.stats.scoreatpercentile", "leave numbers out before, by a mask"
        )
    methods = {"fraction": "linear", "lower": "lower", "higher": "higher"}
    require_choice("scoreatpercentile", "interpolation_method", interpolation_method, (*methods,))
    method: Any = methods[interpolation_method]
    return _scoreatpercentile(a, per, method=method, axis=axis)


@program
def _scoreatpercentile(a: Any, per: Any, *, method: Any, axis: int | None) -> Any:
    x, percents = real("stats.scoreatpercentile", a, per)
    return traced(np.percentile(x, percents, axis=axis, method=method))


@hide_frames
def tiecorrect(rankvals: Any) -> Any:
    """What the variance of ranks is to be multiplied by where there are ties."""
    return along(_tiecorrect, "tiecorrect", (rankvals,), axis=None)[0]


def _tiecorrect(x: Any) -> tuple[Any]:
    size = float(x.shape[-1])
    if size < 2:
        return (np.ones(()),)
    many = np.sum(x[:, None] == x[None, :], axis=-1).astype(np.float64)
    return (1 - np.sum(many * many - 1) / (size**3 - size),)


@hide_frames
def expectile(a: Any, alpha: Any = 0.5, *, weights: Any = None) -> Any:
    """What minimises squares that weigh `alpha` above it and `1 - alpha` below it.

    Args:
        a: real numbers.
        alpha: between 0 and 1; the mean at one half.
        weights: of the numbers, of their shape.

    Raises:
        ShapeError: there are no numbers, or other weights.
    """
    operands = (a, alpha) if weights is None else (a, alpha, weights)
    return _expectile(*operands)


@program
def _expectile(a: Any, alpha: Any, *weights: Any) -> Any:
    values = real("stats.expectile", a, alpha, *weights)
    x, level = np.ravel(values[0]), values[1]
    w = np.ravel(values[2]) if weights else np.ones_like(x)
    if not x.shape[0] or w.shape != x.shape:
        raise ShapeError(
            f"expectile: expected numbers and as many weights, got {x.shape} and {w.shape}",
            source_location(),
        )
    order = np.argsort(x)
    x, w = x[order], w[order]
    # Of the first k numbers below it, and the others above.
    zero = np.zeros_like(x[:1])
    below, mass = [np.concatenate([zero, np.cumsum(part)]) for part in (w * x, w)]
    above, rest = below[-1] - below, mass[-1] - mass
    means = (level * above + (1 - level) * below) / (level * rest + (1 - level) * mass)
    # It is not less than the numbers below it: how many are, is found by the last such one.
    inside = means[2:] >= x[1:]
    return traced(means[1:][np.sum(inside)])


# -- Entropies of samples ----------------------------------------------------------------------


@hide_frames
def differential_entropy(
    values: Any,
    *,
    window_length: int | None = None,
    base: float | None = None,
    axis: int = 0,
    method: str = "auto",
    nan_policy: str = "propagate",
    keepdims: bool = False,
) -> Any:
    """The entropy of a continuous distribution, from the distances in a sample.

    Args:
        values: real numbers.
        window_length: how many places further a distance goes; by default the rounded root of the
            size.
        base: of the logarithm; e by default.
        axis: along which the samples lie.
        method: "vasicek" (1976), "van es" (1992), "ebrahimi" (1994), "correa" (1995), or "auto",
            by the size: "van es" up to 10, "ebrahimi" up to 1,000, else "vasicek".
        nan_policy: "propagate".
        keepdims: whether the axis stays, with one element.

    Raises:
        ArgumentError: there is no such method, or the window is longer than half of the sample.
        UnsupportedError: another `nan_policy`.
    """
    require_propagation("differential_entropy", nan_policy)
    methods = ("vasicek", "van es", "ebrahimi", "correa")
    require_choice("differential_entropy", "method", method.lower(), (*methods, "auto"))
    size = shape_of(values)[axis]
    window = math.floor(math.sqrt(size) + 0.5) if window_length is None else int(window_length)
    if not 2 <= 2 * window < size:
        raise ArgumentError(
            f"differential_entropy: the window length ({window}) must be positive and less than "
            f"half of the sample size ({size})",
            source_location(),
        )
    kind = method.lower()
    if kind == "auto":
        kind = "van es" if size <= 10 else "ebrahimi" if size <= 1000 else "vasicek"
    found = along(
        _differential_entropy, "differential_entropy", (values,),
        axis=axis, keepdims=keepdims, method=kind, m=window,
    )[0]  # fmt: skip
    return found if base is None else found / math.log(base)


def _differential_entropy(x: Any, *, method: str, m: int) -> tuple[Any]:
    size = x.shape[-1]
    x = np.sort(x, axis=-1)
    if method == "van es":
        steps = np.log((size + 1) / m * (x[..., m:] - x[..., :-m]))
        tail = sum(1 / k for k in range(m, size + 1))
        return (np.mean(steps, axis=-1) + (tail + math.log(m) - math.log(size + 1)),)
    first, last = np.repeat(x[..., :1], m, axis=-1), np.repeat(x[..., -1:], m, axis=-1)
    padded = np.concatenate([first, x, last], axis=-1)
    if method == "correa":
        near = np.stack([padded[..., k : k + size] for k in range(2 * m + 1)], axis=-1)
        shifted = near - np.mean(near, axis=-1, keepdims=True)
        top = np.sum(shifted * np.arange(-m, m + 1.0), axis=-1)
        return (-np.mean(np.log(top / (size * np.sum(shifted**2, axis=-1))), axis=-1),)
    steps = padded[..., 2 * m :] - padded[..., : -2 * m]
    places = np.arange(1, size + 1)
    count = 2.0 * np.ones(size)
    if method == "ebrahimi":
        count = np.minimum(count, 1 + (np.minimum(places, size + 1 - places) - 1) / m)
    return (np.mean(np.log(size / (count * m) * steps), axis=-1),)


# -- p-values together -------------------------------------------------------------------------


@hide_frames
def false_discovery_control(ps: Any, *, axis: int | None = 0, method: str = "bh") -> Any:
    """p-values such that those below a bound are false discoveries at that rate.

    Args:
        ps: p-values.
        axis: along which they belong together; all, as a vector, by None.
        method: "bh" of Benjamini and Hochberg (1995), or "by" of Benjamini and Yekutieli (2001),
            for p-values that depend on each other.

    Raises:
        ArgumentError: there is no such method.
    """
    kind = method.lower()
    require_choice("false_discovery_control", "method", kind, ("bh", "by"))
    return _false_discovery_control(ps, axis=axis, method=kind)


@program
def _false_discovery_control(ps: Any, *, axis: int | None, method: str) -> Any:
    (p,) = real("stats.false_discovery_control", ps)
    shape = p.shape
    if not shape or not p.shape[0 if axis is None else axis]:
        return traced(p)
    rows = np.ravel(p) if axis is None else np.moveaxis(p, axis, -1)
    size = rows.shape[-1]
    factor = sum(1 / k for k in range(1, size + 1)) if method == "by" else 1.0
    order = np.argsort(rows, axis=-1)
    scaled = np.take_along_axis(rows, order, axis=-1) * (size * factor / np.arange(1.0, size + 1))
    least = np.minimum.accumulate(scaled[..., ::-1], axis=-1)[..., ::-1]
    back = np.take_along_axis(least, np.argsort(order, axis=-1), axis=-1)
    found = np.clip(back, 0.0, 1.0)
    return traced(found if axis is None else np.moveaxis(found, -1, axis))


class SignificanceResult(NamedTuple):
    """What `combine_pvalues` returns.

    Attributes:
        statistic: of all p-values together.
        pvalue: how likely one as extreme is.
    """

    statistic: Any
    pvalue: Any


_COMBINED = ("fisher", "pearson", "tippett", "stouffer", "mudholkar_george")


@hide_frames
def combine_pvalues(
    pvalues: Any,
    method: str = "fisher",
    weights: Any = None,
    *,
    axis: int | None = 0,
    nan_policy: str = "propagate",
    keepdims: bool = False,
) -> SignificanceResult:
    """One p-value of independent tests of the same hypothesis.

    Args:
        pvalues: p-values.
        method: "fisher", "pearson", "tippett", "stouffer" or "mudholkar_george".
        weights: of "stouffer", of the shape of the p-values.
        axis: along which they belong together; all by None.
        nan_policy: "propagate".
        keepdims: whether the axis stays, with one element.

    Raises:
        ArgumentError: there is no such method.
        UnsupportedError: another `nan_policy`.
    """
    require_propagation("combine_pvalues", nan_policy)
    require_choice("combine_pvalues", "method", method, _COMBINED)
    samples = (pvalues, weights) if method == "stouffer" and weights is not None else (pvalues,)
    found = along(
        _combined, "combine_pvalues", samples, axis=axis, keepdims=keepdims, method=method
    )
    return SignificanceResult(*found)


def _combined(p: Any, *weights: Any, method: str) -> tuple[Any, Any]:
    n = float(p.shape[-1])
    if method == "fisher":
        statistic = -2 * np.sum(np.log(p), axis=-1)
        return statistic, special.gammaincc(n, 0.5 * statistic)
    if method == "pearson":
        statistic = 2 * np.sum(np.log1p(-p), axis=-1)
        return statistic, special.gammainc(n, -0.5 * statistic)
    if method == "tippett":
        statistic = np.min(p, axis=-1)
        return statistic, -np.expm1(n * np.log1p(-statistic))
    if method == "stouffer":
        z = -special.ndtri(p)
        w = weights[0] if weights else np.ones_like(p)
        statistic = np.sum(w * z, axis=-1) / np.sqrt(np.sum(w * w, axis=-1))
        return statistic, special.ndtr(-statistic)
    # By Student's t with the same variance and kurtosis as sums of logistic variables.
    statistic = -np.sum(np.log(p) - np.log1p(-p), axis=-1)
    df = 5 * n + 4
    scale = math.sqrt(3 / n) / math.pi * math.sqrt(df / (df - 2))
    return statistic, special.stdtr(df, -statistic * scale)
