# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Statements that are others in short, written out: `match`, `while` that assigns."""

from __future__ import annotations

import ast
import copy
from collections.abc import Sequence

from gradopt.rewrite.names import SCOPES


def desugared(stmts: Sequence[ast.stmt], calls_assign: bool = False) -> list[ast.stmt]:
    """The same statements, in which `if` and `while` stand for what they can stand for.

    Args:
        stmts: the statements.
        calls_assign: whether functions that are called may assign names of this one.
    """
    result: list[ast.stmt] = []
    for stmt in stmts:
        if isinstance(stmt, SCOPES):
            result.append(stmt)
            continue
        for field in ("body", "orelse", "finalbody"):
            if getattr(stmt, field, None):
                setattr(stmt, field, desugared(getattr(stmt, field), calls_assign))
        for part in (*getattr(stmt, "handlers", ()), *getattr(stmt, "cases", ())):
            part.body = desugared(part.body, calls_assign)
        if isinstance(stmt, ast.While):
            result.append(_with_test_inside(stmt, calls_assign))
        elif isinstance(stmt, ast.Match):
            result += _as_branches(stmt) or [stmt]
        else:
            result.append(stmt)
    return result


def _with_test_inside(stmt: ast.While, calls_assign: bool) -> ast.stmt:
    """`while (x := f()): g(x)` is `while True`, `if not (x := f()): break`, `g(x)`."""
    assigning = (ast.NamedExpr, ast.Call) if calls_assign else ast.NamedExpr
    if stmt.orelse or not any(isinstance(node, assigning) for node in ast.walk(stmt.test)):
        return stmt
    leave = ast.If(ast.UnaryOp(ast.Not(), stmt.test), [ast.Break()], [])
    test = ast.Constant(True)
    return _like(ast.While(test, [_like(leave, stmt.test), *stmt.body], []), stmt)


def _as_branches(stmt: ast.Match) -> list[ast.stmt] | None:
    """`match` on values and sequences, which looks at one after the other.

    match p:                        <match> = p
        case [a, 0] if a > b:       if <gradopt>.is_sequence(<match>, 2, False) \\
            f(a)              =>            and <match>[1] == 0 and <match>[0] > b:
                                        a = <match>[0]
                                        f(a)

    None for mappings, classes with patterns in them, and guards that bind names.
    """
    subject = ast.Name(f"<match {stmt.lineno}.{stmt.col_offset}>", ast.Load())
    chain: list[ast.stmt] = []
    for case in reversed(stmt.cases):
        found = _looked_at(case.pattern, subject)
        guard = case.guard
        if found is None or (guard is not None and any(map(_binds, ast.walk(guard)))):
            return None
        tests, names = found
        if guard is not None:
            tests.append(_Named(dict(names)).visit(copy.deepcopy(guard)))
        assigned = [ast.Assign([ast.Name(n, ast.Store())], value) for n, value in names]
        body = [*assigned, *case.body]
        if not tests:
            chain = body
            continue
        test = tests[0] if len(tests) == 1 else ast.BoolOp(ast.And(), tests)
        chain = [ast.If(test, body, chain)]
    keep = ast.Assign([ast.Name(subject.id, ast.Store())], stmt.subject)
    return [_like(keep, stmt.subject), *[_like(part, stmt.subject) for part in chain]]


def _binds(node: ast.AST) -> bool:
    return isinstance(node, (ast.NamedExpr, ast.Lambda, ast.comprehension))


class _Named(ast.NodeTransformer):
    """A guard, which sees what the pattern would give names to."""

    def __init__(self, values: dict[str, ast.expr]) -> None:
        self._values = values

    def visit_Name(self, node: ast.Name) -> ast.AST:
        """A name."""
        return copy.deepcopy(self._values.get(node.id, node))


# What a pattern asks for, and the names that it gives.
_Looked = tuple[list[ast.expr], list[tuple[str, ast.expr]]]
# `float(x)` matches the whole of what is one.
_WHOLE = frozenset({"bool", "bytes", "dict", "float", "int", "list", "set", "str", "tuple"})


def _looked_at(pattern: ast.pattern, value: ast.expr) -> _Looked | None:
    if isinstance(pattern, ast.MatchValue):
        return [ast.Compare(copy.deepcopy(value), [ast.Eq()], [pattern.value])], []
    if isinstance(pattern, ast.MatchSingleton):
        return [ast.Compare(copy.deepcopy(value), [ast.Is()], [ast.Constant(pattern.value)])], []
    if isinstance(pattern, ast.MatchOr):
        parts = [_looked_at(part, value) for part in pattern.patterns]
        found = [tests for tests, names in filter(None, parts) if tests and not names]
        if len(found) < len(parts):
            return None
        each = [t[0] if len(t) == 1 else ast.BoolOp(ast.And(), t) for t in found]
        return [ast.BoolOp(ast.Or(), each)], []
    if isinstance(pattern, ast.MatchClass):
        kind, inner = pattern.cls, pattern.patterns
        is_whole = len(inner) == 1 and isinstance(kind, ast.Name) and kind.id in _WHOLE
        if pattern.kwd_patterns or (inner and not is_whole):
            return None
        test = ast.Call(ast.Name("isinstance", ast.Load()), [copy.deepcopy(value), kind], [])
        behind = _looked_at(inner[0], value) if inner else ([], [])
        return None if behind is None else ([test, *behind[0]], behind[1])
    if isinstance(pattern, ast.MatchSequence):
        return _elements_looked_at(pattern.patterns, value)
    if isinstance(pattern, ast.MatchAs):
        inner = ([], []) if pattern.pattern is None else _looked_at(pattern.pattern, value)
        if inner is None or pattern.name is None:
            return inner
        return inner[0], [*inner[1], (pattern.name, copy.deepcopy(value))]
    return None


def _elements_looked_at(patterns: Sequence[ast.pattern], value: ast.expr) -> _Looked | None:
    star = next((n for n, p in enumerate(patterns) if isinstance(p, ast.MatchStar)), None)
    count = len(patterns) - (star is not None)
    function = ast.Attribute(ast.Name("<gradopt>", ast.Load()), "is_sequence", ast.Load())
    arguments = [copy.deepcopy(value), ast.Constant(count), ast.Constant(star is not None)]
    tests: list[ast.expr] = [ast.Call(function, arguments, [])]
    names: list[tuple[str, ast.expr]] = []
    for n, pattern in enumerate(patterns):
        if isinstance(pattern, ast.MatchStar):
            behind = n + 1 - len(patterns)
            bounds = ast.Slice(ast.Constant(n), ast.Constant(behind) if behind else None)
            rest = ast.Subscript(copy.deepcopy(value), bounds, ast.Load())
            if pattern.name is not None:
                names.append((pattern.name, ast.List([ast.Starred(rest, ast.Load())], ast.Load())))
            continue
        place = n if star is None or n < star else n - len(patterns)
        element = ast.Subscript(copy.deepcopy(value), ast.Constant(place), ast.Load())
        found = _looked_at(pattern, element)
        if found is None:
            return None
        tests += found[0]
        names += found[1]
    return tests, names


def _like(node: ast.stmt, place: ast.AST) -> ast.stmt:
    """A new node, and the new ones in it, at the place of another one."""
    for new in ast.walk(node):
        if not hasattr(new, "lineno") and isinstance(new, (ast.expr, ast.stmt)):
            ast.copy_location(new, place)
    return node
