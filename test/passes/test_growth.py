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


def loops_in_a_loop(count: int) -> str:
    """Loops that hand one array on, inside of another loop."""
    inner = "\n".join(
        f"""
    %r{j + 1} = scf.for %i{j} = %c0 to %n step %c1 iter_args(%a{j} = %r{j}) -> tensor<4xf64> {{
      %s{j} = linalg.exp ins(%a{j} : tensor<4xf64>) outs(%a{j} : tensor<4xf64>) -> tensor<4xf64>
      scf.yield %s{j} : tensor<4xf64>
    }}"""
        for j in range(count)
    )
    return f"""
func.func @main(%x: tensor<4xf64> {{bufferization.writable = true}}, %n: index) -> tensor<4xf64> {{
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %r = scf.for %i = %c0 to %n step %c1 iter_args(%r0 = %x) -> tensor<4xf64> {{
{inner}
    scf.yield %r{count} : tensor<4xf64>
  }}
  return %r : tensor<4xf64>
}}"""


def test_loops_in_a_loop_end() -> None:
    """The type of each buffer is known, and is not found by following all loops, twice each."""
    done = subprocess.run(
        [str(TOOL), "--grad-bufferize"],
        input=loops_in_a_loop(60),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("scf.for") == 61
    assert "alloc" not in done.stdout
