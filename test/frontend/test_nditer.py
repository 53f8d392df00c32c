# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""numpy.nditer over traced arrays."""

from typing import Any

import numpy as np
import pytest

import gradopt as go
from gradopt.errors import MutationError, ShapeError, UnsupportedError

A = np.random.default_rng(2).normal(size=(3, 4))
ROW = np.linspace(0.5, 2, 4)


def total(a: Any) -> Any:
    found = 0.0
    for v in np.nditer(a):
        found = found * 0.9 + np.sin(v)
    return found


def written(a: Any) -> Any:
    b = a.copy()
    with np.nditer(b, op_flags=["readwrite"]) as elements:
        for v in elements:
            v[...] = v**2 if v > 0 else 3 * v
    return b


def several(a: Any, row: Any) -> Any:
    out = np.zeros((3, 4))
    kinds = [["readonly"], ["readonly"], ["readwrite"]]
    for x, y, z in np.nditer([a, row, out], op_flags=kinds, flags=["zerosize_ok"]):
        z[...] = x * y
    return out


def by_columns(a: Any) -> Any:
    found = 0.0
    for v in np.nditer(a.T, order="C"):
        found = found * 0.9 + v
    return found


@pytest.mark.parametrize(
    ("f", "args"),
    [(total, (A,)), (written, (A,)), (several, (A, ROW)), (by_columns, (A,))],
    ids=lambda case: getattr(case, "__name__", ""),
)
def test_values_and_derivatives(f: Any, args: Any) -> None:
    compiled = go.compile(f)
    np.testing.assert_allclose(compiled(*args), f(*args), rtol=1e-13)
    assert all(loop.is_rolled for loop in compiled.lower(*args).loops())
    go.gradcheck(lambda *xs: np.sum(np.sin(f(*xs))), args, order=2)


def test_arrays_of_run_time_size() -> None:
    compiled = go.compile_value_and_grad(total, dynamic={"a": {0: "n"}})
    for n in (3, 1, 5):
        x = np.linspace(-1, 1, n)
        value, gradient = compiled(x)
        np.testing.assert_allclose(value, total(x), rtol=1e-13)
        np.testing.assert_allclose(gradient, 0.9 ** np.arange(n)[::-1] * np.cos(x), rtol=1e-13)
    with pytest.raises(ValueError, match="zero-sized operands is not enabled"):
        compiled(np.ones(0))


def first(iterator: Any) -> Any:
    for v in iterator:
        return v
    return 0.0


def unwritten(a: Any) -> Any:
    for v in np.nditer(a):
        v[...] = 1.0
    return a


def broadcast(a: Any, row: Any) -> Any:
    for x, y in np.nditer([a, row], op_flags=[["readonly"], ["readwrite"]]):
        y[...] = x
    return row


@pytest.mark.parametrize(
    ("f", "kind", "message"),
    [
        (lambda a: first(np.nditer(a, flags=["multi_index"])), UnsupportedError, "'multi_index'"),
        (lambda a: first(np.nditer(a, op_flags=["copy"])), UnsupportedError, "'copy'"),
        (lambda a: first(np.nditer(a.T)), UnsupportedError, "another order than row-major"),
        (lambda a: first(np.nditer(a, order="F")), UnsupportedError, "another order"),
        (lambda a: first(np.nditer(a, casting="safe")), UnsupportedError, "argument casting"),
        (lambda a: first(np.nditer(a[:0])), ShapeError, "zero-sized operands is not enabled"),
        (unwritten, MutationError, "numpy.nditer, which is readonly"),
        (lambda a: broadcast(a, a[0]), ShapeError, "cannot write to an operand"),
    ],
)
def test_what_is_refused(f: Any, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message) as raised:
        go.compile(f)(A)
    assert "test_nditer.py" in str(raised.value)
