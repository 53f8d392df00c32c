# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""README.md and docs/ are true: commands run, files exist, code works, all ops are named."""

from __future__ import annotations

import importlib
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import gradopt.scipy
from gradopt.dialects import _grad_ops_gen, _grad_special_ops_gen, _grad_spectra_ops_gen

ROOT = Path(__file__).resolve().parent.parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
TOP = {path.name for path in ROOT.iterdir()} - {"build"}
SCRIPTS = Path(sys.executable).parent
# Made by `make`, or of an example that the page makes up.
MADE_UP = re.compile(r"\bX\.cpp$|\bgrad-x")


def commands() -> list[str]:
    """The indented lines of the pages that start with the tool."""
    found: list[str] = []
    for page in PAGES:
        text = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL).replace("\\\n", " ")
        lines = (line.strip() for line in text.splitlines() if line.startswith("    "))
        found += [line for line in lines if re.match(r"(\.venv/bin/)?gradopt ", line)]
    return found


@pytest.mark.parametrize("command", commands())
def test_command_runs(command: str) -> None:
    environment = {**os.environ, "PATH": f"{SCRIPTS}{os.pathsep}{os.environ['PATH']}"}
    line = command.replace(".venv/bin/", "").replace("| less", "| cat")
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", line],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout + done.stderr or "/dev/null" in command


def test_commands_are_found() -> None:
    assert len(commands()) > 8


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_exist(page: Path) -> None:
    text = page.read_text()
    names = re.findall(r"`([\w./*-]+)`", text)
    paths = [name for name in names if "/" in name and name.split("/")[0] in TOP]
    paths += [
        str(page.parent.relative_to(ROOT) / link) for link in re.findall(r"\]\(([\w./-]+)\)", text)
    ]
    paths += re.findall(r"(?:examples|test)/[\w-]+(?:/[\w-]+)*\.(?:py|mlir)", text)
    missing = [name for name in paths if not MADE_UP.search(name) and not list(ROOT.glob(name))]
    assert not missing


def test_the_page_of_the_dialect_names_every_op() -> None:
    table = re.findall(r"^\| [^|]+ \| (.*) \|$", (ROOT / "docs/dialect.md").read_text(), re.M)
    named = {op for group in table for op in re.sub(r"[`,]", " ", group).split()}
    modules = (_grad_ops_gen, _grad_special_ops_gen, _grad_spectra_ops_gen)
    values = [value for module in modules for value in vars(module).values()]
    classes = [kind for kind in values if hasattr(kind, "OPERATION_NAME")]
    ops = {kind.OPERATION_NAME.removeprefix("grad.") for kind in classes}
    assert not ops - named, "not in docs/dialect.md"


# Optimisers take functions, and sparse matrices are no arrays: the probe has no arguments for them.
UNTABLED = {"spatial", "optimize", "minimize", "root", "least_squares", "sparse"}


@pytest.mark.parametrize("package", sorted({*gradopt.scipy.__all__, "spatial.distance"} - UNTABLED))
def test_the_page_of_functions_names_all_of_ours(package: str) -> None:
    """As supported: in a row of the table of its namespace."""
    page = (ROOT / "docs/functions.md").read_text()
    (section,) = re.findall(rf"^## scipy\.{re.escape(package)}$(.*?)(?=^## |\Z)", page, re.M | re.S)
    rows = set(re.findall(r"^\| `(\w+)` \|", section, re.M))
    ours = importlib.import_module(f"gradopt.scipy.{package}").__all__
    # What gives a text has no values to compare.
    assert not set(ours) - rows - {"choose_conv_method"}
