# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The rows of the ops that are not elementwise: a list of cases for each."""

from __future__ import annotations

from structural_factorizations import FACTORIZATIONS
from structural_fourier import FOURIER
from structural_functions import FUNCTIONS
from structural_parts import PARTS
from structural_products import PRODUCTS
from structural_reductions import REDUCTIONS
from structural_rows import Structural
from structural_shapes import SHAPES, SOURCES
from structural_sizes import SIZES
from structural_sorting import SORTING
from structural_sparse import SPARSE

STRUCTURAL: dict[str, Structural] = {
    row.op: row
    for group in (
        *(SOURCES, SHAPES, REDUCTIONS, PRODUCTS, PARTS, FACTORIZATIONS, SORTING, FOURIER),
        *(SPARSE, FUNCTIONS, SIZES),
    )
    for row in group
}
