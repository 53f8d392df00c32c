# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Finds vowels and consonants in a text, by a hidden Markov model that knows no letters.

Two hidden states follow each other with some probabilities, and emit letters with others (Cave and
Neuwirth, *Hidden Markov models for English*, 1980). They are fitted by expectation maximisation.
Its expectations are gradients: the derivative of the logarithm of the likelihood in the logarithm
of a probability is how often that is used. So there is the forward recursion, and nothing else to
write. The text is Python's reference.
"""

from __future__ import annotations

import argparse
import itertools
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from shared import add_common_options, check_output, integer, new_figure, save_figure

import gradopt as go

Array = NDArray[np.float64]
LETTERS = "abcdefghijklmnopqrstuvwxyz "
VOWELS = "aeiou"
# Of the letters that occur a thousandth of the time or more, those in the right state.
REQUIRED_SHARE = 0.85


def load_letters(count: int) -> NDArray[np.int64]:
    """Numbers of the first letters of Python's reference; one blank between words."""
    from pydoc_data.topics import topics

    text = " ".join(topics[name] for name in sorted(topics)).lower()
    words = "".join(c if c in LETTERS else " " for c in text).split()
    return np.array([LETTERS.index(c) for c in " ".join(words)[:count]])


def log_likelihood(logs: dict[str, Array], letters: Any) -> Any:
    """The logarithm of the probability of the letters, by the forward recursion.

    `logs` are those of the first state's probabilities (s,), of transitions (s, s), and of letters
    in each state (s, 27).
    """
    start, moves, emitted = (np.exp(logs[name]) for name in ("start", "moves", "emitted"))
    state = start * emitted[:, letters[0]]
    total = np.log(np.sum(state))
    state = state / np.sum(state)
    for t in range(1, len(letters)):
        state = (state @ moves) * emitted[:, letters[t]]
        norm = np.sum(state)
        total += np.log(norm)
        state = state / norm
    return total


def fit(
    letters: Any, steps: int, rng: np.random.Generator, quiet: bool
) -> tuple[dict[str, Array], list[float]]:
    """The logarithms of the probabilities, and the likelihood a letter in bits, by iterations."""
    from tqdm import tqdm

    probabilities = {
        "start": np.full(2, 0.5),
        "moves": np.array([[0.3, 0.7], [0.7, 0.3]]),
        "emitted": rng.dirichlet(np.full(len(LETTERS), 20.0), size=2),
    }
    value_and_grad = go.compile_value_and_grad(log_likelihood)
    losses: list[float] = []
    logs = {name: np.log(p) for name, p in probabilities.items()}
    with tqdm(range(steps), unit="iteration", disable=quiet) as progress:
        for _ in progress:
            value, counts = value_and_grad(logs, letters)
            losses.append(-float(value) / len(letters) / np.log(2))
            # The most likely probabilities are the shares of the expected counts.
            logs = {
                name: np.log(n / np.sum(n, axis=-1, keepdims=True) + 1e-300)
                for name, n in counts.items()
            }
            progress.set_postfix(bits=f"{losses[-1]:.4f}", refresh=False)
    return logs, losses


def save_picture(emitted: Array, losses: list[float], path: Path) -> None:
    """Plots the probability that a letter is a vowel's, and the likelihood."""
    figure, (left, right) = new_figure(1, 2, figsize=(11, 4), width_ratios=(3, 1))
    colors = ["C1" if letter in VOWELS else "C0" for letter in LETTERS]
    left.bar(range(len(LETTERS)), emitted, color=colors)
    left.set_xticks(range(len(LETTERS)), [*LETTERS[:-1], "blank"])
    left.set(ylabel="share in the vowels' state", title="vowels in orange")
    right.plot(losses)
    right.set(xlabel="iteration", ylabel="bits per letter")
    save_figure(figure, path)


def main() -> int:
    """Reads the command line, fits, reports and plots; the status says whether it is good."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--letters", type=integer(1000), default=30_000)
    parser.add_argument("--steps", type=integer(1), default=150, help="iterations")
    parser.add_argument("--starts", type=integer(1), default=3, help="the best of them counts")
    add_common_options(parser, out="vowels.png", shows="picture")
    arguments = parser.parse_args()
    check_output(arguments.out)

    letters = load_letters(arguments.letters)
    rng = np.random.default_rng(arguments.seed)
    # Each finds an optimum near its start, not all of them the same one.
    fits = [fit(letters, arguments.steps, rng, arguments.quiet) for _ in range(arguments.starts)]
    logs, losses = min(fits, key=lambda found: found[1][-1])
    emitted = np.exp(logs["emitted"])
    share = emitted / np.sum(emitted, axis=0)
    vowel = int(share[0, LETTERS.index("e")] < 0.5)
    common = np.bincount(letters, minlength=len(LETTERS)) >= len(letters) / 1000
    right = [
        (share[vowel, i] > 0.5) == (letter in VOWELS)
        for i, letter in enumerate(LETTERS)
        if common[i] and letter != " "
    ]
    found = "".join(c for i, c in enumerate(LETTERS) if common[i] and share[vowel, i] > 0.5)
    falls = all(b <= a + 1e-9 for a, b in itertools.pairwise(losses))
    print(f"bits per letter: {losses[0]:.4f} to {losses[-1]:.4f}, {'' if falls else 'not '}falling")
    print(f"letters of the vowels' state: {found!r}")
    print(f"letters in the right state: {np.mean(right):.1%}")
    save_picture(share[vowel], losses, arguments.out)
    if np.mean(right) < REQUIRED_SHARE or not falls:
        print("vowels were not found: more letters, or iterations?", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
