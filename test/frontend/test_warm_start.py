# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""A process that runs a script which ran before needs neither MLIR nor LLVM."""

from __future__ import annotations

import hashlib
import json
import random
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from budget import SEED

ROOT = Path(__file__).parents[2]

# What each script ends with: what was imported and loaded, how much was compiled, the results.
REPORT = """
import sys
maps = open("/proc/self/maps").read()
compiler = sys.modules.get("gradopt._compiler")
print(json.dumps({
    "modules": sorted({"mlir", "gradopt._compiler"} & set(sys.modules)),
    "libraries": [name for name in ("libMLIR", "libLLVM", "libGradOpt.so") if name in maps],
    "compiled": 0 if compiler is None else compiler.programs_compiled(),
    "results": [np.asarray(leaf).tolist() for leaf in results],
}))
"""

DIGITS = f"""
import json, runpy, sys
import numpy as np
import gradopt as go
sys.path.insert(0, {str(ROOT / "examples")!r})
demo = runpy.run_path({str(ROOT / "examples/01_digits.py")!r})
generator = np.random.default_rng(0)
params = demo["initial_parameters"](generator, 64)
images, labels = generator.uniform(size=(32, 64)), np.eye(10)[generator.integers(0, 10, 32)]
value, grads = go.compile_value_and_grad(demo["loss"])(params, images, labels)
results = [value, *grads["W"], *grads["b"]]
"""

OTHERS = """
import json
import numpy as np
import gradopt as go

def newton(a):
    def step(s):
        return (s[0] + a / s[0]) / 2, s[0]
    return go.while_loop(lambda s: np.any(np.abs(s[0] - s[1]) > 1e-9), step, (a, a + 1))[0]

@go.custom_vjp
def softplus(x):
    return np.log1p(np.exp(-np.abs(x))) + np.maximum(x, 0)

softplus.defvjp(lambda x: (softplus(x), x), lambda x, g: (g / (1 + np.exp(-x)),))

def energy(x):
    y = go.fori_loop(0, 5, lambda i, v: np.sin(v) * (i + 1), x)
    y = go.cond(np.sum(y) > 0, lambda v: v * 2, np.cos, y)
    y = go.switch(np.argmax(y), [np.sin, np.cos, lambda v: v * v], y)
    return np.sum(go.checkpoint(softplus, policy="dots")(y)) + x[np.argmin(x)]

def total(x):
    c, ys = go.scan(lambda c, r: (c + r, c * r), np.zeros(4), x)
    z = np.concatenate([x[1:, ::2], np.where(x > 1, x, 0.5)[:, 1:3]])
    z[0] += np.array([1.5, -np.inf])
    return c, ys, z, np.cumsum(x @ np.arange(20.0).reshape(4, 5), axis=0), x[np.array([0, 2])]

x, a = np.linspace(0.1, 0.9, 5), np.arange(12.0).reshape(3, 4)
keys = go.random.key(3)
results = [
    go.compile_grad(lambda a: newton(a))(2.0),
    *go.compile_value_and_grad(energy)(x),
    go.compile(go.vmap(go.hessian(energy)))(np.stack([x, x + 1])),
    *go.compile_jvp(energy)((x,), (np.cos(x),)),
    *go.compile(total)(a),
    go.compile(lambda k: go.random.normal(k, (3,)))(keys),
    go.compile(lambda x, y: x + y, donate_argnums=0)(x + 0, x),
    go.compile(lambda x, i: x[i])(x, 2),
]
"""


class Script:
    """A script and its store."""

    def __init__(self, folder: Path, text: str) -> None:
        self.path = folder / "script.py"
        self.path.write_text(textwrap.dedent(text) + REPORT)
        self.store = folder / "store"

    def run(self) -> dict[str, Any]:
        done = subprocess.run(
            [sys.executable, str(self.path)],
            env={"GRADOPT_CACHE": str(self.store), "PATH": "/usr/bin:/bin"},
            capture_output=True,
            text=True,
            timeout=180,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def files(self, pattern: str) -> list[Path]:
        return sorted(self.store.glob(pattern))


@pytest.mark.parametrize("text", [DIGITS, OTHERS], ids=["digits", "others"])
def test_no_compiler_is_loaded(tmp_path: Path, text: str) -> None:
    script = Script(tmp_path, text)
    cold, warm = script.run(), script.run()
    assert cold["compiled"] > 0
    assert cold["libraries"] == ["libMLIR", "libLLVM", "libGradOpt.so"]
    results = warm.pop("results")
    assert warm == {"modules": [], "libraries": [], "compiled": 0}
    assert results == cold["results"]
    # MLIR's own Python package is not even needed to compile.
    assert cold["modules"] == ["gradopt._compiler"]


SHORT = """
import json
import numpy as np
import gradopt as go
x = np.linspace(0.1, 0.9, 5)
results = [go.compile_grad(lambda x: np.sum(np.where(np.sin(x) > 0.5, x * x, x)))(x)]
"""
X = np.linspace(0.1, 0.9, 5)
GRADIENT = np.where(np.sin(X) > 0.5, 2 * X, 1.0)


def test_notes_may_be_damaged(tmp_path: Path) -> None:
    script = Script(tmp_path, SHORT)
    script.run()
    (notes,) = script.files("*/notes-*")
    whole = notes.read_bytes()
    assert whole.count(b"\n") > 1
    generator = random.Random(SEED)
    flipped = bytearray(whole)
    flipped[generator.randrange(len(whole))] ^= 1 << generator.randrange(8)
    garbage = bytes(generator.randrange(256) for _ in range(200))
    cut = whole[: generator.randrange(len(whole))]
    for damaged in (bytes(flipped), cut, garbage, b"", garbage + b"\n" + whole):
        notes.write_bytes(damaged)
        for _ in range(2):
            got = script.run()
            np.testing.assert_allclose(got["results"][0], GRADIENT, rtol=1e-14)
            # The code is found by the program, and the program does not depend on notes.
            assert got["compiled"] == 0
        # What was missing was added.
        assert got["modules"] == []


def test_notes_of_others_are_not_read(tmp_path: Path) -> None:
    script = Script(tmp_path, SHORT)
    script.run()
    (notes,) = script.files("*/notes-*")
    secret = tmp_path / "elsewhere"
    notes.rename(secret)
    notes.symlink_to(secret)
    before = secret.read_bytes()
    assert script.run()["modules"] == ["gradopt._compiler"]
    assert secret.read_bytes() == before


def test_code_of_another_compiler_is_not_run(tmp_path: Path) -> None:
    """Each entry names the libraries that made it, as they were."""
    script = Script(tmp_path, SHORT)
    script.run()
    (entry,) = script.files("*/code-*")
    whole = entry.read_bytes()
    size = int.from_bytes(whole[40:48], "little")
    lines = whole[48 : 48 + size].decode().splitlines()
    names = [Path(line.split(" ", 3)[3]).name.split(".")[0] for line in lines]
    assert names == ["_compiler", "libGradOpt", "libMLIR", "libLLVM"]
    for i, line in enumerate(lines):
        length, rest = line.split(" ", 1)
        changed = [*lines]
        changed[i] = f"{int(length) + 1} {rest}"
        text = ("\n".join(changed) + "\n").encode()
        body = whole[32:40] + len(text).to_bytes(8, "little") + text + whole[48 + size :]
        entry.write_bytes(hashlib.sha256(body).digest() + body)
        assert script.run()["compiled"] == 1
        assert entry.read_bytes() == whole


def test_notes_do_not_grow_for_ever(tmp_path: Path) -> None:
    script = Script(tmp_path, SHORT)
    script.run()
    (notes,) = script.files("*/notes-*")
    whole = notes.read_bytes()
    notes.write_bytes(b"x" * (1 << 20) + b"\n")
    assert script.run()["modules"] == ["gradopt._compiler"]
    notes.write_bytes(b"x" * ((1 << 20) + 1) + b"\n")
    script.run()
    assert notes.read_bytes() == whole


def test_a_fork_waits_for_the_import_of_the_compiler() -> None:
    """The lock of a module that another thread imports would stay locked in the child."""
    script = """
        import os, signal, sys, threading, time
        import numpy as np
        import gradopt as go

        begun = threading.Event()

        class Slow:
            def find_spec(self, name, path=None, target=None):
                if name == "gradopt._compiler":
                    begun.set()
                    time.sleep(0.3)

        sys.meta_path.insert(0, Slow())
        compiled = go.compile(lambda x: np.where(x > 0, x, 0.0) + 1, cache=False)
        thread = threading.Thread(target=compiled, args=(np.ones(3),))
        thread.start()
        begun.wait()
        child = os.fork()
        if child == 0:
            signal.alarm(60)
            got = go.compile(lambda x: np.where(x > 1, x, 0.0), cache=False)(np.arange(3.0))
            os._exit(0 if got.tolist() == [0, 0, 2] else 1)
        thread.join()
        sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], timeout=120)
    assert done.returncode == 0
