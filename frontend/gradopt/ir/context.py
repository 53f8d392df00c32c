# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The MLIR context of traces, and its types.

Only the holder of the GIL uses it. Programs are compiled in contexts of their own.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from mlir import ir

from gradopt import _gradopt
from gradopt.base.dtypes import DType


@functools.cache
def context() -> ir.Context:
    """The context, with the grad dialect loaded."""
    made = ir.Context(load_on_create_dialects=[])  # pyright: ignore[reportCallIssue]
    _gradopt.load_dialects(made)
    return made


@functools.cache
def element_type(dtype: DType) -> ir.Type:
    """The MLIR type of elements of `dtype`."""
    ctx = context()
    if dtype.kind == "f":
        return ir.F64Type.get(ctx) if dtype.itemsize == 8 else ir.F32Type.get(ctx)
    width = 1 if dtype.kind == "b" else 8 * dtype.itemsize
    return ir.IntegerType.get_signless(width, ctx)


_tensor_types: dict[tuple[tuple[int, ...], DType], ir.Type] = {}
_shapes: dict[ir.Type, tuple[tuple[int, ...], DType]] = {}


def tensor_type(shape: tuple[int, ...], dtype: DType) -> ir.Type:
    """`tensor<shape x dtype>`."""
    key = (shape, dtype)
    result = _tensor_types.get(key)
    if result is None:
        result = _tensor_types[key] = ir.RankedTensorType.get(
            shape, element_type(dtype), loc=ir.Location.unknown(context())
        )
    return result


def shape_and_dtype(type_: ir.Type) -> tuple[tuple[int, ...], DType]:
    """The inverse of `tensor_type`."""
    result = _shapes.get(type_)
    if result is None:
        tensor = ir.RankedTensorType(type_)
        result = _shapes[type_] = (tuple(tensor.shape), _numpy_dtype(tensor.element_type))
    return result


@functools.cache
def _numpy_dtype(type_: ir.Type) -> DType:
    for code in ("?", "i1", "i2", "i4", "i8", "f4", "f8"):
        if element_type(np.dtype(code)) == type_:
            return np.dtype(code)
    raise AssertionError(f"unexpected element type {type_}")


def elements_attribute(array: np.ndarray[Any, Any]) -> ir.Attribute:
    """`dense<...>` of the array."""
    contiguous: Any = np.ascontiguousarray(array)
    if array.dtype.kind == "b":
        contiguous = np.packbits(contiguous, axis=None, bitorder="little")
    return ir.DenseElementsAttr.get(
        contiguous, type=element_type(array.dtype), shape=list(array.shape), context=context()
    )
