# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Trains a two-layer network on scikit-learn's handwritten digits.

The model is plain NumPy and its parameters are a dictionary of lists of arrays.
`compile_value_and_grad` turns the loss into one native function that returns the loss and
its gradient in that same structure; stochastic gradient descent with momentum is plain
NumPy again. `--show adjoint` prints what the compiler makes of the loss at that stage.
"""

from __future__ import annotations

import argparse
import signal
import sys
import time
from itertools import pairwise
from pathlib import Path
from typing import Any, TypedDict

import numpy as np
from numpy.typing import NDArray
from shared import add_common_options, check_output, integer, load_digits, new_figure, save_figure

import gradopt as go

Array = NDArray[np.float64]
STAGES = ("grad", "adjoint", "simplified", "linalg", "bufferized", "llvm", "asm")
REQUIRED_ACCURACY = 0.95


class Parameters(TypedDict):
    """Weights and biases, one of each for a layer."""

    W: list[Array]
    b: list[Array]


def predict(params: Parameters, x: Array) -> Array:
    """Logarithms of the probabilities of the ten digits, for each row of x."""
    W, b = params["W"], params["b"]
    h1 = np.tanh(x @ W[0] + b[0])
    h2 = np.tanh(h1 @ W[1] + b[1])
    return h2 - np.log(np.sum(np.exp(h2), axis=1, keepdims=True))


def loss(params: Parameters, x: Array, y: Array) -> Any:
    """Cross-entropy between the prediction and the one-hot rows of y, summed."""
    yhat = predict(params, x)
    return -np.sum(yhat * y)


def initial_parameters(generator: np.random.Generator, hidden: int) -> Parameters:
    """Weights that keep the variance of their inputs, and biases of zero."""
    sizes = (64, hidden, 10)
    return {
        "W": [generator.normal(size=(m, n)) / np.sqrt(m) for m, n in pairwise(sizes)],
        "b": [np.zeros(n) for n in sizes[1:]],
    }


def show(lowered: go.Lowered, stage: str) -> None:
    """Prints the program as it is after one stage of the compiler."""
    print(lowered.asm() if stage == "asm" else lowered.mlir(stage))


def save_curve(losses: list[float], batches_per_epoch: int, path: Path) -> None:
    """Plots the loss of each mini-batch."""
    epochs = np.arange(len(losses)) / batches_per_epoch
    means = np.reshape(losses, (-1, batches_per_epoch)).mean(axis=1)
    # tanh keeps the scores in [-1, 1], so the loss of an image cannot go below this.
    bound = np.log(np.e + 9 / np.e) - 1
    figure, axes = new_figure(figsize=(7, 4))
    axes.plot(epochs, losses, color="0.75", linewidth=0.7, label="mini-batch")
    axes.plot(np.arange(len(means)) + 0.5, means, label="epoch")
    axes.axhline(bound, color="0.3", linestyle=":", label="least possible")
    axes.set(xlabel="epoch", ylabel="loss per image", title="Handwritten digits")
    axes.legend()
    save_figure(figure, path)


def train(arguments: argparse.Namespace) -> int:
    """Trains, reports and plots; the exit status says whether the network is good."""
    generator = np.random.default_rng(arguments.seed)
    (images, labels), (held_out_images, held_out_labels) = load_digits(generator)
    params = initial_parameters(generator, arguments.hidden)
    velocity: Parameters = {
        "W": [np.zeros_like(w) for w in params["W"]],
        "b": [np.zeros_like(b) for b in params["b"]],
    }
    one_hot = np.eye(10)[labels]
    size = min(arguments.batch_size, len(images))
    batches = len(images) // size

    value_and_grad = go.compile_value_and_grad(loss)
    if arguments.show:
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # End quietly under `| head`.
        lowered = value_and_grad.lower(params, images[:size], one_hot[:size])
        for stage in arguments.show:
            show(lowered, stage)
        return 0

    from tqdm import tqdm

    start = time.perf_counter()
    value_and_grad(params, images[:size], one_hot[:size])
    print(f"first call, from NumPy to machine code: {time.perf_counter() - start:.2f} s")

    losses: list[float] = []
    start = time.perf_counter()
    progress = tqdm(range(arguments.epochs), unit="epoch", disable=arguments.quiet)
    for _ in progress:
        # The last, smaller batch of an epoch is left out; another shuffle brings its images back.
        for batch in generator.permutation(len(images))[: batches * size].reshape(batches, size):
            value, gradient = value_and_grad(params, images[batch], one_hot[batch])
            losses.append(float(value) / size)
            for name in ("W", "b"):
                for p, v, g in zip(params[name], velocity[name], gradient[name], strict=True):
                    v *= arguments.momentum
                    v -= arguments.learning_rate / size * g
                    p += v
        progress.set_postfix(loss=f"{np.mean(losses[-batches:]):.4f}", refresh=False)
    seconds = time.perf_counter() - start
    print(f"{len(losses)} steps in {seconds:.2f} s, {seconds / len(losses) * 1e6:.0f} us each")

    probabilities = go.compile(predict)(params, held_out_images)
    accuracy = float(np.mean(np.argmax(probabilities, axis=1) == held_out_labels))
    print(f"accuracy on {len(held_out_labels)} held-out images: {accuracy:.1%}")
    save_curve(losses, batches, arguments.out)
    if accuracy < REQUIRED_ACCURACY:
        print(f"the accuracy is below {REQUIRED_ACCURACY:.0%}: train longer?", file=sys.stderr)
        return 1
    return 0


def main() -> int:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--epochs", type=integer(1), default=30)
    parser.add_argument("--batch-size", type=integer(1), default=32)
    parser.add_argument("--hidden", type=integer(1), default=64, help="width of the hidden layer")
    parser.add_argument("--learning-rate", type=float, default=0.1, help="for the mean loss")
    parser.add_argument("--momentum", type=float, default=0.9)
    add_common_options(parser, out="digits_loss.png", shows="loss curve")
    parser.add_argument(
        "--show",
        nargs="+",
        choices=STAGES,
        metavar="STAGE",
        help="print the program after these stages instead of training: " + ", ".join(STAGES),
    )
    arguments = parser.parse_args()
    if not arguments.show:
        check_output(arguments.out)
    return train(arguments)


if __name__ == "__main__":
    sys.exit(main())
