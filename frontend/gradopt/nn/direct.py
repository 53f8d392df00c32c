# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Calls of this package's functions, traced or not."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from gradopt.array.handle import wrap
from gradopt.base.location import source_location
from gradopt.compilation.compiled import Compiled
from gradopt.errors import GradoptError
from gradopt.ir.current import current_scope


@functools.lru_cache(maxsize=256)
def _compiled(function: Callable[..., Any], options: tuple[Any, ...]) -> Compiled:
    # Its parameters are known by their names to messages.
    @functools.wraps(function)
    def run(*arrays: Any) -> Any:
        return wrap(function(*arrays, *options))

    return Compiled(run)


def call(function: Callable[..., Any], arrays: tuple[Any, ...], *options: Any) -> Any:
    """What `function(*arrays, *options)` returns, as users get it; outside a trace it is compiled.

    Args:
        function: a function of this package, from operands to a value.
        arrays: the operands, None for one that is not there.
        options: hashable.
    """
    if current_scope() is not None:
        return wrap(function(*arrays, *options))
    try:
        return _compiled(function, options)(*arrays)
    except GradoptError as error:
        error.location = error.location or source_location()
        raise
