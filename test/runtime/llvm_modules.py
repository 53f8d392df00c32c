# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Small modules in the LLVM dialect, as the last stage of the pipeline leaves them."""

from collections.abc import Sequence
from typing import Any

from gradopt import _compiler


def run(text: str, target: str, source: str = "llvm", **options: Any) -> _compiler.Compilation:
    """The compilation of a module, when it is done."""
    work = _compiler.Compilation(text, target, source=source, **options)
    while not work.wait(60):
        pass
    return work


def chain(steps: int) -> str:
    """A program in the grad dialect that takes a while to compile: milliseconds for each step."""
    lines = [f"  %v{i + 1} = grad.sin %v{i} : tensor<9xf64>" for i in range(steps)]
    return "\n".join(
        [
            "func.func @main(%v0: tensor<9xf64>) -> tensor<9xf64> {",
            *lines,
            f"  return %v{steps} : tensor<9xf64> }}",
        ]
    )


def entry(buffers: int, body: str, declarations: str = "") -> str:
    """A module whose entry loads `buffers` pointers as %b0, %b1 ... and runs `body`."""
    loads = "".join(
        f"""
  %p{i} = llvm.getelementptr %buffers[{i}] : (!llvm.ptr) -> !llvm.ptr, !llvm.ptr
  %b{i} = llvm.load %p{i} : !llvm.ptr -> !llvm.ptr"""
        for i in range(buffers)
    )
    return f"""{declarations}
llvm.func @gradopt_main(%buffers: !llvm.ptr) -> i32 {{{loads}
{body}
  %status = llvm.mlir.constant(0 : i32) : i32
  llvm.return %status : i32
}}"""


def loop(count: int, body: str, after: str = "") -> str:
    """Runs `body` with the i64 counter %i from 0 to `count` - 1, then `after`."""
    return f"""
  %zero = llvm.mlir.constant(0 : i64) : i64
  %one = llvm.mlir.constant(1 : i64) : i64
  %count = llvm.mlir.constant({count} : i64) : i64
  llvm.br ^head(%zero : i64)
^head(%i: i64):
  %more = llvm.icmp "slt" %i, %count : i64
  llvm.cond_br %more, ^body, ^exit
^body:
{body}
  %next = llvm.add %i, %one : i64
  llvm.br ^head(%next : i64)
^exit:{after}"""


def elementwise(
    count: int, inputs: int, outputs: Sequence[str], type: str = "f64", declarations: str = ""
) -> str:
    """Stores to output j the last value of `outputs[j]`, a text in %x0, %x1 ... and %r{j}."""
    lines = []
    for k in range(inputs):
        lines.append(
            f"  %a{k} = llvm.getelementptr %b{k}[%i] : (!llvm.ptr, i64) -> !llvm.ptr, {type}\n"
            f"  %x{k} = llvm.load %a{k} : !llvm.ptr -> {type}"
        )
    for j, text in enumerate(outputs):
        lines.append(
            f"  {text}\n"
            f"  %o{j} = llvm.getelementptr %b{inputs + j}[%i] : (!llvm.ptr, i64) -> "
            f"!llvm.ptr, {type}\n"
            f"  llvm.store %r{j}, %o{j} : {type}, !llvm.ptr"
        )
    return entry(inputs + len(outputs), loop(count, "\n".join(lines)), declarations)


def add_multiply(count: int, type: str = "f64") -> str:
    """(x, y) -> (x + y, x * y)."""
    add, multiply = ("fadd", "fmul") if type.startswith("f") else ("add", "mul")
    return elementwise(
        count,
        2,
        [
            f"%r0 = llvm.{add} %x0, %x1 : {type}",
            f"%r1 = llvm.{multiply} %x0, %x1 : {type}",
        ],
        type,
    )


def copy(count: int, type: str) -> str:
    """x -> x."""
    cast = f"%r0 = llvm.bitcast %x0 : {type} to {type}"
    return elementwise(count, 1, [cast], type)


def compile_text(text: str) -> bytes:
    return run(text, "object").object_code
