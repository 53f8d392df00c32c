# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Tests the runtime and the extension module under sanitizers.

Builds them twice, with the address and undefined behaviour sanitizers and with the thread
sanitizer, in `build/asan` and `build/tsan`, and runs the tests of calls, threads, forks and exits
with each. Arguments go to pytest in place of these tests. Fails if a test fails and if a sanitizer
reports anything, in whatever process.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

from setup import find_mlir_dir
from steps import ROOT, SetupError, output_of, say

TESTS = [
    "test/runtime/test_dispatcher.py",
    "test/runtime/test_executable.py",
    "test/runtime/test_c_api.py",
    "test/runtime/test_commands.py",
    "test/runtime/test_bundle.py",
    "test/runtime/test_device_bundle.py",
    "test/runtime/test_cuda.py",
    "test/runtime/test_cuda_graphs.py",
    "test/runtime/test_cuda_products.py",
    "test/runtime/test_cuda_streams.py",
    "test/runtime/test_cuda_driver.py",
    "test/runtime/test_cuda_factorizations.py",
    "test/runtime/test_device_program.py",
    "test/runtime/test_codegen.py",
    "test/runtime/test_steady_state.py",
    "test/runtime/test_fork.py",
    "test/runtime/test_exit.py",
    "test/frontend/test_threads.py",
    "test/frontend/test_written_arguments.py",
    "test/frontend/test_donation.py",
    "test/frontend/test_interrupts.py",
]
# They look at memory of the whole process, much of which is the sanitizer's, or link a program that
# is not sanitized.
NOT_THESE = "allocate_nothing or leak_nothing or many_modules or a_c_program or a_program_in_cpp"

# Memory may run out, as it may without a sanitizer.
COMMON = "allocator_may_return_null=1"
OPTIONS = {
    "asan": {
        # Python keeps much until the end; leaks have tests of their own.
        "ASAN_OPTIONS": f"{COMMON}:detect_leaks=0",
        "UBSAN_OPTIONS": "print_stacktrace=1",
    },
    # Tests fork with threads, and a daemon thread cannot join what it started.
    "tsan": {
        "TSAN_OPTIONS": f"{COMMON}:die_after_fork=0:report_thread_leaks=0"
        f":suppressions={ROOT}/tools/tsan-suppressions.txt"
    },
}


def build(preset: str) -> Path:
    """Compiles, and returns the folder of the native modules."""
    log = ROOT / "build" / f"{preset}.log"
    log.parent.mkdir(exist_ok=True)
    with log.open("w") as stream:
        for command in (
            ["cmake", "--preset", preset, f"-DMLIR_DIR={find_mlir_dir()}"],
            ["cmake", "--build", "--preset", preset],
        ):
            if subprocess.run(command, cwd=ROOT, stdout=stream, stderr=stream).returncode != 0:
                sys.stderr.writelines(log.read_text().splitlines(keepends=True)[-40:])
                raise SetupError(f"the preset {preset} does not compile; see {log}")
    return ROOT / "build" / preset / "python" / "gradopt"


def make_environment(preset: str, native: Path) -> Path:
    """Makes a virtual environment with these native modules; returns its Python.

    Everything else comes from the environment that runs this script.
    """
    folder = ROOT / "build" / preset / "venv"
    venv.create(folder, clear=True)
    python = folder / "bin" / "python"
    where = "import sysconfig; print(sysconfig.get_path('purelib'))"
    site = Path(output_of([python, "-c", where]).strip())
    package = site / "gradopt"
    for name in ("gradopt", "gradopt_runtime"):
        shutil.copytree(
            ROOT / "frontend" / name,
            site / name,
            copy_function=os.symlink,
            ignore=shutil.ignore_patterns("__pycache__"),
        )
    for path in native.rglob("*"):
        target = package / path.relative_to(native)
        if path.is_file() and not target.exists():
            target.symlink_to(path)
    others = Path(sysconfig.get_path("purelib"))
    (site / "others.pth").write_text(f"{others}\n")
    # The compiler looks for MLIR's library beside its package.
    (site / "mlir").symlink_to(others / "mlir")
    return python


def runtime_library(name: str) -> Path:
    """The sanitizer's runtime, which has to be there before Python."""
    clang = find_mlir_dir().parents[2] / "bin" / "clang"
    file = f"libclang_rt.{name}-{platform.machine()}.so"
    library = Path(output_of([clang, f"-print-file-name={file}"]).strip())
    if not library.is_file():
        raise SetupError(f"{clang} comes without {file}: install libclang-rt-22-dev")
    return library


def run_tests(preset: str, arguments: list[str]) -> bool:
    """Runs the tests; whether all is well."""
    say(f"{preset}: compiling")
    python = make_environment(preset, build(preset))
    reports = ROOT / "build" / preset / "reports"
    shutil.rmtree(reports, ignore_errors=True)
    reports.mkdir()
    options = {
        name: f"{value}:log_path={reports}/report" for name, value in OPTIONS[preset].items()
    }
    emulator = ROOT / "build" / preset / "test" / "libgradopt_emulated_cuda.so"
    say(f"{preset}: testing")
    selected = arguments or [*TESTS, "-k", f"not ({NOT_THESE})"]
    status = subprocess.run(
        [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", *selected],
        cwd=ROOT,
        env={
            **os.environ,
            **options,
            "LD_PRELOAD": str(runtime_library(preset)),
            "GRADOPT_EMULATOR_LIBRARY": str(emulator),
        },
    ).returncode
    # A refused allocation is a warning, and what some tests ask for.
    written = [
        path
        for path in sorted(reports.iterdir())
        if any(sign in path.read_text() for sign in ("ERROR: ", "runtime error: ", "ThreadSan"))
    ]
    for path in written[:3]:
        print(f"\n{path}:\n{path.read_text()[:6000]}")
    say(f"{preset}: {'tests failed' if status else 'tests passed'}, {len(written)} reports")
    return status == 0 and not written


def main() -> int:
    """Runs both."""
    try:
        passed = [run_tests(preset, sys.argv[1:]) for preset in OPTIONS]
    except SetupError as error:
        print(f"sanitize: {error}", file=sys.stderr)
        return 1
    return 0 if all(passed) else 1


if __name__ == "__main__":
    sys.exit(main())
