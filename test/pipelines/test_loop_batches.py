# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Random programs of loops and branches, mapped over a batch."""

from typing import Any

import numpy as np
import pytest
from budget import by_seed
from loop_programs import INTEGER, Generator, inputs
from mlir_program import compile_mlir

SIZE = 3


def spell(type: Any, axis: int | None = None) -> str:
    shape = [] if type == INTEGER else list(type)
    if axis is not None:
        shape.insert(axis, SIZE)
    dims = "".join(f"{extent}x" for extent in shape)
    return f"tensor<{dims}{'i64' if type == INTEGER else 'f64'}>"


def mapped(text: str, ins: list[Any], outs: list[Any], axes: list[int | None]) -> str:
    """The program as @f, and a @main that maps it over axes of its inputs."""
    types = [spell(t, a) for t, a in zip(ins, axes, strict=True)]
    results = ", ".join(spell(t, 0) for t in outs)
    head = ", ".join(f"%x{i}: {t}" for i, t in enumerate(types))
    names = ", ".join(f"%x{i}" for i in range(len(ins)))
    spelled = ", ".join("none" if a is None else str(a) for a in axes)
    returned = ", ".join(f"%r#{i}" for i in range(len(outs)))
    return f"""{text.replace("func.func @main", "func.func private @f")}
func.func @main({head}) -> ({results}) {{
  %r:{len(outs)} = grad.vmap @f({names}), in_axes = [{spelled}], out_axes = {[0] * len(outs)},
    size = {SIZE} : ({", ".join(types)}) -> ({results})
  return {returned} : {results}
}}"""


@pytest.mark.parametrize("rules", [False, True], ids=["", "rules"])
@pytest.mark.parametrize("whole", [False, True])
@by_seed(40)
def test_random_programs(seed: int, whole: bool, rules: bool) -> None:
    """Each element of the batch takes its own way; with `whole`, half of the inputs are not mapped.

    Counters and conditions come to depend on mapped values, or not.
    """
    generator = Generator(seed, rules=rules)
    text, run = generator.program(steps=8)
    rng = np.random.default_rng(seed)
    kinds = generator.arguments
    elements = [inputs(kinds, seed + 100 * i) for i in range(SIZE)]
    axes: list[int | None] = []
    arguments: list[Any] = []
    for i, kind in enumerate(kinds):
        if whole and rng.integers(2):
            for element in elements:
                element[i] = elements[0][i]
            axes.append(None)
            arguments.append(elements[0][i])
            continue
        axes.append(int(rng.integers(0, (0 if kind == INTEGER else len(kind)) + 1)))
        arguments.append(np.ascontiguousarray(np.stack([e[i] for e in elements], axes[-1])))
    actual = compile_mlir(mapped(text, list(kinds), list(generator.types), axes))(*arguments)
    expected = [run(*element) for element in elements]
    for k, got in enumerate(actual):
        want = np.stack([result[k] for result in expected])
        np.testing.assert_allclose(got, want, rtol=1e-9, atol=1e-9, err_msg=text)


COUNTED = """
func.func private @power(%x: tensor<f64>, %n: tensor<i64>) -> tensor<f64> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %one = grad.constant dense<1.0> : tensor<f64>
  %word = tensor.extract %n[] : tensor<i64>
  %last = arith.index_cast %word : i64 to index
  %r = scf.for %i = %c0 to %last step %c1 iter_args(%s = %one) -> (tensor<f64>) {
    %0 = grad.multiply %s, %x : tensor<f64>
    scf.yield %0 : tensor<f64>
  }
  return %r : tensor<f64>
}
"""


def test_numbers_of_iterations_differ() -> None:
    text = (
        COUNTED
        + """
func.func @main(%x: tensor<5xf64>, %n: tensor<5xi64>) -> tensor<5xf64> {
  %0 = grad.vmap @power(%x, %n), in_axes = [0, 0], out_axes = [0], size = 5
    : (tensor<5xf64>, tensor<5xi64>) -> tensor<5xf64>
  return %0 : tensor<5xf64>
}"""
    )
    x, n = np.array([2.0, 3.0, -1.5, 4.0, 0.5]), np.array([3, 0, 5, -2, 1])
    np.testing.assert_allclose(compile_mlir(text)(x, n)[0], [8, 1, -(1.5**5), 1, 0.5], 1e-15)


def test_gradients_of_loops_are_mapped() -> None:
    """The derivative of x^n, one element at a time; the trip count is the same for all."""
    text = (
        COUNTED
        + """
func.func private @slope(%x: tensor<f64>, %n: tensor<i64>) -> tensor<f64> {
  %one = grad.constant dense<1.0> : tensor<f64>
  %0:2 = grad.vjp @power(%x, %n), cotangents(%one), wrt = [0], of = [0]
    : (tensor<f64>, tensor<i64>, tensor<f64>) -> (tensor<f64>, tensor<f64>)
  return %0#1 : tensor<f64>
}
func.func @main(%x: tensor<5xf64>, %n: tensor<i64>) -> tensor<5xf64> {
  %0 = grad.vmap @slope(%x, %n), in_axes = [0, none], out_axes = [0], size = 5
    : (tensor<5xf64>, tensor<i64>) -> tensor<5xf64>
  return %0 : tensor<5xf64>
}"""
    )
    x = np.array([2.0, 3.0, -1.5, 4.0, 0.5])
    for n in (0, 1, 4):
        np.testing.assert_allclose(
            compile_mlir(text)(x, np.int64(n))[0], n * x ** max(n - 1, 0), 1e-14
        )


def test_maps_with_loops_are_differentiated() -> None:
    text = (
        COUNTED
        + """
func.func private @powers(%x: tensor<5xf64>, %n: tensor<i64>) -> tensor<5xf64> {
  %0 = grad.vmap @power(%x, %n), in_axes = [0, none], out_axes = [0], size = 5
    : (tensor<5xf64>, tensor<i64>) -> tensor<5xf64>
  return %0 : tensor<5xf64>
}
func.func @main(%x: tensor<5xf64>, %n: tensor<i64>, %g: tensor<5xf64>) -> tensor<5xf64> {
  %0:2 = grad.vjp @powers(%x, %n), cotangents(%g), wrt = [0], of = [0]
    : (tensor<5xf64>, tensor<i64>, tensor<5xf64>) -> (tensor<5xf64>, tensor<5xf64>)
  return %0#1 : tensor<5xf64>
}"""
    )
    x, g = np.array([2.0, 3.0, -1.5, 4.0, 0.5]), np.arange(5.0)
    for n in (0, 1, 4):
        np.testing.assert_allclose(
            compile_mlir(text)(x, np.int64(n), g)[0], g * n * x ** max(n - 1, 0), 1e-14
        )
