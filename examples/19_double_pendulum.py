# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Throws a double pendulum so that it stands upright, for a moment, after a given time.

The motion is chaotic: what one gets depends on the start more and more strongly with time. It is
calculated by Runge and Kutta's steps in a Python loop, of which the compiled gradient is that of
the loop. Wanted are the speeds to start with, from rest position: Newton's method with the Jacobian
of the final state, and from many first guesses the slowest throw that arrives is taken.
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
GRAVITY = 9.81
DURATION = 4.0
# How far the lower end may be from its place above the pivot (m); both rods are 1 m long.
REQUIRED_MISS = 1e-6


def motion(state: Any) -> Any:
    """The derivative of two angles from below, and their speeds; rods and masses are 1."""
    first, second, speed, other = state
    turn = first - second
    c, s = np.cos(turn), np.sin(turn)
    # Two linear equations for the accelerations.
    left = -(other**2) * s - 2 * GRAVITY * np.sin(first)
    right = speed**2 * s - GRAVITY * np.sin(second)
    determinant = 2 - c * c
    return np.array(
        [speed, other, (left - c * right) / determinant, (2 * right - c * left) / determinant]
    )


def step(state: Any, dt: Any) -> Any:
    """One step of the method of order 4."""
    a = motion(state)
    b = motion(state + dt / 2 * a)
    c = motion(state + dt / 2 * b)
    d = motion(state + dt * c)
    return state + dt / 6 * (a + 2 * b + 2 * c + d)


def thrown(speeds: Any, steps: int) -> Any:
    """Angles and speeds at all times, of a pendulum that hangs and gets these speeds."""
    states = np.zeros((steps + 1, 4))
    states[0, 2:] = speeds
    for i in range(steps):
        states[i + 1] = step(states[i], DURATION / steps)
    return states


def ends(states: Any) -> Any:
    """Where the ends of the rods are."""
    first, second = states[:, 0], states[:, 1]
    upper = np.stack([np.sin(first), -np.cos(first)], axis=1)
    return upper, upper + np.stack([np.sin(second), -np.cos(second)], axis=1)


def miss(speeds: Any, steps: int) -> Any:
    """How the final angles differ from upright: the sines of half of that."""
    final = thrown(speeds, steps)[-1]
    return np.cos(final[:2] / 2)


def search(steps: int, guesses: int, rng: np.random.Generator, quiet: bool) -> Array:
    """The slowest throw that was found."""
    from tqdm import tqdm

    value, jacobian = go.compile(miss), go.compile_jacobian(miss)
    best = np.full(2, np.inf)
    found = 0
    progress = tqdm(range(guesses), unit="guess", disable=quiet)
    for _ in progress:
        speeds = rng.uniform(-12, 12, 2)
        for _ in range(20):
            residual = value(speeds, steps)
            if np.max(np.abs(residual)) < 1e-12:
                break
            change = np.linalg.lstsq(jacobian(speeds, steps), residual)[0]
            # Far steps are no better than guesses.
            speeds = speeds - change * min(1.0, 2 / np.max(np.abs(change)))
        if np.max(np.abs(value(speeds, steps))) < 1e-9:
            found += 1
            if np.sum(speeds**2) < np.sum(best**2):
                best = speeds
        progress.set_postfix(arrived=found, refresh=False)
    return best


def save_picture(states: Array, path: Path) -> None:
    """Plots the way of the lower end, and the angles."""
    figure, (left, right) = new_figure(1, 2, figsize=(10, 4.5))
    upper, lower = ends(states)
    left.plot(*lower.T, linewidth=1)
    for i in np.linspace(0, len(states) - 1, 9).astype(int):
        rods = np.stack([np.zeros(2), upper[i], lower[i]])
        left.plot(*rods.T, "o-", color=str(0.9 - 0.9 * i / len(states)), markersize=4)
    left.set(title="from hanging to standing", aspect="equal")
    times = np.linspace(0, DURATION, len(states))
    right.plot(times, np.degrees(states[:, :2]), label=("upper rod", "lower rod"))
    right.set(xlabel="time (s)", ylabel="angle (degrees)")
    right.legend()
    save_figure(figure, path)


def main() -> int:
    """Reads the command line, searches, reports and plots; the status says whether it is good."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--steps", type=integer(100), default=2000)
    parser.add_argument("--guesses", type=integer(1), default=60)
    add_common_options(parser, out="double_pendulum.png", shows="picture")
    arguments = parser.parse_args()
    check_output(arguments.out)

    rng = np.random.default_rng(arguments.seed)
    speeds = search(arguments.steps, arguments.guesses, rng, arguments.quiet)
    if not np.all(np.isfinite(speeds)):
        print("no throw arrives: more guesses?", file=sys.stderr)
        return 1
    states = go.compile(thrown)(speeds, arguments.steps)
    distance = float(np.linalg.norm(ends(states)[1][-1] - [0, 2]))
    print(f"speeds {speeds[0]:.6f} and {speeds[1]:.6f} rad/s")
    print(f"upright after {DURATION} s: {distance:.2e} m from its place")
    growth = go.compile_jacobian(lambda s: thrown(s, arguments.steps)[-1])(speeds)
    print(f"an error at the start is {np.linalg.norm(growth, 2):.0f} times as large at the end")
    energies = np.array([energy(state) for state in states[:: arguments.steps // 20]])
    drift = np.max(np.abs(energies - energies[0])) / abs(energies[0])
    print(f"the energy stays within {drift:.1e} of itself")
    save_picture(states, arguments.out)
    return 0 if distance < REQUIRED_MISS else 1


def energy(state: Array) -> float:
    """Kinetic and potential energy, from above the rest position."""
    first, second, speed, other = state
    kinetic = speed**2 + 0.5 * other**2 + speed * other * np.cos(first - second)
    return float(kinetic + GRAVITY * (3 - 2 * np.cos(first) - np.cos(second)))


if __name__ == "__main__":
    sys.exit(main())
