# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Derivatives of structured ops, generic and named, against finite differences."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from upstream_program import check_derivatives, compile_function, differentiate

EXAMPLE = Path(__file__).parents[2] / "examples" / "07_upstream_ir.mlir"

rng = np.random.default_rng(0)


def normal(*shape: int) -> Any:
    return rng.normal(size=shape)


# Types of the operands, of the init and result, the op, and what it computes.
PRODUCTS: dict[str, tuple[str, str, str, Any]] = {
    "matmul": ("4x3", "3x5", "4x5", lambda a, b: a @ b),
    "batch_matmul": ("2x4x3", "2x3x5", "2x4x5", lambda a, b: a @ b),
    "matvec": ("4x3", "3", "4", lambda a, b: a @ b),
    "vecmat": ("4", "4x3", "3", lambda a, b: a @ b),
    "batch_matvec": ("2x4x3", "2x3", "2x4", lambda a, b: np.einsum("bij,bj->bi", a, b)),
    "dot": ("4", "4", "", lambda a, b: a @ b),
    "conv_1d": ("7", "3", "5", lambda a, b: np.correlate(a, b, "valid")),
}


def shape_of(type: str) -> tuple[int, ...]:
    return tuple(int(n) for n in type.split("x") if n)


def spell(type: str) -> str:
    return f"tensor<{type}xf64>" if type else "tensor<f64>"


@pytest.mark.parametrize("op", PRODUCTS)
def test_product(op: str) -> None:
    left, right, out, f = PRODUCTS[op]
    a, b, c = map(spell, (left, right, out))
    text = f"""
func.func @f(%a: {a}, %b: {b}, %c: {c}) -> {c} {{
  %0 = linalg.{op} ins(%a, %b : {a}, {b}) outs(%c : {c}) -> {c}
  return %0 : {c}
}}"""
    arguments = [normal(*shape_of(t)) for t in (left, right, out)]
    check_derivatives(text, lambda a, b, c: c + f(a, b), arguments)


def test_product_of_a_matrix_with_itself() -> None:
    text = """
func.func @f(%a: tensor<3x3xf64>) -> tensor<3x3xf64> {
  %zero = arith.constant 0.0 : f64
  %e = tensor.empty() : tensor<3x3xf64>
  %z = linalg.fill ins(%zero : f64) outs(%e : tensor<3x3xf64>) -> tensor<3x3xf64>
  %0 = linalg.matmul ins(%a, %a : tensor<3x3xf64>, tensor<3x3xf64>) outs(%z : tensor<3x3xf64>) -> tensor<3x3xf64>
  return %0 : tensor<3x3xf64>
}"""
    check_derivatives(text, lambda a: a @ a, [normal(3, 3)])


def test_convolution_of_images() -> None:
    text = """
func.func @f(%x: tensor<1x7x6x2xf64>, %w: tensor<3x2x2x3xf64>) -> tensor<1x3x3x3xf64> {
  %zero = arith.constant 0.0 : f64
  %e = tensor.empty() : tensor<1x3x3x3xf64>
  %z = linalg.fill ins(%zero : f64) outs(%e : tensor<1x3x3x3xf64>) -> tensor<1x3x3x3xf64>
  %0 = linalg.conv_2d_nhwc_hwcf {dilations = dense<[1, 1]> : tensor<2xi64>, strides = dense<[2, 2]> : tensor<2xi64>}
    ins(%x, %w : tensor<1x7x6x2xf64>, tensor<3x2x2x3xf64>) outs(%z : tensor<1x3x3x3xf64>) -> tensor<1x3x3x3xf64>
  return %0 : tensor<1x3x3x3xf64>
}"""

    def f(x: Any, w: Any) -> Any:
        windows = np.lib.stride_tricks.sliding_window_view(x, (3, 2), axis=(1, 2))[:, ::2, ::2]
        return np.einsum("nijchw,hwcf->nijf", windows, w)

    check_derivatives(text, f, [normal(1, 7, 6, 2), normal(3, 2, 2, 3)])


def test_pooling_by_sum_and_by_maximum() -> None:
    def text(kind: str, start: str) -> str:
        return f"""
func.func @f(%x: tensor<1x2x4x4xf64>) -> tensor<1x2x2x2xf64> {{
  %start = arith.constant {start} : f64
  %e = tensor.empty() : tensor<1x2x2x2xf64>
  %z = linalg.fill ins(%start : f64) outs(%e : tensor<1x2x2x2xf64>) -> tensor<1x2x2x2xf64>
  %w = tensor.empty() : tensor<2x2xf64>
  %0 = linalg.pooling_nchw_{kind} {{dilations = dense<1> : tensor<2xi64>, strides = dense<2> : tensor<2xi64>}}
    ins(%x, %w : tensor<1x2x4x4xf64>, tensor<2x2xf64>) outs(%z : tensor<1x2x2x2xf64>) -> tensor<1x2x2x2xf64>
  return %0 : tensor<1x2x2x2xf64>
}}"""

    x = rng.permutation(32).reshape(1, 2, 4, 4) / 7.0

    def blocks(x: Any) -> Any:
        return x.reshape(1, 2, 2, 2, 2, 2)

    check_derivatives(text("sum", "0.0"), lambda x: blocks(x).sum(axis=(3, 5)), [x])
    check_derivatives(text("max", "0xFFF0000000000000"), lambda x: blocks(x).max(axis=(3, 5)), [x])


def test_movement_of_elements() -> None:
    text = """
func.func @f(%x: tensor<2x3xf64>, %s: f64) -> tensor<3x4x2xf64> {
  %e = tensor.empty() : tensor<3x2xf64>
  %t = linalg.transpose ins(%x : tensor<2x3xf64>) outs(%e : tensor<3x2xf64>) permutation = [1, 0]
  %e2 = tensor.empty() : tensor<3x4x2xf64>
  %b = linalg.broadcast ins(%t : tensor<3x2xf64>) outs(%e2 : tensor<3x4x2xf64>) dimensions = [1]
  %g = linalg.fill ins(%s : f64) outs(%e2 : tensor<3x4x2xf64>) -> tensor<3x4x2xf64>
  %m = linalg.mul ins(%b, %g : tensor<3x4x2xf64>, tensor<3x4x2xf64>) outs(%e2 : tensor<3x4x2xf64>) -> tensor<3x4x2xf64>
  %c = linalg.copy ins(%m : tensor<3x4x2xf64>) outs(%e2 : tensor<3x4x2xf64>) -> tensor<3x4x2xf64>
  %r = linalg.exp ins(%c : tensor<3x4x2xf64>) outs(%e2 : tensor<3x4x2xf64>) -> tensor<3x4x2xf64>
  return %r : tensor<3x4x2xf64>
}"""

    def f(x: Any, s: Any) -> Any:
        return np.exp(s * np.broadcast_to(x.T[:, None], (3, 4, 2)))

    check_derivatives(text, f, [normal(2, 3), np.array(0.7)])


def test_map_and_reduce() -> None:
    text = """
func.func @f(%x: tensor<2x3xf64>, %y: tensor<2x3xf64>, %z: tensor<3xf64>) -> tensor<3xf64> {
  %e = tensor.empty() : tensor<2x3xf64>
  %m = linalg.map ins(%x, %y : tensor<2x3xf64>, tensor<2x3xf64>) outs(%e : tensor<2x3xf64>)
    (%a: f64, %b: f64, %init: f64) {
      %0 = math.sin %a : f64
      %1 = arith.divf %0, %b : f64
      linalg.yield %1 : f64
    }
  %r = linalg.reduce ins(%m : tensor<2x3xf64>) outs(%z : tensor<3xf64>) dimensions = [0]
    (%in: f64, %out: f64) {
      %0 = arith.addf %out, %in : f64
      linalg.yield %0 : f64
    }
  return %r : tensor<3xf64>
}"""
    arguments = [normal(2, 3), normal(2, 3) ** 2 + 1, normal(3)]
    check_derivatives(text, lambda x, y, z: z + (np.sin(x) / y).sum(axis=0), arguments)


@pytest.mark.parametrize(
    ("op", "start", "f"),
    [
        ("arith.mulf", "2.0", lambda x: 2 * np.prod(x, axis=(0, 2))),
        ("arith.maximumf", "-0.1", lambda x: np.maximum(-0.1, np.max(x, axis=(0, 2)))),
        ("arith.minimumf", "0x7FF0000000000000", lambda x: np.min(x, axis=(0, 2))),
        ("arith.maxnumf", "0xFFF0000000000000", lambda x: np.max(x, axis=(0, 2))),
        ("arith.minnumf", "0.3", lambda x: np.minimum(0.3, np.min(x, axis=(0, 2)))),
    ],
)
def test_reduction_that_is_no_sum(op: str, start: str, f: Any) -> None:
    text = f"""
func.func @f(%x: tensor<2x3x2xf64>) -> tensor<3xf64> {{
  %start = arith.constant dense<{start}> : tensor<3xf64>
  %r = linalg.reduce ins(%x : tensor<2x3x2xf64>) outs(%start : tensor<3xf64>) dimensions = [0, 2]
    (%in: f64, %out: f64) {{
      %0 = math.tanh %in : f64
      %1 = {op} %0, %out : f64
      linalg.yield %1 : f64
    }}
  return %r : tensor<3xf64>
}}"""
    check_derivatives(text, lambda x: f(np.tanh(x)), [normal(2, 3, 2)])


def test_softmax() -> None:
    text = """
func.func @f(%x: tensor<2x5xf64>) -> tensor<2x5xf64> {
  %e = tensor.empty() : tensor<2x5xf64>
  %0 = linalg.softmax dimension(1) ins(%x : tensor<2x5xf64>) outs(%e : tensor<2x5xf64>) -> tensor<2x5xf64>
  return %0 : tensor<2x5xf64>
}"""

    def f(x: Any) -> Any:
        e = np.exp(x - x.max(axis=1, keepdims=True))
        return e / e.sum(axis=1, keepdims=True)

    check_derivatives(text, f, [normal(2, 5)])


def test_generic_with_several_results_and_indices() -> None:
    text = """
#id = affine_map<(i, j) -> (i, j)>
#row = affine_map<(i, j) -> (i)>
#turned = affine_map<(i, j) -> (j, i)>
func.func @f(%x: tensor<2x3xf64>, %w: tensor<2xf64>) -> tensor<3x2xf64> {
  %e = tensor.empty() : tensor<2x3xf64>
  %t = tensor.empty() : tensor<3x2xf64>
  %0:2 = linalg.generic {indexing_maps = [#id, #row, #turned, #id], iterator_types = ["parallel", "parallel"]}
    ins(%x, %w : tensor<2x3xf64>, tensor<2xf64>) outs(%t, %e : tensor<3x2xf64>, tensor<2x3xf64>) {
    ^bb0(%a: f64, %b: f64, %o: f64, %p: f64):
      %i = linalg.index 0 : index
      %j = linalg.index 1 : index
      %k = arith.addi %i, %j : index
      %n = arith.index_cast %k : index to i64
      %n1 = arith.sitofp %n : i64 to f64
      %1 = arith.mulf %a, %n1 : f64
      %2 = math.sin %1 : f64
      %3 = arith.mulf %2, %b : f64
      %4 = math.exp %b : f64
      linalg.yield %3, %4 : f64, f64
  } -> (tensor<3x2xf64>, tensor<2x3xf64>)
  %5 = linalg.generic {indexing_maps = [#id, #turned], iterator_types = ["parallel", "parallel"]}
    ins(%0#1 : tensor<2x3xf64>) outs(%0#0 : tensor<3x2xf64>) {
    ^bb0(%a: f64, %o: f64):
      %6 = arith.mulf %a, %o : f64
      linalg.yield %6 : f64
  } -> tensor<3x2xf64>
  return %5 : tensor<3x2xf64>
}"""

    def f(x: Any, w: Any) -> Any:
        n = np.arange(2)[:, None] + np.arange(3)
        return (np.sin(x * n) * (w * np.exp(w))[:, None]).T

    check_derivatives(text, f, [normal(2, 3), normal(2)])


# Indexing maps of a result, sizes of the iterations and of the result, and what is written where.
PARTS: dict[str, tuple[str, tuple[int, int], tuple[int, ...], Any]] = {
    "column": ("(i, 1, j)", (3, 2), (3, 4, 2), np.s_[:, 1, :]),
    "every second": ("(2 * i + 1, j)", (3, 2), (7, 2), np.s_[1:7:2]),
    "turned": ("(j, i + 1)", (3, 2), (2, 5), np.s_[:, 1:4]),
    "diagonal": ("(i, i, j)", (3, 2), (3, 3, 2), (np.arange(3), np.arange(3))),
}


@pytest.mark.parametrize("part", PARTS)
def test_result_of_which_a_part_is_computed(part: str) -> None:
    """The other elements are those of the init."""
    map, sizes, shape, place = PARTS[part]
    x, z = spell("x".join(str(n) for n in sizes)), spell("x".join(str(n) for n in shape))
    text = f"""
#id = affine_map<(i, j) -> (i, j)>
#part = affine_map<(i, j) -> {map}>
func.func @f(%x: {x}, %z: {z}) -> {z} {{
  %e = tensor.empty() : {x}
  %0:2 = linalg.generic {{indexing_maps = [#id, #part, #id], iterator_types = ["parallel", "parallel"]}}
    ins(%x : {x}) outs(%z, %e : {z}, {x}) {{
    ^bb0(%a: f64, %o: f64, %p: f64):
      %1 = math.sin %a : f64
      %2 = arith.mulf %1, %1 : f64
      linalg.yield %2, %1 : f64, f64
  }} -> ({z}, {x})
  %3 = linalg.generic {{indexing_maps = [#id, #part], iterator_types = ["parallel", "parallel"]}}
    ins(%0#1 : {x}) outs(%0#0 : {z}) {{
    ^bb0(%a: f64, %o: f64):
      %4 = arith.mulf %a, %o : f64
      linalg.yield %4 : f64
  }} -> {z}
  %5 = arith.mulf %3, %3 : {z}
  return %5 : {z}
}}"""

    def f(x: Any, z: Any) -> Any:
        z = z.copy()
        values = np.sin(x) ** 3
        z[place] = values.T if part == "turned" else values
        return z * z

    check_derivatives(text, f, [normal(*sizes), normal(*shape)])


def test_iterations_that_do_not_happen() -> None:
    text = """
func.func @f(%x: tensor<3x0xf64>, %z: tensor<3xf64>) -> tensor<3xf64> {
  %0 = linalg.generic {
      indexing_maps = [affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (i)>],
      iterator_types = ["parallel", "reduction"]}
    ins(%x : tensor<3x0xf64>) outs(%z : tensor<3xf64>) {
    ^bb0(%a: f64, %o: f64):
      linalg.yield %a : f64
  } -> tensor<3xf64>
  %1 = arith.mulf %0, %0 : tensor<3xf64>
  return %1 : tensor<3xf64>
}"""
    check_derivatives(text, lambda x, z: z * z, [normal(3, 0), normal(3)])


def test_sum_over_what_only_another_operand_measures() -> None:
    text = """
#a = affine_map<(i, j) -> (i)>
#b = affine_map<(i, j) -> (j)>
func.func @f(%x: tensor<3xf64>, %w: tensor<4xf64>) -> tensor<3xf64> {
  %zero = arith.constant dense<0.0> : tensor<3xf64>
  %0 = linalg.generic {indexing_maps = [#a, #b, #a], iterator_types = ["parallel", "reduction"]}
    ins(%x, %w : tensor<3xf64>, tensor<4xf64>) outs(%zero : tensor<3xf64>) {
    ^bb0(%a: f64, %b: f64, %o: f64):
      %1 = arith.addf %a, %b : f64
      %2 = arith.addf %1, %o : f64
      linalg.yield %2 : f64
  } -> tensor<3xf64>
  return %0 : tensor<3xf64>
}"""
    check_derivatives(text, lambda x, w: 4 * x + w.sum(), [normal(3), normal(4)])


def test_values_from_outside_of_a_body() -> None:
    text = """
#id = affine_map<(i) -> (i)>
func.func @f(%s: f64, %x: tensor<3xf64>, %t: tensor<4xf64>) -> tensor<3xf64> {
  %e = tensor.empty() : tensor<3xf64>
  %0 = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]}
    ins(%x : tensor<3xf64>) outs(%e : tensor<3xf64>) {
    ^bb0(%a: f64, %o: f64):
      %1 = arith.mulf %a, %s : f64
      linalg.yield %1 : f64
  } -> tensor<3xf64>
  %2 = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]}
    ins(%0 : tensor<3xf64>) outs(%e : tensor<3xf64>) {
    ^bb0(%a: f64, %o: f64):
      %i = linalg.index 0 : index
      %one = arith.constant 1 : index
      %k = arith.addi %i, %one : index
      %3 = tensor.extract %t[%k] : tensor<4xf64>
      %4 = arith.mulf %a, %3 : f64
      linalg.yield %4 : f64
  } -> tensor<3xf64>
  return %2 : tensor<3xf64>
}"""
    arguments = [np.array(0.7), normal(3), normal(4)]
    check_derivatives(text, lambda s, x, t: s * x * t[1:], arguments)


def test_recurrence_in_a_reduction_and_a_branch_in_a_body() -> None:
    text = """
#in = affine_map<(i) -> (i)>
#out = affine_map<(i) -> ()>
func.func @f(%x: tensor<5xf64>, %s: tensor<f64>) -> tensor<f64> {
  %zero = arith.constant 0.0 : f64
  %e = tensor.empty() : tensor<5xf64>
  %0 = linalg.generic {indexing_maps = [#in, #in], iterator_types = ["parallel"]}
    ins(%x : tensor<5xf64>) outs(%e : tensor<5xf64>) {
    ^bb0(%a: f64, %o: f64):
      %p = arith.cmpf olt, %a, %zero : f64
      %1 = scf.if %p -> f64 {
        %2 = math.exp %a : f64
        scf.yield %2 : f64
      } else {
        %2 = math.sin %a : f64
        scf.yield %2 : f64
      }
      linalg.yield %1 : f64
  } -> tensor<5xf64>
  %3 = linalg.generic {indexing_maps = [#in, #out], iterator_types = ["reduction"]}
    ins(%0 : tensor<5xf64>) outs(%s : tensor<f64>) {
    ^bb0(%a: f64, %o: f64):
      %4 = arith.mulf %o, %o : f64
      %5 = arith.mulf %4, %a : f64
      %6 = arith.addf %5, %a : f64
      linalg.yield %6 : f64
  } -> tensor<f64>
  return %3 : tensor<f64>
}"""

    def f(x: Any, s: Any) -> Any:
        for a in np.where(x < 0, np.exp(x), np.sin(x)):
            s = s * s * a + a
        return s

    check_derivatives(text, f, [0.5 * normal(5), np.array(0.3)])


def test_derivative_of_what_was_not_chosen_is_zero() -> None:
    text = """
#id = affine_map<(i) -> (i)>
func.func @f(%x: tensor<3xf64>) -> tensor<3xf64> {
  %zero = arith.constant 0.0 : f64
  %e = tensor.empty() : tensor<3xf64>
  %0 = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]}
    ins(%x : tensor<3xf64>) outs(%e : tensor<3xf64>) {
    ^bb0(%a: f64, %o: f64):
      %1 = math.log %a : f64
      linalg.yield %1 : f64
  } -> tensor<3xf64>
  %2 = linalg.generic {indexing_maps = [#id, #id, #id], iterator_types = ["parallel"]}
    ins(%x, %0 : tensor<3xf64>, tensor<3xf64>) outs(%e : tensor<3xf64>) {
    ^bb0(%a: f64, %b: f64, %o: f64):
      %p = arith.cmpf ogt, %a, %zero : f64
      %3 = math.sqrt %a : f64
      %4 = arith.addf %3, %b : f64
      %5 = arith.select %p, %4, %zero : f64
      linalg.yield %5 : f64
  } -> tensor<3xf64>
  return %2 : tensor<3xf64>
}"""
    reverse = compile_function(differentiate(text, "f", mode="reverse"), "f_reverse")
    x = np.array([0.0, 4.0, -1.0])
    _, gradient = reverse(x, np.ones(3))
    np.testing.assert_allclose(gradient, [0, 0.25 + 0.25, 0], rtol=1e-14)


def test_products_in_a_loop() -> None:
    text = """
func.func @f(%w: tensor<3x3xf64>, %xs: tensor<4x3xf64>, %h: tensor<3xf64>) -> tensor<3xf64> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c4 = arith.constant 4 : index
  %0 = scf.for %i = %c0 to %c4 step %c1 iter_args(%a = %h) -> (tensor<3xf64>) {
    %x = tensor.extract_slice %xs[%i, 0] [1, 3] [1, 1] : tensor<4x3xf64> to tensor<3xf64>
    %y = linalg.matvec ins(%w, %a : tensor<3x3xf64>, tensor<3xf64>) outs(%x : tensor<3xf64>) -> tensor<3xf64>
    %e = tensor.empty() : tensor<3xf64>
    %z = linalg.tanh ins(%y : tensor<3xf64>) outs(%e : tensor<3xf64>) -> tensor<3xf64>
    scf.yield %z : tensor<3xf64>
  }
  return %0 : tensor<3xf64>
}"""

    def f(w: Any, xs: Any, h: Any) -> Any:
        for x in xs:
            h = np.tanh(w @ h + x)
        return h

    check_derivatives(text, f, [normal(3, 3), normal(4, 3), normal(3)])


def test_example() -> None:
    def loss(w: Any, b: Any, v: Any, x: Any, t: Any) -> Any:
        return np.mean((np.tanh(x @ w + b) @ v - t) ** 2)

    arguments = [normal(3, 4), normal(4), normal(4), normal(8, 3), normal(8)]
    text = EXAMPLE.read_text().replace("@loss", "@f")
    check_derivatives(text, loss, arguments, wrt=[0, 1, 2])
    gradient = compile_function(differentiate(text, "f", wrt=[0, 1, 2]), "f_gradient")
    reverse = compile_function(differentiate(text, "f", wrt=[0, 1, 2], mode="reverse"), "f_reverse")
    for one, other in zip(gradient(*arguments), reverse(*arguments, np.array(1.0)), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-13)


def test_single_precision() -> None:
    text = """
func.func @f(%a: tensor<4x3xf32>, %b: tensor<3xf32>) -> tensor<4xf32> {
  %zero = arith.constant dense<0.0> : tensor<4xf32>
  %0 = linalg.matvec ins(%a, %b : tensor<4x3xf32>, tensor<3xf32>) outs(%zero : tensor<4xf32>) -> tensor<4xf32>
  %1 = math.exp %0 : tensor<4xf32>
  return %1 : tensor<4xf32>
}"""
    reverse = compile_function(differentiate(text, "f", mode="reverse"), "f_reverse")
    a, b, g = (normal(*shape).astype(np.float32) for shape in ((4, 3), (3,), (4,)))
    value, da, db = reverse(a, b, g)
    assert value.dtype == da.dtype == db.dtype == np.float32
    scaled = g * np.exp(a @ b)
    np.testing.assert_allclose(da, scaled[:, None] * b, rtol=1e-5)
    np.testing.assert_allclose(db, scaled @ a, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("access", ["(d, d)", "(d, 0)", "(1, d)"])
def test_elements_that_are_not_read(access: str) -> None:
    text = f"""
func.func @f(%a: tensor<3x3xf64>) -> tensor<3xf64> {{
  %e = tensor.empty() : tensor<3xf64>
  %0 = linalg.generic {{indexing_maps = [affine_map<(d) -> {access}>, affine_map<(d) -> (d)>],
      iterator_types = ["parallel"]}}
      ins(%a : tensor<3x3xf64>) outs(%e : tensor<3xf64>) {{
    ^bb0(%p: f64, %out: f64):
      %square = arith.mulf %p, %p : f64
      linalg.yield %square : f64
  }} -> tensor<3xf64>
  return %0 : tensor<3xf64>
}}"""
    read = {"(d, d)": np.diag, "(d, 0)": lambda a: a[:, 0], "(1, d)": lambda a: a[1]}[access]
    check_derivatives(text, lambda a: read(a) ** 2, [normal(3, 3)])


def elementwise(body: str) -> str:
    """The product of x and what `body` computes of its elements, named %r."""
    return f"""
#id = affine_map<(i) -> (i)>
func.func @f(%x: tensor<4xf64>) -> tensor<4xf64> {{
  %zero = arith.constant 0.0 : f64
  %one = arith.constant 1.0 : f64
  %e = tensor.empty() : tensor<4xf64>
  %y = linalg.generic {{indexing_maps = [#id, #id], iterator_types = ["parallel"]}}
      ins(%x : tensor<4xf64>) outs(%e : tensor<4xf64>) {{
    ^bb0(%a: f64, %o: f64):
      {body}
      linalg.yield %r : f64
  }} -> tensor<4xf64>
  %0 = linalg.generic {{indexing_maps = [#id, #id, #id], iterator_types = ["parallel"]}}
      ins(%x, %y : tensor<4xf64>, tensor<4xf64>) outs(%e : tensor<4xf64>) {{
    ^bb0(%a: f64, %b: f64, %o: f64):
      %r = arith.mulf %a, %b : f64
      linalg.yield %r : f64
  }} -> tensor<4xf64>
  return %0 : tensor<4xf64>
}}"""


POINTS = np.array([0.3, -1.7, 2.4, -0.2])


@pytest.mark.parametrize(
    ("body", "f"),
    [
        ("%r = math.floor %a : f64", np.floor),
        (
            "%p = arith.cmpf ogt, %a, %zero : f64\n      %r = arith.select %p, %one, %zero : f64",
            lambda x: (x > 0) * 1.0,
        ),
        ("%r = arith.maximumf %a, %zero : f64", lambda x: np.maximum(x, 0)),
        ("%r = arith.remf %a, %one : f64", lambda x: np.fmod(x, 1)),
    ],
    ids=["floor", "mask", "relu", "remf"],
)
def test_tangents_that_are_zero(body: str, f: Any) -> None:
    check_derivatives(elementwise(body), lambda x: x * f(x), [POINTS])


def test_a_sum_of_choices() -> None:
    text = """
#m = affine_map<(i, j) -> (i)>
#n = affine_map<(i, j) -> (i, j)>
func.func @f(%x: tensor<2x2xf64>) -> tensor<2xf64> {
  %zero = arith.constant 0.0 : f64
  %e = tensor.empty() : tensor<2xf64>
  %z = linalg.fill ins(%zero : f64) outs(%e : tensor<2xf64>) -> tensor<2xf64>
  %r = linalg.generic {indexing_maps = [#n, #m], iterator_types = ["parallel", "reduction"]}
      ins(%x : tensor<2x2xf64>) outs(%z : tensor<2xf64>) {
    ^bb0(%a: f64, %o: f64):
      %p = arith.cmpf olt, %a, %zero : f64
      %s = arith.select %p, %a, %zero : f64
      %0 = arith.addf %o, %s : f64
      linalg.yield %0 : f64
  } -> tensor<2xf64>
  return %r : tensor<2xf64>
}"""
    check_derivatives(text, lambda x: np.minimum(x, 0).sum(1), [POINTS.reshape(2, 2)])
    adjoint = differentiate(text, "f", mode="reverse", wrt=[0])
    twice = differentiate(adjoint, "f_reverse", mode="reverse", wrt=[0], of=[1], name="second")
    results = compile_function(twice, "second")(POINTS.reshape(2, 2), np.ones(2), np.ones((2, 2)))
    np.testing.assert_array_equal(results[-1], np.zeros((2, 2)))
