# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Random programs of views and writes: values as NumPy's, derivatives by complex steps.

A program is made by running it in NumPy: what NumPy refuses, a write to a read-only view for one,
is left out. All steps are analytic, but for masks that look at real parts, so that a step in the
imaginary direction gives the derivative to the last digits.
"""

from __future__ import annotations

import math
import operator
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from budget import by_hypothesis
from hypothesis import given
from hypothesis import strategies as st

import gradopt as go
from gradopt.ir.current import current_scope

# A step: takes the arrays that there are and the two integers, and appends, or writes.
Step = Callable[[list[Any], tuple[Any, Any]], None]

IN_PLACE = [operator.iadd, operator.isub, operator.imul]
UFUNCS = [np.add, np.subtract, np.multiply]


class _Maker:
    """Makes random steps, for arrays of the shapes that there are."""

    def __init__(self, seed: int) -> None:
        self.random = np.random.default_rng([seed, 7])

    def pick(self, items: Any) -> Any:
        return items[int(self.random.integers(len(items)))]

    def entry(self, size: int) -> Any:
        """An index into one dimension: takes the two integers, and gives an int or a slice."""
        kind = self.random.random()
        if kind < 0.35 and size:
            index = int(self.random.integers(-size, size))
            return lambda ij: index
        if kind < 0.5 and size:
            which = int(self.random.integers(2))
            return lambda ij: ij[which] % size
        if kind < 0.6:
            return lambda ij: slice(None)
        bounds = [None, *range(-size - 1, size + 2)]
        part = slice(self.pick(bounds), self.pick(bounds), self.pick([None, 1, 2, -1, -2]))
        return lambda ij: part

    def index(self, shape: tuple[int, ...]) -> Callable[[Any], Any]:
        """A basic index into an array of this shape."""
        rank = int(self.random.integers(0, len(shape) + 1))
        entries = [self.entry(size) for size in shape[:rank]]
        where = int(self.random.integers(0, len(entries) + 1))
        extra = self.random.random()
        if extra < 0.15:
            entries.insert(where, lambda ij: None)
        elif extra < 0.3 and rank < len(shape):
            # In front of an ellipsis are the first dimensions, behind it the last ones.
            tail = [self.entry(size) for size in shape[len(shape) - (rank - where) :]]
            entries[where:] = [lambda ij: Ellipsis, *tail[: rank - where]]
        elif extra < 0.4:
            entries.append(lambda ij: Ellipsis)
        return lambda ij: tuple([entry(ij) for entry in entries])

    def positions(self, shape: tuple[int, ...]) -> Callable[[Any], Any] | None:
        """Integer arrays for the first dimensions; positions may repeat."""
        if not shape or 0 in shape:
            return None
        count = int(self.random.integers(1, 4))
        rank = int(self.random.integers(1, min(len(shape), 2) + 1))
        arrays = [self.random.integers(-n, n, count) for n in shape[:rank]]
        moved, size = bool(self.random.random() < 0.4), shape[0]
        slices = [slice(None)] * int(rank == 1 and len(shape) > 1 and self.random.random() < 0.3)
        if slices:
            arrays = [self.random.integers(-shape[1], shape[1], count)]
            size = shape[1]

        def index(ij: Any) -> Any:
            first = go.numpy.asarray((arrays[0] + ij[0]) % size) if moved else arrays[0]
            return (*slices, first, *arrays[1:])

        return index

    def view(self, shape: tuple[int, ...]) -> Callable[[Any, Any], Any]:
        """A function that gives a view."""
        kind = int(self.random.integers(12))
        rank = len(shape)
        axis = int(self.random.integers(rank)) if rank else 0
        other = int(self.random.integers(rank)) if rank else 0
        size = math.prod(shape)
        index = self.index(shape)
        if kind == 0:
            return lambda x, ij: x.T
        if kind == 1 and rank:
            return lambda x, ij: np.swapaxes(x, axis, other)
        if kind == 2 and size:
            factors = [n for n in range(1, size + 1) if size % n == 0]
            first = self.pick(factors)
            second = self.pick([n for n in factors if size // first % n == 0])
            order = self.pick("CCF")
            return lambda x, ij: x.reshape(first, second, size // first // second, order=order)
        if kind == 3:
            order = self.pick("CF")
            return lambda x, ij: np.ravel(x, order)
        if kind == 4 and rank:
            return lambda x, ij: np.flip(x, axis)
        if kind == 5:
            return lambda x, ij: np.squeeze(x)
        if kind == 6:
            return lambda x, ij: np.expand_dims(x, axis)
        if kind == 7 and rank >= 2 and axis != other:
            return lambda x, ij: np.diagonal(x, 0, axis, other)
        if kind == 8 and rank == 2 and shape[0] == shape[1]:
            return lambda x, ij: np.einsum("ii->i", x)
        if kind == 9 and rank:
            return lambda x, ij: np.array_split(x, 2, axis)[1]
        return lambda x, ij: x[index(ij)]

    def step(self, arrays: list[Any]) -> Step | None:
        """A random step on these arrays."""
        a = int(self.random.integers(len(arrays)))
        b = int(self.random.integers(len(arrays)))
        shape, other = np.shape(arrays[a]), np.shape(arrays[b])
        kind = self.random.random()
        if kind < 0.4 and np.ndim(arrays[a]) < 5:
            view = self.view(shape)
            return lambda pool, ij: pool.append(view(pool[a], ij))
        if kind < 0.5:
            return self.new(a, b, shape, other)
        return self.write(a, b, shape, other)

    def new(self, a: int, b: int, shape: Any, other: Any) -> Step | None:
        """A new array."""
        index = self.positions(shape)
        if self.random.random() < 0.3 and index is not None:
            return lambda pool, ij: pool.append(pool[a][index(ij)])
        if self.random.random() < 0.5:
            return lambda pool, ij: pool.append(np.copy(pool[a]))
        if self.random.random() < 0.5:
            return lambda pool, ij: pool.append(np.zeros_like(pool[a]))
        if math.prod(shape) * math.prod(other) > 200:
            return None
        return lambda pool, ij: pool.append(np.sin(pool[a]) - 0.5 * pool[b])

    def write(self, a: int, b: int, shape: Any, other: Any) -> Step | None:
        """A write to an array."""
        if not shape:
            return None
        kind = int(self.random.integers(12))
        ufunc, change = self.pick(UFUNCS), self.pick(IN_PLACE)
        number = float(self.random.normal())
        index = self.index(shape) if kind % 3 else self.positions(shape)
        if index is None:
            return None

        def source(pool: list[Any]) -> Any:
            return 0.5 * np.sin(pool[b]) + number

        def assign(pool: list[Any], ij: Any) -> None:
            pool[a][index(ij)] = pool[b]

        def assign_new(pool: list[Any], ij: Any) -> None:
            pool[a][index(ij)] = source(pool)

        def update(pool: list[Any], ij: Any) -> None:
            x, k = pool[a], index(ij)
            x[k] = change(x[k], source(pool))

        def update_whole(pool: list[Any], ij: Any) -> None:
            pool[a] = change(pool[a], source(pool))

        def update_by_number(pool: list[Any], ij: Any) -> None:
            x, k = pool[a], index(ij)
            x[k] = change(x[k], number)

        def write_out(pool: list[Any], ij: Any) -> None:
            ufunc(pool[b], source(pool), out=pool[a])

        def write_part(pool: list[Any], ij: Any) -> None:
            part = pool[a][index(ij)]
            if np.ndim(part):
                np.copyto(part, source(pool))
                ufunc(part, number, out=part, where=part.real > 0.1)

        def mask(pool: list[Any], ij: Any) -> None:
            x = pool[a]
            x[x.real > number] = 0.25 * number

        def update_masked(pool: list[Any], ij: Any) -> None:
            x = pool[a]
            m = x.real > number
            x[m] = change(x[m], np.sin(x[m]) - number)
            x[x.real < -number] *= 0.5

        def add_at(pool: list[Any], ij: Any) -> None:
            # NumPy writes to read-only arrays here, and crashes where the values do not fit.
            x, k = pool[a], index(ij)
            if current_scope() is None and not x.flags.writeable:
                raise ValueError("read-only")
            np.add.at(x, k, number * np.sin(x[k]))

        def fill(pool: list[Any], ij: Any) -> None:
            part = pool[a][index(ij)]
            if np.ndim(part):
                part.fill(number)

        def swap(pool: list[Any], ij: Any) -> None:
            x = pool[a]
            i, j = ij[0] % shape[0], ij[1] % shape[0]
            x[i], x[j] = x[j], x[i]

        def put(pool: list[Any], ij: Any) -> None:
            np.put(pool[a], [0, -1, 0], [number, 1.0])
            pool[a].flat[-1] = number * np.sin(pool[b]).sum()

        writes = [assign, assign_new, update, update, update_whole, update_by_number]
        writes += [write_out, write_part, mask, update_masked, add_at, fill, swap, put]
        return self.pick(writes)


@dataclass(frozen=True)
class Program:
    """A number of random steps on two arrays; the seed determines them."""

    seed: int
    length: int

    def arguments(self) -> tuple[Any, Any, int, int]:
        random = np.random.default_rng([self.seed, 0])
        rank = int(random.choice(4, p=[0.0, 0.3, 0.5, 0.2]))
        shape = tuple(random.choice([1, 2, 3, 4], rank, p=[0.1, 0.3, 0.4, 0.2]).tolist())
        other = shape[int(random.integers(0, rank)) :] if random.random() < 0.5 else shape
        i, j = random.integers(0, 12, 2).tolist()
        return random.normal(size=shape), random.normal(size=other), i, j

    def steps(self) -> list[Step]:
        """The steps that NumPy takes."""
        maker = _Maker(self.seed)
        x, y, *ij = self.arguments()
        steps: list[Step] = []
        for _ in range(self.length):
            # Each step is tried on what the steps before leave, which a failing one may have changed.
            pool = self.run(steps, x, y, *ij)
            step = maker.step(pool)
            if step is None:
                continue
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("error")
                    step(pool, tuple(ij))
            except (ValueError, IndexError, TypeError, ZeroDivisionError, Warning):
                continue
            if max(float(np.max(np.abs(a), initial=0)) for a in pool) < 1e3:
                steps.append(step)
        return steps

    @staticmethod
    def run(steps: list[Step], x: Any, y: Any, i: Any, j: Any) -> list[Any]:
        pool = [x * 1.0, y * 1.0]
        for step in steps:
            step(pool, (i, j))
        return pool


programs = st.builds(Program, st.integers(0, 2**32), st.integers(4, 16))


def _function(program: Program) -> Callable[..., Any]:
    steps = program.steps()
    return lambda x, y, i, j: tuple([a * 1.0 for a in program.run(steps, x, y, i, j)])


@by_hypothesis(60)
@given(programs)
def test_values(program: Program) -> None:
    function, args = _function(program), program.arguments()
    expected = function(*args)
    for a, e in zip(go.compile(function)(*args), expected, strict=True):
        assert np.shape(a) == np.shape(e)
        np.testing.assert_allclose(a, e, rtol=1e-12, atol=1e-12)


@by_hypothesis(20)
@given(programs)
def test_derivatives(program: Program) -> None:
    function, (x, y, i, j) = _function(program), program.arguments()
    random = np.random.default_rng([program.seed, 2])
    weights = [random.normal(size=np.shape(a)) for a in function(x, y, i, j)]
    dx, dy = random.normal(size=x.shape), random.normal(size=y.shape)

    def loss(x: Any, y: Any, i: Any, j: Any) -> Any:
        return sum(
            [np.sum(w * np.sin(a)) for w, a in zip(weights, function(x, y, i, j), strict=True)]
        )

    h = 1e-30
    exact = float(np.imag(loss(x + 1j * h * dx, y + 1j * h * dy, i, j)) / h)
    tolerance = 1e-10 * (1 + abs(exact))
    gx, gy = go.compile_grad(loss, (0, 1))(x, y, i, j)
    assert abs(np.sum(gx * dx) + np.sum(gy * dy) - exact) < tolerance
    _, moved = go.compile(
        lambda x, y, dx, dy, i, j: go.jvp(lambda x, y: loss(x, y, i, j), (x, y), (dx, dy))
    )(x, y, dx, dy, i, j)
    assert abs(moved - exact) < tolerance

    def slope(x: Any, y: Any, i: Any, j: Any) -> Any:
        gx, gy = go.grad(loss, (0, 1))(x, y, i, j)
        return np.sum(gx * dx) + np.sum(gy * dy)

    # The second derivative in this direction, forward over reverse and reverse over reverse.
    hx, hy = go.compile_grad(slope, (0, 1))(x, y, i, j)
    _, forward = go.compile(
        lambda x, y, dx, dy, i, j: go.jvp(lambda x, y: slope(x, y, i, j), (x, y), (dx, dy))
    )(x, y, dx, dy, i, j)
    assert abs(np.sum(hx * dx) + np.sum(hy * dy) - forward) < 1e-9 * (1 + abs(forward))


def test_programs_write() -> None:
    """The programs are not all alike: most steps are taken, and views are written to."""
    taken = [len(Program(seed, 12).steps()) for seed in range(40)]
    assert sum(taken) > 240
