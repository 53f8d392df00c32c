# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Fits a noisy oscillator by the likelihood that a Kalman filter gives.

A state of two numbers turns, is damped and is pushed by noise; one of them is measured, with noise,
and some measurements are missing. The filter is a Python loop over the measurements, with a branch
for the missing ones. The likelihood is maximised by its compiled gradient, and the inverse of its
compiled Hessian says how sure the parameters are.
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
NAMES = ("turn", "damping", "push", "noise")
TRUTH = np.array([0.30, 0.97, 0.20, 0.50])
GUESS = np.array([0.50, 0.90, 0.50, 1.00])
BOUNDS = [(0.05, 1.5), (0.5, 0.999), (0.02, 5.0), (0.05, 5.0)]
# Of the standard errors, how far a parameter may be off.
REQUIRED_ERRORS = 4.0


def transition(params: Any) -> Any:
    """The matrix from a state to the next one."""
    turn, damping = params[0], params[1]
    c, s = damping * np.cos(turn), damping * np.sin(turn)
    return np.array([[c, s], [-s, c]])


def filtered(params: Any, seen: Any, there: Any) -> Any:
    """Minus the logarithm of the likelihood, and the states that the filter expects."""
    a = transition(params)
    push, noise = params[2] ** 2 * np.eye(2), params[3] ** 2
    state, covariance = np.zeros(2), 10 * np.eye(2)
    states = np.zeros((len(seen), 2))
    cost = 0.0
    for t in range(len(seen)):
        state = a @ state
        covariance = a @ covariance @ a.T + push
        if there[t]:
            surprise = seen[t] - state[0]
            variance = covariance[0, 0] + noise
            gain = covariance[:, 0] / variance
            cost += 0.5 * (np.log(2 * np.pi * variance) + surprise**2 / variance)
            state = state + gain * surprise
            covariance = covariance - np.outer(gain, covariance[0])
        states[t] = state
    return cost, states


def cost(params: Any, seen: Any, there: Any) -> Any:
    """Minus the logarithm of the likelihood."""
    return filtered(params, seen, there)[0]


def measure(count: int, rng: np.random.Generator) -> tuple[Array, Array, NDArray[np.bool_]]:
    """True states, measurements, and which of these there are."""
    states = np.zeros((count, 2))
    state = np.zeros(2)
    for t in range(count):
        state = transition(TRUTH) @ state + TRUTH[2] * rng.normal(size=2)
        states[t] = state
    there = rng.random(count) > 0.15
    there[count // 2 : count // 2 + 20] = False
    return states, states[:, 0] + TRUTH[3] * rng.normal(size=count), there


def fit(seen: Array, there: Any, quiet: bool) -> Array:
    """The most likely parameters."""
    from tqdm import tqdm

    value_and_grad = go.compile_value_and_grad(cost)
    with tqdm(unit="evaluation", disable=quiet) as progress:

        def evaluate(params: Array) -> tuple[float, Array]:
            value, gradient = value_and_grad(params, seen, there)
            progress.update()
            progress.set_postfix(cost=f"{value:.3f}", refresh=False)
            return float(value), gradient

        found = optimize.minimize(
            evaluate, GUESS, jac=True, method="L-BFGS-B", bounds=BOUNDS, options={"ftol": 1e-12}
        )
    return found.x


def save_picture(truth: Array, seen: Array, there: Any, states: Array, path: Path) -> None:
    """Plots measurements, and true and filtered states, around the gap."""
    figure, axes = new_figure(figsize=(10, 4))
    shown = slice(len(seen) // 2 - 100, len(seen) // 2 + 100)
    times = np.arange(len(seen))[shown]
    axes.plot(times[there[shown]], seen[shown][there[shown]], ".", color="0.6", label="measured")
    axes.plot(times, truth[shown, 0], color="0.3", linewidth=1, label="true")
    axes.plot(times, states[shown, 0], label="filtered")
    axes.set(xlabel="time", title="a noisy oscillator, with a gap")
    axes.legend()
    save_figure(figure, path)


def main() -> int:
    """Reads the command line, fits, reports and plots; the status says whether it is good."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--measurements", type=integer(200), default=2000)
    add_common_options(parser, out="kalman.png", shows="picture")
    arguments = parser.parse_args()
    check_output(arguments.out)

    rng = np.random.default_rng(arguments.seed)
    truth, seen, there = measure(arguments.measurements, rng)
    params = fit(seen, there, arguments.quiet)
    hessian = go.compile_hessian(cost)(params, seen, there)
    errors = np.sqrt(np.diagonal(np.linalg.inv(hessian)))
    for name, value, error, true in zip(NAMES, params, errors, TRUTH, strict=True):
        print(f"{name:8} {value:8.5f} +- {error:.5f}  (truth {true})")
    _, states = go.compile(filtered)(params, seen, there)
    rms = np.sqrt(np.mean((states - truth)[:, 0] ** 2))
    print(f"error of the filtered state {rms:.3f}, of a measurement {TRUTH[3]}")
    off = float(np.max(np.abs(params - TRUTH) / errors))
    print(f"off by at most {off:.1f} standard errors")
    save_picture(truth, seen, there, states, arguments.out)
    if off > REQUIRED_ERRORS:
        print("the fit is off", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
