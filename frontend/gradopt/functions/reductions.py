# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Sums, means, extremes and other reductions."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from gradopt.array.dispatch import (
    ACCUMULATIONS,
    REDUCTIONS,
    UFUNC_METHODS,
    UFUNCS,
    implements,
)
from gradopt.array.handle import wrap
from gradopt.array.operands import traced
from gradopt.base.dtypes import (
    BOOL,
    FLOAT64,
    INT64,
    DType,
    float_limits,
    is_inexact,
    kind_of,
    mean_dtype,
    part_dtype,
    result_type,
    sum_dtype,
    supported,
    wide_dtype,
)
from gradopt.base.location import source_location
from gradopt.errors import ShapeError, UnsupportedError, ZeroDivisorError
from gradopt.functions.ufuncs import require_order, require_subtraction, to_bool
from gradopt.ir import prims, sized
from gradopt.ir.checks import require_within
from gradopt.ir.extents import Sizes, bounds_of, is_extent, shape_with
from gradopt.ir.outcomes import require
from gradopt.ir.prims import scalar
from gradopt.ir.values import Shape, Value, emit
from gradopt.recording import grad


def _axes(axis: Any, x: Value) -> tuple[int, ...]:
    """What is reduced; NumPy lets a single number be reduced along an axis."""
    if not x.ndim and not prims.is_sequence(axis) and axis in (0, -1):
        return ()
    return prims.normalize_axes(axis, x.ndim)


def _reduce(kind: str, x: Value, axis: Any, keepdims: Any) -> Value:
    axes = _axes(axis, x)
    result = prims.reduce(kind, x, axes)
    return _keep(result, x, axes) if _flag(keepdims) else result


def _flag(keepdims: Any) -> bool:
    return keepdims is not np._NoValue and bool(keepdims)


def _keep(result: Value, x: Value, axes: tuple[int, ...]) -> Value:
    shape = shape_with([1 if i in axes else size for i, size in enumerate(x.shape)])
    return prims.reshape(result, shape)


def _masked(x: Value, where: Any, neutral: float) -> Value:
    """Elements not selected by the `where` keyword replaced by the neutral element."""
    if where is None or where is True or where is np._NoValue:
        return x
    mask = prims.broadcast_to(to_bool(where), x.shape)
    return prims.select(mask, x, scalar(neutral, x.dtype))


def _given(value: Any) -> bool:
    return value is not None and value is not np._NoValue


def _with_initial(ufunc: np.ufunc, result: Value, initial: Any) -> Value:
    """Combines a scalar start value, which is converted to the dtype of the reduction."""
    if not _given(initial):
        return result
    start = traced(initial, result.dtype)
    if start.ndim:
        raise ShapeError("initial= must be a scalar", source_location())
    return UFUNCS[ufunc](result, start)


@implements(np.sum)
def sum_(
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    *,
    keepdims: Any = False,
    initial: Any = None,
    where: Any = None,
) -> Value:
    """`numpy.sum`."""
    x = traced(a)
    x = prims.convert(x, supported(dtype) if dtype is not None else sum_dtype(x.dtype))
    kind = "any" if x.dtype == BOOL else "sum"
    result = _reduce(kind, _masked(x, where, 0), axis, keepdims)
    return _with_initial(np.add, result, initial)


@implements(np.prod)
def prod(
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    *,
    keepdims: Any = False,
    initial: Any = None,
    where: Any = None,
) -> Value:
    """`numpy.prod`."""
    x = traced(a)
    x = prims.convert(x, supported(dtype) if dtype is not None else sum_dtype(x.dtype))
    kind = "all" if x.dtype == BOOL else "prod"
    result = _reduce(kind, _masked(x, where, 1), axis, keepdims)
    return _with_initial(np.multiply, result, initial)


def _count(x: Value, axes: tuple[int, ...]) -> Any:
    """How many elements there are along axes; an int64 if that is known at run time only."""
    sizes = [x.shape[i] for i in axes]
    return sized.product(sizes) if x.shape.__class__ is Sizes else math.prod(sizes)


def _float_dtype(name: str, x: Value, dtype: Any) -> DType:
    """What a mean or a variance is computed in."""
    target = supported(dtype) if dtype is not None else mean_dtype(x.dtype)
    if x.dtype.kind == "c" and target.kind != "c":
        raise UnsupportedError(
            f"numpy.{name} of complex numbers with dtype {target} is not supported; take "
            "numpy.real of them",
            source_location(),
        )
    if name == "var" and not is_inexact(target):
        raise UnsupportedError(
            f"numpy.{name} with dtype {target} is not supported; convert the result with astype",
            source_location(),
        )
    return target


def _divide_by_count(total: Value, count: Any) -> Value:
    """The quotient by a number or a traced int64, computed in float64 as NumPy's, rounded once.

    Where the dtype of the total holds the count, division in that dtype gives the same.
    """
    dtype = total.dtype
    if not isinstance(count, Value):
        if complex(dtype.type(count)) == complex(count):
            return total / scalar(count, dtype)
        count = scalar(count, FLOAT64)
    if dtype.kind == "c":
        return total / prims.convert(count, dtype)
    quotient = prims.convert(total, FLOAT64) / prims.convert(count, FLOAT64)
    return prims.convert(quotient, dtype)


def _mean_of(total: Value, count: Any) -> Value:
    """The total divided by the count; of no elements NaN, which depends on nothing."""
    if not isinstance(count, Value):
        return _divide_by_count(total, count) if count else _nan_like(total)
    none = prims.equal(count, 0)
    safe = prims.select(none, scalar(1, count.dtype), count)
    exact = count.dtype == total.dtype
    quotient = total / safe if exact else _divide_by_count(total, safe)
    return prims.select(none, _nan_like(total), quotient)


def _nan_like(x: Value) -> Value:
    return prims.full(x.shape, math.nan, x.dtype)


@implements(np.mean)
def mean(
    a: Any, axis: Any = None, dtype: Any = None, *, keepdims: Any = False, where: Any = None
) -> Value:
    """`numpy.mean`."""
    total, count = mean_parts(a, axis, dtype, keepdims=keepdims, where=where)
    target = _float_dtype("mean", traced(a), dtype)
    if is_inexact(target):
        return prims.convert(_mean_of(total, count), target)
    return quotient_in(target, total, count)


def quotient_in(dtype: DType, total: Value, count: Any) -> Value:
    """A total divided by a count in float64, in a dtype that is not inexact."""
    quotient = prims.convert(total, FLOAT64) / prims.convert(traced(count), FLOAT64)
    return prims.convert(quotient, dtype)


def mean_parts(
    a: Any, axis: Any = None, dtype: Any = None, *, keepdims: Any = False, where: Any = None
) -> tuple[Value, Any]:
    """The sum that a mean is made of, in the dtype that it is computed in, and the count."""
    x = traced(a)
    target = _float_dtype("mean", x, dtype)
    target = wide_dtype(target) if is_inexact(target) else target
    total = sum_(x, axis, target, keepdims=keepdims, where=where)
    if _given(where) and where is not True:
        chosen = prims.broadcast_to(to_bool(where), x.shape)
        # In float32, which is faster, if it holds every count.
        most = prims.size_of(bounds_of(x.shape))
        exact = kind_of(target) == "f" and most <= 2 ** (float_limits(target).nmant + 1)
        counted = prims.convert(chosen, target if exact else INT64)
        return total, _reduce("sum", counted, axis, keepdims)
    return total, _count(x, _axes(axis, x))


@implements(np.var)
def var(
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    *,
    ddof: Any = 0,
    keepdims: Any = False,
    mean: Any = None,
    correction: Any = None,
) -> Value:
    """`numpy.var`, two passes as NumPy's."""
    options = {"ddof": ddof, "keepdims": keepdims, "mean": mean, "correction": correction}
    squares, degrees = var_parts(a, axis, dtype, **options)
    target = part_dtype(_float_dtype("var", traced(a), dtype))
    return prims.convert(_divide_by_count(squares, degrees), target)


def var_parts(
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    *,
    ddof: Any = 0,
    keepdims: Any = False,
    mean: Any = None,
    correction: Any = None,
) -> tuple[Value, Any]:
    """The sum of squares that a variance is made of, and by what it is divided."""
    x = traced(a)
    x = prims.convert(x, wide_dtype(_float_dtype("var", x, dtype)))
    axes = prims.normalize_axes(axis, x.ndim)
    count = _count(x, axes)
    if not _given(mean):
        mean = _divide_by_count(_reduce("sum", x, axes, True), count)
    if _given(correction):
        ddof = correction
    squares = _reduce("sum", square_of_size(x - traced(mean, x.dtype)), axes, keepdims)
    degrees: Any = count - ddof
    if isinstance(degrees, Value):
        return squares, emit(grad.maximum, degrees, scalar(0, degrees.dtype))
    return squares, max(degrees, 0)


def square_of_size(x: Value) -> Value:
    """The square of the absolute value, without a root."""
    if x.dtype.kind != "c":
        return emit(grad.square, x)
    return emit(grad.square, prims.real(x)) + emit(grad.square, prims.imag(x))


def root_of_sum(total: Value, order: Any = 2) -> Value:
    """A norm from its sum of powers; of all zeros, where it has a corner, the derivative is 0."""
    zero = scalar(0, total.dtype)
    null = emit(grad.equal, total, prims.broadcast_to(zero, total.shape))
    safe = prims.select(null, scalar(1, total.dtype), total)
    root = emit(grad.sqrt, safe) if order == 2 else UFUNCS[np.power](safe, 1.0 / order)
    return prims.select(null, zero, root)


def deviation(variance: Callable[..., Value], name: str) -> Callable[..., Value]:
    """The function of this name in NumPy, the root of a variance."""

    def call(
        a: Any,
        axis: Any = None,
        dtype: Any = None,
        *,
        ddof: Any = 0,
        keepdims: Any = False,
        mean: Any = None,
        correction: Any = None,
    ) -> Value:
        return root_of_sum(
            variance(a, axis, dtype, ddof=ddof, keepdims=keepdims, mean=mean, correction=correction)
        )

    call.__doc__ = f"`numpy.{name}`."
    return call


implements(np.std)(deviation(var, "std"))


def _lowest(dtype: DType) -> Any:
    if kind_of(dtype) == "f":
        return -math.inf
    return False if dtype == BOOL else np.iinfo(dtype).min


def _highest(dtype: DType) -> Any:
    if kind_of(dtype) == "f":
        return math.inf
    return True if dtype == BOOL else np.iinfo(dtype).max


def _extreme(kind: str, a: Any, axis: Any, keepdims: Any, initial: Any, where: Any) -> Value:
    x = traced(a)
    require_order(f"numpy.{kind}", x)
    axes = _axes(axis, x)
    if _given(where) and where is not True:
        if not _given(initial):
            raise ShapeError(f"numpy.{kind} with where= needs initial=", source_location())
        x = _masked(x, where, _lowest(x.dtype) if kind == "max" else _highest(x.dtype))
    count = _count(x, axes)
    is_empty = not isinstance(count, Value) and count == 0
    if isinstance(count, Value) and not _given(initial):
        message = f"zero-size array to reduction operation {kind}imum which has no identity"
        require(count > 0, count, message, ShapeError)
    if is_empty and not _given(initial):
        raise ShapeError(
            f"zero-size array to reduction operation {kind}imum which has no identity",
            source_location(),
        )
    if is_empty:
        # Nothing but the initial value: in front of it, an element that changes nothing.
        x = prims.full(
            tuple([1 if i in axes else n for i, n in enumerate(x.shape)]),
            _lowest(x.dtype) if kind == "max" else _highest(x.dtype),
            x.dtype,
        )
    op = {"max": "any", "min": "all"}[kind] if x.dtype == BOOL else kind
    result = _reduce(op, x, axes, keepdims)
    return _with_initial(np.maximum if kind == "max" else np.minimum, result, initial)


@implements(np.max, np.amax)
def max_(
    a: Any, axis: Any = None, *, keepdims: Any = False, initial: Any = None, where: Any = None
) -> Value:
    """`numpy.max`; equal maxima share the derivative."""
    return _extreme("max", a, axis, keepdims, initial, where)


@implements(np.min, np.amin)
def min_(
    a: Any, axis: Any = None, *, keepdims: Any = False, initial: Any = None, where: Any = None
) -> Value:
    """`numpy.min`; equal minima share the derivative."""
    return _extreme("min", a, axis, keepdims, initial, where)


@implements(np.ptp)
def ptp(a: Any, axis: Any = None, *, keepdims: Any = False) -> Value:
    """`numpy.ptp`."""
    require_subtraction(traced(a))
    return max_(a, axis, keepdims=keepdims) - min_(a, axis, keepdims=keepdims)


def _arg(kind: str, a: Any, axis: Any, keepdims: Any) -> Value:
    x = traced(a)
    require_order(f"numpy.{kind}", x)
    if x.dtype == BOOL:
        x = prims.convert(x, np.dtype(np.int8))
    shape = x.shape
    if axis is None:
        x = prims.reshape(x, (x.size,))
    dimension = 0 if axis is None else prims.normalize_axis(axis, x.ndim)
    if x.shape.__class__ is Sizes:
        result = _arg_of_sized(kind, x, dimension)
    elif not x.shape[dimension]:
        raise ShapeError(f"attempt to get {kind} of an empty sequence", source_location())
    else:
        result = prims.argreduce(kind, x, dimension)
    if _flag(keepdims):
        return prims.reshape(
            result,
            (1,) * len(shape)
            if axis is None
            else shape_with([1 if i == dimension else n for i, n in enumerate(shape)]),
        )
    return result


def _arg_of_sized(kind: str, x: Value, axis: int) -> Value:
    """The first place of the extreme, or of a NaN, along one dimension."""
    size: Any = x.shape[axis]
    if is_extent(size):
        message = f"attempt to get {kind} of an empty sequence"
        require(size.value > 0, size.value, message, ShapeError)
        numbers = sized.iota(size, INT64)
    else:
        numbers = prims.iota((size,), 0, INT64)
    best = prims.stop_gradient(prims.reduce(kind.removeprefix("arg"), x, [axis]))
    found = prims.equal(x, prims.broadcast_to(_keep(best, x, (axis,)), x.shape))
    if kind_of(x.dtype) == "f":
        found = found | emit(grad.isnan, x)
    shape = shape_with([n if i == axis else 1 for i, n in enumerate(x.shape)])
    numbers = prims.broadcast_to(prims.reshape(numbers, shape), x.shape)
    most = bounds_of(x.shape)[axis]
    places = prims.select(found, numbers, prims.scalar(most, INT64))
    return prims.reduce("min", places, [axis])


@implements(np.argmax)
def argmax(a: Any, axis: Any = None, *, keepdims: Any = False) -> Value:
    """`numpy.argmax`."""
    return _arg("argmax", a, axis, keepdims)


@implements(np.argmin)
def argmin(a: Any, axis: Any = None, *, keepdims: Any = False) -> Value:
    """`numpy.argmin`."""
    return _arg("argmin", a, axis, keepdims)


@implements(np.any)
def any_(a: Any, axis: Any = None, *, keepdims: Any = False, where: Any = None) -> Value:
    """`numpy.any`."""
    return _reduce("any", _masked(to_bool(a), where, False), axis, keepdims)


@implements(np.all)
def all_(a: Any, axis: Any = None, *, keepdims: Any = False, where: Any = None) -> Value:
    """`numpy.all`."""
    return _reduce("all", _masked(to_bool(a), where, True), axis, keepdims)


@implements(np.count_nonzero)
def count_nonzero(a: Any, axis: Any = None, *, keepdims: Any = False) -> Value:
    """`numpy.count_nonzero`."""
    return sum_(to_bool(a), axis, keepdims=keepdims)


@implements(np.cumsum)
def cumsum(a: Any, axis: Any = None, dtype: Any = None) -> Value:
    """`numpy.cumsum`."""
    x = traced(a)
    x = prims.convert(x, supported(dtype) if dtype is not None else sum_dtype(x.dtype))
    if axis is None:
        x = prims.reshape(x, (x.size,))
    if x.shape.__class__ is Sizes:
        return traced(UFUNC_METHODS["accumulate"](np.add, wrap(x), axis or 0))
    dimension = 0 if axis is None else prims.normalize_axis(axis, x.ndim)
    if x.dtype == BOOL:  # Whether there has been any.
        return prims.not_equal(prims.cumsum(prims.convert(x, INT64), dimension), 0)
    return prims.cumsum(x, dimension)


@implements(np.average)
def average(
    a: Any, axis: Any = None, weights: Any = None, returned: bool = False, *, keepdims: Any = False
) -> Any:
    """`numpy.average`; weights of the array's shape, or of its axes."""
    x = traced(a)
    axes = prims.normalize_axes(axis, x.ndim)
    if weights is None:
        result = mean(x, axis, keepdims=keepdims)
        total = prims.full(result.shape, _count(x, axes), result.dtype)
        return (result, total) if returned else result
    w = traced(weights)
    if w.shape != x.shape:
        w = weights_along(w, x.shape, None if axis is None else axes)
    dtype = result_type(mean_dtype(x.dtype), w.dtype)
    w = prims.convert(w, dtype)
    total = sum_(w, axis, keepdims=keepdims)
    _require_weights(total, _count(x, axes))
    result = sum_(prims.convert(x, dtype) * w, axis, keepdims=keepdims) / total
    return (result, total) if returned else result


def weights_along(weights: Value, shape: Shape, axes: tuple[int, ...] | None) -> Value:
    """Weights of some axes, in their order, for an array of a shape."""
    if axes is None:
        raise ShapeError(
            "Axis must be specified when shapes of a and weights differ.", source_location()
        )
    if weights.shape != tuple([shape[i] for i in axes]):
        raise ShapeError(
            "Shape of weights must be consistent with shape of a along specified axis.",
            source_location(),
        )
    ordered = prims.transpose(weights, np.argsort(axes).tolist())
    sizes = tuple([size if i in axes else 1 for i, size in enumerate(shape)])
    return prims.broadcast_to(prims.reshape(ordered, sizes), shape)


def _require_weights(total: Value, count: int) -> None:
    """Checks that no sum of `count` weights is zero.

    Raises:
        ZeroDivisorError: a sum is, now if there are no weights, else in the compiled function.
    """
    message = "Weights sum to zero, can't be normalized"
    if not total.size:
        return
    if not count:
        raise ZeroDivisorError(message, source_location())
    zeros = prims.convert(prims.equal(total, 0), INT64)
    require_within(zeros, 0, 0, message, ZeroDivisorError)


@implements(np.nansum)
def nansum(a: Any, axis: Any = None, dtype: Any = None, *, keepdims: Any = False) -> Value:
    """`numpy.nansum`."""
    x = traced(a)
    finite = prims.select(UFUNCS[np.isnan](x), scalar(0, x.dtype), x)
    return sum_(finite, axis, dtype, keepdims=keepdims)


@implements(np.nanmean)
def nanmean(a: Any, axis: Any = None, *, keepdims: Any = False) -> Value:
    """`numpy.nanmean`."""
    x = traced(a)
    return mean(x, axis, keepdims=keepdims, where=~UFUNCS[np.isnan](x))


REDUCTIONS.update(
    {
        np.add: np.sum,
        np.multiply: np.prod,
        np.maximum: np.max,
        np.minimum: np.min,
        np.logical_and: np.all,
        np.logical_or: np.any,
    }
)
ACCUMULATIONS[np.add] = np.cumsum
