# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""NumPy's rules of slices and indices whose bounds, or the size that they are of, are traced.

Nothing is clamped where it is known, from the loops around, that there is no need.
"""

from __future__ import annotations

import operator
from typing import Any

from gradopt.array.operands import is_known
from gradopt.base.dtypes import INT64
from gradopt.base.location import source_location
from gradopt.errors import ConversionError, TraceIndexError, UnsupportedError
from gradopt.ir import prims
from gradopt.ir.affine import Number, affine, between, plus
from gradopt.ir.extents import is_extent, larger, require_plain
from gradopt.ir.intervals import assume
from gradopt.ir.outcomes import require
from gradopt.ir.sized import extent_of, number
from gradopt.ir.values import Value

_MOST = 2**63 - 1


def slice_range(part: slice, extent: Any) -> tuple[Any, Any, int]:
    """Offset, number of elements and step of a slice.

    Args:
        part: the slice.
        extent: how many elements there are; an integer or an `Extent`.

    Returns:
        Integers, or a traced offset and an `Extent`.
    """
    if extent.__class__ is int and all(map(is_known, (part.start, part.stop, part.step))):
        start, stop, step = part.indices(extent)
        size = len(range(start, stop, step))
        return (start, size, step) if size else (0, 0, 1)
    step = _step(part.step)
    start, stop, size = _bound(part.start), _bound(part.stop), number(extent)
    bound = extent.bound if is_extent(extent) else extent
    if step > 0:
        first = 0 if start is None else _from_front(start, size, 0)
        behind = size if stop is None else _at_most(_from_front(stop, size, 0), size)
        count = plus(behind, first, -1)
    else:
        last = plus(size, -1)
        first = last if start is None else _at_most(_from_front(start, size, -1), last)
        behind = -1 if stop is None else _from_front(stop, size, -1)
        count = plus(first, behind, -1)
    found = extent_of(_at_least(count, 0), bound)
    return (0, 0, 1) if found == 0 else (first, found, step)


def _step(step: Any) -> int:
    if not is_known(step):
        step._require_size()
        raise ConversionError(
            "the step of a slice is traced; its value must be known while tracing",
            source_location(),
        )
    size = 1 if step is None else operator.index(step)
    if not size:
        raise ValueError("slice step cannot be zero")
    if size not in (1, -1):
        raise UnsupportedError(
            f"a slice with step {size}, of which a bound is traced, is not supported; take the "
            "slice with the step first",
            source_location(),
        )
    return size


def _bound(bound: Any) -> Number | None:
    if bound is None:
        return None
    if is_known(bound):
        return require_plain(operator.index(bound))
    if bound.ndim or bound.dtype.kind not in "iu":
        raise TypeError("slice indices must be integers or None or have an __index__ method")
    bound._require_size()
    return prims.convert(bound._read(), INT64)


def _from_front(place: Number, size: Number, least: int) -> Number:
    """A bound, where negative ones count from the end."""
    if isinstance(place, int):
        return place if place >= 0 else _at_least(plus(size, place), least)
    known = between(place)
    if known is not None and known[0] >= 0:
        return place
    behind = _at_least(plus(size, place), least)
    if known is not None and known[1] < 0:
        return behind
    key = ("from front", affine(place).key(), affine(size).key(), least)
    ends = between(behind)
    is_known = known is not None and ends is not None
    most = larger(known[1], ends[1]) if is_known else _MOST  # pyright: ignore
    return _chosen(key, place < 0, behind, place, (least, most))


def _at_least(value: Number, least: int) -> Number:
    known = between(value)
    if isinstance(value, int) or (known is not None and known[0] >= least):
        return max(value, least) if isinstance(value, int) else value
    key = ("at least", affine(value).key(), least)
    most = _MOST if known is None else larger(known[1], least)
    return _chosen(key, value < least, least, value, (least, most))


def _at_most(value: Number, most: Number) -> Number:
    room, known, limit = between(plus(most, value, -1)), between(value), between(most)
    if room is not None and room[0] >= 0:
        return value
    if isinstance(value, int) and isinstance(most, int):
        return most
    if room is not None and room[1] <= 0:
        return most
    x = prims.as_value(value, INT64)
    key = ("at most", affine(value).key(), affine(most).key())
    interval = None
    if known is not None and limit is not None:
        interval = min(known[0], limit[0]), min(known[1], limit[1])
    return _chosen(key, prims.as_value(most, INT64) < x, most, x, interval)


def _chosen(
    key: Any, condition: Value, one: Number, other: Number, interval: tuple[int, int] | None
) -> Value:
    """One of two numbers; the same value for the same question."""
    known = prims.scope().sums
    found = known.get(key)
    if found is None:
        pair = prims.as_value(one, INT64), prims.as_value(other, INT64)
        found = known[key] = prims.select(condition, *pair)
        if interval is not None:
            assume(found, *interval)
    return found


def checked_index(index: Any, extent: Any, axis: int) -> Number:
    """An index into a dimension of a size that is known at run time only, not negative.

    Args:
        index: an integer or a traced one.
        extent: the size, an `Extent`.
        axis: of the dimension.
    """
    size = extent.value
    known = between(index)
    is_negative = known is not None and known[1] < 0
    place = plus(size, index) if is_negative else index
    room = between(plus(size, place, -1))
    is_known = known is not None and (known[0] >= 0 or is_negative)
    lowest = between(place)
    if is_known and room is not None and room[0] >= 1 and lowest is not None and lowest[0] >= 0:
        return place
    value = prims.as_value(index, INT64)
    right = (value < size) & (value >= -size)
    require(right, value, f"index {{value}} is out of bounds for axis {axis}", TraceIndexError)
    if is_known:
        return place
    key = ("index", affine(index).key(), affine(size).key())
    return _chosen(key, value < 0, value + size, value, None)
