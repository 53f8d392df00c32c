# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Looks for the highest place of a terrain with few measurements, by Bayesian optimisation.

A Gaussian process says what the heights between those that were measured may be. The next
measurement is where the expected improvement on the best one is largest: by its gradient, from
many places at once. The process learns its parameters after each measurement. The terrain is the
one that Matplotlib ships, around Jacksboro in Tennessee.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import linalg, special
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
# Places of the terrain that may be higher than what was found.
REQUIRED_SHARE = 0.005
START = {"scale": 0.0, "lengths": np.full(2, np.log(5.0)), "noise": -2.0}


def kernel(params: Any, x: Any, y: Any) -> Any:
    """Covariances of the heights at points of (n, 2) and (m, 2)."""
    difference = (x[:, None] - y[None]) / np.exp(params["lengths"])
    # A root has no derivative at 0, where two points are one.
    distance = np.sqrt(3 * np.sum(difference**2, axis=-1) + 1e-12)
    return np.exp(2 * params["scale"]) * (1 + distance) * np.exp(-distance)


def factorised(params: Any, points: Any, heights: Any) -> tuple[Any, Any]:
    """The factor of the covariance of the heights, and the heights in its terms."""
    noise = (np.exp(2 * params["noise"]) + 1e-8) * np.eye(len(points))
    lower = np.linalg.cholesky(kernel(params, points, points) + noise)
    return lower, linalg.solve_triangular(lower, heights, lower=True)


def loss(params: Any, points: Any, heights: Any) -> Any:
    """Minus the logarithm of the likelihood, and of a wide prior of the parameters."""
    lower, whitened = factorised(params, points, heights)
    prior = params["scale"] ** 2 + np.sum((params["lengths"] - START["lengths"]) ** 2)
    prior += (params["noise"] - START["noise"]) ** 2
    return np.sum(whitened**2) / 2 + np.sum(np.log(np.diagonal(lower))) + prior


def improvements(places: Any, params: Any, points: Any, heights: Any) -> Any:
    """The expected improvement on the largest height at places of (m, 2)."""
    lower, whitened = factorised(params, points, heights)
    weights = linalg.solve_triangular(lower, kernel(params, points, places), lower=True)
    mean = weights.T @ whitened
    variance = np.exp(2 * params["scale"]) - np.sum(weights**2, axis=0)
    deviation = np.sqrt(np.maximum(variance, 1e-10))
    z = (mean - np.max(heights)) / deviation
    density = np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)
    return deviation * (z * special.ndtr(z) + density)


@go.compile
def climb(places: Any, params: Any, points: Any, heights: Any, end: Any) -> tuple[Any, Any]:
    """Places of larger improvement, each from one of the given ones, and how large it is there."""
    slope = go.grad(lambda p: np.sum(improvements(p, params, points, heights)))
    step = end / 20
    for _ in range(30):
        direction = slope(places)
        length = np.sqrt(np.sum(direction**2, axis=1, keepdims=True)) + 1e-12
        places = np.clip(places + step * direction / length, 0, end)
        step = 0.85 * step
    return places, improvements(places, params, points, heights)


def save_picture(terrain: Array, end: Array, points: Array, heights: Array, path: Path) -> None:
    """Draws the terrain with the measurements, and the highest of these so far."""
    figure, (left, right) = new_figure(1, 2, figsize=(11, 4))
    shown = left.imshow(
        terrain, extent=(0, end[0], 0, end[1]), origin="lower", cmap="terrain", aspect="auto"
    )
    figure.colorbar(shown, ax=left, label="m")
    left.scatter(*points.T, c=np.arange(len(points)), cmap="binary", edgecolors="k", s=18)
    left.plot(*points[np.argmax(heights)], "r*", markersize=12)
    left.set(xlabel="east (km)", ylabel="north (km)", title="measurements, late ones dark")
    right.step(range(1, len(heights) + 1), np.maximum.accumulate(heights))
    right.axhline(terrain.max(), color="0.5", linestyle=":")
    right.set(xlabel="measurements", ylabel="highest (m)")
    save_figure(figure, path)


def main() -> int:
    """Reads the command line, searches, reports and draws; the status says whether it is good."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--measurements", type=integer(11), default=60)
    add_common_options(parser, out="summit.png", shows="picture")
    arguments = parser.parse_args()
    check_output(arguments.out)
    from tqdm import tqdm

    terrain, places = load_terrain()
    end = places[-1, -1]
    spacing = end / (np.array(terrain.shape[::-1]) - 1)
    rng = np.random.default_rng(arguments.seed)

    def measure(place: Array) -> tuple[Array, float]:
        column, row = np.rint(place / spacing).astype(int)
        return places[row, column], terrain[row, column]

    count = arguments.measurements
    points, heights = np.zeros((count, 2)), np.zeros(count)
    first = 10
    for i in range(first):
        points[i], heights[i] = measure(rng.uniform(0, end))
    # Arrays of one size are one program: what is not measured yet is far away.
    params: Any = START
    value_and_grad = go.compile_value_and_grad(loss)
    with tqdm(range(first, count), unit="measurement", disable=arguments.quiet) as progress:
        for i in progress:
            distant = 1e3 * (1 + np.arange(count))[:, None] * end
            known = np.where(np.arange(count)[:, None] < i, points, distant)
            center, spread = heights[:i].mean(), heights[:i].std()
            scaled = np.where(np.arange(count) < i, (heights - center) / spread, 0)
            for _ in range(20):
                gradient = value_and_grad(params, known, scaled)[1]
                params = {
                    name: p - 0.02 * np.clip(gradient[name], -5, 5) for name, p in params.items()
                }
            starts = rng.uniform(0, end, size=(200, 2))
            found, gains = climb(starts, params, known, scaled, end)
            points[i], heights[i] = measure(found[np.argmax(gains)])
            progress.set_postfix(highest=f"{heights[: i + 1].max():.0f} m", refresh=False)

    share = float(np.mean(terrain > heights.max()))
    by_chance = 1 - np.mean(terrain <= heights.max()) ** count
    print(f"highest of {count} measurements: {heights.max():.0f} m, summit {terrain.max():.0f} m")
    print(f"chance would find a higher one with a probability of {by_chance:.1%}")
    print(f"higher places: {share:.3%} of the terrain")
    save_picture(terrain, end, points, heights, arguments.out)
    if share > REQUIRED_SHARE:
        print("the summit was not found: more measurements?", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
