# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What rules with symbolic zeros get: zeros that are no arrays, and which arguments matter.

No dataclasses: those are pytrees, and these are leaves.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from gradopt.array.handle import Handle
from gradopt.base.dtypes import DType


class SymbolicZero:
    """A tangent or cotangent that is known to be zero while a rule is traced.

    Attributes:
        shape: the shape of the value that it belongs to.
        dtype: the dtype of the value.
    """

    __slots__ = ("dtype", "shape")

    def __init__(self, shape: tuple[int, ...], dtype: DType) -> None:
        self.shape = shape
        self.dtype = dtype

    @staticmethod
    def of(leaf: Any) -> SymbolicZero:
        """The one that belongs to an array or number."""
        array = leaf if isinstance(leaf, Handle) else np.asarray(leaf)
        return SymbolicZero(array.shape, array.dtype)

    def __repr__(self) -> str:
        return f"SymbolicZero<{self.dtype.name}{list(self.shape)}>"


class CustomVJPPrimal:
    """A leaf of an argument of `fwd`.

    Attributes:
        value: the leaf.
        perturbed: whether a derivative in it may be asked for.
    """

    __slots__ = ("perturbed", "value")

    def __init__(self, value: Any, perturbed: bool) -> None:
        self.value = value
        self.perturbed = perturbed
