# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""tools/hips.py on a suite of ours: it finds what is wrong, and counts."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

TOOL = Path(__file__).parents[2] / "tools" / "hips.py"

SUITE = """
import itertools

import autograd.numpy as np
import autograd.scipy.special as special
import pytest
from autograd import grad, hessian, jacobian, make_jvp, make_vjp, value_and_grad
from autograd.extend import defjvp, defvjp, primitive
from autograd.misc import flatten
from autograd.test_util import check_equivalent, check_grads, combo_check

x = np.array([0.3, -0.7, 1.1])


def test_right():
    def f(x, y):
        return np.sum(np.tanh(x) * y) if np.sum(x) > 0 else np.sum(x * y)

    check_grads(f, argnum=(0, 1))(x, 2.0 * x)
    combo_check(np.sum, [0])([x, np.outer(x, x)], axis=[None, 0], keepdims=[True, False])
    check_grads(special.erf)(x)


def test_transforms():
    f = lambda x, scale=1.0: np.sum(np.sin(x) * scale)
    check_equivalent(grad(f)(x, scale=2.0), 2 * np.cos(x))
    value, gradient = value_and_grad(f)(x)
    check_equivalent((value, gradient), (f(x), np.cos(x)))
    check_equivalent(jacobian(np.sin)(x), np.diag(np.cos(x)))
    check_equivalent(hessian(f)(x), -np.diag(np.sin(x)))
    pull, value = make_vjp(np.sin)(x)
    check_equivalent((pull(x), value), (x * np.cos(x), np.sin(x)))
    check_equivalent(make_jvp(np.sin)(x)(x), (np.sin(x), x * np.cos(x)))


def test_flatten():
    value = {"b": [x, 2.0], "a": (np.outer(x, x),)}
    flat, back = flatten(value)
    assert flat.shape == (13,)
    check_equivalent(back(flat), value)
    check_equivalent(grad(lambda v: np.sum(flatten(v)[0] ** 2))(value)["b"][0], 2 * x)


@primitive
def double(x):
    return 2.0 * x


defvjp(double, lambda ans, x: lambda g: 2.0 * g)
defjvp(double, lambda g, ans, x: 2.0 * g)


@primitive
def wrong(x):
    return 2.0 * x


defvjp(wrong, lambda ans, x: lambda g: 2.001 * g)


@primitive
def wrong_later(x):
    return 2.0 * x


defvjp(wrong_later, lambda ans, x: lambda g: wrong(g))


def test_rules():
    check_grads(double)(x)
    with pytest.raises(AssertionError, match=r"\\(VJP\\) check of wrong failed"):
        check_grads(wrong, modes=["rev"])(x)
    with pytest.raises(AssertionError, match=r"\\(VJP\\) check of vjp_wrong_later failed"):
        check_grads(wrong_later, modes=["rev"])(x)
    with pytest.raises(NotImplementedError):
        grad(primitive(lambda x: 2.0 * x))(1.0)


def test_wrong():
    check_grads(wrong, modes=["rev"])(x)


def test_value_of_numpys():
    calls = itertools.count(1)
    check_grads(lambda x: x * next(calls))(x)


def test_refused():
    check_grads(lambda x: x * x.flags.writeable)(x)
"""


def test_a_suite(tmp_path: Path) -> None:
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_sample.py").write_text(SUITE)
    (tmp_path / "tests" / "test_vspaces.py").write_text("def test_one():\n    assert False\n")
    (tmp_path / "tests" / "test_broken.py").write_text("import autograd.nothing\n")
    command = [sys.executable, str(TOOL), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 1, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert lines[-1].startswith("4 of 8 applicable tests pass (50.0 %); 1 not applicable"), lines
    text = done.stdout
    assert "1 failed: AssertionError: (VJP) check of wrong failed: reverse derivative" in text
    assert "1 failed: UnsupportedError: ndarray.flags is not supported" in text
    assert "test_sample.py::test_refused" in text
    assert "1 failed: AssertionError: [" in text
    assert "1 failed: ModuleNotFoundError: No module named 'autograd.nothing'" in text
    assert "1 not applicable: vector spaces" in text
