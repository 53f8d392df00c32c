# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""grad, value_and_grad and stop_gradient."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gradopt.array.handle import Handle, python_number, wrap
from gradopt.base.dtypes import is_inexact, kind_of
from gradopt.base.frames import hide_frames
from gradopt.base.location import function_source
from gradopt.base.pytree import flatten, tree_map
from gradopt.compilation.arguments import checked_flag
from gradopt.compilation.calling import (
    call_user,
    describe_returned,
    function_name,
    returned_value,
)
from gradopt.errors import NonScalarLossError
from gradopt.ir import prims
from gradopt.ir.prims import scalar
from gradopt.ir.types import shape_and_dtype
from gradopt.ir.values import Value
from gradopt.transforms.inner import Aux, emit_vjp, shown, split_aux, trace_inner
from gradopt.transforms.transform import ArgNums, Arguments, Transform


class _Gradient(Transform):
    """What `grad` and `value_and_grad` return."""

    def __init__(
        self,
        function: Callable[..., Any],
        argnums: ArgNums,
        has_aux: bool,
        holomorphic: bool,
        with_value: bool,
    ) -> None:
        super().__init__(function)
        self._arguments = Arguments(argnums)
        self._has_aux = checked_flag(has_aux, "has_aux")
        self._holomorphic = checked_flag(holomorphic, "holomorphic")
        self._with_value = with_value

    @property
    def kind(self) -> str:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The transform."""
        return "value_and_grad" if self._with_value else "grad"

    def _parameters(self) -> tuple[Any, ...]:
        return (
            self._function,
            self._arguments.given,
            self._has_aux,
            self._holomorphic,
            self._with_value,
        )

    def _emit(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        selection = self._arguments.select(self._function, args, with_sized=True)
        if self._holomorphic:
            selection.require_complex(self._function)

        def body(arguments: list[Handle]) -> tuple[list[Value], Any]:
            result = call_user(self._function, selection.arguments(arguments), kwargs)
            aux: Any = None
            if self._has_aux:
                result, aux = split_aux(result, "loss", self._function)
            loss = self._scalar_loss(result)
            beside = Aux(aux, self._function)
            return [loss, *beside.values], beside

        leaves = selection.leaves
        inner, aux = trace_inner(self._function, leaves, selection.paths, body)
        _, dtype = shape_and_dtype(inner.results[0])
        seed = scalar(1, dtype)
        results, gradients = emit_vjp(inner, [seed], range(len(leaves)), [0])
        loss, *arrays = wrap(results)
        shapes = [leaf._extents for leaf in leaves]
        grads = selection.like(shown(gradients, shapes))
        aux_value = aux.put(arrays)
        if self._with_value:
            return ((loss, aux_value), grads) if self._has_aux else (loss, grads)
        return (grads, aux_value) if self._has_aux else grads

    def _scalar_loss(self, result: Any) -> Value:
        leaves, tree = flatten(result)
        if tree.cls is not None:
            hint = "; with has_aux=True it may return (loss, aux)" if len(leaves) == 2 else ""
            raise self._loss_error("a scalar", f"{describe_returned(result)}{hint}")
        loss = returned_value(result, "result", self._function)
        if loss.shape != ():
            raise self._loss_error(
                "a scalar",
                f"an array of shape {loss.shape}; reduce it, for example with numpy.sum, or use "
                "vjp",
            )
        if self._holomorphic and loss.dtype.kind != "c":
            raise self._loss_error("a complex (holomorphic=True)", str(loss.dtype))
        if not self._holomorphic and kind_of(loss.dtype) != "f":
            hint = (
                "; take numpy.real of it, or pass holomorphic=True if the function is holomorphic"
                if loss.dtype.kind == "c"
                else ""
            )
            raise self._loss_error("a float", f"{loss.dtype}{hint}")
        return loss

    def _loss_error(self, needed: str, got: str) -> NonScalarLossError:
        return NonScalarLossError(
            f"the gradient of {function_name(self._function)} needs {needed} result, but it "
            f"returned {got}",
            function_source(self._function),
        )


@hide_frames
def grad(
    function: Callable[..., Any],
    argnums: ArgNums = 0,
    has_aux: bool = False,
    holomorphic: bool = False,
) -> Callable[..., Any]:
    """The gradient of a scalar-valued function.

    Usable inside traced code and nested to any order. Called outside a trace it sees what the
    function refers to as it is now: it traces the function again unless that is known to be what it
    was, and compiles what it has not compiled before. To call it often, use `compile_grad`.

    Args:
        function: returns a float scalar; `(loss, aux)` with `has_aux`.
        argnums: which positional arguments to differentiate with respect to.
        has_aux: whether the function returns auxiliary data beside the loss.
        holomorphic: whether the function is holomorphic: arguments and result are complex, and so
            is the derivative. Without it, the gradient in a complex argument x + iy is
            dL/dx - i dL/dy.

    Returns:
        A function of the same arguments. Its result has the structure, shapes and dtypes of the
        argument (a tuple of them if `argnums` is a tuple); `(gradient, aux)` with `has_aux`.

    Raises:
        NonScalarLossError: when called, if the result is not a float scalar.
        ArgumentTypeError: when called, if a selected argument is not of floats.
    """
    return _Gradient(function, argnums, has_aux, holomorphic, with_value=False)


@hide_frames
def value_and_grad(
    function: Callable[..., Any],
    argnums: ArgNums = 0,
    has_aux: bool = False,
    holomorphic: bool = False,
) -> Callable[..., Any]:
    """As `grad`, but the result is `(value, gradient)`, or `((value, aux), gradient)`."""
    return _Gradient(function, argnums, has_aux, holomorphic, with_value=True)


def stop_gradient(tree: Any) -> Any:
    """The same values, which derivatives take for constants.

    Args:
        tree: pytree of arrays.
    """

    def stop(leaf: Any) -> Any:
        if isinstance(leaf, Handle) and is_inexact(leaf.dtype):
            stopped = prims.stop_gradient(leaf._read())
            return python_number(stopped) if leaf._weak else wrap(stopped)
        return leaf

    return tree_map(stop, tree)
