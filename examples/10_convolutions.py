# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Trains a convolutional network on scikit-learn's handwritten digits.

The network is a list of layers, its parameters are nested dictionaries. A step is one compiled
function: loss, gradient, AdamW's update, and the running means of batch normalisation, which are
handed from step to step.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from shared import (
    Digits,
    add_common_options,
    check_output,
    integer,
    load_digits,
    new_figure,
    save_figure,
)

import gradopt as go
from gradopt import nn, optim

REQUIRED_ACCURACY = 0.985

MODEL = nn.Sequential(
    nn.Conv2d(1, 16, 3, padding="same", bias=False, dtype=np.float32),
    nn.BatchNorm(16, dtype=np.float32),
    nn.relu,
    nn.MaxPool2d(2),
    nn.Conv2d(16, 32, 3, padding="same", bias=False, dtype=np.float32),
    nn.BatchNorm(32, dtype=np.float32),
    nn.relu,
    nn.MaxPool2d(2),
    nn.Flatten(),
    nn.Dropout(0.3),
    nn.Linear(128, 10, dtype=np.float32),
)


def loss(params: Any, state: Any, images: Any, labels: Any, key: Any) -> tuple[Any, Any]:
    """Cross entropy of a batch, and the next running means."""
    logits, state = MODEL(params, images, key, state=state, training=True)
    return nn.cross_entropy_loss(logits, labels, label_smoothing=0.05), state


@go.compile
def predict(params: Any, state: Any, images: Any) -> Any:
    """The digit on each image."""
    logits, _ = MODEL(params, images, state=state, training=False)
    return np.argmax(logits, axis=1)


def load(generator: np.random.Generator) -> tuple[Digits, Digits]:
    """Images with one channel, in single precision, to train with and to be held out."""
    train, held_out = (
        (np.reshape(images, (-1, 1, 8, 8)).astype(np.float32), labels)
        for images, labels in load_digits(generator)
    )
    return train, held_out


def save_curves(losses: list[float], accuracies: list[float], path: Path) -> None:
    """Plots the loss of each mini-batch, and the accuracy after each epoch."""
    figure, (left, right) = new_figure(1, 2, figsize=(9, 3.5))
    epochs = np.arange(len(losses)) / len(losses) * len(accuracies)
    left.plot(epochs, losses, linewidth=0.7)
    left.set(xlabel="epoch", ylabel="loss", title="mini-batches")
    right.plot(np.arange(len(accuracies)) + 1, [100 * x for x in accuracies])
    right.axhline(100 * REQUIRED_ACCURACY, color="0.3", linestyle=":", label="required")
    right.set(xlabel="epoch", ylabel="accuracy (%)", title="held-out images")
    right.legend()
    save_figure(figure, path)


def train(arguments: argparse.Namespace) -> int:
    """Trains, reports and plots; the exit status says whether the network is good."""
    from tqdm import tqdm

    generator = np.random.default_rng(arguments.seed)
    (images, labels), (held_out_images, held_out_labels) = load(generator)
    size = min(arguments.batch_size, len(images))
    batches = len(images) // size
    steps = arguments.epochs * batches
    optimizer = optim.adamw(
        optim.cosine_decay_schedule(arguments.learning_rate, steps), weight_decay=1e-4
    )

    def update(params: Any, state: Any, moments: Any, images: Any, labels: Any, key: Any) -> Any:
        (value, state), gradient = go.value_and_grad(loss, has_aux=True)(
            params, state, images, labels, key
        )
        updates, moments = optimizer.update(gradient, moments, params)
        return value, optim.apply_updates(params, updates), state, moments

    step = go.compile(update, donate_argnums=(0, 1, 2))  # In place.
    first, second = go.random.split(go.random.key(arguments.seed))
    params, state = MODEL.init(first), MODEL.init_state()
    moments = optimizer.init(params)

    start = time.perf_counter()
    _, params, state, moments = step(params, state, moments, images[:size], labels[:size], second)
    print(f"first call, from NumPy to machine code: {time.perf_counter() - start:.2f} s")

    losses: list[float] = []
    accuracies: list[float] = []
    seconds = 0.0
    progress = tqdm(range(arguments.epochs), unit="epoch", disable=arguments.quiet)
    for _ in progress:
        start = time.perf_counter()
        for batch in generator.permutation(len(images))[: batches * size].reshape(batches, size):
            key = go.random.fold_in(second, len(losses))
            value, params, state, moments = step(
                params, state, moments, images[batch], labels[batch], key
            )
            losses.append(float(value))
        seconds += time.perf_counter() - start
        right = predict(params, state, held_out_images) == held_out_labels
        accuracies.append(float(np.mean(right)))
        progress.set_postfix(accuracy=f"{accuracies[-1]:.1%}", refresh=False)
    print(f"{steps} steps in {seconds:.2f} s, {seconds / steps * 1e6:.0f} us each")
    print(f"accuracy on {len(held_out_labels)} held-out images: {accuracies[-1]:.1%}")
    save_curves(losses, accuracies, arguments.out)
    if accuracies[-1] < REQUIRED_ACCURACY:
        print(f"the accuracy is below {REQUIRED_ACCURACY:.1%}: train longer?", file=sys.stderr)
        return 1
    return 0


def main() -> int:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--epochs", type=integer(1), default=30)
    parser.add_argument("--batch-size", type=integer(2), default=32)
    parser.add_argument("--learning-rate", type=float, default=3e-3)
    add_common_options(parser, out="convolutions.png", shows="the curves")
    arguments = parser.parse_args()
    check_output(arguments.out)
    return train(arguments)


if __name__ == "__main__":
    sys.exit(main())
