# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""`Compiled`: a function that is traced and compiled once for each signature."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from gradopt import _gradopt
from gradopt._gradopt import OPEN_SIZE, DeviceArray
from gradopt.array.handle import Handle, SizeNeededError
from gradopt.base.device_arrays import wrapper_of
from gradopt.base.dims import Dim, bounds, fit
from gradopt.base.dtypes import INT64, WEAK_DTYPES
from gradopt.base.frames import hide_frames
from gradopt.base.location import function_source
from gradopt.base.options import Options, make_options
from gradopt.base.parameters import parameters
from gradopt.base.pickling import global_name
from gradopt.base.pytree import TreeDef, flatten, flatten_like
from gradopt.base.statics import Static, separate_statics, static
from gradopt.compilation.calling import (
    argument_leaf,
    argument_names,
    argument_paths,
    check_callable,
    function_name,
    rewritten_here,
)
from gradopt.compilation.lowered import (
    Leaf,
    Lowered,
    sized_strides,
    strides_of,
)
from gradopt.compilation.profile import Profile
from gradopt.compilation.tracing import Given, Tracing
from gradopt.errors import (
    ArgumentError,
    ArgumentTypeError,
    ConversionError,
    LeakedTracerError,
)
from gradopt.ir.current import current_scope


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

    def for_all_sizes(self, lowered: Lowered) -> Lowered:
        """What was lowered for a device, with as much room as that call needed, as it would be for
        the CPU: for any number of rows, where that can be.

        Raises:
            GradoptError: it cannot be traced for the CPU.
        """
        other = Compiled(self._function, dataclasses.replace(self.options, device=None))
        structure = lowered.structure
        leaves = [leaf.example() for leaf in lowered.arguments[: structure.leaf_count]]
        return other._trace_leaves(leaves, structure)

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

    def _given(self, leaves: Sequence[Any], structure: TreeDef) -> Given:
        """What compiled code is called with, of the leaves of the arguments."""
        paths = argument_paths(self._function, structure)
        plain = [argument_leaf(x, path) for x, path in zip(leaves, paths, strict=True)]
        if not self.options.dynamic.arguments:
            arguments = [
                _argument(x, path, self._has_strides) for x, path in zip(plain, paths, strict=True)
            ]
            return Given(plain, arguments)
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
        return Given([*found.leaves, *sizes], arguments, found.are_sized, found.dims)

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
        return self._trace_leaves(*flatten(self._argument_trees(args, kwargs)))

    def _trace_leaves(self, leaves: Sequence[Any], structure: TreeDef) -> Lowered:
        tracing = Tracing(
            self._function, self.options, self._given(leaves, structure), structure, len(leaves)
        )
        try:
            program = tracing.run()
            if tracing.trace.depends_on_order and not self._has_strides:
                self._has_strides = True
                if any(map(strides_of, tracing.given.leaves)):
                    raise _OrderNeeded
            return tracing.lowered(program, self)
        finally:
            tracing.trace.close()


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


class _OrderNeeded(Exception):
    """Code depends on how arguments lie in memory, which is not in row-major order."""


def _argument(leaf: Any, path: str, has_strides: bool = False) -> Leaf:
    weak = WEAK_DTYPES.get(type(leaf))
    if weak is not None:
        return Leaf(path, weak, (), weak=True)
    scalar = isinstance(leaf, np.generic)
    strides = strides_of(leaf) if has_strides else ()
    return Leaf(path, leaf.dtype.newbyteorder("="), leaf.shape, scalar=scalar, strides=strides)
