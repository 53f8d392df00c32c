# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Changes of the user's objects that nothing notes, while a part of a statement is traced.

Python and NumPy call some methods of the user's classes themselves, as `sum` does `__add__`: then
these are not rewritten, and what they change would be changed once, where the program does it in
each iteration.
Where a part can reach a class with such methods, all that it can reach is compared before and
after it. What is too much to look at, or cannot be looked at, counts as changed.
"""

from __future__ import annotations

import argparse
import array
import builtins
import collections
import contextlib
import dis
import functools
import random
import sys
import weakref
from collections.abc import Callable, Generator, Iterable, Iterator
from types import (
    BuiltinFunctionType,
    CodeType,
    FunctionType,
    MethodType,
    ModuleType,
    SimpleNamespace,
)
from typing import Any

import numpy as np

from gradopt.array.handle import Handle
from gradopt.base.location import is_internal_file, source_location
from gradopt.control.snapshots import Names, Snapshot, snapshots
from gradopt.errors import UnsupportedError
from gradopt.rewrite.functions import (
    assigned_globals,
    has_own_init,
    is_users,
    is_users_file,
    names_used,
)

# What can be looked at: objects, and bytes of arrays.
_MOST, _MOST_BYTES = 100_000, 1 << 26
_LEAVES = (Handle, np.generic, int, float, complex, str, bytes, ModuleType, type(None))
_CONTAINERS = (list, tuple, set, frozenset, dict, collections.deque)
_BUFFERS = (np.ndarray, bytearray, array.array)
_RANDOM = (np.random.Generator, np.random.RandomState, random.Random)
_NAMESPACES = (SimpleNamespace, argparse.Namespace)
_PYTHONS_OWN = ("__dict__", "__weakref__", "__doc__", "__module__")
_OFTEN = "where a traced condition, or a loop of compiled code, decides how often that happens"


@contextlib.contextmanager
def none_unnoticed(
    functions: Iterable[Callable[..., Any]], own: Iterable[Any], error: type[UnsupportedError]
) -> Generator[None]:
    """Undoes changes of objects that the functions can reach, and raises for them.

    Args:
        functions: what may run.
        own: cells of variables that they may assign.
        error: what to raise.
    """
    reached = _Reached(functions, own)
    before = reached.snapshots() if reached.may_change else []
    if reached.may_change and reached.unseen:
        raise error(
            f"{reached.unseen} in a method that is called by Python itself, {_OFTEN}",
            source_location(),
        )
    failed = True
    try:
        yield
        failed = False
    finally:
        changed = [held for held in before if held.differs()]
        for held in changed:
            held.restore()
        if changed and not failed:
            raise error(
                f"{changed[0].describe()} changes in a method that is called by Python itself, "
                f"{_OFTEN}",
                source_location(),
            )


class _Reached:
    """What functions can reach: objects of the user's classes, containers, arrays, variables.

    Attributes:
        may_change: whether there are methods that Python calls itself, and that may change some.
        unseen: what cannot be looked at, if there is anything.
    """

    def __init__(self, functions: Iterable[Callable[..., Any]], own: Iterable[Any]) -> None:
        self.may_change = False
        self.unseen = ""
        self._own = set(map(id, own))
        self._seen: dict[int, Any] = {}
        self._found: list[Any] = []
        self._pending: list[Any] = [*functions]
        self._package = ""
        for function in self._pending[:1]:
            self._package = str(function.__globals__.get("__name__")).partition(".")[0]
        if self._package not in _visits_of:
            _visits_of[self._package] = weakref.WeakKeyDictionary()
        self._visits_known = _visits_of[self._package]
        while self._pending:
            if len(self._seen) > _MOST:
                self.may_change = True
                self.unseen = f"one of more than {_MOST} objects may change"
                break
            value = self._pending.pop()
            visit = self._visits(type(value))
            if visit is not None and id(value) not in self._seen:
                self._seen[id(value)] = value
                visit(self, value)

    def snapshots(self) -> list[Snapshot]:
        """What all of it holds."""
        size = 0
        found: list[Snapshot] = []
        for value in self._found:
            if isinstance(value, np.ndarray):
                size += value.nbytes
            elif isinstance(value, _BUFFERS):
                size += len(value)
            if size > _MOST_BYTES:
                self.unseen = f"one of arrays of more than {_MOST_BYTES} bytes may change"
                break
            found += snapshots(value)
        return found

    def _visits(self, kind: type) -> Callable[[_Reached, Any], None] | None:
        """What looks at objects of a class; None for those that neither change nor hold others."""
        found = self._visits_known.get(kind, _UNKNOWN)
        if found is _UNKNOWN:
            found = self._visits_known[kind] = self._found_visit(kind)
        return found

    def _found_visit(self, kind: type) -> Callable[[_Reached, Any], None] | None:
        if kind in _WRAPPERS:
            return _Reached._visit_wrapper
        if issubclass(kind, _LEAVES):
            return None
        for bases, visit in (
            (FunctionType, _Reached._visit_function),
            (type, _Reached._visit_class),
            (_CONTAINERS, _Reached._visit_container),
            (_BUFFERS, _Reached._visit_buffer),
            (_RANDOM, _Reached._visit_random),
            (_NAMESPACES, _Reached._visit_object),
        ):
            if issubclass(kind, bases):
                return visit
        if _is_users_class(kind, self._package):
            return _Reached._visit_object
        return _Reached._visit_iterator if issubclass(kind, Iterator) else None

    def _visit_wrapper(self, value: Any) -> None:
        self._pending += [getattr(value, name) for name in _WRAPPERS[type(value)]]

    def _visit_random(self, value: Any) -> None:
        self._found.append(value)

    def _visit_iterator(self, value: Any) -> None:
        self.unseen = f"a {type(value).__name__} may be used up"

    def _visit_container(self, value: Any) -> None:
        kind = type(value)
        if not isinstance(value, tuple | frozenset):
            self._found.append(value)
        items = dict.values(value) if isinstance(value, dict) else value
        items = [*items] if kind in _CONTAINERS else snapshots(value)[0].held
        if any(self._visits(other) is not None for other in set(map(type, items))):
            self._pending += items
        if kind not in _CONTAINERS and _is_users_class(kind, self._package):
            self._visit_object(value)

    def _visit_buffer(self, value: Any) -> None:
        if getattr(value, "base", value) is not None or value.flags.writeable:
            self._found.append(value)
        if isinstance(value, np.ndarray) and value.dtype.hasobject:
            self._pending += value.ravel().tolist()

    def _visit_object(self, value: Any) -> None:
        self._found.append(value)
        self._pending.append(type(value))
        for snapshot in snapshots(value):
            self._pending += snapshot.held

    def _visit_function(self, function: FunctionType) -> None:
        if not is_users(function, self._package):
            if is_internal_file(function.__code__.co_filename):
                self._pending += _contents(function)  # An operator's, of a part of a statement.
            return
        cells = [cell for cell in function.__closure__ or () if id(cell) not in self._own]
        self._found += [function, *cells]
        self._pending += _contents(function)
        for held in (function.__defaults__, function.__kwdefaults__, function.__dict__):
            if held:
                self._pending.append(held)
        known, names = function.__globals__, names_used(function.__code__)
        assigned = assigned_globals(function.__code__)
        if assigned:
            self._found.append(Names(known, assigned))
        for name in names:
            value = known.get(name)
            if type(value) is not ModuleType:
                self._pending.append(value)
            elif is_users_file(getattr(value, "__file__", None) or "<"):
                inner = vars(value)
                used = tuple([other for other in names if other in inner])
                self._found.append(Names(inner, used))
                self._pending += [inner[other] for other in used]
            elif value is np or value is np.random or value is random:
                # What the functions of modules draw from.
                generators: list[Any] = [np.random.normal, random.random]
                self._pending += [draw.__self__ for draw in generators]

    def _visit_class(self, cls: type) -> None:
        if not _is_users_class(cls, self._package):
            return
        self._found.append(cls)
        self._pending += [type(cls), *cls.__bases__]
        for name, member in vars(cls).items():
            if name in _PYTHONS_OWN:
                continue
            self._pending.append(member)
            # That keeps what it has computed.
            self.may_change |= type(member) is functools.cached_property
            self.may_change |= any(
                type(function) is FunctionType
                and is_users(function, self._package)
                and _may_change(function.__code__)
                for function in _called_by_python(cls, name, member)
            )


def _contents(function: FunctionType) -> list[Any]:
    """The values of the variables of others that a function uses."""
    found: list[Any] = []
    for cell in function.__closure__ or ():
        with contextlib.suppress(ValueError):
            found.append(cell.cell_contents)
    return found


_UNKNOWN: Any = object()
# What looks at objects, by their classes, for the package that is the user's.
_visits_of: dict[str, weakref.WeakKeyDictionary[type, Any]] = {}
# What other objects are made of.
_WRAPPERS: dict[type, tuple[str, ...]] = {
    MethodType: ("__self__", "__func__"),
    BuiltinFunctionType: ("__self__",),
    functools.partial: ("func", "args", "keywords"),
    property: ("fget", "fset", "fdel"),
    functools.cached_property: ("func",),
    classmethod: ("__func__",),
    staticmethod: ("__func__",),
}


def _called_by_python(cls: type, name: str, member: Any) -> list[Any]:
    """The functions of a member of a class that rewritten code does not call itself."""
    if type(member) is property:
        return [member.fget, member.fset, member.fdel]
    is_special = name.startswith("__") and name.endswith("__")
    is_called = name == "__call__" or (name == "__init__" and has_own_init(cls))
    # Calls by these names are not looked at where they stand.
    is_taken_as_harmless = name in _HARMLESS
    return [member] if (is_special and not is_called) or is_taken_as_harmless else []


_known_classes: weakref.WeakKeyDictionary[type, bool] = weakref.WeakKeyDictionary()


def _is_users_class(kind: type, package: str) -> bool:
    """Whether a class is the user's: a method, or the module that it is in."""
    found = _known_classes.get(kind)
    if found is None:
        module = kind.__module__
        file = getattr(sys.modules.get(module), "__file__", None)
        found = _known_classes[kind] = (
            module == "__main__"
            or is_users_file(file or "<")
            or (bool(package) and module.partition(".")[0] == package)
            or any(
                type(member) is FunctionType and is_users(member)
                for base in kind.__mro__[:-1]
                for member in vars(base).values()
            )
        )
    return found


# Functions and methods that change nothing of the user's.
_HARMLESS_NAMES = (
    "abs bool bytes complex divmod float frozenset getattr hasattr hash id int isinstance "
    "issubclass iter keys items values join format startswith endswith split strip lower upper "
    "len list max min pow range repr round set slice str sum super tuple type zip enumerate "
    "reversed sorted TypeError ValueError IndexError KeyError AttributeError NotImplementedError "
    "RuntimeError astype copy reshape ravel transpose mean std var dot item tolist any all "
    "argmax argmin cumsum prod conj flatten"
)
_HARMLESS = frozenset(_HARMLESS_NAMES.split())
# A global function of another such name is the user's.
_BUILTINS = _HARMLESS & vars(builtins).keys()


@functools.lru_cache(4096)
def _may_change(code: CodeType) -> bool:
    """Whether code may change anything that was there before; most methods just look.

    It stores nothing, goes through nothing, and calls harmless functions and methods alone.
    """
    for instruction in dis.get_instructions(code):
        name, argument = instruction.opname, instruction.arg or 0
        if name.startswith(("STORE_", "DELETE_")):
            if not name.startswith(("STORE_FAST", "DELETE_FAST")):
                return True
        elif (
            name.startswith(("INPLACE_", "CALL_FUNCTION", "YIELD_", "GET_ITER", "PUSH_NULL"))
            or (name == "BINARY_OP" and instruction.argrepr.endswith("="))
            or (
                (name == "LOAD_METHOD" or (name in _CALLING and argument & 1))
                and instruction.argval not in (_BUILTINS if name == "LOAD_GLOBAL" else _HARMLESS)
            )
        ):
            return True
    return any(isinstance(const, CodeType) and _may_change(const) for const in code.co_consts)


# Instructions whose argument says whether what is loaded is called.
_CALLING = frozenset(
    {"LOAD_GLOBAL", "LOAD_ATTR", "LOAD_SUPER_ATTR"}
    if sys.version_info >= (3, 12)
    else {"LOAD_GLOBAL"}
)
