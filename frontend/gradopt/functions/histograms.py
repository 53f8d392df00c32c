# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Histograms in several dimensions, and the edges of bins."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from gradopt.array.dispatch import implements, unsupported
from gradopt.array.handle import wrap
from gradopt.array.operands import is_traced, promotion_kind, traced
from gradopt.base.dtypes import FLOAT64, is_inexact, result_type
from gradopt.base.location import source_location
from gradopt.errors import ElementError, ShapeError
from gradopt.functions.ufuncs import require_order
from gradopt.ir.checks import require_all


def _edges(values: Any, bins: Any, bounds: Any, name: str) -> Any:
    """The edges that a number of bins, or an array, stands for.

    Raises:
        UnsupportedError: a rule for their number, which would depend on values.
        ShapeError: there are no bins, or the array has another rank.
        ElementError: bounds or edges are in the wrong order.
    """
    if isinstance(bins, str):
        raise unsupported(f"{name} with a rule for bins", "give the number of bins, or their edges")
    if np.ndim(bins) == 1:
        edges = wrap(traced(bins))
        message = "bins must be monotonically increasing, when an array"
        require_all(traced(np.all(edges[:-1] <= edges[1:])), message, ElementError)
        return edges
    if np.ndim(bins):
        raise ShapeError("bins must be a scalar or 1d array", source_location())
    count = operator.index(bins)
    if count < 1:
        raise ShapeError("bins must be positive, when an integer", source_location())
    if bounds is not None:
        low, high = bounds
        if not is_traced(low, high) and low > high:
            raise ElementError("max must be larger than min in range parameter.", source_location())
    elif not values.size:
        low, high = 0.0, 1.0
    else:
        low, high = np.min(values), np.max(values)
    # NumPy widens a range of no width.
    alike = np.equal(low, high)
    low, high = np.where(alike, low - 0.5, low), np.where(alike, high + 0.5, high)
    return np.linspace(wrap(traced(low)), wrap(traced(high)), count + 1)


@implements(np.histogram_bin_edges)
def histogram_bin_edges(a: Any, bins: Any = 10, range: Any = None, weights: Any = None) -> Any:
    """`numpy.histogram_bin_edges` of a number of bins, or of edges."""
    x = traced(a)
    require_order("numpy.histogram_bin_edges", x)
    edges = _edges(np.ravel(wrap(x)), bins, range, "numpy.histogram_bin_edges")
    if np.ndim(bins):
        return edges
    kind = result_type(x.dtype, *[promotion_kind(bound) for bound in range or ()])
    return edges.astype(kind if is_inexact(kind) else FLOAT64)


@implements(np.histogramdd)
def histogramdd(
    sample: Any, bins: Any = 10, range: Any = None, density: Any = None, weights: Any = None
) -> tuple[Any, list[Any]]:
    """`numpy.histogramdd`; there are derivatives in weights and edges."""
    if isinstance(sample, (list, tuple)):
        columns = [np.ravel(wrap(traced(part))) for part in sample]
    else:
        h = wrap(traced(sample))
        h = h[:, None] if h.ndim == 1 else h
        columns = [h[:, i] for i in np.arange(h.shape[1]).tolist()]
    rank = len(columns)
    each = list(bins) if isinstance(bins, (list, tuple)) or np.ndim(bins) else [bins] * rank
    bounds = [None] * rank if range is None else list(range)
    if len(each) != rank or len(bounds) != rank:
        raise ShapeError(
            "The dimension of bins, and of range, must be equal to the dimension of the sample x.",
            source_location(),
        )
    place: Any = np.zeros(len(columns[0]), np.int64)
    edges: list[Any] = []
    for column, bin_, bound in zip(columns, each, bounds, strict=True):
        require_order("numpy.histogramdd", traced(column))
        edge = _edges(column, bin_, bound, "numpy.histogramdd")
        number = np.searchsorted(edge, column, side="right")
        # What is on the last edge is in the last bin.
        number = number - (column == edge[-1])
        place = place * (len(edge) + 1) + number
        edges.append(edge)
    sizes = [len(edge) + 1 for edge in edges]
    total = int(np.prod(sizes))
    counts = np.bincount(np.clip(place, 0, total - 1), weights, minlength=total)
    inner = counts.reshape(sizes)[(slice(1, -1),) * rank].astype(float)
    if density:
        whole = np.sum(inner)
        for i, edge in enumerate(edges):
            inner = inner / np.diff(edge).reshape(
                [-1 if k == i else 1 for k in np.arange(rank).tolist()]
            )
        inner = inner / whole
    return inner, edges


@implements(np.histogram2d)
def histogram2d(
    x: Any, y: Any, bins: Any = 10, range: Any = None, density: Any = None, weights: Any = None
) -> tuple[Any, Any, Any]:
    """`numpy.histogram2d`."""
    is_list = isinstance(bins, (list, tuple)) or np.ndim(bins)
    if is_list and len(bins) not in (1, 2):
        # One array of edges for both.
        bins = [bins, bins]
    counts, edges = histogramdd([x, y], bins, range, density, weights)
    return counts, edges[0], edges[1]
