# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""`//`, `%`, fmod and divmod of floats: NumPy's to the last bit."""

from __future__ import annotations

import numpy as np
import pytest
from budget import generator
from ulp import Array

import gradopt as go


def pairs(dtype: str) -> tuple[Array, Array]:
    """Dividends and divisors whose quotients are below 2^53, and special values."""
    rng = generator(0)
    x = np.concatenate([rng.normal(size=20_000) * 10.0**k for k in (0, 3, 6, 12)])
    y = rng.choice([-1, 1], x.size) * 10 ** rng.uniform(-2, 1, x.size)
    tenths = rng.integers(-50, 50, (2, 20_000)) / 10
    values = [0.0, 1.0, 3.0, 6.0, 0.1, 1e6, 1e-30, np.inf]
    special = np.meshgrid(*[[*values, *(-v for v in values), np.nan]] * 2)
    a = np.concatenate([x, tenths[0], special[0].ravel()]).astype(dtype)
    b = np.concatenate([y, tenths[1], special[1].ravel()]).astype(dtype)
    with np.errstate(all="ignore"):
        small = ~(np.abs(a / b) > 2.0**52) | (b == 0) | ~np.isfinite(a)
    return a[small], b[small]


@pytest.mark.parametrize("dtype", ["f8", "f4"])
def test_values(dtype: str) -> None:
    x, y = pairs(dtype)

    def f(x: Array, y: Array) -> tuple[Array, ...]:
        return x // y, x % y, np.fmod(x, y), *np.divmod(x, y)

    with np.errstate(all="ignore"):
        expected = f(x, y)
    for got, want in zip(go.compile(f)(x, y), expected, strict=True):
        np.testing.assert_array_equal(got, want, strict=True)
        numbers = ~np.isnan(want)
        np.testing.assert_array_equal(np.signbit(got[numbers]), np.signbit(want[numbers]))


def test_derivatives() -> None:
    x, y = np.array([5.3, -7.7, 2.2, -1e-3]), np.array([2.0, 3.1, -0.7, 2.3])
    go.gradcheck(lambda x, y: (x % y, np.fmod(x, y), x // y), (x, y), order=2)
    assert go.grad(lambda x: x % np.inf)(1.0) == 1
