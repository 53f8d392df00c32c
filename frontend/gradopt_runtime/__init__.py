# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Runs compiled functions from a bundle that `gradopt.save` wrote: no compiler, no MLIR, no LLVM.

Needs NumPy, and `libGradOptRuntime.so`, which needs the C library. Both this file and the library
may be copied to another machine; the library is looked for beside this file, then in an installed
gradopt.
"""

from __future__ import annotations

import ast
import builtins
import ctypes
import glob
import importlib
import importlib.util
import json
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NoReturn

import numpy as np

__all__ = ["BundleError", "Function", "include_path", "library_path", "load"]

_LIBRARY = "libGradOptRuntime.so"

# By the numbers of gradopt_dtype.
DTYPES = tuple(
    np.dtype(name) for name in ("bool", "int8", "int16", "int32", "int64", "float32", "float64")
)
_WEAK = {bool: np.dtype(np.bool_), int: np.dtype(np.int64), float: np.dtype(np.float64)}

_OK, _CHECK_FAILED = 0, 9

Array = np.ndarray[Any, Any]


class BundleError(RuntimeError):
    """A file is not a bundle that this machine can run, or running it failed."""


class _ArrayInfo(ctypes.Structure):
    """gradopt_array_info."""

    _fields_ = [
        ("name", ctypes.c_char_p),
        ("dtype", ctypes.c_int32),
        ("rank", ctypes.c_int32),
        ("shape", ctypes.POINTER(ctypes.c_int64)),
        ("bytes", ctypes.c_size_t),
        ("reused", ctypes.c_int64),
    ]


class Leaf:
    """An argument or a result of a program.

    Attributes:
        path: how the user reaches it.
        dtype: its dtype.
        shape: its shape.
        reused: of a result, the number of the argument in whose memory it is computed, or -1.
    """

    def __init__(self, path: str, dtype: int, shape: Sequence[int], reused: int) -> None:
        self.path = path
        self.dtype = DTYPES[dtype]
        self.shape = tuple(shape)
        self.reused = reused

    def __str__(self) -> str:
        return f"{self.dtype}{list(self.shape)}"


def _leaf(info: _ArrayInfo) -> Leaf:
    path = info.name.decode(errors="replace")
    return Leaf(path, info.dtype, info.shape[: info.rank], int(info.reused))


def library_path() -> str:
    """Where the runtime is, for programs that are linked with it.

    Raises:
        BundleError: it is not there.
    """
    here = os.path.dirname(os.path.abspath(__file__))
    # Found, not imported.
    package = importlib.util.find_spec("gradopt")
    folders = package.submodule_search_locations if package is not None else None
    for folder in (here, *(folders or ())):
        path = os.path.join(folder, _LIBRARY)
        if os.path.exists(path):
            return path
    raise BundleError(f"there is no {_LIBRARY} beside {here}, nor in an installed gradopt")


def include_path() -> str:
    """The folder of `gradopt_runtime.h` and `gradopt.hpp`, for programs in C and C++.

    Raises:
        BundleError: it is not there.
    """
    path = os.path.join(os.path.dirname(library_path()), "include")
    if not os.path.isdir(path):
        raise BundleError(f"there is no folder {path}")
    return path


_lock = threading.Lock()
_loaded: list[ctypes.CDLL] = []


def _library() -> ctypes.CDLL:
    """The runtime, loaded once."""
    with _lock:
        if not _loaded:
            library = ctypes.CDLL(library_path())
            pointer, size, text = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_char_p
            info = ctypes.POINTER(_ArrayInfo)
            signatures: dict[str, tuple[Any, list[Any]]] = {
                "last_error": (text, []),
                "failed_check": (text, []),
                "bundle_open": (ctypes.c_int, [text, ctypes.POINTER(pointer)]),
                "bundle_close": (None, [pointer]),
                "bundle_num_programs": (size, [pointer]),
                "bundle_program": (pointer, [pointer, size]),
                "bundle_structure": (pointer, [pointer, ctypes.POINTER(size)]),
                "program_name": (text, [pointer]),
                "program_num_arguments": (size, [pointer]),
                "program_num_results": (size, [pointer]),
                "program_argument": (info, [pointer, size]),
                "program_result": (info, [pointer, size]),
                "program_arena_bytes": (size, [pointer]),
                "program_call": (ctypes.c_int, [pointer, pointer, pointer]),
                "blas_path": (text, []),
                "set_blas": (ctypes.c_int, [text]),
                "set_blas_threads": (ctypes.c_int, [ctypes.c_int]),
            }
            for name, (result, arguments) in signatures.items():
                function = getattr(library, f"gradopt_{name}")
                function.restype, function.argtypes = result, arguments
            blas = blas_path() if library.gradopt_blas_path() is None else None
            if blas is not None:
                library.gradopt_set_blas(os.fsencode(blas))
                library.gradopt_set_blas_threads(1)
            _loaded.append(library)
        return _loaded[0]


def blas_path() -> str | None:
    """The OpenBLAS of the scipy-openblas32 package; None if it is not installed."""
    # Not imported: a fork while another thread imports it would leave its lock locked.
    package = importlib.util.find_spec("scipy_openblas32")
    folders = package.submodule_search_locations if package is not None else None
    for folder in folders or ():
        for library in sorted(glob.glob(f"{folder}/lib/libscipy_openblas*.so*")):
            return library
    return None


def cublas_path(driver_version: int) -> str | None:
    """The cuBLAS of a package of NVIDIA's, such as PyTorch brings; None if there is none.

    Args:
        driver_version: the newest CUDA that the driver knows, as in 12040 for 12.4.
    """
    package = importlib.util.find_spec("nvidia")
    folders = package.submodule_search_locations if package is not None else None
    for major in (13, 12):
        for folder in folders or ():
            libraries = glob.glob(f"{folder}/*/lib/libcublas.so.{major}")
            if libraries and driver_version >= 1000 * major:
                return libraries[0]
    return None


def _error(library: ctypes.CDLL) -> BundleError:
    return BundleError(library.gradopt_last_error().decode(errors="replace"))


class _Bundle:
    """An open bundle."""

    def __init__(self, path: str) -> None:
        self.library = _library()
        self.handle = ctypes.c_void_p()
        if self.library.gradopt_bundle_open(os.fsencode(path), ctypes.byref(self.handle)) != _OK:
            raise _error(self.library)

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


# -- Structures ----------------------------------------------------------------------------------
#
# In the file, "*" is an array, "None" is None; containers are {"kind": ..., "children": [...]} and
# what they need besides.


class _Leaves:
    """An array."""

    def flatten(self, value: Any, path: str, leaves: list[Any]) -> None:
        leaves.append(value)

    def unflatten(self, leaves: Iterator[Any]) -> Any:
        return next(leaves)


class _Value:
    """None, or what was a static argument."""

    def __init__(self, value: Any) -> None:
        self._value = value

    def flatten(self, value: Any, path: str, leaves: list[Any]) -> None:
        expected = self._value
        if type(value) is not type(expected) or repr(value) != repr(expected):
            what = "None" if expected is None else f"the value {expected!r}"
            got = repr(value) if type(value) in (bool, int, float, str) else _kind_name(value)
            raise TypeError(f"expected {what} at {path}, but got {got}")

    def unflatten(self, leaves: Iterator[Any]) -> Any:
        return self._value


class _Sequence:
    """A tuple or a list."""

    def __init__(self, cls: type, children: list[Any]) -> None:
        self._cls, self._children = cls, children

    def flatten(self, value: Any, path: str, leaves: list[Any]) -> None:
        cls, children = self._cls, self._children
        if type(value) is not cls or len(value) != len(children):
            got = _kind_name(value) + (f" of {len(value)}" if isinstance(value, cls) else "")
            raise TypeError(
                f"expected a {cls.__name__} of {len(children)} at {path}, but got {got}"
            )
        for i, child in enumerate(children):
            child.flatten(value[i], f"{path}[{i}]", leaves)

    def unflatten(self, leaves: Iterator[Any]) -> Any:
        return self._cls([child.unflatten(leaves) for child in self._children])


class _Dict:
    """A dict; its keys may come in any order."""

    def __init__(self, keys: list[Any], children: list[Any]) -> None:
        self._children = dict(zip(keys, children, strict=True))

    def flatten(self, value: Any, path: str, leaves: list[Any]) -> None:
        if not isinstance(value, dict) or value.keys() != self._children.keys():
            got = list(value) if isinstance(value, dict) else _kind_name(value)
            raise TypeError(
                f"expected a dict with the keys {list(self._children)} at {path}, but got {got}"
            )
        for key, child in self._children.items():
            child.flatten(value[key], f"{path}[{key!r}]", leaves)

    def unflatten(self, leaves: Iterator[Any]) -> Any:
        return {key: child.unflatten(leaves) for key, child in self._children.items()}


class _Record:
    """A named tuple or a dataclass."""

    def __init__(self, node: Any, children: list[Any]) -> None:
        self._module, _, self._name = node["class"].partition(":")
        self._is_tuple = node["kind"] == "namedtuple"
        self._children = dict(zip(node["names"], children, strict=True))

    def flatten(self, value: Any, path: str, leaves: list[Any]) -> None:
        if type(value).__qualname__ != self._name:
            raise TypeError(f"expected a {self._name} at {path}, but got {_kind_name(value)}")
        for name, child in self._children.items():
            child.flatten(getattr(value, name), f"{path}.{name}", leaves)

    def unflatten(self, leaves: Iterator[Any]) -> Any:
        values = {name: child.unflatten(leaves) for name, child in self._children.items()}
        cls = self._class()
        if self._is_tuple:
            return cls._make(values.values())
        made = object.__new__(cls)
        for name, value in values.items():
            object.__setattr__(made, name, value)
        return made

    def _class(self) -> Any:
        try:
            found: Any = importlib.import_module(self._module)
            for part in self._name.split("."):
                found = getattr(found, part)
        except (ImportError, AttributeError) as error:
            raise BundleError(
                f"the result is a {self._module}.{self._name}, which is not here: {error}"
            ) from None
        return found


def _node(encoded: Any) -> Any:
    """What a structure in the file stands for."""
    if encoded == "*":
        return _Leaves()
    if encoded == "None":
        return _Value(None)
    kind = encoded["kind"]
    children = [_node(child) for child in encoded["children"]]
    if kind == "static":
        return _Value(ast.literal_eval(encoded["value"]))
    if kind == "dict":
        return _Dict([ast.literal_eval(key) for key in encoded["keys"]], children)
    if kind in ("tuple", "list"):
        return _Sequence({"tuple": tuple, "list": list}[kind], children)
    return _Record(encoded, children)


def _kind_name(value: Any) -> str:
    return "None" if value is None else type(value).__name__


# -- Calls ---------------------------------------------------------------------------------------


class Signature:
    """What one program of a bundle takes and returns.

    Attributes:
        arguments: the arrays that it takes.
        results: those that it returns.
        result: the structure of the result, as it is in the file.
    """

    def __init__(
        self, arguments: Sequence[Leaf], results: Sequence[Leaf], structure: dict[str, Any]
    ) -> None:
        self.arguments = tuple(arguments)
        self.results = tuple(results)
        self.result: Any = structure["result"]
        self._positional = [(path, _node(tree)) for path, tree in structure["positional"]]
        self._keywords = {name: _node(tree) for name, tree in structure["keywords"].items()}
        self._result = _node(self.result)
        self._weak = frozenset(structure["weak"])

    def __str__(self) -> str:
        return "(" + ", ".join(f"{leaf.path}: {leaf}" for leaf in self.arguments) + ")"

    def unflatten(self, results: Sequence[Any]) -> Any:
        """The result that is made of these arrays."""
        return self._result.unflatten(iter(results))

    def flatten(self, args: Sequence[Any], kwargs: dict[str, Any]) -> list[Any]:
        """What a call has where the program takes arrays.

        Raises:
            TypeError: another structure than the program's.
        """
        if len(args) != len(self._positional):
            raise TypeError(
                f"expected {len(self._positional)} positional arguments, but got {len(args)}"
            )
        if kwargs.keys() != self._keywords.keys():
            raise TypeError(
                f"expected keyword arguments {list(self._keywords)}, but got {list(kwargs)}"
            )
        found: list[Any] = []
        for value, (path, node) in zip(args, self._positional, strict=True):
            node.flatten(value, path, found)
        for name, node in self._keywords.items():
            node.flatten(kwargs[name], name, found)
        return found

    def leaves(self, args: Sequence[Any], kwargs: dict[str, Any]) -> list[Array]:
        """The arguments as the program takes them.

        Raises:
            TypeError: another structure or dtype than the program's.
            ValueError: another shape.
        """
        found = self.flatten(args, kwargs)
        return [
            self._array(value, leaf, i in self._weak)
            for i, (value, leaf) in enumerate(zip(found, self.arguments, strict=True))
        ]

    def _array(self, value: Any, leaf: Leaf, weak: bool) -> Array:
        kind = _WEAK.get(type(value))
        # NumPy takes None for a dtype.
        if weak and kind is not None and kind == leaf.dtype:
            return np.array(value, leaf.dtype)
        if value is None or isinstance(value, (tuple, list, dict)):
            raise TypeError(f"expected {leaf} at {leaf.path}, but got {_kind_name(value)}")
        array = np.asarray(value)
        if array.dtype.newbyteorder("=") != leaf.dtype or weak:
            expected = f"a Python {leaf.dtype.name}" if weak else str(leaf)
            got = f"{array.dtype}{list(array.shape)}"
            raise TypeError(f"expected {expected} at {leaf.path}, but got {got}")
        if array.shape != leaf.shape:
            raise ValueError(f"expected shape {leaf.shape} at {leaf.path}, but got {array.shape}")
        flags = array.flags
        if flags.c_contiguous and flags.aligned and array.dtype.isnative:
            return array
        return np.array(array, leaf.dtype, order="C")


def functions(
    structure: bytes | None,
    programs: Sequence[tuple[str, Sequence[Leaf], Sequence[Leaf]]],
    make: Callable[[str, dict[int, Signature], Any], Any],
) -> Any:
    """The functions that a bundle has.

    Args:
        structure: its section of that name.
        programs: the name, the arguments and the results of each program.
        make: makes a function of its name, its programs by number, and the numbers and names of its
            static arguments.
    """
    decoded = _by_position(programs) if structure is None else json.loads(structure)
    made = {
        name: make(
            name,
            {n: Signature(*programs[n][1:], decoded["programs"][n]) for n in numbers},
            decoded["static"][name],
        )
        for name, numbers in decoded["functions"].items()
    }
    return next(iter(made.values())) if decoded["single"] else made


def _by_position(programs: Sequence[tuple[str, Sequence[Leaf], Sequence[Leaf]]]) -> Any:
    """The structure of programs that were no Python functions: they take and return arrays."""
    numbers: dict[str, list[int]] = {}
    structures: list[Any] = []
    for number, (name, arguments, results) in enumerate(programs):
        numbers.setdefault(name, []).append(number)
        several = {"kind": "tuple", "children": ["*"] * len(results)}
        structures.append(
            {
                "positional": [[leaf.path, "*"] for leaf in arguments],
                "keywords": {},
                "result": "*" if len(results) == 1 else several,
                "weak": [],
            }
        )
    return {
        "single": len(programs) == 1,
        "functions": numbers,
        "static": {name: [[], []] for name in numbers},
        "programs": structures,
    }


class _Program:
    """A function for one signature."""

    def __init__(self, bundle: _Bundle, number: int, signature: Signature) -> None:
        library = bundle.library
        self.signature = signature
        self._bundle = bundle
        self._handle = library.gradopt_bundle_program(bundle.handle, number)
        self._call: Callable[..., int] = library.gradopt_program_call

    def run(self, arguments: list[Array]) -> Any:
        """Calls it."""
        results: list[Array] = []
        for leaf in self.signature.results:
            if leaf.reused >= 0:
                arguments[leaf.reused] = arguments[leaf.reused].copy()
                results.append(arguments[leaf.reused])
            else:
                results.append(np.empty(leaf.shape, leaf.dtype))
        status = self._call(self._handle, _addresses(arguments), _addresses(results))
        if status == _CHECK_FAILED:
            library = self._bundle.library
            raise exception(library.gradopt_failed_check().decode())(str(_error(library)))
        if status != _OK:
            raise _error(self._bundle.library)
        # NumPy's scalars for arrays without dimensions, as from a compiled function.
        return self.signature.unflatten([a if a.ndim else a[()] for a in results])

    @property
    def arena_bytes(self) -> int:
        """Bytes of temporaries of a call."""
        return self._bundle.library.gradopt_program_arena_bytes(self._handle)


def exception(name: str) -> type[Exception]:
    """The exception of Python that a check names."""
    found = getattr(builtins, name, None)
    return found if isinstance(found, type) and issubclass(found, Exception) else BundleError


def _addresses(arrays: Sequence[Array]) -> Any:
    pointers = [array.__array_interface__["data"][0] for array in arrays]
    return (ctypes.c_void_p * len(pointers))(*pointers)


class Function:
    """A compiled function, for the signatures it was saved for.

    It takes and returns what the Python function does. Arguments that were donated to it are not
    taken, but copied. Any number of threads may call it.
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
            ValueError: a shape that it was not saved for.
            IndexError: where the Python function raises it.
            OverflowError: the same.
            BundleError: running it failed.
        """
        errors: list[Exception] = []
        for program in self._programs:
            try:
                leaves = program.signature.leaves(args, kwargs)
            except (TypeError, ValueError) as error:
                errors.append(error)
                continue
            return program.run(leaves)
        raise_mismatch(self.__name__, self.signatures, errors)


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
