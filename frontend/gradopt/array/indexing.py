# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""NumPy's indexing rules on traced arrays, reading and writing.

Basic indices and traced integers give a window on the storage; integer arrays and concrete boolean
masks a gather or scatter in one; a mask that is assigned one value a selection. A concrete index is
checked against the bounds while tracing, a traced one when the compiled code has run (see
`gradopt.ir.checks`).
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from gradopt.array.handle import Handle, Storage, array_of, wrap
from gradopt.array.masks import MaskPlace, nonzero, replace, select, selected_of
from gradopt.array.operands import is_known, is_traced, listed, traced
from gradopt.array.slices import checked_index, slice_range
from gradopt.array.views import NEW_AXIS, Every, Window
from gradopt.base.dtypes import BOOL, INT64
from gradopt.base.location import source_location
from gradopt.base.unknown_sizes import unknown_size
from gradopt.errors import ConversionError, ShapeError, TraceIndexError
from gradopt.ir import prims, sized
from gradopt.ir.affine import lies_within
from gradopt.ir.checks import require_in_bounds
from gradopt.ir.extents import Sizes, bounds_of, is_extent, shape_with
from gradopt.ir.outcomes import require
from gradopt.ir.values import Shape, Value

_ALL = slice(None)
# Of rounds with positions that do not repeat: more of them are a loop over positions.
_ROUNDS = 4
# As `gradopt.fori_loop`: bounds, a function of the counter and of what is carried, and that.
Repeat = Callable[[int, int, Callable[[Any, Any], Any], Any], Any]


def getitem(x: Handle, index: Any) -> Any:
    """`x[index]`: a view, a scalar, or a copy, as NumPy's.

    Raises:
        TraceIndexError: a concrete index is out of bounds, or no index at all.
        ConversionError: the step of a slice is traced, or a mask beside indices.
    """
    entries = index if isinstance(index, tuple) else (index,)
    parts, gap = _plain(x._extents, entries), None
    if parts is None:
        x, entries = _with_axes_for_bools(x, entries)
        if not all(map(is_known, entries)):
            selected = _masked_part(x, entries)
            if selected is not None and not is_known(entries[_mask_number(entries)]):
                part, place = selected
                return select(part._read(), place)
        parts, gap = _expand(x._extents, entries)
        if _has_arrays(parts):
            return _Selection(x, parts, gap).get()
    part = _basic(x, parts)
    if part.ndim or gap is not None:
        return part
    if part._storage.__class__ is not Storage:
        known = part._known()
        if known is not None:
            return known[()]
    return wrap(part._read())


def elements(x: Value, index: Any) -> Value:
    """The value of `x[index]`."""
    return traced(getitem(array_of(x), index))


def setitem(x: Handle, index: Any, value: Any) -> None:
    """`x[index] = value`; where positions repeat, the last value stays.

    Raises:
        TraceIndexError: a concrete index is out of bounds, or no index at all.
        ConversionError: values for the elements of a traced mask, or a traced slice step.
        MutationError: the array is an argument.
        ShapeError: the value does not broadcast to the elements.
    """
    x._require_writable(
        "an assignment to elements", "assign to a copy (`x = x.copy()`), and return it"
    )
    x, entries = _with_axes_for_bools(x, index if isinstance(index, tuple) else (index,))
    if _assign_masked(x, entries, value):
        return
    parts, gap = _expand(x._extents, entries)
    if _has_arrays(parts):
        _Selection(x, parts, gap).put(value)
        return
    part = _basic(x, parts)
    if not part.ndim and gap is None and np.ndim(listed(value)):
        raise ShapeError("setting an array element with a sequence.", source_location())
    assign(part, value)


def assign(x: Handle, value: Any) -> None:
    """Writes values, converted and broadcast, to all elements."""
    if x._shares_elements(value):
        return
    if isinstance(value, np.generic) and x.dtype.kind == "i" and value.dtype.kind in "iuf":
        value = (
            value.item()
        )  # It has to fit, as a Python number has; of unsigned ones it is wrapped.
    x._write(fit(value, x._extents, x.dtype))


def fit(value: Any, shape: Shape, dtype: Any) -> Value:
    """What is assigned, converted and broadcast as NumPy does it."""
    part = traced(value, dtype)
    if part.shape == shape:
        return part
    if part.shape.__class__ is Sizes or shape.__class__ is Sizes:
        return sized.fit(part, shape)
    extents = part.shape
    while len(extents) > len(shape) and extents[0] == 1:
        extents = extents[1:]
    pairs = zip(extents[::-1], shape[::-1], strict=False)
    if len(extents) > len(shape) or any(a not in (1, b) for a, b in pairs):
        raise ShapeError(
            f"could not broadcast input array from shape {part.shape} into shape {shape}",
            source_location(),
        )
    return prims.broadcast_to(prims.reshape(part, extents), shape)


def _has_arrays(parts: list[Any]) -> bool:
    for part in parts:
        if part.__class__ is not int and part.__class__ is not slice and _is_array(part):
            return True
    return False


def _is_array(part: Any) -> bool:
    return isinstance(part, (Value, np.ndarray)) and part.ndim > 0


def _is_scalar(part: Any) -> bool:
    return isinstance(part, (int, Value, np.ndarray)) and not _is_array(part)


def _error(message: str) -> TraceIndexError:
    return TraceIndexError(message, source_location())


def _plain(shape: Shape, index: tuple[Any, ...]) -> list[Any] | None:
    """The index with one entry for each dimension, if it consists of ints and slices alone."""
    for entry in index:
        if type(entry) is not int and type(entry) is not slice:
            return None
    missing = len(shape) - len(index)
    return [*index, *[_ALL] * missing] if missing >= 0 else None


def _expand(shape: Shape, index: tuple[Any, ...]) -> tuple[list[Any], int | None]:
    """The index with one entry for each dimension, and None for each new one.

    With it the place of the ellipsis, which parts the entries around it even where it stands for
    no dimension.

    Entries are int, slice, None, integer arrays (concrete or traced), and traced 0-d integers.
    """
    parts: list[Any] = []
    ellipsis: int | None = None
    missing = len(shape) - sum(map(_dimensions_of, index))
    if missing < 0:
        raise _error(
            f"too many indices for array: array is {len(shape)}-dimensional, "
            f"but {len(shape) - missing} were indexed"
        )
    consumed = 0
    for entry in index:
        if type(entry) is int or type(entry) is slice:
            consumed += 1
            parts.append(entry)
        elif entry is None:
            parts.append(None)
        elif entry is Ellipsis:
            if ellipsis is not None:
                raise _error("an index can only have a single ellipsis ('...')")
            ellipsis = len(parts)
            consumed += missing
        else:
            new = _entry(entry, shape, consumed)
            consumed += len(new)
            parts.extend(new)
    place = len(parts) if ellipsis is None else ellipsis
    return parts[:place] + [_ALL] * missing + parts[place:], ellipsis


def _dimensions_of(entry: Any) -> int:
    """How many dimensions an entry of an index stands for."""
    if type(entry) is int or type(entry) is slice:
        return 1
    if entry is None or entry is Ellipsis:
        return 0
    mask = _bools(entry)
    return 1 if mask is None else mask.ndim


def _bools(entry: Any) -> np.ndarray[Any, Any] | None:
    """The entry of an index as an array, if it is a concrete bool or array of bools."""
    if isinstance(entry, Handle):
        entry = entry._known()
    elif type(entry) in (list, tuple) and not is_traced(entry):
        entry = prims.concrete(entry)
    if isinstance(entry, (bool, np.bool_, np.ndarray)):
        array = np.asarray(entry)
        return array if array.dtype == BOOL else None
    return None


def _with_axes_for_bools(x: Handle, index: tuple[Any, ...]) -> tuple[Handle, tuple[Any, ...]]:
    """A single bool as index stands for a new dimension, of which it selects all or nothing.

    Returns a view with these dimensions, and the index with integer arrays for the bools.
    """
    for entry in index:
        if type(entry) not in (int, slice) and entry is not None and entry is not Ellipsis:
            break
    else:
        return x, index
    entries: list[Any] = []
    axes: list[int] = []
    missing = x.ndim - sum(map(_dimensions_of, index))
    place = 0
    for entry in index:
        mask = _bools(entry)
        if mask is not None and not mask.ndim:
            entries.append(np.zeros(int(mask), np.int64))
            axes.append(-1)
            continue
        entries.append(entry)
        count = missing if entry is Ellipsis else _dimensions_of(entry)
        axes += range(place, place + count)
        place += count
    if -1 not in axes or missing < 0:
        return x, index
    return x._with_axes([*axes, *range(place, x.ndim)]), tuple(entries)


def _entry(entry: Any, shape: Shape, dimension: int) -> list[Any]:
    if isinstance(entry, slice):
        return [entry]
    if isinstance(entry, Handle):
        known = entry._known()
        if known is not None:
            return _entry(known, shape, dimension)
        if entry.dtype == BOOL:
            return _mask_entry(entry, shape, dimension)
        entry = entry._read()
    if isinstance(entry, Value):
        if entry.dtype.kind not in "iu":
            raise _error(f"arrays used as indices must be of integer type, not {entry.dtype}")
        return [prims.convert(entry, INT64)]
    if isinstance(entry, (list, tuple, range, np.ndarray)):
        if is_traced(entry):
            return _entry(traced(entry), shape, dimension)
        array = prims.concrete(entry)
        if array.size == 0 and not isinstance(entry, np.ndarray):
            array = array.astype(np.int64)
        if array.dtype == BOOL:
            expected = shape[dimension : dimension + array.ndim]
            if array.shape != expected:
                raise _error(
                    f"boolean index of shape {array.shape} does not match "
                    f"the indexed shape {expected}"
                )
            return list(array.nonzero())
        if array.dtype.kind not in "iu":
            raise _error(f"arrays used as indices must be of integer type, not {array.dtype}")
        array = array.astype(np.int64)
        return [array] if array.ndim else [int(array)]
    try:
        return [operator.index(entry)]
    except TypeError:
        raise _error(
            "only integers, slices, ellipsis, None and integer or boolean arrays are valid "
            f"indices, not {type(entry).__name__}"
        ) from None


def _mask_entry(mask: Handle, shape: Shape, dimension: int) -> list[Any]:
    """A traced mask beside other indices: where it holds, one array for each dimension."""
    if not mask.ndim:
        raise ConversionError(
            "whether a traced bool as index takes all elements or none is not known while "
            "tracing; use numpy.where",
            source_location(),
        )
    expected = shape[dimension : dimension + mask.ndim]
    if mask._extents != expected:
        raise _mask_error(mask._extents, expected)
    indices = nonzero(mask._read())
    for index, size in zip(indices, expected, strict=True):
        if not is_extent(size):
            prims.scope().wrapped[index.ssa, size] = index
    return list(indices)


def _mask_error(shape: Shape, expected: Shape) -> TraceIndexError:
    return _error(f"boolean index of shape {shape} does not match the indexed shape {expected}")


def _checked(value: int, size: int, axis: int) -> int:
    if not -size <= value < size:
        raise _error(f"index {value} is out of bounds for axis {axis} with size {size}")
    return value + size if value < 0 else value


def _wrapped(index: Value, size: int, axis: int) -> Value:
    """A traced index, checked and made non-negative; once for each index and size."""
    known = prims.scope().wrapped
    key = (index.ssa, size)
    found = known.get(key)
    if found is None:
        if not index.ndim and lies_within(index, 0, size - 1):
            known[key] = index
            return index
        require_in_bounds(index, size, axis)
        found = known[key] = prims.select(index < 0, index + size, index)
    return found


def _basic(x: Handle, parts: list[Any]) -> Handle:
    """Slices, integers and None: a view."""
    steps = _traced_steps(x, parts)
    if steps:
        return _with_steps(x, parts, steps)
    views, window = x._window()
    below = window.axes
    ranges = list(window.ranges)
    axes: list[int] = []
    place = 0
    for part in parts:
        if part is None:
            axes.append(-1)
            continue
        axis = below[place]
        shown = ranges[axis] if axis >= 0 else NEW_AXIS
        extent = shown.length
        if part.__class__ is slice:
            axes.append(axis)
            if not (part.start is None and part.stop is None and part.step is None):
                start, count, step = slice_range(part, extent)
                if (start, count, step) != (0, extent, 1):
                    found = shown.part(start, count, step)
                    if axis < 0 or (found.is_traced() and abs(found.step) > 1):
                        # None of the elements along a new dimension, or a traced number of those
                        # that are apart: a window on the window.
                        return _basic(x._opaque(), parts)
                    ranges[axis] = found
        elif is_extent(extent):
            ranges[axis] = shown.part(checked_index(part, extent, place), 1)
        elif part.__class__ is int:
            index = _checked(part, extent, place)
            if extent > 1:
                ranges[axis] = shown.part(index, 1)
        else:
            if not extent:
                raise _error(f"index into axis {place} with size 0")
            index = _wrapped(part, extent, place)
            if extent > 1:
                ranges[axis] = shown.at(index)
        place += 1
    return x._through(views, Window(window.base, tuple(ranges), tuple(axes), window.writable))


def _traced_steps(x: Handle, parts: list[Any]) -> dict[int, int]:
    """The steps beside 1 and -1 of slices of which not all is known, by their entries."""
    steps: dict[int, int] = {}
    place = 0
    for i, part in enumerate(parts):
        if part is None:
            continue
        if part.__class__ is slice and part.step is not None and is_known(part.step):
            step = operator.index(part.step)
            is_static = not is_extent(x._extents[place]) and is_known(part.start)
            if abs(step) > 1 and not (is_static and is_known(part.stop)):
                steps[i] = step
        place += 1
    return steps


def _with_steps(x: Handle, parts: list[Any], steps: dict[int, int]) -> Handle:
    """`x[a:b:k]` as `x[a:b][::k]`."""
    single = list(parts)
    for i, step in steps.items():
        single[i] = slice(parts[i].start, parts[i].stop, 1 if step > 0 else -1)
    result = _basic(x, single)
    for i, step in steps.items():
        axis = sum(part is None or part.__class__ is slice for part in parts[:i])
        if is_extent(result._extents[axis]):
            result = result._view(Every(result._extents, axis, abs(step)))
        else:
            result = _basic(
                result,
                [_ALL] * axis + [slice(None, None, abs(step))] + [_ALL] * (result.ndim - axis - 1),
            )
    return result


class _Selection:
    """Integer arrays, with slices, None and integers beside them.

    The elements of `x` that slices and None leave are put in front by their indexed dimensions, so
    that rows of indices point at slices of them.
    """

    def __init__(self, x: Handle, parts: list[Any], gap: int | None) -> None:
        places = [i for i, part in enumerate(parts) if _is_array(part) or _is_scalar(part)]
        adjacent = places == list(range(places[0], places[-1] + 1))
        if gap is not None and places[0] < gap <= places[-1]:
            adjacent = False
        # Slices and None first; the indexed dimensions stay whole.
        self._x = _basic(x, [_ALL if i in places else part for i, part in enumerate(parts)])
        sizes = [self._x._extents[i] for i in places]
        rest = [i for i in range(self._x.ndim) if i not in places]
        axes = [sum(part is not None for part in parts[:i]) for i in places]
        # Where sizes are not known, rows have one number.
        shapes = [self._x._extents, *[part.shape for part in parts if isinstance(part, Value)]]
        self._is_sized = any(shape.__class__ is Sizes for shape in shapes)
        self._indexed = len(places)
        rows = _index_rows([parts[i] for i in places], sizes, axes, self._is_sized)
        self._concrete = rows if isinstance(rows, np.ndarray) else None
        self._rows = prims.as_value(rows)
        self._to_front = [*places, *rest]
        count = self._rows.ndim - 1
        before = sum(1 for i in rest if i < places[0]) if adjacent else 0
        rank = count + len(rest)
        # Dimensions of the result, by their places where the rows come first.
        self._order = [*range(count, count + before), *range(count), *range(count + before, rank)]

    def get(self) -> Any:
        """The elements, copied."""
        front = self._front()
        found = prims.gather(front, self._rows)
        if self._is_sized:
            rest = self._x_front()[self._indexed :]
            found = sized.resized(found, shape_with([*self._rows.shape[:-1], *rest]))
        result = wrap(prims.transpose(found, self._order))
        if self._to_front != sorted(self._to_front) or not self._x._is_ordered():
            # NumPy lays it out as it comes.
            result._storage.strides = None
        return result

    def _updates(self, value: Any, dtype: Any) -> Value:
        rest = self._x_front()[self._indexed :]
        if any(map(is_extent, rest)):
            raise unknown_size("an assignment to elements beside an array as index")
        shape = (*self._rows.shape[:-1], *rest)
        part = fit(value, shape_with([shape[i] for i in self._order]), dtype)
        return prims.transpose(part, np.argsort(self._order).tolist())

    def put(self, value: Any) -> None:
        """Replaces the elements; where positions repeat, the last value stays."""
        unique = self._concrete is not None and _rows_differ(self._concrete)
        self._write(
            prims.scatter(self._front(), self._rows, self._updates(value, self._x.dtype), unique)
        )

    def add(self, value: Any) -> None:
        """Adds to the elements; where positions repeat, all values."""
        updates = self._updates(value, self._x.dtype)
        self._write(prims.scatter_add(self._front(), self._rows, updates))

    def apply(
        self, function: Callable[..., Value], operands: Sequence[Any], repeat: Repeat
    ) -> None:
        """Replaces elements by a function of them and of operands.

        Where positions repeat, it is applied for one after the other, as often as they do.
        """
        count, size = prims.size_of(self._rows.shape[:-1]), self._rows.shape[-1]
        rows = prims.reshape(self._rows, (count, size))
        front = self._front()
        parts = [self._by_row(operand, count) for operand in operands]

        def step(number: Any, carried: Any) -> Any:
            i, x = number._read(), carried._read()
            row = prims.reshape(_row(rows, [i]), (size,))
            place = [prims.reshape(prims.take_range(row, 0, k, k + 1), ()) for k in range(size)]
            others = [_row(v, [i]) if isinstance(v, Value) else v for v in parts]
            new = function(array_of(_row(x, place)), *others)
            return array_of(_with_row(x, place, prims.convert(new, x.dtype)))

        rounds = self._rounds(count)
        if rounds is None:
            self._write(repeat(0, count, step, array_of(front))._read())
            return
        for chosen in rounds:
            some = _take(rows, chosen)
            old = array_of(prims.gather(front, some))
            others = [_take(v, chosen) if isinstance(v, Value) else v for v in parts]
            new = function(old, *others)
            front = prims.scatter(front, some, prims.convert(new, front.dtype), unique=True)
        self._write(front)

    def _by_row(self, operand: Any, count: int) -> Any:
        """An operand with one row for each position; a single number stays."""
        operand = listed(operand)
        if not np.ndim(operand):
            return operand
        updates = self._updates(operand, None)
        return prims.reshape(updates, (count, *updates.shape[self._rows.ndim - 1 :]))

    def _rounds(self, count: int) -> list[np.ndarray[Any, Any]] | None:
        """Which rows are looked at together: in none of these does a position repeat.

        None if that is not known, or they would be many.
        """
        if count < 2:
            return [np.arange(count)] * count
        if self._concrete is None:
            return None
        rows = self._concrete.reshape(count, self._concrete.shape[-1])
        _, which = np.unique(rows, axis=0, return_inverse=True)
        which = which.reshape(-1)
        order = np.argsort(which, kind="stable")
        starts = np.searchsorted(which[order], which)
        turn = np.empty(count, np.int64)
        turn[order] = np.arange(count)
        turn -= starts
        last = int(turn.max())
        return [np.flatnonzero(turn == k) for k in range(last + 1)] if last < _ROUNDS else None

    def _x_front(self) -> list[Any]:
        """The sizes of the array's dimensions, the indexed ones first."""
        return [self._x._extents[i] for i in self._to_front]

    def _front(self) -> Value:
        front = prims.transpose(self._x._read(), self._to_front)
        if not self._is_sized:
            return front
        # The indexed dimensions as one, of elements that are as many as there can be.
        front = sized.padded(front)
        count = prims.size_of(front.shape[: self._indexed])
        return prims.reshape(front, (count, *front.shape[self._indexed :]))

    def _write(self, front: Value) -> None:
        if self._is_sized:
            shape = self._x_front()
            front = prims.reshape(front, bounds_of(shape))
            front = sized.resized(front, shape_with(shape))
        self._x._write(prims.transpose(front, np.argsort(self._to_front).tolist()))


def _rows_differ(rows: np.ndarray[Any, Any]) -> bool:
    flat = rows.reshape(-1, rows.shape[-1])
    return len(np.unique(flat, axis=0)) == len(flat)


def _take(rows: Value, chosen: np.ndarray[Any, Any]) -> Value:
    """The chosen ones of rows."""
    if len(chosen) == rows.shape[0]:
        return rows
    if len(chosen) == 1:
        return prims.take_range(rows, 0, int(chosen[0]), int(chosen[0]) + 1)
    return prims.gather(rows, prims.as_value(chosen[:, None]))


def _zeros(count: int) -> list[Value]:
    return [prims.scalar(0, INT64)] * count


def _row(x: Value, place: list[Value]) -> Value:
    """The part of `x` at a place in its first dimensions, with one dimension for these."""
    rest = x.shape[len(place) :]
    part = prims.dynamic_slice(x, [*place, *_zeros(len(rest))], [*[1] * len(place), *rest])
    return prims.reshape(part, (1, *rest))


def _with_row(x: Value, place: list[Value], row: Value) -> Value:
    """`x` with another part at a place in its first dimensions."""
    rest = x.shape[len(place) :]
    part = prims.reshape(row, (*[1] * len(place), *rest))
    return prims.dynamic_update_slice(x, part, [*place, *_zeros(len(rest))])


def add_at(x: Handle, index: Any, value: Any) -> None:
    """Adds to the elements at `index`; where positions repeat, all values."""
    x, entries = _with_axes_for_bools(x, index if isinstance(index, tuple) else (index,))
    parts, gap = _expand(x._extents, entries)
    if _has_arrays(parts):
        _Selection(x, parts, gap).add(value)
    else:
        part = _basic(x, parts)
        part._write(part._read() + fit(value, part._extents, part.dtype))


def apply_at(
    x: Handle,
    index: Any,
    function: Callable[..., Value],
    operands: Sequence[Any],
    repeat: Repeat,
) -> None:
    """Replaces the elements at `index` by a function of them and of operands, one by one.

    Args:
        x: the array.
        index: what `x[index]` takes.
        function: of the elements and the operands; its result is converted to the array's dtype.
        operands: numbers, or arrays that broadcast to `x[index]`.
        repeat: makes a loop, as `gradopt.fori_loop`.
    """
    x, entries = _with_axes_for_bools(x, index if isinstance(index, tuple) else (index,))
    parts, gap = _expand(x.shape, entries)
    if _has_arrays(parts):
        _Selection(x, parts, gap).apply(function, operands, repeat)
        return
    part = _basic(x, parts)
    others = [v if not np.ndim(v) else fit(v, part.shape, None) for v in map(listed, operands)]
    part._write(prims.convert(function(part, *others), part.dtype))


def _index_rows(entries: list[Any], sizes: list[Any], axes: list[int], as_one: bool) -> Any:
    """The rows of `grad.gather`: broadcast indices side by side, non-negative.

    Args:
        entries: the indices.
        sizes: of the dimensions that they index.
        axes: of which the errors speak.
        as_one: whether they are one index into all of these dimensions, as many as there can be.
    """
    shapes = [entry.shape if isinstance(entry, Value) else np.shape(entry) for entry in entries]
    shape = prims.broadcast_shapes(*shapes)
    if as_one:
        return _places(entries, sizes, axes, shape)
    columns: list[Any] = []
    for entry, size, axis in zip(entries, sizes, axes, strict=True):
        if isinstance(entry, Value):
            if not size and prims.size_of(shape):
                raise _error(f"index into axis {axis} with size 0")
            columns.append(_wrapped(entry, size, axis))
            continue
        values = np.asarray(entry)
        wrong = (values < -size) | (values >= size)
        if wrong.any() and (not values.ndim or prims.size_of(shape)):
            _checked(int(values[wrong].flat[0]), size, axis)
        columns.append(np.where(values < 0, values + size, values))
    if not is_traced(*columns):
        return np.stack([np.broadcast_to(column, shape) for column in columns], -1)
    traced_columns = [prims.broadcast_to(prims.as_value(c, INT64), shape) for c in columns]
    return prims.concatenate(
        [prims.reshape(column, (*shape, 1)) for column in traced_columns], len(shape)
    )


def _places(entries: list[Any], sizes: list[Any], axes: list[int], shape: Shape) -> Value:
    """Rows of one index, into dimensions that are as large as they can be."""
    place: Value | None = None
    step = 1
    for entry, size, axis in reversed(list(zip(entries, sizes, axes, strict=True))):
        index = prims.as_value(entry, INT64)
        if is_extent(size):
            index = _wrapped_in(index, size, axis)
        else:
            if not size:
                raise _error(f"index into axis {axis} with size 0")
            index = _wrapped(index, size, axis)
        part = index if step == 1 else index * step
        place = part if place is None else place + part
        step *= size.bound if is_extent(size) else size
    assert place is not None
    place = prims.broadcast_to(place, shape)
    return prims.reshape(place, shape_with([*shape, 1]))


def _wrapped_in(index: Value, size: Any, axis: int) -> Value:
    """As `_wrapped`, in a dimension of unknown size."""
    if not index.ndim:
        return prims.as_value(checked_index(index, size, axis), INT64)
    count = prims.broadcast_to(size.value, index.shape)
    right = (index < count) & (index >= -count)
    wrong = prims.select(right, prims.scalar(0, INT64), prims.scalar(1, INT64))
    number = prims.reduce("sum", wrong, range(wrong.ndim))
    message = f"{{value}} indices are out of bounds for axis {axis}"
    require(prims.equal(number, 0), number, message, TraceIndexError)
    return prims.select(index < 0, index + count, index)


def _masked_part(x: Handle, entries: tuple[Any, ...]) -> tuple[Handle, MaskPlace] | None:
    """What one boolean array selects from, with slices beside it; None for another index."""
    place = _mask_number(entries)
    if place < 0:
        return None
    others = [*entries[:place], *entries[place + 1 :]]
    if not all(part is None or part is Ellipsis or isinstance(part, slice) for part in others):
        return None
    mask = traced(entries[place])
    # The mask's dimensions stay whole.
    whole_index = (*entries[:place], *[_ALL] * mask.ndim, *entries[place + 1 :])
    parts, _ = _expand(x._extents, whole_index)
    first = place
    if Ellipsis in entries[:place]:
        first += len(parts) - len(whole_index)
    part = _basic(x, parts)
    expected = part._extents[first : first + mask.ndim]
    return part, MaskPlace(_fitting(mask, expected), part._extents, first)


def _fitting(mask: Value, expected: Sequence[Any]) -> Value:
    """A mask for dimensions of these sizes; those that are not known are compared at run time."""
    shape = shape_with(expected)
    if mask.shape == shape:
        return mask
    pairs = list(zip(mask.shape, shape, strict=False))
    unequal = [pair for pair in pairs if pair[0] != pair[1]]
    if mask.ndim != len(shape) or not all(any(map(is_extent, pair)) for pair in unequal):
        raise _mask_error(mask.shape, shape)
    for size, wanted in unequal:
        count = sized.word(size)
        require(
            prims.equal(count, sized.word(wanted)),
            count,
            "boolean index of {value} elements does not match the indexed dimension",
            TraceIndexError,
        )
    return sized.resized(mask, shape)


def _mask_number(entries: tuple[Any, ...]) -> int:
    """Which entry of an index is its only boolean array; -1 if there is no such."""
    masks = [i for i, entry in enumerate(entries) if _is_mask(entry)]
    return masks[0] if len(masks) == 1 else -1


def _assign_masked(x: Handle, entries: tuple[Any, ...], value: Any) -> bool:
    """`x[mask] = value` by selection: of the same value for all elements, or of masked elements.

    Returns whether it is such an assignment: one boolean array, with slices beside it.
    """
    selected = _masked_part(x, entries)
    if selected is None:
        return False
    part, place = selected
    known = selected_of(value)
    if known is not None and place.is_like(known.place):
        new = prims.convert(known.value, x.dtype)
    else:
        one = traced(value, x.dtype)
        spread = None if one.shape.__class__ is Sizes else place.spread(one)
        if spread is None:
            if all(map(is_known, entries)):
                return False
            part._write(
                replace(part._read(), place, lambda shape: fit(array_of(one), shape, x.dtype))
            )
            return True
        new = fit(spread, part._extents, part.dtype)
    part._write(prims.select(place.spread_mask(), new, part._read()))
    return True


def _is_mask(entry: Any) -> bool:
    if isinstance(entry, (Handle, np.ndarray)):
        return entry.dtype == BOOL and entry.ndim > 0
    if type(entry) is list and not is_traced(entry):
        array = np.asarray(entry)
        return array.dtype == BOOL and array.size > 0
    return False
