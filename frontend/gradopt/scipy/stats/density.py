# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""`scipy.stats.gaussian_kde`: the density that samples are taken from."""

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
from gradopt.ir import factorizations
from gradopt.scipy.operands import real
from gradopt.scipy.special import logsumexp


class gaussian_kde:
    """`scipy.stats.gaussian_kde`: a mean of normal densities, one around each sample.

    There are derivatives in the samples, their weights, the bandwidth and the places.

    Args:
        dataset: samples, of shape (n,) or (d, n).
        bw_method: "scott", which is the default, "silverman", or a number, which the standard
            deviation of samples is multiplied by.
        weights: of samples; equal by default.

    Raises:
        ShapeError: the shapes do not go together.
        UnsupportedError: `bw_method` is a function.
    """

    @hide_frames
    def __init__(self, dataset: Any, bw_method: Any = None, weights: Any = None) -> None:
        is_named = bw_method is None or isinstance(bw_method, str)
        if callable(bw_method) or (is_named and bw_method not in (None, "scott", "silverman")):
            raise unsupported(
                f"bw_method={bw_method!r} of scipy.stats.gaussian_kde",
                "use 'scott', 'silverman' or a number",
            )
        operands = () if weights is None else (weights,)
        self.dataset, self.weights, named = _prepared(
            dataset, *operands, name=bw_method if is_named and bw_method else "scott"
        )
        self.factor = named if is_named else bw_method
        self.d, self.n = np.shape(self.dataset)

    @hide_frames
    def logpdf(self, x: Any) -> Any:
        """The logarithm of the density at places, of shape (m,) or (d, m).

        Raises:
            LinAlgError: the samples lie in a plane of less dimensions.
            ShapeError: the places have other dimensions.
        """
        return _log_density(self.dataset, self.weights, self.factor, x)

    @hide_frames
    def evaluate(self, points: Any) -> Any:
        """The density at places; errors are those of `logpdf`."""
        return np.exp(self.logpdf(points))

    __call__ = evaluate

    def pdf(self, x: Any) -> Any:
        """As `evaluate`."""
        return self.evaluate(x)


@program
def _prepared(dataset: Any, *weights: Any, name: str) -> tuple[Any, Any, Any]:
    (x,) = real("stats.gaussian_kde", dataset)
    x = np.atleast_2d(x).astype(FLOAT64)
    d, n = x.shape
    if n < 2:
        raise ShapeError("`dataset` input should have multiple elements.", source_location())
    w = real("stats.gaussian_kde", *weights)[0] if weights else np.full(n, 1 / n)
    if w.shape != (n,):
        raise ShapeError(
            f"`weights` input should be of length n, {n}, but its shape is {w.shape}",
            source_location(),
        )
    w = w / np.sum(w)
    count = 1 / np.sum(w * w)
    factor = (count if name == "scott" else count * (d + 2) / 4) ** (-1 / (d + 4))
    return traced(x), traced(w), traced(factor)


@program
def _log_density(dataset: Any, weights: Any, factor: Any, points: Any) -> Any:
    x, w, size = (wrap(traced(part)) for part in (dataset, weights, factor))
    (places,) = real("stats.gaussian_kde", points)
    places = np.atleast_2d(places)
    d, n = x.shape
    if places.shape[0] != d and d == 1:
        places = np.reshape(places, (1, -1))
    if places.shape[0] == 1 and places.shape[1] == d != 1:
        places = places.T
    if places.shape[0] != d:
        raise ShapeError(
            f"points have dimension {places.shape[0]}, dataset has dimension {d}",
            source_location(),
        )
    deviation = x - np.sum(w * x, axis=1, keepdims=True)
    covariance = (deviation * w) @ deviation.T / (1 - np.sum(w * w))
    message = "The data appears to lie in a lower-dimensional subspace of the space in which it is "
    root = factorizations.cholesky(traced(covariance * size**2), message + "expressed.")
    both = np.concatenate([x, places], axis=1)
    scaled = wrap(factorizations.triangular_solve(root, traced(both), lower=True))
    ours, theirs = scaled[:, :n], scaled[:, n:]
    distance = np.sum((theirs[:, :, None] - ours[:, None, :]) ** 2, axis=0)
    log_norm = np.sum(np.log(np.diagonal(wrap(root)))) + d / 2 * math.log(2 * math.pi)
    return traced(logsumexp(-distance / 2, axis=1, b=w) - log_norm)


def converted(theirs: Any) -> gaussian_kde:
    """One of SciPy's as one of ours."""
    return gaussian_kde(theirs.dataset, theirs.factor, theirs.weights)
