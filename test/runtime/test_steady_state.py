# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Compiled functions called again and again: no allocations, no leaks, no races, no surprises."""

from __future__ import annotations

import ctypes
import gc
import json
import multiprocessing
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from c_compiler import HERE, shared_library

import gradopt as go
from gradopt import _gradopt

Array = np.ndarray[Any, Any]


def loss(params: dict[str, list[Array]], x: Array, y: Array) -> Any:
    """The demo's model: BLAS calls, fused loops and an arena."""
    hidden = np.tanh(x @ params["W"][0] + params["b"][0])
    score = np.tanh(hidden @ params["W"][1] + params["b"][1])
    return -np.sum((score - np.log(np.sum(np.exp(score), axis=1, keepdims=True))) * y)


def network(rows: int, hidden: int, seed: int = 0) -> tuple[Any, ...]:
    """Arguments of `loss`."""
    random = np.random.default_rng(seed)
    params = {
        "W": [random.normal(size=(64, hidden)), random.normal(size=(hidden, 10))],
        "b": [random.normal(size=hidden), random.normal(size=10)],
    }
    return params, random.normal(size=(rows, 64)), np.eye(10)[random.integers(0, 10, rows)]


def softmax(x: Array) -> Any:
    top = np.max(x, axis=1, keepdims=True)
    return np.exp(x - top) / np.sum(np.exp(x - top), axis=1, keepdims=True)


# -- Allocations -----------------------------------------------------------------------------


def leaves(tree: Any) -> list[Any]:
    if isinstance(tree, dict):
        return [leaf for child in tree.values() for leaf in leaves(child)]
    if isinstance(tree, (tuple, list)):
        return [leaf for child in tree for leaf in leaves(child)]
    return [tree]


def count_allocations() -> dict[str, list[int]]:
    """For each program: allocations of a hundred calls, in BLAS, and of NumPy for the results.

    Runs in a process with the counting library.
    """
    library = ctypes.CDLL(None)
    counting = ctypes.c_int.in_dll(library, "counting")
    names = ("allocations", "allocations_in_blas", "frees")
    counters = [ctypes.c_long.in_dll(library, name) for name in names]

    def count(function: Callable[[], Any]) -> list[int]:
        for _ in range(20):
            function()
        before = [counter.value for counter in counters]
        counting.value = 1
        for _ in range(100):
            function()
        counting.value = 0
        return [c.value - b for c, b in zip(counters, before, strict=True)]

    x = np.random.default_rng(0).normal(size=(400, 300))
    programs: dict[str, tuple[Any, tuple[Any, ...]]] = {
        "demo": (go.compile_value_and_grad(loss), network(32, 64)),
        "large": (go.compile_value_and_grad(loss), network(300, 128)),
        "softmax": (go.compile(softmax), (x,)),
        "transforms": (
            go.compile_grad(lambda x: np.sum(np.abs(np.fft.fft2(x)) ** 3)),
            (x[:101, :60].copy(),),
        ),
        "scalar": (go.compile_grad(lambda a: np.sin(a) * a), (2.0,)),
        "second order": (
            go.compile_grad(lambda v: np.sum(go.grad(lambda u: np.sum(np.tanh(x @ u)))(v) ** 2)),
            (x[0],),
        ),
        "many arrays": (
            go.compile_grad(lambda vs: sum(np.sum(np.sin(v)) for v in vs)),
            ([row[:200] for row in x[:40]],),
        ),
    }
    counts: dict[str, list[int]] = {}
    gc.disable()
    for name, (function, args) in programs.items():
        shapes = [np.shape(leaf) for leaf in leaves(function(*args)) if np.ndim(leaf)]
        made, in_blas, frees = count(lambda function=function, args=args: function(*args))
        needed, _, _ = count(lambda shapes=shapes: [np.empty(shape) for shape in shapes])
        counts[name] = [made, in_blas, frees, needed]
    return counts


def test_calls_allocate_nothing_but_their_results(tmp_path: Path) -> None:
    library = shared_library("count_allocations", tmp_path)
    script = "import json, test_steady_state as t; print(json.dumps(t.count_allocations()))"
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "LD_PRELOAD": str(library), "PYTHONPATH": str(HERE)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    counts = json.loads(done.stdout)
    assert counts["softmax"][3] == 100, "the results are allocations of NumPy's"
    for name, (made, in_blas, frees, needed) in counts.items():
        assert made <= needed, name
        # Some kernels of OpenBLAS have scratch of their own.
        assert frees == made + in_blas, name


# -- Aliasing --------------------------------------------------------------------------------


def test_results_share_no_memory() -> None:
    """Not with arguments, each other or the results of another call, even if they are equal."""
    same = go.compile(lambda x: (x, x, x.T, x[:], np.reshape(x, (2, 3)), {"again": x}))
    x = np.arange(6.0).reshape(2, 3)
    arrays = [x, *leaves(same(x)), *leaves(same(x))]
    for i, a in enumerate(arrays):
        assert i == 0 or (a.flags.owndata and a.flags.writeable)
        assert not any(np.shares_memory(a, b) for b in arrays[:i])


def test_arguments_may_overlap() -> None:
    def f(a: Array, b: Array, c: Array) -> Any:
        return a + b, b * c, np.cumsum(a - c)

    x = np.arange(10.0)
    for args in ((x, x, x), (x[:5], x[2:7], x[5:]), (x[:5], x[4::-1], x[::2])):
        for got, want in zip(go.compile(f)(*args), f(*args), strict=True):
            np.testing.assert_array_equal(got, want)
    np.testing.assert_array_equal(x, np.arange(10.0))


# -- Leaks -----------------------------------------------------------------------------------


def heap_in_use() -> int:
    """Bytes that malloc has handed out, as glibc counts them."""

    class Mallinfo2(ctypes.Structure):
        _fields_ = tuple((f"field{i}", ctypes.c_size_t) for i in range(10))

    mallinfo2 = ctypes.CDLL(None).mallinfo2
    mallinfo2.restype = Mallinfo2
    info = mallinfo2()
    return info.field4 + info.field7  # hblkhd, uordblks


def test_100_000_calls_leak_nothing() -> None:
    step = go.compile_value_and_grad(loss)
    params, x, y = network(4, 8)
    strided = np.repeat(x, 2, axis=1)[:, ::2]

    def call(count: int) -> None:
        for i in range(count // 4):
            step(params, x, y)
            step(params, strided, y)
            step(params, x=x, y=y)
            step(params, x, y.astype(np.int64))
            if i % 500 == 0:
                with pytest.raises(TypeError):
                    step(params, x)

    call(400)
    gc.collect()
    heap, blocks = heap_in_use(), sys.getallocatedblocks()
    call(100_000)
    gc.collect()
    assert heap_in_use() - heap < 100_000
    assert sys.getallocatedblocks() - blocks < 1000


# -- Threads -------------------------------------------------------------------------------


def loaded_code_bytes() -> int:
    """Bytes of memory for machine code that comes from no file."""
    total = 0
    for line in Path("/proc/self/maps").read_text().splitlines():
        span, access, _, _, inode, *_ = line.split()
        if "x" in access and inode == "0" and "[" not in line:
            first, last = (int(end, 16) for end in span.split("-"))
            total += last - first
    return total


def test_code_goes_with_the_function() -> None:
    def make(count: int) -> list[Any]:
        made = [go.compile(lambda x, k=k: np.sin(x) * (k + 0.5)) for k in range(count)]
        for function in made:
            function(np.ones(3))
        return made

    kept = make(1)
    gc.collect()
    before = loaded_code_bytes()
    assert before > 0
    more = make(20)
    assert loaded_code_bytes() >= before + 19 * 4096
    del more
    gc.collect()
    assert loaded_code_bytes() == before
    del kept
    gc.collect()
    assert loaded_code_bytes() < before


def test_the_least_recently_used_code_is_evicted() -> None:
    count = 0

    def f(x: Any) -> Any:
        nonlocal count
        count += 1
        return x * 3

    compiled = go.compile(f, max_specializations=4)
    first = np.ones(1)
    sizes = []
    for n in range(1, 60):
        np.testing.assert_array_equal(compiled(np.ones(n)), 3 * np.ones(n))
        compiled(first)
        sizes.append((compiled.cache_size(), loaded_code_bytes()))
    assert count == 59, "what is used is kept"
    assert [size for size, _ in sizes] == [1, 2, 3] + 56 * [4]
    assert len({code for _, code in sizes[3:]}) == 1, "what is evicted is unloaded"
    compiled(np.ones(59))
    assert count == 59
    compiled(np.ones(2))
    assert count == 60
    for wrong in (0, -1, 1.5, True):
        with pytest.raises(ValueError, match="max_specializations must be a positive int"):
            go.compile(f, max_specializations=wrong)


def test_code_may_be_evicted_while_it_runs() -> None:
    compiled = go.compile(lambda x: x @ x @ x, max_specializations=1)
    sizes = (60, 70, 80, 90)
    wrong: list[int] = []

    def work(offset: int) -> None:
        for k in range(12):
            n = sizes[(offset + k) % 4]
            if not np.array_equal(compiled(np.eye(n)), np.eye(n)):
                wrong.append(n)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert compiled.cache_size() == 1


# -- Arenas ----------------------------------------------------------------------------------


def with_arena(n: int) -> tuple[Any, Array, int]:
    """A compiled function with temporaries of about 8 n^2 bytes, its argument, and those bytes."""
    compiled = go.compile(lambda x: np.sum(np.tanh(x @ x) @ x))
    x = np.eye(n)
    compiled(x)
    (specialization,) = compiled.cache_values()
    return compiled, x, specialization.executable.arena_bytes


def measure_arenas() -> dict[str, int]:
    """Bytes of arenas, in a process of its own."""
    made = [with_arena(n) for n in range(100, 200)]
    needs = [need for _, _, need in made]
    sizes = {"sum": sum(needs), "largest": max(needs), "one by one": _gradopt.arena_bytes()}
    allocated = _gradopt.alloc_count()
    for compiled, x, _ in made:
        compiled(x)
    sizes["allocated again"] = _gradopt.alloc_count() - allocated

    together = threading.Barrier(3)

    def work(number: int) -> None:
        together.wait(60)
        for k in range(200):
            compiled, x, _ = made[(number + k) % 100]
            compiled(x)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    sizes["three at once"] = _gradopt.arena_bytes()
    del made[50:], compiled, x
    gc.collect()
    sizes["largest left"] = made[-1][2]
    sizes["fewer programs"] = _gradopt.arena_bytes()
    made.clear()
    gc.collect()
    sizes["no programs"] = _gradopt.arena_bytes()
    return sizes


def test_programs_share_arenas() -> None:
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        sizes = pool.apply_async(measure_arenas).get(timeout=300)
    assert sizes["sum"] > 30 * sizes["largest"]
    assert sizes["one by one"] == sizes["largest"]
    assert sizes["allocated again"] == 0
    assert sizes["largest"] <= sizes["three at once"] <= 3 * sizes["largest"]
    assert sizes["fewer programs"] <= 3 * sizes["largest left"]
    assert sizes["no programs"] == 0


def test_two_threads_agree_with_serial_results() -> None:
    step = go.compile_value_and_grad(loss)
    problems = [network(64, 64, seed) for seed in range(6)]
    expected = [leaves(step(*problem)) for problem in problems]
    differing: list[int] = []

    def work(first: int) -> None:
        for k in range(300):
            i = (first + k) % len(problems)
            got = leaves(step(*problems[i]))
            if not all(map(np.array_equal, got, expected[i])):
                differing.append(i)

    threads = [threading.Thread(target=work, args=(first,)) for first in (0, 3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not differing
