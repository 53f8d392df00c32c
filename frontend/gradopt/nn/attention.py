# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Attention: weighted means of values, where queries meet keys."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from gradopt.base.location import source_location
from gradopt.errors import ShapeError
from gradopt.nn.activations import as_floats
from gradopt.nn.checks import (
    entry,
    public,
    require,
    require_bools,
    require_shape,
    require_size,
    shape_of,
)
from gradopt.nn.layers import linear
from gradopt.transforms.gradient import stop_gradient


def _allowed(mask: Any, causal: bool, scores: Any) -> Any:
    """Which pairs of queries and keys there are; None for all."""
    queries, keys = shape_of(scores)[-2:]
    past = np.tri(queries, keys, dtype=np.bool_) if causal else None
    if mask is None:
        return past
    require_bools(mask, "mask")
    try:
        shape = np.broadcast_shapes(shape_of(mask), shape_of(scores))
    except ValueError:
        shape = ()
    if shape != shape_of(scores):
        raise ShapeError(
            f"expected mask that broadcasts to {shape_of(scores)}, but got {shape_of(mask)}",
            source_location(),
        )
    return mask if past is None else np.logical_and(mask, past)


def _weights(scores: Any, allowed: Any) -> Any:
    """The softmax over keys; zeros for a query that may see none."""
    if allowed is None:
        allowed = np.ones((1, 1), np.bool_)
    scores = np.where(allowed, scores, -np.inf)
    largest = np.max(stop_gradient(scores), axis=-1, keepdims=True)
    powers = np.exp(scores - np.where(np.isinf(largest), 0, largest))
    total = np.sum(powers, axis=-1, keepdims=True)
    return powers / np.where(total == 0, 1, total)


@public()
def scaled_dot_product_attention(
    query: Any,
    key: Any,
    value: Any,
    mask: Any = None,
    *,
    causal: bool = False,
    scale: float | None = None,
) -> Any:
    """`softmax(query @ key.T * scale) @ value`, over keys that each query may see.

    Args:
        query: shape (..., queries, features).
        key: shape (..., keys, features).
        value: shape (..., keys, value features).
        mask: bools, broadcast to (..., queries, keys): True where a query may see a key. The result
            for a query that may see none is 0.
        causal: whether query number i may see the keys up to number i only.
        scale: `1 / sqrt(features)` without one.

    Returns:
        Shape (..., queries, value features).

    Vaswani et al., Attention is all you need, 2017.
    """
    for x, name in ((query, "query"), (key, "key"), (value, "value")):
        require(len(shape_of(x)) >= 2, f"expected {name} of two axes at least")
    features = shape_of(query)[-1]
    require_size(key, "key", features)
    require_size(value, "value", shape_of(key)[-2], axis=-2)
    factor = 1 / math.sqrt(features) if scale is None else scale
    scores = (as_floats(query) * factor) @ np.swapaxes(key, -1, -2)
    return _weights(scores, _allowed(mask, causal, scores)) @ value


def _split(x: Any, heads: int) -> Any:
    """(..., length, features) to (..., heads, length, features / heads)."""
    shape = shape_of(x)
    return np.swapaxes(np.reshape(x, (*shape[:-1], heads, shape[-1] // heads)), -2, -3)


@public()
def multi_head_attention(
    params: dict[str, Any],
    query: Any,
    key: Any = None,
    value: Any = None,
    mask: Any = None,
    *,
    heads: int,
    causal: bool = False,
) -> Any:
    """Attention of several heads between projections, and a projection of their results.

    Args:
        params: {"wq", "wk", "wv", "wo"} of shapes (in, inner), (in, inner), (in, inner value),
            (inner value, out); and {"bq", "bk", "bv", "bo"}, which may be missing.
        query: shape (..., queries, in).
        key: shape (..., keys, in); `query` without one.
        value: shape (..., keys, in); `key` without one.
        mask: bools, broadcast to (..., heads, queries, keys); as for
            `scaled_dot_product_attention`.
        heads: how many; divides the inner sizes.
        causal: as for `scaled_dot_product_attention`.

    Returns:
        Shape (..., queries, out).
    """
    key = query if key is None else key
    value = key if value is None else value
    for name in ("wq", "wk", "wv"):
        weight = entry(params, name)
        require_shape(weight, f"params[{name!r}]", ("in", "inner"))
        inner = shape_of(weight)[-1]
        require(
            heads > 0 and inner % heads == 0,
            f"heads must divide the {inner} columns of params[{name!r}], but they are {heads}",
        )
    q, k, v = (
        _split(linear(x, params[f"w{name}"], params.get(f"b{name}")), heads)
        for name, x in (("q", query), ("k", key), ("v", value))
    )
    mixed = np.swapaxes(scaled_dot_product_attention(q, k, v, mask, causal=causal), -2, -3)
    joined = np.reshape(mixed, (*shape_of(mixed)[:-2], shape_of(params["wv"])[-1]))
    return linear(joined, entry(params, "wo"), params.get("bo"))
