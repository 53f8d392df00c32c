# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Functions that NumPy calls for each element or row: their effects happen as often as there."""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import gradopt as go
from gradopt.errors import UnsupportedError

X = np.linspace(0.1, 1.3, 12)
A = X.reshape(3, 4)


def outcome(f: Callable[..., Any], *args: Any) -> tuple[Any, str, str]:
    """The result of a call, what it prints, and the exception that it raises."""
    text, result, error = io.StringIO(), None, ""
    with contextlib.redirect_stdout(text):
        try:
            result = f(*[arg.copy() for arg in args])
        except ValueError as caught:
            error = str(caught)
    return result, text.getvalue(), error


def agrees(f: Callable[..., Any], *args: Any) -> None:
    """Results, prints and exceptions are NumPy's, and derivatives those of differences."""
    want = outcome(f, *args)
    compiled = go.compile(f)
    for _ in range(2):
        got = outcome(compiled, *args)
        assert got[1:] == want[1:]
        if not want[2]:
            for g, w in zip(np.atleast_1d(got[0]), np.atleast_1d(want[0]), strict=True):
                np.testing.assert_allclose(g, w, rtol=1e-12)
    if not want[2]:
        with contextlib.redirect_stdout(io.StringIO()):
            go.gradcheck(lambda *a: np.sum(f(*a)), args)


def counting() -> tuple[Callable[..., Any], list[int]]:
    """A function whose results depend on how often it was called."""
    calls = [0]

    def g(*values: Any) -> Any:
        calls[0] += 1
        return sum(values) * calls[0]

    return g, calls


def rows(a: Any) -> Any:
    calls = [0]

    def g(row: Any) -> Any:
        calls[0] += 1
        return row.sum() * calls[0]

    return np.apply_along_axis(g, 1, a) + calls[0]


def rows_of_results(a: Any) -> Any:
    total = np.zeros(3)

    def g(column: Any) -> Any:
        total[:] += column
        return column[::-1] * total[0]

    return np.apply_along_axis(g, 0, a) * total[:, None]


def written_rows(a: Any) -> Any:
    a = a * 1

    def g(row: Any) -> Any:
        row *= 2
        a[1:] += row[0]
        return row.sum()

    return np.apply_along_axis(g, 1, a) + a.sum()


def views_of_rows(a: Any) -> Any:
    a = a * 1

    def g(column: Any) -> Any:
        a[0, 0] += column[0]
        return column[::-1]  # What it holds now: the next call changes it.

    return np.apply_along_axis(g, 0, a)


def written_while_vectorized(x: Any) -> Any:
    x = x * 1

    def g(v: Any) -> Any:
        x[1] += v
        return v * x[1]

    return np.vectorize(g)(x)


def appended(a: Any) -> Any:
    seen = []

    def g(row: Any) -> Any:
        seen.append(row[0])
        return row.mean()

    return np.apply_along_axis(g, 1, a) + np.array(seen)


def elements(x: Any) -> Any:
    n = 0

    def g(v: Any) -> Any:
        nonlocal n
        n += 1
        return v * n

    return np.vectorize(g)(x) + n  # It is called once more, for the dtype.


def elements_once(x: Any) -> Any:
    n = 0

    def g(v: Any, w: Any) -> Any:
        nonlocal n
        if v > 0.5:
            n += 1
        return v * n + w

    return np.vectorize(g, otypes=[float])(x, x[:3, None]) + n


def several_results(x: Any) -> Any:
    n = 0

    def g(v: Any) -> Any:
        nonlocal n
        n += 1
        return v * n, v + n

    p, q = np.vectorize(g, cache=True)(x)
    return p * q


def with_signature(a: Any) -> Any:
    n = 0

    def g(row: Any) -> Any:
        nonlocal n
        n += 1
        return row * n

    return np.vectorize(g, signature="(n)->(n)")(a) + n


def known_elements(x: Any) -> Any:
    n = 0

    def g(i: Any) -> Any:
        nonlocal n
        n += 1
        return x[0] * i * n

    return np.vectorize(g, otypes=[float])(np.arange(3.0)) + n


def as_ufunc(x: Any) -> Any:
    n = 0

    def g(v: Any) -> Any:
        nonlocal n
        n += 1
        return v * n

    return np.frompyfunc(g, 1, 1)(x).astype(float) + n


def two_prints(x: Any) -> Any:
    def g(v: Any) -> Any:
        print("first", v)
        print("second")
        return v * 2

    return np.vectorize(g)(x)


def raising(a: Any) -> Any:
    def g(row: Any) -> Any:
        if row[0] > 0.5:
            raise ValueError(f"{row[0]:.2f} is too large")
        return row * 2

    return np.apply_along_axis(g, 1, a)


def pieces(x: Any) -> Any:
    def g(some: Any) -> Any:
        print(some.size)
        return some * some.max()  # Of no elements there is none.

    return np.piecewise(x, [x < 0.5, x > 5], [g, g, -1.0])


def objects(x: Any) -> Any:
    class Counter:
        def __init__(self) -> None:
            self.calls = 0

        def __call__(self, v: Any) -> Any:
            self.calls += 1
            return v * self.calls

    counter = Counter()
    return np.vectorize(counter, otypes=[float])(x) + counter.calls


@pytest.mark.parametrize(
    "f",
    [rows, rows_of_results, written_rows, views_of_rows, appended, with_signature, raising],
)
def test_of_rows(f: Callable[..., Any]) -> None:
    agrees(f, A)


def test_exception_of_a_row_that_is_not_there() -> None:
    agrees(raising, A * 0.1)


@pytest.mark.parametrize(
    "f",
    [
        elements,
        elements_once,
        several_results,
        written_while_vectorized,
        known_elements,
        as_ufunc,
        two_prints,
        pieces,
        objects,
    ],
)
def test_of_elements(f: Callable[..., Any]) -> None:
    agrees(f, X)


def test_pieces_that_are_there() -> None:
    agrees(pieces, X + 10)


def print_piece(some: Any) -> Any:
    print(some)
    return some * 2


def print_slice(x: Any) -> Any:
    some = x[x < 0.5]
    print("of", [some])
    return some.sum()


def raise_slice(x: Any) -> Any:
    some = x[x < 0.5]
    if some.sum() > 1e3:
        raise ValueError(f"{some} is too much")
    return some.sum()


def warn_slice(x: Any) -> Any:
    some = x[x < 0.5]
    warnings.warn(f"{some}", stacklevel=1)
    return some.sum()


def call_slice(x: Any) -> Any:
    some = x[x < 0.5]
    return go.pure_callback(np.sum, np.float64(0), some)


@pytest.mark.parametrize(
    ("f", "line"),
    [
        (lambda x: np.piecewise(x, [x < 0.5], [print_piece]), "print(some)"),
        (print_slice, 'print("of", [some])'),
        (raise_slice, 'f"{some} is too much"'),
        (warn_slice, "warnings.warn("),
        (call_slice, "go.pure_callback("),
    ],
)
def test_elements_of_which_there_are_not_known_how_many(f: Callable[..., Any], line: str) -> None:
    """They are refused at the line that would print them, or the like."""
    with pytest.raises(UnsupportedError, match="size is known at run time only") as caught:
        go.compile(f)(X)
    assert line in str(caught.value)


def print_sum_of_piece(some: Any) -> Any:
    print(some.size, some.sum())
    return some * some.max()


def test_what_is_computed_of_a_piece_is_printed() -> None:
    # Of sixteenths, so that sums are exact.
    agrees(lambda x: np.piecewise(x, [x < 0.5], [print_sum_of_piece]), (np.round(8 * X) + 0.5) / 8)


def first_is_integer(x: Any) -> Any:
    calls = [0]

    def g(v: Any) -> Any:
        calls[0] += 1
        return 1 if calls[0] <= 2 else v * 10

    return np.vectorize(g)(x)


def first_is_bool(x: Any) -> Any:
    calls = [0]

    def g(v: Any) -> Any:
        calls[0] += 1
        return True if calls[0] == 1 else v - v

    return np.vectorize(g)(x)


def first_is_float32(x: Any) -> Any:
    calls = [0]

    def g(v: Any) -> Any:
        calls[0] += 1
        return np.float32(v) if calls[0] <= 2 else v * 10

    return np.vectorize(g)(x)


def first_of_several(x: Any) -> Any:
    calls = [0]

    def g(v: Any) -> Any:
        calls[0] += 1
        return (2 if calls[0] <= 1 else v * 10), v * calls[0]

    return np.vectorize(g)(x)[0]


def first_of_a_cache(x: Any) -> Any:
    calls = [0]

    def g(v: Any) -> Any:
        calls[0] += 1
        return 3 if calls[0] == 1 else v * 10

    return np.vectorize(g, cache=True)(x)


def given_dtype(x: Any) -> Any:
    calls = [0]

    def g(v: Any) -> Any:
        calls[0] += 1
        return 1 if calls[0] == 1 else v * 10

    return np.vectorize(g, otypes=[float])(x)


def rows_of_dtypes(x: Any) -> Any:
    calls = [0]

    def g(row: Any) -> Any:
        calls[0] += 1
        return np.array([1, 2]) if calls[0] == 1 else row[:2] * 10

    return np.apply_along_axis(g, 1, x.reshape(3, 4))


@pytest.mark.parametrize(
    "f",
    [
        first_is_integer,
        first_is_bool,
        first_is_float32,
        first_of_several,
        first_of_a_cache,
        given_dtype,
        rows_of_dtypes,
    ],
)
def test_results_have_the_dtype_of_the_first(f: Callable[..., Any]) -> None:
    got, want = go.compile(f)(X), f(X)
    assert got.dtype == want.dtype
    np.testing.assert_allclose(got, want, rtol=1e-7)


def test_of_the_caller() -> None:
    """Changes of objects that the function did not make happen while it is traced, as often."""
    g, calls = counting()
    y = go.compile(lambda x: np.vectorize(g, otypes=[float])(x))(X)
    assert calls[0] == 12
    np.testing.assert_allclose(y, X * np.arange(1, 13), rtol=1e-12)


def test_elements_without_effects_are_mapped() -> None:
    def f(x: Any) -> Any:
        return np.vectorize(lambda v: np.sin(v) * 2)(x)

    assert not go.compile(f).lower(X).loops()


def test_containers_do_not_leave_what_is_differentiated() -> None:
    def f(x: Any) -> Any:
        seen = [0]

        def g(v: Any) -> Any:
            if v > 0.5:
                seen[0] += 1
            return v * v

        return go.grad(g)(x[3]) * seen[0]

    with pytest.raises(UnsupportedError, match="a list from outside of a function that is diff"):
        go.compile(f)(X)

    def unrolled(x: Any) -> Any:
        seen, total = [0], 0.0

        def g(v: Any) -> Any:
            seen[0] += 1
            return v * v

        for i in range(12):
            total += go.grad(g)(x[i]) * seen[0]
        return total

    assert go.compile(unrolled)(X) == pytest.approx(np.sum(2 * X * np.arange(1, 13)))


def test_rows_without_elements_have_effects() -> None:
    def f(x: Any) -> Any:
        calls = [0]

        def g(row: Any) -> Any:
            calls[0] += 1
            return row.sum() + 1

        return np.apply_along_axis(g, 1, x) * calls[0]

    np.testing.assert_array_equal(go.compile(f)(np.zeros((3, 0))), f(np.zeros((3, 0))))
    for x in (np.zeros((0, 2)), np.zeros((2, 3, 0))):
        with pytest.raises(ValueError, match="Cannot apply_along_axis when any iteration"):
            go.compile(f)(x)
