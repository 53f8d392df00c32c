# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""`gradopt-compile`."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gradopt as go
from gradopt import _gradopt
from gradopt.command import main, parse_specification
from gradopt.errors import ArgumentError

MODEL = """
import numpy as np

def loss(p, x, rate):
    return rate * np.mean(np.tanh(x @ p["w"] + p["b"]) ** 2)

class Holder:
    @staticmethod
    def double(x):
        return x + x

number = 3
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "model.py").write_text(MODEL)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path[:])
    sys.modules.pop("model", None)
    return tmp_path


def test_a_gradient(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    p: Any = {"w": np.ones((5, 3)), "b": np.arange(3.0)}
    x = np.linspace(-1, 1, 10).reshape(2, 5)
    specifications = ["{'w': float64[5, 3], 'b': float64[3]}", "float64[2, 5]", "float"]
    assert main(["model.py:loss", *specifications, "--value-and-grad"]) == 0
    assert re.match(r"loss.bundle: loss, [\d,]+ bytes; a call needs", capsys.readouterr().out)
    value, gradient = go.load("loss.bundle")["loss"](p, x, 2.0)
    hidden = np.tanh(x @ p["w"] + p["b"])
    np.testing.assert_allclose(value, 2 * np.mean(hidden**2))
    outer = 4 * hidden * (1 - hidden**2) / hidden.size
    np.testing.assert_allclose(gradient["w"], x.T @ outer)
    np.testing.assert_allclose(gradient["b"], outer.sum(0))
    options = ["--grad", "--argnums", "1", "2", "-o", "g", "--name", "g", "--cpu", "x86-64-v2"]
    assert main(["model:loss", *specifications, *options]) == 0
    dx, dr = go.load("g")["g"](p, x, 2.0)
    np.testing.assert_allclose(dx, outer @ p["w"].T)
    np.testing.assert_allclose(dr, value / 2)


@pytest.mark.parametrize(
    ("options", "has_cpu_code", "has_cuda_code"),
    [
        (["--device", "cpu"], True, False),
        (["--device", "cuda"], False, True),
        (["--chips", "sm_80"], True, True),
        (["--device", "cuda", "--cpu", "x86-64-v2"], True, True),
    ],
)
def test_code_for_gpus(
    folder: Path, options: list[str], has_cpu_code: bool, has_cuda_code: bool
) -> None:
    command = ["model.py:Holder.double", "float64[4]", "-o", "d", "--header", "d.h"]
    assert main([*command, *options]) == 0
    bundle = _gradopt.Bundle(b"d")
    assert bundle.has_cpu_code(0) == has_cpu_code
    assert bundle.has_cuda_code(0) == has_cuda_code
    content = Path("d").read_bytes()
    assert (b".target sm_80" in content) == has_cuda_code
    assert (b".target sm_90" in content) == (has_cuda_code and "--chips" not in options)
    assert ("double_cuda(" in Path("d.h").read_text()) == has_cuda_code
    if has_cpu_code:
        np.testing.assert_array_equal(go.load("d")["double"](np.ones(4)), np.full(4, 2.0))


def test_as_a_program(folder: Path) -> None:
    tool = Path(sys.executable).with_name("gradopt-compile")
    command = [str(tool), "model:Holder.double", "int32[3]", "-o", "d.bundle"]
    subprocess.run(command, check=True, timeout=120)
    got = go.load("d.bundle")["double"](np.array([1, 2, 3], np.int32))
    np.testing.assert_array_equal(got, [2, 4, 6])
    text = subprocess.run([str(tool), "--help"], check=True, capture_output=True, timeout=60).stdout
    assert b"float64[100, 3]" in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["model"], "expected module:function or file.py:function, but got 'model'"),
        (["none:f"], "cannot import none"),
        (["none.py:f"], "there is no file none.py"),
        (["model.py:none"], "model.py has no none"),
        (["model.py:number"], "model.py:number is a int, not a function"),
        (["model.py:loss", "float64"], "missing a required argument: 'x'"),
        (["model.py:loss", "x", "x", "x"], "'x' in the specification 'x' is not a type: types are"),
        (["model.py:loss", "float64[-1]"], "extents that are no sizes"),
        (["model.py:loss", "float64["], r"cannot read the specification 'float64\['"),
        (["model.py:loss", "float64[n < 3]"], "cannot read the specification"),
        (["model.py:loss", "float64[n <= 0]"], "the max of Dim 'n' must be at least 1, not 0"),
        (["model.py:Holder.double", "float64", "-o", "none/a"], "No such file"),
        (["model.py:Holder.double", "float64", "--chips", "sm_1"], "no such GPU: sm_1"),
        (
            ["model.py:Holder.double", "float64", "--device", "cuda", "--assembler", "none"],
            "there is no none",
        ),
        (["model.py:Holder.double", "float64[3]", "--grad"], "scalar"),
    ],
)
def test_wrong_input(
    folder: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    assert main(arguments) == 1
    error = capsys.readouterr().err
    assert error.startswith("gradopt-compile: ")
    assert re.search(message, error)


def test_specifications() -> None:
    made, said = parse_specification("({'a': [float32[2], None], 1: (int64, bool)}, float)")
    assert said is None
    (first, number) = made
    assert number == 0.0
    assert type(number) is float
    assert list(first) == ["a", 1]
    assert (first["a"][0].dtype, first["a"][0].shape, first["a"][1]) == (np.float32, (2,), None)
    assert (first[1][0].dtype, first[1][0].shape, first[1][1]) == (np.int64, (), False)
    assert parse_specification("float64[1000000, 1000000]")[0].shape == (10**6, 10**6)
    made, said = parse_specification("({'a': float32[n, 3, m <= 1], 1: bool}, [int8[n]])")
    assert (made[0]["a"].shape, made[1][0].shape) == ((2, 3, 1), (2,))
    assert said == [{"a": {0: go.Dim("n"), 2: go.Dim("m", max=1)}}, [{0: go.Dim("n")}]]
    with pytest.raises(ArgumentError, match="not a type"):
        parse_specification("__import__('os').system('false')")
