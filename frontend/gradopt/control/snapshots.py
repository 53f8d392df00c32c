# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What the user's objects hold, to be compared with what they hold later, and given back to them.

A snapshot is a flat list: elements, or keys with values, names with values, or bytes. Methods of
the user's classes are not called: a class that is made of `dict` may have its own.
"""

from __future__ import annotations

import array
import collections
import contextlib
import itertools
import pickle
import random
import weakref
from collections.abc import Callable, Sequence
from types import CellType, FunctionType, MappingProxyType, MemberDescriptorType
from typing import Any, NamedTuple

import numpy as np

_MISSING: Any = object()
# What is the same where it is equal.
_PLAIN = (bytes, int, float, complex, str, bool)


class Kind(NamedTuple):
    """How objects of some kind are looked at.

    Attributes:
        take: what they hold, as a flat list.
        put: gives them what they held.
        describe: says what they are, for messages.
    """

    take: Callable[[Any], list[Any]]
    put: Callable[[Any, list[Any]], None]
    describe: Callable[[Any], str]


class Names(NamedTuple):
    """Some variables of a module, which functions assign.

    Attributes:
        known: all of its variables.
        names: which ones.
    """

    known: dict[str, Any]
    names: tuple[str, ...]


class Snapshot:
    """What an object held."""

    def __init__(self, value: Any, kind: Kind) -> None:
        self._value = value
        self._kind = kind
        self.held = kind.take(value)

    def differs(self) -> bool:
        """Whether it holds something else now."""
        now = self._kind.take(self._value)
        return len(now) != len(self.held) or not all(map(_is_same, now, self.held))

    def restore(self) -> None:
        """Gives it back what it held."""
        self._kind.put(self._value, self.held)

    def describe(self) -> str:
        """What it is, for messages."""
        return self._kind.describe(self._value)


def _is_same(one: Any, other: Any) -> bool:
    return one is other or (type(one) is type(other) and type(one) in _PLAIN and one == other)


def snapshots(value: Any) -> list[Snapshot]:
    """What an object holds, of itself and as one of the class that it is made of."""
    kind = type(value)
    if kind in _KINDS:
        return [Snapshot(value, _KINDS[kind])]
    found = [Snapshot(value, known) for base, known in _KINDS.items() if issubclass(kind, base)]
    return [*found[:1], Snapshot(value, _OBJECT)]


def pairs(flat: Sequence[Any]) -> list[tuple[Any, Any]]:
    """Keys with values."""
    return list(zip(flat[::2], flat[1::2], strict=True))


def _flat(items: Any) -> list[Any]:
    return list(itertools.chain.from_iterable(items))


# -- Containers --------------------------------------------------------------------------------


def _put_list(value: list[Any], held: list[Any]) -> None:
    list.__setitem__(value, slice(None), held)


def _put_dict(value: dict[Any, Any], held: list[Any]) -> None:
    dict.clear(value)
    for key, item in pairs(held):
        dict.__setitem__(value, key, item)


def _put_ordered(value: collections.OrderedDict[Any, Any], held: list[Any]) -> None:
    collections.OrderedDict.clear(value)
    for key, item in pairs(held):
        collections.OrderedDict.__setitem__(value, key, item)


def _put_set(value: set[Any], held: list[Any]) -> None:
    set.clear(value)
    set.update(value, held)


def _put_deque(value: collections.deque[Any], held: list[Any]) -> None:
    collections.deque.clear(value)
    collections.deque.extend(value, held)


def _put_bytes(value: Any, held: list[Any]) -> None:
    value[:] = type(value)(value.typecode, held[0]) if hasattr(value, "typecode") else held[0]


def _take_array(value: np.ndarray[Any, Any]) -> list[Any]:
    return [*value.flat] if value.dtype.hasobject else [value.tobytes()]


def _put_array(value: np.ndarray[Any, Any], held: list[Any]) -> None:
    if value.dtype.hasobject:
        for index, item in enumerate(held):
            value.flat[index] = item
    else:
        value[...] = np.frombuffer(held[0], value.dtype).reshape(value.shape)


# -- Attributes and variables ------------------------------------------------------------------


def _dict_of(value: Any) -> Any:
    try:
        return object.__getattribute__(value, "__dict__")
    except AttributeError:
        return None


_slots_of: weakref.WeakKeyDictionary[type, tuple[Any, ...]] = weakref.WeakKeyDictionary()


def _slots(kind: type) -> tuple[Any, ...]:
    """The descriptors of the `__slots__` of a class."""
    found = _slots_of.get(kind)
    if found is None:
        members = [
            member
            for base in kind.__mro__
            if "__slots__" in vars(base)
            for member in vars(base).values()
            if type(member) is MemberDescriptorType
        ]
        found = _slots_of[kind] = tuple(members)
    return found


def _take_object(value: Any) -> list[Any]:
    found = _flat((_dict_of(value) or {}).items())
    for member in _slots(type(value)):
        with contextlib.suppress(AttributeError):
            found += [member, member.__get__(value)]
    return found


def _put_object(value: Any, held: list[Any]) -> None:
    attributes = dict(pairs(held))
    for member in _slots(type(value)):
        if member in attributes:
            member.__set__(value, attributes.pop(member))
        else:
            with contextlib.suppress(AttributeError):
                member.__delete__(value)
    names = _dict_of(value)
    if names is not None:
        names.clear()
        names.update(attributes)


def _is_own(name: str) -> bool:
    """Whether an attribute of a class is none that Python sets."""
    return not (name.startswith("__") and name.endswith("__"))


def _own_attributes(value: MappingProxyType[str, Any]) -> list[tuple[str, Any]]:
    return [(name, item) for name, item in value.items() if _is_own(name)]


def _put_class(value: type, held: list[Any]) -> None:
    before = dict(pairs(held))
    for name, item in _own_attributes(vars(value)):
        if name not in before:
            type.__delattr__(value, name)
        elif item is not before[name]:
            type.__setattr__(value, name, before[name])
    for name in before.keys() - vars(value).keys():
        type.__setattr__(value, name, before[name])


def _take_cell(value: CellType) -> list[Any]:
    try:
        return [value.cell_contents]
    except ValueError:
        return []


def _put_cell(value: CellType, held: list[Any]) -> None:
    with contextlib.suppress(ValueError):
        del value.cell_contents
    for content in held:
        value.cell_contents = content


def _put_names(value: Names, held: list[Any]) -> None:
    for name, item in zip(value.names, held, strict=True):
        if item is _MISSING:
            value.known.pop(name, None)
        else:
            value.known[name] = item


def _article(value: Any) -> str:
    name = type(value).__name__
    return f"an object of class {name}" if type(value).__module__ != "builtins" else f"a {name}"


_OBJECT = Kind(
    _take_object, _put_object, lambda value: f"an object of class {type(value).__name__}"
)
_STATE = "the state of a random number generator"
# Those that are made of others come first.
_KINDS: dict[type, Kind] = {
    list: Kind(list.copy, _put_list, _article),
    collections.OrderedDict: Kind(
        lambda value: _flat(collections.OrderedDict.items(value)), _put_ordered, _article
    ),
    dict: Kind(lambda value: _flat(dict.items(value)), _put_dict, _article),
    set: Kind(lambda value: [*set.__iter__(value)], _put_set, _article),
    collections.deque: Kind(
        lambda value: [*collections.deque.__iter__(value)], _put_deque, _article
    ),
    bytearray: Kind(lambda value: [bytes(value)], _put_bytes, _article),
    array.array: Kind(lambda value: [value.tobytes()], _put_bytes, _article),
    np.ndarray: Kind(
        _take_array, _put_array, lambda value: f"an array of shape {value.shape} from outside"
    ),
    np.random.Generator: Kind(
        lambda value: [pickle.dumps(value.bit_generator.state)],
        lambda value, held: setattr(value.bit_generator, "state", pickle.loads(held[0])),
        lambda _: _STATE,
    ),
    np.random.RandomState: Kind(
        lambda value: [pickle.dumps(value.get_state(legacy=False))],
        lambda value, held: value.set_state(pickle.loads(held[0])),
        lambda _: _STATE,
    ),
    random.Random: Kind(
        lambda value: [pickle.dumps(value.getstate())],
        lambda value, held: value.setstate(pickle.loads(held[0])),
        lambda _: _STATE,
    ),
    CellType: Kind(_take_cell, _put_cell, lambda _: "a variable of a function"),
    Names: Kind(
        lambda value: [value.known.get(name, _MISSING) for name in value.names],
        _put_names,
        lambda value: f"a global variable ({', '.join(value.names)})",
    ),
    FunctionType: Kind(
        lambda value: _flat(vars(value).items()),
        _put_object,
        lambda value: f"an attribute of the function {value.__name__}",
    ),
    type: Kind(
        lambda value: _flat(_own_attributes(vars(value))),
        _put_class,
        lambda value: f"an attribute of class {value.__name__}",
    ),
}
