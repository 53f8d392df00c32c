# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Derivatives of each op of arith and math, on scalars and tensors, against finite differences."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.special
from mlir_program import parse
from upstream_program import check_derivatives, compile_function, differentiate

Function = Callable[..., Any]

# Op, function, and where its arguments lie.
UNARY: list[tuple[str, Function, tuple[float, float]]] = [
    ("arith.negf", np.negative, (-2, 2)),
    ("math.absf", np.abs, (0.1, 2)),
    ("math.absf", np.abs, (-2, -0.1)),
    ("math.sqrt", np.sqrt, (0.5, 3)),
    ("math.rsqrt", lambda x: 1 / np.sqrt(x), (0.5, 3)),
    ("math.cbrt", np.cbrt, (-3, -0.5)),
    ("math.exp", np.exp, (-2, 2)),
    ("math.exp2", np.exp2, (-2, 2)),
    ("math.expm1", np.expm1, (-2, 2)),
    ("math.log", np.log, (0.5, 3)),
    ("math.log2", np.log2, (0.5, 3)),
    ("math.log10", np.log10, (0.5, 3)),
    ("math.log1p", np.log1p, (-0.5, 3)),
    ("math.sin", np.sin, (-3, 3)),
    ("math.cos", np.cos, (-3, 3)),
    ("math.tan", np.tan, (-1, 1)),
    ("math.asin", np.arcsin, (-0.7, 0.7)),
    ("math.acos", np.arccos, (-0.7, 0.7)),
    ("math.atan", np.arctan, (-2, 2)),
    ("math.sinh", np.sinh, (-2, 2)),
    ("math.cosh", np.cosh, (-2, 2)),
    ("math.tanh", np.tanh, (-2, 2)),
    ("math.asinh", np.arcsinh, (-2, 2)),
    ("math.acosh", np.arccosh, (1.5, 3)),
    ("math.atanh", np.arctanh, (-0.7, 0.7)),
    ("math.erf", scipy.special.erf, (-2, 2)),
    ("math.erfc", scipy.special.erfc, (-2, 2)),
    ("math.floor", np.floor, (0.2, 0.8)),
    ("math.ceil", np.ceil, (0.2, 0.8)),
    ("math.round", np.round, (0.6, 0.9)),
    ("math.roundeven", np.round, (0.6, 0.9)),
    ("math.trunc", np.trunc, (-0.8, -0.2)),
]

BINARY: list[tuple[str, Function, tuple[float, float], tuple[float, float]]] = [
    ("arith.addf", np.add, (-2, 2), (-2, 2)),
    ("arith.subf", np.subtract, (-2, 2), (-2, 2)),
    ("arith.mulf", np.multiply, (-2, 2), (-2, 2)),
    ("arith.divf", np.divide, (-2, 2), (0.5, 2)),
    ("arith.remf", np.fmod, (5.1, 5.4), (1.2, 1.6)),
    ("arith.maximumf", np.maximum, (-2, 0), (0.1, 2)),
    ("arith.minimumf", np.minimum, (-2, 0), (0.1, 2)),
    ("arith.maxnumf", np.fmax, (-2, 0), (0.1, 2)),
    ("arith.minnumf", np.fmin, (-2, 0), (0.1, 2)),
    ("math.powf", np.power, (0.5, 2), (-2, 2)),
    ("math.atan2", np.arctan2, (0.5, 2), (-2, 2)),
    ("math.copysign", np.copysign, (0.5, 2), (-2, -1)),
]

TYPES = {"f64": (), "tensor<3xf64>": (3,)}


def draw(bounds: tuple[float, float], shape: tuple[int, ...], seed: int = 0) -> Any:
    return np.asarray(np.random.default_rng(seed).uniform(*bounds, size=shape))


@pytest.mark.parametrize("type", TYPES)
@pytest.mark.parametrize(("op", "f", "bounds"), UNARY, ids=[row[0] for row in UNARY])
def test_unary(op: str, f: Function, bounds: tuple[float, float], type: str) -> None:
    text = f"""
func.func @f(%x: {type}) -> {type} {{
  %0 = {op} %x : {type}
  %1 = arith.mulf %0, %0 : {type}
  %2 = arith.addf %1, %x : {type}
  return %2 : {type}
}}"""
    check_derivatives(text, lambda x: f(x) ** 2 + x, [draw(bounds, TYPES[type])])


@pytest.mark.parametrize("type", TYPES)
@pytest.mark.parametrize(("op", "f", "left", "right"), BINARY, ids=[row[0] for row in BINARY])
def test_binary(op: str, f: Function, left: Any, right: Any, type: str) -> None:
    text = f"""
func.func @f(%x: {type}, %z: {type}) -> {type} {{
  %0 = {op} %x, %z : {type}
  %1 = arith.mulf %0, %x : {type}
  return %1 : {type}
}}"""
    arguments = [draw(left, TYPES[type]), draw(right, TYPES[type], 1)]
    check_derivatives(text, lambda x, z: f(x, z) * x, arguments)


def test_several_operands_and_results() -> None:
    text = """
func.func @f(%x: f64, %z: f64, %n: i32) -> f64 {
  %0 = math.fma %x, %z, %x : f64
  %s, %c = math.sincos %0 : f64
  %1 = arith.mulf %s, %z : f64
  %2 = math.fpowi %x, %n : f64, i32
  %3 = arith.mulf %c, %2 : f64
  %4 = arith.addf %1, %3 : f64
  return %4 : f64
}"""

    def f(x: Any, z: Any, n: Any) -> Any:
        w = x * z + x
        return np.sin(w) * z + np.cos(w) * x ** float(n)

    check_derivatives(text, f, [np.array(-0.7), np.array(1.3), np.array(3, np.int32)])


@pytest.mark.parametrize("x", [-0.4, 0.3, 1.9])
def test_clamp(x: float) -> None:
    text = """
func.func @f(%x: f64, %low: f64, %high: f64) -> f64 {
  %0 = math.clampf %x to [%low, %high] : f64
  %1 = arith.mulf %0, %0 : f64
  return %1 : f64
}"""
    arguments = [np.array(x), np.array(0.1), np.array(1.3)]
    check_derivatives(text, lambda x, low, high: np.clip(x, low, high) ** 2, arguments)


def test_conversions_and_choices() -> None:
    text = """
func.func @f(%x: f64, %z: tensor<3xf64>, %n: i64) -> tensor<3xf64> {
  %limit = arith.constant dense<0.5> : tensor<3xf64>
  %one = arith.constant 1.0 : f64
  %w = arith.sitofp %n : i64 to f64
  %0 = arith.cmpf olt, %z, %limit : tensor<3xf64>
  %1 = math.exp %z : tensor<3xf64>
  %2 = math.sin %z : tensor<3xf64>
  %3 = arith.select %0, %1, %2 : tensor<3xi1>, tensor<3xf64>
  %4 = arith.cmpf olt, %x, %one : f64
  %5 = arith.select %4, %3, %z : tensor<3xf64>
  %6 = arith.mulf %x, %w : f64
  %7 = arith.select %4, %6, %one : f64
  %8 = tensor.splat %7 : tensor<3xf64>
  %9 = arith.mulf %8, %5 : tensor<3xf64>
  return %9 : tensor<3xf64>
}"""

    def f(x: Any, z: Any, n: Any) -> Any:
        return x * n * np.where(z < 0.5, np.exp(z), np.sin(z))

    check_derivatives(text, f, [np.array(0.3), np.array([0.1, 0.7, 0.2]), np.array(2)])


def test_arguments_that_are_not_differentiated_have_any_type() -> None:
    text = """
func.func @f(%x: f64, %h: f16, %v: vector<2xf32>) -> (f64, f16, vector<2xf32>) {
  %0 = arith.extf %h : f16 to f64
  %1 = vector.extract %v[1] : f32 from vector<2xf32>
  %2 = arith.extf %1 : f32 to f64
  %3 = arith.mulf %x, %x : f64
  %4 = arith.mulf %3, %0 : f64
  %5 = arith.mulf %4, %2 : f64
  return %5, %h, %v : f64, f16, vector<2xf32>
}"""
    call = """
func.func @g(%x: f64, %h: f64, %v: f32, %ct: f64) -> (f64, f64, f64) {
  %0 = arith.truncf %h : f64 to f16
  %1 = vector.broadcast %v : f32 to vector<2xf32>
  %2:4 = func.call @f_reverse(%x, %0, %1, %ct)
    : (f64, f16, vector<2xf32>, f64) -> (f64, f16, vector<2xf32>, f64)
  %3 = arith.extf %2#1 : f16 to f64
  return %2#0, %3, %2#3 : f64, f64, f64
}"""
    reverse = differentiate(text, "f", mode="reverse", wrt=[0], of=[0])
    functions = "\n".join(str(op) for op in parse(reverse).body.operations)
    run = compile_function(functions + call, "g")
    value, h, slope = run(np.array(3.0), np.array(0.5), np.array(1.5, np.float32), np.array(2.0))
    assert (value, h, slope) == (9 * 0.5 * 1.5, 0.5, 2 * 6 * 0.5 * 1.5)
