# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Functions that write to their arguments: the caller's arrays hold what NumPy leaves in them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gradopt as go
from gradopt.errors import ArgumentError, MutationError, ReadOnlyError, UnsupportedError

X = np.arange(1.0, 11.0)
RNG = np.random.default_rng(3)


def same_as_numpy(f: Callable[..., Any], *args: Any) -> None:
    """Results and arguments, at the first call and at the next ones."""
    compiled = go.compile(f)
    for _ in range(3):
        mine = [a.copy() if isinstance(a, np.ndarray) else a for a in args]
        theirs = [a.copy() if isinstance(a, np.ndarray) else a for a in args]
        got, want = compiled(*mine), f(*theirs)
        if want is not None:
            np.testing.assert_allclose(got, want, rtol=1e-13)
        else:
            assert got is None
        for a, b in zip(mine, theirs, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-13)


def test_elements_rows_and_whole_arrays() -> None:
    def f(x, y, table):
        x[1:] += y[:-1]
        y *= 2
        table[2] = x[:3]
        return np.sum(table)

    same_as_numpy(f, X, X, np.zeros((4, 3)))


def test_in_loops_branches_and_functions() -> None:
    def scale(row, factor):
        row *= factor

    def f(a, b):
        for i in range(10):
            if b[i] > 4:
                scale(a[i], b[i])
            b[i] = np.sum(a[i])

    same_as_numpy(f, np.outer(X, X) / 10, X)


def test_parts_of_the_flat_array_and_rows_in_branches() -> None:
    def f(m: Any, u: Any, a: Any, k: Any) -> Any:
        part = m.reshape(-1)[3:9]
        part[:] = u[0] * 0.2
        for i in range(9):
            m[i % 4] = u
        if a > 0.5:
            u = u * 2
        elif a > 0:
            m[int(np.sum(u < a)) % 4] = m[min(9, k[6]) % 4] + part[0]
        return u

    m, u = np.arange(36.0).reshape(4, 9), np.linspace(-1, 1, 9)
    for a in (0.3, 0.7, -1.0):
        same_as_numpy(f, m, u, a, np.arange(9))


def test_through_views_and_out() -> None:
    def f(x, m):
        np.exp(x, out=x)
        m.T[0] = 1.0
        m.ravel()[-1] = 5.0
        np.add(x[:3], 1, out=m[0])

    same_as_numpy(f, X / 10, np.zeros((3, 3)))


def test_what_is_written_and_returned() -> None:
    def f(x):
        x += 1
        return x * 2, x

    same_as_numpy(f, X)


def test_arrays_that_are_not_contiguous() -> None:
    def f(x):
        x *= 3

    base = np.arange(20.0)
    go.compile(f)(base[::2])
    np.testing.assert_array_equal(base[::2], 3 * np.arange(0.0, 20.0, 2))
    np.testing.assert_array_equal(base[1::2], np.arange(1.0, 20.0, 2))


def test_arrays_in_containers_and_keywords() -> None:
    def f(state, *, rate):
        state["w"] -= rate * state["g"]
        return np.sum(state["w"])

    state = {"w": X.copy(), "g": np.ones(10)}
    compiled = go.compile(f)
    for _ in range(2):
        compiled(state, rate=0.5)
    np.testing.assert_allclose(state["w"], X - 1)


def test_what_is_lowered_for_one_signature() -> None:
    def f(x):
        x[0] = 7
        return x[1]

    x = X.copy()
    fixed = go.compile(f).lower(x).compile()
    assert x[0] == 1
    assert fixed(x) == 2
    assert fixed(x) == 2
    assert x[0] == 7


def test_one_function_of_several_signatures() -> None:
    def f(x):
        x += 1

    compiled = go.compile(f)
    for shape in ((3,), (2, 2), (3,)):
        x = np.zeros(shape)
        compiled(x)
        np.testing.assert_array_equal(x, np.ones(shape))
    assert compiled.cache_size() == 2


def test_calls_in_traced_code_write_to_its_arrays() -> None:
    @go.compile
    def inner(x):
        x[0] = x[1] ** 2

    def f(x):
        y = x * 1
        inner(y)
        return y[0]

    np.testing.assert_allclose(go.grad(f)(X), np.eye(10)[1] * 4)


def test_derivatives_go_through_writes() -> None:
    def f(x, work):
        work[0] = x[0] ** 2
        for i in range(1, 10):
            work[i] = work[i - 1] * x[i]
        x *= 3
        return np.sum(work * x)

    def pure(x, work):
        return f(x.copy(), work.copy())

    x, work = X / 5, np.ones(10)
    for got, want in (
        (go.compile_grad(f)(x, work), go.grad(pure)(x, work)),
        (go.grad(f)(x, work), go.grad(pure)(x, work)),
        (go.jvp(f, (x, work), (x, work))[1], go.jvp(pure, (x, work), (x, work))[1]),
    ):
        np.testing.assert_allclose(got, want)
    go.gradcheck(pure, (x, work))
    np.testing.assert_array_equal(x, X / 5)
    np.testing.assert_array_equal(work, np.ones(10))


def test_memory_that_arguments_share() -> None:
    def f(x, y):
        x += y

    x = X.copy()
    with pytest.raises(ArgumentError, match="x, which shares memory with y"):
        go.compile(f)(x, x[::-1])
    go.compile(f)(x[:5], x[5:])
    np.testing.assert_array_equal(x[:5], X[:5] + X[5:])


def test_arrays_that_are_read_only() -> None:
    def f(x):
        x += 1

    x = X.copy()
    x.flags.writeable = False
    with pytest.raises(ReadOnlyError, match="argument x, which is read-only"):
        go.compile(f)(x)
    with pytest.raises(ValueError, match="read-only"):
        f(x)


def test_where_arguments_are_still_kept() -> None:
    def f(x):
        x += 1
        return x

    with pytest.raises(MutationError, match="argument x"):
        go.compile(f, capture="trace")(X.copy())
    with pytest.raises(MutationError, match="argument x"):
        go.compile(f, donate_argnums=0)(X.copy())
    with pytest.raises(UnsupportedError, match="writes to its argument x"):
        go.save(go.compile(f).lower(X), "/nowhere")


# -- Sizes -------------------------------------------------------------------------------------


def test_integers_that_sizes_depend_on() -> None:
    def f(n, x):
        y = np.zeros(n)
        for i in range(n):
            y[i] = x[i] * n
        return y[: n - 1]

    compiled = go.compile(f)
    for n in (9, 4, 9):
        np.testing.assert_array_equal(compiled(n, X), f(n, X))
    np.testing.assert_array_equal(compiled(x=X, n=5), f(5, X))
    assert compiled.cache_size() == 3
    assert compiled.lower(4, X).loops()[0].reason == "it has 4 iterations"


def test_integers_that_are_numbers() -> None:
    compiled = go.compile(lambda x, k: x * k)
    for k in (2, 3):
        np.testing.assert_array_equal(compiled(X, k), X * k)
    assert compiled.cache_size() == 1


def test_sizes_of_derivatives() -> None:
    def f(x, n):
        return np.sum(x[: n + 1] ** 2)

    want = 2 * X * (np.arange(10) <= 4)
    np.testing.assert_array_equal(go.grad(f)(X, 4), want)
    np.testing.assert_array_equal(go.compile_grad(f)(X, n=4), want)


def test_sizes_that_depend_on_other_values() -> None:
    def f(x, n):
        return x[: n * int(x[0])]

    compiled = go.compile(f)
    for first in (0.0, 1.0, 2.0):
        x = np.concatenate([[first], X])
        np.testing.assert_array_equal(compiled(x, 3), f(x, 3))
    with pytest.raises(go.errors.ConversionError, match=r"a size depends on p\['n'\]"):
        go.compile(lambda p: p["x"][: p["n"]])({"x": X, "n": 3})


# -- Derivatives -------------------------------------------------------------------------------


def advance(position, velocity, dt):
    """Leaves its results in its arguments."""
    for _ in range(10):
        velocity -= dt * position
        position += dt * velocity


def test_functions_that_return_nothing_are_differentiated() -> None:
    position, velocity = RNG.normal(size=3), RNG.normal(size=3)

    def energy(position, velocity, dt):
        advance(position, velocity, dt)
        return np.sum(position**2 + velocity**2)

    expected = energy(position.copy(), velocity.copy(), 0.1)
    pure = go.with_written(advance)
    result, (p, v) = pure(position, velocity, 0.1)
    assert result is None
    np.testing.assert_allclose(np.sum(p**2 + v**2), expected, rtol=1e-13)
    value, grads = go.compile_value_and_grad(energy, argnums=(0, 1, 2))(position, velocity, 0.1)
    np.testing.assert_allclose(value, expected, rtol=1e-13)
    go.gradcheck(energy, (position, velocity, 0.1))
    (_, (p, v)), pull = go.vjp(pure, position, velocity, 0.1)
    for one, other in zip(pull((None, (2 * p, 2 * v))), grads, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12)
    (_, (moved, _)) = go.jvp(pure, (position, velocity, 0.1), (np.ones(3), np.zeros(3), 0.0))[1]
    eps = 1e-6
    (_, (p, _)), (_, (q, _)) = (
        pure(position + eps, velocity, 0.1),
        pure(position - eps, velocity, 0.1),
    )
    np.testing.assert_allclose(moved, (p - q) / (2 * eps), rtol=1e-8)


def test_written_arguments_are_in_the_order_of_the_call() -> None:
    def f(a, b, c, *, d):
        d["x"] += a
        b[0] = 7.0
        return a * c

    a = np.ones(2)
    result, written = go.with_written(f)(a, np.zeros(2), 3.0, d={"x": a, "y": a})
    np.testing.assert_array_equal(result, 3 * np.ones(2))
    np.testing.assert_array_equal(written[0], [7, 0])
    np.testing.assert_array_equal(written[1]["x"], [2, 2])
    np.testing.assert_array_equal(a, np.ones(2))
    assert len(written) == 2


def test_written_arguments_under_transforms_and_in_bundles(tmp_path: Any) -> None:
    def f(x):
        for i in range(1, len(x)):
            if x[i] > 0:
                x[i] += x[i - 1] ** 2

    x = RNG.normal(size=(4, 9))
    expected = x.copy()
    for row in expected:
        f(row)
    pure = go.with_written(f)
    np.testing.assert_allclose(go.vmap(pure)(x)[1][0], expected, rtol=1e-13)
    go.gradcheck(lambda x: pure(x)[1][0], x[0])
    compiled = go.compile(pure)
    np.testing.assert_allclose(compiled(x[0])[1][0], expected[0], rtol=1e-13)
    go.save(compiled, tmp_path / "f.bundle")
    np.testing.assert_allclose(go.load(tmp_path / "f.bundle")(x[0])[1][0], expected[0], rtol=1e-13)
    with pytest.raises(UnsupportedError, match=r"gradopt\.with_written\(f\)"):
        go.save(go.compile(f).lower(x[0]), tmp_path / "g.bundle")


def _differentiated(g: Any, u: Any) -> Any:
    return go.grad(g)(u[0])


def _mapped(g: Any, u: Any) -> Any:
    return go.vmap(g)(u)


@pytest.mark.parametrize("call", [_differentiated, _mapped])
def test_what_a_transformed_function_writes_around_it_is_not_lost(call: Any) -> None:
    """Its own arguments are copies; arrays of the function around it are not."""

    def f(u: Any) -> Any:
        def g(x: Any) -> Any:
            u[1] += x
            return x * u[1]

        return call(g, u)

    with pytest.raises(UnsupportedError, match="an array of an enclosing function"):
        go.compile(f)(np.linspace(0, 1, 5))


def test_what_is_given_to_a_transformed_function_is_its_own() -> None:
    def g(x: Any, u: Any) -> Any:
        u[1] += x
        return x * u[1]

    def f(u: Any) -> Any:
        return go.grad(g)(u[0], u), u

    u = np.linspace(1, 2, 5)
    slope, after = go.compile(f)(u)
    np.testing.assert_allclose(slope, 2 * u[0] + u[1])
    np.testing.assert_array_equal(after, np.linspace(1, 2, 5))


def test_arrays_are_written_to_where_they_are() -> None:
    """No memory is taken for results, and none for temporaries."""

    def step(x, v):
        x += 0.1 * v
        v -= 0.1 * x

    lowered = go.compile(step).lower(X, X)
    assert lowered.reused == {0: 0, 1: 1}
    memory = lowered.memory()
    assert (memory.outputs, memory.arena) == (0, 0)
    same_as_numpy(step, X, X)


def test_arrays_that_are_swapped() -> None:
    def swap(x, y):
        held = x.copy()
        x[:] = y
        y[:] = held

    same_as_numpy(swap, X, X[::-1])


@pytest.mark.parametrize("layout", ["strided", "swapped", "unaligned", "reversed", "Fortran"])
def test_arrays_that_code_cannot_write_to_where_they_are(layout: str) -> None:
    def f(x, y):
        x[1:] += x[:-1] * y[1:]
        return np.sum(x)

    values = np.arange(12.0).reshape(4, 3)

    def made() -> Any:
        if layout == "strided":
            array = np.zeros((8, 3))[::2]
        elif layout == "swapped":
            array = np.zeros((4, 3), ">f8")
        elif layout == "unaligned":
            array = np.zeros(97, np.uint8)[1:].view(np.float64).reshape(4, 3)
        elif layout == "reversed":
            array = np.zeros((4, 3))[::-1]
        else:
            array = np.zeros((4, 3), order="F")
        array[...] = values
        return array

    compiled = go.compile(f)
    for _ in range(2):
        mine, theirs = made(), values.copy()
        np.testing.assert_allclose(compiled(mine, values), f(theirs, values), rtol=1e-14)
        np.testing.assert_allclose(mine, theirs, rtol=1e-14)


def test_views_that_lie_between_each_other() -> None:
    """They share a range of addresses, and no element."""

    def f(x, y):
        x += y
        y *= 2

    base, expected = np.arange(10.0), np.arange(10.0)
    compiled = go.compile(f)
    for _ in range(2):
        compiled(base[::2], base[1::2])
        f(expected[::2], expected[1::2])
        np.testing.assert_array_equal(base, expected)


def test_arrays_stay_as_they_are_where_a_check_fails() -> None:
    def f(x, i):
        x *= 2
        return x[i]

    compiled = go.compile(f)
    x = X.copy()
    assert compiled(x, np.int64(3)) == 8
    with pytest.raises(IndexError, match="index 12 is out of bounds"):
        compiled(x, np.int64(12))
    np.testing.assert_array_equal(x, 2 * X)


def test_an_array_without_elements_or_dimensions() -> None:
    def f(x, y):
        x += 1
        y[...] = y * 3

    compiled = go.compile(f)
    for _ in range(2):
        empty, number = np.zeros((0, 3)), np.array(2.0)
        compiled(empty, number)
        assert number == 6


def test_a_function_that_was_called_once_can_be_saved(tmp_path: Path) -> None:
    """Its first call finds that it writes, or that an argument is a size."""

    def writes(x):
        x[0] = 3.0

    def sized(x, n):
        return x * np.zeros(n)

    compiled = go.compile(writes)
    compiled(np.ones(3))
    with pytest.raises(UnsupportedError, match=r"writes to its argument x.*with_written"):
        go.save(compiled, tmp_path / "writes")
    compiled = go.compile(sized)
    compiled(2.0, 3)
    go.save(compiled, tmp_path / "sized")
    np.testing.assert_array_equal(go.load(tmp_path / "sized")(2.0, 3), np.zeros(3))
