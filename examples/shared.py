# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What the examples share: data, options of the command line, and pictures saved as a whole."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Text = NDArray[np.int64]
Digits = tuple[NDArray[np.float64], NDArray[np.int64]]


def load_digits(generator: np.random.Generator) -> tuple[Digits, Digits]:
    """The 1797 images of 8 x 8 pixels, scaled to [0, 1]: 80 % to train with, 20 % held out."""
    try:
        from sklearn import datasets
    except ImportError:
        sys.exit("this example needs scikit-learn: pip install 'gradopt[demo]'")
    images, labels = datasets.load_digits(return_X_y=True)
    order = generator.permutation(len(images))
    train, held_out = np.split(order, [len(order) * 4 // 5])
    images = images / 16.0
    return (images[train], labels[train]), (images[held_out], labels[held_out])


def load_terrain() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Heights in m, and the two coordinates of each in km, shapes (n, m) and (n, m, 2)."""
    from matplotlib import cbook

    data = cbook.get_sample_data("jacksboro_fault_dem.npz")
    heights = data["elevation"][::3, ::3].astype(float)
    degree = 111.2
    north = np.linspace(0, abs(float(data["ymax"] - data["ymin"])), len(heights)) * degree
    east = np.linspace(0, float(data["xmax"] - data["xmin"]), heights.shape[1])
    east *= degree * np.cos(np.radians(36.6))
    # Rows of the file go from north to south.
    return heights[::-1], np.stack(np.meshgrid(east, north), axis=-1)


# Those that a text is made of; others are question marks.
CHARACTERS = "\n" + "".join(map(chr, range(32, 127)))


def load_documentation() -> tuple[Text, Text]:
    """Python's reference, which `help()` shows, in numbers of characters.

    It is the module `pydoc_data` of the standard library: 95 % to train with, the rest held out.
    """
    from pydoc_data.topics import topics

    numbers = {character: number for number, character in enumerate(CHARACTERS)}
    text = "\n".join(topics[name] for name in sorted(topics))
    encoded = np.array([numbers.get(character, numbers["?"]) for character in text])
    train, held_out = np.split(encoded, [len(encoded) * 95 // 100])
    return train, held_out


def bits_by_counts(train: Text, held_out: Text) -> dict[str, float]:
    """Bits a character by how often each occurs, and by how often it follows another."""
    count = len(CHARACTERS)
    single = np.bincount(train, minlength=count) + 1.0
    pairs = np.full((count, count), 0.1)
    np.add.at(pairs, (train[:-1], train[1:]), 1)
    single /= np.sum(single)
    pairs /= np.sum(pairs, axis=1, keepdims=True)
    return {
        "characters": float(-np.mean(np.log2(single[held_out]))),
        "pairs": float(-np.mean(np.log2(pairs[held_out[:-1], held_out[1:]]))),
    }


def save_bits(losses: list[float], lines: dict[str, float], path: Path) -> None:
    """Plots the bits a character in training, and those of held-out text as lines."""
    figure, axes = new_figure(figsize=(7, 4))
    axes.plot(losses, color="0.75", linewidth=0.7, label="network, in training")
    for style, (name, value) in zip((":", "--", "-"), lines.items(), strict=True):
        axes.axhline(value, color="0.3", linestyle=style, label=f"{name}, held-out text")
    axes.set(xlabel="step", ylabel="bits per character", title="Python's documentation")
    axes.legend()
    save_figure(figure, path)


def integer(low: int) -> Callable[[str], int]:
    """An argparse type: an integer from `low` up."""

    def number(text: str) -> int:
        if int(text) < low:
            raise argparse.ArgumentTypeError(f"{text} is less than {low}")
        return int(text)

    return number


def add_common_options(parser: argparse.ArgumentParser, *, out: str, shows: str) -> None:
    """Adds the options that all examples have which save a picture."""
    parser.add_argument("--seed", type=integer(0), default=0)
    parser.add_argument("--out", type=Path, default=Path(out), help=shows)
    parser.add_argument("--quiet", action="store_true", help="no progress bar")


def check_output(path: Path) -> None:
    """Ends the program where a picture cannot be saved: before the work is done, not after it."""
    try:
        if path.is_dir():
            raise IsADirectoryError(None, "it is a folder")
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        sys.exit(f"cannot write {path}: {error.strerror}")


def new_figure(*arguments: Any, **options: Any) -> tuple[Any, Any]:
    """A figure for a file, and its axes; as `matplotlib.pyplot.subplots`."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    return plt.subplots(*arguments, layout="constrained", **options)


def save_figure(figure: Any, path: Path) -> None:
    """Saves a picture; the file appears complete or not at all."""
    with tempfile.NamedTemporaryFile(dir=path.parent, suffix=".png", delete=False) as file:
        try:
            figure.savefig(file, format="png", dpi=150)
            os.chmod(file.name, 0o644)
            os.replace(file.name, path)
        except BaseException:
            os.unlink(file.name)
            raise
    print(f"picture: {path.resolve()}")
