# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""`scipy.ndimage`: filters of arrays that are spectra."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from gradopt.array.handle import wrap
from gradopt.array.operands import is_traced, traced
from gradopt.base.dtypes import complex_dtype
from gradopt.base.frames import hide_frames
from gradopt.base.location import source_location
from gradopt.compilation.programs import program
from gradopt.errors import ShapeError
from gradopt.ir import prims
from gradopt.scipy.ndimage.filters import no_output
from gradopt.scipy.operands import inexact

# Of the frequencies along an axis, in cycles per element, and the axis' parameter.
Factor = Callable[[Any, Any], Any]


@hide_frames
def fourier_gaussian(
    input: Any, sigma: Any, n: int = -1, axis: int = -1, output: None = None
) -> Any:
    """A spectrum times that of a Gaussian.

    Args:
        input: spectrum of an array, of all axes.
        sigma: the standard deviation along all axes, or one for each; may be traced.
        n: of a real array's spectrum, how many elements the array has along `axis`; -1 of another.
        axis: the last one that was transformed, of a real array.
        output: not supported.

    Returns:
        An array of the shape of `input`.

    Raises:
        ShapeError: there are other numbers of parameters and axes.
        UnsupportedError: `output`.
    """
    return _filtered("fourier_gaussian", input, sigma, n, axis, output)


@hide_frames
def fourier_uniform(input: Any, size: Any, n: int = -1, axis: int = -1, output: None = None) -> Any:
    """A spectrum times that of a box of some size; other parameters as of `fourier_gaussian`."""
    return _filtered("fourier_uniform", input, size, n, axis, output)


@hide_frames
def fourier_shift(input: Any, shift: Any, n: int = -1, axis: int = -1, output: None = None) -> Any:
    """The spectrum of an array that is shifted; other parameters as of `fourier_gaussian`."""
    return _filtered("fourier_shift", input, shift, n, axis, output)


_FACTORS: dict[str, Factor] = {
    "fourier_gaussian": lambda f, sigma: np.exp(-2 * (np.pi * sigma * f) ** 2),
    "fourier_uniform": lambda f, size: np.sinc(size * f),
    "fourier_shift": lambda f, shift: np.exp(-2j * np.pi * (shift * f)),
}


def _filtered(name: str, input: Any, parameter: Any, n: int, axis: int, output: Any) -> Any:
    no_output(name, output)
    given = parameter if is_traced(parameter) else np.asarray(parameter, float)
    given = np.stack(given) if isinstance(given, (list, tuple)) else given
    return _product(input, given, name=name, n=operator.index(n), axis=operator.index(axis))


@program
def _product(input: Any, parameter: Any, *, name: str, n: int, axis: int) -> Any:
    (x,) = inexact(input)
    if name == "fourier_shift" and x.dtype.kind != "c":
        x = wrap(prims.convert(traced(x), complex_dtype(x.dtype)))
    values = wrap(traced(parameter))
    if values.shape not in ((), (x.ndim,)):
        raise ShapeError(
            f"{name}: expected one number, or one for each of {x.ndim} axes, but got shape "
            f"{values.shape}",
            source_location(),
        )
    last = prims.normalize_axis(axis, x.ndim)
    result = x
    for place, size in enumerate(x.shape):
        is_half = n >= 0 and place == last
        frequencies = np.arange(size) / max(n, 1) if is_half else np.fft.fftfreq(size)
        factor = _FACTORS[name](frequencies, values[place] if values.ndim else values)
        shape = [1] * x.ndim
        shape[place] = size
        result = result * np.reshape(factor, shape).astype(
            x.dtype if name == "fourier_shift" else np.zeros(0, x.dtype).real.dtype
        )
    return traced(result)
