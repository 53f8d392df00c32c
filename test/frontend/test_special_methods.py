# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Special methods of the user's classes, such as `__add__`, with control flow in them."""

from __future__ import annotations

import copy
from array import array
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from as_numpy import agrees, rolled

import gradopt as go
from gradopt.errors import BranchError

X = np.linspace(0.1, 1.3, 12)


class Dual:
    """A value with a derivative, and branches in all methods."""

    def __init__(self, v: Any, d: Any) -> None:
        self.v, self.d = v, d

    def __add__(self, other: Any) -> Dual:
        if not isinstance(other, Dual):
            return Dual(self.v + other, self.d)
        if self.v > 0.5:
            return Dual(self.v + other.v, self.d + other.d)
        return Dual(self.v - other.v, self.d - other.d)

    __radd__ = __add__

    def __mul__(self, other: Any) -> Dual:
        if not isinstance(other, Dual):
            return Dual(self.v * other, self.d * other)
        return Dual(self.v * other.v, self.v * other.d + self.d * other.v)

    def __rmul__(self, other: Any) -> Dual:
        return self * other

    def __rsub__(self, other: Any) -> Dual:
        return Dual(other - self.v, -self.d)

    def __truediv__(self, other: Any) -> Any:
        return NotImplemented

    def __rtruediv__(self, other: Any) -> Dual:
        return Dual(other / self.v, -other / self.v**2 * self.d)

    def __pow__(self, n: int) -> Dual:
        return Dual(self.v**n, n * self.v ** (n - 1) * self.d)

    def __matmul__(self, other: Dual) -> Any:
        return self.v * other.v if other.v > 0.2 else self.d

    def __neg__(self) -> Dual:
        return Dual(-self.v, -self.d) if self.v > 0.5 else self

    def __abs__(self) -> Any:
        return self.d if self.v > 0.5 else -self.d

    def __gt__(self, other: Any) -> Any:
        return self.v > (other.v if isinstance(other, Dual) else other)

    def __eq__(self, other: object) -> Any:
        return isinstance(other, Dual) and self.v == other.v

    __hash__ = None

    def __bool__(self) -> bool:
        if self.v > 0.5:
            return True
        return len(self) < 1

    def __len__(self) -> int:
        return 3

    def __contains__(self, item: Any) -> Any:
        return self.d - 1 < item < self.v

    def __iter__(self) -> Iterator[Any]:
        yield self.v
        yield self.d if self.v > 0.3 else -self.d


class Tenfold(Dual):
    """Its own methods come first where the other operand is of the class that it is made of."""

    def __radd__(self, other: Any) -> Dual:
        return Dual(other.v * 10 if isinstance(other, Dual) else other, 0.0)


for _kind in (Dual, Tenfold):
    go.register_pytree(_kind, lambda n: ((n.v, n.d), None), lambda _, c: Dual(*c))


class Box:
    """Four numbers."""

    def __init__(self) -> None:
        self.items = [0.0] * 4
        self.asked = 0

    def __getitem__(self, i: Any) -> Any:
        self.asked += 1
        return self.items[i]

    def __setitem__(self, i: Any, v: Any) -> None:
        if v > 0.5:
            self.items[i] = v * 2
        else:
            self.items[i] = v

    def __iadd__(self, v: Any) -> Box:
        if v > 0.4:
            self.items[0] = self.items[0] + v
        return self

    def __enter__(self) -> Box:
        if self.items[1] > 0.3:
            self.asked += 10
        return self

    def __exit__(self, *error: object) -> None:
        self.items[3] = self.items[3] + 1 if self.items[1] > 0.3 else 5.0


def arithmetic(x: Any) -> Any:
    a, b = Dual(x[0], 1.0), Dual(x[1], 0.5)
    c = 2.0 * a + a * b + (3 - a) + 1.5 * b * b
    if c > 2:
        c = c * 0.5
    e = (2 / b) ** 2
    return np.array([c.v, c.d, (-a).d, e.v, e.d, abs(a), a @ b])


def comparisons(x: Any) -> Any:
    a, b = Dual(x[0], x[1]), Dual(x[1], x[0])
    found = 1.0 if a == b else x[2]
    found = found + (2.0 if a != b else x[3])
    found = found + (4.0 if a > b else x[4])
    found = found + (8.0 if a else x[5]) + (16.0 if not b else 0.0)
    found = found + (32.0 if x[0] * 0.9 in a else 0.0) + (64.0 if 7.0 not in a else 0.0)
    return found * len(a)


def iteration(x: Any) -> Any:
    total = 0.0
    for v in Dual(x[0], x[1]):
        total = total * 2 + v
    first, second = Dual(x[2], x[3])
    return total + first * second + sum([v * v for v in Dual(x[4], x[5])])


def reflected(x: Any) -> Any:
    a, b = Dual(x[0], 1.0), Tenfold(x[1], 2.0)
    return np.array([(a + b).v, (b + a).v, (b + b).v, (x[0] + b).v, (x[0] * b).v, (1.5 * b).v])


def in_a_loop(x: Any) -> Any:
    s = Dual(x[0], 0.0)
    for i in range(12):
        s = s * 0.5 + Dual(x[i], 1.0)
        if s > 1.0:
            s = s * 0.3
    return s.v + s.d


def containers(x: Any) -> Any:
    box = Box()
    box[1] = x[0]
    box[2] = x[8]
    box[1] += x[1]
    with box as same:
        same[0] = x[5]
    return box[0] + box[1] * box[2] + box.items[3] * box.asked


def in_place(x: Any) -> Any:
    box = Box()
    for i in range(12):
        box += x[i]
    return box.items[0]


@pytest.mark.parametrize("x", [X, X[::-1].copy(), X - 0.75], ids=["rising", "falling", "negative"])
@pytest.mark.parametrize(
    "f", [arithmetic, comparisons, iteration, reflected, in_a_loop, containers, in_place]
)
def test_special_methods_are_rewritten(f: Callable[..., Any], x: Any) -> None:
    agrees(f, x)


def test_loops_with_special_methods_are_rolled() -> None:
    assert rolled(agrees(in_a_loop, X)) == [True]
    assert rolled(agrees(in_place, X)) == [True]


def test_operands_that_do_not_fit_raise_pythons_errors() -> None:
    def quotient(x: Any) -> Any:
        return Dual(x[0], 1.0) / 2

    def less(x: Any) -> Any:
        return 1.0 if Box() < Box() else x  # pyright: ignore[reportOperatorIssue]

    for f in quotient, less:
        with pytest.raises(TypeError) as wanted:
            f(X)
        with pytest.raises(TypeError) as caught:
            go.compile(f)(X)
        assert str(caught.value).startswith(str(wanted.value))


def test_objects_of_classes_that_are_not_registered_cannot_be_chosen() -> None:
    class Plain:
        def __init__(self, v: Any) -> None:
            self.v = v

        def __neg__(self) -> Plain:
            if self.v > 0:
                return Plain(-self.v)
            return Plain(self.v)

    with pytest.raises(BranchError, match=r"objects of class Plain \(see gradopt.register_pytree"):
        go.compile(lambda x: (-Plain(x)).v)(1.0)


def test_numbers_keep_pythons_operators() -> None:
    def f(n: int, a: float) -> Any:
        n <<= 1
        n |= 1
        n %= 7
        a **= 2
        a //= 0.1
        items = [1]
        items += [2]
        items *= 2
        text = "x" + "y" * 2
        return n + a, items, len(text), -n, ~n, +a, 1 < n <= 5, n != 3

    got, want = go.compile(f)(5, 0.7), f(5, 0.7)
    np.testing.assert_allclose([*got[:1], *got[1], *got[2:]], [*want[:1], *want[1], *want[2:]])


class Number:
    """It can be gone through, and is yet added and multiplied as a number."""

    def __init__(self, v: Any, log: list[str] | None = None) -> None:
        self.v = v
        self.log = [] if log is None else log

    def __iter__(self) -> Iterator[Any]:
        return iter([self.v, self.v])

    def __radd__(self, other: Any) -> Any:
        self.log.append("add")
        return self.v + 1.0 if self.v > 0.5 else self.v * len(other)

    def __rmul__(self, other: Any) -> Any:
        self.log.append("mul")
        return self.v * 3.0 if self.v > 0.5 else self.v * len(other)

    def __ror__(self, other: Any) -> Any:
        return self.v * 5.0 if self.v > 0.5 else -self.v

    def __rmod__(self, other: Any) -> Any:
        return self.v * 7.0


SEQUENCES: list[Callable[[], Any]] = [
    lambda: [1.0, 2.0, 3.0],
    lambda: (1.0, 2.0),
    lambda: "abc",
    lambda: b"ab",
    lambda: bytearray(b"abcd"),
    lambda: deque([1.0, 2.0]),
    lambda: array("d", [1.0, 2.0]),
]


@pytest.mark.parametrize("make", SEQUENCES, ids=lambda make: type(make()).__name__)
@pytest.mark.parametrize("i", [1, 10])
def test_sequences_leave_operators_to_reflected_methods(make: Callable[[], Any], i: int) -> None:
    def f(x: Any) -> Any:
        total = make() + Number(x[i])
        total += make() * Number(x[i + 1])
        added = make()
        added += Number(x[i])
        repeated = make()
        repeated *= Number(x[i])
        return total + added * repeated + (make() | Number(x[i]))

    agrees(f, X)


def test_what_has_no_such_operator_leaves_it_to_reflected_methods() -> None:
    def f(x: Any) -> Any:
        values: list[Any] = [None, (x, 1), [x], int, np.sum, {1: x}, {2}, Number]
        return sum([(value | Number(x[i])) * (i + 1) for i, value in enumerate(values)])

    agrees(f, X)


def test_reflected_methods_are_asked_once() -> None:
    def f(x: Any) -> Any:
        log: list[str] = []
        total = [1.0] + Number(x[10], log)  # noqa: RUF005
        total += (1, 2) * Number(x[0], log)
        assert log == ["add", "mul"]
        return total

    agrees(f, X)


class Items(list[Any]):
    """A list that knows a little of arithmetic."""

    def __radd__(self, other: Any) -> Any:
        return self[0] * 2 if self[0] > 0.5 else self[0] * 3

    def __mul__(self, other: Any) -> Any:
        return self[0] * other if self[0] > 0.5 else NotImplemented


class Shown(list[Any]):
    """A list with a special method that is none of arithmetic."""

    def __contains__(self, item: Any) -> bool:
        return item > 0.5


class Half(float):
    """A subclass of a number of Python's, which is asked first."""

    def __add__(self, other: Any) -> Any:
        return other * 0.5 if other > 0.5 else other * 0.25

    def __radd__(self, other: Any) -> Any:
        return other * 0.125


class Base:
    def __add__(self, other: Any) -> Any:
        return 2.0

    def __radd__(self, other: Any) -> Any:
        return 3.0


class Overriding(Base):
    def __radd__(self, other: Any) -> Any:
        return 5.0


class Inheriting(Base):
    pass


@pytest.mark.parametrize("i", [0, 11])
def test_subclasses_of_sequences_and_numbers(i: int) -> None:
    def f(x: Any) -> Any:
        total = 3 + Items([x[i]])
        total += [1, 2] + Items([x[i]])  # noqa: RUF005
        total += 2.0 + Half(1.0) + (Half(1.0) + x[i]) + (x[i] + Half(3.0))
        total += (Base() + Overriding()) * 7 + (Base() + Inheriting()) * 11
        shown = Shown([x[i]]) + [2.0] * len(Shown([1, 2]) * 2)
        shown += Shown([x[i + 0]])
        shown *= 2
        again = 2 * shown
        return total + sum(again) + len(again) + np.sum(Shown([1.0, 2.0]) * x[:2])

    agrees(f, X)


def test_joining_and_repeating_what_does_not_fit_raise_pythons_errors() -> None:
    def added(x: Any) -> Any:
        return [1.0] + Box()  # pyright: ignore[reportOperatorIssue]  # noqa: RUF005

    def repeated(x: Any) -> Any:
        return (1.0,) * Box()  # pyright: ignore[reportOperatorIssue]

    def repeated_in_place(x: Any) -> Any:
        text = "abc"
        text *= Box()  # pyright: ignore[reportOperatorIssue]
        return text

    def list_of_list(x: Any) -> Any:
        return Items([x[0]]) + Number(x[0])

    def power(x: Any) -> Any:
        return Box() ** Box()  # pyright: ignore[reportOperatorIssue]

    for f in added, repeated, repeated_in_place, list_of_list, power:
        with pytest.raises(TypeError) as wanted:
            f(X)
        with pytest.raises(TypeError) as caught:
            go.compile(f)(X)
        assert str(caught.value).startswith(str(wanted.value))


class Meta(type):
    """Its methods are of classes, not of their objects."""

    def __add__(cls, other: Any) -> Any:
        return other * 2 if other > 0.5 else other * 3

    def __or__(cls, other: Any) -> Any:
        return other * 5.0

    def __lt__(cls, other: Any) -> Any:
        return other > 0.5

    def __neg__(cls) -> Any:
        return 13.0

    def __len__(cls) -> int:
        return 17

    def __bool__(cls) -> bool:
        return False


class Made(metaclass=Meta):
    def __sub__(self, other: Any) -> Any:
        return other * 7 if other > 0.5 else other


class Bound:
    """Special methods that Python binds in other ways."""

    scale = 3.0

    @classmethod
    def __add__(cls, other: Any) -> Any:
        return other * cls.scale if other > 0.5 else other

    @staticmethod
    def __mul__(other: Any) -> Any:
        return other * 2.0 if other > 0.5 else -other

    @staticmethod
    def __getitem__(key: Any) -> Any:
        return key * 3.0 if key > 0.5 else key

    @classmethod
    def __neg__(cls) -> Any:
        return cls.scale

    @staticmethod
    def __len__() -> int:
        return 4

    @classmethod
    def __lt__(cls, other: Any) -> Any:
        return other > cls.scale / 6

    @property
    def __sub__(self) -> Any:
        return lambda other: other * 11.0


@pytest.mark.parametrize("i", [0, 11])
def test_methods_of_metaclasses_are_those_of_classes(i: int) -> None:
    def f(x: Any) -> Any:
        total = (Made + x[i]) + (Made | x[i])  # pyright: ignore
        total = total + (1.0 if Made < x[i] else 2.0) - -Made + len(Made)  # pyright: ignore
        return total + (Made() - x[i]) + (1.0 if Made() else 2.0) + (1.0 if Made else 2.0)

    agrees(f, X)


made: Any = Made


def enters_none(x: Any) -> Any:
    with made():
        return x


@pytest.mark.parametrize(
    "f",
    [
        lambda x: made() + 2.0,
        lambda x: made() | 2,
        lambda x: made() < 1.0,
        lambda x: -made(),
        lambda x: len(made()),
        enters_none,
    ],
)
def test_objects_do_not_have_the_methods_of_metaclasses(f: Callable[..., Any]) -> None:
    with pytest.raises(TypeError) as wanted:
        f(X)
    with pytest.raises(TypeError) as caught:
        go.compile(f)(X)
    assert str(caught.value).startswith(str(wanted.value))


@pytest.mark.parametrize("i", [0, 11])
def test_methods_are_bound_as_python_binds_them(i: int) -> None:
    def f(x: Any) -> Any:
        b: Any = Bound()
        total = (b + x[i]) + (b * x[i]) + b[x[i]] - -b + len(b) + (b - x[i])
        b += x[i]
        return total + b + (1.0 if Bound() < x[i] else 2.0)  # pyright: ignore

    agrees(f, X)


class Without:
    __add__ = None
    __radd__ = None
    __lt__ = None
    __iadd__ = None
    __contains__ = None
    __getitem__ = None

    def __neg__(self) -> float:
        return 1.0


without: Any = Without


@pytest.mark.parametrize(
    "f",
    [
        lambda x: without() + x[0],
        lambda x: 1.0 + without(),
        lambda x: [1.0] + without(),  # noqa: RUF005
        lambda x: without() < 1.0,
        lambda x: 1.0 in without(),
        lambda x: without()[0],
    ],
)
def test_methods_that_are_none_raise_pythons_errors(f: Callable[..., Any]) -> None:
    with pytest.raises(TypeError) as wanted:
        f(X)
    with pytest.raises(TypeError) as caught:
        go.compile(f)(X)
    assert str(caught.value).startswith(str(wanted.value))


class Sized:
    """Its length, truth and iterator are what it is told."""

    def __init__(self, length: Any, items: Any) -> None:
        self.length, self.items = length, items

    def __len__(self) -> Any:
        return self.length

    def __iter__(self) -> Any:
        return self.items


class True_(Sized):
    def __bool__(self) -> Any:
        return self.length


def looped(x: Any, made: Any) -> Any:
    for item in made:
        x = x + item
    return x


@pytest.mark.parametrize("length", [3, True, np.int64(2), 2.5, -1, "a", None, np.float64(1.0)])
def test_lengths_are_what_python_takes(length: Any) -> None:
    def f(x: Any) -> Any:
        return x * len(Sized(length, None)) + (1.0 if Sized(length, None) else 2.0)

    def g(x: Any) -> Any:
        return x + (1.0 if True_(length, None) else 2.0)

    same_outcome(f, 2.0)
    same_outcome(g, 2.0)


def test_lengths_that_the_run_knows() -> None:
    def of(x: Any, n: Any) -> Any:
        return x * len(Sized(n, None))

    def truth(x: Any, n: Any) -> Any:
        return x if Sized(n, None) else 2.0 * x

    def bools(x: Any, n: Any) -> Any:
        return x if True_(n > 0, None) else 2.0 * x

    for f in (of, truth):
        for n in (0, 3, -2, 0.5, np.array([1, 2])):
            same_outcome(f, 2.0, n)
    for n in (1, -1, np.float64(1.0)):
        same_outcome(bools, 2.0, n)


@pytest.mark.parametrize("items", [[1.0, 2.0], range(3), iter([1.0]), X, None])
def test_iterators_are_what_python_takes(items: Any) -> None:
    same_outcome(lambda x: looped(x, Sized(2, copy.copy(items))), 2.0)
    same_outcome(lambda x: [a + b for a, b in Sized(2, zip(x, x, strict=True))], X)
    same_outcome(lambda x: x + list(zip(*Sized(2, zip(x, x, strict=True)), strict=True)), X[:2])
    same_outcome(lambda x: [1.0 * a for a in Sized(2, x)], X)


def same_outcome(f: Callable[..., Any], *args: Any) -> None:
    """A compiled function returns or raises what Python does."""
    raised: list[Exception] = []
    try:
        expected = f(*args)
    except Exception as error:
        raised.append(error)
    for error in raised:
        with pytest.raises(type(error)) as caught:
            go.compile(f)(*args)
        assert str(error).strip() in str(caught.value)
    if not raised:
        np.testing.assert_allclose(go.compile(f)(*args), expected)
