# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""`ndarray.flat`: the elements of an array in row-major order."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from gradopt.array.handle import Handle, copy_of
from gradopt.array.indexing import getitem, setitem
from gradopt.array.views import Reshape
from gradopt.base.unknown_sizes import unknown_size
from gradopt.ir.extents import Sizes


class Flat:
    """The elements in row-major order: reading copies them, assignment writes to the array."""

    __slots__ = ("_view",)

    def __init__(self, array: Handle) -> None:
        if array._extents.__class__ is Sizes:
            raise unknown_size("ndarray.flat")
        self._view = array._view(Reshape(array.shape, (array.size,), (1,)))

    def __getitem__(self, index: Any) -> Any:
        part = getitem(self._view, index)
        if isinstance(part, Handle) and part.shape:
            return copy_of(part._read(), part.shape)
        return part

    def __setitem__(self, index: Any, value: Any) -> None:
        setitem(self._view, index, value)

    def __len__(self) -> int:
        return self._view.shape[0]

    def __iter__(self) -> Iterator[Any]:
        return (self[i] for i in range(len(self)))
