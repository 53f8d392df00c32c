# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Elements that a traced mask selects: how many there are is known at run time only.

`x[mask]` is an array of such a size: the elements at the places where the mask holds. Beside them
it remembers all elements of `x`. Elementwise functions compute both, the latter on harmless
operands where the mask does not hold; `x[mask] = y` takes these back, and sums and means are those
with `where=mask`. What nothing asks for is not computed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from gradopt.array.dispatch import MASKED, call_function, harmless, ufunc_handler
from gradopt.array.handle import Handle, SizedStorage, array_of, wrap
from gradopt.array.operands import listed, traced
from gradopt.base.dtypes import INT64
from gradopt.base.unknown_sizes import unknown_size
from gradopt.ir import prims, sized
from gradopt.ir.extents import bounds_of, is_extent, shape_with
from gradopt.ir.values import Shape, Value, emit, is_same
from gradopt.recording import grad


class MaskPlace(NamedTuple):
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


class Selected(NamedTuple):
    """What an array of selected elements was made of.

    Attributes:
        value: all elements, also those where the mask does not hold.
        place: where those are that it has.
        version: of the storage; afterwards it holds something else.
    """

    value: Value
    place: MaskPlace
    version: int


def selected_of(x: Any) -> Selected | None:
    """What an array was selected from, if it still holds that."""
    if not isinstance(x, Handle) or x._storage.__class__ is not SizedStorage:
        return None
    storage: Any = x._storage
    selected: Selected | None = storage.selected
    if selected is None or selected.version != storage.version or x._views != (storage.window,):
        return None
    return selected if storage.spoiled is None else None


# -- Places ------------------------------------------------------------------------------------


def places_of(mask: Value) -> Value:
    """The places where a mask of one dimension holds, in order: int64."""
    known = prims.scope().wrapped
    key = (mask.ssa, -1)
    found = known.get(key)
    if found is None:
        found = known[key] = _places_of(mask)
    return found


def _places_of(mask: Value) -> Value:
    whole = sized.padded(mask)
    (size,) = whole.shape
    if not size:
        return prims.full((0,), 0, INT64)
    holds = prims.convert(whole, INT64)
    before = prims.cumsum(holds, 0) - 1
    count = prims.reduce("sum", holds, [0])
    # What does not hold goes behind the end.
    slots = prims.select(whole, before, prims.scalar(size, INT64))
    numbers = prims.iota((size,), 0, INT64)
    zeros = prims.full((size + 1,), 0, INT64)
    places = prims.scatter(zeros, prims.reshape(slots, (size, 1)), numbers)
    return sized.slice_(places, [0], [sized.extent_of(count, size)], [0])


def nonzero(mask: Value) -> list[Value]:
    """The indices of the elements where a mask holds, one array for each dimension."""
    place = places_of(prims.reshape(mask, (mask.size,)))
    if mask.ndim == 1:
        return [place]
    result: list[Value] = []
    for extent in reversed(mask.shape):
        factor = sized.word(extent)
        result.append(emit(grad.remainder, place, factor))
        place = emit(grad.floor_divide, place, factor)
    return result[::-1]


def _front(x: Value, place: MaskPlace) -> Value:
    """The elements, as many as there can be, the mask's dimensions first and as one."""
    rank = place.mask.ndim
    chosen = range(place.first, place.first + rank)
    rest = [i for i in range(x.ndim) if i not in chosen]
    front = sized.padded(prims.transpose(x, [*chosen, *rest]))
    count = prims.size_of(front.shape[:rank])
    return prims.reshape(front, (count, *front.shape[rank:]))


def _rows(place: MaskPlace) -> tuple[Value, Any]:
    """Where the mask holds, as rows of indices into `_front`, and how many there are."""
    mask = sized.padded(place.mask)
    places = places_of(prims.reshape(mask, (mask.size,)))
    count: Any = places.shape[0]
    return prims.reshape(places, shape_with([count, 1])), count


def select(x: Value, place: MaskPlace) -> Any:
    """`x[mask]`.

    Args:
        x: of the place's shape.
        place: where the elements are.
    """
    rows, count = _rows(place)
    found = prims.gather(_front(x, place), rows)
    rest = [*place.shape[: place.first], *place.shape[place.first + place.mask.ndim :]]
    found = sized.resized(found, shape_with([count, *rest]))
    order = [*range(1, place.first + 1), 0, *range(place.first + 1, found.ndim)]
    made = array_of(prims.transpose(found, order))
    _remember(made, x, place)
    return made


def _remember(made: Handle, value: Value, place: MaskPlace) -> None:
    storage: Any = made._storage
    if storage.__class__ is SizedStorage:
        storage.selected = Selected(value, place, storage.version)


def replace(x: Value, place: MaskPlace, fitted: Callable[[Shape], Value]) -> Value:
    """`x` after `x[mask] = values`.

    Args:
        x: of the place's shape.
        place: where the elements are.
        fitted: the values, given the shape of `x[mask]`.
    """
    rows, count = _rows(place)
    first, rank = place.first, place.mask.ndim
    rest = [*place.shape[:first], *place.shape[first + rank :]]
    if any(map(is_extent, rest)):
        raise unknown_size("an assignment to elements beside a mask")
    values = fitted(shape_with([*rest[:first], count, *rest[first:]]))
    values = prims.transpose(values, [first, *[i for i in range(values.ndim) if i != first]])
    front = prims.scatter(_front(x, place), rows, values)
    bounds = bounds_of(place.shape)
    chosen = bounds[first : first + rank]
    front = prims.reshape(front, (*chosen, *rest))
    order = [*range(rank, rank + first), *range(rank), *range(rank + first, front.ndim)]
    return sized.resized(prims.transpose(front, order), place.shape)


# -- Elements everywhere -----------------------------------------------------------------------

# Of all selected elements.
_REDUCTIONS = frozenset({np.sum, np.prod, np.mean, np.any, np.all})


def _reduced(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """A reduction of all selected elements as one with `where=`; None if it is another call."""
    given = [v for v in kwargs.values() if v is not None and v is not np._NoValue]
    if function not in _REDUCTIONS or len(args) != 1 or given:
        return None
    selected = selected_of(args[0])
    if selected is None:
        return None
    mask = prims.broadcast_to(selected.place.spread_mask(), selected.value.shape)
    return call_function(function, (wrap(selected.value),), {"where": wrap(mask)})


def _computed(ufunc: np.ufunc, inputs: tuple[Any, ...], made: Any) -> None:
    """Remembers what a ufunc of selected elements is everywhere."""
    found = [selected for selected in map(selected_of, inputs) if selected is not None]
    if not found or ufunc.signature is not None or ufunc.nout != 1 or not isinstance(made, Handle):
        return
    place = found[0].place
    operands = [_operand(value, place) for value in inputs]
    if any(operand is None for operand in operands):
        return
    mask = place.spread_mask()
    result = ufunc_handler(ufunc)(*[harmless(ufunc, operand, mask) for operand in operands])
    _remember(made, prims.broadcast_to(result, place.shape), place)


def _operand(value: Any, place: MaskPlace) -> Any:
    """An operand of what was selected, for all elements; None if it is not known there."""
    selected = selected_of(value)
    if selected is not None:
        return wrap(selected.value) if place.is_like(selected.place) else None
    value = listed(value)
    if not np.ndim(value):
        return value
    spread = place.spread(traced(value))
    return None if spread is None else wrap(spread)


MASKED["reduced"] = _reduced
MASKED["computed"] = _computed
