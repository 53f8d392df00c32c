# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Layers of one array that know a size or two."""

from __future__ import annotations

import dataclasses
import math
from typing import Any, ClassVar

import numpy as np

from gradopt.nn.checks import entry, require, shape_of
from gradopt.nn.layers import dropout, dropout2d, embedding, linear
from gradopt.nn.modules.initial import drawn
from gradopt.nn.modules.layer import layer
from gradopt.nn.recurrent import Params
from gradopt.random import normal, split, uniform


@layer
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

    def init(self, key: Any) -> Params:
        """New parameters."""
        bound = 1 / math.sqrt(self.inputs)
        first, second = split(key, 2)
        params = {
            "w": drawn(uniform, first, (self.inputs, self.outputs), self.dtype, -bound, bound)
        }
        if self.bias:
            params["b"] = drawn(uniform, second, (self.outputs,), self.dtype, -bound, bound)
        return params

    def __call__(self, params: Params, x: Any) -> Any:
        """(..., inputs) to (..., outputs)."""
        return linear(x, entry(params, "w"), params.get("b"))


@layer
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

    def init(self, key: Any) -> Params:
        """New parameters."""
        return {"table": drawn(normal, key, (self.count, self.features), self.dtype)}

    def __call__(self, params: Params, indices: Any) -> Any:
        """Integers of shape (...) to (..., features)."""
        return embedding(entry(params, "table"), indices)


@layer
@dataclasses.dataclass(frozen=True)
class Dropout:
    """`dropout`, without parameters.

    Attributes:
        rate: how much is dropped.
    """

    rate: float
    draws: ClassVar[bool] = True  # Whether a call takes a key.

    def init(self, key: Any) -> Params:
        """No parameters."""
        return {}

    def __call__(self, params: Params, x: Any, key: Any = None) -> Any:
        """`dropout` with a key, which is for training; without one, `x` as it is."""
        return x if key is None else dropout(x, self.rate, key)


@layer
@dataclasses.dataclass(frozen=True)
class Dropout2d(Dropout):
    """`dropout2d`, without parameters; as `Dropout`."""

    def __call__(self, params: Params, x: Any, key: Any = None) -> Any:
        """`dropout2d` with a key, which is for training; without one, `x` as it is."""
        return x if key is None else dropout2d(x, self.rate, key)


@layer
@dataclasses.dataclass(frozen=True)
class Flatten:
    """One axis of all from `start` on, without parameters.

    Attributes:
        start: the first of these axes; the ones before stay.
    """

    start: int = 1

    def init(self, key: Any) -> Params:
        """No parameters."""
        return {}

    def __call__(self, params: Params, x: Any) -> Any:
        """(batch, ...) to (batch, elements)."""
        shape = shape_of(x)
        require(
            0 <= self.start < len(shape),
            f"start of Flatten must be an axis of x, but it is {self.start}, and x has shape "
            f"{shape}",
        )
        kept = shape[: self.start]
        return np.reshape(x, (*kept, math.prod(shape[self.start :])))
