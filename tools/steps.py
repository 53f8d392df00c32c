# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What the set-up steps share: places, errors, progress, and records of what is done."""

from __future__ import annotations

import hashlib
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
STAMPS = VENV / "gradopt-setup"


class SetupError(Exception):
    """A step cannot be done; the message says what the user can do about it."""


def say(message: str) -> None:
    """Prints one line of progress."""
    print(f"\033[1m==>\033[0m {message}" if sys.stdout.isatty() else f"==> {message}", flush=True)


def run(command: Sequence[str | Path], hint: str, **environment: str) -> None:
    """Runs a command, its output shown; raises SetupError with `hint` on failure."""
    arguments = [str(part) for part in command]
    try:
        subprocess.run(arguments, check=True, cwd=ROOT, env={**os.environ, **environment})
    except (OSError, subprocess.CalledProcessError) as error:
        raise SetupError(f"{hint} (failed: {shlex.join(arguments[:6])} ...)") from error


def run_build(command: Sequence[str | Path], hint: str, verbose: bool = False) -> None:
    """Runs a pip command that compiles: one line of progress, and the first errors if any."""
    arguments = [str(part) for part in command]
    if verbose:
        return run(arguments, hint)
    log: list[str] = []
    last = ""
    with subprocess.Popen(
        arguments, cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            log.append(line)
            if not (step := re.search(r"\[(\d+)/(\d+)\]", line)):
                continue
            if sys.stdout.isatty():
                print(f"\r    {step[1]} of {step[2]} steps ", end="", flush=True)
            elif (tenth := f"{int(step[1]) * 10 // int(step[2]) * 10} %") != last:
                print(f"    {tenth}", flush=True)
                last = tenth
    if sys.stdout.isatty():
        print("\r" + " " * 40 + "\r", end="")
    if process.returncode != 0:
        first = next((i for i, line in enumerate(log) if re.search("FAILED|rror:", line)), 0)
        sys.stderr.writelines(log[first : first + 40])
        raise SetupError(hint)


def output_of(command: Sequence[str | Path]) -> str:
    """The standard output of a command, or "" where it fails."""
    try:
        return subprocess.run(
            [str(part) for part in command],
            check=True,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        ).stdout
    except (OSError, subprocess.CalledProcessError):
        return ""


def digest(parts: Iterable[str | Path]) -> str:
    """A hash of strings and of the contents of files and folders."""
    result = hashlib.sha256()
    for part in parts:
        if isinstance(part, str):
            result.update(part.encode())
        elif part.is_dir():
            result.update(digest(sorted(part.rglob("*"))).encode())
        elif part.is_file() and part.suffix != ".pyc":
            result.update(str(part.relative_to(ROOT)).encode())
            result.update(part.read_bytes())
        result.update(b"\0")
    return result.hexdigest()


def cache_folder() -> Path:
    """The folder for what is expensive to make again."""
    parent = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(parent) / "gradopt"


def has_hash(path: Path, sha256: str) -> bool:
    """Whether the contents of a file have this SHA-256."""
    result = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            result.update(block)
    return result.hexdigest() == sha256


def is_done(step: str, key: str) -> bool:
    """Whether `step` was completed for the inputs that `key` stands for."""
    stamp = STAMPS / step
    return stamp.is_file() and stamp.read_text() == key


def mark_done(step: str, key: str) -> None:
    """Records that `step` is complete for `key`."""
    STAMPS.mkdir(parents=True, exist_ok=True)
    (STAMPS / step).write_text(key)
