# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The MLIR context of a trace, and its types and locations."""

from __future__ import annotations

from typing import Any

import numpy as np
from mlir import ir

from gradopt import _compiler
from gradopt.base.dtypes import DType
from gradopt.base.location import Site, user_site
from gradopt.errors import SourceLocation

_DTYPES: dict[str, DType] = {
    "i1": np.dtype(np.bool_),
    "i8": np.dtype(np.int8),
    "i16": np.dtype(np.int16),
    "i32": np.dtype(np.int32),
    "i64": np.dtype(np.int64),
    "f32": np.dtype(np.float32),
    "f64": np.dtype(np.float64),
}

# Ops after which a context is not used again, where a trace counts for a hundred.
_LARGEST = 20_000
_MOST_IDLE = 4


class Context:
    """An MLIR context with the grad dialect loaded, and what was made in it.

    One trace uses it at a time; `take` and `give_back` hand it on to the next one, since it takes
    as long to make as a small trace. It is not kept for ever: a context only grows.

    A trace goes on with it in the child of a fork: whoever uses it holds the GIL, and as it is
    single-threaded it has neither locks nor caches that a thread would clear when it ends.

    Attributes:
        mlir: the context of the bindings.
        unknown: the unknown location.
    """

    def __init__(self) -> None:
        self.mlir = ir.Context(load_on_create_dialects=[])  # pyright: ignore[reportCallIssue]
        _compiler.load_dialects(self.mlir)
        self.unknown = ir.Location.unknown(self.mlir)
        self._spent = 0
        self._element_types: dict[DType, ir.Type] = {}
        self._element_attributes: dict[DType, ir.Attribute] = {}
        self._tensor_types: dict[tuple[tuple[int, ...], DType], ir.Type] = {}
        self._shapes: dict[ir.Type, tuple[tuple[int, ...], DType]] = {}
        self._locations: dict[tuple[Site, int], ir.Location] = {}

    @staticmethod
    def take() -> Context:
        """A context that no trace uses."""
        try:
            return _idle.pop()
        except IndexError:
            return Context()

    def give_back(self, ops: int) -> None:
        """The trace that used it has ended, and added so many ops."""
        self._spent += 100 + ops
        if self._spent < _LARGEST and len(_idle) < _MOST_IDLE:
            _idle.append(self)

    def element_type(self, dtype: DType) -> ir.Type:
        """The MLIR type of elements of `dtype`."""
        result = self._element_types.get(dtype)
        if result is None:
            if dtype.kind == "f":
                cls = ir.F64Type if dtype.itemsize == 8 else ir.F32Type
                result = cls.get(self.mlir)
            else:
                width = 1 if dtype.kind == "b" else 8 * dtype.itemsize
                result = ir.IntegerType.get_signless(width, self.mlir)
            self._element_types[dtype] = result
        return result

    def element_attribute(self, dtype: DType) -> ir.Attribute:
        """The same as an attribute."""
        result = self._element_attributes.get(dtype)
        if result is None:
            result = self._element_attributes[dtype] = ir.TypeAttr.get(self.element_type(dtype))
        return result

    def tensor_type(self, shape: tuple[int, ...], dtype: DType) -> ir.Type:
        """`tensor<shape x dtype>`."""
        key = (shape, dtype)
        result = self._tensor_types.get(key)
        if result is None:
            result = self._tensor_types[key] = ir.RankedTensorType.get(
                shape, self.element_type(dtype), loc=self.unknown
            )
        return result

    def shape_and_dtype(self, type_: ir.Type) -> tuple[tuple[int, ...], DType]:
        """The inverse of `tensor_type`."""
        result = self._shapes.get(type_)
        if result is None:
            tensor = ir.RankedTensorType(type_)
            dtype = _DTYPES[str(tensor.element_type)]
            result = self._shapes[type_] = (tuple(tensor.shape), dtype)
        return result

    def elements_attribute(self, array: np.ndarray[Any, Any]) -> ir.Attribute:
        """`dense<...>` of the array."""
        contiguous: Any = np.ascontiguousarray(array)
        if array.dtype.kind == "b":
            contiguous = np.packbits(contiguous, axis=None, bitorder="little")
        return ir.DenseElementsAttr.get(
            contiguous,
            type=self.element_type(array.dtype),
            shape=list(array.shape),
            context=self.mlir,
        )

    def location(self) -> ir.Location:
        """Where the user's code is: the function's name around file, line, column."""
        place = user_site()
        if place is None:
            return self.unknown
        result = self._locations.get(place)
        if result is None:
            site, lasti = place
            result = self._locations[place] = self.location_of(site.source(lasti))
        return result

    def location_of(self, source: SourceLocation) -> ir.Location:
        """The MLIR location of a source position (columns count from 1)."""
        location = ir.Location.file(source.file, source.line, source.column + 1, context=self.mlir)
        return ir.Location.name(source.function, location, context=self.mlir)


_idle: list[Context] = []
