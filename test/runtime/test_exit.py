# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Processes that end while their threads are somewhere in gradopt."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import pytest

THREADS = {
    "calls": """
        f = go.compile(lambda x: x @ x, progress=False)
        big = np.ones((400, 400))
        f(big)

        def work(k):
            f(big)
        """,
    "copies its arguments": """
        f = go.compile(lambda x: x + 1, progress=False)
        big = np.ones((1000, 2000))[:, ::2]
        f(big)

        def work(k):
            f(big)
        """,
    "compiles": """
        def work(k):
            go.compile(lambda x: np.sin(x) * (k + 0.5), progress=False)(np.ones(5))
        """,
    "compiles one program": """
        def work(k):
            go.compile(lambda x: np.sin(x) * (k % 2), progress=False)(np.ones(5))
        """,
    "traces": """
        def f(x):
            for _ in range(100):
                x = np.sin(x) + np.cos(x)
            return x

        def work(k):
            go.compile(f).lower(np.ones(5))
        """,
    "makes results of classes": """
        import dataclasses

        @dataclasses.dataclass
        class Pair:
            a: object
            b: object

            def __post_init__(self):
                sum(range(1000))

        f = go.compile(lambda x: Pair(x, x + 1), progress=False)

        def work(k):
            f(1.0)
        """,
    "compares static arguments": """
        class Static:
            def __hash__(self):
                return sum(range(1000))

            def __eq__(self, other):
                return sum(range(1000)) > 0

        f = go.compile(lambda s, x: x, static_argnums=0, progress=False)

        def work(k):
            f(Static(), 1.0)
        """,
    "fails its checks": """
        f = go.compile(lambda x, i: x[i], progress=False)
        x, five = np.arange(3.0), np.array(5)

        def work(k):
            try:
                f(x, five)
            except IndexError:
                pass
        """,
}


@pytest.mark.parametrize("thread", THREADS)
def test_daemon_threads_end_with_the_process(thread: str) -> None:
    script = f"""
        import itertools, sys, threading, time
        import numpy as np
        import gradopt as go

        sys.setswitchinterval(1e-5)
{THREADS[thread]}
        work(0)
        running = []

        def loop():
            for k in itertools.count():
                work(k)
                running.append(k)

        for _ in range(3):
            threading.Thread(target=loop, daemon=True).start()
        while len(running) < 6:
            time.sleep(0.01)
        print("done")
        """
    lines = [line[8:] if line.startswith("        ") else line for line in script.splitlines()]
    text = "\n".join(lines)
    for _ in range(3):
        done = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(text)],
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert (done.returncode, done.stdout, done.stderr) == (0, "done\n", "")


def test_functions_at_exit_may_call_and_compile() -> None:
    script = """
        import atexit, numpy as np

        def last():
            print(go.compile(lambda x: x * 2, progress=False)(np.ones(2)), f(np.ones(2)))

        atexit.register(last)
        import gradopt as go
        f = go.compile(lambda x: x + 1, progress=False)
        print(f(np.ones(2)))
        atexit.register(last)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "[2. 2.]\n" + 2 * "[2. 2.] [2. 2.]\n"
