# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""`scipy.interpolate`: functions through samples, as objects that are called.

Objects of SciPy's that were made of known numbers are called with traced places, too, in functions
that are rewritten.
"""

from gradopt.scipy.interpolate import bsplines, grids, lookup, piecewise, surfaces
from gradopt.scipy.interpolate.bsplines import BSpline, make_interp_spline, splev
from gradopt.scipy.interpolate.cubics import (
    Akima1DInterpolator,
    CubicHermiteSpline,
    CubicSpline,
    PchipInterpolator,
)
from gradopt.scipy.interpolate.grids import RegularGridInterpolator, interpn
from gradopt.scipy.interpolate.lookup import interp1d
from gradopt.scipy.interpolate.piecewise import PPoly
from gradopt.scipy.interpolate.polynomials import (
    BarycentricInterpolator,
    KroghInterpolator,
    barycentric_interpolate,
    krogh_interpolate,
)
from gradopt.scipy.interpolate.scattered import griddata
from gradopt.scipy.interpolate.surfaces import RectBivariateSpline

__all__ = [
    "Akima1DInterpolator",
    "BSpline",
    "BarycentricInterpolator",
    "CubicHermiteSpline",
    "CubicSpline",
    "KroghInterpolator",
    "PPoly",
    "PchipInterpolator",
    "RectBivariateSpline",
    "RegularGridInterpolator",
    "barycentric_interpolate",
    "griddata",
    "interp1d",
    "interpn",
    "krogh_interpolate",
    "make_interp_spline",
    "splev",
]

# What makes ours of SciPy's objects, by the names of their classes.
CONVERTED = {
    "Akima1DInterpolator": piecewise.converted,
    "BSpline": bsplines.converted,
    "CubicHermiteSpline": piecewise.converted,
    "CubicSpline": piecewise.converted,
    "PPoly": piecewise.converted,
    "PchipInterpolator": piecewise.converted,
    "RectBivariateSpline": surfaces.converted,
    "RegularGridInterpolator": grids.converted,
    "interp1d": lookup.converted,
}
