# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Bundles: compiled functions in a file, to be run without a compiler.

The format is described in runtime/BundleFormat.h. `gradopt_runtime` reads it, and the C API of the
runtime.
"""

from __future__ import annotations

import ast
import builtins
import dataclasses
import hashlib
import json
import os
import secrets
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gradopt.base.pytree import TreeDef
from gradopt.base.statics import Static
from gradopt.compilation.calling import argument_names
from gradopt.compilation.compiled import Compiled
from gradopt.compilation.compiler import compile_program
from gradopt.compilation.header import c_header
from gradopt.compilation.lowered import Lowered
from gradopt.errors import ArgumentError, ArgumentTypeError, UnsupportedError
from gradopt.ir.checks import Check
from gradopt_runtime import DTYPES

MAGIC = b"GRADOPT\x1a"
VERSION = 1
_ALIGNMENT = 64
_PROGRAM, _CODE, _CONSTANTS, _STRUCTURE = range(1, 5)

CPU_LEVELS = ("x86-64-v2", "x86-64-v3", "x86-64-v4")


@dataclasses.dataclass(frozen=True)
class _Section:
    kind: int
    program: int
    content: bytes
    level: int = 0


def save(
    functions: Compiled | Lowered | Mapping[str, Compiled | Lowered],
    path: str | os.PathLike[str],
    *,
    cpu: Sequence[str] = CPU_LEVELS,
    header: str | os.PathLike[str] | None = None,
) -> None:
    """Writes compiled functions to a file that runs without a compiler.

    `gradopt.load` and `gradopt_runtime.load` read it, and the C functions `gradopt_bundle_...`.

    Args:
        functions: what `lower` returned; or a compiled function, for all signatures that it was
            called with; or a dict of them, by name.
        path: the file, which is replaced as a whole.
        cpu: the levels of x86-64 CPUs to generate code for. The best one that the CPU has is used.
        header: a C header to write as well, with a function for each program.

    Raises:
        ArgumentError: a compiled function that was not called yet, or a level that is not known.
        UnsupportedError: the function calls Python or foreign code, or has arguments or results in
            containers that cannot be written.
        OSError: the file cannot be written.
    """
    levels = [_level(name) for name in cpu]
    if not levels:
        raise ArgumentError("cpu must name a level")
    single = not isinstance(functions, Mapping)
    named: Mapping[str, Compiled | Lowered] = (
        {_name_of(functions): functions} if single else functions  # pyright: ignore
    )
    sections: list[_Section] = []
    structures: list[Any] = []
    numbers: dict[str, list[int]] = {}
    programs: list[tuple[str, Lowered]] = []
    for name, function in named.items():
        numbers[name] = []
        for lowered in _all_lowered(name, function):
            numbers[name].append(len(structures))
            sections += _program_sections(name, lowered, len(structures), levels)
            structures.append(_structure(lowered))
            programs.append((name, lowered))
    everything = {"single": single, "functions": numbers, "programs": structures}
    sections.append(_Section(_STRUCTURE, 0, json.dumps(everything).encode()))
    _write(Path(path), _assemble(sections, len(structures)))
    if header is not None:
        _write(Path(header), c_header(Path(path).name, programs).encode())


def _level(name: str) -> int:
    if name not in CPU_LEVELS:
        raise ArgumentError(f"no CPU level {name!r}; levels are {', '.join(CPU_LEVELS)}")
    return int(name.rpartition("v")[2])


def _name_of(function: Any) -> str:
    if isinstance(function, Lowered):
        return function.name
    if isinstance(function, Compiled):
        return getattr(function, "__name__", "function")
    raise ArgumentTypeError(
        f"a compiled function or what its `lower` returns can be saved, not a "
        f"{type(function).__name__}"
    )


def _all_lowered(name: str, function: Any) -> list[Lowered]:
    if isinstance(function, Lowered):
        return [function]
    _name_of(function)
    found: list[Lowered] = [made.payload for made in function.cache_values()]
    if not found:
        raise ArgumentError(
            f"{name} was not compiled for any arguments yet: call it, or save "
            f"{name}.lower(*arguments)"
        )
    return found


# -- One program ---------------------------------------------------------------------------------


class _Text:
    """Strings in one block."""

    def __init__(self) -> None:
        self.content = bytearray()
        self._places: dict[str, int] = {}

    def place(self, text: str) -> int:
        if text not in self._places:
            self._places[text] = len(self.content)
            self.content += text.encode().replace(b"\0", b" ") + b"\0"
        return self._places[text]


def _program_sections(
    name: str, lowered: Lowered, number: int, levels: Sequence[int]
) -> list[_Section]:
    if lowered.targets:
        raise UnsupportedError(
            f"{name} calls {lowered.targets[0].name}, which is outside of the program: it cannot "
            "be saved"
        )
    code: list[_Section] = []
    arena = 0
    for level in levels:
        done = compile_program(lowered.program, "object", cpu=f"x86-64-v{level}")
        arena = done.arena_bytes
        code.append(_Section(_CODE, number, done.object_code, level))
    constants = bytearray()
    places: list[int] = []
    for array in lowered.captures:
        constants += bytes(-len(constants) % _ALIGNMENT)
        places.append(len(constants))
        constants += np.ascontiguousarray(array).tobytes()
    record = _record(name, lowered, arena, places)
    return [
        _Section(_PROGRAM, number, record),
        *code,
        *([_Section(_CONSTANTS, number, bytes(constants))] if places else []),
    ]


def _record(name: str, lowered: Lowered, arena: int, places: Sequence[int]) -> bytes:
    text = _Text()
    extents: list[int] = []

    def array(path: str, dtype: np.dtype[Any], shape: tuple[int, ...], place: int) -> bytes:
        first = len(extents)
        extents.extend(shape)
        return struct.pack(
            "<IIIIq", text.place(path), DTYPES.index(dtype), len(shape), first, place
        )

    name_place = text.place(name)
    arrays = [array(leaf.path, leaf.dtype, leaf.shape, -1) for leaf in lowered.arguments]
    arrays += [
        array("constant", captured.dtype, captured.shape, place)
        for captured, place in zip(lowered.captures, places, strict=True)
    ]
    arrays += [
        array(leaf.path, leaf.dtype, leaf.shape, lowered.reused.get(i, -1))
        for i, leaf in enumerate(lowered.results)
    ]
    checks = [_check(check, text) for check in lowered.checks]
    text.place("")
    head = struct.pack(
        "<QIIIIIIII",
        arena,
        name_place,
        len(lowered.arguments),
        len(lowered.captures),
        len(lowered.results),
        len(checks),
        len(extents),
        len(text.content),
        0,
    )
    shapes = struct.pack(f"<{len(extents)}q", *extents)
    return b"".join([head, *arrays, *checks, shapes, text.content])


def _check(check: Check, text: _Text) -> bytes:
    error = next(c.__name__ for c in check.error.__mro__ if vars(builtins).get(c.__name__) is c)
    file, line = ("", 0) if check.location is None else (check.location.file, check.location.line)
    return struct.pack(
        "<IIII", text.place(check.message), text.place(error), text.place(file), line
    )


# -- Structures, for gradopt_runtime -------------------------------------------------------------


def _structure(lowered: Lowered) -> dict[str, Any]:
    positional, keywords = lowered.structure.children
    names = argument_names(lowered.function, len(positional.children))
    return {
        "positional": [
            [path, _tree(child)] for path, child in zip(names, positional.children, strict=True)
        ],
        "keywords": {
            name: _tree(child) for name, child in zip(keywords.data, keywords.children, strict=True)
        },
        "result": _tree(lowered.result_tree),
        "weak": [i for i, leaf in enumerate(lowered.arguments) if leaf.weak],
    }


def _tree(node: TreeDef) -> Any:
    cls = node.cls
    if cls is None:
        return "*"
    if cls is type(None):
        return "None"
    children = [_tree(child) for child in node.children]
    if cls in (tuple, list):
        return {"kind": cls.__name__, "children": children}
    if cls is dict:
        keys = [_literal(key, "the key") for key in node.data]
        return {"kind": "dict", "keys": keys, "children": children}
    if cls is Static:
        value = _literal(node.data.value, "the static value")
        return {"kind": "static", "value": value, "children": []}
    fields = getattr(cls, "_fields", None)
    if fields is None and dataclasses.is_dataclass(cls):
        kind, names = "dataclass", node.data
    elif fields is not None and not node.data:
        kind, names = "namedtuple", fields
    else:
        kind, names = "", ()
    if not kind or "<" in cls.__qualname__:
        raise UnsupportedError(
            f"a {cls.__name__} cannot be saved: a bundle has tuples, lists, dicts, and the named "
            "tuples and dataclasses of modules"
        )
    place = f"{cls.__module__}:{cls.__qualname__}"
    return {"kind": kind, "class": place, "names": list(names), "children": children}


def _literal(value: Any, what: str) -> str:
    text = repr(value)
    try:
        if repr(ast.literal_eval(text)) == text:
            return text
    except (ValueError, SyntaxError):
        pass
    raise UnsupportedError(f"{what} {value!r} cannot be saved: it is not a literal")


# -- The file ------------------------------------------------------------------------------------


def _assemble(sections: Sequence[_Section], programs: int) -> bytes:
    table = bytearray()
    body = bytearray()
    begin = 64 + 32 * len(sections)
    for section in sections:
        body += bytes(-(begin + len(body)) % _ALIGNMENT)
        offset = begin + len(body)
        body += section.content
        table += struct.pack(
            "<IIIIQQ",
            section.kind,
            section.program,
            section.level,
            0,
            offset,
            len(section.content),
        )
    rest = bytes(table + body)
    head = struct.pack("<8sIIQ", MAGIC, VERSION, len(sections), 64 + len(rest))
    return head + hashlib.sha256(rest).digest() + struct.pack("<Q", programs) + rest


def _write(path: Path, content: bytes) -> None:
    """Replaces the file, or leaves it as it was."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        with temporary.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
