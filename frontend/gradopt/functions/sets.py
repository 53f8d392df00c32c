# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Sets as sorted arrays, whose size is known at run time only.

An element of a set is the first one of those that are equal, and has its derivative.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from gradopt.array.dispatch import UFUNCS, implements
from gradopt.array.handle import wrap
from gradopt.array.indexing import getitem
from gradopt.array.masks import places_of
from gradopt.array.operands import handle_of, listed, promotion_kind, traced
from gradopt.base.dtypes import BOOL, INT64, kind_of, result_type
from gradopt.base.location import source_location
from gradopt.errors import KeywordError
from gradopt.functions.sampling import insertion_points
from gradopt.functions.selections import counted
from gradopt.ir import prims, sized
from gradopt.ir.extents import Sizes, is_extent
from gradopt.ir.prims import scalar
from gradopt.ir.sorting import last_of, sort, take_along
from gradopt.ir.values import Value


def _flat(a: Any) -> Value:
    x = traced(a)
    return prims.reshape(x, (x.size,))


def _two(ar1: Any, ar2: Any) -> tuple[Value, Value]:
    """Two arrays as NumPy would concatenate them: flat, of one dtype."""
    x, y = listed(ar1), listed(ar2)
    dtype = result_type(promotion_kind(x), promotion_kind(y))
    return prims.convert(_flat(x), dtype), prims.convert(_flat(y), dtype)


def _isnan(x: Value) -> Value:
    return UFUNCS[np.isnan](x)


def _firsts(ordered: Value, equal_nan: bool) -> Value:
    """Where an element of a sorted array differs from the one before."""
    size = ordered.size
    later, before = prims.take_range(ordered, 0, 1, size), prims.take_range(ordered, 0, 0, size - 1)
    differs = prims.not_equal(later, before)
    if equal_nan and kind_of(ordered.dtype) in "fc":
        differs = differs & ~(_isnan(later) & _isnan(before))
    first = prims.full((1,), True, BOOL)
    return prims.concatenate([first, differs], 0)


def _taken(x: Value, places: Value) -> Value:
    """Elements at places, as many of them."""
    return prims.gather(x, prims.reshape(places, (*places.shape, 1)))


# -- Unique elements ---------------------------------------------------------------------------


@implements(np.unique)
def unique(
    ar: Any,
    return_index: Any = False,
    return_inverse: Any = False,
    return_counts: Any = False,
    axis: Any = None,
    *,
    equal_nan: Any = True,
    sorted: Any = True,
) -> Any:
    """`numpy.unique`: an array whose size is known at run time only."""
    x = traced(ar)
    if axis is None or x.ndim == 1:
        prims.normalize_axes(axis, x.ndim)
        inverse_shape: tuple[int, ...] = x.shape if axis is None else (x.size,)
        parts = _unique_elements(_flat(x), bool(equal_nan))
    else:
        place = prims.normalize_axis(axis, x.ndim)
        inverse_shape = (x.shape[place],)
        parts = _unique_slices(x, place)
    wanted = (True, return_index, return_inverse, return_counts)
    made = [make() for make, is_wanted in zip(parts, wanted, strict=True) if is_wanted]
    if return_inverse:
        at = 1 + bool(return_index)
        made[at] = prims.reshape(made[at], inverse_shape)
    return made[0] if len(made) == 1 else tuple(made)


def _unique_elements(x: Value, equal_nan: bool) -> Sequence[Callable[[], Value]]:
    """What makes the elements, their first places, the inverse, and the counts."""
    whole = sized.padded(x, last_of(x.dtype))
    if not whole.size:
        nothing = prims.full((0,), 0, INT64)
        return (lambda: whole, *[lambda: nothing] * 3)
    ordered, order = sort(whole, 0)
    firsts = _firsts(ordered, equal_nan)
    if x.shape.__class__ is Sizes:
        # What fills the rest is behind all elements.
        firsts = firsts & (prims.iota(whole.shape, 0, INT64) < sized.word(x.shape[0]))
    places = _unique_places(firsts, order, x.shape[0])
    return (lambda: _taken(ordered, places_of(firsts)), *places)


def _unique_places(firsts: Value, order: Value, size: Any) -> Sequence[Callable[[], Value]]:
    """What makes the first places, the inverse and the counts of groups in sorted order.

    Args:
        firsts: where groups begin.
        order: of the elements, as many as there can be.
        size: how many there are.
    """
    numbers = prims.cumsum(prims.convert(firsts, INT64), 0) - 1
    most = order.size

    def inverse() -> Value:
        rows = prims.reshape(order, (most, 1))
        found = prims.scatter(prims.full((most,), 0, INT64), rows, numbers, unique=True)
        return found if size == most else sized.slice_(found, [0], [size], [0])

    def counts() -> Value:
        inside = prims.iota((most,), 0, INT64) < sized.word(size)
        places = prims.select(inside, numbers, scalar(most, INT64))
        found = places_of(firsts).shape[0]
        return sized.slice_(counted(places, None, most + 1), [0], [found], [0])

    return lambda: _taken(order, places_of(firsts)), inverse, counts


def _unique_slices(x: Value, axis: int) -> Sequence[Callable[[], Value]]:
    """The same of the slices along an axis, which are ordered by their elements."""
    front = prims.transpose(x, [axis, *[i for i in range(x.ndim) if i != axis]])
    count, rest = front.shape[0], front.shape[1:]
    rows = prims.reshape(front, (count, math.prod(rest)))
    order = prims.iota((count,), 0, INT64)
    for column in reversed(range(rows.shape[1])):
        keys = prims.reshape(prims.take_range(rows, 1, column, column + 1), (count,))
        order = take_along(order, sort(take_along(keys, order, 0), 0)[1], 0)
    if not count:
        return (lambda: x, *[lambda: order] * 3)
    ordered = _taken(rows, order)
    later = prims.take_range(ordered, 0, 1, count)
    before = prims.take_range(ordered, 0, 0, count - 1)
    differs = prims.reduce("any", prims.not_equal(later, before), [1])
    firsts = prims.concatenate([prims.full((1,), True, BOOL), differs], 0)

    def slices() -> Value:
        found = _taken(prims.reshape(ordered, (count, *rest)), places_of(firsts))
        return prims.transpose(found, [*range(1, axis + 1), 0, *range(axis + 1, x.ndim)])

    return slices, *_unique_places(firsts, order, count)


def _unique_results(function: Any, **wanted: bool) -> None:
    def call(x: Any) -> Any:
        found = unique(x, **wanted, equal_nan=False)
        if not wanted:
            return found
        # The class of the result has no public name.
        return type(function(np.zeros(1)))(*map(wrap, found))

    call.__doc__ = f"`numpy.{function.__name__}`."
    implements(function)(call)


_unique_results(np.unique_all, return_index=True, return_inverse=True, return_counts=True)
_unique_results(np.unique_counts, return_counts=True)
_unique_results(np.unique_inverse, return_inverse=True)
_unique_results(np.unique_values)


# -- Sets --------------------------------------------------------------------------------------


def _is_in(x: Value, ordered: Value, count: Any = None) -> tuple[Value, Value]:
    """Whether each element of `x` is in a sorted array, and the first place where it may be.

    Args:
        x: the elements.
        ordered: the array.
        count: how many elements it has, where that is known at run time only.
    """
    if not ordered.size:
        return prims.full(x.shape, False, BOOL), prims.full(x.shape, 0, INT64)
    x, ordered = prims.stop_gradient(x), prims.stop_gradient(ordered)
    place = insertion_points(ordered, x, "left")
    if not is_extent(count):
        last = scalar(ordered.size - 1, INT64)
        place = prims.select(place > last, last, place)
        return prims.equal(_taken(ordered, place), x), place
    last = sized.word(count) - 1
    place = prims.select(place > last, last, place)  # -1, which is clamped, if there are none.
    return prims.equal(_taken(ordered, place), x) & (last > -1), place


def _sorted(x: Value) -> Value:
    """Sorted; where its size is known at run time only, with the largest numbers behind."""
    return sort(sized.padded(x, last_of(x.dtype)), 0)[0]


@implements(np.isin)
def isin(
    element: Any,
    test_elements: Any,
    assume_unique: bool = False,
    invert: bool = False,
    *,
    kind: Any = None,
) -> Value:
    """`numpy.isin`: each element is looked for among the sorted ones."""
    if kind not in (None, "sort", "table"):
        raise KeywordError(
            f"Invalid kind: {kind!r}. Please use None, 'sort' or 'table'.", source_location()
        )
    x, tests = _two(element, test_elements)
    found = _is_in(x, _sorted(tests), tests.shape[0])[0]
    found = prims.reshape(found, traced(element).shape)
    return ~found if invert else found


@implements(np.union1d)
def union1d(ar1: Any, ar2: Any) -> Any:
    """`numpy.union1d`."""
    return unique(prims.concatenate(_two(ar1, ar2), 0))


@implements(np.intersect1d)
def intersect1d(
    ar1: Any, ar2: Any, assume_unique: bool = False, return_indices: bool = False
) -> Any:
    """`numpy.intersect1d`."""
    x, y = _two(ar1, ar2)
    first, order = sort(x, 0)
    second, other_order = sort(y, 0)
    if not x.size:
        nothing = prims.full((0,), 0, INT64)
        return (x, nothing, nothing) if return_indices else x
    found, other_places = _is_in(first, second)
    places = places_of(_firsts(first, equal_nan=True) & found)
    result = _taken(first, places)
    if not return_indices:
        return result
    there = _taken(other_places, places)
    beside = _taken(other_order, there) if y.size else there
    return result, _taken(order, places), beside


@implements(np.setdiff1d)
def setdiff1d(ar1: Any, ar2: Any, assume_unique: bool = False) -> Value:
    """`numpy.setdiff1d`; of elements that are unique, in the order in which they are."""
    whole = _flat(ar1)
    if whole.shape == (0,):
        return whole
    x, y = _two(ar1, ar2)
    count, tests = y.shape[0], _sorted(y)
    if assume_unique:
        return _taken(whole, places_of(~_is_in(x, tests, count)[0]))
    ordered, order = sort(sized.padded(x, last_of(x.dtype)), 0)
    rest = _firsts(ordered, equal_nan=True) & ~_is_in(ordered, tests, count)[0]
    if is_extent(x.shape[0]):
        rest = rest & (prims.iota(ordered.shape, 0, INT64) < sized.word(x.shape[0]))
    return _taken(whole, _taken(order, places_of(rest)))


@implements(np.setxor1d)
def setxor1d(ar1: Any, ar2: Any, assume_unique: bool = False) -> Value:
    """`numpy.setxor1d`."""
    x, y = (_sorted(part) for part in _two(ar1, ar2))
    both = [part for part in ((x, y), (y, x)) if part[0].size]
    if not both:
        return x
    masks = [_firsts(one, equal_nan=True) & ~_is_in(one, other)[0] for one, other in both]
    whole = prims.concatenate([one for one, _ in both], 0)
    ordered, order = sort(whole, 0)
    kept = take_along(prims.concatenate(masks, 0), order, 0)
    return _taken(ordered, places_of(kept))


@implements(np.trim_zeros)
def trim_zeros(filt: Any, trim: Any = "fb", axis: Any = None) -> Any:
    """`numpy.trim_zeros`: a view."""
    kinds = str(trim).lower()
    if kinds not in ("f", "b", "fb", "bf"):
        raise KeywordError(f"unexpected character(s) in `trim`: {trim!r}", source_location())
    whole = handle_of(filt)
    x = whole._read()
    parts = [slice(None)] * x.ndim
    holds = prims.not_equal(x, 0) if x.dtype != BOOL else x
    for place in prims.normalize_axes(axis, x.ndim):
        size = x.shape[place]
        if not size:
            continue
        others = [i for i in range(x.ndim) if i != place]
        along = prims.convert(prims.reduce("any", holds, others) if others else holds, INT64)
        any_ = prims.reduce("max", along, [0])
        first = prims.argreduce("argmax", along, 0)
        last = size - 1 - prims.argreduce("argmax", prims.reverse(along, [0]), 0)
        start = first if "f" in kinds else scalar(0, INT64)
        stop = last + 1 if "b" in kinds else scalar(size, INT64)
        # Nothing is left of zeros alone.
        parts[place] = slice(wrap(start * any_), wrap(stop * any_))
    return getitem(whole, tuple(parts))
