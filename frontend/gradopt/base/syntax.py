# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Syntax trees."""

import ast
from typing import Any

# CPython 3.11 and 3.12 count the depth of the trees that all threads build in one number, and may
# take another thread's depth for a fault: https://github.com/python/cpython/issues/106905.
_ATTEMPTS = 20


def parse(text: str, mode: str = "exec") -> Any:
    """`ast.parse`, in threads too.

    Raises:
        SyntaxError: the text is not Python.
    """
    for _ in range(_ATTEMPTS - 1):
        try:
            return ast.parse(text, mode=mode)
        except SystemError:
            continue
    return ast.parse(text, mode=mode)
