# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""cond and switch: branches in compiled code.

In a trace they become `scf.if` and `scf.index_switch`, unless the condition is known while tracing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from gradopt.array.handle import Handle
from gradopt.array.unknown_sizes import apart
from gradopt.base.dtypes import INT64
from gradopt.base.frames import hide_frames
from gradopt.base.location import function_source, source_location
from gradopt.base.pytree import leaf_paths
from gradopt.compilation.calling import (
    call_user,
    check_callable,
    describe_value,
    function_name,
)
from gradopt.errors import ArgumentError, ArgumentTypeError
from gradopt.ir import prims
from gradopt.ir.prims import scalar
from gradopt.ir.values import Value
from gradopt.recording import ir
from gradopt.transforms.bodies import (
    Body,
    Outcome,
    Region,
    Spec,
    flag_of,
    index_of,
    trace_body,
    traced_specs,
)
from gradopt.transforms.inner import InnerFunction

_NOT_GIVEN: Any = object()  # None is an operand as good as any.


def _operands(operands: tuple[Any, ...], operand: Any, name: str) -> tuple[Any, ...]:
    if operand is _NOT_GIVEN:
        return operands
    if operands:
        raise ArgumentError(
            f"{name} takes its operands by position or as operand=, not in both ways",
            source_location(),
        )
    return (operand,)


def _kind_and_shape(value: Any) -> tuple[str, tuple[int, ...]]:
    """The kind of the dtype, "" for what is no array, and the shape."""
    if isinstance(value, (Handle, np.ndarray, np.generic)):
        return value.dtype.kind, value.shape
    return ("b" if isinstance(value, bool) else "i" if isinstance(value, int) else ""), ()


@hide_frames
def cond(
    pred: Any,
    true_fun: Callable[..., Any],
    false_fun: Callable[..., Any],
    *operands: Any,
    operand: Any = _NOT_GIVEN,
) -> Any:
    """One of two functions, as a condition tells.

    The meaning is that of `true_fun(*operands) if pred else false_fun(*operands)`.

    Args:
        pred: one bool, traced or not.
        true_fun: function of the operands.
        false_fun: function of the operands, with a result of the same structure, shapes and dtypes.
        *operands: pytrees.
        operand: the only operand, in another way.

    Returns:
        The result.

    Raises:
        ArgumentError: the functions return different things; the message names the path. Or
            operands are given in both ways.
        ArgumentTypeError: `pred` is no bool.
    """
    operands = _operands(operands, operand, "cond")
    check_callable(true_fun)
    check_callable(false_fun)
    traced = isinstance(pred, Handle) and pred._known() is None
    kind, shape = _kind_and_shape(pred)
    if kind != "b" or shape != ():
        raise ArgumentTypeError(
            f"pred must be one bool, but it is {describe_value(pred)}", source_location()
        )
    if not traced:
        known = pred._known() if isinstance(pred, Handle) else pred
        return (true_fun if known else false_fun)(*operands)
    here = prims.scope()
    condition = flag_of(here, pred._read())

    return _branch("scf.if", condition, {}, [true_fun, false_fun], operands)


@hide_frames
def switch(
    index: Any,
    branches: Sequence[Callable[..., Any]],
    *operands: Any,
    operand: Any = _NOT_GIVEN,
) -> Any:
    """One of several functions, by number.

    The meaning is that of `branches[min(max(index, 0), len(branches) - 1)](*operands)`.

    Args:
        index: an integer, traced or not.
        branches: functions of the operands, with results of the same structure, shapes and dtypes.
        *operands: pytrees.
        operand: the only operand, in another way.

    Returns:
        The result.

    Raises:
        ArgumentError: there are no branches, or they return different things. Or operands are
            given in both ways.
        ArgumentTypeError: `index` is no integer.
    """
    operands = _operands(operands, operand, "switch")
    if not isinstance(branches, (list, tuple)):
        raise ArgumentTypeError(
            f"branches must be a list of functions, but it is {describe_value(branches)}",
            source_location(),
        )
    for branch in branches:
        check_callable(branch)
    if not branches:
        raise ArgumentError("switch needs at least one branch", source_location())
    kind, shape = _kind_and_shape(index)
    if kind not in ("i", "u") or shape != ():
        raise ArgumentTypeError(
            f"index must be an integer, but it is {describe_value(index)}", source_location()
        )
    known = index._known() if isinstance(index, Handle) else index
    if known is not None:
        return branches[min(max(int(known), 0), len(branches) - 1)](*operands)
    if len(branches) == 1:
        return branches[0](*operands)
    here = prims.scope()
    value = prims.convert(index._read(), INT64)
    negative = value < scalar(0, INT64)
    position = index_of(here, prims.select(negative, scalar(0, INT64), value))
    cases = {"cases": ir.integers(range(len(branches) - 1))}
    # The first region is that of all other numbers.
    return _branch("scf.index_switch", position, cases, branches, operands, first=1)


def _branch(
    name: str,
    choice: ir.Value,
    attributes: dict[str, ir.Attribute],
    functions: Sequence[Callable[..., Any]],
    operands: tuple[Any, ...],
    first: int = 0,
) -> Any:
    """Traces the functions and adds the op that calls one of them.

    Args:
        name: of the op.
        choice: its operand.
        attributes: of the op.
        functions: what it chooses from.
        operands: theirs.
        first: number of the region of the first function; that of the last one stands before it.
    """
    inputs, values, tree = traced_specs(apart(operands, Handle._read), "operands")

    def trace(function: Callable[..., Any], wanted: Sequence[Spec]) -> Body:
        return trace_body(
            function,
            inputs,
            lambda arguments: apart(
                call_user(function, tree.unflatten(arguments), {}), Handle._read
            ),
            wanted,
        )

    bodies = [trace(function, ()) for function in functions]
    specs = _common_specs(functions, bodies)
    # Where a Python number meets an array, it takes the array's dtype.
    bodies = [
        body if [s.dtype for s in body.specs] == [s.dtype for s in specs] else trace(f, specs)
        for f, body in zip(functions, bodies, strict=True)
    ]
    inners = [body.inner for body in bodies]
    results = emit_branches(name, choice, attributes, inners, values, first)
    parts = [spec.wrap(value) for spec, value in zip(specs, results, strict=True)]
    return bodies[0].tree.unflatten(parts)


def emit_branches(
    name: str,
    choice: ir.Value,
    attributes: dict[str, ir.Attribute],
    inners: Sequence[InnerFunction],
    values: Sequence[Value] = (),
    first: int = 0,
) -> list[Value]:
    """Adds the op that calls one of several traced functions; its results.

    Args:
        name: of the op.
        choice: its operand.
        attributes: of the op.
        inners: what it chooses from; their results have the same types.
        values: their arguments, but those that are lifted.
        first: as for `_branch`.
    """
    here = prims.scope()
    outcome = Outcome(here, inners)
    arguments = [here.use(value) for value in values]
    lifted = [[here.use(value) for value in inner.inputs] for inner in inners]
    count = len(inners[0].results)
    types = [*inners[0].results, *[value.type for value in outcome.inits]]

    def build(*, loc: ir.Location, ip: ir.Block) -> ir.Operation:
        op = ir.Operation(name, [choice], types, attributes, len(inners), loc, ip)
        for i, inner in enumerate(inners):
            region = Region(here, op.regions[(i + first) % len(inners)])
            results = region.call(inner, arguments, lifted[i])
            region.leave([*results[:count], *(results[count:] or outcome.inits)])
        return op

    results = here.emit_many(build)
    outcome.leave(results[count:])
    return results[:count]


def _common_specs(functions: Sequence[Callable[..., Any]], bodies: Sequence[Body]) -> list[Spec]:
    """What the results of all branches can be taken for."""
    first, specs = bodies[0], list(bodies[0].specs)
    paths = leaf_paths(first.tree, "result")
    for function, body in zip(functions[1:], bodies[1:], strict=True):
        names = f"{function_name(functions[0])} and {function_name(function)}"
        place = function_source(function)
        if body.tree != first.tree:
            raise ArgumentError(
                f"{names} must return the same structure, but they return {first.tree} and "
                f"{body.tree}",
                place,
            )
        for i, (one, other) in enumerate(zip(specs, body.specs, strict=True)):
            joined = one.join(other)
            if joined is None:
                raise (ArgumentError if one.shape != other.shape else ArgumentTypeError)(
                    f"{names} must return arrays of the same shape and dtype, but {paths[i]} is "
                    f"{one} and {other}",
                    place,
                )
            specs[i] = joined
    return specs
