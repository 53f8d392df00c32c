# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Python integers beyond the range of an array's dtype: NumPy's answer, or NumPy's error."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import gradopt as go
from gradopt import errors

DTYPES = ["?", "i1", "i2", "i4", "i8", "f4", "f8"]
NUMBERS = sorted({sign * 2**k + d for k in (7, 8, 15, 31, 40, 63, 70) for sign in (1, -1) for d in (-1, 0, 1)} | {10**400})  # fmt: skip
FEW = [127, 128, -129, 2**31, 2**63 - 1, 2**63, -(2**63) - 1, 10**400]
COMPARISONS = [operator.lt, operator.le, operator.gt, operator.ge, operator.eq, operator.ne]
FUNCTIONS: dict[str, Callable[[Any, int], Any]] = {
    "add": lambda x, n: x + n,
    "radd": lambda x, n: n + x,
    "subtract": lambda x, n: x - n,
    "multiply": lambda x, n: x * n,
    "divide": lambda x, n: x / n,
    "floor_divide": lambda x, n: x // n,
    "maximum": lambda x, n: np.maximum(x, n),
    "where": lambda x, n: np.where(x > 0, x, n),
    "where, scalar": lambda x, n: np.where(x[0] > 0, n, x[0]),
    "select": lambda x, n: np.select([x > 0], [x], n),
    "clip": lambda x, n: np.clip(x, None, n),
    "full_like": lambda x, n: np.full_like(x, n),
    "pad": lambda x, n: np.pad(x, 1, constant_values=n),
    "isclose": lambda x, n: np.isclose(x, n),
    "risclose": lambda x, n: np.isclose(n, x),
    "initial": lambda x, n: np.max(x, initial=n),
    "append": lambda x, n: np.append(x, n),
    "0-d": lambda x, n: x[0] < n,
    "list": lambda x, n: np.less(x, [n, 0]),
}


def values(dtype: str) -> Any:
    if dtype[0] == "i":
        limits = np.iinfo(dtype)
        return np.array([limits.min, limits.max], dtype)
    return np.array([0, 1], dtype)


def assert_as_numpy(f: Callable[[Any], Any], x: Any) -> None:
    with np.errstate(all="ignore"):
        try:
            expected = f(x)
        except (OverflowError, TypeError) as error:
            with pytest.raises((type(error), NotImplementedError)) as raised:
                go.compile(f)(x)
            assert isinstance(raised.value, errors.GradoptError)
            assert "test_python_integers.py" in str(raised.value)
            return
        if np.asarray(expected).dtype.kind not in "bif" or np.asarray(expected).dtype == "f2":
            return  # Objects, unsigned and half-precision numbers.
        try:
            actual = go.compile(f)(x)
        except errors.UnsupportedError:
            return
    assert np.asarray(actual).dtype == np.asarray(expected).dtype
    np.testing.assert_allclose(actual, expected, rtol=1e-6)


@pytest.mark.parametrize("dtype", DTYPES)
def test_comparisons_take_every_integer(dtype: str) -> None:
    x = values(dtype)
    inside = [n for n in NUMBERS if abs(n) < (2**63 if dtype == "?" else 10**300)]

    def f(x: Any) -> Any:
        pairs = [(x, n) for n in inside] + [(n, x) for n in inside]
        return np.stack([compare(*pair) for compare in COMPARISONS for pair in pairs])

    np.testing.assert_array_equal(go.compile(f)(x), f(x))
    for number in set(NUMBERS) - set(inside):
        assert_as_numpy(lambda x, n=number: x < n, x)


@pytest.mark.parametrize("dtype", ["?", "i1", "i8", "f4"])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_other_functions(name: str, dtype: str) -> None:
    for number in FEW:
        if (name, dtype) == ("full_like", "?") and not -(2**63) <= number < 2**63:
            continue  # numpy.array(number, bool) takes it, numpy.full_like does not.
        assert_as_numpy(lambda x, n=number: FUNCTIONS[name](x, n), values(dtype))


def test_traced_python_integers() -> None:
    f = go.compile(lambda n: (n < 2**70, n < -(2**64), n == 2**63))
    assert f(3) == (True, False, False)


@pytest.mark.parametrize("dtype", ["?", "i1", "i2", "i4", "i8", "f4", "f8"])
def test_comparisons_with_traced_integers(dtype: str) -> None:
    x = values(dtype)

    def f(x: Any, n: Any) -> Any:
        return np.stack([compare(*pair) for compare in COMPARISONS for pair in ((x, n), (n, x))])

    compiled = go.compile(f)
    for number in (-(2**63), -129, -128, 0, 1, 127, 128, 300, 2**15, 2**31, 2**40, 2**63 - 1):
        np.testing.assert_array_equal(compiled(x, number), f(x, number))


@pytest.mark.parametrize("dtype", ["i1", "i2", "i4"])
@pytest.mark.parametrize(
    "name", [*sorted(set(FUNCTIONS) - {"divide", "initial"}), "assign", "nested"]
)
def test_traced_integers_must_fit_where_constants_must(name: str, dtype: str) -> None:
    def assign(x: Any, n: Any) -> Any:
        y = x + 0
        y[1:] = n
        return y

    f = FUNCTIONS.get(name, assign)
    if name == "nested":
        f = lambda x, n: go.jvp(lambda v: x[0] * n * v, (1.5,), (1.0,))[1]  # noqa: E731
    compiled, x, limits = go.compile(f), values(dtype), np.iinfo(dtype)
    for number in (0, 3, int(limits.min), int(limits.max), limits.max + 1, limits.min - 1, 2**40):
        with np.errstate(all="ignore"):
            try:
                expected = f(x, number)
            except OverflowError:
                with pytest.raises(errors.NumberRangeError) as raised:
                    compiled(x, number)
                assert str(raised.value).startswith(f"Python integer {number} out of bounds for")
                assert "test_python_integers.py" in str(raised.value)
                continue
        np.testing.assert_array_equal(compiled(x, number), expected)


def test_differences_of_small_integers_do_not_wrap() -> None:
    x, y = np.array([0, 127], np.int8), np.array([-128, -128], np.int8)
    np.testing.assert_array_equal(go.compile(np.isclose)(x, y), np.isclose(x, y))


def test_masks_of_comparisons_have_derivatives() -> None:
    i = np.array([1, 2], np.int8)
    gradient = go.grad(lambda x: np.sum(np.where(i * (x > 0).astype("i1") < 300, x**2, x)))
    np.testing.assert_array_equal(gradient(np.array([3.0, 4.0])), [6, 8])


@pytest.mark.parametrize("number", [2**63, 2**70, -(2**63) - 1])
def test_arguments_that_int64_does_not_hold(number: int) -> None:
    """An error of ours at the line of the call, in compiled and in direct calls."""
    compiled = go.compile(lambda n: n + 1)
    assert compiled(2**63 - 2) == 2**63 - 1
    calls: list[Callable[[], Any]] = [
        lambda: compiled(number),
        lambda: go.grad(lambda x, n: x * n)(1.0, number),
        lambda: go.vmap(lambda x, n: x * n, (0, None))(np.ones(3), number),
    ]
    for call in calls:
        with pytest.raises(errors.NumberRangeError, match=f"{number} out of bounds for") as raised:
            call()
        assert raised.value.location is not None
        assert raised.value.location.file == __file__


def test_powers_and_grids_of_arguments() -> None:
    """The program is made for each integer that a power, or the size of a grid, depends on."""

    def f(x: Any, r: int, k: int) -> Any:
        rows, columns = np.mgrid[0:r, 1 : r**k]
        left = np.ogrid[0 : r + 1]
        return x * (rows * columns).sum() + left.size, r**k

    compiled = go.compile(f)
    for r, k in ((2, 3), (3, 2), (2, 3)):
        value, power = compiled(2.0, r, k)
        assert power == r**k
        np.testing.assert_allclose(value, f(2.0, r, k)[0])
    assert go.compile_grad(lambda x: f(x, 2, 3)[0])(2.0) == 28


def test_integers_repeat_sequences() -> None:
    """They are no factors of their elements; the function is compiled for each value."""

    def repeated(n, x):
        total = [0.0, x[0]] * n + [x[1]] * (n - 1)
        return np.array(total), (1.0, 2.0) * n, len("ab" * n), n * [x[2]]

    x = np.array([0.5, -1.5, 2.0])
    compiled = go.compile(repeated)
    for n in (3, 1, 3):
        wanted, found = repeated(n, x), compiled(n, x)
        for want, got in zip(wanted, found, strict=True):
            np.testing.assert_array_equal(got, want)
    assert compiled.cache_size() == 2

    def extended(n):
        items = [1.0, 2.0]
        same = items
        items *= n
        return len(same)

    assert go.compile(extended)(3) == 6
    # NumPy multiplies the elements where the factor is an array.
    factor = np.array([2])
    np.testing.assert_array_equal(go.compile(lambda k: [1, 2] * k)(factor), [1, 2] * factor)


@pytest.mark.parametrize(
    "f",
    [
        lambda x: [1.0] * np.argmax(x),
        lambda x: (1.0,) * int(x[0]),
        lambda x: len([1.0] * x[0]),
        lambda x: {1: 2.0}[int(x[0])],
        lambda x: len({x[0], x[1]}),
    ],
)
def test_numbers_of_the_run_are_no_sizes_and_no_keys(f: Callable[[Any], Any]) -> None:
    with pytest.raises(errors.ConversionError, match=r"test_python_integers\.py"):
        go.compile(f)(np.array([1.0, 2.0]))


def test_integers_as_keys() -> None:
    def chosen(n, x):
        scales = {1: 0.5, 2: 3.0}
        return scales[n] * x if n in scales else x

    compiled = go.compile(chosen)
    for n in (1, 2, 7):
        assert compiled(n, 1.5) == chosen(n, 1.5)


def times_three(x: Any) -> Any:
    n = 0
    for _ in range(100):
        n = n * 3 + 1
    return x * n


def factorial(x: Any) -> Any:
    s = 1
    for i in range(1, 26):
        s *= i
    return x * s


def fibonacci(x: Any) -> Any:
    a, b = 0, 1
    for _ in range(100):
        a, b = b, a + b
    return x * a


def under_conditions(x: Any) -> Any:
    n = 1
    for i in range(80):
        if i % 2 == 0:
            n = (n << 1) + n
        x = x + 1
    return x * n


def in_an_inner_loop(x: Any) -> Any:
    n = 1
    for _ in range(10):
        for _ in range(10):
            n = n * 2
        x = x + 1
    return x * n


def sums(x: Any) -> Any:
    n, k = 1, 0
    for i in range(20):
        n += 2
        if i % 3:
            k += n * 4 - i * i
        x = x + k * i
    return x + n


def powers(x: Any) -> Any:
    for i in range(70):
        x = x + 1 / 2**i + (10**i) % 7 - 1 / (i + 1) ** 12
    return x


def small_powers(x: Any) -> Any:
    for i in range(70):
        x = x + i**2 * (-1) ** i
    return x


def in_circles(x: Any) -> Any:
    i = 0
    for _ in range(12):
        i = (i + 3) % 3
        x = x + x[i]
    return x


@pytest.mark.parametrize(
    ("f", "is_rolled"),
    [
        (times_three, False),
        (factorial, False),
        (fibonacci, False),
        (under_conditions, False),
        (in_an_inner_loop, False),
        (powers, False),
        (small_powers, True),
        (sums, True),
        (in_circles, True),
    ],
)
def test_integers_that_grow_by_factors_are_exact(f: Callable[[Any], Any], is_rolled: bool) -> None:
    """Loops that made them wrap are unrolled; those that add up are not."""
    x = np.array([0.5, -1.25, 3.0])
    compiled = go.compile(f)
    np.testing.assert_allclose(compiled(x), f(x), rtol=1e-14)
    assert compiled.lower(x).loops()[0].is_rolled is is_rolled
