# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Derivatives of random structured ops: any maps, bodies and reductions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from budget import by_seed, generator
from upstream_program import check_derivatives

# An index of an operand: the sum of dimensions times factors.
Index = tuple[tuple[int, int], ...]
Body = Callable[[list[Any]], Any]

UNARY: dict[str, Callable[[Any], Any]] = {
    "math.sin": np.sin,
    "math.tanh": np.tanh,
    "arith.negf": np.negative,
    "math.cos": np.cos,
}
BINARY: dict[str, Callable[[Any, Any], Any]] = {
    "arith.addf": np.add,
    "arith.subf": np.subtract,
    "arith.mulf": np.multiply,
}


class StructuredOp:
    """A linalg.generic, and what it computes."""

    def __init__(self, seed: int) -> None:
        self.rng = generator(seed, 71)
        self.sizes = [int(n) for n in self.rng.integers(1, 4, size=self.rng.integers(1, 4))]
        self.rank = len(self.sizes)
        kept = self.subset()
        self.result: list[Index] = [((d, 1),) for d in self.rng.permutation(kept)]
        self.reduced = [d for d in range(self.rank) if d not in kept]
        self.operands = [self.random_map() for _ in range(self.rng.integers(1, 4))]
        # Every dimension is measured by some operand.
        plain = {
            i[0][0]
            for m in (*self.operands, self.result)
            for i in m
            if i[0][1:] == (1,) and len(i) == 1
        }
        missing = [d for d in range(self.rank) if d not in plain]
        if missing:
            self.operands.append([((d, 1),) for d in missing])
        self.shapes = [self.shape_of(m) for m in (*self.operands, self.result)]
        self.lines: list[str] = []
        self.combine = self.rng.choice(["sum", "sum", "maximum", "recurrence"])
        self.body = self.random_body()

    def subset(self) -> list[int]:
        return [d for d in range(self.rank) if self.rng.random() < 0.6]

    def random_map(self) -> list[Index]:
        """Dimensions, in any order, some of them shifted by others or left out."""
        indices: list[Index] = []
        for d in self.rng.permutation(self.subset()):
            kind = self.rng.random()
            if kind < 0.7:
                indices.append(((int(d), 1),))
            else:
                other = int(self.rng.integers(self.rank))
                indices.append(((int(d), 1 if kind < 0.85 else 2), (other, 1)))
        return indices

    def shape_of(self, indices: list[Index]) -> tuple[int, ...]:
        return tuple(sum(f * (self.sizes[d] - 1) for d, f in index) + 1 for index in indices)

    def random_body(self) -> Body:
        """Lines of scalar code over %a0, %a1 ...; returns it as a function."""
        steps: list[Callable[[list[Any]], Any]] = []
        names = [f"%a{i}" for i in range(len(self.operands))]
        for _ in range(self.rng.integers(2, 6)):
            new = f"%v{len(steps)}"
            i, j = (int(k) for k in self.rng.integers(len(names), size=2))
            if self.rng.random() < 0.4:
                op = str(self.rng.choice(list(UNARY)))
                self.lines.append(f"{new} = {op} {names[i]} : f64")
                steps.append(lambda v, f=UNARY[op], i=i: f(v[i]))
            elif self.rng.random() < 0.2:
                self.lines.append(f"{new}c = arith.cmpf olt, {names[i]}, {names[j]} : f64")
                self.lines.append(f"{new} = arith.select {new}c, {names[i]}, {names[j]} : f64")
                steps.append(lambda v, i=i, j=j: v[i] if v[i] < v[j] else v[j])
            else:
                op = str(self.rng.choice(list(BINARY)))
                self.lines.append(f"{new} = {op} {names[i]}, {names[j]} : f64")
                steps.append(lambda v, f=BINARY[op], i=i, j=j: f(v[i], v[j]))
            names.append(new)
        # Bounded, so that powers of powers stay in range.
        self.lines.append(f"%last = math.tanh {names[-1]} : f64")

        def run(values: list[Any]) -> Any:
            values = list(values)
            for step in steps:
                values.append(step(values))
            return np.tanh(values[-1])

        return run

    def after(self, before: Any, term: Any) -> Any:
        if not self.reduced:
            return term * before
        if self.combine == "sum":
            return before + term
        if self.combine == "maximum":
            return max(before, term)
        return np.sin(before) * term

    def text(self) -> str:
        def spell_map(indices: list[Index]) -> str:
            dims = ", ".join(f"d{d}" for d in range(self.rank))
            sums = (" + ".join(f"d{d} * {f}" for d, f in index) for index in indices)
            return f"affine_map<({dims}) -> ({', '.join(sums)})>"

        def spell(shape: tuple[int, ...]) -> str:
            return f"tensor<{''.join(f'{n}x' for n in shape)}f64>"

        types = [spell(shape) for shape in self.shapes]
        names = [f"%x{i}" for i in range(len(types))]
        head = ", ".join(f"{n}: {t}" for n, t in zip(names, types, strict=True))
        kinds = ", ".join(
            '"reduction"' if d in self.reduced else '"parallel"' for d in range(self.rank)
        )
        arguments = ", ".join([*(f"%a{i}: f64" for i in range(len(self.operands))), "%o: f64"])
        lines = list(self.lines)
        if not self.reduced:
            lines.append("%next = arith.mulf %last, %o : f64")
        elif self.combine == "sum":
            lines.append("%next = arith.addf %o, %last : f64")
        elif self.combine == "maximum":
            lines.append("%next = arith.maximumf %o, %last : f64")
        else:
            lines += ["%s = math.sin %o : f64", "%next = arith.mulf %s, %last : f64"]
        maps = ", ".join(map(spell_map, (*self.operands, self.result)))
        body = "\n    ".join(lines)
        return f"""
func.func @f({head}) -> {types[-1]} {{
  %0 = linalg.generic {{indexing_maps = [{maps}], iterator_types = [{kinds}]}}
    ins({", ".join(names[:-1])} : {", ".join(types[:-1])}) outs({names[-1]} : {types[-1]}) {{
  ^bb0({arguments}):
    {body}
    linalg.yield %next : f64
  }} -> {types[-1]}
  return %0 : {types[-1]}
}}"""

    def run(self, *arguments: Any) -> Any:
        result = np.array(arguments[-1])
        for position in np.ndindex(*self.sizes):

            def at(indices: list[Index], position: tuple[int, ...] = position) -> tuple[int, ...]:
                return tuple(sum(f * position[d] for d, f in index) for index in indices)

            values = [a[at(m)] for a, m in zip(arguments, self.operands, strict=False)]
            place = at(self.result)
            result[place] = self.after(result[place], self.body(values))
        return result


@by_seed(30)
def test_structured_op(seed: int) -> None:
    op = StructuredOp(seed)
    arguments = [op.rng.normal(size=shape) for shape in op.shapes]
    check_derivatives(op.text(), op.run, arguments, tolerance=1e-5)
