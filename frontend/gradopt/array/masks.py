# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Elements that a traced mask selects: how many there are is not known while tracing.

`x[mask]` stands for all elements of `x`, of which those in the mask count. Elementwise functions of
it are computed everywhere, on harmless operands where the mask does not hold, and `x[mask] = y`
takes the elements back. Sums and means of all of them are those with `where=mask`. Everything else
that depends on the number of elements is refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

from gradopt.array.dispatch import call_function, cannot_cast, harmless, ufunc_handler
from gradopt.array.handle import wrap
from gradopt.array.operands import listed, traced
from gradopt.errors import ConversionError
from gradopt.ir import prims
from gradopt.ir.values import Shape, Value, is_same


@dataclass(frozen=True)
class MaskPlace:
    """Where the elements are that a mask selects.

    Attributes:
        mask: the bools.
        shape: of the array that is selected from, the mask's dimensions whole.
        first: the dimensions of that array in front of the mask's.
    """

    mask: Value
    shape: Shape
    first: int

    @property
    def behind(self) -> int:
        """How many dimensions are behind the mask's."""
        return len(self.shape) - self.first - self.mask.ndim

    def is_like(self, other: MaskPlace) -> bool:
        """Whether both select the same elements."""
        places = (self.shape, self.first), (other.shape, other.first)
        return places[0] == places[1] and is_same(self.mask, other.mask)

    def spread_mask(self) -> Value:
        """The mask, of a shape that broadcasts to that of the array."""
        return prims.reshape(self.mask, self.mask.shape + (1,) * self.behind)

    def spread(self, value: Value) -> Value | None:
        """An operand of the selected elements, of a shape that broadcasts to that of the array.

        None if it has several elements in their dimension.
        """
        place = value.ndim - self.behind - 1
        if place < 0:
            return value
        extents = value.shape
        if extents[place] != 1:
            return None
        ones = (1,) * self.mask.ndim
        return prims.reshape(value, (*extents[:place], *ones, *extents[place + 1 :]))


# Of all selected elements.
_REDUCTIONS = frozenset({np.sum, np.prod, np.mean, np.any, np.all})


def _reduction(function: Any) -> Any:
    """The method that reduces all elements."""

    def reduce(elements: MaskedElements, *args: Any, **kwargs: Any) -> Any:
        return elements.__array_function__(function, (), (elements, *args), kwargs)

    return reduce


class MaskedElements(NDArrayOperatorsMixin):
    """What `x[mask]` is for a traced mask: to `isinstance` an array, as NumPy's.

    Everything but elementwise functions and sums of it raises the error that names the mask.
    """

    __slots__ = ("_error", "_place", "_value")

    __hash__ = None  # pyright: ignore[reportAssignmentType]

    def __init__(self, value: Value, place: MaskPlace, error: ConversionError) -> None:
        self._value = value
        self._place = place
        self._error = error

    def values_for(self, place: MaskPlace) -> Value:
        """The elements, to be put into the same places of an array.

        Raises:
            ConversionError: it is another mask.
        """
        if not place.is_like(self._place):
            raise self._error
        return self._value

    def refuse(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Raises the error that names the mask."""
        raise self._error

    def _operand(self, value: Any) -> Any:
        if type(value) is MaskedElements:
            return wrap(value.values_for(self._place))
        value = listed(value)
        if not np.ndim(value):
            return value
        spread = self._place.spread(traced(value))
        if spread is None:
            raise self._error
        return wrap(spread)

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        out = kwargs.pop("out", None)
        if method != "__call__" or kwargs or ufunc.signature is not None or ufunc.nout != 1:
            raise self._error
        mask = self._place.spread_mask()
        operands = [harmless(ufunc, self._operand(value), mask) for value in inputs]
        result = prims.broadcast_to(ufunc_handler(ufunc)(*operands), self._place.shape)
        if out is None:
            return MaskedElements(result, self._place, self._error)
        if type(out[0]) is not MaskedElements:
            raise self._error
        return out[0]._update(result, ufunc)

    def _update(self, result: Value, ufunc: np.ufunc) -> MaskedElements:
        dtype = self._value.dtype
        if not np.can_cast(result.dtype, dtype, "same_kind"):
            raise cannot_cast(f"ufunc {ufunc.__name__!r} output", result.dtype, dtype, "same_kind")
        self._value = prims.convert(result, dtype)
        return self

    def __array_function__(
        self, function: Any, types: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        given = [v for v in kwargs.values() if v is not None and v is not np._NoValue]
        if function not in _REDUCTIONS or len(args) != 1 or args[0] is not self or given:
            raise self._error
        mask = prims.broadcast_to(self._place.spread_mask(), self._value.shape)
        return call_function(function, (wrap(self._value),), {"where": wrap(mask)})

    sum, prod, mean = _reduction(np.sum), _reduction(np.prod), _reduction(np.mean)
    any, all = _reduction(np.any), _reduction(np.all)

    def __repr__(self) -> str:
        return f"MaskedElements<{self._value.dtype.name}>"

    @property
    def __class__(self) -> type:  # pyright: ignore[reportIncompatibleMethodOverride]
        return np.ndarray

    def __getattr__(self, name: str) -> NoReturn:
        raise self._error

    __array__ = __reduce_ex__ = __format__ = refuse
    __bool__ = __int__ = __float__ = __complex__ = __index__ = __round__ = refuse
    __len__ = __iter__ = __contains__ = __getitem__ = __setitem__ = __delitem__ = refuse
