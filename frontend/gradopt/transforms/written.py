# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Functions that write to their arguments, as functions that return these."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from gradopt.array.handle import Storage, array_of, lay_out
from gradopt.base.frames import hide_frames
from gradopt.base.statics import separate_texts
from gradopt.compilation.calling import call_user, check_callable
from gradopt.compilation.references import PARTS
from gradopt.ir.current import current_scope
from gradopt.transforms.inner import traced_leaves
from gradopt.transforms.transform import call_direct


class WithWritten:
    """What `with_written` gives.

    Args:
        function: the function.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function
        functools.update_wrapper(self, function)

    @hide_frames
    def __call__(self, *args: Any, **kwargs: Any) -> tuple[Any, tuple[Any, ...]]:
        """The result of the function for copies of these arguments, and those it wrote to."""
        if current_scope() is None:
            return call_direct(("with_written", self._function), lambda: self, args, kwargs)
        args, kwargs = separate_texts(args, kwargs)
        copies: list[Any] = []
        before: list[list[tuple[Storage, int]]] = []
        for value in (*args, *kwargs.values()):
            leaves, tree, _ = traced_leaves(value, "argument")
            own = [leaf if leaf._is_scalar else array_of(leaf._read()) for leaf in leaves]
            for copy, leaf in zip(own, leaves, strict=True):
                lay_out(copy, [leaf])
            copies.append(tree.unflatten(own))
            before.append([(leaf._storage, leaf._storage.version) for leaf in own])
        named = dict(zip(kwargs, copies[len(args) :], strict=True))
        result = call_user(self._function, tuple(copies[: len(args)]), named)
        written = [
            copy
            for copy, storages in zip(copies, before, strict=True)
            if any(storage.version != version for storage, version in storages)
        ]
        return result, tuple(written)


PARTS[WithWritten] = lambda written: (written._function,)


def with_written(function: Callable[..., Any]) -> Callable[..., tuple[Any, tuple[Any, ...]]]:
    """A function that writes to its arguments as one that returns them.

    The result is `(result, written)`: what the function returns, and a tuple of those arguments
    that it writes to, as they are afterwards, in their order in the call, those by name last. The
    arguments themselves stay as they are. So `vjp(with_written(f), *args)` takes cotangents
    of mutated arguments, `(cotangent, (cotangents of written arguments,))`, and
    `grad(lambda *args: np.sum(with_written(f)(*args)[1][0]))` is the gradient of what a
    function leaves behind that returns nothing.

    Args:
        function: any function of pytrees of arrays.

    Returns:
        A function of the same arguments. Outside of traced code it compiles, as `grad` does.
    """
    check_callable(function)
    return WithWritten(function)
