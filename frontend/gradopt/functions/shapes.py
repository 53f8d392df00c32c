# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Functions that rearrange elements, most of them views, and those that ask for shapes."""

from __future__ import annotations

import math
import operator
from typing import Any

import numpy as np

from gradopt.array.dispatch import implements
from gradopt.array.handle import Handle, array_of, copy_of, in_sorted_order
from gradopt.array.handle import python_number as number_of
from gradopt.array.indexing import getitem
from gradopt.array.operands import checked_order, handle_of, known_order, promotion_kind, traced
from gradopt.array.operators import is_weak, python_number
from gradopt.array.views import Broadcast, Part
from gradopt.base.dtypes import INT64, PYTHON_NUMBERS, part_dtype
from gradopt.base.dtypes import result_type as promote
from gradopt.base.location import source_location
from gradopt.base.unknown_sizes import unknown_size
from gradopt.errors import KeywordError, ShapeError
from gradopt.ir import prims, sized
from gradopt.ir.extents import Sizes, bounds_of, is_extent, shape_with
from gradopt.ir.values import Value


def shape_of(value: Any) -> tuple[int, ...]:
    """A shape argument: an int or several; a traced one is an error."""
    if prims.is_sequence(value):
        return tuple([operator.index(size) for size in value])
    return (operator.index(value),)


@implements(np.reshape)
def reshape(
    a: Any, shape: Any = None, order: str = "C", *, newshape: Any = None, copy: Any = None
) -> Handle:
    """`numpy.reshape`: a view where NumPy gives one."""
    x = handle_of(a)
    if checked_order(order) == "K":
        raise KeywordError("order 'K' is not permitted for reshaping", source_location())
    if x._extents.__class__ is Sizes:
        return _sized_reshape(x, newshape if shape is None else shape, order)
    new = shape_of(newshape if shape is None else shape)
    if new.count(-1) > 1:
        raise ShapeError("can only specify one unknown dimension", source_location())
    if -1 in new:
        known = prims.size_of(tuple([n for n in new if n != -1]))
        if known == 0 or prims.size_of(x.shape) % known:
            raise _no_reshape(x, new)
        new = tuple([prims.size_of(x.shape) // known if n == -1 else n for n in new])
    if prims.size_of(new) != prims.size_of(x.shape) or min(new, default=0) < 0:
        raise _no_reshape(x, new)
    if copy:
        x = array_of(x._read())
    if known_order(x.shape, order, "numpy.reshape") == "F":
        return _of_scalar(x, _reversed(_reversed(x)._reshaped(new[::-1])))
    return _of_scalar(x, x._reshaped(new))


def _sized_reshape(x: Handle, shape: Any, order: str) -> Handle:
    """`numpy.reshape` of an array whose size is known at run time only."""
    if known_order(x._extents, order, "numpy.reshape") == "F":
        raise unknown_size("numpy.reshape in the order of Fortran")
    sizes = list(shape) if prims.is_sequence(shape) else [shape]
    count = sized.size(x._extents)
    sizes = [_size(size, bounds_of((count,))[0]) for size in sizes]
    unknown = [i for i, size in enumerate(sizes) if not is_extent(size) and size == -1]
    if len(unknown) > 1:
        raise ShapeError("can only specify one unknown dimension", source_location())
    if unknown:
        others = sized.product([size for i, size in enumerate(sizes) if i not in unknown])
        sizes[unknown[0]] = sized.quotient(count, others)
    sized.require_same(count, sized.size(sizes), "cannot reshape")  # pyright: ignore
    return x._reshaped(shape_with(sizes))


def _size(size: Any, bound: int) -> Any:
    """A size that an array is given: an integer or an `Extent`."""
    if isinstance(size, Handle) and size._known() is None and size.dtype.kind in "iu":
        return sized.extent_of(prims.convert(size._read(), INT64), bound)
    return operator.index(size)  # pyright: ignore[reportArgumentType]


def _of_scalar(x: Handle, made: Handle) -> Any:
    """The view; of a NumPy scalar, whose methods give scalars, a scalar."""
    if made.shape or x._weak or not x._is_scalar:
        return made
    return x._read()


def _reversed(x: Handle) -> Handle:
    return x._with_axes(range(len(x.shape))[::-1])


def _no_reshape(x: Handle, shape: tuple[int, ...]) -> ShapeError:
    return ShapeError(
        f"cannot reshape array of size {x.size} into shape {shape}", source_location()
    )


@implements(np.ravel)
def ravel(a: Any, order: str = "C") -> Handle:
    """`numpy.ravel`: a view of what lies in memory without gaps, else a copy."""
    x = handle_of(a)
    if x._extents.__class__ is Sizes:
        return _sized_reshape(x, -1, order)
    flat = _reversed(x) if known_order(x.shape, order, "numpy.ravel") == "F" else x
    if flat._is_row_major() is False:
        return copy_of(flat._read(), (flat.size,))
    return flat._reshaped((flat.size,))


@implements(np.transpose, np.permute_dims)
def transpose(a: Any, axes: Any = None) -> Handle:
    """`numpy.transpose`."""
    x = handle_of(a)
    order = tuple(range(x.ndim))[::-1] if axes is None else prims.normalize_axes(axes, x.ndim)
    if len(order) != x.ndim:
        raise ShapeError("axes don't match array", source_location())
    return _of_scalar(x, x._with_axes(order))


@implements(np.matrix_transpose, np.linalg.matrix_transpose)
def matrix_transpose(x: Any, /) -> Handle:
    """`numpy.matrix_transpose`."""
    v = handle_of(x)
    if v.ndim < 2:
        raise ShapeError("matrix transpose needs at least 2 dimensions", source_location())
    return swapaxes(v, -1, -2)


@implements(np.swapaxes)
def swapaxes(a: Any, axis1: Any, axis2: Any) -> Handle:
    """`numpy.swapaxes`."""
    x = handle_of(a)
    i, j = prims.normalize_axis(axis1, x.ndim), prims.normalize_axis(axis2, x.ndim)
    order = list(range(x.ndim))
    order[i], order[j] = j, i
    return x._with_axes(order)


@implements(np.moveaxis)
def moveaxis(a: Any, source: Any, destination: Any) -> Handle:
    """`numpy.moveaxis`."""
    x = handle_of(a)
    origin = prims.normalize_axes(source, x.ndim)
    target = prims.normalize_axes(destination, x.ndim)
    if len(origin) != len(target):
        raise ShapeError(
            "source and destination must have the same number of axes", source_location()
        )
    order = [i for i in range(x.ndim) if i not in origin]
    for place, axis in sorted(zip(target, origin, strict=True)):
        order.insert(place, axis)
    return _of_scalar(x, x._with_axes(order))


@implements(np.rollaxis)
def rollaxis(a: Any, axis: Any, start: Any = 0) -> Handle:
    """`numpy.rollaxis`."""
    x = handle_of(a)
    origin = prims.normalize_axis(axis, x.ndim)
    place = start + x.ndim if start < 0 else start
    return moveaxis(x, origin, place - 1 if origin < place else place)


@implements(np.squeeze)
def squeeze(a: Any, axis: Any = None) -> Handle:
    """`numpy.squeeze`."""
    x = handle_of(a)
    if axis is None:
        axes = tuple([i for i, size in enumerate(x._extents) if size == 1])
    else:
        axes = prims.normalize_axes(axis, x.ndim)
    if any(x._extents[i] != 1 for i in axes):
        raise ShapeError(
            "cannot select an axis to squeeze out which has size not equal to one",
            source_location(),
        )
    return _of_scalar(x, x._with_axes([i for i in range(x.ndim) if i not in axes]))


@implements(np.expand_dims)
def expand_dims(a: Any, axis: Any) -> Handle:
    """`numpy.expand_dims`."""
    x = handle_of(a)
    count = len(axis) if prims.is_sequence(axis) else 1
    places = prims.normalize_axes(axis, x.ndim + count)
    axes = iter(range(x.ndim))
    return x._with_axes([-1 if i in places else next(axes) for i in range(x.ndim + count)])


@implements(np.broadcast_to)
def broadcast_to(array: Any, shape: Any) -> Handle:
    """`numpy.broadcast_to`: a view that cannot be written to."""
    x = handle_of(array)
    new = shape_of(shape)
    missing = len(new) - x.ndim
    pairs = zip(x.shape, new[max(missing, 0) :], strict=False)
    if missing < 0 or any(a not in (1, b) for a, b in pairs):
        raise ShapeError(f"cannot broadcast shape {x.shape} to shape {new}", source_location())
    return x._view(Broadcast(x.shape, new))


@implements(np.broadcast_arrays)
def broadcast_arrays(*args: Any) -> tuple[Handle, ...]:
    """`numpy.broadcast_arrays`."""
    values = [handle_of(arg) for arg in args]
    shape = prims.broadcast_shapes(*[value.shape for value in values])
    if all(value.shape == shape for value in values):
        return tuple([array_of(v._read()) if v._is_scalar else v for v in values])
    return tuple([broadcast_to(value, shape) for value in values])


def _at_least(count: int, values: tuple[Any, ...]) -> Any:
    results: list[Handle] = []
    for value in values:
        x = handle_of(value)
        if x.ndim < count:
            axes = list(range(x.ndim))
            if count == 3 and x.ndim:
                axes = [-1, *axes, -1] if x.ndim == 1 else [*axes, -1]
            else:
                axes = [-1] * (count - x.ndim) + axes
            x = x._with_axes(axes)
        results.append(x)
    return results[0] if len(results) == 1 else tuple(results)


@implements(np.atleast_1d)
def atleast_1d(*arys: Any) -> Any:
    """`numpy.atleast_1d`."""
    return _at_least(1, arys)


@implements(np.atleast_2d)
def atleast_2d(*arys: Any) -> Any:
    """`numpy.atleast_2d`."""
    return _at_least(2, arys)


@implements(np.atleast_3d)
def atleast_3d(*arys: Any) -> Any:
    """`numpy.atleast_3d`."""
    return _at_least(3, arys)


@implements(np.flip)
def flip(m: Any, axis: Any = None) -> Any:
    """`numpy.flip`."""
    x = handle_of(m)
    axes = prims.normalize_axes(axis, x.ndim)
    index = [slice(None, None, -1) if i in axes else slice(None) for i in range(x.ndim)]
    return getitem(x, (*index, Ellipsis) if x.ndim else ())


@implements(np.fliplr)
def fliplr(m: Any) -> Any:
    """`numpy.fliplr`."""
    return flip(m, 1)


@implements(np.flipud)
def flipud(m: Any) -> Any:
    """`numpy.flipud`."""
    return flip(m, 0)


@implements(np.rot90)
def rot90(m: Any, k: int = 1, axes: tuple[int, int] = (0, 1)) -> Any:
    """`numpy.rot90`."""
    x = handle_of(m)
    i, j = prims.normalize_axes(axes, x.ndim)
    k %= 4
    if k == 2:
        return flip(x, (i, j))
    if k == 1:
        return swapaxes(flip(x, j), i, j)
    return flip(swapaxes(x, i, j), j) if k == 3 else x._view()


@implements(np.copy)
def copy(a: Any, order: str = "K", subok: bool = False) -> Any:
    """`numpy.copy`."""
    x = handle_of(a)
    return array_of(x._read()) if x._is_scalar else arranged(x._read(), x, order)


def arranged(value: Value, x: Handle, order: Any) -> Handle:
    """A new array in some order in memory; A and K are the order of `x`, of the same shape."""
    order = checked_order(order)
    if order == "A":
        order = "F" if x._is_row_major() is False and _reversed(x)._is_row_major() else "C"
    if order == "K" and value.shape:
        return in_sorted_order(value, x)
    if order == "F":
        return _reversed(array_of(prims.transpose(value, range(value.ndim)[::-1])))
    return array_of(value)


@implements(np.astype)
def astype(x: Any, dtype: Any, /, *, copy: bool = True) -> Any:
    """`numpy.astype`."""
    return x.astype(dtype, copy=copy)


@implements(np.real)
def real(val: Any) -> Any:
    """`numpy.real`: a view of the real parts; the array itself where it is not complex."""
    return _part(val, imaginary=False)


def _part(val: Any, imaginary: bool) -> Any:
    # Of a Python number it is its attribute: a Python number.
    if is_weak(val):
        number = traced(python_number(val))
        return number_of(prims.imag(number) if imaginary else prims.real(number))
    x = handle_of(val)
    if x.dtype.kind == "c":
        if x._is_scalar:
            return prims.imag(x._read()) if imaginary else prims.real(x._read())
        return x._view(Part(x._extents, part_dtype(x.dtype), imaginary))
    if not imaginary:
        return x
    if x._extents.__class__ is Sizes:
        return prims.broadcast_to(prims.full((), 0, x.dtype), x._extents)
    zeros = array_of(prims.full((), 0, x.dtype))
    return zeros._read() if x._is_scalar else broadcast_to(zeros, x.shape)


@implements(np.imag)
def imag(val: Any) -> Any:
    """`numpy.imag`: a view of the imaginary parts; else zeros that cannot be written to."""
    return _part(val, imaginary=True)


@implements(np.shape)
def shape(a: Any) -> tuple[int, ...]:
    """`numpy.shape`: known while tracing."""
    return handle_of(a).shape


@implements(np.ndim)
def ndim(a: Any) -> int:
    """`numpy.ndim`: known while tracing."""
    return handle_of(a).ndim


@implements(np.size)
def size(a: Any, axis: Any = None) -> int:
    """`numpy.size`: known while tracing."""
    x = handle_of(a)
    return (
        x.size
        if axis is None
        else math.prod([x.shape[i] for i in prims.normalize_axes(axis, x.ndim)])
    )


@implements(np.iscomplexobj)
def iscomplexobj(x: Any) -> bool:
    """`numpy.iscomplexobj`: known while tracing."""
    return handle_of(x).dtype.kind == "c"


@implements(np.isrealobj)
def isrealobj(x: Any) -> bool:
    """`numpy.isrealobj`: known while tracing."""
    return not iscomplexobj(x)


@implements(np.common_type)
def common_type(*arrays: Any) -> Any:
    """`numpy.common_type`: known while tracing."""
    return np.common_type(*[np.empty(0, handle_of(array).dtype) for array in arrays])


@implements(np.result_type)
def result_type(*arrays_and_dtypes: Any) -> np.dtype[Any]:
    """`numpy.result_type`."""
    kinds: list[Any] = []
    for value in arrays_and_dtypes:
        is_dtype = isinstance(value, (np.dtype, str)) or (
            isinstance(value, type) and value not in PYTHON_NUMBERS
        )
        kinds.append(np.dtype(value) if is_dtype else promotion_kind(value))
    return promote(*kinds)


@implements(np.can_cast)
def can_cast(from_: Any, to: Any, casting: str = "safe") -> bool:
    """`numpy.can_cast`."""
    return np.can_cast(from_.dtype, to, casting)  # pyright: ignore[reportArgumentType]


@implements(np.array_repr)
def array_repr(arr: Any) -> str:
    """`repr` of the traced array."""
    return repr(arr)


@implements(np.array_str)
def array_str(a: Any) -> str:
    """`str` of the traced array."""
    return repr(a)
