# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Distributions of `scipy.stats` whose probabilities are sums: noncentral ones, and Rice's.

A noncentral probability is the mean of central ones, over a Poisson number (Johnson, Kotz and
Balakrishnan, Continuous Univariate Distributions, chapters 29 to 31). All terms are positive, and
the sum ends where those that follow count for nothing. As it is a sum of formulas, there are
derivatives in all parameters, degrees of freedom included.
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
