# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""`scipy.special`: the functions that are no ufuncs.

Its ufuncs work as they are, and are SciPy's own here. In rewritten code, these functions are called
under SciPy's names, too.
"""

from __future__ import annotations

import importlib
import math
import operator
from typing import Any

import numpy as np

from gradopt.array.dispatch import UFUNCS, foreign_handler, unsupported
from gradopt.array.operands import traced
from gradopt.base.frames import hide_frames
from gradopt.base.location import source_location
from gradopt.compilation.programs import program
from gradopt.errors import ArgumentError
from gradopt.functions.reductions import max_, sum_
from gradopt.functions.special import full, number, op, truncated
from gradopt.functions.special_derived import alike, is_odd
from gradopt.functions.special_derived import binom as _binom
from gradopt.functions.special_derived import poch as _poch
from gradopt.functions.special_polynomials import associated_legendre, known_degree
from gradopt.functions.ufuncs import floats
from gradopt.ir import prims
from gradopt.ir.values import Value, emit
from gradopt.recording import grad

__all__ = [
    "comb",
    "diric",
    "factorial",
    "factorial2",
    "ivp",
    "jvp",
    "kvp",
    "lambertw",
    "log_softmax",
    "logsumexp",
    "multigammaln",
    "perm",
    "polygamma",
    "softmax",
    "softplus",
    "sph_harm_y",
    "spherical_in",
    "spherical_jn",
    "spherical_kn",
    "spherical_yn",
    "yvp",
    "zeta",
]

Axis = int | tuple[int, ...] | None


def __getattr__(name: str) -> Any:
    """SciPy's ufuncs, those that can be traced; they need SciPy."""
    if not name.startswith("_") and foreign_handler(name) is not None:
        found = getattr(importlib.import_module("scipy.special"), name, None)
        if isinstance(found, np.ufunc):
            return found
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def _axis(axis: Any) -> Axis:
    """Axes as what selects a program."""
    return tuple(axis) if isinstance(axis, (list, tuple)) else axis


# -- Sums of exponentials ----------------------------------------------------------------------


@hide_frames
def logsumexp(
    a: Any, axis: Any = None, b: Any = None, keepdims: bool = False, return_sign: bool = False
) -> Any:
    """The logarithm of a sum of exponentials, `log(sum(b * exp(a)))`.

    Args:
        a: array of real numbers.
        axis: of the sum; all by default.
        b: factors, which broadcast against `a`; a term whose factor is 0 counts for nothing.
        keepdims: whether the axes of the sum stay, with one element.
        return_sign: whether the sum may be negative: the logarithm is that of its absolute value.

    Returns:
        The logarithm, and with `return_sign` a tuple of it and the sign of the sum.

    Raises:
        UnsupportedError: the numbers are complex.
    """
    operands = (a,) if b is None else (a, b)
    selection = {"axis": _axis(axis), "keepdims": bool(keepdims), "signed": bool(return_sign)}
    return _logsumexp(*operands, **selection)


def _sum(x: Value, axis: Axis, keepdims: bool) -> Value:
    return traced(sum_(x, axis=axis, keepdims=keepdims))


def _peak(x: Value, axis: Axis) -> Value:
    """The largest element, along axes that stay, where it is finite; else 0. A constant."""
    largest = prims.stop_gradient(traced(max_(x, axis=axis, keepdims=True)))
    return prims.select(emit(grad.isfinite, largest), largest, full(largest, 0))


@program
def _logsumexp(a: Any, *factors: Any, axis: Axis, keepdims: bool, signed: bool) -> Any:
    x, *scale = alike(*floats("logsumexp", a, *factors))
    if scale:
        # The exponential of what does not count must not overflow.
        null = emit(grad.equal, scale[0], full(x, 0))
        x = prims.select(null, full(x, -math.inf), x)
    peak = _peak(x, axis)
    terms = emit(grad.exp, emit(grad.subtract, x, prims.broadcast_to(peak, x.shape)))
    total = _sum(emit(grad.multiply, terms, scale[0]) if scale else terms, axis, keepdims)
    shift = prims.reshape(peak, total.shape)
    if not signed:
        # NaN of a negative sum.
        return emit(grad.log, total) + shift
    return emit(grad.log, abs(total)) + shift, prims.stop_gradient(emit(grad.sign, total))


@hide_frames
def softmax(x: Any, axis: Any = None) -> Any:
    """Exponentials divided by their sum along `axis`, all axes by default."""
    return _softmax(x, axis=_axis(axis))


@program
def _softmax(x: Any, *, axis: Axis) -> Value:
    (v,) = floats("softmax", x)
    terms = emit(grad.exp, v - prims.broadcast_to(_peak(v, axis), v.shape))
    return emit(grad.divide, terms, _sum(terms, axis, keepdims=True))


@hide_frames
def log_softmax(x: Any, axis: Any = None) -> Any:
    """The logarithm of `softmax`, without its underflow."""
    return _log_softmax(x, axis=_axis(axis))


@program
def _log_softmax(x: Any, *, axis: Axis) -> Value:
    (v,) = floats("log_softmax", x)
    shifted = v - prims.broadcast_to(_peak(v, axis), v.shape)
    return emit(grad.subtract, shifted, emit(grad.log, _sum(emit(grad.exp, shifted), axis, True)))


@hide_frames
def softplus(x: Any) -> Any:
    """`log(1 + exp(x))`."""
    return _softplus(x)


@program
def _softplus(x: Any) -> Value:
    (v,) = floats("softplus", x)
    return UFUNCS[np.logaddexp](full(v, 0), v)


# -- Gamma functions ---------------------------------------------------------------------------


@hide_frames
def polygamma(n: Any, x: Any) -> Any:
    """The derivative of `psi` of the order n, an integer from 0 up."""
    return _polygamma(n, x)


@program
def _polygamma(n: Any, x: Any) -> Value:
    return op("polygamma")(*floats("polygamma", n, x))


@hide_frames
def zeta(x: Any, q: Any = None, out: None = None) -> Any:
    """Riemann's zeta function, or that of Hurwitz: the sum of `(k + q)**-x` from k = 0 up."""
    return _riemann(x) if q is None else _hurwitz(x, q)


@program
def _riemann(x: Any) -> Value:
    return op("riemann_zeta")(*floats("zeta", x))


@program
def _hurwitz(x: Any, q: Any) -> Value:
    return op("zeta")(*floats("zeta", x, q))


@hide_frames
def multigammaln(a: Any, d: int) -> Any:
    """The logarithm of the gamma function of d dimensions, for `a > (d - 1) / 2`."""
    if int(d) != d or d < 1:
        raise ArgumentError("d should be a positive integer (dimension)", source_location())
    return _multigammaln(a, d=int(d))


@program
def _multigammaln(a: Any, *, d: int) -> Value:
    (v,) = floats("multigammaln", a)
    result = full(v, d * (d - 1) / 4 * math.log(math.pi))
    for k in range(d):
        result = result + op("gammaln")(v - number(v, k / 2))
    return result


def _refuse_exact(name: str, exact: Any) -> None:
    if exact:
        raise unsupported(f"exact=True of scipy.special.{name}", "integers have no limit there")


def _refuse_extension(name: str, extend: Any) -> None:
    if extend != "zero":
        raise unsupported(f"extend={extend!r} of scipy.special.{name}")


@hide_frames
def comb(N: Any, k: Any, *, exact: bool = False, repetition: bool = False) -> Any:
    """The number of combinations of N things taken k at a time, as a float.

    Args:
        N: number of things.
        k: number of elements taken.
        exact: not supported.
        repetition: whether things are put back.

    Raises:
        UnsupportedError: `exact`.
    """
    _refuse_exact("comb", exact)
    return _comb(N, k, repetition=bool(repetition))


@program
def _comb(N: Any, k: Any, *, repetition: bool) -> Value:
    n, m = alike(*floats("comb", N, k))
    zero = full(n, 0)
    if repetition:
        outside = (n < zero) | (m < zero)
        n = prims.select(m > zero, n + m - number(n, 1), n)
    else:
        outside = (m > n) | (n < zero) | (m < zero)
    safe = prims.select(outside, zero, m)
    return prims.select(outside, zero, _binom(prims.select(outside, full(n, 1), n), safe))


@hide_frames
def perm(N: Any, k: Any, exact: bool = False) -> Any:
    """The number of arrangements of k of N things, as a float."""
    _refuse_exact("perm", exact)
    return _perm(N, k)


@program
def _perm(N: Any, k: Any) -> Value:
    n, m = alike(*floats("perm", N, k))
    zero = full(n, 0)
    outside = (m > n) | (n < zero) | (m < zero)
    first = prims.select(outside, full(n, 1), n - m + number(n, 1))
    return prims.select(outside, zero, _poch(first, prims.select(outside, zero, m)))


@hide_frames
def factorial(n: Any, exact: bool = False, extend: str = "zero") -> Any:
    """`gamma(n + 1)`, and 0 of negative numbers."""
    _refuse_exact("factorial", exact)
    _refuse_extension("factorial", extend)
    return _factorial(n)


@program
def _factorial(n: Any) -> Value:
    (v,) = floats("factorial", n)
    below = v < number(v, 0)
    value = op("gamma")(prims.select(below, full(v, 0), v) + number(v, 1))
    return prims.select(below, full(v, 0), value)


@hide_frames
def factorial2(n: Any, exact: bool = False, extend: str = "zero") -> Any:
    """The double factorial `n (n - 2) (n - 4) ...` of integers, as a float."""
    _refuse_exact("factorial2", exact)
    _refuse_extension("factorial2", extend)
    return _factorial2(n)


@program
def _factorial2(n: Any) -> Value:
    (v,) = floats("factorial2", n)
    half = v * number(v, 0.5)
    root = prims.select(is_odd(v), full(v, math.sqrt(2 / math.pi)), full(v, 1))
    value = root * emit(grad.exp2, half) * op("gamma")(half + number(v, 1))
    below = v < number(v, 0)
    return prims.select(below, full(v, 0), value)


# -- Others ------------------------------------------------------------------------------------


@hide_frames
def lambertw(z: Any, k: int = 0, tol: float = 1e-8) -> Any:
    """Lambert's W function of real numbers, the branches 0 and -1.

    Args:
        z: real numbers.
        k: the branch.
        tol: means nothing.

    Returns:
        Complex numbers, as in SciPy, with an imaginary part of 0; NaN where it would be another.

    Raises:
        UnsupportedError: z is complex, or there is such a branch of complex numbers only.
    """
    if k not in (0, -1):
        raise unsupported(f"branch {k} of scipy.special.lambertw", "the branches 0 and -1 are real")
    return _lambertw(z, below=bool(k))


@program
def _lambertw(z: Any, *, below: bool) -> Value:
    (v,) = floats("lambertw", z)
    value = op("lambertw_below" if below else "lambertw")(v)
    return prims.complex_(value, full(value, 0))


@hide_frames
def sph_harm_y(n: int, m: int, theta: Any, phi: Any) -> Any:
    """The spherical harmonic of the degree n and the order m.

    Args:
        n: an integer from 0 up.
        m: an integer.
        theta: the polar angles.
        phi: the azimuthal angles.

    Returns:
        Complex numbers.

    Raises:
        UnsupportedError: n or m is not an integer that is known while tracing.
    """
    degrees = [known_degree("sph_harm_y", value) for value in (n, m)]
    if any(value.ndim for value in degrees) or degrees[0] < 0:
        raise unsupported("scipy.special.sph_harm_y of several degrees, or negative ones")
    return _sph_harm_y(theta, phi, n=int(degrees[0]), m=int(degrees[1]))


@program
def _sph_harm_y(theta: Any, phi: Any, *, n: int, m: int) -> Value:
    polar, azimuth = alike(*floats("sph_harm_y", theta, phi))
    order = abs(m)
    if order > n:
        return prims.complex_(full(polar, 0), full(polar, 0))
    ratio = math.factorial(n - order) / math.factorial(n + order)
    scale = math.sqrt((2 * n + 1) / (4 * math.pi) * ratio)
    if m < 0 and order % 2:
        scale = -scale
    sine, cosine = emit(grad.sin, polar), emit(grad.cos, polar)
    # Beyond pi, as the root of 1 - cosine^2; not absolute, which has no slope at 0.
    sine = prims.select(sine < number(sine, 0), -sine, sine)
    size = associated_legendre(order, n, cosine, sine) * number(polar, scale)
    angle = azimuth * number(azimuth, m)
    return prims.complex_(size * emit(grad.cos, angle), size * emit(grad.sin, angle))


@hide_frames
def jvp(v: Any, z: Any, n: int = 1) -> Any:
    """The derivative of order n of the Bessel function of the first kind, in z.

    Args:
        v: orders, real numbers.
        z: real numbers.
        n: the order of the derivative, from 0 up.

    Raises:
        ArgumentError: n is negative.
    """
    return _bessel_derivative(v, z, name="jv", order=_derivative_order("jvp", n))


@hide_frames
def yvp(v: Any, z: Any, n: int = 1) -> Any:
    """The derivative of that of the second kind, with the parameters of `jvp`."""
    return _bessel_derivative(v, z, name="yv", order=_derivative_order("yvp", n))


@hide_frames
def ivp(v: Any, z: Any, n: int = 1) -> Any:
    """The derivative of the modified one of the first kind, with the parameters of `jvp`."""
    return _bessel_derivative(v, z, name="iv", order=_derivative_order("ivp", n))


@hide_frames
def kvp(v: Any, z: Any, n: int = 1) -> Any:
    """The derivative of the modified one of the second kind, with the parameters of `jvp`."""
    return _bessel_derivative(v, z, name="kv", order=_derivative_order("kvp", n))


@hide_frames
def diric(x: Any, n: int) -> Any:
    """Dirichlet's function, `sin(n x / 2) / (n sin(x / 2))`, with its limits at whole turns.

    Args:
        x: angles.
        n: an integer from 1 up; of others, the function is NaN.
    """
    return _diric(x, n=operator.index(n))


@program
def _diric(x: Any, *, n: int) -> Value:
    (v,) = floats("diric", x)
    if n < 1:
        return full(v, math.nan)
    # A sum of cosines of (n - 1 - 2 k) x / 2, which has no pole.
    total: Value | None = None
    for k in range(n // 2):
        term = emit(grad.cos, v * number(v, (n - 1) / 2 - k)) * number(v, 2.0)
        total = term if total is None else total + term
    if n % 2:
        total = full(v, 1) if total is None else total + number(v, 1.0)
    assert total is not None
    return total * number(v, 1 / n)


def _derivative_order(name: str, n: Any) -> int:
    order = operator.index(n)
    if order < 0:
        raise ArgumentError(f"{name}: n must be from 0 up, but it is {n}", source_location())
    return order


@program
def _bessel_derivative(v: Any, z: Any, *, name: str, order: int) -> Value:
    """By orders from v - n to v + n (Abramowitz and Stegun, 9.1.31 and 9.6.29)."""
    degree, x = alike(*floats(f"{name}p", v, z))
    function = op(name)
    total: Value | None = None
    for k in range(order + 1):
        sign = (-1) ** k if name in ("jv", "yv") else (-1) ** (order * (name == "kv"))
        factor = sign * math.comb(order, k) / 2**order
        term = function(degree + number(x, 2 * k - order), x) * number(x, factor)
        total = term if total is None else total + term
    assert total is not None
    return total


@hide_frames
def spherical_jn(n: Any, z: Any, derivative: bool = False) -> Any:
    """The spherical Bessel function of the first kind.

    Args:
        n: orders, integers from 0 up.
        z: real numbers.
        derivative: whether its derivative is wanted.
    """
    return _spherical(n, z, kind="jn", derivative=bool(derivative))


@hide_frames
def spherical_yn(n: Any, z: Any, derivative: bool = False) -> Any:
    """The spherical Bessel function of the second kind, with the parameters of `spherical_jn`."""
    return _spherical(n, z, kind="yn", derivative=bool(derivative))


@hide_frames
def spherical_in(n: Any, z: Any, derivative: bool = False) -> Any:
    """The modified one of the first kind, with the parameters of `spherical_jn`."""
    return _spherical(n, z, kind="in", derivative=bool(derivative))


@hide_frames
def spherical_kn(n: Any, z: Any, derivative: bool = False) -> Any:
    """The modified one of the second kind, with the parameters of `spherical_jn`."""
    return _spherical(n, z, kind="kn", derivative=bool(derivative))


@program
def _spherical(n: Any, z: Any, *, kind: str, derivative: bool) -> Value:
    (x,) = floats(f"spherical_{kind}", z)
    order, x = alike(truncated(prims.convert(traced(n), x.dtype)), x)
    function = op(f"spherical_{kind}")
    if not derivative:
        return function(order, x)
    one = number(x, 1)
    # As the derivative rule of the op, by both neighbours.
    below = function(prims.select(order > number(x, 0.5), order - one, full(x, 0)), x) * order
    above = function(order + one, x) * (order + one)
    difference = below - above if kind in ("jn", "yn") else below + above
    value = difference / (order * number(x, 2) + one)
    return -value if kind == "kn" else value
