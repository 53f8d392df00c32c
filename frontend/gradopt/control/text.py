# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Text with traced values in it, which is known when compiled code runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import numpy as np

from gradopt.array.handle import Handle
from gradopt.base.location import source_location
from gradopt.errors import ConversionError
from gradopt.ir.values import Value

# What `!s`, `!r` and `!a` do to a part of an f-string.
_CONVERSIONS: dict[int, Callable[[Any], str]] = {
    ord("s"): str,
    ord("r"): repr,
    ord("a"): ascii,
}


class _Slot:
    """Where a traced value stands in what is put off.

    Attributes:
        number: which of the values.
        handle: what it was: an array, a scalar or a Python number.
    """

    def __init__(self, number: int, handle: Handle) -> None:
        self.number = number
        self.is_number = handle._weak
        self.is_scalar = handle._is_scalar

    def fill(self, array: np.ndarray[Any, Any]) -> Any:
        """The value as NumPy would have it there."""
        if self.is_number:
            return array.item()
        return array[()] if self.is_scalar else array


class Later:
    """Arguments with traced values in them, which a run fills in.

    Attributes:
        values: the traced values, as they are now.
    """

    def __init__(self) -> None:
        self.values: list[Value] = []

    def take(self, value: Any) -> Any:
        """The value, with slots for what is traced."""
        if isinstance(value, Handle):
            known = value._known()
            if known is not None:
                return known.item() if value._weak else known[()] if value._is_scalar else known
            self.values.append(value._read())
            return _Slot(len(self.values) - 1, value)
        if isinstance(value, Text):
            return _Pieces([(self.take(part), *how) for part, *how in value.pieces])
        if type(value) in (list, tuple, set, frozenset):
            return type(value)([self.take(part) for part in value])
        if type(value) is dict:
            return {self.take(key): self.take(part) for key, part in value.items()}
        # Written to later, it would be printed as it is then.
        return value.copy() if type(value) is np.ndarray else value


class _Pieces:
    """A text that a run fills in: parts, and how each becomes text."""

    def __init__(self, pieces: Sequence[tuple[Any, ...]]) -> None:
        self.pieces = pieces


def filled(value: Any, arrays: Sequence[np.ndarray[Any, Any]]) -> Any:
    """What `Later.take` took, with the values of a run."""
    if isinstance(value, _Slot):
        return value.fill(arrays[value.number])
    if isinstance(value, _Pieces):
        return "".join(
            [make(filled(part, arrays), filled(how, arrays)) for part, make, how in value.pieces]
        )
    if type(value) in (list, tuple, set, frozenset):
        return type(value)([filled(part, arrays) for part in value])
    if type(value) is dict:
        return {filled(key, arrays): filled(part, arrays) for key, part in value.items()}
    return value


def is_put_off(value: Any) -> bool:
    """Whether there is something in a value that only a run knows."""
    if isinstance(value, Handle):
        return value._known() is None
    if isinstance(value, Text):
        return True
    if type(value) in (list, tuple, set, frozenset):
        return any(map(is_put_off, value))
    return type(value) is dict and any(is_put_off(part) for part in value.values())


class Text:
    """A `str` that is known when compiled code runs.

    Attributes:
        pieces: values, each with a function that makes text of it, and of what that gets besides.
    """

    __hash__ = None  # pyright: ignore[reportAssignmentType]

    def __init__(self, pieces: Sequence[tuple[Any, Callable[[Any, Any], str], Any]]) -> None:
        self.pieces = list(pieces)

    def __add__(self, other: Any) -> Any:
        if isinstance(other, (str, Text)):
            return Text([*self.pieces, *_pieces_of(other)])
        return NotImplemented

    def __radd__(self, other: Any) -> Any:
        return (
            Text([*_pieces_of(other), *self.pieces]) if isinstance(other, str) else NotImplemented
        )

    def _refuse(self, *_: Any) -> NoReturn:
        raise ConversionError(
            "a text with traced values in it is known only when the compiled code runs: it can be "
            "printed, or be the message of a warning, an exception or an assertion, and nothing "
            "else",
            source_location(),
        )

    __str__ = __repr__ = __format__ = __eq__ = __hash__ = __len__ = __bool__ = _refuse
    __iter__ = __contains__ = __getitem__ = __mul__ = __mod__ = __lt__ = __gt__ = _refuse

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        self._refuse()


def _pieces_of(text: Any) -> list[tuple[Any, Any, Any]]:
    return text.pieces if isinstance(text, Text) else [(text, _plain, "")]


def _plain(value: Any, how: Any) -> str:
    return value


def _formatted(value: Any, how: Any) -> str:
    return format(value, how)


def _percent(values: Any, how: Any) -> str:
    return how % values


def _by_method(values: Any, how: Any) -> str:
    args, kwargs = values
    return how.format(*args, **kwargs)


def _converted(value: Any, how: Any) -> str:
    return how(value)


def joined(pieces: Sequence[Any]) -> Any:
    """An f-string.

    Args:
        pieces: strings, and tuples of a value, the number of its conversion (-1 for none) and a
            format.
    """
    found: list[tuple[Any, Any, Any]] = []
    for piece in pieces:
        if type(piece) is str:
            found.append((piece, _plain, ""))
            continue
        value, conversion, spec = piece
        if conversion != -1:
            value = text_by(_CONVERSIONS[conversion], value)
        found.append((value, _formatted, spec))
    return _made(found)


def text_by(function: Callable[[Any], str], value: Any) -> Any:
    """As `str`, `repr` or `ascii` of a value."""
    if isinstance(value, Text) and function is str:
        return value
    return _made([(value, _converted, function)])


def formatted(value: Any, spec: Any = "") -> Any:
    """As `format`."""
    return _made([(value, _formatted, spec)])


def percent(text: str, values: Any) -> Any:
    """As `text % values`."""
    return _made([(values, _percent, text)])


def by_method(text: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """As `text.format(*args, **kwargs)`."""
    return _made([((args, kwargs), _by_method, text)])


def _made(pieces: list[tuple[Any, Any, Any]]) -> Any:
    if any(is_put_off(part) or is_put_off(how) for part, _, how in pieces):
        return Text(pieces)
    later = Later()
    return filled(later.take(Text(pieces)), [])
