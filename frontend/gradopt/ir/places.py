# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Arrays of elements at places that are computed of a size known at run time only."""

from __future__ import annotations

from gradopt.base.dtypes import INT64
from gradopt.errors import ShapeError
from gradopt.ir import prims
from gradopt.ir.affine import plus
from gradopt.ir.current import scope
from gradopt.ir.extents import is_extent, shape_with
from gradopt.ir.outcomes import require
from gradopt.ir.sized import extent_of, iota, number, padded, picked, places_along, reshape, word
from gradopt.ir.values import Value, emit, of_shape, scalar
from gradopt.recording import grad


def _integer(value: int) -> Value:
    return scalar(value, INT64)


def rolled(x: Value, axis: int, amount: int | Value) -> Value:
    """`numpy.roll` along an axis of unknown size."""
    size = x.shape[axis]
    shift = _integer(amount) if isinstance(amount, int) else amount
    places = iota(size, INT64) - shift  # pyright: ignore[reportArgumentType]
    count = emit(grad.maximum, word(size), _integer(1))
    return picked(x, axis, emit(grad.remainder, places, count))


def extended(x: Value, axis: int, low: int, high: int, mode: str) -> Value:
    """`numpy.pad` with elements of the array, along an axis of unknown size.

    Args:
        x: the array.
        axis: the axis.
        low: how many elements more there are in front.
        high: how many more behind.
        mode: edge, reflect, symmetric or wrap.
    """
    size = x.shape[axis]
    count = word(size)
    message = f"numpy.pad cannot extend the empty axis {axis} with mode={mode!r}"
    require(count > 0, count, message, ShapeError)
    total = extent_of(plus(number(size), low + high), size.bound + low + high)  # pyright: ignore
    places = iota(total, INT64) - _integer(low)
    one = _integer(1)
    # Where there is no element, which is an error, places are as if there were one.
    some = emit(grad.maximum, count, one)
    last = some - one
    if mode == "wrap":
        found = emit(grad.remainder, places, some)
    elif mode == "edge":
        found = emit(grad.minimum, emit(grad.maximum, places, _integer(0)), last)
    elif mode == "symmetric":
        turned = emit(grad.remainder, places, some + some)
        found = emit(grad.minimum, turned, some + last - turned)
    else:
        period = emit(grad.maximum, last + last, one)
        turned = emit(grad.remainder, places, period)
        found = emit(grad.minimum, turned, period - turned)
    return picked(x, axis, found)


def diagonal(x: Value, offset: int) -> Value:
    """The diagonal of the last two dimensions, at least one of unknown size, behind the others."""
    rows, columns = x.shape[-2:]
    first, second = max(-offset, 0), max(offset, 0)
    left, right = (
        emit(grad.subtract, word(size), _integer(start))
        for size, start in ((rows, first), (columns, second))
    )
    count = emit(grad.maximum, emit(grad.minimum, left, right), _integer(0))
    most = min(getattr(size, "bound", size) for size in (rows, columns))
    size = extent_of(count, max(most, 0))
    place = places_along(size)
    order = [x.ndim - 2, x.ndim - 1, *range(x.ndim - 2)]
    front = of_shape(
        scope().emit(grad.transpose, x, order), shape_with([x.shape[i] for i in order])
    )
    if not is_extent(size):
        front = padded(front)  # As all is that has a known size.
    indices = [reshape(place + _integer(start), shape_with([size, 1])) for start in (first, second)]
    part = scope().emit(grad.gather, front, prims.concatenate(indices, 1))
    part = of_shape(part, shape_with([size, *x.shape[:-2]]))
    if part.ndim == 1:
        return part
    back = [*range(1, part.ndim), 0]
    return of_shape(
        scope().emit(grad.transpose, part, back), shape_with([part.shape[i] for i in back])
    )
