# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Waiting for the compiler, which works in a thread of its own.

Nothing is locked meanwhile. A signal is handled at once, and an exception that its handler raises
abandons the compilation.
"""

from __future__ import annotations

import contextlib
import hashlib
import sys
import time
import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from gradopt import _gradopt
from gradopt.compilation.store import is_wanted
from gradopt.errors import CacheWarning, CompilerError, SourceLocation
from gradopt.recording.native import compiler

if TYPE_CHECKING:
    from gradopt import _compiler

STAGES = ("grad", "adjoint", "simplified", "linalg", "bufferized", "llvm")

DEVICE_STAGES = ("grad", "adjoint", "simplified", "linalg", "bufferized", "gpu", "nvvm")

_ALL_STAGES = {*STAGES, *DEVICE_STAGES}

_POLL_SECONDS = 0.05
_SILENT_SECONDS = 2.0


class Program(NamedTuple):
    """A traced program, as the compiler takes it.

    Attributes:
        code: MLIR of the grad dialect, as text or bytecode.
        name: the user's function, for messages.
        location: where that is defined.
        fast_math: as in `gradopt.base.options.Options`.
        progress: whether a long compilation says so on standard error.
        pipeline_options: options of the pipeline in its own syntax.
        store: the directory in which object code is kept; "" for none.
        identity: what programs with the same code have in common: `code` without locations.
    """

    code: bytes | str
    name: str
    location: SourceLocation | None = None
    fast_math: bool = False
    progress: bool = False
    pipeline_options: str = ""
    store: str = ""
    identity: str = ""

    def key(self, source: str, cpu: str, chip: str) -> bytes:
        """What object code is kept under, in memory and in the store."""
        options = source, cpu, chip, str(self.fast_math), self.pipeline_options
        parts = *options, self.identity or self.code
        digest = hashlib.sha256()
        for part in parts:
            data = part.encode() if isinstance(part, str) else part
            digest.update(b"%d " % len(data))
            digest.update(data)
        return digest.digest()


def object_code(program: Program, *, cpu: str = "", chip: str = "") -> tuple[bytes, int]:
    """The object code, and the bytes that a call of it needs for temporaries.

    The compiler is imported only if there is no such code.

    Args:
        program: what to compile.
        cpu: the level of CPUs to generate code for, as in "x86-64-v3"; "" for this CPU.
        chip: the GPU to generate code for, as in "sm_90"; "" for the CPU.

    Raises:
        CompilerError: as `compile_program`.
    """
    known = _gradopt.find_code(program.key("grad", cpu, chip), program.store)
    if known is not None:
        return known
    done = compile_program(program, "object", cpu=cpu, chip=chip)
    return done.object_code, done.arena_bytes


def compile_program(
    program: Program,
    target: str,
    *,
    source: str = "grad",
    locations: bool = False,
    cpu: str = "",
    chip: str = "",
    asked: Mapping[str, Any] | None = None,
) -> _compiler.Compilation:
    """Compiles, and returns the compilation when it is done.

    Args:
        program: what to compile.
        target: one of `STAGES`, "llvm_ir", "assembly" or "object"; for a GPU one of
            `DEVICE_STAGES`, "assembly" (PTX) or "object". Or "sparsity".
        source: the stage that the program is in.
        locations: whether MLIR text has source locations.
        cpu: the level of CPUs to generate code for, as in "x86-64-v3"; "" for this CPU.
        chip: the GPU to generate code for, as in "sm_90"; "" for the CPU.
        asked: for "sparsity", which pattern: `wrt`, `of`, `symmetric` and `known` of `Compilation`.

    Raises:
        CompilerError: a pass or the code generation failed; at the user's line if it is known.
    """
    native = compiler()
    work: _compiler.Compilation = native.Compilation(
        program.code,
        target,
        source=source,
        fast_math=program.fast_math,
        options=program.pipeline_options,
        locations=locations,
        store=program.store,
        cpu=cpu,
        chip=chip,
        key=program.key(source, cpu, chip) if target == "object" else b"",
        **(asked or {}),
    )
    start = time.monotonic()
    silent = _SILENT_SECONDS
    while not work.wait(_POLL_SECONDS):
        if program.progress and time.monotonic() - start > silent:
            _say(program, work.stage, silent)
            silent *= 2
    try:
        diagnostics = work.diagnostics
    except native.CompilationError as error:
        raise _compiler_error(error, work.stage) from None
    for diagnostic in diagnostics:
        if diagnostic.severity == "warning":
            warnings.warn(diagnostic.message, native.CompilationWarning, stacklevel=2)
    if work.store_message and is_wanted(program.store):
        warnings.warn(work.store_message, CacheWarning, stacklevel=2)
    return work


def _say(program: Program, stage: str, seconds: float) -> None:
    place = program.location
    where = f" ({place.file}:{place.line})" if place is not None else ""
    doing = f"stage {stage}" if stage in _ALL_STAGES else f"code generation ({stage})"
    if stage == "sparsity":
        doing = "the pattern of its derivatives"
    # Standard error may be closed, or None.
    with contextlib.suppress(Exception):
        print(
            f"gradopt: compiling {program.name}{where} takes more than {seconds:g} s, now at "
            f"{doing} (progress=False silences this)",
            file=sys.stderr,
            flush=True,
        )


def _compiler_error(error: _compiler.CompilationError, stage: str) -> CompilerError:
    """Our error for a failure in the compiler, at the user's line if it is known."""
    texts: list[str] = []
    place: SourceLocation | None = None
    message = str(error)
    for diagnostic in error.diagnostics:
        texts.append(f"{diagnostic.severity}: {diagnostic.message}")
        texts += _notes(diagnostic.notes)
        if place is None and diagnostic.severity == "error":
            message = diagnostic.message
            if diagnostic.file is not None and diagnostic.line:
                place = SourceLocation(diagnostic.file, diagnostic.line, diagnostic.column - 1)
    notes = "".join(f"\n  {text}" for text in texts if text != f"error: {message}")
    if stage == STAGES[0]:
        what = "the traced program is not valid"
    else:
        what = f"stage {stage!r} failed" if stage in _ALL_STAGES else "code generation failed"
    return CompilerError(f"{what}: {message}{notes}", place, texts)


def _notes(notes: Sequence[_compiler.Diagnostic]) -> list[str]:
    return [
        f"note: {note.message}" + (f" ({note.file}:{note.line})" if note.line else "")
        for note in notes
        if not note.message.startswith("see current operation")
    ]
