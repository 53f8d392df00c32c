# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Random expressions over random shapes: values against NumPy, derivatives against differences."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import gradopt as go

Term = Callable[[list[Any]], Any]

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


def _run(steps: list[Step], inputs: list[Any]) -> Any:
    """Applies the steps: each takes the last or an earlier value, and adds one."""
    live = [go.numpy.asarray(value) * 1.0 for value in inputs]
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


@st.composite
def small_programs(draw: st.DrawFn) -> tuple[Term, list[Any]]:
    """Up to eight steps on arrays whose dimensions may be 0 or 1."""
    shapes = draw(
        hnp.mutually_broadcastable_shapes(num_shapes=2, max_dims=2, min_side=0, max_side=3)
    ).input_shapes
    values = st.floats(-2, 2, allow_subnormal=False)
    args: list[Any] = [
        draw(hnp.arrays(np.float64, shape, elements=values, fill=st.nothing())) for shape in shapes
    ]
    if draw(st.booleans()):
        args.append(draw(values))
    numbers = st.integers(0, 999)
    steps = draw(
        st.lists(st.tuples(st.integers(0, 2), numbers, numbers, numbers), min_size=1, max_size=8)
    )
    return lambda inputs: _run(steps, inputs), args


@st.composite
def large_programs(draw: st.DrawFn) -> tuple[Term, list[Any]]:
    """Up to a dozen steps on arrays of up to three dimensions, from a seed."""
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    shape = tuple(random.integers(1, 5, size=random.integers(0, 4)).tolist())
    other = tuple(size if random.random() < 0.7 else 1 for size in shape)
    other = other[random.integers(0, max(1, len(shape))) :]
    args: list[Any] = [random.normal(size=shape), random.normal(size=other)]
    steps: list[Step] = [
        (int(random.choice(3, p=[0.25, 0.35, 0.4])), *random.integers(0, 1000, 3).tolist())
        for _ in range(random.integers(3, 13))
    ]
    return lambda inputs: _run(steps, inputs), args


def _broadcastable(x: Any, y: Any) -> bool:
    try:
        np.broadcast_shapes(np.shape(x), np.shape(y))
    except ValueError:
        return False
    return True


SETTINGS = settings(
    max_examples=30,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)


@SETTINGS
@given(st.one_of(small_programs(), large_programs()))
def test_values(program: tuple[Term, list[Any]]) -> None:
    run, args = program
    expected = run(args)
    actual = go.compile(lambda *a: run(list(a)))(*args)
    for a, e in zip(actual, expected, strict=True):
        assert np.shape(a) == np.shape(e)
        assert np.asarray(a).dtype == np.asarray(e).dtype
        np.testing.assert_allclose(a, e, rtol=1e-10, atol=1e-10)


@SETTINGS
@given(st.one_of(small_programs(), large_programs()))
def test_derivatives(program: tuple[Term, list[Any]]) -> None:
    run, args = program
    results = run(args)
    if sum(map(np.size, results)) <= 200 and all(
        np.max(np.abs(r), initial=0) < 1e3 for r in results
    ):
        go.gradcheck(lambda *a: run(list(a)), tuple(args), rtol=1e-4, atol=1e-5)


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
