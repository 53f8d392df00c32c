# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""`ndarray.flat`: the elements of an array in row-major order."""

from __future__ import annotations

import operator
from collections.abc import Iterator
from typing import Any

from gradopt.array.handle import Handle, array_of, copy_of
from gradopt.array.indexing import getitem, setitem
from gradopt.array.views import Reshape
from gradopt.base.unknown_sizes import unknown_size
from gradopt.ir import prims, sized
from gradopt.ir.extents import Sizes, shape_with


class Flat:
    """The elements in row-major order: reading copies them, assignment writes to the array."""

    __slots__ = ("_array", "_is_read")

    def __init__(self, array: Handle) -> None:
        # Whether they are a view is not known where a size of several is not.
        self._is_read = array._extents.__class__ is Sizes and array.ndim != 1
        if self._is_read or array._extents.__class__ is Sizes:
            self._array = array
        else:
            self._array = array._view(Reshape(array.shape, (array.size,), (1,)))

    @property
    def elements(self) -> Handle:
        """An array of them with one dimension: a view, or what they are now."""
        if not self._is_read:
            return self._array
        value = self._array._read()
        return array_of(prims.reshape(value, shape_with([sized.size(value.shape)])))

    def __getitem__(self, index: Any) -> Any:
        part = getitem(self.elements, index)
        if isinstance(part, Handle) and part.ndim:
            return copy_of(part._read(), part._extents)
        return part

    def __setitem__(self, index: Any, value: Any) -> None:
        if self._is_read:
            raise unknown_size("an assignment to ndarray.flat of several dimensions")
        setitem(self.elements, index, value)

    def __len__(self) -> int:
        return operator.index(self.elements.shape[0])

    def __iter__(self) -> Iterator[Any]:
        return (self[i] for i in range(len(self)))
