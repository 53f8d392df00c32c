# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The C compiler, for tests that come with a bit of C or C++."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).parent


def compile_c(source: Path, *flags: str) -> None:
    """Compiles with all warnings as errors; skips the test if there is no compiler."""
    _compile(["/usr/lib/llvm-22/bin/clang", "/usr/bin/cc"], source, *flags)


def compile_cpp(source: Path, *flags: str) -> None:
    """The same for C++17."""
    _compile(["/usr/lib/llvm-22/bin/clang++", "/usr/bin/c++"], source, "-std=c++17", *flags)


def _compile(compilers: list[str], source: Path, *flags: str) -> None:
    compiler = next((path for path in compilers if Path(path).exists()), None)
    if compiler is None:
        pytest.skip("no compiler")
    command = [compiler, "-Wall", "-Wextra", "-Werror", *flags, str(source)]
    subprocess.run(command, check=True, timeout=120)


def shared_library(name: str, folder: Path) -> Path:
    """The library in `folder` that is made of the C file of that name beside this one."""
    library = folder / f"{name}.so"
    flags = ["-O1", "-fno-builtin", "-shared", "-fPIC"]
    compile_c(HERE / f"{name}.c", *flags, "-o", str(library), "-ldl", "-pthread")
    return library
