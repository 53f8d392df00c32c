# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""`ufunc.accumulate`, `reduce` and `reduceat`, which are loops for most ufuncs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from gradopt.array.dispatch import (
    ACCUMULATIONS,
    UFUNC_METHODS,
    apply_ufunc,
    implements,
    store,
    unsupported,
)
from gradopt.array.handle import Handle, array_of, wrap
from gradopt.array.operands import is_traced, traced
from gradopt.base.dtypes import sum_dtype, supported
from gradopt.base.location import source_location
from gradopt.errors import DTypeError, ShapeError, TraceIndexError
from gradopt.ir import prims, sized
from gradopt.ir.extents import Sizes
from gradopt.ir.values import Value
from gradopt.transforms.loops import fori_loop, scan


def _name(ufunc: np.ufunc, method: str) -> str:
    return f"numpy.{ufunc.__name__}.{method}"


def _operand(ufunc: np.ufunc, a: Any, dtype: Any) -> Value:
    """What a method works on: in the dtype that its results have."""
    x = traced(a)
    if dtype is not None:
        return prims.convert(x, supported(dtype))
    if ufunc in (np.add, np.multiply):
        return prims.convert(x, sum_dtype(x.dtype))
    return x


def _first_axis(x: Value, axis: int) -> Any:
    return np.moveaxis(array_of(x), axis, 0)


def _applied(ufunc: np.ufunc, method: str, left: Any, right: Any, like: Any) -> Any:
    """The ufunc's result, which must be of the operands' dtype."""
    result = apply_ufunc(ufunc, (left, right))
    if result.dtype != like.dtype:
        advice = f"convert the array to {result.dtype.name} first"
        raise unsupported(f"{_name(ufunc, method)} of {like.dtype.name}", advice)
    return result


def _accumulate(ufunc: np.ufunc, array: Any, axis: int = 0, dtype: Any = None) -> Any:
    """`ufunc.accumulate`, by a loop along the axis."""
    x = _operand(ufunc, array, dtype)
    if not x.ndim:
        raise TypeError("cannot accumulate on a scalar")
    place = prims.normalize_axis(axis, x.ndim)
    if x.shape.__class__ is Sizes:
        return _accumulate_sized(ufunc, x, place)
    rows: Any = _first_axis(x, place)
    if len(rows) < 2:
        return wrap(x)

    def step(total: Any, row: Any) -> tuple[Any, Any]:
        total = _applied(ufunc, "accumulate", total, row, x)
        return total, total

    _, others = scan(step, rows[0], rows[1:])
    return np.moveaxis(np.concatenate([rows[:1], others]), 0, axis)


def _accumulate_sized(ufunc: np.ufunc, x: Value, axis: int) -> Any:
    """`ufunc.accumulate` of an array whose size is known at run time only."""
    order = [axis, *[i for i in range(x.ndim) if i != axis]]
    front = prims.transpose(x, order)
    # What is behind the sizes is harmless, and stays behind them.
    rows: Any = array_of(sized.padded(front))
    count: Any = sized.number(front.shape[0])

    def step(i: Any, carried: Any) -> Any:
        total, sums = carried
        total = _applied(ufunc, "accumulate", total, rows[i], x)
        sums[i] = total
        return total, sums

    if len(rows) == 0:
        return wrap(x)
    number = count if isinstance(count, int) else array_of(count)
    first = np.zeros_like(rows)
    first[0] = rows[0]
    _, sums = fori_loop(1, number, step, (rows[0].copy(), first))
    result = sized.resized(sums._read(), front.shape)
    return wrap(prims.transpose(result, np.argsort(order).tolist()))


def _reduce(
    ufunc: np.ufunc,
    array: Any,
    axis: Any = 0,
    dtype: Any = None,
    keepdims: bool = False,
    initial: Any = np._NoValue,
) -> Any:
    """`ufunc.reduce`, by a loop along the axes."""
    x = _operand(ufunc, array, dtype)
    axes = sorted(prims.normalize_axes(axis, x.ndim))
    kept = [i for i in range(x.ndim) if i not in axes]
    shape = tuple([x.shape[i] for i in kept])
    rows: Any = array_of(
        prims.reshape(prims.transpose(x, [*axes, *kept]), (_count(x, axes), *shape))
    )
    if len(rows) == 0 and initial is np._NoValue and ufunc.identity is not None:
        initial = ufunc.identity
    if len(rows) == 0 and initial is np._NoValue:
        raise ShapeError(
            f"zero-size array to reduction operation {ufunc.__name__} which has no identity",
            source_location(),
        )
    has_first = initial is np._NoValue
    total: Any = rows[0] if has_first else np.full(shape, initial, x.dtype)
    rest = rows[1:] if has_first else rows

    def step(total: Any, row: Any) -> tuple[Any, None]:
        return _applied(ufunc, "reduce", total, row, x), None

    if len(rest):
        total, _ = scan(step, total, rest)
    if keepdims:
        total = np.reshape(total, tuple([1 if i in axes else n for i, n in enumerate(x.shape)]))
    return total


def _count(x: Value, axes: Sequence[int]) -> int:
    count = 1
    for axis in axes:
        count *= x.shape[axis]
    return count


def _reduceat(ufunc: np.ufunc, array: Any, indices: Any, axis: int = 0, dtype: Any = None) -> Any:
    """`ufunc.reduceat`: reductions of parts whose bounds are known while tracing."""
    known = indices._known() if isinstance(indices, Handle) else None
    indices = indices if known is None else known
    if is_traced(indices):
        raise unsupported(f"{_name(ufunc, 'reduceat')} with traced indices", "use a loop")
    x = _operand(ufunc, array, dtype)
    if isinstance(indices, np.ndarray) and not np.can_cast(indices.dtype, np.int64):
        raise DTypeError(
            f"Cannot cast array data from {indices.dtype!r} to dtype('int64') according to the "
            "rule 'safe'",
            source_location(),
        )
    places = np.asarray(indices).astype(np.int64)
    along = prims.normalize_axis(axis, x.ndim)
    if not places.size:
        return np.zeros((*x.shape[:along], 0, *x.shape[along + 1 :]), x.dtype)
    rows: Any = _first_axis(x, along)
    for place in places:
        if not 0 <= place < len(rows):
            raise TraceIndexError(
                f"index {place} out-of-bounds in {ufunc.__name__}.reduceat [0, {len(rows)})",
                source_location(),
            )
    ends = [*places[1:], len(rows)]
    parts = [
        ufunc.reduce(rows[start:end], axis=0) if start < end else rows[start]
        for start, end in zip(places, ends, strict=True)
    ]
    return np.moveaxis(np.stack(parts), 0, along)


def _with_out(method: Callable[..., Any]) -> Callable[..., Any]:
    """The method, which writes its result into `out` if that is given."""

    def call(ufunc: np.ufunc, *args: Any, out: Any = None, **kwargs: Any) -> Any:
        target = out[0] if isinstance(out, tuple) else out
        known = {name for name, value in kwargs.items() if value is not np._NoValue}
        for name in known - {"axis", "dtype", "keepdims", "initial"}:
            if kwargs[name] is not True:
                raise unsupported(f"keyword {name}= of numpy.{ufunc.__name__}.reduce")
        result = method(ufunc, *args, **{name: kwargs[name] for name in known - {"where"}})
        if target is None:
            return result
        if not isinstance(target, Handle):
            raise unsupported(f"out= of a method of numpy.{ufunc.__name__} that is concrete")
        store(target, traced(result), f"numpy.{ufunc.__name__}")
        return target

    return call


UFUNC_METHODS["accumulate"] = _with_out(_accumulate)
UFUNC_METHODS["reduce"] = _with_out(_reduce)
UFUNC_METHODS["reduceat"] = _with_out(_reduceat)


@implements(np.cumprod)
def cumprod(a: Any, axis: Any = None, dtype: Any = None) -> Any:
    """`numpy.cumprod`."""
    x = traced(a)
    if axis is None:
        x, axis = prims.reshape(x, (x.size,)), 0
    return _accumulate(np.multiply, wrap(x), axis, dtype)


ACCUMULATIONS[np.multiply] = np.cumprod
