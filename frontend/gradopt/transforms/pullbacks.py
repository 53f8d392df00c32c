# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Derivatives as functions of flat lists, for libraries that differentiate by themselves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from gradopt.base.dtypes import is_inexact
from gradopt.base.pytree import TreeDef, flatten
from gradopt.compilation.calling import rewritten_here
from gradopt.compilation.compiled import Compiled
from gradopt.transforms.jacobian_products import jvp, vjp


def pullback_of(
    function: Callable[..., Any], tree: TreeDef, active: Sequence[int]
) -> Callable[..., Any]:
    """The pullback of a function, from its inputs and cotangents.

    Args:
        function: of the arguments that make up `tree`, a tuple.
        tree: their structure.
        active: the leaves to differentiate with respect to, floats, by number.

    Returns:
        A function of all leaves, and a list of the cotangents of those leaves of the result that
        are floats. It returns a list of the cotangents of the `active` leaves. It can be
        differentiated again.
    """

    def pull(leaves: Sequence[Any], cotangents: Sequence[Any]) -> list[Any]:
        of_active = _of_active(function, tree, active, leaves)
        back = vjp(of_active, *[leaves[i] for i in active])[1]
        return list(back(list(cotangents)))

    return pull


def pushforward_of(
    function: Callable[..., Any], tree: TreeDef, active: Sequence[int]
) -> Callable[..., Any]:
    """The tangents of a function's results, from its inputs and their tangents.

    Args:
        function, tree, active: as for `pullback_of`.

    Returns:
        A function of all leaves, and a list of the tangents of the `active` ones. It returns a list
        of the tangents of those leaves of the result that are floats.
    """

    def push(leaves: Sequence[Any], tangents: Sequence[Any]) -> list[Any]:
        of_active = _of_active(function, tree, active, leaves)
        return list(jvp(of_active, tuple(leaves[i] for i in active), tuple(tangents))[1])

    return push


def _of_active(
    function: Callable[..., Any], tree: TreeDef, active: Sequence[int], leaves: Sequence[Any]
) -> Callable[..., list[Any]]:
    """The float results as a function of the active leaves."""

    def of_active(*values: Any) -> list[Any]:
        all_leaves = list(leaves)
        for i, value in zip(active, values, strict=True):
            all_leaves[i] = value
        results = flatten(rewritten_here(function)(*tree.unflatten(all_leaves)))[0]
        return [result for result in results if is_float(result)]

    return of_active


def options_of_derivatives(compiled: Compiled) -> dict[str, Any]:
    """The options of a compiled function that its derivatives are compiled with: where and how they
    run, and nothing of single arguments."""
    names = ("device", "fast_math", "num_threads", "progress", "cache", "capture", "checkpoint")
    return {name: getattr(compiled.options, name) for name in names}


def is_float(value: Any) -> bool:
    """Whether an array or a number has derivatives."""
    return isinstance(value, (float, complex)) or is_inexact(
        np.dtype(getattr(value, "dtype", np.int64))
    )
