# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Checks of what a layer is made with."""

from __future__ import annotations

from typing import Any

import numpy as np

from gradopt.nn.checks import require


def require_sizes(layer: Any, *names: str) -> None:
    """Raises an ArgumentError unless the attributes are positive integers."""
    for name in names:
        size = getattr(layer, name)
        require(
            bool(isinstance(size, (int, np.integer)) and size > 0),
            f"{name} of {type(layer).__name__} must be a positive integer, but it is {size!r}",
        )


def require_rate(rate: float) -> None:
    """Raises an ArgumentError unless this is how much a dropout can drop."""
    require(0 <= rate < 1, f"rate must be in [0, 1), but it is {rate}")
