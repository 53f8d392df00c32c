# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Bools packed into bytes, and the way back."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from gradopt.array.dispatch import implements
from gradopt.array.handle import wrap
from gradopt.array.operands import traced
from gradopt.base.location import source_location
from gradopt.errors import DTypeError, KeywordError
from gradopt.ir import prims

_UINT8 = np.dtype(np.uint8)


def _places(bitorder: str) -> Any:
    """By how much the bits of a byte are shifted, in the order of the elements.

    Raises:
        KeywordError: there is no such order.
    """
    if bitorder not in ("big", "little"):
        raise KeywordError("'bitorder' must be either 'little' or 'big'", source_location())
    places = np.arange(8, dtype=_UINT8)
    return places[::-1] if bitorder == "big" else places


def _along(a: Any, axis: Any) -> tuple[Any, int]:
    """The array with the axis last, or flat; and which axis that is."""
    h = wrap(traced(a))
    if axis is None:
        return np.ravel(h), 0
    place = prims.normalize_axis(axis, h.ndim)
    return np.moveaxis(h, place, -1), place


@implements(np.packbits)
def packbits(a: Any, /, axis: Any = None, bitorder: str = "big") -> Any:
    """`numpy.packbits`."""
    shifts = _places(bitorder)
    h, place = _along(a, axis)
    if h.dtype.kind not in "biu":
        raise DTypeError(
            "Expected an input array of integer or boolean data type", source_location()
        )
    size = h.shape[-1]
    bits = np.pad((h != 0).astype(_UINT8), [(0, 0)] * (h.ndim - 1) + [(0, -size % 8)])
    bits = bits.reshape(*h.shape[:-1], -(-size // 8), 8)
    return np.moveaxis(np.sum(bits << shifts, axis=-1, dtype=_UINT8), -1, place)


@implements(np.unpackbits)
def unpackbits(a: Any, /, axis: Any = None, count: Any = None, bitorder: str = "big") -> Any:
    """`numpy.unpackbits`."""
    shifts = _places(bitorder)
    h, place = _along(a, axis)
    if h.dtype != _UINT8:
        raise DTypeError("Expected an input array of unsigned byte data type", source_location())
    bits = ((h[..., None] >> shifts) & np.uint8(1)).reshape(*h.shape[:-1], 8 * h.shape[-1])
    if count is not None:
        number = operator.index(count)
        missing = number - bits.shape[-1]
        bits = bits[..., :number]
        if missing > 0:
            bits = np.pad(bits, [(0, 0)] * (bits.ndim - 1) + [(0, missing)])
    return np.moveaxis(bits, -1, place)
