# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What changes in loops without a statement of theirs saying so, by kinds of what changes.

Methods that Python calls itself, functions of NumPy and Python that write to what they get, and
functions that others call: each effect happens as often as in Python, and the loop is unrolled.
"""

from __future__ import annotations

import array
import collections
import functools
import itertools
import operator
import random
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from as_numpy import agrees, rolled

import gradopt as go
from gradopt.errors import UnsupportedError

X = np.random.default_rng(5).normal(size=10)

# What the methods and functions below change.
COUNT = 0
NUMBERS, MATRIX, OBJECTS = np.zeros(3), np.zeros((2, 2)), np.array([0, None], dtype=object)
UNIT = np.eye(3)
STRIDED = np.zeros((3, 3))[::2, 1]
LIST: list[int] = []
DEQUE: collections.deque[int] = collections.deque()
DEFAULTS: dict[str, int] = collections.defaultdict(int)
ORDERED: collections.OrderedDict[int, int] = collections.OrderedDict()
BYTES, TYPED = bytearray(1), array.array("d", [0.0])
GENERATOR, LEGACY, PYTHONS = np.random.default_rng(0), np.random.RandomState(0), random.Random(0)
SPACE = SimpleNamespace(count=0)


class WithSlots:
    __slots__ = ("count", "never")

    def __init__(self) -> None:
        self.count = 0

    def __neg__(self) -> int:
        self.count += 1
        return self.count


class OfList(list):
    label = 0

    def __neg__(self) -> int:
        self.append(1)
        self.label += 1
        return len(self) + self.label


SLOTTED, OF_LIST = WithSlots(), OfList()


def by_method(change: Callable[[], Any]) -> Any:
    """An object whose operator changes something."""

    class Changing:
        total = 0

        def __neg__(self) -> Any:
            return change()

        @classmethod
        def raised(cls) -> int:
            cls.total += 1
            return cls.total

    return Changing()


def globally() -> int:
    global COUNT
    COUNT += 1
    return COUNT


def array_elements() -> float:
    NUMBERS[0] += 1
    return NUMBERS[0]


def strided_elements() -> float:
    STRIDED[1] += 1
    return STRIDED[1]


def objects() -> int:
    OBJECTS[0] += 1
    return OBJECTS[0]


def function_attributes() -> int:
    globally.calls = getattr(globally, "calls", 0) + 1
    return globally.calls


def deques() -> int:
    DEQUE.append(1)
    return len(DEQUE)


def defaults() -> int:
    DEFAULTS["a"] += 1
    return DEFAULTS["a"]


def orders() -> int:
    ORDERED.move_to_end(next(iter(ORDERED)))
    return next(iter(ORDERED))


def lists() -> int:
    LIST.append(1)
    return len(LIST)


def many_bytes() -> int:
    BYTES[0] += 1
    return BYTES[0]


def typed() -> float:
    TYPED[0] += 1
    return TYPED[0]


def namespaces() -> int:
    SPACE.count += 1
    return SPACE.count


BEHIND_FUNCTIONS = functools.partial(lambda: deeper())


def deeper() -> int:
    return deepest()


def deepest() -> int:
    return lists() + globally()


METHODS: dict[str, Any] = {
    change.__name__: by_method(change)
    for change in (
        globally,
        array_elements,
        strided_elements,
        objects,
        function_attributes,
        deques,
        defaults,
        orders,
        lists,
        many_bytes,
        typed,
        namespaces,
    )
}
METHODS |= {
    "behind functions": by_method(BEHIND_FUNCTIONS),
    "slots": SLOTTED,
    "a list's class": OF_LIST,
    "numbers of NumPy": by_method(lambda: GENERATOR.normal()),
    "numbers of old": by_method(lambda: LEGACY.normal()),
    "numbers of Python": by_method(PYTHONS.random),
    "NumPy's own numbers": by_method(lambda: np.random.normal()),  # noqa: NPY002
    "Python's own numbers": by_method(lambda: random.random()),
}
CLASS = by_method(lambda: type(CLASS).raised())
METHODS["a class"] = CLASS


def reset() -> None:
    global COUNT
    COUNT = SPACE.count = SLOTTED.count = type(CLASS).total = OF_LIST.label = 0
    for values in (NUMBERS, MATRIX, STRIDED):
        values[...] = 0
    OBJECTS[0] = BYTES[0] = TYPED[0] = 0
    for container in (LIST, DEQUE, DEFAULTS, ORDERED, OF_LIST):
        container.clear()
    ORDERED.update({3: 0, 4: 0, 5: 0})
    globally.calls = 0
    GENERATOR.bit_generator.state = np.random.default_rng(0).bit_generator.state
    for draws in (LEGACY, PYTHONS, np.random, random):
        draws.seed(0)


def is_as_often(change: Callable[[Any], Any]) -> None:
    """The change happens in each of ten iterations, and as NumPy would have it."""

    def f(x: Any) -> Any:
        total = 0.0
        for i in range(10):
            total = total + change(x[i])
        return total

    reset()
    want = f(X)
    reset()
    compiled = go.compile(f)
    np.testing.assert_allclose(compiled(X), want, rtol=1e-12)
    assert rolled(compiled.lower(X)) == [False]


@pytest.mark.parametrize("name", METHODS)
def test_methods_that_python_calls(name: str) -> None:
    is_as_often(lambda v: v * -METHODS[name])


def test_variables_of_functions_around() -> None:
    def f(x):
        count = 0

        class Counter:
            def __neg__(self):
                nonlocal count
                count += 1
                return count

        counter, total = Counter(), 0.0
        for i in range(10):
            total = total + x[i] * -counter
        return np.array([total, count])

    agrees(f, X)


def test_iterators_that_methods_may_use_up() -> None:
    numbers = itertools.count(1)
    counter = by_method(lambda: next(numbers))

    def f(x):
        total = 0.0
        for i in range(10):
            total = total + x[i] * -counter
        return total

    lowered = go.compile(f).lower(X)
    assert rolled(lowered) == [False]
    assert "count may be used up" in lowered.loops()[0].reason


class Whole:
    """Its operator may change something, and never does."""

    def __init__(self, held: Any) -> None:
        self.held, self.factor = held, 2.0

    def __neg__(self) -> float:
        if self.factor < 0:
            self.held[0] = 0
        return self.factor

    def __len__(self) -> int:
        return len(self.held)


def test_what_cannot_be_looked_at_counts_as_changed() -> None:
    def f(x, whole):
        total = 0.0
        for i in range(10):
            total = total + x[i] * -whole
        return total

    def loops(whole: Whole) -> list[Any]:
        return go.compile(lambda x: f(x, whole)).lower(X).loops()

    assert loops(Whole([0.0] * 300_000))[0].is_rolled
    assert loops(Whole(np.zeros(3)))[0].is_rolled
    assert "67108864 bytes" in loops(Whole(np.zeros(9_000_000)))[0].reason
    assert "100000 objects" in loops(Whole([[] for _ in range(100_001)]))[0].reason


def test_classes_whose_methods_only_look_are_of_no_account() -> None:
    class Table:
        def __init__(self, rows: Any) -> None:
            self.rows = rows

        def __getitem__(self, i: int) -> Any:
            return self.rows[i]

        def __len__(self) -> int:
            return len(self.rows)

    table, numbers = Table(np.zeros(9_000_000)), itertools.count()

    def f(x):
        total = 0.0
        for i in range(10):
            total = total + x[i] * (len(table) + len([numbers]))
        return total

    lowered = agrees(f, X, derivative=False)
    assert rolled(lowered) == [True]


# -- Functions that write to what they get -----------------------------------------------------


def written(v: Any, *_: Any) -> Any:
    return v * float(NUMBERS[0] + MATRIX[0, 0] + len(LIST) + COUNT)


WRITES: dict[str, Callable[[Any], Any]] = {
    "out=": lambda v: written(v, np.add(NUMBERS, 1, out=NUMBERS)),
    "out= in a tuple": lambda v: written(v, np.add(NUMBERS, 1, out=(NUMBERS,))),
    "out by place": lambda v: written(v, np.add(NUMBERS, 1, NUMBERS)),
    "out of a function by place": lambda v: written(v, np.dot(UNIT, NUMBERS + 1, NUMBERS)),
    "out of a sum by place": lambda v: written(v, np.sum(MATRIX[:1] + 1, 0, None, MATRIX[0])),
    "out of a method": lambda v: written(v, (MATRIX[:1] + 1).sum(0, None, MATRIX[0])),
    "out of a reduction": lambda v: written(v, np.add.reduce(MATRIX[:1] + 1, 0, None, MATRIX[0])),
    "at": lambda v: written(v, np.add.at(NUMBERS, 0, 1)),
    "copyto": lambda v: written(v, np.copyto(NUMBERS, NUMBERS + 1)),
    "copyto by name": lambda v: written(v, np.copyto(dst=NUMBERS, src=NUMBERS + 1)),
    "put": lambda v: written(v, np.put(NUMBERS, 0, NUMBERS[0] + 1)),
    "putmask": lambda v: written(v, np.putmask(NUMBERS, NUMBERS < 99, NUMBERS + 1)),
    "place": lambda v: written(v, np.place(NUMBERS, NUMBERS < 99, NUMBERS + 1)),
    "fill_diagonal": lambda v: written(v, np.fill_diagonal(MATRIX, MATRIX[0, 0] + 1)),
    "fill": lambda v: written(v, NUMBERS.fill(NUMBERS[0] + 1)),
    "a method of the class": lambda v: written(v, np.ndarray.fill(NUMBERS, NUMBERS[0] + 1)),
    "operator.setitem": lambda v: written(v, operator.setitem(LIST, slice(None), [*LIST, 1])),
    "operator.iadd": lambda v: written(v, operator.iadd(LIST, [1])),
    "a global name": lambda v: written(v, globally()),
    "a partial": lambda v: written(v, functools.partial(globally)()),
}


@pytest.mark.parametrize("name", WRITES)
def test_functions_that_write_to_what_they_get(name: str) -> None:
    is_as_often(WRITES[name])


def test_out_of_what_the_loop_makes_is_no_effect() -> None:
    def f(x):
        y, total = np.zeros(10), 0.0
        for i in range(10):
            np.add(y, x[i], out=y)
            total = operator.iadd(total, y[0])
        return total + np.sum(y)

    assert rolled(agrees(f, X)) == [True]


# -- Functions that others call ----------------------------------------------------------------


def noted(v: Any) -> Any:
    LIST.append(1)
    return v * len(LIST)


def in_order(items: list[Any]) -> list[Any]:
    items.sort(key=noted)
    return items


class Noting:
    """What is called is an object; its methods are named as harmless ones are."""

    def __call__(self, v: Any) -> Any:
        return noted(v)

    def dot(self, v: Any) -> Any:
        return noted(v)

    def __mul__(self, v: Any) -> Any:
        return self.dot(v)


CALLERS: dict[str, Callable[[Any], Any]] = {
    "map": lambda v: sum(map(noted, [v, v])),
    "filter": lambda v: v * len(list(filter(noted, [1, 2]))) * len(LIST),
    "reduce": lambda v: functools.reduce(lambda a, b: a + noted(b), [v, v], 0.0),
    "key of sorted": lambda v: v * sorted([1, 2], key=noted)[0] * len(LIST),
    "key of max": lambda v: v * max([1, 2], key=noted) * len(LIST),
    "accumulate": lambda v: v * list(itertools.accumulate([1, 2], lambda a, b: noted(b)))[1],
    "key of sort": lambda v: v * in_order([3, 1, 2])[0] * len(LIST),
    "object": lambda v: sum(map(Noting(), [v, v])),
    "method": lambda v: Noting() * v,
    "fromfunction": lambda v: v * np.fromfunction(lambda i: noted(i), (3,))[1],
}


@pytest.mark.parametrize("name", CALLERS)
def test_functions_that_others_call(name: str) -> None:
    is_as_often(CALLERS[name])


def test_functions_that_others_call_are_rewritten() -> None:
    def leaky(v):
        if v > 0:
            return v
        return 0.1 * v

    def f(x):
        kept = list(filter(lambda v: v is not None, [x[0], None, x[1]]))
        folded = functools.reduce(lambda a, b: 0.5 * a + leaky(b), x, 0.0)
        return sum(map(leaky, x)) + sum(map(leaky, kept)) + folded

    agrees(f, X)


@pytest.mark.parametrize("name", ["globally", "array_elements", "deques", "slots"])
def test_branches_are_refused(name: str) -> None:
    def f(x):
        return x[0] * -METHODS[name] if x[0] > 0 else x[1]

    reset()
    how = r"changes in a method that is called by|from outside|assigns the global|may have effects"
    with pytest.raises(UnsupportedError, match=how):
        go.compile(f)(X)
    assert COUNT == len(DEQUE) == SLOTTED.count == NUMBERS[0] == 0  # As if it had not been traced.
