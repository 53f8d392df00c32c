# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""One function for each structural op of the dialect, on traced arrays.

They add what NumPy has and the dialect leaves out: nothing is emitted where the result is the
operand itself, and operands are concrete arrays, too. Dtypes are not promoted here.
"""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Sequence
from typing import Any

import numpy as np
from mlir import ir

from gradopt.array.tracer import Tracer
from gradopt.base.dtypes import BOOL, INT64, DType, supported
from gradopt.base.location import source_location
from gradopt.dialects import grad
from gradopt.errors import LeakedTracerError, ShapeError, UnsupportedError
from gradopt.ir.context import element_type
from gradopt.ir.trace import Scope, current_scope

Shape = tuple[int, ...]


def scope() -> Scope:
    """The function under construction.

    Raises:
        LeakedTracerError: none is.
    """
    found = current_scope()
    if found is None:
        raise LeakedTracerError(
            "a traced array is used outside the trace that made it; return it from the traced "
            "function instead of storing it",
            source_location(),
        )
    return found


def is_traced(*values: Any) -> bool:
    """Whether a value is traced, or a list or tuple that holds a traced one."""
    return any(
        isinstance(value, Tracer) or (type(value) in (list, tuple) and is_traced(*value))
        for value in values
    )


def concrete(value: Any) -> np.ndarray[Any, Any]:
    """A concrete operand as an array, of any dtype that NumPy gives it.

    Raises:
        UnsupportedError: an array of objects, or masked.
    """
    if isinstance(value, np.ma.MaskedArray):
        raise UnsupportedError("masked arrays are not supported", source_location())
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise ShapeError(str(error), source_location()) from None
    if array.dtype == object and isinstance(value, int):
        raise UnsupportedError(f"the integer {value} does not fit int64", source_location())
    if array.dtype == object:
        raise UnsupportedError(
            f"an operand of type {type(value).__name__} is not an array of numbers",
            source_location(),
        )
    return array


def as_traced(value: Any, dtype: DType | None = None) -> Tracer:
    """The operand as a traced array, of `dtype` if given."""
    if value.__class__ is not Tracer:
        if dtype is not None and type(value) in (int, float, bool):
            data = np.array(value, dtype)
        else:
            data = concrete(value)
            if dtype is not None and data.dtype != dtype:
                data = data.astype(dtype)
        dtype = supported(data.dtype)
        if data.dtype != dtype:
            data = data.astype(dtype)
        return scope().constant(data)
    if dtype is None or value.dtype == dtype:
        return value
    return convert(value, dtype)


def full(shape: Shape, value: Any, dtype: DType) -> Tracer:
    """A concrete scalar, repeated."""
    return broadcast_to(scope().constant(np.array(value, dtype)), shape)


def scalar(value: float, dtype: DType) -> Tracer:
    """A constant operand."""
    return scope().constant(np.array(value, dtype))


@functools.cache
def _type_attribute(dtype: DType) -> ir.Attribute:
    return ir.TypeAttr.get(element_type(dtype))


def convert(x: Tracer, dtype: DType) -> Tracer:
    """`grad.convert`."""
    if x.dtype == dtype:
        return x
    return scope().emit(grad.convert, x, _type_attribute(dtype))


def broadcast_shapes(*shapes: Shape) -> Shape:
    """The common shape.

    Raises:
        ShapeError: there is none.
    """
    first = shapes[0]
    if all(shape == first for shape in shapes):
        return first
    try:
        return np.broadcast_shapes(*shapes)
    except ValueError:
        text = " ".join(str(shape).replace(" ", "") for shape in shapes)
        raise ShapeError(
            f"operands could not be broadcast together with shapes {text}", source_location()
        ) from None


def broadcast_to(x: Tracer, shape: Shape) -> Tracer:
    """NumPy's broadcast: dimensions of size 1 and missing ones are repeated."""
    if x.shape == shape:
        return x
    offset = len(shape) - len(x.shape)
    if offset < 0 or any(a not in (b, 1) for a, b in zip(x.shape, shape[offset:], strict=True)):
        raise ShapeError(f"cannot broadcast shape {x.shape} to shape {shape}", source_location())
    kept = [i for i, size in enumerate(x.shape) if size == shape[offset + i]]
    x = reshape(x, tuple([x.shape[i] for i in kept]))
    return scope().emit(grad.broadcast, x, list(shape), [offset + i for i in kept])


def reshape(x: Tracer, shape: Shape) -> Tracer:
    """`grad.reshape` to a shape without -1."""
    if x.shape == shape:
        return x
    return scope().emit(grad.reshape, x, list(shape))


def transpose(x: Tracer, permutation: Sequence[int]) -> Tracer:
    """`grad.transpose`."""
    if list(permutation) == list(range(len(permutation))):
        return x
    return scope().emit(grad.transpose, x, list(permutation))


def slice_(
    x: Tracer, offsets: Sequence[int], sizes: Sequence[int], strides: Sequence[int]
) -> Tracer:
    """`grad.slice`."""
    if tuple(sizes) == x.shape:
        return x
    return scope().emit(grad.slice, x, list(offsets), list(sizes), list(strides))


def take_range(x: Tracer, axis: int, start: int, stop: int) -> Tracer:
    """`x[start:stop]` along an axis, bounds non-negative."""
    offsets, sizes = [0] * x.ndim, list(x.shape)
    offsets[axis], sizes[axis] = start, stop - start
    return slice_(x, offsets, sizes, [1] * x.ndim)


def dynamic_slice(x: Tracer, indices: Sequence[Tracer], sizes: Sequence[int]) -> Tracer:
    """`grad.dynamic_slice`."""
    here = scope()
    values = [here.use(index) for index in indices]
    return here.emit(grad.dynamic_slice, x, values, list(sizes))


def reverse(x: Tracer, dimensions: Sequence[int]) -> Tracer:
    """`grad.reverse`."""
    dimensions = sorted(d for d in dimensions if x.shape[d] != 1)
    if not dimensions:
        return x
    return scope().emit(grad.reverse, x, dimensions)


def pad(
    x: Tracer,
    low: Sequence[int],
    high: Sequence[int],
    interior: Sequence[int] | None = None,
    value: Tracer | None = None,
) -> Tracer:
    """`grad.pad`, by zero if `value` is not given."""
    if value is None:
        value = scope().constant(np.zeros((), x.dtype))
    inner = [0] * x.ndim if interior is None else list(interior)
    return scope().emit(grad.pad, x, value, list(low), list(high), inner)


def concatenate(parts: Sequence[Tracer], axis: int) -> Tracer:
    """`grad.concatenate`."""
    if len(parts) == 1:
        return parts[0]
    here = scope()
    return here.emit(grad.concatenate, [here.use(part) for part in parts], axis)


_REDUCTIONS = {
    "sum": grad.reduce_sum,
    "prod": grad.reduce_prod,
    "max": grad.reduce_max,
    "min": grad.reduce_min,
    "any": grad.reduce_any,
    "all": grad.reduce_all,
}


def reduce(kind: str, x: Tracer, axes: Sequence[int]) -> Tracer:
    """`grad.reduce_<kind>` over non-negative axes."""
    if not axes:
        return x
    return scope().emit(_REDUCTIONS[kind], x, sorted(axes))


def dot_general(
    lhs: Tracer,
    rhs: Tracer,
    batch: tuple[Sequence[int], Sequence[int]],
    contract: tuple[Sequence[int], Sequence[int]],
) -> Tracer:
    """`grad.dot_general`; for bool, whether any product holds."""
    if lhs.dtype == BOOL:
        product = dot_general(convert(lhs, INT64), convert(rhs, INT64), batch, contract)
        return convert(product, BOOL)
    return scope().emit(
        grad.dot_general,
        lhs,
        rhs,
        list(batch[0]),
        list(batch[1]),
        list(contract[0]),
        list(contract[1]),
    )


def gather(x: Tracer, indices: Tracer) -> Tracer:
    """`grad.gather`."""
    return scope().emit(grad.gather, x, indices)


def iota(shape: Shape, dimension: int, dtype: DType) -> Tracer:
    """`grad.iota`."""
    return scope().emit(grad.iota, dimension, list(shape), _type_attribute(dtype))


def select(condition: Tracer, on_true: Tracer, on_false: Tracer) -> Tracer:
    """`grad.select` of three operands of one shape, broadcast if necessary."""
    shape = broadcast_shapes(condition.shape, on_true.shape, on_false.shape)
    return scope().emit(
        grad.select,
        broadcast_to(condition, shape),
        broadcast_to(on_true, shape),
        broadcast_to(on_false, shape),
    )


def cumsum(x: Tracer, axis: int) -> Tracer:
    """`grad.cumsum`."""
    return scope().emit(grad.cumsum, x, axis)


def argreduce(kind: str, x: Tracer, axis: int) -> Tracer:
    """`grad.argmax` or `grad.argmin`."""
    return scope().emit(grad.argmax if kind == "argmax" else grad.argmin, x, axis)


def stop_gradient(x: Tracer) -> Tracer:
    """`grad.stop_gradient`."""
    return scope().emit(grad.stop_gradient, x)


def normalize_axis(axis: Any, ndim: int) -> int:
    """A non-negative axis.

    Raises:
        ShapeError: out of bounds.
    """
    value = operator.index(axis)
    if not -ndim <= value < ndim:
        raise ShapeError(
            f"axis {value} is out of bounds for array of dimension {ndim}", source_location()
        )
    return value % ndim if ndim else 0


def is_sequence(value: Any) -> bool:
    """Whether an argument for axes or sizes is several of them: a tuple, list, range or array."""
    return isinstance(value, (tuple, list, range)) or (
        isinstance(value, np.ndarray) and value.ndim > 0
    )


def normalize_axes(axis: Any, ndim: int) -> tuple[int, ...]:
    """Non-negative axes of None (all), an int or a sequence.

    Raises:
        ShapeError: out of bounds or repeated.
    """
    if axis is None:
        return tuple(range(ndim))
    if not is_sequence(axis):
        return (normalize_axis(axis, ndim),)
    axes = tuple(normalize_axis(a, ndim) for a in axis)
    if len(set(axes)) != len(axes):
        raise ShapeError("duplicate value in axis", source_location())
    return axes


def size_of(shape: Shape) -> int:
    """Number of elements."""
    return math.prod(shape)
