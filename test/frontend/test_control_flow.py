# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""fori_loop, scan, map, while_loop, cond and switch: values, derivatives, messages.

Outside of a trace these are loops in Python, which is what compiled code is compared with.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import gradopt as go
from gradopt.base.pytree import flatten

X = np.linspace(0.2, 1.1, 5)
A = np.random.default_rng(0).uniform(-1, 1, (4, 4))


def same(actual: Any, expected: Any) -> None:
    """The same structure, dtypes, and elements but for rounding."""
    if isinstance(expected, dict):
        assert list(actual) == list(expected)
        actual, expected = tuple(actual.values()), tuple(expected.values())
    if isinstance(expected, (tuple, list)):
        assert type(actual) is type(expected)
        for a, e in zip(actual, expected, strict=True):
            same(a, e)
        return
    assert np.asarray(actual).dtype == np.asarray(expected).dtype
    np.testing.assert_allclose(actual, expected, rtol=1e-12, atol=1e-14)


def power(x: Any, n: Any) -> Any:
    return go.fori_loop(0, n, lambda i, y: y * x, np.ones_like(x))


def newton(a: Any) -> Any:
    """The square root, to the last digit."""

    def step(state: Any) -> Any:
        y, _ = state
        return (y + a / y) / 2, y

    return go.while_loop(lambda s: np.any(np.abs(s[0] - s[1]) > 1e-15), step, (a, a + 1))[0]


def rnn(params: Any, xs: Any) -> Any:
    def cell(h: Any, x: Any) -> Any:
        h = np.tanh(params["w"] @ h + x * params["v"])
        return h, np.sum(h)

    return go.scan(cell, np.zeros(4), xs)


def lower_triangular(a: Any) -> Any:
    """Cholesky, by loops over rows and columns with bounds known at run time, in place."""

    def column(j: Any, a: Any) -> Any:
        d = np.sqrt(a[j, j])

        def row(i: Any, a: Any) -> Any:
            a[i, j] = a[i, j] / d
            return a

        a = go.fori_loop(j, 4, row, a)

        def update(i: Any, a: Any) -> Any:
            a[i] = a[i] - np.where(np.arange(4) > j, a[i, j] * a[:, j], 0.0)
            return a

        return go.fori_loop(j + 1, 4, update, a)

    return np.tril(go.fori_loop(0, 4, column, a))


def collatz(x: Any, n: Any) -> Any:
    """A branch in a loop whose number of iterations depends on the path."""

    def step(state: Any) -> Any:
        n, y, k = state
        y = go.cond(n % 2 == 0, lambda y: y * x, lambda y: np.sin(y) + x, y)
        n = go.switch(n % 2, [lambda n: n // 2, lambda n: 3 * n + 1], n)
        return n, y, k + 1

    return go.while_loop(lambda s: s[0] != 1, step, (n, x, 0))


CASES: list[tuple[Callable[..., Any], tuple[Any, ...]]] = [
    (power, (1.5, 0)),
    (power, (1.5, 1)),
    (power, (X, 7)),
    (newton, (X,)),
    (newton, (2.0,)),
    (lambda x: rnn({"w": A, "v": A[0]}, x), (X,)),
    (lambda x: go.map(lambda r: {"s": np.sum(r**2), "r": r[::-1]}, x), (A,)),
    (lambda x: go.scan(lambda c, r: (c + r, c * r), 0.0, x, reverse=True), (X,)),
    (lambda x: go.scan(lambda c, _: (c * x, c), 1.0, None, length=4), (X[0],)),
    (lower_triangular, (A @ A.T + 4 * np.eye(4),)),
    (collatz, (0.3, 7)),
    (lambda x: go.cond(x[0] > 0.5, np.sin, np.cos, x), (X,)),
    (lambda x: go.cond(x[0] > 0.1, lambda: {"a": x, "b": 0}, lambda: {"a": -x, "b": 1}), (X,)),
    (lambda x, i: go.switch(i, [np.sin, np.cos, np.square], x), (X, -1)),
    (lambda x, i: go.switch(i, [np.sin, np.cos, np.square], x), (X, 7)),
    (lambda x: go.fori_loop(2, 5, lambda i, v: (v[0] + i, v[1] * 2), (x, 1)), (X,)),
    (lambda x, n: go.fori_loop(n, 2 * n, lambda i, y: y + x[i], 0), (X, 2)),
    (lambda x, n: go.fori_loop(n, 0, lambda i, y: y + x[i], 0.0), (X, 2)),
]


@pytest.mark.parametrize(("f", "args"), CASES)
def test_values(f: Callable[..., Any], args: tuple[Any, ...]) -> None:
    same(go.compile(f)(*args), f(*args))


def weighted(f: Callable[..., Any]) -> Callable[..., Any]:
    """The sum of all float results, with weights."""

    def loss(*args: Any) -> Any:
        total = 0.0
        for part in flatten(f(*args))[0]:
            if np.result_type(part).kind == "f":
                total = total + np.sum(
                    np.cos(part) * (np.arange(np.size(part)).reshape(np.shape(part)) + 1)
                )
        return total

    return loss


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize(("f", "args"), CASES)
def test_derivatives(f: Callable[..., Any], args: tuple[Any, ...], order: int) -> None:
    go.gradcheck(weighted(f), args, argnums=0, order=order)


def test_derivatives_of_captured_values() -> None:
    params = {"w": A, "v": A[0]}
    go.gradcheck(weighted(rnn), (params, X), argnums=(0, 1), order=2)


def test_transforms_in_loops() -> None:
    def descend(x: Any) -> Any:
        def loss(v: Any) -> Any:
            return np.sum(np.cosh(v - go.fori_loop(0, 2, lambda i, y: np.sin(y), v)))

        return go.fori_loop(0, 3, lambda i, v: v - 0.1 * go.grad(loss)(v), x)

    def by_hand(x: Any) -> Any:
        for _ in range(3):
            s, t = np.sin(x), np.sin(np.sin(x))
            x = x - 0.1 * np.sinh(x - t) * (1 - np.cos(s) * np.cos(x))
        return x

    same(go.compile(descend)(X), by_hand(X))
    go.gradcheck(weighted(descend), (X,))


def test_forward_and_reverse_agree() -> None:
    """Along a direction, through a loop whose length is known at run time."""

    def f(x: Any, n: Any) -> Any:
        return go.while_loop(lambda s: s[1] < n, lambda s: (np.sin(s[0]) * x, s[1] + 1), (x, 0))[0]

    for n in (0, 1, 5, 5000):
        _, tangent = go.compile(lambda x, t, n: go.jvp(lambda x: f(x, n), (x,), (t,)))(X, X, n)
        _, pullback = go.vjp(lambda x, n=n: f(x, n), X)
        np.testing.assert_allclose(pullback(X)[0] @ X, tangent @ X, rtol=1e-9, atol=1e-300)


def test_arrays_that_a_body_gets_are_its_own() -> None:
    def body(i: Any, a: Any) -> Any:
        a[i] = 2 * a[i] + a[0]
        return a

    start = A.copy()
    actual = go.compile(lambda a: go.fori_loop(1, 4, body, a))(start)
    np.testing.assert_array_equal(start, A)
    same(actual, go.fori_loop(1, 4, body, A.copy()))


def test_a_known_condition_takes_one_branch() -> None:
    def never(x: Any) -> Any:
        raise AssertionError("traced")

    assert go.compile(lambda x: go.cond(True, lambda x: x, never, x))(2.0) == 2.0
    assert go.compile(lambda x: go.switch(0, [lambda x: x, never], x))(2.0) == 2.0


def test_bounds_are_integers_of_any_kind() -> None:
    for end in (3, np.int32(3), np.array(3)):
        loop = lambda x, end=end: go.fori_loop(np.array(0), end, lambda i, c: c + i, x)  # noqa: E731
        assert go.compile(loop)(1.0) == loop(1.0) == 4.0


def test_dtypes_of_what_is_carried() -> None:
    """A Python number becomes what the body makes of it; arrays keep their types."""
    single = np.float32(0.5)
    run = go.compile(lambda x: go.fori_loop(0, 3, lambda i, y: y + x, 0.0))
    assert run(single).dtype == np.float32
    assert run(single) == np.float32(1.5)
    run = go.compile(lambda x: go.fori_loop(0, 3, lambda i, y: y * x, x))
    assert run(single).dtype == np.float32
    # The counter is a Python integer.
    run = go.compile(lambda x: go.fori_loop(0, 3, lambda i, y: y + i, x))
    assert run(single).dtype == np.float32
    run = go.compile(lambda x: go.fori_loop(0, 3, lambda i, n: n + 0.5, 0))
    assert run(single) == 1.5
    run = go.compile(lambda x: go.cond(x > 0, lambda: x, lambda: 0))
    assert run(single).dtype == np.float32


@pytest.mark.parametrize("n", [3, 8])
def test_checks_in_bodies(n: int) -> None:
    """An index out of bounds is found in any iteration, and the first one is reported."""

    def total(x: Any, n: Any) -> Any:
        return go.fori_loop(0, n, lambda i, s: s + x[i], 0.0)

    if n == 3:
        assert go.compile(total)(X, n) == X[:3].sum()
        return
    message = "index 5 is out of bounds for axis 0 with size 5"
    with pytest.raises(go.errors.TraceIndexError, match=message):
        go.compile(total)(X, n)
    with pytest.raises(go.errors.TraceIndexError, match=message):
        go.compile_grad(total)(X, n)
    until = go.compile(lambda x, n: go.while_loop(lambda i: x[i] > 0, lambda i: i + 1, n))
    with pytest.raises(go.errors.TraceIndexError, match=message):
        until(X, 0)
    either = go.compile(lambda x, n: go.cond(n > 3, lambda: x[n], lambda: x[0]))
    assert either(X, 2) == X[0]
    with pytest.raises(go.errors.TraceIndexError, match="index 8"):
        either(X, n)


def traced(f: Callable[[Any], Any]) -> None:
    go.compile(f)(X)


@pytest.mark.parametrize(
    ("f", "error", "message"),
    [
        (
            lambda x: go.fori_loop(0, 3, lambda i, c: {"h": c["h"][:2]}, {"h": x}),
            go.errors.ArgumentError,
            r"lambda must return what fori_loop carries: carry\['h'\] is float64\[5\], but it returned float64\[2\]",
        ),
        (
            lambda x: go.fori_loop(0, 3, lambda i, c: c > 0, x),
            go.errors.ArgumentTypeError,
            r"carry is float64\[5\], but it returned bool\[5\]",
        ),
        (
            lambda x: go.while_loop(lambda c: c[0] > 0, lambda c: (c, c), x),
            go.errors.ArgumentError,
            r"must return what while_loop carries, \*, but it returned a tuple of 2",
        ),
        (
            lambda x: go.fori_loop(0, 3, lambda i, c: {"p": [c["p"][0], (x,)]}, {"p": [x, x]}),
            go.errors.ArgumentError,
            r"returned a dict of 1: expected an array at carry\['p'\]\[1\], but got tuple",
        ),
        (
            lambda x: go.while_loop(lambda c: c["a"][0] > 0, lambda c: {"b": x}, {"a": x}),
            go.errors.ArgumentError,
            r"expected keys \['a'\] at carry, but got \['b'\]",
        ),
        (
            lambda x: go.while_loop(lambda c: c > 0, lambda c: c, x),
            go.errors.ArgumentTypeError,
            r"lambda must return one bool, but it returned bool\[5\]",
        ),
        (
            lambda x: go.while_loop(lambda c: (c[0] > 0, 1), lambda c: c, x),
            go.errors.ArgumentTypeError,
            r"must return one bool, but it returned the pytree \(\*, \*\)",
        ),
        (
            lambda x: go.cond(x > 0, np.sin, np.cos, x),
            go.errors.ArgumentTypeError,
            r"pred must be one bool, but it is bool\[5\]",
        ),
        (
            lambda x: go.cond(x[0] > 0, lambda: x, lambda: x[1:]),
            go.errors.ArgumentError,
            r"lambda and lambda must return arrays of the same shape and dtype, but result is float64\[5\] and float64\[4\]",
        ),
        (
            lambda x: go.cond(x[0] > 0, lambda: x, lambda: (x,)),
            go.errors.ArgumentError,
            r"must return the same structure, but they return \* and \(\*,\)",
        ),
        (
            lambda x: go.cond(x[0] > 0, np.sin, np.sum, x),
            go.errors.ArgumentError,
            r"sin and sum must return arrays .* result is float64\[5\] and float64\[\]",
        ),
        (
            lambda x: go.scan(np.add, x[0], x),
            go.errors.ArgumentError,
            r"add must return \(carry, y\), but it returned float64\[\]",
        ),
        (
            lambda x: go.switch(x[0], [np.sin], x),
            go.errors.ArgumentTypeError,
            r"index must be an integer, but it is float64\[\]",
        ),
        (lambda x: go.switch(0, [], x), go.errors.ArgumentError, "at least one branch"),
        (
            lambda x: go.fori_loop(0.5, 3, lambda i, c: c, x),
            go.errors.ArgumentTypeError,
            "lower must be an integer",
        ),
        (
            lambda x: go.scan(lambda c, r: c, 0.0, x),
            go.errors.ArgumentError,
            r"lambda must return \(carry, y\), but it returned float64\[\]",
        ),
        (
            lambda x: go.scan(lambda c, r: (c, c), 0.0, {"a": x, "b": x[1:]}),
            go.errors.ArgumentError,
            r"expected length 5 of the first axis of xs\['b'\], but it has shape \(4,\)",
        ),
        (
            lambda x: go.scan(lambda c, r: (c, c), 0.0, None),
            go.errors.ArgumentError,
            "scan needs length, the number of iterations,",
        ),
        (
            lambda x: go.scan(lambda c, r: (c, c), 0.0, x[0]),
            go.errors.ArgumentError,
            "xs has no first axis to loop over",
        ),
        (
            lambda x: go.fori_loop(0, 3, lambda i, c: None, x),
            go.errors.ArgumentError,
            "is a return statement missing",
        ),
    ],
)
def test_messages(f: Callable[[Any], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message) as caught:
        traced(f)
    assert __file__ in str(caught.value)


def test_values_do_not_leave_a_body() -> None:
    kept: list[Any] = []

    def f(x: Any) -> Any:
        go.fori_loop(0, 3, lambda i, c: kept.append(c) or c, x)
        return kept[0] + x

    with pytest.raises(go.errors.LeakedTracerError):
        traced(f)


def test_outer_arrays_cannot_be_written_to_in_a_body() -> None:
    def f(x: Any) -> Any:
        y = x.copy()

        def body(i: Any, c: Any) -> Any:
            y[i] = c
            return c

        return go.fori_loop(0, 3, body, 0.0)

    with pytest.raises(go.errors.UnsupportedError, match="array of an enclosing function"):
        traced(f)


def test_nothing_is_allocated_for_a_while_loop() -> None:
    """The arena does not depend on how long the loop runs, and is known before."""

    def f(x: Any, n: Any) -> Any:
        state = go.while_loop(lambda s: s[1] < n, lambda s: (np.sin(s[0]), s[1] + 1), (x, 0))
        return np.sum(state[0])

    lowered = go.compile_grad(f).lower(X, 3)
    assert 0 < lowered.memory().arena < 1 << 20
    compiled = lowered.compile()
    for n in (3, 100_000):
        y, d = X, np.ones_like(X)
        for _ in range(n):
            y, d = np.sin(y), d * np.cos(y)
        np.testing.assert_allclose(compiled(X, n), d, rtol=1e-9)


POLICIES = [None, "all", "none", "sqrt", "binomial", 1, 2, 3, 7]


def chain(checkpoint: Any, static: bool) -> Any:
    """y = sin(y) + 0.1 i x, n times, from x."""

    def f(x: Any, n: Any) -> Any:
        def step(i: Any, y: Any) -> Any:
            return np.sin(y) + 0.1 * i * x

        return np.sum(go.fori_loop(0, n, step, x, checkpoint=checkpoint))

    return go.compile_value_and_grad(f, static_argnums=1 if static else ())


@pytest.mark.parametrize("checkpoint", POLICIES)
@pytest.mark.parametrize("static", [False, True])
def test_policies(checkpoint: Any, static: bool) -> None:
    run = chain(checkpoint, static)
    for n in (0, 1, 2, 3, 4, 15, 16, 17, 64, 65, 300):
        y, d = X, np.ones_like(X)
        for i in range(n):
            d = np.cos(y) * d + 0.1 * i
            y = np.sin(y) + 0.1 * i * X
        value, gradient = run(X, n)
        np.testing.assert_allclose(value, y.sum(), rtol=1e-12)
        np.testing.assert_allclose(gradient, d, rtol=1e-11)


@pytest.mark.parametrize("checkpoint", ["all", "none", "sqrt", "binomial", 3])
def test_policies_of_loops_with_a_condition(checkpoint: Any) -> None:
    def f(x: Any, n: Any) -> Any:
        def step(state: Any) -> Any:
            y, i = state
            return np.sin(y) + 0.1 * i * x, i + 1

        state = go.while_loop(lambda s: s[1] < n, step, (x, 0), checkpoint=checkpoint)
        return np.sum(state[0])

    run = go.compile_value_and_grad(f)
    for n in (0, 1, 2, 3, 4, 5, 31, 32, 33, 300):
        expected = chain(None, True)(X, n)
        for a, b in zip(run(X, n), expected, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-11)


@pytest.mark.parametrize("checkpoint", ["none", "sqrt", "binomial", 3])
def test_second_derivatives_of_policies(checkpoint: Any) -> None:
    def f(x: Any) -> Any:
        return np.sum(
            go.fori_loop(0, 20, lambda i, y: np.sin(y) + 0.1 * i * x, x, checkpoint=checkpoint)
        )

    go.gradcheck(f, (X,), order=2)


def test_memory_of_policies() -> None:
    """The arena as a function of the number of iterations, n."""
    x = np.linspace(0, 1, 1000)

    def states(checkpoint: Any, n: int) -> float:
        """In arrays as large as x."""
        return chain(checkpoint, True).lower(x, n).memory().arena / x.nbytes

    n = 4096
    assert states("all", n) >= n
    assert states("none", n) < 10
    assert states("none", 4 * n) == states("none", n)
    assert 128 <= states("sqrt", n) < 150
    assert 256 <= states("sqrt", 4 * n) < 300
    assert states("binomial", n) < 50
    assert states("binomial", 4 * n) - states("binomial", n) < 10
    assert 8 + n / 8 <= states(8, n) < 20 + n / 8


def test_memory_of_policies_at_second_order() -> None:
    """It grows as at first order: with the square root, the logarithm, or not at all."""
    x = np.linspace(0, 1, 1000)

    def arrays(checkpoint: Any, n: int) -> float:
        def f(x: Any) -> Any:
            return np.sum(go.fori_loop(0, n, lambda i, c: np.sin(c) * x, x, checkpoint=checkpoint))

        second = go.compile_grad(lambda x: np.sum(go.grad(f)(x) * x))
        return second.lower(x).memory().arena / x.nbytes

    assert arrays("all", 1024) >= 4 * 1024
    assert arrays("sqrt", 1024) <= 450
    assert arrays("sqrt", 4096) <= 2.05 * arrays("sqrt", 1024)
    assert arrays("binomial", 64) <= 90
    assert arrays("binomial", 4096) <= 190
    assert arrays("binomial", 16384) - arrays("binomial", 4096) <= 50
    assert arrays("none", 256) == arrays("none", 1024) <= 20
    assert arrays(8, 1024) <= 9 * 1024 / 8


@pytest.mark.parametrize(
    ("checkpoint", "most"), [(None, 1200), ("binomial", 1800), ("none", 20), (8, 500)]
)
@pytest.mark.parametrize("kind", ["fori", "while"])
def test_memory_at_second_order_of_run_time_counts(kind: str, checkpoint: Any, most: int) -> None:
    """As many states as at first order, a few times: of what loops keep, nothing is kept."""
    x = np.linspace(0, 1, 1000)

    def f(x: Any, n: Any) -> Any:
        if kind == "fori":
            y = go.fori_loop(0, n, lambda _, y: np.sin(y) * x, x, checkpoint=checkpoint)
        else:
            step = lambda state: (np.sin(state[0]) * x, state[1] + 1)  # noqa: E731
            y = go.while_loop(lambda s: s[1] < n, step, (x, 0), checkpoint=checkpoint)[0]
        return np.sum(y)

    second = go.compile_grad(lambda x, n: np.sum(go.grad(f)(x, n) * x))
    assert second.lower(x, 5).memory().arena <= most * x.nbytes


def test_programs_of_policies_do_not_grow_with_the_loop() -> None:
    """Each level of states is a loop in the program, and in the derivative of all others: there
    are few, and hardly more of them the longer the loop."""

    def loops(n: int | None) -> int:
        """In the second derivative; without `n`, of a loop whose end is not known."""

        def f(x: Any, n: Any) -> Any:
            return go.fori_loop(0, n, lambda _, y: np.sin(y) * x, x, checkpoint="binomial")

        second = go.compile(go.grad(go.grad(f)), static_argnums=() if n is None else 1)
        return second.lower(1.1, n or 5).mlir("simplified").count("scf.for")

    few = loops(1000)
    assert few <= 80
    assert loops(30_000) <= 1.2 * few
    assert loops(10**6) <= 1.2 * few
    assert loops(None) <= 2 * few


@pytest.mark.parametrize("checkpoint", ["some", 0, -1, True, 0.5])
def test_policies_that_do_not_exist(checkpoint: Any) -> None:
    with pytest.raises(go.errors.ArgumentError, match="checkpoint must be 'all', 'none'"):
        chain(checkpoint, True)(X, 3)


@pytest.mark.parametrize("kind", ["fori", "while"])
def test_second_derivatives_of_two_loops(kind: str) -> None:
    """In a row, of run-time length: each has arrays of its own for what it keeps."""

    def loop(x: Any, a: Any, n: Any) -> Any:
        if kind == "fori":
            return go.fori_loop(0, n, lambda i, x: np.sin(x * a), x)
        state = go.while_loop(lambda s: s[1] < n, lambda s: (np.sin(s[0] * a), s[1] + 1), (x, 0))
        return state[0]

    def loss(x: Any, a: Any, n: Any) -> Any:
        return np.sum(loop(loop(x, a, n), a, n))

    a = X[::-1].copy()
    gradient = go.compile(lambda x, a, n: go.grad(loss, (0, 1))(x, a, n))

    def along(t: float) -> Any:
        return np.concatenate(gradient(X + t * a, a + t * X, 3))

    expected = (along(1e-5) - along(-1e-5)) / 2e-5
    # The Hessian is symmetric, so the pullback is the derivative along the direction.
    pulled = go.compile(
        lambda x, a, n: go.vjp(lambda x, a: go.grad(loss, (0, 1))(x, a, n), x, a)[1]((a, x))
    )
    np.testing.assert_allclose(np.concatenate(pulled(X, a, 3)), expected, rtol=1e-7)


def test_a_swap_of_elements_copies_no_array() -> None:
    """What is moved within the array that a loop carries is an element, not memory."""

    def shuffle(x: Any, places: Any) -> Any:
        def swap(i: Any, y: Any) -> Any:
            j = places[i]
            y[i], y[j] = y[j], y[i]
            return y

        return go.fori_loop(0, len(places), swap, x)

    places = np.array([3, 0, 4, 4, 1])
    compiled = go.compile(shuffle)
    np.testing.assert_array_equal(compiled(X, places), shuffle(X.copy(), places))
    loop = compiled.lower(X, places).mlir("bufferized").split("scf.for")[1].split("scf.yield")[0]
    assert "memref.store" in loop
    assert "memref.copy" not in loop


@pytest.mark.parametrize("shape", [(0,), (0, 4)])
def test_arrays_without_elements(shape: tuple[int, ...]) -> None:
    x = np.zeros(shape)
    loops: list[Callable[[Any], Any]] = [
        lambda x: go.fori_loop(0, 3, lambda i, s: np.tanh(s + x), x),
        lambda x: go.while_loop(lambda s: s[1] < 3, lambda s: (np.sin(s[0]), s[1] + 1), (x, 0))[0],
        lambda x: go.cond(np.sum(x) > 0, np.sin, np.cos, x),
    ]
    for f in loops:
        assert go.compile(f)(x).shape == shape
        assert go.compile_grad(lambda x, f=f: np.sum(f(x)))(x).shape == shape


def test_positions_that_are_computed_in_many_steps() -> None:
    """Each step reads the one before twice; it would take 2^60 visits to follow all paths."""

    def f(x: Any) -> Any:
        def body(i: Any, s: Any) -> Any:
            for _ in range(60):
                i = np.minimum(i + i, 4)
            return s * x[i]

        return go.fori_loop(0, 3, body, 1.0)

    # x[0] x[4] x[4]
    expected = [X[4] ** 2, 0, 0, 0, 2 * X[0] * X[4]]
    np.testing.assert_allclose(go.compile_grad(f)(X), expected, rtol=1e-14)


def test_branches_whose_results_share_a_value() -> None:
    """One of them is updated later."""

    def f(a: Any, c: Any, loop: Any, cond: Any) -> Any:
        def yes(state: Any) -> Any:
            y = np.sin(state[0])
            return y, y

        def body(_: Any, state: Any) -> Any:
            a, c = cond(state[1].sum() > 3, yes, lambda s: (s[0], np.cos(s[0])), state)
            a = a.copy()
            a[3:5] = a[1:3] * 0.75
            return a, c

        return loop(0, 3, body, (a, c))

    def in_python(begin: int, end: int, body: Any, state: Any) -> Any:
        for i in range(begin, end):
            state = body(i, state)
        return state

    got = go.compile(lambda a, c: f(a, c, go.fori_loop, go.cond))(np.ones(6), np.ones(6))
    choose = lambda p, yes, no, s: yes(s) if p else no(s)  # noqa: E731
    want = f(np.ones(6), np.ones(6), in_python, choose)
    np.testing.assert_allclose(got, want, rtol=1e-15)


def test_scan_over_nothing() -> None:
    x = np.zeros((0, 4))
    carry, ys = go.compile(lambda c, x: go.scan(lambda c, x: (c + x.sum(), x * 2), c, x))(1.5, x)
    assert carry == 1.5
    assert ys.shape == (0, 4)
    assert go.compile(lambda x: go.map(lambda row: row.sum(), x))(x).shape == (0,)
    # Outside of compiled code the results have the same shapes and dtypes.
    step = lambda c, x: (c + x.sum(), {"row": x * 2, "sign": c > 0})  # noqa: E731
    carry, ys = go.scan(step, 1.5, x)
    assert carry == 1.5
    assert {name: (y.shape, y.dtype) for name, y in ys.items()} == {
        "row": ((0, 4), np.float64),
        "sign": ((0,), np.bool_),
    }
    assert go.map(lambda row: row.sum(), x).shape == (0,)
    assert go.scan(lambda c, _: (c, np.ones(3)), 1.5, length=0)[1].shape == (0, 3)
    with pytest.raises(go.errors.ArgumentError, match="xs must have arrays to loop over, but it"):
        go.map(lambda row: row, ())
    loss = lambda c, x: go.scan(lambda c, x: (c * x.sum(), None), c, x)[0]  # noqa: E731
    gradients = go.compile_grad(loss, (0, 1))(1.5, x)
    assert gradients[0] == 1
    assert gradients[1].shape == (0, 4)


@pytest.mark.parametrize("use", ["nothing", "sum", "element"])
def test_a_loop_in_a_loop_has_arrays_of_its_own(use: str) -> None:
    """Their shapes are equal, so that both begin with one tensor without contents."""

    def f(x: Any, i0: Any) -> Any:
        def step(i: Any, x_i: Any) -> tuple[Any, Any]:
            z = go.map(lambda e: x[i % 5] * e, x)
            used = {"nothing": 0.0, "sum": np.sum(z), "element": z[i % 5]}[use]
            return i + 1, 2.0 * x_i + used

        i, ys = go.scan(step, i0, x)
        return go.cond(i > 100, lambda y: y, lambda y: y + 1, ys)

    for i0 in (0, 2):
        same(go.compile(f)(X, i0), f(X, i0))


@pytest.mark.parametrize("stop", [go.stop_gradient, np.floor, np.sign, np.round])
@pytest.mark.parametrize(
    "body",
    [
        lambda s, x: go.cond(x > 0, lambda: np.tanh(x), lambda: np.sin(x)),
        lambda s, x: go.cond(x > 0, lambda: (s * s, np.tanh(x)), lambda: (s, x))[1],
        lambda s, x: go.fori_loop(0, 3, lambda i, c: (c[0] * s, np.tanh(c[1])), (s, x))[1],
        lambda s, x: go.while_loop(
            lambda c: c[0] < 50, lambda c: (c[0] * 3, np.tanh(c[1])), (s, x)
        )[1],
    ],
    ids=["cond", "unused result", "fori_loop", "while_loop"],
)
def test_nothing_is_differentiated_in_what_is_locally_constant(stop: Any, body: Any) -> None:
    """Not the derivative of a loop in it, either, which is no constant."""

    def f(s: Any) -> Any:
        x = stop(1.5 * s)
        return go.jvp(lambda x: body(s, x), (x,), (x,))[1] + np.tanh(s)

    expected = 1 - np.tanh(0.5) ** 2
    np.testing.assert_allclose(go.compile_grad(f)(0.5), expected)
    np.testing.assert_allclose(go.compile_grad(lambda s: go.jvp(f, (s,), (1.0,))[0])(0.5), expected)


def test_what_a_switch_gives_is_not_written_to() -> None:
    """It may be an argument, which a later branch updates a copy of."""

    def f(x: Any, k: Any, c: Any) -> Any:
        y = go.switch(k, [lambda: x, lambda: x * 2, lambda: x])

        def update() -> Any:
            z = np.copy(y)
            z[0] = np.sum(y)
            return z

        return go.cond(c, update, lambda: y)

    compiled, gradient = go.compile(f), go.compile_grad(lambda *args: np.sum(f(*args) ** 2))
    for k in range(3):
        for c in (True, False):
            x = X.copy()
            same(compiled(x, k, c), f(X.copy(), k, c))
            np.testing.assert_array_equal(x, X)
            gradient(x, k, c)
            np.testing.assert_array_equal(x, X)


def test_bodies_may_write_to_what_they_get() -> None:
    """Compiled or not: neither arguments nor results of earlier iterations are changed by it."""

    def add(i: Any, x: Any) -> Any:
        x[i] += 1
        return x

    def step(carry: Any, x: Any) -> tuple[Any, Any]:
        carry += x
        x[0] = 0
        return carry, carry

    def until(x: Any) -> Any:
        x *= 2
        return x

    programs: list[Callable[[Any, Any], Any]] = [
        lambda x, a: go.fori_loop(0, 3, add, x),
        lambda x, a: go.while_loop(lambda x: np.sum(x) < 50, until, x),
        lambda x, a: go.scan(step, x[:4], a),
    ]
    expected = [
        X + np.array([1, 1, 1, 0, 0]),
        X * 16,
        (X[:4] + A.sum(0), X[:4] + np.cumsum(A, axis=0)),
    ]
    for program, value in zip(programs, expected, strict=True):
        x, a = X.copy(), A.copy()
        for run in (program, go.compile(program)):
            same(run(x, a), value)
            np.testing.assert_array_equal(x, X)
            np.testing.assert_array_equal(a, A)
