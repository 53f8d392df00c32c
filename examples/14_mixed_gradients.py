# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Trains one network twice: with gradients all automatic, and mixed with ones written by hand.

The first network is plain NumPy. The second one is made of parts of `gradopt.nn`, of which two have
derivatives of their own: the linear map, and the cross entropy, whose gradient is the probabilities
minus the labels. What is between them is differentiated as ever. Parameters are the same tables
of arrays, and so are gradients, but for rounding, at each of the steps.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from shared import add_common_options, check_output, integer, load_digits, new_figure, save_figure

import gradopt as go
from gradopt import nn, optim

REQUIRED_ACCURACY = 0.95
TOLERANCE = 1e-11  # Of the largest number; the probabilities less the labels round to 1e-16.


def automatic_loss(params: Any, x: Any, y: Any) -> Any:
    """Cross entropy of the rows of x and the one-hot rows of y."""
    W, b = params["W"], params["b"]
    h1 = np.tanh(x @ W[0] + b[0])
    h2 = np.tanh(h1 @ W[1] + b[1])
    h3 = h2 @ W[2] + b[2]
    yhat = h3 - np.log(np.sum(np.exp(h3), axis=1, keepdims=True))
    return -np.sum(yhat * y) / len(x)


linear = go.custom_vjp(nn.linear)


def linear_fwd(x: Any, w: Any, b: Any) -> tuple[Any, Any]:
    """The linear map, and what its derivative needs."""
    return linear(x, w, b), (x, w)


def linear_bwd(saved: Any, g: Any) -> tuple[Any, Any, Any]:
    """Cotangents of x, w and b."""
    x, w = saved
    return g @ w.T, x.T @ g, np.sum(g, axis=0)


linear.defvjp(linear_fwd, linear_bwd)


@go.custom_vjp
def cross_entropy(scores: Any, y: Any) -> Any:
    """Cross entropy of softmax and one-hot rows."""
    return nn.cross_entropy_loss(scores, y)


def cross_entropy_fwd(scores: Any, y: Any) -> tuple[Any, Any]:
    """The loss, and what its derivative needs."""
    return cross_entropy(scores, y), (scores, y)


def cross_entropy_bwd(saved: Any, g: Any) -> tuple[Any, Any]:
    """Cotangents of scores and labels."""
    scores, y = saved
    logs = nn.log_softmax(scores)
    return g * (np.exp(logs) - y) / len(y), -g * logs / len(y)


cross_entropy.defvjp(cross_entropy_fwd, cross_entropy_bwd)


def mixed_loss(params: Any, x: Any, y: Any) -> Any:
    """The same as `automatic_loss`, of parts."""
    W, b = params["W"], params["b"]
    h1 = nn.tanh(linear(x, W[0], b[0]))
    h2 = nn.tanh(linear(h1, W[1], b[1]))
    return cross_entropy(linear(h2, W[2], b[2]), y)


def initial_parameters(generator: np.random.Generator, hidden: int) -> dict[str, Any]:
    """Weights that keep the variance of their inputs, and biases of zero."""
    sizes = (64, hidden, hidden, 10)
    return {
        "W": [generator.normal(size=(m, n)) / np.sqrt(m) for m, n in pairwise(sizes)],
        "b": [np.zeros(n) for n in sizes[1:]],
    }


def make_step(loss: Callable[..., Any], optimizer: optim.GradientTransformation) -> go.Compiled:
    """A step of training with a loss."""

    @go.compile
    def step(params: Any, state: Any, x: Any, y: Any) -> Any:
        value, gradient = go.value_and_grad(loss)(params, x, y)
        updates, state = optimizer.update(gradient, state, params)
        return value, gradient, optim.apply_updates(params, updates), state

    return step


def difference(one: Any, other: Any) -> float:
    """The largest difference of two tables of arrays, as a part of the largest number there."""
    pairs = [pair for name in one for pair in zip(one[name], other[name], strict=True)]
    largest = max(np.max(np.abs(a)) for a, _ in pairs)
    return float(max(np.max(np.abs(a - b)) for a, b in pairs) / largest)


def save_curves(losses: list[float], differences: list[float], path: Path) -> None:
    """Plots the loss, and how far the gradients are apart."""
    figure, (left, right) = new_figure(1, 2, figsize=(9, 3.5))
    left.plot(losses, linewidth=0.7)
    left.set(xlabel="step", ylabel="loss", title="both networks")
    right.semilogy(differences, linewidth=0.7)
    right.axhline(TOLERANCE, color="0.3", linestyle=":", label="allowed")
    right.set(xlabel="step", ylabel="relative difference", title="gradients")
    right.legend()
    save_figure(figure, path)


def train(arguments: argparse.Namespace) -> int:
    """Trains both, compares and plots; the exit status says whether all is well."""
    from tqdm import tqdm

    generator = np.random.default_rng(arguments.seed)
    (images, labels), (held_out_images, held_out_labels) = load_digits(generator)
    one_hot = np.eye(10)[labels]
    size = min(arguments.batch_size, len(images))

    x, w, b = (generator.normal(size=shape) for shape in ((3, 4), (4, 2), (2,)))
    go.check_custom(linear, (x, w, b), order=2)
    go.check_custom(cross_entropy, (x, np.eye(4)[:3]), order=2)
    print("rules: agree with finite differences, and so do their derivatives")

    optimizer = optim.sgd(arguments.learning_rate, momentum=0.9)
    steps = {name: make_step(loss, optimizer) for name, loss in LOSSES.items()}
    params = initial_parameters(generator, arguments.hidden)
    state = optimizer.init(params)
    for name, step in steps.items():
        start = time.perf_counter()
        step(params, state, images[:size], one_hot[:size])
        print(f"{name}: first call {time.perf_counter() - start:.2f} s")

    losses: list[float] = []
    differences: list[float] = []
    for _ in tqdm(range(arguments.steps), unit="step", disable=arguments.quiet):
        batch = generator.permutation(len(images))[:size]
        results = [step(params, state, images[batch], one_hot[batch]) for step in steps.values()]
        differences.append(difference(results[0][1], results[1][1]))
        value, _, params, state = results[len(losses) % 2]
        losses.append(float(value))
    print(f"gradients differ by at most {max(differences):.1e} in {len(losses)} steps")

    def right(params: Any) -> Any:
        hidden = held_out_images
        for w, b in zip(params["W"][:-1], params["b"][:-1], strict=True):
            hidden = np.tanh(hidden @ w + b)
        scores = hidden @ params["W"][-1] + params["b"][-1]
        return np.argmax(scores, axis=1) == held_out_labels

    accuracy = float(np.mean(right(params)))
    print(f"accuracy on {len(held_out_labels)} held-out images: {accuracy:.1%}")
    save_curves(losses, differences, arguments.out)
    if max(differences) > TOLERANCE:
        print(f"the gradients differ by more than {TOLERANCE}", file=sys.stderr)
        return 1
    if accuracy < REQUIRED_ACCURACY:
        print(f"the accuracy is below {REQUIRED_ACCURACY:.0%}: train longer?", file=sys.stderr)
        return 1
    return 0


LOSSES = {"automatic": automatic_loss, "mixed": mixed_loss}


def main() -> int:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--steps", type=integer(1), default=1000)
    parser.add_argument("--batch-size", type=integer(1), default=32)
    parser.add_argument("--hidden", type=integer(1), default=64, help="width of hidden layers")
    parser.add_argument("--learning-rate", type=float, default=0.1)
    add_common_options(parser, out="mixed_gradients.png", shows="the curves")
    arguments = parser.parse_args()
    check_output(arguments.out)
    return train(arguments)


if __name__ == "__main__":
    sys.exit(main())
