# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""A process may fork at any time, also while one of its threads compiles."""

from __future__ import annotations

import os
import signal
import threading

import numpy as np

import gradopt as go


def test_fork_while_another_thread_compiles() -> None:
    stop = threading.Event()

    def compile_on() -> None:
        while not stop.is_set():
            go.compile(lambda x: np.sin(x) * 2)(np.ones(5))

    thread = threading.Thread(target=compile_on)
    thread.start()
    try:
        for _ in range(4):
            child = os.fork()
            if child == 0:
                signal.alarm(20)
                result = go.compile(lambda x: x * 2 + 1)(np.arange(3.0))
                os._exit(0 if result.tolist() == [1, 3, 5] else 1)
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    finally:
        stop.set()
        thread.join()
