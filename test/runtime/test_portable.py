# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What the runtime needs of a machine."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gradopt import _compiler, _gradopt

FOLDER = Path(_gradopt.__file__).parent


@pytest.mark.parametrize("name", ["libGradOptRuntime.so", "libGradOptFourier.so"])
def test_the_oldest_glibc(name: str) -> None:
    library = (FOLDER / name).read_bytes()
    versions = [tuple(map(int, v.split(b"."))) for v in re.findall(rb"GLIBC_([0-9.]+)", library)]
    assert (2, 2, 5) <= max(versions) <= (2, 28)
    # The library of C++ of GCC 9.
    of_cpp = [tuple(map(int, v.split(b"."))) for v in re.findall(rb"GLIBCXX_([0-9.]+)", library)]
    assert max(of_cpp, default=(0,)) <= (3, 4, 26)


def test_the_runtime_needs_the_c_library_alone() -> None:
    library = (FOLDER / "libGradOptRuntime.so").read_bytes()
    assert len(library) < 1 << 20
    assert not re.search(rb"lib(LLVM|MLIR|stdc\+\+|c\+\+|python)", library)


def test_calls_need_no_compiler() -> None:
    needed = {
        module: {name for name in (b"LLVM", b"MLIR") if b"lib" + name in Path(module).read_bytes()}
        for module in (_gradopt.__file__, _compiler.__file__)
    }
    assert needed == {_gradopt.__file__: set(), _compiler.__file__: {b"LLVM", b"MLIR"}}
