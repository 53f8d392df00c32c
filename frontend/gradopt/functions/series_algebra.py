# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""`numpy.polynomial`: series from series, by their coefficients.

Sums, products, quotients, derivatives, integrals, roots, and the way to powers of x and back. A
result has as many coefficients as it can have: NumPy leaves out those at the end that are zero,
which compiled code does not know.

All families take products from one thing, how they multiply by x: from the recurrence
`p[k + 1] = (a x + b) p[k] - c p[k - 1]` follows `x p[k] = (p[k + 1] - b p[k] + c p[k - 1]) / a`.
Derivatives, integrals and companion matrices are linear in the coefficients, with numbers that
NumPy's own functions tell.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.polynomial import polyutils

from gradopt.array.dispatch import implements, unsupported
from gradopt.array.handle import wrap
from gradopt.array.operands import traced
from gradopt.base.dtypes import FLOAT64, is_inexact, result_type
from gradopt.base.location import source_location
from gradopt.errors import ElementError, GradoptError, LinAlgError, ShapeError, ZeroDivisorError
from gradopt.functions.series import FAMILIES, Family, basis, inexact, values_of
from gradopt.ir import prims
from gradopt.ir.checks import require_all


def coefficients(c: Any) -> Any:
    """A series: one dimension, one coefficient at least, no integers.

    Raises:
        ShapeError: it is none.
    """
    found = np.atleast_1d(inexact(c))
    if found.ndim != 1:
        raise ShapeError("Coefficient array is not 1-d", source_location())
    if not found.size:
        raise ShapeError("Coefficient array is empty", source_location())
    return found


def _pair(first: Any, second: Any) -> tuple[Any, Any]:
    c1, c2 = coefficients(first), coefficients(second)
    kind = result_type(c1.dtype, c2.dtype)
    return c1.astype(kind), c2.astype(kind)


def _padded(c: Any, size: int) -> Any:
    """With zeros behind, along the first axis."""
    return np.pad(c, [(0, size - len(c))] + [(0, 0)] * (c.ndim - 1)) if size > len(c) else c


def _integer(value: Any, name: str) -> int:
    try:
        return operator.index(value)
    except TypeError:
        raise TypeError(f"{name} must be an integer") from None


# -- Sums and products -------------------------------------------------------------------------


def _times_x(family: Family, c: Any) -> Any:
    """As many coefficients of the product with x; the last one of `c` is zero, or is left out."""
    steps = [family.step(k) for k in range(len(c))]
    up = np.array([1 / a for a, _, _ in steps], c.dtype)
    same = np.array([-b / a for a, b, _ in steps], c.dtype)
    down = np.array([after / a for a, _, after in steps], c.dtype)
    zero = c[:1] * 0
    result = np.concatenate([zero, (c * up)[:-1]])
    if same.any():
        result = result + c * same
    if len(c) > 1 and down[1:].any():
        result = result + np.concatenate([(c * down)[1:], zero])
    return result


def _combined(family: Family, terms: Sequence[Any], times_x: Callable[[Any], Any]) -> Any:
    """The sum of `terms[k] p[k](x)` where `times_x` multiplies by x (Clenshaw 1955)."""
    first = second = terms[-1] * 0
    for k in range(len(terms) - 1, 0, -1):
        (a, b, _), (_, _, after) = family.step(k), family.step(k + 1)
        following = terms[k] + a * times_x(first)
        if b:
            following = following + b * first
        if after:
            following = following - after * second
        first, second = following, first
    a, b, _ = family.step(0)
    return terms[0] + a * times_x(first) + b * first - family.step(1)[2] * second


def _unit(c: Any, k: int, size: int) -> Any:
    """A series of coefficient k of `c`, times the polynomial of degree 0."""
    return _padded(c[k : k + 1], size)


def _of_both(operation: Callable[[Any, Any], Any]) -> Callable[..., Any]:
    """`polyadd` and `polysub`, which are the same for all families."""

    def call(c1: Any, c2: Any) -> Any:
        p, q = _pair(c1, c2)
        size = max(len(p), len(q))
        return operation(_padded(p, size), _padded(q, size))

    return call


def _multiply_by_x(family: Family) -> Callable[..., Any]:
    def call(c: Any) -> Any:
        p = coefficients(c)
        return _times_x(family, _padded(p, len(p) + 1))

    return call


def product(family: Family, p: Any, q: Any) -> Any:
    """The product of two series of one dtype."""
    if family.name == "poly":
        return np.convolve(p, q)
    if family.name == "cheb":
        # Of z^k + z^-k, where x = (z + 1 / z) / 2.
        p, q = (np.concatenate([c[:0:-1] / 2, c[:1], c[1:] / 2]) for c in (p, q))
        long = np.convolve(p, q)
        half = len(long) // 2
        return np.concatenate([long[half : half + 1], 2 * long[half + 1 :]])
    if len(p) < len(q):
        p, q = q, p
    size = len(p) + len(q) - 1
    p = _padded(p, size)
    return _combined(family, [c * p for c in q], lambda c: _times_x(family, c))


def _multiply(family: Family) -> Callable[..., Any]:
    return lambda c1, c2: product(family, *_pair(c1, c2))


def _power(family: Family, limit: int | None) -> Callable[..., Any]:
    def call(c: Any, pow: Any, maxpower: Any = limit) -> Any:
        p = coefficients(c)
        exponent = int(pow)
        if exponent != pow or exponent < 0:
            raise ElementError("Power must be a non-negative integer.", source_location())
        if maxpower is not None and exponent > maxpower:
            raise ElementError("Power is too large", source_location())
        result = np.ones(1, p.dtype)
        for i in range(exponent):
            result = product(family, result, p) if i else p
        return result

    return call


def _require_degree(c: Any, message: str, error: type[GradoptError]) -> None:
    """Lets a call fail if the last coefficient is zero: NumPy would leave it out before."""
    require_all(prims.not_equal(traced(c[-1:]), 0), message, error)


def _divide(family: Family) -> Callable[..., Any]:
    def call(c1: Any, c2: Any) -> tuple[Any, Any]:
        p, q = _pair(c1, c2)
        _require_degree(
            q, f"{family.name}div: the leading coefficient of the divisor is zero", ZeroDivisorError
        )
        count = len(p) - len(q) + 1
        if count < 1:
            return p[:1] * 0, p
        if len(q) == 1:
            return p / q[-1], p[:1] * 0
        kind = p.dtype
        if family.name not in ("poly", "cheb"):
            # NumPy multiplies with lists of Python's numbers here; the quotient is narrow again.
            p, q = (v.astype(result_type(kind, FLOAT64)) for v in (p, q))
        quotient: list[Any] = []
        multiples = [_padded(q, len(p))]
        for k in range(count - 1):
            # The products of the divisor and the polynomials of all degrees.
            a, b, after = family.step(k)
            following = a * _times_x(family, multiples[-1]) + b * multiples[-1]
            multiples.append(following - after * multiples[-2] if k else following)
        rest = p
        for k in range(count - 1, -1, -1):
            multiple = multiples[k][: len(q) + k]
            factor = rest[-1] / multiple[-1]
            rest = rest[:-1] - factor * multiple[:-1]
            quotient.append(factor)
        return np.stack(quotient[::-1]).astype(kind), rest

    return call


def _from_roots(family: Family) -> Callable[..., Any]:
    def call(roots: Any) -> Any:
        zeros = np.atleast_1d(inexact(roots))
        if zeros.ndim != 1:
            raise ShapeError("Coefficient array is not 1-d", source_location())
        zeros = zeros.astype(result_type(zeros.dtype, FLOAT64))
        result = np.ones(1, zeros.dtype)
        for i in range(len(zeros)):
            longer = _padded(result, i + 2)
            result = _times_x(family, longer) - zeros[i] * longer
        return result

    return call


def _line(family: Family) -> Callable[..., Any]:
    def call(off: Any, scl: Any) -> Any:
        offset, slope = inexact(off), inexact(scl)
        one = np.array([1.0, 0.0], result_type(offset.dtype, slope.dtype))
        return offset * one + slope * _times_x(family, one)

    return call


# -- Derivatives and integrals -----------------------------------------------------------------


def _along(c: Any, axis: Any, change: Callable[[Any], Any]) -> Any:
    """Changes coefficients of any dimensions along one."""
    found = np.atleast_1d(inexact(c))
    return np.moveaxis(change(np.moveaxis(found, axis, 0)), 0, axis)


def _linear(function: Callable[[Any], Any], c: Any) -> Any:
    """A function of NumPy's that is linear in the coefficients, along the first axis."""
    matrix = function(np.eye(len(c)))
    return np.tensordot(matrix.astype(c.dtype), c, 1)


def _derivative(family: Family) -> Callable[..., Any]:
    once = getattr(family.module, f"{family.name}der")

    def call(c: Any, m: Any = 1, scl: Any = 1, axis: Any = 0) -> Any:
        order = _integer(m, "the order of derivation")
        if order < 0:
            raise ElementError("The order of derivation must be non-negative", source_location())

        def change(p: Any) -> Any:
            if order >= len(p):
                return p[:1] * 0
            for _ in range(order):
                p = scl * p
                if family.name == "poly":
                    weights = np.arange(1, len(p)).reshape(-1, *[1] * (p.ndim - 1))
                    p = p[1:] * weights.astype(p.dtype)
                else:
                    p = _linear(once, p)
            return p

        return _along(c, axis, change)

    return call


def _integral(family: Family) -> Callable[..., Any]:
    once = getattr(family.module, f"{family.name}int")
    value = values_of(family)

    def call(c: Any, m: Any = 1, k: Any = (), lbnd: Any = 0, scl: Any = 1, axis: Any = 0) -> Any:
        order = _integer(m, "the order of integration")
        constants = list(k) if np.iterable(k) else [k]
        if order < 0:
            raise ElementError("The order of integration must be non-negative", source_location())
        if len(constants) > order:
            raise ElementError("Too many integration constants", source_location())

        def change(p: Any) -> Any:
            for i in range(order):
                p = scl * p
                if family.name == "poly":
                    weights = np.arange(1, len(p) + 1).reshape(-1, *[1] * (p.ndim - 1))
                    p = np.concatenate([p[:1] * 0, p / weights.astype(p.dtype)])
                else:
                    p = _linear(once, p)
                first = p[0] - value(lbnd, p) + (constants[i] if i < len(constants) else 0)
                p = np.concatenate([first[None], p[1:]])
            return p

        return _along(c, axis, change)

    return call


# -- Roots -------------------------------------------------------------------------------------


def _companion(family: Family) -> Callable[..., Any]:
    numpys = getattr(family.module, f"{family.name}companion")

    def call(c: Any) -> Any:
        p = coefficients(c)
        n = len(p) - 1
        if n < 1:
            raise ElementError("Series must have maximum degree of at least 1.", source_location())
        # Only the last column depends on the series, and is linear in it.
        base = numpys([0.0] * n + [1.0])
        weights = numpys([1.0] * (n + 1))[:, -1] - base[:, -1]
        last = base[:, -1].astype(p.dtype) + weights.astype(p.dtype) * (p[:-1] / p[-1])
        return np.concatenate([base[:, :-1].astype(p.dtype), last[:, None]], axis=1)

    return call


def _roots(family: Family) -> Callable[..., Any]:
    companion = _companion(family)

    def call(c: Any) -> Any:
        p = coefficients(c)
        if len(p) == 1:
            return prims.full((0,), 0, p.dtype)
        _require_degree(
            p,
            f"{family.name}roots: the leading coefficient is zero: leave it out before the call",
            LinAlgError,
        )
        matrix = companion(p)
        if len(p) == 2:
            return matrix[0]
        return np.sort(np.linalg.eigvals(matrix[::-1, ::-1]))

    return call


# -- Between families, and what they share -----------------------------------------------------


def _from_powers(family: Family) -> Callable[..., Any]:
    powers = FAMILIES[0]

    def call(pol: Any) -> Any:
        p = coefficients(pol)
        p = p.astype(result_type(p.dtype, FLOAT64))
        terms = [_unit(p, k, len(p)) for k in range(len(p))]
        return _combined(powers, terms, lambda c: _times_x(family, c))

    return call


def _to_powers(family: Family) -> Callable[..., Any]:
    powers = FAMILIES[0]

    def call(c: Any) -> Any:
        p = coefficients(c)
        terms = [_unit(p, k, len(p)) for k in range(len(p))]
        return _combined(family, terms, lambda c: _times_x(powers, c))

    return call


def composed(outer: Family, c: Any, inner: Family, offset: Any, slope: Any) -> Any:
    """The series of `inner` of what `c` is at `offset + slope x`."""
    terms = [_unit(c, k, len(c)) for k in range(len(c))]
    return _combined(outer, terms, lambda p: offset * p + slope * _times_x(inner, p))


def _matrix_of(family: Family, count: int) -> Callable[..., Any]:
    """`polyvander2d` and the like."""

    def call(*args: Any) -> Any:
        *places, degrees = args
        points = [np.atleast_1d(inexact(place)) for place in places]
        if any(p.shape != points[0].shape for p in points):
            raise ShapeError("x, y, z are incompatible", source_location())
        if len(degrees) != count:
            raise ElementError(
                f"Expected {count} dimensions of degrees, got {len(degrees)}", source_location()
            )
        result = np.ones((*points[0].shape, 1), result_type(*(p.dtype for p in points)))
        for x, degree in zip(points, degrees, strict=True):
            columns = np.stack(basis(family, x, degree), axis=-1)
            result = (result[..., :, None] * columns[..., None, :]).reshape(*x.shape, -1)
        return result

    return call


@implements(polyutils.mapparms)
def mapparms(old: Any, new: Any) -> tuple[Any, Any]:
    """`numpy.polynomial.polyutils.mapparms`."""
    first, second = inexact(old), inexact(new)
    length = first[1] - first[0]
    offset = (first[1] * second[0] - first[0] * second[1]) / length
    return offset, (second[1] - second[0]) / length


@implements(polyutils.mapdomain)
def mapdomain(x: Any, old: Any, new: Any) -> Any:
    """`numpy.polynomial.polyutils.mapdomain`."""
    offset, slope = mapparms(old, new)
    return offset + slope * wrap(traced(x))


@implements(polyutils.getdomain)
def getdomain(x: Any) -> Any:
    """`numpy.polynomial.polyutils.getdomain`."""
    places = coefficients(x)
    if is_inexact(places.dtype) and places.dtype.kind == "c":
        low = places.real.min() + 1j * places.imag.min()
        high = places.real.max() + 1j * places.imag.max()
        return np.stack([low, high])
    return np.stack([places.min(), places.max()])


@implements(polyutils.trimcoef)
def trimcoef(c: Any, tol: Any = 0) -> Any:
    """`numpy.polynomial.polyutils.trimcoef`, which is refused."""
    raise unsupported(
        "trim",
        "how many coefficients it leaves depends on their values; use truncate or cutdeg",
    )


_LIMITS = {"cheb": 16, "leg": 16, "herm": 16, "herme": 16, "lag": 16}


def functions_of(family: Family) -> dict[str, Callable[..., Any]]:
    """Ours by NumPy's names, without the prefix."""
    return {
        "add": _of_both(operator.add),
        "sub": _of_both(operator.sub),
        "mulx": _multiply_by_x(family),
        "mul": _multiply(family),
        "div": _divide(family),
        "pow": _power(family, _LIMITS.get(family.name)),
        "fromroots": _from_roots(family),
        "line": _line(family),
        "der": _derivative(family),
        "int": _integral(family),
        "companion": _companion(family),
        "roots": _roots(family),
        "vander2d": _matrix_of(family, 2),
        "vander3d": _matrix_of(family, 3),
    }


for _family in FAMILIES:
    _name = _family.name
    for _suffix, _function in functions_of(_family).items():
        _function.__doc__ = f"`numpy.polynomial` {_name}{_suffix}."
        implements(getattr(_family.module, f"{_name}{_suffix}"))(_function)
    if _name != "poly":
        implements(getattr(_family.module, f"poly2{_name}"))(_from_powers(_family))
        implements(getattr(_family.module, f"{_name}2poly"))(_to_powers(_family))
