# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The ops that make and end arrays whose size is known at run time, and their broadcasts.

Sizes of operands that are not known to be equal are compared when the compiled code has run.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np

from gradopt.base.dtypes import INT64, DType
from gradopt.base.location import source_location
from gradopt.base.unknown_sizes import unknown_size
from gradopt.errors import ShapeError
from gradopt.ir import values as known
from gradopt.ir.affine import Affine, Number, affine, between, number_of, plus
from gradopt.ir.current import scope
from gradopt.ir.extents import (
    DYNAMIC,
    Extent,
    Sizes,
    bounds_of,
    is_extent,
    larger,
    shape_with,
)
from gradopt.ir.outcomes import require
from gradopt.ir.types import element_attribute
from gradopt.ir.values import Shape, Value, emit, equal, of_shape, scalar
from gradopt.recording import grad, ir


def extent_of(number: Number, bound: int) -> Any:
    """A size: an integer, or an `Extent`.

    Args:
        number: not negative.
        bound: how large it is at most.
    """
    if isinstance(number, int):
        return number
    ends = between(number)
    if ends is not None:
        if ends[0] >= ends[1]:
            return max(ends[1], 0)
        bound = min(bound, ends[1])
    scope().trace.has_sizes = True
    return Extent(number, affine(number), bound)


def number(size: Any) -> Number:
    """A size as a number."""
    return size.value if is_extent(size) else size


def product(sizes: Sequence[Any]) -> Number:
    """How many elements there are."""
    result: Number = 1
    for size in sizes:
        factor = number(size)
        if isinstance(factor, int):
            result = result * factor
        elif isinstance(result, int):
            result = number_of(affine(0).plus(affine(factor), result))
        else:
            result = result * factor
    return result


# -- Ops ---------------------------------------------------------------------------------------


def word(size: Any) -> Value:
    """A size or a number as a value."""
    known = number(size)
    return scalar(known, INT64) if isinstance(known, int) else known


def _words(numbers: Sequence[Number]) -> list[ir.Value]:
    here = scope()
    return [here.use(word(n)) for n in numbers]


def _extents(sizes: Sequence[Any]) -> list[ir.Value]:
    here = scope()
    return [here.use(size.value) for size in sizes if is_extent(size)]


def _sizes(sizes: Sequence[Any]) -> list[int]:
    return [DYNAMIC if is_extent(size) else size for size in sizes]


def slice_(
    x: Value,
    starts: Sequence[Number],
    sizes: Sequence[Any],
    dimensions: Sequence[int],
    in_bounds: bool = True,
) -> Value:
    """`grad.sized_slice`; `in_bounds` if the call raises an error where it is not.

    Where all sizes are known, `grad.dynamic_slice`.
    """
    if x.shape.__class__ is not Sizes and not any(map(is_extent, sizes)):
        whole = [1] * x.ndim
        for size, dimension in zip(sizes, dimensions, strict=True):
            whole[dimension] = size
        part = _noted(scope().emit(grad.dynamic_slice, x, _words(starts), whole), in_bounds)
        return known.reshape(part, tuple(sizes))
    result = scope().emit(
        grad.sized_slice, x, _words(starts), _extents(sizes), _sizes(sizes), list(dimensions)
    )
    return of_shape(_noted(result, in_bounds), shape_with(sizes))


def _noted(result: Value, in_bounds: bool) -> Value:
    if in_bounds:
        result.ssa.owner.discardable = {"grad.in_bounds": ir.UNIT}
    return result


def update(x: Value, part: Value, starts: Sequence[Number], dimensions: Sequence[int]) -> Value:
    """`grad.sized_update` of an array of known size, within bounds."""
    if x.shape.__class__ is Sizes:
        raise unknown_size("an assignment to elements of a view")
    if part.shape.__class__ is not Sizes:
        whole = [1] * x.ndim
        for size, dimension in zip(part.shape, dimensions, strict=True):
            whole[dimension] = size
        part = known.reshape(part, tuple(whole))
        return _noted(scope().emit(grad.dynamic_update_slice, x, part, _words(starts)), True)
    result = scope().emit(grad.sized_update, x, part, _words(starts), list(dimensions))
    return _noted(result, True)


def iota(size: Extent, dtype: DType) -> Value:
    """`grad.sized_iota`."""
    words = _extents([size])
    result = scope().emit(grad.sized_iota, *words, size.bound, element_attribute(dtype))
    return of_shape(result, Sizes((size,)))  # pyright: ignore[reportArgumentType]


def filled_with_zeros(shape: Shape, dtype: DType) -> Value:
    """Zeros; of as many as there may be room for no array is made here."""
    return broadcast_to(scope().constant(np.zeros((), dtype)), shape)


def padded(x: Value, filling: Any = 0) -> Value:
    """The elements of an array, and as many of another value as its sizes may be larger."""
    if x.shape.__class__ is not Sizes:
        return x
    whole = broadcast_to(scope().constant(np.array(filling, x.dtype)), bounds_of(x.shape))
    return update(whole, x, [0] * x.ndim, range(x.ndim))


# -- Shapes ------------------------------------------------------------------------------------


def require_same(x: Any, y: Any, what: str = "operands could not be broadcast together") -> None:
    """Checks that two sizes are equal, when the compiled code has run, if that is not known."""
    if x == y:
        return
    if not (is_extent(x) or is_extent(y)):
        raise ShapeError(f"{what}: sizes {x} and {y}", source_location())
    a, b = word(x), word(y)
    message = f"{what}: the size {{value}} of an array is not {_text(y)}"
    require(equal(a, b), a, message, ShapeError)


def _text(size: Any) -> str:
    return "that of another" if is_extent(size) else str(size)


def common_shape(shapes: Sequence[Shape]) -> Shape:
    """The common shape of operands; sizes that must be equal are checked at run time."""
    rank = max(map(len, shapes))
    result: list[Any] = []
    for place in range(-rank, 0):
        common: Any = 1
        for shape in shapes:
            size: Any = shape[place] if len(shape) >= -place else 1
            if size == 1 or size == common:
                continue
            if common == 1:
                common = size
                continue
            if not (is_extent(size) or is_extent(common)):
                text = " ".join(str(shape).replace(" ", "") for shape in shapes)
                raise ShapeError(
                    f"operands could not be broadcast together with shapes {text}",
                    source_location(),
                )
            if not is_extent(common):
                size, common = common, size
            require_same(common, size)
        result.append(common)
    return shape_with(result)


def resized(x: Value, shape: Shape) -> Value:
    """An array whose sizes are those of a shape, but known as others.

    Where they are not, which a check finds, it has some elements.
    """
    if x.shape == shape:
        return x
    zeros, every = [0] * x.ndim, range(x.ndim)
    pairs = list(zip(x.shape, shape, strict=True))
    ends = scope().trace.has_dims
    if any(
        is_extent(size) and (not is_extent(wanted) or (ends and size != wanted))
        for size, wanted in pairs
    ):
        # Such a size ends where an array of known size is written to, and where the memory of an
        # argument does.
        sizes = [_smaller(size, wanted) for size, wanted in pairs]
        part = slice_(x, zeros, sizes, every, in_bounds=False)
        whole = filled_with_zeros(bounds_of(shape), x.dtype)
        x = update(whole, part, zeros, every)
        return x if shape.__class__ is not Sizes else slice_(x, zeros, shape, every)
    return slice_(x, zeros, shape, every, in_bounds=False)


def _smaller(size: Any, wanted: Any) -> Any:
    """The size, or the one that is wanted if that is smaller."""
    if not is_extent(size) or size == wanted:
        return wanted
    if not is_extent(wanted) and size.bound <= wanted:
        return size
    found = scope().emit(grad.minimum, size.value, word(wanted))
    return Extent(found, affine(found), min(bounds_of((size, wanted))))


def broadcast_to(x: Value, shape: Shape) -> Value:
    """NumPy's broadcast; sizes that are not 1 are those of the shape, as was checked."""
    shape, offset = shape_with(shape), len(shape) - x.ndim
    if offset < 0:
        raise ShapeError(f"cannot broadcast shape {x.shape} to shape {shape}", source_location())
    kept = [i for i, size in enumerate(x.shape) if size != 1 or shape[offset + i] == 1]
    x = reshape(x, shape_with([x.shape[i] for i in kept]))
    x = resized(x, shape_with([shape[offset + i] for i in kept]))
    if x.ndim == len(shape):
        return x
    dimensions = [offset + i for i in kept]
    if shape.__class__ is not Sizes:
        return scope().emit(grad.broadcast, x, list(shape), dimensions)
    return _broadcast(x, shape, dimensions)


def _broadcast(x: Value, shape: Sequence[Any], dimensions: Sequence[int]) -> Value:
    """`grad.sized_broadcast`."""
    bounds = [size.bound for size in shape if is_extent(size)]
    result = scope().emit(
        grad.sized_broadcast, x, _extents(shape), _sizes(shape), list(dimensions), bounds
    )
    return of_shape(result, shape_with(shape))


def reshape(x: Value, shape: Shape) -> Value:
    """The same elements in row-major order, as many of them, in another shape."""
    shape = shape_with(shape)
    if Sizes not in (x.shape.__class__, shape.__class__):
        return known.reshape(x, shape)
    if x.shape == shape:
        return x
    kept = [i for i, size in enumerate(x.shape) if size != 1]
    places = [i for i, size in enumerate(shape) if size != 1]
    if len(kept) != len(places) or any(
        x.shape[i] != shape[place] for i, place in zip(kept, places, strict=True)
    ):
        return _arranged(x, shape)
    if len(kept) < x.ndim:
        x = slice_(x, [0] * x.ndim, [x.shape[i] for i in kept], kept)
    if len(places) == len(shape):
        return x
    return _broadcast(x, shape, places)


def _is_along_rows(shape: Shape) -> bool:
    """Whether the sizes behind the first one are known, so that rows are without gaps."""
    return not any(map(is_extent, shape[1:]))


def _arranged(x: Value, shape: Shape) -> Value:
    """`reshape`, where dimensions are joined or parted."""
    bounds = bounds_of(x.shape)
    elements = known.reshape(padded(x), (math.prod(bounds),))
    if not _is_along_rows(x.shape):
        elements = _gathered(elements, _places(x.shape, bounds))
        if shape == elements.shape:
            return elements
        elements = padded(elements)
    if not _is_along_rows(shape):
        return _gathered(elements, _counted(shape))
    # All that there can be as rows of the new shape.
    row = math.prod(shape[1:])
    count = elements.shape[0]
    rows = larger(math.prod(bounds_of(shape[:1])), -(-count // row) if row else 0)
    missing = rows * row - count
    if missing:
        zero = scope().constant(np.zeros((), x.dtype))
        elements = scope().emit(grad.pad, elements, zero, [0], [missing], [0])
    whole = known.reshape(elements, (rows, *shape[1:]))
    return slice_(whole, [0] * len(shape), shape, range(len(shape)))


def _gathered(elements: Value, places: Value) -> Value:
    """The elements at places."""
    rows = reshape(places, shape_with([*places.shape, 1]))
    return of_shape(scope().emit(grad.gather, elements, rows), places.shape)


def _counted(shape: Shape) -> Value:
    """Which one each element is, in row-major order."""
    result: Value | None = None
    for i, size in enumerate(shape):
        along = places_along(size)
        step = product(shape[i + 1 :])
        part = along if isinstance(step, int) and step == 1 else along * step
        part = reshape(part, shape_with([size if k == i else 1 for k in range(len(shape))]))
        part = broadcast_to(part, shape)
        result = part if result is None else result + part
    assert result is not None
    return result


def places_along(size: Any) -> Value:
    """The numbers of elements along a dimension."""
    if is_extent(size):
        return iota(size, INT64)
    return scope().emit(grad.iota, 0, [size], element_attribute(INT64))


def _places(shape: Shape, bounds: Sequence[int]) -> Value:
    """Where elements are, in row-major order, among as many as there can be."""
    place = iota(size(shape), INT64)
    result: Value | None = None
    step = 1
    for extent, bound in zip(reversed(shape), reversed(bounds), strict=True):
        factor = word(extent)
        along = emit(grad.remainder, place, factor) * step
        result = along if result is None else result + along
        place = emit(grad.floor_divide, place, factor)
        step *= bound
    assert result is not None
    return result


def size(shape: Shape) -> Any:
    """How many elements there are: an `Extent`, or an integer."""
    return extent_of(product(shape), math.prod(bounds_of(shape)))


def quotient(size: Any, by: Any) -> Any:
    """A size divided by another one, which it must be a multiple of."""
    if is_extent(size) and isinstance(by, int) and by > 0:
        total: Affine = size.affine
        counts = [total.constant, *[count for _, count in total.terms.values()]]
        if not any(count % by for count in counts):
            terms = {ssa: (value, count // by) for ssa, (value, count) in total.terms.items()}
            exact = number_of(Affine(terms, total.constant // by))
            return extent_of(exact, -(-size.bound // by))
    count, divisor = word(size), word(by)
    name = by if isinstance(by, int) else "another size"
    rest = emit(grad.remainder, count, divisor)
    require(equal(rest, 0), count, f"{{value}} elements are no multiple of {name}", ShapeError)
    bound = size.bound if is_extent(size) else size
    return extent_of(emit(grad.floor_divide, count, divisor), bound)


def quotient_below(size: Extent, by: int) -> Extent:
    """How often a number is contained in a size."""
    count = emit(grad.floor_divide, size.value, scalar(by, INT64))
    return Extent(count, affine(count), size.bound // by)


def concatenate(parts: Sequence[Value], axis: int) -> Value:
    """Arrays one behind the other; sizes of other dimensions are compared."""
    first = parts[0]
    others = common_sizes([part.shape for part in parts], axis)
    bound = sum(bounds_of(part.shape)[axis] for part in parts)
    shape = [*others[:axis], bound, *others[axis:]]
    result = filled_with_zeros(bounds_of(shape), first.dtype)
    every = range(first.ndim)
    start: Number = 0
    for part in parts:
        wanted = [*others[:axis], part.shape[axis], *others[axis:]]
        starts: list[Number] = [0] * first.ndim
        starts[axis] = start
        part = resized(part, shape_with(wanted))
        if part.shape.__class__ is Sizes:
            result = update(result, part, starts, every)
        else:
            result = scope().emit(grad.dynamic_update_slice, result, part, _words(starts))
            result.ssa.owner.discardable = {"grad.in_bounds": ir.UNIT}
        start = plus(start, number(part.shape[axis]))
    shape[axis] = extent_of(start, bound)
    if not any(map(is_extent, shape)):
        zeros, ones = [0] * first.ndim, [1] * first.ndim
        return scope().emit(grad.slice, result, zeros, shape, ones)
    return slice_(result, [0] * first.ndim, shape, every)


def common_sizes(shapes: Sequence[Shape], axis: int) -> list[Any]:
    """The sizes of all dimensions but one, which must agree."""
    result: list[Any] = []
    for i in range(len(shapes[0])):
        if i == axis:
            continue
        found: Any = shapes[0][i]
        for shape in shapes[1:]:
            other: Any = shape[i]
            if is_extent(found) and not is_extent(other):
                found, other = other, found
            require_same(other, found, "array dimensions except for the joined one must match")
        result.append(found)
    return result


def every(x: Value, axis: int, step: int) -> Value:
    """`x[::step]` along an axis of unknown size."""
    count = every_count(x.shape[axis], step)
    return picked(x, axis, iota(count, INT64) * step)


def picked(x: Value, axis: int, places: Value) -> Value:
    """The elements at places along an axis, at least one of which has a size that is not known."""
    order = [axis, *[i for i in range(x.ndim) if i != axis]]
    front = _transposed(x, order)
    rows = reshape(places, shape_with([*places.shape, 1]))
    part = of_shape(
        scope().emit(grad.gather, front, rows), shape_with([*places.shape, *front.shape[1:]])
    )
    return _transposed(part, np.argsort(order).tolist())


def _none_of(x: Value, axis: int) -> Value:
    shape = [0 if i == axis else size for i, size in enumerate(x.shape)]
    return broadcast_to(scope().constant(np.zeros((), x.dtype)), shape_with(shape))


def repeated(x: Value, axis: int, count: int) -> Value:
    """Each element along an axis of unknown size as often."""
    total: Any = x.shape[axis]
    if not count:
        return _none_of(x, axis)
    return picked(x, axis, emit(grad.floor_divide, iota(total * count, INT64), word(count)))


def tiled(x: Value, axis: int, count: int) -> Value:
    """All elements along an axis of unknown size as often."""
    total: Any = x.shape[axis]
    if not count:
        return _none_of(x, axis)
    return picked(x, axis, emit(grad.remainder, iota(total * count, INT64), word(total)))


def with_every(x: Value, part: Value, axis: int, step: int) -> Value:
    """`x` after `x[::step] = part` along an axis of unknown size."""
    size: Any = x.shape[axis]
    order = [axis, *[i for i in range(x.ndim) if i != axis]]
    place = iota(size, INT64)
    by = scalar(step, INT64)
    rows = reshape(emit(grad.floor_divide, place, by), shape_with([size, 1]))
    front = _transposed(part, order)
    spread = of_shape(scope().emit(grad.gather, front, rows), shape_with([size, *front.shape[1:]]))
    spread = _transposed(spread, np.argsort(order).tolist())
    chosen = equal(emit(grad.remainder, place, by), 0)
    shape = shape_with([size if i == axis else 1 for i in range(x.ndim)])
    chosen = broadcast_to(reshape(chosen, shape), x.shape)
    return of_shape(scope().emit(grad.select, chosen, spread, x), x.shape)


def every_count(size: Any, step: int) -> Any:
    """How many elements `[::step]` has."""
    last = word(plus(number(size), step - 1))
    count = emit(grad.floor_divide, last, scalar(step, INT64))
    return extent_of(count, -(-size.bound // step))


def _transposed(x: Value, order: Sequence[int]) -> Value:
    if list(order) == sorted(order):
        return x
    result = scope().emit(grad.transpose, x, list(order))
    return of_shape(result, shape_with([x.shape[i] for i in order]))


def fit(x: Value, shape: Shape) -> Value:
    """What is assigned to elements of a shape."""
    sizes: Sequence[Any] = x.shape
    while len(sizes) > len(shape) and sizes[0] == 1:
        sizes = sizes[1:]
    if len(sizes) > len(shape):
        raise ShapeError(
            f"could not broadcast input array from shape {x.shape} into shape {shape}",
            source_location(),
        )
    for size, wanted in zip(reversed(sizes), reversed(shape), strict=False):
        if size != 1:
            require_same(size, wanted, "could not broadcast an input array")
    return broadcast_to(reshape(x, shape_with(sizes)), shape)


def aligned(x: Value, i: int, y: Value, j: int) -> tuple[Value, Value]:
    """Two arrays, of which these dimensions have one size."""
    a: Any = x.shape[i]
    b: Any = y.shape[j]
    if a == b:
        return x, y
    require_same(a, b, "shapes not aligned")
    if is_extent(a):
        return x, resized(y, shape_with([*y.shape[:j], a, *y.shape[j + 1 :]]))
    return resized(x, shape_with([*x.shape[:i], b, *x.shape[i + 1 :]])), y


Sizes.rules = sys.modules[__name__]
