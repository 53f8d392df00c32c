# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The traced array, and the tables through which NumPy's functions reach it."""

from gradopt.array.tracer import Tracer

__all__ = ["Tracer"]
