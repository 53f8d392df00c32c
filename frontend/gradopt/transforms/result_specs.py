# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What functions that are not traced return, as their callers say it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gradopt.array.handle import Handle, array_of, wrap
from gradopt.base.dtypes import PYTHON_NUMBERS, DType, supported
from gradopt.base.location import source_location
from gradopt.base.pytree import TreeDef, flatten, leaf_paths
from gradopt.compilation.arguments import checked_integer
from gradopt.errors import ArgumentError, ArgumentTypeError, DTypeError, ShapeError
from gradopt.ir import prims
from gradopt.ir.values import Shape, Value

VMAP_METHODS = ("sequential", "expand_dims", "broadcast_all")


class ShapeDtypeStruct:
    """The shape and dtype of an array, without elements, as in JAX.

    Attributes:
        shape: a tuple of ints.
        dtype: a NumPy dtype.

    Raises:
        ArgumentTypeError: a size is no integer; ShapeError: it is negative.
        DTypeError: there is no such dtype.
    """

    __slots__ = ("dtype", "shape")

    def __init__(self, shape: int | Sequence[int], dtype: Any) -> None:
        sizes: Any = shape if prims.is_sequence(shape) else (shape,)
        self.shape: Shape = tuple([checked_integer(size, "a size of shape") for size in sizes])
        if any(size < 0 for size in self.shape):
            raise ShapeError(f"shape must not be negative, but it is {shape}", source_location())
        try:
            self.dtype: DType = np.dtype(dtype)
        except TypeError as error:
            raise DTypeError(f"dtype: {error}", source_location()) from None

    def __repr__(self) -> str:
        return f"ShapeDtypeStruct(shape={self.shape}, dtype={self.dtype})"

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, ShapeDtypeStruct)
            and self.shape == other.shape
            and self.dtype == other.dtype
        )

    def __hash__(self) -> int:
        return hash((self.shape, self.dtype))


@dataclass(frozen=True)
class ResultSpecs:
    """The results of a function that is not traced.

    Attributes:
        tree: their structure.
        leaves: shape and dtype of each.
    """

    tree: TreeDef
    leaves: tuple[tuple[Shape, DType], ...]

    @staticmethod
    def of(given: Any) -> ResultSpecs:
        """As the user gives them: a pytree of what has a shape and a dtype.

        Raises:
            ArgumentTypeError: a leaf has none.
            UnsupportedError: a dtype is not supported.
        """
        leaves, tree = flatten(given)
        paths = leaf_paths(tree, "result_shape_dtypes")
        found = [_spec_of(leaf, path) for leaf, path in zip(leaves, paths, strict=True)]
        return ResultSpecs(tree, tuple(found))

    @property
    def paths(self) -> list[str]:
        """How each result is reached."""
        return leaf_paths(self.tree, "result")

    def wrap(self, values: Sequence[Value]) -> Any:
        """The results as the user gets them."""
        return self.tree.unflatten(
            [array_of(value) if value.ndim else wrap(value) for value in values]
        )


def _spec_of(leaf: Any, path: str) -> tuple[Shape, DType]:
    if isinstance(leaf, Handle):
        return leaf.shape, leaf.dtype
    if type(leaf) in PYTHON_NUMBERS:
        leaf = np.asarray(leaf)
    shape, dtype = getattr(leaf, "shape", None), getattr(leaf, "dtype", None)
    if shape is None or dtype is None:
        raise ArgumentTypeError(
            f"expected an array or a gradopt.ShapeDtypeStruct at {path}, but got an object of type "
            f"{type(leaf).__name__}",
            source_location(),
        )
    return tuple(shape), supported(dtype)


def check_vmap_method(method: Any) -> str:
    """The batching of the op; None is "sequential".

    Raises:
        ArgumentError: no such method.
    """
    if method is None:
        return VMAP_METHODS[0]
    if not isinstance(method, str) or method not in VMAP_METHODS:
        raise ArgumentError(
            f"vmap_method must be one of {', '.join(map(repr, VMAP_METHODS))}, not {method!r}",
            source_location(),
        )
    return method
