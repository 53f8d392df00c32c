# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Tests of hypotheses in `scipy.stats`: of frequencies, variances, locations and normality.

All of them give a statistic and its p-value. Statistics of ranks are constant between the places
where samples change their order, so that their derivatives are zero. Sources are the papers that
are named, and Sheskin, Handbook of Parametric and Nonparametric Statistical Procedures (2003).
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
from gradopt.ir import prims
from gradopt.scipy.operands import real
from gradopt.scipy.stats.descriptive import pearsonr
from gradopt.scipy.stats.distribution import special
from gradopt.scipy.stats.inference import TestResult
from gradopt.scipy.stats.lanes import (
    along,
    ranks,
    require_choice,
    require_propagation,
    shape_of,
    ties,
)

_ALTERNATIVES = ("two-sided", "less", "greater")


def _normal_p(z: Any, alternative: str) -> Any:
    """How likely a normal variable as extreme is."""
    if alternative == "two-sided":
        return 2 * special.ndtr(-np.abs(z))
    return special.ndtr(z) if alternative == "less" else special.ndtr(-z)


def _chi_square_p(statistic: Any, df: Any) -> Any:
    """How likely a larger sum of squares is; at 0, where it has no slope, that is taken to be 0."""
    p = special.gammaincc(0.5 * df, 0.5 * np.where(statistic <= 0, 1.0, statistic))
    return np.where(statistic <= 0, 1.0, p)


def _samples(name: str, samples: tuple[Any, ...], least: int) -> tuple[Any, ...]:
    if len(samples) < least:
        raise ArgumentError(
            f"{name}: at least {least} samples are required, got {len(samples)}", source_location()
        )
    return samples


# -- Frequencies -------------------------------------------------------------------------------

_POWERS = {
    "pearson": 1.0,
    "log-likelihood": 0.0,
    "freeman-tukey": -0.5,
    "mod-log-likelihood": -1.0,
    "neyman": -2.0,
    "cressie-read": 2 / 3,
}


def _power_of(name: str, lambda_: Any) -> float:
    if lambda_ is None:
        return 1.0
    if isinstance(lambda_, str):
        return _POWERS[require_choice(name, "lambda_", lambda_, (*_POWERS,))]
    return float(lambda_)


def _divergences(observed: Any, expected: Any, power: float) -> Any:
    """The terms of Cressie and Read (1984)."""
    if power == 1:
        return (observed - expected) ** 2 / expected
    if power == 0:
        return 2 * special.xlogy(observed, observed / expected)
    if power == -1:
        return 2 * special.xlogy(expected, expected / observed)
    return 2 / (power * (power + 1)) * observed * ((observed / expected) ** power - 1)


def _power_divergence(observed: Any, *expected: Any, power: float, ddof: int) -> tuple[Any, Any]:
    mean = np.mean(observed, axis=-1, keepdims=True)
    statistic = np.sum(_divergences(observed, expected[0] if expected else mean, power), axis=-1)
    return statistic, _chi_square_p(statistic, float(observed.shape[-1] - 1 - ddof))


@hide_frames
def power_divergence(
    f_obs: Any,
    f_exp: Any = None,
    ddof: int = 0,
    axis: int | None = 0,
    lambda_: Any = None,
    *,
    nan_policy: str = "propagate",
    keepdims: bool = False,
) -> TestResult:
    """The divergence of frequencies from those that are expected, by a family of statistics.

    That the sums of both are the same is not checked, as it is no matter of the shapes.

    Args:
        f_obs: frequencies that were observed.
        f_exp: those that are expected, of the same shape; all the same by default.
        ddof: how many degrees of freedom less there are than frequencies less 1.
        axis: along which they lie; all by None.
        lambda_: the power of Cressie and Read, or one of the names "pearson" (the default),
            "log-likelihood", "freeman-tukey", "mod-log-likelihood", "neyman" and "cressie-read".
        nan_policy: "propagate".
        keepdims: whether the axis stays, with one element.

    Raises:
        ArgumentError: there is no such name.
        UnsupportedError: another `nan_policy`.
    """
    require_propagation("power_divergence", nan_policy)
    samples = (f_obs,) if f_exp is None else (f_obs, f_exp)
    power = _power_of("power_divergence", lambda_)
    found = along(
        _power_divergence, "power_divergence", samples,
        axis=axis, keepdims=keepdims, power=power, ddof=int(ddof),
    )  # fmt: skip
    return TestResult(*found)


@hide_frames
def chisquare(
    f_obs: Any,
    f_exp: Any = None,
    ddof: int = 0,
    axis: int | None = 0,
    *,
    sum_check: bool = True,
    nan_policy: str = "propagate",
    keepdims: bool = False,
) -> TestResult:
    """Pearson's `power_divergence`, the sum of squared differences by what is expected.

    `sum_check` means nothing: the sums are not compared.
    """
    require_propagation("chisquare", nan_policy)
    return power_divergence(f_obs, f_exp, ddof, axis, "pearson", keepdims=keepdims)


class Contingency(NamedTuple):
    """What `chi2_contingency` returns.

    Attributes:
        statistic, pvalue: of the test that the factors are independent.
        dof: the degrees of freedom.
        expected_freq: the frequencies of independent factors.
    """

    statistic: Any
    pvalue: Any
    dof: int
    expected_freq: Any


@hide_frames
def chi2_contingency(
    observed: Any, correction: bool = True, lambda_: Any = None, *, method: None = None
) -> Contingency:
    """Whether the factors of a table of frequencies are independent.

    Args:
        observed: the table, with an axis for each factor.
        correction: whether Yates' correction is made where there is one degree of freedom.
        lambda_: as for `power_divergence`.
        method: None: by the chi-square distribution.

    Raises:
        UnsupportedError: a `method` that draws samples.
    """
    if method is not None:
        raise unsupported("method= of scipy.stats.chi2_contingency", "draw samples by go.random")
    shape = shape_of(observed)
    dof = math.prod(shape) - sum(shape) + len(shape) - 1
    power = _power_of("chi2_contingency", lambda_)
    found = _contingency(observed, power=power, dof=dof, is_corrected=bool(correction))
    return Contingency(found[0], found[1], dof, found[2])


@program
def _contingency(observed: Any, *, power: float, dof: int, is_corrected: bool) -> Any:
    (table,) = real("stats.chi2_contingency", observed)
    axes = range(table.ndim)
    total = np.sum(table)
    expected: Any = total
    for axis in axes:
        others = tuple([other for other in axes if other != axis])
        expected = expected * (np.sum(table, axis=others, keepdims=True) / total)
    if not dof:
        return [traced(part) for part in (0 * total, 0 * total + 1, expected)]
    if dof == 1 and is_corrected:
        difference = expected - table
        table = table + np.sign(difference) * np.minimum(0.5, np.abs(difference))
    statistic = np.sum(_divergences(table, expected, power))
    return [traced(part) for part in (statistic, _chi_square_p(statistic, float(dof)), expected)]


# -- Variances ---------------------------------------------------------------------------------


def _bartlett(*samples: Any) -> tuple[Any, Any]:
    """Bartlett (1937)."""
    free = [x.shape[-1] - 1.0 for x in samples]
    variances = [np.var(x, axis=-1, ddof=1) for x in samples]
    total = sum(free)
    pooled: Any = 0.0
    logs: Any = 0.0
    for n, variance in zip(free, variances, strict=True):
        pooled = pooled + n / total * variance
        logs = logs + n * np.log(variance)
    scale = 1 + (sum(1 / n if n else math.inf for n in free) - 1 / total) / (3 * (len(free) - 1))
    statistic = (total * np.log(pooled) - logs) / scale
    return statistic, _chi_square_p(statistic, float(len(samples) - 1))


@hide_frames
def bartlett(
    *samples: Any, axis: int | None = 0, nan_policy: str = "propagate", keepdims: bool = False
) -> TestResult:
    """Whether samples of normal numbers have the same variance.

    Args:
        samples: two or more.
        axis: along which they lie; all elements of each by None.
        nan_policy: "propagate".
        keepdims: whether the axis stays, with one element.

    Raises:
        ArgumentError: there are less than two.
        UnsupportedError: another `nan_policy`.
    """
    require_propagation("bartlett", nan_policy)
    given = _samples("bartlett", samples, 2)
    return TestResult(*along(_bartlett, "bartlett", given, axis=axis, keepdims=keepdims))


def _fligner(*samples: Any, center: str, part: float) -> tuple[Any, Any]:
    """Fligner and Killeen (1976), with the simulations of Conover et al. (1981)."""
    distances = [np.abs(x - _center(x, center, part)) for x in samples]
    every = np.concatenate(distances, axis=-1)
    total = every.shape[-1]
    scores = special.ndtri(ranks(every) / (2 * (total + 1.0)) + 0.5)
    mean = np.mean(scores, axis=-1)
    start = 0
    between: Any = 0.0
    for x in samples:
        own = np.mean(scores[..., start : start + x.shape[-1]], axis=-1)
        between = between + x.shape[-1] * (own - mean) ** 2
        start += x.shape[-1]
    statistic = between / np.var(scores, axis=-1, ddof=1)
    return statistic, _chi_square_p(statistic, float(len(samples) - 1))


def _center(x: Any, center: str, part: float) -> Any:
    """The middle of samples along the last axis, which stays."""
    if center == "median":
        return np.median(x, axis=-1, keepdims=True)
    if center == "trimmed":
        cut = int(part * x.shape[-1])
        x = np.sort(x, axis=-1)[..., cut : x.shape[-1] - cut]
    return np.mean(x, axis=-1, keepdims=True)


@hide_frames
def fligner(
    *samples: Any,
    center: str = "median",
    proportiontocut: float = 0.05,
    axis: int | None = 0,
    nan_policy: str = "propagate",
    keepdims: bool = False,
) -> TestResult:
    """Whether samples have the same variance, by ranks of the distances from their middles.

    Args:
        samples: two or more.
        center: "median", "mean" or "trimmed": what is in the middle.
        proportiontocut: what "trimmed" leaves out at each end.
        axis: along which they lie; all elements of each by None.
        nan_policy: "propagate".
        keepdims: whether the axis stays, with one element.

    Raises:
        ArgumentError: there are less than two samples, or there is no such center.
        UnsupportedError: another `nan_policy`.
    """
    require_propagation("fligner", nan_policy)
    require_choice("fligner", "center", center, ("mean", "median", "trimmed"))
    found = along(
        _fligner, "fligner", _samples("fligner", samples, 2),
        axis=axis, keepdims=keepdims, center=center, part=float(proportiontocut),
    )  # fmt: skip
    return TestResult(*found)


def _mood(x: Any, y: Any, *, alternative: str) -> tuple[Any, Any]:
    """Mood (1954), with Mielke's variance where there are ties (1967)."""
    m, n = x.shape[-1], y.shape[-1]
    total = m + n
    every = np.concatenate([x, y], axis=-1)
    # The mean of the scores of ranks among equal ones: the sum of squares from one to the next.
    low, high = _places(every)
    middle = (total + 1) / 2
    count = high - low
    first, last = low + 1 - middle, high - middle
    scores = (_squares(last) - _squares(first - 1)) / count
    statistic = np.sum(scores[..., :m], axis=-1)
    mean = m * (total * total - 1.0) / 12
    whole = np.sum((scores - np.mean(scores, axis=-1, keepdims=True)) ** 2, axis=-1)
    variance = m * n / (total * (total - 1.0)) * whole
    z = (statistic - mean) / np.sqrt(variance)
    return z, _normal_p(z, alternative)


def _squares(x: Any) -> Any:
    """A sum of squares up to x, but for a constant."""
    return x * (x + 1) * (2 * x + 1) / 6


def _places(x: Any) -> tuple[Any, Any]:
    """How many elements are below each, and not above."""
    order = np.sort(x, axis=-1)
    below = np.sum(order[..., None, :] < x[..., :, None], axis=-1)
    upto = np.sum(order[..., None, :] <= x[..., :, None], axis=-1)
    return below.astype(np.float64), upto.astype(np.float64)


@hide_frames
def mood(
    x: Any,
    y: Any,
    axis: int | None = 0,
    alternative: str = "two-sided",
    *,
    nan_policy: str = "propagate",
    keepdims: bool = False,
) -> TestResult:
    """Whether two samples have the same scale, by squared distances of ranks from the middle.

    Args:
        x: a sample.
        y: another one.
        axis: along which they lie; all elements of each by None.
        alternative: "two-sided", "less" or "greater".
        nan_policy: "propagate".
        keepdims: whether the axis stays, with one element.

    Raises:
        ArgumentError: there is no such alternative.
        UnsupportedError: another `nan_policy`.
    """
    require_propagation("mood", nan_policy)
    kind = require_choice("mood", "alternative", alternative, _ALTERNATIVES)
    found = along(_mood, "mood", (x, y), axis=axis, keepdims=keepdims, alternative=kind)
    return TestResult(*found)


# -- Locations, by ranks -----------------------------------------------------------------------


def _kruskal(*samples: Any) -> tuple[Any, Any]:
    """Kruskal and Wallis (1952)."""
    every = np.concatenate(samples, axis=-1)
    total = every.shape[-1]
    ranked = ranks(every)
    start = 0
    squares: Any = 0.0
    for x in samples:
        squares = (
            squares + np.sum(ranked[..., start : start + x.shape[-1]], axis=-1) ** 2 / (x.shape[-1])
        )
        start += x.shape[-1]
    h = 12 / (total * (total + 1.0)) * squares - 3 * (total + 1.0)
    statistic = h / (1 - ties(every) / (float(total) ** 3 - total))
    return statistic, _chi_square_p(statistic, float(len(samples) - 1))


@hide_frames
def kruskal(
    *samples: Any, nan_policy: str = "propagate", axis: int | None = 0, keepdims: bool = False
) -> TestResult:
    """Whether samples have the same median, by the sums of their ranks.

    Args:
        samples: two or more.
        nan_policy: "propagate".
        axis: along which they lie; all elements of each by None.
        keepdims: whether the axis stays, with one element.

    Raises:
        ArgumentError: there are less than two.
        UnsupportedError: another `nan_policy`.
    """
    require_propagation("kruskal", nan_policy)
    given = _samples("kruskal", samples, 2)
    return TestResult(*along(_kruskal, "kruskal", given, axis=axis, keepdims=keepdims))


def _friedman(*samples: Any) -> tuple[Any, Any]:
    """Friedman (1937)."""
    k, n = len(samples), samples[0].shape[-1]
    table = np.stack(samples, axis=-1)
    sums = np.sum(ranks(table), axis=-2)
    correction = 1 - np.sum(ties(table), axis=-1) / (k * (k * k - 1.0) * n)
    raw = 12 / (k * n * (k + 1.0)) * np.sum(sums * sums, axis=-1) - 3 * n * (k + 1.0)
    statistic = raw / correction
    return statistic, _chi_square_p(statistic, float(k - 1))


@hide_frames
def friedmanchisquare(
    *samples: Any, axis: int | None = 0, nan_policy: str = "propagate", keepdims: bool = False
) -> TestResult:
    """Whether repeated measurements differ, by their ranks in each repetition.

    Args:
        samples: three or more of the same size.
        axis: along which the repetitions lie; all elements of each by None.
        nan_policy: "propagate".
        keepdims: whether the axis stays, with one element.

    Raises:
        ArgumentError: there are less than three.
        ShapeError: they have different sizes.
        UnsupportedError: another `nan_policy`.
    """
    require_propagation("friedmanchisquare", nan_policy)
    given = _samples("friedmanchisquare", samples, 3)
    shapes = [shape_of(x) for x in given]
    if len(set(shapes)) > 1:
        raise ShapeError(
            f"friedmanchisquare: samples must have one shape, got {shapes}",
            source_location(),
        )
    found = along(_friedman, "friedmanchisquare", given, axis=axis, keepdims=keepdims)
    return TestResult(*found)


def _ranksums(x: Any, y: Any, *, alternative: str) -> tuple[Any, Any]:
    m, n = float(x.shape[-1]), float(y.shape[-1])
    total = np.sum(ranks(np.concatenate([x, y], axis=-1))[..., : x.shape[-1]], axis=-1)
    z = (total - m * (m + n + 1) / 2) / math.sqrt(m * n * (m + n + 1) / 12)
    return z, _normal_p(z, alternative)


@hide_frames
def ranksums(
    x: Any,
    y: Any,
    alternative: str = "two-sided",
    *,
    axis: int | None = 0,
    nan_policy: str = "propagate",
    keepdims: bool = False,
) -> TestResult:
    """Whether one of two samples tends to be larger, by the sum of its ranks, without ties.

    Args:
        x: a sample.
        y: another one.
        alternative: "two-sided", "less" or "greater".
        axis: along which they lie; all elements of each by None.
        nan_policy: "propagate".
        keepdims: whether the axis stays, with one element.

    Raises:
        ArgumentError: there is no such alternative.
        UnsupportedError: another `nan_policy`.
    """
    require_propagation("ranksums", nan_policy)
    kind = require_choice("ranksums", "alternative", alternative, _ALTERNATIVES)
    found = along(_ranksums, "ranksums", (x, y), axis=axis, keepdims=keepdims, alternative=kind)
    return TestResult(*found)


def _mannwhitneyu(
    x: Any, y: Any, *, alternative: str, method: str, is_continuous: bool
) -> tuple[Any, Any]:
    """Mann and Whitney (1947)."""
    m, n = x.shape[-1], y.shape[-1]
    every = np.concatenate([x, y], axis=-1)
    first = np.sum(ranks(every)[..., :m], axis=-1) - m * (m + 1) / 2
    second = m * n - first
    largest = {
        "greater": first,
        "less": second,
        "two-sided": np.maximum(first, second),
    }[alternative]
    factor = 2 if alternative == "two-sided" else 1
    tied = ties(every)
    total = m + n
    variance = m * n / 12 * ((total + 1) - tied / (total * (total - 1.0)))
    shift = 0.5 if is_continuous else 0.0
    p = special.ndtr(-(largest - m * n / 2 - shift) / np.sqrt(variance))
    if method == "exact" or (method == "auto" and min(m, n) <= _FEW):
        exact = _at_least(_rank_sum_chances(m, n), largest)
        p = exact if method == "exact" else np.where(_has_ties(every, tied), p, exact)
    return first, np.where(np.isnan(first), np.nan, np.clip(p * factor, 0.0, 1.0))


def _has_ties(x: Any, tied: Any) -> Any:
    """Whether ties count: of all samples together, but of each by itself where one has NaN."""
    return np.where(np.any(np.isnan(x)), tied != 0, np.any(tied != 0))


# Up to this size of one sample p-values are exact without being asked for, and the most sums of
# ranks that there can be for it.
_FEW, _MOST_SUMS = 8, 20_000


def _rank_sum_chances(m: int, n: int) -> np.ndarray[Any, Any]:
    """How likely each sum of ranks is: the coefficients of a Gaussian binomial coefficient."""
    size = m * n + 1
    counts = np.zeros(size, dtype=object)
    counts[0] = 1
    for k in range(1, min(m, n) + 1):
        power = max(m, n) + k
        if power < size:
            counts[power:] = counts[power:] - counts[:-power]
        for place in range(k, size):
            counts[place] += counts[place - k]
    total = math.comb(m + n, m)
    return np.array([count / total for count in counts], dtype=np.float64)


def _at_least(chances: np.ndarray[Any, Any], places: Any) -> Any:
    """How likely an integer as large is, of such chances from 0 on; rounded up."""
    tail = np.append(np.cumsum(chances[::-1])[::-1], 0.0)
    at = np.clip(np.where(np.isnan(places), 0.0, np.ceil(places)), 0.0, len(chances))
    return np.take(wrap(prims.as_value(tail)), at.astype(np.int64))


@hide_frames
def mannwhitneyu(
    x: Any,
    y: Any,
    use_continuity: bool = True,
    alternative: str = "two-sided",
    axis: int | None = 0,
    method: str = "auto",
    *,
    nan_policy: str = "propagate",
    keepdims: bool = False,
) -> TestResult:
    """Whether one of two samples tends to be larger: in how many pairs it is.

    Args:
        x: a sample.
        y: another one.
        use_continuity: whether half a pair less counts in the normal approximation.
        alternative: "two-sided", "less" or "greater".
        axis: along which they lie; all elements of each by None.
        method: of the p-value: "exact", where there are no ties; "asymptotic"; or "auto", exact
            where one sample has at most 8 elements and there are no ties, which are looked for in
            all lanes together, as SciPy does, unless there is NaN.
        nan_policy: "propagate".
        keepdims: whether the axis stays, with one element.

    Raises:
        ArgumentError: there is no such alternative or method.
        UnsupportedError: another `nan_policy`; "exact" of too many pairs.
    """
    require_propagation("mannwhitneyu", nan_policy)
    kind = require_choice("mannwhitneyu", "alternative", alternative, _ALTERNATIVES)
    require_choice("mannwhitneyu", "method", method, ("auto", "asymptotic", "exact"))
    sizes = [
        shape[axis] if axis is not None else math.prod(shape)
        for shape in (shape_of(x), shape_of(y))
    ]
    pairs = math.prod(sizes)
    if method == "exact" and pairs > _MOST_SUMS:
        raise unsupported(
            f"method='exact' of scipy.stats.mannwhitneyu of {pairs} pairs", "use 'asymptotic'"
        )
    found = along(
        _mannwhitneyu, "mannwhitneyu", (x, y), axis=axis, keepdims=keepdims,
        alternative=kind, method=method if pairs <= _MOST_SUMS else "asymptotic",
        is_continuous=bool(use_continuity),
    )  # fmt: skip
    return TestResult(*found)


def _brunnermunzel(x: Any, y: Any, *, alternative: str, is_normal: bool) -> tuple[Any, Any]:
    """Brunner and Munzel (2000)."""
    m, n = float(x.shape[-1]), float(y.shape[-1])
    every = ranks(np.concatenate([x, y], axis=-1))
    first, second = every[..., : x.shape[-1]], every[..., x.shape[-1] :]
    parts: list[Any] = []
    for together, own in ((first, ranks(x)), (second, ranks(y))):
        shift = together - own
        shift = shift - np.mean(shift, axis=-1, keepdims=True)
        parts.append(np.sum(shift * shift, axis=-1) / (shift.shape[-1] - 1.0))
    difference = np.mean(second, axis=-1) - np.mean(first, axis=-1)
    a, b = m * parts[0], n * parts[1]
    w = m * n * difference / ((m + n) * np.sqrt(a + b))
    if is_normal:
        return w, _normal_p(-w, alternative)
    df = (a + b) ** 2 / (a * a / (m - 1) + b * b / (n - 1))
    if alternative == "two-sided":
        return w, 2 * special.stdtr(df, -np.abs(w))
    # The statistic is that of y against x.
    return w, special.stdtr(df, -w if alternative == "less" else w)


@hide_frames
def brunnermunzel(
    x: Any,
    y: Any,
    alternative: str = "two-sided",
    distribution: str = "t",
    nan_policy: str = "propagate",
    *,
    axis: int | None = 0,
    keepdims: bool = False,
) -> TestResult:
    """Whether one of two samples tends to be larger, where their variances may differ.

    Args:
        x: a sample.
        y: another one.
        alternative: "two-sided", "less" or "greater".
        distribution: of the statistic: "t" or "normal".
        nan_policy: "propagate".
        axis: along which they lie; all elements of each by None.
        keepdims: whether the axis stays, with one element.

    Raises:
        ArgumentError: there is no such alternative or distribution.
        UnsupportedError: another `nan_policy`.
    """
    require_propagation("brunnermunzel", nan_policy)
    kind = require_choice("brunnermunzel", "alternative", alternative, _ALTERNATIVES)
    require_choice("brunnermunzel", "distribution", distribution, ("t", "normal"))
    found = along(
        _brunnermunzel, "brunnermunzel", (x, y),
        axis=axis, keepdims=keepdims, alternative=kind, is_normal=distribution == "normal",
    )  # fmt: skip
    return TestResult(*found)


# -- Normality ---------------------------------------------------------------------------------


def _central(x: Any, order: int) -> Any:
    return np.mean((x - np.mean(x, axis=-1, keepdims=True)) ** order, axis=-1)


def _skew_z(x: Any) -> Any:
    """D'Agostino (1970)."""
    n = float(x.shape[-1])
    b1 = _central(x, 3) / _central(x, 2) ** 1.5
    if n < 8:
        return b1 * math.nan
    y = b1 * math.sqrt((n + 1) * (n + 3) / (6 * (n - 2)))
    beta = 3 * (n * n + 27 * n - 70) * (n + 1) * (n + 3)
    beta /= (n - 2) * (n + 5) * (n + 7) * (n + 9)
    w2 = math.sqrt(2 * (beta - 1)) - 1
    alpha = math.sqrt(2 / (w2 - 1))
    return np.arcsinh(y / alpha) / math.sqrt(0.5 * math.log(w2))


def _kurtosis_z(x: Any) -> Any:
    """Anscombe and Glynn (1983)."""
    n = float(x.shape[-1])
    b2 = _central(x, 4) / _central(x, 2) ** 2
    if n < 5:
        return b2 * math.nan
    mean = 3 * (n - 1) / (n + 1)
    variance = 24 * n * (n - 2) * (n - 3) / ((n + 1) ** 2 * (n + 3) * (n + 5))
    y = (b2 - mean) / math.sqrt(variance)
    root = 6 * (n * n - 5 * n + 2) / ((n + 7) * (n + 9))
    root *= math.sqrt(6 * (n + 3) * (n + 5) / (n * (n - 2) * (n - 3)))
    a = 6 + 8 / root * (2 / root + math.sqrt(1 + 4 / root**2))
    ratio = (1 - 2 / a) / (1 + y * math.sqrt(2 / (a - 4)))
    return (1 - 2 / (9 * a) - np.cbrt(ratio)) / math.sqrt(2 / (9 * a))


def _skewtest(x: Any, *, alternative: str) -> tuple[Any, Any]:
    z = _skew_z(x)
    return z, _normal_p(z, alternative)


def _kurtosistest(x: Any, *, alternative: str) -> tuple[Any, Any]:
    z = _kurtosis_z(x)
    return z, _normal_p(z, alternative)


def _normaltest(x: Any) -> tuple[Any, Any]:
    """D'Agostino and Pearson (1973)."""
    statistic = _skew_z(x) ** 2 + _kurtosis_z(x) ** 2
    return statistic, np.exp(-0.5 * statistic)


def _jarque_bera(x: Any) -> tuple[Any, Any]:
    """Jarque and Bera (1980)."""
    m2 = _central(x, 2)
    skew, kurtosis = _central(x, 3) / m2**1.5, _central(x, 4) / m2**2 - 3
    statistic = x.shape[-1] / 6 * (skew * skew + kurtosis * kurtosis / 4)
    return statistic, np.exp(-0.5 * statistic)


@hide_frames
def skewtest(
    a: Any,
    axis: int | None = 0,
    nan_policy: str = "propagate",
    alternative: str = "two-sided",
    *,
    keepdims: bool = False,
) -> TestResult:
    """Whether the skew of a sample is that of a normal distribution; NaN of less than 8 numbers.

    Args:
        a: a sample.
        axis: along which it lies; all elements by None.
        nan_policy: "propagate".
        alternative: "two-sided", "less" or "greater".
        keepdims: whether the axis stays, with one element.

    Raises:
        ArgumentError: there is no such alternative.
        UnsupportedError: another `nan_policy`.
    """
    require_propagation("skewtest", nan_policy)
    kind = require_choice("skewtest", "alternative", alternative, _ALTERNATIVES)
    found = along(_skewtest, "skewtest", (a,), axis=axis, keepdims=keepdims, alternative=kind)
    return TestResult(*found)


@hide_frames
def kurtosistest(
    a: Any,
    axis: int | None = 0,
    nan_policy: str = "propagate",
    alternative: str = "two-sided",
    *,
    keepdims: bool = False,
) -> TestResult:
    """Whether the kurtosis of a sample is that of a normal distribution; NaN of less than 5.

    Parameters and errors are those of `skewtest`.
    """
    require_propagation("kurtosistest", nan_policy)
    kind = require_choice("kurtosistest", "alternative", alternative, _ALTERNATIVES)
    found = along(
        _kurtosistest, "kurtosistest", (a,), axis=axis, keepdims=keepdims, alternative=kind
    )
    return TestResult(*found)


@hide_frames
def normaltest(
    a: Any, axis: int | None = 0, nan_policy: str = "propagate", *, keepdims: bool = False
) -> TestResult:
    """Whether a sample is of a normal distribution, by `skewtest` and `kurtosistest` together."""
    require_propagation("normaltest", nan_policy)
    return TestResult(*along(_normaltest, "normaltest", (a,), axis=axis, keepdims=keepdims))


@hide_frames
def jarque_bera(
    x: Any, *, axis: int | None = None, nan_policy: str = "propagate", keepdims: bool = False
) -> TestResult:
    """Whether a sample is of a normal distribution, by its skew and kurtosis.

    Args:
        x: a sample.
        axis: along which it lies; all elements by default.
        nan_policy: "propagate".
        keepdims: whether the axis stays, with one element.

    Raises:
        UnsupportedError: another `nan_policy`.
    """
    require_propagation("jarque_bera", nan_policy)
    return TestResult(*along(_jarque_bera, "jarque_bera", (x,), axis=axis, keepdims=keepdims))


@hide_frames
def pointbiserialr(
    x: Any, y: Any, *, axis: int = 0, nan_policy: str = "propagate", keepdims: bool = False
) -> TestResult:
    """The correlation of booleans and numbers, and its p-value: that of `pearsonr`.

    Args:
        x: a vector of booleans.
        y: a vector of the same length.
        axis: 0.
        nan_policy: "propagate".
        keepdims: not supported.

    Raises:
        ShapeError: they are no such vectors.
        UnsupportedError: `keepdims`, or another `nan_policy`.
    """
    require_propagation("pointbiserialr", nan_policy)
    if keepdims:
        raise unsupported("keepdims=True of scipy.stats.pointbiserialr", "reshape the results")
    return TestResult(*pearsonr(x, y))
