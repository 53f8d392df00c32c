# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Products of vectors, matrices and tensors, all through `grad.dot_general`."""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from gradopt.array.dispatch import UFUNCS, implements
from gradopt.array.handle import Handle, as_array
from gradopt.array.operands import array_kind, handle_of, listed, traced
from gradopt.base.dtypes import BOOL, result_type
from gradopt.base.location import source_location
from gradopt.errors import ShapeError
from gradopt.functions.contraction_order import chain_splits, einsum_steps
from gradopt.functions.matrices import diagonal_view
from gradopt.functions.shapes import moveaxis
from gradopt.functions.ufuncs import operands_of, require_subtraction
from gradopt.ir import factorizations, prims
from gradopt.ir.extents import bounds_of, is_extent, shape_with
from gradopt.ir.values import Value


def promoted(*values: Any) -> list[Value]:
    """Operands converted to their common dtype."""
    values = tuple([listed(value) for value in values])
    dtype = result_type(*[array_kind(value) for value in values])
    return [traced(value, dtype) for value in values]


def _mismatch(name: str, x: Value, y: Value) -> ShapeError:
    return ShapeError(f"{name}: shapes {x.shape} and {y.shape} not aligned", source_location())


def _differ(size: Any, other: Any) -> bool:
    """Whether two sizes are not the same; where that is not known, the op has a check."""
    return size != other and not (is_extent(size) or is_extent(other))


def contract(x: Value, y: Value, axes: tuple[Sequence[int], Sequence[int]], name: str) -> Value:
    """The product summed over pairs of axes."""
    if any(_differ(x.shape[i], y.shape[j]) for i, j in zip(*axes, strict=True)):
        raise _mismatch(name, x, y)
    return prims.dot_general(x, y, ((), ()), axes)


def matmul(x1: Any, x2: Any) -> Value:
    """`numpy.matmul`."""
    x, y = operands_of(np.matmul, x1, x2)
    if not x.ndim or not y.ndim:
        raise ShapeError("matmul: an operand does not have enough dimensions", source_location())
    if _differ(x.shape[-1], y.shape[-2 if y.ndim > 1 else 0]):
        raise _mismatch("matmul", x, y)
    if x.ndim <= 2 and y.ndim <= 2:
        return prims.dot_general(x, y, ((), ()), ((x.ndim - 1,), (0,)))
    if y.ndim <= 2:
        return prims.dot_general(x, y, ((), ()), ((x.ndim - 1,), (0,)))
    # Batches: the left vector, or the right one, has no row or column of its own.
    batch = prims.broadcast_shapes(x.shape[:-2], y.shape[:-2])
    x = x if x.ndim == 1 else prims.broadcast_to(x, (*batch, *x.shape[-2:]))
    y = prims.broadcast_to(y, (*batch, *y.shape[-2:]))
    count = len(batch)
    if x.ndim == 1:
        return prims.dot_general(x, y, ((), ()), ((0,), (count,)))
    axes = tuple(range(count))
    return prims.dot_general(x, y, (axes, axes), ((count + 1,), (count,)))


UFUNCS[np.matmul] = matmul


@implements(np.dot)
def dot(a: Any, b: Any) -> Value:
    """`numpy.dot`."""
    x, y = promoted(a, b)
    if not x.ndim or not y.ndim:
        return UFUNCS[np.multiply](x, y)
    return contract(x, y, ((x.ndim - 1,), (max(y.ndim - 2, 0),)), "dot")


@implements(np.vdot)
def vdot(a: Any, b: Any, /) -> Value:
    """`numpy.vdot`."""
    x, y = promoted(a, b)
    return dot(prims.conjugate(prims.reshape(x, (x.size,))), prims.reshape(y, (y.size,)))


@implements(np.inner)
def inner(a: Any, b: Any, /) -> Value:
    """`numpy.inner`."""
    x, y = promoted(a, b)
    if not x.ndim or not y.ndim:
        return UFUNCS[np.multiply](x, y)
    return contract(x, y, ((x.ndim - 1,), (y.ndim - 1,)), "inner")


@implements(np.outer)
def outer(a: Any, b: Any) -> Value:
    """`numpy.outer`."""
    x, y = promoted(a, b)
    return UFUNCS[np.multiply](prims.reshape(x, (x.size, 1)), prims.reshape(y, (1, y.size)))


@implements(np.linalg.outer)
def linalg_outer(x1: Any, x2: Any, /) -> Value:
    """`numpy.linalg.outer`."""
    return outer(x1, x2)


@implements(np.linalg.matmul)
def linalg_matmul(x1: Any, x2: Any, /) -> Value:
    """`numpy.linalg.matmul`."""
    return matmul(x1, x2)


@implements(np.tensordot)
def tensordot(a: Any, b: Any, axes: Any = 2) -> Any:
    """`numpy.tensordot`."""
    x, y = promoted(a, b)
    if prims.is_sequence(axes):
        left, right = axes
        pairs = (prims.normalize_axes(left, x.ndim), prims.normalize_axes(right, y.ndim))
    else:
        count = operator.index(axes)
        if count > min(x.ndim, y.ndim):
            raise _mismatch("tensordot", x, y)
        pairs = (tuple(range(x.ndim - count, x.ndim)), tuple(range(count)))
    if len(pairs[0]) != len(pairs[1]):
        raise ShapeError("tensordot: different numbers of axes", source_location())
    return as_array(contract(x, y, pairs, "tensordot"))


@implements(np.linalg.tensordot)
def linalg_tensordot(x1: Any, x2: Any, /, *, axes: Any = 2) -> Any:
    """`numpy.linalg.tensordot`."""
    return tensordot(x1, x2, axes)


def _vecdot(x1: Any, x2: Any) -> Value:
    x, y = promoted(x1, x2)
    if not x.ndim or not y.ndim or _differ(x.shape[-1], y.shape[-1]):
        raise _mismatch("vecdot", x, y)
    shape = prims.broadcast_shapes(x.shape, y.shape)
    axes = tuple(range(len(shape) - 1))
    last = (len(shape) - 1,)
    x, y = prims.broadcast_to(x, shape), prims.broadcast_to(y, shape)
    return prims.dot_general(prims.conjugate(x), y, (axes, axes), (last, last))


if hasattr(np, "vecdot"):
    UFUNCS[np.vecdot] = _vecdot


@implements(np.kron)
def kron(a: Any, b: Any) -> Value:
    """`numpy.kron`."""
    x, y = promoted(a, b)
    rank = max(x.ndim, y.ndim)
    left = (1,) * (rank - x.ndim) + x.shape
    right = (1,) * (rank - y.ndim) + y.shape
    product = UFUNCS[np.multiply](
        prims.reshape(x, tuple([n for size in left for n in (size, 1)])),
        prims.reshape(y, tuple([n for size in right for n in (1, size)])),
    )
    return prims.reshape(product, tuple([m * n for m, n in zip(left, right, strict=True)]))


@implements(np.cross)
def cross(
    a: Any, b: Any, axisa: int = -1, axisb: int = -1, axisc: int = -1, axis: Any = None
) -> Value:
    """`numpy.cross`, of vectors in space."""
    if axis is not None:
        axisa = axisb = axisc = axis
    x, y = promoted(a, b)
    x, y = traced(moveaxis(x, axisa, -1)), traced(moveaxis(y, axisb, -1))
    if x.shape[-1] != 3 or y.shape[-1] != 3:
        raise ShapeError("cross: both arrays must have 3 components", source_location())
    require_subtraction(x)

    def component(v: Value, i: int) -> Value:
        return prims.take_range(v, v.ndim - 1, i, i + 1)

    parts = [
        component(x, i) * component(y, j) - component(x, j) * component(y, i)
        for i, j in ((1, 2), (2, 0), (0, 1))
    ]
    result = prims.concatenate(parts, parts[0].ndim - 1)
    return traced(moveaxis(result, -1, axisc))


if hasattr(np.linalg, "cross"):

    @implements(np.linalg.cross)
    def linalg_cross(x1: Any, x2: Any, /, *, axis: int = -1) -> Value:
        """`numpy.linalg.cross`."""
        return cross(x1, x2, axis=axis)

    @implements(np.linalg.vecdot)
    def linalg_vecdot(x1: Any, x2: Any, /, *, axis: int = -1) -> Value:
        """`numpy.linalg.vecdot`."""
        return _vecdot(*[traced(moveaxis(x, axis, -1)) for x in (x1, x2)])


# -- Einstein summation ------------------------------------------------------------------------


def _parse(subscripts: str, operands: Sequence[Handle]) -> tuple[list[str], str]:
    """The labels of each operand and of the result; an ellipsis becomes upper-case Greek."""
    inputs, arrow, output = subscripts.replace(" ", "").partition("->")
    terms = inputs.split(",")
    if len(terms) != len(operands):
        raise ShapeError(
            f"einsum: {len(terms)} subscripts for {len(operands)} operands", source_location()
        )
    spare = [chr(0x391 + i) for i in range(64)]
    longest = 0
    labels: list[str] = []
    for term, operand in zip(terms, operands, strict=True):
        if "..." in term:
            hidden = operand.ndim - len(term.replace("...", ""))
            longest = max(longest, hidden)
            # The last dimensions of all ellipses belong together.
            term = term.replace("...", "".join(reversed(spare[: max(hidden, 0)])))
        if len(term) != operand.ndim:
            raise ShapeError(
                f"einsum: subscripts {term!r} do not fit an operand of shape {operand.shape}",
                source_location(),
            )
        labels.append(term)
    hidden_labels = "".join(reversed(spare[:longest]))
    if arrow:
        if longest and "..." not in output:
            raise ShapeError(
                f"einsum: the output of {subscripts!r} has no '...' for the broadcast dimensions",
                source_location(),
            )
        result = output.replace("...", hidden_labels)
    else:
        everything = "".join(labels)
        once = sorted(
            {c for c in everything if everything.count(c) == 1 and c not in hidden_labels}
        )
        result = hidden_labels + "".join(once)
    if any(c not in "".join(labels) for c in result) or len(set(result)) != len(result):
        raise ShapeError(f"einsum: invalid output subscripts in {subscripts!r}", source_location())
    return labels, result


def _diagonals(x: Handle, labels: str) -> tuple[Handle, str]:
    """Repeated labels taken once."""
    for label in dict.fromkeys(labels):
        while labels.count(label) > 1:
            i = labels.index(label)
            j = labels.index(label, i + 1)
            if x.shape[i] != x.shape[j]:
                raise ShapeError(f"einsum: sizes of {label!r} differ", source_location())
            x = diagonal_view(x, 0, i, j, writable=True)
            labels = labels[:i] + labels[i + 1 : j] + labels[j + 1 :] + label
    return x, labels


def _sum_out(x: Value, labels: str, keep: str) -> tuple[Value, str]:
    """Labels that nobody else has summed over."""
    axes = [i for i, label in enumerate(labels) if label not in keep]
    kept = "".join(label for label in labels if label in keep)
    return prims.reduce("any" if x.dtype == BOOL else "sum", x, axes), kept


def _squeeze_ones(x: Value, labels: str, sizes: dict[str, int]) -> tuple[Value, str]:
    """Dimensions of size 1 that broadcast dropped."""
    kept = [i for i, label in enumerate(labels) if x.shape[i] != 1 or sizes[label] == 1]
    return prims.reshape(x, shape_with([x.shape[i] for i in kept])), "".join(
        labels[i] for i in kept
    )


def _pair(x: Value, left: str, y: Value, right: str, keep: str) -> tuple[Value, str]:
    x, left = _sum_out(x, left, keep + right)
    y, right = _sum_out(y, right, keep + left)
    shared = [label for label in left if label in right]
    batch = [label for label in shared if label in keep]
    summed = [label for label in shared if label not in keep]
    result = prims.dot_general(
        x,
        y,
        ([left.index(c) for c in batch], [right.index(c) for c in batch]),
        ([left.index(c) for c in summed], [right.index(c) for c in summed]),
    )
    rest = [c for c in left if c not in shared] + [c for c in right if c not in shared]
    return result, "".join(batch + rest)


@implements(np.einsum)
def einsum(*operands: Any, optimize: Any = False) -> Any:
    """`numpy.einsum`, two operands at a time, in the cheapest order unless `optimize` names one.

    Of one operand without a sum it is a view.
    """
    subscripts, *values = operands
    if not isinstance(subscripts, str):
        subscripts, values = _lists_to_text(operands)
    handles = [handle_of(value) for value in values]
    labels, output = _parse(subscripts, handles)
    if len(handles) == 1 and set(labels[0]) == set(output):
        view, term = _diagonals(handles[0], labels[0])
        view = view._with_axes([term.index(label) for label in output])
        return view if view.shape else view._read()
    dtype = result_type(*[array_kind(value) for value in values])
    sizes: dict[str, int] = {}
    pairs: list[tuple[Value, str]] = []
    for handle, labels_of in zip(handles, labels, strict=True):
        view, term = _diagonals(handle, labels_of)
        array = traced(view, dtype)
        for label, size in zip(term, array.shape, strict=True):
            known = sizes.setdefault(label, size)
            if known == 1:
                sizes[label] = size
            elif size != 1 and _differ(size, known):
                raise ShapeError(
                    f"einsum: label {label!r} has sizes {known} and {size}", source_location()
                )
        pairs.append((array, term))
    pairs = [_squeeze_ones(array, term, sizes) for array, term in pairs]
    # What only one operand has is summed before its products.
    for i, (array, term) in enumerate(pairs):
        others = "".join(t for j, (_, t) in enumerate(pairs) if j != i)
        pairs[i] = _sum_out(array, term, output + others)
    costs = dict(zip(sizes, bounds_of(sizes.values()), strict=True))
    for step in einsum_steps([term for _, term in pairs], output, costs, optimize):
        chosen = [pairs[i] for i in step]
        pairs = [pair for i, pair in enumerate(pairs) if i not in step]
        result, term = chosen[0]
        for i, (array, other) in enumerate(chosen[1:], start=1):
            later = "".join(t for _, t in (*chosen[i + 1 :], *pairs))
            result, term = _pair(result, term, array, other, output + later)
        pairs.append((result, term))
    result, term = pairs[0]
    result, term = _sum_out(result, term, output)
    return prims.transpose(result, [term.index(label) for label in output])


def _lists_to_text(operands: Sequence[Any]) -> tuple[str, list[Any]]:
    """The form `einsum(x, [0, 1], y, [1, 2], [0, 2])`."""

    def text(labels: Any) -> str:
        return "".join("..." if n is Ellipsis else chr(ord("a") + n) for n in labels)

    count = len(operands) // 2
    values = [operands[2 * i] for i in range(count)]
    terms = ",".join(text(operands[2 * i + 1]) for i in range(count))
    if len(operands) % 2:
        terms += "->" + text(operands[-1])
    return terms, values


@implements(np.linalg.multi_dot)
def multi_dot(arrays: Sequence[Any]) -> Value:
    """`numpy.linalg.multi_dot`, in the order of the fewest multiplications."""
    factors = [traced(array) for array in arrays]
    last = len(factors) - 1
    if last < 1:
        raise ShapeError("Expecting at least two arrays.", source_location())
    for i, factor in enumerate(factors):
        if factor.ndim != 2 and (factor.ndim != 1 or i not in (0, last)):
            raise ShapeError(
                f"{factor.ndim}-dimensional array given. Array must be two-dimensional",
                source_location(),
            )
    sizes = [1 if factors[0].ndim == 1 else factors[0].shape[0]]
    sizes += [factor.shape[0] for factor in factors[1:]]
    sizes += [1 if factors[last].ndim == 1 else factors[last].shape[1]]
    return _chain_product(factors, chain_splits(sizes), 0, last)


def _chain_product(
    factors: Sequence[Value], splits: Mapping[tuple[int, int], int], i: int, j: int
) -> Value:
    if i == j:
        return factors[i]
    middle = splits[i, j]
    left = _chain_product(factors, splits, i, middle)
    return dot(left, _chain_product(factors, splits, middle + 1, j))


@implements(np.linalg.matrix_power)
def matrix_power(a: Any, n: Any) -> Any:
    """`numpy.linalg.matrix_power` for constant powers; the first is the array."""
    x = traced(a)
    count = operator.index(n)
    if x.ndim < 2 or x.shape[-1] != x.shape[-2]:
        raise ShapeError(
            f"matrix_power: the last two dimensions must be equal, but the shape is {x.shape}",
            source_location(),
        )
    if count < 0:
        x, count = factorizations.inverse(factorizations.inexact(x)), -count
        if count == 1:
            return x
    if count == 1:
        return handle_of(a)
    result: Value | None = None
    while count:
        if count & 1:
            result = x if result is None else matmul(result, x)
        count >>= 1
        if count:
            x = matmul(x, x)
    if result is None:
        eye = traced(np.eye(x.shape[-1]), x.dtype)
        return prims.broadcast_to(eye, x.shape)
    return result
