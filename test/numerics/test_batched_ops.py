# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""grad.vmap over each op of the table: all elements of a batch are what NumPy makes of each."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from budget import generator
from harness import Array, define, unique
from mlir import ir
from ops import ELEMENTWISE, STRUCTURAL, TABLE, Elementwise
from structural_rows import Case
from test_structural_ops import operands, quiet, run_each

from gradopt.dialects import grad

pytestmark = pytest.mark.random
NONE = -1


def vmap(
    build: Callable[..., ir.Value],
    shapes: Sequence[tuple[int, ...]],
    in_axes: Sequence[int],
    out_axis: int,
    size: int,
) -> Callable[..., ir.Value]:
    """`build`, which takes operands of these shapes, mapped over axes of operands."""

    def mapped(*values: ir.Value) -> ir.Value:
        name = unique("mapped")
        types = [
            ir.RankedTensorType.get(list(shape), value.type.element_type)
            for shape, value in zip(shapes, values, strict=True)
        ]
        (result,) = define(name, types, build)
        kind = ir.RankedTensorType(result)
        shape = list(kind.shape)
        shape.insert(out_axis, size)
        whole = ir.RankedTensorType.get(shape, kind.element_type)
        return grad.VmapOp([whole], name, values, in_axes, [out_axis], size).results[0]

    return mapped


def shuffled(array: Array, seed: int) -> Array:
    """The same elements in another order."""
    return generator(seed).permutation(array.ravel()).reshape(array.shape)


def elements_of(case: Case, dtype: str, size: int) -> list[list[Array]]:
    """Operands for each element of a batch."""
    found = []
    for i in range(size):
        fixed = [isinstance(a, np.ndarray) for a in case.operands]
        arrays = operands(case, dtype, seed=5 + i)
        found.append([shuffled(a, i) if f and i else a for a, f in zip(arrays, fixed, strict=True)])
    return found


def batched_sets(count: int) -> list[frozenset[int]]:
    """Which operands are mapped: all, each alone, and all but one; none, where there are none."""
    everything = frozenset(range(count))
    sets = [everything, *(frozenset({i}) for i in range(count))]
    if count > 2:
        sets += [everything - {i} for i in range(count)]
    return list(dict.fromkeys(sets))


def use_of(
    build: Callable[..., ir.Value],
    elements: Sequence[Sequence[Array]],
    mapped: frozenset[int],
    result_rank: int,
    turn: int,
    empty: Sequence[Array],
) -> tuple[Callable[..., ir.Value], list[Array], int]:
    """A mapped op, its arguments, and the axis of its result; other axes in each turn."""
    size = len(elements)
    arguments: list[Array] = []
    in_axes: list[int] = []
    for i, like in enumerate(elements[0] if elements else empty):
        if i not in mapped:
            arguments.append(like)
            in_axes.append(NONE)
            continue
        axis = (turn + i) % (like.ndim + 1)
        stack = [e[i] for e in elements]
        whole = np.stack(stack, axis) if stack else np.expand_dims(like, axis).take([], axis)
        arguments.append(np.ascontiguousarray(whole))
        in_axes.append(axis)
    out_axis = turn % (result_rank + 1)
    shapes = [a.shape for a in (elements[0] if elements else empty)]
    return vmap(build, shapes, in_axes, out_axis, size), arguments, out_axis


@pytest.mark.parametrize("op", STRUCTURAL)
def test_structural_ops_are_mapped(op: str) -> None:
    row = STRUCTURAL[op]
    uses, wanted, limits = [], [], []
    turn = 0
    for case in row.cases:
        sampled = any(isinstance(a, tuple) for a in case.operands)
        types = case.dtypes or row.dtypes
        everything = frozenset(range(len(case.operands)))
        for dtype in dict.fromkeys((types[0], types[-1])) if sampled else types[:1]:
            full = elements_of(case, dtype, 3)
            ways = [(s, 3) for s in batched_sets(len(case.operands))]
            ways += [(everything, 1), (everything, 0)]
            # How they are mapped does not depend on the type.
            for mapped, size in ways if dtype == types[0] else ways[:1]:
                chosen = [
                    [e[i] if i in mapped else full[0][i] for i in range(len(e))]
                    for e in full[:size]
                ]
                results = [quiet(case.reference, *e) for e in (chosen or full[:1])]
                turn += 1
                build, arguments, axis = use_of(
                    case.build, chosen, mapped, results[0].ndim, turn, full[0]
                )
                want = np.stack(results, axis)
                uses.append((build, arguments))
                wanted.append(want if chosen else want.take([], axis))
                limit: Any = 0.0
                if row.rounding and want.dtype.kind in "fc":
                    scales = [
                        quiet(
                            case.reference, *(np.abs(a) if a.dtype.kind in "fc" else a for a in e)
                        )
                        for e in (chosen or full[:1])
                    ]
                    limit = 2 * row.rounding * np.finfo(want.dtype).eps
                    limit = limit * np.abs(np.stack(scales, axis))
                    limit = limit if chosen else limit.take([], axis)
                limits.append(limit)
    results = run_each(uses)
    for (_, arguments), got, want, limit in zip(uses, results, wanted, limits, strict=True):
        message = f"grad.{op} mapped over arrays of shapes {[a.shape for a in arguments]}"
        assert got.dtype == want.dtype, message
        assert got.shape == want.shape, message
        if np.ndim(limit):
            assert (np.abs(got - want) <= limit).all(), f"{message}: got\n{got}, expected\n{want}"
        else:
            np.testing.assert_array_equal(got, want, message)


def sample(row: Elementwise, dtype: str, size: int) -> list[list[Array]]:
    rng = generator(3)
    elements = []
    for _ in range(size):
        operands: list[Array] = [rng.integers(0, 2, (2,)).astype(bool)] * row.conditions
        for low, high in row.boxes[0][-(row.arity - row.conditions) :]:
            value = rng.uniform(max(low, -100), min(high, 100), (2,))
            kind = np.dtype(dtype).kind
            operands.append(value > 0 if kind == "b" else value.astype(dtype))
        elements.append(operands)
    return elements


@pytest.mark.parametrize("op", ELEMENTWISE)
def test_elementwise_ops_are_mapped(op: str) -> None:
    row = ELEMENTWISE[op]
    dtype = row.dtypes[0]
    elements = sample(row, dtype, 4)
    uses, wanted = [], []
    for turn, mapped in enumerate(batched_sets(row.arity)):
        chosen = [
            [e[i] if i in mapped else elements[0][i] for i in range(row.arity)] for e in elements
        ]
        results = [quiet(row.reference, *e) for e in chosen]
        build, arguments, axis = use_of(
            lambda *x: getattr(grad, op)(*x), chosen, mapped, 1, turn, elements[0]
        )
        uses.append((build, arguments))
        wanted.append(np.stack(results, axis))
    for got, want in zip(run_each(uses), wanted, strict=True):
        if got.dtype.kind == "f":
            np.testing.assert_array_max_ulp(got, want, max(row.ulp, 1))
        else:
            np.testing.assert_array_equal(got, want)


def test_every_op_is_mapped() -> None:
    assert TABLE.keys() == ELEMENTWISE.keys() | STRUCTURAL.keys()


@pytest.mark.parametrize("axes", list(itertools.permutations(range(3), 2)))
def test_nested_maps_over_different_axes(axes: tuple[int, int]) -> None:
    """A product of matrices as dot products of rows and columns, in any order of the axes."""
    first, second = axes
    rng = generator(4)
    x, y = rng.normal(size=(3, 4, 5)), rng.normal(size=(3, 4, 5))
    rest = ({0, 1, 2} - {first, second}).pop()
    sizes = [x.shape[first], x.shape[second], x.shape[rest]]
    inner_axis = second - (second > first)

    def dot(a: ir.Value, c: ir.Value) -> ir.Value:
        return grad.dot_general(a, c, [], [], [0], [0])

    part = [size for d, size in enumerate(x.shape) if d != first]
    inner = vmap(dot, [(sizes[2],)] * 2, [inner_axis] * 2, 0, sizes[1])
    outer = vmap(inner, [tuple(part)] * 2, [first] * 2, 0, sizes[0])
    (got,) = run_each([(outer, [x, y])])
    want = np.einsum("abc,abc->ab", *(np.transpose(v, (first, second, rest)) for v in (x, y)))
    np.testing.assert_allclose(got, want, 1e-13, 1e-13)


def test_what_is_not_mapped_is_repeated() -> None:
    """A result that depends on no mapped operand."""

    def build(_x: ir.Value, y: ir.Value) -> ir.Value:
        return grad.tanh(y)

    y = np.array([0.5, -1.0])
    (got,) = run_each([(vmap(build, [(3,), (2,)], [0, NONE], 1, 4), [np.ones((4, 3)), y])])
    np.testing.assert_allclose(got, np.tanh(np.stack([y] * 4, 1)), 1e-15)
