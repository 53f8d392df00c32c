# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""`for` and `while` as loops of compiled code.

What a loop carries is found by tracing its body: names that have another value at its end, and
arrays that it writes to. The body is traced until both are known, and dtypes stay what they are.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gradopt.array.handle import (
    Handle,
    Storage,
    UncarriedWriteError,
    is_of_unknown_order,
    lay_out,
    python_number,
    wrap,
)
from gradopt.array.unknown_sizes import Form, widened
from gradopt.base.dtypes import INT64
from gradopt.base.pytree import TreeDef, leaf_paths
from gradopt.compilation.calling import describe_value
from gradopt.control.branches import traced_branch, truth
from gradopt.control.containers import Entries, NewEntryError, UncarriedContainerError
from gradopt.control.growth import grow_by_factors
from gradopt.control.parts import (
    BREAK,
    CONTINUE,
    RETURN,
    UNBOUND,
    CannotRollError,
    Exit,
    Part,
    Variables,
    is_carriable,
    is_same,
    parts_of,
    value_of,
)
from gradopt.control.sequences import Numbered
from gradopt.control.sharing import (
    Passed,
    Sharing,
    family,
    is_concrete,
    may_be,
    may_be_concrete,
    memory,
    turns_of,
)
from gradopt.errors import UnboundNameError
from gradopt.ir import checks, prims
from gradopt.ir.affine import affine, lies_between
from gradopt.ir.intervals import assume
from gradopt.ir.trace import Scope
from gradopt.ir.values import Value
from gradopt.rewrite.names import NONE
from gradopt.rewrite.sites import Site
from gradopt.transforms.bodies import Spec
from gradopt.transforms.counted import counted
from gradopt.transforms.inner import InnerFunction, emit_call
from gradopt.transforms.integers import LARGE_POWERS
from gradopt.transforms.loops import repeated

# Each of them finds a name or an array that the loop carries, or what a number becomes.
_MOST_ATTEMPTS = 100
# How often the room for an array of unknown size may grow: arrays that a body hands from name to
# name end that, those that are longer behind each iteration do not.
_MOST_GROWTHS = 8


@dataclass(eq=False, repr=False)
class _Notes:
    """What is known of a loop from having traced it before.

    Attributes:
        storages: arrays that its body writes to.
        fixed: names that its body assigns, but leaves as they are.
        rebound: names of arrays that its body gives other arrays.
        specs: what carried numbers become, by name.
        overwritten: arrays that its body writes to, and gives their names to others.
        forms: how arrays are taken apart whose size is known at run time only in the body, by name.
        growths: how often that changed, by name.
        unordered: leaves of names whose memory order is another one behind an iteration.
    """

    storages: list[Storage] = field(default_factory=list[Storage])
    fixed: set[str] = field(default_factory=set[str])
    rebound: set[str] = field(default_factory=set[str])
    specs: dict[str, list[Spec]] = field(default_factory=dict[str, list[Spec]])
    overwritten: list[Storage] = field(default_factory=list[Storage])
    forms: dict[str, list[Form | None]] = field(default_factory=dict[str, list[Form | None]])
    growths: dict[str, int] = field(default_factory=dict[str, int])
    unordered: set[tuple[str, int]] = field(default_factory=set[tuple[str, int]])


@dataclass(eq=False, repr=False)
class _Carried:
    """A name that a loop carries.

    Attributes:
        entry: its value before the loop.
        leaves: the leaves of that.
        tree: its structure.
        specs: what the loop carries for them; None for leaves that stay what they are.
        inside: its value where an iteration begins.
    """

    entry: Any
    leaves: list[Any]
    tree: TreeDef
    specs: list[Spec | None]
    inside: Any = None


# A name, and what makes its value of what the loop carried in the end.
_Rebuild = tuple[str, Callable[[Sequence[Any]], Any]]


class _Again(Exception):
    """The body is to be traced once more."""


def _is_unknown(value: Any) -> bool:
    return isinstance(value, Handle) and value._known() is None


class Loop:
    """A statement on its way to a loop of compiled code.

    Attributes:
        taken: of a `for` that may be left, how many elements it has taken, when it has run.
    """

    taken: Value | None = None

    def __init__(
        self,
        site: Site,
        variables: Variables,
        body: Callable[..., Any],
        test: Callable[[], Any] | None = None,
        sequence: Numbered | None = None,
        may_unroll: bool = False,
    ) -> None:
        self._statement = self._site = site
        self._may_unroll = may_unroll
        self._own = self._variables = variables
        self._body = body
        self._test = test
        self._sequence = sequence
        self._here: Scope = prims.scope()
        self._powers = 0
        self._notes: _Notes = self._here.trace.notes.setdefault((site, "loop"), _Notes())
        self._entries = Entries(is_loop=True)
        self._length = 0 if sequence is None else sequence.length()
        self._overwritten = (
            f"the loop in line {site.place.line} wrote to an array, and then gave its name to "
            "another one: under other names it is not known any more; use .copy() before the loop"
        )
        if site.foreign:
            names = ", ".join(sorted(site.foreign))
            raise CannotRollError(f"the loop assigns the global {names}", site.place)
        if test is not None and site.tests:
            names = ", ".join(sorted(site.tests))
            raise CannotRollError(f"the condition of the loop assigns {names}", site.place)

    def run(self) -> Exit | None:
        """Traces it and adds it; how it is left.

        Raises:
            GradoptError: it cannot be a loop of compiled code.
        """
        for _ in range(_MOST_ATTEMPTS):
            try:
                return self._attempt()
            except _Again:
                continue
            except NewEntryError:
                continue
            except UncarriedWriteError as error:
                if error.storage.made_in is not self._here:
                    raise
                self._notes.storages.append(error.storage)
            except UncarriedContainerError as error:
                if error.home is not self._here:
                    raise
                self._entries.add(error, self._site.place)
                self._require_others(error.container)
        raise CannotRollError("what the loop carries changes without end", self._site.place)

    def _require_others(self, changed: Any) -> None:
        """Raises if what changes in the loop is a list that it goes through."""
        lists = () if self._sequence is None else self._sequence.lists()
        if any(found is changed for found in lists):
            raise CannotRollError("the list that the loop goes through changes", self._site.place)

    # -- One attempt -----------------------------------------------------------------------

    def _attempt(self) -> Exit | None:
        self._site = self._entries.site(self._statement)
        self._variables = self._own.and_cells(self._entries.cells)
        for spread in self._entries.spreads:
            spread.start(None if self._sequence is None else self._length)
        written = [s for spread in self._entries.spreads for s in spread.storages]
        known = [s for s in self._notes.storages if s.made_in is self._here]
        self._storages = [*known, *[s for s in written if s not in known]]
        self._carried = self._carried_names()
        body = Part(self._site, "body")
        self._run_body(body)
        try:
            return self._finish(body)
        except BaseException:
            if body.scope.open:
                body.scope.discard()
            raise

    def _carried_names(self) -> dict[str, _Carried]:
        """Names that are live where an iteration begins, and may change in it."""
        site, found = self._site, dict[str, _Carried]()
        for name in sorted(self._variables.cells):
            value = self._variables.get(name)
            if name not in site.head or name in self._notes.fixed or value is UNBOUND:
                continue
            if (
                isinstance(value, Handle)
                and not value._is_scalar
                and name in site.updated
                and name not in self._notes.rebound
            ):
                continue  # `x += y` writes to an array that stays the same.
            parts = parts_of(value, self._notes.forms.get(name))
            if parts is None or not any(map(is_carriable, parts[0])):
                continue
            leaves, tree = parts
            specs = self._notes.specs.get(name)
            if specs is None or len(specs) != len(leaves):
                specs = [Spec.of(x, value_of(x)) if is_carriable(x) else None for x in leaves]
            found[name] = _Carried(value, leaves, tree, list(specs))
        return found

    def _enter(self, scope: Scope) -> list[Value]:
        """Gives names what the loop carries for them; what the arrays hold."""
        in_place = {id(storage) for storage in self._storages}
        for name, carried in self._carried.items():
            leaves = [
                leaf
                if spec is None
                else spec.wrap(scope.add_argument(spec.shape, spec.dtype, name))
                for leaf, spec in zip(carried.leaves, carried.specs, strict=True)
            ]
            for number, (entry, leaf) in enumerate(zip(carried.leaves, leaves, strict=True)):
                lay_out(leaf, [entry])
                storage = memory(leaf)
                if storage is not None and (name, number) in self._notes.unordered:
                    storage.strides = None
                storage = memory(entry)
                if storage is not None and in_place & family(storage).keys():
                    # What is written to under another name is not seen here.
                    leaf._storage.spoil(self._overwritten, self._site.place)
            carried.inside = carried.tree.unflatten(leaves)
            self._variables.set(name, carried.inside)
        return [scope.add_argument(s.shape, s.dtype, "carried") for s in self._storages]

    def _run_body(self, part: Part) -> None:
        counter: list[Value] = []
        self._powers = part.scope.trace.notes.get(LARGE_POWERS, 0)

        def enter() -> Sequence[Value]:
            if self._sequence is not None:
                number = part.scope.add_argument((), INT64, "index")
                counter.append(number)
                part.scope.trace.notes[part.scope] = number
                if isinstance(self._length, int):
                    assume(number, 0, self._length - 1)
                else:
                    lies_between(number, affine(0), affine(self._length).plus(affine(-1)))
            values = self._enter(part.scope)
            for spread in self._entries.spreads:
                spread.begin(counter[0] if counter else None)
            return values

        def call() -> Any:
            if self._sequence is None:
                return self._body()
            return self._body(self._sequence.item(counter[0], self._length))

        with self._overwritten_unknown():
            part.run(
                call,
                self._variables,
                self._storages,
                enter,
                lambda scope: self._entries.entered(self._site.place, scope),
            )

    @contextmanager
    def _overwritten_unknown(self) -> Generator[None]:
        """Nobody may read what the body overwrites, but by the names that are carried."""
        found = [storage for storage in self._notes.overwritten if storage.made_in is self._here]
        before = [storage.spoiled for storage in found]
        for storage in found:
            storage.spoil(self._overwritten, self._site.place)
        try:
            yield
        finally:
            for storage, reason in zip(found, before, strict=True):
                storage.spoiled = reason

    # -- What the body did -----------------------------------------------------------------

    def _finish(self, body: Part) -> Exit | None:
        again = [spread.check(self._storages) for spread in self._entries.spreads]
        if any(again):
            raise _Again
        results, inits, rebuild = self._names(body)
        leaving = body.exit.codes & {BREAK, RETURN}
        if self._may_unroll:
            self._require_exact(body, results)
            if self._test is not None and RETURN in leaving:
                raise CannotRollError("it may return from the function", self._site.place)
        is_counted = self._sequence is not None and isinstance(self._length, int)
        if is_counted and leaving and leaving == body.exit.codes:
            raise CannotRollError("the first iteration ends the loop", self._site.place)
        if leaving and any(spread.each for spread in self._entries.spreads):
            raise CannotRollError(
                "a list is appended to in a loop that a traced condition leaves, so that its "
                "length would not be known; write to an array of the greatest length",
                self._site.place,
            )
        self._turns = turns_of(self._passed) if not leaving else {}
        if not leaving:
            inner = body.finish([*results, *body.written])
            state = [*inits, *[s.value for s in self._storages]]
            counts = bool(self._turns) and self._sequence is None
            if counts:
                state.append(prims.as_value(np.int64(0)))
            if len(results) > self._taken or counts:
                inner = self._step(inner, state, counts)
            values = self._emit(inner, state)
            if self._sequence is None:
                count: Any = values[-1] if counts else 0
            else:
                count = self._length
            self._leave(rebuild, values, count)
            return None
        return self._with_exits(body, results, inits, rebuild)

    def _names(self, body: Part) -> tuple[list[Value], list[Value], list[_Rebuild]]:
        """Results of the body for names, their values before the loop, and what is made of them."""
        results: list[Value] = []
        inits: list[Value] = []
        self._specs: list[Spec] = []
        self._passed: list[Passed] = []
        rebuild: list[_Rebuild] = []
        again = False
        for name, carried in self._carried.items():
            final = body.finals[name]
            if final is carried.inside and name not in self._notes.rebound:
                # Names that stay what they are remain known.
                self._notes.fixed.add(name)
                again = True
                continue
            again |= self._promote(body, name, carried, final)
        for name in self._variables.cells:
            if name in self._carried:
                continue
            before, final = self._variables.get(name), body.finals[name]
            if final is UNBOUND:
                self._require_kept(name, before)
                continue
            if before is final or (is_same(before, final) and before is not UNBOUND):
                continue
            if name in self._site.head and before is not UNBOUND:
                if name in self._notes.rebound or not _is_carriable(before):
                    raise CannotRollError(
                        f"{name} is {describe_value(before)} before the loop, and "
                        f"{describe_value(final)} behind its body",
                        self._site.place,
                    )
                self._notes.rebound.add(name)
                self._notes.fixed.discard(name)
                again = True
        if again:
            raise _Again
        for name, carried in self._carried.items():
            forms = self._notes.forms.get(name)
            final, inside = body.parts(body.finals[name], forms), body.parts(carried.inside, forms)
            assert final is not None
            assert inside is not None
            numbers: list[int] = []
            for number, (entry, within, leaf, spec) in enumerate(
                zip(carried.leaves, inside[0], final[0], carried.specs, strict=True)
            ):
                numbers.append(-1 if spec is None else len(results))
                if spec is not None:
                    again |= self._reorders(name, number, within, leaf)
                    results.append(_converted(body, leaf, spec))
                    inits.append(prims.convert(value_of(entry), spec.dtype))
                    self._specs.append(spec)
                    self._passed.append(Passed(entry, within, leaf))
            rebuild.append((name, _rebuilder(carried.tree, numbers, carried.leaves)))
        if again:
            raise _Again
        self._taken = len(results)  # The body makes the others.
        self._made_inside(body, results, inits, rebuild)
        self._check_sharing(body)
        return results, inits, rebuild

    def _require_exact(self, body: Part, results: Sequence[Value]) -> None:
        """Raises if integers of Python, which are known if it is unrolled, may soon not fit."""
        numbers = [
            (passed.inside._read().ssa, result.ssa)
            for passed, result, spec in zip(self._passed, results, self._specs, strict=False)
            if isinstance(passed.inside, Handle)
            and not _is_unknown(passed.entry)
            and spec.weak
            and spec.dtype.kind == "i"
        ]
        trace = self._here.trace
        if trace.notes.get(LARGE_POWERS, 0) > self._powers:
            raise CannotRollError(
                "a power of an integer of Python may be larger than those of compiled code",
                self._site.place,
            )
        if numbers and grow_by_factors(body.scope.block, numbers, trace.function_of):
            raise CannotRollError(
                "an integer of Python grows by a factor in each iteration, and may soon be larger "
                "than those of compiled code",
                self._site.place,
            )

    def _reorders(self, name: str, number: int, inside: Any, final: Any) -> bool:
        """Whether a leaf has another memory order where an iteration ends, which is new."""
        if memory(inside) is None or is_of_unknown_order(inside):
            return False
        both = Handle.facade(Storage(inside._storage.value, scalar=False))
        lay_out(both, [inside, final])
        if both._storage.strides is not None:
            return False
        self._notes.unordered.add((name, number))
        return True

    def _require_kept(self, name: str, before: Any) -> None:
        """Raises if a name is asked for that has lost its value in the body."""
        if before is not UNBOUND and not self._is_dead(name):
            reason = self._here.trace.lost.get(name, f"{name} has no value behind the body")
            raise CannotRollError(reason, self._site.place)

    def _promote(self, body: Part, name: str, carried: _Carried, final: Any) -> bool:
        """Whether what is carried for a name must become something else."""
        parts = None
        if final is not UNBOUND:
            if self._widen(name, carried, final):
                return True
            parts = body.parts(final, self._notes.forms.get(name))
        if parts is None or parts[1] != carried.tree:
            raise CannotRollError(
                f"{name} is {describe_value(carried.entry)} before the loop, and "
                f"{describe_value(final)} behind its body",
                self._site.place,
            )
        changed = False
        specs: list[Spec | None] = []
        paths = leaf_paths(carried.tree, name)
        for entry, leaf, spec, path in zip(
            carried.leaves, parts[0], carried.specs, paths, strict=True
        ):
            joined = None
            if spec is not None and is_carriable(leaf):
                found = body.spec(leaf)
                joined = spec.join(found)
            elif spec is None and is_same(entry, leaf):
                specs.append(None)
                continue
            if joined is None or spec is None:
                was = spec if spec is not None else describe_value(entry)
                now = body.spec(leaf) if is_carriable(leaf) else describe_value(leaf)
                raise CannotRollError(
                    f"{path} is {was} where an iteration begins, and {now} where it ends",
                    self._site.place,
                )
            changed |= (joined.dtype, joined.weak, joined.is_scalar) != (
                spec.dtype,
                spec.weak,
                spec.is_scalar,
            )
            specs.append(joined)
        if changed:
            self._notes.specs[name] = specs  # pyright: ignore[reportArgumentType]
        return changed

    def _widen(self, name: str, carried: _Carried, final: Any) -> bool:
        """Whether arrays must be carried as ones whose size is known at run time only."""
        forms = widened(carried.entry, final)
        if forms is None or forms == self._notes.forms.get(name):
            return False
        growths = self._notes.growths[name] = self._notes.growths.get(name, 0) + 1
        if growths > _MOST_GROWTHS:
            raise CannotRollError(
                f"{name} can be larger behind each iteration, and no size is known that it does "
                "not exceed",
                self._site.place,
            )
        self._notes.forms[name] = forms
        self._notes.specs.pop(name, None)
        return True

    def _made_inside(
        self, body: Part, results: list[Value], inits: list[Value], rebuild: list[_Rebuild]
    ) -> None:
        """Names that the body makes, and that are live behind the loop."""
        for name in self._variables.cells:
            if name in self._carried or name not in self._site.after:
                continue
            before, final = self._variables.get(name), body.finals[name]
            if final is UNBOUND or before is final or is_same(before, final):
                continue
            parts = body.parts(final)
            if parts is None:
                raise CannotRollError(f"{name} cannot be carried", self._site.place)
            earlier = None if before is UNBOUND else parts_of(before)
            if earlier is not None and earlier[1] != parts[1]:
                earlier = None
            numbers: list[int] = []
            for i, leaf in enumerate(parts[0]):
                if not isinstance(leaf, Handle):
                    # The same in each iteration.
                    numbers.append(-1)
                    self._require_iterations(name, earlier and earlier[0][i], leaf)
                    continue
                numbers.append(len(results))
                spec = body.spec(leaf)
                first = self._first_value(name, earlier[0][i] if earlier else UNBOUND, spec)
                results.append(_converted(body, leaf, spec))
                inits.append(first)
                self._specs.append(spec)
                self._passed.append(Passed(earlier[0][i] if earlier else None, None, leaf))
            rebuild.append((name, _rebuilder(parts[1], numbers, parts[0])))

    def _first_value(self, name: str, before: Any, spec: Spec) -> Value:
        """What a name that the body makes is if there is no iteration."""
        if before is not UNBOUND and is_carriable(before):
            value = value_of(before)
            if spec.join(Spec.of(before, value)) == spec:
                return prims.convert(value, spec.dtype)
        self._require_iterations(name, UNBOUND, spec)
        return prims.as_value(np.zeros(spec.shape, spec.dtype))

    def _require_iterations(self, name: str, before: Any, now: Any) -> None:
        """Checks that a name has a value behind the loop: that there is an iteration."""
        if is_same(before, now) or (isinstance(self._length, int) and self._length > 0):
            return
        if self._sequence is None:
            return  # The condition held at first, or the name is not asked for.
        length = prims.as_value(self._length, INT64)
        checks.require_all(
            length > 0,
            f"{name} has no value: the loop that assigns it had no iterations",
            UnboundNameError,
        )

    def _check_sharing(self, body: Part) -> None:
        """Raises if names that the loop carries share memory that the body writes to."""
        passed = self._passed
        sharing = self._sharing = Sharing(passed, body.scope)
        written = [n for n, p in enumerate(passed) if p.is_written]
        in_place = {id(storage) for storage in self._storages}
        ends = [id(end) for p in passed if (end := memory(p.final)) is not None]
        clashes = len(set(ends)) < len(ends)
        clashes |= any(n in written or m in written for n, m in sharing.pairs)
        clashes |= any(id(s) in in_place for found in sharing.outside for s in found)
        owners = [s for p in passed if p.inside is not None and (s := memory(p.entry)) is not None]
        entries = {id(storage): storage for storage in owners}
        overwritten: dict[int, Storage] = {}
        for n in written:
            entry = passed[n].entry
            if not isinstance(entry, Handle) or entry._storage.frozen or sharing.concrete[n]:
                raise CannotRollError(
                    f"an array that the function did not make ({describe_value(entry)}) is written "
                    "to",
                    self._site.place,
                )
            for storage in (*family(entry._storage).values(), *sharing.outside[n]):
                if storage.made_in is not self._here:
                    raise UncarriedWriteError(storage)
                clashes |= id(storage) not in entries
                overwritten[id(storage)] = storage
        clashes |= any(sum(key in family(s) for s in owners) > 1 for key in overwritten)
        if clashes:
            raise CannotRollError(
                "arrays that share memory, and are written to, take each other's names",
                self._site.place,
            )
        known = {id(storage) for storage in self._notes.overwritten}
        new = [storage for key, storage in overwritten.items() if key not in known]
        if new:
            self._notes.overwritten += new
            raise _Again

    # -- The loop --------------------------------------------------------------------------

    def _emit(self, inner: InnerFunction, inits: Sequence[Value]) -> list[Value]:
        policy = self._here.trace.checkpoint
        if self._sequence is not None:
            return counted(self._length, inner, inits, first=0, checkpoint=policy)[0]
        return repeated(self._condition(inits), inner, inits, policy)

    def _leave(
        self, rebuild: Sequence[_Rebuild], values: Sequence[Value], iterations: Any = 0
    ) -> list[Any]:
        """Gives names and arrays their values behind the loop, after so many iterations."""
        count = len(self._specs)
        wrapped = [spec.wrap(v) for spec, v in zip(self._specs, values[:count], strict=True)]
        turned = self._turn(wrapped, values, iterations)
        self._doubt(wrapped)
        for passed, result in zip(self._passed, wrapped, strict=True):
            lay_out(result, [passed.final if passed.inside is None else passed.inside])
        for storage, value in zip(self._storages, values[count:], strict=False):
            storage.set(value)
        for storage in self._notes.overwritten:
            if storage.made_in is self._here and id(storage) not in turned:
                storage.spoil(self._overwritten, self._site.place)
        for spread in self._entries.spreads:
            spread.finish()
        names = {name: UNBOUND for name in self._variables.cells if self._is_dead(name)}
        names.update({name: make(wrapped) for name, make in rebuild})
        self._variables.update(names)
        return wrapped

    def _turn(self, results: list[Any], values: Sequence[Value], iterations: Any) -> set[int]:
        """Gives arrays that took turns in having names what they hold now; their ids.

        After an iteration a name has the array that its turn had before. Where the number of
        iterations is known, results become these arrays.
        """
        turned: set[int] = set()
        if not self._turns:
            return turned
        arrays = {n: self._passed[n].entry._storage for n in self._turns}
        # For each number of iterations, until it begins anew, which array each name has.
        owners = [{n: n for n in self._turns}]
        while True:
            last = owners[-1]
            following = {n: last[m] for n, m in self._turns.items()}
            if following == owners[0]:
                break
            owners.append(following)
        turned.update(map(id, arrays.values()))
        if isinstance(iterations, int):
            for n, m in owners[max(iterations, 0) % len(owners)].items():
                arrays[m].set(values[n])
                results[n] = Handle.facade(arrays[m])
            return turned
        none = prims.scalar(0, INT64)
        count = prims.select(iterations < none, none, iterations)
        place = prims.convert((python_number(count) % len(owners))._read(), INT64)
        held = {m: values[n] for n, m in owners[0].items()}
        for number, owner in enumerate(owners[1:], 1):
            is_here = prims.equal(place, number)
            for n, m in owner.items():
                held[m] = prims.select(is_here, values[n], held[m])
        for m, value in held.items():
            arrays[m].set(value)
        return turned

    def _doubt(self, results: Sequence[Any]) -> None:
        """Notes what the results may share memory with."""
        sharing = self._sharing
        may_be_skipped = not (isinstance(self._length, int) and self._length > 0)
        for n, (passed, result) in enumerate(zip(self._passed, results, strict=True)):
            entry = memory(passed.entry)
            if n in self._turns and isinstance(self._length, int) and self._sequence is not None:
                continue  # It is that array.
            if may_be_skipped and entry is not None:
                may_be(result, entry)
            for storage in sharing.outside[n]:
                may_be(result, storage)
            if sharing.concrete[n] or (may_be_skipped and is_concrete(passed.entry)):
                may_be_concrete(result)
        for n, m in sharing.pairs:
            may_be(results[n], results[m]._storage)
        for passed, result in zip(self._passed, results, strict=True):
            for storage in self._lists_of(memory(passed.final)):
                may_be(result, storage)

    def _lists_of(self, storage: Storage | None) -> list[Storage]:
        """The memory of lists that an array of the body was put into."""
        return [
            found
            for spread in self._entries.spreads
            if any(appended is storage for appended, _ in spread.appended)
            for found in spread.storages
        ]

    def _is_dead(self, name: str) -> bool:
        return name not in self._site.after and name not in self._site.head

    def _condition(
        self, state: Sequence[Value], goes_on: Callable[[Sequence[Value]], Value] | None = None
    ) -> InnerFunction:
        """Whether the loop goes on, as a function of all that it carries.

        Args:
            state: what it carries at first: names, arrays, and what else there is.
            goes_on: function of that; the condition of the `while` if it is not given.
        """
        part = Part(self._site, "test")
        answer: list[Value] = []
        held: list[Value] = []
        rest: list[Value] = []
        before: dict[str, Any] = {}

        def enter() -> Sequence[Value]:
            given = [part.scope.add_argument(v.shape, v.dtype, "carried") for v in state]
            leaves = iter(given)
            for name, carried in self._carried.items():
                values = [
                    leaf if spec is None else spec.wrap(next(leaves))
                    for leaf, spec in zip(carried.leaves, carried.specs, strict=True)
                ]
                self._variables.set(name, carried.tree.unflatten(values))
            count = len(self._specs)
            held.extend(given[count : count + len(self._storages)])
            rest.extend(given[count + len(self._storages) :])
            before.update(self._variables.values())
            return held

        def call() -> None:
            answer.append(self._ask() if goes_on is None else goes_on(rest))

        with self._overwritten_unknown():
            part.run(
                call,
                self._variables,
                self._storages,
                enter,
                lambda scope: self._entries.entered(self._site.place, scope, usable=False),
            )
        changed = [name for name, value in part.finals.items() if before[name] is not value]
        if changed:
            part.scope.discard()
            raise CannotRollError(
                f"the condition of a while loop on traced values changes {changed[0]}; write "
                "`while True`, and `if not condition: break`",
                self._site.place,
            )
        if any(a is not b for a, b in zip(part.written, held, strict=True)):
            part.scope.discard()
            raise CannotRollError(
                "the condition of a while loop on traced values writes to an array",
                self._site.place,
            )
        return part.finish(answer)

    def _with_exits(
        self,
        body: Part,
        results: list[Value],
        inits: list[Value],
        rebuild: list[_Rebuild],
    ) -> Exit | None:
        """A loop that may be left by `break` or `return`: it carries by which."""
        code = body.value(
            np.int64(body.exit.code) if type(body.exit.code) is int else body.exit.code
        )
        goes_on = body.within(lambda: prims.equal(code, CONTINUE))
        code = body.within(lambda: prims.select(goes_on, prims.scalar(0, INT64), code))
        returned, specs, rebuild_value = self._returned(body)
        state = [*inits, *[s.value for s in self._storages]]
        count = len(state)
        state += [prims.as_value(np.int64(0))]
        state += [prims.as_value(np.zeros(spec.shape, spec.dtype)) for spec in specs]
        if self._sequence is not None:
            state.append(prims.as_value(np.int64(0)))
        inner = body.finish([*results, *body.written, code, *returned])
        step = self._step(inner, state, self._sequence is not None)
        policy = self._here.trace.checkpoint
        values = repeated(self._condition(state, self._goes_on), step, state, policy)
        self._leave(rebuild, values)
        if self._sequence is not None:
            self.taken = values[-1]
        codes = frozenset({0} | (body.exit.codes & {BREAK, RETURN}))
        wrapped = [spec.wrap(v) for spec, v in zip(specs, values[count + 1 :], strict=False)]
        return Exit(codes, python_number(values[count]), rebuild_value(wrapped))

    def _goes_on(self, state: Sequence[Value]) -> Value:
        """Whether a loop that may be left goes on; `state` begins with the code."""
        running = prims.equal(state[0], 0)
        if self._sequence is not None:
            return running & (state[-1] < prims.as_value(self._length, INT64))
        # The condition is not asked any more where the loop was left.
        found = traced_branch(
            dataclasses.replace(self._site, assigned=NONE, after=NONE),
            running,
            [lambda: Exit.by(RETURN, wrap(self._ask())), lambda: Exit.by(RETURN, False)],
            Variables((), [self._test] if self._test else []),
        )
        assert found is not None
        return value_of(found.value)

    def _ask(self) -> Value:
        """The condition of a `while`."""
        assert self._test is not None
        answer = truth(self._test())
        return prims.as_value(np.bool_(answer)) if isinstance(answer, bool) else answer

    def _returned(
        self, body: Part
    ) -> tuple[list[Value], list[Spec], Callable[[Sequence[Any]], Any]]:
        """What a `return` in the body returns."""
        if RETURN not in body.exit.codes:
            return [], [], lambda results: UNBOUND
        parts = body.parts(body.exit.value)
        if parts is None:
            raise CannotRollError("what the loop returns is no array", self._site.place)
        values: list[Value] = []
        specs: list[Spec] = []
        numbers: list[int] = []
        for leaf in parts[0]:
            if not isinstance(leaf, Handle):
                numbers.append(-1)
                continue
            numbers.append(len(values))
            specs.append(body.spec(leaf))
            values.append(body.value(leaf))
        return values, specs, _rebuilder(parts[1], numbers, parts[0])

    def _step(
        self, inner: InnerFunction, state: Sequence[Value], carries_counter: bool = False
    ) -> InnerFunction:
        """The body as a function of all that the loop carries.

        The body takes names and arrays; not what it makes itself, nor how the loop was left.

        Args:
            inner: the body.
            state: what the loop carries.
            carries_counter: whether the number of iterations is the last of that. It is the counter
                of a `for`, which is the first argument of the body.
        """
        part = Part(self._site, "step")
        is_counted = self._sequence is not None

        def call() -> list[Value]:
            add = part.scope.add_argument
            first = [add((), INT64, "index")] if is_counted and not carries_counter else []
            given = [add(value.shape, value.dtype, "carried") for value in state]
            last = given[-1:] if carries_counter else []
            count = len(self._specs)
            taken = [*given[: self._taken], *given[count : count + len(self._storages)]]
            inputs = [*first, *(last if is_counted else []), *taken, *inner.inputs]
            results = emit_call(inner._replace(inputs=inputs))
            return [*results, *[number + 1 for number in last]]

        return part.finish(part.within(call))


def _is_carriable(value: Any) -> bool:
    parts = parts_of(value)
    return parts is not None and any(map(is_carriable, parts[0]))


def _converted(body: Part, leaf: Any, spec: Spec) -> Value:
    """What a leaf is at the end of the body, as the loop carries it."""
    value = body.value(leaf)
    return body.within(lambda: prims.convert(value, spec.dtype))


def _rebuilder(
    tree: TreeDef, numbers: Sequence[int], leaves: Sequence[Any]
) -> Callable[[Sequence[Any]], Any]:
    """What makes a value of the results of a loop; leaves of negative numbers stay the same."""
    return lambda results: tree.unflatten(
        [leaf if n < 0 else results[n] for n, leaf in zip(numbers, leaves, strict=True)]
    )
