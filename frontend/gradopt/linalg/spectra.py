# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""`numpy.linalg.eig`, `eigvals` and `numpy.roots`.

Results are complex, whatever the values are: a dtype does not depend on values.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from gradopt.array.dispatch import implements
from gradopt.array.handle import wrap
from gradopt.array.operands import traced
from gradopt.base.dtypes import FLOAT64, is_inexact
from gradopt.base.location import source_location
from gradopt.errors import LinAlgError, ShapeError
from gradopt.ir import factorizations, prims
from gradopt.ir.checks import require_all
from gradopt.ir.values import Value
from gradopt.linalg.factors import named, square


@implements(np.linalg.eig)
def eig(a: Any) -> Any:
    """`numpy.linalg.eig`; the derivative of the vectors needs values that differ."""
    return named(np.linalg.eig, *factorizations.eig(square(a)))


@implements(np.linalg.eigvals)
def eigvals(a: Any) -> Value:
    """`numpy.linalg.eigvals`."""
    return factorizations.eig(square(a))[0]


@implements(np.roots)
def roots(p: Any) -> Any:
    """`numpy.roots`; the first coefficient must not be zero, as roots are counted before."""
    x = traced(p)
    if x.ndim != 1:
        raise ShapeError("Input must be a rank-1 array.", source_location())
    x = x if is_inexact(x.dtype) else prims.convert(x, FLOAT64)
    n = x.size - 1
    if n < 1:
        return prims.full((0,), 0, FLOAT64)
    first = prims.take_range(x, 0, 0, 1)
    require_all(
        prims.not_equal(first, 0),
        "roots: the leading coefficient is zero: leave it out before the call",
        LinAlgError,
    )
    row = wrap(-(prims.take_range(x, 0, 1, n + 1) / first))
    companion = np.concatenate([row[None], np.eye(n - 1, n, dtype=x.dtype)])
    return eigvals(companion)
