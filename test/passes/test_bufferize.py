# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""`grad-bufferize` on random programs that update parts of tensors whose old values live on."""

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
import pytest
from budget import by_hypothesis
from hypothesis import given
from hypothesis import strategies as st

from gradopt import _gradopt
from gradopt.compilation import compiler

T = TypeVar("T")
Array = np.ndarray
SHAPES = ((4, 4), (2, 4), (2, 2), (16,), (1, 4))
RESULTS = 3
DEPTH = 2


def tensor(shape: Sequence[int]) -> str:
    return "tensor<" + "".join(f"{extent}x" for extent in shape) + "f64>"


Values = dict[str, Array]
Compute = Callable[[Values], Array]
Where = Callable[[Values], tuple[slice, slice]]


@dataclass
class Program:
    """Text that grows together with what NumPy computes for its values; or a block of one."""

    choices: Iterator[int]
    shapes: dict[str, tuple[int, ...]]
    names: Iterator[int] = field(default_factory=itertools.count)
    lines: list[str] = field(default_factory=list[str])
    steps: list[Callable[[Values], None]] = field(default_factory=list[Callable[[Values], None]])
    index: str | None = None
    place: str | None = None  # From 0 to 2, another one in each iteration.
    depth: int = 0

    def pick(self, options: Sequence[T]) -> T:
        return options[next(self.choices, 0) % len(options)]

    def value(self, shape: Sequence[int] | None = None) -> str:
        """A value of this shape, a recent one more often."""
        names = [n for n, s in self.shapes.items() if shape is None or s == tuple(shape)]
        return self.pick([*names, *names[-2:], *names[-1:]])

    def type(self, name: str) -> str:
        return tensor(self.shapes[name])

    def name(self, shape: tuple[int, ...]) -> str:
        name = f"%v{next(self.names)}"
        self.shapes[name] = shape
        return name

    def add(self, text: str, shape: tuple[int, ...], compute: Compute) -> str:
        name = self.name(shape)

        def step(values: Values) -> None:
            values[name] = compute(values)

        self.lines.append(f"{name} = {text}")
        self.steps.append(step)
        return name

    def run(self, values: Values) -> None:
        for step in self.steps:
            step(values)

    def destination(self, shape: Sequence[int]) -> str:
        """What an operation overwrites: nothing in particular, or a value that may live on."""
        if self.pick([0, 1]):
            return self.value(shape)
        name = f"%e{next(self.names)}"
        self.lines.append(f"{name} = tensor.empty() : {tensor(shape)}")
        return name

    # -- Single operations -------------------------------------------------------------------

    def elementwise(self) -> str:
        a = self.value()
        shape = self.shapes[a]
        return self.binary(a, self.value(shape), self.destination(shape))

    def binary(self, a: str, b: str, destination: str) -> str:
        t = self.type(a)
        name, function = self.pick([("add", np.add), ("sub", np.subtract), ("max", np.maximum)])
        text = f"linalg.{name} ins({a}, {b} : {t}, {t}) outs({destination} : {t}) -> {t}"
        return self.add(text, self.shapes[a], lambda values: function(values[a], values[b]))

    def fill(self) -> None:
        shape = self.pick(SHAPES)
        text = f"linalg.fill ins(%c : f64) outs({self.destination(shape)} : {tensor(shape)})"
        self.add(f"{text} -> {tensor(shape)}", shape, lambda _: np.full(shape, 0.5))

    def accumulate(self) -> None:
        a, b, c = self.value((4, 4)), self.value((4, 4)), self.value((4, 4))
        t = tensor((4, 4))
        text = f"linalg.matmul ins({a}, {b} : {t}, {t}) outs({c} : {t}) -> {t}"
        self.add(text, (4, 4), lambda values: values[c] + values[a] @ values[b])

    def mirror(self) -> None:
        """Reads another element than it writes, of its destination maybe."""
        a = self.value((4, 4))
        t = tensor((4, 4))
        text = f"linalg.transpose ins({a} : {t}) outs({self.destination((4, 4))} : {t})"
        self.add(f"{text} permutation = [1, 0]", (4, 4), lambda values: values[a].T)

    def gather(self) -> None:
        """Reads a tensor that is no operand."""
        a = self.value((4, 4))
        t = tensor((4, 4))
        text = f"""linalg.generic {{indexing_maps = [affine_map<(i, j) -> (i, j)>],
          iterator_types = ["parallel", "parallel"]}} outs({self.destination((4, 4))} : {t}) {{
        ^bb0(%out: f64):
          %i = linalg.index 0 : index
          %k = arith.subi %c3, %i : index
          %j = linalg.index 1 : index
          %x = tensor.extract {a}[%k, %j] : {t}
          linalg.yield %x : f64
        }} -> {t}"""
        self.add(text, (4, 4), lambda values: values[a][::-1])

    def window(self) -> tuple[str, Where, tuple[int, int]]:
        """A part of a square array: where it is, and of which shape; in a loop, it may move."""
        shape = self.pick([(2, 4), (2, 2), (1, 4)])
        row, column = self.pick([0, 1, 2]), self.pick([0, 1, 2]) if shape[1] == 2 else 0
        place, offset = self.place, str(row)
        if place and self.pick([0, 1, 1]):
            row %= 4 - 2 - shape[0] + 1  # What is left behind the last place.
            offset = f"%r{next(self.names)}"
            self.lines.append(f"{offset} = arith.addi {place}, %c{row} : index")
        else:
            place = None

        def where(values: Values) -> tuple[slice, slice]:
            i = row + (int(values[place]) if place else 0)
            return slice(i, i + shape[0]), slice(column, column + shape[1])

        return f"[{offset}, {column}] [{shape[0]}, {shape[1]}] [1, 1]", where, shape

    def take(self) -> str:
        a = self.value((4, 4))
        text, where, shape = self.window()
        types = f"{self.type(a)} to {tensor(shape)}"
        return self.add(
            f"tensor.extract_slice {a}{text} : {types}",
            shape,
            lambda values: values[a][where(values)],
        )

    def insert(self, part: str, whole: str, text: str, where: Where) -> str:
        def compute(values: Values) -> Array:
            result = values[whole].copy()
            result[where(values)] = values[part]
            return result

        types = f"{self.type(part)} into {self.type(whole)}"
        text = f"tensor.insert_slice {part} into {whole}{text} : {types}"
        return self.add(text, self.shapes[whole], compute)

    def put(self) -> None:
        a = self.value((4, 4))
        text, where, shape = self.window()
        self.insert(self.value(shape), a, text, where)

    def update_part(self) -> None:
        """Computes a part in place, with or without something between."""
        a = self.value((4, 4))
        text, where, shape = self.window()
        types = f"{self.type(a)} to {tensor(shape)}"
        part = self.add(
            f"tensor.extract_slice {a}{text} : {types}",
            shape,
            lambda values: values[a][where(values)],
        )
        new = self.binary(part, self.value(shape), part)
        if self.pick([0, 0, 1]):
            self.step()
        self.insert(new, a, text, where)

    def overwrite_part(self) -> None:
        """Overwrites a part whose old value is read later."""
        part = self.take()
        self.put()
        self.binary(part, self.value(self.shapes[part]), self.destination(self.shapes[part]))

    def reshape(self) -> None:
        a = self.value(self.pick([(4, 4), (16,)]))
        old = self.shapes[a]
        new = (16,) if old == (4, 4) else (4, 4)
        op = "collapse_shape" if new == (16,) else "expand_shape"
        sizes = "" if new == (16,) else " output_shape [4, 4]"
        types = f"{tensor(old)} into {tensor(new)}"
        text = f"tensor.{op} {a} [[0, 1]]{sizes} : {types}"
        self.add(text, new, lambda values: values[a].reshape(new))

    # -- Loops and branches ------------------------------------------------------------------

    def rows(self) -> None:
        """Copies rows of one value into another one, which may be the same."""
        a, b = self.value((4, 4)), self.value((4, 4))
        t, row = tensor((4, 4)), tensor((1, 4))
        carried = self.pick([0, 1])

        def compute(values: Values) -> Array:
            result = values[a].copy()
            for i in range(4):
                result[i] = (result if carried else values[b])[3 - i]
            return result

        source = "%acc" if carried else b
        text = f"""scf.for %i = %c0 to %c4 step %c1 iter_args(%acc = {a}) -> ({t}) {{
          %k = arith.subi %c3, %i : index
          %row = tensor.extract_slice {source}[%k, 0] [1, 4] [1, 1] : {t} to {row}
          %new = tensor.insert_slice %row into %acc[%i, 0] [1, 4] [1, 1] : {row} into {t}
          scf.yield %new : {t}
        }}"""
        self.add(text, (4, 4), compute)

    def block(self, arguments: Sequence[str] = (), index: str | None = None) -> "Program":
        """A few steps that see the values so far."""
        inner = Program(
            self.choices, dict(self.shapes), self.names, index=index or self.index,
            place=self.place, depth=self.depth + 1,
        )  # fmt: skip
        for argument in arguments:  # Seen last, they are used more often.
            inner.shapes[argument] = inner.shapes.pop(argument)
        if index:
            inner.follow(index)
        for _ in range(self.pick([0, 1, 2, 3])):
            inner.step()
        return inner

    def follow(self, index: str) -> None:
        """Lets windows move with the index of a loop."""
        place = self.place = f"%p{next(self.names)}"
        self.lines.append(f"{place} = arith.minui {index}, %c2 : index")
        self.steps.append(
            lambda values: values.update({place: np.array(min(int(values[index]), 2))})
        )

    def outputs(self, block: "Program", shapes: Sequence[tuple[int, ...]]) -> list[str]:
        return [block.value(shape) for shape in shapes]

    def results(
        self,
        text: str,
        shapes: Sequence[tuple[int, ...]],
        compute: Callable[[Values], Sequence[Array]],
        extra: str | None = None,
    ) -> None:
        names = [self.name(shape) for shape in shapes]

        def step(values: Values) -> None:
            values.update(zip(names, compute(values), strict=True))

        self.lines.append(f"{', '.join([extra, *names] if extra else names)} = {text}")
        self.steps.append(step)

    def carried(self) -> tuple[list[str], list[tuple[int, ...]], list[str], str]:
        """What a loop begins with, of which shapes and types, and names for it inside."""
        begins = [self.value() for _ in range(self.pick([1, 2, 3]))]
        shapes = [self.shapes[begin] for begin in begins]
        return begins, shapes, [self.name(s) for s in shapes], ", ".join(map(tensor, shapes))

    def forget(self, names: Sequence[str]) -> None:
        for name in names:
            del self.shapes[name]

    def for_loop(self) -> None:
        begins, shapes, arguments, types = self.carried()
        index, trips = f"%i{next(self.names)}", self.pick([0, 1, 2, 3])
        body = self.block(arguments, index)
        yielded = self.outputs(body, shapes)
        self.forget(arguments)

        def compute(values: Values) -> list[Array]:
            now = [values[begin] for begin in begins]
            for i in range(trips):
                inside = {**values, index: np.array(i), **dict(zip(arguments, now, strict=True))}
                body.run(inside)
                now = [inside[name] for name in yielded]
            return now

        inits = ", ".join(f"{a} = {b}" for a, b in zip(arguments, begins, strict=True))
        text = f"""scf.for {index} = %c0 to %c{trips} step %c1 iter_args({inits}) -> ({types}) {{
          {body.joined()}
          scf.yield {", ".join(yielded)} : {types}
        }}"""
        self.results(text, shapes, compute)

    def while_loop(self) -> None:
        begins, shapes, before, types = self.carried()
        after = [self.name(shape) for shape in shapes]
        index, later, trips = f"%i{next(self.names)}", f"%i{next(self.names)}", self.pick([1, 2, 3])
        self.forget(after)
        test = self.block(before, index)
        passed = self.outputs(test, shapes)
        self.forget(before)
        self.shapes.update(zip(after, shapes, strict=True))
        body = self.block(after, later)
        yielded = self.outputs(body, shapes)
        self.forget(after)

        def compute(values: Values) -> list[Array]:
            now = [values[begin] for begin in begins]
            for i in itertools.count():
                inside = {**values, index: np.array(i), **dict(zip(before, now, strict=True))}
                test.run(inside)
                now = [inside[name] for name in passed]
                if i == trips:
                    break
                inside = {**values, later: np.array(i), **dict(zip(after, now, strict=True))}
                body.run(inside)
                now = [inside[name] for name in yielded]
            return now

        inits = ", ".join(f"{a} = {b}" for a, b in zip(before, begins, strict=True))
        names = ", ".join(f"{name}: {tensor(s)}" for name, s in zip(after, shapes, strict=True))
        go, count = f"%g{next(self.names)}", f"%i{next(self.names)}"
        text = f"""scf.while ({index} = %c0, {inits}) : (index, {types}) -> (index, {types}) {{
          {test.joined()}
          {go} = arith.cmpi slt, {index}, %c{trips} : index
          scf.condition({go}) {index}, {", ".join(passed)} : index, {types}
        }} do {{
        ^bb0({later}: index, {names}):
          {body.joined()}
          {count} = arith.addi {later}, %c1 : index
          scf.yield {count}, {", ".join(yielded)} : index, {types}
        }}"""
        self.results(text, shapes, compute, extra=f"%i{next(self.names)}")

    def branch(self) -> None:
        """Takes a way that depends on an element of an argument; in a loop, on its index."""
        shapes = [self.pick(SHAPES) for _ in range(self.pick([1, 2]))]
        types = ", ".join(map(tensor, shapes))
        ways = [self.block() for _ in range(self.pick([2, 2, 3]))]
        yielded = [self.outputs(way, shapes) for way in ways]
        row, column = self.index or "%c1", self.pick([0, 1, 3])
        element, k, found, rest = (f"%b{next(self.names)}" for _ in range(4))
        self.lines.append(
            f"{element} = tensor.extract %a0[{row}, %c{column}] : {tensor((4, 4))}\n"
            f"{k} = arith.fptosi {element} : f64 to i64\n"
            f"{found} = arith.index_cast {k} : i64 to index\n"
            f"{rest} = arith.remui {found}, %c{len(ways)} : index"
        )

        def compute(values: Values) -> list[Array]:
            i = int(values[row]) if self.index else 1
            which = int(values["%a0"][i, column]) % len(ways)
            inside = dict(values)
            ways[which].run(inside)
            return [inside[name] for name in yielded[which]]

        bodies = [
            f"{{\n{way.joined()}\nscf.yield {', '.join(names)} : {types}\n}}"
            for way, names in zip(ways, yielded, strict=True)
        ]
        if len(ways) == 2:
            test = f"%b{next(self.names)}"
            self.lines.append(f"{test} = arith.cmpi eq, {rest}, %c0 : index")
            text = f"scf.if {test} -> ({types}) {bodies[0]} else {bodies[1]}"
        else:
            cases = f"case 0 {bodies[0]}\ncase 1 {bodies[1]}\ndefault {bodies[2]}"
            text = f"scf.index_switch {rest} -> {types}\n{cases}"
        self.results(text, shapes, compute)

    def step(self) -> None:
        kinds = [
            (2, self.elementwise),
            (1, self.fill),
            (1, self.accumulate),
            (1, self.mirror),
            (1, self.gather),
            (2, self.take),
            (2, self.put),
            (2, self.update_part),
            (1, self.overwrite_part),
            (1, self.reshape),
            (1, self.rows),
        ]
        if self.depth < DEPTH:
            kinds += [(1, self.for_loop), (1, self.while_loop), (2, self.branch)]
        self.pick([step for weight, step in kinds for _ in range(weight)])()

    def joined(self) -> str:
        return "\n".join(self.lines)

    def text(self, results: Sequence[str]) -> str:
        arguments = ", ".join(f"%a{i}: {tensor(shape)}" for i, shape in enumerate(SHAPES))
        types = ", ".join(self.type(result) for result in results)
        constants = [f"%c{i} = arith.constant {i} : index" for i in range(5)]
        body = "\n".join(["%c = arith.constant 0.5 : f64", *constants, *self.lines])
        end = f"return {', '.join(results)} : {types}"
        return f"func.func @main({arguments}) -> ({types}) {{\n{body}\n{end}\n}}"


def run(text: str, arguments: Sequence[Array], results: Sequence[Array]) -> tuple[Array, ...]:
    done = compiler.compile_program(compiler.Program(text, "main"), "object", source="linalg")

    def leaves(arrays: Sequence[Array]) -> list[tuple[np.dtype, tuple[int, ...]]]:
        return [(array.dtype, array.shape) for array in arrays]

    return _gradopt.Executable(
        done.object_code, leaves(arguments), leaves(results), done.arena_bytes
    )(*arguments)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@by_hypothesis(60)
@given(st.lists(st.integers(0, 1 << 16), min_size=30, max_size=200))
def test_random_programs(choices: list[int]) -> None:
    values = {
        f"%a{i}": np.arange(float(np.prod(shape))).reshape(shape) / 2 - i
        for i, shape in enumerate(SHAPES)
    }
    arguments = list(values.values())
    before = [argument.copy() for argument in arguments]
    program = Program(itertools.chain(choices), {n: value.shape for n, value in values.items()})
    while len(program.lines) < len(choices) // 8:
        program.step()
    names = list(program.shapes)
    results = [names[-1], *(program.pick(names) for _ in range(RESULTS - 1))]
    program.run(values)
    expected = [values[name] for name in results]
    text = program.text(results)
    for got, wanted in zip(run(text, arguments, expected), expected, strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-13, err_msg=text)
    for argument, old in zip(arguments, before, strict=True):
        np.testing.assert_array_equal(argument, old)
