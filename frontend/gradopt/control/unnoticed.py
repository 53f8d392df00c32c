# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Changes of the user's objects that nothing notes, while a part of a statement is traced.

Python itself calls special methods of the user's classes, such as `__add__`: they are not
rewritten, and what they change would be changed once, where the program does it in each iteration.
Objects that a part can reach are therefore compared before and after it.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Generator, Iterable
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np

from gradopt.array.handle import Handle
from gradopt.base.location import source_location
from gradopt.errors import UnsupportedError
from gradopt.rewrite.functions import is_users

# More objects are not looked at, nor what is behind more functions.
_MOST, _DEEPEST = 1000, 3
_LEAVES = (Handle, np.ndarray, np.generic, int, float, complex, str, bytes, type, ModuleType)


@contextlib.contextmanager
def none_unnoticed(
    functions: Iterable[Callable[..., Any]], error: type[UnsupportedError]
) -> Generator[None]:
    """Undoes changes of objects that the functions can reach, and raises for them.

    Args:
        functions: what may run.
        error: what to raise.
    """
    before = _reached(functions)
    failed = True
    try:
        yield
        failed = False
    finally:
        changed = [(value, held) for value, held in before if _differs(value, held)]
        for value, held in changed:
            _restore(value, held)
        if changed and not failed:
            raise error(
                f"an object of class {type(changed[0][0]).__name__} changes in a method that is "
                "called by Python itself, where a traced condition, or a loop of compiled code, "
                "decides how often that happens",
                source_location(),
            )


def _reached(functions: Iterable[Callable[..., Any]]) -> list[tuple[Any, Any]]:
    """Objects of the user's classes, and lists, dicts and sets that they hold; what is in them."""
    found: list[tuple[Any, Any]] = []
    seen: set[int] = set()
    # With each value, how many functions it was found through.
    pending: list[tuple[Any, bool, int]] = [(function, False, 0) for function in functions]
    while pending and len(seen) < _MOST:
        value, is_held, depth = pending.pop()
        if value is None or isinstance(value, _LEAVES) or id(value) in seen:
            continue
        seen.add(id(value))
        kind = type(value)
        if kind is MethodType:
            pending += [(value.__self__, False, depth), (value.__func__, False, depth)]
        elif kind is FunctionType:
            if depth < _DEEPEST and is_users(value):
                pending += [(other, False, depth + 1) for other in _used_by(value)]
        elif kind in (list, tuple, set, dict):
            content = _content(value)
            if is_held and kind is not tuple:
                found.append((value, content))
            inner = content.values() if isinstance(content, dict) else content
            pending += [(other, is_held, depth) for other in inner]
        elif type(getattr(value, "__dict__", None)) is dict and _is_of_user(kind):
            content = dict(vars(value))
            found.append((value, content))
            pending += [(other, True, depth) for other in content.values()]
    return found


def _used_by(function: FunctionType) -> Generator[Any]:
    """The values of variables that a function takes from outside."""
    for cell in function.__closure__ or ():
        with contextlib.suppress(ValueError):
            yield cell.cell_contents
    known = function.__globals__
    yield from [known[name] for name in _names(function.__code__) if name in known]


@functools.lru_cache(4096)
def _names(code: CodeType) -> tuple[str, ...]:
    """The names that code uses, or that of a function, lambda or statement in it."""
    found = dict.fromkeys(code.co_names)
    for const in code.co_consts:
        if isinstance(const, CodeType):
            found.update(dict.fromkeys(_names(const)))
    return tuple(found)


def _is_of_user(kind: type) -> bool:
    """Whether a class has methods of the user's."""
    return any(
        type(member) is FunctionType and is_users(member)
        for base in kind.__mro__[:-1]
        for member in vars(base).values()
    )


def _content(value: Any) -> Any:
    kind = type(value)
    if kind is dict:
        return dict(value)
    return list(value) if kind in (list, tuple, set) else dict(vars(value))


def _differs(value: Any, held: Any) -> bool:
    now = _content(value)
    if len(now) != len(held):
        return True
    if type(value) is set:
        return value != set(held)
    if isinstance(held, dict):
        return any(key not in now or now[key] is not other for key, other in held.items())
    return any(a is not b for a, b in zip(now, held, strict=True))


def _restore(value: Any, held: Any) -> None:
    if type(value) is list:
        value[:] = held
        return
    holder: Any = value if type(value) in (set, dict) else vars(value)
    holder.clear()
    holder.update(held)
