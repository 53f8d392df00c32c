# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Rows of the ops of order."""

from __future__ import annotations

import numpy as np
from harness import constant
from mlir import ir
from structural_rows import ALL, COMPLEX, FLOATS, Array, Case, Shape, Structural

from gradopt.dialects import grad

# What has no derivative.
EXACT = tuple(kind for kind in ALL if kind not in (*FLOATS, *COMPLEX))
SIGNED = tuple(kind for kind in ALL if kind[0] != "u")
SHAPES: list[Shape] = [(7,), (1,), (0,), (3, 5), (2, 1), (2, 3, 4), (2, 0), (0, 3)]


def stable_order(x: Array) -> Array:
    return np.argsort(x, axis=-1, kind="stable")


def stable_sort(x: Array) -> Array:
    return np.take_along_axis(x, stable_order(x), -1)


def tripled(x: ir.Value) -> ir.Value:
    """Each number three times, side by side."""
    shape = list(ir.RankedTensorType(x.type).shape)
    wide = grad.broadcast(x, [*shape, 3], list(range(len(shape))))
    return grad.reshape(wide, [*shape[:-1], 3 * shape[-1]])


def dtype_of(x: ir.Value) -> ir.Attribute:
    return ir.TypeAttr.get(ir.RankedTensorType(x.type).element_type)


def into(x: ir.Value) -> ir.Value:
    """`grad.sort_into` as the lowering writes it."""
    work = constant(np.zeros(4 * ir.RankedTensorType(x.type).shape[-1], "i8"))
    outs = [grad.stop_gradient(x), work]
    return grad.SortIntoOp([x.type, work.type], [x], outs, has_values=True).results[0]


SORTING = [
    Structural(
        "sort",
        [
            *[
                case
                for shape in SHAPES
                for case in (
                    Case(lambda x: grad.SortOp(x).values, stable_sort, [shape]),
                    Case(lambda x: grad.SortOp(x).indices, stable_order, [shape], EXACT),
                )
            ],
            # Long rows, of many equal numbers.
            Case(lambda x: grad.SortOp(x).values, stable_sort, [(3, 600)], EXACT),
            Case(
                lambda x: grad.SortOp(tripled(x)).indices,
                lambda x: stable_order(np.repeat(x, 3, -1)),
                [(2, 5)],
                EXACT,
            ),
            Case(
                lambda x: grad.square(grad.SortOp(grad.square(x)).values),
                lambda x: np.square(stable_sort(np.square(x))),
                [(2, 5)],
                FLOATS,
            ),
            # Both results, of which one is differentiated.
            Case(
                lambda x: grad.multiply(
                    grad.SortOp(x).values, grad.convert(grad.SortOp(x).indices, dtype_of(x))
                ),
                lambda x: stable_sort(x) * stable_order(x).astype(x.dtype),
                [(2, 5)],
                FLOATS,
            ),
        ],
        ALL,
    ),
    Structural("sort_into", [Case(into, stable_sort, [(2, 5)])], SIGNED, order=0),
]
