# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The compiler. It takes programs as MLIR bytecode or text and shares no MLIR objects with Python.

Importing it loads MLIR and LLVM.
"""

from collections.abc import Mapping, Sequence
from typing import Literal, TypeAlias

from mlir import ir

Severity: TypeAlias = Literal["error", "warning", "remark", "note"]

class Diagnostic:
    """One message of the compiler."""

    severity: Severity
    message: str
    # First file position found in the location (inside fused, name and call-site locations the
    # innermost position of the first one): None and 0 where there is none.
    file: str | None
    line: int
    column: int
    # The whole location as MLIR prints it, without the `loc(...)` around it.
    location: str
    notes: list[Diagnostic]

class CompilationError(RuntimeError):
    """A pass, translation or code generation failed; `str(e)` is the first error's message."""

    diagnostics: list[Diagnostic]

class CompilationWarning(RuntimeWarning):
    """Translation to LLVM IR or code generation warned of something in a program."""

def load_dialects(context: ir.Context) -> None:
    """Loads the dialects that traced programs are made of, and makes `context` single-threaded."""

def infer_types(name: str, operands: Sequence[str], attributes: str) -> list[str]:
    """The types of the results of an op, by its own rule.

    Args:
        name: of the op.
        operands: types of its operands.
        attributes: a dictionary attribute, with all that the op must have.

    Raises:
        CompilationError: there is no such op, or it cannot have such operands and attributes.
    """

class Compilation:
    """A program that is compiled in a thread of its own, with a context of its own.

    Dropping the object abandons the compilation, which then ends at its next step.
    """

    def __init__(
        self,
        program: bytes | str,
        target: str,
        *,
        source: str = "grad",
        fast_math: bool = False,
        options: str = "",
        locations: bool = False,
        store: str = "",
        cpu: str = "",
        chip: str = "",
        key: bytes = b"",
        wrt: Sequence[int] = ...,
        of: Sequence[int] = ...,
        symmetric: bool = False,
        known: Mapping[int, bytes] = ...,
    ) -> None:
        """Starts the compilation.

        Args:
            program: MLIR as bytecode or text.
            target: a stage: "grad", "adjoint", "simplified", "linalg", "bufferized" or "llvm";
                or what is made of the last one: "llvm_ir", "assembly" or "object". To a GPU, "gpu"
                and "nvvm" follow "bufferized", then "assembly" is PTX, and "object" a program for
                a device. "sparsity" is the pattern of the derivatives.
            source: the stage that the program is in.
            fast_math: calculate with floats as with real numbers.
            options: options of `--grad-to-cpu` or `--grad-to-cuda` in their textual form
                ("plan-remarks=1 ...").
            locations: whether MLIR text has source locations.
            store: a directory in which object code is kept between processes; "" for none.
            cpu: the CPUs to generate code for, "x86-64-v2", "x86-64-v3" or "x86-64-v4"; "" for
                this one.
            chip: the GPU to generate code for, such as "sm_90", or "emulated"; "" for the CPU.
            key: SHA-256 of the program and options, under which object code is kept; b"" if it is
                not.
            wrt: for "sparsity", the arguments that columns of the pattern stand for.
            of: the results that rows stand for.
            symmetric: whether the matrix is.
            known: int64 elements of arguments that are known, by their numbers.

        Raises:
            ValueError: no such stage, option, CPU or GPU.
        """

    def wait(self, seconds: float) -> bool:
        """Waits for at most so long, without the GIL; whether it is done."""

    @property
    def stage(self) -> str:
        """What it is at: "grad" while the program is read, then the stage it is being brought to,
        at last "translate", "optimize" and "emit" for LLVM."""

    # The rest raises CompilationError if it failed, and ValueError if it is not done.

    @property
    def text(self) -> str:
        """MLIR, LLVM IR or assembly."""

    @property
    def object_code(self) -> bytes:
        """Host object code (ELF)."""

    @property
    def sparsity(self) -> bytes:
        """Six int64: rows, columns, elements, the direction of products (0: columns, 1: rows, 2:
        columns of a symmetric matrix), colors, vertices; offsets of rows and places of elements in
        the products (int64), then columns of the elements and colors (int32)."""

    @property
    def arena_bytes(self) -> int:
        """Bytes of temporaries; 0 if the stage "bufferized" was not passed."""

    @property
    def tape_bytes(self) -> int:
        """Bytes an iteration of what loops without a bound keep; 0 if the code was found."""

    @property
    def diagnostics(self) -> list[Diagnostic]:
        """Warnings and remarks."""

    @property
    def store_message(self) -> str:
        """Why the store was not used, if that is worth a warning."""

    @property
    def seconds(self) -> dict[str, float]:
        """What each step took, by the names that `stage` gives them."""

def programs_compiled() -> int:
    """Programs that object code was generated for, in this process."""

def host_target() -> str:
    """Triple, CPU and vector width code is generated for."""

# -- Bundles -------------------------------------------------------------------------------

class BundleProgram:
    """A compiled program, to be written to a bundle.

    Dtypes are numbers, those of gradopt_dtype.
    """

    def __init__(
        self,
        name: str,
        arena_bytes: int,
        arguments: Sequence[tuple[str, int, Sequence[int], Sequence[tuple[int, int]]]],
        constants: Sequence[tuple[int, Sequence[int], bytes]],
        results: Sequence[tuple[str, int, Sequence[int], int, Sequence[tuple[int, int]]]],
        checks: Sequence[tuple[str, str, str, int]],
        code: Sequence[tuple[int, bytes]],
        device_code: bytes = b"",
        least_room: int | None = None,
    ) -> None:
        """
        Args:
            name: what it is found by.
            arena_bytes: what a call needs besides.
            arguments: path, dtype and shape of each; dimensions of a size that is another one in
                each call, with the numbers of the arguments that are these sizes.
            constants: dtype, shape and elements of each.
            results: path, dtype, shape; the number of the argument in whose memory it is, or -1;
                dimensions of such sizes, with the numbers of the results that are these.
            checks: message, the Python exception, file and line of each.
            code: level of x86-64 CPUs, 2, 3 or 4, and object code.
        """

def assemble(program: bytes, assembler: str) -> bytes:
    """A program for GPUs with machine code beside its PTX, made by a `ptxas`.

    Raises:
        ValueError: there is no such program, or it failed.
    """

def write_bundle(path: bytes, programs: Sequence[BundleProgram], structure: str) -> None:
    """Replaces a file by a bundle, or leaves it as it was.

    `structure` is JSON for `gradopt_runtime`, or "".

    Raises:
        ValueError: a program has more arrays or dimensions than a bundle can have.
        OSError: the file cannot be written.
    """

def write_header(path: bytes, bundle: str, programs: Sequence[BundleProgram]) -> None:
    """Replaces a file by a C header with a function for each program of the bundle of that name.

    Raises:
        OSError: the file cannot be written.
    """
