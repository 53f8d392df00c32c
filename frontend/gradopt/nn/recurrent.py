# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Recurrent cells, and layers that scan a sequence with one.

Parameters are {"wi", "wh", "b"} of shapes (in, gates * hidden), (hidden, gates * hidden) and
(gates * hidden,), where gates lie side by side. Of several layers, each along the outputs of the
one before, parameters are a list of such dicts, and states a list of states.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from gradopt.base.location import source_location
from gradopt.base.policies import Checkpoint
from gradopt.compilation.arguments import checked_array
from gradopt.compilation.calling import describe_value
from gradopt.errors import ArgumentTypeError
from gradopt.nn.activations import sigmoid
from gradopt.nn.checks import (
    checked_entries,
    entry,
    public,
    require,
    require_shape,
    require_size,
    shape_of,
)
from gradopt.transforms.loops import scan

Params = dict[str, Any]
Cell = Callable[[Params, Any, Any], tuple[Any, Any]]


def _checked_pair(state: Any, name: str) -> Any:
    """The state of an LSTM."""
    if not isinstance(state, (tuple, list)) or len(state) != 2:
        raise ArgumentTypeError(
            f"{name} must be the pair (h, c), but it is {describe_value(state)}", source_location()
        )
    return tuple([checked_array(part, f"{name}[{i}]") for i, part in enumerate(state)])


def _checked_layers(params: Any, name: str) -> Any:
    """The parameters of one layer, or of several."""
    if not isinstance(params, (list, tuple)):
        return checked_entries(params, name)
    require(len(params) > 0, f"{name} must be of one layer at least, but it is an empty list")
    return [checked_entries(layer, f"{name}[{i}]") for i, layer in enumerate(params)]


def _hidden(params: Params, h: Any, x: Any, gates: int) -> int:
    """The number of hidden features, after a check of all shapes."""
    require_shape(entry(params, "wh"), "params['wh']", ("hidden", "gates * hidden"))
    hidden = shape_of(params["wh"])[0]
    require_shape(params["wh"], "params['wh']", (hidden, gates * hidden))
    require_shape(entry(params, "wi"), "params['wi']", ("in", gates * hidden))
    require_shape(entry(params, "b"), "params['b']", (gates * hidden,))
    require_size(x, "x", shape_of(params["wi"])[0])
    require_size(h, "the hidden state", hidden)
    return hidden


def _gates(sums: Any, hidden: int) -> list[Any]:
    return [sums[..., i : i + hidden] for i in range(0, shape_of(sums)[-1], hidden)]


@public()
def rnn_cell(params: Params, h: Any, x: Any) -> tuple[Any, Any]:
    """`tanh(x @ wi + h @ wh + b)`.

    Args:
        params: of one gate.
        h: the state, shape (..., hidden).
        x: the input, shape (..., in).

    Returns:
        The next state, and once more as the output.
    """
    _hidden(params, h, x, 1)
    h = np.tanh(x @ params["wi"] + h @ params["wh"] + params["b"])
    return h, h


@public(state=_checked_pair)
def lstm_cell(params: Params, state: tuple[Any, Any], x: Any) -> tuple[Any, Any]:
    """Long short-term memory: `c = f * c + i * g` and `h = o * tanh(c)`.

    Args:
        params: of four gates in the order i, f, g, o, of which g passes a tanh and the others a
            sigmoid.
        state: h and c, both of shape (..., hidden).
        x: the input, shape (..., in).

    Returns:
        The next (h, c), and h as the output.

    Hochreiter and Schmidhuber, 1997; forget gates by Gers et al., 2000.
    """
    h, c = state
    hidden = _hidden(params, h, x, 4)
    i, f, g, o = _gates(x @ params["wi"] + h @ params["wh"] + params["b"], hidden)
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    h = sigmoid(o) * np.tanh(c)
    return (h, c), h


@public()
def gru_cell(params: Params, h: Any, x: Any) -> tuple[Any, Any]:
    """Gated recurrent unit: `h = (1 - z) * n + z * h`.

    Args:
        params: of three gates in the order r, z, n, of which r and z pass a sigmoid, and
            `n = tanh(x_n + b_n + r * (h_n + bn))`; and {"bn"}, of shape (hidden,).
        h: the state, shape (..., hidden).
        x: the input, shape (..., in).

    Returns:
        The next state, and once more as the output.

    Cho et al., arXiv:1406.1078, in the form of cuDNN.
    """
    hidden = _hidden(params, h, x, 3)
    require_shape(entry(params, "bn"), "params['bn']", (hidden,))
    inputs = _gates(x @ params["wi"] + params["b"], hidden)
    states = _gates(h @ params["wh"], hidden)
    r, z = (sigmoid(a + b) for a, b in zip(inputs[:2], states[:2], strict=True))
    n = np.tanh(inputs[2] + r * (states[2] + params["bn"]))
    h = (1 - z) * n + z * h
    return h, h


def _zeros(params: Params, xs: Any) -> Any:
    """A state of zeros for sequences."""
    require_shape(entry(params, "wh"), "params['wh']", ("hidden", "gates * hidden"))
    shape = (*shape_of(xs)[1:-1], shape_of(params["wh"])[0])
    return np.zeros(shape, params["wh"].dtype)


def _vector(params: Params, xs: Any, init: Any, name: str) -> Any:
    """The first state of most cells."""
    return _zeros(params, xs) if init is None else checked_array(init, name)


def _pair(params: Params, xs: Any, init: Any, name: str) -> Any:
    """The first state of an LSTM."""
    return (_zeros(params, xs),) * 2 if init is None else _checked_pair(init, name)


def _scanned(
    cell: Cell,
    start: Callable[[Params, Any, Any, str], Any],
    params: Any,
    xs: Any,
    init: Any,
    reverse: bool,
    checkpoint: Checkpoint,
    name: str = "init",
) -> tuple[Any, Any]:
    """Outputs and last state of a layer, or of several, which begin at what `start` gives."""
    require(len(shape_of(xs)) >= 2, f"expected xs of shape (time, ..., in), but got {shape_of(xs)}")
    if isinstance(params, dict):
        state, ys = scan(
            lambda state, x: cell(params, state, x),
            start(params, xs, init, name),
            xs,
            reverse=reverse,
            checkpoint=checkpoint,
        )
        return ys, state
    inits = [None] * len(params) if init is None else init
    require(
        isinstance(inits, (list, tuple)) and len(inits) == len(params),
        f"expected init to be a list of {len(params)} states, one for each layer, but it is "
        f"{describe_value(init)}",
    )
    states: list[Any] = []
    for number, (layer, first) in enumerate(zip(params, inits, strict=True)):
        name = f"init[{number}]"
        xs, last = _scanned(cell, start, layer, xs, first, reverse, checkpoint, name)
        states.append(last)
    return xs, states


@public(params=_checked_layers)
def rnn(
    params: Params | Sequence[Params],
    xs: Any,
    init: Any = None,
    *,
    reverse: bool = False,
    checkpoint: Checkpoint = None,
) -> tuple[Any, Any]:
    """`rnn_cell` along a sequence.

    Args:
        params: those of the cell, or a list of them.
        xs: shape (time, ..., in).
        init: the first state, or a list of them; zeros without one.
        reverse: whether to begin at the end; outputs keep the order of `xs`.
        checkpoint: what is kept for the derivative, as for `gradopt.scan`.

    Returns:
        The outputs of the last layer, shape (time, ..., hidden), and the last state.
    """
    return _scanned(rnn_cell, _vector, params, xs, init, reverse, checkpoint)


@public(params=_checked_layers)
def lstm(
    params: Params | Sequence[Params],
    xs: Any,
    init: Any = None,
    *,
    reverse: bool = False,
    checkpoint: Checkpoint = None,
) -> tuple[Any, Any]:
    """`lstm_cell` along a sequence; as `rnn`."""
    return _scanned(lstm_cell, _pair, params, xs, init, reverse, checkpoint)


@public(params=_checked_layers)
def gru(
    params: Params | Sequence[Params],
    xs: Any,
    init: Any = None,
    *,
    reverse: bool = False,
    checkpoint: Checkpoint = None,
) -> tuple[Any, Any]:
    """`gru_cell` along a sequence; as `rnn`."""
    return _scanned(gru_cell, _vector, params, xs, init, reverse, checkpoint)
