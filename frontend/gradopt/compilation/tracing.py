# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""How a function becomes a program: it is called with traced arguments, once."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from gradopt._gradopt import OPEN_SIZE
from gradopt.array.handle import Handle, argument_array
from gradopt.array.unknown_sizes import apart, sized_argument, sizes_among
from gradopt.base.devices import CPU
from gradopt.base.dims import Dim
from gradopt.base.location import function_source
from gradopt.base.open_sizes import is_open, room_for
from gradopt.base.options import Options
from gradopt.base.pytree import TreeDef, flatten, leaf_paths
from gradopt.compilation.calling import call_user, function_name, returned_value
from gradopt.compilation.donation import donated_leaves, pair_results, warn_of_unused
from gradopt.compilation.lowered import Leaf, LoopReport, Lowered, OpenSizes, argument_sizes
from gradopt.compilation.placement import device_of
from gradopt.compilation.store import store_directory
from gradopt.errors import MutationError, UnsupportedError
from gradopt.ir.checks import outcome_of
from gradopt.ir.intervals import assume
from gradopt.ir.trace import Scope, Trace, within
from gradopt.ir.values import Value

if TYPE_CHECKING:
    from gradopt.compilation.compiled import Compiled


class Given(NamedTuple):
    """What compiled code is called with.

    Attributes:
        leaves: those of the arguments, and sizes that `dynamic=` names.
        arguments: what they are like.
        are_sized: which of them may have fewer rows; others may not.
        dims: the names of the sizes.
    """

    leaves: list[Any]
    arguments: list[Leaf]
    are_sized: Sequence[bool] = ()
    dims: Sequence[Dim] = ()


class Results(NamedTuple):
    """What a traced function returned.

    Attributes:
        values: the leaves of that, and what arguments hold that were written to.
        tree: the structure of what it returned.
        paths: how the user reaches the leaves.
        written: which arguments were written to, by number.
    """

    values: list[Value]
    tree: TreeDef
    paths: list[str]
    written: list[int]


class Tracing:
    """The program of a function for arguments of one kind, while it is made.

    Args:
        function: the user's.
        options: how it is compiled.
        given: what it is called with.
        structure: of the arguments.
        count: how many leaves they have; what is given behind them are sizes.

    Attributes:
        trace: the module.
        given: what it is called with.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        options: Options,
        given: Given,
        structure: TreeDef,
        count: int,
    ) -> None:
        self.given = given
        self._function, self._options = function, options
        self._structure, self._count = structure, count
        self._name = function_name(function)
        paths = [leaf.path for leaf in given.arguments]
        self._device = device_of(given.leaves, paths, options.device, self._name)
        self._open_sizes = [
            number for number, dim in enumerate(given.dims, count) if dim.max == OPEN_SIZE
        ]
        if self._open_sizes and self._device != CPU:
            # Who traces goes on with a largest value.
            raise UnsupportedError(
                f"code for {self._device} has room for a number of rows that is known"
            )
        self.trace = Trace(
            store_directory() if options.cache else "",
            options.capture == "rewrite",
            on_device=self._device != CPU,
            checkpoint=options.checkpoint,
        )
        self.trace.has_dims = bool(given.dims)
        self.trace.is_open = bool(self._open_sizes)
        self._scope = Scope(self.trace, None, "main", function)
        self._inputs: list[Value] = []

    def run(self) -> Results:
        """Calls the function."""
        return within(self._scope, self._call)

    def _call(self) -> Results:
        scope, given = self._scope, self.given
        self._inputs = [
            scope.add_argument(leaf.shape, leaf.dtype, leaf.path) for leaf in given.arguments
        ]
        traced = self._traced_arguments()
        positional, named = self._structure.unflatten(traced)
        result = call_user(self._function, positional, named)
        if self.trace.has_sizes:
            result = apart(result, Handle._read)
        flat, tree = flatten(result)
        if sizes := argument_sizes(given.arguments):
            scope.state_argument_sizes(sizes)
        if sizes := sizes_among(tree):
            scope.state_sizes(sizes)
        paths = leaf_paths(tree, "result")
        values = [
            returned_value(leaf, path, self._function)
            for leaf, path in zip(flat, paths, strict=True)
        ]
        written = self._written(traced)
        values += [traced[i]._storage.value for i in written]
        self._require_small_arrays()
        scope.finish([*values, *outcome_of(scope)])
        return Results(values, tree, paths, written)

    def _traced_arguments(self) -> list[Handle]:
        """The leaves of the arguments as the function gets them."""
        trace, given, count = self.trace, self.given, self._count
        inputs, own = self._inputs[:count], given.arguments[:count]
        if trace.rewrites:
            for i, leaf in enumerate(own):
                if leaf.weak and leaf.dtype.kind == "i":
                    trace.sizes[inputs[i].ssa] = i
        counts = dict(zip(given.dims, self._inputs[count:], strict=True))
        for dim, value in counts.items():
            assume(value, 0, dim.max or 0)
        donated = donated_leaves(self._options, self._structure)
        return [
            sized_argument(value, leaf.path, leaf.sizes, counts, is_ordered=not any(leaf.strides))
            if leaf.sizes
            else argument_array(
                value,
                leaf.path,
                weak=leaf.weak,
                scalar=leaf.scalar,
                frozen=not trace.rewrites or is_donated,
                strides=_steps(leaf),
            )
            for value, leaf, is_donated in zip(inputs, own, donated, strict=True)
        ]

    def _written(self, traced: Sequence[Handle]) -> list[int]:
        """Which arguments the function wrote to."""
        written: list[int] = []
        for i, handle in enumerate(traced):
            handle._storage.require_unspoiled()
            # What has a size of the call cannot be written to.
            is_sized = bool(self.given.arguments[i].sizes)
            if not is_sized and handle._storage.value is not self._inputs[i]:
                written.append(i)
        return written

    def _require_small_arrays(self) -> None:
        """Says how much room there has to be for sizes that have no largest value."""
        if not self._open_sizes:
            return
        own = self.given.arguments[: self._count]
        shapes = [leaf.sizes or leaf.shape for leaf in own]
        shapes += [array.shape for array in self.trace.captures]
        if any(is_open(n) for shape in shapes for n in shape if isinstance(n, int)):
            raise UnsupportedError(f"an array of {self._name} is too large")
        self._scope.state_room(self._open_sizes)

    def lowered(self, results: Results, owner: Compiled) -> Lowered:
        """The program.

        Args:
            results: what `run` gave.
            owner: the compiled function that it is of.
        """
        trace, arguments, written = self.trace, self.given.arguments, results.written
        if written and self._device != CPU:
            raise MutationError(
                f"{self._name} writes to its argument {arguments[written[0]].path}, which is on "
                f"{self._device}; copy it first, and return it",
                function_source(self._function),
            )
        outputs = [
            Leaf(path, value.dtype, value.shape)
            for value, path in zip(results.values, results.paths, strict=False)
        ]
        reused = self._reused(outputs, written)
        outputs += [
            Leaf(arguments[i].path, arguments[i].dtype, arguments[i].shape) for i in written
        ]
        # Sizes of results that are arguments.
        count = self._count
        sizes = {self._inputs[i].ssa: i for i in range(count, len(self._inputs))}
        return Lowered(
            self._name,
            function_source(inspect.unwrap(self._function)),
            *trace.text(),
            arguments,
            outputs,
            results.tree,
            trace.captures,
            trace.checks if self._scope.outcome is not None else (),
            tuple(trace.targets),
            reused,
            self._options,
            self._device,
            owner,
            self._structure,
            [LoopReport(place, not reason, reason) for place, reason in trace.loops.items()],
            written,
            self._room(),
            [
                (result, axis, number, sizes.get(results.values[number].ssa, -1))
                for result, axis, number in sizes_among(results.tree)
            ],
            trace.depends_on_order,
        )

    def _reused(self, outputs: Sequence[Leaf], written: Sequence[int]) -> dict[int, int]:
        """Which results are in the memory of which arguments."""
        reused: dict[int, int] = {}
        arguments, options = self.given.arguments, self._options
        if options.donate_argnums or options.donate_argnames:
            donated = donated_leaves(options, self._structure)
            reused = pair_results(arguments, outputs, donated)
            warn_of_unused(self._function, self._name, arguments, donated, reused)
        # Where a check may fail, arrays stay as they are until all of them hold.
        if self._scope.outcome is None:
            places = enumerate(written, len(outputs))
            reused.update({result: i for result, i in places if arguments[i].shape})
        if reused:
            self._scope.reuse_arguments(reused)
        return reused

    def _room(self) -> OpenSizes | None:
        """How much room there has to be for sizes that have no largest value."""
        if not self._open_sizes:
            return None
        least = self.trace.least_room
        rows = room_for([self.given.leaves[i] for i in self._open_sizes], least)
        return OpenSizes(tuple(self._open_sizes), least, rows)


def _steps(leaf: Leaf) -> tuple[int, ...] | None:
    """How an argument lies in memory, in elements, as `Storage.strides` has it."""
    size = leaf.dtype.itemsize
    if any(step % size for step in leaf.strides):
        return None
    return tuple([step // size for step in leaf.strides])
