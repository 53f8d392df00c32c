# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Functions that write into their first argument."""

from __future__ import annotations

from typing import Any

import numpy as np

from gradopt.array.dispatch import (
    call_function,
    call_ufunc,
    cannot_cast,
    implements,
    require_output,
    unsupported,
)
from gradopt.array.handle import Handle, array_of
from gradopt.array.indexing import fit, getitem, setitem
from gradopt.array.operands import array_kind, is_traced, listed, traced
from gradopt.array.views import Diagonal, Reshape
from gradopt.base.dtypes import require_cast
from gradopt.base.location import source_location
from gradopt.errors import ShapeError
from gradopt.functions.matrices import along_axis
from gradopt.functions.ufuncs import to_bool
from gradopt.ir import prims


def _flat(x: Handle) -> Handle:
    """The elements in row-major order, to be written to."""
    return x._view(Reshape(x.shape, (x.size,), (1,)))


def _writable(x: Any, name: str) -> Handle:
    require_output(x, name)
    return x


@implements(np.copyto)
def copyto(dst: Any, src: Any, casting: str = "same_kind", where: Any = True) -> None:
    """`numpy.copyto`."""
    x = _writable(dst, "numpy.copyto")
    source = listed(src)
    kind = array_kind(source)
    if not np.can_cast(kind, x.dtype, casting):  # pyright: ignore[reportArgumentType]
        what = "scalar" if np.ndim(source) == 0 else "array data"
        raise cannot_cast(what, kind, x.dtype, casting)
    new = fit(source, x._extents, x.dtype)
    if where is not True:
        new = prims.select(prims.broadcast_to(to_bool(where), x._extents), new, x._read())
    x._write(new)


@implements(np.put)
def put(a: Any, ind: Any, v: Any, mode: str = "raise") -> None:
    """`numpy.put`: values are repeated where there are more indices."""
    x = _writable(a, "numpy.put")
    indices = listed(ind)
    if mode == "clip":
        indices = call_function(np.clip, (traced_array(indices), 0, x.size - 1), {})
    elif mode == "wrap":
        indices = call_ufunc(np.remainder, "__call__", (traced_array(indices), x.size), {})
    elif mode != "raise":
        raise unsupported(f"mode={mode!r} of numpy.put", "use raise, wrap or clip")
    count = np.size(indices) if not isinstance(indices, Handle) else indices.size
    values = traced(v, x.dtype)
    if not count or not values.size:
        return
    values = prims.reshape(values, (values.size,))
    if not isinstance(indices, Handle):
        indices = np.ravel(indices)
    else:
        indices = array_of(prims.reshape(indices._read(), (count,)))
    setitem(_flat(x), indices, array_of(_repeated(values, count)))


def traced_array(value: Any) -> Any:
    """An array, concrete or traced."""
    return value if isinstance(value, Handle) else np.asarray(value)


def _repeated(values: Any, count: int) -> Any:
    """The first `count` elements of a vector repeated."""
    size = values.shape[0]
    if size < count:
        times = -(-count // size)
        values = prims.reshape(prims.broadcast_to(values, (times, size)), (times * size,))
    return prims.take_range(values, 0, 0, count)


def _require_safe(values: Any, x: Handle) -> None:
    """Numbers and lists are converted to any dtype, arrays to one that holds all of theirs."""
    is_array = isinstance(values, Handle) and not values._is_scalar
    if is_array or isinstance(values, np.ndarray):
        require_cast(values.dtype, x.dtype, "safe")


@implements(np.putmask)
def putmask(a: Any, /, mask: Any, values: Any) -> None:
    """`numpy.putmask`: values are repeated to the size of the array."""
    x = _writable(a, "numpy.putmask")
    chosen = to_bool(mask)
    if chosen.size != x.size:
        raise ShapeError("putmask: mask and data must be the same size", source_location())
    _require_safe(values, x)
    new = traced(values, x.dtype)
    if not new.size:
        return
    if new.shape != x.shape:
        new = prims.reshape(_repeated(prims.reshape(new, (new.size,)), x.size), x.shape)
    x._write(prims.select(prims.reshape(chosen, x.shape), new, x._read()))


@implements(np.place)
def place(arr: Any, mask: Any, vals: Any) -> None:
    """`numpy.place`: the first values where a concrete mask holds; one for a traced mask."""
    x = _writable(arr, "numpy.place")
    _require_safe(vals, x)
    values = traced(vals, x.dtype)
    if is_traced(mask) and (not isinstance(mask, Handle) or mask._known() is None):
        if values.size != 1:
            raise unsupported("numpy.place of several values with a traced mask", "use numpy.where")
        putmask(x, mask, vals)
        return
    chosen: np.ndarray[Any, Any] = np.asarray(mask)
    places = np.flatnonzero(chosen)
    if chosen.size != x.size:
        raise ShapeError("place: mask and data must be the same size", source_location())
    if places.size and not values.size:
        raise ShapeError("Cannot insert from an empty array!", source_location())
    put(x, places, vals)


@implements(np.fill_diagonal)
def fill_diagonal(a: Any, val: Any, wrap: bool = False) -> None:
    """`numpy.fill_diagonal`: values are repeated along the diagonal."""
    x = _writable(a, "numpy.fill_diagonal")
    if x.ndim < 2:
        raise ShapeError("array must be at least 2-d", source_location())
    if x.ndim > 2 and len(set(x.shape)) > 1:
        raise ShapeError("All dimensions of input must be of equal length", source_location())
    if x.ndim == 2 and not wrap:
        diagonal = x._view(Diagonal(x.shape, 0))
    else:
        step = x.shape[1] + 1 if x.ndim == 2 else 1 + int(np.cumprod(x.shape[:-1]).sum())
        diagonal = getitem(_flat(x), slice(None, None, step))
    values = traced(val, x.dtype)
    if values.size and diagonal.size:
        values = prims.reshape(values, (values.size,))
        diagonal._write(_repeated(values, diagonal.size))


@implements(np.put_along_axis)
def put_along_axis(arr: Any, indices: Any, values: Any, axis: Any) -> None:
    """`numpy.put_along_axis`."""
    x = _writable(arr, "numpy.put_along_axis")
    if axis is None:
        x, axis = _flat(x), 0
    setitem(x, along_axis(indices, x.shape, prims.normalize_axis(axis, x.ndim)), values)
