# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""A process may fork at any time: its child calls, compiles and unloads, whatever threads did."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any

import llvm_modules as modules
import numpy as np
import pytest

import gradopt as go
from gradopt import _compiler, _gradopt

X = np.arange(3.0)


def compiles() -> bool:
    return go.compile(lambda x: x * 2 + 1)(X).tolist() == [1, 3, 5]


def in_child(function: Callable[[], bool]) -> None:
    """Forks and checks that the function is true in the child."""
    child = os.fork()
    if child == 0:
        signal.alarm(60)
        os._exit(0 if function() else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@contextlib.contextmanager
def busy(work: Callable[[int], Any], count: int = 2) -> Iterator[None]:
    """Runs `work` again and again in threads."""
    stop, begun = threading.Event(), threading.Semaphore(0)

    def loop() -> None:
        number = 0
        while not stop.is_set():
            work(number)
            number += 1
            begun.release()

    threads = [threading.Thread(target=loop) for _ in range(count)]
    for thread in threads:
        thread.start()
    for _ in threads:
        assert begun.acquire(timeout=60)
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def test_after_calls() -> None:
    compiled = go.compile_value_and_grad(lambda x: np.sum(np.tanh(x @ x)))
    x = np.eye(64)
    value, gradient = compiled(x)

    def child() -> bool:
        again, gradients = compiled(x)
        return again == value and np.array_equal(gradients, gradient) and compiles()

    in_child(child)


def test_while_threads_compile() -> None:
    with busy(lambda k: go.compile(lambda x: np.sin(x) * (k + 0.5))(np.ones(5))):
        for _ in range(8):
            in_child(compiles)


def test_while_threads_that_traced_end() -> None:
    """The end of a thread, in which it clears what was cached for it, is no section."""

    def work(_: int) -> None:
        thread = threading.Thread(target=lambda: go.compile(lambda x: np.sin(x)).lower(X))
        thread.start()
        thread.join()

    with busy(work, 3):
        for _ in range(20):
            in_child(compiles)


def test_while_threads_compile_the_same_program() -> None:
    """The child cannot wait for the thread that was at work on it."""

    def f(x: Any) -> Any:
        for _ in range(30):
            x = np.sin(x) * 1.5
        return x

    def work(k: int) -> Any:
        return go.compile(lambda x: f(x) + k)(X)

    def child() -> bool:
        return all(np.allclose(work(k), f(X) + k) for k in range(4))

    with busy(work):
        for _ in range(4):
            in_child(child)


def test_while_threads_load_and_unload() -> None:
    code = modules.compile_text(modules.add_multiply(4))
    spec = (np.float64, (4,))

    def work(_: int) -> Any:
        return _gradopt.Executable(code, [spec, spec], [spec, spec])(np.ones(4), np.ones(4))

    with busy(work):
        for _ in range(8):
            in_child(lambda: [r.tolist() for r in work(0)] == [[2.0] * 4, [1.0] * 4] and compiles())


def test_while_threads_take_arenas() -> None:
    """Large enough that calls run side by side, and of sizes that displace each other."""
    compiled = go.compile(lambda x: np.cumsum(x @ x.T @ x, axis=1) @ x.T)
    arrays = [np.eye(n) for n in (80, 90, 100)]
    for array in arrays:
        compiled(array)
    assert all(s.executable.arena_bytes > 0 for s in compiled.cache_values())

    def child() -> bool:
        return all(np.allclose(compiled(a), np.cumsum(a, axis=1)) for a in arrays) and compiles()

    with busy(lambda k: compiled(arrays[k % 3]), 4):
        for _ in range(20):
            in_child(child)


def test_several_threads_fork_while_others_compile() -> None:
    failures: list[int] = []

    def fork(_: int) -> None:
        child = os.fork()
        if child == 0:
            signal.alarm(60)
            os._exit(0 if compiles() else 1)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if status:
            failures.append(status)

    with (
        busy(lambda k: go.compile(lambda x: np.cos(x) * (k + 0.25))(np.ones(5)), 1),
        busy(fork, 2),
    ):
        for _ in range(4):
            in_child(compiles)
    assert not failures


def test_from_a_signal_handler_while_this_thread_compiles(monkeypatch: pytest.MonkeyPatch) -> None:
    """The child goes on with what its parent waited for."""
    children: list[int] = []

    def handler(*_: Any) -> None:
        if children:
            return
        children.append(os.fork())
        if children[-1] == 0:
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.alarm(100)

    native = _compiler.Compilation

    def start(*args: Any, **kwargs: Any) -> _compiler.Compilation:
        work = native(*args, **kwargs)
        if not children:
            os.kill(os.getpid(), signal.SIGALRM)
        return work

    monkeypatch.setattr(_compiler, "Compilation", start)

    def f(x: Any) -> Any:
        for _ in range(300):
            x = np.sin(x) * 1.375
        return x

    before = signal.signal(signal.SIGALRM, handler)
    same = False
    try:
        same = np.allclose(go.compile(f, progress=False)(X), f(X)) and compiles()
    finally:
        if children[-1:] == [0]:
            os._exit(0 if same else 1)
        signal.signal(signal.SIGALRM, before)
    assert same
    (child,) = children
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def grandchild(count: int) -> list[float]:
    result: list[float] = go.compile(lambda x: x * count)(X).tolist()
    return result


def test_pools_of_forked_processes() -> None:
    go.compile(lambda x: x + 1)(X)
    with multiprocessing.get_context("fork").Pool(2) as pool:
        got = pool.map_async(grandchild, range(4)).get(timeout=120)
    assert got == [(X * count).tolist() for count in range(4)]


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_a_child_ends_as_any_other(method: str) -> None:
    process = multiprocessing.get_context(method).Process(target=grandchild, args=(3,))
    process.start()
    process.join(120)
    assert process.exitcode == 0
