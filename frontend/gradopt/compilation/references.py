# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What a function refers to, as a key.

Traced again, a function makes the same program if its code is the same, and so is everything that
the code can reach: what it closes over, its defaults, its global names, the functions among them
and what those reach. The key is made of all this, arrays and containers by what they hold. There is
none where something is met of which that is not known: objects with attributes, modules other than
NumPy, imports, assignments to names of an outer scope or to attributes, functions with effects.
"""

from __future__ import annotations

import builtins
import dis
import functools
import hashlib
import math
import operator
import sys
from collections.abc import Callable, Hashable
from types import BuiltinFunctionType, CodeType, FunctionType, ModuleType
from typing import Any

import numpy as np

from gradopt.array.dispatch import FUNCTIONS
from gradopt.base.options import Options
from gradopt.base.statics import static_key
from gradopt.compilation.compiled import Compiled


class _UnknownError(Exception):
    """The function refers to something that may change unseen, or does more than compute."""


_MISSING = object()

# Compared by value, and immutable.
_PLAIN = (bool, int, float, complex, str, bytes, type(None), type(...), slice, range)

# Called, or compared with, they compute and nothing else.
_BUILTINS = (
    "abs all any bool bytes callable complex dict divmod enumerate filter float format frozenset "
    "hash int isinstance issubclass iter len list map max min next pow range repr reversed round "
    "set slice sorted str sum tuple type zip"
)
_CREATION = (
    "arange array asarray asanyarray ascontiguousarray empty_like eye full full_like identity "
    "linspace ones ones_like tri zeros zeros_like meshgrid finfo iinfo dtype ndarray generic "
    "result_type promote_types can_cast errstate floating integer number inexact signedinteger"
)
_PACKAGE = __name__.partition(".")[0]
_MODULES = ("numpy", "numpy.linalg", "numpy.fft", "math", "operator", "_operator")
# NumPy imports them when they are used.
_LAZY_MODULES = ("numpy.fft",)
# Larger arrays are in the key as digests.
_DIGEST_BYTES = 1024

_Parts = Callable[[Any], tuple[Any, ...]]
# Classes of the package whose objects stand for functions: what makes them up.
PARTS: dict[type, _Parts] = {Compiled: lambda compiled: (compiled._function, compiled.options)}
# Functions of the package that run what they get as it is, and not what it was when it was traced:
# two that are equal may refer to different objects.
RUNNING: set[Callable[..., Any]] = set()


def _computing() -> dict[int, Any]:
    """Functions and classes that do nothing but compute, by id."""
    return _computing_of(tuple(name for name in _LAZY_MODULES if name in sys.modules))


@functools.cache
def _computing_of(modules: tuple[str, ...]) -> dict[int, Any]:
    known: list[Any] = [getattr(builtins, name) for name in _BUILTINS.split()]
    known += [
        c for c in vars(builtins).values() if isinstance(c, type) and issubclass(c, Exception)
    ]
    known += [getattr(np, name) for name in _CREATION.split()]
    known += [c for c in vars(np).values() if isinstance(c, type) and issubclass(c, np.generic)]
    known += [ufunc for ufunc in vars(np).values() if isinstance(ufunc, np.ufunc)]
    known += FUNCTIONS
    for module in (math, operator):
        known += [f for f in vars(module).values() if isinstance(f, BuiltinFunctionType)]
    for module in (np.linalg, *map(sys.modules.get, modules)):
        known += [f for f in vars(module).values() if callable(f)]
    return {id(value): value for value in known}


@functools.lru_cache(4096)
def _names(code: CodeType) -> tuple[tuple[str, ...], frozenset[str]] | None:
    """The global names and the attributes that the code reads; None if it also writes."""
    names: set[str] = set()
    attributes: set[str] = set()
    for instruction in dis.get_instructions(code):
        name, operation = instruction.argval, instruction.opname
        if operation == "LOAD_GLOBAL":
            names.add(name)
        elif operation in ("LOAD_ATTR", "LOAD_METHOD") and not name.startswith("__"):
            attributes.add(name)
        elif instruction.opcode in dis.hasname or (
            operation in ("STORE_DEREF", "DELETE_DEREF") and name in code.co_freevars
        ):
            return None
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            inner = _names(constant)
            if inner is None:
                return None
            names.update(inner[0])
            attributes |= inner[1]
    return tuple(sorted(names)), frozenset(attributes)


def reference_key(function: object, most_bytes: int) -> Hashable | None:
    """A key that a function shares with itself until its trace might be another one.

    Closures made by one piece of code share it too if they hold the same. There is none for a
    function that refers to arrays of more than so many bytes.
    """
    try:
        return _Walk(most_bytes).key(function)
    except _UnknownError:
        return None


class _Walk:
    """The way through what one function reaches."""

    def __init__(self, most_bytes: int) -> None:
        self._bytes_left = most_bytes
        # What may hold itself, or be held twice, by number.
        self._seen: dict[int, int] = {}
        self._attributes: set[str] = set()
        self._modules: list[ModuleType] = []

    def key(self, function: object) -> Hashable:
        parts = [self._value(function)]
        # Which attributes of a module are used is known when all code was seen.
        count = -1
        while count != len(self._attributes) + len(self._modules):
            count = len(self._attributes) + len(self._modules)
            for module in tuple(self._modules):
                parts.append(self._module(module))
        return tuple(parts)

    def _value(self, value: Any) -> Hashable:
        cls = type(value)
        if cls in _PLAIN:
            return static_key(value)
        if cls is FunctionType and value in RUNNING:
            raise _UnknownError
        if id(value) in _computing() or isinstance(value, np.dtype) or _is_ours(value):
            return value
        if cls is FunctionType:
            return self._once(value, self._function)
        if cls is np.ndarray:
            return self._once(value, self._array)
        if cls in (tuple, list, set, frozenset):
            return self._once(value, self._sequence)
        if cls is dict:
            return self._once(value, self._dict)
        if cls is ModuleType:
            if value not in self._modules:
                self._modules.append(value)
            return value
        if cls is functools.partial and not value.__dict__:
            return cls, self._sequence((value.func, value.args, value.keywords))
        if cls in PARTS:
            return cls, self._sequence(PARTS[cls](value))
        if cls is Options or (isinstance(value, np.generic) and id(cls) in _computing()):
            return static_key(value)
        raise _UnknownError

    def _once(self, value: Any, make: Callable[[Any], Hashable]) -> Hashable:
        number = self._seen.get(id(value))
        if number is not None:
            return "again", number
        self._seen[id(value)] = len(self._seen)
        return type(value), make(value)

    def _sequence(self, values: Any) -> Hashable:
        return tuple([self._value(value) for value in values])

    def _dict(self, values: dict[Any, Any]) -> Hashable:
        return tuple([(self._value(key), self._value(value)) for key, value in values.items()])

    def _module(self, module: ModuleType) -> Hashable:
        if module.__name__ not in _MODULES and module.__name__.partition(".")[0] != _PACKAGE:
            raise _UnknownError
        used: list[Hashable] = [module]
        for name in sorted(self._attributes):
            attribute = getattr(module, name, _MISSING)
            if attribute is not _MISSING:
                used += [name, self._value(attribute)]
        return tuple(used)

    def _array(self, array: np.ndarray[Any, Any]) -> Hashable:
        self._bytes_left -= array.nbytes
        if array.dtype.hasobject or self._bytes_left < 0:
            raise _UnknownError
        content = array.tobytes()
        if len(content) > _DIGEST_BYTES:
            content = hashlib.sha256(content).digest()
        return array.dtype.str, array.shape, array.strides, content

    def _function(self, function: FunctionType) -> Hashable:
        if function.__dict__.keys() - {"__wrapped__"}:
            raise _UnknownError
        read = _names(function.__code__)
        if read is None:
            raise _UnknownError
        names, attributes = read
        self._attributes |= attributes
        cells = function.__closure__ or ()
        try:
            held = [cell.cell_contents for cell in cells]
        except ValueError:
            raise _UnknownError from None
        held += [function.__defaults__, function.__kwdefaults__]
        for name in names:
            value = function.__globals__.get(name, _MISSING)
            held.append(getattr(builtins, name, _MISSING) if value is _MISSING else value)
        code = function.__code__
        return code, code.co_filename, self._sequence(held)


def _is_ours(value: Any) -> bool:
    """Whether it is a function or class of this package."""
    if isinstance(value, FunctionType):
        module = value.__globals__.get("__name__")
    else:
        module = value.__module__ if isinstance(value, type) else None
    return isinstance(module, str) and module.partition(".")[0] == _PACKAGE
