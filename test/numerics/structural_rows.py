# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What a row of a structural op says, and references for ops that NumPy has no function for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from mlir import ir

Array = np.ndarray[Any, Any]
Shape = tuple[int, ...]

FLOATS = ("f8", "f4")
COMPLEX = ("c16", "c8")
REALS = (*FLOATS, "i1", "i4", "i8", "u1", "u4", "u8")
NUMBERS = (*REALS, *COMPLEX)
ALL = (*NUMBERS, "?")


@dataclass(frozen=True)
class Case:
    """One use of an op.

    Attributes:
        build: the function of MLIR values that is compiled.
        reference: the same of NumPy arrays, of any dtype.
        operands: a shape for an array that is sampled, in the dtype under test; or an array, used
            as it is.
        dtypes: what the sampled operands may be, where it is less than the row says.
        smooth: the reference for differences, where it differs.
    """

    build: Callable[..., ir.Value]
    reference: Callable[..., Any]
    operands: Sequence[Shape | Array]
    dtypes: Sequence[str] | None = None
    smooth: Callable[..., Any] | None = None


@dataclass(frozen=True)
class Structural:
    """One structural op.

    Attributes:
        op: its mnemonic.
        cases: its uses.
        dtypes: of the sampled operands.
        order: derivatives checked; 0 where there are none.
        rounding: how many rounding errors a value may have, relative to the same op on absolute
            values; zero for ops that move data.
    """

    op: str
    cases: Sequence[Case]
    dtypes: Sequence[str] = ALL
    order: int = 2
    rounding: float = 0.0


def indices(*values: Any) -> Array:
    return np.array(values, np.int64)


# -- References ------------------------------------------------------------------------------


def slice_reference(
    x: Array, offsets: Sequence[int], sizes: Sequence[int], strides: Sequence[int]
) -> Array:
    for d, (offset, size, stride) in enumerate(zip(offsets, sizes, strides, strict=True)):
        x = np.take(x, offset + stride * np.arange(size), axis=d)
    return x


def clamped(x: Array, sizes: Sequence[int], starts: Sequence[Any]) -> tuple[slice, ...]:
    corner = [
        min(max(int(i), 0), n - size) for i, n, size in zip(starts, x.shape, sizes, strict=True)
    ]
    return tuple(slice(i, i + size) for i, size in zip(corner, sizes, strict=True))


def update(x: Array, value: Array, where: Any) -> Array:
    result = np.array(x)
    result[where] = value
    return result


def pad_reference(
    x: Array, value: Array, low: Sequence[int], high: Sequence[int], gaps: Sequence[int]
) -> Array:
    inner = [n + max(n - 1, 0) * gap for n, gap in zip(x.shape, gaps, strict=True)]
    shape = [lo + n + hi for lo, n, hi in zip(low, inner, high, strict=True)]
    result = np.empty(shape, x.dtype)
    result[...] = value
    where = [slice(lo, lo + n, gap + 1) for lo, n, gap in zip(low, inner, gaps, strict=True)]
    result[tuple(where)] = x
    return result


def rows(x: Array, index: Array) -> tuple[Array, ...]:
    k = index.shape[-1]
    return tuple(np.clip(index[..., d], 0, x.shape[d] - 1) for d in range(k))


def write_reference(x: Array, index: Array, updates: Array) -> Array:
    result = x.copy()
    where = rows(x, index)
    # One after the other: NumPy does not promise an order for repeated positions.
    for i in np.ndindex(index.shape[:-1]):
        result[tuple(np.asarray(w)[i] for w in where)] = updates[i]
    return result


def scatter_reference(x: Array, index: Array, updates: Array) -> Array:
    result = x.copy()
    np.add.at(result, rows(x, index), updates)
    return result


def convolution_reference(
    x: Array,
    w: Array,
    strides: Shape,
    low: Shape,
    high: Shape,
    x_dilation: Shape,
    kernel_dilation: Shape,
) -> Array:
    """Place by place of result and kernel."""
    sizes = x.shape[3:]
    counts: list[int] = []
    for d, size in enumerate(sizes):
        extent = (size - 1) * x_dilation[d] + 1 if size else 0
        window = (w.shape[3 + d] - 1) * kernel_dilation[d] + 1
        room = extent + low[d] + high[d] - window
        counts.append(room // strides[d] + 1 if room >= 0 else 0)
    result = np.zeros((*x.shape[:2], w.shape[1], *counts), x.dtype)
    for p in np.ndindex(*counts):
        for k in np.ndindex(*w.shape[3:]):
            at = [p[d] * strides[d] + k[d] * kernel_dilation[d] - low[d] for d in range(len(sizes))]
            if all(
                i % step == 0 and 0 <= i // step < size
                for i, step, size in zip(at, x_dilation, sizes, strict=True)
            ):
                element = tuple(i // step for i, step in zip(at, x_dilation, strict=True))
                image, kernel = x[(..., *element)], w[(..., *k)]
                result[(..., *p)] += np.einsum("gnc,goc->gno", image, kernel)
    return result


def dot_reference(x: Array, y: Array, batch: Any, contract: Any) -> Array:
    letters = iter("abcdefghijklmnop")
    left: list[str] = [""] * x.ndim
    right: list[str] = [""] * y.ndim
    for i, j in [*zip(*batch, strict=True), *zip(*contract, strict=True)]:
        left[i] = right[j] = next(letters)
    left = [a or next(letters) for a in left]
    right = [a or next(letters) for a in right]
    shared = [left[i] for i in batch[0]]
    free = [a for a in left if a not in right] + [a for a in right if a not in left]
    return np.einsum(f"{''.join(left)},{''.join(right)}->{''.join(shared + free)}", x, y)
