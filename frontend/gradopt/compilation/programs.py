# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Functions of this package that are programs of their own outside of traces."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from gradopt.array.handle import wrap
from gradopt.base.options import make_options
from gradopt.compilation.compiled import Compiled
from gradopt.ir.current import current_scope


def program(*static: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Makes a function of traced operands one that runs outside of traces, too.

    There it is compiled at the first call for each signature, and what was compiled is kept.

    Args:
        static: names of the parameters that select code, which are keyword-only.
    """

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def traced(*args: Any, **kwargs: Any) -> Any:
            return wrap(function(*args, **kwargs))

        compiled = Compiled(traced, make_options(traced, {"static_argnames": static}))

        def run(*args: Any, **kwargs: Any) -> Any:
            return (traced if current_scope() is not None else compiled)(*args, **kwargs)

        return run

    return decorate
