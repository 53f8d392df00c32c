# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""vmap: axes, structures, nesting with other transforms, and what it refuses."""

from __future__ import annotations

import pickle
import re
from typing import Any, NamedTuple

import hypothesis.strategies as st
import numpy as np
import pytest
from budget import by_hypothesis, generator
from hypothesis import given

import gradopt as go
from gradopt.errors import ArgumentError, ArgumentTypeError, TraceIndexError

RNG = generator(11)
X = RNG.normal(size=(4, 3))
W = RNG.normal(size=3)


def close(got: Any, want: Any) -> None:
    np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-13)


def model(x: Any, w: Any) -> Any:
    return np.tanh(x @ w) * np.sum(w**2)


def test_mapped_and_whole_arguments() -> None:
    close(go.vmap(model, (0, None))(X, W), [model(x, W) for x in X])
    close(go.vmap(model, (1, None))(X.T.copy(), W), [model(x, W) for x in X])
    close(go.vmap(model, in_axes=(-1, None))(X.T.copy(), W), [model(x, W) for x in X])
    close(go.vmap(model)(X, 2 * X), [model(x, 2 * x) for x in X])


def test_axes_of_results() -> None:
    def f(x: Any) -> Any:
        return np.sin(x), x[1:] * x[0], x.sum()

    three = go.vmap(f, out_axes=(1, -1, 0))(X)
    close(three[0], np.sin(X).T)
    close(three[1], np.stack([x[1:] * x[0] for x in X], 1))
    close(three[2], X.sum(1))


def test_what_is_not_mapped_is_there_once() -> None:
    def f(x: Any, w: Any) -> Any:
        return {"once": np.exp(w), "each": x * w}

    result = go.vmap(f, (0, None), {"each": 0, "once": None})(X, W)
    assert result["once"].shape == (3,)
    close(result["once"], np.exp(W))
    close(result["each"], X * W)
    close(go.vmap(f, (0, None))(X, W)["once"], np.stack([np.exp(W)] * 4))


def test_axes_are_prefixes_of_structures() -> None:
    class Pair(NamedTuple):
        a: Any
        b: Any

    def f(p: Pair, rest: Any) -> Any:
        return p.a["u"] * rest[0] + p.b @ p.b, [rest[1]["v"], None]

    pair = Pair({"u": X.T.copy()}, X)
    rest = [np.arange(4.0), {"v": 2.5}]
    axes = (Pair({"u": 1}, 0), [0, None])
    got, (v, none) = go.vmap(f, axes, (0, [None, None]))(pair, rest)
    close(got, [X[i] * i + X[i] @ X[i] for i in range(4)])
    assert none is None
    assert v == 2.5
    got, _ = go.vmap(f, [Pair(-1, 0), [0, None]])(pair, rest)
    close(got, [X[i] * i + X[i] @ X[i] for i in range(4)])


def test_keyword_arguments_are_mapped_over_their_first_axis() -> None:
    def f(x: Any, *, scale: Any) -> Any:
        return x * scale

    close(go.vmap(f)(X, scale=np.arange(4.0)), X * np.arange(4.0)[:, None])


def test_elements_are_scalars_where_rows_are_numbers() -> None:
    def f(x: Any) -> Any:
        assert x.shape == ()
        assert isinstance(x, np.float64)
        return 2 * x

    close(go.vmap(f)(W), 2 * W)


def test_dtypes_are_kept() -> None:
    got = go.vmap(lambda x, n: (x * 2, n + 1, n > 1))(W.astype(np.float32), np.arange(3))
    assert [g.dtype for g in got] == [np.float32, np.int64, bool]


def test_axis_size_without_a_mapped_argument() -> None:
    got = go.vmap(lambda w: 2 * w, None, axis_size=5)(W)
    close(got, np.stack([2 * W] * 5))
    assert go.vmap(lambda w: 2 * w, None, axis_size=0)(W).shape == (0, 3)


@pytest.mark.parametrize("size", [0, 1])
def test_small_batches(size: int) -> None:
    def f(x: Any) -> Any:
        return np.tanh(x), np.cumsum(x)[::-1], x.max(), x[np.argmin(x)]

    got = go.vmap(f)(X[:size])
    want = [f(x) for x in X[:size]]
    for i, part in enumerate(got):
        assert part.shape[0] == size
        if size:
            close(part[0], want[0][i])


def test_nested_over_different_axes() -> None:
    a, b = RNG.normal(size=(3, 4, 5)), RNG.normal(size=(5, 2))

    def dot(x: Any, y: Any) -> Any:
        return x @ y

    pairs = go.vmap(go.vmap(dot, (None, 1)), (0, None))
    close(pairs(a[0], b), a[0] @ b)
    close(go.vmap(pairs, (1, None), 2)(a, b), np.stack([a[:, i] @ b for i in range(4)], 2))


def loss(w: Any, x: Any, y: Any) -> Any:
    return (np.tanh(x @ w) - y) ** 2


def gradient_of_loss(w: Any, x: Any, y: Any) -> Any:
    out = np.tanh(x @ w)
    return 2 * (out - y) * (1 - out**2) * x


Y = RNG.normal(size=4)


def test_maps_of_gradients() -> None:
    """Gradients of single examples, those that a batch's gradient hides."""
    want = np.stack([gradient_of_loss(W, x, y) for x, y in zip(X, Y, strict=True)])
    close(go.vmap(go.grad(loss), (None, 0, 0))(W, X, Y), want)
    values, gradients = go.vmap(go.value_and_grad(loss), (None, 0, 0))(W, X, Y)
    close(values, [loss(W, x, y) for x, y in zip(X, Y, strict=True)])
    close(gradients, want)


def test_gradients_of_maps() -> None:
    def total(w: Any) -> Any:
        return go.vmap(loss, (None, 0, 0))(w, X, Y).sum()

    close(go.grad(total)(W), sum(gradient_of_loss(W, x, y) for x, y in zip(X, Y, strict=True)))
    assert go.gradcheck(total, (W,), order=2)


def test_maps_of_directional_derivatives() -> None:
    directions = RNG.normal(size=(5, 3))

    def push(v: Any) -> Any:
        return go.jvp(lambda w: loss(w, X[0], Y[0]), (W,), (v,))[1]

    close(go.vmap(push)(directions), directions @ gradient_of_loss(W, X[0], Y[0]))

    def pushed(x: Any, v: Any) -> Any:
        return go.jvp(go.vmap(np.sin), (x,), (v,))[1]

    close(go.compile(pushed)(X, X), np.cos(X) * X)


def test_maps_of_pullbacks() -> None:
    def f(w: Any) -> Any:
        _, pullback = go.vjp(lambda v: np.sin(X @ v), w)
        (rows,) = go.vmap(pullback)(np.eye(4))
        return rows

    close(go.compile(f)(W), np.cos(X @ W)[:, None] * X)


def test_closures_are_not_mapped() -> None:
    def outer(w: Any, x: Any) -> Any:
        scale = np.exp(w)
        return go.vmap(lambda row: row * scale)(x)

    close(go.compile(outer)(W, X), X * np.exp(W))
    rows = go.vmap(lambda w: outer(w, X))(X)
    close(rows, np.stack([X * np.exp(w) for w in X]))


def test_indices_that_differ() -> None:
    table = RNG.normal(size=(6, 3))
    where = np.array([5, 0, -1, 2])
    close(go.vmap(lambda i: go.numpy.take(table, i, axis=0))(where), table[where])
    close(go.vmap(lambda t, i: t[i], (None, 0))(table, where), table[where])
    columns = np.array([2, 0, 1, 1])
    close(go.vmap(lambda x, i: x[i])(X, columns), X[np.arange(4), columns])

    def write(x: Any, i: Any, v: Any) -> Any:
        y = x.copy()
        y[i] = v
        y[::2] += 1
        return y

    want = X.copy()
    want[np.arange(4), columns] = Y
    want[:, ::2] += 1
    close(go.vmap(write)(X, columns, Y), want)


def test_an_index_out_of_bounds_in_one_element_is_found() -> None:
    def pick(x: Any, i: Any) -> Any:
        return x[i]

    with pytest.raises(TraceIndexError, match="index 7 is out of bounds for axis 0 with size 3"):
        go.vmap(pick)(X, np.array([0, 1, 7, 9]))
    with pytest.raises(TraceIndexError, match="index 3 is out of bounds"):
        go.vmap(pick, (0, None))(X, 3)
    assert go.vmap(pick)(X[:0], np.zeros(0, int)).shape == (0,)


def test_a_map_compiles_once_and_pickles() -> None:
    mapped = go.compile(go.vmap(model, (0, None)))
    close(mapped(X, W), [model(x, W) for x in X])
    again = pickle.loads(pickle.dumps(go.vmap(model, (0, None))))
    close(again(X, W), mapped(X, W))
    assert repr(again) == "vmap<model>"


def test_a_map_is_one_program_without_loops() -> None:
    text = go.compile(go.vmap(model, (0, None))).lower(X, W).mlir("adjoint")
    assert "scf." not in text
    assert text.count("grad.dot_general") == 1
    # What does not depend on a mapped argument is computed once.
    assert re.search(r"grad.square %\w+ : tensor<3xf64>", text)


ERRORS: list[tuple[Any, tuple[Any, ...], str]] = [
    (
        go.vmap(model),
        (X, W),
        "different sizes: x has size 4 along axis 0, but w has size 3 along axis 0",
    ),
    (
        go.vmap(model, (1, None), axis_size=4),
        (X, W),
        "different sizes: axis_size is 4, but x has size 3 along axis 1",
    ),
    (go.vmap(model, (2, None)), (X, W), r"maps x along axis 2, but its shape is \(4, 3\)"),
    (go.vmap(model, (-3, None)), (X, W), r"maps x along axis -3, but its shape is \(4, 3\)"),
    (go.vmap(np.tanh), (1.0,), r"along axis 0, but its shape is \(\)"),
    (
        go.vmap(model, (0,)),
        (X, W),
        "in_axes of vmap has 1 entries, but model was called with 2 positional arguments",
    ),
    (go.vmap(model, None), (X, W), "vmap of model maps no argument"),
    (
        go.vmap(model, (0, None), None),
        (X, W),
        "out_axes of vmap is None for result of model, which depends on a mapped argument",
    ),
    (
        go.vmap(model, (0, None), 1),
        (X, W),
        "puts result along axis 1, but what is put together has 1 dimension",
    ),
    (
        go.vmap(model, ([0], None)),
        (X, W),
        r"expected an int or None at in_axes\[0\], as x is an array, but got list",
    ),
    (
        go.vmap(lambda d: d["a"], ({"b": 0},)),
        ({"a": X},),
        r"expected keys \['a'\] at in_axes\[0\], but got \['b'\]",
    ),
    (
        go.vmap(lambda d: d["a"], ([0],)),
        ({"a": X},),
        r"expected an int or None or a dict at in_axes\[0\], as d is one, but got list",
    ),
    (
        go.vmap(lambda d: d, 0, {"a": {"b": 0}}),
        ({"a": X},),
        r"expected an int or None at out_axes\['a'\], as result\['a'\] is an array, but got dict",
    ),
    (go.vmap(lambda d: d, 0, (0, 0)), ([X],), "expected an int or None or a list at out_axes"),
    (go.vmap(lambda d: d, ((0, 0),)), ((X,),), r"expected 1 elements at in_axes\[0\], but got 2"),
    (go.vmap(lambda d: d, ((0.5,),)), ((X,),), r"at in_axes\[0\]\[0\], as d\[0\] is an array"),
]


@pytest.mark.parametrize(("mapped", "arguments", "message"), ERRORS)
def test_errors_name_the_path(mapped: Any, arguments: tuple[Any, ...], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        mapped(*arguments)


def test_axes_must_be_axes() -> None:
    with pytest.raises(ArgumentTypeError, match="in_axes must be an int, None, or a tuple"):
        go.vmap(model, 1.5)
    with pytest.raises(ArgumentTypeError, match="in_axes must be an int, None, or a tuple"):
        go.vmap(model, True)
    with pytest.raises(ArgumentTypeError, match="expected a function"):
        go.vmap(X)  # pyright: ignore[reportArgumentType]


# -- Random structures ------------------------------------------------------------------------

LEAF = st.tuples(st.lists(st.integers(1, 3), max_size=2).map(tuple), st.sampled_from(["f4", "f8"]))
TREES = st.recursive(
    LEAF.map(lambda leaf: ("leaf", leaf)),
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=2).map(lambda parts: ("list", parts)),
        st.dictionaries(st.sampled_from("abc"), inner, min_size=1, max_size=2).map(
            lambda parts: ("dict", parts)
        ),
    ),
    max_leaves=4,
)


def build(tree: Any, leaf: Any) -> Any:
    kind, content = tree
    if kind == "leaf":
        return leaf(*content)
    if kind == "list":
        return [build(part, leaf) for part in content]
    return {key: build(part, leaf) for key, part in content.items()}


@by_hypothesis(25)
@given(TREES, st.integers(0, 3), st.data())
def test_random_structures_and_axes(tree: Any, size: int, data: Any) -> None:
    """vmap(f) of a stack is the stack of f, for any structure, axes and whole leaves."""
    rng = generator(size)
    axes: list[int | None] = []

    def axis_of(shape: tuple[int, ...], _dtype: str) -> int | None:
        axis = data.draw(st.one_of(st.none(), st.integers(-len(shape) - 1, len(shape))))
        axes.append(axis)
        return axis

    in_axes = build(tree, axis_of)
    taken = iter(axes)

    def sample(shape: tuple[int, ...], dtype: str) -> Any:
        axis = next(taken)
        full = list(shape)
        if axis is not None:
            full.insert(axis % (len(shape) + 1), size)
        return rng.normal(size=full).astype(dtype)

    value = build(tree, sample)
    out_axis = data.draw(st.integers(-1, 0))

    def f(tree: Any) -> Any:
        return go_map(lambda leaf: np.sin(leaf) * 2, tree), total(tree)

    mapped = go.vmap(f, (in_axes,), out_axis, axis_size=size)(value)
    elements = [take(value, in_axes, i) for i in range(size)]
    want = [f(element) for element in elements]
    got_leaves = leaves_of(mapped)
    assert all(leaf.shape[out_axis] == size for leaf in got_leaves)
    for i in range(size):
        for got, expected in zip(got_leaves, leaves_of(want[i]), strict=True):
            part = np.take(got, i, out_axis)
            assert part.dtype == np.asarray(expected).dtype
            np.testing.assert_allclose(part, expected, rtol=3e-6, atol=1e-6)


def go_map(function: Any, tree: Any) -> Any:
    if isinstance(tree, list):
        return [go_map(function, part) for part in tree]
    if isinstance(tree, dict):
        return {key: go_map(function, part) for key, part in tree.items()}
    return function(tree)


def leaves_of(tree: Any) -> list[Any]:
    found: list[Any] = []
    if isinstance(tree, tuple):
        for part in tree:
            found += leaves_of(part)
        return found
    go_map(found.append, tree)
    return found


def total(tree: Any) -> Any:
    return sum(np.sum(leaf) for leaf in leaves_of(tree))


def take(tree: Any, axes: Any, i: int) -> Any:
    if isinstance(tree, list):
        return [take(a, b, i) for a, b in zip(tree, axes, strict=True)]
    if isinstance(tree, dict):
        return {key: take(tree[key], axes[key], i) for key in tree}
    return tree if axes is None else np.take(tree, i, axes)
