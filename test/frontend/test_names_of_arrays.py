# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Names that stand for one of several arrays, as a traced condition or a loop tells.

NumPy shares memory there, and compiled code has copies: what would show that is refused.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import gradopt as go
from gradopt.errors import MutationError, UnsupportedError

X = np.random.default_rng(3).normal(size=12)
X[:2] = 0.7, -0.4


def agrees(f: Callable[..., Any], x: Any) -> None:
    np.testing.assert_allclose(go.compile(f)(x.copy()), f(x.copy()), rtol=1e-12)
    go.gradcheck(lambda x: np.sum(f(x * 1.0)), (x,))


def test_what_is_chosen_twice_is_not_silently_a_copy() -> None:
    def f(x):
        c = x
        if x[0] > 0:
            c = x * 2
        d = c
        if x[1] > 0:
            d = c * 3
        c = None
        d[0] = 1.0
        return d

    with pytest.raises(UnsupportedError, match="may share memory"):
        go.compile(f)(X)


def test_what_may_be_a_concrete_array_is_not_silently_a_copy() -> None:
    table = np.zeros(4)

    def chosen(x):
        y = x * 2 if x[0] > 0 else table
        y[0] = 1.0
        return y

    def repeated(x):
        y, s = table, x[0]
        while s > 0:
            y, s = x * 2, s - 1
        y[0] = 1.0
        return y

    for f in (chosen, repeated):
        with pytest.raises(MutationError, match="may not have made"):
            go.compile(f)(X[:4])


def test_what_a_loop_may_leave_as_it_is_is_not_silently_a_copy() -> None:
    """Without an iteration, a name stands for what it was before."""

    def f(x):
        s = x[0]
        while s > 0:
            x = x * 2
            s -= 1
        x[0] = 1.0
        return x

    def g(x):
        y, s = x.copy(), x[0]
        first = y
        while s > 0:
            y, x, s = x * 2, y, s - 1
        x[0] = 1.0
        return first

    for function in (f, g):
        with pytest.raises(UnsupportedError, match="may share memory"):
            go.compile(function)(X)


def test_what_a_loop_overwrites_is_not_read_under_another_name() -> None:
    def swapped(x):
        a, b, s = x.copy(), x * 0, 0.0
        first = a
        for _ in range(20):
            b[1:] = a[:-1] * 0.5 + 1
            s += first[1]
            a, b = b, a
        return s

    def together(x):
        a, s = x.copy(), 0.0
        b = a
        for _ in range(20):
            a[0] += 1
            s += b[0]
            a, b = a * 1, b * 1
        return s

    def chosen(x):
        a, b = x.copy(), np.zeros(len(x))
        for i in range(20):
            a[0] += 1
            if x[0] * 10 > i:
                a = b
        return b[0]

    def written(x):
        a, s = x.copy(), 0.0
        b = a
        for _ in range(20):
            s += b[1] * a[0]
            a[1] += 1
            b = a.copy()
        return s

    for f in (swapped, together, written):
        agrees(f, X)
    with pytest.raises(UnsupportedError, match="may share memory"):
        go.compile(chosen)(X)


def test_an_argument_that_a_loop_overwrites_is_an_error_at_the_loop() -> None:
    def f(x):
        while x[0] < 3:
            x[0] += 1
            x = x * 1.5
        return x[0]

    with pytest.raises(UnsupportedError, match="gave its name to another") as caught:
        go.compile(f)(X)
    assert caught.value.location is not None
    assert "while x[0] < 3" in caught.value.location.show()
