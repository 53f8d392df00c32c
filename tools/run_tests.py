# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Runs the lit and the pytest suite and sums up both in one last line.

Without arguments all tests run but those marked slow, which `-m slow` runs.
Arguments go to pytest; with `--lit PATH...` only lit runs, on these paths.
Fails if a test fails and if a suite that was asked for ran nothing.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SCRIPTS = Path(sys.executable).parent

# lit's result codes: https://llvm.org/docs/CommandGuide/lit.html#test-status-results
LIT_RESULTS = {
    "PASS": "passed",
    "FLAKYPASS": "passed",
    "XFAIL": "passed",
    "UNSUPPORTED": "skipped",
    "SKIPPED": "skipped",
    "EXCLUDED": "",
}


def run_lit(paths: list[str], scratch: Path) -> Counter[str]:
    """Runs lit and counts its results."""
    report = scratch / "lit.json"
    command = [str(SCRIPTS / "lit"), "-sv", f"--output={report}", *(paths or ["test"])]
    status = subprocess.run(command, cwd=ROOT).returncode
    counts: Counter[str] = Counter()
    if report.is_file():
        for test in json.loads(report.read_text())["tests"]:
            counts[LIT_RESULTS.get(test["code"], "failed")] += 1
    if status != 0 and not counts["failed"]:
        counts["failed"] += 1
    return counts


def run_pytest(arguments: list[str], scratch: Path) -> Counter[str]:
    """Runs pytest and counts its results."""
    report = scratch / "pytest.xml"
    command = [sys.executable, "-m", "pytest", "-q", f"--junit-xml={report}"]
    usual = ["-n", str(os.cpu_count() or 1), "-m", "not slow"]
    status = subprocess.run([*command, *(arguments or usual)], cwd=ROOT).returncode
    counts: Counter[str] = Counter()
    if report.is_file():
        for suite in ET.parse(report).getroot().iter("testsuite"):
            total, skipped = int(suite.get("tests", 0)), int(suite.get("skipped", 0))
            failed = int(suite.get("failures", 0)) + int(suite.get("errors", 0))
            counts.update(passed=total - skipped - failed, failed=failed, skipped=skipped)
    # Status 5: no test was collected. Not a failed test, but see below.
    if status not in (0, 5) and not counts["failed"]:
        counts["failed"] += 1
    return counts


def main(arguments: list[str]) -> int:
    """Runs what was asked for."""
    with tempfile.TemporaryDirectory(prefix="gradopt-test-") as name:
        scratch = Path(name)
        suites: dict[str, Counter[str]] = {}
        if arguments[:1] == ["--lit"]:
            suites["lit"] = run_lit(arguments[1:], scratch)
        else:
            if not arguments:
                suites["lit"] = run_lit([], scratch)
            suites["pytest"] = run_pytest(arguments, scratch)
    total: Counter[str] = sum(suites.values(), Counter())
    empty = [suite for suite, counts in suites.items() if not counts["passed"] + counts["failed"]]
    for suite in empty:
        print(f"{suite} ran no test", file=sys.stderr)
    print(f"{total['passed']} passed, {total['failed']} failed, {total['skipped']} skipped")
    return 1 if total["failed"] or empty else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
