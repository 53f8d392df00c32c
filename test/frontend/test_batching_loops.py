# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""vmap of loops and branches: each element takes its own way, also in derivatives.

Outside of a trace the loops and branches run in Python, which is what compiled code is compared
with.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import gradopt as go

Function = Callable[[Any, Any], Any]

RNG = np.random.default_rng(5)
XS = RNG.uniform(0.3, 1.2, (5, 4))
NS = np.array([3, 0, 4, 1, -2])


def power(x: Any, n: Any) -> Any:
    return go.fori_loop(0, n, lambda i, s: s * x + i, np.ones_like(x))


def from_the_number_on(x: Any, n: Any) -> Any:
    return go.fori_loop(n, 4, lambda i, s: s * np.sin(x) + i, x)


def of_one_length(x: Any, n: Any) -> Any:
    return go.fori_loop(0, 3, lambda i, s: np.tanh(s * x[i] + n), x)


def written(x: Any, n: Any) -> Any:
    def body(i: Any, s: Any) -> Any:
        s[i % 4] = np.sum(s * x) / 2
        return s

    return go.fori_loop(0, n + 2, body, x * 1.0)


def recurrent(x: Any, n: Any) -> Any:
    def cell(h: Any, r: Any) -> Any:
        h = np.tanh(h * r + n)
        return h, h * r

    h, ys = go.scan(cell, np.sum(x), x)
    return ys * h


def square_root(x: Any, n: Any) -> Any:
    """Newton's iteration, of other lengths for other numbers."""
    a = np.sum(x) * (n + 3)

    def goes_on(s: Any) -> Any:
        return np.abs(s * s - a) > 1e-10 * a

    return go.while_loop(goes_on, lambda s: (s + a / s) / 2, a + 1) * x


def one_of_two(x: Any, n: Any) -> Any:
    return go.cond(n > 0, lambda v: np.sin(v) * n, lambda v: v * v, x)


def one_of_many(x: Any, n: Any) -> Any:
    return go.switch(n, [np.sin, lambda v: v**3, lambda v: v[::-1] * v], x)


def loop_in_a_branch(x: Any, n: Any) -> Any:
    """The loop would not end for the elements that do not run it."""

    def loop(v: Any) -> Any:
        return go.while_loop(lambda s: s[0] < 9, lambda s: s * (n + 1), v + 1)

    return go.cond(n > 0, loop, lambda v: np.exp(v), x)


def branch_in_a_loop(x: Any, n: Any) -> Any:
    def body(i: Any, s: Any) -> Any:
        return go.cond(i + n > 2, lambda v: np.sin(v * x), lambda v: v + x, s)

    return go.fori_loop(0, n + 2, body, x)


def slice_by_slice(x: Any, n: Any) -> Any:
    return go.map(lambda r: np.exp(r) * n, x)


def a_long_vector(x: Any, n: Any) -> Any:
    """Carries more than what is chosen from in each iteration."""
    wide = np.concatenate([x] * 600)
    return go.fori_loop(0, n, lambda i, s: np.sin(s) + i, wide)[:4] * x


FUNCTIONS = [
    power,
    from_the_number_on,
    of_one_length,
    written,
    recurrent,
    square_root,
    one_of_two,
    one_of_many,
    loop_in_a_branch,
    branch_in_a_loop,
    slice_by_slice,
    a_long_vector,
]
AXES = [(0, 0), (0, None), (None, 0)]


def arguments(axes: Any) -> tuple[Any, Any]:
    return XS if axes[0] == 0 else XS[0], NS if axes[1] == 0 else 3


def elements(axes: Any) -> list[tuple[Any, Any]]:
    x, n = arguments(axes)
    return [(x[i] if axes[0] == 0 else x, n[i] if axes[1] == 0 else n) for i in range(len(XS))]


def close(actual: Any, expected: Any) -> None:
    np.testing.assert_allclose(actual, expected, rtol=1e-10, atol=1e-11)


def loss(f: Function, x: Any, n: Any) -> Any:
    return np.sum(np.sin(f(x, n)))


def slope(f: Function, x: Any, n: Any, t: Any) -> Any:
    """The derivative of the loss in direction `t`, by differences of order four."""

    def at(h: float) -> Any:
        return loss(f, x + h * t, n)

    h = 2e-4
    return (8 * (at(h) - at(-h)) - at(2 * h) + at(-2 * h)) / (12 * h)


@pytest.mark.parametrize("axes", AXES)
@pytest.mark.parametrize("f", FUNCTIONS)
def test_values(f: Function, axes: Any) -> None:
    want = np.stack([f(x, n) for x, n in elements(axes)])
    close(go.vmap(f, axes)(*arguments(axes)), want)


@pytest.mark.parametrize("f", FUNCTIONS)
def test_derivatives(f: Function) -> None:
    """Those of a map, and maps of those, in both modes."""
    ts = RNG.normal(size=XS.shape)
    want = [slope(f, x, n, t) for x, n, t in zip(XS, NS, ts, strict=True)]

    def losses(xs: Any) -> Any:
        return go.vmap(lambda x, n: loss(f, x, n))(xs, NS)

    def gradient(x: Any, n: Any) -> Any:
        return go.grad(lambda x: loss(f, x, n))(x)

    def pushed(x: Any, n: Any, t: Any) -> Any:
        return go.jvp(lambda x: loss(f, x, n), (x,), (t,))[1]

    np.testing.assert_allclose(go.jvp(losses, (XS,), (ts,))[1], want, rtol=1e-7, atol=1e-8)
    close(go.vmap(pushed)(XS, NS, ts), go.jvp(losses, (XS,), (ts,))[1])
    gradients = go.grad(lambda xs: np.sum(losses(xs)))(XS)
    np.testing.assert_allclose(np.sum(gradients * ts, 1), want, rtol=1e-7, atol=1e-8)
    close(go.vmap(gradient)(XS, NS), gradients)


@pytest.mark.parametrize("f", [power, recurrent, square_root, branch_in_a_loop])
def test_second_derivatives(f: Function) -> None:
    ts = RNG.normal(size=XS.shape)

    def curvature(x: Any, n: Any, t: Any) -> Any:
        return go.hvp(lambda x: loss(f, x, n), (x,), (t,))

    def total(xs: Any) -> Any:
        return np.sum(go.vmap(lambda x, n: loss(f, x, n))(xs, NS))

    want = np.stack([curvature(x, n, t) for x, n, t in zip(XS, NS, ts, strict=True)])
    close(go.vmap(curvature)(XS, NS, ts), want)
    close(go.hvp(total, (XS,), (ts,)), want)


def test_maps_of_maps() -> None:
    """The numbers along one axis, the vectors along the other."""
    got = go.vmap(go.vmap(power, (0, None)), (None, 0))(XS, NS)
    close(got, [[power(x, n) for x in XS] for n in NS])


def test_a_map_in_a_loop() -> None:
    def f(xs: Any) -> Any:
        return go.fori_loop(0, 3, lambda i, s: go.vmap(power)(s, NS) / 2, xs)

    want = XS
    for _ in range(3):
        want = np.stack([power(x, n) for x, n in zip(want, NS, strict=True)]) / 2
    close(go.compile(f)(XS), want)


def test_an_empty_batch() -> None:
    for f in FUNCTIONS:
        assert go.vmap(f)(XS[:0], NS[:0]).shape == (0, 4)


def test_a_loop_of_one_length_stays_one_loop() -> None:
    text = go.compile(go.vmap(recurrent)).lower(XS, NS).mlir("adjoint")
    assert text.count("scf.for") == 1
    assert "tensor<5x4xf64>" in text


def test_checks_in_one_element() -> None:
    """An index is checked where the element's loop gets to it, and nowhere else."""

    def f(x: Any, n: Any) -> Any:
        return go.fori_loop(0, n, lambda i, s: s + x[i], 0.0 * x[0])

    close(go.vmap(f)(XS, NS), [np.sum(x[: max(n, 0)]) for x, n in zip(XS, NS, strict=True)])
    with pytest.raises(IndexError, match="index 4 is out of bounds for axis 0 with size 4"):
        go.vmap(f)(XS, NS + 1)
