# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""SciPy's functions, with derivatives.

Ufuncs of `scipy.special` work as they are, and in rewritten functions so do its other ones that
are here; the functions here take the place of those that SciPy computes in code that cannot be
traced. They have SciPy's names, parameters and results, and do not need SciPy, except for
`optimize` and `sparse`. Outside of traces they are compiled at the first call.

A package is imported when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gradopt.scipy import (
        fft,
        integrate,
        interpolate,
        linalg,
        ndimage,
        optimize,
        signal,
        sparse,
        spatial,
        special,
        stats,
    )
    from gradopt.scipy.optimize import least_squares, minimize, root

__all__ = [
    "fft",
    "integrate",
    "interpolate",
    "least_squares",
    "linalg",
    "minimize",
    "ndimage",
    "optimize",
    "root",
    "signal",
    "sparse",
    "spatial",
    "special",
    "stats",
]

_OF_OPTIMIZE = ("least_squares", "minimize", "root")


def __getattr__(name: str) -> Any:
    if name in _OF_OPTIMIZE:
        return getattr(importlib.import_module("gradopt.scipy.optimize"), name)
    if name in __all__:
        return importlib.import_module(f"gradopt.scipy.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
