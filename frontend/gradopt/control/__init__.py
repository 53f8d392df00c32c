# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Python's control flow on traced values: what rewritten functions call."""

from gradopt.control import elements
from gradopt.control.operators import Operators as Operators

__all__ = ["Operators", "elements"]
