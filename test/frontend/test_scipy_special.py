# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Functions of `scipy.special` in compiled functions: SciPy's values, and derivatives."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import mpmath
import numpy as np
import pytest
import scipy.special as sp

import gradopt as go
import gradopt.scipy.special as gs
from gradopt.errors import CompilerError, UnsupportedError

X = np.array([0.5, 1.5, 3.2, 7.7])
U = np.array([0.1, 0.3, 0.6, 0.95])
S = np.array([-1.2, 0.01, 0.4, 2.0])

# Ufuncs that are expressions of others, or several ops; those that are one op each have rows in
# test/numerics/special_ops.py.
NAMES: dict[str, tuple[Any, ...]] = {
    **dict.fromkeys(["exp2", "expm1", "cosm1", "exprel", "exp10"], (S,)),
    **dict.fromkeys(["sindg", "cosdg", "tandg", "cotdg"], (X * 37,)),
    **dict.fromkeys(["loggamma", "zetac", "erfi", "gammasgn", "entr", "log1p", "cbrt"], (X / 3,)),
    **dict.fromkeys(["rgamma", "sici", "shichi", "fresnel", "airy"], (S - 0.1,)),
    **dict.fromkeys(["rel_entr", "kl_div", "poch", "binom", "agm", "chdtri", "stdtrit"], (X, U)),
    **dict.fromkeys(["chdtr", "chdtrc", "stdtr"], (X, X + 1)),
    **dict.fromkeys(["gdtr", "gdtrc", "fdtr", "fdtrc"], (X, X + 1, X / 4)),
    **dict.fromkeys(["gdtrix", "fdtri"], (X, X + 1, U)),
    **dict.fromkeys(["boxcox", "boxcox1p", "powm1"], (X, S)),
    **dict.fromkeys(["inv_boxcox", "inv_boxcox1p"], (U, S)),
    "gdtria": (U, X, X),
    "huber": (np.full(4, 1.1), S),
    "pseudo_huber": (X, S),
    "nrdtrimn": (U, X, X),
    "nrdtrisd": (X, U, X + 1),
    "radian": (X, U, S),
}
POLYNOMIALS = """
    eval_legendre eval_sh_legendre eval_chebyt eval_chebyu eval_chebyc eval_chebys eval_sh_chebyt
    eval_sh_chebyu eval_hermite eval_hermitenorm eval_laguerre
"""
FIXED: dict[str, tuple[Callable[..., Any], Any]] = {
    "jn": (lambda x: sp.jn(3, x), X),
    "yn": (lambda x: sp.yn(3, x), X),
    "kn": (lambda x: sp.kn(3, x), X),
    **{
        name: (lambda x, f=name: tuple([getattr(sp, f)(1.3, x, n) for n in (0, 1, 3)]), X)
        for name in ("jvp", "yvp", "ivp", "kvp")
    },
    "hankel": (lambda x: np.abs(sp.hankel1(1.5, x) + sp.hankel2e(0.5, x)), X),
    "diric": (lambda x: sp.diric(x, 4) + sp.diric(x * 2, 3), X),
    "ellipj": (lambda u: sp.ellipj(u, U), X),
    "jve": (lambda x: sp.jve(1.5, x) + sp.yve(1.5, x), X),
    "jvp of an integer": (lambda x: sp.jvp(0, x), X),
    "eval_sh_jacobi": (lambda x: sp.eval_sh_jacobi(3, x + 3, x + 1.5, x / 2), X),
    "expn of order 0": (lambda x: sp.expn(0, x), X),
    "pdtr": (lambda m: sp.pdtr(3, m) + sp.pdtrc(2, m), X),
    "pdtri": (lambda p: sp.pdtri(3, p), U),
    "bdtr": (lambda p: sp.bdtr(3, 7, p) + sp.bdtrc(2, 7, p), U),
    "bdtri": (lambda p: sp.bdtri(3, 7, p), U),
    "nbdtr": (lambda p: sp.nbdtr(3, 7, p) + sp.nbdtrc(2, 7, p), U),
    "nbdtri": (lambda p: sp.nbdtri(3, 7, p), U),
    **{
        name: (lambda x, name=name: tuple([getattr(sp, name)(n, x) for n in (0, 1, 5)]), S)
        for name in POLYNOMIALS.split()
    },
    "degrees": (lambda x: sp.eval_legendre(np.arange(4)[:, None], x), S),
    "genlaguerre": (lambda x: sp.eval_genlaguerre(4, x + 2, x), S),
    "gegenbauer": (lambda x: sp.eval_gegenbauer(4, x + 2, x / 2), S),
    "jacobi": (lambda x: sp.eval_jacobi(4, x + 2, x + 3, x / 2), S),
    "lpmv": (lambda x: sp.lpmv(1, 3, x) + sp.lpmv(-2, 3, x), U),
    # Functions that are no ufuncs: they are called through ours in rewritten code.
    "logsumexp": (lambda x: sp.logsumexp(x), S),
    "logsumexp with factors": (lambda x: sp.logsumexp(x, b=X, keepdims=True), S),
    "softmax": (lambda x: sp.softmax(x.reshape(2, 2), axis=1), S),
    "log_softmax": (lambda x: sp.log_softmax(x), S),
    "softplus": (lambda x: sp.softplus(x), S),
    "polygamma": (lambda x: sp.polygamma(2, x), X),
    "zeta": (lambda x: sp.zeta(x + 1), X),
    "Hurwitz's zeta": (lambda x: sp.zeta(2.5, x), X),
    "multigammaln": (lambda x: sp.multigammaln(x + 1, 3), X),
    "comb": (lambda n: sp.comb(n + 2, 1.5), X),
    "comb with repetition": (lambda n: sp.comb(n, 3, repetition=True), X),
    "perm": (lambda n: sp.perm(n + 3, 2.5), X),
    "factorial": (lambda n: sp.factorial(n / 2), X),
    "lambertw": (lambda x: sp.lambertw(x), X),
    "sph_harm_y": (lambda x: sp.sph_harm_y(3, 2, x / 3, x) + sp.sph_harm_y(3, -1, x / 3, x), X),
    **{
        f"spherical_{kind}n": (
            lambda x, kind=kind: (
                getattr(sp, f"spherical_{kind}n")(2, x)
                + getattr(sp, f"spherical_{kind}n")(0, x, derivative=True)
            ),
            X,
        )
        for kind in "jyik"
    },
}
CASES: dict[str, tuple[Callable[..., Any], tuple[Any, ...]]] = {
    **{name: (getattr(sp, name), args) for name, args in NAMES.items()},
    **{name: (function, (x,)) for name, (function, x) in FIXED.items()},
}


def parts(result: Any) -> tuple[Any, ...]:
    return result if isinstance(result, tuple) else (result,)


@pytest.mark.parametrize("name", CASES)
def test_values_are_scipys(name: str) -> None:
    function, args = CASES[name]
    got = parts(go.compile(lambda *x: function(*x))(*args))
    for value, want in zip(got, parts(function(*args)), strict=True):
        assert np.asarray(value).dtype == np.asarray(want).dtype
        np.testing.assert_allclose(value, want, 1e-10, 1e-14)


@pytest.mark.parametrize("name", CASES)
def test_derivatives_are_limits_of_differences(name: str) -> None:
    function, args = CASES[name]

    def loss(*x: Any) -> Any:
        return sum(np.sum(np.tanh(part.real / 9)) for part in parts(function(*x)))

    every = tuple(range(len(args)))
    go.gradcheck(loss, args, argnums=every)
    go.gradcheck(go.compile_grad(loss, every), args, argnums=every, modes=("fwd",))


def test_single_precision_stays() -> None:
    x = X.astype(np.float32)
    for name in ("gammaln", "psi", "i0", "boxcox", "expi", "gammainc"):
        function, arity = getattr(sp, name), getattr(sp, name).nin
        got = go.compile(lambda *x, f=function: f(*x))(*[x] * arity)
        want = function(*[x] * arity)
        assert got.dtype == want.dtype == np.float32
        np.testing.assert_allclose(got, want, 1e-5)


@pytest.mark.parametrize(
    "name", ["gammaln", "expi", "jv", "beta", "entr", "xlogy", "xlog1py", "logit", "log_expit"]
)
@pytest.mark.parametrize("dtype", ["i1", "i8", "?"])
def test_integers_are_promoted_as_scipy_does(name: str, dtype: str) -> None:
    x = np.array([1, 2, 3]).astype(dtype)
    function = getattr(sp, name)
    args = [x] * function.nin
    got = go.compile(lambda *x: function(*x))(*args)
    with np.errstate(all="ignore"):
        want = function(*args)
    assert got.dtype == want.dtype
    np.testing.assert_allclose(got, want, 1e-6)


def carlsons(x: Any, y: Any, z: Any, p: Any) -> Any:
    return np.stack(
        [
            *(sp.elliprf(x, y, z), sp.elliprd(x, y, z), sp.elliprg(x, y, z)),
            *(sp.elliprc(x, p), sp.elliprj(x, y, z, p)),
        ]
    )


def test_carlsons_integrals() -> None:
    ends = [0.0, 1e-5, 0.3, 1.0, 1.05, 2.0, 50.0, np.inf, np.nan, -1.0]
    x, y, z, p = np.array(list(itertools.product(ends, repeat=4))).T
    with np.errstate(all="ignore"):
        want = carlsons(x, y, z, p)
    got = go.compile(carlsons)(x, y, z, p)
    for row in range(3):
        np.testing.assert_allclose(got[row], want[row], 2e-15)
    # NaN of a NaN, and infinity at a pole, of which SciPy says other things.
    known = np.isfinite(want + x + y + z + p)
    np.testing.assert_allclose(got[3:][known[3:]], want[3:][known[3:]], 5e-13)
    assert np.isnan(got[:, np.isnan(x)]).all()
    single = [(k + np.arange(1, 9)).astype(np.float32) for k in range(4)]
    with np.errstate(all="ignore"):
        want = carlsons(*single)
    got = go.compile(carlsons)(*single)
    assert got.dtype == want.dtype
    np.testing.assert_allclose(got, want, 3e-6)


third = go.compile(lambda x, y, z, p: sp.elliprj(x, y, z, p))


@pytest.mark.parametrize(
    ("x", "y", "z", "p", "want"),
    [
        # With mpmath 1.3; SciPy's are off by a thousandth, or NaN.
        (1e-300, 1e-300, 0.3, 2.0, 944.7834146897143),
        (1.05, 2.0, 1e300, 1e5, 1.6674430906037802e-154),
        (1e-300, 1e-300, 1e-300, 1.05, 2.857142857142857e150),
        (0.0, 1e-8, 1e-8, 1e-300, 4.71238898038469e158),
    ],
)
def test_carlsons_integrals_of_numbers_far_apart(
    x: float, y: float, z: float, p: float, want: float
) -> None:
    assert third(x, y, z, p) == pytest.approx(want, rel=1e-14)


@pytest.mark.slow
def test_carlsons_integrals_have_derivatives() -> None:
    x = np.array([0.5, 1.5, 1.5, 0.4])
    p = np.array([0.7, 2.1, -1.3, -0.4])
    args = (x, 1.7 * x, 0.6 * x, p)

    def loss(*args: Any) -> Any:
        return np.sum(np.tanh(carlsons(*args) / 2))

    go.gradcheck(loss, args, argnums=(0, 1, 2, 3))
    # Equal arguments, in all orders.
    ones = (np.ones(1),) * 3
    go.gradcheck(lambda *x: np.sum(sp.elliprf(*x) ** 2), ones, argnums=(0, 1, 2), order=2)
    found = go.compile_grad(lambda x: np.sum(sp.elliprf(x, 1.0, 2.0)))(np.zeros(1))
    assert found[0] == -np.inf


FADDEEVAS = ("wofz", "erf", "erfc", "erfcx", "erfi", "dawsn")


def faddeevas(z: Any) -> Any:
    return np.stack([getattr(sp, name)(z) for name in FADDEEVAS])


def test_error_functions_of_complex_numbers() -> None:
    parts = [-30.0, -6.5, -3.2, -1.1, -0.4, -1e-5, 0.0, 1e-9, 0.2, 0.8, 1.5, 4.1, 9.0]
    x, y = (grid.ravel() for grid in np.meshgrid(parts, parts))
    z = x + 1j * y
    got, want = go.compile(faddeevas)(z), faddeevas(z)
    known = np.isfinite(want)
    assert known.sum() > 900
    # In size: SciPy's parts are as accurate each.
    got, want = got[known], want[known]
    assert np.all(np.abs(got - want) <= 3e-14 * np.abs(want))
    single = z[20:25].astype(np.complex64)
    assert go.compile(lambda z: sp.erf(z))(single).dtype == sp.erf(single).dtype
    assert go.compile(lambda x: sp.wofz(x))(x).dtype == np.complex128
    assert go.compile(lambda z: sp.erf(z))(np.zeros((0, 2), complex)).shape == (0, 2)


def test_error_functions_of_complex_numbers_have_derivatives() -> None:
    x, y = np.array([0.3, -0.7, 1.6, -2.1]), np.array([0.2, 0.9, -0.8, -0.1])

    def parts_of(x: Any, y: Any) -> Any:
        values = faddeevas(x + 1j * y)
        return np.real(values), np.imag(values)

    go.gradcheck(parts_of, (x, y), argnums=(0, 1))
    go.gradcheck(lambda x, y: np.real(sp.wofz(x + 1j * y)), (x, y), argnums=(0, 1), order=2)
    # Holomorphic: the derivative is the one of the equation.
    slope = go.compile(lambda z: go.jvp(sp.erf, (z,), (np.ones_like(z),))[1])(x + 1j * y)
    np.testing.assert_allclose(slope, 2 / np.sqrt(np.pi) * np.exp(-((x + 1j * y) ** 2)), 1e-13)


def test_slopes_of_error_functions_far_away() -> None:
    """Where the equations that they solve leave rounding errors."""
    z = np.array([25 + 3j, -40 + 1e-6j, 3e3 - 1e-3j, 1e6 + 1e6j, 3e8 + 2j, 21 - 19j, 5 + 30j])
    with mpmath.workdps(400):
        points = [mpmath.mpc(v) for v in z]

        def wofz(z: Any) -> Any:
            return mpmath.exp(-z * z) * mpmath.erfc(-1j * z)

        def dawsn(z: Any) -> Any:
            return mpmath.sqrt(mpmath.pi) / 2 * mpmath.exp(-z * z) * mpmath.erfi(z)

        root = mpmath.sqrt(mpmath.pi)
        want = np.array(
            [
                [2j / root - 2 * v * wofz(v) for v in points],
                [1j * (2j / root - 2 * (1j * v) * wofz(1j * v)) for v in points],
                [1 - 2 * v * dawsn(v) for v in points],
            ]
        ).astype(complex)
        profile = mpmath.diff(lambda s: mpmath.re(wofz((1 + 0.5j) / s / root)) / s, 1e-3)

    def slopes(z: Any) -> Any:
        return np.stack(
            [go.jvp(f, (z,), (np.ones_like(z),))[1] for f in (sp.wofz, sp.erfcx, sp.dawsn)]
        )

    got = go.compile(slopes)(z)
    known = np.isfinite(want) & (np.abs(want) < 1e300)
    assert known.sum() >= 18
    got, want = got[known], want[known]
    for part in (np.real, np.imag):
        assert (np.abs(part(got) - part(want)) <= 1e-12 * np.abs(want)).all()
    # It is the difference of numbers that are 1 / sigma^2 times as large.
    sigma = 1e-3 * np.sqrt(np.pi / 2)
    slope = go.grad(lambda s: sp.voigt_profile(1.0, s, 0.5))(sigma)
    want_slope = float(profile) / (np.sqrt(2 * np.pi) * np.pi / 2)
    np.testing.assert_allclose(slope, want_slope, 1e-15 / sigma**2)


def test_hankels_functions() -> None:
    for name in ("hankel1", "hankel2", "hankel1e", "hankel2e"):
        function = getattr(sp, name)
        got, want = go.compile(lambda x, f=function: f(1.5, x))(X), function(1.5, X)
        assert got.dtype == want.dtype
        np.testing.assert_allclose(got, want, 1e-12)
    turns = np.array([0.0, 2.0, -4.0, 1.0]) * np.pi
    for n in (1, 2, 5):
        np.testing.assert_allclose(gs.diric(turns, n), sp.diric(turns, n), 1e-12, 1e-12)
    assert np.isnan(gs.diric(X, 0)).all()


def test_voigt_profile() -> None:
    x = np.array([0.0, 0.3, -2.0, 5.0])

    def profile(x: Any, sigma: Any, gamma: Any) -> Any:
        return sp.voigt_profile(x, sigma, gamma)

    for widths in ((1.0, 0.5), (0.0, 1.0), (1.0, 0.0), (0.0, 0.0), (1e-3, 1e-3)):
        np.testing.assert_allclose(
            go.compile(profile)(x, *widths), sp.voigt_profile(x, *widths), 1e-13
        )
    go.gradcheck(profile, (x, 1.2, 0.5), argnums=(0, 1, 2))


def test_outside_of_traces_they_are_functions() -> None:
    np.testing.assert_allclose(gs.logsumexp(S), sp.logsumexp(S), 1e-14)
    value, sign = gs.logsumexp(S, b=-X, return_sign=True)
    want = sp.logsumexp(S, b=-X, return_sign=True)
    np.testing.assert_allclose([value, sign], want, 1e-14)
    np.testing.assert_allclose(gs.factorial2(np.arange(6.0)), [1, 1, 2, 3, 8, 15], 1e-14)


def test_what_is_refused_says_why() -> None:
    with pytest.raises(UnsupportedError, match="psi of complex numbers is not supported"):
        go.compile(lambda x: sp.psi(x + 1j))(X)
    with pytest.raises(UnsupportedError, match="degrees that are integers"):
        go.compile(lambda n: sp.eval_legendre(n, 0.5))(X)
    with pytest.raises(CompilerError, match="no derivative in operand `v`"):
        go.compile_grad(lambda v: np.sum(sp.jv(v, 2.0)))(X)
    with pytest.raises(UnsupportedError, match="exact=True"):
        go.compile(lambda n: sp.comb(n, 2, exact=True))(X)


def test_ufuncs_are_there_under_both_names() -> None:
    assert gs.gammaln is sp.gammaln
    assert gs.poch is sp.poch
    # SciPy's others are no use here, and messages do not name them.
    for name in ("errstate", "obl_cv"):
        with pytest.raises(AttributeError, match=f"has no attribute '{name}'"):
            getattr(gs, name)
    ends = np.array([np.inf, -np.inf, 0.0])
    np.testing.assert_array_equal(go.compile(sp.erfi)(ends), ends)


P, Q = np.array([0.1, 0.35, 0.6, 0.95]), np.array([0.5, 0.6, 0.7, 0.95])
T = np.array([0.4, 0.9, 1.7, 3.0])
# Probabilities and parameters of distributions: operands, and those without derivatives.
OF_DISTRIBUTIONS: dict[str, tuple[tuple[Any, ...], tuple[int, ...]]] = {
    "kolmogorov": ((T,), ()),
    "kolmogi": ((P,), ()),
    "smirnov": ((np.array([3.0, 5, 10, 2]), np.array([0.1, 0.3, 0.6, 0.9])), (0,)),
    "smirnovi": ((np.array([3.0, 5, 10, 2]), P), (0,)),
    "chndtr": ((T, T + 1, T / 2), ()),
    "ncfdtr": ((T + 1, T + 2, T / 2, T), ()),
    "nctdtr": ((T + 1, T - 1, T - 0.5), ()),
    "btdtria": ((P, T, P[::-1].copy()), ()),
    "btdtrib": ((T, P, P[::-1].copy()), ()),
    "gdtrib": ((T, P, T + 1), ()),
    "chdtriv": ((P, T), ()),
    "pdtrik": ((Q, T / 3), ()),
    "nbdtrik": ((Q, T + 1, np.full(4, 0.4)), ()),
    "nbdtrin": ((T, P, np.full(4, 0.4)), ()),
    "bdtrik": ((Q, T + 3, np.full(4, 0.4)), ()),
    "bdtrin": ((T, P, np.full(4, 0.4)), ()),
    "stdtridf": ((np.array([0.6, 0.7, 0.8, 0.95]), np.array([0.5, 0.7, 1.2, 4.0])), ()),
    "wrightomega": ((np.array([-3.0, 0.9, 1.1, 5.0, 100.0]),), ()),
    "ndtri_exp": ((np.array([-0.005, -0.5, -4.9, -5.1, -50.0]),), ()),
    "itj0y0": ((T,), ()),
}


@pytest.mark.parametrize("name", OF_DISTRIBUTIONS)
def test_probabilities_and_parameters(name: str) -> None:
    args, fixed = OF_DISTRIBUTIONS[name]
    function = getattr(sp, name)
    for got, want in zip(
        parts(go.compile(lambda *x: function(*x))(*args)), parts(function(*args)), strict=True
    ):
        np.testing.assert_allclose(got, want, 2e-11)

    def loss(*x: Any) -> Any:
        return sum(np.sum(np.tanh(part / 9)) for part in parts(function(*x)))

    active = tuple([i for i in range(len(args)) if i not in fixed])
    go.gradcheck(loss, args, argnums=active, rtol=1e-4)
    if len(args) < 3:
        slopes = go.compile_grad(loss, active)
        go.gradcheck(slopes, args, argnums=active, modes=("fwd",), rtol=1e-4)


def test_ends_of_probabilities() -> None:
    ends = np.array([-0.5, 0.0, 1e-300, 0.03, 0.82, 1.0, 2.0, 40.0, np.inf, np.nan])
    for name in ("kolmogorov", "wrightomega", "ndtri_exp"):
        function = getattr(sp, name)
        got = go.compile(lambda x, f=function: f(x))(-ends if name == "ndtri_exp" else ends)
        want = function(-ends if name == "ndtri_exp" else ends)
        np.testing.assert_allclose(got, want, 1e-12)
    wrong = np.array([-0.1, 1.5, np.nan])
    for name in ("kolmogi", "chdtriv", "btdtria"):
        function = getattr(sp, name)
        args = [wrong, *[np.full(3, 0.4)] * (function.nin - 1)]
        assert np.isnan(go.compile(lambda *x, f=function: f(*x))(*args)).all()
    single = go.compile(lambda x: sp.kolmogorov(x))(T.astype(np.float32))
    assert single.dtype == np.float32


def test_slopes_where_gamma_functions_have_poles() -> None:
    """Rising factorials and binomial coefficients have them there, as polynomials do."""
    z, m = np.array([1.0, 2, 0.5, 0, -1, -1]), np.array([0.0, 0, 0, 1, 3, 2.5])
    n, k = np.array([0.0, 2, 3, 5, -0.4]), np.array([1.0, 3, -1, 2, 2.6])
    go.gradcheck(lambda z, m, n, k: (sp.poch(z, m), sp.binom(n, k)), (z, m, n, k))
    slope = go.compile(go.grad(go.grad(lambda m: sp.poch(2.0, m))))(0.0)
    np.testing.assert_allclose(slope, sp.polygamma(1, 2.0) + sp.psi(2.0) ** 2, 1e-13)
    far = np.array([160.0, -120.5, 300.0]), np.array([5.0, 60.2, -9.0])
    # Far out, by differences of logarithms.
    single = np.array([29, 40, 200], np.float32), np.array([15, 20, 3], np.float32)
    for function, near in ((sp.poch, (z, m)), (sp.binom, (n, k))):
        compiled = go.compile(lambda a, b, f=function: f(a, b))
        for args, tolerance in ((far, 1e-12), (near, 1e-12), (single, 2e-4)):
            np.testing.assert_allclose(compiled(*args), function(*args), tolerance)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_gamma_functions_below_zero(dtype: Any) -> None:
    """Next to 0 and to other poles: distances to these are exact."""
    tiny = 1e-300 if dtype == np.float64 else 1e-37
    x = -np.array([tiny, 1e-20, 1e-8, 1e-3, 0.4, 0.6, 0.999, 1.001, 2.5, 7.3]).astype(dtype)
    for got, want in zip(
        go.compile(lambda x: (sp.gammaln(x), sp.psi(x)))(x), (sp.gammaln(x), sp.psi(x)), strict=True
    ):
        np.testing.assert_allclose(got, want, 1e-12 if dtype == np.float64 else 3e-5)


def test_events_of_trials_at_their_ends() -> None:
    parts = np.meshgrid([-1, 0, 1.5, 3], np.arange(-1, 4), [-0.1, 0, 0.3, 1, 1.1, np.nan])
    k, n, p = (x.ravel() for x in parts)
    for name in ("bdtr", "bdtrc", "bdtri"):
        function = getattr(sp, name)
        got = go.compile(lambda *x, f=function: f(*x))(k, n, p)
        np.testing.assert_allclose(got, function(k, n, p), 1e-14)


def test_where_there_are_no_probabilities() -> None:
    ends = np.array([-1.0, 0.0, 0.5, 3.0, np.inf])
    u, v, x = (part.ravel() for part in np.meshgrid(ends[:-1], ends[1:-1], ends))
    for name in ("fdtr", "fdtrc", "gdtr", "gdtrc"):
        function, known = getattr(sp, name), np.ones(u.shape, bool)
        if name.startswith("g"):  # Of rates that are none SciPy's differ among each other.
            known = u > 0
        got, want = go.compile(lambda *a, f=function: f(*a))(u, v, x), function(u, v, x)
        np.testing.assert_allclose(got[known], want[known], 1e-12, 1e-14, err_msg=name)


def test_means_of_ends() -> None:
    a, b = (x.ravel() for x in np.meshgrid([0.0, 1.0, -2.0, np.inf], [0.0, 3.0, -2.0, np.inf]))
    known = ~(np.isinf(a) & (b == 0)) & ~(np.isinf(b) & (a == 0))  # SciPy's are both 0 and NaN.
    np.testing.assert_allclose(go.compile(sp.agm)(a, b)[known], sp.agm(a, b)[known], 1e-14)


def test_what_has_no_root_is_nan() -> None:
    """Of parameters that are none, of NaN, and of probabilities that no parameter gives."""
    names = ("btdtria", "btdtrib", "gdtrib", "chdtriv", "pdtrik", "nbdtrik", "bdtrik", "stdtridf")
    nowhere = {"btdtria": (1e-9, 2.0, 0.0), "gdtrib": (0.0, 0.3, 2.0), "btdtrib": (0.4, 1e-9, 0.0)}

    def found(half: Any, nan: Any) -> Any:
        for name in names:
            function = getattr(sp, name)
            for place in range(function.nin):
                yield function(*[nan if i == place else half for i in range(function.nin)])

    assert np.isnan(go.compile(lambda *x: list(found(*x)))(0.5, np.nan)).all()
    for name, args in nowhere.items():
        function = getattr(sp, name)
        assert np.isnan(go.compile(lambda *x, f=function: f(*x))(*args))


def test_width_of_a_profile_that_has_none() -> None:
    slope = go.grad(lambda gamma: sp.voigt_profile(2.0, 0.0, gamma))(0.0)
    np.testing.assert_allclose(slope, 1 / (4 * np.pi), 1e-14)
