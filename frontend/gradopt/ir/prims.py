# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""One function for each structural op of the dialect, on values.

They add what NumPy has and the dialect leaves out: nothing is emitted where the result is the
operand itself. Dtypes are not promoted here, and there are no lists.
"""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from gradopt.base.called import called_function
from gradopt.base.device_arrays import require_on_host
from gradopt.base.donated import require_not_donated
from gradopt.base.dtypes import (
    BOOL,
    INT64,
    PYTHON_NUMBERS,
    DType,
    part_dtype,
    supported,
)
from gradopt.base.location import source_location
from gradopt.errors import (
    AxisError,
    DTypeError,
    ElementError,
    GradoptError,
    NumberRangeError,
    ShapeError,
    UnsupportedError,
)
from gradopt.ir import sized
from gradopt.ir.current import scope as scope
from gradopt.ir.extents import Sizes, shape_with
from gradopt.ir.types import element_attribute
from gradopt.ir.values import Shape as Shape
from gradopt.ir.values import Value, of_shape
from gradopt.ir.values import broadcast_shapes as broadcast_shapes
from gradopt.ir.values import broadcast_to as broadcast_to
from gradopt.ir.values import equal as equal
from gradopt.ir.values import not_equal as not_equal
from gradopt.ir.values import reshape as reshape
from gradopt.ir.values import scalar as scalar
from gradopt.recording import grad, ir

# What NumPy converts to elements one by one, and does not cast as it casts an array.
_NUMBERS = (*PYTHON_NUMBERS, list, tuple)


def concrete(value: Any) -> np.ndarray[Any, Any]:
    """A concrete operand as an array, of any dtype that NumPy gives it.

    Raises:
        UnsupportedError: an array of objects, or masked.
        DonatedArrayError: an array whose memory holds something else by now.
        PlacementError: an array on a device.
    """
    if isinstance(value, np.ma.MaskedArray):
        raise UnsupportedError("masked arrays are not supported", source_location())
    require_on_host(value, "an operand")
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise ShapeError(str(error), source_location()) from None
    require_not_donated(array)
    if array.dtype == object and isinstance(value, int):
        raise UnsupportedError(f"the integer {value} does not fit int64", source_location())
    if array.dtype == object:
        raise UnsupportedError(
            f"an operand of type {type(value).__name__} is not an array of numbers",
            source_location(),
        )
    return array


def as_value(value: Any, dtype: DType | None = None) -> Value:
    """A value, or a concrete operand as a constant, converted to `dtype` if given.

    Raises:
        NumberRangeError: a number that is no element of an array does not fit the dtype.
        ElementError: it is NaN, and the dtype has none.
        DTypeError: it is complex, and the dtype is not.
    """
    if isinstance(value, Value):
        return value if dtype is None else convert(value, dtype)
    if dtype is not None and isinstance(value, _NUMBERS):
        data = _of_numbers(value, dtype)
    else:
        data = concrete(value)
        if data.dtype.kind in "SUMm":
            supported(data.dtype)
        if dtype is not None and data.dtype != dtype:
            data = data.astype(dtype)
    dtype = supported(data.dtype)
    if data.dtype != dtype:
        data = data.astype(dtype)
    return scope().constant(data)


def _of_numbers(value: Any, dtype: DType) -> np.ndarray[Any, Any]:
    """Numbers, alone or in lists, as NumPy makes elements of them: they have to fit the dtype."""
    is_number = type(value) in PYTHON_NUMBERS
    try:
        if not is_number:
            concrete(value)
        return np.array(value, dtype)
    except OverflowError as error:
        text = f"Python integer {value} out of bounds for {dtype}" if is_number else str(error)
        raise NumberRangeError(text, source_location()) from None
    except GradoptError:
        raise
    except ValueError as error:
        raise ElementError(f"{error} ({dtype})", source_location()) from None
    except TypeError:
        raise DTypeError(
            f"complex numbers cannot become elements of {dtype}; use numpy.real or numpy.abs",
            source_location(),
        ) from None


def full(shape: Shape, value: Any, dtype: DType) -> Value:
    """A concrete scalar, repeated."""
    return broadcast_to(scope().constant(np.array(value, dtype)), shape)


def convert(x: Value, dtype: DType) -> Value:
    """`grad.convert`; of complex numbers, which have a part that others lack, `real` is."""
    if x.dtype == dtype:
        return x
    if x.dtype.kind == "c" and dtype.kind not in "bc":
        raise UnsupportedError(
            f"complex numbers are not supported in {called_function() or 'this expression'}, where "
            "real ones are expected; use numpy.real, numpy.imag or numpy.abs",
            source_location(),
        )
    return of_shape(scope().emit(grad.convert, x, element_attribute(dtype)), x.shape)


def _chosen(shape: Shape, axes: Iterable[int]) -> Shape:
    """The sizes of some dimensions."""
    return shape_with([shape[i] for i in axes]) if shape.__class__ is Sizes else ()


def real(x: Value) -> Value:
    """Real parts; of other numbers, the numbers."""
    if x.dtype.kind != "c":
        return x
    part = scope().emit(grad.convert, x, element_attribute(part_dtype(x.dtype)))
    return of_shape(part, x.shape)


def imag(x: Value) -> Value:
    """Imaginary parts; of other numbers, zeros."""
    if x.dtype.kind != "c":
        return full(x.shape, 0, x.dtype)
    return of_shape(scope().emit(grad.imag, x), x.shape)


def complex_(re: Value, im: Value) -> Value:
    """Complex numbers with these parts, of one dtype and shape."""
    return of_shape(scope().emit(grad.complex, re, im), re.shape)


def conjugate(x: Value) -> Value:
    """Complex conjugates; other numbers as they are."""
    return complex_(real(x), -imag(x)) if x.dtype.kind == "c" else x


def transpose(x: Value, permutation: Sequence[int]) -> Value:
    """`grad.transpose`."""
    if list(permutation) == list(range(len(permutation))):
        return x
    result = scope().emit(grad.transpose, x, list(permutation))
    return of_shape(result, _chosen(x.shape, permutation))


def slice_(x: Value, offsets: Sequence[int], sizes: Sequence[int], strides: Sequence[int]) -> Value:
    """`grad.slice`."""
    if tuple(sizes) == x.shape:
        return x
    return scope().emit(grad.slice, x, list(offsets), list(sizes), list(strides))


def take_range(x: Value, axis: int, start: int, stop: int) -> Value:
    """`x[start:stop]` along an axis of known size, bounds non-negative."""
    offsets, sizes = [0] * x.ndim, list(x.shape)
    offsets[axis], sizes[axis] = start, stop - start
    if x.shape.__class__ is Sizes:
        return sized.slice_(x, offsets, sizes, range(x.ndim))
    return slice_(x, offsets, sizes, [1] * x.ndim)


def dynamic_slice(
    x: Value, indices: Sequence[Value], sizes: Sequence[int], in_bounds: bool = False
) -> Value:
    """`grad.dynamic_slice`; `in_bounds` if the call raises an error where an index is not."""
    here = scope()
    values = [here.use(index) for index in indices]
    return _bounded(here.emit(grad.dynamic_slice, x, values, list(sizes)), in_bounds)


def update_slice(x: Value, update: Value, offsets: Sequence[int], strides: Sequence[int]) -> Value:
    """`grad.update_slice`."""
    if update.shape == x.shape:
        return update
    return scope().emit(grad.update_slice, x, update, list(offsets), list(strides))


def dynamic_update_slice(
    x: Value, update: Value, indices: Sequence[Value], in_bounds: bool = False
) -> Value:
    """`grad.dynamic_update_slice`; `in_bounds` as of `dynamic_slice`."""
    here = scope()
    values = [here.use(index) for index in indices]
    return _bounded(here.emit(grad.dynamic_update_slice, x, update, values), in_bounds)


def _bounded(result: Value, in_bounds: bool) -> Value:
    if in_bounds:
        result.ssa.owner.discardable = {"grad.in_bounds": ir.UNIT}
    return result


def reverse(x: Value, dimensions: Sequence[int]) -> Value:
    """`grad.reverse`."""
    dimensions = sorted(d for d in dimensions if x.shape[d] != 1)
    if not dimensions:
        return x
    return of_shape(scope().emit(grad.reverse, x, dimensions), x.shape)


def pad(
    x: Value,
    low: Sequence[int],
    high: Sequence[int],
    interior: Sequence[int] | None = None,
    value: Value | None = None,
) -> Value:
    """`grad.pad`, by zero if `value` is not given."""
    if value is None:
        value = scope().constant(np.zeros((), x.dtype))
    inner = [0] * x.ndim if interior is None else list(interior)
    return scope().emit(grad.pad, x, value, list(low), list(high), inner)


def concatenate(parts: Sequence[Value], axis: int) -> Value:
    """`grad.concatenate`."""
    if len(parts) == 1:
        return parts[0]
    if any(part.shape.__class__ is Sizes for part in parts):
        return sized.concatenate(parts, axis)
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


def reduce(kind: str, x: Value, axes: Sequence[int]) -> Value:
    """`grad.reduce_<kind>` over non-negative axes."""
    if not axes:
        return x
    result = scope().emit(_REDUCTIONS[kind], x, sorted(axes))
    return of_shape(result, _chosen(x.shape, [i for i in range(x.ndim) if i not in axes]))


def dot_general(
    lhs: Value,
    rhs: Value,
    batch: tuple[Sequence[int], Sequence[int]],
    contract: tuple[Sequence[int], Sequence[int]],
) -> Value:
    """`grad.dot_general`; for bool, whether any product holds."""
    if lhs.dtype == BOOL:
        product = dot_general(convert(lhs, INT64), convert(rhs, INT64), batch, contract)
        return convert(product, BOOL)
    is_sized = lhs.shape.__class__ is Sizes or rhs.shape.__class__ is Sizes
    if is_sized:
        pairs = zip((*batch[0], *contract[0]), (*batch[1], *contract[1]), strict=True)
        for i, j in pairs:
            lhs, rhs = sized.aligned(lhs, i, rhs, j)
    result = scope().emit(
        grad.dot_general,
        lhs,
        rhs,
        list(batch[0]),
        list(batch[1]),
        list(contract[0]),
        list(contract[1]),
    )
    if is_sized:
        left = [i for i in range(lhs.ndim) if i not in batch[0] and i not in contract[0]]
        right = [i for i in range(rhs.ndim) if i not in batch[1] and i not in contract[1]]
        sizes = [lhs.shape[i] for i in (*batch[0], *left)] + [rhs.shape[i] for i in right]
        return of_shape(result, shape_with(sizes))
    return result


def correlate(x: Value, kernel: Value, low: int, high: int) -> Value:
    """`grad.correlate`; for bool, whether any product holds."""
    if x.dtype == BOOL:
        sums = correlate(convert(x, INT64), convert(kernel, INT64), low, high)
        return convert(sums, BOOL)
    return scope().emit(grad.correlate, x, kernel, low, high)


def sparse_dot(
    data: Value,
    indices: np.ndarray[Any, Any],
    pointers: np.ndarray[Any, Any],
    x: Value,
    *,
    columns: int,
    transposed: bool,
) -> Value:
    """`grad.sparse_dot`, of places that are known; for bool, whether any product holds."""
    if x.dtype == BOOL:
        counts = (convert(data, INT64), indices, pointers, convert(x, INT64))
        sums = sparse_dot(*counts, columns=columns, transposed=transposed)
        return convert(sums, BOOL)
    places = scope().constant(indices), scope().constant(pointers)
    return scope().emit(grad.sparse_dot, data, *places, x, columns, transposed)


def convolution(
    x: Value,
    kernel: Value,
    strides: Sequence[int],
    padding: Sequence[tuple[int, int]],
    x_dilation: Sequence[int],
    kernel_dilation: Sequence[int],
) -> Value:
    """`grad.convolution`, with padding (low, high) for each spatial dimension."""
    return scope().emit(
        grad.convolution,
        x,
        kernel,
        list(strides),
        [low for low, _ in padding],
        [high for _, high in padding],
        list(x_dilation),
        list(kernel_dilation),
    )


def gather(x: Value, indices: Value) -> Value:
    """`grad.gather`."""
    result = scope().emit(grad.gather, x, indices)
    if Sizes in (x.shape.__class__, indices.shape.__class__):
        rest = x.shape[int(indices.shape[-1]) :]
        return of_shape(result, shape_with([*indices.shape[:-1], *rest]))
    return result


_scatter_unique = functools.partial(grad.scatter, unique=True)


def scatter(x: Value, indices: Value, updates: Value, unique: bool = False) -> Value:
    """`grad.scatter`; `unique` promises that no positions repeat."""
    return scope().emit(_scatter_unique if unique else grad.scatter, x, indices, updates)


def scatter_add(x: Value, indices: Value, updates: Value) -> Value:
    """`grad.scatter_add`."""
    return scope().emit(grad.scatter_add, x, indices, updates)


def iota(shape: Shape, dimension: int, dtype: DType) -> Value:
    """`grad.iota`."""
    return scope().emit(grad.iota, dimension, list(shape), element_attribute(dtype))


def random_bits(keys: Value, first: Value, bits: int, shape: Shape, dtype: DType) -> Value:
    """`grad.random_bits`."""
    here = scope()
    return here.emit(
        grad.random_bits, keys, here.use(first), bits, list(shape), element_attribute(dtype)
    )


def identity(shape: Shape, dtype: DType) -> Value:
    """`grad.identity`: the standard basis of arrays of this shape."""
    return scope().emit(grad.identity, list(shape), element_attribute(dtype))


def select(condition: Value, on_true: Value, on_false: Value) -> Value:
    """`grad.select` of three operands of one shape, broadcast if necessary."""
    shape = broadcast_shapes(condition.shape, on_true.shape, on_false.shape)
    result = scope().emit(
        grad.select,
        broadcast_to(condition, shape),
        broadcast_to(on_true, shape),
        broadcast_to(on_false, shape),
    )
    return of_shape(result, shape)


def cumsum(x: Value, axis: int) -> Value:
    """`grad.cumsum`."""
    return scope().emit(grad.cumsum, x, axis)


def argreduce(kind: str, x: Value, axis: int) -> Value:
    """`grad.argmax` or `grad.argmin`."""
    return scope().emit(grad.argmax if kind == "argmax" else grad.argmin, x, axis)


def stop_gradient(x: Value) -> Value:
    """`grad.stop_gradient`."""
    return of_shape(scope().emit(grad.stop_gradient, x), x.shape)


def normalize_axis(axis: Any, ndim: int) -> int:
    """A non-negative axis.

    Raises:
        AxisError: out of bounds.
    """
    value = operator.index(axis)
    if not -ndim <= value < ndim:
        raise AxisError(
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
        AxisError: out of bounds.
        ShapeError: repeated.
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
