# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Sizes of arguments that are others from call to call: `Dim`, and what `dynamic=` says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from gradopt._gradopt import OPEN_SIZE, DeviceArray
from gradopt.base.parameters import Parameters
from gradopt.base.pytree import TreeDef
from gradopt.errors import ArgumentError, ArgumentTypeError, UnsupportedError


class Dim:
    """The size of dimensions of arguments, which may be another one in each call.

        go.compile(f, dynamic={"x": {0: go.Dim("n", max=1000)}, "y": {0: "n"}})

    All dimensions with the same name have the same size in a call.

    Attributes:
        name: what it is called, in errors too.
        max: how large it is at most, which temporaries have room for. A `Dim` without one is that
            with the same name in the same `dynamic=`. If that has none either, there is room for
            as many as a call has, or, where that cannot be, for the next power of two, and code is
            compiled anew when a call needs more.

    Raises:
        ArgumentTypeError: the name is no string, or max no integer.
        ArgumentError: the name is empty, or max is less than 1.
    """

    __slots__ = ("max", "name")

    def __init__(self, name: str, max: int | np.integer[Any] | None = None) -> None:
        self.name = _checked_name(name)
        self.max = None if max is None else _checked_max(max, name)

    def __repr__(self) -> str:
        most = "" if self.max in (None, OPEN_SIZE) else f", max={self.max}"
        return f"Dim({self.name!r}{most})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Dim) and (self.name, self.max) == (other.name, other.max)

    def __hash__(self) -> int:
        return hash((self.name, self.max))


def _checked_name(name: Any) -> str:
    if not isinstance(name, str):
        raise ArgumentTypeError(f"a Dim is named by a string, not by {name!r}")
    if not name:
        raise ArgumentError("the name of a Dim is empty")
    return name


def _checked_max(most: Any, name: str) -> int:
    if not isinstance(most, (int, np.integer)) or isinstance(most, bool):
        raise ArgumentTypeError(f"the max of Dim {name!r} must be an int, not {most!r}")
    if most < 1:
        raise ArgumentError(f"the max of Dim {name!r} must be at least 1, not {most}")
    return int(most)


class Axes(NamedTuple):
    """Dimensions of one array, or of each in a container, by number, with their sizes."""

    dims: tuple[tuple[int, Dim], ...]


class Entries(NamedTuple):
    """What is said of entries of a container, by index or key."""

    entries: tuple[tuple[Any, Any], ...]


class Dynamic(NamedTuple):
    """What `dynamic=` says of arguments: their positions, or -1; their names, or ""; and what."""

    arguments: tuple[tuple[int, str, Any], ...]

    def of_rows(
        self, room: Mapping[str, int]
    ) -> tuple[list[tuple[int, str, int]], list[int]] | None:
        """Arguments with the numbers of their sizes, and the largest values of these, if all it
        says is how many rows the arrays of arguments have; `room` has those of sizes without."""
        dims: set[Dim] = set()
        for _, _, said in self.arguments:
            if not isinstance(said, Axes) or [axis for axis, _ in said.dims] != [0]:
                return None
            dims.add(said.dims[0][1])
        if not dims:
            return None
        ordered = sorted(dims, key=lambda dim: dim.name)
        arguments = [
            (number, name, ordered.index(said.dims[0][1])) for number, name, said in self.arguments
        ]
        return arguments, [dim.max or room.get(dim.name, 0) for dim in ordered]

    def open_names(self) -> frozenset[str]:
        """The names of sizes that have no largest value, and are numbers of rows only."""
        return frozenset([name for name, axes in self.without_most().items() if axes == {0}])

    def without_most(self) -> dict[str, set[int]]:
        """The names of sizes that have no largest value, and along which axes they are."""
        places: dict[str, set[int]] = {}
        for _, _, said in self.arguments:
            _collect_axes(said, places)
        return places

    def axes_of(self, structure: TreeDef) -> list[tuple[tuple[int, Dim], ...]]:
        """For each leaf of positional and named arguments its dimensions of such sizes."""
        positional, named = structure.children
        by_number = {number: (name, said) for number, name, said in self.arguments}
        by_name = {name: (name, said) for _, name, said in self.arguments}
        found: list[tuple[tuple[int, Dim], ...]] = []
        for number, child in enumerate(positional.children):
            name, said = by_number.get(number, ("", None))
            found += _axes_of(child, said, name or f"argument {number}")
        for key, child in zip(named.data, named.children, strict=True):
            name, said = by_name.get(key, (key, None))
            found += _axes_of(child, said, name)
        return found


def _collect_axes(said: Any, places: dict[str, set[int]]) -> None:
    """Finds along which axes sizes are that have no largest value."""
    if isinstance(said, Axes):
        for axis, dim in said.dims:
            if dim.max is None:
                places.setdefault(dim.name, set()).add(axis)
    elif isinstance(said, Entries):
        for _, value in said.entries:
            _collect_axes(value, places)


def _axes_of(node: TreeDef, said: Any, path: str) -> list[tuple[tuple[int, Dim], ...]]:
    if said is None or isinstance(said, Axes):
        return [() if said is None else said.dims] * node.leaf_count
    if node.cls is not None and issubclass(node.cls, (tuple, list)):
        keys: Sequence[Any] = range(len(node.children))
    elif node.cls is not None and issubclass(node.cls, dict):
        keys = list(node.data)
    else:
        what = "an array" if node.cls is None else f"a {node.cls.__name__}"
        raise ArgumentError(
            f"dynamic= names entries of {path}, which is {what}; for all arrays in it write "
            f"{{axis: Dim}}"
        )
    entries = dict(said.entries)
    for key in entries:
        if key not in keys:
            raise ArgumentError(f"dynamic= names {path}[{key!r}], which is not there")
    found: list[tuple[tuple[int, Dim], ...]] = []
    for key, child in zip(keys, node.children, strict=True):
        found += _axes_of(child, entries.get(key), f"{path}[{key!r}]")
    return found


def make_dynamic(given: Any, found: Parameters | None) -> Dynamic:
    """What the option says, of a function with these parameters.

    Raises:
        ArgumentTypeError: it is not made of dicts, lists, tuples, axes and sizes.
        ArgumentError: the function has no such parameter, or a size has two largest values.
    """
    if given is None:
        return Dynamic(())
    if not isinstance(given, Mapping):
        raise ArgumentTypeError(
            'dynamic must be a dict from arguments to their dimensions, as in {"x": {0: '
            f'gradopt.Dim("n", max=1000)}}}}, not {given!r}'
        )
    named: dict[str, Dim] = {}
    _collect(given, named)
    positional = list(found.positional) if found is not None else []
    is_complete = found is not None and not found.rest and not found.others
    arguments: dict[tuple[int, str], Any] = {}
    for key, value in given.items():
        if not isinstance(key, (int, str)) or isinstance(key, bool):
            raise ArgumentTypeError(f"dynamic names arguments by name or position, not {key!r}")
        number, name = (key, "") if isinstance(key, int) else (-1, key)
        if isinstance(key, int):
            number = number + len(positional) if number < 0 else number
            name = positional[number] if 0 <= number < len(positional) else ""
        elif key in positional:
            number = positional.index(key)
        known = name in positional or (found is not None and name in found.named)
        if (is_complete and not known) or (isinstance(key, int) and number < 0):
            what = f"positional parameter {key}" if isinstance(key, int) else f"parameter {key!r}"
            raise ArgumentError(f"dynamic: the function has no {what}")
        if (number, name) in arguments:
            raise ArgumentError(f"dynamic names the argument {name or number} twice")
        arguments[number, name] = _said(value, named)
    return Dynamic(tuple([(*place, said) for place, said in arguments.items()]))


def _collect(given: Any, named: dict[str, Dim]) -> None:
    """Finds sizes with a largest value."""
    if isinstance(given, Dim):
        before = named.setdefault(given.name, given)
        if before.max is None:
            named[given.name] = given
        elif given.max not in (None, before.max):
            raise ArgumentError(
                f"dynamic: the size {given.name!r} has two largest values, {before.max} and "
                f"{given.max}"
            )
    elif isinstance(given, (Mapping, tuple, list)):
        for value in given.values() if isinstance(given, Mapping) else given:  # pyright: ignore
            _collect(value, named)


def _said(given: Any, named: dict[str, Dim]) -> Any:
    """What is said of an argument, or of an entry of one."""
    if given is None:
        return None
    if isinstance(given, (tuple, list)):
        return Entries(tuple([(i, _said(value, named)) for i, value in enumerate(given)]))
    if not isinstance(given, Mapping):
        raise ArgumentTypeError(
            "dynamic gives dimensions as a dict from axes to sizes, as in {0: "
            f'gradopt.Dim("n", max=1000)}}, not {given!r}'
        )
    if not all(isinstance(value, (str, Dim)) for value in given.values()):
        return Entries(tuple([(key, _said(value, named)) for key, value in given.items()]))
    axes: list[tuple[int, Dim]] = []
    for axis, value in given.items():
        if not isinstance(axis, int) or isinstance(axis, bool):
            raise ArgumentTypeError(f"dynamic names dimensions by integers, not {axis!r}")
        dim = Dim(value) if isinstance(value, str) else value
        dim = named.get(dim.name, dim)
        axes.append((axis, dim))
    return Axes(tuple(axes))


class Sized(NamedTuple):
    """The leaves of a call.

    Attributes:
        leaves: as compiled code takes them: what has fewer rows as it is, and what is smaller
            along other dimensions in a copy that is not.
        are_sized: which of them may have fewer rows.
        shapes: the largest shapes of arrays, with a name in place of each such size; None for
            others.
        sizes: the sizes of this call, by the names of dimensions.
        dims: the dimensions, by their names.
    """

    leaves: list[Any]
    are_sized: list[bool]
    shapes: list[tuple[int | Dim, ...] | None]
    sizes: dict[str, int]
    dims: list[Dim]


def fit(
    leaves: Sequence[Any],
    paths: Sequence[str],
    axes: Sequence[tuple[tuple[int, Dim], ...]],
    room: dict[str, int],
    *,
    grows: bool = True,
) -> Sized:
    """The leaves of a call, checked.

    Args:
        leaves: the leaves.
        paths: how the user reaches them.
        axes: for each its dimensions of such sizes.
        room: how large sizes without a largest value can be; it grows with those of the call.
        grows: whether it does, or what is larger is an error.

    Raises:
        ArgumentTypeError: what should have dimensions is no array.
        ArgumentError: there is no such dimension, it is too large, or two are not of one size.
        UnsupportedError: an array on a device is smaller along another dimension than the first.
    """
    sizes: dict[str, int] = {}
    dims: dict[str, Dim] = {}
    where: dict[str, str] = {}
    for leaf, path, own in zip(leaves, paths, axes, strict=True):
        if own and not isinstance(leaf, (np.ndarray, DeviceArray)):
            raise ArgumentTypeError(f"dynamic= names dimensions of {path}, which is no array")
        for axis, dim in own:
            if not -leaf.ndim <= axis < leaf.ndim:
                raise ArgumentError(
                    f"dynamic= names dimension {axis} of {path}, which has shape {leaf.shape}"
                )
            size = leaf.shape[axis]
            here = f"dimension {axis} of {path}"
            known = dims.get(dim.name)
            if known is None:
                most = dim.max or room.get(dim.name, 0)
                if dim.max is None and grows and (size > most or not most):
                    most = room[dim.name] = _room_for(size)
                if size > most:
                    raise ArgumentError(
                        f"{here} is {size}, but the size {dim.name!r} is at most {most}"
                    )
                dims[dim.name] = Dim(dim.name, most)
                sizes[dim.name] = size
                where[dim.name] = here
            elif sizes[dim.name] != size:
                raise ArgumentError(
                    f"{where[dim.name]} is {sizes[dim.name]} and {here} is {size}, but both "
                    f"are of the size {dim.name!r}"
                )
    made = Sized([], [], [], sizes, sorted(dims.values(), key=lambda dim: dim.name))
    for leaf, path, own in zip(leaves, paths, axes, strict=True):
        if not own:
            made.leaves.append(leaf)
            made.are_sized.append(False)
            made.shapes.append(None)
            continue
        shape: list[int | Dim] = list(leaf.shape)
        for axis, dim in own:
            shape[axis] = dims[dim.name]
        made.leaves.append(_with_room(leaf, path, shape))
        made.are_sized.append(isinstance(shape[0], Dim))
        made.shapes.append(tuple(shape))
    return made


def _room_for(size: int) -> int:
    """How large a size can be that has no largest value, when code is compiled for this one: code
    for all sizes up to n is compiled about log2(n / 64) times at most, and has room for twice as
    much as it needs, or for few."""
    return max(64, 1 << max(size - 1, 0).bit_length())


def bounds(shape: Sequence[int | Dim]) -> tuple[int, ...]:
    """The largest shape."""
    return tuple([size.max or 0 if isinstance(size, Dim) else size for size in shape])


def _with_room(
    array: np.ndarray[Any, Any] | DeviceArray, path: str, shape: Sequence[int | Dim]
) -> np.ndarray[Any, Any] | DeviceArray:
    """The array with rows of the largest size."""
    wanted = (*array.shape[:1], *bounds(shape[1:]))
    if wanted == array.shape:
        return array
    if isinstance(array, DeviceArray):
        raise UnsupportedError(
            f"{path} is on a device, and has shape {array.shape}; of what dynamic= names, only the "
            f"first dimension may be smaller there, as of an array of shape {wanted}"
        )
    # Its dimensions lie in memory as they did.
    room = np.zeros_like(array, order="K", subok=False, shape=wanted)
    room[tuple([slice(size) for size in array.shape])] = array
    return room
