# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""SciPy's algorithms on compiled functions: they reach known solutions with our derivatives."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from scipy import optimize

import gradopt as go
from gradopt.errors import ArgumentError, ArgumentTypeError, NonScalarLossError, UnsupportedError

GRADIENT = ["BFGS", "L-BFGS-B", "CG", "TNC", "SLSQP", None]
SECOND = ["Newton-CG", "trust-ncg", "trust-krylov", "trust-exact", "dogleg", "trust-constr"]
NONE = ["Nelder-Mead", "Powell", "COBYLA"]


def rosenbrock(x: Any, scale: Any) -> Any:
    return np.sum(scale * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


@pytest.mark.parametrize("method", GRADIENT + SECOND)
def test_minimize_reaches_the_minimum(method: str | None) -> None:
    # "dogleg" is for positive definite Hessians.
    start = np.array([1.02, 1.05, 1.1] if method == "dogleg" else [-0.5, 0.6, 0.4])
    found = go.scipy.minimize(rosenbrock, start, (10.0,), method)
    assert found.success
    np.testing.assert_allclose(found.x, np.ones(3), atol=2e-3)


@pytest.mark.parametrize("method", NONE)
def test_methods_without_derivatives(method: str) -> None:
    found = go.scipy.minimize(lambda x: np.sum((x - 1) ** 2), np.zeros(2), method=method)
    np.testing.assert_allclose(found.x, np.ones(2), atol=1e-3)


def test_derivatives_are_used_not_differences() -> None:
    """As many evaluations as with the gradient and products that are written by hand."""
    x0 = np.array([-1.2, 1.0, 0.7])
    ours = go.scipy.minimize(rosenbrock, x0, 100.0, "Newton-CG")
    theirs = optimize.minimize(
        optimize.rosen,
        x0,
        method="Newton-CG",
        jac=optimize.rosen_der,
        hessp=optimize.rosen_hess_prod,
    )
    assert (ours.nit, ours.nfev, ours.nhev) == (theirs.nit, theirs.nfev, theirs.nhev)
    np.testing.assert_allclose(ours.x, theirs.x, rtol=1e-9)


def test_pytrees_bounds_and_callbacks() -> None:
    seen: list[Any] = []
    start = {"a": np.zeros((2, 2)), "b": [np.float32(3.0)], "c": 1}

    def loss(p: Any) -> Any:
        return np.sum((p["a"] - 2) ** 2) + (p["b"][0] + 1) ** 2 + (p["c"] - 4) ** 2

    found = go.scipy.minimize(
        loss,
        start,
        method="L-BFGS-B",
        bounds=[(None, 1)] * 4 + [(None, None)] * 2,
        callback=seen.append,
    )
    np.testing.assert_allclose(found.x["a"], np.ones((2, 2)))
    np.testing.assert_allclose(found.x["b"][0], -1, rtol=1e-5)
    np.testing.assert_allclose(found.x["c"], 4, rtol=1e-5)
    assert found.x["b"][0].dtype == np.float32
    assert list(seen[-1]) == ["a", "b", "c"]


@pytest.mark.parametrize("sparse", [False, True])
def test_constraints_get_derivatives(sparse: bool) -> None:
    """The nearest point of a circle, from both kinds of constraint."""
    target = np.array([3.0, 4.0])

    def loss(x: Any) -> Any:
        return np.sum((x - target) ** 2)

    def radius(x: Any) -> Any:
        return np.sum(x**2)

    nonlinear = optimize.NonlinearConstraint(radius, 1, 1)
    found = go.scipy.minimize(
        loss, np.array([1.0, 0.2]), method="trust-constr", constraints=nonlinear, sparse=sparse
    )
    np.testing.assert_allclose(found.x, target / 5, rtol=1e-4)
    found = go.scipy.minimize(
        loss,
        np.array([1.0, 0.2]),
        method="SLSQP",
        constraints=[{"type": "eq", "fun": lambda x: radius(x) - 1}],
    )
    np.testing.assert_allclose(found.x, target / 5, rtol=1e-5)


def test_sparse_hessians_for_many_variables() -> None:
    found = go.scipy.minimize(
        rosenbrock, np.full(300, 0.9), 10.0, "trust-constr", sparse=True, options={"gtol": 1e-9}
    )
    np.testing.assert_allclose(found.x, np.ones(300), atol=1e-5)


@pytest.mark.parametrize("method", ["hybr", "lm", "broyden1", "anderson"])
def test_root(method: str) -> None:
    def equations(p: Any, a: Any) -> Any:
        return [p["x"] + 0.5 * (p["x"] - p["y"]) ** 3 - a, 0.5 * (p["y"] - p["x"]) ** 3 + p["y"]]

    found = go.scipy.root(equations, {"x": 0.0, "y": 0.0}, 1.0, method)
    assert found.success
    np.testing.assert_allclose([found.x["x"], found.x["y"]], [0.8411639, 0.1588361], atol=1e-5)
    if method == "hybr":
        assert found.njev >= 1


@pytest.mark.parametrize("sparse", [False, True])
def test_least_squares(sparse: bool) -> None:
    rng = np.random.default_rng(0)
    t = np.linspace(0, 3, 50)
    truth = {"amplitude": 2.0, "rate": 0.7}

    def model(p: Any, t: Any) -> Any:
        return p["amplitude"] * np.exp(-p["rate"] * t)

    y = model(truth, t) + 0.01 * rng.normal(size=50)

    def residuals(p: Any, t: Any, weight: Any = 1.0) -> Any:
        return {"r": weight * (model(p, t) - y)}

    found = go.scipy.least_squares(
        residuals, {"amplitude": 1.0, "rate": 0.1}, args=(t,), kwargs={"weight": 2.0}, sparse=sparse
    )
    assert found.success
    for name, value in truth.items():
        np.testing.assert_allclose(found.x[name], value, atol=0.02)
    expected = optimize.curve_fit(lambda t, a, r: a * np.exp(-r * t), t, y, [1.0, 0.1])[0]
    np.testing.assert_allclose(list(found.x.values()), expected, rtol=1e-5)


def test_what_is_refused() -> None:
    with pytest.raises(NonScalarLossError):
        go.scipy.minimize(lambda x: x**2, np.ones(2))
    with pytest.raises(ArgumentTypeError, match=r"x0\['a'\], but got dtype complex128"):
        go.scipy.minimize(lambda p: p["a"], {"a": 1j})
    with pytest.raises(ArgumentError, match="leave jac out"):
        go.scipy.minimize(rosenbrock, np.ones(2), 1.0, jac=lambda x, s: x)
    with pytest.raises(ArgumentError, match="no numbers"):
        go.scipy.minimize(lambda p: 0.0, ())
    with pytest.raises(UnsupportedError, match="custom_root"):
        go.compile(lambda x: go.scipy.root(lambda z: z - x, x).x)(np.ones(2))


def test_nothing_is_imported_before_it_is_used() -> None:
    code = """if True:
        import sys
        import gradopt as go
        lazy = ["scipy", "gradopt.scipy.optimize", "gradopt.scipy.sparse",
                "gradopt.functions.sparse", "gradopt.transforms.sparsity"]
        assert not any(name in sys.modules for name in lazy)
        go.scipy.stats
        assert not any(name in sys.modules for name in lazy)
        go.scipy.minimize
        assert "scipy.optimize" not in sys.modules
    """
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
