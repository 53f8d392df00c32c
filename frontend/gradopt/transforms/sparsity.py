# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Sparse Jacobians and Hessians.

The compiler finds from the traced function where the matrix may be other than zero, and colors
columns or rows, so that the products with the sums of those of one color hold all elements
(`passes/Sparsity.h`, `passes/Coloring.h`). The products are one program, mapped over the colors;
elements are then picked out of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from gradopt.array.handle import Handle, array_of, wrap
from gradopt.array.operands import handle_of
from gradopt.base.dtypes import result_type
from gradopt.base.location import function_source
from gradopt.base.pytree import TreeDef, flatten
from gradopt.compilation.arguments import checked_flag
from gradopt.compilation.calling import call_user, function_name
from gradopt.compilation.compiled import Compiled
from gradopt.compilation.compiler import Program, compile_program
from gradopt.compilation.lowered import Lowered
from gradopt.errors import LeakedTracerError, UnsupportedError
from gradopt.functions.sparse import SparseArray, Structure
from gradopt.ir import prims
from gradopt.ir.types import shape_and_dtype
from gradopt.ir.values import Value
from gradopt.transforms.gradient import grad
from gradopt.transforms.inner import InnerFunction, emit_jvp, emit_vjp, emit_vmap, trace_inner
from gradopt.transforms.jacobians import checked_results
from gradopt.transforms.transform import ArgNums, Arguments, Selection, Transform

Array = np.ndarray[Any, Any]

# Directions of products, as `Compression` has them.
_COLUMNS, _ROWS, _SYMMETRIC = range(3)


class Sparsity(NamedTuple):
    """The pattern of a matrix, and how its elements are found in few products.

    Attributes:
        shape: of the matrix, with all results as rows and all arguments as columns.
        offsets: where each row begins among the elements, and where the last one ends.
        indices: columns of the elements, row by row.
        direction: whether products are with columns, rows, or columns of a symmetric matrix.
        color_count: the number of products.
        colors: of each column, or row.
        sources: of each element its place in the products, one behind the other.
    """

    shape: tuple[int, int]
    offsets: Array
    indices: Array
    direction: int
    color_count: int
    colors: Array
    sources: Array

    @property
    def rows(self) -> Array:
        """The row of each element."""
        return np.repeat(np.arange(self.shape[0]), np.diff(self.offsets))


def sparsity_of(
    lowered: Lowered, wrt: Sequence[int], of: Sequence[int], is_symmetric: bool = False
) -> Sparsity:
    """As `find_sparsity`, where integers that the function refers to are known."""
    count = len(lowered.arguments)
    known = {count + i: a for i, a in enumerate(lowered.captures) if a.dtype.kind in "biu"}
    return find_sparsity(lowered.program, wrt, of, is_symmetric, known)


def find_sparsity(
    program: Program,
    wrt: Sequence[int],
    of: Sequence[int],
    is_symmetric: bool = False,
    integers: Mapping[int, Array] | None = None,
) -> Sparsity:
    """The pattern of derivatives.

    Args:
        program: what is differentiated.
        wrt: numbers of the arguments.
        of: numbers of the results.
        is_symmetric: whether the matrix is symmetric.
        integers: arguments that are known, by their numbers.
    """
    known = {i: array.astype(np.int64).tobytes() for i, array in (integers or {}).items()}
    asked = {"wrt": list(wrt), "of": list(of), "symmetric": is_symmetric, "known": known}
    found = compile_program(program, "sparsity", asked=asked).sparsity
    rows, columns, elements, direction, colors, vertices = np.frombuffer(found, np.int64, 6)
    place = 6 * 8

    def read(dtype: Any, size: int) -> Array:
        nonlocal place
        array = np.frombuffer(found, dtype, size, place)
        place += array.nbytes
        return array

    offsets = read(np.int64, rows + 1)
    sources = read(np.int64, elements)
    indices = read(np.int32, elements)
    return Sparsity(
        (int(rows), int(columns)),
        offsets,
        indices,
        int(direction),
        int(colors),
        read(np.int32, vertices),
        sources,
    )


class SparseJacobian(Transform):
    """The Jacobian of a function, or the Hessian, as a sparse matrix for each result and argument.

    The pattern is found once for each signature, from the function alone.
    """

    def __init__(
        self, function: Callable[..., Any], argnums: ArgNums, is_hessian: bool = False
    ) -> None:
        super().__init__(function)
        self._argnums = Arguments(argnums)
        self._is_hessian = checked_flag(is_hessian, "is_hessian")
        self._of = grad(function, argnums) if is_hessian else function

    @property
    def kind(self) -> str:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The transform."""
        return "sparse_hessian" if self._is_hessian else "sparse_jacobian"

    def _parameters(self) -> tuple[Any, ...]:
        return self._function, self._argnums.given, self._is_hessian

    def _emit(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        selection = self._argnums.select(self._function, args)
        selection.require_real(self._function)
        # First, as it says which integers have to be known.
        inner, out_tree = self._traced(selection, kwargs)
        sparsity = self._sparsity(args, kwargs, selection)
        outputs = [shape_and_dtype(kind) for kind in inner.results]
        inputs = [(leaf.shape, leaf.dtype) for leaf in selection.leaves]
        products = self._products(inner, sparsity, inputs, outputs)
        blocks = _blocks(sparsity, products, inputs, outputs)
        return out_tree.unflatten([selection.like(row) for row in blocks])

    def _traced(
        self, selection: Selection, kwargs: dict[str, Any]
    ) -> tuple[InnerFunction, TreeDef]:
        """What is differentiated, as a function of the selected leaves."""

        def body(arguments: list[Handle]) -> tuple[list[Value], Any]:
            out = call_user(self._of, selection.arguments(arguments), kwargs)
            return checked_results(out, self._function)

        return trace_inner(self._function, selection.leaves, selection.paths, body)

    def _sparsity(
        self, args: tuple[Any, ...], kwargs: dict[str, Any], selection: Selection
    ) -> Sparsity:
        """The pattern: which tangents of results depend on which tangents of arguments.

        That of the function itself would not do, since rules of the user's may say otherwise.
        """
        leaves, tree = flatten((args, kwargs))
        numbers = _leaf_numbers(args, selection.numbers)
        traced = [
            i for i, leaf in enumerate(leaves) if isinstance(leaf, Handle) or i in set(numbers)
        ]

        def tangents(*values: Any) -> Any:
            filled = list(leaves)
            for i, value in zip(traced, values[: len(traced)], strict=True):
                filled[i] = value
            positional, named = tree.unflatten(filled)
            inner, _ = self._traced(self._argnums.select(self._function, positional), named)
            given = [handle_of(value)._read() for value in values[len(traced) :]]
            of = range(len(inner.results))
            return [array_of(v) for v in emit_jvp(inner, given, range(len(given)), of)[1]]

        examples = [_example(leaves[i]) for i in traced]
        directions = [np.broadcast_to(np.zeros((), x.dtype), x.shape) for x in selection.leaves]
        tangents.__name__ = function_name(self._function)
        try:
            lowered = Compiled(tangents).lower(*examples, *directions)
        except LeakedTracerError:
            raise UnsupportedError(
                f"{function_name(self._function)} refers to a traced array of the function around "
                "it; pass it as an argument, since the pattern of a sparse matrix is found from "
                "the function alone",
                function_source(self._function),
            ) from None
        wrt = range(len(traced), len(traced) + len(directions))
        return sparsity_of(lowered, wrt, range(lowered.result_tree.leaf_count), self._is_hessian)

    def _products(
        self,
        inner: InnerFunction,
        sparsity: Sparsity,
        inputs: Sequence[Any],
        outputs: Sequence[Any],
    ) -> Any:
        """The products, of shape (colors, rows), or (colors, columns) for sums of rows."""
        by_rows = sparsity.direction == _ROWS
        seeded, found = (outputs, inputs) if by_rows else (inputs, outputs)
        count = sparsity.color_count
        dtype = result_type(*[dtype for _, dtype in (*inputs, *outputs)])
        colors: Any = handle_of(wrap(prims.as_value(np.array(sparsity.colors))))
        seeds: list[Any] = []
        place = 0
        for shape, kind in seeded:
            part = colors[place : place + prims.size_of(shape)]
            chosen = np.equal(part[None, :], np.arange(count, dtype=np.int32)[:, None])
            seeds.append(chosen.astype(kind).reshape((count, *shape)))
            place += prims.size_of(shape)

        def product(handles: list[Handle]) -> tuple[list[Value], Any]:
            vectors = [handle._read() for handle in handles]
            of, wrt = range(len(outputs)), range(len(inputs))
            if by_rows:
                parts = emit_vjp(inner, vectors, wrt, of)[1]
            else:
                parts = emit_jvp(inner, vectors, wrt, of)[1]
            flat = [
                prims.convert(prims.reshape(part, (prims.size_of(shape),)), dtype)
                for part, (shape, _) in zip(parts, found, strict=True)
            ]
            return [flat[0] if len(flat) == 1 else prims.concatenate(flat, 0)], None

        names = [f"seed {i}" for i in range(len(seeds))]
        mapped, _ = trace_inner(self._function, seeds, names, product, [0] * len(seeds))
        return handle_of(wrap(emit_vmap(mapped, [0] * len(seeds), [0], count)[0]))


def _leaf_numbers(args: tuple[Any, ...], selected: Sequence[int]) -> list[int]:
    """Numbers of the leaves of selected arguments, among those of all."""
    counts = [len(flatten(arg)[0]) for arg in args]
    return [sum(counts[:n]) + i for n in selected for i in range(counts[n])]


def _example(leaf: Any) -> Any:
    """Something of the same type and shape."""
    if not isinstance(leaf, Handle):
        return leaf
    if leaf._weak:
        return {"f": float, "i": int, "b": bool, "c": complex}[leaf.dtype.kind]()
    zero = np.zeros((), leaf.dtype)[()]
    return zero if leaf._is_scalar else np.broadcast_to(zero, leaf.shape)


def _blocks(
    sparsity: Sparsity, products: Any, inputs: Sequence[Any], outputs: Sequence[Any]
) -> list[list[SparseArray]]:
    """For each result and each argument their part of the matrix."""
    flat = products.reshape(-1)
    rows = sparsity.rows
    row_ends = np.cumsum([0, *[prims.size_of(shape) for shape, _ in outputs]])
    column_ends = np.cumsum([0, *[prims.size_of(shape) for shape, _ in inputs]])
    is_whole = len(inputs) == len(outputs) == 1
    blocks: list[list[SparseArray]] = []
    for o, (_, dtype) in enumerate(outputs):
        blocks.append([])
        for i in range(len(inputs)):
            indices, sources, own_rows = sparsity.indices, sparsity.sources, rows
            if not is_whole:
                chosen = (rows >= row_ends[o]) & (rows < row_ends[o + 1])
                chosen &= (indices >= column_ends[i]) & (indices < column_ends[i + 1])
                indices = indices[chosen] - np.int32(column_ends[i])
                sources, own_rows = sources[chosen], rows[chosen] - row_ends[o]
            shape = int(row_ends[o + 1] - row_ends[o]), int(column_ends[i + 1] - column_ends[i])
            pointers = np.concatenate(
                ([0], np.cumsum(np.bincount(own_rows, minlength=shape[0])))
            ).astype(np.int32)
            data = flat[np.array(sources)].astype(dtype)
            structure = Structure("csr_array", shape, (np.array(indices), pointers))
            blocks[-1].append(SparseArray(data, structure))
    return blocks
