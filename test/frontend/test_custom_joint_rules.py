# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Rules in which one piece of code makes results and tangents."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import gradopt as go

X = np.array([0.3, -0.7, 1.2, 0.5])


def power(x: Any) -> Any:
    return go.fori_loop(0, 5, lambda _, y: y * x, np.ones_like(x))


def power_rule(p: Any, t: Any) -> Any:
    def step(_: Any, state: Any) -> Any:
        y, d = state
        return y * p[0], d * p[0] + y * t[0]

    return go.fori_loop(0, 5, step, (np.ones_like(p[0]), np.zeros_like(p[0])))


def summed(x: Any) -> Any:
    return go.scan(lambda c, v: (c + np.sin(v), c + np.sin(v)), 0 * x[0], x)[1]


def summed_rule(p: Any, t: Any) -> Any:
    def step(carry: Any, item: Any) -> Any:
        following = carry[0] + np.sin(item[0]), carry[1] + np.cos(item[0]) * item[1]
        return following, following

    return go.scan(step, (0 * p[0][0], 0 * p[0][0]), (p[0], t[0]))[1]


def shrunk(x: Any) -> Any:
    return go.while_loop(lambda y: np.max(np.abs(y)) > 0.1, lambda y: 0.5 * y * np.cos(y), x)


def shrunk_rule(p: Any, t: Any) -> Any:
    def step(state: Any) -> Any:
        y, d = state
        return 0.5 * y * np.cos(y), 0.5 * d * (np.cos(y) - y * np.sin(y))

    return go.while_loop(lambda state: np.max(np.abs(state[0])) > 0.1, step, (p[0], t[0]))


def branched(x: Any) -> Any:
    return go.cond(x[0] > 0, lambda x: x**2, lambda x: -x, x)


def branched_rule(p: Any, t: Any) -> Any:
    return go.cond(p[0][0] > 0, lambda x, d: (x**2, 2 * x * d), lambda x, d: (-x, -d), p[0], t[0])


JOINT: dict[str, tuple[Any, Any]] = {
    "fori_loop": (power, power_rule),
    "scan": (summed, summed_rule),
    "while_loop": (shrunk, shrunk_rule),
    "cond": (branched, branched_rule),
    "jvp": (shrunk, lambda p, t: go.jvp(shrunk, p, t)),
    "map": (
        np.sin,
        lambda p, t: go.map(lambda v: (np.sin(v[0]), np.cos(v[0]) * v[1]), (p[0], t[0])),
    ),
}

PLACES: dict[str, Any] = {
    "alone": lambda f, x: f(x),
    "fori_loop": lambda f, x: go.fori_loop(0, 3, lambda i, y: 0.7 * f(y) + 0.1 * i, x),
    "while_loop": lambda f, x: go.while_loop(
        lambda s: s[0] < 3, lambda s: (s[0] + 1, 0.7 * f(s[1])), (np.int64(0), x)
    )[1],
    "scan": lambda f, x: go.scan(lambda c, _: (0.8 * f(c), c), x, None, length=3)[0],
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("kind", JOINT)
def test_one_loop_makes_results_and_tangents(kind: str, place: str) -> None:
    function, rule = JOINT[kind]
    weights, x = np.array([1.0, -2.0, 0.5, 0.3]), np.array([0.3, -0.4, 1.1, 0.7])
    f = go.custom_jvp(lambda x: function(x))
    f.defjvp(rule)

    def loss(f: Any) -> Any:
        return lambda x: weights @ PLACES[place](f, x)

    exact = go.grad(loss(function))(x)
    np.testing.assert_allclose(go.grad(loss(f))(x), exact, rtol=1e-12)
    np.testing.assert_allclose(go.jacfwd(loss(f))(x), exact, rtol=1e-12)
    batch = go.vmap(go.grad(loss(f)))(np.stack([x, 2 * x]))
    np.testing.assert_allclose(batch[0], exact, rtol=1e-12)
    if place != "alone":
        return
    second = go.jacrev(go.grad(loss(function)))(x)
    np.testing.assert_allclose(go.hessian(loss(f))(x), second, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(go.jacrev(go.grad(loss(f)))(x), second, rtol=1e-10, atol=1e-12)


def test_the_rule_is_what_reverse_mode_transposes() -> None:
    f = go.custom_jvp(shrunk)

    @f.defjvp
    def _(p: Any, t: Any) -> Any:
        y, d = go.jvp(shrunk, p, t)
        return y, 10 * d

    exact = 10 * go.grad(lambda x: np.sum(shrunk(x)))(X)
    np.testing.assert_allclose(go.grad(lambda x: np.sum(f(x)))(X), exact, rtol=1e-13)


def test_a_rule_that_gives_tangents_to_functions_with_rules() -> None:
    double = go.custom_jvp(lambda x: 2 * x)
    double.defjvp(lambda p, t: (double(*p), 20 * t[0]))
    f = go.custom_jvp(lambda x: double(np.sin(x)))
    f.defjvp(lambda p, t: (f(*p), double(np.cos(p[0]) * t[0])))
    # In reverse mode the function is differentiated that the tangents are given to.
    np.testing.assert_allclose(go.jvp(f, (X,), (X,))[1], 2 * np.cos(X) * X, rtol=1e-14)
    np.testing.assert_allclose(go.grad(lambda x: np.sum(f(x)))(X), 20 * np.cos(X), rtol=1e-14)
    # And that must end.
    double.defjvp(lambda p, t: (double(*p), double(*t)))
    np.testing.assert_allclose(go.jvp(f, (X,), (X,))[1], 2 * np.cos(X) * X, rtol=1e-14)
    with pytest.raises(go.errors.CompilerError, match="is not linear"):
        go.grad(lambda x: np.sum(f(x)))(X)


def test_checks_in_such_rules_are_made_in_reverse_mode() -> None:
    f = go.custom_jvp(lambda x, i: np.sum(x))

    @f.defjvp
    def _(p: Any, t: Any) -> Any:
        slope = p[0][p[1]]
        return go.fori_loop(
            0, 3, lambda _, s: (s[0], s[1] + slope * np.sum(t[0])), (np.sum(p[0]), 0 * slope)
        )

    gradient = go.compile_grad(f)
    np.testing.assert_allclose(gradient(X, np.int64(1)), 3 * X[1] * np.ones(4))
    with pytest.raises(IndexError, match="index 4 is out of bounds"):
        gradient(X, np.int64(4))
