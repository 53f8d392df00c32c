# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Results whose size is known at run time only.

Compiled code returns an array as large as it can be, and the sizes. The user gets the elements that
there are: a view of that array.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from gradopt.array.handle import Handle, array_of, wrap
from gradopt.base.pytree import flatten, register_pytree
from gradopt.ir import sized
from gradopt.ir.extents import Sizes, is_extent


class UnknownSizeArray:
    """A container of such an array, and of its sizes.

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


def _made(axes: tuple[int, ...], parts: Sequence[Any]) -> Any:
    whole, *counts = parts
    if not isinstance(whole, np.ndarray):
        return UnknownSizeArray(whole, counts, axes)
    slices = [slice(None)] * whole.ndim
    for axis, count in zip(axes, counts, strict=True):
        slices[axis] = slice(int(count))
    return whole[tuple(slices)]


register_pytree(UnknownSizeArray, lambda part: ((part.whole, *part.counts), part.axes), _made)


def _is_sized(leaf: Any) -> bool:
    return isinstance(leaf, Handle) and leaf._extents.__class__ is Sizes


def with_sizes(result: Any) -> Any:
    """What a function returned, with a `UnknownSizeArray` for each array of such a size."""
    leaves, tree = flatten(result)
    if not any(map(_is_sized, leaves)):
        return result
    return tree.unflatten([_trimmed(leaf) if _is_sized(leaf) else leaf for leaf in leaves])


def _trimmed(leaf: Handle) -> UnknownSizeArray:
    value = leaf._read()
    sizes = [(i, size) for i, size in enumerate(value.shape) if is_extent(size)]
    counts = [wrap(sized.word(size)) for _, size in sizes]
    return UnknownSizeArray(array_of(sized.padded(value)), counts, tuple([i for i, _ in sizes]))
