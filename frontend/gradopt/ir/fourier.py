# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The Fourier transforms of the dialect, on values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gradopt.base.dtypes import FLOAT64, complex_dtype, is_inexact, wide_dtype
from gradopt.base.location import source_location
from gradopt.errors import ArgumentError, DTypeError
from gradopt.ir import prims
from gradopt.ir.values import Value
from gradopt.recording import grad

# What the results of a transform in a direction are divided by, of the norms that NumPy names.
_NORMS: dict[Any, str] = {
    (None, True): "none",
    (None, False): "size",
    ("backward", True): "none",
    ("backward", False): "size",
    ("ortho", True): "root",
    ("ortho", False): "root",
    ("forward", True): "size",
    ("forward", False): "none",
}


def divisor(norm: Any, forward: bool) -> str:
    """`norm` of the dialect for NumPy's.

    Raises:
        ArgumentError: NumPy has no such norm.
    """
    found = _NORMS.get((norm, forward)) if norm is None or isinstance(norm, str) else None
    if found is None:
        raise ArgumentError(
            f'Invalid norm value {norm}; should be "backward", "ortho" or "forward".',
            source_location(),
        )
    return found


def require_points(n: int) -> int:
    """A number of points to transform.

    Raises:
        ArgumentError: there is none.
    """
    if n < 1:
        raise ArgumentError(
            f"Invalid number of FFT data points ({n}) specified.", source_location()
        )
    return n


def inexact(x: Value) -> Value:
    """Floats or complex numbers; narrow floats become float32, other numbers float64."""
    return prims.convert(x, wide_dtype(x.dtype) if is_inexact(x.dtype) else FLOAT64)


def as_complex(x: Value) -> Value:
    """Complex numbers of the precision of the numbers."""
    x = inexact(x)
    return x if x.dtype.kind == "c" else prims.convert(x, complex_dtype(x.dtype))


def resized(x: Value, axis: int, size: int) -> Value:
    """The first elements along an axis, with zeros behind where there are less than `size`."""
    actual = x.shape[axis]
    if size <= actual:
        return prims.take_range(x, axis, 0, size)
    high = [0] * x.ndim
    high[axis] = size - actual
    return prims.pad(x, [0] * x.ndim, high)


def fft(x: Value, axes: Sequence[int], forward: bool, norm: str) -> Value:
    """`grad.fft` along different axes.

    Args:
        x: numbers, real or complex.
        axes: what is transformed; not empty dimensions.
        forward: the direction.
        norm: "none", "size" or "root".
    """
    return prims.scope().emit(grad.fft, as_complex(x), list(axes), forward, norm)


def rfft(x: Value, axes: Sequence[int], forward: bool, norm: str, name: str) -> Value:
    """`grad.rfft` of real numbers; half of the spectrum lies along the last one of `axes`.

    Raises:
        DTypeError: the numbers are complex.
    """
    x = inexact(x)
    if x.dtype.kind == "c":
        raise DTypeError(
            f"{name} takes real numbers, not {x.dtype}: transform numpy.real(x), or use fft",
            source_location(),
        )
    return prims.scope().emit(grad.rfft, x, list(axes), forward, norm)


def irfft(x: Value, axes: Sequence[int], size: int, forward: bool, norm: str) -> Value:
    """`grad.irfft` to `size` real numbers along the last one of `axes`."""
    return prims.scope().emit(grad.irfft, as_complex(x), list(axes), size, forward, norm)
