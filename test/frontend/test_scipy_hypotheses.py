# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Tests of hypotheses, statistics within limits and powers of gradopt.scipy.stats against SciPy,
and their derivatives."""

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

RNG = generator(17)
THEIRS: Any = scipy.stats
X, Y, Z = RNG.normal(size=(12, 3)) + 3, RNG.normal(size=(12, 3)) + 2.5, RNG.normal(size=(9, 3)) * 2
TIED, OTHER = np.round(2 * X), np.round(2 * Y)
FEW = RNG.normal(size=6)
P = RNG.uniform(0.01, 0.9, size=(7, 2))
COUNTS = np.array([[16, 18, 16, 14, 12, 12], [32, 24, 13, 28, 20, 24]])
WAYS = ({"axis": None}, {"axis": 1, "keepdims": True})

Case = tuple[str, tuple[Any, ...], dict[str, Any]]
SMOOTH: list[Case] = [
    ("chisquare", (COUNTS * 1.0,), {}),
    ("chisquare", (COUNTS[0] * 1.0, COUNTS[1] * COUNTS[0].sum() / COUNTS[1].sum(), 1), {}),
    *(
        ("power_divergence", (COUNTS * 1.0, None, 0, 1, power), {})
        for power in (None, "log-likelihood", "freeman-tukey", "mod-log-likelihood", "neyman", 0.7)
    ),
    ("power_divergence", (COUNTS * 1.0,), {"axis": None, "lambda_": "cressie-read"}),
    ("chi2_contingency", (COUNTS * 1.0,), {}),
    ("chi2_contingency", (COUNTS[:, :2] * 1.0,), {}),
    ("chi2_contingency", (COUNTS[:, :2] * 1.0, False, "log-likelihood"), {}),
    ("chi2_contingency", (np.arange(1.0, 13).reshape(2, 3, 2) ** 1.3,), {}),
    ("chi2_contingency", (COUNTS[:1] * 1.0,), {}),
    *(("bartlett", (X, Y, Z), way) for way in ({}, {"axis": None})),
    ("bartlett", (X, Y), {"axis": 1, "keepdims": True}),
    *(("skewtest", (X,), way) for way in ({}, {"axis": None}, {"alternative": "less"})),
    *(("kurtosistest", (X,), way) for way in ({}, {"axis": None}, {"alternative": "greater"})),
    *(("normaltest", (X,), way) for way in ({}, {"axis": None}, {"keepdims": True})),
    *(("jarque_bera", (X,), way) for way in ({}, *WAYS)),
    ("pointbiserialr", (X[:, 0] > 3, Y[:, 0]), {}),
    *(
        (name, (X, limits), way)
        for name in ("tmean", "tvar", "tstd", "tsem")
        for limits, way in (
            *((None, {}), ((2.0, 3.9), {}), ((None, 3.5), {"axis": 0})),
            ((2.5, 4.0), {"inclusive": (False, False), "axis": None, "keepdims": True}),
        )
    ),
    *(("tmin", (X, *limit), {}) for limit in ((), (2.8,))),
    *(("tmax", (X, *limit), {"axis": None}) for limit in ((), (2.8,))),
    *(("describe", (X,), way) for way in ({}, {"axis": None, "ddof": 0}, {"bias": False})),
    *(("kstat", (X, n), {}) for n in (1, 2, 3, 4)),
    ("kstat", (X, 3), {"axis": 0, "keepdims": True}),
    *(("kstatvar", (X, n), {"axis": 0}) for n in (1, 2)),
    *(("lmoment", (X, *order), {}) for order in ((), (2,), ([1, 3, 5],))),
    ("lmoment", (X, 4), {"axis": 1, "standardize": False}),
    *(("expectile", (X[:, 0], alpha), {}) for alpha in (0.1, 0.5, 0.97)),
    ("expectile", (X[:, 0],), {"weights": Y[:, 0] ** 2}),
    *(
        ("differential_entropy", (X,), {"method": method})
        for method in ("vasicek", "van es", "ebrahimi", "correa", "auto")
    ),
    ("differential_entropy", (FEW,), {"base": 2, "window_length": 2}),
    *(
        ("combine_pvalues", (P,), {"method": method})
        for method in ("fisher", "pearson", "tippett", "stouffer", "mudholkar_george")
    ),
    ("combine_pvalues", (P, "stouffer", P + 1), {"axis": 1}),
    *(("false_discovery_control", (P,), way) for way in ({}, {"axis": None}, {"method": "by"})),
    ("scoreatpercentile", (X, 30), {}),
    ("scoreatpercentile", (X, [20, 75]), {"axis": 0, "interpolation_method": "higher"}),
    ("trimboth", (X, 0.2), {}),
    ("trim1", (X, 0.2), {"tail": "left", "axis": 1}),
    ("trim1", (X, 0.3), {"axis": None}),
    *(("boxcox", (X[:, 0] ** 2 + 0.1, power), {}) for power in (-0.7, 0.0, 1.3)),
    ("boxcox", (X[:, 0] ** 2 + 0.1,), {}),
    *(("yeojohnson", (Z[:, 0], power), {}) for power in (-0.7, 0.0, 1.3, 2.0)),
    ("yeojohnson", (Z[:, 0],), {}),
]
RANKED: list[Case] = [
    *(("kruskal", samples, {}) for samples in ((X, Y, Z), (TIED, OTHER))),
    ("kruskal", (X, Y), {"axis": 1, "keepdims": True}),
    *(("friedmanchisquare", samples, {}) for samples in ((X, Y, X * Y), (TIED, OTHER, Y))),
    *(("ranksums", (X, Y), {"alternative": way}) for way in ("two-sided", "less", "greater")),
    *(
        ("mannwhitneyu", (*samples, continuous, way), {"method": method})
        for way in ("two-sided", "less", "greater")
        for samples in ((X, Z[:7]), (TIED, OTHER), (X, Y))
        for continuous, method in ((True, "auto"), (False, "asymptotic"))
    ),
    ("mannwhitneyu", (X, Y), {"method": "exact", "axis": 1}),
    ("mannwhitneyu", (X, Z), {"method": "exact", "alternative": "less", "axis": None}),
    *(("mood", (X, Z), {"alternative": way}) for way in ("two-sided", "less", "greater")),
    ("mood", (TIED, OTHER), {"axis": None}),
    *(
        ("brunnermunzel", (X, Z, way, distribution), {})
        for way in ("two-sided", "less", "greater")
        for distribution in ("t", "normal")
    ),
    *(("fligner", (X, Y, Z), {"center": center}) for center in ("median", "mean", "trimmed")),
    ("fligner", (X, Y), {"axis": None}),
    *(
        ("percentileofscore", (TIED[:, 0], np.array([[1.0, 5.0], [6.0, 30.0]]), kind), {})
        for kind in ("rank", "weak", "strict", "mean")
    ),
    ("tiecorrect", (scipy.stats.rankdata(TIED[:, 0]),), {}),
    *(("mode", (TIED,), way) for way in ({}, {"axis": None}, {"axis": 1, "keepdims": True})),
    ("mode", (np.array([[3, 1, 2], [1, 3, 3]], np.int16),), {"axis": 1}),
]


def leaves(result: Any) -> list[Any]:
    if isinstance(result, tuple):
        return [leaf for part in result for leaf in leaves(part)]
    if hasattr(result, "expected_freq"):
        return [result.statistic, result.pvalue, result.dof, result.expected_freq]
    return [result]


def theirs(name: str, args: Any, kwargs: Any) -> list[Any]:
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        found = leaves(getattr(scipy.stats, name)(*args, **kwargs))
    if name in ("trimboth", "trim1"):  # In an order that SciPy does not state.
        return [np.sort(found[0], axis=kwargs.get("axis", 0) or 0)]
    return found


@pytest.mark.parametrize(("name", "args", "kwargs"), [*SMOOTH, *RANKED])
def test_values_are_scipys(name: str, args: Any, kwargs: Any) -> None:
    got = leaves(getattr(stats, name)(*args, **kwargs))
    want = theirs(name, args, kwargs)
    # What is searched for is found more closely than by SciPy.
    tolerance = 1e-6 if name in ("boxcox", "yeojohnson") and len(args) == 1 else 1e-10
    for one, other in zip(got, want, strict=True):
        assert np.shape(one) == np.shape(other)
        np.testing.assert_allclose(one, other, tolerance, tolerance)


@pytest.mark.parametrize(
    ("name", "args", "kwargs", "order"),
    [
        (*case, 2 - min(number % 3, 1))
        for number, case in enumerate(SMOOTH)
        if not case[2] or set(case[2]) - {"axis", "keepdims"}
    ],
)
def test_derivatives_are_limits_of_differences(
    name: str, args: Any, kwargs: Any, order: int
) -> None:
    if name == "pointbiserialr":
        args = (args[0] * 1.0, args[1])
    of = [i for i, arg in enumerate(args) if getattr(arg, "dtype", "") == np.float64]

    def loss(*arrays: Any) -> Any:
        given = list(args)
        for place, array in zip(of, arrays, strict=True):
            given[place] = array
        parts = leaves(getattr(stats, name)(*given, **kwargs))
        return sum(np.sum(np.tanh(part)) for part in parts if hasattr(part, "dtype"))

    every = tuple(range(len(of)))
    arrays = tuple([args[place] for place in of])
    go.gradcheck(go.compile(loss), arrays, argnums=every, rtol=1e-4)
    # The second derivative of a search takes long to compile; that of what it finds is tested below.
    if order == 2 and (name, len(args)) != ("yeojohnson", 1):
        slopes = go.compile_grad(loss, every)
        go.gradcheck(slopes, arrays, argnums=every, modes=("fwd",), rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "args", "kwargs"), [case for case in RANKED if len(case[1]) > 1][::5]
)
def test_ranks_have_no_derivatives(name: str, args: Any, kwargs: Any) -> None:
    def loss(x: Any) -> Any:
        return sum(np.sum(part) for part in leaves(getattr(stats, name)(x, *args[1:], **kwargs)))

    np.testing.assert_array_equal(go.grad(loss)(args[0]), 0)


def test_derivatives_in_powers() -> None:
    x = X[:, 0] ** 2 + 0.1
    go.gradcheck(lambda p: stats.boxcox_llf(p, x), (0.4,), order=2)
    go.gradcheck(lambda p, x: np.sum(stats.yeojohnson_llf(p, x)), (0.4, Z), argnums=(0, 1))
    for axis in (0, None, 1):
        for name, data in (("boxcox_llf", X**2 + 0.1), ("yeojohnson_llf", Z)):
            got = getattr(stats, name)(0.3, data, axis=axis)
            np.testing.assert_allclose(got, getattr(THEIRS, name)(0.3, data, axis=axis), 1e-10)
    # The best power is where the slope of the likelihood is zero.
    _, best = stats.boxcox(x)
    assert abs(go.grad(lambda p: stats.boxcox_llf(p, x))(best)) < 1e-9
    go.gradcheck(lambda p: np.sum(stats.yeojohnson(Z[:, 0], p)), (1.1,), order=2)


NAMES = sorted({name for name, _, _ in [*SMOOTH, *RANKED]} | {"boxcox_llf", "yeojohnson_llf"})


@pytest.mark.parametrize("name", NAMES)
def test_parameters_are_scipys(name: str) -> None:
    ours, other = (inspect.signature(getattr(of, name)).parameters for of in (stats, scipy.stats))
    assert [(p.name, p.kind) for p in ours.values()] == [(p.name, p.kind) for p in other.values()]
    assert [p.default for p in ours.values()] == [p.default for p in other.values()]


@pytest.mark.parametrize("name", NAMES)
def test_in_the_users_code(name: str) -> None:
    """In a compiled function, under SciPy's name."""
    args, kwargs = next((a, k) for n, a, k in [*SMOOTH, *RANKED, *LIKELIHOODS] if n == name)
    place = 1 if name.endswith("llf") else 0

    def f(x: Any) -> Any:
        given = [*args[:place], x, *args[place + 1 :]]
        return leaves(getattr(scipy.stats, name)(*given, **kwargs))

    for got, want in zip(go.compile(f)(args[place]), theirs(name, args, kwargs), strict=True):
        np.testing.assert_allclose(got, want, 1e-9, 1e-9)


LIKELIHOODS: list[Case] = [
    ("boxcox_llf", (0.4, X[:, 0] ** 2 + 0.1), {}),
    ("yeojohnson_llf", (0.4, Z[:, 0]), {}),
]


def test_single_precision_and_integers() -> None:
    for name in ("kstat", "tmean", "expectile", "jarque_bera", "skewtest", "kruskal", "ranksums"):
        for x in (X[:, 0].astype(np.float32), TIED[:, 0].astype(np.int32)):
            args = (x, x[::-1] + 1) if name in ("kruskal", "ranksums") else (x,)
            got, want = leaves(getattr(stats, name)(*args)), theirs(name, args, {})
            for one, other in zip(got, want, strict=True):
                np.testing.assert_allclose(one, other, 2e-4)


def test_nothing_and_one() -> None:
    with np.errstate(all="ignore"):
        for x in (np.zeros(0), np.ones(1)):
            for name in ("jarque_bera", "skewtest", "kurtosistest", "kstat", "tstd"):
                for one in leaves(getattr(stats, name)(x)):
                    assert np.isnan(one)
        assert np.isnan(stats.tmean(np.zeros(0)))
        for name in ("tvar", "tstd", "tsem"):
            assert np.isnan(getattr(stats, name)(X, (99, None))).all()
        assert np.isnan(stats.tmin(X, 99.0)).all() & np.isnan(stats.tmax(X, -99.0)).all()
        assert stats.tmean(np.full(1, 2.5)) == 2.5
        assert stats.tmean(2.5, axis=0) == 2.5
        assert np.isnan(stats.skewtest(2.5)).all()
        assert stats.mode(np.full(1, 2.5)) == (2.5, 1)


def test_nan_is_propagated() -> None:
    x = X[:, 0].copy()
    x[3] = np.nan
    for name in ("kruskal", "mannwhitneyu", "ranksums", "mood", "brunnermunzel", "fligner"):
        with np.errstate(all="ignore"):
            assert np.isnan(leaves(getattr(stats, name)(x, Y[:, 0]))).all(), name
    assert np.isnan(stats.percentileofscore(x, 3.0))


def test_ties_of_any_lane_count() -> None:
    x, y = FEW.reshape(2, 3), RNG.normal(size=(5, 3)) + 1
    y[0, 0] = x[0, 0]
    lanes: list[Any] = [x, y], [x[:, 1:], y[:, 1:]], [np.copy(x), y]
    lanes[2][0][1, 2] = np.nan  # SciPy then tests one lane after the other.
    for samples in lanes:
        for way in ("two-sided", "less", "greater"):
            kwargs = {"alternative": way}
            got = stats.mannwhitneyu(*samples, **kwargs)
            for one, want in zip(got, theirs("mannwhitneyu", samples, kwargs), strict=True):
                np.testing.assert_allclose(one, want, 1e-10)


@pytest.mark.parametrize("name", ["tmean", "tvar", "tstd", "tsem", "tmin", "tmax"])
def test_nan_is_within_limits(name: str) -> None:
    x = X.copy()
    x[3, 1] = np.nan
    # Each lane has numbers within: SciPy raises an error otherwise.
    low, high = np.quantile(X, [0.1, 0.9])
    limit: Any = {"tmin": low, "tmax": high}.get(name, (low, high))
    for axis in (0, None):
        (want,) = theirs(name, (x, limit), {"axis": axis})
        np.testing.assert_allclose(getattr(stats, name)(x, limit, axis=axis), want, 1e-10)


@pytest.mark.parametrize("dtype", [bool, np.int32, np.int64, np.float32])
def test_dtypes_of_correlations(dtype: Any) -> None:
    samples = (X[:, 0] > 3).astype(dtype), Y[:, 0].astype(np.float32)
    for name in ("pointbiserialr", "pearsonr"):
        for one, want in zip(
            getattr(stats, name)(*samples), theirs(name, samples, {}), strict=True
        ):
            assert one.dtype == want.dtype
            np.testing.assert_allclose(one, want, 1e-5)


def test_errors() -> None:
    x, text = X[:, 0], "other"
    other: Any = text
    for call, error, message in [
        (lambda: stats.kruskal(x), ArgumentError, "kruskal: at least 2 samples"),
        (lambda: stats.kruskal(x, x, nan_policy="omit"), UnsupportedError, "leave NaN out before"),
        (lambda: stats.friedmanchisquare(x, x), ArgumentError, "at least 3 samples"),
        (lambda: stats.friedmanchisquare(x, x, x[:3]), ShapeError, "one shape"),
        (lambda: stats.mannwhitneyu(x, x, method=other), ArgumentError, "`method` must be one of"),
        (lambda: stats.mood(x, x, alternative=other), ArgumentError, "but it is 'other'"),
        (
            lambda: stats.mannwhitneyu(np.ones(200), np.ones(200), method="exact"),
            UnsupportedError,
            "40000 pairs.*use 'asymptotic'",
        ),
        (lambda: stats.power_divergence(x, lambda_=other), ArgumentError, "`lambda_` must be one"),
        (lambda: stats.chi2_contingency(COUNTS, method=other), UnsupportedError, "go.random"),
        (lambda: stats.mode(np.zeros((2, 0)), 1), ShapeError, "have no numbers"),
        (lambda: stats.describe(np.zeros(0)), ArgumentError, "must not be empty"),
        (lambda: stats.kstat(x, 5), ArgumentError, "`n` must be one of 1, 2, 3, 4"),
        (lambda: stats.lmoment(x, 0), ArgumentError, "orders must be positive"),
        (lambda: stats.trimboth(x, 0.5), ArgumentError, "Proportion too big"),
        (lambda: stats.expectile(x, weights=x[:3]), ShapeError, "as many weights"),
        (lambda: stats.scoreatpercentile(x, 5, (1, 2)), UnsupportedError, "by a mask"),
        (lambda: stats.differential_entropy(x, window_length=6), ArgumentError, "window length"),
        (lambda: stats.boxcox(X), ShapeError, "must be 1-dimensional"),
        (lambda: stats.boxcox(x, alpha=other), UnsupportedError, "alpha= of scipy.stats.boxcox"),
        (lambda: stats.jarque_bera(x + 1j), UnsupportedError, "complex"),
        (
            lambda: go.compile(lambda x: THEIRS.anderson(x))(x),
            UnsupportedError,
            r"^scipy\.stats\.anderson is not supported .*: use scipy\.stats\.normaltest",
        ),
    ]:
        with pytest.raises(error, match=message):
            call()
