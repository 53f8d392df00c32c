# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Operators and methods of traced arrays, made of ufuncs and functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from gradopt.array.dispatch import call_function, ufunc_handler
from gradopt.base.location import source_location
from gradopt.errors import DTypeError, MutationError, ShapeError, UnsupportedError

if TYPE_CHECKING:
    from gradopt.array.tracer import Tracer


def method(function: Callable[..., Any]) -> Any:
    """The method that calls a NumPy function on the array."""

    def call(array: Tracer, *args: Any, **kwargs: Any) -> Any:
        return call_function(function, (array, *args), kwargs)

    call.__name__ = function.__name__
    call.__doc__ = f"As `numpy.{function.__name__}`."
    return call


def defers(other: Any) -> bool:
    """Whether the other operand wants to handle the operation itself."""
    return getattr(type(other), "__array_ufunc__", True) is None


def operator(ufunc: np.ufunc) -> Any:
    """The binary operator of a ufunc."""

    def apply(array: Tracer, other: Any) -> Any:
        if defers(other):
            return NotImplemented
        return apply_operator(ufunc, array, other)

    return apply


def reflected(ufunc: np.ufunc) -> Any:
    """The reflected binary operator of a ufunc."""

    def apply(array: Tracer, other: Any) -> Any:
        if defers(other):
            return NotImplemented
        return apply_operator(ufunc, other, array)

    return apply


def apply_operator(ufunc: np.ufunc, left: Any, right: Any) -> Any:
    """Applies a ufunc as Python's operator: of two Python numbers the result is one."""
    weak = is_weak(left) and is_weak(right)
    if weak and ufunc in _ARITHMETIC:
        left, right = python_number(left), python_number(right)
    result = ufunc_handler(ufunc)(left, right)
    if weak:
        # Arithmetic of Python numbers gives Python numbers.
        for part in result if isinstance(result, tuple) else (result,):
            part._weak = True
    return result


# Python's bools are integers here; NumPy's are not.
_ARITHMETIC = frozenset(
    {np.add, np.subtract, np.multiply, np.floor_divide, np.remainder, np.divmod, np.power}
)


def python_number(value: Any) -> Any:
    """A Python number as arithmetic takes it: bools are integers."""
    if isinstance(value, bool):
        return int(value)
    if not isinstance(value, (int, float)) and value.dtype.kind == "b":
        value = value.astype(np.int64)
        value._weak = True
    return value


def is_weak(value: Any) -> bool:
    """Whether the value counts as a Python number in NumPy's promotion."""
    return type(value) in (bool, int, float) or getattr(value, "_weak", False)


def inplace(ufunc: np.ufunc) -> Any:
    """The in-place operator of a ufunc; 0-d arrays are NumPy scalars, which never change."""

    def apply(array: Tracer, other: Any) -> Any:
        if not array.shape:
            return apply_operator(ufunc, array, other)
        return _update(ufunc, array, apply_operator(ufunc, array, other))

    return apply


def unary(ufunc: np.ufunc) -> Any:
    """The unary operator of a ufunc."""

    def apply(array: Tracer) -> Any:
        weak = array._weak
        result = ufunc_handler(ufunc)(python_number(array) if weak else array)
        result._weak = weak
        return result

    return apply


def _update(ufunc: np.ufunc, array: Tracer, result: Tracer) -> Tracer:
    """`x += y` on an array that nobody else can see: the handle gets a new value."""
    from gradopt.ir.trace import current_scope

    symbol = f"in-place {ufunc.__name__}"
    if array._argument is not None:
        raise MutationError(
            f"the {symbol} changes the argument {array._argument}; write `x = x + y` to make "
            "a new array",
            source_location(),
        )
    if array._scope is not current_scope():
        raise UnsupportedError(
            f"{symbol} on an array of an enclosing function is not supported", source_location()
        )
    if array._viewed:
        raise UnsupportedError(
            f"{symbol} on an array that is a view, or that has views, is not supported; "
            "write `x = x + y` to make a new array",
            source_location(),
        )
    if result.shape != array.shape:
        raise ShapeError(
            f"non-broadcastable output operand with shape {array.shape} doesn't match the "
            f"broadcast shape {result.shape}",
            source_location(),
        )
    if not np.can_cast(result.dtype, array.dtype, "same_kind"):
        raise DTypeError(
            f"cannot cast the result of {symbol} from {result.dtype} to {array.dtype}",
            source_location(),
        )
    array._value = result.astype(array.dtype)._value
    return array
