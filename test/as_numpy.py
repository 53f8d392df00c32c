# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Compares compiled functions with NumPy and with finite differences."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import gradopt as go


def agrees(f: Callable[..., Any], *args: Any, derivative: bool = True) -> Any:
    """Values are NumPy's, and derivatives those of finite differences."""
    copies = [a.copy() if isinstance(a, np.ndarray) else a for a in args]
    want = f(*copies)
    compiled = go.compile(f)
    got = compiled(*args)
    np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-14)
    if derivative:
        go.gradcheck(lambda *values: np.sum(compiled(*values)), args)
    return compiled.lower(*args)


def rolled(lowered: Any) -> list[bool]:
    return [loop.is_rolled for loop in sorted(lowered.loops(), key=lambda loop: loop.place.line)]
