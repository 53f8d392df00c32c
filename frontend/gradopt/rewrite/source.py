# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The syntax tree of a function, with the positions that it has in its file."""

from __future__ import annotations
import __future__

import ast
import copy
import functools
import linecache
from types import CodeType, FunctionType

from gradopt.base.syntax import parse

Function = ast.FunctionDef | ast.Lambda

# Flags of code objects that change what the source means.
_FUTURE = functools.reduce(
    lambda flags, name: flags | getattr(__future__, name).compiler_flag,
    __future__.all_feature_names,
    0,
)


class NoSourceError(Exception):
    """Why the source of a function is not known."""


def future_flags(code: CodeType) -> int:
    """The `from __future__ import` statements that the code was compiled under."""
    return code.co_flags & _FUTURE


def function_tree(function: FunctionType) -> Function:
    """The definition of a function, without decorators; a tree of its own.

    Raises:
        NoSourceError: there is no source, or it is not that of the code.
    """
    code = function.__code__
    lines = linecache.getlines(code.co_filename, function.__globals__)
    if not lines:
        raise NoSourceError(f"the source of {code.co_filename} cannot be read")
    if code.co_name == "<lambda>":
        return _lambda(code, "".join(lines))
    tree = _definition(code, lines)
    if tree is None or not _is_of(tree, code):
        raise NoSourceError(f"{code.co_filename} has changed since it was imported")
    return tree


def _definition(code: CodeType, lines: list[str]) -> ast.FunctionDef | None:
    """The definition that begins at the code's first line, which is that of its decorators."""
    first = code.co_firstlineno - 1
    if first >= len(lines):
        return None
    indented = lines[first][:1].isspace()
    # Line numbers stay what they are: blank lines, and a block around what is indented.
    before = "\n" * (first - 1) + "if 1:\n" if indented and first else "\n" * first
    last = max(_last_line(code), first + 1)
    for end in (last, *range(last + 1, min(last + 40, len(lines)) + 1)):
        try:
            tree = parse(before + "".join(lines[first:end]))
        except SyntaxError:
            continue
        node = tree.body[0]
        if indented and isinstance(node, ast.If):
            node = node.body[0]
        return node if isinstance(node, ast.FunctionDef) else None
    return None


def _last_line(code: CodeType) -> int:
    """The last line that the code, or code in it, has an instruction of."""
    found = code.co_firstlineno
    positions = getattr(code, "co_positions", None)
    if positions is None:
        found = max([line for _, _, line in code.co_lines() if line], default=found)
    else:
        found = max([end for _, end, _, _ in positions() if end], default=found)
    inner = [_last_line(const) for const in code.co_consts if isinstance(const, CodeType)]
    return max([found, *inner])


def _is_of(tree: Function, code: CodeType) -> bool:
    """Whether a definition has the name and the parameters of the code."""
    names = [arg.arg for arg in parameters(tree)]
    flags = (tree.args.vararg is not None) + (tree.args.kwarg is not None)
    count = code.co_argcount + code.co_kwonlyargcount + flags
    plain = [_unmangled(name) for name in code.co_varnames[:count]]
    if sorted(map(_unmangled, names)) != sorted(plain):
        return False
    return not isinstance(tree, ast.FunctionDef) or tree.name == code.co_name


def _unmangled(name: str) -> str:
    return name.split("__", 1)[-1] if name.startswith("_") and "__" in name[1:] else name


def parameters(tree: Function) -> list[ast.arg]:
    """All parameters."""
    args = tree.args
    others = [arg for arg in (args.vararg, args.kwarg) if arg is not None]
    return [*args.posonlyargs, *args.args, *args.kwonlyargs, *others]


def _lambda(code: CodeType, text: str) -> ast.Lambda:
    try:
        tree = _parsed(text)
    except SyntaxError:
        raise NoSourceError(f"{code.co_filename} cannot be parsed") from None
    found = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Lambda)
        and node.lineno == code.co_firstlineno
        and _is_of(node, code)
    ]
    if len(found) > 1:
        found = [node for node in found if _is_body(node.body, code)]
    if len(found) != 1:
        what = "there are several like it in its line" if found else "it is not in its file"
        raise NoSourceError(f"the source of the lambda is not known: {what}")
    return copy.deepcopy(found[0])


def _is_body(body: ast.expr, code: CodeType) -> bool:
    """Whether the code computes an expression at this place."""
    positions = getattr(code, "co_positions", None)
    if positions is None:
        return False
    place = (body.lineno, body.end_lineno, body.col_offset, body.end_col_offset)
    return place in set(positions())


@functools.lru_cache(16)
def _parsed(text: str) -> ast.Module:
    return parse(text)
