# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What the runtime needs of a machine."""

import re
from pathlib import Path

from gradopt import _gradopt


def test_runtime_needs_the_c_library_alone():
    library = (Path(_gradopt.__file__).parent / "libGradOptRuntime.so").read_bytes()
    assert len(library) < 1 << 20
    assert not re.search(rb"lib(LLVM|MLIR|stdc\+\+|c\+\+|python)", library)
    versions = [tuple(map(int, v.split(b"."))) for v in re.findall(rb"GLIBC_([0-9.]+)", library)]
    assert max(versions) <= (2, 28)
