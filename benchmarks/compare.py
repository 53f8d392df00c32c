# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Compares two checkouts of gradopt: is anything slower than before?

Both have to be built (`make build`). For each case of `make bench`, and of slices.py for a few
steps, a process in each checkout gives samples in turns, so that a change in the machine's load
meets both; what counts is the least sample. A quantity that seems slower is measured again, up to
four times, as noise goes away by that and a true difference does not. A case that one of them
cannot run, as a case of what is new, is left out with a line that says so. The columns:

    call          value and gradient, compiled
    first call    from the import of gradopt to the result in a new process, with nothing in a store
    warm start    the same with the code in the store
    trace         from Python function to IR
    instructions  of the assembly
    arena         bytes of temporaries

    python benchmarks/compare.py OLD NEW [--case ...] [--steps 50]
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

_BEFORE_IMPORT = time.perf_counter()

import cases  # noqa: E402
import slices  # noqa: E402

import gradopt as go  # noqa: E402

_IMPORT_SECONDS = time.perf_counter() - _BEFORE_IMPORT

BATCH_SECONDS = 1e-4  # What the clock can tell.
SAMPLE_SECONDS = 0.01
SLOWER = 1.03
ATTEMPTS = 4
COLUMNS = ("call", "first call", "warm start", "trace", "instructions", "arena")
NAMES = [*cases.CASES, *slices.CASES]


# -- In a process of a checkout ------------------------------------------------------------------


def program(name: str, steps: int) -> tuple[Callable[..., Any], tuple[Any, ...]]:
    """The function of a case, and its arguments."""
    if name in cases.CASES:
        case = cases.CASES[name]
        return case.function(np), case.arguments(np.random.default_rng(0))
    return slices.CASES[name](steps)


def first_call(name: str, steps: int) -> float:
    """Seconds until the first result is there, with those of the import."""
    function, arguments = program(name, steps)
    start = time.perf_counter()
    go.compile_value_and_grad(function)(*arguments)
    return _IMPORT_SECONDS + time.perf_counter() - start


def sampled(action: Callable[[], Any]) -> Callable[[], float]:
    """What gives the least seconds of `action`, of some batches of executions."""
    action()
    start = time.perf_counter()
    action()
    once = max(time.perf_counter() - start, 1e-7)
    count = math.ceil(BATCH_SECONDS / once)

    def batch() -> float:
        start = time.perf_counter()
        for _ in range(count):
            action()
        return (time.perf_counter() - start) / count

    def sample() -> float:
        return min([batch() for _ in range(math.ceil(SAMPLE_SECONDS / (count * once)))])

    return sample


def serve(name: str, steps: int) -> None:
    """Prints the sizes, and then a sample for each line of input that names a quantity."""
    function, arguments = program(name, steps)
    compiled = go.compile_value_and_grad(function)
    lowered = compiled.lower(*arguments)
    lines = lowered.asm().splitlines()
    code = [line for line in lines if line.startswith("\t") and not line.startswith("\t.")]
    print(json.dumps({"instructions": len(code), "arena": lowered.memory().arena}), flush=True)
    samples = {
        "call": sampled(lambda: compiled(*arguments)),
        "trace": sampled(lambda: go.compile_value_and_grad(function).lower(*arguments)),
    }
    for line in sys.stdin:
        print(samples[line.strip()](), flush=True)


# -- In the main process ---------------------------------------------------------------------


class CaseError(Exception):
    """A checkout cannot run a case."""


class Checkout:
    """One of the two, and its process for a case."""

    def __init__(self, folder: Path, name: str, steps: int) -> None:
        python = folder / ".venv/bin/python"
        self._command = [str(python), __file__, str(folder), str(folder), "--steps", str(steps)]
        self._name = name
        self._environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        self._environment["GRADOPT_CACHE"] = "0"
        self._store = tempfile.TemporaryDirectory()
        self._process = subprocess.Popen(
            [*self._command, "--worker", name],
            env=self._environment,
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self.sizes: dict[str, int] = json.loads(self._line())

    def _line(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise CaseError(f"{' '.join(self._command)} failed in case {self._name}")
        return line

    def sample(self, what: str) -> float:
        """Seconds of one execution."""
        if what in ("first call", "warm start"):
            command = [*self._command, "--worker-first", self._name]
            store = "0" if what == "first call" else self._store.name
            environment = {**self._environment, "GRADOPT_CACHE": store}
            return float(subprocess.check_output(command, env=environment, text=True))
        assert self._process.stdin is not None
        print(what, file=self._process.stdin, flush=True)
        return float(self._line())

    def close(self) -> None:
        """Ends the process."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()
        self._store.cleanup()


def least(checkouts: list[Checkout], what: str, rounds: int) -> list[float]:
    """The least seconds for each checkout."""
    found = [math.inf] * len(checkouts)
    for attempt in range(ATTEMPTS * rounds):
        if attempt and attempt % rounds == 0 and found[1] <= SLOWER * found[0]:
            break
        # The order changes: what comes second may find warm caches.
        for i in (0, 1) if attempt % 2 == 0 else (1, 0):
            found[i] = min(found[i], checkouts[i].sample(what))
    return found


def with_unit(what: str, number: float) -> str:
    """Microseconds, or a count."""
    if what in ("instructions", "arena"):
        return f"{number:,.0f}"
    return f"{1e6 * number:,.{3 if number < 1e-5 else 0}f}"


def compare(folders: list[Path], name: str, steps: int, rounds: dict[str, int]) -> dict[str, Any]:
    """All quantities of a case, as pairs of the old and the new one."""
    checkouts = [Checkout(folder, name, steps) for folder in folders]
    row: dict[str, Any] = {}
    for what in COLUMNS:
        if what in rounds:
            row[what] = least(checkouts, what, rounds[what])
        else:
            row[what] = [checkout.sizes[what] for checkout in checkouts]
    for checkout in checkouts:
        checkout.close()
    return row


def print_row(title: str, cells: list[str]) -> None:
    """One line of the table."""
    print(f"{title:12}" + "".join(f"{cell:>34}" for cell in cells), flush=True)


def main() -> int:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("old", type=Path, help="folder of a checkout that is built")
    parser.add_argument("new", type=Path, help="the same")
    parser.add_argument("--case", nargs="+", choices=NAMES, default=NAMES)
    parser.add_argument("--steps", type=int, default=50, help="of the cases of slices.py")
    parser.add_argument("--rounds", type=int, default=30, help="samples of a call and of a trace")
    parser.add_argument("--starts", type=int, default=5, help="samples of a start")
    parser.add_argument("--json", type=Path, help="also write the numbers to this file")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    parser.add_argument("--worker-first", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        serve(options.worker, options.steps)
        return 0
    if options.worker_first:
        print(first_call(options.worker_first, options.steps))
        return 0

    rounds = {"call": options.rounds, "trace": options.rounds}
    rounds |= {"first call": options.starts, "warm start": options.starts}
    rows: dict[str, Any] = {}
    print_row("old, new", [f"{what} (us)" if what in rounds else what for what in COLUMNS])
    for name in options.case:
        try:
            row = rows[name] = compare([options.old, options.new], name, options.steps, rounds)
        except CaseError as error:
            print(f"{name}: {error}", flush=True)
            continue
        cells: list[str] = []
        for what, (old, new) in row.items():
            ratio = f"{new / old:.2f}" if old else "-"
            cells.append(f"{with_unit(what, old)} {with_unit(what, new)} {ratio:>6}")
        print_row(name, cells)
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
