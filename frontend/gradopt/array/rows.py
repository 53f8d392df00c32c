# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Elements of arrays along the first axis, as elements of lists."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gradopt.array.handle import Handle, Row, python_number, wrap
from gradopt.array.tracer import Tracer
from gradopt.array.views import Range, View, Window


class RowTracer(Tracer, Row, is_facade=False):  # pyright: ignore[reportIncompatibleVariableOverride]
    """A row: an array is a view, a scalar or number is read where it is first used."""

    __slots__ = ("_scalar", "number", "whole")

    def __init__(self, whole: Handle, number: int, scalar: bool) -> None:
        self._storage = whole._storage
        self._weak = whole._weak
        self._scalar = scalar
        self.whole = whole
        self.number = number
        self.dtype = whole.dtype
        self._extents = whole.shape[1:]
        self._seen = None
        self._version = -1

    @property
    def _views(self) -> tuple[View, ...]:  # pyright: ignore[reportIncompatibleVariableOverride]
        extents = self.whole.shape
        ranges = (Range(self.number, 1), *[Range(0, size) for size in extents[1:]])
        return (*self.whole._views, Window(extents, ranges, tuple(range(1, len(extents)))))

    @property
    def _is_scalar(self) -> bool:
        return self._scalar

    def _view(self, *views: View) -> Handle:
        return self._alone()._view(*views) if self._scalar else super()._view(*views)

    def _through(self, views: tuple[View, ...], window: Window) -> Handle:
        if self._scalar:
            return self._alone()._through((), window)
        return super()._through(views, window)

    def _window(self) -> tuple[tuple[View, ...], Window]:
        return self._alone()._window() if self._scalar else super()._window()

    def _alone(self) -> Handle:
        value = self._read()
        return python_number(value) if self._weak else wrap(value)


def rows(array: Handle, is_scalar: bool) -> Sequence[Any]:
    """The elements of an array along its first axis.

    Args:
        array: the array; of Python numbers, if it is one of them.
        is_scalar: whether they are scalars, and no arrays without dimensions.
    """
    return [RowTracer(array, i, is_scalar) for i in range(array.shape[0])]
