# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""`scipy.fft.fht` and `ifht`: Hankel transforms of samples that are uniform in the logarithm.

They are convolutions by Hamilton's FFTLog (2000, Uncorrelated modes of the non-linear power
spectrum), whose coefficients are numbers that are known; samples may be traced.
"""

from __future__ import annotations

import importlib
import math
from typing import Any

import numpy as np

from gradopt.array.dispatch import unsupported
from gradopt.array.handle import Handle, wrap
from gradopt.array.operands import traced
from gradopt.base.frames import hide_frames
from gradopt.base.location import source_location
from gradopt.compilation.programs import program
from gradopt.errors import ShapeError
from gradopt.ir.values import Value
from gradopt.scipy.operands import real

Array = np.ndarray[Any, Any]


def _known(function: str, **numbers: Any) -> list[float]:
    """Parameters of a transform.

    Raises:
        UnsupportedError: one is traced.
    """
    for name, number in numbers.items():
        if isinstance(number, Handle):
            raise unsupported(
                f"a traced {name} of scipy.fft.{function}",
                "give the spacing, order, offset and bias as numbers",
            )
    return [float(number) for number in numbers.values()]


def _special() -> Any:
    return importlib.import_module("scipy.special")


def _coefficients(n: int, dln: float, mu: float, offset: float, bias: float) -> Array:
    """The spectrum of the kernel, at half of the frequencies."""
    loggamma = _special().loggamma
    plus, minus = (mu + 1 + bias) / 2, (mu + 1 - bias) / 2
    y = np.linspace(0, math.pi * (n // 2) / (n * dln), n // 2 + 1)
    above, below = loggamma(plus + 1j * y), loggamma(minus + 1j * y)
    u = np.exp(
        above.real
        - below.real
        + bias * math.log(2)
        + 1j * (above.imag + below.imag + 2 * y * (math.log(2) - offset))
    )
    if n % 2 == 0:
        u[-1] = u[-1].real
    if not np.isfinite(u[0]):
        u[0] = 2**bias * _special().poch(minus, plus - minus)
    return u


@hide_frames
def fht(a: Any, dln: float, mu: float, offset: float = 0.0, bias: float = 0.0) -> Any:
    """The Hankel transform of samples at uniform logarithms, along the last axis.

    Args:
        a: real samples, of shape (..., n).
        dln: the distance of the logarithms.
        mu: the order of the Bessel function.
        offset: of the logarithms of the result.
        bias: the exponent of a power that the samples are divided by before.

    Raises:
        ShapeError: there are no samples.
        UnsupportedError: another parameter than `a` is traced, or `a` is complex.
    """
    return _transform("fht", a, dln, mu, offset, bias)


@hide_frames
def ifht(A: Any, dln: float, mu: float, offset: float = 0.0, bias: float = 0.0) -> Any:
    """The inverse of `fht`, whose parameters and errors it has."""
    return _transform("ifht", A, dln, mu, offset, bias)


def _transform(name: str, a: Any, dln: Any, mu: Any, offset: Any, bias: Any) -> Any:
    numbers = _known(name, dln=dln, mu=mu, offset=offset, bias=bias)
    if np.ndim(a) == 0 or np.shape(a)[-1] == 0:
        raise ShapeError(
            f"scipy.fft.{name} takes an array of samples, not one of shape {np.shape(a)}",
            source_location(),
        )
    options = dict(zip(("dln", "mu", "offset", "bias"), numbers, strict=True))
    return _hankel(a, **options, inverse=name == "ifht")


@program
def _hankel(a: Any, *, dln: float, mu: float, offset: float, bias: float, inverse: bool) -> Value:
    (x,) = real("fft." + ("ifht" if inverse else "fht"), a)
    n = x.shape[-1]
    places = np.arange(n) - (n - 1) / 2
    u = _coefficients(n, dln, mu, offset, bias)
    # What is infinite leads nowhere, and has no inverse: SciPy's choice.
    if np.isinf(u[0]) and not inverse:
        u[0] = 0
    elif u[0] == 0 and inverse:
        u[0] = np.inf
    if inverse:
        before, after = np.exp(bias * (places * dln + offset)), np.exp(bias * places * dln)
        u = 1 / u.conj()
    else:
        before, after = np.exp(-bias * places * dln), np.exp(-bias * (places * dln + offset))
    kind = x.dtype
    spectrum = np.fft.rfft(x * before.astype(kind)) * wrap(traced(u)).astype(
        np.result_type(kind, np.complex64)
    )
    return traced(np.fft.irfft(spectrum, n)[..., ::-1] * after.astype(kind))


def fhtoffset(dln: float, mu: float, initial: float = 0.0, bias: float = 0.0) -> float:
    """The offset next to `initial` with which a transform rings least.

    Args:
        dln: the distance of the logarithms.
        mu: the order of the Bessel function.
        initial: where it is looked for.
        bias: the exponent of the power.

    Raises:
        UnsupportedError: one of them is traced.
    """
    dln, mu, initial, bias = _known("fhtoffset", dln=dln, mu=mu, initial=initial, bias=bias)
    y = 0.5j * math.pi / dln
    angles = [_special().loggamma((mu + 1 + sign * bias) / 2 + y).imag for sign in (1, -1)]
    turns = (math.log(2) - initial) / dln + sum(angles) / math.pi
    return initial + (turns - round(turns)) * dln
