# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""odeint: solutions and their derivatives against closed forms and SciPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.integrate
import scipy.linalg

import gradopt as go
from gradopt.errors import ArgumentError, ArgumentTypeError, ConvergenceError

GRADIENTS = pytest.mark.parametrize("gradient", ["steps", "adjoint"])
MATRIX = np.array([[-0.3, 2.0, 0.1], [-2.0, -0.1, 0.4], [0.3, 0.2, -0.8]])
START = np.array([1.0, -0.5, 0.3])
TIGHT = {"rtol": 1e-11, "atol": 1e-11}


def linear(y: Any, _: Any, matrix: Any) -> Any:
    return matrix @ y


def pendulum(y: Any, _: Any, p: Any) -> Any:
    return np.stack([y[1], -p[0] * np.sin(y[0]) - p[1] * y[1]])


# -- Solutions -------------------------------------------------------------------------------


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("backwards", [False, True])
def test_solutions(compiled: bool, backwards: bool) -> None:
    t = np.linspace(0, 3, 17) ** 2 / 3 + 1
    t = t[::-1] if backwards else t
    solve = go.compile(go.odeint, static_argnums=0) if compiled else go.odeint
    exact = np.stack([scipy.linalg.expm((s - t[0]) * MATRIX) @ START for s in t])
    np.testing.assert_allclose(solve(linear, START, t, MATRIX), exact, rtol=1e-6, atol=1e-7)
    y0, p = np.array([2.0, 0.3]), np.array([9.81, 0.2])
    exact = scipy.integrate.odeint(pendulum, y0, t, args=(p,), rtol=1e-11, atol=1e-11)
    found = solve(pendulum, y0, t, p)
    np.testing.assert_allclose(found, exact, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(found[0], y0)


def test_the_error_follows_the_tolerance() -> None:
    t = np.array([0.0, 0.7, 2.9, 3.0])
    exact = np.exp(np.sin(t))

    def error(tolerance: float) -> tuple[float, int]:
        calls = 0

        def f(y: Any, t: Any) -> Any:
            nonlocal calls
            calls += 1
            return y * np.cos(t)

        found = go.odeint(f, 1.0, t, rtol=tolerance, atol=tolerance)
        return np.max(np.abs(found - exact)), calls

    coarse, fine = error(1e-4), error(1e-9)
    assert 1e-8 < coarse[0] < 1e-3
    assert fine[0] < 1e-8
    # Of order 5: tolerances that are 10^5 apart take steps that are 10 times shorter.
    assert 5 < fine[1] / coarse[1] < 15
    scipys = scipy.integrate.solve_ivp(
        lambda t, y: y * np.cos(t), (0, 3), [1.0], rtol=1e-9, atol=1e-9
    )
    assert fine[1] <= 1.1 * scipys.nfev


def test_dense_output_between_the_steps() -> None:
    calls = 0

    def f(y: Any, t: Any) -> Any:
        nonlocal calls
        calls += 1
        return np.cos(t) + 0 * y

    t = np.linspace(0, 6, 301)
    np.testing.assert_allclose(go.odeint(f, 0.0, t), np.sin(t), atol=1e-6)
    many, calls = calls, 0
    go.odeint(f, 0.0, t[[0, -1]])
    assert many == calls


def test_times() -> None:
    def f(y: Any, t: Any) -> Any:
        return {"a": 2 * t, "b": y["a"] + 0 * y["b"]}

    y0 = {"a": 1.0, "b": np.zeros((2, 1))}
    for solve in (go.odeint, go.compile(lambda y0, t: go.odeint(f, y0, t))):
        args = (f, y0) if solve is go.odeint else (y0,)
        for t in ([1.5], [0, 1, 1, 2], [0.0, 0.0], [2, 2, 2, -1], np.array([1, 3], np.int32)):
            t = np.array(t)
            found = solve(*args, t)
            s, d = t.astype(float), t - float(t[0])
            np.testing.assert_allclose(found["a"], 1 + s**2 - s[0] ** 2, rtol=1e-7)
            b = d * (1 - s[0] ** 2) + (s**3 - s[0] ** 3) / 3
            np.testing.assert_allclose(found["b"], b[:, None, None] * np.ones((2, 1)), atol=1e-6)


def test_nothing_is_evaluated_behind_the_last_time() -> None:
    seen: list[float] = []

    def f(y: Any, t: Any) -> Any:
        seen.append(float(t))
        return -y / (2 * (1 - t))  # y = sqrt(1 - t)

    t = np.array([0.0, 0.5, 0.99])
    found = go.odeint(f, 1.0, t)
    np.testing.assert_allclose(found, np.sqrt(1 - t), rtol=1e-6)
    assert max(seen) == 0.99
    few = len(seen)
    go.odeint(f, 1.0, t, hmax=0.001)
    assert len(seen) - few >= 6 * 990


def test_dtypes_and_shapes() -> None:
    y0 = {"a": np.float32(1), "b": (np.ones((2, 3)), np.zeros(0))}

    def f(y: Any, t: Any) -> Any:
        return {"a": -y["a"] * t, "b": (y["b"][0] * y["a"], y["b"][1])}

    t = np.array([0.0, 1.0])
    for solve in (go.odeint, go.compile(go.odeint, static_argnums=0)):
        found = solve(f, y0, t)
        assert found["a"].dtype == np.float32
        assert found["b"][0].shape == (2, 2, 3)
        assert found["b"][1].shape == (2, 0)
        np.testing.assert_allclose(found["a"][1], np.exp(-0.5), rtol=1e-3)
        exact = np.exp(scipy.integrate.quad(lambda s: np.exp(-s * s / 2), 0, 1)[0])
        np.testing.assert_allclose(found["b"][0][1], exact, rtol=1e-3)


# -- Derivatives -----------------------------------------------------------------------------


@GRADIENTS
def test_derivatives_of_a_linear_equation(gradient: Any) -> None:
    t = np.array([0.2, 0.9, 2.0])

    def solve(y0: Any, t: Any, matrix: Any) -> Any:
        return go.odeint(linear, y0, t, matrix, gradient=gradient, **TIGHT)

    w = np.arange(9.0).reshape(3, 3) - 3.5
    exact_y0 = sum(scipy.linalg.expm((s - t[0]) * MATRIX).T @ v for s, v in zip(t, w, strict=True))
    ys = [scipy.linalg.expm((s - t[0]) * MATRIX) @ START for s in t]
    exact_t = np.array([v @ MATRIX @ y for v, y in zip(w, ys, strict=True)])
    exact_t[0] = -np.sum(exact_t[1:])
    exact_matrix = np.zeros((3, 3))
    direction = np.cos(np.arange(9.0)).reshape(3, 3)
    moved = [
        scipy.linalg.expm_frechet((s - t[0]) * MATRIX, (s - t[0]) * direction)[1] @ START for s in t
    ]
    for i in np.ndindex(3, 3):
        unit = np.zeros((3, 3))
        unit[i] = 1
        for s, v in zip(t, w, strict=True):
            d = scipy.linalg.expm_frechet((s - t[0]) * MATRIX, (s - t[0]) * unit)[1]
            exact_matrix[i] += v @ d @ START
    loss = go.compile_grad(lambda *args: np.sum(w * solve(*args)), (0, 1, 2))
    gradients = loss(START, t, MATRIX)
    for found, exact in zip(gradients, (exact_y0, exact_t, exact_matrix), strict=True):
        np.testing.assert_allclose(found, exact, rtol=1e-7, atol=1e-8)
    tangents = (np.zeros(3), np.zeros(3), direction)
    tangent = go.jvp(solve, (START, t, MATRIX), tangents)[1]
    np.testing.assert_allclose(tangent, moved, rtol=1e-7, atol=1e-8)


@GRADIENTS
def test_second_derivatives(gradient: Any) -> None:
    def f(y0: Any, t: Any, k: Any) -> Any:
        def slope(y: Any, s: Any) -> Any:
            return {"a": -k * y["b"] * s, "b": k * np.sin(y["a"])}

        return go.odeint(slope, {"a": y0[0], "b": y0[1]}, t, gradient=gradient, **TIGHT)

    assert go.gradcheck(f, (np.array([1.0, 2.0]), np.array([0, 0.3, 0.7]), 1.3), order=2)


@GRADIENTS
def test_derivatives_in_all_that_the_equation_closes_over(gradient: Any) -> None:
    # An array, an integer array, a large concrete one, a random key: y' = -(a + b) y.
    rates = np.linspace(0, 1, 40)

    def loss(a: Any, i: Any, key: Any) -> Any:
        def f(y: Any, _: Any) -> Any:
            noise = go.random.uniform(key, (), minval=0.0, maxval=0.1)
            return -(a[i] + rates[7] + noise) * y

        return go.odeint(f, 1.0, np.array([0.0, 2.0]), gradient=gradient)[1]

    a, key = np.array([0.3, 0.5]), go.random.key(3)
    rate = 0.5 + rates[7] + go.random.uniform(key, (), minval=0.0, maxval=0.1)
    value, slope = go.compile_value_and_grad(loss)(a, np.int64(1), key)
    np.testing.assert_allclose(value, np.exp(-2 * rate), rtol=1e-6)
    np.testing.assert_allclose(slope, [0, -2 * value], rtol=1e-6, atol=1e-12)
    with pytest.raises(IndexError, match="out of bounds"):
        go.compile_grad(loss)(a, np.int64(2), key)


@GRADIENTS
def test_in_vmap_loops_and_branches(gradient: Any) -> None:
    t = np.array([0.0, 1.0, 1.5])

    def last(k: Any) -> Any:
        return go.odeint(lambda y, s: k * y, 1.0, t, gradient=gradient)[-1]

    k = np.array([-1.0, 0.5, 3.0])
    exact = 1.5 * np.exp(1.5 * k)
    np.testing.assert_allclose(go.vmap(last)(k), np.exp(1.5 * k), rtol=1e-6)
    np.testing.assert_allclose(go.vmap(go.grad(last))(k), exact, rtol=1e-6)
    np.testing.assert_allclose(go.grad(lambda k: np.sum(go.vmap(last)(k)))(k), exact, rtol=1e-6)
    np.testing.assert_allclose(go.grad(lambda k: np.sum(go.map(last, k)))(k), exact, rtol=1e-6)
    chosen = go.grad(lambda v: go.cond(v > 0, last, lambda v: 3 * v, v))
    np.testing.assert_allclose([chosen(0.5), chosen(-1.0)], [exact[1], 3], rtol=1e-6)


@GRADIENTS
def test_steps_that_are_refused_leave_no_trace(gradient: Any) -> None:
    """They leave the domain of the equation: what is no number there must not come back."""
    below = 0

    def f(y: Any, _: Any, k: Any) -> Any:
        nonlocal below
        below += type(y) is np.float64 and y < 0
        return -k * np.sqrt(y)  # y = (1 - k t / 2)^2

    t = np.array([0.0, 1.9])
    options = {"rtol": 1e-5, "atol": 1e-5, "gradient": gradient}
    with np.errstate(invalid="ignore"):
        go.odeint(f, 1.0, t, 1.0, **options)
    assert below > 0
    value, slope = go.value_and_grad(lambda k: go.odeint(f, 1.0, t, k, **options)[-1])(1.0)
    np.testing.assert_allclose([value, slope], [0.0025, -0.095], rtol=1e-3)


def test_steps_agree_with_forward_mode_whatever_the_tolerance() -> None:
    def loss(p: Any) -> Any:
        ys = go.odeint(pendulum, np.array([2.0, 0.0]), np.linspace(0, 6, 8), p, rtol=0.1, atol=0.1)
        return np.sum(ys[:, 0] ** 2)

    p = np.array([9.81, 0.2])
    np.testing.assert_allclose(go.jacrev(loss)(p), go.jacfwd(loss)(p), rtol=1e-10)


def test_memory_of_derivatives() -> None:
    """The states of all steps are kept by neither; between the times, the adjoint keeps none."""
    y0 = np.ones(100)

    def arena(gradient: Any, rtol: float, count: int) -> int:
        def loss(y0: Any) -> Any:
            t = np.linspace(0, 50, count)
            return np.sum(go.odeint(lambda y, s: -np.sin(y), y0, t, rtol=rtol, gradient=gradient))

        return go.compile_grad(loss).lower(y0).memory().arena

    for gradient in ("steps", "adjoint"):
        assert arena(gradient, 1e-3, 5) == arena(gradient, 1e-13, 5)
    growth = (arena("adjoint", 1e-6, 50) - arena("adjoint", 1e-6, 10)) / 40
    assert growth < 6 * y0.nbytes
    assert 4 * arena("adjoint", 1e-6, 10) < arena("steps", 1e-6, 10)


@pytest.mark.parametrize("checkpoint", [1, 2, 64, "none", "sqrt", "binomial", None])
def test_what_steps_keep(checkpoint: Any) -> None:
    """Memory, and not the derivative."""

    def gradient(checkpoint: Any) -> Any:
        def loss(p: Any) -> Any:
            y0, t = np.array([2.0, 0.0]), np.linspace(0, 6, 3)
            return np.sum(go.odeint(pendulum, y0, t, p, checkpoint=checkpoint)[:, 0] ** 2)

        return go.grad(loss)(np.array([9.81, 0.2]))

    np.testing.assert_allclose(gradient(checkpoint), gradient(8), rtol=1e-10)


def test_memory_of_what_steps_keep() -> None:
    y0 = np.ones(100)

    def states(checkpoint: int, count: int = 20) -> float:
        """How many arrays like the state there are for each time."""

        def loss(y0: Any) -> Any:
            times = np.linspace(0, 5, count)
            return np.sum(go.odeint(lambda y, s: -np.sin(y), y0, times, checkpoint=checkpoint))

        return go.compile_grad(loss).lower(y0).memory().arena / (count * y0.nbytes)

    assert states(2) < states(8) / 2
    # Five arrays each.
    assert (states(32) - states(8)) / 24 < 5.5


# -- What fails ------------------------------------------------------------------------------


@pytest.mark.parametrize("compiled", [False, True])
def test_times_that_are_not_reached(compiled: bool) -> None:
    def solve(f: Any, *args: Any, **options: Any) -> Any:
        if compiled:
            return go.compile(lambda *args: go.odeint(f, *args, **options))(*args)
        with np.errstate(all="ignore"):
            return go.odeint(f, *args, **options)

    t = np.array([0.0, 0.9, 1.2, 1.3])
    # 1 / (1 - t) has a pole at 1.
    with pytest.raises(ConvergenceError, match=r"from t\[1\] to the next time") as info:
        solve(lambda y, t: y**2, 1.0, t)
    assert "go.odeint(f, *args, **options)" in str(info.value)
    with pytest.raises(ConvergenceError, match=r"from t\[0\].*mxstep = 3 steps"):
        solve(lambda y, t: -y, 1.0, t, mxstep=3)
    with pytest.raises(ConvergenceError, match=r"from t\[2\]"):
        solve(lambda y, t: np.where(t > 1.25, np.nan, -y), 1.0, t)
    solve(lambda y, t: -y, 1.0, t, mxstep=100)


def test_a_failure_of_one_in_a_batch() -> None:
    def last(k: Any) -> Any:
        return go.odeint(lambda y, s: k * y, 1.0, np.array([0.0, 1.0]), mxstep=20)[-1]

    with pytest.raises(ConvergenceError):
        go.vmap(last)(np.array([0.1, 50.0]))


def test_an_adjoint_that_is_not_found_is_nan() -> None:
    def last(k: Any, mxstep: int) -> Any:
        def f(y: Any, s: Any) -> Any:
            return -y + np.sin(60 * s) * (k - 1)  # Only the adjoint sees that it changes quickly.

        return go.odeint(f, 1.0, np.array([0.0, 2.0]), mxstep=mxstep, gradient="adjoint")[-1]

    forward = go.compile(lambda k: last(k, 60))
    np.testing.assert_allclose(forward(1.0), np.exp(-2.0), rtol=1e-6)
    assert np.isnan(go.grad(lambda k: last(k, 60))(1.0))
    exact = np.imag((np.exp(120j) - np.exp(-2)) / (1 + 60j))
    np.testing.assert_allclose(go.grad(lambda k: last(k, 1000))(1.0), exact, rtol=1e-5)


def two(y: Any, _: Any) -> Any:
    return y[:2]


def listed(y: Any, _: Any) -> Any:
    return list(y)


def whole(y: Any, _: Any) -> Any:
    return np.array([1, 2, 3])


@pytest.mark.parametrize(
    ("call", "error", "message", "place"),
    [
        (
            lambda y, t: go.odeint(two, y, t),
            ArgumentError,
            "two must return what is like y0: result is float64[2], but y0 is float64[3]",
            two,
        ),
        (
            lambda y, t: go.odeint(listed, y, t),
            ArgumentError,
            "listed must return what is like y0: expected an array at result, but got list",
            listed,
        ),
        (
            lambda y, t: go.odeint(whole, y, t),
            ArgumentTypeError,
            "whole must return what is like y0: result is int64[3], but y0 is float64[3]",
            whole,
        ),
        (
            lambda y, t: go.odeint(two, {"a": np.arange(3)}, t),
            ArgumentTypeError,
            "y0['a'] must be of floats, but it is int64[3]",
            None,
        ),
        (
            lambda y, t: go.odeint(two, y, y[0]),
            ArgumentError,
            "t must be an array of one dimension, with one time or more, but it is float64[]",
            None,
        ),
        (
            lambda y, t: go.odeint(two, y, np.zeros(0)),
            ArgumentError,
            "one time or more, but it is float64[0]",
            None,
        ),
        (
            lambda y, t: go.odeint(two, y, np.array(["a"])),
            ArgumentTypeError,
            "t must be of floats, but it is <U1[1]",
            None,
        ),
        (
            lambda y, t: go.odeint(two, y, np.array([0.0, 2.0, 1.0, 3.0])),
            ArgumentError,
            "t must increase or decrease, but t[1] and the next time do not follow",
            None,
        ),
        (
            lambda y, t: go.odeint(linear, y, t * np.array([1, 5, 1, 1]), MATRIX),
            ArgumentError,
            "t must increase or decrease, but t[1] and the next time do not follow",
            None,
        ),
        (lambda y, t: go.odeint(two, y, t, gradient="x"), ArgumentError, "but it is 'x'", None),
        (lambda y, t: go.odeint(two, y, t, rtol=-1), ArgumentError, "rtol must be at", None),
        (lambda y, t: go.odeint(two, y, t, atol=t[0]), ArgumentTypeError, "atol must be a", None),
        (lambda y, t: go.odeint(two, y, t, mxstep=0), ArgumentError, "mxstep must be at", None),
        (lambda y, t: go.odeint(two, y, t, hmax="1"), ArgumentTypeError, "hmax must be a", None),
    ],
)
@GRADIENTS
def test_what_does_not_fit(call: Any, error: Any, message: str, place: Any, gradient: Any) -> None:
    def loss(y: Any, t: Any) -> Any:
        return np.sum(call(y, t))

    with pytest.raises(error) as info:
        go.grad(loss)(np.ones(3), np.arange(4.0))
    assert message in info.value.message
    assert info.value.location is not None
    assert info.value.location.file == __file__
    if place is not None:
        assert info.value.location.line == place.__code__.co_firstlineno


def test_what_does_not_fit_outside_of_traces() -> None:
    with pytest.raises(ArgumentError, match="two must return what is like y0"):
        go.odeint(two, np.ones(3), np.arange(3))
    with pytest.raises(ArgumentError, match=r"but t\[1\] and the next"):
        go.odeint(two, np.ones(3), np.array([0, 1, np.nan, 2]))


@pytest.mark.parametrize("checkpoint", [0, -1, "some", True, 2.5, np.ones(2)])
def test_what_is_no_policy(checkpoint: Any) -> None:
    with pytest.raises(go.errors.ArgumentError, match="checkpoint must be 'all', 'none'") as info:
        go.odeint(pendulum, np.ones(2), np.arange(3.0), np.ones(2), checkpoint=checkpoint)
    assert info.value.location is not None
    assert info.value.location.file == __file__
