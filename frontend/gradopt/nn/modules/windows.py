# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Convolutions and pools as layers. Sizes are one integer for all dimensions, or one for each."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

from gradopt.nn.checks import entry, require
from gradopt.nn.convolution import conv1d, conv2d, conv_transpose1d, conv_transpose2d
from gradopt.nn.modules.initial import drawn
from gradopt.nn.modules.layer import layer
from gradopt.nn.pooling import avg_pool1d, avg_pool2d, max_pool1d, max_pool2d
from gradopt.nn.recurrent import Params
from gradopt.nn.windows import each, padding_of
from gradopt.random import split, uniform

Sizes = int | tuple[int, ...]


@layer
@dataclasses.dataclass(frozen=True)
class _Convolution:
    inputs: int
    outputs: int
    window: Sizes
    stride: Sizes = 1
    padding: Any = 0
    dilation: Sizes = 1
    groups: int = 1
    bias: bool = True
    dtype: Any = np.float64
    spatial: ClassVar[int]
    function: ClassVar[Callable[..., Any]]

    def __post_init__(self) -> None:
        for name in ("inputs", "outputs"):
            count = getattr(self, name)
            require(
                count % self.groups == 0,
                f"groups must divide the {count} {name}, but they are {self.groups}",
            )
        for name in ("window", "stride", "dilation"):
            self._each(name, 1)
        padding_of(type(self).__name__, self.padding, self.spatial)

    def _each(self, name: str, least: int) -> tuple[int, ...]:
        return each(type(self).__name__, name, getattr(self, name), self.spatial, least)

    def _features(self) -> tuple[int, int]:
        """The first two sizes of "w"."""
        return self.outputs, self.inputs // self.groups

    def init(self, key: Any) -> Params:
        """New parameters."""
        window = self._each("window", 1)
        bound = 1 / math.sqrt(self.inputs // self.groups * math.prod(window))
        first, second = split(key, 2)
        shape = (*self._features(), *window)
        params = {"w": drawn(uniform, first, shape, self.dtype, -bound, bound)}
        if self.bias:
            params["b"] = drawn(uniform, second, (self.outputs,), self.dtype, -bound, bound)
        return params

    def _options(self) -> dict[str, Any]:
        names = ("stride", "padding", "dilation", "groups")
        return {name: getattr(self, name) for name in names}

    def __call__(self, params: Params, x: Any) -> Any:
        """(batch, inputs, ...) to (batch, outputs, ...)."""
        return type(self).function(x, entry(params, "w"), params.get("b"), **self._options())


@layer
@dataclasses.dataclass(frozen=True)
class Conv1d(_Convolution):
    """`conv1d`: {"w": (outputs, inputs / groups, window), "b": (outputs,)}; as `Conv2d`."""

    spatial: ClassVar[int] = 1
    function: ClassVar[Callable[..., Any]] = staticmethod(conv1d)


@layer
@dataclasses.dataclass(frozen=True)
class Conv2d(_Convolution):
    """`conv2d`: {"w": (outputs, inputs / groups, height, width of a window), "b": (outputs,)}.

    Attributes:
        inputs: channels of the input.
        outputs: channels of the output.
        window: size of a kernel.
        stride: as of `conv2d`, and so are padding and dilation.
        groups: how many groups of channels; divides the inputs and the outputs.
        bias: whether there is a "b".
        dtype: of the parameters, which begin uniform in `[-r, r)` with `r = 1 / sqrt(n)`, where n
            is the number of elements in a window of all inputs of a group.
    """

    spatial: ClassVar[int] = 2
    function: ClassVar[Callable[..., Any]] = staticmethod(conv2d)


@layer
@dataclasses.dataclass(frozen=True)
class _Transposed(_Convolution):
    output_padding: Sizes = dataclasses.field(default=0, kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        self._each("output_padding", 0)

    def _features(self) -> tuple[int, int]:
        return self.inputs, self.outputs // self.groups

    def _options(self) -> dict[str, Any]:
        return super()._options() | {"output_padding": self.output_padding}


@layer
@dataclasses.dataclass(frozen=True)
class ConvTranspose1d(_Transposed):
    """`conv_transpose1d`: {"w": (inputs, outputs / groups, window), "b": (outputs,)}.

    Attributes as of `ConvTranspose2d`.
    """

    spatial: ClassVar[int] = 1
    function: ClassVar[Callable[..., Any]] = staticmethod(conv_transpose1d)


@layer
@dataclasses.dataclass(frozen=True)
class ConvTranspose2d(_Transposed):
    """`conv_transpose2d`: {"w": (inputs, outputs / groups, height, width), "b": (outputs,)}.

    Attributes as of `Conv2d`, and output_padding, as of `conv_transpose2d`.
    """

    spatial: ClassVar[int] = 2
    function: ClassVar[Callable[..., Any]] = staticmethod(conv_transpose2d)


@layer
@dataclasses.dataclass(frozen=True)
class _Pool:
    window: Sizes
    stride: Sizes | None = None
    padding: Any = 0
    spatial: ClassVar[int]
    function: ClassVar[Callable[..., Any]]

    def __post_init__(self) -> None:
        name = type(self).__name__
        each(name, "window", self.window, self.spatial, 1)
        if self.stride is not None:
            each(name, "stride", self.stride, self.spatial, 1)
        padding_of(name, self.padding, self.spatial)

    def init(self, key: Any) -> Params:
        """No parameters."""
        return {}

    def __call__(self, params: Params, x: Any) -> Any:
        """(batch, channels, ...) to the same with fewer places."""
        return type(self).function(x, self.window, self.stride, self.padding)


@layer
@dataclasses.dataclass(frozen=True)
class MaxPool1d(_Pool):
    """`max_pool1d`, without parameters; attributes are its arguments."""

    spatial: ClassVar[int] = 1
    function: ClassVar[Callable[..., Any]] = staticmethod(max_pool1d)


@layer
@dataclasses.dataclass(frozen=True)
class MaxPool2d(_Pool):
    """`max_pool2d`, without parameters; attributes are its arguments."""

    spatial: ClassVar[int] = 2
    function: ClassVar[Callable[..., Any]] = staticmethod(max_pool2d)


@layer
@dataclasses.dataclass(frozen=True)
class AvgPool1d(_Pool):
    """`avg_pool1d`, without parameters; attributes are its arguments."""

    spatial: ClassVar[int] = 1
    function: ClassVar[Callable[..., Any]] = staticmethod(avg_pool1d)


@layer
@dataclasses.dataclass(frozen=True)
class AvgPool2d(_Pool):
    """`avg_pool2d`, without parameters; attributes are its arguments."""

    spatial: ClassVar[int] = 2
    function: ClassVar[Callable[..., Any]] = staticmethod(avg_pool2d)
