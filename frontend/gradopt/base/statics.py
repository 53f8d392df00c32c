# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Static values: constants of the code, by which it is looked up again.

Python's `==` is too coarse for them: 1, 1.0 and True make different code, and so do 0.0 and -0.0,
while a NaN makes the same code as itself.
"""

from __future__ import annotations

import dataclasses
import enum
import struct
import sys
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

import numpy as np

from gradopt.base.instances import attributes, cached, slots


def static_key(value: Any) -> Hashable:
    """A key that two values share if they make the same code: type by type, bit by bit.

    Containers, named tuples, dataclasses and arrays are compared by what they hold; fields of a
    dataclass with `compare=False`, by its author's word, make no difference. What is left is
    compared with its own `==`. The native call path compares most values by the same rule without
    keys (see `comparison`).

    Raises:
        TypeError: the value, or one in it, is compared by `==` but not hashable.
    """
    cls = type(value)
    make = _makers.get(cls)
    if make is None:
        make = _makers[cls] = _find_maker(cls)
    return make(value)


_Maker = Callable[[Any], Hashable]


def _find_maker(cls: type) -> _Maker:
    """How to make keys of exactly this class. Each begins with the class, unless it is a string."""
    if issubclass(cls, (np.generic, np.ndarray)):
        return _array_key
    if issubclass(cls, enum.Enum) or cls.__eq__ is object.__eq__:
        return lambda value: (cls, value)
    contents = _CONTENTS
    if decimal := sys.modules.get("decimal"):  # If it is not imported, it has no objects.
        contents = {**contents, decimal.Decimal: str}
    content = next((key for base, key in contents.items() if issubclass(cls, base)), None)
    if content is not None and cls in contents:
        return lambda value: (cls, content(value))
    if content is None and not dataclasses.is_dataclass(cls):
        return _opaque_key
    skipped = _uncompared(cls)

    def key(value: Any) -> Hashable:
        held = attributes(value)
        for name in skipped:
            held.pop(name, None)
        return (
            cls,
            None if content is None else content(value),
            *held,
            *[static_key(attribute) for attribute in held.values()],
        )

    return key


def _uncompared(cls: type) -> list[str]:
    """Fields of a dataclass that make no difference."""
    if not dataclasses.is_dataclass(cls):
        return []
    return [field.name for field in dataclasses.fields(cls) if not field.compare]


def comparison(cls: type) -> tuple[tuple[str, ...], frozenset[str]] | bool:
    """How the native call path compares instances of exactly this class.

    It compares them attribute by attribute where it can, as `static_key` does: then this gives the
    attributes that are slots, and those, in slots or not, that make no difference. Else whether it
    compares them by their own `==`; if not, it asks for their keys.
    """
    if issubclass(cls, enum.Enum) or _find_maker(cls) is _opaque_key:
        return True
    if (
        not dataclasses.is_dataclass(cls)
        or issubclass(cls, (np.generic, np.ndarray, *_CONTENTS))
        or cls.__hash__ is None
        or cls.__getattribute__ is not object.__getattribute__
    ):
        return False
    return slots(cls), cached(cls).union(_uncompared(cls))


def _array_key(value: Any) -> Hashable:
    if value.dtype.hasobject:
        return _opaque_key(value)
    return type(value), value.dtype.str, value.shape, value.tobytes()


def _opaque_key(value: Any) -> Hashable:
    hash(value)
    return type(value), value


def _sequence(value: Any) -> Hashable:
    return tuple([static_key(item) for item in value])


def _set(value: Any) -> Hashable:
    return frozenset([static_key(item) for item in value])


def _mapping(value: Any) -> Hashable:
    return tuple([(static_key(key), static_key(item)) for key, item in value.items()])


def _slice(value: Any) -> Hashable:
    return static_key((value.start, value.stop, value.step))


# Built-in types: what their values, and those of classes derived from them, hold.
_CONTENTS: dict[type, _Maker] = {
    bool: bool,
    int: int,
    float: lambda value: struct.pack("d", value),
    complex: lambda value: struct.pack("dd", value.real, value.imag),
    str: str,
    bytes: bytes,
    tuple: _sequence,
    list: _sequence,
    frozenset: _set,
    set: _set,
    dict: _mapping,
    slice: _slice,
    range: _slice,
}


@dataclasses.dataclass(frozen=True, slots=True)
class Static:
    """A static value in a pytree: a container without leaves.

    Attributes:
        value: the value, which is not compared.
        key: its `static_key`.
    """

    value: Any = dataclasses.field(compare=False)
    key: Hashable

    def __repr__(self) -> str:
        return f"static {self.value!r}"


def static(value: Any) -> Static:
    """The value as a node of a pytree.

    Raises:
        TypeError: it is not hashable.
    """
    return Static(value, static_key(value))


_makers: dict[type, _Maker] = {
    str: lambda value: value,
    type(None): lambda value: value,
    Static: lambda value: (Static, value.key),
}


def separate_statics(
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    numbers: Sequence[int],
    names: Sequence[str],
    make: Callable[[Any, int | str], Static],
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Arguments as one pytree, in which static ones, and texts, are no leaves.

    Args:
        args: positional arguments.
        kwargs: named ones.
        numbers: which positional arguments are static; negative ones count from the end.
        names: which named ones are.
        make: makes what stands for a static argument, of its value and its number or name.
    """
    count = len(args)
    chosen = {n % count if -count <= n < 0 else n for n in numbers}
    positional = [
        make(v, i) if i in chosen or isinstance(v, str | bytes) else v for i, v in enumerate(args)
    ]
    named = {
        k: make(v, k) if k in names or isinstance(v, str | bytes) else v for k, v in kwargs.items()
    }
    return tuple(positional), named


def separate_texts(
    args: Sequence[Any], kwargs: Mapping[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The same, where no arguments but texts are static."""
    return separate_statics(args, kwargs, (), (), lambda value, _: static(value))
