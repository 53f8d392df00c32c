# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Ufuncs of `scipy.special` that are expressions of other ops."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from gradopt.array.dispatch import FOREIGN_UFUNCS
from gradopt.base.dtypes import COMPLEX128, FLOAT64
from gradopt.functions.special import full, number, op, ufunc
from gradopt.functions.ufuncs import floats
from gradopt.ir import prims
from gradopt.ir.values import Value, broadcast_shapes, broadcast_to, emit
from gradopt.recording import grad, special

_gammaln, _betaln = op("gammaln"), op("betaln")


def _are_moderate(*operands: Value) -> Value:
    """Where gamma functions of all operands have their digits, and products do not overflow."""
    most = 100.0 if operands[0].dtype == FLOAT64 else 30.0
    found = abs(operands[0]) < number(operands[0], most)
    for x in operands[1:]:
        found = found & (abs(x) < number(x, most))
    return found


def alike(*operands: Value) -> list[Value]:
    """The operands in their common shape."""
    shape = broadcast_shapes(*[x.shape for x in operands])
    return [broadcast_to(x, shape) for x in operands]


def equal(x: Value, value: float) -> Value:
    """Where elements are a number."""
    return emit(grad.equal, x, number(x, value))


def floor(x: Value) -> Value:
    """The largest integers not above."""
    return emit(grad.floor, x)


def log(x: Value) -> Value:
    """The natural logarithm."""
    return emit(grad.log, x)


def exp(x: Value) -> Value:
    """The exponential function."""
    return emit(grad.exp, x)


def polynomial(x: Value, coefficients: Sequence[float]) -> Value:
    """The sum of `coefficients[k] * x**k`."""
    result = full(x, coefficients[-1])
    for coefficient in reversed(coefficients[:-1]):
        result = result * x + number(x, coefficient)
    return result


def is_odd(whole: Value) -> Value:
    """Which of some integers, as floats, are odd."""
    half = whole * number(whole, 0.5)
    return emit(grad.not_equal, floor(half), half)


# -- Elementary functions ----------------------------------------------------------------------


def _elementary(name: str) -> None:
    builder = getattr(grad, name)
    ufunc(name)(lambda x: emit(builder, x))


for _name in ("exp2", "expm1", "log1p", "cbrt"):
    _elementary(_name)


@ufunc("exp10")
def exp10(x: Value) -> Value:
    """`scipy.special.exp10`."""
    return emit(grad.power, number(x, 10.0), x)


@ufunc("cosm1")
def cosm1(x: Value) -> Value:
    """`scipy.special.cosm1`, by the sine of the half."""
    return emit(grad.square, emit(grad.sin, x * number(x, 0.5))) * number(x, -2.0)


def _smooth_quotient(x: Value, numerator: Value, series: Sequence[float], bound: float) -> Value:
    """`numerator / x`, and next to 0 a series."""
    near = abs(x) < number(x, bound)
    safe = prims.select(near, full(x, 1), x)
    return prims.select(
        near, polynomial(prims.select(near, x, full(x, 0)), series), numerator / safe
    )


@ufunc("exprel")
def exprel(x: Value) -> Value:
    """`scipy.special.exprel`: `expm1(x) / x`."""
    series = [1 / math.factorial(k + 1) for k in range(15)]
    quotient = _smooth_quotient(x, emit(grad.expm1, x), series, 0.5)
    return prims.select(equal(x, math.inf), x, quotient)


def _log1prel(x: Value) -> Value:
    """`log1p(x) / x`."""
    series = [(-1) ** k / (k + 1) for k in range(24)]
    return _smooth_quotient(x, emit(grad.log1p, x), series, 0.125)


@ufunc("powm1")
def powm1(x: Value, y: Value) -> Value:
    """`scipy.special.powm1`: `x**y - 1`."""
    x, y = alike(x, y)
    positive = x > number(x, 0)
    exact = emit(grad.expm1, y * log(prims.select(positive, x, full(x, 1))))
    return prims.select(positive, exact, emit(grad.power, x, y) - full(x, 1))


def _degrees(x: Value) -> tuple[Value, Value]:
    """The number of right angles that is nearest, and the rest as radians."""
    turns = emit(grad.round, x * number(x, 1 / 90))
    return turns, (x - turns * number(x, 90.0)) * number(x, math.pi / 180)


def _wave(x: Value, first: int) -> Value:
    """The sine of degrees, `first` right angles on."""
    turns, rest = _degrees(x)
    turns = turns + number(x, first)
    value = prims.select(is_odd(turns), emit(grad.cos, rest), emit(grad.sin, rest))
    half_turns = floor(turns * number(x, 0.5))
    return prims.select(is_odd(half_turns), -value, value)


@ufunc("sindg")
def sindg(x: Value) -> Value:
    """`scipy.special.sindg`: the sine of degrees."""
    return _wave(x, 0)


@ufunc("cosdg")
def cosdg(x: Value) -> Value:
    """`scipy.special.cosdg`: the cosine of degrees."""
    return _wave(x, 1)


@ufunc("tandg")
def tandg(x: Value) -> Value:
    """`scipy.special.tandg`: the tangent of degrees."""
    return _wave(x, 0) / _wave(x, 1)


@ufunc("cotdg")
def cotdg(x: Value) -> Value:
    """`scipy.special.cotdg`: the cotangent of degrees."""
    return _wave(x, 1) / _wave(x, 0)


@ufunc("radian")
def radian(d: Value, m: Value, s: Value) -> Value:
    """`scipy.special.radian`: degrees, minutes and seconds in radians."""
    degrees = d + m / number(m, 60.0) + s / number(s, 3600.0)
    return degrees * number(d, math.pi / 180)


# -- Entropies and losses ----------------------------------------------------------------------


@ufunc("entr")
def entr(x: Value) -> Value:
    """`scipy.special.entr`: `-x log(x)`; 0 at 0, minus infinity below."""
    below = x < number(x, 0)
    inside = prims.select(below, full(x, 1), x)
    return prims.select(below, full(x, -math.inf), -emit(grad.xlogy, inside, inside))


def _relative(x: Value, y: Value, beyond: Value) -> Value:
    """`x log(x / y)` of positive numbers; 0 where x is 0, and infinite elsewhere."""
    zero = number(x, 0)
    inside = (x > zero) & (y > zero)
    u, v = prims.select(inside, x, full(x, 1)), prims.select(inside, y, full(y, 1))
    ratio = u / v
    # The difference of the logarithms loses digits where they are about the same.
    near = (ratio > number(x, 0.5)) & (ratio < number(x, 2))
    close = emit(grad.log1p, prims.select(near, (u - v) / v, full(x, 0)))
    value = u * prims.select(near, close, log(u) - log(v))
    at_zero = equal(x, 0) & emit(grad.greater_equal, y, zero)
    outside = prims.select(at_zero, beyond, full(x, math.inf))
    return prims.select(inside, value, outside)


def _with_nan(value: Value, *operands: Value) -> Value:
    """NaN where an operand is NaN."""
    for x in operands:
        value = prims.select(emit(grad.isnan, x), x, value)
    return value


@ufunc("rel_entr")
def rel_entr(x: Value, y: Value) -> Value:
    """`scipy.special.rel_entr`: `x log(x / y)`."""
    x, y = alike(x, y)
    return _with_nan(_relative(x, y, full(x, 0)), x, y)


@ufunc("kl_div")
def kl_div(x: Value, y: Value) -> Value:
    """`scipy.special.kl_div`: `x log(x / y) - x + y`."""
    x, y = alike(x, y)
    value = _relative(x, y, full(x, 0))
    finite = emit(grad.isfinite, value)
    return _with_nan(prims.select(finite, value - x + y, value), x, y)


@ufunc("huber")
def huber(delta: Value, r: Value) -> Value:
    """`scipy.special.huber`: quadratic up to `delta`, then linear."""
    delta, r = alike(delta, r)
    size, half = abs(r), number(r, 0.5)
    inside = emit(grad.less_equal, size, delta)
    value = prims.select(inside, half * r * r, delta * (size - half * delta))
    return _with_nan(prims.select(delta < number(r, 0), full(r, math.inf), value), delta, r)


@ufunc("pseudo_huber")
def pseudo_huber(delta: Value, r: Value) -> Value:
    """`scipy.special.pseudo_huber`: `delta**2 * (sqrt(1 + (r / delta)**2) - 1)`."""
    delta, r = alike(delta, r)
    null, below = equal(delta, 0), delta < number(r, 0)
    safe = prims.select(null, full(r, 1), delta)
    ratio = r / safe
    one = number(r, 1)
    value = r * (ratio / (emit(grad.hypot, full(r, 1), ratio) + one)) * safe
    value = prims.select(null, full(r, 0), value)
    return _with_nan(prims.select(below, full(r, math.inf), value), delta, r)


# -- Powers of Box and Cox ---------------------------------------------------------------------


def _box_cox(x: Value, logarithm: Value, power: Value, end: float) -> Value:
    """`expm1(power * logarithm) / power` for x above `end`, where its logarithm is infinite."""
    at_end = equal(x, end)
    u = prims.select(at_end, full(x, 0), logarithm)
    positive = power > number(x, 0)
    limit = prims.select(
        positive, number(x, -1.0) / prims.select(positive, power, full(x, 1)), full(x, -math.inf)
    )
    return prims.select(at_end, limit, u * exprel(power * u))


@ufunc("boxcox")
def boxcox(x: Value, lmbda: Value) -> Value:
    """`scipy.special.boxcox`: `(x**lmbda - 1) / lmbda`, and its limit, the logarithm, at 0."""
    x, lmbda = alike(x, lmbda)
    return _box_cox(x, log(prims.select(equal(x, 0), full(x, 1), x)), lmbda, 0.0)


@ufunc("boxcox1p")
def boxcox1p(x: Value, lmbda: Value) -> Value:
    """`scipy.special.boxcox1p`: `boxcox(1 + x, lmbda)`."""
    x, lmbda = alike(x, lmbda)
    safe = prims.select(equal(x, -1), full(x, 0), x)
    return _box_cox(x, emit(grad.log1p, safe), lmbda, -1.0)


def _inverse_box_cox(x: Value, lmbda: Value) -> Value:
    """The logarithm of what has the value x."""
    return x * _log1prel(lmbda * x)


@ufunc("inv_boxcox")
def inv_boxcox(x: Value, lmbda: Value) -> Value:
    """`scipy.special.inv_boxcox`."""
    return exp(_inverse_box_cox(*alike(x, lmbda)))


@ufunc("inv_boxcox1p")
def inv_boxcox1p(x: Value, lmbda: Value) -> Value:
    """`scipy.special.inv_boxcox1p`."""
    return emit(grad.expm1, _inverse_box_cox(*alike(x, lmbda)))


# -- Gamma functions ---------------------------------------------------------------------------


@ufunc("gammasgn")
def gammasgn(x: Value) -> Value:
    """`scipy.special.gammasgn`: the sign of the gamma function; NaN at its poles but 0."""
    whole = floor(x)
    below = x < number(x, 0)
    sign = prims.select(is_odd(whole), full(x, -1), full(x, 1))
    sign = prims.select(emit(grad.equal, whole, x), full(x, math.nan), sign)
    at_zero = prims.select(emit(grad.reciprocal, x) < number(x, 0), full(x, -1), full(x, 1))
    value = prims.select(below, sign, prims.select(equal(x, 0), at_zero, full(x, 1)))
    return _with_nan(value, prims.stop_gradient(x))


@ufunc("loggamma")
def loggamma(x: Value) -> Value:
    """`scipy.special.loggamma` of real numbers: NaN below 0."""
    return prims.select(x < number(x, 0), full(x, math.nan), _gammaln(x))


@ufunc("rgamma")
def rgamma(x: Value) -> Value:
    """`scipy.special.rgamma`: `1 / gamma(x)`, by reflection where that has poles."""
    left = x < number(x, 0.5)
    nearest = emit(grad.round, x)
    sine = emit(grad.sin, (x - nearest) * number(x, math.pi))
    sine = prims.select(is_odd(nearest), -sine, sine)
    mirrored = emit(special.gamma, prims.select(left, number(x, 1) - x, full(x, 1)))
    right = emit(special.gamma, prims.select(left, full(x, 1), x))
    return prims.select(left, sine * mirrored * number(x, 1 / math.pi), number(x, 1) / right)


@ufunc("poch")
def poch(z: Value, m: Value) -> Value:
    """`scipy.special.poch`: `gamma(z + m) / gamma(z)`, NaN at common poles unless m is 0."""
    z, m = alike(z, m)
    total, one = z + m, full(z, 1)
    # The reciprocal of the gamma function has no poles, and its slopes at its zeros are known.
    near = _are_moderate(z, total)
    inner, outer = prims.select(near, z, one), prims.select(near, total, one)
    product = emit(special.gamma, outer) * rgamma(inner)
    inner, outer = prims.select(near, one, z), prims.select(near, one, total)
    sign = gammasgn(outer) * gammasgn(inner)
    value = prims.select(near, product, sign * exp(_gammaln(outer) - _gammaln(inner)))
    # There both have poles.
    both = equal(m, 0) & emit(grad.equal, floor(z), z) & ~(z > number(z, 0))
    return prims.select(both, one, value)


@ufunc("binom")
def binom(n: Value, k: Value) -> Value:
    """`scipy.special.binom`: the binomial coefficient of real numbers."""
    n, k = alike(n, k)
    one, rest = full(n, 1), n - k
    near = _are_moderate(n, k, rest)
    top, left, right = [prims.select(near, x + one, one) for x in (n, k, rest)]
    # With slopes where the reciprocals of gamma functions are zero.
    product = emit(special.gamma, top) * rgamma(left) * rgamma(right)
    top, left, right = [prims.select(near, one, x + one) for x in (n, k, rest)]
    return prims.select(near, product, one / (top * emit(special.beta, right, left)))


@ufunc("zetac")
def zetac(x: Value) -> Value:
    """`scipy.special.zetac`: Riemann's zeta function less 1."""
    right = x > number(x, 1)
    sum_ = emit(special.zeta, prims.select(right, x, full(x, 2)), number(x, 2))
    left = emit(special.riemann_zeta, prims.select(right, full(x, 0), x)) - number(x, 1)
    return prims.select(right, sum_, left)


@ufunc("agm")
def agm(a: Value, b: Value) -> Value:
    """`scipy.special.agm`: the arithmetic-geometric mean, by an elliptic integral."""
    a, b = alike(a, b)
    zero, one, product = full(a, 0), full(a, 1), a * b
    is_end = equal(product, 0) | equal(abs(a + b), math.inf)
    end = prims.select(product < number(a, 0), full(a, math.nan), a + b)
    end = prims.select(equal(product, 0), zero, end)
    a, b = prims.select(is_end, one, a), prims.select(is_end, one, b)
    total = a + b
    quarter = number(a, math.pi / 4)
    p = number(a, 4) * (a / total) * (b / total)
    value = quarter * total / emit(special.ellipkm1, p)
    return prims.select(is_end, end, value)


@ufunc("erfi")
def erfi(x: Value) -> Value:
    """`scipy.special.erfi`, by Dawson's integral."""
    factor = number(x, 2 / math.sqrt(math.pi))
    # There Dawson's integral is 0, and the product is no number.
    is_end = equal(emit(grad.absolute, x), math.inf)
    return prims.select(is_end, x, factor * exp(x * x) * emit(special.dawsn, x))


# -- Hankel's functions ------------------------------------------------------------------------


def _hankel(name: str, sign: int, *, scaled: bool) -> None:
    """Of real numbers: `jv + sign i yv`, scaled by `exp(-sign i x)`."""

    def handler(v: Value, x: Value) -> Value:
        v, x = alike(v, x)
        first, second = emit(special.jv, v, x), emit(special.yv, v, x)
        second = second if sign > 0 else -second
        if not scaled:
            return prims.complex_(first, second)
        cosine, sine = emit(grad.cos, x), emit(grad.sin, x)
        sine = -sine if sign > 0 else sine
        return prims.complex_(first * cosine - second * sine, first * sine + second * cosine)

    def by_name(v: Any, x: Any, out: None = None) -> Value:
        found = handler(*floats(name, v, x))
        # SciPy's are of double precision where operands are real.
        return prims.convert(found, COMPLEX128)

    FOREIGN_UFUNCS[name] = by_name


for _kind, _sign in ((1, 1), (2, -1)):
    _hankel(f"hankel{_kind}", _sign, scaled=False)
    _hankel(f"hankel{_kind}e", _sign, scaled=True)


# -- Distributions -----------------------------------------------------------------------------


def _half(x: Value) -> Value:
    return x * number(x, 0.5)


def _more(k: Value) -> Value:
    """One more than the whole part."""
    return floor(k) + number(k, 1)


def _gammainc(a: Value, x: Value) -> Value:
    return emit(special.gammainc, a, x)


def _gammaincc(a: Value, x: Value) -> Value:
    return emit(special.gammaincc, a, x)


def _betainc(p: Value, q: Value, x: Value) -> Value:
    return emit(special.betainc, p, q, x)


def _betaincc(p: Value, q: Value, x: Value) -> Value:
    return emit(special.betaincc, p, q, x)


def _betainccinv(p: Value, q: Value, x: Value) -> Value:
    return emit(special.betainccinv, p, q, x)


def _of_trials(
    inner: Callable[..., Value], k: Value, n: Value, p: Value, below: float, at_end: float
) -> Value:
    """A function of at most k events of n, and what it is for k < 0 and for k = n."""
    k, n = floor(k), floor(n)
    zero, one = number(k, 0), number(k, 1)
    is_inside = ~(k < zero) & (k < n)
    value = inner(prims.select(is_inside, k, full(k, 0)) + one,
                  prims.select(is_inside, n - k, full(k, 1)), p)  # fmt: skip
    is_chance = ~(p < zero) & ~(p > one)
    end = prims.select(emit(grad.equal, k, n), full(k, at_end), full(k, math.nan))
    end = prims.select(k < zero, full(k, below), end)
    end = prims.select(is_chance, end, full(k, math.nan))
    return _with_nan(prims.select(is_inside, value, end), p)


def _ratio(dfn: Value, dfd: Value, x: Value) -> Value:
    """What the beta distribution sees of a value of the F distribution."""
    product = dfn * x
    is_end = equal(product, math.inf)
    ratio = prims.select(is_end, full(x, 1), product / (dfd + product))
    return _where_positive(ratio, x, dfn, dfd)


def _rest(dfn: Value, dfd: Value, x: Value) -> Value:
    return _where_positive(dfd / (dfd + dfn * x), x, dfn, dfd)


def _where_positive(value: Value, x: Value, *parameters: Value) -> Value:
    """A value, and NaN where x is negative or a parameter is not positive."""
    zero, nan = number(x, 0), full(x, math.nan)
    value = prims.select(x < zero, nan, value)
    for parameter in parameters:
        value = prims.select(parameter > zero, value, nan)
    return value


def _fdtri(dfn: Value, dfd: Value, p: Value) -> Value:
    """The one of a beta variable and its complement that is small keeps its digits."""
    low = emit(special.betaincinv, _half(dfn), _half(dfd), p)
    high = emit(special.betainccinv, _half(dfd), _half(dfn), p)
    return dfd * low / (dfn * high)


_FORMULAS: dict[str, Callable[..., Value]] = {
    "chdtr": lambda v, x: _gammainc(_half(v), _half(x)),
    "chdtrc": lambda v, x: _gammaincc(_half(v), _half(x)),
    "chdtri": lambda v, p: emit(special.gammainccinv, _half(v), p) * number(p, 2),
    "gdtr": lambda a, b, x: _gammainc(b, _where_positive(a * x, x)),
    "gdtrc": lambda a, b, x: _gammaincc(b, _where_positive(a * x, x)),
    "gdtria": lambda p, b, x: emit(special.gammaincinv, b, p) / x,
    "gdtrix": lambda a, b, p: emit(special.gammaincinv, b, p) / a,
    "pdtr": lambda k, m: _gammaincc(_more(k), m),
    "pdtrc": lambda k, m: _gammainc(_more(k), m),
    "pdtri": lambda k, y: emit(special.gammainccinv, _more(k), y),
    "bdtr": lambda k, n, p: _of_trials(_betaincc, k, n, p, math.nan, 1.0),
    "bdtrc": lambda k, n, p: _of_trials(_betainc, k, n, p, 1.0, 0.0),
    "bdtri": lambda k, n, y: _of_trials(_betainccinv, k, n, y, math.nan, math.nan),
    "nbdtr": lambda k, n, p: _betainc(floor(n), _more(k), p),
    "nbdtrc": lambda k, n, p: _betaincc(floor(n), _more(k), p),
    "nbdtri": lambda k, n, y: emit(special.betaincinv, floor(n), _more(k), y),
    "fdtr": lambda dfn, dfd, x: _betainc(_half(dfn), _half(dfd), _ratio(dfn, dfd, x)),
    "fdtrc": lambda dfn, dfd, x: _betainc(_half(dfd), _half(dfn), _rest(dfn, dfd, x)),
    "fdtri": _fdtri,
    "stdtr": lambda df, t: emit(special.stdtr, df, t),
    "stdtrit": lambda df, p: emit(special.stdtrit, df, p),
    "nrdtrimn": lambda p, std, x: x - std * emit(special.ndtri, p),
    "nrdtrisd": lambda mn, p, x: (x - mn) / emit(special.ndtri, p),
}


def _register(name: str, formula: Callable[..., Value]) -> None:
    ufunc(name)(lambda *operands: formula(*alike(*operands)))


for _name, _formula in _FORMULAS.items():
    _register(_name, _formula)
