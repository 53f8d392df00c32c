# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Layers of sequences: attention, and recurrent ones."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

from gradopt.base.policies import Checkpoint
from gradopt.nn.attention import multi_head_attention
from gradopt.nn.checks import require
from gradopt.nn.modules.initial import drawn
from gradopt.nn.modules.layer import layer
from gradopt.nn.recurrent import Params, gru, lstm, rnn
from gradopt.random import split, uniform


@layer
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
            params[f"w{name}"] = drawn(
                uniform, one, (size, self.features), self.dtype, -bound, bound
            )
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


@layer
@dataclasses.dataclass(frozen=True)
class _Recurrent:
    inputs: int
    hidden: int
    layers: int = 1
    dtype: Any = np.float64
    gates: ClassVar[int]
    function: ClassVar[Callable[..., Any]]

    def init(self, key: Any) -> Any:
        """New parameters: a dict for one layer, a list of them for several."""
        if self.layers == 1:
            return self._cell(self.inputs, key)
        sizes = [self.inputs] + [self.hidden] * (self.layers - 1)
        keys = split(key, self.layers)
        return [self._cell(size, one) for size, one in zip(sizes, keys, strict=True)]

    def _cell(self, inputs: int, key: Any) -> Params:
        width = self.gates * self.hidden
        shapes = {"wi": (inputs, width), "wh": (self.hidden, width), "b": (width,)}
        return self._drawn(shapes, key)

    def _drawn(self, shapes: dict[str, tuple[int, ...]], key: Any) -> Params:
        bound = 1 / math.sqrt(self.hidden)
        keys = split(key, len(shapes))
        return {
            name: drawn(uniform, one, shape, self.dtype, -bound, bound)
            for (name, shape), one in zip(shapes.items(), keys, strict=True)
        }

    def __call__(
        self,
        params: Any,
        xs: Any,
        init: Any = None,
        *,
        reverse: bool = False,
        checkpoint: Checkpoint = None,
    ) -> tuple[Any, Any]:
        """(time, ..., inputs) to (time, ..., hidden), and the last state."""
        return type(self).function(params, xs, init, reverse=reverse, checkpoint=checkpoint)


@layer
@dataclasses.dataclass(frozen=True)
class RNN(_Recurrent):
    """`rnn`: the parameters of `rnn_cell`.

    Attributes:
        inputs: features of the input.
        hidden: features of the state.
        layers: how many, each along the outputs of the one before; of several, parameters and
            states are lists.
        dtype: of the parameters, which begin uniform in `[-r, r)` with `r = 1 / sqrt(hidden)`.
    """

    gates: ClassVar[int] = 1
    function: ClassVar[Callable[..., Any]] = staticmethod(rnn)


@layer
@dataclasses.dataclass(frozen=True)
class LSTM(_Recurrent):
    """`lstm`: the parameters of `lstm_cell`, and (h, c) as the state; attributes as of `RNN`."""

    gates: ClassVar[int] = 4
    function: ClassVar[Callable[..., Any]] = staticmethod(lstm)


@layer
@dataclasses.dataclass(frozen=True)
class GRU(_Recurrent):
    """`gru`: the parameters of `gru_cell`; attributes as of `RNN`."""

    gates: ClassVar[int] = 3
    function: ClassVar[Callable[..., Any]] = staticmethod(gru)

    def _drawn(self, shapes: dict[str, tuple[int, ...]], key: Any) -> Params:
        return super()._drawn(shapes | {"bn": (self.hidden,)}, key)
