# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The optimisers by name, with the formulas and defaults of optax.

`learning_rate` is a number, or a schedule: a function of the count of steps, which the state holds.
"""

from __future__ import annotations

from gradopt.optim.checks import public
from gradopt.optim.limits import Mask, add_decayed_weights
from gradopt.optim.scaling import (
    scale_by_adam,
    scale_by_learning_rate,
    scale_by_lion,
    scale_by_rms,
    scale_by_rss,
    trace,
)
from gradopt.optim.schedules import ScalarOrSchedule
from gradopt.optim.transformation import GradientTransformation, chain


@public()
def sgd(
    learning_rate: ScalarOrSchedule, momentum: float | None = None, nesterov: bool = False
) -> GradientTransformation:
    """Steps along the gradient, with `momentum` along a decaying sum of gradients."""
    parts = [] if momentum is None else [trace(momentum, nesterov)]
    return chain(*parts, scale_by_learning_rate(learning_rate))


@public()
def adam(
    learning_rate: ScalarOrSchedule,
    b1: float = 0.9,
    b2: float = 0.999,
    eps: float = 1e-8,
    eps_root: float = 0.0,
    nesterov: bool = False,
) -> GradientTransformation:
    """Adam, with `nesterov` NAdam; see `scale_by_adam`."""
    return chain(
        scale_by_adam(b1, b2, eps, eps_root, nesterov), scale_by_learning_rate(learning_rate)
    )


@public()
def adamw(
    learning_rate: ScalarOrSchedule,
    b1: float = 0.9,
    b2: float = 0.999,
    eps: float = 1e-8,
    eps_root: float = 0.0,
    weight_decay: float = 1e-4,
    mask: Mask = None,
    nesterov: bool = False,
) -> GradientTransformation:
    """Adam with decay of the weights that does not pass through the moments.

    Loshchilov and Hutter, Decoupled weight decay regularization, 2019. The decay is
    `learning_rate * weight_decay`; `mask` as for `add_decayed_weights`.
    """
    return chain(
        scale_by_adam(b1, b2, eps, eps_root, nesterov),
        add_decayed_weights(weight_decay, mask),
        scale_by_learning_rate(learning_rate),
    )


@public()
def rmsprop(
    learning_rate: ScalarOrSchedule,
    decay: float = 0.9,
    eps: float = 1e-8,
    initial_scale: float = 0.0,
    eps_in_sqrt: bool = True,
    centered: bool = False,
    momentum: float | None = None,
    nesterov: bool = False,
) -> GradientTransformation:
    """RMSprop, with momentum of the steps; see `scale_by_rms`."""
    parts = [] if momentum is None else [trace(momentum, nesterov)]
    return chain(
        scale_by_rms(decay, eps, initial_scale, eps_in_sqrt, centered),
        scale_by_learning_rate(learning_rate),
        *parts,
    )


@public()
def adagrad(
    learning_rate: ScalarOrSchedule, initial_accumulator_value: float = 0.1, eps: float = 1e-7
) -> GradientTransformation:
    """Adagrad; see `scale_by_rss`."""
    return chain(
        scale_by_rss(initial_accumulator_value, eps), scale_by_learning_rate(learning_rate)
    )


@public()
def lion(
    learning_rate: ScalarOrSchedule,
    b1: float = 0.9,
    b2: float = 0.99,
    weight_decay: float = 1e-3,
    mask: Mask = None,
) -> GradientTransformation:
    """Lion, with decoupled decay of the weights; see `scale_by_lion`."""
    return chain(
        scale_by_lion(b1, b2),
        add_decayed_weights(weight_decay, mask),
        scale_by_learning_rate(learning_rate),
    )
