# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The statements of the user's that handle exceptions, around what is traced.

Compiled code has no handlers: what is known while tracing goes to them as in Python, and what only
the run knows does not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from gradopt.ir.current import current_scope
from gradopt.ir.trace import Scope, Trace

# Whether an exception of this class is handled; asked for as late as Python asks.
Handles = Callable[[type[BaseException]], bool]


class Handler(NamedTuple):
    """A statement whose body is being traced.

    Attributes:
        scope: where it stands.
        handles: which classes of exceptions it handles.
        name: what it is, for messages.
        does: what it does then: "handles".
    """

    scope: Scope
    handles: Handles
    name: str
    does: str


def begins(handles: Handles, name: str, does: str) -> None:
    """The body of a statement that handles exceptions begins."""
    scope = current_scope()
    if scope is not None:
        _all(scope.trace).append(Handler(scope, handles, name, does))


def ends() -> None:
    """It ends."""
    scope = current_scope()
    if scope is not None:
        _all(scope.trace).pop()


def around(kind: type[BaseException]) -> Iterator[Handler]:
    """The statements around here that handle such exceptions, from the inside."""
    scope = current_scope()
    for handler in reversed(_all(scope.trace) if scope else []):
        if handler.handles(kind):
            yield handler


def advice(kind: type[BaseException]) -> str:
    """What an error of the run adds to its message: why no handler around it has run."""
    handler = next(around(kind), None)
    if handler is None:
        return ""
    return (
        f"; {handler.name} around it {handler.does} that in Python, and compiled code cannot: look "
        "at the values first, and write the handler as a branch"
    )


def _all(trace: Trace) -> list[Handler]:
    return trace.notes.setdefault("handlers", [])
