# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Assembles the kernels of ptx_programs.py for several GPUs, which needs no GPU.

As a program, prints what each kernel takes, and fails if one is refused or has more values than
registers. `ptxas` is that of the PATH, or of the package nvidia-cuda-nvcc (the extra `ptx`).
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path += [str(ROOT / "test"), str(ROOT / "test" / "numerics")]

from ptx_programs import PROGRAMS, Code  # noqa: E402

from gradopt import _compiler  # noqa: E402

CHIPS = ("sm_80", "sm_90", "sm_100")


@dataclass(frozen=True)
class Kernel:
    """What a kernel takes of a multiprocessor.

    Attributes:
        name: in the PTX.
        registers: of a thread.
        shared: bytes of a block.
        barriers: named ones.
        local: bytes of memory that a thread has for itself: arrays, and what was spilled.
        spilled: bytes that are stored and loaded for want of registers.
    """

    name: str
    registers: int
    shared: int
    barriers: int
    local: int
    spilled: int


class AssemblyError(Exception):
    """`ptxas` refused a program; the message is its own."""


def find_assembler() -> str | None:
    """Where `ptxas` is; none if it is not installed."""
    if found := shutil.which("ptxas"):
        return found
    packages = Path(sysconfig.get_path("platlib"), "nvidia")
    return next((str(path) for path in packages.glob("*/bin/ptxas")), None)


def ptx_of(code: Code, chip: str = "sm_90") -> str:
    """The PTX of a program."""
    work = _compiler.Compilation(code, "assembly", chip=chip)
    while not work.wait(60):
        pass
    return work.text


def entries(ptx: str) -> dict[str, str]:
    """The text of each kernel, parameters and body."""
    return {
        match[1]: match[0]
        for match in re.finditer(r"^\.visible \.entry (\w+)\(.*?^}$", ptx, re.DOTALL | re.MULTILINE)
    }


def assemble(ptx: str, chip: str, assembler: str) -> list[Kernel]:
    """Assembles a program and says what its kernels take.

    Raises:
        AssemblyError: it is no valid program for this chip.
    """
    with tempfile.TemporaryDirectory(prefix="gradopt-ptx-") as folder:
        source = Path(folder, "kernels.ptx")
        source.write_text(ptx)
        command = [assembler, f"-arch={chip}", "-v", str(source), "-o", str(Path(folder, "out"))]
        result = subprocess.run(command, text=True, capture_output=True)
    said = result.stdout + result.stderr
    if result.returncode != 0:
        raise AssemblyError(said)
    kernels: list[Kernel] = []
    for part in said.split("Compiling entry function '")[1:]:

        def number(pattern: str, part: str = part) -> int:
            return sum(int(found) for found in re.findall(pattern, part))

        kernels.append(
            Kernel(
                part.split("'", 1)[0],
                number(r"Used (\d+) registers"),
                number(r"(\d+) bytes smem"),
                number(r"used (\d+) barriers"),
                number(r"(\d+) bytes stack frame"),
                number(r"(\d+) bytes spill"),
            )
        )
    return kernels


def commands(code: Code, chip: str = "sm_90") -> list[str]:
    """The commands of a program, without their numbers."""
    options = "command-remarks=1"
    work = _compiler.Compilation(code, "nvvm", chip=chip, options=options)
    while not work.wait(60):
        pass
    return [remark.message.partition(": ")[2] for remark in work.diagnostics]


def launches(code: Code, chip: str) -> dict[str, str]:
    """Blocks and threads of each kernel, as the commands of a program say them."""
    return dict(re.findall(r"@(\w+)<([\d x]+)>", "\n".join(commands(code, chip))))


def main() -> int:
    """Prints a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--chip", action="append", choices=CHIPS, help="may be repeated")
    parser.add_argument("programs", nargs="*", metavar="PROGRAM", help="all if none is named")
    arguments = parser.parse_args()
    assembler = find_assembler()
    if assembler is None:
        print("there is no ptxas: `make test-ptx` installs it", file=sys.stderr)
        return 1
    chips: list[str] = arguments.chip or list(CHIPS)
    names: list[str] = arguments.programs or list(PROGRAMS)
    start = time.monotonic()
    columns = "registers shared local barriers"
    print(f"{'':56}" + "".join(f"{chip:>36}" for chip in chips))
    print(f"{'program':18}{'kernel':20}{'blocks x threads':18}" + f"{columns:>36}" * len(chips))
    failures: list[str] = []
    with ThreadPoolExecutor() as pool:
        for name in names:
            code = PROGRAMS[name]()

            def run(chip: str, code: Code = code) -> list[Kernel]:
                return assemble(ptx_of(code, chip), chip, assembler)

            jobs = [pool.submit(run, chip) for chip in chips]
            try:
                results = [job.result() for job in jobs]
            except (AssemblyError, _compiler.CompilationError) as error:
                print(f"{name:18}{error}")
                failures.append(name)
                continue
            shapes = launches(code, chips[0])
            for row in zip(*results, strict=True):
                kernel = row[0].name
                print(f"{name:18}{kernel:20}{shapes.get(kernel, ''):18}", end="")
                for k in row:
                    print(f"{k.registers:13}{k.shared:7}{k.local:6}{k.barriers:10}", end="")
                print()
                if any(k.spilled for k in row):
                    failures.append(f"{name} ({kernel} spills)")
    seconds = time.monotonic() - start
    print(f"{len(names)} programs assembled in {seconds:.0f} s")
    for failure in failures:
        print(f"failed: {failure}")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
