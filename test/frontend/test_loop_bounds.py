# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Loops up to an argument: how often they run at most follows from what they access."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import gradopt as go

RNG = np.random.default_rng(11)
SIZE = 6


def lu_by_rows(a: Any, n: Any) -> Any:
    columns = np.arange(len(a))

    def step(k: Any, a: Any) -> Any:
        def row(i: Any, a: Any) -> Any:
            factor = a[i, k] / a[k, k]
            rest = np.where(columns > k, a[i] - factor * a[k], a[i])
            a[i] = np.where(columns == k, factor, rest)
            return a

        return go.fori_loop(k + 1, n, row, a)

    return go.fori_loop(0, n - 1, step, a.copy())


def lu_by_elements(a: Any, n: Any) -> Any:
    def step(k: Any, a: Any) -> Any:
        def row(i: Any, a: Any) -> Any:
            def element(j: Any, a: Any) -> Any:
                a[i, j] -= a[i, k] * a[k, j]
                return a

            a[i, k] /= a[k, k]
            return go.fori_loop(k + 1, n, element, a)

        return go.fori_loop(k + 1, n, row, a)

    return go.fori_loop(0, n - 1, step, a.copy())


def cholesky(a: Any, n: Any) -> Any:
    """The inner loop ends with the counter of the outer one."""

    def row(i: Any, lower: Any) -> Any:
        def element(j: Any, lower: Any) -> Any:
            lower[i, j] = (a[i, j] - lower[i] @ lower[j]) / lower[j, j]
            return lower

        lower = go.fori_loop(0, i, element, lower)
        lower[i, i] = np.sqrt(a[i, i] - lower[i] @ lower[i])
        return lower

    return go.fori_loop(0, n, row, np.zeros_like(a))


def downwards(a: Any, n: Any) -> Any:
    """Rows from the last to the first, and every second column."""

    def row(i: Any, a: Any) -> Any:
        def column(j: Any, a: Any) -> Any:
            a[n - 1 - i, 2 * j] = np.sin(a[n - 1 - i, 2 * j]) * a[n - 1 - i, 2 * j + 1]
            return a

        a[n - 1 - i, 0] += np.cos(a[i, 1])
        return go.fori_loop(0, n // 2, column, a)

    return go.fori_loop(0, n, row, a.copy())


def sweeps(a: Any, n: Any) -> Any:
    """A loop up to the argument in one that is always as long."""

    def sweep(_: Any, x: Any) -> Any:
        def row(i: Any, x: Any) -> Any:
            x[i] = np.sin(a[i] @ x / 4) + x[i] / a[i, i]
            return x

        return go.fori_loop(0, n, row, x)

    return go.fori_loop(0, 8, sweep, a[0].copy())


def prefix(a: Any, n: Any) -> Any:
    """No array is updated."""
    return go.fori_loop(0, n, lambda i, x: np.tanh(a[i] * x), a[0])


def segments(a: Any, n: Any) -> Any:
    """The loop ends where a table says, and a branch decides what is updated."""
    ends = go.numpy.array([3, 0, 6, 1, 4, 2])

    def outer(i: Any, a: Any) -> Any:
        def inner(j: Any, a: Any) -> Any:
            def update(a: Any) -> Any:
                a[i, j] = a[i, j] * np.cos(a[j, i])
                return a

            return go.cond(np.sin(9 * a[j, i]) > 0, update, lambda a: a, a)

        return go.fori_loop(0, ends[i], inner, a)

    return go.fori_loop(0, n, outer, a.copy())


CASES: dict[str, Callable[[Any, Any], Any]] = {
    "lu by rows": lu_by_rows,
    "lu by elements": lu_by_elements,
    "cholesky": cholesky,
    "downwards": downwards,
    "sweeps": sweeps,
    "prefix": prefix,
    "segments": segments,
}
each = pytest.mark.parametrize("name", list(CASES))


def matrix(n: int) -> Any:
    m = RNG.normal(size=(n, n))
    return m @ m.T / n + 2 * np.eye(n)


def total(f: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *args: np.sum(np.sin(f(*args)))


@each
def test_derivatives(name: str) -> None:
    """As of the loops of constant length, at first and second order, whatever the argument is."""
    f, a, direction = CASES[name], matrix(SIZE), RNG.normal(size=(SIZE, SIZE))
    loss = total(f)
    gradient = go.compile_grad(loss)

    def second(a: Any, n: Any) -> Any:
        return np.sum(go.grad(loss)(a, n) * direction)

    of_gradient = go.compile_grad(second)
    for n in (0, 1, 2, SIZE - 1, SIZE):
        of_constant = total(lambda a, n=n: f(a, n))
        go.gradcheck(of_constant, (a,), modes=("rev",))
        expected = go.compile_grad(of_constant)(a)
        np.testing.assert_allclose(gradient(a, n), expected, rtol=1e-12, atol=1e-13)
        of_constants_gradient = go.compile_jvp(go.grad(of_constant))((a,), (direction,))[1]
        np.testing.assert_allclose(of_gradient(a, n), of_constants_gradient, rtol=1e-10, atol=1e-11)


@each
def test_batches(name: str) -> None:
    """Each element of a batch has a number of iterations of its own."""
    gradient, a = go.grad(total(CASES[name])), matrix(SIZE)
    counts = np.array([SIZE, 0, 3, 1])
    batched = go.compile(go.vmap(gradient, in_axes=(None, 0)))(a, counts)
    for n, one in zip(counts, batched, strict=True):
        np.testing.assert_allclose(one, go.compile(gradient)(a, int(n)), rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize(
    ("name", "arrays"),
    [
        ("lu by rows", 5.5),
        ("lu by elements", 4.5),
        ("cholesky", 5.5),
        ("downwards", 5.5),
        ("sweeps", 2.5),
        ("prefix", 1.2),
        ("segments", 5.5),
    ],
)
@pytest.mark.parametrize("n", [60, 180])
def test_memory(name: str, arrays: float, n: int) -> None:
    """As many arrays as loops of constant length take: not one for each iteration."""
    compiled = go.compile_grad(total(CASES[name]))
    assert compiled.lower(np.eye(n), n).memory().arena <= 8 * arrays * n * n


@each
def test_positions_out_of_bounds_are_errors(name: str) -> None:
    """What follows from the bounds does not hold then, and nothing comes of it."""
    gradient, a = go.compile_grad(total(CASES[name])), matrix(SIZE)
    expected = gradient(a, SIZE)
    for n in (SIZE + 2, 50 * SIZE):
        with pytest.raises(go.errors.TraceIndexError, match=f"with size {SIZE}"):
            gradient(a, n)
    np.testing.assert_array_equal(gradient(a, SIZE), expected)


def test_positions_that_wrap_bound_nothing() -> None:
    """Some loops may run longer than arrays are."""

    def f(a: Any, n: Any) -> Any:
        def step(i: Any, a: Any) -> Any:
            a[i % SIZE] = np.sin(a[i % SIZE]) + a[(i + 1) % SIZE] / 2
            return a

        return go.fori_loop(0, n, step, a.copy())

    loss, a = total(f), RNG.normal(size=SIZE)
    gradient = go.compile_grad(loss)
    for n in (0, SIZE, 5 * SIZE + 1):
        of_constant = total(lambda a, n=n: f(a, n))
        go.gradcheck(of_constant, (a,))
        np.testing.assert_allclose(gradient(a, n), go.compile_grad(of_constant)(a), rtol=1e-12)


def test_accesses_in_branches_bound_nothing() -> None:
    """They need not happen in the last iteration."""

    def f(a: Any, n: Any) -> Any:
        def step(i: Any, a: Any) -> Any:
            def update(a: Any) -> Any:
                a[i] = np.sin(a[i]) * a[0]
                return a

            a = go.cond(i < SIZE, update, lambda a: a, a)
            a[0] = np.cos(a[0]) + a[1]
            return a

        return go.fori_loop(0, n, step, a.copy())

    loss, a = total(f), RNG.normal(size=SIZE)
    gradient = go.compile_grad(loss)
    for n in (SIZE, 4 * SIZE):
        of_constant = total(lambda a, n=n: f(a, n))
        np.testing.assert_allclose(gradient(a, n), go.compile_grad(of_constant)(a), rtol=1e-12)
        go.gradcheck(of_constant, (a,))


STEPS = np.array([1, -2, 3, -4, 50, -1, 2, 7])


def test_steps_may_be_traced() -> None:
    x = np.random.default_rng(3).normal(size=30)

    def of_one_sign(x, steps):
        total, count, y = 0.0, 0, x.copy()
        for k in steps:
            for i in range(29, 2, -abs(k)):
                total, count = total * 0.9 + y[i] * np.sum(y[:i]), count + 1
            for i in range(1, 30, abs(k)):
                y[i] = y[i] * 0.5
        return np.array([total, count, np.sum(y)])

    def of_both(x, steps):
        total = 0.0
        for k in steps:
            for i in range(15, 15 + 2 * k % 14, k):
                total += x[i] * i
            for i in reversed(range(20, 3, k)):
                total += x[i] ** 2
        return total

    def sieve(x, steps):
        is_prime = np.ones(60, bool)
        for k in range(2, 60):
            if is_prime[k]:
                for i in range(2 * k, 60, k):
                    is_prime[i] = False
        return np.sum(is_prime[2:]) + x[0]

    for f in (of_one_sign, of_both, sieve):
        compiled = go.compile(f)
        np.testing.assert_allclose(compiled(x, STEPS), f(x, STEPS), rtol=1e-12)
        assert all(loop.is_rolled for loop in compiled.lower(x, STEPS).loops())
        go.gradcheck(lambda x, f=f: np.sum(f(x, STEPS)), (x,))


def test_steps_of_zero_are_errors_of_the_call() -> None:
    def f(x, steps):
        total = 0.0
        for i in range(0, 5, steps[0]):
            total = total + x[i]
        return total

    compiled = go.compile(f)
    assert compiled(np.ones(5), STEPS) == 5.0
    with pytest.raises(ValueError, match=r"range\(\) arg 3 must not be zero"):
        compiled(np.ones(5), STEPS * 0)
    with pytest.raises(TypeError, match="'float64' object cannot be interpreted as an integer"):
        go.compile(f)(np.ones(5), STEPS * 0.5)
