# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Learns the equation of motion of a pendulum from how it swings, as a network inside of an ODE.

A small network says how fast angle and velocity change (Chen et al., *Neural ordinary differential
equations*, 2018). SciPy's `solve_ivp` moves it on, and the gradient goes through its steps. It sees
noisy measurements of some swings, and is tried on others, which last longer.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import integrate
from shared import add_common_options, check_output, integer, new_figure, save_figure

import gradopt as go

Array = NDArray[np.float64]
NOISE = 0.02
# Of the size of the swings, the error that there may be, in the root mean square.
REQUIRED_ERROR = 0.1
TIMES = np.linspace(0.0, 4.0, 25)
LATER = np.linspace(0.0, 6.0, 61)


def pendulum(_: float, state: Array) -> Array:
    """The truth, of angles and velocities one behind the other."""
    angle, velocity = np.reshape(state, (2, -1))
    return np.concatenate([velocity, -4 * np.sin(angle) - 0.2 * velocity])


def network(params: Any, state: Any) -> Any:
    """What the network says of these, of the same shape."""
    pairs = np.reshape(state, (2, -1)).T
    hidden = np.tanh(pairs @ params["w1"] + params["b1"])
    return np.ravel((hidden @ params["w2"] + params["b2"]).T)


def swings(params: Any, starts: Any, times: Any) -> Any:
    """States at the times, of shape (2 n, times), from starts of shape (2 n,)."""
    solved = integrate.solve_ivp(
        lambda _, state: network(params, state),
        (times[0], times[-1]),
        starts,
        t_eval=times,
        rtol=1e-4,
        atol=1e-6,
    )
    return solved.y


def loss(params: Any, starts: Any, times: Any, measured: Any) -> Any:
    """The mean square of what is not right."""
    return np.mean((swings(params, starts, times) - measured) ** 2)


def fit(
    params: Any, starts: Array, measured: Array, steps: int, quiet: bool
) -> tuple[Any, list[float]]:
    """The parameters, and the loss at each step; longer and longer swings are looked at."""
    from tqdm import tqdm

    value_and_grad = go.compile_value_and_grad(loss)
    optimizer = go.optim.adam(0.02)
    state = optimizer.init(params)
    losses: list[float] = []
    with tqdm(range(steps), unit="step", disable=quiet) as progress:
        for step in progress:
            # Far ends say little before the beginning is right.
            count = 10 if step < steps // 3 else len(TIMES)
            value, gradient = value_and_grad(params, starts, TIMES[:count], measured[:, :count])
            updates, state = optimizer.update(gradient, state, params)
            params = go.optim.apply_updates(params, updates)
            losses.append(float(value))
            progress.set_postfix(loss=f"{losses[-1]:.5f}", refresh=False)
    return params, losses


def save_picture(truth: Array, learnt: Array, losses: list[float], path: Path) -> None:
    """Plots swings that were not seen, true and learnt, and the loss."""
    figure, (left, right) = new_figure(1, 2, figsize=(11, 4))
    count = len(truth) // 2
    for i in range(min(count, 4)):
        left.plot(LATER, truth[i], f"C{i}", linewidth=4, alpha=0.3)
        left.plot(LATER, learnt[i], f"C{i}--")
    left.axvline(TIMES[-1], color="0.5", linestyle=":")
    left.set(xlabel="time (s)", ylabel="angle", title="new swings: true, and learnt (dashed)")
    right.semilogy(losses)
    right.set(xlabel="step", ylabel="mean square error")
    save_figure(figure, path)


def main() -> int:
    """Reads the command line, fits, reports and plots; the status says whether it is good."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--swings", type=integer(1), default=12)
    parser.add_argument("--steps", type=integer(1), default=300)
    add_common_options(parser, out="swings.png", shows="picture")
    arguments = parser.parse_args()
    check_output(arguments.out)

    rng = np.random.default_rng(arguments.seed)
    starts, others = rng.uniform(-1.5, 1.5, size=(2, 2 * arguments.swings))

    def true_swings(starts: Array, times: Array) -> Array:
        span = times[0], times[-1]
        return integrate.solve_ivp(pendulum, span, starts, t_eval=times, rtol=1e-9).y

    truth = true_swings(starts, TIMES)
    measured = truth + rng.normal(scale=NOISE, size=truth.shape)
    width = 16
    params = {
        "w1": rng.normal(size=(2, width)),
        "b1": np.zeros(width),
        "w2": rng.normal(size=(width, 2)) / width,
        "b2": np.zeros(2),
    }
    params, losses = fit(params, starts, measured, arguments.steps, arguments.quiet)
    new = true_swings(others, LATER)
    learnt = go.compile(swings)(params, others, LATER)
    error = float(np.sqrt(np.mean((learnt - new) ** 2) / np.mean(new**2)))
    print(f"loss {losses[0]:.4f} to {losses[-1]:.5f}, of which noise is {NOISE**2:.5f}")
    print(f"new swings are off by {error:.1%} of their size")
    save_picture(new, learnt, losses, arguments.out)
    if error > REQUIRED_ERROR:
        print("the pendulum was not learnt: more steps, or more swings?", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
