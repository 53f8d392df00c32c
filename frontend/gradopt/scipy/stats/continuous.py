# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The continuous distributions of `scipy.stats`, one row each.

Formulas are those of Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions (1994,
1995), in SciPy's parameters; tails are computed by themselves, not as what is left of 1.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from gradopt.scipy.stats.distribution import Continuous, Formulas, special

LOG_2 = math.log(2)
_LOG_PI = math.log(math.pi)
HALF_LOG_2_PI = 0.5 * math.log(2 * math.pi)
_ROOT_2 = math.sqrt(2)
EULER = 0.57721566490153286061


def normal_log(x: Any) -> Any:
    """The logarithm of the normal density."""
    return -0.5 * x * x - HALF_LOG_2_PI


def below(x: Any) -> Any:
    """The probability that a normal number is below `x`."""
    return 0.5 * special.erfc(x * (-1 / _ROOT_2))


# -- Without parameters of shape ---------------------------------------------------------------

norm = Continuous(
    "norm",
    Formulas(
        log_density=normal_log,
        cdf=below,
        sf=lambda x: below(-x),
        logcdf=special.log_ndtr,
        logsf=lambda x: special.log_ndtr(-x),
        ppf=special.ndtri,
        isf=lambda q: -special.ndtri(q),
        mean=lambda: 0.0,
        variance=lambda: 1.0,
        entropy=lambda: 0.5 + HALF_LOG_2_PI,
    ),
)
halfnorm = Continuous(
    "halfnorm",
    Formulas(
        low=0.0,
        log_density=lambda x: normal_log(x) + LOG_2,
        cdf=lambda x: special.erf(x * (1 / _ROOT_2)),
        sf=lambda x: 2 * below(-x),
        logsf=lambda x: np.where(
            x < 1,
            np.log1p(-special.erf(np.where(x < 1, x, 0.0) * (1 / _ROOT_2))),
            LOG_2 + special.log_ndtr(-x),
        ),
        ppf=lambda q: np.where(
            q < 0.5,
            _ROOT_2 * special.erfinv(np.where(q < 0.5, q, 0.5)),
            -special.ndtri(0.5 * np.where(q < 0.5, 0.5, 1 - q)),
        ),
        isf=lambda q: -special.ndtri(0.5 * q),
        mean=lambda: math.sqrt(2 / math.pi),
        variance=lambda: 1 - 2 / math.pi,
        entropy=lambda: 0.5 * math.log(math.pi / 2) + 0.5,
    ),
)
expon = Continuous(
    "expon",
    Formulas(
        low=0.0,
        log_density=lambda x: -x,
        logsf=lambda x: -x,
        ppf=lambda q: -np.log1p(-q),
        isf=lambda q: -np.log(q),
        mean=lambda: 1.0,
        variance=lambda: 1.0,
        entropy=lambda: 1.0,
    ),
)
laplace = Continuous(
    "laplace",
    Formulas(
        log_density=lambda x: -np.abs(x) - LOG_2,
        cdf=lambda x: np.exp(_laplace_log(x)),
        sf=lambda x: np.exp(_laplace_log(-x)),
        logcdf=lambda x: _laplace_log(x),
        logsf=lambda x: _laplace_log(-x),
        ppf=lambda q: _laplace_quantile(q),
        isf=lambda q: -_laplace_quantile(q),
        mean=lambda: 0.0,
        variance=lambda: 2.0,
        entropy=lambda: 1 + LOG_2,
    ),
)
cauchy = Continuous(
    "cauchy",
    Formulas(
        log_density=lambda x: -_LOG_PI - 2 * np.log(np.hypot(1.0, x)),
        cdf=lambda x: np.arctan2(1.0, -x) / math.pi,
        sf=lambda x: np.arctan2(1.0, x) / math.pi,
        ppf=lambda q: -_odd(q, lambda p: 1 / np.tan(math.pi * p)),
        isf=lambda q: _odd(q, lambda p: 1 / np.tan(math.pi * p)),
        mean=lambda: math.nan,
        variance=lambda: math.nan,
        entropy=lambda: math.log(4 * math.pi),
    ),
)
halfcauchy = Continuous(
    "halfcauchy",
    Formulas(
        low=0.0,
        log_density=lambda x: math.log(2 / math.pi) - 2 * np.log(np.hypot(1.0, x)),
        cdf=lambda x: 2 / math.pi * np.arctan(x),
        sf=lambda x: 2 / math.pi * np.arctan2(1.0, x),
        ppf=lambda q: np.exp(_odd(q, _log_tan)),
        isf=lambda q: np.exp(-_odd(q, _log_tan)),
        mean=lambda: math.inf,
        variance=lambda: math.inf,
        entropy=lambda: math.log(2 * math.pi),
    ),
)
uniform = Continuous(
    "uniform",
    Formulas(
        low=0.0,
        high=1.0,
        log_density=np.zeros_like,
        cdf=lambda x: x,
        sf=lambda x: 1 - x,
        logsf=lambda x: np.log1p(-x),
        ppf=lambda q: q,
        mean=lambda: 0.5,
        variance=lambda: 1 / 12,
        entropy=lambda: 0.0,
    ),
)
logistic = Continuous(
    "logistic",
    Formulas(
        log_density=lambda x: _logistic_log(x),
        cdf=special.expit,
        sf=lambda x: special.expit(-x),
        logcdf=special.log_expit,
        logsf=lambda x: special.log_expit(-x),
        ppf=special.logit,
        isf=lambda q: -special.logit(q),
        mean=lambda: 0.0,
        variance=lambda: math.pi**2 / 3,
        entropy=lambda: 2.0,
    ),
)
hypsecant = Continuous(
    "hypsecant",
    Formulas(
        log_density=lambda x: LOG_2 - _LOG_PI - np.logaddexp(x, -x),
        cdf=lambda x: 2 / math.pi * np.arctan(np.exp(x)),
        sf=lambda x: 2 / math.pi * np.arctan(np.exp(-x)),
        ppf=lambda q: _odd(q, _log_tan),
        isf=lambda q: -_odd(q, _log_tan),
        mean=lambda: 0.0,
        variance=lambda: math.pi**2 / 4,
        entropy=lambda: math.log(2 * math.pi),
    ),
)
gumbel_r = Continuous(
    "gumbel_r",
    Formulas(
        log_density=lambda x: -x - np.exp(-x),
        logcdf=lambda x: -np.exp(-x),
        ppf=lambda q: -np.log(-np.log(q)),
        isf=lambda q: -np.log(-np.log1p(-q)),
        mean=lambda: EULER,
        variance=lambda: math.pi**2 / 6,
        entropy=lambda: 1 + EULER,
    ),
)
gumbel_l = Continuous(
    "gumbel_l",
    Formulas(
        log_density=lambda x: x - np.exp(x),
        logsf=lambda x: -np.exp(x),
        ppf=lambda q: np.log(-np.log1p(-q)),
        isf=lambda q: np.log(-np.log(q)),
        mean=lambda: -EULER,
        variance=lambda: math.pi**2 / 6,
        entropy=lambda: 1 + EULER,
    ),
)
rayleigh = Continuous(
    "rayleigh",
    Formulas(
        low=0.0,
        log_density=lambda x: np.log(x) - 0.5 * x * x,
        density=lambda x: x * np.exp(-0.5 * x * x),
        logsf=lambda x: -0.5 * x * x,
        ppf=lambda q: np.sqrt(-2 * np.log1p(-q)),
        isf=lambda q: np.sqrt(-2 * np.log(q)),
        mean=lambda: math.sqrt(math.pi / 2),
        variance=lambda: 2 - math.pi / 2,
        entropy=lambda: 1 + 0.5 * EULER - 0.5 * LOG_2,
    ),
)
maxwell = Continuous(
    "maxwell",
    Formulas(
        low=0.0,
        log_density=lambda x: LOG_2 - HALF_LOG_2_PI + 2 * np.log(x) - 0.5 * x * x,
        density=lambda x: math.sqrt(2 / math.pi) * x * x * np.exp(-0.5 * x * x),
        cdf=lambda x: special.gammainc(1.5, 0.5 * x * x),
        sf=lambda x: special.gammaincc(1.5, 0.5 * x * x),
        ppf=lambda q: np.sqrt(2 * special.gammaincinv(1.5, q)),
        isf=lambda q: np.sqrt(2 * special.gammainccinv(1.5, q)),
        mean=lambda: 2 * math.sqrt(2 / math.pi),
        variance=lambda: 3 - 8 / math.pi,
        entropy=lambda: EULER + 0.5 * math.log(2 * math.pi) - 0.5,
    ),
)
arcsine = Continuous(
    "arcsine",
    Formulas(
        low=0.0,
        high=1.0,
        log_density=lambda x: -_LOG_PI - 0.5 * (np.log(x) + np.log1p(-x)),
        cdf=lambda x: 2 / math.pi * np.arcsin(np.sqrt(x)),
        sf=lambda x: 2 / math.pi * np.arccos(np.sqrt(x)),
        ppf=lambda q: np.sin(math.pi / 2 * q) ** 2,
        isf=lambda q: np.cos(math.pi / 2 * q) ** 2,
        mean=lambda: 0.5,
        variance=lambda: 0.125,
        entropy=lambda: math.log(math.pi / 4),
    ),
)
levy = Continuous(
    "levy",
    Formulas(
        low=0.0,
        has_ends=False,
        log_density=lambda x: -HALF_LOG_2_PI - 1.5 * np.log(x) - 0.5 / x,
        cdf=lambda x: special.erfc(np.sqrt(0.5 / x)),
        sf=lambda x: special.erf(np.sqrt(0.5 / x)),
        ppf=lambda q: 1 / special.ndtri(0.5 * q) ** 2,
        isf=lambda q: 0.5 / special.erfinv(q) ** 2,
        mean=lambda: math.inf,
        variance=lambda: math.inf,
        entropy=lambda: 0.5 * (1 + 3 * EULER + math.log(16 * math.pi)),
    ),
)


def _laplace_log(x: Any) -> Any:
    """The logarithm of the probability below `x`; each branch of what it can take."""
    down = np.where(x < 0, x, 0.0)
    up = np.where(x < 0, 0.0, x)
    return np.where(x < 0, down - LOG_2, np.log1p(-0.5 * np.exp(-up)))


def _odd(q: Any, function: Any) -> Any:
    """A function of a probability that is odd around 1/2, computed at the nearer end."""
    below = q < 0.5
    return np.where(
        below, function(np.where(below, q, 0.25)), -function(np.where(below, 0.25, 1 - q))
    )


def _log_tan(p: Any) -> Any:
    return np.log(np.tan(math.pi / 2 * p))


def _laplace_quantile(q: Any) -> Any:
    low = q < 0.5
    return np.where(low, np.log(2 * np.where(low, q, 0.5)), -np.log(2 * np.where(low, 0.5, 1 - q)))


def _logistic_log(x: Any) -> Any:
    """The logarithm of the logistic density: no kink at 0."""
    return x - 2 * np.logaddexp(0.0, x)


# -- With parameters of shape ------------------------------------------------------------------

lognorm = Continuous(
    "lognorm",
    Formulas(
        shapes=("s",),
        low=0.0,
        has_ends=False,
        log_density=lambda x, s: normal_log(np.log(x) / s) - np.log(s * x),
        cdf=lambda x, s: below(np.log(x) / s),
        sf=lambda x, s: below(-np.log(x) / s),
        logcdf=lambda x, s: special.log_ndtr(np.log(x) / s),
        logsf=lambda x, s: special.log_ndtr(-np.log(x) / s),
        ppf=lambda q, s: np.exp(s * special.ndtri(q)),
        isf=lambda q, s: np.exp(-s * special.ndtri(q)),
        mean=lambda s: np.exp(0.5 * s * s),
        variance=lambda s: np.expm1(s * s) * np.exp(s * s),
        entropy=lambda s: 0.5 + HALF_LOG_2_PI + np.log(s),
    ),
)
weibull_min = Continuous(
    "weibull_min",
    Formulas(
        shapes=("c",),
        low=0.0,
        log_density=lambda x, c: np.log(c) + special.xlogy(c - 1, x) - x**c,
        logsf=lambda x, c: -(x**c),
        ppf=lambda q, c: (-np.log1p(-q)) ** (1 / c),
        isf=lambda q, c: (-np.log(q)) ** (1 / c),
        mean=lambda c: special.gamma(1 + 1 / c),
        variance=lambda c: special.gamma(1 + 2 / c) - special.gamma(1 + 1 / c) ** 2,
        entropy=lambda c: EULER * (1 - 1 / c) - np.log(c) + 1,
    ),
)
weibull_max = Continuous(
    "weibull_max",
    Formulas(
        shapes=("c",),
        high=0.0,
        inner=-0.5,
        log_density=lambda x, c: np.log(c) + special.xlogy(c - 1, -x) - (-x) ** c,
        logcdf=lambda x, c: -((-x) ** c),
        ppf=lambda q, c: -((-np.log(q)) ** (1 / c)),
        isf=lambda q, c: -((-np.log1p(-q)) ** (1 / c)),
        mean=lambda c: -special.gamma(1 + 1 / c),
        variance=lambda c: special.gamma(1 + 2 / c) - special.gamma(1 + 1 / c) ** 2,
        entropy=lambda c: EULER * (1 - 1 / c) - np.log(c) + 1,
    ),
)
invweibull = Continuous(
    "invweibull",
    Formulas(
        shapes=("c",),
        low=0.0,
        has_ends=False,
        log_density=lambda x, c: np.log(c) - (c + 1) * np.log(x) - x**-c,
        logcdf=lambda x, c: -(x**-c),
        ppf=lambda q, c: (-np.log(q)) ** (-1 / c),
        isf=lambda q, c: (-np.log1p(-q)) ** (-1 / c),
        mean=lambda c: where_above(c, 1, lambda c: special.gamma(1 - 1 / c)),
        variance=lambda c: where_above(
            c, 2, lambda c: special.gamma(1 - 2 / c) - special.gamma(1 - 1 / c) ** 2
        ),
        entropy=lambda c: 1 + EULER + EULER / c - np.log(c),
    ),
)
pareto = Continuous(
    "pareto",
    Formulas(
        shapes=("b",),
        low=1.0,
        inner=2.0,
        log_density=lambda x, b: np.log(b) - (b + 1) * np.log(x),
        logsf=lambda x, b: -b * np.log(x),
        ppf=lambda q, b: np.exp(-np.log1p(-q) / b),
        isf=lambda q, b: q ** (-1 / b),
        mean=lambda b: where_above(b, 1, lambda b: b / (b - 1)),
        variance=lambda b: where_above(b, 2, lambda b: b / (b - 2) / (b - 1) ** 2),
        entropy=lambda b: 1 + 1 / b - np.log(b),
    ),
)
lomax = Continuous(
    "lomax",
    Formulas(
        shapes=("c",),
        low=0.0,
        log_density=lambda x, c: np.log(c) - (c + 1) * np.log1p(x),
        logsf=lambda x, c: -c * np.log1p(x),
        ppf=lambda q, c: np.expm1(-np.log1p(-q) / c),
        isf=lambda q, c: np.expm1(-np.log(q) / c),
        mean=lambda c: where_above(c, 1, lambda c: 1 / (c - 1)),
        variance=lambda c: where_above(c, 2, lambda c: c / (c - 2) / (c - 1) ** 2),
        entropy=lambda c: 1 + 1 / c - np.log(c),
    ),
)
powerlaw = Continuous(
    "powerlaw",
    Formulas(
        shapes=("a",),
        low=0.0,
        high=1.0,
        log_density=lambda x, a: np.log(a) + special.xlogy(a - 1, x),
        cdf=lambda x, a: x**a,
        logcdf=lambda x, a: a * np.log(x),
        sf=lambda x, a: -np.expm1(a * np.log(x)),
        ppf=lambda q, a: q ** (1 / a),
        mean=lambda a: a / (a + 1),
        variance=lambda a: a / (a + 2) / (a + 1) ** 2,
        entropy=lambda a: 1 - 1 / a - np.log(a),
    ),
)
fisk = Continuous(
    "fisk",
    Formulas(
        shapes=("c",),
        low=0.0,
        has_ends=False,
        log_density=lambda x, c: np.log(c / x) + _logistic_log(c * np.log(x)),
        cdf=lambda x, c: special.expit(c * np.log(x)),
        sf=lambda x, c: special.expit(-c * np.log(x)),
        logcdf=lambda x, c: special.log_expit(c * np.log(x)),
        logsf=lambda x, c: special.log_expit(-c * np.log(x)),
        ppf=lambda q, c: np.exp(special.logit(q) / c),
        isf=lambda q, c: np.exp(-special.logit(q) / c),
        mean=lambda c: where_above(c, 1, lambda c: math.pi / c / np.sin(math.pi / c)),
        variance=lambda c: where_above(c, 2, _fisk_variance),
        entropy=lambda c: 2 - np.log(c),
    ),
)
triang = Continuous(
    "triang",
    Formulas(
        shapes=("c",),
        low=0.0,
        high=1.0,
        valid=lambda c: (c >= 0) & (c <= 1),
        density=lambda x, c: _triangle(x, c, lambda t, w: 2 * t / w, lambda t, w: 2 * t / w),
        cdf=lambda x, c: _triangle(x, c, lambda t, w: t * t / w, lambda t, w: 1 - t * t / w),
        sf=lambda x, c: _triangle(x, c, lambda t, w: 1 - t * t / w, lambda t, w: t * t / w),
        ppf=lambda q, c: np.where(
            q < c,
            np.sqrt(c * np.where(q < c, q, 0.5)),
            1 - np.sqrt((1 - c) * (1 - np.where(q < c, 0.5, q))),
        ),
        mean=lambda c: (1 + c) / 3,
        variance=lambda c: (1 - c + c * c) / 18,
        entropy=lambda c: 0.5 - LOG_2 + 0 * c,
    ),
)
invgauss = Continuous(
    "invgauss",
    Formulas(
        shapes=("mu",),
        low=0.0,
        has_ends=False,
        log_density=lambda x, mu: -HALF_LOG_2_PI - 1.5 * np.log(x) - ((x - mu) / mu) ** 2 / (2 * x),
        logcdf=lambda x, mu: _wald(x, mu, 1),
        cdf=lambda x, mu: np.exp(_wald(x, mu, 1)),
        logsf=lambda x, mu: _wald(x, mu, -1),
        sf=lambda x, mu: np.exp(_wald(x, mu, -1)),
        mean=lambda mu: mu,
        variance=lambda mu: mu**3,
        entropy=lambda mu: (
            0.5 + HALF_LOG_2_PI + 1.5 * (np.log(mu) - _scaled_exponential_integral(2 / mu))
        ),
    ),
)


def _scaled_exponential_integral(x: Any) -> Any:
    """`exp(x) E1(x)`, of a large x by its asymptotic series."""
    far = x > 100
    near = np.where(far, 1.0, x)
    inverse = 1 / np.where(far, x, 100.0)
    series: Any = 1.0
    for k in range(16, 0, -1):
        series = 1 - k * inverse * series
    return np.where(far, inverse * series, np.exp(near) * special.exp1(near))


def where_above(x: Any, bound: float, moment: Any) -> Any:
    """A moment, which is infinite where a shape is not above a bound."""
    finite = x > bound
    return np.where(finite, moment(np.where(finite, x, bound + 1.0)), math.inf)


def _fisk_variance(c: Any) -> Any:
    b = math.pi / c
    return 2 * b / np.sin(2 * b) - (b / np.sin(b)) ** 2


def _triangle(x: Any, c: Any, rising: Any, falling: Any) -> Any:
    """A function of the way from the nearer end, and the length of that side."""
    up = x < c
    return np.where(
        up,
        rising(np.where(up, x, 0.0), np.where(up, c, 1.0)),
        falling(np.where(up, 0.0, 1 - x), np.where(up | (c == 1), 1.0, 1 - c)),
    )


def _wald(x: Any, mu: Any, side: int) -> Any:
    """Logarithms of the probabilities below and above (Giner and Smyth 2016)."""
    root = np.sqrt(x)
    a = special.log_ndtr(side * (x / mu - 1) / root)
    b = 2 / mu + special.log_ndtr(-(x / mu + 1) / root)
    return np.logaddexp(a, b) if side > 0 else a + np.log1p(-np.exp(b - a))


# -- Of the families of gamma and beta functions -----------------------------------------------

gamma = Continuous(
    "gamma",
    Formulas(
        shapes=("a",),
        low=0.0,
        log_density=lambda x, a: special.xlogy(a - 1, x) - x - special.gammaln(a),
        cdf=lambda x, a: special.gammainc(a, x),
        sf=lambda x, a: special.gammaincc(a, x),
        ppf=lambda q, a: special.gammaincinv(a, q),
        isf=lambda q, a: special.gammainccinv(a, q),
        mean=lambda a: a,
        variance=lambda a: a,
        entropy=lambda a: a + special.gammaln(a) + (1 - a) * special.psi(a),
    ),
)
chi2 = Continuous(
    "chi2",
    Formulas(
        shapes=("df",),
        low=0.0,
        log_density=lambda x, df: (
            special.xlogy(df / 2 - 1, x) - x / 2 - special.gammaln(df / 2) - df / 2 * LOG_2
        ),
        cdf=lambda x, df: special.gammainc(df / 2, x / 2),
        sf=lambda x, df: special.gammaincc(df / 2, x / 2),
        ppf=lambda q, df: 2 * special.gammaincinv(df / 2, q),
        isf=lambda q, df: 2 * special.gammainccinv(df / 2, q),
        mean=lambda df: df,
        variance=lambda df: 2 * df,
        entropy=lambda df: (
            df / 2 + LOG_2 + special.gammaln(df / 2) + (1 - df / 2) * special.psi(df / 2)
        ),
    ),
)
chi = Continuous(
    "chi",
    Formulas(
        shapes=("df",),
        low=0.0,
        log_density=lambda x, df: (
            (1 - df / 2) * LOG_2 - special.gammaln(df / 2) + special.xlogy(df - 1, x) - x * x / 2
        ),
        cdf=lambda x, df: special.gammainc(df / 2, x * x / 2),
        sf=lambda x, df: special.gammaincc(df / 2, x * x / 2),
        ppf=lambda q, df: np.sqrt(2 * special.gammaincinv(df / 2, q)),
        isf=lambda q, df: np.sqrt(2 * special.gammainccinv(df / 2, q)),
        mean=lambda df: _chi_mean(df),
        variance=lambda df: df - _chi_mean(df) ** 2,
        entropy=lambda df: (
            special.gammaln(df / 2) + 0.5 * (df - LOG_2 - (df - 1) * special.psi(df / 2))
        ),
    ),
)
invgamma = Continuous(
    "invgamma",
    Formulas(
        shapes=("a",),
        low=0.0,
        has_ends=False,
        log_density=lambda x, a: -(a + 1) * np.log(x) - special.gammaln(a) - 1 / x,
        cdf=lambda x, a: special.gammaincc(a, 1 / x),
        sf=lambda x, a: special.gammainc(a, 1 / x),
        ppf=lambda q, a: 1 / special.gammainccinv(a, q),
        isf=lambda q, a: 1 / special.gammaincinv(a, q),
        mean=lambda a: where_above(a, 1, lambda a: 1 / (a - 1)),
        variance=lambda a: where_above(a, 2, lambda a: 1 / (a - 2) / (a - 1) ** 2),
        entropy=lambda a: a - (a + 1) * special.psi(a) + special.gammaln(a),
    ),
)
beta = Continuous(
    "beta",
    Formulas(
        shapes=("a", "b"),
        low=0.0,
        high=1.0,
        log_density=lambda x, a, b: (
            special.xlogy(a - 1, x) + special.xlog1py(b - 1, -x) - special.betaln(a, b)
        ),
        cdf=lambda x, a, b: special.betainc(a, b, x),
        sf=lambda x, a, b: special.betaincc(a, b, x),
        ppf=lambda q, a, b: special.betaincinv(a, b, q),
        isf=lambda q, a, b: special.betainccinv(a, b, q),
        mean=lambda a, b: a / (a + b),
        variance=lambda a, b: a * b / (a + b + 1) / (a + b) ** 2,
        entropy=lambda a, b: (
            special.betaln(a, b)
            - (a - 1) * special.psi(a)
            - (b - 1) * special.psi(b)
            + (a + b - 2) * special.psi(a + b)
        ),
    ),
)
f = Continuous(
    "f",
    Formulas(
        shapes=("dfn", "dfd"),
        low=0.0,
        log_density=lambda x, m, n: (
            0.5 * (m * np.log(m) + n * np.log(n) - (m + n) * np.log(n + m * x))
            + special.xlogy(m / 2 - 1, x)
            - special.betaln(m / 2, n / 2)
        ),
        cdf=lambda x, m, n: special.betainc(m / 2, n / 2, m * x / (n + m * x)),
        sf=lambda x, m, n: special.betainc(n / 2, m / 2, n / (n + m * x)),
        ppf=lambda q, m, n: odds(special.betaincinv(m / 2, n / 2, q)) * n / m,
        isf=lambda q, m, n: n / m / odds(special.betaincinv(n / 2, m / 2, q)),
        mean=lambda m, n: where_above(n, 2, lambda n: n / (n - 2)),
        variance=lambda m, n: where_above(
            n, 4, lambda n: 2 * n * n * (m + n - 2) / (m * (n - 2) ** 2 * (n - 4))
        ),
        entropy=lambda m, n: (
            np.log(n / m)
            + special.betaln(m / 2, n / 2)
            + (1 - m / 2) * special.psi(m / 2)
            - (1 + n / 2) * special.psi(n / 2)
            + (m + n) / 2 * special.psi((m + n) / 2)
        ),
    ),
)
t = Continuous(
    "t",
    Formulas(
        shapes=("df",),
        log_density=lambda x, df: _student_log(x, df),
        cdf=lambda x, df: _student(x, df),
        sf=lambda x, df: _student(-x, df),
        ppf=lambda q, df: _student_quantile(q, df),
        isf=lambda q, df: -_student_quantile(q, df),
        mean=lambda df: np.where(df > 1, 0.0, math.inf),
        variance=lambda df: np.where(
            df > 1, where_above(df, 2, lambda df: df / (df - 2)), math.nan
        ),
        entropy=lambda df: (
            (df + 1) / 2 * (special.psi((df + 1) / 2) - special.psi(df / 2))
            + 0.5 * np.log(df)
            + special.betaln(df / 2, 0.5)
        ),
    ),
)


def _chi_mean(df: Any) -> Any:
    return _ROOT_2 * np.exp(special.gammaln((df + 1) / 2) - special.gammaln(df / 2))


def odds(p: Any) -> Any:
    return p / (1 - p)


def _student_log(x: Any, df: Any) -> Any:
    half = df / 2
    return -special.betaln(half, 0.5) - 0.5 * np.log(df) - (half + 0.5) * np.log1p(x * x / df)


def _student(x: Any, df: Any) -> Any:
    """The probability below `x`, by the incomplete beta function of the nearer end.

    That has a root at 0, around which a series takes its place: its derivatives are right there up
    to the fifth.
    """
    square = x * x / df
    near = square < 1e-6
    safe = np.where(near, 1.0, square)
    tail = 0.5 * special.betainc(df / 2, 0.5, 1 / (1 + safe))
    terms = 1 - square * (df + 1) / 6 * (1 - square * (df + 3) * (3 / 20))
    middle = 0.5 + np.exp(_student_log(0.0 * x, df)) * x * terms
    return np.where(near, middle, np.where(x < 0, tail, 1 - tail))


def _student_quantile(q: Any, df: Any) -> Any:
    """By the inverse incomplete beta function of that end at which nothing cancels."""
    tail = 2 * np.where(q < 0.5, q, 1 - q)
    far = tail < 0.5
    outer = special.betaincinv(df / 2, 0.5, np.where(far, tail, 0.5))
    inner = special.betaincinv(0.5, df / 2, np.where(far | (tail == 1), 0.5, 1 - tail))
    size = np.sqrt(df * np.where(far, 1 / odds(outer), odds(inner)))
    size = np.where(tail == 1, 0.0, size)
    return np.where(q < 0.5, -size, size)
