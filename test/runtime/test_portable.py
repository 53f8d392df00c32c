# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What the runtime needs of a machine."""

import re
from pathlib import Path

from gradopt import _compiler, _gradopt


def test_runtime_needs_the_c_library_alone():
    library = (Path(_gradopt.__file__).parent / "libGradOptRuntime.so").read_bytes()
    assert len(library) < 1 << 20
    assert not re.search(rb"lib(LLVM|MLIR|stdc\+\+|c\+\+|python)", library)
    versions = [tuple(map(int, v.split(b"."))) for v in re.findall(rb"GLIBC_([0-9.]+)", library)]
    assert max(versions) <= (2, 28)


def test_calls_need_no_compiler():
    needed = {
        module: {name for name in (b"LLVM", b"MLIR") if b"lib" + name in Path(module).read_bytes()}
        for module in (_gradopt.__file__, _compiler.__file__)
    }
    assert needed == {_gradopt.__file__: set(), _compiler.__file__: {b"LLVM", b"MLIR"}}
