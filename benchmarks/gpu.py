# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Times compiled functions on the GPU of this machine, and PyTorch's where it is installed.

Kernels that move data are compared with a copy of as many bytes, matrix products with PyTorch's
(cuBLAS), whole steps with PyTorch, eager and compiled. `call` is the median over the rounds, in
which the libraries take turns; arguments are on the device, and a sample waits for the device
once, behind several calls.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

import gradopt as go

SAMPLE_SECONDS = 0.02
Run = Callable[[], Any]


@dataclass(frozen=True)
class Case:
    """A function of arrays.

    Attributes:
        title: what it is.
        function: of a namespace like numpy, the function to run.
        shapes: those of its arguments.
        dtype: that of its arguments.
        gradient: whether the value and the gradient in all arguments are asked for.
        moved: bytes read and written at least, if that is what takes the time.
        flops: floating-point operations, if they do.
    """

    title: str
    function: Callable[[Any], Callable[..., Any]]
    shapes: list[tuple[int, ...]]
    dtype: str = "float32"
    gradient: bool = False
    moved: int = 0
    flops: int = 0


def _chain(xp: Any) -> Any:
    return lambda x: xp.exp(-x * x) * xp.tanh(x)


def _softmax(xp: Any) -> Any:
    def f(x: Any) -> Any:
        e = xp.exp(x - xp.amax(x, 1, keepdims=True))
        return e / xp.sum(e, 1, keepdims=True)

    return f


def _mlp(xp: Any) -> Any:
    def f(x: Any, *weights: Any) -> Any:
        for w in weights[:-1]:
            x = xp.tanh(x @ w)
        return xp.mean((x @ weights[-1]) ** 2)

    return f


def _sum(xp: Any, axis: int | None) -> Any:
    return lambda x: xp.sum(x) if axis is None else xp.sum(x, axis)


def _product(_: Any) -> Any:
    return lambda a, b: a @ b


def _cases(scale: int) -> list[Case]:
    rows, columns, side = 8192 // scale, 4096 // scale, 4096 // scale
    array, square = [(rows, columns)], [(side, side)] * 2
    size, flops = rows * columns, 2 * side**3
    network = [(4096 // scale, 1024)] + [(1024, 1024)] * 4
    return [
        Case("elementwise, f32", _chain, array, moved=8 * size),
        Case("elementwise, f64", _chain, array, "float64", moved=16 * size),
        Case("sums of rows", lambda xp: _sum(xp, 1), array, moved=4 * size),
        Case("sums of columns", lambda xp: _sum(xp, 0), array, moved=4 * size),
        Case("sum of all", lambda xp: _sum(xp, None), array, moved=4 * size),
        Case("softmax of rows", _softmax, array, moved=8 * size),
        Case("matrix product, f32", _product, square, flops=flops),
        Case("matrix product, f64", _product, square, "float64", flops=flops),
        Case("gradient of a network of 4 x 1024", _mlp, network, gradient=True),
        Case("sum of 16 numbers: a launch", lambda xp: _sum(xp, None), [(16,)]),
    ]


def _gradopt(case: Case, arrays: list[Any]) -> tuple[Run, Run]:
    function = case.function(np)
    argnums = tuple(range(len(arrays)))
    compiled = (
        go.compile_value_and_grad(function, argnums) if case.gradient else go.compile(function)
    )
    placed = [go.asarray(a, device="cuda") for a in arrays]
    last: list[Any] = []

    def run() -> None:
        last[:] = [compiled(*placed)]

    def wait() -> None:
        leaf = last[0]
        while isinstance(leaf, tuple):
            leaf = leaf[0]
        leaf.wait()

    return run, wait


def _torch(case: Case, arrays: list[Any], compiles: bool) -> tuple[Run, Run]:
    torch = sys.modules["torch"]
    function = case.function(torch)
    placed = [torch.from_numpy(a).cuda() for a in arrays]

    def step(*args: Any) -> Any:
        if not case.gradient:
            return function(*args)
        for a in args:
            a.requires_grad_(True)
        return torch.autograd.grad(function(*args), args)

    run = torch.compile(step) if compiles else step
    return lambda: run(*placed), torch.cuda.synchronize


def _copy(case: Case) -> tuple[Run, Run]:
    """A copy on the device that reads and writes as many bytes."""
    source = go.asarray(np.zeros(case.moved // 8, "float32"), device="cuda")
    copied = go.compile(lambda x: x.copy())
    last: list[Any] = []

    def run() -> None:
        last[:] = [copied(source)]

    return run, lambda: last[0].wait()


def _sample(run: Run, wait: Run, count: int) -> float:
    start = time.perf_counter()
    for _ in range(count):
        run()
    wait()
    return (time.perf_counter() - start) / count


def measure(case: Case, rounds: int) -> dict[str, float]:
    """Median seconds of a call, for each library."""
    generator = np.random.default_rng(0)
    arrays = [generator.normal(size=shape).astype(case.dtype) for shape in case.shapes]
    calls = {"gradopt": _gradopt(case, arrays)}
    if case.moved:
        calls["copy"] = _copy(case)
    if "torch" in sys.modules:
        calls["PyTorch, eager"] = _torch(case, arrays, compiles=False)
        calls["PyTorch, compiled"] = _torch(case, arrays, compiles=True)
    counts: dict[str, int] = {}
    for name, (run, wait) in calls.items():
        for _ in range(4):  # Compiles, captures a graph, and fills pools of memory.
            run()
        wait()
        once = _sample(run, wait, 1)
        counts[name] = max(1, min(1000, int(SAMPLE_SECONDS / once)))
    samples: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, (run, wait) in calls.items():
            samples[name].append(_sample(run, wait, counts[name]))
    return {name: statistics.median(values) for name, values in samples.items()}


def main() -> None:
    """Reads the command line, measures and prints."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--scale", type=int, default=1, help="divides the sizes of arrays")
    options = parser.parse_args()
    with contextlib.suppress(ImportError):
        if not importlib.import_module("torch").cuda.is_available():
            del sys.modules["torch"]
    try:
        go.asarray(0.0, device="cuda")
    except go.errors.DeviceError as error:
        sys.exit(str(error))
    print(f"{go.devices()[1].description}; gradopt {go.__version__}, numpy {np.__version__}")
    for case in _cases(options.scale):
        print(f"\n{case.title}")
        times = measure(case, options.rounds)
        for name, seconds in times.items():
            rate = ""
            if case.moved:
                rate = f"{case.moved / seconds / 1e12:8.2f} TB/s"
            elif case.flops:
                rate = f"{case.flops / seconds / 1e12:8.2f} TFLOP/s"
            print(f"  {name:20s} {seconds * 1e6:10.1f} us {seconds / times['gradopt']:8.2f} {rate}")


if __name__ == "__main__":
    main()
