# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The table of ops is complete: TableGen's list of the dialect's ops is the list of its rows."""

from __future__ import annotations

import inspect

from mlir import ir
from ops import ELEMENTWISE, STRUCTURAL, TABLE

from gradopt.dialects import _grad_ops_gen, _grad_spectra_ops_gen


def ops_of_the_dialect() -> set[str]:
    """The mnemonics that mlir-tblgen generated op classes for, but for special functions."""
    modules = (_grad_ops_gen, _grad_spectra_ops_gen)
    classes = [pair for module in modules for pair in inspect.getmembers(module, inspect.isclass)]
    views = [kind for _, kind in classes if issubclass(kind, ir.OpView)]
    return {kind.OPERATION_NAME.removeprefix("grad.") for kind in views}


def test_every_op_has_a_row() -> None:
    ops = ops_of_the_dialect()
    assert len(ops) > 80, "the generated classes were not found"
    missing = sorted(ops - TABLE.keys())
    assert not missing, f"no row in test/numerics/ops.py for {missing}"


def test_every_row_is_of_an_op() -> None:
    stale = sorted(TABLE.keys() - ops_of_the_dialect())
    assert not stale, f"rows without op: {stale}"
    assert not ELEMENTWISE.keys() & STRUCTURAL.keys()


def test_every_row_says_something() -> None:
    for op, row in TABLE.items():
        assert row.op == op
        assert row.dtypes, op
        assert row.boxes if op in ELEMENTWISE else row.cases, op
