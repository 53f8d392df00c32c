# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Which function is under construction in this thread."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from gradopt.base.location import source_location
from gradopt.errors import LeakedTracerError

if TYPE_CHECKING:
    from gradopt.ir.trace import Scope


class _State(threading.local):
    scope: Scope | None = None
    traces: int = 0


state = _State()


def current_scope() -> Scope | None:
    """The innermost function under construction in this thread."""
    return state.scope


def trace_count() -> int:
    """Number of traces that were started in this thread."""
    return state.traces


def scope() -> Scope:
    """The function under construction.

    Raises:
        LeakedTracerError: none is.
    """
    found = state.scope
    if found is None:
        raise LeakedTracerError(
            "a traced array is used outside the trace that made it; return it from the traced "
            "function instead of storing it",
            source_location(),
        )
    return found
