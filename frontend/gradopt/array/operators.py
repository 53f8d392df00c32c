# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Operators and methods of traced arrays, made of ufuncs and functions."""

from __future__ import annotations

import functools
import operator as python
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from gradopt.array.dispatch import (
    apply_ufunc,
    call_function,
    call_ufunc,
    handler_of,
    ufunc_handler,
)
from gradopt.array.handle import Handle
from gradopt.array.handle import python_number as number_of
from gradopt.array.operands import is_traced
from gradopt.base.called import is_undispatched
from gradopt.base.dtypes import INT64, PYTHON_NUMBERS
from gradopt.ir import prims

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


# What is done with a series of `numpy.polynomial`, which finds no traced values.
_PYTHONS: dict[Any, Callable[[Any, Any], Any]] = {
    np.add: python.add,
    np.subtract: python.sub,
    np.multiply: python.mul,
    np.divide: python.truediv,
    np.floor_divide: python.floordiv,
    np.remainder: python.mod,
    np.divmod: divmod,
}
_NUMPYS = (np.ndarray.__array_ufunc__, None)


def overrides(*operands: Any) -> bool:
    """Whether an operand is of another library, and handles ufuncs itself, as `xarray` does."""
    for operand in operands:
        if not isinstance(operand, Handle):
            method = getattr(type(operand), "__array_ufunc__", None)
            if method not in _NUMPYS:
                return True
    return False


@functools.cache
def with_traced(function: Any) -> Any:
    """A function of NumPy that finds traced values in all its arguments, in lists, too."""

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        if not is_traced(*args, *kwargs.values()):
            return function(*args, **kwargs)
        if isinstance(function, np.ufunc):
            if overrides(*args):
                return function(*args, **kwargs)
            if len(args) > function.nin:
                args, kwargs["out"] = args[: function.nin], args[function.nin :]
            return call_ufunc(function, "__call__", args, kwargs)
        return call_function(function, args, kwargs)

    return wrapper


def in_place_of(function: Any) -> Callable[..., Any] | None:
    """What finds traced values in place of a function, class or series of NumPy's that does not;
    None if it is none, or not supported."""
    if not is_undispatched(function):
        return None
    kind = type(function)
    if is_undispatched(kind):
        # A series, which is called.
        call = kind.__call__
        return functools.partial(with_traced(call), function) if handler_of(call) else None
    return with_traced(function) if handler_of(function) else None


def operator(ufunc: np.ufunc, *, reflected: bool = False) -> Any:
    """The binary operator of a ufunc; the reflected one has the array on the right."""

    def apply(array: Tracer, other: Any) -> Any:
        if array._is_scalar and isinstance(other, _SEQUENCES):
            if array._weak:
                return _of_sequence(ufunc, array, other, reflected)
            if ufunc is np.multiply:
                return NotImplemented  # Python repeats it as often as the number says.
        if defers(other):
            series = handler_of(type(other))
            if series is None or ufunc not in _PYTHONS:
                return NotImplemented
            ours: Any = series.function
            operands = ours.of(other), array
            return _PYTHONS[ufunc](*(operands if reflected else reversed(operands)))
        if overrides(other):
            return ufunc(other, array) if reflected else ufunc(array, other)
        if reflected:
            return apply_operator(ufunc, other, array)
        return apply_operator(ufunc, array, other)

    return apply


# Numbers repeat them, and are not multiplied with their elements.
_SEQUENCES = (list, tuple, str, bytes)


# Operators that a number and a sequence of Python's do not have, by their ufuncs.
_SYMBOLS: dict[Any, str] = {
    np.add: "+",
    np.subtract: "-",
    np.divide: "/",
    np.floor_divide: "//",
    np.remainder: "%",
    np.divmod: "divmod()",
    np.power: "** or pow()",
    np.matmul: "@",
    np.left_shift: "<<",
    np.right_shift: ">>",
    np.bitwise_and: "&",
    np.bitwise_or: "|",
    np.bitwise_xor: "^",
}
_COMPARISONS: dict[Any, str] = {
    np.less: "<",
    np.less_equal: "<=",
    np.greater: ">",
    np.greater_equal: ">=",
}


def _of_sequence(ufunc: np.ufunc, number: Tracer, sequence: Any, reflected: bool) -> Any:
    """What a number and a sequence of Python's are together, which are no arrays."""
    one, other = number.__class__.__name__, type(sequence).__name__
    if ufunc is np.multiply:
        if number.dtype.kind in "iub":
            return NotImplemented  # Python repeats it as often as the number says.
        raise TypeError(f"can't multiply sequence by non-int of type {one!r}")
    if ufunc in (np.equal, np.not_equal):
        return NotImplemented
    if ufunc in _COMPARISONS:
        symbol = f"{_COMPARISONS[ufunc]!r} not supported between instances of"
    elif reflected and ufunc is np.add:
        raise TypeError(f'can only concatenate {other} (not "{one}") to {other}')
    else:
        symbol = f"unsupported operand type(s) for {_SYMBOLS[ufunc]}:"
    if reflected:
        one, other = other, one
    raise TypeError(f"{symbol} {one!r} and {other!r}")


def operators(ufunc: np.ufunc) -> tuple[Any, Any]:
    """The binary operator of a ufunc, and the reflected one."""
    return operator(ufunc), operator(ufunc, reflected=True)


def apply_operator(ufunc: np.ufunc, left: Any, right: Any) -> Any:
    """Applies a ufunc as Python's operator: of two Python numbers the result is one."""
    if is_weak(left) and is_weak(right):
        if ufunc in _ARITHMETIC:
            left, right = python_number(left), python_number(right)
        result = ufunc_handler(ufunc)(left, right)
        # Arithmetic of Python numbers gives Python numbers.
        if isinstance(result, tuple):
            return tuple([number_of(part) for part in result])
        return number_of(result)
    return apply_ufunc(ufunc, (left, right))


# Python's bools are integers here; NumPy's are not.
_ARITHMETIC = frozenset(
    {
        *(np.add, np.subtract, np.multiply, np.floor_divide, np.remainder, np.divmod, np.power),
        *(np.left_shift, np.right_shift),
    }
)


def python_number(value: Any) -> Any:
    """A Python number as arithmetic takes it: bools are integers."""
    if isinstance(value, Handle):
        if value.dtype.kind == "b":
            return number_of(prims.convert(value._read(), INT64))
        return value
    return int(value) if isinstance(value, bool) else value


def is_weak(value: Any) -> bool:
    """Whether the value counts as a Python number in NumPy's promotion."""
    return type(value) in PYTHON_NUMBERS or getattr(value, "_weak", False)


def inplace(ufunc: np.ufunc, symbol: str) -> Any:
    """The in-place operator of a ufunc; scalars never change: a new one takes their place."""
    action = f"the in-place {ufunc.__name__}"
    advice = f"write `x = x {symbol} y` to make a new array"

    def apply(array: Tracer, other: Any) -> Any:
        if defers(other) or (array._is_scalar and isinstance(other, _SEQUENCES)):
            return NotImplemented
        if array._is_scalar:
            return apply_operator(ufunc, array, other)
        array._require_writable(action, advice)
        return call_ufunc(ufunc, "__call__", (array, other), {"out": (array,)})

    return apply


def unary(ufunc: np.ufunc) -> Any:
    """The unary operator of a ufunc."""

    def apply(array: Tracer) -> Any:
        if array._weak:
            return number_of(ufunc_handler(ufunc)(python_number(array)))
        return apply_ufunc(ufunc, (array,))

    return apply
