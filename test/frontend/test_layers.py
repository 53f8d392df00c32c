# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The rooms of the package import downwards only, at module level."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import gradopt

PACKAGE = Path(gradopt.__file__).parent
NATIVE = ("gradopt._gradopt", "gradopt._compiler")
# From the bottom to the top; what is not in a room is in the one of its own name.
ORDER = (
    "errors",
    "_gradopt",
    "_compiler",
    "dialects",
    "base",
    "recording",
    "ir",
    "array",
    "functions",
    "rewrite",
    "compilation",
    "transforms",
    "linalg",
    "random",
    "scipy",
    "numpy",
    "control",
    "nn",
    "optim",
    "api",
    "torch",
    "jax",
    "__init__",
    "command",
)


def module_name(path: Path) -> str:
    """`ir.prims` for the file of `gradopt.ir.prims`."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)


def imported(node: ast.AST) -> Iterator[str]:
    """The modules of the package that a statement imports."""
    if isinstance(node, ast.Import):
        names = [alias.name for alias in node.names]
    elif isinstance(node, ast.ImportFrom):
        assert node.level == 0, "imports are absolute"
        module = node.module or ""
        inner = [f"{module}.{alias.name}" for alias in node.names]
        # `from package import module`, or `from module import name`.
        names = [name if is_module(name) else module for name in inner]
    else:
        return
    for name in names:
        if name.split(".")[0] == "gradopt":
            yield name.partition(".")[2] or "__init__"


def is_module(name: str) -> bool:
    path = PACKAGE.parent.joinpath(*name.split("."))
    return path.with_suffix(".py").exists() or path.is_dir() or name in NATIVE


def sources() -> list[Path]:
    found = sorted(PACKAGE.rglob("*.py"))
    assert len(found) > 20
    return found


def room(module: str) -> int:
    return ORDER.index(module.split(".")[0])


def test_rooms_import_downwards() -> None:
    upwards = {
        (module_name(path), target)
        for path in sources()
        for node in ast.walk(ast.parse(path.read_text()))
        for target in imported(node)
        if room(target) > room(module_name(path))
    }
    assert upwards == set()


def test_no_function_imports_from_the_package() -> None:
    inside = {
        (module_name(path), target)
        for path in sources()
        for function in ast.walk(ast.parse(path.read_text()))
        if isinstance(function, ast.FunctionDef)
        for node in ast.walk(function)
        for target in imported(node)
    }
    assert inside == set()


def test_no_modules_import_each_other() -> None:
    """Not within a room either, but for annotations."""
    graph = {
        module_name(path): {
            target
            for statement in ast.parse(path.read_text()).body
            if not isinstance(statement, ast.If)
            for node in ast.walk(statement)
            for target in imported(node)
        }
        for path in sources()
    }
    with_imports = TopologicalSorter(graph)
    with_imports.prepare()  # Raises a CycleError that names the modules.


@pytest.mark.parametrize("name", ["errors", "nn", "numpy", "optim", "random", "scipy"])
def test_public_modules_stay(name: str) -> None:
    assert getattr(gradopt, name).__name__ == f"gradopt.{name}"


def test_modules_that_are_imported_when_used() -> None:
    code = """if True:
        import sys
        import gradopt
        lazy = ["gradopt.nn", "gradopt.optim", "gradopt.random", "gradopt.scipy"]
        assert not any(name in sys.modules for name in lazy)
        assert {"nn", "optim", "random", "scipy"} <= set(dir(gradopt))
        assert all(hasattr(gradopt, name) for name in gradopt.__all__)
        assert all(name in sys.modules for name in lazy)
        assert not hasattr(gradopt, "missing")
    """
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_functions_of_rooms_that_are_loaded_late_are_found() -> None:
    """In a process in which nothing has used their room."""
    code = """if True:
        import numpy as np, gradopt
        roots = gradopt.compile(np.roots)(np.array([1.0, -3.0, 2.0]))
        np.testing.assert_allclose(np.sort(roots.real), [1.0, 2.0])
    """
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
