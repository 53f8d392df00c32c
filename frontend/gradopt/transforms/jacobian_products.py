# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""jvp, vjp and linearize: products of Jacobians with tangents and cotangents."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from gradopt._gradopt import DeviceArray
from gradopt.array.handle import Handle, wrap
from gradopt.array.operands import traced as value_of
from gradopt.array.unknown_sizes import is_sized, whole_of
from gradopt.base.device_arrays import adopt, copy_on_device
from gradopt.base.dtypes import PYTHON_NUMBERS, is_inexact
from gradopt.base.frames import hide_frames
from gradopt.base.location import function_source
from gradopt.base.pytree import TreeDef, flatten, flatten_like, leaf_paths, tree_map
from gradopt.compilation.arguments import checked_flag
from gradopt.compilation.calling import (
    argument_leaf,
    call_user,
    check_callable,
    result_value,
    returned_value,
)
from gradopt.errors import ArgumentError, ArgumentTypeError
from gradopt.ir import prims, sized
from gradopt.ir.affine import Affine, number_of
from gradopt.ir.current import current_scope
from gradopt.ir.extents import Sizes, bounds_of, is_extent, shape_with
from gradopt.ir.values import Shape, Value
from gradopt.transforms.inner import (
    Aux,
    InnerFunction,
    emit_call,
    emit_jvp,
    emit_vjp,
    shown,
    split_aux,
    trace_inner,
    traced_leaves,
)
from gradopt.transforms.transform import call_direct, prepare_direct


def _check_direction(direction: Any, shape: tuple[int, ...], dtype: Any, path: str) -> None:
    if direction.shape != shape:
        raise ArgumentError(f"{path} has shape {direction.shape}, but its value has shape {shape}")
    if direction.dtype != dtype:
        raise ArgumentTypeError(
            f"{path} has dtype {direction.dtype}, but its value has dtype {dtype}"
        )


def _directions(
    values: Any,
    treedef: TreeDef,
    primals: Sequence[Handle | Value],
    shapes: Sequence[Shape],
    root: str,
) -> list[Value | None]:
    """Tangents or cotangents checked against the values they belong to, and as large as these can
    be; None for non-floats."""
    leaves = flatten_like(values, treedef, root)
    checked: list[Value | None] = []
    paths = leaf_paths(treedef, root)
    for leaf, primal, shape, path in zip(leaves, primals, shapes, paths, strict=True):
        if not is_inexact(primal.dtype):
            if isinstance(leaf, Handle) or np.asarray(leaf).astype(bool).any():
                raise ArgumentTypeError(
                    f"{path} belongs to a value of dtype {primal.dtype}, which has no derivative; "
                    "it must be a concrete zero"
                )
            checked.append(None)
            continue
        weak = leaf._weak if isinstance(leaf, Handle) else type(leaf) in PYTHON_NUMBERS
        if is_sized(leaf):
            direction = leaf._read()
        else:
            direction = value_of(leaf, primal.dtype) if weak else result_value(leaf, path)
        if Sizes in (direction.shape.__class__, shape.__class__):
            # Sizes that are not known are compared when the code runs.
            if direction.ndim == len(shape):
                for size, wanted in zip(direction.shape, shape, strict=True):
                    what = f"{path} must have the shape of its value"
                    sized.require_same(size, wanted, what)
                is_known = is_sized(leaf) and direction.shape == shape
                direction = (
                    whole_of(leaf) if is_known else sized.padded(sized.resized(direction, shape))
                )
            shape = bounds_of(shape)
        _check_direction(direction, shape, primal.dtype, path)
        checked.append(direction)
    return checked


class _Linearization(NamedTuple):
    """A traced function with the structures of what goes in and comes out.

    Attributes:
        inner: the function.
        primals: its arguments.
        in_tree: their structure.
        out_tree: that of the results.
        aux: what it returns beside them.
        sizes: the shapes of the results, which are as large as they can be. Counts are results
            behind them, and aux is behind these.
        of: which results are differentiated.
        wrt: with respect to which arguments.
    """

    inner: InnerFunction
    primals: list[Handle]
    in_tree: TreeDef
    out_tree: TreeDef
    aux: Aux
    sizes: list[list[Any]]
    of: list[int]
    wrt: list[int]

    @property
    def out_count(self) -> int:
        """How many results there are."""
        return self.out_tree.leaf_count

    def shapes(self, results: Sequence[Value]) -> list[Shape]:
        """The shapes of results."""
        return shapes_outside(self.sizes, results[self.out_count :])

    def out(self, results: Sequence[Value], shapes: Sequence[Shape]) -> Any:
        """What the function returned."""
        return self.out_tree.unflatten(shown(results[: self.out_count], shapes))

    def aux_of(self, results: Sequence[Value]) -> Any:
        """What it returned beside that."""
        return self.aux.put(wrap(list(results[len(results) - len(self.aux.values) :])))


class Size(NamedTuple):
    """A size of a result that is known at run time only.

    Attributes:
        total: the size, if it is a sum of what is known outside of the function.
        number: which of the counts behind the results it is, otherwise.
        bound: how large it is at most.
    """

    total: Affine | None
    number: int
    bound: int

    def outside(self, counts: Sequence[Value]) -> Any:
        """The size where the function is called."""
        found = counts[self.number] if self.total is None else number_of(self.total)
        return sized.extent_of(found, self.bound)


def _sizes_of(shape: Shape, counts: list[Value]) -> list[Any]:
    """What is known of a shape outside of the current function; adds the counts that are not."""
    here = prims.scope()
    found: list[Any] = []
    for size in shape:
        if not is_extent(size):
            found.append(size)
            continue
        extent: Any = size
        total: Affine = extent.affine
        if all(value.scope is not here for value, _ in total.terms.values()):
            found.append(Size(total, -1, extent.bound))
            continue
        found.append(Size(None, len(counts), extent.bound))
        counts.append(extent.value)
    return found


def whole_results(
    out: Any, function: Callable[..., Any], root: str = "result"
) -> tuple[list[Value], TreeDef, list[list[Any]], list[Value]]:
    """What a function returned, as large as it can be.

    Args:
        out: it.
        function: the function.
        root: how the user reaches it.

    Returns:
        The results, their structure, what is known of their shapes outside of the function, and
        the sizes that are not, which are to be results, too.
    """
    parts, tree = flatten(out)
    results = [
        whole_of(part) if is_sized(part) else returned_value(part, path, function)
        for part, path in zip(parts, leaf_paths(tree, root), strict=True)
    ]
    counts: list[Value] = []
    sizes = [
        _sizes_of(part._extents if is_sized(part) else result.shape, counts)
        for part, result in zip(parts, results, strict=True)
    ]
    return results, tree, sizes, counts


def shapes_outside(sizes: Sequence[Sequence[Any]], counts: Sequence[Value]) -> list[Shape]:
    """Shapes where the function is called, of what `whole_results` said of them."""
    return [
        shape_with([n.outside(counts) if isinstance(n, Size) else n for n in shape])
        for shape in sizes
    ]


def _linearize(
    function: Callable[..., Any], primals: tuple[Any, ...], has_aux: bool
) -> _Linearization:
    leaves, in_tree, paths = traced_leaves(primals, "primals", with_sized=True)

    def body(arguments: list[Handle]) -> tuple[list[Value], Any]:
        out, aux = call_user(function, in_tree.unflatten(arguments), {}), None
        if has_aux:
            out, aux = split_aux(out, "result", function)
        results, tree, sizes, counts = whole_results(out, function)
        beside = Aux(aux, function)
        of = [i for i, value in enumerate(results) if is_inexact(value.dtype)]
        return [*results, *counts, *beside.values], (tree, beside, sizes, of)

    inner, (out_tree, aux, sizes, of) = trace_inner(function, leaves, paths, body)
    wrt = [i for i, leaf in enumerate(leaves) if is_inexact(leaf.dtype)]
    return _Linearization(inner, leaves, in_tree, out_tree, aux, sizes, of, wrt)


@hide_frames
def jvp(
    function: Callable[..., Any],
    primals: Sequence[Any],
    tangents: Sequence[Any],
    has_aux: bool = False,
) -> Any:
    """Value and directional derivative: the Jacobian times `tangents`.

    Called outside a trace it sees what the function refers to as it is now, as `grad` does; to call
    it often, `compile` a function that calls it.

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
    check_callable(function)
    has_aux = checked_flag(has_aux, "has_aux")
    if not isinstance(primals, (tuple, list)) or not isinstance(tangents, (tuple, list)):
        raise ArgumentTypeError("primals and tangents must be tuples, one entry per argument")
    primals, tangents = tuple(primals), tuple(tangents)
    if current_scope() is None:
        return _jvp_concrete(function, primals, tangents, has_aux)
    traced, tree, _ = traced_leaves(primals, "primals", with_sized=True)
    directions = _directions(tangents, tree, traced, _shapes(traced), "tangents")
    traced_function = _linearize(function, primals, has_aux)
    results, shapes, tangent = _push(traced_function, directions)
    out = traced_function.out(results, shapes)
    return (out, tangent, traced_function.aux_of(results)) if has_aux else (out, tangent)


def _push(
    function: _Linearization, directions: Sequence[Value | None]
) -> tuple[list[Value], list[Shape], Any]:
    """The results of the function, their shapes, and the tangent of the result."""
    chosen = [d for d in directions if d is not None]
    results, moved = emit_jvp(function.inner, chosen, function.wrt, function.of)
    by_result = dict(zip(function.of, moved, strict=True))
    tangents = [
        by_result[i] if i in by_result else prims.full(r.shape, 0, r.dtype)
        for i, r in enumerate(results[: function.out_count])
    ]
    shapes = function.shapes(results)
    return results, shapes, function.out(tangents, shapes)


def _shapes(leaves: Sequence[Handle]) -> list[Shape]:
    return [leaf._extents for leaf in leaves]


def _deep_enough(
    traced: _Linearization, function: Callable[..., Any], has_aux: bool, order: int
) -> _Linearization:
    """What `function` was traced to where `order` derivatives were asked for, or a new trace.

    More may be asked for here, and what has rules needs more of them then.
    """
    if prims.scope().order <= order:
        return traced
    return _linearize(function, traced.in_tree.unflatten(traced.primals), has_aux)


def _array(leaf: Any, path: str) -> Any:
    """What has the shape and the dtype of a leaf."""
    if isinstance(leaf, (Handle, np.ndarray, np.generic)):
        return leaf
    array = adopt(leaf, path)
    return np.asarray(leaf) if array is None else array


class _FloatLeaves:
    """Tangents or cotangents of `values`: those of floats are given to compiled code."""

    def __init__(self, values: Any, root: str) -> None:
        leaves, self._tree = flatten(values)
        self._paths = leaf_paths(self._tree, root)
        self._root = root
        # Not the values themselves: functions that are kept refer to this.
        arrays = [_array(leaf, path) for leaf, path in zip(leaves, self._paths, strict=True)]
        self._kinds = [(array.shape, array.dtype) for array in arrays]

    def take(self, directions: Any) -> list[Any]:
        """The leaves that belong to floats, checked; the others must be zero."""
        leaves = flatten_like(directions, self._tree, self._root)
        taken: list[Any] = []
        for leaf, path, (shape, dtype) in zip(leaves, self._paths, self._kinds, strict=True):
            if isinstance(leaf, Handle):
                taken.append(leaf)
                continue
            given = argument_leaf(leaf, path, "give an array like the value it belongs to")
            if not is_inexact(dtype):
                if np.asarray(given).astype(bool).any():
                    raise ArgumentTypeError(
                        f"{path} belongs to a value of dtype {dtype}, which has no "
                        "derivative; it must be zero"
                    )
                continue
            if type(given) in PYTHON_NUMBERS:
                # A number, which may be passed beside arrays on a device.
                given = dtype.type(given)
            _check_direction(given, shape, dtype, path)
            # As it was given: results are of the same kind.
            taken.append(leaf if type(given) is DeviceArray else given)
        return taken

    def like(self, values: Any) -> list[Any]:
        """Arrays such as `take` gives, from the values themselves."""
        leaves = flatten(values)[0]
        return [
            np.zeros(*kind)[()] if adopt(leaf, path) is None else leaf
            for leaf, path, kind in zip(leaves, self._paths, self._kinds, strict=True)
            if is_inexact(kind[1])
        ]

    def put(self, floats: Sequence[Any]) -> Any:
        """The whole, from the leaves that belong to floats."""
        parts = iter(floats)
        return self._tree.unflatten(
            [next(parts) if is_inexact(dtype) else np.int64(0) for _, dtype in self._kinds]
        )


def _jvp_concrete(
    function: Callable[..., Any], primals: tuple[Any, ...], tangents: tuple[Any, ...], has_aux: bool
) -> Any:
    leaves, tree = flatten(primals)
    for leaf, path in zip(leaves, leaf_paths(tree, "primals"), strict=True):
        if not isinstance(leaf, Handle):
            argument_leaf(leaf, path)
    floats = _FloatLeaves(primals, "tangents")

    def forward(primals: tuple[Any, ...], tangents: list[Any]) -> Any:
        return jvp(function, primals, _FloatLeaves(primals, "tangents").put(tangents), has_aux)

    return call_direct(
        ("jvp", function, has_aux),
        lambda: named_like(function, forward),
        (primals, floats.take(tangents)),
    )


def named_like(function: Callable[..., Any], wrapper: Callable[..., Any]) -> Callable[..., Any]:
    """The wrapper with the function's name and its own parameters."""
    named = functools.wraps(function)(wrapper)
    del named.__wrapped__
    return named


@hide_frames
def vjp(function: Callable[..., Any], *primals: Any, has_aux: bool = False) -> Any:
    """Value, and the function that multiplies cotangents with the Jacobian.

    Called outside a trace it sees what the function refers to as it is now, as `jvp` does; the
    pullback belongs to the function as it was then. To call it often, `compile` a function that
    calls it.

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
    check_callable(function)
    has_aux = checked_flag(has_aux, "has_aux")
    if current_scope() is None:
        return _vjp_concrete(function, primals, has_aux)
    traced_function = _linearize(function, primals, has_aux)
    paths = leaf_paths(traced_function.in_tree, "primals")
    for leaf, path in zip(traced_function.primals, paths, strict=True):
        if not is_inexact(leaf.dtype):
            raise ArgumentTypeError(
                f"cannot differentiate with respect to {path} of dtype {leaf.dtype}: gradients "
                "need floats or complex numbers",
                function_source(function),
            )
    order = prims.scope().order
    results = emit_call(traced_function.inner)
    shapes = traced_function.shapes(results)

    @hide_frames
    def pullback(cotangent: Any) -> tuple[Any, ...]:
        tree = traced_function.out_tree
        values = results[: traced_function.out_count]
        directions = _directions(cotangent, tree, values, shapes, "cotangent")
        chosen = [d for d in directions if d is not None]
        deep = _deep_enough(traced_function, function, has_aux, order)
        _, gradients = emit_vjp(deep.inner, chosen, deep.wrt, deep.of)
        return traced_function.in_tree.unflatten(shown(gradients, _shapes(deep.primals)))

    out = traced_function.out(results, shapes)
    return (out, pullback, traced_function.aux_of(results)) if has_aux else (out, pullback)


def _as_it_lies(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """A copy with the same steps, on which it depends what is a view of it."""
    if array.flags.c_contiguous or not array.size:
        return array.copy()
    reaches = [step * (size - 1) for step, size in zip(array.strides, array.shape, strict=True)]
    start = -sum(reach for reach in reaches if reach < 0)
    room = np.empty(start + sum(reach for reach in reaches if reach > 0) + array.itemsize, np.uint8)
    copied = np.ndarray(array.shape, array.dtype, room.data, start, array.strides)
    copied[...] = array
    return copied


def _kept(primals: tuple[Any, ...]) -> tuple[Any, ...]:
    """A copy: the caller may change its arrays before it asks for products."""

    def copy(leaf: Any) -> Any:
        if isinstance(leaf, np.ndarray):
            return _as_it_lies(leaf)
        copied = None if isinstance(leaf, Handle) else copy_on_device(leaf, "an argument")
        return leaf if copied is None else copied

    return tree_map(copy, primals)


def _vjp_concrete(function: Callable[..., Any], primals: tuple[Any, ...], has_aux: bool) -> Any:
    kept = _kept(primals)

    def forward(*primals: Any) -> Any:
        # Traces the function as vjp does, so that both raise the same errors.
        result = vjp(function, *primals, has_aux=has_aux)
        return (result[0], result[2]) if has_aux else result[0]

    result = call_direct(("vjp", function, has_aux), lambda: named_like(function, forward), primals)
    floats = _FloatLeaves(result[0] if has_aux else result, "cotangent")

    def pull(primals: tuple[Any, ...], cotangent: list[Any]) -> Any:
        return vjp(function, *primals, has_aux=has_aux)[1](floats.put(cotangent))

    # Traced now: what the function refers to may change before the pullback is called.
    backward = prepare_direct(
        ("pullback", function, has_aux),
        lambda: named_like(function, pull),
        (kept, floats.like(result[0] if has_aux else result)),
    )

    @hide_frames
    def pullback(cotangent: Any) -> tuple[Any, ...]:
        return backward(kept, floats.take(cotangent))

    if has_aux:
        return result[0], pullback, result[1]
    return result, pullback


@hide_frames
def linearize(function: Callable[..., Any], *primals: Any, has_aux: bool = False) -> Any:
    """Value, and the function that multiplies the Jacobian there with tangents.

    Called outside a trace it sees what the function refers to as it is now, as `jvp` does; the
    linear function belongs to the function and the arguments as they were then, and computes the
    value anew.

    Args:
        function: any function of arrays.
        primals: its arguments.
        has_aux: whether the function returns `(result, aux)`.

    Returns:
        `(result, pushforward)`, and aux. `pushforward(*tangents)` takes tangents like the primals
        (zeros for integers) and returns the tangent of the result.

    Raises:
        ArgumentError: when called, if the tangents do not fit the primals; the message names the
            path.
    """
    check_callable(function)
    has_aux = checked_flag(has_aux, "has_aux")
    if current_scope() is None:
        return _linearize_concrete(function, primals, has_aux)
    traced_function = _linearize(function, primals, has_aux)
    order = prims.scope().order
    results = emit_call(traced_function.inner)
    shapes = traced_function.shapes(results)

    @hide_frames
    def pushforward(*tangents: Any) -> Any:
        tree, leaves = traced_function.in_tree, traced_function.primals
        directions = _directions(tangents, tree, leaves, _shapes(leaves), "tangents")
        return _push(_deep_enough(traced_function, function, has_aux, order), directions)[-1]

    out = traced_function.out(results, shapes)
    return (out, pushforward, traced_function.aux_of(results)) if has_aux else (out, pushforward)


def _linearize_concrete(
    function: Callable[..., Any], primals: tuple[Any, ...], has_aux: bool
) -> Any:
    kept = _kept(primals)

    def value(*primals: Any) -> Any:
        result = linearize(function, *primals, has_aux=has_aux)
        return (result[0], result[2]) if has_aux else result[0]

    result = call_direct(
        ("linearize", function, has_aux), lambda: named_like(function, value), primals
    )
    floats = _FloatLeaves(primals, "tangents")

    def push(primals: tuple[Any, ...], tangents: list[Any]) -> Any:
        return linearize(function, *primals, has_aux=has_aux)[1](*floats.put(tangents))

    # Traced now, as in vjp.
    forward = prepare_direct(
        ("pushforward", function, has_aux),
        lambda: named_like(function, push),
        (kept, floats.like(primals)),
    )

    @hide_frames
    def pushforward(*tangents: Any) -> Any:
        return forward(kept, floats.take(tangents))

    if has_aux:
        return result[0], pushforward, result[1]
    return result, pushforward
