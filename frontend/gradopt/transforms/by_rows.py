# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""NumPy's functions of each row by itself, where the number of rows is known at run time only.

What they need to know is how large a row is; so they are mapped over rows, as by `vmap`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gradopt.array.dispatch import BY_ROWS, call_function
from gradopt.array.handle import Handle, array_of
from gradopt.array.operands import traced
from gradopt.base.pytree import flatten
from gradopt.ir import sized
from gradopt.ir.extents import has_extents, is_extent
from gradopt.transforms.batching import vmap


@dataclass(frozen=True)
class _Rows:
    """What a function needs to know of its arrays.

    Attributes:
        core: for the names of arrays how many of their last dimensions are of one row.
        axis: the name of the axis, or axes, that the function goes along, if it has any.
        plain: keywords that must have their default.
        single: what must be one number: several give results with a dimension in front.
    """

    core: dict[str, int]
    axis: str = ""
    plain: tuple[str, ...] = ()
    single: str = ""


def _table() -> dict[Callable[..., Any], _Rows]:
    groups: list[tuple[Any, str, _Rows]] = [
        (
            np.linalg,
            "inv det slogdet cholesky eigh eigvalsh eig eigvals qr pinv matrix_power",
            _Rows({"a": 2}),
        ),
        (np.linalg, "svd", _Rows({"a": 2})),
        (np.linalg, "svdvals", _Rows({"x": 2})),
        (np.linalg, "matrix_rank", _Rows({"A": 2})),
        (np.linalg, "cond", _Rows({"x": 2})),
        (np.linalg, "solve", _Rows({"a": 2, "b": 2})),
        (np, "tril triu", _Rows({"m": 2})),
        (np.fft, "fft ifft rfft irfft hfft ihfft", _Rows({"a": 1}, "axis")),
        (np.fft, "fft2 ifft2 rfft2 irfft2 fftn ifftn rfftn irfftn", _Rows({"a": 2}, "axes")),
        (np.fft, "fftshift ifftshift", _Rows({"x": 1}, "axes")),
        (np, "take_along_axis", _Rows({"arr": 1, "indices": 1}, "axis")),
        (np, "split array_split", _Rows({"ary": 1}, "axis")),
        (np, "hsplit", _Rows({"ary": 1})),
        (np, "partition argpartition", _Rows({"a": 1}, "axis")),
        (np, "unwrap", _Rows({"p": 1}, "axis")),
        (np, "nanmax nanmin nanprod nanstd nanvar nanargmax nanargmin", _Rows({"a": 1}, "axis")),
        (np, "nancumsum nancumprod", _Rows({"a": 1}, "axis")),
        (np, "median nanmedian", _Rows({"a": 1}, "axis")),
        (
            np,
            "quantile percentile nanquantile nanpercentile",
            _Rows({"a": 1}, "axis", ("weights",), "q"),
        ),
        (np, "cross", _Rows({"a": 1, "b": 1}, "", ("axisa", "axisb", "axisc", "axis"))),
        (np, "interp", _Rows({"x": 0})),
        (np, "searchsorted", _Rows({"v": 0})),
        (np, "digitize", _Rows({"x": 0})),
        (np, "polyval", _Rows({"x": 0})),
        (np, "nan_to_num sinc i0", _Rows({"x": 0})),
    ]
    return {
        getattr(module, name): rows
        for module, names, rows in groups
        for name in names.split()
        if hasattr(module, name)
    }


_ROWS = _table()


def _by_rows(
    function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[Any] | None:
    """The result of a function of arrays of which the first dimension is of unknown size.

    Returns:
        It, in a tuple; None if the function is none of each row by itself.
    """
    rows = _ROWS.get(function)
    if rows is None:
        return None
    try:
        bound = inspect.signature(function).bind(*args, **kwargs)
    except TypeError:
        return None
    bound.apply_defaults()
    found = bound.arguments
    given = {name: traced(found[name]) for name in rows.core}
    others = [value for name, value in found.items() if name not in given]
    if any(map(_is_sized, _all_of(others))) or not _is_along_rows(function, rows, found, given):
        return None
    depth = max(value.ndim - rows.core[name] for name, value in given.items())
    mapped = {
        name: array_of(value)
        for name, value in given.items()
        if value.ndim - rows.core[name] == depth and not _is_one(value.shape)
    }
    if depth < 1 or any(
        has_extents(value.shape[1:] if name in mapped else value.shape)
        for name, value in given.items()
    ):
        return None

    first, *rest = [value._extents[0] for value in mapped.values()]
    for size in rest:
        sized.require_same(first, size)

    def of_row(*parts: Any) -> Any:
        for name, part in zip(mapped, parts, strict=True):
            found[name] = part[None]
        leaves, tree = flatten(call_function(function, bound.args, bound.kwargs))
        return tree.unflatten([leaf[0] for leaf in leaves])

    return (vmap(of_row)(*mapped.values()),)


def _is_along_rows(
    function: Callable[..., Any], rows: _Rows, found: dict[str, Any], given: dict[str, Any]
) -> bool:
    """Whether the function leaves the first dimension of its arrays alone."""
    parameters = inspect.signature(function).parameters
    if any(
        found[name] is not parameters[name].default for name in rows.plain if name in parameters
    ):
        return False
    if found.get("out") is not None or found.get("overwrite_input"):
        return False
    if rows.single and np.ndim(found[rows.single]) != 0:
        return False
    if not rows.axis:
        return True
    axis = found[rows.axis]
    axes = axis if isinstance(axis, (tuple, list)) else (axis,)
    first = next(iter(given.values()))
    return all(
        isinstance(a, (int, np.integer)) and -first.ndim < a < first.ndim and a != 0 for a in axes
    )


def _all_of(values: Sequence[Any]) -> list[Any]:
    """Arrays among values, and in their lists."""
    found: list[Any] = []
    for value in values:
        found += _all_of(value) if isinstance(value, (tuple, list)) else [value]
    return found


def _is_sized(value: Any) -> bool:
    return isinstance(value, Handle) and has_extents(value._extents)


def _is_one(shape: Sequence[Any]) -> bool:
    return bool(shape) and not is_extent(shape[0]) and shape[0] == 1


BY_ROWS["call"] = _by_rows
