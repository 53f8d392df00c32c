# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""How often words occur in documents, which varies more than chance: negative binomial fits.

Words come in bursts: the variance of their counts exceeds the mean. For each of the most frequent
words of Python's reference, the model has a rate per 1,000 words and a dispersion. Their logarithms
have normal priors, around means that are fitted, too. All are found at once, by a trust region and
the sparse Hessian of the whole posterior, which has the shape of an arrow: a word has nothing to do
with another but through the prior. Held-out documents tell it from Poisson's distribution.
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special
from shared import add_common_options, check_output, integer, new_figure, save_figure

import gradopt as go

Array = NDArray[np.float64]
# Of a logarithm of a word, from the mean.
DEVIATION = 1.0
# Nats a count, by which it is better than Poisson's distribution.
REQUIRED_GAIN = 0.5


def load_counts(words: int) -> tuple[list[str], Array, Array]:
    """The words, their counts in each document (n, words), and the documents' lengths (n,)."""
    from pydoc_data.topics import topics

    documents = [re.findall(r"[a-z]+", topics[name].lower()) for name in sorted(topics)]
    documents = [document for document in documents if len(document) >= 50]
    names, totals = np.unique(np.concatenate(documents), return_counts=True)
    chosen = [str(name) for name in names[np.argsort(-totals, kind="stable")[:words]]]
    place = {name: i for i, name in enumerate(chosen)}
    counts = np.zeros((len(documents), words))
    for row, document in zip(counts, documents, strict=True):
        np.add.at(row, [place[word] for word in document if word in place], 1)
    return chosen, counts, np.array([len(document) for document in documents], float)


def log_mass(counts: Any, mean: Any, size: Any) -> Any:
    """Of the negative binomial distribution, whose variance is mean + mean**2 / size."""
    return (
        special.gammaln(counts + size)
        - special.gammaln(size)
        - special.gammaln(counts + 1)
        + size * np.log(size / (mean + size))
        + special.xlogy(counts, mean / (mean + size))
    )


def loss(theta: Any, counts: Any, lengths: Any) -> Any:
    """Minus the logarithm of the posterior, a count.

    `theta` is log rates, log sizes (one over the dispersion), then the mean of either over words.
    """
    words = counts.shape[1]
    rates, sizes, means = theta[:words], theta[words : 2 * words], theta[2 * words :]
    mean = np.exp(rates) * (lengths / 1000)[:, None]
    total = np.sum(log_mass(counts, mean, np.exp(sizes)))
    total -= np.sum(((rates - means[0]) / DEVIATION) ** 2) / 2
    total -= np.sum(((sizes - means[1]) / DEVIATION) ** 2) / 2
    return -total / counts.size


def fit(counts: Array, lengths: Array, quiet: bool) -> tuple[Array, Any]:
    """The parameters of the largest posterior, and the Hessian there."""
    from tqdm import tqdm

    words = counts.shape[1]
    rates = np.log(1000 * counts.sum(axis=0) / lengths.sum())
    start = np.concatenate([rates, np.zeros(words), [rates.mean(), 0]])
    with tqdm(unit="iteration", disable=quiet) as progress:
        found = go.scipy.minimize(
            loss,
            start,
            (counts, lengths),
            method="trust-constr",
            sparse=True,
            callback=lambda _x, state: progress.update() and None,
            options={"maxiter": 200, "gtol": 1e-9},
        )
    return found.x, go.compile_hessian(loss, sparse=True)(found.x, counts, lengths)


def save_picture(names: list[str], rates: Array, sizes: Array, path: Path) -> None:
    """Plots rates and dispersions of the words."""
    figure, axes = new_figure(figsize=(9, 6))
    axes.plot(rates, 1 / sizes, ".", color="0.7")
    for name, rate, size in zip(names, rates, sizes, strict=True):
        axes.annotate(name, (rate, 1 / size), fontsize=7)
    axes.set(xscale="log", yscale="log", xlabel="occurrences in 1,000 words")
    axes.set(ylabel="dispersion (0: chance alone)", title="words of Python's reference")
    save_figure(figure, path)


def main() -> int:
    """Reads the command line, fits, reports and plots; the status says whether it is good."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--words", type=integer(2), default=200)
    add_common_options(parser, out="words.png", shows="picture")
    arguments = parser.parse_args()
    check_output(arguments.out)

    names, counts, lengths = load_counts(arguments.words)
    order = np.random.default_rng(arguments.seed).permutation(len(counts))
    train, held_out = np.split(order, [len(order) * 4 // 5])
    theta, hessian = fit(counts[train], lengths[train], arguments.quiet)
    rates, sizes = np.exp(theta[: 2 * len(names)]).reshape(2, -1)
    share = hessian.nnz / hessian.shape[0] ** 2
    print(f"{theta.size} parameters, Hessian with {hessian.nnz} elements, {share:.1%} of all")
    for i in np.argsort(sizes)[[0, 1, -2, -1]]:
        print(f"{names[i]:10} {rates[i]:6.2f} in 1,000 words, dispersion {1 / sizes[i]:.3f}")

    mean = rates * lengths[held_out, None] / 1000
    chance = counts[train].sum(axis=0) / lengths[train].sum() * lengths[held_out, None]
    poisson = (
        special.xlogy(counts[held_out], chance) - chance - special.gammaln(counts[held_out] + 1)
    )
    gain = float(np.mean(log_mass(counts[held_out], mean, sizes) - poisson))
    print(f"held-out documents: {gain:.3f} nats a count better than Poisson's distribution")
    save_picture(names, rates, sizes, arguments.out)
    if gain < REQUIRED_GAIN:
        print("the fit is no better than chance: more words?", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
