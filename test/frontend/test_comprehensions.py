# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Comprehensions and generator expressions: loops of compiled code, or Python's own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import gradopt as go
from gradopt.errors import GradoptError, UnsupportedError

X = np.linspace(-1, 1.3, 10)


def agrees(f: Callable[..., Any], *args: Any, rolled: int, unrolled: int = 0) -> None:
    """Values are NumPy's, derivatives those of differences; and how many loops are rolled."""
    compiled = go.compile(f)
    np.testing.assert_allclose(compiled(*args), f(*args), rtol=1e-12, atol=1e-13)
    go.gradcheck(lambda *values: np.sum(compiled(*values)), args, argnums=0)
    loops = compiled.lower(*args).loops()
    found = [loop.is_rolled for loop in loops]
    assert (found.count(True), found.count(False)) == (rolled, unrolled), loops


@pytest.mark.parametrize(
    "make",
    [
        lambda x: [np.sin(x[i]) * i for i in range(len(x))],
        lambda x: [x * i for i in range(len(x))],
        lambda x: [v * w + n for n, (v, w) in enumerate(zip(x, x[::-1], strict=True))],
        lambda x: [v if v > 0 else -v for v in x],
        lambda x: [row @ x for row in np.outer(x, x)],
        lambda x: [a for a, _ in [(x[i] * 2, i) for i in range(10)]],
        lambda x: list(v * v for v in x),  # noqa: C400
        lambda x: tuple(v * v for v in x),
        lambda x: np.fromiter((v * v for v in x), float),
        lambda x: sum(v * v for v in x),
        lambda x: sum((v * v for v in x), 2.0),
        lambda x: max(v * v for v in x) + min((v * v for v in x), key=lambda v: -v),
        lambda x: sorted((np.cos(5 * v) for v in x), reverse=True),
    ],
)
def test_elements_are_found_in_a_loop(make: Any) -> None:
    def f(x):
        return np.array(make(x))

    compiled = go.compile(f)
    np.testing.assert_allclose(compiled(X), f(X), rtol=1e-12)
    go.gradcheck(lambda x: np.sum(compiled(x)), (X,))
    loops = compiled.lower(X).loops()
    assert loops
    assert all(loop.is_rolled for loop in loops)


def test_several_for_and_comprehensions_in_others() -> None:
    agrees(lambda x: np.array([a * b for a in x for b in x[2:]]), X, rolled=1)
    agrees(lambda x: np.array([[a * b for a in x] for b in x]), X, rolled=2)
    agrees(lambda x: np.array([sum(a * b for a in x) for _ in range(3) for b in x]), X, rolled=2)


def test_a_long_comprehension_is_one_loop() -> None:
    def f(x):
        return np.sum([np.exp(x * i / 1000) for i in range(1000)])

    compiled = go.compile(f)
    assert compiled.lower(0.5).mlir("simplified").count("\n") < 40
    np.testing.assert_allclose(compiled(0.5), f(0.5))


def test_what_is_known_stays_known() -> None:
    def f(x):
        sizes = [2 * k for k in range(10)]
        zeros = [np.zeros(k) for k in sizes]
        table = [np.zeros(3) for _ in range(12)]
        table[2][1] = x[0]
        return np.sum(np.zeros(sizes[3])) + len(zeros[2]) + np.array(table) * x[1]

    agrees(f, X, rolled=0)


def test_filters_that_are_known() -> None:
    agrees(lambda x: np.array([x[i] * i for i in range(10) if i % 3]), X, rolled=0, unrolled=1)
    agrees(lambda x: np.array([v * 2 for v in x if len(x) > 5]), X, rolled=1)


@pytest.mark.parametrize(
    "f",
    [
        lambda x: np.array([v for v in x if v > 0]),
        lambda x: sum(v for v in x if v > 0),
        lambda x: [v for v in x for w in x if v > w],
        lambda x: {i: v for i, v in enumerate(x) if v > 0},
    ],
)
def test_traced_filters_are_refused(f: Any) -> None:
    with pytest.raises(UnsupportedError, match=r"which elements a comprehension takes.*where"):
        go.compile(f)(X)


def test_arrays_that_others_share_are_written_to() -> None:
    """Where the elements are views, the list is made in Python."""

    def views(x):
        table = np.outer(x, x)
        rows = [table[k] for k in range(10)]
        table[2] = 5.0
        return np.array(rows)

    def own(x):
        rows = [x * k for k in range(10)]
        rows[3][1] = 7.0
        return np.array(rows)

    agrees(views, X, rolled=0, unrolled=1)
    agrees(own, X, rolled=1)


def test_effects_happen_as_often_as_in_python() -> None:
    seen: list[int] = []

    def note(i):
        seen.append(i)
        return i

    def f(x):
        return np.array([x[0] * note(i) for i in range(10)])

    agrees(f, X, rolled=0, unrolled=1)
    assert seen[:10] == list(range(10))


def test_names_keep_their_scope() -> None:
    def f(x):
        i = 3.0
        ys = [x[i] * 2 for i in range(10)]
        functions = [lambda: i for i in range(10)]  # noqa: B023
        total = sum(last := v * 2 for v in x)
        return np.array(ys) * i + functions[2]() + total + last

    agrees(f, X, rolled=1)


def test_generators_stay_lazy_elsewhere() -> None:
    def firsts(values):
        found = []
        for v in values:
            found.append(v)
            if len(found) == 2:
                return found
        return found

    def f(x):
        infinite = (k * 0.5 for k in iter(int, 1))
        known = any(i > 3 for i in iter(lambda: 5, 0))
        return np.array(firsts(v * 2 for v in x)) + firsts(v for v in infinite)[0] + known

    agrees(f, X, rolled=0, unrolled=1)


def test_traced_ranges_have_no_list() -> None:
    with pytest.raises(GradoptError, match="number of iterations is traced"):
        go.compile(lambda x, n: np.array([x[i] for i in range(n[0])]))(X, np.array([3]))


def test_in_traced_branches_and_loops() -> None:
    def f(x):
        total = 0.0
        for i in range(len(x)):
            if x[i] > 0:
                total += sum(v * x[i] for v in x) + len([v for v in x[:3]])  # noqa: C416
        return total

    agrees(f, X, rolled=2)


def test_any_and_all_of_elements_with_effects() -> None:
    """None of them is computed behind the one that decides."""

    def f(x, u):
        def tested(v):
            u[1] += 0.5 * v
            return v > 0.2

        first = any(tested(v) for v in x)
        second = all(not tested(v) for v in x[:4])
        u[0] += first * 2.0 + second
        third = any(tested(v) for v in [x[0], x[9], x[8]])
        pure = any(v > 5 for v in x) or all(v < 5 for v in x)
        return u * (1.0 + third + pure)

    u = np.ones(3)
    compiled = go.compile(f)
    for x in (X, -X, X * 0.1):
        np.testing.assert_allclose(compiled(x, u.copy()), f(x, u.copy()), rtol=1e-13)
    go.gradcheck(lambda x: np.sum(f(x, np.ones(3))), (X,))
    with pytest.raises(UnsupportedError, match="several `for`"):
        go.compile(lambda x: any(x.fill(v) or v > w for v in x * 2 for w in x * 3))(X)
