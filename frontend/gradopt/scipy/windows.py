# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Windows of signals, as constants: `scipy.signal.get_window`."""

from __future__ import annotations

import importlib
import math
import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from gradopt.base.location import source_location
from gradopt.errors import ArgumentError

Array = np.ndarray[Any, Any]


def get_window(window: Any, Nx: int, fftbins: bool = True) -> Array:
    """A window of a size.

    Args:
        window: its name, or a tuple of the name and the window's parameters; a number is the
            parameter of a Kaiser window.
        Nx: its size.
        fftbins: whether it goes on periodically, as for transforms, or is symmetric. Names that
            end with "_periodic" or "_symmetric" say it themselves.

    Returns:
        An array of float64.

    Raises:
        ArgumentError: there is no such window here, or it needs other parameters.
    """
    size = operator.index(Nx)
    name, parameters = window, ()
    if isinstance(window, tuple):
        name, *parameters = window
    elif not isinstance(window, str):
        name, parameters = "kaiser", (float(window),)
    is_periodic = fftbins
    for suffix, periodic in (("_periodic", True), ("_symmetric", False)):
        if isinstance(name, str) and name.endswith(suffix):
            name, is_periodic = name.removesuffix(suffix), periodic
    made = _WINDOWS.get(_SHORT.get(name, name) if isinstance(name, str) else name)
    if made is None:
        found = _of_scipy(window, size, fftbins)
        if found is not None:
            return found
        raise ArgumentError(
            f"get_window: there is no window {window!r}; there are {', '.join(sorted(_WINDOWS))}, "
            "and any other one as an array",
            source_location(),
        )
    if size <= 1:
        return np.ones(max(size, 0))
    try:
        values = made(size + is_periodic, *parameters)
    except TypeError:
        raise ArgumentError(
            f"get_window: the parameters of {window!r} are not those of {name}", source_location()
        ) from None
    return values[:size]


def _of_scipy(window: Any, size: int, is_periodic: bool) -> Array | None:
    """One of the windows that SciPy alone has, where it is installed."""
    try:
        return importlib.import_module("scipy.signal").get_window(window, size, is_periodic)
    except (ImportError, TypeError, ValueError):
        return None


def _cosines(*coefficients: float) -> Callable[[int], Array]:
    """A sum of cosines."""

    def made(n: int) -> Array:
        angles = np.linspace(-np.pi, np.pi, n)
        return sum((a * np.cos(k * angles) for k, a in enumerate(coefficients)), np.zeros(n))

    return made


def _general_hamming(n: int, alpha: float) -> Array:
    return _cosines(alpha, 1 - alpha)(n)


def _triang(n: int) -> Array:
    half = np.arange(1, (n + 1) // 2 + 1)
    rising = (2 * half - 1) / n if n % 2 == 0 else 2 * half / (n + 1)
    return np.concatenate([rising, rising[::-1][n % 2 :]])


def _cosine(n: int) -> Array:
    return np.sin(np.pi / n * (np.arange(n) + 0.5))


def _tukey(n: int, alpha: float = 0.5) -> Array:
    if alpha <= 0:
        return np.ones(n)
    if alpha >= 1:
        return _cosines(0.5, 0.5)(n)
    width = math.floor(alpha * (n - 1) / 2) + 1
    places = 2 * np.arange(n) / alpha / (n - 1)
    window = np.ones(n)
    window[:width] = 0.5 * (1 + np.cos(np.pi * (places[:width] - 1)))
    tail = places[n - width :] - 2 / alpha + 1
    window[n - width :] = 0.5 * (1 + np.cos(np.pi * tail))
    return window


def _gaussian(n: int, std: float) -> Array:
    return np.exp(-((np.arange(n) - (n - 1) / 2) ** 2) / (2 * std * std))


def _exponential(n: int, center: float | None = None, tau: float = 1.0) -> Array:
    middle = (n - 1) / 2 if center is None else center
    return np.exp(-np.abs(np.arange(n) - middle) / tau)


# The coefficients are SciPy's, of Harris (On the use of windows for harmonic analysis with the
# discrete Fourier transform, 1978), Nuttall (1981) and D'Antona and Ferrero (2006).
_WINDOWS: dict[Any, Callable[..., Array]] = {
    "bartlett": np.bartlett,
    "blackman": _cosines(0.42, 0.5, 0.08),
    "blackmanharris": _cosines(0.35875, 0.48829, 0.14128, 0.01168),
    "boxcar": np.ones,
    "cosine": _cosine,
    "exponential": _exponential,
    "flattop": _cosines(0.21557895, 0.41663158, 0.277263158, 0.083578947, 0.006947368),
    "gaussian": _gaussian,
    "general_hamming": _general_hamming,
    "hamming": _cosines(0.54, 0.46),
    "hann": _cosines(0.5, 0.5),
    "kaiser": np.kaiser,
    "nuttall": _cosines(0.3635819, 0.4891775, 0.1365995, 0.0106411),
    "triang": _triang,
    "tukey": _tukey,
}
_SHORT = {
    "box": "boxcar",
    "ones": "boxcar",
    "rect": "boxcar",
    "rectangular": "boxcar",
    "han": "hann",
    "hamm": "hamming",
    "ham": "hamming",
    "triangle": "triang",
    "tuk": "tukey",
    "gauss": "gaussian",
    "gss": "gaussian",
    "black": "blackman",
    "blk": "blackman",
    "blackharr": "blackmanharris",
    "bkh": "blackmanharris",
    "bart": "bartlett",
    "brt": "bartlett",
    "flat": "flattop",
    "flt": "flattop",
    "nut": "nuttall",
    "ksr": "kaiser",
    "poisson": "exponential",
}
