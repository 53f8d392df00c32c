# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""NumPy's functions on traced arrays.

Importing this package fills the tables of `gradopt.array.dispatch`.
"""

from gradopt.functions import (
    elementwise,
    joining,
    linalg,
    matrices,
    products,
    reductions,
    sampling,
    shapes,
    signal,
    statistics,
    ufuncs,
    ufuncs_derived,
    writing,
)

__all__ = [
    "elementwise",
    "joining",
    "linalg",
    "matrices",
    "products",
    "reductions",
    "sampling",
    "shapes",
    "signal",
    "statistics",
    "ufuncs",
    "ufuncs_derived",
    "writing",
]
