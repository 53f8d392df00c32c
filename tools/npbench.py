# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Compiles the kernels of NPBench as they stand, and says which are right.

    .venv/bin/python tools/npbench.py path/to/npbench [name ...]

For each kernel: whether it compiles, whether results and arguments that it writes to are those of
NumPy, and whether the gradient of the sum of all numbers that it returns or writes is right in a
random direction, by finite differences. Each runs in a process of its own. Sizes are small, so
that kernels whose loops are unrolled take seconds; --preset takes those of the benchmark.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

import gradopt as go

# What replaces the parameters of size S, where these would take long.
SMALL: dict[str, dict[str, int | float]] = {
    "adi": {"TSTEPS": 3, "N": 16},
    "arc_distance": {"N": 1000},
    "atax": {"M": 40, "N": 50},
    "azimint_hist": {"N": 2000, "npt": 20},
    "azimint_naive": {"N": 2000, "npt": 20},
    "bicg": {"M": 40, "N": 50},
    "cavity_flow": {"ny": 15, "nx": 15, "nt": 5, "nit": 10},
    "channel_flow": {"ny": 15, "nx": 15, "nit": 10},
    "cholesky": {"N": 16},
    "cholesky2": {"N": 16},
    "compute": {"M": 50, "N": 50},
    "contour_integral": {"NR": 10, "NM": 20, "slab_per_bc": 2, "num_int_pts": 8},
    "conv2d": {"N": 2, "C_in": 3, "C_out": 4, "K": 3, "H": 12, "W": 12},
    "correlation": {"M": 20, "N": 30},
    "covariance": {"M": 20, "N": 30},
    "covariance2": {"M": 20, "N": 30},
    "crc16": {"N": 100},
    "deriche": {"W": 20, "H": 16},
    "doitgen": {"NR": 10, "NQ": 8, "NP": 12},
    "durbin": {"N": 16},
    "fdtd_2d": {"TMAX": 10, "NX": 12, "NY": 14},
    "floyd_warshall": {"N": 16},
    "gemm": {"NI": 20, "NJ": 22, "NK": 24},
    "gemver": {"N": 30},
    "gesummv": {"N": 30},
    "go_fast": {"N": 20},
    "gramschmidt": {"M": 20, "N": 16},
    "hdiff": {"I": 12, "J": 12, "K": 6},
    "heat_3d": {"TSTEPS": 10, "N": 8},
    "jacobi_1d": {"TSTEPS": 20, "N": 40},
    "jacobi_2d": {"TSTEPS": 20, "N": 12},
    "k2mm": {"NI": 10, "NJ": 12, "NK": 14, "NL": 16},
    "k3mm": {"NI": 10, "NJ": 12, "NK": 14, "NL": 16, "NM": 18},
    "lenet": {"N": 2, "H": 28, "W": 28},
    "lu": {"N": 16},
    "ludcmp": {"N": 16},
    "mandelbrot1": {"XN": 12, "YN": 12, "maxiter": 9},
    "mandelbrot2": {"XN": 12, "YN": 12, "maxiter": 9},
    "mlp": {"C_in": 3, "N": 4, "S0": 10, "S1": 12, "S2": 14},
    "mvt": {"N": 30},
    "nbody": {"N": 6, "tEnd": 1.0, "dt": 0.05},
    "nussinov": {"N": 12},
    "resnet": {"N": 1, "W": 8, "H": 8, "C1": 8, "C2": 4},
    "scattering_self_energies": {
        "Nkz": 2,
        "NE": 4,
        "Nqz": 2,
        "Nw": 2,
        "N3D": 2,
        "NA": 3,
        "NB": 2,
        "Norb": 2,
    },
    "seidel_2d": {"TSTEPS": 4, "N": 10},
    "softmax": {"N": 2, "H": 2, "SM": 8},
    "spmv": {"M": 20, "N": 20, "nnz": 60},
    "stockham_fft": {"R": 2, "K": 4},
    "symm": {"M": 12, "N": 14},
    "syr2k": {"M": 12, "N": 16},
    "syrk": {"M": 12, "N": 16},
    "trisolv": {"N": 16},
    "trmm": {"M": 12, "N": 14},
    "vadv": {"I": 6, "J": 6, "K": 10},
}


def load(path: Path) -> Any:
    """The module of a file."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module


def arguments(root: Path, info: dict[str, Any], preset: str) -> tuple[Any, list[Any]]:
    """The kernel, and its arguments."""
    folder = root / "npbench" / "benchmarks" / info["relative_path"]
    name = info["module_name"]
    parameters: dict[str, Any] = dict(info["parameters"]["S" if preset == "small" else preset])
    if preset == "small":
        changes = SMALL.get(name, SMALL.get(info["short_name"], {}))
        parameters |= {k: v for k, v in changes.items() if k in parameters}
    data = dict(parameters)
    init = info.get("init")
    if init:
        function = getattr(load(folder / f"{name}.py"), init["func_name"])
        found = function(*[parameters[key] for key in init["input_args"]])
        outputs = init["output_args"]
        data |= dict(zip(outputs, found if len(outputs) > 1 else [found], strict=True))
    kernel = getattr(load(folder / f"{name}_numpy.py"), info["func_name"])
    return kernel, [data[key] for key in info["input_args"]]


def copied(args: list[Any]) -> list[Any]:
    """The arguments, with arrays that may be written to."""
    return [a.copy() if isinstance(a, np.ndarray) else a for a in args]


def flat(value: Any) -> list[np.ndarray[Any, Any]]:
    """All arrays in a result."""
    if value is None:
        return []
    if isinstance(value, (tuple, list)):
        return [array for part in value for array in flat(part)]
    return [np.asarray(value)]


def largest_error(got: Any, want: Any) -> float:
    """The largest difference, relative to the largest element."""
    error = 0.0
    for a, b in zip(flat(got), flat(want), strict=True):
        if a.shape != b.shape:
            return np.inf
        if not a.size:
            continue
        scale = float(np.max(np.abs(b[np.isfinite(b)]), initial=1e-300))
        if not np.array_equal(np.isfinite(a), np.isfinite(b)):
            return np.inf
        error = max(error, float(np.max(np.abs(a - b), initial=0, where=np.isfinite(b))) / scale)
    return error


def run(root: Path, name: str, preset: str) -> dict[str, Any]:
    """What came of one kernel."""
    info = json.loads((root / "bench_info" / f"{name}.json").read_text())["benchmark"]
    kernel, args = arguments(root, info, preset)
    report: dict[str, Any] = {"name": name}
    expected_args = copied(args)
    expected = kernel(*expected_args)
    compiled = go.compile(kernel)
    given = copied(args)
    start = time.perf_counter()
    try:
        result = compiled(*given)
    except Exception as error:
        report["error"] = f"{type(error).__name__}: {error}"
        return report
    report["first_call"] = time.perf_counter() - start
    arrays = [i for i, a in enumerate(args) if isinstance(a, np.ndarray)]
    report["value"] = largest_error(
        [result, [given[i] for i in arrays]], [expected, [expected_args[i] for i in arrays]]
    )
    report["wide"] = all(args[i].dtype != np.float32 for i in arrays)
    floats = [i for i in arrays if args[i].dtype.kind in "fc"]
    if floats:
        try:
            report["gradient"] = gradient_error(kernel, args, floats)
        except Exception as error:
            report["gradient_error"] = f"{type(error).__name__}: {error}"
    return report


def gradient_error(kernel: Any, args: list[Any], floats: list[int]) -> float:
    """How far the derivative in a random direction is from a finite difference."""

    def loss(*values: Any) -> Any:
        inner = list(args)
        for i, value in zip(floats, values, strict=True):
            inner[i] = value.copy()
        for i, value in enumerate(inner):
            if i not in floats and isinstance(value, np.ndarray):
                inner[i] = value.copy()
        result = kernel(*inner)
        parts = result if isinstance(result, (tuple, list)) else [result]
        total: Any = 0.0
        for part in [*parts, *[inner[i] for i in floats]]:
            kind = getattr(part, "dtype", np.dtype(bool)).kind
            if kind == "f":
                total = total + np.sum(part)
            elif kind == "c":
                # Both parts count.
                total = total + np.sum(part.real) - 0.5 * np.sum(part.imag)
        return total

    rng = np.random.default_rng(0)
    values = [args[i] for i in floats]
    directions = [
        (
            rng.normal(size=v.shape) + (1j * rng.normal(size=v.shape) if v.dtype.kind == "c" else 0)
        ).astype(v.dtype)
        for v in values
    ]
    numbers = tuple(range(len(values)))
    gradients = go.grad(loss, argnums=numbers)(*values)
    analytic = sum(float(np.sum(g * d).real) for g, d in zip(gradients, directions, strict=True))
    wide = values[0].dtype in (np.float64, np.complex128)
    best = np.inf
    for step in (1e-5, 1e-6, 1e-7) if wide else (1e-2, 1e-3):
        up, down = (
            float(
                loss(
                    *[(v + h * d).astype(v.dtype) for v, d in zip(values, directions, strict=True)]
                )
            )
            for h in (step, -step)
        )
        numeric = (up - down) / (2 * step)
        best = min(best, abs(numeric - analytic) / max(abs(numeric), abs(analytic), 1e-8))
    return best


def main() -> None:
    """Runs all kernels, or those that are named."""
    parser = argparse.ArgumentParser()
    parser.add_argument("root", type=Path)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--preset", default="small")
    parser.add_argument("--timeout", type=float, default=120)
    parser.add_argument("--one", action="store_true", help="run here, and print JSON")
    options = parser.parse_args()
    names = options.names or sorted(p.stem for p in (options.root / "bench_info").glob("*.json"))
    if options.one:
        print(json.dumps(run(options.root, names[0], options.preset)))
        return
    counts = {"compiles": 0, "value": 0, "gradient": 0}
    for name in names:
        command = [sys.executable, __file__, str(options.root), name, "--one"]
        command += ["--preset", options.preset]
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=options.timeout, check=False
            )
        except subprocess.TimeoutExpired:
            print(f"{name:26} took more than {options.timeout:.0f} s", flush=True)
            continue
        try:
            report = json.loads(done.stdout.splitlines()[-1])
        except (IndexError, ValueError):
            print(f"{name:26} {done.stderr.strip()[-300:]}", flush=True)
            continue
        if "error" in report:
            print(f"{name:26} {report['error']}", flush=True)
            continue
        counts["compiles"] += 1
        value, gradient = report["value"], report.get("gradient")
        counts["value"] += value <= (1e-10 if report["wide"] else 1e-5)
        counts["gradient"] += gradient is not None and gradient <= (
            1e-5 if report["wide"] else 1e-2
        )
        shown = report.get("gradient_error") if gradient is None else f"{gradient:.1e}"
        print(
            f"{name:26} {report['first_call']:6.2f} s, value {value:.1e}, gradient {shown}",
            flush=True,
        )
    print(", ".join(f"{key}: {count}" for key, count in counts.items()), "of", len(names))


if __name__ == "__main__":
    main()
