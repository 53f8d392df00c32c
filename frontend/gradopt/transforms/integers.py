# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Functions of integers that are loops over whole arrays: powers, greatest common divisors."""

from __future__ import annotations

from typing import Any

import numpy as np

from gradopt.array.handle import Handle, wrap
from gradopt.array.operands import is_traced
from gradopt.base.dtypes import INT64
from gradopt.base.location import source_location
from gradopt.errors import ArgumentError
from gradopt.functions.ufuncs import operands_of, register, simple_power
from gradopt.ir import prims
from gradopt.ir.checks import require_within
from gradopt.ir.prims import scalar
from gradopt.ir.values import Value
from gradopt.transforms.loops import while_loop


def _sizes(ufunc: np.ufunc, x: Any, y: Any) -> tuple[Value, Value]:
    u, v = operands_of(ufunc, x, y)
    shape = prims.broadcast_shapes(u.shape, v.shape)
    a, b = prims.broadcast_to(u, shape), prims.broadcast_to(v, shape)
    return (abs(a), abs(b)) if u.dtype.kind == "i" else (a, b)


def _divisor(a: Value, b: Value) -> Value:
    def step(state: Any) -> Any:
        larger, smaller = state
        is_done = smaller == 0
        rest = np.remainder(larger, np.where(is_done, 1, smaller).astype(a.dtype))
        return np.where(is_done, larger, smaller), np.where(is_done, smaller, rest)

    found, _ = while_loop(lambda state: np.any(state[1] != 0), step, (wrap(a), wrap(b)))
    # The size of the least integer is negative, as NumPy's is.
    return abs(found._read()) if a.dtype.kind == "i" else found._read()


@register(np.gcd)
def gcd(x: Any, y: Any) -> Value:
    """`numpy.gcd`."""
    return _divisor(*_sizes(np.gcd, x, y))


@register(np.lcm)
def lcm(x: Any, y: Any) -> Value:
    """`numpy.lcm`."""
    a, b = _sizes(np.lcm, x, y)
    divisor = _divisor(a, b)
    one = scalar(1, a.dtype)
    safe = prims.select(prims.equal(divisor, 0), one, divisor)
    return np.floor_divide(wrap(a), wrap(safe))._read() * b


_NEGATIVE = "integers to negative integer powers are not allowed, but an exponent is {value}"


# How many powers of integers of Python have been traced that may be large, in the notes of a trace.
LARGE_POWERS = "large powers"


def _is_of_python(x: Any) -> bool:
    """Whether an operand is an integer of Python, traced or not."""
    return type(x) is int or (isinstance(x, Handle) and x._weak and x.dtype.kind == "i")


def _may_be_large(base: Any, exponent: Any) -> bool:
    """Whether a power of integers that a loop counts may soon be beyond int64."""
    if type(exponent) is int:
        return exponent > 4
    return type(base) is not int or base not in (-1, 0, 1)


@register(np.power)
def power(base: Any, exponent: Any) -> Value:
    """`numpy.power`; of integers with exponents that are not constant by repeated squares."""
    if _is_of_python(base) and _is_of_python(exponent) and _may_be_large(base, exponent):
        notes = prims.scope().trace.notes
        notes[LARGE_POWERS] = notes.get(LARGE_POWERS, 0) + 1
    simple = simple_power(base, exponent)
    if simple is not None:
        return simple
    if not is_traced(exponent) and np.any(np.asarray(exponent) < 0):
        raise ArgumentError(_NEGATIVE.format(value=np.min(exponent)), source_location())
    x, n = operands_of(np.power, base, exponent)
    shape = prims.broadcast_shapes(x.shape, n.shape)
    x, n = prims.broadcast_to(x, shape), prims.broadcast_to(n, shape)
    if n.dtype.kind == "i" and is_traced(exponent):
        largest = np.iinfo(np.int64).max
        require_within(prims.convert(n, INT64), 0, largest, _NEGATIVE, ArgumentError)
        n = prims.select(n > 0, n, prims.full(shape, 0, n.dtype))

    def step(state: Any) -> Any:
        result, factor, rest = state
        return np.where(rest & 1 != 0, result * factor, result), factor * factor, rest >> 1

    state = wrap(prims.full(shape, 1, x.dtype)), wrap(x), wrap(n)
    return while_loop(lambda state: np.any(state[2] != 0), step, state)[0]._read()
