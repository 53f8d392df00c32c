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
from gradopt.array.operands import is_traced
from gradopt.base.location import source_location
from gradopt.control.calls import callee, instead_of, is_unknown, replace
from gradopt.control.containers import UncarriedContainerError, made
from gradopt.control.operators import Operators
from gradopt.control.parts import CannotRollError, Part, Variables, parts_of
from gradopt.control.sequences import zipped
from gradopt.control.text import is_put_off
from gradopt.errors import UnsupportedError
from gradopt.rewrite.functions import package_of
from gradopt.rewrite.names import NONE
from gradopt.rewrite.sites import Site
from gradopt.transforms.batching import vmap
from gradopt.transforms.mapped import along_axis, by_pieces, mapped, vectorized


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
    operators = Operators([_site("for")], "")
    found = operators.collected(0, made(zipped(*rows)), lambda item: [function(*item)])
    if type(found[0]) not in (tuple, list):
        return _stacked(found)
    return tuple([_stacked(list(column)) for column in zip(*found, strict=True)])


def _stacked(elements: list[Any]) -> Any:
    """Results as one array, of the dtype that the first one has."""
    first = elements[0]
    dtype = first.dtype if isinstance(first, Handle) else np.asarray(first).dtype
    return instead_of(np.array)(elements, dtype)


def call_vectorized(vectorize: Any, *args: Any, **kwargs: Any) -> Any:
    """A call of a `numpy.vectorize` object."""
    if vectorize.pyfunc is np._NoValue:
        return vectorize(*args, **kwargs)  # It becomes a decorator.
    function = _called(vectorize.pyfunc)
    calls_twice = vectorize.otypes is None and vectorize.signature is None and not vectorize.cache

    def each(of_element: Callable[..., Any]) -> Callable[..., Any]:
        def call(*rows: Any) -> Any:
            if _Trial(lambda: of_element(*[row[0] for row in rows])).has_effects and calls_twice:
                of_element(*[row[0] for row in rows])  # Which tells NumPy the dtypes.
            return _each(of_element)(*rows)

        return call

    if not is_put_off((args, kwargs)) and not _sees_traced(function, vectorize, args, kwargs):
        return vectorize(*args, **kwargs)
    return vectorized(_With(vectorize, function), args, kwargs, each)


class _With:
    """A `numpy.vectorize` object with another function."""

    def __init__(self, vectorize: Any, function: Callable[..., Any]) -> None:
        self.pyfunc = function
        self.otypes = vectorize.otypes
        self.excluded = vectorize.excluded
        self.signature = vectorize.signature


def _sees_traced(function: Any, vectorize: Any, args: Any, kwargs: Any) -> bool:
    """Whether a function of known elements gives what is not known, or has effects."""
    if not args or kwargs or vectorize.signature is not None or vectorize.excluded:
        return False
    if any(np.size(arg) == 0 for arg in args):
        return False
    return _Trial(lambda: function(*[np.asarray(arg).flat[0] for arg in args])).is_unknown


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
    """`numpy.apply_along_axis`."""
    if not is_put_off((arr, args, kwargs)):
        return np.apply_along_axis(func1d, axis, arr, *args, **kwargs)
    return along_axis(_each, _called(func1d), axis, arr, *args, **kwargs)


def piecewise(x: Any, condlist: Any, funclist: Any, *args: Any, **kw: Any) -> Any:
    """`numpy.piecewise`: functions are not called where no condition holds."""
    if not is_put_off((x, condlist, funclist, args, kw)):
        return np.piecewise(x, condlist, funclist, *args, **kw)
    called = [_called(f) if callable(f) else f for f in funclist]
    return by_pieces(_assign_piece, x, condlist, called, *args, **kw)


def _assign_piece(
    result: Any, condition: Any, some: Any, function: Callable[[Any], Any]
) -> None:
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
