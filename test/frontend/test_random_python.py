# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Random Python programs of loops, branches and writes: NumPy runs them, and compiled code.

Results and arguments that are written to must be NumPy's. Derivatives in both modes must agree, and
be those of finite differences where these settle: a program may jump where a condition changes.
"""

from __future__ import annotations

import linecache
import random
from collections.abc import Callable
from typing import Any

import numpy as np
from budget import by_seed

import gradopt as go

SIZE = 9


class Writer:
    """Writes a random program: two numbers, two arrays, counters."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.lines: list[str] = []
        self.counters: list[str] = []
        self.names = 0
        self.loops = 0  # Loops around, in which `break` and `continue` may stand.

    def pick(self, *choices: Any) -> Any:
        return self.random.choice(choices)

    def add(self, depth: int, text: str) -> None:
        self.lines.append("    " * depth + text)

    def index(self) -> str:
        """A number of an element."""
        if self.counters and self.random.random() < 0.7:
            counter = self.pick(*self.counters)
            return self.pick(counter, counter, f"{counter} - 1", f"({counter} + 2) % {SIZE}")
        return str(self.random.randrange(-SIZE, SIZE))

    def number(self, depth: int = 0) -> str:
        """An expression for a number, of which programs can apply many to each other."""
        if depth > 2 or self.random.random() < 0.3:
            return self.pick("a", "b", f"u[{self.index()}]", f"v[{self.index()}]", "0.5", "-0.75")
        left, right = self.number(depth + 1), self.number(depth + 1)
        return self.pick(
            f"np.tanh({left} + {right})",
            f"np.sin({left}) * {right}",
            f"({left} - 0.5 * {right})",
            f"({left} if {self.condition(depth + 1)} else {right})",
            f"max({left}, {right})" if depth else f"abs({left})",
            "np.sum(u) / 9",
        )

    def array(self) -> str:
        """An expression for an array."""
        return self.pick(
            "np.tanh(u)",
            "v * 0.5 + u",
            "np.cos(v)",
            f"u * {self.number(2)}",
            "np.where(u > v, u, v * 0.5)",
            "u[::-1] * 1.0",
        )

    def condition(self, depth: int = 0) -> str:
        simple = f"{self.number(3)} {self.pick('<', '>', '>=')} {self.number(3)}"
        if depth > 1:
            return simple
        other = f"{self.number(3)} < {self.number(3)}"
        return self.pick(
            simple, simple, f"{simple} and {other}", f"{simple} or {other}", f"not {simple}",
            f"-1 < {self.number(3)} < 0.5", f"{self.counters[-1]} % 2 == 0" if self.counters else simple,
        )  # fmt: skip

    def block(self, depth: int, count: int) -> None:
        for _ in range(count):
            self.statement(depth)

    def statement(self, depth: int) -> None:
        kinds: list[Callable[[int], None]] = [self.assign, self.assign, self.write, self.write]
        if depth < 3:
            kinds += [self.branch, self.branch, self.count, self.repeat]
        if depth > 1:
            kinds.append(self.leave)
        self.pick(*kinds)(depth)

    def assign(self, depth: int) -> None:
        name = self.pick("a", "b")
        self.add(
            depth,
            self.pick(
                f"{name} = {self.number()}",
                f"{name} += 0.25 * {self.number(1)}",
                f"a, b = b, {self.number(1)}",
                f"v = {self.array()}",
                f"t = {self.number(1)}; {name} = t * 0.5",
            ),
        )

    def write(self, depth: int) -> None:
        array = self.pick("u", "v")
        self.add(
            depth,
            self.pick(
                f"{array}[{self.index()}] = {self.number()}",
                f"{array}[{self.index()}] += {self.number(1)}",
                "u[1:-1] = (v[:-2] + v[2:]) * 0.5",
                f"u[{self.random.randrange(4)}:] *= 0.9",
                "u += 0.1 * v",
                f"u[:] = {self.array()}",
                f"put(u, {self.index()}, {self.number(1)})",
            ),
        )

    def branch(self, depth: int) -> None:
        self.add(depth, f"if {self.condition()}:")
        self.block(depth + 1, self.random.randrange(1, 3))
        if self.random.random() < 0.3:
            self.add(depth, f"elif {self.condition()}:")
            self.block(depth + 1, 1)
        if self.random.random() < 0.5:
            self.add(depth, "else:")
            self.block(depth + 1, self.random.randrange(1, 3))

    def count(self, depth: int) -> None:
        self.names += 1
        counter = f"i{self.names}"
        outer = self.pick(*self.counters) if self.counters else "3"
        ranges = ["3", "9", "9", "0, 9", "8, -1, -1", "1, 9", "0, 9, 2", outer]
        self.add(depth, f"for {counter} in range({self.pick(*ranges)}):")
        self.counters.append(counter)
        self.inside(depth)
        self.counters.pop()

    def repeat(self, depth: int) -> None:
        self.names += 1
        counter = f"k{self.names}"
        self.add(depth, f"{counter} = 0")
        self.add(depth, f"while {counter} < {self.pick(4, 9)} and {self.condition(2)}:")
        self.add(depth + 1, f"{counter} += 1")
        self.counters.append(f"({counter} - 1)")
        self.inside(depth)
        self.counters.pop()

    def inside(self, depth: int) -> None:
        self.loops += 1
        self.block(depth + 1, self.random.randrange(1, 3))
        self.loops -= 1
        if self.random.random() < 0.2:
            self.add(depth, "else:")
            self.block(depth + 1, 1)

    def leave(self, depth: int) -> None:
        exits = ["return a + b"] + (["break", "continue", "break"] if self.loops else [])
        self.add(depth, f"if {self.condition()}:")
        self.add(depth + 1, self.pick(*exits))

    def program(self) -> str:
        self.add(0, "def f(a, b, u, v):")
        self.block(1, self.random.randrange(2, 4))
        self.add(1, "return a * b + np.sum(u * v)")
        return "\n".join(self.lines) + "\n"


def put(x: Any, i: Any, value: Any) -> None:
    if value > 0:
        x[i] = value
    else:
        x[i] -= 0.5


def function_of(text: str, name: str) -> Callable[..., Any]:
    """The function of a program, whose source can be found."""
    linecache.cache[name] = (len(text), None, text.splitlines(True), name)
    names: dict[str, Any] = {"np": np, "put": put}
    exec(compile(text, name, "exec"), names)
    return names["f"]


def why_not(compiled: go.Compiled, args: list[Any]) -> str | None:
    """Why a program is not supported, if it is not."""
    try:
        compiled.lower(*args)
    except go.errors.UnsupportedError as error:
        return error.message
    return None


@by_seed(24)
def test_programs(seed: int) -> None:
    text = Writer(seed).program()
    f = function_of(text, f"program {seed}")
    rng = np.random.default_rng(seed)
    args = [float(rng.normal()), float(rng.normal()), rng.normal(size=SIZE), rng.normal(size=SIZE)]

    def run(function: Callable[..., Any], *values: Any) -> list[Any]:
        mine = [np.copy(v) if isinstance(v, np.ndarray) else v for v in values]
        with np.errstate(all="ignore"):
            return [function(*mine), *mine[2:]]

    want = run(f, *args)
    compiled = go.compile(f)
    refused = why_not(compiled, args)
    if refused is not None:
        # An array that is written to, and gets the name of another one.
        assert "gave its name" in refused or "may share memory" in refused, text
        return
    for _ in range(2):
        for got, expected in zip(run(compiled, *args), want, strict=True):
            np.testing.assert_allclose(got, expected, rtol=1e-9, atol=1e-11, err_msg=text)

    direction = [
        float(rng.normal()),
        float(rng.normal()),
        rng.normal(size=SIZE),
        rng.normal(size=SIZE),
    ]
    tangent = float(go.jvp(f, tuple(args), tuple(direction))[1])
    gradients = go.grad(f, argnums=(0, 1, 2, 3))(*args)
    product = sum(float(np.sum(g * d)) for g, d in zip(gradients, direction, strict=True))
    np.testing.assert_allclose(product, tangent, rtol=1e-8, atol=1e-9, err_msg=text)

    def slope(step: float) -> float:
        sides = [[x + s * step * d for x, d in zip(args, direction, strict=True)] for s in (1, -1)]
        up, down = (float(run(f, *side)[0]) for side in sides)
        return (up - down) / (2 * step)

    coarse, fine = slope(1e-5), slope(1e-6)
    if abs(coarse - fine) < 1e-5 * max(1, abs(fine)):
        np.testing.assert_allclose(tangent, fine, rtol=1e-4, atol=1e-5, err_msg=text)
