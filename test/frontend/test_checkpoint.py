# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""checkpoint: what derivatives compute once more, and what memory that saves."""

from typing import Any

import numpy as np
import pytest

import gradopt as go

POLICIES = ["nothing", "everything", "dots", "dots_with_no_batch_dims"]
RNG = np.random.default_rng(3)
W = RNG.normal(size=(6, 6)) / 2
X = RNG.normal(size=6)
MATRIX = RNG.normal(size=(500, 500)) / 20


def layer(w: Any, x: Any) -> Any:
    return np.tanh(w @ np.sin(x)) * x


def plain(w: Any, x: Any) -> Any:
    return np.sum(layer(w, layer(w, x)) ** 2)


def checkpointed(policy: Any) -> Any:
    part = go.checkpoint(layer, policy=policy)
    return lambda w, x: np.sum(part(w, part(w, x)) ** 2)


def same(a: Any, b: Any) -> None:
    for one, other in zip(a, b, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("policy", POLICIES)
def test_derivatives(policy: Any) -> None:
    f = checkpointed(policy)
    value, gradients = go.compile_value_and_grad(f, argnums=(0, 1))(W, X)
    np.testing.assert_allclose(value, plain(W, X), rtol=1e-12)
    same(gradients, go.compile_grad(plain, argnums=(0, 1))(W, X))
    tangents = (np.cos(W), np.cos(X))
    same(
        go.compile_jvp(f)((W, X), tangents),
        go.compile_jvp(plain)((W, X), tangents),
    )


@pytest.mark.parametrize("policy", POLICIES)
def test_second_derivatives(policy: Any) -> None:
    f = checkpointed(policy)
    go.gradcheck(f, (W, X), order=2)
    expected = go.compile_hessian(plain, argnums=1)(W, X)
    np.testing.assert_allclose(go.jacfwd(go.jacrev(f, 1), 1)(W, X), expected, rtol=1e-10)
    np.testing.assert_allclose(go.jacrev(go.jacrev(f, 1), 1)(W, X), expected, rtol=1e-10)
    np.testing.assert_allclose(go.jacrev(go.jacfwd(f, 1), 1)(W, X), expected, rtol=1e-10)


@pytest.mark.parametrize("policy", POLICIES)
def test_under_vmap(policy: Any) -> None:
    xs = RNG.normal(size=(4, 6))
    inside = go.vmap(go.grad(checkpointed(policy), 1), in_axes=(None, 0))(W, xs)
    expected = np.stack([go.grad(plain, 1)(W, x) for x in xs])
    np.testing.assert_allclose(inside, expected, rtol=1e-11)

    mapped = go.checkpoint(go.vmap(layer, in_axes=(None, 0)), policy=policy)
    outside = go.grad(lambda w, x: np.sum(mapped(w, mapped(w, x)) ** 2), 1)(W, xs)
    np.testing.assert_allclose(outside, expected, rtol=1e-11)


@pytest.mark.parametrize("policy", POLICIES)
def test_in_loops_and_branches(policy: Any) -> None:
    part = go.checkpoint(layer, policy=policy)

    def loss(body: Any, w: Any, x: Any, n: Any) -> Any:
        x = go.fori_loop(0, 5, lambda i, x: body(w, x) + 0.1 * i, x)
        x = go.fori_loop(0, n, lambda i, x: body(w, x) + 0.1 * i, x)
        x = go.cond(n > 2, lambda x: body(w, x), lambda x: x, x)
        return np.sum(x**2)

    gradient = go.compile_grad(lambda w, x, n: loss(part, w, x, n), (0, 1))
    expected = go.compile_grad(lambda w, x, n: loss(layer, w, x, n), (0, 1))
    for n in (0, 3, 7):
        same(gradient(W, X, n), expected(W, X, n))


@pytest.mark.parametrize("policy", POLICIES)
def test_loops_inside(policy: Any) -> None:
    def steps(w: Any, x: Any) -> Any:
        x = go.fori_loop(0, 4, lambda i, x: layer(w, x), x)
        count = go.while_loop(lambda s: s[0] < 3, lambda s: (s[0] + 1, layer(w, s[1])), (0, x))
        return go.scan(lambda c, v: (c * v, np.sin(c)), count[1], x)

    def loss(f: Any) -> Any:
        def total(w: Any, x: Any) -> Any:
            a, b = f(w, x)
            return np.sum(a * X) + np.sum(b)

        return total

    same(
        go.grad(loss(go.checkpoint(steps, policy=policy)), (0, 1))(W, X),
        go.grad(loss(steps), (0, 1))(W, X),
    )
    go.gradcheck(loss(go.checkpoint(steps, policy=policy)), (W, X), order=2)


def test_nested() -> None:
    inner = go.checkpoint(layer, policy="dots")

    @go.checkpoint
    def outer(w: Any, x: Any) -> Any:
        return inner(w, inner(w, x))

    def loss(w: Any, x: Any) -> Any:
        return np.sum(outer(w, x) ** 2)

    same(go.grad(loss, (0, 1))(W, X), go.grad(plain, (0, 1))(W, X))
    go.gradcheck(loss, (W, X), order=2)


def test_structures() -> None:
    """Pytrees in and out, Python numbers that are sizes, results that are arguments."""

    @go.checkpoint
    def f(params: Any, n: int, scale: float = 1.0) -> Any:
        y = params["x"]
        for _ in range(n):
            y = np.sin(y) * scale
        return {"y": y, "same": params["x"], "n": n}

    def loss(x: Any) -> Any:
        out = f({"x": x}, 3, scale=2.0)
        return np.sum(out["y"] * out["same"]) * out["n"]

    def expected(x: Any) -> Any:
        y = x
        for _ in range(3):
            y = np.sin(y) * 2
        return np.sum(y * x) * 3

    np.testing.assert_allclose(go.compile(loss)(X), expected(X), rtol=1e-12)
    np.testing.assert_allclose(go.grad(loss)(X), go.grad(expected)(X), rtol=1e-12)
    out = f({"x": X}, 0)
    np.testing.assert_array_equal(out["y"], X)


def test_custom_rules_inside() -> None:
    """The rule gets what it asks for, computed once more."""

    @go.custom_vjp
    def cube(x: Any) -> Any:
        return x**3

    cube.defvjp(lambda x: (x**3, np.exp(x)), lambda r, g: (g * r,))

    def loss(x: Any) -> Any:
        return np.sum(go.checkpoint(lambda x: cube(np.sin(x)))(x))

    np.testing.assert_allclose(go.grad(loss)(X), np.exp(np.sin(X)) * np.cos(X), rtol=1e-12)


def chain(layers: int, segment: int | None, policy: Any = "nothing") -> Any:
    """Layers in a row, checkpointed so many at a time."""

    def run(count: int) -> Any:
        def some(x: Any) -> Any:
            for _ in range(count):
                x = np.cos(np.tanh(np.sin(x)) @ MATRIX)
            return x

        return some

    def loss(x: Any) -> Any:
        if segment is None:
            return np.sum(run(layers)(x))
        for _ in range(layers // segment):
            x = go.checkpoint(run(segment), policy=policy)(x)
        return np.sum(x)

    return go.compile_grad(loss, capture="trace")


def test_memory_of_a_deep_chain() -> None:
    """With a checkpoint for each sqrt(n) layers, memory grows as sqrt(n)."""
    x = np.linspace(0, 1, 500)

    def arrays(layers: int, segment: int | None, policy: Any = "nothing") -> float:
        """In arrays as large as x, beyond the matrix."""
        memory = chain(layers, segment, policy).lower(x).memory()
        return memory.arena / x.nbytes

    assert arrays(64, None) >= 3 * 64
    assert arrays(64, 8, "everything") >= 3 * 64
    assert arrays(64, 8) <= 3 * 8 + 8 + 8
    assert arrays(16, 4) <= 3 * 4 + 4 + 8
    assert 64 <= arrays(64, 8, "dots") <= 64 + 3 * 8 + 8
    for layers, segment in ((16, 4), (64, 8)):
        np.testing.assert_allclose(
            chain(layers, segment)(x), chain(layers, None)(x), rtol=1e-10, atol=1e-300
        )


def test_memory_in_a_loop() -> None:
    """Of each iteration the state is kept, and nothing else."""
    x = np.linspace(0, 1, 1000)

    def step(x: Any) -> Any:
        return np.exp(-np.cosh(np.tanh(np.sin(x))))

    def bytes_for(body: Any) -> int:
        def loss(x: Any) -> Any:
            return np.sum(go.fori_loop(0, 50, lambda i, x: body(x), x))

        return go.compile_grad(loss).lower(x).memory().arena

    assert bytes_for(step) >= 150 * x.nbytes
    assert bytes_for(go.checkpoint(step)) <= 60 * x.nbytes


@pytest.mark.parametrize("loop", ["scan", "nested", "branch", "triangle"])
def test_products_in_loops(loop: str) -> None:
    """Of each iteration the product is kept, and none is computed again."""
    w = RNG.normal(size=(30, 30)) / 6
    xs = RNG.normal(size=(12, 30))

    def step(w: Any, c: Any, x: Any) -> Any:
        return np.tanh(w @ c) * np.cos(x)

    def run(w: Any, xs: Any) -> Any:
        if loop == "scan":
            return go.scan(lambda c, x: (step(w, c, x), None), xs[0], xs)[0]
        if loop == "branch":
            return go.fori_loop(
                0,
                12,
                lambda i, c: go.cond(i % 3 > 0, lambda c: step(w, c, xs[i]), lambda c: c, c),
                xs[0],
            )
        if loop == "nested":
            return go.fori_loop(
                0,
                3,
                lambda i, c: go.fori_loop(0, 4, lambda j, c: step(w, c, xs[4 * i + j]), c),
                xs[0],
            )

        def row(i: Any, out: Any) -> Any:
            def element(j: Any, out: Any) -> Any:
                out[j] = step(w, out[i], xs[j])
                return out

            return go.fori_loop(0, i, element, out)

        return go.fori_loop(0, 4, row, xs.copy())

    def loss(policy: Any) -> Any:
        f = go.checkpoint(run, policy=policy) if policy else run
        return lambda w, xs: np.sum(f(w, xs) ** 2)

    def products(policy: Any) -> int:
        program = go.compile_grad(loss(policy), (0, 1)).lower(w, xs).mlir("simplified")
        return program.count("dot_general")

    for policy in ("dots", "dots_with_no_batch_dims", "nothing"):
        same(
            go.compile_grad(loss(policy), (0, 1))(w, xs),
            go.compile_grad(loss(None), (0, 1))(w, xs),
        )
    assert products("nothing") == products(None) + 1
    assert products("dots") == products(None)
    assert products("dots_with_no_batch_dims") == products(None)


def test_memory_of_second_order() -> None:
    x = np.linspace(0, 1, 1000)

    def arrays(segment: int | None) -> float:
        def loss(x: Any) -> Any:
            def run(x: Any) -> Any:
                for _ in range(segment or 64):
                    x = np.sin(np.tanh(x))
                return x

            for _ in range(64 // (segment or 64)):
                x = (go.checkpoint(run) if segment else run)(x)
            return np.sum(x**2)

        f = go.compile_grad(lambda x: np.sum(go.grad(loss)(x) * x))
        return f.lower(x).memory().arena / x.nbytes

    assert arrays(8) <= arrays(None) / 2


def test_policies_that_do_not_exist() -> None:
    for policy in ("some", 1, None):
        with pytest.raises(go.errors.ArgumentError, match="policy must be one of 'nothing'"):
            go.checkpoint(layer, policy=policy)  # pyright: ignore[reportArgumentType]


def test_arguments_are_not_written_to() -> None:
    @go.checkpoint
    def f(x: Any) -> Any:
        x[0] = 1.0
        return x

    with pytest.raises(go.errors.UnsupportedError):
        go.compile(lambda x: f(x * 2))(X)
