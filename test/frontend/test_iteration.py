# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Loops over arrays and lists that change meanwhile: elements are those at their turn, as NumPy's.

Each function is run on 9 elements, where its loop can be one of compiled code, and on 6.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import gradopt as go


def over_a_view(v: Any) -> Any:
    for x in v[::2]:
        v[:] = v + x
    return v


def in_place(v: Any) -> Any:
    for x in v:
        v -= x
    return v


def both_ends(v: Any) -> Any:
    for x, y in zip(v, v[::-1], strict=True):
        v -= x
        v *= y
    return v


def the_next_one(v: Any) -> Any:
    for i, x in enumerate(v[:-1]):
        v[i + 1] += x
    return v


def backwards(v: Any) -> Any:
    for x in reversed(v):
        v += x
    return v


def comprehension(v: Any) -> Any:
    def changed(x: Any) -> Any:
        v[:] = v + 1
        return x * 1

    return np.array([changed(x) for x in v])


def a_list_is_a_copy(v: Any) -> Any:
    for x in list(v):
        v += x
    return v


def rows_are_views(v: Any) -> Any:
    w = v.reshape(-1, 3)
    for row in w:
        w[1] += row
        row[:] = row + 1
    return v


def numbers_of_a_product_are_copies(v: Any) -> Any:
    total = 0.0
    for x, j in itertools.product(v, range(4)):
        v[1] += 1.0
        total += x * j
    return total


def rows_of_a_product_are_views(v: Any) -> Any:
    total, w = 0.0, v.reshape(-1, 3)
    for row, j in itertools.product(w, range(4)):
        w[1] += 1.0
        total += row[1] * j
    return total


def with_indices(v: Any) -> Any:
    total = 0.0
    for (i,), x in np.ndenumerate(v):
        v[5] += 2.0
        total += x * i
    return total


def _filled(v: Any) -> list[Any]:
    ys: list[Any] = []
    for i in range(len(v)):
        ys.append(v[i] * 1)
    return ys


def a_list_that_changes(v: Any) -> Any:
    ys, total = _filled(v), 0.0
    for y in ys:
        ys[4] = ys[4] + 1.0
        total += y * ys[4]
    return total


def a_list_that_changes_backwards(v: Any) -> Any:
    ys, total = _filled(v), 0.0
    for y in reversed(ys):
        ys[3] = ys[3] + 1.0
        total += y * ys[3]
    return total


def a_list_beside_an_array(v: Any) -> Any:
    ys, total = _filled(v), 0.0
    for i, (y, x) in enumerate(zip(ys, v, strict=True)):
        ys[len(ys) - 1 - i] += x
        total += y * i
    return total


@pytest.mark.parametrize("size", [9, 6])
@pytest.mark.parametrize(
    "function",
    [
        over_a_view,
        in_place,
        both_ends,
        the_next_one,
        backwards,
        comprehension,
        a_list_is_a_copy,
        rows_are_views,
        numbers_of_a_product_are_copies,
        rows_of_a_product_are_views,
        with_indices,
        a_list_that_changes,
        a_list_that_changes_backwards,
        a_list_beside_an_array,
    ],
)
def test_elements_are_those_at_their_turn(function: Callable[..., Any], size: int) -> None:
    mine, numpys = (0.1 * np.arange(size) - 0.3 for _ in range(2))
    np.testing.assert_allclose(go.compile(function)(mine), function(numpys), rtol=1e-13)
    np.testing.assert_allclose(mine, numpys, rtol=1e-13)
    go.gradcheck(go.compile(lambda v: np.sum(function(v * 1.0))), (0.1 * np.arange(size) - 0.3,))
