# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""NumPy's functions on traced arrays.

Importing this package fills the tables of `gradopt.array.dispatch`.
"""

from gradopt.functions import (
    editing,
    elementwise,
    joining,
    linalg,
    matrices,
    polynomials,
    products,
    quantiles,
    reductions,
    sampling,
    selections,
    sets,
    shapes,
    signal,
    sorting,
    statistics,
    ufuncs,
    ufuncs_derived,
    ufuncs_parts,
    writing,
)

__all__ = [
    "editing",
    "elementwise",
    "joining",
    "linalg",
    "matrices",
    "polynomials",
    "products",
    "quantiles",
    "reductions",
    "sampling",
    "selections",
    "sets",
    "shapes",
    "signal",
    "sorting",
    "statistics",
    "ufuncs",
    "ufuncs_derived",
    "ufuncs_parts",
    "writing",
]
