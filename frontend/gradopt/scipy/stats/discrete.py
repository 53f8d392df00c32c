# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The discrete distributions of `scipy.stats`, one row each.

Formulas are those of Johnson, Kemp and Kotz, Univariate Discrete Distributions (2005), in SciPy's
parameters. There are derivatives in the parameters that are no integers.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from gradopt.scipy.stats.distribution import Discrete, Formulas, special


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


def _two_sided(k: Any, a: Any) -> Any:
    """The probability of at most `k` of the discrete Laplace distribution."""
    below = k < 0
    down = np.exp(a * np.where(below, k + 1, 0.0)) / (np.exp(a) + 1)
    up = 1 - np.exp(-a * np.where(below, 0.0, k)) / (np.exp(a) + 1)
    return np.where(below, down, up)
