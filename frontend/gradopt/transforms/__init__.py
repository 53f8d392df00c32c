# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Derivatives of functions: requests to the compiler, and what checks them.

Importing this package enters what needs loops or `vmap`, such as `ufunc.at` and
`numpy.apply_along_axis`, into `gradopt.array.dispatch`.
"""

from gradopt.transforms import by_rows, integers, mapped, ufunc_at, ufunc_methods

__all__ = ["by_rows", "integers", "mapped", "ufunc_at", "ufunc_methods"]
