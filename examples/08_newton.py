# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Logistic regression by Newton's method, on scikit-learn's breast cancer data.

Loss, gradient and Hessian are one compiled program; the Hessian is forward over reverse mode,
mapped over a basis. Near the minimum Newton's steps square the error, so that few reach the last
digit. And the Hessian says how certain the weights are: its inverse is their covariance.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from shared import add_common_options, check_output, integer, new_figure, save_figure

import gradopt as go

Array = NDArray[np.float64]
REQUIRED_ACCURACY = 0.95
REQUIRED_GRADIENT = 1e-12


def loss(weights: Array, x: Array, y: Array, decay: float) -> Any:
    """Minus the logarithm of the posterior of the weights.

    Args:
        weights: one for each feature, and the offset.
        x: features, shape (n, d).
        y: 1 or -1, shape (n,).
        decay: inverse variance of the prior of the weights; the offset has none.
    """
    margins = y * (x @ weights[:-1] + weights[-1])
    return np.sum(np.logaddexp(0, -margins)) + decay / 2 * np.sum(weights[:-1] ** 2)


@go.compile
def derivatives(weights: Array, x: Array, y: Array, decay: float) -> Any:
    """Loss, gradient and Hessian."""
    value, gradient = go.value_and_grad(loss)(weights, x, y, decay)
    return value, gradient, go.hessian(loss)(weights, x, y, decay)


def load_data(seed: int) -> tuple[tuple[Array, Array], tuple[Array, Array], list[str]]:
    """569 tumours with 30 features each: 70 % to fit, 30 % held out; y is 1 if benign, else -1."""
    try:
        from sklearn import datasets
    except ImportError:
        sys.exit("this example needs scikit-learn: pip install 'gradopt[demo]'")
    data: Any = datasets.load_breast_cancer()
    order = np.random.default_rng(seed).permutation(len(data.data))
    fitted, held_out = np.split(order, [len(order) * 7 // 10])
    x = (data.data - data.data[fitted].mean(axis=0)) / data.data[fitted].std(axis=0)
    y = 2.0 * data.target - 1
    return (x[fitted], y[fitted]), (x[held_out], y[held_out]), list(data.feature_names)


def save_picture(
    norms: list[float], weights: Array, errors: Array, names: list[str], path: Path
) -> None:
    """Plots the gradient after each step, and the weights with their standard errors."""
    figure, (left, right) = new_figure(1, 2, figsize=(11, 6), width_ratios=(2, 3))
    left.semilogy(norms, marker="o")
    left.set(xlabel="step", ylabel="largest element of the gradient", title="Newton's method")
    order = np.argsort(weights[:-1])
    right.errorbar(weights[order], np.arange(len(order)), xerr=errors[order], fmt="o", capsize=2)
    right.set_yticks(np.arange(len(order)), [names[i] for i in order], fontsize=7)
    right.axvline(0, color="0.7", linewidth=0.8)
    right.set(xlabel="weight and standard error", title="What speaks for a benign tumour")
    save_figure(figure, path)


def main() -> int:
    """Reads the command line, fits, reports and plots; the status says whether it is good."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--steps", type=integer(1), default=12, help="at most")
    parser.add_argument("--decay", type=float, default=1.0, help="inverse variance of the prior")
    add_common_options(parser, out="newton.png", shows="picture")
    arguments = parser.parse_args()
    if arguments.decay <= 0:
        parser.error("--decay is positive: the data can be separated")
    check_output(arguments.out)

    from tqdm import tqdm

    (x, y), (held_out_x, held_out_y), names = load_data(arguments.seed)
    weights = np.zeros(x.shape[1] + 1)
    start = time.perf_counter()
    derivatives(weights, x, y, arguments.decay)
    print(f"first call, from NumPy to machine code: {time.perf_counter() - start:.2f} s")

    norms: list[float] = []
    start = time.perf_counter()
    progress = tqdm(range(arguments.steps), unit="step", disable=arguments.quiet)
    for _ in progress:
        value, gradient, hessian = derivatives(weights, x, y, arguments.decay)
        norms.append(float(np.max(np.abs(gradient))))
        progress.set_postfix(loss=f"{value:.6f}", gradient=f"{norms[-1]:.1e}")
        if norms[-1] < REQUIRED_GRADIENT:
            progress.close()
            break
        weights -= np.linalg.solve(hessian, gradient)
    seconds = time.perf_counter() - start
    print(f"{len(norms)} evaluations in {seconds * 1e3:.1f} ms; gradients:")
    print("  " + " ".join(f"{norm:.0e}" for norm in norms))

    errors = np.sqrt(np.diagonal(np.linalg.inv(hessian)))
    accuracy = float(np.mean(np.sign(held_out_x @ weights[:-1] + weights[-1]) == held_out_y))
    strongest = int(np.argmax(np.abs(weights[:-1]) / errors[:-1]))
    weight, error = weights[strongest], errors[strongest]
    print(f"strongest evidence: {names[strongest]}, weight {weight:.2f} +- {error:.2f}")
    print(f"accuracy on {len(held_out_y)} held-out tumours: {accuracy:.1%}")
    save_picture(norms, weights, errors, names, arguments.out)
    if norms[-1] >= REQUIRED_GRADIENT or accuracy < REQUIRED_ACCURACY:
        print(
            f"the gradient is not below {REQUIRED_GRADIENT:.0e}, or the accuracy below "
            f"{REQUIRED_ACCURACY:.0%}: more steps?",
            file=sys.stderr,
        )
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
