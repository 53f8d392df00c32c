# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The ops that make and end arrays whose size is known at run time, and their broadcasts.

Sizes of operands that are not known to be equal are compared when the compiled code has run.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import numpy as np

from gradopt.base.dtypes import INT64, DType
from gradopt.base.location import source_location
from gradopt.base.unknown_sizes import unknown_size
from gradopt.errors import ShapeError
from gradopt.ir import values as known
from gradopt.ir.affine import Number, affine, between, number_of
from gradopt.ir.current import scope
from gradopt.ir.extents import DYNAMIC, Extent, Sizes, bounds_of, is_extent, shape_with
from gradopt.ir.outcomes import require
from gradopt.ir.types import element_attribute
from gradopt.ir.values import Shape, Value, equal, of_shape, scalar
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


def _words(numbers: Sequence[Number]) -> list[ir.Value]:
    here = scope()
    return [here.use(scalar(n, INT64) if isinstance(n, int) else n) for n in numbers]


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
    """`grad.sized_slice`; `in_bounds` if the call raises an error where it is not."""
    result = scope().emit(
        grad.sized_slice, x, _words(starts), _extents(sizes), _sizes(sizes), list(dimensions)
    )
    if in_bounds:
        result.ssa.owner.discardable = {"grad.in_bounds": ir.UNIT}
    return of_shape(result, shape_with(sizes))


def update(x: Value, part: Value, starts: Sequence[Number], dimensions: Sequence[int]) -> Value:
    """`grad.sized_update` of an array of known size, within bounds."""
    if x.shape.__class__ is Sizes:
        raise unknown_size("an assignment to elements of a view")
    result = scope().emit(grad.sized_update, x, part, _words(starts), list(dimensions))
    result.ssa.owner.discardable = {"grad.in_bounds": ir.UNIT}
    return result


def iota(size: Extent, dtype: DType) -> Value:
    """`grad.sized_iota`."""
    words = _extents([size])
    result = scope().emit(grad.sized_iota, *words, size.bound, element_attribute(dtype))
    return of_shape(result, Sizes((size,)))  # pyright: ignore[reportArgumentType]


def padded(x: Value) -> Value:
    """The elements of an array, and as many zeros as its sizes may be larger."""
    zeros = scope().constant(np.zeros(bounds_of(x.shape), x.dtype))
    return update(zeros, x, [0] * x.ndim, range(x.ndim))


# -- Shapes ------------------------------------------------------------------------------------


def require_same(x: Any, y: Any, what: str = "operands could not be broadcast together") -> None:
    """Checks that two sizes are equal, when the compiled code has run, if that is not known."""
    if x == y:
        return
    if not (is_extent(x) or is_extent(y)):
        raise ShapeError(f"{what}: sizes {x} and {y}", source_location())
    a, b = (scalar(n, INT64) if isinstance(n, int) else n for n in (number(x), number(y)))
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
    if any(is_extent(size) and not is_extent(wanted) for size, wanted in pairs):
        # Such a size ends where an array of known size is written to.
        sizes = [_smaller(size, wanted) for size, wanted in pairs]
        part = slice_(x, zeros, sizes, every, in_bounds=False)
        whole = scope().constant(np.zeros(bounds_of(shape), x.dtype))
        x = update(whole, part, zeros, every)
        return x if shape.__class__ is not Sizes else slice_(x, zeros, shape, every)
    return slice_(x, zeros, shape, every, in_bounds=False)


def _smaller(size: Any, wanted: Any) -> Any:
    """The size, or the known one that is wanted if that is smaller."""
    if is_extent(wanted) or not is_extent(size):
        return wanted
    if size.bound <= wanted:
        return size
    limit = scalar(wanted, INT64)
    found = scope().emit(grad.minimum, size.value, limit)
    return Extent(found, affine(found), wanted)


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
    """Dimensions of size 1 taken away, and added.

    Raises:
        UnsupportedError: it is another reshape.
    """
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
        raise unknown_size("another shape")
    if len(kept) < x.ndim:
        x = slice_(x, [0] * x.ndim, [x.shape[i] for i in kept], kept)
    if len(places) == len(shape):
        return x
    return _broadcast(x, shape, places)


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
