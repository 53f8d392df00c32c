# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What methods change that Python itself calls, and conditions of loops: as often as in Python."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from as_numpy import agrees, rolled

import gradopt as go
from gradopt.errors import UnsupportedError

X = np.random.default_rng(5).normal(size=10)


class Counter:
    """Each of its methods counts."""

    def __init__(self) -> None:
        self.count = 0
        self.log: list[int] = []

    def __neg__(self) -> int:
        self.count += 1
        return self.count

    def __add__(self, other: Any) -> Any:
        self.log.append(1)
        return other * len(self.log)

    def __enter__(self) -> Counter:
        self.count += 1
        return self

    def __exit__(self, *error: object) -> None:
        self.count += 10

    def __contains__(self, item: Any) -> bool:
        self.count += 1
        return True

    @property
    def following(self) -> int:
        self.count += 1
        return self.count

    @following.setter
    def following(self, value: int) -> None:
        self.count += value


SHARED = Counter()


def by_operators(counter: Any, v: Any) -> Any:
    return v * -counter


def by_lists(counter: Any, v: Any) -> Any:
    return counter + v


def by_with(counter: Any, v: Any) -> Any:
    with counter:
        return v * counter.count


def by_in(counter: Any, v: Any) -> Any:
    return v * counter.count if 3 in counter else v


def by_setters(counter: Any, v: Any) -> Any:
    counter.following = 2
    return v * counter.count


def by_global_names(counter: Any, v: Any) -> Any:
    return v * -SHARED


def under_a_known_condition(counter: Any, v: Any) -> Any:
    if counter is not None:
        v = v * -SHARED
    return v


def in_a_lambda(counter: Any, v: Any) -> Any:
    return (lambda w: w * -SHARED)(v)


def in_a_generator_expression(counter: Any, v: Any) -> Any:
    return v * sum(-SHARED for _ in range(1))


CHANGES = [by_operators, by_lists, by_with, by_in, by_global_names]
# What these change is noticed: rewritten code asks for the methods itself.
NOTICED = [by_operators, by_lists, by_with, by_in]
CHANGES += [under_a_known_condition, in_a_lambda, in_a_generator_expression]


@pytest.mark.parametrize("change", CHANGES)
def test_loops_are_unrolled(change: Callable[[Any, Any], Any]) -> None:
    def f(x):
        SHARED.count = 0
        counter, total = Counter(), 0.0
        for i in range(10):
            total = total + change(counter, x[i])
        return np.array([total, counter.count, len(counter.log), SHARED.count])

    lowered = agrees(f, X, derivative=False)
    assert rolled(lowered) == [change in NOTICED]


@pytest.mark.parametrize("change", CHANGES)
def test_branches_are_refused(change: Callable[[Any, Any], Any]) -> None:
    def f(x):
        counter, total = Counter(), x[1]
        SHARED.count = 0
        if x[0] > 0:
            total = total + change(counter, x[0])
        return total * (counter.count + len(counter.log) + SHARED.count)

    if change in NOTICED and change is not by_lists:
        agrees(f, X, derivative=False)
        agrees(f, -X, derivative=False)
        return
    with pytest.raises(UnsupportedError, match=r"Counter|list"):
        go.compile(f)(X)


def test_statements_under_known_conditions_in_loops() -> None:
    flag = True

    def f(x):
        SHARED.count = 0
        total = 0.0
        for i in range(10):
            if flag:
                total = total + x[i] * -SHARED
        return np.array([total, SHARED.count])

    assert rolled(agrees(f, X, derivative=False)) == [False]


def test_what_setters_change_is_carried() -> None:
    def f(x):
        counter, total = Counter(), 0.0
        for i in range(10):
            total = total + by_setters(counter, x[i])
        return np.array([total, counter.count])

    assert rolled(agrees(f, X, derivative=False)) == [True]


def test_comprehensions_are_unrolled() -> None:
    def f(x):
        counter = Counter()
        found = [v * -counter for v in x]
        return np.array([*found, counter.count])

    agrees(f, X)


def test_conditions_that_assign_by_functions_that_they_call() -> None:
    def f(x):
        total = x[0]

        def advanced():
            nonlocal total
            total = total * 0.5 + 0.3
            return total

        turns = 0
        while advanced() < 0.58 and turns < 20:
            turns += 1
        return np.array([total, turns])

    agrees(f, X)

    def with_else(x):
        total = x[0]

        def advanced():
            nonlocal total
            total = total * 0.5 + 0.3
            return total

        turns = 0
        while advanced() < 0.58:
            turns += 1
        else:
            turns += 100
        return np.array([total, turns])

    with pytest.raises(UnsupportedError, match=r"condition of a while loop .* changes total"):
        go.compile(with_else)(X)


def test_bools_are_counted() -> None:
    def f(x):
        return sum(v > 0 for v in x), sum([v > 0 for v in x[:3]])

    found, wanted = go.compile(f)(X), f(X)
    assert [int(n) for n in found] == [int(n) for n in wanted]
    assert np.asarray(found[0]).dtype == np.asarray(wanted[0]).dtype
