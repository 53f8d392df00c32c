# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Bundles: compiled functions in a file, to be run without a compiler.

The format is described in runtime/BundleFormat.h. `gradopt_runtime` reads it, and the C API of the
runtime. What is written here is how arrays make up Python objects.
"""

from __future__ import annotations

import ast
import builtins
import dataclasses
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gradopt.array.unknown_sizes import UnknownSizeArray, sizes_among
from gradopt.base.devices import CPU
from gradopt.base.location import function_source
from gradopt.base.pytree import TreeDef
from gradopt.base.statics import Static
from gradopt.compilation.calling import argument_names
from gradopt.compilation.compiled import Compiled
from gradopt.compilation.compiler import Program, object_code
from gradopt.compilation.lowered import Lowered, argument_sizes
from gradopt.errors import (
    ArgumentError,
    ArgumentTypeError,
    CompilerError,
    GradoptError,
    UnsupportedError,
)
from gradopt.ir.outcomes import Check
from gradopt.recording.native import compiler
from gradopt_runtime.structure import number_of

if TYPE_CHECKING:
    from gradopt import _compiler

CPU_LEVELS = ("x86-64-v2", "x86-64-v3", "x86-64-v4")
# Each is for later GPUs, too.
CHIPS = ("sm_80", "sm_90")


def save(
    functions: Compiled | Lowered | Mapping[str, Compiled | Lowered],
    path: str | os.PathLike[str],
    *,
    cpu: Sequence[str] | None = None,
    chips: Sequence[str] | None = None,
    assembler: str | os.PathLike[str] | None = None,
    header: str | os.PathLike[str] | None = None,
) -> None:
    """Writes compiled functions to a file that runs without a compiler.

    `gradopt.load` and `gradopt_runtime.load` read it, and the C functions `gradopt_bundle_...`.
    Code for CPUs and for GPUs may be side by side: a call runs where its arrays are.

    Args:
        functions: what `lower` returned; or a compiled function, for all signatures that it was
            called with; or a dict of them, by name.
        path: the file, which is replaced as a whole.
        cpu: the levels of x86-64 CPUs to generate code for, of which the best one that the CPU has
            is used. None: all, for what was lowered or called on the CPU.
        chips: the NVIDIA GPUs to generate code for, as in "sm_90"; it runs on later ones as well.
            None: sm_80 and sm_90, for what was lowered for a GPU or called on one.
        assembler: the `ptxas` of CUDA's toolkit, or of the package nvidia-cuda-nvcc: adds machine
            code for these GPUs, which their driver compiles otherwise when it loads a program.
        header: a C header to write as well, with a function for each program.

    Raises:
        ArgumentError: a compiled function that was not called yet, a level or chip that is not
            known, nothing to generate code for, or no such assembler.
        UnsupportedError: the function calls Python or foreign code, has arguments or results in
            containers that cannot be written, or more than 16384 of them.
        OSError: the file cannot be written.
    """
    levels = None if cpu is None else [_level(name) for name in cpu]
    single = not isinstance(functions, Mapping)
    named: Mapping[str, Compiled | Lowered] = (
        {_name_of(functions): functions} if single else functions  # pyright: ignore
    )
    structures: list[Any] = []
    numbers: dict[str, list[int]] = {}
    statics: dict[str, Any] = {}
    programs: list[_compiler.BundleProgram] = []
    for name, function in named.items():
        numbers[name] = []
        for lowered, places in _signatures(name, _all_lowered(name, function)):
            numbers[name].append(len(structures))
            _require_known_order(name, lowered)
            if lowered.written:
                raise UnsupportedError(
                    f"{name} writes to its argument {lowered.arguments[lowered.written[0]].path}, "
                    "which saved functions cannot: return the new value instead, or save "
                    f"gradopt.with_written({name}), which returns what it has written",
                    function_source(lowered.function),
                )
            on_cpu = [_level(level) for level in CPU_LEVELS] if CPU in places else []
            on_gpus = CHIPS if places - {CPU} else ()
            programs.append(
                program_code(
                    name,
                    lowered,
                    on_cpu if levels is None else levels,
                    on_gpus if chips is None else chips,
                    "" if assembler is None else os.fspath(assembler),
                )
            )
            structures.append(_structure(lowered))
            options = lowered.options
            statics[name] = [options.static_argnums, options.static_argnames]
    everything = {
        "single": single,
        "functions": numbers,
        "static": statics,
        "programs": structures,
    }
    try:
        compiler().write_bundle(os.fsencode(path), programs, json.dumps(everything))
    except ValueError as error:
        raise UnsupportedError(str(error)) from None
    if header is not None:
        compiler().write_header(os.fsencode(header), Path(path).name, programs)


def _require_known_order(name: str, lowered: Lowered) -> None:
    """Raises where code depends on the memory order of an array whose sizes differ."""
    for leaf in lowered.arguments:
        if leaf.sizes and leaf.strides:
            raise UnsupportedError(
                f"{name} cannot be saved for {leaf.path}, whose dimensions have a size of the call "
                "and do not lie in row-major order: which parts of arrays are views, or in which "
                "order numpy.nditer goes through elements, depends on that",
                function_source(lowered.function),
            )


def _open_size(lowered: Lowered) -> tuple[int, int, str] | None:
    """The number of an argument, a dimension, and the name of its size, if that has no largest
    value."""
    names = lowered.options.dynamic.without_most()
    for array, axis, size in argument_sizes(lowered.arguments):
        dim = lowered.arguments[size].path.removeprefix("the size ")
        if dim in names:
            return array, axis, dim
    return None


def _for_all_sizes(name: str, lowered: Lowered) -> Lowered:
    """What calls on a device have compiled for as many rows as they had, for any number."""
    if lowered.device == CPU or _open_size(lowered) is None:
        return lowered
    try:
        return lowered.for_all_sizes()
    except GradoptError as error:
        raise _no_code_for_all_sizes(name, lowered, str(error)) from None


def _no_code_for_all_sizes(name: str, lowered: Lowered, reason: str) -> UnsupportedError:
    found = _open_size(lowered)
    assert found is not None
    array, axis, dim = found
    return UnsupportedError(
        f"{name} cannot be saved for GPUs: the size {dim!r} of dimension {axis} of "
        f"{lowered.arguments[array].path} has no largest value, and there is no code for all "
        f"sizes ({reason}); name one: gradopt.Dim({dim!r}, max=1000), or `{dim} <= 1000` in a "
        "specification of gradopt-compile",
        function_source(lowered.function),
    )


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
    found: list[Lowered] = function.compiled()
    if not found:
        raise ArgumentError(
            f"{name} was not compiled for any arguments yet: call it, or save "
            f"{name}.lower(*arguments)"
        )
    return found


def _signatures(name: str, found: Sequence[Lowered]) -> list[tuple[Lowered, set[str]]]:
    """One of those with the same arguments and results each, and the devices of all of them."""
    merged: dict[str, tuple[Lowered, set[str]]] = {}
    for given in found:
        lowered = _for_all_sizes(name, given)
        leaves = [
            f"{leaf.path}: {leaf.dtype}{leaf.shape}"
            for leaf in (*lowered.arguments, *lowered.results)
        ]
        key = json.dumps([_structure(lowered), leaves])
        merged.setdefault(key, (lowered, set()))[1].add(given.device)
    return list(merged.values())


# -- One program ---------------------------------------------------------------------------------


def program_code(
    name: str,
    lowered: Lowered,
    levels: Sequence[int],
    chips: Sequence[str],
    assembler: str = "",
) -> _compiler.BundleProgram:
    """The code of a function for levels of CPUs and for GPUs."""
    if not levels and not chips:
        raise ArgumentError(f"{name} has nothing to run on: cpu must name a level, or chips a GPU")
    if lowered.targets:
        raise UnsupportedError(
            f"{name} calls {lowered.targets[0].name}, which is outside of the program: it cannot "
            "be saved"
        )
    sizes = argument_sizes(lowered.arguments)
    arena, device_code = 0, b""
    if chips:
        is_for_some = _open_size(lowered) is not None and lowered.open_sizes is None
        if is_for_some:
            reason = "what is computed depends on it otherwise than by rows"
            raise _no_code_for_all_sizes(name, lowered, reason)
        try:
            device_code, arena = device_program(lowered.program, chips, assembler)
        except ValueError as error:
            raise ArgumentError(str(error)) from None
        except CompilerError as error:
            if lowered.open_sizes is None:
                raise
            raise _no_code_for_all_sizes(name, lowered, str(error)) from None
    code: list[tuple[int, bytes]] = []
    for level in levels:
        content, arena = object_code(lowered.program, cpu=f"x86-64-v{level}")
        code.append((level, content))
    result_sizes = sizes_among(lowered.result_tree)
    paths = _result_paths(lowered, result_sizes)
    return compiler().BundleProgram(
        name,
        arena,
        [
            (leaf.path, number_of(leaf.dtype), leaf.shape, _sizes_of(i, sizes))
            for i, leaf in enumerate(lowered.arguments)
        ],
        [(number_of(a.dtype), a.shape, a.tobytes()) for a in lowered.captures],
        [
            (
                *(paths[i], number_of(leaf.dtype), leaf.shape, lowered.reused.get(i, -1)),
                _sizes_of(i, result_sizes),
            )
            for i, leaf in enumerate(lowered.results)
        ],
        [_check(check) for check in lowered.checks],
        code,
        device_code,
        None if lowered.open_sizes is None else lowered.open_sizes.least,
    )


def _result_paths(lowered: Lowered, sizes: Sequence[tuple[int, int, int]]) -> list[str]:
    """How the caller reaches results: arrays and their sizes."""
    paths = [leaf.path for leaf in lowered.results]
    for result in {result for result, _, _ in sizes}:
        paths[result] = paths[result].removesuffix("<0>")
    for result, axis, count in sizes:
        paths[count] = f"{paths[result]}.shape[{axis}]"
    return paths


def _sizes_of(number: int, sizes: Sequence[tuple[int, int, int]]) -> list[tuple[int, int]]:
    """The dimensions of an array with sizes of the call, with the numbers of these."""
    return [(axis, size) for array, axis, size in sizes if array == number]


def device_program(program: Program, chips: Sequence[str], assembler: str) -> tuple[bytes, int]:
    """A program for GPUs, and the bytes of its temporaries.

    Raises:
        ValueError: no such chip or assembler.
    """
    code, arena = object_code(program, chip=",".join(chips))
    return compiler().assemble(code, assembler) if assembler else code, arena


def _check(check: Check) -> tuple[str, str, str, int]:
    error = next(c.__name__ for c in check.error.__mro__ if vars(builtins).get(c.__name__) is c)
    file, line = ("", 0) if check.location is None else (check.location.file, check.location.line)
    return check.message, error, file, line


# -- Structures, for gradopt_runtime -------------------------------------------------------------


def _structure(lowered: Lowered) -> dict[str, Any]:
    positional, keywords = lowered.structure.children
    names = argument_names(lowered.function, len(positional.children))
    strides = [list(leaf.strides) for leaf in lowered.arguments] if lowered.has_strides else None
    known = sorted({(count, size) for _, _, count, size in lowered.cuts if size >= 0})
    return {
        "positional": [
            [path, _tree(child)] for path, child in zip(names, positional.children, strict=True)
        ],
        "keywords": {
            name: _tree(child) for name, child in zip(keywords.data, keywords.children, strict=True)
        },
        "result": _tree(lowered.result_tree),
        "weak": [i for i, leaf in enumerate(lowered.arguments) if leaf.weak],
        **({"known": known} if known else {}),
        **({} if strides is None else {"strides": strides}),
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
    if cls is UnknownSizeArray:
        return {"kind": "rows", "axes": list(node.data), "children": children}
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
