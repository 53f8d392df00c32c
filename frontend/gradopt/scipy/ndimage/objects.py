# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""`scipy.ndimage`: the parts of an array that hang together, where they are, and distances to them.

Labels and places are integers and have no derivatives. Sizes of results do not depend on how many
parts there are.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from gradopt.array.dispatch import unsupported
from gradopt.array.handle import wrap
from gradopt.array.operands import is_traced, traced
from gradopt.base.frames import hide_frames
from gradopt.base.location import source_location
from gradopt.compilation.programs import program
from gradopt.errors import ArgumentError, ConversionError, ShapeError
from gradopt.ir.checks import require_all
from gradopt.scipy.ndimage.filters import no_output
from gradopt.scipy.ndimage.measurements import extremes, is_one, maximum, minimum, operands_of
from gradopt.scipy.ndimage.morphology import generate_binary_structure
from gradopt.transforms.loops import while_loop

# -- Parts that hang together ------------------------------------------------------------------


@hide_frames
def label(input: Any, structure: Any = None, output: Any = None) -> tuple[Any, Any]:
    """The numbers of the parts of an array that hang together.

    Args:
        input: array; what is not zero belongs to a part.
        structure: which of the neighbours of an element hang together with it, of the size 3 in
            each dimension, symmetric, and known while tracing; those beside it by default.
        output: a dtype of integers, int32 by default; an array is not supported.

    Returns:
        The number of its part for each element, from 1 on in the order of first elements, and 0
        for what belongs to none; and how many parts there are.

    Raises:
        ShapeError: the structure has another rank or size.
        ArgumentError: it is not symmetric.
        ConversionError: it is traced.
        UnsupportedError: `output` is an array.
    """
    dtype = np.dtype(np.int32)
    if output is not None:
        is_dtype = isinstance(output, (type, str, np.dtype))
        no_output("label", None if is_dtype else output)
        dtype = np.dtype(output)
    rank = np.ndim(input)
    if structure is None:
        known = np.asarray(generate_binary_structure(rank, 1))
    else:
        if is_traced(structure):
            raise ConversionError(
                "scipy.ndimage.label: structure must be known while tracing", source_location()
            )
        known = np.asarray(structure).astype(bool)
    if known.shape != (3,) * rank:
        raise ShapeError(
            f"label: structure must have the shape {(3,) * rank}, got {known.shape}",
            source_location(),
        )
    if (known != known[(slice(None, None, -1),) * rank]).any():
        raise ArgumentError("label: structuring element is not symmetric", source_location())
    neighbours = tuple([tuple(map(int, place)) for place in np.argwhere(known)])
    labels, count = _label(input, neighbours=neighbours, dtype=dtype.str)
    return labels, count


@program
def _label(input: Any, *, neighbours: tuple[tuple[int, ...], ...], dtype: str) -> Any:
    x = wrap(traced(input))
    inside = x != 0
    size = x.size
    if not size:
        return [traced(np.zeros(x.shape, dtype)), traced(np.zeros((), np.int64))]
    beyond = size
    numbers = np.reshape(np.arange(size), x.shape)
    start = np.where(inside, numbers, beyond)
    others = [place for place in neighbours if place != (1,) * x.ndim]

    def spread(state: Any) -> Any:
        """The smallest number of each element and its neighbours, and of what that one has."""
        known, _ = state
        wide = np.pad(known, 1, constant_values=beyond)
        least = known
        for place in others:
            part = tuple([slice(k, k + n) for k, n in zip(place, x.shape, strict=True)])
            least = np.minimum(least, wide[part])
        least = np.where(inside, least, beyond)
        # Numbers lead to smaller ones of the same part, so that chains are halved.
        chain = np.append(np.ravel(least), beyond)
        for _ in range(2):
            chain = np.take(chain, chain)
        found = np.reshape(chain[:-1], x.shape)
        return found, np.any(found != known)

    roots, _ = while_loop(lambda state: state[1], spread, (start, np.any(inside)))
    is_first = np.ravel(roots == numbers)
    order = np.cumsum(is_first.astype(np.int64))
    labels = np.where(inside, np.take(order, np.where(inside, roots, 0)), 0)
    return [traced(labels.astype(dtype)), traced(order[-1])]


# -- Where extremes are ------------------------------------------------------------------------


def _flat_place(input: Any, labels: Any, index: Any, what: str) -> Any:
    operands, selection = operands_of(input, labels, index)
    return _place(*operands, what=what, is_one=is_one(labels, index), **selection)


@program
def _place(input: Any, *labels: Any, is_listed: bool, is_one: bool, what: str) -> Any:
    x = wrap(traced(input))
    if labels:
        names = np.reshape(np.broadcast_to(wrap(traced(labels[0])), x.shape), (1, -1))
        index = wrap(traced(labels[1])) if is_listed else None
        belongs = names > 0 if index is None else names == np.reshape(index, (-1, 1))
        shape = () if index is None else index.shape
    else:
        belongs, shape = wrap(traced(np.ones((1, x.size), bool))), ()
    rows = np.broadcast_to(np.reshape(x, (1, -1)), belongs.shape)
    ends, belongs = extremes(rows, belongs, what, is_one)
    is_end = belongs & (rows == ends[:, None])
    if is_one:
        message = f"{what}_position: the part has no elements, or NaN among them"
        require_all(traced(np.any(is_end)), message, ArgumentError)
    else:
        # Of what is NaN, the first one that is.
        is_end = is_end | (belongs & np.isnan(rows) & np.isnan(ends)[:, None])
    return traced(np.reshape(np.argmax(is_end, axis=1), shape))


def _coordinates(input: Any, places: Any) -> Any:
    shape = np.shape(input)
    found: list[Any] = []
    rest = np.ravel(places) if np.ndim(places) else places
    for extent in reversed(shape):
        found.append(rest % extent)
        rest = rest // extent
    found.reverse()
    if np.ndim(places) == 0:
        return tuple(found)
    return [tuple([axis[k] for axis in found]) for k in range(np.size(places))]


@hide_frames
def minimum_position(input: Any, labels: Any = None, index: Any = None) -> Any:
    """Where the smallest element of each part is, with the parameters of `minimum`.

    Returns:
        A tuple of an index for each dimension; with an `index` of several parts a list of them,
        that of the first element for a part of nothing.

    Raises:
        ArgumentError: one part has no elements, or NaN among them.
    """
    return _coordinates(input, _flat_place(input, labels, index, "minimum"))


@hide_frames
def maximum_position(input: Any, labels: Any = None, index: Any = None) -> Any:
    """Where the largest element of each part is, as `minimum_position`."""
    return _coordinates(input, _flat_place(input, labels, index, "maximum"))


@hide_frames
def extrema(input: Any, labels: Any = None, index: Any = None) -> tuple[Any, Any, Any, Any]:
    """The smallest and the largest element of each part, and where these are."""
    return (
        minimum(input, labels, index),
        maximum(input, labels, index),
        minimum_position(input, labels, index),
        maximum_position(input, labels, index),
    )


# -- Distances ---------------------------------------------------------------------------------


@hide_frames
def distance_transform_edt(
    input: Any,
    sampling: Any = None,
    return_distances: bool = True,
    return_indices: bool = False,
    distances: None = None,
    indices: None = None,
) -> Any:
    """How far each element is from the nearest one that is zero.

    Along one dimension after the other the squares of distances are minimised over all elements of
    a row (Felzenszwalb and Huttenlocher, 2012, by comparison of all).

    Args:
        input: array; what is not zero has a distance.
        sampling: the distance of neighbours, one number or one for each dimension; 1 by default.
        return_distances: whether distances are returned.
        return_indices: whether the indices of the nearest elements are, in an axis in front.
        distances: not supported.
        indices: not supported.

    Returns:
        Distances as float64, indices as int32, or a tuple of both. Distances are infinite where no
        element is zero.

    Raises:
        ArgumentError: nothing is to be returned, or there are other spacings than dimensions.
        UnsupportedError: there is memory for the results.
    """
    if distances is not None or indices is not None:
        raise unsupported("distances= and indices= of scipy.ndimage.distance_transform_edt")
    if not return_distances and not return_indices:
        raise ArgumentError(
            "distance_transform_edt: at least one of distances and indices must be returned",
            source_location(),
        )
    rank = np.ndim(input)
    given = np.ones(rank) if sampling is None else np.asarray(sampling, np.float64)
    spacing = tuple(map(float, np.broadcast_to(given, (rank,)))) if given.size in (1, rank) else ()
    if len(spacing) != rank:
        raise ArgumentError(
            f"distance_transform_edt: sampling must have {rank} elements, got {given.size}",
            source_location(),
        )
    found, places = _distances(input, spacing=spacing)
    parts = [found] if return_distances else []
    parts += [places] if return_indices else []
    return parts[0] if len(parts) == 1 else tuple(parts)


@program
def _distances(input: Any, *, spacing: tuple[float, ...]) -> Any:
    x = wrap(traced(input))
    squares = np.where(x != 0, np.inf, 0.0)
    places = [np.broadcast_to(p, x.shape) for p in np.indices(x.shape, sparse=True)]
    for axis in reversed(range(x.ndim)):
        size = x.shape[axis]
        if not size:
            continue
        steps = (np.arange(size)[:, None] - np.arange(size)) * spacing[axis]
        rows = np.moveaxis(squares, axis, -1)
        sums = rows[..., None, :] + steps * steps
        nearest = np.argmin(sums, axis=-1)
        squares = np.moveaxis(np.min(sums, axis=-1), -1, axis)
        back = np.moveaxis(nearest, -1, axis)
        places = [np.take_along_axis(part, back, axis=axis) for part in places]
    return [traced(np.sqrt(squares)), traced(np.stack(places).astype(np.int32))]
