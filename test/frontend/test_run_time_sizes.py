# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Arrays whose size is known at run time only: slices up to the counter of a loop, and more.

Each program is NumPy's as it stands: what it returns, what it writes and what it raises.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import gradopt as go

N = 9
RNG = np.random.default_rng(3)
A = RNG.normal(size=(N, N)) + 6 * np.eye(N)
B = RNG.normal(size=(N, N))
X = RNG.normal(size=N)
SPD = A @ A.T


def arrays(value: Any) -> list[Any]:
    """The arrays that a function returned."""
    if value is None:
        return []
    return [part for v in value for part in arrays(v)] if isinstance(value, tuple) else [value]


def same(function: Callable[..., Any], *args: Any, rolled: bool = True) -> None:
    """Checks results and written arguments against NumPy, and that all loops are loops."""
    first, second = (
        [arg.copy() if isinstance(arg, np.ndarray) else arg for arg in args] for _ in range(2)
    )
    want = function(*first)
    compiled = go.compile(function)
    if rolled:
        loops = compiled.lower(*second).loops()
        assert loops
        assert [loop.reason for loop in loops if not loop.is_rolled] == []
    got = compiled(*second)
    for expected, actual in zip([*arrays(want), *first], [*arrays(got), *second], strict=True):
        np.testing.assert_allclose(actual, expected, rtol=1e-10, atol=1e-12)
        assert np.asarray(actual).dtype == np.asarray(expected).dtype


def differentiable(function: Callable[..., Any], *args: Any) -> None:
    """Checks derivatives of a sum of the results against finite differences."""
    compiled = go.compile(function)
    go.gradcheck(lambda *values: np.sum(np.sin(compiled(*values))), args)


# -- Programs of linear algebra ----------------------------------------------------------------


def lu(a: Any) -> Any:
    a = a.copy()
    for i in range(a.shape[0]):
        for j in range(i):
            a[i, j] -= a[i, :j] @ a[:j, j]
            a[i, j] /= a[j, j]
        for j in range(i, a.shape[0]):
            a[i, j] -= a[i, :i] @ a[:i, j]
    return a


def solve(a: Any, b: Any) -> Any:
    a = lu(a)
    x, y = np.zeros_like(b), np.zeros_like(b)
    for i in range(a.shape[0]):
        y[i] = b[i] - a[i, :i] @ y[:i]
    for i in range(a.shape[0] - 1, -1, -1):
        x[i] = (y[i] - a[i, i + 1 :] @ x[i + 1 :]) / a[i, i]
    return x


def cholesky(a: Any) -> Any:
    a = a.copy()
    a[0, 0] = np.sqrt(a[0, 0])
    for i in range(1, a.shape[0]):
        for j in range(i):
            a[i, j] -= np.dot(a[i, :j], a[j, :j])
            a[i, j] /= a[j, j]
        a[i, i] -= np.dot(a[i, :i], a[i, :i])
        a[i, i] = np.sqrt(a[i, i])
    return a


def durbin(r: Any) -> Any:
    y = np.empty_like(r)
    alpha = -r[0]
    beta = 1.0
    y[0] = -r[0]
    for k in range(1, r.shape[0]):
        beta *= 1.0 - alpha * alpha
        alpha = -(r[k] + np.dot(np.flip(r[:k]), y[:k])) / beta
        y[:k] += alpha * np.flip(y[:k])
        y[k] = alpha
    return y


def trmm(a: Any, b: Any) -> Any:
    b = b.copy()
    for i in range(b.shape[0]):
        for j in range(b.shape[1]):
            b[i, j] += np.dot(a[i + 1 :, i], b[i + 1 :, j])
    return 1.5 * b


def symm(a: Any, b: Any) -> Any:
    c = a * b
    temp = np.empty(c.shape[1], c.dtype)
    for i in range(c.shape[0]):
        for j in range(c.shape[1]):
            c[:i, j] += 1.5 * b[i, j] * a[i, :i]
            temp[j] = b[:i, j] @ a[i, :i]
        c[i, :] += 1.5 * b[i, :] * a[i, i] + 1.5 * temp
    return c


def syrk(c: Any, a: Any) -> Any:
    c = c.copy()
    for i in range(a.shape[0]):
        c[i, : i + 1] *= 1.2
        for k in range(a.shape[1]):
            c[i, : i + 1] += 1.5 * a[i, k] * a[: i + 1, k]
    return c


def substitute(a: Any, b: Any) -> Any:
    x = np.zeros_like(b)
    for i in range(x.shape[0]):
        x[i] = (b[i] - a[i, :i] @ x[:i]) / a[i, i]
    return x


def correlation(data: Any) -> Any:
    count = data.shape[1]
    corr = np.eye(count)
    for i in range(count - 1):
        corr[i + 1 : count, i] = corr[i, i + 1 : count] = data[:, i] @ data[:, i + 1 : count]
    return corr


def covariance(data: Any) -> Any:
    count = data.shape[1]
    cov = np.zeros((count, count))
    for i in range(count):
        cov[i:count, i] = cov[i, i:count] = data[:, i] @ data[:, i:count] / 8.0
    return cov


KERNELS = [
    (lu, (SPD,)),
    (solve, (SPD, X)),
    (cholesky, (SPD,)),
    (durbin, (0.1 * X,)),
    (trmm, (A, B)),
    (symm, (A, B)),
    (syrk, (B, A)),
    (substitute, (A, X)),
    (correlation, (B,)),
    (covariance, (B,)),
]
NAMES = [kernel.__name__ for kernel, _ in KERNELS]


@pytest.mark.parametrize(("kernel", "args"), KERNELS, ids=NAMES)
def test_kernels(kernel: Callable[..., Any], args: tuple[Any, ...]) -> None:
    same(kernel, *args)


@pytest.mark.parametrize(("kernel", "args"), KERNELS, ids=NAMES)
def test_derivatives_of_kernels(kernel: Callable[..., Any], args: tuple[Any, ...]) -> None:
    differentiable(kernel, *args)


def test_a_slice_up_to_the_counter_takes_no_clamps() -> None:
    text = go.compile(substitute).lower(A, X).mlir("grad")
    assert "grad.sized_slice" in text
    assert "grad.select" not in text
    assert "grad.minimum" not in text
    assert "grad.less" not in text


# -- Slices ------------------------------------------------------------------------------------

SLICES: dict[str, Callable[[Any, Any], Any]] = {
    "to": lambda x, i: x[:i],
    "from": lambda x, i: x[i:],
    "behind": lambda x, i: x[i + 1 :],
    "last ones": lambda x, i: x[-i:],
    "without the last": lambda x, i: x[: -i - 1],
    "beyond the end": lambda x, i: x[i : i + 4],
    "far beyond": lambda x, i: x[2 * i :],
    "before the beginning": lambda x, i: x[i - 4 : i],
    "backwards": lambda x, i: x[:i][::-1],
    "from backwards": lambda x, i: x[i::-1],
    "down to": lambda x, i: x[:i:-1],
    "between backwards": lambda x, i: x[i : i - 4 : -1],
    "of a slice": lambda x, i: x[1:-1][:i],
    "of its slice": lambda x, i: x[:i][1:],
    "twice": lambda x, i: x[: i + 2][i - 1 :],
    "of every second": lambda x, i: x[::2][:i],
    "of every second backwards": lambda x, i: x[::-2][i:],
    "of flip": lambda x, i: np.flip(x)[i:],
    "flip of flip": lambda x, i: np.flip(np.flip(x[:i])[:3]),
    "window": lambda x, i: x[i : i + 1],
}


@pytest.mark.parametrize("name", SLICES)
def test_slices_have_the_elements_that_numpys_have(name: str) -> None:
    part = SLICES[name]

    def read(x: Any) -> Any:
        sums = np.zeros(12)
        for i in range(12):
            sums[i] = np.sum(part(x, i) * 2.0) + 100 * len(part(x, i))
        return sums

    def write(x: Any) -> Any:
        for i in range(12):
            part(x, i)[...] *= 1.5
            part(x, i)[...] += i
        return x

    same(read, X)
    same(write, X)


def test_elements_of_slices() -> None:
    def f(x: Any) -> Any:
        y = np.zeros(N)
        for i in range(1, N):
            part = x[:i]
            y[i] = part[0] + part[-1] * part[i - 1] + part[i // 2]
            part[-1] += 1.0
        return y

    same(f, X)


def test_elements_beyond_a_slice() -> None:
    def f(x: Any, k: Any) -> Any:
        y = np.zeros(N)
        for i in range(N):
            y[i] = x[: i + 1][k]
        return y

    compiled = go.compile(f)
    np.testing.assert_array_equal(compiled(X, 0), np.full(N, X[0]))
    np.testing.assert_array_equal(compiled(X, -1), X)
    with pytest.raises(IndexError, match="index 1 is out of bounds for axis 0") as raised:
        compiled(X, np.int64(1))
    assert "y[i] = x[: i + 1][k]" in str(raised.value)


def test_blocks_of_matrices() -> None:
    def f(a: Any, b: Any) -> Any:
        out = np.zeros((N, N))
        for i in range(N):
            out[:i, i:] += a[:i, :i] @ b[i:, :i].T @ a[i:, i:].T
            out[i] += np.sum(a[: i + 1, i:], axis=1).sum() + np.sum(a[:i], axis=0)
            out[i, :i] = a[:i, None, 1][:, 0]
            out[:, i] -= a[:, :i].mean() if i > 3 else 0.0
        return out

    def g(a: Any, b: Any) -> Any:
        out = np.zeros((N, N))
        for i in range(N):
            out[:i, i:] += a[:i, :i] @ b[i:, :i].T @ a[i:, i:].T
            out[i] += np.sum(a[: i + 1, i:], axis=1).sum() + np.sum(a[:i], axis=0)
            out[i, :i] = a[:i, None, 1][:, 0]
        return out

    same(f, A, B, rolled=False)
    same(g, A, B)
    differentiable(g, A / 6, B)


# -- Functions ---------------------------------------------------------------------------------

FUNCTIONS: dict[str, Callable[[Any, Any], Any]] = {
    "arithmetic": lambda u, v: np.sum((2 * u - v / 3 + u * v) ** 2),
    "elementwise": lambda u, v: np.sum(np.sin(u) * np.exp(-np.abs(v)) + np.tanh(u) ** 3),
    "two arguments": lambda u, v: np.sum(np.maximum(u, v) + np.hypot(u, v) + np.arctan2(u, v)),
    "comparisons": lambda u, v: np.sum((u < v) & (u != 0.5)) + np.sum(u >= 0),
    "where": lambda u, v: np.sum(np.where(u > v, u, 2 * v)),
    "casts": lambda u, v: np.sum(u.astype(np.float32).astype(np.int64)) + np.sum(v > 0),
    "clip": lambda u, v: np.sum(np.clip(u, -0.5, 0.5) * v) + np.sum(u.clip(0)),
    "round": lambda u, v: np.sum(np.round(u * 3) + np.floor(v) + np.sign(u)),
    "remainders": lambda u, v: np.sum((10 * u).astype(np.int64) // 3),
    "mean": lambda u, v: np.mean(u * v + 1) if len(u) else 0.0,
    "product": lambda u, v: np.prod(1 + 0.1 * u) + u.prod(),
    "any": lambda u, v: np.any(u > 0.5) * 1.0 + np.all(v < 1) * 2.0 + np.count_nonzero(u > 0),
    "sum where": lambda u, v: np.sum(u, where=v > 0) + np.sum(u, initial=3.0),
    "dot": lambda u, v: np.dot(u, v) + u @ v + np.inner(u, v) + np.vdot(u, v),
    "einsum": lambda u, v: np.einsum("i,i->", u, v) + np.einsum("i,j->ij", u, v).sum(),
    "outer": lambda u, v: np.sum(np.outer(u, v) * np.outer(v, u)),
    "new axes": lambda u, v: np.sum(u[:, None] * v[None, :] + u[None]),
    "keepdims": lambda u, v: np.sum((u - u.sum(keepdims=True)) * v),
    "norm": lambda u, v: np.linalg.norm(u) + np.linalg.norm(v, 1),
    "flip": lambda u, v: np.sum(np.flip(u) * v[::-1] * np.flip(u)[::-1]),
    "like": lambda u, v: (
        np.sum(np.ones_like(u) * 2 + np.zeros_like(v)) + np.sum(np.full_like(u, 3))
    ),
    "copy": lambda u, v: np.sum(u.copy() + np.copy(v)),
    "size": lambda u, v: u.size + u.shape[0] * 2.0 + len(v) + np.size(u) + u.ndim,
    "logaddexp": lambda u, v: np.sum(np.logaddexp(u, v)),
    "expanded": lambda u, v: np.sum(np.expand_dims(u, 0) * np.atleast_2d(v)),
    "squeezed": lambda u, v: np.sum(np.squeeze(u[:, None]) * v),
    "transposed": lambda u, v: np.sum((u[:, None] * np.ones(3)).T @ (v[:, None] + np.ones(3))),
    "variance": lambda u, v: np.var(np.outer(u, np.ones(4)) + 1, axis=1).sum() + v.sum(),
}
SMOOTH = (
    *("arithmetic", "elementwise", "product", "dot", "einsum", "outer", "new axes", "keepdims"),
    *("flip", "copy", "logaddexp", "expanded", "squeezed", "transposed"),
)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_of_slices(name: str) -> None:
    function = FUNCTIONS[name]

    def f(x: Any, a: Any) -> Any:
        y = np.zeros(N)
        for i in range(N):
            y[i] = function(x[:i], a[i, :i])
        return y

    rolled = name != "mean"
    same(f, X, A, rolled=rolled)
    if name in SMOOTH:
        differentiable(f, X, A / 6)


def test_reductions_of_no_elements() -> None:
    def f(x: Any) -> Any:
        y = np.zeros((3, N))
        for i in range(N):
            y[0, i] = np.mean(x[:i])
            y[1, i] = np.prod(x[:i])
            y[2, i] = np.all(x[:i] > 0)
        return y

    with np.errstate(all="ignore"), pytest.warns(RuntimeWarning):
        same(f, X)


# -- New arrays --------------------------------------------------------------------------------


def test_new_arrays_of_a_traced_size() -> None:
    def f(x: Any) -> Any:
        y = np.zeros(N)
        for i in range(N):
            work = np.zeros(i)
            work += x[:i]
            work[: i // 2] *= 2.0
            ones = np.ones((i, 2), dtype=np.float64)
            ones[:, 1] = work
            y[i] = work.sum() + np.sum(np.arange(i)) + np.sum(ones) + np.sum(np.arange(i, 2 * i))
            y[i] += np.sum(np.full(i, x[0])) + np.arange(1, i + 1, dtype=float).sum()
        return y

    same(f, X)
    differentiable(f, X)


def test_what_is_known_of_computed_sizes() -> None:
    def f(x: Any, small: Any, k: Any) -> Any:
        y = np.zeros(N)
        for i in range(N):
            y[i] = np.sum(np.ones(i // 2)) + np.sum(np.arange(i % 4)) + np.sum(x[: i // 3])
        n, m = small[0], np.minimum(np.maximum(k, 2), 5)
        return y[0] + np.sum(x[:n]), y, np.sum(np.ones(n + 1)), np.sum(np.zeros((m, 2)) + x[0])

    for dtype in (np.uint8, np.int8, np.uint16):
        small = np.array([3], dtype)
        for k in (-7, 4, 70):
            want = f(X, small, k)
            got = go.compile(f)(X, small, np.int64(k))
            for actual, expected in zip(got, want, strict=True):
                np.testing.assert_allclose(actual, expected)


def test_loops_over_what_has_a_traced_size() -> None:
    def f(x: Any) -> Any:
        total = np.zeros(N)
        for i in range(N):
            work = np.empty(i)
            for j in range(len(work)):
                work[j] = x[j] * j
            for value in work:
                total[i] += value
            for j, value in enumerate(x[:i]):
                total[i] += j * value
        return total

    same(f, X)


def test_writes_through_views_of_results() -> None:
    def f(x: Any) -> Any:
        total = np.zeros(N)
        for i in range(1, N):
            work = x[:i] * 2.0
            work[0] = 1.0
            part = work[1:]
            part += 3.0
            total[i] = np.sum(work**2)
        return total

    same(f, X)
    differentiable(f, X)


def test_sizes_computed_from_values() -> None:
    def f(x: Any) -> Any:
        n = int(np.sum(x > 0))
        y = np.zeros_like(x)
        y[:n] = 2 * x[:n] + np.arange(n)
        y[n:] -= x[n:]
        return y, np.sum(x[:n] ** 2), np.ones(n).sum()

    compiled = go.compile(f)
    for x in (X, -np.abs(X), np.abs(X)):
        for actual, expected in zip(compiled(x), f(x), strict=True):
            np.testing.assert_allclose(actual, expected)
    differentiable(lambda x: f(x)[0] * f(x)[1], X)


# -- Sizes that differ -------------------------------------------------------------------------


def test_sizes_of_operands_are_compared_at_run_time() -> None:
    def f(x: Any, n: Any, m: Any) -> Any:
        return np.sum(x[:n] * x[:m])

    compiled = go.compile(f)
    n = np.int64(3)
    np.testing.assert_allclose(compiled(X, n, np.int64(3)), X[:3] @ X[:3])
    with pytest.raises(ValueError, match="operands could not be broadcast together") as raised:
        compiled(X, n, np.int64(5))
    assert "return np.sum(x[:n] * x[:m])" in str(raised.value)


def test_a_known_size_and_a_traced_one() -> None:
    def f(x: Any, n: Any) -> Any:
        y = np.ones(4)
        y += x[:n]
        y[:] = y * x[:n]
        return y @ x[:n], y, x[:n] + np.arange(4.0) @ y

    def g(x: Any, n: Any) -> Any:
        y = np.zeros(4)
        y[:] = x[:n]
        return y

    def first(x: Any, n: Any) -> Any:
        return f(x, n)[:2]

    compiled = go.compile(first)
    for actual, expected in zip(compiled(X, np.int64(4)), first(X, 4), strict=True):
        np.testing.assert_allclose(actual, expected)
    for n in (3, 6):
        with pytest.raises(ValueError, match="could not be broadcast"):
            compiled(X, np.int64(n))
        with pytest.raises(ValueError, match="could not broadcast"):
            go.compile(g)(X, np.int64(n))
    with pytest.raises(ValueError, match="not aligned"):
        go.compile(lambda x, n: np.ones(4) @ x[:n])(X, np.int64(3))


# -- What is refused ---------------------------------------------------------------------------

REFUSED: dict[str, Callable[[Any, Any], Any]] = {
    "numpy.fft.fft": lambda x, n: np.sum(np.fft.fft(x[:n]).real),
    "numpy.linalg.det": lambda x, n: np.linalg.det(np.outer(x[:n], x[:n])),
    "numpy.multiply.at": lambda x, n: np.multiply.at(x.copy(), np.arange(9)[:n], 2.0),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused_names_the_function(name: str) -> None:
    function = REFUSED[name]
    with pytest.raises(go.errors.UnsupportedError, match="known at run time only") as raised:
        go.compile(function)(X, np.int64(3))
    assert str(raised.value).startswith(name.strip())
    assert "-->" in str(raised.value)


def test_a_loop_with_what_is_refused_is_written_down() -> None:
    def f(x: Any) -> Any:
        y = np.zeros(N)
        for i in range(1, N):
            y[i] = np.fft.fft(x[:i]).real.sum()
        return y

    compiled = go.compile(f)
    np.testing.assert_allclose(compiled(X), f(X))
    (loop,) = compiled.lower(X).loops()
    assert not loop.is_rolled
    assert "numpy.fft.fft is not supported on an array whose size is known" in loop.reason


def test_derivatives_take_such_arrays() -> None:
    def f(x: Any, n: Any) -> Any:
        part = x[1:n]
        gradient = go.grad(lambda v: np.sum(np.sin(v)))(part)
        value, tangent = go.jvp(lambda v: v[1:] ** 2, (part,), (np.ones_like(part),))
        _, pull = go.vjp(lambda v: v[v > 0] * 2, part)
        return gradient, value, tangent, pull(part[part > 0])[0]

    compiled = go.compile(f)
    for n in (5, 0, 1, 2, N):
        part = X[1:n]
        want = (np.cos(part), part[1:] ** 2, 2 * part[1:], np.where(part > 0, 2 * part, 0))
        for got, expected in zip(compiled(X, np.int64(n)), want, strict=True):
            assert got.shape == expected.shape
            np.testing.assert_allclose(got, expected)
    with pytest.raises(ValueError, match="cotangent must have the shape of its value"):
        go.compile(lambda x, n: go.vjp(np.sin, x[:n])[1](x[1:n])[0])(X, np.int64(3))


def test_other_transforms_do_not_take_such_arrays() -> None:
    def mapped(x: Any, n: Any) -> Any:
        return go.vmap(lambda row: x[x > row * n])(np.ones(4))

    def stacked(x: Any, n: Any) -> Any:
        return np.sum(go.scan(lambda total, row: (total, x[x > total]), 0.0, x)[1])

    twice = go.custom_vjp(lambda y: y * 2)
    twice.defvjp(lambda y: (y * 2, None), lambda _, g: (g * 2,))

    def chosen(x: Any, n: Any) -> Any:
        return twice(x[:n])

    for function, message in [
        (mapped, "may have another size for each element that vmap maps"),
        (stacked, "may have another size in each iteration"),
        (chosen, "cannot be given to"),
    ]:
        with pytest.raises(go.errors.UnsupportedError, match=message) as raised:
            go.compile(function)(X, np.int64(3))
        assert "test_run_time_sizes.py" in str(raised.value)


def test_new_arrays_need_a_bound() -> None:
    def f(x: Any, n: Any) -> Any:
        return np.sum(np.zeros(n) + x[0])

    def g(x: Any, n: Any) -> Any:
        return np.sum(np.ones(np.minimum(n, 50)) * x[0])

    with pytest.raises(go.errors.ConversionError, match="nothing says how large it is"):
        go.compile(f)(X, np.int64(3))
    np.testing.assert_allclose(go.compile(g)(X, np.int64(3)), 3 * X[0])
    with pytest.raises(ValueError, match="negative dimensions are not allowed"):
        go.compile(g)(X, np.int64(-3))


# -- What is known without looking -------------------------------------------------------------


def windows(x: Any, w: Any) -> Any:
    out = np.zeros((8, 8, 2))
    for i in range(8):
        for j in range(8):
            out[i, j] = np.sum(x[i : i + 3, j : j + 3, None] * w, axis=(0, 1))
    return out


def triangle(a: Any) -> Any:
    total = 0.0
    for i in range(N):
        for j in range(i + 1, N):
            total = total + np.sum(a[i, i:j] * a[j, i:j]) + np.sum(a[i:j, i:j] @ a[i:j, j:])
    return total


def filled(x: Any) -> Any:
    total = np.zeros(N)
    for i in range(N):
        work = np.empty(i)
        for j in range(len(work)):
            work[j] = x[j] * j
        for value in work:
            total[i] += value
    return total


@pytest.mark.parametrize(
    ("function", "args"),
    [
        (windows, (RNG.normal(size=(10, 10)), RNG.normal(size=(3, 3, 2)))),
        (triangle, (A / 6,)),
        (filled, (X,)),
    ],
    ids=["windows", "triangle", "filled"],
)
def test_no_check_and_no_clamp_where_loops_tell(
    function: Callable[..., Any], args: tuple[Any, ...]
) -> None:
    same(function, *args)
    differentiable(function, *args)
    text = go.compile(function).lower(*args).mlir("grad")
    assert "grad.select" not in text
    assert "grad.less" not in text


def test_a_window_of_fixed_size_has_a_known_size() -> None:
    x, w = RNG.normal(size=(10, 10)), RNG.normal(size=(3, 3, 2))
    text = go.compile(windows).lower(x, w).mlir("grad")
    assert "sizes = [3, 3]" in text
    assert "?" not in text


# -- With all else -----------------------------------------------------------------------------


def total_of(u: Any, v: Any) -> Any:
    return u @ v + np.sum(u)


def test_functions_branches_and_masks() -> None:
    def f(x: Any, a: Any) -> Any:
        y = np.zeros(N)
        for i in range(N):
            if x[i] > 0:
                y[i] = total_of(x[:i], a[i, :i])
            elif len(x[:i]) > 4:
                y[:i] += x[:i] * 2.0
            part = x[:i].copy()
            part[part > 0.5] = 0.5
            part[~(part > 0.5)] *= 2.0
            y[i] += np.sum(part) + np.sum(x[:i][x[:i] > 0])
            for j in range(i):
                if a[i, j] > 2:
                    break
                y[j] += np.sum(a[i, j:i])
        return y

    same(f, X, A)
    differentiable(f, X, A)


def test_results_go_where_they_are_to_go() -> None:
    def f(x: Any, a: Any) -> Any:
        z = np.zeros(N)
        for i in range(N):
            np.add(x[:i], a[i, :i], out=z[:i])
            z[i:] = 0.0
            z[:i] *= np.sum(np.add.outer(x[:i], x[:i])) * 0.01
            z[1 : i + 1] = z[:i]
            z[:i], z[:i] = z[:i] * 2, z[:i] - 1
            z[:i].fill(x[0])
            np.copyto(z[i:], x[i:], where=x[i:] > 0)
        return z

    same(f, X, A)
    differentiable(f, X, A)


def test_a_while_that_makes_slices_longer() -> None:
    def f(x: Any) -> Any:
        n, total = 1, 0.0
        while total < 3:
            total += np.sum(x[:n] ** 2)
            n += 1
        return total

    same(f, X)
    differentiable(f, X)


def test_bodies_that_are_functions() -> None:
    def f(x: Any) -> Any:
        def body(i: Any, y: Any) -> Any:
            y[i] = np.sum(x[:i] * y[:i]) + x[i]
            return y

        return go.fori_loop(0, N, body, np.ones_like(x))

    np.testing.assert_allclose(go.compile(f)(X), f(X))
    traced = go.compile(f, capture="trace")
    np.testing.assert_allclose(traced(X), f(X))


@pytest.mark.parametrize("name", ["substitute", "cholesky", "durbin", "trmm"])
def test_second_derivatives_and_maps(name: str) -> None:
    kernel, args = KERNELS[NAMES.index(name)]
    compiled = go.compile(kernel)
    go.gradcheck(lambda *values: np.sum(np.sin(compiled(*values))), args, order=2)
    stacks = [np.stack([arg, 1.1 * arg, 0.9 * arg]) for arg in args]
    want = np.stack([kernel(*[stack[i] for stack in stacks]) for i in range(3)])
    np.testing.assert_allclose(go.compile(go.vmap(kernel))(*stacks), want, rtol=1e-10)
