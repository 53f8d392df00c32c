# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The user's source position.

A position is looked up once per call site: it is cached by code object and instruction.
"""

from __future__ import annotations

import ast
import dis
import linecache
import os
import sys
from types import CodeType, FrameType, TracebackType
from typing import Any

import numpy as np

from gradopt.base.syntax import parse
from gradopt.errors import SourceLocation

_SCIPY = os.path.join(os.path.dirname(os.path.dirname(np.__file__)), "scipy") + os.sep
_INTERNAL_PREFIXES = (
    # What the build makes is elsewhere where the package is installed for development.
    *[os.path.join(path, "") for path in sys.modules["gradopt"].__path__],
    os.path.dirname(np.__file__) + os.sep,
    _SCIPY,
    # Decorated functions: contextlib, functools.
    os.path.dirname(os.__file__) + os.sep + "contextlib",
    os.path.dirname(os.__file__) + os.sep + "functools",
)


class Site:
    """What is known of one code object; keeps it alive, so that its id stays its own."""

    __slots__ = ("code", "internal", "positions")

    def __init__(self, frame: FrameType) -> None:
        self.code = frame.f_code
        self.internal = _file(frame).startswith(_INTERNAL_PREFIXES)
        self.positions: tuple[tuple[int | None, ...], ...] | None = None

    def source(self, lasti: int) -> SourceLocation:
        if self.positions is None:
            # Python 3.10 has no columns.
            positions = getattr(self.code, "co_positions", None)
            self.positions = () if positions is None else tuple(positions())
        index = lasti // 2
        line = column = end_line = end_column = None
        if index < len(self.positions):
            line, end_line, column, end_column = self.positions[index]
        name = getattr(self.code, "co_qualname", self.code.co_name).replace("<locals>.", "")
        return SourceLocation(
            self.code.co_filename,
            line or self.code.co_firstlineno,
            -1 if column is None else column,
            -1 if end_column is None or end_line != line else end_column,
            name,
        )


def _file(frame: FrameType) -> str:
    """The file of a frame's code; of code that was made, as dataclasses do, that of its module."""
    name = frame.f_code.co_filename
    return str(frame.f_globals.get("__file__") or name) if name.startswith("<") else name


_sites: dict[int, Site] = {}
# Ids of code that is not the user's; `_sites` keeps it alive.
_internal_codes: set[int] = set()


def _site(frame: FrameType) -> Site:
    code = frame.f_code
    site = _sites.get(id(code))
    if site is None:
        if len(_sites) > 50_000:
            _sites.clear()
            _internal_codes.clear()
        site = _sites[id(code)] = Site(frame)
        if site.internal:
            _internal_codes.add(id(code))
    return site


def is_internal_file(file: str) -> bool:
    """Whether a file is of gradopt, NumPy, SciPy or a decorator of the standard library."""
    return file.startswith(_INTERNAL_PREFIXES)


def is_internal(frame: FrameType) -> bool:
    """Whether it belongs to gradopt, NumPy, SciPy or a decorator of the standard library."""
    return _site(frame).internal


def _user_frame(frame: FrameType | None) -> FrameType | None:
    while frame is not None and _site(frame).internal:
        frame = frame.f_back
    return frame


def source_location() -> SourceLocation | None:
    """Position in the innermost frame that is neither ours nor NumPy's or SciPy's."""
    frame = _user_frame(sys._getframe(1))
    return None if frame is None else _site(frame).source(frame.f_lasti)


# Why the control flow of functions cannot depend on traced values, by the ids of their code.
unrewritten: dict[int, str] = {}


def user_code() -> CodeType | None:
    """The code of the user's frame."""
    frame = _user_frame(sys._getframe(1))
    return None if frame is None else frame.f_code


def user_globals() -> dict[str, Any]:
    """The global names of the user's frame."""
    frame = _user_frame(sys._getframe(1))
    return {} if frame is None else frame.f_globals


def unrolled_at() -> tuple[SourceLocation | None, str]:
    """The loop that the user's code is in, and what it is: a loop, or a line that runs often."""
    frame = _user_frame(sys._getframe(1))
    line = None if frame is None else _site(frame).source(frame.f_lasti)
    while frame is not None:
        place = _site(frame).source(frame.f_lasti)
        loop = _loop_around(place, frame.f_code.co_firstlineno)
        if loop is not None:
            return loop, "this loop"
        frame = _user_frame(frame.f_back)
    return line, "this line"


def _loop_around(place: SourceLocation, first_line: int) -> SourceLocation | None:
    """The innermost loop around a line, in the function that begins at `first_line`."""
    try:
        tree = parse("".join(linecache.getlines(place.file)))
    except SyntaxError:
        return None
    found: SourceLocation | None = None
    for node in ast.walk(tree):
        if isinstance(node, (ast.For, ast.While)):
            # With its first line, from which rewritten code calls the body.
            begin, end = node.lineno, node.body[-1].end_lineno
        elif isinstance(node, (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)):
            begin, end = node.lineno, node.end_lineno
        else:
            continue
        if begin <= place.line <= (end or begin) and node.lineno >= first_line:
            found = SourceLocation(place.file, node.lineno, node.col_offset, -1, place.function)
    return found


def innermost(traceback: TracebackType | None) -> SourceLocation | None:
    """Where in the user's code an exception came from."""
    found: SourceLocation | None = None
    while traceback is not None:
        site = _site(traceback.tb_frame)
        if not site.internal:
            found = site.source(traceback.tb_lasti)
        traceback = traceback.tb_next
    return found


def user_instruction() -> str | None:
    """The bytecode instruction that the user's frame executes, by name."""
    frame = _user_frame(sys._getframe(1))
    return None if frame is None else dis.opname[frame.f_code.co_code[frame.f_lasti]]


def user_site() -> tuple[Site, int] | None:
    """The code of the user's frame, and the instruction that it executes; for a scope's ops."""
    # One of our functions adds an op to a scope, which asks its trace for the location, and that
    # asks here. Each frame that is looked at takes time.
    frame: FrameType | None = sys._getframe(4)
    internal = _internal_codes
    while frame is not None:
        code = frame.f_code
        if id(code) not in internal:
            site = _site(frame)
            if not site.internal:
                return site, frame.f_lasti
        frame = frame.f_back
    return None


def function_source(function: object) -> SourceLocation | None:
    """Where a Python function of the user's is defined, below its decorators.

    For others, such as NumPy's, it is the position in the user's code now.
    """
    while hasattr(function, "__wrapped__"):
        function = function.__wrapped__  # pyright: ignore[reportAttributeAccessIssue]
    code = getattr(function, "__code__", None)
    if code is None:
        code = getattr(getattr(type(function), "__call__", None), "__code__", None)  # noqa: B004
    if not isinstance(code, CodeType) or code.co_filename.startswith(_INTERNAL_PREFIXES):
        return source_location()
    return SourceLocation(code.co_filename, code.co_firstlineno, function=code.co_name)
