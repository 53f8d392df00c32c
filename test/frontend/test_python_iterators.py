# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Iterators: they can be gone through once, in compiled code, too."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from as_numpy import agrees, rolled

import gradopt as go
from gradopt.errors import UnsupportedError

X = np.random.default_rng(5).normal(size=10)


def doubled(pair: tuple[Any, Any]) -> tuple[Any, Any]:
    return pair[0], 2 * pair[1]


MAKERS: dict[str, Callable[[Any], Any]] = {
    "enumerate": lambda x: enumerate(x),
    "zip": lambda x: zip(range(10), x, strict=True),
    "reversed": lambda x: reversed(list(enumerate(x))),
    "ndenumerate": lambda x: ((i[0], v) for i, v in np.ndenumerate(x)),
    "generator": lambda x: ((i, x[i]) for i in range(10)),
    "map": lambda x: map(doubled, enumerate(x)),
}


@pytest.mark.parametrize("name", MAKERS)
def test_iterators_are_used_up(name: str) -> None:
    def f(x):
        items, total = MAKERS[name](x), 0.0
        for i, v in items:
            total = total + v * i
        for i, v in items:
            total = total + v * i + 1
        return total + sum([v for _, v in items])

    agrees(f, X)


MIXED: dict[str, Callable[[Any], Any]] = {
    "list": lambda x: [v * k for (_, v), k in zip(enumerate(x), [1.0, 2.0], strict=False)],
    "generator": lambda x: [
        v * k for (_, v), k in zip(enumerate(x), (float(i) for i in range(10)), strict=True)
    ],
    "map": lambda x: [v * k for (_, v), k in zip(enumerate(x), map(abs, range(10)), strict=True)],
    "product": lambda x: [a * b for (a, b), _ in itertools.product(zip(x, x, strict=True), "ab")],
    "enumerate": lambda x: [i * v for i, (_, v) in enumerate(enumerate(x), np.int64(1))],
}


@pytest.mark.parametrize("name", MIXED)
def test_python_takes_iterators_that_compiled_code_cannot(name: str) -> None:
    agrees(lambda x: sum(MIXED[name](x)), X)


def test_an_iterator_beside_itself() -> None:
    def f(x):
        items = enumerate(x)
        return sum([v * w for (_, v), (_, w) in zip(items, items, strict=True)])

    agrees(f, X)


def test_a_loop_may_go_on_where_another_one_ended() -> None:
    def f(x):
        items = enumerate(x[:5])
        _, first = next(items)
        total = 0.0
        for i, v in items:
            if i == 3:
                break
            total = total + v * first
        for i, v in items:
            total = total + v * i
        return total

    agrees(f, X)


def test_iterators_within_iterators() -> None:
    def f(x):
        inner = enumerate(x)
        total = 0.0
        for n, (i, v) in enumerate(inner):
            total = total + v * (n + i)
        for _, v in inner:
            total = total + v
        return total

    assert rolled(agrees(f, X)) == [True, False]  # What is used up has no elements.

    def zipped(x):
        inner = enumerate(x)
        total = 0.0
        for (i, v), w in zip(inner, x[:8], strict=False):
            total = total + v * i + w
        for _, v in inner:
            total = total + v
        return total

    with pytest.raises(UnsupportedError, match="only when the compiled code runs; make a new one"):
        go.compile(zipped)(X)


def until(items: Any, least: float, total: Any) -> Any:
    """Goes through pairs until a value is too large, which is used up, too."""
    for i, v in items:
        if v > least:
            break
        total = total * 0.9 + v * i
    else:
        total = total + 100.0
    return total


def of_enumerate(x: Any) -> Any:
    items = enumerate(x)
    return until(items, 0.6, until(items, 0.3, until(items, 0.2, 0.0)))


def of_numbers(x: Any) -> Any:
    items = zip(range(30), np.append(x, x), strict=False)
    total = 0.0
    for i, v in items:
        total = total + v
        if i == 3:
            break
    return until(items, 0.7, total)


def of_an_enumerated_zip(x: Any) -> Any:
    pairs, total = zip(x, 2 * x, strict=True), 0.0
    for i, (v, w) in enumerate(pairs):
        if v * w > 0.5:
            break
        total = total + v * i
    for v, w in pairs:
        total = total * 0.9 + v * w
    return total


def found_twice(x: Any) -> Any:
    def find(items: Any) -> Any:
        for v in items:
            if v > 0.3:
                return v
        return -1.0

    items = reversed(x)
    return find(items) + 2 * find(items)


def of_indices(x: Any) -> Any:
    items, total = np.ndenumerate(x.reshape(5, 2)), 0.0
    for (i, j), v in items:
        if v > 0.3:
            break
        total = total + v * i - j
    for (i, j), v in items:
        total = total * 0.9 + v * i - j
    return total


def again_and_again(x: Any) -> Any:
    items, total = enumerate(x), 0.0
    for k in range(9):
        v = x[k]
        for _, v in items:
            if v > 0.1 * k:
                break
        total = total * 0.9 + v
    return total


@pytest.mark.parametrize(
    "f",
    [of_enumerate, of_numbers, of_an_enumerated_zip, found_twice, of_indices, again_and_again],
)
def test_loops_go_on_where_others_were_left(f: Callable[..., Any]) -> None:
    for x in (X, X - 5, X + 5, X[::-1].copy()):
        agrees(f, x)


def test_the_first_iteration_may_be_the_last() -> None:
    def f(x):
        items = reversed(x)
        first = 0.0
        for v in items:
            first = v
            break
        return first * next(items) + sum(items)

    agrees(f, X)


def test_how_many_elements_are_left_may_be_unknown() -> None:
    def asked(x):
        items, total = enumerate(x), 0.0
        for _, v in items:
            if v > 1e3:
                break
            total = total + v
        return total + next(items)[1]

    def short(x):
        items, total = enumerate(x[:5]), 0.0
        for _, v in items:
            if v > 1e3:
                break
            total = total + v
        for _, v in items:
            total = total + v
        return total

    for f in asked, short:
        with pytest.raises(UnsupportedError, match="an iterator is gone through again"):
            go.compile(f)(X)


def of_zip(x: Any) -> Any:
    pairs, total = zip([1.0, 2.0], [3.0, 4.0], strict=True), 0.0
    for i in range(10):
        for a, b in pairs:
            total = total + a * b * x[i]
    return total


def of_arrays(x: Any) -> Any:
    pairs, total = zip(x, x, strict=True), 0.0
    for i in range(10):
        for a, b in pairs:
            total = total + a * b * x[i]
    return total


def of_maps(x: Any) -> Any:
    numbers, total = map(abs, [1.0, 2.0]), 0.0
    for i in range(10):
        total = total + x[i] * sum(numbers)
    return total


def of_generators(x: Any) -> Any:
    numbers, total = (a for a in [1.0, 2.0]), 0.0
    for i in range(10):
        total = total + x[i] * sum(numbers)
    return total


def of_several(x: Any) -> Any:
    numbers, total = iter(range(100)), 0.0
    for i in range(10):
        for a, b in zip([1.0, 2.0], numbers, strict=False):
            total = total + a * b * x[i]
    return total


def of_lists(x: Any) -> Any:
    numbers, total = iter(range(100)), 0.0
    for i in range(10):
        total = total + x[i] * sum([2 * a for a in numbers])
    return total


FROM_OUTSIDE = [of_zip, of_arrays, of_maps, of_generators, of_several, of_lists]


@pytest.mark.parametrize("f", FROM_OUTSIDE)
def test_loops_do_not_use_up_what_they_have_not_made(f: Callable[[Any], Any]) -> None:
    assert rolled(agrees(f, X))[0] is False


def test_loops_use_up_what_they_make() -> None:
    def f(x):
        total = 0.0
        for i in range(10):
            for a, b in zip([1.0, 2.0], map(abs, [3.0, -4.0]), strict=True):
                total = total + a * b * x[i]
            total = total + sum(max(x[i], a) for a in (1.0, 2.0))
            total = total + max(x[i] * a for a in (1.0, 2.0))
        return total

    assert True in rolled(agrees(f, X))


PYTHONS: dict[str, Callable[[Any], Any]] = {
    "range": lambda x: iter(range(10)),
    "list": lambda x: iter([1.0, 2.0, 3.0]),
    "array": lambda x: iter(x),
    "generator": lambda x: (2 * v for v in x),
    "map": lambda x: map(abs, x),
    "filter": lambda x: filter(None, [1.0, 2.0]),
    "reversed": lambda x: reversed([1.0, 2.0, 3.0]),
}


@pytest.mark.parametrize("name", PYTHONS)
def test_pythons_iterators_are_not_silently_used_up(name: str) -> None:
    """While it is traced a loop goes through all elements, where only the run knows its end."""

    def left(items: Any, x: Any) -> Any:
        total = 0.0
        for v in items:
            if x[0] * v > 0.5:
                break
            total = total + v
        return total

    def looped(x: Any) -> Any:
        items = PYTHONS[name](x)
        total = left(items, x)
        for v in items:
            total = total * 0.5 + v
        return total

    def asked(x: Any) -> Any:
        items = PYTHONS[name](x)
        return left(items, x) + next(items, 9.0)

    def enumerated(x: Any) -> Any:
        items, total = PYTHONS[name](x), 0.0
        for i, v in enumerate(items):
            if x[0] * v > 0.5:
                break
            total = total + i * v
        return total + sum(items)

    def within(x: Any) -> Any:
        items = PYTHONS[name](x)
        return left((v for _, v in enumerate(items)), x) + sum(items)

    for f in looped, asked, enumerated, within:
        with pytest.raises(UnsupportedError, match="an iterator is gone through again"):
            go.compile(f)(X)

    def once(x: Any) -> Any:
        return left(PYTHONS[name](x), x) + left(PYTHONS[name](x), 2 * x)

    agrees(once, X)


COUNTED = 0


def counting(x: Any) -> Any:
    global COUNTED
    for v in x[:4]:
        COUNTED += 1
        yield v


class Countdown:
    """Counts how often it is asked."""

    def __init__(self, count: int) -> None:
        self.count = count

    def __iter__(self) -> Countdown:
        return self

    def __next__(self) -> float:
        if not self.count:
            raise StopIteration
        self.count -= 1
        return float(self.count)


class Asked:
    """Is gone through by number."""

    def __init__(self) -> None:
        self.count = 0

    def __getitem__(self, index: int) -> float:
        self.count += 1
        if index > 5:
            raise IndexError
        return float(index)


def printing(x: Any) -> Any:
    for v in x[:4]:
        print("asked")
        yield v


def writing(x: Any) -> Any:
    numbers = np.zeros(2)

    def multiplied(v: Any) -> Any:
        numbers[0] += 1
        return v * numbers[0]

    return map(multiplied, x)


def changing(x: Any) -> Any:
    found = [0.0]

    def made() -> Any:
        for v in x[:4]:
            found[0] += 1
            yield v * found[0]

    return made()


def failing(x: Any) -> Any:
    yield from x[:3]
    yield x[0] * int("none")


def drawing(x: Any) -> Any:
    return map(np.random.default_rng(0).normal, [1.0, 2.0, 3.0])


def appending(x: Any) -> Any:
    found: list[Any] = [1.0]
    return (v or 0.5 for v in map(found.append, [1.0, 2.0, 3.0]))


WITH_EFFECTS: dict[str, tuple[Callable[[Any], Any], str]] = {
    "prints": (printing, "writes to arrays, changes objects or prints behind a `break`"),
    "writes": (writing, "writes to arrays, changes objects or prints behind a `break`"),
    "changes": (changing, "writes to arrays, changes objects or prints behind a `break`"),
    "raises": (failing, r"raises a ValueError \(invalid literal.*behind a `break`"),
    "global": (counting, "the generator counting assigns COUNTED behind a `break`"),
    "next": (lambda x: Countdown(5), r"Countdown\.__next__ is called behind a `break`"),
    "getitem": (lambda x: Asked(), r"Asked\.__getitem__ is called behind a `break`"),
    "draws": (drawing, r"a map calls Generator\.normal, which may have effects, behind"),
    "appends": (appending, r"a map calls list\.append, which may have effects, behind"),
}


@pytest.mark.parametrize("name", WITH_EFFECTS)
def test_elements_behind_a_traced_break_have_no_effects(name: str) -> None:
    maker, message = WITH_EFFECTS[name]

    def f(x: Any) -> Any:
        total = 0.0
        for v in maker(x):
            total = total + v * x[1]
            if total > 2:
                break
        return total

    with pytest.raises(UnsupportedError, match=message) as error:
        go.compile(f)(X)
    assert "for v in maker(x):" in str(error.value)


SOURCES: dict[str, Callable[[Any], Any]] = {
    "islice": lambda a: itertools.islice(a, 6),
    "chain": lambda a: itertools.chain([0.25], a),
    "takewhile": lambda a: itertools.takewhile(lambda v: True, a),
    "attribute": lambda a: (v for v in [a][0]),
}


@pytest.mark.parametrize("name", SOURCES)
def test_iterators_within_ones_that_were_left_are_refused(name: str) -> None:
    def f(x: Any) -> Any:
        items, total = iter(x), 0.0
        for v in SOURCES[name](items):
            if v > 0.5:
                break
            total = total + v
        return total + sum(items)

    with pytest.raises(UnsupportedError, match="an iterator is gone through again"):
        go.compile(f)(X)


def test_other_uses_of_iterators_that_were_left_are_refused() -> None:
    def method(items: Any) -> Any:
        return items.__next__()

    def in_place(items: Any) -> Any:
        found = [0.0]
        found += items
        return sum(found)

    for use in method, in_place:

        def left(x: Any, use: Any = use) -> Any:
            items = iter(x)
            for v in items:
                if v > 0.5:
                    break
            return use(items)

        with pytest.raises(UnsupportedError, match="an iterator is gone through again"):
            go.compile(left)(X)

    def decided(x: Any) -> Any:
        items = iter(x)
        found = any(v > 0.5 for v in items)
        return found * 1.0 + sum(items)

    with pytest.raises(UnsupportedError, match="an iterator is gone through again"):
        go.compile(decided)(X)


def test_loops_over_generators_of_iterators_may_be_left() -> None:
    def f(x: Any) -> Any:
        total = 0.0
        for v in (w * i for i, w in enumerate(x)):
            if v > 0.5:
                break
            total = total + v
        for _, v in map(doubled, enumerate(x)):
            if v > 0.5:
                break
            total = total * 0.5 + v
        return total

    for x in (X, X - 5, X + 5, X[::-1].copy()):
        agrees(f, x)
