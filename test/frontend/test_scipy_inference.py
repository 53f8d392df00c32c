# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Ranks, tests, fits and densities of gradopt.scipy.stats against SciPy, and their derivatives."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.stats
from budget import generator

import gradopt as go
from gradopt.errors import ArgumentError, LinAlgError, ShapeError, UnsupportedError
from gradopt.scipy import stats

RNG = generator(61)
THEIRS: Any = scipy.stats
X, Y = RNG.normal(size=(9, 2)) + 3, RNG.normal(size=(9, 2)) + 2.5
POSITIVE = np.abs(X) + 0.5


def agrees(actual: Any, expected: Any, tolerance: float = 1e-10) -> None:
    assert np.shape(actual) == np.shape(expected)
    np.testing.assert_allclose(actual, expected, tolerance, tolerance)


@pytest.mark.parametrize("method", ["average", "min", "max", "dense", "ordinal"])
def test_ranks(method: str) -> None:
    a = np.array([[3.0, 1.0, 3.0, 2.0], [5.0, 5.0, 5.0, 0.0]])
    for axis in (None, 0, 1):
        got = stats.rankdata(a, method, axis=axis)
        want = THEIRS.rankdata(a, method, axis=axis)
        agrees(got, want)
        assert got.dtype == want.dtype
    gradient = go.grad(lambda x: np.sum(stats.rankdata(x, method) * 1.0))(X[:, 0])
    np.testing.assert_array_equal(gradient, 0)


@pytest.mark.parametrize("alternative", ["two-sided", "less", "greater"])
def test_tests(alternative: Any) -> None:
    rest: Any = {"alternative": alternative}
    for name, args, further in (
        ("ttest_1samp", (X, 2.7), {}),
        ("ttest_1samp", (X, 2.7), {"axis": None}),
        ("ttest_rel", (X, Y), {"axis": 1}),
        ("ttest_ind", (X, Y[:5]), {}),
        ("ttest_ind", (X, Y[:5]), {"equal_var": False}),
        ("spearmanr", (X[:, 0], Y[:, 0]), {}),
        ("spearmanr", (X[:, 0], X[:, 0] ** 3), {}),
        ("kendalltau", (X[:, 0], Y[:, 0][: X.shape[0]]), {}),
        ("kendalltau", (X[:, 0], Y[:, 0][: X.shape[0]]), {"method": "asymptotic"}),
        ("kendalltau", (np.round(X[:, 0]), np.round(X[:, 1])), {}),
        ("kendalltau", (np.round(X[:, 0]), X[:, 1]), {"variant": "c"}),
        ("linregress", (X[:, 0], Y[:, 0]), {}),
    ):
        got = getattr(stats, name)(*args, **further, **rest)
        want = getattr(scipy.stats, name)(*args, **further, **rest)
        for one, other in zip(got, want, strict=True):
            agrees(one, other)


def test_variances() -> None:
    agrees(stats.f_oneway(X, Y[:4], Y[4:]), THEIRS.f_oneway(X, Y[:4], Y[4:]))
    got, want = stats.linregress(X[:, 0], Y[:, 0]), THEIRS.linregress(X[:, 0], Y[:, 0])
    agrees(got.intercept_stderr, want.intercept_stderr)


def test_derivatives_of_tests() -> None:
    x, y = X[:5, 0], Y[:6, 0]
    go.gradcheck(lambda x: stats.ttest_1samp(x, 2.5).pvalue, (x,), order=2)
    go.gradcheck(lambda x, y: np.stack(stats.ttest_ind(x, y, equal_var=False)), (x, y))
    go.gradcheck(lambda x, y: np.stack(stats.f_oneway(x, y)), (x, y), rtol=1e-4)
    go.gradcheck(lambda x, y: np.stack(stats.linregress(x, y)), (x, y[:5]), rtol=1e-4)


def test_distances_of_samples() -> None:
    for name in ("wasserstein_distance", "energy_distance"):
        ours, theirs = getattr(stats, name), getattr(scipy.stats, name)
        agrees(ours(X[:, 0], Y[:4, 0]), theirs(X[:, 0], Y[:4, 0]))
        go.gradcheck(ours, (X[:, 0], Y[:4, 0]))


DESCRIPTIONS: dict[str, tuple[Any, ...]] = {
    "gstd": (),
    "gzscore": (),
    "variation": (),
    "pmean": (2.5,),
    "iqr": (),
    "trim_mean": (0.2,),
    "circmean": (),
    "circvar": (),
    "circstd": (),
}


@pytest.mark.parametrize("name", DESCRIPTIONS)
def test_descriptions(name: str) -> None:
    ours, theirs, args = getattr(stats, name), getattr(scipy.stats, name), DESCRIPTIONS[name]
    agrees(ours(POSITIVE, *args), theirs(POSITIVE, *args))
    axes = (None,) if name == "gzscore" else (None, 1)
    for axis in axes:
        agrees(ours(POSITIVE, *args, axis=axis), theirs(POSITIVE, *args, axis=axis))
    go.gradcheck(lambda x: ours(x, *args), (POSITIVE[:, 0],))


def test_other_keywords() -> None:
    agrees(stats.iqr(X, 0, (10, 80), "normal"), THEIRS.iqr(X, 0, (10, 80), "normal"))
    agrees(stats.circmean(X, 4.0, 1.0), THEIRS.circmean(X, 4.0, 1.0))
    agrees(stats.circstd(X, normalize=True), THEIRS.circstd(X, normalize=True))
    agrees(stats.pmean(POSITIVE, 0), THEIRS.pmean(POSITIVE, 0))
    go.gradcheck(lambda p: stats.pmean(POSITIVE, p), (1.3,))


@pytest.mark.parametrize("bandwidth", [None, "silverman", 0.4])
def test_densities_of_samples(bandwidth: Any) -> None:
    weights = RNG.uniform(0.5, 1, size=9)
    for data, places in ((X[:, 0], np.array([1.0, 2.5, 4.0])), (X.T, Y.T[:, :4])):
        for w in (None, weights):
            got = stats.gaussian_kde(data, bandwidth, w)
            want = THEIRS.gaussian_kde(data, bandwidth, w)
            agrees(got(places), want(places))
            agrees(got.logpdf(places), want.logpdf(places))
    agrees(stats.gaussian_kde(X.T)(Y[0]), THEIRS.gaussian_kde(X.T)(Y[0]))


def test_derivatives_of_densities() -> None:
    def f(data: Any, places: Any, bandwidth: Any, weights: Any) -> Any:
        return stats.gaussian_kde(data, bandwidth, weights).logpdf(places)

    args = (X[:4].T, Y[:2].T, 0.7, np.array([0.2, 0.3, 0.4, 0.1]))
    go.gradcheck(f, args, rtol=1e-4)
    go.gradcheck(lambda x, p: stats.gaussian_kde(x)(p), (X[:4, 0], Y[:2, 0]), order=2, rtol=1e-4)


def test_multivariate() -> None:
    shape = np.array([[1.3, 0.4], [0.4, 0.9]])
    args: Any = (X, Y[0], shape, 3.5)
    agrees(stats.multivariate_t.logpdf(*args), THEIRS.multivariate_t.logpdf(*args))
    agrees(stats.multivariate_t.pdf(X, np.zeros(2)), THEIRS.multivariate_t.pdf(X, np.zeros(2)))
    go.gradcheck(
        lambda x, m, a, df: stats.multivariate_t.logpdf(x, m, a @ a.T, df), (X[:2], *args[1:]),
        rtol=1e-4,
    )  # fmt: skip
    places = np.stack([shape, 2 * shape + np.eye(2), np.eye(2)], axis=-1)
    for x in (shape, places):
        want = THEIRS.wishart.logpdf(x, 4.5, shape + np.eye(2))
        agrees(stats.wishart.logpdf(x, 4.5, shape + np.eye(2)), want)
    agrees(stats.wishart.pdf(1.7, 2.5, 1.2), THEIRS.wishart.pdf(1.7, 2.5, 1.2))
    go.gradcheck(
        lambda a, df, b: stats.wishart.logpdf(a @ a.T, df, b @ b.T),
        (X[:2], 4.5, Y[:2]), order=2, rtol=1e-3, atol=1e-4,
    )  # fmt: skip


def test_in_the_users_code() -> None:
    density = THEIRS.gaussian_kde(X[:, 0])

    def f(x: Any) -> Any:
        made = THEIRS.gaussian_kde(x)
        slope, *_ = THEIRS.linregress(x, Y[:, 0])
        return density(x), made.logpdf(x), slope, THEIRS.ttest_ind(x, Y[:, 0]).pvalue

    for got, want in zip(go.compile(f)(X[:, 0]), f(X[:, 0]), strict=True):
        agrees(got, want)


def test_code_of_scipys_that_fails_is_named() -> None:
    """Not what fails inside of it."""
    with pytest.raises(UnsupportedError, match=r"^scipy\.stats\.shapiro is not supported"):
        go.compile(lambda x: THEIRS.shapiro(x))(X[:, 0])


def test_errors() -> None:
    x, text = X[:, 0], "other"
    other: Any = text
    for call, error, message in [
        (lambda: stats.rankdata(x, other), ArgumentError, 'unknown method "other"'),
        (lambda: stats.ttest_rel(x, x, alternative=other), ArgumentError, "but it is 'other'"),
        (lambda: stats.spearmanr(x, x[:4]), ShapeError, r"got \(9,\) and \(4,\)"),
        (lambda: stats.linregress(x[:2], x[:2]), ShapeError, "at least 3"),
        (lambda: stats.f_oneway(x), ArgumentError, "at least two inputs"),
        (lambda: stats.wasserstein_distance(x, X), ShapeError, "two vectors with elements"),
        (lambda: stats.wasserstein_distance(x, x, x), UnsupportedError, "weights of scipy.stats"),
        (lambda: stats.trim_mean(x[:4], 0.5), ArgumentError, "Proportion too big"),
        (lambda: stats.iqr(x, nan_policy=other), UnsupportedError, "nan_policy='other'"),
        (lambda: stats.gaussian_kde(x, other), UnsupportedError, "bw_method='other'"),
        (lambda: stats.gaussian_kde(x[:1]), ShapeError, "multiple elements"),
        (lambda: stats.gaussian_kde(x, None, x[:3]), ShapeError, r"length n, 9.*\(3,\)"),
        (lambda: stats.gaussian_kde(X.T)(np.ones((3, 4))), ShapeError, "dimension 3, dataset"),
        (lambda: stats.gaussian_kde(np.ones(4))(x), LinAlgError, "lower-dimensional subspace"),
        (lambda: stats.wishart.logpdf(-np.eye(2), 3, np.eye(2)), LinAlgError, "not positive"),
        (lambda: stats.wishart.logpdf(np.eye(3), 3, np.eye(2)), ShapeError, r"shape \(2, 2\)"),
        (lambda: stats.zscore(x + 1j), UnsupportedError, "complex"),
    ]:
        with pytest.raises(error, match=message):
            call()
