# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Special methods of the user's classes, such as `__add__`, where rewritten code asks for them.

Python looks them up by the class of an object. What is no function of the user's is left to it.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable
from types import FunctionType, MethodType, WrapperDescriptorType
from typing import Any

from gradopt.array.handle import Handle, wrap
from gradopt.control.branches import to_bool, truth
from gradopt.control.calls import callee, replace
from gradopt.ir.current import current_scope
from gradopt.rewrite.functions import HEAP_TYPE, MISSING, is_users, lookup, special_methods

_ARITHMETIC = "add sub mul truediv floordiv mod pow lshift rshift and or xor matmul"
_SYMBOLS: dict[str, str] = dict(
    zip(
        _ARITHMETIC.split(),
        ["+", "-", "*", "/", "//", "%", "**", "<<", ">>", "&", "|", "^", "@"],
        strict=True,
    )
)
BINARY: dict[str, Callable[[Any, Any], Any]] = {
    name: getattr(operator, f"__{name}__") for name in _SYMBOLS
}
_IN_PLACE: dict[str, Callable[[Any, Any], Any]] = {
    name: getattr(operator, f"__i{name}__") for name in _SYMBOLS
}
_UNARY: dict[str, Callable[[Any], Any]] = {
    name: getattr(operator, f"__{name}__") for name in ("neg", "pos", "invert")
}
COMPARE: dict[str, Callable[[Any, Any], Any]] = {
    name: getattr(operator, f"__{name}__") for name in ("lt", "le", "eq", "ne", "gt", "ge")
}
_REFLECTED = {"lt": "gt", "le": "ge", "eq": "eq", "ne": "ne", "gt": "lt", "ge": "le"}
_COMPARISONS: dict[str, str] = dict(zip(COMPARE, ["<", "<=", "==", "!=", ">", ">="], strict=True))

# Classes without special methods of the user's; others are looked at each time.
PLAIN: set[type] = set()


def _has_own(kind: type) -> bool:
    """Whether a class has any special methods that are functions of the user's."""
    if kind in PLAIN:
        return False
    found = bool(special_methods(kind))
    is_fixed = not kind.__flags__ & HEAP_TYPE or issubclass(kind, Handle)
    if not found and is_fixed:
        PLAIN.add(kind)  # Nobody gives it others.
    return found


def special(value: Any, name: str, package: str) -> Callable[..., Any] | None:
    """The special method of a value as rewritten code calls it, if it is the user's.

    It takes the value first.
    """
    kind: type = type(value)
    if kind in PLAIN or current_scope() is None or not _has_own(kind):
        return None
    found = lookup(kind, name)
    if type(found) is FunctionType:
        return callee(found, package)
    if type(found) is staticmethod or type(found) is classmethod:
        call = callee(found.__get__(value, kind), package)
        return lambda _, *args: call(*args)
    return None


def method_of(value: Any, name: str, package: str) -> Any:
    """A special method of any value, bound, as Python looks it up; `MISSING` if it has none."""
    found = special(value, name, package)
    if found is not None:
        return functools.partial(found, value)
    kind: Any = type(value)
    method = lookup(kind, name)
    binds: Any = MISSING if method is MISSING else lookup(type(method), "__get__")
    return method if binds is MISSING else binds(method, value, kind)


def _asked(name: str, owner: Any, operand: Any, package: str) -> Any:
    """What a method of an operand gives; NotImplemented where there is none."""
    kind: Any = type(owner)
    found = lookup(kind, name)
    if found is MISSING or _defers(owner, operand):
        return NotImplemented
    binds = lookup(type(found), "__get__")
    bound = found if binds is MISSING else binds(found, owner, kind)
    inner = bound.__func__ if type(bound) is MethodType else bound
    is_own = type(inner) is FunctionType and is_users(inner)
    return (callee(bound, package) if is_own else bound)(operand)


def _defers(owner: Any, operand: Any) -> bool:
    """Whether what is NumPy's leaves an operator to the other operand's class, as NumPy does."""
    if not isinstance(owner, Handle):
        return False
    kind = type(operand)
    if getattr(kind, "__array_ufunc__", 1) is None:
        return True
    if owner._is_scalar and not isinstance(operand, (int, float, complex)):
        return True
    return getattr(operand, "__array_priority__", -1.0) > 0


def _are_plain(left: Any, right: Any) -> bool:
    """Whether Python may do what there is to do."""
    return not (_has_own(type(left)) or _has_own(type(right))) or current_scope() is None


def binary(name: str, left: Any, right: Any, package: str) -> Any:
    """`left + right`, and the like."""
    if _are_plain(left, right):
        return BINARY[name](left, right)
    symbol = "** or pow()" if name == "pow" else _SYMBOLS[name]
    return _arithmetic(name, left, right, package, symbol)


def _arithmetic(
    name: str, left: Any, right: Any, package: str, symbol: str, joins: tuple[str, ...] = ()
) -> Any:
    one, other = type(left), type(right)
    tries: list[tuple[str, Any, Any]] = []
    if _has_number(one, name):
        tries.append((f"__{name}__", left, right))
    if one is not other and _has_number(other, name):
        backwards = f"__r{name}__"
        tries.append((backwards, right, left))
        # Python takes the attributes of the classes here.
        overrides = getattr(other, backwards, None) is not getattr(one, backwards, None)
        if issubclass(other, one) and overrides:
            tries.reverse()
    for method, owner, operand in tries:
        result = _asked(method, owner, operand, package)
        if result is not NotImplemented:
            return result
    for method in (*joins, f"__{name}__"):
        if _is_sequences(one, method):
            return _of_sequence(method, left, right)
    if name == "mul" and _is_sequences(other, "__mul__"):
        return _of_sequence("__mul__", right, left)
    raise TypeError(
        f"unsupported operand type(s) for {symbol}: {one.__name__!r} and {other.__name__!r}"
    )


# Python asks for them where the number methods of neither operand give a result.
_OF_SEQUENCES = frozenset({"__add__", "__mul__", "__rmul__", "__iadd__", "__imul__"})


def _joins(found: Any) -> bool:
    """Whether an attribute of a class is what a sequence written in C joins or repeats by.

    Such a class has no `__radd__`, as one of numbers that are added has.
    """
    if type(found) is not WrapperDescriptorType or found.__name__ not in _OF_SEQUENCES:
        return False
    members = vars(found.__objclass__)
    return "__add__" in members and "__radd__" not in members


def _has_number(kind: type, name: str) -> bool:
    """Whether a class takes part in an operator as numbers do."""
    found = [lookup(kind, f"__{name}__"), lookup(kind, f"__r{name}__")]
    return any(one is not MISSING and not _joins(one) for one in found)


def _is_sequences(kind: type, method: str) -> bool:
    """Whether a class joins or repeats by a method as sequences do."""
    names = ("__mul__", "__rmul__") if method == "__mul__" else (method,)
    return all(_joins(lookup(kind, name)) for name in names)


def _of_sequence(method: str, sequence: Any, operand: Any) -> Any:
    """What a sequence is, joined or repeated."""
    kind = type(operand)
    if "mul" in method and lookup(kind, "__index__") is MISSING:
        raise TypeError(f"can't multiply sequence by non-int of type {kind.__name__!r}")
    return lookup(type(sequence), method)(sequence, operand)


def in_place(name: str, left: Any, right: Any, package: str) -> Any:
    """What `left += right` assigns, and the like."""
    if _are_plain(left, right):
        return _IN_PLACE[name](left, right)
    method = f"__i{name}__"
    if not _joins(lookup(type(left), method)):
        result = _asked(method, left, right, package)
        if result is not NotImplemented:
            return result
    return _arithmetic(name, left, right, package, f"{_SYMBOLS[name]}=", (method,))


def unary(name: str, operand: Any, package: str) -> Any:
    """`-operand`, and the like."""
    found = special(operand, f"__{name}__", package)
    return _UNARY[name](operand) if found is None else found(operand)


def compare(name: str, left: Any, right: Any, package: str) -> Any:
    """`left < right`, and the like."""
    if _are_plain(left, right):
        return COMPARE[name](left, right)
    one, other = type(left), type(right)
    tries = [(name, left, right), (_REFLECTED[name], right, left)]
    if one is not other and issubclass(other, one):
        tries.reverse()
    for method, owner, operand in tries:
        if method == "ne" and lookup(type(owner), "__ne__") is object.__ne__:
            result = _asked("__eq__", owner, operand, package)
            result = result if result is NotImplemented else negation(result)
        else:
            result = _asked(f"__{method}__", owner, operand, package)
        if result is not NotImplemented:
            return result
    if name in ("eq", "ne"):
        return (left is right) == (name == "eq")
    raise TypeError(
        f"{_COMPARISONS[name]!r} not supported between instances of {one.__name__!r} and "
        f"{other.__name__!r}"
    )


def negation(value: Any) -> Any:
    """`not value`."""
    condition = truth(value)
    return not condition if isinstance(condition, bool) else wrap(~to_bool(condition))


def _abs(value: Any) -> Any:
    found = special(value, "__abs__", "")
    return abs(value) if found is None else found(value)


replace(abs, _abs)


class Items:
    """An object of the user's whose elements are asked for, assigned or deleted.

    Args:
        owner: the object.
        package: the package of the code.
    """

    __slots__ = ("_owner", "_package")

    def __init__(self, owner: Any, package: str) -> None:
        self._owner = owner
        self._package = package

    def __getitem__(self, key: Any) -> Any:
        found = special(self._owner, "__getitem__", self._package)
        return self._owner[key] if found is None else found(self._owner, key)

    def __setitem__(self, key: Any, value: Any) -> None:
        found = special(self._owner, "__setitem__", self._package)
        if found is None:
            self._owner[key] = value
        else:
            found(self._owner, key, value)

    def __delitem__(self, key: Any) -> None:
        found = special(self._owner, "__delitem__", self._package)
        if found is None:
            del self._owner[key]
        else:
            found(self._owner, key)


def items_of(value: Any, package: str) -> Any:
    """What elements are read of, or written to, if special methods of the user's do that."""
    kind: type = type(value)
    if kind in PLAIN or current_scope() is None or not _has_own(kind):
        return value
    return Items(value, package)
