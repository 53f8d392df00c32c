# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What functions of the user's return, where it must be like something that they get."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from gradopt.array.handle import Handle
from gradopt.base.dtypes import PYTHON_NUMBERS, DType, is_inexact
from gradopt.base.location import function_source, source_location
from gradopt.base.pytree import TreeDef, flatten, flatten_like, leaf_paths
from gradopt.compilation.calling import function_name, plain_leaf
from gradopt.errors import ArgumentError, ArgumentTypeError, GradoptError


@dataclass(frozen=True)
class Likeness:
    """What there is to know of a pytree of floats but their values.

    Attributes:
        name: what the user calls it.
        tree: its structure.
        kinds: shapes and dtypes of its leaves.
    """

    name: str
    tree: TreeDef
    kinds: list[tuple[tuple[int, ...], DType]]

    @staticmethod
    def of(value: Any, name: str) -> Likeness:
        """What `value` is; an argument of the user's, called `name`.

        Raises:
            ArgumentTypeError: it is not of floats.
        """
        leaves, tree = flatten(value)
        kinds: list[tuple[tuple[int, ...], DType]] = []
        for leaf, path in zip(leaves, leaf_paths(tree, name), strict=True):
            try:
                shape, dtype, _ = _kind(leaf, path)
            except GradoptError as error:
                error.location = error.location or source_location()
                raise
            if not is_inexact(dtype):
                raise ArgumentTypeError(
                    f"{path} must be of floats, but it is {_text(shape, dtype)}", source_location()
                )
            kinds.append((shape, dtype))
        return Likeness(name, tree, kinds)

    @property
    def zeros(self) -> Any:
        """A pytree of zeros that is like it."""
        return self.tree.unflatten([np.zeros(*kind) for kind in self.kinds])

    def fit(self, returned: Any, function: Callable[..., Any], *, convert: bool = False) -> Any:
        """What the function returned, Python numbers in their dtypes.

        Args:
            returned: the result.
            function: whose.
            convert: whether floats of another dtype are converted.

        Raises:
            ArgumentError: it has another structure or shape; at the function's definition.
            ArgumentTypeError: it has another dtype; at the function's definition.
        """
        start = f"{function_name(function)} must return what is like {self.name}: "
        place = function_source(function)
        try:
            leaves = flatten_like(returned, self.tree, "result")
        except ArgumentError as error:
            raise ArgumentError(start + error.message, place) from None
        paths = zip(leaf_paths(self.tree, "result"), leaf_paths(self.tree, self.name), strict=True)
        fitted: list[Any] = []
        for leaf, wanted, (path, own) in zip(leaves, self.kinds, paths, strict=True):
            try:
                shape, dtype, weak = _kind(leaf, path)
            except GradoptError as error:
                error.location = error.location or place
                raise
            adapts = weak or (convert and is_inexact(dtype))
            if shape != wanted[0] or (dtype != wanted[1] and not adapts):
                cls = ArgumentError if shape != wanted[0] else ArgumentTypeError
                raise cls(
                    f"{start}{path} is {_text(shape, dtype)}, but {own} is {_text(*wanted)}", place
                )
            if dtype != wanted[1]:
                leaf = leaf.astype(wanted[1]) if hasattr(leaf, "astype") else wanted[1].type(leaf)
            fitted.append(leaf)
        return self.tree.unflatten(fitted)


def _kind(leaf: Any, path: str) -> tuple[tuple[int, ...], DType, bool]:
    """Shape, dtype, and whether it is a Python number."""
    if isinstance(leaf, Handle):
        return leaf.shape, leaf.dtype, leaf._weak
    array = np.asarray(plain_leaf(leaf, path, "arrays and numbers are expected"))
    return array.shape, array.dtype, type(leaf) in PYTHON_NUMBERS


def _text(shape: tuple[int, ...], dtype: DType) -> str:
    return f"{dtype.name}{list(shape)}"
