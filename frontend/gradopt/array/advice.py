# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What to write instead where NumPy or Python asks for the value of a traced array.

Such a request does not say what it is for: the expression in the user's source does.
"""

from __future__ import annotations

import ast
import importlib
import re
from typing import Any

from gradopt.base.location import source_location
from gradopt.base.syntax import parse

SIZES = (
    "sizes and bounds must be known while tracing: take them from shapes, or from an argument "
    "that is static (static_argnums)"
)

# What the expression calls or subscripts, and what to do. The first that fits counts.
_ADVICE = [
    (
        r"\brandom\.\w+\($|\b(?i:rng)\.\w+\($",
        "random numbers are drawn while tracing, with concrete parameters: draw standard ones, and "
        "scale them, as in `mean + deviation * numpy.random.normal(size=n)`; better, pass them as "
        "arguments",
    ),
    (
        r"\b(u?int(8|16|32|64)|float(16|32|64)|bool_|single|double|intp|longdouble)\($",
        "convert it with astype, as in x.astype(numpy.int64)",
    ),
    (r"\b(r_|c_|s_)[\[(]$", "use numpy.concatenate, stack or column_stack"),
    (
        r"\b(full|array|asarray|asanyarray|ascontiguousarray|require)\($",
        "use gradopt.numpy.array, asarray or full, which take traced values",
    ),
    (r"^numpy\.ma\.", "choose elements with numpy.where, or with where= of sums and the like"),
    (
        r"^numpy\.emath\.",
        "the dtype of its result depends on values; use NumPy's function of complex numbers, as in "
        "numpy.sqrt(x + 0j)",
    ),
    (r"\bfull_like\($", "use gradopt.numpy.full_like, which takes traced values"),
    (
        r"\b(mgrid|ogrid)[\[(]$|\b(arange|zeros|ones|empty|eye|identity|tri|indices|linspace|range"
        r"|logspace|geomspace|reshape|broadcast_to|repeat|tile)\($",
        SIZES,
    ),
    (r"\bmath\.\w+\($", "use NumPy's functions, not those of math"),
    (
        r"\b(vectorize|frompyfunc)\((.*\)\()?$",
        "write the function with NumPy's functions on whole arrays",
    ),
    (r"^sorted\($", "use numpy.sort"),
    (r"^(max|min)\($", "use numpy.maximum and minimum, or numpy.max and min of an array"),
    (r"^(any|all)\($", "use numpy.any and numpy.all"),
]


def called() -> str:
    """What the user's expression calls, as `np.zeros(`, or subscripts, as `np.mgrid[`."""
    location = source_location()
    if location is None:
        return ""
    try:
        node = parse(location.text().strip(), mode="eval").body
    except SyntaxError:
        return ""
    if isinstance(node, ast.Call):
        return ast.unparse(node.func) + "("
    return ast.unparse(node.value) + "[" if isinstance(node, ast.Subscript) else ""


def advice_for(general: str, function: str | None = None) -> str:
    """What to do instead of what the user's line does.

    Args:
        general: what to do where the line does nothing that is known.
        function: NumPy's or SciPy's function that cannot do it; by default what the line calls.
    """
    if function is not None and function.startswith("scipy."):
        return _scipys(function)
    name = called() if function is None else function + "("
    for pattern, advice in _ADVICE:
        if re.search(pattern, name):
            return advice
    return general


# By the ends of names of SciPy's functions.
_INSTEAD = [
    (
        r"\.rvs$",
        "draw with gradopt.random, as in mean + deviation * gradopt.random.normal(key, shape)",
    ),
    (
        r"\.stats\.\w+\.fit$|\.(curve_fit|nnls|lsq_linear|isotonic_regression)$",
        "fit outside of compiled functions, with gradopt.scipy.minimize or least_squares, which "
        "take the derivatives; to differentiate a fit, use gradopt.custom_root",
    ),
    (
        r"\.optimize\.linear_sum_assignment$|\.ndimage\.(find_objects|watershed_ift"
        r"|distance_transform_\w+)$",
        "its result jumps, and has no derivative: compute it before the call, or by "
        "gradopt.pure_callback, and take elements by it",
    ),
    (
        r"\.signal\.(ellip|bessel|iir\w+|firls|remez|firwin\w*)$",
        "design the filter before the call, with frequencies that are known; butter, cheby1, "
        "cheby2, firwin, iirnotch and iirpeak take traced ones",
    ),
    (
        r"\.interpolate\.(SmoothBivariateSpline|LSQBivariateSpline|bisplrep|interp2d)$",
        "use scipy.interpolate.RectBivariateSpline or RegularGridInterpolator",
    ),
    (
        r"\.interpolate\.(splprep|make_splprep|splrep|make_splrep|UnivariateSpline)$",
        "a spline through all points is scipy.interpolate.make_interp_spline(u, points), of "
        "parameters u such as cumulative lengths; fit a smoothing one before the call",
    ),
    (
        r"\.stats\.(anderson|shapiro)$",
        "use scipy.stats.normaltest or jarque_bera, or kstest with method='asymp'",
    ),
    (r"\.signal\.find_peaks_cwt$", "use scipy.signal.find_peaks"),
    (
        r"\.special\.(chndtri|ncfdtri|nctdtri)\w*$",
        "use ppf of scipy.stats.ncx2, ncf or nct",
    ),
    (
        r"\.linalg\.ldl$",
        "its pivots jump: use numpy.linalg.cholesky, solve or slogdet, or eigh of the matrix",
    ),
    (
        r"\.linalg\.(qz|ordqz)$",
        "its factors are not unique: use scipy.linalg.eig(a, b), eigvals(a, b), or schur of "
        "numpy.linalg.solve(b, a)",
    ),
    (
        r"\.optimize\.\w+$",
        "call it outside of compiled functions, on compiled ones; to differentiate a solution, use "
        "gradopt.custom_root or gradopt.fixed_point",
    ),
    (
        r"\.(dblquad|tplquad|nquad)$",
        "use scipy.integrate.quad of a function that calls scipy.integrate.quad",
    ),
    (
        r"\.sparse\.linalg\.\w+$",
        "use numpy.linalg of the dense matrix, or solve it by gradopt.custom_root",
    ),
    (
        r"\.sparse\.(\w+\.)?(diags|diags_array|eye_array|identity|kron|block_array|hstack|vstack"
        r"|coo_array|coo_matrix|bsr_array|dia_array|lil_array|dok_array)$",
        "make the pattern before the call, and gradopt.scipy.sparse.csr_array of it and of traced "
        "data",
    ),
]


def _scipys(function: str) -> str:
    """What to do instead of calling one of SciPy's functions."""
    _, package, *names = function.split(".")
    for pattern, advice in _INSTEAD:
        if re.search(pattern, function):
            return advice
    try:
        found: Any = importlib.import_module(f"gradopt.scipy.{package}")
        for name in names:
            found = getattr(found, name)
        return f"use gradopt.{function}"
    except (AttributeError, ModuleNotFoundError):
        return (
            "write its formula with NumPy's functions and the ufuncs of scipy.special, or call it "
            "by gradopt.pure_callback"
        )
