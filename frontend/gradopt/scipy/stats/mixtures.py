# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Distributions of `scipy.stats` whose probabilities are sums: noncentral ones, and Rice's.

A noncentral probability is the mean of central ones, over a Poisson number (Johnson, Kotz and
Balakrishnan, Continuous Univariate Distributions, chapters 29 to 31). All terms are positive, and
the sum ends where those that follow count for nothing. As it is a sum of formulas, there are
derivatives in all parameters, degrees of freedom included. Of the noncentral t, half of the terms
are negative on one side: small probabilities there have an absolute error of rounding.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from gradopt.scipy.stats.continuous import where_above
from gradopt.scipy.stats.distribution import Continuous, Formulas, special
from gradopt.transforms.gradient import stop_gradient
from gradopt.transforms.loops import fori_loop

# Terms beyond the largest one, in standard deviations of the number, and as many at least.
_DEVIATIONS, _LEAST = 10.0, 40.0
# Sums that would be longer are no numbers: a noncentrality of about 10^5 and a million.
_MOST = 100_000.0


def _mean_over(half: Any, peak: Any, term: Callable[[Any], tuple[Any, Any]]) -> Any:
    """The mean of a function of a Poisson number with the mean `half`.

    Args:
        half: the mean.
        peak: where the largest term is, or further.
        term: function of the number; a factor, and the logarithm of another one.
    """
    shape = np.broadcast_shapes(np.shape(half), np.shape(peak), *map(np.shape, term(0.0)))
    log_half = np.log(np.where(half > 0, half, 1.0))
    last = np.maximum(half, peak)
    last = stop_gradient(last + _DEVIATIONS * np.sqrt(last) + _LEAST)
    fits = last < _MOST
    count = np.max(np.where(fits, last, 0.0), initial=0.0)

    def add(number: Any, total: Any) -> Any:
        j = number.astype(np.float64)
        factor, log_factor = term(j)
        weight = np.exp(j * log_half - half - special.gammaln(j + 1) + log_factor)
        # There is only one at 0, but all of these have derivatives.
        power = np.where(j == 0, 1.0, np.where(j == 1, half, np.where(j == 2, half * half / 2, 0)))
        at_zero = power * np.exp(np.where(half > 0, 0.0, log_factor - half))
        return total + np.where(half > 0, weight, at_zero) * factor

    total = fori_loop(0, np.int64(1) + count.astype(np.int64), add, np.zeros(shape))
    return np.where(fits, total, math.nan)


# -- Chi-squared and Rice ----------------------------------------------------------------------


def _square_peak(x: Any, nc: Any) -> Any:
    """Where the largest term of a density is: all of it decays from there."""
    return 0.5 * np.sqrt(nc * x)


def _square_log(x: Any, df: Any, nc: Any) -> Any:
    """The logarithm of the density: that of a sum of moderate size, and its leading exponent."""
    leading = stop_gradient(np.sqrt(nc) * np.sqrt(x) - 0.5 * (x + nc))

    def term(j: Any) -> tuple[Any, Any]:
        shape = 0.5 * df + j
        log_density = special.xlogy(shape - 1, 0.5 * x) - 0.5 * x - special.gammaln(shape)
        return 0.5, log_density - leading

    return leading + np.log(_mean_over(0.5 * nc, _square_peak(x, nc), term))


def noncentral_square(x: Any, df: Any, nc: Any, central: Callable[..., Any]) -> Any:
    """A probability of a noncentral chi-squared number: the mean of those of `df + 2 j`."""

    def term(j: Any) -> tuple[Any, Any]:
        return central(0.5 * df + j, 0.5 * x), 0.0

    return _mean_over(0.5 * nc, _square_peak(x, nc), term)


ncx2 = Continuous(
    "ncx2",
    Formulas(
        shapes=("df", "nc"),
        low=0.0,
        has_ends=False,
        valid=lambda df, nc: (df > 0) & (nc >= 0),
        log_density=_square_log,
        cdf=lambda x, df, nc: noncentral_square(x, df, nc, special.gammainc),
        sf=lambda x, df, nc: noncentral_square(x, df, nc, special.gammaincc),
        mean=lambda df, nc: df + nc,
        variance=lambda df, nc: 2 * (df + 2 * nc),
    ),
)
rice = Continuous(
    "rice",
    Formulas(
        shapes=("b",),
        low=0.0,
        valid=lambda b: b >= 0,
        log_density=lambda x, b: np.log(x) - 0.5 * (x - b) ** 2 + np.log(special.i0e(x * b)),
        density=lambda x, b: x * np.exp(-0.5 * (x - b) ** 2) * special.i0e(x * b),
        cdf=lambda x, b: noncentral_square(x * x, 2.0, b * b, special.gammainc),
        sf=lambda x, b: noncentral_square(x * x, 2.0, b * b, special.gammaincc),
        mean=lambda b: _rice_mean(b),
        variance=lambda b: 2 + b * b - _rice_mean(b) ** 2,
    ),
)


def _rice_mean(b: Any) -> Any:
    t = 0.25 * b * b
    return math.sqrt(math.pi / 2) * ((1 + 2 * t) * special.i0e(t) + 2 * t * special.i1e(t))


# -- Of ratios ---------------------------------------------------------------------------------


def _ratio_peak(x: Any, m: Any, n: Any, nc: Any) -> Any:
    part = m * x / (n + m * x)
    return np.sqrt(0.5 * nc * part * 0.5 * (m + n))


def _ratio(x: Any, m: Any, n: Any, nc: Any, central: Callable[[Any], Any]) -> Any:
    """The mean of a central probability, a function of the half of the degrees of freedom."""

    def term(j: Any) -> tuple[Any, Any]:
        return central(0.5 * m + j), 0.0

    return _mean_over(0.5 * nc, _ratio_peak(x, m, n, nc), term)


def _ratio_density(x: Any, m: Any, n: Any, nc: Any) -> Any:
    odds = m * x / n

    def term(j: Any) -> tuple[Any, Any]:
        half = 0.5 * m + j
        log_density = (
            special.xlogy(half - 1, odds)
            - (half + 0.5 * n) * np.log1p(odds)
            - special.betaln(half, 0.5 * n)
        )
        return m / n, log_density

    return _mean_over(0.5 * nc, _ratio_peak(x, m, n, nc), term)


ncf = Continuous(
    "ncf",
    Formulas(
        shapes=("dfn", "dfd", "nc"),
        low=0.0,
        has_ends=False,
        valid=lambda m, n, nc: (m > 0) & (n > 0) & (nc >= 0),
        density=_ratio_density,
        cdf=lambda x, m, n, nc: _ratio(
            x, m, n, nc, lambda half: special.betainc(half, 0.5 * n, m * x / (n + m * x))
        ),
        sf=lambda x, m, n, nc: _ratio(
            x, m, n, nc, lambda half: special.betainc(0.5 * n, half, n / (n + m * x))
        ),
        mean=lambda m, n, nc: where_above(n, 2, lambda n: n / (n - 2) * (m + nc) / m),
        variance=lambda m, n, nc: where_above(
            n,
            4,
            lambda n: (
                2
                * (n / m) ** 2
                * ((m + nc) ** 2 + (m + 2 * nc) * (n - 2))
                / ((n - 2) ** 2 * (n - 4))
            ),
        ),
    ),
)


# -- Student's, noncentral ---------------------------------------------------------------------

# Nodes of the density's integral over the logarithm of s, in spacings from the peak: before it the
# integrand falls off as an exponential function only.
_NODES = np.arange(-290.0, 31.0)
# In widths of the peak, and at most: the integrand is analytic within pi / 4 of the real axis.
_SPACING, _WIDEST = 0.6, 0.13


def _t_log(x: Any, df: Any, nc: Any) -> Any:
    """The logarithm of the density: an integral of positive numbers, by the trapezoidal rule.

    The number is `(z + nc) / s`, of a normal z and the root s of chi-squared by df; given s, the
    density is `s phi(x s - nc)`. As the integrand is analytic, and zero at the ends, the rule's
    error is that of rounding.
    """
    # Where the integrand over log s is largest, and how wide it is there.
    slope, bend = x * nc, df + x * x
    root = np.sqrt(slope * slope + 4 * (df + 1) * bend)
    up = slope > 0
    large = np.where(up, slope + root, 1.0) / (2 * bend)
    large = np.where(up, large, 2 * (df + 1) / np.where(up, 1.0, root - slope))
    spacing = _SPACING / np.sqrt(df + 1 + bend * large * large)
    peak, spacing = stop_gradient((np.log(large), np.minimum(spacing, _WIDEST)))
    place = peak[..., None] + spacing[..., None] * _NODES
    s = np.exp(place)
    x, df, nc = x[..., None], df[..., None], nc[..., None]
    exponent = (df + 1) * place - 0.5 * df * s * s - 0.5 * (x * s - nc) ** 2
    factor = math.log(2) - 0.5 * math.log(2 * math.pi) + 0.5 * df * np.log(0.5 * df)
    leading = stop_gradient(np.max(exponent, axis=-1, keepdims=True))
    total = np.log(np.sum(np.exp(exponent - leading), axis=-1) * spacing)
    return total + (leading + factor - special.gammaln(0.5 * df))[..., 0]


def _t_half(x: Any, df: Any, nc: Any, upper: Any) -> Any:
    """The probability that a noncentral t is between 0 and x > 0 or, where `upper`, above x.

    Lenth, Algorithm AS 243: Cumulative distribution function of the non-central t distribution
    (1989). Of a negative `nc` every second part of a term is negative.
    """
    is_large = x > 1e100
    size = np.where(is_large, 1.0, x)
    below = np.where(is_large, 1.0, size * size / (df + size * size))
    above = np.where(is_large, df / x / x, df / (df + size * size))
    # The part that is no power series of x * x: Student's own probability.
    central = np.where(upper, 2 * special.stdtr(df, -x), 2 * special.stdtr(df, x) - 1)

    # Of the smaller one of the two, which has all digits.
    is_near = below < above
    place = np.where(is_near, below, above)

    def part(a: Any) -> Any:
        first, second = np.where(is_near, a, 0.5 * df), np.where(is_near, 0.5 * df, a)
        value, rest = [f(first, second, place) for f in (special.betainc, special.betaincc)]
        return np.where(upper == is_near, rest, value)

    def term(j: Any) -> tuple[Any, Any]:
        even = np.where(j == 0, central, part(np.maximum(j, 1.0) + 0.5))
        ratio = np.exp(special.gammaln(j + 1) - special.gammaln(j + 1.5))
        return 0.5 * (even + nc * math.sqrt(0.5) * ratio * part(j + 1)), 0.0

    # Of what is above, terms change by `half below (1 + df / 2 j) / j` at most.
    half = 0.5 * nc * nc
    near = half * below
    peak = 0.5 * (near + np.sqrt(near * (near + 2 * df)))
    return _mean_over(half, peak, term)


def _t_probability(x: Any, df: Any, nc: Any, below: bool) -> Any:
    """`cdf` or `sf`, of both signs of x: that of -x is that of -nc on the other side."""
    negative = x < 0
    # Powers of 0 have no derivatives of higher order, those of a number next to it have.
    size = np.where(negative, -x, x) + 1e-100
    shift = np.where(negative, -nc, nc)
    upper = negative if below else ~negative
    return _t_half(size, df, shift, upper) + np.where(upper, 0.0, special.ndtr(-shift))


def _t_mean(df: Any, nc: Any) -> Any:
    ratio = np.exp(special.gammaln(0.5 * (df - 1)) - special.gammaln(0.5 * df))
    return nc * np.sqrt(0.5 * df) * ratio


nct = Continuous(
    "nct",
    Formulas(
        shapes=("df", "nc"),
        valid=lambda df, nc: (df > 0) & np.isfinite(nc),
        log_density=_t_log,
        cdf=lambda x, df, nc: _t_probability(x, df, nc, True),
        sf=lambda x, df, nc: _t_probability(x, df, nc, False),
        mean=lambda df, nc: where_above(df, 1, lambda df: _t_mean(df, nc)),
        variance=lambda df, nc: where_above(
            df, 2, lambda df: df * (1 + nc * nc) / (df - 2) - _t_mean(df, nc) ** 2
        ),
    ),
)
