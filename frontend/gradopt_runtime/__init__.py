# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Runs compiled functions from a bundle that `gradopt.save` wrote: no compiler, no MLIR, no LLVM.

Needs NumPy, and `libGradOptRuntime.so`, which needs the C library. Both this file and the library
may be copied to another machine; the library is looked for beside this file, then in an installed
gradopt.
"""

from __future__ import annotations

import ast
import ctypes
import importlib
import importlib.util
import json
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

__all__ = ["BundleError", "Function", "load"]

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


class _Leaf:
    """An argument or a result of a program."""

    def __init__(self, info: _ArrayInfo) -> None:
        self.path = info.name.decode()
        self.dtype = DTYPES[info.dtype]
        self.shape = tuple(info.shape[: info.rank])
        self.reused = int(info.reused)

    def __str__(self) -> str:
        return f"{self.dtype}{list(self.shape)}"


def _find_library() -> str:
    here = os.path.dirname(os.path.abspath(__file__))
    # Found, not imported.
    package = importlib.util.find_spec("gradopt")
    folders = package.submodule_search_locations if package is not None else None
    for folder in (here, *(folders or ())):
        path = os.path.join(folder, _LIBRARY)
        if os.path.exists(path):
            return path
    raise BundleError(f"there is no {_LIBRARY} beside {here}, nor in an installed gradopt")


_lock = threading.Lock()
_loaded: list[ctypes.CDLL] = []


def _library() -> ctypes.CDLL:
    """The runtime, loaded once."""
    with _lock:
        if not _loaded:
            library = ctypes.CDLL(_find_library())
            pointer, size, text = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_char_p
            info = ctypes.POINTER(_ArrayInfo)
            signatures: dict[str, tuple[Any, list[Any]]] = {
                "last_error": (text, []),
                "failed_check": (text, []),
                "bundle_open": (ctypes.c_int, [text, ctypes.POINTER(pointer)]),
                "bundle_close": (None, [pointer]),
                "bundle_program": (pointer, [pointer, size]),
                "bundle_structure": (pointer, [pointer, ctypes.POINTER(size)]),
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
            _load_blas(library)
            _loaded.append(library)
        return _loaded[0]


def _load_blas(library: ctypes.CDLL) -> None:
    """Loads the OpenBLAS of the scipy-openblas32 package, if it is there."""
    package = importlib.util.find_spec("scipy_openblas32")
    folders = package.submodule_search_locations if package is not None else None
    if library.gradopt_blas_path() is not None:
        return
    for folder in folders or ():
        names = sorted(os.listdir(os.path.join(folder, "lib")))
        for name in [n for n in names if n.startswith("libscipy_openblas") and ".so" in n][:1]:
            library.gradopt_set_blas(os.path.join(folder, "lib", name).encode())
            library.gradopt_set_blas_threads(1)


def _error(library: ctypes.CDLL) -> BundleError:
    return BundleError(library.gradopt_last_error().decode(errors="replace"))


class _Bundle:
    """An open bundle."""

    def __init__(self, path: str) -> None:
        self.library = _library()
        self.handle = ctypes.c_void_p()
        if self.library.gradopt_bundle_open(os.fsencode(path), ctypes.byref(self.handle)) != _OK:
            raise _error(self.library)

    def structure(self) -> Any:
        size = ctypes.c_size_t()
        start = self.library.gradopt_bundle_structure(self.handle, ctypes.byref(size))
        return json.loads(ctypes.string_at(start, size.value)) if start else None

    def __del__(self) -> None:
        if getattr(self, "handle", None):
            self.library.gradopt_bundle_close(self.handle)


# -- Structures ----------------------------------------------------------------------------------
#
# "*" is an array, "None" is None; containers are {"kind": ..., "children": [...]} and what they
# need besides.


def _class_of(node: Any) -> Any:
    """The class of a named tuple or a dataclass."""
    module, _, name = node["class"].partition(":")
    try:
        found: Any = importlib.import_module(module)
        for part in name.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError) as error:
        raise BundleError(f"the bundle has to do with {module}.{name}: {error}") from None
    return found


def _flatten(value: Any, node: Any, path: str) -> Iterator[Any]:
    """The leaves of `value`, which is to be like `node`."""
    if node == "*":
        yield value
        return
    if node == "None":
        if value is not None:
            raise TypeError(f"expected None at {path}, but got {_kind_name(value)}")
        return
    kind, children = node["kind"], node["children"]
    if kind == "static":
        expected = ast.literal_eval(node["value"])
        if type(value) is not type(expected) or repr(value) != repr(expected):
            raise TypeError(f"expected the value {expected!r} at {path}, but got {value!r}")
        return
    if kind == "dict":
        keys = [ast.literal_eval(key) for key in node["keys"]]
        if not isinstance(value, dict) or set(value) != set(keys):
            got = list(value) if isinstance(value, dict) else _kind_name(value)
            raise TypeError(f"expected a dict with the keys {keys} at {path}, but got {got}")
        for key, child in zip(keys, children):  # noqa: B905 - for Python 3.10 it is the same.
            yield from _flatten(value[key], child, f"{path}[{key!r}]")
        return
    if kind in ("tuple", "list"):
        expected = {"tuple": tuple, "list": list}[kind]
        if type(value) is not expected or len(value) != len(children):
            got = _kind_name(value) + (f" of {len(value)}" if isinstance(value, expected) else "")
            raise TypeError(f"expected a {kind} of {len(children)} at {path}, but got {got}")
        for i, child in enumerate(children):
            yield from _flatten(value[i], child, f"{path}[{i}]")
        return
    name = node["class"].rpartition(":")[2]
    if type(value).__qualname__ != name:
        raise TypeError(f"expected a {name} at {path}, but got {_kind_name(value)}")
    for field, child in zip(node["names"], children):  # noqa: B905
        yield from _flatten(getattr(value, field), child, f"{path}.{field}")


def _kind_name(value: Any) -> str:
    return "None" if value is None else type(value).__name__


def _unflatten(node: Any, leaves: Iterator[Any]) -> Any:
    if node == "*":
        return next(leaves)
    if node == "None":
        return None
    kind = node["kind"]
    if kind == "static":
        return ast.literal_eval(node["value"])
    children = [_unflatten(child, leaves) for child in node["children"]]
    if kind == "tuple":
        return tuple(children)
    if kind == "list":
        return children
    if kind == "dict":
        return dict(zip([ast.literal_eval(key) for key in node["keys"]], children))  # noqa: B905
    cls = _class_of(node)
    if kind == "namedtuple":
        return cls._make(children)
    made = object.__new__(cls)
    for name, child in zip(node["names"], children):  # noqa: B905
        object.__setattr__(made, name, child)
    return made


# -- Calls ---------------------------------------------------------------------------------------


class _Program:
    """A function for one signature."""

    def __init__(self, bundle: _Bundle, number: int, structure: Any) -> None:
        library = bundle.library
        self._bundle = bundle
        self._handle = library.gradopt_bundle_program(bundle.handle, number)
        self._call: Callable[..., int] = library.gradopt_program_call
        self.arguments = [
            _Leaf(library.gradopt_program_argument(self._handle, i).contents)
            for i in range(library.gradopt_program_num_arguments(self._handle))
        ]
        self.results = [
            _Leaf(library.gradopt_program_result(self._handle, i).contents)
            for i in range(library.gradopt_program_num_results(self._handle))
        ]
        self._positional = structure["positional"]
        self._keywords = structure["keywords"]
        self._result = structure["result"]
        self._weak = frozenset(structure["weak"])

    def leaves(self, args: Sequence[Any], kwargs: dict[str, Any]) -> list[Array]:
        """The arguments as the program takes them.

        Raises:
            TypeError: another structure or dtype than the program's.
            ValueError: another shape.
        """
        if len(args) != len(self._positional):
            raise TypeError(
                f"expected {len(self._positional)} positional arguments, but got {len(args)}"
            )
        if set(kwargs) != set(self._keywords):
            raise TypeError(
                f"expected keyword arguments {list(self._keywords)}, but got {list(kwargs)}"
            )
        found: list[Any] = []
        for i, (value, (path, node)) in enumerate(zip(args, self._positional)):  # noqa: B905
            found += _flatten(value, node, path or f"args[{i}]")
        for name, node in self._keywords.items():
            found += _flatten(kwargs[name], node, name)
        return [self._leaf(value, i) for i, value in enumerate(found)]

    def _leaf(self, value: Any, number: int) -> Array:
        leaf = self.arguments[number]
        if type(value) in _WEAK and not leaf.shape:
            given = _WEAK[type(value)]
            if number in self._weak and given == leaf.dtype:
                return np.array(value, leaf.dtype)
        array = np.asarray(value)
        if array.dtype != leaf.dtype or number in self._weak:
            expected = f"a Python {leaf.dtype.name}" if number in self._weak else str(leaf)
            got = f"{array.dtype}{list(array.shape)}"
            raise TypeError(f"expected {expected} at {leaf.path}, but got {got}")
        if array.shape != leaf.shape:
            raise ValueError(f"expected shape {leaf.shape} at {leaf.path}, but got {array.shape}")
        return np.require(array.astype(leaf.dtype, copy=False), leaf.dtype, ["C", "ALIGNED"])

    def run(self, arguments: list[Array]) -> Any:
        """Calls it."""
        results: list[Array] = []
        for leaf in self.results:
            if leaf.reused >= 0:
                arguments[leaf.reused] = arguments[leaf.reused].copy()
                results.append(arguments[leaf.reused])
            else:
                results.append(np.empty(leaf.shape, leaf.dtype))
        status = self._call(self._handle, _addresses(arguments), _addresses(results))
        if status == _CHECK_FAILED:
            library = self._bundle.library
            raise _exception(library.gradopt_failed_check().decode())(str(_error(library)))
        if status != _OK:
            raise _error(self._bundle.library)
        # NumPy's scalars for arrays without dimensions, as from a compiled function.
        return _unflatten(self._result, iter([a if a.ndim else a[()] for a in results]))

    @property
    def arena_bytes(self) -> int:
        """Bytes of temporaries of a call."""
        return self._bundle.library.gradopt_program_arena_bytes(self._handle)


def _exception(name: str) -> type[Exception]:
    return {"IndexError": IndexError, "OverflowError": OverflowError}.get(name, ValueError)


def _addresses(arrays: Sequence[Array]) -> Any:
    return (ctypes.c_void_p * len(arrays))(*[array.ctypes.data for array in arrays])


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
        return tuple(
            "(" + ", ".join(f"{leaf.path}: {leaf}" for leaf in program.arguments) + ")"
            for program in self._programs
        )

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
                leaves = program.leaves(args, kwargs)
            except (TypeError, ValueError) as error:
                errors.append(error)
                continue
            return program.run(leaves)
        if len(errors) == 1:
            raise errors[0]
        known = "".join(f"\n  {signature}" for signature in self.signatures)
        raise TypeError(f"{self.__name__} was saved for other arguments:{known}") from errors[-1]


def load(path: str | os.PathLike[str]) -> Any:
    """The functions in a bundle.

    Args:
        path: a file that `gradopt.save` wrote.

    Returns:
        A `Function`, or a dict of them if a dict was saved.

    Raises:
        BundleError: the file cannot be read, is damaged, or needs another CPU or a newer runtime;
            nothing of it has been run then.
    """
    bundle = _Bundle(os.fspath(path))
    structure = bundle.structure()
    if structure is None:
        raise BundleError(f"cannot load {path}: it has no functions for Python")
    functions = {
        name: Function(name, [_Program(bundle, n, structure["programs"][n]) for n in numbers])
        for name, numbers in structure["functions"].items()
    }
    return next(iter(functions.values())) if structure["single"] else functions
