# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Signals, and what is said, while a program is compiled."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

import gradopt as go
from gradopt import _compiler
from gradopt.compilation import compiler

X = np.arange(1.0, 4.0)


def long_program(steps: int, factor: float) -> Callable[..., Any]:
    """A function that takes seconds to compile and has not been compiled before."""

    def f(x: Any) -> Any:
        for _ in [0] * steps:
            x = np.sin(x) * factor
        return x

    return f


@pytest.fixture
def works(monkeypatch: pytest.MonkeyPatch) -> list[_compiler.Compilation]:
    """All compilations that are started."""
    started: list[_compiler.Compilation] = []
    native = _compiler.Compilation

    def start(*args: Any, **kwargs: Any) -> _compiler.Compilation:
        started.append(native(*args, **kwargs))
        return started[-1]

    monkeypatch.setattr(_compiler, "Compilation", start)
    return started


SetHandler = Callable[[Callable[..., Any]], None]

ALL_STAGES = [
    "grad",
    "adjoint",
    "simplified",
    "linalg",
    "bufferized",
    "llvm",
    "translate",
    "optimize",
    "emit",
]


@pytest.fixture
def on_alarm() -> Iterator[SetHandler]:
    """Sets the handler of SIGALRM."""
    before = signal.getsignal(signal.SIGALRM)

    def set_handler(handler: Callable[..., Any]) -> None:
        signal.signal(signal.SIGALRM, handler)

    yield set_handler
    signal.signal(signal.SIGALRM, before)


@contextmanager
def signal_at(
    stage: str, works: list[_compiler.Compilation], number: signal.Signals = signal.SIGINT
) -> Iterator[None]:
    """Sends this process a signal when the compilation is at the stage.

    If this thread slept through the stage, it does so at the next one.
    """
    over = threading.Event()
    stages = ALL_STAGES[ALL_STAGES.index(stage) :]

    def watch() -> None:
        while not over.wait(0.002):
            if works and works[-1].stage in stages:
                os.kill(os.getpid(), number)
                return

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()


STAGES = ["adjoint", "linalg", "bufferized", "llvm", "optimize", "emit"]


@pytest.mark.parametrize("stage", STAGES)
def test_an_interrupt_abandons_the_compilation(
    stage: str, works: list[_compiler.Compilation]
) -> None:
    f = long_program(400, 1 + STAGES.index(stage) / 64)
    compiled = go.compile_grad(lambda x: np.sum(f(x)), progress=False)
    with signal_at(stage, works), pytest.raises(KeyboardInterrupt):
        compiled(X)
    (work,) = works
    assert not work.wait(0), "the interrupt came while the work went on"
    assert compiled.cache_size() == 0
    # What is abandoned disturbs nothing, and can be done again.
    np.testing.assert_array_equal(go.compile(lambda x: x + 1)(X), X + 1)
    works.clear()
    del work
    got = compiled(X)
    step = 1e-6
    numeric = (f(X + step) - f(X - step)) / (2 * step)
    np.testing.assert_allclose(got, numeric, atol=1e-6)


def test_a_handler_that_raises_nothing_lets_it_go_on(
    works: list[_compiler.Compilation], on_alarm: SetHandler
) -> None:
    handled: list[str] = []

    def handler(*_: Any) -> None:
        # It may compile, too.
        handled.append(works[0].stage)
        np.testing.assert_array_equal(go.compile(lambda x: x * 3.25)(X), X * 3.25)

    on_alarm(handler)
    f = long_program(300, 1.125)
    with signal_at("linalg", works, signal.SIGALRM):
        np.testing.assert_allclose(go.compile(f)(X), f(X))
    assert len(handled) == 1
    assert len(works) == 2


def test_a_handler_that_compiles_the_same_program(
    works: list[_compiler.Compilation], on_alarm: SetHandler
) -> None:
    f = long_program(300, 1.0625)
    got: list[Any] = []
    on_alarm(lambda *_: got.append(go.compile(f)(X)))
    count = _compiler.programs_compiled()
    with signal_at("linalg", works, signal.SIGALRM):
        got.append(go.compile(f)(X))
    assert len(got) == 2
    for each in got:
        np.testing.assert_allclose(each, f(X))
    assert _compiler.programs_compiled() == count + 1


def test_an_interrupted_script_ends_at_once() -> None:
    """It does not wait for the compilation that it abandoned; its output is not lost."""
    script = """
        import os, signal, threading, time, numpy as np, gradopt as go
        from gradopt import _compiler

        def f(x):
            for _ in [0] * 3000:
                x = np.sin(x) * 1.01
            return x

        native = _compiler.Compilation

        def start(*args, **kwargs):
            work = native(*args, **kwargs)
            threading.Thread(target=interrupt_when_it_works, args=(work,)).start()
            return work

        def interrupt_when_it_works(work):
            while work.stage != "bufferized":
                time.sleep(0.002)
            os.kill(os.getpid(), signal.SIGINT)

        _compiler.Compilation = start
        print("begin")
        try:
            go.compile(f, progress=False)(np.ones(3))
        except KeyboardInterrupt:
            print("interrupted")
        raise SystemExit(7)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert (done.returncode, done.stdout) == (7, "begin\ninterrupted\n"), done.stderr
    assert done.stderr == ""


# -- What is said ------------------------------------------------------------------------------


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiler, "_POLL_SECONDS", 0.005)
    monkeypatch.setattr(compiler, "_SILENT_SECONDS", 0.05)


@pytest.mark.usefixtures("impatient")
def test_a_long_compilation_says_what_it_does(capsys: pytest.CaptureFixture[str]) -> None:
    f = long_program(200, 1.03125)
    go.compile_grad(lambda x: np.sum(f(x)))(X)
    lines = capsys.readouterr().err.splitlines()
    assert lines
    place = rf"\({__file__}:\d+\)"
    for line in lines:
        assert line.startswith("gradopt: compiling lambda (")
        assert f"({__file__}:" in line, place
        assert "stage " in line or "code generation" in line
    # Fewer and fewer: each time it has taken twice as long.
    assert [line.split(" takes more than ")[1].split(" s,")[0] for line in lines] == [
        f"{0.05 * 2**k:g}" for k in range(len(lines))
    ]


@pytest.mark.usefixtures("impatient")
def test_it_is_silent_where_that_is_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    go.compile(long_program(200, 1.015625), progress=False)(X)
    assert capsys.readouterr().err == ""


@pytest.mark.usefixtures("impatient")
def test_standard_error_may_be_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    for stream in (None, open(os.devnull)):  # noqa: SIM115
        if stream is not None:
            stream.close()
        monkeypatch.setattr(sys, "stderr", stream)
        f = long_program(200, 1.25 if stream is None else 1.5)
        np.testing.assert_allclose(go.compile(f)(X), f(X))


def test_a_short_compilation_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    go.compile(lambda x: x * 1.0078125)(X)
    assert capsys.readouterr().err == ""


def test_progress_is_an_option() -> None:
    with pytest.raises(go.errors.ArgumentTypeError, match="progress must be a bool"):
        go.compile(lambda x: x, progress=1)
