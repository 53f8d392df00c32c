# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Fourier transforms that are timed: of powers of two, of primes, of many rows, of images.

The loss is a weighted sum of the squares of the spectrum, so that a gradient is a second transform.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from cases import Case, Function


def _of_complex(transform: str) -> Callable[[Any], Function]:
    def function(xp: Any) -> Function:
        def loss(params: Any, weights: Any) -> Any:
            re, im = params
            spectrum = getattr(xp.fft, transform)(re + 1j * im)
            return xp.sum(weights * (xp.real(spectrum) ** 2 + xp.imag(spectrum) ** 2))

        return loss

    return function


def _of_reals(transform: str) -> Callable[[Any], Function]:
    def function(xp: Any) -> Function:
        def loss(x: Any, weights: Any) -> Any:
            spectrum = getattr(xp.fft, transform)(x)
            return xp.sum(weights * (xp.real(spectrum) ** 2 + xp.imag(spectrum) ** 2))

        return loss

    return function


def _case(name: str, transform: str, *shape: int) -> Case:
    size = " x ".join(f"{n:,}" for n in shape)

    def of_complex(generator: np.random.Generator) -> tuple[Any, ...]:
        return [generator.normal(size=shape), generator.normal(size=shape)], generator.random(shape)

    def of_reals(generator: np.random.Generator) -> tuple[Any, ...]:
        spectrum = shape if transform == "fft" else (*shape[:-1], shape[-1] // 2 + 1)
        return generator.normal(size=shape), generator.random(spectrum)

    if name == "complex":
        return Case(f"{transform}, {size}", _of_complex(transform), of_complex)
    return Case(f"{transform} of real numbers, {size}", _of_reals(transform), of_reals)


TRANSFORMS = {
    **{f"fft-{n}": _case("complex", "fft", n) for n in (256, 4096, 2**16, 2**20, 1009, 100_003)},
    **{f"rfft-{n}": _case("real", "rfft", n) for n in (1024, 2**20, 1009)},
    "fft-of-reals": _case("real", "fft", 4096),
    "fft-rows": _case("complex", "fft", 1000, 128),
    "fft2": _case("complex", "fft2", 512, 512),
    "rfft2": _case("real", "rfft2", 512, 512),
}
