# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Whole NumPy expressions through the front end: values and derivatives of all orders and modes.

The functions are plain NumPy, so that they are their own reference: in extended precision, where
differences are as sharp as the compiled derivatives in double precision.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from budget import generator
from differences import Array, directional

import gradopt as go

INDEX = np.array([2, 0, 2, 2])
PAIRS = (np.array([0, 2, 0]), np.array([1, 1, 1]))
MASK = np.array([True, False, True, True, False])


def softmax(x: Array) -> Array:
    e = np.exp(x - np.max(x, axis=-1, keepdims=True))
    return e / np.sum(e, axis=-1, keepdims=True)


def network(x: Array, w1: Array, b1: Array, w2: Array, b2: Array) -> Array:
    h1 = np.tanh(x @ w1 + b1)
    h2 = np.tanh(h1 @ w2 + b2)
    return h2 - np.log(np.sum(np.exp(h2), axis=1, keepdims=True))


def rosenbrock(x: Array) -> Array:
    return np.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


def normalise(x: Array) -> Array:
    return (x - np.mean(x, axis=0)) / np.sqrt(np.var(x, axis=0) + 0.1)


def powers(x: Array) -> Array:
    return x**2 + x**3.0 + 2.0**x + x**-1 + (x * x) ** 0.5


Form = tuple[Callable[..., Any], Sequence[tuple[int, ...]]]

FORMS: dict[str, Form] = {
    # Slices and views.
    "negative step": (lambda x: x[::-1] * x, [(5,)]),
    "negative step of two": (lambda x: x[-2::-2] * 3.0, [(7,)]),
    "negative steps in both": (lambda x: x[::-1, ::-2] * x[:, :2], [(3, 4)]),
    "negative bounds": (lambda x: x[-3:-1] + x[1:3], [(5,)]),
    "integers and slices": (lambda x: x[1, :, -1] * x[0, ::2, 0].sum(), [(2, 4, 3)]),
    "new axes": (lambda x: x[:, None] * x[None, :], [(4,)]),
    "ellipsis": (lambda x: x[..., 0] * x[0, ..., 1], [(2, 2, 2)]),
    "empty slice": (lambda x: np.sum(x[3:3]) + x[0], [(4,)]),
    "transposes": (lambda x: x.T @ x + np.swapaxes(x, 0, 1) @ x, [(3, 4)]),
    "transpose of three": (lambda x: np.transpose(x, (2, 0, 1)) * 2.0, [(2, 3, 4)]),
    "moveaxis and ravel": (lambda x: np.moveaxis(x, 0, -1).ravel() ** 2, [(2, 3, 2)]),
    "reshape of a transpose": (lambda x: x.T.reshape(2, 6)[:, ::-1], [(4, 3)]),
    "flip and roll": (lambda x: np.flip(x, 0) * np.roll(x, 2), [(5,)]),
    # Integer arrays.
    "repeated index": (lambda x: x[INDEX] ** 2, [(3,)]),
    "repeated rows": (lambda x: x[INDEX] * x[1], [(3, 2)]),
    "repeated pairs": (lambda x: x[PAIRS] * x[0, 0], [(3, 2)]),
    "index behind a slice": (lambda x: x[:, INDEX] * x[:, :1], [(2, 3)]),
    "negative index": (lambda x: x[np.array([-1, -1, 0])] ** 2, [(4,)]),
    "take": (lambda x: np.take(x, INDEX, axis=1), [(2, 3)]),
    "mask": (lambda x: np.where(MASK, x, 0.0) ** 2, [(5,)]),
    # Joining and padding.
    "concatenate": (lambda x, y: np.concatenate([x, y, x]) ** 2, [(2, 3), (1, 3)]),
    "stack": (lambda x, y: np.stack([x, x * y], axis=1), [(3,), (3,)]),
    "pad": (lambda x: np.pad(x, ((1, 0), (0, 2))) * 2.0, [(2, 2)]),
    "tile and repeat": (lambda x: np.tile(x, (2, 1)) * np.repeat(x, 2, axis=0), [(2, 3)]),
    "split": (lambda x: np.split(x, 2)[0] * np.split(x, 2)[1], [(6,)]),
    # Products.
    "vector times vector": (lambda x, y: x @ y, [(4,), (4,)]),
    "matrix times vector": (lambda x, y: x @ y, [(3, 4), (4,)]),
    "vector times matrix": (lambda x, y: x @ y, [(3,), (3, 4)]),
    "batched": (lambda x, y: x @ y, [(2, 3, 4), (2, 4, 2)]),
    "batched with broadcast": (lambda x, y: x @ y, [(2, 3, 4), (4, 2)]),
    "batched with broadcast of ones": (lambda x, y: x @ y, [(1, 3, 4), (2, 4, 2)]),
    "batched times vector": (lambda x, y: x @ y, [(2, 3, 4), (4,)]),
    "vector times batched": (lambda x, y: x @ y, [(3,), (2, 3, 4)]),
    "dot": (lambda x, y: np.dot(x, y), [(2, 3), (4, 3, 2)]),
    "outer and inner": (lambda x, y: np.outer(x, y) * np.inner(x, x), [(3,), (4,)]),
    "tensordot": (lambda x, y: np.tensordot(x, y, axes=([1, 2], [1, 0])), [(2, 3, 4), (4, 3, 2)]),
    "einsum product": (lambda x, y: np.einsum("ij,jk->ik", x, y), [(2, 3), (3, 4)]),
    "einsum batched": (lambda x, y: np.einsum("bij,bkj->bik", x, y), [(2, 3, 4), (2, 2, 4)]),
    "einsum to scalar": (lambda x, y: np.einsum("ij,ij->", x, y), [(2, 3), (2, 3)]),
    "einsum transposed": (lambda x: np.einsum("ijk->kij", x) * 2.0, [(2, 3, 4)]),
    "einsum trace": (lambda x: np.einsum("ii->", x), [(3, 3)]),
    "einsum of three": (lambda x, a, y: np.einsum("i,ij,j->", x, a, y), [(3,), (3, 4), (4,)]),
    "quadratic form": (lambda x, a: x @ a @ x, [(4,), (4, 4)]),
    "empty product": (lambda x, y: x @ y, [(2, 0), (0, 3)]),
    "no rows": (lambda x, y: np.sum(x @ y) + np.sum(y), [(0, 2), (2, 3)]),
    "large product": (lambda x, y: np.sum(np.tanh(x @ y) @ y.T, axis=1), [(17, 40), (40, 33)]),
    # Reductions.
    "mean and var": (normalise, [(5, 3)]),
    "std": (lambda x: np.std(x, axis=1, ddof=1), [(2, 5)]),
    "prod": (lambda x: np.prod(x, axis=0), [(4, 2)]),
    "max and min": (lambda x: np.max(x, axis=1) * np.min(x), [(3, 4)]),
    "cumsum": (lambda x: np.cumsum(x, axis=1) ** 2, [(2, 4)]),
    "norm": (lambda x: np.linalg.norm(x), [(5,)]),
    "softmax": (softmax, [(3, 4)]),
    "logaddexp": (lambda x, y: np.logaddexp(x, y), [(4,), (4,)]),
    "trace and diagonal": (lambda x: np.trace(x) * np.diagonal(x), [(3, 3)]),
    # Broadcasting, scalars and shapes without elements.
    "broadcast of both": (lambda x, y: x * y + y, [(3, 1), (1, 4)]),
    "broadcast of a scalar": (lambda x, y: x / (2.0 + y * y), [(2, 3), ()]),
    "broadcast of ones": (lambda x, y: np.sin(x * y), [(1, 3), (2, 1)]),
    "scalars": (lambda x, y: np.sin(x) * y + x / y, [(), ()]),
    "nothing": (lambda x: np.tanh(x) * 2.0, [(0, 3)]),
    "sum of nothing": (lambda x: np.sum(x, axis=0) + 1.0, [(0, 3)]),
    "single elements": (lambda x: np.sum(x * x, axis=(0, 2)), [(1, 1, 1)]),
    # Compositions.
    "powers": (powers, [(4,)]),
    "clip": (lambda x: np.clip(x, -0.9, 0.9) * x, [(6,)]),
    "where on both sides": (lambda x: np.where(x > 0, np.sin(x), x**3), [(6,)]),
    "nested functions": (lambda x: np.exp(np.sin(np.sqrt(1.0 + x * x))), [(4,)]),
    "rosenbrock": (rosenbrock, [(5,)]),
    "network": (network, [(4, 3), (3, 5), (5,), (5, 2), (2,)]),
    "Gaussian": (lambda x, s: np.exp(-np.sum(x**2, axis=-1) / (2 * s**2)) / s, [(3, 2), ()]),
    "angles": (lambda x, y: np.arctan2(x, y) + np.hypot(x, y), [(4,), (4,)]),
}


def sample(shapes: Sequence[tuple[int, ...]], low: float, rng: np.random.Generator) -> list[Array]:
    """Numbers apart from zero and from each other, so that no kink is near."""
    arrays = []
    for shape in shapes:
        sizes = rng.permutation(np.linspace(low, 1.5, int(np.prod(shape))))
        arrays.append((sizes * rng.choice([-1, 1], sizes.size)).reshape(shape))
    return arrays


@pytest.mark.parametrize("name", FORMS)
def test_value_and_derivatives(name: str) -> None:
    f, shapes = FORMS[name]
    rng = generator(6)
    x, t, u = sample(shapes, 0.4, rng), sample(shapes, 0.1, rng), sample(shapes, 0.1, rng)
    y = np.asarray(f(*x))
    c = rng.uniform(-1, 1, y.shape)

    def everything(x: list[Any], t: list[Any], u: list[Any], c: Any) -> Any:
        def pushforward(*x: Any) -> Any:
            return go.jvp(f, x, tuple(t))[1]

        def pullback(*x: Any) -> Any:
            return go.vjp(f, *x)[1](c)

        value, tangent = go.jvp(f, tuple(x), tuple(t))
        forward_reverse = go.jvp(pullback, tuple(x), tuple(t))[1]
        reverse_forward = go.vjp(pushforward, *x)[1](c)
        forward_forward = go.jvp(pushforward, tuple(x), tuple(u))[1]
        reverse_reverse = go.vjp(pullback, *x)[1](tuple(u))
        return (
            value,
            tangent,
            pullback(*x),
            forward_forward,
            forward_reverse,
            reverse_forward,
            reverse_reverse,
        )

    value, tangent, gradient, forward_forward, *others = go.compile(everything)(x, t, u, c)
    scale = 1 + np.abs(y)
    check(value, y, scale, 1e-14)
    slope = directional(f, x, t)
    scale = scale + np.abs(slope)
    check(tangent, slope, scale, 1e-12)
    size = float(np.sum(np.abs(c) * scale)) + 1
    assert abs(inner(gradient, t) - inner([c], [tangent])) <= 1e-12 * size
    curvature = directional(lambda *a: directional(f, a, u), x, t)
    check(forward_forward, curvature, scale + np.abs(curvature), 1e-9)
    size += float(np.sum(np.abs(c) * np.abs(curvature)))
    product = inner([c], [forward_forward])
    for second, direction in zip(others, (u, u, t), strict=True):
        assert abs(inner(second, direction) - product) <= 1e-12 * size


def check(got: Any, want: Array, scale: Array, tolerance: float) -> None:
    got = np.asarray(got)
    assert got.shape == want.shape
    assert got.dtype == np.float64
    assert (np.abs(got - want) <= tolerance * scale).all(), f"got\n{got}, expected\n{want}"


def inner(a: Sequence[Any], b: Sequence[Any]) -> float:
    return float(sum(np.sum(np.multiply(x, y, dtype="g")) for x, y in zip(a, b, strict=True)))
