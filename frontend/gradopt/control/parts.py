# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Parts of statements, traced into functions of the module; the variables that they change.

A part is a Python function on the variables of the user's function, which are cells. While it is
traced, the arrays of the enclosing function that it writes to belong to it. Afterwards cells and
arrays are what they were; the statement gives them their new values.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from types import CellType
from typing import Any, NamedTuple

import numpy as np

from gradopt.array.handle import Handle, Storage
from gradopt.array.unknown_sizes import Form, apart
from gradopt.base.dtypes import PYTHON_NUMBERS, SUPPORTED
from gradopt.base.pytree import TreeDef, flatten
from gradopt.control.unnoticed import none_unnoticed
from gradopt.errors import ArgumentTypeError, UnsupportedError
from gradopt.ir import prims
from gradopt.ir.trace import Scope, Trace, resume
from gradopt.ir.values import Value
from gradopt.rewrite.sites import Site
from gradopt.transforms.bodies import Spec
from gradopt.transforms.inner import InnerFunction

Forms = Sequence[Form | None] | None


class _Unbound:
    """What a name without a value has for one."""

    def __repr__(self) -> str:
        return "nothing"


UNBOUND: Any = _Unbound()

BREAK, CONTINUE, RETURN = 1, 2, 3


class Exit(NamedTuple):
    """How a part was left.

    Attributes:
        codes: the ways that are possible: 0 for its end, or BREAK, CONTINUE, RETURN; none if it
            always raises an exception.
        code: which one it was: a number, traced where there are several.
        value: what is returned, if it may be.
    """

    codes: frozenset[int]
    code: Any
    value: Any = UNBOUND

    @staticmethod
    def by(code: int, value: Any = UNBOUND) -> Exit:
        """The exit that is always taken."""
        return Exit(frozenset([code]), code, value)


END = Exit.by(0)
RAISED = Exit(frozenset(), 0)


class CannotRollError(UnsupportedError):
    """A statement cannot be a loop of compiled code."""


class Raised(BaseException):
    """The user's code raises where a traced condition decides: the part ends here.

    No `Exception`: the user's code must not handle it.
    """


def exit_of(result: Exit | None) -> Exit:
    """What a part returned; None is its end."""
    return END if result is None else result


class Variables:
    """The cells of names that a statement assigns.

    Attributes:
        cells: by names.
        functions: the parts of the statement.
    """

    def __init__(self, names: Iterable[str], functions: Sequence[Callable[..., Any]]) -> None:
        wanted = frozenset(names)
        self.cells: dict[str, CellType] = {}
        self.functions = functions
        for function in functions:
            code, closure = function.__code__, function.__closure__ or ()
            for name, cell in zip(code.co_freevars, closure, strict=True):
                if name in wanted:
                    self.cells[name] = cell

    def and_cells(self, cells: Mapping[str, Any]) -> Variables:
        """The same, and other cells."""
        made = Variables((), ())
        made.functions = self.functions
        made.cells = {**self.cells, **cells}
        return made

    def get(self, name: str) -> Any:
        """The value of a name, or UNBOUND."""
        try:
            return self.cells[name].cell_contents
        except ValueError:
            return UNBOUND

    def set(self, name: str, value: Any) -> None:
        """Gives a name a value, or takes it away."""
        cell = self.cells[name]
        if value is UNBOUND:
            with contextlib.suppress(ValueError):
                del cell.cell_contents
        else:
            cell.cell_contents = value

    def values(self) -> dict[str, Any]:
        """The values of all names."""
        return {name: self.get(name) for name in self.cells}

    def update(self, values: dict[str, Any]) -> None:
        """Sets all of these."""
        for name, value in values.items():
            self.set(name, value)


def container_notes(trace: Trace) -> tuple[dict[int, Any], dict[int, list[Any]]]:
    """The containers that parts made; those that belong to parts, with how they do.

    The variable that a function shares with those that it defines is a container, too: its cell.
    """
    return trace.notes.setdefault("containers", ({}, {}))


@contextlib.contextmanager
def _no_containers(scope: Scope) -> Generator[Callable[[], None]]:
    yield lambda: None


class Part:
    """A part that is being traced, or was.

    Attributes:
        scope: the function that it becomes.
        exit: how it was left.
        finals: the values that names have at its end.
        written: what arrays of the enclosing function hold at its end.
    """

    __slots__ = ("_parts", "_read", "exit", "finals", "scope", "written")

    def __init__(self, site: Site, kind: str) -> None:
        outer = prims.scope()
        name = outer.trace.unique_name(f"{site.place.function.rpartition('.')[2]}_{kind}")
        self.scope = Scope(outer.trace, outer, name, None, is_part=True)
        self.exit = END
        self.finals: dict[str, Any] = {}
        self.written: list[Value] = []
        # What handles on arrays of the enclosing function read at its end.
        self._read: dict[int, Value] = {}
        self._parts: dict[Any, tuple[Any, Any]] = {}

    def run(
        self,
        part: Callable[[], Any],
        variables: Variables,
        storages: Sequence[Storage],
        enter: Callable[[], Sequence[Value] | None] = lambda: None,
        containers: Callable[[Scope], contextlib.AbstractContextManager[Callable[[], None]]]
        | None = None,
    ) -> None:
        """Traces it.

        Args:
            part: what to call.
            variables: of the statement.
            storages: arrays of the enclosing function that it may write to.
            enter: called before it; gives what the storages hold there, if it is something else.
            containers: lets containers that it may change belong to it; gives what looks at them.
        """
        before = variables.values()
        entered: list[tuple[Storage, tuple[Any, ...]]] = []
        cells = [cell for cell in variables.cells.values() if type(cell) is CellType]
        owners = container_notes(self.scope.trace)[1]
        for cell in cells:
            owners.setdefault(id(cell), []).append((self.scope, None, False))

        def call() -> None:
            values = enter() or [None] * len(storages)
            for storage, value in zip(storages, values, strict=True):
                entered.append((storage, storage.enter(value)))
            unnoticed = none_unnoticed(variables.functions, cells, CannotRollError)
            with unnoticed, (containers or _no_containers)(self.scope) as look:
                try:
                    self.exit = exit_of(part())
                except Raised:
                    self.exit = RAISED
                look()
                self.finals = variables.values()
            for storage in storages:
                storage.require_unspoiled()
            self.written = [storage.value for storage in storages]
            for value in (*self.finals.values(), self.exit.value):
                for leaf in (self._taken_apart(value) or ([],))[0]:
                    if isinstance(leaf, Handle) and leaf._storage in storages:
                        self._read[id(leaf)] = leaf._read()

        try:
            resume(self.scope, call)
        except BaseException:
            self.scope.discard()
            raise
        finally:
            for cell in cells:
                owners[id(cell)].pop()
            for storage, state in reversed(entered):
                storage.leave(state)
            variables.update(before)

    def within(self, body: Callable[[], Any]) -> Any:
        """Adds to it."""
        return resume(self.scope, body)

    def parts(self, value: Any, forms: Forms = None) -> tuple[list[Any], TreeDef] | None:
        """The leaves and the structure of a value at its end; see `parts_of`."""
        return self.within(lambda: self._taken_apart(value, forms))

    def _taken_apart(self, value: Any, forms: Forms = None) -> tuple[list[Any], TreeDef] | None:
        key = id(value), None if forms is None else tuple(forms)
        if key not in self._parts:
            # The value is kept with it, so that no other one gets its number.
            self._parts[key] = parts_of(value, forms, self.value), value
        return self._parts[key][0]

    def value(self, leaf: Any) -> Value:
        """The value that a leaf has at its end."""
        found = self._read.get(id(leaf))
        return self.within(lambda: value_of(leaf)) if found is None else found

    def spec(self, leaf: Any) -> Spec:
        """What there is to know of a leaf at its end."""
        return Spec.of(leaf, self.value(leaf))

    def finish(self, results: Sequence[Value]) -> InnerFunction:
        """Ends it; it becomes a function with these results."""
        scope = self.scope

        def end() -> list[str]:
            return scope.finish([*results, *(scope.outcome or ())])

        types = resume(scope, end)
        scope.open = False
        count = len(results)
        return InnerFunction(scope.name, [*scope.lifted], types[:count], types[count:])


def value_of(leaf: Any) -> Value:
    """The value of a leaf in the current function."""
    return leaf._read() if isinstance(leaf, Handle) else prims.as_value(leaf)


def is_carriable(leaf: Any) -> bool:
    """Whether compiled code can compute a value: an array or a number."""
    if isinstance(leaf, Handle) or type(leaf) in PYTHON_NUMBERS:
        return True
    return isinstance(leaf, (np.ndarray, np.generic)) and leaf.dtype in SUPPORTED


def parts_of(
    value: Any, forms: Forms = None, read: Callable[[Any], Value] = value_of
) -> tuple[list[Any], TreeDef] | None:
    """The leaves and the structure of a value, if it has any.

    Arrays whose size is known at run time only are taken apart; see `gradopt.array.unknown_sizes`.
    """
    try:
        return flatten(apart(value, read, forms))
    except ArgumentTypeError:
        return None


def is_same(x: Any, y: Any) -> bool:
    """Whether two leaves are known to be one thing: one object, equal numbers, one array."""
    if x is y:
        return True
    if isinstance(x, Handle) or isinstance(y, Handle):
        if not (isinstance(x, Handle) and isinstance(y, Handle)):
            return False
        same = x._storage is y._storage and x._views == y._views
        return same and x._weak == y._weak
    if type(x) is not type(y):
        return False
    if type(x) in (bool, int, str):
        return x == y
    if type(x) in (float, complex) or isinstance(x, np.generic):
        return np.asarray(x).tobytes() == np.asarray(y).tobytes()
    return False


def shared_storages(leaves: Iterable[Any]) -> list[Storage | None]:
    """For each leaf the memory that a write to it would change, if there is any."""
    return [
        leaf._storage if isinstance(leaf, Handle) and not leaf._is_scalar else None
        for leaf in leaves
    ]
