# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Pickling of callable objects that stand where a function was defined."""

from __future__ import annotations

import sys
from typing import Any


def global_name(function: Any) -> str | None:
    """The qualified name under which `function.__module__` has it; None if it does not.

    pickle takes functions by name too, static methods and methods of nested classes included.
    """
    name = getattr(function, "__qualname__", "")
    found: Any = sys.modules.get(getattr(function, "__module__", ""))
    for part in name.split("."):
        found = getattr(found, part, None)
    return name if found is function else None
