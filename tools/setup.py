#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Brings a Debian machine from a bare clone to an installed gradopt.

Four steps, each skipped in milliseconds when its inputs did not change: Debian
packages, a virtual environment in `.venv` with what gradopt needs from PyPI,
the MLIR Python bindings (`bindings.py`), and gradopt itself, compiled and
installed in editable mode. Needs nothing but the standard library of Python
3.10.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterable
from pathlib import Path

import bindings
from steps import (
    PYTHON,
    ROOT,
    VENV,
    SetupError,
    digest,
    is_done,
    mark_done,
    output_of,
    run,
    run_build,
    say,
)

LLVM_MAJOR = 22
LLVM_PREFIX = Path(f"/usr/lib/llvm-{LLVM_MAJOR}")

LLVM_PACKAGES = [
    "libmlir-22-dev",
    "mlir-22-tools",
    "llvm-22-dev",
    "llvm-22-tools",
    "clang-22",
    "lld-22",
]
BUILD_PACKAGES = ["cmake", "ninja-build", "ccache", "g++", "xz-utils"]
# What commands need beside.
EXTRA_PACKAGES = {"lint": ["clang-format-22"], "sanitize": ["libclang-rt-22-dev"]}
PYTHON_PACKAGES = ["python3-venv", "python3-dev"]

# What from pyproject.toml's optional dependencies each command needs.
EXTRAS = {
    "build": ["test", "demo"],
    "bench": ["bench"],
    "lint": ["dev"],
    "ptx": ["ptx"],
    "sanitize": [],
}


# -- Debian packages -----------------------------------------------------------------------


def find_mlir_dir() -> Path:
    """The folder of MLIRConfig.cmake: MLIR_DIR, or Debian's."""
    return Path(os.environ.get("MLIR_DIR") or LLVM_PREFIX / "lib/cmake/mlir").expanduser()


def missing_packages(purpose: str) -> list[str]:
    """The Debian packages that are needed and not installed."""
    wanted = list(BUILD_PACKAGES)
    if "MLIR_DIR" not in os.environ:
        wanted += LLVM_PACKAGES
    wanted += EXTRA_PACKAGES.get(purpose, [])
    if not PYTHON.exists() and Path(sys.executable).resolve().parent == Path("/usr/bin"):
        wanted += PYTHON_PACKAGES
    status = output_of(["dpkg-query", "-W", "-f=${db:Status-Abbrev} ${Package}\n", *wanted])
    # Where a package is unknown, dpkg-query fails after printing the others.
    if not status:
        status = "".join(
            output_of(["dpkg-query", "-W", "-f=${db:Status-Abbrev} ${Package}\n", name])
            for name in wanted
        )
    installed = {line.split()[-1] for line in status.splitlines() if line.startswith("ii")}
    return [name for name in wanted if name not in installed]


def missing_tools() -> list[str]:
    """The same question where there is no dpkg: what is not on the machine."""
    tools = ["cmake", "ninja", "tar", "xz"]
    missing = [tool for tool in tools if not shutil.which(tool)]
    if not (find_mlir_dir() / "MLIRConfig.cmake").is_file():
        missing.append("LLVM/MLIR 22 (set MLIR_DIR)")
    return missing


def install_packages(purpose: str) -> None:
    """Installs the missing Debian packages, as root or through sudo."""
    if "MLIR_DIR" in os.environ and not (find_mlir_dir() / "MLIRConfig.cmake").is_file():
        raise SetupError(f"MLIR_DIR={find_mlir_dir()} has no MLIRConfig.cmake")
    if not shutil.which("dpkg-query"):
        if missing := missing_tools():
            raise SetupError(f"this is not Debian; please install: {', '.join(missing)}")
        return
    missing = missing_packages(purpose)
    if not missing:
        return
    say(f"installing Debian packages: {' '.join(missing)}")
    by_hand = f"install by hand, as root: apt-get install {' '.join(missing)}"
    root: list[str] = []
    if os.geteuid() != 0:
        if not shutil.which("sudo"):
            raise SetupError(f"packages are missing and there is no sudo; {by_hand}")
        root = ["sudo"]
    apt = [*root, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-q"]
    if any(not output_of(["apt-cache", "show", name]) for name in missing):
        run([*apt, "update"], "cannot read the package lists: is there a network connection?")
    if unknown := [name for name in missing if not output_of(["apt-cache", "show", name])]:
        raise SetupError(
            f"apt does not know {' '.join(unknown)}: LLVM {LLVM_MAJOR} comes with Debian 12 "
            "(bookworm-security) and 13; enable that suite, or set MLIR_DIR to an LLVM of your own"
        )
    run(
        [*apt, "install", "-y", "--no-install-recommends", *missing],
        f"cannot install packages: is there a network connection? Else {by_hand}",
    )


# -- Virtual environment -------------------------------------------------------------------


def create_venv() -> None:
    """Makes `.venv` with the Python that runs this script."""
    if PYTHON.exists() and output_of([PYTHON, "-c", "import pip; print('ok')"]):
        return
    say(f"creating {VENV.relative_to(ROOT)} with Python {sys.version.split()[0]}")
    if not Path(sysconfig.get_path("include"), "Python.h").is_file():
        raise SetupError(
            f"{sys.executable} comes without Python.h: install its development files (python3-dev)"
        )
    run(
        [sys.executable, "-m", "venv", "--clear", VENV],
        "cannot create a virtual environment: install python3-venv",
    )


def requirements(extras: Iterable[str]) -> list[str]:
    """Requirements of gradopt and of `extras`, read from pyproject.toml."""
    script = (
        "import sys\n"
        "try: import tomllib\n"
        "except ImportError: from pip._vendor import tomli as tomllib\n"
        "data = tomllib.load(open('pyproject.toml', 'rb'))\n"
        "project = data['project']\n"
        "names = data['build-system']['requires'] + project['dependencies']\n"
        "for extra in sys.argv[1:]: names += project['optional-dependencies'][extra]\n"
        "print('\\n'.join(n for n in dict.fromkeys(names) if not n.startswith('mlir-')))\n"
    )
    result = subprocess.run(
        [PYTHON, "-c", script, *extras],
        check=True,
        text=True,
        cwd=ROOT,
        stdout=subprocess.PIPE,
    )
    return result.stdout.split("\n")[:-1]


def install_requirements(extras: list[str]) -> None:
    """Installs what gradopt needs from PyPI."""
    step = "requirements-" + "-".join(extras)
    wanted = requirements(extras)
    key = digest(wanted)
    if is_done(step, key):
        return
    say("installing Python packages")
    run(
        [
            *[PYTHON, "-m", "pip", "install", "-q", "--disable-pip-version-check"],
            *["--prefer-binary", *wanted],
        ],
        "cannot install Python packages: is there a network connection to PyPI?",
    )
    mark_done(step, key)


# -- gradopt -------------------------------------------------------------------------------

COMPILED = [
    "CMakeLists.txt",
    "CMakePresets.json",
    "cmake",
    "dialect",
    "passes",
    "runtime",
    "test/emulator",
    "tools/ducc.py",
]


def install_gradopt(verbose: bool) -> None:
    """Compiles gradopt and installs it in editable mode."""
    mlir_dir = find_mlir_dir()
    sources = [ROOT / name for name in [*COMPILED, "frontend/native", "frontend/CMakeLists.txt"]]
    # An editable installation knows modules by name.
    modules = [str(path.relative_to(ROOT)) for path in sorted(ROOT.glob("frontend/**/*.py"))]
    key = digest([str(mlir_dir), ROOT / "pyproject.toml", *sources, *modules])
    if is_done("gradopt", key) and output_of([PYTHON, "-c", "import gradopt; print('ok')"]):
        return
    say("compiling gradopt")
    settings = ["cmake.args=--preset=release", f"cmake.define.MLIR_DIR={mlir_dir}"]
    tools = mlir_dir.parent.parent.parent / "bin"
    if (tools / "clang++").exists():
        settings += [
            f"cmake.define.CMAKE_C_COMPILER={tools}/clang",
            f"cmake.define.CMAKE_CXX_COMPILER={tools}/clang++",
        ]
    run_build(
        [PYTHON, "-m", "pip", "install", "-v", "--disable-pip-version-check"]
        + ["--no-build-isolation", "--no-deps", "-e", "."]
        + [f"--config-settings={setting}" for setting in settings],
        "gradopt does not compile: see the first error above",
        verbose,
    )
    mark_done("gradopt", key)


def main() -> int:
    """Runs the steps; one line on standard error says what went wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("purpose", nargs="?", choices=list(EXTRAS), default="build")
    parser.add_argument("-v", "--verbose", action="store_true", help="show the compiler's output")
    arguments = parser.parse_args()
    purpose: str = arguments.purpose
    start = time.monotonic()
    try:
        if sys.version_info < (3, 10):  # noqa: UP036  (an old Python gets this far)
            raise SetupError(f"Python 3.10 or newer is needed, not {sys.version.split()[0]}")
        install_packages(purpose)
        create_venv()
        install_requirements(EXTRAS["build"])
        if purpose != "build" and not (purpose == "ptx" and shutil.which("ptxas")):
            install_requirements(EXTRAS[purpose])
        bindings.install(find_mlir_dir(), arguments.verbose)
        install_gradopt(arguments.verbose)
    except SetupError as error:
        print(f"setup: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("setup: interrupted; run it again to go on", file=sys.stderr)
        return 130
    if time.monotonic() - start > 10:
        say(f"set-up done in {time.monotonic() - start:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
