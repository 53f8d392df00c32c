# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""grad, value_and_grad and stop_gradient."""

from __future__ import annotations

import functools
from collections.abc import Callable, Hashable, Sequence
from typing import Any

import numpy as np

from gradopt.array.handle import Handle, python_number, wrap
from gradopt.base.frames import hide_frames
from gradopt.base.location import function_source
from gradopt.base.pickling import global_name
from gradopt.base.pytree import TreeDef, flatten, leaf_paths, tree_map
from gradopt.compilation.calling import (
    argument_names,
    call_user,
    check_callable,
    describe_value,
    function_name,
    returned_value,
)
from gradopt.compilation.compiled import Compiled
from gradopt.compilation.references import PARTS, reference_key
from gradopt.errors import ArgumentError, ArgumentTypeError, NonScalarLossError
from gradopt.ir import prims
from gradopt.ir.current import current_scope, scope, trace_count
from gradopt.ir.prims import scalar
from gradopt.ir.values import Value
from gradopt.transforms.inner import emit_vjp, split_aux, trace_inner, traced_leaves

ArgNums = int | Sequence[int]


def _normalize_argnums(argnums: Any) -> tuple[int, ...]:
    numbers = (argnums,) if isinstance(argnums, (int, np.integer)) else argnums
    if not isinstance(numbers, (tuple, list)) or not all(
        isinstance(n, (int, np.integer)) and not isinstance(n, bool) for n in numbers
    ):
        raise ArgumentTypeError(f"argnums must be an int or a tuple of ints, not {argnums!r}")
    if not numbers:
        raise ArgumentError("argnums is empty: name at least one argument")
    return tuple(int(n) for n in numbers)


class _ForeignError(Exception):
    """An argument has a class of the user's, whose methods may change."""


class _Direct(Compiled):
    """What a gradient called outside a trace runs, as long as it refers to the same."""

    def _flatten(self, args: Any, kwargs: Any) -> Any:
        raise _ForeignError


# Of arrays that what is kept refers to, and by which it is found again.
_MOST_KEPT_BYTES = 4 << 20


@functools.lru_cache(16)
def _kept(key: Hashable) -> list[_Direct]:
    """Room for what was compiled for a gradient that has this key."""
    return []


class _Gradient:
    """What `grad` and `value_and_grad` return."""

    def __init__(
        self, function: Callable[..., Any], argnums: ArgNums, has_aux: bool, with_value: bool
    ) -> None:
        check_callable(function)
        functools.update_wrapper(self, function, updated=())
        self._function = function
        self._argnums = _normalize_argnums(argnums)
        self._single = isinstance(argnums, (int, np.integer))
        self._has_aux = has_aux
        self._with_value = with_value

    def __repr__(self) -> str:
        kind = "value_and_grad" if self._with_value else "grad"
        return f"{kind}<{function_name(self._function)}>"

    def __reduce__(self) -> str | tuple[Any, ...]:
        return global_name(self) or (
            _Gradient,
            (
                self._function,
                self._argnums[0] if self._single else self._argnums,
                self._has_aux,
                self._with_value,
            ),
        )

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return self if instance is None else functools.partial(self, instance)

    @hide_frames
    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if current_scope() is not None:
            return self._emit(args, kwargs)
        key = reference_key(self, _MOST_KEPT_BYTES)
        if key is None:
            return Compiled(self)(*args, **kwargs)
        kept = _kept(key)
        compiled = kept[0] if kept else _Direct(self)
        before = trace_count()
        try:
            result = compiled(*args, **kwargs)
        except _ForeignError:
            kept = result = None
        if kept is None:
            return Compiled(self)(*args, **kwargs)
        if trace_count() != before:
            # It may have changed what it refers to.
            kept[:] = [compiled] if reference_key(self, _MOST_KEPT_BYTES) == key else []
        return result

    def _selected(self, count: int) -> list[int]:
        selected: list[int] = []
        for number in self._argnums:
            if not -count <= number < count:
                raise ArgumentError(
                    f"argnums names argument {number} of {function_name(self._function)}, which "
                    f"was called with {count} positional argument{'s' if count != 1 else ''}; "
                    "pass what to differentiate with respect to by position"
                )
            selected.append(number % count)
        if len(set(selected)) != len(selected):
            raise ArgumentError(f"argnums {self._argnums} names an argument twice")
        return selected

    def _emit(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        selected = self._selected(len(args))
        leaves: list[Handle] = []
        paths: list[str] = []
        trees: list[TreeDef] = []
        roots = argument_names(self._function, len(args))
        for number in selected:
            some, tree, names = traced_leaves(args[number], roots[number])
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

        def body(arguments: list[Handle]) -> tuple[list[Value], Any]:
            values = iter(arguments)
            inner_args = list(args)
            for number, tree in zip(selected, trees, strict=True):
                inner_args[number] = tree.unflatten([next(values) for _ in range(tree.leaf_count)])
            result = call_user(self._function, tuple(inner_args), kwargs)
            aux: Any = None
            if self._has_aux:
                result, aux = split_aux(result, "loss", self._function)
            loss = self._scalar_loss(result)
            aux_leaves, aux_tree = flatten(aux)
            aux_paths = leaf_paths(aux_tree, "aux")
            traced = [
                returned_value(leaf, path, self._function)
                for leaf, path in zip(aux_leaves, aux_paths, strict=True)
            ]
            return [loss, *traced], aux_tree

        inner, aux_tree = trace_inner(self._function, leaves, paths, body)
        _, dtype = scope().trace.context.shape_and_dtype(inner.results[0])
        seed = scalar(1, dtype)
        results, gradients = emit_vjp(inner, [seed], range(len(leaves)), [0])
        loss, *aux = wrap(results)
        parts = iter(wrap(gradients))
        by_argument = [
            tree.unflatten([next(parts) for _ in range(tree.leaf_count)]) for tree in trees
        ]
        grads = by_argument[0] if self._single else tuple(by_argument)
        aux_value = aux_tree.unflatten(aux)
        if self._with_value:
            return ((loss, aux_value), grads) if self._has_aux else (loss, grads)
        return (grads, aux_value) if self._has_aux else grads

    def _scalar_loss(self, result: Any) -> Value:
        leaves, tree = flatten(result)
        if tree.cls is not None:
            hint = "; with has_aux=True it may return (loss, aux)" if len(leaves) == 2 else ""
            raise self._loss_error("a scalar", f"{describe_value(result)}{hint}")
        loss = returned_value(result, "result", self._function)
        if loss.shape != ():
            raise self._loss_error(
                "a scalar",
                f"an array of shape {loss.shape}; reduce it, for example with numpy.sum, or use "
                "vjp",
            )
        if loss.dtype.kind != "f":
            raise self._loss_error("a float", str(loss.dtype))
        return loss

    def _loss_error(self, needed: str, got: str) -> NonScalarLossError:
        return NonScalarLossError(
            f"the gradient of {function_name(self._function)} needs {needed} result, but it "
            f"returned {got}",
            function_source(self._function),
        )


PARTS[_Gradient] = lambda gradient: (
    gradient._function,
    gradient._argnums,
    gradient._single,
    gradient._has_aux,
    gradient._with_value,
)


def grad(
    function: Callable[..., Any], argnums: ArgNums = 0, has_aux: bool = False
) -> Callable[..., Any]:
    """The gradient of a scalar-valued function.

    Usable inside traced code and nested to any order. Called outside a trace it sees what the
    function refers to as it is now: it traces the function again unless that is known to be what it
    was, and compiles what it has not compiled before. To call it often, use `compile_grad`.

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


def stop_gradient(tree: Any) -> Any:
    """The same values, which derivatives take for constants.

    Args:
        tree: pytree of arrays.
    """

    def stop(leaf: Any) -> Any:
        if isinstance(leaf, Handle) and leaf.dtype.kind == "f":
            stopped = prims.stop_gradient(leaf._read())
            return python_number(stopped) if leaf._weak else wrap(stopped)
        return leaf

    return tree_map(stop, tree)
