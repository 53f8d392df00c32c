# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What passes need for programs with many arguments: counted in bytes, which no machine changes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

BUILD = os.environ.get("GRADOPT_BUILD_DIR")
TOOL = Path(BUILD, "bin", "gradopt") if BUILD else Path(sys.executable).parent / "gradopt"


def peak_bytes(text: str, flags: list[str]) -> int:
    """The most memory that the tool had while it worked on `text`."""
    command = [str(TOOL), *flags, "-o", os.devnull]
    process = subprocess.Popen(command, stdin=subprocess.PIPE)
    assert process.stdin
    process.stdin.write(text.encode())
    process.stdin.close()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    return 1024 * usage.ru_maxrss


def identity(count: int) -> str:
    """A function that returns all its arguments."""
    names = [f"%a{i}" for i in range(count)]
    types = ", ".join(["tensor<4xf64>"] * count)
    arguments = ", ".join(f"{name}: tensor<4xf64>" for name in names)
    body = f"return {', '.join(names)} : {types}"
    return f"func.func @main({arguments}) -> ({types}) {{\n  {body}\n}}"


@pytest.mark.parametrize(
    "flags",
    [
        ["--grad-results-to-destinations"],
        ["--grad-results-to-destinations", "--grad-bufferize"],
        ["--grad-to-bufferized", "--grad-to-llvm"],
    ],
    ids=" ".join,
)
def test_memory_for_each_argument(flags: list[str]) -> None:
    """An attribute of one argument is not a new list of the attributes of all."""
    few, many = 500, 2000
    grown = peak_bytes(identity(many), flags) - peak_bytes(identity(few), flags)
    assert grown / (many - few) < 16_384
