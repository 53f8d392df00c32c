# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Loops with a counter, which take arrays apart by rows and put results together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from gradopt.array.handle import Handle
from gradopt.array.unknown_sizes import first_of, whole_of
from gradopt.base.dtypes import INT64
from gradopt.base.policies import Checkpoint, check_policy
from gradopt.ir import prims, sized
from gradopt.ir.extents import Sizes, bounds_of, shape_with
from gradopt.ir.prims import scalar
from gradopt.ir.types import tensor_type
from gradopt.ir.values import Value
from gradopt.recording import grad, ir
from gradopt.transforms.bodies import Outcome, Raw, Region, Spec, index_of
from gradopt.transforms.inner import InnerFunction


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
    most: int | None = None,
    width: int = 1,
    start: Value | None = None,
    onto: Sequence[Value] | None = None,
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
        most: how many iterations there are at most, where `trips` is not known. As many slices are
            there then.
        width: how many rows a slice and a result has; if it is not one, that is their first axis.
        start: the row at which the first slice begins; 0 if None.
        onto: stacks that the results are written to; new ones, a row for each iteration, if None.
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
    length = trips if isinstance(trips, int) else most or 0  # Stacks need a number that is known.
    last = None
    if reverse:
        last = here.use(prims.as_value(trips, INT64) - 1)
    by = here.use(scalar(width, INT64)) if width > 1 else None
    begun = None if start is None else here.use(start)
    stacks = empty_rows(stacked, length) if onto is None else onto
    carried = [here.use(v) for v in (*inits, *stacks)] + outcome.inits
    begin, end, step = (index_of(here, bound) for bound in (0, trips, 1))
    lead = () if width > 1 else (1,)

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
        if by is not None:
            place = region.add(grad.multiply, place, by)
        if begun is not None:
            place = region.add(grad.add, place, begun)
        for array, value in zip(arrays, sliced, strict=True):
            shape = value.shape[1:]
            indices = [place] + [zero] * len(shape)
            part = _within(region.add(grad.dynamic_slice, array, indices, [width, *shape]), most)
            arguments.append(region.add(grad.reshape, part, list(shape)) if lead else part)
        results = region.call(body, [*arguments, *state[:count]], lifted)
        following = results[:count]
        kinds = len(stacked)
        for spec, stack, result in zip(
            stacked, state[count : count + kinds], results[count : count + kinds], strict=True
        ):
            row = region.add(grad.reshape, result, [1, *spec.shape]) if lead else result
            indices = [place] + [zero] * (len(spec.shape) - 1 + len(lead))
            update = region.add(grad.dynamic_update_slice, stack, row, indices)
            following.append(_within(update, most))
        following += outcome.merge(region, state[count + kinds :], results[count + kinds :])
        region.leave(following)
        set_policy(loop, checkpoint)
        if most is not None:
            loop.discardable = {**(loop.discardable or {}), "grad.max_trip_count": ir.integer(most)}
        return loop

    results = here.emit_many(build)
    behind = count + len(stacked)
    outcome.leave(results[behind:])
    return results[:count], results[count:behind]


def _within(result: Raw, most: int | None) -> Raw:
    """The result of an access to rows that are there, which the compiler is told if it cannot know
    how many there are."""
    if most is not None:
        result.owner.discardable = {"grad.in_bounds": ir.UNIT}
    return result


def _empty(type_: str, *, loc: ir.Location, ip: ir.Block) -> ir.Value:
    return ir.Operation("tensor.empty", [], [type_], {}, 0, loc, ip).results[0]


def empty_rows(specs: Sequence[Spec], count: int) -> list[Value]:
    """Room for so many of each."""
    here = prims.scope()
    return [here.emit(_empty, tensor_type((count, *spec.shape), spec.dtype)) for spec in specs]


def set_policy(loop: ir.Operation, checkpoint: Checkpoint) -> None:
    """Notes the policy of a loop in the IR."""
    if checkpoint is not None:
        make = ir.string if isinstance(checkpoint, str) else ir.integer
        loop.discardable = {"grad.checkpoint": make(checkpoint)}  # pyright: ignore


def rows_of(leaf: Handle, count: Any) -> Value:
    """An array that has so many rows, a size that may not be known, and as many more as there can
    be of them."""
    wanted = shape_with([count, *leaf._extents[1:]])
    if leaf._extents == wanted:
        return whole_of(leaf)
    return sized.padded(sized.resized(leaf._read(), wanted))


def row_spec(leaf: Handle, width: int = 1) -> Spec:
    """Of what a loop over rows gets of the array: as large as it can be."""
    shape = bounds_of(leaf._extents[1:])
    shape = shape if width == 1 else (width, *shape)
    return Spec(shape, leaf.dtype, weak=False, is_scalar=shape == ())


def shown_row(part: Any, leaf: Handle) -> Any:
    """A row of the array, as large as it is."""
    sizes = shape_with(leaf._extents[1:])
    return first_of(part._read(), sizes) if sizes.__class__ is Sizes else part


def stacked_rows(value: Value, shape: Sequence[Any]) -> Any:
    """Rows that were put together, as many and as large as they are."""
    return first_of(value, shape)
