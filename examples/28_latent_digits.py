# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Lays images of digits out on a plane, by a Gaussian process whose inputs are what is sought.

In a latent variable model (Lawrence, *Gaussian process latent variable models*, 2004) every pixel
is a smooth random function of two coordinates; these, one pair for each image, maximise the
likelihood together with the parameters of the process. They start from principal components. No
label is used: they only say afterwards how often an image's nearest neighbour shows its digit.
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
    load_digits,
    new_figure,
    save_figure,
)

import gradopt as go

Array = NDArray[np.float64]
DIGITS = 5
# Of the principal components' wrong neighbours, what may be left.
REQUIRED_SHARE = 0.5


def loss(params: Any, images: Any) -> Any:
    """Minus the logarithm of the likelihood of a pixel, and of normal coordinates, in the mean."""
    x = params["places"]
    squares = np.sum((x[:, None] - x[None]) ** 2, axis=-1)
    covariance = np.exp(2 * params["scale"] - squares / 2)
    covariance = covariance + np.exp(2 * params["noise"]) * np.eye(len(x))
    lower = np.linalg.cholesky(covariance)
    whitened = linalg.solve_triangular(lower, images, lower=True)
    count = images.shape[1]
    total = np.sum(whitened**2) / 2 + count * np.sum(np.log(np.diagonal(lower)))
    return (total + np.sum(x**2) / 2) / images.size


def wrong_neighbours(places: Array, labels: Any) -> float:
    """How often the nearest other place is that of another digit."""
    squares = np.sum((places[:, None] - places[None]) ** 2, axis=-1)
    np.fill_diagonal(squares, np.inf)
    return float(np.mean(labels[np.argmin(squares, axis=1)] != labels))


def fit(images: Array, start: Array, steps: int, quiet: bool) -> tuple[Any, list[float]]:
    """The parameters of the largest likelihood, and the loss at each step."""
    from tqdm import tqdm

    losses: list[float] = []
    progress = tqdm(total=steps, unit="step", disable=quiet)
    value = go.compile(loss)

    def report(params: Any) -> None:
        losses.append(float(value(params, images)))
        progress.set_postfix(loss=f"{losses[-1]:.4f}", refresh=False)
        progress.update()

    found = go.scipy.minimize(
        loss,
        {"places": start, "scale": 0.0, "noise": -1.0},
        (images,),
        method="L-BFGS-B",
        callback=report,
        options={"maxiter": steps},
    )
    progress.close()
    return found.x, losses


def save_picture(layouts: dict[str, Array], labels: Any, path: Path) -> None:
    """Draws where the images lie, colored by their digits."""
    figure, axes = new_figure(1, 2, figsize=(11, 5))
    for axis, (title, places) in zip(axes, layouts.items(), strict=True):
        for digit in range(DIGITS):
            axis.plot(*places[labels == digit].T, f"C{digit}.", label=str(digit))
        axis.set(title=title)
    axes[1].legend(title="digit")
    save_figure(figure, path)


def main() -> int:
    """Reads the command line, fits, reports and draws; the status says whether it is good."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=integer(50), default=250)
    parser.add_argument("--steps", type=integer(1), default=120, help="at most")
    add_common_options(parser, out="latent.png", shows="picture")
    arguments = parser.parse_args()
    check_output(arguments.out)

    (images, labels), _ = load_digits(np.random.default_rng(arguments.seed))
    chosen = np.flatnonzero(labels < DIGITS)[: arguments.images]
    images, labels = images[chosen], labels[chosen]
    centered = (images - images.mean(axis=0)) / images.std()
    u, s, _ = np.linalg.svd(centered, full_matrices=False)
    components = u[:, :2] * s[:2]
    start = components / components.std(axis=0)

    params, losses = fit(centered, start, arguments.steps, arguments.quiet)
    before = wrong_neighbours(start, labels)
    after = wrong_neighbours(params["places"], labels)
    print(f"{len(losses)} steps, loss {losses[0]:.4f} to {losses[-1]:.4f}")
    print(f"neighbours of another digit: {before:.1%} of principal components, {after:.1%} now")
    print(f"that is {after / before:.1%} of them")
    layouts = {"principal components": start, "Gaussian process": params["places"]}
    save_picture(layouts, labels, arguments.out)
    if after > REQUIRED_SHARE * before:
        print("the layout is no better: more steps?", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
