# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Runs the test suite of HIPS autograd against gradopt, where it is checked out.

    .venv/bin/python tools/hips.py path/to/autograd            # counts, and why tests fail
    .venv/bin/python tools/hips.py path/to/autograd test_fft.py::test_fft ... --trace

The tests run as they stand: they import `autograd`, whose names `tools/hips_adapter.py` makes of
gradopt's public functions. Each file runs in a process of its own, with pytest and SciPy; without
xarray its tests are skipped.
"""

from __future__ import annotations

import argparse
import fnmatch
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import hips_adapter
import pytest

# What is about HIPS itself, and why.
NOT_APPLICABLE: dict[str, tuple[str, ...]] = {
    "vector spaces, the classes in which HIPS adds up gradients": ("test_vspaces.py::*",),
    "const_graph, HIPS' own cache of recorded graphs": ("test_misc.py::test_const_graph*",),
    "names and texts of HIPS' wrappers": ("test_wrappers.py::test_wrapped_name_and_docs",),
    "removes rules from HIPS' table of rules": ("test_logic.py::test_unimplemented_falseyness",),
    "that writing to arrays is refused, which gradopt supports": (
        "test_graphs.py::test_assignment_raises_error",
    ),
    "axes= and dot_axes=, which HIPS adds to scipy.signal.convolve": (
        "test_scipy.py::test_convolve_generalization",
        "test_scipy.py::test_convolve_ignore",
        "test_scipy.py::test_convolve_ignore_dot",
    ),
    "HIPS' own np.where, which takes keywords and returns Python's numbers and lists": (
        "test_wrappers.py::test_custom_where*",
    ),
    "a dtype that depends on values": ("test_systematic.py::test_real_ic",),
    "80-bit floats": ("test_wrappers.py::test_dtypes",),
}


class Recorder:
    """A plugin of pytest's: what came of each test, as lines of JSON."""

    def __init__(self, path: str, timeout: float) -> None:
        self._file = open(path, "a")  # noqa: SIM115
        self._timeout = timeout

    def _write(self, test: str, outcome: str, reason: str = "") -> None:
        self._file.write(json.dumps([test, outcome, reason]) + "\n")
        self._file.flush()

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Names the tests, and takes those away that are not applicable."""
        rest: list[pytest.Item] = []
        for item in items:
            name = test_name(item.nodeid)
            reason = not_applicable(name)
            if reason is None:
                rest.append(item)
                self._write(name, "started")
            else:
                self._write(name, "not applicable", reason)
        items[:] = rest

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Writes down that a file cannot be imported."""
        if report.failed:
            reason = str(report.longrepr).strip().splitlines()[-1].removeprefix("E").strip()
            self._write(test_name(report.nodeid), "failed", reason)

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Iterator[None]:
        """Ends a test that takes too long."""

        def end(*_: Any) -> None:
            raise TimeoutError(f"took more than {self._timeout:.0f} s")

        signal.signal(signal.SIGALRM, end)
        signal.setitimer(signal.ITIMER_REAL, self._timeout)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item, call: Any) -> Iterator[None]:
        """Writes down how a test ended."""
        yield
        if call.when == "teardown":
            return
        error = call.excinfo
        if error is None:
            if call.when == "call":
                self._write(test_name(item.nodeid), "passed")
        elif error.errisinstance(pytest.skip.Exception):
            self._write(test_name(item.nodeid), "skipped", str(error.value))
        else:
            first = str(error.value).partition("\n")[0]
            self._write(test_name(item.nodeid), "failed", f"{error.typename}: {first}")


def test_name(nodeid: str) -> str:
    """A test without the folder of its file."""
    return nodeid.rpartition("/")[2]


test_name.__test__ = False  # pyright: ignore[reportFunctionMemberAccess]


def not_applicable(name: str) -> str | None:
    """Why a test does not count."""
    for reason, patterns in NOT_APPLICABLE.items():
        if any(fnmatch.fnmatch(name, pattern) for pattern in patterns):
            return reason
    return None


def run_here(root: Path, tests: list[str], record: str, timeout: float, trace: bool) -> int:
    """Runs tests in this process."""
    hips_adapter.install()
    options = ["-c", os.devnull, "--rootdir", str(root), "-p", "no:cacheprovider", "-q"]
    options += ["--tb", "short" if trace else "no", "--no-header"]
    options += [str(root / "tests" / test) for test in tests]
    return int(pytest.main(options, plugins=[Recorder(record, timeout)]))


def run_apart(options: argparse.Namespace, tests: list[str]) -> dict[str, tuple[str, str]]:
    """What came of tests that ran in a process of their own, by name."""
    with tempfile.TemporaryDirectory() as folder:
        record = Path(folder) / "record"
        record.touch()
        command = [sys.executable, __file__, str(options.root), *tests, "--record", str(record)]
        command += ["--timeout", str(options.timeout), *(["--trace"] if options.trace else [])]
        done = subprocess.run(command, capture_output=not options.trace, text=True, check=False)
        found: dict[str, tuple[str, str]] = {}
        for line in record.read_text().splitlines():
            name, outcome, reason = json.loads(line)
            found[name] = outcome, reason
    for name, (outcome, _) in found.items():
        if outcome == "started":
            found[name] = "failed", f"the process ended with status {done.returncode}"
    passed = sum(outcome == "passed" for outcome, _ in found.values())
    print(f"{tests[0]}: {passed} of {len(found)} pass", flush=True)
    return found


def show(found: dict[str, tuple[str, str]]) -> None:
    """Prints counts and reasons."""
    by_reason: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for name, (outcome, reason) in found.items():
        by_reason[outcome][reason].append(name)
    for reason, names in sorted(by_reason["failed"].items(), key=lambda row: -len(row[1])):
        print(f"{len(names):4} failed: {reason}\n       {' '.join(names)}")
    for outcome in ("not applicable", "skipped"):
        for reason, names in by_reason[outcome].items():
            print(f"{len(names):4} {outcome}: {reason}")
    counts = Counter(outcome for outcome, _ in found.values())
    applicable = counts["passed"] + counts["failed"]
    print(
        f"{counts['passed']} of {applicable} applicable tests pass "
        f"({100 * counts['passed'] / max(applicable, 1):.1f} %); "
        f"{counts['not applicable']} not applicable, {counts['skipped']} skipped"
    )


def main() -> int:
    """Runs the files of the suite, or what is named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("root", type=Path)
    parser.add_argument("tests", nargs="*", help="files or tests, as test_fft.py::test_fft")
    parser.add_argument("--timeout", type=float, default=300, help="seconds for one test")
    parser.add_argument("--jobs", type=int, default=1, help="files at a time")
    parser.add_argument("--trace", action="store_true", help="print where tests fail")
    parser.add_argument("--record", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.record:
        return run_here(options.root, options.tests, options.record, options.timeout, options.trace)
    files = sorted(path.name for path in (options.root / "tests").glob("test_*.py"))
    with ThreadPoolExecutor(options.jobs) as pool:
        parts = pool.map(lambda name: run_apart(options, [name]), options.tests or files)
        found = {name: row for part in parts for name, row in part.items()}
    show(found)
    return int(any(outcome == "failed" for outcome, _ in found.values()))


if __name__ == "__main__":
    sys.exit(main())
