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
        shape: its shape, the largest one where sizes are others in each call.
        reused: of a result, the number of the argument in whose memory it is computed, or -1.
        of_part: how many more elements there are along each dimension for each part of the room of
            a call.
        sizes: for each dimension -1, or the number of the argument, and for a result of the
            result, that is the size along it in a call.
    """

    def __init__(
        self,
        path: str,
        dtype: int,
        shape: Sequence[int],
        reused: int,
        of_part: Sequence[int],
        sizes: Sequence[int],
    ) -> None:
        self.path = path
        self.dtype = dtype_of(dtype)
        self.shape = tuple(shape)
        self.reused = reused
        self.of_part = tuple(of_part)
        self.sizes = tuple(sizes)

    def text(self, names: Callable[[int], str]) -> str:
        """Its dtype and shape, with names of the sizes with these numbers."""
        return f"{self.dtype}[{', '.join(self.extents(names))}]"

    def extents(self, names: Callable[[int], str]) -> list[str]:
        """Its shape, with names of the sizes with these numbers."""
        sizes = zip(self.shape, self.sizes, strict=True)
        return [str(extent) if size < 0 else names(size) for extent, size in sizes]


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


def first_ones(whole: Array, axes: Sequence[int], counts: Sequence[Any]) -> Array:
    """A view of the elements that an array has along some dimensions.

    Args:
        whole: an array that has memory for more.
        axes: these dimensions.
        counts: how many elements there are along each.

    Raises:
        RuntimeError: there is no memory for so many.
    """
    shape = first_shape(whole.shape, axes, counts)
    return whole[tuple([slice(size) for size in shape])]


def first_shape(
    largest: Sequence[int], axes: Sequence[int], counts: Sequence[Any]
) -> tuple[int, ...]:
    """The shape of an array that has so many elements along some dimensions.

    Args:
        largest: the shape that there is memory for.
        axes: these dimensions.
        counts: how many elements there are along each.

    Raises:
        RuntimeError: there is no memory for so many.
    """
    shape = list(largest)
    for axis, count in zip(axes, counts, strict=True):
        if not 0 <= count <= shape[axis]:
            raise RuntimeError(
                f"a result has {count} elements along dimension {axis}, but memory for "
                f"{shape[axis]}: a fault of the compiler"
            )
        shape[axis] = int(count)
    return tuple(shape)


class _Rows:
    """A result that has memory for more than there is along some dimensions, and how many there are
    along them."""

    def __init__(self, axes: Sequence[int], children: list[Any]) -> None:
        self._axes, self._children = axes, children

    def unflatten(self, leaves: Iterator[Any]) -> Any:
        whole, *counts = [child.unflatten(leaves) for child in self._children]
        # What is on a device has as many elements as there are.
        return first_ones(whole, self._axes, counts) if type(whole) is np.ndarray else whole


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
    if kind == "rows":
        return _Rows(encoded["axes"], children)
    if kind in ("tuple", "list"):
        return _Sequence({"tuple": tuple, "list": list}[kind], children)
    return _Record(encoded, children)


def _leaf_count(encoded: Any) -> int:
    """How many arrays a structure has."""
    if isinstance(encoded, str):
        return int(encoded == "*")
    return sum(map(_leaf_count, encoded["children"]))


def _kind_name(value: Any) -> str:
    return "None" if value is None else type(value).__name__


# -- Signatures -----------------------------------------------------------------------------------


class Signature:
    """What one program of a bundle takes and returns.

    Attributes:
        arguments: the arrays that it takes.
        results: those that it returns.
        result: the structure of the result, as it is in the file.
        sizes: the numbers of arguments that are sizes of others.
        given: the arguments that a call has, all but these.
        known: of results that are sizes of others, those that are always equal to an argument, with
            the number of that.
        strides: how arguments lie in memory, in bytes, and none for row-major order; None where the
            program does not depend on it.
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
        # Arguments by position or by name, and how many arrays each has.
        self._counts = [
            (i, "", _leaf_count(tree)) for i, (_, tree) in enumerate(structure["positional"])
        ]
        self._counts += [
            (-1, name, _leaf_count(tree)) for name, tree in structure["keywords"].items()
        ]
        self._weak = frozenset(structure["weak"])
        self.known: dict[int, int] = dict(structure.get("known", ()))
        self.strides: list[list[int]] | None = structure.get("strides")
        sizes = {size for leaf in self.arguments for size in leaf.sizes}
        self.sizes = tuple(sorted(sizes - {-1}))
        self.given = tuple([x for i, x in enumerate(self.arguments) if i not in sizes])

    def __str__(self) -> str:
        parts = [f"{leaf.path}: {leaf.text(self._size_name)}" for leaf in self.given]
        return f"({', '.join(parts)})"

    def _size_name(self, number: int) -> str:
        return self.arguments[number].path.removeprefix("the size ")

    def rows(self) -> tuple[list[tuple[int, str, int]], list[int | None]] | None:
        """If all sizes are numbers of rows, each of all arrays of an argument: such arguments by
        position, or by name, with the numbers of their sizes; and how large these are at most, if
        that is said."""
        count = len(self.given)
        if not self.sizes or self.sizes != tuple(range(count, len(self.arguments))):
            return None
        leaves = iter(self.given)
        found: list[tuple[int, str, int]] = []
        most: list[int | None] = [None] * len(self.sizes)
        for position, name, length in self._counts:
            mine = [next(leaves) for _ in range(length)]
            sizes = {leaf.sizes[:1] for leaf in mine}
            if any(size >= 0 for leaf in mine for size in leaf.sizes[1:]) or len(sizes) > 1:
                return None
            number = next(iter(sizes), ()) or (-1,)
            if number[0] >= 0:
                found.append((position, name, number[0] - count))
                most[number[0] - count] = None if mine[0].of_part[0] else mine[0].shape[0]
        return found, most

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
        found: dict[int, tuple[int, str]] = {}
        given = iter(leaves)
        made = [
            None
            if i in self.sizes
            else self._array(next(given), leaf, i in self._weak, adopt, found)
            for i, leaf in enumerate(self.arguments)
        ]
        for number, (size, _) in found.items():
            made[number] = np.array(size, np.int64)
        return made

    def _shape(self, array: Any, leaf: Leaf, found: dict[int, tuple[int, str]]) -> tuple[int, ...]:
        """The shape that the program takes such an array with; `found` are sizes of the call, and
        where they were found."""
        own = zip(array.shape, leaf.shape, leaf.sizes, strict=False)
        if array.ndim != len(leaf.shape) or any(n != m for n, m, size in own if size < 0):
            extents = leaf.extents(self._size_name)
            shape = f"({', '.join(extents)}{',' if len(extents) == 1 else ''})"
            raise ValueError(f"expected shape {shape} at {leaf.path}, but got {array.shape}")
        for axis, (size, number) in enumerate(zip(array.shape, leaf.sizes, strict=True)):
            if number < 0:
                continue
            here = f"dimension {axis} of {leaf.path}"
            name = self._size_name(number)
            if not leaf.of_part[axis] and size > leaf.shape[axis]:
                raise ValueError(
                    f"{here} is {size}, but the size {name!r} is at most {leaf.shape[axis]}"
                )
            known, where = found.setdefault(number, (size, here))
            if known != size:
                raise ValueError(
                    f"{where} is {known} and {here} is {size}, but both are of the size {name!r}"
                )
        if leaf.sizes and leaf.sizes[0] >= 0:
            return (*array.shape[:1], *leaf.shape[1:])
        return leaf.shape

    def _require_order(self, array: Any, leaf: Leaf) -> None:
        """Raises for an array that does not lie in memory as those that the program is for."""
        if self.strides is None:
            return
        wanted = tuple(self.strides[self.arguments.index(leaf)])
        is_plain = not isinstance(array, np.ndarray) or array.flags.c_contiguous
        if any(size >= 0 for size in leaf.sizes):
            # Rows may be left out, if dimensions lie from the outermost to the innermost.
            steps = [n for n, size in zip(array.strides, array.shape, strict=True) if size > 1]
            is_plain |= steps == sorted(steps, reverse=True)
        if (() if is_plain else array.strides) != wanted:
            raise ValueError(
                f"expected an array with strides {wanted or 'of row-major order'} at {leaf.path}, "
                f"but got one with {array.strides}: the function writes to arrays, of which what "
                "is a view depends on their memory order; save it for such an array, too"
            )

    def _array(
        self,
        value: Any,
        leaf: Leaf,
        weak: bool,
        adopt: Callable[[Any, str], Any],
        found: dict[int, tuple[int, str]],
    ) -> Any:
        kind = _WEAK.get(type(value))
        # NumPy takes None for a dtype.
        if weak and kind is not None and kind == leaf.dtype:
            return np.array(value, leaf.dtype)
        if value is None or isinstance(value, (tuple, list, dict)):
            expected = leaf.text(self._size_name)
            raise TypeError(f"expected {expected} at {leaf.path}, but got {_kind_name(value)}")
        there = adopt(value, leaf.path)
        array = np.asarray(value) if there is None else there
        if array.dtype.newbyteorder("=") != leaf.dtype or weak:
            expected = f"a Python {leaf.dtype.name}" if weak else leaf.text(self._size_name)
            got = f"{array.dtype}{list(array.shape)}"
            raise TypeError(f"expected {expected} at {leaf.path}, but got {got}")
        shape = self._shape(array, leaf, found)
        self._require_order(array, leaf)
        if there is not None:
            if shape != tuple(array.shape):
                raise ValueError(
                    f"{leaf.path} is on a device, and has shape {tuple(array.shape)}; of its "
                    "sizes, only that of the first dimension may be smaller there, as of an array "
                    f"of shape {shape}"
                )
            return there
        if shape != array.shape:
            whole = np.zeros(shape, leaf.dtype)
            whole[tuple([slice(size) for size in array.shape])] = array
            return whole
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


def _results_by_position(results: Sequence[Leaf]) -> list[Any]:
    """One node for each result; one that its sizes come behind becomes an array of these."""
    parts: list[Any] = []
    number = 0
    while number < len(results):
        axes = [axis for axis, size in enumerate(results[number].sizes) if size >= 0]
        behind = range(number + 1, number + 1 + len(axes))
        number += 1
        if axes and [results[number - 1].sizes[axis] for axis in axes] == [*behind]:
            children = ["*"] * (1 + len(axes))
            parts.append({"kind": "rows", "axes": axes, "children": children})
            number += len(axes)
        else:
            parts.append("*")
    return parts


def _by_position(programs: Sequence[tuple[str, Sequence[Leaf], Sequence[Leaf]]]) -> Any:
    """The structure of programs that were no Python functions: they take and return arrays."""
    numbers: dict[str, list[int]] = {}
    structures: list[Any] = []
    for number, (name, arguments, results) in enumerate(programs):
        numbers.setdefault(name, []).append(number)
        sizes = {size for leaf in arguments for size in leaf.sizes}
        parts = _results_by_position(results)
        structures.append(
            {
                "positional": [
                    [leaf.path, "*"] for i, leaf in enumerate(arguments) if i not in sizes
                ],
                "keywords": {},
                "result": parts[0] if len(parts) == 1 else {"kind": "tuple", "children": parts},
                "weak": [],
            }
        )
    return {
        "single": len(programs) == 1,
        "functions": numbers,
        "static": {name: [[], []] for name in numbers},
        "programs": structures,
    }
