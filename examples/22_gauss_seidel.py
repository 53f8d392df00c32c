# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Finds the sources of a field, through a solver that iterates until it has converged.

The field solves a discrete Poisson equation with absorption. Gauss and Seidel's method sweeps over
the grid, in place, until nothing changes any more: a Python `while` around two `for` loops, of
which nobody knows how often it runs. It is differentiated in two ways. Through its iterations:
reverse mode runs it a second time from states that it has kept. And implicitly: the solution does
not depend on how it was found, so that its derivative is that of the equation, by one more run of
the same solver.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import optimize
from shared import add_common_options, check_output, integer, new_figure, save_figure

import gradopt as go

Array = NDArray[np.float64]
# Of the first change.
TOLERANCE = 1e-10
ABSORPTION = 20.0
# Places of the sources, in parts of the edge, and their strengths.
PLACES = np.array([[0.25, 0.3], [0.7, 0.25], [0.45, 0.75], [0.8, 0.8]])
TRUTH = np.array([1.0, 2.0, -1.5, 0.7])
# How far the two gradients may differ, and the strengths that are found from the true ones.
REQUIRED_AGREEMENT = 1e-6
REQUIRED_ERROR = 0.02


def sweep_until_done(source: Any) -> Any:
    """The solution of -laplace(u) + absorption u = source, by sweeps over the grid."""
    n = len(source)
    h = 1.0 / (n - 1)
    u = np.zeros((n, n))
    enough = TOLERANCE * np.max(np.abs(source)) * h * h
    change = np.inf
    while change > enough:
        change = 0.0
        for i in range(1, n - 1):
            for j in range(1, n - 1):
                around = u[i - 1, j] + u[i + 1, j] + u[i, j - 1] + u[i, j + 1]
                new = (around + h * h * source[i, j]) / (4 + ABSORPTION * h * h)
                change = max(change, abs(new - u[i, j]))
                u[i, j] = new
    return u


def operator(u: Any) -> Any:
    """-laplace(u) + absorption u inside, and u at the edges."""
    n = len(u)
    h = 1.0 / (n - 1)
    result = u * 1.0
    around = u[:-2, 1:-1] + u[2:, 1:-1] + u[1:-1, :-2] + u[1:-1, 2:]
    result[1:-1, 1:-1] = ((4 + ABSORPTION * h * h) * u[1:-1, 1:-1] - around) / (h * h)
    return result


def implicit(source: Any) -> Any:
    """The same solution, of which derivatives are those of the equation. It is symmetric inside."""
    inside = np.zeros_like(source)
    inside[1:-1, 1:-1] = source[1:-1, 1:-1]
    return go.custom_linear_solve(
        operator, inside, lambda _, b: sweep_until_done(b), symmetric=True
    )


def sources(strengths: Any, size: int) -> Any:
    """The right-hand side: sources of a width of a tenth."""
    x = np.linspace(0, 1, size)
    total = np.zeros((size, size))
    for strength, (x0, y0) in zip(strengths, PLACES, strict=True):
        bump = np.exp(-((x - x0)[:, None] ** 2 + (x - y0)[None, :] ** 2) / 0.01)
        total += 100 * strength * bump
    return total


def loss_of(solve: Any) -> Any:
    """The misfit at some places, by one of the solvers."""

    def loss(strengths: Any, seen: Any) -> Any:
        field = solve(sources(strengths, len(seen)))
        return np.mean((field - seen)[::3, ::3] ** 2)

    return loss


def fit(size: int, seen: Array, quiet: bool) -> Array:
    """The strengths that explain what is seen."""
    from tqdm import tqdm

    value_and_grad = go.compile_value_and_grad(loss_of(implicit))
    with tqdm(unit="evaluation", disable=quiet) as progress:

        def evaluate(strengths: Array) -> tuple[float, Array]:
            value, gradient = value_and_grad(strengths, seen)
            progress.update()
            progress.set_postfix(misfit=f"{np.sqrt(value):.5f}", refresh=False)
            return float(value), gradient

        found = optimize.minimize(evaluate, np.zeros(4), jac=True, method="BFGS", tol=1e-8)
    return found.x


def save_picture(seen: Array, field: Array, path: Path) -> None:
    """Plots what is seen, and the field of the sources that were found."""
    figure, axes = new_figure(1, 2, figsize=(9, 4))
    for axis, (title, picture) in zip(
        axes, {"measured": seen, "by the sources found": field}.items(), strict=True
    ):
        shown = axis.imshow(picture.T, origin="lower", extent=(0, 1, 0, 1))
        axis.set(title=title)
        figure.colorbar(shown, ax=axis)
    axes[1].plot(*PLACES.T, "w+")
    save_figure(figure, path)


def main() -> int:
    """Reads the command line, compares, fits and plots; the status says whether it is good."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", type=integer(10), default=40, help="points along an edge")
    add_common_options(parser, out="gauss_seidel.png", shows="picture")
    arguments = parser.parse_args()
    check_output(arguments.out)

    size = arguments.size
    rng = np.random.default_rng(arguments.seed)
    true_field = go.compile(lambda s: sweep_until_done(sources(s, size)))(TRUTH)
    seen = true_field + 0.002 * rng.normal(size=(size, size))

    gradients: list[Array] = []
    for name, solve in {"iterations": sweep_until_done, "equation": implicit}.items():
        program = go.compile_value_and_grad(loss_of(solve))
        program(np.ones(4), seen)
        start = time.perf_counter()
        _, gradient = program(np.ones(4), seen)
        seconds = time.perf_counter() - start
        arena = program.lower(np.ones(4), seen).memory().arena
        gradients.append(gradient)
        print(
            f"gradient by the {name}: {np.round(gradient, 6)}, {seconds * 1e3:.1f} ms, "
            f"arena {arena / 1000:.0f} kB"
        )
    apart = float(np.max(np.abs(gradients[0] - gradients[1])) / np.max(np.abs(gradients[0])))
    print(f"relative difference: {apart:.1e}")

    found = fit(size, seen, arguments.quiet)
    error = float(np.max(np.abs(found - TRUTH)))
    print(f"strengths {np.round(found, 4)}, truth {TRUTH}, error {error:.4f}")
    field = go.compile(lambda s: sweep_until_done(sources(s, size)))(found)
    save_picture(seen, field, arguments.out)
    if apart > REQUIRED_AGREEMENT or error > REQUIRED_ERROR:
        print("the gradients or the sources are off", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
