# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Unsigned integers, and integers beside them: values and dtypes are NumPy's in every operation."""

from __future__ import annotations

import operator
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import gradopt as go
import gradopt_runtime

UNSIGNED = ("u1", "u2", "u4", "u8")
INTEGERS = (*UNSIGNED, "i1", "i2", "i4", "i8")
Array = np.ndarray[Any, Any]


def numbers(dtype: str, seed: int = 0) -> Array:
    """Both ends of the range, small numbers and random bits."""
    kind = np.dtype(dtype)
    if kind.kind == "f":
        return np.array([-2.5, -0.0, 0.0, 1.0, 3.7, 250.2, 65000.9, 2.0**31, 2.0**40], kind)
    limits = np.iinfo(kind)
    bits = np.random.default_rng(seed).integers(0, 256, 16 * kind.itemsize, np.uint8).view(kind)
    few = np.array([0, 1, 2, 3, 7, 8, 31, 100], kind)
    return np.concatenate([few, np.array([limits.min, limits.max, limits.max - 1], kind), bits])


def check(function: Callable[..., Any], *args: Any) -> None:
    """The compiled function returns what NumPy returns, dtypes included."""
    with np.errstate(all="ignore"):
        expected = function(*args)
    got = go.compile(function)(*args)
    for a, b in zip(np.atleast_1d(got), np.atleast_1d(expected), strict=True):
        np.testing.assert_array_equal(a, b, strict=True)
    assert np.asarray(got).dtype == np.asarray(expected).dtype


ARITHMETIC = (
    *(operator.add, operator.sub, operator.mul, operator.floordiv, operator.mod, np.fmod),
    *(np.maximum, np.minimum, operator.truediv),
)
BITS = (operator.and_, operator.or_, operator.xor, operator.lshift, operator.rshift)
ORDER = (operator.lt, operator.le, operator.gt, operator.ge, operator.eq, operator.ne)


@pytest.mark.parametrize("left", INTEGERS)
def test_pairs_of_dtypes_give_the_values_of_numpy(left: str) -> None:
    def every(x: Any, y: Any) -> Any:
        results = [op(x, y) for op in (*ARITHMETIC, *ORDER)]
        bits = np.result_type(x.dtype, y.dtype).kind != "f"
        return (*results, *((op(x, y) for op in BITS) if bits else ()))

    for right in (*INTEGERS, "f4", "?"):
        if right == "?":
            x, y = numbers(left), np.arange(numbers(left).size) % 2 == 0
        else:
            x, y = (a.reshape(-1) for a in np.meshgrid(numbers(left), numbers(right, 1)))
        with np.errstate(all="ignore"):
            expected = every(x, y)
        for i, (got, want) in enumerate(zip(go.compile(every)(x, y), expected, strict=True)):
            assert got.dtype == want.dtype, (i, left, right)
            if want.dtype.kind == "f" and 3 <= i <= 5:
                continue  # Quotients of floats are test_float_division's.
            if want.dtype.kind != "f" or i < 3:
                np.testing.assert_array_equal(got, want, err_msg=f"{i} of {left} and {right}")
            else:
                np.testing.assert_allclose(got, want, rtol=1e-6)


@pytest.mark.parametrize("dtype", INTEGERS)
def test_unary_functions_and_reductions(dtype: str) -> None:
    x = numbers(dtype)

    def every(x: Any) -> Any:
        return (
            *(-x, ~x, +x, abs(x), np.sign(x), np.square(x), x**3, np.floor(x), np.trunc(x)),
            *(np.sum(x), np.prod(x), np.max(x), np.min(x), np.argmax(x), np.argmin(x)),
            *(np.cumsum(x), np.mean(x), x.sum(dtype=x.dtype), x @ x, np.outer(x, x)),
            *(np.clip(x, 2, 100), np.where(x > 3, x, 1), np.isnan(x), x.astype(bool)),
            *(() if x.dtype.itemsize == 1 else (np.sqrt(x), np.exp(-x / 7))),
            *(np.any(x), np.all(x), np.concatenate([x, x]), np.ptp(x), np.diff(x)),
        )

    with np.errstate(all="ignore"):
        expected = every(x)
    for i, (got, want) in enumerate(zip(go.compile(every)(x), expected, strict=True)):
        assert got.dtype == want.dtype, i
        assert got.shape == want.shape, i
        if want.dtype.kind == "f":
            np.testing.assert_allclose(got, want, rtol=1e-6, err_msg=str(i))
        else:
            np.testing.assert_array_equal(got, want, err_msg=str(i))


@pytest.mark.parametrize("dtype", UNSIGNED)
def test_python_numbers_take_the_dtype_of_arrays(dtype: str) -> None:
    x = numbers(dtype)
    check(lambda x: x + 1, x)
    check(lambda x: 255 - x, x)
    check(lambda x: x * 2.5, x)
    check(lambda x: (x & 1) ^ 1, x)
    check(lambda x: x > -1, x)
    check(lambda x: x < 2**70, x)
    check(lambda x, n: x + n, x, 3)
    check(lambda x, n: x > n, x, -3)
    check(lambda x, n: n <= x, x, 7)
    with pytest.raises(go.errors.NumberRangeError, match="-1 out of bounds for uint"):
        go.compile(lambda x: x + -1)(x)
    with pytest.raises(go.errors.NumberRangeError, match="-3 out of bounds for uint"):
        go.compile(lambda x, n: x + n)(x, -3)


def test_comparisons_of_int64_with_uint64_are_of_their_values() -> None:
    x = np.array([-1, 0, 1, 2**62, -(2**63)])
    y = np.array([2**64 - 1, 0, 2**63, 2**62, 2**63], np.uint64)
    for op in ORDER:
        check(op, x, y)
        check(op, y, x)


@pytest.mark.parametrize("dtype", UNSIGNED)
def test_conversions(dtype: str) -> None:
    for other in (*INTEGERS, "f4", "f8", "?"):
        check(lambda x, other=other: x.astype(other), numbers(dtype))
        source = np.array([0, 1, 1], other)
        check(lambda x: x.astype(dtype), source if other == "?" else abs(numbers(other)[2:6]))
    for other in INTEGERS:
        check(lambda x: x.astype(dtype), numbers(other))


@pytest.mark.parametrize("dtype", UNSIGNED)
def test_indices(dtype: str) -> None:
    x = np.arange(20.0).reshape(5, 4)
    i = np.array([0, 3, 1, 3], dtype)
    check(lambda x, i: x[i], x, i)
    check(lambda x, i: x[i[1], i[2]], x, i)
    check(lambda x, i: np.take(x, i, axis=1), x, i)

    def loss(x: Any, i: Any) -> Any:
        return np.sum(np.sin(x[i]) * x[i[2]])

    gradient = go.compile_grad(loss)(x, i)
    np.testing.assert_allclose(gradient, go.compile_grad(loss)(x, i.astype("i8")), rtol=0)
    # The derivative goes past them.
    np.testing.assert_allclose(go.compile_grad(lambda x: np.sum(x * i))(np.ones(4)), i)


@pytest.mark.parametrize("dtype", UNSIGNED)
def test_constants_loops_branches_and_writes(dtype: str) -> None:
    captured = numbers(dtype)
    check(lambda x: x + captured, captured)
    check(lambda x: x + captured[9], captured)

    def mixed(x: Any) -> Any:
        total = x[0]
        for value in x:
            total = (total << 1) ^ value if value & 1 else total >> 1
        return total

    check(mixed, captured)

    def written(x: Any) -> Any:
        y = np.zeros(5, dtype)
        y[1:3] = x[:2]
        y[4] += 7
        y <<= 1
        return y

    check(written, captured)

    def counted(x: Any, n: Any) -> Any:
        i = n
        while i > 0:
            x = x * 3 + 1
            i -= 1
        return x

    check(counted, captured, np.dtype(dtype).type(5))


def test_crc_of_bytes() -> None:
    def crc16(data: Any, poly: int = 0x8408) -> Any:
        crc = 0xFFFF
        for b in data:
            byte = 0xFF & b
            for _ in range(8):
                crc = (crc >> 1) ^ poly if (crc & 1) ^ (byte & 1) else crc >> 1
                byte >>= 1
        return ~crc & 0xFFFF

    data = np.frombuffer(b"123456789", np.uint8)
    # The check value of CRC-16/X-25.
    assert go.compile(crc16)(data) == 0x906E == crc16(data)


def test_transforms_pass_them_on() -> None:
    x, k = np.linspace(0.1, 1, 6).reshape(2, 3), np.array([[1, 200, 3], [4, 5, 255]], np.uint8)

    def f(x: Any, k: Any) -> Any:
        return np.sum(np.sin(x) * (k // 2)), k % 7

    value, gradient = go.compile_value_and_grad(f, has_aux=True)(x, k)
    np.testing.assert_allclose(gradient, np.cos(x) * (k // 2))
    np.testing.assert_array_equal(value[1], k % 7, strict=True)
    mapped = go.compile(go.vmap(lambda k: np.max(k ^ 3)))(k)
    np.testing.assert_array_equal(mapped, np.max(k ^ 3, axis=1), strict=True)
    scanned = go.compile(lambda k: go.scan(lambda c, v: (c + v, c), k[0], k))(k)
    np.testing.assert_array_equal(scanned[0], k[0] + k.sum(axis=0, dtype=k.dtype), strict=True)


@pytest.mark.parametrize("dtype", UNSIGNED)
def test_callbacks_get_them(dtype: str) -> None:
    def half(x: Array) -> Array:
        assert x.dtype == dtype
        return x // 2

    x = numbers(dtype)
    f = go.compile(lambda x: go.pure_callback(half, x, x))
    np.testing.assert_array_equal(f(x), x // 2, strict=True)


@pytest.mark.parametrize("dtype", UNSIGNED)
def test_bundles_hold_them(dtype: str, tmp_path: Any) -> None:
    x = numbers(dtype)
    go.save(go.compile(lambda x: x // 2 + x[-1]).lower(x), tmp_path / "f.bundle")
    for load in (go.load, gradopt_runtime.load):
        loaded = load(tmp_path / "f.bundle")
        np.testing.assert_array_equal(loaded(x), x // 2 + x[-1], strict=True)


def test_scalars_of_numpy_stay_so() -> None:
    check(lambda n: n * 2 + 200, np.uint8(100))
    check(lambda n: n - 7, np.uint64(5))
    assert pickle.loads(pickle.dumps(go.compile(lambda n: n + 1)(np.uint16(65535)))) == 0
