# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Where windows lie: strides, dilations and padding as users give them. Images one by one."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from gradopt.array.handle import Handle
from gradopt.base.location import source_location
from gradopt.base.unknown_sizes import unknown_size
from gradopt.errors import ArgumentError, ArgumentTypeError
from gradopt.ir.extents import has_extents
from gradopt.ir.values import Shape
from gradopt.transforms.batching import vmap

Padding = str | tuple[tuple[int, int], ...]


def integer(name: str, what: str, value: Any, least: int) -> int:
    """An integer that is at least `least` and less than 2**31.

    Raises:
        ArgumentTypeError: it is no integer.
        ArgumentError: it is out of this range.
    """
    try:
        number = operator.index(value)
    except TypeError:
        raise ArgumentTypeError(
            f"{name}: {what} must be an integer, but got {value!r}", source_location()
        ) from None
    if not least <= number < 2**31:
        bound = f"at least {least}" if number < least else "less than 2**31"
        raise ArgumentError(f"{name}: {what} must be {bound}, but got {number}", source_location())
    return number


def each(name: str, what: str, value: Any, count: int, least: int) -> tuple[int, ...]:
    """One integer for each spatial dimension, from one for all or one for each."""
    if not isinstance(value, (tuple, list)):
        return (integer(name, what, value, least),) * count
    if len(value) != count:
        raise ArgumentError(
            f"{name}: {what} must be one integer or {count}, but got {value!r}", source_location()
        )
    return tuple([integer(name, what, part, least) for part in value])


def padding_of(name: str, value: Any, count: int) -> Padding:
    """Padding as a name, or as zeros in front and behind for each spatial dimension."""
    if isinstance(value, str):
        if value not in ("same", "valid"):
            raise ArgumentError(
                f"{name}: padding must be 'same', 'valid' or integers, but got {value!r}",
                source_location(),
            )
        return value
    parts = value if isinstance(value, (tuple, list)) else (value,) * count
    if len(parts) != count:
        raise ArgumentError(
            f"{name}: padding must be one integer or {count}, but got {value!r}",
            source_location(),
        )
    pads: list[tuple[int, int]] = []
    for part in parts:
        pair = part if isinstance(part, (tuple, list)) else (part, part)
        if len(pair) != 2:
            raise ArgumentError(
                f"{name}: padding of a dimension must be an integer or a pair, but got {part!r}",
                source_location(),
            )
        low, high = (integer(name, "padding", number, 0) for number in pair)
        pads.append((low, high))
    return tuple(pads)


def resolved(
    padding: Padding, sizes: Shape, extents: Shape, strides: tuple[int, ...]
) -> tuple[tuple[int, int], ...]:
    """Padding in numbers: 'same' gives as many windows as there are strides in a size."""
    if padding == "valid":
        return ((0, 0),) * len(sizes)
    if padding != "same":
        assert not isinstance(padding, str)
        return padding
    pads: list[tuple[int, int]] = []
    for size, extent, stride in zip(sizes, extents, strides, strict=True):
        missing = max((-(-size // stride) - 1) * stride + extent - size, 0)
        pads.append((missing // 2, missing - missing // 2))
    return tuple(pads)


def of_images(name: str, call: Callable[[Any], Any], x: Any) -> Any:
    """What is computed of each image by itself.

    Args:
        name: of the function.
        call: the function of an array of shape (n, ...), for any n.
        x: the images; how many there are may be known at run time only.

    Raises:
        UnknownSizeError: another dimension is known at run time only.
    """
    if not isinstance(x, Handle) or not has_extents(x._extents):
        return call(x)
    if has_extents(x._extents[1:]):
        raise unknown_size(f"gradopt.nn.{name}")
    return vmap(lambda image: call(image[None])[0])(x)
