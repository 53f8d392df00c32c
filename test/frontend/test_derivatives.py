# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Derivatives of NumPy functions, both modes, against finite differences of NumPy itself."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from test_functions import BINARY, CASES, POSITIVE, UNARY, P, V, W

import gradopt as go

# Cases whose results are not floats, or that are not differentiable where they are evaluated;
# astype goes through float32.
NOT_DIFFERENTIABLE = {
    "any_all",
    "arg",
    "astype",
    "divmod_infinite",
    "isclose",
    "max_nan",
    "nan_to_num",
    "nansum",
    "special_divmod",
    "tests_of_infinities",
}
# Loops over elements, each a program of its own: enough to check each formula once.
FLOAT_CASES = [
    name
    for name, (_, args) in CASES.items()
    if name not in NOT_DIFFERENTIABLE and any(np.asarray(a).dtype == np.float64 for a in args)
]


@pytest.mark.parametrize("name", FLOAT_CASES)
def test_function(name: str) -> None:
    function, args = CASES[name]
    go.gradcheck(function, args, rtol=1e-5, atol=1e-6)


FLOAT_UFUNCS = [
    name
    for name in UNARY + BINARY + POSITIVE
    if np.dtype(np.asarray(getattr(np, name)(*(P,) * getattr(np, name).nin)).dtype).kind == "f"
]


@pytest.mark.parametrize("name", FLOAT_UFUNCS)
def test_ufunc(name: str) -> None:
    ufunc = getattr(np, name)
    args: tuple[Any, ...] = (P,) if name in POSITIVE else (V, W)[: ufunc.nin]
    go.gradcheck(lambda *values: ufunc(*values), args, rtol=1e-5, atol=1e-6)


def test_second_order() -> None:
    def f(x: Any, y: Any) -> Any:
        return (
            np.hypot(x, y),
            np.logaddexp(x, y),
            np.sinc(x),
            np.linalg.norm(x),
            np.var(x * y),
            np.einsum("i,j->ij", x, y).sum(0),
            x**3 / (1 + y**2),
            np.convolve(x, y[:3], "same"),
            np.prod(x),
        )

    go.gradcheck(f, (V, W), order=2, rtol=1e-5, atol=1e-6)


def test_ties_share_the_derivative() -> None:
    x = np.array([1.0, 3.0, 3.0])
    np.testing.assert_array_equal(go.grad(np.max)(x), [0, 0.5, 0.5])
    np.testing.assert_array_equal(go.grad(lambda v: np.sum(np.maximum(v, 3.0)))(x), [0, 0.5, 0.5])
    np.testing.assert_array_equal(go.grad(lambda v: np.sum(abs(v)))(x * 0), [0, 0, 0])
    np.testing.assert_array_equal(go.grad(np.prod)(np.array([0.0, 2.0, 3.0])), [6, 0, 0])
    np.testing.assert_array_equal(go.grad(np.prod)(np.array([0.0, 0.0, 3.0])), [0, 0, 0])
