# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Errors without frames of this package in their tracebacks."""

from __future__ import annotations

import functools
import os
import re
import types
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

from gradopt.base.location import innermost, is_internal, source_location
from gradopt.errors import (
    ConversionError,
    GradoptError,
    IntegerError,
    UnsupportedError,
)

# What Python and NumPy say of a value that is no axis or size.
_NO_INTEGER = "cannot be interpreted as an integer|only integer scalar arrays can be converted"

_CONTROL = os.path.join(os.path.dirname(os.path.dirname(__file__)), "control", "")

P = ParamSpec("P")
R = TypeVar("R")


def hide_frames(function: Callable[P, R]) -> Callable[P, R]:
    """Wraps an entry point: our own errors leave it without frames of this package."""

    @functools.wraps(function)
    def entry(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except GradoptError as error:
            error.location = error.location or source_location()
            raise error.with_traceback(user_traceback(error.__traceback__)) from error.__cause__
        except Exception as error:
            named = _hidden(error)
            if named is None and isinstance(error, TypeError):
                named = _named(error)
            if named is None:
                raise
            raise named.with_traceback(user_traceback(error.__traceback__)) from None

    return entry


def _hidden(error: Exception) -> GradoptError | None:
    """Our error, for one that NumPy raised because of it."""
    # Where `a[i] = x` converts x.
    if isinstance(error.__cause__, GradoptError):
        return error.__cause__ if "array element" in str(error) else None
    # Where NumPy catches it and tries something else, as np.mgrid[:n, :2] does.
    hidden = error.__context__
    if not isinstance(hidden, GradoptError) or not _is_numpys(error.__traceback__):
        return None
    return hidden


def _named(error: TypeError) -> GradoptError | None:
    """Our error, at the user's line, for one of NumPy's that says nothing of traced arrays."""
    text = str(error)
    location = innermost(error.__traceback__) or source_location()
    if "got 'Tracer<" in text and "sequence of integers" in text:
        return ConversionError(
            "a traced array cannot become a size: its value is known only when the compiled code "
            "runs; take sizes from shapes, or from an argument that is static (static_argnums)",
            location,
        )
    if re.search(_NO_INTEGER, text) and _is_ours(error.__traceback__):
        return IntegerError(text, location)
    if "WRITEBACKIFCOPY" in text:
        return UnsupportedError(
            "numpy.nditer is not supported on traced arrays: iterate over x.ravel(), or compute "
            "with whole arrays",
            location,
        )
    return None


def _is_numpys(traceback: types.TracebackType | None) -> bool:
    """Whether an exception was raised in a function of NumPy's."""
    name = ""
    while traceback is not None:
        name = traceback.tb_frame.f_globals.get("__name__", "")
        traceback = traceback.tb_next
    return name.partition(".")[0] == "numpy"


def _is_ours(traceback: types.TracebackType | None) -> bool:
    """Whether an exception was raised in this package or in NumPy."""
    while traceback is not None and traceback.tb_next is not None:
        traceback = traceback.tb_next
    if traceback is None or not is_internal(traceback.tb_frame):
        return False
    # What stands for `range` and the like is called as Python's own.
    return not traceback.tb_frame.f_code.co_filename.startswith(_CONTROL)


def user_traceback(traceback: types.TracebackType | None) -> types.TracebackType | None:
    """The traceback without the frames of gradopt and NumPy."""
    kept: list[Any] = []
    while traceback is not None:
        if not is_internal(traceback.tb_frame):
            kept.append(traceback)
        traceback = traceback.tb_next
    result = None
    for entry in reversed(kept):
        result = types.TracebackType(result, entry.tb_frame, entry.tb_lasti, entry.tb_lineno)
    return result
