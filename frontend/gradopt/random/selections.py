# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Random orders of elements, and choices of them."""

from __future__ import annotations

from typing import Any

import numpy as np

from gradopt.array.handle import Handle, array_of, wrap
from gradopt.array.indexing import getitem
from gradopt.array.operands import handle_of, traced
from gradopt.base.dtypes import INT64
from gradopt.base.frames import hide_frames
from gradopt.base.location import source_location
from gradopt.compilation.arguments import checked_array, checked_flag
from gradopt.compilation.calling import describe_value
from gradopt.compilation.programs import program
from gradopt.errors import ArgumentError, ArgumentTypeError, ShapeError
from gradopt.ir import prims
from gradopt.ir.checks import require_all, require_within
from gradopt.ir.values import Shape, Value, emit
from gradopt.random.arguments import checked_key, checked_shape
from gradopt.random.distributions import gumbel, reduced, uniform, wide_integers
from gradopt.recording import grad
from gradopt.transforms.loops import fori_loop


def _order(key: Any, count: int) -> Value:
    """The numbers below `count` in random order."""
    positions = prims.iota((count,), 0, INT64)
    if count < 2:
        return positions
    # The place that the element at i changes with, at i or before.
    places = wrap(reduced(wide_integers(key, (count,)), positions + 1))

    def swap(number: Any, order: Any) -> Any:
        i = number + 1
        j = places[i]
        here, there = order[i], order[j]
        order[i] = there
        order[j] = here
        return order

    return fori_loop(0, count - 1, swap, array_of(positions))._read()


@program
def _permutation(key: Any, *, count: int) -> Value:
    return _order(key, count)


@program
def _permuted(key: Any, x: Any) -> Any:
    rows = handle_of(x)
    return getitem(rows, array_of(_order(key, rows.shape[0])))


def _population(value: Any, name: str) -> tuple[Any, int]:
    """An array and the length of its first axis; or None, and the number that was given."""
    if isinstance(value, (int, np.integer)) and not isinstance(value, bool):
        return None, checked_shape(value, name)[0]
    if isinstance(value, Handle) and value.shape == () and value.dtype.kind == "i":
        return None, checked_shape(value, name)[0]  # Raises the error for sizes that are traced.
    array = checked_array(value, name, "fib")
    if np.ndim(array) == 0:
        raise ArgumentTypeError(
            f"{name} must be an integer or an array, but it is {describe_value(value)}",
            source_location(),
        )
    return array, array.shape[0]


@hide_frames
def permutation(key: Any, x: Any) -> Any:
    """A random order, all orders being equally likely.

    Args:
        x: an array whose elements along the first axis are put in random order; or an integer n,
            for the numbers below n.

    Returns:
        array like `x`; for an integer, int64 array of shape (n,).

    Raises:
        ArgumentTypeError: `x` is a number with a fraction.
    """
    array, count = _population(x, "x")
    if array is None:
        return _permutation(checked_key(key), count=count)
    return _permuted(checked_key(key), array)


@program
def _indices(key: Any, *, count: int, shape: Shape, replace: bool) -> Value:
    if replace:
        return reduced(wide_integers(key, shape), prims.scalar(count, INT64))
    taken = prims.take_range(_order(key, count), 0, 0, prims.size_of(shape))
    return prims.reshape(taken, shape)


def _checked_weights(p: Any) -> Value:
    """Weights that choices can be made by; what they are is looked at when the code runs."""
    weights = traced(p)
    usable = weights >= prims.scalar(0, weights.dtype)
    require_all(usable, "p must not be negative or NaN, but {value} of it are", ArgumentError)
    total = prims.reduce("sum", weights, [0])
    usable = (total > prims.scalar(0, total.dtype)) & (total < prims.scalar(np.inf, total.dtype))
    require_all(usable, "p must have a sum that is positive and finite", ArgumentError)
    return weights


@program
def _weighted(key: Any, p: Any, *, shape: Shape) -> Value:
    weights = _checked_weights(p)
    ends = prims.cumsum(weights, 0)
    count = ends.shape[0]
    total = prims.take_range(ends, 0, count - 1, count)
    points = uniform(key, shape, weights.dtype)._read()
    scaled = points * prims.reshape(total, ())
    # How many of the categories end at or before the point.
    reached = prims.reshape(scaled, (*shape, 1)) >= ends
    number = prims.reduce("sum", prims.convert(reached, INT64), [len(shape)])
    return prims.select(number >= count, prims.scalar(count - 1, INT64), number)


@program
def _weighted_without_replacement(key: Any, p: Any, *, shape: Shape) -> Value:
    weights = _checked_weights(p)
    zero = prims.scalar(0, weights.dtype)
    positive = weights > zero
    wanted, count = prims.size_of(shape), weights.size
    found = prims.reduce("sum", prims.convert(positive, INT64), [0])
    message = f"cannot choose {wanted} elements without replacement: {{value}} have weights above 0"
    require_within(found, wanted, count, message, ArgumentError)
    # In the order of logarithms of weights with Gumbel noise, the largest first.
    noise = gumbel(key, weights.shape, weights.dtype)._read()
    logs = emit(grad.log, prims.select(positive, weights, prims.scalar(1, weights.dtype)))
    scores = prims.select(positive, logs + noise, prims.scalar(-np.inf, weights.dtype))

    def take(number: Any, state: Any) -> Any:
        chosen, scores = state
        chosen[number] = np.argmax(scores)
        scores[chosen[number]] = -np.inf
        return chosen, scores

    start = (array_of(prims.full((wanted,), 0, INT64)), array_of(scores))
    return prims.reshape(fori_loop(0, wanted, take, start)[0]._read(), shape)


@program
def _taken(x: Any, indices: Any) -> Any:
    return getitem(handle_of(x), array_of(traced(indices)))


@hide_frames
def choice(key: Any, a: Any, shape: Any = (), replace: bool = True, p: Any = None) -> Any:
    """Random elements of an array.

    Args:
        a: an array, of whose elements along the first axis some are chosen; or an integer n, for
            the numbers below n.
        shape: how many, as a shape.
        replace: whether an element may be chosen more than once.
        p: array of floats, a weight for each element, not negative; None if all are equally likely.
            Without replacement the next element is chosen by the weights of those that are left.
            The time for each choice grows with the number of weights. There is no derivative in it.

    Returns:
        array of shape `(*shape, *a.shape[1:])`; for an integer, int64 array of `shape`.

    Raises:
        ArgumentError: there are no elements, or too few, to choose from; or weights are negative or
            NaN, or their sum is zero or infinite.
        ShapeError: `p` has another length.
    """
    array, count = _population(a, "a")
    key, sizes = checked_key(key), checked_shape(shape)
    replace = checked_flag(replace, "replace")
    wanted = prims.size_of(sizes)
    if wanted > (count if not replace else wanted if count else 0):
        raise ArgumentError(
            f"cannot choose {wanted} elements of {count}"
            + ("" if replace or not count else " without replacement"),
            source_location(),
        )
    if p is None:
        indices = _indices(key, count=count, shape=sizes, replace=replace)
    else:
        weights = checked_array(p, "p", "f")
        if np.shape(weights) != (count,):
            raise ShapeError(
                f"p must have shape ({count},), one weight for each element, but it has shape "
                f"{np.shape(weights)}",
                source_location(),
            )
        choose = _weighted if replace or not wanted else _weighted_without_replacement
        indices = choose(key, weights, shape=sizes)
    return indices if array is None else _taken(array, indices)
