# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Layers: their parameters, and that a call is the function of the same name; training with them."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import gradopt as go
from gradopt import nn, optim
from gradopt.base.pytree import flatten

RNG = np.random.default_rng(11)
KEY = go.random.key(5)


def normal(*shape: int) -> Any:
    return RNG.normal(size=shape)


def shapes(params: Any) -> Any:
    return {name: value.shape for name, value in params.items()}


SEQUENCE = normal(5, 2, 3)
X = normal(4, 6)
SIGNAL, IMAGE = normal(2, 4, 9), normal(2, 4, 7, 9)

# The layer, the shapes of its parameters, an input, and the function of parameters and input.
LAYERS: dict[str, tuple[Any, Any, Any, Callable[[Any, Any], Any]]] = {
    "linear": (
        nn.Linear(6, 5),
        {"w": (6, 5), "b": (5,)},
        X,
        lambda p, x: nn.linear(x, p["w"], p["b"]),
    ),
    "linear_without_bias": (
        nn.Linear(6, 5, bias=False),
        {"w": (6, 5)},
        X,
        lambda p, x: nn.linear(x, p["w"]),
    ),
    "embedding": (
        nn.Embedding(7, 3),
        {"table": (7, 3)},
        np.array([[1, 6], [0, 0]]),
        lambda p, x: nn.embedding(p["table"], x),
    ),
    "layer_norm": (
        nn.LayerNorm(6),
        {"weight": (6,), "bias": (6,)},
        X,
        lambda p, x: nn.layer_norm(x, p["weight"], p["bias"]),
    ),
    "rms_norm": (
        nn.RMSNorm(6),
        {"weight": (6,)},
        X,
        lambda p, x: nn.rms_norm(x, p["weight"]),
    ),
    "group_norm": (
        nn.GroupNorm(2, 6),
        {"weight": (6,), "bias": (6,)},
        X,
        lambda p, x: nn.group_norm(x, 2, p["weight"], p["bias"]),
    ),
    "dropout": (nn.Dropout(0.5), {}, X, lambda p, x: x),
    "dropout_of_channels": (nn.Dropout2d(0.5), {}, IMAGE, lambda p, x: x),
    "flatten": (nn.Flatten(), {}, IMAGE, lambda p, x: np.reshape(x, (2, 252))),
    "flatten_from_axis_2": (nn.Flatten(2), {}, IMAGE, lambda p, x: np.reshape(x, (2, 4, 63))),
    "conv1d": (
        nn.Conv1d(4, 6, 3, 2, "same", 2, 2),
        {"w": (6, 2, 3), "b": (6,)},
        SIGNAL,
        lambda p, x: nn.conv1d(x, p["w"], p["b"], 2, "same", 2, 2),
    ),
    "conv2d": (
        nn.Conv2d(4, 6, (3, 2), stride=(2, 1), padding=(1, (0, 1)), dilation=2, groups=2),
        {"w": (6, 2, 3, 2), "b": (6,)},
        IMAGE,
        lambda p, x: nn.conv2d(x, p["w"], p["b"], (2, 1), (1, (0, 1)), 2, 2),
    ),
    "conv2d_without_bias": (
        nn.Conv2d(4, 6, 3, bias=False),
        {"w": (6, 4, 3, 3)},
        IMAGE,
        lambda p, x: nn.conv2d(x, p["w"]),
    ),
    "conv_transpose1d": (
        nn.ConvTranspose1d(4, 6, 3, 2, 1, groups=2, output_padding=1),
        {"w": (4, 3, 3), "b": (6,)},
        SIGNAL,
        lambda p, x: nn.conv_transpose1d(x, p["w"], p["b"], 2, 1, 1, 2),
    ),
    "conv_transpose2d": (
        nn.ConvTranspose2d(4, 6, (3, 2), dilation=(1, 2), stride=3, bias=False),
        {"w": (4, 6, 3, 2)},
        IMAGE,
        lambda p, x: nn.conv_transpose2d(x, p["w"], stride=3, dilation=(1, 2)),
    ),
    "max_pool1d": (nn.MaxPool1d(3, 2, 1), {}, SIGNAL, lambda p, x: nn.max_pool1d(x, 3, 2, 1)),
    "max_pool2d": (nn.MaxPool2d((2, 3)), {}, IMAGE, lambda p, x: nn.max_pool2d(x, (2, 3))),
    "avg_pool1d": (nn.AvgPool1d(3), {}, SIGNAL, lambda p, x: nn.avg_pool1d(x, 3)),
    "avg_pool2d": (
        nn.AvgPool2d(3, (1, 2), "same"),
        {},
        IMAGE,
        lambda p, x: nn.avg_pool2d(x, 3, (1, 2), "same"),
    ),
    "attention": (
        nn.MultiHeadAttention(6, 3),
        {"wq": (6, 6), "bq": (6,), "wk": (6, 6), "bk": (6,), "wv": (6, 6), "bv": (6,)}
        | {"wo": (6, 6), "bo": (6,)},
        X,
        lambda p, x: nn.multi_head_attention(p, x, heads=3),
    ),
    "rnn": (
        nn.RNN(3, 4),
        {"wi": (3, 4), "wh": (4, 4), "b": (4,)},
        SEQUENCE,
        lambda p, x: nn.rnn(p, x),
    ),
    "lstm": (
        nn.LSTM(3, 4),
        {"wi": (3, 16), "wh": (4, 16), "b": (16,)},
        SEQUENCE,
        lambda p, x: nn.lstm(p, x),
    ),
    "gru": (
        nn.GRU(3, 4),
        {"wi": (3, 12), "wh": (4, 12), "b": (12,), "bn": (4,)},
        SEQUENCE,
        lambda p, x: nn.gru(p, x),
    ),
}


@pytest.mark.parametrize("name", LAYERS)
def test_layer_is_its_function(name: str) -> None:
    layer, expected, x, function = LAYERS[name]
    params = layer.init(KEY)
    assert shapes(params) == expected
    for value in params.values():
        assert type(value) is np.ndarray
        assert value.dtype == np.float64
    for run in (layer, go.compile(layer)):
        for a, b in zip(flatten(run(params, x))[0], flatten(function(params, x))[0], strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-14)
    again, other = layer.init(KEY), layer.init(go.random.key(6))
    drawn = {"w", "table", "wq", "wk", "wv", "wo", "wi", "wh", "bn"} | ({"b"} & set(params))
    for key, value in params.items():
        np.testing.assert_array_equal(value, again[key])
        assert (key in drawn) == bool(np.all(value != other[key]))
    arrays = [params[key].ravel() for key in params if key in drawn]
    if arrays:
        drawn_numbers = np.concatenate(arrays)
        assert len(np.unique(drawn_numbers)) == len(drawn_numbers)


@pytest.mark.parametrize(
    "make",
    [
        lambda dtype: nn.Linear(2, 3, dtype=dtype),
        lambda dtype: nn.Embedding(2, 3, dtype=dtype),
        lambda dtype: nn.LayerNorm(2, dtype=dtype),
        lambda dtype: nn.RMSNorm(2, dtype=dtype),
        lambda dtype: nn.GroupNorm(1, 2, dtype=dtype),
        lambda dtype: nn.BatchNorm(2, dtype=dtype),
        lambda dtype: nn.MultiHeadAttention(2, 1, dtype=dtype),
        lambda dtype: nn.RNN(2, 3, dtype=dtype),
        lambda dtype: nn.LSTM(2, 3, dtype=dtype),
        lambda dtype: nn.GRU(2, 3, dtype=dtype),
        lambda dtype: nn.Conv1d(2, 3, 1, dtype=dtype),
        lambda dtype: nn.ConvTranspose1d(2, 3, 1, dtype=dtype),
    ],
)
def test_layer_of_float32(make: Any) -> None:
    layer = make(np.float32)
    params = layer.init(KEY)
    assert {value.dtype for value in params.values()} == {np.dtype(np.float32)}
    if isinstance(layer, nn.BatchNorm):
        state = layer.init_state()
        y, state = layer(params, np.ones((3, 2), np.float32), state, training=True)
        assert {value.dtype for value in state.values()} == {np.dtype(np.float32)}
    else:
        x = np.ones((4, 2), np.float32)
        if isinstance(layer, nn.Embedding):
            x = np.array([[0, 1]])
        elif isinstance(layer, nn.Conv1d | nn.ConvTranspose1d):
            x = x[..., np.newaxis]
        y = flatten(layer(params, x))[0][0]
    assert y.dtype == np.float32


@pytest.mark.parametrize(
    ("drawn", "bound"),
    [
        (nn.Linear(100, 300).init(KEY)["w"], 0.1),
        (nn.LSTM(300, 25).init(KEY)["wi"], 0.2),
        (nn.MultiHeadAttention(96, 2, memory=54).init(KEY)["wk"], 0.2),
        (nn.Conv2d(8, 300, (5, 5), groups=2).init(KEY)["w"], 0.1),
        (nn.ConvTranspose1d(20, 40, 5).init(KEY)["w"], 0.1),
    ],
)
def test_initial_weights_are_uniform(drawn: Any, bound: float) -> None:
    count = drawn.size
    assert np.all(np.abs(drawn) <= bound)
    assert np.max(np.abs(drawn)) > 0.99 * bound
    # Mean and variance, to five of their standard deviations.
    assert abs(np.mean(drawn)) < 5 * bound / math.sqrt(3 * count)
    assert abs(np.mean(drawn**2) * 3 / bound**2 - 1) < 5 * math.sqrt(0.8 / count)


def test_initial_embeddings_are_normal() -> None:
    table = nn.Embedding(200, 100).init(KEY)["table"]
    assert abs(np.mean(table)) < 5 / math.sqrt(table.size)
    assert abs(np.var(table) - 1) < 5 * math.sqrt(2 / table.size)
    assert abs(np.mean(np.abs(table) < 0.6744897501960817) - 0.5) < 2.5 / math.sqrt(table.size)


def test_initial_parameters_are_drawn_by_few_programs() -> None:
    """Not by one for each shape; they are the same numbers."""
    from gradopt.ir.current import trace_count

    sizes = [3, 17, 23, 31, 47, 63, 55, 41, 29, 19, 11]
    model = nn.Sequential(*[nn.Linear(*pair) for pair in itertools.pairwise(sizes)])
    before = trace_count()
    params = model.init(KEY)
    # Two sizes of arrays, and two counts of keys.
    assert trace_count() - before <= 4
    keys = go.random.split(KEY, 10)
    for number, key in enumerate(keys):
        first, second = go.random.split(key)
        shape = sizes[number], sizes[number + 1]
        bound = 1 / math.sqrt(shape[0])
        w = go.random.uniform(first, shape, np.float64, -bound, bound)
        b = go.random.uniform(second, shape[1:], np.float64, -bound, bound)
        np.testing.assert_array_equal(params[str(number)]["w"], w)
        np.testing.assert_array_equal(params[str(number)]["b"], b)
        assert params[str(number)]["w"].base is None


def test_batch_norm_keeps_a_state() -> None:
    layer = nn.BatchNorm(3, momentum=0.5)
    params, state = layer.init(KEY), layer.init_state()
    train = go.compile(lambda p, x, s: layer(p, x, s, training=True))
    x = normal(100, 3) * [1.0, 2.0, 3.0] + [5.0, 0.0, -5.0]
    for _ in range(60):
        y, state = train(params, x, state)
    np.testing.assert_allclose(state["mean"], x.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(state["var"], x.var(axis=0, ddof=1), rtol=1e-12)
    applied, same = layer(params, x, state, training=False)
    np.testing.assert_allclose(applied * math.sqrt(100 / 99), y, rtol=1e-4)
    assert same is state


def test_dropout_is_for_training() -> None:
    layer = nn.Dropout(0.25)
    x = np.ones((100, 50))
    for run in (layer, go.compile(layer)):
        np.testing.assert_array_equal(run({}, x), x)
        dropped = run({}, x, KEY)
        assert set(np.unique(dropped)) == {0, 1 / 0.75}
        # The mean of 5000 of deviation 1/sqrt(3), to five of its deviations.
        assert abs(np.mean(dropped) - 1) < 5 / math.sqrt(3 * x.size)
        np.testing.assert_array_equal(dropped, nn.dropout(x, 0.25, KEY))


def test_dropout_of_channels() -> None:
    x = np.ones((100, 50, 2, 3))
    for run in (nn.Dropout2d(0.25), go.compile(nn.Dropout2d(0.25))):
        dropped = run({}, x, KEY)
        np.testing.assert_array_equal(dropped, np.broadcast_to(dropped[..., :1, :1], x.shape))
        assert set(np.unique(dropped)) == {0, 1 / 0.75}
        # The mean of 5000 of deviation 1/sqrt(3), to five of its deviations.
        assert abs(np.mean(dropped) - 1) < 5 / math.sqrt(3 * 5000)


def test_states_in_sequential() -> None:
    """Each layer that keeps a state gets its own, and the next ones come back together."""
    inner = nn.Sequential(nn.Linear(6, 3), nn.BatchNorm(3))
    model = nn.Sequential(nn.BatchNorm(6), nn.Dropout(0.5), nn.tanh, inner)
    params, state = model.init(KEY), model.init_state()
    assert model.keeps
    assert {name: list(value) for name, value in state.items()} == {
        "0": ["mean", "var"],
        "3": ["1"],
    }
    first, second = state["0"], state["3"]["1"]
    weights = params["3"]["0"]
    for training in (True, False):

        def run(params: Any, x: Any, state: Any, training: bool = training) -> Any:
            return model(params, x, KEY, state=state, training=training)

        expected, first = nn.batch_norm(X, first, training=training)
        if training:
            expected = nn.dropout(expected, 0.5, go.random.fold_in(KEY, 1))
        expected = np.tanh(expected)
        expected = nn.linear(expected, weights["w"], weights["b"])
        expected, second = nn.batch_norm(expected, second, training=training)
        for call in (run, go.compile(run)):
            y, following = call(params, X, state)
            np.testing.assert_allclose(y, expected, rtol=1e-10, atol=1e-12)
            for a, b in zip(
                flatten(following)[0], flatten({"0": first, "3": {"1": second}})[0], strict=True
            ):
                np.testing.assert_allclose(a, b, rtol=1e-12)
        state = following
    assert not nn.Sequential(nn.tanh).keeps
    assert nn.Sequential(nn.tanh).init_state() == {}


def test_missing_states_are_named() -> None:
    model = nn.Sequential(nn.Linear(6, 3), nn.BatchNorm(3))
    params = model.init(KEY)
    for arguments in ({}, {"state": model.init_state()}, {"training": True}):
        with pytest.raises(go.errors.ArgumentError, match=r"call it with state=.* and training="):
            model(params, X, **arguments)
    with pytest.raises(go.errors.ArgumentError, match="keeps no state, but got one"):
        nn.Sequential(nn.Linear(6, 3))(params, X, state=model.init_state())


@pytest.mark.parametrize(
    ("model", "error", "message"),
    [
        (
            lambda: nn.Sequential(nn.tanh, nn.Linear(5, 2)),
            go.errors.ShapeError,
            r"^layer 1, Linear: expected x with 5 elements",
        ),
        (
            lambda: nn.Sequential(nn.Linear(6, 3), nn.Sequential(nn.relu, nn.Linear(4, 2))),
            go.errors.ShapeError,
            r"^layer 1, Sequential: layer 1, Linear: expected x with 4 elements",
        ),
        (
            lambda: nn.Sequential(nn.LSTM(6, 4), nn.Linear(4, 2)),
            go.errors.ArgumentError,
            "^layer 1, Linear: expected one array, but the layer before returns several",
        ),
        (
            lambda: nn.Sequential(lambda x: nn.linear(x, np.ones((2, 2)))),
            go.errors.ShapeError,
            r"^layer 0, <lambda>: expected x with 2 elements",
        ),
    ],
)
def test_errors_name_the_layer(model: Any, error: Any, message: str) -> None:
    layers = model()
    params = layers.init(KEY)
    for run in (layers, go.compile(layers)):
        with pytest.raises(error, match=message) as raised:
            run(params, X)
        assert __file__ in str(raised.value)


def test_missing_parameters_are_named() -> None:
    model = nn.Sequential(nn.Linear(6, 3), nn.tanh, nn.BatchNorm(3))
    params = model.init(KEY)
    state = model.init_state()
    for arguments, message in (
        (({"0": params["0"]}, X), r"layer 2, BatchNorm: expected params\['2'\], .* \['0'\]"),
        ((params, X, {}), r"layer 2, BatchNorm: expected state\['2'\]"),
    ):
        given = arguments[2] if len(arguments) == 3 else state
        with pytest.raises(go.errors.ArgumentError, match=message):
            model(*arguments[:2], state=given, training=True)


@pytest.mark.parametrize("name", ["RNN", "LSTM", "GRU"])
@pytest.mark.parametrize("reverse", [False, True])
def test_layers_above_each_other(name: str, reverse: bool) -> None:
    layer, one = getattr(nn, name)(3, 4, layers=2), getattr(nn, name)
    params = layer.init(KEY)
    assert [shapes(p) for p in params] == [shapes(one(inputs, 4).init(KEY)) for inputs in (3, 4)]
    assert not np.array_equal(params[0]["wh"], params[1]["wh"])
    run = go.compile(lambda p, x, init=None: layer(p, x, init, reverse=reverse))
    ys, states = run(params, SEQUENCE)
    middle, first = one(3, 4)(params[0], SEQUENCE, reverse=reverse)
    top, second = one(4, 4)(params[1], middle, reverse=reverse)
    for a, b in zip(flatten((ys, states))[0], flatten((top, [first, second]))[0], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-14)
    # The second half, from where the first has ended, is the second half of the whole.
    early, late = (SEQUENCE[2:], SEQUENCE[:2]) if reverse else (SEQUENCE[:3], SEQUENCE[3:])
    _, between = run(params, early)
    rest, last = run(params, late, between)
    np.testing.assert_allclose(rest, ys[:2] if reverse else ys[3:], rtol=1e-12, atol=1e-14)
    for a, b in zip(flatten(last)[0], flatten(states)[0], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-14)
    assert go.gradcheck(lambda p, x: layer(p, x)[0], (params, SEQUENCE))


def test_as_many_states_as_layers() -> None:
    layer = nn.RNN(3, 4, layers=2)
    params = layer.init(KEY)
    for init in ([np.zeros((2, 4))], np.zeros((2, 2, 4))):
        with pytest.raises(go.errors.ArgumentError, match="init to be a list of 2 states"):
            layer(params, SEQUENCE, init)
    with pytest.raises(go.errors.ArgumentError, match="params must be of one layer"):
        nn.rnn([], SEQUENCE)


def test_an_image_network_under_transforms() -> None:
    """Values of a batch are those of its images, and derivatives those of differences."""
    model = nn.Sequential(
        nn.Conv2d(1, 3, 3, stride=2, padding=1),
        nn.silu,
        nn.AvgPool2d(2),
        nn.ConvTranspose2d(3, 2, 2, stride=2),
        nn.tanh,
        nn.Flatten(),
        nn.Linear(32, 3),
    )
    params, x = model.init(KEY), normal(3, 1, 8, 8)
    single = go.vmap(lambda p, x: model(p, x[np.newaxis])[0], in_axes=(None, 0))
    np.testing.assert_allclose(single(params, x), model(params, x), rtol=1e-12, atol=1e-14)
    assert go.gradcheck(model, (params, x))

    def loss(x: Any) -> Any:
        return nn.cross_entropy_loss(model(params, x), np.array([2]))

    assert go.gradcheck(loss, (x[:1],), order=2, rtol=1e-4, atol=1e-6)


def test_keys_in_sequential() -> None:
    """Each layer that draws has a key of its own; others need none."""
    inner = nn.Sequential(nn.Dropout(0.5))
    model = nn.Sequential(nn.Dropout(0.5), nn.tanh, inner, nn.LayerNorm(50))
    assert model.draws
    assert not nn.Sequential(nn.tanh, nn.LayerNorm(3)).draws
    params, x = model.init(KEY), np.ones((40, 50))
    np.testing.assert_array_equal(model(params, x), nn.layer_norm(np.tanh(x)))
    first = nn.dropout(x, 0.5, go.random.fold_in(KEY, 0))
    second = go.random.fold_in(go.random.fold_in(KEY, 2), 0)
    expected = nn.layer_norm(nn.dropout(np.tanh(first), 0.5, second))
    np.testing.assert_allclose(model(params, x, KEY), expected, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(go.compile(model)(params, x, KEY), expected, rtol=1e-12, atol=1e-14)
    np.testing.assert_array_equal(model(params, x, KEY, training=True), model(params, x, KEY))
    np.testing.assert_array_equal(model(params, x, KEY, training=False), model(params, x))
    with pytest.raises(go.errors.ArgumentError, match="draws random numbers in training: call it"):
        model(params, x, training=True)


def test_parameters_drawn_in_compiled_code() -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.LSTM(4, 2))
    for a, b in zip(
        *(flatten(init(KEY))[0] for init in (model.init, go.compile(model.init))), strict=True
    ):
        np.testing.assert_array_equal(a, b)


def test_sequential() -> None:
    inner = nn.Sequential(nn.Linear(8, 4), nn.relu)
    model = nn.Sequential(nn.Linear(6, 8), nn.tanh, inner, nn.Dropout(0.1), nn.Linear(4, 2))
    params = model.init(KEY)
    assert list(params) == ["0", "2", "3", "4"]
    assert list(params["2"]) == ["0"]
    assert not np.array_equal(params["0"]["w"][:4, :2], params["4"]["w"])
    hidden = np.tanh(X @ params["0"]["w"] + params["0"]["b"])
    hidden = np.maximum(hidden @ params["2"]["0"]["w"] + params["2"]["0"]["b"], 0)
    expected = hidden @ params["4"]["w"] + params["4"]["b"]
    np.testing.assert_allclose(model(params, X), expected, rtol=1e-12)
    np.testing.assert_allclose(go.compile(model)(params, X), expected, rtol=1e-12)
    assert go.gradcheck(model, (params, X))
    assert nn.Sequential(nn.tanh).init(KEY) == {}
    assert repr(inner) == f"Sequential({nn.Linear(8, 4)!r}, relu)"


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_network_learns(dtype: Any) -> None:
    """Two spirals, which no plane divides; loss, gradient and step are one program."""
    angle = np.linspace(0.5, 3 * np.pi, 60)
    arm = np.stack([angle * np.cos(angle), angle * np.sin(angle)], axis=1) / 5
    points = np.concatenate([arm, -arm]).astype(dtype)
    labels = np.repeat([0, 1], 60)
    model = nn.Sequential(
        nn.Linear(2, 32, dtype=dtype),
        nn.gelu,
        nn.LayerNorm(32, dtype=dtype),
        nn.Linear(32, 32, dtype=dtype),
        nn.gelu,
        nn.Linear(32, 2, dtype=dtype),
    )
    optimizer = optim.chain(optim.clip_by_global_norm(1.0), optim.adamw(1e-2))

    def loss(params: Any) -> Any:
        return nn.cross_entropy_loss(model(params, points), labels)

    @go.compile
    def fit(params: Any, state: Any) -> Any:
        def step(i: Any, carried: Any) -> Any:
            params, state = carried
            updates, state = optimizer.update(go.grad(loss)(params), state, params)
            return optim.apply_updates(params, updates), state

        return go.fori_loop(0, 400, step, (params, state))

    params = model.init(KEY)
    assert loss(params) > 0.5
    params, _ = fit(params, optimizer.init(params))
    assert loss(params) < 0.05
    assert np.mean(np.argmax(model(params, points), axis=-1) == labels) > 0.98
    assert {leaf.dtype for leaf in flatten(params)[0]} == {np.dtype(dtype)}


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: nn.Linear(0, 3), "inputs of Linear must be a positive integer, but it is 0"),
        (lambda: nn.LSTM(3, 2.5), "hidden of LSTM must be a positive integer, but it is 2.5"),
        (lambda: nn.MultiHeadAttention(6, 4), "heads must divide the 6 features, but they are 4"),
        (lambda: nn.Conv2d(6, 4, 3, groups=4), "groups must divide the 6 inputs, but they are 4"),
        (lambda: nn.Conv1d(6, 4, 3, groups=3), "groups must divide the 4 outputs, but they are 3"),
        (lambda: nn.Conv2d(1, 1, (3,)), r"Conv2d: window must be one integer or 2, but got \(3,\)"),
        (lambda: nn.Conv1d(1, 1, 3, padding="full"), "Conv1d: padding must be 'same', 'valid' or"),
        (lambda: nn.ConvTranspose1d(1, 1, 3, output_padding=-1), "output_padding must be at least"),
        (lambda: nn.MaxPool2d(0), "MaxPool2d: window must be at least 1, but got 0"),
        (lambda: nn.Flatten(4)({}, X), "start of Flatten must be an axis of x, but it is 4, and"),
        (lambda: nn.GRU(3, 4, layers=0), "layers of GRU must be a positive integer, but it is 0"),
        (lambda: nn.GroupNorm(4, 6), "groups must divide the 6 channels, but they are 4"),
        (lambda: nn.Dropout(1.0), r"rate of Dropout must be in \[0, 1\), but it is 1.0"),
        (lambda: nn.Sequential(nn.tanh, 3), "expected a layer or function as argument 1"),
    ],
)
def test_bad_layers(call: Callable[[], Any], message: str) -> None:
    with pytest.raises(go.errors.ArgumentError, match=message) as info:
        call()
    # Not that of the constructor, which dataclasses write.
    assert info.value.location is not None
    assert info.value.location.file == __file__
    assert "nn." in info.value.location.text()
