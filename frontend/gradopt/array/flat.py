# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""`ndarray.flat`: the elements of an array in row-major order."""

from __future__ import annotations

import operator
from collections.abc import Iterator
from typing import Any

from gradopt.array.handle import Handle, copy_of
from gradopt.array.indexing import getitem, setitem
from gradopt.array.views import Reshape
from gradopt.base.unknown_sizes import unknown_size
from gradopt.ir.extents import Sizes


class Flat:
    """The elements in row-major order: reading copies them, assignment writes to the array.

    Attributes:
        elements: a view of the array with one dimension.
    """

    __slots__ = ("elements",)

    def __init__(self, array: Handle) -> None:
        if array._extents.__class__ is Sizes:
            if array.ndim != 1:
                raise unknown_size("ndarray.flat of several dimensions")
            self.elements = array
            return
        self.elements = array._view(Reshape(array.shape, (array.size,), (1,)))

    def __getitem__(self, index: Any) -> Any:
        part = getitem(self.elements, index)
        if isinstance(part, Handle) and part.ndim:
            return copy_of(part._read(), part._extents)
        return part

    def __setitem__(self, index: Any, value: Any) -> None:
        setitem(self.elements, index, value)

    def __len__(self) -> int:
        return operator.index(self.elements.shape[0])

    def __iter__(self) -> Iterator[Any]:
        return (self[i] for i in range(len(self)))
