# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What makes a class a layer: attributes that are checked, and errors at the user's line.

An attribute means the same wherever it has the same name, so what it may be is said here once.
"""

from __future__ import annotations

import functools
import inspect
from typing import Any, TypeVar

import numpy as np

from gradopt.base.frames import hide_frames
from gradopt.base.location import source_location
from gradopt.compilation.arguments import Check, checked_flag, checked_integer, checked_number
from gradopt.compilation.calling import describe_value
from gradopt.errors import ArgumentError, GradoptError
from gradopt.random.arguments import checked_dtype

C = TypeVar("C", bound=type)


def _checked_size(value: Any, name: str) -> None:
    if not (isinstance(value, (int, np.integer)) and 0 < value < 2**48) or value is True:
        raise ArgumentError(
            f"{name} must be a positive integer, but it is {describe_value(value)}",
            source_location(),
        )


def _checked_rate(value: Any, name: str) -> None:
    if not 0 <= checked_number(value, name) < 1:
        raise ArgumentError(f"{name} must be in [0, 1), but it is {value}", source_location())


def _checked_floats(value: Any, name: str) -> None:
    try:
        checked_dtype(value, "f", "floats")
    except GradoptError as error:
        error.message = f"{name}: {error.message}"
        raise


_NAMES: dict[Check, str] = {
    _checked_size: "inputs outputs hidden layers features memory heads count channels groups",
    _checked_rate: "rate",
    _checked_floats: "dtype",
    checked_flag: "bias",
    checked_number: "eps momentum",
    checked_integer: "start",
}
_CHECKS = {name: check for check, names in _NAMES.items() for name in names.split()}


def layer(cls: C) -> C:
    """Makes a dataclass one whose arguments are checked, and whose errors hide our frames.

    Arguments that have their defaults are not checked.
    """
    make: Any = cls.__init__
    signature = inspect.signature(make)

    @functools.wraps(make)
    def init(self: Any, *args: Any, **kwargs: Any) -> None:
        for name, value in signature.bind(self, *args, **kwargs).arguments.items():
            check = _CHECKS.get(name)
            if check is not None and value is not signature.parameters[name].default:
                check(value, f"{name} of {cls.__name__}")
        make(self, *args, **kwargs)

    own: Any = cls
    own.__init__ = hide_frames(init)
    for name in ("init", "init_state", "__call__"):
        if name in vars(cls):
            setattr(cls, name, hide_frames(vars(cls)[name]))
    return cls
