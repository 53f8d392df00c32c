# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The compiler, which is imported when something is asked of it.

Importing it loads MLIR and LLVM, which takes longer than all the rest of a process that finds its
code in the store.
"""

from __future__ import annotations

import importlib
import os
import sys
import threading
from typing import Any

_module: Any = None
# The lock of a module that another thread imports at a fork would stay locked in the child.
_importing = threading.RLock()
os.register_at_fork(
    before=_importing.acquire,
    after_in_parent=_importing.release,
    after_in_child=_importing.release,
)


def compiler() -> Any:
    """The module `gradopt._compiler`."""
    global _module
    if _module is None:
        with _importing:
            flags = sys.getdlopenflags()
            # The addresses of functions of MLIR and LLVM are looked up when they are called: a
            # program needs few of all, and the others take a fourth of the time to load them.
            sys.setdlopenflags(os.RTLD_LAZY)
            try:
                _module = importlib.import_module("gradopt._compiler")
            finally:
                sys.setdlopenflags(flags)
    return _module
