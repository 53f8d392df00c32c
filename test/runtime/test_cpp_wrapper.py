# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Bundles in C++: the wrapper, and the program in the documentation."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
from c_compiler import HERE, compile_cpp
from test_bundles_of_modules import ROOT, compile_module, loss

import gradopt as go
import gradopt_runtime


def build(source: Path, program: Path, *flags: str) -> None:
    library = Path(gradopt_runtime.library_path())
    compile_cpp(
        source,
        *flags,
        f"-I{gradopt_runtime.include_path()}",
        "-pthread",
        "-o",
        str(program),
        str(library),
        f"-Wl,-rpath,{library.parent}",
    )


def run(*command: Any, folder: Path) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=folder)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_headers_are_those_of_the_sources() -> None:
    for name in ("gradopt_runtime.h", "gradopt_cuda.h", "gradopt.hpp"):
        installed = Path(gradopt_runtime.include_path()) / name
        assert installed.read_text() == (ROOT / "runtime" / name).read_text()


def test_calls_and_errors(tmp_path: Path) -> None:
    def scaled(x: Any, factor: Any) -> Any:
        return x * x * factor

    def moved(x: Any, by: Any) -> Any:
        return x + by, np.sum(x) > 3

    x, number = np.ones(3), np.float64(1)
    go.save(
        {
            "scaled": go.compile(scaled).lower(x, number),
            "take": go.compile(lambda x, i: x[i]).lower(x, np.int64(0)),
            "moved": go.compile(moved, donate_argnums=0).lower(x, number),
        },
        tmp_path / "a.bundle",
    )
    (tmp_path / "none.bundle").write_text("something else")
    build(HERE / "use_bundle.cpp", tmp_path / "program")
    printed = run(tmp_path / "program", "a.bundle", "none.bundle", folder=tmp_path)
    lines = printed.replace(str(HERE), "").splitlines()
    assert lines[6].startswith("IndexError: index 3 is out of bounds for axis 0 with size 3")
    del lines[6]
    assert lines == [
        "thrown: cannot load none.bundle: it is not a bundle of gradopt",
        "3 scaled x float64[3] 1",
        "2 8 18",
        "8 12.5 18",
        "32 78.125 162",
        "2",
        "reuses 0",
        "2 3 4 1",
        "thrown: scaled: expected 2 arguments, but got 1",
        "thrown: scaled: expected 1 results, but got 2",
        "thrown: scaled: expected float64[] for the argument factor, but got 1 elements of float32",
        "thrown: scaled: expected float64[3] for the argument x, but got 4 elements of float64",
        "thrown: scaled: expected float64[3] for the result result, but got memory that is const",
        "thrown: moved: expected float64[3] for the result result[0], but got memory that is const",
        "thrown: scaled: expected float64[3] for the result result, but got float32",
        "thrown: the bundle has no program none",
        "thrown: the bundle has no program 7",
        "thrown: the program has no such argument",
        "0",
        "0 1000 4000 9000",
    ]


def test_the_program_in_the_documentation(tmp_path: Path) -> None:
    page = (ROOT / "docs/bundles.md").read_text()
    (code,) = re.findall(r"```cpp\n(.*?)```", page, re.DOTALL)
    (tmp_path / "train.cpp").write_text(code)
    build(tmp_path / "train.cpp", tmp_path / "train")
    module = ROOT / "examples/07_upstream_ir.mlir"
    derivative = "--grad-differentiate=function=loss wrt=0,1,2"
    compile_module(module, tmp_path / "loss.bundle", "", derivative)
    first, last = run(tmp_path / "train", folder=tmp_path).split()

    arrays: list[Any] = [np.full((3, 4), 0.1), np.full(4, 0.1), np.full(4, 0.1)]
    x, t = np.sin(np.arange(24.0)).reshape(8, 3), np.cos(np.arange(8.0))
    losses: list[float] = []
    for _ in range(100):
        value, gradients = go.value_and_grad(loss, argnums=(0, 1, 2))(*arrays, x, t)
        losses.append(value)
        arrays = [a - 0.1 * g for a, g in zip(arrays, gradients, strict=True)]
    np.testing.assert_allclose([float(first), float(last)], [losses[0], losses[-1]], rtol=1e-5)
