# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What names statements bind and use, which of them are live, and how statements are left."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

Names = frozenset[str]
NONE: Names = frozenset()

SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


def children(node: ast.AST) -> list[ast.AST]:
    """The nodes that a node consists of, but for contexts; faster than `ast.iter_child_nodes`."""
    found: list[ast.AST] = []
    for field in node._fields:
        value = getattr(node, field, None)
        if isinstance(value, list):
            found += [item for item in value if isinstance(item, ast.AST)]
        elif isinstance(value, ast.AST) and field != "ctx":
            found.append(value)
    return found


def walk(node: ast.AST) -> Iterator[ast.AST]:
    """A node and all in it, but for contexts; in no particular order."""
    pending = [node]
    while pending:
        node = pending.pop()
        yield node
        pending += children(node)


def inside(nodes: Iterable[ast.AST]) -> Iterator[ast.AST]:
    """All nodes in these that run in the same function; definitions, but not what is in them."""
    pending = list(nodes)[::-1]
    while pending:
        node = pending.pop()
        yield node
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            pending += [*node.decorator_list, *node.args.defaults]
            pending += [default for default in node.args.kw_defaults if default is not None]
        elif isinstance(node, ast.Lambda):
            pending += [*node.args.defaults, *[d for d in node.args.kw_defaults if d is not None]]
        elif isinstance(node, ast.ClassDef):
            pending += [*node.decorator_list, *node.bases]
        else:
            pending += children(node)[::-1]


def bound(nodes: Iterable[ast.AST]) -> Names:
    """The names that statements, or expressions, bind or delete in their function."""
    found: set[str] = set()
    pending = list(nodes)
    while pending:
        node = pending.pop()
        if isinstance(node, SCOPES):
            if not isinstance(node, ast.Lambda):
                found.add(node.name)
            continue
        if isinstance(node, _COMPREHENSIONS):
            # Their own variables stay inside; those of `:=` do not.
            walrus = [n for n in walk(node) if isinstance(n, ast.NamedExpr)]
            found.update(n.target.id for n in walrus)
            continue
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            found.add(node.id)
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            found.update((a.asname or a.name).split(".")[0] for a in node.names)
        elif isinstance(node, (ast.ExceptHandler, ast.MatchAs, ast.MatchStar)) and node.name:
            found.add(node.name)
        elif isinstance(node, ast.MatchMapping) and node.rest:
            found.add(node.rest)
        pending += children(node)
    return frozenset(found)


def used(nodes: Iterable[ast.AST | None]) -> Names:
    """The names that are read anywhere in these, also in functions that they define."""
    found: set[str] = set()
    for root in nodes:
        for node in () if root is None else walk(root):
            if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Store):
                found.add(node.id)
            elif isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name):
                found.add(node.target.id)
    return frozenset(found)


def captured(body: Sequence[ast.stmt]) -> Names:
    """The names that definitions in a function use: these may run at any time."""
    found: set[str] = set()
    for node in inside(body):
        if isinstance(node, (*SCOPES, ast.GeneratorExp)):
            found |= used([node])
    return frozenset(found) | shared(body)


def shared(body: Sequence[ast.stmt]) -> Names:
    """The names that definitions in a function declare to be of an outer one: they assign them."""
    found: set[str] = set()
    for node in inside(body):
        if isinstance(node, SCOPES):
            found.update(n for d in walk(node) if isinstance(d, ast.Nonlocal) for n in d.names)
    return frozenset(found)


def declared(body: Sequence[ast.stmt], kind: type[ast.Global] | type[ast.Nonlocal]) -> Names:
    """The names that a function declares to be global, or of an outer function."""
    return frozenset(n for node in inside(body) if isinstance(node, kind) for n in node.names)


# -- How statements are left -------------------------------------------------------------------


def leaves(stmts: Iterable[ast.AST]) -> bool:
    """Whether a statement may be left by `return`, or by `break` or `continue` of a loop around."""
    for stmt in stmts:
        if isinstance(stmt, (ast.Return, ast.Break, ast.Continue)):
            return True
        if isinstance(stmt, SCOPES):
            continue
        if isinstance(stmt, (ast.For, ast.While, ast.AsyncFor)):
            if _returns(stmt.body) or leaves(stmt.orelse):
                return True
        elif leaves(children(stmt)):
            return True
    return False


def _returns(stmts: Iterable[ast.AST]) -> bool:
    return any(isinstance(node, ast.Return) for node in inside(stmts))


def always_leaves(stmts: Sequence[ast.stmt]) -> bool:
    """Whether what stands behind these statements is never reached.

    What stands behind a `with` may be: its manager can end an exception.
    """
    for stmt in stmts:
        if isinstance(stmt, (ast.Return, ast.Break, ast.Continue, ast.Raise)):
            return True
        if isinstance(stmt, ast.If) and always_leaves(stmt.body) and always_leaves(stmt.orelse):
            return True
    return False


def absorb(stmts: Sequence[ast.stmt]) -> list[ast.stmt]:
    """The same statements, where what follows an `if` that one branch leaves is in the other.

    `if c: return a` and `return b` become `if c: return a` and `else: return b`.
    """
    result: list[ast.stmt] = []
    for i, stmt in enumerate(stmts):
        rest = stmts[i + 1 :]
        if isinstance(stmt, ast.If):
            first, second = always_leaves(stmt.body), always_leaves(stmt.orelse)
            if (first or second) and rest:
                if not second:
                    stmt.orelse = [*stmt.orelse, *rest]
                elif not first:
                    stmt.body = [*stmt.body, *rest]
                rest = []
            stmt.body, stmt.orelse = absorb(stmt.body), absorb(stmt.orelse)
            result.append(stmt)
            if first or second:
                break
            continue
        for field in ("body", "orelse", "finalbody"):
            if isinstance(stmt, (*SCOPES, ast.Match)):
                break
            if getattr(stmt, field, None):
                setattr(stmt, field, absorb(getattr(stmt, field)))
        result.append(stmt)
        if always_leaves([stmt]):
            break
    return result


# -- Liveness ----------------------------------------------------------------------------------


class _Targets(NamedTuple):
    """What is live where `break`, `continue` and `return` lead to."""

    on_break: Names
    on_continue: Names
    on_return: Names


class Liveness:
    """Which names may be read later.

    Attributes:
        after: for statements, by their ids, what is live behind them, and where they may lead to.
        head: for loops what is live where an iteration begins.
    """

    def __init__(self, body: Sequence[ast.stmt]) -> None:
        self.after: dict[int, Names] = {}
        self.head: dict[int, Names] = {}
        always = captured(body) | declared(body, ast.Global) | declared(body, ast.Nonlocal)
        self._always = always
        self._block(body, always, _Targets(always, always, always))

    def _block(self, stmts: Sequence[ast.stmt], out: Names, targets: _Targets) -> Names:
        for stmt in reversed(stmts):
            behind = out
            if leaves([stmt]):
                behind |= targets.on_break | targets.on_continue | targets.on_return
            self.after[id(stmt)] = behind
            out = self._statement(stmt, out, targets) | self._always
        return out

    def _statement(self, stmt: ast.stmt, out: Names, targets: _Targets) -> Names:
        if isinstance(stmt, ast.Return):
            return used([stmt]) | targets.on_return
        if isinstance(stmt, ast.Raise):
            return used([stmt]) | targets.on_return
        if isinstance(stmt, ast.Break):
            return targets.on_break
        if isinstance(stmt, ast.Continue):
            return targets.on_continue
        if isinstance(stmt, ast.If):
            branches = self._block(stmt.body, out, targets) | self._block(stmt.orelse, out, targets)
            return used([stmt.test]) | (branches - bound([stmt.test]))
        if isinstance(stmt, ast.While):
            return self._loop(stmt, used([stmt.test]), out, targets)
        if isinstance(stmt, ast.For):
            head = self._loop(stmt, NONE, out, targets)
            # Elements of a target, as in `for a[i] in x`, are uses.
            return used([stmt.iter, stmt.target]) | head
        if isinstance(stmt, ast.With):
            first = [item.context_expr for item in stmt.items]
            names = [item.optional_vars for item in stmt.items if item.optional_vars]
            always = self._always
            if any(isinstance(node, ast.Raise) for node in inside(stmt.body)):
                # It leads behind the statement, if a manager ends it.
                self._always |= out
                targets = targets._replace(on_return=targets.on_return | out)
            body = self._block(stmt.body, out, targets)
            self._always = always
            return used(first) | (body - bound(names))
        if isinstance(stmt, (ast.Try, ast.Match)) or hasattr(stmt, "handlers"):
            return self._anyhow(stmt, out, targets)
        names = bound([stmt]) - used_targets(stmt)
        return (out - names) | used([stmt]) | used_targets(stmt)

    def _loop(
        self, stmt: ast.While | ast.For, tested: Names, out: Names, targets: _Targets
    ) -> Names:
        """What is live where an iteration begins, or the loop ends."""
        assigned = bound([stmt.target]) if isinstance(stmt, ast.For) else NONE
        otherwise = self._block(stmt.orelse, out, targets)
        head = tested | otherwise
        while True:
            inner = _Targets(out, head, targets.on_return)
            begin = self._block(stmt.body, head, inner)
            following = tested | otherwise | (begin - assigned) | head
            if following == head:
                break
            head = following
        self.head[id(stmt)] = head
        return head

    def _anyhow(self, stmt: ast.stmt, out: Names, targets: _Targets) -> Names:
        """A statement of which any part may follow on any other."""
        live = used([stmt]) | out | targets.on_return
        inner = _Targets(live | targets.on_break, live | targets.on_continue, live)
        for node in inside([stmt]):
            for field in ("body", "orelse", "finalbody"):
                block = getattr(node, field, None)
                if isinstance(block, list) and not isinstance(node, (*SCOPES, ast.Module)):
                    self._block(block, live, inner)
        return live


def used_targets(stmt: ast.stmt) -> Names:
    """Names that an augmented assignment, or a deletion, reads before it binds them."""
    if isinstance(stmt, ast.AugAssign) and isinstance(stmt.target, ast.Name):
        return frozenset([stmt.target.id])
    if isinstance(stmt, ast.Delete):
        return used([stmt])
    return NONE
