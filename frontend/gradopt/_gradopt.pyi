# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Native core of gradopt: loaded executables and the call path. It needs neither MLIR nor LLVM."""

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import DTypeLike, NDArray

# One argument or result of an executable: NumPy dtype and shape. With a third entry, True, there
# may be fewer rows.
ArraySpec: TypeAlias = tuple[DTypeLike, Sequence[int]] | tuple[DTypeLike, Sequence[int], bool]

# An array of a bundle: path, number of the dtype in gradopt_dtype, shape, and for a result that is
# computed in the memory of an argument the number of this argument, else -1. For each dimension:
# how many more elements there are along it for each part of the room of a call; and -1, or the
# number of the argument or result that is the size along it in a call.
BundleArray: TypeAlias = tuple[str, int, tuple[int, ...], int, tuple[int, ...], tuple[int, ...]]

# A result structure: result numbers (int) inside nested exact tuple, list and dict; None is None.
# E.g. `(0, [1, 2], {"a": 3, "b": None})`; a bare `0` returns the array itself.
ResultTree: TypeAlias = (
    int | tuple["ResultTree", ...] | list["ResultTree"] | dict[Any, "ResultTree"] | None
)

class ExecutionError(RuntimeError):
    """Loading an object or running it failed in the runtime."""

# -- Code of programs that are known -------------------------------------------------------

def find_code(program: bytes, store: str) -> tuple[bytes, int] | None:
    """The object code of a program that was compiled before, and its arena's size.

    Args:
        program: what the code is kept under (see `Compilation`).
        store: the directory in which code is kept between processes; "" for none.
    """

def read_notes(store: str, name: str) -> bytes:
    """What was added to notes in a store; nothing if they cannot be read."""

def add_notes(store: str, name: str, text: bytes) -> None:
    """Adds to notes in a store, if it can be written to. Long ones are begun anew."""

def kept_code_bytes() -> int:
    """Bytes of the object code that is kept for programs that are traced anew."""

def set_kept_code_limit(bytes: int) -> None:
    """Keeps no more than so many bytes of object code."""

# -- Runtime -------------------------------------------------------------------------------

def set_blas(path: str) -> None:
    """Loads the BLAS library (CBLAS interface, optionally `scipy_` prefixed) at `path`.

    Without one, matrix products run on a plain built-in loop. Call it before the first product.

    Raises:
        ExecutionError: the file cannot be loaded or lacks cblas_dgemm/sgemm/dgemv/sgemv.
    """

def blas_path() -> str | None:
    """Path given to the last successful `set_blas`."""

def set_blas_threads(count: int) -> None:
    """Limits the threads of the loaded BLAS, where it has such a function."""

TAPE_BYTES: int
"""The addresses that an arena has for each tape, before all else."""

OPEN_SIZE: int
"""The number that stands for how many rows there is room for, in code for any number."""

ROOM_PARTS: int
"""How many parts the room has: a size is a number of them and some more."""

def open_size(number: int) -> tuple[int, int] | None:
    """How many parts of the room a number stands for, and how much more; None if it is known, or
    stands for nothing."""

def is_open_size(number: int) -> bool:
    """Whether a number is no size that is known."""

def open_size_at(number: int, room: int) -> int:
    """A size in a call of such a room."""

def find_room(rows: int, least: int) -> int:
    """How many rows there is room for in a call with so many, and at least so many."""

def open_arena_at(arena: int, room: int) -> int:
    """Bytes of temporaries in a call of such a room, of what the compiler says of an arena."""

def alloc_count() -> int:
    """Heap allocations made by calls of compiled code so far: the arenas (not the results)."""

def arena_bytes() -> int:
    """Bytes of all arenas; programs share them, one for each call that runs at the same time."""

def donated_as(array: Any) -> str | None:
    """What an array, or one that it is a view of, was donated as, or None."""

def staged_copy_count() -> int:
    """Arguments copied so far because they were strided, misaligned or byte-swapped."""

# -- Devices -------------------------------------------------------------------------------

class DeviceInfo:
    """A CUDA device, as its driver describes it."""

    @property
    def name(self) -> str: ...
    @property
    def chip(self) -> int:
        """The compute capability: 90 is 9.0."""
    @property
    def driver_version(self) -> int:
        """The newest CUDA that the driver knows: 12040 is 12.4."""
    @property
    def num_multiprocessors(self) -> int: ...
    @property
    def is_emulated(self) -> bool:
        """Whether the driver runs kernels on the host."""
    @property
    def memory_bytes(self) -> int: ...

# These raise gradopt.errors.DeviceError where there is no usable driver or device.

def device_count() -> int:
    """The number of CUDA devices."""

def device_info(device: int) -> DeviceInfo:
    """What there is to know of a device."""

def set_driver(path: str) -> None:
    """Uses the driver library at a path; to be called before the first use of a device."""

def set_cublas(path: str) -> None:
    """Uses the cuBLAS at a path; to be called before the first program is loaded on a device."""

def set_cufft(path: str) -> None:
    """Uses the cuFFT at a path; to be called before the first program is loaded on a device."""

def set_cusolver(path: str) -> None:
    """Uses the cuSOLVER at a path; to be called before the first program is loaded on a device."""

def library_problems(device: int) -> list[str]:
    """Why programs on a device do without cuBLAS, cuFFT or cuSOLVER, as far as they do."""

def set_adopter(
    callable: Callable[[Any], tuple[DeviceArray, Callable[[DeviceArray], Any] | None] | None],
) -> None:
    """Asks this for the arrays that arguments of other libraries are.

    It gets leaves that are unknown and have an attribute of DLPack or of CUDA's array interface. It
    returns the array, and what makes arrays of this library, or None: such a call is left to
    `Dispatcher._flatten`, and so is one for which it raises.
    """

def lingering_count() -> int:
    """Arrays of other libraries that nobody has any more, but work on a device may use."""

class DeviceArray:
    """A row-major array in the memory of a CUDA device.

    Other libraries take it, without a copy, through `__dlpack__` or `__cuda_array_interface__`,
    and `numpy()` brings it to the host. Its elements may still be computed: whoever asks for them
    waits, on the host or on a stream. It is not changed by compiled code, unless it is donated.
    """

    @staticmethod
    def from_numpy(array: NDArray[Any], device: int) -> DeviceArray:
        """A copy of an array on a device."""
    @staticmethod
    def from_address(
        owner: Any, address: int, dtype: DTypeLike, shape: Sequence[int], stream: int | None
    ) -> DeviceArray:
        """The array at an address, as long as `owner` lives, ready on the stream of this number,
        or now if there is none.

        Raises:
            ValueError: the address is not on a device.
        """
    @staticmethod
    def from_dlpack(capsule: Any, stream: int, lingers: bool) -> DeviceArray:
        """The array in a capsule, ready on the stream of this number.

        It lingers unless its owner reuses it in the order of this stream: it is then given back
        when the work that uses it is done, at the next call of this.

        Raises:
            ValueError: it is not on a CUDA device, or not row-major.
        """
    def to_device(self, device: int) -> DeviceArray:
        """A copy on a device, this or another one."""
    @property
    def shape(self) -> tuple[int, ...]: ...
    @property
    def dtype(self) -> np.dtype[Any]: ...
    @property
    def ndim(self) -> int: ...
    @property
    def size(self) -> int: ...
    @property
    def nbytes(self) -> int: ...
    @property
    def strides(self) -> None: ...
    @property
    def device(self) -> str:
        """Its device: "cuda:0" and so on."""
    @property
    def device_number(self) -> int: ...
    @property
    def donated_as(self) -> str | None:
        """What it was donated as, if it was: then it has no elements any more."""
    def numpy(self) -> NDArray[Any]:
        """A copy on the host; waits for the elements.

        Raises:
            DeviceError: the device failed meanwhile.
            DonatedArrayError: it was donated.
        """
    def wait(self) -> None:
        """Waits for the elements."""
    def item(self) -> Any:
        """The only element as a Python number."""
    @property
    def __cuda_array_interface__(self) -> dict[str, Any]: ...
    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]: ...
    def __dlpack__(
        self,
        *,
        stream: int | None = None,
        max_version: tuple[int, int] | None = None,
        dl_device: tuple[int, int] | None = None,
        copy: bool | None = None,
    ) -> Any: ...
    def __dlpack_device__(self) -> tuple[int, int]: ...
    def __len__(self) -> int: ...
    def __float__(self) -> float: ...
    def __int__(self) -> int: ...
    def __index__(self) -> int: ...
    def __bool__(self) -> bool: ...

class Runnable:
    """Loaded code with the arrays it takes and returns."""

    def __call__(self, *args: Any) -> tuple[Any, ...]:
        """Calls the code on flat arguments: arrays of exactly the declared dtype and shape, or
        Python scalars for 0-d arguments. Returns all results, 0-d ones as NumPy scalars."""

    @property
    def args(self) -> tuple[tuple[np.dtype[Any], tuple[int, ...]], ...]: ...
    @property
    def results(self) -> tuple[tuple[np.dtype[Any], tuple[int, ...]], ...]: ...
    @property
    def argument_bytes(self) -> int: ...
    @property
    def capture_bytes(self) -> int: ...
    @property
    def result_bytes(self) -> int: ...
    @property
    def arena_bytes(self) -> int: ...

def ticks() -> int:
    """The clock of the CPU, which runs at one rate."""

class CommandTimes:
    """What calls of one executable took, in ticks."""

    def __init__(self) -> None: ...
    @property
    def calls(self) -> int: ...
    @property
    def ticks(self) -> int:
        """All calls together."""

    @property
    def places(self) -> list[tuple[int, int, int]]:
        """For each command that ran its place in the list, how often, and its ticks in all."""

class Executable(Runnable):
    """Loaded object code for the CPU.

    The entry point is called with arguments, captures, results and the arena, in this order.
    """

    def __init__(
        self,
        code: bytes,
        args: Sequence[ArraySpec],
        results: Sequence[ArraySpec],
        arena_bytes: int = 0,
        captures: Sequence[NDArray[Any]] = (),
        targets: Sequence[tuple[int, Callable[..., Any]]] = (),
        donated: Sequence[tuple[int, int, str | bool]] = (),
        report: Any = None,
        entry: str = "gradopt_main",
        open: tuple[int, int, Sequence[int]] | None = None,
    ) -> None:
        """Loads `code`.

        `open` is for code with `OPEN_SIZE` in shapes of arguments and results: what the compiler
        says of the arena, the least room, and which arguments are numbers of rows. `arena_bytes`
        are those for the least room then.

        `captures` are arrays the code reads besides its arguments: kept alive, never written;
        one that is not C-contiguous is copied here.

        `targets` are the functions that the code calls by number, as (address, callable). With
        address 0 the callable is called, with a list of inputs and a list of the shapes of the
        outputs, which it returns as arrays; what it raises leaves the call. Else a
        `gradopt_function` at the address is, and the callable gets its status if that is not 0.

        `donated` has for each result that is in the memory of an argument their numbers and what
        the argument is called; True if the result is written to the caller's array.
        `report.donated(number, donated_as)` and
        `report.shared(donated, other)` raise the errors in their use.

        Raises:
            ExecutionError: bad object code, unresolved symbol, or no such entry.
        """

    def time_calls(self, times: CommandTimes) -> None:
        """Adds what calls take to `times` from now on; one call at a time."""

class Bundle:
    """An open bundle (see runtime/gradopt_runtime.h)."""

    def __init__(self, path: bytes) -> None:
        """Opens it.

        Raises:
            ExecutionError: it is no bundle that this machine can run.
        """

    @property
    def structure(self) -> bytes | None:
        """JSON: how arrays make up Python objects; None if it says nothing of it."""

    def __len__(self) -> int:
        """The number of programs."""

    def describe(self, number: int) -> tuple[str, list[BundleArray], list[BundleArray]]:
        """The name of a program, its arguments and its results."""

    def arena_bytes(self, number: int) -> int:
        """Bytes of temporaries of a call."""

    def has_cpu_code(self, number: int) -> bool:
        """Whether a program has code for this CPU."""

    def has_cuda_code(self, number: int) -> bool:
        """Whether it has code for GPUs."""

    def device_executable(
        self,
        number: int,
        device: int,
        report: Any,
        name: str,
        known: Sequence[tuple[int, int]] = (),
    ) -> DeviceExecutable:
        """As `executable`, on a CUDA device. `name` is that of the user's function; `known` has
        results that are sizes of others, each with the argument that it is always equal to.

        Raises:
            DeviceError: there is no usable device, or it failed.
        """

    def executable(self, number: int, report: Any) -> Executable:
        """A program, ready to be called.

        Arguments that it computes results in are copied. `report.failed(message, check)` raises the
        error of a call that failed; `check` is the name of a Python exception if it was a check
        of the program, or None.
        """

class DeviceExecutable(Runnable):
    """A loaded program for a CUDA device.

    A call takes arrays on the device and numbers, and returns DeviceArrays; or only arrays and
    numbers on the host, and returns NumPy arrays.
    """

    def __init__(
        self,
        program: bytes,
        device: int,
        args: Sequence[ArraySpec],
        results: Sequence[ArraySpec],
        arena_bytes: int = 0,
        num_checked: int = 0,
        captures: Sequence[NDArray[Any]] = (),
        donated: Sequence[tuple[int, int, str | bool]] = (),
        report: Any = None,
        name: str = "a program",
        targets: Sequence[tuple[int, Callable[..., Any]]] = (),
        cuts: Sequence[tuple[int, int, int, int]] = (),
    ) -> None:
        """Loads `program`, a device program of the compiler's; `captures` are copied to the device.

        The last `num_checked` results come to the host in each call. `cuts` are those of `Lowered`:
        results have the sizes of the call. The rest is as for `Executable`.

        Raises:
            gradopt.errors.DeviceError: the device is missing, or refuses it.
        """

    @property
    def device(self) -> int: ...
    def time_calls(self, times: CommandTimes) -> None:
        """As that of `Executable`, but ticks are nanoseconds, and calls wait for the device."""

class Specialization:
    """What a Dispatcher stores for one signature."""

    def __init__(
        self,
        executable: Runnable,
        result_tree: ResultTree = None,
        *,
        arg_leaves: Sequence[int] | None = None,
        unflatten: Callable[[list[Any]], Any] | None = None,
        on_failure: Callable[[int, int], None] | None = None,
        written: Sequence[int] = (),
        on_conflict: Callable[[tuple[Any, ...]], None] | None = None,
        payload: Any = None,
    ) -> None:
        """
        Args:
            executable: the code.
            result_tree: structure of the result (ignored if `unflatten` is given).
            arg_leaves: for each executable argument, the number of the call's leaf it takes;
                default: leaf i is argument i.
            unflatten: makes the result from the list of its leaves, for custom containers.
            on_failure: the last two results are not part of the result then: where the first of
                them is not 0, it is called with both, to raise an error.
            written: arguments that are written to. As many results, behind those of the result and
                before these two, are what they hold after the call.
            on_conflict: called before the code runs with all arguments where one of these is
                read-only, or its memory may be shared with another; it may raise an error.
            payload: kept alive, returned as `.payload` (e.g. the Lowered).
        """

    @property
    def executable(self) -> Runnable: ...
    @property
    def payload(self) -> Any: ...

class Dispatcher:
    """Base class of `Compiled`: the call path from Python to compiled code.

    A call flattens its arguments, looks the signature up and runs the code. Leaves are exact
    ndarrays, DeviceArrays, NumPy scalars and Python bool/int/float. The structure is made of exact
    tuple, list, dict and None. Leaf order: positional arguments, then keyword arguments in call
    order, each depth first, dicts in *insertion* order (the order of keys is part of the
    signature).

    The signature is: structure and dict keys, per leaf dtype, shape and device (Python scalars:
    kind "weak bool", "weak int", "weak float"), and type and value of each static argument.
    A weak leaf is converted to the dtype of the executable's 0-d argument, OverflowError if it
    does not fit.

    Subclasses define:
        _specialize(args: tuple, kwargs: dict) -> Specialization
            makes the code for a signature that was not seen yet.
        _flatten(args: tuple, kwargs: dict)
            -> tuple[Sequence[leaf], Hashable, wrap[, Sequence[bool]]] | None
            called when the arguments hold anything else (custom containers, tracers, objects
            with __array_interface__, unsupported leaves): returns plain leaves, a hashable
            structure (statics left out of the leaves), and what the results on a device are to be
            called with, None if nothing, and maybe for each leaf whether the number of its rows
            makes no difference; or None: then the call is answered by
        _inline(args: tuple, kwargs: dict) -> Any
            (arguments with traced values), or raises the error for an unsupported argument.
    Static arguments are also given to all of these at their places in args/kwargs.

    Instances are callable (vectorcall), bind as methods, and are safe to call from threads.
    """

    def __init__(
        self,
        static_argnums: Sequence[int] = (),
        static_argnames: Sequence[str] = (),
        max_specializations: int | None = None,
        sized: tuple[Sequence[tuple[int, str, int]], Sequence[int]] | None = None,
        is_foreign: bool = False,
        has_strides: bool = False,
    ) -> None:
        """Negative static_argnums count from the end of the positional arguments.

        A new signature takes the place of the least recently used one where there would be more
        than `max_specializations`.

        `sized` has arguments whose arrays may have other numbers of rows in each call, by position
        or -1, name or "", and number of their size, and how large each size is at most. The sizes
        are leaves behind those of all arguments; for what does not fit, see the next.

        A call with an unhashable static argument is handed to `_flatten`, which explains it. With
        `is_foreign` all calls are. With `has_strides` arrays that are not in row-major order
        without gaps differ by their strides."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any: ...
    def cache_size(self) -> int:
        """Number of signatures that there is code for."""
    def cache_clear(self) -> None:
        """Forgets all specialisations."""
    def cache_values(self) -> list[Specialization]:
        """All specialisations, oldest first."""

    def _specialize(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Specialization: ...
    def _flatten(
        self, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> tuple[Sequence[Any], Hashable, Callable[[DeviceArray], Any] | None] | None: ...
    def _inline(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any: ...
