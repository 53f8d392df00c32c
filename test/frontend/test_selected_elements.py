# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Elements that traced masks select, and what counts them: as many as the run finds."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import gradopt as go

RNG = np.random.default_rng(0)
X = RNG.normal(size=9)
A = RNG.normal(size=(4, 6))

Function = Callable[[Any, Any], Any]


def with_values(x: Any, mask: Any, values: Any) -> Any:
    x = x.copy()
    x[mask] = values
    return x


SMOOTH: dict[str, Function] = {
    "elements": lambda x, a: np.sum(np.sin(x[x > 0]) * np.arange(len(x[x > 0]))),
    "products": lambda x, a: np.dot(x[x > 0], x[x > 0]) + x[x > 0] @ np.sin(x[x > 0]),
    "functions": lambda x, a: x[x > 0].max() + np.cumsum(x[x > 0])[-1] + x[x > 0][1],
    "sums along an axis": lambda x, a: x[x > 0].sum(axis=0) + np.add.reduce(x[x < 0]),
    "of a matrix": lambda x, a: np.sum(a[a > 0] ** 2 * np.arange(a[a > 0].size)),
    "rows and columns": lambda x, a: (
        np.sum(a[:, a[0] > 0] * np.arange(4)[:, None])
        + np.sum(a[a[:, 0] > 0] ** 2)
        + np.sum(a[1:][a[1:, 2] > 0, ::2] ** 3)
    ),
    "beside integers": lambda x, a: np.sum(a[a[:, 0] > 0, 2] ** 2) + np.sum(a[0, a[1] > 0]),
    "of selected ones": lambda x, a: np.sum(x[x > -1][x[x > -1] < 0.5] ** 2),
    "new ones": lambda x, a: (
        np.sum(with_values(x, x > 0, np.cumsum(x[x > 0])) ** 2)
        + np.sum(with_values(a, a > 0, np.flip(a[a > 0])) * a)
        + np.sum(with_values(a, a[:, 0] > 0, 2 * a[a[:, 0] > 0][::-1]) * a)
    ),
    "the same ones": lambda x, a: np.sum(with_values(x, x > 0, x[x > 0] * 2) ** 3),
    "one for all": lambda x, a: np.sum(with_values(x, x > 0, 3.0) ** 2),
    "nonzero": lambda x, a: (
        np.sum(x[np.nonzero(x > 0)] ** 2)
        + np.sum(a[np.nonzero(a > 0)] * 2)
        + np.sum(x[np.flatnonzero(x < 0)] ** 2)
        + np.sum(x[(x < 0).nonzero()[0]])
    ),
    "where": lambda x, a: np.sum(x[np.where(x > 0)[0]]) + np.sum(a[np.where(a > 0)] ** 2),
    "compress": lambda x, a: (
        np.sum(np.compress(x > 0, x) * 2)
        + np.sum(np.extract(x > 0, x) ** 2)
        + np.sum(np.compress(a[0] > 0, a, axis=1) ** 2)
        + np.sum(np.compress([True, False, True], a, axis=0))
    ),
    "joined": lambda x, a: np.sum(np.concatenate([x[x < 0], x[x >= 0]]) * np.arange(9)),
    "sorted": lambda x, a: (
        np.sum(np.sort(x[x > 0] ** 2) * np.arange(len(x[x > 0])))
        + np.sum(np.sort(a[:, a[0] > 0], axis=0)[1:] ** 2)
        + np.sum(np.sort(a[a[:, 0] > 0], axis=1)[:, ::2] ** 2)
    ),
    "quantiles": lambda x, a: (
        np.median(x[x > 0])
        + np.nanmedian(np.where(x[x < 1] > 0, x[x < 1], np.nan)) ** 2
        + np.sum(np.quantile(x[x > -1], [0.2, 0.75]) ** 2)
        + np.percentile(a[a > 0], 30, method="hazen")
    ),
    "unique": lambda x, a: (
        np.sum(np.unique(x[x > 0]) ** 2 * np.arange(len(x[x > 0])))
        + np.sum(np.union1d(x[x > 0], x[x < 0.5]) ** 3)
    ),
    "histogram with edges": lambda x, a: (
        np.histogram(x, [-1.0, 0.1, 0.5, 1.0], weights=x**2)[0] @ np.arange(3)
    ),
    "histogram of weights": lambda x, a: np.histogram(x, 4, weights=x**2)[0] @ np.arange(4),
    "counts of weights": lambda x, a: np.sum(
        np.bincount(np.minimum(np.abs(3 * x).astype(int), 5), weights=x, minlength=3) ** 2
    ),
}
OTHERS: dict[str, Function] = {
    "places": lambda x, a: np.argwhere(a > 0).sum() + np.argwhere(x > 0)[0, 0],
    "count": lambda x, a: len(x[x > 0]) + a[a > 0].size * 10 + x[x > 0].shape[0] * 100,
    "histogram": lambda x, a: np.histogram(a, 5)[0],
    "edges": lambda x, a: np.histogram(a, 5)[1],
    "histogram in a range": lambda x, a: np.histogram(x, 4, range=(-0.5, 0.5))[0],
    "histogram with ends": lambda x, a: np.histogram(np.round(a), [-1.0, 0.0, 1.0])[0],
    "density of edges": lambda x, a: np.histogram(x, np.sort(x[:4]), density=True)[0],
    "unique integers": lambda x, a: np.unique((4 * a[a > 0]).astype(int)),
    "counts of unique": lambda x, a: np.unique((4 * a[a > 0]).astype("u1"), return_counts=True)[1],
    "first of unique": lambda x, a: np.unique(np.round(a[a > 0]), return_index=True)[1],
    "places of unique": lambda x, a: np.unique(np.round(a[a > 0]), return_inverse=True)[1],
    "unique of full words": lambda x, a: np.unique(
        np.where(a[a > 0] > 0.5, 255, 3).astype("u1"), return_counts=True
    )[1],
    "order": lambda x, a: np.argsort(x[x > 0]) @ np.arange(len(x[x > 0])),
    "median of integers": lambda x, a: np.median((9 * a[a > 0]).astype(int)),
    "median of nothing": lambda x, a: np.median(x[x > 100]),
    "density": lambda x, a: np.histogram(x, 3, density=True)[0],
    "histogram of integers": lambda x, a: np.histogram((4 * a).astype(int), 3)[0],
    "histogram of equal ones": lambda x, a: np.histogram(x * 0 + 1, 3)[0],
    "counts": lambda x, a: np.bincount((x > 0) * 1, minlength=4).sum(),
    "all of a mask": lambda x, a: np.any(x[x > 0] > 1) * 1 + np.all(x[x > 0] > 0) * 2,
}
FUNCTIONS = {**SMOOTH, **OTHERS}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_values(name: str) -> None:
    compiled = go.compile(FUNCTIONS[name])
    for x, a in ((X, A), (X[::-1].copy(), -A)):
        want = FUNCTIONS[name](x, a)
        got = compiled(x, a)
        np.testing.assert_allclose(got, want, rtol=1e-12)
        assert np.asarray(got).dtype == np.asarray(want).dtype


@pytest.mark.parametrize("name", SMOOTH)
def test_derivatives(name: str) -> None:
    compiled = go.compile(SMOOTH[name])
    go.gradcheck(lambda x, a: np.sin(compiled(x, a)), (X, A))


@pytest.mark.parametrize("name", ["elements", "new ones", "histogram of weights"])
def test_second_derivatives_and_batches(name: str) -> None:
    f = SMOOTH[name]
    go.gradcheck(lambda x: np.sin(f(x, A)), (X,), order=2)
    xs = np.stack([X, 2 * X, X[::-1]])
    got = go.vmap(f, in_axes=(0, None))(xs, A)
    np.testing.assert_allclose(got, [f(x, A) for x in xs], rtol=1e-12)


def test_none_and_all() -> None:
    def f(x: Any) -> Any:
        return np.sum(x[x > 0] * np.arange(len(x[x > 0]))), x[x > 0].size, np.sum(np.nonzero(x > 0))

    compiled = go.compile(f)
    for x in (np.abs(X), -np.abs(X)):
        np.testing.assert_allclose(compiled(x), f(x))


def test_selections_in_loops() -> None:
    def f(x: Any, a: Any) -> Any:
        y = np.zeros(12)
        for i in range(12):
            part = x[x > 0.1 * i - 0.5]
            y[i] = part @ np.arange(len(part)) + np.count_nonzero(a[:, 0] > 0.1 * i)
            x[x > 1.0] -= 0.01 * x[x > 1.0]
        return y

    compiled = go.compile(f)
    np.testing.assert_allclose(compiled(X.copy(), A), f(X.copy(), A), rtol=1e-12)
    (loop,) = compiled.lower(X, A).loops()
    assert loop.is_rolled
    go.gradcheck(lambda x: np.sum(f(x.copy(), A) ** 2), (X,))


def test_sizes_are_compared() -> None:
    for use in (
        lambda x, y: np.sum(x[x > 0] + y),
        lambda x, y: np.sum(with_values(x, x > 0, y)),
        lambda x, y: np.sum(x[x > 0] * x[y.sum() * x > 0]),
    ):
        count = int(np.sum(X > 0))
        compiled = go.compile(use)
        np.testing.assert_allclose(compiled(X, np.ones(count)), use(X, np.ones(count)))
        with pytest.raises(ValueError, match="broadcast"):
            compiled(X, -np.ones(count - 1))


def test_a_mask_must_fit() -> None:
    with pytest.raises(IndexError, match="boolean index"):
        go.compile(lambda x, a: np.sum(x[a[0] > 0]))(X, A)
    with pytest.raises(IndexError, match="boolean index"):
        go.compile(lambda x, a: np.sum(a[a[0] > 0, 1]))(X, A)


def test_counts_need_a_bound() -> None:
    with pytest.raises(go.errors.ConversionError, match=r"numpy\.minimum"):
        go.compile(lambda n: np.bincount(n).sum())(np.array([3, 1]))


def test_a_selection_is_a_copy_with_a_type() -> None:
    def f(x: Any) -> Any:
        part = x[x > 0]
        before = np.sum(x)
        part *= 2.0
        x += part.sum()
        assert isinstance(part, np.ndarray)
        return np.sum(part * np.arange(len(part))), before, x

    for actual, expected in zip(go.compile(f)(X.copy()), f(X.copy()), strict=True):
        np.testing.assert_allclose(actual, expected, rtol=1e-12)


# -- Results -----------------------------------------------------------------------------------


def test_results_have_the_size_that_the_run_finds() -> None:
    def f(x: Any, a: Any) -> Any:
        parts = {"positive": x[x > 0], "places": (np.nonzero(a > 0), 1.0)}
        return parts, a[:, a[0] > 0], a[a[:, 0] > 0, :3], x[: int(np.sum(x > 0))]

    def leaves(result: Any) -> list[Any]:
        parts, *others = result
        return [parts["positive"], *parts["places"][0], *others]

    compiled = go.compile(f)
    for sign in (1, -1):
        for x, a in ((sign * X, sign * A), (np.abs(X), -np.abs(A))):
            want, got = f(x, a), compiled(x, a)
            assert got[0]["places"][1] == 1.0
            for expected, actual in zip(leaves(want), leaves(got), strict=True):
                assert type(actual) is np.ndarray
                assert actual.dtype == expected.dtype
                np.testing.assert_array_equal(actual, expected)


def test_derivatives_of_what_is_computed_from_such_results() -> None:
    compiled = go.compile(lambda x: np.cumsum(x[x > 0]))
    go.gradcheck(lambda x: np.sum(np.sin(compiled(x))), (X,))
    np.testing.assert_allclose(compiled(X), np.cumsum(X[X > 0]))


def test_results_beside_written_arguments() -> None:
    def f(x: Any) -> Any:
        x *= 2.0
        return x[x > 0]

    x, y = X.copy(), X.copy()
    np.testing.assert_array_equal(go.compile(f)(x), f(y))
    np.testing.assert_array_equal(x, y)


def test_each_element_may_select_others() -> None:
    with pytest.raises(go.errors.UnsupportedError, match="another size for each element"):
        go.vmap(lambda x: x[x > 0])(np.stack([X, X]))


def test_jacobians_of_such_results() -> None:
    np.testing.assert_array_equal(go.jacrev(lambda x: x[x > 0])(X), np.eye(X.size)[X > 0])


def test_products_with_derivatives_of_such_results() -> None:
    def f(x: Any) -> Any:
        return x[x > 0] ** 2

    chosen = X > 0
    cotangent = np.cos(f(X))
    want = np.zeros_like(X)
    want[chosen] = 2 * X[chosen] * cotangent
    value, (gradient,) = go.compile_vjp(f)((X,), cotangent)
    np.testing.assert_allclose(value, f(X))
    np.testing.assert_allclose(gradient, want)
    np.testing.assert_allclose(go.vjp(f, X)[1](cotangent)[0], want)
    for function in (go.compile_jvp(f), lambda p, t: go.jvp(f, p, t)):
        value, tangent = function((X,), (np.sin(X),))
        np.testing.assert_allclose(value, f(X))
        np.testing.assert_allclose(tangent, (2 * X * np.sin(X))[chosen])
    with pytest.raises(ValueError, match="cotangent must have the shape of its value"):
        go.compile_vjp(f)((X,), cotangent[1:])


def test_such_results_are_saved(tmp_path: Any) -> None:
    compiled = go.compile(lambda x: x[x > 0])
    compiled(X)
    go.save(compiled, tmp_path / "f.bundle")
    loaded = go.load(tmp_path / "f.bundle")
    for x in (X, -X, np.abs(X), -np.abs(X), np.where(X > 1, X, -1.0)):
        got = loaded(x)
        assert type(got) is np.ndarray
        assert got.dtype == np.float64
        np.testing.assert_array_equal(got, x[x > 0])
