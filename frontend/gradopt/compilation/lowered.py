# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""`Lowered`: a traced function on its way to machine code."""

from __future__ import annotations

import functools
import glob
import hashlib
import io
import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from mlir import ir
from mlir.ir import MLIRError  # pyright: ignore[reportAttributeAccessIssue]

from gradopt import _gradopt
from gradopt.base.frames import hide_frames
from gradopt.base.options import Options
from gradopt.base.pytree import TreeDef
from gradopt.errors import (
    ArgumentError,
    ArgumentTypeError,
    CompilerError,
    SourceLocation,
)
from gradopt.ir import context
from gradopt.ir.checks import Check, raise_failure

if TYPE_CHECKING:
    from gradopt.compilation.compiled import Compiled

# Machine code by program, the least recently used first; `context.lock` guards it. Programs are
# traced anew more often than they differ: `grad` of a lambda in a loop, each call of `jvp`.
_machine_codes: dict[tuple[bytes, bool], tuple[bytes, int]] = {}
_MACHINE_CODE_BYTES = 32 << 20

STAGES = ("grad", "adjoint", "simplified", "linalg", "bufferized", "llvm")


@dataclass(frozen=True)
class Leaf:
    """An argument or a result of compiled code.

    Attributes:
        path: how the user reaches it, as in `args[0]['W']`.
        dtype: its dtype.
        shape: its shape.
        weak: whether it is a Python number.
    """

    path: str
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    weak: bool = False

    @property
    def nbytes(self) -> int:
        """Bytes of its elements."""
        return self.dtype.itemsize * math.prod(self.shape)


@dataclass(frozen=True)
class Memory:
    """Memory of one call, in bytes, known before anything runs.

    Attributes:
        arguments: the caller's arrays.
        captures: concrete arrays that the function refers to.
        outputs: the arrays the call returns.
        arena: all temporaries, which share one block.
        peak: the sum, the most that is live at any time.
    """

    arguments: int
    captures: int
    outputs: int
    arena: int

    @property
    def peak(self) -> int:
        """Bytes live at most: all of the others."""
        return self.arguments + self.captures + self.outputs + self.arena


class Lowered:
    """A function traced for one signature.

    Each stage can be looked at, and nothing is compiled before it is asked for.
    """

    def __init__(
        self,
        name: str,
        module: ir.Module,
        arguments: Sequence[Leaf],
        results: Sequence[Leaf],
        result_tree: TreeDef,
        captures: Sequence[np.ndarray[Any, Any]],
        checks: Sequence[Check],
        options: Options,
        owner: Compiled,
        structure: TreeDef,
    ) -> None:
        self.name = name
        self.arguments = tuple(arguments)
        self.results = tuple(results)
        self.options = options
        self._result_tree = result_tree
        self._captures = tuple(captures)
        self._checks = tuple(checks)
        self._owner = owner
        self._structure = structure
        buffer = io.BytesIO()
        module.operation.write_bytecode(buffer)
        # Passes work on copies: traced arrays keep pointers into the module itself.
        self._bytecode = buffer.getvalue()

    def __repr__(self) -> str:
        arguments = ", ".join(f"{leaf.dtype.name}{list(leaf.shape)}" for leaf in self.arguments)
        return f"Lowered<{self.name}({arguments})>"

    def _module(self, stage: str) -> ir.Module:
        if stage not in STAGES:
            raise ArgumentError(f"no stage {stage!r}; stages are {', '.join(STAGES)}")
        with context.lock:
            module = self._parsed()
            for name in STAGES[1 : STAGES.index(stage) + 1]:
                try:
                    _gradopt.run_stage(module, name, fast_math=self.options.fast_math)
                except _gradopt.CompilationError as error:
                    raise compiler_error(error, f"stage {name!r}") from None
            return module

    def _parsed(self) -> ir.Module:
        try:
            return ir.Module.parse(self._bytecode, context.context())
        except MLIRError as error:
            first = error.error_diagnostics[0]
            raise CompilerError(
                f"the traced program is not valid: {first.message}",
                _source_of(first.location),
            ) from None

    def mlir(self, stage: str = "grad", *, locations: bool = False) -> str:
        """The module as MLIR text.

        Args:
            stage: "grad", "adjoint", "simplified", "linalg", "bufferized" or "llvm".
            locations: whether to print the source locations.

        Raises:
            ArgumentError: no such stage.
            CompilerError: a pass failed.
        """
        module = self._module(stage)
        return str(module.operation.get_asm(enable_debug_info=locations, large_elements_limit=64))

    def llvm_ir(self) -> str:
        """The optimised LLVM IR."""
        with context.lock:
            return _gradopt.llvm_ir(self._module("llvm"))

    def asm(self) -> str:
        """The assembly for this machine."""
        with context.lock:
            return _gradopt.assembly(self._module("llvm"))

    @functools.cached_property
    def _arena_bytes(self) -> int:
        return arena_bytes(self._module("bufferized"))

    def memory(self) -> Memory:
        """Bytes of arguments, outputs and temporaries; nothing has to run for it."""
        return Memory(
            sum(leaf.nbytes for leaf in self.arguments),
            sum(array.nbytes for array in self._captures),
            sum(leaf.nbytes for leaf in self.results),
            self._arena_bytes,
        )

    @functools.cached_property
    def executable(self) -> _gradopt.Executable:
        """Loaded machine code on flat arguments."""
        load_blas()
        with context.lock:
            code, arena = self._machine_code()
        outcome = [(np.dtype(np.int64), ())] * 2 if self._checks else []
        return _gradopt.Executable(
            code,
            [(leaf.dtype, leaf.shape) for leaf in self.arguments],
            [(leaf.dtype, leaf.shape) for leaf in self.results] + outcome,
            arena,
            self._captures,
        )

    def _machine_code(self) -> tuple[bytes, int]:
        """Object code, and bytes of the arena; those of an equal program if there was one."""
        # The text has no locations: those are all that equal programs may differ in.
        text = str(self._parsed()).encode()
        key = (hashlib.sha256(text).digest(), self.options.fast_math)
        found = _machine_codes.pop(key, None)
        if found is None:
            module = self._module("bufferized")
            arena = arena_bytes(module)
            try:
                _gradopt.run_stage(module, "llvm", fast_math=self.options.fast_math)
                found = _gradopt.compile_module(module), arena
            except _gradopt.CompilationError as error:
                raise compiler_error(error, "code generation") from None
        _machine_codes[key] = found
        while sum(len(code) for code, _ in _machine_codes.values()) > _MACHINE_CODE_BYTES:
            del _machine_codes[next(iter(_machine_codes))]
        return found

    def specialization(self, arg_leaves: Sequence[int] | None = None) -> _gradopt.Specialization:
        """What the call path keeps for this signature.

        Args:
            arg_leaves: for each argument the number of the call's leaf, if they differ.
        """
        tree = _plain_tree(self._result_tree)
        custom = tree is _CUSTOM
        return _gradopt.Specialization(
            self.executable,
            None if custom else tree,
            arg_leaves=arg_leaves,
            unflatten=self._result_tree.unflatten if custom else None,
            on_failure=self._raise_failure if self._checks else None,
            payload=self,
        )

    @hide_frames
    def _raise_failure(self, number: int, value: int) -> None:
        raise_failure(self._checks, number, value)

    def compile(self) -> Callable[..., Any]:
        """Compiles it, and returns the function for this signature alone.

        The function runs the code that was traced, whatever has become of the Python function. It
        raises an ArgumentError that names the path where an argument has another structure, shape
        or dtype.
        """
        executable = self.executable  # Errors come now, not at the first call.
        assert executable is not None
        return self._owner.fixed_to(self)

    @property
    def structure(self) -> TreeDef:
        """The structure of the arguments: positional ones, and named ones."""
        return self._structure

    def check(self, leaves: Sequence[Any]) -> None:
        """Raises where the leaves of arguments differ from those this was lowered for."""
        for value, leaf in zip(leaves, self.arguments, strict=True):
            if leaf.weak:
                if type(value) not in (bool, int, float):
                    raise ArgumentTypeError(f"expected a Python number at {leaf.path}")
                continue
            array = np.asarray(value)
            if array.shape != leaf.shape:
                raise ArgumentError(
                    f"expected shape {leaf.shape} at {leaf.path}, but got {array.shape}"
                )
            if array.dtype != leaf.dtype:
                raise ArgumentTypeError(
                    f"expected dtype {leaf.dtype} at {leaf.path}, but got {array.dtype}"
                )


_CUSTOM = object()


def _plain_tree(tree: TreeDef) -> Any:
    """Result numbers in exact tuples, lists and dicts; `_CUSTOM` if there are other containers."""
    counter = iter(range(tree.leaf_count))

    def build(node: TreeDef) -> Any:
        if node.cls is None:
            return next(counter)
        if node.cls is type(None):
            return None
        parts = [build(child) for child in node.children]
        if any(part is _CUSTOM for part in parts):
            return _CUSTOM
        if node.cls is tuple:
            return tuple(parts)
        if node.cls is list:
            return parts
        if node.cls is dict:
            keys: Any = node.data
            return dict(zip(keys, parts, strict=True))
        return _CUSTOM

    return build(tree)


def arena_bytes(module: ir.Module) -> int:
    """Size of the block for temporaries, of a module of stage "bufferized"."""
    for op in module.body.operations:
        attributes = op.operation.attributes
        if "grad.arena_bytes" in attributes:
            return ir.IntegerAttr(attributes["grad.arena_bytes"]).value
    return 0


def _source_of(location: ir.Location) -> SourceLocation | None:
    while location.is_a_name():
        location = location.child_loc
    if not location.is_a_file():
        return None
    return SourceLocation(location.filename, location.start_line, location.start_col - 1)


def compiler_error(error: _gradopt.CompilationError, where: str) -> CompilerError:
    """Our error for a failure in the compiler, at the user's line if it is known."""
    texts: list[str] = []
    place: SourceLocation | None = None
    message = str(error)
    for diagnostic in error.diagnostics:
        texts.append(f"{diagnostic.severity}: {diagnostic.message}")
        texts += [
            f"note: {note.message}"
            for note in diagnostic.notes
            if not note.message.startswith("see current operation")
        ]
        if place is None and diagnostic.severity == "error":
            message = diagnostic.message
            if diagnostic.file is not None and diagnostic.line:
                place = SourceLocation(diagnostic.file, diagnostic.line, diagnostic.column - 1)
    notes = "".join(f"\n  {text}" for text in texts if text != f"error: {message}")
    return CompilerError(f"{where} failed: {message}{notes}", place, texts)


@functools.cache
def load_blas() -> None:
    """Loads the OpenBLAS of the scipy-openblas32 package, unless a BLAS was chosen before."""
    if _gradopt.blas_path() is not None:
        return
    try:
        import scipy_openblas32  # pyright: ignore[reportMissingTypeStubs]
    except ImportError:
        return
    found = sorted(
        glob.glob(os.path.join(scipy_openblas32.get_lib_dir(), "libscipy_openblas*.so*"))
    )
    if found:
        _gradopt.set_blas(found[0])
        _gradopt.set_blas_threads(1)
