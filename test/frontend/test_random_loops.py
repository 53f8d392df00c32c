# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Random functions with loops, branches, rules and derivatives in each other.

Outside of compiled code they are Python loops over NumPy's arrays, so that values have a reference.
Derivatives are compared with differences, modes with each other, and maps with what they map.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
from budget import by_seed

import gradopt as go

# A function of values by name, which adds some.
Step = Callable[[dict[str, Any]], None]
SCALAR, VECTOR, MATRIX, INTEGER = "scalar", "vector", "matrix", "integer"

UNARY: list[Callable[[Any], Any]] = [
    np.tanh,
    np.sin,
    lambda x: x / (1 + x * x),
    lambda x: np.sqrt(1 + x**2),
    lambda x: np.where(x > 0.0123, x, 0.3 * np.tanh(x)),
    lambda x: np.abs(x - 0.31),
]
BINARY: list[Callable[[Any, Any], Any]] = [
    lambda x, y: x - 0.5 * y,
    lambda x, y: x * np.tanh(y),
    lambda x, y: x / (2 + np.sin(y)),
    lambda x, y: np.hypot(x, 1 + y * y),
    lambda x, y: np.maximum(x, y + 0.001),
]


def product_backward(x: Any, y: Any) -> Any:
    """sin(x) y with a rule for reverse mode."""
    f = go.custom_vjp(lambda x, y: np.sin(x) * y)
    f.defvjp(
        lambda x, y: (np.sin(x) * y, {"x": x, "y": y}),
        lambda kept, g: (g * np.cos(kept["x"]) * kept["y"], g * np.sin(kept["x"])),
    )
    return f(x, y)


def product_forward(x: Any, y: Any) -> Any:
    """The same with one for forward mode."""
    f = go.custom_jvp(lambda x, y: np.sin(x) * y)
    f.defjvp(lambda p, t: (np.sin(p[0]) * p[1], np.cos(p[0]) * p[1] * t[0] + np.sin(p[0]) * t[1]))
    return f(x, y)


class Writer:
    """Writes functions: lists of steps, of which at most `most` have functions in them."""

    def __init__(self, seed: int, most: int) -> None:
        self.rng = np.random.default_rng([seed, 6])
        self.size, self.width = self.below(3) + 1, self.below(4)
        self.count, self.left = 0, most

    def below(self, n: int) -> int:
        return int(self.rng.integers(n))

    def choose(self, options: list[Any]) -> Any:
        return options[self.below(len(options))]

    def pick(self, kinds: dict[str, str], kind: str) -> str:
        """The name of a value, rather a late one."""
        names = [name for name, k in kinds.items() if k == kind]
        return names[max(self.below(len(names)), self.below(len(names)))]

    def add(self, kinds: dict[str, str], kind: str) -> str:
        self.count += 1
        name = f"{kind}{self.count}"
        kinds[name] = kind
        return name

    def block(self, kinds: dict[str, str], depth: int, count: int) -> tuple[Step, dict[str, str]]:
        """Steps in a row, and the values behind them."""
        kinds = dict(kinds)
        steps = [self.step(kinds, depth) for _ in range(count)]

        def run(values: dict[str, Any]) -> None:
            for step in steps:
                step(values)

        return run, kinds

    def step(self, kinds: dict[str, str], depth: int) -> Step:
        simple = [self.unary, self.unary, self.binary, self.binary, self.reduction, self.element]
        simple += [self.update, self.integer]
        nested = [self.fori_loop, self.while_loop, self.scan, self.branch, self.vmap, self.rule]
        nested += [self.derivative]
        if not depth or not self.left or self.below(3) == 0:
            return self.choose(simple)(kinds, depth)
        self.left -= 1
        return self.choose(nested)(kinds, depth)

    # -- Steps without functions -------------------------------------------------------------

    def unary(self, kinds: dict[str, str], depth: int) -> Step:
        kind = self.choose([SCALAR, VECTOR, MATRIX])
        a, f = self.pick(kinds, kind), self.choose(UNARY)
        to = self.add(kinds, kind)
        return lambda v: v.update({to: f(v[a])})

    def binary(self, kinds: dict[str, str], depth: int) -> Step:
        kind = self.choose([SCALAR, VECTOR, MATRIX])
        a, b = self.pick(kinds, kind), self.pick(kinds, self.choose([kind, SCALAR]))
        f = self.choose(BINARY)
        to = self.add(kinds, kind)
        return lambda v: v.update({to: f(v[a], v[b])})

    def reduction(self, kinds: dict[str, str], depth: int) -> Step:
        m, x = self.pick(kinds, MATRIX), self.pick(kinds, VECTOR)
        scalar, vector, matrix = (self.add(kinds, k) for k in (SCALAR, VECTOR, MATRIX))

        def run(v: dict[str, Any]) -> None:
            v[scalar] = np.tanh(np.sum(v[m])) + np.max(v[x])
            v[vector] = v[m] @ (v[m].T @ v[x]) * 0.3
            v[matrix] = v[m] * np.cumsum(v[x])[:, None]

        return run

    def element(self, kinds: dict[str, str], depth: int) -> Step:
        x, m, i = (self.pick(kinds, k) for k in (VECTOR, MATRIX, INTEGER))
        scalar, vector = self.add(kinds, SCALAR), self.add(kinds, VECTOR)
        order = self.rng.integers(0, self.size, self.size)

        def run(v: dict[str, Any]) -> None:
            array = go.numpy.array(v[x])
            v[scalar] = array[v[i] % self.size]
            v[vector] = array[order] + np.sum(go.numpy.array(v[m])[v[i] % self.size])

        return run

    def update(self, kinds: dict[str, str], depth: int) -> Step:
        x, s, i = (self.pick(kinds, k) for k in (VECTOR, SCALAR, INTEGER))
        adds = self.below(2)
        to = self.add(kinds, VECTOR)

        def run(v: dict[str, Any]) -> None:
            y = go.numpy.array(v[x])
            if adds:
                y[v[i] % self.size] += v[s]
            else:
                y[v[i] % self.size] = v[s]
            v[to] = y

        return run

    def integer(self, kinds: dict[str, str], depth: int) -> Step:
        x, i = self.pick(kinds, VECTOR), self.pick(kinds, INTEGER)
        to = self.add(kinds, INTEGER)
        return lambda v: v.update({to: (v[i] + np.sum(v[x] > 0.1111)) % 4})

    # -- Steps with functions ----------------------------------------------------------------

    def body(
        self, kinds: dict[str, str], depth: int, more: dict[str, str] | None = None
    ) -> tuple[list[str], list[str], Callable[..., Any]]:
        """Names and kinds of what a body carries, and the body: it gives the next ones."""
        names = sorted({self.choose(list(kinds)) for _ in range(1 + self.below(3))})
        run, inside = self.block({**kinds, **(more or {})}, depth - 1, 1 + self.below(3))
        others = [self.pick(inside, kinds[name]) for name in names]
        weight = float(self.rng.uniform(-1, 1))

        def call(
            values: dict[str, Any], carried: Any, **more: Any
        ) -> tuple[list[Any], dict[str, Any]]:
            here = {**values, **dict(zip(names, carried, strict=True)), **more}
            old = [here[name] for name in names]
            run(here)
            following = [
                (3 * here[new] + 1) % 5
                if kinds[name] == INTEGER
                else 0.8 * before + weight * np.tanh(here[new])
                for name, new, before in zip(names, others, old, strict=True)
            ]
            return following, here

        return names, [kinds[name] for name in names], call

    def policy(self) -> Any:
        return self.choose([None, None, "none", "sqrt", "binomial", 2])

    def fori_loop(self, kinds: dict[str, str], depth: int) -> Step:
        names, carried, body = self.body(kinds, depth, {"index": INTEGER})
        end, known, first = self.pick(kinds, INTEGER), self.below(2), self.below(2)
        policy, to = self.policy(), [self.add(kinds, kind) for kind in carried]

        def run(v: dict[str, Any]) -> None:
            n = 3 if known else v[end]
            results = go.fori_loop(
                first,
                n,
                lambda i, c: body(v, c, index=i)[0],
                [v[x] for x in names],
                checkpoint=policy,
            )
            v.update(zip(to, results, strict=True))

        return run

    def while_loop(self, kinds: dict[str, str], depth: int) -> Step:
        names, carried, body = self.body(kinds, depth)
        end, policy = self.pick(kinds, INTEGER), self.policy()
        to = [self.add(kinds, kind) for kind in carried]

        def run(v: dict[str, Any]) -> None:
            results = go.while_loop(
                lambda s: s[1] < v[end],
                lambda s: (body(v, s[0])[0], s[1] + 1),
                ([v[x] for x in names], 0),
                checkpoint=policy,
            )
            v.update(zip(to, results[0], strict=True))

        return run

    def scan(self, kinds: dict[str, str], depth: int) -> Step:
        names, carried, body = self.body(kinds, depth, {"element": SCALAR})
        x, m, backwards = self.pick(kinds, VECTOR), self.pick(kinds, MATRIX), bool(self.below(2))
        to, stacked = [self.add(kinds, kind) for kind in carried], self.add(kinds, VECTOR)

        def run(v: dict[str, Any]) -> None:
            def step(c: Any, slices: dict[str, Any]) -> Any:
                element = slices["x"] + 0.1 * np.sum(slices["m"])
                following, here = body(v, c, element=element)
                return following, np.tanh(here["element"]) + sum(np.sum(f) for f in following)

            xs = {"x": v[x], "m": v[m]}
            results, v[stacked] = go.scan(step, [v[x] for x in names], xs, reverse=backwards)
            v.update(zip(to, results, strict=True))

        return run

    def branch(self, kinds: dict[str, str], depth: int) -> Step:
        names, carried, body = self.body(kinds, depth)
        s, i, several = self.pick(kinds, SCALAR), self.pick(kinds, INTEGER), self.below(2)
        to = [self.add(kinds, kind) for kind in carried]

        def run(v: dict[str, Any]) -> None:
            change, keep = lambda c: body(v, c)[0], lambda c: c
            old = [v[name] for name in names]
            if several:
                results = go.switch(v[i] - 1, [keep, change, keep], old)
            else:
                results = go.cond(v[s] > 0.1234, change, keep, old)
            v.update(zip(to, results, strict=True))

        return run

    def vmap(self, kinds: dict[str, str], depth: int) -> Step:
        run, inside = self.block({**kinds, "mapped": SCALAR, "row": INTEGER}, depth - 1, 2)
        s, x = self.pick(inside, SCALAR), self.pick(inside, VECTOR)
        vector, matrix, one = (self.pick(kinds, k) for k in (VECTOR, MATRIX, SCALAR))
        of_scalar, of_vector = self.add(kinds, VECTOR), self.add(kinds, VECTOR)

        def step(v: dict[str, Any]) -> None:
            def f(d: dict[str, Any], one: Any, row: Any) -> dict[str, Any]:
                here = {**v, "mapped": d["x"] + np.sum(d["m"]) * one, "row": row}
                run(here)
                return {"s": np.tanh(here[s]), "v": np.sin(here[x])}

            mapped = go.vmap(f, ({"x": 0, "m": 1}, None, 0), {"s": 0, "v": 1})
            results = mapped({"x": v[vector], "m": v[matrix].T}, v[one], np.arange(self.size))
            v[of_scalar], v[of_vector] = results["s"], np.sum(results["v"], axis=1)

        return step

    def rule(self, kinds: dict[str, str], depth: int) -> Step:
        kind = self.choose([SCALAR, VECTOR, MATRIX])
        a, b = self.pick(kinds, kind), self.pick(kinds, kind)
        f = self.choose([product_backward, product_forward])
        to = self.add(kinds, kind)
        return lambda v: v.update({to: f(v[a], v[b])})

    def derivative(self, kinds: dict[str, str], depth: int) -> Step:
        x = self.pick(kinds, VECTOR)
        run, inside = self.block({**kinds, "point": VECTOR}, depth - 1, 1 + self.below(3))
        s, y, which = self.pick(inside, SCALAR), self.pick(inside, VECTOR), self.below(6)
        to = self.add(kinds, VECTOR)

        def step(v: dict[str, Any]) -> None:
            def f(point: Any) -> Any:
                here = {**v, "point": point}
                run(here)
                return np.tanh(here[y]) * (1 + np.tanh(here[s]))

            point = v[x] * 1.0
            v[to] = np.tanh(
                (
                    lambda: go.grad(lambda p: np.sum(f(p)))(point),
                    lambda: go.jvp(f, (point,), (point,))[1],
                    lambda: go.vjp(f, point)[1](point)[0],
                    lambda: go.linearize(f, point)[1](point),
                    lambda: np.sum(go.jacrev(f)(point), axis=1),
                    lambda: go.checkpoint(f)(point),
                )[which]()
            )

        return step


@dataclasses.dataclass
class Function:
    """A random function of a scalar, a vector, a matrix and an integer, with a scalar result."""

    seed: int
    most: int

    def __post_init__(self) -> None:
        writer = Writer(self.seed, self.most)
        kinds = {"s": SCALAR, "x": VECTOR, "m": MATRIX, "n": INTEGER}
        self._run, kinds = writer.block(kinds, 2, 3 + writer.below(3))
        self._results = [name for name, kind in kinds.items() if kind != INTEGER]
        rng = np.random.default_rng(self.seed)
        shapes = (), (writer.size,), (writer.size, writer.width)
        self.points, self.directions = (
            [tuple(np.asarray(rng.normal(size=shape)) for shape in shapes) for _ in range(3)]
            for _ in range(2)
        )
        self.counts = rng.integers(0, 4, 3)

    def __call__(self, point: Any, n: Any) -> Any:
        values: dict[str, Any] = {"s": point[0], "x": point[1], "m": point[2], "n": n}
        self._run(values)
        return sum(np.sum(np.tanh(values[name])) for name in self._results)


def inner(a: Any, b: Any) -> Any:
    return sum(np.sum(x * y) for x, y in zip(a, b, strict=True))


def moved(point: Any, direction: Any, by: float) -> Any:
    return tuple(x + by * d for x, d in zip(point, direction, strict=True))


def close(got: Any, want: Any, tolerance: float) -> None:
    for g, w in zip(got, want, strict=True):
        scale = 1 + np.max(np.abs(w), initial=0)
        np.testing.assert_allclose(g, w, rtol=0, atol=tolerance * scale)


def along(f: Callable[[Any, Any], Any]) -> Callable[[Any, Any, Any], Any]:
    return lambda point, direction, n: go.jvp(lambda p: f(p, n), (point,), (direction,))[1]


def stacked(parts: list[Any]) -> Any:
    return tuple(np.stack(group) for group in zip(*parts, strict=True))


@by_seed(20)
def test_first_order(seed: int) -> None:
    f = Function(seed, most=4)
    value, gradient = go.compile(f, progress=False), go.compile(go.grad(f), progress=False)
    forward = go.compile(along(f), progress=False)
    for point, direction, n in zip(f.points, f.directions, map(int, f.counts), strict=True):
        close([value(point, n)], [f(point, n)], 1e-11)
        slope = forward(point, direction, n)
        near = [value(moved(point, direction, h), n) for h in (1e-6, -1e-6)]
        close([slope], [(near[0] - near[1]) / 2e-6], 1e-6)
        close([inner(gradient(point, n), direction)], [slope], 1e-9)
    mapped = go.vmap(go.grad(f))(stacked(f.points), f.counts)
    every = [gradient(point, int(n)) for point, n in zip(f.points, f.counts, strict=True)]
    close(mapped, stacked(every), 1e-9)


@by_seed(12)
def test_second_order(seed: int) -> None:
    f = Function(seed, most=2)
    gradient = go.compile(go.grad(f), progress=False)
    ways = (
        along(go.grad(f)),
        lambda p, d, n: go.grad(lambda p: along(f)(p, d, n))(p),
        lambda p, d, n: go.grad(lambda p: inner(go.grad(f)(p, n), d))(p),
    )
    point, direction, n = f.points[0], f.directions[0], int(f.counts[0])
    near = [gradient(moved(point, direction, h), n) for h in (1e-5, -1e-5)]
    want = tuple((a - b) / 2e-5 for a, b in zip(*near, strict=True))
    first = go.compile(ways[0], progress=False)(point, direction, n)
    close(first, want, 1e-5)
    for way in ways[1:]:
        close(go.compile(way, progress=False)(point, direction, n), first, 1e-9)
