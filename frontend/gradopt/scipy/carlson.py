# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Carlson's symmetric elliptic integrals of `scipy.special`, of real numbers.

By Carlson's duplication, as many times as the widest spread of arguments needs, and a series in
what is left of their differences (Carlson 1995, Numerical computation of real or complex elliptic
integrals; DLMF 19.36). All terms of the sums are positive, and the number of duplications is fixed,
so that derivatives of all orders are those of the same sums.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from gradopt.array.handle import wrap
from gradopt.array.operands import traced
from gradopt.functions.special import full, number, ufunc
from gradopt.functions.special_derived import alike, equal, polynomial
from gradopt.ir import prims
from gradopt.ir.values import Value, emit
from gradopt.recording import grad
from gradopt.transforms.loops import fori_loop

# In double precision, arguments that differ by a factor of 1e300 are left with differences of less
# than a thousandth, of which the sixth power counts in derivatives of second order; in single
# precision, those that differ by 1e38 with a fiftieth.
_DUPLICATIONS = {"float64": 14, "float32": 9}
# Of RC next to its removable singularity.
_TERMS = 18
_NEAR = 0.1


def _root(x: Value) -> Value:
    return emit(grad.sqrt, x)


def _both(left: Value, right: Value) -> Value:
    return emit(grad.logical_and, left, right)


def _either(left: Value, right: Value) -> Value:
    return emit(grad.logical_or, left, right)


def _product(x: Value, y: Value, z: Value) -> Value:
    """The sum of the products of two roots each."""
    return x * y + y * z + z * x


def _select(condition: Value, value: Value, otherwise: float) -> Value:
    return prims.select(condition, value, full(value, otherwise))


def _sum_of(x: Value, terms: Sequence[tuple[float, Value]]) -> Value:
    """1 and these terms."""
    total = full(x, 1)
    for factor, term in terms:
        total = total + number(x, factor) * term
    return total


def _rest_of_squares(average: Value, x: Value, y: Value, z: Value) -> Value:
    """The series of RF, up to the seventh order (DLMF 19.36.1)."""
    a, b = (average - x) / average, (average - y) / average
    c = -(a + b)
    e2, e3 = a * b - c * c, a * b * c
    return _sum_of(
        a,
        [
            *((-1 / 10, e2), (1 / 14, e3), (1 / 24, e2 * e2), (-3 / 44, e2 * e3)),
            *((-5 / 208, e2 * e2 * e2), (3 / 104, e3 * e3), (1 / 16, e2 * e2 * e3)),
        ],
    )


def _rest_of_cubes(a: Value, b: Value, c: Value, p: Value) -> Value:
    """The series of RJ, and RD, up to the seventh order (DLMF 19.36.2); a + b + c + 2 p = 0."""
    square = p * p
    e2 = a * b + b * c + c * a - number(a, 3) * square
    e3 = a * b * c + number(a, 2) * p * (e2 + number(a, 2) * square)
    e4 = (number(a, 2) * a * b * c + p * (e2 + number(a, 3) * square)) * p
    e5 = a * b * c * square
    return _sum_of(
        a,
        [
            *((-3 / 14, e2), (1 / 6, e3), (9 / 88, e2 * e2), (-3 / 22, e4)),
            *((-9 / 52, e2 * e3), (3 / 26, e5), (-1 / 16, e2 * e2 * e2)),
            *((3 / 40, e3 * e3), (3 / 20, e2 * e4), (45 / 272, e2 * e2 * e3)),
            *((-9 / 68, e3 * e4), (-9 / 68, e2 * e5)),
        ],
    )


# -- Inside of the domains ---------------------------------------------------------------------


def _first(x: Value, y: Value, z: Value) -> Value:
    """RF of positive numbers, of which one may be 0."""
    quarter = number(x, 0.25)
    for _ in range(_DUPLICATIONS[x.dtype.name]):
        shift = _product(_root(x), _root(y), _root(z))
        x, y, z = [(v + shift) * quarter for v in (x, y, z)]
    average = (x + y + z) * number(x, 1 / 3)
    return _rest_of_squares(average, x, y, z) / _root(average)


def _second(x: Value, y: Value, z: Value) -> Value:
    """RD of positive numbers, of which x or y may be 0."""
    quarter, total = number(x, 0.25), full(x, 0)
    count = _DUPLICATIONS[x.dtype.name]
    for k in range(count):
        roots = [_root(v) for v in (x, y, z)]
        shift = _product(*roots)
        total = total + number(x, 3 * 0.25**k) / (roots[2] * (z + shift))
        x, y, z = [(v + shift) * quarter for v in (x, y, z)]
    average = (x + y + number(x, 3) * z) * number(x, 0.2)
    a, b = (average - x) / average, (average - y) / average
    c = (a + b) * number(x, -1 / 3)
    rest = _rest_of_cubes(a, b, c, c) / (average * _root(average))
    return total + number(x, 0.25**count) * rest


def _degenerate(x: Value, y: Value) -> Value:
    """RC of y > 0 and x >= 0."""
    difference = y - x
    near = emit(grad.less, abs(difference), number(x, _NEAR) * y)
    above = _both(difference > number(x, 0), emit(grad.logical_not, near))
    below = emit(grad.logical_not, _either(near, above))
    series = [1 / (2 * k + 1) for k in range(_TERMS)]
    # Of t = 1 - x / y: the inverse tangent of the root, divided by it and by that of x / y.
    ratio = _select(near, x / y, 1)
    ratios = (ratio - number(x, 1)) / ratio
    close = polynomial(ratios, series) / _root(ratio) / _root(y)
    root = _root(_select(above, difference, 1))
    wide = emit(grad.arctan2, root, _root(_select(above, x, 1))) / root
    root = _root(_select(below, -difference, 1))
    narrow = emit(grad.arcsinh, root / _root(_select(below, y, 1))) / root
    return prims.select(near, close, prims.select(above, wide, narrow))


def _third(x: Value, y: Value, z: Value, p: Value) -> Value:
    """RJ of positive numbers, of which x, y or z may be 0.

    A loop: written down, it would be long. Of a p that is large, duplications tell little: there it
    follows from a q that is about the largest of the others (DLMF 19.21.12).
    """
    x, y, largest = _ordered(x, y, z)
    far = p > number(p, 4) * largest
    distance = _select(far, p - largest, 1)
    rise = (largest - x) * ((largest - y) / distance)
    q = largest + rise
    # In units of the largest one, so that it does not overflow.
    root = _root(largest)
    scaled = [x / largest, y / largest, full(x, 1), prims.select(far, q, p) / largest]
    near = _repeated(*scaled) / root
    first = _first(x, y, largest)
    ratio = _select(far, p / largest, 1)
    second = _degenerate(x * (y / largest), ratio * q)
    three = number(x, 3)
    beyond = (three * (first - second) - rise / largest * near) / distance
    return prims.select(far, beyond, near / largest)


def _repeated(*operands: Value) -> Value:
    """RJ of numbers of which p is not far larger than the others, by duplication."""
    count = _DUPLICATIONS[operands[0].dtype.name]
    dtype = operands[0].dtype.type
    quarter, two, six = dtype(0.25), dtype(2), dtype(6)

    def duplicate(_: Any, carried: Any) -> Any:
        *places, p, weight, total = carried
        roots = [np.sqrt(v) for v in places]
        last = np.sqrt(p)
        shift = roots[0] * roots[1] + roots[1] * roots[2] + roots[2] * roots[0]
        d, e, f = [last + root for root in roots]
        # 1 + (p - x) (p - y) (p - z) / (d e f)^2, in which nothing cancels.
        place = traced(two * (last / d) * ((p + shift) / e / f))
        value = wrap(_degenerate(full(place, 1), place))
        total = total + six * weight / d / e / f * value
        shifted = [(v + shift) * quarter for v in (*places, p)]
        return (*shifted, weight * quarter, total)

    zero = wrap(full(operands[0], 0))
    start = (*[wrap(v) for v in operands], dtype(1), zero)
    *places, weight, total = fori_loop(0, count, duplicate, start)
    x, y, z, p = [traced(v) for v in places]
    average = (x + y + z + number(x, 2) * p) * number(x, 0.2)
    a, b, c = [(average - v) / average for v in (x, y, z)]
    rest = _rest_of_cubes(a, b, c, (a + b + c) * number(x, -0.5))
    return traced(total + weight * wrap(rest / (average * _root(average))))


def _ordered(x: Value, y: Value, z: Value) -> tuple[Value, Value, Value]:
    """The smallest, the middle and the largest one."""

    def pair(u: Value, v: Value) -> tuple[Value, Value]:
        swap = u > v
        return prims.select(swap, v, u), prims.select(swap, u, v)

    x, y = pair(x, y)
    y, z = pair(y, z)
    x, y = pair(x, y)
    return x, y, z


def _any_third(x: Value, y: Value, z: Value, p: Value) -> Value:
    """RJ; of p < 0 its principal value (DLMF 19.20.14)."""
    below = p < number(p, 0)
    low, middle, high = _ordered(x, y, z)
    q = _select(below, -p, 1)
    ends = low * high
    total = middle + q
    place = middle * ((low + high + q) / total) - ends / total
    rise = (high - middle) * ((middle - low) / total)
    value = _third(low, middle, high, prims.select(below, place, p))
    both = ends + place * q
    last = _root(middle * (ends / both)) * _degenerate(both, place * q)
    principal = rise * value + number(x, 3) * (last - _first(low, middle, high))
    return prims.select(below, principal / total, value)


# -- With the limits of the domains ------------------------------------------------------------


def _guarded(
    operands: Sequence[Value],
    formula: Callable[..., Value],
    cases: Sequence[tuple[Value, float]],
) -> Value:
    """A formula, and constants where there are others; the first one that holds counts."""
    outside = cases[0][0]
    for where, _ in cases[1:]:
        outside = _either(outside, where)
    inside = [prims.select(outside, full(v, 1), v) for v in operands]
    result = formula(*inside)
    for where, value in reversed(cases):
        result = prims.select(where, full(result, value), result)
    return result


def _count_of(test: Callable[[Value], Value], *operands: Value) -> Value:
    """How many of the operands pass a test."""
    total: Value | None = None
    for x in operands:
        one = prims.select(test(x), full(x, 1), full(x, 0))
        total = one if total is None else total + one
    assert total is not None
    return total


def _any_of(test: Callable[[Value], Value], *operands: Value) -> Value:
    found = test(operands[0])
    for x in operands[1:]:
        found = _either(found, test(x))
    return found


def _negative(x: Value) -> Value:
    return _either(x < number(x, 0), emit(grad.isnan, x))


def _zero(x: Value) -> Value:
    return equal(x, 0)


def _infinite(x: Value) -> Value:
    return equal(x, math.inf)


def _several_zeros(*operands: Value) -> Value:
    count = _count_of(_zero, *operands)
    return count > number(count, 1.5)


@ufunc("elliprf")
def elliprf(x: Value, y: Value, z: Value) -> Value:
    """`scipy.special.elliprf`: the symmetric integral of the first kind."""
    operands = alike(x, y, z)
    return _guarded(
        operands,
        _first,
        [
            (_any_of(_negative, *operands), math.nan),
            (_any_of(_infinite, *operands), 0.0),
            (_several_zeros(*operands), math.inf),
        ],
    )


@ufunc("elliprd")
def elliprd(x: Value, y: Value, z: Value) -> Value:
    """`scipy.special.elliprd`: the symmetric integral of the second kind."""
    x, y, z = operands = alike(x, y, z)
    return _guarded(
        operands,
        _second,
        [
            (_any_of(_negative, *operands), math.nan),
            (_zero(z), math.inf),
            (_any_of(_infinite, *operands), 0.0),
            (_several_zeros(x, y), math.inf),
        ],
    )


@ufunc("elliprc")
def elliprc(x: Value, y: Value) -> Value:
    """`scipy.special.elliprc`: the degenerate integral; of y < 0 its principal value."""
    x, y = alike(x, y)
    infinite = _either(_infinite(x), _infinite(abs(y)))

    def formula(x: Value, y: Value) -> Value:
        # DLMF 19.2.20.
        below = y < number(y, 0)
        value = _degenerate(prims.select(below, x - y, x), abs(y))
        factor = _root(_select(below, x / (x - _select(below, y, -1)), 1))
        return value * factor

    cases = [
        (_either(_negative(x), _either(_zero(y), emit(grad.isnan, y))), math.nan),
        (_both(infinite, y < number(y, 0)), math.nan),
        (infinite, 0.0),
    ]
    return _guarded([x, y], formula, cases)


@ufunc("elliprj")
def elliprj(x: Value, y: Value, z: Value, p: Value) -> Value:
    """`scipy.special.elliprj`: the symmetric integral of the third kind.

    Of p < 0 its principal value.
    """
    x, y, z, p = alike(x, y, z, p)
    operands = [x, y, z, p]
    cases = [
        (_either(_any_of(_negative, x, y, z), emit(grad.isnan, p)), math.nan),
        (_several_zeros(x, y, z), math.inf),
        (_either(_any_of(_infinite, x, y, z), _infinite(abs(p))), 0.0),
        (_zero(p), math.inf),
    ]
    return _guarded(operands, _any_third, cases)


@ufunc("elliprg")
def elliprg(x: Value, y: Value, z: Value) -> Value:
    """`scipy.special.elliprg`: the completely symmetric integral of the second kind."""
    operands = alike(x, y, z)

    def formula(x: Value, y: Value, z: Value) -> Value:
        # DLMF 19.21.10, in units of the middle one, which is there in the role of z: all terms are
        # positive.
        low, middle, largest = _ordered(x, y, z)
        flat = _either(_zero(middle), _infinite(largest / middle))
        unit = _select(emit(grad.logical_not, flat), middle, 1)
        one = full(x, 1)
        low, high = low / unit, _select(emit(grad.logical_not, flat), largest / unit, 1)
        spread = (high - one) * (one - low) * number(x, 1 / 3)
        total = _first(low, high, one) + spread * _second(low, high, one) + _root(low) * _root(high)
        largest = _root(_select(flat, largest, 1))
        return number(x, 0.5) * prims.select(flat, largest, _root(unit) * total)

    cases = [
        (_any_of(_negative, *operands), math.nan),
        (_any_of(_infinite, *operands), math.inf),
    ]
    return _guarded(operands, formula, cases)
