# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Statements that are others in short, written out: `match` on values, `while` that assigns."""

from __future__ import annotations

import ast
from collections.abc import Sequence

from gradopt.rewrite.names import SCOPES


def desugared(stmts: Sequence[ast.stmt]) -> list[ast.stmt]:
    """The same statements, in which `if` and `while` stand for what they can stand for."""
    result: list[ast.stmt] = []
    for stmt in stmts:
        if isinstance(stmt, SCOPES):
            result.append(stmt)
            continue
        for field in ("body", "orelse", "finalbody"):
            if getattr(stmt, field, None):
                setattr(stmt, field, desugared(getattr(stmt, field)))
        for part in (*getattr(stmt, "handlers", ()), *getattr(stmt, "cases", ())):
            part.body = desugared(part.body)
        if isinstance(stmt, ast.While):
            result.append(_with_test_inside(stmt))
        elif isinstance(stmt, ast.Match):
            result += _as_branches(stmt) or [stmt]
        else:
            result.append(stmt)
    return result


def _with_test_inside(stmt: ast.While) -> ast.stmt:
    """`while (x := f()): g(x)` is `while True`, `if not (x := f()): break`, `g(x)`."""
    if stmt.orelse or not any(isinstance(node, ast.NamedExpr) for node in ast.walk(stmt.test)):
        return stmt
    leave = ast.If(ast.UnaryOp(ast.Not(), stmt.test), [ast.Break()], [])
    test = ast.Constant(True)
    return _like(ast.While(test, [_like(leave, stmt.test), *stmt.body], []), stmt)


def _as_branches(stmt: ast.Match) -> list[ast.stmt] | None:
    """`match` on values, which compares with one after the other; None for other patterns."""
    subject = f"<match {stmt.lineno}.{stmt.col_offset}>"
    tests = [_test(case.pattern, subject) for case in stmt.cases]
    if any(test is None for test in tests):
        return None
    chain: list[ast.stmt] = []
    for case, test in reversed(list(zip(stmt.cases, tests, strict=True))):
        assert test is not None
        if case.guard is not None:
            test = ast.BoolOp(ast.And(), [test, case.guard])
        always = isinstance(test, ast.Constant)
        branch = case.body if always else [ast.If(test, case.body, chain)]
        chain = [*_binding(case.pattern, subject), *branch]
    keep = ast.Assign([ast.Name(subject, ast.Store())], stmt.subject)
    return [_like(keep, stmt.subject), *[_like(part, stmt.subject) for part in chain]]


def _test(pattern: ast.pattern, subject: str) -> ast.expr | None:
    if isinstance(pattern, ast.MatchValue):
        return ast.Compare(ast.Name(subject, ast.Load()), [ast.Eq()], [pattern.value])
    if isinstance(pattern, ast.MatchOr):
        tests = [_test(part, subject) for part in pattern.patterns]
        found = [test for test in tests if isinstance(test, ast.Compare)]
        return ast.BoolOp(ast.Or(), [*found]) if len(found) == len(tests) else None
    if isinstance(pattern, ast.MatchAs) and pattern.pattern is None:
        return ast.Constant(True)
    return None


def _binding(pattern: ast.pattern, subject: str) -> list[ast.stmt]:
    """The name that a pattern gives to what it matches."""
    if not isinstance(pattern, ast.MatchAs) or pattern.name is None:
        return []
    return [ast.Assign([ast.Name(pattern.name, ast.Store())], ast.Name(subject, ast.Load()))]


def _like(node: ast.stmt, place: ast.AST) -> ast.stmt:
    """A new node, and the new ones in it, at the place of another one."""
    for new in ast.walk(node):
        if not hasattr(new, "lineno") and isinstance(new, (ast.expr, ast.stmt)):
            ast.copy_location(new, place)
    return node
