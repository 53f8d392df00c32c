# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Losses: of predictions and targets of one shape, or of scores of classes and labels.

Each has a `reduction` of the losses of single examples: "mean", "sum", or "none".
"""

from __future__ import annotations

from typing import Any

import numpy as np

from gradopt import numpy as gnp
from gradopt.base.dtypes import kind_of
from gradopt.nn.activations import as_floats, log_softmax, softplus
from gradopt.nn.checks import (
    public,
    require,
    require_integers,
    require_same_shape,
    require_shape,
    shape_of,
)

# Of concrete scores and traced labels too.
_take_along_axis: Any = getattr(gnp, "take_along_axis")  # noqa: B009


def _reduced(losses: Any, reduction: str) -> Any:
    if reduction == "none":
        return losses
    return np.mean(losses) if reduction == "mean" else np.sum(losses)


def _difference(predictions: Any, targets: Any) -> Any:
    require_same_shape(predictions, "predictions", targets, "targets")
    return as_floats(predictions) - targets


@public()
def mse_loss(predictions: Any, targets: Any, reduction: str = "mean") -> Any:
    """Squares of differences."""
    return _reduced(np.square(_difference(predictions, targets)), reduction)


@public()
def l1_loss(predictions: Any, targets: Any, reduction: str = "mean") -> Any:
    """Absolute values of differences; the derivative at 0 is 0."""
    return _reduced(np.abs(_difference(predictions, targets)), reduction)


@public()
def huber_loss(predictions: Any, targets: Any, delta: float = 1.0, reduction: str = "mean") -> Any:
    """Half a square up to `delta`, then a line: `d**2 / 2` or `delta * (abs(d) - delta / 2)`.

    Huber, Robust estimation of a location parameter, 1964.
    """
    require(delta > 0, f"delta must be positive, but it is {delta}")
    difference = _difference(predictions, targets)
    # One expression for both, without a kink at 0 for the second derivative.
    clipped = np.clip(difference, -delta, delta)
    return _reduced(clipped * (difference - 0.5 * clipped), reduction)


@public()
def bce_with_logits_loss(
    logits: Any, targets: Any, pos_weight: Any = 1.0, reduction: str = "mean"
) -> Any:
    """Binary cross entropy of `sigmoid(logits)` and targets in [0, 1].

    Args:
        logits: scores.
        targets: probabilities, of the same shape.
        pos_weight: factor of the losses of positives; a number, or an array to broadcast.
        reduction: see above.
    """
    require_same_shape(logits, "logits", targets, "targets")
    logits = as_floats(logits)
    targets = as_floats(targets).astype(logits.dtype)
    # Where a probability is 0, an infinite loss does not count.
    positive = targets * np.where(targets == 0, 0, softplus(-logits))
    negative = (1 - targets) * np.where(targets == 1, 0, softplus(logits))
    return _reduced(pos_weight * positive + negative, reduction)


@public()
def nll_loss(log_probabilities: Any, labels: Any, reduction: str = "mean") -> Any:
    """The negative logarithm of the probability of each label.

    Args:
        log_probabilities: shape (..., classes), as from `log_softmax`.
        labels: integers in [0, classes), shape (...,).
        reduction: see above.
    """
    return _reduced(-_at_labels(as_floats(log_probabilities), labels), reduction)


def _at_labels(scores: Any, labels: Any) -> Any:
    if not hasattr(labels, "dtype"):
        labels = np.asarray(labels)
    require_integers(labels, "labels")
    require_shape(labels, "labels", shape_of(scores)[:-1])
    return _take_along_axis(scores, labels[..., np.newaxis], axis=-1)[..., 0]


@public()
def cross_entropy_loss(
    logits: Any, targets: Any, label_smoothing: float = 0.0, reduction: str = "mean"
) -> Any:
    """Cross entropy of `softmax(logits)` and labels, or a distribution.

    Args:
        logits: scores, shape (..., classes).
        targets: integers in [0, classes), shape (...,); or probabilities, of the shape of `logits`.
        label_smoothing: the part of the probability that all classes share.
        reduction: see above.
    """
    require(
        0 <= label_smoothing <= 1,
        f"label_smoothing must be in [0, 1], but it is {label_smoothing}",
    )
    scores = log_softmax(logits)
    targets = targets if hasattr(targets, "dtype") else np.asarray(targets)
    if kind_of(targets.dtype) == "f":
        require_same_shape(logits, "logits", targets, "targets")
        targets = targets.astype(scores.dtype)
        losses = -np.sum(targets * np.where(targets == 0, 0, scores), axis=-1)
    else:
        losses = -_at_labels(scores, targets)
    if label_smoothing:
        losses = (1 - label_smoothing) * losses - label_smoothing * np.mean(scores, axis=-1)
    return _reduced(losses, reduction)


@public()
def kl_div_loss(log_probabilities: Any, targets: Any, reduction: str = "mean") -> Any:
    """Divergence of Kullback and Leibler, `sum(t * (log(t) - log_probabilities))` over classes.

    Args:
        log_probabilities: shape (..., classes), as from `log_softmax`.
        targets: probabilities, of the same shape; where they are 0 the terms are.
        reduction: see above; of the sums over classes.
    """
    require_same_shape(log_probabilities, "log_probabilities", targets, "targets")
    scores = as_floats(log_probabilities)
    targets = as_floats(targets).astype(scores.dtype)
    absent = targets == 0
    logs = np.log(np.where(absent, 1, targets))
    return _reduced(np.sum(targets * (logs - np.where(absent, 0, scores)), axis=-1), reduction)
