# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""`gradopt-compile`: from a Python function to a bundle, on the command line."""

from __future__ import annotations

import argparse
import ast
import importlib
import importlib.util
import inspect
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gradopt.api import compile, compile_grad, compile_value_and_grad
from gradopt.base.dims import Dim
from gradopt.base.dtypes import SUPPORTED
from gradopt.compilation.bundle import CHIPS, CPU_LEVELS, save
from gradopt.compilation.lowered import Lowered
from gradopt.errors import ArgumentError, GradoptError

_DESCRIPTION = """\
Compiles a Python function of NumPy arrays, or its gradient, into a bundle: a file that runs without
a compiler, from Python (gradopt_runtime) and C (gradopt_runtime.h).
"""
_EPILOG = """\
A specification says what an argument is: float64[100, 3] is an array, float64 one without
dimensions, float, int and bool are Python numbers; tuples, lists and dicts hold others. A name is
a size that may be another one in each call, as in float64[n, 3], or float64[n <= 1000, 3] if it has
a largest value. A specification is one Python expression, so quote it:

    gradopt-compile model.py:loss "{'w': float64[5, 3], 'b': float64[3]}" "float64[7, 5]" \\
        --value-and-grad -o loss.bundle --header loss.h

With --device cuda, the code is for NVIDIA GPUs; with --chips or --cpu besides, for both.
"""

_NUMBERS: dict[str, Any] = {"float": 0.0, "int": 0, "bool": False}
_DTYPES = {dtype.name: dtype for dtype in SUPPORTED}


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit status."""
    parser = argparse.ArgumentParser(
        "gradopt-compile",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("function", help="module:function, or file.py:function")
    parser.add_argument("specification", nargs="*", help="what each argument is")
    parser.add_argument("-o", "--output", type=Path, help="the bundle [<function>.bundle]")
    parser.add_argument("--header", type=Path, help="also write a C header with a function for it")
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument("--grad", action="store_true", help="compile the gradient")
    kind.add_argument("--value-and-grad", action="store_true", help="compile value and gradient")
    parser.add_argument(
        "--argnums", type=int, nargs="+", default=[0], help="differentiate in these [0]"
    )
    parser.add_argument("--name", help="the function's name in the bundle")
    parser.add_argument(
        "--cpu", nargs="+", choices=CPU_LEVELS, help="levels of CPUs [all, without --device cuda]"
    )
    parser.add_argument(
        "--device", choices=("cpu", "cuda"), default="cpu", help="compile for CPUs [cpu] or GPUs"
    )
    parser.add_argument(
        "--chips", nargs="+", help=f"GPUs [{' '.join(CHIPS)}, with --device cuda]; and later ones"
    )
    parser.add_argument("--assembler", help="a ptxas of CUDA's, to add machine code for the GPUs")
    parser.add_argument("--fast-math", action="store_true", help="calculate as with real numbers")
    options = parser.parse_args(arguments)
    try:
        _run(options)
    except (GradoptError, OSError) as error:
        print(f"gradopt-compile: {error}", file=sys.stderr)
        return 1
    return 0


def _run(options: argparse.Namespace) -> None:
    function, name = find_function(options.function)
    parsed = [parse_specification(text) for text in options.specification]
    given = [value for value, _ in parsed]
    dynamic = {i: said for i, (_, said) in enumerate(parsed) if said is not None}
    try:
        inspect.signature(function).bind(*given)
    except TypeError as error:
        raise ArgumentError(
            f"{name}{inspect.signature(function)} cannot be called with {len(given)} arguments: "
            f"{error}"
        ) from None
    settings: dict[str, Any] = {
        "fast_math": options.fast_math,
        "device": options.device,
        "dynamic": dynamic or None,
    }
    if options.grad or options.value_and_grad:
        make = compile_grad if options.grad else compile_value_and_grad
        numbers = options.argnums
        settings["argnums"] = numbers[0] if len(numbers) == 1 else tuple(numbers)
    else:
        make = compile
    lowered: Lowered = make(function, **settings).lower(*given)
    name = options.name or name
    output = options.output or Path(f"{name}.bundle")
    save(
        {name: lowered},
        output,
        cpu=options.cpu,
        chips=options.chips,
        assembler=options.assembler,
        header=options.header,
    )
    memory = lowered.memory()
    print(f"{output}: {name}, {output.stat().st_size:,} bytes; a call needs {memory.arena:,} more")


def find_function(place: str) -> tuple[Callable[..., Any], str]:
    """The function that `module:function` or `file.py:function` names, and its last name.

    Raises:
        ArgumentError: there is no such module or function.
    """
    module_name, colon, path = place.partition(":")
    if not colon or not path:
        raise ArgumentError(f"expected module:function or file.py:function, but got {place!r}")
    found: Any
    if module_name.endswith(".py"):
        spec = importlib.util.spec_from_file_location(Path(module_name).stem, module_name)
        if spec is None or spec.loader is None or not Path(module_name).is_file():
            raise ArgumentError(f"there is no file {module_name}")
        found = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = found
        spec.loader.exec_module(found)
    else:
        sys.path.insert(0, "")
        try:
            found = importlib.import_module(module_name)
        except ModuleNotFoundError as error:
            raise ArgumentError(f"cannot import {module_name}: {error}") from None
    for part in path.split("."):
        if not hasattr(found, part):
            raise ArgumentError(f"{module_name} has no {path}")
        found = getattr(found, part)
    if not callable(found):
        raise ArgumentError(f"{place} is a {type(found).__name__}, not a function")
    return found, path.rpartition(".")[2]


def parse_specification(text: str) -> tuple[Any, Any]:
    """An argument like the one that a specification describes, and what `dynamic=` says of it;
    None if nothing.

    Raises:
        ArgumentError: it is not a specification.
    """
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except SyntaxError:
        raise ArgumentError(f"cannot read the specification {text!r}") from None

    def make_all(nodes: Sequence[ast.expr]) -> tuple[list[Any], list[Any]]:
        made = [make(node) for node in nodes]
        return [value for value, _ in made], [said for _, said in made]

    def make(node: ast.expr) -> tuple[Any, Any]:
        if isinstance(node, (ast.Tuple, ast.List)):
            values, said = make_all(node.elts)
            found = said if any(part is not None for part in said) else None
            return (tuple(values) if isinstance(node, ast.Tuple) else values), found
        if isinstance(node, ast.Dict) and None not in node.keys:
            keys = [ast.literal_eval(key) for key in node.keys if key is not None]
            values, said = make_all(node.values)
            found = {k: part for k, part in zip(keys, said, strict=True) if part is not None}
            return dict(zip(keys, values, strict=True)), found or None
        if isinstance(node, ast.Constant) and node.value is None:
            return None, None
        if isinstance(node, ast.Name) and node.id in _NUMBERS:
            return _NUMBERS[node.id], None
        extents: list[Any] = []
        if isinstance(node, ast.Subscript):
            several = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
            extents = [_extent(extent) for extent in several]
            node = node.value
        if not isinstance(node, ast.Name) or node.id not in _DTYPES:
            names = ", ".join([*sorted(_DTYPES), *_NUMBERS])
            raise ArgumentError(
                f"{ast.unparse(node)!r} in the specification {text!r} is not a type: types are "
                f"{names}"
            )
        dims = {i: extent for i, extent in enumerate(extents) if isinstance(extent, Dim)}
        shape = [min(x.max or 2, 2) if isinstance(x, Dim) else x for x in extents]
        if not all(type(extent) is int and extent >= 0 for extent in shape):
            raise ArgumentError(f"{text!r} has extents that are no sizes")
        # One element, seen many times.
        return np.broadcast_to(np.zeros((), _DTYPES[node.id]), shape), dims or None

    try:
        return make(tree)
    except GradoptError:
        raise
    except (ValueError, TypeError):
        raise ArgumentError(f"cannot read the specification {text!r}") from None


def _extent(node: ast.expr) -> Any:
    """A size in a specification: a number, `n`, or `n <= 1000`."""
    if isinstance(node, ast.Name):
        return Dim(node.id)
    if (
        isinstance(node, ast.Compare)
        and isinstance(node.left, ast.Name)
        and [type(op) for op in node.ops] == [ast.LtE]
    ):
        return Dim(node.left.id, ast.literal_eval(node.comparators[0]))
    return ast.literal_eval(node)


if __name__ == "__main__":
    sys.exit(main())
