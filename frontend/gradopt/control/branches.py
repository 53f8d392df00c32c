# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""`if`: two parts, of which a traced condition chooses one."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from types import FunctionType
from typing import Any

import numpy as np

from gradopt.array.handle import Handle, Storage, UncarriedWriteError, lay_out
from gradopt.array.unknown_sizes import common_forms
from gradopt.base.pytree import TreeDef
from gradopt.compilation.calling import describe_value
from gradopt.control.containers import (
    Entries,
    NewEntryError,
    UncarriedContainerError,
    refuse_elsewhere,
)
from gradopt.control.lengths import length_by, truth_by
from gradopt.control.parts import (
    END,
    RETURN,
    UNBOUND,
    Exit,
    Part,
    Variables,
    is_carriable,
    is_same,
    shared_storages,
)
from gradopt.control.sharing import family, is_concrete, may_be, may_be_concrete
from gradopt.errors import BranchError, UnsupportedError
from gradopt.ir import prims
from gradopt.ir.trace import Scope
from gradopt.ir.values import Value
from gradopt.rewrite.functions import MISSING, is_users, lookup
from gradopt.rewrite.sites import Site
from gradopt.transforms.bodies import Spec, flag_of
from gradopt.transforms.branches import emit_branches


def truth(value: Any) -> Any:
    """The condition of a statement: Python's bool, or a traced one."""
    if not isinstance(value, Handle) or value._known() is not None:
        kind: Any = type(value)
        if kind is list:
            refuse_elsewhere(value, 1)
        own = lookup(kind, "__bool__")
        own = lookup(kind, "__len__") if own is MISSING else own
        if type(own) is not FunctionType or not is_users(own):
            return bool(value)
        if lookup(kind, "__bool__") is MISSING:
            return truth(length_by(own, value))
        answer = truth_by(own, value)
        return truth(answer) if isinstance(answer, Handle) else answer
    read = value._read()
    if read.size != 1:
        raise ValueError(
            "The truth value of an array with more than one element is ambiguous. Use a.any() or "
            "a.all()"
        )
    return prims.reshape(to_bool(read), ())


def to_bool(value: Value) -> Value:
    """Whether elements are not zero."""
    return value if value.dtype.kind == "b" else prims.not_equal(value, 0)


class _Merge:
    """Results of two parts that become one.

    Attributes:
        pairs: for each result of the `scf.if` the leaves of the two sides; UNBOUND for any value.
        specs: what the results are.
    """

    def __init__(self, sides: Sequence[Part]) -> None:
        self.sides = sides
        self.pairs: list[tuple[Any, Any]] = []
        self.specs: list[Spec] = []

    def add(self, one: Any, other: Any) -> Callable[[Sequence[Any]], Any] | str:
        """Two values that become one: what makes it of the results, or why they do not.

        UNBOUND stands for any value.
        """
        if is_same(one, other):
            return lambda results: one
        forms = None if one is UNBOUND or other is UNBOUND else common_forms(one, other)
        left, right = (
            None if value is UNBOUND else side.parts(value, forms)
            for value, side in zip((one, other), self.sides, strict=True)
        )
        tree = (left or right or ([], None))[1]
        if not isinstance(tree, TreeDef) or (left and right and left[1] != right[1]):
            return f"is {describe_value(one)} or {describe_value(other)}"
        blank = [UNBOUND] * tree.leaf_count
        leaves = list(zip(left[0] if left else blank, right[0] if right else blank, strict=True))
        plan: list[tuple[int, Any]] = []
        found: list[tuple[tuple[Any, Any], Spec]] = []
        for a, b in leaves:
            if is_same(a, b):
                plan.append((-1, a))
                continue
            if left is None or right is None:
                known = b if left is None else a
                # Any value will do: what is known while tracing stays so.
                if not isinstance(known, Handle):
                    plan.append((-1, known))
                    continue
            spec = self._spec(a, b)
            if isinstance(spec, str):
                return spec
            plan.append((len(self.pairs) + len(found), None))
            found.append(((a, b), spec))
        self.pairs += [pair for pair, _ in found]
        self.specs += [spec for _, spec in found]
        return lambda results: tree.unflatten(
            [value if number < 0 else results[number] for number, value in plan]
        )

    def _spec(self, a: Any, b: Any) -> Spec | str:
        specs: list[Spec] = []
        for side, leaf in zip(self.sides, (a, b), strict=True):
            if leaf is UNBOUND:
                continue
            if not is_carriable(leaf):
                if type(a) is type(b) and not isinstance(a, str | bytes):
                    name = type(a).__name__
                    return f"is one of two objects of class {name} (see gradopt.register_pytree)"
                return f"is {describe_value(a)} or {describe_value(b)}"
            specs.append(side.spec(leaf))
        joined = specs[0] if len(specs) == 1 else specs[0].join(specs[1])
        return f"is {specs[0]} or {specs[1]}" if joined is None else joined

    def results(self, number: int) -> list[Value]:
        """The results of one side."""
        side = self.sides[number]
        values: list[Value] = []
        for pair, spec in zip(self.pairs, self.specs, strict=True):
            leaf = np.zeros(spec.shape, spec.dtype) if pair[number] is UNBOUND else pair[number]
            value = side.value(leaf)
            values.append(side.within(lambda v=value, d=spec.dtype: prims.convert(v, d)))
        return values

    def doubt(self, results: Sequence[Any]) -> None:
        """Notes which results may share memory with other arrays in NumPy."""
        for number, side in enumerate(self.sides):
            storages = shared_storages([pair[number] for pair in self.pairs])
            owners: dict[int, Any] = {}
            for storage, result, pair in zip(storages, results, self.pairs, strict=True):
                if is_concrete(pair[number]):
                    may_be_concrete(result)
                if storage is None or result._is_scalar:
                    continue
                for key, other in family(storage).items():
                    if other.made_in is not side.scope:
                        may_be(result, other)
                    elif key in owners:
                        may_be(result, owners[key])
                owners[id(storage)] = result._storage


def traced_branch(
    site: Site, condition: Value, parts: Sequence[Callable[[], Any]], variables: Variables
) -> Exit | None:
    """Adds an `scf.if` of two parts; how it is left.

    Args:
        site: the statement.
        condition: one bool.
        parts: what to do if it holds, and if it does not.
        variables: what the parts assign.

    Raises:
        BranchError: one part returns something else than the other one.
        UnsupportedError: a part assigns a global name.
    """
    here = prims.scope()
    if site.foreign:
        raise UnsupportedError(
            f"a part of this statement assigns the global {', '.join(sorted(site.foreign))}, but "
            "its condition is traced; return the value instead",
            site.place,
        )
    known: list[Storage] = here.trace.notes.setdefault(site, [])
    storages = [storage for storage in known if storage.made_in is here]
    entries = Entries(is_loop=False)

    def enter(scope: Scope) -> contextlib.AbstractContextManager[Callable[[], None]]:
        return entries.entered(site.place, scope)

    own, lost = variables, dict(here.trace.lost)
    while True:
        sides: list[Part] = []
        variables = own.and_cells(entries.cells)
        try:
            for part, kind in zip(parts, ("then", "else"), strict=True):
                side = Part(site, kind)
                side.run(part, variables, storages, containers=enter)
                sides.append(side)
            break
        except BaseException as error:
            for side in sides:
                side.scope.discard()
            if isinstance(error, UncarriedWriteError) and error.storage.made_in is here:
                storages.append(error.storage)
                known.append(error.storage)
            elif isinstance(error, UncarriedContainerError) and error.home is here:
                entries.add(error, site.place)
            elif not isinstance(error, NewEntryError):
                raise
    try:
        return _merged(entries.site(site), condition, sides, variables, storages, lost)
    except BaseException:
        for side in sides:
            if side.scope.open:
                side.scope.discard()
        raise


def _merged(
    site: Site,
    condition: Value,
    sides: Sequence[Part],
    variables: Variables,
    storages: Sequence[Storage],
    lost: Mapping[str, str],
) -> Exit | None:
    here = prims.scope()
    merge = _Merge(sides)
    one, other = (side.exit for side in sides)
    codes = one.codes | other.codes
    code: Any = min(codes, default=0)
    if len(codes) > 1:
        made = merge.add(*[_code(side.exit) for side in sides])
        assert not isinstance(made, str)
        code = made
    value: Any = None
    if RETURN in codes:
        value = merge.add(one.value, other.value)
        if isinstance(value, str):
            raise BranchError(
                f"what is returned {value}, as a traced condition tells; both must have the same "
                "structure, shapes and dtypes",
                site.place,
            )
    names: dict[str, Any] = {}
    for name in variables.cells:
        is_new = here.trace.lost.get(name) is not lost.get(name)
        names[name] = _merged_name(
            site, merge, name, not is_new and variables.get(name) is not UNBOUND
        )
    changed = [
        (storage, [side.written[i] for side in sides])
        for i, storage in enumerate(storages)
        if any(side.written[i] is not storage.value for side in sides)
    ]
    inners = [
        side.finish([*merge.results(i), *[values[i] for _, values in changed]])
        for i, side in enumerate(sides)
    ]
    results = emit_branches("scf.if", flag_of(here, condition), {}, inners)
    count = len(merge.specs)
    wrapped = [spec.wrap(v) for spec, v in zip(merge.specs, results[:count], strict=True)]
    merge.doubt(wrapped)
    for pair, result in zip(merge.pairs, wrapped, strict=True):
        lay_out(result, pair)
    for (storage, _), result in zip(changed, results[count:], strict=True):
        storage.set(result)
    for name, made in names.items():
        variables.set(name, made(wrapped) if callable(made) else UNBOUND)
    if not codes:
        return Exit(codes, 0)
    left = Exit(codes, code(wrapped) if callable(code) else code)
    if RETURN in codes:
        left = Exit(codes, left.code, value(wrapped))
    return None if codes == END.codes else left


def _code(exit_: Exit) -> Any:
    """By which code a side is left; any, if it is not left at all."""
    if not exit_.codes:
        return UNBOUND
    return np.int64(exit_.code) if isinstance(exit_.code, int) else exit_.code


def _merged_name(
    site: Site, merge: _Merge, name: str, had_value: bool
) -> Callable[[Sequence[Any]], Any] | None:
    """What makes the value of a name of the results; None where it has none."""
    # Nobody asks for names where the function is left.
    dont_care = [not side.exit.codes - {RETURN} for side in merge.sides]
    values = [side.finals[name] for side in merge.sides]
    if name not in site.after and not is_same(*values):
        return None
    if all(value is UNBOUND for value in values) or all(dont_care):
        return None
    missing = [value is UNBOUND for value in values]
    lost = prims.scope().trace.lost
    line = f"the statement in line {site.place.line}, whose condition is traced"
    if any(m and not d for m, d in zip(missing, dont_care, strict=True)):
        if not name.isidentifier():
            raise BranchError(
                f"{name} is assigned in only one branch; assign it before", site.place
            )
        if had_value or name not in lost:  # Else it was lost before, or in a branch.
            lost[name] = f"{name} is assigned in only one branch of {line}; assign it before"
        return None
    made = merge.add(*[UNBOUND if d else v for v, d in zip(values, dont_care, strict=True)])
    if isinstance(made, str) and not name.isidentifier():
        raise BranchError(f"{name} {made}, as a traced condition tells", site.place)
    if isinstance(made, str):
        lost[name] = (
            f"{name} {made} behind {line}; both must have the same structure, shapes and dtypes"
        )
        return None
    return made
