# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What the source of a context manager says of the exceptions that leave its `with`."""

from __future__ import annotations

import ast
import contextlib
import inspect
from collections.abc import Iterator
from types import FunctionType
from typing import Any

from gradopt.rewrite.functions import lookup
from gradopt.rewrite.names import inside, leaves
from gradopt.rewrite.source import NoSourceError, function_tree


def exit_of(manager: Any) -> FunctionType | None:
    """The function that decides how a `with` ends, if it is written in Python.

    Args:
        manager: a context manager that has not been entered yet.
    """
    if isinstance(manager, contextlib._GeneratorContextManager):  # pyright: ignore
        found: Any = manager.func
    else:
        found = lookup(type(manager), "__exit__")
        found = getattr(found, "__func__", found)
    return found if type(found) is FunctionType else None


def may_suppress(function: FunctionType | None) -> bool:
    """Whether such a function may end an exception, or raise another one in its place.

    It does not if it returns nothing else than constants that are false and raises nothing, or if
    it is a generator (`contextlib.contextmanager`) that yields where it handles exceptions by a
    plain `raise` at most. Managers that are written in C are taken for such as well: locks, files
    and the like.
    """
    if function is None:
        return False
    try:
        tree = function_tree(function)
    except NoSourceError:
        return True
    if not isinstance(tree, ast.FunctionDef):
        return True
    if function.__code__.co_flags & inspect.CO_GENERATOR:
        return any(map(_is_handler, _around_yields(tree)))
    return any(
        isinstance(node, ast.Raise) or (isinstance(node, ast.Return) and not _is_false(node.value))
        for node in inside(tree.body)
    )


def _is_false(value: ast.expr | None) -> bool:
    return value is None or (isinstance(value, ast.Constant) and not value.value)


def _around_yields(tree: ast.FunctionDef) -> Iterator[Any]:
    """The statements `try` and `with` that have a `yield` in their bodies."""
    for node in inside(tree.body):
        is_entered = isinstance(node, ast.Try | ast.With) or hasattr(node, "handlers")
        body = inside(getattr(node, "body", ())) if is_entered else ()
        if any(isinstance(inner, ast.Yield | ast.YieldFrom) for inner in body):
            yield node


def _is_handler(statement: Any) -> bool:
    """Whether such a statement may end an exception: a `with` may, as far as its source tells."""
    if isinstance(statement, ast.With):
        return True
    handles = any(not _raises_again(handler) for handler in statement.handlers)
    return handles or leaves(statement.finalbody)


def _raises_again(handler: ast.ExceptHandler) -> bool:
    """Whether a handler ends by raising what it handles, and raises nothing else."""
    raised = [node for node in inside(handler.body) if isinstance(node, ast.Raise)]
    return raised == [handler.body[-1]] and handler.body[-1].exc is None  # pyright: ignore
