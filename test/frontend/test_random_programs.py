# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Random expressions over random shapes: values against NumPy, derivatives against differences."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from budget import by_hypothesis
from hypothesis import given
from hypothesis import strategies as st

import gradopt as go

# Smooth on the whole line, with values that stay small.
UNARY: list[Callable[[Any], Any]] = [
    np.tanh,
    np.arctan,
    np.negative,
    lambda x: np.sqrt(1 + x**2),
    lambda x: np.log1p(np.exp(-(x**2))),
    lambda x: x / (1 + x * x),
    lambda x: np.square(np.tanh(x)),
    lambda x: np.expm1(np.tanh(x)),
    lambda x: np.arcsinh(x),
]
BINARY: list[Callable[[Any, Any], Any]] = [
    np.add,
    np.subtract,
    lambda x, y: np.tanh(x) * y,
    lambda x, y: x / (2 + np.tanh(y)),
    np.logaddexp,
    lambda x, y: (1 + np.tanh(x) ** 2) ** np.tanh(y),
]
STRUCTURAL: list[Callable[[Any], Any]] = [
    lambda x: x.T,
    lambda x: x.ravel(),
    lambda x: x[None],
    lambda x: x[..., ::-1] if x.ndim else x,
    lambda x: x[1:] if x.ndim else x,
    lambda x: x.sum(axis=0) if x.ndim else x,
    lambda x: x.sum(axis=-1, keepdims=True) if x.ndim else x,
    lambda x: x.mean(axis=-1) if x.ndim and x.shape[-1] else x,
    lambda x: np.cumsum(x, axis=-1) if x.ndim else x,
    lambda x: np.concatenate([x, 2 * x]) if x.ndim else x,
    lambda x: np.stack([x, x]),
    lambda x: np.pad(x, 1) if x.ndim else x,
    lambda x: x[np.array([0, 0])] if x.ndim and x.shape[0] else x,
    lambda x: np.tensordot(x, x, x.ndim) * x,
    lambda x: x @ x.T if x.ndim == 2 else x,
    lambda x: np.where(x > 0.1234567, x, np.tanh(x) * 0.5),
    lambda x: np.broadcast_to(x, (2, *x.shape)),
    lambda x: np.prod(np.tanh(x), axis=0) if x.ndim else x,
    lambda x: np.outer(x, x),
    lambda x: np.einsum("...i,...i->...", x, np.tanh(x)) if x.ndim else x,
    lambda x: np.einsum("ij,kj->ik", x, x) if x.ndim == 2 else x,
    lambda x: x[..., :, None] * x[..., None, :] if x.ndim else x,
    lambda x: np.var(x, axis=-1, keepdims=True) if x.ndim and x.shape[-1] else x,
    lambda x: x - np.max(x, axis=-1, keepdims=True) if x.ndim and x.shape[-1] else x,
    lambda x: np.diff(x, axis=0) if x.ndim else x,
    lambda x: np.roll(x, 1),
    lambda x: np.tile(x, 2),
    lambda x: np.repeat(x, 2, axis=-1) if x.ndim else x,
    lambda x: np.flip(x),
    lambda x: x.reshape(-1, 1),
    lambda x: np.tril(x) if x.ndim >= 2 else x,
    lambda x: np.diag(x) if x.ndim in (1, 2) else x,
    lambda x: np.moveaxis(x, 0, -1) if x.ndim else x,
    lambda x: np.exp(-np.sum(x**2, axis=0, keepdims=True)) * x if x.ndim else x,
    lambda x: x / np.sqrt(1 + np.sum(x**2)),
    lambda x: np.matmul(x, x.swapaxes(-1, -2)) if x.ndim == 3 else x,
    lambda x: x[..., :2].mean(axis=-1, keepdims=True) + x if x.ndim and x.shape[-1] else x,
    lambda x: (x[1:] * x[:-1]).sum(axis=0) if x.ndim else x,
    lambda x: x.astype(np.float32).astype(np.float64) * 0 + x,
    lambda x: np.concatenate([x[::2], x[1::2]]) if x.ndim else x,
    lambda x: go.numpy.array([[x.sum(), 1.0], [2.0, (x * x).sum()]]),
]


Step = tuple[int, int, int, int]


def _run(steps: list[Step], inputs: list[Any]) -> tuple[Any, Any]:
    """Applies the steps: each takes the last or an earlier value, and adds one."""
    live = [go.numpy.array(value) * 1.0 for value in inputs]
    for kind, which, left, right in steps:
        x = live[-1] if left % 2 else live[left // 2 % len(live)]
        y = live[right % len(live)]
        if kind == 0:
            live.append(UNARY[which % len(UNARY)](x))
        elif kind == 1:
            if _broadcastable(x, y) and np.size(x) * np.size(y) < 4000:
                live.append(BINARY[which % len(BINARY)](x, y))
        elif np.ndim(x) <= 3 and np.size(x) <= 100:
            x = go.numpy.asarray(x) if isinstance(x, np.generic) else x
            live.append(STRUCTURAL[which % len(STRUCTURAL)](x))
    return live[-1] * 1.0, live[len(live) // 2] * 1.0


def _broadcastable(x: Any, y: Any) -> bool:
    try:
        np.broadcast_shapes(np.shape(x), np.shape(y))
    except ValueError:
        return False
    return True


@dataclass(frozen=True)
class Program:
    """A number of random steps on two arrays, whose shapes broadcast, and a Python number.

    All follows from the seed, so that of a failing program the shortest beginning is reported.
    """

    seed: int
    length: int

    def __call__(self, *inputs: Any) -> tuple[Any, Any]:
        random = np.random.default_rng([self.seed, 1])
        steps = [
            (int(random.choice(3, p=[0.2, 0.3, 0.5])), *random.integers(0, 1000, 3).tolist())
            for _ in range(self.length)
        ]
        return _run(steps, list(inputs))

    def arguments(self, dtype: Any = np.float64) -> tuple[Any, ...]:
        """What to start from; dimensions may be 0 or 1."""
        random = np.random.default_rng([self.seed, 0])
        rank = random.choice(4, p=[0.1, 0.3, 0.3, 0.3])
        shape = tuple(random.choice(4, rank, p=[0.07, 0.18, 0.4, 0.35]).tolist())
        other = tuple(size if random.random() < 0.7 else 1 for size in shape)
        other = other[random.integers(0, len(shape) + 1) if random.random() < 0.4 else 0 :]
        arrays = [random.normal(size=size).astype(dtype) for size in (shape, other)]
        return *arrays, float(random.normal())


programs = st.builds(Program, st.integers(0, 2**32), st.integers(3, 12))


# Of rounding errors, relative to the largest element.
TOLERANCE = {np.float64: 1e-13, np.float32: 1e-5}


def _largest(arrays: Sequence[Any]) -> float:
    return max(float(np.max(np.abs(a), initial=0)) for a in arrays)


@by_hypothesis()
@given(programs)
def test_values(program: Program) -> None:
    compiled = go.compile(program)
    for dtype, tolerance in TOLERANCE.items():
        args = program.arguments(dtype)
        expected = program(*args)
        if _largest(expected) > 1e6:
            continue
        for a, e in zip(compiled(*args), expected, strict=True):
            assert np.shape(a) == np.shape(e)
            assert np.asarray(a).dtype == np.asarray(e).dtype
            np.testing.assert_allclose(a, e, rtol=0, atol=tolerance * (1 + _largest([e])))


@by_hypothesis()
@given(programs)
def test_derivatives(program: Program) -> None:
    """In double precision as differences say, in single precision as double precision says."""
    args = program.arguments()
    results = program(*args)
    if sum(map(np.size, results)) > 200 or _largest(results) > 1e3:
        return
    go.gradcheck(program, args, rtol=1e-6, atol=1e-7)

    gradient = go.compile(lambda args, cotangents: go.vjp(program, *args)[1](cotangents))
    args = program.arguments(np.float32)
    cotangents = tuple(np.ones_like(result) for result in program(*args))
    wide = [np.asarray(a, np.float64) for a in args]
    expected = gradient(wide, tuple(c.astype(np.float64) for c in cotangents))
    scale = 1 + _largest(expected)
    for a, e, x in zip(gradient(list(args), cotangents), expected, args, strict=True):
        assert np.asarray(a).dtype == np.asarray(x).dtype
        np.testing.assert_allclose(a, e, rtol=0, atol=TOLERANCE[np.float32] * scale)


def test_an_element_of_a_fused_result_is_read() -> None:
    """A gather must not run in the loop that still writes its operand."""

    def f(x: Any) -> Any:
        y = np.where(x > 0.1, x, np.tanh(x) * 0.5)
        return y[np.array([1, 0])] / (2 + np.tanh(x - y))

    x = np.array([0.3, -0.7])
    np.testing.assert_allclose(go.compile(f)(x), f(x), rtol=1e-14)


def test_a_long_elementwise_chain_fuses() -> None:
    """More than ten producers in a row, each of which is fused."""

    def f(x: Any) -> Any:
        for _ in range(40):
            x = np.tanh(x * 1.1) + 0.01 * x
        return np.sum(x)

    x = np.array([0.3, -0.7])
    np.testing.assert_allclose(go.compile(f)(x), f(x), rtol=1e-13)
    go.gradcheck(f, (x,), modes=("rev",))
