# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""jacfwd, jacrev, hessian, hvp and linearize: against each other, differences and closed forms."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any, NamedTuple

import hypothesis.strategies as st
import numpy as np
import pytest
from budget import by_hypothesis, generator
from hypothesis import given

import gradopt as go
from gradopt.errors import (
    ArgumentError,
    ArgumentTypeError,
    GradoptError,
    NonScalarLossError,
    TraceIndexError,
)

RNG = generator(21)
X = RNG.normal(size=(2, 3))
W = RNG.normal(size=(3, 4))
V = RNG.normal(size=3)


def close(got: Any, want: Any, rtol: float = 1e-11) -> None:
    np.testing.assert_allclose(got, want, rtol=rtol, atol=rtol)


def differences(f: Callable[[Any], Any], x: Any) -> Any:
    """The Jacobian of an array in an array by central differences, of sixth order."""
    step, columns = 1e-2, []
    weights = ((1, 3 / 4), (2, -3 / 20), (3, 1 / 60))
    for index in np.ndindex(x.shape):
        e = np.zeros_like(x)
        e[index] = step
        columns.append(sum(w * (f(x + k * e) - f(x - k * e)) / step for k, w in weights))
    full = np.stack([np.asarray(c) for c in columns], -1)
    return full.reshape(full.shape[:-1] + x.shape)


FUNCTIONS: dict[str, tuple[Callable[[Any], Any], Any]] = {
    "elementwise": (np.sin, X),
    "product": (lambda x: np.tanh(x @ W), X),
    "cubic": (lambda x: x**3 * np.sum(x), V),
    "scalar result": (lambda x: np.sum(np.exp(x) * x), X),
    "scalar argument": (lambda x: np.stack([np.sin(x), x**2, 1.0 * x]), np.array(0.7)),
    "numbers": (lambda x: np.exp(-x) * x, np.array(0.7)),
    "reductions": (lambda x: np.max(x, 1) * np.prod(x, 1), X),
    "shapes": (lambda x: np.concatenate([x.T.reshape(-1)[::-1], np.cumsum(x[:, 1])]), X),
    "indices": (lambda x: x[np.array([[1, 0], [1, 1]])] * x[0], X),
    "outer": (lambda x: np.multiply.outer(x, np.sqrt(x**2 + 1)), V),
    "updates": (lambda x: updated(x), V),
    "correlation": (lambda x: np.convolve(x, x[:2]), V),
    "constant": (lambda x: np.ones(2) + 0 * x[0], V),
}


def updated(x: Any) -> Any:
    y = x * x
    y[1:] += y[:-1] * x[0]
    return y


@pytest.mark.parametrize("name", FUNCTIONS)
def test_all_ways_agree(name: str) -> None:
    f, x = FUNCTIONS[name]
    want = differences(f, x)
    forward, reverse = go.jacfwd(f)(x), go.jacrev(f)(x)
    assert forward.shape == reverse.shape == np.shape(f(x)) + np.shape(x)
    close(forward, reverse)
    close(forward, want, 1e-8)
    columns = []
    for index in np.ndindex(x.shape):
        e = np.zeros_like(x)
        e[index] = 1
        columns.append(go.jvp(f, (x,), (e,))[1])
    stacked = np.stack(columns, -1).reshape(want.shape)
    close(forward, stacked)
    _, pullback = go.vjp(f, x)
    out = np.shape(f(x))
    rows = []
    for index in np.ndindex(out):
        e = np.zeros(out)
        e[index] = 1
        rows.append(pullback(e if out else 1.0)[0])
    close(reverse, np.stack(rows).reshape(want.shape))


@pytest.mark.parametrize("name", [n for n in FUNCTIONS if n != "scalar argument"])
def test_all_orders_of_modes_give_one_hessian(name: str) -> None:
    f, x = FUNCTIONS[name]
    want = differences(go.compile_jacobian(f), x)
    ways = [a(b(f))(x) for a in (go.jacfwd, go.jacrev) for b in (go.jacfwd, go.jacrev)]
    for way in ways:
        assert way.shape == want.shape
        close(way, want, 1e-7)
        close(way, ways[0], 1e-10)
    close(go.hessian(f)(x), ways[0], 1e-12)


def test_the_hessian_of_a_quadratic_form_is_its_matrix() -> None:
    a = RNG.normal(size=(3, 3))
    close(go.hessian(lambda x: x @ a @ x)(V), a + a.T)
    third = go.jacfwd(go.hessian(lambda x: np.sum(x**3)))(V)
    close(third, 6 * np.einsum("ij,jk->ijk", np.eye(3), np.eye(3)))


class Pair(NamedTuple):
    a: Any
    b: Any


def model(p: Pair, x: Any) -> dict[str, Any]:
    return {"y": np.tanh(x @ p.a["w"] + p.b), "s": [np.sum(p.b**2)]}


P = Pair({"w": W}, RNG.normal(size=4))


@pytest.mark.parametrize("jacobian", [go.jacfwd, go.jacrev, go.compile_jacobian])
def test_structures(jacobian: Any) -> None:
    result = jacobian(model)(P, X)
    assert set(result) == {"y", "s"}
    assert type(result["y"]) is Pair
    close(
        result["y"].a["w"],
        differences(lambda w: np.tanh(X @ w + P.b), W),
        1e-8,
    )
    assert result["y"].b.shape == (2, 4, 4)
    close(result["s"][0].b, 2 * P.b)
    assert result["s"][0].a["w"].shape == (3, 4)
    assert not result["s"][0].a["w"].any()
    both = jacobian(model, (1, 0))(P, X)
    assert type(both["y"]) is tuple
    assert both["y"][0].shape == (2, 4, 2, 3)
    close(both["y"][1].a["w"], result["y"].a["w"])
    close(jacobian(model, argnums=-1)(P, X)["y"], both["y"][0])


def test_structure_of_a_hessian() -> None:
    def loss(p: Pair, x: Any) -> Any:
        return np.sum(np.tanh(x @ p.a["w"] + p.b))

    h = go.hessian(loss)(P, X)
    assert h.a["w"].a["w"].shape == (3, 4, 3, 4)
    assert h.a["w"].b.shape == (3, 4, 4)
    close(h.a["w"].b, np.transpose(h.b.a["w"], (1, 2, 0)))
    two = go.hessian(loss, (0, 1))(P, X)
    close(two[0].b[0].b, h.b.b)
    close(two[1][0].b, np.transpose(two[0].b[1], (1, 2, 0)))


def test_auxiliary_data() -> None:
    def f(x: Any) -> Any:
        return x**2, {"twice": 2 * x, "n": 3}

    for jacobian in (go.jacfwd, go.jacrev, go.compile_jacobian):
        j, aux = jacobian(f, has_aux=True)(V)
        close(j, np.diag(2 * V))
        close(aux["twice"], 2 * V)
        assert aux["n"] == 3
    h, aux = go.hessian(lambda x: (np.sum(x**3), x + 1), has_aux=True)(V)
    close(h, np.diag(6 * V))
    close(aux, V + 1)
    with pytest.raises(ArgumentError, match=r"must return \(result, aux\)"):
        go.jacfwd(np.sin, has_aux=True)(V)


def test_keyword_arguments_are_not_differentiated() -> None:
    def f(x: Any, *, scale: Any) -> Any:
        return x * scale

    close(go.jacrev(f)(V, scale=np.arange(3)), np.diag(np.arange(3.0)))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("jacobian", [go.jacfwd, go.jacrev])
def test_dtypes_and_sizes(jacobian: Any, dtype: Any) -> None:
    for shape in ((0,), (1,), (2, 0), (1, 1), (5,)):
        x = np.linspace(0.5, 1, int(np.prod(shape))).astype(dtype).reshape(shape)
        j = jacobian(lambda x: x * x)(x)
        assert j.dtype == dtype
        assert j.shape == shape + shape
        close(j.reshape(x.size, x.size), np.diag(2 * x.ravel()), 1e-6)
        assert jacobian(np.sum)(x).shape == shape


def test_hessian_vector_products() -> None:
    def f(x: Any) -> Any:
        return np.sum(np.tanh(x @ W) ** 2)

    v = RNG.normal(size=X.shape)
    want = np.einsum("ijkl,kl->ij", go.hessian(f)(X), v)
    close(go.hvp(f, (X,), (v,)), want)
    close(go.compile(lambda x, v: go.hvp(f, (x,), (v,)))(X, v), want)

    def g(p: Pair, x: Any) -> Any:
        return np.sum(model(p, x)["y"])

    t = (Pair({"w": np.ones((3, 4))}, np.zeros(4)), v)
    first, second = go.hvp(g, (P, X), t)
    h = go.hessian(g, (0, 1))(P, X)
    close(first.b, h[0].b[0].a["w"].sum((1, 2)) + np.einsum("ajk,jk->a", h[0].b[1], v))
    close(second, h[1][0].a["w"].sum((2, 3)) + np.einsum("ijkl,kl->ij", h[1][1], v))
    with pytest.raises(NonScalarLossError):
        go.hvp(np.sin, (X,), (v,))
    with pytest.raises(ArgumentError, match="tangents"):
        go.hvp(f, (X,), (v[0],))
    with pytest.raises(ArgumentTypeError, match="tuples"):
        go.hvp(f, X, v)


def test_linearize() -> None:
    def f(x: Any, n: Any) -> Any:
        return {"y": np.sin(x) * n, "n": n}

    v = RNG.normal(size=X.shape)
    value, push = go.linearize(f, X, 3)
    close(value["y"], 3 * np.sin(X))
    tangent = push(v, 0)
    close(tangent["y"], 3 * np.cos(X) * v)
    assert tangent["n"] == 0
    close(push(2 * v, 0)["y"], 2 * tangent["y"])
    with pytest.raises(ArgumentError, match=r"tangents\[0\] has shape \(3,\)"):
        push(v[0], 0)
    with pytest.raises(ArgumentTypeError, match=r"tangents\[1\] belongs to a value of dtype int64"):
        push(v, 1)


def test_a_pushforward_that_is_differentiated() -> None:
    """Functions with rules in it have rules for that, too."""

    @go.custom_jvp
    def inner(x: Any) -> Any:
        return x**2

    @go.custom_jvp
    def outer(x: Any) -> Any:
        return np.sin(x)

    inner.defjvp(lambda p, t: (p[0] ** 2, 5 * p[0] * t[0]))
    outer.defjvp(lambda p, t: (np.sin(p[0]), inner(p[0]) * t[0]))

    def f(x: Any, c: Any) -> Any:
        _, push = go.linearize(outer, x)
        return push(c)

    # In x, what the rule of outer says is differentiated by the rule of inner.
    assert go.compile(lambda x, c: go.grad(f, (0, 1))(x, c))(3.0, 0.5) == (7.5, 9.0)

    def late(c: Any) -> Any:
        _, push = go.linearize(outer, 3.0)
        return go.grad(lambda c: push(c * c))(c)

    assert go.compile(late)(0.5) == 9.0


def test_linearize_in_a_trace_and_with_aux() -> None:
    def f(x: Any) -> Any:
        return np.sin(x), x[0]

    def rows(x: Any) -> Any:
        _, push, first = go.linearize(f, x, has_aux=True)
        return go.vmap(push)(np.eye(3)), first

    matrix, first = go.compile(rows)(V)
    close(matrix, np.diag(np.cos(V)))
    close(first, V[0])
    _, push, first = go.linearize(f, V, has_aux=True)
    close(push(V), np.cos(V) * V)
    close(first, V[0])
    gradient = go.grad(lambda x: np.sum(go.linearize(np.exp, x)[1](x)))(V)
    close(gradient, np.exp(V) * (1 + V))


def test_the_linear_function_belongs_to_the_arguments_as_they_were() -> None:
    x = V.copy()
    _, push = go.linearize(np.sin, x)
    x[:] = 0
    close(push(np.ones(3)), np.cos(V))


def test_compiled_products() -> None:
    value, tangent = go.compile_jvp(lambda x, w: np.tanh(x @ w))((X, W), (X, 0 * W))
    close(value, np.tanh(X @ W))
    close(tangent, (1 - value**2) * value_of(X))
    c = RNG.normal(size=(2, 4))
    value, gradients, aux = go.compile_vjp(lambda x, w: (x @ w, x), has_aux=True)((X, W), c)
    close(value, X @ W)
    close(gradients[0], c @ W.T)
    close(gradients[1], X.T @ c)
    close(aux, X)
    with pytest.raises(ArgumentError, match="cotangent has shape"):
        go.compile_vjp(np.sin)((X,), V)


def value_of(x: Any) -> Any:
    return x @ W


def test_compiled_jacobians_choose_the_shorter_way() -> None:
    wide, tall = (lambda x: np.sum(np.sin(x))), (lambda s: np.sin(s * V))
    for f, x, mode in ((wide, V, "rev"), (tall, 0.5, "fwd")):
        chosen = go.compile_jacobian(f).lower(x).mlir("adjoint")
        assert chosen == go.compile_jacobian(f, mode=mode).lower(x).mlir("adjoint")
        close(go.compile_jacobian(f)(x), go.compile_jacobian(f, mode="fwd")(x))
    with pytest.raises(ArgumentError, match='mode is "fwd", "rev" or None'):
        go.compile_jacobian(wide, mode="forward")  # pyright: ignore[reportArgumentType]
    close(go.compile_hessian(wide)(V), np.diag(-np.sin(V)))


@pytest.mark.parametrize("transform", [go.jacfwd, go.jacrev, go.hessian])
def test_maps_of_jacobians(transform: Any) -> None:
    def f(x: Any, w: Any) -> Any:
        return np.tanh(x @ w) * x[0]

    rows = go.vmap(transform(f), (0, None))(X, W)
    close(rows, np.stack([transform(f)(x, W) for x in X]))

    def total(w: Any) -> Any:
        return np.sum(transform(f)(V, w))

    close(go.grad(total)(W), differences(total, W), 1e-7)
    mapped = transform(lambda w: go.vmap(f, (0, None))(X, w))(W)
    close(mapped, np.stack([transform(lambda w, x=x: f(x, w))(W) for x in X]))


def test_a_jacobian_is_one_program() -> None:
    """As many products as the function has: none for each row or column."""

    def f(x: Any) -> Any:
        return np.tanh(np.tanh(x @ W) @ W.T)

    for size in (2, 20):
        x = RNG.normal(size=(size, 3))
        for mode in ("fwd", "rev"):
            text = go.compile_jacobian(f, mode=mode).lower(x).mlir("adjoint")
            assert text.count("grad.dot_general") == 4
            assert text.count("grad.tanh") == 2
            # That with the basis itself chooses elements.
            text = go.compile_jacobian(f, mode=mode).lower(x).mlir("simplified")
            assert text.count("grad.dot_general") == 3


def test_derivatives_that_are_not_there_meet_no_infinities() -> None:
    """Zero times infinity is no part of a Jacobian."""
    w = np.array([[1.0, np.inf], [2.0, 3.0]])
    for jacobian in (go.jacfwd, go.jacrev):
        np.testing.assert_array_equal(jacobian(lambda x: w @ x)(np.ones(2)), w)


def test_errors() -> None:
    with pytest.raises(ArgumentTypeError, match="with respect to n of dtype int64"):
        go.jacfwd(lambda n: n * 1.0)(np.arange(3))
    with pytest.raises(ArgumentTypeError, match=r"result\[1\] of lambda has dtype bool"):
        go.jacrev(lambda x: (x, x > 0))(V)
    with pytest.raises(ArgumentError, match="argnums names argument 2 of"):
        go.hessian(lambda x: x, 2)(V)
    with pytest.raises(ArgumentTypeError, match="argnums must be an int or a tuple of ints"):
        go.jacfwd(np.sin, 0.5)  # pyright: ignore[reportArgumentType]
    with pytest.raises(TraceIndexError, match="index 5 is out of bounds"):
        go.compile(lambda x, i: go.jacrev(lambda x: x[i] * x)(x))(V, 5)


@pytest.mark.parametrize(
    ("call", "line"),
    [
        (lambda x: go.vjp(np.sin, x)[1](x[:2]), "go.vjp(np.sin, x)[1](x[:2])"),
        (lambda x: go.linearize(np.sin, x)[1](x[:2]), "go.linearize(np.sin, x)[1](x[:2])"),
        (lambda x: go.jvp(np.sin, (x,), (x[:2],)), "go.jvp(np.sin, (x,), (x[:2],))"),
        (lambda x: go.grad(np.sin)(x), "go.grad(np.sin)(x)"),
        (lambda x: go.vmap(np.sin, 1)(x), "go.vmap(np.sin, 1)(x)"),
        (lambda x: go.fori_loop(0, 3, x, x), "go.fori_loop(0, 3, x, x)"),
    ],
)
def test_errors_are_at_the_line_of_the_call(call: Any, line: str) -> None:
    """The line in the traced function, where it is not the user's function that is wrong."""
    with pytest.raises(GradoptError) as info:
        go.compile(lambda x: call(x))(V)
    assert info.value.location is not None
    assert info.value.location.line == call.__code__.co_firstlineno
    assert line in str(info.value)


def test_pickling_and_names() -> None:
    for transform, name in ((go.jacfwd(model), "jacfwd"), (go.jacrev(model), "jacrev")):
        again = pickle.loads(pickle.dumps(transform))
        assert repr(again) == f"{name}<model>"
        close(again(P, X)["y"].b, transform(P, X)["y"].b)


# -- Random structures ------------------------------------------------------------------------

SHAPES = st.lists(st.integers(0, 3), max_size=2).map(tuple)


@by_hypothesis(15)
@given(st.dictionaries(st.sampled_from("abcd"), SHAPES, min_size=1, max_size=3), st.booleans())
def test_random_structures(shapes: dict[str, tuple[int, ...]], single: bool) -> None:
    dtype = np.float32 if single else np.float64
    rng = generator(sum(map(len, shapes.values())))
    values = {k: rng.uniform(0.5, 1, s).astype(dtype) for k, s in shapes.items()}

    def f(tree: dict[str, Any]) -> list[Any]:
        whole = sum(np.sum(np.sin(leaf)) for leaf in tree.values())
        return [leaf * whole for leaf in tree.values()]

    forward, reverse = go.jacfwd(f)(values), go.jacrev(f)(values)
    whole = sum(np.sin(v).sum() for v in values.values())
    for i, a in enumerate(values):
        for b in values:
            x, y = values[a], values[b]
            want = np.multiply.outer(x, np.cos(y))
            if a == b:
                want = want + np.eye(x.size).reshape(x.shape + x.shape) * whole
            for got in (forward[i][b], reverse[i][b]):
                assert got.shape == x.shape + y.shape
                assert got.dtype == dtype
                close(got, want, 1e-5 if single else 1e-12)
