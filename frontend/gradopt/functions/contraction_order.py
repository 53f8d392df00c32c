# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""In which order a product of several arrays is cheapest."""

from __future__ import annotations

import math
import string
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from gradopt.base.location import source_location
from gradopt.errors import KeywordError

# Up to this many operands every order is tried.
_FEW = 5
_NO_LIMIT = 1 << 62


def einsum_steps(
    terms: Sequence[str], output: str, sizes: Mapping[str, int], optimize: Any
) -> list[tuple[int, ...]]:
    """Which operands of an Einstein summation are contracted one after another.

    Args:
        terms: the labels of each operand.
        output: the labels of the result.
        sizes: the size of each label.
        optimize: as `numpy.einsum` takes it. False and True, which leave the order open, give
            the one with the fewest multiplications, or a greedy one of many operands.

    Returns:
        For each step positions in the list of operands; they are taken from it, and the result is
        added at its end.

    Raises:
        KeywordError: NumPy does not know this `optimize`.
    """
    if len(terms) < 2:
        return []
    if isinstance(optimize, (bool, type(None))):
        optimize = ("optimal" if len(terms) <= _FEW else "greedy", _NO_LIMIT)
    letters = dict(zip(sizes, string.ascii_letters, strict=False))
    if len(letters) < len(sizes):
        return [(0, 1), *[(0, len(terms) - 1 - i) for i in range(1, len(terms) - 1)]]
    # einsum_path looks at shapes only.
    arrays = [np.broadcast_to(0.0, [sizes[label] for label in term]) for term in terms]
    inputs = ",".join("".join(letters[label] for label in term) for term in terms)
    subscripts = f"{inputs}->{''.join(letters[label] for label in output)}"
    try:
        path = np.einsum_path(subscripts, *arrays, optimize=optimize)[0]
    except (IndexError, KeyError, RuntimeError, TypeError, ValueError) as error:
        raise KeywordError(
            f"optimize={optimize!r} of numpy.einsum is not a path of {subscripts!r}: {error}",
            source_location(),
        ) from None
    return [tuple(sorted(step)) for step in path[1:]]


def chain_splits(sizes: Sequence[int]) -> dict[tuple[int, int], int]:
    """The cheapest order of a chain of matrix products.

    Args:
        sizes: rows of the first matrix, and columns of each.

    Returns:
        For each part of the chain, from its first matrix to its last, the last one of its left
        factor. Of equal orders it is NumPy's.
    """
    count = len(sizes) - 1
    cost = dict.fromkeys([(i, i) for i in range(count)], 0)
    split: dict[tuple[int, int], int] = {}
    for length in range(1, count):
        for first in range(count - length):
            last = first + length
            best = math.inf
            for k in range(first, last):
                outer = sizes[first] * sizes[k + 1] * sizes[last + 1]
                total = cost[first, k] + cost[k + 1, last] + outer
                if total < best:
                    best = total
                    split[first, last] = k
            cost[first, last] = int(best)
    return split
