# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Elements that are put in, left out, chosen, looked for; indices of elements."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from gradopt.array.dispatch import UFUNCS, implements, unsupported
from gradopt.array.handle import as_array, python_number, wrap
from gradopt.array.operands import handle_of, is_traced, listed, promotion_kind, traced
from gradopt.base.dtypes import INT64, result_type
from gradopt.base.location import source_location
from gradopt.errors import DTypeError, ElementError, ShapeError
from gradopt.functions.matrices import take
from gradopt.functions.reductions import all_
from gradopt.functions.shapes import shape_of
from gradopt.ir import prims
from gradopt.ir.checks import require_all
from gradopt.ir.prims import scalar
from gradopt.ir.values import Value


def _along(arr: Any, axis: Any) -> tuple[Value, int]:
    x = traced(arr)
    if axis is None:
        return prims.reshape(x, (x.size,)), 0
    return x, prims.normalize_axis(axis, x.ndim)


def _require_known(name: str, obj: Any) -> None:
    if is_traced(obj):
        raise unsupported(
            f"a traced index in {name}",
            "choose with numpy.where among all elements, by their index",
        )


@implements(np.delete)
def delete(arr: Any, obj: Any, axis: Any = None) -> Value:
    """`numpy.delete` of places that are known."""
    _require_known("numpy.delete", obj)
    x, place = _along(arr, axis)
    return take(x, np.delete(np.arange(x.shape[place]), obj), place)


@implements(np.insert)
def insert(arr: Any, obj: Any, values: Any, axis: Any = None) -> Value:
    """`numpy.insert` at places that are known."""
    _require_known("numpy.insert", obj)
    x, place = _along(arr, axis)
    size = x.shape[place]
    new = prims.convert(traced(values), x.dtype)
    new = prims.reshape(new, (1,) * max(x.ndim - new.ndim, 0) + new.shape)
    indices = np.arange(size)[obj] if isinstance(obj, slice) else np.asarray(obj)
    if indices.ndim == 0 or (indices.size == 1 and new.shape[place] > 1):
        if indices.ndim == 0:
            # Behind the others, the first axis of what is put in is that along which.
            new = traced(np.moveaxis(wrap(new), 0, place))
        count = new.shape[place]
    else:
        count = int(indices.sum()) if indices.dtype == bool else indices.size
    shape = (*x.shape[:place], count, *x.shape[place + 1 :])
    new = prims.broadcast_to(new, shape)
    order = np.insert(np.arange(size), obj, np.arange(size, size + count))
    return take(prims.concatenate([x, new], place), order, place)


@implements(np.resize)
def resize(a: Any, new_shape: Any) -> Value:
    """`numpy.resize`: elements are repeated as often as that takes."""
    x = traced(a)
    shape = shape_of(new_shape)
    if any(size < 0 for size in shape):
        raise ShapeError("all elements of `new_shape` must be non-negative", source_location())
    if not x.size or not math.prod(shape):
        return prims.full(shape, 0, x.dtype)
    return take(prims.reshape(x, (x.size,)), np.resize(np.arange(x.size), shape))


@implements(np.choose)
def choose(a: Any, choices: Sequence[Any], *, mode: str = "raise") -> Any:
    """`numpy.choose`."""
    index = traced(a)
    if index.dtype.kind not in "iub":
        raise DTypeError(
            f"Cannot cast array data from {index.dtype!r} to dtype('int64') according to the rule "
            "'safe'",
            source_location(),
        )
    options = [listed(choice) for choice in choices]
    dtype = result_type(*[promotion_kind(option) for option in options])
    values = [traced(option, dtype) for option in options]
    last = len(values) - 1
    index = _placed("numpy.choose", index, len(values), mode, "invalid entry in choice array")
    shape = prims.broadcast_shapes(index.shape, *[value.shape for value in values])
    index = prims.broadcast_to(index, shape)
    result = prims.broadcast_to(values[-1], shape)
    for number in range(last):
        chosen = prims.equal(index, number)
        result = prims.select(chosen, prims.broadcast_to(values[number], shape), result)
    return as_array(result)


@implements(np.array_equiv)
def array_equiv(a1: Any, a2: Any) -> Any:
    """`numpy.array_equiv`, as a traced Python bool where the shapes agree."""
    x, y = traced(a1), traced(a2)
    try:
        np.broadcast_shapes(x.shape, y.shape)
    except ValueError:
        return False
    return python_number(all_(UFUNCS[np.equal](x, y)))


# -- Indices -----------------------------------------------------------------------------------


def _placed(name: str, index: Value, size: int, mode: str, message: str) -> Value:
    """Indices as `mode` says: checked, or from 0 to `size` - 1 whatever they are."""
    index = prims.convert(index, INT64)
    if mode == "raise":
        _require_inside(index, size, message)
        return index
    if mode == "wrap":
        return traced(np.remainder(wrap(index), size))
    if mode == "clip":
        return traced(np.clip(wrap(index), 0, size - 1))
    raise unsupported(f"mode={mode!r} of {name}", "use raise, wrap or clip")


def _require_inside(index: Value, size: int, message: str) -> None:
    inside = ~(index < scalar(0, INT64)) & ~(index > scalar(size - 1, INT64))
    require_all(inside, message, ElementError)


@implements(np.ravel_multi_index)
def ravel_multi_index(multi_index: Any, dims: Any, mode: Any = "raise", order: str = "C") -> Value:
    """`numpy.ravel_multi_index`."""
    sizes = shape_of(dims)
    modes = (mode,) * len(sizes) if isinstance(mode, str) else tuple(mode)
    if len(multi_index) != len(sizes):
        raise ShapeError(
            f"parameter multi_index must be a sequence of length {len(sizes)}", source_location()
        )
    total: Any = 0
    steps = np.cumprod([1, *(sizes if order == "F" else sizes[::-1])])[:-1].tolist()
    steps = steps if order == "F" else steps[::-1]
    for part, size, step, how in zip(multi_index, sizes, steps, modes, strict=True):
        message = "invalid entry in coordinates array"
        index = _placed("numpy.ravel_multi_index", traced(part), size, how, message)
        total = total + wrap(index) * step
    return traced(total)


@implements(np.unravel_index)
def unravel_index(indices: Any, shape: Any, order: str = "C") -> tuple[Any, ...]:
    """`numpy.unravel_index`."""
    sizes = shape_of(shape)
    index = prims.convert(traced(indices), INT64)
    _require_inside(index, math.prod(sizes), "index is out of bounds for the shape")
    rest: Any = wrap(index)
    found: list[Any] = []
    for size in sizes if order == "F" else sizes[::-1]:
        found.append(rest % size)
        rest = rest // size
    return tuple(found if order == "F" else found[::-1])


def _indices_of(function: Any, name: str) -> None:
    """A function that gives indices, of the shape of an array alone."""

    def call(arr: Any, k: int = 0) -> Any:
        x = handle_of(arr)
        if x.ndim != 2:
            raise ShapeError("input array must be 2-d", source_location())
        return function(x.shape[0], k, x.shape[1])

    call.__doc__ = f"`numpy.{name}`."
    implements(getattr(np, name))(call)


_indices_of(np.tril_indices, "tril_indices_from")
_indices_of(np.triu_indices, "triu_indices_from")


@implements(np.diag_indices_from)
def diag_indices_from(arr: Any) -> Any:
    """`numpy.diag_indices_from`."""
    x = handle_of(arr)
    if x.ndim < 2 or any(size != x.shape[0] for size in x.shape):
        raise ShapeError("All dimensions of input must be of equal length", source_location())
    return np.diag_indices(x.shape[0], x.ndim)


@implements(np.real_if_close)
def real_if_close(a: Any, tol: Any = 100) -> Any:
    """`numpy.real_if_close` of what is real; of complex numbers its dtype would depend on them."""
    x = handle_of(a)
    if x.dtype.kind == "c":
        raise unsupported(
            "numpy.real_if_close of complex numbers", "take numpy.real, or return them as they are"
        )
    return x
