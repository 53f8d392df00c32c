# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""NumPy's functions that call one of the user's for each element, each row, or some elements.

A function that only computes is mapped, as by `vmap`. One that has effects is called in a loop, so
that these happen for each element, in their order.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import FunctionType
from typing import Any

import numpy as np

from gradopt.array.handle import Handle, UncarriedWriteError
from gradopt.array.operands import handle_of, is_traced
from gradopt.base.location import source_location
from gradopt.control.calls import callee, instead_of, is_unknown, replace
from gradopt.control.containers import UncarriedContainerError, made
from gradopt.control.operators import Operators
from gradopt.control.parts import CannotRollError, Part, Variables, parts_of
from gradopt.control.sequences import ndindex_of, zipped
from gradopt.control.text import is_put_off
from gradopt.errors import DTypeError, UnsupportedError
from gradopt.ir import prims
from gradopt.rewrite.functions import package_of
from gradopt.rewrite.names import NONE
from gradopt.rewrite.sites import Site
from gradopt.transforms.batching import vmap
from gradopt.transforms.mapped import along_axis, by_pieces, mapped, vectorized
from gradopt.transforms.mapped import apply_along_axis as mapped_along_axis


def _site(kind: str) -> Site:
    place = source_location()
    assert place is not None
    return Site(kind, place, NONE, NONE, NONE, NONE, NONE, NONE, NONE)


class _Trial:
    """A call that is traced once, and left out of the program.

    Args:
        call: what to call.

    Attributes:
        has_effects: whether it changes what was there before, prints and the like.
        may_fail: whether it may raise an exception when the compiled code runs.
        is_unknown: whether its result depends on what is traced.
    """

    def __init__(self, call: Callable[[], Any]) -> None:
        self.has_effects = False
        self.may_fail = self.is_unknown = True
        part = Part(_site("for"), "body")

        def body() -> None:
            leaves = (parts_of(call()) or ([],))[0]
            self.is_unknown = any(map(is_unknown, leaves))

        try:
            part.run(body, Variables((), [body, call]), ())
        except (UncarriedWriteError, UncarriedContainerError, CannotRollError):
            self.has_effects = True
        except Exception:
            pass  # Who calls it in earnest says what it is.
        else:
            self.may_fail = part.scope.outcome is not None
            part.scope.discard()


def _called(function: Any) -> Callable[..., Any]:
    """A function as rewritten code calls it."""
    package = package_of(function) if isinstance(function, FunctionType) else ""
    return lambda *args, **kwargs: callee(function, package)(*args, **kwargs)


def _each(function: Callable[..., Any]) -> Callable[..., Any]:
    """As `vmap` of a function of elements, whose effects happen for each of them."""

    def call(*rows: Any) -> Any:
        if not _Trial(lambda: function(*[row[0] for row in rows])).has_effects:
            try:
                return vmap(function)(*rows)
            except UnsupportedError:
                pass  # A loop can do more, as raise exceptions.
        return _one_by_one(function, rows)

    return call


def _one_by_one(function: Callable[..., Any], rows: Sequence[Any]) -> Any:
    return _collected(zipped(*rows), lambda item: function(*item))


def _first_apart(function: Callable[..., Any]) -> Callable[..., Any]:
    """As `_each`, whose results have the dtypes of the first one."""

    def call(*rows: Any) -> Any:
        first = _copied(function(*[row[0] for row in rows]))
        rest = [row[1:] for row in rows]
        others = None if rows[0].shape[0] == 1 else _one_by_one(function, rest)
        if type(first) not in (tuple, list):
            return _joined(first, others)
        tails: Any = [None] * len(first) if others is None else others
        return tuple([_joined(*pair) for pair in zip(first, tails, strict=True)])

    return call


def _joined(first: Any, others: Any) -> Any:
    head = instead_of(np.array)([first], _dtype_of(first))
    return head if others is None else np.concatenate([head, _cast(others, head.dtype)])


def _cast(results: Any, dtype: Any) -> Any:
    """Results in the dtype of the first one."""
    if results.dtype.kind == "c" and np.dtype(dtype).kind != "c":
        raise DTypeError(
            f"results are complex, and the first one is of dtype {dtype}; give otypes=",
            source_location(),
        )
    return results.astype(dtype)


def _dtype_of(result: Any) -> Any:
    return result.dtype if isinstance(result, Handle) else np.asarray(result).dtype


def _collected(items: Any, function: Callable[[Any], Any]) -> Any:
    """Results of a function for each item, as arrays."""
    operators = Operators([_site("for")], "")
    found = operators.collected(0, made(items), lambda item: [_copied(function(item))])
    if type(found[0]) not in (tuple, list):
        return _stacked(found)
    return tuple([_stacked(list(column)) for column in zip(*found, strict=True)])


def _copied(result: Any) -> Any:
    """What a function gave, as it is now."""
    if type(result) in (tuple, list):
        return type(result)([_copied(part) for part in result])
    is_array = isinstance(result, Handle) and not result._is_scalar
    return result.copy() if is_array else result  # pyright: ignore


def _stacked(elements: list[Any]) -> Any:
    """Results as one array, of the dtype that the first one has."""
    return instead_of(np.array)(elements, _dtype_of(elements[0]))


def call_vectorized(vectorize: Any, *args: Any, **kwargs: Any) -> Any:
    """A call of a `numpy.vectorize` object."""
    if vectorize.pyfunc is np._NoValue:
        return vectorize(*args, **kwargs)  # It becomes a decorator.
    function = _called(vectorize.pyfunc)

    def first() -> Any:
        return function(
            *[_first(arg, i, vectorize) for i, arg in enumerate(args)],
            **{name: _first(arg, name, vectorize) for name, arg in kwargs.items()},
        )

    trial = None if vectorize.signature is not None or _are_empty(args, kwargs) else _Trial(first)
    if not is_put_off((args, kwargs)) and (trial is None or not trial.is_unknown):
        return vectorize(*args, **kwargs)
    by = _each
    if trial is not None and trial.has_effects and vectorize.otypes is None:
        # NumPy calls it once more, for the dtypes.
        by = _first_apart if vectorize.cache else _in_dtypes_of(first())
    return vectorized(_With(vectorize, function), args, kwargs, by)


def _in_dtypes_of(first: Any) -> Callable[..., Any]:
    """As `_each`, with results in the dtypes of another one."""
    is_one = type(first) not in (tuple, list)
    dtypes = [_dtype_of(result) for result in ([first] if is_one else first)]

    def by(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*rows: Any) -> Any:
            found = _one_by_one(function, rows)
            if is_one:
                return _cast(found, dtypes[0])
            return tuple([_cast(*pair) for pair in zip(found, dtypes, strict=True)])

        return call

    return by


def _are_empty(args: Sequence[Any], kwargs: dict[str, Any]) -> bool:
    return any(np.size(arg) == 0 for arg in (*args, *kwargs.values()))


def _first(arg: Any, place: int | str, vectorize: Any) -> Any:
    """The first element of an argument, or all of one that is given as a whole."""
    if place in (vectorize.excluded or ()):
        return arg
    array: Any = handle_of(arg)
    return array[(0,) * array.ndim]


class _With:
    """A `numpy.vectorize` object with another function."""

    def __init__(self, vectorize: Any, function: Callable[..., Any]) -> None:
        self.pyfunc = function
        self.otypes = vectorize.otypes
        self.excluded = vectorize.excluded
        self.signature = vectorize.signature


class FromPyFunc:
    """What `numpy.frompyfunc` gives in rewritten functions, for traced arguments too."""

    def __init__(self, func: Callable[..., Any], nin: int, nout: int, **kwargs: Any) -> None:
        self._function = func
        self._ufunc = np.frompyfunc(func, nin, nout, **kwargs)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """The function of all elements."""
        if not is_traced(*args) or kwargs:
            return self._ufunc(*args, **kwargs)
        return mapped(_called(self._function), args, by=_each)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ufunc, name)


def apply_along_axis(func1d: Any, axis: int, arr: Any, *args: Any, **kwargs: Any) -> Any:
    """`numpy.apply_along_axis`: the function gets views, and may write to them."""
    array: Any = handle_of(arr)
    if not is_put_off((arr, args, kwargs)):
        return np.apply_along_axis(func1d, axis, arr, *args, **kwargs)
    function = _called(func1d)
    place = prims.normalize_axis(axis, array.ndim)
    last = np.moveaxis(array, place, -1)
    outer = last.shape[:-1]
    if 0 in outer:
        return mapped_along_axis(function, axis, arr, *args, **kwargs)  # NumPy's error.

    def call(index: tuple[Any, ...]) -> Any:
        return function(last[index], *args, **kwargs)

    if not _Trial(lambda: call((0,) * len(outer))).has_effects:
        try:
            return mapped_along_axis(function, axis, arr, *args, **kwargs)
        except UnsupportedError:
            pass  # As above.
    found = _collected(ndindex_of(*outer), call)
    results = np.reshape(found, (*outer, *found.shape[1:]))
    return along_axis(results, place, len(outer))


def piecewise(x: Any, condlist: Any, funclist: Any, *args: Any, **kw: Any) -> Any:
    """`numpy.piecewise`: functions are not called where no condition holds."""
    if not is_put_off((x, condlist, funclist, args, kw)):
        return np.piecewise(x, condlist, funclist, *args, **kw)
    called = [_called(f) if callable(f) else f for f in funclist]
    return by_pieces(_assign_piece, x, condlist, called, *args, **kw)


def _assign_piece(result: Any, condition: Any, some: Any, function: Callable[[Any], Any]) -> None:
    def assign() -> None:
        result[condition] = function(some)

    size = some.size
    if not is_unknown(size):
        if size:
            assign()
        return
    trial = _Trial(lambda: function(some))
    if trial.has_effects or trial.may_fail:
        Operators([_site("if")], "").branch(0, size > 0, assign)
    else:
        assign()


replace(np.vectorize, call_vectorized)
replace(np.frompyfunc, FromPyFunc)
replace(np.apply_along_axis, apply_along_axis)
replace(np.piecewise, piecewise)
