# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Times the compilation of long straight-line programs, by stages.

Each case is a program of about N operations, before derivatives, such as a Python loop unrolls
to. For each N in turn a fresh process compiles it and reports seconds for each stage:
tracing, the stages of the pipeline (see docs/pipeline.md), the steps of code generation, and
loading; then their total, and the processor's seconds for all but tracing, which depend less on
what else the machine does. Compile time is linear if the last column, microseconds of the
processor for each operation, stays as it is while N doubles. A case ends at the first N that takes
longer than the limit.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

SIZES = (1_250, 2_500, 5_000, 10_000, 20_000)
TOOL = Path(sys.executable).with_name("gradopt")

# -- The programs ---------------------------------------------------------------------------
# A case makes the MLIR text of a program of about n operations, and says how long tracing took.

Case = Callable[[int], tuple[str, float]]


def traced(function: Callable[..., Any], *arguments: Any, argnums: Any = 0) -> tuple[str, float]:
    """The gradient of `function` as traced, and the seconds that it took."""
    import gradopt as go

    compiled = go.compile_grad(function, argnums, capture="trace")
    start = time.perf_counter()
    lowered = compiled.lower(*arguments)
    return lowered.mlir("grad", locations=True), time.perf_counter() - start


def chain(n: int) -> tuple[str, float]:
    """Elementwise operations, one after the other."""

    def f(x: Any) -> Any:
        for _ in range(n // 2):
            x = np.sin(x) * 1.01
        return np.sum(x)

    return traced(f, np.ones(100))


def matvec(n: int) -> tuple[str, float]:
    """A recurrent network on vectors."""

    def f(w: Any, b: Any, h: Any) -> Any:
        for _ in range(n // 3):
            h = np.tanh(w @ h + b)
        return np.sum(h)

    return traced(f, np.eye(16), np.ones(16), np.ones(16), argnums=(0, 1))


def gemm(n: int) -> tuple[str, float]:
    """A recurrent network on batches."""

    def f(w: Any, b: Any, h: Any) -> Any:
        for _ in range(n // 4):
            h = np.tanh(h @ w + b)
        return np.sum(h)

    return traced(f, np.eye(64), np.ones(64), np.ones((32, 64)), argnums=(0, 1))


def parameters(n: int) -> tuple[str, float]:
    """Many arguments, each with a gradient."""

    def f(parameters: Any) -> Any:
        return sum(np.sum(p * p) for p in parameters)

    return traced(f, [np.ones(10) for _ in range(n // 3)])


def logsumexp(n: int) -> tuple[str, float]:
    """The forward algorithm of a hidden Markov model."""

    def f(a: Any, state: Any) -> Any:
        for step in range(n // 13):
            s = state[:, None] + a
            m = np.max(s, axis=0)
            state = np.log(np.sum(np.exp(s - m), axis=0)) + m + a[:, step % 20]
        return np.sum(state)

    return traced(f, np.ones((20, 20)), np.ones(20))


def lstm(n: int) -> tuple[str, float]:
    """A long short-term memory over the rows of an array."""
    steps = n // 20

    def sigmoid(x: Any) -> Any:
        return 1.0 / (1.0 + np.exp(-x))

    def f(parameters: Any, xs: Any) -> Any:
        w, u, b = parameters
        h, c = np.zeros(16), np.zeros(16)
        for t in range(steps):
            z = w @ xs[t] + u @ h + b
            i, f, o, g = z[:16], z[16:32], z[32:48], z[48:]
            c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
            h = sigmoid(o) * np.tanh(c)
        return np.sum(h)

    return traced(f, (np.ones((64, 8)), np.ones((64, 16)), np.ones(64)), np.ones((steps, 8)))


def gather(n: int) -> tuple[str, float]:
    """Rows of a table, at indices known when it runs."""
    steps = n // 8

    def f(table: Any, indices: Any) -> Any:
        h = np.zeros(16)
        for t in range(steps):
            h = np.tanh(h + table[indices[t]])
        return np.sum(h)

    return traced(f, np.ones((50, 16)), np.arange(steps) % 50)


def table(n: int) -> tuple[str, float]:
    """Rows of a table, several at once, at indices of each step's own."""
    indices = np.arange(4 * (n // 3)).reshape(-1, 4) % 50

    def f(table: Any) -> Any:
        h = np.zeros((4, 16))
        for row in indices:
            h = np.tanh(h + table[row])
        return np.sum(h)

    return traced(f, np.ones((50, 16)))


def choices(n: int) -> tuple[str, float]:
    """One of two functions of each element, again and again."""

    def f(x: Any) -> Any:
        for i in range(n // 12):
            x = np.where(x > 0.1 * i, np.sin(x), x * 1.01)
        return np.sum(x)

    return traced(f, np.linspace(0.0, 1.0, 64))


def elements(n: int) -> tuple[str, float]:
    """Elements of one array, one by one."""

    def f(x: Any) -> Any:
        total = 0.0
        for i in range(n // 4):
            total = total + np.tanh(x[i])
        return total

    return traced(f, np.ones(n // 4))


def body(n: int) -> tuple[str, float]:
    """Elements of an array, written one by one in the body of a loop."""

    def f(x: Any) -> Any:
        import gradopt as go

        def step(a: Any) -> Any:
            a = a.copy()
            for i in range(n // 4):
                a[i] = 1.01 * a[i] + np.sin(a[(i + 1) % (n // 4)])
            return a

        return np.sum(go.while_loop(lambda a: np.sum(a) < 100.0, step, x) ** 2)

    return traced(f, np.linspace(0.1, 1.0, n // 4))


def shifts(n: int) -> tuple[str, float]:
    """An array and its neighbours, again and again."""

    def f(x: Any) -> Any:
        for _ in range(n // 6):
            x = 0.5 * x + 0.5 * np.concatenate([x[1:], x[:1]])
        return np.sum(x)

    return traced(f, np.ones(100))


class Text:
    """A function of one tensor, written as MLIR text."""

    def __init__(self, shape: list[int]) -> None:
        self.type = "x".join(map(str, shape)) + "xf64"
        self.lines: list[str] = []
        self.value = "%x"

    def add(self, text: str) -> str:
        name = f"%v{len(self.lines)}"
        self.lines.append(f"  {name} = {text}")
        return name

    def get(self, offsets: list[int], sizes: list[int]) -> str:
        part = "x".join(map(str, sizes)) + "xf64"
        strides = [1] * len(sizes)
        return self.add(
            f"grad.slice {self.value}, offsets = {offsets}, sizes = {sizes}, "
            f"strides = {strides} : tensor<{self.type}> -> tensor<{part}>"
        )

    def put(self, value: str, offsets: list[int], sizes: list[int]) -> None:
        part = "x".join(map(str, sizes)) + "xf64"
        strides = [1] * len(sizes)
        self.value = self.add(
            f"grad.update_slice {self.value}, {value}, offsets = {offsets}, "
            f"strides = {strides} : tensor<{self.type}>, tensor<{part}>"
        )

    def finish(self) -> tuple[str, float]:
        body = "\n".join(self.lines)
        type_ = f"tensor<{self.type}>"
        end = f"  return {self.value} : {type_}"
        return f"func.func @main(%x: {type_}) -> {type_} {{\n{body}\n{end}\n}}", 0.0


def updates(n: int) -> tuple[str, float]:
    """Parts of one array, each computed from the part before."""
    text = Text([n // 3, 4])
    for i in range(n // 3 - 1):
        row = text.add(f"grad.sin {text.get([i, 0], [1, 4])} : tensor<1x4xf64>")
        text.put(row, [i + 1, 0], [1, 4])
    return text.finish()


def lu(n: int) -> tuple[str, float]:
    """LU decomposition in place, by elements."""
    size = round((3 * n / 5) ** (1 / 3))
    text = Text([size, size])
    one = "tensor<1x1xf64>"
    for k in range(size):
        for i in range(k + 1, size):
            factor = text.add(
                f"grad.divide {text.get([i, k], [1, 1])}, {text.get([k, k], [1, 1])} : {one}"
            )
            text.put(factor, [i, k], [1, 1])
            for j in range(k + 1, size):
                product = text.add(f"grad.multiply {factor}, {text.get([k, j], [1, 1])} : {one}")
                value = text.add(f"grad.subtract {text.get([i, j], [1, 1])}, {product} : {one}")
                text.put(value, [i, j], [1, 1])
    return text.finish()


CASES: dict[str, Case] = {
    case.__name__: case
    for case in (
        chain, matvec, gemm, parameters, logsumexp, lstm, gather, table, choices, elements, body,
        shifts, updates, lu,
    )
}  # fmt: skip

# -- In a process of its own ----------------------------------------------------------------


def measure(case: str, n: int) -> dict[str, Any]:
    """Operations of the program, and seconds for each stage."""
    from mlir import ir

    from gradopt import _compiler, _gradopt
    from gradopt.compilation.compiler import Program, compile_program
    from gradopt.compilation.lowered import load_blas
    from gradopt.ir.types import shape_and_dtype

    text, seconds = CASES[case](n)
    times = {"trace": seconds}
    context = ir.Context()
    _compiler.load_dialects(context)
    module = ir.Module.parse(text, context)
    functions = list(module.body.operations)
    count = 0

    def count_one(_: ir.Operation) -> ir.WalkResult:
        nonlocal count
        count += 1
        return ir.WalkResult.ADVANCE

    module.operation.walk(count_one)
    main = next(f for f in functions if ir.StringAttr(f.attributes["sym_name"]).value == "main")
    function = ir.FunctionType(ir.TypeAttr(main.attributes["function_type"]).value)

    processor = time.process_time()
    done = compile_program(Program(text, case), "object")
    times |= done.seconds
    load_blas()

    def leaves(types: Any) -> list[Any]:
        return [shape_and_dtype(str(type_))[::-1] for type_ in types]

    start = time.perf_counter()
    _gradopt.Executable(
        done.object_code, leaves(function.inputs), leaves(function.results), done.arena_bytes
    )
    times["load"] = time.perf_counter() - start
    processor = time.process_time() - processor
    sizes = {"arena": done.arena_bytes, "code": len(done.object_code)}
    return {"ops": count, **sizes, "times": times, "processor": processor}


# -- In the main process --------------------------------------------------------------------


def run(case: str, n: int, limit: float) -> dict[str, Any] | None:
    """What `measure` returns in another process, or None after `limit` seconds."""
    command = [sys.executable, __file__, "--worker", case, str(n)]
    try:
        process = subprocess.run(command, timeout=limit, stdout=subprocess.PIPE, check=True)
    except subprocess.TimeoutExpired:
        return None
    return json.loads(process.stdout.splitlines()[-1])


def print_passes(case: str, n: int, limit: float) -> None:
    """MLIR's own report of the seconds in each pass."""
    with tempfile.NamedTemporaryFile("w", suffix=".mlir") as file:
        file.write(CASES[case](n)[0])
        file.flush()
        command = [TOOL, file.name, "--grad-to-cpu", "--mlir-timing", "-o", "/dev/null",
                   "--mlir-disable-threading", "--mlir-timing-display=list"]  # fmt: skip
        try:
            process = subprocess.run(command, timeout=limit, stderr=subprocess.PIPE, text=True)
        except subprocess.TimeoutExpired:
            print(f"  passes: more than {limit:g} s")
            return
    lines = process.stderr.splitlines()
    print("\n".join(lines[4:20]))


def main() -> int:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--case", nargs="+", choices=list(CASES), default=list(CASES))
    parser.add_argument("--ops", nargs="+", type=int, default=list(SIZES), metavar="N")
    parser.add_argument("--limit", type=float, default=60.0, help="seconds for one program")
    parser.add_argument("--passes", action="store_true", help="report passes of the largest too")
    parser.add_argument("--json", type=Path, help="also write the numbers to this file")
    parser.add_argument("--worker", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        case, n = arguments.worker
        print(json.dumps(measure(case, int(n))))
        return 0

    rows: list[dict[str, Any]] = []
    for case in arguments.case:
        print(f"\n{case}: {CASES[case].__doc__}", flush=True)
        last = None
        for n in arguments.ops:
            row = run(case, n, arguments.limit)
            if row is None:
                print(f"{n:>7}  more than {arguments.limit:g} s", flush=True)
                break
            times = row["times"]
            if last is None:
                print("".join(f"{name:>11}" for name in ("ops", *times, "total", "cpu", "us/op")))
            total, cpu = sum(times.values()), row["processor"]
            print(
                f"{row['ops']:>11}"
                + "".join(f"{seconds:>11.2f}" for seconds in (*times.values(), total, cpu))
                + f"{1e6 * cpu / row['ops']:>11.0f}",
                flush=True,
            )
            rows.append({"case": case, "n": n, **row})
            last = n
        if arguments.passes and last:
            print_passes(case, last, arguments.limit)
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
