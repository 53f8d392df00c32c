# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Runs ruff, pyright and clang-format over the project; `--fix` rewrites instead."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CPP_FOLDERS = ("dialect", "passes", "runtime", "frontend/native", "test")
PYTHON_PATHS = ("frontend", "tools", "test", "examples", "benchmarks")


def main() -> int:
    """Runs every tool even when one fails."""
    fix = "--fix" in sys.argv[1:]
    scripts = Path(sys.executable).parent
    clang_format = shutil.which("clang-format-22") or "/usr/lib/llvm-22/bin/clang-format"
    cpp = sorted(
        str(path.relative_to(ROOT))
        for folder in CPP_FOLDERS
        for path in (ROOT / folder).rglob("*")
        if path.suffix in {".cpp", ".h", ".c"}
    )
    python = [name for name in PYTHON_PATHS if (ROOT / name).exists()]
    commands = {
        "ruff": [scripts / "ruff", "check", *(["--fix"] if fix else []), *python],
        "ruff format": [scripts / "ruff", "format", *([] if fix else ["--check"]), *python],
        "clang-format": [clang_format, *(["-i"] if fix else ["--dry-run", "-Werror"]), *cpp],
    }
    if not fix:
        commands["pyright"] = [scripts / "pyright"]
    failed: list[str] = []
    for name, command in commands.items():
        print(f"==> {name}", flush=True)
        if subprocess.run([str(part) for part in command], cwd=ROOT).returncode != 0:
            failed.append(name)
    print(f"lint: {'failed: ' + ', '.join(failed) if failed else 'all clean'}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
