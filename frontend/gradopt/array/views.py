# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Views: which elements of an array another one shows, and in which shape.

A view reads what it shows (`get`), and says what the array below becomes where it is written to
(`put`). Slices, integers, new and removed axes, reversals and transposes, and views of such views,
are one `Window`; `Reshape`, `Diagonal` and `Broadcast` come between windows.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from gradopt.base.dtypes import INT64, DType
from gradopt.ir import prims, sized
from gradopt.ir.affine import Number, plus
from gradopt.ir.extents import bounds_of, is_extent, shape_with
from gradopt.ir.values import Shape, Value, of_shape

Array = np.ndarray[Any, Any]
Strides = tuple[int, ...]


class View:
    """A part of an array.

    Attributes:
        shape: the shape of the part.
        writable: whether NumPy lets the part be written to.
    """

    __slots__ = ("shape", "writable")

    # That of the part, where it differs from that of the array below.
    dtype: DType | None = None

    def __init__(self, shape: Shape, writable: bool = True) -> None:
        self.shape = shape
        self.writable = writable

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def _key(self) -> Any:
        return self.shape

    def get(self, base: Value) -> Value:
        """The elements that are shown."""
        raise NotImplementedError

    def put(self, base: Value, part: Value) -> Value:
        """The array below, with these elements where they are shown."""
        raise NotImplementedError

    def show(self, base: Array) -> Array | None:
        """As `get`, of a concrete array; None where the view depends on traced values."""
        raise NotImplementedError

    def strides(self, base: Strides) -> Strides:
        """Steps in elements, given those of the array below."""
        raise NotImplementedError


class Range(NamedTuple):
    """Elements along one dimension.

    Attributes:
        start: the first; a traced one is not negative.
        length: how many; it may be an `Extent`.
        step: from one to the next, not zero; 1 or -1 where the others are not known, but for one
            element.
    """

    start: int | Value
    length: int
    step: int = 1

    def part(self, start: Number, count: Any, step: int = 1) -> Range:
        """Some of them, by their numbers; `count` may be an `Extent`."""
        if count.__class__ is int and count == 0:
            return Range(0, 0)
        first, _, mine = self
        first = plus(first, start, mine)
        return Range(first, count, 1 if count == 1 else mine * step)

    def at(self, index: Value) -> Range:
        """One of them, by a traced number that is not negative."""
        if self.length == 1 and isinstance(self.start, Value):
            return self
        return self.part(index, 1)

    def is_traced(self) -> bool:
        """Whether the first, or how many there are, is not known while tracing."""
        return is_extent(self.length) or isinstance(self.start, Value)

    def first(self) -> Number:
        """The one with the smallest index."""
        if self.step > 0:
            return self.start
        return plus(self.start, plus(sized.number(self.length), -1), self.step)


# What is shown along a dimension that the array below does not have.
NEW_AXIS = Range(0, 1)


class Window(View):
    """A range along each dimension of the array below, and its dimensions in any order.

    Attributes:
        base: the shape below.
        ranges: what is shown along each dimension below.
        axes: for each dimension of the part the one below, or -1 for a new one of size 1. A
            dimension below that is left out has a range of one element.
    """

    __slots__ = ("axes", "base", "ranges")

    def __init__(
        self,
        base: Shape,
        ranges: tuple[Range, ...],
        axes: tuple[int, ...],
        writable: bool = True,
    ) -> None:
        self.shape = shape_with([1 if axis < 0 else ranges[axis].length for axis in axes])
        self.writable = writable
        self.base = base
        self.ranges = ranges
        self.axes = axes

    def _key(self) -> Any:
        return self.base, self.ranges, self.axes

    def covers(self) -> bool:
        """Whether it shows all elements, in the order of the array below."""
        return all(
            r.length == size and r.step == 1 and not r.is_traced()
            for r, size in zip(self.ranges, self.base, strict=True)
        )

    def is_identity(self) -> bool:
        """Whether it shows everything as it is."""
        return (
            self.shape == self.base and self.axes == tuple(range(len(self.base))) and self.covers()
        )

    def is_ascending(self) -> bool:
        """Whether its dimensions come in the order of those below."""
        last = -1
        for axis in self.axes:
            if 0 <= axis < last:
                return False
            last = max(axis, last)
        return True

    def with_axes(self, axes: Iterable[int]) -> Window:
        """The same elements, with these dimensions; -1 is a new one, those left out have size 1."""
        mine = self.axes
        new = tuple([-1 if axis < 0 else mine[axis] for axis in axes])
        return Window(self.base, self.ranges, new, self.writable)

    # -- Reading and writing -----------------------------------------------------------------

    def _slice(self) -> tuple[list[int], list[int], list[int], list[int], bool]:
        """Offsets, sizes and positive strides of a static slice, and what is backwards in it.

        Dimensions with a traced start stay whole; the last result tells whether there are any.
        """
        offsets: list[int] = []
        sizes: list[int] = []
        strides: list[int] = []
        backwards: list[int] = []
        dynamic = False
        for i, (start, length, step) in enumerate(self.ranges):
            if isinstance(start, Value) or is_extent(length):
                dynamic = True
                start, length, step = 0, self.base[i], 1
            elif step < 0:
                backwards.append(i)
                start, step = start + (length - 1) * step, -step
            offsets.append(start)
            sizes.append(length)
            strides.append(step)
        return offsets, sizes, strides, backwards, dynamic

    def _starts(self, offsets: Sequence[int]) -> list[Value]:
        """Where a slice starts: traced starts, and these offsets."""
        return [
            r.start if isinstance(r.start, Value) else prims.scalar(offset, INT64)
            for r, offset in zip(self.ranges, offsets, strict=True)
        ]

    def _is_traced(self) -> bool:
        """Whether it takes ops for traced sizes; elements before a traced one do, too."""
        for start, length, step in self.ranges:
            if is_extent(length) or (step < 0 and isinstance(start, Value)):
                return True
        return False

    def _get_traced(self, base: Value) -> Value:
        """`get`, of elements whose first, or whose number, is traced."""
        part = prims.slice_(base, *self._static_slice())
        kept = sorted([axis for axis in self.axes if axis >= 0])
        part = sized.slice_(part, self._firsts(), [self.ranges[i].length for i in kept], kept)
        part = prims.reverse(part, [n for n, i in enumerate(kept) if self.ranges[i].step < 0])
        part = prims.transpose(part, [kept.index(axis) for axis in self.axes if axis >= 0])
        return prims.reshape(part, self.shape)

    def _put_traced(self, base: Value, part: Value) -> Value:
        """`put`, of elements whose first, or whose number, is traced."""
        axes = [axis for axis in self.axes if axis >= 0]
        kept = sorted(axes)
        part = prims.reshape(part, shape_with([self.ranges[axis].length for axis in axes]))
        part = prims.transpose(part, [axes.index(axis) for axis in kept])
        part = prims.reverse(part, [n for n, i in enumerate(kept) if self.ranges[i].step < 0])
        offsets, sizes, strides = self._static_slice()
        below = prims.slice_(base, offsets, sizes, strides)
        below = sized.update(below, part, self._firsts(), kept)
        return prims.update_slice(base, below, offsets, strides)

    def _static_slice(self) -> tuple[list[int], list[int], list[int]]:
        """Offsets, sizes and strides of a slice along dimensions with steps beside 1 and -1."""
        offsets: list[int] = []
        sizes: list[int] = []
        strides: list[int] = []
        for part, size in zip(self.ranges, self.base, strict=True):
            is_stepped = not part.is_traced() and abs(part.step) > 1
            first = part.first()
            offsets.append(first if is_stepped and isinstance(first, int) else 0)
            sizes.append(part.length if is_stepped else size)
            strides.append(abs(part.step) if is_stepped else 1)
        return offsets, sizes, strides

    def _firsts(self) -> list[Number]:
        """Where the elements start in that slice."""
        return [
            0 if not part.is_traced() and abs(part.step) > 1 else part.first()
            for part in self.ranges
        ]

    def get(self, base: Value) -> Value:
        if self._is_traced():
            return self._get_traced(base)
        counts = [r.length for r in self.ranges]
        offsets, sizes, strides, backwards, dynamic = self._slice()
        if dynamic and not backwards and all(stride == 1 for stride in strides):
            part = prims.dynamic_slice(base, self._starts(offsets), counts, True)
        else:
            part = prims.slice_(base, offsets, sizes, strides)
            if backwards:
                part = prims.reverse(part, backwards)
            if dynamic:
                part = prims.dynamic_slice(part, self._starts([0] * part.ndim), counts, True)
        if not self.is_ascending():
            kept = [axis for axis in self.axes if axis >= 0]
            part = prims.reshape(part, tuple([counts[axis] for axis in sorted(kept)]))
            part = prims.transpose(part, [sorted(kept).index(axis) for axis in kept])
        return prims.reshape(part, self.shape)

    def put(self, base: Value, part: Value) -> Value:
        counts = tuple([r.length for r in self.ranges])
        if 0 in counts:
            return base
        if self._is_traced():
            return self._put_traced(base, part)
        if not self.is_ascending():
            kept = [axis for axis in self.axes if axis >= 0]
            part = prims.reshape(part, tuple([counts[axis] for axis in kept]))
            part = prims.transpose(part, [kept.index(axis) for axis in sorted(kept)])
        part = prims.reshape(part, counts)
        offsets, sizes, strides, backwards, dynamic = self._slice()
        if dynamic and not backwards and all(stride == 1 for stride in strides):
            return prims.dynamic_update_slice(base, part, self._starts(offsets), True)
        part = prims.reverse(part, backwards)
        if dynamic:
            below = prims.slice_(base, offsets, sizes, strides)
            part = prims.dynamic_update_slice(below, part, self._starts([0] * base.ndim), True)
        return prims.update_slice(base, part, offsets, strides)

    def show(self, base: Array) -> Array | None:
        offsets, sizes, strides, backwards, dynamic = self._slice()
        if dynamic:
            return None
        slices = [
            slice(offset, offset + size * stride, stride)
            for offset, size, stride in zip(offsets, sizes, strides, strict=True)
        ]
        part = np.flip(base[tuple(slices)], tuple(backwards))
        kept = [axis for axis in self.axes if axis >= 0]
        dropped = [axis for axis in range(base.ndim) if axis not in kept]
        return part.transpose([*kept, *dropped]).reshape(self.shape)

    def strides(self, base: Strides) -> Strides:
        return tuple([0 if axis < 0 else base[axis] * self.ranges[axis].step for axis in self.axes])


class Every(View):
    """Each so many of the elements along a dimension of unknown size.

    Attributes:
        base: the shape below.
        axis: which dimension.
        step: from one to the next, at least 2.
    """

    __slots__ = ("axis", "base", "step")

    def __init__(self, base: Shape, axis: int, step: int, writable: bool = True) -> None:
        shape = [*base[:axis], sized.every_count(base[axis], step), *base[axis + 1 :]]
        super().__init__(shape_with(shape), writable)
        self.base = base
        self.axis = axis
        self.step = step

    def _key(self) -> Any:
        return self.base, self.axis, self.step

    def get(self, base: Value) -> Value:
        return of_shape(sized.every(base, self.axis, self.step), self.shape)

    def put(self, base: Value, part: Value) -> Value:
        return sized.with_every(base, part, self.axis, self.step)

    def show(self, base: Array) -> Array | None:
        return None

    def strides(self, base: Strides) -> Strides:
        steps = list(base)
        steps[self.axis] *= self.step
        return tuple(steps)


@functools.cache
def whole(shape: Shape) -> Window:
    """The window that shows everything."""
    return Window(shape, tuple([Range(0, size) for size in shape]), tuple(range(len(shape))))


def first_ones(shape: Shape) -> Window:
    """The window that shows so many elements of an array with the bounds of these sizes."""
    ranges = tuple([Range(0, size) for size in shape])
    return Window(bounds_of(shape), ranges, tuple(range(len(shape))))


class Reshape(View):
    """The same elements in row-major order, in another shape.

    Attributes:
        base: the shape below.
    """

    __slots__ = ("_strides", "base")

    def __init__(self, base: Shape, shape: Shape, strides: Strides, writable: bool = True) -> None:
        super().__init__(shape, writable)
        self.base = base
        self._strides = strides

    def _key(self) -> Any:
        return self.base, self.shape

    def get(self, base: Value) -> Value:
        return prims.reshape(base, self.shape)

    def put(self, base: Value, part: Value) -> Value:
        return prims.reshape(part, self.base)

    def show(self, base: Array) -> Array | None:
        return base.reshape(self.shape)

    def strides(self, base: Strides) -> Strides:
        return self._strides


class Diagonal(View):
    """A diagonal of the last two dimensions.

    Attributes:
        base: the shape below.
        offset: how far the diagonal is above the main one.
    """

    __slots__ = ("base", "offset")

    def __init__(self, base: Shape, offset: int, writable: bool = True) -> None:
        *outer, rows, columns = base
        size = min(rows, columns - offset) if offset >= 0 else min(rows + offset, columns)
        super().__init__((*outer, max(0, size)), writable)
        self.base = base
        self.offset = offset

    def _key(self) -> Any:
        return self.base, self.offset

    def _flat(self) -> Shape:
        return (*self.base[:-2], self.base[-2] * self.base[-1])

    def _slice(self) -> tuple[list[int], list[int]]:
        """Offsets and strides of the slice of the flattened matrices."""
        columns, outer = self.base[-1], len(self.base) - 2
        start = self.offset if self.offset >= 0 else -self.offset * columns
        return [0] * outer + [start], [1] * outer + [columns + 1]

    def get(self, base: Value) -> Value:
        flat = prims.reshape(base, self._flat())
        offsets, strides = self._slice()
        if not self.shape[-1]:
            offsets, strides = [0] * flat.ndim, [1] * flat.ndim
        return prims.slice_(flat, offsets, list(self.shape), strides)

    def put(self, base: Value, part: Value) -> Value:
        if 0 in self.shape:
            return base
        flat = prims.update_slice(prims.reshape(base, self._flat()), part, *self._slice())
        return prims.reshape(flat, self.base)

    def show(self, base: Array) -> Array | None:
        return base.diagonal(self.offset, -2, -1)

    def strides(self, base: Strides) -> Strides:
        return (*base[:-2], base[-2] + base[-1])


class Broadcast(View):
    """Elements repeated along new dimensions, or ones of size 1; not to be written to."""

    __slots__ = ("base",)

    def __init__(self, base: Shape, shape: Shape) -> None:
        super().__init__(shape, writable=False)
        self.base = base

    def _key(self) -> Any:
        return self.base, self.shape

    def get(self, base: Value) -> Value:
        return prims.broadcast_to(base, self.shape)

    def show(self, base: Array) -> Array | None:
        return np.broadcast_to(base, self.shape)

    def strides(self, base: Strides) -> Strides:
        missing = len(self.shape) - len(self.base)
        steps = zip(base, self.base, self.shape[missing:], strict=True)
        return (0,) * missing + tuple([0 if a != b else step for step, a, b in steps])


class Part(View):
    """The real or the imaginary parts of complex numbers.

    Attributes:
        imaginary: whether they are the imaginary ones.
        dtype: of the parts.
    """

    __slots__ = ("dtype", "imaginary")

    def __init__(self, shape: Shape, dtype: DType, imaginary: bool) -> None:
        super().__init__(shape)
        self.dtype = dtype
        self.imaginary = imaginary

    def _key(self) -> Any:
        return self.shape, self.imaginary

    def get(self, base: Value) -> Value:
        return prims.imag(base) if self.imaginary else prims.real(base)

    def put(self, base: Value, part: Value) -> Value:
        if self.imaginary:
            return prims.complex_(prims.real(base), part)
        return prims.complex_(part, prims.imag(base))

    def show(self, base: Array) -> Array | None:
        return base.imag if self.imaginary else base.real

    def strides(self, base: Strides) -> Strides:
        return tuple([2 * step for step in base])


# -- Memory order ------------------------------------------------------------------------------


@functools.cache
def row_major(shape: Shape) -> Strides:
    """Steps of an array in row-major order."""
    steps: list[int] = []
    step = 1
    for size in reversed(shape):
        steps.append(step)
        step *= max(size, 1)
    return tuple(reversed(steps))


def is_row_major(shape: Shape, strides: Strides) -> bool:
    """Whether the elements lie one after the other in row-major order."""
    if 0 in shape:
        return True
    return all(
        a == b for a, b, size in zip(strides, row_major(shape), shape, strict=True) if size != 1
    )


def is_descending(shape: Shape, strides: Strides) -> bool:
    """Whether the steps get no larger from each dimension to the next."""
    outer = None
    for size, step in zip(shape, strides, strict=True):
        if size != 1 and step:
            if outer is not None and abs(step) > outer:
                return 0 in shape
            outer = abs(step)
    return True


def reshaped_strides(shape: Shape, strides: Strides, new: Shape) -> Strides | None:
    """Steps of the array in another shape, or None where it takes a copy, as NumPy decides."""
    if 0 in shape:
        return row_major(new)
    old = [(size, step) for size, step in zip(shape, strides, strict=True) if size != 1]
    result: list[int] = []
    place = 0
    i = 0
    while i < len(old) and place < len(new):
        # The shortest runs of dimensions with as many elements before and after.
        run, size, elements = 1, old[i][0], new[place]
        start = place
        place += 1
        while size != elements:
            if elements < size:
                elements *= new[place]
                place += 1
            else:
                size *= old[i + run][0]
                run += 1
        for k in range(i, i + run - 1):
            if old[k][1] != old[k + 1][0] * old[k + 1][1]:
                return None
        step = old[i + run - 1][1]
        steps: list[int] = []
        for extent in reversed(new[start:place]):
            steps.append(step)
            step *= extent
        result += reversed(steps)
        i += run
    # What is left has size 1.
    result += [result[-1] if result else 1] * (len(new) - len(result))
    return tuple(result)


def kept_order(shape: Shape, operands: Sequence[tuple[Shape, Strides]]) -> Strides:
    """Steps of a new array that keeps the memory order of its operands, as NumPy's `order="K"`.

    Args:
        shape: the shape of the new array, to which the operands broadcast.
        operands: their shapes and steps.
    """
    rank = len(shape)
    rows: list[list[int]] = []
    for extents, strides in operands:
        missing = rank - len(extents)
        steps = [0 if n == 1 else step for n, step in zip(extents, strides, strict=True)]
        rows.append([0] * missing + steps)
    # Insertion sort of the axes, the innermost first; where operands differ, row-major order wins.
    order = list(range(rank))[::-1]
    for i in range(1, rank):
        place = i
        for k in range(i - 1, -1, -1):
            swap = None
            for row in rows:
                mine, other = abs(row[order[i]]), abs(row[order[k]])
                if mine and other:
                    if other <= mine:
                        swap = False
                    elif swap is None:
                        swap = True
            if swap is None:
                continue
            if not swap:
                break
            place = k
        order.insert(place, order.pop(i))
    return _packed(shape, order)


def sorted_strides(shape: Shape, strides: Strides) -> Strides:
    """Steps of a copy whose axes lie in the order of an array's steps, as NumPy's copies do."""
    axes = sorted(range(len(shape)), key=lambda axis: -abs(strides[axis]))
    return _packed(shape, axes[::-1])


def _packed(shape: Shape, order: Sequence[int]) -> Strides:
    """Steps of an array without gaps; the innermost axis comes first in the order."""
    strides = [0] * len(shape)
    step = 1
    for axis in order:
        strides[axis] = step
        step *= max(shape[axis], 1)
    return tuple(strides)
