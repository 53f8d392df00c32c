# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What functions of the user's use of the code around them, as arguments.

Rules know no derivatives in traced values that they close over. Functions that the package makes
rules for, such as the equations of implicit functions, may close over what they like: the values
are found by tracing, become arguments of the function with rules, and their stand-ins are used
where the user's function is called in it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from gradopt.array.handle import Handle, array_of, wrap
from gradopt.base.dtypes import is_inexact
from gradopt.base.pytree import flatten, tree_map
from gradopt.compilation.calling import call_user, result_value, rewritten_here
from gradopt.ir import prims
from gradopt.ir.trace import Scope
from gradopt.ir.values import Value
from gradopt.transforms.inner import argument_like, emit_call, like, trace_function, traced_leaves

# Floats, and what else there is.
Captured = tuple[list[Any], list[Any]]


class Closure:
    """Traced values of enclosing functions that some functions use.

    Attributes:
        captured: the values, as an argument.
    """

    def __init__(self, values: Sequence[Value]) -> None:
        self._values = sorted(values, key=lambda value: not is_inexact(value.dtype))
        self.captured: Captured = ([], [])
        for value in self._values:
            self.captured[not is_inexact(value.dtype)].append(array_of(value))

    def call(self, captured: Captured, function: Callable[..., Any], *args: Any) -> Any:
        """Calls a function with what was captured, or stand-ins for it, where it uses the values.

        To be called where `captured` comes as an argument; that is not where the values are from.
        """
        others = [array._read() for array in (*captured[0], *captured[1])]
        return prims.scope().standing_in(
            self._values, others, lambda: call_user(function, args, {})
        )


def nan_if_unchecked(body: Callable[[], Any]) -> Any:
    """What `body` returns, a pytree of floats; NaN instead of errors where checks in it fail.

    For code that gets tangents or cotangents: checks may not depend on these.
    """
    here = prims.scope()
    before, here.outcome = here.outcome, None
    try:
        result = body()
    finally:
        outcome, here.outcome = here.outcome, before
    if outcome is None:
        return result
    # A factor, as the result is to stay linear in tangents.
    factor = np.where(wrap(prims.equal(outcome[0], 0)), 1.0, np.nan)
    return tree_map(lambda leaf: leaf * factor.astype(leaf.dtype), result)


def closure_of(
    source: Callable[..., Any], args: tuple[Any, ...], body: Callable[..., Any]
) -> Closure:
    """What `body`, called with such arguments, uses of the code around it.

    Args:
        source: the user's function that it calls.
        args: its arguments.
        body: the function; what it returns does not matter.
    """
    leaves, tree, paths = traced_leaves(args, "args")

    def enter(inner: Scope) -> list[Handle]:
        inner.order = 0  # Nobody asks for derivatives of this code.
        return [argument_like(inner, leaf, path) for leaf, path in zip(leaves, paths, strict=True)]

    def call(arguments: list[Handle]) -> tuple[list[Value], None]:
        body(*tree.unflatten(arguments))
        return [], None

    return Closure(trace_function(source, enter, call)[0].inputs)


def traced_once(function: Callable[..., Any], *args: Any) -> Callable[..., Any]:
    """A function of such arguments, traced here; a call of it is a call of what was traced.

    For functions of the user's that are called in many places: each of them would be traced anew,
    and what is nested in them as often for each of these, and so on.

    Args:
        function: a function of pytrees of arrays.
        args: arguments like those that it gets.
    """
    leaves, tree, paths = traced_leaves(args, "args")
    kinds = [(leaf.shape, leaf.dtype) for leaf in leaves]
    order = prims.scope().order

    def body(arguments: list[Handle]) -> tuple[list[Value], tuple[list[Any], Any]]:
        found, structure = flatten(rewritten_here(function)(*tree.unflatten(arguments)))
        return [result_value(leaf, "result") for leaf in found], (found, structure)

    def enter(inner: Scope) -> list[Handle]:
        return [argument_like(inner, leaf, path) for leaf, path in zip(leaves, paths, strict=True)]

    traced, (found, structure) = trace_function(function, enter, body)

    @functools.wraps(function)
    def call(*given: Any) -> Any:
        inputs, given_tree, _ = traced_leaves(given, "args")
        if (
            # Where more derivatives may be asked for, what has rules needs more of them.
            prims.scope().order > order
            or given_tree != tree
            or [(leaf.shape, leaf.dtype) for leaf in inputs] != kinds
        ):
            return rewritten_here(function)(*given)
        values = [leaf._read() for leaf in inputs]
        results = emit_call(traced._replace(inputs=[*values, *traced.inputs]))
        return structure.unflatten(
            [like(leaf, value) for leaf, value in zip(found, results, strict=True)]
        )

    return call
