# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Random loops that update arrays at places which depend on their counters.

The reference is the same program as Python loops over NumPy's arrays, with derivatives by complex
steps: all that it calculates is analytic.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from budget import by_seed

import gradopt as go

N = 5
# A loop: takes the limits, a function of a counter and the arrays, and the arrays.
Loop = Callable[[Any, Any, Callable[[Any, Any], Any], Any], Any]
Statement = Callable[[Any, dict[str, Any], Loop], Any]
VALUES: list[Callable[[Any, Any, Any], Any]] = [
    lambda a, b, c: np.sin(a * b) + 0.5 * c,
    lambda a, b, c: 0.3 * a * c + b,
    lambda a, b, c: a - 0.4 * b * b,
    lambda a, b, c: np.exp(0.1 * a) - b,
    lambda a, b, c: np.cos(a) * np.sin(c),
    lambda a, b, c: a + 0.25 * b,
]


class Writer:
    """Writes programs on a vector and a matrix, and a constant vector."""

    def __init__(self, seed: int) -> None:
        self.random = np.random.default_rng([seed, 11])

    def pick(self, items: Any) -> Any:
        return items[int(self.random.integers(len(items)))]

    def place(self, counters: list[str]) -> Callable[[dict[str, Any]], Any]:
        """An index in range, as long as each counter is."""
        if not counters or self.random.random() < 0.1:
            number = int(self.random.integers(-N, N))
            return lambda at: number
        name, other = self.pick(counters[-2:]), self.pick(counters)
        shift = int(self.random.integers(-1, 2))
        return self.pick(
            [
                lambda at: at[name],
                lambda at: at[name],
                lambda at: at[name] + shift,
                lambda at: N - 1 - at[name],
                lambda at: -1 - at[name],
                lambda at: 2 * at[name] + shift,
                lambda at: np.minimum(at[name], at[other] + shift),
                lambda at: (at[name] + at[other]) % N,
            ]
        )

    def part(self, counters: list[str]) -> tuple[str, Callable[[dict[str, Any]], Any], int]:
        """An array, an index, and how many dimensions are left."""
        kind = self.random.random()
        first, second = self.place(counters), self.place(counters)
        if kind < 0.4:
            return "x", first, 0
        if kind < 0.6:
            return "m", lambda at: (first(at), second(at)), 0
        if kind < 0.75:
            return "m", first, 1
        if kind < 0.85:
            return "m", lambda at: (slice(None), first(at)), 1
        if kind < 0.9:
            return "x", lambda at: slice(None), 1
        return "b", first, 0

    def write(self, counters: list[str]) -> Statement:
        target, index, rank = self.part(counters)
        while target == "b":
            target, index, rank = self.part(counters)
        reads = [self.part(counters) for _ in range(3)]
        value, adds = self.pick(VALUES), self.random.random() < 0.3

        def statement(arrays: Any, at: dict[str, Any], loop: Loop) -> Any:
            def read(part: Any) -> Any:
                name, where, left = part
                found = arrays[name][where(at)]
                return np.sum(found) * 0.3 if left > rank else found

            new = value(*(read(part) for part in reads))
            if adds:
                arrays[target][index(at)] += 0.5 * new
            else:
                arrays[target][index(at)] = new
            return arrays

        return statement

    def limits(self, counters: list[str]) -> tuple[Callable[..., Any], Callable[..., Any]]:
        if not counters:
            low, high = int(self.random.integers(0, 2)), N - int(self.random.integers(0, 2))
            return lambda at: low, lambda at: high
        name = self.pick(counters)
        return self.pick(
            [
                (lambda at: 0, lambda at: N),
                (lambda at: 1, lambda at: N - 1),
                (lambda at: at[name] + 1, lambda at: N),
                (lambda at: at[name], lambda at: N - 1),
                (lambda at: 0, lambda at: at[name]),
                (lambda at: 1, lambda at: at[name] + 1),
                (lambda at: at[name], lambda at: np.minimum(at[name] + 2, N)),
            ]
        )

    def loop(self, counters: list[str]) -> Statement:
        name = "ijk"[len(counters)]
        low, high = self.limits(counters)
        statements = self.block([*counters, name])

        def statement(arrays: Any, at: dict[str, Any], loop: Loop) -> Any:
            def body(number: Any, arrays: Any) -> Any:
                for one in statements:
                    arrays = one(arrays, {**at, name: number}, loop)
                return arrays

            return loop(low(at), high(at), body, arrays)

        return statement

    def choice(self, counters: list[str]) -> Statement:
        name, statement = self.pick(counters), self.write(counters)

        def chosen(arrays: Any, at: dict[str, Any], loop: Loop) -> Any:
            if loop is python_loop:
                return statement(arrays, at, loop) if at[name] > 1 else arrays
            return go.cond(
                at[name] > 1, lambda a: statement(dict(a), at, loop), lambda a: dict(a), arrays
            )

        return chosen

    def block(self, counters: list[str]) -> list[Statement]:
        count = int(self.random.integers(1, 4))
        statements: list[Statement] = []
        for _ in range(count):
            kind = self.random.random()
            if kind < (0.45, 0.35, 0.2)[len(counters) - 1] and len(counters) < 3:
                statements.append(self.loop(counters))
            elif kind > 0.9:
                statements.append(self.choice(counters))
            else:
                statements.append(self.write(counters))
        return statements

    def program(self) -> Callable[..., Any]:
        statements = [self.loop([]) for _ in range(int(self.random.integers(1, 3)))]
        zeros = self.random.random() < 0.4

        def run(x: Any, m: Any, b: Any, loop: Loop) -> Any:
            arrays = {"x": x.copy(), "m": np.zeros_like(m) if zeros else m.copy(), "b": b}
            for statement in statements:
                arrays = statement(arrays, {}, loop)
            return np.sum(np.sin(arrays["x"])) + np.sum(arrays["m"] * arrays["m"]) * 0.1

        return run


def python_loop(low: Any, high: Any, body: Callable[[Any, Any], Any], arrays: Any) -> Any:
    for i in range(low, high):
        arrays = body(i, arrays)
    return arrays


def traced_loop(low: Any, high: Any, body: Callable[[Any, Any], Any], arrays: Any) -> Any:
    return go.fori_loop(low, high, lambda i, a: body(i, dict(a)), arrays)


def moved(args: Any, tangents: Any, step: Any) -> Any:
    return tuple(x + step * t for x, t in zip(args, tangents, strict=True))


def is_tame(run: Callable[..., Any], args: Any, tangents: Any) -> bool:
    """Whether all places are in range, and neither values nor derivatives are large."""
    try:
        with np.errstate(all="raise", under="ignore"):
            value = run(*moved(args, tangents, 1e-30j), python_loop)
    except (IndexError, FloatingPointError):
        return False
    return abs(value.real) < 1e2 and abs(value.imag) < 1e-26


@by_seed(30)
def test_updates(seed: int) -> None:
    rng = np.random.default_rng(seed)
    args = rng.normal(size=N), rng.normal(size=(N, N)), rng.normal(size=N)
    tangents = rng.normal(size=N), rng.normal(size=(N, N)), rng.normal(size=N)
    for attempt in range(1000):
        run = Writer(1000 * seed + attempt).program()
        if is_tame(run, args, tangents):
            break
    else:
        raise AssertionError("no program of this seed has all places in range")

    def reference(*args: Any) -> float:
        return float(np.imag(run(*moved(args, tangents, 1e-30j), python_loop)) * 1e30)

    def loss(x: Any, m: Any, b: Any) -> Any:
        return run(x, m, b, traced_loop)

    def along(x: Any, m: Any, b: Any) -> Any:
        gradients = go.grad(loss, argnums=(0, 1, 2))(x, m, b)
        return sum(np.sum(g * t) for g, t in zip(gradients, tangents, strict=True))

    value = run(*args, python_loop)
    np.testing.assert_allclose(go.compile(loss)(*args), value, rtol=1e-12)
    np.testing.assert_allclose(go.compile(along)(*args), reference(*args), rtol=1e-9, atol=1e-9)
    if seed % 4 == 0:
        steps = 1e-6, 3e-6
        slopes = [
            (reference(*moved(args, tangents, h)) - reference(*moved(args, tangents, -h))) / (2 * h)
            for h in steps
        ]
        # Where the function bends too much for them, differences say nothing.
        if np.allclose(*slopes, rtol=1e-6, atol=1e-6):
            second = go.compile_grad(along, argnums=(0, 1, 2))(*args)
            found = sum(np.sum(g * t) for g, t in zip(second, tangents, strict=True))
            np.testing.assert_allclose(found, slopes[0], rtol=1e-5, atol=1e-5)
