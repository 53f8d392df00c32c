# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""NumPy's functions on traced arrays.

Importing this package fills the tables of `gradopt.array.dispatch`, but for `series`, which is
imported where a function of `numpy.polynomial` is called.
"""

from gradopt.functions import (
    bits,
    editing,
    elementwise,
    histograms,
    joining,
    linalg,
    matrices,
    outputs,
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
    "bits",
    "editing",
    "elementwise",
    "histograms",
    "joining",
    "linalg",
    "matrices",
    "outputs",
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
