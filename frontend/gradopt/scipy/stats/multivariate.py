# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The distributions of vectors in `scipy.stats`."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from gradopt.array.dispatch import unsupported
from gradopt.array.handle import wrap
from gradopt.array.operands import traced
from gradopt.base.dtypes import FLOAT64
from gradopt.base.frames import hide_frames
from gradopt.base.location import source_location
from gradopt.compilation.programs import program
from gradopt.errors import ShapeError
from gradopt.ir import factorizations, prims
from gradopt.scipy.stats.distribution import special

_LOG_2_PI = math.log(2 * math.pi)


def _floats(value: Any) -> Any:
    return wrap(prims.convert(traced(value), FLOAT64))


class MultivariateNormal:
    """`scipy.stats.multivariate_normal`.

    `mean` has shape (n,) or (), `cov` (n, n), the variances (n,), or one variance; the last axis of
    places has n elements. There are derivatives in all three; of `cov` the lower triangle is read,
    as `numpy.linalg.cholesky` does. With `allow_singular` there are none in `cov`, as the rank of
    another matrix would be another one.
    """

    def __repr__(self) -> str:
        return "<gradopt.scipy.stats.multivariate_normal>"

    @hide_frames
    def logpdf(self, x: Any, mean: Any = None, cov: Any = 1, allow_singular: bool = False) -> Any:
        """The logarithm of the density, at each place.

        Raises:
            LinAlgError: `cov` is not positive definite, and not allowed to be singular.
            ShapeError: shapes do not fit.
        """
        if mean is None:
            return _log_density_around_zero(x, cov, singular=bool(allow_singular))
        return _log_density(x, mean, cov, singular=bool(allow_singular))

    @hide_frames
    def pdf(self, x: Any, mean: Any = None, cov: Any = 1, allow_singular: bool = False) -> Any:
        """The density, at each place; errors are those of `logpdf`."""
        return np.exp(self.logpdf(x, mean, cov, allow_singular))

    @hide_frames
    def entropy(self, mean: Any = None, cov: Any = 1) -> Any:
        """The differential entropy in nats; errors are those of `logpdf`."""
        return _entropy(0.0 if mean is None else mean, cov)

    def cdf(self, *args: Any, **kwds: Any) -> Any:
        """Not supported: it is an integral without a formula."""
        raise unsupported("scipy.stats.multivariate_normal.cdf", "compute it before the call")

    logcdf = rvs = cdf


def _covariance(cov: Any, size: int) -> Any:
    """The matrix of what is given."""
    c = _floats(cov)
    if c.ndim < 2:
        return np.diag(np.broadcast_to(c, (size,)))
    if c.ndim > 2 or c.shape != (size, size):
        raise ShapeError(
            f"the covariance has shape {c.shape}, of vectors of {size} elements",
            source_location(),
        )
    return c


def _size(*values: Any) -> int:
    """How many elements the vectors have: by mean and covariance, if they say so."""
    return max([1, *[v.shape[-1] for v in values if v.ndim]])


@program
def _log_density_around_zero(x: Any, cov: Any, *, singular: bool) -> Any:
    place, covariance = _floats(x), _floats(cov)
    size = covariance.shape[-1] if covariance.ndim else _size(place)
    return _log_density_of(place, np.zeros(size), cov, singular)


@program
def _log_density(x: Any, mean: Any, cov: Any, *, singular: bool) -> Any:
    return _log_density_of(_floats(x), _floats(mean), cov, singular)


def _log_density_of(x: Any, mean: Any, cov: Any, singular: bool) -> Any:
    distance, log_det, rank = _distances(x, mean, cov, singular)
    return traced(-0.5 * (rank * _LOG_2_PI + log_det + distance))


def _distances(x: Any, mean: Any, cov: Any, singular: bool) -> tuple[Any, Any, Any]:
    """Squares of distances in standard deviations; log of the determinant; and the rank."""
    size = _size(mean, _floats(cov))
    covariance = _covariance(cov, size)
    if size == 1 and x.ndim < 2:
        x = np.reshape(x, (*x.shape, 1))
    if not x.ndim or x.shape[-1] != size:
        raise ShapeError(
            f"the places have shape {x.shape}, for vectors of {size} elements", source_location()
        )
    deviation = x - np.broadcast_to(mean, (size,))
    whiten, log_det, rank = _whitening(covariance, singular)
    return np.sum((deviation @ whiten) ** 2, axis=-1), log_det, rank


def _whitening(covariance: Any, singular: bool) -> tuple[Any, Any, Any]:
    """What makes deviations of variance 1, the logarithm of the determinant, and the rank."""
    size = covariance.shape[0]
    if not singular:
        message = "The covariance is not positive definite"
        factor = factorizations.cholesky(traced(covariance), message)
        log_det = 2 * np.sum(np.log(np.diagonal(wrap(factor))))
        identity = prims.identity((size,), FLOAT64)
        inverse = factorizations.triangular_solve(factor, identity, lower=True)
        return wrap(inverse).T, log_det, size
    values, vectors = np.linalg.eigh(wrap(prims.stop_gradient(traced(covariance))))
    # SciPy's bound: what is smaller counts as zero.
    kept = values > 1e6 * np.finfo(FLOAT64).eps * np.max(np.abs(values))
    safe = np.where(kept, values, 1.0)
    return (
        vectors * np.where(kept, 1 / np.sqrt(safe), 0.0),
        np.sum(np.where(kept, np.log(safe), 0.0)),
        np.sum(kept),
    )


@program
def _entropy(mean: Any, cov: Any) -> Any:
    size = _size(_floats(mean), _floats(cov))
    _, log_det, _ = _whitening(_covariance(cov, size), False)
    return traced(0.5 * (size * (1 + _LOG_2_PI) + log_det))


class Dirichlet:
    """`scipy.stats.dirichlet`: of places on the simplex, along the first axis, as SciPy's."""

    def __repr__(self) -> str:
        return "<gradopt.scipy.stats.dirichlet>"

    @hide_frames
    def logpdf(self, x: Any, alpha: Any) -> Any:
        """The logarithm of the density, at each place.

        Args:
            x: of shape (n,) or (n, m), m places; or one element less, which is what is left of 1.
            alpha: of shape (n,), positive.

        Raises:
            ShapeError: shapes do not fit. That x is on the simplex is not looked at.
        """
        return _dirichlet_log(x, alpha)

    @hide_frames
    def pdf(self, x: Any, alpha: Any) -> Any:
        """The density, at each place; errors are those of `logpdf`."""
        return np.exp(self.logpdf(x, alpha))

    @hide_frames
    def entropy(self, alpha: Any) -> Any:
        """The differential entropy in nats."""
        return _dirichlet_entropy(alpha)


@program
def _dirichlet_log(x: Any, alpha: Any) -> Any:
    place, a = _floats(x), _floats(alpha)
    if a.ndim != 1 or not place.ndim or place.shape[0] not in (a.size, a.size - 1):
        raise ShapeError(
            f"x has shape {place.shape}, and alpha {a.shape}: the first axis of x must be as long "
            "as alpha, or shorter by one",
            source_location(),
        )
    if place.shape[0] == a.size - 1:
        place = np.concatenate([place, 1 - np.sum(place, axis=0, keepdims=True)])
    powers = np.reshape(a - 1, (a.size,) + (1,) * (place.ndim - 1))
    return traced(np.sum(special.xlogy(powers, place), axis=0) - _log_beta(a))


def _log_beta(a: Any) -> Any:
    return np.sum(special.gammaln(a)) - special.gammaln(np.sum(a))


@program
def _dirichlet_entropy(alpha: Any) -> Any:
    a = _floats(alpha)
    total = np.sum(a)
    return traced(
        _log_beta(a) + (total - a.size) * special.psi(total) - np.sum((a - 1) * special.psi(a))
    )


class Multinomial:
    """`scipy.stats.multinomial`."""

    def __repr__(self) -> str:
        return "<gradopt.scipy.stats.multinomial>"

    @hide_frames
    def logpmf(self, x: Any, n: Any, p: Any) -> Any:
        """The logarithm of the probability of counts.

        Args:
            x: counts along the last axis; where they do not sum up to `n`, the result is -inf.
            n: how many are counted.
            p: probabilities; as in SciPy, the last one is what is left of 1.
        """
        return _multinomial_log(x, n, p)

    @hide_frames
    def pmf(self, x: Any, n: Any, p: Any) -> Any:
        """The probability of counts, as in `logpmf`."""
        return np.exp(self.logpmf(x, n, p))


@program
def _multinomial_log(x: Any, n: Any, p: Any) -> Any:
    counts, total, chances = _floats(x), _floats(n), _floats(p)
    rest = 1 - np.sum(chances[..., :-1], axis=-1, keepdims=True)
    chances = np.concatenate([chances[..., :-1], rest], axis=-1)
    possible = (np.sum(counts, axis=-1) == total) & np.all(
        (counts >= 0) & (counts == np.floor(counts)), axis=-1
    )
    safe = np.where(possible[..., None], counts, 0.0)
    value = special.gammaln(total + 1) + np.sum(
        special.xlogy(safe, chances) - special.gammaln(safe + 1), axis=-1
    )
    return traced(np.where(possible, value, -math.inf))


class MultivariateT:
    """`scipy.stats.multivariate_t`, with a shape matrix that is positive definite."""

    def __repr__(self) -> str:
        return "<gradopt.scipy.stats.multivariate_t>"

    @hide_frames
    def logpdf(self, x: Any, loc: Any = None, shape: Any = 1, df: Any = 1) -> Any:
        """The logarithm of the density, at each place.

        Args:
            x: places; the last axis has n elements.
            loc: the middle, of shape (n,) or (); 0 by default.
            shape: a matrix of shape (n, n), of which the lower triangle is read; its diagonal, or
                one number.
            df: degrees of freedom, a number.

        Raises:
            LinAlgError: `shape` is not positive definite.
            ShapeError: shapes do not fit.
        """
        return _log_density_t(x, 0.0 if loc is None else loc, shape, df)

    @hide_frames
    def pdf(self, x: Any, loc: Any = None, shape: Any = 1, df: Any = 1) -> Any:
        """The density, at each place; errors are those of `logpdf`."""
        return np.exp(self.logpdf(x, loc, shape, df))


@program
def _log_density_t(x: Any, loc: Any, shape: Any, df: Any) -> Any:
    place, mean, freedom = _floats(x), _floats(loc), _floats(df)
    distance, log_det, size = _distances(place, mean, shape, False)
    half = (freedom + size) / 2
    constant = special.gammaln(half) - special.gammaln(freedom / 2)
    constant = constant - size / 2 * np.log(freedom * math.pi) - log_det / 2
    return traced(constant - half * np.log1p(distance / freedom))


class Wishart:
    """`scipy.stats.wishart`: of positive definite matrices."""

    def __repr__(self) -> str:
        return "<gradopt.scipy.stats.wishart>"

    @hide_frames
    def logpdf(self, x: Any, df: Any, scale: Any) -> Any:
        """The logarithm of the density, at each place.

        Args:
            x: matrices, of shape (n, n), or (n, n, m), m of them. The lower triangle is read.
            df: degrees of freedom, more than n - 1.
            scale: a matrix of shape (n, n), of which the lower triangle is read.

        Raises:
            LinAlgError: a matrix is not positive definite.
            ShapeError: shapes do not fit.
        """
        return _log_density_wishart(x, df, scale)

    @hide_frames
    def pdf(self, x: Any, df: Any, scale: Any) -> Any:
        """The density, at each place; errors are those of `logpdf`."""
        return np.exp(self.logpdf(x, df, scale))


@program
def _log_density_wishart(x: Any, df: Any, scale: Any) -> Any:
    places, freedom, covariance = _floats(x), _floats(df), np.atleast_2d(_floats(scale))
    size = covariance.shape[0]
    places = np.reshape(places, (1, 1, *places.shape)) if places.ndim < 2 else places
    if covariance.shape != (size, size) or places.shape[:2] != (size, size) or places.ndim > 3:
        raise ShapeError(
            f"wishart: the scale has shape {covariance.shape}, and the places {np.shape(x)}",
            source_location(),
        )
    message = "The matrix is not positive definite"
    front = np.moveaxis(places, -1, 0) if places.ndim == 3 else places
    root = factorizations.cholesky(traced(front), message)
    whiten, log_det, _ = _whitening(covariance, False)
    # The trace of the inverse of the scale and the place, by both roots.
    trace = np.sum((whiten.T @ wrap(root)) ** 2, axis=(-2, -1))
    log_det_x = 2 * np.sum(np.log(np.diagonal(wrap(root), axis1=-2, axis2=-1)), axis=-1)
    gamma = size * (size - 1) / 4 * math.log(math.pi)
    for k in range(size):
        gamma = gamma + special.gammaln((freedom - k) / 2)
    constant = freedom * (size * math.log(2) + log_det) / 2 + gamma
    return traced((freedom - size - 1) / 2 * log_det_x - trace / 2 - constant)


multivariate_normal = MultivariateNormal()
multivariate_t = MultivariateT()
wishart = Wishart()
dirichlet = Dirichlet()
multinomial = Multinomial()
