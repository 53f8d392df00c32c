# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""User code runs under no lock of gradopt's: not while it is traced, not while it is compiled."""

from __future__ import annotations

import concurrent.futures
import contextlib
import functools
import gc
import os
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import gradopt as go
from gradopt.recording import ir

X = np.arange(3.0)
LIMIT = 120  # Seconds until a deadlock is taken for one.


@pytest.fixture(autouse=True)
def alarm() -> Iterator[None]:
    """Ends a test that hangs: a deadlock is not one for the handler of a signal."""

    def hangs(*_: Any) -> None:
        raise TimeoutError("deadlock")

    before = signal.signal(signal.SIGALRM, hangs)
    signal.alarm(2 * LIMIT)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def in_thread(function: Callable[[], Any]) -> Any:
    """The result of the function, called in a thread of its own."""
    with concurrent.futures.ThreadPoolExecutor(1) as executor:
        return executor.submit(function).result(LIMIT)


def test_a_traced_function_may_wait_for_threads_that_compile() -> None:
    inner = go.compile(lambda y: y + 1)

    def f(x: Any) -> Any:
        with concurrent.futures.ThreadPoolExecutor(2) as executor:
            a, b = executor.map(inner, [np.ones(3), np.ones(3)], timeout=LIMIT)
        return x + a * b

    np.testing.assert_array_equal(go.compile(f)(X), X + 4)
    np.testing.assert_array_equal(go.compile_grad(lambda x: np.sum(f(x)))(X), np.ones(3))


def test_a_traced_function_may_compile_itself_in_a_thread() -> None:
    depth = 0

    @go.compile
    def f(x: Any) -> Any:
        nonlocal depth
        depth += 1
        return x + in_thread(lambda: f(X)) if depth < 3 else x + 1

    np.testing.assert_array_equal(f(X), 3 * X + 1)
    assert depth == 3


def test_a_traced_function_may_call_itself_with_concrete_arrays() -> None:
    depth = 0

    @go.compile
    def f(x: Any) -> Any:
        nonlocal depth
        depth += 1
        return x + f(X) if depth < 3 else x + 1

    np.testing.assert_array_equal(f(X), 3 * X + 1)


@pytest.mark.parametrize("make", [threading.Lock, threading.RLock])
def test_a_lock_of_the_users_around_calls_and_in_traces(make: Callable[[], Any]) -> None:
    lock, inside, others = make(), threading.Event(), threading.Event()

    def traced(x: Any) -> Any:
        inside.set()
        assert others.wait(LIMIT)
        with lock:
            return x * 2

    def other() -> Any:
        with lock:
            assert inside.wait(LIMIT)
            others.set()
            return go.compile(lambda x: x * 3)(X)

    with concurrent.futures.ThreadPoolExecutor(2) as executor:
        first, second = executor.submit(go.compile(traced), X), executor.submit(other)
        np.testing.assert_array_equal(first.result(LIMIT), X * 2)
        np.testing.assert_array_equal(second.result(LIMIT), X * 3)


def test_cached_properties_that_compile() -> None:
    """They have a lock of the whole class before Python 3.12."""
    inside, others = threading.Event(), threading.Event()

    class Model:
        @functools.cached_property
        def step(self) -> Any:
            inside.set()
            assert others.wait(LIMIT)
            return go.compile(lambda x: x + 1)(X)

    def traced(x: Any) -> Any:
        assert inside.wait(LIMIT)
        others.set()
        return x + Model().step

    with concurrent.futures.ThreadPoolExecutor(2) as executor:
        first, second = (
            executor.submit(lambda: Model().step),
            executor.submit(go.compile(traced), X),
        )
        np.testing.assert_array_equal(first.result(LIMIT), X + 1)
        np.testing.assert_array_equal(second.result(LIMIT), X + X + 1)


def forked(function: Callable[[], bool]) -> bool:
    """The truth of the function in a child, which has a while for it."""
    child = os.fork()
    if child == 0:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(60)
        os._exit(0 if function() else 1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_a_traced_function_may_wait_for_a_thread_that_forks() -> None:
    def compiles() -> bool:
        return go.compile(lambda y: y * 2 + 1)(X).tolist() == [1, 3, 5]

    def f(x: Any) -> Any:
        assert in_thread(lambda: forked(compiles))
        assert forked(compiles)
        return x + 1

    np.testing.assert_array_equal(go.compile(f)(X), X + 1)


def test_a_trace_goes_on_in_a_forked_process() -> None:
    def f(x: Any) -> Any:
        y = np.sin(x)
        child = os.fork()
        if child == 0:
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.alarm(60)
        children.append(child)
        return y * 2

    children: list[int] = []
    got = go.compile(f)(X)
    correct = np.allclose(got, np.sin(X) * 2)
    if children == [0]:
        os._exit(0 if correct else 1)
    assert correct
    assert os.waitstatus_to_exitcode(os.waitpid(children[0], 0)[1]) == 0


def test_a_trace_imports_the_compiler_alone() -> None:
    """A module's lock that another thread holds at a fork stays locked in the child."""
    script = """
        import sys, numpy as np, gradopt as go
        before = set(sys.modules)

        def f(x, i):
            y = go.grad(lambda v: np.sum(np.tanh(v[1:]) * 2) + np.max(v) + v[i])(x)
            z = np.where(y > 0, y, x @ np.eye(3))
            z[0] += 1
            return z.astype(int), np.concatenate([x, z]), {"a": np.arange(20.0)[:3] * x}

        compiled = go.compile(f, progress=False)
        compiled(np.ones(3), 1)
        lowered = compiled.lower(np.ones(3), np.array(1))
        lowered.asm(), lowered.memory(), lowered.mlir("linalg")
        packages = ("mlir", "gradopt", "scipy_openblas32")
        print(sorted(m for m in set(sys.modules) - before if m.split(".")[0] in packages))
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        capture_output=True,
        text=True,
        timeout=LIMIT,
    )
    assert (done.stdout, done.stderr) == ("['gradopt._compiler']\n", "")


def test_traces_leave_nothing_behind() -> None:
    """Not even until the garbage collector comes: programs may be large."""

    def f(x: Any, i: Any) -> Any:
        y = go.grad(lambda v: np.sum(np.tanh(v) * np.arange(20.0)[:3]))(x) * x[i]
        y[1:] += np.sin(y)[1:]
        y = go.fori_loop(0, 3, lambda i, v: np.cos(v) + i, y)
        return y, go.jvp(np.cos, (x,), (x,))

    def fails(x: Any) -> Any:
        return np.sin(x) @ np.ones(7)

    def count() -> int:
        return sum(
            isinstance(thing, (ir.Operation, ir.Value, ir.Block)) for thing in gc.get_objects()
        )

    compiled = go.compile(f)
    compiled.lower(X, 1)
    gc.collect()
    gc.disable()
    try:
        before = count()
        for _ in range(5):
            compiled.lower(X, 1)
            go.compile(f)(X, 1)
            with contextlib.suppress(go.errors.ShapeError):
                go.compile(fails)(X)
        assert count() == before
    finally:
        gc.enable()
    leaked: list[Any] = []
    go.compile(lambda x: leaked.append(np.sin(x)) or x)(X)
    with pytest.raises(go.errors.LeakedTracerError):
        np.cos(leaked[0])
    np.testing.assert_array_equal(go.compile(lambda x: x + 1)(X), X + 1)


def test_two_traces_in_turns() -> None:
    """Each adds ops to its own program, wherever the other is."""
    turns = [threading.Semaphore(1), threading.Semaphore(0)]

    def trace(number: int) -> Any:
        def f(x: Any) -> Any:
            for k in range(20):
                assert turns[number].acquire(timeout=LIMIT)
                x = np.sin(x) * (number + 2) + np.full(3, float(k))
                turns[1 - number].release()
            return np.sum(x)

        return go.compile_value_and_grad(f), f

    with concurrent.futures.ThreadPoolExecutor(2) as executor:
        made = [trace(number) for number in range(2)]
        futures = [executor.submit(compiled, X) for compiled, _ in made]
        values = [future.result(LIMIT)[0] for future in futures]
    for number, value in enumerate(values):
        x = X
        for k in range(20):
            x = np.sin(x) * (number + 2) + k
        np.testing.assert_allclose(value, np.sum(x))


def test_programs_are_printed_while_others_are_compiled() -> None:
    def program(number: int) -> go.Lowered:
        return go.compile_grad(lambda x: np.sum(np.sin(x) * np.full(3, number + 0.5))).lower(X)

    lowered = [program(number) for number in range(3)]
    stages = ("grad", "adjoint", "linalg", "llvm")
    expected = [[each.mlir(stage) for stage in stages] for each in lowered]
    assembly = [each.asm() for each in lowered]

    def work(number: int) -> None:
        for k in range(6):
            i = (number + k) % 3
            assert [lowered[i].mlir(stage) for stage in stages] == expected[i]
            assert lowered[i].asm() == assembly[i]
            gradient = go.compile_grad(lambda x, k=k: np.sum(np.sin(x) * (k + 1.5)))(X)
            np.testing.assert_allclose(gradient, np.cos(X) * (k + 1.5))

    with concurrent.futures.ThreadPoolExecutor(4) as executor:
        for future in [executor.submit(work, number) for number in range(4)]:
            future.result(LIMIT)
