# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Rows of Fourier transforms, with references in any precision, which NumPy's are not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from harness import constant
from mlir import ir
from structural_rows import COMPLEX, FLOATS, Array, Case, Shape, Structural

from gradopt.dialects import grad

DIRECTIONS = ((True, "none"), (False, "size"), (True, "root"))

# -- References ------------------------------------------------------------------------------


def transform(x: Array, dims: Sequence[int], forward: bool, norm: str) -> Array:
    """The sums that define it."""
    count = 1
    x = x.astype(np.clongdouble)
    for d in dims:
        n = x.shape[d]
        angles = np.outer(np.arange(n), np.arange(n)) % n * (8 * np.arctan(np.longdouble(1)) / n)
        matrix = np.cos(angles) + (-1j if forward else 1j) * np.sin(angles)
        x = np.moveaxis(np.tensordot(matrix, x, (1, d)), 0, d)
        count *= n
    return x / {"none": 1, "size": count, "root": np.sqrt(np.longdouble(count))}[norm]


def complex_like(x: Array) -> Any:
    return np.result_type(x.dtype, np.complex64)


def fft(x: Array, dims: Sequence[int], forward: bool, norm: str) -> Array:
    return transform(x, dims, forward, norm).astype(complex_like(x))


def rfft(x: Array, dims: Sequence[int], forward: bool, norm: str) -> Array:
    half = range(x.shape[dims[-1]] // 2 + 1)
    return fft(x, dims, forward, norm).take(half, dims[-1])


def irfft(x: Array, dims: Sequence[int], size: int, forward: bool, norm: str) -> Array:
    """Of the half alone, and of what it stands for, of which the real part is taken."""
    *others, last = dims
    y = np.moveaxis(transform(x, others, forward, "none"), last, -1)
    whole = np.zeros((*y.shape[:-1], size), y.dtype)
    whole[..., : y.shape[-1]] = y
    whole[..., 0] = y[..., 0].real
    for k in range(1, size):
        if 2 * k == size:
            whole[..., k] = y[..., k].real
        elif 2 * k > size:
            whole[..., k] = y[..., size - k].conj()
    count = np.prod([x.shape[d] for d in others], dtype=int) * size
    result = np.moveaxis(transform(whole, [whole.ndim - 1], forward, "none"), -1, last).real
    factor = {"none": 1, "size": count, "root": np.sqrt(np.longdouble(count))}[norm]
    return (result / factor).astype(complex_like(x).type(0).real.dtype)


# -- Rows ------------------------------------------------------------------------------------


def fft_case(shape: Shape, dims: Sequence[int], forward: bool, norm: str) -> Case:
    return Case(
        lambda x: grad.fft(x, dims, forward, norm), lambda x: fft(x, dims, forward, norm), [shape]
    )


def rfft_case(shape: Shape, dims: Sequence[int], forward: bool, norm: str) -> Case:
    return Case(
        lambda x: grad.rfft(x, dims, forward, norm), lambda x: rfft(x, dims, forward, norm), [shape]
    )


def irfft_case(shape: Shape, dims: Sequence[int], size: int, forward: bool, norm: str) -> Case:
    return Case(
        lambda x: grad.irfft(x, dims, size, forward, norm),
        lambda x: irfft(x, dims, size, forward, norm),
        [shape],
    )


def fft_into(x: ir.Value) -> ir.Value:
    kind = ir.RankedTensorType(x.type)
    real = ir.ComplexType(kind.element_type).element_type
    # More than it asks for.
    work = ir.RankedTensorType.get([200], real)
    dtype = "f4" if real == ir.F32Type.get() else "f8"
    outs = [grad.stop_gradient(x), constant(np.zeros(work.shape, dtype))]
    return grad.FourierIntoOp([kind, work], "fft", [0], True, "none", [x], outs).results[0]


SHAPES: list[tuple[Shape, list[int]]] = [
    *[((n,), [0]) for n in (1, 2, 3, 4, 6, 17)],
    *[((5, 3), [0]), ((3, 8), [1]), ((2, 3, 4), [2, 1]), ((3, 2, 5), [0, 2]), ((0, 4), [1])],
]
HALVES: list[tuple[Shape, list[int]]] = [
    *[((n,), [0]) for n in (1, 2, 3, 4, 9)],
    *[((3, 2), [0]), ((2, 3), [1]), ((2, 3, 2), [1, 2]), ((3, 2, 2), [2, 0]), ((0, 4), [1])],
]

FOURIER = [
    Structural(
        "fft",
        [fft_case(*use, *way) for use in SHAPES for way in DIRECTIONS]
        + [fft_case((3,), [], True, "root")],
        COMPLEX,
        rounding=40000,
    ),
    Structural(
        "rfft",
        [rfft_case(*use, *way) for use in SHAPES for way in DIRECTIONS],
        FLOATS,
        rounding=40000,
    ),
    Structural(
        "irfft",
        [
            irfft_case(shape, dims, size, *way)
            for shape, dims in HALVES
            for size in (2 * shape[dims[-1]] - 2, 2 * shape[dims[-1]] - 1)
            for way in DIRECTIONS
            if size > 0
        ],
        COMPLEX,
        rounding=40000,
    ),
    Structural(
        "fourier_into",
        [Case(fft_into, lambda x: fft(x, [0], True, "none"), [(4,)])],
        COMPLEX,
        order=0,
        rounding=40000,
    ),
]
