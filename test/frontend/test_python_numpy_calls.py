# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Calls of NumPy and of Python that NumPy's protocols do not dispatch, in functions as they stand."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import gradopt as go
from gradopt.errors import MutationError, TraceIndexError, UnsupportedError

X = np.linspace(-1, 1.3, 10)
P = np.abs(X) + 0.2
A = np.arange(12.0).reshape(3, 4) / 7 + 0.1
B = np.linspace(0.1, 2, 100).reshape(10, 10)
TABLE = [1.0, 2.0, 4.0]

clipped = np.vectorize(lambda v, low: v * v if v > low else -v * low)


@np.vectorize
def scaled(a, b=2.0):
    return a * b


def agrees(f: Callable[..., Any], *args: Any) -> Any:
    """Values and dtypes are NumPy's, derivatives those of differences."""
    compiled = go.compile(f)
    copies = [a.copy() if isinstance(a, np.ndarray) else a for a in args]
    wanted, found = f(*copies), compiled(*args)
    for want, got in zip(
        wanted if isinstance(wanted, tuple) else (wanted,),
        found if isinstance(found, tuple) else (found,),
        strict=True,
    ):
        np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-14)
        assert np.asarray(got).dtype == np.asarray(want).dtype
        assert np.shape(got) == np.shape(want)
    floats = [i for i, a in enumerate(args) if np.asarray(a).dtype == np.float64]
    if floats and np.asarray(wanted[0] if isinstance(wanted, tuple) else wanted).dtype == float:

        def total(*values: Any) -> Any:
            result = compiled(*values)
            parts = result if isinstance(result, tuple) else (result,)
            return sum([np.sum(part) for part in parts])

        go.gradcheck(total, args, argnums=tuple(floats))
    return compiled.lower(*args)


JOINED: dict[str, Callable[..., Any]] = {
    "r_": lambda x: np.r_[x, 1.0, x[0], x[::-1]],
    "r_ slices": lambda x: np.r_[0:5, x, 0:1:5j],
    "r_ rows": lambda x: np.r_[B, B * x],
    "c_": lambda x: np.c_[x, x * 2],
    "c_ matrix": lambda x: np.c_[B, x, np.ones(10)],
    "c_ slice": lambda x: np.c_[0:10, x],
    "vectorize": lambda x: clipped(x, 0.3),
    "vectorize broadcast": lambda x: clipped(x, x[:, None]),
    "vectorize default": lambda x: scaled(x) + scaled(x, b=3.0),
    "vectorize inside": lambda x: np.vectorize(lambda v: abs(v) if v < 0 else v**2)(x),
    "vectorize otypes": lambda x: np.vectorize(lambda v: 1 if v > 0 else 2, otypes=[float])(x) * x,
    "vectorize rows": lambda x: np.vectorize(lambda r: np.sum(r * r), signature="(n)->()")(B * x),
    "vectorize two": lambda x: np.vectorize(lambda v: (v, v * v))(x),
    "vectorize excluded": lambda x: np.vectorize(lambda v, p: p[0] * v, excluded=[1])(x, [2.0, 3]),
    "frompyfunc": lambda x: np.frompyfunc(lambda v: v * v if v > 0 else -v, 1, 1)(x).astype(float),
    "along rows": lambda x: np.apply_along_axis(lambda r: r / np.sum(r * r), 1, B * x),
    "along columns": lambda x: np.apply_along_axis(np.sum, 0, B * x),
    "along, others": lambda x: np.apply_along_axis(lambda r, k: r[:2] * k, 0, B * x, 3.0),
    "over axes": lambda x: np.apply_over_axes(np.sum, B * x, [0, 1]),
    "piecewise": lambda x: np.piecewise(x, [x < 0, x >= 0.5], [lambda v: -v, lambda v: v * v, 3.0]),
    "fromiter": lambda x: np.fromiter((v * 2 for v in x), dtype=float),
    "float64": lambda x: np.float64(x[0]) * np.int64(x[9] * 5) * np.float32(2),
    "logspace": lambda x: np.logspace(x[0], x[1], 5) + np.logspace(x[0], x[1], 5, base=2.0),
    "geomspace": lambda x: np.geomspace(x[8], x[9], 5),
    "item": lambda x: x[0].item() * 2 + x.item(3) + B.item(3, 2),
    "tolist": lambda x: np.array(x.tolist()[::2]) + sum(x.tolist()),
}


@pytest.mark.parametrize("name", JOINED)
def test_functions_of_numpy(name: str) -> None:
    agrees(JOINED[name], X)


UFUNC_METHODS: dict[str, Callable[..., Any]] = {
    "multiply.accumulate": lambda a: np.multiply.accumulate(a),
    "cumprod": lambda a: np.cumprod(a) + np.cumprod(a, axis=1).sum(),
    "maximum.accumulate": lambda a: np.maximum.accumulate(a * [1, -1, 2, 0.5], axis=1),
    "minimum.accumulate": lambda a: np.minimum.accumulate(a, axis=-1),
    "subtract.accumulate": lambda a: np.subtract.accumulate(a),
    "logaddexp.accumulate": lambda a: np.logaddexp.accumulate(a),
    "hypot.accumulate": lambda a: np.hypot.accumulate(a, 1),
    "accumulate of one": lambda a: np.hypot.accumulate(a[:1]),
    "subtract.reduce": lambda a: np.subtract.reduce(a),
    "logaddexp.reduce": lambda a: np.logaddexp.reduce(a, axis=None),
    "hypot.reduce": lambda a: np.hypot.reduce(a, axis=1, keepdims=True),
    "reduce with initial": lambda a: np.hypot.reduce(a, axis=(0, 1), initial=2.0),
    "add.reduceat": lambda a: np.add.reduceat(a, [0, 2, 1], axis=1),
    "multiply.reduceat": lambda a: np.multiply.reduceat(a, [0, 2]),
    "maximum.reduceat": lambda a: np.maximum.reduceat(a, [1, 0]),
    "outer": lambda a: np.multiply.outer(a, a[0]) + np.subtract.outer(a, [1.0, 2.0, 3, 4]),
    "accumulate integers": lambda a: np.multiply.accumulate((a * 7).astype(np.int32)),
}


@pytest.mark.parametrize("name", UFUNC_METHODS)
def test_methods_of_ufuncs(name: str) -> None:
    agrees(UFUNC_METHODS[name], A)


def test_methods_of_ufuncs_refuse() -> None:
    with pytest.raises(UnsupportedError, match="traced indices"):
        go.compile(lambda a, k: np.add.reduceat(a, k))(X, np.array([0, 3]))
    with pytest.raises(TraceIndexError, match=r"out-of-bounds in add\.reduceat"):
        go.compile(lambda a: np.add.reduceat(a, [0, 10]))(X)


def test_out_of_accumulate() -> None:
    def f(x):
        y = np.zeros(len(x))
        np.maximum.accumulate(x, out=y)
        np.multiply(y, x, y)
        return y

    agrees(f, X)


KEYWORDS: dict[str, Callable[..., Any]] = {
    "dtype": lambda x: np.multiply(x, 2, dtype=float),
    "narrower dtype": lambda x: np.add(x, 1, dtype=np.float32).astype(int),
    "dtype of integers": lambda x: np.add((x * 3.1).astype(np.int32), 1, dtype=float) * x,
    "casting": lambda x: np.add(x, 1.0, casting="no") + np.add(x, 1, casting="safe"),
    "unsafe": lambda x: np.add(x * 3, 1, dtype=np.int64, casting="unsafe"),
    "order": lambda x: np.add(B, x, order="F", subok=True)[1],
    "where": lambda x: np.where(x > 0, np.sqrt(x, where=x > 0), 0.0),
    "where out": lambda x: np.sqrt(x, out=np.zeros(10), where=x > 0),
}


@pytest.mark.parametrize("name", KEYWORDS)
@pytest.mark.filterwarnings("ignore:'where' used without 'out'")
def test_keywords_of_ufuncs(name: str) -> None:
    agrees(KEYWORDS[name], X)


@pytest.mark.parametrize(
    "f",
    [
        lambda x: np.add(x, 1, dtype=np.float32, casting="safe"),
        lambda x: np.add(x, (x * 2).astype(np.int32), casting="no"),
        lambda x: np.add(x, 1, dtype=np.int64),
    ],
)
def test_casts_that_numpy_refuses(f: Any) -> None:
    with pytest.raises(TypeError) as expected:
        f(X)
    with pytest.raises(TypeError) as found:
        go.compile(f)(X)
    assert str(expected.value) in str(found.value)


PYTHONS: dict[str, Callable[..., Any]] = {
    "sorted": lambda x: np.array(sorted(x * np.array([1, -1] * 5))),
    "sorted reverse": lambda x: np.array(sorted([x[3], x[1], x[2], 0.0], reverse=True)),
    "sorted by key": lambda x: np.array(sorted(x, key=lambda v: -v)) + sorted(x, key=abs)[0],
    "list.sort": lambda x: (lambda items: (items.sort(), np.array(items))[1])([*x[::-1]]),
    "min by key": lambda x: min(x, key=abs) + max(x, key=lambda v: v * v),
    "min of generators": lambda x: min(v * v for v in x) + max(v for v in x),
    "min default": lambda x: min([*x], default=0) + max([], default=x[0]),
    "sum start": lambda x: sum(x, 10.0) + sum([x, x]) + sum([*x], start=2.0),
    "any and all": lambda x: x * (2 if any(v > 1 for v in x) and all(v < 5 for v in x) else 3),
    "in": lambda x: x * (2 if x[0] in x and 7.5 not in x else 3),
    "in a list": lambda x: x * (2 if x[0] in [x[1], x[0]] else 3),
    "table": lambda x: x * TABLE[int(abs(x[9]) + 1)],
    "fsum": lambda x: math.fsum(x) + math.prod(x[:3]) + math.dist([x[0]], [x[1]]),
    "isclose": lambda x: x * (2 if math.isclose(x[0], x[0] + 1e-12) else 3),
    "remainder": lambda x: math.remainder(x[9], 0.3) + math.ldexp(x[9], 3) + math.erf(x[8]),
    "is_integer": lambda x: x * (2 if float(x[1]).is_integer() else 3),
    "reduce": lambda x: functools.reduce(lambda a, b: a * 0.5 + b, x),
    "accumulate": lambda x: np.array(list(itertools.accumulate(x))),
    "divmod and pow": lambda x: divmod(x[3], 0.3)[1] + pow(x[9], 2) + pow(2.0, x[0]),
    "next": lambda x: next(iter(x)) * 2,
}


@pytest.mark.parametrize("name", PYTHONS)
def test_functions_of_python(name: str) -> None:
    agrees(PYTHONS[name], X)


# -- What loops go through ---------------------------------------------------------------------


def through_ndindex(a):
    b = np.zeros(a.shape)
    for i, j in np.ndindex(a.shape):
        b[i, j] = a[i, j] ** 2 + i
    for index in np.ndindex(*a.shape):
        b[index] += a[index[::-1]]
    return b


def through_ndenumerate(a):
    s = 0.0
    for (i, j), v in np.ndenumerate(a):
        s += v * i * j
    return s


def through_product(a):
    s = 0.0
    for i, j in itertools.product(range(10), range(9, -1, -1)):
        s += a[i, j] * i
    for i, j in itertools.product(range(10), repeat=2):
        s = s * 0.9 + a[i, j]
    for v, w in itertools.product(a[0], a[:, 1]):
        s = s * 0.9 + v * w
    return s


def through_enumerate(a):
    s = 0.0
    for i, v in enumerate(a[0], start=5):
        s += i * v
    for i, (v, w) in enumerate(zip(a[0], reversed(a[1]), strict=False), -2):
        s = s * 0.9 + v * w * i
    for i in range(9, -1, -1):
        s = s * 0.9 + a[i, i]
    for v in a.flat:
        s = s * 0.9 + v
    for v in a[0, ::-1]:
        s = s * 0.9 + v
    return s


@pytest.mark.parametrize(
    "f", [through_ndindex, through_ndenumerate, through_product, through_enumerate]
)
def test_loops_are_rolled(f: Any) -> None:
    assert all(loop.is_rolled for loop in agrees(f, B).loops())


def test_products_of_traced_ranges() -> None:
    def f(x, k):
        b = np.zeros((10, 10))
        for i, j in np.ndindex(k[0], k[1]):
            b[i, j] = x[i] * x[j]
        for i, j in itertools.product(range(k[1]), range(2, k[2])):
            b[i, j] += x[i]
        return b

    for k in ([3, 4, 5], [0, 4, 1], [10, 10, 10]):
        agrees(f, X, np.array(k))


# -- Statements --------------------------------------------------------------------------------


def test_match_on_values() -> None:
    def f(x, k):
        match k:
            case 1:
                y = x
            case 2 | 3 if x[0] < 0:
                y = x * 2
            case n:
                y = x * n
        return y

    for k in range(5):
        agrees(f, X, k)


def test_while_that_assigns_in_its_condition() -> None:
    def f(x):
        i, s = 0, 0.0
        while (v := x[i]) < 1:
            s = s + v
            i = i + 1
        return s * v

    agrees(f, X)


class Private:
    def __init__(self, a):
        if a > 0:
            a = a * 2
        self.__a = a

    def __twice(self, x):
        return x * 2 if x[0] > 0 else x * self.__a

    def value(self, x):
        return self.__twice(x)


def test_private_names_of_classes() -> None:
    def f(x):
        return Private(x[9]).value(x) + Private(x[0]).value(-x)

    agrees(f, X)


@pytest.mark.parametrize(
    "f",
    [
        lambda x: np.mean([x, x * 2]),
        lambda x: np.max([x, x * 2], 0),
        lambda x: np.mean((x, x * 2), axis=0),
        lambda x: np.outer([np.sum(x), 1.0], x),
        lambda x: np.sum([np.max(x), 2.0]),
        lambda x: np.dot([x.sum(), 1.0], [2.0, 3.0]),
    ],
)
def test_lists_of_traced_values_where_there_is_nothing_else_to_rewrite(f: Any) -> None:
    x = np.array([3.0, 1.0, 2.5])
    np.testing.assert_allclose(go.compile(f)(x), f(x), rtol=1e-14)
    go.gradcheck(go.compile(lambda x: np.sum(f(x))), (x,))


@pytest.mark.parametrize(
    "f",
    [
        lambda x: np.full_like(A, x[0]),
        lambda x: np.insert(A, 1, x[0], axis=0),
        lambda x: np.interp(np.array([-1.0, 2.0]), np.arange(3.0), A[0, :3], left=x[0], right=x[1]),
        lambda x: np.nan_to_num(np.array([np.nan, 1.0]), nan=x[0]),
        lambda x: np.pad(A, 1, constant_values=x[0]),
        lambda x: np.roll(A, (5 * x[0] + 0.3).astype(int), 1) * x[1],
        lambda x: np.take(A, (2 * x - 0.1).astype(int), axis=1) * x,
        lambda x: np.trapezoid(A, dx=x[0]),
        lambda x: np.unwrap(9 * A, period=x[3] ** 2 + 1),
        lambda x: complex(x[0], x[1]) * 1j + complex(x[2]) + complex(2),
    ],
)
def test_concrete_arrays_with_traced_arguments(f: Any) -> None:
    """NumPy looks for traced values in the array alone."""
    agrees(f, P)
    go.gradcheck(f, (P,), order=2)


@pytest.mark.parametrize(
    "f",
    [
        lambda x: A.dot(x[:4]),
        lambda x: A.clip(x[0] - 1, x[1] + 0.1),
        lambda x: A.take((2 * x - 0.1).astype(int), axis=1) * x,
        lambda x: np.array([1, 0]).choose([x[:2], x[2:4]]),
        lambda x: A.compress(x[:4] > 0.5, axis=1).sum() * x[0],
        lambda x: X.searchsorted(x) * x,
    ],
)
def test_methods_of_concrete_arrays_with_traced_arguments(f: Any) -> None:
    agrees(f, P)
    go.gradcheck(f, (P,), order=2)


def test_concrete_arrays_are_not_written_to() -> None:
    with pytest.raises(MutationError, match="changes a concrete array"):
        go.compile(lambda x: A.put([0], x[0]))(P)


@pytest.mark.parametrize("x", [-1.0, 0.5, 2.0])
def test_piecewise_of_a_number(x):
    def f(x):
        return np.piecewise(x, [x < 0, x > 1], [-1.0, lambda v: v * v, lambda v: 3 * v])

    assert go.compile(f)(x) == f(np.asarray(x))
    slope = {-1.0: 0.0, 0.5: 3.0, 2.0: 4.0}[x]
    assert go.grad(lambda x: np.sum(f(x)))(x) == slope
