# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Loops of unknown length with checkpoint="all": they keep what they need, of each iteration."""

from __future__ import annotations

import functools
import gc
import re
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gradopt as go
from gradopt import _gradopt
from gradopt.compilation import lowered

X = np.linspace(-1, 1, 5)
COUNTS = (0, 1, 2, 3, 17, 300)


def chained(x: Any, n: Any) -> Any:
    """y = sin(y) + 0.1 i x, n times, from x; counted by what the loop carries."""

    def step(state: Any) -> Any:
        y, i = state
        return np.sin(y) + 0.1 * i * x, i + 1

    return np.sum(go.while_loop(lambda s: s[1] < n, step, (x, 0), checkpoint="all")[0])


def counted(x: Any, n: Any) -> Any:
    """The same in a loop with a counter."""
    return np.sum(go.fori_loop(0, n, lambda i, y: np.sin(y) + 0.1 * i * x, x, checkpoint="all"))


def in_python(x: Any, n: Any) -> Any:
    """The same in Python's own words."""
    y, i = x, 0
    while i < n:
        y = np.sin(y) + 0.1 * i * x
        i += 1
    return np.sum(y)


def expected(x: Any, n: int) -> tuple[Any, Any]:
    """The value, and the gradient."""
    y, d = x, np.ones_like(x)
    for i in range(n):
        d = np.cos(y) * d + 0.1 * i
        y = np.sin(y) + 0.1 * i * x
    return y.sum(), d


@pytest.mark.parametrize("f", [chained, counted, in_python])
@pytest.mark.parametrize("options", ["", "command-threshold=0"])
def test_gradients(f: Any, options: str, monkeypatch: pytest.MonkeyPatch) -> None:
    program = functools.partial(lowered.Program, pipeline_options=options)
    monkeypatch.setattr(lowered, "Program", program)
    run = go.compile_value_and_grad(f, checkpoint="all")
    for n in COUNTS:
        value, gradient = run(X, n)
        np.testing.assert_allclose(value, expected(X, n)[0], rtol=1e-12)
        np.testing.assert_allclose(gradient, expected(X, n)[1], rtol=1e-11)
    memory = run.lower(X, 3).memory()
    assert memory.arena < 4096
    assert X.nbytes <= memory.tape <= 3 * X.nbytes


def newton(a: Any, x: Any) -> Any:
    """How often is known by looking at it; the condition depends on what has a derivative."""

    def step(state: Any) -> Any:
        y, s = state
        return (y + a / y) / 2, s + np.sin(y * x)

    y, s = go.while_loop(
        lambda s: np.max(np.abs(s[0] * s[0] - a)) > 1e-13, step, (a, x), checkpoint="all"
    )
    return np.sum(y * s)


def grid(x: Any, n: Any) -> Any:
    """An array that is filled in place."""

    def step(state: Any) -> Any:
        table, i = state
        table[i + 1] = np.sin(table[i]) * x[i] + table[0] ** 2
        return table, i + 1

    table = np.zeros(12) + x[0]
    return np.sum(go.while_loop(lambda s: s[1] < n, step, (table, 0), checkpoint="all")[0] ** 2)


def nested(x: Any, n: Any) -> Any:
    """A loop of unknown length in another, and a branch."""

    def inner(state: Any) -> Any:
        y, j = state
        return go.cond(j % 2 == 0, lambda y: np.sin(y), lambda y: y * x, y), j + 1

    def step(state: Any) -> Any:
        y, i = state
        y, _ = go.while_loop(lambda s: s[1] <= i, inner, (y, 0), checkpoint="all")
        return y + x, i + 1

    return np.sum(go.while_loop(lambda s: s[1] < n, step, (x, 0), checkpoint="all")[0])


def in_counted(x: Any, n: Any) -> Any:
    """In a loop with a bound, in one of two branches."""

    def body(i: Any, y: Any) -> Any:
        def inner(j: Any, y: Any) -> Any:
            return np.sin(y) + 0.1 * j * x

        run = lambda y: go.fori_loop(0, n + i, inner, y, checkpoint="all")  # noqa: E731
        return go.cond(i == 2, lambda y: y * x, run, y) + x

    return np.sum(go.fori_loop(0, 4, body, x))


def threefold(x: Any, n: Any) -> Any:
    """Loops in loops in loops, the inner ones often without an iteration."""

    def inner(y: Any, count: Any) -> Any:
        step = lambda s: (np.sin(s[0] * s[0] + x), s[1] + 1)  # noqa: E731
        return go.while_loop(lambda s: s[1] < count, step, (y, 0), checkpoint="all")[0]

    def middle(i: Any, y: Any) -> Any:
        return go.fori_loop(i, n, lambda j, y: inner(y, i + j) * x, y, checkpoint="all")

    return np.sum(go.fori_loop(0, n, middle, x, checkpoint="all"))


def one_after_the_other(x: Any, n: Any) -> Any:
    """Two loops in one, which fill arrays in place."""

    def first(state: Any) -> Any:
        table, j = state
        table[j + 1] = np.sin(table[j]) * x[j] + table[0] ** 2
        return table, j + 1

    def step(state: Any) -> Any:
        table, i = state
        table, _ = go.while_loop(lambda s: s[1] < i, first, (table, 0), checkpoint="all")
        second = lambda s: (np.cos(s[0] * x[1]), s[1] + 1)  # noqa: E731
        table, _ = go.while_loop(lambda s: s[1] < n - i, second, (table, 0), checkpoint="all")
        return table * x[0], i + 1

    table = np.zeros(6) + x[2]
    return np.sum(go.while_loop(lambda s: s[1] < n, step, (table, 0), checkpoint="all")[0])


def reread(x: Any, n: Any) -> Any:
    """What the inner loop reads in each iteration has a cotangent that is a loop's beginning."""

    def step(i: Any, y: Any) -> Any:
        z = y * x[0]
        inner = lambda j, w: 0.8 * w + 0.7 * np.tanh(z)  # noqa: E731
        return 0.8 * y - 0.5 * np.tanh(go.fori_loop(0, i, inner, z, checkpoint="all"))

    return np.sum(go.fori_loop(0, n, step, x, checkpoint="all"))


def in_a_branch(x: Any, n: Any) -> Any:
    """What a branch gives, with a loop or without, is used in a non-linear function."""

    def run(x: Any) -> Any:
        step = lambda s: (0.8 * s[0] - 0.3 * np.tanh(s[0]), s[1] + 1)  # noqa: E731
        return go.while_loop(lambda s: s[1] < n, step, (x, 0), checkpoint="all")[0]

    return np.sum(np.tanh(go.cond(n > 1, run, lambda x: x, x)))


def in_a_loop_that_runs_again(x: Any, n: Any) -> Any:
    """The outer loop has no policy: its memory has a bound, and the inner one's, too."""

    def step(state: Any) -> Any:
        y, i = state
        inner = lambda s: (np.sin(s[0]) * x, s[1] + 1)  # noqa: E731
        y, _ = go.while_loop(lambda s: s[1] < i, inner, (y, 0), checkpoint="all")
        return y + x, i + 1

    return np.sum(go.while_loop(lambda s: s[1] < n, step, (x, 0))[0])


@pytest.mark.parametrize(
    "f",
    [
        nested,
        in_counted,
        threefold,
        one_after_the_other,
        reread,
        in_a_branch,
        in_a_loop_that_runs_again,
    ],
)
def test_loops_in_loops(f: Any) -> None:
    """A tape is carried through all loops; the number of iterations is one of each run."""
    run, value = go.compile_value_and_grad(f), go.compile(f)
    h = 1e-5
    for n in (0, 1, 2, 5):
        numeric = [(value(X + s, n) - value(X - s, n)) / (2 * h) for s in h * np.eye(5)]
        result, gradient = run(X, n)
        np.testing.assert_allclose(result, value(X, n), rtol=1e-12)
        np.testing.assert_allclose(gradient, numeric, rtol=1e-7, atol=1e-8)
    memory = run.lower(X, 3).memory()
    if f is in_a_loop_that_runs_again:
        assert memory.tape == 0
    else:
        assert memory.tape > 0
        assert memory.arena < 4096


def test_memory_of_loops_in_loops() -> None:
    """Is that of the iterations of the inner loop, in all of its runs."""
    x = np.linspace(0.1, 1, 1000)

    def f(x: Any, n: Any, m: Any) -> Any:
        inner = lambda j, y: np.sin(y * x)  # noqa: E731
        outer = lambda i, y: go.fori_loop(0, m, inner, y, checkpoint="all")  # noqa: E731
        return np.sum(go.fori_loop(0, n, outer, x, checkpoint="all"))

    run = go.compile_value_and_grad(f)
    run(x, 2, 2)
    before, allocations = resident(), _gradopt.alloc_count()
    run(x, 100, 100)
    grown = resident() - before
    assert 0.9 * 10_000 * x.nbytes < grown < 1.2 * 2 * 10_000 * x.nbytes
    value, gradient = run(x, 10, 1_000)
    assert resident() - before < grown + (1 << 20)
    assert _gradopt.alloc_count() == allocations
    plain = go.compile_value_and_grad(lambda x: f(x, 1, 10_000))
    np.testing.assert_allclose(value, plain(x)[0], rtol=1e-12)
    np.testing.assert_allclose(gradient, plain(x)[1], rtol=1e-9)


@pytest.mark.parametrize(
    ("f", "args", "argnums"),
    [
        (chained, (X, 4), 0),
        (counted, (X, 4), 0),
        (newton, (np.array([2.0, 3.0]), np.array([0.3, 0.4])), (0, 1)),
        (grid, (np.linspace(0.1, 1, 12), 9), 0),
        (nested, (X, 4), 0),
        (in_counted, (X, 2), 0),
        (threefold, (X, 3), 0),
        (threefold, (X, 1), 0),
        (one_after_the_other, (X, 3), 0),
        (reread, (X, 3), 0),
        (in_a_branch, (X, 3), 0),
        (in_a_branch, (X, 1), 0),
    ],
)
def test_second_derivatives(f: Any, args: Any, argnums: Any) -> None:
    go.gradcheck(f, args, argnums=argnums, order=2)
    gradient = go.grad(f, argnums)

    def twice(*args: Any) -> Any:
        gradients = gradient(*args)
        parts = gradients if isinstance(gradients, tuple) else (gradients,)
        return sum(np.sum(part**2) for part in parts)

    go.gradcheck(twice, args, argnums=argnums, modes=("rev",))


@pytest.mark.parametrize(
    "hessian",
    [
        lambda f: go.jacfwd(go.jacrev(f)),
        lambda f: go.jacrev(go.jacrev(f)),
        lambda f: go.jacrev(go.jacfwd(f)),
    ],
)
@pytest.mark.parametrize("f", [chained, grid, nested])
def test_batches(hessian: Any, f: Any) -> None:
    """Rows of Hessians have tapes in one tensor; the sum of squares is differentiated too."""
    x, n = np.linspace(0.1, 1, 12), 9
    gradient, h = go.compile_grad(f), 1e-5
    steps = h * np.eye(12)
    expected = [(gradient(x + s, n) - gradient(x - s, n)) / (2 * h) for s in steps]
    np.testing.assert_allclose(go.compile(hessian(f))(x, n), expected, rtol=1e-6, atol=1e-7)
    many = np.stack([x, 2 * x, x / 2])
    batch = go.vmap(go.grad(f), in_axes=(0, None))(many, n)
    np.testing.assert_allclose(batch, [gradient(row, n) for row in many], rtol=1e-11)


def test_third_derivatives() -> None:
    def f(x: Any, n: Any) -> Any:
        step = lambda s: (np.sin(s[0]) * x, s[1] + 1)  # noqa: E731
        return go.while_loop(lambda s: s[1] < n, step, (x, 0), checkpoint="all")[0]

    third = go.compile(go.grad(go.grad(go.grad(f))))
    for n in (1, 3):
        x, h = 0.7, 1e-4
        second = go.grad(go.grad(f))
        difference = (second(x + h, n) - second(x - h, n)) / (2 * h)
        np.testing.assert_allclose(third(x, n), difference, rtol=1e-6)


def resident() -> int:
    """Bytes of memory that the process has."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def test_memory_grows_with_the_iterations() -> None:
    """And stays: what a call has taken, the next one does not take again."""
    # Else a larger program of another test may be unloaded in between, and its arena with it, which
    # calls here had been given.
    gc.collect()
    x = np.linspace(0, 1, 1000)
    run = go.compile_value_and_grad(chained)
    run(x, 10)
    before, allocations = resident(), _gradopt.alloc_count()
    run(x, 10)
    assert resident() - before < 4 << 20
    run(x, 10_000)
    grown = resident() - before
    assert (
        0.9 * 10_000 * x.nbytes < grown < 1.5 * run.lower(x, 10).memory().tape * 10_000 + (8 << 20)
    )
    for n in (10_000, 3_000, 10_000):
        value, gradient = run(x, n)
        np.testing.assert_allclose(value, expected(x, n)[0], rtol=1e-9)
        np.testing.assert_allclose(gradient, expected(x, n)[1], rtol=1e-9, atol=1e-12)
    assert resident() - before < grown + (8 << 20)
    assert _gradopt.alloc_count() == allocations


def test_many_residuals() -> None:
    """Arrays of one type share a tape: a process has addresses for about a hundred tapes."""

    def f(x: Any, n: Any) -> Any:
        def body(_: Any, y: Any) -> Any:
            for _ in range(50):
                y = np.sin(y) * np.cos(y + x) + 0.9
            return y

        return np.sum(go.fori_loop(0, n, body, x, checkpoint="all"))

    run = go.compile_grad(f, capture="trace")
    for n in 0, 1, 3:
        slopes = [(f(X + s, n) - f(X - s, n)) / 2e-6 for s in 1e-6 * np.eye(5)]
        np.testing.assert_allclose(run(X, n), slopes, rtol=1e-6, atol=1e-8)
    text = run.lower(X, 3).mlir("adjoint")
    assert len(re.findall(r"tensor\.empty\(\) : tensor<\d{9,}x", text)) <= 3


def test_zeros_on_tapes_of_long_values() -> None:
    """A value may have more elements than its tape has places."""

    def f(x: Any, n: Any) -> Any:
        return np.sum(go.fori_loop(0, n, lambda _, y: np.sin(y) * x, x, checkpoint="all"))

    def of_gradients(x: Any, n: Any) -> Any:
        return sum(np.sum(x * go.grad(f)(x * s, n)) for s in (1.0, 1.1))

    size = 2_000_000
    places = (1 << 40) // (8 * size)
    text = go.compile_grad(of_gradients, capture="trace").lower(np.ones(size), 2).mlir("adjoint")
    tape = f"tensor<{places}x{size}xf64>"
    pushed = set(re.findall(rf"grad\.dynamic_update_slice .*: {tape}, (tensor<\S*>)", text))
    assert pushed == {f"tensor<1x{size}xf64>"}


def test_threads() -> None:
    """Each call has tapes of its own."""
    run = go.compile_value_and_grad(chained)
    failures: list[Any] = []

    def work(seed: int) -> None:
        x = np.random.default_rng(seed).normal(size=50)
        for n in (1, 500, 20 * seed):
            if not np.allclose(run(x, n)[1], expected(x, n)[1], rtol=1e-9):
                failures.append((seed, n))

    run(np.ones(50), 1)
    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


def test_products_of_a_checkpointed_function_are_kept() -> None:
    """In a loop of unknown length that keeps all, by the policy "dots"."""
    w = np.random.default_rng(0).normal(size=(40, 40)) / 8

    def layers(policy: Any) -> Any:
        def part(w: Any, x: Any, n: Any) -> Any:
            return go.fori_loop(0, n, lambda _, y: np.tanh(w @ np.sin(y)), x, checkpoint=policy)

        part = go.checkpoint(part, policy="dots")
        return lambda w, x, n: np.sum(part(w, x, n) ** 2)

    x = np.linspace(-1, 1, 40)
    kept, plain = (go.compile_value_and_grad(layers(p), argnums=(0, 1)) for p in ("all", None))
    for n in (0, 1, 7):
        for a, b in zip(kept(w, x, n)[1], plain(w, x, n)[1], strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-13)
    products = [f.lower(w, x, 7).mlir("adjoint").count("grad.dot_general") for f in (kept, plain)]
    assert products[0] < products[1]


def test_products_in_loops_in_loops_are_kept() -> None:
    """On one tape for all runs of the inner loop."""
    w = np.random.default_rng(0).normal(size=(5, 5)) / 3

    def layers(policy: Any) -> Any:
        def part(x: Any, n: Any) -> Any:
            def body(i: Any, y: Any) -> Any:
                inner = lambda j, y: np.tanh(w @ np.sin(y) + x)  # noqa: E731
                return go.fori_loop(0, i + 1, inner, y, checkpoint=policy) * x

            return go.fori_loop(0, n, body, x, checkpoint=policy)

        part = go.checkpoint(part, policy="dots")
        return lambda x, n: np.sum(part(x, n) ** 2)

    kept, plain = (go.compile_value_and_grad(layers(p)) for p in ("all", None))
    for n in (0, 1, 5):
        for a, b in zip(kept(X, n), plain(X, n), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-13)
    go.gradcheck(layers("all"), (X, 3), argnums=0)
    products = [f.lower(X, 3).mlir("adjoint").count("grad.dot_general") for f in (kept, plain)]
    assert products[0] < products[1]


def test_bundles(tmp_path: Path) -> None:
    path = tmp_path / "chained.bundle"
    compiled = go.compile_value_and_grad(chained)
    go.save(compiled.lower(X, 3), path)
    run = go.load(path)
    np.testing.assert_allclose(run(X, 40)[1], expected(X, 40)[1], rtol=1e-11)


def test_devices_refuse() -> None:
    program = go.compile_grad(chained, device="cuda").lower(X, 3)
    with pytest.raises(go.errors.GradoptError, match='a loop with checkpoint="all"'):
        program.mlir("gpu")


def test_what_would_go_over_a_whole_tape_is_refused() -> None:
    """Batches whose elements stop at different times choose between tapes."""
    mapped = go.compile(go.vmap(go.grad(chained), in_axes=(0, 0)))
    with pytest.raises(go.errors.GradoptError, match='checkpoint="all"'):
        mapped(np.stack([X, X]), np.array([1, 2]))


def test_the_option_names_a_policy() -> None:
    with pytest.raises(go.errors.ArgumentError, match="checkpoint must be 'all'"):
        go.compile(in_python, checkpoint="some")
