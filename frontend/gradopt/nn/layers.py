# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Linear maps, embeddings and dropout, as functions."""

from __future__ import annotations

from typing import Any

import numpy as np

from gradopt import numpy as gnp
from gradopt.nn.activations import as_floats
from gradopt.nn.checks import (
    public,
    require,
    require_bools,
    require_integers,
    require_shape,
    require_size,
    shape_of,
)
from gradopt.random import bernoulli

# Of a concrete table and traced indices too.
_take: Any = getattr(gnp, "take")  # noqa: B009


@public()
def linear(x: Any, w: Any, b: Any = None) -> Any:
    """`x @ w + b`.

    Args:
        x: shape (..., in).
        w: shape (in, out).
        b: shape (out,), or None.

    Returns:
        Shape (..., out).
    """
    require_shape(w, "w", ("in", "out"))
    require_size(x, "x", shape_of(w)[0])
    y = x @ w
    if b is None:
        return y
    require_shape(b, "b", (shape_of(w)[1],))
    return y + b


@public()
def embedding(table: Any, indices: Any) -> Any:
    """Rows of a table.

    Args:
        table: shape (count, features).
        indices: integers in [0, count), of any shape; negative ones count from the end.

    Returns:
        Shape (*indices.shape, features).

    Raises:
        IndexError: an index is out of bounds.
    """
    require_shape(table, "table", ("count", "features"))
    if not hasattr(indices, "dtype"):
        indices = np.asarray(indices)
    require_integers(indices, "indices")
    return _take(table, indices, axis=0)


@public(key=None)
def dropout(x: Any, rate: float, key: Any = None, *, mask: Any = None) -> Any:
    """Zeros for some elements, and the rest scaled so that the mean stays.

    Args:
        x: array.
        rate: how much is dropped, in [0, 1); the rest is divided by `1 - rate`.
        key: of `gradopt.random`; tells what is dropped, each element by itself.
        mask: instead of a key, bools that are False where elements are dropped, broadcast
            against `x`.

    Raises:
        ArgumentError: there are both a key and a mask, or neither.

    Srivastava et al., Dropout, 2014.
    """
    require(0 <= rate < 1, f"rate must be in [0, 1), but it is {rate}")
    require((key is None) != (mask is None), "dropout needs a key, or a mask, and not both")
    x = as_floats(x)
    if mask is None:
        mask = bernoulli(key, 1 - rate, shape_of(x))
    require_bools(mask, "mask")
    return np.where(mask, x / (1 - rate), 0)


@public(key=None)
def dropout2d(x: Any, rate: float, key: Any) -> Any:
    """`dropout` of whole channels.

    Args:
        x: shape (batch, channels, ...).
        rate: how much is dropped, in [0, 1); the rest is divided by `1 - rate`.
        key: of `gradopt.random`; tells which channels of which examples.

    Tompson et al., arXiv:1411.4280.
    """
    shape = shape_of(x)
    require(len(shape) >= 2, f"expected x of shape (batch, channels, ...), but got {shape}")
    mask = bernoulli(key, 1 - rate, shape[:2] + (1,) * (len(shape) - 2))
    return dropout(x, rate, mask=mask)
