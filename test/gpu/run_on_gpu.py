# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Runs the tests that need a GPU on that of this machine.

The numeric tables of all ops run on the device, each program twice: the bits of both results have
to be equal. Arrays of PyTorch, CuPy, JAX and Numba are tried as far as these are installed. With `--sanitizer` they run under compute-sanitizer, of the CUDA toolkit, which checks
each access; that takes long, so `-k` is useful: what is behind the options goes to pytest.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path

import gradopt as go

ROOT = Path(__file__).resolve().parent.parent.parent
MODULES = (
    "test/numerics/test_on_device.py",
    "test/numerics/test_transposes_on_device.py",
    "test/frontend/test_device_convolutions.py",
    "test/gpu/test_libraries.py",
)


def main() -> int:
    """Reads the command line and runs pytest."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sanitizer", choices=("memcheck", "racecheck", "synccheck"))
    options, rest = parser.parse_known_args()
    try:
        go.asarray(0.0, device="cuda")
    except go.errors.DeviceError as error:
        sys.exit(str(error))
    for device in go.devices()[1:]:
        print(f"{device.name}: {device.description}")
    command = [sys.executable, "-m", "pytest", "-q", *MODULES, *rest]
    if options.sanitizer:
        sanitizer = shutil.which("compute-sanitizer")
        if sanitizer is None:
            print("compute-sanitizer of the CUDA toolkit is not on the PATH", file=sys.stderr)
            return 1
        command = [sanitizer, "--tool", options.sanitizer, "--error-exitcode", "1", *command]
    return subprocess.call(command, cwd=ROOT, env={**os.environ, "GRADOPT_TEST_GPU": "1"})


if __name__ == "__main__":
    sys.exit(main())
