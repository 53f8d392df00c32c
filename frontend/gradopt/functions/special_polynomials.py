# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Orthogonal polynomials of `scipy.special`, by their recurrences.

The degree has to be known while tracing: then a polynomial is a few products and sums, which
vectorize and have derivatives of all orders, at the ends of the interval, too.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from gradopt.array.dispatch import FOREIGN_UFUNCS
from gradopt.array.handle import Handle
from gradopt.array.operands import listed
from gradopt.base.dtypes import BOOL, kind_of
from gradopt.base.location import source_location
from gradopt.errors import UnsupportedError
from gradopt.functions.special import full, number
from gradopt.functions.ufuncs import floats
from gradopt.ir import prims
from gradopt.ir.values import Value, broadcast_shapes, broadcast_to, emit
from gradopt.recording import grad

# Sequences of polynomials p_0, p_1 ..., given parameters and the argument.
Step = Callable[..., Value]
_MOST = 1000


def known_degree(name: str, n: Any) -> np.ndarray[Any, Any]:
    """The degree of a polynomial.

    Raises:
        UnsupportedError: it is not known while tracing, or no integer in a range.
    """
    found = listed(n)
    if isinstance(found, Handle):
        found = found._known()
    degrees = np.asarray(math.nan if found is None else found)
    is_number = kind_of(degrees.dtype) in "iuf"
    if not is_number or not np.all((degrees == np.floor(degrees)) & (abs(degrees) <= _MOST)):
        raise UnsupportedError(
            f"scipy.special.{name} is supported for degrees that are integers up to {_MOST}, known "
            "while tracing: make the degree a number, or a static argument (static_argnums)",
            source_location(),
        )
    return degrees.astype(np.int64)


def evaluate(name: str, n: Any, step: Step, operands: Sequence[Value]) -> Value:
    """The polynomials of the degrees `n`; of a negative degree, 0."""
    degrees = known_degree(name, n)
    shape = broadcast_shapes(degrees.shape, *[x.shape for x in operands])
    x = operands[-1]
    result = prims.full(shape, 0, x.dtype)
    wanted = {int(d) for d in degrees.ravel() if d >= 0}
    before, value = full(x, 0), full(x, 1)
    for k in range(max(wanted, default=-1) + 1):
        if k in wanted:
            value = broadcast_to(value, broadcast_shapes(value.shape, shape))
            chosen = prims.as_value(np.asarray(np.broadcast_to(degrees == k, shape)), BOOL)
            result = value if degrees.ndim == 0 else prims.select(chosen, value, result)
        if k < max(wanted):
            before, value = value, step(k, before, value, *operands)
    return result


def _times(x: Value, factor: float) -> Value:
    return x * number(x, factor)


def _legendre(k: int, before: Value, value: Value, x: Value) -> Value:
    return _times(x * value, (2 * k + 1) / (k + 1)) - _times(before, k / (k + 1))


def _chebyshev_first(k: int, before: Value, value: Value, x: Value) -> Value:
    return x if k == 0 else _times(x * value, 2) - before


def _chebyshev_second(k: int, before: Value, value: Value, x: Value) -> Value:
    return _times(x * value, 2) - before


def _hermite(k: int, before: Value, value: Value, x: Value) -> Value:
    return _times(x * value, 2) - _times(before, 2 * k)


def _hermite_norm(k: int, before: Value, value: Value, x: Value) -> Value:
    return x * value - _times(before, k)


def _laguerre(k: int, before: Value, value: Value, alpha: Value, x: Value) -> Value:
    factor = alpha + number(x, 2 * k + 1) - x
    return _times(factor * value - (alpha + number(x, k)) * before, 1 / (k + 1))


def _gegenbauer(k: int, before: Value, value: Value, alpha: Value, x: Value) -> Value:
    first = _times((alpha + number(x, k)) * x * value, 2)
    second = (_times(alpha, 2) + number(x, k - 1)) * before if k else full(x, 0)
    return _times(first - second, 1 / (k + 1))


def _jacobi(k: int, before: Value, value: Value, alpha: Value, beta: Value, x: Value) -> Value:
    total = alpha + beta
    if k == 0:
        return (alpha - beta + (total + number(x, 2)) * x) * number(x, 0.5)
    n = k + 1
    c = total + number(x, 2 * n)
    one, two = number(x, 1), number(x, 2)
    square = alpha * alpha - beta * beta
    first = (c - one) * (c * (c - two) * x + square) * value
    second = _times((alpha + number(x, n - 1)) * (beta + number(x, n - 1)) * c * before, 2)
    return (first - second) / (_times(total + number(x, n), 2 * n) * (c - two))


def _shifted(x: Value) -> Value:
    return _times(x, 2) - number(x, 1)


def _halved(x: Value) -> Value:
    return _times(x, 0.5)


_PLAIN: dict[str, tuple[Step, Callable[[Value], Value] | None]] = {
    "eval_legendre": (_legendre, None),
    "eval_sh_legendre": (_legendre, _shifted),
    "eval_chebyt": (_chebyshev_first, None),
    "eval_sh_chebyt": (_chebyshev_first, _shifted),
    "eval_chebyu": (_chebyshev_second, None),
    "eval_chebys": (_chebyshev_second, _halved),
    "eval_sh_chebyu": (_chebyshev_second, _shifted),
    "eval_hermite": (_hermite, None),
    "eval_hermitenorm": (_hermite_norm, None),
}


def _plain(name: str) -> None:
    step, change = _PLAIN[name]

    def handler(n: Any, x: Any, out: None = None) -> Value:
        (v,) = floats(name, x)
        return evaluate(name, n, step, [v if change is None else change(v)])

    FOREIGN_UFUNCS[name] = handler


for _name in _PLAIN:
    _plain(_name)


def _with_parameters(name: str, step: Step) -> None:
    def handler(n: Any, *inputs: Any) -> Value:
        operands = floats(name, *[v for v in inputs if v is not None])
        shape = broadcast_shapes(*[v.shape for v in operands])
        return evaluate(name, n, step, [broadcast_to(v, shape) for v in operands])

    FOREIGN_UFUNCS[name] = handler


_with_parameters("eval_genlaguerre", _laguerre)
_with_parameters("eval_gegenbauer", _gegenbauer)
_with_parameters("eval_jacobi", _jacobi)


def _eval_laguerre(n: Any, x: Any, out: None = None) -> Value:
    (v,) = floats("eval_laguerre", x)
    return evaluate("eval_laguerre", n, _laguerre, [full(v, 0), v])


def _eval_sh_jacobi(n: Any, p: Any, q: Any, x: Any, out: None = None) -> Value:
    operands = floats("eval_sh_jacobi", p, q, x)
    shape = broadcast_shapes(*[v.shape for v in operands])
    first, second, place = [broadcast_to(v, shape) for v in operands]
    degrees = known_degree("eval_sh_jacobi", n)
    if degrees.ndim:
        raise UnsupportedError(
            "scipy.special.eval_sh_jacobi is supported for one degree", source_location()
        )
    parameters = [first - second, second - number(place, 1), _shifted(place)]
    value = evaluate("eval_sh_jacobi", n, _jacobi, parameters)
    # The binomial coefficient of 2 n + p - 1 and n.
    for k in range(int(degrees)):
        factor = first + number(place, 2 * int(degrees) - 1 - k)
        value = value / (factor * number(place, 1 / (k + 1)))
    return value


def _eval_chebyc(n: Any, x: Any, out: None = None) -> Value:
    (v,) = floats("eval_chebyc", x)
    return _times(evaluate("eval_chebyc", n, _chebyshev_first, [_halved(v)]), 2)


FOREIGN_UFUNCS["eval_laguerre"] = _eval_laguerre
FOREIGN_UFUNCS["eval_sh_jacobi"] = _eval_sh_jacobi
FOREIGN_UFUNCS["eval_chebyc"] = _eval_chebyc


# -- Associated Legendre functions -------------------------------------------------------------


def associated_legendre(m: int, degree: int, x: Value, sine: Value) -> Value:
    """P of the degree and order m >= 0 with the phase (-1)^m, for x = cos, sine = sin."""
    value = full(x, 1)
    for k in range(m):
        value = _times(value * sine, -(2 * k + 1))
    before = full(x, 0)
    for k in range(m, degree):
        first = _times(x * value, (2 * k + 1) / (k - m + 1))
        before, value = value, first - _times(before, (k + m) / (k - m + 1))
    return value if degree >= m else full(x, 0)


def _lpmv(m: Any, v: Any, x: Any, out: None = None) -> Value:
    (z,) = floats("lpmv", x)
    order, degree = known_degree("lpmv", m), known_degree("lpmv", v)
    if order.ndim or degree.ndim or degree < 0:
        raise UnsupportedError(
            "scipy.special.lpmv is supported for one order and one degree from 0 up",
            source_location(),
        )
    mu, nu = int(order), int(degree)
    one = number(z, 1)
    root = emit(grad.sqrt, (one - z) * (one + z))
    value = associated_legendre(abs(mu), nu, z, root)
    if mu < 0 and nu >= -mu:
        factor = math.factorial(nu + mu) / math.factorial(nu - mu)
        value = _times(value, (-1) ** mu * factor)
    return value


FOREIGN_UFUNCS["lpmv"] = _lpmv
