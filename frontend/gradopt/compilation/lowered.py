# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""`Lowered`: a traced function on its way to machine code."""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import functools
import math
import warnings
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from gradopt import _gradopt
from gradopt._gradopt import OPEN_SIZE, TAPE_BYTES, DeviceArray
from gradopt.array.unknown_sizes import UnknownSizeArray
from gradopt.array.views import is_descending
from gradopt.base.device_arrays import adopt
from gradopt.base.devices import CPU, EMULATED, chip_of, device_number
from gradopt.base.dims import Dim
from gradopt.base.dtypes import PYTHON_NUMBERS
from gradopt.base.frames import hide_frames
from gradopt.base.location import function_source
from gradopt.base.open_sizes import arena_at, room_for, shape_at
from gradopt.base.options import Options
from gradopt.base.pytree import TreeDef
from gradopt.compilation.compiler import (
    DEVICE_STAGES,
    STAGES,
    Program,
    compile_program,
    object_code,
)
from gradopt.compilation.donation import DonationReport
from gradopt.compilation.placement import device_of
from gradopt.compilation.profile import OPTIONS as PROFILE_OPTIONS
from gradopt.compilation.profile import Profile, measure
from gradopt.compilation.store import store_directory
from gradopt.errors import (
    ArgumentError,
    ArgumentTypeError,
    DeviceError,
    LargeProgramWarning,
    ReadOnlyError,
    SourceLocation,
)
from gradopt.ir.checks import raise_failure
from gradopt.ir.outcomes import Check
from gradopt.ir.targets import Target
from gradopt_runtime import blas_path, cuda_library_path

if TYPE_CHECKING:
    from gradopt.compilation.compiled import Compiled

# What is shown code for where there is no device.
_USUAL_CHIP = "sm_90"

# Temporaries that are worth a warning, in bytes.
LARGE_ARENA = 2 << 30


def strides_of(leaf: Any) -> tuple[int, ...]:
    """The strides of an array in bytes; none for row-major order without gaps."""
    return leaf.strides if type(leaf) is np.ndarray and not leaf.flags.c_contiguous else ()


def sized_strides(leaf: Any) -> tuple[int, ...]:
    """What stands for the strides of an array with sizes that are named, whatever these are: none
    where its dimensions lie from the outermost to the innermost, with gaps or not; else ones."""
    strides = strides_of(leaf)
    return (1,) * leaf.ndim if strides and not is_descending(leaf.shape, strides) else ()


class Leaf(NamedTuple):
    """An argument or a result of compiled code.

    Attributes:
        path: how the user reaches it, as in `params['W']`.
        dtype: its dtype.
        shape: its shape.
        weak: whether it is a Python number.
        scalar: whether it is a NumPy scalar, and no 0-d array.
        sizes: where dimensions are of a size that `dynamic=` names, all sizes, with `Dim`s among
            them. `shape` is the largest one.
        strides: where code depends on how arguments lie in memory, steps in bytes; none for
            row-major order without gaps. With `sizes`, see `sized_strides`.
    """

    path: str
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    weak: bool = False
    scalar: bool = False
    sizes: tuple[int | Dim, ...] = ()
    strides: tuple[int, ...] = ()

    def example(self) -> Any:
        """Such an argument, with one element along dimensions whose size is the call's."""
        if self.weak:
            return self.dtype.type(0).item()
        sizes = [1 if isinstance(size, Dim) else size for size in self.sizes or self.shape]
        return self.dtype.type(0) if self.scalar else np.zeros(sizes, self.dtype)

    @property
    def nbytes(self) -> int:
        """Bytes of its elements, at most."""
        return self.nbytes_at(0)

    def nbytes_at(self, room: int) -> int:
        """Bytes of its elements, where there is room for so many rows; at most if that is 0."""
        return self.dtype.itemsize * math.prod(shape_at(self.shape, room))

    def shape_text(self) -> str:
        """The shape, with the names of sizes that may be any number."""
        names = [
            size.name if isinstance(size, Dim) and size.max == OPEN_SIZE else None
            for size in self.sizes or self.shape
        ]
        parts = [name or str(size) for name, size in zip(names, self.shape, strict=True)]
        return f"({', '.join(parts)}{',' if len(parts) == 1 else ''})"

    @property
    def is_sized(self) -> bool:
        """Whether it may have fewer rows."""
        return isinstance(self.sizes[0] if self.sizes else None, Dim)

    def __str__(self) -> str:
        return f"{self.dtype.name}{[*(self.sizes or self.shape)]}"


def argument_sizes(arguments: Sequence[Leaf]) -> list[tuple[int, int, int]]:
    """For each dimension of a size that `dynamic=` names: the number of the argument, the
    dimension, and the number of the argument that is the size. Sizes are behind all others."""
    dims = {size for leaf in arguments for size in leaf.sizes if isinstance(size, Dim)}
    first = len(arguments) - len(dims)
    numbers = {dim: first + i for i, dim in enumerate(sorted(dims, key=lambda dim: dim.name))}
    return [
        (number, axis, numbers[size])
        for number, leaf in enumerate(arguments)
        for axis, size in enumerate(leaf.sizes)
        if isinstance(size, Dim)
    ]


class OpenSizes(NamedTuple):
    """What code for any number of rows needs to know.

    Attributes:
        arguments: those that are numbers of rows, by number.
        least: how many rows there must be room for in each call.
        room: how many there is room for in a call like that it was lowered for.
    """

    arguments: tuple[int, ...]
    least: int
    room: int


class Memory(NamedTuple):
    """Memory of one call, in bytes, known before anything runs.

    Attributes:
        arguments: the caller's arrays.
        captures: concrete arrays that the function refers to.
        outputs: the arrays the call returns, but those in the memory of donated arguments.
        arena: all temporaries, which share one block, but tapes.
        tape: what each iteration adds of loops with checkpoint="all" whose number of iterations
            only the run tells (`gradopt.base.policies`): of all of these loops together.
        peak: the sum but for tapes, the most that is live at any time.
    """

    arguments: int
    captures: int
    outputs: int
    arena: int
    tape: int = 0

    @property
    def peak(self) -> int:
        """Bytes live at most: all of the others, but tapes."""
        return self.arguments + self.captures + self.outputs + self.arena


class LoopReport(NamedTuple):
    """What became of a loop in Python.

    Attributes:
        place: where it is.
        is_rolled: whether it is a loop of compiled code, and not written down iteration by
            iteration.
        reason: why it is not, or "".
    """

    place: SourceLocation
    is_rolled: bool
    reason: str

    def __str__(self) -> str:
        what = "rolled" if self.is_rolled else f"unrolled: {self.reason}"
        return f"{self.place.file}:{self.place.line}: {what}"


class Lowered:
    """A function traced for one signature.

    Each stage can be looked at, and nothing is compiled before it is asked for.

    Attributes:
        name: that of the function.
        arguments: the leaves of the arguments.
        results: the leaves of the results.
        options: how it is compiled.
        device: where it runs: "cpu", or "cuda:0" and so on.
        program: the traced program.
        result_tree: the structure of the results.
        captures: concrete arrays that the function refers to.
        checks: what compiled code checks.
        targets: functions outside of the program that it calls.
        reused: for results in the memory of arguments, the number of the argument.
        written: arguments that the function writes to, by number: what they hold afterwards are
            results behind those that it returns.
        open_sizes: of code for any number of rows.
        cuts: for each dimension of results that may have fewer elements than memory: the number of
            the result, the dimension, the number of the result that is how many, and of the
            argument that it is, or -1.
    """

    def __init__(
        self,
        name: str,
        location: SourceLocation | None,
        code: str,
        identity: str,
        arguments: Sequence[Leaf],
        results: Sequence[Leaf],
        result_tree: TreeDef,
        captures: Sequence[np.ndarray[Any, Any]],
        checks: Sequence[Check],
        targets: Sequence[Target],
        reused: dict[int, int],
        options: Options,
        device: str,
        owner: Compiled,
        structure: TreeDef,
        loops: Sequence[LoopReport],
        written: Sequence[int],
        open_sizes: OpenSizes | None = None,
        cuts: Sequence[tuple[int, int, int, int]] = (),
        has_strides: bool = False,
    ) -> None:
        self.name = name
        self.arguments = tuple(arguments)
        self.results = tuple(results)
        self.options = options
        self.device = device
        self.result_tree = result_tree
        self.captures = tuple(captures)
        self.checks = tuple(checks)
        self.targets = tuple(targets)
        self.reused = reused
        self._owner = owner
        self._structure = structure
        self._loops = tuple(loops)
        self.written = tuple(written)
        self.open_sizes = open_sizes
        self.cuts = tuple(cuts)
        self.has_strides = has_strides
        self._arena_bytes: int | None = None
        self._tape_bytes: int | None = None
        self._executable: _gradopt.Runnable | None = None
        self.program = Program(
            code,
            name,
            location,
            options.fast_math,
            options.progress,
            store=store_directory() if options.cache else "",
            identity=identity,
        )

    def __repr__(self) -> str:
        arguments = ", ".join(map(str, self.arguments))
        where = "" if self.device == CPU else f" on {self.device}"
        return f"Lowered<{self.name}({arguments}){where}>"

    def loops(self) -> tuple[LoopReport, ...]:
        """What became of the `for` and `while` statements that were traced.

        Those that ran on concrete values alone, such as a `for` over a list, are not among them.
        """
        return self._loops

    def mlir(self, stage: str = "grad", *, locations: bool = False) -> str:
        """The module as MLIR text.

        Args:
            stage: "grad", "adjoint", "simplified", "linalg", "bufferized", and then "llvm" for the
                CPU, or "gpu" and "nvvm" for a CUDA device.
            locations: whether to print the source locations.

        Raises:
            ArgumentError: no such stage.
            CompilerError: a pass failed.
        """
        stages, others = STAGES, DEVICE_STAGES
        if self.device != CPU:
            stages, others = others, stages
        if stage not in stages:
            place = "the CPU" if self.device == CPU else self.device
            where = f" of code for {place}" if stage in others else ""
            advice = '; pass device="cuda" for others' if stage in DEVICE_STAGES else ""
            raise ArgumentError(
                f"no stage {stage!r}{where}; stages are {', '.join(stages)}{advice}"
            )
        return compile_program(
            self.program, stage, locations=locations, chip=self._text_chip()
        ).text

    def llvm_ir(self) -> str:
        """The optimised LLVM IR.

        Raises:
            ArgumentError: the code is for a CUDA device.
        """
        self._require_cpu("LLVM IR", 'mlir("nvvm")')
        return compile_program(self.program, "llvm_ir").text

    def asm(self) -> str:
        """The assembly for this machine.

        Raises:
            ArgumentError: the code is for a CUDA device.
        """
        self._require_cpu("assembly", "ptx()")
        return compile_program(self.program, "assembly").text

    def ptx(self, chip: str | None = None) -> str:
        """The PTX of all kernels, for a CUDA device.

        Args:
            chip: what it is for, as in "sm_80"; None for the device, or "sm_90" without one.

        Raises:
            ArgumentError: the code is for the CPU, or there is no such chip.
            CompilerError: a pass failed.
        """
        if self.device == CPU:
            raise ArgumentError(
                'code for the CPU has no PTX; pass device="cuda" to the function that compiles it'
            )
        try:
            return compile_program(self.program, "assembly", chip=chip or self._text_chip()).text
        except ValueError as error:
            raise ArgumentError(str(error)) from None

    def _require_cpu(self, what: str, instead: str) -> None:
        if self.device != CPU:
            raise ArgumentError(f"code for {self.device} has no {what}; see {instead}")

    def _text_chip(self) -> str:
        """The chip that is shown code for, whether there is a device or not."""
        if self.device == CPU:
            return ""
        try:
            chip = chip_of(device_number(self.device) or 0)
        except DeviceError:
            return _USUAL_CHIP
        return _USUAL_CHIP if chip == EMULATED else chip

    def memory(self) -> Memory:
        """Bytes of arguments, outputs and temporaries; nothing has to run for it."""
        if self._arena_bytes is None or (
            self._tape_bytes is None and self.open_sizes is None and self._arena_bytes >= TAPE_BYTES
        ):
            done = compile_program(self.program, "bufferized", chip=self._text_chip())
            self._arena_bytes, self._tape_bytes = done.arena_bytes, done.tape_bytes
        room = self.open_sizes.room if self.open_sizes else 0
        results = [leaf for i, leaf in enumerate(self.results) if i not in self.reused]
        return Memory(
            sum(leaf.nbytes_at(room) for leaf in self.arguments),
            sum(array.nbytes for array in self.captures),
            sum(leaf.nbytes_at(room) for leaf in results),
            self._known_arena(self._arena_bytes),
            self._tape_bytes or 0,
        )

    def _known_arena(self, arena: int) -> int:
        """Bytes of all temporaries of a call like that it was lowered for, but tapes."""
        if self.open_sizes is None:
            return arena % TAPE_BYTES
        return arena_at(arena, self.open_sizes.room)

    def require_open(self) -> None:
        """Raises unless there is code for any number of rows.

        Raises:
            CompilerError: what depends on their number is not a number of rows alone.
        """
        assert self.executable is not None

    def for_all_sizes(self) -> Lowered:
        """For any number of rows, what is for as many as calls on a device had until now.

        Raises:
            GradoptError: it cannot be traced for the CPU.
        """
        return self._owner.for_all_sizes(self)

    @property
    def executable(self) -> _gradopt.Runnable:
        """Loaded machine code on flat arguments."""
        # No cached_property, which has a lock before Python 3.12.
        if self._executable is None:
            self._executable = self._load_on_cpu() if self.device == CPU else self._load_on_device()
        return self._executable

    def _load_on_cpu(self) -> _gradopt.Executable:
        return self._load(*self._object_code())

    def _load(self, code: bytes, arena: int) -> _gradopt.Executable:
        load_blas()
        open_sizes = None
        if self.open_sizes is not None:
            least = room_for((), self.open_sizes.least)
            open_sizes = arena, least, self.open_sizes.arguments
            arena = arena_at(arena, least)
        return _gradopt.Executable(
            code,
            *self._specs(),
            arena,
            self.captures,
            [(target.address, target.handler) for target in self.targets],
            self._donations(),
            self._report(),
            open=open_sizes,
        )

    def _load_on_device(self) -> _gradopt.DeviceExecutable:
        return self._load_for_device(*self._object_code(chip_of(device_number(self.device) or 0)))

    def _load_for_device(self, code: bytes, arena: int) -> _gradopt.DeviceExecutable:
        number = device_number(self.device) or 0
        load_blas()  # For what the host computes.
        load_cuda_libraries(number)
        return _gradopt.DeviceExecutable(
            code,
            number,
            *self._specs(),
            arena,
            len(_OUTCOME) if self.checks else 0,
            self.captures,
            self._donations(),
            self._report(),
            self.name,
            [(target.address, target.handler) for target in self.targets],
            self.cuts,
        )

    def _object_code(self, chip: str = "") -> tuple[bytes, int]:
        """The code, and the bytes of temporaries."""
        code, self._arena_bytes = object_code(self.program, chip=chip)
        self._warn_of(self._known_arena(self._arena_bytes))
        return code, self._arena_bytes

    def _specs(self) -> tuple[list[_gradopt.ArraySpec], list[_gradopt.ArraySpec]]:
        """What arguments and results look like."""
        results = [(leaf.dtype, leaf.shape) for leaf in self.results]
        return (
            [(leaf.dtype, leaf.shape, leaf.is_sized) for leaf in self.arguments],
            [*results, *(_OUTCOME if self.checks else ())],
        )

    def _donations(self) -> list[tuple[int, int, str | bool]]:
        return [
            (r, i, True if i in self.written else f"{self.arguments[i].path} of {self.name}")
            for r, i in self.reused.items()
        ]

    def _report(self) -> DonationReport:
        return DonationReport(self.name, tuple([leaf.path for leaf in self.arguments]))

    @hide_frames
    def profile(self, *args: Any, **kwargs: Any) -> Profile:
        """Calls it some times, and says where in the source the time goes.

        The program is compiled anew, as a list of commands that are timed one by one: loop nests,
        matrix products, copies. What is one nest counts for the first of its lines, after loops
        were fused. On a GPU, commands run one after the other, by no graph, and times are those
        between events on the stream. Donated arguments are copied, not taken.

        Args:
            args: the arguments of calls, of the signature that it was lowered for.
            kwargs: the same.

        Raises:
            ArgumentError: another structure or shape; the message names the path.
            DeviceError: the function is for a device, and that is not there.
        """
        leaves = self._owner.fixed_to(self).leaves(args, kwargs)
        program = self.program._replace(
            pipeline_options=f"{self.program.pipeline_options} {PROFILE_OPTIONS}"
        )
        chip = "" if self.device == CPU else chip_of(device_number(self.device) or 0)
        done = compile_program(program, "object", chip=chip)
        load = self._load if self.device == CPU else self._load_for_device
        executable = load(done.object_code, done.arena_bytes)
        donated = set(self.reused.values())

        def arguments() -> list[Any]:
            return [copy.deepcopy(leaf) if i in donated else leaf for i, leaf in enumerate(leaves)]

        *_, failed, value = (0, 0, *executable(*arguments()))
        if self.checks and failed:
            self._raise_failure(int(failed), int(value))
        return measure(self.name, executable, arguments, done.diagnostics)

    def _warn_of(self, arena: int) -> None:
        place = function_source(self._owner._function)
        if arena < LARGE_ARENA or place is None:
            return
        warnings.warn_explicit(
            f"{self.name} needs {arena / 1e9:.1f} GB for temporaries when it is called with these "
            "arguments; `lower(*args).memory()` tells before anything runs",
            LargeProgramWarning,
            place.file,
            place.line,
        )

    def specialization(self, arg_leaves: Sequence[int] | None = None) -> _gradopt.Specialization:
        """What the call path keeps for this signature.

        Args:
            arg_leaves: for each argument the number of the call's leaf, if they differ.
        """
        tree = _plain_tree(self.result_tree)
        unflatten = self.result_tree.unflatten
        if self.cuts and self.device != CPU:
            # There, results have the sizes of the call.
            whole, numbers = _without_sizes(self.result_tree)
            tree = _plain_tree(whole, numbers)

            def unflatten(leaves: Sequence[Any]) -> Any:
                return whole.unflatten([leaves[number] for number in numbers])

        custom = tree is _CUSTOM
        return _gradopt.Specialization(
            self.executable,
            None if custom else tree,
            arg_leaves=arg_leaves,
            unflatten=unflatten if custom else None,
            on_failure=self._raise_failure if self.checks else None,
            written=self.written,
            on_conflict=self._require_free,
            payload=self,
        )

    @hide_frames
    def _require_free(self, leaves: tuple[Any, ...]) -> None:
        """Raises unless all arguments that are written to can be."""
        paths = [leaf.path for leaf in self.arguments]
        for number in self.written:
            target = leaves[number]
            for other, leaf in enumerate(leaves):
                if other == number or not isinstance(leaf, np.ndarray):
                    continue
                if np.shares_memory(target, leaf):
                    raise ArgumentError(
                        f"{self.name} writes to its argument {paths[number]}, which shares "
                        f"memory with {paths[other]}: pass a copy of one of them",
                        function_source(self.function),
                    )
            if not target.flags.writeable:
                raise ReadOnlyError(
                    f"{self.name} writes to its argument {paths[number]}, which is read-only",
                    function_source(self.function),
                )

    @hide_frames
    def _raise_failure(self, number: int, value: int) -> None:
        raise_failure(self.checks, number, value)

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
    def function(self) -> Callable[..., Any]:
        """The function of the user."""
        return self._owner._function

    @property
    def structure(self) -> TreeDef:
        """The structure of the arguments: positional ones, and named ones."""
        return self._structure

    def check(self, leaves: Sequence[Any]) -> None:
        """Raises where the leaves of arguments differ from those this was lowered for."""
        paths = [leaf.path for leaf in self.arguments]
        adopted = [adopt(value, path) for value, path in zip(leaves, paths, strict=True)]
        values = [
            value if array is None else array for value, array in zip(leaves, adopted, strict=True)
        ]
        device_of(values, paths, self.device, self.name)
        for value, leaf in zip(values, self.arguments, strict=True):
            if leaf.weak:
                if type(value) not in PYTHON_NUMBERS:
                    raise ArgumentTypeError(f"expected a Python number at {leaf.path}")
                continue
            array = value if type(value) is DeviceArray else np.asarray(value)
            first = int(leaf.is_sized)  # How many rows there are was looked at.
            if array.shape[first:] != leaf.shape[first:] or array.ndim != len(leaf.shape):
                raise ArgumentError(
                    f"expected shape {leaf.shape_text()} at {leaf.path}, but got {array.shape}"
                )
            if array.dtype.newbyteorder("=") != leaf.dtype:
                raise ArgumentTypeError(
                    f"expected dtype {leaf.dtype} at {leaf.path}, but got {array.dtype}"
                )
            find = sized_strides if leaf.sizes else strides_of
            if self.has_strides and find(array) != leaf.strides:
                wanted = leaf.strides or "of row-major order"
                if leaf.sizes and leaf.strides:
                    wanted = "of another order"
                raise ArgumentError(
                    f"expected an array with strides {wanted} at {leaf.path}, but got one with "
                    f"{array.strides}"
                )


# Which check failed, if any did, and the value that it looked at.
_OUTCOME = ((np.dtype(np.int64), ()),) * 2

_CUSTOM = object()


def _without_sizes(tree: TreeDef) -> tuple[TreeDef, list[int]]:
    """The structure with arrays in place of such with their sizes, and the numbers of the leaves
    that are these arrays."""
    counter = iter(range(tree.leaf_count))
    numbers: list[int] = []

    def build(node: TreeDef) -> TreeDef:
        if node.cls is None or node.cls is UnknownSizeArray:
            numbers.append(next(counter))
            for _ in range(node.leaf_count - 1):
                next(counter)
            return _LEAF
        return dataclasses.replace(node, children=tuple(map(build, node.children)))

    return build(tree), numbers


_LEAF = TreeDef(None)


def _plain_tree(tree: TreeDef, numbers: Sequence[int] | None = None) -> Any:
    """Result numbers in exact tuples, lists and dicts; `_CUSTOM` if there are other containers."""
    counter = iter(range(tree.leaf_count) if numbers is None else numbers)

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


@functools.cache
def load_blas() -> None:
    """Loads the OpenBLAS of the scipy-openblas32 package, unless a BLAS was chosen before."""
    library = blas_path() if _gradopt.blas_path() is None else None
    if library is not None:
        _gradopt.set_blas(library)
        _gradopt.set_blas_threads(1)


@functools.cache
def load_cuda_libraries(number: int) -> None:
    """Chooses cuBLAS, cuFFT and cuSOLVER of packages that the driver of a device can run.

    Where others are in use in this process, these stay.
    """
    info = _gradopt.device_info(number)
    if info.is_emulated:
        return
    for name, choose in (
        ("cublas", _gradopt.set_cublas),
        ("cufft", _gradopt.set_cufft),
        ("cusolver", _gradopt.set_cusolver),
    ):
        library = cuda_library_path(name, info.driver_version)
        if library is not None:
            with contextlib.suppress(DeviceError):
                choose(library)
