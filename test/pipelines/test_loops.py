# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Loops and branches on tensors, from text to machine code: values, and where they lie."""

from collections.abc import Callable

import numpy as np
import pytest
from budget import by_seed
from loop_programs import Generator, inputs
from mlir_program import compile_mlir, lower

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("size", [4, 48])  # Matrices of 18 KiB are swapped, not copied.
@pytest.mark.parametrize("options", ["", "command-threshold=0", "command-threshold=3"])
@by_seed(40)
def test_random_programs(seed: int, options: str, size: int) -> None:
    """As one function, as a list of commands, and as a list with loops that are functions."""
    generator = Generator(seed, size)
    text, run = generator.program(steps=8)
    arguments = inputs(generator.arguments, seed)
    results = compile_mlir(text, options)(*arguments)
    for actual, expected in zip(results, run(*arguments), strict=True):
        np.testing.assert_allclose(actual, expected, rtol=1e-9, atol=1e-9, err_msg=text)


RECURRENCE = """
func.func @main(%x: tensor<f64>, %n: tensor<i64>) -> (tensor<f64>, tensor<i64>) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %word = tensor.extract %n[] : tensor<i64>
  %last = arith.index_cast %word : i64 to index
  %half = grad.constant dense<0.5> : tensor<f64>
  %two = grad.constant dense<2> : tensor<i64>
  %zero = grad.constant dense<0> : tensor<i64>
  %r:2 = scf.for %i = %c0 to %last step %c1 iter_args(%s = %x, %k = %zero) -> (tensor<f64>, tensor<i64>) {
    %a = grad.multiply %s, %half : tensor<f64>
    %b = grad.add %a, %x : tensor<f64>
    %l = grad.add %k, %two : tensor<i64>
    scf.yield %b, %l : tensor<f64>, tensor<i64>
  }
  return %r#0, %r#1 : tensor<f64>, tensor<i64>
}"""


def test_scalars_stay_in_registers() -> None:
    """The loop of a recurrence neither reads nor writes memory."""
    loop = lower(RECURRENCE, "bufferized").split("scf.for")[1].split("scf.yield")[0]
    assert "memref" not in loop
    assert "arith.mulf" in loop
    for n in (0, 1, 7):
        s, k = 3.0, 0
        for _ in range(n):
            s, k = s * 0.5 + 3.0, k + 2
        assert compile_mlir(RECURRENCE)(np.float64(3.0), np.int64(n)) == (s, k)


SWITCH = """
func.func @main(%x: tensor<3xf64>, %k: tensor<i64>) -> tensor<3xf64> {
  %word = tensor.extract %k[] : tensor<i64>
  %case = arith.index_cast %word : i64 to index
  %two = grad.constant dense<2.0> : tensor<3xf64>
  %r = scf.index_switch %case -> tensor<3xf64>
  case 1 {
    %a = grad.sin %x : tensor<3xf64>
    scf.yield %a : tensor<3xf64>
  }
  case 4294967298 {
    %a = grad.multiply %x, %two : tensor<3xf64>
    scf.yield %a : tensor<3xf64>
  }
  case -4294967297 {
    %a = grad.negative %x : tensor<3xf64>
    scf.yield %a : tensor<3xf64>
  }
  default {
    scf.yield %x : tensor<3xf64>
  }
  return %r : tensor<3xf64>
}"""


def test_switches_look_at_all_bits() -> None:
    run = compile_mlir(SWITCH)
    x = RNG.normal(size=3)
    cases = {1: np.sin(x), 2**32 + 2: 2 * x, -(2**32) - 1: -x}
    for word in (0, 1, 2, -1, *cases, 2**32 + 1, 2**33 + 1, 2**33 + 2, 2**32 - 1, -(2**63)):
        (actual,) = run(x, np.int64(word))
        np.testing.assert_allclose(actual, cases.get(word, x), rtol=1e-15)


# A loop with a counter %row; %s is what one step does to the carried matrix %h.
MATRIX_LOOP = """
func.func @main(%x: tensor<6x5xf64>, %w: tensor<6x6xf64>) -> tensor<6x5xf64> {{
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %n = arith.constant {trips} : index
  %zero = grad.constant dense<0> : tensor<i64>
  %r = scf.for %i = %c0 to %n step %c1 iter_args(%h = %x) -> (tensor<6x5xf64>) {{
    %word = arith.index_cast %i : index to i64
    %row = tensor.from_elements %word : tensor<i64>
    {body}
    scf.yield %s : tensor<6x5xf64>
  }}
  return %r : tensor<6x5xf64>
}}"""

Step = Callable[[np.ndarray, int, np.ndarray, np.ndarray], np.ndarray]


def check_matrix_loop(body: str, step: Step, copies: int, buffers: int) -> None:
    """Compares with `step(h, i, x, w)`; counts the copies and temporaries of the loop."""
    bufferized = lower(MATRIX_LOOP.format(trips=4, body=body), "bufferized")
    loop = bufferized.split("scf.for")[1].split("\n    }\n")[0]
    assert loop.count("memref.copy") == copies, loop
    assert loop.count("memref.view") == buffers, loop
    x, w = RNG.normal(size=(6, 5)), RNG.normal(size=(6, 6)) / 6
    for trips in (0, 1, 2, 5):
        expected = x
        for i in range(trips):
            expected = step(expected.copy(), i, x, w)
        (actual,) = compile_mlir(MATRIX_LOOP.format(trips=trips, body=body))(x, w)
        np.testing.assert_allclose(actual, expected, rtol=1e-12, atol=1e-14)


def test_elementwise_carry_is_in_place() -> None:
    body = """%a = grad.tanh %h : tensor<6x5xf64>
    %s = grad.add %a, %x : tensor<6x5xf64>"""
    check_matrix_loop(body, lambda h, i, x, w: np.tanh(h) + x, copies=0, buffers=0)


def test_product_needs_one_buffer() -> None:
    body = """%a = grad.dot_general %w, %h, batch = [] x [], contract = [1] x [0] : tensor<6x6xf64>, tensor<6x5xf64> -> tensor<6x5xf64>
    %s = grad.tanh %a : tensor<6x5xf64>"""
    check_matrix_loop(body, lambda h, i, x, w: np.tanh(w @ h), copies=0, buffers=1)


def test_row_update_is_in_place() -> None:
    body = """%a = grad.dynamic_slice %h[%row, %zero], sizes = [1, 5] : tensor<6x5xf64> -> tensor<1x5xf64>
    %b = grad.tanh %a : tensor<1x5xf64>
    %s = grad.dynamic_update_slice %h, %b[%row, %zero] : tensor<6x5xf64>, tensor<1x5xf64>"""

    def step(h: np.ndarray, i: int, x: np.ndarray, w: np.ndarray) -> np.ndarray:
        h[i] = np.tanh(h[i])
        return h

    check_matrix_loop(body, step, copies=0, buffers=0)


def test_stencil_is_copied_once() -> None:
    body = """%a = grad.slice %h, offsets = [0, 0], sizes = [4, 5], strides = [1, 1] : tensor<6x5xf64> -> tensor<4x5xf64>
    %b = grad.slice %h, offsets = [2, 0], sizes = [4, 5], strides = [1, 1] : tensor<6x5xf64> -> tensor<4x5xf64>
    %c = grad.subtract %a, %b : tensor<4x5xf64>
    %s = grad.update_slice %h, %c, offsets = [1, 0], strides = [1, 1] : tensor<6x5xf64>, tensor<4x5xf64>"""

    def step(h: np.ndarray, i: int, x: np.ndarray, w: np.ndarray) -> np.ndarray:
        h[1:5] = h[0:4] - h[2:6]
        return h

    check_matrix_loop(body, step, copies=1, buffers=1)


def test_branch_in_a_loop_is_in_place() -> None:
    body = """%k = arith.constant 2 : i64
    %p = arith.cmpi slt, %word, %k : i64
    %s = scf.if %p -> (tensor<6x5xf64>) {
      %a = grad.sin %h : tensor<6x5xf64>
      scf.yield %a : tensor<6x5xf64>
    } else {
      scf.yield %h : tensor<6x5xf64>
    }"""
    check_matrix_loop(body, lambda h, i, x, w: np.sin(h) if i < 2 else h, copies=0, buffers=0)


def test_invariants_are_computed_once() -> None:
    """What does not depend on the loop is not fused into it."""
    body = "%s = grad.add %h, %e : tensor<6x5xf64>"
    text = MATRIX_LOOP.format(trips=3, body=body)
    text = text.replace("%zero =", "%e = grad.exp %x : tensor<6x5xf64>\n  %zero =")
    loop = lower(text, "bufferized").split("scf.for")[1]
    assert "math.exp" not in loop
    x = RNG.normal(size=(6, 5))
    (actual,) = compile_mlir(text)(x, np.zeros((6, 6)))
    np.testing.assert_allclose(actual, x + 3 * np.exp(x), rtol=1e-12)


# Jacobi iterations until %limit, of them or of the largest change.
JACOBI = """
func.func @main(%x: tensor<50x50xf64>, %limit: tensor<i64>, %tolerance: tensor<f64>) -> (tensor<50x50xf64>, tensor<i64>) {
  %zero = grad.constant dense<0> : tensor<i64>
  %one = grad.constant dense<1> : tensor<i64>
  %quarter = grad.constant dense<0.25> : tensor<48x48xf64>
  %r:3 = scf.while (%h = %x, %k = %zero, %change = %tolerance) : (tensor<50x50xf64>, tensor<i64>, tensor<f64>) -> (tensor<50x50xf64>, tensor<i64>, tensor<f64>) {
    %a = grad.less %k, %limit : tensor<i64>
    %b = grad.less_equal %tolerance, %change : tensor<f64>
    %c = grad.logical_and %a, %b : tensor<i1>
    %p = tensor.extract %c[] : tensor<i1>
    scf.condition(%p) %h, %k, %change : tensor<50x50xf64>, tensor<i64>, tensor<f64>
  } do {
  ^bb0(%h: tensor<50x50xf64>, %k: tensor<i64>, %change: tensor<f64>):
    %n = grad.slice %h, offsets = [0, 1], sizes = [48, 48], strides = [1, 1] : tensor<50x50xf64> -> tensor<48x48xf64>
    %s = grad.slice %h, offsets = [2, 1], sizes = [48, 48], strides = [1, 1] : tensor<50x50xf64> -> tensor<48x48xf64>
    %w = grad.slice %h, offsets = [1, 0], sizes = [48, 48], strides = [1, 1] : tensor<50x50xf64> -> tensor<48x48xf64>
    %e = grad.slice %h, offsets = [1, 2], sizes = [48, 48], strides = [1, 1] : tensor<50x50xf64> -> tensor<48x48xf64>
    %m = grad.slice %h, offsets = [1, 1], sizes = [48, 48], strides = [1, 1] : tensor<50x50xf64> -> tensor<48x48xf64>
    %ns = grad.add %n, %s : tensor<48x48xf64>
    %we = grad.add %w, %e : tensor<48x48xf64>
    %sum = grad.add %ns, %we : tensor<48x48xf64>
    %new = grad.multiply %sum, %quarter : tensor<48x48xf64>
    %d = grad.subtract %new, %m : tensor<48x48xf64>
    %abs = grad.absolute %d : tensor<48x48xf64>
    %next = grad.reduce_max %abs, dimensions = [0, 1] : tensor<48x48xf64> -> tensor<f64>
    %g = grad.update_slice %h, %new, offsets = [1, 1], strides = [1, 1] : tensor<50x50xf64>, tensor<48x48xf64>
    %l = grad.add %k, %one : tensor<i64>
    scf.yield %g, %l, %next : tensor<50x50xf64>, tensor<i64>, tensor<f64>
  }
  return %r#0, %r#1 : tensor<50x50xf64>, tensor<i64>
}"""


def test_jacobi_swaps_buffers() -> None:
    loop = str(lower(JACOBI, "bufferized")).split("scf.while")[1].split("\n    }\n")[0]
    assert not [line for line in loop.splitlines() if "memref.copy" in line and "x48xf64" in line]
    run = compile_mlir(JACOBI)
    x = RNG.normal(size=(50, 50))
    for limit, tolerance in ((0, 0.0), (1, 0.0), (2, 0.0), (7, 0.0), (1000, 0.01)):
        h, k, change = x.copy(), 0, tolerance
        while k < limit and tolerance <= change:
            new = ((h[:-2, 1:-1] + h[2:, 1:-1]) + (h[1:-1, :-2] + h[1:-1, 2:])) * 0.25
            change = np.max(np.abs(new - h[1:-1, 1:-1]))
            h[1:-1, 1:-1] = new
            k += 1
        actual, count = run(x, np.int64(limit), np.float64(tolerance))
        assert count == k
        np.testing.assert_allclose(actual, h, rtol=1e-12, atol=1e-14)
