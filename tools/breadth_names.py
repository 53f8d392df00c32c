# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What numerical code asks of NumPy and SciPy, by name: the list that `tools/breadth.py` tries.

A name stands for a function, called with the arguments of `tools/probe.py`, where nothing else is
said of it in `CALLS`, a function of one array, or in `CHECKS`, which are whole programs. Of a
distribution all methods in `METHODS` have to work.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.optimize
import scipy.signal
import scipy.sparse
import scipy.special
import scipy.stats

import gradopt as go
from gradopt.errors import UnsupportedError

# -- The names ---------------------------------------------------------------------------------

NUMPY = """
    sort argsort partition argpartition sort_complex median percentile quantile unique unique_all
    unique_counts unique_inverse unique_values searchsorted digitize histogram histogram2d
    histogramdd histogram_bin_edges bincount lexsort union1d intersect1d setdiff1d setxor1d isin
    nanargmax nanargmin nancumprod nancumsum nanmax nanmean nanmedian nanmin nanpercentile nanprod
    nanquantile nanstd nansum nanvar nan_to_num cumprod cumsum cumulative_sum cumulative_prod cov
    corrcoef gradient interp piecewise select choose block insert delete resize put
    take_along_axis put_along_axis fill_diagonal unwrap poly polyadd polyder polydiv polyfit polyint
    polymul polysub polyval roots ediff1d trim_zeros ravel_multi_index unravel_index gcd lcm ldexp
    frexp nextafter spacing heaviside i0 kaiser nonzero flatnonzero argwhere compress extract
    floor_divide remainder mod fmod divmod bitwise_and bitwise_or bitwise_xor invert left_shift
    right_shift
"""
LINALG = {
    "numpy": "kron",
    "numpy.linalg": """
        cholesky solve inv det slogdet qr svd svdvals eigh eigvalsh eig eigvals lstsq pinv
        matrix_rank cond matrix_power tensorinv tensorsolve multi_dot norm
    """,
    "scipy.linalg": """
        cholesky solve solve_triangular inv det qr svd svdvals eigh eigvalsh eig eigvals lstsq pinv
        expm logm sqrtm block_diag toeplitz lu lu_factor lu_solve cho_factor cho_solve solve_banded
        solve_sylvester norm
    """,
}
FFT = {
    "numpy.fft": """
        fft ifft fft2 ifft2 fftn ifftn rfft irfft rfft2 irfft2 rfftn irfftn hfft ihfft fftfreq
        rfftfreq fftshift ifftshift
    """,
    "scipy.fft": """
        fft ifft fft2 ifft2 fftn ifftn rfft irfft rfft2 irfft2 rfftn irfftn hfft ihfft hfft2 ihfft2
        hfftn ihfftn dct idct dctn idctn dst idst dstn idstn
    """,
}
SPECIAL = """
    gamma gammaln loggamma digamma psi polygamma multigammaln gammasgn rgamma poch gammainc
    gammaincc gammaincinv gammainccinv beta betaln betainc betaincc betaincinv betainccinv
    erf erfc erfcx erfi dawsn wofz erfinv erfcinv ndtr log_ndtr ndtri
    logsumexp softmax log_softmax entr rel_entr kl_div huber pseudo_huber
    boxcox boxcox1p inv_boxcox inv_boxcox1p xlogy xlog1py expit logit log_expit zeta zetac lambertw
    j0 j1 jn jv jve y0 y1 yn yv yve i0 i0e i1 i1e iv ive k0 k0e k1 k1e kn kv kve
    exp1 expi expn sici shichi hyp1f1 hyp2f1
    ellipk ellipkm1 ellipkinc ellipe ellipeinc ellipj elliprc elliprd elliprf elliprg elliprj
    ellip_harm ellip_harm_2 ellip_normal
    eval_legendre eval_sh_legendre eval_chebyt eval_chebyu eval_chebyc eval_chebys eval_sh_chebyt
    eval_sh_chebyu eval_hermite eval_hermitenorm eval_laguerre eval_genlaguerre eval_gegenbauer
    eval_jacobi eval_sh_jacobi lpmv
    sph_harm_y binom comb perm factorial factorial2 cosm1 exprel exp10
"""
CONTINUOUS = """
    norm t gamma beta chi2 f expon laplace lognorm cauchy uniform weibull_min weibull_max pareto
    logistic gumbel_r gumbel_l rayleigh halfnorm invgamma maxwell chi triang truncnorm genextreme
    vonmises
"""
DISCRETE = "poisson binom bernoulli nbinom geom hypergeom randint zipf"
STATISTICS = """
    multivariate_normal dirichlet wishart multinomial gaussian_kde zscore skew kurtosis pearsonr
    entropy
"""
OTHERS = {
    "scipy.signal": """
        convolve fftconvolve oaconvolve convolve2d correlate correlate2d lfilter sosfilt
        savgol_filter savgol_coeffs hilbert stft istft welch get_window
    """,
    "scipy.integrate": """
        odeint solve_ivp fixed_quad quad romb newton_cotes trapezoid simpson cumulative_trapezoid
        cumulative_simpson
    """,
    "scipy.interpolate": "interp1d CubicSpline RegularGridInterpolator",
    "scipy.spatial.distance": "cdist pdist",
    "scipy.ndimage": "map_coordinates gaussian_filter gaussian_filter1d",
}
METHODS = ("pdf", "logpdf", "cdf", "logcdf", "sf", "ppf")
MASSES = ("pmf", "logpmf", "cdf", "logcdf", "sf", "ppf")

# -- Calls of one array ------------------------------------------------------------------------

X = np.array([0.7, 0.2, 0.9, 0.4])
Y = np.array([0.13, 0.3, 0.62, 0.85])
S = np.array([[2.0, 0.3, 0.1], [0.3, 1.5, 0.2], [0.1, 0.2, 1.0]])
Call = tuple[Callable[[Any], Any], np.ndarray[Any, Any]]

_OF_VECTORS = """
    all any argmax argmin argsort conj conjugate copy cumprod cumsum flatten max mean min nonzero
    prod ravel round squeeze std sum transpose var
"""
_METHODS_OF_ARRAYS: dict[str, tuple[Any, tuple[Any, ...]]] = {
    **dict.fromkeys(_OF_VECTORS.split(), (X, ())),
    **dict.fromkeys(("diagonal", "trace"), (S, ())),
    "argpartition": (X, (2,)),
    "astype": (X, (np.complex128,)),
    "choose": (np.array([0, 1, 1, 0]), ([X, Y],)),
    "clip": (X, (0.3, 0.8)),
    "compress": (S, ([True, False, True], 1)),
    "dot": (S, (S,)),
    "repeat": (X, (2,)),
    "reshape": (X, (2, 2)),
    "searchsorted": (np.sort(X), (Y,)),
    "swapaxes": (S, (0, 1)),
    "take": (X, ([1, 3],)),
    "view": (X, ()),
}


def _method(name: str, args: tuple[Any, ...]) -> Callable[[Any], Any]:
    return lambda x: getattr(x, name)(*args)


def _in_place(name: str, *args: Any) -> Callable[[Any], Any]:
    def call(x: Any) -> Any:
        y = x.copy()
        getattr(y, name)(*args)
        return y

    return call


_PADS = {
    "constant": {"constant_values": 0.5},
    "linear_ramp": {"end_values": 0.5},
    **{
        mode: {}
        for mode in ("edge", "maximum", "mean", "median", "minimum", "reflect", "symmetric", "wrap")
    },
}


def _pad(mode: Any, options: Any) -> Callable[[Any], Any]:
    return lambda x: np.pad(x, 2, mode, **options)


def _norm(order: Any) -> Callable[[Any], Any]:
    return lambda x: np.linalg.norm(x, order)


def _outer_of_svd(x: Any) -> Any:
    u, s, vh = np.linalg.svd(x, full_matrices=True)
    return np.abs(u), s, np.abs(vh)  # Signs are free.


def _multigammaln(x: Any) -> Any:
    special: Any = scipy.special
    return special.multigammaln(x + 2, 3)


def _bincount(weights: Any) -> Any:
    return np.bincount(np.array([0, 1, 1, 2]), weights)


CALLS: dict[str, list[Call]] = {
    **{
        f"ndarray.{name}": [(_method(name, args), start)]
        for name, (start, args) in _METHODS_OF_ARRAYS.items()
    },
    **{
        f"ndarray.{name}": [(_in_place(name, *args), X)]
        for name, args in (
            *(("sort", ()), ("partition", (2,)), ("fill", (0.5,)), ("put", ([1], [0.5]))),
        )
    },
    "numpy.pad": [(_pad(mode, options), X) for mode, options in _PADS.items()],
    "numpy.linalg.norm": [
        *((_norm(order), S) for order in (None, "fro", "nuc", np.inf, -np.inf, 1, -1, 2, -2)),
        *((_norm(order), X) for order in (None, np.inf, -np.inf, 0, 1, 2, 3.5)),
    ],
    "numpy.bincount": [(_bincount, X)],
    "numpy.lib.stride_tricks.sliding_window_view": [
        (lambda x: np.lib.stride_tricks.sliding_window_view(x, 2), X)
    ],
    "numpy.linalg.svd": [
        (lambda x: np.linalg.svd(x)[1], S),
        (_outer_of_svd, S),
        (lambda x: np.linalg.svd(x[:, :2], full_matrices=False)[1], S),
    ],
    "numpy.linalg.matrix_power": [
        (lambda x: np.linalg.matrix_power(x, 3), S),
        (lambda x: np.linalg.matrix_power(x, -2), S),
    ],
    "numpy.linalg.tensorinv": [(lambda x: np.linalg.tensorinv(x.reshape(3, 3, 1), 1), S)],
    "numpy.linalg.tensorsolve": [(lambda x: np.linalg.tensorsolve(x, X[:3]), S)],
    "numpy.linalg.multi_dot": [(lambda x: np.linalg.multi_dot([x, S, x[:, :1]]), S)],
    # Orders are constants: there is no derivative in them.
    **{
        f"scipy.special.{name}": [(lambda x, name=name, n=n: getattr(scipy.special, name)(n, x), X)]
        for name, n in (
            *(("jn", 2), ("jv", 1.3), ("jve", 1.3), ("yn", 2), ("yv", 1.3), ("yve", 1.3)),
            *(("iv", 1.3), ("ive", 1.3), ("kn", 2), ("kv", 1.3), ("kve", 1.3), ("expn", 2)),
            ("polygamma", 2),
        )
    },
    "scipy.special.multigammaln": [(_multigammaln, X)],
    "scipy.special.hyp1f1": [(lambda x: scipy.special.hyp1f1(0.7, 1.4, x), X)],
    "scipy.special.comb": [(lambda x: scipy.special.comb(x + 3, 2), X)],
    "scipy.special.ellip_harm": [(lambda x: scipy.special.ellip_harm(5, 8, 1, 1, x), X)],
    "scipy.special.ellip_harm_2": [(lambda x: scipy.special.ellip_harm_2(5, 8, 2, 1, x + 10), X)],
    "scipy.special.ellip_normal": [(lambda x: scipy.special.ellip_normal(5, 8, 3, 7) * x, X)],
    "scipy.stats.wishart": [(lambda x: scipy.stats.wishart.logpdf(x @ x.T, 4.5, x.T @ x), S)],
    "scipy.integrate.solve_ivp": [
        (
            lambda x, method=method: (
                scipy.integrate.solve_ivp(
                    lambda t, y: -y * t, (0.0, 1.0), x, method, [0.5, 1.0], rtol=1e-6, atol=1e-8
                ).y
            ),
            X,
        )
        for method in ("RK45", "DOP853", "Radau")
    ],
    "scipy.sparse.csr_array": [
        (lambda x: scipy.sparse.csr_array(S) @ x, X[:3]),
        (lambda x: x @ scipy.sparse.csr_array(S), S),
    ],
    "scipy.sparse.csc_array": [(lambda x: scipy.sparse.csc_array(S) @ x, X[:3])],
    "scipy.signal.get_window": [
        (lambda x, window=window: x * scipy.signal.get_window(window, 4), X)
        for window in (
            *("boxcar", "triang", "blackman", "hamming", "hann", "bartlett", "flattop", "parzen"),
            *("bohman", "blackmanharris", "nuttall", "barthann", "cosine", "exponential", "tukey"),
            *("taylor", "lanczos", ("kaiser", 4.0), ("gaussian", 1.5), ("chebwin", 100.0)),
            *(("general_gaussian", 1.5, 2.0), ("dpss", 1.5)),
        )
    ],
}

# -- Programs ----------------------------------------------------------------------------------


def _close(a: Any, b: Any, tolerance: float = 1e-9) -> bool:
    return np.shape(a) == np.shape(b) and bool(np.allclose(a, b, tolerance, tolerance))


def _chain(x: Any) -> Any:
    return np.sum((x[1:] - x[:-1] ** 2) ** 2 + np.sin(x[:-1]))


def _sparse_jacobian() -> bool:
    def f(x: Any) -> Any:
        return x[1:] * x[:-1]

    found: Any = go.compile_jacobian(f, sparse=True)(X)
    return scipy.sparse.issparse(found) and _close(found.toarray(), go.jacfwd(f)(X))


def _sparse_hessian() -> bool:
    found: Any = go.compile_hessian(_chain, sparse=True)(X)
    return scipy.sparse.issparse(found) and _close(found.toarray(), go.hessian(_chain)(X))


def _sparse_parameters() -> bool:
    matrix = scipy.sparse.csr_array(np.where(S > 0.25, S, 0))

    def f(a: Any) -> Any:
        return np.sum((a @ X[:3]) ** 3)

    found: Any = go.compile_grad(f)(matrix)
    dense = go.compile_grad(f)(matrix.toarray())
    return _close(found.toarray(), np.where(matrix.toarray() != 0, dense, 0))


def _minimize(method: str) -> Callable[[], bool]:
    def check() -> bool:
        found = go.scipy.minimize(_chain, X, method=method, tol=1e-9)
        want = scipy.optimize.minimize(_chain, X, method="BFGS", tol=1e-9)
        return _close(found.fun, want.fun, 1e-7)

    return check


def _root() -> bool:
    found = go.scipy.root(lambda x: x**3 + x - Y, X)
    return _close(found.x**3 + found.x, Y)


def _least_squares() -> bool:
    found = go.scipy.least_squares(lambda x: np.exp(x) - 1 - Y, X)
    return _close(found.x, np.log1p(Y), 1e-6)


def _no_masked_arrays() -> bool:
    try:
        go.compile(lambda x: np.ma.masked_array(x, X > 0.5))(X)
    except UnsupportedError as error:
        return "numpy.ma" in error.message
    return False


CHECKS: dict[str, list[Callable[[], bool]]] = {
    "numpy.ma, refused": [_no_masked_arrays],
    "jacobian(sparse=True)": [_sparse_jacobian],
    "hessian(sparse=True)": [_sparse_hessian],
    "sparse parameters": [_sparse_parameters],
    "gradopt.scipy.minimize": [
        _minimize(method)
        for method in ("BFGS", "L-BFGS-B", "CG", "Newton-CG", "trust-ncg", "trust-constr", "SLSQP")
    ],
    "gradopt.scipy.root": [_root],
    "gradopt.scipy.least_squares": [_least_squares],
}


def _of(namespace: str, names: str) -> list[str]:
    return [f"{namespace}.{name}" for name in names.split()]


def _methods() -> list[str]:
    return [name for name in CALLS if name.startswith("ndarray.")]


# The parts of the list, and what is in them.
PARTS: dict[str, list[str]] = {
    "numpy": [
        *_of("numpy", NUMPY),
        *("numpy.pad", "numpy.lib.stride_tricks.sliding_window_view", "numpy.ma, refused"),
        *_methods(),
    ],
    "linalg": [name for namespace, names in LINALG.items() for name in _of(namespace, names)],
    "fft": [name for namespace, names in FFT.items() for name in _of(namespace, names)],
    "special": _of("scipy.special", SPECIAL),
    "stats and others": [
        *_of("scipy.stats", f"{CONTINUOUS} {DISCRETE} {STATISTICS}"),
        *(name for namespace, names in OTHERS.items() for name in _of(namespace, names)),
        *("scipy.sparse.csr_array", "scipy.sparse.csc_array"),
        *(name for name in CHECKS if name != "numpy.ma, refused"),
    ],
}
