# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Upstream IR in, its derivative in upstream IR out, executed on NumPy arrays."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mlir import ir, passmanager
from mlir_program import compile_mlir, parse

TOOL = Path(sys.executable).parent / "gradopt"

Array = Any


def differentiate(text: str, function: str, *, mode: str = "gradient", **options: Any) -> str:
    """The module with the derivative of `function`, by one call of the tool."""
    words = {"function": function, "mode": mode, **options}
    spelled = " ".join(
        f"{k}={','.join(map(str, v)) if isinstance(v, Sequence) and not isinstance(v, str) else v}"
        for k, v in words.items()
    )
    command = [str(TOOL), f"--grad-differentiate={spelled}"]
    done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert not re.search(r"\bgrad\.", done.stdout), "not in upstream dialects"
    return done.stdout


def types_of(text: str, function: str) -> tuple[list[str], list[str]]:
    """The types of the arguments and results of a function."""
    module = parse(text)
    for op in module.body.operations:
        names = op.operation.attributes
        if "sym_name" in names and ir.StringAttr(names["sym_name"]).value == function:
            with module.context:
                type = ir.FunctionType(ir.TypeAttr(names["function_type"]).value)
                return [str(t) for t in type.inputs], [str(t) for t in type.results]
    raise AssertionError(f"no @{function}")


def as_tensor(type: str) -> str:
    if type == "index":
        return "tensor<i64>"
    return type if type.startswith("tensor") else f"tensor<{type}>"


def compile_function(text: str, function: str) -> Callable[..., tuple[Any, ...]]:
    """A function of the module, from arrays to a tuple of arrays; scalars are 0-d."""
    inputs, outputs = types_of(text, function)
    body: list[str] = []
    operands: list[str] = []
    for i, type in enumerate(inputs):
        operands.append(f"%x{i}")
        if type.startswith("tensor"):
            continue
        operands[-1] = f"%s{i}"
        if type == "index":
            body.append(f"%n{i} = tensor.extract %x{i}[] : tensor<i64>")
            body.append(f"%s{i} = arith.index_cast %n{i} : i64 to index")
        else:
            body.append(f"%s{i} = tensor.extract %x{i}[] : {as_tensor(type)}")
    head = ", ".join(f"%x{i}: {as_tensor(t)}" for i, t in enumerate(inputs))
    body.append(
        f"%r:{len(outputs)} = func.call @{function}({', '.join(operands)})"
        f" : ({', '.join(inputs)}) -> ({', '.join(outputs)})"
    )
    results: list[str] = []
    for i, type in enumerate(outputs):
        results.append(f"%r#{i}")
        if not type.startswith("tensor"):
            results[-1] = f"%t{i}"
            body.append(f"%t{i} = tensor.from_elements %r#{i} : {as_tensor(type)}")
    spelled = ", ".join(map(as_tensor, outputs))
    body.append(f"return {', '.join(results)} : {spelled}")
    lines = "\n  ".join(body)
    functions = "\n".join(str(op) for op in parse(text).body.operations)
    module = parse(f"{functions}\nfunc.func @main({head}) -> ({spelled}) {{\n  {lines}\n}}")
    with module.context:
        for op in module.body.operations:
            if ir.StringAttr(op.operation.attributes["sym_name"]).value != "main":
                op.operation.attributes["sym_visibility"] = ir.StringAttr.get("private")
        passmanager.PassManager.parse("builtin.module(inline,symbol-dce)").run(module.operation)
    return compile_mlir(str(module))


def check_derivatives(
    text: str,
    f: Callable[..., Array],
    arguments: Sequence[Array],
    *,
    wrt: Sequence[int] | None = None,
    second: bool = True,
    tolerance: float = 1e-6,
) -> None:
    """Compares derivatives of @f, which has one result, with finite differences of `f` in NumPy.

    Forward mode, reverse mode, and, of the reverse mode's result, forward mode once more.
    """
    arguments = [np.asarray(a) for a in arguments]
    if wrt is None:
        wrt = [i for i, a in enumerate(arguments) if a.dtype.kind == "f"]
    rng = np.random.default_rng(0)
    value = np.asarray(f(*arguments))
    tangents = [np.asarray(rng.normal(size=arguments[i].shape)) for i in wrt]
    cotangent = np.asarray(rng.normal(size=value.shape))

    (plain,) = compile_function(text, "f")(*arguments)
    np.testing.assert_allclose(plain, value, rtol=1e-12, atol=1e-12)

    def along(g: Callable[..., Array], step: float = 1e-4) -> Array:
        """The derivative along the tangents, by differences of fourth order."""

        def at(k: float) -> Array:
            moved = list(arguments)
            for i, t in zip(wrt, tangents, strict=True):
                moved[i] = arguments[i] + k * step * t
            return np.asarray(g(*moved))

        return (8 * (at(1) - at(-1)) - (at(2) - at(-2))) / (12 * step)

    expected = along(f)
    scale = max(1.0, float(np.max(np.abs(expected), initial=0)))
    forward = compile_function(differentiate(text, "f", mode="forward", wrt=wrt), "f_forward")
    value_too, tangent = forward(*arguments, *tangents)
    np.testing.assert_allclose(value_too, value, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(tangent, expected, rtol=tolerance, atol=tolerance * scale)

    adjoint = differentiate(text, "f", mode="reverse", wrt=wrt)
    reverse = compile_function(adjoint, "f_reverse")
    cotangents = reverse(*arguments, cotangent)[1:]
    left = np.sum(cotangent * tangent)
    right = sum(np.sum(c * t) for c, t in zip(cotangents, tangents, strict=True))
    np.testing.assert_allclose(right, left, rtol=1e-9, atol=1e-9 * scale)

    if not second:
        return
    count = len(wrt)
    twice = differentiate(
        adjoint, "f_reverse", mode="forward", wrt=wrt, of=list(range(1, 1 + count)), name="f_second"
    )
    second_order = compile_function(twice, "f_second")(*arguments, cotangent, *tangents)
    for i in range(count):
        expected = along(lambda *x, i=i: reverse(*x, cotangent)[1 + i])
        scale = max(1.0, float(np.max(np.abs(expected), initial=0)))
        np.testing.assert_allclose(
            second_order[1 + count + i], expected, rtol=10 * tolerance, atol=10 * tolerance * scale
        )
