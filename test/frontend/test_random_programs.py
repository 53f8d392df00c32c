# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Random expressions over random shapes: values against NumPy, derivatives against differences."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gradopt as go
import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

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
]


@st.composite
def programs(draw: st.DrawFn) -> tuple[Term, list[Any]]:
    """A program of up to eight steps, and its arguments."""
    shapes = draw(
        hnp.mutually_broadcastable_shapes(num_shapes=2, max_dims=2, min_side=0, max_side=3)
    ).input_shapes
    values = st.floats(-2, 2, allow_subnormal=False)
    args = [draw(hnp.arrays(np.float64, shape, elements=values, fill=st.nothing())) for shape in shapes]
    if draw(st.booleans()):
        args.append(draw(values))
    steps = draw(
        st.lists(
            st.tuples(st.integers(0, 2), st.integers(0, 99), st.integers(0, 99), st.integers(0, 99)),
            min_size=1,
            max_size=8,
        )
    )

    def run(inputs: list[Any]) -> Any:
        live = list(inputs)
        for kind, which, left, right in steps:
            x, y = live[left % len(live)], live[right % len(live)]
            if kind == 0:
                live.append(UNARY[which % len(UNARY)](x))
            elif kind == 1:
                if _broadcastable(x, y):
                    live.append(BINARY[which % len(BINARY)](x, y))
            elif np.ndim(x) <= 3 and np.size(x) <= 64:
                x = x if hasattr(x, "ndim") and not isinstance(x, np.generic) else go.numpy.asarray(x)
                live.append(STRUCTURAL[which % len(STRUCTURAL)](x))
        return live[-1] * 1.0

    return run, args


def _broadcastable(x: Any, y: Any) -> bool:
    try:
        np.broadcast_shapes(np.shape(x), np.shape(y))
    except ValueError:
        return False
    return True


SETTINGS = settings(
    max_examples=50,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)


@SETTINGS
@given(programs())
def test_values(program: tuple[Term, list[Any]]) -> None:
    run, args = program
    expected = run(args)
    actual = go.compile(lambda *a: run(list(a)))(*args)
    assert np.shape(actual) == np.shape(expected)
    assert np.asarray(actual).dtype == np.asarray(expected).dtype
    np.testing.assert_allclose(actual, expected, rtol=1e-11, atol=1e-12)


@settings(SETTINGS, max_examples=25)
@given(programs())
def test_derivatives(program: tuple[Term, list[Any]]) -> None:
    run, args = program
    go.gradcheck(lambda *a: run(list(a)), tuple(args), rtol=1e-5, atol=1e-6)
