# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Makes a program that fails a short one: statements and parts of expressions are left out."""

from __future__ import annotations

import ast
import copy
import re
import time
from collections.abc import Iterator
from dataclasses import replace

from programs.checking import Outcome, check
from programs.writing import PRELUDE, Program


def _blocks(tree: ast.AST) -> Iterator[list[ast.stmt]]:
    """All lists of statements, outer ones first."""
    for node in ast.walk(tree):
        for field in ("body", "orelse", "finalbody"):
            found = getattr(node, field, None)
            if isinstance(found, list) and found and not isinstance(node, ast.Module):
                yield found


def _shorter(tree: ast.Module) -> Iterator[ast.Module]:
    """Programs with a statement less."""
    count = sum(len(block) for block in _blocks(tree))
    for number in range(count):
        for way in range(3):
            made = copy.deepcopy(tree)
            places = [(b, i) for b in _blocks(made) for i in range(len(b))]
            block, i = places[number]
            statement = block[i]
            if way == 0:
                block[i : i + 1] = [] if len(block) > 1 else [ast.Pass()]
                if isinstance(statement, ast.Pass):
                    continue
            else:
                inner = getattr(statement, ("body", "orelse")[way - 1], None)
                if not isinstance(inner, list) or not inner:
                    continue
                block[i : i + 1] = inner
            yield made


def _simpler(tree: ast.Module) -> Iterator[ast.Module]:
    """Programs with an expression that is one of its parts, or a number."""
    nodes = [n for n in ast.walk(tree) if isinstance(n, ast.expr)]
    for number in range(len(nodes)):
        if isinstance(nodes[number], (ast.Name, ast.Constant, ast.Slice)):
            continue
        parts = [n for n in ast.iter_child_nodes(nodes[number]) if isinstance(n, ast.expr)]
        for part in range(len(parts) + 1):
            made = copy.deepcopy(tree)
            places = _places(made)
            holder, field, index = places[number]
            old = getattr(holder, field) if index is None else getattr(holder, field)[index]
            if isinstance(getattr(old, "ctx", None), (ast.Store, ast.Del)):
                break
            inner = [n for n in ast.iter_child_nodes(old) if isinstance(n, ast.expr)]
            new = inner[part] if part < len(inner) else ast.Constant(0.5)
            if isinstance(new, ast.Slice) or isinstance(holder, ast.JoinedStr):
                continue
            if index is None:
                setattr(holder, field, new)
            else:
                getattr(holder, field)[index] = new
            yield made


def _places(tree: ast.AST) -> list[tuple[ast.AST, str, int | None]]:
    """Where expressions are, in the order of `ast.walk`."""
    found: dict[int, tuple[ast.AST, str, int | None]] = {}
    for node in ast.walk(tree):
        for field, value in ast.iter_fields(node):
            for index, item in enumerate(value) if isinstance(value, list) else [(None, value)]:
                if isinstance(item, ast.expr):
                    found[id(item)] = node, field, index
    return [found[id(n)] for n in ast.walk(tree) if isinstance(n, ast.expr)]


def reduced(program: Program, outcome: Outcome, seconds: float = 60.0) -> Program:
    """A shorter program with a fault of the same kind.

    Args:
        program: the program.
        outcome: what came of it.
        seconds: how long to try.
    """
    end = time.monotonic() + seconds
    body = program.text.removeprefix(PRELUDE)
    progress = True
    while progress and time.monotonic() < end:
        progress = False
        for variants in (_shorter, _simpler):
            again = True
            while again and time.monotonic() < end:
                again = False
                for tree in variants(ast.parse(body)):
                    if time.monotonic() > end:
                        break
                    try:
                        text = ast.unparse(ast.fix_missing_locations(tree)) + "\n"
                    except Exception:
                        continue
                    if len(text) >= len(body):
                        continue
                    found = check(replace(program, text=PRELUDE + text))
                    if found.kind == outcome.kind and _same(found.detail, outcome.detail):
                        body, again, progress = text, True, True
                        break
    return replace(program, text=PRELUDE + body)


def _same(one: str, other: str) -> bool:
    """Whether two details name the same exception, if any."""
    return _exception(one) == _exception(other)


def _exception(detail: str) -> str:
    """The start of a detail, as far as it does not depend on numbers."""
    return re.split(r"[\d\[]", detail)[0]
