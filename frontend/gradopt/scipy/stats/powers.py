# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Continuous distributions of `scipy.stats` that are transformed gamma and beta variables, or of
powers, angles and others; one row each.

Formulas are those of Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions (1994,
1995), in SciPy's parameters.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from gradopt.scipy.stats.continuous import (
    LOG_2,
    gamma,
    invgauss,
    levy,
    normal_log,
    odds,
    where_above,
)
from gradopt.scipy.stats.distribution import Continuous, Formulas, special
from gradopt.scipy.stats.quantiles import continuous
from gradopt.scipy.stats.transformed import two_sided

# -- Of gamma and beta variables ---------------------------------------------------------------

betaprime = Continuous(
    "betaprime",
    Formulas(
        shapes=("a", "b"),
        low=0.0,
        log_density=lambda x, a, b: (
            special.xlogy(a - 1, x) - (a + b) * np.log1p(x) - special.betaln(a, b)
        ),
        cdf=lambda x, a, b: special.betainc(a, b, x / (1 + x)),
        sf=lambda x, a, b: special.betainc(b, a, 1 / (1 + x)),
        ppf=lambda q, a, b: odds(special.betaincinv(a, b, q)),
        isf=lambda q, a, b: 1 / odds(special.betaincinv(b, a, q)),
        mean=lambda a, b: where_above(b, 1, lambda b: a / (b - 1)),
        variance=lambda a, b: where_above(
            b, 2, lambda b: a * (a + b - 1) / ((b - 2) * (b - 1) ** 2)
        ),
        entropy=lambda a, b: (
            special.betaln(a, b)
            - (a - 1) * special.psi(a)
            - (b + 1) * special.psi(b)
            + (a + b) * special.psi(a + b)
        ),
    ),
)
dgamma = Continuous(
    "dgamma",
    Formulas(
        shapes=("a",),
        has_ends=False,
        log_density=lambda x, a: (
            special.xlogy(a - 1, np.abs(x)) - np.abs(x) - special.gammaln(a) - LOG_2
        ),
        cdf=lambda x, a: two_sided(x, 0.5 * special.gammaincc(a, np.abs(x))),
        sf=lambda x, a: two_sided(-x, 0.5 * special.gammaincc(a, np.abs(x))),
        mean=lambda a: 0 * a,
        variance=lambda a: a * (a + 1),
    ),
)
gengamma = Continuous(
    "gengamma",
    Formulas(
        shapes=("a", "c"),
        low=0.0,
        has_ends=False,
        valid=lambda a, c: (a > 0) & (np.abs(c) > 0),
        log_density=lambda x, a, c: (
            np.log(np.abs(c)) + (c * a - 1) * np.log(x) - x**c - special.gammaln(a)
        ),
        cdf=lambda x, a, c: np.where(c > 0, special.gammainc(a, x**c), special.gammaincc(a, x**c)),
        sf=lambda x, a, c: np.where(c > 0, special.gammaincc(a, x**c), special.gammainc(a, x**c)),
        ppf=lambda q, a, c: (
            np.where(c > 0, special.gammaincinv(a, q), special.gammainccinv(a, q)) ** (1 / c)
        ),
        isf=lambda q, a, c: (
            np.where(c > 0, special.gammainccinv(a, q), special.gammaincinv(a, q)) ** (1 / c)
        ),
    ),
)
gennorm = Continuous(
    "gennorm",
    Formulas(
        shapes=("beta",),
        log_density=lambda x, b: np.log(0.5 * b) - special.gammaln(1 / b) - np.abs(x) ** b,
        cdf=lambda x, b: two_sided(x, 0.5 * special.gammaincc(1 / b, np.abs(x) ** b)),
        sf=lambda x, b: two_sided(-x, 0.5 * special.gammaincc(1 / b, np.abs(x) ** b)),
        mean=lambda b: 0 * b,
        variance=lambda b: np.exp(special.gammaln(3 / b) - special.gammaln(1 / b)),
        entropy=lambda b: 1 / b - np.log(0.5 * b) + special.gammaln(1 / b),
    ),
)
halfgennorm = Continuous(
    "halfgennorm",
    Formulas(
        shapes=("beta",),
        low=0.0,
        log_density=lambda x, b: np.log(b) - special.gammaln(1 / b) - x**b,
        cdf=lambda x, b: special.gammainc(1 / b, x**b),
        sf=lambda x, b: special.gammaincc(1 / b, x**b),
        ppf=lambda q, b: special.gammaincinv(1 / b, q) ** (1 / b),
        isf=lambda q, b: special.gammainccinv(1 / b, q) ** (1 / b),
        entropy=lambda b: 1 / b - np.log(b) + special.gammaln(1 / b),
    ),
)
loggamma = Continuous(
    "loggamma",
    Formulas(
        shapes=("c",),
        log_density=lambda x, c: c * x - np.exp(x) - special.gammaln(c),
        cdf=lambda x, c: special.gammainc(c, np.exp(x)),
        sf=lambda x, c: special.gammaincc(c, np.exp(x)),
        ppf=lambda q, c: np.log(special.gammaincinv(c, q)),
        isf=lambda q, c: np.log(special.gammainccinv(c, q)),
        mean=special.psi,
        variance=lambda c: special._zeta(2.0, c),
        entropy=lambda c: special.gammaln(c) - c * special.psi(c) + c,
    ),
)
nakagami = Continuous(
    "nakagami",
    Formulas(
        shapes=("nu",),
        low=0.0,
        log_density=lambda x, nu: (
            LOG_2
            + special.xlogy(nu, nu)
            - special.gammaln(nu)
            + special.xlogy(2 * nu - 1, x)
            - nu * x * x
        ),
        cdf=lambda x, nu: special.gammainc(nu, nu * x * x),
        sf=lambda x, nu: special.gammaincc(nu, nu * x * x),
        ppf=lambda q, nu: np.sqrt(special.gammaincinv(nu, q) / nu),
        isf=lambda q, nu: np.sqrt(special.gammainccinv(nu, q) / nu),
        mean=lambda nu: special.poch(nu, 0.5) / np.sqrt(nu),
        variance=lambda nu: 1 - special.poch(nu, 0.5) ** 2 / nu,
        entropy=lambda nu: (
            special.gammaln(nu) + nu - (nu - 0.5) * special.psi(nu) - 0.5 * np.log(nu) - LOG_2
        ),
    ),
)
rdist = Continuous(
    "rdist",
    Formulas(
        shapes=("c",),
        low=-1.0,
        high=1.0,
        log_density=lambda x, c: (
            special.xlog1py(c / 2 - 1, x)
            + special.xlog1py(c / 2 - 1, -x)
            - special.betaln(0.5, c / 2)
        ),
        cdf=lambda x, c: special.betainc(c / 2, c / 2, 0.5 * (1 + x)),
        sf=lambda x, c: special.betainc(c / 2, c / 2, 0.5 * (1 - x)),
        ppf=lambda q, c: 2 * special.betaincinv(c / 2, c / 2, q) - 1,
        mean=lambda c: 0 * c,
        variance=lambda c: 1 / (1 + c),
    ),
)
erlang = Continuous("erlang", gamma.formulas)
wald = Continuous(
    "wald",
    Formulas(
        low=0.0,
        has_ends=False,
        log_density=lambda x: invgauss.formulas.value("log_density", x, (1.0,)),
        logcdf=lambda x: invgauss.formulas.value("logcdf", x, (1.0,)),
        logsf=lambda x: invgauss.formulas.value("logsf", x, (1.0,)),
        mean=lambda: 1.0,
        variance=lambda: 1.0,
    ),
)
levy_l = Continuous(
    "levy_l",
    Formulas(
        high=0.0,
        inner=-0.5,
        has_ends=False,
        log_density=lambda x: levy.formulas.value("log_density", -x, ()),
        cdf=lambda x: levy.formulas.value("sf", -x, ()),
        sf=lambda x: levy.formulas.value("cdf", -x, ()),
        ppf=lambda q: -0.5 / special.erfinv(q) ** 2,
        isf=lambda q: -1 / special.ndtri(0.5 * q) ** 2,
    ),
)


# -- Of powers, angles and others --------------------------------------------------------------

alpha = Continuous(
    "alpha",
    Formulas(
        shapes=("a",),
        low=0.0,
        has_ends=False,
        log_density=lambda x, a: -2 * np.log(x) + normal_log(a - 1 / x) - special.log_ndtr(a),
        logcdf=lambda x, a: special.log_ndtr(a - 1 / x) - special.log_ndtr(a),
        ppf=lambda q, a: 1 / (a - special.ndtri(q * special.ndtr(a))),
    ),
)
anglit = Continuous(
    "anglit",
    Formulas(
        low=-math.pi / 4,
        high=math.pi / 4,
        inner=0.0,
        density=lambda x: np.cos(2 * x),
        cdf=lambda x: np.sin(x + math.pi / 4) ** 2,
        sf=lambda x: np.cos(x + math.pi / 4) ** 2,
        ppf=lambda q: np.arcsin(np.sqrt(q)) - math.pi / 4,
        mean=lambda: 0.0,
        variance=lambda: math.pi**2 / 16 - 0.5,
        entropy=lambda: 1 - LOG_2,
    ),
)
bradford = Continuous(
    "bradford",
    Formulas(
        shapes=("c",),
        low=0.0,
        high=1.0,
        log_density=lambda x, c: np.log(c) - np.log(np.log1p(c)) - np.log1p(c * x),
        cdf=lambda x, c: np.log1p(c * x) / np.log1p(c),
        sf=lambda x, c: np.log1p(c * (1 - x) / (1 + c * x)) / np.log1p(c),
        ppf=lambda q, c: np.expm1(q * np.log1p(c)) / c,
    ),
)
burr = Continuous(
    "burr",
    Formulas(
        shapes=("c", "d"),
        low=0.0,
        has_ends=False,
        log_density=lambda x, c, d: np.log(c * d) - (c + 1) * np.log(x) - (d + 1) * np.log1p(x**-c),
        logcdf=lambda x, c, d: -d * np.log1p(x**-c),
        ppf=lambda q, c, d: np.expm1(-np.log(q) / d) ** (-1 / c),
        isf=lambda q, c, d: np.expm1(-np.log1p(-q) / d) ** (-1 / c),
        mean=lambda c, d: where_above(c, 1, lambda c: d * special.beta(d + 1 / c, 1 - 1 / c)),
        variance=lambda c, d: where_above(
            c,
            2,
            lambda c: (
                d * special.beta(d + 2 / c, 1 - 2 / c)
                - (d * special.beta(d + 1 / c, 1 - 1 / c)) ** 2
            ),
        ),
    ),
)
burr12 = Continuous(
    "burr12",
    Formulas(
        shapes=("c", "d"),
        low=0.0,
        log_density=lambda x, c, d: (
            np.log(c * d) + special.xlogy(c - 1, x) - (d + 1) * np.log1p(x**c)
        ),
        logsf=lambda x, c, d: -d * np.log1p(x**c),
        ppf=lambda q, c, d: np.expm1(-np.log1p(-q) / d) ** (1 / c),
        isf=lambda q, c, d: np.expm1(-np.log(q) / d) ** (1 / c),
        mean=lambda c, d: _burr12_moment(c, d, 1),
        variance=lambda c, d: _burr12_moment(c, d, 2) - _burr12_moment(c, d, 1) ** 2,
    ),
)


def _burr12_moment(c: Any, d: Any, n: int) -> Any:
    """The mean of the nth power, which is infinite where `c d` is not above n."""
    finite = c * d > n
    safe = np.where(finite, d, 1 + n / c)
    return np.where(finite, safe * special.beta(safe - n / c, 1 + n / c), math.inf)


mielke = Continuous(
    "mielke",
    Formulas(
        shapes=("k", "s"),
        low=0.0,
        log_density=lambda x, k, s: (
            np.log(k) + special.xlogy(k - 1, x) - (1 + k / s) * np.log1p(x**s)
        ),
        logcdf=lambda x, k, s: k * (np.log(x) - np.log1p(x**s) / s),
        ppf=lambda q, k, s: np.expm1(-np.log(q) * s / k) ** (-1 / s),
        isf=lambda q, k, s: np.expm1(-np.log1p(-q) * s / k) ** (-1 / s),
    ),
)
cosine = Continuous(
    "cosine",
    Formulas(
        low=-math.pi,
        high=math.pi,
        has_ends=False,
        density=lambda x: np.cos(0.5 * x) ** 2 / math.pi,
        cdf=lambda x: _under_cosine(x),
        sf=lambda x: _under_cosine(-x),
        mean=lambda: 0.0,
        variance=lambda: math.pi**2 / 3 - 2,
        entropy=lambda: math.log(4 * math.pi) - 1,
    ),
)
semicircular = Continuous(
    "semicircular",
    Formulas(
        low=-1.0,
        high=1.0,
        has_ends=False,
        log_density=lambda x: math.log(2 / math.pi) + 0.5 * (np.log1p(x) + np.log1p(-x)),
        cdf=lambda x: 0.5 + (x * np.sqrt((1 - x) * (1 + x)) + np.arcsin(x)) / math.pi,
        sf=lambda x: 0.5 - (x * np.sqrt((1 - x) * (1 + x)) + np.arcsin(x)) / math.pi,
        mean=lambda: 0.0,
        variance=lambda: 0.25,
        entropy=lambda: 0.64472988584940017414,
    ),
)
foldcauchy = Continuous(
    "foldcauchy",
    Formulas(
        shapes=("c",),
        low=0.0,
        valid=lambda c: c >= 0,
        density=lambda x, c: (1 / (1 + (x - c) ** 2) + 1 / (1 + (x + c) ** 2)) / math.pi,
        cdf=lambda x, c: (np.arctan(x - c) + np.arctan(x + c)) / math.pi,
        sf=lambda x, c: (np.arctan2(1.0, x - c) + np.arctan2(1.0, x + c)) / math.pi,
        mean=lambda c: math.inf + 0 * c,
        variance=lambda c: math.inf + 0 * c,
    ),
)
skewcauchy = Continuous(
    "skewcauchy",
    Formulas(
        shapes=("a",),
        valid=lambda a: np.abs(a) < 1,
        log_density=lambda x, a: (
            -math.log(math.pi) - np.log1p((x / np.where(x < 0, 1 - a, 1 + a)) ** 2)
        ),
        cdf=lambda x, a: _skewed(x, a),
        sf=lambda x, a: _skewed(-x, -a),
    ),
)
loguniform = Continuous(
    "loguniform",
    Formulas(
        shapes=("a", "b"),
        low=lambda a, b: a,
        high=lambda a, b: b,
        inner=lambda a, b: np.sqrt(a * b),
        valid=lambda a, b: (a > 0) & (b > a),
        log_density=lambda x, a, b: -np.log(x) - np.log(np.log(b / a)),
        cdf=lambda x, a, b: np.log(x / a) / np.log(b / a),
        sf=lambda x, a, b: np.log(b / x) / np.log(b / a),
        ppf=lambda q, a, b: a * (b / a) ** q,
        mean=lambda a, b: (b - a) / np.log(b / a),
        entropy=lambda a, b: 0.5 * np.log(a * b) + np.log(np.log(b / a)),
    ),
)
reciprocal = Continuous("reciprocal", loguniform.formulas)
truncpareto = Continuous(
    "truncpareto",
    Formulas(
        shapes=("b", "c"),
        low=1.0,
        high=lambda b, c: c,
        inner=lambda b, c: np.sqrt(c),
        valid=lambda b, c: (np.abs(b) > 0) & (c > 1),
        log_density=lambda x, b, c: np.log(b / -np.expm1(-b * np.log(c))) - (b + 1) * np.log(x),
        cdf=lambda x, b, c: np.expm1(-b * np.log(x)) / np.expm1(-b * np.log(c)),
        sf=lambda x, b, c: x**-b * np.expm1(-b * np.log(c / x)) / np.expm1(-b * np.log(c)),
        ppf=lambda q, b, c: np.exp(-np.log1p(q * np.expm1(-b * np.log(c))) / b),
    ),
)
vonmises = Continuous(
    "vonmises",
    Formulas(
        shapes=("kappa",),
        valid=lambda k: k >= 0,
        log_density=lambda x, k: (
            -2 * k * np.sin(0.5 * x) ** 2 - math.log(2 * math.pi) - np.log(special.i0e(k))
        ),
        cdf=lambda x, k: _over_turns(x, k, 1),
        sf=lambda x, k: _over_turns(x, k, -1),
        ppf=lambda q, k: _angle(q, k),
        isf=lambda q, k: -_angle(q, k),
        mean=lambda k: 0 * k,
        entropy=lambda k: (
            math.log(2 * math.pi)
            + np.log(special.i0e(k))
            + k * (1 - special.i1e(k) / special.i0e(k))
        ),
    ),
)
vonmises_line = Continuous(
    "vonmises_line",
    Formulas(
        shapes=("kappa",),
        low=-math.pi,
        high=math.pi,
        valid=lambda k: k >= 0,
        log_density=lambda x, k: vonmises.formulas.value("log_density", x, (k,)),
        cdf=lambda x, k: _turned(x, k + 0 * x),
        sf=lambda x, k: _turned(-x, k + 0 * x),
        ppf=lambda q, k: _angle(q, k),
        isf=lambda q, k: -_angle(q, k),
        mean=lambda k: 0 * k,
    ),
)
wrapcauchy = Continuous(
    "wrapcauchy",
    Formulas(
        shapes=("c",),
        low=0.0,
        high=2 * math.pi,
        valid=lambda c: (c > 0) & (c < 1),
        # 1 + c^2 - 2 c cos x, of which nothing cancels.
        log_density=lambda x, c: (
            np.log1p(-c * c)
            - math.log(2 * math.pi)
            - np.log((1 - c) ** 2 + 4 * c * np.sin(0.5 * x) ** 2)
        ),
        cdf=lambda x, c: _around(x, c),
        sf=lambda x, c: _around(2 * math.pi - x, c),
    ),
)


def _under_cosine(x: Any) -> Any:
    """The probability below `x`; near the end by the series of what cancels."""
    y = x + math.pi
    near = y < 0.3
    small = np.where(near, y, 0.0)
    square = small * small
    series = 1 / 6 - square * (1 / 120 - square * (1 / 5040 - square / 362880))
    far = np.where(near, 1.0, y)
    return np.where(near, small * square * series, far - np.sin(far)) / (2 * math.pi)


def _skewed(x: Any, a: Any) -> Any:
    """The probability below `x` of Cauchy's distribution with different widths on both sides."""
    down = (1 - a) * np.arctan2(1.0, -np.minimum(x, 0.0) / (1 - a))
    up = math.pi - (1 + a) * np.arctan2(1.0, np.maximum(x, 0.0) / (1 + a))
    return np.where(x < 0, down, up) / math.pi


_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(64)


def _turned(x: Any, k: Any) -> Any:
    """The probability below an angle between -pi and pi, of von Mises' distribution.

    The integral of the density by Gauss's rule, over what counts of it below -|x|.
    """
    place = np.where(x < 0, x, -x)
    # Where the density is less by e^-45, on its slope or as that of a normal number.
    width = np.minimum(math.pi + place, 13 / np.sqrt(np.maximum(k, 1e-3)))
    width = np.minimum(width, 45 / np.maximum(k * np.sin(-place), 1e-3))
    angles = place[..., None] - 0.5 * width[..., None] * (1 + _NODES)
    log_density = vonmises.formulas.value("log_density", angles, (k[..., None],))
    tail = 0.5 * width * np.sum(_WEIGHTS * np.exp(log_density), axis=-1)
    return np.where(x < 0, tail, 1 - tail)


def _over_turns(x: Any, k: Any, sign: int) -> Any:
    """As `_turned`, of any angle: each turn adds 1, as SciPy has it."""
    turns = np.round(x / (2 * math.pi))
    rest, whole = x - turns * (2 * math.pi), sign * turns
    return whole + _turned(sign * rest, k + 0 * rest)


def _angle(q: Any, k: Any) -> Any:
    """The angle between -pi and pi that `_turned` has this value of."""
    shape = np.broadcast_shapes(np.shape(q), np.shape(k))
    wanted = np.broadcast_to(np.log(q), shape)
    return continuous(lambda x: np.log(_turned(x, k + 0 * x)), wanted, -math.pi, math.pi, True)


def _around(x: Any, c: Any) -> Any:
    """The probability between 0 and an angle of at most a whole turn."""
    ratio = (1 + c) / (1 - c)
    first = x < math.pi
    half = np.where(first, x, 2 * math.pi - x) / 2
    below = np.arctan2(ratio * np.sin(half), np.cos(half)) / math.pi
    return np.where(first, below, 1 - below)
