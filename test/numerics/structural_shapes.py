# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Rows of the ops that make arrays or move their elements: sources and shapes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from harness import constant, scalar_type
from mlir import ir
from structural_rows import (
    ALL,
    NUMBERS,
    REALS,
    Array,
    Case,
    Shape,
    Structural,
    clamped,
    pad_reference,
    slice_reference,
    update,
)
from threefry import KNOWN_ANSWERS, reference_bits

from gradopt.dialects import grad


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
            for t in REALS
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
