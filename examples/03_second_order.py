# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Fits a curve to values *and* slopes: a loss that contains a derivative, differentiated again.

A small network is fitted to a few samples of f(x) = sin(3 x). Asking its slope, `go.grad` of
the network, to agree with f' as well means that training differentiates the slope: reverse
mode over reverse mode. With the slopes, the same few samples say much more about f.
"""

from __future__ import annotations

import argparse
import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import optimize

import gradopt as go

Array = NDArray[np.float64]


def network(theta: Array, x: Array) -> Array:
    """One hidden layer; theta holds its input weights, biases and output weights."""
    weights, biases, outputs = theta.reshape(3, -1)
    return np.tanh(x[:, None] * weights + biases) @ outputs


def slope(theta: Array, x: Array) -> Array:
    """The derivative of the network at each x."""
    return go.grad(lambda x: np.sum(network(theta, x)))(x)


def loss(theta: Array, x: Array, values: Array, slopes: Array, slope_weight: float) -> Any:
    """Mean squared error of values and, weighted, of slopes."""
    error = np.mean((network(theta, x) - values) ** 2)
    return error + slope_weight * np.mean((slope(theta, x) - slopes) ** 2)


def main() -> None:
    """Reads the command line, fits without and with slopes and compares."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--samples", type=int, default=8, help="from 2 up")
    parser.add_argument("--hidden", type=int, default=24, help="width of the hidden layer")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    if arguments.samples < 2 or arguments.hidden < 1 or arguments.seed < 0:
        parser.error("--samples is 2 or more, --hidden 1 or more, --seed 0 or more")

    x = np.linspace(-2.0, 2.0, arguments.samples)
    samples = (x, np.sin(3.0 * x), 3.0 * np.cos(3.0 * x))
    theta = np.random.default_rng(arguments.seed).normal(size=3 * arguments.hidden)
    go.gradcheck(go.compile(loss), (theta, *samples, 0.1), argnums=0)

    value_and_grad = go.compile_value_and_grad(loss)
    dense = np.linspace(-2.0, 2.0, 401)
    errors: list[float] = []
    for label, weight in (("values only", 0.0), ("values and slopes", 0.1)):
        result = optimize.minimize(
            value_and_grad,
            theta,
            args=(*samples, weight),
            jac=True,
            method="L-BFGS-B",
            options={"maxiter": 400, "maxfun": 800, "ftol": 1e-15, "gtol": 1e-8},
        )
        errors.append(float(np.max(np.abs(network(result.x, dense) - np.sin(3.0 * dense)))))
        print(
            f"{label:18} {result.nit:5} steps  loss {result.fun:.1e}  "
            f"largest error between the samples {errors[-1]:.3f}"
        )
    if errors[1] >= errors[0]:
        sys.exit("the slopes did not help: more samples, or another seed?")


if __name__ == "__main__":
    main()
