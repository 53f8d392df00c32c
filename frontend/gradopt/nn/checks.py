# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Checks of arguments of this package's functions; they name the argument and the user's line.

An argument means the same wherever it has the same name, so what it may be is said here once.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from gradopt.base.dtypes import kind_of
from gradopt.base.location import source_location
from gradopt.compilation.arguments import (
    checked_array,
    checked_axes,
    checked_flag,
    checked_integer,
    checked_number,
    checking,
)
from gradopt.compilation.calling import describe_value
from gradopt.errors import (
    ArgumentError,
    ArgumentTypeError,
    ShapeError,
)


def checked_entries(value: Any, name: str) -> Any:
    """A dict, of parameters or of a state.

    Raises:
        ArgumentTypeError: it is none.
    """
    if not isinstance(value, dict):
        raise ArgumentTypeError(
            f"{name} must be a dict, as from init, but it is {describe_value(value)}",
            source_location(),
        )
    return value


def entry(values: dict[str, Any], name: str, whose: str = "params") -> Any:
    """A parameter, or a part of a state.

    Raises:
        ArgumentTypeError: there is no dict of them.
        ArgumentError: it is missing.
    """
    if name not in checked_entries(values, whose):
        raise ArgumentError(
            f"expected {whose}[{name!r}], but {whose} has only {list(values)}", source_location()
        )
    return values[name]


def checked_reduction(value: Any, name: str) -> str:
    """How losses are put together.

    Raises:
        ArgumentError: there is no such way.
    """
    if not isinstance(value, str) or value not in ("mean", "sum", "none"):
        raise ArgumentError(
            f"{name} must be 'mean', 'sum' or 'none', but it is {describe_value(value)}",
            source_location(),
        )
    return value


public = checking(
    {
        checked_array: "x xs h w b weight bias table indices mask query key value alpha "
        "negative_slope predictions targets logits log_probabilities labels pos_weight",
        checked_number: "eps momentum rate delta label_smoothing scale",
        checked_integer: "groups heads",
        checked_flag: "training causal reverse approximate",
        checked_axes: "axis",
        checked_entries: "params state",
        checked_reduction: "reduction",
    }
)


def shape_of(x: Any) -> tuple[int, ...]:
    """The shape of an array, or of a number."""
    return tuple(getattr(x, "shape", ()))


def require_shape(x: Any, name: str, expected: tuple[int | str, ...]) -> None:
    """Raises a ShapeError if an array has another shape; names stand for any size."""
    shape = shape_of(x)
    if len(shape) != len(expected) or any(
        isinstance(wanted, int) and size != wanted
        for size, wanted in zip(shape, expected, strict=True)
    ):
        text = ", ".join(str(size) for size in expected) + ("," if len(expected) == 1 else "")
        raise ShapeError(
            f"expected {name} of shape ({text}), but got {shape}",
            source_location(),
        )


def require_size(x: Any, name: str, size: int, axis: int = -1) -> None:
    """Raises a ShapeError if the axis of an array does not exist or has another size."""
    shape = shape_of(x)
    exists = -len(shape) <= axis < len(shape)
    if not exists or shape[axis] != size:
        raise ShapeError(
            f"expected {name} with {size} elements along axis {axis}, but got shape {shape}",
            source_location(),
        )


def require_same_shape(x: Any, name: str, y: Any, other: str) -> None:
    """Raises a ShapeError if two arrays have different shapes."""
    if shape_of(x) != shape_of(y):
        raise ShapeError(
            f"expected {name} and {other} of one shape, but got {shape_of(x)} and {shape_of(y)}",
            source_location(),
        )


def require_integers(x: Any, name: str) -> None:
    """Raises an ArgumentTypeError if an array is not of integers."""
    _require_kind(x, name, "iu", "integers")


def require_bools(x: Any, name: str) -> None:
    """Raises an ArgumentTypeError if an array is not of bools."""
    _require_kind(x, name, "b", "bools")


def _require_kind(x: Any, name: str, kinds: str, text: str) -> None:
    dtype = x.dtype if hasattr(x, "dtype") else np.asarray(x).dtype
    if kind_of(dtype) not in kinds:
        raise ArgumentTypeError(f"expected {name} of {text}, but got {dtype}", source_location())


def require(condition: bool, message: str) -> None:
    """Raises an ArgumentError with this message unless the condition holds."""
    if not condition:
        raise ArgumentError(message, source_location())
