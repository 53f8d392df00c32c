# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""vmap: a function applied to all elements along axes of its arguments, as one program."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from gradopt.array.handle import Handle, array_of
from gradopt.base.frames import hide_frames
from gradopt.base.location import function_source
from gradopt.base.pytree import TreeDef, flatten, flatten_prefix, leaf_paths
from gradopt.base.statics import separate_texts
from gradopt.compilation.calling import argument_names, call_user, function_name
from gradopt.errors import ArgumentError, ArgumentTypeError, UnsupportedError
from gradopt.ir import sized
from gradopt.ir.extents import Extent, Sizes, confined, has_extents, is_extent, shape_with
from gradopt.ir.values import Shape, Value, depends
from gradopt.transforms.bodies import Body, trace_body
from gradopt.transforms.counted import (
    counted,
    empty_rows,
    row_spec,
    rows_of,
    shown_row,
    stacked_rows,
)
from gradopt.transforms.inner import emit_vmap, shown, trace_inner, traced_leaves
from gradopt.transforms.jacobian_products import shapes_outside, whole_results
from gradopt.transforms.transform import Transform

# How many elements are mapped at once where their number is known at run time only.
TILE = 32


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
        args, kwargs = separate_texts(args, kwargs)
        leaves, tree, paths, axes = self._arguments(args, kwargs)
        size = self._size(leaves, paths, axes)
        if is_extent(size):
            return self._in_tiles(leaves, tree, axes, size)
        for i, (leaf, path, axis) in enumerate(zip(leaves, paths, axes, strict=True)):
            if axis is not None and is_extent(leaf._extents[axis]):
                wanted = [*leaf._extents[:axis], size, *leaf._extents[axis + 1 :]]
                leaf = leaves[i] = array_of(sized.resized(leaf._read(), shape_with(wanted)))
            if leaf._extents.__class__ is Sizes:
                raise confined(f"{path}, an array")

        def body(arguments: list[Handle]) -> tuple[list[Value], Any]:
            positional, named = tree.unflatten(arguments)
            result = call_user(function, positional, named)
            results, out_tree, sizes, counts = whole_results(result, function)
            names = leaf_paths(out_tree, "result")
            out_axes = self._result_axes(out_tree, [value.shape for value in results], names)
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
            if depends(counts, mapped):
                raise UnsupportedError(
                    f"what {function_name(function)} returns may have another size for each "
                    "element that vmap maps; write it to a part of an array of known size, as in "
                    "`y[:n] = x`, and return n with it",
                    function_source(function),
                )
            return [*results, *counts], (out_tree, out_axes, sizes)

        inner, (out_tree, out_axes, sizes) = trace_inner(function, leaves, paths, body, axes)
        count = len(out_axes)
        same = [None] * (len(inner.results) - count)
        results = emit_vmap(inner, axes, [*out_axes, *same], size)
        shapes = [
            shape if axis is None else shape_with([*shape[:axis], size, *shape[axis:]])
            for shape, axis in zip(shapes_outside(sizes, results[count:]), out_axes, strict=True)
        ]
        return out_tree.unflatten(shown(results[:count], shapes))

    def _in_tiles(
        self, leaves: list[Handle], tree: TreeDef, axes: list[int | None], size: Extent
    ) -> Any:
        """Loops over so many elements: over tiles of several of them, and over those left."""
        function = self._function
        mapped = [
            np.moveaxis(leaf, axis, 0)  # pyright: ignore
            for leaf, axis in zip(leaves, axes, strict=True)
            if axis is not None
        ]
        whole = [rows_of(leaf, size) for leaf in mapped]
        trees: list[TreeDef] = []

        def of_one(*rows: Any) -> Any:
            rest = iter(rows)
            parts = [
                leaf if axis is None else next(rest)
                for leaf, axis in zip(leaves, axes, strict=True)
            ]
            positional, named = tree.unflatten(parts)
            return call_user(function, positional, named)

        def traced_body(width: int) -> Body:
            def call(parts: Any) -> Any:
                rows = [shown_row(part, leaf) for part, leaf in zip(parts, mapped, strict=True)]
                result = _Mapped(of_one, 0, 0, None)(*rows) if width > 1 else of_one(*rows)
                trees.append(flatten(result)[1])
                return result

            return trace_body(function, [row_spec(leaf, width) for leaf in mapped], call)

        one = traced_body(1)
        out_axes = self._out_axes_of(one)
        start, left, onto = None, size.value, None
        is_tiled = not any(has_extents(leaf._extents[1:]) for leaf in mapped)
        if is_tiled and size.bound >= TILE:
            tile = traced_body(TILE)
            tiles = sized.quotient_below(size, TILE)
            _, onto = counted(
                tiles.value,
                tile.inner,
                [],
                stacked=tile.specs,
                sliced=whole,
                most=size.bound // TILE,
                width=TILE,
                onto=empty_rows(one.specs, size.bound),
            )
            start = tiles.value * TILE
            left = size.value - start
        _, stacks = counted(
            left,
            one.inner,
            [],
            stacked=one.specs,
            sliced=whole,
            most=min(size.bound, TILE - 1) if start is not None else size.bound,
            start=start,
            onto=onto if onto is not None else empty_rows(one.specs, size.bound),
        )
        results = [
            np.moveaxis(stacked_rows(stack, [size, *stack.shape[1:]]), 0, axis)
            for stack, axis in zip(stacks, out_axes, strict=True)
        ]
        return trees[0].unflatten(results)

    def _out_axes_of(self, body: Body) -> list[int]:
        """Along which axes elements are put together whose number is known at run time only."""
        paths = leaf_paths(body.tree, "result")
        given = self._result_axes(body.tree, [spec.shape for spec in body.specs], paths)
        found = [axis for axis in given if axis is not None]
        if len(found) < len(given):
            raise UnsupportedError(
                "out_axes of vmap is None for a result, and the number of elements is known at run "
                f"time only: compute the result outside of {function_name(self._function)}",
                function_source(self._function),
            )
        return found

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
            some, tree, names = traced_leaves(value, root, with_sized=True)
            leaves += some
            paths += names
            if isinstance(self._in_axes, tuple):
                prefix, place = self._in_axes[i], f"in_axes[{i}]"
            else:
                prefix, place = self._in_axes, "in_axes"
            given += flatten_prefix(prefix, tree, _is_axis, "an int or None", place, root)
        for name, value in kwargs.items():
            some, _, names = traced_leaves(value, name, with_sized=True)
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

    def _size(self, leaves: list[Handle], paths: list[str], axes: list[int | None]) -> Any:
        """The size of the mapped axes: an integer, or an `Extent` if that of none is known."""
        size: Any = self._axis_size
        first = "axis_size"
        for leaf, path, axis in zip(leaves, paths, axes, strict=True):
            if axis is None:
                continue
            own: Any = leaf._extents[axis]
            here = f"{path} has size {own} along axis {axis}"
            if size is None:
                size, first = own, here
            elif is_extent(own) or is_extent(size):
                sized.require_same(own, size, "vmap maps axes of different sizes")
                size = size if is_extent(own) else own
            elif own != size:
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
        self, tree: TreeDef, shapes: Sequence[Shape], paths: list[str]
    ) -> list[int | None]:
        given = flatten_prefix(
            self._out_axes, tree, _is_axis, "an int or None", "out_axes", "result"
        )
        axes: list[int | None] = []
        for shape, path, axis in zip(shapes, paths, given, strict=True):
            ndim = len(shape) + 1
            if axis is not None and not -ndim <= axis < ndim:
                raise self._error(
                    f"out_axes of vmap puts {path} along axis {axis}, but what is put together "
                    f"has {ndim} dimension{'s' if ndim > 1 else ''}, as each {path} has shape "
                    f"{shape}"
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
    called outside a trace, it compiles as `grad` does. An axis whose size is known at run time only
    is gone through by tiles of 32 elements, and those left one by one.

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
