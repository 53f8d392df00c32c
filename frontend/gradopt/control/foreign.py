# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What functions that are not rewritten do to their arguments, in a part of a statement.

NumPy's write to concrete arrays, those of `operator` to containers, and both may use up iterators.
"""

from __future__ import annotations

import functools
import inspect
import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from gradopt.array.handle import Handle
from gradopt.base.location import source_location
from gradopt.control.containers import changes, require_own
from gradopt.control.parts import CannotRollError

# The place of the array that a function writes to.
_WRITERS: dict[Any, int] = {
    np.copyto: 0,
    np.put: 0,
    np.place: 0,
    np.putmask: 0,
    np.fill_diagonal: 0,
    np.put_along_axis: 0,
}
_WRITING_METHODS = frozenset(
    {"fill", "sort", "partition", "put", "itemset", "resize", "byteswap", "setfield", "setflags"}
)
# The place of `out` where signatures do not tell.
_OUT_OF_FUNCTIONS: dict[Any, int] = {np.dot: 2, np.concatenate: 2}
_OUT_OF_METHODS = {
    "all": 1,
    "any": 1,
    "argmax": 1,
    "argmin": 1,
    "choose": 1,
    "clip": 2,
    "compress": 2,
    "cumprod": 2,
    "cumsum": 2,
    "dot": 1,
    "max": 1,
    "mean": 2,
    "min": 1,
    "prod": 2,
    "round": 1,
    "std": 2,
    "sum": 2,
    "take": 2,
    "trace": 4,
    "var": 2,
}
_OUT_OF_REDUCTIONS = {"accumulate": 3, "reduce": 3, "reduceat": 4}
_IN_PLACE: frozenset[Any] = frozenset(
    found
    for name, found in vars(operator).items()
    if name in ("setitem", "delitem") or (name.startswith("i") and f"__{name}__" in vars(operator))
    if name not in ("index", "inv", "invert")
)
# What these do not change, but make a new one of.
UNCHANGING = (int, float, complex, str, bytes, tuple, frozenset, np.generic, type(None))


def noting(function: Any, call: Callable[..., Any]) -> Callable[..., Any]:
    """A call of a function that is not rewritten, in a part, which notes what it changes.

    Args:
        function: the function.
        call: what is called in its place.
    """
    if getattr(function, "__module__", None) == "_operator" and function in _IN_PLACE:
        return functools.partial(_changing, function)

    def noted(*args: Any, **kwargs: Any) -> Any:
        for arg in (*args, *kwargs.values()):
            require_own(arg)
        for array in _written(function, args, kwargs):
            if isinstance(array, np.ndarray) and not isinstance(array, Handle):
                changes(array)
        return call(*args, **kwargs)

    return noted


def _changing(function: Any, container: Any, *args: Any) -> Any:
    """A function of `operator` that changes its first argument."""
    if not isinstance(container, (Handle, *UNCHANGING)) and changes(container) is not None:
        raise CannotRollError(
            f"operator.{function.__name__} changes a list that a loop appends to, or assigns "
            "elements of",
            source_location(),
        )
    return function(container, *args)


def _written(function: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> list[Any]:
    """What a function writes to, if it is one of NumPy's."""
    found: list[Any] = []
    out = kwargs.get("out")
    if out is not None:
        found += out if isinstance(out, tuple) else [out]
    owner, name = getattr(function, "__self__", None), getattr(function, "__name__", "")
    if isinstance(function, np.ufunc):
        found += args[function.nin :]
    elif isinstance(owner, np.ufunc):
        found += args[:1] if name == "at" else _at(args, _OUT_OF_REDUCTIONS.get(name))
    elif isinstance(owner, np.ndarray):
        found += [owner] if name in _WRITING_METHODS else _at(args, _OUT_OF_METHODS.get(name))
    elif getattr(function, "__objclass__", None) is np.ndarray:
        found += args[:1] if name in _WRITING_METHODS else []
    elif getattr(function, "__module__", None) == "numpy":
        writes = _WRITERS.get(function)
        found += _at(args, _place_of_out(function) if writes is None else writes)
        found += [kwargs[name] for name in ("a", "arr", "dst") if writes == 0 and name in kwargs]
        if function is np.nan_to_num and not (args[1:2] or [kwargs.get("copy", True)])[0]:
            found += args[:1]
    return found


def _at(args: Sequence[Any], place: int | None) -> Sequence[Any]:
    return [] if place is None else args[place : place + 1]


@functools.cache
def _place_of_out(function: Any) -> int | None:
    if function in _OUT_OF_FUNCTIONS:
        return _OUT_OF_FUNCTIONS[function]
    try:
        names = [*inspect.signature(function).parameters]
    except (TypeError, ValueError):
        return None
    return names.index("out") if "out" in names else None
