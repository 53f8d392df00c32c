# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Operands of functions that are written with NumPy's: arrays of floats in one dtype."""

from __future__ import annotations

from typing import Any

from gradopt.array.handle import wrap
from gradopt.array.operands import listed, promotion_kind, traced
from gradopt.base.dtypes import FLOAT64, DType, is_inexact, result_type
from gradopt.functions.ufuncs import require_order
from gradopt.ir import prims


def common_dtype(*values: Any) -> DType:
    """The dtype of floats or complex numbers that operands are computed in: as NumPy promotes."""
    kind = result_type(*[promotion_kind(listed(value)) for value in values])
    return kind if is_inexact(kind) else FLOAT64


def inexact(*values: Any) -> list[Any]:
    """The operands in one dtype of floats or complex numbers."""
    dtype = common_dtype(*values)
    return [wrap(prims.convert(traced(value), dtype)) for value in values]


def real(name: str, *values: Any) -> list[Any]:
    """The operands in one dtype of floats.

    Args:
        name: of the function, for messages.
        values: arrays and numbers.

    Raises:
        UnsupportedError: one of them is complex.
    """
    for value in values:
        require_order(f"scipy.{name}", traced(value))
    return inexact(*values)
