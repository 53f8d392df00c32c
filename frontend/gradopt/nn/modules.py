# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Layers that know their shapes: `params = layer.init(key)`, and `y = layer(params, x)`.

A layer holds sizes and no arrays. Parameters are plain dicts of arrays, and a call is the function
of the same name on them. So a layer can be used with any parameters, under any transform. Keys are
those of `gradopt.random`.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

from gradopt.nn.attention import multi_head_attention
from gradopt.nn.checks import require
from gradopt.nn.layers import dropout, embedding, linear
from gradopt.nn.normalization import batch_norm, group_norm, layer_norm, rms_norm
from gradopt.nn.recurrent import Params, gru, lstm, rnn
from gradopt.random import fold_in, normal, split, uniform
from gradopt.transforms.policies import Checkpoint


def _require_sizes(layer: Any, *names: str) -> None:
    for name in names:
        size = getattr(layer, name)
        require(
            bool(isinstance(size, (int, np.integer)) and size > 0),
            f"{name} of {type(layer).__name__} must be a positive integer, but it is {size!r}",
        )


@dataclasses.dataclass(frozen=True)
class Linear:
    """`linear`: {"w": (inputs, outputs), "b": (outputs,)}.

    Attributes:
        inputs: features of the input.
        outputs: features of the output.
        bias: whether there is a "b".
        dtype: of the parameters, which begin uniform in `[-r, r)` with `r = 1 / sqrt(inputs)`.
    """

    inputs: int
    outputs: int
    bias: bool = True
    dtype: Any = np.float64

    def __post_init__(self) -> None:
        _require_sizes(self, "inputs", "outputs")

    def init(self, key: Any) -> Params:
        """New parameters."""
        bound = 1 / math.sqrt(self.inputs)
        first, second = split(key, 2)
        params = {"w": uniform(first, (self.inputs, self.outputs), self.dtype, -bound, bound)}
        if self.bias:
            params["b"] = uniform(second, (self.outputs,), self.dtype, -bound, bound)
        return params

    def __call__(self, params: Params, x: Any) -> Any:
        """(..., inputs) to (..., outputs)."""
        return linear(x, params["w"], params.get("b"))


@dataclasses.dataclass(frozen=True)
class Embedding:
    """`embedding`: {"table": (count, features)}.

    Attributes:
        count: number of rows.
        features: length of a row.
        dtype: of the table, which begins with normal numbers.
    """

    count: int
    features: int
    dtype: Any = np.float64

    def __post_init__(self) -> None:
        _require_sizes(self, "count", "features")

    def init(self, key: Any) -> Params:
        """New parameters."""
        return {"table": normal(key, (self.count, self.features), self.dtype)}

    def __call__(self, params: Params, indices: Any) -> Any:
        """Integers of shape (...) to (..., features)."""
        return embedding(params["table"], indices)


@dataclasses.dataclass(frozen=True)
class Dropout:
    """`dropout`, without parameters.

    Attributes:
        rate: how much is dropped.
    """

    rate: float
    draws: ClassVar[bool] = True  # Whether a call takes a key.

    def __post_init__(self) -> None:
        require(0 <= self.rate < 1, f"rate must be in [0, 1), but it is {self.rate}")

    def init(self, key: Any) -> Params:
        """No parameters."""
        return {}

    def __call__(self, params: Params, x: Any, key: Any = None) -> Any:
        """`dropout` with a key, which is for training; without one, `x` as it is."""
        return x if key is None else dropout(x, self.rate, key)


@dataclasses.dataclass(frozen=True)
class LayerNorm:
    """`layer_norm` of the last axis: {"weight", "bias": (features,)}, from 1 and 0.

    Attributes:
        features: size of the last axis.
        eps: is added to the variance.
        dtype: of the parameters.
    """

    features: int
    eps: float = 1e-5
    dtype: Any = np.float64

    def __post_init__(self) -> None:
        _require_sizes(self, "features")

    def init(self, key: Any) -> Params:
        """Parameters that change nothing."""
        return _unit(self.features, self.dtype)

    def __call__(self, params: Params, x: Any) -> Any:
        """(..., features) to the same."""
        return layer_norm(x, params["weight"], params["bias"], eps=self.eps)


@dataclasses.dataclass(frozen=True)
class RMSNorm:
    """`rms_norm` of the last axis: {"weight": (features,)}, from 1.

    Attributes:
        features: size of the last axis.
        eps: is added to the mean square.
        dtype: of the parameters.
    """

    features: int
    eps: float = 1e-6
    dtype: Any = np.float64

    def __post_init__(self) -> None:
        _require_sizes(self, "features")

    def init(self, key: Any) -> Params:
        """Parameters that change nothing."""
        return {"weight": np.ones(self.features, self.dtype)}

    def __call__(self, params: Params, x: Any) -> Any:
        """(..., features) to the same."""
        return rms_norm(x, params["weight"], eps=self.eps)


@dataclasses.dataclass(frozen=True)
class GroupNorm:
    """`group_norm`: {"weight", "bias": (channels,)}, from 1 and 0.

    Attributes:
        groups: how many groups of channels.
        channels: size of axis 1.
        eps: is added to the variance.
        dtype: of the parameters.
    """

    groups: int
    channels: int
    eps: float = 1e-5
    dtype: Any = np.float64

    def __post_init__(self) -> None:
        _require_sizes(self, "groups", "channels")
        require(
            self.channels % self.groups == 0,
            f"groups must divide the {self.channels} channels, but they are {self.groups}",
        )

    def init(self, key: Any) -> Params:
        """Parameters that change nothing."""
        return _unit(self.channels, self.dtype)

    def __call__(self, params: Params, x: Any) -> Any:
        """(batch, channels, ...) to the same."""
        return group_norm(x, self.groups, params["weight"], params["bias"], self.eps)


@dataclasses.dataclass(frozen=True)
class BatchNorm:
    """`batch_norm`: {"weight", "bias": (channels,)}, from 1 and 0, and a state beside them.

    Attributes:
        channels: size of axis 1.
        momentum: weight of a batch in the state.
        eps: is added to the variance.
        dtype: of the parameters and the state.
    """

    channels: int
    momentum: float = 0.1
    eps: float = 1e-5
    dtype: Any = np.float64

    def __post_init__(self) -> None:
        _require_sizes(self, "channels")

    def init(self, key: Any) -> Params:
        """Parameters that change nothing."""
        return _unit(self.channels, self.dtype)

    def init_state(self) -> Params:
        """The state before the first batch: means of 0 and variances of 1."""
        return {
            "mean": np.zeros(self.channels, self.dtype),
            "var": np.ones(self.channels, self.dtype),
        }

    def __call__(
        self, params: Params, x: Any, state: Params, *, training: bool
    ) -> tuple[Any, Params]:
        """(batch, channels, ...) to the same, and the next state."""
        return batch_norm(
            x,
            state,
            params["weight"],
            params["bias"],
            training=training,
            momentum=self.momentum,
            eps=self.eps,
        )


def _unit(size: int, dtype: Any) -> Params:
    return {"weight": np.ones(size, dtype), "bias": np.zeros(size, dtype)}


@dataclasses.dataclass(frozen=True)
class MultiHeadAttention:
    """`multi_head_attention` with inner sizes of `features`.

    Attributes:
        features: of queries and of the output.
        heads: how many; divides the features.
        memory: features of keys and values; `features` without it.
        bias: whether the projections have biases, from 0.
        dtype: of the parameters; weights begin uniform in `[-r, r)` with `r = sqrt(6 / (in + out))`
            (Glorot and Bengio, 2010).
    """

    features: int
    heads: int
    memory: int | None = None
    bias: bool = True
    dtype: Any = np.float64

    def __post_init__(self) -> None:
        _require_sizes(self, "features", "heads", *["memory"] * (self.memory is not None))
        require(
            self.features % self.heads == 0,
            f"heads must divide the {self.features} features, but they are {self.heads}",
        )

    def init(self, key: Any) -> Params:
        """New parameters."""
        memory = self.features if self.memory is None else self.memory
        inputs = {"q": self.features, "k": memory, "v": memory, "o": self.features}
        params: Params = {}
        for (name, size), one in zip(inputs.items(), split(key, 4), strict=True):
            bound = math.sqrt(6 / (size + self.features))
            params[f"w{name}"] = uniform(one, (size, self.features), self.dtype, -bound, bound)
            if self.bias:
                params[f"b{name}"] = np.zeros(self.features, self.dtype)
        return params

    def __call__(
        self,
        params: Params,
        query: Any,
        key: Any = None,
        value: Any = None,
        mask: Any = None,
        *,
        causal: bool = False,
    ) -> Any:
        """(..., queries, features) to the same; see `multi_head_attention`."""
        return multi_head_attention(
            params, query, key, value, mask, heads=self.heads, causal=causal
        )


def _recurrent_params(layer: Any, key: Any, gates: int) -> Params:
    bound = 1 / math.sqrt(layer.hidden)
    first, second, third = split(key, 3)
    width = gates * layer.hidden
    return {
        "wi": uniform(first, (layer.inputs, width), layer.dtype, -bound, bound),
        "wh": uniform(second, (layer.hidden, width), layer.dtype, -bound, bound),
        "b": uniform(third, (width,), layer.dtype, -bound, bound),
    }


@dataclasses.dataclass(frozen=True)
class RNN:
    """`rnn`: the parameters of `rnn_cell`.

    Attributes:
        inputs: features of the input.
        hidden: features of the state.
        dtype: of the parameters, which begin uniform in `[-r, r)` with `r = 1 / sqrt(hidden)`.
    """

    inputs: int
    hidden: int
    dtype: Any = np.float64

    def __post_init__(self) -> None:
        _require_sizes(self, "inputs", "hidden")

    def init(self, key: Any) -> Params:
        """New parameters."""
        return _recurrent_params(self, key, 1)

    def __call__(
        self,
        params: Params,
        xs: Any,
        init: Any = None,
        *,
        reverse: bool = False,
        checkpoint: Checkpoint = None,
    ) -> tuple[Any, Any]:
        """(time, ..., inputs) to (time, ..., hidden), and the last state."""
        return rnn(params, xs, init, reverse=reverse, checkpoint=checkpoint)


@dataclasses.dataclass(frozen=True)
class LSTM:
    """`lstm`: the parameters of `lstm_cell`; attributes as of `RNN`."""

    inputs: int
    hidden: int
    dtype: Any = np.float64

    def __post_init__(self) -> None:
        _require_sizes(self, "inputs", "hidden")

    def init(self, key: Any) -> Params:
        """New parameters."""
        return _recurrent_params(self, key, 4)

    def __call__(
        self,
        params: Params,
        xs: Any,
        init: tuple[Any, Any] | None = None,
        *,
        reverse: bool = False,
        checkpoint: Checkpoint = None,
    ) -> tuple[Any, Any]:
        """(time, ..., inputs) to (time, ..., hidden), and the last (h, c)."""
        return lstm(params, xs, init, reverse=reverse, checkpoint=checkpoint)


@dataclasses.dataclass(frozen=True)
class GRU:
    """`gru`: the parameters of `gru_cell`; attributes as of `RNN`."""

    inputs: int
    hidden: int
    dtype: Any = np.float64

    def __post_init__(self) -> None:
        _require_sizes(self, "inputs", "hidden")

    def init(self, key: Any) -> Params:
        """New parameters."""
        first, second = split(key, 2)
        bound = 1 / math.sqrt(self.hidden)
        return {
            **_recurrent_params(self, first, 3),
            "bn": uniform(second, (self.hidden,), self.dtype, -bound, bound),
        }

    def __call__(
        self,
        params: Params,
        xs: Any,
        init: Any = None,
        *,
        reverse: bool = False,
        checkpoint: Checkpoint = None,
    ) -> tuple[Any, Any]:
        """(time, ..., inputs) to (time, ..., hidden), and the last state."""
        return gru(params, xs, init, reverse=reverse, checkpoint=checkpoint)


class Sequential:
    """Layers one after the other: {"0": parameters of the first, ...}.

    Attributes:
        layers: layers that are called with parameters and one array, and functions of one array,
            which have no parameters.
        draws: whether a layer among them draws random numbers, and so takes a key.
    """

    def __init__(self, *layers: Callable[..., Any]) -> None:
        for number, layer in enumerate(layers):
            require(callable(layer), f"expected a layer or function as argument {number}")
        self.layers = layers
        self.draws = any(getattr(layer, "draws", False) for layer in layers)

    def __repr__(self) -> str:
        return f"Sequential({', '.join(getattr(x, '__name__', repr(x)) for x in self.layers)})"

    def init(self, key: Any) -> Params:
        """New parameters."""
        owners: dict[str, Any] = {
            str(number): layer for number, layer in enumerate(self.layers) if hasattr(layer, "init")
        }
        keys = split(key, len(owners)) if owners else []
        pairs = zip(owners.items(), keys, strict=True)
        return {number: layer.init(one) for (number, layer), one in pairs}

    def __call__(self, params: Params, x: Any, key: Any = None) -> Any:
        """The result of the last layer.

        Args:
            params: as from `init`.
            x: what the first layer takes.
            key: for layers that draw random numbers in training; none draws without one.
        """
        for number, layer in enumerate(self.layers):
            if not hasattr(layer, "init"):
                x = layer(x)
            elif key is not None and getattr(layer, "draws", False):
                x = layer(params[str(number)], x, fold_in(key, number))
            else:
                x = layer(params[str(number)], x)
        return x
