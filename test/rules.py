# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Functions with rules that tests of custom_vjp and custom_jvp share."""

from __future__ import annotations

from typing import Any

import numpy as np

import gradopt as go


def marked(*kinds: str) -> Any:
    """sin with a derivative of 10 cos in reverse mode, 100 cos in forward mode."""

    @go.custom_vjp
    def f(x: Any) -> Any:
        return np.sin(x)

    if "vjp" in kinds:
        f.defvjp(lambda x: (f(x), np.cos(x)), lambda c, g: (10 * c * g,))
    if "jvp" in kinds:
        f.defjvp(lambda p, t: (f(*p), 100 * np.cos(p[0]) * t[0]))
    return f


def automatic(f: Any, *kinds: str) -> Any:
    """The function with rules that are its automatic derivatives."""
    g = go.custom_vjp(f)
    if "vjp" in kinds:
        g.defvjp(lambda *a: (f(*a), a), lambda a, c: go.vjp(f, *a)[1](c))
    if "jvp" in kinds:
        g.defjvp(lambda p, t: go.jvp(f, p, t))
    return g


def layers(p: Any, x: Any) -> Any:
    h = np.tanh(x @ p["w"] + p["b"])
    return {"h": h, "norm": np.sqrt(np.sum(h**2))}
