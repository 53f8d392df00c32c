# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Times values, gradients and other derivatives of a few functions with gradopt and its peers.

For each case a fresh process checks that all libraries agree and then times them in turns, so
that a change in the machine's load meets all of them: `time` is the median over the rounds and
`ratio` that time over gradopt's. `first call` (from Python function to result, libraries
imported) and `peak memory` (besides the arguments) are measured in a process for each library;
for gradopt the latter is what its plan says, for libraries on NumPy what `tracemalloc` sees, for
others how far resident memory rises, which shows large blocks alone.
"""

from __future__ import annotations

import argparse
import gc
import json
import math
import os
import platform
import statistics
import subprocess
import sys
import time
import tracemalloc
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from cases import CASES, Case
from loops import LOOPS
from matrices import MATRICES
from peers import PEERS, Call, Peer
from transforms import TRANSFORMS

SAMPLE_SECONDS = 0.01
LARGE_BLOCK = 65536
EVERY = {**CASES, **LOOPS, **MATRICES, **TRANSFORMS}


def arguments_of(case: Case) -> tuple[Any, ...]:
    """The same arguments in each process."""
    return case.arguments(np.random.default_rng(0))


def leaves(tree: Any) -> list[Any]:
    """The arrays in nested tuples and lists."""
    if isinstance(tree, (tuple, list)):
        return [leaf for part in tree for leaf in leaves(part)]
    return [np.asarray(tree)]


# -- In a worker process -------------------------------------------------------------------


def check(name: str, result: list[Any], expected: list[Any], has_all: bool) -> None:
    """Exits with a message where a library disagrees with gradopt."""
    if not has_all:
        expected = expected[:1]
    for position, (ours, theirs) in enumerate(zip(expected, result, strict=True)):
        if theirs.dtype != np.float64:
            sys.exit(f"{name} computed in {theirs.dtype}")
        if not np.all(np.isfinite(ours)):
            sys.exit(f"result {position} of this case is not finite")
        scale = np.max(np.abs(ours), initial=1e-300)
        if not np.allclose(ours, theirs, rtol=1e-9, atol=1e-11 * scale):
            sys.exit(f"{name} and gradopt disagree on result {position} of this case")


def time_in_turns(case: Case, names: list[str], rounds: int, threads: int) -> dict[str, float]:
    """Median seconds of a call, for each library."""
    arguments = arguments_of(case)
    calls: dict[str, Call] = {}
    expected: list[Any] = []
    for name in names:
        peer = PEERS[name](threads)
        calls[name] = peer.prepare(case, arguments)
        result = leaves(calls[name]())
        expected = expected or result
        # A value alone is the first of a value and a gradient.
        if peer.differentiates or case.wanted in ("gradient", "result"):
            has_all = peer.differentiates or case.wanted == "result"
            check(name, result, expected, has_all)

    repeats: dict[str, int] = {}
    for name, call in calls.items():
        call()
        start = time.perf_counter()
        call()
        once = max(time.perf_counter() - start, 1e-7)
        repeats[name] = max(1, math.ceil(SAMPLE_SECONDS / once))
    samples: dict[str, list[float]] = {name: [] for name in names}
    gc.collect()
    gc.disable()
    for _ in range(rounds):
        for name, call in calls.items():
            count = range(repeats[name])
            start = time.perf_counter()
            for _ in count:
                call()
            samples[name].append((time.perf_counter() - start) / repeats[name])
    return {name: statistics.median(times) for name, times in samples.items()}


def traced_peak(call: Call) -> int:
    """Bytes of Python objects and NumPy arrays that live at most during `call`."""
    tracemalloc.start()
    result = call()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    del result
    return peak


def resident_peak(call: Call) -> int | None:
    """Bytes by which resident memory rises at most during `call`, if large; Linux only."""

    def status(field: str) -> int:
        text = Path("/proc/self/status").read_text()
        return next(int(line.split()[1]) * 1024 for line in text.splitlines() if field in line)

    try:
        Path("/proc/self/clear_refs").write_text("5")
        before = status("VmRSS")
        result = call()
        peak = status("VmHWM")
    except OSError:
        return None
    del result
    return peak - before if peak - before >= LARGE_BLOCK else None


def measure(case: Case, name: str, threads: int) -> dict[str, float | None]:
    """First call and peak memory of one library."""
    arguments = arguments_of(case)
    peer: Peer = PEERS[name](threads)
    start = time.perf_counter()
    call = peer.prepare(case, arguments)
    call()
    first = time.perf_counter() - start
    gc.collect()
    planned = peer.planned_bytes()
    if planned is None:
        peak = traced_peak(call) if peer.is_traced else resident_peak(call)
    else:
        peak = planned
    return {"first_call": first if peer.compiles else None, "peak_bytes": peak}


# -- In the main process -------------------------------------------------------------------


def worker(arguments: list[str], threads: int) -> Any:
    """What this script prints as JSON when started with `arguments`."""
    count = str(threads)
    environment = {
        **os.environ,
        "GRADOPT_CACHE": "0",  # A first call compiles.
        "OMP_NUM_THREADS": count,
        "OPENBLAS_NUM_THREADS": count,
        "MKL_NUM_THREADS": count,
        # Every large block goes back to the system when it is freed, so that it can be measured.
        "MALLOC_MMAP_THRESHOLD_": str(LARGE_BLOCK),
        "MALLOC_TRIM_THRESHOLD_": str(LARGE_BLOCK),
    }
    if arguments[0] == "--worker-time":
        del environment["MALLOC_MMAP_THRESHOLD_"], environment["MALLOC_TRIM_THRESHOLD_"]
    process = subprocess.run(
        [sys.executable, __file__, "--threads", count, *arguments],
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        # XLA's pools have as many threads as there are CPUs, whatever its flags say.
        preexec_fn=lambda: os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads]),
    )
    if process.returncode != 0:
        raise RuntimeError(f"worker {' '.join(arguments)} failed")
    return json.loads(process.stdout.splitlines()[-1])


def with_unit(number: float | None, units: list[tuple[float, str]]) -> str:
    """The number in the largest unit that leaves at least 1 before the point."""
    if number is None:
        return "-"
    scale, unit = next((u for u in units if number >= u[0]), units[-1])
    return f"{number / scale:.3g} {unit}"


SECONDS = [(1.0, "s"), (1e-3, "ms"), (1e-6, "us"), (1e-9, "ns")]
BYTES = [(2.0**30, "GiB"), (2.0**20, "MiB"), (2.0**10, "KiB"), (1.0, "B")]


def describe_machine(names: list[str], threads: int) -> str:
    """Processor, threads and versions, in one line."""
    try:
        text = Path("/proc/cpuinfo").read_text()
        model = next(s.split(":")[1].strip() for s in text.splitlines() if "model name" in s)
    except (OSError, StopIteration):
        model = platform.processor() or platform.machine()
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in names)
    return f"{model}, {threads} thread{'s' * (threads > 1)}, float64; {versions}"


def print_row(*cells: str) -> None:
    """One line of the table."""
    library, *numbers = cells
    print(f"  {library:20}" + "".join(f"{cell:>14}" for cell in numbers), flush=True)


def compare(titles: list[str], names: list[str], rounds: int, threads: int) -> list[dict[str, Any]]:
    """Runs the cases, printing each as soon as it is there."""
    print(describe_machine(names, threads))
    print_row("", "time", "ratio", "first call", "peak memory")
    rows: list[dict[str, Any]] = []
    for title in titles:
        print(f"\n{EVERY[title].title}", flush=True)
        able = [name for name in names if PEERS[name].can_do(EVERY[title])]
        times = worker(["--worker-time", title, *able, "--rounds", str(rounds)], threads)
        for name in able:
            row = {
                "case": title,
                "library": name,
                "seconds": times[name],
                "ratio": times[name] / times["gradopt"],
                **worker(["--worker-measure", title, name], threads),
            }
            rows.append(row)
            print_row(
                PEERS[name].title,
                with_unit(row["seconds"], SECONDS),
                f"{row['ratio']:.2f}",
                with_unit(row["first_call"], SECONDS),
                with_unit(row["peak_bytes"], BYTES),
            )
    return rows


def main() -> int:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--case",
        nargs="+",
        metavar="CASE",
        choices=list(EVERY),
        default=list(CASES),
        help="names of cases; the answer to a name that is none lists all",
    )
    parser.add_argument("--loops", nargs="*", metavar="PART", help="cases of loops.py named so")
    parser.add_argument("--matrices", nargs="*", metavar="PART", help="of matrices.py, the same")
    parser.add_argument(
        "--transforms", nargs="*", metavar="PART", help="of transforms.py, the same"
    )
    parser.add_argument("--library", nargs="+", choices=list(PEERS), default=list(PEERS))
    parser.add_argument("--rounds", type=int, default=21)
    parser.add_argument("--threads", type=int, default=1, help="for every library (default: 1)")
    parser.add_argument("--json", type=Path, help="also write the numbers to this file")
    parser.add_argument("--worker-time", nargs="+", help=argparse.SUPPRESS)
    parser.add_argument("--worker-measure", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.rounds < 1 or arguments.threads < 1:
        parser.error("--rounds and --threads are 1 or more")
    if arguments.json and not arguments.json.parent.is_dir():
        parser.error(f"--json: there is no folder {arguments.json.parent}")

    for parts, cases in (
        (arguments.loops, LOOPS),
        (arguments.matrices, MATRICES),
        (arguments.transforms, TRANSFORMS),
    ):
        if parts is not None:
            arguments.case = [name for name in cases if any(p in name for p in parts or [""])]

    if arguments.worker_time:
        case, *names = arguments.worker_time
        times = time_in_turns(EVERY[case], names, arguments.rounds, arguments.threads)
        print(json.dumps(times))
        return 0
    if arguments.worker_measure:
        case, name = arguments.worker_measure
        print(json.dumps(measure(EVERY[case], name, arguments.threads)))
        return 0

    wanted = {"gradopt", *arguments.library}
    names = [name for name in PEERS if name in wanted and PEERS[name].is_installed()]
    try:
        rows = compare(arguments.case, names, arguments.rounds, arguments.threads)
    except RuntimeError as error:
        print(error, file=sys.stderr)
        return 1
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=1) + "\n")
    if missing := [PEERS[name].title for name in PEERS if name in wanted and name not in names]:
        print(f"\nnot installed, so left out: {', '.join(missing)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
