# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Parts of neural networks, as functions of arrays and parameters, and as layers.

Functions are NumPy code: they work on arrays as they stand, in compiled code, and under every
transform. Layers know shapes and make parameters, which are plain dicts:
`params = layer.init(key)`, and `y = layer(params, x)`.
"""

from gradopt.nn.activations import (
    elu,
    gelu,
    leaky_relu,
    log_softmax,
    relu,
    sigmoid,
    silu,
    softmax,
    softplus,
    tanh,
)
from gradopt.nn.attention import multi_head_attention, scaled_dot_product_attention
from gradopt.nn.convolution import conv1d, conv2d, conv_transpose2d
from gradopt.nn.layers import dropout, embedding, linear
from gradopt.nn.losses import (
    bce_with_logits_loss,
    cross_entropy_loss,
    huber_loss,
    kl_div_loss,
    l1_loss,
    mse_loss,
    nll_loss,
)
from gradopt.nn.modules import (
    GRU,
    LSTM,
    RNN,
    BatchNorm,
    Dropout,
    Embedding,
    GroupNorm,
    LayerNorm,
    Linear,
    MultiHeadAttention,
    RMSNorm,
    Sequential,
)
from gradopt.nn.normalization import batch_norm, group_norm, layer_norm, rms_norm
from gradopt.nn.pooling import avg_pool2d, max_pool2d
from gradopt.nn.recurrent import gru, gru_cell, lstm, lstm_cell, rnn, rnn_cell

__all__ = [
    "GRU",
    "LSTM",
    "RNN",
    "BatchNorm",
    "Dropout",
    "Embedding",
    "GroupNorm",
    "LayerNorm",
    "Linear",
    "MultiHeadAttention",
    "RMSNorm",
    "Sequential",
    "avg_pool2d",
    "batch_norm",
    "bce_with_logits_loss",
    "conv1d",
    "conv2d",
    "conv_transpose2d",
    "cross_entropy_loss",
    "dropout",
    "elu",
    "embedding",
    "gelu",
    "group_norm",
    "gru",
    "gru_cell",
    "huber_loss",
    "kl_div_loss",
    "l1_loss",
    "layer_norm",
    "leaky_relu",
    "linear",
    "log_softmax",
    "lstm",
    "lstm_cell",
    "max_pool2d",
    "mse_loss",
    "multi_head_attention",
    "nll_loss",
    "relu",
    "rms_norm",
    "rnn",
    "rnn_cell",
    "scaled_dot_product_attention",
    "sigmoid",
    "silu",
    "softmax",
    "softplus",
    "tanh",
]
