# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Builds and installs the wheel of the upstream MLIR Python bindings.

No distribution carries them: `mlir-python-bindings` on PyPI is a placeholder.
They are compiled from the sources of the LLVM release, which Debian's mirrors
hold, against the LLVM that is installed. The wheel is kept in the user's cache
folder, so that this happens once for each Python and LLVM.

Environment:
    GRADOPT_LLVM_SOURCE: the source tarball, or an unpacked LLVM source tree,
        where the mirrors cannot be reached.
    XDG_CACHE_HOME: the parent of the cache folder, `~/.cache` by default.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path

from steps import (
    PYTHON,
    ROOT,
    SetupError,
    cache_folder,
    digest,
    has_hash,
    is_done,
    mark_done,
    output_of,
    run,
    run_build,
    say,
)

VERSION = "22.1.8"
TARBALL = f"llvm-toolchain-22_{VERSION}.orig.tar.xz"
SHA256 = "b49b9277aef97616320b2da259e1f8174c65b0ce2fbe2e8629644a97693402fe"
RECIPE = ROOT / "tools" / "mlir_bindings"
APT_HELPER = Path("/usr/lib/apt/apt-helper")
# Where the archives of Debian and of its security team keep a source package.
POOLS = ("pool/main", "pool/updates/main")
# All of the sources that the recipe reads.
MEMBERS = ("mlir/python", "mlir/lib/Bindings/Python", "mlir/include/mlir")
BY_HAND = (
    f"download the Debian source file {TARBALL} yourself and set GRADOPT_LLVM_SOURCE to its path"
)


def fetch_tarball() -> Path:
    """Downloads the tarball from the mirrors that apt is configured with."""
    target = cache_folder() / TARBALL
    if target.is_file() and has_hash(target, SHA256):
        return target
    uris = dict.fromkeys(output_of(["apt-get", "indextargets", "--format", "$(REPO_URI)"]).split())
    if not uris or not APT_HELPER.exists():
        raise SetupError(f"apt knows no Debian mirror to fetch LLVM's sources from: {BY_HAND}")
    target.parent.mkdir(parents=True, exist_ok=True)
    say(f"fetching {TARBALL} (197 MB)")
    for uri in uris:
        for pool in POOLS:
            url = f"{uri.rstrip('/')}/{pool}/l/llvm-toolchain-22/{TARBALL}"
            # Downloads with apt's own settings and checks the hash.
            output_of([APT_HELPER, "download-file", url, target, f"SHA256:{SHA256}"])
            if target.is_file() and has_hash(target, SHA256):
                return target
            target.unlink(missing_ok=True)
            target.with_name(target.name + ".FAILED").unlink(missing_ok=True)
    raise SetupError(f"no mirror of apt has LLVM's sources, or there is no network: {BY_HAND}")


def unpack(tarball: Path, folder: Path) -> None:
    """Unpacks the part of the sources that the bindings need."""
    say("unpacking LLVM's sources")
    patterns = [f"*/{member}" for member in MEMBERS]
    run(
        ["tar", "-xJf", tarball, "-C", folder, "--strip-components=1", "--wildcards", *patterns],
        "cannot unpack LLVM's sources: is there 1 GB of free space in the temporary folder?",
    )


def build_wheel(mlir_dir: Path, folder: Path, verbose: bool) -> Path:
    """Compiles the wheel into `folder`."""
    prefix = mlir_dir.parent.parent.parent
    with tempfile.TemporaryDirectory(prefix="gradopt-bindings-") as scratch:
        given = os.environ.get("GRADOPT_LLVM_SOURCE")
        source = Path(given).expanduser() if given else fetch_tarball()
        if not source.is_dir():
            if not source.is_file() or not has_hash(source, SHA256):
                raise SetupError(f"{source} is not {TARBALL} (SHA-256 {SHA256})")
            unpacked = Path(scratch, "llvm")
            unpacked.mkdir()
            unpack(source, unpacked)
            source = unpacked
        say("compiling the MLIR Python bindings (1 to 3 minutes, once)")
        define = {
            "LLVM_SOURCE_DIR": source,
            "MLIR_DIR": mlir_dir,
            "CMAKE_C_COMPILER": prefix / "bin/clang",
            "CMAKE_CXX_COMPILER": prefix / "bin/clang++",
        }
        run_build(
            [PYTHON, "-m", "pip", "wheel", "-v", "--disable-pip-version-check"]
            + ["--no-build-isolation", "--no-deps", RECIPE, "-w", Path(scratch, "wheel")]
            + [f"--config-settings=cmake.define.{name}={value}" for name, value in define.items()]
            + [f"--config-settings=build-dir={scratch}/build"],
            "the MLIR Python bindings do not compile: see the first error above",
            verbose,
        )
        (wheel,) = Path(scratch, "wheel").glob("*.whl")
        folder.mkdir(parents=True, exist_ok=True)
        # Appears complete or not at all.
        partial = folder / (wheel.name + ".partial")
        shutil.copyfile(wheel, partial)
        return partial.rename(folder / wheel.name)


def install(mlir_dir: Path, verbose: bool = False) -> None:
    """Installs the bindings into `.venv`, building the wheel where the cache has none."""
    tag = output_of([PYTHON, "-c", "import sysconfig; print(sysconfig.get_config_var('SOABI'))"])
    key = digest([tag, str(mlir_dir.resolve()), VERSION, RECIPE])[:16]
    if is_done("bindings", key):
        return
    folder = cache_folder() / f"mlir-python-bindings-{VERSION}-{key}"
    wheel = next(folder.glob("*.whl"), None) or build_wheel(mlir_dir, folder, verbose)
    say(f"installing {wheel.name}")
    pip = [PYTHON, "-m", "pip", "-q", "--disable-pip-version-check"]
    run([*pip, "-q", "uninstall", "-y", "mlir-python-bindings"], "cannot remove old bindings")
    run([*pip, "install", wheel], f"cannot install {wheel}")
    if not output_of([PYTHON, "-c", "import mlir.ir; print('ok')"]):
        wheel.unlink()
        raise SetupError(
            f"the MLIR Python bindings for {mlir_dir} cannot be loaded by {sys.executable}: "
            f"see `{PYTHON} -c 'import mlir.ir'`; the cached wheel was removed, run this again"
        )
    mark_done("bindings", key)
