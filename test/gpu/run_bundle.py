# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Runs the programs that write_bundle.py put into this folder, on the GPU of this machine.

It needs NumPy, and the package gradopt_runtime with libGradOptRuntime.so, which is in the folder as
well; no compiler and no test framework. Each program is called with arrays on the device three times, of which the
driver replays the last one as a graph, and with arrays on the host. All results have to be those
that were computed elsewhere on a CPU, but for rounding, and to have the same bits.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

import gradopt_runtime

Array = np.ndarray[Any, Any]

# Relative to the largest number of an array: sums have another order than on the CPU.
TOLERANCES = {"float64": 1e-9, "float32": 2e-4, "complex128": 1e-9, "complex64": 2e-4}


def read_calls(path: Path) -> dict[str, list[tuple[list[Array], list[Array]]]]:
    """What each program is called with and returns, by its name."""
    found: dict[str, Any] = {}
    with np.load(path) as data:
        for key in data.files:
            name, call, kind, place = key.rsplit("/", 3)
            calls = found.setdefault(name, {})
            lists = calls.setdefault(int(call), ({}, {}))
            lists[0 if kind == "x" else 1][int(place)] = data[key]
    return {
        name: [
            tuple([values[i] for i in range(len(values))] for values in lists)
            for _, lists in sorted(calls.items())
        ]
        for name, calls in found.items()
    }


def difference(got: Array, expected: Array) -> str:
    """What is wrong with a result; nothing if it is right."""
    if got.dtype != expected.dtype or got.shape != expected.shape:
        return f"{got.dtype}{list(got.shape)} in place of {expected.dtype}{list(expected.shape)}"
    tolerance = TOLERANCES.get(got.dtype.name, 0.0)
    finite = np.isfinite(expected)
    largest = float(np.max(np.abs(expected[finite]).astype(float), initial=0.0))
    near = np.isclose(got, expected, rtol=tolerance, atol=tolerance * largest, equal_nan=True)
    if np.all(near):
        return ""
    place = tuple(int(i) for i in np.argwhere(~near)[0])
    return f"{got[place]} in place of {expected[place]} at {place}, and {np.sum(~near) - 1} others"


def as_list(results: Any) -> list[Array]:
    """The results of a call on the host."""
    values = results if isinstance(results, tuple) else (results,)
    return [np.asarray(value) for value in values]


def run(function: Any, arguments: list[Array], expected: list[Array], device: str) -> list[str]:
    """Calls a program several times; returns what is wrong."""
    there = [gradopt_runtime.asarray(argument, device) for argument in arguments]
    runs = [as_list(function(*there)) for _ in range(3)]
    runs.append(as_list(function(*arguments)))
    wrong = [difference(got, value) for got, value in zip(runs[0], expected, strict=True)]
    for other in runs[1:]:
        if any(a.tobytes() != b.tobytes() for a, b in zip(runs[0], other, strict=True)):
            wrong.append("other bits when it is called again")
    return [text for text in wrong if text]


def main() -> int:
    """Runs all programs, and prints what is wrong."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, nargs="?", default=Path(__file__).parent)
    parser.add_argument("--driver", help="a library in place of libcuda.so.1, such as the emulator")
    parser.add_argument("-k", default="", help="only programs with this in their names")
    options = parser.parse_args()
    if options.driver:
        gradopt_runtime.set_driver(options.driver)
    calls = read_calls(options.folder / "data.npz")
    start = time.monotonic()
    functions = gradopt_runtime.load(options.folder / "programs.bundle")
    print(f"{len(functions)} programs, run by {gradopt_runtime.library_path()}", flush=True)
    count, failures = 0, 0
    for name in [name for name in functions if options.k in name]:
        for arguments, expected in calls.get(name, ()):
            count += 1
            try:
                wrong = run(functions[name], arguments, expected, "cuda:0")
            except gradopt_runtime.BundleError as error:
                wrong = [str(error)]
            failures += bool(wrong)
            for text in wrong:
                print(f"{name}: {text}", flush=True)
            if any("cannot use the GPU any more" in text for text in wrong):
                sys.exit("what is left needs another process")
    seconds = time.monotonic() - start
    print(f"{count} calls, of which {failures} failed, in {seconds:.1f} s")
    return 1 if failures or not count else 0


if __name__ == "__main__":
    sys.exit(main())
