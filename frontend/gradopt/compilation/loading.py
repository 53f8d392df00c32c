# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Bundles on the native call path.

`gradopt_runtime` knows structures and their errors, and calls programs through ctypes where there
is no extension. Here, a call is that of a compiled function, which asks `gradopt_runtime` only for
a signature that it sees for the first time.
"""

from __future__ import annotations

import ast
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NoReturn

from gradopt import _gradopt
from gradopt._gradopt import OPEN_SIZE, DeviceArray
from gradopt.array.handle import Handle
from gradopt.base.device_arrays import adopt, wrapper_of
from gradopt.base.devices import CPU, device_number
from gradopt.base.frames import hide_frames
from gradopt.base.location import source_location
from gradopt.base.pytree import TreeDef, flatten
from gradopt.base.statics import Static, separate_statics, static
from gradopt.compilation.calling import argument_leaf
from gradopt.compilation.donation import DonationReport
from gradopt.compilation.lowered import load_blas, load_cuda_libraries
from gradopt.compilation.placement import device_of
from gradopt.errors import ArgumentTypeError, PlacementError, UnsupportedError
from gradopt_runtime import (
    BundleError,
    Leaf,
    Signature,
    exception,
    functions,
    program_for,
)

_MAX_SPECIALIZATIONS = 256


class _Report(DonationReport):
    """Raises the errors of calls."""

    @hide_frames
    def failed(self, message: str, check: str | None) -> NoReturn:
        """Called if a run failed; `check` is the Python exception of a check, or None."""
        raise (BundleError if check is None else exception(check))(message)


class LoadedFunction(_gradopt.Dispatcher):
    """A compiled function from a bundle, for the signatures it was saved for.

    It takes and returns what the Python function does, and runs where its arrays are: those of
    NumPy on the CPU, or, if it has no code for it, on the first GPU, to which they are copied.
    Arguments that were donated to it are not taken, but copied. Any number of threads may call it.

    A call raises:
        TypeError: a structure or dtype that it was not saved for; the message has the path.
        ValueError: a shape that it was not saved for.
        IndexError: where the Python function raises it.
        OverflowError: the same.
        PlacementError: arrays that are in different places, or where there is no code for.
        DeviceError: a device cannot be used, or failed.
        BundleError: running it failed, or its code is for other GPUs.
    """

    def __init__(
        self, bundle: _gradopt.Bundle, name: str, programs: dict[int, Signature], statics: Any
    ) -> None:
        self._static_argnums, self._static_argnames = statics
        signatures = list(programs.values())
        rows = _rows_of(signatures)
        self._is_sized = any(signature.sizes for signature in signatures)
        super().__init__(
            self._static_argnums,
            self._static_argnames,
            _MAX_SPECIALIZATIONS,
            rows,
            self._is_sized and rows is None,
            any(signature.strides is not None for signature in signatures),
        )
        self.__name__ = name
        self._programs = [
            _Program(bundle, name, number, signature) for number, signature in programs.items()
        ]

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

    # -- What the native call path asks for ------------------------------------------------

    @hide_frames
    def _specialize(
        self, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> _gradopt.Specialization:
        leaves, structure = flatten(self._argument_trees(args, kwargs))
        program, _ = self._match(args, kwargs)
        signature = program.signature
        executable = program.executable(signature.flatten(args, dict(kwargs)))
        order = _order_of(signature, structure, len(leaves))
        tree = _plain_tree(signature.result, iter(range(len(signature.results))))
        custom = tree is _CUSTOM
        return _gradopt.Specialization(
            executable,
            None if custom else tree,
            arg_leaves=None if order == list(range(len(order))) else order,
            unflatten=signature.unflatten if custom else None,
        )

    @hide_frames
    def _flatten(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> tuple[Any, ...] | None:
        try:
            leaves, structure = flatten(self._argument_trees(args, kwargs))
            if any(isinstance(leaf, Handle) for leaf in leaves):
                return None
            program = None
            values = [argument_leaf(leaf, "an argument") for leaf in leaves]
            if self._is_sized:
                program, values = self._match(args, kwargs)
            on_device = any(type(value) is DeviceArray for value in values)
            wrapper = wrapper_of(leaves) if on_device else None
            if program is not None:
                return _in_order(program.signature, structure, values, wrapper)
            return values, structure, wrapper
        except ArgumentTypeError:
            self._match(args, kwargs)  # Its message has the path.
            raise

    @hide_frames
    def _inline(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        raise UnsupportedError(
            f"{self.__name__} is machine code from a bundle: it can be called with arrays, but not "
            "be a part of another compiled function",
            source_location(),
        )

    def _match(
        self, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> tuple[_Program, list[Any]]:
        """The program for these arguments, and what it takes."""
        return program_for(self.__name__, self._programs, args, dict(kwargs), adopt, DeviceArray)

    def _argument_trees(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        numbers, names = self._static_argnums, self._static_argnames
        return separate_statics(args, kwargs, numbers, names, _make_static)


class _Program:
    """A function for one signature, loaded where it is called.

    Attributes:
        signature: what it takes and returns.
        arena_bytes: bytes of temporaries of a call; of one with no rows where there may be any
            number.
    """

    def __init__(
        self, bundle: _gradopt.Bundle, name: str, number: int, signature: Signature
    ) -> None:
        self._bundle, self._name, self._number = bundle, name, number
        self.signature = signature
        self.arena_bytes = bundle.arena_bytes(number)
        self._report = _Report(name, tuple([leaf.path for leaf in signature.arguments]))

    def runs(self, on_device: bool) -> bool:
        """Whether there is code for where arguments are, so that they need not be copied."""
        bundle, number = self._bundle, self._number
        return bundle.has_cuda_code(number) if on_device else bundle.has_cpu_code(number)

    def executable(self, arguments: Sequence[Any]) -> _gradopt.Runnable:
        """The code for where the arguments are.

        Raises:
            PlacementError: they are in different places, or there is no code for this one.
            DeviceError: the device cannot be used.
            BundleError: the code is for other GPUs.
        """
        paths = [leaf.path for leaf in self.signature.given]
        adopted = [adopt(value, path) for value, path in zip(arguments, paths, strict=True)]
        values = [
            value if there is None else there
            for value, there in zip(arguments, adopted, strict=True)
        ]
        bundle, number = self._bundle, self._number
        wanted = None if bundle.has_cpu_code(number) else "cuda"
        device = device_of(values, paths, wanted, self._name)
        if device == CPU:
            return bundle.executable(number, self._report)
        if not bundle.has_cuda_code(number):
            path = next(
                path for path, there in zip(paths, adopted, strict=True) if there is not None
            )
            raise PlacementError(
                f"{path} is on {device}, but {self._name} is machine code for the CPU; "
                f'gradopt.asarray({path}, device="cpu") copies it to the host',
                source_location(),
            )
        on = device_number(device) or 0
        load_cuda_libraries(on)
        known = list(self.signature.known.items())
        return bundle.device_executable(number, on, self._report, self._name, known)


def _rows_of(signatures: Sequence[Signature]) -> tuple[Any, Any] | None:
    """Arguments with the numbers of their sizes, and the largest values of these, if all programs
    differ in the numbers of rows of these alone (`Dynamic.of_rows`)."""
    found = [signature.rows() for signature in signatures]
    if found[0] is None or any(rows != found[0] for rows in found):
        return None
    arguments, most = found[0]
    return arguments, [OPEN_SIZE if size is None else size for size in most]


def _order_of(signature: Signature, structure: TreeDef, count: int) -> list[int]:
    """For each argument of a program the number of the leaf that it is: sizes are behind those of
    the call. Dicts may have another order than when it was saved."""
    given = iter(signature.flatten(*structure.unflatten(range(count))))
    sizes = {size: count + i for i, size in enumerate(signature.sizes)}
    return [sizes[i] if i in sizes else next(given) for i in range(len(signature.arguments))]


def _in_order(
    signature: Signature, structure: TreeDef, arrays: Sequence[Any], wrapper: Any
) -> tuple[list[Any], TreeDef, Any, list[bool]]:
    """What `_flatten` returns of the arrays that a program takes."""
    leaves: list[Any] = [None] * len(arrays)
    are_sized = [False] * len(arrays)
    order = _order_of(signature, structure, len(signature.given))
    for place, array, leaf in zip(order, arrays, signature.arguments, strict=True):
        leaves[place] = array
        are_sized[place] = bool(leaf.sizes) and leaf.sizes[0] >= 0
    return leaves, structure, wrapper, are_sized


def _make_static(value: Any, place: int | str) -> Static:
    try:
        hash(value)
    except TypeError:
        raise ArgumentTypeError(f"the static argument {place} is not hashable") from None
    return static(value)


_CUSTOM = object()


def _plain_tree(node: Any, numbers: Iterator[int]) -> Any:
    """Result numbers in tuples, lists and dicts; `_CUSTOM` if there are other containers."""
    if node == "*":
        return next(numbers)
    if node == "None":
        return None
    parts = [_plain_tree(child, numbers) for child in node["children"]]
    kind = node["kind"]
    if kind not in ("tuple", "list", "dict") or any(part is _CUSTOM for part in parts):
        return _CUSTOM
    if kind == "dict":
        keys = [ast.literal_eval(key) for key in node["keys"]]
        return dict(zip(keys, parts, strict=True))
    return tuple(parts) if kind == "tuple" else parts


def load(path: str | os.PathLike[str]) -> Any:
    """The functions in a bundle.

    Args:
        path: a file that `gradopt.save` wrote, or the tool `gradopt`.

    Returns:
        A function; or a dict of functions, by name, if a dict was saved, or several functions of a
        module.

    Raises:
        BundleError: the file cannot be read, is damaged, or needs another CPU or a newer runtime;
            nothing of it has been run then.
    """
    load_blas()
    try:
        bundle = _gradopt.Bundle(os.fsencode(path))
    except _gradopt.ExecutionError as error:
        raise BundleError(str(error)) from None
    programs = [bundle.describe(number) for number in range(len(bundle))]
    described = [
        (name, [Leaf(*leaf) for leaf in arguments], [Leaf(*leaf) for leaf in results])
        for name, arguments, results in programs
    ]

    def make(name: str, programs: dict[int, Signature], statics: Any) -> LoadedFunction:
        return LoadedFunction(bundle, name, programs, statics)

    return functions(bundle.structure, described, make)
