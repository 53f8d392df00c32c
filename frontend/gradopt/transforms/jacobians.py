# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Jacobians and Hessians: products with all vectors of a basis at once, as one program."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

from gradopt.array.handle import Handle, array_of, wrap
from gradopt.base.dtypes import is_inexact
from gradopt.base.frames import hide_frames
from gradopt.base.location import function_source
from gradopt.base.pytree import TreeDef, flatten, leaf_paths
from gradopt.compilation.arguments import checked_flag
from gradopt.compilation.calling import call_user, function_name, returned_value
from gradopt.errors import ArgumentError, ArgumentTypeError
from gradopt.ir import prims
from gradopt.ir.extents import bounds_of, shape_with
from gradopt.ir.prims import scalar
from gradopt.ir.types import shape_and_dtype
from gradopt.ir.values import Value
from gradopt.transforms.gradient import grad
from gradopt.transforms.inner import (
    Aux,
    InnerFunction,
    emit_call,
    emit_jvp,
    emit_vjp,
    emit_vmap,
    shown,
    split_aux,
    trace_inner,
)
from gradopt.transforms.jacobian_products import Size, jvp, shapes_outside, whole_results
from gradopt.transforms.transform import ArgNums, Arguments, Transform

Mode = Literal["fwd", "rev"] | None


class Jacobian(Transform):
    """What `jacfwd` and `jacrev` return; without a mode, what takes fewer products."""

    def __init__(
        self,
        function: Callable[..., Any],
        argnums: ArgNums,
        has_aux: bool,
        mode: Mode,
        holomorphic: bool = False,
    ) -> None:
        super().__init__(function)
        if mode not in ("fwd", "rev", None):
            raise ArgumentError(f'mode is "fwd", "rev" or None, not {mode!r}')
        self._argnums = Arguments(argnums)
        self._has_aux = checked_flag(has_aux, "has_aux")
        self._mode: Mode = mode
        self._holomorphic = checked_flag(holomorphic, "holomorphic")

    @property
    def kind(self) -> str:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The transform."""
        return {"fwd": "jacfwd", "rev": "jacrev", None: "jacobian"}[self._mode]

    def _parameters(self) -> tuple[Any, ...]:
        return (
            self._function,
            self._argnums.given,
            self._has_aux,
            self._mode,
            self._holomorphic,
        )

    def _emit(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        selection = self._argnums.select(self._function, args, with_sized=True)
        if self._holomorphic:
            selection.require_complex(self._function)
        else:
            selection.require_real(self._function)

        def body(arguments: list[Handle]) -> tuple[list[Value], Any]:
            out = call_user(self._function, selection.arguments(arguments), kwargs)
            aux: Any = None
            if self._has_aux:
                out, aux = split_aux(out, "result", self._function)
            results, out_tree, sizes, counts = whole_results(out, self._function)
            self._check(results, leaf_paths(out_tree, "result"))
            beside = Aux(aux, self._function)
            return [*results, *counts, *beside.values], (out_tree, beside, sizes)

        inner, (out_tree, aux, sizes) = trace_inner(
            self._function, selection.leaves, selection.paths, body
        )
        count = out_tree.leaf_count
        # Of arrays whose size is known at run time only, for as many elements as there can be.
        outputs = [shape_and_dtype(kind) for kind in inner.results[:count]]
        inputs = [(bounds_of(leaf._extents), leaf.dtype) for leaf in selection.leaves]
        mixed = not self._holomorphic and any(dtype.kind == "c" for _, dtype in outputs)
        if mixed or self._is_forward([s for s, _ in inputs], [s for s, _ in outputs]):
            columns = [self._columns(inner, i, inputs[i], outputs) for i in range(len(inputs))]
            rows = [[column[o] for column in columns] for o in range(count)]
        else:
            rows = [self._rows(inner, o, outputs[o], inputs) for o in range(count)]
        has_counts = any(isinstance(n, Size) and n.total is None for shape in sizes for n in shape)
        beside = emit_call(inner)[count:] if self._has_aux or has_counts else []
        blocks = [
            [
                shown([value], [shape_with([*shape, *leaf._extents])])[0]
                for value, leaf in zip(row, selection.leaves, strict=True)
            ]
            for row, shape in zip(rows, shapes_outside(sizes, beside), strict=True)
        ]
        jacobian = out_tree.unflatten([selection.like(row) for row in blocks])
        if self._has_aux:
            return jacobian, aux.put(wrap(beside[len(beside) - len(aux.values) :]))
        return jacobian

    def _check(self, results: Sequence[Value], paths: Sequence[str]) -> None:
        require_inexact(results, paths, self._function)
        for value, path in zip(results, paths, strict=True):
            if self._holomorphic and value.dtype.kind != "c":
                raise ArgumentTypeError(
                    f"{path} of {function_name(self._function)} has dtype {value.dtype}, but with "
                    "holomorphic=True results are complex",
                    function_source(self._function),
                )
            if self._mode == "rev" and not self._holomorphic and value.dtype.kind == "c":
                raise ArgumentTypeError(
                    f"{path} of {function_name(self._function)} is complex, of real arguments: "
                    "reverse mode gives the derivatives of real results; use jacfwd",
                    function_source(self._function),
                )

    def _is_forward(
        self, inputs: Sequence[tuple[int, ...]], outputs: Sequence[tuple[int, ...]]
    ) -> bool:
        if self._mode is not None:
            return self._mode == "fwd"
        return sum(map(prims.size_of, inputs)) <= sum(map(prims.size_of, outputs))

    def _columns(
        self, inner: InnerFunction, i: int, direction: Any, outputs: Sequence[Any]
    ) -> list[Value]:
        """Derivatives of all results in input `i`."""
        of = range(len(outputs))

        def push(tangent: Value) -> list[Value]:
            return emit_jvp(inner, [tangent], [i], of)[1]

        places = [len(shape) for shape, _ in outputs]
        columns = self._along_basis(direction, push, places)
        return [
            prims.reshape(column, (*shape, *direction[0]))
            for column, (shape, _) in zip(columns, outputs, strict=True)
        ]

    def _rows(
        self, inner: InnerFunction, o: int, direction: Any, inputs: Sequence[Any]
    ) -> list[Value]:
        """Derivatives of result `o` in all inputs."""

        def pull(cotangent: Value) -> list[Value]:
            return emit_vjp(inner, [cotangent], range(len(inputs)), [o])[1]

        rows = self._along_basis(direction, pull, [0] * len(inputs))
        return [
            prims.reshape(row, (*direction[0], *shape))
            for row, (shape, _) in zip(rows, inputs, strict=True)
        ]

    def _along_basis(
        self, direction: Any, product: Callable[[Value], list[Value]], places: list[int]
    ) -> list[Value]:
        """Products with the vectors of the standard basis, put together along an axis each."""
        shape, dtype = direction
        if shape == ():
            return product(scalar(1, dtype))
        size = prims.size_of(shape)
        basis = array_of(prims.reshape(prims.identity(shape, dtype), (size, *shape)))
        mapped, _ = trace_inner(
            self._function, [basis], ["basis"], lambda v: (product(v[0]._read()), None), [0]
        )
        return emit_vmap(mapped, [0], places, size)


def checked_results(out: Any, function: Callable[..., Any]) -> tuple[list[Value], TreeDef]:
    """What a function returned, as values that have derivatives, and its structure.

    Raises:
        ArgumentTypeError: one of them has none.
    """
    parts, tree = flatten(out)
    paths = leaf_paths(tree, "result")
    results = [
        returned_value(part, path, function) for part, path in zip(parts, paths, strict=True)
    ]
    require_inexact(results, paths, function)
    return results, tree


def require_inexact(
    results: Sequence[Value], paths: Sequence[str], function: Callable[..., Any]
) -> None:
    """Raises an ArgumentTypeError if a result has no derivative."""
    for value, path in zip(results, paths, strict=True):
        if not is_inexact(value.dtype):
            raise ArgumentTypeError(
                f"{path} of {function_name(function)} has dtype {value.dtype}, which has "
                "no derivative; convert it to float, or return it as aux with has_aux=True",
                function_source(function),
            )


@hide_frames
def jacfwd(
    function: Callable[..., Any],
    argnums: ArgNums = 0,
    has_aux: bool = False,
    holomorphic: bool = False,
) -> Callable[..., Any]:
    """The Jacobian, column by column, by forward mode: for few inputs and many results.

    All columns are one program: `jvp` mapped over the vectors of a basis. Usable inside traced code
    and nested with all transforms; called outside a trace, it compiles as `grad` does.

    Args:
        function: returns a pytree of float arrays; `(result, aux)` with `has_aux`.
        argnums: which positional arguments to differentiate with respect to.
        has_aux: whether the function returns auxiliary data beside the result.
        holomorphic: whether arguments and results are complex, and the function holomorphic.

    Returns:
        A function of the same arguments. Its result has the structure of the function's result;
        in the place of a leaf of shape `s` it has the structure of the argument (a tuple of them if
        `argnums` is a tuple), with arrays of shape `(*s, *t)` in the places of leaves of shape `t`.
        `(jacobian, aux)` with `has_aux`.

    Raises:
        ArgumentTypeError: when called, if a selected argument or a result is not of floats.
    """
    return Jacobian(function, argnums, has_aux, "fwd", holomorphic)


@hide_frames
def jacrev(
    function: Callable[..., Any],
    argnums: ArgNums = 0,
    has_aux: bool = False,
    holomorphic: bool = False,
) -> Callable[..., Any]:
    """As `jacfwd`, row by row, by reverse mode: for many inputs and few results."""
    return Jacobian(function, argnums, has_aux, "rev", holomorphic)


@hide_frames
def hessian(
    function: Callable[..., Any],
    argnums: ArgNums = 0,
    has_aux: bool = False,
    holomorphic: bool = False,
) -> Callable[..., Any]:
    """The matrix of second derivatives: `jacfwd` of `jacrev`.

    Args:
        function: returns a pytree of float arrays; `(result, aux)` with `has_aux`.
        argnums: which positional arguments to differentiate with respect to.
        has_aux: whether the function returns auxiliary data beside the result.
        holomorphic: whether arguments and results are complex, and the function holomorphic.

    Returns:
        A function of the same arguments. Its result is like that of `jacfwd`, with the structure of
        the arguments twice: for a scalar function of one array of shape `t`, an array of shape
        `(*t, *t)`. `(hessian, aux)` with `has_aux`.

    Raises:
        ArgumentTypeError: when called, if a selected argument or a result is not of floats.
    """
    inner = jacrev(function, argnums, has_aux, holomorphic)
    return jacfwd(inner, argnums, has_aux, holomorphic)


@hide_frames
def hvp(function: Callable[..., Any], primals: Sequence[Any], tangents: Sequence[Any]) -> Any:
    """The Hessian of a scalar-valued function times a vector, without the Hessian.

    Forward mode over reverse mode: some gradients' time and memory, whatever the size.

    Args:
        function: returns a float scalar.
        primals: tuple of its arguments, of floats.
        tangents: as `primals`, same structure, shapes and dtypes.

    Returns:
        The product, with the structure of the gradient: that of the argument, a tuple of them for
        several arguments.

    Raises:
        ArgumentError: the tangents do not fit the primals; the message names the path.
        NonScalarLossError: the result is not a float scalar.
    """
    if not isinstance(primals, (tuple, list)) or not primals:
        raise ArgumentTypeError("primals and tangents must be tuples, one entry per argument")
    argnums = 0 if len(primals) == 1 else tuple(range(len(primals)))
    return jvp(grad(function, argnums), primals, tangents)[1]
