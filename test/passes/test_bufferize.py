# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""`grad-bufferize` on random programs that update parts of tensors whose old values live on."""

import itertools
from collections.abc import Iterator, Sequence
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
SHAPES = ((4, 4), (2, 4), (2, 2), (16,))
RESULTS = 3


def tensor(shape: Sequence[int]) -> str:
    return "tensor<" + "".join(f"{extent}x" for extent in shape) + "f64>"


@dataclass
class Program:
    """Text that grows together with the arrays that NumPy computes for its values."""

    choices: Iterator[int]
    lines: list[str] = field(default_factory=list[str])
    values: dict[str, Array] = field(default_factory=dict[str, Array])

    def pick(self, options: Sequence[T]) -> T:
        return options[next(self.choices, 0) % len(options)]

    def value(self, shape: Sequence[int] | None = None) -> str:
        """A value of this shape, a recent one more often."""
        names = [n for n, v in self.values.items() if shape is None or v.shape == tuple(shape)]
        return self.pick([*names, *names[-2:], *names[-1:]])

    def type(self, name: str) -> str:
        return tensor(self.values[name].shape)

    def add(self, text: str, result: Array) -> str:
        name = f"%v{len(self.values)}"
        self.lines.append(f"{name} = {text}")
        self.values[name] = result
        return name

    def destination(self, shape: Sequence[int]) -> str:
        """What an operation overwrites: nothing in particular, or a value that may live on."""
        if self.pick([0, 1]):
            return self.value(shape)
        name = f"%e{len(self.lines)}"
        self.lines.append(f"{name} = tensor.empty() : {tensor(shape)}")
        return name

    def elementwise(self) -> str:
        a = self.value()
        shape = self.values[a].shape
        return self.binary(a, self.value(shape), self.destination(shape))

    def binary(self, a: str, b: str, destination: str) -> str:
        t = self.type(a)
        name, function = self.pick([("add", np.add), ("sub", np.subtract), ("max", np.maximum)])
        text = f"linalg.{name} ins({a}, {b} : {t}, {t}) outs({destination} : {t}) -> {t}"
        return self.add(text, function(self.values[a], self.values[b]))

    def fill(self) -> None:
        shape = self.pick(SHAPES)
        text = f"linalg.fill ins(%c : f64) outs({self.destination(shape)} : {tensor(shape)})"
        self.add(f"{text} -> {tensor(shape)}", np.full(shape, 0.5))

    def accumulate(self) -> None:
        a, b, c = self.value((4, 4)), self.value((4, 4)), self.value((4, 4))
        t = tensor((4, 4))
        text = f"linalg.matmul ins({a}, {b} : {t}, {t}) outs({c} : {t}) -> {t}"
        self.add(text, self.values[c] + self.values[a] @ self.values[b])

    def mirror(self) -> None:
        """Reads another element than it writes, of its destination maybe."""
        a = self.value((4, 4))
        t = tensor((4, 4))
        text = f"linalg.transpose ins({a} : {t}) outs({self.destination((4, 4))} : {t})"
        self.add(f"{text} permutation = [1, 0]", self.values[a].T)

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
        self.add(text, self.values[a][::-1])

    def window(self, outer: str) -> tuple[str, tuple[slice, slice], tuple[int, int]]:
        shape = self.pick([(2, 4), (2, 2)])
        i, j = self.pick([0, 1, 2]), self.pick([0, 1, 2]) if shape[1] == 2 else 0
        text = f"[{i}, {j}] [{shape[0]}, {shape[1]}] [1, 1]"
        return text, (slice(i, i + shape[0]), slice(j, j + shape[1])), shape

    def take(self) -> None:
        a = self.value((4, 4))
        text, where, shape = self.window(a)
        types = f"{self.type(a)} to {tensor(shape)}"
        self.add(f"tensor.extract_slice {a}{text} : {types}", self.values[a][where])

    def insert(self, part: str, whole: str, text: str, where: tuple[slice, slice]) -> str:
        result = self.values[whole].copy()
        result[where] = self.values[part]
        types = f"{self.type(part)} into {self.type(whole)}"
        return self.add(f"tensor.insert_slice {part} into {whole}{text} : {types}", result)

    def put(self) -> None:
        a = self.value((4, 4))
        text, where, shape = self.window(a)
        self.insert(self.value(shape), a, text, where)

    def update_part(self) -> None:
        """Computes a part in place, with or without something between."""
        a = self.value((4, 4))
        text, where, shape = self.window(a)
        types = f"{self.type(a)} to {tensor(shape)}"
        part = self.add(f"tensor.extract_slice {a}{text} : {types}", self.values[a][where])
        new = self.binary(part, self.value(shape), part)
        if self.pick([0, 0, 1]):
            self.step()
        self.insert(new, a, text, where)

    def reshape(self) -> None:
        a = self.value(self.pick([(4, 4), (16,)]))
        old = self.values[a].shape
        new = (16,) if old == (4, 4) else (4, 4)
        op = "collapse_shape" if new == (16,) else "expand_shape"
        sizes = "" if new == (16,) else " output_shape [4, 4]"
        types = f"{tensor(old)} into {tensor(new)}"
        self.add(f"tensor.{op} {a} [[0, 1]]{sizes} : {types}", self.values[a].reshape(new))

    def loop(self) -> None:
        """Copies rows of one value into another one, which may be the same."""
        a, b = self.value((4, 4)), self.value((4, 4))
        t, row = tensor((4, 4)), tensor((1, 4))
        result = self.values[a].copy()
        carried = self.pick([0, 1])
        for i in range(4):
            result[i] = (result if carried else self.values[b])[3 - i]
        source = "%acc" if carried else b
        text = f"""scf.for %i = %c0 to %c4 step %c1 iter_args(%acc = {a}) -> ({t}) {{
          %k = arith.subi %c3, %i : index
          %row = tensor.extract_slice {source}[%k, 0] [1, 4] [1, 1] : {t} to {row}
          %new = tensor.insert_slice %row into %acc[%i, 0] [1, 4] [1, 1] : {row} into {t}
          scf.yield %new : {t}
        }}"""
        self.add(text, result)

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
            (1, self.reshape),
            (1, self.loop),
        ]
        self.pick([step for weight, step in kinds for _ in range(weight)])()

    def text(self, results: Sequence[str]) -> str:
        arguments = ", ".join(f"%a{i}: {tensor(shape)}" for i, shape in enumerate(SHAPES))
        types = ", ".join(self.type(result) for result in results)
        constants = [f"%c{i} = arith.constant {i} : index" for i in (0, 1, 3, 4)]
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
@given(st.lists(st.integers(0, 1 << 16), min_size=30, max_size=160))
def test_random_programs(choices: list[int]) -> None:
    program = Program(itertools.chain(choices))
    for i, shape in enumerate(SHAPES):
        program.values[f"%a{i}"] = np.arange(float(np.prod(shape))).reshape(shape) / 8 - i
    arguments = list(program.values.values())
    before = [argument.copy() for argument in arguments]
    while len(program.lines) < len(choices) // 6:
        program.step()
    names = list(program.values)
    results = [names[-1], *(program.pick(names) for _ in range(RESULTS - 1))]
    expected = [program.values[name] for name in results]
    text = program.text(results)
    for got, wanted in zip(run(text, arguments, expected), expected, strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-13, err_msg=text)
    for argument, old in zip(arguments, before, strict=True):
        np.testing.assert_array_equal(argument, old)
