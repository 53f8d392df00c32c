# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Lists, dicts and objects that parts of statements change.

While a part is traced, a container that it changes belongs to it; afterwards it holds again what it
held. What the part put into it becomes a variable of the statement: an entry of the container.

A list that a loop appends to, or whose elements it assigns by a traced index, becomes arrays while
the loop is traced, one for each leaf of its elements. Afterwards it is a list again, of the rows of
these. Meanwhile the list itself holds something that nobody can use.
"""

from __future__ import annotations

import contextlib
import dataclasses
import gc
import weakref
from collections.abc import Callable, Generator, Iterator, Sequence
from types import CellType, FrameType
from typing import Any, NoReturn

import numpy as np

from gradopt.array.handle import Handle, Storage, array_of, python_number
from gradopt.array.indexing import getitem, setitem
from gradopt.array.operands import rows_of
from gradopt.array.rows import rows
from gradopt.base.dtypes import INT64
from gradopt.base.location import source_location
from gradopt.base.pytree import TreeDef
from gradopt.base.statics import static
from gradopt.compilation.calling import describe_value
from gradopt.control.parts import (
    CannotRollError,
    container_notes,
    is_carriable,
    parts_of,
    value_of,
)
from gradopt.control.sharing import is_concrete, may_be, may_be_concrete, memory
from gradopt.errors import SourceLocation, TraceIndexError, UnsupportedError
from gradopt.ir import checks, prims
from gradopt.ir.affine import between
from gradopt.ir.current import current_scope
from gradopt.ir.intervals import assume
from gradopt.ir.trace import Scope, Trace
from gradopt.ir.values import Value
from gradopt.rewrite.sites import Site
from gradopt.transforms.bodies import Spec

_MISSING: Any = object()
# The key of what a cell holds.
_CELL = "cell"
# Leaves of the elements of a list that becomes arrays.
_MOST_LEAVES = 32
# Of one statement: a part that makes a container each time seems to change ever more of them.
_MOST_CONTAINERS = 16


class UncarriedContainerError(BaseException):
    """A part of a statement changes a container that is not known yet to change in it.

    As `UncarriedWriteError`.

    Attributes:
        container: what it changes.
        home: the function or part that the container belongs to.
        spread: the arrays that a list must become; None for what stays a container.
    """

    def __init__(self, container: Any, home: Scope, spread: Spread | None = None) -> None:
        super().__init__()
        self.container = container
        self.home = home
        self.spread = spread


class _Elsewhere:
    """What a list holds whose elements are in arrays, while a loop is traced."""

    def _refuse(self, *_: Any, **__: Any) -> NoReturn:
        raise CannotRollError(
            "a list that the loop appends to, or assigns elements of, is used as a whole in it",
            source_location(),
        )

    __array__ = __array_ufunc__ = __array_function__ = __eq__ = __ne__ = __bool__ = _refuse
    __add__ = __radd__ = __mul__ = __rmul__ = __sub__ = __rsub__ = __lt__ = __gt__ = _refuse
    __len__ = __iter__ = __getitem__ = __float__ = __int__ = __index__ = __call__ = _refuse
    __neg__ = __abs__ = __hash__ = __str__ = __repr__ = __format__ = _refuse


ELSEWHERE = _Elsewhere()


# -- Whose containers are ----------------------------------------------------------------------


_Made = dict[int, tuple[Any, Scope]]
# Scopes, arrays and whether the scope is the body of a loop, innermost last.
_Entered = dict[int, list[tuple[Scope, "Spread | None", bool]]]


def _notes(trace: Trace) -> tuple[_Made, _Entered]:
    return container_notes(trace)


def are_elsewhere(scope: Scope) -> bool:
    """Whether there are lists now whose elements are in arrays."""
    return any(stack and stack[-1][1] is not None for stack in _notes(scope.trace)[1].values())


def made(container: Any) -> Any:
    """Notes where a container was made; others are the user's, and not the trace's."""
    scope = current_scope()
    if scope is not None and (can_change(container) or isinstance(container, Iterator)):
        _notes(scope.trace)[0].setdefault(id(container), (container, scope))
    return container


# Iterators of Python's that a loop has left where only the run knows.
_LEFT = "left iterators"
# Those that only hold what they go through.
_LEAVES = frozenset(map(type, (iter([]), iter(()), iter({}), iter({}.items()), iter({}.values()))))


def iterators_in(iterator: Any) -> list[Any]:
    """An iterator, and those that it takes elements of."""
    found: dict[int, Any] = {}
    pending: list[Any] = [iterator]
    while pending:
        value = pending.pop()
        if isinstance(value, CellType):
            pending += _content_of(value).values()
        if not isinstance(value, Iterator) or id(value) in found:
            continue
        found[id(value)] = value
        is_ours = type(value).__module__.startswith("gradopt.")
        if is_ours or (value is iterator and type(value) in _LEAVES):
            continue
        for held in held_by(value):
            is_sequence = type(held) in (list, tuple)
            pending += held if is_sequence else [held]
    return list(found.values())


def held_by(iterator: Any) -> list[Any]:
    """What an iterator holds; of a generator, also the values of its variables."""
    found = [*gc.get_referents(iterator), *getattr(iterator, "__dict__", {}).values()]
    frames = [held for held in found if isinstance(held, FrameType)]
    return found + gc.get_referents(*frames)


def note_left(iterators: Sequence[Any]) -> None:
    """Notes that a loop has left iterators, at elements that only the run knows."""
    scope = current_scope()
    if scope is None:
        return
    left = scope.trace.notes.setdefault(_LEFT, {})
    for iterator in iterators:
        leave: Any = getattr(iterator, "left", None)
        if not type(iterator).__module__.startswith("gradopt."):
            left[id(iterator)] = iterator
        elif leave is not None:
            leave(None)


def require_not_left(values: Sequence[Any]) -> None:
    """Raises if a loop has left one of these iterators."""
    scope = current_scope()
    left = {} if scope is None else scope.trace.notes.get(_LEFT, {})
    if left and any(id(value) in left for value in values):
        raise UnsupportedError(
            "an iterator is gone through again of which a loop took some elements: which ones are "
            "left is known only when the compiled code runs; make a new one",
            source_location(),
        )


def are_left() -> bool:
    """Whether there are such iterators."""
    scope = current_scope()
    return scope is not None and bool(scope.trace.notes.get(_LEFT))


def require_own(value: Any) -> None:
    """Raises for an iterator that a part uses up, and has not made; or that a loop has left."""
    scope = current_scope()
    if scope is None or not isinstance(value, Iterator):
        return
    require_not_left([value])
    if not scope.in_part:
        return
    entry = _notes(scope.trace)[0].get(id(value))
    if entry is None or entry[1] is not scope:
        kind: Any = type(value)
        is_ours = kind.__module__.startswith("gradopt.")
        name = "an iterator" if is_ours else f"a {kind.__name__.lower()}"
        raise CannotRollError(
            f"{name} from outside is iterated over where a traced condition, or a loop of compiled "
            "code, decides how often that happens; use a list",
            source_location(),
        )


def _owner(container: Any, scope: Scope) -> tuple[Scope, Spread | None]:
    """The function or part that a container belongs to now, and the arrays that it has become."""
    known, entered = _notes(scope.trace)
    stack = entered.get(id(container))
    if stack:
        return stack[-1][:2]
    entry = known.get(id(container))
    if entry is None:
        if type(container) is CellType:
            raise CannotRollError(
                "a function assigns a variable of one around it, which is not being traced, where "
                "a traced condition, or a loop of compiled code, decides how often that happens",
                source_location(),
            )
        kind = type(container).__name__
        raise CannotRollError(
            f"elements or attributes of a {kind} from outside are assigned where a traced "
            "condition, or a loop of compiled code, decides how often that happens; use an array, "
            f"or a {kind} that the function makes",
            source_location(),
        )
    return entry[1], None


def _is_of_loop(container: Any, scope: Scope) -> bool:
    stack = _notes(scope.trace)[1].get(id(container))
    return bool(stack) and stack[-1][0] is scope and stack[-1][2]


def spread_of(container: Any) -> Spread | None:
    """The arrays that a list has become, if it has."""
    scope = current_scope()
    if type(container) is not list or scope is None or not scope.in_part:
        return None
    stack = _notes(scope.trace)[1].get(id(container))
    return stack[-1][1] if stack else None


def changes(container: Any, item: Any = _MISSING, appends: bool = False) -> Spread | None:
    """To be called before a container is changed.

    Args:
        container: a list, a dict, an object.
        item: what is appended to it, or assigned by a traced index.
        appends: whether it is appended.

    Returns:
        The arrays that a list has become; None if the container itself is to be changed.

    Raises:
        UncarriedContainerError: a statement around this part must carry it.
    """
    scope = current_scope()
    if scope is None or not scope.in_part:
        return None
    owner, state = _owner(container, scope)
    _require_parts(container, scope, owner)
    if state is None and owner is scope and item is not _MISSING and _is_of_loop(container, scope):
        # It is carried entry by entry, and must become arrays.
        assert scope.parent is not None
        owner = scope.parent
    elif owner is scope or (state is not None and not appends):
        return state
    spread = None
    if item is not _MISSING:
        spread = Spread(container)
        spread.each = int(appends)
        spread.add_item(item)
    raise UncarriedContainerError(container, owner, spread)


def _require_parts(container: Any, scope: Scope, owner: Scope) -> None:
    """Raises where a container would have to leave a function that is differentiated or mapped."""
    inner: Scope | None = scope
    while inner is not None and inner is not owner:
        if not inner.is_part:
            kind = "variable" if type(container) is CellType else type(container).__name__
            raise CannotRollError(
                f"a {kind} from outside of a function that is differentiated or mapped changes in "
                "it, where a traced condition, or a loop of compiled code, decides how often that "
                "happens; return what it holds",
                source_location(),
            )
        inner = inner.parent


# -- What they hold ----------------------------------------------------------------------------


def snapshot(container: Any) -> dict[Any, Any]:
    """What a container holds, by key, index or name."""
    if type(container) is list:
        return dict(enumerate(container))
    if type(container) is CellType:
        return _content_of(container)
    return dict(container if isinstance(container, dict) else vars(container))


def _content_of(cell: CellType) -> dict[Any, Any]:
    try:
        return {_CELL: cell.cell_contents}
    except ValueError:
        return {}


def restore(container: Any, content: dict[Any, Any]) -> None:
    """Gives a container what it held."""
    if type(container) is CellType:
        with contextlib.suppress(ValueError):
            del container.cell_contents
        for value in content.values():
            container.cell_contents = value
        return
    if type(container) is list:
        container[:] = content.values()
        return
    holder: dict[Any, Any] = container if isinstance(container, dict) else vars(container)
    holder.clear()
    holder.update(content)


def can_change(container: Any) -> bool:
    """Whether what a container holds can be looked at and restored."""
    kinds = (list, CellType)
    return type(container) in kinds or isinstance(container, dict) or hasattr(container, "__dict__")


class EntryCell:
    """An entry of a container as the cell of a variable."""

    def __init__(self, container: Any, key: Any) -> None:
        self._container = container
        self._key = key

    @property
    def _holder(self) -> Any:
        is_plain = type(self._container) is list or isinstance(self._container, dict)
        return self._container if is_plain else vars(self._container)

    @property
    def cell_contents(self) -> Any:
        """The value; a ValueError if there is none."""
        try:
            return self._holder[self._key]
        except (KeyError, IndexError):
            raise ValueError("Cell is empty") from None

    @cell_contents.setter
    def cell_contents(self, value: Any) -> None:
        self._holder[self._key] = value

    @cell_contents.deleter
    def cell_contents(self) -> None:
        try:
            del self._holder[self._key]
        except (KeyError, IndexError):
            raise ValueError("Cell is empty") from None


class Entries:
    """Containers that a statement changes, and the entries that become its variables.

    Attributes:
        containers: the containers.
        spreads: lists that become arrays.
        cells: the entries, by the names that they have as variables.

    Args:
        is_loop: whether the statement is a loop.
    """

    def __init__(self, is_loop: bool) -> None:
        self._is_loop = is_loop
        self.containers: list[Any] = []
        self.spreads: list[Spread] = []
        self.cells: dict[str, Any] = {}
        self._keys: set[tuple[int, Any]] = set()

    def site(self, site: Site) -> Site:
        """The statement, with entries among its names."""
        if not self.cells:
            return site
        names = frozenset(self.cells)
        return dataclasses.replace(
            site,
            assigned=site.assigned | names,
            after=site.after | names,
            head=site.head | names,
        )

    def add(self, error: UncarriedContainerError, place: SourceLocation) -> None:
        """Notes what a part changes.

        Raises:
            CannotRollError: it cannot; or each try finds another one.
        """
        container, spread = error.container, error.spread
        known = next((s for s in self.spreads if s.container is container), None)
        if spread is not None and not self._is_loop:
            raise CannotRollError(
                "a list is appended to, or its elements are assigned by a traced index, where a "
                "traced condition decides whether that happens: its length, or its elements, would "
                "not be known; write to an array",
                place,
            )
        if known is not None or spread is not None:
            self._add_spread(container, known, spread, place)
        elif not can_change(container) or len(self.containers) > _MOST_CONTAINERS:
            raise CannotRollError(
                f"elements or attributes of a {type(container).__name__} are assigned where a "
                "traced condition, or a loop of compiled code, decides how often that happens; "
                "use an array",
                place,
            )
        else:
            self.containers.append(container)

    def _add_spread(
        self, container: Any, known: Spread | None, spread: Spread | None, place: SourceLocation
    ) -> None:
        if spread is None:
            raise CannotRollError(
                "a list that a loop appends to is changed in another way, too", place
            )
        around = _owner(container, prims.scope())[1]
        if known is None:
            if len(self.spreads) > _MOST_CONTAINERS:
                raise CannotRollError("a loop makes lists, and appends to them later", place)
            if around is not None:
                spread = Spread(container, around)
                spread.each = 1
            self.spreads.append(spread)
            self.containers = [c for c in self.containers if c is not container]
        elif spread is not known:
            known.join(spread)

    @contextlib.contextmanager
    def entered(
        self, place: SourceLocation, scope: Scope, usable: bool = True
    ) -> Generator[Callable[[], None]]:
        """Lets containers belong to a part, while it is traced.

        Args:
            place: of the statement.
            scope: the part.
            usable: whether the part may use lists that are arrays.
        """
        entered = _notes(scope.trace)[1]
        before = [(c, snapshot(c)) for c in self.containers]
        lists = [(spread.container, [*spread.container]) for spread in self.spreads]
        states = [*[None] * len(before), *self.spreads]
        everything = [*self.containers, *[container for container, _ in lists]]
        for container, state in zip(everything, states, strict=True):
            if usable:
                entered.setdefault(id(container), []).append((scope, state, self._is_loop))
            if state is not None:
                container[:] = [ELSEWHERE]
        try:
            yield lambda: self._look([content for _, content in before], place)
        finally:
            for container in everything if usable else ():
                entered[id(container)].pop()
            for container, content in before:
                restore(container, content)
            for container, content in lists:
                container[:] = content

    def _look(self, before: Sequence[dict[Any, Any]], place: SourceLocation) -> None:
        """Notes the entries that a part has changed.

        Raises:
            NewEntryError: there are new ones.
            CannotRollError: a list has another length, or an entry was deleted.
        """
        found = False
        for container, content in zip(self.containers, before, strict=True):
            now = snapshot(container)
            is_list = type(container) is list
            is_longer = bool(now.keys() - content.keys())
            if content.keys() - now.keys() or (is_longer and (is_list or self._is_loop)):
                raise CannotRollError(
                    f"a {type(container).__name__} gets or loses elements where a traced "
                    "condition, or a loop of compiled code, decides how often that happens",
                    place,
                )
            for key, value in now.items():
                if value is content.get(key, _MISSING) or (id(container), key) in self._keys:
                    continue
                found = True
                self._keys.add((id(container), key))
                kind = type(container).__name__
                is_object = not is_list and not isinstance(container, dict)
                name = f"the attribute {key} of a {kind}" if is_object else f"[{key!r}] of a {kind}"
                is_cell = type(container) is CellType
                name = "a variable of a function around" if is_cell else name
                if name in self.cells:
                    name = f"{name} ({len(self.cells)})"
                self.cells[name] = container if is_cell else EntryCell(container, key)
        if found:
            raise NewEntryError


class NewEntryError(BaseException):
    """A part has changed an entry of a container that is not known yet to change in it."""


# -- Lists that are arrays for a while ---------------------------------------------------------


class Spread:
    """A list that a loop appends to, or whose elements it assigns by traced indices.

    Attributes:
        container: the list.
        each: how many elements are appended in an iteration.
        arrays: for each leaf of the elements an array that all of them are in.
        new: how many elements this iteration has appended until now.
        appended: arrays that were appended, with their versions then.
        around: the same list in a loop around this one, which has become arrays there.
    """

    def __init__(self, container: list[Any], around: Spread | None = None) -> None:
        self.container = container
        self.each = 0
        self.arrays: list[Handle] = []
        self.new = 0
        self.appended: list[tuple[Storage, int]] = []
        self.around = around
        self._tree: TreeDef | None = None if around is None else around._tree
        self._specs: list[Spec] = [] if around is None else around._specs
        self._first: Value | None = None
        self._start: Any = 0
        self._least = 0
        self._length = 0
        self._rewrites = False
        self._blank = False

    def add_item(self, item: Any) -> bool:
        """Looks at an element; whether elements are something else now.

        Raises:
            CannotRollError: it is no array, or unlike others.
        """
        parts = _parts(item)
        if parts is None or not parts[0] or not all(map(is_carriable, parts[0])):
            _refuse(f"what is put into a list is no array ({describe_value(item)})")
        specs = [Spec.of(leaf, value_of(leaf)) for leaf in parts[0]]
        if any(spec.shape.__class__ is not tuple for spec in specs):
            _refuse("what is put into a list has a size that is known at run time only")
        if self._tree is None:
            if len(specs) > _MOST_LEAVES:
                _refuse(f"what is put into a list consists of {len(specs)} arrays")
            self._tree, self._specs = parts[1], specs
            return True
        joined = [a.join(b) for a, b in zip(self._specs, specs, strict=False)]
        if parts[1] != self._tree or None in joined:
            _refuse("elements of a list have different structure, shapes or dtypes")
        found = [spec for spec in joined if spec is not None]
        changed, self._specs = found != self._specs, found
        return changed

    def join(self, other: Spread) -> None:
        """Takes over what another one has shown of the elements."""
        self.each = max(self.each, other.each)
        if other._tree is not None and other._tree == self._tree:
            joined = [a.join(b) for a, b in zip(self._specs, other._specs, strict=True)]
            self._specs = [spec for spec in joined if spec is not None]
        if other._tree != self._tree or len(self._specs) != len(other._specs):
            _refuse("elements of a list have different structure, shapes or dtypes")

    def start(self, length: Any) -> None:
        """Makes the arrays, before a loop of so many iterations.

        Raises:
            CannotRollError: the list would have a length that is not known.
        """
        if self.each and not isinstance(length, int):
            _refuse(
                "a list is appended to in a loop whose number of iterations is traced, so that its "
                "length would not be known; write to an array of the greatest length"
            )
        self._length = length if isinstance(length, int) else 0
        if self.around is not None:
            around = self.around
            if around._specs != self._specs:
                around._specs = self._specs
                home = prims.scope().parent
                assert home is not None
                raise UncarriedContainerError(self.container, home, around)
            self.arrays = around.arrays
            self._start, self._least = around.length(), around._least + around.new
            return
        items = self.container
        self._blank = not self.each and bool(items) and all(item is None for item in items)
        for item in () if self._blank else items:
            self.add_item(item)
        self._start = self._least = len(items)
        more = self.each * self._length
        self.arrays = []
        leaves = [] if self._blank else [(_parts(item) or ([],))[0] for item in items]
        for i, spec in enumerate(self._specs):
            # Of None there is nothing to keep.
            added = (more if leaves else len(items) + more, *spec.shape)
            parts = [prims.convert(value_of(row[i]), spec.dtype) for row in leaves]
            parts = [prims.reshape(part, (1, *spec.shape)) for part in parts]
            if added[0] or not parts:
                parts.append(prims.as_value(np.zeros(added, spec.dtype)))
            self.arrays.append(array_of(prims.concatenate(parts, 0)))

    @property
    def storages(self) -> list[Storage]:
        """The memory that the loop writes to."""
        return [array._storage for array in self.arrays]

    def begin(self, number: Value | None) -> None:
        """An iteration begins; `number` is the counter."""
        self.new = 0
        self.appended.clear()
        self._first = None
        if self.each and number is not None:
            first = number * self.each if self.each > 1 else number
            self._first = first + value_of(self._start) if self._is_behind else first

    @property
    def _is_behind(self) -> bool:
        return isinstance(self._start, Handle) or self._start > 0

    def length(self) -> Any:
        """How many elements there are now."""
        return self._at(self.new)

    def _at(self, offset: int) -> Any:
        """The number of an element, counted from where the iteration began."""
        if self._first is None:
            return self._start + offset
        value = self._first + offset if offset else self._first
        if not isinstance(self._start, Handle):
            last = self._start + self.each * (self._length - 1) + offset
            assume(value, self._start + offset, max(last, self._start + offset))
        return python_number(value)

    def _place(self, index: Any) -> Any:
        """The number of an element that the user asks for."""
        least = self._least + self.new
        if isinstance(index, Handle) and not index.shape and index.dtype.kind == "i":
            known = index._known()
            if known is None:
                return self._checked(prims.convert(index._read(), INT64), least)
            index = int(known)
        if not isinstance(index, (int, np.integer)):
            _refuse("a list is indexed by something else than an integer")
        if not -least <= index < least:
            _refuse(f"a list need not have an element {index} in all iterations")
        return int(index) if index >= 0 else self._at(self.new + int(index))

    def _checked(self, value: Value, least: int) -> Any:
        ends = between(value)
        if ends is not None and ends[0] >= 0 and ends[1] < least:
            return python_number(value)
        length = prims.as_value(value_of(self.length()), INT64)
        if ends is None or ends[0] < 0:
            value = prims.select(value < prims.scalar(0, INT64), value + length, value)
        is_inside = (value < length) & ~(value < prims.scalar(0, INT64))
        checks.require_all(is_inside, "list index out of range", TraceIndexError)
        return python_number(value)

    def get(self, index: Any) -> Any:
        """An element."""
        if self._blank:
            _refuse("a list of None is read in a loop that assigns its elements")
        assert self._tree is not None
        place = self._place(index)
        leaves = [getitem(array, place) for array in self.arrays]
        return _unpacked(
            self._tree.unflatten(
                [
                    leaf if not spec.is_scalar else spec.wrap(value_of(leaf))
                    for leaf, spec in zip(leaves, self._specs, strict=True)
                ]
            )
        )

    def put(self, index: Any, item: Any) -> None:
        """Assigns an element."""
        if self._blank and not self._is_each(index):
            _refuse("of a list of None not each element is assigned in its turn")
        self._rewrites = True
        self._write(self._place(index), item)

    def _is_each(self, index: Any) -> bool:
        """Whether an index is the counter, of a loop over all elements."""
        here = prims.scope()
        is_all = self._length == self._start
        return is_all and isinstance(index, Handle) and index._read() is here.trace.notes.get(here)

    def append(self, item: Any) -> None:
        """Appends an element."""
        self._write(self._at(self.new), item)
        self.new += 1
        if self.around is not None:
            self._rewrites = True

    def _write(self, place: Any, item: Any) -> None:
        if self.add_item(item):
            home = prims.scope().parent
            assert home is not None
            raise UncarriedContainerError(self.container, home, self)
        for array, leaf in zip(self.arrays, (_parts(item) or ([],))[0], strict=True):
            setitem(array, place, leaf)
            if isinstance(leaf, Handle) and not leaf._is_scalar:
                self.appended.append((leaf._storage, leaf._storage.version))

    def check(self, written: Sequence[Storage]) -> bool:
        """Looks at what an iteration has done; whether it is to be traced anew.

        Raises:
            CannotRollError: an array that was put into the list is written to.
        """
        for storage, version in self.appended:
            if storage.version != version or storage in written:
                _refuse("an array that is put into a list is written to; put in a copy")
        changed, self.each = self.new != self.each, self.new
        return changed

    def finish(self) -> None:
        """Gives the list its elements, behind the loop."""
        for array in self.arrays:
            for storage, _ in self.appended:
                storage.doubts = [*(storage.doubts or ()), (weakref.ref(array._storage), _IN_LIST)]
        if self.around is not None:
            self.around.new += self.each * self._length
            self.around.appended += self.appended
            return
        assert self._tree is not None
        columns: list[Sequence[Any]] = []
        for array, spec in zip(self.arrays, self._specs, strict=True):
            whole = Handle.facade(array._storage, weak=spec.weak)
            columns.append(rows(whole, spec.is_scalar))
        first = 0 if self._rewrites else self._start
        items = columns[0]
        if self._tree.cls is not None:
            items = [
                _unpacked(self._tree.unflatten(leaves)) for leaves in zip(*columns, strict=True)
            ]
        self.container[first:] = items[first:]


@dataclasses.dataclass(eq=False, repr=False)
class _Packed:
    """A list of rows of one array, in an element of a list.

    Attributes:
        array: that array.
        weak: whether the rows are Python numbers; static in what is flattened.
        is_scalar: whether they are scalars; the same.
    """

    array: Any
    weak: Any
    is_scalar: Any


def _parts(item: Any) -> tuple[list[Any], TreeDef] | None:
    """The leaves of an element and its structure, in which lists of rows are arrays."""
    return parts_of(_packed(item))


def _packed(item: Any) -> Any:
    if type(item) not in (list, tuple):
        return item
    whole = rows_of(item) if type(item) is list else None
    if whole is None:
        return type(item)([_packed(part) for part in item])
    plain = array_of(whole._read())
    return _Packed(plain, static(whole._weak), static(item[0]._is_scalar))


def _unpacked(item: Any) -> Any:
    if type(item) is _Packed:
        array = Handle.facade(item.array._storage, item.array._views, weak=item.weak)
        return list(rows(array, item.is_scalar))
    if type(item) in (list, tuple):
        return type(item)([_unpacked(part) for part in item])
    return item


_IN_LIST = "it was put into a list by a loop, and may be changed there; put in a copy"


def _refuse(why: str) -> NoReturn:
    raise CannotRollError(why, source_location())


class Indexed:
    """A list whose elements are asked for or assigned by traced indices."""

    __slots__ = ("_items",)

    def __init__(self, items: Any) -> None:
        self._items = items

    def __getitem__(self, index: Any) -> Any:
        spread = spread_of(self._items)
        if spread is not None:
            return spread.get(index)
        if not (isinstance(index, Handle) and index._known() is None):
            found = self._items[index]
            return made(found) if isinstance(index, slice) and type(found) is list else found
        if index.shape or index.dtype.kind != "i":
            raise TypeError("list indices must be integers or slices")
        found = self._stacked().get(index)
        if rows_of(self._items) is None:
            self._doubt(found)
        return found

    def __setitem__(self, index: Any, item: Any) -> None:
        items = self._items
        if not (isinstance(index, Handle) and index._known() is None):
            spread = changes(items)
            if spread is None:
                items[index] = item
            else:
                spread.put(index, item)
            return
        spread = changes(items, item)
        if spread is None:
            spread = self._stacked(item)
            spread.put(index, item)
            spread.finish()
        else:
            spread.put(index, item)

    def __delitem__(self, index: Any) -> None:
        if changes(self._items) is not None:
            _refuse("an element of a list is deleted")
        del self._items[index]

    def _doubt(self, found: Any) -> None:
        """Notes that a copy of an element is the element itself in NumPy."""
        leaves = (parts_of(found) or ([],))[0]
        for item in self._items:
            for leaf, own in zip(leaves, (parts_of(item) or ([],))[0], strict=False):
                storage = memory(own)
                if storage is not None:
                    may_be(leaf, storage)
                elif is_concrete(own):
                    may_be_concrete(leaf)

    def _stacked(self, *others: Any) -> Spread:
        """The list as arrays."""
        spread = Spread([*self._items] if isinstance(self._items, tuple) else self._items)
        for item in others:
            spread.add_item(item)
        whole = rows_of(self._items)
        if whole is not None and not others:
            spread.add_item(self._items[0])
            spread.arrays, spread._least = [whole], len(self._items)
            spread._start = spread._least
        else:
            spread.start(0)
        return spread


def refuse_elsewhere(value: Any, depth: int = 3) -> None:
    """Raises a CannotRollError for what holds a list whose elements are in arrays."""
    if value is ELSEWHERE:
        ELSEWHERE._refuse()
    if depth and type(value) in (list, tuple):
        if any(part is ELSEWHERE for part in value):
            ELSEWHERE._refuse()
        for part in value[:4]:
            refuse_elsewhere(part, depth - 1)
    elif depth and type(value) is dict:
        for part in value.values():
            refuse_elsewhere(part, depth - 1)
