# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Functions that are transformed: traced into the module, with requests to the compiler.

Nothing is transformed here. The function is traced into a function of the module, and a
`grad.vjp`, `grad.jvp` or `grad.vmap` op asks the compiler for what is made of it. Values of the
enclosing trace that the function uses become extra arguments of it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from gradopt.array.handle import Handle, argument_array, array_of, python_number, wrap
from gradopt.array.unknown_sizes import apart, first_of, whole_of
from gradopt.array.views import Strides, is_row_major
from gradopt.base.dtypes import PYTHON_NUMBERS
from gradopt.base.location import function_source
from gradopt.base.pytree import TreeDef, flatten, leaf_paths
from gradopt.compilation.calling import (
    describe_returned,
    function_name,
    result_value,
    returned_value,
)
from gradopt.errors import ArgumentError
from gradopt.ir import checks, outcomes, prims
from gradopt.ir.extents import Sizes, bounds_of, confined
from gradopt.ir.trace import Scope, within
from gradopt.ir.types import shape_and_dtype, tensor_type
from gradopt.ir.values import Shape, Value
from gradopt.recording import grad as dialect


class InnerFunction(NamedTuple):
    """A function of the module that was traced to be transformed.

    Attributes:
        name: symbol name.
        inputs: values of the enclosing function for all its arguments, lifted ones included.
        results: result types.
        outcome: types of the results that tell what came of checks.
    """

    name: str
    inputs: list[Value]
    results: list[str]
    outcome: list[str]


def trace_inner(
    function: Callable[..., Any],
    leaves: Sequence[Handle],
    paths: Sequence[str],
    body: Callable[[list[Handle]], tuple[list[Value], Any]],
    axes: Sequence[int | None] | None = None,
) -> tuple[InnerFunction, Any]:
    """Traces `body` as a function of `leaves`; gives it, and what else body returns.

    It is to be differentiated; or, with `axes`, to be mapped: a function of the elements of a leaf
    along its axis, and of the whole leaf where that is None.
    """

    def enter(inner: Scope) -> list[Handle]:
        inner.owns_arguments = inner.trace.rewrites
        frozen = not inner.owns_arguments
        along = axes or [None] * len(leaves)
        # All arguments come before the sizes of some, which are values of outer functions.
        values = [
            _add_like(inner, leaf, path, axis)
            for leaf, path, axis in zip(leaves, paths, along, strict=True)
        ]
        return [
            _argument_of(value, leaf, path, axis, frozen)
            for value, leaf, path, axis in zip(values, leaves, paths, along, strict=True)
        ]

    inner, extra = trace_function(function, enter, body, derivatives=int(axes is None))
    inputs = [*map(whole_of, leaves), *inner.inputs]
    return inner._replace(inputs=inputs), extra


def trace_function(
    function: Callable[..., Any],
    enter: Callable[[Scope], list[Handle]],
    body: Callable[[list[Handle]], tuple[list[Value], Any]],
    derivatives: int = 0,
) -> tuple[InnerFunction, Any]:
    """Traces `body` as a function of the arguments that `enter` adds.

    Args:
        function: what to name it after.
        enter: adds the arguments.
        body: gives results, and something else.
        derivatives: how many derivatives the caller asks for, beside those of its own code.

    Returns:
        The function, with the lifted values alone as its inputs, and what else body returned.
    """
    outer = prims.scope()
    name = outer.trace.unique_name(function_name(function))
    inner = Scope(outer.trace, outer, name, function)
    inner.order = outer.order + derivatives

    def build() -> tuple[int, list[str], Any]:
        try:
            results, extra = body(enter(inner))
            types = inner.finish([*results, *checks.outcome_of(inner)])
        except BaseException:
            # The caller may catch the error and go on: leave a valid function behind.
            with contextlib.suppress(Exception):
                inner.finish([])
            raise
        return len(results), types, extra

    count, types, extra = within(inner, build)
    return InnerFunction(name, [*inner.lifted], types[:count], types[count:]), extra


def argument_like(
    inner: Scope, leaf: Handle, path: str, axis: int | None = None, frozen: bool = True
) -> Handle:
    """A new argument of the function: like a leaf, or like its elements along an axis."""
    return _argument_of(_add_like(inner, leaf, path, axis), leaf, path, axis, frozen)


def _add_like(inner: Scope, leaf: Handle, path: str, axis: int | None) -> Value:
    shape = bounds_of(leaf._extents)
    if axis is not None:
        shape = shape[:axis] + shape[axis + 1 :]
    return inner.add_argument(shape, leaf.dtype, path)


def _argument_of(value: Value, leaf: Handle, path: str, axis: int | None, frozen: bool) -> Handle:
    if leaf._extents.__class__ is Sizes:
        part = first_of(value, leaf._extents)
        part._storage.argument = f"the argument {path}"
        part._storage.frozen = frozen
        return part
    if axis is None:
        weak, scalar = leaf._weak, leaf._is_scalar
        strides = _memory_order(leaf) if leaf._extents else ()
        return argument_array(value, path, weak=weak, scalar=scalar, frozen=frozen, strides=strides)
    strides = _memory_order(leaf, axis)
    return argument_array(value, path, scalar=not value.shape, frozen=frozen, strides=strides)


def _emit(
    builder: Any, inner: InnerFunction, derivatives: Sequence[str], *operands: Any
) -> tuple[list[Value], list[Value]]:
    """Adds an op that calls the function: its results, and derivatives behind them."""
    types = [*inner.results, *inner.outcome, *derivatives]
    outputs = prims.scope().emit_many(builder, types, inner.name, *operands)
    count = len(inner.results)
    behind = count + len(inner.outcome)
    if inner.outcome:
        number, value = outputs[count:behind]
        outcomes.add_outcome(number, value)
    return outputs[:count], outputs[behind:]


def emit_call(inner: InnerFunction) -> list[Value]:
    """The results of the function."""
    here = prims.scope()
    return _emit(dialect.CallOp, inner, [], [here.use(value) for value in inner.inputs])[0]


def emit_vjp(
    inner: InnerFunction, cotangents: Sequence[Value], wrt: Sequence[int], of: Sequence[int]
) -> tuple[list[Value], list[Value]]:
    """The results of the function, and the cotangents of the arguments `wrt`."""
    here = prims.scope()
    inputs = [here.use(value) for value in inner.inputs]
    seeds = [here.use(value) for value in cotangents]
    types = [inputs[i].type for i in wrt]
    return _emit(dialect.VjpOp, inner, types, inputs, seeds, list(wrt), list(of))


def emit_jvp(
    inner: InnerFunction, tangents: Sequence[Value], wrt: Sequence[int], of: Sequence[int]
) -> tuple[list[Value], list[Value]]:
    """The results of the function, and the tangents of the results `of`."""
    here = prims.scope()
    inputs = [here.use(value) for value in inner.inputs]
    directions = [here.use(value) for value in tangents]
    types = [inner.results[i] for i in of]
    return _emit(dialect.JvpOp, inner, types, inputs, directions, list(wrt), list(of))


def emit_vmap(
    inner: InnerFunction,
    in_axes: Sequence[int | None],
    out_axes: Sequence[int | None],
    size: int,
) -> list[Value]:
    """The results of the function for all elements along axes of its inputs; None: not mapped."""
    here = prims.scope()
    inputs = [here.use(value) for value in inner.inputs]
    ins = [*in_axes, *[None] * (len(inputs) - len(in_axes))]
    outs = [*out_axes, *[0] * len(inner.outcome)]
    types = [
        _with_axis(kind, axis, size)
        for kind, axis in zip([*inner.results, *inner.outcome], outs, strict=True)
    ]
    none = [-1 if axis is None else axis for axis in (*ins, *outs)]
    outputs = here.emit_many(
        dialect.VmapOp, types, inner.name, inputs, none[: len(ins)], none[len(ins) :], size
    )
    count = len(inner.results)
    if inner.outcome:
        checks.add_outcomes(*outputs[count:])
    return outputs[:count]


def _with_axis(kind: str, axis: int | None, size: int) -> str:
    if axis is None:
        return kind
    shape, dtype = shape_and_dtype(kind)
    return tensor_type((*shape[:axis], size, *shape[axis:]), dtype)


def split_aux(result: Any, name: str, function: Callable[..., Any]) -> tuple[Any, Any]:
    """What a function with auxiliary data returned: the `name` and aux.

    Raises:
        ArgumentError: it did not return two values; at the function's definition.
    """
    if type(result) is not tuple or len(result) != 2:
        raise ArgumentError(
            f"with has_aux=True {function_name(function)} must return ({name}, aux), but it "
            f"returned {describe_returned(result)}",
            function_source(function),
        )
    return result


class Aux:
    """Auxiliary data that a function returned: its arrays, and the parts of those whose size is
    known at run time only, are results of the traced function. Python's numbers stay what they are.

    Attributes:
        values: the arrays.
    """

    def __init__(self, data: Any, function: Callable[..., Any]) -> None:
        leaves, self._tree = flatten(apart(data, Handle._read))
        self._numbers = [x if type(x) in PYTHON_NUMBERS else None for x in leaves]
        paths = leaf_paths(self._tree, "aux")
        self.values = [
            returned_value(leaf, path, function)
            for leaf, path, number in zip(leaves, paths, self._numbers, strict=True)
            if number is None
        ]

    def put(self, arrays: Iterable[Any]) -> Any:
        """The data with other arrays."""
        rest = iter(arrays)
        return self._tree.unflatten([next(rest) if n is None else n for n in self._numbers])


def traced_leaves(
    tree: Any, root: str, with_sized: bool = False
) -> tuple[list[Handle], TreeDef, list[str]]:
    """The leaves of an argument as traced arrays, its structure, and their paths.

    Args:
        tree: the argument.
        root: how the user reaches it.
        with_sized: whether its arrays may be of a size that is known at run time only.
    """
    leaves, treedef = flatten(tree)
    paths = leaf_paths(treedef, root)
    traced: list[Handle] = []
    for leaf, path in zip(leaves, paths, strict=True):
        if isinstance(leaf, Handle) and leaf._extents.__class__ is Sizes:
            if not with_sized:
                raise confined(f"{path}, an array")
            traced.append(leaf)
            continue
        made = like(leaf, result_value(leaf, path))
        if made._extents:
            made._storage.strides = _memory_order(leaf)
        traced.append(made)
    return traced, treedef, paths


def _memory_order(array: Any, axis: int | None = None) -> Strides | None:
    """How an array lies in memory, or its elements along an axis, as `Storage.strides` has it."""
    if isinstance(array, Handle):
        shape, strides = array.shape, array._strides()
        if axis is not None and strides is not None:
            shape = (*shape[:axis], *shape[axis + 1 :])
            strides = (*strides[:axis], *strides[axis + 1 :])
        return () if strides is not None and is_row_major(shape, strides) else strides
    if array.flags.c_contiguous:
        return ()
    size = array.itemsize
    return None if any(s % size for s in array.strides) else tuple(s // size for s in array.strides)


def shown(values: Sequence[Value], shapes: Sequence[Shape]) -> list[Any]:
    """Results as users get them: of those as large as they can be, the elements that there are."""
    return [
        first_of(value, shape) if shape.__class__ is Sizes else wrap(value)
        for value, shape in zip(values, shapes, strict=True)
    ]


def like(leaf: Any, value: Value) -> Handle:
    """The value as what `leaf`, traced or concrete, is: Python number, scalar or array."""
    if leaf._weak if isinstance(leaf, Handle) else type(leaf) in PYTHON_NUMBERS:
        return python_number(value)
    if leaf._is_scalar if isinstance(leaf, Handle) else isinstance(leaf, np.generic):
        return wrap(value)
    return array_of(value)
