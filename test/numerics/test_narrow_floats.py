# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""float16 and bfloat16: stored narrow, calculated in float32, rounded once for each operation.

What a single operation of float32 rounds correctly has the bits of NumPy's float16 and of ml_dtypes.
Other values and derivatives are compared with float64, within bounds from the epsilon of the type.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest

import gradopt as go
from gradopt import errors

Array = np.ndarray[Any, Any]

F16 = np.dtype(np.float16)
BF16 = np.dtype(ml_dtypes.bfloat16)
both = pytest.mark.parametrize("dtype", [F16, BF16], ids=str)


def eps(dtype: Any) -> float:
    return float(ml_dtypes.finfo(dtype).eps)


def rounded(x: Any, dtype: Any) -> Array:
    """float64 numbers in the type, rounded once; ml_dtypes rounds twice."""
    x = np.asarray(x, np.float64)
    with np.errstate(all="ignore"):
        if dtype == F16:
            return x.astype(F16)
        _, exponent = np.frexp(x)
        unit = np.ldexp(1.0, np.maximum(exponent - 8, -133))
        whole = np.rint(x / unit) * unit
        return np.where(np.isfinite(x), whole, x).astype(np.float32).astype(BF16)


def patterns(dtype: Any) -> Array:
    """All numbers of the type."""
    return np.arange(65536, dtype=np.uint16).view(dtype)


def assert_same(got: Any, expected: Any, message: str = "") -> None:
    """Types and bits; any NaN is like another."""
    got, expected = np.asarray(got), np.asarray(expected)
    assert got.dtype == expected.dtype, message
    if got.dtype in (F16, BF16):
        wrong = got.view(np.uint16) != expected.view(np.uint16)
        wrong &= ~(np.isnan(got.astype("f4")) & np.isnan(expected.astype("f4")))
        assert not wrong.any(), (message, got[wrong][:5], expected[wrong][:5])
    else:
        np.testing.assert_array_equal(got, expected, err_msg=message)


def assert_close(got: Any, expected: Any, dtype: Any, units: float = 1.0) -> None:
    """`units` of the type's epsilon, relative to each element and to the largest one's 1/8."""
    expected = np.asarray(expected, np.float64)
    bound = units * eps(dtype) * (np.abs(expected) + np.max(np.abs(expected), initial=0) / 8)
    error = np.abs(np.asarray(got).astype(np.float64) - expected)
    assert (error <= bound).all(), (got, expected, np.max(error / np.maximum(bound, 1e-300)))


# -- Values ----------------------------------------------------------------------------------------

EXACT: dict[str, Callable[[Any], Any]] = {
    name: getattr(np, name)
    for name in (
        *("negative", "absolute", "sqrt", "square", "floor", "ceil", "rint", "trunc"),
        *("isnan", "isinf", "isfinite", "reciprocal"),
    )
} | {
    # ml_dtypes has -0 for -0.
    "sign": lambda x: np.sign(x) + x.dtype.type(0),
    "signbit": lambda x: np.signbit(np.where(x == x, x, x.dtype.type(1))),
    "x + x": lambda x: x + x,
    "x / x": lambda x: x / x,
    "x < 1": lambda x: x < x.dtype.type(1),
    "x == x": lambda x: x == x,
    "to bool": lambda x: x.astype(bool),
    "to float32": lambda x: x.astype(np.float32),
    "to float64": lambda x: x.astype(np.float64),
    "where": lambda x: np.where(np.isnan(x), x.dtype.type(2), x),
    "reversed": lambda x: x[::-1],
}
CLOSE: list[np.ufunc] = [
    *(np.exp, np.exp2, np.expm1, np.log, np.log2, np.log1p, np.sin, np.cos, np.tan, np.tanh),
    *(np.sinh, np.arcsin, np.arctan, np.arcsinh, np.arccosh, np.arctanh, np.cbrt),
]


@both
def test_all_numbers(dtype: Any) -> None:
    """Each number of the type through functions of one operand."""
    x = patterns(dtype)

    def every(x: Any) -> Any:
        return [f(x) for f in EXACT.values()], [f(x) for f in CLOSE]

    exact, close = go.compile(every)(x)
    with np.errstate(all="ignore"):
        for (name, f), got in zip(EXACT.items(), exact, strict=True):
            assert_same(got, f(x), name)
        for f, got in zip(CLOSE, close, strict=True):
            true = f(x.astype(np.float64))
            assert got.dtype == dtype
            # float32's error moves what is near to a tie; elsewhere the result is the nearest one.
            unit = np.where(np.isfinite(true), np.abs(true) * eps(dtype), 0)
            low, high = (rounded(true + s * 2e-3 * unit, dtype).astype("f8") for s in (-1, 1))
            value = got.astype("f8")
            inside = (np.minimum(low, high) <= value) & (value <= np.maximum(low, high))
            assert (inside | (np.isnan(true) & np.isnan(value))).all(), f.__name__


def signed(a: Any, b: Any) -> Any:
    """The signs of NaN are nobody's."""
    return np.copysign(a, np.where(b == b, b, b.dtype.type(1)))


@both
def test_two_operands(dtype: Any) -> None:
    rng = np.random.default_rng(1)
    special = np.array([0, -0.0, np.inf, -np.inf, np.nan, 1, -3, 6e-8, 65504, 1e-4], "f4")
    special = special.astype(dtype)
    a = np.concatenate([rng.permutation(patterns(dtype))[:5000], np.repeat(special, 10)])
    b = np.concatenate([rng.permutation(patterns(dtype))[:5000], np.tile(special, 10)])
    functions = [np.add, np.subtract, np.multiply, np.divide, signed]
    functions += [np.less, np.equal, np.not_equal, np.greater_equal]
    # Of 0 and -0 any may be the larger one.
    extremes = [np.maximum, np.minimum, np.fmax, np.fmin]

    def every(a: Any, b: Any) -> Any:
        return [f(a, b) for f in functions] + [f(a, b) + dtype.type(0) for f in extremes]

    with np.errstate(all="ignore"):
        for k, (got, true) in enumerate(zip(go.compile(every)(a, b), every(a, b), strict=True)):
            assert_same(got, true, str(k))


@both
def test_conversions(dtype: Any) -> None:
    """From float64 they round once: halves of a unit, and what is just beside them."""
    numbers = patterns(dtype)[:: 7 if dtype == F16 else 29].astype("f8")
    numbers = numbers[np.isfinite(numbers)]
    following = np.abs(numbers) * (1 + eps(dtype))
    ties = (np.abs(numbers) + np.where(numbers == 0, 0, following)) / 2
    wide = np.concatenate([numbers, *(ties * (1 + s * 2.0**-48) for s in (-1, 0, 1))])
    wide = np.concatenate([wide, -wide, [1e300, 65519.99999999, 65520.0, 1e-300, np.inf, np.nan]])
    integers = np.array([0, 1, -1, 2049, 2051, 65519, 65520, -70000, 2**24 + 1, 2**31 - 1])
    small = np.array([0, 1, 127, -128], np.int8)
    other = BF16 if dtype == F16 else F16

    def every(wide: Any, single: Any, integers: Any, small: Any, narrow: Any) -> Any:
        return (
            [wide.astype(dtype), single.astype(dtype), integers.astype(dtype)],
            [small.astype(dtype), (small > 0).astype(dtype), narrow.astype(other).astype("f4")],
            [narrow.astype(t) for t in (np.int64, np.int16, np.uint8, np.complex64)],
        )

    narrow = np.array([0, 1.5, -2.75, 100, -0.0], "f4").astype(dtype)
    single = wide.astype("f4")
    with np.errstate(all="ignore"):
        floats, others, back = go.compile(every)(wide, single, integers, small, narrow)
        assert_same(floats[0], rounded(wide, dtype))
        assert_same(floats[1], single.astype(dtype))
        assert_same(floats[2], integers.astype("f4").astype(dtype))
        if dtype == F16:
            assert_same(floats[2], integers.astype(dtype))
        assert_same(others[0], small.astype(dtype))
        assert_same(others[1], (small > 0).astype(dtype))
        assert_same(others[2], narrow.astype("f4").astype(other).astype("f4"))
        for got, kind in zip(back, (np.int64, np.int16, np.uint8, np.complex64), strict=True):
            assert_same(got, narrow.astype("f4").astype(kind))


@both
def test_sums_and_products_have_float32_in_between(dtype: Any) -> None:
    rng = np.random.default_rng(2)
    x = rng.uniform(0.5, 1, (40, 300)).astype(dtype)
    w = rng.normal(size=(300, 30)).astype(dtype)
    many = np.full(20000, 0.1).astype(dtype)
    large = np.full(3, 60000).astype(dtype)

    def every(x: Any, w: Any, many: Any, large: Any) -> Any:
        return (
            [
                np.dot(x, w),
                np.dot(x[0], x[1]),
                np.sum(x, axis=0),
                np.mean(x, axis=1),
                np.var(x, axis=1),
            ],
            [np.sum(many), np.mean(large), np.std(large), x @ w],
            [np.cumsum(x[0]), np.prod(x[0, :8]), np.max(x, axis=1), np.argmax(x, axis=1)],
        )

    products, sums, others = go.compile(every)(x, w, many, large)
    X, W = x.astype("f8"), w.astype("f8")
    expected = [X @ W, X[0] @ X[1], X.sum(0), X.mean(1), X.var(1)]
    for got, true in zip(products, expected, strict=True):
        assert got.dtype == dtype
        assert_close(got, true, dtype, 0.51)
    total = many.astype("f8").sum()
    for got, true in zip(sums[:3], [total, large.astype("f8").mean(), 0], strict=True):
        assert np.asarray(got).dtype == dtype
        assert_close(got, true, dtype, 0.51)
    # Of bfloat16, NumPy's matmul makes float32.
    assert sums[3].dtype == (x @ w).dtype
    assert_close(sums[3], X @ W, dtype, 0.51)
    assert_close(others[0], np.cumsum(X[0]), dtype, 0.51)
    assert_close(others[1], np.prod(X[0, :8]), dtype, 0.51)
    assert_same(others[2], np.max(x, axis=1))
    assert_same(others[3], np.argmax(X, axis=1))


@both
def test_data_movement(dtype: Any) -> None:
    """Arrays are indexed, sorted, written to and put together as NumPy does it."""
    rng = np.random.default_rng(3)
    x = rng.normal(size=(5, 6)).astype(dtype)
    i = np.array([3, 0, 3, 4])

    def every(x: Any, i: Any) -> Any:
        y = x.copy()
        y[1] = x[2]
        y[i, 2] = x[0, 0]
        y[:, 3] += x[:, 4]
        added = x[:, 0].copy()
        np.add.at(added, i, x[0, 1])
        return (
            [x[i], np.take(x, i, axis=1), x.T, np.concatenate([x, x[:1]]), np.stack([x[0], x[1]])],
            [y, added, np.sort(x, axis=1), np.argsort(x[0]), np.pad(x, 1), np.roll(x, 2, axis=0)],
            [np.where(x > x[0], x, x[1]), np.minimum(x[1], x[2]), x.reshape(3, 10)[:, ::-2]],
        )

    for got, expected in zip(go.compile(every)(x, i), every(x, i), strict=True):
        for k, (a, b) in enumerate(zip(got, expected, strict=True)):
            assert_same(a, b, str(k))


def test_types_of_results_are_those_of_numpy() -> None:
    f = np.ones(3, F16)
    b = np.ones(3, BF16)
    small, single = np.ones(3, np.int8), np.ones(3, np.float32)

    def every(f: Any, b: Any, small: Any, single: Any) -> Any:
        mixed = [x + y for x in (f, b) for y in (small, single, True, 2)]
        return [
            *mixed,
            f * 1.5,
            2 / f,
            b * 1.5,
            np.sin(small),
            np.sqrt(f),
            f + f[0],
            np.round(f > 0),
        ]

    got = go.compile(every)(f, b, small, single)
    for k, (a, e) in enumerate(zip(got, every(f, b, small, single), strict=True)):
        assert_same(a, e, str(k))
    with pytest.raises(errors.DTypeError, match="no common dtype of bfloat16, int64"):
        go.compile(lambda b: np.concatenate([b, np.arange(3)]))(b)


# -- Derivatives -----------------------------------------------------------------------------------

# Functions of order 1 on (0.2, 0.9), with their first and second derivatives.
SMOOTH: dict[str, tuple[Callable[[Any], Any], ...]] = {
    "exp": (np.exp, np.exp, np.exp),
    "tanh": (
        np.tanh,
        lambda x: 1 - np.tanh(x) ** 2,
        lambda x: -2 * np.tanh(x) * (1 - np.tanh(x) ** 2),
    ),
    "sqrt": (np.sqrt, lambda x: 0.5 / np.sqrt(x), lambda x: -0.25 * x**-1.5),
    "log": (np.log, lambda x: 1 / x, lambda x: -1 / x**2),
    "sin": (np.sin, np.cos, lambda x: -np.sin(x)),
    "reciprocal": (np.reciprocal, lambda x: -(x**-2.0), lambda x: 2 * x**-3.0),
    "x * x * x": (lambda x: x * x * x, lambda x: 3 * x * x, lambda x: 6 * x),
    "x / (1 + x)": (
        lambda x: x / (x + x.dtype.type(1)),
        lambda x: (1 + x) ** -2.0,
        lambda x: -2 * (1 + x) ** -3.0,
    ),
    "arctan": (np.arctan, lambda x: 1 / (1 + x * x), lambda x: -2 * x / (1 + x * x) ** 2),
}


@both
def test_derivatives_of_functions(dtype: Any) -> None:
    """Forward, reverse and second order: rules calculate in float32."""
    x = np.linspace(0.2, 0.9, 9).astype(dtype)
    one = np.ones_like(x)

    def every(x: Any, one: Any) -> Any:
        results: list[Any] = []
        for f, _, _ in SMOOTH.values():
            slope = go.grad(lambda x, f=f: np.sum(f(x)))
            forward = go.jvp(f, (x,), (one,))[1]
            results.append((f(x), slope(x), forward, go.jvp(slope, (x,), (one,))[1]))
        return results

    X = x.astype("f8")
    for (name, exact), got in zip(SMOOTH.items(), go.compile(every)(x, one), strict=True):
        for order, result in zip((0, 1, 1, 2), got, strict=True):
            assert result.dtype == dtype, name
            true = exact[order](X)
            # The factors of a second derivative may be rounded results, three of them.
            bound = (1 if order == 0 else 4) * eps(dtype) * (np.abs(true) + (order > 0))
            assert (np.abs(result.astype("f8") - true) <= bound).all(), (name, order)


def layers(params: Any, x: Any, y: Any) -> Any:
    hidden = np.tanh(np.dot(x, params["w"]) + params["b"])
    return np.mean(np.square(np.dot(hidden, params["v"]) - y))


def slopes(params: Any, x: Any, y: Any) -> Any:
    """The gradient of `layers`, by hand."""
    hidden = np.tanh(x @ params["w"] + params["b"])
    error = 2 * (hidden @ params["v"] - y) / y.size
    inner = np.outer(error, params["v"]) * (1 - hidden**2)
    return {"w": x.T @ inner, "b": inner.sum(0), "v": hidden.T @ error}


@both
def test_gradients_of_layers(dtype: Any) -> None:
    """In the type itself, and with float32 weights of which the layers see rounded ones."""
    rng = np.random.default_rng(4)
    shapes = {"w": (6, 8), "b": (8,), "v": (8,)}
    master = {k: rng.normal(size=s, scale=0.5).astype("f4") for k, s in shapes.items()}
    x, y = rng.normal(size=(64, 6)).astype(dtype), rng.normal(size=64).astype(dtype)

    def mixed(master: Any, x: Any, y: Any) -> Any:
        return layers({k: p.astype(dtype) for k, p in master.items()}, x, y)

    narrow = {k: p.astype(dtype) for k, p in master.items()}
    true = slopes({k: p.astype("f8") for k, p in narrow.items()}, x.astype("f8"), y.astype("f8"))
    for loss, params, kind in ((layers, narrow, dtype), (mixed, master, np.dtype("f4"))):
        value, gradient = go.compile_value_and_grad(loss)(params, x, y)
        assert np.asarray(value).dtype == dtype
        for key, found in gradient.items():
            assert found.dtype == kind, key
            assert_close(found, true[key], dtype, 8)


def test_small_cotangents_do_not_vanish() -> None:
    """Between operations they are float32: 1e-9 is no number of float16."""
    x = np.linspace(1, 2, 1000).astype(F16)
    weight = np.float32(1e-3)

    def loss(weight: Any, x: Any) -> Any:
        scaled = x * weight.astype(F16) * F16.type(2.0**-10)
        return np.mean(np.tanh(scaled) * F16.type(2.0**-6))

    gradient = go.compile_grad(loss)(weight, x)
    true = np.mean(x.astype("f8")) * 2.0**-16
    assert gradient.dtype == np.float32
    assert abs(gradient - true) <= 4 * eps(F16) * true


@both
def test_what_loops_add_up(dtype: Any) -> None:
    """A weight that 2,000 iterations use has a float32 sum of cotangents, rounded once."""
    xs = np.linspace(0.5, 1, 2000).astype(dtype)
    w = np.asarray(0.5).astype(dtype)

    def loss(w: Any, xs: Any) -> Any:
        def step(i: Any, total: Any) -> Any:
            return total + np.tanh(w * xs[i]).astype(np.float32)

        return go.fori_loop(0, 2000, step, np.float32(0))

    value, gradient = go.compile_value_and_grad(loss)(w, xs)
    X, W = xs.astype("f8"), float(w)
    assert_close(value, np.tanh(W * X).sum(), dtype)
    assert gradient.dtype == dtype
    assert_close(gradient, (X * (1 - np.tanh(W * X) ** 2)).sum(), dtype, 2)


def test_what_is_kept_for_derivatives_is_narrow() -> None:
    """A loop keeps its states, and results that rules read, in half the memory of float32."""

    def loss(x: Any) -> Any:
        return np.sum(go.fori_loop(0, 50, lambda _, h: np.tanh(h + x), x))

    sizes = [
        go.compile_grad(loss).lower(np.zeros(1000, kind)).memory().arena
        for kind in (F16, BF16, np.float32)
    ]
    assert sizes[0] == sizes[1] <= 0.55 * sizes[2], sizes


@both
def test_states_of_loops_and_branches(dtype: Any) -> None:
    """What a loop carries is stored narrow, and rounded in each iteration."""
    x = np.linspace(0.1, 1, 7).astype(dtype)

    def f(x: Any) -> Any:
        state = x
        for _ in range(5):
            state = np.sin(state) + x
        if np.sum(state) > 3:
            state = state * x
        return np.sum(state)

    def by_numpy(x: Any, kind: Any) -> Any:
        state = x
        for _ in range(5):
            state = (np.sin(state) + x).astype(kind)
        return state

    value, gradient = go.compile_value_and_grad(f)(x)
    state = by_numpy(x, dtype).astype("f8")
    X = x.astype("f8")
    assert_close(value, (state * X).sum(), dtype, 2)
    slope, at = np.ones(7), X
    for _ in range(5):
        slope, at = np.cos(at) * slope + 1, np.sin(at) + X
    assert_close(gradient, slope * X + at, dtype, 8)


@both
def test_batches_and_jacobians(dtype: Any) -> None:
    x = np.linspace(-1, 1, 6).reshape(2, 3).astype(dtype)

    def f(x: Any) -> Any:
        return np.tanh(x) * x[0]

    def every(x: Any) -> Any:
        return (
            go.vmap(go.jacrev(f))(x),
            go.vmap(go.jacfwd(f))(x),
            go.hessian(lambda x: f(x)[1])(x[0]),
        )

    X = x.astype("f8")
    tangent = 1 - np.tanh(X) ** 2
    true = np.stack([np.diag(t * v[0]) for t, v in zip(tangent, X, strict=True)])
    true[:, :, 0] += np.tanh(X)
    reverse, forward, hessian = go.compile(every)(x)
    second = np.zeros((3, 3))
    second[0, 1] = second[1, 0] = tangent[0, 1]
    second[1, 1] = -2 * np.tanh(X[0, 1]) * tangent[0, 1] * X[0, 0]
    for got, expected in ((reverse, true), (forward, true), (hessian, second)):
        assert got.dtype == dtype
        assert_close(got, expected, dtype, 8)
    assert go.gradcheck(lambda x: np.sum(f(x) * x), (x[0] + x.dtype.type(2),))


# -- At the border ---------------------------------------------------------------------------------


@both
def test_arguments_and_results(dtype: Any, tmp_path: Path) -> None:
    table = np.arange(4).astype(dtype)

    def f(x: Any) -> Any:
        return x * x + table, np.sum(x)

    compiled = go.compile(f)
    x = np.linspace(-2, 2, 8).astype(dtype)
    for view in (x[:4], x[::2], x[::-2], np.asfortranarray(x[:4])):
        vector, total = compiled(view)
        assert_same(vector, view * view + table)
        assert np.asarray(total).dtype == dtype
    if dtype == F16:
        assert_same(compiled(x[:4].astype(">f2"))[0], x[:4] * x[:4] + table)
    scalar = go.compile(lambda a: a + a)(x[0])
    assert_same(scalar, x[0] + x[0])
    step = go.compile(lambda x: x + x, donate_argnums=0)
    given = x.copy()
    assert_same(step(given), x + x)

    def callback(x: Any) -> Any:
        return go.pure_callback(lambda v: -v, x, x)

    assert_same(go.compile(callback)(x), -x)
    # A level of CPUs that has no instructions for float16.
    path = tmp_path / "narrow.bundle"
    wide = np.concatenate([patterns(dtype).astype("f8"), [1 + 2.0**-11, 1 + 2.0**-8 + 2.0**-40]])
    both_ways = go.compile(lambda x, wide: (x.astype("f4"), wide.astype(dtype), x + x))
    numbers = patterns(dtype)
    go.save(both_ways.lower(numbers, wide), path, cpu=["x86-64-v2"])
    with np.errstate(all="ignore"):
        single, narrow, doubled = go.load(path)(numbers, wide)
        assert_same(single, numbers.astype("f4"))
        assert_same(narrow, rounded(wide, dtype))
        assert_same(doubled, numbers + numbers)


def test_long_programs() -> None:
    """Lists of commands, which move and copy narrow arrays too."""
    x = np.linspace(0, 1, 32).astype(F16)

    def f(x: Any) -> Any:
        parts = []
        for k in range(40):
            x = np.sort(np.sin(x + x[k % 32]))[::-1]
            parts.append(x[k % 32])
        return x, np.stack(parts)

    for got, expected in zip(go.compile(f)(x), f(x), strict=True):
        assert got.dtype == F16
        assert_close(got, expected, F16, 40)


@both
def test_fourier_transforms_are_complex64(dtype: Any) -> None:
    x = np.arange(6).astype(dtype)
    for got in go.compile(lambda x: (np.fft.fft(x), np.fft.rfft(x)))(x):
        assert got.dtype == np.complex64
        np.testing.assert_allclose(got, np.fft.fft(np.arange(6.0))[: len(got)], atol=1e-5)


def test_what_numpy_has_not_in_narrow_types() -> None:
    x = np.eye(3, dtype=F16)
    with pytest.raises(errors.DTypeError, match="float16 is unsupported in linalg"):
        go.compile(np.linalg.inv)(x)
    with pytest.raises(errors.UnsupportedError, match="draw them as float32"):
        go.compile(lambda key: go.random.uniform(key, (3,), np.float16))(go.random.key(0))


@both
def test_training_keeps_the_type(dtype: Any) -> None:
    """Weights of layers and their optimiser's state stay narrow."""
    model = go.nn.Sequential(go.nn.Linear(3, 4), np.tanh, go.nn.Linear(4, 1))
    weights = go.compile(lambda key: model.init(key))(go.random.key(0))
    optimizer = go.optim.sgd(0.1)
    rng = np.random.default_rng(5)
    x = rng.normal(size=(16, 3)).astype(dtype)
    y = x[:, :1] - x[:, 1:2]

    def narrowed(tree: Any) -> Any:
        if isinstance(tree, dict):
            return {k: narrowed(v) for k, v in tree.items()}
        if isinstance(tree, (list, tuple)):
            return type(tree)(narrowed(v) for v in tree)
        return tree.astype(dtype)

    def step(weights: Any, state: Any, x: Any, y: Any) -> Any:
        def loss(weights: Any) -> Any:
            return np.mean(np.square(model(weights, x) - y))

        value, grads = go.value_and_grad(loss)(weights)
        updates, state = optimizer.update(grads, state, weights)
        return value, go.optim.apply_updates(weights, updates), state

    weights = narrowed(weights)
    state = optimizer.init(weights)
    compiled = go.compile(step)
    values = []
    for _ in range(30):
        value, weights, state = compiled(weights, state, x, y)
        values.append(float(value))
    kinds = {np.asarray(leaf).dtype for leaf in (weights["0"]["w"], weights["2"]["b"])}
    assert kinds == {dtype}
    assert values[-1] < 0.3 * values[0]


def test_the_package_of_bfloat16_is_not_imported() -> None:
    code = "import sys, gradopt, numpy; gradopt.compile(lambda x: x)(numpy.ones(2, 'f2'));"
    code += "assert 'ml_dtypes' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
