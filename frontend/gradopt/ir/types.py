# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Types of arrays, and their constants, as texts in MLIR."""

from __future__ import annotations

import functools
import importlib

import numpy as np

from gradopt.base.dtypes import DType, is_bfloat16
from gradopt.recording.ir import Attribute


class _Dtypes(dict[str, DType]):
    def __missing__(self, element: str) -> DType:
        """The one type of a package that is imported where it is used."""
        if element != "bf16":
            raise KeyError(element)
        return np.dtype(importlib.import_module("ml_dtypes").bfloat16)


class _Elements(dict[DType, str]):
    def __missing__(self, dtype: DType) -> str:
        if not is_bfloat16(dtype):
            raise KeyError(dtype)
        return "bf16"


_DTYPES = _Dtypes(
    {
        "i1": np.dtype(np.bool_),
        "i8": np.dtype(np.int8),
        "i16": np.dtype(np.int16),
        "i32": np.dtype(np.int32),
        "i64": np.dtype(np.int64),
        "ui8": np.dtype(np.uint8),
        "ui16": np.dtype(np.uint16),
        "ui32": np.dtype(np.uint32),
        "ui64": np.dtype(np.uint64),
        "f16": np.dtype(np.float16),
        "f32": np.dtype(np.float32),
        "f64": np.dtype(np.float64),
        "complex<f32>": np.dtype(np.complex64),
        "complex<f64>": np.dtype(np.complex128),
    }
)
_ELEMENTS = _Elements({dtype: text for text, dtype in _DTYPES.items()})


def element_type(dtype: DType) -> str:
    """The type of elements of `dtype`."""
    return _ELEMENTS[dtype]


@functools.lru_cache(maxsize=10_000)
def tensor_type(shape: tuple[int, ...], dtype: DType) -> str:
    """`tensor<shape x dtype>`."""
    return f"tensor<{''.join([f'{size}x' for size in shape])}{_ELEMENTS[dtype]}>"


@functools.lru_cache(maxsize=10_000)
def shape_and_dtype(type_: str) -> tuple[tuple[int, ...], DType]:
    """The inverse of `tensor_type`; of a size that is not known, -1."""
    *sizes, element = type_.removeprefix("tensor<")[:-1].replace("complex<", "z").split("x")
    dtype = _DTYPES[element.replace("z", "complex<")]
    return tuple([-1 if size == "?" else int(size) for size in sizes]), dtype


@functools.cache
def element_attribute(dtype: DType) -> Attribute:
    """The type of elements as an attribute."""
    return Attribute(element_type(dtype), dtype)


def elements_attribute(array: np.ndarray[tuple[int, ...], np.dtype[np.generic]]) -> Attribute:
    """`dense<...>` of the array."""
    if array.dtype.kind == "b":
        elements = str(array.tolist()).lower() if array.size else ""
    else:
        elements = f'"0x{array.tobytes().hex().upper()}"' if array.size else ""
    return Attribute(f"dense<{elements}> : {tensor_type(array.shape, array.dtype)}", array)
