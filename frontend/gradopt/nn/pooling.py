# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Pooling: one number for each window of an image or a sequence.

By strided slices, one axis after the other.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from gradopt.array.dispatch import UFUNCS
from gradopt.array.operands import traced
from gradopt.base.dtypes import kind_of
from gradopt.base.location import source_location
from gradopt.compilation.programs import program
from gradopt.errors import DTypeError, ShapeError
from gradopt.ir import prims
from gradopt.ir.prims import scalar
from gradopt.ir.values import Value
from gradopt.nn.checks import public
from gradopt.nn.windows import Padding, each, of_images, padding_of, resolved


@public()
def max_pool1d(x: Any, window: Any, stride: Any = None, padding: Any = 0) -> Any:
    """`max_pool2d` in one dimension: x of shape (n, c, l)."""
    return _pool("max_pool1d", 1, np.maximum, x, window, stride, padding)


@public()
def max_pool2d(x: Any, window: Any, stride: Any = None, padding: Any = 0) -> Any:
    """The largest element of each window.

    Where elements are equal, the derivative is shared as by `numpy.maximum`.

    Args:
        x: images of floats, of shape (n, c, height, width).
        window: its size, one integer or two.
        stride: how far windows are apart; None is their size.
        padding: as of `conv2d`, with -inf in place of zeros; less than the window.

    Returns:
        An array of shape (n, c, height', width').

    Raises:
        ShapeError: x has other dimensions, or a window is larger than a padded image, or may hold
            nothing but padding.
        ArgumentError: a number is out of range.
    """
    return _pool("max_pool2d", 2, np.maximum, x, window, stride, padding)


@public()
def avg_pool1d(x: Any, window: Any, stride: Any = None, padding: Any = 0) -> Any:
    """`avg_pool2d` in one dimension: x of shape (n, c, l)."""
    return _pool("avg_pool1d", 1, np.add, x, window, stride, padding)


@public()
def avg_pool2d(x: Any, window: Any, stride: Any = None, padding: Any = 0) -> Any:
    """The mean of each window, of padding too, which is zeros.

    Args:
        x: images of floats, of shape (n, c, height, width).
        window: its size, one integer or two.
        stride: how far windows are apart; None is their size.
        padding: as of `conv2d`.

    Returns:
        An array of shape (n, c, height', width').

    Raises:
        ShapeError: x has other dimensions, or a window is larger than a padded image.
        ArgumentError: a number is out of range.
    """
    return _pool("avg_pool2d", 2, np.add, x, window, stride, padding)


def _pool(
    name: str, spatial: int, ufunc: np.ufunc, x: Any, window: Any, stride: Any, padding: Any
) -> Any:
    options: dict[str, Any] = {
        "window": each(name, "window", window, spatial, 1),
        "stride": each(name, "stride", window if stride is None else stride, spatial, 1),
        "padding": padding_of(name, padding, spatial),
    }
    return of_images(name, lambda x: _pooled(x, name=name, ufunc=ufunc, **options), x)


@program
def _pooled(
    x: Any,
    *,
    name: str,
    ufunc: np.ufunc,
    window: tuple[int, ...],
    stride: tuple[int, ...],
    padding: Padding,
) -> Value:
    images = traced(x)
    if kind_of(images.dtype) != "f":
        raise DTypeError(
            f"{name}: x must be of floats, but is of {images.dtype}", source_location()
        )
    if images.ndim != len(window) + 2:
        raise ShapeError(
            f"{name}: x must have {len(window) + 2} dimensions, but has shape {images.shape}",
            source_location(),
        )
    sizes = images.shape[2:]
    pads = resolved(padding, sizes, window, stride)
    for size, extent, (low, high) in zip(sizes, window, pads, strict=True):
        if size + low + high < extent:
            raise ShapeError(
                f"{name}: windows of {window} are larger than what x of shape {images.shape} has "
                f"with padding {pads}",
                source_location(),
            )
    mean = ufunc is np.add
    for size, extent, pad in zip(sizes, window, pads, strict=True):
        if not mean and (max(pad) >= extent or not size):
            raise ShapeError(
                f"{name}: a window may hold nothing but padding, which has no largest element: the "
                f"windows are {window}, the padding is {pads}, and x has shape {images.shape}",
                source_location(),
            )
    if any(low or high for low, high in pads):
        images = prims.pad(
            images,
            (0, 0, *[low for low, _ in pads]),
            (0, 0, *[high for _, high in pads]),
            value=scalar(0.0 if mean else -np.inf, images.dtype),
        )
    for axis, (extent, step) in enumerate(zip(window, stride, strict=True), start=2):
        images = _combined(images, axis, extent, step, UFUNCS[ufunc])
    return images / math.prod(window) if mean else images


def _combined(
    x: Value, axis: int, window: int, stride: int, combine: Callable[[Value, Value], Value]
) -> Value:
    """The elements of each window along an axis, combined in pairs, these in pairs, and so on."""
    offsets, strides = [0] * x.ndim, [1] * x.ndim
    sizes = list(x.shape)
    sizes[axis], strides[axis] = (x.shape[axis] - window) // stride + 1, stride
    parts: list[Value] = []
    for place in range(window):
        offsets[axis] = place
        parts.append(prims.slice_(x, offsets, sizes, strides))
    while len(parts) > 1:
        pairs = [combine(a, b) for a, b in zip(parts[::2], parts[1::2], strict=False)]
        parts = pairs + (parts[-1:] if len(parts) % 2 else [])
    return parts[0]
