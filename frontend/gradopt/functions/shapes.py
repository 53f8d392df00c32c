# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Functions that rearrange elements, and those that ask for shapes and dtypes."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from gradopt.array.dispatch import implements, unsupported
from gradopt.array.operands import listed, promotion_kind, traced
from gradopt.array.operators import python_number
from gradopt.array.tracer import Tracer
from gradopt.base.dtypes import require_cast, supported
from gradopt.base.dtypes import result_type as promote
from gradopt.base.location import source_location
from gradopt.errors import KeywordError, ShapeError
from gradopt.ir import prims


def shape_of(value: Any) -> tuple[int, ...]:
    """A shape argument: an int or several; a traced one is an error."""
    if prims.is_sequence(value):
        return tuple([operator.index(size) for size in value])
    return (operator.index(value),)


def astype(
    x: Tracer, dtype: Any, order: Any = "K", casting: str = "unsafe", copy: bool = True
) -> Tracer:
    """`ndarray.astype`."""
    checked_order(order)
    target = supported(dtype)
    require_cast(x.dtype, target, casting)
    if x.dtype != target:
        return prims.convert(x, target)
    return x._alias() if copy or x._weak else x


@implements(np.reshape, view=True)
def reshape(a: Any, shape: Any = None, order: str = "C", *, newshape: Any = None) -> Tracer:
    """`numpy.reshape`."""
    x = traced(a)
    if checked_order(order) == "K":
        raise KeywordError("order 'K' is not permitted for reshaping", source_location())
    new = shape_of(newshape if shape is None else shape)
    if new.count(-1) > 1:
        raise ShapeError("can only specify one unknown dimension", source_location())
    if -1 in new:
        known = prims.size_of(tuple([n for n in new if n != -1]))
        if known == 0 or x.size % known:
            raise _no_reshape(x, new)
        new = tuple([x.size // known if n == -1 else n for n in new])
    if prims.size_of(new) != x.size or min(new, default=0) < 0:
        raise _no_reshape(x, new)
    if known_order(x, order, "numpy.reshape") == "F":
        flat = prims.reshape(prims.transpose(x, range(x.ndim)[::-1]), new[::-1])
        return prims.transpose(flat, range(len(new))[::-1])
    return prims.reshape(x, new)


def checked_order(order: Any) -> str:
    """An order of elements in memory: C, F, A or K.

    Raises:
        KeywordError: it is another one.
    """
    name = "C" if order is None else order.upper() if isinstance(order, str) else order
    if name not in ("C", "F", "A", "K"):
        raise KeywordError(
            f"order must be one of 'C', 'F', 'A', or 'K' (got {order!r})", source_location()
        )
    return name


def known_order(x: Tracer, order: Any, name: str) -> str:
    """In which order, C or F, a function takes the elements.

    Raises:
        UnsupportedError: it is the order in memory, of which a traced array knows nothing.
    """
    order = checked_order(order)
    if order in ("A", "K"):
        if sum(size != 1 for size in x.shape) > 1 and x.size:
            raise unsupported(
                f"order={order!r} of {name}",
                "NumPy's answer depends on how the array lies in memory; use C or F",
            )
        return "C"
    return order


def _no_reshape(x: Tracer, shape: tuple[int, ...]) -> ShapeError:
    return ShapeError(
        f"cannot reshape array of size {x.size} into shape {shape}", source_location()
    )


@implements(np.ravel, view=True)
def ravel(a: Any, order: str = "C") -> Tracer:
    """`numpy.ravel`."""
    x = traced(a)
    return reshape(x, -1, known_order(x, order, "numpy.ravel"))


@implements(np.transpose, np.permute_dims, view=True)
def transpose(a: Any, axes: Any = None) -> Tracer:
    """`numpy.transpose`."""
    x = traced(a)
    order = tuple(range(x.ndim))[::-1] if axes is None else prims.normalize_axes(axes, x.ndim)
    if len(order) != x.ndim:
        raise ShapeError("axes don't match array", source_location())
    return prims.transpose(x, order)


@implements(np.matrix_transpose, view=True)
def matrix_transpose(x: Any, /) -> Tracer:
    """`numpy.matrix_transpose`."""
    v = traced(x)
    if v.ndim < 2:
        raise ShapeError("matrix transpose needs at least 2 dimensions", source_location())
    return swapaxes(v, -1, -2)


@implements(np.swapaxes, view=True)
def swapaxes(a: Any, axis1: Any, axis2: Any) -> Tracer:
    """`numpy.swapaxes`."""
    x = traced(a)
    i, j = prims.normalize_axis(axis1, x.ndim), prims.normalize_axis(axis2, x.ndim)
    order = list(range(x.ndim))
    order[i], order[j] = j, i
    return prims.transpose(x, order)


@implements(np.moveaxis, view=True)
def moveaxis(a: Any, source: Any, destination: Any) -> Tracer:
    """`numpy.moveaxis`."""
    x = traced(a)
    origin = prims.normalize_axes(source, x.ndim)
    target = prims.normalize_axes(destination, x.ndim)
    if len(origin) != len(target):
        raise ShapeError(
            "source and destination must have the same number of axes", source_location()
        )
    order = [i for i in range(x.ndim) if i not in origin]
    for place, axis in sorted(zip(target, origin, strict=True)):
        order.insert(place, axis)
    return prims.transpose(x, order)


@implements(np.rollaxis, view=True)
def rollaxis(a: Any, axis: Any, start: Any = 0) -> Tracer:
    """`numpy.rollaxis`."""
    x = traced(a)
    origin = prims.normalize_axis(axis, x.ndim)
    place = start + x.ndim if start < 0 else start
    return moveaxis(x, origin, place - 1 if origin < place else place)


@implements(np.squeeze, view=True)
def squeeze(a: Any, axis: Any = None) -> Tracer:
    """`numpy.squeeze`."""
    x = traced(a)
    if axis is None:
        axes = tuple([i for i, size in enumerate(x.shape) if size == 1])
    else:
        axes = prims.normalize_axes(axis, x.ndim)
    if any(x.shape[i] != 1 for i in axes):
        raise ShapeError(
            "cannot select an axis to squeeze out which has size not equal to one",
            source_location(),
        )
    return prims.reshape(x, tuple([n for i, n in enumerate(x.shape) if i not in axes]))


@implements(np.expand_dims, view=True)
def expand_dims(a: Any, axis: Any) -> Tracer:
    """`numpy.expand_dims`."""
    x = traced(a)
    count = len(axis) if prims.is_sequence(axis) else 1
    axes = prims.normalize_axes(axis, x.ndim + count)
    sizes = iter(x.shape)
    return prims.reshape(x, tuple([1 if i in axes else next(sizes) for i in range(x.ndim + count)]))


@implements(np.broadcast_to, view=True)
def broadcast_to(array: Any, shape: Any) -> Tracer:
    """`numpy.broadcast_to`."""
    return prims.broadcast_to(traced(array), shape_of(shape))


@implements(np.broadcast_arrays, view=True)
def broadcast_arrays(*args: Any) -> tuple[Tracer, ...]:
    """`numpy.broadcast_arrays`."""
    values = [traced(arg) for arg in args]
    shape = prims.broadcast_shapes(*[value.shape for value in values])
    return tuple([prims.broadcast_to(value, shape)._alias() for value in values])


def _at_least(count: int, values: tuple[Any, ...]) -> Any:
    results = []
    for value in values:
        x = traced(value)
        if x.ndim < count:
            if count == 3 and x.ndim:
                shape = (1, *x.shape, 1) if x.ndim == 1 else (*x.shape, 1)
            else:
                shape = (1,) * (count - x.ndim) + x.shape
            x = prims.reshape(x, shape)
        results.append(x)
    return results[0] if len(results) == 1 else tuple(results)


@implements(np.atleast_1d, view=True)
def atleast_1d(*arys: Any) -> Any:
    """`numpy.atleast_1d`."""
    return _at_least(1, arys)


@implements(np.atleast_2d, view=True)
def atleast_2d(*arys: Any) -> Any:
    """`numpy.atleast_2d`."""
    return _at_least(2, arys)


@implements(np.atleast_3d, view=True)
def atleast_3d(*arys: Any) -> Any:
    """`numpy.atleast_3d`."""
    return _at_least(3, arys)


@implements(np.flip, view=True)
def flip(m: Any, axis: Any = None) -> Tracer:
    """`numpy.flip`."""
    x = traced(m)
    return prims.reverse(x, prims.normalize_axes(axis, x.ndim))


@implements(np.fliplr, view=True)
def fliplr(m: Any) -> Tracer:
    """`numpy.fliplr`."""
    return flip(m, 1)


@implements(np.flipud, view=True)
def flipud(m: Any) -> Tracer:
    """`numpy.flipud`."""
    return flip(m, 0)


@implements(np.rot90, view=True)
def rot90(m: Any, k: int = 1, axes: tuple[int, int] = (0, 1)) -> Tracer:
    """`numpy.rot90`."""
    x = traced(m)
    i, j = prims.normalize_axes(axes, x.ndim)
    k %= 4
    if k == 2:
        return flip(x, (i, j))
    if k == 1:
        return swapaxes(flip(x, j), i, j)
    return flip(swapaxes(x, i, j), j) if k == 3 else x


@implements(np.copy)
def copy(a: Any, order: str = "K", subok: bool = False) -> Tracer:
    """`numpy.copy`; the order in memory makes no difference."""
    checked_order(order)
    return traced(a)._alias()


@implements(np.astype)
def astype_function(x: Any, dtype: Any, /, *, copy: bool = True) -> Tracer:
    """`numpy.astype`."""
    return astype(x, dtype, copy=copy)


@implements(np.real, view=True)
def real(val: Any) -> Tracer:
    """`numpy.real`: the array, as complex numbers are not supported."""
    # Of a Python number it is its attribute: a Python number.
    x = prims.as_traced(listed(val))
    return python_number(x).__copy__() if x._weak else x


@implements(np.imag)
def imag(val: Any) -> Tracer:
    """`numpy.imag`: zeros."""
    x = prims.as_traced(listed(val))
    weak = x._weak
    if weak:
        x = python_number(x)
    result = prims.full(x.shape, 0, x.dtype)
    result._weak = weak
    return result


@implements(np.shape)
def shape(a: Any) -> tuple[int, ...]:
    """`numpy.shape`: known while tracing."""
    return traced(a).shape


@implements(np.ndim)
def ndim(a: Any) -> int:
    """`numpy.ndim`: known while tracing."""
    return traced(a).ndim


@implements(np.size)
def size(a: Any, axis: Any = None) -> int:
    """`numpy.size`: known while tracing."""
    x = traced(a)
    return (
        x.size
        if axis is None
        else prims.size_of(tuple([x.shape[i] for i in prims.normalize_axes(axis, x.ndim)]))
    )


@implements(np.iscomplexobj)
def iscomplexobj(x: Any) -> bool:
    """`numpy.iscomplexobj`: False."""
    return False


@implements(np.isrealobj)
def isrealobj(x: Any) -> bool:
    """`numpy.isrealobj`: True."""
    return True


@implements(np.result_type)
def result_type(*arrays_and_dtypes: Any) -> np.dtype[Any]:
    """`numpy.result_type`."""
    kinds: list[Any] = []
    for value in arrays_and_dtypes:
        is_dtype = isinstance(value, (np.dtype, str)) or (
            isinstance(value, type) and value not in (bool, int, float)
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
