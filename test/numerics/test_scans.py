# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Cumulative sums, and other loops from each element to the next, of lengths that need one warp, one
block, and many."""

from __future__ import annotations

from typing import Any

import harness
import numpy as np
import pytest
from budget import generator
from harness import Array, compile_main
from mlir import ir

import gradopt as go
from gradopt.compilation.compiler import Program
from gradopt.dialects import grad

# Where functions run: test_on_device.py says another place.
DEVICE: str | None = None
LENGTHS = (1, 2, 65, 127, 129, 512, 513, 1023, 1025, 4096, 8193, 20_000)
SHAPES = (
    ((7, 1000), 1),
    ((7, 1000), 0),
    ((300, 7), 0),
    ((1000, 3), 0),
    ((3, 70, 5), 1),
    ((300, 4, 33), 0),
    ((5, 6, 600), 2),
    ((40, 100), 1),
    ((70, 2, 2), 0),
)


def numbers(shape: tuple[int, ...], dtype: str) -> Array:
    """Of which sums are exact, in any order."""
    return generator(3).integers(-8, 9, shape).astype(dtype)


@pytest.mark.parametrize("dtype", ["f4", "f8", "i4", "i8"])
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize(
    ("shape", "dimension"), [*(((n,), 0) for n in LENGTHS), *SHAPES], ids=lambda x: str(x)
)
def test_sums(shape: tuple[int, ...], dimension: int, reverse: bool, dtype: str) -> None:
    def body(x: ir.Value) -> Any:
        return grad.cumsum(x, dimension, reverse=reverse)

    x = numbers(shape, dtype)
    expected = np.cumsum(np.flip(x, dimension) if reverse else x, dimension, dtype=dtype)
    expected = np.flip(expected, dimension) if reverse else expected
    (result,) = compile_main([(shape, dtype)], body)(x)
    np.testing.assert_array_equal(np.asarray(result), expected, strict=True)


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
def test_what_is_not_finite_stays_behind(value: float) -> None:
    x = numbers((9000,), "f8")
    x[5000] = value
    (result,) = compile_main([(x.shape, "f8")], lambda x: grad.cumsum(x, 0))(x)
    np.testing.assert_array_equal(np.asarray(result), np.cumsum(x))


def test_a_sum_that_begins_with_a_negative_zero() -> None:
    x = np.full(3000, -0.0)
    (result,) = compile_main([(x.shape, "f8")], lambda x: grad.cumsum(x, 0))(x)
    assert np.signbit(np.asarray(result)).all()


def accumulate(op: str, kind: str, n: int, factor: int = 1) -> str:
    """y[i] = op(y[i - 1], factor * y[i]), where y is x at first."""
    multiply = "arith.mulf" if kind[0] == "f" else "arith.muli"
    number = f"{factor}.0" if kind[0] == "f" else f"{factor}"
    return f"""
func.func public @main(%x: tensor<{n}x{kind}>) -> tensor<{n}x{kind}> {{
  %one = arith.constant 1 : index
  %size = arith.constant {n} : index
  %factor = arith.constant {number} : {kind}
  %y = scf.for %i = %one to %size step %one iter_args(%y = %x) -> tensor<{n}x{kind}> {{
    %j = arith.subi %i, %one : index
    %before = tensor.extract %y[%j] : tensor<{n}x{kind}>
    %here = tensor.extract %y[%i] : tensor<{n}x{kind}>
    %value = {multiply} %here, %factor : {kind}
    %next = {op} %before, %value : {kind}
    %z = tensor.insert %next into %y[%i] : tensor<{n}x{kind}>
    scf.yield %z : tensor<{n}x{kind}>
  }}
  return %y : tensor<{n}x{kind}>
}}
"""


@pytest.mark.parametrize("n", [70, 600, 10_000])
@pytest.mark.parametrize("factor", [1, 3])
@pytest.mark.parametrize(
    ("op", "dtype", "ufunc"),
    [
        ("arith.maximumf", "f8", np.maximum),
        ("arith.minimumf", "f4", np.minimum),
        ("arith.mulf", "f8", np.multiply),
        ("arith.addf", "f4", np.add),
        ("arith.muli", "i8", np.multiply),
        ("arith.maxsi", "i4", np.maximum),
        ("arith.xori", "i8", np.bitwise_xor),
        ("arith.addi", "i2", np.add),
        ("arith.minsi", "i1", np.minimum),
    ],
)
def test_loops(op: str, dtype: str, ufunc: np.ufunc, n: int, factor: int) -> None:
    """Sums and products of floats are not regrouped: they are NumPy's to the bit."""
    kind = np.dtype(dtype)
    x = generator(4).integers(-20, 20, n).astype(kind)
    if kind.kind == "f":
        x = (1 + x / 300).astype(kind)
    y = x * kind.type(factor)
    y[0] = x[0]
    text = accumulate(op, f"{kind.kind}{8 * kind.itemsize}", n, factor)
    specs = [(kind, (n,))]
    (result,) = harness.load(Program(text, "main"), specs, specs)(x)
    with np.errstate(over="ignore"):
        np.testing.assert_array_equal(np.asarray(result), ufunc.accumulate(y, dtype=kind))


@pytest.mark.parametrize(("shape", "axis"), [((3000,), 0), ((4, 700), 1), ((700, 4), 0)])
def test_gradients(shape: tuple[int, ...], axis: int) -> None:
    x, w = numbers(shape, "f8"), numbers(shape, "f8")
    f = go.compile_grad(lambda x: np.sum(np.cumsum(x, axis) * w), device=DEVICE)
    expected = np.flip(np.cumsum(np.flip(w, axis), axis), axis)
    np.testing.assert_array_equal(np.asarray(f(x)), expected)
