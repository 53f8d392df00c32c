# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Random numbers of distributions.

What a distribution has of parameters is applied by ordinary operations, which have derivatives.
What all functions take is described in `gradopt.random`.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from gradopt.array.operands import traced
from gradopt.base.dtypes import FLOAT64, INT64, DType
from gradopt.base.frames import hide_frames
from gradopt.base.location import source_location
from gradopt.compilation.arguments import checked_array
from gradopt.compilation.programs import program
from gradopt.errors import ArgumentError, NumberRangeError, ShapeError
from gradopt.ir import prims
from gradopt.ir.checks import require_all, require_within
from gradopt.ir.values import Shape, Value, emit
from gradopt.random.arguments import (
    broadcast,
    checked_dtype,
    checked_key,
    checked_shape,
    dtype_of,
    random_bits,
)
from gradopt.recording import grad

_INT32: DType = np.dtype(np.int32)
# Bits of random integers before they are reduced to a range.
_RANGE_BITS = 62


def _integers(
    key: Any, shape: Shape, dtype: DType, spared: int = 0, first: Any = 0
) -> tuple[Value, int]:
    """Integers of as many random bits as a float has digits, less `spared`; and how many.

    `first` is the place of the first element among all of the key.
    """
    digits = (53 if dtype == FLOAT64 else 24) - spared
    return random_bits(key, digits, shape, INT64 if dtype == FLOAT64 else _INT32, first), digits


def _unit(key: Any, shape: Shape, dtype: DType) -> Value:
    """Multiples of 2^-53 (2^-24) in [0, 1)."""
    integers, digits = _integers(key, shape, dtype)
    return prims.convert(integers, dtype) * 2.0**-digits


def open_unit(key: Any, shape: Shape, dtype: DType, first: Any = 0) -> Value:
    """Odd multiples of 2^-53 (2^-24) in (0, 1)."""
    integers, digits = _integers(key, shape, dtype, spared=1, first=first)
    return (prims.convert(integers, dtype) + 0.5) * 2.0**-digits


@program
def _uniform(key: Any, minval: Any, maxval: Any, *, shape: Shape, dtype: DType) -> Value:
    low = broadcast(traced(minval, dtype), shape, "minval")
    high = broadcast(traced(maxval, dtype), shape, "maxval")
    return _unit(key, shape, dtype) * (high - low) + low


@hide_frames
def uniform(
    key: Any, shape: Any = (), dtype: Any = np.float64, minval: Any = 0.0, maxval: Any = 1.0
) -> Any:
    """Floats that are uniform in [minval, maxval).

    `minval + (maxval - minval) * u`, where u is a multiple of 2^-53 in [0, 1), of 2^-24 in
    float32. If the two are neither 0 nor 1, rounding can lead to `maxval` itself.

    Args:
        minval: number or array that can be broadcast to `shape`; the result has a derivative in it.
        maxval: the same.
    """
    checked = checked_dtype(dtype, "f", "floats")
    low, high = checked_array(minval, "minval"), checked_array(maxval, "maxval")
    return _uniform(checked_key(key), low, high, shape=checked_shape(shape), dtype=checked)


def standard_normal(key: Any, shape: Shape, dtype: DType, first: Any = 0) -> Value:
    """The inverse of the distribution function, at odd multiples of 2^-53 (2^-24) in (-1, 1)."""
    integers, digits = _integers(key, shape, dtype, first=first)
    half = digits - 1
    centered = integers - prims.scalar(2**half, integers.dtype)
    point = (prims.convert(centered, dtype) + 0.5) * 2.0**-half
    return emit(grad.erfinv, point) * math.sqrt(2)


@program
def _normal(key: Any, *, shape: Shape, dtype: DType) -> Value:
    return standard_normal(key, shape, dtype)


@hide_frames
def normal(key: Any, shape: Any = (), dtype: Any = np.float64) -> Any:
    """Floats of the standard normal distribution.

    Others are made of them: `mean + deviation * normal(key, shape)`, with derivatives in both.
    """
    checked = checked_dtype(dtype, "f", "floats")
    return _normal(checked_key(key), shape=checked_shape(shape), dtype=checked)


@program
def _exponential(key: Any, *, shape: Shape, dtype: DType) -> Value:
    return -emit(grad.log1p, -_unit(key, shape, dtype))


@hide_frames
def exponential(key: Any, shape: Any = (), dtype: Any = np.float64) -> Any:
    """Floats of the exponential distribution with mean 1, at least 0."""
    checked = checked_dtype(dtype, "f", "floats")
    return _exponential(checked_key(key), shape=checked_shape(shape), dtype=checked)


def _gumbel_of(key: Any, shape: Shape, dtype: DType) -> Value:
    return -emit(grad.log, -emit(grad.log, open_unit(key, shape, dtype)))


@program
def _gumbel(key: Any, *, shape: Shape, dtype: DType) -> Value:
    return _gumbel_of(key, shape, dtype)


@hide_frames
def gumbel(key: Any, shape: Any = (), dtype: Any = np.float64) -> Any:
    """Floats of the standard Gumbel distribution, all finite."""
    checked = checked_dtype(dtype, "f", "floats")
    return _gumbel(checked_key(key), shape=checked_shape(shape), dtype=checked)


@program
def _bernoulli(key: Any, p: Any, *, shape: Shape, dtype: DType) -> Value:
    chances = traced(p, dtype)
    inside = (chances >= prims.scalar(0, dtype)) & (chances <= prims.scalar(1, dtype))
    require_all(inside, "p must be in [0, 1], but {value} of its elements are not", ArgumentError)
    return emit(grad.less, _unit(key, shape, dtype), broadcast(chances, shape, "p"))


@hide_frames
def bernoulli(key: Any, p: Any = 0.5, shape: Any = None) -> Any:
    """Bools that are True with probability `p`.

    Args:
        p: probability, a number or array. There is no derivative in it.
        shape: shape of the result, to which `p` is broadcast; None for that of `p`.

    Raises:
        ArgumentError: `p` is not in [0, 1].
    """
    p = checked_array(p, "p")
    sizes = checked_shape(np.shape(p) if shape is None else shape)
    return _bernoulli(checked_key(key), p, shape=sizes, dtype=dtype_of(p))


@program
def _categorical(key: Any, logits: Any, *, axis: int, shape: Any, dtype: DType) -> Value:
    scores = traced(logits, dtype)
    place = prims.normalize_axis(axis, scores.ndim)
    batch = scores.shape[:place] + scores.shape[place + 1 :]
    result = batch if shape is None else shape
    if scores.shape[place] == 0:
        raise ShapeError("logits have no categories: their axis has size 0", source_location())
    extra = len(result) - len(batch)
    if extra < 0 or any(b not in (1, r) for b, r in zip(batch, result[extra:], strict=True)):
        raise ShapeError(
            f"logits of shape {scores.shape} give results of shape {batch}, which cannot be "
            f"broadcast to shape {result}",
            source_location(),
        )
    largest = prims.reduce("max", scores, [place])
    infinity = prims.scalar(np.inf, dtype)
    finite = (largest > -infinity) & (largest < infinity)
    message = (
        "the largest of logits along their axis must be finite, but that of {value} rows is not"
    )
    require_all(finite, message, ArgumentError)
    full = list(result)
    full.insert(extra + place, scores.shape[place])
    noise = _gumbel_of(key, tuple(full), dtype)
    return prims.argreduce("argmax", noise + scores, extra + place)


@hide_frames
def categorical(key: Any, logits: Any, axis: Any = -1, shape: Any = None) -> Any:
    """Indices of categories, each with a probability proportional to `exp(logits)` along an axis.

    Args:
        logits: array of floats, logarithms of probabilities but for a constant; -inf for a category
            that does not occur.
        axis: the axis of the categories.
        shape: shape of the result, to whose last dimensions the other axes of `logits` are
            broadcast; None for these.

    Returns:
        int64 array.

    Raises:
        AxisError: there is no such axis.
        ShapeError: there are no categories, or shapes do not fit.
        ArgumentError: logits are NaN or infinite, or all of a row are -inf.
    """
    logits = checked_array(logits, "logits", "f")
    return _categorical(
        checked_key(key),
        logits,
        axis=prims.normalize_axis(axis, np.ndim(logits)),
        shape=None if shape is None else checked_shape(shape),
        dtype=dtype_of(logits),
    )


def reduced(integers: Value, spans: Value) -> Value:
    """The remainders of integers of `_RANGE_BITS` bits, in [0, span).

    Exact: long division, whose digits are quotients in float64. The first one is wrong by 2^11 /
    span + 1 at most, so that the rest is in [-span, span] after the second.
    """
    inverse = 1.0 / prims.convert(spans, FLOAT64)
    rest = integers
    for _ in range(2):
        rest = rest - prims.convert(prims.convert(rest, FLOAT64) * inverse, INT64) * spans
    zero = prims.scalar(0, INT64)
    rest = rest + prims.select(rest < zero, spans, zero)
    return rest - prims.select(rest >= spans, spans, zero)


def wide_integers(key: Any, shape: Shape) -> Value:
    """Integers to be reduced."""
    return random_bits(key, _RANGE_BITS, shape, INT64)


@program
def _randint(key: Any, minval: Any, maxval: Any, *, shape: Shape, dtype: DType) -> Value:
    low, high = traced(minval, INT64), traced(maxval, INT64)
    spans = high - low
    message = "maxval must be above minval, by 2^62 at most, but maxval - minval is {value}"
    require_within(spans, 1, 2**_RANGE_BITS, message, NumberRangeError)
    if dtype != INT64:
        limits = np.iinfo(dtype)
        for bound, name, extra in ((low, "minval", 0), (high, "maxval", 1)):
            message = f"{name} {{value}} is out of bounds for {dtype}"
            least, most = int(limits.min) + extra, int(limits.max) + extra
            require_within(bound, least, most, message, NumberRangeError)
    offsets = reduced(wide_integers(key, shape), broadcast(spans, shape, "the bounds"))
    return prims.convert(offsets + broadcast(low, shape, "minval"), dtype)


@hide_frames
def randint(key: Any, shape: Any, minval: Any, maxval: Any, dtype: Any = np.int64) -> Any:
    """Integers that are uniform in [minval, maxval).

    62 random bits modulo `maxval - minval`: probabilities differ by no more than this divided by
    2^62.

    Args:
        minval: integer or array of such that can be broadcast to `shape`.
        maxval: the same; above `minval`, by 2^62 at most.
        dtype: dtype of the result, of signed integers.

    Raises:
        ArgumentTypeError: a bound is no integer.
        NumberRangeError: `maxval` is not above `minval`, or the dtype has not all of the values.
    """
    checked = checked_dtype(dtype, "i", "integers")
    low, high = checked_array(minval, "minval", "i"), checked_array(maxval, "maxval", "i")
    return _randint(checked_key(key), low, high, shape=checked_shape(shape), dtype=checked)
