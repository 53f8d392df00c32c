# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Derivatives of ops of tensor, scf and func, against finite differences."""

from typing import Any

import numpy as np
import pytest
from upstream_program import check_derivatives, compile_function, differentiate

rng = np.random.default_rng(0)


def normal(*shape: int) -> Any:
    return rng.normal(size=shape)


def test_elements() -> None:
    text = """
func.func @f(%x: tensor<2x3xf64>, %s: f64, %i: index) -> tensor<2x2xf64> {
  %c0 = arith.constant 0 : index
  %0 = tensor.extract %x[%c0, %i] : tensor<2x3xf64>
  %1 = arith.mulf %0, %s : f64
  %2 = tensor.insert %1 into %x[%c0, %c0] : tensor<2x3xf64>
  %3 = tensor.extract %2[%c0, %i] : tensor<2x3xf64>
  %4 = tensor.extract %2[%c0, %c0] : tensor<2x3xf64>
  %5 = tensor.from_elements %3, %4, %s, %0 : tensor<2x2xf64>
  %6 = tensor.splat %s : tensor<2x2xf64>
  %7 = arith.mulf %5, %6 : tensor<2x2xf64>
  return %7 : tensor<2x2xf64>
}"""

    def f(x: Any, s: Any, i: Any) -> Any:
        v = x[0, i]
        changed = x.copy()
        changed[0, 0] = v * s
        return s * np.array([[changed[0, i], changed[0, 0]], [s, v]])

    for i in (0, 2):
        check_derivatives(text, f, [normal(2, 3), np.array(0.7), np.array(i)])


def test_slices() -> None:
    text = """
func.func @f(%x: tensor<4x5xf64>, %r: tensor<3xf64>, %i: index) -> tensor<4x5xf64> {
  %0 = tensor.extract_slice %x[%i, 1] [1, 3] [1, 1] : tensor<4x5xf64> to tensor<3xf64>
  %1 = arith.mulf %0, %r : tensor<3xf64>
  %2 = tensor.insert_slice %1 into %x[1, %i] [1, 3] [1, 1] : tensor<3xf64> into tensor<4x5xf64>
  %3 = tensor.extract_slice %2[0, 0] [2, 3] [2, 2] : tensor<4x5xf64> to tensor<2x3xf64>
  %4 = math.sin %3 : tensor<2x3xf64>
  %5 = tensor.insert_slice %4 into %2[2, 1] [2, 3] [1, 1] : tensor<2x3xf64> into tensor<4x5xf64>
  %6 = arith.mulf %5, %5 : tensor<4x5xf64>
  return %6 : tensor<4x5xf64>
}"""

    def f(x: Any, r: Any, i: Any) -> Any:
        y = x.copy()
        y[1, i : i + 3] = x[i, 1:4] * r
        z = y.copy()
        z[2:4, 1:4] = np.sin(y[0:4:2, 0:5:2])
        return z * z

    check_derivatives(text, f, [normal(4, 5), normal(3), np.array(1)])


def test_slices_whose_strides_are_known_at_run_time() -> None:
    """With 0 they have an element several times, and of what is written there the last stays."""
    text = """
func.func @f(%x: tensor<4x6xf64>, %y: tensor<3xf64>, %s: index) -> tensor<4x6xf64> {
  %0 = tensor.extract_slice %x[1, 2] [1, 3] [%s, %s] : tensor<4x6xf64> to tensor<3xf64>
  %1 = arith.mulf %0, %y : tensor<3xf64>
  %2 = tensor.insert_slice %1 into %x[0, 2] [1, 3] [1, %s] : tensor<3xf64> into tensor<4x6xf64>
  %3 = tensor.extract_slice %2[2, 2] [2, 2] [%s, %s] : tensor<4x6xf64> to tensor<2x2xf64>
  %4 = arith.mulf %3, %3 : tensor<2x2xf64>
  %5 = tensor.insert_slice %4 into %2[2, 2] [2, 2] [%s, 1] : tensor<2x2xf64> into tensor<4x6xf64>
  %6 = arith.mulf %5, %5 : tensor<4x6xf64>
  return %6 : tensor<4x6xf64>
}"""

    def f(x: Any, y: Any, s: Any) -> Any:
        z = x.copy()
        for i in range(3):
            z[0, 2 + i * s] = x[1, 2 + i * s] * y[i]
        rows = [[z[2 + i * s, 2 + j * s] ** 2 for j in range(2)] for i in range(2)]
        for i in range(2):
            for j in range(2):
                z[2 + i * s, 2 + j] = rows[i][j]
        return z * z

    for s in (0, 1, -1):
        check_derivatives(text, f, [normal(4, 6), normal(3), np.array(s)])


def test_slices_of_one_element() -> None:
    text = """
func.func @f(%x: tensor<4xf64>) -> tensor<4xf64> {
  %0 = tensor.extract_slice %x[1] [3] [0] : tensor<4xf64> to tensor<3xf64>
  %1 = tensor.extract_slice %x[0] [3] [1] : tensor<4xf64> to tensor<3xf64>
  %2 = arith.mulf %0, %1 : tensor<3xf64>
  %3 = tensor.insert_slice %2 into %x[2] [3] [0] : tensor<3xf64> into tensor<4xf64>
  return %3 : tensor<4xf64>
}"""

    def f(x: Any) -> Any:
        return np.array([x[0], x[1], x[1] * x[2], x[3]])

    check_derivatives(text, f, [normal(4)])


def pad(x: Any, low: int, size: int, padding: Any) -> Any:
    """`x` from place `low` on among `size` elements; `padding` gives the others."""
    return np.array([x[i - low] if 0 <= i - low < len(x) else padding(i) for i in range(size)])


@pytest.mark.parametrize(("low", "high"), [(-2, 1), (2, -3), (-1, -2), (-7, 9), (9, -8), (0, 0)])
def test_pad_that_leaves_elements_out(low: int, high: int) -> None:
    size = 6 + low + high
    text = f"""
func.func @f(%x: tensor<6xf64>, %p: f64) -> tensor<{size}xf64> {{
  %0 = arith.mulf %x, %x : tensor<6xf64>
  %1 = tensor.pad %0 low[{low}] high[{high}] {{
  ^bb0(%i: index):
    tensor.yield %p : f64
  }} : tensor<6xf64> to tensor<{size}xf64>
  %2 = arith.mulf %1, %1 : tensor<{size}xf64>
  return %2 : tensor<{size}xf64>
}}"""

    def f(x: Any, p: Any) -> Any:
        return pad(x * x, low, size, lambda _: p) ** 2

    check_derivatives(text, f, [normal(6), np.array(0.7)])


def test_pad_by_numbers_known_at_run_time() -> None:
    text = """
func.func @f(%x: tensor<2x6xf64>, %p: f64, %low: index, %high: index) -> tensor<2x7xf64> {
  %0 = tensor.pad %x low[0, %low] high[0, %high] {
  ^bb0(%i: index, %j: index):
    tensor.yield %p : f64
  } : tensor<2x6xf64> to tensor<2x7xf64>
  %1 = arith.mulf %0, %0 : tensor<2x7xf64>
  return %1 : tensor<2x7xf64>
}"""

    def f(x: Any, p: Any, low: Any, high: Any) -> Any:
        return np.array([pad(row, int(low), 7, lambda _: p) for row in x]) ** 2

    for low in (1, 3, -2, 9):
        arguments = [normal(2, 6), np.array(0.7), np.array(low), np.array(1 - low)]
        check_derivatives(text, f, arguments)


def test_padding_that_depends_on_the_position() -> None:
    text = """
func.func @f(%x: tensor<4xf64>, %p: tensor<7xf64>) -> tensor<7xf64> {
  %0 = tensor.pad %x low[2] high[1] {
  ^bb0(%i: index):
    %n = arith.index_cast %i : index to i64
    %r = arith.sitofp %n : i64 to f64
    %q = tensor.extract %p[%i] : tensor<7xf64>
    %s = arith.mulf %r, %q : f64
    tensor.yield %s : f64
  } : tensor<4xf64> to tensor<7xf64>
  %1 = arith.mulf %0, %0 : tensor<7xf64>
  return %1 : tensor<7xf64>
}"""

    def f(x: Any, p: Any) -> Any:
        return pad(x, 2, 7, lambda i: i * p[i]) ** 2

    check_derivatives(text, f, [normal(4), normal(7)])


def test_what_is_padded_around_does_not_reach_the_padding() -> None:
    text = """
func.func @f(%x: tensor<2xf64>, %p: f64) -> tensor<4xf64> {
  %0 = tensor.pad %x low[1] high[1] {
  ^bb0(%i: index):
    tensor.yield %p : f64
  } : tensor<2xf64> to tensor<4xf64>
  return %0 : tensor<4xf64>
}"""
    reverse = compile_function(differentiate(text, "f", mode="reverse"), "f_reverse")
    _, x, p = reverse(normal(2), np.array(0.5), np.array([1.0, np.inf, np.nan, 2.0]))
    np.testing.assert_array_equal(x, [np.inf, np.nan])
    assert p == 3.0


def test_shapes() -> None:
    text = """
func.func @f(%x: tensor<2x3xf64>, %p: f64) -> tensor<7x2xf64> {
  %0 = tensor.collapse_shape %x [[0, 1]] : tensor<2x3xf64> into tensor<6xf64>
  %1 = tensor.expand_shape %0 [[0, 1]] output_shape [3, 2] : tensor<6xf64> into tensor<3x2xf64>
  %2 = math.exp %1 : tensor<3x2xf64>
  %3 = tensor.concat dim(0) %2, %1 : (tensor<3x2xf64>, tensor<3x2xf64>) -> tensor<6x2xf64>
  %4 = tensor.pad %3 low[1, 0] high[0, 0] {
  ^bb0(%i: index, %j: index):
    tensor.yield %p : f64
  } : tensor<6x2xf64> to tensor<7x2xf64>
  %5 = arith.mulf %4, %4 : tensor<7x2xf64>
  return %5 : tensor<7x2xf64>
}"""

    def f(x: Any, p: Any) -> Any:
        y = x.reshape(3, 2)
        return np.concatenate([np.full((1, 2), p), np.exp(y), y]) ** 2

    check_derivatives(text, f, [normal(2, 3), np.array(0.4)])


def test_generated_elements() -> None:
    text = """
func.func @f(%x: tensor<2x3xf64>, %s: f64) -> tensor<3x2xf64> {
  %0 = tensor.generate {
  ^bb0(%i: index, %j: index):
    %1 = tensor.extract %x[%j, %i] : tensor<2x3xf64>
    %2 = arith.mulf %1, %s : f64
    tensor.yield %2 : f64
  } : tensor<3x2xf64>
  %3 = tensor.generate {
  ^bb0(%i: index, %j: index):
    %4 = arith.mulf %s, %s : f64
    tensor.yield %4 : f64
  } : tensor<3x2xf64>
  %5 = arith.mulf %0, %3 : tensor<3x2xf64>
  return %5 : tensor<3x2xf64>
}"""
    check_derivatives(text, lambda x, s: x.T * s**3, [normal(2, 3), np.array(0.7)])


def test_calls_loops_and_branches() -> None:
    text = """
func.func private @step(%a: f64, %b: f64) -> f64 {
  %0 = arith.mulf %a, %b : f64
  %1 = math.sin %0 : f64
  %2 = func.call @twice(%1) : (f64) -> f64
  return %2 : f64
}
func.func private @twice(%a: f64) -> f64 {
  %0 = arith.addf %a, %a : f64
  return %0 : f64
}
func.func @f(%x: tensor<6xf64>, %s: f64) -> f64 {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c6 = arith.constant 6 : index
  %zero = arith.constant 0.0 : f64
  %0:2 = scf.for %i = %c0 to %c6 step %c1 iter_args(%a = %s, %t = %x) -> (f64, tensor<6xf64>) {
    %1 = tensor.extract %t[%i] : tensor<6xf64>
    %2 = arith.cmpf olt, %1, %zero : f64
    %3 = scf.if %2 -> f64 {
      %4 = func.call @step(%a, %1) : (f64, f64) -> f64
      scf.yield %4 : f64
    } else {
      %4 = arith.divf %a, %1 : f64
      scf.yield %4 : f64
    }
    %5 = arith.mulf %3, %3 : f64
    %6 = tensor.insert %5 into %t[%i] : tensor<6xf64>
    scf.yield %3, %6 : f64, tensor<6xf64>
  }
  %7 = tensor.extract %0#1[%c1] : tensor<6xf64>
  %8 = arith.mulf %0#0, %7 : f64
  return %8 : f64
}"""

    def f(x: Any, s: Any) -> Any:
        t = x.copy()
        for i in range(6):
            s = 2 * np.sin(s * t[i]) if t[i] < 0 else s / t[i]
            t[i] = s * s
        return s * t[1]

    x = np.array([0.9, -0.7, 1.1, -1.3, 0.8, 1.2])
    check_derivatives(text, f, [x, np.array(0.6)], tolerance=1e-5)


def test_loop_whose_end_depends_on_values() -> None:
    text = """
func.func @f(%x: f64, %n: i64) -> f64 {
  %c0 = arith.constant 0 : i64
  %c1 = arith.constant 1 : i64
  %0:2 = scf.while (%a = %x, %i = %c0) : (f64, i64) -> (f64, i64) {
    %1 = arith.cmpi slt, %i, %n : i64
    scf.condition(%1) %a, %i : f64, i64
  } do {
  ^bb0(%a: f64, %i: i64):
    %1 = math.sin %a : f64
    %2 = arith.mulf %1, %x : f64
    %3 = arith.addi %i, %c1 : i64
    scf.yield %2, %3 : f64, i64
  }
  return %0#0 : f64
}"""

    def f(x: Any, n: Any) -> Any:
        a = x
        for _ in range(int(n)):
            a = np.sin(a) * x
        return a

    check_derivatives(text, f, [np.array(1.3), np.array(5)])


def test_parts_of_run_time_size_in_a_loop() -> None:
    """They need not be stored: an element of them is enough."""
    text = """
func.func @f(%x: f64, %w: tensor<10xf64>) -> f64 {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c8 = arith.constant 8 : index
  %r = scf.for %i = %c0 to %c8 step %c1 iter_args(%a = %x) -> f64 {
    %n = arith.addi %i, %c1 : index
    %s = tensor.extract_slice %w[0] [%n] [1] : tensor<10xf64> to tensor<?xf64>
    %c = tensor.extract %s[%i] : tensor<?xf64>
    %m = arith.mulf %a, %c : f64
    scf.yield %m : f64
  }
  return %r : f64
}"""
    w = np.linspace(0.5, 1.5, 10)
    check_derivatives(text, lambda x, w: x * np.prod(w[:8]), [np.array(0.7), w], wrt=[0])
