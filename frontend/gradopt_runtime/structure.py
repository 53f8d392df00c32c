# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What the programs of a bundle take and return: arrays, and how they make up Python objects."""

from __future__ import annotations

import ast
import importlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from gradopt_runtime.library import BundleError

Array = np.ndarray[Any, Any]

# By the numbers of gradopt_dtype.
DTYPES = tuple(
    np.dtype(name)
    for name in (
        *("bool", "int8", "int16", "int32", "int64", "float32", "float64"),
        *("uint8", "uint16", "uint32", "uint64", "complex64", "complex128", "float16"),
    )
)


def number_of(dtype: np.dtype[Any]) -> int:
    """The number of a dtype of programs."""
    return len(DTYPES) if dtype.name == "bfloat16" else DTYPES.index(dtype)


def dtype_of(number: int) -> np.dtype[Any]:
    """The dtype of a number of gradopt_dtype.

    Raises:
        BundleError: it is bfloat16, and the package that has it is missing.
    """
    if number < len(DTYPES):
        return DTYPES[number]
    try:
        return np.dtype(importlib.import_module("ml_dtypes").bfloat16)
    except ImportError:
        raise BundleError("arrays of bfloat16 need the package ml_dtypes") from None


_WEAK = {
    bool: np.dtype(np.bool_),
    int: np.dtype(np.int64),
    float: np.dtype(np.float64),
    complex: np.dtype(np.complex128),
}


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
        self.dtype = dtype_of(dtype)
        self.shape = tuple(shape)
        self.reused = reused

    def __str__(self) -> str:
        return f"{self.dtype}{list(self.shape)}"


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


# -- Signatures -----------------------------------------------------------------------------------


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

    def unflatten(self, results: Iterable[Any]) -> Any:
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

    def arrays(self, leaves: Sequence[Any], adopt: Callable[[Any, str], Any]) -> list[Any]:
        """The arguments as the program takes them: arrays of NumPy, or what `adopt` returned.

        Args:
            leaves: what `flatten` returned.
            adopt: gets an argument and its path; returns an array on a device, or None.

        Raises:
            TypeError: another dtype than the program's.
            ValueError: another shape.
        """
        return [
            self._array(value, leaf, i in self._weak, adopt)
            for i, (value, leaf) in enumerate(zip(leaves, self.arguments, strict=True))
        ]

    def _array(self, value: Any, leaf: Leaf, weak: bool, adopt: Callable[[Any, str], Any]) -> Any:
        kind = _WEAK.get(type(value))
        # NumPy takes None for a dtype.
        if weak and kind is not None and kind == leaf.dtype:
            return np.array(value, leaf.dtype)
        if value is None or isinstance(value, (tuple, list, dict)):
            raise TypeError(f"expected {leaf} at {leaf.path}, but got {_kind_name(value)}")
        there = adopt(value, leaf.path)
        array = np.asarray(value) if there is None else there
        if array.dtype.newbyteorder("=") != leaf.dtype or weak:
            expected = f"a Python {leaf.dtype.name}" if weak else str(leaf)
            got = f"{array.dtype}{list(array.shape)}"
            raise TypeError(f"expected {expected} at {leaf.path}, but got {got}")
        if array.shape != leaf.shape:
            raise ValueError(f"expected shape {leaf.shape} at {leaf.path}, but got {array.shape}")
        if there is not None:
            return there
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
    import json  # Not every program reads one.

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
