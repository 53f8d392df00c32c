# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Tests of empirical distributions and of pairs in gradopt.scipy.stats against SciPy."""

from __future__ import annotations

import inspect
import warnings
from typing import Any

import numpy as np
import pytest
import scipy.stats
from budget import generator

import gradopt as go
from gradopt.errors import ArgumentError, ShapeError, UnsupportedError
from gradopt.scipy import stats

RNG = generator(43)
THEIRS: Any = scipy.stats
X, Y, LONG = RNG.normal(size=(12, 2)), RNG.normal(size=(8, 2)) + 0.7, RNG.normal(size=(60, 2)) + 0.2
TIED = np.round(LONG[:16] * 2)
FEW = np.round(X * 2)
WAYS = ("two-sided", "less", "greater")


def agrees(got: Any, want: Any, tolerance: float = 1e-10) -> None:
    for one, other in zip(got, want, strict=True):
        assert np.shape(one) == np.shape(other)
        np.testing.assert_allclose(one, other, tolerance, 1e-14)


@pytest.mark.parametrize("alternative", WAYS)
def test_two_samples(alternative: Any) -> None:
    rest: dict[str, Any] = {"alternative": alternative}
    for x, y, further in (
        (X, Y, {}),
        (X, X[:, ::-1] + 1, {}),
        (FEW, Y, {"axis": None}),
        (LONG, X, {"keepdims": True}),
        (X, X, {}),
        (LONG, LONG + 9, {}),
    ):
        agrees(stats.ks_2samp(x, y, **rest, **further), THEIRS.ks_2samp(x, y, **rest, **further))
    if alternative != "two-sided":
        rest["method"] = "asymp"
        agrees(stats.ks_2samp(X, Y, **rest), THEIRS.ks_2samp(X, Y, **rest))
        agrees(stats.ks_2samp(Y, X, **rest), THEIRS.ks_2samp(Y, X, **rest))


def test_long_samples_have_exact_p_values() -> None:
    """Numbers of paths that are no floats."""
    x, y = RNG.normal(size=900), RNG.normal(size=1100) + 0.06
    got, want = stats.ks_2samp(x, y), THEIRS.ks_2samp(x, y, method="exact")
    agrees(got, want, 1e-9)


def test_one_sample() -> None:
    x = X[:, 0]
    normal: Any = scipy.stats.norm
    agrees(
        stats.ks_1samp(x, stats.norm.cdf, method="asymp"),
        THEIRS.ks_1samp(x, normal.cdf, method="asymp"),
    )
    for alternative in ("less", "greater"):
        rest: Any = {"alternative": alternative}
        agrees(
            stats.ks_1samp(x, stats.norm.cdf, (0.2, 1.3), **rest),
            THEIRS.ks_1samp(x, normal.cdf, (0.2, 1.3), **rest),
        )
        agrees(stats.kstest(x, "norm", **rest), THEIRS.kstest(x, "norm", **rest))
    agrees(stats.kstest(x, Y[:, 0]), THEIRS.kstest(x, Y[:, 0]))

    def loss(x: Any, scale: Any) -> Any:
        found = scipy.stats.ks_1samp(x, scipy.stats.norm.cdf, (0.1, scale), method="asymp")
        return found[0] + found[1]

    assert go.gradcheck(loss, (x, 1.3), argnums=(0, 1))
    assert go.gradcheck(loss, (x, 1.3), argnums=(0, 1), order=2, rtol=1e-4)


@pytest.mark.parametrize(
    ("zeros", "alternative"), list(zip(["wilcox", "pratt", "zsplit"], WAYS, strict=True))
)
def test_pairs(alternative: Any, zeros: Any) -> None:
    for d, further in (
        (X, {}),
        (LONG, {}),
        (TIED, {"method": "asymptotic", "correction": True, "keepdims": True}),
        (TIED, {}),
        (FEW, {}),
        (FEW, {"method": "exact"}),
    ):
        args: Any = (d, None, zeros)
        rest: dict[str, Any] = {"alternative": alternative, **further}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            want = THEIRS.wilcoxon(*args, **rest)
        agrees(stats.wilcoxon(*args, **rest), want)
    agrees(stats.wilcoxon(X[:8], Y), THEIRS.wilcoxon(X[:8], Y))


def test_in_the_users_code() -> None:
    def f(x: Any) -> Any:
        first = scipy.stats.ks_2samp(x, Y[:, 0])
        return first.pvalue, scipy.stats.wilcoxon(x).statistic, scipy.stats.kstest(x, Y[:, 1])[0]

    agrees(go.compile(f)(X[:, 0]), f(X[:, 0]))
    np.testing.assert_array_equal(go.grad(lambda x: sum(f(x)))(X[:, 0]), 0)


def test_nan_is_propagated() -> None:
    x = X[:, 0].copy()
    x[2] = np.nan
    for found in (stats.ks_2samp(x, Y[:, 0]), stats.wilcoxon(x)):
        assert np.isnan(found[0])
        assert np.isnan(found[1])


@pytest.mark.parametrize("name", ["ks_1samp", "ks_2samp", "kstest", "wilcoxon"])
def test_parameters_are_scipys(name: str) -> None:
    ours, other = (inspect.signature(getattr(of, name)).parameters for of in (stats, scipy.stats))
    assert [(p.name, p.kind, p.default) for p in ours.values()] == [
        (p.name, p.kind, p.default) for p in other.values()
    ]


def test_errors() -> None:
    x, text = X[:, 0], "other"
    other: Any = text
    for call, error, message in [
        (lambda: stats.ks_2samp(x, x, other), ArgumentError, "`alternative` must be one of"),
        (lambda: stats.ks_2samp(x, x, "less", other), ArgumentError, "`method` must be one of"),
        (lambda: stats.ks_2samp(x, x[:0]), ArgumentError, "must not be empty"),
        (lambda: stats.ks_2samp(x, x, method="asymp"), UnsupportedError, "use method='exact'"),
        (lambda: stats.ks_1samp(x, np.tanh), UnsupportedError, "use method='asymp'"),
        (
            lambda: stats.ks_1samp(x, np.tanh, alternative="less", method="asymp"),
            UnsupportedError,
            "use method='exact'",
        ),
        (lambda: stats.kstest(x, "shapes"), ArgumentError, "there is no distribution 'shapes'"),
        (lambda: stats.wilcoxon(x, x[:4]), ShapeError, "must have one shape"),
        (lambda: stats.wilcoxon(x, zero_method=other), ArgumentError, "`zero_method` must be"),
        (
            lambda: stats.wilcoxon(np.arange(101.0), method="exact"),
            UnsupportedError,
            "101 differences.*use 'asymptotic'",
        ),
        (lambda: stats.wilcoxon(x, nan_policy="omit"), UnsupportedError, "leave NaN out before"),
    ]:
        with pytest.raises(error, match=message):
            call()
