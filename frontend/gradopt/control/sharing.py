# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Which arrays NumPy would let share memory where a name may stand for several of them.

A traced condition that chooses an array, and a loop that gives an array another's name, make copies
here. So neither the copy nor what it may be a copy of can be written to afterwards.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from gradopt.array.handle import Handle, Storage
from gradopt.ir.trace import Scope

ALIASED = (
    "it was chosen by a traced condition, or carried by a loop, and may share memory with another "
    "array; use .copy() where it is assigned"
)


def memory(leaf: Any) -> Storage | None:
    """The memory that a write to a leaf would change, if there is any."""
    return leaf._storage if isinstance(leaf, Handle) and not leaf._is_scalar else None


def family(storage: Storage) -> dict[int, Storage]:
    """A storage, and those that it may be the same memory as; by their ids."""
    found = {id(storage): storage}
    for ref, _ in storage.doubts or ():
        other = ref()
        if other is not None:
            found[id(other)] = other
    return found


def may_be(result: Any, storage: Storage) -> None:
    """Notes that an array may share memory with another one, and with those that that may be."""
    mine = memory(result)
    if mine is not None:
        for other in family(storage).values():
            if other is not mine:
                mine.doubt(other, ALIASED)


def may_be_concrete(result: Any) -> None:
    """Notes that an array may be one of NumPy's, which compiled code cannot write to."""
    storage = memory(result)
    if storage is not None:
        storage.frozen = True
        storage.argument = "an array that the function may not have made"


def is_concrete(leaf: Any) -> bool:
    """Whether a leaf is memory that only NumPy writes to."""
    return isinstance(leaf, np.ndarray) and not isinstance(leaf, Handle)


class Passed(NamedTuple):
    """An array or a number that a loop carries for a name.

    Attributes:
        entry: its value before the loop.
        inside: its value where an iteration begins; None where the body makes it.
        final: its value where an iteration ends.
    """

    entry: Any
    inside: Any
    final: Any

    @property
    def is_written(self) -> bool:
        """Whether the body writes to what it is where an iteration begins."""
        storage = memory(self.inside)
        return storage is not None and storage.version > 0


class Sharing:
    """What the arrays that a loop carries may be where an iteration begins, or behind the loop.

    Attributes:
        outside: for each of them storages from outside of the loop that it may be; not its own one
            before the first iteration, if it is that only there.
        concrete: for each of them, whether it may be an array of NumPy's.
        pairs: numbers of those that may be one array.
    """

    def __init__(self, passed: Sequence[Passed], body: Scope) -> None:
        inside = {id(s): n for n, p in enumerate(passed) if (s := memory(p.inside)) is not None}
        ends = [memory(p.final) for p in passed]
        families = [{} if end is None else family(end) for end in ends]
        self.pairs = [
            (n, m)
            for n, found in enumerate(families)
            for m in range(n)
            if (end := ends[m]) is not None and id(end) in found
        ]
        self.outside: list[list[Storage]] = []
        self.concrete: list[bool] = []
        for found in families:
            others: dict[int, Storage] = {}
            origins: set[int] = set()  # Those whose values it may get, in some iterations.
            waiting = [found]
            while waiting:
                for key, storage in waiting.pop().items():
                    if key not in inside:
                        if storage.made_in is not body:
                            others[key] = storage
                    elif inside[key] not in origins:
                        origins.add(inside[key])
                        waiting.append(families[inside[key]])
            for origin in origins:
                entry = memory(passed[origin].entry)
                if entry is not None:
                    others.update(family(entry))
            self.outside.append(list(others.values()))
            self.concrete.append(any(is_concrete(passed[n].entry) for n in origins))


def turns_of(passed: Sequence[Passed]) -> dict[int, int]:
    """Arrays that only take turns in having names: `a, b = b, a`.

    For the number of each such array before the loop, the number of that whose array its name has
    where an iteration ends. Empty where an array that is written to is none of them.
    """
    inside = {id(s): n for n, p in enumerate(passed) if (s := memory(p.inside)) is not None}
    turns: dict[int, int] = {}
    for n, p in enumerate(passed):
        end = memory(p.final)
        m = -1 if end is None or p.final._views else inside.get(id(end), -1)
        if m >= 0 and n in inside.values() and _is_alone(passed[m].entry):
            turns[n] = m
    entries = [id(memory(passed[n].entry)) for n in turns]
    if len(set(entries)) < len(entries):
        return {}
    while not_whole := [n for n, m in turns.items() if m not in turns or n not in turns.values()]:
        for n in not_whole:
            del turns[n]
    is_whole = len(set(turns.values())) == len(turns)
    are_written = {n for n, p in enumerate(passed) if p.is_written}
    return turns if is_whole and are_written <= turns.keys() else {}


def _is_alone(leaf: Any) -> bool:
    """Whether a leaf is all of an array that nothing else may be."""
    storage = memory(leaf)
    return storage is not None and not leaf._views and len(family(storage)) == 1
