# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Polynomials by their coefficients, from the highest power on, and the Bessel function `i0`."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from gradopt.array.dispatch import implements
from gradopt.array.handle import wrap
from gradopt.array.operands import traced
from gradopt.base.dtypes import FLOAT64, float_limits, is_inexact, result_type
from gradopt.base.location import source_location
from gradopt.errors import ShapeError
from gradopt.functions.signal import convolve
from gradopt.ir import prims
from gradopt.ir.values import Value


def _coefficients(p: Any) -> Value:
    x = traced(p)
    return prims.reshape(x, (1,)) if not x.ndim else x


def _as_long(first: Any, second: Any) -> tuple[Any, Any]:
    """Both with as many coefficients."""
    p, q = _coefficients(first), _coefficients(second)
    size = max(p.shape[0], q.shape[0])
    p, q = (prims.pad(v, [size - v.shape[0]], [0]) for v in (p, q))
    return wrap(p), wrap(q)


@implements(np.polyadd)
def polyadd(a1: Any, a2: Any) -> Any:
    """`numpy.polyadd`."""
    p, q = _as_long(a1, a2)
    return p + q


@implements(np.polysub)
def polysub(a1: Any, a2: Any) -> Any:
    """`numpy.polysub`."""
    p, q = _as_long(a1, a2)
    return p - q


@implements(np.polymul)
def polymul(a1: Any, a2: Any) -> Any:
    """`numpy.polymul`."""
    return convolve(_coefficients(a1), _coefficients(a2))


@implements(np.polyder)
def polyder(p: Any, m: Any = 1) -> Any:
    """`numpy.polyder`."""
    order = operator.index(m)
    if order < 0:
        raise ShapeError("Order of derivative must be positive (see polyint)", source_location())
    x = wrap(traced(p))
    for _ in range(order):
        x = x[:-1] * np.arange(len(x) - 1, 0, -1)
    return x


@implements(np.polyint)
def polyint(p: Any, m: Any = 1, k: Any = None) -> Any:
    """`numpy.polyint`; `k` are constants of integration."""
    order = operator.index(m)
    if order < 0:
        raise ShapeError("Order of integral must be positive (see polyder)", source_location())
    constants = np.zeros(order) if k is None else wrap(traced(k))
    constants = np.ravel(constants)
    if len(constants) == 1 and order > 1:
        constants = np.broadcast_to(constants, order)
    if len(constants) < order:
        raise ShapeError(
            "k must be a scalar or a rank-1 array of length 1 or >m.", source_location()
        )
    x = wrap(traced(p))
    for i in range(order):
        x = np.concatenate([x / np.arange(len(x), 0, -1), constants[i : i + 1]])
    return x


@implements(np.poly)
def poly(seq_of_zeros: Any) -> Any:
    """`numpy.poly` of zeros; of a matrix it needs eigenvalues."""
    zeros = _coefficients(seq_of_zeros)
    if zeros.ndim != 1:
        raise ShapeError(
            "numpy.poly of a traced matrix is not supported: give its eigenvalues",
            source_location(),
        )
    kind = zeros.dtype if is_inexact(zeros.dtype) else FLOAT64
    zeros = prims.convert(zeros, kind)
    result = prims.full((1,), 1, kind)
    for i in range(zeros.shape[0]):
        # The product with `x - zero`.
        shifted = prims.pad(prims.take_range(zeros, 0, i, i + 1) * result, [1], [0])
        result = prims.pad(result, [0], [1]) - shifted
    return result if zeros.shape[0] else 1.0


@implements(np.polydiv)
def polydiv(u: Any, v: Any) -> tuple[Any, Any]:
    """`numpy.polydiv`; how many coefficients the remainder has is known at run time."""
    x, d = wrap(_coefficients(u)), wrap(_coefficients(v))
    kind = result_type(x.dtype, d.dtype)
    kind = kind if is_inexact(kind) else FLOAT64
    x, d = x.astype(kind), d.astype(kind)
    steps = len(x) - len(d) + 1
    quotient: list[Any] = []
    rest = x
    for k in range(steps):
        factor = rest[k] / d[0]
        quotient.append(factor)
        taken = np.pad(factor * d, (k, len(x) - k - len(d)))
        rest = rest - taken
    q = np.stack(quotient) if steps > 0 else np.zeros(1, kind)
    # NumPy drops leading coefficients that are nearly zero, but for the last one.
    large = ~np.isclose(rest, 0, rtol=1e-14)
    first = np.where(np.any(large), np.argmax(large), len(x) - 1)
    return q, rest[np.minimum(first, len(x) - 1) :]


@implements(np.polyfit)
def polyfit(
    x: Any, y: Any, deg: Any, rcond: Any = None, full: bool = False, w: Any = None, cov: Any = False
) -> Any:
    """`numpy.polyfit`, by least squares of scaled powers."""
    order = operator.index(deg) + 1
    places, values = (wrap(traced(v)) + 0.0 for v in (x, y))
    if order < 1:
        raise ShapeError("expected deg >= 0", source_location())
    if places.ndim != 1 or not places.size:
        raise ShapeError("expected a non-empty 1D vector for x", source_location())
    if values.ndim not in (1, 2) or len(values) != len(places):
        raise ShapeError(
            f"expected y of one or two dimensions as long as x: {values.shape}, {places.shape}",
            source_location(),
        )
    if rcond is None:
        rcond = len(places) * float_limits(places.dtype).eps
    powers = np.vander(places, order)
    if w is not None:
        weights = wrap(traced(w)) + 0.0
        if weights.shape != places.shape:
            raise ShapeError("expected weights of the shape of x", source_location())
        powers = powers * weights[:, None]
        values = values * (weights if values.ndim == 1 else weights[:, None])
    scale = np.sqrt(np.sum(powers * powers, axis=0))
    powers = powers / scale
    solution, residuals, rank, singular = np.linalg.lstsq(powers, values, rcond)
    coefficients = (solution.T / scale).T
    if full:
        return coefficients, residuals, rank, singular, rcond
    if not cov:
        return coefficients
    base = np.linalg.inv(powers.T @ powers) / np.outer(scale, scale)
    if isinstance(cov, str) and cov == "unscaled":
        factor: Any = 1
    else:
        degrees = len(places) - order
        if degrees <= 0:
            raise ShapeError(
                "the number of data points must exceed order to scale the covariance matrix",
                source_location(),
            )
        factor = np.sum((values - powers @ solution) ** 2, axis=0) / degrees
    return coefficients, base * factor if values.ndim == 1 else base[:, :, None] * factor


# Chebyshev coefficients of exp(-x) i0(x) in [0, 8], and of exp(-x) sqrt(x) i0(x) beyond (Cephes).
_BELOW_8 = (
    -4.41534164647933937950e-18, 3.33079451882223809783e-17, -2.43127984654795469359e-16,
    1.71539128555513303061e-15, -1.16853328779934516808e-14, 7.67618549860493561688e-14,
    -4.85644678311192946090e-13, 2.95505266312963983461e-12, -1.72682629144155570723e-11,
    9.67580903537323691224e-11, -5.18979560163526290666e-10, 2.65982372468238665035e-9,
    -1.30002500998624804212e-8, 6.04699502254191894932e-8, -2.67079385394061173391e-7,
    1.11738753912010371815e-6, -4.41673835845875056359e-6, 1.64484480707288970893e-5,
    -5.75419501008210370398e-5, 1.88502885095841655729e-4, -5.76375574538582365885e-4,
    1.63947561694133579842e-3, -4.32430999505057594430e-3, 1.05464603945949983183e-2,
    -2.37374148058994688156e-2, 4.93052842396707084878e-2, -9.49010970480476444210e-2,
    1.71620901522208775349e-1, -3.04682672343198398683e-1, 6.76795274409476084995e-1,
)  # fmt: skip
_BEYOND_8 = (
    -7.23318048787475395456e-18, -4.83050448594418207126e-18, 4.46562142029675999901e-17,
    3.46122286769746109310e-17, -2.82762398051658348494e-16, -3.42548561967721913462e-16,
    1.77256013305652638360e-15, 3.81168066935262242075e-15, -9.55484669882830764870e-15,
    -4.15056934728722208663e-14, 1.54008621752140982691e-14, 3.85277838274214270114e-13,
    7.18012445138366623367e-13, -1.79417853150680611778e-12, -1.32158118404477131188e-11,
    -3.14991652796324136454e-11, 1.18891471078464383424e-11, 4.94060238822496958910e-10,
    3.39623202570838634515e-9, 2.26666899049817806459e-8, 2.04891858946906374183e-7,
    2.89137052083475648297e-6, 6.88975834691682398426e-5, 3.36911647825569408990e-3,
    8.04490411014108831608e-1,
)  # fmt: skip


def _chebyshev(x: Any, coefficients: Sequence[float]) -> Any:
    """Clenshaw's sum of a series whose first coefficient is halved."""
    b0: Any = coefficients[0]
    b1: Any = 0.0
    b2: Any = 0.0
    for coefficient in coefficients[1:]:
        b2, b1 = b1, b0
        b0 = x * b1 - b2 + coefficient
    return 0.5 * (b0 - b2)


@implements(np.i0)
def i0(x: Any) -> Any:
    """`numpy.i0`."""
    v = traced(x)
    h = wrap(v if is_inexact(v.dtype) else prims.convert(v, FLOAT64))
    # No absolute value, whose derivative at 0 is no limit.
    size = np.where(h < 0, -h, h)
    near = np.where(size > 8, 8, size)
    far = np.where(size > 8, size, 8)
    small = np.exp(near) * _chebyshev(near / 2.0 - 2.0, _BELOW_8)
    large = np.exp(far) * _chebyshev(32.0 / far - 2.0, _BEYOND_8) / np.sqrt(far)
    return np.where(np.isnan(h), h, np.where(size > 8, large, small))


@implements(np.kaiser)
def kaiser(M: Any, beta: Any) -> Any:
    """`numpy.kaiser`, of a traced `beta`."""
    count = operator.index(M)
    if count == 1:
        return np.ones(1)
    half = (count - 1) / 2.0
    places = 1 - ((np.arange(count) - half) / half) ** 2
    b = traced(beta)
    b = wrap(prims.convert(b, result_type(b.dtype, FLOAT64)))
    return np.i0(b * np.sqrt(places)) / np.i0(b)
