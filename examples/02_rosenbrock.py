# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Minimises Rosenbrock's function with SciPy, given compiled derivatives.

The gradient is reverse mode; the Hessian is forward mode over reverse mode, one product with
a unit vector for each row. All three are checked against SciPy's own formulas.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import optimize

import gradopt as go

Array = NDArray[np.float64]


def rosenbrock(x: Array) -> Any:
    """A long curved valley with its minimum, 0, at (1, ..., 1)."""
    return np.sum(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2)


def hessian_vector_product(f: Callable[[Array], Any]) -> Callable[[Array, Array], Array]:
    """The function that maps x and v to H(x) v: the derivative of the gradient along v."""
    return lambda x, v: go.jvp(go.grad(f), (x,), (v,))[1]


def hessian(f: Callable[[Array], Any]) -> Callable[[Array], Array]:
    """The matrix of second derivatives of f."""
    product = hessian_vector_product(f)
    return lambda x: np.stack([product(x, unit) for unit in np.eye(x.size)])


def main() -> None:
    """Reads the command line, minimises twice and compares."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("-n", type=int, default=8, help="number of variables, from 2 up")
    n: int = parser.parse_args().n
    if n < 2:
        parser.error("Rosenbrock's function has two variables or more")

    value_and_grad = go.compile_value_and_grad(rosenbrock)
    matrix = go.compile(hessian(rosenbrock))
    product = go.compile(hessian_vector_product(rosenbrock))

    start = np.linspace(-1.2, 1.0, n)
    value, gradient = value_and_grad(start)
    np.testing.assert_allclose(value, optimize.rosen(start), rtol=1e-12)
    np.testing.assert_allclose(gradient, optimize.rosen_der(start), rtol=1e-12, atol=1e-10)
    np.testing.assert_allclose(matrix(start), optimize.rosen_hess(start), rtol=1e-12, atol=1e-10)
    print(f"value, gradient and Hessian at the start agree with scipy.optimize.rosen, n = {n}")

    # For few variables the whole matrix, for many only its products with vectors.
    for method, second_order in (
        ("trust-exact", {"hess": matrix}),
        ("trust-ncg", {"hessp": product}),
    ):
        result = optimize.minimize(
            value_and_grad, start, method=method, jac=True, options={"gtol": 1e-10}, **second_order
        )
        distance = np.linalg.norm(result.x - 1.0)
        print(f"{method:12} {result.nit:3} steps  f = {result.fun:.1e}  |x - 1| = {distance:.1e}")
        assert result.fun < 1e-12, "did not reach the minimum"


if __name__ == "__main__":
    main()
