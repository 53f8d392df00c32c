# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The implicit method Radau IIA of order 5, for stiff equations, with its error and dense output.

The states at three places of a step are the root of an equation, which Newton's method solves with
one Jacobian for all iterations, by a real and a complex system of the size of the state;
derivatives are those of the root, whatever the iterations were.

Hairer and Wanner, Solving ordinary differential equations II, sections IV.5 and IV.8.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from gradopt.scipy.linalg import lu_factor, lu_solve
from gradopt.transforms.gradient import stop_gradient
from gradopt.transforms.implicit import custom_root
from gradopt.transforms.jacobians import jacfwd
from gradopt.transforms.loops import while_loop
from gradopt.transforms.runge_kutta import (
    Method,
    Slope,
    State,
    Step,
    Tolerances,
    norm,
    scale_of,
)

_ROOT = math.sqrt(6)
_NODES = np.array([(4 - _ROOT) / 10, (4 + _ROOT) / 10, 1])
_STAGES = np.array(
    [
        [(88 - 7 * _ROOT) / 360, (296 - 169 * _ROOT) / 1800, (-2 + 3 * _ROOT) / 225],
        [(296 + 169 * _ROOT) / 1800, (88 + 7 * _ROOT) / 360, (-2 - 3 * _ROOT) / 225],
        [(16 - _ROOT) / 36, (16 + _ROOT) / 36, 1 / 9],
    ]
)


def _eigenvectors() -> tuple[Any, Any, Any]:
    """Of the stages, the real eigenvalue and one of the pair, and vectors from right and left."""
    values, vectors = np.linalg.eig(_STAGES)
    real = np.argmin(np.abs(np.imag(values)))
    pair = np.argmax(np.imag(values))
    inverse = np.linalg.inv(vectors)
    return values[[real, pair]], vectors[:, [real, pair]], inverse[[real, pair]]


_VALUES, _VECTORS, _INVERSE = _eigenvectors()
# The real eigenvalue of the inverse of the stages, and what the error is estimated with.
_EIGENVALUE = 3 + 3 ** (2 / 3) - 3 ** (1 / 3)
_ERROR = np.array([-13 - 7 * _ROOT, -13 + 7 * _ROOT, -1]) / 3
# The polynomial through the beginning and the three places, by powers of the fraction.
_POWERS = np.linalg.inv(_NODES[:, None] ** np.arange(1, 4))
_MOST_ITERATIONS = 15


def _step(
    slope: Slope, y: State, rise: State, t: Any, size: Any, tolerances: Tolerances
) -> tuple[Step, Any]:
    """A step of one vector."""
    (start,), (begin,) = y, rise
    dtype, count = start.dtype, start.shape[0]
    stages, nodes = _STAGES.astype(dtype), _NODES.astype(t.dtype)
    h = size.astype(dtype)
    fixed, now, fixed_size = stop_gradient((start, t, h))
    jacobian = stop_gradient(jacfwd(lambda y: slope([y], now)[0])(fixed))
    scale = scale_of([fixed], [fixed], tolerances)
    iterated = _newton(jacobian, fixed_size)
    enough = max(10 * float(np.finfo(dtype).eps) / max(tolerances.relative, 1e-300), 1e-9)

    def residual(changes: Any) -> Any:
        rates = [slope([start + changes[k]], t + nodes[k] * size)[0] for k in range(3)]
        return changes - h * (stages @ np.stack(rates))

    def solve(residual: Any, changes: Any) -> Any:
        def goes_on(state: Any) -> Any:
            number, _, change = state
            return (number < _MOST_ITERATIONS) & (change > enough)

        def iterate(state: Any) -> Any:
            number, changes, _ = state
            change = iterated(residual(changes))
            return number + 1, changes - change, norm([change], [scale[0][None]])

        _, changes, change = while_loop(goes_on, iterate, (np.int64(0), changes, np.float64(1)))
        # What did not converge is no number, and the step is refused.
        return np.where(change <= enough, changes, np.nan).astype(dtype)

    def tangent_solve(linear: Any, y: Any) -> Any:
        matrix = jacfwd(lambda x: np.ravel(linear(np.reshape(x, (3, count)))))(np.ravel(y))
        return np.reshape(np.linalg.solve(matrix, np.ravel(y)), (3, count))

    changes = custom_root(residual, np.zeros((3, count), dtype), solve, tangent_solve)
    end = start + changes[2]
    fall = slope([end], t + size)[0]
    powers = _POWERS.astype(dtype) @ changes
    ratio = _error_ratio(begin, changes, jacobian, size.astype(dtype), y, [end], tolerances)
    return Step(size, y, rise, [[powers[k]] for k in range(3)], [end], [fall]), ratio


def _newton(jacobian: Any, h: Any) -> Any:
    """The solution of `x - h (stages (x) jacobian) x = y`, as a function of y of shape (3, n).

    In eigenvectors of the stages these are three systems, one of them the conjugate of another.
    """
    dtype = jacobian.dtype
    paired = np.result_type(dtype, np.complex64)
    eye = np.eye(jacobian.shape[0], dtype=dtype)
    value, pair = dtype.type(_VALUES[0].real), paired.type(_VALUES[1])
    single = lu_factor(eye - (h * value) * jacobian)
    double = lu_factor(eye - (h * pair) * jacobian)
    rows = [_INVERSE[0].real.astype(dtype), _INVERSE[1].astype(paired)]
    columns = [_VECTORS[:, 0].real.astype(dtype), 2 * _VECTORS[:, 1].astype(paired)]

    def solved(y: Any) -> Any:
        x = lu_solve(single, rows[0] @ y)
        z = lu_solve(double, rows[1] @ y.astype(paired))
        return columns[0][:, None] * x + np.real(columns[1][:, None] * z)

    return solved


def _error_ratio(
    rise: Any, changes: Any, jacobian: Any, h: Any, y: State, end: State, tolerances: Tolerances
) -> Any:
    rise, changes, h, y, end = stop_gradient((rise, changes, h, y, end))
    dtype = rise.dtype
    matrix = np.eye(rise.shape[0], dtype=dtype) * (_EIGENVALUE / h) - jacobian
    error = np.linalg.solve(matrix, rise + (_ERROR.astype(dtype) @ changes) / h)
    return stop_gradient(norm([error], scale_of(y, end, tolerances)))


def _at(x: Any, _size: Any, start: Any, _rise: Any, *others: Any) -> Any:
    a, b, c = others[:3]
    return start + x * (a + x * (b + x * c))


RADAU = Method(order=3, inner=3, step=_step, at=_at)
