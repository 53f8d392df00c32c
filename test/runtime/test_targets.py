# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Functions that compiled code calls, without the front end."""

from __future__ import annotations

import ctypes
import gc
import weakref
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from gradopt import _gradopt
from gradopt.compilation.compiler import Program, compile_program

PROGRAM = """
func.func public @main(%x: tensor<2xf64>) -> (tensor<2xf64>, tensor<i1>) {
  %0:2 = grad.custom_call "f", target = 0, batching = "sequential" (%x)
      : (tensor<2xf64>) -> (tensor<2xf64>, tensor<i1>)
  %1 = grad.add %0#0, %x : tensor<2xf64>
  return %1, %0#1 : tensor<2xf64>, tensor<i1>
}
"""
X = np.array([1.0, 2.0])
Buffers = ctypes.c_void_p
Function = ctypes.CFUNCTYPE(ctypes.c_int32, Buffers, Buffers)


def load(*targets: tuple[int, Callable[..., Any]]) -> _gradopt.Executable:
    done = compile_program(Program(PROGRAM, "main"), "object")
    results = [("f8", (2,)), ("?", ())]
    return _gradopt.Executable(
        done.object_code, [("f8", (2,))], results, done.arena_bytes, targets=targets
    )


def never(status: int) -> None:
    raise AssertionError(status)


def test_python_target() -> None:
    def target(inputs: list[Any], shapes: list[Any]) -> Sequence[Any]:
        assert shapes == [(2,), ()]
        return inputs[0] * 10, np.array(inputs[0].sum() > 3)

    run = load((0, target))
    for x in (X, X + 1):
        got, flag = run(x)
        np.testing.assert_array_equal(got, 11 * x)
        assert flag == (x.sum() > 3)


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        ([X], "1 arrays for 2"),
        (None, "a callback returns a sequence"),
        ((X, None), "a callback returned None"),
        ((X.astype("f4"), np.array(True)), "a callback returned"),
        ((X[:1], np.array(True)), "a callback returned"),
        ((np.zeros((2, 2))[:, 0], np.array(True)), "a callback returned"),
    ],
)
def test_results_of_a_python_target_are_checked(returned: Any, message: str) -> None:
    run = load((0, lambda _inputs, _shapes: returned))
    with pytest.raises(TypeError, match=message):
        run(X)


def test_bools_are_zero_or_one() -> None:
    flag = np.array(7, np.uint8).view(bool)
    assert load((0, lambda inputs, _: (inputs[0], flag)))(X)[1] == True  # noqa: E712


def test_native_target() -> None:
    status = 0

    @Function
    def native(inputs: int, outputs: int) -> int:
        # The address of the elements comes first.
        source = ctypes.cast(inputs, ctypes.POINTER(ctypes.POINTER(ctypes.c_double)))[0]
        target = ctypes.cast(outputs, ctypes.POINTER(ctypes.POINTER(ctypes.c_double)))[0]
        target[0], target[1] = -source[0], -source[1]
        return status

    address = ctypes.cast(native, ctypes.c_void_p).value
    assert address
    failures: list[int] = []

    def fail(number: int) -> None:
        failures.append(number)
        raise LookupError

    run = load((address, fail))
    np.testing.assert_array_equal(run(X)[0], 0 * X)
    status = -3
    with pytest.raises(LookupError):
        run(X)
    assert failures == [-3]
    # Whoever raises nothing has not dealt with it.
    with pytest.raises(_gradopt.ExecutionError, match="target 0 returned status -3"):
        load((address, lambda _status: None))(X)
    status = 0
    np.testing.assert_array_equal(load((address, never))(X)[0], 0 * X)


def test_the_targets_of_nested_runs() -> None:
    """A target runs the program that called it; the outer failure is not the inner one."""
    depth = 0

    def target(inputs: list[Any], _shapes: list[Any]) -> Sequence[Any]:
        nonlocal depth
        if depth == 3:
            raise LookupError(depth)
        depth += 1
        with pytest.raises(LookupError, match="3" if depth == 3 else "again"):
            run(inputs[0] + 1)
        depth -= 1
        if depth:
            raise LookupError("again")
        return inputs[0], np.array(True)

    run = load((0, target))
    np.testing.assert_array_equal(run(X)[0], 2 * X)


def test_cycles_through_targets_are_collected() -> None:
    class Target:
        def __call__(self, inputs: list[Any], _shapes: list[Any]) -> Sequence[Any]:
            return inputs[0], np.array(False)

    target: Any = Target()
    target.executable = load((0, target))
    found = weakref.ref(target)
    del target
    gc.collect()
    assert found() is None


def test_targets_that_are_none() -> None:
    done = compile_program(Program(PROGRAM, "main"), "object")
    with pytest.raises(TypeError):
        _gradopt.Executable(done.object_code, [("f8", (2,))], [], targets=[3])  # pyright: ignore


def test_target_that_is_not_there() -> None:
    with pytest.raises(_gradopt.ExecutionError, match=r"calls target 0, but .* set 0"):
        load()(X)


def test_targets_of_a_program_in_a_program() -> None:
    """Without targets, it does not call those of the other one."""
    inner = load()

    def target(inputs: list[Any], shapes: list[Any]) -> Sequence[Any]:
        with pytest.raises(_gradopt.ExecutionError, match=r"calls target 0, but .* set 0"):
            inner(X)
        return inputs[0], np.array(True)

    np.testing.assert_array_equal(load((0, target))(X)[0], 2 * X)
