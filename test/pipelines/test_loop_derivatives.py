# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Derivatives of random programs of loops and branches, in either mode and at second order."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from budget import by_seed
from loop_programs import INTEGER, Generator, inputs, spell, spell_all
from mlir_program import compile_mlir

Arrays = Sequence[Any]


class Request:
    """A function @f of a random program, and requests for its derivatives."""

    def __init__(self, generator: Generator, seed: int, steps: int = 8) -> None:
        text, self.run = generator.program(steps)
        self.callee = text.replace("func.func @main", "func.func private @f")
        self.inputs = generator.arguments
        self.outputs = generator.types
        self.wrt = [i for i, t in enumerate(self.inputs) if t != INTEGER]
        self.of = [i for i, t in enumerate(self.outputs) if t != INTEGER]
        self.arguments = inputs(self.inputs, seed)
        rng = np.random.default_rng(seed + 1)
        self.tangents = [rng.normal(size=self.inputs[i]) for i in self.wrt]
        self.cotangents = [rng.normal(size=self.outputs[i]) for i in self.of]

    def request(self, kind: str, callee: str, inputs: Any, outputs: Any, wrt: Any, of: Any) -> str:
        """A public function that asks for derivatives of `callee`; returns those alone."""
        directions = [inputs[i] for i in wrt] if kind == "jvp" else [outputs[i] for i in of]
        derived = [outputs[i] for i in of] if kind == "jvp" else [inputs[i] for i in wrt]
        x = ", ".join(f"%x{i}" for i in range(len(inputs)))
        d = ", ".join(f"%d{i}" for i in range(len(directions)))
        types = [*inputs, *directions]
        names = [
            *(f"%x{i}" for i in range(len(inputs))),
            *(f"%d{i}" for i in range(len(directions))),
        ]
        head = ", ".join(f"{n}: {spell(t)}" for n, t in zip(names, types, strict=True))
        results = ", ".join(f"%r#{len(outputs) + i}" for i in range(len(derived)))
        word = "tangents" if kind == "jvp" else "cotangents"
        name = "@" + kind + "_" + callee[1:]
        return f"""
func.func {name}({head}) -> ({spell_all(derived)}) {{
  %r:{len(outputs) + len(derived)} = grad.{kind} {callee}({x}), {word}({d}), wrt = {list(wrt)}, of = {list(of)}
    : ({spell_all(types)}) -> ({spell_all([*outputs, *derived])})
  return {results} : {spell_all(derived)}
}}"""

    def compile(self, *kinds: str) -> Any:
        """The derivative by one kind of request, of the derivative by the kind before."""
        text, callee, inputs, outputs = self.callee, "@f", list(self.inputs), list(self.outputs)
        for kind in kinds:
            wrt = [i for i, t in enumerate(inputs) if t != INTEGER]
            of = [i for i, t in enumerate(outputs) if t != INTEGER]
            wrapper = self.request(kind, callee, inputs, outputs, wrt, of)
            text += wrapper.replace("func.func @", "func.func private @")
            directions = [inputs[i] for i in wrt] if kind == "jvp" else [outputs[i] for i in of]
            outputs = [outputs[i] for i in of] if kind == "jvp" else [inputs[i] for i in wrt]
            inputs += directions
            callee = "@" + kind + "_" + callee[1:]
        name = "private " + callee
        return compile_mlir(text.replace(name + "(", "@main("))


def inner(xs: Arrays, ys: Arrays) -> float:
    return float(sum(np.vdot(x, y) for x, y in zip(xs, ys, strict=True)))


def differences(run: Any, arguments: Arrays, wrt: Sequence[int], tangents: Arrays) -> list[Any]:
    """Central differences of the float results."""

    def at(h: float) -> list[Any]:
        moved = list(arguments)
        for i, tangent in zip(wrt, tangents, strict=True):
            moved[i] = moved[i] + h * tangent
        return [np.asarray(y) for y in run(*moved) if np.asarray(y).dtype.kind == "f"]

    h = 1e-6
    return [(a - b) / (2 * h) for a, b in zip(at(h), at(-h), strict=True)]


def check_first_order(r: Request) -> None:
    """Forward mode against differences, and reverse mode as its transpose."""
    expected = differences(r.run, r.arguments, r.wrt, r.tangents)
    forward = r.compile("jvp")(*r.arguments, *r.tangents)
    for actual, wanted in zip(forward, expected, strict=True):
        np.testing.assert_allclose(actual, wanted, rtol=1e-5, atol=1e-6, err_msg=r.callee)
    reverse = r.compile("vjp")(*r.arguments, *r.cotangents)
    np.testing.assert_allclose(
        inner(reverse, r.tangents), inner(r.cotangents, forward), rtol=1e-9, atol=1e-9
    )


def check_second_order(r: Request, seed: int) -> None:
    """Forward over reverse against differences of reverse, and reverse over reverse by symmetry."""
    gradient = r.compile("vjp")
    rng = np.random.default_rng(seed + 2)
    # The cotangents vary, too.
    wrt = [*r.wrt, *range(len(r.inputs), len(r.inputs) + len(r.of))]
    arguments = [*r.arguments, *r.cotangents]
    tangents = [rng.normal(size=np.shape(arguments[i])) for i in wrt]
    expected = differences(gradient, arguments, wrt, tangents)
    forward = r.compile("vjp", "jvp")(*arguments, *tangents)
    for actual, wanted in zip(forward, expected, strict=True):
        np.testing.assert_allclose(actual, wanted, rtol=1e-5, atol=1e-6, err_msg=r.callee)
    cotangents = [rng.normal(size=x.shape) for x in forward]
    reverse = r.compile("vjp", "vjp")(*arguments, *cotangents)
    np.testing.assert_allclose(
        inner(reverse, tangents), inner(cotangents, forward), rtol=1e-9, atol=1e-9
    )


@pytest.mark.parametrize("rules", [False, True], ids=["", "rules"])
@by_seed(40)
def test_first_order(seed: int, rules: bool) -> None:
    check_first_order(Request(Generator(seed, rules=rules), seed))


@pytest.mark.parametrize("rules", [False, True], ids=["", "rules"])
@by_seed(15)
def test_second_order(seed: int, rules: bool) -> None:
    check_second_order(Request(Generator(seed, rules=rules), seed), seed)


@by_seed(16)
def test_first_order_in_place(seed: int) -> None:
    """Arrays that blocks inside of blocks update, so that they are restored on the way back."""
    check_first_order(Request(Generator(seed, size=6, in_place=True), seed, steps=4))


@by_seed(6)
def test_second_order_in_place(seed: int) -> None:
    check_second_order(Request(Generator(seed, size=6, in_place=True), seed, steps=4), seed)


# y = sin(y) + x[n mod 5], n times, by a loop that does not know n before it runs.
LONG = """
func.func private @f(%x: tensor<{size}xf64>, %w: tensor<5xf64>, %n: tensor<i64>) -> tensor<{size}xf64> {{
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c5 = arith.constant 5 : index
  %one = grad.constant dense<1> : tensor<i64>
  %zero = grad.constant dense<0> : tensor<i64>
  {loop}
    %five = arith.constant 5 : i64
    %digits = tensor.extract %k[] : tensor<i64>
    %digit = arith.remsi %digits, %five : i64
    %m = tensor.from_elements %digit : tensor<i64>
    %p = grad.dynamic_slice %w[%m], sizes = [1] : tensor<5xf64> -> tensor<1xf64>
    %q = grad.reshape %p, shape = [] : tensor<1xf64> -> tensor<f64>
    %b = grad.broadcast %q, shape = [{size}], dimensions = [] : tensor<f64> -> tensor<{size}xf64>
    %s = grad.sin %y : tensor<{size}xf64>
    %z = grad.add %s, %b : tensor<{size}xf64>
    {end}
  return %r#0 : tensor<{size}xf64>
}}
func.func @main(%x: tensor<{size}xf64>, %w: tensor<5xf64>, %n: tensor<i64>, %g: tensor<{size}xf64>) -> (tensor<{size}xf64>, tensor<{size}xf64>, tensor<5xf64>) {{
  %r:3 = grad.vjp @f(%x, %w, %n), cotangents(%g), wrt = [0, 1], of = [0]
    : (tensor<{size}xf64>, tensor<5xf64>, tensor<i64>, tensor<{size}xf64>) -> (tensor<{size}xf64>, tensor<{size}xf64>, tensor<5xf64>)
  return %r#0, %r#1, %r#2 : tensor<{size}xf64>, tensor<{size}xf64>, tensor<5xf64>
}}"""

FOR = """%word = tensor.extract %n[] : tensor<i64>
  %end = arith.index_cast %word : i64 to index
  %r = scf.for %i = %c0 to %end step %c1 iter_args(%y = %x) -> (tensor<{size}xf64>) {{
    %iw = arith.index_cast %i : index to i64
    %k = tensor.from_elements %iw : tensor<i64>"""
FOR_END = """scf.yield %z : tensor<{size}xf64>
  }}"""
# From 7 in steps of 3.
STRIDED = """%word = tensor.extract %n[] : tensor<i64>
  %trips = arith.index_cast %word : i64 to index
  %c3 = arith.constant 3 : index
  %c7 = arith.constant 7 : index
  %way = arith.muli %trips, %c3 : index
  %end = arith.addi %way, %c5 : index
  %r = scf.for %i = %c7 to %end step %c3 iter_args(%y = %x) -> (tensor<{size}xf64>) {{
    %off = arith.subi %i, %c7 : index
    %num = arith.divui %off, %c3 : index
    %iw = arith.index_cast %num : index to i64
    %k = tensor.from_elements %iw : tensor<i64>"""
WHILE = """%r:2 = scf.while (%y = %x, %k = %zero) : (tensor<{size}xf64>, tensor<i64>) -> (tensor<{size}xf64>, tensor<i64>) {{
    %less = grad.less %k, %n : tensor<i64>
    %c = tensor.extract %less[] : tensor<i1>
    scf.condition(%c) %y, %k : tensor<{size}xf64>, tensor<i64>
  }} do {{
  ^bb0(%y: tensor<{size}xf64>, %k: tensor<i64>):"""
WHILE_END = """%l = grad.add %k, %one : tensor<i64>
    scf.yield %z, %l : tensor<{size}xf64>, tensor<i64>
  }}"""


@pytest.mark.parametrize(("loop", "end"), [(FOR, FOR_END), (STRIDED, FOR_END), (WHILE, WHILE_END)])
def test_long_loops(loop: str, end: str) -> None:
    """From none to more iterations than there are states and blocks of residuals."""
    size = 2_100  # 64 states, 64 iterations at a time
    parts = {"loop": loop.format(size=size), "end": end.format(size=size)}
    run = compile_mlir(LONG.format(size=size, **parts))
    rng = np.random.default_rng(0)
    x, g, w = rng.normal(size=size), rng.normal(size=size), rng.normal(size=5)
    for n in (0, 1, 2, 63, 64, 65, 128, 1_000, 4_096, 4_097, 9_001):
        y, cosines = x, []
        for k in range(n):
            cosines.append(np.cos(y))
            y = np.sin(y) + w[k % 5]
        ct, by_w = g, np.zeros(5)
        for k in reversed(range(n)):
            by_w[k % 5] += ct.sum()
            ct = ct * cosines[k]
        for actual, expected in zip(run(x, w, np.int64(n), g), (y, ct, by_w), strict=True):
            np.testing.assert_allclose(actual, expected, rtol=1e-10, atol=1e-11)
