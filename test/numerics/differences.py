# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Finite differences of order eight in extended precision.

With the 64-bit mantissa of x86's `longdouble`, step h and distance R to the nearest singularity,
the truncation error of a first derivative is about 600 (h/R)^8 and the rounding error 1e-19/h, both
relative. h = R/100 makes both negligible beside the rounding of double precision, also where a
difference is taken twice.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
Function = Callable[..., Array]

# Weights of f(x + k h) - f(x - k h), k = 1, 2, 3, 4.
WEIGHTS = tuple(np.longdouble(a) / b for a, b in ((4, 5), (-1, 5), (4, 105), (-1, 280)))


def partial(f: Function, i: int, step: Array) -> Function:
    """The partial derivative in argument `i` of a function that acts on each element alone."""

    def difference(*x: Array) -> Array:
        def at(k: int) -> Array:
            moved = list(x)
            moved[i] = x[i] + k * step
            return f(*moved)

        return sum(w * (at(k) - at(-k)) for k, w in enumerate(WEIGHTS, 1)) / step

    return difference


def widened(a: Array) -> Array:
    """Floats and complex numbers in extended precision."""
    return a.astype({"f": "g", "c": "G"}.get(a.dtype.kind, a.dtype))


def directional(f: Function, x: Sequence[Array], t: Sequence[Array], step: float = 2e-4) -> Array:
    """The derivative of `f` at `x` along `t`, in extended precision."""
    wide = [(widened(a), widened(d)) for a, d in zip(x, t, strict=True)]

    def at(k: int) -> Array:
        return np.asarray(f(*(a + k * np.longdouble(step) * d for a, d in wide)))

    return sum(w * (at(k) - at(-k)) for k, w in enumerate(WEIGHTS, 1)) / np.longdouble(step)
