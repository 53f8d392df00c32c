# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Linear maps, embeddings, attention and recurrent layers against loops over numbers."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import gradopt as go
from gradopt import nn
from gradopt.base.pytree import flatten, tree_map

RNG = np.random.default_rng(5)


def normal(*shape: int) -> Any:
    return RNG.normal(size=shape)


def both(function: Callable[..., Any], *args: Any) -> Any:
    """The result, which NumPy and compiled code must agree on, in both precisions."""
    plain, tree = flatten(function(*args))
    compiled, compiled_tree = flatten(go.compile(function)(*args))
    assert tree == compiled_tree
    for p, c in zip(plain, compiled, strict=True):
        assert p.dtype == c.dtype == np.float64
        np.testing.assert_allclose(c, p, rtol=1e-12, atol=1e-13)
    halved = tree_map(lambda x: x.astype(np.float32) if x.dtype == np.float64 else x, args)
    for run in (function, go.compile(function)):
        for p, s in zip(plain, flatten(run(*halved))[0], strict=True):
            assert s.dtype == np.float32
            np.testing.assert_allclose(s, p, rtol=1e-3, atol=1e-5)
    return tree.unflatten(compiled)


@pytest.mark.parametrize("batch", [(), (1,), (2, 3)])
@pytest.mark.parametrize("sizes", [(3, 4), (1, 1)])
def test_linear(batch: tuple[int, ...], sizes: tuple[int, int]) -> None:
    x, w, b = normal(*batch, sizes[0]), normal(*sizes), normal(sizes[1])
    expected = np.einsum("...i,ij->...j", x, w)
    np.testing.assert_allclose(both(nn.linear, x, w), expected, rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(both(nn.linear, x, w, b), expected + b, rtol=1e-12, atol=1e-13)
    assert go.gradcheck(nn.linear, (x, w, b))


def test_embedding() -> None:
    table = normal(5, 3)
    indices = np.array([[0, 4], [2, 2], [-1, 1]])
    result = both(nn.embedding, table, indices)
    assert result.shape == (3, 2, 3)
    for place in np.ndindex(3, 2):
        np.testing.assert_array_equal(result[place], table[indices[place]])
    # A concrete table, too.
    np.testing.assert_array_equal(go.compile(lambda i: nn.embedding(table, i))(indices), result)
    gradient = go.grad(lambda t: np.sum(nn.embedding(t, indices)))(table)
    np.testing.assert_array_equal(gradient[:, 0], [1, 1, 2, 0, 2])
    with pytest.raises(IndexError):
        nn.embedding(table, np.array([5]))
    with pytest.raises(IndexError):
        go.compile(nn.embedding)(table, np.array([5]))


def test_dropout() -> None:
    x, mask = normal(2, 3), np.array([[True, False, True], [False, True, True]])
    apply = lambda x, mask: nn.dropout(x, 0.25, mask=mask)  # noqa: E731
    np.testing.assert_allclose(both(apply, x, mask), x * mask / 0.75, rtol=1e-15)
    gradient = go.grad(lambda x: np.sum(apply(x, mask)))(x)
    np.testing.assert_allclose(gradient, mask / 0.75, rtol=1e-15)
    # What is dropped does not count, whatever it is.
    x[~mask] = np.nan
    assert np.all(go.compile(apply)(x, mask)[~mask] == 0)


# -- Attention -----------------------------------------------------------------------------------


def attention(q: Any, k: Any, v: Any, allowed: Any, scale: float) -> Any:
    """One head, as loops."""
    result = np.zeros((len(q), v.shape[1]))
    for i in range(len(q)):
        keys = [j for j in range(len(k)) if allowed[i, j]]
        scores = [math.fsum(q[i] * k[j]) * scale for j in keys]
        powers = [math.exp(s - max(scores)) for s in scores]
        for p, j in zip(powers, keys, strict=True):
            result[i] += p / math.fsum(powers) * v[j]
    return result


SEEN = np.array(
    [[True, False, True, True], [False, False, False, False], [True, True, False, True]]
)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("mask", [None, SEEN, SEEN[:, :1], np.stack([SEEN, ~SEEN])[:, None]])
@pytest.mark.parametrize("batch", [(), (2, 2)])
def test_scaled_dot_product_attention(batch: tuple[int, ...], mask: Any, causal: bool) -> None:
    if mask is not None and mask.ndim > 2 and not batch:
        pytest.skip("a mask of more axes")
    q, k, v = normal(*batch, 3, 5), normal(*batch, 4, 5), normal(*batch, 4, 2)
    allowed = np.broadcast_to(True if mask is None else mask, (*batch, 3, 4)).copy()
    if causal:
        allowed &= np.arange(4) <= np.arange(3)[:, None]
    for scale in (None, 0.3):
        expected = np.zeros((*batch, 3, 2))
        for place in np.ndindex(*batch):
            factor = 1 / math.sqrt(5) if scale is None else scale
            expected[place] = attention(q[place], k[place], v[place], allowed[place], factor)
        apply = lambda q, k, v, s=scale: nn.scaled_dot_product_attention(  # noqa: E731
            q, k, v, mask, causal=causal, scale=s
        )
        np.testing.assert_allclose(both(apply, q, k, v), expected, rtol=1e-11, atol=1e-13)
    if not batch:
        assert go.gradcheck(apply, (q, k, v))


def test_attention_of_large_scores() -> None:
    q, k, v = np.array([[1e4], [-1e4]]), np.array([[1.0], [-1.0], [0.5]]), np.eye(3)
    apply = lambda q, k, v: nn.scaled_dot_product_attention(q, k, v)  # noqa: E731
    np.testing.assert_array_equal(both(apply, q, k, v), [[1, 0, 0], [0, 1, 0]])
    gradients = go.grad(lambda *a: np.sum(apply(*a)), (0, 1, 2))(q, k, v)
    assert all(np.all(np.isfinite(g)) for g in gradients)


def test_no_key_has_no_derivative() -> None:
    """A query that may see no key gives 0, and pulls on nothing."""
    q, k, v = normal(3, 5), normal(4, 5), normal(4, 2)
    apply = lambda q, k, v: nn.scaled_dot_product_attention(q, k, v, SEEN)[1]  # noqa: E731
    np.testing.assert_array_equal(go.compile(apply)(q, k, v), 0)
    for gradient in go.grad(lambda *a: np.sum(apply(*a)), (0, 1, 2))(q, k, v):
        np.testing.assert_array_equal(gradient, 0)


@pytest.mark.parametrize("biases", [True, False])
@pytest.mark.parametrize("heads", [1, 2])
@pytest.mark.parametrize("batch", [(), (2,)])
def test_multi_head_attention(batch: tuple[int, ...], heads: int, biases: bool) -> None:
    inner, value = 4, 6
    params = {
        "wq": normal(3, inner),
        "wk": normal(5, inner),
        "wv": normal(5, value),
        "wo": normal(value, 2),
    }
    if biases:
        params |= {"bq": normal(inner), "bk": normal(inner), "bv": normal(value), "bo": normal(2)}
    x, memory = normal(*batch, 3, 3), normal(*batch, 4, 5)
    apply = lambda p, x, m: nn.multi_head_attention(  # noqa: E731
        p, x, m, mask=SEEN, heads=heads, causal=True
    )
    expected = np.zeros((*batch, 3, 2))
    allowed = SEEN & (np.arange(4) <= np.arange(3)[:, None])
    for place in np.ndindex(*batch):
        q = x[place] @ params["wq"] + params.get("bq", 0)
        k = memory[place] @ params["wk"] + params.get("bk", 0)
        v = memory[place] @ params["wv"] + params.get("bv", 0)
        parts = []
        for h in range(heads):
            a, b = inner // heads, value // heads
            head = slice(h * a, (h + 1) * a)
            parts.append(
                attention(
                    q[:, head], k[:, head], v[:, h * b : (h + 1) * b], allowed, 1 / math.sqrt(a)
                )
            )
        expected[place] = np.concatenate(parts, axis=1) @ params["wo"] + params.get("bo", 0)
    np.testing.assert_allclose(both(apply, params, x, memory), expected, rtol=1e-11, atol=1e-13)
    if heads == 2:
        assert go.gradcheck(apply, (params, x, memory))


def test_self_attention_takes_the_query() -> None:
    params = {name: normal(4, 4) for name in ("wq", "wk", "wv", "wo")}
    x = normal(2, 3, 4)
    np.testing.assert_array_equal(
        nn.multi_head_attention(params, x, heads=2),
        nn.multi_head_attention(params, x, x, x, heads=2),
    )


# -- Recurrent -----------------------------------------------------------------------------------


def logistic(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def pre(params: Any, h: Any, x: Any, column: int) -> tuple[float, float]:
    """What the input and the state add to one gate."""
    return (
        math.fsum(x * params["wi"][:, column]) + params["b"][column],
        math.fsum(h * params["wh"][:, column]),
    )


def rnn_by_numbers(params: Any, state: Any, x: Any) -> Any:
    h = np.array([math.tanh(sum(pre(params, state, x, j))) for j in range(len(state))])
    return h, h


def lstm_by_numbers(params: Any, state: Any, x: Any) -> Any:
    h, c = state
    n = len(h)
    new_h, new_c = np.zeros(n), np.zeros(n)
    for j in range(n):
        i, f, g, o = (sum(pre(params, h, x, gate * n + j)) for gate in range(4))
        new_c[j] = logistic(f) * c[j] + logistic(i) * math.tanh(g)
        new_h[j] = logistic(o) * math.tanh(new_c[j])
    return (new_h, new_c), new_h


def gru_by_numbers(params: Any, h: Any, x: Any) -> Any:
    n = len(h)
    new = np.zeros(n)
    for j in range(n):
        r, z = (logistic(sum(pre(params, h, x, gate * n + j))) for gate in range(2))
        from_x, from_h = pre(params, h, x, 2 * n + j)
        new[j] = (1 - z) * math.tanh(from_x + r * (from_h + params["bn"][j])) + z * h[j]
    return new, new


CELLS: dict[str, tuple[Any, Any, Any, int]] = {
    "rnn": (nn.rnn, nn.rnn_cell, rnn_by_numbers, 1),
    "lstm": (nn.lstm, nn.lstm_cell, lstm_by_numbers, 4),
    "gru": (nn.gru, nn.gru_cell, gru_by_numbers, 3),
}


def cell_params(name: str, inputs: int, hidden: int) -> Any:
    gates = CELLS[name][3]
    params = {
        "wi": normal(inputs, gates * hidden),
        "wh": normal(hidden, gates * hidden),
        "b": normal(gates * hidden),
    }
    return params | ({"bn": normal(hidden)} if name == "gru" else {})


def state_of(name: str, *shape: int) -> Any:
    return (normal(*shape), normal(*shape)) if name == "lstm" else normal(*shape)


@pytest.mark.parametrize("sizes", [(3, 2), (1, 1)])
@pytest.mark.parametrize("name", CELLS)
def test_recurrent_cell(name: str, sizes: tuple[int, int]) -> None:
    _, cell, by_numbers, _ = CELLS[name]
    params = cell_params(name, *sizes)
    x, state = normal(sizes[0]), state_of(name, sizes[1])
    expected = flatten(by_numbers(params, state, x))[0]
    for actual, wanted in zip(flatten(both(cell, params, state, x))[0], expected, strict=True):
        np.testing.assert_allclose(actual, wanted, rtol=1e-12)
    assert go.gradcheck(cell, (params, state, x))


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("batch", [(), (2,)])
@pytest.mark.parametrize("name", CELLS)
def test_recurrent_layer(name: str, batch: tuple[int, ...], reverse: bool) -> None:
    layer, _, by_numbers, _ = CELLS[name]
    params = cell_params(name, 3, 2)
    xs = normal(4, *batch, 3)
    init = state_of(name, *batch, 2)
    for given in ((init,), ()):
        ys, last = both(lambda p, xs, *s: layer(p, xs, *s, reverse=reverse), params, xs, *given)
        start = init if given else tree_map(np.zeros_like, init)
        for place in np.ndindex(*batch):
            state = tree_map(lambda s, place=place: s[place], start)
            for t in reversed(range(4)) if reverse else range(4):
                state, y = by_numbers(params, state, xs[(t, *place)])
                np.testing.assert_allclose(ys[(t, *place)], y, rtol=1e-11)
            ends = tree_map(lambda s, place=place: s[place], last)
            for a, b in zip(flatten(ends)[0], flatten(state)[0], strict=True):
                np.testing.assert_allclose(a, b, rtol=1e-11)
    if not reverse and not batch:
        assert go.gradcheck(layer, (params, xs, init))
        bounded = lambda p, xs: np.sum(layer(p, xs, checkpoint="sqrt")[0])  # noqa: E731
        free = lambda p, xs: np.sum(layer(p, xs)[0])  # noqa: E731
        for a, b in zip(
            *(flatten(go.grad(f)(params, xs))[0] for f in (bounded, free)), strict=True
        ):
            np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-14)


# -- Bad input -----------------------------------------------------------------------------------

LSTM = cell_params("lstm", 3, 2)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: nn.linear(np.zeros((2, 3)), np.zeros((4, 5))),
            go.errors.ShapeError,
            r"expected x with 4 elements along axis -1, but got shape \(2, 3\)",
        ),
        (
            lambda: nn.linear(np.zeros(4), np.zeros((4, 5)), np.zeros(4)),
            go.errors.ShapeError,
            r"expected b of shape \(5,\), but got \(4,\)",
        ),
        (
            lambda: nn.linear(np.zeros(4), np.zeros(4)),
            go.errors.ShapeError,
            r"expected w of shape \(in, out\), but got \(4,\)",
        ),
        (
            lambda: nn.embedding(np.zeros((4, 5)), np.zeros(2)),
            go.errors.ArgumentTypeError,
            "expected indices of integers, but got float64",
        ),
        (
            lambda: nn.dropout(np.zeros(3), 1.0, mask=np.ones(3, bool)),
            go.errors.ArgumentError,
            r"rate must be in \[0, 1\), but it is 1.0",
        ),
        (
            lambda: nn.dropout(np.zeros(3), 0.5),
            go.errors.ArgumentError,
            "dropout needs a key, or a mask, and not both",
        ),
        (
            lambda: nn.dropout(np.zeros(3), 0.5, mask=np.ones(3)),
            go.errors.ArgumentTypeError,
            "expected mask of bools, but got float64",
        ),
        (
            lambda: nn.scaled_dot_product_attention(
                np.zeros((3, 4)), np.zeros((3, 5)), np.zeros((3, 5))
            ),
            go.errors.ShapeError,
            "expected key with 4 elements along axis -1",
        ),
        (
            lambda: nn.scaled_dot_product_attention(
                np.zeros((3, 4)), np.zeros((3, 4)), np.zeros((2, 4))
            ),
            go.errors.ShapeError,
            "expected value with 3 elements along axis -2",
        ),
        (
            lambda: nn.scaled_dot_product_attention(
                np.zeros((3, 4)), np.zeros((3, 4)), np.zeros((3, 4)), np.ones((2, 3), bool)
            ),
            go.errors.ShapeError,
            r"expected mask that broadcasts to \(3, 3\), but got \(2, 3\)",
        ),
        (
            lambda: nn.multi_head_attention(
                {name: np.zeros((4, 4)) for name in ("wq", "wk", "wv", "wo")},
                np.zeros((3, 4)),
                heads=3,
            ),
            go.errors.ArgumentError,
            r"heads must divide the 4 columns of params\['wq'\], but they are 3",
        ),
        (
            lambda: nn.lstm(LSTM, np.zeros((5, 2))),
            go.errors.ShapeError,
            "expected x with 3 elements along axis -1",
        ),
        (
            lambda: nn.lstm(LSTM | {"wh": np.zeros((2, 6))}, np.zeros((5, 3))),
            go.errors.ShapeError,
            r"expected params\['wh'\] of shape \(2, 8\), but got \(2, 6\)",
        ),
        (
            lambda: nn.rnn(cell_params("rnn", 3, 2), np.zeros(3)),
            go.errors.ArgumentError,
            r"expected xs of shape \(time, ..., in\), but got \(3,\)",
        ),
    ],
)
def test_bad_input(call: Callable[[], Any], error: type[Exception], message: str) -> None:
    for run in (call, go.compile(call)):
        with pytest.raises(error, match=message) as caught:
            run()
        assert caught.value.location is not None
        assert caught.value.location.file == __file__
