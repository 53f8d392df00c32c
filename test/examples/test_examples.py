# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The examples, the benchmark and the code in README.md run and do what they say."""

from __future__ import annotations

import re
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from emulated_cuda import library_path

ROOT = Path(__file__).resolve().parent.parent.parent
TOOL = Path(sys.executable).parent / "gradopt"
STAGES = ("grad", "adjoint", "simplified", "linalg", "bufferized", "llvm", "asm")


def run(
    *command: str | Path, status: int = 0, stdin: str | None = None, folder: Path = ROOT
) -> subprocess.CompletedProcess[str]:
    """Runs a command and checks its exit status."""
    done = subprocess.run(
        [str(part) for part in command],
        cwd=folder,
        input=stdin,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == status, done.stdout + done.stderr
    return done


def example(name: str, *arguments: str | Path, **expected: Any) -> str:
    """Standard output of an example."""
    return run(sys.executable, ROOT / "examples" / name, *arguments, **expected).stdout


def test_digits_reach_the_accuracy_and_save_the_curve(tmp_path: Path) -> None:
    pytest.importorskip("sklearn")
    pytest.importorskip("matplotlib")
    picture = tmp_path / "new" / "loss.png"
    output = example("01_digits.py", "--quiet", "--out", picture)
    accuracy = re.search(r"held-out images: ([\d.]+)%", output)
    assert accuracy, output
    assert float(accuracy[1]) >= 95
    assert str(picture) in output
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert [path.name for path in picture.parent.iterdir()] == ["loss.png"]


def test_digits_that_are_not_learnt_are_a_failure(tmp_path: Path) -> None:
    pytest.importorskip("sklearn")
    pytest.importorskip("matplotlib")
    arguments = ["--quiet", "--epochs", "1", "--learning-rate", "1e-6", "--out", tmp_path / "x.png"]
    done = run(sys.executable, ROOT / "examples/01_digits.py", *arguments, status=1)
    assert "below 95%" in done.stderr


def test_a_c_program_trains_the_digits(tmp_path: Path) -> None:
    pytest.importorskip("sklearn")
    output = example("16_deployment.py", "--out", tmp_path)
    accuracy = re.search(r"held-out images: ([\d.]+)%", output)
    assert accuracy, output
    assert float(accuracy[1]) >= 95
    assert output.count("epoch") == 20


def test_a_network_is_fitted_on_each_device() -> None:
    script = ROOT / "examples" / "17_device.py"
    code = (
        "import runpy, sys; from gradopt import _gradopt; _gradopt.set_driver(sys.argv.pop(1)); "
        f"runpy.run_path({str(script)!r}, run_name='__main__')"
    )
    losses: list[list[str]] = []
    for device in ("cpu", "cuda:1"):
        arguments = ["--steps", "120", "--device", device]
        output = run(sys.executable, "-c", code, library_path(), *arguments).stdout
        assert f"* {device}: " in output
        losses.append(re.findall(r"loss ([\d.]+)", output))
    # Rounded as they are printed.
    assert losses[0] == losses[1]
    assert float(losses[0][0]) > 1 > 0.05 > float(losses[0][-1])


# What each model prints, of which the number is below or above a bound.
MODELS: dict[str, tuple[str, float, float]] = {
    "08_newton.py": (r"held-out tumours: ([\d.]+)%", 95, 100),
    "09_gaussian_process.py": (r"nearest point [\d.]+ m, ([\d.]+)% of it", 10, 90),
    "10_convolutions.py": (r"held-out images: ([\d.]+)%", 98.5, 100),
    "11_characters.py": (r"network +([\d.]+)", 1, 2.4),
    "12_autoencoder.py": (r"at most ([\d.]+);", 50, 104),
    "13_transformer.py": (r"network +([\d.]+)", 1, 2.5),
    "14_mixed_gradients.py": (r"held-out images: ([\d.]+)%", 95, 100),
    "15_pendulum.py": (r"after the measurement: ([\d.]+)", 0, 0.025),
    "18_heat.py": (r"at most ([\d.]+) standard errors", 0, 4),
    "19_double_pendulum.py": (r"upright after 4.0 s: ([\d.e-]+) m", 0, 1e-6),
    "20_control.py": (r"misses by ([\d.]+)", 0, 1e-3),
    "21_alignment.py": (r"is ([\d.]+) times nearer", 5, 1000),
    "22_gauss_seidel.py": (r"relative difference: ([\d.e-]+)", 0, 1e-6),
    "23_kalman.py": (r"at most ([\d.]+) standard errors", 0, 4),
    "24_options.py": (r"tree is off by ([\d.]+)", 0, 0.05),
    "25_hidden_markov.py": (r"letters in the right state: ([\d.]+)%", 85, 100),
    "26_word_counts.py": (r"held-out documents: ([\d.]+) nats", 0.5, 10),
    "27_bayesian_optimisation.py": (r"higher places: ([\d.]+)%", 0, 0.5),
    "28_latent_digits.py": (r"that is ([\d.]+)% of them", 0, 50),
    "29_learnt_dynamics.py": (r"off by ([\d.]+)% of their size", 0, 10),
    "30_smoke.py": (r"([\d.]+)% of it is left", 0, 20),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_model_reaches_its_quality_and_saves_a_picture(name: str, tmp_path: Path) -> None:
    pytest.importorskip("sklearn")
    pytest.importorskip("matplotlib")
    pattern, low, high = MODELS[name]
    output = example(name, "--quiet", "--out", tmp_path / "picture.png")
    found = re.search(pattern, output)
    assert found, output
    assert low <= float(found[1]) <= high
    assert (tmp_path / "picture.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("name", ["11_characters.py", "13_transformer.py"])
def test_models_that_are_not_trained_are_a_failure(name: str, tmp_path: Path) -> None:
    """They are worse than counts of pairs, and the program says so."""
    pytest.importorskip("matplotlib")
    arguments = ["--quiet", "--steps", "1", "--out", tmp_path / "picture.png"]
    done = run(sys.executable, ROOT / "examples" / name, *arguments, status=1)
    taken, counted = (
        re.search(pattern, done.stdout) for pattern in (MODELS[name][0], r"pairs +([\d.]+)")
    )
    assert taken
    assert counted
    assert float(taken[1]) > float(counted[1])
    assert "train longer?" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("01_digits.py --epochs 0", "--epochs: 0 is less than 1"),
        ("01_digits.py --seed -1", "--seed: -1 is less than 0"),
        ("01_digits.py --show nothing", "invalid choice"),
        ("01_digits.py --quiet --out test", "cannot write test: it is a folder"),
        ("02_rosenbrock.py -n 1", "two variables or more"),
        ("03_second_order.py --samples 1", "--samples is 2 or more"),
        ("06_custom_gradient.py --observations 9", "--observations is 10 or more"),
        ("08_newton.py --decay 0", "--decay is positive"),
        ("09_gaussian_process.py --points 19", "--points: 19 is less than 20"),
        ("15_pendulum.py --noise 0", "--noise is positive"),
        ("18_heat.py --noise 0", "--noise is positive"),
        ("24_options.py --steps 9", "--steps: 9 is less than 10"),
        ("10_convolutions.py --batch-size 1", "--batch-size: 1 is less than 2"),
        ("11_characters.py --length 1000000 --quiet", "the text has no 16 pieces of 1000000"),
    ],
)
def test_bad_options_are_one_line(arguments: str, message: str) -> None:
    name, *rest = arguments.split()
    status = 1 if "cannot" in message or "has no" in message else 2
    done = run(sys.executable, ROOT / "examples" / name, *rest, status=status)
    assert message in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr


def test_digits_show_every_stage() -> None:
    pytest.importorskip("sklearn")
    output = example("01_digits.py", "--show", *STAGES)
    for sign in ("grad.vjp", "grad.dot_general", "linalg.generic", "memref.view", "llvm.func"):
        assert sign in output
    assert ".globl\tgradopt_main" in output


def test_what_digits_show_is_input_of_the_tool() -> None:
    pytest.importorskip("sklearn")
    shown = example("01_digits.py", "--show", "grad")
    assert "llvm.func @gradopt_main" in run(TOOL, "--grad-to-cpu", stdin=shown).stdout


@pytest.mark.parametrize(
    "name", ["02_rosenbrock.py", "03_second_order.py", "05_stages.py", "06_custom_gradient.py"]
)
def test_example_runs(name: str) -> None:
    assert example(name)


def test_newtons_steps_square_the_error(tmp_path: Path) -> None:
    pytest.importorskip("sklearn")
    pytest.importorskip("matplotlib")
    output = example("08_newton.py", "--quiet", "--out", tmp_path / "picture.png")
    norms = [float(word) for word in output.split("gradients:")[1].split("\n")[1].split()]
    small = [norm for norm in norms if norm < 0.3]
    assert len(small) >= 3
    assert all(after < 10 * before**2 for before, after in pairwise(small) if before > 1e-7)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("08_newton.py", "more steps?"),
        ("09_gaussian_process.py", "or more steps?"),
        ("29_learnt_dynamics.py", "the pendulum was not learnt"),
    ],
)
def test_fits_that_end_too_early_are_a_failure(name: str, message: str, tmp_path: Path) -> None:
    pytest.importorskip("sklearn")
    pytest.importorskip("matplotlib")
    arguments = ["--quiet", "--steps", "1", "--out", tmp_path / "picture.png"]
    if name.startswith("09"):
        arguments += ["--points", "20"]
    assert message in run(sys.executable, ROOT / "examples" / name, *arguments, status=1).stderr


@pytest.mark.parametrize(
    ("passes", "sign"),
    [
        ("grad-differentiate canonicalize", "grad.dot_general"),
        ("grad-differentiate canonicalize cse convert-grad-to-linalg grad-fuse", "linalg.generic"),
        ("grad-to-cpu", "llvm.func @gradopt_main"),
    ],
)
def test_pure_ir_goes_through_the_tool(passes: str, sign: str) -> None:
    flags = [f"--{name}" for name in passes.split()]
    output = run(TOOL, ROOT / "examples/04_pure_ir.mlir", *flags).stdout
    assert sign in output
    assert "grad.vjp" not in output


def test_upstream_ir_stays_upstream() -> None:
    flag = "--grad-differentiate=function=loss wrt=0,1,2"
    output = run(TOOL, ROOT / "examples/07_upstream_ir.mlir", flag).stdout
    assert "func.func @loss_gradient" in output
    assert "grad." not in output


def test_readme_code_runs(tmp_path: Path) -> None:
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert len(blocks) == 8
    code = "\n".join([*blocks, "assert value < 0.1", "go.gradcheck(loss, (params, x, y))"])
    (tmp_path / "readme.py").write_text(code)
    assert "Memory(" in run(sys.executable, "readme.py", folder=tmp_path).stdout
    assert (tmp_path / "step.bundle").exists()


def test_benchmark_runs() -> None:
    arguments = ["--case", "rosenbrock", "--library", "numpy", "--rounds", "1"]
    output = run(sys.executable, ROOT / "benchmarks/run.py", *arguments).stdout
    assert "gradopt" in output
    assert "NumPy, value only" in output


def test_benchmark_of_loops_runs() -> None:
    """NumPy and compiled code agree, or it fails."""
    arguments = ["--loops", "seidel_2d-s", "--library", "numpy", "--rounds", "1"]
    output = run(sys.executable, ROOT / "benchmarks/run.py", *arguments).stdout
    assert "seidel_2d, S: result" in output
    assert "seidel_2d, S: gradient" in output


def test_checkouts_are_compared() -> None:
    arguments = ["--case", "rosenbrock", "--rounds", "1", "--starts", "1"]
    output = run(sys.executable, ROOT / "benchmarks/compare.py", ROOT, ROOT, *arguments).stdout
    head, row = output.splitlines()
    assert "first call (us)" in head
    assert re.search(r"rosenbrock .* ([\d,]+) \1   1.00", row)
