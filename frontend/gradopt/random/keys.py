# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Keys, and bits of them."""

from __future__ import annotations

from typing import Any

import numpy as np

from gradopt.array.handle import Handle
from gradopt.array.operands import traced
from gradopt.base.dtypes import FLOAT64, INT64, DType
from gradopt.base.frames import hide_frames
from gradopt.base.location import source_location
from gradopt.compilation.calling import describe_value
from gradopt.compilation.programs import program
from gradopt.errors import ArgumentTypeError, NumberRangeError
from gradopt.ir import prims
from gradopt.ir.values import Shape, Value
from gradopt.random.arguments import (
    KEY_DTYPE,
    checked_dtype,
    checked_key,
    checked_shape,
    random_bits,
)

_INT32: DType = np.dtype(np.int32)
_WORD = 2.0**32


def _checked_integer(value: Any, name: str) -> Any:
    """A traced integer, or a concrete one as an int64 of the same bits."""
    is_array = isinstance(value, (Handle, np.ndarray, np.generic))
    fits = value.shape == () and value.dtype.kind in "iu" if is_array else isinstance(value, int)
    if not fits or isinstance(value, bool):
        raise ArgumentTypeError(
            f"{name} must be an integer, but it is {describe_value(value)}", source_location()
        )
    if isinstance(value, Handle):
        return value
    number = int(value)
    if not -(2**63) <= number < 2**64:
        raise NumberRangeError(f"{name} {number} has more than 64 bits", source_location())
    return np.uint64(number % 2**64).astype(np.int64)


def _pair(upper: Value, lower: Value) -> Value:
    """Two words of each element, along a new last axis."""
    words = [prims.convert(word, KEY_DTYPE) for word in (upper, lower)]
    shape = (*upper.shape, 1)
    return prims.concatenate([prims.reshape(word, shape) for word in words], len(shape) - 1)


@program
def _key(seed: Any) -> Value:
    value = traced(seed, INT64)
    lower = prims.convert(prims.convert(value, _INT32), INT64)
    zero = prims.scalar(0, INT64)
    below = prims.select(lower < zero, prims.scalar(1, INT64), zero)
    # A multiple of 2^32, and so exact as a float.
    upper = prims.convert(prims.convert(value - lower, FLOAT64) * (1 / _WORD), INT64)
    return _pair(upper - below, lower)


@hide_frames
def key(seed: Any) -> Any:
    """The key of a seed.

    Args:
        seed: an integer of at most 64 bits, traced or not.

    Returns:
        int32 array of shape (2,): the upper and the lower 32 bits of the seed.

    Raises:
        ArgumentTypeError: the seed is no integer.
        NumberRangeError: the seed has more than 64 bits.
    """
    seed = _checked_integer(seed, "seed")
    if isinstance(seed, Handle):
        return _key(seed)
    return np.array([seed >> 32, seed & 0xFFFFFFFF]).astype(KEY_DTYPE)


@program
def _split(key: Any, first: Any, *, shape: Shape) -> Value:
    counter = traced(first, INT64)
    upper = random_bits(key, 32, shape, INT64, counter)
    return _pair(upper, random_bits(key, 64, shape, INT64, counter))


@hide_frames
def split(key: Any, num: Any = 2) -> Any:
    """New keys, independent of each other and of the numbers that are drawn with new keys.

    Args:
        key: a key, which is not used again.
        num: how many; or a shape of keys.

    Returns:
        int32 array of shape (num, 2), to be unpacked or indexed. Key number i is `fold_in(key, i)`.
    """
    return _split(checked_key(key), 0, shape=checked_shape(num, "num"))


@hide_frames
def fold_in(key: Any, data: Any) -> Any:
    """A new key, one for each integer: for example for each step of a loop.

    Args:
        key: a key, which is used for nothing else but `fold_in` of other integers.
        data: an integer of at most 64 bits, traced or not.

    Returns:
        int32 array of shape (2,).

    Raises:
        ArgumentTypeError: `data` is no integer.
    """
    return _split(checked_key(key), _checked_integer(data, "data"), shape=())


@program
def _bits(key: Any, *, shape: Shape, dtype: DType) -> Value:
    wide = INT64 if dtype == INT64 else _INT32
    return prims.convert(random_bits(key, 8 * wide.itemsize, shape, wide), dtype)


@hide_frames
def bits(key: Any, shape: Any = (), dtype: Any = np.int64) -> Any:
    """Integers of uniform bits, of all values that the dtype has.

    Args:
        dtype: dtype of the result, of signed integers.
    """
    checked = checked_dtype(dtype, "i", "integers")
    return _bits(checked_key(key), shape=checked_shape(shape), dtype=checked)
