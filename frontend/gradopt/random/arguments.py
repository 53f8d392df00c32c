# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Arguments of the functions of `gradopt.random`, checked."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from gradopt.array.handle import Handle, wrap
from gradopt.array.operands import is_traced, listed
from gradopt.base.dtypes import INT64, DType, supported
from gradopt.base.location import source_location
from gradopt.compilation.calling import describe_value
from gradopt.errors import ArgumentError, ArgumentTypeError, DTypeError, GradoptError, ShapeError
from gradopt.ir import prims
from gradopt.ir.values import Shape, Value

KEY_DTYPE: DType = np.dtype(np.int32)


def checked_key(key: Any) -> Any:
    """One key, traced or not.

    Raises:
        ArgumentTypeError: it is none.
        ArgumentError: it is an array of another shape, for example of several keys.
    """
    advice = "; make one with gradopt.random.key(seed)"
    if not isinstance(key, Handle):
        key = listed(key) if isinstance(key, (list, tuple)) and is_traced(key) else np.asarray(key)
    if key.dtype != KEY_DTYPE:
        if key.dtype == np.uint32:
            advice = "; view its elements as int32 with key.view(np.int32)"
        raise ArgumentTypeError(
            f"key must be an int32 array of shape (2,), but it is {describe_value(key)}{advice}",
            source_location(),
        )
    if key.shape != (2,):
        if key.ndim > 1 and key.shape[-1] == 2:
            advice = "; pass one of these keys"
        raise ArgumentError(
            f"key must be an int32 array of shape (2,), but it is {describe_value(key)}{advice}",
            source_location(),
        )
    return key


def checked_shape(shape: Any, name: str = "shape") -> Shape:
    """A shape that is given as one size or several.

    Raises:
        ArgumentTypeError: a size is no integer.
        ShapeError: a size is negative.
        ConversionError: a size is traced.
    """
    try:
        sizes = shape if prims.is_sequence(shape) else (shape,)
        result = tuple([operator.index(size) for size in sizes])
    except GradoptError:
        raise
    except TypeError:
        raise ArgumentTypeError(
            f"{name} must be integers, but it is {describe_value(shape)}", source_location()
        ) from None
    if any(size < 0 for size in result):
        raise ShapeError(f"{name} must not be negative, but it is {result}", source_location())
    return result


def checked_dtype(dtype: Any, kinds: str, what: str) -> DType:
    """A supported dtype of some kinds.

    Raises:
        DTypeError: it is of another kind.
        UnsupportedError: it is not supported.
    """
    result = supported(dtype)
    if result.kind not in kinds:
        raise DTypeError(f"dtype must be of {what}, but it is {result}", source_location())
    return result


def checked_array(value: Any, name: str, kinds: str = "fib") -> Any:
    """An operand, traced or not, as an array or a number.

    Raises:
        ArgumentTypeError: it is not one of these kinds.
    """
    if isinstance(value, (list, tuple)):
        value = wrap(listed(value))
    if not isinstance(value, (Handle, int, float)):
        value = prims.concrete(value)
    kind = np.result_type(value).kind if isinstance(value, (int, float)) else value.dtype.kind
    if kind not in kinds:
        wanted = {"fib": "numbers", "f": "floats", "i": "integers"}[kinds]
        raise ArgumentTypeError(
            f"{name} must be {wanted}, but it is {describe_value(value)}", source_location()
        )
    return value


def dtype_of(value: Any) -> DType:
    """The dtype of random numbers to compare with an operand: its own, if of floats, or float64."""
    dtype = getattr(value, "dtype", None)
    weak = isinstance(value, Handle) and value._weak
    return np.dtype(np.float32) if dtype == np.float32 and not weak else np.dtype(np.float64)


def broadcast(value: Value, shape: Shape, name: str) -> Value:
    """An operand in the shape of the result.

    Raises:
        ShapeError: it cannot be broadcast to that.
    """
    if len(value.shape) > len(shape) or any(
        size not in (1, wanted)
        for size, wanted in zip(value.shape[::-1], shape[::-1], strict=False)
    ):
        raise ShapeError(
            f"{name} of shape {value.shape} cannot be broadcast to shape {shape}",
            source_location(),
        )
    return prims.broadcast_to(value, shape)


def random_bits(key: Any, bits: int, shape: Shape, dtype: DType, first: Any = 0) -> Value:
    """`grad.random_bits` for one key."""
    return prims.random_bits(
        prims.as_value(key._read() if isinstance(key, Handle) else key),
        prims.as_value(first, INT64),
        bits,
        shape,
        dtype,
    )
