# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""A map of mountains from 300 points, by a Gaussian process that learns what mountains are like.

The terrain is the one that Matplotlib ships, around Jacksboro in Tennessee. How far heights are
alike, in which direction, and how rough they are, are parameters of the process; they maximise
the likelihood of the heights at the points, by one of SciPy's algorithms. That takes a Cholesky
factorisation, and its gradient.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import linalg
from shared import (
    add_common_options,
    check_output,
    integer,
    load_terrain,
    new_figure,
    save_figure,
)

import gradopt as go

Array = NDArray[np.float64]
# Of the error of taking the nearest point's height, what the process may have.
REQUIRED_ERROR = 0.9
REQUIRED_COVERAGE = (0.85, 0.99)
# Logarithms: deviation of the heights, lengths to the east and north, deviation of a point alone.
START = {"scale": 0.0, "lengths": np.zeros(2), "noise": -2.0}


def kernel(params: Any, x: Array, y: Array) -> Array:
    """Covariances of the heights at points of (n, 2) and (m, 2): exponential, for rough ones."""
    difference = (x[:, None] - y[None]) / np.exp(params["lengths"])
    # A root has no derivative at 0, where two points are one.
    distance = np.sqrt(np.sum(difference**2, axis=-1) + 1e-12)
    return np.exp(2 * params["scale"] - distance)


def factorised(params: Any, points: Array, heights: Array) -> tuple[Array, Array]:
    """The factor of the covariance of the heights, and the heights in its terms."""
    noise = np.exp(2 * params["noise"]) * np.eye(len(points))
    lower = np.linalg.cholesky(kernel(params, points, points) + noise)
    return lower, linalg.solve_triangular(lower, heights, lower=True)


def loss(params: Any, points: Array, heights: Array) -> Any:
    """Minus the logarithm of the likelihood of a height, in the mean."""
    lower, whitened = factorised(params, points, heights)
    total = np.sum(whitened**2) / 2 + np.sum(np.log(np.diagonal(lower)))
    return total / len(points) + np.log(2 * np.pi) / 2


@go.compile
def predict(params: Any, points: Array, heights: Array, others: Array) -> tuple[Array, Array]:
    """Means and standard deviations of the heights at other points."""
    lower, whitened = factorised(params, points, heights)
    weights = linalg.solve_triangular(lower, kernel(params, points, others), lower=True)
    variance = np.exp(2 * params["scale"]) + np.exp(2 * params["noise"])
    return weights.T @ whitened, np.sqrt(variance - np.sum(weights**2, axis=0))


def fit(points: Array, heights: Array, steps: int, quiet: bool) -> tuple[Any, list[float]]:
    """The parameters of the largest likelihood, and the loss at each step."""
    from tqdm import tqdm

    losses: list[float] = []
    progress = tqdm(total=steps, unit="step", disable=quiet)
    value = go.compile(loss)

    def report(params: Any) -> None:
        losses.append(float(value(params, points, heights)))
        progress.set_postfix(loss=f"{losses[-1]:.4f}", refresh=False)
        progress.update()

    found = go.scipy.minimize(
        loss,
        START,
        (points, heights),
        method="L-BFGS-B",
        callback=report,
        options={"maxiter": steps},
    )
    progress.close()
    return found.x, losses


def save_picture(maps: list[Array], places: Array, points: Array, path: Path) -> None:
    """Draws the true map, the learnt one, and how uncertain it is."""
    figure, axes = new_figure(1, 3, figsize=(13, 4), sharey=True)
    terrain, mean, deviation = maps
    limits = {"vmin": terrain.min(), "vmax": terrain.max()}
    east, north = places[-1, -1]
    for axis, values, title, options in (
        (axes[0], terrain, "terrain", {"cmap": "terrain", **limits}),
        (axes[1], mean, f"from {len(points)} points", {"cmap": "terrain", **limits}),
        (axes[2], deviation, "standard deviation", {"cmap": "viridis"}),
    ):
        extent = (0, east, 0, north)
        shown = axis.imshow(values, extent=extent, origin="lower", **options)
        axis.set(title=title, xlabel="east (km)")
        figure.colorbar(shown, ax=axis, label="m", shrink=0.8)
    axes[0].set_ylabel("north (km)")
    axes[1].plot(*points.T, "k.", markersize=2)
    save_figure(figure, path)


def main() -> int:
    """Reads the command line, fits, reports and draws; the status says whether the map is good."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--points", type=integer(20), default=300)
    parser.add_argument("--steps", type=integer(1), default=40, help="at most")
    add_common_options(parser, out="terrain.png", shows="picture")
    arguments = parser.parse_args()
    check_output(arguments.out)

    terrain, places = load_terrain()
    flat, everywhere = terrain.ravel(), places.reshape(-1, 2)
    chosen = np.random.default_rng(arguments.seed).permutation(len(flat))[: arguments.points]
    center, spread = flat[chosen].mean(), flat[chosen].std()
    points, heights = everywhere[chosen], (flat[chosen] - center) / spread

    params, losses = fit(points, heights, arguments.steps, arguments.quiet)
    east, north = np.exp(params["lengths"])
    print(f"{len(losses)} steps, loss {losses[0]:.4f} to {losses[-1]:.4f}")
    print(f"heights are alike over {east:.1f} km to the east, {north:.1f} km to the north")

    mean, deviation = predict(params, points, heights, everywhere)
    mean, deviation = mean * spread + center, deviation * spread
    squares = np.sum((everywhere[:, None] - points) ** 2, axis=-1)
    nearest = flat[chosen][np.argmin(squares, axis=1)]
    others = np.setdiff1d(np.arange(len(flat)), chosen)
    error = np.sqrt(np.mean((mean - flat)[others] ** 2))
    baseline = np.sqrt(np.mean((nearest - flat)[others] ** 2))
    coverage = float(np.mean(np.abs(mean - flat)[others] < 1.96 * deviation[others]))
    print(
        f"error {error:.1f} m, of the nearest point {baseline:.1f} m, {error / baseline:.1%} of it"
    )
    print(f"{coverage:.1%} of {len(others)} heights within their 95 % intervals")
    maps = [values.reshape(terrain.shape) for values in (flat, mean, deviation)]
    save_picture(maps, places, points, arguments.out)
    low, high = REQUIRED_COVERAGE
    if error > REQUIRED_ERROR * baseline or not low <= coverage <= high:
        print("the map is not good enough: more points, or more steps?", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
