# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Convolutions, all through `grad.convolution`.

As in other libraries the kernel is not flipped: mathematically they are correlations.
"""

from __future__ import annotations

from typing import Any

from gradopt.base.location import source_location
from gradopt.compilation.programs import program
from gradopt.errors import DTypeError, ShapeError
from gradopt.functions.products import promoted
from gradopt.ir import prims
from gradopt.ir.values import Shape, Value
from gradopt.nn.checks import public
from gradopt.nn.windows import Padding, each, integer, of_images, padding_of, resolved


@public()
def conv1d(
    x: Any,
    w: Any,
    b: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Any:
    """`conv2d` in one dimension: x of shape (n, c, l), w of (o, c // groups, k)."""
    return _direct("conv1d", 1, x, w, b, stride, padding, dilation, groups)


@public()
def conv2d(
    x: Any,
    w: Any,
    b: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Any:
    """Sums of products of the windows of images and kernels.

    Args:
        x: images, of shape (n, c, height, width).
        w: kernels, of shape (o, c // groups, window height, window width).
        b: what is added to each of the o features, of shape (o,).
        stride: how far windows are apart; one integer, or one for each dimension.
        padding: zeros around an image: one integer, or one for each dimension, or a pair for each,
            (in front, behind); "valid" is none, "same" as many as make height / stride, rounded
            up, results.
        dilation: how far the elements of a window are apart.
        groups: the c features and the o ones are so many groups that do not see each other.

    Returns:
        An array of shape (n, o, height', width').

    Raises:
        ShapeError: shapes do not fit each other, or a window is larger than a padded image.
        ArgumentError: a stride, dilation or padding is out of range.
    """
    return _direct("conv2d", 2, x, w, b, stride, padding, dilation, groups)


@public()
def conv_transpose1d(
    x: Any,
    w: Any,
    b: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
) -> Any:
    """`conv_transpose2d` in one dimension: x of shape (n, c, l), w of (c, o // groups, k)."""
    return _transpose(
        "conv_transpose1d", 1, x, w, b, stride, padding, output_padding, groups, dilation
    )


@public()
def conv_transpose2d(
    x: Any,
    w: Any,
    b: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
) -> Any:
    """The transpose of `conv2d` in its images: the map of cotangents.

    Args:
        x: images, of shape (n, c, height, width).
        w: kernels, of shape (c, o // groups, window height, window width).
        b: what is added to each of the o features, of shape (o,).
        stride: how far windows are apart in the result.
        padding: rows and columns that the result lacks at either end: one integer, or one for each
            dimension, or a pair for each; "valid" is none, "same" as many as make height * stride.
        output_padding: rows and columns that the result has more at the end, less than `stride`.
        groups: the c features and the o ones are so many groups that do not see each other.
        dilation: how far the elements of a window are apart.

    Returns:
        An array of shape (n, o, height', width'), where height' is
        (height - 1) * stride - 2 * padding + (window height - 1) * dilation + output_padding + 1.

    Raises:
        ShapeError: shapes do not fit each other, or nothing is left of the result.
        ArgumentError: a number is out of range.
    """
    return _transpose(
        "conv_transpose2d", 2, x, w, b, stride, padding, output_padding, groups, dilation
    )


def _direct(
    name: str,
    spatial: int,
    x: Any,
    w: Any,
    b: Any,
    stride: Any,
    padding: Any,
    dilation: Any,
    groups: int,
) -> Any:
    options: dict[str, Any] = {
        "stride": each(name, "stride", stride, spatial, 1),
        "padding": padding_of(name, padding, spatial),
        "dilation": each(name, "dilation", dilation, spatial, 1),
        "groups": integer(name, "groups", groups, 1),
    }
    return of_images(name, lambda x: _convolution(x, w, b, name=name, **options), x)


def _transpose(
    name: str,
    spatial: int,
    x: Any,
    w: Any,
    b: Any,
    stride: Any,
    padding: Any,
    output_padding: Any,
    groups: int,
    dilation: Any,
) -> Any:
    options: dict[str, Any] = {
        "stride": each(name, "stride", stride, spatial, 1),
        "padding": padding_of(name, padding, spatial),
        "output_padding": each(name, "output_padding", output_padding, spatial, 0),
        "groups": integer(name, "groups", groups, 1),
        "dilation": each(name, "dilation", dilation, spatial, 1),
    }
    return of_images(name, lambda x: _transposed(x, w, b, name=name, **options), x)


def _values(name: str, spatial: int, x: Any, w: Any, b: Any) -> tuple[Value, Value, Value | None]:
    """The operands in their common dtype, of the right ranks."""
    values = promoted(x, w) if b is None else promoted(x, w, b)
    if values[0].dtype.kind == "b":
        raise DTypeError(f"{name}: x and w must be numbers, but are bools", source_location())
    images, kernels = values[:2]
    if images.ndim != spatial + 2 or kernels.ndim != spatial + 2:
        raise ShapeError(
            f"{name}: x and w must have {spatial + 2} dimensions, but have shapes {images.shape} "
            f"and {kernels.shape}",
            source_location(),
        )
    if 0 in kernels.shape[2:]:
        raise ShapeError(
            f"{name}: a window must have elements, but w has shape {kernels.shape}",
            source_location(),
        )
    return images, kernels, None if b is None else values[2]


def _mismatch(name: str, what: str, x: Value, w: Value, groups: int) -> ShapeError:
    return ShapeError(
        f"{name}: {what}, but x has shape {x.shape} and w {w.shape}, with groups={groups}",
        source_location(),
    )


def _extents(window: Shape, dilation: tuple[int, ...]) -> Shape:
    return tuple([(k - 1) * d + 1 for k, d in zip(window, dilation, strict=True)])


@program
def _convolution(
    x: Any,
    w: Any,
    b: Any,
    *,
    name: str,
    stride: tuple[int, ...],
    padding: Padding,
    dilation: tuple[int, ...],
    groups: int,
) -> Value:
    images, kernels, bias = _values(name, len(stride), x, w, b)
    if images.shape[1] != kernels.shape[1] * groups or kernels.shape[0] % groups:
        raise _mismatch(
            name,
            "the features of x must be those of w times groups, and the kernels of w a multiple "
            "of groups",
            images,
            kernels,
            groups,
        )
    sizes, extents = images.shape[2:], _extents(kernels.shape[2:], dilation)
    pads = resolved(padding, sizes, extents, stride)
    for size, extent, (low, high) in zip(sizes, extents, pads, strict=True):
        if size + low + high < extent:
            raise ShapeError(
                f"{name}: windows of {extents} are larger than what x of shape {images.shape} has "
                f"with padding {pads}; w has shape {kernels.shape}",
                source_location(),
            )
    result = prims.convolution(
        _grouped(images, groups),
        prims.reshape(kernels, (groups, kernels.shape[0] // groups, *kernels.shape[1:])),
        stride,
        pads,
        (1,) * len(stride),
        dilation,
    )
    return _with_bias(name, _ungrouped(result), bias)


@program
def _transposed(
    x: Any,
    w: Any,
    b: Any,
    *,
    name: str,
    stride: tuple[int, ...],
    padding: Padding,
    output_padding: tuple[int, ...],
    groups: int,
    dilation: tuple[int, ...],
) -> Value:
    images, kernels, bias = _values(name, len(stride), x, w, b)
    if images.shape[1] != kernels.shape[0] or kernels.shape[0] % groups:
        raise _mismatch(
            name,
            "x must have as many features as w has kernels, a multiple of groups",
            images,
            kernels,
            groups,
        )
    for more, step in zip(output_padding, stride, strict=True):
        if more >= step:
            raise ShapeError(
                f"{name}: output_padding {output_padding} must be less than the stride {stride}",
                source_location(),
            )
    sizes, extents = images.shape[2:], _extents(kernels.shape[2:], dilation)
    lacks = _lacking(padding, extents, stride)
    pads = tuple(
        (extent - 1 - low, extent - 1 - high + more)
        for extent, (low, high), more in zip(extents, lacks, output_padding, strict=True)
    )
    for size, step, extent, (low, high) in zip(sizes, stride, extents, pads, strict=True):
        if not size or (size - 1) * step + 1 + low + high < extent:
            raise ShapeError(
                f"{name}: nothing is left of the result of x of shape {images.shape} and w of "
                f"shape {kernels.shape} with padding {padding}",
                source_location(),
            )
    c, o, *window = kernels.shape
    flipped = prims.reverse(kernels, range(2, kernels.ndim))
    flipped = prims.reshape(flipped, (groups, c // groups, o, *window))
    result = prims.convolution(
        _grouped(images, groups),
        prims.transpose(flipped, (0, 2, 1, *range(3, flipped.ndim))),
        (1,) * len(stride),
        pads,
        stride,
        dilation,
    )
    return _with_bias(name, _ungrouped(result), bias)


def _lacking(
    padding: Padding, extents: Shape, strides: tuple[int, ...]
) -> tuple[tuple[int, int], ...]:
    """What the result of a transposed convolution lacks at the ends; less than nothing is more."""
    if padding == "same":
        missing = [extent - stride for extent, stride in zip(extents, strides, strict=True)]
        return tuple((max(m, 0) // 2, m - max(m, 0) // 2) for m in missing)
    return resolved(padding, extents, extents, strides)


def _grouped(x: Value, groups: int) -> Value:
    """(n, c, ...) as (groups, n, c // groups, ...)."""
    n, c, *sizes = x.shape
    if groups == 1:
        return prims.reshape(x, (1, n, c, *sizes))
    x = prims.reshape(x, (n, groups, c // groups, *sizes))
    return prims.transpose(x, (1, 0, *range(2, x.ndim)))


def _ungrouped(x: Value) -> Value:
    """(groups, n, o, ...) as (n, groups * o, ...)."""
    groups, n, o, *sizes = x.shape
    if groups != 1:
        x = prims.transpose(x, (1, 0, *range(2, x.ndim)))
    return prims.reshape(x, (n, groups * o, *sizes))


def _with_bias(name: str, result: Value, bias: Value | None) -> Value:
    if bias is None:
        return result
    if bias.shape != result.shape[1:2]:
        raise ShapeError(
            f"{name}: b must have shape {result.shape[1:2]}, one number for each feature of the "
            f"result, but has {bias.shape}",
            source_location(),
        )
    column = prims.reshape(bias, (*bias.shape, *(1,) * (result.ndim - 2)))
    return result + prims.broadcast_to(column, result.shape)
