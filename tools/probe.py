# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Calls every public function of NumPy's and SciPy's namespaces; what came of it.

    .venv/bin/python tools/probe.py                 # a summary
    .venv/bin/python tools/probe.py --table         # each function, too
    .venv/bin/python tools/probe.py numpy.linalg    # of one namespace
    .venv/bin/python tools/probe.py scipy.stats.t   # of one function
    .venv/bin/python tools/probe.py --docs          # writes these to docs/functions.md

A function is called with the first of some simple arguments that NumPy takes, in a compiled
function, whose result is compared with NumPy's, and in its gradient, which is compared with
a difference. Functions of which NumPy takes none of the arguments are not counted, nor are those
that take sizes alone. Distributions are called for their densities, and classes of interpolants at
some places. For the table, derivatives of second order and the code for a GPU are tried, too.
"""

from __future__ import annotations

import argparse
import importlib
import re
import sys
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import scipy.linalg
import scipy.stats
from scipy.stats._distr_params import distcont, distdiscrete

import gradopt as go
from gradopt.errors import CompilerError, GradoptError

_SERIES = ("polynomial", "chebyshev", "legendre", "hermite", "hermite_e", "laguerre")
NAMESPACES = (
    *("numpy", "numpy.linalg", "numpy.fft", "numpy.lib.stride_tricks"),
    *(f"numpy.polynomial.{name}" for name in _SERIES),
    *("scipy.fft", "scipy.integrate", "scipy.interpolate"),
    *("scipy.linalg", "scipy.ndimage", "scipy.signal", "scipy.spatial.distance", "scipy.special"),
    "scipy.stats",
)
_PAGE = Path(__file__).resolve().parent.parent / "docs" / "functions.md"

_X = np.array([0.7, 0.2, 0.9, 0.4])
_Y = np.array([0.13, 0.3, 0.62, 0.85])
_S = np.array([[2.0, 0.3, 0.1], [0.3, 1.5, 0.2], [0.1, 0.2, 1.0]])
_I = np.array([3, 1, 2, 5])
_HOT = _X > 0.5

# What is tried, in this order.
_ARGUMENTS: tuple[tuple[Any, ...], ...] = (
    *((_X,), (_X, _Y), (_S,), (_S, _S), (_S, _X[:3]), (_X, 2), (_I,), (_I, _I), (_I, 2)),
    *((_X, _Y, _X + 1), (_X, _Y, 0.5), (_X, 0, 1), (_X, (4, 1)), (_X, [1, 3]), ([_X, _Y],)),
    *((_X, _I), (_HOT, _X, _Y), (_HOT, _X), (2, _X), (1, _X), (1, 2, _X), (_X, _Y, _X, _Y)),
    *((_I, (6, 6)), (_S, 0), (_S, -1, 0), (0.5, 4), (4,)),
)
# What fits single functions.
_FITTING: dict[str, tuple[Any, ...]] = {
    "apply_along_axis": (np.sum, 0, _S),
    "apply_over_axes": (np.sum, _S, [0, 1]),
    "arange": (5,),
    "array_split": (_X, 3),
    "astype": (_X, np.complex128),
    # In the domain: of numbers of events and trials.
    **dict.fromkeys(("bdtr", "bdtrc", "bdtri", "nbdtr", "nbdtrc", "nbdtri"), (2, 5, _X)),
    "broadcast_shapes": ((4, 1), (1, 4)),
    "choose": ([0, 1, 0, 1], [_X, _Y]),
    "compress": (_HOT, _X),
    "copyto": (_X, _Y),
    "dsplit": (_X.reshape(1, 2, 2), 2),
    "einsum": ("ij,jk->ik", _S, _S),
    "extract": (_HOT, _X),
    "fill_diagonal": (_S, 2.5),
    "indices": ((2, 3),),
    "kaiser": (4, 2.0),
    "linspace": (0.5, 2.0, 4),
    "full": (4, 2.0),
    "geomspace": (0.5, 2.0, 4),
    "logspace": (0.5, 2.0, 4),
    "mask_indices": (3, np.triu),
    "ones": (4,),
    "piecewise": (_X, [_HOT], [1.0, 2.0]),
    "place": (_X, _HOT, [1.0]),
    "polyfit": (_X, _Y, 2),
    "put": (_X, [1, 2], [5.0, 6.0]),
    "put_along_axis": (_S, np.array([[0], [1], [2]]), 0.5, 1),
    "putmask": (_X, _HOT, _Y),
    "ravel_multi_index": ((_I, _I), (6, 6)),
    "roll": (_X, 2),
    "take_along_axis": (_S, np.array([[0], [1], [2]]), 1),
    "tri": (4,),
    "tril_indices": (4,),
    "triu_indices": (4,),
    "unpackbits": (_I.astype(np.uint8),),
    "vsplit": (_S, 3),
    "where": (_HOT, _X, _Y),
    "zeros": (4,),
}
for _prefix in ("poly", "cheb", "leg", "herm", "herme", "lag"):
    _FITTING[f"{_prefix}line"] = (0.5, 2.0)
    _FITTING[f"{_prefix}fit"] = (_X, _Y, 2)
    _FITTING[f"{_prefix}vander2d"] = (_X, _Y, (2, 1))
    _FITTING[f"{_prefix}vander3d"] = (_X, _Y, _X, (1, 1, 1))
_FLOAT = np.dtype(np.float64)
_Q = np.array([0.41, 0.33, 0.52, 0.18, 0.77])
_GRID = np.array([0.0, 0.3, 0.7, 1.1, 1.6])
_WAVE = np.sin(2.1 * np.arange(12.0)) + 0.1 * np.arange(12.0)
_SOS = np.array([[0.2, 0.3, 0.1, 1.0, -0.4, 0.1]])
_BOOLEANS = ("dice", "rogerstanimoto", "russellrao", "sokalsneath", "yule")


def _decay(_: Any, y: Any) -> Any:
    return -y


# Of functions whose names others have, too.
_FITTING_THERE: dict[str, tuple[Any, ...]] = {
    "scipy.integrate.fixed_quad": (np.sin, 0.3, 1.4),
    "scipy.integrate.odeint": (lambda y, _: -y, _X, np.array([0.0, 0.5, 1.0])),
    "scipy.integrate.quad": (np.sin, 0.3, 1.4),
    "scipy.integrate.quad_vec": (np.sin, 0.3, 1.4),
    "scipy.integrate.romb": (_Q,),
    "scipy.integrate.solve_ivp": (_decay, (0.0, 1.0), _X, "RK45", np.array([0.5, 1.0])),
    "scipy.interpolate.BSpline": (np.arange(9.0), _Q, 3, _Y + 3.5),
    "scipy.interpolate.CubicHermiteSpline": (_GRID, _Q, _Q + 1, _Y + 0.05),
    "scipy.interpolate.PPoly": (_Q[:4].reshape(2, 2), _GRID[:3], _Y * 0.7),
    "scipy.interpolate.RectBivariateSpline": (_GRID, _GRID, np.outer(_Q, _Q + 1), _Y, _X),
    "scipy.interpolate.RegularGridInterpolator": ((_GRID,), _Q, _Y),
    # Points are known while tracing.
    "scipy.interpolate.griddata": (
        ((0.0, 1.0, 0.1, 1.3, 0.5), (0.0, 0.1, 1.2, 1.1, 0.4)),
        _Q,
        np.stack([_X, _Y], axis=1),
    ),
    "scipy.interpolate.interpn": ((_GRID,), _Q, _Y),
    "scipy.interpolate.make_interp_spline": (_GRID, _Q, 3, _Y + 0.05),
    "scipy.interpolate.splev": (_Y, (np.arange(9.0), _Q, 3)),
    "scipy.linalg.cho_solve": ((np.linalg.cholesky(_S), True), _X[:3]),
    "scipy.linalg.cho_solve_banded": ((np.array([[0, 0.2, 0.3], [2.0, 1.5, 1.0]]), False), _X[:3]),
    "scipy.linalg.cholesky_banded": (np.array([[0, 0.2, 0.3], [2.0, 1.5, 1.0]]),),
    "scipy.linalg.eig_banded": (np.array([[0, 0.2, 0.3], [2.0, 1.5, 1.0]]), False, True),
    "scipy.linalg.eigvals_banded": (np.array([[0, 0.2, 0.3], [2.0, 1.5, 1.0]]),),
    "scipy.linalg.expm_frechet": (_S, _S + 1),
    "scipy.linalg.fractional_matrix_power": (_S, 0.4),
    "scipy.linalg.solve_circulant": (_X, _Y),
    "scipy.linalg.solve_toeplitz": (_X + 1, _Y),
    "scipy.linalg.solveh_banded": (np.array([[0, 0.2, 0.3], [2.0, 1.5, 1.0]]), _X[:3]),
    "scipy.linalg.subspace_angles": (_S[:, :1], _S[:, 1:2]),
    "scipy.linalg.lu_factor": (_S,),
    "scipy.linalg.lu_solve": (scipy.linalg.lu_factor(_S), _X[:3]),
    "scipy.linalg.solve_banded": ((1, 1), np.array([_X, _X + 3, _Y]), _Y),
    "scipy.linalg.solve_sylvester": (_S, _S, _S),
    "scipy.ndimage.affine_transform": (_S, np.array([[0.9, 0.1], [0.2, 0.8]]), 0.1),
    "scipy.ndimage.convolve": (_S, _S),
    "scipy.ndimage.correlate": (_S, _S),
    "scipy.ndimage.gaussian_filter": (_S, 1.0),
    "scipy.ndimage.gaussian_filter1d": (_S, 1.0),
    "scipy.ndimage.gaussian_gradient_magnitude": (_S, 1.0),
    "scipy.ndimage.gaussian_laplace": (_S, 1.0),
    **{
        f"scipy.ndimage.{name}": (_S, 2)
        for name in (
            *("grey_closing", "grey_dilation", "grey_erosion", "grey_opening", "white_tophat"),
            *("black_tophat", "morphological_gradient", "morphological_laplace"),
        )
    },
    # Of equal elements, differences see both sides.
    "scipy.ndimage.percentile_filter": (np.sin(np.arange(9.0)).reshape(3, 3), 30, 2),
    "scipy.ndimage.rank_filter": (np.sin(np.arange(9.0)).reshape(3, 3), 1, 2),
    **{
        f"scipy.ndimage.{name}": (np.sin(np.arange(9.0)).reshape(3, 3), 1.3)
        for name in ("fourier_gaussian", "fourier_shift", "fourier_uniform")
    },
    "scipy.ndimage.median": (_Q,),
    "scipy.ndimage.map_coordinates": (_X, _Y[None] * 3),
    "scipy.ndimage.rotate": (_S, 31.0),
    "scipy.ndimage.shift": (_S, 0.3),
    "scipy.ndimage.zoom": (_S, 1.7),
    # Orders and ripples are known while tracing.
    "scipy.fft.fht": (_X, 0.1, 0.5),
    "scipy.fft.fhtoffset": (1, 2),
    "scipy.fft.ifht": (_X, 0.1, 0.5),
    "scipy.signal.czt_points": (4,),
    "scipy.signal.lombscargle": (_X, _Y, _Y + 1),
    "scipy.signal.zoom_fft": (_X, 0.6),
    "scipy.signal.butter": (2, np.array([0.2, 0.5]), "bandpass"),
    "scipy.signal.cheby1": (2, 1, np.array([0.2, 0.5]), "bandpass"),
    "scipy.signal.cheby2": (2, 30, np.array([0.2, 0.5]), "bandstop"),
    "scipy.signal.bessel": (2, np.array([0.2, 0.5]), "bandpass"),
    "scipy.signal.ellip": (2, 1, 30, np.array([0.2, 0.5]), "bandstop"),
    "scipy.signal.iirfilter": (2, np.array([0.2, 0.5])),
    "scipy.signal.decimate": (np.arange(40.0) % 5, 2),
    "scipy.signal.resample_poly": (_Q, 3, 2),
    "scipy.signal.medfilt": (_Q, 3),
    "scipy.signal.medfilt2d": (np.sin(np.arange(9.0)).reshape(3, 3), 3),
    "scipy.signal.wiener": (np.sin(np.arange(9.0)).reshape(3, 3),),
    **{
        f"scipy.signal.{name}": (_X, _Y, 0.5, *rest)
        for name, rest in (
            *(("lp2lp_zpk", (1.7,)), ("lp2hp_zpk", (1.7,)), ("bilinear_zpk", (2.0,))),
            *(("lp2bp_zpk", (1.7, 0.4)), ("lp2bs_zpk", (1.7, 0.4))),
        )
    },
    "scipy.signal.filtfilt": ([0.2, 0.3], [1.0, -0.4], np.arange(12.0) % 5),
    "scipy.signal.firwin": (7, np.array([0.2, 0.5])),
    "scipy.signal.iirnotch": (0.3, 20.0),
    "scipy.signal.iirpeak": (0.3, 20.0),
    "scipy.signal.sosfilt_zi": (_SOS,),
    "scipy.signal.sosfiltfilt": (tuple(map(tuple, _SOS)), np.arange(12.0) % 5),
    "scipy.signal.sos2tf": (_SOS,),
    "scipy.signal.freqz_sos": (tuple(map(tuple, _SOS)), _X),
    "scipy.signal.sosfreqz": (tuple(map(tuple, _SOS)), _X),
    "scipy.signal.freqz": (_X, _Y, 5),
    "scipy.signal.freqz_zpk": (_X, _Y, 0.5, 5),
    "scipy.signal.freqs": (_X, _Y, _X),
    "scipy.signal.freqs_zpk": (_X, _Y, 0.5, _X),
    "scipy.signal.group_delay": ([_X, _Y], 5),
    "scipy.signal.lfilter": ([0.2, 0.3], [1.0, -0.4], _X),
    "scipy.signal.savgol_filter": (_Q, 3, 1),
    "scipy.ndimage.generate_binary_structure": (2, 1),
    "scipy.signal.correlation_lags": (5, 3),
    "scipy.signal.unit_impulse": ((4,),),
    "scipy.signal.get_window": ("hann", 8),
    "scipy.signal.savgol_coeffs": (5, 2),
    # The first coefficient of the denominator must stay 1.
    "scipy.signal.sosfilt": (tuple(map(tuple, _SOS)), _X),
    "scipy.spatial.distance.cdist": (_S, _S[:2] + 0.4),
    "scipy.spatial.distance.mahalanobis": (_X[:3], _Y[:3], _S),
    "scipy.spatial.distance.squareform": (np.array([0.4, 0.7, 0.9]),),
    **{f"scipy.spatial.distance.{name}": (_HOT, ~_HOT | (_Y > 0.8)) for name in _BOOLEANS},
    # Degrees are known while tracing.
    "scipy.special.eval_gegenbauer": (2, 0.7, _X),
    "scipy.special.eval_genlaguerre": (2, 0.7, _X),
    "scipy.special.eval_jacobi": (2, 0.7, 0.4, _X),
    "scipy.special.eval_sh_jacobi": (2, 1.7, 1.4, _X),
    "scipy.special.diric": (_X, 3),
    "scipy.special.hyp2f1": (2, 1, 3, _X),
    "scipy.special.lpmv": (1, 2, _X),
    "scipy.special.sph_harm_y": (2, 1, _X, _Y),
    **{
        f"scipy.special.{name}": (2, _X)
        for name in (
            *("eval_chebyc", "eval_chebys", "eval_chebyt", "eval_chebyu", "eval_hermite"),
            *("eval_hermitenorm", "eval_laguerre", "eval_legendre", "eval_sh_chebyt"),
            *("eval_sh_chebyu", "eval_sh_legendre", "ivp", "jvp", "kvp", "yvp"),
            *("struve", "modstruve"),
        )
    },
    "scipy.ndimage.distance_transform_edt": (1 - np.eye(3),),
    "scipy.signal.argrelextrema": (_X, np.greater),
    "scipy.stats.kstest": (_Y, "uniform", (), 20, "greater"),
    "scipy.stats.ks_1samp": (_Y, scipy.stats.uniform.cdf, (), "greater"),
    "scipy.signal.peak_prominences": (_WAVE, [2, 5]),
    "scipy.signal.peak_widths": (_WAVE, [2, 5]),
    "scipy.signal.sos2zpk": (_SOS,),
    "scipy.special.bdtrik": (_X * 0.5 + 0.5, _X + 4, 0.4),
    "scipy.special.bdtrin": (2, _X, 0.4),
    "scipy.special.btdtria": (_X, _Y + 1, 0.6),
    "scipy.special.btdtrib": (_X + 1, _Y, 0.6),
    "scipy.special.nbdtrik": (_X * 0.5 + 0.5, _X + 1, 0.4),
    "scipy.special.nbdtrin": (2, _X, 0.4),
    "scipy.special.ndtri_exp": (-_X,),
    "scipy.special.ncfdtr": (_X + 1, 3, 0.5, _Y),
    "scipy.special.pdtrik": (_X * 0.5 + 0.5, _Y * 0.3),
    "scipy.special.smirnov": (3, _Y),
    "scipy.special.smirnovi": (3, _X),
    "scipy.special.stdtridf": (_Y * 0.2 + 0.6, 1.5),
    "scipy.stats.boxcox": (_X, 0.4),
    "scipy.stats.yeojohnson": (_X, 0.4),
    "scipy.stats.boxcox_llf": (np.array(0.4), _X),
    "scipy.stats.yeojohnson_llf": (np.array(0.4), _X),
    "scipy.stats.differential_entropy": (_WAVE,),
    # Of equal ones the smaller counts: elements that differ enough.
    "scipy.stats.false_discovery_control": (np.array([0.011, 0.3, 0.05, 0.2]),),
    "scipy.stats.friedmanchisquare": (_X, _Y, _X * _Y),
    "scipy.stats.kurtosistest": (_WAVE,),
    "scipy.stats.normaltest": (_WAVE,),
    "scipy.stats.percentileofscore": (_X, 0.5),
    "scipy.stats.pointbiserialr": (_HOT * 1.0, _Y),
    "scipy.stats.skewtest": (_WAVE,),
    "scipy.stats.trim1": (_Q, 0.3),
    "scipy.stats.trimboth": (_Q, 0.3),
    # The places must stay on the simplex.
    "scipy.stats.dirichlet": ((0.2, 0.3, 0.5), np.array([1.4, 2.1, 0.9])),
    "scipy.stats.f_oneway": (_X, _Y, _Q),
    "scipy.stats.kendalltau": (_X, _Y),
    "scipy.stats.gaussian_kde": (_X, _Y),
    # Of those of four values, two are the median.
    "scipy.stats.median_abs_deviation": (_Q,),
    "scipy.stats.multinomial": (np.array([1, 2, 2]), 5, np.array([0.2, 0.3, 0.5])),
    "scipy.stats.multivariate_normal": (_X[:3], _Y[:3], _S),
    "scipy.stats.multivariate_t": (_X[:3], _Y[:3], _S, 3.5),
    "scipy.stats.trim_mean": (_X, 0.3),
    # Of matrices, ours reads one triangle.
    "scipy.stats.wishart": (tuple(map(tuple, _S)), 4.5, tuple(map(tuple, _S))),
    **{
        f"scipy.interpolate.{name}": (_GRID, _Q, _Y + 0.05)
        for name in (
            *("Akima1DInterpolator", "CubicSpline", "PchipInterpolator", "interp1d"),
            *("BarycentricInterpolator", "KroghInterpolator"),
            *("barycentric_interpolate", "krogh_interpolate"),
        )
    },
}
# Of classes, and of what makes objects, these are called with the last argument.
_CALLED = frozenset(
    name.rpartition(".")[2]
    for name in _FITTING_THERE
    if name.rpartition(".")[2][0].isupper()
    or name.endswith(("interp1d", "gaussian_kde", "make_interp_spline"))
)
_IN_PLACE = frozenset({"copyto", "fill_diagonal", "place", "put", "put_along_axis", "putmask"})
# They print, read and write files, or are about NumPy itself, dates, memory and types.
_NAMES = """
    array2string array_repr array_str asmatrix base_repr binary_repr bmat busday_count busday_offset
    datetime_as_string datetime_data format_float_positional format_float_scientific from_dlpack
    frombuffer fromfile fromregex fromstring genfromtxt get_include get_printoptions getbufsize
    geterr geterrcall info is_busday isdtype isfortran iterable load loadtxt may_share_memory
    min_scalar_type mintypecode nested_iters printoptions promote_types require save savetxt savez
    savez_compressed set_printoptions setbufsize seterr seterrcall shares_memory show_config
    show_runtime test typename einsum_path common_type can_cast issubdtype result_type errstate
    isnat fromfunction frompyfunc fromiter obj2sctype empty empty_like asarray_chkfinite
"""
_NO_NUMERICS = frozenset(_NAMES.split())


def functions(namespace: str) -> Iterator[tuple[str, Callable[..., Any]]]:
    """The public functions of a module."""
    module = importlib.import_module(namespace)
    names = getattr(module, "__all__", dir(module))
    for name in sorted(set(names)):
        value = getattr(module, name)
        is_function = callable(value) and (not isinstance(value, type) or name in _CALLED)
        if is_function and not name.startswith("_") and name not in _NO_NUMERICS:
            yield name, value


def returning(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """The function; where it writes to its first argument, one that returns that.

    Of a distribution its density, and of a class what its object is, called with the last argument.
    """
    for density in ("logpdf", "logpmf"):
        if not isinstance(function, type) and hasattr(function, density):
            return getattr(function, density)
    if name == "RectBivariateSpline":
        return lambda x, y, z, u, v: function(x, y, z).ev(u, v)
    if isinstance(function, type) or name in _CALLED:
        return lambda *args: function(*args[:-1])(args[-1])
    if name == "cho_factor":
        return lambda a: np.triu(function(a)[0])  # What is below is anything.
    if name == "eigh":
        return lambda a: (function(a)[0], np.abs(function(a)[1]))  # Signs are free.
    if name == "rq":
        return lambda a: tuple(np.abs(part) for part in function(a))  # Signs are free.
    if name in ("trim1", "trimboth"):
        return lambda *args: np.sort(function(*args))  # SciPy does not state the order.
    if name not in _IN_PLACE:
        return function

    def call(x: Any, *others: Any) -> Any:
        x = x.copy()
        function(x, *others)
        return x

    return call


def fitting(namespace: str, name: str) -> Sequence[tuple[Any, ...]]:
    """What a function is tried with."""
    there = _FITTING_THERE.get(f"{namespace}.{name}")
    if there is not None:
        return (there,)
    if namespace == "scipy.stats":
        for known, shapes in (*distcont, *distdiscrete):
            if known == name:
                distribution = getattr(scipy.stats, name)
                # Of continuous ones, within their support.
                is_discrete = hasattr(distribution, "pmf")
                return ((_I if is_discrete else distribution.ppf(_Y, *shapes), *shapes),)
    return (_FITTING[name],) if name in _FITTING and namespace != "scipy.stats" else _ARGUMENTS


def call_of(
    namespace: str, name: str, function: Callable[..., Any]
) -> tuple[tuple[Any, ...], Any] | None:
    """Arguments that NumPy takes, and what it makes of them."""
    for args in fitting(namespace, name):
        try:
            copies = [a.copy() if isinstance(a, np.ndarray) else a for a in args]
            result = function(*copies)
        except Exception:
            continue
        if leaves(result):
            return args, result
    return None


def leaves(result: Any) -> list[np.ndarray[Any, Any]]:
    """The arrays and numbers in a result."""
    if hasattr(result, "t") and hasattr(result, "y"):
        return leaves((result.t, result.y))  # Of solve_ivp.
    if isinstance(result, (tuple, list)):
        return [leaf for part in result for leaf in leaves(part)]  # pyright: ignore
    if isinstance(result, (np.ndarray, np.generic, bool, int, float, complex)):
        return [np.asarray(result)]
    return []


def place_of(args: Sequence[Any]) -> int | None:
    """The argument that is traced: the first that holds floats; else an array, if there is one."""

    def holds_floats(value: Any) -> bool:
        if isinstance(value, list):
            return any(map(holds_floats, value))  # pyright: ignore
        is_array = isinstance(value, (np.ndarray, np.generic))
        return value.dtype.kind == "f" if is_array else isinstance(value, float)

    found = [i for i, a in enumerate(args) if holds_floats(a)]
    found += [i for i, a in enumerate(args) if isinstance(a, np.ndarray)]
    return found[0] if found else None


class Probe:
    """A call with one argument that is traced.

    Attributes:
        call: what is called: it gives all arrays of the result.
        start: the argument; an array or a number.
        is_constant: whether nothing can be traced.
        is_solver: whether the result keeps to a tolerance only.
    """

    def __init__(self, function: Callable[..., Any], args: tuple[Any, ...]) -> None:
        found = place_of(args)
        self.is_constant = found is None
        place = len(args) if found is None else found

        def call(x: Any) -> Any:
            middle = [] if found is None else [x]
            return tuple(leaves_of(function(*args[:place], *middle, *args[place + 1 :])))

        self.call = call
        # Steps that keep to a tolerance end elsewhere.
        self.is_solver = getattr(function, "__name__", "") in ("odeint", "solve_ivp")
        start = 1.0 if found is None else args[place]
        self.start: Any = start.copy() if isinstance(start, np.ndarray) else start

    def loss(self, x: Any) -> Any:
        """A number that depends on all floats of the result."""
        parts = [part for part in self.call(x) if getattr(part, "dtype", _FLOAT).kind in "fc"]
        return sum(np.sum(np.sin(np.real(part)) + np.sin(np.imag(part))) for part in parts)


def outcome(probe: Probe, expected: Any) -> str:
    """What comes of a call in compiled code."""
    try:
        got = go.compile(probe.call)(probe.start)
    except CompilerError:
        return "internal error"
    except GradoptError as error:
        return f"refused: {error.message.splitlines()[0]}"
    except Exception as error:
        return f"internal error: {type(error).__name__}: {str(error)[:80]}"
    for a, b in zip(got, leaves(expected), strict=False):
        tolerance = 1e-5 if probe.is_solver else 1e-9
        if np.shape(a) != b.shape or not np.allclose(a, b, tolerance, tolerance, equal_nan=True):
            return "wrong value"
    return "made of constants" if probe.is_constant else derivative(probe)


def leaves_of(result: Any) -> list[Any]:
    """The arrays in a result, traced ones too."""
    if hasattr(result, "t") and hasattr(result, "y"):
        return leaves_of((result.t, result.y))
    if isinstance(result, (tuple, list)):
        return [leaf for part in result for leaf in leaves_of(part)]  # pyright: ignore
    return [result]


def derivative(probe: Probe) -> str:
    """What comes of the gradient of a call that is compiled."""
    start = probe.start
    if not isinstance(start, np.ndarray) or start.dtype.kind != "f":
        return "value"
    if not any(np.asarray(part).dtype.kind in "fc" for part in probe.call(start.copy())):
        return "value"
    try:
        go.gradcheck(probe.loss, (start.copy(),), modes=("rev",))
    except go.errors.GradientCheckError:
        return "wrong derivative"
    except CompilerError as error:
        # The dialect says so of operands such as the order of a Bessel function.
        if "has no derivative in operand" in error.message:
            return f"value, no gradient: {error.message.splitlines()[0]}"
        return "internal error in the gradient"
    except GradoptError as error:
        return f"value, no gradient: {error.message.splitlines()[0]}"
    except Exception as error:
        return f"internal error in the gradient: {type(error).__name__}: {str(error)[:80]}"
    return "value and gradient"


# -- The page ----------------------------------------------------------------------------------


def agrees(probe: Probe, **how: Any) -> bool:
    """Whether derivatives are those of differences."""
    try:
        go.gradcheck(probe.loss, (probe.start.copy(),), **how)
    except Exception:
        return False
    return True


def device_code(probe: Probe, is_differentiable: bool) -> bool:
    """Whether there is code for a GPU, of the gradient where there is one."""
    try:
        if is_differentiable:
            go.compile_grad(probe.loss, device="cuda").lower(probe.start).ptx()
        else:
            go.compile(probe.call, device="cuda").lower(probe.start).ptx()
    except Exception:
        return False
    return True


def row(name: str, probe: Probe, result: str) -> str:
    """A row of the page, of a function that is supported."""
    reverse = result == "value and gradient"
    second = reverse and agrees(probe, order=2)
    forward = reverse and (second or agrees(probe, modes=("fwd",)))
    cuda = device_code(probe, reverse)
    note = {"value": "no floats", "made of constants": "no arrays"}.get(
        result, result.partition(": ")[2].replace("|", "or")
    )
    marks = ["yes" if good else "" for good in (reverse, forward, second, cuda)]
    return f"| `{name}` | {' | '.join(marks)} | {note} |"


_HEAD = """<!-- Written by tools/probe.py --docs. -->

# Functions

What `tools/probe.py` found of the functions of NumPy {numpy} and SciPy {scipy}, called with one set
of simple arguments each. Values are those of NumPy and SciPy; "reverse" and "forward" say that
the derivative of first order in the first array agrees with differences, "second order"
that its derivative does, too; "CUDA", that there is code for a GPU, of the gradient where there is
one. Names of SciPy's work in functions that are rewritten, and as `gradopt.scipy`'s. Functions of
which no argument that was tried fits are not listed. `tools/breadth.py` tries a list of what
numerical code asks for, by name.
"""


def sections_of(text: str) -> dict[str, str]:
    """The sections of the page, by the namespaces that they are of."""
    parts = re.split(r"^## ", text, flags=re.M)[1:]
    return {part.partition("\n")[0]: part.partition("\n")[2].strip() for part in parts}


def write_page(sections: dict[str, str]) -> None:
    """Writes these sections to the page, which keeps others that it has."""
    old = sections_of(_PAGE.read_text()) if _PAGE.exists() else {}
    every = {**old, **sections}
    head = _HEAD.format(numpy=np.__version__, scipy=scipy.__version__)
    parts = [f"## {name}\n\n{every[name]}\n" for name in NAMESPACES if name in every]
    _PAGE.write_text("\n".join([head, *parts]))


def section(rows: Sequence[str], missing: Sequence[str], summary: str) -> str:
    """The part of a namespace."""
    lines = [summary, ""]
    if rows:
        lines += ["| function | reverse | forward | second order | CUDA | |"]
        lines += ["| --- | --- | --- | --- | --- | --- |", *rows, ""]
    if missing:
        lines += ["Not supported: " + ", ".join(f"`{name}`" for name in missing) + ".", ""]
    return "\n".join(lines).strip()


_ROW = re.compile(r"^\| `(\w+)` \|")
_SUMMARY = re.compile(r"(\d+) of (\d+) .*supported, (\d+) with derivatives")


class Page:
    """A section of the page, to which what came of some functions is added.

    Attributes:
        rows: the rows of what is supported, by name.
        missing: the names of what is not.
        known: of how many functions `supported` are, without those that are made of constants.
        differentiated: how many have derivatives.
    """

    def __init__(self, text: str = "") -> None:
        lines = text.splitlines()
        found = {match[1]: line for line in lines if (match := _ROW.match(line))}
        self.rows: dict[str, str] = found
        last = [line for line in lines if line.startswith("Not supported")]
        self.missing = set(re.findall(r"`(\w+)`", last[0])) if last else set[str]()
        numbers = _SUMMARY.match(text)
        self.supported, self.known, self.differentiated = (
            (int(numbers[1]), int(numbers[2]), int(numbers[3])) if numbers else (0, 0, 0)
        )

    def add(self, name: str, result: str, text: str | None) -> None:
        """Takes what came of a function, and its row if it is supported."""
        was_row, was_missing = name in self.rows, name in self.missing
        was_constant = was_row and self.rows[name].endswith("| no arrays |")
        was_differentiated = was_row and self.rows[name].startswith(f"| `{name}` | yes")
        self.rows.pop(name, None)
        self.missing.discard(name)
        self.supported -= was_row and not was_constant
        self.known -= (was_row or was_missing) and not was_constant
        self.differentiated -= was_differentiated
        if text is not None:
            self.rows[name] = text
        elif result != "no arguments":
            self.missing.add(name)
        is_counted = result not in ("no arguments", "made of constants")
        self.known += is_counted
        self.supported += is_counted and text is not None
        self.differentiated += result == "value and gradient"

    @property
    def summary(self) -> str:
        """How many functions are supported."""
        return (
            f"{self.supported} of {self.known} ({100 * self.supported / max(self.known, 1):.0f} %)"
        )

    def text(self) -> str:
        """The section."""
        summary = f"{self.summary} are supported, {self.differentiated} with derivatives."
        return section(
            [self.rows[name] for name in sorted(self.rows)], sorted(self.missing), summary
        )


def probed(namespace: str, name: str, function: Callable[..., Any]) -> tuple[str, Probe | None]:
    """What came of a function, and what was called."""
    function = returning(name, function)
    found = call_of(namespace, name, function)
    if found is None:
        return "no arguments", None
    args, expected = found
    probe = Probe(function, args)
    return outcome(probe, expected), probe


def main() -> int:
    """Probes the namespaces of the command line; the status says whether there was a fault."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("namespaces", nargs="*", default=NAMESPACES)
    parser.add_argument("--table", action="store_true", help="print what came of each function")
    parser.add_argument("--docs", action="store_true", help="write docs/functions.md")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    is_faulty = False
    old = sections_of(_PAGE.read_text()) if _PAGE.exists() else {}
    pages: dict[str, Page] = {}
    for asked in arguments.namespaces:
        is_whole = asked in NAMESPACES
        namespace = asked if is_whole else asked.rpartition(".")[0]
        every = functions(namespace)
        chosen = [pair for pair in every if is_whole or asked == f"{namespace}.{pair[0]}"]
        before = Page() if is_whole else Page(old.get(namespace, ""))
        page = pages[namespace] = before if is_whole else pages.get(namespace, before)
        counts: Counter[str] = Counter()
        for name, function in chosen:
            result, probe = probed(namespace, name, function)
            counts[result.partition(":")[0]] += 1
            text: str | None = None
            if probe is not None and result.startswith(("value", "made")):
                text = row(name, probe, result) if arguments.docs else ""
            page.add(name, result, text)
            is_fault = result.startswith(("internal", "wrong"))
            is_faulty |= is_fault
            if arguments.table or is_fault or not is_whole:
                print(f"{namespace}.{name:24} {result}", flush=True)
        if is_whole:
            print(f"{namespace}: {page.summary}: {dict(counts)}", flush=True)
    if arguments.docs:
        write_page({namespace: page.text() for namespace, page in pages.items()})
    return int(is_faulty)


if __name__ == "__main__":
    sys.exit(main())
