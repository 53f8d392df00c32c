# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""NumPy's functions on traced arrays. Importing this package fills the tables of `dispatch`."""

from gradopt import ufuncs as ufuncs
from gradopt import ufuncs_derived as ufuncs_derived
from gradopt.functions import (
    elementwise,
    joining,
    linalg,
    matrices,
    products,
    reductions,
    shapes,
    signal,
)

__all__ = [
    "elementwise",
    "joining",
    "linalg",
    "matrices",
    "products",
    "reductions",
    "shapes",
    "signal",
]
