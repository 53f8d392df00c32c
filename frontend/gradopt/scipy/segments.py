# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Segments of signals that overlap, and the signals that are sums of such.

Where each segment begins a whole number of steps before the end of the one before, they are
shifted copies of the signal; else elements are looked up.
"""

from __future__ import annotations

import numpy as np

from gradopt.ir import prims
from gradopt.ir.values import Value

# More shifts than these take longer than to look elements up.
_MOST_SHIFTS = 8


def _shifts(size: int, step: int) -> int:
    """How many shifted copies make the segments, or 0 if they do not."""
    count = size // step
    return count if size % step == 0 and count <= _MOST_SHIFTS else 0


def _places(count: int, size: int, step: int) -> Value:
    places = step * np.arange(count)[:, None] + np.arange(size)
    return prims.as_value(places[..., None])


def segments(x: Value, size: int, step: int) -> Value:
    """Pieces of `size` elements of the last axis, each `step` behind the one before.

    Args:
        x: has at least `size` elements along the last axis.
        size: of a segment.
        step: positive, and not above the size.

    Returns:
        A value of shape (..., segments, size).
    """
    *front, length = x.shape
    count = (length - size) // step + 1
    shifts = _shifts(size, step)
    if not shifts:
        order = [x.ndim - 1, *range(x.ndim - 1)]
        found = prims.gather(prims.transpose(x, order), _places(count, size, step))
        return prims.transpose(found, [*range(2, found.ndim), 0, 1])
    whole = prims.take_range(x, x.ndim - 1, 0, (count + shifts - 1) * step)
    blocks = prims.reshape(whole, (*front, count + shifts - 1, step))
    parts = [prims.take_range(blocks, x.ndim - 1, j, j + count) for j in range(shifts)]
    return prims.concatenate(parts, x.ndim)


def overlapped(parts: Value, step: int) -> Value:
    """The sum of segments, each `step` behind the one before: the transpose of `segments`.

    Args:
        parts: a value of shape (..., segments, size).
        step: positive, and not above the size.

    Returns:
        A value of shape (..., length), just long enough for all of them.
    """
    *front, count, size = parts.shape
    length = (count - 1) * step + size
    shifts = _shifts(size, step)
    if not shifts:
        order = [parts.ndim - 2, parts.ndim - 1, *range(parts.ndim - 2)]
        zeros = prims.full((length, *front), 0, parts.dtype)
        places = _places(count, size, step)
        total = prims.scatter_add(zeros, places, prims.transpose(parts, order))
        return prims.transpose(total, [*range(1, total.ndim), 0])
    total: Value | None = None
    for j in range(shifts):
        part = prims.take_range(parts, parts.ndim - 1, j * step, (j + 1) * step)
        part = prims.reshape(part, (*front, count * step))
        low, high = [0] * part.ndim, [0] * part.ndim
        low[-1], high[-1] = j * step, length - (count + j) * step
        part = prims.pad(part, low, high)
        total = part if total is None else total + part
    assert total is not None
    return total
