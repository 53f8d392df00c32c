# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Trains a variational autoencoder on scikit-learn's handwritten digits, and draws new ones.

An encoder gives each image a normal distribution of codes, a decoder gives each code the
probability of ink for each pixel: a grey value is the number of 16 dots that are black. The bound
on the likelihood is an expectation over codes; its gradient goes through the random numbers (Kingma
and Welling, arXiv:1312.6114). What counts is how many nats the bound is for images not seen,
against pixels that are independent of each other, each with the histogram of its grey values.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from shared import add_common_options, check_output, integer, load_digits, new_figure, save_figure

import gradopt as go
from gradopt import nn, optim

REQUIRED_NATS = 104
CODE = 16
DOTS = 16

# (batch, 1, 8, 8) to means and logarithms of deviations, (batch, 2 * CODE).
ENCODER = nn.Sequential(
    nn.Conv2d(1, 16, 3, stride=2, padding=1, dtype=np.float32),
    nn.gelu,
    nn.Conv2d(16, 32, 3, stride=2, padding=1, dtype=np.float32),
    nn.gelu,
    nn.Flatten(),
    nn.Linear(128, 2 * CODE, dtype=np.float32),
)
# (batch, CODE) to logits of ink, (batch, 1, 8, 8).
DECODER = nn.Sequential(
    nn.Linear(CODE, 128, dtype=np.float32),
    nn.gelu,
    lambda x: np.reshape(x, (-1, 32, 2, 2)),
    nn.ConvTranspose2d(32, 16, 4, stride=2, padding="same", dtype=np.float32),
    nn.gelu,
    nn.ConvTranspose2d(16, 1, 4, stride=2, padding="same", dtype=np.float32),
)
# The logarithm of the number of ways to choose the black dots, for each grey value.
LOG_CHOICES = np.array([math.log(math.comb(DOTS, n)) for n in range(DOTS + 1)], np.float32)


def encode(params: Any, images: Any) -> tuple[Any, Any]:
    """Means, and logarithms of standard deviations, of codes."""
    both = ENCODER(params["encoder"], images / DOTS - 0.5)
    return both[:, :CODE], both[:, CODE:]


def loss(params: Any, images: Any, key: Any) -> Any:
    """The bound on the negative logarithm of the probability of an image, in nats, on average."""
    mean, log_deviation = encode(params, images)
    code = mean + np.exp(log_deviation) * go.random.normal(key, mean.shape, np.float32)
    logits = DECODER(params["decoder"], code)
    misses = DOTS * nn.bce_with_logits_loss(logits, images / DOTS, reduction="sum")
    choices = np.sum(go.numpy.take(LOG_CHOICES, images.astype(np.int64), axis=0))
    divergence = 0.5 * np.sum(mean**2 + np.exp(2 * log_deviation) - 1 - 2 * log_deviation)
    return (misses - choices + divergence) / len(images)


@go.compile
def decode(params: Any, code: Any) -> Any:
    """The probability of ink for each pixel."""
    return nn.sigmoid(DECODER(params["decoder"], code))[:, 0]


@go.compile
def redraw(params: Any, images: Any) -> Any:
    """What is left of images whose codes are the most likely ones."""
    return decode(params, encode(params, images)[0])


def load(generator: np.random.Generator) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Images of numbers of dots, to train with and to be held out."""
    train, held_out = (
        np.reshape(np.rint(DOTS * images), (-1, 1, 8, 8)).astype(np.float32)
        for images, _ in load_digits(generator)
    )
    return train, held_out


def by_histograms(train: NDArray[np.float32], held_out: NDArray[np.float32]) -> float:
    """Nats an image by how often each grey value occurs, for each pixel by itself."""
    counts = np.stack([np.sum(train == n, axis=0) for n in range(DOTS + 1)]) + 0.1
    log_probabilities = np.log(counts / np.sum(counts, axis=0))
    chosen = np.take_along_axis(log_probabilities, held_out.astype(np.int64), axis=0)
    return float(-np.sum(chosen) / len(held_out))


def save_images(rows: dict[str, NDArray[np.float32]], path: Path) -> None:
    """Saves rows of images, each with a name."""
    figure, axes = new_figure(len(rows), 1, figsize=(9, 0.8 * len(rows)))
    for axis, (name, images) in zip(axes, rows.items(), strict=True):
        padded = np.pad(images, ((0, 0), (1, 1), (1, 1)))
        axis.imshow(np.concatenate(padded, axis=1), cmap="gray_r", vmin=0, vmax=1)
        axis.set(xticks=[], yticks=[], ylabel=name)
    save_figure(figure, path)


def train(arguments: argparse.Namespace) -> int:
    """Trains, reports and draws; the exit status says whether the network is good."""
    from tqdm import tqdm

    generator = np.random.default_rng(arguments.seed)
    images, held_out = load(generator)
    size = min(arguments.batch_size, len(images))
    batches = len(images) // size
    steps = arguments.epochs * batches
    optimizer = optim.adam(optim.cosine_decay_schedule(arguments.learning_rate, steps))

    def update(params: Any, moments: Any, images: Any, key: Any) -> Any:
        value, gradient = go.value_and_grad(loss)(params, images, key)
        updates, moments = optimizer.update(gradient, moments, params)
        return value, optim.apply_updates(params, updates), moments

    step = go.compile(update, donate_argnums=(0, 1))  # In place.
    first, second, third, last = go.random.split(go.random.key(arguments.seed), 4)
    params = {"encoder": ENCODER.init(first), "decoder": DECODER.init(second)}
    moments = optimizer.init(params)

    start = time.perf_counter()
    _, params, moments = step(params, moments, images[:size], third)
    print(f"first call, from NumPy to machine code: {time.perf_counter() - start:.2f} s")

    losses: list[float] = []
    start = time.perf_counter()
    progress = tqdm(range(arguments.epochs), unit="epoch", disable=arguments.quiet)
    for _ in progress:
        for batch in generator.permutation(len(images))[: batches * size].reshape(batches, size):
            key = go.random.fold_in(third, len(losses))
            value, params, moments = step(params, moments, images[batch], key)
            losses.append(float(value))
        progress.set_postfix(nats=f"{np.mean(losses[-batches:]):.1f}", refresh=False)
    seconds = time.perf_counter() - start
    print(f"{steps} steps in {seconds:.2f} s, {seconds / steps * 1e6:.0f} us each")

    keys = go.random.split(last, 20)
    bounds = go.compile(lambda params, keys: go.map(lambda key: loss(params, held_out, key), keys))
    nats = float(np.mean(bounds(params, keys)))
    print(f"nats for each of {len(held_out)} held-out images: at most {nats:.1f};")
    print(f"by histograms of pixels: {by_histograms(images, held_out):.1f}")
    shown = held_out[:16]
    codes = go.random.normal(last, (32, CODE), np.float32)
    rows = {"held out": shown[:, 0] / DOTS, "decoded": redraw(params, shown)}
    new = decode(params, codes)
    save_images({**rows, "new": new[:16], "also": new[16:]}, arguments.out)
    if nats > REQUIRED_NATS:
        print(f"that is more than {REQUIRED_NATS} nats: train longer?", file=sys.stderr)
        return 1
    return 0


def main() -> int:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--epochs", type=integer(1), default=40)
    parser.add_argument("--batch-size", type=integer(1), default=64)
    parser.add_argument("--learning-rate", type=float, default=5e-3)
    add_common_options(parser, out="autoencoder.png", shows="the images")
    arguments = parser.parse_args()
    check_output(arguments.out)
    return train(arguments)


if __name__ == "__main__":
    sys.exit(main())
