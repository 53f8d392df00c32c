# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Loops in which arrays take turns in having names: `a, b = b, a`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import gradopt as go
from gradopt.errors import UnsupportedError

X = np.linspace(0.1, 1.3, 12)


def smoothed(b: Any) -> Any:
    return 0.5 * (b[:-2] + b[2:])


def odd(a: Any, b: Any) -> Any:
    for i in range(11):
        a[1:-1] = smoothed(b) + i
        a, b = b, a
    return a.sum() + 2 * b[3]


def even(a: Any, b: Any) -> Any:
    for i in range(10):
        a[1:-1] = smoothed(b) + i
        a, b = b, a
    a[0] = 7.0  # The array of the caller's again.
    return a


def nested(a: Any, b: Any) -> Any:
    for t in range(9):
        for i in range(11):
            a[1:-1] = smoothed(b) + i
            a, b = b, a
        a[0] += t
    return a, b


def of_three(a: Any, b: Any) -> Any:
    c = a * b
    for i in range(10):
        a[1:-1] = smoothed(b) + i
        b[0] += 1
        a, b, c = b, c, a
    return a, b, c


def under_other_names(a: Any, b: Any) -> Any:
    u, v, part = a, b, a[2:5]
    for _ in range(11):
        u[1:-1] = smoothed(v)
        u, v = v, u
    a[0] = 7.0
    part[0] = 9.0
    return b[3] + u[0]


def not_written(a: Any, b: Any) -> Any:
    for _ in range(9):
        a, b = b, a
    a[0] = 5.0
    return a - b


def with_one_of_its_own(a: Any, b: Any) -> Any:
    new = np.zeros_like(a)
    for i in range(9):
        new[1:-1] = smoothed(a) + i * b[1:-1]
        a, new = new, a
    return a


@pytest.mark.parametrize(
    "f", [odd, even, nested, of_three, under_other_names, not_written, with_one_of_its_own]
)
def test_the_callers_arrays_hold_what_numpy_leaves(f: Callable[..., Any]) -> None:
    want = X.copy(), 2 * X
    result = f(*want)
    compiled = go.compile(f)
    for _ in range(2):
        got = X.copy(), 2 * X
        for g, w in zip(np.atleast_1d(compiled(*got)), np.atleast_1d(result), strict=True):
            np.testing.assert_allclose(g, w, rtol=1e-12)
        np.testing.assert_allclose(got, want, rtol=1e-12)
    assert all(loop.is_rolled for loop in compiled.lower(X, X).loops())

    def loss(a: Any, b: Any) -> Any:
        a, b = a * 1, b * 1
        parts = f(a, b)
        total = np.sum(np.sin(a)) + np.sum(np.cos(b))
        for part in parts if isinstance(parts, tuple) else (parts,):
            total = total + np.sum(part**2)
        return total

    go.gradcheck(loss, (X, 2 * X))


@pytest.mark.parametrize("count", [0, 1, 2, 9, 10, -3])
def test_the_number_of_turns_may_be_known_to_the_run_alone(count: int) -> None:
    def by_for(a: Any, b: Any, n: Any) -> Any:
        for i in range(int(n)):
            a[1:-1] = smoothed(b) + i
            a, b = b, a
        return a[2] + 2 * b[2]

    def by_while(a: Any, b: Any, n: Any) -> Any:
        c, i = a * b, 0
        while i < n:
            a[1:-1] = smoothed(b) + i
            a, b, c = b, c, a
            i += 1
        return a[2] + 2 * b[2] + 3 * c[2]

    for f in by_for, by_while:
        want, got = (X.copy(), 2 * X), (X.copy(), 2 * X)
        result = f(*want, float(count))
        compiled = go.compile(f)
        np.testing.assert_allclose(compiled(*got, float(count)), result, rtol=1e-12)
        np.testing.assert_allclose(got, want, rtol=1e-12)
        assert all(loop.is_rolled for loop in compiled.lower(X, X, 1.0).loops())
        go.gradcheck(lambda a, b, f=f: f(a * 1, b * 1, float(count)), (X, 2 * X))


def test_turns_that_conditions_decide() -> None:
    def chosen(a: Any, b: Any) -> Any:
        for _ in range(10):
            a[1:-1] = smoothed(b)
            if a[3] > 0.8:
                a, b = b, a
        return a

    def left(a: Any, b: Any) -> Any:
        for _ in range(10):
            a[1:-1] = smoothed(b)
            a, b = b, a
            if a[3] > 0.8:
                break
        return a

    def written_later(a: Any, b: Any) -> Any:
        n = 0
        while a[3] < 0.8:
            a[1:-1] = smoothed(b)
            a, b = b, a
            n += 1
        a[0] = n
        return b

    for f in chosen, left, written_later:
        with pytest.raises(UnsupportedError, match=r"copy\(\)"):
            go.compile(f)(0.1 * X, 2 * X)
