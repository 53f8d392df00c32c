# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Patterns of derivatives of structural ops, against what changes where an input does."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from harness import CONTEXT, define, tensor
from mlir import ir
from structural_ops import STRUCTURAL
from structural_rows import Case
from test_structural_ops import dtypes, operands

from gradopt.compilation.compiler import Program
from gradopt.transforms.sparsity import find_sparsity

Array = np.ndarray[Any, Any]

# Ops with derivatives whose patterns are larger than what changes at one point: choices depend on
# all that they choose from, and factorisations on all of a matrix. Of what works on sizes that are
# known at run time, loops are made.
LARGER = {
    *("reduce_max", "reduce_min", "sort", "cholesky", "lu", "lu_solve", "triangular_solve", "qr"),
    *("eigh", "svd", "eig", "schur", "triangular_sylvester", "triangular_sqrt"),
    *("convert", "sized_update", "sized_iota"),
}


def pattern(case: Case, arrays: list[Array], wrt: list[int]) -> Array:
    """What the analysis says, as a dense matrix of bools."""
    with CONTEXT, ir.Location.unknown():
        module = ir.Module.create()
        with ir.InsertionPoint(module.body):
            define("main", [tensor(a.shape, a.dtype) for a in arrays], case.build, public=True)
        program = Program(str(module), "main")
    known = {i: a for i, a in enumerate(arrays) if a.dtype.kind in "biu"}
    found = find_sparsity(program, wrt, [0], integers=known)
    dense = np.zeros(found.shape, bool)
    dense[found.rows, found.indices] = True
    return dense


def changes(case: Case, arrays: list[Array], wrt: list[int]) -> Array:
    """Which elements of the result change with which inputs, as far as differences show."""
    function = case.smooth or case.reference
    before = np.asarray(function(*arrays))
    columns: list[Array] = []
    for i in wrt:
        for place in np.ndindex(arrays[i].shape):
            moved = [a.copy() for a in arrays]
            moved[i][place] += 1e-4
            after = np.asarray(function(*moved))
            columns.append(((before != after) & ~(np.isnan(before) & np.isnan(after))).ravel())
    return np.array(columns, bool).reshape(len(columns), before.size).T


REAL = [op for op, row in STRUCTURAL.items() if row.order and "f8" in row.dtypes]


# Some references convert what is too large.
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("op", REAL)
def test_patterns_hold_what_changes(op: str) -> None:
    row = STRUCTURAL[op]
    tried = 0
    for case in row.cases:
        arrays = operands(case, "f8") if "f8" in dtypes(row, case) else []
        wrt = [i for i, a in enumerate(arrays) if a.dtype == np.float64]
        if not wrt or sum(arrays[i].size for i in wrt) > 300:
            continue
        if np.asarray(case.reference(*arrays)).dtype.kind not in "fc":
            continue
        tried += 1
        found, expected = pattern(case, arrays, wrt), changes(case, arrays, wrt)
        assert not (expected & ~found).any(), f"{op}: elements are missing in {found}"
        if op not in LARGER:
            np.testing.assert_array_equal(found, expected, err_msg=op)
    assert tried
