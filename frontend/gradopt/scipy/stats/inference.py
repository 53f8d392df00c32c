# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Ranks, tests and fits of samples in `scipy.stats`.

Ranks are constant between the places where samples change their order, so that their derivatives
are zero.
"""

from __future__ import annotations

import math
from collections.abc import Callable
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
from gradopt.scipy.stats.continuous import f as f_distribution
from gradopt.scipy.stats.continuous import norm as normal
from gradopt.scipy.stats.continuous import t as student
from gradopt.transforms.batching import vmap

_ALTERNATIVES = ("two-sided", "less", "greater")


class TestResult(NamedTuple):
    """A statistic and its p-value, as the first two fields of SciPy's results.

    Attributes:
        statistic: of the samples.
        pvalue: how likely one as extreme is, if there is nothing to be found.
    """

    statistic: Any
    pvalue: Any


def _check_alternative(name: str, alternative: str) -> str:
    if alternative not in _ALTERNATIVES:
        raise ArgumentError(
            f"{name}: `alternative` must be 'less', 'greater', or 'two-sided', but it is "
            f"{alternative!r}",
            source_location(),
        )
    return alternative


def _p_value(statistic: Any, df: Any, alternative: str) -> Any:
    """How likely a Student's t as extreme is."""
    if alternative == "two-sided":
        return 2 * student.sf(np.abs(statistic), df)
    return student.cdf(statistic, df) if alternative == "less" else student.sf(statistic, df)


# -- Ranks -------------------------------------------------------------------------------------


@hide_frames
def rankdata(a: Any, method: str = "average", *, axis: int | None = None) -> Any:
    """The ranks of numbers, from 1 on.

    Args:
        a: real numbers.
        method: what equal ones get: the "average" of their ranks, the "min" or "max", "dense": the
            next one, or "ordinal", as they follow each other.
        axis: along which they are ranked; all together by default.

    Returns:
        An array of the shape of `a`, flat without `axis`: of floats for "average", else of int64.

    Raises:
        ArgumentError: there is no such method.
    """
    if method not in ("average", "min", "max", "dense", "ordinal"):
        raise ArgumentError(f'unknown method "{method}"', source_location())
    return _rankdata(a, method=method, axis=axis)


@program
def _rankdata(a: Any, *, method: str, axis: int | None) -> Any:
    (x,) = real("stats.rankdata", a)
    if axis is None:
        return traced(_ranks(np.ravel(x), method))
    place = prims.normalize_axis(axis, x.ndim)
    rows = np.moveaxis(x, place, -1)
    flat = np.reshape(rows, (-1, rows.shape[-1]))
    ranks = np.reshape(vmap(lambda row: _ranks(row, method))(flat), rows.shape)
    return traced(np.moveaxis(ranks, -1, place))


def _ranks(x: Any, method: str) -> Any:
    """The ranks of a vector."""
    if not x.shape[0]:
        return np.zeros(0, np.float64 if method == "average" else np.int64)
    if method == "ordinal":
        return np.argsort(np.argsort(x, stable=True), stable=True) + 1
    order = np.sort(x)
    low = np.searchsorted(order, x, side="left")
    if method == "min":
        return low + 1
    if method == "dense":
        is_new = np.concatenate([np.ones(1, np.int64), (order[1:] != order[:-1]).astype(np.int64)])
        return np.cumsum(is_new)[low]
    high = np.searchsorted(order, x, side="right")
    return high if method == "max" else (low + high + 1) / 2


def _pair(name: str, x: Any, y: Any, least: int) -> tuple[Any, Any]:
    a, b = real(f"stats.{name}", x, y)
    if a.ndim != 1 or a.shape != b.shape or a.shape[0] < least:
        raise ShapeError(
            f"{name}: expected two vectors of the same length, at least {least}, got {a.shape} and "
            f"{b.shape}",
            source_location(),
        )
    return a, b


def _correlation(a: Any, b: Any) -> Any:
    a, b = a - np.mean(a), b - np.mean(b)
    return np.clip(np.sum(a * b) / np.sqrt(np.sum(a * a) * np.sum(b * b)), -1.0, 1.0)


@hide_frames
def spearmanr(a: Any, b: Any, *, alternative: str = "two-sided") -> TestResult:
    """The correlation of the ranks of two samples, and its p-value by Student's t.

    Args:
        a: a vector.
        b: a vector of the same length, at least 3.
        alternative: "two-sided", "less" or "greater".

    Raises:
        ShapeError: they are not.
        ArgumentError: there is no such alternative.
    """
    kind = _check_alternative("spearmanr", alternative)
    return TestResult(*_spearmanr(a, b, alternative=kind))


@program
def _spearmanr(a: Any, b: Any, *, alternative: str) -> Any:
    x, y = _pair("spearmanr", a, b, 3)
    r = _correlation(_ranks(x, "average"), _ranks(y, "average"))
    df = x.shape[0] - 2
    is_whole = np.abs(r) == 1
    inner = np.where(is_whole, 0.0, r)
    p = _p_value(inner * np.sqrt(df / ((1 + inner) * (1 - inner))), float(df), alternative)
    whole = {"two-sided": 0.0, "less": (1 + r) / 2, "greater": (1 - r) / 2}[alternative]
    return [traced(r), traced(np.where(is_whole, whole, p))]


# -- Lines -------------------------------------------------------------------------------------


class _Line(NamedTuple):
    slope: Any
    intercept: Any
    rvalue: Any
    pvalue: Any
    stderr: Any


class LinregressResult(_Line):
    """What `linregress` returns: five fields, and another one.

    Attributes:
        slope, intercept: of the line.
        rvalue: the correlation.
        pvalue: how likely a slope as large is without any.
        stderr: the standard error of the slope.
        intercept_stderr: that of the intercept.
    """

    intercept_stderr: Any


@hide_frames
def kendalltau(
    x: Any,
    y: Any,
    *,
    nan_policy: str = "propagate",
    method: str = "auto",
    variant: str = "b",
    alternative: str = "two-sided",
) -> TestResult:
    """Kendall's rank correlation: by how many pairs have the same order in both samples.

    Args:
        x: real numbers.
        y: as many, at least 2.
        nan_policy: "propagate".
        method: of the p-value: "exact", where there are no ties; "asymptotic"; or "auto", exact
            without ties of up to 33 numbers.
        variant: "b" or "c": what the difference is divided by where there are ties.
        alternative: "two-sided", "less" or "greater".

    Raises:
        ShapeError: there are not as many in both.
        ArgumentError: there is no such method, variant or alternative.
        UnsupportedError: another `nan_policy`, or "exact" of more than 170 numbers.
    """
    kind = _check_alternative("kendalltau", alternative)
    if nan_policy != "propagate":
        raise unsupported(f"nan_policy={nan_policy!r} of scipy.stats.kendalltau")
    if method not in ("auto", "exact", "asymptotic"):
        raise ArgumentError(f"Unknown method {method} specified", source_location())
    if variant not in ("b", "c"):
        raise ArgumentError(f"Unknown variant {variant} specified", source_location())
    return TestResult(*_kendalltau(x, y, method=method, variant=variant, alternative=kind))


@program
def _kendalltau(x: Any, y: Any, *, method: str, variant: str, alternative: str) -> Any:
    x, y = [np.ravel(value) for value in real("stats.kendalltau", x, y)]
    a, b = _pair("kendalltau", x, y, 2)
    size = a.shape[0]
    left, right = [np.sign(value[:, None] - value) for value in (a, b)]
    # Each pair is counted twice.
    difference = 0.5 * np.sum(left * right)
    total = size * (size - 1) / 2
    ties = [np.sum(signs == 0, axis=1).astype(np.float64) for signs in (left, right)]
    tied = [0.5 * np.sum(count - 1) for count in ties]
    if variant == "b":
        tau = difference / np.sqrt(total - tied[0]) / np.sqrt(total - tied[1])
    else:
        classes = np.minimum(*[np.round(np.sum(1 / count)) for count in ties])
        tau = 2 * difference / (size**2 * (classes - 1) / classes)
    tau = np.clip(tau, -1.0, 1.0)
    p = _kendall_asymptotic(difference, size, ties, tied, alternative)
    if method == "exact" or (method == "auto" and size <= _MOST_EXACT):
        if size > _LONGEST_EXACT:
            raise unsupported(f"method='exact' of scipy.stats.kendalltau of {size} numbers")
        exact = _kendall_exact((total - difference) / 2, size, alternative)
        p = np.where((tied[0] == 0) & (tied[1] == 0), exact, math.nan if method == "exact" else p)
    good = np.isfinite(tau) & ~np.any(np.isnan(a) | np.isnan(b))
    results = [np.where(good, value, math.nan) for value in (tau, p)]
    return tuple([prims.stop_gradient(traced(value)) for value in results])


# Sizes up to which p-values are exact without being asked for, and where factorials end.
_MOST_EXACT, _LONGEST_EXACT = 33, 170


def _kendall_asymptotic(
    difference: Any, size: int, ties: list[Any], tied: list[Any], alternative: str
) -> Any:
    """The p-value by a normal distribution of the variance that there is with ties."""
    pairs = size * (size - 1.0)
    third = [np.sum((count - 1) * (count - 2)) for count in ties]
    wide = [np.sum((count - 1) * (2 * count + 5)) for count in ties]
    variance = (pairs * (2 * size + 5) - wide[0] - wide[1]) / 18
    variance = variance + 2 * tied[0] * tied[1] / pairs
    if size > 2:
        variance = variance + third[0] * third[1] / (9 * pairs * (size - 2))
    z = difference / np.sqrt(variance)
    if alternative == "two-sided":
        return 2 * normal.sf(np.abs(z))
    return normal.cdf(z) if alternative == "less" else normal.sf(z)


def _kendall_exact(discordant: Any, size: int, alternative: str) -> Any:
    """The p-value by the number of permutations with as many inversions (Kendall, 1970)."""
    chances = np.ones(1)
    for k in range(2, size + 1):
        chances = np.convolve(chances, np.full(k, 1 / k))
    below = np.minimum(np.cumsum(chances), 1.0)
    most = below.size - 1
    count = np.round(np.where(np.isfinite(discordant), discordant, 0.0)).astype(np.int64)
    table = prims.as_value(below)
    if alternative == "two-sided":
        least = np.minimum(count, most - count)
        return np.minimum(2 * np.take(wrap(table), least), 1.0)
    return np.take(wrap(table), count if alternative == "greater" else most - count)


@hide_frames
def linregress(x: Any, y: Any, alternative: str = "two-sided") -> LinregressResult:
    """The line through samples with the least squares.

    Args:
        x: a vector.
        y: a vector of the same length, at least 3.
        alternative: "two-sided", "less" or "greater".

    Raises:
        ShapeError: they are not.
        ArgumentError: there is no such alternative.
    """
    kind = _check_alternative("linregress", alternative)
    *fields, error = _linregress(x, y, alternative=kind)
    made = LinregressResult(*fields)
    made.intercept_stderr = error
    return made


@program
def _linregress(x: Any, y: Any, *, alternative: str) -> Any:
    a, b = _pair("linregress", x, y, 3)
    count = a.shape[0]
    df = count - 2
    middle = np.mean(a)
    dx, dy = a - middle, b - np.mean(b)
    xx, yy, xy = np.mean(dx * dx), np.mean(dy * dy), np.mean(dx * dy)
    slope = xy / xx
    r = np.clip(xy / np.sqrt(xx * yy), -1.0, 1.0)
    tiny = 1e-20
    t = r * np.sqrt(df / ((1 - r + tiny) * (1 + r + tiny)))
    error = np.sqrt((1 - r * r) * yy / xx / df)
    found = (
        slope, np.mean(b) - slope * middle, r, _p_value(t, float(df), alternative), error,
        error * np.sqrt(xx + middle * middle),
    )  # fmt: skip
    return [traced(part) for part in found]


# -- Student's tests ---------------------------------------------------------------------------


def _moments(x: Any, axis: int | None) -> tuple[Any, Any, int]:
    """Mean, variance, and how many there are."""
    count = x.size if axis is None else x.shape[prims.normalize_axis(axis, x.ndim)]
    return np.mean(x, axis=axis), np.var(x, axis=axis, ddof=1), count


@hide_frames
def ttest_1samp(
    a: Any, popmean: Any, axis: int | None = 0, *, alternative: str = "two-sided"
) -> TestResult:
    """The distance of a mean from another one in standard errors, and its p-value.

    Args:
        a: samples.
        popmean: the other mean; it broadcasts against the result.
        axis: along which they lie; all by default of None.
        alternative: "two-sided", "less" or "greater".

    Raises:
        ArgumentError: there is no such alternative.
    """
    kind = _check_alternative("ttest_1samp", alternative)
    return TestResult(*_ttest_1samp(a, popmean, axis=axis, alternative=kind))


@program
def _ttest_1samp(a: Any, popmean: Any, *, axis: int | None, alternative: str) -> Any:
    x, other = real("stats.ttest_1samp", a, popmean)
    mean, variance, count = _moments(x, axis)
    t = (mean - other) / np.sqrt(variance / count)
    return [traced(t), traced(_p_value(t, float(count - 1), alternative))]


@hide_frames
def ttest_rel(
    a: Any, b: Any, axis: int | None = 0, *, alternative: str = "two-sided"
) -> TestResult:
    """That of `ttest_1samp` of the differences of samples that belong together."""
    kind = _check_alternative("ttest_rel", alternative)
    return TestResult(*_ttest_rel(a, b, axis=axis, alternative=kind))


@program
def _ttest_rel(a: Any, b: Any, *, axis: int | None, alternative: str) -> Any:
    x, y = real("stats.ttest_rel", a, b)
    mean, variance, count = _moments(x - y, axis)
    t = mean / np.sqrt(variance / count)
    return [traced(t), traced(_p_value(t, float(count - 1), alternative))]


@hide_frames
def ttest_ind(
    a: Any,
    b: Any,
    *,
    axis: int | None = 0,
    equal_var: bool = True,
    alternative: str = "two-sided",
) -> TestResult:
    """The distance of two means in standard errors, and its p-value.

    Args:
        a: samples.
        b: others.
        axis: along which they lie; all by default of None.
        equal_var: whether their variances are taken to be equal; else it is Welch's test.
        alternative: "two-sided", "less" or "greater".

    Raises:
        ArgumentError: there is no such alternative.
    """
    kind = _check_alternative("ttest_ind", alternative)
    selection = {"axis": axis, "equal": bool(equal_var), "alternative": kind}
    return TestResult(*_ttest_ind(a, b, **selection))


@program
def _ttest_ind(a: Any, b: Any, *, axis: int | None, equal: bool, alternative: str) -> Any:
    x, y = real("stats.ttest_ind", a, b)
    (m1, v1, n1), (m2, v2, n2) = _moments(x, axis), _moments(y, axis)
    if equal:
        df: Any = float(n1 + n2 - 2)
        error = np.sqrt(((n1 - 1) * v1 + (n2 - 1) * v2) / df * (1 / n1 + 1 / n2))
    else:
        s1, s2 = v1 / n1, v2 / n2
        df = (s1 + s2) ** 2 / (s1**2 / (n1 - 1) + s2**2 / (n2 - 1))
        error = np.sqrt(s1 + s2)
    t = (m1 - m2) / error
    return [traced(t), traced(_p_value(t, df, alternative))]


@hide_frames
def f_oneway(*samples: Any, axis: int = 0) -> TestResult:
    """The analysis of variance of one factor: F, and its p-value.

    Args:
        samples: two or more of each level.
        axis: along which they lie.

    Raises:
        ArgumentError: there are less than two.
    """
    if len(samples) < 2:
        raise ArgumentError(f"at least two inputs are required; got {len(samples)}.")
    return TestResult(*_f_oneway(*samples, axis=axis))


@program
def _f_oneway(*samples: Any, axis: int) -> Any:
    groups = real("stats.f_oneway", *samples)
    counts = [x.shape[prims.normalize_axis(axis, x.ndim)] for x in groups]
    every = np.concatenate(groups, axis=axis)
    center = np.mean(every, axis=axis)
    means = [np.mean(x, axis=axis) for x in groups]
    between: Any = 0.0
    within: Any = 0.0
    for x, mean, count in zip(groups, means, counts, strict=True):
        between = between + count * (mean - center) ** 2
        within = within + np.sum((x - np.expand_dims(mean, axis)) ** 2, axis=axis)
    low, high = len(groups) - 1, sum(counts) - len(groups)
    f = (between / low) / (within / high)
    return [traced(f), traced(f_distribution.sf(f, float(low), float(high)))]


# -- Distances of samples ----------------------------------------------------------------------


def _distance(name: str, summary: str, formula: Callable[[Any, Any], Any]) -> Callable[..., Any]:
    @program
    def distance(u: Any, v: Any) -> Any:
        x, y = real(f"stats.{name}", u, v)
        if x.ndim != 1 or y.ndim != 1 or not x.shape[0] or not y.shape[0]:
            raise ShapeError(
                f"{name}: expected two vectors with elements, got {x.shape} and {y.shape}",
                source_location(),
            )
        every = np.sort(np.concatenate([x, y]))
        steps = every[1:] - every[:-1]
        below = [
            np.searchsorted(np.sort(part), every[:-1], side="right") / part.shape[0]
            for part in (x, y)
        ]
        return traced(formula(below[0] - below[1], steps))

    @hide_frames
    def call(u_values: Any, v_values: Any, u_weights: Any = None, v_weights: Any = None) -> Any:
        if u_weights is not None or v_weights is not None:
            raise unsupported(
                f"weights of scipy.stats.{name}", "repeat the values, or write its formula"
            )
        return distance(u_values, v_values)

    call.__name__ = call.__qualname__ = name
    call.__doc__ = f"""{summary}

    Args:
        u_values: a vector.
        v_values: another one.
        u_weights: not supported.
        v_weights: not supported.

    Raises:
        ShapeError: they are no vectors with elements.
        UnsupportedError: there are weights.
    """
    return call


wasserstein_distance = _distance(
    "wasserstein_distance",
    "The area between the distribution functions of two samples.",
    lambda change, steps: np.sum(np.abs(change) * steps),
)
energy_distance = _distance(
    "energy_distance",
    "The root of twice the area under the square of the difference of distribution functions.",
    lambda change, steps: math.sqrt(2) * np.sqrt(np.sum(change**2 * steps)),
)
