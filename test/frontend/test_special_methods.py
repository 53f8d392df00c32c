# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Special methods of the user's classes, such as `__add__`, with control flow in them."""

from __future__ import annotations

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
