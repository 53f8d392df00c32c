# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""`raise`, `try` and `with`: exceptions of the user's, some of which only compiled code raises."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from gradopt.array.handle import SizeNeededError, UncarriedWriteError
from gradopt.base.location import source_location
from gradopt.compilation.calling import describe_value
from gradopt.control.containers import UncarriedContainerError
from gradopt.control.effects import happens_later, has_effects
from gradopt.control.parts import Raised
from gradopt.control.text import is_put_off
from gradopt.errors import (
    CompilerError,
    DerivativeRuleError,
    GradoptError,
    ReadOnlyError,
    TracerError,
    UnboundNameError,
    UnsupportedError,
)
from gradopt.ir import checks, handlers
from gradopt.ir.current import current_scope
from gradopt.rewrite.managers import exit_of, may_suppress

# What handlers of the user's do not get: NumPy would not raise it.
_OWN = (UnsupportedError, TracerError, CompilerError, DerivativeRuleError)
_SIGNALS = (Raised, SizeNeededError, UncarriedWriteError, UncarriedContainerError)
_NUMPYS = (ReadOnlyError, UnboundNameError)


def raised(error: Any, *cause: Any) -> BaseException:
    """What a `raise` statement raises.

    Args:
        error: an exception, or its class.
        cause: what is behind `from`, if anything is.

    Raises:
        UnsupportedError: a traced condition decides, but a `try` outside of that handles it.
    """
    made = error() if isinstance(error, type) else error
    if not isinstance(made, BaseException):
        made = TypeError("exceptions must derive from BaseException")
    if cause:
        made.__cause__ = cause[0]() if isinstance(cause[0], type) else cause[0]
    scope = current_scope()
    if scope is None:
        return made
    around = list(handlers.around(type(made)))
    if not scope.in_part:
        if not around and is_put_off((made.args, vars(made))):
            raise UnsupportedError(
                f"{type(made).__name__} is raised while tracing, whatever the arrays hold, with "
                "traced values in its message, which are not known then; leave them out",
                source_location(),
            )
        return made
    if around:
        if around[0].scope is scope:
            scope.trace.notes.setdefault("thrown", []).append(made)
            return made  # Python goes from one to the other.
        raise UnsupportedError(
            f"{type(made).__name__} is raised where a traced condition decides, and "
            f"{around[0].name} around that {around[0].does} it: compiled code cannot; write the "
            "handler as a branch",
            source_location(),
        )
    if not scope.is_part:
        raise UnsupportedError(
            "an exception is raised in a function that is differentiated or mapped where a traced "
            "condition decides; let it decide inside of that function",
            source_location(),
        )
    if is_put_off(made.args) or is_put_off(vars(made)) or has_effects():
        happens_later(
            lambda args, attributes: _raise(made, args, attributes), made.args, vars(made)
        )
    else:
        checks.fail(made)
    return Raised()


def raised_again() -> BaseException:
    """What a `raise` without an exception raises, where one is handled; as `raised`."""
    error = sys.exc_info()[1]
    if error is None:
        return raised(RuntimeError("No active exception to reraise"))
    return raised(error) if _is_thrown(error) else error


def _is_thrown(error: BaseException) -> bool:
    """Whether the user's code raises it where a traced condition decides, and handles it there."""
    scope = current_scope()
    thrown = () if scope is None else scope.trace.notes.get("thrown", ())
    return any(error is other for other in thrown)


def _raise(made: BaseException, args: Sequence[Any], attributes: dict[str, Any]) -> NoReturn:
    """Raises an exception with other arguments and attributes; so does who runs compiled code."""
    error = checks.another(made)
    error.args = tuple(args)
    vars(error).update(attributes)
    raise error


def begins_try(caught: Callable[[], Any]) -> None:
    """Notes what a `try` handles, while its body is traced."""
    handlers.begins(lambda kind: issubclass(kind, _classes(caught)), "a `try`", "handles")


def ends_try() -> None:
    """The end of the body."""
    handlers.ends()


def _classes(caught: Callable[[], Any]) -> tuple[type, ...]:
    """The classes that handlers name; all for `except:`."""
    found: list[type] = []
    pending = list(caught())
    while pending:
        kind = pending.pop()
        if kind is None:
            found.append(BaseException)
        elif isinstance(kind, tuple):
            pending += kind
        else:
            found.append(kind)
    return tuple(found)


def own_error(caught: Callable[[], Any]) -> tuple[type[BaseException], ...]:
    """The class of the exception that is handled now, if no handler of the user's gets it.

    Args:
        caught: what the handlers name.
    """
    error = sys.exc_info()[1]
    return () if error is None or not _is_own(error, caught) else (type(error),)


def passes_by() -> bool:
    """Whether an exception is on its way that no `finally` of the user's may replace."""
    error = sys.exc_info()[1]
    return error is not None and _is_own(error, lambda: ())


def _is_own(error: BaseException, caught: Callable[[], Any]) -> bool:
    if isinstance(error, _SIGNALS):
        return True
    if not isinstance(error, _OWN) or isinstance(error, _NUMPYS):
        return False
    asked = any(issubclass(kind, GradoptError) for kind in _classes(caught))
    return not asked and current_scope() is not None


class Managed:
    """A context manager of the user's, which does not suppress what is the compiler's own.

    Args:
        manager: the manager.
        enters: its `__enter__`, bound.
        exits: its `__exit__`, bound.
    """

    def __init__(self, manager: Any, enters: Callable[[], Any], exits: Callable[..., Any]) -> None:
        self._manager = manager
        self._enters, self._exits = enters, exits
        self._exit = exit_of(manager)
        is_known = isinstance(manager, contextlib.suppress)
        exceptions: Any = manager._exceptions if is_known else ()  # pyright: ignore
        self._caught: Callable[[], Any] = lambda: (exceptions,)

    def __enter__(self) -> Any:
        entered = self._enters()
        name = f"a `with` of {describe_value(self._manager)}"
        handlers.begins(self._handles, name, "may suppress")
        return entered

    def _handles(self, kind: type[BaseException]) -> bool:
        if isinstance(self._manager, contextlib.suppress):
            return issubclass(kind, _classes(self._caught))
        return may_suppress(self._exit)

    def __exit__(self, kind: Any, error: BaseException | None, traceback: Any) -> Any:
        handlers.ends()
        if error is not None and _is_own(error, self._caught):
            with contextlib.suppress(Exception):  # No other one takes its place.
                self._exits(kind, error, traceback)
            return False
        suppressed = self._exits(kind, error, traceback)
        if error is None:
            return suppressed
        if not suppressed and _is_thrown(error):
            again = raised(error)
            if again is not error:
                raise again  # It leaves the part of the program.
        return suppressed
