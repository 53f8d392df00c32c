# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Iterators of Python's whose loops a traced condition may leave.

The rest of such a loop is traced into a branch, which may be traced several times. So what makes
the next element runs where only the run knows whether the program gets there: it must have no
effects, and what it has given is kept.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from types import FunctionType, GeneratorType, MethodType
from typing import Any

from gradopt.array.handle import Handle, UncarriedWriteError
from gradopt.base.location import is_internal_file
from gradopt.control.calls import is_pure
from gradopt.control.containers import UncarriedContainerError, held_by, iterators_in
from gradopt.control.parts import Raised, Variables
from gradopt.errors import GradoptError, SourceLocation, UnsupportedError
from gradopt.rewrite.functions import (
    assigned_globals,
    assigned_outside,
    is_rewritten,
    is_users,
    rewritten,
)

_WHERE = "behind a `break` or `return` that a traced condition decides"
_HINT = "go through a list of the elements, or do it in the body of the loop"
# Iterators that call functions.
_CALLING = frozenset(
    [
        "map",
        "filter",
        "callable_iterator",
        "starmap",
        "takewhile",
        "dropwhile",
        "filterfalse",
        "accumulate",
        "groupby",
        "_grouper",
    ]
)
# Iterators that ask an object for its elements by number.
_ASKING = ("iterator", "reversed")


class Replayed(Iterator[Any]):
    """Goes through the rest of an iterator, as often as a part is traced.

    Args:
        kept: the elements.
        place: the first one.
    """

    def __init__(self, kept: _Kept, place: int = 0) -> None:
        self._kept, self._place = kept, place

    def __next__(self) -> Any:
        item = self._kept.item(self._place)
        self._place += 1
        return item

    def rest(self) -> Callable[[], Iterator[Any]]:
        """What is left, as often as it is asked for."""
        kept, place = self._kept, self._place
        return lambda: Replayed(kept, place)


def replayed(items: Iterator[Any], place: SourceLocation, variables: Variables) -> Replayed:
    """The rest of an iterator, which can be gone through several times.

    Args:
        items: the iterator.
        place: of the loop.
        variables: of the loop.

    Raises:
        UnsupportedError: what makes the elements has, or may have, effects.
    """
    kept = _Kept(items, place)
    for iterator in iterators_in(items):
        effect = _effect(iterator, variables)
        if effect:
            raise UnsupportedError(f"{effect} {_WHERE}; {_HINT}", place)
        kept.assigns |= type(iterator) is GeneratorType and bool(_assigned(iterator))
    return Replayed(kept)


class _Kept:
    """The elements that an iterator has given, and the iterator.

    An iterator that raises has lost the element, and may be dead: nothing goes on behind that.

    Attributes:
        assigns: whether variables that the loop carries are assigned where elements are made.
    """

    def __init__(self, items: Iterator[Any], place: SourceLocation) -> None:
        self._items, self._place = items, place
        self._seen: list[Any] = []
        self._has_ended = False
        self._failed: GradoptError | None = None
        self.assigns = False

    def item(self, number: int) -> Any:
        """An element; a StopIteration behind the last one."""
        if number < len(self._seen):
            if self.assigns:
                raise self._refusal("a variable is assigned by a generator")
            return self._seen[number]
        if self._failed is not None:
            raise self._failed
        if self._has_ended:
            raise StopIteration
        try:
            item = next(self._items)
        except StopIteration:
            self._has_ended = True
            raise
        except GradoptError as error:
            self._failed = error
            raise
        except Raised:
            self._failed = self._refusal("an element is made by code that raises an exception")
            raise
        except (UncarriedWriteError, UncarriedContainerError):
            self._failed = self._refusal(
                "an element is made by code that writes to arrays, changes objects or prints"
            )
            raise self._failed from None
        except Exception as error:
            self._failed = self._refusal(
                f"an element is made by code that raises a {type(error).__name__} ({error})"
            )
            raise self._failed from error
        self._seen.append(item)
        return item

    def _refusal(self, what: str) -> UnsupportedError:
        return UnsupportedError(f"{what} {_WHERE}; {_HINT}", self._place)


def _effect(iterator: Any, variables: Variables) -> str:
    """What making an element would change that nothing notes; empty if nothing is known."""
    kind: Any = type(iterator)
    if kind.__module__.startswith(("gradopt.", "numpy")):
        return ""
    if kind is GeneratorType:
        return _effect_of_generator(iterator, variables)
    if type(kind.__next__) is FunctionType:
        return f"{kind.__name__}.__next__ is called"
    if kind.__name__ in _CALLING:
        changing = [_changing(function) for function in held_by(iterator)]
        if any(changing):
            return f"a {kind.__name__} calls {next(filter(None, changing))}"
    if kind.__name__ in _ASKING:
        for owner in map(type, held_by(iterator)):
            asks: Any = getattr(owner, "__getitem__", None)
            if type(asks) is FunctionType and not is_internal_file(asks.__code__.co_filename):
                return f"{owner.__name__}.__getitem__ is called"
    return ""


def _effect_of_generator(generator: Any, variables: Variables) -> str:
    code = generator.gi_code
    if is_internal_file(code.co_filename):
        return ""
    if not is_rewritten(code):
        return f"the generator {code.co_name}, which is not made by rewritten code, is asked"
    carried = set(map(id, variables.cells.values()))
    cells = [value for value in held_by(generator) if id(value) in carried]
    known = {name for name, cell in variables.cells.items() if any(cell is c for c in cells)}
    changed = [*assigned_globals(code), *sorted(_assigned(generator) - known)]
    return f"the generator {code.co_name} assigns {', '.join(changed)}" if changed else ""


def _assigned(generator: Any) -> frozenset[str]:
    """The variables of others that a generator assigns."""
    return assigned_outside(generator.gi_code)


def _changing(function: Any) -> str:
    """The name of a function that may have effects which nothing notes."""
    while isinstance(function, functools.partial | MethodType):
        function = function.func if isinstance(function, functools.partial) else function.__func__
    if not callable(function) or isinstance(function, Handle | Iterator):
        return ""
    name = getattr(function, "__qualname__", None) or type(function).__name__
    if not isinstance(function, FunctionType) or not is_users(function, ""):
        return "" if is_pure(function) else f"{name}, which may have effects,"
    changed = [*assigned_globals(function.__code__), *assigned_outside(function.__code__)]
    if changed:
        return f"{name}, which assigns {', '.join(changed)},"
    return "" if rewritten(function) is function else f"{name}, which is not rewritten,"
