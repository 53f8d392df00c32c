# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""No test waits for ever for another process."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
WAITING = {"run", "call", "check_call", "check_output"}


def unlimited(source: str) -> list[str]:
    """Calls that wait for a process without a limit."""
    found: list[str] = []
    for function in ast.walk(ast.parse(source)):
        if not isinstance(function, (ast.FunctionDef, ast.Module)):
            continue
        calls = [node for node in ast.walk(function) if isinstance(node, ast.Call)]
        names = {ast.unparse(call.func) for call in calls}
        if isinstance(function, ast.FunctionDef):
            if "os.fork" in names and "signal.alarm" not in names:
                found.append(f"os.fork() in {function.name} without signal.alarm()")
        else:
            for call in calls:
                name = ast.unparse(call.func)
                limited = any(keyword.arg == "timeout" for keyword in call.keywords)
                if name.startswith("subprocess.") and name[11:] in WAITING and not limited:
                    found.append(f"{name}() in line {call.lineno} without timeout=")
    return found


@pytest.mark.parametrize("path", sorted(TESTS.rglob("test_*.py")), ids=lambda path: path.stem)
def test_children_have_limits(path: Path) -> None:
    assert not unlimited(path.read_text())


def test_what_is_unlimited_is_found() -> None:
    assert unlimited("def f():\n    subprocess.run([], check=True)")
    assert not unlimited("def f():\n    subprocess.run([], timeout=1)")
    assert unlimited("def f():\n    child = os.fork()")
    assert not unlimited("def f():\n    child = os.fork()\n    signal.alarm(1)")
