# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What the generated op classes import, as from MLIR's bindings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

from gradopt.recording import ir as _ir
from gradopt.recording.ir import segment as segmented_accessor

__all__ = [
    "_cext",
    "equally_sized_accessor",
    "get_default_loc_context",
    "get_op_results_or_values",
    "segmented_accessor",
]

T = TypeVar("T")


class _Globals:
    @staticmethod
    def register_traceback_file_exclusion(file: str) -> None: ...


class _cext:
    ir = _ir
    globals = _Globals

    @staticmethod
    def register_dialect(dialect: type[T]) -> type[T]:
        return dialect

    @staticmethod
    def register_operation(dialect: type[_ir.Dialect]) -> Any:
        return lambda cls: cls


def get_default_loc_context(loc: _ir.Location) -> None:
    """There are no contexts."""


def get_op_results_or_values(values: Sequence[_ir.Value]) -> Sequence[_ir.Value]:
    """Operands are given as values."""
    return values


def equally_sized_accessor(*_: Any) -> Any:
    """Not used by any op of the dialect."""
    raise NotImplementedError
