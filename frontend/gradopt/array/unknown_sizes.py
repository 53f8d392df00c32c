# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Arrays whose size is known at run time only, taken apart.

Where such an array goes through loops, branches and calls, an array goes that is as large as it can
be, and with it how many elements there are along some dimensions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from gradopt.array.handle import Handle, SizedStorage, array_of, python_number
from gradopt.array.views import first_ones
from gradopt.base.dims import Dim
from gradopt.base.pytree import TreeDef, flatten, register_pytree
from gradopt.ir import prims, sized
from gradopt.ir.extents import Sizes, bounds_of, is_extent, larger, shape_with
from gradopt.ir.values import Value
from gradopt_runtime import structure


class UnknownSizeArray:
    """A container of such an array's parts.

    Attributes:
        whole: as large as it can be.
        counts: how many elements there are along some dimensions.
        axes: these dimensions.
    """

    def __init__(self, whole: Any, counts: Sequence[Any], axes: tuple[int, ...]) -> None:
        self.whole = whole
        self.counts = counts
        self.axes = axes

    def __repr__(self) -> str:
        return f"{self.whole}[:{', :'.join(map(str, self.counts))}]"


def _joined(axes: tuple[int, ...], parts: Sequence[Any]) -> Any:
    whole, *counts = parts
    if isinstance(whole, Handle):
        return _shown(whole, counts, axes)
    if not isinstance(whole, np.ndarray):
        return UnknownSizeArray(whole, counts, axes)
    return structure.first_ones(whole, axes, counts)


register_pytree(UnknownSizeArray, lambda part: ((part.whole, *part.counts), part.axes), _joined)


def _shown(whole: Handle, counts: Sequence[Any], axes: tuple[int, ...]) -> Handle:
    """The elements that there are, as a view."""
    sizes: list[Any] = list(whole.shape)
    for axis, count in zip(axes, counts, strict=True):
        number = count._read() if isinstance(count, Handle) else int(count)
        sizes[axis] = sized.extent_of(number, whole.shape[axis])
    if tuple(sizes) == whole.shape:
        return whole
    return Handle.facade(whole._storage, (*whole._views, first_ones(shape_with(sizes))))


def sized_argument(
    whole: Value,
    path: str,
    sizes: Sequence[int | Dim],
    counts: Mapping[Dim, Value],
    *,
    is_ordered: bool = True,
) -> Handle:
    """An argument with as many rows as a call has, which cannot be written to.

    Args:
        whole: the argument as large as it can be. Nothing reads more of it than there is.
        path: how the user reaches it.
        sizes: its sizes.
        counts: how large those are that are not known.
        is_ordered: whether its dimensions lie in memory from the outermost to the innermost. What
            NumPy lets share memory with others is not known, and not written to.
    """
    shape = shape_with(
        [
            sized.extent_of(counts[size], size.max or 0) if isinstance(size, Dim) else size
            for size in sizes
        ]
    )
    handle = first_of(whole, shape)
    handle._storage.argument = f"the argument {path}"
    handle._storage.frozen = True
    if not is_ordered:
        handle._storage.strides = None
    return handle


def first_of(whole: Value, shape: Sequence[Any]) -> Handle:
    """The first elements along each dimension, as many as a shape has, as an array."""
    shape = shape_with(shape)
    if shape.__class__ is not Sizes:
        return array_of(whole)
    first = sized.slice_(whole, [0] * whole.ndim, shape, range(whole.ndim))
    storage = SizedStorage(first, whole)
    return Handle.facade(storage, (storage.window,))


def whole_of(leaf: Handle) -> Value:
    """What the leaf shows; where its size is not known, an array of which it is the first
    elements."""
    if leaf._extents.__class__ is not Sizes:
        return leaf._read()
    storage = leaf._storage
    found = storage.all_elements(leaf._views) if isinstance(storage, SizedStorage) else None
    return sized.padded(leaf._read()) if found is None else found


class Form(NamedTuple):
    """How an array is taken apart.

    Attributes:
        axes: the dimensions whose size is a part; none if it stays whole.
        bounds: how large it can be.
    """

    axes: tuple[int, ...]
    bounds: tuple[int, ...]


def is_sized(leaf: Any) -> bool:
    """Whether it is an array whose size is known at run time only."""
    return isinstance(leaf, Handle) and leaf._extents.__class__ is Sizes


def _form_of(leaf: Any) -> Form | None:
    """How it is taken apart by itself; None if it is no array."""
    if isinstance(leaf, Handle):
        axes = [i for i, size in enumerate(leaf._extents) if is_extent(size)]
        return Form(tuple(axes), bounds_of(leaf._extents))
    return Form((), leaf.shape) if isinstance(leaf, np.ndarray) else None


def common_forms(one: Any, other: Any) -> list[Form | None] | None:
    """How the arrays in two values are taken apart in the same way; None if they cannot be."""
    (first, tree), (second, other_tree) = flatten(one), flatten(other)
    if tree != other_tree:
        return None
    forms: list[Form | None] = []
    for a, b in zip(first, second, strict=True):
        x, y = _form_of(a), _form_of(b)
        if x is None or y is None or not (x.axes or y.axes):
            forms.append(None)
            continue
        if len(x.bounds) != len(y.bounds):
            return None
        axes = tuple(sorted({*x.axes, *y.axes}))
        bounds = [larger(n, m) for n, m in zip(x.bounds, y.bounds, strict=True)]
        if any(x.bounds[i] != y.bounds[i] for i in range(len(bounds)) if i not in axes):
            return None
        forms.append(Form(axes, tuple(bounds)))
    return forms


def widened(entry: Any, final: Any) -> list[Form | None] | None:
    """How arrays are taken apart that get another size; None if none does, or they cannot be."""
    forms = common_forms(entry, final)
    own = common_forms(entry, entry), common_forms(final, final)
    return None if own == (forms, forms) else forms


def apart(
    value: Any, read: Callable[[Any], Value], forms: Sequence[Form | None] | None = None
) -> Any:
    """The value with the parts of arrays whose size is known at run time only.

    Args:
        value: arrays and numbers in containers.
        read: gives what an array holds.
        forms: how its arrays are taken apart, where that is not as they would be by themselves.
    """
    leaves, tree = flatten(value)
    if forms is None and not any(map(is_sized, leaves)):
        return value
    forms = forms or [None] * len(leaves)
    parts = [_parted(leaf, read, form) for leaf, form in zip(leaves, forms, strict=True)]
    return tree.unflatten(parts)


def sizes_among(tree: TreeDef) -> list[tuple[int, int, int]]:
    """For each such dimension of an array in a structure, with the parts of arrays: the number of
    the leaf that is the array, the dimension, and the number of the leaf that is its size."""
    found: list[tuple[int, int, int]] = []
    start = 0
    pending = [tree]
    while pending:
        node = pending.pop()
        if node.cls is UnknownSizeArray:
            found += [(start, axis, start + 1 + i) for i, axis in enumerate(node.data)]
        if node.cls is None or node.cls is UnknownSizeArray:
            start += node.leaf_count
        else:
            pending += reversed(node.children)
    return found


def _parted(leaf: Any, read: Callable[[Any], Value], form: Form | None) -> Any:
    form = form or _form_of(leaf)
    if form is None or not form.axes:
        return leaf
    sizes = leaf._extents if isinstance(leaf, Handle) else leaf.shape
    counts = [
        python_number(s.value) if is_extent(s) else s for s in map(sizes.__getitem__, form.axes)
    ]
    return UnknownSizeArray(_whole(leaf, sizes, read, form.bounds), counts, form.axes)


def _whole(
    leaf: Any, sizes: Sequence[Any], read: Callable[[Any], Value], bounds: tuple[int, ...]
) -> Any:
    """An array of this shape that the leaf shows the first elements of; the same memory, if it is
    such a view."""
    if tuple(sizes) == bounds:
        return leaf
    if isinstance(leaf, Handle) and leaf._views == (first_ones(leaf._extents),):
        whole = Handle.facade(leaf._storage)
        if whole.shape == bounds:
            return whole
    value = read(leaf)
    value = whole_of(leaf) if is_sized(leaf) else sized.padded(value)
    if value.shape == bounds:
        return array_of(value)
    zeros = sized.filled_with_zeros(bounds, value.dtype)
    return array_of(prims.update_slice(zeros, value, [0] * value.ndim, [1] * value.ndim))
