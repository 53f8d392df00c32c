# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Bundles that the tool `gradopt` makes of MLIR: opened and called from Python."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from saved import load, path
from test_bundle import same

import gradopt as go
import gradopt_runtime

__all__ = ["load", "path"]

ROOT = Path(__file__).resolve().parent.parent.parent
TOOL = shutil.which("gradopt", path=str(Path(sys.executable).parent)) or "gradopt"
LEVELS = ["x86-64-v2", "x86-64-v3", "x86-64-v4"]
RANDOM = np.random.default_rng(0)


def compile_module(module: str | Path, path: Path, options: str = "", *flags: str) -> None:
    source, text = (module, None) if isinstance(module, Path) else ("-", module)
    command = [TOOL, str(source), *flags, f"--grad-to-bundle=output={path} {options}"]
    subprocess.run([*command, "-o", "/dev/null"], input=text, text=True, check=True, timeout=60)


def loss(w: Any, b: Any, v: Any, x: Any, t: Any) -> Any:
    """What the example's module calculates."""
    return np.sum((np.tanh(x @ w + b) @ v - t) ** 2) / 8


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("options", ["", "options={fast-math=1 command-threshold=0}"])
def test_a_loss_and_its_gradient(path: Path, level: str, options: str, load: Any) -> None:
    """The two functions of a module in upstream dialects, as the front end compiles them."""
    module = ROOT / "examples/07_upstream_ir.mlir"
    derivative = "--grad-differentiate=function=loss wrt=0,1,2"
    compile_module(module, path, f"levels={level} {options}", derivative)
    loaded = load(path)
    assert list(loaded) == ["loss", "loss_gradient"]
    assert loaded["loss"].signatures == (
        "(arg0: float64[3, 4], arg1: float64[4], arg2: float64[4], arg3: float64[8, 3], "
        "arg4: float64[8])",
    )
    args = [RANDOM.normal(size=shape) for shape in [(3, 4), 4, 4, (8, 3), 8]]
    same(loaded["loss"](*args), loss(*args))
    value, gradients = go.value_and_grad(loss, argnums=(0, 1, 2))(*args)
    same(loaded["loss_gradient"](*args), (value, *gradients))


PROGRAM = """
func.func private @main(%x: tensor<4xf32>) -> tensor<4xf32> {
  %y = grad.sin %x : tensor<4xf32>
  return %y : tensor<4xf32>
}
func.func @wave(%x: tensor<4xf32> loc("x"), %n: i64 loc("n")) -> (tensor<4xf32>, i64) {
  %y = call @main(%x) : (tensor<4xf32>) -> tensor<4xf32>
  %m = arith.addi %n, %n : i64
  return %y, %m : tensor<4xf32>, i64
}
func.func @is_less(%x: f32, %y: f32) -> i1 {
  %b = arith.cmpf olt, %x, %y : f32
  return %b : i1
}
func.func @nothing() {
  return
}
func.func @square(%x: tensor<4xi32> {grad.reused_for = 0 : i64}) -> tensor<4xi32> {
  %y = grad.multiply %x, %x : tensor<4xi32>
  return %y : tensor<4xi32>
}
func.func @half(%x: f64 {grad.reused_for = 0 : i64}) -> f64 {
  %two = arith.constant 2.0 : f64
  %y = arith.divf %x, %two : f64
  return %y : f64
}
"""


def test_names_numbers_and_memory(path: Path, load: Any) -> None:
    compile_module(PROGRAM, path)
    loaded = load(path)
    assert list(loaded) == ["wave", "is_less", "nothing", "square", "half"]
    x = np.linspace(0, 3, 4, dtype=np.float32)
    wave, doubled = loaded["wave"](x, np.int64(4))
    np.testing.assert_allclose(wave, np.sin(x), rtol=1e-6)
    assert (type(doubled), doubled) == (np.int64, 8)
    with pytest.raises(TypeError, match=r"float32\[4\] at x, but got float64\[4\]"):
        loaded["wave"](x.astype(float), np.int64(4))
    is_less = loaded["is_less"](np.float32(1), np.float32(2))
    assert (type(is_less), is_less) == (np.bool_, True)
    assert loaded["nothing"]() == ()
    n = np.arange(4, dtype=np.int32)
    same(loaded["square"](n), np.array([0, 1, 4, 9], np.int32))
    np.testing.assert_array_equal(n, np.arange(4))
    number = np.array(3.0)
    halved = loaded["half"](number)
    assert (type(halved), halved, number) == (np.float64, 1.5, 3.0)
    assert loaded["half"](5.0) == 2.5


def test_one_function_is_no_dict(path: Path, load: Any) -> None:
    compile_module(PROGRAM, path, "functions=square")
    same(load(path)(np.full(4, 3, np.int32)), np.full(4, 9, np.int32))


def test_what_the_front_end_traced(path: Path, load: Any) -> None:
    """Its paths are the names of arguments; constants come after them."""

    def step(p: Any, x: Any) -> Any:
        return {k: p[k] - 0.1 * np.sum(x) for k in p}

    p = {"w": RANDOM.normal(size=(3, 2)), "b": RANDOM.normal(size=2)}
    x = RANDOM.normal(size=5)
    compile_module(go.compile(step).lower(p, x).mlir(locations=True), path)
    loaded = load(path)
    assert loaded.signatures == ("(p['w']: float64[3, 2], p['b']: float64[2], x: float64[5])",)
    same(loaded(p["w"], p["b"], x), tuple(step(p, x).values()))


def test_the_loader_without_the_compiler(path: Path) -> None:
    compile_module(PROGRAM, path, "functions=square,nothing")
    loaded = gradopt_runtime.load(path)
    same(loaded["square"](np.full(4, 3, np.int32)), np.full(4, 9, np.int32))
