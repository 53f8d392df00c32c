# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The tables from NumPy's functions and ufuncs to ours, and the way through them.

`implements` registers a function whose parameters are the supported ones, under NumPy's names.
What is not in a table, and each keyword that a function does not take, is an `UnsupportedError`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from gradopt.base.location import source_location
from gradopt.errors import UnsupportedError

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True)
class Handler:
    """How one NumPy function is traced.

    Attributes:
        function: our implementation.
        name: NumPy's name, for messages.
        parameters: names of the supported parameters.
        positional: the largest number of positional arguments; None if any number.
        view: whether NumPy's result shares memory with the first argument.
    """

    function: Callable[..., Any]
    name: str
    parameters: frozenset[str]
    positional: int | None
    view: bool


FUNCTIONS: dict[Callable[..., Any], Handler] = {}
UFUNCS: dict[np.ufunc, Callable[..., Any]] = {}
# Ufuncs of other packages (scipy.special), by name.
FOREIGN_UFUNCS: dict[str, Callable[..., Any]] = {}
# ufunc.reduce and ufunc.accumulate, as the NumPy function they equal.
REDUCTIONS: dict[np.ufunc, Callable[..., Any]] = {}
ACCUMULATIONS: dict[np.ufunc, Callable[..., Any]] = {}


def qualified_name(function: Any) -> str:
    """`numpy.linalg.norm` for the function."""
    module = getattr(function, "__module__", None) or "numpy"
    return f"{module}.{getattr(function, '__name__', function)}"


def implements(*functions: Callable[..., Any], view: bool = False) -> Callable[[F], F]:
    """Registers the decorated function for these NumPy functions."""

    def register(implementation: F) -> F:
        signature = inspect.signature(implementation)
        parameters = signature.parameters.values()
        variadic = any(p.kind is p.VAR_POSITIONAL for p in parameters)
        positional = [
            p for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.POSITIONAL_ONLY)
        ]
        for function in functions:
            FUNCTIONS[function] = Handler(
                implementation,
                qualified_name(function),
                frozenset(p.name for p in parameters),
                None if variadic else len(positional),
                view,
            )
        return implementation

    return register


def unsupported(name: str, hint: str = "") -> UnsupportedError:
    """The error for a NumPy function or keyword without implementation."""
    return UnsupportedError(
        f"{name} is not supported on traced arrays{': ' + hint if hint else ''}",
        source_location(),
    )


_HINTS = {
    name: hint
    for hint, names in {
        "it needs sorting, which is not supported yet": (
            "sort argsort partition argpartition lexsort median nanmedian percentile quantile "
            "nanpercentile nanquantile searchsorted digitize histogram"
        ),
        "the shape of its result would depend on values; use numpy.where(mask, x, value)": (
            "nonzero argwhere flatnonzero unique union1d intersect1d setdiff1d trim_zeros"
        ),
        "it changes an array in place; make a new one, for example with numpy.where, or "
        "gradopt.numpy.full or stack": (
            "copyto put place putmask put_along_axis fill_diagonal fill resize at"
        ),
        "factorisations are not supported yet": (
            "solve inv det slogdet cholesky eig eigh eigvals eigvalsh svd svdvals qr lstsq pinv "
            "matrix_rank cond tensorsolve tensorinv"
        ),
        "return the array, and look at it after the call": (
            "array2string save savez savetxt tobytes tofile dump dumps flags strides base data"
        ),
    }.items()
    for name in names.split()
}


def hint_for(name: str) -> str:
    """What to do where NumPy's function, or the method, of this name is not supported."""
    return _HINTS.get(
        name.rpartition(".")[2],
        "write it with other functions, or compute it before the call",
    )


def call_function(
    function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    """Calls our implementation of a NumPy function.

    Raises:
        UnsupportedError: there is none, or it does not take one of the keywords.
    """
    handler = FUNCTIONS.get(function)
    if handler is None:
        name = qualified_name(function)
        raise unsupported(name, hint_for(name))
    return _call(handler, args, kwargs)


def _call(handler: Handler, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    if kwargs:
        for keyword in tuple(kwargs):
            value = kwargs[keyword]
            if value is np._NoValue or (value is None and keyword not in handler.parameters):
                del kwargs[keyword]
            elif keyword not in handler.parameters:
                raise unsupported(
                    f"keyword {keyword}= of {handler.name}", _KEYWORD_HINTS.get(keyword, "")
                )
    limit = handler.positional
    if limit is not None and len(args) > limit:
        if any(value is not None for value in args[limit:]):
            raise unsupported(
                f"positional argument {limit + 1} of {handler.name}",
                "give what follows it by keyword",
            )
        args = args[:limit]
    result = handler.function(*args, **kwargs)
    if args and result is args[0] and hasattr(result, "_alias"):
        result = result._alias()
    if handler.view:
        _mark_views(args, result)
    return result


def _mark_views(bases: tuple[Any, ...], result: Any) -> None:
    if any(hasattr(base, "_viewed") for base in bases):
        parts = result if isinstance(result, (list, tuple)) else (result,)
        for array in (*bases, *parts):
            if hasattr(array, "_viewed"):
                array._viewed = True


# Keywords of ufuncs, with the values that change nothing.
_UFUNC_KEYWORDS: dict[str, tuple[Any, ...]] = {
    "out": (None,),
    "where": (True,),
    "casting": ("same_kind",),
    "order": ("K",),
    "subok": (True,),
    "dtype": (None,),
    "signature": (None,),
}


_KEYWORD_HINTS = {
    "out": "use the result, and write `a = a + b` for `a += b` on a concrete array",
    "where": "choose with numpy.where, of operands that are in the domain everywhere",
    "dtype": "convert the operands with astype",
}


def _is_default(keyword: str, value: Any) -> bool:
    if keyword == "out" and type(value) is tuple:
        return all(part is None for part in value)
    defaults = _UFUNC_KEYWORDS.get(keyword, ())
    return any(value is d or (type(value) is str and value == d) for d in defaults)


def call_ufunc(
    ufunc: np.ufunc, method: str, inputs: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    """Calls our implementation of a ufunc or of one of its methods."""
    name = _ufunc_name(ufunc)
    if method == "__call__":
        for keyword, value in sorted(kwargs.items(), reverse=True):
            if not _is_default(keyword, value):
                raise unsupported(f"keyword {keyword}= of {name}", _KEYWORD_HINTS.get(keyword, ""))
        return ufunc_handler(ufunc)(*inputs)
    if method == "reduce" and ufunc in REDUCTIONS:
        # ufunc.reduce reduces axis 0 by default, numpy.sum all axes.
        return call_function(REDUCTIONS[ufunc], inputs, {"axis": 0, **kwargs})
    if method == "accumulate" and ufunc in ACCUMULATIONS:
        return call_function(ACCUMULATIONS[ufunc], inputs, {"axis": 0, **kwargs})
    if method == "outer" and not kwargs and ufunc in UFUNCS:
        from gradopt.array.operands import traced

        left, right = traced(inputs[0]), traced(inputs[1])
        left = left.reshape(*left.shape, *(1,) * right.ndim)
        return UFUNCS[ufunc](left, right)
    raise unsupported(f"{name}.{method}", hint_for(method))


def ufunc_handler(ufunc: np.ufunc) -> Callable[..., Any]:
    """Our implementation of a ufunc."""
    handler = UFUNCS.get(ufunc)
    if handler is None:
        handler = FOREIGN_UFUNCS.get(ufunc.__name__)
        if handler is None or _is_numpys(ufunc):
            raise unsupported(_ufunc_name(ufunc), hint_for(ufunc.__name__))
    return handler


def _is_numpys(ufunc: np.ufunc) -> bool:
    return getattr(np, ufunc.__name__, None) is ufunc


def _ufunc_name(ufunc: np.ufunc) -> str:
    return f"numpy.{ufunc.__name__}" if _is_numpys(ufunc) else f"the ufunc {ufunc.__name__}"
