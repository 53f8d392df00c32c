# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Rows of products, convolutions, gathers and scatters."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from structural_rows import (
    NUMBERS,
    REALS,
    Array,
    Case,
    Shape,
    Structural,
    convolution_reference,
    dot_reference,
    indices,
    rows,
    scatter_reference,
    write_reference,
)

from gradopt.dialects import grad


def dot_case(left: Shape, right: Shape, contract: Any, batch: Any = ((), ())) -> Case:
    lists = [list(d) for d in (*batch, *contract)]
    return Case(
        lambda x, y: grad.dot_general(x, y, *lists),
        lambda x, y: dot_reference(x, y, batch, contract),
        [left, right],
    )


def correlate_case(size: int, kernel: int, low: int, high: int) -> Case:
    def reference(x: Array, w: Array) -> Array:
        everything = np.convolve(x, w[::-1])
        return everything[kernel - 1 - low : size + high]

    return Case(lambda x, w: grad.correlate(x, w, low, high), reference, [(size,), (kernel,)])


def in_pairs(sizes: tuple[int, int, int, int]) -> Case:
    """A case of `grad.correlate` of two vectors, each with its kernel."""
    one = correlate_case(*sizes)
    return Case(
        one.build,
        lambda x, w: np.stack([one.reference(*pair) for pair in zip(x, w, strict=True)]),
        [(2, sizes[0]), (2, sizes[1])],
    )


def convolution_case(
    x: Shape,
    kernel: Shape,
    strides: Sequence[int],
    low: Sequence[int],
    high: Sequence[int],
    x_dilation: Sequence[int],
    kernel_dilation: Sequence[int],
) -> Case:
    lists = [list(a) for a in (strides, low, high, x_dilation, kernel_dilation)]
    return Case(
        lambda x, w: grad.convolution(x, w, *lists),
        lambda x, w: convolution_reference(x, w, *(tuple(a) for a in lists)),
        [x, kernel],
    )


def gather_case(shape: Shape, index: Any) -> Case:
    def reference(x: Array, i: Array) -> Array:
        # An empty index in NumPy would be one whole array, whatever the shape of the indices.
        return x[rows(x, i)] if i.shape[-1] else np.broadcast_to(x, i.shape[:-1] + x.shape)

    return Case(grad.gather, reference, [shape, index])


def scatter_case(shape: Shape, index: Any) -> Case:
    updates = (*index.shape[:-1], *shape[index.shape[-1] :])
    return Case(grad.scatter_add, scatter_reference, [shape, index, updates])


def write_case(shape: Shape, index: Any, unique: bool = False) -> Case:
    def scatter(*operands: Any) -> Any:
        return grad.scatter(*operands, unique=unique)

    updates = (*index.shape[:-1], *shape[index.shape[-1] :])
    return Case(scatter, write_reference, [shape, index, updates])


ONE_INDEX = indices([2], [0], [2], [2])
TWO_INDICES = indices([[0, 1], [2, 4]], [[0, 1], [1, 0]])
DIFFERENT_INDICES = indices([2], [0], [4])
CLAMPED = indices([-3], [99], [1])
NO_INDEX = np.zeros((0, 1), np.int64)
SCALAR_INDEX = indices(1)


def in_batches(op: Callable[..., Any], case: Case) -> Case:
    """A case of a gather or scatter for each of two elements of a batch."""

    def build(*values: Any) -> Any:
        return op(*values, batch=1)

    def reference(*arrays: Array) -> Array:
        return np.stack([case.reference(*parts) for parts in zip(*arrays, strict=True)])

    def operand(a: Any) -> Any:
        return (2, *a) if isinstance(a, tuple) else np.stack([a, np.flip(a, 0)])

    return Case(build, reference, [operand(a) for a in case.operands])


PRODUCTS = [
    Structural(
        "dot_general",
        [
            dot_case((5,), (5,), ([0], [0])),
            dot_case((4, 5), (5, 3), ([1], [0])),
            dot_case((5, 4), (5, 3), ([0], [0])),
            dot_case((4, 5), (3, 5), ([1], [1])),
            dot_case((5, 4), (3, 5), ([0], [1])),
            dot_case((4, 5), (5,), ([1], [0])),
            dot_case((5,), (5, 3), ([0], [0])),
            dot_case((4,), (3,), ([], [])),
            dot_case((), (3,), ([], [])),
            dot_case((), (), ([], [])),
            dot_case((2, 4, 5), (2, 5, 3), ([2], [1]), ([0], [0])),
            dot_case((4, 2, 5), (5, 3, 2), ([2], [0]), ([1], [2])),
            dot_case((2, 5), (2, 5), ([1], [1]), ([0], [0])),
            dot_case((3, 4, 5), (5, 4, 2), ([1, 2], [1, 0])),
            dot_case((3, 4, 5), (4, 5, 2), ([1, 2], [0, 1])),
            dot_case((2, 3), (2, 3), ([], []), ([0, 1], [0, 1])),
            dot_case((2, 3, 4, 5), (3, 2, 5, 4), ([3], [2]), ([0, 1], [1, 0])),
            dot_case((0, 5), (5, 3), ([1], [0])),
            dot_case((4, 0), (0, 3), ([1], [0])),
            dot_case((1, 1), (1, 1), ([1], [0])),
            dot_case((1, 5), (5, 1), ([1], [0])),
            dot_case((33, 40), (40, 37), ([1], [0])),
            dot_case((40, 33), (37, 40), ([0], [1])),
            dot_case((64, 100), (100,), ([1], [0])),
            dot_case((3, 20, 30), (3, 30, 25), ([2], [1]), ([0], [0])),
            Case(lambda x: grad.dot_general(x, x, [], [], [1], [0]), lambda x: x @ x, [(4, 4)]),
            Case(lambda x: grad.dot_general(x, x, [], [], [1], [1]), lambda x: x @ x.T, [(4, 6)]),
        ],
        NUMBERS,
        rounding=16,
    ),
    Structural(
        "correlate",
        [
            correlate_case(*sizes)
            for sizes in (
                (5, 3, 0, 0),
                (5, 3, 2, 2),
                (5, 3, 1, 0),
                (5, 4, 0, 3),
                (4, 4, 0, 0),
                (4, 4, 3, 3),
                (4, 4, 1, 0),
                (3, 1, 0, 0),
                (1, 1, 0, 0),
                (45, 5, 4, 2),
                (80, 40, 39, 37),
            )
        ]
        + [
            Case(
                lambda x: grad.correlate(x, x, 1, 2), lambda x: np.convolve(x, x[::-1])[2:6], [(4,)]
            ),
            in_pairs((5, 3, 0, 0)),
            in_pairs((5, 3, 2, 1)),
            in_pairs((45, 3, 1, 2)),
        ],
        NUMBERS,
        rounding=32,
    ),
    Structural(
        "convolution",
        [
            convolution_case(*arguments)
            for arguments in (
                ((1, 2, 3, 5, 6), (1, 4, 3, 3, 2), [1, 1], [0, 0], [0, 0], [1, 1], [1, 1]),
                ((1, 2, 3, 5, 6), (1, 4, 3, 3, 2), [2, 1], [1, 1], [1, 0], [1, 1], [1, 2]),
                ((1, 1, 2, 5, 6), (1, 3, 2, 3, 2), [1, 3], [2, -1], [-2, 1], [2, 3], [2, 1]),
                ((2, 3, 1, 4, 5), (2, 2, 1, 4, 4), [1, 1], [0, 0], [0, 1], [1, 1], [1, 1]),
                ((1, 3, 2, 4), (1, 2, 2, 1), [1], [0], [0], [1], [1]),
                ((1, 3, 2, 7), (1, 2, 2, 1), [2], [0], [0], [1], [3]),
                ((1, 3, 2, 3), (1, 2, 2, 9), [2], [5], [4], [1], [1]),
                (
                    (2, 3, 2, 2, 3, 2),
                    (2, 1, 2, 2, 1, 2),
                    [1] * 3,
                    [0, 1, 0],
                    [0] * 3,
                    *[[1] * 3] * 2,
                ),
                ((2, 3, 4), (2, 5, 4), [], [], [], [], []),
                ((1, 2, 3, 2), (1, 2, 3, 5), [1], [0], [0], [1], [1]),
                ((1, 2, 1, 3), (1, 2, 1, 2), [2], [9], [8], [1], [3]),
                ((1, 2, 1, 3), (1, 1, 1, 2), [1], [-4], [4], [1], [1]),
                ((1, 2, 1, 0), (1, 2, 1, 2), [1], [1], [2], [3], [1]),
                ((1, 0, 2, 4), (1, 3, 2, 2), [1], [0], [0], [1], [1]),
                ((1, 2, 0, 4), (1, 3, 0, 2), [1], [0], [0], [1], [1]),
                ((1, 2, 2, 4), (1, 0, 2, 2), [1], [0], [0], [1], [1]),
                ((0, 2, 2, 4), (0, 3, 2, 2), [1], [0], [0], [1], [1]),
                ((1, 2, 3, 9, 10), (1, 4, 3, 3, 3), [1, 1], [1, 1], [1, 1], [1, 1], [1, 1]),
            )
        ]
        + [
            Case(
                lambda x: grad.convolution(x, x, [1], [1], [1], [1], [1]),
                lambda x: convolution_reference(x, x, (1,), (1,), (1,), (1,), (1,)),
                [(1, 2, 3, 4)],
            )
        ],
        REALS,
        rounding=32,
    ),
    Structural(
        "gather",
        [
            gather_case((5,), ONE_INDEX),
            gather_case((5, 3), ONE_INDEX),
            gather_case((3, 5), TWO_INDICES),
            gather_case((3, 5, 2), TWO_INDICES),
            gather_case((5,), CLAMPED),
            gather_case((5, 2), NO_INDEX),
            gather_case((5, 2), SCALAR_INDEX),
            gather_case((3, 0), ONE_INDEX),
            gather_case((4,), np.zeros((2, 0), np.int64)),
            in_batches(grad.gather, gather_case((5, 3), ONE_INDEX)),
            in_batches(grad.gather, gather_case((3, 5), TWO_INDICES)),
            in_batches(grad.gather, gather_case((5,), NO_INDEX)),
        ],
    ),
    Structural(
        "scatter",
        [
            write_case((5,), ONE_INDEX),
            write_case((5, 3), ONE_INDEX),
            write_case((5, 3), DIFFERENT_INDICES, unique=True),
            write_case((3, 5), TWO_INDICES),
            write_case((3, 5, 2), TWO_INDICES),
            write_case((5,), CLAMPED),
            write_case((5, 2), NO_INDEX),
            write_case((5, 2), SCALAR_INDEX),
            write_case((3, 0), ONE_INDEX),
            write_case((4,), np.zeros((2, 0), np.int64)),
            in_batches(grad.scatter, write_case((5, 3), ONE_INDEX)),
            in_batches(grad.scatter, write_case((3, 5), TWO_INDICES)),
        ],
    ),
    Structural(
        "scatter_add",
        [
            scatter_case((5,), ONE_INDEX),
            scatter_case((5, 3), ONE_INDEX),
            scatter_case((3, 5), TWO_INDICES),
            scatter_case((3, 5, 2), TWO_INDICES),
            scatter_case((5,), CLAMPED),
            scatter_case((5, 2), NO_INDEX),
            scatter_case((5, 2), SCALAR_INDEX),
            scatter_case((3, 0), ONE_INDEX),
            in_batches(grad.scatter_add, scatter_case((5, 3), ONE_INDEX)),
            in_batches(grad.scatter_add, scatter_case((3, 5), TWO_INDICES)),
        ],
        NUMBERS,
        rounding=8,
    ),
]
