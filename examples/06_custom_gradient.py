# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Fits the orbit of a planet, with a derivative that is written by hand.

Where a planet is at a time follows from Kepler's equation, E - e sin(E) = M, which Newton's method
solves for E. Differentiating the iterations works, and costs as much as they do. But the solution
of an equation has a derivative that does not ask how it was found: dE = (dM + sin(E) de) /
(1 - e cos(E)). As rule of a `custom_jvp` it takes the place of the derivative of the loop; reverse
mode transposes it, the rest of the program is differentiated as ever, and the rule itself is
where a second derivative is asked for.
"""

from __future__ import annotations

import argparse
import sys
from typing import Any

import numpy as np
from scipy import optimize

import gradopt as go

STEPS = 12
TRUTH = np.array([0.6, 1.52, 0.4])  # eccentricity, size, phase


def newton(mean: Any, eccentricity: Any) -> Any:
    """Solves Kepler's equation for each mean anomaly."""
    anomaly = mean + 0.85 * eccentricity * np.sign(np.sin(mean))
    for _ in range(STEPS):
        error = anomaly - eccentricity * np.sin(anomaly) - mean
        anomaly = anomaly - error / (1 - eccentricity * np.cos(anomaly))
    return anomaly


kepler = go.custom_jvp(newton)


@kepler.defjvp
def kepler_jvp(primals: Any, tangents: Any) -> Any:
    """The derivative of the solution, from the equation that it solves."""
    (_, eccentricity), (mean_dot, eccentricity_dot) = primals, tangents
    anomaly = kepler(*primals)
    slope = 1 - eccentricity * np.cos(anomaly)
    return anomaly, (mean_dot + np.sin(anomaly) * eccentricity_dot) / slope


def positions(solve: Any, orbit: Any, times: Any) -> Any:
    """Coordinates in the plane of the orbit; the period is 1."""
    eccentricity, size, phase = orbit
    anomaly = solve(2 * np.pi * times + phase, eccentricity)
    x = size * (np.cos(anomaly) - eccentricity)
    y = size * np.sqrt(1 - eccentricity**2) * np.sin(anomaly)
    return x, y


def loss(solve: Any, orbit: Any, times: Any, seen: Any) -> Any:
    """Mean squared distance from where the planet was seen."""
    x, y = positions(solve, orbit, times)
    return np.mean((x - seen[0]) ** 2 + (y - seen[1]) ** 2)


def main() -> None:
    """Reads the command line, checks the rule, and fits the orbit."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--observations", type=int, default=200, help="from 10 up")
    parser.add_argument("--noise", type=float, default=0.02, help="of a coordinate")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    if arguments.observations < 10 or arguments.noise < 0 or arguments.seed < 0:
        parser.error("--observations is 10 or more, --noise and --seed 0 or more")

    rng = np.random.default_rng(arguments.seed)
    times = np.sort(rng.uniform(size=arguments.observations))
    seen = np.array(positions(newton, TRUTH, times))
    seen += arguments.noise * rng.normal(size=seen.shape)

    go.check_custom(kepler, (np.linspace(0.3, 5.8, 9), 0.6), order=2)
    print("rule: agrees with finite differences, and so does its derivative")

    guess = np.array([0.3, 1.0, 0.0])
    programs: dict[str, go.Compiled] = {}
    for name, solve in (("through the loop", newton), ("by the rule", kepler)):

        def objective(orbit: Any, times: Any, seen: Any, solve: Any = solve) -> Any:
            return loss(solve, tuple(orbit), times, seen)

        program = programs[name] = go.compile_value_and_grad(objective)
        memory = program.lower(guess, times, seen).memory()
        _, gradient = program(guess, times, seen)
        print(f"{name}: gradient {np.round(gradient, 6)}, arena {memory.arena / 1000:.1f} kB")

    fit = optimize.minimize(
        programs["by the rule"],
        guess,
        (times, seen),
        jac=True,
        bounds=[(0.0, 0.95), (0.1, None), (None, None)],
    )
    error = np.abs(fit.x - TRUTH)
    print(f"eccentricity, size, phase: {np.round(fit.x, 4)} (truth {TRUTH}), {fit.nit} iterations")
    tolerance = 1e-6 + 10 * arguments.noise / np.sqrt(arguments.observations)
    if not fit.success or error.max() > tolerance:
        sys.exit(f"the orbit is off by {error.max():.2g}, more than {tolerance:.2g}")


if __name__ == "__main__":
    main()
