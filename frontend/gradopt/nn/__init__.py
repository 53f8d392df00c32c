# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Parts of neural networks, as functions of arrays and parameters.

They are NumPy code: they work on arrays as they stand, in compiled code, and under every transform.
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
from gradopt.nn.losses import (
    bce_with_logits_loss,
    cross_entropy_loss,
    huber_loss,
    kl_div_loss,
    l1_loss,
    mse_loss,
    nll_loss,
)
from gradopt.nn.normalization import batch_norm, group_norm, layer_norm, rms_norm

__all__ = [
    "batch_norm",
    "bce_with_logits_loss",
    "cross_entropy_loss",
    "elu",
    "gelu",
    "group_norm",
    "huber_loss",
    "kl_div_loss",
    "l1_loss",
    "layer_norm",
    "leaky_relu",
    "log_softmax",
    "mse_loss",
    "nll_loss",
    "relu",
    "rms_norm",
    "sigmoid",
    "silu",
    "softmax",
    "softplus",
    "tanh",
]
