# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Traces: the module under construction, and the functions in it.

A `Trace` is one module. Each function under construction is a `Scope`; the scope of a function
that is differentiated lies inside the scope of its caller. An inner function that uses a traced
value of an outer one gets it as an extra argument (`Scope.use`); a concrete array of more than
`CONSTANT_ELEMENTS` elements becomes an extra argument of the outermost function (`capture`).
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from gradopt.base.dtypes import kind_of
from gradopt.base.location import (
    function_source,
    source_location,
    unrolled_at,
)
from gradopt.base.policies import Checkpoint
from gradopt.errors import (
    CompilerError,
    LargeProgramWarning,
    LeakedTracerError,
    SourceLocation,
)
from gradopt.ir.current import state
from gradopt.ir.extents import Sizes, confined
from gradopt.ir.locations import Locations, location_of
from gradopt.ir.types import elements_attribute, tensor_type
from gradopt.ir.values import Value, arguments_of
from gradopt.recording import grad, inference, ir
from gradopt.recording.text import module_text

if TYPE_CHECKING:
    from gradopt.ir.outcomes import Check
    from gradopt.ir.targets import Target

CONSTANT_ELEMENTS = 16
# Operations of one line that are worth a warning.
UNROLLED_OPS = 20_000

Array = np.ndarray[Any, Any]
T = TypeVar("T")


class Trace:
    """One module under construction.

    Args:
        store: the directory in which types are found and kept; "" for none.
        rewrites: whether functions of the user's are rewritten, so that control flow can depend on
            traced values.
        on_device: whether the program is for a device.

    Attributes:
        checkpoint: what loops in Python keep for derivatives.
        has_sizes: whether there are arrays whose size is known at run time only.
        has_dims: whether there are arguments with such sizes, behind which is no memory.
        is_open: whether it is for arrays with any number of rows (`base.open_sizes`).
        least_room: how many rows there must be room for in each call then.
        loops: for loops in Python, by their places, why they are unrolled; "" if they are not.
        notes: what rewritten statements remember from one trace of them to the next.
        sizes: integers among the arguments of the outermost function, by their numbers: a program
            can be traced for each value of them.
        lost: why names have no value behind a traced statement that assigns them.
        asks_order: whether something depends on how an array lies in memory: what is a view of it.
        has_writes: whether the elements of an array were assigned.
        follows_order: whether elements were gone through in the order in which they lie in memory.
    """

    def __init__(
        self,
        store: str = "",
        rewrites: bool = False,
        on_device: bool = False,
        checkpoint: Checkpoint = None,
    ) -> None:
        state.traces += 1
        self.checkpoint: Checkpoint = checkpoint
        self.on_device = on_device
        self._store = store
        inference.recall(store)
        self.rewrites = rewrites
        self.has_sizes = self.has_dims = self.is_open = False
        self.asks_order = self.has_writes = self.follows_order = False
        self.least_room = 0
        self.loops: dict[SourceLocation, str] = {}
        self.notes: dict[Any, Any] = {}
        self.sizes: dict[ir.Value, int] = {}
        self.lost: dict[str, str] = {}
        self.module = ir.Block()
        self.locations = Locations()
        self.scopes: list[Scope] = []
        self.captures: list[Array] = []
        self.checks: list[Check] = []
        self.targets: dict[Target, int] = {}
        self._captured: dict[tuple[str, tuple[int, ...], bytes], Value] = {}
        self._names: dict[str, int] = {"main": 1}
        self._counts: dict[ir.Location, int] = {}
        self._warned: set[tuple[str, int]] = set()

    def count(self, location: ir.Location) -> None:
        """Counts an op that a line of the user's added; warns where a loop adds very many."""
        number = self._counts.get(location, 0) + 1
        self._counts[location] = number
        if number == UNROLLED_OPS:
            place, what = unrolled_at()
            if place is not None and (place.file, place.line) not in self._warned:
                self._warned.add((place.file, place.line))
                warnings.warn_explicit(
                    f"{what} has added {number} operations: it is unrolled while it is traced, and "
                    "compiling them takes long; compute with whole arrays where that is possible",
                    LargeProgramWarning,
                    place.file,
                    place.line,
                )

    def function_of(self, name: str) -> ir.Block:
        """The body of a function of the module."""
        for op in reversed(self.module.operations):
            if op.attributes["sym_name"].value == name:
                return op.regions[0]
        raise KeyError(name)

    @property
    def depends_on_order(self) -> bool:
        """Whether the program is another one for arguments that lie in memory in another order."""
        return self.follows_order or (self.asks_order and self.has_writes)

    def close(self) -> None:
        """Ends the trace.

        Parts values and ops from what they belong to, so that they are freed now, and not when the
        garbage collector comes.
        """
        for scope in self.scopes:
            scope.forget()
        self.module.erase()
        inference.keep(self._store)
        self.scopes.clear()
        self.notes.clear()
        self._captured.clear()

    def text(self) -> tuple[str, str]:
        """The module as MLIR; the same without locations."""
        return module_text(self.module)

    def unique_name(self, name: str) -> str:
        """A symbol name like `name` that the module does not have yet."""
        name = "".join(c if c.isalnum() or c == "_" else "_" for c in name).strip("_") or "f"
        count = self._names.get(name, 0)
        self._names[name] = count + 1
        return name if count == 0 else f"{name}_{count}"

    def target(self, target: Target) -> int:
        """The number by which compiled code calls a function."""
        return self.targets.setdefault(target, len(self.targets))

    def capture(self, array: Array, root: Scope) -> Value:
        """The hidden argument of the outermost function that holds a copy of `array`.

        Arrays with the same elements are one: the same array may come as several views, lists or
        conversions of it, and may have changed since it came before.
        """
        digest = hashlib.sha256(np.ascontiguousarray(array).data.cast("B")).digest()
        key = (array.dtype.str, array.shape, digest)
        value = self._captured.get(key)
        if value is None:
            snapshot = np.array(array, order="C", copy=True)
            value = root.add_argument(array.shape, array.dtype, "capture")
            self.captures.append(snapshot)
            self._captured[key] = value
        return value


class Scope:
    """One function under construction.

    Attributes:
        trace: the module it belongs to.
        parent: scope of the caller; None for `@main`.
        name: symbol name.
        open: whether ops can still be added.
        lifted: values of outer scopes that became arguments, in order.
        outcome: what came of the checks in it, if there are any (see `gradopt.ir.checks`).
        wrapped: traced indices made non-negative, by index and size of the dimension.
        order: how many derivatives of its code may be asked for, one on top of the other; rules of
            custom functions are traced where there may be one.
        is_part: whether it is a part of a statement of the enclosing function, which runs as often
            as that says: the variables and arrays of that function are its own.
        in_part: whether it is one, or lies in one.
        owns_arguments: whether arrays that it is called with are its own copies, which it may write
            to: where it is differentiated or mapped.
        given: storages of functions around it that it is called with.
        effects: an array that the effects of its code write to, in their order; None without any.
        at_end: what to do when it is complete.
        intervals: of integers between which numbers they are, where that is known.
        assumed: those of them that say more than what they are computed from.
        ends: of integers sums that they are at least and at most (see `gradopt.ir.affine`).
        affine: integers as sums.
        sums: integers that are sums of others (see `gradopt.ir.affine`).
        limits: the same of calls of single functions, by their ids, where it is less; and the
            scope below which it is.
    """

    def __init__(
        self,
        trace: Trace,
        parent: Scope | None,
        name: str,
        source: object,
        is_part: bool = False,
    ) -> None:
        self.trace = trace
        self.parent = parent
        self.name = name
        self.open = True
        self.order = 0 if parent is None else parent.order
        self.limits: dict[int, tuple[int, Scope]] = {} if parent is None else parent.limits
        self.is_part = is_part
        self.in_part = is_part or (parent is not None and parent.in_part)
        self.owns_arguments = False
        self.given: list[Any] = []
        self.effects: Any = None
        self.at_end: list[Callable[[], None]] = []
        self.intervals: dict[ir.Value, tuple[int, int]] = {}
        self.assumed: set[ir.Value] = set()
        self.ends: dict[ir.Value, tuple[Any, Any]] = {}
        self.affine: dict[ir.Value, Any] = {}
        self.sums: dict[Any, Value] = {}
        self.lifted: list[Value] = []
        self.outcome: tuple[Value, Value] | None = None
        self.wrapped: dict[tuple[ir.Value, int], Value] = {}
        self._lifted_values: dict[ir.Value, ir.Value] = {}
        self._constants: dict[Any, ir.Value] = {}
        place = function_source(source)
        self.location = ir.UNKNOWN if place is None else location_of(place)
        trace.scopes.append(self)
        attributes = {
            "sym_name": ir.string(name),
            "sym_visibility": ir.string("public" if parent is None else "private"),
            "function_type": ir.function_type([], []),
        }
        self.function = ir.Operation(
            "func.func", [], [], attributes, 1, self.location, trace.module
        )
        (self.block,) = self.function.regions

    def forget(self) -> None:
        """Gives up all values; the function is complete."""
        self.outcome = None
        for values in (self.lifted, self.wrapped, self._lifted_values, self._constants):
            values.clear()
        self.intervals.clear()
        self.assumed.clear()
        self.ends.clear()
        self.affine.clear()
        self.sums.clear()

    def discard(self) -> None:
        """Takes a function that nobody calls out of the module."""
        self.open = False
        self.forget()
        self.trace.scopes.remove(self)
        self.trace.module.operations.remove(self.function)

    def around_parts(self) -> Scope:
        """The function that this is a part of; itself, if it is none."""
        scope = self
        while scope.is_part and scope.parent is not None:
            scope = scope.parent
        return scope

    def is_part_of(self, other: Scope | None) -> bool:
        """Whether it is a part of a statement in the other function, or of one in such a part."""
        scope: Scope | None = self
        while scope is not None and scope.is_part:
            scope = scope.parent
            if scope is other:
                return True
        return False

    @property
    def root(self) -> Scope:
        """The scope of `@main`."""
        scope = self
        while scope.parent is not None:
            scope = scope.parent
        return scope

    def add_argument(self, shape: tuple[int, ...], dtype: np.dtype[Any], path: str) -> Value:
        """A new argument of the function; `path` names it in the IR's locations."""
        if shape.__class__ is Sizes:
            raise confined()
        location = ir.Location(path, self.location)
        value = self.block.add_argument(tensor_type(shape, dtype), location)
        return Value(self, value, location)

    def use(self, value: Value) -> ir.Value:
        """The SSA value in this function.

        Raises:
            LeakedTracerError: the trace that made it has ended.
        """
        if value.scope is self:
            return value.ssa
        return self._lift(value)

    def _lift(self, value: Value) -> ir.Value:
        owner = value.scope
        scope: Scope | None = self
        while scope is not None and scope is not owner:
            scope = scope.parent
        if scope is None or not owner.open:
            raise LeakedTracerError(leak_message(value), source_location())
        known = self._lifted_values.get(value.ssa)
        if known is not None:
            return known
        if value.shape.__class__ is Sizes:
            raise confined()
        assert self.parent is not None
        self.parent.use(value)
        location = ir.Location("closure", self.location)
        argument = self.block.add_argument(value.ssa.type, location)
        self._lifted_values[value.ssa] = argument
        between = owner.intervals.get(value.ssa)
        if between is not None:
            self.intervals[argument] = between
        self.lifted.append(value)
        return argument

    def lifted_as(self, argument: ir.Value) -> Value | None:
        """The value of an outer function that an argument stands for, if it does."""
        for value in self.lifted:
            if self._lifted_values.get(value.ssa) is argument:
                return value
        return None

    def sizes_in(self, value: Value) -> set[int]:
        """The arguments in `Trace.sizes` that a value is computed from; none if from others too."""
        here = self.use(value)
        outer = {self._lifted_values[lifted.ssa]: lifted for lifted in self.lifted}
        found: set[int] = set()
        for argument in arguments_of(here):
            number = self.trace.sizes.get(argument)
            if number is not None:
                found.add(number)
                continue
            lifted = outer.get(argument)
            numbers = self.parent.sizes_in(lifted) if lifted is not None and self.parent else None
            if not numbers:
                return set()
            found |= numbers
        return found

    def depends_on_arguments(self, value: Value) -> bool:
        """Whether a value of a function inside of this one is computed from arguments there.

        Those that are values of this or outer functions do not count.
        """
        scope = value.scope
        inside: Scope | None = scope
        while inside is not None and inside is not self:
            inside = inside.parent
        if inside is None or scope is self:
            return False
        outer = {scope._lifted_values[lifted.ssa]: lifted for lifted in scope.lifted}
        for argument in arguments_of(value.ssa):
            if argument not in outer or self.depends_on_arguments(outer[argument]):
                return True
        return False

    def standing_in(
        self, values: Sequence[Value], others: Sequence[Value], body: Callable[[], T]
    ) -> T:
        """Calls `body`, where `others` stand in for `values`, which are of outer functions."""
        known = self._lifted_values
        before = {value.ssa: known.get(value.ssa) for value in values}
        known.update({v.ssa: self.use(other) for v, other in zip(values, others, strict=True)})
        try:
            return body()
        finally:
            for ssa, argument in before.items():
                if argument is None:
                    del known[ssa]
                else:
                    known[ssa] = argument

    def emit(self, builder: Any, *operands: Any) -> Value:
        """Adds one op; values of outer functions among the operands are lifted."""
        values = [
            operand
            if operand.__class__ is not Value
            else operand.ssa
            if operand.scope is self
            else self.use(operand)
            for operand in operands
        ]
        location = self.trace.locations.here()
        self.trace.count(location)
        try:
            value = builder(*values, loc=location, ip=self.block)
        except CompilerError as error:
            error.location = source_location()
            raise
        return Value(self, value, location)

    def emit_many(self, builder: Any, *operands: Any) -> list[Value]:
        """Adds one op class that has several results; the operands are as the class takes them."""
        location = self.trace.locations.here()
        self.trace.count(location)
        op = builder(*operands, loc=location, ip=self.block)
        return [Value(self, value, location) for value in op.results]

    def constant(self, array: Array) -> Value:
        """A concrete array of a supported dtype as a traced value."""
        if array.size > 1 and is_uniform(array):
            scalar = self.constant(np.array(array.flat[0]))
            return self.emit(grad.broadcast, scalar, list(array.shape), [])
        if array.size > CONSTANT_ELEMENTS:
            return self.trace.capture(array, self.root)
        key = (array.dtype, array.shape, array.tobytes())
        value = self._constants.get(key)
        if value is None:
            attribute = elements_attribute(array)
            made = self.emit(_constant, attribute)
            self._constants[key] = made.ssa
            return made
        return Value(self, value, self.location)

    def finish(self, results: Sequence[Value]) -> list[str]:
        """Adds the return op and sets the function's type; returns the result types."""
        values = [self.use(result) for result in results]
        ir.Operation("func.return", values, [], {}, 0, self.location, self.block)
        types = [value.type for value in values]
        inputs = [argument.type for argument in self.block.arguments]
        self.function.attributes["function_type"] = ir.function_type(inputs, types)
        return types

    def state_argument_sizes(self, sizes: Sequence[tuple[int, int, int]]) -> None:
        """Says of a function which arguments have another size in each call: such an argument, one
        of its dimensions, and the argument that is the size, by their numbers."""
        self._state_triples("grad.argument_sizes", sizes)

    def state_sizes(self, sizes: Sequence[tuple[int, int, int]]) -> None:
        """Says of a function which results are as large as they can be: such a result, one of its
        dimensions, and the result that is the size, by their numbers."""
        self._state_triples("grad.result_sizes", sizes)

    def _state_triples(self, name: str, sizes: Sequence[tuple[int, int, int]]) -> None:
        self._state(name, ir.integers([number for triple in sizes for number in triple]))

    def state_room(self, sizes: Sequence[int]) -> None:
        """Says of a function which arguments are numbers of rows that there has to be room for."""
        self._state("grad.open_sizes", ir.integers(sizes))
        self._state("grad.least_room", ir.integer(self.trace.least_room))

    def _state(self, name: str, attribute: ir.Attribute) -> None:
        self.function.discardable = {**(self.function.discardable or {}), name: attribute}

    def reuse_arguments(self, reused: Mapping[int, int]) -> None:
        """Says of a finished function which results are in the memory of which arguments."""
        dictionaries: list[dict[str, ir.Attribute]] = [{} for _ in self.block.arguments]
        for result, argument in reused.items():
            dictionaries[argument]["grad.reused_for"] = ir.integer(result)
        self.function.attributes["arg_attrs"] = ir.array([ir.dictionary(d) for d in dictionaries])


def _constant(attribute: ir.Attribute, *, loc: ir.Location, ip: ir.Block) -> ir.Value:
    type_ = tensor_type(attribute.value.shape, attribute.value.dtype)
    return grad.ConstantOp(attribute, results=[type_], loc=loc, ip=ip).result


def is_uniform(array: Array) -> bool:
    """Whether all elements are the same, bit for bit."""
    first = array[(0,) * array.ndim]
    if array.dtype.kind == "c":
        return is_uniform(array.real) and is_uniform(array.imag)
    if kind_of(array.dtype) != "f":
        return bool((array == first).all())
    return bool((array == first).all() and (np.signbit(array) == np.signbit(first)).all())


def leak_message(value: Value) -> str:
    """What is wrong with a traced array whose trace has ended."""
    return (
        f"a traced array {value.describe()} is used outside the trace that made it; "
        "return it from the traced function instead of storing it"
    )


def within(scope: Scope, body: Callable[[], T]) -> T:
    """Calls `body` while `scope` is the current one, and closes it at the end.

    No context manager: an interrupt that arrives as its exit is called would leave the scope the
    current one for good.
    """
    try:
        return resume(scope, body)
    finally:
        scope.open = False
        for action in reversed(scope.at_end):
            action()
        scope.at_end.clear()
        scope.given.clear()


def resume(scope: Scope, body: Callable[[], T]) -> T:
    """As `within`, but leaves the scope open."""
    outer = state.scope
    try:
        state.scope = scope
        return body()
    finally:
        state.scope = outer
