# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Optimisers as pure functions on pytrees, in optax's manner.

    optimizer = optim.adam(1e-3)
    state = optimizer.init(params)
    updates, state = optimizer.update(grads, state, params)
    params = optim.apply_updates(params, updates)

All of it works on NumPy arrays as it stands, and in compiled code, so that loss, gradient and step
are one program. Gradients are taken in the dtypes of the parameters, which stay.
"""

from gradopt.optim.lbfgs import lbfgs
from gradopt.optim.limits import (
    add_decayed_weights,
    clip,
    clip_by_global_norm,
    global_norm,
    multi_steps,
)
from gradopt.optim.optimizers import adagrad, adam, adamw, lion, rmsprop, sgd
from gradopt.optim.scaling import (
    scale,
    scale_by_adam,
    scale_by_learning_rate,
    scale_by_lion,
    scale_by_rms,
    scale_by_rss,
    scale_by_schedule,
    trace,
)
from gradopt.optim.schedules import (
    Schedule,
    constant_schedule,
    cosine_decay_schedule,
    exponential_decay,
    join_schedules,
    linear_schedule,
    piecewise_constant_schedule,
    polynomial_schedule,
    warmup_cosine_decay_schedule,
)
from gradopt.optim.transformation import GradientTransformation, apply_updates, chain

__all__ = [
    "GradientTransformation",
    "Schedule",
    "adagrad",
    "adam",
    "adamw",
    "add_decayed_weights",
    "apply_updates",
    "chain",
    "clip",
    "clip_by_global_norm",
    "constant_schedule",
    "cosine_decay_schedule",
    "exponential_decay",
    "global_norm",
    "join_schedules",
    "lbfgs",
    "linear_schedule",
    "lion",
    "multi_steps",
    "piecewise_constant_schedule",
    "polynomial_schedule",
    "rmsprop",
    "scale",
    "scale_by_adam",
    "scale_by_learning_rate",
    "scale_by_lion",
    "scale_by_rms",
    "scale_by_rss",
    "scale_by_schedule",
    "sgd",
    "trace",
    "warmup_cosine_decay_schedule",
]
