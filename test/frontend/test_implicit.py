# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""custom_root, custom_linear_solve and fixed_point: derivatives are those of the equations."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest

import gradopt as go
from gradopt.errors import (
    ArgumentError,
    ArgumentTypeError,
    ConvergenceError,
    GradoptError,
)

RNG = np.random.default_rng(0)
MATRIX = RNG.normal(size=(4, 4)) + 4 * np.eye(4)
B = RNG.normal(size=4)


# -- Solvers, as users write them ------------------------------------------------------------


def bisect(f: Any, guess: Any) -> Any:
    """A root of an increasing function; what it does has no derivative at all."""

    def halve(_: Any, bounds: Any) -> Any:
        low, high = bounds
        middle = 0.5 * (low + high)
        above = f(middle) > 0
        return np.where(above, low, middle), np.where(above, middle, high)

    low, high = go.fori_loop(0, 60, halve, (guess - 8, guess + 8))
    return 0.5 * (low + high)


def divide(g: Any, y: Any) -> Any:
    return y / g(np.ones_like(y))


def eliminate(g: Any, y: Any) -> Any:
    """Gauss and Jordan without pivots, on the matrix of a linear function."""
    n = len(y)
    rows = np.concatenate([go.jacfwd(g)(y), y[:, None]], axis=1)

    def step(i: Any, rows: Any) -> Any:
        pivot = rows[i] / rows[i, i]
        factors = np.where(np.arange(n) == i, 0, rows[:, i])
        rows = rows - factors[:, None] * pivot
        return np.where((np.arange(n) == i)[:, None], pivot, rows)

    return go.fori_loop(0, n, step, rows)[:, -1]


def conjugate_gradients(matvec: Any, b: Any) -> Any:
    def goes_on(state: Any) -> Any:
        return (state[0] < 50) & (state[3] @ state[3] > 1e-30)

    def step(state: Any) -> Any:
        count, x, p, r = state
        product = matvec(p)
        size = (r @ r) / (p @ product)
        following = r - size * product
        return count + 1, x + size * p, following + (following @ following) / (r @ r) * p, following

    return go.while_loop(goes_on, step, (np.int64(0), np.zeros_like(b), b, b))[1]


def cube_root(a: Any) -> Any:
    return go.custom_root(lambda x: x**3 - a, np.float64(1), bisect, divide)


# -- custom_root -----------------------------------------------------------------------------


def test_derivatives_of_a_root_of_any_order() -> None:
    a = 2.5
    exact = [a ** (1 / 3), a ** (-2 / 3) / 3, -2 / 9 * a ** (-5 / 3), 10 / 27 * a ** (-8 / 3)]
    np.testing.assert_allclose(go.compile(cube_root)(a), exact[0], rtol=1e-13)
    reverse, forward = cube_root, cube_root
    for order in range(1, 4):
        reverse = go.grad(reverse)
        forward = (lambda f: lambda x: go.jvp(f, (x,), (1.0,))[1])(forward)
        np.testing.assert_allclose(reverse(a), exact[order], rtol=1e-12)
        np.testing.assert_allclose(forward(a), exact[order], rtol=1e-12)
    mixed = go.jvp(go.grad(cube_root), (a,), (1.0,))[1]
    np.testing.assert_allclose(mixed, exact[2], rtol=1e-12)
    assert go.gradcheck(cube_root, (a,), order=2)


def test_outside_of_traces_the_solver_runs() -> None:
    np.testing.assert_allclose(cube_root(8.0), 2.0, rtol=1e-14)


def test_roots_are_mapped_and_found_in_loops() -> None:
    a = np.array([0.5, 2.0, 7.0])
    np.testing.assert_allclose(go.vmap(cube_root)(a), np.cbrt(a), rtol=1e-13)
    np.testing.assert_allclose(go.vmap(go.grad(cube_root))(a), a ** (-2 / 3) / 3, rtol=1e-12)

    def nested(a: Any) -> Any:
        return go.fori_loop(0, 3, lambda _, x: cube_root(x + 0 * a), a)

    np.testing.assert_allclose(go.grad(nested)(2.0), 2.0 ** (-26 / 27) / 27, rtol=1e-11)
    total = go.compile_grad(lambda a: np.sum(go.map(cube_root, a)))(a)
    np.testing.assert_allclose(total, a ** (-2 / 3) / 3, rtol=1e-12)


def quadratic(p: Any) -> Any:
    """The two numbers with sum p["s"] and product p["m"], by Newton's method."""

    def f(x: Any) -> Any:
        return {
            "sum": x["sum"] + x["product"] - p["s"],
            "product": x["sum"] * x["product"] - p["m"],
        }

    def newton(f: Any, x: Any) -> Any:
        def step(_: Any, x: Any) -> Any:
            value, linear = go.linearize(f, x)
            d = cramer(linear, value)
            return {name: x[name] - d[name] for name in x}

        return go.fori_loop(0, 20, step, x)

    def cramer(g: Any, y: Any) -> Any:
        left, right = g({"sum": 1.0, "product": 0.0}), g({"sum": 0.0, "product": 1.0})
        det = left["sum"] * right["product"] - right["sum"] * left["product"]
        return {
            "sum": (y["sum"] * right["product"] - right["sum"] * y["product"]) / det,
            "product": (left["sum"] * y["product"] - y["sum"] * left["product"]) / det,
        }

    return go.custom_root(f, {"sum": np.float64(9), "product": np.float64(0)}, newton, cramer)


def test_pytrees_and_what_the_equation_closes_over() -> None:
    p = {"s": 5.0, "m": 3.0}
    x = go.compile(quadratic)(p)
    root = np.sqrt(13.0)
    np.testing.assert_allclose([x["sum"], x["product"]], [(5 + root) / 2, (5 - root) / 2])
    gradient = go.grad(lambda p: quadratic(p)["sum"])(p)
    np.testing.assert_allclose(
        [gradient["s"], gradient["m"]], [0.5 + 2.5 / root, -1 / root], rtol=1e-13
    )
    assert go.gradcheck(quadratic, (p,), order=2)


def test_auxiliary_results_of_the_solver() -> None:
    def f(a: Any) -> Any:
        def solve(f: Any, x: Any) -> Any:
            x = bisect(f, x)
            return x, {"residual": f(x), "steps": np.int64(60)}

        x, aux = go.custom_root(lambda x: x**3 - a, np.float64(1), solve, divide, has_aux=True)
        return x + aux["residual"], aux

    (value, aux), gradient = go.value_and_grad(f, has_aux=True)(8.0)
    np.testing.assert_allclose([value, gradient], [2, 1 / 12], rtol=1e-12)
    assert aux["steps"] == 60
    np.testing.assert_allclose(go.jvp(lambda a: f(a)[0], (8.0,), (1.0,))[1], 1 / 12, rtol=1e-12)


def test_neither_guess_nor_solver_have_derivatives() -> None:
    def f(a: Any, guess: Any, width: Any) -> Any:
        def solve(f: Any, x: Any) -> Any:
            return bisect(f, x + 0 * width)

        def tangent_solve(g: Any, y: Any) -> Any:
            return y / g(width / width)

        return go.custom_root(lambda x: x**3 - a, guess, solve, tangent_solve)

    for order in (1, 2):
        with np.errstate(all="raise"):
            g = go.grad(f, (0, 1, 2))
            if order == 2:
                g = go.grad(lambda *args: go.grad(f)(*args), (0, 1, 2))
        exact = 1 / 12 if order == 1 else -2 / 9 / 32
        np.testing.assert_allclose(g(8.0, 1.0, 3.0), [exact, 0, 0], rtol=1e-11, atol=1e-14)


def test_functions_with_rules_and_checks_in_the_equation() -> None:
    @go.custom_vjp
    def cube(x: Any) -> Any:
        return x**3

    cube.defvjp(lambda x: (cube(x), x), lambda x, g: (3 * x**2 * g,))

    def f(a: Any, i: Any) -> Any:
        return go.custom_root(lambda x: cube(x) - a[i], np.float64(1), bisect, divide)

    a = np.array([2.0, 8.0])
    np.testing.assert_allclose(go.grad(f)(a, 1), [0, 1 / 12], rtol=1e-12)
    second = go.compile_hessian(f)(a, np.int64(1))
    np.testing.assert_allclose(second, [[0, 0], [0, -2 / 9 / 32]], rtol=1e-11)
    with pytest.raises(IndexError, match="out of bounds"):
        go.compile_grad(f)(a, np.int64(2))


# -- custom_linear_solve ---------------------------------------------------------------------


def solved(matrix: Any, b: Any) -> Any:
    return go.custom_linear_solve(lambda x: matrix @ x, b, eliminate, eliminate)


@pytest.mark.parametrize("kind", ["general", "symmetric"])
def test_linear_systems(kind: str) -> None:
    f, matrix = solved, MATRIX
    if kind == "symmetric":
        matrix = MATRIX @ MATRIX.T

        def f(matrix: Any, b: Any) -> Any:
            return go.custom_linear_solve(
                lambda x: matrix @ x, b, conjugate_gradients, symmetric=True
            )

    x = np.linalg.solve(matrix, B)
    w = RNG.normal(size=4)
    adjoint = np.linalg.solve(matrix.T, w)
    np.testing.assert_allclose(go.compile(f)(matrix, B), x, rtol=1e-9)
    gradients = go.grad(lambda m, b: w @ f(m, b), (0, 1))(matrix, B)
    np.testing.assert_allclose(gradients[0], -np.outer(adjoint, x), rtol=1e-8, atol=1e-12)
    np.testing.assert_allclose(gradients[1], adjoint, rtol=1e-8)
    m, c = RNG.normal(size=(4, 4)), RNG.normal(size=4)
    tangent = go.jvp(f, (matrix, B), (m, c))[1]
    np.testing.assert_allclose(tangent, np.linalg.solve(matrix, c - m @ x), rtol=1e-8)
    if kind == "general":
        assert go.gradcheck(f, (matrix, B), order=2)
        batch = go.vmap(go.grad(lambda b: w @ f(matrix, b) ** 2))(np.stack([B, 2 * B, w]))
        np.testing.assert_allclose(batch[1], 2 * batch[0], rtol=1e-10)
        value = 2 * np.linalg.solve(matrix.T, w * np.linalg.solve(matrix, w))
        np.testing.assert_allclose(batch[2], value, rtol=1e-10)


def test_an_iterative_solver_in_a_root() -> None:
    def f(theta: Any) -> Any:
        def equation(x: Any) -> Any:
            return MATRIX @ MATRIX.T @ x + np.tanh(x) - theta

        def newton(f: Any, x: Any) -> Any:
            def step(_: Any, x: Any) -> Any:
                value, linear = go.linearize(f, x)
                return x - conjugate_gradients(linear, value)

            return go.fori_loop(0, 8, step, x)

        def tangent_solve(g: Any, y: Any) -> Any:
            return go.custom_linear_solve(g, y, conjugate_gradients, symmetric=True)

        return go.custom_root(equation, np.zeros(4), newton, tangent_solve)

    x = go.compile(f)(B)
    jacobian = np.linalg.inv(MATRIX @ MATRIX.T + np.diag(1 / np.cosh(x) ** 2))
    np.testing.assert_allclose(go.jacrev(f)(B), jacobian, rtol=1e-8, atol=1e-12)
    np.testing.assert_allclose(go.jacfwd(f)(B), jacobian, rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize("has_aux", [False, True])
def test_a_linear_system_without_a_transposed_solver(has_aux: bool) -> None:
    def solve(g: Any, y: Any) -> Any:
        return (eliminate(g, y), {"n": len(y), "y": y}) if has_aux else eliminate(g, y)

    def f(b: Any) -> Any:
        result = go.custom_linear_solve(lambda x: MATRIX @ x, b, solve, has_aux=has_aux)
        return result[0] if has_aux else result

    np.testing.assert_allclose(go.jacfwd(f)(B), np.linalg.inv(MATRIX), rtol=1e-10)
    np.testing.assert_allclose(go.jacrev(f)(B), np.linalg.inv(MATRIX), rtol=1e-10)


def test_the_derivative_is_linear_for_forward_mode_of_a_rule() -> None:
    """Also where a check in the solver decides whether it is NaN."""

    def solved(x: Any) -> Any:
        return go.custom_linear_solve(
            lambda v: MATRIX @ v,
            np.sin(x),
            lambda _, b: np.linalg.solve(MATRIX, b),
            lambda _, b: np.linalg.solve(MATRIX.T, b),
        )

    @go.custom_vjp
    def f(x: Any) -> Any:
        return solved(x)

    f.defvjp(lambda x: (solved(x), x), lambda x, g: go.vjp(solved, x)[1](g))
    direction = RNG.normal(size=4)
    for g in (lambda x: x, go.vmap):
        x, t = (B, direction) if g is not go.vmap else (np.stack([B, -B]), np.ones((2, 4)))
        got = go.jvp(g(f), (x,), (t,))[1]
        np.testing.assert_allclose(got, go.jvp(g(solved), (x,), (t,))[1], rtol=1e-12)


def test_auxiliary_results_of_linear_solvers() -> None:
    def f(b: Any) -> Any:
        def solve(g: Any, y: Any) -> Any:
            return eliminate(g, y), np.max(np.abs(y))

        return go.custom_linear_solve(lambda x: MATRIX @ x, b, solve, solve, has_aux=True)

    (_, largest), pull = go.vjp(f, B)
    np.testing.assert_allclose(largest, np.max(np.abs(B)))
    (gradient,) = pull((B, 1.0))
    np.testing.assert_allclose(gradient, np.linalg.solve(MATRIX.T, B), rtol=1e-10)
    np.testing.assert_allclose(go.jvp(f, (B,), (B,))[1][0], np.linalg.solve(MATRIX, B), rtol=1e-10)


# -- fixed_point -----------------------------------------------------------------------------


def layer(theta: Any, x0: Any) -> Any:
    """A layer that is its own input."""
    return go.fixed_point(lambda x: np.tanh(theta["w"] @ x + theta["b"]), x0)


THETA = {"w": 0.3 * RNG.normal(size=(4, 4)), "b": B}


def test_fixed_points() -> None:
    x = go.compile(layer)(THETA, np.zeros(4))
    np.testing.assert_allclose(np.tanh(THETA["w"] @ x + THETA["b"]), x, rtol=1e-9)
    np.testing.assert_allclose(layer(THETA, np.zeros(4)), x, rtol=1e-14)
    slopes = (1 - x**2)[:, None]
    exact = np.linalg.inv(np.eye(4) - slopes * THETA["w"]) * slopes[:, 0]
    for jacobian in (go.jacfwd, go.jacrev):
        found = jacobian(layer)(THETA, np.zeros(4))
        np.testing.assert_allclose(found["b"], exact, rtol=1e-8, atol=1e-10)
    assert go.gradcheck(layer, (THETA, np.zeros(4)), order=2)


def test_the_derivative_does_not_depend_on_the_way() -> None:
    def loss(theta: Any, x0: Any) -> Any:
        return np.sum(layer(theta, x0) ** 2)

    near, far = (go.grad(loss, (0, 1))(THETA, x0) for x0 in (np.zeros(4), np.full(4, 9.0)))
    np.testing.assert_allclose(near[0]["w"], far[0]["w"], rtol=1e-8)
    np.testing.assert_array_equal([near[1], far[1]], 0)


def test_fixed_points_in_everything() -> None:
    def cosine(a: Any) -> Any:
        return go.fixed_point(lambda x: np.cos(a * x), np.float64(0))

    def slope(a: Any) -> Any:
        x = cosine(a)
        return -x * np.sin(a * x) / (1 + a * np.sin(a * x))

    a = np.array([0.2, 0.5, 0.7])
    exact = [slope(v) for v in a]
    np.testing.assert_allclose(go.vmap(go.grad(cosine))(a), exact, rtol=1e-8)
    np.testing.assert_allclose(go.grad(lambda a: np.sum(go.vmap(cosine)(a)))(a), exact, rtol=1e-8)

    def summed(a: Any) -> Any:
        return go.scan(lambda s, v: (s + cosine(v), v), np.float64(0), a)[0]

    np.testing.assert_allclose(go.grad(summed)(a), exact, rtol=1e-8)
    chosen = go.grad(lambda v: go.cond(v > 0, cosine, lambda v: 3 * v, v))
    np.testing.assert_allclose([chosen(0.5), chosen(-1.0)], [slope(0.5), 3], rtol=1e-8)

    def nested(a: Any) -> Any:
        def outer(y: Any) -> Any:
            return 0.5 * a * go.fixed_point(lambda x: np.cos(0.5 * x + 0.1 * a * y), y)

        return go.fixed_point(outer, np.float64(0), rtol=1e-12)

    assert go.gradcheck(nested, (0.7,))


def test_single_precision_and_numbers() -> None:
    theta = {name: value.astype(np.float32) for name, value in THETA.items()}
    x0 = np.zeros(4, np.float32)
    gradient = go.grad(lambda t: np.sum(layer(t, x0)))(theta)
    exact = go.grad(lambda t: np.sum(layer(t, np.zeros(4))))(THETA)
    assert gradient["w"].dtype == np.float32
    np.testing.assert_allclose(gradient["w"], exact["w"], rtol=1e-3, atol=1e-4)
    value, slope = go.value_and_grad(lambda a: go.fixed_point(lambda x: 0.5 * x + a, 0.0))(3.0)
    np.testing.assert_allclose([value, slope], [6, 2], rtol=1e-8)
    empty = go.compile(lambda a: go.fixed_point(lambda x: 0.5 * x, np.zeros(0)))(1.0)
    assert empty.shape == (0,)


def test_a_derivative_that_does_not_exist_is_nan() -> None:
    def f(a: Any) -> Any:
        return go.fixed_point(lambda x: x + a, np.zeros(2))

    np.testing.assert_array_equal(go.compile(f)(0.0), 0)
    assert np.isnan(go.jvp(f, (0.0,), (1.0,))[1]).all()
    assert np.isnan(go.grad(lambda a: np.sum(f(a)))(0.0))


@pytest.mark.parametrize("traced", [False, True])
def test_iterations_that_do_not_converge(traced: bool) -> None:
    def f(a: Any) -> Any:
        return go.fixed_point(lambda x: a * x + 1, np.float64(0), max_steps=20)

    a = np.array([0.1, 0.2])
    programs = [go.compile(f), go.compile_grad(f), go.compile(go.vmap(f))] if traced else [f]
    for g in programs:
        args = (a[0], 2.0) if g is not programs[-1] or not traced else (a, np.array([0.1, 2.0]))
        g(args[0])
        for growth, steps in ((1, 20), (1e300, 3)):
            failure = pytest.raises(ConvergenceError, match=f"after {steps} steps")
            with np.errstate(over="ignore"), failure as info:
                g(growth * args[1])
            assert "go.fixed_point(lambda x: a * x + 1" in str(info.value)


# -- What does not fit -----------------------------------------------------------------------


def shorter(_: Any, x: Any) -> Any:
    return x[:1]


def listed(x: Any) -> Any:
    return [x]


def single(x: Any) -> Any:
    return x.astype(np.float32)


def text(_: Any) -> Any:
    return "x"


@pytest.mark.parametrize(
    ("call", "error", "message", "place"),
    [
        (
            lambda x: go.custom_root(lambda x: x, x, shorter, divide),
            ArgumentError,
            "shorter must return what is like initial_guess: result is float64[1], but "
            "initial_guess is float64[2]",
            shorter,
        ),
        (
            lambda x: go.custom_root(lambda x: x, x, shorter, divide, has_aux=True),
            ArgumentError,
            "shorter must return (solution, aux), but it returned float64[1]",
            shorter,
        ),
        (
            lambda x: go.custom_root(listed, x, lambda f, x: f(x), divide),
            ArgumentError,
            "listed must return what is like initial_guess: expected an array at result, but got "
            "list",
            listed,
        ),
        (
            lambda x: go.custom_root(lambda y: y - x, x, lambda f, y: y, shorter),
            ArgumentError,
            "shorter must return what is like initial_guess: result is float64[1]",
            shorter,
        ),
        (
            lambda x: go.custom_linear_solve(single, x, lambda f, x: f(x)),
            ArgumentTypeError,
            "single must return what is like b: result is float32[2], but b is float64[2]",
            single,
        ),
        (
            lambda x: go.custom_linear_solve(lambda x: x, {"a": x}, lambda f, b: {"a": b["a"][0]}),
            ArgumentError,
            "must return what is like b: result['a'] is float64[], but b['a'] is float64[2]",
            None,
        ),
        (
            lambda x: go.fixed_point(text, x),
            ArgumentTypeError,
            "result is of type str",
            text,
        ),
        (
            lambda x: go.fixed_point(single, {"k": [x, 1]}),
            ArgumentTypeError,
            "x0['k'][1] must be of floats, but it is int64[]",
            None,
        ),
        (
            lambda x: go.fixed_point(single, x, rtol=x[0]),
            ArgumentTypeError,
            "rtol must be a number that is known while tracing",
            None,
        ),
        (
            lambda x: go.fixed_point(single, x, atol=-1),
            ArgumentError,
            "atol must be at least 0, but it is -1",
            None,
        ),
        (
            lambda x: go.fixed_point(single, x, max_steps=1.5),
            ArgumentTypeError,
            "max_steps must be an integer, but it is 1.5",
            None,
        ),
        (lambda x: go.fixed_point(3, x), ArgumentTypeError, "expected a function", None),
    ],
)
def test_what_does_not_fit(call: Any, error: Any, message: str, place: Any) -> None:
    with pytest.raises(error) as info:
        go.vjp(call, np.ones(2))
    assert message in info.value.message
    assert isinstance(info.value, GradoptError)
    if place is not None:
        assert info.value.location is not None
        assert info.value.location.line == place.__code__.co_firstlineno
        assert info.value.location.file == __file__
    elif "function" not in message:
        assert info.value.location is not None
        assert info.value.location.file == __file__


def test_what_does_not_fit_outside_of_traces() -> None:
    with pytest.raises(ArgumentError, match="shorter must return what is like initial_guess"):
        go.custom_root(lambda x: x, np.ones(2), shorter, divide)
    with pytest.raises(ArgumentTypeError, match="single must return what is like x0"):
        go.fixed_point(single, np.ones(2))


def nested(depth: int, a: Any) -> Any:
    """A fixed point of a function with a fixed point in it, and so on."""
    if depth == 0:
        return np.sin(a)
    return go.fixed_point(lambda y: 0.3 * np.cos(y) + 0.1 * nested(depth - 1, a * y), a)


@pytest.mark.parametrize("order", [1, 2])
def test_what_is_nested_is_traced_once(order: int) -> None:
    def functions(depth: int) -> int:
        f: Any = functools.partial(nested, depth)
        for _ in range(order):
            f = go.grad(f)
        return go.compile(f).lower(0.5).mlir("grad").count("func.func")

    counts = [functions(depth) for depth in (1, 2, 3)]
    assert counts[2] - counts[1] == counts[1] - counts[0]


def test_derivatives_of_what_is_nested() -> None:
    assert go.gradcheck(functools.partial(nested, 2), 0.5, order=2, rtol=1e-4, atol=1e-8)


def test_a_solver_that_asks_for_more_derivatives() -> None:
    """Halley's method differentiates the equation twice, and what it has of rules with it."""

    def solve(f: Any, x: Any) -> Any:
        def step(_: Any, x: Any) -> Any:
            value, slope, bend = f(x), go.grad(f)(x), go.grad(go.grad(f))(x)
            return x - 2 * value * slope / (2 * slope**2 - value * bend)

        return go.fori_loop(0, 5, step, x)

    def root(a: Any) -> Any:
        return go.custom_root(
            lambda x: x**3 - a - 0.1 * nested(1, x), 1.0, solve, lambda g, y: y / g(1.0)
        )

    a = 2.0
    x = root(a)
    np.testing.assert_allclose(x**3, a + 0.1 * nested(1, x), rtol=1e-12)
    slope = 1 / (3 * x**2 - 0.1 * go.grad(functools.partial(nested, 1))(x))
    np.testing.assert_allclose(go.grad(root)(a), slope, rtol=1e-9)
