# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Arguments of this package's functions, checked; errors name the argument and what it is."""

from __future__ import annotations

from typing import Any

import numpy as np

from gradopt.array.handle import Handle, wrap
from gradopt.array.operands import listed
from gradopt.base.donated import require_not_donated
from gradopt.base.location import source_location
from gradopt.compilation.calling import describe_value, plain_leaf
from gradopt.errors import ArgumentTypeError, GradoptError, ShapeError

_WANTED = {"fib": "numbers", "f": "floats", "i": "integers", "b": "bools"}
_PROTOCOLS = ("__array__", "__array_interface__", "__dlpack__")


def checked_array(value: Any, name: str, kinds: str = "fib") -> Any:
    """An operand, traced or not, as an array or a number.

    Args:
        value: the operand, or a nested list or tuple of such.
        name: of the argument.
        kinds: the kinds of dtypes that it may have, of f, i and b.

    Raises:
        ArgumentTypeError: it is none, or of another kind.
        UnsupportedError: its dtype is not supported.
        ShapeError: it is a list of lists of different lengths.
    """
    if isinstance(value, Handle):
        result, kind = value, value.dtype.kind
    elif type(value) in (list, tuple):
        try:
            listing = listed(value)
        except ShapeError as error:
            error.message = f"{name}: {error.message}"
            raise
        result = listing if isinstance(listing, np.ndarray) else wrap(listing)
        kind = result.dtype.kind
    elif type(value) in (bool, int, float):
        result, kind = value, np.result_type(value).kind
    elif isinstance(value, (np.ndarray, np.generic)) or any(
        hasattr(value, protocol) for protocol in _PROTOCOLS
    ):
        try:
            result = plain_leaf(value, name)
        except GradoptError as error:
            error.location = error.location or source_location()
            raise
        kind = np.result_type(result).kind if type(result) in (int, float) else result.dtype.kind
        require_not_donated(result)
    else:
        result, kind = value, ""
    if kind not in tuple(kinds):
        raise ArgumentTypeError(
            f"{name} must be {_WANTED[kinds]}, but it is {describe_value(value)}",
            source_location(),
        )
    return result


def checked_flag(value: Any, name: str) -> bool:
    """A bool that selects code.

    Raises:
        ArgumentTypeError: it is none, or traced.
    """
    if isinstance(value, (bool, np.bool_)):
        return bool(value)
    advice = (
        "; its value must be known while tracing: make it static (static_argnums)"
        if isinstance(value, Handle)
        else ""
    )
    raise ArgumentTypeError(
        f"{name} must be True or False, but it is {describe_value(value)}{advice}",
        source_location(),
    )
