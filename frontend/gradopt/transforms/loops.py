# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""fori_loop, scan, map and while_loop: loops in compiled code.

In a trace they become `scf.for` and `scf.while`. Outside of one they are what they stand for, loops
in Python.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from gradopt.array.handle import Handle
from gradopt.array.operands import is_traced
from gradopt.base.dtypes import BOOL, INT64
from gradopt.base.frames import hide_frames
from gradopt.base.location import function_source, source_location
from gradopt.base.policies import Checkpoint, check_policy
from gradopt.base.pytree import TreeDef, flatten, leaf_paths, tree_map
from gradopt.compilation.arguments import checked_integer
from gradopt.compilation.calling import (
    call_user,
    check_callable,
    describe_returned,
    describe_value,
    function_name,
)
from gradopt.compilation.compiled import Compiled
from gradopt.errors import ArgumentError, ArgumentTypeError
from gradopt.ir import prims
from gradopt.ir.current import current_scope
from gradopt.ir.prims import scalar
from gradopt.ir.types import tensor_type
from gradopt.ir.values import Value
from gradopt.recording import grad, ir
from gradopt.transforms.batching import vmap
from gradopt.transforms.bodies import (
    Body,
    Outcome,
    Raw,
    Region,
    Spec,
    adapted,
    index_of,
    trace_body,
    trace_carry,
    traced_specs,
)
from gradopt.transforms.inner import InnerFunction

_INDEX = Spec((), INT64, weak=True, is_scalar=True)


def _integer(value: Any, name: str) -> Value | int:
    """A bound of a loop."""
    if isinstance(value, Handle):
        if value.shape != () or value.dtype.kind not in "iu":
            raise ArgumentTypeError(
                f"{name} must be an integer, but it is {describe_value(value)}", source_location()
            )
        known = value._known()
        if known is not None:
            return int(known)
        return prims.convert(value._read(), INT64)
    return checked_integer(value, name)


def counted(
    trips: Value | int,
    body: InnerFunction,
    inits: Sequence[Value],
    *,
    stacked: Sequence[Spec] = (),
    first: Value | int | None = None,
    sliced: Sequence[Value] = (),
    reverse: bool = False,
    checkpoint: Checkpoint = None,
) -> tuple[list[Value], list[Value]]:
    """Adds a loop with a counter: what it carried in the end, and the stacked other results.

    Args:
        trips: number of iterations.
        body: gets the counter (if `first` is given), a slice of each of `sliced`, and what is
            carried.
        inits: initial values of that.
        stacked: of other results of the body.
        first: what the counter starts from.
        sliced: arrays that the body gets a slice of, along the first axis.
        reverse: whether slices are taken and results stacked from the end.
        checkpoint: what is kept for derivatives in reverse mode.
    """
    check_policy(checkpoint)
    here = prims.scope()
    count = len(inits)
    if isinstance(trips, int) and trips == 0:  # There are no slices to write down.
        nothing = [np.zeros((0, *spec.shape), spec.dtype) for spec in stacked]
        return list(inits), [prims.as_value(array) for array in nothing]
    outcome = Outcome(here, [body])
    lifted = [here.use(value) for value in body.inputs]
    arrays = [here.use(value) for value in sliced]
    offset = None
    if first is not None and not (isinstance(first, int) and first == 0):
        offset = here.use(scalar(first, INT64) if isinstance(first, int) else first)
    zero = here.use(scalar(0, INT64))
    length = trips if isinstance(trips, int) else 0  # Stacks need a number that is known.
    last = here.use(scalar(length - 1, INT64)) if reverse else None
    stacks = [here.emit(_empty, tensor_type((length, *spec.shape), spec.dtype)) for spec in stacked]
    carried = [here.use(v) for v in (*inits, *stacks)] + outcome.inits
    begin, end, step = (index_of(here, bound) for bound in (0, trips, 1))

    def build(*, loc: ir.Location, ip: ir.Block) -> ir.Operation:
        types = [value.type for value in carried]
        loop = ir.Operation("scf.for", [begin, end, step, *carried], types, {}, 1, loc, ip)
        (block,) = loop.regions
        counter, *state = [block.add_argument(type_, loc) for type_ in ("index", *types)]
        region = Region(here, block)
        number = region.position(counter)
        arguments: list[Raw] = []
        if first is not None:
            arguments.append(number if offset is None else region.add(grad.add, number, offset))
        place = number if last is None else region.add(grad.subtract, last, number)
        for array, value in zip(arrays, sliced, strict=True):
            shape = value.shape[1:]
            indices = [place] + [zero] * len(shape)
            part = region.add(grad.dynamic_slice, array, indices, [1, *shape])
            arguments.append(region.add(grad.reshape, part, list(shape)))
        results = region.call(body, [*arguments, *state[:count]], lifted)
        following = results[:count]
        kinds = len(stacked)
        for spec, stack, result in zip(
            stacked, state[count : count + kinds], results[count : count + kinds], strict=True
        ):
            row = region.add(grad.reshape, result, [1, *spec.shape])
            indices = [place] + [zero] * len(spec.shape)
            following.append(region.add(grad.dynamic_update_slice, stack, row, indices))
        following += outcome.merge(region, state[count + kinds :], results[count + kinds :])
        region.leave(following)
        _set_policy(loop, checkpoint)
        return loop

    results = here.emit_many(build)
    behind = count + len(stacked)
    outcome.leave(results[behind:])
    return results[:count], results[count:behind]


def _empty(type_: str, *, loc: ir.Location, ip: ir.Block) -> ir.Value:
    return ir.Operation("tensor.empty", [], [type_], {}, 0, loc, ip).results[0]


@hide_frames
def fori_loop(
    lower: Any,
    upper: Any,
    body_fun: Callable[[Any, Any], Any],
    init_val: Any,
    *,
    unroll: int | bool | None = None,
    checkpoint: Checkpoint = None,
) -> Any:
    """A loop over the integers from `lower` to `upper`, exclusive.

    The meaning is that of

        val = init_val
        for i in range(lower, upper):
            val = body_fun(i, val)
        return val

    Args:
        lower: an integer, traced or not.
        upper: an integer, traced or not. Derivatives in reverse mode need less time if both are
            known while tracing.
        body_fun: function of the counter and of what the loop carries; returns what is carried to
            the next iteration, of the same structure, shapes and dtypes. It may write to the
            arrays that it gets.
        init_val: pytree of what the loop carries at first.
        unroll: how many iterations are written down one after the other, in one of the compiled
            loop; True or 0 for all.
        checkpoint: what is kept for derivatives in reverse mode (`gradopt.base.policies`).

    Returns:
        What the loop carries in the end.

    Raises:
        ArgumentError: `body_fun` returns something else than it gets; the message names the path.
            Or iterations are to be unrolled whose number is known at run time.
        ArgumentTypeError: a bound is no integer, or a dtype changes.
    """
    check_callable(body_fun)
    begin, end = _integer(lower, "lower"), _integer(upper, "upper")
    known = max(end - begin, 0) if isinstance(begin, int) and isinstance(end, int) else None
    times = _unrolled(unroll, known)
    if current_scope() is None:
        value = _own(init_val)
        for i in range(begin, end):  # pyright: ignore[reportArgumentType]
            value = body_fun(i, value)
        return value
    if times > 1 and known is not None:
        whole, first = known // times, begin

        def several(block: Any, value: Any) -> Any:
            for i in range(times):
                value = body_fun(first + block * times + i, value)
            return value

        value = fori_loop(0, whole, several, init_val, checkpoint=checkpoint)
        return fori_loop(first + whole * times, end, body_fun, value, checkpoint=checkpoint)
    specs, values, tree = traced_specs(init_val, "init_val")

    def call(state: Any, index: Any) -> tuple[Any, Any]:
        return call_user(body_fun, (index, state), {}), None

    body, specs = trace_carry(body_fun, specs, tree, call, [_INDEX], "fori_loop")
    if known is None:
        trips: Value | int = prims.as_value(end, INT64) - prims.as_value(begin, INT64)
    else:
        trips = known
    inits = adapted(values, specs)
    results, _ = counted(trips, body.inner, inits, first=begin, checkpoint=checkpoint)
    return _rebuild(tree, specs, results)


def _unrolled(unroll: Any, trips: int | None) -> int:
    """How many iterations are written down one after the other."""
    if unroll is None or unroll is False:
        return 1
    times = 0 if unroll is True else checked_integer(unroll, "unroll")
    if times < 0:
        raise ArgumentError(f"unroll must not be negative, but it is {times}", source_location())
    if times == 1:
        return 1
    if trips is None:
        raise ArgumentError(
            "iterations can be unrolled only where lower and upper are known while tracing",
            source_location(),
        )
    return min(times or trips, trips)


def _rebuild(tree: TreeDef, specs: Sequence[Spec], values: Sequence[Value]) -> Any:
    return tree.unflatten([spec.wrap(value) for spec, value in zip(specs, values, strict=True)])


@hide_frames
def scan(
    f: Callable[[Any, Any], tuple[Any, Any]],
    init: Any,
    xs: Any = None,
    length: int | None = None,
    reverse: bool = False,
    unroll: int | bool = 1,
    *,
    checkpoint: Checkpoint = None,
) -> tuple[Any, Any]:
    """A loop over the first axis of arrays that carries a state and stacks results.

    The meaning is that of

        carry, ys = init, []
        for x in xs:
            carry, y = f(carry, x)
            ys.append(y)
        return carry, np.stack(ys)

    Args:
        f: function of the state and of one slice of `xs`; returns the next state, of the same
            structure, shapes and dtypes, and a result. It may write to the arrays that it gets.
        init: pytree, the first state.
        xs: pytree of arrays whose first axes have one length; or None.
        length: number of iterations; needed if `xs` has no arrays.
        reverse: whether to begin at the end of `xs`; the results keep the order of `xs`.
        unroll: how many iterations are written down one after the other, in one of the compiled
            loop; True or 0 for all.
        checkpoint: what is kept for derivatives in reverse mode (`gradopt.base.policies`).

    Returns:
        The last state, and the results, stacked along a new first axis.

    Raises:
        ArgumentError: lengths differ or are missing, or `f` returns another state than it gets;
            the message names the path.
        ArgumentTypeError: an element of `xs` is no array.
    """
    check_callable(f)
    if current_scope() is None:
        _unrolled(unroll, 0)
        return _scan_in_python(f, init, xs, length, reverse)
    slices, arrays, xs_tree = traced_specs(xs, "xs")
    count = _common_length([a.shape for a in arrays], leaf_paths(xs_tree, "xs"), length)
    times = _unrolled(unroll, count)
    if times > 1:
        return _scan_unrolled(f, init, xs, count, reverse, times, checkpoint)
    specs, values, tree = traced_specs(init, "init")
    slices = [Spec(s.shape[1:], s.dtype, weak=False, is_scalar=s.shape[1:] == ()) for s in slices]
    y_trees: list[TreeDef] = []

    def call(state: Any, *parts: Any) -> tuple[Any, Any]:
        result = call_user(f, (state, xs_tree.unflatten(parts)), {})
        if type(result) is not tuple or len(result) != 2:
            raise ArgumentError(
                f"{function_name(f)} must return (carry, y), but it returned "
                f"{describe_returned(result)}",
                function_source(f),
            )
        y_trees.append(flatten(result[1])[1])
        return result

    body, specs = trace_carry(f, specs, tree, call, slices, "scan")
    results, stacked = counted(
        count,
        body.inner,
        adapted(values, specs),
        stacked=body.specs[len(specs) :],
        sliced=arrays,
        reverse=reverse,
        checkpoint=checkpoint,
    )
    ys = y_trees[-1].unflatten([_array(value) for value in stacked])
    return _rebuild(tree, specs, results), ys


def _scan_unrolled(
    f: Callable[[Any, Any], tuple[Any, Any]],
    init: Any,
    xs: Any,
    count: int,
    reverse: bool,
    times: int,
    checkpoint: Checkpoint,
) -> tuple[Any, Any]:
    """A loop over groups of slices, and one over those that are left at the end."""
    whole = count // times * times

    def several(carry: Any, group: Any) -> tuple[Any, Any]:
        ys: list[Any] = [None] * times
        for i in reversed(range(times)) if reverse else range(times):
            carry, ys[i] = call_user(f, (carry, tree_map(lambda x, i=i: x[i], group)), {})
        return carry, tree_map(lambda *parts: np.stack(parts), *ys)

    def groups(carry: Any) -> tuple[Any, Any]:
        parts = tree_map(lambda x: _grouped(x[:whole], times), xs)
        carry, ys = scan(several, carry, parts, whole // times, reverse, checkpoint=checkpoint)
        return carry, tree_map(lambda y: np.reshape(y, (whole, *y.shape[2:])), ys)

    def left(carry: Any) -> tuple[Any, Any]:
        parts = tree_map(lambda x: x[whole:], xs)
        return scan(f, carry, parts, count - whole, reverse, checkpoint=checkpoint)

    if whole == count:
        return groups(init)
    if reverse:
        carry, behind = left(init)
        carry, before = groups(carry)
    else:
        carry, before = groups(init)
        carry, behind = left(carry)
    return carry, tree_map(lambda *parts: np.concatenate(parts), before, behind)


def _grouped(x: Any, size: int) -> Any:
    """An array with its first axis as groups of one size."""
    return np.reshape(x, (x.shape[0] // size, size, *x.shape[1:]))


def _array(value: Value) -> Any:
    return Spec(value.shape, value.dtype, weak=False, is_scalar=False).wrap(value)


def _common_length(shapes: Sequence[tuple[int, ...]], paths: Sequence[str], length: Any) -> int:
    if length is not None and not isinstance(length, Handle):
        length = checked_integer(length, "length")
    for shape, path in zip(shapes, paths, strict=True):
        if not shape:
            raise ArgumentError(f"{path} has no first axis to loop over", source_location())
        if length is not None and shape[0] != length:
            raise ArgumentError(
                f"expected length {length} of the first axis of {path}, but it has shape {shape}",
                source_location(),
            )
        length = shape[0]
    if length is None:
        raise ArgumentError(
            "scan needs length, the number of iterations, where xs has no arrays", source_location()
        )
    if isinstance(length, Handle) or length < 0:
        raise ArgumentTypeError(
            "length must be an integer that is known and not negative, but it is "
            f"{describe_value(length)}",
            source_location(),
        )
    return int(length)


def _own(tree: Any) -> Any:
    """The tree with copies of its arrays: a body may write to what it gets, as in compiled code."""
    return tree_map(lambda leaf: leaf.copy() if type(leaf) is np.ndarray else leaf, tree)


def _scan_in_python(
    f: Callable[[Any, Any], tuple[Any, Any]], init: Any, xs: Any, length: Any, reverse: bool
) -> tuple[Any, Any]:
    leaves, tree = flatten(xs)
    leaves = [np.asarray(leaf) for leaf in leaves]
    count = _common_length([x.shape for x in leaves], leaf_paths(tree, "xs"), length)
    carry, ys = _own(init), []
    for i in reversed(range(count)) if reverse else range(count):
        carry, y = f(carry, _own(tree.unflatten([leaf[i] for leaf in leaves])))
        ys.append(_own(y))
    if reverse:
        ys.reverse()
    if not ys:
        # What a result would be like, a trace knows.
        results = Compiled(lambda init, xs: scan(f, init, xs, length, reverse)[1])
        return carry, results(init, xs)
    return carry, tree_map(lambda *parts: np.stack(parts), *ys)


@hide_frames
def map(f: Callable[[Any], Any], xs: Any, *, batch_size: int | None = None) -> Any:
    """A function of the slices of arrays along the first axis, one after the other.

    As `vmap`, but with the memory of one call, or of `batch_size` of them.

    Args:
        f: function of one slice.
        xs: pytree of arrays whose first axes have one length.
        batch_size: how many slices `vmap` takes at once; those that are left at the end are a
            batch of their own. 0 for all.

    Returns:
        The results, stacked along a new first axis.

    Raises:
        ArgumentError: lengths differ, or there are no arrays; the message names the path.
    """
    check_callable(f)
    if not flatten(xs)[0]:
        raise ArgumentError(
            f"xs must have arrays to loop over, but it is {describe_value(xs)}", source_location()
        )

    size = None if batch_size is None else checked_integer(batch_size, "batch_size")
    if size is not None and size < 0:
        raise ArgumentError(f"batch_size must not be negative, but it is {size}", source_location())

    def step(carry: None, x: Any) -> tuple[None, Any]:
        return carry, call_user(f, (x,), {})

    if size is None or current_scope() is None:
        return scan(step, None, xs)[1]
    shapes = [np.shape(x) for x in flatten(xs)[0]]
    count = _common_length(shapes, leaf_paths(flatten(xs)[1], "xs"), None)
    size = min(size or count, count)
    if size == count:
        return vmap(f)(xs) if count else scan(step, None, xs)[1]
    whole = count // size * size

    def batch(carry: None, group: Any) -> tuple[None, Any]:
        return carry, vmap(f)(group)

    _, batches = scan(batch, None, tree_map(lambda x: _grouped(x[:whole], size), xs))
    results = tree_map(lambda y: np.reshape(y, (whole, *y.shape[2:])), batches)
    if whole == count:
        return results
    rest = vmap(f)(tree_map(lambda x: x[whole:], xs))
    return tree_map(lambda *parts: np.concatenate(parts), results, rest)


@hide_frames
def while_loop(
    cond_fun: Callable[[Any], Any],
    body_fun: Callable[[Any], Any],
    init_val: Any,
    *,
    checkpoint: Checkpoint = None,
) -> Any:
    """A loop that goes on while a condition holds.

    The meaning is that of

        val = init_val
        while cond_fun(val):
            val = body_fun(val)
        return val

    It has derivatives in both modes. In reverse mode the loop is run a second time, from states
    that it keeps; how much memory that takes is known before it runs.

    Args:
        cond_fun: function of what the loop carries; returns a bool.
        body_fun: function of the same; returns what is carried to the next iteration, of the same
            structure, shapes and dtypes. It may write to the arrays that it gets.
        init_val: pytree of what the loop carries at first.
        checkpoint: what is kept for derivatives in reverse mode (`gradopt.base.policies`).

    Returns:
        What the loop carries in the end.

    Raises:
        ArgumentError: `body_fun` returns something else than it gets; the message names the path.
        ArgumentTypeError: the condition is no bool, or a dtype changes.
    """
    check_callable(cond_fun)
    check_callable(body_fun)
    if current_scope() is None and not is_traced(flatten(init_val)[0]):
        value = _own(init_val)
        while cond_fun(value):
            value = body_fun(value)
        return value
    check_policy(checkpoint)
    specs, values, tree = traced_specs(init_val, "init_val")

    def call(state: Any) -> tuple[Any, Any]:
        return call_user(body_fun, (state,), {}), None

    body, specs = trace_carry(body_fun, specs, tree, call, [], "while_loop")
    condition = trace_body(
        cond_fun, specs, lambda state: call_user(cond_fun, (tree.unflatten(state),), {})
    )
    check_predicate(condition, cond_fun)
    results = repeated(condition.inner, body.inner, adapted(values, specs), checkpoint)
    return _rebuild(tree, specs, results)


def repeated(
    condition: InnerFunction,
    body: InnerFunction,
    inits: Sequence[Value],
    checkpoint: Checkpoint = None,
) -> list[Value]:
    """Adds a loop that goes on while a condition holds; what it carried in the end.

    Args:
        condition: of what is carried.
        body: gives what is carried to the next iteration.
        inits: initial values of that.
        checkpoint: what is kept for derivatives in reverse mode.
    """
    here = prims.scope()
    outcome = Outcome(here, [condition, body])
    lifted = [[here.use(value) for value in inner.inputs] for inner in (condition, body)]
    carried = [here.use(v) for v in inits] + outcome.inits
    count = len(inits)

    def build(*, loc: ir.Location, ip: ir.Block) -> ir.Operation:
        types = [v.type for v in carried]
        loop = ir.Operation("scf.while", carried, types, {}, 2, loc, ip)
        before, after = loop.regions
        for block in loop.regions:
            for type_ in types:
                block.add_argument(type_, loc)
        region, state = Region(here, before), before.arguments
        truth, *found = region.call(condition, state[:count], lifted[0])
        failures = outcome.merge(region, state[count:], found)
        truth = outcome.unless_failed(region, truth, failures)
        region.op("scf.condition", [region.flag(truth), *state[:count], *failures])
        region, state = Region(here, after), after.arguments
        results = region.call(body, state[:count], lifted[1])
        failures = outcome.merge(region, state[count:], results[count:])
        region.leave([*results[:count], *failures])
        _set_policy(loop, checkpoint)
        return loop

    results = here.emit_many(build)
    outcome.leave(results[count:])
    return results[:count]


def _set_policy(loop: ir.Operation, checkpoint: Checkpoint) -> None:
    """Notes the policy of a loop in the IR."""
    if checkpoint is not None:
        make = ir.string if isinstance(checkpoint, str) else ir.integer
        loop.discardable = {"grad.checkpoint": make(checkpoint)}  # pyright: ignore


def check_predicate(condition: Body, function: Callable[..., Any]) -> None:
    """Raises an ArgumentTypeError if a condition returns something else than one bool."""
    if condition.tree.cls is None:
        spec = condition.specs[0]
        if spec.shape == () and spec.dtype == BOOL:
            return
        returned = str(spec)
    else:
        returned = f"the pytree {condition.tree}"
    raise ArgumentTypeError(
        f"{function_name(function)} must return one bool, but it returned {returned}",
        function_source(function),
    )
