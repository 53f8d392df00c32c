# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Arguments of this package's functions, checked; errors name the argument and what it is."""

from __future__ import annotations

import functools
import inspect
import operator
from collections.abc import Callable, Mapping
from typing import Any, ParamSpec, Protocol, TypeVar

import numpy as np

from gradopt.array.handle import Handle, wrap
from gradopt.array.operands import listed
from gradopt.base.donated import require_not_donated
from gradopt.base.dtypes import PYTHON_NUMBERS, SUPPORTED, kind_of
from gradopt.base.frames import hide_frames
from gradopt.base.location import source_location
from gradopt.compilation.calling import describe_value, plain_leaf
from gradopt.errors import (
    ArgumentTypeError,
    AxisError,
    GradoptError,
    NumberRangeError,
    ShapeError,
    TraceIndexError,
)

Check = Callable[[Any, str], Any]
P = ParamSpec("P")
R = TypeVar("R")

_WANTED = {"fib": "numbers", "f": "floats", "fi": "numbers", "i": "integers", "b": "bools"}
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
        result, kind = value, kind_of(value.dtype)
    elif type(value) is np.ndarray and value.dtype in SUPPORTED:
        require_not_donated(value)
        result, kind = value, kind_of(value.dtype)
    elif type(value) in (list, tuple):
        try:
            listing = listed(value)
        except ShapeError as error:
            error.message = f"{name}: {error.message}"
            raise
        result = listing if isinstance(listing, np.ndarray) else wrap(listing)
        kind = kind_of(result.dtype)
    elif type(value) in PYTHON_NUMBERS:
        result, kind = value, kind_of(np.result_type(value))
    elif isinstance(value, (np.ndarray, np.generic)) or any(
        hasattr(value, protocol) for protocol in _PROTOCOLS
    ):
        try:
            result = plain_leaf(value, name)
        except GradoptError as error:
            error.location = error.location or source_location()
            raise
        kind = kind_of(np.result_type(result))
        require_not_donated(result)
    else:
        result, kind = value, ""
    if kind.replace("u", "i") not in tuple(kinds):
        raise ArgumentTypeError(
            f"{name} must be {_WANTED[kinds]}, but it is {describe_value(value)}",
            source_location(),
        )
    return result


def checked_number(value: Any, name: str) -> Any:
    """One number, traced or not.

    Raises:
        ArgumentTypeError: it is none.
    """
    number = checked_array(value, name, "fi")
    if np.shape(number) != ():
        raise ArgumentTypeError(
            f"{name} must be one number, but it is {describe_value(value)}", source_location()
        )
    return number


def out_of_range(number: int, dtype: Any) -> NumberRangeError:
    """The error for an argument that its dtype does not hold."""
    return NumberRangeError(f"Python integer {number} out of bounds for {dtype}", source_location())


def checked_integer(value: Any, name: str) -> int:
    """An integer that selects code.

    Raises:
        ArgumentTypeError: it is none, or traced.
        NumberRangeError: it has more than 64 bits.
    """
    try:
        if not isinstance(value, (Handle, bool, np.bool_)):
            number = operator.index(value)
            if not -(2**63) <= number < 2**63:
                raise NumberRangeError(f"{name} {number} does not fit int64", source_location())
            return number
    except TypeError:
        pass
    raise ArgumentTypeError(
        f"{name} must be an integer, but it is {describe_value(value)}{_known(value)}",
        source_location(),
    )


def checked_axes(value: Any, name: str) -> Any:
    """An axis, several, or None.

    Raises:
        ArgumentTypeError: it is no integer.
    """
    if value is None:
        return None
    if isinstance(value, (tuple, list)):
        return tuple([checked_integer(axis, name) for axis in value])
    return checked_integer(value, name)


def checked_flag(value: Any, name: str) -> bool:
    """A bool that selects code.

    Raises:
        ArgumentTypeError: it is none, or traced.
    """
    if not isinstance(value, Handle) and isinstance(value, (bool, np.bool_)):
        return bool(value)
    raise ArgumentTypeError(
        f"{name} must be True or False, but it is {describe_value(value)}{_known(value)}",
        source_location(),
    )


def _known(value: Any) -> str:
    """What to do where a value that selects code is traced."""
    advice = "; its value must be known while tracing: make it static (static_argnums)"
    return advice if isinstance(value, Handle) else ""


class _Checking(Protocol):
    def __call__(self, **own: Check | None) -> Callable[[Callable[P, R]], Callable[P, R]]: ...


def checking(names: Mapping[Check, str]) -> _Checking:
    """Makes a decorator for functions whose arguments mean the same wherever their names do.

    Such a function calls nothing of the user's. Its errors name the user's line and hide our
    frames; what NumPy says of shapes is said there, too. Arguments that have their defaults are not
    checked.

    Args:
        names: for each check, which gets an argument and its name and returns what to use, the
            names of the arguments that it is for.

    Returns:
        The decorator, which takes checks of arguments that mean something else in that function,
        None for none.
    """
    common = {name: check for check, listed in names.items() for name in listed.split()}

    def public(**own: Check | None) -> Callable[[Callable[P, R]], Callable[P, R]]:
        checks: dict[str, Check | None] = {**common, **own}

        def decorate(function: Callable[P, R]) -> Callable[P, R]:
            found = inspect.signature(function).parameters.values()
            plan = {p.name: (check, p.default) for p in found if (check := checks.get(p.name))}
            names = [p.name for p in found]

            def checked(name: str, value: Any) -> Any:
                check, default = plan.get(name, (None, None))
                return value if check is None or value is default else check(value, name)

            @hide_frames
            @functools.wraps(function)
            def call(*args: P.args, **kwargs: P.kwargs) -> R:
                positional: Any = [
                    checked(name, arg) for name, arg in zip(names, args, strict=False)
                ]
                named: Any = {name: checked(name, arg) for name, arg in kwargs.items()}
                run: Callable[..., R] = function
                try:
                    return run(*positional, *args[len(names) :], **named)
                except (ValueError, IndexError) as error:
                    if isinstance(error, GradoptError):
                        raise
                    kind: type[GradoptError] = ShapeError
                    if isinstance(error, np.exceptions.AxisError):
                        kind = AxisError
                    elif isinstance(error, IndexError):
                        kind = TraceIndexError
                    raise kind(f"{function.__name__}: {error}", source_location()) from None

            return call

        return decorate

    return public
