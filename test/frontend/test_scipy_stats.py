# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""gradopt.scipy.stats against SciPy; derivatives against differences."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.linalg
import scipy.special
import scipy.stats

import gradopt as go
from gradopt.errors import ArgumentTypeError, LinAlgError, ShapeError, UnsupportedError
from gradopt.scipy import stats

# Parameters of shape.
CONTINUOUS: dict[str, tuple[float, ...]] = {
    "arcsine": (),
    "beta": (2.2, 3.1),
    "cauchy": (),
    "chi": (2.5,),
    "chi2": (3.5,),
    "expon": (),
    "f": (5.0, 7.0),
    "fisk": (3.0,),
    "gamma": (2.3,),
    "gumbel_l": (),
    "gumbel_r": (),
    "halfcauchy": (),
    "halfnorm": (),
    "hypsecant": (),
    "invgamma": (3.2,),
    "invgauss": (1.4,),
    "invweibull": (2.1,),
    "laplace": (),
    "levy": (),
    "logistic": (),
    "lognorm": (0.7,),
    "lomax": (2.5,),
    "maxwell": (),
    "norm": (),
    "pareto": (2.5,),
    "powerlaw": (1.6,),
    "rayleigh": (),
    "t": (4.5,),
    "triang": (0.3,),
    "uniform": (),
    "weibull_max": (1.3,),
    "weibull_min": (1.7,),
}
# Those that are transformed variables of others.
TRANSFORMED: dict[str, tuple[float, ...]] = {
    "alpha": (2.1,),
    "anglit": (),
    "betaprime": (2.3, 3.1),
    "bradford": (0.8,),
    "burr": (3.5, 1.3),
    "burr12": (2.5, 1.4),
    "cosine": (),
    "dgamma": (1.3,),
    "dweibull": (1.6,),
    "erlang": (3.0,),
    "exponnorm": (1.5,),
    "exponpow": (1.4,),
    "exponweib": (1.7, 1.3),
    "fatiguelife": (0.9,),
    "foldcauchy": (1.2,),
    "foldnorm": (0.8,),
    "genextreme": (0.2,),
    "gengamma": (2.1, 1.4),
    "genhalflogistic": (0.7,),
    "genlogistic": (0.6,),
    "gennorm": (1.3,),
    "genpareto": (-0.3,),
    "gibrat": (),
    "gompertz": (0.9,),
    "halfgennorm": (1.4,),
    "halflogistic": (),
    "johnsonsb": (0.4, 1.3),
    "johnsonsu": (0.4, 1.3),
    "kappa3": (1.2,),
    "laplace_asymmetric": (1.6,),
    "levy_l": (),
    "loggamma": (0.7,),
    "loglaplace": (2.5,),
    "loguniform": (0.3, 2.5),
    "mielke": (2.4, 1.6),
    "ncf": (5.2, 7.1, 1.4),
    "nct": (4.5, 0.7),
    "ncx2": (3.2, 4.1),
    "moyal": (),
    "nakagami": (1.7,),
    "powerlognorm": (1.4, 0.6),
    "powernorm": (1.6,),
    "rdist": (2.7,),
    "reciprocal": (0.3, 2.5),
    "rice": (0.8,),
    "semicircular": (),
    "skewcauchy": (0.4,),
    "skewnorm": (1.2,),
    "truncexpon": (2.3,),
    "truncnorm": (-0.4, 1.7),
    "truncpareto": (1.4, 3.2),
    "vonmises": (2.1,),
    "vonmises_line": (2.1,),
    "wald": (),
    "wrapcauchy": (0.3,),
    "argus": (1.3,),
    "crystalball": (1.4, 2.6),
    "genexpon": (0.8, 1.2, 2.1),
    "jf_skew_t": (2.3, 3.4),
    "pearson3": (0.7,),
    "recipinvgauss": (0.8,),
    "trapezoid": (0.2, 0.7),
    "truncweibull_min": (1.6, 0.3, 2.4),
}
ALL_CONTINUOUS = {**CONTINUOUS, **TRANSFORMED}
DISCRETE: dict[str, tuple[float, ...]] = {
    "bernoulli": (0.3,),
    "binom": (7, 0.3),
    "dlaplace": (0.8,),
    "geom": (0.3,),
    "hypergeom": (20, 7, 12),
    "nbinom": (3.5, 0.4),
    "poisson": (2.3,),
    "randint": (-2, 5),
}
FURTHER_DISCRETE: dict[str, tuple[float, ...]] = {
    "betabinom": (7, 1.4, 2.3),
    "betanbinom": (5, 4.3, 2.1),
    "boltzmann": (0.7, 9),
    "logser": (0.6,),
    "planck": (0.5,),
    "skellam": (2.1, 1.3),
    "yulesimon": (2.6,),
    "zipf": (3.5,),
}
ALL_DISCRETE = {**DISCRETE, **FURTHER_DISCRETE}
LOC, SCALE = 0.3, 1.7
PLACES = ("pdf", "logpdf", "cdf", "logcdf", "sf", "logsf")
QUANTILES = ("ppf", "isf")
MOMENTS = ("mean", "var", "std", "entropy")
# Where there is no formula.
WITHOUT = {(name, "entropy") for name in ("poisson", "binom", "nbinom", "hypergeom")}
# Quantiles that are searched for and whose derivatives are looked at.
SEARCHED = {"skewnorm", "vonmises"}
# What follows from what.
NEEDED = {
    **dict.fromkeys(("pdf", "logpdf", "pmf", "logpmf"), ("density", "log_density")),
    **dict.fromkeys(("cdf", "logcdf", "sf", "logsf"), ("cdf", "logcdf", "sf", "logsf")),
    **dict.fromkeys(("ppf", "isf"), ("ppf", "isf", "cdf", "logcdf")),
    "mean": ("mean",),
    "var": ("variance",),
    "std": ("variance",),
    "entropy": ("entropy",),
}
# Here SciPy's own results have fewer digits (its cdf cancels near 1).
LOOSE = dict.fromkeys(
    [("fisk", "sf"), ("fisk", "logsf"), ("triang", "sf"), ("triang", "logsf"), ("f", "isf")], 1e-5
)
# Owen's function cancels in one tail.
LOOSE |= dict.fromkeys([("skewnorm", name) for name in ("cdf", "logcdf", "sf", "logsf")], 1e-3)
# What is no parameter of these; -1 is none of the others.
WRONG = dict.fromkeys(
    ["genextreme", "genpareto", "gengamma", "skewnorm", "truncnorm", "truncpareto", "johnsonsb",
     "johnsonsu", "nct", "pearson3"],
    np.nan,
)  # fmt: skip
# Functions of places whose derivatives outside of the support are looked at.
STEADY = ("logpdf", "cdf", "logsf")
WITH_ENDS = [0.0, 1.0, -1.0, 2.0, np.nan]


def calls(name: str, method: str) -> Callable[..., Any]:
    """Our method."""
    return getattr(getattr(stats, name), method)


def methods(name: str, of: tuple[str, ...]) -> list[str]:
    """Those of these that there are formulas for."""
    if name in TRANSFORMED or name in FURTHER_DISCRETE:
        formulas = getattr(stats, name).formulas
        of = tuple([method for method in of if any(getattr(formulas, f) for f in NEEDED[method])])
    return [method for method in of if (name, method) not in WITHOUT]


def is_formula(name: str, method: str) -> bool:
    """Whether there is a formula, and no search."""
    formulas = getattr(stats, name).formulas
    return method not in QUANTILES or bool(formulas.ppf or formulas.isf)


def all_of(name: str, of: tuple[str, ...], *args: Any) -> list[Any]:
    """What these methods return: compiled together, they are one program."""
    return go.compile(lambda *args: [calls(name, method)(*args) for method in methods(name, of)])(
        *args
    )


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("name", ALL_CONTINUOUS)
def test_values(name: str) -> None:
    theirs, shapes = getattr(scipy.stats, name), ALL_CONTINUOUS[name]
    q = np.array([1e-12, 1e-5, 0.1, 0.3, 0.5, 0.77, 0.99, 1 - 1e-6])
    far = 9.0
    if name in TRANSFORMED:
        # Farther out, SciPy's own are what is left of 1, or underflow.
        q, far = q[(q > 1e-6) & (q < 0.999)], 2.5
    inner = theirs.ppf(q, *shapes)
    places = LOC + SCALE * np.concatenate([inner, [-2.0, -0.5, 0.0, 0.5, 1.0, 1.7, far, np.nan]])
    chances = np.array([*q, *WITH_ENDS])
    of = (
        *((PLACES, places, 1e-9, 1e-300), (QUANTILES, chances, 1e-8, 1e-12)),
        (MOMENTS, None, 1e-8, 0.0),
    )
    parameters = (*shapes, LOC, SCALE)

    def everything(places: Any, chances: Any, *parameters: Any) -> list[Any]:
        given = {PLACES: (places,), QUANTILES: (chances,), MOMENTS: ()}
        return [
            calls(name, method)(*given[group], *parameters)
            for group, *_ in of
            for method in methods(name, group)
        ]

    found = iter(go.compile(everything)(places, chances, *parameters))
    for group, x, rtol, atol in of:
        for method in methods(name, group):
            got = next(found)
            want = getattr(theirs, method)(*(() if x is None else (x,)), *parameters)
            tolerance = LOOSE.get((name, method), rtol)
            np.testing.assert_allclose(got, want, tolerance, atol, err_msg=method)
            assert x is None or got.dtype == want.dtype


@pytest.mark.parametrize("name", ALL_DISCRETE)
def test_moments_of_discrete(name: str) -> None:
    parameters = (*ALL_DISCRETE[name], 2)
    found = all_of(name, MOMENTS, *parameters)
    for method, got in zip(methods(name, MOMENTS), found, strict=True):
        want = getattr(getattr(scipy.stats, name), method)(*parameters)
        np.testing.assert_allclose(got, want, 1e-8, err_msg=method)


@pytest.mark.parametrize("name", ALL_CONTINUOUS)
def test_derivatives(name: str) -> None:
    """In places and all parameters, of all functions."""
    theirs, shapes = getattr(scipy.stats, name), ALL_CONTINUOUS[name]
    chances = np.array([0.12, 0.47, 0.81])
    places = theirs.ppf(chances, *shapes, LOC, SCALE)

    def values(of: tuple[str, ...], places: Any, chances: Any, *parameters: Any) -> list[Any]:
        # Those that are searched are roots, whose derivatives are those of the probability.
        given = [
            method for method in methods(name, of) if name in SEARCHED or is_formula(name, method)
        ]
        return [
            calls(name, method)(chances if method in QUANTILES else places, *parameters)
            for method in given
        ]

    args = (places, chances, *shapes, LOC, SCALE)
    if name in TRANSFORMED:
        # Made of what is checked in both modes and orders. Logarithms and rests of what is there
        # are checked with these.
        of = ("logpdf", "logcdf", "sf", "ppf")
        go.gradcheck(go.compile(lambda *args: values(of, *args)), args, modes=("rev",))
        return
    go.gradcheck(go.compile(lambda *args: values((*PLACES, *QUANTILES), *args)), args)

    def loss(*args: Any) -> Any:
        return sum(np.sum(np.sin(part)) for part in values((*STEADY, "ppf"), *args))

    go.gradcheck(go.compile_grad(loss, tuple(range(len(args)))), args, modes=("fwd",))


@pytest.mark.parametrize("name", ALL_CONTINUOUS)
def test_outside_of_the_support_and_of_parameters(name: str) -> None:
    theirs, shapes = getattr(scipy.stats, name), ALL_CONTINUOUS[name]
    low, high = theirs.support(*shapes)
    beyond = np.array([end for end in (low - 1.0, high + 1.0) if np.isfinite(end)], float)
    wrong = [(*shapes, 0.0, -1.0), (*shapes, 0.0, 0.0), (*shapes, np.nan, 1.0)]
    for place in range(len(shapes)):
        for value in (WRONG.get(name, -1.0), np.nan):
            changed = [value if i == place else shape for i, shape in enumerate(shapes)]
            wrong.append((*changed, 0.0, 1.0))

    def slopes(x: Any, *parameters: Any) -> Any:
        def total(*args: Any) -> Any:
            return sum(np.sum(calls(name, method)(*args)) for method in methods(name, STEADY))

        return go.grad(total, tuple(range(len(parameters) + 1)))(x, *parameters)

    def together(columns: Any, beyond: Any) -> Any:
        nan = calls(name, "pdf")(0.5, *columns)
        parameters = (*shapes, 0.0, 1.0)
        values = [calls(name, method)(beyond, *parameters) for method in methods(name, PLACES)]
        return nan, values, slopes(beyond, *parameters) if beyond.size else ()

    columns = tuple(np.array(column) for column in zip(*wrong, strict=True))
    nan, values, found = go.compile(together)(columns, beyond)
    assert np.isnan(nan).all()
    for method, got in zip(methods(name, PLACES), values, strict=True):
        np.testing.assert_array_equal(got, getattr(theirs, method)(beyond, *shapes), method)
    assert all((np.asarray(slope) == 0).all() for slope in found)


@pytest.mark.parametrize("name", ["norm", "expon", "weibull_min", "laplace"])
def test_shapes_and_dtypes(name: str) -> None:
    theirs, ours, shapes = getattr(scipy.stats, name), getattr(stats, name), CONTINUOUS[name]
    for x in (0.5, np.float32(0.5), np.ones((2, 1), np.float32), [1, 2], np.int8(2)):
        got, want = ours.pdf(x, *shapes), theirs.pdf(x, *shapes)
        assert type(got) is type(want)
        assert np.asarray(got).dtype == np.asarray(want).dtype
        np.testing.assert_allclose(got, want, 1e-12)
    assert ours.logpdf(np.ones((2, 1)), *shapes, np.zeros(3), np.ones((4, 1, 1))).shape == (4, 2, 3)
    assert ours.cdf(0.5, *shapes, loc=np.zeros((0, 3))).shape == (0, 3)
    frozen = ours(*shapes, scale=2.0)
    np.testing.assert_allclose(frozen.sf(0.7), theirs(*shapes, scale=2.0).sf(0.7), 1e-12)
    np.testing.assert_array_equal(copy.copy(frozen).sf(0.7), frozen.sf(0.7))
    with pytest.raises(AttributeError):
        frozen.likelihood(0.7)


def test_tails() -> None:
    """Where 1 - cdf has no digits left, the exact values (mpmath)."""
    np.testing.assert_allclose(stats.norm.sf(20.0), 2.7536241186062336951e-89, 1e-13)
    np.testing.assert_allclose(stats.expon.logcdf(1e-20), np.log(1e-20), 1e-14)
    np.testing.assert_allclose(stats.gumbel_r.sf(50.0), 1.9287498479639177830e-22, 1e-13)
    np.testing.assert_allclose(stats.logistic.sf(300.0), 5.1482002224120137e-131, 1e-12)
    np.testing.assert_allclose(stats.cauchy.cdf(-1e30), 3.1830988618379067e-31, 1e-14)
    np.testing.assert_allclose(stats.cauchy.logpdf(1e200), -922.1787670834677, 1e-14)
    np.testing.assert_allclose(stats.cauchy.logsf(-1e12), np.log1p(-3.183098861837907e-13), 1e-14)
    np.testing.assert_allclose(
        stats.pareto.logpdf(1e120, 2.5), np.log(2.5) - 420 * np.log(10), 1e-14
    )


def test_student_at_its_centre() -> None:
    for df in (0.7, 4.5, 200.0):
        cdf = go.compile(lambda x, df: stats.t.cdf(x, df))
        go.gradcheck(cdf, (np.array([0.0, 1e-4, -2e-3]), df), order=2)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("name", ALL_DISCRETE)
def test_discrete_values(name: str) -> None:
    theirs, shapes = getattr(scipy.stats, name), ALL_DISCRETE[name]
    # SciPy does not round those of these down.
    between = [] if name in ("hypergeom", "yulesimon") else [1.5]
    # There SciPy's tail is what is left of 1.
    k = np.array([*range(-4, 7 if name == "skellam" else 14), *between, np.nan])
    of = ("pmf", "logpmf", "cdf", "logcdf", "sf", "logsf")
    places = np.array([[0], [2]])
    found = all_of(name, of, k, *shapes, places)
    for method, got in zip(methods(name, of), found, strict=True):
        want = getattr(theirs, method)(k, *shapes, places)
        np.testing.assert_allclose(got, want, 1e-9, 1e-300, err_msg=method)
    wrong = [(-1.0,), (np.nan,), (1.5,)]
    for value in wrong:
        got = calls(name, "pmf")(0, *value * len(shapes))
        np.testing.assert_allclose(got, theirs.pmf(0, *value * len(shapes)), 1e-9)


@pytest.mark.parametrize("name", [*DISCRETE, "skellam", "logser"])
def test_discrete_quantiles(name: str) -> None:
    theirs, shapes = getattr(scipy.stats, name), ALL_DISCRETE[name]
    q = np.array([*WITH_ENDS, 1e-9, 0.1, 0.37, 0.5, 0.83, 1 - 1e-6])
    places = np.array([[0], [2]])
    of = ("ppf", "isf")
    found = go.compile(lambda *args: [calls(name, method)(*args) for method in of])
    for method, got in zip(of, found(q, *shapes, places), strict=True):
        want = getattr(theirs, method)(q, *shapes, places)
        np.testing.assert_array_equal(got, want, err_msg=method)
    low, high = getattr(stats, name).interval(0.8, *shapes)
    assert (low, high) == theirs.interval(0.8, *shapes)
    assert getattr(stats, name).support(*shapes) == theirs.support(*shapes)


def test_quantiles_of_discrete_distributions_jump() -> None:
    def jump(q: Any, p: Any) -> Any:
        return np.sum(stats.binom.ppf(q, 7, p))

    slopes = go.grad(jump, (0, 1))(np.array([0.3, 0.6]), 0.4)
    np.testing.assert_array_equal(np.hstack(slopes), np.zeros(3))


def test_noncentral_distributions_far_out() -> None:
    x = np.array([3000.0, 4300.0, 5000.0])
    args = (300.0, 4000.0)
    for method in ("logpdf", "cdf", "sf"):
        got = getattr(stats.ncx2, method)(x, *args)
        np.testing.assert_allclose(got, getattr(scipy.stats.ncx2, method)(x, *args), 1e-10)
    # Without noncentrality, they are others, with derivatives in it.
    x, args = x / 1e3, (3.2, 0.0)
    np.testing.assert_allclose(stats.ncx2.cdf(x, *args), scipy.stats.chi2.cdf(x, 3.2), 1e-14)
    slope = go.grad(lambda nc: np.sum(stats.ncx2.cdf(x, 3.2, nc)))(0.0)
    np.testing.assert_allclose(slope, -np.sum(scipy.stats.chi2.pdf(x, 5.2)), 1e-13)
    assert np.isnan(stats.ncx2.cdf(3.0, 2.0, 1e9))


def test_noncentral_t_of_both_signs() -> None:
    shapes = (2.3, 6.0), (14.0, -1.2), (1.1, -0.4), (1e3, 30.0)
    for df, nc in shapes:
        x = scipy.stats.nct.ppf([0.02, 0.4, 0.6, 0.97], df, nc)
        for method in ("cdf", "sf"):
            want = getattr(scipy.stats.nct, method)(x, df, nc)
            np.testing.assert_allclose(getattr(stats.nct, method)(x, df, nc), want, 1e-9)
    # The density is an integral, SciPy's a difference: of Student's its formula, and at 0.
    x = np.array([-40.0, -0.3, 0.0, 1e-9, 2.0, 1e5])
    np.testing.assert_allclose(stats.nct.pdf(x, 0.4, 0.0), scipy.stats.t.pdf(x, 0.4), 1e-13)
    at_zero = math.gamma(1.6) / math.gamma(1.1) / math.sqrt(2.2 * math.pi) * math.exp(-0.5)
    np.testing.assert_allclose(stats.nct.pdf(0.0, 2.2, 1.0), at_zero, 1e-13)
    slope, bend = go.grad(stats.nct.cdf), go.grad(go.grad(stats.nct.cdf))
    np.testing.assert_allclose(slope(0.0, 2.2, 1.0), at_zero, 1e-11)
    np.testing.assert_allclose(bend(0.0, 2.2, 1.0), go.grad(stats.nct.pdf)(0.0, 2.2, 1.0), 1e-11)
    # Far out, where squares overflow.
    np.testing.assert_allclose(stats.nct.cdf(1e200, 2.2, 1.0), 1.0, 1e-15)


def test_von_mises_of_narrow_distributions() -> None:
    # Sums of 10^5 heights of the density, which is analytic and periodic.
    for kappa in (2.1, 200.0):
        grid = (np.arange(200_000) + 0.5) * (2 * np.pi / 200_000) - np.pi
        total = np.cumsum(scipy.stats.vonmises.pdf(grid, kappa)) * (grid[1] - grid[0])
        for place in (60_000, 95_000, 110_000):
            got = stats.vonmises.cdf(grid[place] + 0.5 * (grid[1] - grid[0]), kappa)
            np.testing.assert_allclose(got, total[place], 3e-6)
            back = stats.vonmises.ppf(got, kappa)
            np.testing.assert_allclose(back, grid[place] + 0.5 * (grid[1] - grid[0]), 1e-9)


@pytest.mark.parametrize(
    ("name", "args", "argnums"),
    [
        ("bernoulli", (np.array([0, 1, 1]), 0.3), 1),
        ("binom", (np.array([0, 2, 7]), 7, 0.3), 2),
        ("dlaplace", (np.array([-2, 0, 3]), 0.8), 1),
        ("geom", (np.array([1, 2, 7]), 0.3), 1),
        ("nbinom", (np.array([0, 2, 9]), 3.5, 0.4), (1, 2)),
        ("poisson", (np.array([0, 2, 9]), 2.3), 1),
        ("betabinom", (np.array([0, 2, 7]), 7, 1.4, 2.3), (2, 3)),
        ("betanbinom", (np.array([0, 2, 7]), 5, 4.3, 2.1), (2, 3)),
        ("boltzmann", (np.array([0, 2, 8]), 0.7, 9), 1),
        ("logser", (np.array([1, 2, 7]), 0.6), 1),
        ("planck", (np.array([0, 2, 7]), 0.5), 1),
        ("skellam", (np.array([-2, 0, 3]), 2.1, 1.3), (1, 2)),
        ("yulesimon", (np.array([1, 2, 7]), 2.6), 1),
        ("zipf", (np.array([1, 2, 7]), 3.5), 1),
    ],
)
def test_discrete_derivatives(name: str, args: Any, argnums: Any) -> None:
    functions = [calls(name, method) for method in methods(name, ("pmf", "logpmf", "cdf", "sf"))]
    everything = go.compile(lambda *args: [f(*args) for f in functions])
    go.gradcheck(everything, args, argnums=argnums, order=2)


# -- Vectors -----------------------------------------------------------------------------------

RNG = np.random.default_rng(3)
ROOT = RNG.normal(size=(4, 4))
COV = ROOT @ ROOT.T + np.eye(4)
X = RNG.normal(size=(5, 4))
MEAN = RNG.normal(size=4)


@pytest.mark.parametrize(
    "args",
    [
        (X, MEAN, COV),
        (X[0], MEAN, COV),
        (X, None, COV),
        (X, MEAN, 2.0),
        (X, MEAN, np.arange(1.0, 5.0)),
        (X[:, :1], 0.3, 2.0),
        (X[0], 0.5, 2.0),
        (0.7,),
        (X.reshape(5, 2, 2), np.zeros(2), 2 * np.eye(2)),
    ],
)
def test_multivariate_normal(args: Any) -> None:
    for method in ("pdf", "logpdf"):
        got = getattr(stats.multivariate_normal, method)(*args)
        want = getattr(scipy.stats.multivariate_normal, method)(*args)
        np.testing.assert_allclose(got, want, 1e-11)
        assert np.shape(got) == np.shape(want)
    if len(args) == 3 and args[1] is not None:
        entropy = scipy.stats.multivariate_normal.entropy(*args[1:])
        np.testing.assert_allclose(stats.multivariate_normal.entropy(*args[1:]), entropy, 1e-12)


def test_multivariate_normal_derivatives() -> None:
    def logpdf(x: Any, mean: Any, root: Any) -> Any:
        return stats.multivariate_normal.logpdf(x, mean, root @ root.T + np.eye(4))

    go.gradcheck(logpdf, (X[:2], MEAN, ROOT), order=2)
    go.gradcheck(lambda c: stats.multivariate_normal.entropy(MEAN, c + c.T), (COV,), order=2)
    singular = np.diag([1.0, 2.0, 0.0, 0.0])
    place = np.concatenate([X[0, :2], MEAN[2:]])

    def flat(x: Any, mean: Any) -> Any:
        x = np.concatenate([x[:2], mean[2:]])
        return stats.multivariate_normal.logpdf(x, mean, singular, allow_singular=True)

    want = scipy.stats.multivariate_normal.logpdf(place, MEAN, singular, allow_singular=True)
    np.testing.assert_allclose(flat(place, MEAN), want, 1e-12)
    go.gradcheck(flat, (place, MEAN), order=2)


def test_dirichlet_and_multinomial() -> None:
    alpha = np.array([1.3, 2.0, 0.7])
    places = RNG.dirichlet(alpha, 5).T
    for x in (places, places[:, 0], places[:2, 0]):
        for method in ("pdf", "logpdf"):
            want = getattr(scipy.stats.dirichlet, method)(x, alpha)
            np.testing.assert_allclose(getattr(stats.dirichlet, method)(x, alpha), want, 1e-11)
    np.testing.assert_allclose(
        stats.dirichlet.entropy(alpha), scipy.stats.dirichlet.entropy(alpha), 1e-12
    )
    go.gradcheck(lambda a: stats.dirichlet.logpdf(places, a), (alpha,), order=2)
    go.gradcheck(
        lambda x, a: stats.dirichlet.pdf(x / np.sum(x, 0), a), (places[:, :2], alpha), order=2
    )
    counts, p = np.array([[1, 2, 3], [0, 6, 0], [1, 1, 1]]), np.array([0.2, 0.3, 0.5])
    np.testing.assert_allclose(
        stats.multinomial.logpmf(counts, 6, p), scipy.stats.multinomial.logpmf(counts, 6, p), 1e-12
    )
    go.gradcheck(lambda p: stats.multinomial.pmf(counts, 6, p / np.sum(p)), (p,), order=2)
    # A categorical variable is a multinomial one of one trial.
    one = np.eye(3)
    got = stats.multinomial.logpmf(one, 1, p)
    np.testing.assert_allclose(got, np.log(p), 1e-14)
    np.testing.assert_allclose(got, scipy.stats.multinomial.logpmf(one, 1, p), 1e-14)
    go.gradcheck(lambda p: stats.multinomial.logpmf(one[1], 1, p / np.sum(p)), (p,), order=2)


# -- Calls of SciPy's own ----------------------------------------------------------------------


def likelihood(parameters: Any, x: Any) -> Any:
    total = 0.0
    for v in x:
        total = total - scipy.stats.norm.logpdf(v, parameters[0], parameters[1])
    return total


@pytest.mark.parametrize(
    "f",
    [
        lambda x: scipy.stats.norm.logpdf(x, 0.5, scale=2.0),
        lambda x: scipy.stats.norm(0.3, 2.0).pdf(x),
        lambda x: scipy.stats.norm(x, 2.0).cdf(0.7),
        lambda x: scipy.stats.norm.pdf(0.5) * x,
        lambda x: scipy.stats.expon.sf(x, scale=2.0),
        lambda x: scipy.stats.laplace(loc=1.0).logcdf(x),
        lambda x: scipy.stats.weibull_min.pdf(np.abs(x), c=1.5),
        lambda x: scipy.stats.geom.logpmf(np.array([1, 2, 4]), 0.3 + 0.1 * np.tanh(x)),
        lambda x: scipy.stats.multivariate_normal.logpdf(x, np.zeros(3), COV[:3, :3]),
        lambda x: scipy.linalg.solve(COV[:3, :3], x),
    ],
)
def test_users_call_scipy(f: Any) -> None:
    x = np.array([0.3, 0.7, -0.5])
    np.testing.assert_allclose(go.compile(f)(x), f(x), 1e-12)
    go.gradcheck(f, (x,), order=2)


def test_users_call_scipy_in_loops() -> None:
    parameters, x = np.array([0.1, 1.2]), RNG.normal(size=20)
    gradient = go.compile_grad(likelihood)
    assert all(loop.is_rolled for loop in gradient.lower(parameters, x).loops())
    residual = x - parameters[0]
    want = [-np.sum(residual) / 1.44, 20 / 1.2 - np.sum(residual**2) / 1.2**3]
    np.testing.assert_allclose(gradient(parameters, x), want, 1e-12)


def test_pearson_without_skew_depends_on_it() -> None:
    x, step = np.array([0.3, 1.0, -2.0]), 1e-3
    for name in ("logpdf", "cdf", "sf"):
        slope = getattr(scipy.stats.pearson3, name)(x, step)
        slope = (slope - getattr(scipy.stats.pearson3, name)(x, -step)) / (2 * step)
        found = go.jacfwd(lambda skew, name=name: getattr(stats.pearson3, name)(x, skew))(0.0)
        np.testing.assert_allclose(found, slope, rtol=1e-4, atol=1e-6)


def test_what_is_another_distribution_stays_scipys() -> None:
    class Narrow(scipy.stats.rv_continuous):
        def _pdf(self, x: Any) -> Any:
            return 2.0 + 0 * x

    narrow = Narrow(a=0.0, b=0.5, name="norm")
    half = type(scipy.stats.norm)(a=0.0, name="norm")
    for distribution in (narrow, half, half(0.3)):
        with pytest.raises(UnsupportedError, match="is not supported on traced arrays"):
            go.compile(lambda x: distribution.pdf(x))(0.25)  # noqa: B023


# -- Errors ------------------------------------------------------------------------------------


def test_errors() -> None:
    with pytest.raises(ArgumentTypeError, match=r"scipy\.stats\.norm takes loc, scale, once each"):
        stats.norm.pdf(0.5, 0.0, 1.0, 2.0)
    with pytest.raises(ArgumentTypeError, match="and loc"):
        stats.norm.pdf(0.5, 0.0, loc=1.0)
    with pytest.raises(ArgumentTypeError, match="and mu"):
        stats.norm.pdf(0.5, mu=1.0)
    with pytest.raises(ArgumentTypeError, match="weibull_min needs c"):
        stats.weibull_min.pdf(0.5)
    with pytest.raises(ArgumentTypeError, match="weibull_min needs c"):
        stats.weibull_min()
    with pytest.raises(UnsupportedError, match=r"scipy\.stats\.skewnorm\.entropy"):
        stats.skewnorm.entropy(0.5)
    with pytest.raises(UnsupportedError, match=r"norm\.rvs .*gradopt\.random"):
        go.compile(lambda x: scipy.stats.norm.rvs(x))(0.5)
    with pytest.raises(LinAlgError, match="not positive definite"):
        stats.multivariate_normal.logpdf(X, MEAN, -COV)
    with pytest.raises(ShapeError, match=r"shape \(5, 3\), for vectors of 4"):
        stats.multivariate_normal.logpdf(X[:, :3], MEAN, COV)
    with pytest.raises(ShapeError, match=r"covariance has shape \(3, 3\), of vectors of 4"):
        stats.multivariate_normal.logpdf(X, MEAN, COV[:3, :3])


# -- Samples -----------------------------------------------------------------------------------

SAMPLE = RNG.normal(size=(7, 3))
STATISTICS: dict[str, Callable[[Any, Any], Any]] = {
    "zscore": lambda s, x: (s.zscore(x), s.zscore(x, 1, ddof=1), s.zscore(x, None)),
    "zmap": lambda s, x: s.zmap(x[0], x),
    "moment": lambda s, x: (s.moment(x, 3), s.moment(x, 2, 1, keepdims=True)),
    "skew": lambda s, x: (s.skew(x), s.skew(x, 1, False), s.skew(x, None)),
    "kurtosis": lambda s, x: (s.kurtosis(x), s.kurtosis(x, 0, False, False), s.kurtosis(x.T)),
    "sem": lambda s, x: (s.sem(x), s.sem(x, None, 0), s.sem(x, 1, keepdims=True)),
    "gmean": lambda s, x: (s.gmean(abs(x) + 0.1), s.gmean(abs(x) + 0.1, None)),
    "hmean": lambda s, x: s.hmean(abs(x) + 0.1, 1),
    "entropy": lambda s, x: (
        s.entropy(abs(x)),
        s.entropy(x**2, x[::-1] ** 2, base=2),
        s.entropy(x**2, axis=1, keepdims=True),
    ),
}


@pytest.mark.parametrize("name", STATISTICS)
def test_statistics(name: str) -> None:
    f = STATISTICS[name]
    ours = go.compile(lambda x: f(stats, x))
    for x in (SAMPLE, SAMPLE.astype(np.float32), RNG.integers(1, 9, (7, 3))):
        for got, want in zip(
            np.atleast_1d(ours(x)) if name in ("zmap", "hmean") else ours(x),
            np.atleast_1d(f(scipy.stats, x)) if name in ("zmap", "hmean") else f(scipy.stats, x),
            strict=True,
        ):
            tolerance = 1e-5 if x.dtype == np.float32 else 1e-11
            np.testing.assert_allclose(got, want, tolerance, tolerance)
            assert np.shape(got) == np.shape(want)
            assert np.asarray(got).dtype == np.asarray(want).dtype
    go.gradcheck(lambda x: f(scipy.stats, x), (SAMPLE,), order=2)


def test_entropy_of_what_is_not_there() -> None:
    for p, q in [([0.5, 0, 0.5], [0.3, 0.2, 0.5]), ([0.5, 0.2, 0.3], [0.3, 0, 0.5])]:
        np.testing.assert_allclose(stats.entropy(p, q), scipy.stats.entropy(p, q), 1e-14)


def test_correlation() -> None:
    x, y = SAMPLE[:, 0], SAMPLE[:, 1]
    for n in (2, 3, 7):
        got, want = stats.pearsonr(x[:n], y[:n]), scipy.stats.pearsonr(x[:n], y[:n])
        np.testing.assert_allclose(got, [want.statistic, want.pvalue], 1e-10)
    go.gradcheck(lambda x, y: tuple(stats.pearsonr(x, y)), (x, y), order=2)
    with pytest.raises(ShapeError, match=r"got \(7,\) and \(6,\)"):
        stats.pearsonr(x, y[:6])
