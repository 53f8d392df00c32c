# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""NumPy's functions of arrays whose size is known at run time only, in loops that stay loops."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from test_run_time_sizes import A, N, X, differentiable, same

import gradopt as go

J = np.random.default_rng(5).integers(0, N, size=N)

Function = Callable[[Any, Any, Any, Any], Any]

SMOOTH: dict[str, Function] = {
    "extremes": lambda x, a, j, i: np.max(x[: i + 1]) - x[: i + 1].min() + np.ptp(a[:, : i + 1]),
    "extremes along an axis": lambda x, a, j, i: (
        np.max(a[: i + 1, : i + 2], axis=1).sum()
        + np.amin(a[:3, : i + 1], axis=0).sum()
        + np.max(a[:i, :3], axis=1, keepdims=True).sum()
    ),
    "extremes with a start": lambda x, a, j, i: (
        np.max(x[:i], initial=0.3) + np.min(x[:i], where=x[:i] > 0, initial=2.0)
    ),
    "variance": lambda x, a, j, i: np.var(x[: i + 2]) + np.std(a[: i + 1, : i + 2]),
    "rows of a sparse matrix": lambda x, a, j, i: a[i, :i] @ x[j[:i]],
    "elements at indices": lambda x, a, j, i: np.sum(x[j[:i]] ** 2) + np.take(x, j[i:]).sum(),
    "rows and columns at indices": lambda x, a, j, i: (
        np.sum(a[j[:i]] * x) + np.sum(a[:, j[:i]] ** 2) + np.sum(a[j[:i], j[:i]])
    ),
    "elements of slices at indices": lambda x, a, j, i: (
        np.sum(x[: i + 1][np.minimum(j[:i], i)] * x[:i])
        + np.sum(x[: i + 1][-1 - np.minimum(j, i)])
        + np.sum(a[: i + 1, :i][np.minimum(j, i)] ** 2)
    ),
    "concatenation": lambda x, a, j, i: (
        np.sum(np.concatenate([x[:i], x[i:] * 2, x]) ** 2 * np.arange(2 * N))
        + np.sum(np.append(x[:i], 3.0) * 2)
        + np.sum(np.hstack([x[:i], x[:2]]) ** 2)
        + np.sum(np.concatenate([a[:i], a[:2, :], a[i:, ::-1][:2]]) ** 2)
    ),
    "stacks": lambda x, a, j, i: (
        np.sum(np.stack([x[:i], 2 * x[:i]]) ** 2)
        + np.sum(np.vstack([x[:i], 2 * x[:i]])[1])
        + np.sum(np.column_stack([x[:i], 2 * x[:i]])[:, 1])
    ),
    "joined dimensions": lambda x, a, j, i: (
        np.sum(a[:i].ravel() * np.arange(N * i))
        + np.sum(a[:i].reshape(-1) * 2)
        + np.sum(a[:i, :i].flatten() * np.arange(i * i))
        + np.sum(a[:i, :i].reshape(i * i) ** 2)
    ),
    "parted dimensions": lambda x, a, j, i: (
        np.sum(a[:i].ravel().reshape(-1, N) * x)
        + np.sum(a[:i].reshape(N, -1).T * x)
        + np.sum(a[:, :i].reshape(-1, N) * x)
        + np.sum(a[:i].reshape(i, 3, 3)[:, 1] ** 2)
    ),
    "steps": lambda x, a, j, i: (
        np.sum(x[:i:2] * x[:i][::2])
        + np.sum(x[i::3])
        + np.sum(x[i::-2] ** 2)
        + np.sum(a[:i:2, ::3])
    ),
    "slices of steps": lambda x, a, j, i: (
        np.sum(x[:i:2][1:])
        + np.sum(x[1 : i + 1 : 2][::-1] * np.arange((i + 1) // 2))
        + np.sum(x[-i:])
    ),
    "accumulation": lambda x, a, j, i: (
        np.sum(np.cumsum(x[:i]) ** 2)
        + np.sum(np.cumprod(x[:i]))
        + np.sum(np.cumsum(a[:i, :i], axis=1) ** 2)
        + np.sum(a[:i, :i].cumsum(axis=0) ** 2)
        + np.sum(np.maximum.accumulate(x[:i]))
    ),
    "remainders": lambda x, a, j, i: np.sum(x[:i] % 0.3) + np.sum(np.fmod(x[:i], 0.7) * x[:i]),
    "choices": lambda x, a, j, i: np.sum(np.where(x[:i] > 0, np.clip(x[:i], 0.1, 0.9), a[i, :i])),
}
OTHERS: dict[str, Function] = {
    "places of extremes": lambda x, a, j, i: (
        np.argmax(x[: i + 1])
        + x[: i + 1].argmin() * 10.0
        + np.argmax(a[: i + 1, : i + 1]) * 100.0
        + np.argmax(a[:, : i + 1], axis=1).sum()
        + np.argmin(a[: i + 1], axis=0, keepdims=True).sum()
    ),
    "places of the first of equal ones": lambda x, a, j, i: np.argmax(j[: i + 1] > 3) * 1.0,
    "integers": lambda x, a, j, i: (
        np.sum(j[:i] % 3) + np.sum(x[:i] // 0.3) + np.max(j[: i + 1]) + np.min(j[i:]) * 2.0
    ),
    "bytes": lambda x, a, j, i: (
        np.max(j[: i + 1].astype(np.uint8)) + 1.0 * np.min(j[: i + 1].astype(np.uint16))
    ),
    "bools": lambda x, a, j, i: np.max(x[: i + 1] > 1) * 1.0 + np.min(x[: i + 1] > -1) * 2.0,
}
FUNCTIONS = {**SMOOTH, **OTHERS}


def program(function: Function) -> Callable[[Any, Any, Any], Any]:
    def f(x: Any, a: Any, j: Any) -> Any:
        y = np.zeros(N)
        for i in range(N):
            y[i] = function(x, a, j, i)
        return y

    return f


@pytest.mark.parametrize("name", FUNCTIONS)
def test_values(name: str) -> None:
    same(program(FUNCTIONS[name]), X, A, J)


@pytest.mark.parametrize("name", SMOOTH)
def test_derivatives(name: str) -> None:
    f = program(SMOOTH[name])
    differentiable(lambda x, a: f(x, a, J), X, A / 6)


@pytest.mark.parametrize("name", ["rows of a sparse matrix", "concatenation", "steps"])
def test_second_derivatives(name: str) -> None:
    f = program(SMOOTH[name])
    go.gradcheck(lambda x: np.sum(np.sin(f(x, A / 6, J))), (X,), order=2)


@pytest.mark.parametrize("name", ["rows of a sparse matrix", "extremes", "accumulation"])
def test_batches(name: str) -> None:
    f = program(SMOOTH[name])
    xs = np.stack([X, 2 * X, X[::-1]])
    got = go.vmap(f, in_axes=(0, None, None))(xs, A, J)
    np.testing.assert_allclose(got, np.stack([f(x, A, J) for x in xs]), rtol=1e-12)


def test_writes_to_elements_with_a_step() -> None:
    def f(x: Any, a: Any) -> Any:
        for i in range(N):
            x[:i:2] *= 1.5
            x[i::-3] += a[i, i::-3]
            a[:i:2, 1:i:3] -= x[0]
            a[i, :i][::2] = x[:i:2]
        return x, a

    same(f, X, A)
    differentiable(lambda x, a: f(x.copy(), a.copy())[0], X, A / 6)


def test_writes_to_elements_at_indices() -> None:
    def f(x: Any, a: Any, j: Any) -> Any:
        for i in range(N):
            x[j[:i]] = x[:i] * 1.5
            a[j[:i], i] = x[i:][:1]
            a[i, j[:i]] += 1.0
            np.add.at(x, j[:i], a[i, :i])
        return x, a

    same(f, X, A, J)
    differentiable(lambda x, a: f(x.copy(), a.copy(), J)[1], X, A / 6)


def test_reductions_of_nothing_raise() -> None:
    cases: list[tuple[Callable[[Any], Any], str]] = [
        (np.max, "zero-size array to reduction operation maximum which has no identity"),
        (np.min, "zero-size array to reduction operation minimum which has no identity"),
        (np.argmax, "attempt to get argmax of an empty sequence"),
    ]
    for function, message in cases:
        compiled = go.compile(lambda x, n, function=function: function(x[:n]))
        np.testing.assert_allclose(compiled(X, np.int64(4)), function(X[:4]))
        with pytest.raises(ValueError, match=message):
            compiled(X, np.int64(0))


def test_nan_is_an_extreme() -> None:
    def f(x: Any, n: Any) -> Any:
        return np.max(x[:n]), np.min(x[:n]), np.argmax(x[:n]), np.argmin(x[:n])

    x = X.copy()
    x[[3, 5]] = np.nan
    compiled = go.compile(f)
    for n in (3, 4, 9):
        np.testing.assert_array_equal(compiled(x, np.int64(n)), f(x, n))


def test_indices_beyond_a_slice_raise() -> None:
    compiled = go.compile(lambda x, j, n: np.sum(x[:n][j]))
    np.testing.assert_allclose(compiled(X, J, np.int64(N)), X[J].sum())
    with pytest.raises(IndexError, match="out of bounds for axis 0"):
        compiled(X, J, np.int64(2))


def test_sizes_that_do_not_go_together_raise() -> None:
    def split(x: Any, n: Any) -> Any:
        return np.sum(x[:n].reshape(-1, 2)[:, 0])

    compiled = go.compile(split)
    np.testing.assert_allclose(compiled(X, np.int64(4)), X[0] + X[2])
    with pytest.raises(ValueError, match="5 elements are no multiple of 2"):
        compiled(X, np.int64(5))
    stacked = go.compile(lambda x, n, m: np.sum(np.stack([x[:n], x[:m]])))
    with pytest.raises(ValueError, match="must match"):
        stacked(X, np.int64(3), np.int64(4))


def test_whether_a_reshape_is_a_view_is_not_guessed() -> None:
    def f(x: Any, n: Any) -> Any:
        part = x[:n]
        rows = part.reshape(-1, 1)
        part += 1.0
        return np.sum(rows)

    with pytest.raises(go.errors.UnsupportedError, match="reshape"):
        go.compile(f)(X, np.int64(3))


def test_a_sparse_product_takes_memory_for_its_elements_once() -> None:
    def multiply(rows: Any, columns: Any, values: Any, x: Any) -> Any:
        y = np.empty(rows.size - 1, values.dtype)
        for i in range(rows.size - 1):
            chosen = columns[rows[i] : rows[i + 1]]
            y[i] = values[rows[i] : rows[i + 1]] @ x[chosen]
        return y

    count, each = 64, 8
    rng = np.random.default_rng(0)
    rows = (np.arange(count + 1) * each).astype(np.uint32)
    columns = rng.integers(0, count, size=count * each).astype(np.uint32)
    values, x = rng.normal(size=count * each), rng.normal(size=count)
    same(multiply, rows, columns, values, x)
    gradient = go.compile_grad(lambda v, x: np.sum(np.sin(multiply(rows, columns, v, x))), (0, 1))
    assert gradient.lower(values, x).memory().arena < 8 * 4 * (count + count * each)
    go.gradcheck(lambda v, x: np.sum(np.sin(multiply(rows, columns, v, x))), (values, x))
    with pytest.raises(IndexError, match="out of bounds"):
        go.compile(multiply)(rows, columns + np.uint32(1), values, x)


# -- Repetitions, differences and sets ---------------------------------------------------------


def smooth_arrays(x: Any) -> dict[str, Any]:
    columns = x[:, None] * np.arange(1.0, 4.0)
    copy = x.copy()
    copy.flat[1:3] = 7.0
    total = 0.0
    for value in x.flat:
        total = total + value**2
    return {
        "diff": np.diff(x),
        "second differences of rows": np.diff(columns, n=2, axis=0),
        "differences of columns": np.diff(columns, axis=1),
        "diff with ends": np.diff(x, prepend=0.5, append=x[:2]),
        "ediff1d": np.ediff1d(x, to_begin=1.0),
        "repeat": np.repeat(x, 3),
        "repeated rows": np.repeat(columns, 2, axis=0),
        "repeated columns": np.repeat(columns, 2, axis=1),
        "repeated never": np.repeat(x, 0),
        "tile": np.tile(x, 3),
        "tiled both ways": np.tile(columns, (2, 3)),
        "tiled with a new dimension": np.tile(x, (2, 2)),
        "tiled never": np.tile(x, (0, 2)),
        "flat": x.flat[1:] * 2,
        "written through flat": copy * x,
        "loop over flat": np.ones(2) * total,
        "differences of sets": np.setdiff1d(x, x[:2]),
        "differences of unique sets": np.setdiff1d(x, x[:2], assume_unique=True),
    }


def chosen_arrays(x: Any) -> dict[str, Any]:
    whole = np.round(x * 2)
    return {
        "isin": np.isin(whole, np.array([1.0, 3.0, np.inf])),
        "isin of both": np.isin(whole[::2], whole[:3]),
        "isin, inverted": np.isin(np.arange(5.0), whole, invert=True),
        "isin of nothing": np.isin(np.array([np.inf, 1.0]), whole[:0]),
        "isin of rows": np.isin(whole[:, None] * np.arange(2.0), whole[1:]),
        "setdiff1d": np.setdiff1d(whole, np.array([1.0, 2.0])),
        "setdiff1d of a known array": np.setdiff1d(np.arange(9), whole.astype(int)),
        "differences of bools": np.diff(whole > 2),
        "differences of unsigned integers": np.diff(whole.astype(np.uint8)),
    }


@pytest.mark.filterwarnings("ignore:invalid value")
def test_repetitions_differences_and_sets() -> None:
    def loss(x: Any) -> Any:
        total = 0.0
        for array in smooth_arrays(x).values():
            total = total + np.sum(np.sin(array))
        return total

    dims = {"x": {0: go.Dim("n", max=20)}, "t": {0: "n"}}
    compiled = go.compile(
        lambda x, t: (smooth_arrays(x), chosen_arrays(x), go.jvp(go.grad(loss), (x,), (t,))),
        dynamic=dims,
    )
    rng = np.random.default_rng(5)
    for n in (7, 0, 1, 2, 20):
        # No two are close.
        x, t = rng.permutation(np.arange(n) / 4 + 0.1), rng.normal(size=n)
        smooth, chosen, (gradient, product) = compiled(x, t)
        for found, wanted in ((smooth, smooth_arrays(x)), (chosen, chosen_arrays(x))):
            for name, want in wanted.items():
                assert found[name].dtype == want.dtype, name
                np.testing.assert_allclose(found[name], want, rtol=1e-13, err_msg=name)
        slope = (loss(x + 1e-6 * t) - loss(x - 1e-6 * t)) / 2e-6
        np.testing.assert_allclose(np.sum(gradient * t), slope, rtol=1e-6, atol=1e-7)
        ends = [compiled(x + s * t, t)[2][0] for s in (1e-6, -1e-6)]
        np.testing.assert_allclose(product, (ends[0] - ends[1]) / 2e-6, rtol=1e-5, atol=1e-5)
    assert compiled.cache_size() == 1


def moved_arrays(x: Any) -> dict[str, Any]:
    """Of n > 2 numbers: n + 2 rows of three, and more."""
    rows = np.concatenate([x, x[:2] * 2])[:, None] * np.arange(1.0, 4.0)
    return {
        "rolled": np.roll(x, 2),
        "rolled back": np.roll(rows, -3, axis=0),
        "rolled by more than there are": np.roll(x, 1001),
        "rolled along both axes": np.roll(rows, (1, 2), axis=(0, 1)),
        "rolled elements": np.roll(rows, 4),
        "rolled by a traced number": np.roll(x, len(x) - 2),
        "padded": np.pad(x, 2),
        "padded with other numbers": np.pad(
            rows, ((0, 1), (2, 0)), constant_values=((1, 2), (3, 4))
        ),
        "edges": np.pad(x, (1, 3), mode="edge"),
        "reflected": np.pad(x, (7, 9), mode="reflect"),
        "symmetric": np.pad(rows, ((8, 7), (1, 0)), mode="symmetric"),
        "wrapped": np.pad(x, (6, 7), mode="wrap"),
        "gradient": np.gradient(x, 0.5),
        "gradients": np.gradient(rows, 0.5, 2.0)[1],
        "gradient of second order": np.gradient(rows, axis=0, edge_order=2),
        "integral": np.trapezoid(rows, dx=0.3, axis=0),
        "integral over points": np.trapezoid(x**2, x),
        "trace": np.trace(rows),
        "trace beside": np.trace(rows, 1) + rows[:3].T.trace(-1),
        "diagonal": np.outer(x, x).diagonal(),
        "diagonals": np.diagonal(rows[:, None] * x[:, None], 2, 0, 1),
        "no diagonal": rows.diagonal(5),
    }


def test_elements_that_are_moved() -> None:
    def loss(x: Any) -> Any:
        total = 0.0
        for array in moved_arrays(x).values():
            total = total + np.sum(np.sin(array))
        return total

    compiled = go.compile(
        lambda x, t: (moved_arrays(x), go.jvp(go.grad(loss), (x,), (t,))),
        dynamic={"x": {0: go.Dim("n", max=70)}, "t": {0: "n"}},
    )
    rng = np.random.default_rng(6)
    for n in (7, 3, 5, 70):
        x, t = np.sort(rng.normal(size=n)), rng.normal(size=n)
        found, (gradient, product) = compiled(x, t)
        for name, want in moved_arrays(x).items():
            assert found[name].shape == want.shape, name
            np.testing.assert_allclose(found[name], want, rtol=1e-12, atol=1e-14, err_msg=name)
        slope = (loss(x + 1e-6 * t) - loss(x - 1e-6 * t)) / 2e-6
        np.testing.assert_allclose(np.sum(gradient * t), slope, rtol=1e-6, atol=1e-6)
        ends = [compiled(x + s * t, t)[1][0] for s in (1e-6, -1e-6)]
        np.testing.assert_allclose(product, (ends[0] - ends[1]) / 2e-6, rtol=1e-5, atol=1e-4)


def read_through_flat(x: Any) -> Any:
    """Of rows whose number is not known, also when they have changed."""
    rows = x[:, None] * np.arange(1.0, 4.0)
    total = 0.0
    for i, element in enumerate(rows.flat):
        total = total + element**2 / (i + 1)
    flat, more = rows.flat, rows[:, :2].flat[3]
    rows[0] += 1.0
    return flat[2::5] * more + flat[-1] + total


def test_elements_in_row_major_order() -> None:
    def loss(x: Any) -> Any:
        return np.sum(np.sin(read_through_flat(x)))

    compiled = go.compile(
        lambda x, t: (read_through_flat(x), go.jvp(go.grad(loss), (x,), (t,))),
        dynamic={"x": {0: go.Dim("n")}, "t": {0: "n"}},
    )
    rng = np.random.default_rng(7)
    for n in (7, 2, 65):
        x, t = rng.normal(size=n), rng.normal(size=n)
        found, (gradient, product) = compiled(x, t)
        np.testing.assert_allclose(found, read_through_flat(x), rtol=1e-12)
        slope = (loss(x + 1e-6 * t) - loss(x - 1e-6 * t)) / 2e-6
        np.testing.assert_allclose(np.sum(gradient * t), slope, rtol=1e-6, atol=1e-6)
        ends = [compiled(x + s * t, t)[1][0] for s in (1e-6, -1e-6)]
        np.testing.assert_allclose(product, (ends[0] - ends[1]) / 2e-6, rtol=1e-5, atol=1e-4)
    assert compiled.cache_size() == 1


def test_moved_elements_of_small_arrays() -> None:
    """One element, and none; what NumPy refuses is an error of the call."""
    modes = ("edge", "reflect", "symmetric", "wrap")
    padded = go.compile(
        lambda x: [np.pad(x, 2, mode=mode) for mode in modes], dynamic={0: {0: "n"}}
    )
    for got, mode in zip(padded(np.array([3.0])), modes, strict=True):
        np.testing.assert_array_equal(got, np.pad(np.array([3.0]), 2, mode=mode))  # pyright: ignore
    with pytest.raises(go.errors.ShapeError, match="cannot extend the empty axis 0"):
        padded(np.ones(0))
    rolled = go.compile(
        lambda x: (np.roll(x, 3), np.pad(x, 1), np.trapezoid(x)), dynamic={0: {0: "n"}}
    )
    for n in (0, 1):
        x = np.arange(n) + 2.0
        for got, want in zip(
            rolled(x), (np.roll(x, 3), np.pad(x, 1), np.trapezoid(x)), strict=True
        ):
            np.testing.assert_array_equal(got, want)
    slopes = go.compile(np.gradient, dynamic={0: {0: "n"}})
    np.testing.assert_array_equal(slopes(np.array([1.0, 4.0])), [3.0, 3.0])
    with pytest.raises(go.errors.ShapeError, match="Shape of array too small"):
        slopes(np.ones(1))


def test_what_is_refused_of_moved_elements() -> None:
    for function, name in [
        (lambda x, n: np.pad(x[:n], 1, mode="mean"), "numpy.pad with mode='mean'"),
        (lambda x, n: np.gradient(x[:n], x[:n]), "numpy.gradient with a distance for each"),
        (lambda x, n: np.diagonal(np.ones((2, 2, 9))[:, :, :n]), "numpy.diagonal beside"),
    ]:
        with pytest.raises(go.errors.UnsupportedError, match=name):
            go.compile(function)(np.arange(9.0), np.int64(3))


def written_through_flat(x: Any, n: Any) -> Any:
    rows = np.outer(x[:n], x[:n])
    rows.flat[0] = 1.0
    return rows


def test_repetitions_that_are_refused() -> None:
    for function, name in [
        (lambda x, n: np.repeat(x[:n], [1, 2, 3]), "numpy.repeat with a number for each"),
        (written_through_flat, "an assignment to ndarray.flat of several dimensions"),
    ]:
        with pytest.raises(go.errors.UnsupportedError, match=name):
            go.compile(function)(X, np.int64(3))


def test_parts_of_complex_numbers_are_returned() -> None:
    """They are views of an array that is not as large as it could be."""

    def f(x: Any) -> Any:
        z = np.exp(1j * x[x > 0])
        return z.real, z.imag, z[::-1].real[1:]

    x = np.array([0.5, -1.0, 2.0, 3.0])
    for got, want in zip(go.compile(f)(x), f(x), strict=True):
        assert got.dtype == want.dtype
        np.testing.assert_allclose(got, want, rtol=1e-15)


def test_auxiliary_arrays_of_a_derivative() -> None:
    def loss(x: Any) -> Any:
        y = x[x > 0]
        return np.sum(y**3), {"positive": y, "sizes": (len(y), 3), "first": y[:1] * x[0]}

    x = np.array([0.5, -1.0, 2.0, 3.0])
    (value, aux), gradient = go.compile_value_and_grad(loss, has_aux=True)(x)
    want, expected = loss(x)
    np.testing.assert_allclose(value, want)
    np.testing.assert_allclose(gradient, np.where(x > 0, 3 * x**2, 0))
    np.testing.assert_array_equal(aux["positive"], expected["positive"])
    np.testing.assert_array_equal(aux["first"], expected["first"])
    assert aux["sizes"] == (3, 3)

    def of_aux(x: Any) -> Any:
        slope, aux = go.grad(loss, has_aux=True)(x)
        return np.sum(slope) + np.sum(np.sin(aux["positive"]))

    second = go.compile_grad(of_aux)(x)
    np.testing.assert_allclose(second, np.where(x > 0, 6 * x + np.cos(x), 0), rtol=1e-14)
