# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""gradopt.scipy.integrate against SciPy; derivatives against differences."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest
import scipy.integrate
import scipy.special
from budget import generator

import gradopt as go
from gradopt.errors import ArgumentError, ConvergenceError, ShapeError, UnsupportedError
from gradopt.scipy import integrate

RNG = generator(31)
RULES = ("trapezoid", "simpson", "cumulative_trapezoid", "cumulative_simpson")
METHODS = pytest.mark.parametrize("method", ["RK23", "RK45", "DOP853", "Radau"])
START, PENDULUM = np.array([2.0, 0.3]), np.array([9.81, 0.2])
TIMES = np.array([0.1, 0.7, 1.5])


def agrees(actual: Any, expected: Any, tolerance: float = 1e-12) -> None:
    assert np.shape(actual) == np.shape(expected)
    assert np.asarray(actual).dtype == np.asarray(expected).dtype
    np.testing.assert_allclose(actual, expected, tolerance, tolerance)


def pendulum(t: Any, y: Any, p: Any) -> Any:
    return [y[1], -p[0] * np.sin(y[0]) - p[1] * y[1] + 0.1 * t]


# -- Samples -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*RULES, "romb", "fixed_quad"])
def test_parameters_are_scipys(name: str) -> None:
    ours = inspect.signature(getattr(integrate, name)).parameters
    theirs = inspect.signature(getattr(scipy.integrate, name)).parameters
    assert [*ours] == [name for name in theirs if name != "xp"]
    assert all(p.default == theirs[p.name].default for p in ours.values())


@pytest.mark.parametrize("name", RULES)
def test_samples(name: str) -> None:
    ours, theirs = getattr(integrate, name), getattr(scipy.integrate, name)
    keywords: list[dict[str, Any]] = [{}]
    keywords += [{"initial": 0}] if name.startswith("cumulative") else []
    for shape, axis in (((9,), -1), ((3, 8), 1), ((7, 2), 0), ((2,), 0), ((1,), 0), ((3, 4), -2)):
        y = RNG.normal(size=shape)
        steps = RNG.uniform(0.1, 1, size=shape)
        for x in (None, np.cumsum(steps[..., 0] if axis == 0 else steps.ravel())[: shape[axis]],
                  np.cumsum(steps, axis=axis)):  # fmt: skip
            if x is not None and x.ndim == 1 and len(x) != shape[axis]:
                continue
            for rest in keywords:
                want = theirs(y, x=x, dx=0.7, axis=axis, **rest)
                agrees(ours(y, x=x, dx=0.7, axis=axis, **rest), want)
    agrees(ours(np.arange(5)), theirs(np.arange(5)))
    z = RNG.normal(size=6) + 1j
    agrees(ours(z), theirs(z))


def test_what_sums_begin_with() -> None:
    y, initial = RNG.normal(size=(3, 6)), RNG.normal(size=(3, 1))
    want = scipy.integrate.cumulative_simpson(y, initial=initial)
    agrees(integrate.cumulative_simpson(y, initial=initial), want)


def test_romberg() -> None:
    for n in (2, 3, 9, 17):
        y = RNG.normal(size=(n, 3))
        agrees(integrate.romb(y, 0.3, 0), scipy.integrate.romb(y, 0.3, 0), 1e-11)


def test_derivatives_of_samples() -> None:
    y, x = RNG.normal(size=(2, 6)), np.cumsum(RNG.uniform(0.5, 1, size=6))
    for name in RULES:
        rule = getattr(integrate, name)
        go.gradcheck(lambda y, x: np.sin(rule(y, x=x)), (y, x), order=2)  # noqa: B023
    go.gradcheck(lambda y: np.sin(integrate.romb(y)), (y[:, :5],), order=2)


def test_samples_in_one_place() -> None:
    """Simpson's rule has no division by zero there, nor has its derivative."""
    y, x = RNG.normal(size=5), np.array([0.0, 0.0, 1.0, 2.0, 3.0])
    with np.errstate(all="ignore"):
        want = scipy.integrate.simpson(y, x)
    agrees(integrate.simpson(y, x), want)
    go.gradcheck(lambda y: integrate.simpson(y, x), (y,))


# -- Functions ---------------------------------------------------------------------------------


def test_gauss() -> None:
    def f(x: Any, p: Any) -> Any:
        return np.sin(p * x) * np.ones((2, 1))

    for n in (1, 5, 12):
        got, rest = integrate.fixed_quad(f, 0.3, 2.0, (1.7,), n)
        assert rest is None
        agrees(got, scipy.integrate.fixed_quad(f, 0.3, 2.0, (1.7,), n)[0])
    go.gradcheck(lambda a, b, p: integrate.fixed_quad(f, a, b, (p,))[0], (0.3, 2.0, 1.7), order=2)


# -- Differential equations --------------------------------------------------------------------


@METHODS
def test_solutions(method: str) -> None:
    exact = scipy.integrate.solve_ivp(
        pendulum, (0, 1.5), START, "DOP853", TIMES, args=(PENDULUM,), rtol=1e-12, atol=1e-12
    ).y
    for tolerance in (1e-5, 1e-8):
        keywords: dict[str, Any] = {"rtol": tolerance, "atol": tolerance, "args": (PENDULUM,)}
        got = integrate.solve_ivp(pendulum, (0, 1.5), START, method, TIMES, **keywords)
        theirs = scipy.integrate.solve_ivp(pendulum, (0, 1.5), START, method, TIMES, **keywords).y
        assert got.success
        assert got.status == 0
        agrees(got.t, TIMES)
        # It is off by about as much as SciPy's.
        assert np.abs(got.y - exact).max() < 4 * np.abs(theirs - exact).max() + 10 * tolerance
        assert np.abs(got.y - exact).max() < 400 * tolerance
    back = integrate.solve_ivp(
        pendulum, (1.5, 0), exact[:, -1], method, TIMES[::-1], rtol=1e-9, atol=1e-9,
        args=(PENDULUM,), max_step=0.2,
    )  # fmt: skip
    np.testing.assert_allclose(back.y, exact[:, ::-1], atol=1e-5)


@METHODS
def test_derivatives_of_solutions(method: str) -> None:
    """In the state at first, in parameters that are closed over, and in all times."""

    def loss(y0: Any, p: Any, times: Any) -> Any:
        end = times[-1]
        found = integrate.solve_ivp(
            lambda t, y: pendulum(t, y, p), (0.0, end), y0, method, times, rtol=1e-9, atol=1e-9
        )
        return np.sum(np.sin(found.y))

    tolerance = 1e-4 if method == "RK23" else 1e-5
    args = (START, PENDULUM, TIMES[:2])
    go.gradcheck(loss, args, modes=("fwd", "rev"), rtol=tolerance, atol=tolerance)
    got = go.hessian(lambda p: loss(START, p, TIMES[:2]))(PENDULUM)
    gradient = go.grad(lambda p: loss(START, p, TIMES[:2]))
    for i, step in enumerate(1e-4 * np.eye(2)):
        difference = (gradient(PENDULUM + step) - gradient(PENDULUM - step)) / 2e-4
        np.testing.assert_allclose(got[i], difference, rtol=1e-3, atol=1e-4)


def test_a_stiff_equation() -> None:
    """Robertson's, whose rates are up to 3e7 apart."""

    def rates(_: Any, y: Any, k: Any) -> Any:
        a, b = -k[0] * y[0] + k[1] * y[1] * y[2], k[2] * y[1] ** 2
        return np.stack([a, -a - b, b])

    k, y0, t = np.array([0.04, 1e4, 3e7]), np.array([1.0, 0.0, 0.0]), np.array([0.4, 40, 4e4])
    solve = integrate.solve_ivp
    got = solve(rates, (0, 4e4), y0, "Radau", t, args=(k,), rtol=1e-6, atol=1e-10, mxstep=100)
    want = scipy.integrate.solve_ivp(
        rates, (0, 4e4), y0, "Radau", t, args=(k,), rtol=1e-10, atol=1e-14
    )
    np.testing.assert_allclose(got.y, want.y, rtol=1e-4)

    def last(scale: Any) -> Any:
        return solve(rates, (0, 40.0), y0, "Radau", t[:2], args=(k * scale,), rtol=1e-8,
                     atol=1e-12).y[2, -1]  # fmt: skip

    go.gradcheck(last, (np.ones(3),), rtol=1e-3, atol=1e-6, eps=1e-3)
    with pytest.raises(ConvergenceError, match="solve_ivp did not get from"):
        solve(rates, (0, 4e4), y0, "RK45", t, args=(k,), mxstep=200)


def test_steps() -> None:
    def decay(_: Any, y: Any) -> Any:
        return -y

    with pytest.raises(ConvergenceError, match="mxstep = 9 steps"):
        integrate.solve_ivp(decay, (0, 1), [1.0], t_eval=[1.0], max_step=0.1, mxstep=9)
    integrate.solve_ivp(decay, (0, 1), [1.0], t_eval=[1.0], max_step=0.1, mxstep=11)
    rough = integrate.solve_ivp(
        decay, (0, 1), [1.0], t_eval=[1.0], method="RK23", first_step=1.0, atol=10.0
    )
    # The whole way in one step of order 3.
    np.testing.assert_allclose(rough.y, [[1 - 1 + 1 / 2 - 1 / 6]], rtol=1e-12)


def test_odeint() -> None:
    t = np.linspace(0, 2, 4)
    want = scipy.integrate.odeint(pendulum, START, t, (PENDULUM,), tfirst=True)
    got = integrate.odeint(pendulum, START, t, (PENDULUM,), tfirst=True)
    np.testing.assert_allclose(got, want, atol=1e-6)
    got = integrate.odeint(lambda y, t: -y * t, 1.5, t)
    np.testing.assert_allclose(got, 1.5 * np.exp(-(t**2) / 2)[:, None], rtol=1e-6)
    go.gradcheck(lambda y: integrate.odeint(lambda y, t: -y * t, y, t), (1.5,), rtol=1e-4)


def test_dense_output() -> None:
    rest: dict[str, Any] = {"t_eval": [1.5], "args": (PENDULUM,), "dense_output": True}
    for span in ((0, 1.5), (1.5, 0)):
        rest["t_eval"] = [span[1]]
        found = integrate.solve_ivp(pendulum, span, START, **rest)
        want = scipy.integrate.solve_ivp(pendulum, span, START, **rest)
        times = np.array([0.7, 0.1, 1.5, 0.7])
        assert found.sol is not None
        assert found.sol(0.7).shape == (2,)
        np.testing.assert_allclose(found.sol(times), want.sol(times), rtol=2e-3, atol=1e-3)

    def when(length: Any) -> Any:
        """The time at which the pendulum hangs down, as a root of the solution."""

        def fun(t: Any, y: Any) -> Any:
            return [y[1], -9.81 / length * np.sin(y[0])]

        rest: dict[str, Any] = {"t_eval": [1.0], "rtol": 1e-10, "atol": 1e-10}
        sol = integrate.solve_ivp(fun, (0, 1.0), [0.4, 0.0], dense_output=True, **rest).sol
        assert sol is not None

        def solve(f: Any, guess: Any) -> Any:
            def halve(_: Any, ends: Any) -> Any:
                low, high = ends
                middle = 0.5 * (low + high)
                above = f(middle) > 0
                return np.where(above, middle, low), np.where(above, high, middle)

            return go.fori_loop(0, 40, halve, (0 * guess, guess))[0]

        return go.custom_root(lambda t: sol(t)[0], 1.0, solve, lambda g, y: y / g(1.0))

    quarter = 0.25 * 4 * scipy.special.ellipk(np.sin(0.2) ** 2) * np.sqrt(1 / 9.81)
    time, slope = go.value_and_grad(when)(1.0)
    np.testing.assert_allclose([time, slope], [quarter, quarter / 2], 1e-7)


def test_in_the_users_code() -> None:
    """SciPy's names, with traced values in what the function closes over alone, too."""

    def model(p: Any) -> Any:
        def fun(t: Any, y: Any) -> Any:
            return [y[1], -p[0] * np.sin(y[0]) - p[1] * y[1] + 0.1 * t]

        found = scipy.integrate.solve_ivp(fun, (0, 1.5), START, t_eval=TIMES, rtol=1e-8, atol=1e-8)
        return scipy.integrate.simpson(found.y[0], x=TIMES)

    got = go.compile_grad(model)(PENDULUM)
    step = 1e-5 * np.eye(2)
    want = [(model(PENDULUM + s) - model(PENDULUM - s)) / 2e-5 for s in step]
    np.testing.assert_allclose(got, want, rtol=1e-4)
    area = go.compile(lambda y: scipy.integrate.trapezoid(y, dx=0.5))
    agrees(area(START), scipy.integrate.trapezoid(START, dx=0.5))
    single = START.astype(np.float32)
    assert area(single).dtype == integrate.cumulative_trapezoid(single, dx=0.5).dtype == np.float32
    assert integrate.trapezoid(single, dx=np.float64(0.5)).dtype == np.float64


def test_errors() -> None:
    y, other = np.ones(4), "other"
    solve: Any = integrate.solve_ivp

    def fun(_: Any, y: Any) -> Any:
        return -y

    for call, kind, message in [
        (lambda: integrate.simpson(y, np.ones(3)), ShapeError, "4 samples along.*but 3 places"),
        (lambda: integrate.simpson(y, np.ones((2, 2))), ShapeError, "one dimension, or the shape"),
        (lambda: integrate.simpson(y[:0]), ShapeError, "a sample or more"),
        (lambda: integrate.romb(y), ShapeError, "one plus a power of 2, but it is 4"),
        (lambda: integrate.romb(y[:3], show=True), UnsupportedError, "show=True"),
        (lambda: integrate.cumulative_trapezoid(y, initial=1), ArgumentError, "`None` or `0`"),
        (lambda: integrate.fixed_quad(np.sin, 0, 1, n=0), ArgumentError, "n must be positive"),
        (lambda: integrate.fixed_quad(lambda x: x[:2], 0, 1), ShapeError, "5 values along"),
        (lambda: solve(fun, (0, 1), y), UnsupportedError, "without t_eval.*linspace"),
        (lambda: solve(fun, (0, 1), y, "BDF", [1.0]), UnsupportedError, "method='BDF'.*Radau"),
        (lambda: solve(fun, (0, 1), y, other, [1.0]), UnsupportedError, "use one of RK45"),
        (lambda: solve(fun, (0, 1), y, t_eval=[2.0]), ArgumentError, "not within `t_span`"),
        (lambda: solve(fun, (0, 1), [[1.0]], t_eval=[1.0]), ShapeError, "must be a vector"),
        (lambda: solve(lambda t, y: y[:2], (0, 1), y, t_eval=[1.0]), ArgumentError, "like y0"),
        (
            lambda: integrate.odeint(fun, y, [0.0, 1.0], full_output=1),
            UnsupportedError,
            "full_output=",
        ),
    ]:
        with pytest.raises(kind, match=message):
            call()
