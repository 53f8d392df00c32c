# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Finds what a plate is made of, from one picture of its temperature.

A plate is heated at its left edge. Somewhere in it is a round piece of another material, which
conducts heat worse. The heat equation, u_t = div(k grad u), is solved by explicit steps: a Python
loop that writes to slices of an array. The gradient of the misfit goes back through all of them.
Fitted are the conductivity of the plate, and place, size and conductivity of the piece, from
temperatures with noise. The picture is made here, with the true values: no package ships one.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import optimize
from shared import add_common_options, check_output, integer, new_figure, save_figure

import gradopt as go

Array = NDArray[np.float64]
NAMES = ("plate", "piece", "x", "y", "radius")
TRUTH = np.array([1.0, 0.25, 0.45, 0.58, 0.16])
GUESS = np.array([0.8, 0.6, 0.5, 0.5, 0.2])
BOUNDS = [(0.1, 2.0), (0.05, 2.0), (0.1, 0.9), (0.1, 0.9), (0.05, 0.4)]
DURATION = 0.08
# Of the standard errors, how far a parameter may be off.
REQUIRED_ERRORS = 4.0


def conductivity(params: Any, size: int) -> Any:
    """The conductivity at each point of the plate; the edge of the piece is three points wide."""
    plate, piece, x0, y0, radius = params
    x = np.linspace(0, 1, size)
    distance = np.sqrt((x[:, None] - x0) ** 2 + (x[None, :] - y0) ** 2 + 1e-12)
    inside = 0.5 - 0.5 * np.tanh((distance - radius) * size / 1.5)
    return plate + (piece - plate) * inside


def temperature(params: Any, size: int, steps: int) -> Any:
    """The temperature after some time, of a plate that was cold."""
    k = conductivity(params, size)
    along = 0.5 * (k[1:, :] + k[:-1, :])
    across = 0.5 * (k[:, 1:] + k[:, :-1])
    rate = DURATION / steps * (size - 1) ** 2
    u = np.zeros((size, size))
    u[0, :] = 1.0
    for _ in range(steps):
        flow_x = along * (u[1:, :] - u[:-1, :])
        flow_y = across * (u[:, 1:] - u[:, :-1])
        u[1:-1, :] += rate * (flow_x[1:, :] - flow_x[:-1, :])
        u[1:-1, 1:-1] += rate * (flow_y[1:-1, 1:] - flow_y[1:-1, :-1])
        # No heat leaves through the other edges.
        u[:, 0] = u[:, 1]
        u[:, -1] = u[:, -2]
        u[-1, :] = u[-2, :]
    return u


def loss(params: Any, seen: Any, steps: int) -> Any:
    """Mean squared misfit of the temperatures."""
    return np.mean((temperature(params, len(seen), steps) - seen) ** 2)


def fit(seen: Array, steps: int, quiet: bool) -> Array:
    """The parameters that explain the temperatures."""
    from tqdm import tqdm

    value_and_grad = go.compile_value_and_grad(loss)
    with tqdm(unit="evaluation", disable=quiet) as progress:

        def evaluate(params: Array) -> tuple[float, Array]:
            value, gradient = value_and_grad(params, seen, steps)
            progress.update()
            progress.set_postfix(misfit=f"{np.sqrt(value):.5f}", refresh=False)
            return 1e4 * value, 1e4 * gradient

        options = {"ftol": 1e-14, "gtol": 1e-9, "maxiter": 300}
        found = optimize.minimize(
            evaluate, GUESS, jac=True, method="L-BFGS-B", bounds=BOUNDS, options=options
        )
    return found.x


def save_picture(seen: Array, fitted: Array, params: Array, path: Path) -> None:
    """Plots the temperatures, and the conductivity that was found beside the true one."""
    figure, axes = new_figure(1, 4, figsize=(13, 3.4))
    size = len(seen)
    pictures = {
        "measured temperature": seen,
        "fitted temperature": fitted,
        "conductivity found": conductivity(params, size),
        "true conductivity": conductivity(TRUTH, size),
    }
    for axis, (title, picture) in zip(axes, pictures.items(), strict=True):
        shown = axis.imshow(picture.T, origin="lower", extent=(0, 1, 0, 1))
        axis.set(title=title)
        figure.colorbar(shown, ax=axis)
    save_figure(figure, path)


def main() -> int:
    """Reads the command line, fits, reports and plots; the status says whether it is good."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", type=integer(16), default=48, help="points along an edge")
    parser.add_argument("--noise", type=float, default=0.01, help="of a temperature")
    add_common_options(parser, out="heat.png", shows="picture")
    arguments = parser.parse_args()
    if arguments.noise <= 0:
        parser.error("--noise is positive")
    check_output(arguments.out)

    size, noise = arguments.size, arguments.noise
    # So many that the steps are stable at the largest conductivity that is tried.
    steps = int(4.5 * DURATION * BOUNDS[0][1] * (size - 1) ** 2)
    compiled = go.compile(temperature)
    rng = np.random.default_rng(arguments.seed)
    seen = compiled(TRUTH, size, steps) + noise * rng.normal(size=(size, size))
    params = fit(seen, steps, arguments.quiet)
    slopes = go.compile_jacobian(temperature, mode="fwd")(params, size, steps).reshape(-1, 5)
    errors = noise * np.sqrt(np.diagonal(np.linalg.inv(slopes.T @ slopes)))
    print(f"{size} x {size} points, {steps} steps")
    for name, value, error, true in zip(NAMES, params, errors, TRUTH, strict=True):
        print(f"{name:6} {value:8.5f} +- {error:.5f}  (truth {true})")
    off = np.max(np.abs(params - TRUTH) / errors)
    print(f"off by at most {off:.1f} standard errors")
    save_picture(seen, compiled(params, size, steps), params, arguments.out)
    if off > REQUIRED_ERRORS:
        print("the fit is off: less noise, or more points?", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
