# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""`ufunc.at`, which may need a loop over the positions."""

from __future__ import annotations

from typing import Any

import numpy as np

from gradopt.array.dispatch import UFUNC_METHODS, cannot_cast, require_output, ufunc_handler
from gradopt.array.handle import Handle, array_of
from gradopt.array.indexing import add_at, apply_at
from gradopt.array.operands import promotion_kind, traced
from gradopt.base.dtypes import DType, result_type
from gradopt.ir import prims
from gradopt.ir.values import Value
from gradopt.transforms.loops import fori_loop


def _at(ufunc: np.ufunc, a: Any, indices: Any, *operands: Any) -> None:
    """`ufunc.at`: where positions repeat, the ufunc is applied for each of them."""
    require_output(a, f"numpy.{ufunc.__name__}.at")
    x: Handle = a
    if ufunc in (np.add, np.subtract) and x.dtype.kind != "b":
        value = traced(operands[0])
        _require_output_cast(ufunc, result_type(x.dtype, promotion_kind(operands[0])), x)
        value = prims.convert(value, x.dtype)
        add_at(x, indices, array_of(value if ufunc is np.add else -value))
        return

    def apply(old: Any, *others: Any) -> Value:
        new = ufunc_handler(ufunc)(old, *others)
        _require_output_cast(ufunc, new.dtype, x)
        return new

    apply_at(x, indices, apply, operands, fori_loop)


def _require_output_cast(ufunc: np.ufunc, dtype: DType, x: Handle) -> None:
    if not np.can_cast(dtype, x.dtype, "same_kind"):
        raise cannot_cast(f"ufunc {ufunc.__name__!r} output", dtype, x.dtype, "same_kind")


UFUNC_METHODS["at"] = _at
