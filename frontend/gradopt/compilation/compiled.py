# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""`Compiled`: a function that is traced and compiled once for each signature."""

from __future__ import annotations

import dataclasses
import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from gradopt import _gradopt
from gradopt._gradopt import OPEN_SIZE, DeviceArray
from gradopt.array.handle import Handle, SizeNeededError, argument_array
from gradopt.array.unknown_sizes import apart, sized_argument, sizes_among
from gradopt.base.device_arrays import wrapper_of
from gradopt.base.devices import CPU
from gradopt.base.dims import Dim, bounds, fit
from gradopt.base.dtypes import INT64, WEAK_DTYPES
from gradopt.base.frames import hide_frames
from gradopt.base.location import function_source
from gradopt.base.open_sizes import is_open, room_for
from gradopt.base.options import Options, make_options
from gradopt.base.parameters import parameters
from gradopt.base.pickling import global_name
from gradopt.base.pytree import TreeDef, flatten, flatten_like, leaf_paths
from gradopt.base.statics import Static, separate_statics, static
from gradopt.compilation.calling import (
    argument_leaf,
    argument_names,
    argument_paths,
    call_user,
    check_callable,
    function_name,
    returned_value,
    rewritten_here,
)
from gradopt.compilation.donation import donated_leaves, pair_results, warn_of_unused
from gradopt.compilation.lowered import (
    Leaf,
    LoopReport,
    Lowered,
    OpenSizes,
    argument_sizes,
    sized_strides,
    strides_of,
)
from gradopt.compilation.placement import device_of
from gradopt.compilation.profile import Profile
from gradopt.compilation.store import store_directory
from gradopt.errors import (
    ArgumentError,
    ArgumentTypeError,
    ConversionError,
    LeakedTracerError,
    MutationError,
    UnsupportedError,
)
from gradopt.ir.checks import outcome_of
from gradopt.ir.current import current_scope
from gradopt.ir.intervals import assume
from gradopt.ir.trace import Scope, Trace, within
from gradopt.ir.values import Value


class Compiled(_gradopt.Dispatcher):
    """A compiled function.

    It is traced and compiled at the first call for each combination of structure, shapes, dtypes
    and static arguments. Called with traced values it becomes part of the enclosing trace.
    """

    # Whether code is compiled for sizes that are larger than those before.
    _grows = True

    def __init__(self, function: Callable[..., Any], options: Options | None = None) -> None:
        check_callable(function)
        self._function = function
        self.options = options if options is not None else make_options(function, {})
        self._ready: Lowered | None = None
        # How large sizes can be that have no largest value; what code is looked up for. At first
        # that is any number of rows.
        self._room: dict[str, int] = dict.fromkeys(self.options.dynamic.open_names(), OPEN_SIZE)
        # Whether code depends on how arguments lie in memory.
        self._has_strides = False
        self._dispatch()
        functools.update_wrapper(self, function, updated=())

    def _dispatch(self) -> None:
        """Begins to look up code by arguments, of which those that are static now are compared."""
        self._dispatched = self.options
        self._dispatched_room = dict(self._room)
        self._dispatched_strides = self._has_strides
        sized = self.options.dynamic.of_rows(self._room)
        super().__init__(
            self.options.static_argnums,
            self.options.static_argnames,
            self.options.max_specializations,
            sized,
            bool(self.options.dynamic.arguments) and sized is None,
            self._has_strides,
        )

    def __repr__(self) -> str:
        return f"Compiled<{function_name(self._function)}>"

    def __copy__(self) -> Compiled:
        return self

    def __deepcopy__(self, memo: Any) -> Compiled:
        return self

    def __reduce__(self) -> str | tuple[Any, ...]:
        # Code is not kept.
        return global_name(self) or (Compiled, (self._function, self.options))

    @hide_frames
    def lower(self, *args: Any, **kwargs: Any) -> Lowered:
        """Traces the function for arguments like these, without compiling it.

        Args:
            args: arrays, numbers and pytrees of them; only shapes and dtypes matter.
            kwargs: the same.

        Raises:
            GradoptError: the function cannot be traced; the message names the source line.
        """
        return self._lower(args, kwargs)

    @hide_frames
    def profile(self, *args: Any, **kwargs: Any) -> Profile:
        """Calls the function some times, and says where in the source the time goes.

            print(step.profile(params, x, y))

        See `Lowered.profile`.

        Args:
            args: the arguments of the calls.
            kwargs: the same.
        """
        return self._lower(args, kwargs).profile(*args, **kwargs)

    def fixed_to(self, lowered: Lowered) -> Fixed:
        """The function that runs what was lowered, for its signature alone."""
        return Fixed(self, lowered)

    def compiled(self) -> list[Lowered]:
        """What calls have compiled until now."""
        found: list[Lowered] = [made.payload for made in self.cache_values()]
        return found if self._ready is None else [*found, self._ready]

    # -- What the native call path asks for ------------------------------------------------

    @hide_frames
    def _specialize(
        self, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> _gradopt.Specialization:
        before = self._dispatched
        lowered = self._take_ready(args, kwargs) or self._lower(args, dict(kwargs))
        if self.options is before:
            is_new = self._has_strides != self._dispatched_strides
            if is_new or self._room != self._dispatched_room:
                # There is code for smaller sizes only, or for any order, which is given up.
                self._ready = lowered
                self._dispatch()
            return lowered.specialization()
        # More arguments are static than the call was looked up by: this code is for the call alone,
        # and calls are looked up anew.
        statics = before.static_argnums, before.static_argnames
        leaves, structure = flatten(separate_statics(args, kwargs, *statics, self._static))
        places = structure.unflatten(list(range(len(leaves))))
        numbers, _ = flatten(self._argument_trees(*places))
        numbers += range(len(leaves), len(leaves) + len(lowered.arguments) - len(numbers))
        self._ready = lowered
        self._dispatch()
        return lowered.specialization(numbers)

    def _take_ready(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Lowered | None:
        """What was lowered for another call with such arguments and is not looked up yet."""
        ready = self._ready
        if ready is None:
            return None
        leaves, structure = flatten(self._argument_trees(args, kwargs))
        found = tuple(self._given(leaves, structure).arguments)
        if structure != ready.structure or found != ready.arguments:
            return None
        self._ready = None
        return ready

    @hide_frames
    def _flatten(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> tuple[Any, ...] | None:
        trees = self._argument_trees(args, kwargs)
        leaves, structure = flatten(trees)
        if any(isinstance(leaf, Handle) for leaf in leaves):
            known = [leaf._known() if isinstance(leaf, Handle) else leaf for leaf in leaves]
            if current_scope() is not None or any(leaf is None for leaf in known):
                return None
            leaves = known  # Made in a trace, and used by another thread.
        given = self._given(leaves, structure)
        on_device = any(type(leaf) is DeviceArray for leaf in given.leaves)
        wrapper = wrapper_of(leaves) if on_device else None
        # Code for smaller sizes does not do.
        key = (structure, *given.dims) if given.dims else structure
        return given.leaves, key, wrapper, given.are_sized

    @hide_frames
    def _inline(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        if current_scope() is None:
            raise LeakedTracerError(
                f"{function_name(self._function)} was called with a traced array outside the trace "
                "that made it",
                function_source(self._function),
            )
        return rewritten_here(self._function)(*args, **kwargs)

    # -- Tracing ---------------------------------------------------------------------------

    def _argument_trees(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        """The arguments as one pytree, in which static arguments are no leaves."""
        numbers, names = self.options.static_argnums, self.options.static_argnames
        return separate_statics(args, kwargs, numbers, names, self._static)

    def _static(self, value: Any, place: int | str) -> Static:
        try:
            hash(value)
            return static(value)
        except TypeError:
            name = place
            if isinstance(place, int):
                name = argument_names(self._function, place + 1)[place]
            raise ArgumentTypeError(
                f"the static argument {name} of {function_name(self._function)} is of type "
                f"{type(value).__name__}, which is not hashable; use a tuple or a frozen dataclass",
                function_source(self._function),
            ) from None

    def _given(self, leaves: Sequence[Any], structure: TreeDef) -> _Given:
        """What compiled code is called with, of the leaves of the arguments."""
        paths = argument_paths(self._function, structure)
        plain = [argument_leaf(x, path) for x, path in zip(leaves, paths, strict=True)]
        if not self.options.dynamic.arguments:
            arguments = [
                _argument(x, path, self._has_strides) for x, path in zip(plain, paths, strict=True)
            ]
            return _Given(plain, arguments)
        axes = self.options.dynamic.axes_of(structure)
        found = fit(plain, paths, axes, self._room, grows=self._grows)
        arguments: list[Leaf] = []
        for leaf, path, sizes in zip(found.leaves, paths, found.shapes, strict=True):
            made = _argument(leaf, path, self._has_strides)
            if sizes is not None:
                strides = sized_strides(leaf) if made.strides else ()
                made = made._replace(shape=bounds(sizes), sizes=sizes, strides=strides)
            arguments.append(made)
        for dim in found.dims:
            arguments.append(Leaf(f"the size {dim.name}", INT64, (), weak=True))
        sizes = [found.sizes[dim.name] for dim in found.dims]
        return _Given([*found.leaves, *sizes], arguments, found.are_sized, found.dims)

    def _lower(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Lowered:
        if OPEN_SIZE not in self._room.values():
            return self._lower_for_room(args, kwargs)
        try:
            lowered = self._lower_for_room(args, kwargs)
            lowered.require_open()
            return lowered
        except Exception:
            # Code for sizes with a bound, which is compiled anew for larger ones, if that can be.
            before, self._room = self._room, {}
            try:
                return self._lower_for_room(args, kwargs)
            except BaseException:
                self._room = before
                raise

    def _lower_for_room(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Lowered:
        while True:
            try:
                return self._trace(args, kwargs)
            except SizeNeededError as needed:
                self._make_static(needed.arguments, args, kwargs)
            except _OrderNeeded:
                continue

    def _make_static(
        self, arguments: set[int], args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> None:
        """Makes integers static from now on, since sizes depend on them."""
        _, structure = flatten(self._argument_trees(args, kwargs))
        paths = argument_paths(self._function, structure)
        positional, named = structure.children
        numbers, names = set(self.options.static_argnums), set(self.options.static_argnames)
        place = 0
        keys = (*range(len(positional.children)), *named.data)
        found = parameters(self._function)
        known = () if found is None else found.positional
        for key, child in zip(keys, (*positional.children, *named.children), strict=True):
            mine = arguments.intersection(range(place, place + child.leaf_count))
            place += child.leaf_count
            if mine and child.cls is not None:
                raise ConversionError(
                    f"a size depends on {paths[min(mine)]}, which must be known while tracing: "
                    "pass it as an argument of its own, or make the argument static "
                    "(static_argnums)",
                    function_source(self._function),
                )
            if mine and isinstance(key, int):
                numbers.add(key)
                if key < len(known):
                    names.add(known[key])
            elif mine:
                names.add(str(key))
                if key in known:
                    numbers.add(known.index(key))
        self.options = dataclasses.replace(
            self.options, static_argnums=tuple(numbers), static_argnames=tuple(names)
        )

    def _trace(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Lowered:
        leaves, structure = flatten(self._argument_trees(args, kwargs))
        given = self._given(leaves, structure)
        arguments = given.arguments
        paths = [leaf.path for leaf in arguments]
        device = device_of(given.leaves, paths, self.options.device, function_name(self._function))
        store = store_directory() if self.options.cache else ""
        trace = Trace(
            store,
            self.options.capture == "rewrite",
            on_device=device != "cpu",
            checkpoint=self.options.checkpoint,
        )
        trace.has_dims = bool(given.dims)
        open_sizes = [
            number for number, dim in enumerate(given.dims, len(leaves)) if dim.max == OPEN_SIZE
        ]
        if open_sizes and device != CPU:
            # `_lower` goes on with a largest value.
            raise UnsupportedError(f"code for {device} has room for a number of rows that is known")
        trace.is_open = bool(open_sizes)
        scope = Scope(trace, None, "main", self._function)

        def build() -> tuple[list[Value], TreeDef, list[str]]:
            inputs = [scope.add_argument(leaf.shape, leaf.dtype, leaf.path) for leaf in arguments]
            known.update({inputs[i].ssa: i for i in range(len(leaves), len(inputs))})
            own = arguments[: len(leaves)]
            if trace.rewrites:
                for i, leaf in enumerate(own):
                    if leaf.weak and leaf.dtype.kind == "i":
                        trace.sizes[inputs[i].ssa] = i
            counts = dict(zip(given.dims, inputs[len(leaves) :], strict=True))
            for dim, value in counts.items():
                assume(value, 0, dim.max or 0)
            donated = donated_leaves(self.options, structure)
            traced = [
                sized_argument(
                    value, leaf.path, leaf.sizes, counts, is_ordered=not any(leaf.strides)
                )
                if leaf.sizes
                else argument_array(
                    value,
                    leaf.path,
                    weak=leaf.weak,
                    scalar=leaf.scalar,
                    frozen=not trace.rewrites or is_donated,
                    strides=_steps(leaf),
                )
                for value, leaf, is_donated in zip(inputs[: len(leaves)], own, donated, strict=True)
            ]
            positional, named = structure.unflatten(traced)
            result = call_user(self._function, positional, named)
            if trace.has_sizes:
                result = apart(result, Handle._read)
            flat, result_tree = flatten(result)
            if sizes := argument_sizes(arguments):
                scope.state_argument_sizes(sizes)
            if sizes := sizes_among(result_tree):
                scope.state_sizes(sizes)
            result_paths = leaf_paths(result_tree, "result")
            results = [
                returned_value(leaf, path, self._function)
                for leaf, path in zip(flat, result_paths, strict=True)
            ]
            for i, handle in enumerate(traced):
                handle._storage.require_unspoiled()
                if own[i].sizes:
                    continue  # It cannot be written to.
                held = handle._storage.value
                if held is not inputs[i]:
                    written.append(i)
                    results.append(held)
            if trace.depends_on_order and not self._has_strides:
                self._has_strides = True
                if any(map(strides_of, given.leaves)):
                    raise _OrderNeeded
            if open_sizes:
                shapes = [leaf.sizes or leaf.shape for leaf in own]
                shapes += [array.shape for array in trace.captures]
                if any(is_open(n) for shape in shapes for n in shape if isinstance(n, int)):
                    raise UnsupportedError(f"an array of {name} is too large")
                scope.state_room(open_sizes)
            scope.finish([*results, *outcome_of(scope)])
            return results, result_tree, result_paths

        written: list[int] = []
        known: dict[Any, int] = {}  # Sizes that are arguments.
        name = function_name(self._function)
        try:
            results, result_tree, result_paths = within(scope, build)
            if written and device != CPU:
                raise MutationError(
                    f"{name} writes to its argument {arguments[written[0]].path}, which is on "
                    f"{device}; copy it first, and return it",
                    function_source(self._function),
                )
            outputs = [
                Leaf(p, r.dtype, r.shape) for r, p in zip(results, result_paths, strict=False)
            ]
            reused: dict[int, int] = {}
            if self.options.donate_argnums or self.options.donate_argnames:
                donated = donated_leaves(self.options, structure)
                reused = pair_results(arguments, outputs, donated)
                warn_of_unused(self._function, name, arguments, donated, reused)
            # Where a check may fail, arrays stay as they are until all of them hold.
            if scope.outcome is None:
                places = enumerate(written, len(outputs))
                reused.update({r: i for r, i in places if arguments[i].shape})
            if reused:
                scope.reuse_arguments(reused)
            outputs += [
                Leaf(arguments[i].path, arguments[i].dtype, arguments[i].shape) for i in written
            ]
            return Lowered(
                name,
                function_source(inspect.unwrap(self._function)),
                *trace.text(),
                arguments,
                outputs,
                result_tree,
                trace.captures,
                trace.checks if scope.outcome is not None else (),
                tuple(trace.targets),
                reused,
                self.options,
                device,
                self,
                structure,
                [LoopReport(p, not r, r) for p, r in trace.loops.items()],
                written,
                OpenSizes(
                    tuple(open_sizes),
                    trace.least_room,
                    room_for([given.leaves[i] for i in open_sizes], trace.least_room),
                )
                if open_sizes
                else None,
                [
                    (result, axis, count, known.get(results[count].ssa, -1))
                    for result, axis, count in sizes_among(result_tree)
                ],
                trace.depends_on_order,
            )
        finally:
            trace.close()


class Fixed(Compiled):
    """A compiled function of one signature."""

    _grows = False

    def __init__(self, owner: Compiled, lowered: Lowered) -> None:
        super().__init__(owner._function, owner.options)
        self._lowered = lowered
        dims = [size for leaf in lowered.arguments for size in leaf.sizes if isinstance(size, Dim)]
        self._room = {dim.name: dim.max or 0 for dim in dims}
        self._has_strides = lowered.has_strides
        self._dispatch()

    @hide_frames
    def _specialize(
        self, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> _gradopt.Specialization:
        return self._lowered.specialization(self._select(args, kwargs)[1])

    def leaves(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> list[Any]:
        """The arguments of a call as the code takes them, one after the other."""
        leaves, numbers = self._select(args, kwargs)
        return [leaves[number] for number in numbers]

    def _select(
        self, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> tuple[list[Any], list[int]]:
        """The leaves of a call, and for each argument of the code which of them it is."""
        # Dicts may have another order than when it was lowered.
        leaves, structure = flatten(self._argument_trees(args, kwargs))
        places = self._argument_trees(*structure.unflatten(np.arange(len(leaves))))
        (positional, named), (expected, expected_named) = places, self._lowered.structure.children
        if len(positional) != len(expected.children):
            raise ArgumentError(
                f"expected {len(expected.children)} positional arguments, but got {len(positional)}"
            )
        numbers: list[int] = []
        names = argument_names(self._function, len(positional))
        for tree, node, name in zip(positional, expected.children, names, strict=True):
            numbers += flatten_like(tree, node, name)
        if set(named) != set(expected_named.data):
            raise ArgumentError(
                f"expected keyword arguments {list(expected_named.data)}, but got {list(named)}"
            )
        for name, node in zip(expected_named.data, expected_named.children, strict=True):
            numbers += flatten_like(named[name], node, name)
        given = self._given(leaves, structure).leaves
        numbers += range(len(leaves), len(given))
        self._lowered.check([given[number] for number in numbers])
        return given, numbers


class _Given(NamedTuple):
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


class _OrderNeeded(Exception):
    """Code depends on how arguments lie in memory, which is not in row-major order."""


def _steps(leaf: Leaf) -> tuple[int, ...] | None:
    """How an argument lies in memory, in elements, as `Storage.strides` has it."""
    size = leaf.dtype.itemsize
    if any(step % size for step in leaf.strides):
        return None
    return tuple([step // size for step in leaf.strides])


def _argument(leaf: Any, path: str, has_strides: bool = False) -> Leaf:
    weak = WEAK_DTYPES.get(type(leaf))
    if weak is not None:
        return Leaf(path, weak, (), weak=True)
    scalar = isinstance(leaf, np.generic)
    strides = strides_of(leaf) if has_strides else ()
    return Leaf(path, leaf.dtype.newbyteorder("="), leaf.shape, scalar=scalar, strides=strides)
