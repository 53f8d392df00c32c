# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Functions, methods, classes and generators of the user's, which traced code calls."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from as_numpy import agrees, rolled

import gradopt as go
from gradopt.errors import BranchError

X = np.random.default_rng(3).normal(size=12)


def test_closures_defaults_methods_and_partials() -> None:
    scale = 2.0

    class Model:
        bias = 0.5

        def __call__(self, v, shift=1.0, *, power=2):
            if v > 0:
                return scale * v**power + shift
            return self.bias * v

    model = Model()

    def f(x):
        def inner(v):
            if v > 1:
                return v
            return v * x[0]

        choose = lambda a, b: a if a > b else b  # noqa: E731
        half = functools.partial(model, shift=0.25)
        return inner(x[1]) + choose(x[2], x[3]) + model(x[4], power=3) + half(x[5])

    for seed in range(6):
        agrees(f, np.random.default_rng(seed).normal(size=6))
    agrees(model, 1.5)


def helper(x: Any) -> Any:
    if x > 0:
        return x * 3
    return -x


def test_functions_of_the_module_are_rewritten_where_they_are_called() -> None:
    agrees(lambda x: helper(x) + 1, 2.0)
    agrees(lambda x: helper(x) + 1, -2.0)
    assert helper(2.0) == 6.0


def test_decorators_and_nonlocals() -> None:
    def twice(function):
        @functools.wraps(function)
        def wrapper(x):
            return function(function(x))

        return wrapper

    @twice
    def f(x):
        count = 0.0

        def add(v):
            nonlocal count
            count += v

        if x > 0:
            add(x)
        else:
            add(-2 * x)
        return count + x

    agrees(f, 2.0)
    agrees(f, -2.0)


def test_variables_that_a_called_function_assigns() -> None:
    """The loop, or branch, does not name them; they belong to a function around its own."""

    def counts(x):
        count, best = 0, -1.0

        def note(v):
            nonlocal count, best
            count += 1
            if v > best:
                best = v
            return v * 2

        def total():
            t = 0.0
            for i in range(10):
                t = t + note(x[i % 3] * i)
            if x[0] > 0:
                note(50 * x[1])
            return t

        t = total()
        for _ in range(9):
            t = t + note(x[2]) + total()
        return t * count + best

    def makes(x):
        def adder():
            n = 0.0

            def add(v):
                nonlocal n
                n += v
                return n

            return add

        t = 0.0
        for _ in range(10):
            add = adder()
            for j in range(10):
                t = t + add(x[0]) * j
        return t

    for f in (counts, makes):
        agrees(f, X[-3:])
        assert all(loop.is_rolled for loop in go.compile(f).lower(X[-3:]).loops())


def test_variables_from_outside_that_a_called_function_assigns() -> None:
    """They are the user's: Python's loop changes them."""
    count = 0

    def note(v):
        nonlocal count
        count += 1
        return v

    def f(x):
        t = 0.0
        for _ in range(10):
            t = t + note(x)
        return t

    assert go.compile(f)(2.0) == 20.0
    assert count == 10


def test_names_are_found_as_before() -> None:
    """Comprehensions, `with`, `try`, walrus, unpacking and f-strings keep their meaning."""

    def f(x):
        squares = [v * v for v in x if v is not None]
        text = f"{len(squares)}"
        with np.errstate(all="ignore"):
            first, *rest = squares
        try:
            total = sum(rest)
        finally:
            text += "!"
        if (n := len(text)) > 1:
            total = total + n
        return total * first if total > 0 else first

    agrees(f, X)


def test_transforms_see_control_flow() -> None:
    def f(x):
        if x > 0:
            return x**3
        return -(x**2)

    np.testing.assert_allclose(go.grad(go.grad(f))(2.0), 12.0)
    np.testing.assert_allclose(go.vmap(f)(np.array([2.0, -3.0])), [8.0, -9.0])
    np.testing.assert_allclose(go.vmap(go.grad(f))(np.array([2.0, -3.0])), [12.0, 6.0])
    np.testing.assert_allclose(go.jvp(f, (2.0,), (1.0,))[1], 12.0)


def test_loops_that_are_unrolled_for_a_branch_that_cannot_be_merged() -> None:
    def f(x):
        y = np.zeros(3)
        for i in range(10):
            y[:] = x if i else x[2]
        return y * x

    agrees(f, X[:3])
    (loop,) = go.compile(f).lower(X[:3]).loops()
    assert "must have the same" in loop.reason


def test_loops_have_second_derivatives() -> None:
    def f(x):
        y = 1.0
        for i in range(10):
            y = y * x[i] + np.sin(y)
        return y

    go.gradcheck(f, (X[:10],), order=2)


@pytest.mark.parametrize("a", [0.3, 0.7])
def test_conditions_on_what_a_branch_overwrites(a: float) -> None:
    """To undo the inner branch backwards takes its condition, which what it undoes has changed."""

    def f(a, x):
        y = x.copy()
        for i in range(9):
            if a < 0.5:
                y[i] = y[i - 1] * a
            elif y[i - 1] > 0.1:
                y[i - 1] += a * y[i - 1] ** 2
        return np.sum(y**2)

    agrees(f, a, X[:9])


# -- Classes -----------------------------------------------------------------------------------


class Gate:
    """Its property and its setter's reader branch on what is traced."""

    def __init__(self, value: Any) -> None:
        self.value = value

    @property
    def opened(self) -> Any:
        if self.value > 0:
            return self.value * 2
        return self.value

    @property
    def summed(self) -> Any:
        return self.opened + (self.opened if self.opened > 1 else 0.0)

    def scaled(self, by: Any) -> Any:
        return self.value * by if self.value > by else by


class Doubled(Gate):
    def scaled(self, by: Any) -> Any:
        if self.value > 0:
            return 2 * super().scaled(by)
        return super().scaled(by)


def test_properties_branch_on_traced_values() -> None:
    def f(x):
        total = 0.0
        for value in x:
            total += Gate(value).opened * Gate(value).summed
        return total

    assert rolled(agrees(f, X)) == [True]


class Rule:
    """Its properties have names of NumPy's, or are called."""

    def __init__(self, value: Any) -> None:
        self.value = value

    @property
    def size(self) -> Any:
        if self.value > 0:
            return self.value * 2
        return self.value

    @property
    def kernel(self) -> Callable[[Any], Any]:
        factor = 1.0
        if self.value > 0:
            factor = self.value
        return lambda x: factor * x if x > 0 else x

    @property
    def mean(self) -> Callable[[], Any]:
        return lambda: self.size if self.value > 1 else 0.0


def test_properties_that_are_called_and_that_have_names_of_numpys() -> None:
    def f(x):
        total = 0.0
        for value in x:
            total += Rule(value).kernel(value + 1) + Rule(value).size * Rule(-value).mean()
        return total

    assert rolled(agrees(f, X)) == [True]


def test_names_of_modules_may_be_those_of_other_things() -> None:
    def of_parameters(x, scipy):
        return x[0] * scipy.opened

    def of_locals(x):
        math = Gate(x[1])
        return [of_parameters(x, math), math.opened, (lambda numpy: numpy.opened)(Gate(x[2]))]

    agrees(of_locals, X)


class Lazy:
    """What its properties do not find is computed from the name."""

    def __init__(self, value: Any) -> None:
        self.value = value

    @property
    def absent(self) -> Any:
        raise AttributeError("absent")

    def __getattr__(self, name: str) -> Any:
        if name != "absent":
            raise AttributeError(name)
        return self.value * len(name) if self.value > 0 else self.value


def test_properties_that_raise_fall_back_on_getattr() -> None:
    def f(x):
        total = 0.0
        for value in x:
            total += Lazy(value).absent + 2 * Lazy(value).absent
        return total

    assert rolled(agrees(f, X)) == [True]
    with pytest.raises(AttributeError, match="absent"):
        go.compile(lambda x: Absent().absent if len(x) else x)(X)


class Absent:
    @property
    def absent(self) -> Any:
        raise AttributeError("absent")


def test_super_is_found_in_parts_of_statements() -> None:
    agrees(lambda x: Doubled(x[0]).scaled(x[1]) + Doubled(-x[0]).scaled(x[1]), X)


def test_classes_that_a_function_defines() -> None:
    def f(x):
        factor = x[3]

        class Base:
            def change(self, value):
                return value * 0.5 if value > 0 else value

        class Counter(Base):
            __hidden = 2.0

            def __init__(self):
                self.total = 1.0

            def add(self, value):
                if value > 0:
                    self.total = self.total * value + factor
                else:
                    self.total -= value * self.__hidden

            def change(self, value):
                if value > 1:
                    return super().change(value)
                return -super().change(value)

            @property
            def half(self):
                return self.total / 2 if self.total > 0 else self.total

            @classmethod
            def cut(cls, value):
                return value if value < 0.5 else 0.5

        counter = Counter()
        for value in x:
            counter.add(value)
        return np.array([counter.total, counter.change(x[0]), counter.half, Counter.cut(x[2])])

    agrees(f, X)


# -- Generators --------------------------------------------------------------------------------


def test_generators_branch_between_their_yields() -> None:
    def f(x):
        def values(count):
            for i in range(count):
                value = x[i]
                if value > 0:
                    value = value * 2
                elif value > -1:
                    value = 0.5 * value
                for j in range(9):
                    if x[j] > 1.4:
                        break
                    value = value + 0.1 * x[j]
                if i == 3:
                    continue
                if i == 6:
                    return
                yield value

        return np.array([*values(4), sum(values(9))])

    agrees(f, X)


def test_generators_that_call_themselves_or_get_values() -> None:
    def f(x):
        def leaves(low, high):
            if high - low == 1:
                yield x[low] if x[low] > 0 else 0.0
                return
            middle = (low + high) // 2
            yield from leaves(low, middle)
            yield from leaves(middle, high)

        def added():
            total = 0.0
            while True:
                value = yield total
                if value > 0:
                    total += value
                else:
                    total -= value

        adding = added()
        next(adding)
        sums = [adding.send(value) for value in leaves(0, 5)]
        return np.array(sums)

    agrees(f, X)


def test_what_is_yielded_under_a_traced_condition_is_refused() -> None:
    def f(x):
        def positive():
            for value in x:
                if value > 0:
                    yield value

        return sum(positive())

    with pytest.raises(BranchError, match=r"test_python_functions\.py"):
        go.compile(f)(X)


# -- Recursion ---------------------------------------------------------------------------------


def test_a_number_that_ends_a_recursion_becomes_static() -> None:
    def power(n, x):
        return 1.0 if n == 0 else x * power(n - 1, x) + n

    compiled = go.compile(power)
    for n in (5, 3, 5):
        assert compiled(n, 1.5) == power(n, 1.5)
    assert compiled.cache_size() == 2
    agrees(lambda x: power(4, x), 1.5)
