# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Random programs of loops, branches and `grad` ops, as MLIR text and as NumPy.

A generator writes each operation twice: a line of text, and a function that does the same to a
dictionary of NumPy values. Blocks are lists of such functions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

Values = dict[str, Any]
Step = Callable[[Values], None]
# A type is a shape of float64, "i64" for an integer scalar, "f64" for a number that is no tensor.
Type = Any

SCALAR, INTEGER = (), "i64"


def spell(type: Type) -> str:
    if type == "i64":
        return "tensor<i64>"
    return "tensor<" + "".join(f"{extent}x" for extent in type) + "f64>"


def spell_all(types: Sequence[Type]) -> str:
    return ", ".join(map(spell, types))


@dataclass
class Block:
    """Values that may be used, by type, and what the block does to them.

    Arrays that are updated in place have one current version of each type.
    """

    values: dict[str, Type]
    current: dict[Type, str] = field(default_factory=dict[Type, str])
    lines: list[str] = field(default_factory=list[str])
    steps: list[Step] = field(default_factory=list[Step])

    def run(self, values: Values) -> None:
        for step in self.steps:
            step(values)


# tanh(x y) + sign(i) / 8 of values of one type, with rules for both modes.
RULES = """
func.func private @{f}(%x: {T}, %y: {T}, %i: tensor<i64>) -> {T} {{
  %p = grad.multiply %x, %y : {T}
  %h = grad.tanh %p : {T}
  %b = grad.call @{f}_term(%i) : (tensor<i64>) -> {T}
  %r = grad.add %h, %b : {T}
  return %r : {T}
}}
func.func private @{f}_term(%i: tensor<i64>) -> {T} {{
  %s = grad.sign %i : tensor<i64>
  %c = grad.convert %s to f64 : tensor<i64>
  %e = grad.constant dense<0.125> : tensor<f64>
  %q = grad.multiply %c, %e : tensor<f64>
  %b = grad.broadcast %q, shape = {shape}, dimensions = [] : tensor<f64> -> {T}
  return %b : {T}
}}
func.func private @{f}_fwd(%x: {T}, %y: {T}, %i: tensor<i64>) -> ({T}, {T}, {T}, {T}) {{
  %p = grad.multiply %x, %y : {T}
  %h = grad.tanh %p : {T}
  %b = grad.call @{f}_term(%i) : (tensor<i64>) -> {T}
  %r = grad.add %h, %b : {T}
  return %r, %h, %x, %y : {T}, {T}, {T}, {T}
}}
func.func private @{f}_bwd(%h: {T}, %x: {T}, %y: {T}, %g: {T}, %i: tensor<i64>) -> ({T}, {T}) {{
  %one = grad.constant dense<1.0> : {T}
  %s = grad.multiply %h, %h : {T}
  %d = grad.subtract %one, %s : {T}
  %e = grad.multiply %g, %d : {T}
  %gx = grad.multiply %e, %y : {T}
  %gy = grad.multiply %e, %x : {T}
  return %gx, %gy : {T}, {T}
}}
func.func private @{f}_jvp(%x: {T}, %y: {T}, %tx: {T}, %ty: {T}, %i: tensor<i64>) -> ({T}, {T}) {{
  %p = grad.multiply %x, %y : {T}
  %h = grad.tanh %p : {T}
  %b = grad.call @{f}_term(%i) : (tensor<i64>) -> {T}
  %r = grad.add %h, %b : {T}
  %one = grad.constant dense<1.0> : {T}
  %s = grad.multiply %h, %h : {T}
  %d = grad.subtract %one, %s : {T}
  %u = grad.multiply %tx, %y : {T}
  %v = grad.multiply %x, %ty : {T}
  %w = grad.add %u, %v : {T}
  %t = grad.multiply %w, %d : {T}
  return %r, %t : {T}, {T}
}}
"""


class Generator:
    """Writes a function @main on vectors and matrices of `size` rows and columns.

    With `rules`, it calls functions that bring their derivatives. With `in_place`, writes are to
    one vector and one matrix, which all loops and branches hand on.
    """

    def __init__(
        self, seed: int, size: int = 4, rules: bool = False, in_place: bool = False
    ) -> None:
        self.rng = np.random.default_rng(seed)
        self.rules, self.in_place = rules, in_place
        self.count = 0
        self.size = size
        self.vector, self.matrix = (size,), (size, size)
        self.types = (self.vector, self.matrix, SCALAR, INTEGER)
        self.arguments = (*self.types, self.matrix, self.vector)

    def name(self) -> str:
        self.count += 1
        return f"%v{self.count}"

    def integer(self, low: int, high: int) -> int:
        return int(self.rng.integers(low, high))

    def choose(self, options: Sequence[Any]) -> Any:
        return options[self.integer(0, len(options))]

    def pick(self, block: Block, type: Type) -> str:
        """A value of `type`, more likely a late one."""
        names = [n for n, t in block.values.items() if t == type]
        return names[max(self.integer(0, len(names)), self.integer(0, len(names)))]

    def target(self, block: Block, type: Type) -> str:
        """What to write to."""
        return block.current[type] if self.in_place else self.pick(block, type)

    def write(self, block: Block, text: str, type: Type, f: Callable[..., Any], *args: str) -> None:
        name = self.emit(block, text, type, f, *args)
        self.receive(block, (type,), (name,))

    def hand(self, block: Block, types: Sequence[Type]) -> list[str]:
        """Values of `types` for another block, the current versions of arrays among them."""
        names: list[str] = []
        for i, type in enumerate(types):
            is_current = type in block.current and type not in types[:i]
            names.append(block.current[type] if is_current else self.pick(block, type))
        return names

    def receive(self, block: Block, types: Sequence[Type], names: Sequence[str]) -> None:
        """Makes the first value of a type the current one."""
        if self.in_place:
            for type, name in reversed(list(zip(types, names, strict=True))):
                if type in (self.vector, self.matrix):
                    block.current[type] = name

    def emit(self, block: Block, text: str, type: Type, f: Callable[..., Any], *args: str) -> str:
        """Adds `%name = text`, where {0}, {1} ... are the names of `args`."""
        name = self.name()
        block.lines.append(f"{name} = {text.format(*args)}")

        def step(values: Values) -> None:
            values[name] = np.asarray(f(*(values[a] for a in args)))

        block.steps.append(step)
        block.values[name] = type
        return name

    # -- Operations on tensors ---------------------------------------------------------------

    def unary(self, block: Block) -> None:
        type = self.choose((self.vector, self.matrix, SCALAR))
        op, f = self.choose((("tanh", np.tanh), ("sin", np.sin), ("negative", np.negative)))
        x = self.pick(block, type)
        self.emit(block, f"grad.{op} {{0}} : {spell(type)}", type, f, x)

    def call_with_rules(self, block: Block) -> None:
        type = self.choose((self.vector, self.matrix, SCALAR))
        f, t = f"with_rules_{len(type)}", spell(type)
        kind = self.choose(("vjp = [@{f}_fwd, @{f}_bwd]", "jvp = @{f}_jvp", "both"))
        if kind == "both":
            kind = "vjp = [@{f}_fwd, @{f}_bwd] jvp = @{f}_jvp"
        x, y = self.pick(block, type), self.pick(block, type)
        text = f"grad.custom @{f}({{0}}, {{1}}) captures({{2}}) {kind.format(f=f)} : ({t}, {t}, tensor<i64>) -> {t}"

        def call(x: Any, y: Any, i: Any) -> Any:
            return np.tanh(x * y) + np.sign(i) / 8

        self.emit(block, text, type, call, x, y, self.pick(block, INTEGER))

    def binary(self, block: Block) -> None:
        type = self.choose(self.types)
        ops = (("add", np.add), ("subtract", np.subtract), ("maximum", np.maximum))
        op, f = self.choose(ops)
        x, y = self.pick(block, type), self.pick(block, type)
        z = self.emit(block, f"grad.{op} {{0}}, {{1}} : {spell(type)}", type, f, x, y)
        if type != INTEGER:  # Sums in loops would grow.
            self.emit(block, f"grad.tanh {{0}} : {spell(type)}", type, np.tanh, z)

    def broadcast(self, block: Block) -> str:
        type, dims = self.choose(((self.vector, "[]"), (self.matrix, "[]")))
        text = f"grad.broadcast {{0}}, shape = {list(type)}, dimensions = {dims} : tensor<f64> -> {spell(type)}"
        return self.emit(block, text, type, lambda x: np.full(type, x), self.pick(block, SCALAR))

    def reduce(self, block: Block) -> None:
        source, dims = self.choose(
            ((self.matrix, (0,)), (self.matrix, (1,)), (self.matrix, (0, 1)), (self.vector, (0,)))
        )
        result = self.vector if len(source) > len(dims) else SCALAR
        text = (
            f"grad.reduce_sum {{0}}, dimensions = {list(dims)} : {spell(source)} -> {spell(result)}"
        )
        x = self.pick(block, source)
        y = self.emit(block, text, result, lambda x: np.sum(x, axis=dims), x)
        self.emit(block, f"grad.tanh {{0}} : {spell(result)}", result, np.tanh, y)

    def product(self, block: Block) -> None:
        right = self.choose((self.vector, self.matrix))
        x, y = self.pick(block, self.matrix), self.pick(block, right)
        text = f"grad.dot_general {{0}}, {{1}}, batch = [] x [], contract = [1] x [0] : {spell(self.matrix)}, {spell(right)} -> {spell(right)}"
        z = self.emit(block, text, right, np.matmul, x, y)
        self.emit(block, f"grad.tanh {{0}} : {spell(right)}", right, np.tanh, z)

    def transpose(self, block: Block) -> None:
        text = f"grad.transpose {{0}}, permutation = [1, 0] : {spell(self.matrix)} -> {spell(self.matrix)}"
        self.emit(block, text, self.matrix, np.transpose, self.pick(block, self.matrix))

    def read_row(self, block: Block) -> None:
        x, i = self.pick(block, self.matrix), self.pick(block, INTEGER)
        zero = self.constant(block, 0)
        text = f"grad.dynamic_slice {{0}}[{{1}}, {{2}}], sizes = [1, {self.size}] : tensor<{self.size}x{self.size}xf64> -> tensor<1x{self.size}xf64>"
        row = self.emit(
            block,
            text,
            (1, self.size),
            lambda x, i, _: x[clamp(i, x.shape[0] - 1)][None],
            x,
            i,
            zero,
        )
        text = f"grad.reshape {{0}}, shape = [{self.size}] : tensor<1x{self.size}xf64> -> tensor<{self.size}xf64>"
        self.emit(block, text, self.vector, lambda x: x.reshape(-1), row)

    def write_row(self, block: Block) -> None:
        x = self.target(block, self.matrix)
        i, row = (self.pick(block, t) for t in (INTEGER, self.vector))
        self.replace_row(block, x, i, row)

    def replace_row(self, block: Block, x: str, i: str, row: str) -> None:
        zero = self.constant(block, 0)
        text = f"grad.reshape {{0}}, shape = [1, {self.size}] : tensor<{self.size}xf64> -> tensor<1x{self.size}xf64>"
        row = self.emit(block, text, (1, self.size), lambda x: x.reshape(1, -1), row)

        def write(x: Any, row: Any, i: Any, _: Any) -> Any:
            result = x.copy()
            result[clamp(i, x.shape[0] - 1)] = row[0]
            return result

        text = f"grad.dynamic_update_slice {{0}}, {{1}}[{{2}}, {{3}}] : tensor<{self.size}x{self.size}xf64>, tensor<1x{self.size}xf64>"
        self.write(block, text, self.matrix, write, x, row, i, zero)

    def read_element(self, block: Block) -> None:
        x, i = self.pick(block, self.vector), self.pick(block, INTEGER)
        text = f"grad.dynamic_slice {{0}}[{{1}}], sizes = [1] : tensor<{self.size}xf64> -> tensor<1xf64>"
        element = self.emit(block, text, (1,), lambda x, i: x[clamp(i, x.shape[0] - 1)][None], x, i)
        text = "grad.reshape {0}, shape = [] : tensor<1xf64> -> tensor<f64>"
        self.emit(block, text, SCALAR, lambda x: x.reshape(()), element)

    def write_element(self, block: Block) -> None:
        x = self.target(block, self.vector)
        i, v = (self.pick(block, t) for t in (INTEGER, SCALAR))
        self.replace_element(block, x, i, v)

    def replace_element(self, block: Block, x: str, i: str, v: str) -> None:
        text = "grad.reshape {0}, shape = [1] : tensor<f64> -> tensor<1xf64>"
        v = self.emit(block, text, (1,), lambda x: x.reshape(1), v)

        def write(x: Any, v: Any, i: Any) -> Any:
            result = x.copy()
            result[clamp(i, x.shape[0] - 1)] = v[0]
            return result

        text = f"grad.dynamic_update_slice {{0}}, {{1}}[{{2}}] : tensor<{self.size}xf64>, tensor<1xf64>"
        self.write(block, text, self.vector, write, x, v, i)

    def apply(self, block: Block) -> None:
        """Writes a part of one array that depends on all of both."""
        matrix, vector = block.current[self.matrix], block.current[self.vector]
        text = f"grad.dot_general {{0}}, {{1}}, batch = [] x [], contract = [1] x [0] : {spell(self.matrix)}, {spell(self.vector)} -> {spell(self.vector)}"
        y = self.emit(block, text, self.vector, np.matmul, matrix, vector)
        y = self.emit(block, f"grad.tanh {{0}} : {spell(self.vector)}", self.vector, np.tanh, y)
        if self.integer(0, 2):
            self.replace_row(block, matrix, self.pick(block, INTEGER), y)
        else:
            text = f"grad.reduce_sum {{0}}, dimensions = [0] : {spell(self.vector)} -> {spell(())}"
            total = self.emit(block, text, SCALAR, np.sum, y)
            total = self.emit(block, "grad.tanh {0} : tensor<f64>", SCALAR, np.tanh, total)
            self.replace_element(block, vector, self.pick(block, INTEGER), total)

    def shift(self, block: Block) -> None:
        """x[1:-1] = x[:-2] - y[2:], with y another value or x itself."""
        type = self.choose((self.vector, self.matrix))
        part = (self.size - 2, *type[1:])
        x, y = self.target(block, type), self.pick(block, type)

        def extract(value: str, begin: int) -> str:
            offsets, ones = [begin, 0][: len(type)], [1, 1][: len(type)]
            text = f"grad.slice {{0}}, offsets = {offsets}, sizes = {list(part)}, strides = {ones} : {spell(type)} -> {spell(part)}"
            return self.emit(block, text, part, lambda x: x[begin : begin + part[0]], value)

        a, b = extract(x, 0), extract(y, 2)
        c = self.emit(block, f"grad.subtract {{0}}, {{1}} : {spell(part)}", part, np.subtract, a, b)
        c = self.emit(block, f"grad.tanh {{0}} : {spell(part)}", part, np.tanh, c)

        def write(x: Any, c: Any) -> Any:
            result = x.copy()
            result[1:-1] = c
            return result

        offsets, ones = [1, 0][: len(type)], [1, 1][: len(type)]
        text = f"grad.update_slice {{0}}, {{1}}, offsets = {offsets}, strides = {ones} : {spell(type)}, {spell(part)}"
        self.write(block, text, type, write, x, c)

    def constant(self, block: Block, value: int) -> str:
        text = f"grad.constant dense<{value}> : tensor<i64>"
        return self.emit(block, text, INTEGER, lambda: np.int64(value))

    # -- Loops and branches ------------------------------------------------------------------

    def inner(self, block: Block, arguments: dict[str, Type], depth: int) -> Block:
        """A block in `block`, of up to five steps."""
        inner = Block({**block.values, **arguments}, dict(block.current))
        self.receive(inner, list(arguments.values()), list(arguments))
        for _ in range(self.integer(0, 6)):
            self.step(inner, depth + 1)
        return inner

    def carried(self) -> list[Type]:
        arrays = [self.vector, self.matrix] if self.in_place else []
        return arrays + [self.choose(self.types) for _ in range(self.integer(1, 5))]

    def for_loop(self, block: Block, depth: int) -> None:
        types = self.carried()
        inits = self.hand(block, types)
        args = [self.name() for _ in types]
        loop, index = self.name(), self.name()
        trips, begin, step = self.integer(0, 5), self.integer(0, 3), self.integer(1, 3)
        inner = Block({**block.values, **dict(zip(args, types, strict=True))})
        self.receive(inner, types, args)
        self.emit(inner, f"arith.index_cast {index} : index to i64", "f64", lambda i: i, index)
        number = self.emit(
            inner,
            "tensor.from_elements {0} : tensor<i64>",
            INTEGER,
            lambda i: np.int64(i),
            f"%v{self.count}",
        )
        inner.values[number] = INTEGER
        for _ in range(self.integer(0, 6)):
            self.step(inner, depth + 1)
        yields = self.hand(inner, types)
        bounds = []
        for bound in (begin, begin + trips * step, step):
            bounds.append(self.name())
            block.lines.append(f"{bounds[-1]} = arith.constant {bound} : index")
        pairs = ", ".join(f"{a} = {i}" for a, i in zip(args, inits, strict=True))
        block.lines += [
            f"{loop}:{len(types)} = scf.for {index} = {bounds[0]} to {bounds[1]} step {bounds[2]} "
            f"iter_args({pairs}) -> ({spell_all(types)}) {{",
            *inner.lines,
            f"scf.yield {', '.join(yields)} : {spell_all(types)}",
            "}",
        ]

        def run(values: Values) -> None:
            state = [values[i] for i in inits]
            for i in range(begin, begin + trips * step, step):
                scope = {**values, **dict(zip(args, state, strict=True)), index: np.int64(i)}
                inner.run(scope)
                state = [scope[y] for y in yields]
            for k, value in enumerate(state):
                values[f"{loop}#{k}"] = value

        self.finish(block, loop, types, run)

    def while_loop(self, block: Block, depth: int) -> None:
        """Counts up to a limit; the condition may pass on more, fewer and other values."""
        types = [INTEGER, *self.carried()]
        inits = [self.constant(block, 0), *self.hand(block, types[1:])]
        args = [self.name() for _ in types]
        before = self.inner(block, dict(zip(args, types, strict=True)), depth)
        limit = self.constant(before, self.integer(0, 4))
        less = self.emit(before, "grad.less {0}, {1} : tensor<i64>", "i1", np.less, args[0], limit)
        flag = self.emit(before, "tensor.extract {0}[] : tensor<i1>", "flag", bool, less)
        passed_types = [INTEGER, *self.carried()]
        passed = [args[0], *self.hand(before, passed_types[1:])]
        after_args = [self.name() for _ in passed]
        after = self.inner(block, dict(zip(after_args, passed_types, strict=True)), depth)
        one = self.constant(after, 1)
        following = self.emit(
            after, "grad.add {0}, {1} : tensor<i64>", INTEGER, np.add, after_args[0], one
        )
        yields = [following, *self.hand(after, types[1:])]
        loop = self.name()
        pairs = ", ".join(f"{a} = {i}" for a, i in zip(args, inits, strict=True))
        bounds = ", ".join(
            f"{a}: {spell(t)}" for a, t in zip(after_args, passed_types, strict=True)
        )
        block.lines += [
            f"{loop}:{len(passed)} = scf.while ({pairs}) : "
            f"({spell_all(types)}) -> ({spell_all(passed_types)}) {{",
            *before.lines,
            f"scf.condition({flag}) {', '.join(passed)} : {spell_all(passed_types)}",
            "} do {",
            f"^bb0({bounds}):",
            *after.lines,
            f"scf.yield {', '.join(yields)} : {spell_all(types)}",
            "}",
        ]

        def run(values: Values) -> None:
            state = [values[i] for i in inits]
            while True:
                scope = {**values, **dict(zip(args, state, strict=True))}
                before.run(scope)
                handed = [scope[p] for p in passed]
                if not scope[flag]:
                    break
                scope = {**values, **dict(zip(after_args, handed, strict=True))}
                after.run(scope)
                state = [scope[y] for y in yields]
            for k, value in enumerate(handed):
                values[f"{loop}#{k}"] = value

        self.finish(block, loop, passed_types, run)

    def branch(self, block: Block, depth: int) -> None:
        x, y = self.pick(block, SCALAR), self.pick(block, SCALAR)
        less = self.emit(block, "grad.less {0}, {1} : tensor<f64>", "i1", np.less, x, y)
        flag = self.emit(block, "tensor.extract {0}[] : tensor<i1>", "flag", bool, less)
        types = self.carried()
        regions = [self.inner(block, {}, depth) for _ in range(2)]
        yields = [self.hand(region, types) for region in regions]
        branch = self.name()
        ends = [f"scf.yield {', '.join(y)} : {spell_all(types)}" for y in yields]
        block.lines += [
            f"{branch}:{len(types)} = scf.if {flag} -> ({spell_all(types)}) {{",
            *regions[0].lines,
            ends[0],
            "} else {",
            *regions[1].lines,
            ends[1],
            "}",
        ]
        self.finish(
            block, branch, types, choice(lambda v: 0 if v[flag] else 1, branch, regions, yields)
        )

    def switch(self, block: Block, depth: int) -> None:
        i = self.pick(block, INTEGER)
        word = self.emit(block, "tensor.extract {0}[] : tensor<i64>", "word", lambda i: i, i)
        case = self.emit(block, "arith.index_cast {0} : i64 to index", "index", lambda i: i, word)
        types = self.carried()
        regions = [self.inner(block, {}, depth) for _ in range(3)]
        yields = [self.hand(region, types) for region in regions]
        switch = self.name()
        block.lines.append(f"{switch}:{len(types)} = scf.index_switch {case} -> {spell_all(types)}")
        for label, region, names in zip(
            ("case 0", "case 2", "default"), regions, yields, strict=True
        ):
            end = f"scf.yield {', '.join(names)} : {spell_all(types)}"
            block.lines += [f"{label} {{", *region.lines, end, "}"]

        def which(values: Values) -> int:
            return {0: 0, 2: 1}.get(int(values[case]), 2)

        self.finish(block, switch, types, choice(which, switch, regions, yields))

    def finish(self, block: Block, name: str, types: Sequence[Type], run: Step) -> None:
        block.steps.append(run)
        for k, type in enumerate(types):
            block.values[f"{name}#{k}"] = type
        self.receive(block, types, [f"{name}#{k}" for k in range(len(types))])

    def step(self, block: Block, depth: int) -> None:
        simple = [
            self.unary,
            self.binary,
            self.binary,
            self.broadcast,
            self.reduce,
            self.product,
            self.transpose,
            self.read_row,
            self.write_row,
            self.read_element,
            self.write_element,
            self.shift,
            *([self.call_with_rules] * (4 if self.rules else 0)),
            *([self.apply] * (9 if self.in_place else 0)),
        ]
        nested = [self.for_loop, self.for_loop, self.while_loop, self.branch, self.switch]
        if depth < 3 and self.integer(0, 3) == 0:
            self.choose(nested)(block, depth)
        else:
            self.choose(simple)(block)

    def program(self, steps: int) -> tuple[str, Callable[..., list[Any]]]:
        arguments = {f"%a{i}": type for i, type in enumerate(self.arguments)}
        body = Block(dict(arguments))
        self.receive(body, self.arguments, list(arguments))
        for _ in range(steps):
            self.step(body, 0)
        results = [self.pick(body, type) for type in self.types]
        head = ", ".join(f"{name}: {spell(type)}" for name, type in arguments.items())
        text = "\n".join(
            [
                f"func.func @main({head}) -> ({spell_all(self.types)}) {{",
                *body.lines,
                f"return {', '.join(results)} : {spell_all(self.types)}",
                "}",
            ]
        )
        if self.rules:
            for type in (self.vector, self.matrix, SCALAR):
                f = f"with_rules_{len(type)}"
                text += RULES.format(f=f, T=spell(type), shape=list(type))

        def run(*values: Any) -> list[Any]:
            scope = dict(zip(arguments, values, strict=True))
            body.run(scope)
            return [scope[name] for name in results]

        return text, run


def clamp(i: Any, last: int) -> int:
    return int(np.clip(i, 0, last))


def choice(
    which: Callable[[Values], int],
    name: str,
    regions: Sequence[Block],
    yields: Sequence[Sequence[str]],
) -> Step:
    """Runs the region that `which` tells."""

    def run(values: Values) -> None:
        chosen = which(values)
        scope = dict(values)
        regions[chosen].run(scope)
        for k, name_of in enumerate(yields[chosen]):
            values[f"{name}#{k}"] = scope[name_of]

    return run


def inputs(types: Sequence[Type], seed: int) -> list[Any]:
    rng = np.random.default_rng(seed)
    return [
        np.int64(rng.integers(0, 4)) if type == INTEGER else rng.uniform(-1, 1, type)
        for type in types
    ]
