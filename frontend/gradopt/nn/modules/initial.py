# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""First parameters of layers, drawn by few programs."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from gradopt.ir.current import current_scope
from gradopt.ir.values import Shape

# So many numbers are drawn at a time: each size is compiled once, which takes as long as to draw
# millions of them.
_SIZES = (2**8, 2**12, 2**16, 2**20)


def drawn(draw: Callable[..., Any], key: Any, shape: Shape, *args: Any) -> Any:
    """What `draw(key, shape, *args)` gives, a function of `gradopt.random`.

    A key has the same numbers whatever the shape, so that the first ones of more are taken.
    """
    size = math.prod(shape)
    count = next((more for more in _SIZES if more >= size), size)
    if current_scope() is not None or count == size:
        return draw(key, shape, *args)
    return draw(key, count, *args)[:size].reshape(shape).copy()
