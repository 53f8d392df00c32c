# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Ufuncs of `scipy.special` that are probabilities of noncentral and of empirical distributions,
and parameters of distributions for given probabilities, by a search.

What is searched for has the derivatives of the root of its equation, of all orders. In single
precision these functions are computed in double.

Sources of sums: Marsaglia, Tsang and Wang (2003) for Kolmogorov's limit, Birnbaum and Tingey (1951)
for Smirnov's probability, Corless and Jeffrey (2002) for Wright's omega.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from gradopt.array.handle import wrap
from gradopt.array.operands import traced
from gradopt.base.dtypes import FLOAT64
from gradopt.functions.special import op, ufunc
from gradopt.functions.special_derived import alike
from gradopt.ir import prims
from gradopt.ir.values import Value
from gradopt.scipy.stats.distribution import log_of, special
from gradopt.scipy.stats.mixtures import ncf, nct, ncx2
from gradopt.scipy.stats.quantiles import continuous
from gradopt.transforms.gradient import stop_gradient
from gradopt.transforms.loops import fori_loop

# Functions of arrays of one shape, in double precision.
Formula = Callable[..., Any]


def _register(name: str, formula: Formula, outputs: int = 1) -> None:
    def call(*operands: Value) -> Any:
        dtype = operands[0].dtype
        values = [wrap(prims.convert(x, FLOAT64)) for x in alike(*operands)]
        found = formula(*values)
        parts = found if outputs > 1 else (found,)
        results = [prims.convert(traced(part), dtype) for part in parts]
        return tuple(results) if outputs > 1 else results[0]

    ufunc(name)(call)


# -- Probabilities -----------------------------------------------------------------------------


def _kolmogorov(x: Any) -> Any:
    """The limit of the probability of distances beyond x, by the sum that ends sooner."""
    is_far = x > 0.82
    far, near = np.where(is_far, x, 1.0), np.where(is_far | (x <= 0.04), 0.5, x)
    upper = sum(2 * (-1) ** (k - 1) * np.exp(-2 * k * k * far * far) for k in range(1, 6))
    rate = math.pi**2 / (8 * near * near)
    lower = sum(np.exp(-((2 * k - 1) ** 2) * rate) for k in range(1, 5))
    found = np.where(is_far, upper, 1 - math.sqrt(2 * math.pi) / near * lower)
    return np.where(np.isnan(x), x, np.where(x <= 0.04, 1.0, found))


def _kolmogorov_rest(x: Any) -> Any:
    """1 less that, without cancellation where it is small."""
    is_near = x < 0.82
    near = np.where(is_near, x, 0.5)
    rate = math.pi**2 / (8 * near * near)
    lower = sum(np.exp(-((2 * k - 1) ** 2) * rate) for k in range(1, 5))
    return np.where(is_near, math.sqrt(2 * math.pi) / near * lower, 1 - _kolmogorov(x))


def _smirnov(n: Any, d: Any) -> Any:
    """The probability of one-sided distances beyond d, of n numbers."""
    whole = np.floor(n)
    valid = (whole >= 1) & (d >= 0) & (d <= 1) & (whole == n)
    size, inner = np.where(valid, whole, 1.0), np.where(valid & (d > 0) & (d < 1), d, 0.5)
    last = stop_gradient(np.floor(size * (1 - inner)))

    def add(number: Any, total: Any) -> Any:
        j = number.astype(np.float64)
        counts = (j <= last) & (j / size + inner < 1)
        k = np.where(counts, j, 0.0)
        place = inner + k / size
        log = special.gammaln(size + 1) - special.gammaln(k + 1) - special.gammaln(size - k + 1)
        log = log + (k - 1) * np.log(place) + (size - k) * np.log1p(-place)
        return total + np.where(counts, inner * np.exp(log), 0.0)

    count = np.int64(1) + np.max(last, initial=0.0).astype(np.int64)
    found = fori_loop(0, count, add, np.zeros(np.shape(inner)))
    found = np.where(d == 0, 1.0, np.where(d == 1, 0.0, np.minimum(found, 1.0)))
    return np.where(valid, found, np.nan)


_PROBABILITIES: dict[str, Formula] = {
    "kolmogorov": _kolmogorov,
    "smirnov": _smirnov,
    "chndtr": lambda x, df, nc: ncx2.cdf(x, df, nc),
    "ncfdtr": lambda dfn, dfd, nc, x: ncf.cdf(x, dfn, dfd, nc),
    "nctdtr": lambda df, nc, t: nct.cdf(t, df, nc),
}

# -- Parameters --------------------------------------------------------------------------------


def _searched(
    below: Formula, above: Formula | None, q: Any, low: Any, high: Any, rises: Any
) -> Any:
    """Where a probability is q.

    Args:
        below: the probability, a function of what is searched for.
        above: 1 less that, if there is a way to compute it.
        q: the probability.
        low, high: the ends of where it can be.
        rises: whether the probability does.
    """
    valid = (q > 0) & (q < 1)
    inner = np.where(valid, q, 0.5)

    def log_probability(x: Any) -> Any:
        value = below(x)
        return log_of(value, 1 - value if above is None else above(x))

    found = continuous(log_probability, np.log(inner), low, high, rises)
    # An end of the search is no root, nor is anything where parameters are none.
    is_root = np.abs(below(stop_gradient(found)) - inner) < _CLOSE * inner
    return np.where(valid & is_root, found, np.nan)


_NONE, _ALL = 0.0, math.inf
# The relative error of a probability at its root: where it is steep, a rounded root has few digits.
_CLOSE = 1e-3


def _df_of_t(p: Any, t: Any) -> Any:
    """Of a positive t the probability rises with the degrees of freedom, of another one falls."""
    size = np.where(t == 0, 1.0, np.abs(t))
    share = np.where(t > 0, p, 1 - p)
    # At the ends it is that of a normal number, and at 0 one half.
    is_inside = (share > 0.5) & (share < special.ndtr(size)) & (t != 0)
    inner = np.where(is_inside, share, special.stdtr(3.0, size))
    found = _searched(
        lambda df: special.stdtr(df, size), lambda df: special.stdtr(df, -size),
        inner, _NONE, _ALL, True,
    )  # fmt: skip
    return np.where(is_inside, found, np.nan)


_PARAMETERS: dict[str, Formula] = {
    "kolmogi": lambda p: np.where(
        p == 1, 0.0, np.where(p == 0, _ALL, _searched(
            _kolmogorov, _kolmogorov_rest, p, _NONE, _ALL, False
        ))
    ),
    "smirnovi": lambda n, p: _searched(lambda d: _smirnov(n, d), None, p, 0.0, 1.0, False),
    "btdtria": lambda p, b, x: _searched(
        lambda a: special.betainc(a, b, x), lambda a: special.betaincc(a, b, x),
        p, _NONE, _ALL, False,
    ),
    "btdtrib": lambda a, p, x: _searched(
        lambda b: special.betainc(a, b, x), lambda b: special.betaincc(a, b, x),
        p, _NONE, _ALL, True,
    ),
    "gdtrib": lambda a, p, x: _searched(
        lambda b: special.gammainc(b, a * x), lambda b: special.gammaincc(b, a * x),
        p, _NONE, _ALL, False,
    ),
    "chdtriv": lambda p, x: 2 * _searched(
        lambda v: special.gammainc(v, 0.5 * x), lambda v: special.gammaincc(v, 0.5 * x),
        p, _NONE, _ALL, False,
    ),
    "pdtrik": lambda p, m: np.maximum(_searched(
        lambda k: special.gammaincc(k, m), lambda k: special.gammainc(k, m), p, _NONE, _ALL, True
    ) - 1, 0.0),
    "nbdtrik": lambda y, n, p: np.maximum(_searched(
        lambda k: special.betainc(n, k, p), lambda k: special.betaincc(n, k, p),
        y, _NONE, _ALL, True,
    ) - 1, 0.0),
    "nbdtrin": lambda k, y, p: _searched(
        lambda n: special.betainc(n, k + 1, p), lambda n: special.betaincc(n, k + 1, p),
        y, _NONE, _ALL, False,
    ),
    "bdtrik": lambda y, n, p: np.maximum(_searched(
        lambda k: special.betaincc(k, n + 1 - k, p), lambda k: special.betainc(k, n + 1 - k, p),
        y, _NONE, n + 1, True,
    ) - 1, 0.0),
    "bdtrin": lambda k, y, p: k + _searched(
        lambda n: special.betaincc(k + 1, n, p), lambda n: special.betainc(k + 1, n, p),
        y, _NONE, _ALL, False,
    ),
    "stdtridf": _df_of_t,
}  # fmt: skip

# -- Other equations ---------------------------------------------------------------------------


def _omega(x: Any) -> Any:
    """Wright's omega of real numbers, where omega + log(omega) = x, by Newton's method."""
    is_large = x > 1
    small, large = np.where(is_large, 0.0, x), np.where(is_large, x, 2.0)
    by_exp = wrap(op("lambertw")(traced(np.exp(small))))
    w = large - np.log(large) * (1 - 1 / large)
    for _ in range(6):
        w = w * (1 + large - np.log(w)) / (1 + w)
    return np.where(x == math.inf, x, np.where(is_large, w, by_exp))


def _normal_place_of_log(y: Any) -> Any:
    """The place of a normal probability, given its logarithm."""
    is_near, is_small = y > -0.01, y < -5.0
    middle = special.ndtri(np.exp(np.where(is_near | is_small, -1.0, y)))
    near = -special.ndtri(-np.expm1(np.where(is_near, np.minimum(y, 0.0), -1.0)))
    low = np.where(is_small & np.isfinite(y), y, -6.0)
    x = -np.sqrt(-2 * low - math.log(2 * math.pi) - np.log(-2 * low - math.log(2 * math.pi)))
    for _ in range(5):
        log = special.log_ndtr(x)
        slope = np.exp(-0.5 * x * x - 0.5 * math.log(2 * math.pi) - log)
        x = x - (log - low) / slope
    found = np.where(is_near, near, np.where(is_small, x, middle))
    return np.where(y > 0, np.nan, np.where(y == -math.inf, y, found))


def _integrals_of_bessels(x: Any) -> tuple[Any, Any]:
    """Those of J0 and Y0 from 0 on, by Struve's functions (Abramowitz and Stegun, 11.1.7)."""
    scale = 0.5 * math.pi * x
    h0, h1 = special.struve(0.0, x), special.struve(1.0, x)
    first = x * special.j0(x) + scale * (special.j1(x) * h0 - special.j0(x) * h1)
    is_inside = x > 0
    inner = np.where(is_inside, x, 1.0)
    second = inner * special.y0(inner) + scale * (special.y1(inner) * h0 - special.y0(inner) * h1)
    return first, np.where(is_inside, second, np.where(x == 0, 0.0, np.nan))


for _name, _formula in {**_PROBABILITIES, **_PARAMETERS}.items():
    _register(_name, _formula)
_register("wrightomega", _omega)
_register("ndtri_exp", _normal_place_of_log)
_register("round", np.rint)
_register("itj0y0", _integrals_of_bessels, outputs=2)
