# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Integrals of functions in `scipy.integrate`, by rules with a known number of places."""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from gradopt.array.handle import wrap
from gradopt.array.operands import traced
from gradopt.base.frames import hide_frames
from gradopt.base.location import source_location
from gradopt.compilation.calling import call_user, check_callable
from gradopt.compilation.programs import program
from gradopt.errors import ArgumentError, ShapeError
from gradopt.scipy.operands import real


@functools.cache
def _gauss(n: int) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Places and weights of Gauss's rule on [-1, 1]."""
    return np.polynomial.legendre.leggauss(n)


@hide_frames
def fixed_quad(
    func: Callable[..., Any], a: Any, b: Any, args: Any = (), n: int = 5
) -> tuple[Any, None]:
    """The integral of a function by Gauss's rule with n places, exact for degrees below 2 n.

    Args:
        func: function of an array of shape (n,) and of `args`; values are along the last axis.
        a: the lower end, a number.
        b: the upper end.
        args: passed on.
        n: how many places there are.

    Returns:
        The integral, and None, as in SciPy.

    Raises:
        ArgumentError: n is not positive.
        ShapeError: the function does not return n values.
    """
    check_callable(func)
    count = operator.index(n)
    if count < 1:
        raise ArgumentError(f"n must be positive, but it is {count}", source_location())
    return _fixed(a, b, tuple(args), func=func, n=count), None


@program
def _fixed(a: Any, b: Any, args: tuple[Any, ...], *, func: Callable[..., Any], n: int) -> Any:
    low, high = real("integrate.fixed_quad", a, b)
    places, weights = (part.astype(low.dtype) for part in _gauss(n))
    x = (high - low) * (places + 1) / 2 + low
    values = wrap(traced(call_user(func, (x, *args), {})))
    if values.ndim and values.shape[-1] != n:
        raise ShapeError(
            f"fixed_quad: the function must return {n} values along the last axis, but what it "
            f"returns has shape {values.shape}",
            source_location(),
        )
    return traced((high - low) / 2 * np.sum(weights * values, axis=-1))
