# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Unpacks the headers of ducc0 that Fourier transforms are compiled from, and their licence.

CMake runs it: `ducc.py FOLDER`. The source distribution comes from PyPI through pip and is kept in
the user's cache folder. ducc0 as a whole is under the GPL, and these headers under the 3-clause BSD
licence by choice: each of them says so, which is checked.

Environment:
    GRADOPT_DUCC_SOURCE: the source distribution, where PyPI cannot be reached.
    XDG_CACHE_HOME: the parent of the cache folder, `~/.cache` by default.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from steps import SetupError, cache_folder, has_hash

VERSION = "0.42.0"
FILE = f"ducc0-{VERSION}.tar.gz"
SHA256 = "4e11c59b53a43355b053aebb2a62ee16eebeed026575f7d216cf09d437ce52ef"
HEADERS = [
    *["fft/fft.h", "fft/fft1d_impl.h"],
    *["infra/aligned_array.h", "infra/error_handling.h", "infra/mav.h", "infra/misc_utils.h"],
    *["infra/simd.h", "infra/threading.h", "infra/useful_macros.h"],
    *["math/cmplx.h", "math/unity_roots.h"],
]
CHOICE = "SPDX-License-Identifier: BSD-3-Clause OR GPL-2.0-or-later"
LICENCE = "ducc0-LICENSE.txt"
BY_HAND = f"download {FILE} from PyPI yourself and set GRADOPT_DUCC_SOURCE to its path"


def fetch() -> Path:
    """The source distribution, from the cache folder or from PyPI."""
    target = cache_folder() / FILE
    if target.is_file() and has_hash(target, SHA256):
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
        wanted = Path(scratch, "wanted.txt")
        # pip looks at the hash before it runs anything of the package.
        wanted.write_text(f"ducc0=={VERSION} --hash=sha256:{SHA256}\n")
        pip = [sys.executable, "-m", "pip", "download", "-q", "--disable-pip-version-check"]
        options = ["--no-deps", "--no-binary", "ducc0", "-d", scratch, "-r", str(wanted)]
        if subprocess.run([*pip, *options], check=False).returncode != 0:
            raise SetupError(f"pip cannot get the sources of ducc0 {VERSION}: {BY_HAND}")
        return Path(scratch, FILE).replace(target)


def licence_of(header: str) -> str:
    """The comments before the code of a header, without the licence that was not chosen."""
    comments = re.match(r"(/\*.*?\*/\s*)+", header, re.DOTALL)
    if not comments or CHOICE not in comments[0]:
        raise SetupError(f"a header of ducc0 {VERSION} is not under the BSD licence")
    return "\n\n".join(
        text.strip("/* \n")
        for text in re.findall(r"/\*.*?\*/", comments[0], re.DOTALL)
        if "GNU General Public License" not in text
    )


def unpack(source: Path, folder: Path) -> None:
    """Writes the headers and their licences into `folder`."""
    licences: dict[str, list[str]] = {}
    with tarfile.open(source) as archive:
        for name in HEADERS:
            member = archive.extractfile(f"ducc0-{VERSION}/src/ducc0/{name}")
            assert member is not None
            header = member.read()
            licences.setdefault(licence_of(header.decode()), []).append(name)
            path = folder / "ducc0" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(header)
    parts = (", ".join(names) + "\n\n" + text for text, names in licences.items())
    title = f"libGradOptFourier.so has in it parts of ducc0 {VERSION}, under these licences.\n\n"
    (folder / LICENCE).write_text(title + "\n\n\n".join(parts) + "\n")


def main() -> int:
    """Unpacks what is not there yet; one line on standard error says what went wrong."""
    folder = Path(sys.argv[1])
    stamp = folder / "version.txt"
    key = VERSION + SHA256 + " ".join(HEADERS)
    if stamp.is_file() and stamp.read_text() == key:
        return 0
    try:
        given = os.environ.get("GRADOPT_DUCC_SOURCE")
        source = Path(given).expanduser() if given else fetch()
        if not source.is_file() or not has_hash(source, SHA256):
            raise SetupError(f"{source} is not {FILE} (SHA-256 {SHA256})")
        unpack(source, folder)
    except SetupError as error:
        print(f"ducc.py: {error}", file=sys.stderr)
        return 1
    stamp.write_text(key)
    return 0


if __name__ == "__main__":
    sys.exit(main())
