# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Averages signals that run at different speeds, through dynamic time warping.

Each signal is the same shape, read at its own uneven pace, with noise. Their plain mean is smeared.
Dynamic time warping compares two signals by the cheapest way to walk through both: a table that is
filled in two nested Python loops, of which each entry takes the least of three others. What it
costs has a gradient, along the cheapest ways, and the signal that is nearest to all of them is
found by descent.
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
from gradopt import optim

Array = NDArray[np.float64]
# How much better the warped mean must be than the plain one.
REQUIRED_GAIN = 2.0


def warping_cost(x: Any, y: Any) -> Any:
    """What the cheapest way through both signals costs: the squared differences of its pairs."""
    n, m = len(x), len(y)
    table = np.full((n + 1, m + 1), np.inf)
    table[0, 0] = 0.0
    for i in range(n):
        for j in range(m):
            difference = (x[i] - y[j]) ** 2
            table[i + 1, j + 1] = difference + min(table[i, j], table[i, j + 1], table[i + 1, j])
    return table[n, m]


def loss(x: Any, signals: Any) -> Any:
    """The mean cost of warping the signals to this one."""
    total = 0.0
    for y in signals:
        total += warping_cost(x, y)
    return total / len(signals)


def shape(t: Any) -> Any:
    """The signal that all of them are, at times from 0 to 1."""
    return np.exp(-300 * (t - 0.3) ** 2) - 0.7 * np.exp(-200 * (t - 0.6) ** 2) + 0.4 * t


def measure(count: int, length: int, noise: float, rng: np.random.Generator) -> Array:
    """The shape, read at uneven paces."""
    pace = np.exp(np.cumsum(rng.normal(scale=0.25, size=(count, length)), axis=1))
    times = np.cumsum(pace, axis=1)
    times = (times - times[:, :1]) / (times[:, -1:] - times[:, :1])
    return shape(times) + noise * rng.normal(size=times.shape)


def average(signals: Array, steps: int, quiet: bool) -> tuple[Array, list[float]]:
    """The signal that is nearest to all, from the one of them that is nearest to the others."""
    from tqdm import tqdm

    value = go.compile(loss)
    x = signals[np.argmin([value(y, signals) for y in signals])]
    optimizer = optim.adam(optim.cosine_decay_schedule(0.02, steps))

    def step(x: Any, state: Any, signals: Any) -> Any:
        value, gradient = go.value_and_grad(loss)(x, signals)
        updates, state = optimizer.update(gradient, state, x)
        return value, optim.apply_updates(x, updates), state

    compiled = go.compile(step)
    state = optimizer.init(x)
    losses: list[float] = []
    progress = tqdm(range(steps), unit="step", disable=quiet)
    for _ in progress:
        value, x, state = compiled(x, state, signals)
        losses.append(float(value))
        progress.set_postfix(cost=f"{value:.4f}", refresh=False)
    return x, losses


def save_picture(signals: Array, plain: Array, warped: Array, truth: Array, path: Path) -> None:
    """Plots the signals, and both means beside the true shape."""
    figure, (left, right) = new_figure(1, 2, figsize=(11, 4), sharey=True)
    left.plot(signals.T, linewidth=0.6)
    left.set(title=f"{len(signals)} signals")
    right.plot(truth, color="0.7", linewidth=4, label="true shape")
    right.plot(plain, "--", label="plain mean")
    right.plot(warped, label="warped mean")
    right.set(title="their means")
    right.legend()
    save_figure(figure, path)


def main() -> int:
    """Reads the command line, averages, reports and plots; the status says whether it is good."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--signals", type=integer(2), default=12)
    parser.add_argument("--length", type=integer(20), default=80)
    parser.add_argument("--steps", type=integer(1), default=150)
    add_common_options(parser, out="alignment.png", shows="picture")
    arguments = parser.parse_args()
    check_output(arguments.out)

    rng = np.random.default_rng(arguments.seed)
    signals = measure(arguments.signals, arguments.length, 0.03, rng)
    truth = shape(np.linspace(0, 1, arguments.length))
    plain = np.mean(signals, axis=0)
    warped, losses = average(signals, arguments.steps, arguments.quiet)
    cost = go.compile(warping_cost)
    before, after = (float(cost(mean, truth)) for mean in (plain, warped))
    print(f"mean cost of warping: {losses[0]:.4f} at first, {losses[-1]:.4f} in the end")
    print(f"distance from the true shape: plain mean {before:.4f}, warped mean {after:.4f}")
    print(f"the warped mean is {before / after:.1f} times nearer")
    save_picture(signals, plain, warped, truth, arguments.out)
    if after * REQUIRED_GAIN > before:
        print("the warped mean is hardly better: more steps?", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
