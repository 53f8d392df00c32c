# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The operators that rewritten functions call.

Each of them decides when it runs: what is concrete takes Python's own path.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from types import ModuleType
from typing import Any

import numpy as np

import gradopt.numpy as gnp
from gradopt.array.handle import Handle, UncarriedWriteError, wrap
from gradopt.array.indexing import getitem
from gradopt.array.operands import handle_of, is_traced
from gradopt.base.dtypes import INT64, SUPPORTED
from gradopt.base.location import source_location
from gradopt.control.branches import to_bool, traced_branch, truth
from gradopt.control.calls import callee, is_unknown
from gradopt.control.containers import (
    Indexed,
    UncarriedContainerError,
    changes,
    iterators_in,
    made,
    note_left,
    refuse_elsewhere,
    require_not_left,
    require_own,
)
from gradopt.control.exceptions import (
    Managed,
    begins_try,
    ends_try,
    own_error,
    passes_by,
    raised,
    raised_again,
)
from gradopt.control.foreign import UNCHANGING
from gradopt.control.iterators import Replayed, replayed
from gradopt.control.lengths import type_name
from gradopt.control.loops import Loop
from gradopt.control.order import ORDERS, are_ordered, order
from gradopt.control.parts import (
    BREAK,
    CONTINUE,
    END,
    RETURN,
    UNBOUND,
    CannotRollError,
    Exit,
    Part,
    Variables,
    exit_of,
    parts_of,
    shared_storages,
)
from gradopt.control.scipy_calls import product
from gradopt.control.sequences import Again, Numbered, Once, numbered
from gradopt.control.special import (
    BINARY,
    COMPARE,
    PLAIN,
    binary,
    compare,
    in_place,
    items_of,
    method_of,
    negation,
    special,
    unary,
)
from gradopt.control.text import joined, percent
from gradopt.errors import BranchError, GradoptError, UnsupportedError
from gradopt.ir import prims
from gradopt.ir.current import current_scope
from gradopt.ir.trace import Scope
from gradopt.ir.values import Value
from gradopt.rewrite.functions import MISSING, lookup
from gradopt.rewrite.names import NONE
from gradopt.rewrite.sites import OPERATORS, Site
from gradopt.transforms.mapped import Joined

# Loops of fewer iterations are written down one by one.
FEWEST_ITERATIONS = 8
# Iterations of a `while` whose condition is known, before the others become a loop.
_MOST_KNOWN = 1000
# Iterations of a `while` that are written down one in the other, where it cannot be a loop.
_MOST_NESTED = 50

_Part = Callable[..., Any]


def _nothing() -> None:
    """A part without statements."""


# Grids of NumPy, by what takes their place.
_GRIDS: dict[Any, Any] = {np.mgrid: gnp.mgrid, np.ogrid: gnp.ogrid}
_GRID_TYPES = frozenset(map(type, _GRIDS))


class Operators:
    """What the code of one function calls.

    Args:
        sites: its statements.
        package: the package that it is in.
    """

    BREAK = Exit.by(BREAK)
    CONTINUE = Exit.by(CONTINUE)

    def __init__(self, sites: Sequence[Site], package: str) -> None:
        self._sites = sites
        self._package = package

    # -- Statements ------------------------------------------------------------------------

    def branch(self, number: int, test: Any, body: _Part, orelse: _Part = _nothing) -> Exit | None:
        """`if`."""
        condition = truth(test)
        if isinstance(condition, bool):
            return body() if condition else orelse()
        site = self._sites[number]
        variables = Variables(site.assigned, (body, orelse))
        return traced_branch(site, condition, (body, orelse), variables)

    def then(self, number: int, left: Exit | None, rest: _Part) -> Exit | None:
        """What stands behind a statement that may leave."""
        if left is None:
            return rest()
        if 0 not in left.codes:
            return left
        site = self._sites[number]
        goes_on = prims.equal(left.code._read(), 0)
        others = Exit(left.codes - {0}, left.code, left.value)
        if len(others.codes) == 1:
            others = Exit(others.codes, min(others.codes), left.value)
        return traced_branch(
            site, goes_on, (rest, lambda: others), Variables(site.assigned, (rest,))
        )

    def loop(self, number: int, test: _Part, body: _Part, orelse: _Part = _nothing) -> Exit | None:
        """`while`."""
        site = self._sites[number]
        scope = current_scope()
        begin = 0 if scope is None else len(scope.block.operations)
        # One that was long once becomes a loop at once.
        is_long = scope is not None and (site, "long") in scope.trace.notes
        variables = Variables(site.assigned, (test, body, orelse))
        for count in itertools.count():
            if scope is not None and (
                (is_long and not count)
                or (count == _MOST_KNOWN and len(scope.block.operations) > begin)
            ):
                found = self._attempt(
                    site, lambda: Loop(site, variables, body, test=test, may_unroll=True)
                )
                if found is not None:
                    scope.trace.notes[site, "long"] = True
                    return self._otherwise(site, found[1], orelse, variables)
            condition = truth(test())
            if not isinstance(condition, bool):
                break
            if scope is not None:
                scope.trace.loops.setdefault(site.place, "its condition is known while tracing")
            if not condition:
                return orelse()
            left = body()
            if left is None or left is self.CONTINUE:
                continue
            if len(left.codes) > 1:
                return self._go_on(
                    site,
                    left,
                    lambda: self._loop_on(number, test, body, orelse),
                    (test, body, orelse),
                )
            return None if left.code == BREAK else left
        return self._rolled(site, test, body, orelse)

    def _rolled(self, site: Site, test: _Part, body: _Part, orelse: _Part) -> Exit | None:
        """A `while` of compiled code."""
        variables = Variables(site.assigned, (test, body, orelse))
        left = Loop(site, variables, body, test=test).run()
        prims.scope().trace.loops[site.place] = ""
        return self._otherwise(site, left, orelse, variables)

    def _loop_on(self, number: int, test: _Part, body: _Part, orelse: _Part) -> Exit | None:
        """The other iterations of a `while` that a traced condition may have left."""
        site = self._sites[number]
        notes = prims.scope().trace.notes
        depth = notes.get((site, "depth"), 0)
        try:
            return self._rolled(site, test, body, orelse)
        except Exception:
            if depth > _MOST_NESTED:
                raise
        notes[site, "depth"] = depth + 1
        try:
            return self.loop(number, test, body, orelse)
        finally:
            notes[site, "depth"] = depth

    def each(
        self, number: int, iterable: Any, body: _Part, orelse: _Part | None = None
    ) -> Exit | None:
        """`for`."""
        return self._go_through(self._sites[number], iterable, body, orelse or _nothing)

    def _go_through(self, site: Site, iterable: Any, body: _Part, orelse: _Part) -> Exit | None:
        iterable = self._iterable(iterable)
        items: Any = iterable
        refuse_elsewhere(iterable, 1)
        scope = current_scope()
        sequence = None
        require_own(iterable)
        owner = iterable if isinstance(iterable, Once) else None
        if scope is not None:
            sequence = numbered(iterable)
        if owner is not None and sequence is not None:
            items = sequence
        if sequence is not None:
            length = sequence.length()
            if isinstance(length, Value) or length >= FEWEST_ITERATIONS:
                variables = Variables(site.assigned, (body, orelse))
                loop, left = self._try(site, sequence, body, variables, length)
                if loop is not None:
                    if owner is not None and left is not None:
                        owner.left(loop.taken)
                    return self._otherwise(site, left, orelse, variables)
            elif scope is not None:
                scope.trace.loops[site.place] = f"it has {length} iterations"
        elif scope is not None:
            scope.trace.loops.setdefault(
                site.place, f"it goes through an object of class {type(iterable).__name__}"
            )
        is_kept = isinstance(items, (Handle, Numbered))
        kept = Again(items, owner=owner) if is_kept else iter(items)
        return self._each(site, kept, body, orelse)

    def _iterable(self, value: Any) -> Any:
        """What is gone through: the iterator that the user's class gives, if it does."""
        found = special(value, "__iter__", self._package)
        if found is None:
            return value
        iterator = found(value)
        if not isinstance(iterator, Once) and lookup(type(iterator), "__next__") is MISSING:
            name = type_name(iterator.__class__)
            raise TypeError(f"iter() returned non-iterator of type {name!r}")
        return made(iterator)

    def nested(self, number: int, iterable: Any, elements: Callable[[Any], list[Any]]) -> list[Any]:
        """A comprehension of several `for`: each iteration of the first one gives lists."""
        return self.collected(number, iterable, lambda item: _joined(elements(item)))

    def collected(
        self, number: int, iterable: Any, elements: Callable[[Any], list[Any]]
    ) -> list[Any]:
        """A comprehension.

        Args:
            number: of its site.
            iterable: what it goes through.
            elements: gives the elements that the list gets of one item.
        """
        site = self._sites[number]
        result = made([])

        def body(item: Any) -> None:
            scope = current_scope()
            for element in elements(item):
                if scope is not None and scope.in_part:
                    _require_own(element, scope)
                callee(result.append, self._package)(element)

        iterable = self._iterable(iterable)
        refuse_elsewhere(iterable, 1)
        require_own(iterable)
        sequence = None if current_scope() is None else numbered(iterable)
        if sequence is None:
            for item in iterable:
                body(item)
            return result
        length = sequence.length()
        is_traced = isinstance(length, Value) or (
            length >= FEWEST_ITERATIONS and self._finds_traced(site, sequence, elements)
        )
        if (
            not is_traced
            or self._try(site, sequence, body, Variables((), [elements]), length)[0] is None
        ):
            for item in sequence:
                body(item)
        return result

    def consumed(
        self,
        function: Any,
        is_nested: bool,
        number: int,
        iterable: Any,
        elements: Callable[[Any], list[Any]],
        generator: Callable[[Any], Any],
        *args: Any,
        **kwargs: Any,
    ) -> Any:
        """A call whose first argument is a generator expression.

        Args:
            function: what is called.
            is_nested: whether there are several `for`.
            number: as that of a comprehension.
            iterable: the same.
            elements: the same.
            generator: makes the generator itself, of the iterable.
            args: other arguments.
            kwargs: the same.
        """
        is_decided = function is any or function is all
        if is_decided and _has_effects(self._sites[number], iterable, elements):
            if is_nested:
                raise UnsupportedError(
                    f"{function.__name__} of a generator with several `for`, whose elements have "
                    "effects, is not supported; write loops that end with `break`",
                    source_location(),
                )
            return self._decided(number, iterable, elements, function is any)
        if any(function is other for other in _CONSUMERS):
            find = self.nested if is_nested else self.collected
            items = find(number, iterable, elements)
        else:
            refuse_elsewhere(iterable, 1)
            require_own(iterable)
            items = made(generator(iterable))
        return callee(function, self._package)(items, *args, **kwargs)

    def _decided(
        self, number: int, iterable: Any, elements: Callable[[Any], list[Any]], ends_on: bool
    ) -> Any:
        """`any` or `all` of elements with effects: none is computed behind the one that decides."""
        found: Any = not ends_on
        names = frozenset({"found"})
        site = dataclasses.replace(self._sites[number], assigned=names, after=names, head=names)

        def decide() -> Exit:
            nonlocal found
            found = ends_on
            return self.BREAK

        def body(item: Any) -> Exit | None:
            nonlocal found
            for element in elements(item):
                condition = truth(element)
                if not isinstance(condition, bool):
                    decides = condition if ends_on else ~to_bool(condition)
                    variables = Variables(names, (decide,))
                    return traced_branch(site, decides, (decide, _nothing), variables)
                if condition is ends_on:
                    found = ends_on
                    return self.BREAK
            return None

        self._go_through(site, iterable, body, _nothing)
        return found

    @staticmethod
    def _finds_traced(site: Site, sequence: Numbered, elements: Callable[[Any], list[Any]]) -> bool:
        """Whether elements depend on what is traced; others are found while tracing.

        One iteration is traced, and left out of the program.
        """
        part = Part(site, "body")
        found: list[bool] = []

        def call() -> None:
            for element in elements(next(iter(sequence))):
                found.append(any(map(is_unknown, (parts_of(element) or ([],))[0])))

        try:
            part.run(call, Variables((), [elements]), ())
            part.scope.discard()
        except (Exception, UncarriedWriteError, UncarriedContainerError):
            return True  # The loop, or the iteration, says what it is.
        return not found or any(found)

    def _try(
        self, site: Site, sequence: Numbered, body: _Part, variables: Variables, length: Any
    ) -> tuple[Loop | None, Exit | None]:
        """A loop of compiled code, if it can be one; how it was left."""
        must = isinstance(length, Value)
        found = self._attempt(
            site,
            lambda: Loop(site, variables, body, sequence=sequence, may_unroll=not must),
            must,
        )
        return (None, None) if found is None else found

    @staticmethod
    def _attempt(
        site: Site, loop_of: Callable[[], Loop], must: bool = False
    ) -> tuple[Loop, Exit | None] | None:
        """A loop of compiled code, and how it was left; None, and the reason noted, if it cannot
        be one.

        Args:
            site: its statement.
            loop_of: makes it.
            must: whether it is an error if it cannot.
        """
        scope = prims.scope()
        key = (site, "unrolled", scope.in_part)
        if key in scope.trace.notes and not must:
            return None
        try:
            loop = loop_of()
            left = loop.run()
        except Exception as error:
            if must:
                raise
            scope.trace.notes[key] = True
            scope.trace.loops[site.place] = (
                error.message if isinstance(error, GradoptError) else str(error)
            )
            return None
        scope.trace.loops[site.place] = ""
        return loop, left

    def _each(self, site: Site, items: Iterator[Any], body: _Part, orelse: _Part) -> Exit | None:
        """A loop in Python."""
        for item in items:
            left = body(item)
            if left is None or left is self.CONTINUE:
                continue
            if len(left.codes) > 1:
                taken: list[Any] = []
                if not isinstance(items, Again | Replayed):
                    taken = iterators_in(items)
                    items = replayed(items, site.place, Variables(site.assigned, (body, orelse)))
                others = items.rest()
                try:
                    return self._go_on(
                        site,
                        left,
                        lambda others=others: self._each(site, others(), body, orelse),
                        (body, orelse),
                    )
                finally:
                    note_left(taken)
            if isinstance(items, Again):
                items.left()
            return None if left.code == BREAK else left
        return orelse()

    def _go_on(
        self, site: Site, left: Exit, rest: _Part, functions: Sequence[_Part]
    ) -> Exit | None:
        """The other iterations of a loop in Python that may have been left."""
        on = left.codes & {0, CONTINUE}
        if on == left.codes:
            return rest()
        code = left.code._read()
        ended = _ended(left)
        if not on:
            return ended
        goes_on = prims.equal(code, 0) | prims.equal(code, CONTINUE)
        variables = Variables(site.assigned, functions)
        return traced_branch(site, goes_on, (rest, lambda: ended), variables)

    def _otherwise(
        self, site: Site, left: Exit | None, orelse: _Part, variables: Variables
    ) -> Exit | None:
        """What follows on a loop of compiled code: its `else`, unless it was left by `break`."""
        if left is None:
            return orelse()
        ended = _ended(left)
        if orelse is _nothing:
            return ended
        other = _ended(Exit(left.codes - {0}, left.code, left.value))
        ran_out = prims.equal(left.code._read(), 0)
        return traced_branch(site, ran_out, (orelse, lambda: other), variables)

    # -- Exits -----------------------------------------------------------------------------

    @staticmethod
    def leave(value: Any) -> Exit:
        """`return` in a part."""
        return Exit.by(RETURN, value)

    @staticmethod
    def raised(*error: Any) -> BaseException:
        """What `raise` raises: the exception, and what is behind `from`.

        Where a traced condition decides, the call of the compiled code raises it.
        """
        return raised(*error) if error else raised_again()

    @staticmethod
    def asserted(test: Any, message: Callable[[], Any] | None = None) -> None:
        """`assert`."""
        condition = truth(test)

        def failed() -> Exit | None:
            raise raised(AssertionError(*([] if message is None else [message()])))

        if isinstance(condition, bool):
            if not condition:
                failed()
            return
        place = source_location()
        assert place is not None
        site = Site("if", place, NONE, NONE, NONE, NONE, NONE, NONE, NONE)
        traced_branch(site, condition, (_nothing, failed), Variables((), ()))

    @staticmethod
    def begins_try(caught: Callable[[], Any]) -> None:
        """Notes what a `try` handles."""
        begins_try(caught)

    @staticmethod
    def ends_try() -> None:
        """The end of its body."""
        ends_try()

    @staticmethod
    def own_error(caught: Callable[[], Any]) -> tuple[type[BaseException], ...]:
        """What no handler of the user's gets of the exception that is handled now."""
        return own_error(caught)

    @staticmethod
    def passes_by() -> bool:
        """Whether an exception is on its way that no `finally` of the user's may replace."""
        return passes_by()

    def managed(self, manager: Any) -> Any:
        """What a `with` statement enters."""
        if current_scope() is None:
            return manager
        enters, exits = (
            method_of(manager, name, self._package) for name in ("__enter__", "__exit__")
        )
        # Python says what is missing.
        return manager if enters is MISSING or exits is MISSING else Managed(manager, enters, exits)

    def value(self, left: Exit | None) -> Any:
        """What a function returns."""
        if left is None or left.codes == END.codes:
            return None
        if not left.codes - {RETURN}:
            return None if left.value is UNBOUND else left.value
        if left.value is None:
            return None
        raise BranchError(
            "the function returns a value or, at its end, nothing, as a traced condition tells; "
            "return one thing in all cases",
            source_location(),
        )

    @staticmethod
    def settled(left: Exit | None) -> Exit | None:
        """How a statement was left inside of one that stays Python's own.

        Raises:
            UnsupportedError: a traced condition tells.
        """
        if left is not None and len(left.codes) > 1:
            raise UnsupportedError(
                "`return`, `break` or `continue` under a traced condition inside of `with`, `try` "
                "or `match` is not supported; assign whether to leave, and leave behind it",
                source_location(),
            )
        return None if left is None or left.codes == END.codes else left

    # -- Expressions -----------------------------------------------------------------------

    def both(self, first: Any, *others: Callable[[], Any]) -> Any:
        """`and`."""
        return self._logical(first, others, ends_on=False)

    def either(self, first: Any, *others: Callable[[], Any]) -> Any:
        """`or`."""
        return self._logical(first, others, ends_on=True)

    def _logical(self, first: Any, others: Sequence[Callable[[], Any]], ends_on: bool) -> Any:
        for i, other in enumerate(others):
            condition = truth(first)
            if not isinstance(condition, bool):
                rest = others[i:]

                def later(rest: Sequence[Callable[[], Any]] = rest) -> Any:
                    return self._logical(rest[0](), rest[1:], ends_on)

                def now(first: Any = first) -> Any:
                    return first

                parts = (now, later) if ends_on else (later, now)
                return self._choice(condition, *parts)
            if condition is ends_on:
                return first
            first = other()
        return first

    @staticmethod
    def negation(operand: Any) -> Any:
        """`not`."""
        return negation(operand)

    def chain(self, left: Any, *rest: Any) -> Any:
        """`a < b < c`: functions that compare, each with one that gives the right operand."""
        compare, operand, *behind = rest
        right = operand()
        found = compare(left, right)
        if not behind:
            return found
        return self.both(found, lambda: self.chain(right, *behind))

    def choose(self, test: Any, body: Callable[[], Any], orelse: Callable[[], Any]) -> Any:
        """`a if c else b`."""
        condition = truth(test)
        if isinstance(condition, bool):
            return body() if condition else orelse()
        return self._choice(condition, body, orelse)

    @staticmethod
    def _choice(condition: Value, body: Callable[[], Any], orelse: Callable[[], Any]) -> Any:
        """One of two values, as a traced condition tells."""
        place = source_location()
        assert place is not None
        site = Site("if", place, NONE, NONE, NONE, NONE, NONE, NONE, NONE)
        parts = (lambda: Exit.by(RETURN, body()), lambda: Exit.by(RETURN, orelse()))
        left = exit_of(traced_branch(site, condition, parts, Variables((), parts)))
        return left.value

    @staticmethod
    def is_sequence(value: Any, count: int, or_more: bool) -> bool:
        """Whether a pattern of so many elements may match."""
        if not isinstance(value, Sequence) or isinstance(value, (str, bytes, bytearray)):
            return False
        refuse_elsewhere(value, 1)
        return len(value) == count or (or_more and len(value) > count)

    @staticmethod
    def text(pieces: Any) -> Any:
        """An f-string."""
        return joined(pieces)

    @staticmethod
    def percent(text: str, values: Any) -> Any:
        """`text % values`."""
        return percent(text, values)

    def product(self, left: Any, right: Any) -> Any:
        """`left @ right`."""
        if special(left, "__matmul__", self._package) or special(
            right, "__rmatmul__", self._package
        ):
            return binary("matmul", left, right, self._package)
        return product(left, right)

    def binary(self, name: str, left: Any, right: Any) -> Any:
        """`left + right`, and the like."""
        if type(left) in PLAIN and type(right) in PLAIN:
            return BINARY[name](left, right)
        return binary(name, left, right, self._package)

    def in_place(self, name: str, left: Any, right: Any) -> Any:
        """What `left += right` assigns, and the like."""
        require_not_left([right])
        return in_place(name, left, right, self._package)

    def unary(self, name: str, operand: Any) -> Any:
        """`-operand`, and the like."""
        return unary(name, operand, self._package)

    def compare(self, name: str, left: Any, right: Any) -> Any:
        """`left < right`, and the like."""
        if type(left) in (tuple, list) and name in ORDERS and are_ordered(left, right):
            return order(name, left, right)
        if type(left) in PLAIN and type(right) in PLAIN:
            return COMPARE[name](left, right)
        return compare(name, left, right, self._package)

    def contains(self, item: Any, container: Any) -> Any:
        """`item in container`."""
        require_own(container)
        if isinstance(container, Handle):
            return np.any(container == item)
        asks = special(container, "__contains__", self._package)
        if asks is not None:
            return asks(container, item)
        if type(container) in (list, tuple) and is_traced(item, container):
            return self.either(False, *[_equality(item, other) for other in container])
        return item in container

    def call(self, function: Any) -> Any:
        """What is called in place of a function."""
        return callee(function, self._package)

    def attribute(self, owner: Any, name: str) -> Any:
        """`owner.name`: the function of a property is rewritten."""
        if type(owner) in _WITHOUT_PROPERTIES:
            return getattr(owner, name)
        for kind in type(owner).__mro__:
            found = vars(kind).get(name)
            if found is not None:
                if type(found) is property and found.fget is not None:
                    return self._property(owner, name, found.fget)
                break
        return getattr(owner, name)

    def _property(self, owner: Any, name: str, read: Callable[[Any], Any]) -> Any:
        kind: Any = type(owner)
        if kind.__getattribute__ is not object.__getattribute__:
            return getattr(owner, name)
        read = callee(read, self._package)
        if not hasattr(kind, "__getattr__"):
            return read(owner)

        def caught() -> tuple[type[BaseException]]:
            return (AttributeError,)

        try:
            begins_try(caught)
            try:
                return read(owner)
            finally:
                ends_try()
        except own_error(caught):
            raise
        except AttributeError:
            return callee(kind.__getattr__, self._package)(owner, name)

    def load(self, container: Any) -> Any:
        """What elements are read of: concrete arrays take traced indices."""
        kind = type(container)
        if kind is np.ndarray and container.dtype in SUPPORTED:
            return _Concrete(container)
        if (kind is list or kind is tuple) and current_scope() is not None:
            return Indexed(container)
        if container is np.r_ or container is np.c_:
            return Joined(container)
        if kind in _GRID_TYPES:
            return _GRIDS.get(container, container)
        return items_of(container, self._package)

    @staticmethod
    def owns(names: Any) -> None:
        """Notes the variables of a function that those that it defines assign.

        Args:
            names: a function that uses them, and is not called.
        """
        for cell in names.__closure__ or ():
            made(cell)

    @staticmethod
    def made(container: Any) -> Any:
        """A list or dict that an expression makes."""
        return made(container)

    @staticmethod
    def filters(test: Any) -> bool:
        """Whether a comprehension takes an element.

        Raises:
            UnsupportedError: a traced condition tells.
        """
        condition = truth(test)
        if not isinstance(condition, bool):
            raise UnsupportedError(
                "a traced condition tells which elements a comprehension takes, so that their "
                "number would not be known; take all, and choose with numpy.where, or write a "
                "loop with `if`",
                source_location(),
            )
        return condition

    def through(self, value: Any) -> Any:
        """What a comprehension, or `*`, goes through."""
        return self.iterated(self._iterable(value))

    def unpacked(self, value: Any) -> Any:
        """What is assigned to several names."""
        require_not_left([value])
        return self._iterable(value)

    @staticmethod
    def iterated(value: Any) -> Any:
        """What is looked at as a whole, as by `==`."""
        refuse_elsewhere(value, 1)
        require_own(value)
        return value

    @staticmethod
    def update(value: Any) -> None:
        """Looks at what an augmented assignment may change.

        Raises:
            CannotRollError: no array, in a part that is traced once for all iterations.
        """
        if not isinstance(value, (Handle, *UNCHANGING)) and changes(value) is not None:
            raise CannotRollError(
                "a list that a loop appends to is added to by `+=`; use append or extend",
                source_location(),
            )

    def elements(self, container: Any) -> Any:
        """What elements are written to; as `store`."""
        if special(container, "__setitem__", self._package):
            return items_of(container, self._package)
        return self.store(container)

    @staticmethod
    def store(container: Any) -> Any:
        """What elements or attributes are written to.

        Raises:
            CannotRollError: no array, in a part that is traced once for all iterations.
        """
        if type(container) is list and current_scope() is not None:
            return Indexed(container)
        if not isinstance(container, Handle):
            changes(container)
        return container


def _has_effects(site: Site, iterable: Any, elements: Callable[[Any], list[Any]]) -> bool:
    """Whether the first element writes to arrays, prints and the like; it is left out again."""
    scope = current_scope()
    if isinstance(iterable, Once):
        iterable = iterable.whole
    is_kept = isinstance(iterable, Sequence) or numbered(iterable) is not None
    if scope is None or not is_kept:
        return False
    part = Part(site, "body")

    def call() -> None:
        elements(next(iter(iterable)))

    try:
        part.run(call, Variables((), [elements]), ())
    except (UncarriedWriteError, UncarriedContainerError, CannotRollError):
        return True
    except Exception:
        return False
    part.scope.discard()
    return False


def _joined(lists: Sequence[list[Any]]) -> list[Any]:
    return list(itertools.chain.from_iterable(lists))


def _require_own(element: Any, scope: Scope) -> None:
    """Raises for arrays of a list that others share: the list would hold copies."""
    leaves = (parts_of(element) or ([],))[0]
    for leaf, storage in zip(leaves, shared_storages(leaves), strict=True):
        is_others = storage is not None and storage.made_in is not scope
        if is_others or type(leaf) is np.ndarray:
            raise CannotRollError(
                "an element of the list is an array, or a view of one, that other names have, too",
                source_location(),
            )


def _equality(one: Any, other: Any) -> Callable[[], Any]:
    """Whether they are equal, as `in` asks for it."""
    return lambda: one is other or one == other


def _ended(left: Exit) -> Exit | None:
    """How a loop ends that was left so: a `break` is its end, a `return` that of the function."""
    if RETURN not in left.codes:
        return None
    if not left.codes - {RETURN}:
        return Exit.by(RETURN, left.value)
    code = prims.select(
        prims.equal(left.code._read(), RETURN), prims.scalar(RETURN, INT64), prims.scalar(0, INT64)
    )
    return Exit(frozenset({0, RETURN}), wrap(code), left.value)


# They have none of the user's.
_WITHOUT_PROPERTIES = (Handle, np.ndarray, ModuleType, list, dict)
# What goes through a whole generator before it does anything else.
_CONSUMERS = (sum, min, max, sorted, list, tuple, math.fsum, math.prod, np.fromiter)


class _Concrete:
    """A concrete array that is indexed."""

    __slots__ = ("_array",)

    def __init__(self, array: np.ndarray[Any, Any]) -> None:
        self._array = array

    def __getitem__(self, index: Any) -> Any:
        entries = index if type(index) is tuple else (index,)
        for entry in entries:
            if is_unknown(entry) or (type(entry) in (list, tuple) and is_traced(entry)):
                return getitem(handle_of(self._array), index)
        return self._array[index]


OPERATORS.append(Operators)
