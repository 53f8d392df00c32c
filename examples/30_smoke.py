# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Stirs a fluid once, so that its smoke takes a shape at the end.

A square of fluid, whose opposite sides meet, moves on by Stam's method (*Stable fluids*, 1999):
smoke and velocity are carried along, and pressure takes away what would compress the fluid. The
velocity at the beginning is sought. The simulation is ordinary NumPy, with `roll` for neighbours,
and 20 steps of it are one compiled gradient.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from shared import add_common_options, check_output, integer, new_figure, save_figure

import gradopt as go

Array = NDArray[np.float64]
SIZE = 40
STEPS = 20
# Of the difference from the target that still smoke has, what may be left.
REQUIRED_SHARE = 0.2


def project(vx: Any, vy: Any) -> tuple[Any, Any]:
    """The velocity without what compresses, by Jacobi's iteration for the pressure."""
    divergence = (np.roll(vx, -1, 0) - np.roll(vx, 1, 0)) / 2
    divergence = divergence + (np.roll(vy, -1, 1) - np.roll(vy, 1, 1)) / 2
    pressure = np.zeros_like(divergence)
    for _ in range(20):
        around = np.roll(pressure, 1, 0) + np.roll(pressure, -1, 0)
        around = around + np.roll(pressure, 1, 1) + np.roll(pressure, -1, 1)
        pressure = (around - divergence) / 4
    vx = vx - (np.roll(pressure, -1, 0) - np.roll(pressure, 1, 0)) / 2
    vy = vy - (np.roll(pressure, -1, 1) - np.roll(pressure, 1, 1)) / 2
    return vx, vy


def carry(field: Any, vx: Any, vy: Any) -> Any:
    """The field moved along the velocity: what is at a place came from upstream."""
    rows, columns = np.meshgrid(np.arange(SIZE), np.arange(SIZE), indexing="ij")
    x, y = rows - vx, columns - vy
    top, left = np.floor(x), np.floor(y)
    right, down = y - left, x - top
    top, left = top.astype(int) % SIZE, left.astype(int) % SIZE
    bottom, beside = (top + 1) % SIZE, (left + 1) % SIZE
    upper = (1 - right) * field[top, left] + right * field[top, beside]
    lower = (1 - right) * field[bottom, left] + right * field[bottom, beside]
    return (1 - down) * upper + down * lower


def simulate(velocity: Any, smoke: Any) -> Any:
    """The smoke at the end, of velocities of shape (2, n, n) at the beginning."""
    vx, vy = project(velocity[0], velocity[1])
    for _ in range(STEPS):
        vx, vy = carry(vx, vx, vy), carry(vy, vx, vy)
        vx, vy = project(vx, vy)
        smoke = carry(smoke, vx, vy)
    return smoke


def loss(velocity: Any, smoke: Any, target: Any) -> Any:
    """The mean square of the difference from the target."""
    return np.mean((simulate(velocity, smoke) - target) ** 2)


def shapes() -> tuple[Array, Array]:
    """A disc of smoke, and the moon that it shall become, of about the same area."""
    x, y = np.meshgrid(*2 * [(np.arange(SIZE) + 0.5) / SIZE - 0.5], indexing="ij")

    def disc(row: float, column: float, radius: float) -> Array:
        distance = np.hypot(x - row, y - column)
        return 1 / (1 + np.exp((distance - radius) * SIZE * 1.5))

    return disc(0, 0, 0.22), disc(0, 0, 0.32) * (1 - disc(0, 0.15, 0.24))


def stir(smoke: Array, target: Array, steps: int, quiet: bool) -> tuple[Array, list[float]]:
    """The velocity at the beginning, and the loss at each step."""
    from tqdm import tqdm

    losses: list[float] = []
    progress = tqdm(total=steps, unit="step", disable=quiet)
    value = go.compile(loss)

    def report(velocity: Array) -> None:
        losses.append(float(value(velocity, smoke, target)))
        progress.set_postfix(loss=f"{losses[-1]:.5f}", refresh=False)
        progress.update()

    found = go.scipy.minimize(
        loss,
        np.zeros((2, SIZE, SIZE)),
        (smoke, target),
        method="L-BFGS-B",
        callback=report,
        options={"maxiter": steps},
    )
    progress.close()
    return found.x, losses


def save_picture(velocity: Array, fields: dict[str, Array], path: Path) -> None:
    """Draws the smoke at both ends, with the velocity, and the target."""
    figure, axes = new_figure(1, len(fields), figsize=(4 * len(fields), 4))
    for axis, (title, field) in zip(axes, fields.items(), strict=True):
        axis.imshow(field, cmap="binary", vmin=0, vmax=1)
        axis.set(title=title, xticks=[], yticks=[])
    vx, vy = project(*velocity)
    places = slice(1, None, 3)
    axes[0].quiver(
        *np.meshgrid(np.arange(SIZE)[places], np.arange(SIZE)[places]),
        vy[places, places],
        -vx[places, places],
        color="C0",
    )
    save_figure(figure, path)


def main() -> int:
    """Reads the command line, stirs, reports and draws; the status says whether it is good."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--steps", type=integer(1), default=60, help="at most")
    add_common_options(parser, out="smoke.png", shows="picture")
    arguments = parser.parse_args()
    check_output(arguments.out)

    smoke, target = shapes()
    velocity, losses = stir(smoke, target, arguments.steps, arguments.quiet)
    still = float(np.mean((smoke - target) ** 2))
    share = losses[-1] / still
    print(f"{len(losses)} steps, difference {still:.4f} of still smoke, {losses[-1]:.5f} now")
    print(f"{share:.1%} of it is left")
    fields = {"beginning": smoke, "end": simulate(velocity, smoke), "target": target}
    save_picture(velocity, fields, arguments.out)
    if share > REQUIRED_SHARE:
        print("the smoke did not take its shape: more steps?", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
