# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The discrete distributions of `scipy.stats`, one row each.

Formulas are those of Johnson, Kemp and Kotz, Univariate Discrete Distributions (2005), in SciPy's
parameters. There are derivatives in the parameters that are no integers.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from gradopt.scipy.stats.continuous import where_above
from gradopt.scipy.stats.distribution import Discrete, Formulas, special
from gradopt.scipy.stats.mixtures import noncentral_square


def _is_probability(p: Any) -> Any:
    return (p >= 0) & (p <= 1)


def _is_count(n: Any) -> Any:
    return (n >= 0) & (n == np.floor(n))


def _log_binomial(n: Any, k: Any) -> Any:
    """The logarithm of a binomial coefficient."""
    return special.gammaln(n + 1) - special.gammaln(k + 1) - special.gammaln(n - k + 1)


def _binary_entropy(p: Any) -> Any:
    return -special.xlogy(p, p) - special.xlog1py(1 - p, -p)


bernoulli = Discrete(
    "bernoulli",
    Formulas(
        shapes=("p",),
        low=0.0,
        high=1.0,
        inner=0.0,
        valid=_is_probability,
        log_density=lambda k, p: special.xlogy(k, p) + special.xlog1py(1 - k, -p),
        density=lambda k, p: np.where(k == 0, 1 - p, p),
        cdf=lambda k, p: np.where(k < 0, 0.0, 1 - p),
        sf=lambda k, p: np.where(k < 0, 1.0, p),
        mean=lambda p: p,
        variance=lambda p: p * (1 - p),
        entropy=_binary_entropy,
    ),
)
geom = Discrete(
    "geom",
    Formulas(
        shapes=("p",),
        low=1.0,
        inner=1.0,
        valid=lambda p: (p > 0) & (p <= 1),
        log_density=lambda k, p: special.xlog1py(k - 1, -p) + np.log(p),
        logsf=lambda k, p: special.xlog1py(k, -p),
        mean=lambda p: 1 / p,
        variance=lambda p: (1 - p) / p**2,
        entropy=lambda p: _binary_entropy(p) / p,
    ),
)
poisson = Discrete(
    "poisson",
    Formulas(
        shapes=("mu",),
        low=0.0,
        inner=0.0,
        valid=lambda mu: mu >= 0,
        log_density=lambda k, mu: special.xlogy(k, mu) - special.gammaln(k + 1) - mu,
        cdf=lambda k, mu: special.gammaincc(k + 1, mu),
        sf=lambda k, mu: special.gammainc(k + 1, mu),
        mean=lambda mu: mu,
        variance=lambda mu: mu,
    ),
)
binom = Discrete(
    "binom",
    Formulas(
        shapes=("n", "p"),
        low=0.0,
        high=lambda n, p: n,
        inner=0.0,
        valid=lambda n, p: _is_count(n) & _is_probability(p),
        log_density=lambda k, n, p: (
            _log_binomial(n, k) + special.xlogy(k, p) + special.xlog1py(n - k, -p)
        ),
        cdf=lambda k, n, p: special.betaincc(k + 1, n - k, p),
        sf=lambda k, n, p: special.betainc(k + 1, n - k, p),
        mean=lambda n, p: n * p,
        variance=lambda n, p: n * p * (1 - p),
    ),
)
nbinom = Discrete(
    "nbinom",
    Formulas(
        shapes=("n", "p"),
        low=0.0,
        inner=0.0,
        valid=lambda n, p: (n > 0) & (p > 0) & (p <= 1),
        log_density=lambda k, n, p: (
            special.gammaln(n + k)
            - special.gammaln(k + 1)
            - special.gammaln(n)
            + n * np.log(p)
            + special.xlog1py(k, -p)
        ),
        cdf=lambda k, n, p: special.betainc(n, k + 1, p),
        sf=lambda k, n, p: special.betaincc(n, k + 1, p),
        mean=lambda n, p: n * (1 - p) / p,
        variance=lambda n, p: n * (1 - p) / p**2,
    ),
)
randint = Discrete(
    "randint",
    Formulas(
        shapes=("low", "high"),
        low=lambda low, high: low,
        high=lambda low, high: high - 1,
        inner=lambda low, high: low,
        valid=lambda low, high: (low < high) & (low == np.floor(low)) & (high == np.floor(high)),
        density=lambda k, low, high: 1 / (high - low) + 0 * k,
        cdf=lambda k, low, high: (k - low + 1) / (high - low),
        sf=lambda k, low, high: (high - 1 - k) / (high - low),
        mean=lambda low, high: (low + high - 1) / 2,
        variance=lambda low, high: ((high - low) ** 2 - 1) / 12,
        entropy=lambda low, high: np.log(high - low),
    ),
)
dlaplace = Discrete(
    "dlaplace",
    Formulas(
        shapes=("a",),
        inner=0.0,
        density=lambda k, a: np.tanh(a / 2) * np.exp(-a * np.abs(k)),
        log_density=lambda k, a: np.log(np.tanh(a / 2)) - a * np.abs(k),
        cdf=lambda k, a: _two_sided(k, a),
        sf=lambda k, a: _two_sided(-k - 1, a),
        mean=lambda a: 0.0 * a,
        variance=lambda a: 0.5 / np.sinh(a / 2) ** 2,
        entropy=lambda a: a / np.sinh(a) - np.log(np.tanh(a / 2)),
    ),
)
hypergeom = Discrete(
    "hypergeom",
    Formulas(
        shapes=("M", "n", "N"),
        low=lambda M, n, N: np.maximum(N - (M - n), 0.0),
        high=lambda M, n, N: np.minimum(n, N),
        inner=lambda M, n, N: np.minimum(n, N),
        valid=lambda M, n, N: (
            _is_count(M) & _is_count(n) & _is_count(N) & (n <= M) & (N <= M) & (M > 0)
        ),
        log_density=lambda k, M, n, N: (
            _log_binomial(n, k) + _log_binomial(M - n, N - k) - _log_binomial(M, N)
        ),
        mean=lambda M, n, N: N * n / M,
        variance=lambda M, n, N: N * n / M * (1 - n / M) * (M - N) / np.maximum(M - 1, 1),
    ),
)

planck = Discrete(
    "planck",
    Formulas(
        shapes=("lambda_",),
        low=0.0,
        inner=0.0,
        log_density=lambda k, rate: np.log(-np.expm1(-rate)) - rate * k,
        logsf=lambda k, rate: -rate * (k + 1),
        mean=lambda rate: 1 / np.expm1(rate),
        variance=lambda rate: np.exp(-rate) / np.expm1(-rate) ** 2,
    ),
)
boltzmann = Discrete(
    "boltzmann",
    Formulas(
        shapes=("lambda_", "N"),
        low=0.0,
        high=lambda rate, n: n - 1,
        inner=0.0,
        valid=lambda rate, n: (rate > 0) & _is_count(n) & (n > 0),
        log_density=lambda k, rate, n: (
            np.log(-np.expm1(-rate)) - rate * k - np.log(-np.expm1(-rate * n))
        ),
        cdf=lambda k, rate, n: np.expm1(-rate * (k + 1)) / np.expm1(-rate * n),
        sf=lambda k, rate, n: (
            np.exp(-rate * (k + 1)) * np.expm1(-rate * (n - 1 - k)) / np.expm1(-rate * n)
        ),
    ),
)
logser = Discrete(
    "logser",
    Formulas(
        shapes=("p",),
        low=1.0,
        inner=1.0,
        valid=lambda p: (p > 0) & (p < 1),
        log_density=lambda k, p: k * np.log(p) - np.log(k) - np.log(-np.log1p(-p)),
        mean=lambda p: p / (p - 1) / np.log1p(-p),
    ),
)
zipf = Discrete(
    "zipf",
    Formulas(
        shapes=("a",),
        low=1.0,
        inner=1.0,
        valid=lambda a: a > 1,
        log_density=lambda k, a: -a * np.log(k) - np.log(special._zeta(a, 1.0)),
        sf=lambda k, a: special._zeta(a, k + 1) / special._zeta(a, 1.0),
        mean=lambda a: where_above(
            a, 2, lambda a: special._zeta(a - 1, 1.0) / special._zeta(a, 1.0)
        ),
        variance=lambda a: where_above(a, 3, _zipf_variance),
    ),
)
yulesimon = Discrete(
    "yulesimon",
    Formulas(
        shapes=("alpha",),
        low=1.0,
        inner=1.0,
        log_density=lambda k, a: np.log(a) + special.betaln(k, a + 1),
        # At 0, below the support, it is 1.
        sf=lambda k, a: np.where(
            k < 1, 1.0, np.maximum(k, 1.0) * special.beta(np.maximum(k, 1.0), a + 1)
        ),
        mean=lambda a: np.where(a > 1, a / np.where(a > 1, a - 1, 1.0), np.inf),
    ),
)
betabinom = Discrete(
    "betabinom",
    Formulas(
        shapes=("n", "a", "b"),
        low=0.0,
        high=lambda n, a, b: n,
        inner=0.0,
        valid=lambda n, a, b: _is_count(n) & (a > 0) & (b > 0),
        log_density=lambda k, n, a, b: (
            _log_binomial(n, k) + special.betaln(k + a, n - k + b) - special.betaln(a, b)
        ),
        mean=lambda n, a, b: n * a / (a + b),
        variance=lambda n, a, b: n * a * b * (a + b + n) / ((a + b) ** 2 * (a + b + 1)),
    ),
)
betanbinom = Discrete(
    "betanbinom",
    Formulas(
        shapes=("n", "a", "b"),
        low=0.0,
        inner=0.0,
        valid=lambda n, a, b: _is_count(n) & (a > 0) & (b > 0),
        log_density=lambda k, n, a, b: (
            special.betaln(a + n, b + k)
            - special.betaln(a, b)
            - np.log(n + k)
            - special.betaln(n, k + 1)
        ),
    ),
)
skellam = Discrete(
    "skellam",
    Formulas(
        shapes=("mu1", "mu2"),
        inner=0.0,
        log_density=lambda k, m, n: (
            0.5 * k * np.log(m / n)
            - (np.sqrt(m) - np.sqrt(n)) ** 2
            + np.log(special.ive(np.abs(k), 2 * np.sqrt(m * n)))
        ),
        cdf=lambda k, m, n: _difference_below(k, m, n),
        sf=lambda k, m, n: _difference_below(-k - 1, n, m),
        mean=lambda m, n: m - n,
        variance=lambda m, n: m + n,
    ),
)


def _zipf_variance(a: Any) -> Any:
    total, first, second = [special._zeta(a - k, 1.0) for k in range(3)]
    return second / total - (first / total) ** 2


def _difference_below(k: Any, m: Any, n: Any) -> Any:
    """The probability that a Poisson number less another is at most `k`.

    By the noncentral chi-squared distribution (Johnson, 1959).
    """
    negative = k < 0
    down, up = np.where(negative, -k, 1.0), np.where(negative, 0.0, k)
    below = noncentral_square(2 * n, 2 * down, 2 * m, special.gammainc)
    above = noncentral_square(2 * m, 2 * (up + 1), 2 * n, special.gammaincc)
    return np.where(negative, below, above)


def _two_sided(k: Any, a: Any) -> Any:
    """The probability of at most `k` of the discrete Laplace distribution."""
    below = k < 0
    down = np.exp(a * np.where(below, k + 1, 0.0)) / (np.exp(a) + 1)
    up = 1 - np.exp(-a * np.where(below, 0.0, k)) / (np.exp(a) + 1)
    return np.where(below, down, up)
