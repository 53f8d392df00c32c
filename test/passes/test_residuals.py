# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What loops with long bodies store for their derivatives."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

BUILD = os.environ.get("GRADOPT_BUILD_DIR")
TOOL = Path(BUILD, "bin", "gradopt") if BUILD else Path(sys.executable).parent / "gradopt"


def program(steps: int, size: int = 100) -> str:
    """In each of many steps an array changes linearly, and one element is used."""
    array, one = f"tensor<{size}xf64>", "tensor<1xf64>"
    lines: list[str] = []
    x, total = "%x", "%t"
    for i in range(steps):
        lines += [
            f"%x{i} = grad.add {x}, %a : {array}",
            f"%e{i} = grad.slice %x{i}, offsets = [3], sizes = [1], strides = [1] : {array} -> {one}",
            f"%s{i} = grad.multiply %e{i}, {total} : {one}",
            f"%t{i} = grad.exp %s{i} : {one}",
        ]
        x, total = f"%x{i}", f"%t{i}"
    body = "\n".join(lines)
    return f"""
func.func private @f(%start: {array}, %a: {array}, %first: {one}) -> {one} {{
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c4 = arith.constant 4 : index
  %r:2 = scf.for %i = %c0 to %c4 step %c1 iter_args(%x = %start, %t = %first) -> ({array}, {one}) {{
    {body}
    scf.yield {x}, {total} : {array}, {one}
  }}
  return %r#1 : {one}
}}
func.func @main(%start: {array}, %a: {array}, %first: {one}, %g: {one}) -> {array} {{
  %r:2 = grad.vjp @f(%start, %a, %first), cotangents(%g), wrt = [0], of = [0]
    : ({array}, {array}, {one}, {one}) -> ({one}, {array})
  return %r#1 : {array}
}}"""


def stored(text: str) -> dict[str, int]:
    """How many values of each type are stored."""
    command = [str(TOOL), "--grad-linearize", "--grad-store-residuals=remarks", "-o", os.devnull]
    done = subprocess.run(
        command, input=text, capture_output=True, text=True, check=True, timeout=60
    )
    types = re.findall(r"stored for the derivative of scf\.for: '(.*)'", done.stderr)
    return {kind: types.count(kind) for kind in types}


def test_elements_or_the_array() -> None:
    """Elements take 8 bytes, the array 800; the results of exp are needed in any case."""
    assert stored(program(20)) == {"tensor<1xf64>": 40}
    assert stored(program(150)) == {"tensor<100xf64>": 1, "tensor<1xf64>": 150}


@pytest.mark.parametrize("steps", [300, 3000])
def test_long_bodies(steps: int) -> None:
    """Paths in the graph are as long as the body, which must not make the choice a bad one."""
    found = stored(program(steps))
    assert found["tensor<100xf64>"] == 1
    assert found["tensor<1xf64>"] <= steps + 1
