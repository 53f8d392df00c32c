# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What holds under `fast_math`: see the option's description in gradopt.base.options.

Values differ by roundings, tests for NaN and infinities by nothing, and NaN stays where it is.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from budget import budget, generator
from harness import Array, compile_main
from ops import ELEMENTWISE, Elementwise
from test_elementwise_values import expected
from ulp import distance, samples, special_values

import gradopt as go
from gradopt.dialects import grad

pytestmark = pytest.mark.random
COUNT = budget(500)
# Beyond what each op may be off: a division becomes a product with a reciprocal, estimated and
# improved in single precision.
EXTRA_ULP = 3.0


def operands(row: Elementwise, dtype: str) -> list[Array]:
    """Random points whose reciprocals are in range, and combinations of special values."""
    rng = generator(11)
    kinds = ["?"] * row.conditions + [dtype] * (row.arity - row.conditions)
    random = [samples(kind, tuple(row.ranges), COUNT, rng) for kind in kinds]
    size = min(a.size for a in random)
    chosen = [rng.permutation(a)[:size] for a in random]
    special = itertools.product(*(special_values(kind) for kind in kinds))
    points = [np.concatenate(p) for p in zip(chosen, zip(*special, strict=True), strict=True)]
    points = [p.astype(kind) for p, kind in zip(points, kinds, strict=True)]
    usable = np.ones(points[0].size, bool)
    for p in points:
        if p.dtype.kind == "f":
            info = np.finfo(p.dtype)
            size_of = np.abs(p)
            usable &= ~((size_of > 0) & (size_of < 4 * info.tiny)) & ~(
                np.isfinite(p) & (size_of > 0.25 / info.tiny)
            )
    return [p[usable] for p in points]


@pytest.mark.parametrize("op", ELEMENTWISE)
def test_values_of_ops(op: str) -> None:
    row = ELEMENTWISE[op]
    inputs = {dtype: operands(row, dtype) for dtype in row.dtypes}
    flat = [a for group in inputs.values() for a in group]

    def body(*x: Any) -> list[Any]:
        groups = zip(*[iter(x)] * row.arity, strict=True)
        return [getattr(grad, op)(*group) for group in groups]

    results = compile_main([(a.shape, a.dtype) for a in flat], body, fast_math=True)(*flat)
    for group, got in zip(inputs.values(), results, strict=True):
        same, exact = expected(row, group)
        if got.dtype.kind != "f":
            np.testing.assert_array_equal(got, same)
        else:
            np.testing.assert_array_equal(np.isnan(got), np.isnan(same))
            error = np.minimum(distance(got, same), distance(got, exact))
            assert (error <= row.ulp + EXTRA_ULP).all(), op


SPECIAL = np.array([1.0, np.nan, np.inf, -np.inf, 0.0, -0.0, -2.5, 1e300])
TESTS: dict[str, Callable[[Any], Any]] = {
    "isnan": np.isnan,
    "isinf": np.isinf,
    "isfinite": np.isfinite,
    "of a result": lambda x: np.isnan(x - x),
    "of a square root": lambda x: np.isnan(np.sqrt(x)),
    "comparisons": lambda x: (x < 1, x <= 1, x == x, x != x, x > x[::-1]),
    "replaced": lambda x: np.where(np.isnan(x), 0.0, x),
    "nan_to_num": np.nan_to_num,
    "nansum": lambda x: np.nansum(x[:2]),
    "maximum": lambda x: np.maximum(x, 0.5),
    "fmax": lambda x: np.fmax(x, 0.5),
    "max": lambda x: (np.max(x), np.max(x[2:]), np.min(x[2:])),
    "clip": lambda x: np.clip(x, -1, 1),
    "argmax": lambda x: (np.argmax(x), np.argmax(x[2:])),
    "sum": np.sum,
    "sign": np.sign,
    "reciprocal root": lambda x: 1 / np.sqrt(abs(x)),
    "reciprocal root of float32": lambda x: 1 / np.sqrt(abs(x[:7].astype(np.float32))),
    "reciprocal": lambda x: 1 / x,
    "reciprocal of float32": lambda x: 1 / x[:7].astype(np.float32),
    "astype": lambda x: x.astype(np.int32),
}


@pytest.mark.parametrize("name", TESTS)
def test_nan_and_infinities_are_told_from_numbers(name: str) -> None:
    f = TESTS[name]
    with np.errstate(all="ignore"):
        expected = f(SPECIAL)
    actual = go.compile(f, fast_math=True)(SPECIAL)
    if not isinstance(expected, tuple):
        actual, expected = (actual,), (expected,)
    for a, e in zip(actual, expected, strict=True):
        np.testing.assert_array_equal(a, e)


def test_derivatives_of_nan_and_at_corners() -> None:
    x = np.array([1.0, np.nan, 2.0])
    assert np.isnan(go.compile_grad(np.max, fast_math=True)(x)).all()
    assert go.compile_grad(np.std, fast_math=True)(np.array([1.5])) == 0.0
    masked = go.compile_grad(lambda x: np.sum(np.where(np.isnan(x), 0.0, 2 * x)), fast_math=True)
    np.testing.assert_array_equal(masked(x), [2.0, 0.0, 2.0])


def layers(w: Any, v: Any, x: Any, y: Any) -> Any:
    h = np.tanh(x @ w)
    z = h @ v
    p = np.exp(z - np.max(z, axis=1, keepdims=True))
    p = p / np.sum(p, axis=1, keepdims=True)
    return np.mean((p - y) ** 2) + 0.01 * np.linalg.norm(w)


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-12), (np.float32, 1e-4)])
def test_a_network_has_the_values_and_gradients_it_has_without(
    dtype: Any, tolerance: float
) -> None:
    rng = generator(12)
    shapes = [(5, 8), (8, 3), (20, 5), (20, 3)]
    arguments = [rng.normal(size=shape) for shape in shapes]
    exact = go.compile_value_and_grad(layers, argnums=(0, 1))(*arguments)
    fast = go.compile_value_and_grad(layers, argnums=(0, 1), fast_math=True)
    value, gradients = fast(*(a.astype(dtype) for a in arguments))
    np.testing.assert_allclose(value, exact[0], tolerance)
    for got, want in zip(gradients, exact[1], strict=True):
        np.testing.assert_allclose(got, want, rtol=0, atol=tolerance * np.abs(want).max())
