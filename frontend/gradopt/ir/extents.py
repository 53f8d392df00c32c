# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Sizes that are known at run time only.

In a shape an `Extent` stands where an integer does. It is equal to another one that is known to be
the same number, and to no integer; all else that needs its value is an error.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

import numpy as np

from gradopt._gradopt import ROOM_PARTS
from gradopt.base.location import source_location
from gradopt.base.open_sizes import LARGEST_KNOWN, apart, is_open, rounded
from gradopt.base.unknown_sizes import unknown_size
from gradopt.errors import UnsupportedError
from gradopt.ir.current import current_scope, scope

if TYPE_CHECKING:
    from gradopt.ir.affine import Affine
    from gradopt.ir.values import Value

# What a size that is not known is in attributes of the IR.
DYNAMIC = -(2**63)


class Sizes(tuple[int, ...]):
    """A shape with an `Extent` in it.

    Attributes:
        rules: how arrays of such shapes are broadcast; the module `sized`, which sets it.
    """

    __slots__ = ()

    rules: ClassVar[Any] = None


def shape_with(sizes: Any) -> tuple[int, ...]:
    """A shape, of numbers or extents."""
    shape = tuple(sizes)
    return Sizes(shape) if has_extents(shape) else shape


def is_extent(size: Any) -> bool:
    """Whether a size is known at run time only."""
    return size.__class__ is Extent


def has_extents(shape: tuple[int, ...]) -> bool:
    """Whether a size is known at run time only."""
    if shape.__class__ is Sizes:
        return True
    return any(map(is_extent, shape))


def confined(what: str = "an array", is_result: bool = False) -> UnsupportedError:
    """The error for an array of such a size that would leave where it was made.

    Args:
        what: which array.
        is_result: whether it is what a function returns, which has no line.
    """
    return UnsupportedError(
        f"{what} whose size is known at run time only cannot be given to, or returned by, what is "
        "differentiated, mapped, or called by a function of this package; write it to a part of an "
        "array of known size, as in `y[:n] = x`",
        None if is_result else source_location(),
    )


class Extent:
    """How many elements there are along a dimension, at least 0.

    Attributes:
        value: the number, a traced int64.
        affine: the same as a sum.
        bound: how large it is at most.
    """

    __slots__ = ("affine", "bound", "value")

    __hash__ = None  # pyright: ignore[reportAssignmentType]

    def __init__(self, value: Value, affine: Affine, bound: int) -> None:
        self.value = value
        self.affine = affine
        self.bound = (
            bound if bound <= LARGEST_KNOWN or not scope().trace.is_open else rounded(bound)
        )

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        return other.__class__ is Extent and self.affine.equals(other.affine)  # pyright: ignore

    def __repr__(self) -> str:
        return "?"

    def __mul__(self, other: Any) -> Any:
        if other.__class__ is int and other in (0, 1):
            return self if other else 0
        if other.__class__ is int or is_extent(other):
            return Sizes.rules.size((self, other))
        return self._refuse()

    __rmul__ = __mul__

    def _refuse(self, *others: Any) -> NoReturn:
        raise unknown_size("this")

    __add__ = __radd__ = __sub__ = __rsub__ = __floordiv__ = __rfloordiv__ = _refuse
    __mod__ = __rmod__ = __truediv__ = __rtruediv__ = __neg__ = __divmod__ = _refuse
    __lt__ = __le__ = __gt__ = __ge__ = _refuse
    __index__ = __int__ = __float__ = __bool__ = _refuse


def require_plain(numbers: Any) -> Any:
    """The integers of a user; refused where one happens to stand for the room."""
    here = current_scope()
    if here is not None and here.trace.is_open:
        given = np.asarray(numbers)
        if given.dtype.kind in "iu" and given.size and np.abs(given).max() > LARGEST_KNOWN:
            for number in given.flat:
                if apart(abs(int(number))) is not None:
                    raise unknown_size(f"the number {number}")
    return numbers


def larger(one: int, other: int) -> int:
    """The larger one of how large two sizes are at most. Where that is known in the call only,
    there must be room enough."""
    least, most = sorted((one, other))
    if is_open(most) and scope().trace.is_open:
        (parts, more), (less_parts, less_more) = (
            apart(most) or (0, most),
            apart(least) or (0, least),
        )
        if parts > less_parts and less_more > more:
            trace = scope().trace
            needed = -(-(less_more - more) // (parts - less_parts)) * ROOM_PARTS
            if needed > LARGEST_KNOWN:
                raise unknown_size("an array that is as large as the larger one of two sizes")
            trace.least_room = max(trace.least_room, needed)
    return most


def bounds_of(shape: Any) -> tuple[int, ...]:
    """How large the sizes of a shape are at most."""
    return tuple([size.bound if is_extent(size) else size for size in shape])
