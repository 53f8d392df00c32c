# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""`scipy.signal`: convolutions and correlations of arrays of any rank.

All are sums of products, as `method="direct"` is in SciPy; integers stay integers.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from gradopt.array.dispatch import UFUNCS, unsupported
from gradopt.base.dtypes import BOOL, INT64
from gradopt.base.frames import hide_frames
from gradopt.base.location import source_location
from gradopt.compilation.programs import program
from gradopt.errors import ArgumentError, ShapeError
from gradopt.functions.joining import pad
from gradopt.functions.products import promoted
from gradopt.ir import prims
from gradopt.ir.values import Shape, Value

__all__ = ["convolve", "convolve2d", "correlate", "correlate2d", "correlation_lags"]

Mode = Literal["full", "valid", "same"]
Boundary = Literal["fill", "wrap", "symm"]


@hide_frames
def convolve(in1: Any, in2: Any, mode: Mode = "full", method: str = "auto") -> Any:
    """The convolution of two arrays.

    Args:
        in1: array.
        in2: array of the same rank.
        mode: "full", wherever the arrays overlap; "same", the middle of it, of the shape of
            `in1`; "valid", where one array lies within the other.
        method: "direct" or "auto".

    Returns:
        An array of the arrays' common dtype.

    Raises:
        ShapeError: ranks differ, an array is empty, or no array holds the other in "valid" mode.
        ArgumentError: there is no such mode.
        UnsupportedError: another method.
    """
    _check_options("convolve", mode, method)
    return _convolved(in1, in2, name="convolve", mode=mode, flip=False)


@hide_frames
def correlate(in1: Any, in2: Any, mode: Mode = "full", method: str = "auto") -> Any:
    """The correlation of two arrays: the convolution with `in2` reversed along all axes.

    Parameters, result and errors are those of `convolve`.
    """
    _check_options("correlate", mode, method)
    return _convolved(in1, in2, name="correlate", mode=mode, flip=True)


@hide_frames
def convolve2d(
    in1: Any, in2: Any, mode: Mode = "full", boundary: Boundary = "fill", fillvalue: Any = 0
) -> Any:
    """The convolution of two matrices.

    Args:
        in1: matrix.
        in2: matrix.
        mode: as for `convolve`.
        boundary: what is beyond the ends of `in1`: "fill", `fillvalue`; "wrap", `in1` again;
            "symm", its mirror image.
        fillvalue: a number.

    Returns:
        A matrix of the common dtype.

    Raises:
        ShapeError: an array is not a matrix, or no array holds the other in "valid" mode.
        ArgumentError: there is no such mode or boundary.
    """
    _check_boundary("convolve2d", mode, boundary)
    return _convolved2d(
        in1, in2, fillvalue, name="convolve2d", mode=mode, boundary=boundary, flip=False
    )


@hide_frames
def correlate2d(
    in1: Any, in2: Any, mode: Mode = "full", boundary: Boundary = "fill", fillvalue: Any = 0
) -> Any:
    """The correlation of two matrices, as `convolve2d` with `in2` reversed along both axes."""
    _check_boundary("correlate2d", mode, boundary)
    return _convolved2d(
        in1, in2, fillvalue, name="correlate2d", mode=mode, boundary=boundary, flip=True
    )


def correlation_lags(in1_len: int, in2_len: int, mode: Mode = "full") -> Any:
    """The displacements that the elements of a one-dimensional correlation belong to.

    Args:
        in1_len: size of the first array.
        in2_len: size of the second one.
        mode: as for `correlate`.

    Returns:
        An array of int64.

    Raises:
        ArgumentError: there is no such mode.
    """
    _check_mode("correlation_lags", mode)
    if mode == "valid":
        difference = in1_len - in2_len
        return np.arange(difference + 1) if difference >= 0 else np.arange(difference, 1)
    lags = np.arange(-in2_len + 1, in1_len)
    if mode == "full":
        return lags
    middle = lags.size // 2
    return lags[middle - in1_len // 2 : middle - in1_len // 2 + in1_len]


def _check_mode(name: str, mode: Any) -> None:
    if not isinstance(mode, str) or mode not in ("full", "valid", "same"):
        raise ArgumentError(
            f'{name}: mode must be "full", "valid" or "same", but it is {mode!r}',
            source_location(),
        )


def _check_options(name: str, mode: Any, method: Any) -> None:
    _check_mode(name, mode)
    if not isinstance(method, str) or method not in ("auto", "direct"):
        raise unsupported(f"method={method!r} of {name}", 'use "direct"')


def _check_boundary(name: str, mode: Any, boundary: Any) -> None:
    _check_mode(name, mode)
    if not isinstance(boundary, str) or boundary not in ("fill", "wrap", "symm"):
        raise ArgumentError(
            f'{name}: boundary must be "fill", "wrap" or "symm", but it is {boundary!r}',
            source_location(),
        )


def _error(name: str, what: str, x: Value, y: Value) -> ShapeError:
    return ShapeError(
        f"{name}: {what}, but in1 has shape {x.shape} and in2 {y.shape}", source_location()
    )


@program
def _convolved(in1: Any, in2: Any, *, name: str, mode: str, flip: bool) -> Value:
    x, y = promoted(in1, in2)
    if x.ndim != y.ndim:
        raise _error(name, "both arrays must have the same number of dimensions", x, y)
    if x.ndim == 0:
        return UFUNCS[np.multiply](x, y)
    if x.size == 0 or y.size == 0:
        raise _error(name, "both arrays must have elements", x, y)
    return _in_mode(name, x, prims.reverse(y, range(y.ndim)) if flip else y, mode)


@program
def _convolved2d(
    in1: Any, in2: Any, fillvalue: Any, *, name: str, mode: str, boundary: str, flip: bool
) -> Value:
    x, y = promoted(in1, in2)
    if x.ndim != 2 or y.ndim != 2:
        raise _error(name, "both arrays must have two dimensions", x, y)
    if x.size == 0 or y.size == 0:
        raise _error(name, "both arrays must have elements", x, y)
    if flip:
        y = prims.reverse(y, [0, 1])
    if mode == "valid":
        return _in_mode(name, x, y, mode)
    widths = [(size - 1, size - 1) for size in y.shape]
    if mode == "same":
        # The middle of a window of even size is on one side, which flipping changes.
        widths = [(size // 2, (size - 1) // 2) for size in y.shape]
        widths = [(high, low) for low, high in widths] if flip else widths
    how = {"fill": "constant", "wrap": "wrap", "symm": "symmetric"}[boundary]
    x = pad(x, widths, how, **({"constant_values": fillvalue} if boundary == "fill" else {}))
    return _correlated(x, prims.reverse(y, [0, 1]), [(0, 0), (0, 0)])


def _in_mode(name: str, x: Value, y: Value, mode: str) -> Value:
    """The convolution of arrays with elements."""
    shape = x.shape
    if mode == "valid" and not (_holds(x.shape, y.shape) or _holds(y.shape, x.shape)):
        raise _error(name, 'in "valid" mode one array must hold the other in all dimensions', x, y)
    if x.size < y.size:
        x, y = y, x
    starts = [{"full": 0, "same": (n + m - 1 - size) // 2, "valid": min(n, m) - 1}[mode]
              for n, m, size in zip(x.shape, y.shape, shape, strict=True)]  # fmt: skip
    sizes = [{"full": n + m - 1, "same": size, "valid": abs(n - m) + 1}[mode]
             for n, m, size in zip(x.shape, y.shape, shape, strict=True)]  # fmt: skip
    # Element p of the full result is the sum in the window that ends at p.
    padding = [
        (m - 1 - start, start + size - n)
        for n, m, start, size in zip(x.shape, y.shape, starts, sizes, strict=True)
    ]
    return _correlated(x, prims.reverse(y, range(y.ndim)), padding)


def _holds(outer: Shape, inner: Shape) -> bool:
    return all(a >= b for a, b in zip(outer, inner, strict=True))


def _correlated(x: Value, kernel: Value, padding: list[tuple[int, int]]) -> Value:
    """Sums of products of the kernel and all its windows in x, with zeros around it."""
    if x.dtype == BOOL:
        counts = _correlated(prims.convert(x, INT64), prims.convert(kernel, INT64), padding)
        return prims.convert(counts, BOOL)
    if x.ndim == 1 and min(padding[0]) >= 0:
        return prims.correlate(x, kernel, *padding[0])
    ones = (1,) * x.ndim
    result = prims.convolution(
        prims.reshape(x, (1, 1, 1, *x.shape)),
        prims.reshape(kernel, (1, 1, 1, *kernel.shape)),
        ones,
        padding,
        ones,
        ones,
    )
    return prims.reshape(result, result.shape[3:])
