# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Pytrees: nested containers of arrays.

Containers are tuple, list, dict, OrderedDict, defaultdict, namedtuple, dataclass and what
`register_pytree` adds; None is a container of nothing. Everything else is a leaf. The leaves of a
dict come in insertion order.

Taking a container apart and putting it together gives the same container with other leaves, and
calls no constructor. So attributes count that are not fields: arrays among them are leaves like
the fields, and the rest is part of the structure.
"""

from __future__ import annotations

import collections
import dataclasses
import importlib
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple, TypeVar

from gradopt.base.instances import attributes, set_attributes
from gradopt.base.statics import Static, static, static_key
from gradopt.errors import ArgumentError, ArgumentTypeError

T = TypeVar("T")
Key = tuple[str, Any]  # How a path continues: text, and the child's index or key.


class _Kind(NamedTuple):
    """How a container type is taken apart and put together."""

    flatten: Callable[[Any], tuple[Sequence[Any], Hashable]]
    unflatten: Callable[[Hashable, Sequence[Any]], Any]
    path: Callable[[Hashable, int], str]
    counts_as: type | None = None


# Packages, or classes, whose containers our module adds when the first one is met
# (`register_further`).
_FURTHER = {
    "scipy.sparse": "gradopt.functions.sparse",
    "numpy.polynomial": "gradopt.functions.series_classes",
    "numpy.poly1d": "gradopt.functions.poly1d",
}

_registry: dict[type, _Kind] = {}


def register_pytree(
    cls: type[T],
    flatten: Callable[[T], tuple[Iterable[Any], Hashable]],
    unflatten: Callable[[Any, Sequence[Any]], T],
) -> None:
    """Registers a container class.

    Args:
        cls: the class; subclasses are not included.
        flatten: gives the children and hashable data about the container.
        unflatten: makes the container from that data and new children.

    Raises:
        ArgumentError: the class is registered already.
    """
    if cls in _registry or cls in (tuple, list, dict, type(None)):
        raise ArgumentError(f"{cls.__name__} is registered as a pytree already")
    add_container(cls, flatten, unflatten, lambda _data, i: f"<{i}>")


def add_container(
    cls: type[T],
    flatten: Callable[[T], tuple[Iterable[Any], Hashable]],
    unflatten: Callable[[Any, Sequence[Any]], Any],
    path: Callable[[Hashable, int], str],
    counts_as: type | None = None,
) -> None:
    """Adds a container class, as `register_pytree`.

    Args:
        cls: the class.
        flatten: gives children and data.
        unflatten: makes the container.
        path: gives for data and the number of a child how a path to it goes on.
        counts_as: the class that stands for it in structures, which has the same data; its own if
            None.
    """

    def flatten_children(value: T) -> tuple[Sequence[Any], Hashable]:
        children, data = flatten(value)
        try:
            hash(data)
        except TypeError:
            raise ArgumentTypeError(
                f"the data that flatten of the pytree {cls.__name__} gives beside the children is "
                f"a {type(data).__name__}, which is not hashable"
            ) from None
        return tuple(children), data

    _registry[cls] = _Kind(flatten_children, unflatten, path, counts_as)


@dataclasses.dataclass(frozen=True, slots=True)
class TreeDef:
    """Structure of a pytree without its leaves; hashable and comparable.

    Attributes:
        cls: container class; None for a leaf.
        data: what the class needs besides its children: keys, field names.
        key: what is compared of the data, its `static_key`.
        children: structures of the children.
    """

    cls: type | None
    data: Any = dataclasses.field(default=None, compare=False)
    key: Hashable = None
    children: tuple[TreeDef, ...] = ()

    @property
    def leaf_count(self) -> int:
        """Number of leaves."""
        if self.cls is None:
            return 1
        return sum(child.leaf_count for child in self.children)

    def unflatten(self, leaves: Iterable[Any]) -> Any:
        """The pytree with these leaves."""
        return self._build(iter(leaves))

    def _build(self, leaves: Iterator[Any]) -> Any:
        if self.cls is None:
            return next(leaves)
        children = [child._build(leaves) for child in self.children]
        return _kind(self.cls).unflatten(self.data, children)

    def __str__(self) -> str:
        text = _Text("*")
        return repr(self.unflatten([text] * self.leaf_count))


class _Text(str):
    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


LEAF = TreeDef(None)
_NONE = TreeDef(type(None))


def _namedtuple_kind(cls: Any) -> _Kind:
    fields = cls._fields

    def flatten_items(value: Any) -> tuple[Sequence[Any], Hashable]:
        others = attributes(value)
        return [*value, *_other_attributes(cls, others)], tuple(others)

    def unflatten(others: Any, children: Sequence[Any]) -> Any:
        made = tuple.__new__(cls, children[: len(fields)])
        return set_attributes(made, dict(zip(others, children[len(fields) :], strict=True)))

    return _Kind(flatten_items, unflatten, lambda others, i: f".{(*fields, *others)[i]}")  # pyright: ignore


def _dataclass_kind(cls: Any) -> _Kind:
    fields = [field.name for field in dataclasses.fields(cls)]

    def flatten_fields(value: Any) -> tuple[Sequence[Any], Hashable]:
        # A field that is not an argument of the constructor need not have a value.
        names = [name for name in fields if hasattr(value, name)]
        others = {name: v for name, v in attributes(value).items() if name not in fields}
        children = [getattr(value, name) for name in names]
        return children + _other_attributes(cls, others), (*names, *others)

    def unflatten(names: Any, children: Sequence[Any]) -> Any:
        try:
            made = object.__new__(cls)
        except TypeError as error:
            raise ArgumentTypeError(
                f"the dataclass {cls.__name__} is more than its attributes ({error}); register it "
                "(gradopt.register_pytree)"
            ) from None
        return set_attributes(made, dict(zip(names, children, strict=True)))

    return _Kind(flatten_fields, unflatten, lambda names, i: f".{names[i]}")  # pyright: ignore


def _other_attributes(cls: type, values: dict[str, Any]) -> list[Any]:
    """Attributes that are no fields as children: arrays are leaves, the rest is static."""

    def child(value: Any, name: str) -> Any:
        kind = type(value)
        if any(hasattr(kind, protocol) for protocol in ARRAY_PROTOCOLS):
            return value
        try:
            hash(value)
            return static(value)
        except TypeError:
            raise ArgumentTypeError(
                f"the attribute {name!r} of the {cls.__name__} holds a {kind.__name__}, which is "
                "neither an array nor hashable; make it a field, or register the class "
                "(gradopt.register_pytree)"
            ) from None

    return [tree_map(lambda leaf, name=name: child(leaf, name), v) for name, v in values.items()]


ARRAY_PROTOCOLS = ("__array__", "__array_interface__", "__dlpack__")


def _dict_kind(cls: type[dict[Any, Any]]) -> _Kind:
    return _Kind(
        lambda v: (tuple(v.values()), tuple(v)),
        lambda keys, c: cls(zip(keys, c, strict=True)),  # pyright: ignore
        lambda keys, i: f"[{keys[i]!r}]",  # pyright: ignore[reportIndexIssue]
    )


def _kind(cls: type) -> _Kind:
    kind = _registry.get(cls)
    if kind is None:
        kind = _find_kind(cls)
        if kind is None:
            raise ArgumentError(f"{cls.__name__} is not a pytree container")
    return kind


def _find_kind(cls: type) -> _Kind | None:
    if issubclass(cls, tuple) and hasattr(cls, "_fields"):
        kind = _namedtuple_kind(cls)
    elif hasattr(cls, "__dataclass_fields__"):
        kind = _dataclass_kind(cls)
    else:
        package = ".".join(f"{cls.__module__}.{cls.__qualname__}".split(".")[:2])
        further = _FURTHER.pop(package, None)
        if further is None:
            return None
        importlib.import_module(further).register_further()
        return _registry.get(cls)
    _registry[cls] = kind
    return kind


_registry[tuple] = _Kind(lambda v: (v, None), lambda _d, c: tuple(c), lambda _d, i: f"[{i}]")
_registry[list] = _Kind(lambda v: (v, None), lambda _d, c: list(c), lambda _d, i: f"[{i}]")
_registry[dict] = _dict_kind(dict)
_registry[collections.OrderedDict] = _dict_kind(collections.OrderedDict)
_registry[collections.defaultdict] = _Kind(
    lambda v: (tuple(v.values()), (v.default_factory, *v)),
    lambda data, c: collections.defaultdict(data[0], zip(data[1:], c, strict=True)),  # pyright: ignore
    lambda data, i: f"[{data[i + 1]!r}]",  # pyright: ignore[reportIndexIssue]
)
# A static value stands in the tree; what is made of the tree has the value itself.
_registry[Static] = _Kind(lambda v: ((), v), lambda v, _c: v.value, lambda _v, _i: "")  # pyright: ignore
_registry[type(None)] = _Kind(lambda _v: ((), None), lambda _d, _c: None, lambda _d, _i: "")


def is_container(value: Any) -> bool:
    """Whether the value is a pytree container (None included)."""
    cls = type(value)
    return cls in _registry or _find_kind(cls) is not None


# How deeply containers may be nested.
_DEEPEST = 200


def flatten(tree: Any) -> tuple[list[Any], TreeDef]:
    """The leaves, and the structure.

    Raises:
        ArgumentTypeError: beside its leaves, a container holds what is not hashable.
        ArgumentError: containers are nested very deeply, or one contains itself.
    """
    leaves: list[Any] = []
    try:
        return leaves, _flatten(tree, leaves)
    except RecursionError:
        if not _is_deep(tree):
            raise  # The caller's recursion is.
    raise ArgumentError("a container of arrays is nested too deeply, or contains itself")


def _is_deep(tree: Any) -> bool:
    """Whether containers are nested more deeply than any structure of arrays."""
    level = [tree]
    for _ in range(_DEEPEST):
        found = [(value, _registry.get(type(value)) or _find_kind(type(value))) for value in level]
        children = [x for value, kind in found if kind is not None for x in kind.flatten(value)[0]]
        level = list({id(child): child for child in children}.values())
    return bool(level)


def _flatten(tree: Any, leaves: list[Any]) -> TreeDef:
    cls = type(tree)
    kind = _registry.get(cls) or _find_kind(cls)
    if kind is None:
        leaves.append(tree)
        return LEAF
    if tree is None:
        return _NONE
    children, data = kind.flatten(tree)
    key = None if data is None else static_key(data)
    return TreeDef(
        kind.counts_as or cls, data, key, tuple([_flatten(child, leaves) for child in children])
    )


def leaf_paths(treedef: TreeDef, root: str) -> list[str]:
    """For each leaf how it is reached from `root`, as in `params['W'][1]`."""
    paths: list[str] = []

    def walk(node: TreeDef, path: str) -> None:
        if node.cls is None:
            paths.append(path)
            return
        kind = _kind(node.cls)
        for i, child in enumerate(node.children):
            walk(child, path + kind.path(node.data, i))

    walk(treedef, root)
    return paths


def flatten_like(
    tree: Any, treedef: TreeDef, root: str, *, none_is_prefix: bool = False
) -> list[Any]:
    """The leaves of `tree`, in the order of `treedef`.

    Dict keys may come in another order. With `none_is_prefix`, a None stands for all that lies
    below it: each leaf there is None.

    Raises:
        ArgumentError: the structures differ; the message names the path.
    """
    leaves: list[Any] = []
    _add_leaves(tree, treedef, root, leaves, none_is_prefix)
    return leaves


def _add_leaves(
    value: Any, node: TreeDef, path: str, leaves: list[Any], none_is_prefix: bool
) -> None:
    if none_is_prefix and type(value) is type(None):
        leaves.extend([None] * node.leaf_count)
        return
    if node.cls is None:
        if is_container(value):
            raise ArgumentError(f"expected an array at {path}, but got {_describe(value)}")
        leaves.append(value)
        return
    if _class_of(value) is not node.cls:
        raise ArgumentError(f"expected {node.cls.__name__} at {path}, but got {_describe(value)}")
    kind = _kind(node.cls)
    children = _children_like(value, node, path)
    for i, (child, child_node) in enumerate(zip(children, node.children, strict=True)):
        _add_leaves(child, child_node, path + kind.path(node.data, i), leaves, none_is_prefix)


def flatten_prefix(
    prefix: Any,
    treedef: TreeDef,
    is_leaf: Callable[[Any], bool],
    expected: str,
    root: str,
    whole: str,
) -> list[Any]:
    """For each leaf of `treedef` the leaf of `prefix` at or above it.

    Args:
        prefix: a pytree that begins as `treedef` does; None is a leaf if `is_leaf` says so.
        treedef: the structure.
        is_leaf: tells a leaf of the prefix.
        expected: what a leaf of the prefix is, for messages.
        root: how the user reaches the prefix.
        whole: how the user reaches what `treedef` is the structure of.

    Raises:
        ArgumentError: the structures differ; the message names the path.
    """
    found: list[Any] = []

    def walk(value: Any, node: TreeDef, path: str, place: str) -> None:
        if is_leaf(value):
            found.extend([value] * node.leaf_count)
            return
        if node.cls is None:
            raise ArgumentError(
                f"expected {expected} at {path}, as {place} is an array, but got {_describe(value)}"
            )
        if _class_of(value) is not node.cls:
            raise ArgumentError(
                f"expected {expected} or a {node.cls.__name__} at {path}, as {place} is one, but "
                f"got {_describe(value)}"
            )
        kind = _kind(node.cls)
        for i, (child, child_node) in enumerate(
            zip(_children_like(value, node, path), node.children, strict=True)
        ):
            step = kind.path(node.data, i)
            walk(child, child_node, path + step, place + step)

    walk(prefix, treedef, root, whole)
    return found


def _children_like(value: Any, node: TreeDef, path: str) -> Sequence[Any]:
    """The children of a container of class `node.cls`, in the order of `node`."""
    assert node.cls is not None
    children, data = _kind(type(value)).flatten(value)
    if issubclass(node.cls, dict):
        keys = node.data[len(node.data) - len(node.children) :]
        if {static_key(key) for key in keys} != {static_key(key) for key in value}:
            raise ArgumentError(f"expected keys {list(keys)} at {path}, but got {list(value)}")
        return [value[key] for key in keys]
    if static_key(data) != node.key:
        raise ArgumentError(f"expected {node.data!r} at {path}, but got {data!r}")
    if len(children) != len(node.children):
        raise ArgumentError(
            f"expected {len(node.children)} elements at {path}, but got {len(children)}"
        )
    return children


def _class_of(value: Any) -> type:
    """The class that stands for it in structures."""
    cls = type(value)
    kind = _registry.get(cls) or _find_kind(cls)
    return cls if kind is None else kind.counts_as or cls


def _describe(value: Any) -> str:
    if value is None:
        return "None"
    # Users do not know the class of traced arrays.
    is_traced = type(value).__module__.startswith("gradopt.array.")
    return "an array" if is_traced else type(value).__name__


def tree_map(function: Callable[..., Any], tree: Any, *others: Any) -> Any:
    """The pytree of `function(leaf, *leaves of others)`; the structures must be the same."""
    leaves, treedef = flatten(tree)
    rest = [flatten_like(other, treedef, "tree") for other in others]
    return treedef.unflatten([function(*values) for values in zip(leaves, *rest, strict=True)])
