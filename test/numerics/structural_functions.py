# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Rows of the ops that call functions or ask for their derivatives."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from harness import constant, define, unique
from mlir import ir
from structural_rows import (
    FLOATS,
    REALS,
    Case,
    Structural,
)

from gradopt.dialects import grad
from gradopt.ir.types import shape_and_dtype


def cube(kind: ir.Type) -> str:
    """The name of a function that a caller may be differentiated through."""
    name = unique("cube")
    define(name, [kind], lambda a: grad.multiply(a, grad.square(a)))
    return name


def call_twice(x: ir.Value) -> ir.Value:
    f = cube(x.type)
    return grad.call([x.type], f, [grad.call([x.type], f, [x])])


def behind(x: ir.Value, y: ir.Value) -> ir.Value:
    """x, which waits for y."""
    return grad.BarrierOp([x.type], [x], [y]).results[0]


def pullback_of_cube(x: ir.Value, c: ir.Value) -> ir.Value:
    return grad.vjp([x.type, x.type], cube(x.type), [x], [c], [0], [0])[1]


def pushforward_of_cube(x: ir.Value, t: ir.Value) -> ir.Value:
    return grad.jvp([x.type, x.type], cube(x.type), [x], [t], [0], [0])[1]


def foreign_square(batching: str) -> Callable[[ir.Value], ir.Value]:
    """A call of the target that squares."""
    return lambda x: grad.CustomCallOp([x.type], "square", 0, batching, [x]).results[0]


def foreign_square_into(x: ir.Value) -> ir.Value:
    zeros = constant(np.zeros(*shape_and_dtype(str(x.type))))
    return grad.CustomCallIntoOp([x.type], "square", 0, [x], [zeros]).results[0]


def custom_cube(x: ir.Value) -> ir.Value:
    """The cube, with a residual in reverse mode."""
    f, fwd, bwd, rule = (unique(name) for name in ("cube", "cube_fwd", "cube_bwd", "cube_jvp"))
    kind = x.type
    define(f, [kind], lambda a: grad.multiply(a, grad.square(a)))

    def slope(a: ir.Value) -> ir.Value:
        square = grad.square(a)
        return grad.add(square, grad.add(square, square))

    define(fwd, [kind], lambda a: [grad.multiply(a, grad.square(a)), slope(a)])
    define(bwd, [kind, kind], grad.multiply)
    define(
        rule,
        [kind, kind],
        lambda a, t: [grad.multiply(a, grad.square(a)), grad.multiply(t, slope(a))],
    )
    return grad.custom([kind], f, [x], [], fwd=fwd, bwd=bwd, jvp=rule)


def products_with(axis: int, w_axis: int) -> Callable[..., ir.Value]:
    """Sums of products of the slices of two matrices; those of the second all, for -1."""

    def build(x: ir.Value, w: ir.Value) -> ir.Value:
        name = unique("product")
        size = ir.RankedTensorType(x.type).shape[axis]
        length = ir.RankedTensorType(x.type).shape[1 - axis]
        kind = ir.RankedTensorType.get([length], x.type.element_type)
        (result,) = define(name, [kind] * 2, lambda a, c: grad.dot_general(a, c, [], [], [0], [0]))
        many = ir.RankedTensorType.get([size], result.element_type)
        return grad.VmapOp([many], name, [x, w], [axis, w_axis], [0], size).results[0]

    return build


def transpose_of_scaling(c: ir.Value, x: ir.Value) -> ir.Value:
    op = grad.TransposedOp([c.type], [c])
    body = op.body.blocks.append(c.type)
    with ir.InsertionPoint(body):
        grad.yield_([grad.multiply(body.arguments[0], x)])
    return op.results[0]


def transpose_of_kept_scaling(c: ir.Value, x: ir.Value) -> ir.Value:
    key = ir.Attribute.parse("distinct[0]<>")
    grad.KeepOp(x, key)
    op = grad.TransposedOp([c.type], [c])
    body = op.body.blocks.append(c.type)
    with ir.InsertionPoint(body):
        grad.yield_([grad.multiply(body.arguments[0], grad.KeptOp(x.type, key).value)])
    return op.results[0]


FUNCTIONS = [
    Structural(
        "stop_gradient",
        [
            Case(grad.stop_gradient, lambda x: x, [shape], smooth=lambda x: 0 * x)
            for shape in ((3,), (), (0, 2))
        ],
    ),
    Structural(
        "barrier",
        [Case(behind, lambda x, y: x, [shape] * 2) for shape in ((3,), (), (0, 2))],
    ),
    Structural("call", [Case(call_twice, lambda x: x**9, [(4,)], FLOATS)], FLOATS, rounding=40),
    Structural("custom", [Case(custom_cube, lambda x: x**3, [(4,)], FLOATS)], FLOATS, rounding=8),
    Structural(
        "custom_call",
        [
            Case(foreign_square(batching), lambda x: x * x, [shape])
            for batching in ("sequential", "expand_dims", "broadcast_all")
            for shape in ((3, 2), (), (0, 2))
        ],
        # NumPy rounds products of complex numbers in arrays and alone differently.
        (*REALS, "?"),
        order=0,
    ),
    Structural(
        "custom_call_into",
        [Case(foreign_square_into, lambda x: x * x, [shape]) for shape in ((3, 2), ())],
        (*REALS, "?"),
        order=0,
    ),
    Structural(
        "vjp",
        [Case(pullback_of_cube, lambda x, c: 3 * x * x * c, [(4,), (4,)])],
        FLOATS,
        rounding=40,
    ),
    Structural(
        "jvp",
        [Case(pushforward_of_cube, lambda x, t: 3 * x * x * t, [(4,), (4,)])],
        FLOATS,
        rounding=40,
    ),
    Structural(
        "vmap",
        [
            Case(products_with(0, 1), lambda x, w: np.einsum("ij,ji->i", x, w), [(3, 4), (4, 3)]),
            Case(products_with(1, -1), lambda x, w: w @ x, [(4, 3), (4,)]),
        ],
        FLOATS,
        rounding=40,
    ),
    Structural(
        "transposed",
        [Case(transpose_of_scaling, lambda c, x: c * x, [(4,), (4,)])],
        FLOATS,
        order=0,
        rounding=4,
    ),
    Structural(
        "yield",
        [Case(transpose_of_scaling, lambda c, x: c * x, [(2, 2), (2, 2)])],
        FLOATS,
        order=0,
        rounding=4,
    ),
    *[
        Structural(
            name,
            [Case(transpose_of_kept_scaling, lambda c, x: c * x, [(2, 2), (2, 2)])],
            FLOATS,
            order=0,
            rounding=4,
        )
        for name in ("keep", "kept")
    ],
]
