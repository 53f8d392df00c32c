# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""`__len__` and `__bool__` of the user's classes, and what Python requires of their results."""

from __future__ import annotations

import operator
import sys
from types import FunctionType
from typing import Any, cast

from gradopt.array.handle import Handle, python_number
from gradopt.base.dtypes import INT64
from gradopt.errors import ElementError
from gradopt.ir import prims
from gradopt.ir.checks import require_within
from gradopt.rewrite.functions import HEAP_TYPE, is_users, rewritten


def length_by(function: FunctionType, owner: Any) -> Any:
    """The length of an object of the user's, by the function that is its `__len__`.

    Raises:
        TypeError: the result is no integer.
        ValueError: it is negative; raised by the call of compiled code if only that knows it.
    """
    answer: Any = rewritten(function)(owner) if is_users(function) else function(owner)
    if not (isinstance(answer, Handle) and answer._known() is None):
        length = operator.index(cast(Any, answer))
        if length < 0:
            raise ValueError("__len__() should return >= 0")
        return length
    is_integer = answer.dtype.kind in "iu" or (answer.dtype.kind == "b" and answer._weak)
    if answer.ndim:
        raise TypeError("only integer scalar arrays can be converted to a scalar index")
    if not is_integer:
        name = type_name(answer.__class__)
        raise TypeError(f"{name!r} object cannot be interpreted as an integer")
    read = prims.convert(answer._read(), INT64)
    require_within(read, 0, sys.maxsize, "__len__() should return >= 0", ElementError)
    return python_number(read)


def truth_by(function: FunctionType, owner: Any) -> Any:
    """The truth of an object of the user's, by the function that is its `__bool__`.

    Raises:
        TypeError: the result is no bool of Python's.
    """
    answer = rewritten(function)(owner)
    is_traced = isinstance(answer, Handle) and answer._known() is None
    if is_traced and answer._weak and answer.dtype.kind == "b":
        return answer
    if is_traced or type(answer) is not bool:
        kind = answer.__class__ if is_traced else type(answer)
        raise TypeError(f"__bool__ should return bool, returned {type_name(kind)}")
    return answer


def type_name(kind: type) -> str:
    """The name of a class in messages of Python's: classes written in C name their module."""
    is_heap = kind.__flags__ & HEAP_TYPE
    return (
        kind.__name__
        if is_heap or kind.__module__ == "builtins"
        else f"{kind.__module__}.{kind.__name__}"
    )
