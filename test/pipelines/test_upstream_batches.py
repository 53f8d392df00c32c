# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Functions in upstream dialects, mapped over a batch, against NumPy on one element at a time."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from mlir_program import compile_mlir, lower
from upstream_program import as_tensor, types_of

SIZE = 3

rng = np.random.default_rng(0)


def normal(*shape: int) -> Any:
    return rng.normal(size=shape)


def with_axis(type: str, axis: int | None) -> str:
    """The type of many values of `type`, along a new axis."""
    if axis is None:
        return type
    *sizes, element = re.findall(r"[^x<>]+", as_tensor(type).removeprefix("tensor"))
    sizes.insert(axis, str(SIZE))
    return f"tensor<{'x'.join([*sizes, element])}>"


def mapped(text: str, in_axes: Sequence[int | None], out_axes: Sequence[int | None]) -> str:
    """The module with a @main that maps @f, private, over axes of its arguments."""
    takes, gives = types_of(text, "f")
    inputs = [with_axis(t, a) for t, a in zip(takes, in_axes, strict=True)]
    outputs = [with_axis(t, a) for t, a in zip(gives, out_axes, strict=True)]
    body: list[str] = []
    operands: list[str] = []
    for i, type in enumerate(inputs):
        operands.append(f"%x{i}")
        if type.startswith("tensor"):
            continue
        operands[-1] = f"%s{i}"
        element = "i64" if type == "index" else type
        body.append(f"%n{i} = tensor.extract %x{i}[] : {as_tensor(type)}")
        cast = f"arith.index_cast %n{i} : i64 to index"
        same = f"arith.select %true, %n{i}, %n{i} : {element}"
        body.append(f"%s{i} = {cast if type == 'index' else same}")

    def spell(axes: Sequence[int | None]) -> str:
        return ", ".join("none" if a is None else str(a) for a in axes)

    head = ", ".join(f"%x{i}: {as_tensor(t)}" for i, t in enumerate(inputs))
    lines = "\n  ".join(body)
    return f"""{text.replace("func.func @f", "func.func private @f")}
func.func @main({head}) -> ({", ".join(outputs)}) {{
  %true = arith.constant true
  {lines}
  %r:{len(outputs)} = grad.vmap @f({", ".join(operands)}), in_axes = [{spell(in_axes)}],
    out_axes = [{spell(out_axes)}], size = {SIZE} : ({", ".join(inputs)}) -> ({", ".join(outputs)})
  return {", ".join(f"%r#{i}" for i in range(len(outputs)))} : {", ".join(outputs)}
}}"""


def check_batches(
    text: str,
    f: Callable[..., Any],
    arguments: Sequence[Any],
    *,
    never: Sequence[int] = (),
    loops: bool = False,
) -> None:
    """Maps @f, which has one result, over all of its arguments, and over each one alone.

    `arguments` are stacked along axis 0; those in `never` are single, and never mapped. Without
    `loops`, no element of the batch is computed by itself.
    """
    count = len(arguments)
    places = [i for i in range(count) if i not in never]
    for chosen in [places, *([i] for i in places if count > 1)]:
        axes = [0 if i in chosen else None for i in range(count)]
        actual = [
            np.asarray(a) if i in chosen or i in never else np.asarray(a)[0]
            for i, a in enumerate(arguments)
        ]
        program = mapped(text, axes, [0])
        expected = np.stack(
            [f(*(a[n] if i in chosen else a for i, a in enumerate(actual))) for n in range(SIZE)]
        )
        (result,) = compile_mlir(program)(*(np.asarray(a, order="C") for a in actual))
        np.testing.assert_allclose(result, expected, rtol=1e-12, atol=1e-12, err_msg=str(axes))
        if not loops:
            assert "scf.for" not in lower(program, "adjoint"), axes


def test_elementwise_ops_of_scalars_and_tensors() -> None:
    text = """
func.func @f(%x: tensor<4xf64>, %s: f64, %n: i64) -> tensor<4xf64> {
  %zero = arith.constant dense<0.0> : tensor<4xf64>
  %two = arith.constant 2 : i64
  %m = arith.muli %n, %two : i64
  %r = arith.sitofp %m : i64 to f64
  %0 = math.sin %x : tensor<4xf64>
  %1 = math.fma %0, %x, %0 : tensor<4xf64>
  %2 = arith.cmpf ogt, %x, %zero : tensor<4xf64>
  %3 = arith.select %2, %1, %x : tensor<4xi1>, tensor<4xf64>
  %4 = arith.mulf %s, %r : f64
  %5 = arith.cmpi slt, %n, %two : i64
  %6 = arith.select %5, %4, %s : f64
  %7 = tensor.splat %6 : tensor<4xf64>
  %8 = arith.divf %3, %7 : tensor<4xf64>
  return %8 : tensor<4xf64>
}"""

    def f(x: Any, s: Any, n: Any) -> Any:
        y = np.where(x > 0, np.sin(x) * x + np.sin(x), x)
        return y / (s * 2 * n if n < 2 else s)

    check_batches(text, f, [normal(SIZE, 4), normal(SIZE), np.array([1, 2, 3])])


def test_scalars_in_and_out() -> None:
    text = """
func.func @f(%x: f64, %i: index, %n: i32) -> f64 {
  %0 = arith.index_cast %i : index to i32
  %1 = arith.addi %0, %n : i32
  %2 = arith.index_cast %1 : i32 to index
  %3 = arith.addi %2, %i : index
  %4 = arith.index_castui %3 : index to i64
  %5 = arith.sitofp %4 : i64 to f64
  %6 = arith.mulf %x, %5 : f64
  return %6 : f64
}"""
    arguments = [normal(SIZE), np.array([1, 4, 2]), np.array([3, -1, 2], np.int32)]
    check_batches(text, lambda x, i, n: x * (2 * i + n), arguments)


@pytest.mark.parametrize(
    ("op", "left", "right", "out", "f"),
    [
        ("matmul", (4, 3), (3, 5), (4, 5), lambda a, b: a @ b),
        ("batch_matmul", (2, 4, 3), (2, 3, 5), (2, 4, 5), lambda a, b: a @ b),
        ("matvec", (4, 3), (3,), (4,), lambda a, b: a @ b),
        ("vecmat", (4,), (4, 3), (3,), lambda a, b: a @ b),
        ("dot", (4,), (4,), (), lambda a, b: a @ b),
        ("conv_1d", (7,), (3,), (5,), lambda a, b: np.correlate(a, b, "valid")),
    ],
)
def test_products(op: str, left: Any, right: Any, out: Any, f: Any) -> None:
    a, b, c = (f"tensor<{''.join(f'{n}x' for n in shape)}f64>" for shape in (left, right, out))
    text = f"""
func.func @f(%a: {a}, %b: {b}, %c: {c}) -> {c} {{
  %0 = linalg.{op} ins(%a, %b : {a}, {b}) outs(%c : {c}) -> {c}
  return %0 : {c}
}}"""
    arguments = [normal(SIZE, *shape) for shape in (left, right, out)]
    check_batches(text, lambda a, b, c: c + f(a, b), arguments)


def test_generic_with_indices_and_several_results() -> None:
    text = """
#id = affine_map<(i, j) -> (i, j)>
#row = affine_map<(i, j) -> (i)>
#turned = affine_map<(i, j) -> (j, i)>
func.func @f(%x: tensor<2x3xf64>, %w: tensor<2xf64>, %s: f64) -> tensor<3x2xf64> {
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
      %2 = arith.mulf %1, %b : f64
      %q = tensor.extract %w[%i] : tensor<2xf64>
      %3 = arith.addf %q, %s : f64
      linalg.yield %2, %3 : f64, f64
  } -> (tensor<3x2xf64>, tensor<2x3xf64>)
  %5 = linalg.generic {indexing_maps = [#id, #turned], iterator_types = ["parallel", "parallel"]}
    ins(%0#1 : tensor<2x3xf64>) outs(%0#0 : tensor<3x2xf64>) {
    ^bb0(%a: f64, %o: f64):
      %6 = arith.mulf %a, %o : f64
      linalg.yield %6 : f64
  } -> tensor<3x2xf64>
  return %5 : tensor<3x2xf64>
}"""

    def f(x: Any, w: Any, s: Any) -> Any:
        n = np.arange(2)[:, None] + np.arange(3)
        return (x * n * (w * (w + s))[:, None]).T

    check_batches(text, f, [normal(SIZE, 2, 3), normal(SIZE, 2), normal(SIZE)])


def test_named_structured_ops() -> None:
    text = """
func.func @f(%x: tensor<2x3xf64>, %s: f64, %z: tensor<3xf64>) -> tensor<3x4xf64> {
  %e = tensor.empty() : tensor<3x2xf64>
  %t = linalg.transpose ins(%x : tensor<2x3xf64>) outs(%e : tensor<3x2xf64>) permutation = [1, 0]
  %g = linalg.fill ins(%s : f64) outs(%e : tensor<3x2xf64>) -> tensor<3x2xf64>
  %m = linalg.mul ins(%t, %g : tensor<3x2xf64>, tensor<3x2xf64>) outs(%e : tensor<3x2xf64>) -> tensor<3x2xf64>
  %r = linalg.reduce ins(%m : tensor<3x2xf64>) outs(%z : tensor<3xf64>) dimensions = [1]
    (%in: f64, %out: f64) {
      %0 = arith.maximumf %out, %in : f64
      linalg.yield %0 : f64
    }
  %e2 = tensor.empty() : tensor<3x4xf64>
  %b = linalg.broadcast ins(%r : tensor<3xf64>) outs(%e2 : tensor<3x4xf64>) dimensions = [1]
  %p = linalg.map ins(%b : tensor<3x4xf64>) outs(%e2 : tensor<3x4xf64>)
    (%a: f64, %init: f64) {
      %1 = arith.mulf %a, %s : f64
      linalg.yield %1 : f64
    }
  %q = linalg.softmax dimension(0) ins(%p : tensor<3x4xf64>) outs(%e2 : tensor<3x4xf64>) -> tensor<3x4xf64>
  return %q : tensor<3x4xf64>
}"""

    def f(x: Any, s: Any, z: Any) -> Any:
        y = np.repeat(np.maximum(z, (x.T * s).max(axis=1))[:, None], 4, axis=1) * s
        e = np.exp(y)
        return e / e.sum(axis=0)

    check_batches(text, f, [normal(SIZE, 2, 3), normal(SIZE), normal(SIZE, 3)])


def test_elements_at_places_that_are_the_same_or_differ() -> None:
    text = """
func.func @f(%x: tensor<4x3xf64>, %s: f64, %i: index) -> tensor<4x3xf64> {
  %c1 = arith.constant 1 : index
  %0 = tensor.extract %x[%i, %c1] : tensor<4x3xf64>
  %1 = arith.mulf %0, %s : f64
  %2 = tensor.insert %1 into %x[%c1, %i] : tensor<4x3xf64>
  %3 = tensor.from_elements %1, %s, %0 : tensor<3xf64>
  %4 = tensor.extract %3[%i] : tensor<3xf64>
  %5 = tensor.splat %4 : tensor<4x3xf64>
  %6 = arith.mulf %5, %2 : tensor<4x3xf64>
  return %6 : tensor<4x3xf64>
}"""

    def f(x: Any, s: Any, i: Any) -> Any:
        y = x.copy()
        y[1, i] = x[i, 1] * s
        return y * [x[i, 1] * s, s, x[i, 1]][i]

    arguments = [normal(SIZE, 4, 3), normal(SIZE), np.array([2, 0, 1])]
    check_batches(text, f, arguments)


def test_slices() -> None:
    text = """
func.func @f(%x: tensor<4x5xf64>, %r: tensor<3xf64>, %i: index) -> tensor<4x5xf64> {
  %0 = tensor.extract_slice %x[%i, 1] [1, 3] [1, 1] : tensor<4x5xf64> to tensor<3xf64>
  %1 = arith.mulf %0, %r : tensor<3xf64>
  %2 = tensor.insert_slice %1 into %x[1, %i] [1, 3] [1, 1] : tensor<3xf64> into tensor<4x5xf64>
  %3 = tensor.extract_slice %2[0, 0] [2, 3] [2, 2] : tensor<4x5xf64> to tensor<2x3xf64>
  %4 = tensor.insert_slice %3 into %2[2, 1] [2, 3] [1, 1] : tensor<2x3xf64> into tensor<4x5xf64>
  return %4 : tensor<4x5xf64>
}"""

    def f(x: Any, r: Any, i: Any) -> Any:
        y = x.copy()
        y[1, i : i + 3] = x[i, 1:4] * r
        z = y.copy()
        z[2:4, 1:4] = y[0:4:2, 0:5:2]
        return z

    arguments = [normal(SIZE, 4, 5), normal(SIZE, 3)]
    check_batches(text, f, [*arguments, np.array(1)], never=[2])
    check_batches(text, f, [*arguments, np.array([1, 0, 2])], loops=True)


def test_shapes() -> None:
    text = """
func.func @f(%x: tensor<2x3xf64>, %p: f64) -> tensor<7x3xf64> {
  %0 = tensor.collapse_shape %x [[0, 1]] : tensor<2x3xf64> into tensor<6xf64>
  %1 = tensor.expand_shape %0 [[0, 1]] output_shape [3, 2] : tensor<6xf64> into tensor<3x2xf64>
  %2 = math.exp %1 : tensor<3x2xf64>
  %3 = tensor.concat dim(0) %2, %1 : (tensor<3x2xf64>, tensor<3x2xf64>) -> tensor<6x2xf64>
  %4 = tensor.pad %3 low[1, -1] high[0, 2] {
  ^bb0(%i: index, %j: index):
    tensor.yield %p : f64
  } : tensor<6x2xf64> to tensor<7x3xf64>
  return %4 : tensor<7x3xf64>
}"""

    def f(x: Any, p: Any) -> Any:
        y = x.reshape(3, 2)
        result = np.full((7, 3), p)
        result[1:, 0] = np.concatenate([np.exp(y), y])[:, 1]
        return result

    check_batches(text, f, [normal(SIZE, 2, 3), normal(SIZE)])


def test_generated_elements_and_paddings() -> None:
    text = """
func.func @f(%x: tensor<2x3xf64>, %s: f64) -> tensor<4x2xf64> {
  %c1 = arith.constant 1 : index
  %n = tensor.dim %x, %c1 : tensor<2x3xf64>
  %0 = tensor.generate {
  ^bb0(%i: index, %j: index):
    %1 = tensor.extract %x[%j, %i] : tensor<2x3xf64>
    %2 = arith.mulf %1, %s : f64
    tensor.yield %2 : f64
  } : tensor<3x2xf64>
  %3 = tensor.pad %0 low[1, 0] high[0, 0] {
  ^bb0(%i: index, %j: index):
    %k = arith.addi %j, %n : index
    %4 = arith.index_cast %k : index to i64
    %5 = arith.sitofp %4 : i64 to f64
    %6 = arith.mulf %5, %s : f64
    tensor.yield %6 : f64
  } : tensor<3x2xf64> to tensor<4x2xf64>
  return %3 : tensor<4x2xf64>
}"""

    def f(x: Any, s: Any) -> Any:
        return np.concatenate([[[3 * s, 4 * s]], x.T * s])

    check_batches(text, f, [normal(SIZE, 2, 3), normal(SIZE)])


def test_calls_loops_and_branches() -> None:
    text = """
func.func private @step(%a: f64, %b: f64) -> f64 {
  %0 = arith.mulf %a, %b : f64
  %1 = math.sin %0 : f64
  return %1 : f64
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
    %6 = tensor.insert %3 into %t[%i] : tensor<6xf64>
    scf.yield %3, %6 : f64, tensor<6xf64>
  }
  %7 = tensor.extract %0#1[%c1] : tensor<6xf64>
  %8 = arith.mulf %0#0, %7 : f64
  return %8 : f64
}"""

    def f(x: Any, s: Any) -> Any:
        t = x.copy()
        for i in range(6):
            s = np.sin(s * t[i]) if t[i] < 0 else s / t[i]
            t[i] = s
        return s * t[1]

    check_batches(text, f, [normal(SIZE, 6), normal(SIZE)], loops=True)


def test_axes() -> None:
    text = """
func.func @f(%x: tensor<2x3xf64>, %s: f64) -> (tensor<3x2xf64>, f64, i1) {
  %e = tensor.empty() : tensor<3x2xf64>
  %t = linalg.transpose ins(%x : tensor<2x3xf64>) outs(%e : tensor<3x2xf64>) permutation = [1, 0]
  %0 = arith.mulf %s, %s : f64
  %1 = arith.cmpf ogt, %s, %0 : f64
  return %t, %0, %1 : tensor<3x2xf64>, f64, i1
}"""
    x, s = normal(2, 3, SIZE), np.array(0.5)
    run = compile_mlir(mapped(text, [2, None], [1, 0, 0]))
    t, squares, flags = run(x, s)
    np.testing.assert_array_equal(t, np.moveaxis(x.transpose(2, 1, 0), 0, 1))
    np.testing.assert_array_equal(squares, [0.25] * SIZE)
    np.testing.assert_array_equal(flags, [True] * SIZE)


def test_gradients_of_single_examples() -> None:
    """The batch of a derivative, and the derivative of a batch."""
    text = """
func.func private @loss(%w: tensor<4x3xf64>, %x: tensor<3xf64>) -> f64 {
  %zero = arith.constant 0.0 : f64
  %e = tensor.empty() : tensor<4xf64>
  %z = linalg.fill ins(%zero : f64) outs(%e : tensor<4xf64>) -> tensor<4xf64>
  %0 = linalg.matvec ins(%w, %x : tensor<4x3xf64>, tensor<3xf64>) outs(%z : tensor<4xf64>) -> tensor<4xf64>
  %1 = math.tanh %0 : tensor<4xf64>
  %e0 = tensor.empty() : tensor<f64>
  %z0 = linalg.fill ins(%zero : f64) outs(%e0 : tensor<f64>) -> tensor<f64>
  %2 = linalg.dot ins(%1, %1 : tensor<4xf64>, tensor<4xf64>) outs(%z0 : tensor<f64>) -> tensor<f64>
  %3 = tensor.extract %2[] : tensor<f64>
  return %3 : f64
}
func.func private @gradient(%w: tensor<4x3xf64>, %x: tensor<3xf64>) -> tensor<4x3xf64> {
  %one = arith.constant 1.0 : f64
  %0:2 = grad.vjp @loss(%w, %x), cotangents(%one), wrt = [0], of = [0]
    : (tensor<4x3xf64>, tensor<3xf64>, f64) -> (f64, tensor<4x3xf64>)
  return %0#1 : tensor<4x3xf64>
}
func.func private @losses(%w: tensor<4x3xf64>, %x: tensor<3x3xf64>) -> tensor<3xf64> {
  %0 = grad.vmap @loss(%w, %x), in_axes = [none, 0], out_axes = [0], size = 3
    : (tensor<4x3xf64>, tensor<3x3xf64>) -> tensor<3xf64>
  return %0 : tensor<3xf64>
}
func.func @main(%w: tensor<4x3xf64>, %x: tensor<3x3xf64>, %ct: tensor<3xf64>) -> (tensor<3x4x3xf64>, tensor<4x3xf64>) {
  %0 = grad.vmap @gradient(%w, %x), in_axes = [none, 0], out_axes = [0], size = 3
    : (tensor<4x3xf64>, tensor<3x3xf64>) -> tensor<3x4x3xf64>
  %1:2 = grad.vjp @losses(%w, %x), cotangents(%ct), wrt = [0], of = [0]
    : (tensor<4x3xf64>, tensor<3x3xf64>, tensor<3xf64>) -> (tensor<3xf64>, tensor<4x3xf64>)
  return %0, %1#1 : tensor<3x4x3xf64>, tensor<4x3xf64>
}"""
    w, x, ct = normal(4, 3), normal(SIZE, 3), normal(SIZE)
    single, total = compile_mlir(text)(w, x, ct)
    y = np.tanh(x @ w.T)
    expected = (2 * y * (1 - y * y))[:, :, None] * x[:, None, :]
    np.testing.assert_allclose(single, expected, rtol=1e-12)
    np.testing.assert_allclose(total, np.einsum("n,nij->ij", ct, expected), rtol=1e-12)
    assert "scf.for" not in lower(text, "adjoint")


def test_what_elements_would_do_that_do_not_take_part() -> None:
    """Elements that are done, or go another way, divide by no zero and access no place outside."""
    text = """
func.func @f(%a: i64, %b: i64, %i: index, %x: tensor<4xf64>) -> f64 {
  %c0 = arith.constant 0 : i64
  %c1 = arith.constant 1 : index
  %c4 = arith.constant 4 : index
  %zero = arith.constant 0.0 : f64
  %0:2 = scf.while (%u = %a, %v = %b) : (i64, i64) -> (i64, i64) {
    %more = arith.cmpi ne, %v, %c0 : i64
    scf.condition(%more) %u, %v : i64, i64
  } do {
  ^bb0(%u: i64, %v: i64):
    %r = arith.remsi %u, %v : i64
    scf.yield %v, %r : i64, i64
  }
  %common = arith.sitofp %0#0 : i64 to f64
  %1:3 = scf.while (%k = %i, %s = %zero, %t = %x) : (index, f64, tensor<4xf64>) -> (index, f64, tensor<4xf64>) {
    %more = arith.cmpi slt, %k, %c4 : index
    scf.condition(%more) %k, %s, %t : index, f64, tensor<4xf64>
  } do {
  ^bb0(%k: index, %s: f64, %t: tensor<4xf64>):
    %part = tensor.extract_slice %t[%k] [1] [1] : tensor<4xf64> to tensor<1xf64>
    %double = arith.addf %part, %part : tensor<1xf64>
    %u = tensor.insert_slice %double into %t[%k] [1] [1] : tensor<1xf64> into tensor<4xf64>
    %e = tensor.extract %u[%k] : tensor<4xf64>
    %n = arith.addi %k, %c1 : index
    %s1 = arith.addf %s, %e : f64
    scf.yield %n, %s1, %u : index, f64, tensor<4xf64>
  }
  %isSmall = arith.cmpi slt, %i, %c4 : index
  %2 = scf.if %isSmall -> f64 {
    %q = arith.divsi %a, %0#0 : i64
    %w = arith.sitofp %q : i64 to f64
    %e = tensor.extract %1#2[%i] : tensor<4xf64>
    %y = arith.mulf %w, %e : f64
    scf.yield %y : f64
  } else {
    scf.yield %zero : f64
  }
  %3 = arith.addf %common, %1#1 : f64
  %4 = arith.addf %3, %2 : f64
  return %4 : f64
}"""

    def f(a: Any, b: Any, i: Any, x: Any) -> Any:
        common = np.gcd(a, b)
        y = x.copy()
        y[i:] *= 2
        return common + y[i:].sum() + (a // common * y[i] if i < 4 else 0)

    arguments = [np.array([12, 7, 30]), np.array([18, 5, 12]), np.array([1, 10**9, 3])]
    check_batches(text, f, [*arguments, normal(SIZE, 4)], loops=True)
