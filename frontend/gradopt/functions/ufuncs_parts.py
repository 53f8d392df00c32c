# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""NumPy's ufuncs on mantissas, exponents and neighbours of floats; on bits; of vectors."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from gradopt.array.handle import wrap
from gradopt.array.operands import traced
from gradopt.base.dtypes import INT64, UINT64, DType, float_limits
from gradopt.base.location import source_location
from gradopt.errors import ShapeError
from gradopt.functions.ufuncs import operands_of, register
from gradopt.ir import prims
from gradopt.ir.prims import scalar
from gradopt.ir.values import Value, emit
from gradopt.recording import grad

_INT32, _UINT8 = np.dtype(np.int32), np.dtype(np.uint8)


def _clipped(x: Value, low: int, high: int) -> Value:
    return emit(grad.minimum, emit(grad.maximum, x, _all(x, low)), _all(x, high))


def _all(x: Value, number: Any) -> Value:
    return prims.full(x.shape, number, x.dtype)


def _scaled(x: Value, exponent: Value) -> Value:
    """`x` times a power of two, rounded once."""
    limits = float_limits(x.dtype)
    low, high = int(limits.minexp), int(limits.maxexp) - 1
    # The last factor alone can lead to numbers that are rounded.
    last = _clipped(exponent, low, high)
    second = _clipped(exponent - last, low, high)
    first = _clipped(exponent - last - second, low, high)
    for part in (first, second, last):
        x = x * emit(grad.exp2, prims.convert(part, x.dtype))
    return x


@register(np.ldexp)
def ldexp(x: Any, i: Any) -> Value:
    """`numpy.ldexp`."""
    v, exponent = operands_of(np.ldexp, x, i)
    shape = prims.broadcast_shapes(v.shape, exponent.shape)
    exponent = prims.broadcast_to(prims.convert(exponent, INT64), shape)
    return _scaled(prims.broadcast_to(v, shape), exponent)


def _exponent(x: Value) -> Value:
    """The exponent of numbers whose mantissa is in [1/2, 1); 0 of zeros and what is not finite."""
    size = abs(prims.stop_gradient(x))
    limits = float_limits(x.dtype)
    shift = limits.nmant + 2
    is_tiny = size < scalar(float(limits.smallest_normal), x.dtype)
    raised = prims.select(is_tiny, size * scalar(2.0**shift, x.dtype), size)
    is_usual = emit(grad.isfinite, size) & (size > scalar(0, x.dtype))
    safe = prims.select(is_usual, raised, scalar(1, x.dtype))
    found = prims.convert(emit(grad.floor, emit(grad.log2, safe)), INT64) + scalar(1, INT64)
    mantissa = _scaled(safe, scalar(0, INT64) - found)
    too_large, too_small = mantissa < scalar(0.5, x.dtype), mantissa >= scalar(1, x.dtype)
    one, none = scalar(1, INT64), scalar(0, INT64)
    found = found + prims.select(too_small, one, none) - prims.select(too_large, one, none)
    found = found - prims.select(is_tiny, scalar(shift, INT64), none)
    return prims.select(is_usual, found, none)


@register(np.frexp)
def frexp(x: Any) -> tuple[Value, Value]:
    """`numpy.frexp`; the exponent has no derivative."""
    (v,) = operands_of(np.frexp, x)
    exponent = _exponent(v)
    return _scaled(v, scalar(0, INT64) - exponent), prims.convert(exponent, _INT32)


def _unit(exponent: Value, dtype: DType) -> Value:
    """The distance of numbers with this exponent from the next larger one."""
    limits = float_limits(dtype)
    lowest = int(limits.minexp) - int(limits.nmant)
    digits = scalar(int(limits.nmant) + 1, INT64)
    place = emit(grad.maximum, exponent - digits, _all(exponent, lowest))
    return _scaled(prims.full(exponent.shape, 1, dtype), place)


def _smallest(dtype: DType) -> Value:
    return scalar(float(float_limits(dtype).smallest_subnormal), dtype)


@register(np.spacing)
def spacing(x: Any) -> Value:
    """`numpy.spacing`; it has no derivative."""
    (v,) = operands_of(np.spacing, x)
    v = prims.stop_gradient(v)
    zero = scalar(0, v.dtype)
    unit = _unit(_exponent(v), v.dtype)
    unit = prims.select(prims.equal(v, 0), _smallest(v.dtype), unit)
    at_end = emit(grad.equal, abs(v), _all(v, float_limits(v.dtype).max))
    unit = prims.select(at_end, scalar(math.inf, v.dtype), unit)
    signed = prims.select(v < zero, -unit, unit)
    return prims.select(emit(grad.isfinite, v), signed, scalar(math.nan, v.dtype))


@register(np.nextafter)
def nextafter(x: Any, y: Any) -> Value:
    """`numpy.nextafter`; its derivative in `x` is 1."""
    u, v = operands_of(np.nextafter, x, y)
    shape = prims.broadcast_shapes(u.shape, v.shape)
    moved, v = prims.broadcast_to(u, shape), prims.broadcast_to(prims.stop_gradient(v), shape)
    u = prims.stop_gradient(moved)
    dtype = u.dtype
    zero, one = scalar(0, dtype), scalar(1, INT64)
    up = v > u
    grows = prims.select(up, u > zero, u < zero)
    exponent = _exponent(u)
    is_power = emit(grad.equal, abs(_scaled(u, scalar(0, INT64) - exponent)), _all(u, 0.5))
    below = prims.select(is_power & ~grows, exponent - one, exponent)
    unit = prims.select(prims.equal(u, 0), _smallest(dtype), _unit(below, dtype))
    step = prims.select(up, unit, -unit)
    next_ = u + step
    largest = scalar(float(float_limits(dtype).max), dtype)
    at_end = prims.select(u > zero, largest, -largest)
    next_ = prims.select(emit(grad.isinf, u), at_end, next_)
    # A zero keeps the sign of the number that it is next to.
    null = prims.equal(next_, 0) & (u < zero)
    next_ = prims.select(null, scalar(-0.0, dtype), next_)
    next_ = prims.select(emit(grad.equal, u, v), v, next_)
    next_ = prims.select(emit(grad.isnan, u) | emit(grad.isnan, v), u + v, next_)
    usual = emit(grad.isfinite, u)
    return prims.select(usual, next_ - (u - moved), next_)


@register(np.bitwise_count)
def bitwise_count(x: Any) -> Value:
    """`numpy.bitwise_count`: of the absolute value."""
    (v,) = operands_of(np.bitwise_count, x)
    if v.dtype.kind == "b":
        return prims.convert(v, _UINT8)
    bits = wrap(prims.convert(abs(v) if v.dtype.kind == "i" else v, UINT64))
    mask = np.uint64(2 ** (8 * v.dtype.itemsize) - 1)
    bits = bits & mask
    bits = bits - ((bits >> np.uint64(1)) & np.uint64(0x5555555555555555))
    pairs = np.uint64(0x3333333333333333)
    bits = (bits & pairs) + ((bits >> np.uint64(2)) & pairs)
    bits = (bits + (bits >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return prims.convert(traced((bits * np.uint64(0x0101010101010101)) >> np.uint64(56)), _UINT8)


def _operands(name: str, matrix: Value, vector: Value) -> tuple[Any, Any]:
    """Of a product of matrices and vectors.

    Raises:
        ShapeError: there is no matrix, or no vector.
    """
    for x, ndim in ((matrix, 2), (vector, 1)):
        if x.ndim < ndim:
            raise ShapeError(
                f"{name}: an operand has {x.ndim} dimensions, but needs {ndim}", source_location()
            )
    return wrap(matrix), wrap(vector)


if hasattr(np, "matvec"):

    @register(np.matvec)
    def matvec(x1: Any, x2: Any) -> Value:
        """`numpy.matvec`."""
        matrix, vector = _operands("matvec", traced(x1), traced(x2))
        return traced(np.matmul(matrix, vector[..., None])[..., 0])

    @register(np.vecmat)
    def vecmat(x1: Any, x2: Any) -> Value:
        """`numpy.vecmat`."""
        matrix, vector = _operands("vecmat", traced(x2), prims.conjugate(traced(x1)))
        return traced(np.matmul(vector[..., None, :], matrix)[..., 0, :])
