# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Functions with rules that close over values, in loops, in each other and under vmap."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from rules import automatic, layers, marked

import gradopt as go
from gradopt.base.pytree import flatten

X = np.array([0.3, -0.7, 1.2, 0.5])


# -- Closures --------------------------------------------------------------------------------


def test_rules_may_use_traced_values_around_them() -> None:
    def f(x: Any, a: Any, b: Any) -> Any:
        @go.custom_vjp
        def g(x: Any) -> Any:
            return x * a

        g.defvjp(lambda x: (x * a, x), lambda x, c: (c * a * b + 0 * x,))
        g.defjvp(lambda p, t: (p[0] * a, t[0] * b))
        return g(np.sin(x))

    np.testing.assert_allclose(go.grad(f)(0.3, 2.0, 5.0), 10 * np.cos(0.3), rtol=1e-14)
    tangent = go.jvp(lambda x: f(x, 2.0, 5.0), (0.3,), (1.0,))[1]
    np.testing.assert_allclose(tangent, 5 * np.cos(0.3), rtol=1e-14)
    # Of the derivative, which is code like any other, there are derivatives in all of them.
    np.testing.assert_allclose(
        go.grad(lambda a: go.grad(f)(0.3, a, 5.0))(2.0), 5 * np.cos(0.3), rtol=1e-14
    )


def test_derivatives_in_what_a_rule_closes_over_are_an_error() -> None:
    def f(x: Any, a: Any) -> Any:
        g = go.custom_vjp(lambda x: x * a)
        g.defvjp(lambda x: (x * a, None), lambda _, c: (c * a,))
        return g(x)

    with pytest.raises(go.errors.CompilerError, match="make it an input") as info:
        go.grad(f, 1)(0.3, 2.0)
    assert "return g(x)" in str(info.value)
    stopped = go.grad(lambda a: f(a, go.stop_gradient(a)))(2.0)
    np.testing.assert_allclose(stopped, 2.0)


def test_stop_gradient_in_a_rule() -> None:
    @go.custom_vjp
    def f(x: Any) -> Any:
        return x**2

    f.defvjp(lambda x: (x**2, x), lambda x, g: (g * 2 * go.stop_gradient(x) * x**0,))
    np.testing.assert_allclose(go.grad(f)(3.0), 6.0)
    np.testing.assert_allclose(go.grad(go.grad(f))(3.0), 0.0)


# -- Inside of other things ------------------------------------------------------------------


def test_in_loops_and_other_rules() -> None:
    f = marked("vjp", "jvp")

    @go.custom_vjp
    def g(x: Any) -> Any:
        return f(f(x))

    g.defvjp(
        lambda x: (g(x), x),
        lambda x, c: (c * go.grad(lambda x: np.sum(f(f(x))))(x),),
    )

    def loss(x: Any) -> Any:
        for _ in range(3):
            x = g(x)
        return np.sum(x)

    x, expected = X, np.ones(4)
    for _ in range(3):
        y = np.sin(x)
        expected = expected * 100 * np.cos(x) * np.cos(y)
        x = np.sin(y)
    np.testing.assert_allclose(go.grad(loss)(X), expected, rtol=1e-13)


def test_checks_in_rules_are_made() -> None:
    @go.custom_vjp
    def f(x: Any, i: Any) -> Any:
        return x * 2

    f.defvjp(lambda x, i: (x * 2, x[i]), lambda r, g: (g * r, None))
    loss = go.compile_grad(lambda x, i: np.sum(f(x, i)))
    np.testing.assert_allclose(loss(X, 2), np.full(4, X[2]))
    with pytest.raises(IndexError, match="index 9 is out of bounds"):
        loss(X, 9)
    with pytest.raises(IndexError, match="index 9 is out of bounds"):
        go.jvp(lambda x: f(x, 9), (X,), (X,))


def test_checks_in_bwd_are_made_in_fwd() -> None:
    @go.custom_vjp
    def f(x: Any, i: Any) -> Any:
        return np.sum(x)

    def bwd(i: Any, g: Any) -> Any:
        spread = go.numpy.zeros(4)
        spread[i] = g
        return spread, None

    f.defvjp(lambda x, i: (np.sum(x), i), bwd)
    gradient = go.compile_grad(f)
    np.testing.assert_allclose(gradient(X, 2), [0, 0, 1, 0])
    np.testing.assert_allclose(go.compile(lambda i: go.grad(f)(X, i))(-1), [0, 0, 0, 1])
    with pytest.raises(IndexError, match="index 4 is out of bounds"):
        gradient(X, 4)
    f.defvjp(lambda x, i: (np.sum(x), i), lambda i, g: ((g * X)[np.argmax(g * X)] * X, None))
    with pytest.raises(go.errors.UnsupportedError, match="indices that depend on cotangents"):
        go.compile_grad(lambda x, i: f(x, i))(X, 4)


def in_fori_loop(f: Any, x: Any, a: Any, n: Any) -> Any:
    return go.fori_loop(0, n, lambda i, x: f(x, a * (i + 1)), x)


def in_scan(f: Any, x: Any, a: Any, n: Any) -> Any:
    x, ys = go.scan(lambda x, b: (f(x, b), np.sum(f(b, x))), x, np.outer(X, X) * a)
    return x + np.sum(ys)


def in_while_loop(f: Any, x: Any, a: Any, n: Any) -> Any:
    return go.while_loop(lambda s: s[1] < n, lambda s: (f(s[0], a), s[1] + 1), (x, 0))[0]


def in_cond(f: Any, x: Any, a: Any, n: Any) -> Any:
    return go.cond(np.sum(x) > 0, lambda x: f(x, a), lambda x: f(-x, a) * 3, x * n)


@pytest.mark.parametrize("kinds", [("vjp",), ("jvp",), ("vjp", "jvp")], ids="+".join)
@pytest.mark.parametrize("body", [in_fori_loop, in_scan, in_while_loop, in_cond])
def test_in_loops_and_branches_of_compiled_code(body: Any, kinds: Any) -> None:
    def step(x: Any, a: Any) -> Any:
        return np.tanh(x * a) + x / 4

    def program(f: Any) -> Any:
        def loss(x: Any, a: Any, n: Any) -> Any:
            return np.sum(body(f, x, a, n) ** 2)

        gradient = go.grad(loss, (0, 1))
        return go.compile(
            lambda x, a, n: (
                gradient(x, a, n),
                go.jvp(lambda x, a: loss(x, a, n), (x, a), (a, x))[1],
                go.jvp(lambda x, a: gradient(x, a, n), (x, a), (a, x))[1],
                go.vjp(lambda x, a: gradient(x, a, n), x, a)[1]((a, x)),
            )
        )

    got = flatten(program(automatic(step, *kinds))(X, X[::-1], 3))[0]
    want = flatten(program(step)(X, X[::-1], 3))[0]
    for a, b in zip(got, want, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-12)


def test_the_rule_is_used_in_a_loop() -> None:
    f = marked("vjp", "jvp")

    def loss(x: Any, n: Any) -> Any:
        return go.fori_loop(0, n, lambda i, x: f(x), x)

    x, slope = 0.4, 1.0
    for _ in range(3):
        slope, x = slope * np.cos(x), np.sin(x)
    np.testing.assert_allclose(go.compile_grad(loss)(0.4, 3), 1e3 * slope, rtol=1e-13)
    pushed = go.compile(lambda x, n: go.jvp(lambda x: loss(x, n), (x,), (1.0,))[1])
    np.testing.assert_allclose(pushed(0.4, 3), 1e6 * slope, rtol=1e-13)


def test_a_rule_that_captures_a_value_of_a_loop() -> None:
    def loss(x: Any) -> Any:
        def step(i: Any, x: Any) -> Any:
            g = go.custom_vjp(lambda x: x * (i + 1))
            g.defvjp(lambda x: (x * (i + 1), None), lambda _, c: (c * (i + 2),))
            return g(x)

        return go.fori_loop(0, 3, step, x)

    np.testing.assert_allclose(go.grad(loss)(1.0), 24.0)

    def carried(x: Any) -> Any:
        def step(i: Any, x: Any) -> Any:
            g = go.custom_vjp(lambda y: y * x)
            g.defvjp(lambda y: (y * x, None), lambda _, c: (c * x,))
            return g(2.0)

        return go.fori_loop(0, 3, step, x)

    with pytest.raises(go.errors.CompilerError, match="make it an input"):
        go.grad(carried)(1.0)


# -- Under vmap ------------------------------------------------------------------------------


@pytest.mark.parametrize("kinds", [("vjp",), ("jvp",), ("vjp", "jvp")], ids="+".join)
def test_rules_are_mapped(kinds: Any) -> None:
    """Batches of some arguments, with derivatives outside, inside, and on both sides."""
    rng = np.random.default_rng(3)
    p = {"w": rng.normal(size=(4, 4)), "b": X}
    xs, ps = rng.normal(size=(3, 2, 4)), {"w": rng.normal(size=(3, 4, 4)), "b": X}
    g, h = automatic(layers, *kinds), layers

    def loss(f: Any, p: Any, x: Any) -> Any:
        out = f(p, x)
        return np.sum(np.sin(out["h"])) * out["norm"]

    def mapped(f: Any, p: Any, xs: Any, axes: Any) -> Any:
        return go.vmap(lambda p, x: loss(f, p, x), axes)(p, xs)

    def everything(f: Any, p: Any, xs: Any, axes: Any) -> Any:
        total = lambda p, xs: np.sum(mapped(f, p, xs, axes) ** 2)  # noqa: E731
        gradient = go.grad(total, (0, 1))
        return (
            mapped(f, p, xs, axes),
            gradient(p, xs),
            go.vmap(go.grad(lambda p, x: loss(f, p, x), (0, 1)), axes)(p, xs),
            go.jvp(gradient, (p, xs), (p, xs)),
            go.jvp(lambda p, xs: mapped(f, p, xs, axes), (p, xs), (p, xs)),
        )

    for params, axes in ((p, (None, 0)), (ps, ({"w": 0, "b": None}, 0))):
        got = flatten(go.compile(lambda p, x, a=axes: everything(g, p, x, a))(params, xs))[0]
        want = flatten(go.compile(lambda p, x, a=axes: everything(h, p, x, a))(params, xs))[0]
        for a, b in zip(got, want, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-12)


def test_a_rule_is_used_for_each_element_of_a_batch() -> None:
    @go.custom_vjp
    def normed(x: Any, s: Any) -> Any:
        return x * s

    # A gradient of length 1 for each x, and a cotangent of s that is the same for all.
    normed.defvjp(
        lambda x, s: (x * s, None), lambda _, g: (g / np.sqrt(np.sum(g**2)), np.float64(1))
    )
    xs = np.stack([X, 2 * X, -X])
    weights = np.array([1.0, 5.0, 9.0])[:, None] * np.ones(4)

    def loss(xs: Any, s: Any) -> Any:
        return np.sum(go.vmap(normed, (0, None))(xs, s) * weights)

    dx, ds = go.grad(loss, (0, 1))(xs, 2.0)
    np.testing.assert_allclose(dx, np.full((3, 4), 0.5))
    assert ds == 3.0
    nested = go.vmap(go.vmap(normed, (0, None)), (None, 0))
    np.testing.assert_allclose(nested(xs, np.array([1.0, 3.0])), np.stack([xs, 3 * xs]), rtol=1e-15)
