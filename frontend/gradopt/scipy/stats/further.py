# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Continuous distributions of `scipy.stats` that physics, hydrology and reliability use; one row
each.

Sources: Gaiser (1982) for crystalball, Albrecht (1990) for argus, Jones and Faddy (2003) for
jf_skew_t, Ryu (1993) for genexpon, and otherwise Johnson, Kotz and Balakrishnan, Continuous
Univariate Distributions (1994, 1995), in SciPy's parameters.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from gradopt.scipy.stats.continuous import HALF_LOG_2_PI, LOG_2, below, normal_log
from gradopt.scipy.stats.distribution import Continuous, Formulas, special

argus = Continuous(
    "argus",
    Formulas(
        shapes=("chi",),
        low=0.0,
        high=1.0,
        has_ends=False,
        log_density=lambda x, chi: (
            np.log(x)
            + 0.5 * (np.log1p(-x) + np.log1p(x))
            - 0.5 * chi * chi * (1 - x) * (1 + x)
            + 3 * np.log(chi)
            - HALF_LOG_2_PI
            + LOG_2
            - np.log(_maxwell(chi, 1.0))
        ),
        sf=lambda x, chi: _maxwell(chi, (1 - x) * (1 + x)) / _maxwell(chi, 1.0),
        ppf=lambda q, chi: np.sqrt(
            1 - 2 / (chi * chi) * special.gammaincinv(1.5, (1 - q) * _maxwell(chi, 1.0))
        ),
    ),
)


def _maxwell(chi: Any, share: Any) -> Any:
    """The probability of a squared speed of at most `chi**2 * share`."""
    return special.gammainc(1.5, 0.5 * chi * chi * share)


def _tail_weight(b: Any, m: Any) -> Any:
    """The area of the tail of a crystal ball that a power continues."""
    return m / (b * (m - 1)) * np.exp(-0.5 * b * b)


def _ball_log_norm(b: Any, m: Any) -> Any:
    return np.log(_tail_weight(b, m) + math.sqrt(2 * math.pi) * below(b))


def _ball_log_base(x: Any, b: Any, m: Any) -> Any:
    """The logarithm of the base of the power: 0 where the two halves meet."""
    left = np.where(x < -b, x, -b)
    return np.log1p(-b * (left + b) / m)


crystalball = Continuous(
    "crystalball",
    Formulas(
        shapes=("beta", "m"),
        valid=lambda b, m: (b > 0) & (m > 1),
        log_density=lambda x, b, m: (
            np.where(
                x > -b,
                -0.5 * np.where(x > -b, x, 0.0) ** 2,
                -0.5 * b * b - m * _ball_log_base(x, b, m),
            )
            - _ball_log_norm(b, m)
        ),
        cdf=lambda x, b, m: (
            np.where(
                x > -b,
                _tail_weight(b, m)
                + math.sqrt(2 * math.pi) * (below(np.where(x > -b, x, -b)) - below(-b)),
                _tail_weight(b, m) * np.exp((1 - m) * _ball_log_base(x, b, m)),
            )
            * np.exp(-_ball_log_norm(b, m))
        ),
        sf=lambda x, b, m: (
            np.where(
                x > -b,
                math.sqrt(2 * math.pi) * below(-np.where(x > -b, x, -b)),
                math.sqrt(2 * math.pi) * below(b)
                - _tail_weight(b, m) * np.expm1((1 - m) * _ball_log_base(x, b, m)),
            )
            * np.exp(-_ball_log_norm(b, m))
        ),
    ),
)
genexpon = Continuous(
    "genexpon",
    Formulas(
        shapes=("a", "b", "c"),
        low=0.0,
        log_density=lambda x, a, b, c: (
            np.log(a - b * np.expm1(-c * x)) - (a + b) * x - b / c * np.expm1(-c * x)
        ),
        logsf=lambda x, a, b, c: -(a + b) * x - b / c * np.expm1(-c * x),
    ),
)


def _upper_half(x: Any, s: Any) -> Any:
    """(1 + x / sqrt(s + x^2)) / 2, without cancellation."""
    r = np.sqrt(s + x * x)
    return np.where(x < 0, s / (2 * r * (r + np.abs(x))), 0.5 + 0.5 * x / r)


def _skew_t_quantile(p: Any, rest: Any, s: Any) -> Any:
    return (p - rest) * np.sqrt(s) / (2 * np.sqrt(p * rest))


jf_skew_t = Continuous(
    "jf_skew_t",
    Formulas(
        shapes=("a", "b"),
        log_density=lambda x, a, b: (
            (a + 0.5) * np.log(2 * _upper_half(x, a + b))
            + (b + 0.5) * np.log(2 * _upper_half(-x, a + b))
            - (a + b - 1) * LOG_2
            - special.betaln(a, b)
            - 0.5 * np.log(a + b)
        ),
        cdf=lambda x, a, b: special.betainc(a, b, _upper_half(x, a + b)),
        sf=lambda x, a, b: special.betainc(b, a, _upper_half(-x, a + b)),
        ppf=lambda q, a, b: _skew_t_quantile(
            special.betaincinv(a, b, q), special.betaincinv(b, a, 1 - q), a + b
        ),
    ),
)

# SciPy takes distributions of less skew for normal ones.
_SKEWED = 1.6e-5


def _is_skewed(skew: Any) -> Any:
    return np.abs(skew) > _SKEWED


def _pearson(skew: Any) -> tuple[Any, Any]:
    """The rate and the shape of the gamma variable, of a skewed distribution."""
    rate = 2 / np.where(_is_skewed(skew), skew, 1.0)
    return rate, rate * rate


def _pearson_place(x: Any, skew: Any) -> Any:
    """The place among gamma variables, and whether it is one."""
    rate, shape = _pearson(skew)
    at = np.where(_is_skewed(skew), rate * x + shape, 1.0)
    return np.where(at > 0, at, 0.0), at > 0


def _pearson_log(x: Any, skew: Any) -> Any:
    rate, shape = _pearson(skew)
    at, is_inside = _pearson_place(x, skew)
    inner = np.where(is_inside, at, 1.0)
    log = np.log(np.abs(rate)) + (shape - 1) * np.log(inner) - inner - special.gammaln(shape)
    log = np.where(is_inside, log, -math.inf)
    # Of small skews the first term, as the derivative is not 0.
    near = normal_log(x) + skew * (x**3 - 3 * x) / 6
    return np.where(_is_skewed(skew), log, near)


def _pearson_tail(x: Any, skew: Any, upper: bool) -> Any:
    _, shape = _pearson(skew)
    at, _ = _pearson_place(x, skew)
    small, large = special.gammainc(shape, at), special.gammaincc(shape, at)
    part = np.where((skew > 0) != upper, small, large)
    more = skew / 6 * (x * x - 1) * np.exp(normal_log(x))
    near = below(-x) + more if upper else below(x) - more
    return np.where(_is_skewed(skew), part, near)


pearson3 = Continuous(
    "pearson3",
    Formulas(
        shapes=("skew",),
        # SciPy's support is the whole line, with no density in a part of it.
        valid=np.isfinite,
        log_density=_pearson_log,
        cdf=lambda x, skew: _pearson_tail(x, skew, upper=False),
        sf=lambda x, skew: _pearson_tail(x, skew, upper=True),
        mean=lambda skew: 0 * skew,
        variance=lambda skew: 1 + 0 * skew,
    ),
)
recipinvgauss = Continuous(
    "recipinvgauss",
    Formulas(
        shapes=("mu",),
        low=0.0,
        has_ends=False,
        log_density=lambda x, mu: (
            -((1 - mu * x) ** 2) / (2 * x * mu * mu) - 0.5 * np.log(x) - HALF_LOG_2_PI
        ),
        cdf=lambda x, mu: (
            below((x - 1 / mu) / np.sqrt(x))
            - np.exp(2 / mu + special.log_ndtr(-(x + 1 / mu) / np.sqrt(x)))
        ),
        sf=lambda x, mu: (
            below((1 / mu - x) / np.sqrt(x))
            + np.exp(2 / mu + special.log_ndtr(-(x + 1 / mu) / np.sqrt(x)))
        ),
    ),
)


def _quotient(a: Any, b: Any) -> Any:
    """a / b, 0 where b is."""
    return np.where(b > 0, a / np.where(b > 0, b, 1.0), 0.0)


trapezoid = Continuous(
    "trapezoid",
    Formulas(
        shapes=("c", "d"),
        low=0.0,
        high=1.0,
        valid=lambda c, d: (c >= 0) & (d <= 1) & (d >= c),
        density=lambda x, c, d: (
            2
            / (d - c + 1)
            * np.where(x < c, _quotient(x, c), np.where(x > d, _quotient(1 - x, 1 - d), 1.0))
        ),
        cdf=lambda x, c, d: (
            np.where(
                x < c,
                _quotient(x * x, c),
                np.where(x > d, d - c + 1 - _quotient((1 - x) ** 2, 1 - d), 2 * x - c),
            )
            / (d - c + 1)
        ),
        sf=lambda x, c, d: (
            np.where(
                x < c,
                d - c + 1 - _quotient(x * x, c),
                np.where(x > d, _quotient((1 - x) ** 2, 1 - d), d + 1 - 2 * x),
            )
            / (d - c + 1)
        ),
        ppf=lambda q, c, d: _trapezoid_quantile(q * (d - c + 1), c, d),
    ),
)


def _trapezoid_quantile(area: Any, c: Any, d: Any) -> Any:
    whole = d - c + 1
    is_left, is_right = area < c, area > whole - (1 - d)
    left = np.sqrt(np.where(is_left, c * area, 1.0))
    right = 1 - np.sqrt(np.where(is_right, (1 - d) * (whole - area), 1.0))
    return np.where(is_left, left, np.where(is_right, right, 0.5 * (area + c)))


truncweibull_min = Continuous(
    "truncweibull_min",
    Formulas(
        shapes=("c", "a", "b"),
        low=lambda c, a, b: a,
        high=lambda c, a, b: b,
        inner=lambda c, a, b: 0.5 * (a + b),
        has_ends=True,
        valid=lambda c, a, b: (c > 0) & (a >= 0) & (b > a),
        log_density=lambda x, c, a, b: (
            np.log(c) + special.xlogy(c - 1, x) - (x**c - a**c) - _log_of_range(c, a, b)
        ),
        cdf=lambda x, c, a, b: np.expm1(a**c - x**c) / np.expm1(a**c - b**c),
        sf=lambda x, c, a, b: np.exp(a**c - x**c) * np.expm1(x**c - b**c) / np.expm1(a**c - b**c),
        ppf=lambda q, c, a, b: (a**c - np.log1p(q * np.expm1(a**c - b**c))) ** (1 / c),
    ),
)


def _log_of_range(c: Any, a: Any, b: Any) -> Any:
    """The logarithm of the probability between the ends, given the lower one."""
    return np.log(-np.expm1(a**c - b**c))
