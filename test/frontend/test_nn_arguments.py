# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Every argument of every function and layer of `nn` that is wrong: the message names it."""

from __future__ import annotations

import inspect
import traceback
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gradopt as go
from gradopt import nn

RNG = np.random.default_rng(5)
KEY = go.random.key(3)


def normal(*shape: int) -> Any:
    return RNG.normal(size=shape)


def cell(gates: int) -> Any:
    names = {"wi": (3, 4 * gates), "wh": (4, 4 * gates), "b": (4 * gates,), "bn": (4,)}
    return {name: normal(*shape) for name, shape in names.items()}


X, IMAGE, SIGNAL, SEQUENCE = normal(2, 3), normal(2, 4, 5, 6), normal(2, 4, 7), normal(5, 2, 3)
STATE = {"mean": normal(3), "var": normal(3) ** 2}
ATTENTION = {name: normal(4, 4) for name in ("wq", "wk", "wv", "wo")}
LABELS = np.array([0, 2])
WINDOW = {"stride": 1, "padding": 0, "dilation": 1, "groups": 1}
POOL = {"window": 2, "stride": 1, "padding": 0}
LOSS = {"predictions": X, "targets": X, "reduction": "sum"}

# Arguments that are right, one for each parameter.
FUNCTIONS: dict[str, dict[str, Any]] = {
    "avg_pool1d": {"x": SIGNAL, **POOL},
    "avg_pool2d": {"x": IMAGE, **POOL},
    "batch_norm": {
        "x": X,
        "state": STATE,
        "weight": normal(3),
        "bias": normal(3),
        "training": False,
        "momentum": 0.2,
        "eps": 1e-4,
        "axis": -1,
    },
    "bce_with_logits_loss": {"logits": X, "targets": X, "pos_weight": 2.0, "reduction": "sum"},
    "conv1d": {"x": SIGNAL, "w": normal(6, 4, 3), "b": normal(6), **WINDOW},
    "conv2d": {"x": IMAGE, "w": normal(6, 4, 3, 3), "b": normal(6), **WINDOW},
    "conv_transpose1d": {
        "x": SIGNAL,
        "w": normal(4, 6, 3),
        "b": normal(6),
        "output_padding": 0,
        **WINDOW,
    },
    "conv_transpose2d": {
        "x": IMAGE,
        "w": normal(4, 6, 3, 3),
        "b": normal(6),
        "output_padding": 0,
        **WINDOW,
    },
    "cross_entropy_loss": {
        "logits": X,
        "targets": LABELS,
        "label_smoothing": 0.1,
        "reduction": "sum",
    },
    "dropout": {"x": X, "rate": 0.5, "key": KEY},
    "dropout2d": {"x": IMAGE, "rate": 0.5, "key": KEY},
    "elu": {"x": X, "alpha": 2.0},
    "embedding": {"table": X, "indices": LABELS - 1},
    "gelu": {"x": X, "approximate": True},
    "group_norm": {"x": IMAGE, "groups": 2, "weight": normal(4), "bias": normal(4), "eps": 1e-4},
    "gru": {"params": cell(3), "xs": SEQUENCE, "init": normal(2, 4), "reverse": True},
    "gru_cell": {"params": cell(3), "h": normal(2, 4), "x": X},
    "huber_loss": {**LOSS, "delta": 2.0},
    "kl_div_loss": {"log_probabilities": X, "targets": X**2, "reduction": "sum"},
    "l1_loss": LOSS,
    "layer_norm": {"x": X, "weight": normal(3), "bias": normal(3), "axis": 1, "eps": 1e-4},
    "leaky_relu": {"x": X, "negative_slope": 0.2},
    "linear": {"x": X, "w": normal(3, 4), "b": normal(4)},
    "log_softmax": {"x": X, "axis": 0},
    "lstm": {"params": cell(4), "xs": SEQUENCE, "init": (normal(2, 4),) * 2, "reverse": True},
    "lstm_cell": {"params": cell(4), "state": (normal(2, 4),) * 2, "x": X},
    "max_pool1d": {"x": SIGNAL, **POOL},
    "max_pool2d": {"x": IMAGE, **POOL},
    "mse_loss": LOSS,
    "multi_head_attention": {
        "params": ATTENTION,
        "query": normal(2, 4),
        "key": normal(3, 4),
        "value": normal(3, 4),
        "mask": np.ones((2, 3), bool),
        "heads": 2,
        "causal": True,
    },
    "nll_loss": {"log_probabilities": X, "labels": LABELS, "reduction": "sum"},
    "relu": {"x": X},
    "rms_norm": {"x": X, "weight": normal(3), "axis": 1, "eps": 1e-4},
    "rnn": {"params": cell(1), "xs": SEQUENCE, "init": normal(2, 4), "reverse": True},
    "rnn_cell": {"params": cell(1), "h": normal(2, 4), "x": X},
    "scaled_dot_product_attention": {
        "query": normal(2, 4),
        "key": normal(3, 4),
        "value": normal(3, 4),
        "mask": np.ones((2, 3), bool),
        "causal": True,
        "scale": 0.5,
    },
    "sigmoid": {"x": X},
    "silu": {"x": X},
    "softmax": {"x": X, "axis": 0},
    "softplus": {"x": X},
    "tanh": {"x": X},
}
CONVOLUTION = {"inputs": 4, "outputs": 6, "window": 3, "bias": False, "dtype": "f4", **WINDOW}
RECURRENT = {"inputs": 3, "hidden": 4, "layers": 2, "dtype": "f4"}
LAYERS: dict[str, dict[str, Any]] = {
    "AvgPool1d": POOL,
    "AvgPool2d": POOL,
    "BatchNorm": {"channels": 3, "momentum": 0.2, "eps": 1e-4, "dtype": "f4"},
    "Conv1d": CONVOLUTION,
    "Conv2d": CONVOLUTION,
    "ConvTranspose1d": {**CONVOLUTION, "output_padding": 0},
    "ConvTranspose2d": {**CONVOLUTION, "output_padding": 0},
    "Dropout": {"rate": 0.5},
    "Dropout2d": {"rate": 0.5},
    "Embedding": {"count": 5, "features": 3, "dtype": "f4"},
    "Flatten": {"start": 2},
    "GRU": RECURRENT,
    "GroupNorm": {"groups": 2, "channels": 4, "eps": 1e-4, "dtype": "f4"},
    "LSTM": RECURRENT,
    "LayerNorm": {"features": 3, "eps": 1e-4, "dtype": "f4"},
    "Linear": {"inputs": 3, "outputs": 4, "bias": False, "dtype": "f4"},
    "MaxPool1d": POOL,
    "MaxPool2d": POOL,
    "MultiHeadAttention": {"features": 4, "heads": 2, "memory": 3, "bias": False, "dtype": "f4"},
    "RMSNorm": {"features": 3, "eps": 1e-4, "dtype": "f4"},
    "RNN": RECURRENT,
}
WRONG: dict[str, Any] = {
    "None": None,
    "a string": "text",
    "an object": object(),
    "a dict": {"other": 1.0},
    "strings": np.array(["text"]),
    "complex numbers": np.ones(3, complex),
    "masked numbers": np.ma.array([1.0, 2.0, 3.0], mask=[False, True, False]),
    "ragged lists": [1.0, [2.0], 3.0],
}
# What is None where an argument is left out, or says what the default does.
MAY_BE_NONE = {"axis", "dtype"}


def test_all_of_nn_is_here() -> None:
    rows = {"Params", "Sequential", *FUNCTIONS, *LAYERS}
    assert {name for name in nn.__all__ if name != "Params"} == rows - {"Params"}


def check(make: Any, good: dict[str, Any], wrong: str) -> None:
    """Calls with each argument wrong in turn."""
    defaults = inspect.signature(make).parameters
    for name in good:
        value = WRONG[wrong]
        if value is None and (name in MAY_BE_NONE or defaults[name].default is None):
            continue
        arguments = {**good, name: value}
        with pytest.raises(go.errors.GradoptError) as info:
            make(**arguments)
        assert name in info.value.message or f"of {make.__name__}" in info.value.message
        location = info.value.location
        assert location is not None, name
        assert location.text() == "make(**arguments)"
        # None of the frames is ours, but for the one that hides the others.
        *frames, last = traceback.extract_tb(info.value.__traceback__)
        assert {frame.filename for frame in frames} == {__file__}
        assert Path(last.filename).name == "frames.py"


@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_arguments_of_functions(name: str, wrong: str) -> None:
    getattr(nn, name)(**FUNCTIONS[name])
    check(getattr(nn, name), FUNCTIONS[name], wrong)


@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize("name", LAYERS)
def test_arguments_of_layers(name: str, wrong: str) -> None:
    getattr(nn, name)(**LAYERS[name])
    check(getattr(nn, name), LAYERS[name], wrong)


@pytest.mark.parametrize("flag", [None, 1, "yes", np.ones(2, bool)])
def test_training_is_true_or_false(flag: Any) -> None:
    layer = nn.BatchNorm(3)
    params, state = layer.init(KEY), layer.init_state()
    with pytest.raises(go.errors.ArgumentTypeError, match="training must be True or False"):
        layer(params, X, state, training=flag)
    model = nn.Sequential(layer)
    if flag is not None:
        with pytest.raises(go.errors.ArgumentTypeError, match="training must be True or False"):
            model(model.init(KEY), X, state=model.init_state(), training=flag)
    with pytest.raises(go.errors.ArgumentTypeError, match="make it static"):
        go.compile(lambda on: layer(params, X, state, training=on))(True)
    static = go.compile(lambda on: layer(params, X, state, training=on), static_argnums=0)
    np.testing.assert_allclose(static(True)[0], layer(params, X, state, training=True)[0])


@pytest.mark.parametrize(
    "layer",
    [
        nn.Linear(3, 4),
        nn.Embedding(5, 3),
        nn.LayerNorm(3),
        nn.RMSNorm(3),
        nn.GRU(3, 4),
        nn.LSTM(3, 4),
    ],
)
def test_parameters_that_are_missing(layer: Any) -> None:
    x = (
        SEQUENCE
        if isinstance(layer, (nn.GRU, nn.LSTM))
        else LABELS
        if "count" in repr(layer)
        else X
    )
    params = layer.init(KEY)
    for name in params.keys() - ({"b"} if isinstance(layer, nn.Linear) else set()):
        rest = {other: value for other, value in params.items() if other != name}
        with pytest.raises(go.errors.ArgumentError, match=rf"expected params\['{name}'\], but"):
            layer(rest, x)
    for wrong in (None, 3.0, "text", X, [params["w"]] if "w" in params else object()):
        with pytest.raises(
            go.errors.ArgumentTypeError, match="params must be a dict, as from init"
        ):
            layer(wrong, x)


def test_lists_are_arrays() -> None:
    np.testing.assert_array_equal(nn.relu([1.0, -2.0]), [1.0, 0.0])
    np.testing.assert_array_equal(nn.mse_loss([1.0, 2.0], [0.0, 0.0]), 2.5)
    sum_of = go.grad(lambda a: np.sum(nn.leaky_relu([a, -a], 0.5)))
    assert sum_of(2.0) == 0.5
