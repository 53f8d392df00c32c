# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Tests of empirical distributions and of paired samples in `scipy.stats`: Kolmogorov and Smirnov,
and Wilcoxon.

p-values of two samples are exact: paths through a lattice are counted that leave a band (Hodges,
1958), as many as there are below a bound of any kind, without overflow. Statistics of two samples
are of their order and have no derivatives; that of one sample and a distribution has.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from gradopt.array.dispatch import unsupported
from gradopt.array.handle import wrap
from gradopt.base.frames import hide_frames
from gradopt.base.location import source_location
from gradopt.errors import ArgumentError, ShapeError
from gradopt.ir import prims
from gradopt.scipy.stats import continuous, further, powers, transformed
from gradopt.scipy.stats.distribution import Continuous, special
from gradopt.scipy.stats.inference import TestResult
from gradopt.scipy.stats.lanes import (
    along,
    by_rows,
    ranks,
    require_choice,
    require_propagation,
    shape_of,
    ties,
)
from gradopt.transforms.loops import fori_loop

_ALTERNATIVES = ("two-sided", "less", "greater")
_METHODS = ("auto", "exact", "asymp")

# -- Two samples -------------------------------------------------------------------------------


def _differences(x: Any, y: Any) -> tuple[Any, Any]:
    """How far the first distribution function is above the second one at most, and below."""

    def of(a: Any, b: Any) -> tuple[Any, Any]:
        every = np.concatenate([a, b])
        levels = [
            np.searchsorted(np.sort(part), every, side="right") / part.shape[0] for part in (a, b)
        ]
        steps = levels[0] - levels[1]
        return np.max(steps), np.max(-steps)

    return by_rows(of, x, y)


def _beyond(distance: Any, m: int, n: int, is_two_sided: bool) -> Any:
    """How likely paths from (0, 0) to (m, n) get as far from the diagonal.

    Numbers of paths are divided by those of all paths to the end of their row.
    """
    common = math.gcd(m, n)
    # Distances are multiples of this one.
    bound = np.round(distance * (m * n / common))
    places = np.arange(n + 1)

    def is_inside(row: Any) -> Any:
        ahead = row * (n // common) - places * (m // common)
        return (np.abs(ahead) if is_two_sided else ahead) < bound

    def step(k: Any, state: Any) -> Any:
        inside, beyond = state
        row = k + 1
        mask = is_inside(row)
        scale = row.astype(np.float64) / (n + row)
        passed = np.where(mask, np.cumsum(np.where(mask, inside, 0.0)), 0.0)
        from_left = np.concatenate([np.zeros(1), passed[:-1]])
        crossing = np.where(mask, 0.0, inside + from_left)
        return passed * scale, np.cumsum(beyond + crossing) * scale

    first = is_inside(np.int64(0))
    start = np.where(first, 1.0, 0.0)
    _, beyond = fori_loop(0, m, step, (start, 1 - start))
    return np.where(bound < 1, 1.0, np.minimum(beyond[n], 1.0))


def _ks_2samp(x: Any, y: Any, *, alternative: str, method: str) -> tuple[Any, Any]:
    above, below = _differences(x, y)
    m, n = x.shape[-1], y.shape[-1]
    farthest = {"two-sided": np.maximum(above, below), "greater": above, "less": below}
    statistic = np.maximum(farthest[alternative], 0.0)
    is_known = ~(np.any(np.isnan(x), axis=-1) | np.any(np.isnan(y), axis=-1))
    if method == "asymp":
        low, high = float(min(m, n)), float(max(m, n))
        z = np.sqrt(low * high / (low + high)) * statistic
        rest = 2 * z * (high + 2 * low) / math.sqrt(low * high * (low + high)) / 3
        p = np.exp(-2 * z * z - rest)
    else:

        def of(distance: Any) -> Any:
            # Of a path that goes along the second sample more often, what is below is ahead.
            pair = (n, m) if alternative == "less" else (m, n)
            return _beyond(distance[0], *pair, alternative == "two-sided")

        p = by_rows(of, statistic[..., None])
    results = [np.where(is_known, part, np.nan) for part in (statistic, np.clip(p, 0.0, 1.0))]
    return results[0], results[1]


# The most elements of a sample for exact p-values, as in SciPy.
_MOST = 10_000


@hide_frames
def ks_2samp(
    data1: Any,
    data2: Any,
    alternative: str = "two-sided",
    method: str = "auto",
    *,
    axis: int | None = 0,
    nan_policy: str = "propagate",
    keepdims: bool = False,
) -> TestResult:
    """Whether two samples have the same distribution: how far their functions differ at most.

    Args:
        data1: a sample.
        data2: another one.
        alternative: "two-sided"; or "less" or "greater", where the first function is below or
            above the second one.
        method: of the p-value: "exact"; "asymp", if it is one-sided; or "auto", exact up to 10,000
            elements.
        axis: along which the samples lie; all elements of each by None.
        nan_policy: "propagate".
        keepdims: whether the axis stays, with one element.

    Raises:
        ArgumentError: there is no such alternative or method, or a sample is empty.
        UnsupportedError: another `nan_policy`; a two-sided p-value that is not exact.
    """
    require_propagation("ks_2samp", nan_policy)
    kind = require_choice("ks_2samp", "alternative", alternative, _ALTERNATIVES)
    require_choice("ks_2samp", "method", method, _METHODS)
    shapes = [shape_of(x) for x in (data1, data2)]
    sizes = [math.prod(shape) if axis is None else shape[axis] for shape in shapes]
    if 0 in sizes:
        raise ArgumentError("ks_2samp: samples must not be empty", source_location())
    is_exact = method == "exact" or (method == "auto" and max(sizes) <= _MOST)
    if not is_exact and kind == "two-sided":
        raise unsupported(
            "a two-sided asymptotic p-value of scipy.stats.ks_2samp",
            "use method='exact', or an alternative",
        )
    found = along(
        _ks_2samp, "ks_2samp", (data1, data2), axis=axis, keepdims=keepdims, alternative=kind,
        method="exact" if is_exact else "asymp",
    )  # fmt: skip
    return TestResult(*found)


# -- One sample --------------------------------------------------------------------------------


def _ks_1samp(x: Any, *args: Any, cdf: Any, alternative: str, method: str) -> tuple[Any, Any]:
    n = x.shape[-1]
    levels = cdf(np.sort(x, axis=-1), *args)
    above = np.max(np.arange(1.0, n + 1) / n - levels, axis=-1)
    below = np.max(levels - np.arange(0.0, n) / n, axis=-1)
    if alternative == "two-sided":
        statistic = np.maximum(above, below)
        return statistic, special.kolmogorov(statistic * math.sqrt(n))
    statistic = above if alternative == "greater" else below
    inner = np.clip(statistic, 0.0, 1.0)
    return statistic, special.smirnov(float(n), inner)


def _distribution(name: Any) -> Any:
    """The continuous distribution of a name, or None."""
    for module in (continuous, powers, transformed, further):
        found = vars(module).get(name)
        if isinstance(found, Continuous):
            return found
    return None


@hide_frames
def ks_1samp(
    x: Any,
    cdf: Callable[..., Any],
    args: tuple[Any, ...] = (),
    alternative: str = "two-sided",
    method: str = "auto",
    *,
    axis: int | None = 0,
    nan_policy: str = "propagate",
    keepdims: bool = False,
) -> TestResult:
    """Whether a sample has a distribution: how far its function is from that one at most.

    Args:
        x: a sample.
        cdf: the distribution function, of arrays.
        args: what else it takes.
        alternative: "two-sided"; or "less" or "greater", where the sample's function is below or
            above.
        method: of the p-value: "asymp", the limit, if it is two-sided; else "exact" or "auto".
        axis: along which the samples lie; all elements by None.
        nan_policy: "propagate".
        keepdims: whether the axis stays, with one element.

    Raises:
        ArgumentError: there is no such alternative or method.
        UnsupportedError: another `nan_policy`; a two-sided p-value that is exact, or a one-sided
            one that is not.
    """
    require_propagation("ks_1samp", nan_policy)
    kind = require_choice("ks_1samp", "alternative", alternative, _ALTERNATIVES)
    require_choice("ks_1samp", "method", method, _METHODS)
    if (method == "asymp") != (kind == "two-sided"):
        known = "use method='asymp'" if kind == "two-sided" else "use method='exact'"
        raise unsupported(f"method={method!r} of scipy.stats.ks_1samp, {kind},", known)
    # Of a distribution of SciPy's, the function of ours.
    name = getattr(getattr(cdf, "__self__", None), "name", None)
    if getattr(cdf, "__name__", "") == "cdf" and _distribution(name) is not None:
        cdf = _distribution(name).cdf
    found = along(
        _ks_1samp, "ks_1samp", (x,), tuple(args), axis=axis, keepdims=keepdims,
        cdf=cdf, alternative=kind, method=method,
    )  # fmt: skip
    return TestResult(*found)


@hide_frames
def kstest(
    rvs: Any,
    cdf: Any,
    args: tuple[Any, ...] = (),
    N: int = 20,
    alternative: str = "two-sided",
    method: str = "auto",
    *,
    axis: int | None = 0,
    nan_policy: str = "propagate",
    keepdims: bool = False,
) -> TestResult:
    """`ks_1samp` of a sample and a distribution, or `ks_2samp` of two samples.

    Args:
        rvs: a sample.
        cdf: another one; or a distribution function, or the name of a distribution.
        args: what else the function takes.
        N: means nothing.
        alternative, method, axis, nan_policy, keepdims: as for `ks_1samp` or `ks_2samp`.

    Raises:
        ArgumentError: there is no such distribution, and as there.
        UnsupportedError: as there.
    """
    options: dict[str, Any] = {"axis": axis, "nan_policy": nan_policy, "keepdims": keepdims}
    if isinstance(cdf, str):
        found = _distribution(cdf)
        if found is None:
            raise ArgumentError(f"kstest: there is no distribution {cdf!r}", source_location())
        cdf = found.cdf
    if callable(cdf):
        return ks_1samp(rvs, cdf, args, alternative, method, **options)
    return ks_2samp(rvs, cdf, alternative, method, **options)


# -- Pairs -------------------------------------------------------------------------------------

# p-values are exact up to this size without being asked for; with ties, all signs are tried up to
# this one. With "exact" they are so up to the last.
_MANY, _FEW, _MOST_EXACT = 50, 13, 100


def _signed_chances(n: int) -> np.ndarray[Any, Any]:
    """How likely each sum of the ranks with one sign is, from 0 on."""
    chances = np.ones(1)
    for k in range(1, n + 1):
        wider = np.zeros(chances.size + k)
        wider[: chances.size] += 0.5 * chances
        wider[k:] += 0.5 * chances
        chances = wider
    return chances


def _exact_signed(positive: Any, count: Any, n: int, alternative: str) -> Any:
    """The p-value of a sum of ranks, by a table with a row for each number of them up to n."""
    width = n * (n + 1) // 2 + 1
    rows = [_signed_chances(k) for k in range(n + 1)]
    padded = np.stack([np.pad(row, (0, width - row.size)) for row in rows])
    upto = np.cumsum(padded, axis=1)
    least = np.cumsum(padded[:, ::-1], axis=1)[:, ::-1]
    first = np.where(np.isnan(positive), 0.0, count * width)

    def of(table: np.ndarray[Any, Any], places: Any) -> Any:
        at = first + np.where(np.isnan(places), 0.0, places)
        return np.take(wrap(prims.as_value(np.ravel(table))), at.astype(np.int64))

    return _sided(of(upto, np.ceil(positive)), of(least, np.floor(positive)), alternative)


def _sided(below: Any, above: Any, alternative: str) -> Any:
    if alternative == "two-sided":
        return np.minimum(2 * np.minimum(below, above), 1.0)
    return below if alternative == "less" else above


def _enumerated(ranked: Any, positive: Any, alternative: str) -> Any:
    """The p-value among all choices of signs."""
    n = ranked.shape[-1]
    signs = ((np.arange(2**n)[:, None] >> np.arange(n)) & 1).astype(np.float64)
    sums = ranked @ signs.T
    margin = 1e-10 * (1 + np.abs(positive))[..., None]
    below = np.mean(sums <= positive[..., None] + margin, axis=-1)
    above = np.mean(sums >= positive[..., None] - margin, axis=-1)
    return _sided(below, above, alternative)


def _wilcoxon(
    x: Any, *others: Any, zeros: str, corrected: bool, alternative: str, method: str
) -> tuple[Any, Any]:
    """Wilcoxon (1945), with zeros as of him, Pratt (1959), or half of each sign."""
    d = x - others[0] if others else x
    n = d.shape[-1]
    size, is_zero = np.abs(d), d == 0
    zero_count = np.sum(is_zero, axis=-1).astype(np.float64)
    ranked = ranks(size)
    if zeros == "wilcox":
        # Zeros have the lowest ranks; without them the others begin with 1.
        ranked = np.where(is_zero, 0.0, ranked - zero_count[..., None])
    positive = np.sum(np.where(d > 0, ranked, 0.0), axis=-1)
    negative = np.sum(np.where(d < 0, ranked, 0.0), axis=-1)
    free, half = np.where(is_zero, 0.0, ranked), 0.0
    if zeros == "zsplit":
        half = 0.5 * np.sum(np.where(is_zero, ranked, 0.0), axis=-1)
        positive, negative = positive + half, negative + half
    count = n - zero_count if zeros == "wilcox" else n + 0 * zero_count
    mean, square = count * (count + 1) / 4, count * (count + 1) * (2 * count + 1)
    tied = ties(size)
    if zeros != "zsplit":
        tied = tied - (zero_count**3 - zero_count)
    if zeros == "pratt":
        mean = mean - zero_count * (zero_count + 1) / 4
        square = square - zero_count * (zero_count + 1) * (2 * zero_count + 1)
    error = np.sqrt((square - tied / 2) / 24)
    z = (positive - mean) / error
    if corrected:
        signs: dict[str, Any] = {"greater": 1.0, "less": -1.0, "two-sided": np.sign(z)}
        z = z - signs[alternative] * 0.5 / error
    normal = {
        "two-sided": 2 * special.ndtr(-np.abs(z)),
        "less": special.ndtr(z),
        "greater": special.ndtr(-z),
    }[alternative]
    p = normal
    if method == "exact" or (method == "auto" and n <= _MANY):
        p = _exact_signed(positive, count, n, alternative)
    if method == "auto" and n <= _MANY:
        rest = _enumerated(free, positive - half, alternative) if n <= _FEW else normal
        p = np.where((ties(size) == 0) & (zero_count == 0), p, rest)
    statistic = np.minimum(positive, negative) if alternative == "two-sided" else positive
    return statistic, np.where(np.isnan(statistic), np.nan, p)


@hide_frames
def wilcoxon(
    x: Any,
    y: Any = None,
    zero_method: str = "wilcox",
    correction: bool = False,
    alternative: str = "two-sided",
    method: str = "auto",
    *,
    axis: int | None = 0,
    nan_policy: str = "propagate",
    keepdims: bool = False,
) -> TestResult:
    """Whether differences are symmetric around 0: the sum of the ranks of those of one sign.

    Args:
        x: differences; or a sample, if there is a `y`.
        y: the sample that is subtracted, of the same shape.
        zero_method: what differences of 0 are: "wilcox", none; "pratt", ranked, but not counted;
            "zsplit", half of each sign.
        correction: whether the normal approximation is corrected for continuity.
        alternative: "two-sided", "less" or "greater".
        method: of the p-value: "exact", up to 100 differences; "asymptotic"; or "auto", exact up to
            50, and asymptotic of more than 13 if there are ties or zeros.
        axis: along which the samples lie; all elements by None.
        nan_policy: "propagate".
        keepdims: whether the axis stays, with one element.

    Raises:
        ArgumentError: there is no such method or alternative.
        ShapeError: the samples have different shapes.
        UnsupportedError: another `nan_policy`, or "exact" of more than 100 differences.
    """
    require_propagation("wilcoxon", nan_policy)
    kind = require_choice("wilcoxon", "alternative", alternative, _ALTERNATIVES)
    require_choice("wilcoxon", "method", method, ("auto", "exact", "asymptotic"))
    require_choice("wilcoxon", "zero_method", zero_method, ("wilcox", "pratt", "zsplit"))
    samples = (x,) if y is None else (x, y)
    shapes = [shape_of(sample) for sample in samples]
    if len(set(shapes)) > 1:
        raise ShapeError(f"wilcoxon: samples must have one shape, got {shapes}", source_location())
    size = math.prod(shapes[0]) if axis is None else shapes[0][axis]
    if method == "exact" and size > _MOST_EXACT:
        raise unsupported(
            f"method='exact' of scipy.stats.wilcoxon of {size} differences", "use 'asymptotic'"
        )
    found = along(
        _wilcoxon, "wilcoxon", samples, axis=axis, keepdims=keepdims, zeros=zero_method,
        corrected=bool(correction), alternative=kind, method=method,
    )  # fmt: skip
    return TestResult(*found)
