# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""`scipy.ndimage`: sums and means of the parts of an array that labels name."""

from __future__ import annotations

from typing import Any

import numpy as np

from gradopt.array.handle import wrap
from gradopt.array.operands import is_traced, traced
from gradopt.base.frames import hide_frames
from gradopt.compilation.programs import program
from gradopt.errors import ArgumentError
from gradopt.ir import prims
from gradopt.ir.checks import require_all
from gradopt.scipy.operands import inexact


def operands_of(input: Any, labels: Any, index: Any) -> tuple[tuple[Any, ...], dict[str, bool]]:
    """The array with the labels and parts that are given, and whether parts are."""
    given = [part for part in (labels, index if labels is not None else None) if part is not None]
    return (input, *given), {"is_listed": labels is not None and index is not None}


def is_one(labels: Any, index: Any) -> bool:
    """Whether an index is of one part; an array of it is of several ones to SciPy."""
    if labels is None or index is None:
        return True
    return np.isscalar(index) or (is_traced(index) and np.ndim(index) == 0)


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
    operands, selection = operands_of(input, labels, index)
    return _statistics(*operands, name="sum", **selection)


@hide_frames
def sum(input: Any, labels: Any = None, index: Any = None) -> Any:
    """As `sum_labels`."""
    return sum_labels(input, labels, index)


@hide_frames
def mean(input: Any, labels: Any = None, index: Any = None) -> Any:
    """The means of the parts of an array, with the parameters of `sum_labels`."""
    operands, selection = operands_of(input, labels, index)
    return _statistics(*operands, name="mean", **selection)


@hide_frames
def variance(input: Any, labels: Any = None, index: Any = None) -> Any:
    """The variances of the parts of an array, with the parameters of `sum_labels`."""
    operands, selection = operands_of(input, labels, index)
    return _statistics(*operands, name="variance", **selection)


@hide_frames
def standard_deviation(input: Any, labels: Any = None, index: Any = None) -> Any:
    """The standard deviations of the parts, with the parameters of `sum_labels`."""
    operands, selection = operands_of(input, labels, index)
    return _statistics(*operands, name="standard_deviation", **selection)


@hide_frames
def center_of_mass(input: Any, labels: Any = None, index: Any = None) -> Any:
    """The centers of mass of the parts, with the parameters of `sum_labels`.

    Returns:
        A tuple of a coordinate for each dimension; with an `index` of several parts a list of them.
    """
    operands, selection = operands_of(input, labels, index)
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


def extremes(rows: Any, belongs: Any, name: str, is_one: bool) -> tuple[Any, Any]:
    """The smallest or largest element of each row among those that belong, and which these are.

    NaN is handed on of one part. Of several ones SciPy sorts it behind all numbers: there it is the
    largest element, and the smallest one only where there is no number.
    """
    if name == "minimum" and not is_one:
        numbers = belongs & ~np.isnan(rows)
        belongs = np.where(np.any(numbers, axis=1, keepdims=True), numbers, belongs)
    # What does not belong is an element that does: the first one.
    first = np.argmax(belongs, axis=1)
    one = np.take_along_axis(rows, first[:, None], axis=1)
    reduced = np.min if name == "minimum" else np.max
    return reduced(np.where(belongs, rows, one), axis=1), belongs


@program
def _order_statistics(input: Any, *labels: Any, is_listed: bool, is_one: bool, name: str) -> Any:
    x = wrap(traced(input))
    if name == "median":
        (x,) = inexact(input)
    weights, shape = _weights(inexact(input)[0], labels, is_listed)
    if weights is None:
        reduced = {"minimum": np.min, "maximum": np.max, "median": np.median}[name]
        return traced(reduced(x))
    belongs = weights != 0
    rows = np.broadcast_to(np.reshape(x, (1, -1)), belongs.shape)
    found: Any
    if name == "median":
        # NaN is sorted behind all numbers, as what does not belong; one part with it has no median.
        order = np.sort(np.where(belongs, rows, np.nan), axis=1)
        count = np.sum(belongs, axis=1, keepdims=True)
        middle = np.concatenate([np.maximum(count - 1, 0) // 2, count // 2], axis=1)
        found = np.mean(np.take_along_axis(order, middle, axis=1), axis=1)
        if is_one:
            found = np.where(np.any(belongs & np.isnan(rows), axis=1), np.nan, found)
    else:
        if is_one:
            message = f"{name}: zero-size array to a reduction: no element has the label"
            require_all(traced(np.any(belongs)), message, ArgumentError)
        found, _ = extremes(rows, belongs, name, is_one)
    # The median of one part of nothing is NaN.
    if name != "median" or not is_one:
        found = np.where(np.any(belongs, axis=1), found, 0)
    return traced(np.reshape(found.astype(x.dtype), shape))


@hide_frames
def minimum(input: Any, labels: Any = None, index: Any = None) -> Any:
    """The smallest element of each part, with the parameters of `mean`.

    Returns:
        A number for each part, in the dtype of `input`; 0 of a part of nothing among several.

    Raises:
        ArgumentError: there is one part, and no element has its label.
    """
    operands, selection = operands_of(input, labels, index)
    one = is_one(labels, index)
    return _order_statistics(*operands, name="minimum", is_one=one, **selection)


@hide_frames
def maximum(input: Any, labels: Any = None, index: Any = None) -> Any:
    """The largest element of each part, as `minimum`."""
    operands, selection = operands_of(input, labels, index)
    one = is_one(labels, index)
    return _order_statistics(*operands, name="maximum", is_one=one, **selection)


@hide_frames
def median(input: Any, labels: Any = None, index: Any = None) -> Any:
    """The median of each part, with the parameters of `mean`.

    Of one part of nothing it is NaN, and of such a one among several 0.
    """
    operands, selection = operands_of(input, labels, index)
    one = is_one(labels, index)
    return _order_statistics(*operands, name="median", is_one=one, **selection)
