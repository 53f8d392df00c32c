# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Greatest common divisors, by Euclid's algorithm on whole arrays."""

from __future__ import annotations

from typing import Any

import numpy as np

from gradopt.array.handle import wrap
from gradopt.functions.ufuncs import operands_of, register
from gradopt.ir import prims
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
    return found._read()


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
