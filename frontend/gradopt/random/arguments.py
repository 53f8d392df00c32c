# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Arguments of the functions of `gradopt.random`, checked."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from gradopt.array.handle import Handle
from gradopt.array.operands import promotion_kind
from gradopt.base.dtypes import (
    FLOAT64,
    INT64,
    DType,
    is_narrow,
    kind_of,
    result_type,
    supported,
    wide_dtype,
)
from gradopt.base.location import source_location
from gradopt.compilation.arguments import checked_array
from gradopt.compilation.calling import describe_value
from gradopt.errors import (
    ArgumentError,
    ArgumentTypeError,
    DTypeError,
    GradoptError,
    ShapeError,
    UnsupportedError,
)
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
    given = key
    if isinstance(key, (list, tuple)):
        key = checked_array(key, "key")
    if getattr(key, "dtype", None) != KEY_DTYPE or isinstance(key, np.ma.MaskedArray):
        if getattr(key, "dtype", None) == np.uint32:
            advice = "; view its elements as int32 with key.view(np.int32)"
        raise ArgumentTypeError(
            f"key must be an int32 array of shape (2,), but it is {describe_value(given)}{advice}",
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
    if prims.size_of(result) > 2**48:
        raise ShapeError(f"{name} {result} has more than 2^48 elements", source_location())
    return result


def checked_dtype(dtype: Any, kinds: str, what: str) -> DType:
    """A supported dtype of some kinds.

    Raises:
        DTypeError: it is of another kind.
        UnsupportedError: it is not supported.
    """
    result = supported(dtype)
    if is_narrow(result):
        raise UnsupportedError(
            f"random numbers of dtype {result} are not supported; draw them as float32 and "
            "convert them with astype",
            source_location(),
        )
    if result.kind not in kinds:
        raise DTypeError(f"dtype must be of {what}, but it is {result}", source_location())
    return result


def dtype_of(*values: Any) -> DType:
    """The dtype of random numbers that go with operands.

    As NumPy promotes them, if that is one of floats, or float64: Python numbers do not count beside
    arrays.
    """
    found = result_type(*[promotion_kind(value) for value in values])
    return wide_dtype(found) if kind_of(found) == "f" else FLOAT64


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
