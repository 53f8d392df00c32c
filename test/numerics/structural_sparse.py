# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Rows of products with sparse matrices."""

from __future__ import annotations

from typing import Any

import numpy as np
from mlir import ir
from structural_rows import NUMBERS, Array, Case, Structural

from gradopt.dialects import grad

# A matrix of 4 rows and 5 columns: a long row, an empty one, two elements at one place.
INDICES = np.array([0, 1, 2, 3, 4, 1, 3, 2, 2, 0], np.int32)
LENGTHS = np.array([7, 0, 2, 1], np.int64)
ROWS, COLUMNS, COUNT = 4, 5, 10


def constant(numbers: Array) -> ir.Value:
    return grad.constant(ir.DenseElementsAttr.get(numbers))


def pointers(lengths: ir.Value) -> ir.Value:
    """Where rows of these lengths begin, and the last one ends."""
    ends = [constant(np.zeros(1, np.int64))]
    for i in range(ir.RankedTensorType(lengths.type).shape[0]):
        ends.append(grad.add(ends[-1], grad.slice(lengths, [i], [1], [1])))
    return grad.concatenate(ends, 0)


def dot_reference(data: Array, indices: Array, lengths: Array, x: Array, turned: bool) -> Array:
    rows = np.repeat(np.arange(ROWS), lengths)
    to, of = (indices, rows) if turned else (rows, indices)
    result = np.zeros((COLUMNS if turned else ROWS, *x.shape[1:]), x.dtype)
    np.add.at(result, to, data.reshape(-1, *[1] * (x.ndim - 1)) * x[of])
    return result


def dot_cases(turned: bool, tail: tuple[int, ...]) -> list[Case]:
    """Of places that are constants, and of such that are known at run time."""

    def dot(data: Any, indices: Any, lengths: Any, x: Any) -> ir.Value:
        return grad.sparse_dot(data, indices, pointers(lengths), x, COLUMNS, turned)

    x = (ROWS if turned else COLUMNS, *tail)
    return [
        Case(
            lambda data, x: dot(data, constant(INDICES), constant(LENGTHS), x),
            lambda data, x: dot_reference(data, INDICES, LENGTHS, x, turned),
            [(COUNT,), x],
        ),
        Case(
            dot,
            lambda *operands: dot_reference(*operands, turned=turned),
            [(COUNT,), INDICES.astype(np.int64), LENGTHS, x],
        ),
    ]


def sampled_reference(lhs: Array, rhs: Array, indices: Array, lengths: Array) -> Array:
    products = lhs[np.repeat(np.arange(ROWS), lengths)] * rhs[indices]
    return products.reshape(COUNT, -1).sum(1, dtype=lhs.dtype)


def sampled_cases(tail: tuple[int, ...]) -> list[Case]:
    def dot(lhs: Any, rhs: Any, indices: Any, lengths: Any) -> ir.Value:
        return grad.sampled_dot(lhs, rhs, indices, pointers(lengths))

    operands = [(ROWS, *tail), (COLUMNS, *tail)]
    return [
        Case(
            lambda lhs, rhs: dot(lhs, rhs, constant(INDICES), constant(LENGTHS)),
            lambda lhs, rhs: sampled_reference(lhs, rhs, INDICES, LENGTHS),
            operands,
        ),
        Case(dot, sampled_reference, [*operands, INDICES, LENGTHS]),
    ]


def without_elements() -> list[Case]:
    def dot(data: Any, indices: Any, lengths: Any, x: Any) -> ir.Value:
        return grad.sparse_dot(data, indices, pointers(lengths), x, 2, False)

    return [
        Case(
            dot,
            lambda _, __, ___, x: np.zeros(3, x.dtype),
            [(0,), np.zeros(0, np.int32), np.zeros(3, np.int64), (2,)],
        )
    ]


SPARSE = [
    Structural(
        "sparse_dot",
        [
            *(
                case
                for transposed in (False, True)
                for tail in ((), (2,), (11,))
                for case in dot_cases(transposed, tail)
            ),
            *without_elements(),
        ],
        NUMBERS,
        rounding=8,
    ),
    Structural("sampled_dot", [*sampled_cases(()), *sampled_cases((3,))], NUMBERS, rounding=8),
]
