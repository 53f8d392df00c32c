# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Times compiled functions on the GPU of this machine, and those of PyTorch and JAX.

Kernels that move data are compared with a copy of as many bytes, matrix products with PyTorch's
(cuBLAS), whole steps with PyTorch, eager and compiled, and JAX, as far as they are installed.
`call` is the median over the rounds, in which the libraries take turns; arguments are on the
device, and a sample waits for the device once, behind several calls. `first` is the first call,
with all that it compiles. Products and convolutions of float32 are computed in float32: PyTorch
and JAX are told not to round to fewer bits.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import os
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cases
import ml_dtypes  # noqa: F401 (registers bfloat16 with NumPy)
import networks
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
        arguments: makes its arguments, of float64.
        dtype: what they are converted to.
        gradient: whether the value and the gradient in the first argument are asked for.
        moved: bytes read and written at least, if that is what takes the time.
        flops: floating-point operations, if they do.
        without: the libraries that are left out.
    """

    title: str
    function: Callable[[Any], Callable[..., Any]]
    arguments: Callable[[np.random.Generator], tuple[Any, ...]]
    dtype: str = "float32"
    gradient: bool = False
    moved: int = 0
    flops: int = 0
    without: tuple[str, ...] = ()


def _chain(xp: Any) -> Any:
    return lambda x: xp.exp(-x * x) * xp.tanh(x)


def _update(_: Any) -> Any:
    return lambda x, y: x * 0.9 + y * y


def _softmax(xp: Any) -> Any:
    def f(x: Any) -> Any:
        e = xp.exp(x - xp.amax(x, 1, keepdims=True))
        return e / xp.sum(e, 1, keepdims=True)

    return f


def _mlp(xp: Any) -> Any:
    def f(weights: Any, x: Any) -> Any:
        for w in weights[:-1]:
            x = xp.tanh(x @ w)
        return xp.mean((x @ weights[-1]) ** 2)

    return f


def _narrow_mlp(xp: Any) -> Any:
    """The same with layers that are as narrow as what they get, and a loss that is not."""

    def layer(x: Any, w: Any) -> Any:
        y = x @ w  # NumPy and JAX may have wider sums.
        return xp.tanh(y.astype(x.dtype) if hasattr(y, "astype") else y)

    def f(weights: Any, x: Any) -> Any:
        for w in weights[:-1]:
            x = layer(x, w)
        return xp.mean((x @ weights[-1]) ** 2)

    return f


def _mlp_arguments(batch: int) -> Callable[[np.random.Generator], tuple[Any, ...]]:
    def arguments(generator: np.random.Generator) -> tuple[Any, ...]:
        weights = [generator.normal(size=(1024, 1024)) / 32 for _ in range(4)]
        return weights, generator.normal(size=(batch, 1024))

    return arguments


def _sum(xp: Any, axis: int | None) -> Any:
    return lambda x: xp.sum(x) if axis is None else xp.sum(x, axis)


def _product(_: Any) -> Any:
    return lambda a, b: a @ b


def _arrays(*shapes: tuple[int, ...]) -> Callable[[np.random.Generator], tuple[Any, ...]]:
    return lambda generator: tuple(generator.normal(size=shape) for shape in shapes)


def _cases(scale: int) -> dict[str, Case]:
    rows, columns, side = 8192 // scale, 4096 // scale, 4096 // scale
    array, square = _arrays((rows, columns)), _arrays((side, side), (side, side))
    size, flops = rows * columns, 2 * side**3
    batched = _arrays((64, side // 8, side // 8), (64, side // 8, side // 8))
    steps = {"gradient": True, "dtype": "float32"}
    return {
        "update": Case(
            "a few operations, f32", _update, _arrays(*[(rows, columns)] * 2), moved=12 * size
        ),
        "elementwise": Case("exp(-x * x) * tanh(x), f32", _chain, array, moved=8 * size),
        "elementwise-f64": Case(
            "exp(-x * x) * tanh(x), f64", _chain, array, "float64", moved=16 * size
        ),
        "sums-of-rows": Case("sums of rows", lambda xp: _sum(xp, 1), array, moved=4 * size),
        "sums-of-columns": Case("sums of columns", lambda xp: _sum(xp, 0), array, moved=4 * size),
        "sum": Case("sum of all", lambda xp: _sum(xp, None), array, moved=4 * size),
        "softmax": Case("softmax of rows", _softmax, array, moved=8 * size),
        "transpose": Case("transpose", lambda xp: lambda x: x.T + 1, array, moved=8 * size),
        "cumsum": Case(
            "cumulative sum", lambda xp: lambda x: xp.cumsum(x, 0), _arrays((size,)), moved=8 * size
        ),
        "product": Case("matrix product, f32", _product, square, flops=flops),
        "product-f64": Case("matrix product, f64", _product, square, "float64", flops=flops),
        "product-f16": Case("matrix product, f16", _product, square, "float16", flops=flops),
        "product-bf16": Case("matrix product, bf16", _product, square, "bfloat16", flops=flops),
        "products": Case("64 matrix products, f32", _product, batched, flops=64 * flops // 512),
        "launch": Case("sum of 16 numbers: a launch", lambda xp: _sum(xp, None), _arrays((16,))),
        "mlp": Case("step of a network of 4 x 1024", _mlp, _mlp_arguments(4096 // scale), **steps),
        "mlp-bf16": Case(
            "step of a network of 4 x 1024, bf16",
            _narrow_mlp,
            _mlp_arguments(4096 // scale),
            "bfloat16",
            gradient=True,
        ),
        "conv-net": Case(
            "step of a convolutional network, 1024 images of 28 x 28",
            networks.conv_net,
            lambda g: networks.conv_net_arguments(g, 1024 // scale),
            **steps,
        ),
        "attention": Case(
            "block of a transformer, 16 x 512 of width 512",
            networks.attention,
            lambda g: networks.attention_arguments(g, 16, 512 // scale, 512 // scale),
            **steps,
        ),
        "lstm": Case(
            "step of an LSTM of 512, batch of 512, 64 steps",
            lambda xp: networks.lstm(xp, cases.loops(xp).scan),
            lambda g: networks.lstm_arguments(g, 512 // scale, 512 // scale),
            # It would compile all steps one by one.
            without=("PyTorch, compiled",),
            **steps,
        ),
    }


def _map(function: Callable[[Any], Any], arguments: Any) -> Any:
    """Arguments with each array replaced."""
    if isinstance(arguments, list | tuple):
        return type(arguments)(_map(function, a) for a in arguments)
    return function(arguments)


def _leaf(result: Any) -> Any:
    while isinstance(result, list | tuple):
        result = result[0]
    return result


def _gradopt(case: Case, arguments: Any) -> tuple[Run, Run]:
    function = case.function(np)
    compiled = go.compile_value_and_grad(function) if case.gradient else go.compile(function)
    placed = _map(lambda a: go.asarray(a, device="cuda"), arguments)
    last: list[Any] = []

    def run() -> None:
        last[:] = [compiled(*placed)]

    return run, lambda: _leaf(last[0]).wait()


def _torch(case: Case, arguments: Any, compiles: bool) -> tuple[Run, Run]:
    torch = sys.modules["torch"]
    torch.backends.cudnn.allow_tf32 = False
    function = case.function(torch)

    def place(a: Any) -> Any:
        # It takes no bfloat16 from NumPy.
        if a.dtype == "bfloat16":
            return torch.from_numpy(a.astype("float32")).to(torch.bfloat16).cuda()
        return torch.from_numpy(a).cuda()

    placed = _map(place, arguments)

    def step(parameters: Any, *data: Any) -> Any:
        if not case.gradient:
            return function(parameters, *data)
        for p in parameters:
            p.requires_grad_(True)
        value = function(parameters, *data)
        return value.detach(), torch.autograd.grad(value, parameters)

    run = torch.compile(step) if compiles else step
    return lambda: run(*placed), torch.cuda.synchronize


def _jax(case: Case, arguments: Any) -> tuple[Run, Run]:
    jax = sys.modules["jax"]
    jax.config.update("jax_enable_x64", True)
    jax.config.update("jax_default_matmul_precision", "highest")
    function = case.function(jax.numpy)
    jitted = jax.jit(jax.value_and_grad(function) if case.gradient else function)
    placed = jax.block_until_ready(_map(jax.numpy.asarray, arguments))
    last: list[Any] = []

    def run() -> None:
        last[:] = [jitted(*placed)]

    return run, lambda: jax.block_until_ready(last[0])


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


def _libraries(case: Case) -> dict[str, Callable[[Any], tuple[Run, Run]]]:
    libraries = {"gradopt": lambda arguments: _gradopt(case, arguments)}
    if case.moved:
        libraries["copy"] = lambda _: _copy(case)
    if "torch" in sys.modules:
        libraries["PyTorch, eager"] = lambda arguments: _torch(case, arguments, False)
        libraries["PyTorch, compiled"] = lambda arguments: _torch(case, arguments, True)
    if "jax" in sys.modules:
        libraries["JAX"] = lambda arguments: _jax(case, arguments)
    return {name: make for name, make in libraries.items() if name not in case.without}


def measure(case: Case, rounds: int, without: list[str]) -> dict[str, tuple[float, float]]:
    """Seconds of the first call and of a call, the median, for each library."""
    arguments = case.arguments(np.random.default_rng(0))
    arguments = _map(lambda a: a.astype(case.dtype), arguments)
    calls: dict[str, tuple[Run, Run]] = {}
    first: dict[str, float] = {}
    counts: dict[str, int] = {}
    for name, make in _libraries(case).items():
        if name in without:
            continue
        try:
            run, wait = calls[name] = make(arguments)
            first[name] = _sample(run, wait, 1)
        except Exception as error:
            print(f"  {name}: {type(error).__name__}: {error}")
            del calls[name]
            continue
        _sample(run, wait, 4)  # Captures a graph, and fills pools of memory.
        counts[name] = max(1, min(1000, int(SAMPLE_SECONDS / _sample(run, wait, 1))))
    samples: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, (run, wait) in calls.items():
            samples[name].append(_sample(run, wait, counts[name]))
    return {name: (first[name], statistics.median(values)) for name, values in samples.items()}


def main() -> None:
    """Reads the command line, measures and prints."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--scale", type=int, default=1, help="divides the sizes of arrays")
    parser.add_argument("--case", action="append", choices=list(_cases(1)), help="all by default")
    parser.add_argument(
        "--without", action="append", default=[], help='a library, as in the table: "JAX"'
    )
    options = parser.parse_args()
    # Else JAX takes three quarters of the memory.
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    with contextlib.suppress(ImportError):
        if not importlib.import_module("torch").cuda.is_available():
            del sys.modules["torch"]
    with contextlib.suppress(ImportError):
        if importlib.import_module("jax").default_backend() != "gpu":
            del sys.modules["jax"]
    try:
        go.asarray(0.0, device="cuda")
    except go.errors.DeviceError as error:
        sys.exit(str(error))
    print(f"{go.devices()[1].description}; gradopt {go.__version__}, numpy {np.__version__}")
    for name, case in _cases(options.scale).items():
        if options.case and name not in options.case:
            continue
        print(f"\n{case.title} ({name})", flush=True)
        times = measure(case, options.rounds, options.without)
        for library, (first, call) in times.items():
            rate = ""
            if case.moved:
                rate = f"{case.moved / call / 1e12:8.2f} TB/s"
            elif case.flops:
                rate = f"{case.flops / call / 1e12:8.2f} TFLOP/s"
            ratio = call / times["gradopt"][1] if "gradopt" in times else float("nan")
            print(f"  {library:18s} {first:8.2f} s {call * 1e6:10.1f} us {ratio:8.2f} {rate}")


if __name__ == "__main__":
    main()
