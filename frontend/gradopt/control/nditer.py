# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""`numpy.nditer` over traced arrays, as far as a `for` goes through it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gradopt.array.dispatch import unsupported
from gradopt.array.handle import Handle, array_of, is_of_unknown_order, known_strides, python_number
from gradopt.array.indexing import getitem
from gradopt.array.operands import handle_of, is_traced, traced
from gradopt.array.views import kept_order
from gradopt.base.location import source_location
from gradopt.control.sequences import Numbered, Product, TracedRange
from gradopt.errors import KeywordError, ShapeError
from gradopt.ir import prims
from gradopt.ir.extents import Sizes, is_extent
from gradopt.ir.outcomes import require
from gradopt.ir.values import Value, not_equal

_ADVICE = "iterate over x.flat, numpy.ndindex(x.shape) or numpy.ndenumerate(x)"


@dataclass(eq=False, repr=False)
class _Elements(Numbered):
    """The elements of arrays of one shape, as arrays without dimensions.

    Attributes:
        arrays: the arrays.
        are_written: which of their elements are views that can be written to; others are copies.
        is_single: whether there is one array, whose elements are not in a tuple.
    """

    arrays: Sequence[Any]
    are_written: Sequence[bool]
    is_single: bool

    def _indices(self) -> Product:
        sizes: Sequence[Any] = self.arrays[0]._extents
        ends = [python_number(size.value) if is_extent(size) else size for size in sizes]
        return Product([TracedRange(0, end, 1) for end in ends])

    def length(self) -> int | Value:
        return self._indices().length()

    def item(self, number: Value, length: int | Value) -> Any:
        return self._at(self._indices().item(number, length))

    def _at(self, index: tuple[Any, ...]) -> Any:
        found: list[Any] = []
        for array, is_written in zip(self.arrays, self.are_written, strict=True):
            element = getitem(array, (*index, ...))
            if not is_written:
                element = array_of(traced(element))
                element._storage.frozen = True
                element._storage.argument = "an element of numpy.nditer, which is readonly"
            found.append(element)
        return found[0] if self.is_single else tuple(found)

    def __iter__(self) -> Iterator[Any]:
        return (self._at(index) for index in itertools.product(*self._indices().parts))

    def __enter__(self) -> _Elements:
        return self

    def __exit__(self, *error: object) -> None:
        pass


def nditer_of(op: Any, flags: Any = None, op_flags: Any = None, *args: Any, **kwargs: Any) -> Any:
    """As `numpy.nditer`."""
    is_single = type(op) not in (tuple, list)
    given: Sequence[Any] = [op] if is_single else op
    if not any(map(is_traced, given)):
        return np.nditer(op, flags or [], op_flags, *args, **kwargs)
    for flag in flags or ():
        if flag not in ("zerosize_ok", "refs_ok"):
            raise unsupported(f"the flag {flag!r} of numpy.nditer", _ADVICE)
    order = kwargs.pop("order", "K")
    if args or kwargs:
        raise unsupported(f"the argument {[*kwargs, 'op_dtypes'][0]} of numpy.nditer", _ADVICE)
    if order not in ("K", "C"):
        raise unsupported(f"order={order!r} of numpy.nditer", 'pass order="C"')
    are_written = _written(op_flags, len(given))
    values = [traced(array) for array in given]
    shape = values[0].shape
    for value in values[1:]:
        shape = prims.broadcast_shapes(shape, value.shape)
    arrays: list[Any] = []
    for array, value, is_written in zip(given, values, are_written, strict=True):
        if is_written and (value.shape != shape or not isinstance(array, Handle)):
            raise ShapeError(
                f"numpy.nditer cannot write to an operand of shape {value.shape}, which is "
                f"broadcast to {shape}",
                source_location(),
            )
        whole = value.shape == shape
        arrays.append(handle_of(array) if whole else array_of(prims.broadcast_to(value, shape)))
    if "zerosize_ok" not in (flags or ()):
        _require_elements(shape)
    if order == "K":
        arrays = _in_memory_order(arrays, given, shape)
    return _Elements(arrays, are_written, is_single)


def _in_memory_order(arrays: list[Any], given: Sequence[Any], shape: Sequence[int]) -> list[Any]:
    """Views of the arrays whose row-major order is the one in which they lie in memory.

    Args:
        arrays: the operands, broadcast.
        given: the operands, whose steps decide.
        shape: the shape that they are broadcast to.
    """
    prims.scope().trace.follows_order = True
    is_known = not any(map(is_of_unknown_order, given))
    if is_known and any(array._extents.__class__ is Sizes for array in arrays):
        return arrays  # Arguments of such sizes lie in row-major order, or in an unknown one.
    known = known_strides(given) if is_known else None
    if known is None:
        raise unsupported("numpy.nditer over an array of unknown memory order", 'pass order="C"')
    steps = kept_order(tuple(shape), known)
    axes = sorted(range(len(shape)), key=lambda axis: -steps[axis])
    # An axis is gone through backwards where no operand steps forwards along it.
    rows = [(0,) * (len(shape) - len(own)) + tuple(own) for _, own in known]
    turned = tuple(
        slice(None, None, -1 if max(along) <= 0 and min(along) < 0 else 1)
        for along in ([row[axis] for row in rows] for axis in axes)
    )
    return [getitem(array._with_axes(axes), (*turned, ...)) for array in arrays]


def _written(op_flags: Any, count: int) -> list[bool]:
    """Which operands are written to, as `op_flags` says."""
    if op_flags is None:
        return [False] * count
    flags: Sequence[Any] = op_flags
    each = [flags] * count if all(isinstance(flag, str) for flag in flags) else flags
    if len(each) != count:
        raise KeywordError(
            f"op_flags of numpy.nditer is for {len(each)} operands, not {count}", source_location()
        )
    for flag in itertools.chain(*each):
        if flag not in ("readonly", "readwrite"):
            raise unsupported(f"the flag {flag!r} of an operand of numpy.nditer", _ADVICE)
    return ["readwrite" in own for own in each]


def _require_elements(shape: Sequence[Any]) -> None:
    """As NumPy, which refuses to go through nothing."""
    text = "Iteration of zero-sized operands is not enabled"
    for size in shape:
        if is_extent(size):
            require(not_equal(size.value, 0), size.value, text, ShapeError)
        elif not size:
            raise ShapeError(text, source_location())
