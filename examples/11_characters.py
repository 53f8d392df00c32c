# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Trains a long short-term memory to spell Python's documentation, character by character.

A step is one compiled function: the scan along a piece of text, its gradient back through time, and
Adam's update; where a piece ends, the next one goes on with the state. What counts is how many bits
a character of unseen text takes, against counts of characters and of pairs of them. In the end the
network writes a text of its own.
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

REQUIRED_BITS = 2.4
COUNT = len(CHARACTERS)
HIDDEN = 128

EMBEDDING = nn.Embedding(COUNT, 32, dtype=np.float32)
LSTM = nn.LSTM(32, HIDDEN, dtype=np.float32)
HEAD = nn.Linear(HIDDEN, COUNT, dtype=np.float32)


def initial_parameters(key: Any) -> dict[str, Any]:
    """Parameters of the three layers."""
    keys = go.random.split(key, 3)
    layers = {"embedding": EMBEDDING, "lstm": LSTM, "head": HEAD}
    return {name: layer.init(k) for (name, layer), k in zip(layers.items(), keys, strict=True)}


def logits(params: Any, text: Any, state: Any) -> tuple[Any, Any]:
    """Scores of what follows each character of (time, batch), and the last state."""
    outputs, state = LSTM(params["lstm"], EMBEDDING(params["embedding"], text), state)
    return HEAD(params["head"], outputs), state


def bits(params: Any, state: Any, text: Any) -> tuple[Any, Any]:
    """Bits for each character of a text but the first, and the last state."""
    scores, state = logits(params, text[:-1], state)
    return nn.cross_entropy_loss(scores, text[1:]) / np.log(2), state


def zeros(batch: int) -> tuple[Any, Any]:
    """The state before a text."""
    return np.zeros((batch, HIDDEN), np.float32), np.zeros((batch, HIDDEN), np.float32)


@go.compile
def write(params: Any, keys: Any) -> Any:
    """A text, of a character for each key, drawn with the probabilities of the network."""

    def step(carried: Any, key: Any) -> Any:
        character, state = carried
        scores, state = logits(params, character[np.newaxis], state)
        character = go.random.categorical(key, scores[0])
        return (character, state), character[0]

    return go.scan(step, (np.zeros(1, np.int64), zeros(1)), keys)[1]


def columns(text: Text, count: int) -> Text:
    """A text in so many equal parts, side by side: (time, count)."""
    return np.ascontiguousarray(text[: len(text) // count * count].reshape(count, -1).T)


def train(arguments: argparse.Namespace) -> int:
    """Trains, reports, writes and plots; the exit status says whether the network is good."""
    from tqdm import tqdm

    text, held_out = load_documentation()
    size, length = arguments.batch_size, arguments.length
    if len(text) // size <= length:
        sys.exit(f"the text has no {size} pieces of {length} characters and the next one")
    text_columns = columns(text, size)
    optimizer = optim.chain(
        optim.clip_by_global_norm(1.0),
        optim.adam(optim.cosine_decay_schedule(arguments.learning_rate, arguments.steps)),
    )

    def update(params: Any, moments: Any, state: Any, text: Any) -> Any:
        (value, state), gradient = go.value_and_grad(bits, has_aux=True)(params, state, text)
        updates, moments = optimizer.update(gradient, moments, params)
        return value, optim.apply_updates(params, updates), moments, state

    step = go.compile(update, donate_argnums=(0, 1, 2))  # In place.
    first, second = go.random.split(go.random.key(arguments.seed))
    params = initial_parameters(first)
    moments = optimizer.init(params)

    start = time.perf_counter()
    _, params, moments, state = step(params, moments, zeros(size), text_columns[: length + 1])
    print(f"first call, from NumPy to machine code: {time.perf_counter() - start:.2f} s")

    losses: list[float] = []
    begins = np.arange(0, len(text_columns) - length, length)
    start = time.perf_counter()
    progress = tqdm(range(arguments.steps), unit="step", disable=arguments.quiet)
    for number in progress:
        begin = begins[number % len(begins)]
        if begin == 0:
            state = zeros(size)
        value, params, moments, state = step(
            params, moments, state, text_columns[begin : begin + length + 1]
        )
        losses.append(float(value))
        progress.set_postfix(bits=f"{np.mean(losses[-50:]):.2f}", refresh=False)
    seconds = time.perf_counter() - start
    print(f"{len(losses)} steps in {seconds:.2f} s, {seconds / len(losses) * 1e3:.1f} ms each")

    value, _ = go.compile(bits)(params, zeros(16), columns(held_out, 16))
    lines = {**bits_by_counts(text, held_out), "network": float(value)}
    print("bits a character of held-out text:")
    for name, taken in lines.items():
        print(f"  {name:10} {taken:.3f}")
    written = write(params, go.random.split(second, 400))
    print("a text of its own:")
    print("".join(CHARACTERS[number] for number in written))
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
    parser.add_argument("--steps", type=integer(1), default=500)
    parser.add_argument("--batch-size", type=integer(1), default=16)
    parser.add_argument("--length", type=integer(1), default=32, help="characters in a piece")
    parser.add_argument("--learning-rate", type=float, default=1e-2)
    add_common_options(parser, out="characters.png", shows="the curve")
    arguments = parser.parse_args()
    check_output(arguments.out)
    return train(arguments)


if __name__ == "__main__":
    sys.exit(main())
