# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""fori_loop, scan, map and while_loop: loops in compiled code.

In a trace they become `scf.for` and `scf.while`. Outside of one they are what they stand for, loops
in Python.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from gradopt.array.handle import Handle, array_of
from gradopt.array.operands import is_traced
from gradopt.array.unknown_sizes import apart
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
from gradopt.errors import ArgumentError, ArgumentTypeError, UnsupportedError
from gradopt.ir import prims, sized
from gradopt.ir.current import current_scope
from gradopt.ir.extents import is_extent
from gradopt.ir.prims import scalar
from gradopt.ir.values import Value, depends
from gradopt.recording import ir
from gradopt.transforms.batching import vmap
from gradopt.transforms.bodies import (
    Body,
    Outcome,
    Region,
    Spec,
    adapted,
    trace_body,
    trace_carry,
    traced_specs,
)
from gradopt.transforms.counted import (
    counted,
    row_spec,
    rows_of,
    set_policy,
    shown_row,
    stacked_rows,
)
from gradopt.transforms.inner import InnerFunction, traced_leaves
from gradopt.transforms.jacobian_products import shapes_outside, whole_results

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
    specs, values, tree = _carried(init_val, "init_val")

    def call(state: Any, index: Any) -> tuple[Any, Any]:
        return apart(call_user(body_fun, (index, state), {}), Handle._read), None

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
    leaves, xs_tree, paths = traced_leaves(xs, "xs", with_sized=True)
    count = _common_length([leaf._extents for leaf in leaves], paths, length)
    times = _unrolled(unroll, None if is_extent(count) else count)
    if times > 1:
        return _scan_unrolled(f, init, xs, count, reverse, times, checkpoint)
    specs, values, tree = _carried(init, "init")
    found: list[tuple[TreeDef, list[list[Any]]]] = []

    def call(state: Any, *parts: Any) -> tuple[Any, Any]:
        arguments = [leaf._read() for leaf in (*parts, *flatten(apart(state, Handle._read))[0])]
        rows = [shown_row(part, leaf) for part, leaf in zip(parts, leaves, strict=True)]
        result = call_user(f, (state, xs_tree.unflatten(rows)), {})
        if type(result) is not tuple or len(result) != 2:
            raise ArgumentError(
                f"{function_name(f)} must return (carry, y), but it returned "
                f"{describe_returned(result)}",
                function_source(f),
            )
        ys, y_tree, sizes, counts = whole_results(result[1], f, "result[1]")
        if depends(counts, arguments):
            raise UnsupportedError(
                f"what {function_name(f)} returns beside the state may have another size in each "
                "iteration; write it to a part of an array of known size, as in `y[:n] = x`, and "
                "return n with it",
                function_source(f),
            )
        found.append((y_tree, sizes))
        return apart(result[0], Handle._read), [array_of(value) for value in (*ys, *counts)]

    rows = [row_spec(leaf) for leaf in leaves]
    body, specs = trace_carry(f, specs, tree, call, rows, "scan")
    results, stacked = counted(
        count.value if is_extent(count) else count,
        body.inner,
        adapted(values, specs),
        stacked=body.specs[len(specs) :],
        sliced=[rows_of(leaf, count) for leaf in leaves],
        reverse=reverse,
        checkpoint=checkpoint,
        most=count.bound if is_extent(count) else None,
    )
    y_tree, sizes = found[-1]
    counts = [_of_any(stack, count) for stack in stacked[len(sizes) :]]
    shapes = shapes_outside(sizes, counts)
    ys = [stacked_rows(stacked[i], [count, *shape]) for i, shape in enumerate(shapes)]
    return _rebuild(tree, specs, results), y_tree.unflatten(ys)


def _of_any(stack: Value, count: Any) -> Value:
    """A number that was the same in all iterations; 0 if there were none."""
    if not stack.shape[0]:
        return scalar(0, INT64)
    number: Any = array_of(stack)[0]
    if is_extent(count):
        number = np.where(array_of(count.value) > 0, number, 0)
    return number._read()


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


def _carried(tree: Any, root: str) -> tuple[list[Spec], list[Value], TreeDef]:
    """As `traced_specs`, with the parts of arrays whose size is known at run time only."""
    return traced_specs(apart(tree, Handle._read), root)


def _common_length(shapes: Sequence[tuple[int, ...]], paths: Sequence[str], length: Any) -> Any:
    """An integer, or an `Extent`."""
    if length is not None and not isinstance(length, Handle):
        length = checked_integer(length, "length")
    for shape, path in zip(shapes, paths, strict=True):
        if not shape:
            raise ArgumentError(f"{path} has no first axis to loop over", source_location())
        if is_extent(shape[0]) or is_extent(length):
            if length is not None:
                sized.require_same(shape[0], length, f"the first axis of {path} has another length")
            length = shape[0] if length is None or not is_extent(shape[0]) else length
            continue
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
    if is_extent(length):
        return length
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
    shapes = [x._extents if isinstance(x, Handle) else np.shape(x) for x in flatten(xs)[0]]
    count = _common_length(shapes, leaf_paths(flatten(xs)[1], "xs"), None)
    if is_extent(count):
        return vmap(f)(xs)
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
    specs, values, tree = _carried(init_val, "init_val")

    def call(state: Any) -> tuple[Any, Any]:
        return apart(call_user(body_fun, (state,), {}), Handle._read), None

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
        set_policy(loop, checkpoint)
        return loop

    results = here.emit_many(build)
    outcome.leave(results[count:])
    return results[:count]


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
