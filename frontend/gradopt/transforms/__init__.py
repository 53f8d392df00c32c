# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Derivatives of functions: requests to the compiler, and what checks them.

Importing this package enters `ufunc.at`, which needs a loop, into `gradopt.array.dispatch`.
"""

from gradopt.transforms import ufunc_at

__all__ = ["ufunc_at"]
