# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""From MLIR text to a function on NumPy arrays, by all stages of the pipeline."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from mlir import ir

from gradopt import _compiler, _gradopt
from gradopt.compilation.compiler import Program, compile_program

DTYPES = {
    "f64": np.float64,
    "f32": np.float32,
    "i1": np.bool_,
    "i8": np.int8,
    "i16": np.int16,
    "i32": np.int32,
    "i64": np.int64,
}


def parse(text: str) -> ir.Module:
    context = ir.Context()
    _compiler.load_dialects(context)
    return ir.Module.parse(text, context)


def main_of(module: ir.Module) -> ir.Operation:
    """The function @main."""
    for op in module.body.operations:
        names = op.operation.attributes
        if "sym_name" in names and ir.StringAttr(names["sym_name"]).value == "main":
            return op.operation
    raise AssertionError("no @main")


def array_spec(type: ir.Type) -> tuple[type, tuple[int, ...]]:
    tensor = ir.RankedTensorType(type)
    return DTYPES[str(tensor.element_type)], tuple(tensor.shape)


def lower(text: str, stage: str) -> str:
    """The module after `stage`."""
    return compile_program(Program(text, "main"), stage).text


def compile_mlir(text: str, options: str = "") -> Callable[..., tuple[Any, ...]]:
    """@main, from arrays of its argument types to a tuple of its results."""
    module = parse(text)
    with module.context:
        type = ir.FunctionType(ir.TypeAttr(main_of(module).attributes["function_type"]).value)
        args, results = ([array_spec(t) for t in types] for types in (type.inputs, type.results))
    done = compile_program(Program(text, "main", pipeline_options=options), "object")
    return _gradopt.Executable(done.object_code, args, results, done.arena_bytes)
