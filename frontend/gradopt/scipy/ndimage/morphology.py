# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Mathematical morphology of `scipy.ndimage`, and orders of neighbourhoods of any shape.

Structures and footprints are known while tracing, but for the heights of a grey structure, in which
there are derivatives. Results of binary operations are bools, and have none.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from gradopt.array.dispatch import unsupported
from gradopt.array.handle import wrap
from gradopt.array.operands import is_traced, traced
from gradopt.base.frames import hide_frames
from gradopt.base.location import source_location
from gradopt.compilation.programs import program
from gradopt.errors import ArgumentError, ConversionError, ShapeError
from gradopt.scipy.ndimage.filters import check_mode, no_output, padded
from gradopt.transforms.loops import while_loop

# The places of a structure: booleans, and the elements in each row of axes.
Places = tuple[tuple[int, ...], ...]


def _known_structure(name: str, what: str, value: Any, rank: int) -> np.ndarray[Any, Any]:
    """The places of a structure.

    Raises:
        ConversionError: it is traced.
        ShapeError: it has another rank than the array, or no elements.
    """
    if is_traced(value):
        raise ConversionError(
            f"scipy.ndimage.{name}: {what} must be known while tracing", source_location()
        )
    found = np.asarray(value).astype(bool)
    if found.ndim != rank or not found.any():
        raise ShapeError(
            f"{name}: {what} must have the rank of the array, {rank}, and elements that are not "
            f"zero, but its shape is {found.shape}",
            source_location(),
        )
    return found


def _origins(name: str, origin: Any, shape: Sequence[int]) -> tuple[int, ...]:
    given = tuple(origin) if np.ndim(origin) else (origin,) * len(shape)
    origins = tuple([operator.index(value) for value in given])
    if len(origins) != len(shape) or any(
        not 0 <= size // 2 + shift < size for size, shift in zip(shape, origins, strict=True)
    ):
        raise ArgumentError(f"{name}: invalid origin", source_location())
    return origins


def _turned(origins: Sequence[int], shape: Sequence[int]) -> tuple[int, ...]:
    """The origins of a structure in reverse order."""
    return tuple([-o - (size % 2 == 0) for o, size in zip(origins, shape, strict=True)])


def _neighbours(
    x: Any, places: Places, shape: Sequence[int], origins: Sequence[int], mode: str, cval: Any
) -> list[Any]:
    """For each place of a structure the elements that are there from each one."""
    wide = x
    for axis, (size, origin) in enumerate(zip(shape, origins, strict=True)):
        low = size // 2 + origin
        wide = padded(wide, axis, low, size - 1 - low, mode, cval)
    return [
        wide[tuple([slice(k, k + n) for k, n in zip(place, x.shape, strict=True)])]
        for place in places
    ]


def _reduced(parts: list[Any], choose: Callable[[Any, Any], Any]) -> Any:
    while len(parts) > 1:
        pairs = [choose(a, b) for a, b in zip(parts[::2], parts[1::2], strict=False)]
        parts = pairs + parts[len(parts) - len(parts) % 2 :]
    return parts[0]


def _places(structure: np.ndarray[Any, Any]) -> Places:
    return tuple([tuple(map(int, place)) for place in np.argwhere(structure)])


# -- Grey values -------------------------------------------------------------------------------


def _grey(
    name: str, input: Any, size: Any, footprint: Any, structure: Any, output: Any, mode: Any,
    cval: Any, origin: Any, axes: Any,
) -> Any:  # fmt: skip
    no_output(name, output)
    if axes is not None:
        raise unsupported(f"keyword axes= of scipy.ndimage.{name}", "give all dimensions")
    rank = np.ndim(input)
    if footprint is not None:
        inside = _known_structure(name, "footprint", footprint, rank)
    elif structure is not None:
        inside = np.ones(np.shape(structure), bool)
    elif size is None:
        raise ArgumentError("size, footprint, or structure must be specified", source_location())
    else:
        inside = np.ones(tuple(size) if np.ndim(size) else (size,) * rank, bool)
    if inside.ndim != rank or (structure is not None and np.shape(structure) != inside.shape):
        raise ShapeError(
            f"{name}: the shape of the neighbourhood, {inside.shape}, does not fit",
            source_location(),
        )
    origins = _origins(name, origin, inside.shape)
    largest = name == "grey_dilation"
    if largest:
        inside, origins = np.flip(inside), _turned(origins, inside.shape)
        structure = None if structure is None else np.flip(structure)
    heights = () if structure is None else (structure,)
    return _grey_values(
        input, cval, *heights, places=_places(inside), shape=inside.shape, origins=origins,
        mode=check_mode(mode), largest=largest,
    )  # fmt: skip


@program
def _grey_values(
    input: Any, cval: Any, *heights: Any, places: Places, shape: Any, origins: Any, mode: str,
    largest: bool,
) -> Any:  # fmt: skip
    x = wrap(traced(input))
    parts = _neighbours(x, places, shape, origins, mode, wrap(traced(cval, x.dtype)))
    if heights:
        height = wrap(traced(heights[0], x.dtype))
        signed = [height[place] if largest else -height[place] for place in places]
        parts = [part + height for part, height in zip(parts, signed, strict=True)]
    return traced(_reduced(parts, np.maximum if largest else np.minimum))


@hide_frames
def grey_erosion(
    input: Any, size: Any = None, footprint: Any = None, structure: Any = None,
    output: Any = None, mode: str = "reflect", cval: Any = 0.0, origin: Any = 0, *,
    axes: Any = None,
) -> Any:  # fmt: skip
    """The smallest element around each, less the heights of a structure.

    Args:
        input: array.
        size: of the neighbourhood, or one for each axis.
        footprint: booleans: which elements belong to it.
        structure: heights, of the shape of the footprint.
        output: not supported.
        mode: how the array is continued (`gradopt.scipy.ndimage.filters`).
        cval: with what, in mode "constant".
        origin: by how many elements the neighbourhood is moved, for each axis.
        axes: not supported.

    Raises:
        UnsupportedError: `output` or `axes`.
        ConversionError: the footprint is traced.
        ShapeError: shapes do not fit.
        ArgumentError: there is no such mode, or nothing says what the neighbourhood is.
    """
    return _grey(
        "grey_erosion", input, size, footprint, structure, output, mode, cval, origin, axes
    )


@hide_frames
def grey_dilation(
    input: Any, size: Any = None, footprint: Any = None, structure: Any = None,
    output: Any = None, mode: str = "reflect", cval: Any = 0.0, origin: Any = 0, *,
    axes: Any = None,
) -> Any:  # fmt: skip
    """The largest element around each, and the heights of a structure, as `grey_erosion`."""
    return _grey(
        "grey_dilation", input, size, footprint, structure, output, mode, cval, origin, axes
    )


def _composed(name: str, what: str, formula: Callable[..., Any]) -> Callable[..., Any]:
    """A function of an array, with the parameters of `grey_erosion`."""

    @hide_frames
    def made(
        input: Any, size: Any = None, footprint: Any = None, structure: Any = None,
        output: Any = None, mode: str = "reflect", cval: Any = 0.0, origin: Any = 0, *,
        axes: Any = None,
    ) -> Any:  # fmt: skip
        no_output(name, output)
        rest = (size, footprint, structure, None, mode, cval, origin)

        def erode(x: Any) -> Any:
            return _grey("grey_erosion", x, *rest, axes)

        def dilate(x: Any) -> Any:
            return _grey("grey_dilation", x, *rest, axes)

        return formula(input, erode, dilate)

    made.__name__ = made.__qualname__ = name
    made.__doc__ = f"""{what}

    Parameters and errors are those of `grey_erosion`.
    """
    return made


grey_opening = _composed(
    "grey_opening", "A dilation of an erosion.", lambda x, erode, dilate: dilate(erode(x))
)
grey_closing = _composed(
    "grey_closing", "An erosion of a dilation.", lambda x, erode, dilate: erode(dilate(x))
)
morphological_gradient = _composed(
    "morphological_gradient",
    "The dilation less the erosion.",
    lambda x, erode, dilate: dilate(x) - erode(x),
)
morphological_laplace = _composed(
    "morphological_laplace",
    "The dilation and the erosion, less twice the array.",
    lambda x, erode, dilate: dilate(x) + erode(x) - x - x,
)
white_tophat = _composed(
    "white_tophat",
    "What an opening takes away.",
    lambda x, erode, dilate: x - dilate(erode(x)),
)
black_tophat = _composed(
    "black_tophat", "What a closing adds.", lambda x, erode, dilate: erode(dilate(x)) - x
)


# -- Orders ------------------------------------------------------------------------------------


def _ordered(
    name: str, input: Any, which: Callable[[int], int], size: Any, footprint: Any, output: Any,
    mode: Any, cval: Any, origin: Any, axes: Any,
) -> Any:  # fmt: skip
    no_output(name, output)
    if axes is not None:
        raise unsupported(f"keyword axes= of scipy.ndimage.{name}", "give all dimensions")
    rank = np.ndim(input)
    if footprint is not None:
        inside = _known_structure(name, "footprint", footprint, rank)
    elif size is None:
        raise ArgumentError("no footprint or filter size provided", source_location())
    else:
        inside = np.ones(tuple(size) if np.ndim(size) else (size,) * rank, bool)
    return _chosen(
        input, cval, places=_places(inside), shape=inside.shape, mode=check_mode(mode),
        origins=_origins(name, origin, inside.shape), which=which(int(inside.sum())),
    )  # fmt: skip


@program
def _chosen(
    input: Any, cval: Any, *, places: Places, shape: Any, mode: str, origins: Any, which: int
) -> Any:
    x = wrap(traced(input))
    parts = _neighbours(x, places, shape, origins, mode, wrap(traced(cval, x.dtype)))
    return traced(np.sort(np.stack(parts), axis=0)[which])


def _checked_rank(name: str, rank: int, count: int) -> int:
    found = rank + count if rank < 0 else rank
    if not 0 <= found < count:
        raise ArgumentError(f"{name}: rank not within filter footprint size", source_location())
    return found


@hide_frames
def rank_filter(
    input: Any, rank: int, size: Any = None, footprint: Any = None, output: Any = None,
    mode: str = "reflect", cval: Any = 0.0, origin: Any = 0, *, axes: Any = None,
) -> Any:  # fmt: skip
    """The element of a rank among those around each; other parameters are `grey_erosion`'s.

    Args:
        rank: from 0 on; -1 is the largest one.
    """

    def which(count: int) -> int:
        return _checked_rank("rank_filter", operator.index(rank), count)

    return _ordered("rank_filter", input, which, size, footprint, output, mode, cval, origin, axes)


@hide_frames
def percentile_filter(
    input: Any, percentile: float, size: Any = None, footprint: Any = None, output: Any = None,
    mode: str = "reflect", cval: Any = 0.0, origin: Any = 0, *, axes: Any = None,
) -> Any:  # fmt: skip
    """The element that a percentage of those around each are below, as `rank_filter`."""
    part = percentile + 100.0 if percentile < 0 else percentile
    if not 0 <= part <= 100:
        raise ArgumentError("invalid percentile", source_location())

    def which(count: int) -> int:
        return count - 1 if part == 100 else int(count * part / 100)

    return _ordered(
        "percentile_filter", input, which, size, footprint, output, mode, cval, origin, axes
    )


# -- Binary ------------------------------------------------------------------------------------


def generate_binary_structure(rank: int, connectivity: int) -> np.ndarray[Any, Any]:
    """The elements that are neighbours of one, of as many axes at once as `connectivity` says."""
    if rank < 1:
        return np.array(True, dtype=bool)
    away = np.abs(np.indices([3] * rank) - 1)
    return np.asarray(np.sum(away, axis=0) <= max(connectivity, 1))


def _binary(
    name: str, input: Any, structure: Any, iterations: int, mask: Any, output: Any,
    border: Any, origin: Any, axes: Any,
) -> Any:  # fmt: skip
    no_output(name, output)
    if axes is not None:
        raise unsupported(f"keyword axes= of scipy.ndimage.{name}", "give all dimensions")
    rank = np.ndim(input)
    given = generate_binary_structure(rank, 1) if structure is None else structure
    inside = _known_structure(name, "structure", given, rank)
    origins = _origins(name, origin, inside.shape)
    largest = name == "binary_dilation"
    if largest:
        inside, origins = np.flip(inside), _turned(origins, inside.shape)
    masks = () if mask is None else (mask,)
    return _binary_values(
        input, *masks, places=_places(inside), shape=inside.shape, origins=origins,
        border=bool(border), largest=largest, count=operator.index(iterations),
    )  # fmt: skip


@program
def _binary_values(
    input: Any, *masks: Any, places: Places, shape: Any, origins: Any, border: bool, largest: bool,
    count: int,
) -> Any:  # fmt: skip
    x = wrap(traced(input)) != 0
    choose = np.logical_or if largest else np.logical_and

    def change(x: Any) -> Any:
        # As integers: bools are not padded by constants.
        parts = _neighbours(x.astype(np.int8), places, shape, origins, "constant", np.int8(border))
        found = _reduced([part != 0 for part in parts], choose)
        return np.where(wrap(traced(masks[0])) != 0, found, x) if masks else found

    if count >= 1:
        for _ in range(count):
            x = change(x)
        return traced(x)

    def goes_on(state: Any) -> Any:
        return state[1]

    def again(state: Any) -> Any:
        before, _ = state
        after = change(before)
        return after, np.any(after != before)

    return traced(while_loop(goes_on, again, (x, np.any(x) | np.any(~x)))[0])


@hide_frames
def binary_erosion(
    input: Any, structure: Any = None, iterations: int = 1, mask: Any = None,
    output: Any = None, border_value: Any = 0, origin: Any = 0, brute_force: bool = False, *,
    axes: Any = None,
) -> Any:  # fmt: skip
    """Whether all elements around each are not zero.

    Args:
        input: array.
        structure: which elements are around each; by default the next ones along the axes.
        iterations: how often; less than 1: until nothing changes.
        mask: where anything changes; everywhere by default.
        output: not supported.
        border_value: what is beyond the ends.
        origin: by how many elements the structure is moved, for each axis.
        brute_force: means nothing.
        axes: not supported.

    Returns:
        An array of bools.

    Raises:
        UnsupportedError: `output` or `axes`.
        ConversionError: the structure is traced.
        ShapeError: it has another rank.
    """
    return _binary(
        "binary_erosion", input, structure, iterations, mask, output, border_value, origin, axes
    )


@hide_frames
def binary_dilation(
    input: Any, structure: Any = None, iterations: int = 1, mask: Any = None,
    output: Any = None, border_value: Any = 0, origin: Any = 0, brute_force: bool = False, *,
    axes: Any = None,
) -> Any:  # fmt: skip
    """Whether any element around each is not zero, as `binary_erosion`."""
    return _binary(
        "binary_dilation", input, structure, iterations, mask, output, border_value, origin, axes
    )


@hide_frames
def binary_opening(
    input: Any, structure: Any = None, iterations: int = 1, output: Any = None,
    origin: Any = 0, mask: Any = None, border_value: Any = 0, brute_force: bool = False, *,
    axes: Any = None,
) -> Any:  # fmt: skip
    """A dilation of an erosion, as `binary_erosion`."""
    rest = (structure, iterations, mask, output, border_value, origin, axes)
    return _binary("binary_dilation", _binary("binary_erosion", input, *rest), *rest)


@hide_frames
def binary_closing(
    input: Any, structure: Any = None, iterations: int = 1, output: Any = None,
    origin: Any = 0, mask: Any = None, border_value: Any = 0, brute_force: bool = False, *,
    axes: Any = None,
) -> Any:  # fmt: skip
    """An erosion of a dilation, as `binary_erosion`."""
    rest = (structure, iterations, mask, output, border_value, origin, axes)
    return _binary("binary_erosion", _binary("binary_dilation", input, *rest), *rest)


@hide_frames
def binary_propagation(
    input: Any, structure: Any = None, mask: Any = None, output: Any = None,
    border_value: Any = 0, origin: Any = 0, *, axes: Any = None,
) -> Any:  # fmt: skip
    """Dilations within a mask until nothing changes, as `binary_dilation`."""
    return _binary(
        "binary_dilation", input, structure, -1, mask, output, border_value, origin, axes
    )


@hide_frames
def binary_fill_holes(
    input: Any, structure: Any = None, output: Any = None, origin: Any = 0, *, axes: Any = None
) -> Any:
    """The array, and all that cannot be reached from beyond its ends, as `binary_dilation`."""
    no_output("binary_fill_holes", output)
    empty = np.zeros(np.shape(input), bool)
    outside = np.equal(input, 0)
    reached = _binary("binary_dilation", empty, structure, -1, outside, None, 1, origin, axes)
    return np.logical_not(reached)
