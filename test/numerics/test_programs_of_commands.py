# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Programs as lists of commands: whatever is a function for its size is one here, too."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest
from test_unrolled import complex_step, leapfrog, recurrent_network, shuffled

import gradopt as go
from gradopt.compilation import lowered

Array = np.ndarray[Any, Any]
RNG = np.random.default_rng(0)
W, U = RNG.normal(size=(5, 5)) / 3, RNG.normal(size=(40, 5))


@pytest.fixture(autouse=True, params=["command-threshold=0", "command-threshold=4"])
def options(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """All programs are lists, and so are all loops and branches, or those with some work."""
    program = functools.partial(lowered.Program, pipeline_options=request.param)
    monkeypatch.setattr(lowered, "Program", program)


def is_list(f: Any, *args: Any) -> bool:
    return "grad.command_frame" in f.lower(*args).mlir("bufferized")


@pytest.mark.parametrize("f", [recurrent_network, leapfrog, shuffled])
def test_unrolled_loops(f: Any) -> None:
    compiled = go.compile_value_and_grad(f, argnums=(0, 1))
    value, gradients = compiled(W, U)
    assert is_list(compiled, W, U)
    np.testing.assert_allclose(value, f(W, U), rtol=1e-12)
    for argnum, gradient in enumerate(gradients):
        expected = complex_step(f, (W, U), argnum)
        np.testing.assert_allclose(gradient, expected, rtol=1e-11, atol=1e-13)


def test_loops_and_branches() -> None:
    """Scans, loops that end when values say so, and branches in them."""

    def f(w: Any, us: Any) -> Any:
        def step(h: Any, u: Any) -> Any:
            h = go.cond(np.sum(h * u) > 0, lambda h: np.tanh(w @ h), lambda h: h - u / 3, h)
            return h, h[::-1]

        h, hs = go.scan(step, us[0], us)

        def halve(state: Any) -> Any:
            x, k = state
            return go.switch(k % 3, [lambda x: x / 2, np.sin, lambda x: w @ x], x), k + 1

        x, _ = go.while_loop(lambda s: np.sum(s[0] ** 2) > 0.01, halve, (h, 0))
        return np.sum(hs**2) + np.sum(x)

    def reference(w: Any, us: Any) -> Any:
        h, hs = us[0], []
        for u in us:
            h = np.tanh(w @ h) if np.sum(h * u).real > 0 else h - u / 3
            hs.append(h[::-1])
        k = 0
        while np.sum(h**2).real > 0.01:
            h = (h / 2, np.sin(h), w @ h)[k % 3]
            k += 1
        return np.sum(np.stack(hs) ** 2) + np.sum(h)

    value = go.compile(f)(W, U)
    np.testing.assert_allclose(value, reference(W, U), rtol=1e-12)
    # The states of a loop without a bound are stored and replayed.
    for argnum, gradient in enumerate(go.grad(f, argnums=(0, 1))(W, U)):
        expected = complex_step(reference, (W, U), argnum)
        np.testing.assert_allclose(gradient, expected, rtol=1e-10, atol=1e-12)


def test_numbers_of_all_types() -> None:
    """What a loop carries in registers: each type, with its sign."""

    def f(x: Any, n: Any) -> Any:
        def step(i: Any, state: Any) -> Any:
            a, b, c, d, e = state
            return a * x, b - np.float32(1.5), c - np.int8(100), ~d, e - n

        first = (1.0, np.float32(1), np.int8(5), np.bool_(True), np.int64(0))
        return go.fori_loop(0, 5, step, first)

    a, b, c, d, e = go.compile(f)(-1.5, 2**40)
    assert (a, b, d, e) == ((-1.5) ** 5, np.float32(-6.5), False, -5 * 2**40)
    wrapped = 5
    for _ in range(5):
        wrapped = (wrapped - 100 + 128) % 256 - 128
    assert c == wrapped
    assert (b.dtype, c.dtype, d.dtype) == (np.float32, np.int8, np.bool_)


def test_products_and_constants() -> None:
    table = RNG.normal(size=(4, 30, 20))
    indices = np.array([3, 1, 2, 0, 1])

    def f(x: Array) -> Any:
        y = np.einsum("bij,jk->bik", table, x)
        return np.stack([y[i] for i in indices]) * np.arange(20.0)

    x = RNG.normal(size=(20, 20))
    np.testing.assert_allclose(go.compile(f)(x), f(x), rtol=1e-12, atol=1e-12)
    narrow = x.astype(np.float32)
    expected = np.einsum("ij,jk->ik", table[0].astype(np.float32), narrow)
    actual = go.compile(lambda x: table[0].astype(np.float32) @ x)(narrow)
    np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-4)


def test_arrays_without_elements() -> None:
    def f(x: Any, y: Any) -> Any:
        return np.concatenate([x, np.sin(y)]), np.sum(x, axis=0), np.tanh(x).reshape(4, 0)

    x, y = np.zeros((0, 4)), RNG.normal(size=(3, 4))
    for actual, expected in zip(go.compile(f)(x, y), f(x, y), strict=True):
        np.testing.assert_allclose(actual, expected, rtol=1e-15)


def test_functions_of_the_caller() -> None:
    """They are called where they are in the list, and end the run if they fail."""
    calls: list[float] = []

    def observe(x: Array) -> Array:
        calls.append(float(x[0]))
        if x[0] > 100:
            raise ValueError("too large")
        return x + 1

    def repeat(times: int) -> Any:
        def f(x: Any) -> Any:
            return go.fori_loop(0, times, lambda i, x: go.pure_callback(observe, x, x) * 2, x)

        return go.compile(f)

    few, many = repeat(4), repeat(9)
    x = np.zeros(3)
    np.testing.assert_array_equal(few(x), np.full(3, 30.0))
    assert calls == [0, 2, 6, 14]
    calls.clear()
    with pytest.raises(ValueError, match="too large"):
        many(x)
    assert calls == [0, 2, 6, 14, 30, 62, 126]
    np.testing.assert_array_equal(few(x), np.full(3, 30.0))


def test_code_can_be_read() -> None:
    low = go.compile(lambda x: np.sum(np.tanh(x @ x))).lower(np.ones((4, 4)))
    assert "gradopt_commands" in low.mlir("llvm")
    assert "@gradopt_run_commands" in low.llvm_ir()
    assert "gradopt_kernels" in low.asm()
    assert low.memory().arena >= 0
