# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What a `for` goes through, by number: ranges, arrays, and enumerate, zip and reversed of them.

A loop over one of these can be a loop of compiled code, whose counter says which element it is at.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gradopt.array.flat import Flat
from gradopt.array.handle import Handle, array_of, python_number
from gradopt.array.indexing import getitem
from gradopt.array.operands import handle_of, rows_of
from gradopt.base.dtypes import INT64, SUPPORTED
from gradopt.base.location import source_location
from gradopt.errors import ConversionError, ElementError, UnsupportedError
from gradopt.ir import checks, prims
from gradopt.ir.affine import affine, between, lies_between
from gradopt.ir.intervals import assume
from gradopt.ir.sized import number
from gradopt.ir.values import Value


class Numbered:
    """Something to go through, by number."""

    def length(self) -> int | Value:
        """How many elements there are; a traced number may be negative for none."""
        raise NotImplementedError

    def item(self, number: Value, length: int | Value) -> Any:
        """The element of a traced number, in a loop over `length` elements."""
        raise NotImplementedError

    def lists(self) -> Sequence[list[Any]]:
        """The lists that it goes through."""
        return ()

    def __iter__(self) -> Iterator[Any]:
        raise NotImplementedError


def _number(value: Any) -> int | Value:
    """A bound of a range."""
    if isinstance(value, Handle):
        known = value._known()
        if known is None:
            return prims.convert(value._read(), INT64)
        return int(known)
    return int(value)


@dataclass(eq=False, repr=False)
class TracedRange(Numbered):
    """As `range`, of which a bound or the step may be traced.

    Attributes:
        start: the first number.
        stop: behind the last one.
        step: from one to the next.
    """

    start: Any
    stop: Any
    step: Any

    def length(self) -> int | Value:
        start, stop, step = map(_number, (self.start, self.stop, self.step))
        if isinstance(start, int) and isinstance(stop, int) and isinstance(step, int):
            return len(range(start, stop, step))
        first, last = prims.as_value(start, INT64), prims.as_value(stop, INT64)
        if isinstance(step, int):
            distance = last - first if step > 0 else first - last
            size: Any = abs(step)
            if size == 1:
                return distance
        else:
            rises, is_none = step > prims.scalar(0, INT64), prims.equal(step, 0)
            distance = prims.select(rises, last - first, first - last)
            # Where it is 0, the call raises an error.
            size = prims.select(rises, step, prims.scalar(0, INT64) - step)
            size = python_number(prims.select(is_none, prims.scalar(1, INT64), size))
        # Rounded up; where it is negative there is no iteration in any case.
        rounded = (python_number(distance) + (size - 1)) // size
        return rounded._read()

    def item(self, number: Value, length: int | Value) -> Any:
        start, step = _number(self.start), _number(self.step)
        value = number if isinstance(step, int) and step == 1 else number * step
        if not (isinstance(start, int) and start == 0):
            value = value + start
        self._assume(value, length)
        return python_number(value)

    def _assume(self, value: Value, length: int | Value) -> None:
        """Notes between which numbers an element lies."""
        start, stop, step = map(_interval, (self.start, self.stop, self.step))
        rises = step is not None and step[0] > 0
        falls = step is not None and step[1] < 0
        if rises or falls:
            first, behind = affine(_number(self.start)), affine(_number(self.stop))
            last = behind.plus(affine(-1 if rises else 1))
            lies_between(value, *((first, last) if rises else (last, first)))
        if start is None or stop is None:
            return
        if isinstance(length, int) and isinstance(self.step, int):
            last = start[0] + self.step * (length - 1), start[1] + self.step * (length - 1)
            assume(value, min(start[0], last[0]), max(start[1], last[1]))
        elif rises:
            assume(value, start[0], max(start[0], stop[1] - 1))
        elif falls:
            assume(value, min(start[1], stop[0] + 1), start[1])
        else:
            assume(value, min(start[0], stop[0] + 1), max(start[1], stop[1] - 1))

    def __iter__(self) -> Iterator[int]:
        return iter(self._known())

    def __len__(self) -> int:
        return len(self._known())

    def _known(self) -> range:
        """Python's range, if the bounds are known."""
        bounds: list[Any] = [_number(self.start), _number(self.stop), _number(self.step)]
        if not all(isinstance(bound, int) for bound in bounds):
            raise ConversionError(
                "a bound or the step of this range is traced: a `for` statement can go through it, "
                "in a function that is rewritten; nothing else can",
                source_location(),
            )
        return range(*bounds)


def _interval(bound: Any) -> tuple[int, int] | None:
    return between(_number(bound))


@dataclass(eq=False, repr=False)
class _Rows(Numbered):
    """The elements of an array along its first axis.

    Attributes:
        array: the array, concrete or traced.
        source: the list that it is, where a loop has filled one.
    """

    array: Any
    source: list[Any] | None = None

    def lists(self) -> Sequence[list[Any]]:
        return () if self.source is None else (self.source,)

    def length(self) -> int | Value:
        if isinstance(self.array, Handle):
            return number(self.array._extents[0])
        return len(self.array)

    def item(self, number: Value, length: int | Value) -> Any:
        array = handle_of(self.array)
        found = getitem(array, python_number(number))
        return python_number(found._read()) if array._weak else found

    def __iter__(self) -> Iterator[Any]:
        return iter(self.array if self.source is None else self.source)


@dataclass(eq=False, repr=False)
class _Enumerated(Numbered):
    inner: Numbered
    start: int

    def lists(self) -> Sequence[list[Any]]:
        return self.inner.lists()

    def length(self) -> int | Value:
        return self.inner.length()

    def item(self, number: Value, length: int | Value) -> Any:
        count = number + self.start if self.start else number
        if isinstance(length, int):
            assume(count, self.start, self.start + length - 1)
        return python_number(count), self.inner.item(number, length)

    def __iter__(self) -> Iterator[Any]:
        return iter(enumerate(self.inner, self.start))


@dataclass(eq=False, repr=False)
class _Zipped(Numbered):
    parts: Sequence[Numbered]

    def lists(self) -> Sequence[list[Any]]:
        return [found for part in self.parts for found in part.lists()]

    def length(self) -> int | Value:
        lengths = [part.length() for part in self.parts]
        known = [length for length in lengths if isinstance(length, int)]
        if len(known) == len(lengths):
            return min(known)
        result = prims.as_value(lengths[0], INT64)
        for length in lengths[1:]:
            other = prims.as_value(length, INT64)
            result = prims.select(other < result, other, result)
        return result

    def item(self, number: Value, length: int | Value) -> Any:
        return tuple([part.item(number, length) for part in self.parts])

    def __iter__(self) -> Iterator[Any]:
        return iter(zip(*self.parts, strict=False))


@dataclass(eq=False, repr=False)
class _Reversed(Numbered):
    inner: Numbered

    def lists(self) -> Sequence[list[Any]]:
        return self.inner.lists()

    def length(self) -> int | Value:
        return self.inner.length()

    def item(self, number: Value, length: int | Value) -> Any:
        last = self.inner.length()
        place = prims.as_value(last - 1, INT64) - number
        if isinstance(last, int):
            assume(place, 0, last - 1)
        return self.inner.item(place, last)

    def __iter__(self) -> Iterator[Any]:
        if isinstance(self.inner, _Rows):
            rows = self.inner
            return iter(rows.array[::-1]) if rows.source is None else reversed(rows.source)
        return iter(list(self.inner)[::-1])


@dataclass(eq=False, repr=False)
class Product(Numbered):
    """All combinations of elements, the last ones changing first.

    Attributes:
        parts: what the elements are of.
    """

    parts: Sequence[Numbered]

    def length(self) -> int | Value:
        total: Any = 1
        for part in self.parts:
            length = part.length()
            if isinstance(length, Value):
                none = prims.scalar(0, INT64)
                length = python_number(prims.select(length < none, none, length))
            total = total * length
        return total._read() if isinstance(total, Handle) else total

    def item(self, number: Value, length: int | Value) -> Any:
        found: list[Any] = []
        rest = python_number(number)
        for i, part in reversed(list(enumerate(self.parts))):
            size = part.length()
            count = python_number(size) if isinstance(size, Value) else size
            place = rest % count if i else rest
            value = prims.convert(place._read(), INT64)
            if isinstance(size, int):
                assume(value, 0, size - 1)
            found.insert(0, part.item(value, size))
            rest = rest // count
        return tuple(found)

    def __iter__(self) -> Iterator[Any]:
        return itertools.product(*self.parts)


@dataclass(eq=False, repr=False)
class _NdEnumerated(Numbered):
    """The indices of an array's elements, and the elements.

    Attributes:
        array: the array, concrete or traced.
    """

    array: Any

    def _indices(self) -> Product:
        return Product([TracedRange(0, size, 1) for size in self.array.shape])

    def length(self) -> int | Value:
        return self._indices().length()

    def item(self, number: Value, length: int | Value) -> Any:
        index = self._indices().item(number, length)
        return index, getitem(handle_of(self.array), index)

    def __iter__(self) -> Iterator[Any]:
        return ((index, self.array[index]) for index in self._indices())


@dataclass(eq=False, repr=False)
class _Rest(Numbered):
    """What a loop of compiled code has left of a sequence.

    Attributes:
        whole: the sequence.
        start: how many elements the loop has taken.
    """

    whole: Numbered
    start: Value

    def lists(self) -> Sequence[list[Any]]:
        return self.whole.lists()

    def length(self) -> int | Value:
        return prims.as_value(self.whole.length(), INT64) - self.start

    def item(self, number: Value, length: int | Value) -> Any:
        last = self.whole.length()
        place = number + self.start
        if isinstance(last, int):
            assume(place, 0, last - 1)
        return self.whole.item(place, last)

    def __iter__(self) -> Iterator[Any]:
        raise UnsupportedError(
            "an iterator is gone through again of which a loop took some elements: how many is "
            "known only when the compiled code runs; a `for` statement can go through the others, "
            "nothing else can",
            source_location(),
        )


def numbered(value: Any) -> Numbered | None:
    """What a loop of compiled code could go through, or None.

    Of an iterator, that is what is left of it, which is gone then.
    """
    if isinstance(value, Once):
        return value.taken()
    if isinstance(value, Numbered):
        return value
    if isinstance(value, Flat):
        return _Rows(value.elements)
    if isinstance(value, Handle):
        return _Rows(value) if value.shape else None
    if type(value) is list:
        # One that a loop has filled.
        whole = rows_of(value)
        return None if whole is None else _Rows(whole, value)
    if type(value) is range:
        return TracedRange(value.start, value.stop, value.step)
    if type(value) is np.ndarray and value.ndim and value.dtype in SUPPORTED:
        return _Rows(value)
    return None


# -- Iterators ---------------------------------------------------------------------------------


class Once(Iterator[Any]):
    """An iterator over something numbered, as `zip` gives one: it can be gone through once.

    Args:
        whole: what it goes through.
        sources: iterators among what that was made of.
    """

    def __init__(self, whole: Numbered, *sources: Any) -> None:
        self.whole = whole
        self._sources = [source for source in sources if isinstance(source, Once)]
        self._items: Iterator[Any] | None = None
        self._is_unknown = False

    def taken(self) -> Numbered | None:
        """All of it, if nothing was taken before; it is used up then."""
        self._require_known()
        if self._items is not None:
            return None
        self._items = iter(())
        return self.whole

    def untaken(self) -> Numbered | None:
        """The same; it is not used up."""
        self._require_known()
        return self.whole if self._items is None else None

    def left(self, place: int | Value | None) -> None:
        """Notes that a loop was left.

        Args:
            place: the first element that it has not taken; None if nobody knows.
        """
        for source in self._sources:
            source.left(place)
        if place is None:
            self._is_unknown = True
        elif isinstance(place, Value):
            self.whole, self._items = _Rest(self.whole, place), None
        else:
            self._items = itertools.islice(iter(self.whole), place, None)

    def _require_known(self) -> None:
        if self._is_unknown:
            raise UnsupportedError(
                "an iterator is gone through again of which a loop took some elements: which ones "
                "are left is known only when the compiled code runs; make a new one",
                source_location(),
            )

    def __next__(self) -> Any:
        self._require_known()
        if self._items is None:
            self._items = iter(self.whole)
        return next(self._items)


# -- What builtins become ----------------------------------------------------------------------


def range_of(*bounds: Any) -> Any:
    """As `range`."""
    if not any(isinstance(bound, Handle) and bound._known() is None for bound in bounds):
        return range(*bounds)
    for bound in bounds:
        if isinstance(bound, Handle) and bound._known() is None:
            bound._require_size()
    start, stop, step = (0, *bounds, 1) if len(bounds) == 1 else (*bounds, 1)[:3]
    for bound in (start, stop, step):
        if isinstance(bound, Handle) and (bound.shape or bound.dtype.kind not in "iu"):
            raise TypeError(f"{bound.dtype.name!r} object cannot be interpreted as an integer")
    size = _number(step)
    if isinstance(size, int) and size == 0:
        raise ValueError("range() arg 3 must not be zero")
    if not isinstance(size, int):
        checks.require_all(prims.not_equal(size, 0), "range() arg 3 must not be zero", ElementError)
    return TracedRange(start, stop, size if isinstance(size, int) else step)


def _untaken(value: Any) -> Numbered | None:
    """As `numbered`, but an iterator is not used up: Python's function may have to take it."""
    return value.untaken() if isinstance(value, Once) else numbered(value)


def _take(*iterables: Any) -> None:
    for iterable in iterables:
        if isinstance(iterable, Once):
            iterable.taken()


def _have_one_twice(iterables: Sequence[Any]) -> bool:
    """Whether an iterator is among them twice, which gives each element to one of the two."""
    once = [id(iterable) for iterable in iterables if isinstance(iterable, Once)]
    return len(set(once)) < len(once)


def enumerated(iterable: Any, start: int = 0) -> Any:
    """As `enumerate`."""
    inner = _untaken(iterable)
    if inner is None or type(start) is not int:
        return enumerate(iterable, start)
    _take(iterable)
    return Once(_Enumerated(inner, start), iterable)


def zipped(*iterables: Any, strict: bool = False) -> Any:
    """As `zip`."""
    parts = [_untaken(iterable) for iterable in iterables]
    found = [part for part in parts if part is not None]
    if (
        not found
        or len(found) != len(parts)
        or (strict and not _are_as_long(found))
        or _have_one_twice(iterables)
    ):
        return zip(*iterables, strict=strict)
    _take(*iterables)
    for iterable in iterables:
        if isinstance(iterable, Once):
            iterable.left(None)  # Another one may be shorter.
    return Once(_Zipped(found))


def _are_as_long(parts: Sequence[Numbered]) -> bool:
    """Whether lengths are known, and equal."""
    lengths = [part.length() for part in parts]
    return all(isinstance(length, int) and length == lengths[0] for length in lengths)


def product_of(*iterables: Any, repeat: int = 1) -> Any:
    """As `itertools.product`."""
    parts = [_untaken(_held(iterable)) for iterable in iterables]
    found = [part for part in parts if part is not None]
    if (
        not found
        or len(found) != len(parts)
        or type(repeat) is not int
        or repeat < 1
        or _have_one_twice(iterables)
    ):
        return itertools.product(*iterables, repeat=repeat)
    _take(*iterables)
    return Once(Product(found * repeat))


def _held(iterable: Any) -> Any:
    """What `itertools.product` keeps of something: numbers as they are now, but rows are views."""
    if isinstance(iterable, Handle) and iterable.ndim == 1:
        return array_of(iterable._read())
    return iterable


def ndindex_of(*shape: Any) -> Any:
    """As `numpy.ndindex`."""
    sizes = shape[0] if len(shape) == 1 and isinstance(shape[0], (tuple, list)) else shape
    ranges = [range_of(size) for size in sizes]
    if not ranges or any(not isinstance(r, TracedRange) and not r for r in ranges):
        return np.ndindex(*shape)
    parts = [numbered(part) for part in ranges]
    return Once(Product([part for part in parts if part is not None]))


def ndenumerate_of(arr: Any) -> Any:
    """As `numpy.ndenumerate`."""
    found = numbered(arr)
    return np.ndenumerate(arr) if found is None else Once(_NdEnumerated(arr))


def reversed_of(sequence: Any) -> Any:
    """As `reversed`."""
    inner = numbered(sequence)
    return reversed(sequence) if inner is None else Once(_Reversed(inner))


# -- What is gone through more than once -------------------------------------------------------


class Again(Iterator[Any]):
    """Goes through an array and the like, whose elements are read where they are asked for.

    Args:
        whole: the array.
        place: the first element.
        owner: the iterator that goes through it, if there is one.
    """

    def __init__(self, whole: Any, place: int = 0, owner: Once | None = None) -> None:
        self._whole, self._place, self._owner = whole, place, owner
        self._items = itertools.islice(iter(whole), place, None)

    def __next__(self) -> Any:
        item = next(self._items)
        self._place += 1
        return item

    def rest(self) -> Callable[[], Iterator[Any]]:
        """What is left, as often as it is asked for."""
        whole, place = self._whole, self._place
        if self._owner is not None:
            self._owner.left(None)
        return lambda: Again(whole, place)

    def left(self) -> None:
        """Notes that a loop was left behind the last element."""
        if self._owner is not None:
            self._owner.left(self._place)
