# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Runs compiled functions from a bundle that `gradopt.save` wrote: no compiler, no MLIR, no LLVM.

Needs NumPy, and `libGradOptRuntime.so`, which needs the C library. Both this folder and the library
may be copied to another machine; the library is looked for in this folder, then in an installed
gradopt.
"""

from __future__ import annotations

import builtins
import ctypes
import os
from collections.abc import Callable, Sequence
from typing import Any, NoReturn, Protocol, TypeVar

import numpy as np

from gradopt_runtime.devices import (
    DeviceArray,
    DeviceCall,
    adopt,
    asarray,
    pointers,
    wrapper_of,
)
from gradopt_runtime.library import (
    CHECK_FAILED,
    ArrayInfo,
    BundleError,
    blas_path,
    check,
    choose_cuda_libraries,
    cuda_library_path,
    include_path,
    last_error,
    library_path,
    runtime,
)
from gradopt_runtime.structure import DTYPES, Array, Leaf, Signature, functions

__all__ = [
    "DTYPES",
    "BundleError",
    "DeviceArray",
    "Function",
    "Leaf",
    "Signature",
    "asarray",
    "blas_path",
    "cuda_library_path",
    "exception",
    "functions",
    "include_path",
    "library_path",
    "load",
    "program_for",
    "set_driver",
]


def _leaf(info: ArrayInfo) -> Leaf:
    path = info.name.decode(errors="replace")
    rank = info.rank
    return Leaf(
        *(path, info.dtype, info.shape[:rank], int(info.reused)),
        *(info.extents_of_part[:rank], info.sizes[:rank]),
    )


def set_driver(path: str | os.PathLike[str]) -> None:
    """Uses this library as the driver of GPUs; before the first use of one."""
    check(runtime().gradopt_cuda_set_driver(os.fsencode(path)))


class _Bundle:
    """An open bundle."""

    def __init__(self, path: str) -> None:
        self.library = runtime()
        self.handle = ctypes.c_void_p()
        check(self.library.gradopt_bundle_open(os.fsencode(path), ctypes.byref(self.handle)))

    def structure(self) -> bytes | None:
        size = ctypes.c_size_t()
        start = self.library.gradopt_bundle_structure(self.handle, ctypes.byref(size))
        return ctypes.string_at(start, size.value) if start else None

    def programs(self) -> list[tuple[str, list[Leaf], list[Leaf]]]:
        """The name of each, its arguments and its results."""
        library = self.library
        found: list[tuple[str, list[Leaf], list[Leaf]]] = []
        for number in range(library.gradopt_bundle_num_programs(self.handle)):
            handle = library.gradopt_bundle_program(self.handle, number)
            arguments = [
                _leaf(library.gradopt_program_argument(handle, i).contents)
                for i in range(library.gradopt_program_num_arguments(handle))
            ]
            results = [
                _leaf(library.gradopt_program_result(handle, i).contents)
                for i in range(library.gradopt_program_num_results(handle))
            ]
            name = library.gradopt_program_name(handle).decode(errors="replace")
            found.append((name, arguments, results))
        return found

    def __del__(self) -> None:
        if getattr(self, "handle", None):
            self.library.gradopt_bundle_close(self.handle)


class _Program:
    """A function for one signature."""

    def __init__(self, bundle: _Bundle, number: int, signature: Signature) -> None:
        library = bundle.library
        self.signature = signature
        self._bundle = bundle
        self._handle = library.gradopt_bundle_program(bundle.handle, number)
        self._call: Callable[..., int] = library.gradopt_program_call
        self._has_cpu_code = bool(library.gradopt_program_has_cpu_code(self._handle))
        self._has_cuda_code = bool(library.gradopt_program_has_cuda_code(self._handle))

    def runs(self, on_device: bool) -> bool:
        """Whether there is code for where arguments are, so that they need not be copied."""
        return self._has_cuda_code if on_device else self._has_cpu_code

    def run(self, name: str, arguments: list[Any]) -> list[Any]:
        """Calls it where its arguments are; the results are there, too."""
        if any(isinstance(argument, DeviceArray) for argument in arguments):
            return self._run_on_device(name, arguments)
        if not self._has_cpu_code:
            choose_cuda_libraries()
        shapes = self._shapes(_addresses(arguments))
        results: list[Array] = []
        for leaf, shape in zip(self.signature.results, shapes, strict=True):
            if leaf.reused >= 0:
                arguments[leaf.reused] = arguments[leaf.reused].copy()
                results.append(arguments[leaf.reused])
            else:
                results.append(np.empty(shape, leaf.dtype))
        self._check(self._call(self._handle, _addresses(arguments), _addresses(results)))
        # NumPy's scalars for arrays without dimensions, as from a compiled function.
        return [a if a.ndim else a[()] for a in results]

    def _shapes(self, addresses: Any) -> list[Sequence[int]]:
        """The shapes of results that there is memory for in a call; sizes are at the addresses of
        these arguments."""
        room = ctypes.c_int64()
        library, results = self._bundle.library, self.signature.results
        if self.signature.sizes:
            check(library.gradopt_program_room(self._handle, addresses, ctypes.byref(room)))
        if room.value == 0:
            return [leaf.shape for leaf in results]
        infos = [library.gradopt_program_result(self._handle, i) for i in range(len(results))]
        return [
            [library.gradopt_array_extent(info, d, room) for d in range(info.contents.rank)]
            for info in infos
        ]

    def _run_on_device(self, name: str, arguments: list[Any]) -> list[Any]:
        signature = self.signature
        if not self._has_cuda_code:
            path, where = next(
                (leaf.path, value.device)
                for leaf, value in zip(signature.arguments, arguments, strict=True)
                if isinstance(value, DeviceArray)
            )
            raise ValueError(f"{path} is on {where}, but {name} is machine code for the CPU")
        choose_cuda_libraries()
        call = DeviceCall(name, arguments, signature)
        call.allocate(self._shapes(pointers(call.arguments)))
        self._check(call.run(self._handle))
        call.cut()
        return call.results

    def _check(self, status: int) -> None:
        if status == CHECK_FAILED:
            raise exception(self._bundle.library.gradopt_failed_check().decode())(str(last_error()))
        check(status)

    @property
    def arena_bytes(self) -> int:
        """Bytes of temporaries of a call; of one with no rows where there may be any number."""
        return self._bundle.library.gradopt_program_arena_bytes(self._handle, 0)


def exception(name: str) -> type[Exception]:
    """The exception of Python that a check names."""
    found = getattr(builtins, name, None)
    return found if isinstance(found, type) and issubclass(found, Exception) else BundleError


def _addresses(arrays: Sequence[Array]) -> Any:
    return pointers([array.__array_interface__["data"][0] for array in arrays])


class Function:
    """A compiled function, for the signatures it was saved for.

    It takes and returns what the Python function does, and runs where its arrays are: those of
    NumPy on the CPU, or, if it has no code for it, on the first GPU, to which they are copied. If
    the first array of PyTorch, CuPy or JAX is on a GPU, the results are of this library; of others,
    they are `DeviceArray`s. Arguments that were donated to it are not taken, but copied. Any number
    of threads may call it.
    """

    def __init__(self, name: str, programs: Sequence[_Program]) -> None:
        self.__name__ = name
        self._programs = tuple(programs)

    def __repr__(self) -> str:
        return f"Function<{self.__name__}: {', '.join(self.signatures)}>"

    @property
    def signatures(self) -> tuple[str, ...]:
        """The arguments it can be called with, dtypes and shapes by path."""
        return tuple(str(program.signature) for program in self._programs)

    @property
    def arena_bytes(self) -> int:
        """Bytes of temporaries of a call, the most of all signatures."""
        return max([program.arena_bytes for program in self._programs])

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Calls the function.

        Raises:
            TypeError: a structure or dtype that it was not saved for; the message has the path.
            ValueError: a shape that it was not saved for; or arrays that are in different places.
            IndexError: where the Python function raises it.
            OverflowError: the same.
            BundleError: running it failed.
        """
        program, leaves = program_for(
            self.__name__, self._programs, args, kwargs, adopt, DeviceArray
        )
        results = program.run(self.__name__, leaves)
        given = program.signature.flatten(args, kwargs)
        wrap = wrapper_of(given) if any(type(x) is DeviceArray for x in results) else None
        return program.signature.unflatten(results if wrap is None else map(wrap, results))


class Matching(Protocol):
    """A function for one signature."""

    signature: Signature

    def runs(self, on_device: bool) -> bool:
        """Whether there is code for where arguments are, so that they need not be copied."""
        ...


_P = TypeVar("_P", bound=Matching)


def program_for(
    name: str,
    programs: Sequence[_P],
    args: Sequence[Any],
    kwargs: dict[str, Any],
    adopt: Callable[[Any, str], Any],
    on_device: type,
) -> tuple[_P, list[Any]]:
    """The program for the arguments of a call, and what it takes.

    Of those that take them, that is the first one with code for where they are.

    Args:
        name: the name of the function.
        programs: one for each signature.
        args: the arguments.
        kwargs: those by name.
        adopt: gets an argument and its path; returns an array on a device, or None.
        on_device: the type of such an array.

    Raises:
        TypeError: a structure or dtype that no program has.
        ValueError: a shape that no program has, or none with code for where the arguments are.
    """
    others: tuple[_P, list[Any]] | None = None
    is_there = False
    errors: list[tuple[_P, Exception]] = []
    for program in programs:
        try:
            leaves = program.signature.arrays(program.signature.flatten(args, kwargs), adopt)
        except (TypeError, ValueError) as error:
            errors.append((program, error))
            continue
        is_there = any(type(leaf) is on_device for leaf in leaves)
        if program.runs(is_there):
            return program, leaves
        others = others or (program, leaves)
    texts = [str(program.signature) for program in programs]
    if others is None:
        raise_mismatch(name, texts, [error for _, error in errors])
    # For arrays of the host, any code will do. One that has code for a device may be too small.
    for program, error in errors:
        if is_there and program.runs(on_device=True) and isinstance(error, ValueError):
            raise error
    return others


def raise_mismatch(name: str, signatures: Sequence[str], errors: Sequence[Exception]) -> NoReturn:
    """Raises what a call is told that none of the signatures takes, for these reasons."""
    if len(errors) == 1:
        raise errors[0]
    known = "".join(f"\n  {signature}" for signature in signatures)
    raise TypeError(f"{name} was saved for other arguments:{known}") from errors[-1]


def load(path: str | os.PathLike[str]) -> Any:
    """The functions in a bundle.

    Args:
        path: a file that `gradopt.save` wrote, or the tool `gradopt`.

    Returns:
        A `Function`; or a dict of them, by name, if a dict was saved, or several functions of a
        module.

    Raises:
        BundleError: the file cannot be read, is damaged, or needs another CPU or a newer runtime;
            nothing of it has been run then.
    """
    bundle = _Bundle(os.fspath(path))

    def make(name: str, programs: dict[int, Signature], static: Any) -> Function:
        # Static arguments are part of the structures.
        return Function(name, [_Program(bundle, n, found) for n, found in programs.items()])

    return functions(bundle.structure(), bundle.programs(), make)
