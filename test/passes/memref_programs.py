# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Random programs on buffers, an interpreter for them, and lifetimes read off their text.

The interpreter understands what the generator writes and what `grad-plan-memory` makes of it: one
operation a line, `scf.for` with its closing brace on a line of its own. It runs every view as a
NumPy view, so that buffers that share memory clobber each other as they would in compiled code.
"""

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np

T = TypeVar("T")

SHAPES = ((4, 6), (6, 4), (24,), (4, 4), (3,))
ARGUMENTS = ((4, 6), (24,), (4, 4), (3,))
RESULTS = ((4, 6), (6, 4), (24,), (4, 4))


def memref(shape: Sequence[int], layout: str = "") -> str:
    return "memref<" + "".join(f"{extent}x" for extent in shape) + f"f64{layout}>"


@dataclass
class Generator:
    """Turns a sequence of small numbers into a program that only reads what was written."""

    choices: Iterator[int]
    lines: list[str] = field(default_factory=list[str])
    shapes: dict[str, tuple[int, ...]] = field(default_factory=dict[str, tuple[int, ...]])
    written: list[str] = field(default_factory=list[str])  # readable here
    mutable: list[str] = field(default_factory=list[str])  # allocations among them
    count: int = 0

    def pick(self, options: Sequence[T]) -> T:
        return options[next(self.choices, 0) % len(options)]

    def name(self, shape: tuple[int, ...]) -> str:
        self.count += 1
        name = f"%v{self.count}"
        self.shapes[name] = shape
        return name

    def alloc(self, shape: tuple[int, ...]) -> str:
        name = self.name(shape)
        self.lines.append(f"{name} = memref.alloc() : {memref(shape)}")
        return name

    def like(self, name: str) -> str:
        """A readable buffer of the shape of `name`."""
        return self.pick([v for v in self.written if self.shapes[v] == self.shapes[name]])

    def define(self, name: str) -> None:
        self.written.append(name)
        self.mutable.append(name)

    def target(self, source: str) -> str:
        """A new buffer, or an old one to overwrite, of the shape of `source`."""
        old = [v for v in self.mutable if self.shapes[v] == self.shapes[source]]
        if old and next(self.choices, 0) % 3 == 0:
            return self.pick(old)
        name = self.alloc(self.shapes[source])
        self.define(name)
        return name

    def binary(self) -> None:
        a = self.pick(self.written)
        b = self.like(a)
        c = self.target(a)
        t = memref(self.shapes[a])
        op = self.pick(["linalg.add", "linalg.mul", "linalg.sub"])
        self.lines.append(f"{op} ins({a}, {b} : {t}, {t}) outs({c} : {t})")

    def fill(self) -> None:
        name = self.alloc(self.pick(SHAPES))
        self.lines.append(f"linalg.fill ins(%cst : f64) outs({name} : {memref(self.shapes[name])})")
        self.define(name)

    def matmul(self) -> None:
        a = self.pick([v for v in self.written if self.shapes[v] == (4, 4)])
        b = self.pick([v for v in self.written if self.shapes[v] in ((4, 4), (4, 6))])
        c = self.alloc((4, self.shapes[b][1]))
        tc = memref(self.shapes[c])
        self.lines.append(f"linalg.fill ins(%cst : f64) outs({c} : {tc})")
        ins = f"{a}, {b} : {memref(self.shapes[a])}, {memref(self.shapes[b])}"
        self.lines.append(f"linalg.matmul ins({ins}) outs({c} : {tc})")
        self.define(c)

    def transpose(self) -> None:
        a = self.pick([v for v in self.written if self.shapes[v] == (4, 6)])
        c = self.alloc((6, 4))
        ins, outs = f"{a}:{memref((4, 6))}", f"{c}:{memref((6, 4))}"
        self.lines.append(f"linalg.transpose ins({ins}) outs({outs}) permutation = [1, 0]")
        self.define(c)

    def reshape(self) -> None:
        a = self.pick([v for v in self.written if math.prod(self.shapes[v]) == 24])
        flat = len(self.shapes[a]) == 1
        b = self.name((4, 6) if flat else (24,))
        types = f"{memref(self.shapes[a])} into {memref(self.shapes[b])}"
        op = "expand_shape" if flat else "collapse_shape"
        sizes = " output_shape [4, 6]" if flat else ""
        self.lines.append(f"{b} = memref.{op} {a} [[0, 1]]{sizes} : {types}")
        self.written.append(b)
        if a in self.mutable:
            self.mutable.append(b)

    def copy(self) -> None:
        a = self.pick(self.written)
        b = self.target(a)
        if a != b:
            t = memref(self.shapes[a])
            self.lines.append(f"memref.copy {a}, {b} : {t} to {t}")

    def copy_part(self) -> None:
        a = self.pick([v for v in self.written if self.shapes[v] == (4, 6)])
        b = self.name((2, 3))
        t = memref((2, 3), ", strided<[6, 1], offset: 7>")
        view = f"memref.subview {a}[1, 1] [2, 3] [1, 1] : {memref((4, 6))} to {t}"
        self.lines.append(f"{b} = {view}")
        c = self.alloc((2, 3))
        self.lines.append(f"memref.copy {b}, {c} : {t} to {memref((2, 3))}")
        self.define(c)

    def loop(self, depth: int) -> None:
        self.count += 1
        self.lines.append(f"scf.for %i{self.count} = %c0 to %c3 step %c1 {{")
        outside = list(self.written), list(self.mutable)
        for _ in range(1 + next(self.choices, 0) % 4):
            self.step(depth + 1)
        self.written, self.mutable = outside
        self.lines.append("}")

    def step(self, depth: int = 0) -> None:
        steps: list[Callable[[], None]] = [
            self.binary,
            self.binary,
            self.fill,
            self.matmul,
            self.transpose,
            self.reshape,
        ]
        steps += [self.copy, self.copy_part]
        if depth < 2:
            steps.append(lambda: self.loop(depth))
        self.pick(steps)()

    def program(self, name: str, steps: int) -> str:
        arguments = []
        for kind, shapes in (("a", ARGUMENTS), ("r", RESULTS)):
            for i, shape in enumerate(shapes):
                self.shapes[f"%{kind}{i}"] = shape
                arguments.append(f"%{kind}{i}: {memref(shape)}")
        self.written = [f"%a{i}" for i in range(len(ARGUMENTS))]
        self.lines += ["%cst = arith.constant 0.5 : f64"]
        self.lines += [f"%c{i} = arith.constant {i} : index" for i in (0, 1, 3)]
        for _ in range(steps):
            self.step()
        for i, shape in enumerate(RESULTS):
            sources = [v for v in self.written if self.shapes[v] == shape]
            t = memref(shape)
            if sources:
                self.lines.append(f"memref.copy {self.pick(sources)}, %r{i} : {t} to {t}")
        body = "\n".join(self.lines)
        return f"func.func @{name}({', '.join(arguments)}) {{\n{body}\nreturn\n}}\n"


# ----------------------------------------------------------------------------------------------
# Running
# ----------------------------------------------------------------------------------------------

NAMES = re.compile(r"%[A-Za-z0-9_]+")
ELEMENTWISE = {"add": np.add, "mul": np.multiply, "sub": np.subtract}


def extents(text: str) -> tuple[int, ...]:
    match = re.search(r"memref<((?:\d+x)*)f64", text)
    assert match, text
    return tuple(int(extent) for extent in match[1].split("x")[:-1])


def functions(text: str) -> Iterator[tuple[str, list[str], list[str]]]:
    """The name, argument names and body lines of each function."""
    for match in re.finditer(r"func\.func @(\w+)\((.*?)\)[^\n]*\{\n(.*?)\n\s*return", text, re.S):
        arguments = re.findall(r"(%\w+): memref", match[2])
        yield match[1], arguments, [line.strip() for line in match[3].splitlines()]


def run(lines: Sequence[str], values: dict[str, np.ndarray], constants: dict[str, int]) -> None:
    """Executes `lines` on `values`; fresh allocations hold NaN."""
    i = 0
    while i < len(lines):
        line = lines[i]
        i += 1
        names = NAMES.findall(line)
        if line.startswith("scf.for"):
            depth, start = 1, i
            while depth:
                depth += lines[i].endswith("{") - (lines[i] == "}")
                i += 1
            for _ in range(3):
                run(lines[start : i - 1], values, constants)
        elif match := re.match(r"%\w+ = arith.constant (\d+) : index", line):
            constants[names[0]] = int(match[1])
        elif " = arith.constant " in line:
            values[names[0]] = np.array(float(line.split("constant ")[1].split(" :")[0]))
        elif "memref.alloc()" in line:
            values[names[0]] = np.full(extents(line), np.nan)
        elif "memref.view" in line:
            result, arena, offset = names
            shape = extents(line.split(" to ")[1])
            begin = constants[offset]
            block = values[arena][begin : begin + 8 * math.prod(shape)]
            values[result] = block.view(np.float64).reshape(shape)
        elif "memref.subview" in line:
            values[names[0]] = values[names[1]][1:3, 1:4]
        elif re.search(r"memref\.(expand_shape|collapse_shape|reinterpret_cast)", line):
            shape = extents(re.split(r" into | to (?=memref)", line)[-1])
            assert values[names[1]].flags.c_contiguous
            values[names[0]] = values[names[1]].reshape(shape)
        elif line.startswith(("memref.copy", "linalg.fill")):
            values[names[1]][...] = values[names[0]]
        elif line.startswith("linalg.matmul"):
            values[names[2]][...] += values[names[0]] @ values[names[1]]
        elif line.startswith("linalg.transpose"):
            a, c = values[names[0]], values[names[1]]
            for row in range(a.shape[0]):  # element by element, as the loops do
                c[:, row] = a[row, :]
        elif match := re.match(r"linalg\.(add|mul|sub)", line):
            a, b, c = (values[name] for name in names[:3])
            c[...] = ELEMENTWISE[match[1]](a, b)
        else:
            raise AssertionError(f"cannot interpret: {line}")


# ----------------------------------------------------------------------------------------------
# Lifetimes
# ----------------------------------------------------------------------------------------------


@dataclass
class View:
    """A piece of the arena, and the lines that access it first and last."""

    offset: int
    size: int
    first: int
    last: int


def loop_ends(lines: Sequence[str]) -> Mapping[int, int]:
    """The closing line of each loop."""
    ends, stack = {}, []
    for i, line in enumerate(lines):
        if line.startswith("scf.for"):
            stack.append(i)
        elif line == "}":
            ends[stack.pop()] = i
    return ends


def lifetimes(lines: Sequence[str]) -> list[View]:
    """Views of the arena. What a loop accesses of a view from outside is live all along the loop."""
    ends = loop_ends(lines)
    constants: dict[str, int] = {}
    views: dict[str, View] = {}
    scope: dict[str, int] = {}  # the line of the definition
    root: dict[str, str] = {}
    for i, line in enumerate(lines):
        names = NAMES.findall(line)
        if match := re.match(r"%\w+ = arith.constant (\d+) : index", line):
            constants[names[0]] = int(match[1])
        elif "memref.view" in line:
            size = 8 * math.prod(extents(line.split(" to ")[1]))
            views[names[0]] = View(constants[names[2]], size, len(lines), -1)
            scope[names[0]] = i
            root[names[0]] = names[0]
        elif " = memref." in line:
            root[names[0]] = root.get(names[1], names[1])
        else:
            for name in names:
                base = root.get(name, name)
                if base not in views:
                    continue
                first = last = i
                for start, end in ends.items():
                    if start < i < end and not start < scope[base] < end:
                        first, last = min(first, start), max(last, end)
                views[base].first = min(views[base].first, first)
                views[base].last = max(views[base].last, last)
    return [view for view in views.values() if view.last >= 0]
