# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What functions made of functions have in common: how they are called, and their `argnums`."""

from __future__ import annotations

import functools
from collections.abc import Callable, Hashable, Sequence
from typing import Any, ClassVar, NamedTuple

import numpy as np

from gradopt.array.handle import Handle
from gradopt.base.device_arrays import adopt
from gradopt.base.dtypes import PYTHON_NUMBERS, is_inexact
from gradopt.base.frames import hide_frames
from gradopt.base.location import function_source
from gradopt.base.pickling import global_name
from gradopt.base.pytree import TreeDef, flatten
from gradopt.compilation.calling import argument_names, check_callable, function_name
from gradopt.compilation.compiled import Compiled
from gradopt.compilation.references import PARTS, reference_key
from gradopt.errors import ArgumentError, ArgumentTypeError
from gradopt.ir.current import current_scope, trace_count
from gradopt.transforms.inner import traced_leaves

ArgNums = int | Sequence[int]


class _ForeignError(Exception):
    """An argument has a class of the user's, whose methods may change."""


class _Direct(Compiled):
    """What a transform called outside a trace runs, as long as it refers to the same."""

    def _flatten(self, args: Any, kwargs: Any) -> Any:
        if _signature((args, kwargs)) is None:
            raise _ForeignError
        return super()._flatten(args, kwargs)


# Of arrays that what is kept refers to, and by which it is found again.
_MOST_KEPT_BYTES = 4 << 20


@functools.lru_cache(32)
def _kept(key: Hashable) -> list[Callable[..., Any]]:
    """Room for what was compiled for code that has this key."""
    return []


def call_direct(
    parts: Any, make: Callable[[], Callable[..., Any]], args: Any, kwargs: Any = None
) -> Any:
    """Calls a function outside a trace, compiled.

    Args:
        parts: what the code is made of, for `reference_key`: as long as that refers to the same,
            the function is not traced again.
        make: gives the function.
        args: its arguments.
        kwargs: those by name.
    """
    kwargs = kwargs or {}
    key = reference_key(parts, _MOST_KEPT_BYTES)
    if key is None:
        return Compiled(make())(*args, **kwargs)
    kept = _kept(key)
    compiled = kept[0] if kept else _Direct(make())
    before = trace_count()
    try:
        result = compiled(*args, **kwargs)
    except _ForeignError:
        kept = result = None
    if kept is None:
        return Compiled(make())(*args, **kwargs)
    if trace_count() != before:
        # It may have changed what it refers to.
        kept[:] = [compiled] if reference_key(parts, _MOST_KEPT_BYTES) == key else []
    return result


def prepare_direct(
    parts: Any, make: Callable[[], Callable[..., Any]], args: Any
) -> Callable[..., Any]:
    """As `call_direct`, but does not call: the function for arguments like these.

    It stays what it is, whatever becomes of what the code refers to.
    """
    key = reference_key(parts, _MOST_KEPT_BYTES)
    signature = _signature(args)
    kept = [] if key is None or signature is None else _kept((key, signature))
    if kept:
        return kept[0]
    compiled = Compiled(make()).lower(*args).compile()
    if key is not None and reference_key(parts, _MOST_KEPT_BYTES) == key:
        kept.append(compiled)
    return compiled


def _signature(args: Any) -> Hashable | None:
    """What code is compiled for; None where a class of the user's has a say in it."""
    leaves, tree = flatten(args)
    nodes, kinds = [tree], []
    for node in nodes:
        if node.cls not in (None, tuple, list, dict, type(None)):
            return None
        nodes += node.children
    for leaf in leaves:
        kind = type(leaf)
        if kind in PYTHON_NUMBERS:
            kinds.append(kind)
        elif kind is np.ndarray or isinstance(leaf, np.generic):
            kinds.append((kind is np.ndarray, leaf.shape, leaf.dtype.str))
        elif not isinstance(leaf, Handle) and (array := adopt(leaf, "an argument")) is not None:
            kinds.append((array.device, array.shape, array.dtype.str))
        else:
            return None
    return tree, tuple(kinds)


class Transform:
    """A function made of a function: part of a trace in one, and compiled when called outside."""

    kind: ClassVar[str]

    def __init_subclass__(cls) -> None:
        PARTS[cls] = lambda transform: transform._parameters()

    def __init__(self, function: Callable[..., Any]) -> None:
        check_callable(function)
        functools.update_wrapper(self, function, updated=())
        self._function = function

    def _parameters(self) -> tuple[Any, ...]:
        """What the constructor takes."""
        raise NotImplementedError

    def _emit(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """The call as part of the current trace."""
        raise NotImplementedError

    def __repr__(self) -> str:
        return f"{self.kind}<{function_name(self._function)}>"

    def __reduce__(self) -> str | tuple[Any, ...]:
        return global_name(self) or (type(self), self._parameters())

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return self if instance is None else functools.partial(self, instance)

    @hide_frames
    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if current_scope() is not None:
            return self._emit(args, kwargs)
        return call_direct(self, lambda: self, args, kwargs)


class Arguments:
    """`argnums`: the positional arguments to differentiate with respect to.

    Raises:
        ArgumentTypeError: it is neither an int nor a tuple of ints.
        ArgumentError: it is empty.
    """

    def __init__(self, argnums: Any) -> None:
        self.given = argnums
        self._single = isinstance(argnums, (int, np.integer))
        numbers = (argnums,) if self._single else argnums
        if not isinstance(numbers, (tuple, list)) or not all(
            isinstance(n, (int, np.integer)) and not isinstance(n, bool) for n in numbers
        ):
            raise ArgumentTypeError(f"argnums must be an int or a tuple of ints, not {argnums!r}")
        if not numbers:
            raise ArgumentError("argnums is empty: name at least one argument")
        self._numbers = tuple(int(n) for n in numbers)

    def select(
        self, function: Callable[..., Any], args: tuple[Any, ...], with_sized: bool = False
    ) -> Selection:
        """The leaves of the arguments in a call; `with_sized` as for `traced_leaves`.

        Raises:
            ArgumentError: there is no such argument, or one is named twice.
            ArgumentTypeError: one is not of floats.
        """
        count = len(args)
        selected: list[int] = []
        for number in self._numbers:
            if not -count <= number < count:
                raise ArgumentError(
                    f"argnums names argument {number} of {function_name(function)}, which was "
                    f"called with {count} positional argument{'s' if count != 1 else ''}; "
                    "pass what to differentiate with respect to by position"
                )
            selected.append(number % count)
        if len(set(selected)) != len(selected):
            raise ArgumentError(f"argnums {self._numbers} names an argument twice")
        leaves: list[Handle] = []
        paths: list[str] = []
        trees: list[TreeDef] = []
        roots = argument_names(function, count)
        for number in selected:
            some, tree, names = traced_leaves(args[number], roots[number], with_sized)
            leaves += some
            paths += names
            trees.append(tree)
        for leaf, path in zip(leaves, paths, strict=True):
            if not is_inexact(leaf.dtype):
                raise ArgumentTypeError(
                    f"cannot differentiate with respect to {path} of dtype {leaf.dtype}: "
                    "gradients need floats or complex numbers; convert the argument to "
                    "float",
                    function_source(function),
                )
        return Selection(args, selected, leaves, paths, trees, self._single)


class Selection(NamedTuple):
    """Arguments of a call that are differentiated with respect to.

    Attributes:
        args: all arguments.
        numbers: which ones.
        leaves: their leaves, traced.
        paths: how the user reaches the leaves.
        trees: their structures.
        single: whether `argnums` was a number.
    """

    args: tuple[Any, ...]
    numbers: list[int]
    leaves: list[Handle]
    paths: list[str]
    trees: list[TreeDef]
    single: bool

    def require_complex(self, function: Callable[..., Any]) -> None:
        """Checks that all are complex, as holomorphic functions take them."""
        for leaf, path in zip(self.leaves, self.paths, strict=True):
            if leaf.dtype.kind != "c":
                raise ArgumentTypeError(
                    f"{path} has dtype {leaf.dtype}, but with holomorphic=True arguments that are "
                    "differentiated are complex",
                    function_source(function),
                )

    def require_real(self, function: Callable[..., Any]) -> None:
        """Checks that none is complex, as there would be more derivatives than a Jacobian has."""
        for leaf, path in zip(self.leaves, self.paths, strict=True):
            if leaf.dtype.kind == "c":
                raise ArgumentTypeError(
                    f"{path} is complex: pass holomorphic=True if the function is holomorphic, or "
                    "use jvp, vjp or grad",
                    function_source(function),
                )

    def _structured(self, leaves: Sequence[Any]) -> list[Any]:
        parts = iter(leaves)
        return [
            tree.unflatten([next(parts) for _ in range(tree.leaf_count)]) for tree in self.trees
        ]

    def arguments(self, leaves: Sequence[Any]) -> tuple[Any, ...]:
        """All arguments, the selected ones made of these leaves."""
        args = list(self.args)
        for number, value in zip(self.numbers, self._structured(leaves), strict=True):
            args[number] = value
        return tuple(args)

    def like(self, leaves: Sequence[Any]) -> Any:
        """A result like the argument that was selected, or a tuple like those."""
        made = self._structured(leaves)
        return made[0] if self.single else tuple(made)
