# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Gamma, beta and Dirichlet distributions, and their derivatives as quantiles."""

from __future__ import annotations

import re
from typing import Any

import mpmath as mp
import numpy as np
import pytest
from scipy import special, stats

import gradopt as go
from gradopt import random

KEY = random.key(20240229)
COUNT = 20_000
SIGNIFICANCE = 1e-4
PARAMETERS = (1e-3, 0.05, 0.3, 0.999, 1.0, 1.7, 7.0, 100.0, 1e4)


@pytest.mark.parametrize("a", PARAMETERS)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_gamma(a: float, dtype: Any) -> None:
    for seed in range(3):
        x = random.loggamma(random.key(seed), dtype(a), COUNT)
        assert x.dtype == dtype
        assert x.shape == (COUNT,)
        assert np.isfinite(x).all()
        assert stats.kstest(x, stats.loggamma(float(dtype(a))).cdf).pvalue > SIGNIFICANCE
        assert abs(np.corrcoef(x[1:], x[:-1])[0, 1]) < 4 / np.sqrt(COUNT)


@pytest.mark.parametrize("a", [0.3, 1.0, 4.5, 200.0])
def test_moments_of_gamma(a: float) -> None:
    x = random.gamma(KEY, a, 200_000)
    assert abs(x.mean() - a) < 5 * np.sqrt(a / len(x))
    # The variance of (x - a)^2 is 2 a^2 + 6 a.
    assert abs(((x - a) ** 2).mean() - a) < 5 * np.sqrt((2 * a * a + 6 * a) / len(x))


def test_parameters_for_each_element() -> None:
    a = np.array([[0.2], [3.0]]) * np.array([1.0, 2.0, 10.0])
    x = random.gamma(KEY, a, (COUNT, 2, 3))
    for i in np.ndindex(2, 3):
        assert stats.kstest(x[(slice(None), *i)], stats.gamma(a[i]).cdf).pvalue > SIGNIFICANCE
    assert random.gamma(KEY, a).shape == (2, 3)
    assert random.gamma(KEY, 2).shape == ()
    assert random.gamma(KEY, 2.0, (0, 3)).shape == (0, 3)


def test_there_is_no_gamma_distribution_without_a_positive_parameter() -> None:
    x = random.gamma(KEY, np.array([-1.0, 0.0, np.nan, np.inf, 2.0]))
    np.testing.assert_array_equal(np.isnan(x), [True, True, True, True, False])


@pytest.mark.parametrize(("a", "b"), [(0.1, 0.2), (1.0, 1.0), (0.5, 3.0), (30.0, 70.0)])
def test_beta(a: float, b: float) -> None:
    x = random.beta(KEY, a, b, COUNT)
    assert ((x >= 0) & (x <= 1)).all()
    assert stats.kstest(x, stats.beta(a, b).cdf).pvalue > SIGNIFICANCE


def test_dirichlet() -> None:
    alpha = np.array([0.4, 1.0, 2.6])
    x = random.dirichlet(KEY, alpha, COUNT)
    assert x.shape == (COUNT, 3)
    np.testing.assert_allclose(x.sum(axis=-1), 1, rtol=1e-14)
    for i in range(3):
        marginal = stats.beta(alpha[i], alpha.sum() - alpha[i])
        assert stats.kstest(x[:, i], marginal.cdf).pvalue > SIGNIFICANCE
    # The covariance of two of them is negative.
    expected = -alpha[0] * alpha[1] / (alpha.sum() ** 2 * (alpha.sum() + 1))
    covariance = np.cov(x[:, 0], x[:, 1])[0, 1]
    assert covariance == pytest.approx(expected, abs=5 * 0.15**2 / np.sqrt(COUNT))
    tiny = random.dirichlet(KEY, np.full(4, 1e-4), 100)
    np.testing.assert_allclose(tiny.sum(axis=-1), 1, rtol=1e-14)
    assert (tiny.max(axis=-1) > 0.99).mean() > 0.9


# -- Derivatives ---------------------------------------------------------------------------------


def exact_slope(a: float, log_z: float) -> float:
    """d log z / da at a fixed value of the distribution function."""
    with mp.workdps(40):
        # For z next to 0 mpmath's function of both variables wants more digits.
        mp.mp.dps += int(abs(log_z) / 2)
        z = mp.exp(mp.mpf(log_z))
        changed = mp.diff(lambda b: mp.gammainc(b, 0, z, regularized=True), mp.mpf(a))
        density = mp.exp(a * mp.mpf(log_z) - z) / mp.gamma(a)
        return float(-changed / density)


def log_quantile(a: float, p: float) -> float:
    z = special.gammaincinv(a, p)
    return float(np.log(z)) if z > 1e-300 else (np.log(p) + special.gammaln(a + 1)) / a


@pytest.mark.parametrize("a", [0.05, 0.3, 1.0, 1.9, 2.5, 6.0, 40.0, 900.0])
def test_the_derivative_is_that_of_a_quantile(a: float) -> None:
    """Also where the number is next to others for which another formula is used."""
    points = [log_quantile(a, p) for p in (1e-5, 0.02, 0.3, 0.5, 0.7, 0.98, 1 - 1e-6)]
    points += [np.log(v) for v in (2.0, 2.0 - 1e-9, a, a * (1 + 1e-9)) if 0.02 < v / a < 50]
    log_z = np.array(points)
    slope = go.compile(lambda z, a: go.jvp(lambda a: following(z, a), (a,), (np.ones_like(a),))[1])
    expected = [exact_slope(a, z) for z in points]
    np.testing.assert_allclose(slope(log_z, np.full(len(points), a)), expected, rtol=2e-12)


def following(log_z: Any, a: Any) -> Any:
    from gradopt.random.gamma import following

    return following(log_z, a)


@pytest.mark.parametrize("a", [0.3, 1.0, 2.5, 30.0])
def test_second_derivatives_are_differences_of_first_ones(a: float) -> None:
    """Along a quantile: of a and of the number that follows it."""
    z = np.array([log_quantile(a, p) for p in (0.01, 0.4, 0.6, 0.99)])
    ones, step = np.ones(4), 1e-5 * a
    first = go.compile(lambda z, a: go.jvp(lambda a: following(z, a), (a,), (ones,))[1])
    second = go.compile(
        lambda z, a: go.jvp(
            lambda a: go.jvp(lambda a: following(z, a), (a,), (ones,))[1], (a,), (ones,)
        )[1]
    )
    moved = [
        first(z + s * first(z, a * ones) + s * s / 2 * second(z, a * ones), (a + s) * ones)
        for s in (step, -step)
    ]
    difference = (moved[0] - moved[1]) / (2 * step)
    np.testing.assert_allclose(second(z, a * ones), difference, rtol=1e-6, atol=1e-8 / a**2)


def test_derivatives_of_expectations() -> None:
    """E z = a, E z^2 = a (a + 1), E log z = digamma(a); of Beta(a, b) the mean is a / (a + b)."""
    count = 200_000

    def of_gamma(a: Any) -> Any:
        z = random.loggamma(KEY, a, (count,))
        return np.mean(np.exp(z)), np.mean(np.exp(2 * z)), np.mean(z)

    for a in (0.4, 2.5):
        slopes = go.jacrev(of_gamma)(a)
        expected = [1, 2 * a + 1, special.polygamma(1, a)]
        np.testing.assert_allclose(slopes, expected, rtol=0.03)
    share = go.grad(lambda a, b: np.mean(random.beta(KEY, a, b, (count,))), (0, 1))(2.0, 3.0)
    np.testing.assert_allclose(share, [3 / 25, -2 / 25], rtol=0.02)


def test_modes_agree_and_float32_is_float64_rounded() -> None:
    a = np.array([0.05, 0.7, 3.0, 50.0])

    def f(a: Any) -> Any:
        return random.gamma(KEY, a)

    forward, reverse = go.jacfwd(f)(a), go.jacrev(f)(a)
    np.testing.assert_allclose(forward, reverse, rtol=1e-14)
    np.testing.assert_array_equal(forward[~np.eye(4, dtype=bool)], 0)
    z = np.array([-3.0, 0.1, 2.0, 3.9])
    slope = go.compile(lambda z, a: go.jvp(lambda a: following(z, a), (a,), (np.ones_like(a),))[1])
    single = slope(z.astype(np.float32), a.astype(np.float32))
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, slope(z, a), rtol=3e-6)


def test_a_batch_of_keys_and_parameters() -> None:
    keys, a = random.split(KEY, 5), np.array([0.1, 0.9, 1.1, 4.0, 60.0])
    each = [random.gamma(k, v, (50,)) for k, v in zip(keys, a, strict=True)]
    mapped = go.vmap(lambda k, a: random.gamma(k, a, (50,)))(keys, a)
    np.testing.assert_allclose(mapped, each, rtol=1e-13)


def test_the_integrals_of_derivatives_are_not_stored() -> None:
    """The program of a gradient does not grow with the numbers, and takes few arrays of them."""

    def loss(a: Any) -> Any:
        return np.sum(random.gamma(KEY, a))

    sizes = (1000, 2000)
    lowered = [go.compile_grad(loss).lower(np.ones(n)) for n in sizes]
    counts = [len(re.findall(r"= grad\.", each.mlir("simplified"))) for each in lowered]
    assert counts[0] == counts[1]
    assert lowered[1].memory().arena <= 24 * 8 * sizes[1]
