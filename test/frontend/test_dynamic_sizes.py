# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""`dynamic=`: one code for all sizes of dimensions of arguments."""

import pickle
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from page_end import at_page_end

import gradopt as go
from gradopt import _gradopt
from gradopt.errors import (
    ArgumentError,
    ArgumentTypeError,
    MutationError,
    ShapeError,
    UnsupportedError,
)
from gradopt.ir.current import trace_count

MAX = 12
N = go.Dim("n", max=MAX)
MATRIX = np.random.default_rng(3).normal(size=(3, 3)) / 2

# Means and quotients of nothing.
pytestmark = [
    pytest.mark.filterwarnings("ignore:Mean of empty slice"),
    pytest.mark.filterwarnings("ignore:invalid value encountered"),
    pytest.mark.filterwarnings("ignore:Degrees of freedom"),
]


def same(got: Any, want: Any, rtol: float = 1e-11, atol: float = 1e-13) -> None:
    assert np.shape(got) == np.shape(want)
    assert np.asarray(got).dtype == np.asarray(want).dtype
    np.testing.assert_allclose(got, want, rtol=rtol, atol=atol)


# -- Values and derivatives --------------------------------------------------------------------
# Functions of arrays with n rows.


def mean_of_rows(x: Any) -> Any:
    return np.mean(x, axis=0) + x.shape[0]


def elementwise(x: Any) -> Any:
    return np.sin(x) * 2 + x.shape[0] / (1 + x.size)


def gram(x: Any) -> Any:
    return x.T @ x / max(len(x), 1)


def all_products(x: Any) -> Any:
    return np.tanh(x @ x.T)


def distances(x: Any) -> Any:
    return np.sqrt(np.sum((x[:, None, :] - x[None, :, :]) ** 2, axis=2) + 1)


def softmax(x: Any) -> Any:
    e = np.exp(x - np.max(x, axis=1, keepdims=True))
    return e / np.sum(e, axis=1, keepdims=True)


def deviation(x: Any) -> Any:
    return np.sqrt(np.var(x, axis=0) + 1)


def differences(x: Any) -> Any:
    return x[1:] * x[:-1]


def backwards(x: Any) -> Any:
    return x[::-1] * np.arange(len(x))[:, None]


def joined(x: Any) -> Any:
    return np.concatenate([x, x * 2, np.ones((3, 3))])


def ordered(x: Any) -> Any:
    return np.sort(x[:, 1]) * np.cumsum(x[:, 0])


def flattened(x: Any) -> Any:
    return x.reshape(-1)[::2] * 3


def changed(x: Any) -> Any:
    """A copy that is written to."""
    y = x.copy()
    y += 1
    y[0:2] *= 3
    y[:, 1] = np.sin(y[:, 0])
    return y


def positive_ones(x: Any) -> Any:
    """A size that is less than n."""
    y = x[:, 0]
    return np.sum(np.log1p(y[y > 0])) * y


def recurrence(x: Any) -> Any:
    """A loop over n."""
    h = np.zeros(3)
    for i in range(x.shape[0]):
        h = np.tanh(MATRIX @ h + x[i])
    return h


def smoothed(x: Any) -> Any:
    """A loop over n that writes to an array of this size."""
    y = np.zeros(len(x))
    for i in range(1, len(x)):
        if x[i, 0] < 0:
            continue
        y[i] = 0.5 * y[i - 1] + x[i, 0]
    return y


def columns(x: Any) -> Any:
    """Arrays with n columns."""
    scores = np.cumsum(MATRIX @ x.T, axis=1)
    return np.concatenate([scores / (1 + np.sum(scores**2, axis=0)), x.T[:2].copy()])


def over_rows(x: Any) -> Any:
    total = 0.0
    for row in x:
        total = total + np.sum(row) ** 3
    return total


PROGRAMS: list[Callable[..., Any]] = [
    *(mean_of_rows, elementwise, gram, all_products, distances, softmax, deviation, differences),
    *(backwards, joined, ordered, flattened, changed, positive_ones),
    *(recurrence, smoothed, columns, over_rows),
]


# What has n rows and n columns needs to know a largest size.
BOUNDED = {all_products, distances}


@pytest.mark.parametrize(
    ("f", "most"),
    [*[(f, 70) for f in PROGRAMS], *[(f, None) for f in PROGRAMS if f not in BOUNDED]],
    ids=lambda part: getattr(part, "__name__", str(part)),
)
def test_values_and_derivatives_of_all_sizes(f: Callable[..., Any], most: int | None) -> None:
    """Fewer rows than a tile of a product has, and more. No array is read beyond its end."""

    def loss(x: Any) -> Any:
        return np.sum(np.sin(f(x)))

    def everything(x: Any, t: Any) -> Any:
        value, pull = go.vjp(f, x)
        gradient, product = go.jvp(go.grad(loss), (x,), (t,))
        return value, go.jvp(f, (x,), (t,))[1], pull(np.cos(value))[0], gradient, product

    dims = {"x": {0: go.Dim("n", max=most)}, "t": {0: "n"}}
    compiled = go.compile(everything, dynamic=dims)
    rng = np.random.default_rng(1)
    before = 0
    for n in (5, 0, 1, 2, 33, 70) if most else (5, 0, 1, 33, 64, 65):
        x, t = (at_page_end(rng.uniform(-1, 1, size=(n, 3))) for _ in range(2))
        compiled(*[np.full((70, 3), np.nan)] * 2)  # What it leaves in memory is not read.
        value, tangent, cotangent, gradient, product = compiled(x, t)
        before = before or trace_count()
        same(value, f(x))
        # The cotangent is cos(value), as in the gradient of the loss.
        same(cotangent, gradient)
        if n:
            eps = 1e-6
            same(tangent, (f(x + eps * t) - f(x - eps * t)) / (2 * eps), 1e-6, 1e-8)
            slope = (loss(x + eps * t) - loss(x - eps * t)) / (2 * eps)
            np.testing.assert_allclose(np.sum(gradient * t), slope, rtol=1e-6, atol=1e-8)
            ends = [compiled(x + s * t, t)[3] for s in (eps, -eps)]
            same(product, (ends[0] - ends[1]) / (2 * eps), 1e-5, 1e-7)
        assert gradient.shape == product.shape == x.shape
    assert compiled.cache_size() == 1
    assert trace_count() == before
    assert (compiled.compiled()[0].open_sizes is None) == (most is not None)
    assert all(loop.is_rolled for loop in compiled.lower(x, t).loops())


def loss_of_layers(params: Any, x: Any, labels: Any) -> Any:
    """Softmax cross entropy of a network with one hidden layer."""
    hidden = np.maximum(x @ params["w"] + params["b"], 0)
    scores = np.tanh(hidden @ params["v"] + params["c"])
    highest = np.max(scores, axis=1, keepdims=True)
    normal = np.log(np.sum(np.exp(scores - highest), axis=1)) + highest[:, 0]
    return np.mean(normal - scores[np.arange(len(labels)), labels])


def layers(rng: Any) -> dict[str, Any]:
    return {
        "w": rng.normal(size=(6, 8)),
        "b": rng.normal(size=8),
        "v": rng.normal(size=(8, 4)),
        "c": rng.normal(size=4),
    }


def test_batches_of_a_network() -> None:
    rng = np.random.default_rng(2)
    params = layers(rng)
    dims = {"x": {0: go.Dim("n", max=100)}, "labels": {0: "n"}}
    step = go.compile_value_and_grad(loss_of_layers, argnums=(0, 1), dynamic=dims)
    for n in (32, 1, 100, 77):
        x, labels = at_page_end(rng.normal(size=(n, 6))), at_page_end(rng.integers(0, 4, size=n))
        value, (grads, towards) = step(params, x, labels)
        same(value, loss_of_layers(params, x, labels))
        want, (want_grads, want_towards) = go.value_and_grad(loss_of_layers, (0, 1))(
            params, x, labels
        )
        same(value, want)
        same(towards, want_towards)
        for name, grad in grads.items():
            same(grad, want_grads[name])
    assert step.cache_size() == 1
    value, (grads, towards) = step(params, x[:0], labels[:0])
    assert np.isnan(value)
    assert towards.shape == (0, 6)


@pytest.mark.parametrize("dtype", [np.float32, np.complex128, np.int32, np.uint8, np.bool_])
def test_dtypes(dtype: Any) -> None:
    def f(x: Any) -> Any:
        return np.sum(x, axis=0), x[1:] * 2, x.T @ np.ones(len(x))

    compiled = go.compile(f, dynamic={0: {0: N}})
    rng = np.random.default_rng(4)
    for n in (3, 1, 0, MAX):
        x = at_page_end((rng.normal(size=(n, 2)) * 3 > 0) * rng.integers(1, 99, (n, 2)))
        x = at_page_end(x.astype(dtype))
        for got, want in zip(compiled(x), f(x), strict=True):
            same(got, want, 1e-6)
    assert compiled.cache_size() == 1


# -- Which dimensions --------------------------------------------------------------------------


def test_other_axes_and_several_sizes() -> None:
    def f(a: Any, b: Any) -> Any:
        return a @ b * a.shape[1], np.sum(a, axis=1), len(b)

    dims = {"a": {0: go.Dim("m", max=7), -1: go.Dim("k", max=9)}, "b": {0: "k", 1: go.Dim("n", 5)}}
    compiled = go.compile(f, dynamic=dims)
    gradient = go.compile_grad(
        lambda a, b: np.sum(np.sin(f(a, b)[0])), (0, 1), dynamic={0: dims["a"], 1: dims["b"]}
    )
    rng = np.random.default_rng(5)
    for m, k, n in [(2, 3, 4), (7, 9, 5), (0, 1, 1), (1, 0, 5), (6, 2, 0)]:
        a, b = at_page_end(rng.normal(size=(m, k))), at_page_end(rng.normal(size=(k, n)))
        for got, want in zip(compiled(a, b), f(a, b), strict=True):
            same(got, want)
        to_a, to_b = gradient(a, b)
        slope = np.cos(a @ b * k) * k
        same(to_a, slope @ b.T)
        same(to_b, a.T @ slope)
    assert compiled.cache_size() == gradient.cache_size() == 1


def test_a_square() -> None:
    """One size along both dimensions, which is known to be the same."""

    def f(a: Any) -> Any:
        return a + a.T @ a - np.eye(3)[0, 1]

    compiled = go.compile(f, dynamic={"a": {0: N, 1: N}})
    lowered = compiled.lower(MATRIX)
    assert not lowered.checks
    for n in (3, 1, MAX):
        a = np.arange(float(n * n)).reshape(n, n)
        same(compiled(a), f(a))
    with pytest.raises(ArgumentError, match="dimension 0 of a is 2 and dimension 1 of a is 3"):
        compiled(np.ones((2, 3)))


def test_containers_and_names() -> None:
    def f(batch: Any, scale: Any, *rest: Any, weights: Any) -> Any:
        total = np.sum(batch["x"] @ batch["w"][0]) * scale + np.sum(weights * batch["x"][:, 0])
        return total + np.sum(rest[0][0]) + rest[0][1]

    dims = {"batch": {"x": {0: "n"}}, "weights": {0: N}, 2: [{0: go.Dim("k", max=3)}, None]}
    compiled = go.compile(f, dynamic=dims)
    for n, k in [(4, 2), (2, 3), (0, 0)]:
        batch, weights = {"w": [np.ones(3)], "x": np.full((n, 3), 2.0)}, np.full(n, 3.0)
        got = compiled(batch, 0.5, [np.ones(k), 1.5], weights=weights)
        assert got == f(batch, 0.5, [np.ones(k), 1.5], weights=weights)
    assert compiled.cache_size() == 1


def test_all_arrays_of_an_argument() -> None:
    def f(state: Any, t: int) -> Any:
        return {name: x[:t] * 2 for name, x in state.items()}

    compiled = go.compile(f, dynamic={0: {0: N}})
    for n in (5, 3):
        state = {"a": np.arange(float(n)), "b": np.ones((n, 2))}
        # An integer that a size depends on selects code, beside them.
        for t in (2, 4, 2):
            got = compiled(state, t)
            same(got["a"], state["a"][:t] * 2)
            same(got["b"], state["b"][:t] * 2)
    assert compiled.cache_size() == 2


def test_layouts() -> None:
    """Arrays that compiled code cannot read where they are."""
    compiled = go.compile(lambda x: x * 2 + np.sum(x), dynamic={"x": {0: N}})
    x = np.arange(48.0).reshape(8, 6)
    swapped = x.astype(x.dtype.newbyteorder())
    for view in (x[:, ::2], x[::3, :3], swapped[:4, :3], x[::-1, 3:], np.asfortranarray(x[:5, :3])):
        same(compiled(view), (view * 2 + np.sum(view)).astype(float))
    assert compiled.cache_size() == 1


# -- One code ----------------------------------------------------------------------------------


def test_calls_allocate_nothing_but_results() -> None:
    rng = np.random.default_rng(6)
    params = layers(rng)
    dims = {"x": {0: go.Dim("n", max=64)}, "labels": {0: "n"}}
    step = go.compile_value_and_grad(loss_of_layers, dynamic=dims)
    x, labels = rng.normal(size=(64, 6)), rng.integers(0, 4, size=64)
    memory = step.lower(params, x[:3], labels[:3]).memory()
    assert memory == step.lower(params, x, labels).memory()
    assert memory.arguments == sum(p.nbytes for p in params.values()) + x.nbytes + labels.nbytes + 8
    assert memory.arena >= x.nbytes
    step(params, x[:3], labels[:3])
    traces, allocations = trace_count(), _gradopt.alloc_count()
    copies = _gradopt.staged_copy_count()
    for n in (64, 1, 40, 0, 17):
        step(params, x[:n], labels[:n])
    assert (trace_count(), _gradopt.alloc_count()) == (traces, allocations)
    assert _gradopt.staged_copy_count() == copies


def test_sizes_without_a_largest_value() -> None:
    """One code has room for any number of rows."""
    rng = np.random.default_rng(8)
    params = layers(rng)
    step = go.compile_value_and_grad(
        loss_of_layers, argnums=(0, 1), dynamic={"x": {0: "n"}, "labels": {0: go.Dim("n")}}
    )
    fixed = go.value_and_grad(loss_of_layers, (0, 1))
    traces: list[int] = []
    for n in (1, 64, 0, 65, 2, 128, 300, 512, 7):
        x, labels = at_page_end(rng.normal(size=(n, 6))), at_page_end(rng.integers(0, 4, size=n))
        before = trace_count()
        value, (grads, towards) = step(params, x, labels)
        traces.append(trace_count() - before)
        assert towards.shape == x.shape
        if not n:
            assert np.isnan(value)
            continue
        want, (want_grads, want_towards) = fixed(params, x, labels)
        same(value, want)
        same(towards, want_towards)
        for name, grad in grads.items():
            same(grad, want_grads[name])
    assert traces == [1, 0, 0, 0, 0, 0, 0, 0, 0]
    before = trace_count(), _gradopt.alloc_count()
    for n in (512, 1, 300):
        step(params, np.ones((n, 6)), np.zeros(n, int))
    assert (trace_count(), _gradopt.alloc_count()) == before
    assert step.cache_size() == 1
    again = pickle.loads(pickle.dumps(step))
    same(again(params, x, labels)[0], value)


def test_memory_is_a_function_of_sizes() -> None:
    """The arena's bytes, those of arguments, and of results."""
    f = go.compile(lambda x: go.grad(lambda y: np.sum(np.tanh(y @ MATRIX) ** 2))(x), dynamic=ROWS)
    sizes = [f.lower(np.ones((n, 3))).memory() for n in (1, 64, 65, 6400)]
    assert sizes[0] == sizes[1]
    known, step = sizes[1].arena, sizes[2].arena - sizes[1].arena
    assert 64 * 3 * 8 <= step < 10 * 64 * 3 * 8
    assert sizes[3].arena == known + 99 * step
    # And a number of rows.
    assert [m.outputs - 8 for m in sizes] == [64 * 24, 64 * 24, 128 * 24, 6400 * 24]
    result = f(np.ones((5, 3)))
    assert result.shape == (5, 3)
    assert result.base is None or result.base.shape == (64, 3)
    # What one call needs stays for smaller ones; a larger one gets another.
    f(np.ones((6400, 3)))
    held, count = _gradopt.arena_bytes(), _gradopt.alloc_count()
    assert held >= sizes[3].arena
    f(np.ones((5, 3)))
    f(np.ones((6400, 3)))
    assert (_gradopt.arena_bytes(), _gradopt.alloc_count()) == (held, count)
    f(np.ones((64000, 3)))
    assert _gradopt.arena_bytes() >= 9 * sizes[3].arena
    assert _gradopt.alloc_count() == count + 1


def test_threads_with_arrays_of_their_own_sizes() -> None:
    """Each makes the arena larger, while others compute in theirs."""
    f = go.compile(lambda x: go.grad(lambda y: np.sum(np.tanh(y @ MATRIX) ** 2))(x), dynamic=ROWS)
    f(np.ones((1, 3)))

    def run(seed: int) -> None:
        for n in range(seed, 4000, 397):
            x = np.random.default_rng(n).normal(size=(n, 3))
            y = np.tanh(x @ MATRIX)
            same(f(x), (2 * y * (1 - y**2)) @ MATRIX.T)

    with ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(run, seed) for seed in (1, 64, 100, 300)]:
            done.result()
    assert f.cache_size() == 1


@pytest.mark.parametrize("n", [0, 1, 63, 64, 65, 1000])
def test_sizes_that_are_made_of_others(n: int) -> None:
    """Larger and smaller ones, sums and parts of open sizes; each compiled once."""
    x, y = np.random.default_rng(n).normal(size=(2, n, 3))
    y = y[: n // 2]
    for f, args in MADE.items():
        same(f(at_page_end(x), at_page_end(y)), args(x, y))
        assert f.cache_size() == 1
        assert f.compiled()[0].open_sizes is not None


def at_least_a_hundred(x: Any, y: Any) -> Any:
    z = np.ones(np.maximum(len(x), 100))
    z[: len(x)] = x[:, 0]
    return np.cumsum(z)


def of_two_sizes(x: Any, y: Any) -> Any:
    z = np.zeros(np.maximum(len(x), len(y) + 200))
    z[: len(y)] += np.sum(y, axis=1)
    z[: len(x)] *= np.sum(x, axis=1)
    return z


def behind_each_other(x: Any, y: Any) -> Any:
    return np.concatenate([np.tanh(x), y, x, np.ones((2, 3))])


def thirds(x: Any, y: Any) -> Any:
    return np.sin(x[::3]).sum(axis=1) + x[::3, 0]


def tiles(x: Any, y: Any) -> Any:
    return go.vmap(lambda r: np.sum(np.sin(r)) * r)(x)


def selected(x: Any, y: Any) -> Any:
    z = x[:, 0]
    return z[z > 0] * np.argmax(np.append(z, 9.0))


def second_derivatives(x: Any, y: Any) -> Any:
    return go.hessian(lambda w: np.sum(np.tanh(x @ w) ** 2))(MATRIX[0])


def their_formula(x: Any, y: Any) -> Any:
    t = np.tanh(x @ MATRIX[0])
    return x.T @ ((2 - 8 * t**2 + 6 * t**4)[:, None] * x)


def different_ones(x: Any, y: Any) -> Any:
    return np.unique(np.round(np.concatenate([x, y]), 1)) + np.median(np.append(x[:, 0], 1.0))


def order_of_rows(x: Any, y: Any) -> Any:
    return np.argsort(x, axis=1) + np.argsort(x[:, 1])[:, None]


ROWS: Any = {"x": {0: "n"}}
MADE: dict[Any, Any] = {
    go.compile(f, dynamic={"x": {0: "n"}, "y": {0: "m"}}): f
    for f in (
        *(at_least_a_hundred, of_two_sizes, behind_each_other, thirds, tiles, selected),
        *(different_ones, order_of_rows),
    )
}
MADE[go.compile(second_derivatives, dynamic={"x": {0: "n"}, "y": {0: "m"}})] = their_formula


@pytest.mark.parametrize("number", [_gradopt.OPEN_SIZE, 3 * _gradopt.OPEN_SIZE // 32 + 1])
def test_numbers_that_stand_for_room(number: int) -> None:
    """They mean what they say where the user wrote them."""

    def f(x: Any) -> Any:
        return x[:number] * np.minimum(number, 7), np.arange(3) + number

    compiled = go.compile(f, dynamic=ROWS)
    x = np.arange(100.0)
    for got, want in zip(compiled(x), f(x), strict=True):
        same(got, want)
    assert compiled.compiled()[0].open_sizes is None


def test_what_needs_a_largest_size() -> None:
    """Code has room for a power of two, and is made again where a call needs more."""
    for f in (*BOUNDED, lambda x: np.sort(x, axis=0)):
        compiled = go.compile(f, dynamic=ROWS)
        traces: list[int] = []
        for n in (1, 64, 65, 2, 128, 200):
            x = at_page_end(np.random.default_rng(n).normal(size=(n, 3)))
            before = trace_count()
            same(compiled(x), f(x))
            traces.append(trace_count() - before)
        assert traces == [2, 0, 1, 0, 0, 1]
        assert compiled.cache_size() <= 1


def test_growth_along_other_axes_and_in_lists() -> None:
    """Calls that Python code takes apart."""

    def f(parts: Any, w: Any) -> Any:
        return np.sum(parts[0] @ parts[1]) * w.shape[1]

    f_of = go.compile(f, dynamic={0: [{1: "k"}, {0: "k"}], "w": {1: go.Dim("m")}})
    for k, m in [(3, 1), (70, 2), (64, 65), (5, 3)]:
        args = [at_page_end(np.ones((2, k))), at_page_end(np.ones(k))], np.ones((1, m))
        assert f_of(*args) == f(*args)
    assert f_of.cache_size() == 1
    lowered = f_of.lower([np.ones((2, 3)), np.ones(3)], np.ones((1, 2)))
    assert "float64[2, Dim('k', max=128)]" in repr(lowered)
    with pytest.raises(ArgumentError, match="is 129, but the size 'k' is at most 128"):
        lowered.compile()([np.ones((2, 129)), np.ones(129)], np.ones((1, 2)))
    with pytest.raises(ArgumentError, match="both are of the size 'k'"):
        f_of([np.ones((2, 200)), np.ones(3)], np.ones((1, 2)))
    # A static argument that is found to be one in a call that needs more.
    g = go.compile(lambda x, k: np.sum(x[:, None] * np.ones(k)), dynamic={"x": {0: "n"}})
    for n, k in [(3, 2), (100, 3), (100, 2), (7, 3)]:
        assert g(np.ones(n), k) == n * k


def test_only_what_is_in_use_is_filled() -> None:
    """No loop goes over all that there is room for, and nothing of it is copied."""

    def loss(w: Any, x: Any, y: Any) -> Any:
        return np.mean((np.tanh(x @ w) @ np.ones(4) - y) ** 2)

    dims = {"x": {0: go.Dim("n", max=4096)}, "y": {0: "n"}}
    step = go.compile_grad(loss, argnums=(0, 1), dynamic=dims)
    w, x, y = np.ones((6, 4)), np.ones((2, 6)), np.ones(2)
    for line in step.lower(w, x, y).mlir("bufferized").splitlines():
        assert not ("4096x" in line and ("linalg.fill" in line or "memref.copy" in line))
    # What was written to the rows before is not in the results of a call with more rows.
    step(w, np.full((4000, 6), 9.0), np.zeros(4000))
    for got, want in zip(step(w, x, y), go.grad(loss, (0, 1))(w, x, y), strict=True):
        same(got, want)


def test_lowered_code_runs_for_all_sizes() -> None:
    lowered = go.compile(recurrence, dynamic={"x": {0: N}}).lower(np.ones((2, 3)))
    assert "float64[Dim('n', max=12), 3]" in repr(lowered)
    run = lowered.compile()
    for n in (4, 0):
        x = np.full((n, 3), 0.25)
        same(run(x), recurrence(x))
    with pytest.raises(ArgumentError, match=r"expected shape \(12, 3\) at x, but got"):
        run(np.ones((2, 4)))


def test_other_differences_make_other_code() -> None:
    compiled = go.compile(mean_of_rows, dynamic={"x": {0: N}})
    for n in (2, 3):
        for x in (np.ones((n, 3)), np.ones((n, 4)), np.ones((n, 3), np.float32), np.ones(n)):
            same(compiled(x), mean_of_rows(x), 1e-6)
    assert compiled.cache_size() == 4


def test_pickled_functions_keep_it() -> None:
    compiled = pickle.loads(pickle.dumps(go.compile(mean_of_rows, dynamic={"x": {0: N}})))
    for n in (2, 3):
        same(compiled(np.ones((n, 3))), np.full(3, 1.0 + n))
    assert compiled.cache_size() == 1


def test_within_other_functions() -> None:
    """There the sizes of arrays are those of the caller's."""
    inner = go.compile(np.sin, dynamic={0: {0: N}})
    x = np.linspace(0, 1, 20)
    same(go.compile(lambda x: inner(x) * 2)(x), np.sin(x) * 2)
    same(go.vmap(inner)(x.reshape(4, 5)), np.sin(x.reshape(4, 5)))


# -- Errors ------------------------------------------------------------------------------------


def f_of_two(x: Any, y: Any) -> Any:
    return np.sum(x) + np.sum(y)


def test_sizes_that_do_not_fit() -> None:
    compiled = go.compile(f_of_two, dynamic={"x": {0: N}, "y": {1: "n"}})
    assert compiled(np.ones(3), np.ones((2, 3))) == 9
    for _ in range(2):  # Whether there is code already or not.
        with pytest.raises(
            ArgumentError,
            match="dimension 0 of x is 3 and dimension 1 of y is 4, but both are of the size 'n'",
        ):
            compiled(np.ones(3), np.ones((2, 4)))
        with pytest.raises(
            ArgumentError, match="dimension 0 of x is 13, but the size 'n' is at most 12"
        ):
            compiled(np.ones(13), np.ones((2, 13)))
        compiled.cache_clear()
    with pytest.raises(ArgumentError, match=r"dimension 1 of y, which has shape \(3,\)"):
        compiled(np.ones(3), np.ones(3))
    with pytest.raises(ArgumentTypeError, match="names dimensions of x, which is no array"):
        compiled(2.0, np.ones((2, 3)))


def products(x: Any, y: Any) -> Any:
    return x * y


def chosen_ones(x: Any, y: Any) -> Any:
    return np.sum(np.where(x > 0, x, y))


def transposed_product(x: Any, y: Any) -> Any:
    return x.T @ y


def written_part(x: Any, y: Any) -> Any:
    z = y.copy()
    z[:] = x
    return z


def beside(x: Any, y: Any) -> Any:
    return np.concatenate([x, y], axis=1)


def looked_up(x: Any, y: Any) -> Any:
    return np.arange(7.0)[(x[:, 0] + y[:, 0]).astype(int)]


@pytest.mark.parametrize(
    "f",
    [products, chosen_ones, transposed_product, written_part, beside, looked_up],
    ids=lambda f: f.__name__,
)
def test_sizes_that_differ_in_the_function(f: Callable[..., Any]) -> None:
    """What is not known to be equal is compared in the call, in which the smaller one is not read
    beyond its end."""
    dims = {"x": {0: go.Dim("n", max=1000)}, "y": {0: go.Dim("m", max=1000)}}
    compiled = go.compile(f, dynamic=dims)
    # Of several pages.
    long, short = at_page_end(np.ones((50, 400))), at_page_end(np.ones((3, 400)))
    same(compiled(short, short), f(short, short))
    for args in ((long, short), (short, long), (long, short[:0])):
        with pytest.raises(ShapeError):
            compiled(*args)


@pytest.mark.parametrize("n", [0, 3])
def test_indices_out_of_bounds(n: int) -> None:
    x = at_page_end(np.ones((n, 400)))
    for f, index in [
        (lambda x, k: x[k], 900),
        (lambda x, k: x[k], np.array([0, 900])),
        (lambda x, k: sum(np.sum(x[i]) for i in range(k)), 900),
        (lambda x, k: x[5] * k, 1),
    ]:
        with pytest.raises(IndexError, match="out of bounds"):
            go.compile(f, dynamic={"x": {0: go.Dim("n", max=1000)}})(x, index)


@pytest.mark.parametrize(
    ("dynamic", "kind", "message"),
    [
        ({"z": {0: N}}, ArgumentError, "the function has no parameter 'z'"),
        ({2: {0: N}}, ArgumentError, "the function has no positional parameter 2"),
        ({-3: {0: N}}, ArgumentError, "the function has no positional parameter -3"),
        ({"x": {0: N}, 0: {1: N}}, ArgumentError, "names the argument x twice"),
        ({"x": {0: N}, "y": {0: go.Dim("n", 5)}}, ArgumentError, "two largest values, 12 and 5"),
        ({"x": {0.5: N}}, ArgumentTypeError, "names dimensions by integers, not 0.5"),
        ({"x": N}, ArgumentTypeError, "as a dict from axes to sizes"),
        ([N], ArgumentTypeError, "dynamic must be a dict"),
        ({None: {0: N}}, ArgumentTypeError, "by name or position, not None"),
    ],
)
def test_options_that_say_nothing(dynamic: Any, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        go.compile(f_of_two, dynamic=dynamic)


def test_dims() -> None:
    assert repr(N) == "Dim('n', max=12)"
    assert go.Dim("n", np.int64(12)) == N
    wrong: list[Any] = [(3,), ("n", 1.5), ("n", True)]
    for given in wrong:
        with pytest.raises(ArgumentTypeError):
            go.Dim(*given)
    wrong = [("",), ("n", 0)]
    for given in wrong:
        with pytest.raises(ArgumentError):
            go.Dim(*given)


def test_entries_that_are_not_there() -> None:
    ones = np.ones(3)
    for said, value, message in [
        ({"a": {0: N}}, {"b": ones}, r"names x\['a'\], which is not there"),
        ([{0: N}], ones, "names entries of x, which is an array"),
    ]:
        with pytest.raises(ArgumentError, match=message):
            go.compile(f_of_two, dynamic={"x": said})(value, ones)


def test_what_is_not_supported() -> None:
    dims = {"x": {0: N}}
    with pytest.raises(UnsupportedError, match="x cannot be donated"):
        go.compile(f_of_two, dynamic=dims, donate_argnums=0)
    with pytest.raises(ArgumentError, match="x is static"):
        go.compile(f_of_two, dynamic=dims, static_argnums=0)


def test_arguments_that_are_written_to() -> None:
    def f(x: Any, y: Any) -> Any:
        y[0] = len(x)
        return np.sum(x)

    x, y = np.ones(3), np.zeros(2)
    compiled = go.compile(f, dynamic={"x": {0: N}})
    assert compiled(x, y) == 3
    assert y[0] == 3

    def g(x: Any) -> Any:
        x[0] = 1.0
        return x

    with pytest.raises(MutationError, match="changes the argument x; assign to a copy"):
        go.compile(g, dynamic={"x": {0: N}})(x)


# -- Compiled transforms -----------------------------------------------------------------------


def test_compiled_products() -> None:
    def f(x: Any, w: Any) -> Any:
        return np.tanh(x @ w)

    rng = np.random.default_rng(7)
    w, v = rng.normal(size=(3, 2)), rng.normal(size=(3, 2))
    pull = go.compile_vjp(f, dynamic={"primals": [{0: N}, None], "cotangent": {0: "n"}})
    push = go.compile_jvp(f, dynamic={"primals": [{0: N}], "tangents": ({0: "n"}, None)})
    for n in (4, 0, 1):
        x, t, c = (rng.normal(size=shape) for shape in ((n, 3), (n, 3), (n, 2)))
        slope = 1 - f(x, w) ** 2
        value, (to_x, to_w) = pull((x, w), c)
        same(value, f(x, w))
        same(to_x, (c * slope) @ w.T)
        same(to_w, x.T @ (c * slope))
        value, tangent = push((x, w), (t, v))
        same(value, f(x, w))
        same(tangent, slope * (t @ w + x @ v))
    assert pull.cache_size() == push.cache_size() == 1
    with pytest.raises(ArgumentError, match="both are of the size 'n'"):
        pull((np.ones((3, 3)), w), np.ones((2, 2)))
