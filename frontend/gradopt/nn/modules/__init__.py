# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Layers that know their shapes: `params = layer.init(key)`, and `y = layer(params, x)`.

A layer holds sizes and no arrays. Parameters are plain dicts of arrays, and a call is the function
of the same name on them. So a layer can be used with any parameters, under any transform. Keys are
those of `gradopt.random`.
"""

from gradopt.nn.modules.normalization import BatchNorm, GroupNorm, LayerNorm, RMSNorm
from gradopt.nn.modules.sequences import GRU, LSTM, RNN, MultiHeadAttention
from gradopt.nn.modules.sequential import Sequential
from gradopt.nn.modules.simple import Dropout, Dropout2d, Embedding, Flatten, Linear
from gradopt.nn.modules.windows import (
    AvgPool1d,
    AvgPool2d,
    Conv1d,
    Conv2d,
    ConvTranspose1d,
    ConvTranspose2d,
    MaxPool1d,
    MaxPool2d,
)

__all__ = [
    "GRU",
    "LSTM",
    "RNN",
    "AvgPool1d",
    "AvgPool2d",
    "BatchNorm",
    "Conv1d",
    "Conv2d",
    "ConvTranspose1d",
    "ConvTranspose2d",
    "Dropout",
    "Dropout2d",
    "Embedding",
    "Flatten",
    "GroupNorm",
    "LayerNorm",
    "Linear",
    "MaxPool1d",
    "MaxPool2d",
    "MultiHeadAttention",
    "RMSNorm",
    "Sequential",
]
