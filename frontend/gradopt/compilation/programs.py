# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Functions of this package that are programs of their own outside of traces."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from gradopt.array.handle import wrap
from gradopt.base.location import source_location
from gradopt.compilation.compiled import Compiled
from gradopt.errors import GradoptError
from gradopt.ir.current import current_scope


def program(function: Callable[..., Any]) -> Callable[..., Any]:
    """Makes a function of traced operands one that runs outside of traces, too.

    There it is compiled at the first call for each signature, and what was compiled is kept. Errors
    name the line of the user's that calls it.

    Args:
        function: what is positional are operands, and what is named selects code, and is hashable.
    """

    @functools.lru_cache(maxsize=256)
    def compiled(selection: tuple[tuple[str, Any], ...]) -> Compiled:
        # Its parameters are known by their names to messages.
        @functools.wraps(function)
        def selected(*operands: Any) -> Any:
            return wrap(function(*operands, **dict(selection)))

        return Compiled(selected)

    @functools.wraps(function)
    def run(*operands: Any, **selection: Any) -> Any:
        if current_scope() is not None:
            return wrap(function(*operands, **selection))
        try:
            return compiled(tuple(selection.items()))(*operands)
        except GradoptError as error:
            # The place that the program knows is that of the call that compiled it.
            error.location = source_location()
            raise

    return run
