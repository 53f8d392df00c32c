# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""`scipy.ndimage`: sums and means of the parts of an array that labels name."""

from __future__ import annotations

from typing import Any

import numpy as np

from gradopt.array.handle import wrap
from gradopt.array.operands import traced
from gradopt.base.frames import hide_frames
from gradopt.compilation.programs import program
from gradopt.ir import prims
from gradopt.scipy.operands import inexact


def _operands(input: Any, labels: Any, index: Any) -> tuple[tuple[Any, ...], dict[str, bool]]:
    given = [part for part in (labels, index if labels is not None else None) if part is not None]
    return (input, *given), {"is_listed": labels is not None and index is not None}


def _weights(x: Any, labels: tuple[Any, ...], is_listed: bool) -> tuple[Any, tuple[int, ...]]:
    """For each part and element whether it belongs there; and the shape of results."""
    if not labels:
        return None, ()
    names = np.broadcast_to(wrap(traced(labels[0])), x.shape)
    if not is_listed:
        return np.reshape(np.where(names > 0, 1, 0).astype(x.dtype), (1, -1)), ()
    index = wrap(traced(labels[1]))
    belongs = np.reshape(names, (1, -1)) == np.reshape(index, (-1, 1))
    return np.where(belongs, 1, 0).astype(x.dtype), index.shape


def _sums(x: Any, weights: Any, shape: tuple[int, ...]) -> Any:
    """The sums of parts of an array."""
    if weights is None:
        return np.sum(x)
    return np.reshape(np.sum(weights * np.reshape(x, (1, -1)), axis=1), shape)


@program
def _statistics(input: Any, *labels: Any, is_listed: bool, name: str) -> Any:
    (x,) = inexact(input)
    weights, shape = _weights(x, labels, is_listed)
    total = _sums(x, weights, shape)
    if name == "sum":
        return traced(total)
    count = _sums(np.ones_like(x), weights, shape)
    mean = total / count
    if name == "mean":
        return traced(mean)
    if weights is None:
        variance = np.mean((x - mean) ** 2)
    else:
        centered = np.reshape(x, (1, -1)) - np.reshape(mean, (-1, 1))
        variance = np.reshape(np.sum(weights * centered**2, axis=1), shape) / count
    return traced(variance if name == "variance" else np.sqrt(variance))


@hide_frames
def sum_labels(input: Any, labels: Any = None, index: Any = None) -> Any:
    """The sums of the parts of an array.

    Args:
        input: array.
        labels: array that broadcasts against it, with the number of the part of each element; by
            default all is one part.
        index: which parts; by default all of the positive numbers, as one part.

    Returns:
        A number for each part, of the shape of `index`; of a part without elements NaN, or 0 if it
        is a sum.
    """
    operands, selection = _operands(input, labels, index)
    return _statistics(*operands, name="sum", **selection)


@hide_frames
def sum(input: Any, labels: Any = None, index: Any = None) -> Any:
    """As `sum_labels`."""
    return sum_labels(input, labels, index)


@hide_frames
def mean(input: Any, labels: Any = None, index: Any = None) -> Any:
    """The means of the parts of an array, with the parameters of `sum_labels`."""
    operands, selection = _operands(input, labels, index)
    return _statistics(*operands, name="mean", **selection)


@hide_frames
def variance(input: Any, labels: Any = None, index: Any = None) -> Any:
    """The variances of the parts of an array, with the parameters of `sum_labels`."""
    operands, selection = _operands(input, labels, index)
    return _statistics(*operands, name="variance", **selection)


@hide_frames
def standard_deviation(input: Any, labels: Any = None, index: Any = None) -> Any:
    """The standard deviations of the parts, with the parameters of `sum_labels`."""
    operands, selection = _operands(input, labels, index)
    return _statistics(*operands, name="standard_deviation", **selection)


@hide_frames
def center_of_mass(input: Any, labels: Any = None, index: Any = None) -> Any:
    """The centers of mass of the parts, with the parameters of `sum_labels`.

    Returns:
        A tuple of a coordinate for each dimension; with an `index` of several parts a list of them.
    """
    operands, selection = _operands(input, labels, index)
    found = _center(*operands, **selection)
    if not selection["is_listed"] or np.ndim(index) == 0:
        return tuple([found[..., k] for k in range(np.ndim(input))])
    return [tuple([row[k] for k in range(np.ndim(input))]) for row in found]


@program
def _center(input: Any, *labels: Any, is_listed: bool) -> Any:
    (x,) = inexact(input)
    weights, shape = _weights(x, labels, is_listed)
    total = _sums(x, weights, shape)
    parts: list[Any] = []
    for axis in range(x.ndim):
        places = np.arange(x.shape[axis]).astype(x.dtype)
        places = np.reshape(places, [-1 if k == axis else 1 for k in range(x.ndim)])
        parts.append(_sums(x * places, weights, shape) / total)
    return prims.convert(traced(np.stack(parts, axis=-1)), x.dtype)


@program
def _order_statistics(input: Any, *labels: Any, is_listed: bool, name: str) -> Any:
    x = wrap(traced(input))
    if name == "median":
        (x,) = inexact(input)
    reduced = {"minimum": np.min, "maximum": np.max, "median": np.median}[name]
    weights, shape = _weights(inexact(input)[0], labels, is_listed)
    if weights is None:
        return traced(reduced(x))
    belongs = weights != 0
    rows = np.broadcast_to(np.reshape(x, (1, -1)), belongs.shape)
    found: Any
    if name == "median":
        found = np.nanmedian(np.where(belongs, rows, np.nan), axis=1)
    else:
        # What does not belong is an element that does: the first one.
        first = np.argmax(belongs, axis=1)
        one = np.take_along_axis(rows, first[:, None], axis=1)
        found = reduced(np.where(belongs, rows, one), axis=1)
    found = np.where(np.any(belongs, axis=1), found, 0)
    return traced(np.reshape(found.astype(x.dtype), shape))


@hide_frames
def minimum(input: Any, labels: Any = None, index: Any = None) -> Any:
    """The smallest element of each part, with the parameters of `mean`; 0 of a part of nothing."""
    operands, selection = _operands(input, labels, index)
    return _order_statistics(*operands, name="minimum", **selection)


@hide_frames
def maximum(input: Any, labels: Any = None, index: Any = None) -> Any:
    """The largest element of each part, with the parameters of `mean`; 0 of a part of nothing."""
    operands, selection = _operands(input, labels, index)
    return _order_statistics(*operands, name="maximum", **selection)


@hide_frames
def median(input: Any, labels: Any = None, index: Any = None) -> Any:
    """The median of each part, with the parameters of `mean`; 0 of a part of nothing."""
    operands, selection = _operands(input, labels, index)
    return _order_statistics(*operands, name="median", **selection)
