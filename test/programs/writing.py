# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Random programs: statements around random expressions.

    def f(a, b, n, i, u, v, m, k, w):

takes two floats, an integer that is a size, one that is a number, two vectors, a matrix, integers,
and floats of single precision. It returns one of several structures, of which each `return` of a
program has the same.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from programs.expressions import (
    COUNTS,
    FLOAT,
    INTEGER,
    LIST,
    MATRIX,
    ROWS,
    SIZE,
    VECTOR,
    VIEW,
    Expressions,
)

# Programs of so many lines get no more blocks.
MOST_LINES = 18

HEADER = "def f(a, b, n, i, u, v, m, k, w):"

# What programs may call, besides NumPy and `math`.
PRELUDE = '''
import itertools
import math

import numpy as np


def bend(x):
    if x > 0.3:
        return x * 0.5
    return -x


def put(x, i, value):
    if value > 0:
        x[i] = value
    else:
        x[i] -= 0.5


def scaled(x, by=0.5, *, shift=0.0):
    """A recursion of known depth, by an argument that is no array."""
    if shift > 0.25:
        return x * by
    return scaled(x * by, by, shift=shift + 0.1) + shift


class Line:
    def __init__(self, slope):
        self.slope = slope

    def __call__(self, x):
        return self.slope * x if x > 0 else x * 0.1

    def fill(self, x):
        for j in range(len(x)):
            x[j] += self.slope


line = Line(0.5)

'''


@dataclass(frozen=True)
class Program:
    """A program, and what it is called with.

    Attributes:
        seed: what it was made of.
        text: its source.
        args: arguments: floats, integers, arrays.
    """

    seed: int
    text: str
    args: tuple[Any, ...]


class Writer(Expressions):
    """Writes a program."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.lines: list[str] = []
        self.functions += ["line", "scaled"]
        self.loops = 0  # Loops around, in which `break` and `continue` may stand.
        self.in_function = False
        self.result = self.pick(
            lambda: self.number(1),
            lambda: f"{self.number(1)}, {self.integer(1)}",
            lambda: self.vector(),
            lambda: f"({self.number(1)}, ({self.vector()}, {self.counts()}))",
            lambda: f"{{'a': {self.number(1)}, 'm': {self.matrix()}}}",
            lambda: f"[{self.single()}, {self.condition()}, u]",
        )

    def add(self, depth: int, text: str) -> None:
        self.lines.append("    " * depth + text)

    def program(self) -> str:
        """The source."""
        self.add(0, HEADER)
        for _ in range(self.random.randrange(2)):
            self.define(1)
        self.statements(1, self.random.randrange(2, 5))
        self.add(1, f"return {self.result()}")
        return PRELUDE + "\n".join(self.lines) + "\n"

    # -- Blocks ------------------------------------------------------------------------------

    def statements(self, depth: int, count: int) -> None:
        for _ in range(count):
            self.statement(depth)

    def inside(self, depth: int, count: int) -> None:
        """A block."""
        with self.block():
            self.statements(depth, count)

    def statement(self, depth: int) -> None:
        simple = [self.assign, self.assign, self.augment, self.write, self.write, self.write]
        simple += [self.view, self.make, self.make]
        simple += [self.hold] if self.chance(0.4) else []
        nested: list[Callable[[int], None]] = []
        if depth < 4 and len(self.lines) < MOST_LINES:
            nested = [
                self.branch,
                self.branch,
                self.count,
                self.count,
                self.repeat,
                self.go_through,
            ]
            nested += [self.wrapped] if self.chance(0.2) else []
        if depth > 1 and self.chance(0.6):
            nested.append(self.leave)
        self.pick(*simple, *nested)(depth)

    # -- Simple statements -------------------------------------------------------------------

    def assign(self, depth: int) -> None:
        names = self.names
        x, j, v = self.pick(*names[FLOAT]), self.pick(*names[INTEGER]), self.pick(*names[VECTOR])
        line = self.choose(
            lambda: f"{x} = {self.number()}",
            lambda: f"{x} = {self.number()}",
            lambda: f"{j} = ({self.integer()}) % 9",
            lambda: f"a, b = b, {self.number(1)}",
            lambda: f"{x}, {j} = {self.number(1)}, {self.integer(1)} % 5",
            lambda: f"({x}, {j}), i = ({self.number(1)}, 3), {self.integer(1)} % 4",
            lambda: f"{v} = {self.vector()}",
            lambda: f"{v} = {self.vector()} * 1.0",
            lambda: f"u, v = {self.pick('v, u', 'v * 0.5, u + 0.1', 'v.copy(), u')}",
            lambda: f"m = {self.matrix()} * 0.9",
            lambda: f"k = {self.counts()}",
            lambda: f"w = {self.single()}",
            lambda: f"{x}: float = {self.number(1)}",
            lambda: f"a = b = {self.number(1)}",
            lambda: f"{x} = (a := {self.number(1)}) * 0.5",
            lambda: f"assert {self.condition(1)} or {self.chance(0.8)}, 'not {depth}'",
            lambda: f"{x} = sorted([{self.number(2)}, {self.number(2)}, 0.1])[{self.pick(0, 1)}]",
        )
        self.add(depth, line)

    def augment(self, depth: int) -> None:
        names = self.names
        x, j = self.pick(*names[FLOAT]), self.pick(*names[INTEGER])
        u = self.pick(*names[VECTOR])
        line = self.choose(
            lambda: f"{x} {self.pick('+=', '-=')} 0.25 * {self.number(1)}",
            lambda: f"{x} *= {self.pick('0.5', '-0.9', self.pick(*names[FLOAT]))}",
            lambda: f"{x} /= 1.5 + abs({self.number(2)})",
            lambda: f"{x} %= 1.25" if self.chance(0.5) else f"{x} //= 0.5",
            lambda: f"{j} {self.pick('+=', '-=')} {self.random.randrange(1, 4)}",
            lambda: f"{j} {self.pick('//=', '%=')} {self.random.randrange(2, 5)}",
            lambda: f"{u} {self.pick('+=', '-=')} 0.2 * {self.vector(1)}",
            lambda: f"{u} *= {self.pick('0.9', '-0.5')}",
            lambda: f"m += 0.1 * {self.matrix(1)}",
            lambda: f"k += {self.integer(2)} % 3",
            lambda: f"w *= {self.pick('0.5', self.pick(*names[FLOAT]))}",
        )
        self.add(depth, line)

    def write(self, depth: int) -> None:
        x = self.pick(*self.names[VECTOR], *self.names[VECTOR], *self.names[VIEW])
        u, m = self.pick(*self.names[VECTOR]), self.pick(*self.names[MATRIX])
        first, second = self.index(), self.index()
        low = self.random.randrange(5)
        is_view = x in self.names[VIEW]
        at = "0" if is_view else first
        line = self.choose(
            lambda: f"{x}[{at}] = {self.number()}",
            lambda: f"{x}[{at}] {self.pick('+=', '-=', '*=')} {self.number(1)}",
            lambda: f"{u}[1:-1] = (v[:-2] + v[2:]) * 0.5",
            lambda: f"{u}[1:] += {u}[:-1] * 0.3",
            lambda: f"{u}[{low}:] *= 0.9",
            lambda: f"{u}[{low}:{low + 4}] = ({self.vector(1)})[2:6]",
            lambda: f"{u}[::{self.pick(2, -2)}] = {self.number(1)}",
            lambda: f"{x}[:] = {self.number(2) if is_view else self.vector()}",
            lambda: f"{u}[{first}], {u}[{second}] = {u}[{second}], {u}[{first}]",
            lambda: f"{u}[{self.mask()}] {self.pick('=', '*=', '-=')} {self.number(2)}",
            lambda: f"{m}[{self.row()}] = {self.vector()}",
            lambda: f"{m}[{self.row()}, {self.index()}] {self.pick('=', '+=')} {self.number(1)}",
            lambda: f"{m}[:, {self.index()}] -= {self.number(1)}",
            lambda: f"{m}[{self.row()}] *= {self.number(2)}",
            lambda: f"{m}[1:, 1:] = {m}[:-1, :-1] * 0.5",
            lambda: f"put({u}, {first}, {self.number(1)})",
            lambda: self.pick(
                f"np.add({u}, v, out={u})", f"np.copyto({u}, {self.vector(1)})",
                f"{u}.fill({self.number(2)})", f"line.fill({u})",
                f"np.multiply({u}, 0.5, out={m}[1])", f"np.fill_diagonal({m}, {self.number(2)})",
                f"np.add.at({u}, k % {SIZE}, 0.3)",
            ),
            lambda: f"k[{self.index()}] = {self.integer(1)} % 6",
            lambda: f"w[{self.index()}] = {self.number(1)}",
            lambda: f"{u}[k % {SIZE}] = {self.vector(1)}" if self.chance(0.3) else f"{u}[{first}] = 0",
        )  # fmt: skip
        self.add(depth, line)

    def view(self, depth: int) -> None:
        """A name for a part of an array."""
        name = self.new("p")
        u, m = self.pick(*self.names[VECTOR]), self.pick(*self.names[MATRIX])
        part = self.pick(
            f"{u}[{self.random.randrange(4)}:]", f"{u}[::-1]", f"{u}[1:6:2]", f"{m}[{self.row()}]",
            f"{m}[:, {self.index()}]", f"{m}.T[{self.index()}]", f"{m}[1:, 2:].ravel()[:3]",
            f"{m}.reshape(-1)[3:9]", f"np.diagonal({m})[:]" if self.chance(0.2) else f"{u}[2:]",
        )  # fmt: skip
        self.add(depth, f"{name} = {part}")
        if "diagonal" not in part:
            self.names[VIEW].append(name)
            for _ in range(self.random.randrange(1, 3)):
                self.write(depth)

    def make(self, depth: int) -> None:
        """A new name."""
        u = self.pick(*self.names[VECTOR])
        kind, line = self.choose(
            lambda: (FLOAT, self.number()),
            lambda: (FLOAT, self.number()),
            lambda: (INTEGER, f"({self.integer()}) % 7"),
            lambda: (VECTOR, self.vector()),
            lambda: (VECTOR, f"np.{self.pick('zeros', 'ones')}({SIZE})"),
            lambda: (VECTOR, f"np.empty({SIZE}); {{}}[:] = {self.number(2)}"),
            lambda: (MATRIX, f"np.zeros(({ROWS}, {SIZE}))"),
            lambda: (MATRIX, f"{self.matrix()} * 0.5"),
            lambda: (COUNTS, self.counts()),
            lambda: (LIST, f"[{self.pick(*self.functions)}(x) for x in {u}]"),
            lambda: (LIST, f"[x * {self.number(2)} for x in {u}{self.pick('', '[2:]')} ]"),
            lambda: (LIST, f"[{self.number(2)}, {self.number(2)}, 0.5]"),
            lambda: (LIST, f"[x + y for x, y in zip({u}, v)]"),
            lambda: (LIST, f"list({u})" if self.chance(0.5) else f"[*{u}, a]"),
        )
        name = self.new("x")
        self.add(depth, f"{name} = {line}".replace("{}", name))
        self.names[kind].append(name)

    def hold(self, depth: int) -> None:
        """Numbers in lists, dicts and objects that the program makes."""
        name, j, x = self.new("h"), self.new("j"), self.new("x")
        u = self.pick(*self.names[VECTOR])
        count = self.pick("3", str(SIZE), str(SIZE), "n")
        kind = self.random.randrange(4)
        if kind == 0:
            self.add(depth, f"{name} = [{self.number(2)}]" if count == "n" else f"{name} = []")
            self.add(depth, f"for {j} in range({count}):")
            self.counters.append(j)
            self.inside(depth + 1, self.random.randrange(2))
            self.add(depth + 1, f"{name}.append({self.number(1)})")
            self.counters.pop()
            self.names[LIST].append(name)
            if self.chance(0.5) and count == str(SIZE):
                self.add(depth, f"{x} = np.{self.pick('array', 'stack')}({name})")
                self.names[VECTOR].append(x)
            return
        if kind == 1:
            self.add(depth, f"{name} = [{self.number(2)}] * {SIZE}")
            places = [f"{name}[{j}]"] * 2
            self.names[LIST].append(name)
        elif kind == 2:
            self.add(depth, f"{name} = {{'x': {self.number(2)}, 'y': 0.5}}")
            places = [f"{name}['x']", f"{name}['y']"]
        else:
            self.add(depth, f"{name} = Line({self.number(2)})")
            places = [f"{name}.slope"] * 2
            self.functions.append(name)
        self.add(depth, f"for {j}, {x} in enumerate({u}):")
        with self.block():
            self.counters.append(j)
            self.names[FLOAT].append(x)
            self.inside(depth + 1, self.random.randrange(2))
            first, second = places
            self.add(depth + 1, f"{first} {self.pick('=', '+=')} 0.5 * {second} + {self.number(2)}")
            self.counters.pop()
        if kind > 1:
            self.add(depth, f"a = {self.pick(*places)} * 0.5")

    # -- Statements with blocks --------------------------------------------------------------

    def branch(self, depth: int) -> None:
        self.add(depth, f"if {self.condition()}:")
        self.inside(depth + 1, self.random.randrange(1, 3))
        if self.chance(0.25):
            self.add(depth, f"elif {self.condition()}:")
            self.inside(depth + 1, 1)
        if self.chance(0.5):
            self.add(depth, "else:")
            self.inside(depth + 1, self.random.randrange(1, 3))

    def count(self, depth: int) -> None:
        """`for` over a range."""
        counter = self.new("j")
        outer = self.pick(*self.counters) if self.counters else "3"
        bound = self.pick(
            "3", str(SIZE), str(SIZE), f"0, {SIZE}", f"{SIZE - 1}, -1, -1", f"1, {SIZE}", "8",
            f"0, {SIZE}, 2", outer, "n", f"{SIZE - 1}, 0, -2", f"len({self.pick('u', 'v')})",
            f"{self.integer(2)} % {SIZE}",
        )  # fmt: skip
        self.add(depth, f"for {counter} in range({bound}):")
        self.body(depth, counter)

    def go_through(self, depth: int) -> None:
        """`for` over what is no range."""
        j, x, y = self.new("j"), self.new("x"), self.new("x")
        u = self.pick(*self.names[VECTOR])
        counter, floats, header = self.pick(
            (j, [x], f"{j}, {x} in enumerate({u})"),
            (None, [x], f"{x} in {u}"),
            (None, [x, y], f"{x}, {y} in zip({u}, {self.pick(*self.names[VECTOR])}[::-1])"),
            (j, [], f"{j} in reversed(range({SIZE}))"),
            (j, [x, y], f"{j}, ({x}, {y}) in enumerate(zip(v, {u}))"),
            (None, [x], f"{x} in reversed({u})"),
            (None, [x], f"{x} in [{self.number(2)}, {self.number(2)}, 0.5]"),
            (None, [x], f"{x} in {u}[::2]"),
            (f"abs({j})", [], f"{j} in (3, -1, 0)"),
            (j, [x], f"{x}, {j} in zip({u}, range({SIZE}))"),
            (j, [], f"{y}, {j} in np.ndindex({ROWS}, {SIZE})"),
            (j, [], f"{y}, {j} in itertools.product(range(3), range({SIZE}))"),
        )
        with self.block():
            self.add(depth, f"for {header}:")
            self.names[FLOAT] += floats
            self.body(depth, counter)

    def body(self, depth: int, counter: str | None) -> None:
        if counter:
            self.counters.append(counter)
        self.loops += 1
        self.inside(depth + 1, self.random.randrange(1, 4))
        self.loops -= 1
        if counter:
            self.counters.pop()
        if self.chance(0.15):
            self.add(depth, "else:")
            self.inside(depth + 1, 1)

    def repeat(self, depth: int) -> None:
        """`while`."""
        counter = self.new("c")
        self.add(depth, f"{counter} = 0")
        most = self.pick(4, SIZE, SIZE)
        if self.chance(0.3):
            self.add(depth, "while True:")
            self.add(depth + 1, f"if {counter} >= {most} or {self.condition(2)}:")
            self.add(depth + 2, "break")
        else:
            self.add(depth, f"while {counter} < {most} and {self.condition(2)}:")
        self.add(depth + 1, f"{counter} += 1")
        self.body(depth, f"({counter} - 1)")

    def wrapped(self, depth: int) -> None:
        """`with`, `try`, `match`."""
        kind = self.random.randrange(3)
        if kind == 0:
            self.add(depth, "with np.errstate(all='ignore'):")
            self.inside(depth + 1, 2)
        elif kind == 1:
            self.add(depth, "try:")
            self.inside(depth + 1, 1)
            self.add(depth, "finally:")
            self.inside(depth + 1, 1)
        else:
            self.add(depth, "match n:")
            self.add(depth + 1, f"case {self.random.randrange(3)}:")
            self.inside(depth + 2, 1)
            self.add(depth + 1, "case _:")
            self.inside(depth + 2, 1)

    def leave(self, depth: int) -> None:
        exits = ["break", "continue", "break"] if self.loops else []
        if not self.in_function:
            exits += [f"return {self.result()}"]
            exits += ["raise ValueError('no more')"] if self.chance(0.3) else []
            exits += [f"raise ArithmeticError({depth}, 'too much')"] if self.chance(0.2) else []
            message = f"'%d of %.3f' % ({self.integer(2)}, {self.number(2)})"
            text = (
                f"f'{{{self.pick(*self.names[INTEGER])}}} {{{self.pick(*self.names[FLOAT])}:.4f}}'"
            )
            exits += [f"raise ValueError({self.pick(message, text)})"] if self.chance(0.2) else []
        if not exits:
            return self.assign(depth)
        self.add(depth, f"if {self.condition()}:")
        if self.chance(0.3):
            self.inside(depth + 1, 1)
        self.add(depth + 1, self.pick(*exits))

    def define(self, depth: int) -> None:
        """A function in the function, from a number to a number."""
        name, x = self.new("g"), self.new("x")
        if self.chance(0.25):
            self.add(depth, f"{name} = lambda {x}: {x} * b if {x} > a else 0.5 - {x}")
            self.functions.append(name)
            return
        with self.block():
            self.add(depth, f"def {name}({x}, scale=0.5):")
            if self.chance(0.3):
                self.add(depth + 1, "nonlocal b")
            else:
                self.names[FLOAT] = [n for n in self.names[FLOAT] if n not in "ab"]
            # What it assigns is its own.
            self.names[FLOAT].append(x)
            mine = self.new("y")
            self.add(depth + 1, f"{mine} = {x} + a * scale")
            self.names[FLOAT].append(mine)
            if self.chance(0.5):
                self.add(depth + 1, f"if {mine} > {self.pick('0', '0.4', 'v[2]')}:")
                self.add(depth + 2, self.pick(f"return {x} * 0.3", f"{mine} -= 0.25"))
            if self.chance(0.4):
                self.add(depth + 1, f"u[{self.pick(1, -2)}] += 0.1 * {mine}")
            if "nonlocal b" in self.lines[-3:]:
                self.add(depth + 1, f"b = {mine} * 0.5")
            self.add(depth + 1, f"return {mine}")
        self.functions.append(name)


def program_of(seed: int) -> Program:
    """The program of a seed, and its arguments."""
    writer = Writer(seed)
    text = writer.program()
    rng = np.random.default_rng(seed)
    u, v, m = rng.normal(size=SIZE), rng.normal(size=SIZE), rng.normal(size=(ROWS, SIZE))
    kind = seed % 4
    if kind == 1:
        u = np.repeat(u, 2)[::2]
        m = np.asfortranarray(m)
    args = (
        float(rng.normal()),
        float(rng.normal()),
        int(rng.integers(0, SIZE)),
        int(rng.integers(-4, 9)),
        u,
        v,
        m,
        rng.integers(0, 6, size=SIZE),
        rng.normal(size=SIZE).astype(np.float32 if writer.is_single else np.float64),
    )
    return Program(seed, text, args)
