# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Continuous distributions of `scipy.stats` that are transformed normal, exponential and logistic
variables; one row each.

Formulas are those of Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions (1994,
1995), in SciPy's parameters.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from gradopt.scipy.stats.continuous import (
    EULER,
    HALF_LOG_2_PI,
    LOG_2,
    below,
    normal_log,
)
from gradopt.scipy.stats.distribution import Continuous, Formulas, log_of_rest, special


def _log1p_quotient(t: Any) -> Any:
    """`log1p(t) / t`, around 0 by its series."""
    near = np.abs(t) < 0.05
    far = np.where(near, 1.0, t)
    small = np.where(near, t, 0.0)
    series: Any = 0.0
    for k in range(14, 0, -1):
        series = (-1) ** (k - 1) / k + small * series
    return np.where(near, series, np.log1p(far) / far)


def _bounded(c: Any) -> Any:
    """1 / c of a positive c, and infinity of others."""
    return np.where(c > 0, 1 / np.where(c > 0, c, 1.0), math.inf)


# Riemann's zeta function, by Euler and Maclaurin's sum.
_ZETA = {
    k: sum(n**-k for n in range(1, 12))
    + 12 ** (1 - k) / (k - 1)
    + 0.5 * 12**-k
    + k * 12 ** (-k - 1) / 12
    - k * (k + 1) * (k + 2) * 12 ** (-k - 3) / 720
    + k * (k + 1) * (k + 2) * (k + 3) * (k + 4) * 12 ** (-k - 5) / 30240
    for k in range(2, 25)
}

# -- Of normal variables -----------------------------------------------------------------------

fatiguelife = Continuous(
    "fatiguelife",
    Formulas(
        shapes=("c",),
        low=0.0,
        has_ends=False,
        log_density=lambda x, c: (
            np.log1p(x)
            - (x - 1) ** 2 / (2 * x * c * c)
            - np.log(2 * c)
            - HALF_LOG_2_PI
            - 1.5 * np.log(x)
        ),
        cdf=lambda x, c: below((x - 1) / (c * np.sqrt(x))),
        sf=lambda x, c: below((1 - x) / (c * np.sqrt(x))),
        ppf=lambda q, c: _half_square(c * special.ndtri(q)),
        isf=lambda q, c: _half_square(-c * special.ndtri(q)),
        mean=lambda c: 1 + c * c / 2,
        variance=lambda c: c * c * (1 + 1.25 * c * c),
    ),
)
foldnorm = Continuous(
    "foldnorm",
    Formulas(
        shapes=("c",),
        low=0.0,
        valid=lambda c: c >= 0,
        log_density=lambda x, c: np.logaddexp(normal_log(x - c), normal_log(x + c)),
        cdf=lambda x, c: (
            0.5 * (special.erf((x - c) * math.sqrt(0.5)) + special.erf((x + c) * math.sqrt(0.5)))
        ),
        sf=lambda x, c: below(c - x) + below(-c - x),
    ),
)
gibrat = Continuous(
    "gibrat",
    Formulas(
        low=0.0,
        has_ends=False,
        log_density=lambda x: normal_log(np.log(x)) - np.log(x),
        cdf=lambda x: below(np.log(x)),
        sf=lambda x: below(-np.log(x)),
        ppf=lambda q: np.exp(special.ndtri(q)),
        isf=lambda q: np.exp(-special.ndtri(q)),
        mean=lambda: math.exp(0.5),
        variance=lambda: math.e * (math.e - 1),
        entropy=lambda: 0.5 + HALF_LOG_2_PI,
    ),
)
johnsonsb = Continuous(
    "johnsonsb",
    Formulas(
        shapes=("a", "b"),
        low=0.0,
        high=1.0,
        has_ends=False,
        valid=lambda a, b: (b > 0) & np.isfinite(a),
        log_density=lambda x, a, b: (
            np.log(b) - np.log(x) - np.log1p(-x) + normal_log(a + b * special.logit(x))
        ),
        cdf=lambda x, a, b: below(a + b * special.logit(x)),
        sf=lambda x, a, b: below(-a - b * special.logit(x)),
        ppf=lambda q, a, b: special.expit((special.ndtri(q) - a) / b),
        isf=lambda q, a, b: special.expit((-special.ndtri(q) - a) / b),
    ),
)
johnsonsu = Continuous(
    "johnsonsu",
    Formulas(
        shapes=("a", "b"),
        valid=lambda a, b: (b > 0) & np.isfinite(a),
        log_density=lambda x, a, b: (
            np.log(b) - np.log(np.hypot(1.0, x)) + normal_log(a + b * np.arcsinh(x))
        ),
        cdf=lambda x, a, b: below(a + b * np.arcsinh(x)),
        sf=lambda x, a, b: below(-a - b * np.arcsinh(x)),
        ppf=lambda q, a, b: np.sinh((special.ndtri(q) - a) / b),
        isf=lambda q, a, b: np.sinh((-special.ndtri(q) - a) / b),
    ),
)
powernorm = Continuous(
    "powernorm",
    Formulas(
        shapes=("c",),
        log_density=lambda x, c: np.log(c) + normal_log(x) + (c - 1) * special.log_ndtr(-x),
        logsf=lambda x, c: c * special.log_ndtr(-x),
        ppf=lambda q, c: -special.ndtri(np.exp(np.log1p(-q) / c)),
        isf=lambda q, c: -special.ndtri(q ** (1 / c)),
    ),
)
powerlognorm = Continuous(
    "powerlognorm",
    Formulas(
        shapes=("c", "s"),
        low=0.0,
        has_ends=False,
        log_density=lambda x, c, s: (
            np.log(c)
            - np.log(x * s)
            + normal_log(np.log(x) / s)
            + (c - 1) * special.log_ndtr(-np.log(x) / s)
        ),
        logsf=lambda x, c, s: c * special.log_ndtr(-np.log(x) / s),
        ppf=lambda q, c, s: np.exp(-s * special.ndtri(np.exp(np.log1p(-q) / c))),
        isf=lambda q, c, s: np.exp(-s * special.ndtri(q ** (1 / c))),
    ),
)
skewnorm = Continuous(
    "skewnorm",
    Formulas(
        shapes=("a",),
        valid=np.isfinite,
        log_density=lambda x, a: LOG_2 + normal_log(x) + special.log_ndtr(a * x),
        cdf=lambda x, a: below(x) - 2 * special.owens_t(x, a),
        sf=lambda x, a: below(-x) + 2 * special.owens_t(x, a),
        mean=lambda a: math.sqrt(2 / math.pi) * a / np.sqrt(1 + a * a),
        variance=lambda a: 1 - 2 / math.pi * a * a / (1 + a * a),
    ),
)
truncnorm = Continuous(
    "truncnorm",
    Formulas(
        shapes=("a", "b"),
        low=lambda a, b: a,
        high=lambda a, b: b,
        inner=lambda a, b: np.clip(0.0, a, b),
        valid=lambda a, b: a < b,
        log_density=lambda x, a, b: normal_log(x) - _log_mass(a, b),
        logcdf=lambda x, a, b: _log_mass(a, x) - _log_mass(a, b),
        logsf=lambda x, a, b: _log_mass(x, b) - _log_mass(a, b),
        mean=lambda a, b: _relative_height(a, a, b) - _relative_height(b, a, b),
    ),
)
exponnorm = Continuous(
    "exponnorm",
    Formulas(
        shapes=("K",),
        log_density=lambda x, k: -np.log(k) + _tail_of_sum(x, k),
        cdf=lambda x, k: below(x) - np.exp(_tail_of_sum(x, k)),
        sf=lambda x, k: below(-x) + np.exp(_tail_of_sum(x, k)),
        mean=lambda k: k,
        variance=lambda k: 1 + k * k,
    ),
)
moyal = Continuous(
    "moyal",
    Formulas(
        log_density=lambda x: -0.5 * (x + np.exp(-x)) - HALF_LOG_2_PI,
        cdf=lambda x: special.erfc(np.exp(-0.5 * x) * math.sqrt(0.5)),
        sf=lambda x: special.erf(np.exp(-0.5 * x) * math.sqrt(0.5)),
        ppf=lambda q: -2 * np.log(-special.ndtri(0.5 * q)),
        isf=lambda q: -2 * np.log(special.erfinv(q)) - LOG_2,
        mean=lambda: EULER + LOG_2,
        variance=lambda: math.pi**2 / 2,
    ),
)


def _half_square(t: Any) -> Any:
    return 0.25 * (t + np.sqrt(t * t + 4)) ** 2


def _log_mass(a: Any, b: Any) -> Any:
    """The logarithm of the probability that a normal number is between two, where they are near."""
    right, left = a > 0, b < 0
    # To the right of 0 as to the left of it; in between as what is left of 1.
    low, high = np.where(right, -b, a), np.where(right, -a, b)
    one_side = right | left
    near, far = np.where(one_side, high, -1.0), np.where(one_side, low, -2.0)
    log_near = special.log_ndtr(near)
    outside = log_near + np.log1p(-np.exp(special.log_ndtr(far) - log_near))
    around = np.log1p(-below(np.where(one_side, -1.0, a)) - below(np.where(one_side, -1.0, -b)))
    return np.where(one_side, outside, around)


def _relative_height(x: Any, a: Any, b: Any) -> Any:
    """The density at an end, which may be infinite."""
    finite = np.isfinite(x)
    height = normal_log(np.where(finite, x, 0.0)) - _log_mass(a, b)
    return np.where(finite, np.exp(np.where(finite, height, 0.0)), 0.0)


def _tail_of_sum(x: Any, k: Any) -> Any:
    return (0.5 / k - x) / k + special.log_ndtr(x - 1 / k)


# -- Of exponential and logistic variables -----------------------------------------------------

exponpow = Continuous(
    "exponpow",
    Formulas(
        shapes=("b",),
        low=0.0,
        log_density=lambda x, b: 1 + np.log(b) + special.xlogy(b - 1, x) + x**b - np.exp(x**b),
        logsf=lambda x, b: -np.expm1(x**b),
        ppf=lambda q, b: np.log1p(-np.log1p(-q)) ** (1 / b),
        isf=lambda q, b: np.log1p(-np.log(q)) ** (1 / b),
    ),
)
exponweib = Continuous(
    "exponweib",
    Formulas(
        shapes=("a", "c"),
        low=0.0,
        has_ends=False,
        log_density=lambda x, a, c: (
            np.log(a * c) + (a - 1) * log_of_rest(x**c) - x**c + (c - 1) * np.log(x)
        ),
        logcdf=lambda x, a, c: a * log_of_rest(x**c),
        ppf=lambda q, a, c: (-np.log1p(-(q ** (1 / a)))) ** (1 / c),
    ),
)
genextreme = Continuous(
    "genextreme",
    Formulas(
        shapes=("c",),
        low=lambda c: -_bounded(-c),
        high=_bounded,
        has_ends=False,
        inner=0.0,
        valid=np.isfinite,
        log_density=lambda x, c: (c - 1) * _extreme(x, c) - np.exp(-_extreme(x, c)),
        logcdf=lambda x, c: -np.exp(-_extreme(x, c)),
        ppf=lambda q, c: _extreme_inverse(-np.log(-np.log(q)), c),
        isf=lambda q, c: _extreme_inverse(-np.log(-np.log1p(-q)), c),
        mean=lambda c: _defined_above(c, -1.0, _extreme_mean),
        variance=lambda c: _defined_above(c, -0.5, _extreme_variance),
        entropy=lambda c: EULER * (1 - c) + 1,
    ),
)
genpareto = Continuous(
    "genpareto",
    Formulas(
        shapes=("c",),
        low=0.0,
        high=lambda c: _bounded(-c),
        inner=lambda c: np.where(c < 0, -0.5 / np.where(c < 0, c, -1.0), 0.5),
        valid=np.isfinite,
        log_density=lambda x, c: -(1 + c) * _extreme(x, -c),
        logsf=lambda x, c: -_extreme(x, -c),
        ppf=lambda q, c: _extreme_inverse(-np.log1p(-q), -c),
        isf=lambda q, c: _extreme_inverse(-np.log(q), -c),
        mean=lambda c: _defined_above(-c, -1.0, lambda d: 1 / (1 + d)),
        variance=lambda c: _defined_above(-c, -0.5, lambda d: 1 / ((1 + d) ** 2 * (1 + 2 * d))),
        entropy=lambda c: 1 + c,
    ),
)
genhalflogistic = Continuous(
    "genhalflogistic",
    Formulas(
        shapes=("c",),
        low=0.0,
        high=lambda c: 1 / c,
        inner=lambda c: 0.5 / c,
        log_density=lambda x, c: (
            LOG_2 + (c - 1) * _extreme(x, c) - 2 * np.logaddexp(0.0, -_extreme(x, c))
        ),
        cdf=lambda x, c: np.tanh(0.5 * _extreme(x, c)),
        sf=lambda x, c: 2 * special.expit(-_extreme(x, c)),
        ppf=lambda q, c: _extreme_inverse(np.log1p(q) - np.log1p(-q), c),
        isf=lambda q, c: _extreme_inverse(np.log(2 - q) - np.log(q), c),
    ),
)
halflogistic = Continuous(
    "halflogistic",
    Formulas(
        low=0.0,
        log_density=lambda x: LOG_2 - x - 2 * np.log1p(np.exp(-x)),
        cdf=lambda x: np.tanh(0.5 * x),
        sf=lambda x: 2 * special.expit(-x),
        ppf=lambda q: 2 * np.arctanh(q),
        isf=lambda q: np.log(2 - q) - np.log(q),
        mean=lambda: 2 * LOG_2,
        variance=lambda: math.pi**2 / 3 - 4 * LOG_2**2,
        entropy=lambda: 2 - LOG_2,
    ),
)
genlogistic = Continuous(
    "genlogistic",
    Formulas(
        shapes=("c",),
        log_density=lambda x, c: np.log(c) - x + (c + 1) * special.log_expit(x),
        logcdf=lambda x, c: c * special.log_expit(x),
        ppf=lambda q, c: -np.log(np.expm1(-np.log(q) / c)),
        isf=lambda q, c: -np.log(np.expm1(-np.log1p(-q) / c)),
        mean=lambda c: EULER + special.psi(c),
        variance=lambda c: math.pi**2 / 6 + special._zeta(2.0, c),
    ),
)
gompertz = Continuous(
    "gompertz",
    Formulas(
        shapes=("c",),
        low=0.0,
        log_density=lambda x, c: np.log(c) + x - c * np.expm1(x),
        logsf=lambda x, c: -c * np.expm1(x),
        ppf=lambda q, c: np.log1p(-np.log1p(-q) / c),
        isf=lambda q, c: np.log1p(-np.log(q) / c),
    ),
)
dweibull = Continuous(
    "dweibull",
    Formulas(
        shapes=("c",),
        has_ends=False,
        log_density=lambda x, c: (
            np.log(c) - LOG_2 + special.xlogy(c - 1, np.abs(x)) - np.abs(x) ** c
        ),
        cdf=lambda x, c: two_sided(x, 0.5 * np.exp(-(np.abs(x) ** c))),
        sf=lambda x, c: two_sided(-x, 0.5 * np.exp(-(np.abs(x) ** c))),
        mean=lambda c: 0 * c,
        variance=lambda c: special.gamma(1 + 2 / c),
    ),
)
laplace_asymmetric = Continuous(
    "laplace_asymmetric",
    Formulas(
        shapes=("kappa",),
        log_density=lambda x, k: -np.abs(x) * np.where(x < 0, 1 / k, k) - np.log(k + 1 / k),
        cdf=lambda x, k: _one_or_other(
            x, np.exp(np.minimum(x, 0.0) / k) * k * k, -np.expm1(-np.maximum(x, 0.0) * k), k
        ),
        sf=lambda x, k: _one_or_other(
            -x, np.exp(-np.maximum(x, 0.0) * k) / k**2, -np.expm1(np.minimum(x, 0.0) / k), 1 / k
        ),
        mean=lambda k: 1 / k - k,
        variance=lambda k: 1 / k**2 + k * k,
        entropy=lambda k: 1 + np.log(k + 1 / k),
    ),
)
loglaplace = Continuous(
    "loglaplace",
    Formulas(
        shapes=("c",),
        low=0.0,
        has_ends=False,
        log_density=lambda x, c: np.log(0.5 * c) - np.log(x) - c * np.abs(np.log(x)),
        cdf=lambda x, c: two_sided(np.log(x), 0.5 * np.exp(-c * np.abs(np.log(x)))),
        sf=lambda x, c: two_sided(-np.log(x), 0.5 * np.exp(-c * np.abs(np.log(x)))),
        ppf=lambda q, c: np.where(
            q < 0.5, (2 * np.minimum(q, 0.5)) ** (1 / c), (2 - 2 * np.maximum(q, 0.5)) ** (-1 / c)
        ),
    ),
)
truncexpon = Continuous(
    "truncexpon",
    Formulas(
        shapes=("b",),
        low=0.0,
        high=lambda b: b,
        inner=lambda b: 0.5 * b,
        log_density=lambda x, b: -x - np.log(-np.expm1(-b)),
        cdf=lambda x, b: np.expm1(-x) / np.expm1(-b),
        sf=lambda x, b: -np.exp(-x) * np.expm1(x - b) / -np.expm1(-b),
        ppf=lambda q, b: -np.log1p(q * np.expm1(-b)),
    ),
)
kappa3 = Continuous(
    "kappa3",
    Formulas(
        shapes=("a",),
        low=0.0,
        log_density=lambda x, a: np.log(a) - (1 + 1 / a) * np.log(a + x**a),
        logcdf=lambda x, a: np.log(x) - np.log(a + x**a) / a,
        ppf=lambda q, a: (a / np.expm1(-a * np.log(q))) ** (1 / a),
        isf=lambda q, a: (a / np.expm1(-a * np.log1p(-q))) ** (1 / a),
    ),
)


def _extreme(x: Any, c: Any) -> Any:
    """`-log1p(-c x) / c`, which is `x` for c = 0."""
    return x * _log1p_quotient(-c * x)


def _extreme_inverse(z: Any, c: Any) -> Any:
    """The `x` that `_extreme` makes `z` of."""
    return z * special.exprel(-c * z)


def _defined_above(c: Any, bound: float, moment: Any) -> Any:
    """A moment that is infinite for parameters not above a bound."""
    finite = c > bound
    return np.where(finite, moment(np.where(finite, c, 1.0)), math.inf)


def _series(c: Any, factor: Any) -> Any:
    """The sum over k from 2 of `factor(k) zeta(k) (-c)^k / (k c^2)`, for small c."""
    total: Any = 0.0
    for k in range(24, 1, -1):
        total = factor(k) * _ZETA[k] * (-1) ** k / k + c * total
    return total


def _extreme_mean(c: Any) -> Any:
    """`(1 - gamma(1 + c)) / c`."""
    near = np.abs(c) < 0.2
    small, far = np.where(near, c, 0.0), np.where(near, 1.0, c)
    slope = small * _series(small, lambda _: 1.0) - EULER
    value = -slope * special.exprel(small * slope)
    return np.where(near, value, -np.expm1(special.gammaln(1 + far)) / far)


def _extreme_variance(c: Any) -> Any:
    """`(gamma(1 + 2 c) - gamma(1 + c)^2) / c^2`."""
    near = np.abs(c) < 0.2
    small, far = np.where(near, c, 0.0), np.where(near, 1.0, c)
    curvature = _series(small, lambda k: 2.0**k - 2)
    square = np.exp(2 * special.gammaln(1 + c))
    value = square * curvature * special.exprel(small * small * curvature)
    return np.where(near, value, (special.gamma(1 + 2 * far) - square) / (far * far))


def two_sided(x: Any, tail: Any) -> Any:
    """The probability below `x`, of a symmetric distribution with this in the tail beyond `|x|`."""
    return np.where(x < 0, tail, 1 - tail)


def _one_or_other(x: Any, before: Any, risen: Any, k: Any) -> Any:
    """The probability below `x`, from what there is before 0, of k^2, and the rise behind it."""
    return np.where(x < 0, before, k * k + risen) / (1 + k * k)
