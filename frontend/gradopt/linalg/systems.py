# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""`numpy.linalg`: systems of equations, inverses and determinants."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from gradopt.array.dispatch import UFUNCS, implements
from gradopt.array.handle import array_of, wrap
from gradopt.array.operands import traced
from gradopt.base.location import source_location
from gradopt.errors import LinAlgError, ShapeError
from gradopt.functions.matrices import diagonal
from gradopt.functions.products import promoted
from gradopt.ir import factorizations, prims
from gradopt.ir.factorizations import inexact, require_square
from gradopt.ir.values import Value
from gradopt.linalg.factors import named, square
from gradopt.transforms.custom import custom_jvp


def require_sides(a: Value, b: Value, name: str) -> None:
    """Checks that right-hand sides have as many rows as the matrices.

    Raises:
        ShapeError: they do not.
    """
    if b.shape[-2] != a.shape[-1]:
        raise ShapeError(
            f"{name}: matrices of shape {a.shape} do not go with right-hand sides of shape "
            f"{b.shape}",
            source_location(),
        )


def beside(a: Value, b: Value, solve: Any) -> Value:
    """`solve(a, b)` for stacks of matrices that are broadcast; many sides of one matrix at once."""
    if a.ndim == 2 and b.ndim > 2:
        n = b.shape[-2]
        axes = list(range(b.ndim))
        first = prims.transpose(b, [b.ndim - 2, *axes[:-2], b.ndim - 1])
        x = solve(a, prims.reshape(first, (n, b.size // n if n else 0)))
        return prims.transpose(prims.reshape(x, first.shape), [*axes[1:-1], 0, b.ndim - 1])
    batch = prims.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    return solve(
        prims.broadcast_to(a, (*batch, *a.shape[-2:])),
        prims.broadcast_to(b, (*batch, *b.shape[-2:])),
    )


def _solved(a: Value, b: Value) -> Value:
    factors, pivots, _, status = factorizations.lu(a)
    factorizations.require_regular(status)
    return factorizations.lu_solve(a, factors, pivots, b)


@implements(np.linalg.solve)
def solve(a: Any, b: Any) -> Value:
    """`numpy.linalg.solve`: of a vector, if `b` has one dimension, else of matrices of columns."""
    x, y = (inexact(v) if v.ndim >= 2 else v for v in promoted(a, b))
    inexact(x)
    require_square(x)
    y = prims.convert(y, x.dtype)
    if y.ndim == 0:
        raise ShapeError("solve: the right-hand side has no dimensions", source_location())
    is_vector = y.ndim == 1
    if is_vector:
        y = prims.reshape(y, (y.size, 1))
    require_sides(x, y, "solve")
    result = beside(x, y, _solved)
    return prims.reshape(result, result.shape[:-1]) if is_vector else result


@implements(np.linalg.inv)
def inv(a: Any) -> Value:
    """`numpy.linalg.inv`."""
    return factorizations.inverse(square(a))


def _sign_and_log(a: Value) -> tuple[Value, Value, Value, Value]:
    """Sign and logarithm of the size of the determinant, the factors and the pivots."""
    factors, pivots, _, _ = factorizations.lu(a)
    diagonals = traced(diagonal(factors, 0, -2, -1))
    unmoved = prims.iota(pivots.shape, pivots.ndim - 1, pivots.dtype)
    minus, one = prims.full((), -1, a.dtype), prims.full((), 1, a.dtype)
    turned = prims.select(prims.equal(pivots, unmoved), one, minus)
    last = [pivots.ndim - 1]
    size = UFUNCS[np.absolute](diagonals)
    if a.dtype.kind == "c":
        is_zero = prims.equal(size, 0)
        safe = prims.select(is_zero, prims.full((), 1, size.dtype), size)
        signs = prims.select(
            is_zero, prims.full((), 0, a.dtype), diagonals / prims.convert(safe, a.dtype)
        )
    else:
        signs = UFUNCS[np.sign](diagonals)
    sign = prims.reduce("prod", signs * turned, last)
    return sign, prims.reduce("sum", UFUNCS[np.log](size), last), factors, pivots


@custom_jvp
def _slogdet(a: Any) -> Any:
    sign, logarithm, _, _ = _sign_and_log(traced(a))
    return array_of(sign), array_of(logarithm)


@_slogdet.defjvp
def _slogdet_rule(primals: Any, tangents: Any) -> Any:
    """From d log(det a) = trace(inverse(a) da), whose imaginary part turns the sign."""
    x, dx = traced(primals[0]), traced(tangents[0])
    sign, logarithm, factors, pivots = _sign_and_log(x)
    trace = np.trace(array_of(factorizations.lu_solve(x, factors, pivots, dx)), 0, -2, -1)
    sign, logarithm = array_of(sign), array_of(logarithm)
    if x.dtype.kind != "c":
        return (sign, logarithm), (np.zeros_like(sign), trace)
    return (sign, logarithm), (sign * (trace.imag * 1j), trace.real)


@implements(np.linalg.slogdet)
def slogdet(a: Any) -> Any:
    """`numpy.linalg.slogdet`; the derivative needs a regular matrix."""
    sign, logarithm = _slogdet(array_of(square(a)))
    return named(np.linalg.slogdet, traced(sign), traced(logarithm))


@implements(np.linalg.det)
def det(a: Any) -> Any:
    """`numpy.linalg.det`; the derivative needs a regular matrix."""
    sign, logarithm = _slogdet(array_of(square(a)))
    return sign * np.exp(logarithm)


@implements(np.linalg.tensorsolve)
def tensorsolve(a: Any, b: Any, axes: Any = None) -> Value:
    """`numpy.linalg.tensorsolve`."""
    x = traced(a)
    if axes is not None:
        kept = [axis for axis in range(x.ndim) if axis not in axes]
        x = traced(np.transpose(wrap(x), (*kept, *axes)))
    y = traced(b)
    shape = x.shape[-(x.ndim - y.ndim) :] if x.ndim > y.ndim else ()
    size = math.prod(shape)
    if x.size != size**2:
        raise LinAlgError(
            "Input arrays must satisfy the requirement prod(a.shape[b.ndim:]) == "
            "prod(a.shape[:b.ndim])",
            source_location(),
        )
    result = solve(prims.reshape(x, (size, size)), prims.reshape(y, (y.size,)))
    return prims.reshape(result, shape)


@implements(np.linalg.tensorinv)
def tensorinv(a: Any, ind: int = 2) -> Value:
    """`numpy.linalg.tensorinv`."""
    x = traced(a)
    if ind <= 0:
        raise ShapeError("Invalid ind argument.", source_location())
    columns = math.prod(x.shape[ind:])
    result = inv(prims.reshape(x, (x.size // columns if columns else 0, columns)))
    return prims.reshape(result, (*x.shape[ind:], *x.shape[:ind]))
