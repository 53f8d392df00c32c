# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Medians, quantiles and percentiles by all methods, against NumPy, and their derivatives."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from test_breadth import agrees, same

import gradopt as go
from gradopt import errors

RNG = np.random.default_rng(22)
X = RNG.permutation(np.linspace(-2, 3, 60)).reshape(3, 4, 5)
HOLES = np.where(RNG.random(X.shape) < 0.3, np.nan, X)
HOLES[1, 2] = np.nan
METHODS = [
    *("inverted_cdf", "averaged_inverted_cdf", "closest_observation", "interpolated_inverted_cdf"),
    *("hazen", "weibull", "linear", "median_unbiased", "normal_unbiased"),
    *("lower", "higher", "midpoint", "nearest"),
]
LEVELS = np.array([0.0, 0.05, 0.2, 0.25, 0.5, 0.55, 0.7, 0.99, 1.0])
AXES = [None, 0, -1, (0, 2), (2, 1), (0, 1, 2)]
quiet = pytest.mark.filterwarnings("ignore::RuntimeWarning")


# -- Medians -----------------------------------------------------------------------------------


@quiet
@pytest.mark.parametrize("axis", AXES)
@pytest.mark.parametrize("name", ["median", "nanmedian"])
def test_medians(name: str, axis: Any) -> None:
    f = getattr(np, name)
    for x in (
        X[:2, :3],
        X[..., :4],
        HOLES,
        X[:1, :1, :1],
        (X * 10).astype("i1"),
        X > 0,
    ):
        agrees(lambda x: (f(x, axis), f(x, axis=axis, keepdims=True)), x)


@quiet
@pytest.mark.parametrize("name", ["median", "nanmedian"])
def test_medians_of_little(name: str) -> None:
    f = getattr(np, name)
    for x in (np.zeros(0), np.zeros((0, 3)), np.zeros((3, 0)), np.array(3.0), np.array([np.nan])):
        agrees(lambda x: f(x), x, order=0)
    agrees(lambda x: f(x, 0), np.zeros((0, 3)), order=0)
    agrees(lambda x: f(x, 1), np.zeros((3, 0)), order=0)
    agrees(lambda z: f(z, 0), X[0] + 1j * X[1], order=0)


def test_gradient_of_medians() -> None:
    x = np.array([3.0, 1.0, 2.0, 7.0])
    np.testing.assert_array_equal(go.compile_grad(lambda x: np.median(x))(x), [0.5, 0, 0.5, 0])
    np.testing.assert_array_equal(go.compile_grad(lambda x: np.median(x))(x[:3]), [0, 0, 1])
    # In their order, of equal ones those in the middle.
    tied = np.array([1.0, 2.0, 2.0, 2.0, 5.0])
    np.testing.assert_array_equal(go.compile_grad(lambda x: np.median(x))(tied), [0, 0, 1, 0, 0])
    missing = np.array([np.nan, 4.0, np.nan, 2.0])
    gradient = go.compile_grad(lambda x: np.nanmedian(x))(missing)
    np.testing.assert_array_equal(gradient, [0, 0.5, 0, 0.5])


# -- Quantiles ---------------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 20])
def test_methods(method: str, size: int) -> None:
    x = X.ravel()[:size]
    levels = (LEVELS, 0.55, 1, [[0.1, 0.9]], LEVELS.astype("f"))

    # Levels that are known, and those that are so at run time only.
    def all_levels(x: Any, levels_then: Any, level_then: Any) -> Any:
        then = levels_then, level_then
        return tuple([np.quantile(x, q, method=method) for q in (*levels, *then)])

    same(go.compile(all_levels)(x, LEVELS, 0.3), all_levels(x, LEVELS, 0.3))
    if size in (2, 5):
        for other in (x.astype("f"), (10 * x).astype(np.int32)):
            then = LEVELS.astype("f"), np.float32(0.3)
            same(go.compile(all_levels)(other, *then), all_levels(other, *then))
    if size == 20:
        percents = [np.multiply(q, 100) for q in levels]
        agrees(lambda x: tuple([np.percentile(x, q, method=method) for q in percents]), x, order=0)
    if size in (4, 5):
        agrees(lambda x: np.quantile(x, [0.31, 0.66], method=method), x)


@pytest.mark.parametrize("axis", AXES)
@pytest.mark.parametrize("name", ["quantile", "percentile", "nanquantile", "nanpercentile"])
def test_axes(name: str, axis: Any) -> None:
    f, scale = getattr(np, name), 100 if "percentile" in name else 1
    # NumPy's functions without NaN give levels of two dimensions another shape.
    tables = [] if "nan" in name else [np.array([[0.5], [0.7]])]
    levels = [np.multiply(q, scale) for q in (0.3, [0.1, 0.8], *tables)]
    # Percentiles are quantiles of other numbers.
    order = 0 if "percentile" in name else 1
    agrees(lambda x: tuple([f(x, q, axis) for q in levels]), X, order=order)
    keep: Any = {"axis": axis, "keepdims": True, "method": "hazen"}
    same(go.compile(lambda x: f(x, levels[1], **keep))(X), f(X, levels[1], **keep))


@quiet
@pytest.mark.parametrize("method", METHODS)
def test_nan(method: str) -> None:
    for x in (HOLES, HOLES[:1, 0, :1], np.full(3, np.nan)):
        # Of NaN alone, NumPy's results have another dtype.
        levels = (0.4, [0.0, 0.35, 1.0]) if x.size > 10 else (0.4, 0.7)

        def f(x: Any, *then: Any) -> Any:
            known = [
                (
                    np.quantile(x, q, axis=0, method=method),
                    np.nanquantile(x, q, axis=-1, method=method),
                    np.nanpercentile(x, q, method=method),
                )
                for q in levels  # noqa: B023
            ]
            return known, [np.nanquantile(x, q, axis=0, method=method) for q in then]

        then = tuple([np.array(q) for q in levels])
        same(go.compile(f)(x, *then), f(x, *then))
        if x is HOLES:
            single = x.astype("f")
            same(go.compile(f)(single), f(single))


def test_derivatives() -> None:
    def f(x: Any, q: Any) -> Any:
        return np.quantile(x * x * x, q, axis=1) * np.median(x)

    agrees(f, X, np.array([0.15, 0.62]), order=2)
    agrees(lambda x, q: np.percentile(x, q, method="weibull"), X, 37.0, order=2)

    def g(x: Any) -> Any:
        return np.nansum(np.nanquantile(np.where(np.isnan(HOLES), np.nan, x**3), 0.4, axis=0))

    go.gradcheck(g, (X,), order=2)


def test_the_gradient_touches_few_elements() -> None:
    """It is one scatter of two elements, not of all."""
    lowered = go.compile_value_and_grad(lambda x: np.quantile(x, 0.3)).lower(np.zeros(1000))
    text = lowered.mlir("simplified")
    assert "tensor<1000xf64>, tensor<2x1xi64>, tensor<2xf64>" in text
    assert text.count("grad.sort ") == 1


def test_weights() -> None:
    w = np.abs(np.round(RNG.normal(size=X.shape), 1))
    w[0, 0, 0] = 0
    levels = (0.3, LEVELS, np.float32(0.4), 0, 1)

    def weighted(x: Any, w: Any) -> Any:
        rest: Any = {"weights": w, "method": "inverted_cdf"}
        return [np.quantile(x, q, **rest) for q in levels], [
            np.percentile(x, np.multiply(q, 100), axis=axis, **rest)
            for q in levels[:2]
            for axis in (0, 2, (0, 1))
        ]

    agrees(weighted, X, w, order=0)
    along = np.array([0.0, 1.0, 2.0, 1.0])
    agrees(lambda x: np.quantile(x, 0.4, axis=1, weights=along, method="inverted_cdf"), X)
    both = np.abs(RNG.normal(size=(4, 3)))
    agrees(lambda x: np.quantile(x, 0.4, axis=(1, 0), weights=both, method="inverted_cdf"), X)
    with np.errstate(all="ignore"):
        agrees(
            lambda x: np.nanquantile(x, [0.2, 0.9], axis=1, weights=w + 1, method="inverted_cdf"),
            HOLES,
        )


def test_in_maps_and_loops() -> None:
    rows = X.reshape(12, 5)
    np.testing.assert_allclose(go.vmap(np.median)(rows), np.median(rows, 1))
    levels = np.linspace(0, 1, 12)
    got = go.vmap(lambda x, q: np.quantile(x, q))(rows, levels)
    np.testing.assert_allclose(got, [np.quantile(x, q) for x, q in zip(rows, levels, strict=True)])

    def f(x: Any) -> Any:
        for _ in range(5):
            x = np.sin(3 * x) - np.median(x, axis=0) + np.quantile(x, 0.2)
        return x

    agrees(f, rows)


# -- Errors ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("f", "kind", "text"),
    [
        (lambda x: np.quantile(x, 1.5), errors.ElementError, r"in the range \[0, 1\]"),
        (lambda x: np.quantile(x, np.nan), errors.ElementError, r"in the range \[0, 1\]"),
        (lambda x: np.quantile(x, x[0, 0, 0] * 0 + 2), errors.ElementError, r"the range \[0, 1\]"),
        (lambda x: np.percentile(x, -1), errors.ElementError, r"in the range \[0, 100\]"),
        (lambda x: np.quantile(x, 0.5, method="best"), errors.KeywordError, "not a valid method"),
        (lambda x: np.quantile(x, [[[0.5]]]), errors.ShapeError, "scalar or 1d"),
        (lambda x: np.quantile(x * 1j, 0.5), errors.DTypeError, "real numbers"),
        (lambda x: np.quantile(x[:0], 0.5), errors.TraceIndexError, "out of bounds"),
        (lambda x: np.quantile(x, 0.5, weights=x), errors.KeywordError, "Only method"),
        (
            lambda x: np.quantile(x, 0.5, weights=-x * x, method="inverted_cdf"),
            *(errors.ElementError, "non-negative"),
        ),
        (
            lambda x: np.quantile(x, 0.5, weights=x * 0, method="inverted_cdf"),
            *(errors.ElementError, "all zero"),
        ),
        (
            lambda x: np.quantile(x, 0.5, weights=x[0], method="inverted_cdf"),
            *(errors.DTypeError, "Axis must be specified"),
        ),
        (
            lambda x: np.quantile(x, 0.5, axis=0, weights=x[0], method="inverted_cdf"),
            *(errors.ShapeError, "consistent with shape"),
        ),
        (lambda x: np.median(x, axis=5), errors.AxisError, "out of bounds"),
    ],
)
def test_errors(f: Any, kind: type[Exception], text: str) -> None:
    with pytest.raises(kind, match=text):
        go.compile(f)(X)


def test_results_go_into_arrays() -> None:
    def f(x: Any) -> Any:
        out = go.numpy.zeros((4, 5))
        np.median(x, 0, out)
        other = go.numpy.zeros((2, 4, 5))
        np.quantile(x, [0.1, 0.3], 0, other, False, "hazen", False)
        return out, other

    same(go.compile(f)(X), (np.median(X, 0), np.quantile(X, [0.1, 0.3], axis=0, method="hazen")))
