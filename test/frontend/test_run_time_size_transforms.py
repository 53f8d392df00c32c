# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""vmap, loops and branches of functions over arrays whose size is known at run time only."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from page_end import at_page_end

import gradopt as go
from gradopt.base.pytree import flatten
from gradopt.errors import ArgumentError, ShapeError, UnsupportedError

RNG = np.random.default_rng(11)
MATRIX = RNG.normal(size=(3, 3)) / 2


def of_row(row: Any) -> Any:
    return np.tanh(MATRIX @ row) * np.sum(row)


def of_rows(x: Any) -> Any:
    """The same of all rows."""
    return np.tanh(x @ MATRIX.T) * np.sum(x, axis=1)[:, None]


# Functions of arrays with n rows of 3, and what they are in NumPy.


def mapped(x: Any) -> Any:
    return go.vmap(of_row)(x)


def mapped_columns(x: Any) -> Any:
    return go.vmap(of_row, in_axes=1, out_axes=-1)(x.T).T


def mapped_with_others(x: Any) -> Any:
    """What is mapped beside it has the same size; the rest is of each element."""
    f = go.vmap(lambda a, b, w, i: {"y": a * (w @ b), "z": np.sum(w) * i}, in_axes=(0, 0, None, 0))
    found = f(x, x[::-1], MATRIX, np.arange(len(x)))
    return found["y"] + found["z"][:, None]


def mapped_in_numpy(x: Any) -> Any:
    return x * (x[::-1] @ MATRIX.T) + (np.sum(MATRIX) * np.arange(len(x)))[:, None]


def gradients(x: Any) -> Any:
    return go.vmap(go.grad(lambda row: np.sum(np.tanh(MATRIX @ row))))(x)


def gradients_in_numpy(x: Any) -> Any:
    return (1 - np.tanh(x @ MATRIX.T) ** 2) @ MATRIX


def kernel(x: Any) -> Any:
    """A function of each row and of all."""
    return go.vmap(lambda a: np.sum(np.exp(-np.sum((x - a) ** 2, axis=1))))(x)


def kernel_in_numpy(x: Any) -> Any:
    return np.sum(np.exp(-np.sum((x[:, None] - x[None]) ** 2, axis=2)), axis=1)


def batches(x: Any) -> Any:
    return go.map(of_row, x) + go.map(of_row, x, batch_size=8)


def scanned(x: Any) -> Any:
    def step(h: Any, row: Any) -> Any:
        h = np.tanh(MATRIX @ h + row)
        return h, (h * 2, h[0])

    last, (ys, firsts) = go.scan(step, np.zeros(3), x)
    return ys + last + firsts[:, None]


def scanned_in_numpy(x: Any, order: int = 1) -> Any:
    h, ys = np.zeros(3), np.zeros((len(x), 3))
    for i in range(len(x))[::order]:
        h = np.tanh(MATRIX @ h + x[i])
        ys[i] = h
    return ys * 2 + h + ys[:, :1] if order == 1 else ys


def scanned_from_the_end(x: Any) -> Any:
    def step(h: Any, parts: Any) -> Any:
        h = np.tanh(MATRIX @ h + parts["row"] * parts["one"])
        return h, h

    rows = {"row": x, "one": np.ones(len(x))}
    return go.scan(step, np.zeros(3), rows, reverse=True)[1]


def counted(x: Any) -> Any:
    """Loops that carry such an array, and one over its rows."""
    y = go.fori_loop(0, 2, lambda i, y: np.tanh(y @ MATRIX) + i, x)
    total = go.fori_loop(0, len(x), lambda i, s: s + np.sum(x[i]) ** 3, 0.0)
    return y + total


def counted_in_numpy(x: Any) -> Any:
    y = np.tanh(np.tanh(x @ MATRIX) @ MATRIX) + 1
    return y + np.sum(np.sum(x, axis=1) ** 3)


def repeated(x: Any) -> Any:
    return go.while_loop(lambda s: s[0] < 2, lambda s: (s[0] + 1, np.tanh(s[1] @ MATRIX)), (0, x))[
        1
    ]


def chosen(x: Any) -> Any:
    y = go.cond(np.sum(x) > 0, lambda y: np.sin(y), lambda y: y * 2, x)
    return go.switch(np.sum(x[:1] > 0), [lambda: y, lambda: y**2, lambda: y * 3, lambda: y + x])


def chosen_in_numpy(x: Any) -> Any:
    y = np.sin(x) if np.sum(x) > 0 else x * 2
    return [y, y**2, y * 3, y + x][int(np.sum(x[:1] > 0))]


PROGRAMS: list[tuple[Callable[..., Any], Callable[..., Any]]] = [
    (mapped, of_rows),
    (mapped_columns, of_rows),
    (mapped_with_others, mapped_in_numpy),
    (gradients, gradients_in_numpy),
    (kernel, kernel_in_numpy),
    (batches, lambda x: 2 * of_rows(x)),
    (scanned, scanned_in_numpy),
    (scanned_from_the_end, lambda x: scanned_in_numpy(x, -1)),
    (counted, counted_in_numpy),
    (repeated, lambda x: np.tanh(np.tanh(x @ MATRIX) @ MATRIX)),
    (chosen, chosen_in_numpy),
]


OF_SECOND_ORDER = {mapped, kernel, scanned, counted, chosen}


@pytest.mark.parametrize(("f", "plain"), PROGRAMS, ids=lambda f: f.__name__)
def test_values_and_derivatives(f: Callable[..., Any], plain: Callable[..., Any]) -> None:
    """Fewer rows than a tile has, whole tiles, and tiles with rows that are left."""

    def loss(x: Any) -> Any:
        return np.sum(np.sin(f(x)))

    def everything(x: Any, t: Any) -> Any:
        value, tangent = go.jvp(f, (x,), (t,))
        if f not in OF_SECOND_ORDER:
            return value, tangent, go.grad(loss)(x), x
        return value, tangent, *go.jvp(go.grad(loss), (x,), (t,))

    compiled = go.compile(everything, dynamic={"x": {0: go.Dim("n", max=70)}, "t": {0: "n"}})
    eps = 1e-6
    for n in (5, 0, 1, 32, 70):
        x, t = (at_page_end(RNG.uniform(-1, 1, size=(n, 3))) for _ in range(2))
        compiled(*[np.full((70, 3), np.nan)] * 2)  # What it leaves in memory is not read.
        value, tangent, gradient, product = compiled(x, t)
        want = plain(x)
        assert value.shape == want.shape
        assert gradient.shape == product.shape == x.shape
        np.testing.assert_allclose(value, want, rtol=1e-11, atol=1e-13)
        moved = [x + s * t for s in (eps, -eps)]
        ends = [plain(y) for y in moved]
        np.testing.assert_allclose(tangent, (ends[0] - ends[1]) / (2 * eps), rtol=1e-6, atol=1e-7)
        slope = np.sum(np.sin(ends[0]) - np.sin(ends[1])) / (2 * eps)
        np.testing.assert_allclose(np.sum(gradient * t), slope, rtol=1e-6, atol=1e-7)
        if f in OF_SECOND_ORDER:
            slopes = [compiled(y, t)[2] for y in moved]
            want = (slopes[0] - slopes[1]) / (2 * eps)
            np.testing.assert_allclose(product, want, rtol=1e-5, atol=1e-6)
    assert compiled.cache_size() == 1


def test_parts_of_an_array() -> None:
    """Sizes that are known at run time only without dynamic=."""

    def f(x: Any, n: Any) -> Any:
        y = go.vmap(of_row)(x[:n])
        last, ys = go.scan(lambda s, row: (s + np.sum(row), s * row), 1.0, y)
        return last + np.sum(ys)

    def in_numpy(x: Any, n: int) -> Any:
        y = of_rows(x[:n])
        before = 1 + np.concatenate([[0], np.cumsum(np.sum(y, axis=1))])
        return before[-1] + np.sum(before[:-1, None] * y)

    compiled = go.compile_value_and_grad(f)
    x = RNG.normal(size=(40, 3))
    for n in (0, 7, 40):
        value, gradient = compiled(x, np.int64(n))
        np.testing.assert_allclose(value, in_numpy(x, n), rtol=1e-11)
        t = RNG.normal(size=x.shape)
        slope = (in_numpy(x + 1e-6 * t, n) - in_numpy(x - 1e-6 * t, n)) / 2e-6
        np.testing.assert_allclose(np.sum(gradient * t), slope, rtol=1e-6, atol=1e-8)
    assert compiled.cache_size() == 1


def test_rows_of_unknown_size() -> None:
    """Loops over rows that have such a size themselves."""

    def f(x: Any) -> Any:
        sums = go.vmap(np.sum)(x)
        total, _ = go.scan(lambda s, row: (s + np.sum(row**2) * len(row), None), 0.0, x)
        return sums * total

    dims = {"x": {0: go.Dim("n", max=40), 1: go.Dim("k", max=9)}}
    compiled = go.compile(lambda x: (f(x), go.grad(lambda x: np.sum(f(x)))(x)), dynamic=dims)
    for shape in [(2, 3), (40, 9), (0, 2), (3, 0)]:
        x = RNG.normal(size=shape)
        value, gradient = compiled(x)
        total = np.sum(x**2) * shape[1]
        np.testing.assert_allclose(value, np.sum(x, axis=1) * total, rtol=1e-12)
        want = total + np.sum(x) * 2 * x * shape[1]
        np.testing.assert_allclose(gradient, want, rtol=1e-11, atol=1e-12)


def test_sizes_that_differ() -> None:
    dims = {"x": {0: go.Dim("n", max=1000)}, "y": {0: go.Dim("m", max=1000)}}
    both = go.compile(
        lambda x, y: (
            go.vmap(lambda a, b: a * b)(x, y),
            go.scan(lambda s, r: (s, r[0]), 0.0, (x, y)),
        ),
        dynamic=dims,
    )
    long, short = at_page_end(np.ones((50, 400))), at_page_end(np.ones((3, 400)))
    assert flatten(both(short, short))[0][0].shape == (3, 400)
    for args in ((long, short), (short, long), (long, short[:0])):
        with pytest.raises(ShapeError):
            both(*args)
    known = go.compile(
        lambda x: go.vmap(lambda a, b: a * b)(x, np.arange(3.0)), dynamic={0: {0: "n"}}
    )
    np.testing.assert_array_equal(known(short)[:, 0], [0, 1, 2])
    with pytest.raises(ShapeError, match="vmap maps axes of different sizes"):
        known(long)
    sized = go.compile(go.vmap(np.sin, axis_size=3), dynamic={0: {0: "n"}})
    assert sized(short).shape == short.shape
    with pytest.raises(ShapeError, match="vmap maps axes of different sizes"):
        sized(long)


def test_what_is_refused() -> None:
    def alone(x: Any) -> Any:
        return go.vmap(lambda row: MATRIX, out_axes=None)(x)

    def grows(x: Any) -> Any:
        return go.fori_loop(0, 2, lambda i, y: np.concatenate([y, y]), x)

    def unrolled(x: Any) -> Any:
        return go.scan(lambda s, row: (s, row), 0.0, x, unroll=2)

    for function, kind, message in [
        (alone, UnsupportedError, "out_axes of vmap is None"),
        (grows, ArgumentError, "must return what fori_loop carries"),
        (unrolled, ArgumentError, "can be unrolled only where"),
    ]:
        with pytest.raises(kind, match=message) as raised:
            go.compile(function, dynamic={"x": {0: go.Dim("n", max=9)}})(np.ones((2, 3)))
        assert "test_run_time_size_transforms.py" in str(raised.value)


# -- Matrices of derivatives -------------------------------------------------------------------


def recurrence(x: Any) -> Any:
    y, state = np.zeros(len(x)), 0.0
    for i in range(len(x)):
        state = np.tanh(state + x[i])
        y[i] = state
    return y


def differences(f: Callable[[Any], Any], x: Any) -> Any:
    """The Jacobian of a NumPy function."""
    step = 1e-6
    made = np.zeros((*np.shape(f(x)), *x.shape))
    for at in np.ndindex(x.shape):
        by = np.zeros_like(x)
        by[at] = step
        made[(..., *at)] = (f(x + by) - f(x - by)) / (2 * step)
    return made


MAPS: dict[str, tuple[Callable[[Any], Any], int | None]] = {
    "elementwise": (lambda x: np.sin(x) * x[::-1], None),
    "to a number": (lambda x: np.sum(x**3) * np.sum(x), None),
    "of matrices": (lambda x: np.tanh(x @ MATRIX) * np.sum(x), 3),
    "to rows": (lambda x: np.sum(x**3, axis=0), 3),
    "to what a mask selects": (lambda x: x[x > 0] ** 2 * np.sum(x), None),
    "a loop": (recurrence, None),
}


@pytest.mark.parametrize("mode", [go.jacfwd, go.jacrev])
@pytest.mark.parametrize("name", MAPS)
def test_jacobians(name: str, mode: Callable[..., Any]) -> None:
    """Without a largest size, and made anew for a call that needs more."""
    f, columns = MAPS[name]
    compiled = go.compile(mode(f), dynamic={"x": {0: "n"}})
    for n in (3, 1, 5) if columns else (3, 1, 70):
        x = np.random.default_rng(n).normal(size=(n, columns) if columns else n)
        got, want = compiled(x), differences(f, x)
        assert got.shape == want.shape
        np.testing.assert_allclose(got, want, rtol=1e-6, atol=1e-6)


def test_compiled_jacobians_and_hessians() -> None:
    dynamic = {"x": {0: go.Dim("n", max=9)}}
    jacobian = go.compile_jacobian(lambda x, p: (recurrence(x) * p, x[:2] * p), dynamic=dynamic)
    hessian = go.compile_hessian(lambda x: np.sum(recurrence(x) ** 2), dynamic=dynamic)
    for n in (0, 1, 6, 9):
        x = np.random.default_rng(n).normal(size=n)
        parts = jacobian(x, 1.5)
        for got, f in zip(parts, (recurrence, lambda x: x[:2]), strict=True):
            assert got.shape == (len(f(x)), n)
            np.testing.assert_allclose(got, differences(f, x) * 1.5, rtol=1e-6, atol=1e-6)

        def slope(x: Any) -> Any:
            """The adjoint of the recurrence, by hand."""
            y, above, made = recurrence(x), 0.0, np.zeros(len(x))
            for i in reversed(range(len(x))):
                above = made[i] = (2 * y[i] + above) * (1 - y[i] ** 2)
            return made

        np.testing.assert_allclose(hessian(x), differences(slope, x), rtol=1e-6, atol=1e-6)
    assert jacobian.cache_size() == hessian.cache_size() == 1


def test_derivatives_of_jacobians() -> None:
    def f(x: Any) -> Any:
        y = x[x > 0]
        jacobian, aux = go.jacrev(lambda y: (np.sin(y) * np.sum(y), y * 2), has_aux=True)(y)
        return np.sum(jacobian**2) + np.sum(aux)

    def by_hand(x: Any) -> Any:
        y = x[x > 0]
        return np.sum((np.diag(np.cos(y) * np.sum(y)) + np.sin(y)[:, None]) ** 2) + np.sum(2 * y)

    x = np.random.default_rng(3).normal(size=8)
    value, gradient = go.compile_value_and_grad(f)(x)
    np.testing.assert_allclose(value, by_hand(x), rtol=1e-12)
    np.testing.assert_allclose(gradient, differences(by_hand, x), rtol=1e-6, atol=1e-6)


# -- What mapped functions return --------------------------------------------------------------


def test_results_of_one_size_for_all_elements() -> None:
    """A size that does not depend on what is mapped is that of an axis of the result."""
    x, n, a = RNG.normal(size=7), np.int64(3), RNG.normal(size=4)

    def maps(x: Any, n: Any, a: Any) -> Any:
        chosen = x[x > 0]
        return (
            go.vmap(lambda t: t * x[:n])(a),
            go.vmap(lambda t: np.sin(t * x[: n // 2 + 1]), out_axes=1)(a),
            go.vmap(lambda t: (t * 2, chosen, np.outer(chosen, x[:n]) * t), (0,), (0, None, 2))(a),
            go.vmap(lambda t: go.grad(lambda y: np.sum(np.sin(y) * t))(chosen))(a),
        )

    def by_hand(x: Any, n: Any, a: Any) -> Any:
        chosen = x[x > 0]
        return (
            a[:, None] * x[:n],
            np.sin(a * x[: n // 2 + 1, None]),
            (a * 2, chosen, np.outer(chosen, x[:n])[:, :, None] * a),
            a[:, None] * np.cos(chosen),
        )

    for got, want in zip(
        flatten(go.compile(maps)(x, n, a))[0], flatten(by_hand(x, n, a))[0], strict=True
    ):
        assert got.shape == want.shape
        np.testing.assert_allclose(got, want, rtol=1e-12)

    def loss(x: Any, a: Any) -> Any:
        return sum(np.sum(np.sin(part)) for part in flatten(maps(x, n, a))[0])

    def of_numpy(x: Any) -> Any:
        return sum(np.sum(np.sin(part)) for part in flatten(by_hand(x, n, a))[0])

    slopes = go.compile_grad(loss)(x, a)
    np.testing.assert_allclose(slopes, differences(of_numpy, x), rtol=1e-6, atol=1e-6)
    assert go.gradcheck(lambda a: loss(x, a), (a,), order=2)


def test_maps_of_functions_of_all_rows() -> None:
    compiled = go.compile(lambda a, x: go.vmap(lambda t: x * t)(a), dynamic={"x": {0: "n"}})
    for n in (5, 1, 200):
        x = RNG.normal(size=(n, 2))
        np.testing.assert_array_equal(
            compiled(np.arange(3.0), x), x * np.arange(3.0)[:, None, None]
        )
    assert compiled.cache_size() == 1


def test_stacked_results_of_one_size() -> None:
    x, n = RNG.normal(size=6), np.int64(4)

    def stack(x: Any, n: Any) -> Any:
        chosen = x[x > 0]
        return go.scan(lambda s, r: (0.5 * s + r, (chosen * s, np.outer(x[:n], x[:2]) * r)), 0.0, x)

    def by_hand(x: Any, n: Any) -> Any:
        state, rows, blocks = 0.0, [], []
        for r in x:
            rows.append(x[x > 0] * state)
            blocks.append(np.outer(x[:n], x[:2]) * r)
            state = 0.5 * state + r
        return state, (np.stack(rows), np.stack(blocks))

    for got, want in zip(
        flatten(go.compile(stack)(x, n))[0], flatten(by_hand(x, n))[0], strict=True
    ):
        assert got.shape == want.shape
        np.testing.assert_allclose(got, want, rtol=1e-12)
    slopes = go.compile_grad(lambda x: sum(np.sum(np.sin(p)) for p in flatten(stack(x, n))[0]))(x)
    wanted = differences(lambda x: sum(np.sum(np.sin(p)) for p in flatten(by_hand(x, n))[0]), x)
    np.testing.assert_allclose(slopes, wanted, rtol=1e-6, atol=1e-6)
    of_rows = go.compile(
        lambda x: go.scan(lambda s, r: (s + r, x * r), 0.0, x)[1], dynamic={"x": {0: "n"}}
    )
    for size in (2, 0, 5, 70):
        x = RNG.normal(size=size)
        np.testing.assert_allclose(of_rows(x), np.outer(x, x))
