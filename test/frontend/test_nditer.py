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


def weighed(a: Any, b: Any) -> Any:
    found = 0.0
    for x, y in np.nditer([a, b]):
        found = found * 2 + x * y
    return found


def changed(a: Any) -> Any:
    b, k = a[::-1].T * 2.0, 0.0
    for v in np.nditer(b, op_flags=["readwrite"]):
        v[...] = v * 2 + k
        k = k + 1
    return b


@pytest.mark.parametrize(
    "order",
    [
        lambda a: a,
        np.asfortranarray,
        lambda a: a[::-1],
        lambda a: a.T[::-1, ::-1],
        lambda a: np.repeat(a, 2, 1)[:, ::2],
        lambda a: np.broadcast_to(a[0], (3, 4)),
        lambda a: np.stack([a, a + 1]).transpose(2, 0, 1),
    ],
)
def test_elements_come_as_they_lie_in_memory(order: Any) -> None:
    a = order(A)
    for f, args in ((total, (a,)), (weighed, (a, a[0])), (weighed, (a, a * 2)), (changed, (a,))):
        np.testing.assert_allclose(go.compile(f)(*args), f(*args), rtol=1e-13)
    go.gradcheck(total, (a,))
    direction = np.random.default_rng(5).normal(size=a.shape)
    expected = np.sum(go.grad(total)(a) * direction)
    np.testing.assert_allclose(go.linearize(total, a)[1](direction), expected, rtol=1e-12)
    np.testing.assert_allclose(
        np.sum(go.vjp(total, a)[1](1.0)[0] * direction), expected, rtol=1e-12
    )


def test_arrays_of_run_time_size() -> None:
    compiled = go.compile_value_and_grad(total, dynamic={"a": {0: "n"}})
    for n in (3, 1, 5):
        x = np.linspace(-1, 1, n)
        value, gradient = compiled(x)
        np.testing.assert_allclose(value, total(x), rtol=1e-13)
        np.testing.assert_allclose(gradient, 0.9 ** np.arange(n)[::-1] * np.cos(x), rtol=1e-13)
    with pytest.raises(ValueError, match="zero-sized operands is not enabled"):
        compiled(np.ones(0))
    by_rows = go.compile(total, dynamic={"a": {0: "n"}})
    np.testing.assert_allclose(by_rows(A), total(A), rtol=1e-13)
    with pytest.raises(UnsupportedError, match="unknown memory order"):
        by_rows(np.asfortranarray(A))


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
        (lambda a: first(np.nditer(a[[0, 1]][:, [0, 2]].T)), UnsupportedError, "unknown memory"),
        (lambda a: first(np.nditer(a, order="F")), UnsupportedError, "order='F'"),
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
