# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Trains a small transformer to spell Python's documentation, character by character.

The parameters of a block are a dictionary, those of all blocks a list, and the network is a Python
loop over it. A step is one compiled function: loss, gradient, and AdamW's update with a learning
rate that warms up. What counts is how many bits a character of unseen text takes, against counts of
characters and of pairs of them.
"""

from __future__ import annotations

import argparse
import sys
import time
from typing import Any

import numpy as np
from shared import (
    CHARACTERS,
    Text,
    add_common_options,
    bits_by_counts,
    check_output,
    integer,
    load_documentation,
    save_bits,
)

import gradopt as go
from gradopt import nn, optim

REQUIRED_BITS = 2.5
WIDTH = 64
LENGTH = 32

EMBEDDING = nn.Embedding(len(CHARACTERS), WIDTH, dtype=np.float32)
NORM = nn.LayerNorm(WIDTH, dtype=np.float32)
ATTENTION = nn.MultiHeadAttention(WIDTH, heads=4, dtype=np.float32)
DENSE = nn.Sequential(
    nn.Linear(WIDTH, 4 * WIDTH, dtype=np.float32),
    nn.gelu,
    nn.Linear(4 * WIDTH, WIDTH, dtype=np.float32),
)
HEAD = nn.Sequential(NORM, nn.Linear(WIDTH, len(CHARACTERS), dtype=np.float32))


@go.compile
def initial_block(key: Any) -> dict[str, Any]:
    """Parameters of a block."""
    keys = go.random.split(key, 4)
    layers = {"norm": NORM, "attention": ATTENTION, "second_norm": NORM, "dense": DENSE}
    return {name: layer.init(k) for (name, layer), k in zip(layers.items(), keys, strict=True)}


def initial_parameters(key: Any, blocks: int) -> dict[str, Any]:
    """Parameters of the network."""
    first, second, third, *keys = go.random.split(key, 3 + blocks)
    return {
        "embedding": EMBEDDING.init(first),
        "places": go.random.normal(second, (LENGTH, WIDTH), np.float32) / 3,
        "blocks": [initial_block(key) for key in keys],
        "head": HEAD.init(third),
    }


def logits(params: Any, text: Any) -> Any:
    """Scores of what follows each character of (batch, LENGTH)."""
    x = EMBEDDING(params["embedding"], text) / 3 + params["places"]
    for block in params["blocks"]:
        x = x + ATTENTION(block["attention"], NORM(block["norm"], x), causal=True)
        x = x + DENSE(block["dense"], NORM(block["second_norm"], x))
    return HEAD(params["head"], x)


def bits(params: Any, text: Any) -> Any:
    """Bits for each character but the first, of texts of shape (batch, LENGTH + 1)."""
    return nn.cross_entropy_loss(logits(params, text[:, :-1]), text[:, 1:]) / np.log(2)


def pieces(text: Text, begins: Text) -> Text:
    """LENGTH + 1 characters from each of some places on."""
    return text[begins[:, np.newaxis] + np.arange(LENGTH + 1)]


def train(arguments: argparse.Namespace) -> int:
    """Trains, reports and plots; the exit status says whether the network is good."""
    from tqdm import tqdm

    generator = np.random.default_rng(arguments.seed)
    text, held_out = load_documentation()
    rate = optim.warmup_cosine_decay_schedule(
        0.0, arguments.learning_rate, arguments.steps // 10, arguments.steps
    )
    optimizer = optim.chain(optim.clip_by_global_norm(1.0), optim.adamw(rate))

    def update(params: Any, moments: Any, text: Any) -> Any:
        value, gradient = go.value_and_grad(bits)(params, text)
        updates, moments = optimizer.update(gradient, moments, params)
        return value, optim.apply_updates(params, updates), moments

    step = go.compile(update, donate_argnums=(0, 1))  # In place.
    params = initial_parameters(go.random.key(arguments.seed), arguments.blocks)
    moments = optimizer.init(params)
    batches = generator.integers(len(text) - LENGTH, size=(arguments.steps, arguments.batch_size))

    start = time.perf_counter()
    _, params, moments = step(params, moments, pieces(text, batches[0]))
    print(f"first call, from NumPy to machine code: {time.perf_counter() - start:.2f} s")

    losses: list[float] = []
    start = time.perf_counter()
    progress = tqdm(batches, unit="step", disable=arguments.quiet)
    for batch in progress:
        value, params, moments = step(params, moments, pieces(text, batch))
        losses.append(float(value))
        progress.set_postfix(bits=f"{np.mean(losses[-50:]):.2f}", refresh=False)
    seconds = time.perf_counter() - start
    print(f"{len(losses)} steps in {seconds:.2f} s, {seconds / len(losses) * 1e3:.1f} ms each")

    begins = np.arange(0, len(held_out) - LENGTH, LENGTH)
    value = go.compile(bits)(params, pieces(held_out, begins))
    lines = {**bits_by_counts(text, held_out), "network": float(value)}
    print("bits a character of held-out text:")
    for name, taken in lines.items():
        print(f"  {name:10} {taken:.3f}")
    save_bits(losses, lines, arguments.out)
    if lines["network"] > REQUIRED_BITS:
        print(f"that is more than {REQUIRED_BITS} bits: train longer?", file=sys.stderr)
        return 1
    return 0


def main() -> int:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--steps", type=integer(1), default=400)
    parser.add_argument("--batch-size", type=integer(1), default=32)
    parser.add_argument("--blocks", type=integer(0), default=2)
    parser.add_argument("--learning-rate", type=float, default=1e-2)
    add_common_options(parser, out="transformer.png", shows="the curve")
    arguments = parser.parse_args()
    check_output(arguments.out)
    return train(arguments)


if __name__ == "__main__":
    sys.exit(main())
