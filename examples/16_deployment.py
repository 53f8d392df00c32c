# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Trains the network of 01_digits.py in a C program that knows no Python.

A training step, with its gradient and momentum, is compiled here, and saved with a C header. Then
16_deployment.c is compiled with that header, and trains: it needs `libGradOptRuntime.so` and the C
library, and updates weights and velocities where they are.
"""

from __future__ import annotations

import argparse
import importlib
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
from shared import load_digits

import gradopt as go
import gradopt_runtime

digits = importlib.import_module("01_digits")

ROOT = Path(__file__).resolve().parent.parent
REQUIRED_ACCURACY = 0.95
BATCH, HIDDEN = 32, 30
LEARNING_RATE, MOMENTUM = 0.1, 0.9


def step(params: Any, velocity: Any, x: Any, y: Any) -> tuple[Any, Any, Any]:
    """New parameters and velocities, and the loss of the batch for each image."""
    value, gradient = go.value_and_grad(digits.loss)(params, x, y)

    def update(v: Any, g: Any) -> Any:
        return MOMENTUM * v - LEARNING_RATE / BATCH * g

    velocity = {
        name: [update(v, g) for v, g in zip(velocity[name], gradient[name], strict=True)]
        for name in params
    }
    params = {
        name: [p + v for p, v in zip(params[name], velocity[name], strict=True)] for name in params
    }
    return params, velocity, value / BATCH


def scores(params: Any, x: Any) -> Any:
    """The digit that the network sees in each image."""
    return np.argmax(digits.predict(params, x), axis=1)


def main() -> int:
    """Compiles, saves, compiles the C program and runs it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / "build/deployment", help="the folder")
    parser.add_argument("--epochs", type=int, default=20)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)

    generator = np.random.default_rng(0)
    (images, labels), (held_out, held_out_labels) = load_digits(generator)
    params = digits.initial_parameters(generator, HIDDEN)
    one_hot = np.eye(10)[labels]
    trained = go.compile(step, donate_argnums=(0, 1))
    go.save(
        {
            "step": trained.lower(params, params, images[:BATCH], one_hot[:BATCH]),
            "scores": go.compile(scores).lower(params, held_out),
        },
        arguments.out / "digits.bundle",
        header=arguments.out / "digits.h",
    )
    batches = len(images) // BATCH * BATCH
    files = {
        "images": images[:batches],
        "one_hot": one_hot[:batches],
        "held_out": held_out,
        "labels": held_out_labels.astype(np.int64),
        "weights": np.concatenate([array.ravel() for array in params["W"] + params["b"]]),
    }
    for name, array in files.items():
        np.ascontiguousarray(array).tofile(arguments.out / f"{name}.bin")

    library = gradopt_runtime.library_path()
    compiler = shutil.which("cc") or shutil.which("clang") or "/usr/lib/llvm-22/bin/clang"
    program = arguments.out / "train"
    sizes = [f"-D{name}={value}" for name, value in [("BATCH", BATCH), ("HIDDEN", HIDDEN)]]
    command = [
        compiler,
        "-O2",
        "-Wall",
        *sizes,
        f"-I{arguments.out}",
        f"-I{gradopt_runtime.include_path()}",
    ]
    command += [str(ROOT / "examples/16_deployment.c"), "-o", str(program), library]
    command += [f"-Wl,-rpath,{Path(library).parent}"]
    subprocess.run(command, check=True)
    done = subprocess.run(
        [program, str(arguments.epochs)], cwd=arguments.out, stdout=subprocess.PIPE, text=True
    )
    print(done.stdout, end="")
    if done.returncode != 0:
        return done.returncode
    accuracy = float(done.stdout.split()[-1].rstrip("%")) / 100
    if accuracy < REQUIRED_ACCURACY:
        print(f"accuracy below {REQUIRED_ACCURACY:.0%}: train longer?", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
