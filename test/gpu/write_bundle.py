# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Writes a folder to be taken to a machine with a GPU, and run there by its run_bundle.py.

It has the programs of the numeric tests of all ops, and those of bundle_programs.py, compiled for
GPUs alone (`programs.bundle`); what each program is called with, and what it has to return
(`data.npz`), which is computed here, on the CPU, and checked as in the tests; and the runtime. On
the other machine nothing but NumPy is needed.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import sys
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path += [str(ROOT / "test"), str(ROOT / "test" / "numerics")]

import harness  # noqa: E402
from bundle_programs import PROGRAMS, Whole  # noqa: E402

import gradopt_runtime  # noqa: E402
from gradopt import _compiler  # noqa: E402
from gradopt.base.pytree import flatten  # noqa: E402
from gradopt.compilation.bundle import CHIPS, device_program, program_code  # noqa: E402
from gradopt.compilation.compiler import Program  # noqa: E402
from gradopt.errors import DeviceError  # noqa: E402
from gradopt_runtime import DTYPES  # noqa: E402

Array = np.ndarray[Any, Any]
Call = tuple[list[Array], list[Array]]
# What the host computes is tested here: it would be the other host's, with its libraries.
ON_HOST = re.compile(
    r"grad\.(custom_call|(lapack|sort|fourier)_into|cholesky|lu|lu_solve|triangular_\w+|qr|eigh|svd"
    r"|eig|schur|fft|rfft|irfft)\b"
)


@dataclass
class Recorded:
    """A program, and what it was called with and returned."""

    name: str
    make: Any
    calls: list[Call] = field(default_factory=list[Call])


class Recorder:
    """Takes the place of a device in the numeric tests."""

    def __init__(self, chips: list[str], assembler: str) -> None:
        self.chips, self.assembler = chips, assembler
        self.found: list[Recorded] = []
        self.test = ""

    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """Called by pytest."""
        self.test = item.name.removeprefix("test_")

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self) -> Generator[None, Any, Any]:
        """Called by pytest: leaves out tests that compile for a device by themselves."""
        try:
            return (yield)
        except DeviceError as error:
            pytest.skip(str(error))

    def load(self, program: Program, args: harness.Specs, results: harness.Specs) -> Any:
        """The program on the CPU, which remembers its calls."""
        executable = harness.load_on_cpu(program, args, results)
        if ON_HOST.search(str(program.code)):
            return executable
        recorded = Recorded(
            f"{len(self.found)}_{self.test}",
            lambda: self._program(recorded.name, program, args, results),
        )
        self.found.append(recorded)

        def call(*arguments: Any) -> Any:
            got = executable(*arguments)
            inputs = [
                np.array(a, dtype).reshape(shape)
                for a, (dtype, shape) in zip(arguments, args, strict=True)
            ]
            recorded.calls.append((inputs, [np.array(value) for value in got]))
            return got

        return call

    def _program(
        self, name: str, program: Program, args: harness.Specs, results: harness.Specs
    ) -> _compiler.BundleProgram:
        code, arena = device_program(program, self.chips, self.assembler)
        return _compiler.BundleProgram(
            name,
            arena,
            [(f"x{i}", DTYPES.index(dtype), shape, ()) for i, (dtype, shape) in enumerate(args)],
            [],
            [
                (f"r{i}", DTYPES.index(dtype), shape, -1, ())
                for i, (dtype, shape) in enumerate(results)
            ],
            [],
            [],
            code,
        )

    def add_whole(self, name: str, whole: Whole) -> None:
        """Adds one of the other programs, whose value is that of NumPy."""
        lowered = whole.compiled().lower(*whole.arguments)
        results = [np.array(leaf) for leaf in flatten(lowered.compile()(*whole.arguments))[0]]
        if whole.is_numpy:
            expected = flatten(whole.function(*whole.arguments))[0]
            single = any(a.dtype == np.float32 for a in whole.arguments)
            for got, value in zip(results, expected, strict=False):
                np.testing.assert_allclose(got, value, rtol=1e-3 if single else 1e-9, atol=1e-6)
        inputs = [np.array(argument) for argument in whole.arguments]
        self.found.append(
            Recorded(
                name,
                lambda: program_code(name, lowered, (), self.chips, self.assembler),
                [(inputs, results)],
            )
        )


def write(folder: Path, recorded: list[Recorded]) -> None:
    """Compiles the programs for GPUs, and writes all files."""
    with ThreadPoolExecutor() as pool:
        programs = list(pool.map(lambda one: one.make(), recorded))
    folder.mkdir(parents=True, exist_ok=True)
    _compiler.write_bundle(os.fsencode(folder / "programs.bundle"), programs, "")
    arrays = {
        f"{one.name}/{number}/{kind}/{i}": array
        for one in recorded
        for number, call in enumerate(one.calls)
        for kind, values in zip(("x", "r"), call, strict=True)
        for i, array in enumerate(values)
    }
    np.savez_compressed(folder / "data.npz", **arrays)  # pyright: ignore[reportArgumentType]
    shutil.copy(Path(__file__).with_name("run_bundle.py"), folder)
    package = folder / "gradopt_runtime"
    shutil.rmtree(package, ignore_errors=True)
    source = Path(gradopt_runtime.__file__).parent
    shutil.copytree(source, package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(gradopt_runtime.library_path(), package)


def main() -> int:
    """Reads the command line, records, compiles and writes."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--chips", default=",".join(CHIPS), help="with commas between them")
    parser.add_argument("--assembler", default="", help="a ptxas, to add machine code")
    parser.add_argument("-k", default="", help="only the numeric tests that pytest selects by it")
    options = parser.parse_args()
    recorder = Recorder(options.chips.split(","), options.assembler)
    os.environ["GRADOPT_TEST_GPU"] = "1"  # No emulator.
    harness.load_on_device = recorder.load
    tests = [str(ROOT / "test/numerics/test_on_device.py"), "-k", options.k]
    if pytest.main(["-q", "-p", "no:cacheprovider", *tests], plugins=[recorder]) != 0:
        return 1
    for name, whole in PROGRAMS.items():
        recorder.add_whole(name, whole)
    write(options.folder, recorder.found)
    size = sum(file.stat().st_size for file in options.folder.rglob("*"))
    print(f"{options.folder}: {len(recorder.found)} programs, {size / 1e6:.1f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
