# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Bases of ranges and null spaces, and Hessenberg's form."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.interpolate
import scipy.linalg
from budget import generator

import gradopt as go
from gradopt.errors import ShapeError, UnsupportedError
from gradopt.scipy import linalg

rng = generator(23)
FULL = rng.normal(size=(4, 3))
# Of rank 2.
FLAT = rng.normal(size=(4, 2)) @ rng.normal(size=(2, 5))
A = rng.normal(size=(5, 5))


def projector(basis: Any) -> Any:
    return basis @ np.conj(basis.T)


@pytest.mark.parametrize("a", [FULL, FLAT, FLAT.T, FLAT + 1j * FLAT, np.zeros((2, 3))])
@pytest.mark.parametrize("name", ["orth", "null_space"])
def test_bases_span_scipys_spaces(name: str, a: Any) -> None:
    expected = getattr(scipy.linalg, name)(a)
    for found in (getattr(linalg, name)(a), go.compile(getattr(linalg, name))(a)):
        assert found.shape == expected.shape
        np.testing.assert_allclose(projector(found), projector(expected), atol=1e-13)
        np.testing.assert_allclose(np.conj(found.T) @ found, np.eye(found.shape[1]), atol=1e-13)


def test_what_counts_as_zero() -> None:
    a = np.diag([1.0, 1e-3])
    assert linalg.orth(a, 1e-2).shape == (2, 1)
    assert linalg.null_space(a, rcond=1e-2).shape == (2, 1)
    assert linalg.null_space(a).shape == (2, 0)


def test_derivatives_of_functions_of_the_space() -> None:
    y = rng.normal(size=4)
    go.gradcheck(lambda a: np.sum((linalg.orth(a).T @ y) ** 2), (FULL,))
    go.gradcheck(lambda a: np.sum((linalg.null_space(a).T @ y) ** 2), (FULL.T,))


@pytest.mark.parametrize(
    "a", [A, A + 1j * A[::-1], A[:2, :2], A[:2, :2] + 1j, A[:1, :1], np.triu(A), np.diag(A[0])]
)
def test_hessenbergs_form_is_lapacks(a: Any) -> None:
    expected = scipy.linalg.hessenberg(a, calc_q=True)
    for one, other in zip(linalg.hessenberg(a, calc_q=True), expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(linalg.hessenberg(a), expected[0], rtol=1e-12, atol=1e-13)


def test_derivatives_of_hessenbergs_form() -> None:
    def loss(a: Any) -> Any:
        h, q = linalg.hessenberg(a, calc_q=True)
        return np.sum(np.sin(h)) + np.sum(q**3)

    go.gradcheck(loss, (A[:4, :4],), order=2)


def test_what_is_refused() -> None:
    with pytest.raises(ShapeError, match="takes a matrix"):
        linalg.orth(np.ones(3))
    with pytest.raises(UnsupportedError, match=r"scipy\.linalg\.ldl.*pivots jump"):
        go.compile(lambda a: scipy.linalg.ldl(a))(A)
    with pytest.raises(UnsupportedError, match=r"scipy\.linalg\.qz.*not unique"):
        go.compile(lambda a: scipy.linalg.qz(a, a))(A)
    with pytest.raises(UnsupportedError, match=r"scipy\.interpolate\.splprep.*make_interp_spline"):
        go.compile(lambda a: scipy.interpolate.splprep(a))(A)
