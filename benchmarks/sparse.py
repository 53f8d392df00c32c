# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Products with sparse matrices that are timed: rows of one length, and of very different ones."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

Function = Callable[..., Any]
Array = np.ndarray[Any, Any]

SIZE = 20_000
ELEMENTS = 200_000


@functools.cache
def places(kind: str) -> tuple[Array, Array]:
    """Indices and pointers of a matrix of about `ELEMENTS` elements, the same each time.

    Args:
        kind: "even" for rows of one length; "power" for lengths that fall as 1 / i, in any order.
    """
    generator = np.random.default_rng(5)
    lengths = np.full(SIZE, ELEMENTS // SIZE)
    if kind == "power":
        weights = 1 / np.arange(1, SIZE + 1)
        lengths = np.clip(ELEMENTS * weights / weights.sum(), 1, SIZE).astype(int)
        generator.shuffle(lengths)
    indices = [np.sort(generator.integers(0, SIZE, length)) for length in lengths]
    pointers = np.concatenate(([0], np.cumsum(lengths)))
    return np.concatenate(indices).astype(np.int32), pointers.astype(np.int32)


def product(kind: str) -> Callable[[Any], Function]:
    """A loss of the product of a matrix and a vector, or a matrix of eight columns."""

    def function(xp: Any) -> Function:
        indices, pointers = places(kind)

        def matrix(data: Any) -> Any:
            shape = (SIZE, SIZE)
            if xp.__name__ == "jax.numpy":
                from jax.experimental.sparse import BCSR

                return BCSR((data, xp.asarray(indices), xp.asarray(pointers)), shape=shape)
            from gradopt.scipy import sparse

            return sparse.csr_array((data, indices, pointers), shape)

        def loss(params: Any) -> Any:
            data, x = params
            return xp.sum(xp.sin(matrix(data) @ x))

        return loss

    return function


def arguments(kind: str, *columns: int) -> Callable[[np.random.Generator], tuple[Any, ...]]:
    """Elements, and what the matrix is multiplied with."""
    return lambda g: ([g.normal(size=places(kind)[0].size), g.normal(size=(SIZE, *columns))],)
