# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The scripts that take programs to a machine with a GPU, on an emulated one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from emulated_cuda import library_path

HERE = Path(__file__).resolve().parent


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What is taken there: some of the numeric tests, and all whole programs."""
    folder = tmp_path_factory.mktemp("programs") / "there"
    command = [sys.executable, str(HERE / "write_bundle.py"), str(folder), "--chips", "emulated"]
    subprocess.run([*command, "-k", "tanh or reduce_sum"], check=True, timeout=300)
    return folder


def run(folder: Path, *flags: str) -> subprocess.CompletedProcess[str]:
    """Runs them with the runtime of the folder: this environment has NumPy alone."""
    packages = Path(np.__file__).parent.parent
    command = [sys.executable, "-S", str(folder / "run_bundle.py"), *flags]
    environment = {**os.environ, "PYTHONPATH": str(packages)}
    return subprocess.run(
        command, capture_output=True, text=True, timeout=300, env=environment, cwd=folder
    )


@pytest.mark.slow
def test_programs_run_elsewhere(folder: Path) -> None:
    done = run(folder, "--driver", str(library_path()))
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"run by {folder}/gradopt_runtime" in done.stdout
    assert "of which 0 failed" in done.stdout


def test_other_results_are_told(folder: Path) -> None:
    with np.load(folder / "data.npz") as data:
        arrays = dict(data)
    key = "perceptron/0/r/2"
    changed = arrays[key].copy()
    changed[3] *= 1 + 1e-6
    np.savez(folder / "other.npz", **{**arrays, key: changed})
    kept = (folder / "data.npz").read_bytes()
    (folder / "other.npz").replace(folder / "data.npz")
    try:
        done = run(folder, "--driver", str(library_path()), "-k", "perceptron")
    finally:
        (folder / "data.npz").write_bytes(kept)
    assert done.returncode == 1
    assert "at (3,), and 0 others" in done.stdout
    assert "1 failed" in done.stdout


def test_no_driver_is_an_error(folder: Path) -> None:
    done = run(folder, "--driver", "/none/libcuda.so.1", "-k", "elementwise")
    assert done.returncode == 1
    assert "needed the driver of NVIDIA GPUs" in done.stdout + done.stderr
