# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Layers that normalise; they begin as ones that scale and shift nothing."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import numpy as np

from gradopt.nn.checks import entry, require
from gradopt.nn.modules.layer import layer
from gradopt.nn.normalization import batch_norm, group_norm, layer_norm, rms_norm
from gradopt.nn.recurrent import Params


@layer
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

    def init(self, key: Any) -> Params:
        """Parameters that change nothing."""
        return _unit(self.features, self.dtype)

    def __call__(self, params: Params, x: Any) -> Any:
        """(..., features) to the same."""
        return layer_norm(x, entry(params, "weight"), entry(params, "bias"), eps=self.eps)


@layer
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

    def init(self, key: Any) -> Params:
        """Parameters that change nothing."""
        return {"weight": np.ones(self.features, self.dtype)}

    def __call__(self, params: Params, x: Any) -> Any:
        """(..., features) to the same."""
        return rms_norm(x, entry(params, "weight"), eps=self.eps)


@layer
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
        require(
            self.channels % self.groups == 0,
            f"groups must divide the {self.channels} channels, but they are {self.groups}",
        )

    def init(self, key: Any) -> Params:
        """Parameters that change nothing."""
        return _unit(self.channels, self.dtype)

    def __call__(self, params: Params, x: Any) -> Any:
        """(batch, channels, ...) to the same."""
        return group_norm(x, self.groups, entry(params, "weight"), entry(params, "bias"), self.eps)


@layer
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
    keeps: ClassVar[bool] = True  # Whether a call takes and returns a state.

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
            entry(params, "weight"),
            entry(params, "bias"),
            training=training,
            momentum=self.momentum,
            eps=self.eps,
        )


def _unit(size: int, dtype: Any) -> Params:
    return {"weight": np.ones(size, dtype), "bias": np.zeros(size, dtype)}
