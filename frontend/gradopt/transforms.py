# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""grad, value_and_grad, jvp, vjp and stop_gradient.

Nothing is differentiated here. The function is traced into a function of the module, and a
`grad.vjp` or `grad.jvp` op asks the compiler for the derivative. Values of the enclosing trace
that the function uses become extra arguments of it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from mlir import ir

from gradopt import prims
from gradopt.calling import call_user, describe_value, function_name, result_tracer
from gradopt.dialects import grad as dialect
from gradopt.errors import (
    ArgumentError,
    ArgumentTypeError,
    NonScalarLossError,
    hide_frames,
)
from gradopt.location import function_source
from gradopt.pytree import TreeDef, flatten, flatten_like, leaf_paths, tree_map
from gradopt.trace import Scope, current_scope, entered
from gradopt.tracer import Tracer
from gradopt.ufuncs import scalar

ArgNums = int | Sequence[int]


@dataclass(frozen=True)
class _Inner:
    """A function of the module that was traced to be differentiated.

    Attributes:
        name: symbol name.
        inputs: values of the enclosing function for all its arguments, lifted ones included.
        results: result types.
    """

    name: str
    inputs: list[Tracer]
    results: list[ir.Type]


def _trace_inner(
    function: Callable[..., Any],
    leaves: Sequence[Tracer],
    paths: Sequence[str],
    body: Callable[[list[Tracer]], tuple[list[Tracer], Any]],
) -> tuple[_Inner, Any]:
    """Traces `body` as a function of `leaves`; gives it, and what else body returns."""
    outer = prims.scope()
    name = outer.trace.unique_name(function_name(function))
    inner = Scope(outer.trace, outer, name, function)
    with entered(inner):
        arguments = [
            inner.add_argument(leaf.shape, leaf.dtype, path, leaf._weak)
            for leaf, path in zip(leaves, paths, strict=True)
        ]
        results, extra = body(arguments)
        types = inner.finish(results)
    return _Inner(name, [*leaves, *inner.lifted], types), extra


def _emit_vjp(
    inner: _Inner, cotangents: Sequence[Tracer], wrt: Sequence[int], of: Sequence[int]
) -> tuple[list[Tracer], list[Tracer]]:
    """The results of the function, and the cotangents of the arguments `wrt`."""
    here = prims.scope()
    inputs = [here.use(value) for value in inner.inputs]
    types = [*inner.results, *[inputs[i].type for i in wrt]]
    outputs = here.emit_many(
        dialect.VjpOp,
        types,
        inner.name,
        inputs,
        [here.use(value) for value in cotangents],
        list(wrt),
        list(of),
    )
    count = len(inner.results)
    return outputs[:count], outputs[count:]


def _emit_jvp(
    inner: _Inner, tangents: Sequence[Tracer], wrt: Sequence[int], of: Sequence[int]
) -> tuple[list[Tracer], list[Tracer]]:
    """The results of the function, and the tangents of the results `of`."""
    here = prims.scope()
    inputs = [here.use(value) for value in inner.inputs]
    types = [*inner.results, *[inner.results[i] for i in of]]
    outputs = here.emit_many(
        dialect.JvpOp,
        types,
        inner.name,
        inputs,
        [here.use(value) for value in tangents],
        list(wrt),
        list(of),
    )
    count = len(inner.results)
    return outputs[:count], outputs[count:]


def _traced_leaves(tree: Any, root: str) -> tuple[list[Tracer], TreeDef, list[str]]:
    """The leaves of an argument as traced arrays, its structure, and their paths."""
    leaves, treedef = flatten(tree)
    paths = leaf_paths(treedef, root)
    traced = [
        result_tracer(leaf, path) for leaf, path in zip(leaves, paths, strict=True)
    ]
    for value, leaf in zip(traced, leaves, strict=True):
        if not isinstance(leaf, Tracer) and type(leaf) in (bool, int, float):
            value._weak = True
    return traced, treedef, paths


# -- Gradients ---------------------------------------------------------------------------------


def _normalize_argnums(argnums: ArgNums) -> tuple[int, ...]:
    numbers = (argnums,) if isinstance(argnums, (int, np.integer)) else argnums
    if not isinstance(numbers, (tuple, list)) or not all(
        isinstance(n, (int, np.integer)) and not isinstance(n, bool) for n in numbers
    ):
        raise ArgumentTypeError(f"argnums must be an int or a tuple of ints, not {argnums!r}")
    if not numbers:
        raise ArgumentError("argnums is empty: name at least one argument")
    return tuple(int(n) for n in numbers)


class _Gradient:
    """What `grad` and `value_and_grad` return."""

    def __init__(
        self, function: Callable[..., Any], argnums: ArgNums, has_aux: bool, with_value: bool
    ) -> None:
        if not callable(function):
            raise ArgumentTypeError(f"expected a function, but got {type(function).__name__}")
        functools.update_wrapper(self, function, updated=())
        self._function = function
        self._argnums = _normalize_argnums(argnums)
        self._single = isinstance(argnums, (int, np.integer))
        self._has_aux = has_aux
        self._with_value = with_value
        self._compiled: Callable[..., Any] | None = None

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return self if instance is None else functools.partial(self, instance)

    @hide_frames
    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if current_scope() is not None:
            return self._emit(args, kwargs)
        if self._compiled is None:
            from gradopt.compiled import Compiled

            self._compiled = Compiled(self)
        return self._compiled(*args, **kwargs)

    def _selected(self, count: int) -> list[int]:
        selected: list[int] = []
        for number in self._argnums:
            if not -count <= number < count:
                raise ArgumentError(
                    f"argnums names argument {number} of {function_name(self._function)}, which "
                    f"was called with {count} positional argument{'s' if count != 1 else ''}"
                )
            selected.append(number % count)
        if len(set(selected)) != len(selected):
            raise ArgumentError(f"argnums {self._argnums} names an argument twice")
        return selected

    def _emit(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        selected = self._selected(len(args))
        leaves: list[Tracer] = []
        paths: list[str] = []
        trees: list[TreeDef] = []
        for number in selected:
            some, tree, names = _traced_leaves(args[number], f"args[{number}]")
            leaves += some
            paths += names
            trees.append(tree)
        for leaf, path in zip(leaves, paths, strict=True):
            if leaf.dtype.kind != "f":
                raise ArgumentTypeError(
                    f"cannot differentiate with respect to {path} of dtype {leaf.dtype}: "
                    "gradients need float32 or float64; convert the argument to float",
                    function_source(self._function),
                )

        def body(arguments: list[Tracer]) -> tuple[list[Tracer], Any]:
            values = iter(arguments)
            inner_args = list(args)
            for number, tree in zip(selected, trees, strict=True):
                inner_args[number] = tree.unflatten([next(values) for _ in range(tree.leaf_count)])
            result = call_user(self._function, tuple(inner_args), kwargs)
            aux: Any = None
            if self._has_aux:
                if type(result) is not tuple or len(result) != 2:
                    raise ArgumentError(
                        f"with has_aux=True {function_name(self._function)} must return "
                        f"(loss, aux), but it returned {describe_value(result)}",
                        function_source(self._function),
                    )
                result, aux = result
            loss = self._scalar_loss(result)
            aux_leaves, aux_tree = flatten(aux)
            aux_paths = leaf_paths(aux_tree, "aux")
            traced = [
                result_tracer(leaf, path) for leaf, path in zip(aux_leaves, aux_paths, strict=True)
            ]
            return [loss, *traced], aux_tree

        inner, aux_tree = _trace_inner(self._function, leaves, paths, body)
        seed = scalar(1, _element_dtype(inner.results[0]))
        (loss, *aux), gradients = _emit_vjp(inner, [seed], range(len(leaves)), [0])
        parts = iter(gradients)
        by_argument = [tree.unflatten([next(parts) for _ in range(tree.leaf_count)]) for tree in trees]
        grads = by_argument[0] if self._single else tuple(by_argument)
        aux_value = aux_tree.unflatten(aux)
        if self._with_value:
            return ((loss, aux_value), grads) if self._has_aux else (loss, grads)
        return (grads, aux_value) if self._has_aux else grads

    def _scalar_loss(self, result: Any) -> Tracer:
        name, place = function_name(self._function), function_source(self._function)
        leaves, tree = flatten(result)
        if tree.cls is not None:
            hint = "; with has_aux=True it may return (loss, aux)" if len(leaves) == 2 else ""
            raise NonScalarLossError(
                f"the gradient of {name} needs a scalar result, but it returned "
                f"{describe_value(result)}{hint}",
                place,
            )
        loss = result_tracer(result, "result")
        if loss.shape != ():
            raise NonScalarLossError(
                f"the gradient of {name} needs a scalar result, but it returned an array of shape "
                f"{loss.shape}; reduce it, for example with numpy.sum, or use vjp",
                place,
            )
        if loss.dtype.kind != "f":
            raise NonScalarLossError(
                f"the gradient of {name} needs a float result, but it returned {loss.dtype}", place
            )
        return loss


def _element_dtype(type_: ir.Type) -> np.dtype[Any]:
    from gradopt.context import shape_and_dtype

    return shape_and_dtype(type_)[1]


def grad(
    function: Callable[..., Any], argnums: ArgNums = 0, has_aux: bool = False
) -> Callable[..., Any]:
    """The gradient of a scalar-valued function.

    Usable inside traced code and nested to any order; called by itself it compiles on the first
    call.

    Args:
        function: returns a float scalar; `(loss, aux)` with `has_aux`.
        argnums: which positional arguments to differentiate with respect to.
        has_aux: whether the function returns auxiliary data beside the loss.

    Returns:
        A function of the same arguments. Its result has the structure, shapes and dtypes of the
        argument (a tuple of them if `argnums` is a tuple); `(gradient, aux)` with `has_aux`.

    Raises:
        NonScalarLossError: when called, if the result is not a float scalar.
        ArgumentTypeError: when called, if a selected argument is not of floats.
    """
    return _Gradient(function, argnums, has_aux, with_value=False)


def value_and_grad(
    function: Callable[..., Any], argnums: ArgNums = 0, has_aux: bool = False
) -> Callable[..., Any]:
    """As `grad`, but the result is `(value, gradient)`, or `((value, aux), gradient)`."""
    return _Gradient(function, argnums, has_aux, with_value=True)


# -- Forward and reverse products --------------------------------------------------------------


def _directions(
    values: Any, treedef: TreeDef, primals: Sequence[Tracer], root: str
) -> list[Tracer | None]:
    """Tangents or cotangents checked against the values they belong to; None for non-floats."""
    leaves = flatten_like(values, treedef, root)
    checked: list[Tracer | None] = []
    for leaf, primal, path in zip(leaves, primals, leaf_paths(treedef, root), strict=True):
        if primal.dtype.kind != "f":
            if isinstance(leaf, Tracer) or np.asarray(leaf).astype(bool).any():
                raise ArgumentTypeError(
                    f"{path} belongs to a value of dtype {primal.dtype}, which has no derivative; "
                    "it must be a concrete zero"
                )
            checked.append(None)
            continue
        weak = leaf._weak if isinstance(leaf, Tracer) else type(leaf) in (bool, int, float)
        direction = prims.as_traced(leaf, primal.dtype) if weak else result_tracer(leaf, path)
        if direction.shape != primal.shape:
            raise ArgumentError(
                f"{path} has shape {direction.shape}, but its value has shape {primal.shape}"
            )
        if direction.dtype != primal.dtype:
            raise ArgumentTypeError(
                f"{path} has dtype {direction.dtype}, but its value has dtype {primal.dtype}"
            )
        checked.append(direction)
    return checked


def _split_aux(result: Any, has_aux: bool, function: Callable[..., Any]) -> tuple[Any, Any]:
    if not has_aux:
        return result, None
    if type(result) is not tuple or len(result) != 2:
        raise ArgumentError(
            f"with has_aux=True {function_name(function)} must return (result, aux), but it "
            f"returned {describe_value(result)}",
            function_source(function),
        )
    return result


@dataclass(frozen=True)
class _Linearization:
    """A traced function with the structures of what goes in and comes out."""

    inner: _Inner
    primals: list[Tracer]
    in_tree: TreeDef
    out_tree: TreeDef
    aux_tree: TreeDef
    out_count: int
    of: list[int]
    wrt: list[int]


def _linearize(
    function: Callable[..., Any], primals: tuple[Any, ...], has_aux: bool
) -> _Linearization:
    leaves, in_tree, paths = _traced_leaves(primals, "primals")

    def body(arguments: list[Tracer]) -> tuple[list[Tracer], Any]:
        out, aux = _split_aux(
            call_user(function, in_tree.unflatten(arguments), {}), has_aux, function
        )
        results: list[Tracer] = []
        trees: list[Any] = []
        for value, root in ((out, "result"), (aux, "aux")):
            parts, tree = flatten(value)
            results += [
                result_tracer(part, path)
                for part, path in zip(parts, leaf_paths(tree, root), strict=True)
            ]
            trees.append(tree)
        of = [i for i in range(trees[0].leaf_count) if results[i].dtype.kind == "f"]
        return results, (*trees, of)

    inner, (out_tree, aux_tree, of) = _trace_inner(function, leaves, paths, body)
    wrt = [i for i, leaf in enumerate(leaves) if leaf.dtype.kind == "f"]
    return _Linearization(
        inner, leaves, in_tree, out_tree, aux_tree, out_tree.leaf_count, of, wrt
    )


@hide_frames
def jvp(
    function: Callable[..., Any],
    primals: Sequence[Any],
    tangents: Sequence[Any],
    has_aux: bool = False,
) -> Any:
    """Value and directional derivative: the Jacobian times `tangents`.

    Called outside a trace it is compiled anew each time; to call it often, `compile` a function
    that calls it.

    Args:
        function: any function of arrays.
        primals: tuple of its arguments.
        tangents: as `primals`, same structure, shapes and dtypes; zeros for integers.
        has_aux: whether the function returns `(result, aux)`.

    Returns:
        `(result, tangent of the result)`, and aux.

    Raises:
        ArgumentError: the tangents do not fit the primals; the message names the path.
    """
    if not isinstance(primals, (tuple, list)) or not isinstance(tangents, (tuple, list)):
        raise ArgumentTypeError("primals and tangents must be tuples, one entry per argument")
    primals, tangents = tuple(primals), tuple(tangents)
    if current_scope() is None:
        from gradopt.compiled import Compiled

        return Compiled(functools.partial(jvp, function, has_aux=has_aux))(primals, tangents)
    flat, tree = flatten(primals)
    traced = [result_tracer(v, p) for v, p in zip(flat, leaf_paths(tree, "primals"), strict=True)]
    directions = _directions(tangents, tree, traced, "tangents")
    traced_function = _linearize(function, primals, has_aux)
    chosen = [d for d in directions if d is not None]
    results, moved = _emit_jvp(
        traced_function.inner, chosen, traced_function.wrt, traced_function.of
    )
    count = traced_function.out_count
    by_result = dict(zip(traced_function.of, moved, strict=True))
    tangents_out = [
        by_result[i] if i in by_result else prims.full(r.shape, 0, r.dtype)
        for i, r in enumerate(results[:count])
    ]
    out = traced_function.out_tree.unflatten(results[:count])
    tangent = traced_function.out_tree.unflatten(tangents_out)
    if has_aux:
        return out, tangent, traced_function.aux_tree.unflatten(results[count:])
    return out, tangent


@hide_frames
def vjp(function: Callable[..., Any], *primals: Any, has_aux: bool = False) -> Any:
    """Value, and the function that multiplies cotangents with the Jacobian.

    Called outside a trace, both parts are compiled anew; to call it often, `compile` a function
    that calls it.

    Args:
        function: any function of arrays.
        primals: its arguments, of floats.
        has_aux: whether the function returns `(result, aux)`.

    Returns:
        `(result, pullback)`, and aux. `pullback(cotangent)` takes a cotangent of the structure of
        the result and returns a tuple with one entry for each argument.

    Raises:
        ArgumentTypeError: an argument is not of floats.
    """
    if current_scope() is None:
        return _vjp_concrete(function, primals, has_aux)
    traced_function = _linearize(function, primals, has_aux)
    paths = leaf_paths(traced_function.in_tree, "primals")
    for leaf, path in zip(traced_function.primals, paths, strict=True):
        if leaf.dtype.kind != "f":
            raise ArgumentTypeError(
                f"cannot differentiate with respect to {path} of dtype {leaf.dtype}: gradients "
                "need float32 or float64",
                function_source(function),
            )
    inner, count = traced_function.inner, traced_function.out_count
    here = prims.scope()
    results = here.emit_many(
        dialect.CallOp, inner.results, inner.name, [here.use(v) for v in inner.inputs]
    )

    def pullback(cotangent: Any) -> tuple[Any, ...]:
        directions = _directions(cotangent, traced_function.out_tree, results[:count], "cotangent")
        chosen = [d for d in directions if d is not None]
        _, gradients = _emit_vjp(inner, chosen, traced_function.wrt, traced_function.of)
        return traced_function.in_tree.unflatten(gradients)

    out = traced_function.out_tree.unflatten(results[:count])
    if has_aux:
        return out, pullback, traced_function.aux_tree.unflatten(results[count:])
    return out, pullback


def _vjp_concrete(function: Callable[..., Any], primals: tuple[Any, ...], has_aux: bool) -> Any:
    from gradopt.compiled import Compiled

    # The caller may change its arrays before it calls the pullback.
    kept = tree_map(lambda leaf: leaf.copy() if isinstance(leaf, np.ndarray) else leaf, primals)

    def pull(arguments: tuple[Any, ...], cotangent: Any) -> Any:
        return vjp(function, *arguments, has_aux=has_aux)[1](cotangent)

    def forward(*arguments: Any) -> Any:
        # Traces the function as vjp does, so that both raise the same errors.
        result = vjp(function, *arguments, has_aux=has_aux)
        return (result[0], result[2]) if has_aux else result[0]

    result = Compiled(functools.wraps(function)(forward))(*primals)
    backward = Compiled(functools.wraps(function)(pull))

    def pullback(cotangent: Any) -> tuple[Any, ...]:
        return backward(kept, cotangent)

    if has_aux:
        return result[0], pullback, result[1]
    return result, pullback


def stop_gradient(tree: Any) -> Any:
    """The same values, which derivatives take for constants.

    Args:
        tree: pytree of arrays.
    """

    def stop(leaf: Any) -> Any:
        if isinstance(leaf, Tracer) and leaf.dtype.kind == "f":
            return prims.stop_gradient(leaf)
        return leaf

    return tree_map(stop, tree)
