# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""vmap: a function applied to all elements along axes of its arguments, as one program."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gradopt.array.handle import Handle, wrap
from gradopt.base.frames import hide_frames
from gradopt.base.location import function_source
from gradopt.base.pytree import TreeDef, flatten, flatten_prefix, leaf_paths
from gradopt.compilation.calling import argument_names, call_user, function_name, returned_value
from gradopt.errors import ArgumentError, ArgumentTypeError
from gradopt.ir.values import Value, depends
from gradopt.transforms.inner import emit_vmap, trace_inner, traced_leaves
from gradopt.transforms.transform import Transform


def _is_axis(value: Any) -> bool:
    return value is None or (
        isinstance(value, (int, np.integer)) and not isinstance(value, (bool, np.bool_))
    )


class _Mapped(Transform):
    """What `vmap` returns."""

    kind = "vmap"

    def __init__(
        self, function: Callable[..., Any], in_axes: Any, out_axes: Any, axis_size: int | None
    ) -> None:
        super().__init__(function)
        if not _is_axis(in_axes) and not isinstance(in_axes, (tuple, list)):
            raise ArgumentTypeError(
                "in_axes must be an int, None, or a tuple with an entry for each positional "
                f"argument, not {in_axes!r}"
            )
        self._in_axes = tuple(in_axes) if isinstance(in_axes, list) else in_axes
        self._out_axes = out_axes
        self._axis_size = axis_size

    def _parameters(self) -> tuple[Any, ...]:
        return self._function, self._in_axes, self._out_axes, self._axis_size

    def _emit(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        function = self._function
        if isinstance(self._in_axes, tuple) and len(self._in_axes) != len(args):
            raise self._error(
                f"in_axes of vmap has {len(self._in_axes)} entries, but {function_name(function)} "
                f"was called with {len(args)} positional arguments"
            )
        leaves, tree, paths, axes = self._arguments(args, kwargs)
        size = self._size(leaves, paths, axes)

        def body(arguments: list[Handle]) -> tuple[list[Value], Any]:
            positional, named = tree.unflatten(arguments)
            result = call_user(function, positional, named)
            parts, out_tree = flatten(result)
            names = leaf_paths(out_tree, "result")
            results = [
                returned_value(part, name, function)
                for part, name in zip(parts, names, strict=True)
            ]
            out_axes = self._result_axes(out_tree, results, names)
            mapped = [
                argument._read()
                for argument, axis in zip(arguments, axes, strict=True)
                if axis is not None
            ]
            for value, name, axis in zip(results, names, out_axes, strict=True):
                if axis is None and depends([value], mapped):
                    raise self._error(
                        f"out_axes of vmap is None for {name} of {function_name(function)}, which "
                        "depends on a mapped argument; give the axis to put its elements along"
                    )
            return results, (out_tree, out_axes)

        inner, (out_tree, out_axes) = trace_inner(function, leaves, paths, body, axes)
        return out_tree.unflatten(wrap(emit_vmap(inner, axes, out_axes, size)))

    def _error(self, message: str) -> ArgumentError:
        return ArgumentError(message, function_source(self._function))

    def _arguments(
        self, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[list[Handle], TreeDef, list[str], list[int | None]]:
        """The leaves, the structure of `(args, kwargs)`, and a path and an axis for each leaf."""
        leaves: list[Handle] = []
        paths: list[str] = []
        given: list[Any] = []
        roots = argument_names(self._function, len(args))
        for i, (value, root) in enumerate(zip(args, roots, strict=True)):
            some, tree, names = traced_leaves(value, root)
            leaves += some
            paths += names
            if isinstance(self._in_axes, tuple):
                prefix, place = self._in_axes[i], f"in_axes[{i}]"
            else:
                prefix, place = self._in_axes, "in_axes"
            given += flatten_prefix(prefix, tree, _is_axis, "an int or None", place, root)
        for name, value in kwargs.items():
            some, _, names = traced_leaves(value, name)
            leaves += some
            paths += names
            given += [0] * len(some)
        axes: list[int | None] = []
        for leaf, path, axis in zip(leaves, paths, given, strict=True):
            if axis is not None and not -leaf.ndim <= axis < leaf.ndim:
                raise self._error(
                    f"vmap maps {path} along axis {axis}, but its shape is {leaf.shape}"
                )
            axes.append(None if axis is None else int(axis) % leaf.ndim)
        return leaves, flatten((args, kwargs))[1], paths, axes

    def _size(self, leaves: list[Handle], paths: list[str], axes: list[int | None]) -> int:
        """The size of the mapped axes."""
        size, first = self._axis_size, "axis_size"
        for leaf, path, axis in zip(leaves, paths, axes, strict=True):
            if axis is None:
                continue
            here = f"{path} has size {leaf.shape[axis]} along axis {axis}"
            if size is None:
                size, first = leaf.shape[axis], here
            elif leaf.shape[axis] != size:
                if first == "axis_size":
                    first = f"axis_size is {size}"
                raise self._error(f"vmap maps axes of different sizes: {first}, but {here}")
        if size is None:
            raise self._error(
                f"vmap of {function_name(self._function)} maps no argument: in_axes is None for "
                "all of them; map at least one, or give axis_size"
            )
        return size

    def _result_axes(
        self, tree: TreeDef, results: list[Value], paths: list[str]
    ) -> list[int | None]:
        given = flatten_prefix(
            self._out_axes, tree, _is_axis, "an int or None", "out_axes", "result"
        )
        axes: list[int | None] = []
        for value, path, axis in zip(results, paths, given, strict=True):
            ndim = value.ndim + 1
            if axis is not None and not -ndim <= axis < ndim:
                raise self._error(
                    f"out_axes of vmap puts {path} along axis {axis}, but what is put together "
                    f"has {ndim} dimension{'s' if ndim > 1 else ''}, as each {path} has shape "
                    f"{value.shape}"
                )
            axes.append(None if axis is None else int(axis) % ndim)
        return axes


@hide_frames
def vmap(
    function: Callable[..., Any],
    in_axes: Any = 0,
    out_axes: Any = 0,
    *,
    axis_size: int | None = None,
) -> Callable[..., Any]:
    """The function applied to all elements along an axis of its arguments, as one program.

    Nothing is looped over: each operation works on the whole batch, and what does not depend on a
    mapped argument is computed once. Usable inside traced code and nested with all transforms;
    called outside a trace, it compiles as `grad` does.

    Args:
        function: takes and returns pytrees of arrays.
        in_axes: the axis of each argument to map over, None for one that is given as a whole: an
            int or None for all arguments, or a tuple with an entry for each positional one. An
            entry may be a pytree that begins as the argument does. Negative axes count from the
            end. Keyword arguments are mapped over axis 0.
        out_axes: the axis of the results along which the elements are put; None for a result
            that does not depend on a mapped argument. An int, None, or a pytree that begins as
            the result does.
        axis_size: the number of elements, where no argument tells.

    Returns:
        A function of arguments with one more axis, whose results have one more axis.

    Raises:
        ArgumentError: when called: axes have different sizes or are out of range, the structure of
            `in_axes` or `out_axes` is not that of the arguments or the result, or nothing is
            mapped. The message names the path.
    """
    return _Mapped(function, in_axes, out_axes, axis_size)
