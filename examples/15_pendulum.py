# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Weighs the forces on a pendulum from its swings, through an adaptive solver.

Where the pendulum is follows from its equation, y'' = -a sin(y) - b y' - c y' |y'|, which
`go.odeint` solves in as many steps as the error allows: a `while_loop`. The gradient of the loss
goes back through the steps. What is fitted are a (gravity by length), the friction b and drag c,
and how it started, from noisy angles. No package ships such measurements: they are made here with a
solver of SciPy's, a method of order 8 with a tolerance of 1e-12.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import integrate, optimize
from shared import add_common_options, check_output, integer, new_figure, save_figure

import gradopt as go

Array = NDArray[np.float64]
# Gravity by length (1/s^2), friction (1/s), drag, first angle, first speed (1/s).
NAMES = ("gravity", "friction", "drag", "angle", "speed")
TRUTH = np.array([12.0, 0.05, 0.03, 2.6, 0.5])
GUESS = np.array([10.0, 0.1, 0.0, 2.2, 0.0])
# Friction that drives would make the pendulum faster without end, and the solver fail.
BOUNDS = [(1.0, 100.0), (0.0, 1.0), (0.0, 1.0), (-3.0, 3.0), (-10.0, 10.0)]
# Of the standard errors, how far a parameter may be off.
REQUIRED_ERRORS = 4.0


def swing(y: Any, _: Any, forces: Any) -> Any:
    """The derivative of angle and speed."""
    angle, speed = y
    gravity, friction, drag = forces
    pull = -gravity * np.sin(angle) - friction * speed - drag * speed * np.abs(speed)
    return np.stack([speed, pull])


def angles(params: Any, times: Array, gradient: Any = "steps") -> Any:
    """The angle at each of the times."""
    return go.odeint(swing, params[3:], times, params[:3], gradient=gradient)[:, 0]


def loss(params: Any, times: Array, seen: Array, gradient: Any = "steps") -> Any:
    """Mean squared error of the angles."""
    return np.mean((angles(params, times, gradient) - seen) ** 2)


def measure(times: Array, noise: float, rng: np.random.Generator) -> tuple[Array, Array]:
    """The true angles, and the measured ones."""
    solution = integrate.solve_ivp(
        lambda t, y: swing(y, t, TRUTH[:3]),
        (times[0], times[-1]),
        TRUTH[3:],
        method="DOP853",
        t_eval=times,
        rtol=1e-12,
        atol=1e-12,
    )
    return solution.y[0], solution.y[0] + noise * rng.normal(size=len(times))


def fit(times: Array, seen: Array, quiet: bool) -> Array:
    """The parameters that explain the angles: of a first part of the time, then of more and more.

    Over a long time, a wrong period goes out of step, and the loss has many minima.
    """
    from tqdm import tqdm

    value_and_grad = go.compile_value_and_grad(loss)
    params = GUESS
    progress = tqdm([25, 75, len(times)], unit="part", disable=quiet)
    for count in progress:
        count = min(count, len(times))
        found = optimize.minimize(
            value_and_grad,
            params,
            (times[:count], seen[:count]),
            jac=True,
            method="L-BFGS-B",
            bounds=BOUNDS,
            options={"ftol": 1e-14, "gtol": 1e-8, "maxiter": 500},
        )
        params = found.x
        progress.set_postfix(error=f"{np.sqrt(found.fun):.4f}", refresh=False)
    return params


def save_picture(times: Array, truth: Array, seen: Array, found: Array, path: Path) -> None:
    """Plots the angles, and how far the fitted ones are off."""
    figure, (upper, lower) = new_figure(2, 1, figsize=(9, 5), sharex=True, height_ratios=(3, 1))
    upper.plot(times[: len(seen)], seen, ".", color="0.6", markersize=3, label="measured")
    upper.plot(times, found, label="fitted, and predicted")
    upper.axvline(times[len(seen) - 1], color="0.3", linestyle=":", label="end of the measurement")
    upper.set(ylabel="angle", title="A pendulum with friction and drag")
    upper.legend(loc="upper right")
    lower.semilogy(times, np.abs(found - truth) + 1e-9)
    lower.set(xlabel="time (s)", ylabel="error")
    save_figure(figure, path)


def main() -> int:
    """Reads the command line, fits, reports and plots; the status says whether it is good."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--measurements", type=integer(50), default=300)
    parser.add_argument("--noise", type=float, default=0.05, help="of an angle")
    add_common_options(parser, out="pendulum.png", shows="picture")
    arguments = parser.parse_args()
    if arguments.noise <= 0:
        parser.error("--noise is positive")
    check_output(arguments.out)

    count = arguments.measurements
    times = 0.05 * np.arange(2 * count)
    rng = np.random.default_rng(arguments.seed)
    truth, seen = measure(times, arguments.noise, rng)
    times_seen, seen = times[:count], seen[:count]

    for way in ("steps", "adjoint"):
        program = go.compile_value_and_grad(lambda *args, way=way: loss(*args, way))
        program(TRUTH, times_seen, seen)
        start = time.perf_counter()
        _, gradient = program(TRUTH, times_seen, seen)
        seconds = time.perf_counter() - start
        arena = program.lower(TRUTH, times_seen, seen).memory().arena
        print(
            f"gradient by the {way}: {np.round(gradient, 5)}, {seconds * 1e6:.0f} us, "
            f"arena {arena / 1000:.0f} kB"
        )

    params = fit(times_seen, seen, arguments.quiet)
    slopes = go.compile_jacobian(angles, mode="fwd")(params, times_seen)
    errors = arguments.noise * np.sqrt(np.diagonal(np.linalg.inv(slopes.T @ slopes)))
    for name, value, error, true in zip(NAMES, params, errors, TRUTH, strict=True):
        print(f"{name:9} {value:9.5f} +- {error:.5f}  (truth {true})")
    found = go.compile(angles)(params, times)
    later = np.sqrt(np.mean((found - truth)[count:] ** 2))
    print(f"error of angles after the measurement: {later:.4f}, of a measurement {arguments.noise}")
    save_picture(times, truth, seen, found, arguments.out)
    off = np.max(np.abs(params - TRUTH) / errors)
    if off > REQUIRED_ERRORS or later > arguments.noise:
        print(f"the fit is off, by {off:.1f} standard errors", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
