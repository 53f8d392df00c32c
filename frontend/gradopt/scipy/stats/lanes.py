# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Statistics of samples along an axis, as functions of arrays whose last axis holds the samples."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gradopt.array.dispatch import unsupported
from gradopt.array.handle import wrap
from gradopt.array.operands import traced
from gradopt.base.location import source_location
from gradopt.compilation.programs import program
from gradopt.errors import ArgumentError
from gradopt.ir import prims
from gradopt.ir.current import current_scope
from gradopt.scipy.operands import real
from gradopt.transforms.batching import vmap

# Of arrays of samples along the last axis, and of other operands; it gives a tuple of arrays.
Formula = Callable[..., tuple[Any, ...]]


def require_propagation(name: str, nan_policy: str) -> None:
    """Checks that NaN is not treated in another way than by arithmetic.

    Raises:
        UnsupportedError: it is.
    """
    if nan_policy != "propagate":
        raise unsupported(
            f"nan_policy={nan_policy!r} of scipy.stats.{name}", "leave NaN out before"
        )


def require_choice(name: str, parameter: str, value: Any, choices: tuple[Any, ...]) -> Any:
    """A value that is one of some.

    Raises:
        ArgumentError: it is not.
    """
    if value not in choices:
        raise ArgumentError(
            f"{name}: `{parameter}` must be one of {', '.join(map(repr, choices))}, but it is "
            f"{value!r}",
            source_location(),
        )
    return value


def shape_of(value: Any) -> tuple[int, ...]:
    """The shape of an argument, which may be a list of what is traced."""
    return np.shape(value) if current_scope() is None else wrap(traced(value)).shape


def along(
    formula: Formula,
    name: str,
    samples: tuple[Any, ...],
    others: tuple[Any, ...] = (),
    *,
    axis: int | None,
    keepdims: bool = False,
    **options: Any,
) -> tuple[Any, ...]:
    """A formula of samples along an axis.

    Args:
        formula: of the samples, of the other operands, and of the options by name.
        name: of the function, for messages.
        samples: arrays.
        others: arrays and numbers that the axis is not of.
        axis: along which the samples lie; all elements are one sample by None.
        keepdims: whether results keep that axis, with one element.
        options: what selects code; hashable.
    """
    return _along(
        *samples,
        *others,
        formula=formula,
        name=name,
        count=len(samples),
        axis=axis,
        keepdims=bool(keepdims),
        **options,
    )


@program
def _along(
    *operands: Any,
    formula: Formula,
    name: str,
    count: int,
    axis: int | None,
    keepdims: bool,
    **options: Any,
) -> Any:
    values = real(f"stats.{name}", *operands)
    values = [*map(np.atleast_1d, values[:count]), *values[count:]]
    rank = values[0].ndim
    found = formula(*lanes(values[:count], axis), *values[count:], **options)
    results = [wrap(traced(part)) for part in found]
    if keepdims:
        shapes = [_kept(np.shape(part), rank, axis) for part in results]
        results = [np.reshape(*pair) for pair in zip(results, shapes, strict=True)]
    return tuple([traced(part) for part in results])


def lanes(values: list[Any], axis: int | None) -> list[Any]:
    """Arrays with an axis moved to the end; flat ones by None."""
    if axis is None:
        return [np.ravel(x) for x in values]
    return [np.moveaxis(x, prims.normalize_axis(axis, x.ndim), -1) for x in values]


def _kept(shape: tuple[int, ...], rank: int, axis: int | None) -> tuple[int, ...]:
    if axis is None:
        return (1,) * rank
    place = axis % rank
    return (*shape[:place], 1, *shape[place:])


def by_rows(function: Callable[..., Any], *arrays: Any) -> Any:
    """A function of vectors, of those along the last axes."""
    if arrays[0].ndim <= 1:
        return function(*arrays)
    batch = np.broadcast_shapes(*[x.shape[:-1] for x in arrays])
    flat = [
        np.reshape(np.broadcast_to(x, (*batch, x.shape[-1])), (-1, x.shape[-1])) for x in arrays
    ]
    found = vmap(function)(*flat)
    if isinstance(found, tuple):
        return tuple([np.reshape(part, (*batch, *part.shape[1:])) for part in found])
    return np.reshape(found, (*batch, *found.shape[1:]))


def ranks(x: Any) -> Any:
    """The ranks of the numbers along the last axis, from 1 on; the mean of equal ones."""

    def of(row: Any) -> Any:
        order = np.sort(row)
        low = np.searchsorted(order, row, side="left")
        return 0.5 * (low + np.searchsorted(order, row, side="right") + 1)

    found = np.zeros(x.shape) if not x.shape[-1] else by_rows(of, x)
    # NaN has no rank, and there is none beside it.
    return np.where(np.any(np.isnan(x), axis=-1, keepdims=True), np.nan, found)


def ties(x: Any) -> Any:
    """The sum of `t**3 - t` of the numbers t of equal elements along the last axis."""

    def of(row: Any) -> Any:
        order = np.sort(row)
        left = np.searchsorted(order, row, side="left")
        many = (np.searchsorted(order, row, side="right") - left).astype(np.float64)
        return np.sum(many * many - 1)

    return np.zeros(x.shape[:-1]) if not x.shape[-1] else by_rows(of, x)
