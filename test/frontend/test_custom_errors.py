# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Rules that do not fit: each error names the line of the rule, the path, and both sides."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import gradopt as go
from gradopt.errors import (
    ArgumentError,
    ArgumentTypeError,
    CompilerError,
    DerivativeRuleError,
)

X = np.array([0.3, -0.7, 1.2])


def differentiated(f: Any, *args: Any) -> None:
    go.vjp(f, *args)[1](f(*args))


def expect(rule: Callable[..., Any], *patterns: str) -> Any:
    """An error at the definition of the rule, with these texts in its message."""

    class Check:
        def __enter__(self) -> None:
            self.context = pytest.raises(DerivativeRuleError)
            self.info = self.context.__enter__()

        def __exit__(self, *args: Any) -> Any:
            result = self.context.__exit__(*args)
            error = self.info.value
            for pattern in patterns:
                assert pattern in error.message
            assert error.location is not None
            assert error.location.line == rule.__code__.co_firstlineno
            assert error.location.file == __file__
            return result

    return Check()


def pair(x: Any, p: Any) -> Any:
    return {"a": x * p["s"], "b": x}


P = {"s": np.float32(2)}


def with_rules(fwd: Any = None, bwd: Any = None, jvp: Any = None) -> Any:
    f = go.custom_vjp(pair)
    if bwd is not None or fwd is not None:
        f.defvjp(fwd or (lambda x, p: (pair(x, p), None)), bwd or (lambda _, g: (None, None)))
    if jvp is not None:
        f.defjvp(jvp)
    return f


@pytest.mark.parametrize(
    ("rule", "patterns"),
    [
        (
            lambda x, p: x,
            ("the fwd rule lambda of pair", "(result, residuals)", "float64[3]"),
        ),
        (
            lambda x, p: ({"a": x}, None),
            ("another structure", "the result of pair", "['a', 'b'] at result", "['a']"),
        ),
        (
            lambda x, p: ((x, x), None),
            ("expected dict at result, but got tuple",),
        ),
        (
            lambda x, p: ({"a": x, "b": x[:2]}, None),
            ("returned float64[2] at result['b']", "where pair returns float64[3]"),
        ),
        (
            lambda x, p: ({"a": x.astype(np.float32), "b": x}, None),
            ("returned float32[3] at result['a']", "where pair returns float64[3]"),
        ),
        (
            lambda x, p: ({"a": x, "b": None}, None),
            ("expected an array at result['b'], but got None",),
        ),
        (
            lambda x, p: ({"a": x, "b": {1}}, None),
            ("returned an object of type set at result['b'] where pair returns float64[3]",),
        ),
    ],
)
def test_fwd(rule: Any, patterns: Any) -> None:
    with expect(rule, *patterns):
        differentiated(with_rules(fwd=rule), X, P)


@pytest.mark.parametrize(
    ("rule", "patterns"),
    [
        (
            lambda _, g: g["a"],
            ("the bwd rule lambda of pair", "a tuple of 2", "of x, p", "float64[3]"),
        ),
        (lambda _, g: (g["a"],), ("a tuple of 2", "a tuple of 1")),
        (lambda _, g: (g["a"], None, None), ("a tuple of 2", "a tuple of 3")),
        (
            lambda _, g: (g["a"][:2], None),
            ("returned float64[2] for the argument x, which is float64[3]",),
        ),
        (
            lambda _, g: (g["a"], {"s": np.sum(g["a"])}),
            ("returned float64[] for the argument p['s'], which is float32[]",),
        ),
        (
            lambda _, g: (g["a"], np.sum(g["a"])),
            ("another structure than the arguments: expected dict at p, but got an array",),
        ),
        (lambda _, g: (g["a"], {"t": None}), ("expected keys ['s'] at p, but got ['t']",)),
        (
            lambda _, g: (1j * X, None),
            ("returned complex128[3] for the argument x, which is float64[3]",),
        ),
    ],
)
def test_bwd(rule: Any, patterns: Any) -> None:
    with expect(rule, *patterns):
        differentiated(with_rules(bwd=rule), X, P)


@pytest.mark.parametrize(
    ("rule", "patterns"),
    [
        (
            lambda p, t: t,
            ("the jvp rule lambda of pair", "another structure", "expected dict at result"),
        ),
        (lambda p, t: pair(*p), ("must return (result, tangent)", "a dict of 2")),
        (
            lambda p, t: (pair(*p), {"a": t[0], "b": t[0][:2]}),
            (
                "returned float64[2] at tangent['b']",
                "for a result that is float64[3]",
            ),
        ),
        (
            lambda p, t: (pair(*p), [t[0], t[0]]),
            ("expected dict at tangent, but got list",),
        ),
        (
            lambda p, t: ({"a": p[0], "b": 1.0}, None),
            ("returned float64[] at result['b'] where pair returns float64[3]",),
        ),
    ],
)
def test_jvp(rule: Any, patterns: Any) -> None:
    f = with_rules(jvp=rule)
    with expect(rule, *patterns):
        go.jvp(f, (X, P), (X, P))
    with expect(rule, *patterns):
        differentiated(f, X, P)


def test_integers_have_no_cotangent() -> None:
    f = go.custom_vjp(lambda x, i: x * i)
    rule = lambda _, g: (g, g)  # noqa: E731
    f.defvjp(lambda x, i: (x * i, None), rule)
    with expect(rule, "must return None at i", "which is int64[]", "float64[3]"):
        go.compile_grad(lambda x, i: np.sum(f(x, i)))(X, 2)
    with expect(rule, "must return None at i", "float64[3]"):
        go.compile_grad(lambda x: np.sum(f(x, 2)))(X)
    f.defvjp(lambda x, i: (x * i, None), lambda _, g: (g, 0))
    np.testing.assert_array_equal(go.compile_grad(lambda x: np.sum(f(x, 2)))(X), np.ones(3))


def test_a_tuple_of_one() -> None:
    f = go.custom_vjp(np.sin)
    f.defvjp(lambda x: (np.sin(x), None), lambda _, g: g)
    with pytest.raises(DerivativeRuleError, match=r"a tuple of one is written \(cotangent,\)"):
        go.grad(f)(1.0)


def test_missing_rules() -> None:
    @go.custom_vjp
    def f(x: Any) -> Any:
        return x

    @go.custom_jvp
    def g(x: Any) -> Any:
        return x

    for function, method in ((f, "f.defvjp(fwd, bwd)"), (g, "g.defjvp(rule)")):
        with pytest.raises(DerivativeRuleError, match=re.escape(f"call {method} before")) as info:
            function(1.0)
        assert "|  @go.custom_" in str(info.value)


def test_modes_without_a_transpose() -> None:
    f = go.custom_vjp(lambda x: x)
    f.defvjp(lambda x: (x, None), lambda _, g: (np.clip(g, -1, 1),))
    np.testing.assert_array_equal(go.vjp(f, X)[1](2 * np.ones(3))[0], np.ones(3))
    with pytest.raises(CompilerError, match="is not linear") as info:
        go.jvp(f, (X,), (X,))
    assert "forward mode transposes the bwd rule of @lambda" in str(info.value)
    assert "np.clip(g, -1, 1)" in str(info.value)
    # Not linear, but affine.
    for bwd in (
        lambda _, g: (g + 1,),
        lambda _, g: (np.where(X > 0, g, 1.0),),
        lambda _, g: (np.ones(3),),
        lambda _, g: (np.concatenate([g[:2], np.ones(1)]),),
    ):
        f.defvjp(lambda x: (x, None), bwd)
        go.vjp(f, X)[1](X)
        with pytest.raises(CompilerError, match="linear"):
            go.jvp(f, (X,), (X,))
    f.defvjp(lambda x: (x, None), lambda _, g: (np.where(X > 0, g, 0) + np.zeros(3),))
    np.testing.assert_array_equal(go.jvp(f, (X,), (X,))[1], np.where(X > 0, X, 0))


def test_a_tangent_rule_that_is_not_linear() -> None:
    f = go.custom_jvp(lambda x: x)
    f.defjvp(lambda p, t: (p[0], t[0] ** 2))
    np.testing.assert_allclose(go.jvp(f, (X,), (X,))[1], X**2)
    with pytest.raises(CompilerError, match="is not linear") as info:
        go.vjp(f, X)[1](X)
    assert "t[0] ** 2" in str(info.value)
    f.defjvp(lambda p, t: (p[0], np.ones(3)))
    with pytest.raises(CompilerError, match="does not depend on them"):
        go.jvp(f, (X,), (X,))
    f.defjvp(lambda p, t: (p[0] + t[0], t[0]))
    with pytest.raises(CompilerError, match="results of the rule that do not depend on tangents"):
        go.jvp(f, (X,), (X,))


def test_arguments_of_the_decorators() -> None:
    def f(x: Any, y: Any) -> Any:
        return x * y

    for decorator in (go.custom_vjp, go.custom_jvp):
        with pytest.raises(ArgumentTypeError, match="expected a function"):
            decorator(3)  # type: ignore
        with pytest.raises(ArgumentError, match="f has no parameter 'z'"):
            decorator(f, nondiff_argnames="z")
        with pytest.raises(ArgumentError, match="f has no parameter 2"):
            decorator(f, nondiff_argnums=(2,))
        with pytest.raises(ArgumentTypeError, match="nondiff_argnums must be ints"):
            decorator(f, nondiff_argnums=("x",))  # type: ignore
        g = decorator(f, nondiff_argnames="y")
        with pytest.raises(ArgumentError, match="defjvps does not go together"):
            g.defjvps(None)
        with pytest.raises(ArgumentTypeError, match="expected a function"):
            g.defvjp(f, None)  # type: ignore
    h = go.custom_jvp(f)
    h.defjvps(None)
    with pytest.raises(DerivativeRuleError, match="names 1 rules for 2 arguments"):
        go.grad(h)(1.0, 2.0)
    keyword = go.custom_vjp(lambda x, *, n: x)
    keyword.defvjp(lambda x: (x, None), lambda _, g: (g,))
    with pytest.raises(ArgumentTypeError, match="takes n by keyword only"):
        go.grad(lambda x: keyword(x, n=2))(1.0)


def test_errors_leave_the_trace_usable() -> None:
    f = go.custom_vjp(lambda x: x)
    f.defvjp(lambda x: (x, None), lambda _, g: (g[:2],))

    def loss(x: Any) -> Any:
        try:
            return np.sum(f(x))
        except DerivativeRuleError:
            return np.sum(x**2)

    np.testing.assert_allclose(go.grad(loss)(X), 2 * X)


def test_arguments_must_not_be_changed() -> None:
    f = go.custom_vjp(lambda x: x)

    def bwd(residuals: Any, g: Any) -> Any:
        g *= 2
        return (g,)

    f.defvjp(lambda x: (x, x), bwd)
    with pytest.raises(go.errors.MutationError, match="changes the argument cotangent"):
        go.vjp(f, X)[1](X)


def test_a_float_that_must_keep_its_value() -> None:
    def f(x: Any, limit: float) -> Any:
        return x if limit > 0 else -x

    g = go.custom_vjp(f)
    g.defvjp(lambda x, limit: (f(x, limit), None), lambda _, c: (c, None))
    with pytest.raises(go.errors.BranchError):
        go.compile_grad(lambda x: np.sum(g(x, 2.0)), capture="trace")(X)
    g = functools.partial(go.custom_vjp, nondiff_argnames="limit")(f)
    g.defvjp(lambda x, limit: (f(x, limit), None), lambda limit, _, c: (limit * c,))
    np.testing.assert_allclose(go.grad(lambda x: np.sum(g(x, 2.0)))(X), [2, 2, 2])
    with pytest.raises(go.errors.BranchError):
        go.compile_grad(lambda y: np.sum(g(X, y)), capture="trace")(2.0)
    h = go.custom_vjp(lambda x, c: x * c, nondiff_argnums=1)
    h.defvjp(lambda x, c: (x * c, None), lambda c, _, g: (c * g,))
    np.testing.assert_allclose(go.grad(lambda x, c: np.sum(h(x, c)))(X, 2.0), [2, 2, 2])
    with pytest.raises(CompilerError, match="make it an input"):
        go.grad(lambda x, c: np.sum(h(x, c)), 1)(X, 2.0)
