# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The rows of the ops that are not elementwise: a list of cases for each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from harness import constant, define, scalar_type, unique
from mlir import ir
from structural_rows import (
    ALL,
    FLOATS,
    NUMBERS,
    Array,
    Case,
    Shape,
    Structural,
    clamped,
    convolution_reference,
    dot_reference,
    indices,
    pad_reference,
    rows,
    scatter_reference,
    slice_reference,
    update,
    write_reference,
)
from threefry import KNOWN_ANSWERS, reference_bits

from gradopt.dialects import grad

# -- Cases -----------------------------------------------------------------------------------


def moving(
    op: Callable[..., Any], reference: Callable[..., Any], shape: Shape, *options: Any
) -> Case:
    """A case of an op of one operand, with the same options for the op and its reference."""
    return Case(lambda x: op(x, *options), lambda x: reference(x, *options), [shape])


def broadcast_case(shape: Shape, target: Sequence[int], dimensions: Sequence[int]) -> Case:
    def reference(x: Array) -> Array:
        view = x.reshape(
            [
                x.shape[list(dimensions).index(d)] if d in dimensions else 1
                for d in range(len(target))
            ]
        )
        return np.broadcast_to(view, target)

    return Case(lambda x: grad.broadcast(x, list(target), list(dimensions)), reference, [shape])


def dynamic_slice_case(shape: Shape, starts: Sequence[int], sizes: Sequence[int]) -> Case:
    return Case(
        lambda x, *i: grad.dynamic_slice(x, i, list(sizes)),
        lambda x, *i: x[clamped(x, sizes, i)],
        [shape, *(np.array(i) for i in starts)],
    )


def update_case(
    op: Callable[..., Any],
    shape: Shape,
    part: Shape,
    offsets: Sequence[int],
    strides: Sequence[int],
) -> Case:
    where = tuple(
        slice(o, o + (n - 1) * s + 1 if n else o, s)
        for o, n, s in zip(offsets, part, strides, strict=True)
    )
    return Case(
        lambda x, u: op(x, u, list(offsets), list(strides)),
        lambda x, u: update(x, x[where] + u if op is grad.add_slice else u, where),
        [shape, part],
    )


def dynamic_update_case(
    op: Callable[..., Any], shape: Shape, part: Shape, starts: Sequence[int]
) -> Case:
    def reference(x: Array, u: Array, *i: Array) -> Array:
        where = clamped(x, u.shape, i)
        return update(x, x[where] + u if op is grad.dynamic_add_slice else u, where)

    return Case(
        lambda x, u, *i: op(x, u, i),
        reference,
        [shape, part, *(np.array(i) for i in starts)],
    )


def pad_case(shape: Shape, low: Sequence[int], high: Sequence[int], gaps: Sequence[int]) -> Case:
    return Case(
        lambda x, v: grad.pad(x, v, list(low), list(high), list(gaps)),
        lambda x, v: pad_reference(x, v, low, high, gaps),
        [shape, ()],
    )


def join_case(dimension: int, *shapes: Shape) -> Case:
    return Case(
        lambda *x: grad.concatenate(x, dimension), lambda *x: np.concatenate(x, dimension), shapes
    )


def reduce_cases(
    op: Callable[..., Any], reference: Callable[..., Any], empty: bool = True, long: int = 67
) -> list[Case]:
    """Reductions over all, inner, outer and no dimensions; of nothing, where that has a value."""
    choices: list[tuple[Shape, list[int]]] = [
        ((7,), [0]),
        ((3, 5), [0]),
        ((3, 5), [1]),
        ((3, 5), [0, 1]),
        ((2, 3, 4), [0, 2]),
        ((2, 3, 4), [1]),
        ((3, 5), []),
        ((), []),
        ((1, 1), [0]),
        ((4, 1), [1]),
        ((0, 3), [1]),
        ((long,), [0]),
        ((5, long // 2), [1]),
    ]
    if empty:
        choices += [((0,), [0]), ((0, 3), [0]), ((2, 0), [0, 1])]
    return [
        Case(lambda x, d=d: op(x, d), lambda x, d=d: reference(x, axis=tuple(d)), [shape])
        for shape, d in choices
    ]


def same_dtype(function: Callable[..., Any]) -> Callable[..., Any]:
    """NumPy's reduction without its promotion of small integers."""
    return lambda x, **options: function(x, dtype=x.dtype, **options)


def arg_cases(op: Callable[..., Any], reference: Callable[..., Any]) -> list[Case]:
    fixed = [
        np.array([1.0, 3.0, 3.0, -2.0, -2.0]),
        np.array([1.0, np.nan, 9.0, np.nan]),
        np.array([0.0, -0.0, 0.0]),
        np.array([-np.inf, -np.inf]),
        np.array([np.inf, 1.0, -np.inf]),
        np.array([True, False, True]).astype(np.int8),
    ]
    free: list[tuple[Shape, int]] = [
        ((7,), 0),
        ((3, 5), 0),
        ((3, 5), 1),
        ((2, 3, 4), 1),
        ((1,), 0),
        ((4, 1), 1),
        ((0, 3), 1),
    ]
    return [
        Case(lambda x, d=d: op(x, d), lambda x, d=d: reference(x, d), [shape]) for shape, d in free
    ] + [Case(lambda x: op(x, 0), lambda x: reference(x, 0), [x]) for x in fixed]


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


def convert_cases() -> list[Case]:
    """Every pair of element types on special values, and derivatives of floats."""
    values = {
        "f": np.array([0.0, -0.0, 1.5, -1.5, 2.5, -2.5, 100.99, -100.99, 1e-40, 3.0]),
        "i": np.array([-128, -127, -1, 0, 1, 2, 126, 127]),
        "b": np.array([False, True]),
    }
    wild = [np.nan, np.inf, -np.inf, 1e300, -1e300, 3.4028235677973366e38, 5e-324, 1e-42]
    wild += [1 + 2**-24, 300.7, -300.7, 40000.5, 3e9, -3e9, 1e19, -1e19, 0.9, -0.9]
    # Around the ends of each integer type.
    wild += [
        s * np.nextafter(2.0**n, 2.0**m)
        for n in (7, 15, 31, 63)
        for m in (0, n, 99)
        for s in (1, -1)
    ]
    wild += [s * (2.0**n + d) for n in (7, 15, 31) for d in (-1, -0.5, 0.5, 1) for s in (1, -1)]
    wide = np.array([-(2**63), 2**63 - 1, 2**53 + 1, 2**40 + 3, -129, 300, 70000])
    cases = []
    for a in ALL:
        for b in (*ALL, "i2"):
            inputs = [values[np.dtype(a).kind].astype(a)]
            if a in FLOATS:
                with np.errstate(over="ignore"):
                    inputs.append(np.array(wild).astype(a))
            if a == "i8":
                inputs.append(wide)
            for x in inputs:
                cases.append(
                    Case(
                        lambda x, b=b: grad.convert(x, scalar_type(b)),
                        lambda x, b=b: x.astype(b),
                        [x],
                    )
                )
    for b in FLOATS:
        cases.append(
            Case(
                lambda x, b=b: grad.convert(x, scalar_type(b)),
                lambda x, b=b: x.astype(b),
                [(4,)],
                FLOATS,
                smooth=lambda x: x,
            )
        )
    return cases


def iota_case(shape: Shape, dimension: int, dtype: str) -> Case:
    def reference() -> Array:
        return np.indices(shape)[dimension].astype(dtype)

    return Case(lambda: grad.iota(dimension, list(shape), scalar_type(dtype)), reference, [])


def random_bits_case(keys: Any, first: Any, bits: int, shape: Shape, dtype: Any = np.int64) -> Case:
    keys = np.array(keys, np.uint32).view(np.int32)
    first = np.array(first, np.int64)

    def reference(keys: Array, first: Array) -> Array:
        result = np.empty((*first.shape, *shape), dtype)
        for place in np.ndindex(first.shape):
            result[place] = reference_bits(keys[place], first[place], bits, shape, dtype)
        return result

    def build(keys: ir.Value, first: ir.Value) -> ir.Value:
        return grad.random_bits(keys, first, bits, list(shape), scalar_type(dtype))

    return Case(build, reference, [keys, first])


def known_answer_case(counter: tuple[int, int], key: tuple[int, int], words: Any) -> Case:
    first = np.array(counter[0] << 32 | counter[1], np.uint64).view(np.int64)
    word = np.array([words[0] << 32 | words[1]], np.uint64).view(np.int64)
    made = random_bits_case(key, first, 64, (1,))
    return Case(made.build, lambda k, f: word, made.operands)


def identity_case(shape: Shape, dtype: str) -> Case:
    def reference() -> Array:
        return np.eye(int(np.prod(shape)), dtype=dtype).reshape(shape + shape)

    return Case(lambda: grad.identity(list(shape), scalar_type(dtype)), reference, [])


def constant_case(array: Any) -> Case:
    return Case(lambda: constant(np.asarray(array)), lambda: np.asarray(array), [])


def cube(kind: ir.Type) -> str:
    """The name of a function that a caller may be differentiated through."""
    name = unique("cube")
    define(name, [kind], lambda a: grad.multiply(a, grad.square(a)))
    return name


def call_twice(x: ir.Value) -> ir.Value:
    f = cube(x.type)
    return grad.call([x.type], f, [grad.call([x.type], f, [x])])


def pullback_of_cube(x: ir.Value, c: ir.Value) -> ir.Value:
    return grad.vjp([x.type, x.type], cube(x.type), [x], [c], [0], [0])[1]


def pushforward_of_cube(x: ir.Value, t: ir.Value) -> ir.Value:
    return grad.jvp([x.type, x.type], cube(x.type), [x], [t], [0], [0])[1]


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


SOURCES = [
    Structural(
        "constant",
        [
            constant_case(a)
            for a in (
                np.float64(0.1),
                np.float32(-0.0),
                np.arange(6.0).reshape(2, 3),
                np.full((3, 2), np.nan),
                [1, -2, 3],
                np.array([1, 2], np.int8),
                [True, False, True, True],
                np.zeros((0, 2)),
                np.array(True),
                np.array([np.inf, -np.inf, 5e-324]),
                np.arange(11) % 3 == 0,
            )
        ],
        order=0,
    ),
    Structural(
        "iota",
        [
            iota_case(shape, d, t)
            for t in NUMBERS
            for shape, d in (((5,), 0), ((3, 4), 0), ((3, 4), 1), ((0,), 0))
        ],
        order=0,
    ),
    Structural(
        "random_bits",
        [
            *(known_answer_case(*answer) for answer in KNOWN_ANSWERS),
            random_bits_case([1, 2], 0, 64, ()),
            random_bits_case([1, 2], 0, 64, (0, 3)),
            random_bits_case([0xDEADBEEF, 2], -2, 64, (3, 5)),
            random_bits_case([1, 0xFFFFFFFF], 2**32 - 7, 53, (2, 3, 4)),
            random_bits_case([1, 2], 5, 1, (100,)),
            random_bits_case([1, 2], 2**63 - 2, 32, (4,), np.int32),
            random_bits_case([3, 4], 0, 24, (5, 1), np.int32),
            random_bits_case([[1, 2], [3, 4], [5, 6]], [0, 7, -1], 64, (2, 2)),
            random_bits_case(np.arange(12).reshape(2, 3, 2), np.zeros((2, 3)), 32, (), np.int32),
            random_bits_case(np.zeros((0, 2)), np.zeros(0), 64, (2,)),
        ],
        order=0,
    ),
    Structural(
        "identity",
        [
            identity_case(shape, t)
            for t in ALL
            for shape in ((), (1,), (3,), (2, 3), (0,), (2, 0), (2, 1, 2))
        ],
        order=0,
    ),
]

SHAPES = [
    Structural(
        "broadcast",
        [
            broadcast_case((), (), ()),
            broadcast_case((), (3,), ()),
            broadcast_case((3,), (4, 3), [1]),
            broadcast_case((3,), (3, 4), [0]),
            broadcast_case((2, 4), (2, 3, 4), [0, 2]),
            broadcast_case((), (0, 2), ()),
            broadcast_case((0,), (2, 0), [1]),
            broadcast_case((1,), (1, 5), [0]),
            broadcast_case((3,), (0, 3), [1]),
        ],
    ),
    Structural(
        "reshape",
        [
            Case(lambda x, s=s: grad.reshape(x, list(s)), lambda x, s=s: x.reshape(s), [shape])
            for shape, s in (
                ((6,), (2, 3)),
                ((2, 3), (3, 2)),
                ((2, 3, 4), (4, 6)),
                ((1,), ()),
                ((), (1, 1)),
                ((0, 3), (5, 0)),
                ((2, 1, 3), (2, 3)),
            )
        ],
    ),
    Structural(
        "transpose",
        [
            moving(grad.transpose, np.transpose, shape, list(p))
            for shape, p in (
                ((2, 3), (1, 0)),
                ((2, 3, 4), (2, 0, 1)),
                ((2, 3, 4), (0, 2, 1)),
                ((2, 1, 3, 4), (3, 1, 0, 2)),
                ((0, 3), (1, 0)),
                ((5,), (0,)),
                ((33, 70), (1, 0)),
            )
        ]
        + [Case(lambda x: grad.transpose(x, []), lambda x: x, [()])],
    ),
    Structural(
        "slice",
        [
            moving(grad.slice, slice_reference, shape, list(o), list(n), list(s))
            for shape, o, n, s in (
                ((7,), (2,), (3,), (1,)),
                ((7,), (0,), (4,), (2,)),
                ((7,), (1,), (2,), (3,)),
                ((5, 6), (1, 0), (3, 3), (1, 2)),
                ((5, 6), (4, 5), (1, 1), (1, 1)),
                ((5,), (5,), (0,), (1,)),
                ((5, 4), (0, 1), (0, 2), (1, 1)),
                ((0, 3), (0, 1), (0, 2), (1, 1)),
                ((), (), (), ()),
                ((9,), (0,), (9,), (1,)),
            )
        ],
    ),
    Structural(
        "dynamic_slice",
        [
            dynamic_slice_case((7,), [2], [3]),
            dynamic_slice_case((7,), [6], [3]),
            dynamic_slice_case((7,), [-5], [3]),
            dynamic_slice_case((5, 6), [1, 3], [2, 3]),
            dynamic_slice_case((5, 6), [2**62, -(2**62)], [2, 3]),
            dynamic_slice_case((5,), [3], [0]),
            dynamic_slice_case((), [], []),
            dynamic_slice_case((4,), [1], [4]),
        ],
    ),
    *[
        Structural(
            name,
            [
                update_case(op, (7,), (3,), (2,), (1,)),
                update_case(op, (7,), (3,), (0,), (3,)),
                update_case(op, (5, 6), (2, 3), (1, 0), (2, 2)),
                update_case(op, (5,), (0,), (1,), (1,)),
                update_case(op, (4,), (4,), (0,), (1,)),
                update_case(op, (), (), (), ()),
            ],
            dtypes,
        )
        for name, op, dtypes in [
            ("update_slice", grad.update_slice, ALL),
            ("add_slice", grad.add_slice, NUMBERS),
        ]
    ],
    *[
        Structural(
            name,
            [
                dynamic_update_case(op, (7,), (3,), [2]),
                dynamic_update_case(op, (7,), (3,), [6]),
                dynamic_update_case(op, (7,), (3,), [-1]),
                dynamic_update_case(op, (5, 6), (2, 3), [1, 3]),
                dynamic_update_case(op, (5,), (0,), [2]),
                dynamic_update_case(op, (), (), []),
            ],
            dtypes,
        )
        for name, op, dtypes in [
            ("dynamic_update_slice", grad.dynamic_update_slice, ALL),
            ("dynamic_add_slice", grad.dynamic_add_slice, NUMBERS),
        ]
    ],
    Structural(
        "pad",
        [
            pad_case((3,), [1], [2], [0]),
            pad_case((3,), [0], [0], [2]),
            pad_case((2, 3), [1, 0], [0, 2], [1, 0]),
            pad_case((0,), [2], [1], [3]),
            pad_case((1,), [0], [0], [4]),
            pad_case((), [], [], []),
            pad_case((2,), [0], [0], [0]),
            pad_case((0, 2), [0, 1], [0, 1], [0, 1]),
        ],
    ),
    Structural(
        "concatenate",
        [
            join_case(0, (2,), (3,)),
            join_case(1, (2, 3), (2, 1), (2, 2)),
            join_case(0, (2, 3), (0, 3), (1, 3)),
            join_case(0, (4,)),
            join_case(1, (0, 2), (0, 3)),
            join_case(0, (0,), (0,)),
            Case(lambda x: grad.concatenate([x, x], 0), lambda x: np.concatenate([x, x]), [(3,)]),
        ],
    ),
    Structural(
        "reverse",
        [
            Case(lambda x, d=d: grad.reverse(x, list(d)), lambda x, d=d: np.flip(x, d), [shape])
            for shape, d in (
                ((5,), (0,)),
                ((2, 3), (1,)),
                ((2, 3), (0, 1)),
                ((2, 3, 4), (0, 2)),
                ((0, 2), (0,)),
                ((), ()),
                ((1,), (0,)),
            )
        ],
    ),
]

REDUCTIONS = [
    Structural(
        "reduce_sum", reduce_cases(grad.reduce_sum, same_dtype(np.sum)), NUMBERS, rounding=8
    ),
    Structural(
        "reduce_prod",
        reduce_cases(grad.reduce_prod, same_dtype(np.prod), long=11),
        NUMBERS,
        rounding=80,
    ),
    Structural("reduce_max", reduce_cases(grad.reduce_max, np.max, empty=False), NUMBERS),
    Structural("reduce_min", reduce_cases(grad.reduce_min, np.min, empty=False), NUMBERS),
    Structural("reduce_any", reduce_cases(grad.reduce_any, np.any), "?", order=0),
    Structural("reduce_all", reduce_cases(grad.reduce_all, np.all), "?", order=0),
    Structural("argmax", arg_cases(grad.argmax, np.argmax), NUMBERS, order=0),
    Structural("argmin", arg_cases(grad.argmin, np.argmin), NUMBERS, order=0),
    Structural(
        "cumsum",
        [
            Case(
                lambda x, d=d, r=r: grad.cumsum(x, d, reverse=r),
                lambda x, d=d, r=r: (
                    np.flip(np.cumsum(np.flip(x, d), d, dtype=x.dtype), d)
                    if r
                    else np.cumsum(x, d, dtype=x.dtype)
                ),
                [shape],
            )
            for shape, d in (
                ((6,), 0),
                ((3, 4), 0),
                ((3, 4), 1),
                ((2, 3, 4), 1),
                ((0,), 0),
                ((1,), 0),
                ((2, 0), 0),
            )
            for r in (False, True)
        ],
        NUMBERS,
        rounding=8,
    ),
]

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
        NUMBERS,
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

FUNCTIONS = [
    Structural("convert", convert_cases()),
    Structural(
        "stop_gradient",
        [
            Case(grad.stop_gradient, lambda x: x, [shape], smooth=lambda x: 0 * x)
            for shape in ((3,), (), (0, 2))
        ],
    ),
    Structural("call", [Case(call_twice, lambda x: x**9, [(4,)], FLOATS)], FLOATS, rounding=40),
    Structural("custom", [Case(custom_cube, lambda x: x**3, [(4,)], FLOATS)], FLOATS, rounding=8),
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
]

STRUCTURAL: dict[str, Structural] = {
    row.op: row for group in (SOURCES, SHAPES, REDUCTIONS, PRODUCTS, FUNCTIONS) for row in group
}
