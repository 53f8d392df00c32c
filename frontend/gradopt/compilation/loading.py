# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Bundles on the native call path.

`gradopt_runtime` knows structures and their errors, and calls programs through ctypes where there
is no extension. Here, a call is that of a compiled function, which asks `gradopt_runtime` only for
a signature that it sees for the first time.
"""

from __future__ import annotations

import ast
import os
from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import Any, NoReturn

from gradopt import _gradopt
from gradopt.array.handle import Handle
from gradopt.base.device_arrays import adopt
from gradopt.base.frames import hide_frames
from gradopt.base.location import source_location
from gradopt.base.pytree import flatten
from gradopt.base.statics import Static, separate_statics, static
from gradopt.compilation.calling import plain_leaf
from gradopt.compilation.donation import DonationReport
from gradopt.compilation.lowered import load_blas
from gradopt.errors import ArgumentTypeError, PlacementError, UnsupportedError
from gradopt_runtime import (
    BundleError,
    Leaf,
    Signature,
    exception,
    functions,
    raise_mismatch,
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

    It takes and returns what the Python function does. Arguments that were donated to it are not
    taken, but copied. Any number of threads may call it.

    A call raises:
        TypeError: a structure or dtype that it was not saved for; the message has the path.
        ValueError: a shape that it was not saved for.
        IndexError: where the Python function raises it.
        OverflowError: the same.
        BundleError: running it failed.
    """

    def __init__(
        self, bundle: _gradopt.Bundle, name: str, programs: dict[int, Signature], statics: Any
    ) -> None:
        self._static_argnums, self._static_argnames = statics
        super().__init__(self._static_argnums, self._static_argnames, _MAX_SPECIALIZATIONS)
        self.__name__ = name
        self._programs = [
            (signature, bundle.executable(number, _report(name, signature)))
            for number, signature in programs.items()
        ]

    def __repr__(self) -> str:
        return f"Function<{self.__name__}: {', '.join(self.signatures)}>"

    @property
    def signatures(self) -> tuple[str, ...]:
        """The arguments it can be called with, dtypes and shapes by path."""
        return tuple(str(signature) for signature, _ in self._programs)

    @property
    def arena_bytes(self) -> int:
        """Bytes of temporaries of a call, the most of all signatures."""
        return max([executable.arena_bytes for _, executable in self._programs])

    # -- What the native call path asks for ------------------------------------------------

    @hide_frames
    def _specialize(
        self, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> _gradopt.Specialization:
        leaves, structure = flatten(self._argument_trees(args, kwargs))
        for leaf in leaves:
            array = adopt(leaf, "an argument")
            if array is not None:
                raise PlacementError(
                    f"an argument is on {array.device}, but {self.__name__} is machine code for "
                    'the CPU; gradopt.asarray(..., device="cpu") copies it to the host',
                    source_location(),
                )
        signature, executable = self._match(args, kwargs)
        # Dicts may have another order than when it was saved.
        order = signature.flatten(*structure.unflatten(range(len(leaves))))
        tree = _plain_tree(signature.result, iter(range(len(signature.results))))
        custom = tree is _CUSTOM
        return _gradopt.Specialization(
            executable,
            None if custom else tree,
            arg_leaves=None if order == list(range(len(leaves))) else order,
            unflatten=signature.unflatten if custom else None,
        )

    @hide_frames
    def _flatten(
        self, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> tuple[Sequence[Any], Hashable, None] | None:
        try:
            leaves, structure = flatten(self._argument_trees(args, kwargs))
            if any(isinstance(leaf, Handle) for leaf in leaves):
                return None
            return [plain_leaf(leaf, "an argument") for leaf in leaves], structure, None
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
    ) -> tuple[Signature, _gradopt.Executable]:
        """The program for these arguments."""
        errors: list[Exception] = []
        for signature, executable in self._programs:
            try:
                signature.arrays(signature.flatten(args, dict(kwargs)), adopt)
            except (TypeError, ValueError) as error:
                errors.append(error)
                continue
            return signature, executable
        raise_mismatch(self.__name__, self.signatures, errors)

    def _argument_trees(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        numbers, names = self._static_argnums, self._static_argnames
        return separate_statics(args, kwargs, numbers, names, _make_static)


def _make_static(value: Any, place: int | str) -> Static:
    try:
        hash(value)
    except TypeError:
        raise ArgumentTypeError(f"the static argument {place} is not hashable") from None
    return static(value)


def _report(name: str, signature: Signature) -> _Report:
    return _Report(name, tuple([leaf.path for leaf in signature.arguments]))


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
