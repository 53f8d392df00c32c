# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""`numpy.polynomial`: values of series, matrices of basis functions, and fits.

Each family has a recurrence, `p[k + 1] = (a x + b) p[k] - c p[k - 1]`, with a, b and c functions of
k (Abramowitz and Stegun 22.7). NumPy does not look for traced values in these functions; rewritten
code does.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from gradopt.array.dispatch import implements, unsupported
from gradopt.array.handle import Handle, wrap
from gradopt.array.operands import traced
from gradopt.base.dtypes import FLOAT64, PYTHON_NUMBERS, float_limits, is_inexact
from gradopt.base.location import source_location
from gradopt.errors import ShapeError
from gradopt.ir import prims


class Family(NamedTuple):
    """Polynomials with a recurrence.

    Attributes:
        name: NumPy's prefix.
        module: NumPy's module.
        step: a, b and c of the recurrence from k on; c is not asked for at 0.
    """

    name: str
    module: Any
    step: Callable[[int], tuple[float, float, float]]


FAMILIES = (
    Family("poly", np.polynomial.polynomial, lambda k: (1, 0, 0)),
    Family("cheb", np.polynomial.chebyshev, lambda k: (2 if k else 1, 0, 1)),
    Family("leg", np.polynomial.legendre, lambda k: ((2 * k + 1) / (k + 1), 0, k / (k + 1))),
    Family("herm", np.polynomial.hermite, lambda k: (2, 0, 2 * k)),
    Family("herme", np.polynomial.hermite_e, lambda k: (1, 0, k)),
    Family(
        "lag",
        np.polynomial.laguerre,
        lambda k: (-1 / (k + 1), (2 * k + 1) / (k + 1), k / (k + 1)),
    ),
)


def inexact(value: Any) -> Any:
    """An array that is traced, integers as float64."""
    v = traced(value)
    return wrap(v if is_inexact(v.dtype) else prims.convert(v, FLOAT64))


def _series(family: Family, x: Any, c: Any) -> Any:
    """The sum of the first axis of coefficients times the basis at `x` (Clenshaw 1955)."""
    first: Any = 0.0
    second: Any = 0.0
    for k in range(len(c) - 1, 0, -1):
        (a, b, _), (_, _, after) = family.step(k), family.step(k + 1)
        first, second = c[k] + (a * x + b) * first - after * second, first
    a, b, _ = family.step(0)
    return c[0] + (a * x + b) * first - family.step(1)[2] * second + 0.0 * x


def basis(family: Family, x: Any, degree: Any) -> list[Any]:
    """The values of the polynomials up to a degree."""
    count = operator.index(degree)
    if count < 0:
        raise ShapeError("deg must be non-negative", source_location())
    columns = [0.0 * x + 1.0]
    for k in range(count):
        a, b, c = family.step(k)
        following = (a * x + b) * columns[-1]
        columns.append(following - c * columns[-2] if k else following)
    return columns


def values_of(family: Family) -> Callable[..., Any]:
    def call(x: Any, c: Any, tensor: bool = True) -> Any:
        coefficients = np.atleast_1d(inexact(c))
        # A number of Python's does not widen single precision.
        is_ready = type(x) in PYTHON_NUMBERS or isinstance(x, Handle)
        places: Any = x if is_ready else wrap(traced(x))
        if tensor and np.ndim(places):
            coefficients = coefficients.reshape(coefficients.shape + (1,) * np.ndim(places))
        return _series(family, places, coefficients)

    call.__doc__ = f"`numpy.polynomial` {family.name}val."
    return call


def _values_on(family: Family, count: int, is_grid: bool) -> Callable[..., Any]:
    """`polyval2d` and the like, at points or on a grid."""

    def call(*args: Any) -> Any:
        *places, c = args
        result = inexact(c)
        points = [inexact(place) for place in places]
        if not is_grid and any(p.shape != points[0].shape for p in points):
            raise ShapeError("x, y, z are incompatible", source_location())
        for i, x in enumerate(points):
            if i == 0 or is_grid:
                result = result.reshape(result.shape + (1,) * x.ndim)
            result = _series(family, x, result)
        return result

    call.__doc__ = f"`numpy.polynomial` {family.name}{'grid' if is_grid else 'val'}{count}d."
    return call


def _matrix(family: Family) -> Callable[..., Any]:
    def call(x: Any, deg: Any) -> Any:
        places = np.atleast_1d(inexact(x))
        return np.stack(basis(family, places, deg), axis=-1)

    call.__doc__ = f"`numpy.polynomial` {family.name}vander."
    return call


def fit_of(family: Family) -> Callable[..., Any]:
    def call(x: Any, y: Any, deg: Any, rcond: Any = None, full: bool = False, w: Any = None) -> Any:
        if np.ndim(deg):
            raise unsupported(f"a list of degrees of {family.name}fit", "give the highest degree")
        places, values = inexact(x), inexact(y)
        if places.ndim != 1 or not places.size or len(values) != len(places):
            raise ShapeError(
                f"expected x and y of the same length: {places.shape} and {values.shape}",
                source_location(),
            )
        matrix = np.stack(basis(family, places, deg), axis=-1)
        if w is not None:
            weights = inexact(w)
            matrix = matrix * weights[:, None]
            values = values * (weights if values.ndim == 1 else weights[:, None])
        if rcond is None:
            rcond = len(places) * float_limits(places.dtype).eps
        scale = np.sqrt(np.sum(np.square(matrix), axis=0))
        scale = np.where(scale == 0, 1.0, scale)
        solution, residuals, rank, singular = np.linalg.lstsq(matrix / scale, values, rcond)
        coefficients = (solution.T / scale).T
        return (coefficients, [residuals, rank, singular, rcond]) if full else coefficients

    call.__doc__ = f"`numpy.polynomial` {family.name}fit."
    return call


for _family in FAMILIES:
    _functions = {"val": values_of(_family), "vander": _matrix(_family), "fit": fit_of(_family)}
    for _count in (2, 3):
        _functions[f"val{_count}d"] = _values_on(_family, _count, is_grid=False)
        _functions[f"grid{_count}d"] = _values_on(_family, _count, is_grid=True)
    for _suffix, _function in _functions.items():
        implements(getattr(_family.module, f"{_family.name}{_suffix}"))(_function)
