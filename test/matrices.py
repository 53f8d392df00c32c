# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Random matrices, from the seed of the tests."""

from __future__ import annotations

from typing import Any

import numpy as np
from budget import generator

Array = np.ndarray[Any, Any]


def normal(*shape: int, seed: int = 0) -> Array:
    return generator(seed).normal(size=shape)


def regular(*shape: int, seed: int = 0) -> Array:
    """Matrices that are far from singular."""
    return normal(*shape, seed=seed) + 2 * np.sqrt(shape[-1]) * np.eye(*shape[-2:])


def positive(*shape: int, seed: int = 0) -> Array:
    """Matrices that are symmetric and positive definite."""
    x = normal(*shape, seed=seed)
    return x @ np.swapaxes(x, -1, -2) + shape[-1] * np.eye(shape[-1])
