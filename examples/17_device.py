# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Fits a small network to a curve on a CUDA device, or on the CPU where there is none.

The program is the same: it runs where its arrays are. Parameters and the optimiser's state stay on
the device; each step computes the next ones in their memory. Only the loss comes to the host, once
in a while.
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np

import gradopt as go
from gradopt import optim

WIDTH = 16


def predict(params: Any, x: Any) -> Any:
    """A layer of tanh, and a linear one: (n, 1) in and out."""
    hidden = np.tanh(x @ params["w"] + params["b"])
    return hidden @ params["v"]


def loss(params: Any, x: Any, y: Any) -> Any:
    """Mean of squared errors."""
    return np.mean((predict(params, x) - y) ** 2)


OPTIMIZER = optim.adam(0.02)


def step(params: Any, state: Any, x: Any, y: Any) -> Any:
    """The next parameters and state, and the loss of these."""
    value, gradient = go.value_and_grad(loss)(params, x, y)
    updates, state = OPTIMIZER.update(gradient, state, params)
    return optim.apply_updates(params, updates), state, value


def main() -> None:
    """Reads the command line and fits."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    names = [device.name for device in go.devices()]
    parser.add_argument("--device", choices=names, default=names[1 if len(names) > 1 else 0])
    parser.add_argument("--steps", type=int, default=400)
    args = parser.parse_args()
    for device in go.devices():
        chosen = "*" if device.name == args.device else " "
        print(f"{chosen} {device.name}: {device.description}")

    generator = np.random.default_rng(0)
    x = np.linspace(-2, 2, 64)[:, np.newaxis]
    y = np.sin(2 * x)
    shapes = {"w": (1, WIDTH), "b": (WIDTH,), "v": (WIDTH, 1)}
    params: Any = {name: generator.normal(size=shape) for name, shape in shapes.items()}

    # What is called with arrays on a device runs there, and so its results are there, too.
    x, y = go.asarray(x, device=args.device), go.asarray(y, device=args.device)
    params = {name: go.asarray(array, device=args.device) for name, array in params.items()}
    state = go.compile(OPTIMIZER.init, device=args.device)(params)

    compiled = go.compile(step, donate_argnums=(0, 1))
    value: Any = np.nan
    for number in range(args.steps):
        params, state, value = compiled(params, state, x, y)
        if number % 100 == 0:
            print(f"step {number:4}: loss {float(value):.5f}")
    print(f"after {args.steps} steps: loss {float(value):.5f}")


if __name__ == "__main__":
    main()
