# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Programs whose kernels the tests of PTX look at, by name."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Sequence
from typing import Any

import ml_dtypes
import numpy as np
from harness import CONTEXT, define, tensor
from mlir import ir
from ops import ELEMENTWISE

import gradopt as go
from gradopt.dialects import grad

Code = bytes | str
Array = np.ndarray[Any, Any]


def traced(function: Callable[..., Any], *args: Any) -> Code:
    """The program of a NumPy function."""
    return go.compile(function).lower(*args).program.code


def value_and_grad(function: Callable[..., Any], *args: Any, argnums: Any = 0) -> Code:
    """The program of its value and gradient."""
    return go.compile_value_and_grad(function, argnums=argnums).lower(*args).program.code


def ones(shape: Sequence[int], dtype: Any = np.float32) -> Array:
    """Values do not matter: nothing runs."""
    return np.ones(shape, dtype)


def module(inputs: Sequence[tuple[Sequence[int], Any]], body: Callable[..., Any]) -> Code:
    """A module of the dialect with arguments of these shapes and dtypes."""
    with CONTEXT, ir.Location.unknown():
        result = ir.Module.create()
        with ir.InsertionPoint(result.body):
            define("main", [tensor(*spec) for spec in inputs], body, public=True)
        return str(result)


def each_op(dtype: str) -> Code:
    """Each elementwise op that takes such operands, in a kernel of its own."""
    rows = [row for row in ELEMENTWISE.values() if dtype in row.dtypes]
    inputs: list[tuple[Sequence[int], Any]] = []
    for size, row in enumerate(rows, 5000):  # Of one size, they would be fused.
        kinds = ["?"] * row.conditions + [dtype] * (row.arity - row.conditions)
        inputs += [((size,), kind) for kind in kinds]

    def body(*x: Any) -> list[Any]:
        rest = iter(x)
        return [getattr(grad, row.op)(*itertools.islice(rest, row.arity)) for row in rows]

    return module(inputs, body)


def chain(x: Any, y: Any) -> Any:
    return np.exp(-np.abs(x)) * np.tanh(y) + np.sqrt(1 + x * x)


def scaled(x: Any, y: Any) -> Any:
    return 2 * x + y


def softmax(x: Any) -> Any:
    e = np.exp(x - np.max(x, axis=1, keepdims=True))
    return e / np.sum(e, axis=1, keepdims=True)


def log_sum_exp(x: Any) -> Any:
    largest = np.max(x, axis=1, keepdims=True)
    return np.log(np.sum(np.exp(x - largest), axis=1)) + largest[:, 0]


def layer_norm(x: Any, scale: Any, bias: Any) -> Any:
    centred = x - np.mean(x, axis=1, keepdims=True)
    variance = np.mean(centred * centred, axis=1, keepdims=True)
    return centred / np.sqrt(variance + 1e-5) * scale + bias


def small_loop(x: Any) -> Any:
    return go.fori_loop(0, 100, lambda i, y: y + np.sin(y) * 0.01, x)


def large_loop(x: Any) -> Any:
    return go.fori_loop(0, 100, lambda i, y: y + np.sin(y) * 0.01, x)


def newton(x: Any) -> Any:
    return go.while_loop(
        lambda s: np.max(np.abs(s * s - x)) > 1e-6, lambda s: 0.5 * (s + x / s), x + 1
    )


def scan_rows(x: Any) -> Any:
    return np.cumsum(x, axis=1)


def embed(table: Any, at: Any) -> Any:
    return np.sum(np.tanh(table[at]))


def convolve(x: Any, kernels: Any) -> Any:
    return np.sum(np.tanh(go.nn.conv2d(x, kernels, padding="same")))


def digits(params: Any, x: Any, y: Any) -> Any:
    """The loss of the demo."""
    (w0, w1), (b0, b1) = params
    h = np.tanh(np.tanh(x @ w0 + b0) @ w1 + b1)
    return -np.sum((h - np.log(np.sum(np.exp(h), axis=1, keepdims=True))) * y)


def attend(q: Any, k: Any, v: Any) -> Any:
    return np.sum(softmax(q @ k.T / 8) @ v)


def dropout(key: Any, x: Any) -> Any:
    return x * go.random.bernoulli(key, 0.5, x.shape) + go.random.normal(key, x.shape)


def products(dtype: Any, shape: tuple[int, int] = (200, 300)) -> Code:
    a, b = ones(shape, dtype), ones(shape[::-1], dtype)
    return traced(lambda a, b: (a @ b, a @ a.T, a.T @ a, a.T @ b.T), a, b)


def layers(dtype: Any, shape: tuple[int, int] = (200, 300)) -> Code:
    """Products with biases, activations, and numbers beside them, by large and by small tiles."""
    m, n = shape
    a, w, v = ones(shape, dtype), ones((n, m), dtype), ones((m, 30), dtype)

    def run(a: Any, w: Any, v: Any, b: Any, r: Any) -> Any:
        h = np.maximum(a @ w + b, 0)
        y = h @ v
        return np.tanh(y) * r, r + 1

    return traced(run, a, w, v, ones(m, dtype), ones((m, 30), dtype))


def any_rows(x: Any) -> Any:
    """Over a number of rows that the call tells: at once, and by sums of chunks."""
    return softmax(x), np.sum(np.sin(x[:, :4]), axis=0), x.T @ np.tanh(x), np.cos(x[:, 0])


def sized(function: Callable[..., Any], x: Any) -> Code:
    """The program of a function for any number of rows of x up to those that it has."""
    dims = {"x": {0: go.Dim("n", max=len(x))}}
    return go.compile(function, dynamic=dims, device="cuda").lower(x).program.code


def unbounded(function: Callable[..., Any], x: Any) -> Code:
    """The program for any number of rows, as bundles have it."""
    return go.compile(function, dynamic={"x": {0: "n"}}).lower(x).program.code


def small_systems(a: Any, b: Any) -> Any:
    lower = np.linalg.cholesky(a)
    return np.sum(np.linalg.solve(a, b)) + np.sum(lower) + np.sum(np.linalg.slogdet(a)[1])


def many_sums(x: Any) -> Any:
    """More accumulators than shared memory has room for at once."""
    return [np.sum(np.sqrt(x * i)) for i in range(40)]


def many_buffers(xs: Any) -> Any:
    """More buffers than a kernel has room for."""
    return [functools.reduce(np.multiply, xs[i : i + 20]) for i in range(0, len(xs), 20)]


ROWS, LONG = (512, 1000), (1 << 20,)
INDICES = np.zeros(5000, np.int64)
WEIGHTS = [[ones((64, 128)), ones((128, 10))], [ones(128), ones(10)]]

PROGRAMS: dict[str, Callable[[], Code]] = {
    "elementwise f32": functools.partial(traced, chain, ones(LONG), ones(LONG)),
    "elementwise f64": functools.partial(traced, chain, ones(LONG, "f8"), ones(LONG, "f8")),
    "axpy f32": functools.partial(traced, scaled, ones(LONG), ones(LONG)),
    "axpy f64": functools.partial(traced, scaled, ones(LONG, "f8"), ones(LONG, "f8")),
    "axpy i64": functools.partial(traced, scaled, ones(LONG, "i8"), ones(LONG, "i8")),
    "softmax": functools.partial(traced, softmax, ones(ROWS)),
    "softmax f64": functools.partial(traced, softmax, ones(ROWS, "f8")),
    "log-sum-exp": functools.partial(value_and_grad, lambda x: np.sum(log_sum_exp(x)), ones(ROWS)),
    "layer norm": functools.partial(
        value_and_grad,
        lambda *a: np.sum(layer_norm(*a)),
        *(ones(ROWS), ones(1000), ones(1000)),
        argnums=(0, 1, 2),
    ),
    "reductions f32": functools.partial(
        traced, lambda x: (x.sum(0), x.max(1), x.sum(), x.argmax(1)), ones((4096, 256))
    ),
    "reductions f64": functools.partial(
        traced, lambda x: (x.sum(0), x.min(1), x.prod(), x.argmin()), ones((4096, 256), "f8")
    ),
    "products f32": functools.partial(products, np.float32),
    "products f64": functools.partial(products, np.float64),
    "products f16": functools.partial(products, np.float16),
    "products bf16": functools.partial(products, ml_dtypes.bfloat16),
    "large f16": functools.partial(products, np.float16, (4096, 2048)),
    "long bf16": functools.partial(products, ml_dtypes.bfloat16, (20, 9000)),
    "layers f32": functools.partial(layers, np.float32),
    "layers f64": functools.partial(layers, np.float64),
    "layers f16": functools.partial(layers, np.float16),
    "layers bf16": functools.partial(layers, ml_dtypes.bfloat16),
    "large layers f32": functools.partial(layers, np.float32, (2048, 1024)),
    "large layers f64": functools.partial(layers, np.float64, (2048, 1024)),
    "large layers f16": functools.partial(layers, np.float16, (4096, 2048)),
    "any number of rows f32": functools.partial(sized, any_rows, ones((4096, 64))),
    "any number of rows f64": functools.partial(sized, any_rows, ones((4096, 64), "f8")),
    "unbounded rows f32": functools.partial(unbounded, any_rows, ones((4096, 64))),
    "unbounded rows f64": functools.partial(unbounded, any_rows, ones((4096, 64), "f8")),
    "batched product": functools.partial(
        traced, lambda a, b: a @ b, ones((8, 64, 96)), ones((8, 96, 64))
    ),
    "convolution": functools.partial(
        value_and_grad, convolve, ones((8, 3, 28, 28)), ones((16, 3, 3, 3)), argnums=(0, 1)
    ),
    "embedding": functools.partial(value_and_grad, embed, ones((1000, 64)), INDICES),
    "transpose": functools.partial(traced, lambda x: np.tanh(x).T + 1, ones((512, 768))),
    "cumsum": functools.partial(traced, scan_rows, ones(ROWS)),
    "cumsum f32": functools.partial(traced, lambda x: np.cumsum(x), ones(LONG)),
    "cumsum f64": functools.partial(traced, lambda x: np.cumsum(x), ones(LONG, "f8")),
    "cumsum of columns": functools.partial(traced, lambda x: np.cumsum(x, 0), ones(ROWS)),
    "small loop": functools.partial(traced, small_loop, ones(64, "f8")),
    "large loop": functools.partial(traced, large_loop, ones(LONG)),
    "loop gradient": functools.partial(
        value_and_grad, lambda x: np.sum(small_loop(x)), ones(64, "f8")
    ),
    "while": functools.partial(traced, newton, ones(100, "f8")),
    "digits": functools.partial(value_and_grad, digits, WEIGHTS, ones((128, 64)), ones((128, 10))),
    "attention": functools.partial(
        value_and_grad, attend, *(ones((256, 64)) for _ in range(3)), argnums=(0, 1, 2)
    ),
    "sums of long columns": functools.partial(
        value_and_grad, lambda b, x: np.sum(np.tanh(x + b)), ones(64), ones((100_000, 64))
    ),
    "many sums": functools.partial(traced, many_sums, ones(100_000, "f8")),
    "many buffers": functools.partial(
        traced, many_buffers, [ones(3 + i // 20) for i in range(1000)]
    ),
    "complex sums": functools.partial(
        traced, lambda x: (x.sum(0), x.sum(1), x.sum(), np.cumsum(x, 1)), ones((4096, 256), "c16")
    ),
    "complex products": functools.partial(products, np.complex64),
    "complex sort": functools.partial(traced, lambda x: np.sort(x), ones((64, 512), "c8")),
    "small systems f32": functools.partial(
        value_and_grad, small_systems, ones((1000, 8, 8)), ones((1000, 8, 2)), argnums=(0, 1)
    ),
    "small systems f64": functools.partial(
        value_and_grad, small_systems, ones((50, 32, 32), "f8"), ones((50, 32, 3), "f8")
    ),
    "random": functools.partial(traced, dropout, go.random.key(0), ones((64, 512))),
    "ops f32": functools.partial(each_op, "f4"),
    "ops f64": functools.partial(each_op, "f8"),
    "ops c64": functools.partial(each_op, "c8"),
    "ops c128": functools.partial(each_op, "c16"),
    "ops i32": functools.partial(each_op, "i4"),
    "ops i64": functools.partial(each_op, "i8"),
    "ops i1": functools.partial(each_op, "?"),
}
