# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Derivatives of NumPy functions, both modes, against finite differences of NumPy itself."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import special
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


def both_modes(f: Any, x: Any) -> tuple[Any, Any]:
    """The gradient of the sum of results, and the same from one tangent for each element."""
    forward = [
        np.sum(go.jvp(f, (x,), (unit.reshape(x.shape),))[1])
        for unit in np.eye(x.size, dtype=x.dtype)
    ]
    return go.grad(lambda x: np.sum(f(x)))(x), np.reshape(forward, x.shape)


EXTREMES = {
    "max": np.max,
    "min": np.min,
    "ptp": np.ptp,
    "norm inf": lambda x: np.linalg.norm(x, np.inf),
    "norm -inf": lambda x: np.linalg.norm(x, -np.inf),
    "maximum": lambda x: np.maximum(x[1:], x[:-1]),
    "clip": lambda x: np.clip(x, x[1], 9.0),
    "max of rows": lambda x: np.max(np.stack([x, x + 1]), axis=1),
    "initial": lambda x: np.max(x, initial=0.0),
}


@pytest.mark.parametrize("name", EXTREMES)
def test_extremes_of_nan(name: str) -> None:
    """What is NaN has no derivative, in either mode."""
    for gradient in both_modes(EXTREMES[name], np.array([1.0, np.nan, 2.0])):
        assert np.isnan(gradient).all()
    go.gradcheck(EXTREMES[name], (np.array([1.0, 1.5, 2.0]),), order=2)


@pytest.mark.parametrize("name", ["fmax", "fmin"])
def test_numbers_win_over_nan(name: str) -> None:
    x, y = np.array([1.0, np.nan, 2.0]), np.array([np.nan, 3.0, 5.0])
    dx, dy = go.grad(lambda x, y: np.sum(getattr(np, name)(x, y)), argnums=(0, 1))(x, y)
    first = name == "fmin"
    np.testing.assert_array_equal(dx, [1.0, 0.0, float(first)])
    np.testing.assert_array_equal(dy, [0.0, 1.0, float(not first)])


LENGTHS = {
    "std of one": (np.std, np.array([1.5])),
    "std of a number": (np.std, np.array(1.5)),
    "std of rows of one": (lambda x: np.std(x, axis=1), np.ones((3, 1))),
    "std of equals": (lambda x: np.std(x, axis=1), np.full((2, 3), 0.5)),
    "norm": (np.linalg.norm, np.zeros(3)),
    "norm 3": (lambda x: np.linalg.norm(x, 3), np.zeros(3)),
    "norms of rows": (lambda x: np.linalg.norm(x, axis=1), np.zeros((2, 3))),
    "Frobenius norm": (lambda x: np.linalg.norm(x, "fro"), np.zeros((2, 3))),
    "hypot": (lambda x: np.hypot(x, x), np.zeros(2)),
}


@pytest.mark.parametrize("name", LENGTHS)
def test_lengths_of_nothing(name: str) -> None:
    """At 0, where a length has a corner, its derivative is 0, as that of abs."""
    f, x = LENGTHS[name]
    for gradient in both_modes(f, x):
        np.testing.assert_array_equal(gradient, np.zeros_like(x))
    # Nor does it spoil what else is there.
    np.testing.assert_array_equal(go.grad(lambda x: np.sum(x**2) + np.sum(f(x)))(x), 2 * x)


def test_products_with_logarithms_at_zero() -> None:
    for f, y in ((special.xlogy, 2.0), (special.xlog1py, 1.0)):
        for mode in (
            lambda v, f=f, y=y: go.grad(lambda x: f(x, y))(v),
            lambda v, f=f, y=y: go.jvp(lambda x: f(x, y), (v,), (1.0,))[1],
        ):
            assert mode(0.0) == pytest.approx(np.log(2))
        assert go.grad(go.grad(f), argnums=1)(0.0, y) == pytest.approx(0.5)
