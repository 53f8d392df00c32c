# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Derivatives of loops that update arrays in place: they store what is overwritten, no more."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import test_loop_bounds as bounded

import gradopt as go

RNG = np.random.default_rng(5)


def cholesky(a: Any) -> Any:
    """Column after column, each of which depends on all of those before."""
    rows = np.arange(len(a))

    def column(j: Any, lower: Any) -> Any:
        rest = a[:, j] - lower @ lower[j]
        lower[:, j] = np.where(rows >= j, rest / np.sqrt(rest[j]), 0)
        return lower

    return go.fori_loop(0, len(a), column, np.zeros_like(a))


def cholesky_by_elements(a: Any) -> Any:
    """Two nested loops, and a branch in the inner one."""

    def row(i: Any, lower: Any) -> Any:
        def element(j: Any, lower: Any) -> Any:
            def set_element(lower: Any) -> Any:
                rest = a[i, j] - lower[i] @ lower[j]
                pivot = np.where(i == j, 1, lower[j, j])
                lower[i, j] = np.where(i == j, np.sqrt(np.abs(rest)), rest / pivot)
                return lower

            return go.cond(j <= i, set_element, lambda lower: lower, lower)

        return go.fori_loop(0, len(a), element, lower)

    return go.fori_loop(0, len(a), row, np.zeros_like(a))


def lu(a: Any) -> Any:
    """Two arrays, of which a loop computes a row and a column at a time."""
    n = len(a)

    def step(k: Any, state: Any) -> Any:
        lower, upper = state
        upper[k] = a[k] - lower[k] @ upper
        column = (a[:, k] - lower @ upper[:, k]) / upper[k, k]
        lower[:, k] = np.where(np.arange(n) > k, column, 0)
        return lower, upper

    lower, upper = go.fori_loop(0, n, step, (np.zeros_like(a), np.zeros_like(a)))
    return lower + np.eye(n), upper


def gauss_seidel(a: Any, b: Any, sweeps: int = 4) -> Any:
    """The inner loop replaces what the one before has left."""

    def sweep(_: Any, x: Any) -> Any:
        def row(i: Any, x: Any) -> Any:
            x[i] = (b[i] - a[i] @ x + a[i, i] * x[i]) / a[i, i]
            return x

        return go.fori_loop(0, len(b), row, x)

    return go.fori_loop(0, sweeps, sweep, np.zeros_like(b))


def substitute(a: Any, b: Any) -> Any:
    def row(i: Any, x: Any) -> Any:
        x[i] = (b[i] - a[i] @ x) / a[i, i]
        return x

    return go.fori_loop(0, len(b), row, np.zeros_like(b))


def counted(a: Any, b: Any, n: Any) -> Any:
    """How often is known at run time; the element depends on the values."""

    def step(state: Any) -> Any:
        k, x = state
        i = np.argmax(np.abs(x))
        x[i] = np.sin(a[i] @ x) + b[i] / 4
        x[k % 3] += x[i] * x[0]
        return k + 1, x

    return go.while_loop(lambda state: state[0] < n, step, (0, b.copy()))[1]


def swapped(a: Any, b: Any) -> Any:
    """Rows change places, in an array and between two."""

    def step(i: Any, state: Any) -> Any:
        x, y = state
        j = (i * 2 + 1) % len(x)
        x[i], x[j] = x[j].copy(), x[i].copy()
        row = x[0].copy()
        x[0] = np.tanh(x @ b) * y[j]
        y[j] = row
        return x, y

    x, y = go.fori_loop(0, len(a), step, (a.copy(), a * a))
    return x + y


def scattered(a: Any, b: Any) -> Any:
    """Elements at positions that repeat, replaced and added to."""
    places = go.numpy.array([[0, 1], [2, 2], [1, 0], [3, 3]])

    def step(k: Any, x: Any) -> Any:
        x[places[k % 4]] = np.sin(x @ b) * b[:2]
        np.add.at(x, places[(k + 1) % 4], np.cos(a[:2, 0]) * x[k % 4])
        return x

    return go.fori_loop(0, 7, step, b.copy())


def lu_by_rows(a: Any) -> Any:
    """In place; how many rows there are below depends on the outer loop."""
    return bounded.lu_by_rows(a, len(a))


def lu_by_elements(a: Any) -> Any:
    return bounded.lu_by_elements(a, len(a))


def cholesky_in_place(a: Any) -> Any:
    """Right-looking: each column changes all columns behind it."""
    n = len(a)
    rows = np.arange(n)

    def step(k: Any, a: Any) -> Any:
        def column(j: Any, a: Any) -> Any:
            a[:, j] -= a[:, k] * a[j, k]
            return a

        a[:, k] = np.where(rows >= k, a[:, k] / np.sqrt(a[k, k]), 0)
        return go.fori_loop(k + 1, n, column, a)

    return np.tril(go.fori_loop(0, n, step, a.copy()))


def cholesky_by_rows(a: Any) -> Any:
    """Each element is written once."""
    return bounded.cholesky(a, len(a))


def recurrence(a: Any, b: Any) -> Any:
    """Each element follows from the one before, in cheap arithmetic."""
    x = go.numpy.zeros(len(b))
    x[0] = b[0]

    def step(i: Any, x: Any) -> Any:
        x[i] = b[i] - 0.5 * x[i - 1] * x[i - 1]
        return x

    return go.fori_loop(1, len(b), step, x) * a[0]


def one_by_one(a: Any, b: Any) -> Any:
    """Each element is replaced once, from the last to the first."""
    n = len(b)

    def step(i: Any, x: Any) -> Any:
        x[n - 1 - i] = x[n - 1 - i] ** 2 * b[i]
        return x

    return go.fori_loop(0, n, step, b.copy()) * a[0]


def exchanged(a: Any, b: Any) -> Any:
    """Rows change places, at positions that depend on the counter."""

    def step(i: Any, x: Any) -> Any:
        j = (3 * i + 1) % len(x)
        x[i], x[j] = x[j].copy(), x[i].copy()
        x[i] *= b[i]
        return x

    return go.fori_loop(0, len(a), step, a.copy())


def rotated(a: Any) -> Any:
    """Givens rotations: both rows depend on both rows."""
    n = len(a)

    def step(k: Any, a: Any) -> Any:
        def rotate(i: Any, a: Any) -> Any:
            radius = np.hypot(a[k, k], a[i, k])
            c, s = a[k, k] / radius, a[i, k] / radius
            a[k], a[i] = c * a[k] + s * a[i], c * a[i] - s * a[k]
            return a

        return go.fori_loop(k + 1, n, rotate, a)

    return go.fori_loop(0, n - 1, step, a.copy())


def sorted_by_exchange(a: Any, b: Any) -> Any:
    """Elements change places in a branch."""
    n = len(b)

    def outer(i: Any, x: Any) -> Any:
        def inner(j: Any, x: Any) -> Any:
            def exchange(x: Any) -> Any:
                first = x[j]
                x[j] = x[j + 1] * 1.25
                x[j + 1] = first
                return x

            return go.cond(x[j] > x[j + 1], exchange, lambda x: x, x)

        return go.fori_loop(0, n - 1 - i, inner, x)

    return go.fori_loop(0, n - 1, outer, b.copy()) * a[0]


def smoothed(a: Any) -> Any:
    """A row depends on the new one above and on the old one below."""

    def row(i: Any, a: Any) -> Any:
        a[i] = (np.sin(a[i - 1]) + a[i + 1] * a[i]) / 3
        return a

    def sweep(_: Any, a: Any) -> Any:
        return go.fori_loop(1, len(a) - 1, row, a)

    return go.fori_loop(0, 2, sweep, a.copy())


def solved_by_columns(a: Any, b: Any) -> Any:
    """All elements are visited; a branch says which ones are updated."""
    n = len(b)

    def column(j: Any, x: Any) -> Any:
        x[j] = x[j] / a[j, j]

        def row(i: Any, x: Any) -> Any:
            def update(x: Any) -> Any:
                x[i] = x[i] - a[i, j] * x[j]
                return x

            return go.cond(i > j, update, lambda x: x, x)

        return go.fori_loop(0, n, row, x)

    return go.fori_loop(0, n, column, b.copy())


def eliminated(a: Any) -> Any:
    """With pivots: rows change places, and a branch updates those below."""
    n = len(a)

    def step(k: Any, a: Any) -> Any:
        pivot = np.argmax(np.abs(a[:, k]) * (np.arange(n) >= k))
        row = a[k].copy()
        a[k] = a[pivot]
        a[pivot] = row

        def below(i: Any, a: Any) -> Any:
            def update(a: Any) -> Any:
                a[i] = a[i] - a[i, k] / a[k, k] * a[k]
                return a

            return go.cond(i > k, update, lambda a: a, a)

        return go.fori_loop(0, n, below, a)

    return go.fori_loop(0, n, step, a.copy())


def shortened(a: Any) -> Any:
    """All of the array is updated at once, from itself and a row and a column of it."""

    def step(k: Any, a: Any) -> Any:
        a -= np.outer(a[:, k], np.tanh(a[k])) / 4
        return a

    return go.fori_loop(0, len(a), step, a.copy())


def relaxed(a: Any) -> Any:
    """All of the inside is updated at once, from its neighbours."""

    def step(_: Any, a: Any) -> Any:
        a[1:-1, 1:-1] = np.sin(a[:-2, 1:-1] + a[2:, 1:-1] + a[1:-1, :-2] + a[1:-1, 2:]) / 4
        return a

    return go.fori_loop(0, 3, step, a.copy())


def matrix(n: int) -> Any:
    m = RNG.normal(size=(n, n))
    return m @ m.T / n + 2 * np.eye(n)


def total(f: Callable[..., Any]) -> Callable[..., Any]:
    def loss(*args: Any) -> Any:
        results = f(*args)
        parts = results if isinstance(results, tuple) else (results,)
        return sum(np.sum(np.sin(part) * (i + 1)) for i, part in enumerate(parts))

    return loss


SMALL = matrix(5)
VECTOR = RNG.normal(size=5)
CASES: dict[str, tuple[Callable[..., Any], tuple[Any, ...]]] = {
    "cholesky": (cholesky, (SMALL,)),
    "cholesky by elements": (cholesky_by_elements, (SMALL,)),
    "lu": (lu, (SMALL,)),
    "gauss-seidel": (gauss_seidel, (SMALL, VECTOR)),
    "substitution": (substitute, (SMALL, VECTOR)),
    "run-time count": (lambda a, b: counted(a, b, 5), (SMALL / 4, VECTOR)),
    "swapped rows": (swapped, (SMALL / 4, VECTOR)),
    "scattered": (scattered, (SMALL, VECTOR)),
    "lu by rows": (lu_by_rows, (SMALL,)),
    "lu by elements": (lu_by_elements, (SMALL,)),
    "cholesky in place": (cholesky_in_place, (SMALL,)),
    "cholesky by rows": (cholesky_by_rows, (SMALL,)),
    "recurrence": (recurrence, (SMALL, VECTOR)),
    "one by one": (one_by_one, (SMALL, VECTOR)),
    "exchanged rows": (exchanged, (SMALL, VECTOR)),
    "rotated rows": (rotated, (SMALL,)),
    "sorted": (sorted_by_exchange, (SMALL, VECTOR)),
    "smoothed": (smoothed, (SMALL,)),
    "solved by columns": (solved_by_columns, (SMALL, VECTOR)),
    "eliminated": (eliminated, (SMALL,)),
    "shortened": (shortened, (SMALL,)),
    "relaxed": (relaxed, (SMALL,)),
}
each = pytest.mark.parametrize("name", list(CASES))


def test_values() -> None:
    """What the programs compute, so that derivatives are of what they say."""
    lower = np.linalg.cholesky(SMALL)
    np.testing.assert_allclose(go.compile(cholesky)(SMALL), lower, rtol=1e-12, atol=1e-14)
    by_elements = go.compile(cholesky_by_elements)(SMALL)
    np.testing.assert_allclose(by_elements, lower, rtol=1e-12, atol=1e-14)
    left, upper = go.compile(lu)(SMALL)
    np.testing.assert_allclose(left @ upper, SMALL, rtol=1e-12)
    for f in (lu_by_rows, lu_by_elements):
        both = go.compile(f)(SMALL)
        product = (np.tril(both, -1) + np.eye(5)) @ np.triu(both)
        np.testing.assert_allclose(product, SMALL, rtol=1e-12)
    for f in (cholesky_in_place, cholesky_by_rows):
        np.testing.assert_allclose(go.compile(f)(SMALL), lower, rtol=1e-12, atol=1e-14)
    upper = go.compile(rotated)(SMALL)
    np.testing.assert_allclose(np.tril(upper, -1), 0, atol=1e-14)
    np.testing.assert_allclose(upper.T @ upper, SMALL.T @ SMALL, rtol=1e-12)
    for f in (exchanged, sorted_by_exchange):
        np.testing.assert_allclose(go.compile(f)(SMALL, VECTOR), f(SMALL, VECTOR), rtol=1e-12)
    for f in (smoothed, shortened, relaxed):
        np.testing.assert_allclose(go.compile(f)(SMALL), f(SMALL), rtol=1e-12)
    solution = np.linalg.solve(np.tril(SMALL), VECTOR)
    for f in (substitute, solved_by_columns):
        np.testing.assert_allclose(go.compile(f)(SMALL, VECTOR), solution, rtol=1e-12)
    upper = go.compile(eliminated)(SMALL)
    np.testing.assert_allclose(np.tril(upper, -1), 0, atol=1e-14)
    determinant = np.abs(np.prod(np.diag(upper)))
    np.testing.assert_allclose(determinant, np.abs(np.linalg.det(SMALL)), rtol=1e-12)
    nearly = go.compile(lambda a, b: gauss_seidel(a, b, 200))(SMALL, VECTOR)
    np.testing.assert_allclose(nearly, np.linalg.solve(SMALL, VECTOR), rtol=1e-12)


@each
def test_derivatives(name: str) -> None:
    """First order against differences and forward mode, second in each pair of modes."""
    f, args = CASES[name]
    loss = total(f)
    go.gradcheck(loss, args, order=2)
    rng = np.random.default_rng(0)
    tangents = tuple(rng.normal(size=np.shape(x)) for x in args)
    numbers = tuple(range(len(args)))
    gradients = go.grad(loss, argnums=numbers)

    def along(*args: Any) -> Any:
        return sum(np.sum(g * t) for g, t in zip(gradients(*args), tangents, strict=True))

    np.testing.assert_allclose(
        go.compile(along)(*args), go.compile_jvp(loss)(args, tangents)[1], rtol=1e-10
    )
    forward = go.compile_jvp(gradients)(args, tangents)[1]
    reverse = go.compile_grad(along, argnums=numbers)(*args)
    for one, other in zip(forward, reverse, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-11)


@each
def test_batches(name: str) -> None:
    f, args = CASES[name]
    gradients = go.grad(total(f), argnums=tuple(range(len(args))))
    many = tuple(np.stack([x, x * 1.1, x * 0.9]) for x in args)
    batched = go.compile(go.vmap(gradients))(*many)
    alone = go.compile(gradients)
    for i in range(3):
        for one, other in zip(batched, alone(*(x[i] for x in many)), strict=True):
            np.testing.assert_allclose(one[i], other, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(
    ("name", "arrays"),
    [
        ("cholesky", 8),
        ("cholesky by elements", 10),
        ("lu", 14),
        ("gauss-seidel", 4),
        ("lu by rows", 5.5),
        ("lu by elements", 4.5),
        ("cholesky in place", 4.8),
        ("cholesky by rows", 4.8),
    ],
)
@pytest.mark.parametrize("n", [50, 200])
def test_memory(name: str, arrays: float, n: int) -> None:
    """A number of arrays that does not grow with the number of iterations."""
    f, args = CASES[name]
    large = (matrix(n), RNG.normal(size=n))[: len(args)]
    compiled = go.compile_grad(total(f), argnums=tuple(range(len(args))))
    assert compiled.lower(*large).memory().arena <= 8 * arrays * n * n


@pytest.mark.parametrize(("name", "arrays"), [("recurrence", 3), ("one by one", 2)])
def test_nothing_is_stored(name: str, arrays: int) -> None:
    """What the loop reads is there before or behind it; the rest is the array and cotangents."""
    f, _ = CASES[name]
    n = 1000
    compiled = go.compile_grad(total(lambda b: f(np.ones(1), b)))
    assert compiled.lower(np.ones(n)).memory().arena <= 8 * n * arrays + 1000


@pytest.mark.parametrize(
    ("name", "argnum"),
    [
        ("recurrence", 1),
        ("one by one", 1),
        ("lu by rows", 0),
        ("lu by elements", 0),
        ("cholesky by rows", 0),
        ("cholesky in place", 0),
        ("exchanged rows", 0),
        ("rotated rows", 0),
        ("sorted", 1),
        ("smoothed", 0),
        ("shortened", 0),
        ("relaxed", 0),
        ("eliminated", 0),
        ("solved by columns", 1),
    ],
)
def test_no_iteration_copies_an_array(name: str, argnum: int) -> None:
    """The adjoint updates cotangents in place, so that its time is that of the elements."""
    assert not copies_in_loops(name, argnum, depth=1)


def test_no_iteration_of_an_inner_loop_copies_an_array() -> None:
    """What it computes of all of the cotangent is computed in it."""
    assert not copies_in_loops("gauss-seidel", 1, depth=2)


def copies_in_loops(name: str, argnum: int, depth: int) -> list[str]:
    """Copies of arrays like the argument, in the gradient, within so many loops or more."""
    f, args = CASES[name]
    program = go.compile_grad(total(f), argnums=argnum).lower(*args).mlir("bufferized")
    shape = "x".join(str(size) for size in np.shape(args[argnum]))
    inside = [line for line in program.splitlines() if line.startswith((4 + 2 * depth) * " ")]
    assert any("memref.store" in line or "linalg.generic" in line for line in inside)
    return [line for line in inside if "memref.copy" in line and f": memref<{shape}xf64>" in line]


def test_memory_of_steps() -> None:
    """Of a vector, 20 sweeps store what they overwrite: not an array for each element."""
    n, sweeps = 100, 20
    compiled = go.compile_grad(total(lambda a, b: gauss_seidel(a, b, sweeps)), argnums=1)
    arena = compiled.lower(matrix(n), np.ones(n)).memory().arena
    assert arena <= 8 * n * (sweeps + 10)
