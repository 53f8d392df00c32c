# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Moves a paddle so that it throws a ball to a height, with as little effort as possible.

While paddle and ball touch, a stiff spring with friction pushes the ball: a branch in the dynamics,
that the program takes or not at each step. The control is the acceleration of the paddle in 30
intervals. The ball is to be at rest at 1 m after one second, where it can be caught; the paddle
reaches up to 0.3 m. The cost is the mean square of the acceleration, with penalties for the miss
and for reaching too far that grow from stage to stage.
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
INTERVALS = 30
GRAVITY, STIFFNESS, FRICTION = 9.81, 1000.0, 20.0
DT = 0.0005
STEPS = 2000
HEIGHT, REACH = 1.0, 0.3
# How far from its place the ball may be (m), and how fast (m/s).
REQUIRED_MISS = 1e-3


def fly(accelerations: Any) -> Any:
    """Heights and speeds of ball and paddle at all steps."""
    states = np.zeros((STEPS + 1, 4))
    # The ball lies on the paddle.
    ball, paddle = -GRAVITY / STIFFNESS, 0.0
    ball_speed = paddle_speed = 0.0
    for i in range(STEPS):
        force = accelerations[i * INTERVALS // STEPS]
        depth = paddle - ball
        push = 0.0
        if depth > 0:
            push = STIFFNESS * depth + FRICTION * (paddle_speed - ball_speed)
            if push < 0:  # It does not stick.
                push = 0.0
        ball_speed += DT * (push - GRAVITY)
        paddle_speed += DT * force
        ball += DT * ball_speed
        paddle += DT * paddle_speed
        states[i + 1, 0] = ball
        states[i + 1, 1] = ball_speed
        states[i + 1, 2] = paddle
        states[i + 1, 3] = paddle_speed
    return states


def miss(states: Any) -> Any:
    """How far the ball is from where it should be at the end, and how fast."""
    return states[-1, :2] - np.array([HEIGHT, 0.0])


def cost(accelerations: Any, penalty: Any) -> Any:
    """The effort, and what a miss and reaching too far cost."""
    states = fly(accelerations)
    beyond = np.maximum(states[:, 2] - REACH, 0)
    return np.mean(accelerations**2) / 1000 + penalty * (
        np.sum(miss(states) ** 2) + 10 * np.mean(beyond**2)
    )


def plan(stages: int, quiet: bool) -> tuple[Array, list[float]]:
    """The accelerations, and the cost in all evaluations."""
    from tqdm import tqdm

    value_and_grad = go.compile_value_and_grad(cost)
    accelerations = np.zeros(INTERVALS)
    accelerations[: INTERVALS // 3] = 12.0
    costs: list[float] = []
    for penalty in tqdm(10.0 * 3.0 ** np.arange(stages), unit="stage", disable=quiet):

        def evaluate(x: Array, penalty: float = float(penalty)) -> tuple[float, Array]:
            value, gradient = value_and_grad(x, penalty)
            costs.append(float(value))
            return float(value), gradient

        found = optimize.minimize(
            evaluate,
            accelerations,
            jac=True,
            method="L-BFGS-B",
            options={"maxiter": 1000, "maxfun": 2000},
        )
        accelerations = found.x
    return accelerations, costs


def save_picture(states: Array, accelerations: Array, path: Path) -> None:
    """Plots heights and control."""
    figure, (upper, lower) = new_figure(2, 1, figsize=(8, 6), sharex=True)
    times = DT * np.arange(len(states))
    upper.plot(times, states[:, 0], label="ball")
    upper.plot(times, states[:, 2], label="paddle")
    upper.axhline(HEIGHT, color="0.6", linestyle=":")
    upper.set(ylabel="height (m)", title="a throw that ends at rest")
    upper.legend()
    lower.stairs(accelerations, np.linspace(0, DT * STEPS, INTERVALS + 1))
    lower.set(xlabel="time (s)", ylabel="acceleration of the paddle (m/s²)")
    save_figure(figure, path)


def main() -> int:
    """Reads the command line, plans, reports and plots; the status says whether it is good."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--stages", type=integer(1), default=10, help="of the penalty")
    add_common_options(parser, out="control.png", shows="picture")
    arguments = parser.parse_args()
    check_output(arguments.out)

    accelerations, costs = plan(arguments.stages, arguments.quiet)
    states = go.compile(fly)(accelerations)
    off = float(np.max(np.abs(miss(states))))
    contacts = np.mean(states[:, 2] > states[:, 0])
    print(f"{len(costs)} evaluations, effort {np.sqrt(np.mean(accelerations**2)):.3f} m/s²")
    print(f"ball and paddle touch for {100 * contacts:.0f}% of the time")
    print(f"the paddle reaches up to {np.max(states[:, 2]):.3f} m")
    print(f"the ball misses by {off:.6f} (m, m/s)")
    save_picture(states, accelerations, arguments.out)
    if off > REQUIRED_MISS:
        print("the ball misses its place: more stages?", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
