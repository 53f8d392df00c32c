# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Structured matrices, powers and subspaces in gradopt.scipy.linalg against SciPy."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.linalg
from budget import generator

import gradopt as go
from gradopt.errors import LinAlgError, ShapeError, UnsupportedError
from gradopt.scipy import linalg

RNG = generator(7)
COLUMN, ROW, SIDES = (
    RNG.normal(size=5) + 4 * np.eye(5)[0],
    RNG.normal(size=5),
    RNG.normal(size=(5, 2)),
)
LONG = RNG.normal(size=7)
BANDS = np.concatenate([0.4 * RNG.normal(size=(2, 6)), 3 + RNG.normal(size=(1, 6)) / 9])
COMPLEX = BANDS + 0.2j * np.concatenate([RNG.normal(size=(2, 6)), np.zeros((1, 6))])
LOWER = BANDS[::-1].copy()
SIX = RNG.normal(size=6)
A, TALL, OTHER = RNG.normal(size=(4, 4)), RNG.normal(size=(6, 3)), RNG.normal(size=(6, 2))
POSITIVE = A @ A.T + np.eye(4)

# Functions of a module, either SciPy's or ours, and their arguments.
CASES: dict[str, tuple[Callable[..., Any], tuple[Any, ...]]] = {
    "solve_toeplitz": (lambda m, c, r, b: m.solve_toeplitz((c, r), b), (COLUMN, ROW, SIDES)),
    "solve_toeplitz of a column": (lambda m, c, b: m.solve_toeplitz(c, b), (COLUMN, ROW)),
    "matmul_toeplitz": (
        lambda m, c, r, x: m.matmul_toeplitz((c, r), x), (COLUMN, LONG, RNG.normal(size=(7, 2))),
    ),
    "matmul_toeplitz of a column": (
        lambda m, c, x: np.real(m.matmul_toeplitz(c + 1j * c[::-1], x)), (COLUMN, ROW),
    ),
    "solve_circulant": (lambda m, c, b: m.solve_circulant(c, b), (COLUMN, SIDES)),
    "cholesky_banded": (lambda m, ab: m.cholesky_banded(ab), (BANDS,)),
    "cholesky_banded, lower": (lambda m, ab: m.cholesky_banded(ab, lower=True), (LOWER,)),
    "solveh_banded": (lambda m, ab, b: m.solveh_banded(ab, b), (BANDS, SIX)),
    "solveh_banded, lower": (lambda m, ab, b: m.solveh_banded(ab, b, lower=True), (LOWER, SIX)),
    "solveh_banded, complex": (
        lambda m, b: np.imag(m.solveh_banded(COMPLEX, b)), (np.stack([SIX, SIX[::-1]], 1),),
    ),
    "solveh_banded of a diagonal": (lambda m, ab: m.solveh_banded(ab, SIX), (BANDS[2:],)),
    "cho_solve_banded": (lambda m, cb, b: m.cho_solve_banded((cb, False), b), (BANDS, SIX)),
    "eigvals_banded": (lambda m, ab: m.eigvals_banded(ab), (BANDS,)),
    "eig_banded": (lambda m, ab: np.abs(m.eig_banded(ab, lower=True)[1]), (LOWER,)),
    "fiedler": (lambda m, a: m.fiedler(a), (COLUMN,)),
    "rq": (lambda m, a: np.abs(np.stack(m.rq(a))), (A,)),
    "rq, economic": (lambda m, a: np.abs(m.rq(a, mode="economic")[1]), (TALL.T,)),
    "subspace_angles": (lambda m, a, b: m.subspace_angles(a, b), (TALL, OTHER)),
    "subspace_angles of near spaces": (
        lambda m, a: m.subspace_angles(a[:, :2], TALL[:, :2] + 0.01 * OTHER), (TALL,),
    ),
    "expm_frechet": (lambda m, a, e: np.stack(m.expm_frechet(a, e)), (A, A.T)),
    "fractional_matrix_power": (lambda m, a, t: m.fractional_matrix_power(a, t), (POSITIVE, 0.3)),
    "fractional_matrix_power, -2": (lambda m, a: m.fractional_matrix_power(a, -2), (POSITIVE,)),
}  # fmt: skip


# Those of which derivatives of second order are tried, and single precision.
SECOND = ("matmul_toeplitz", "cholesky_banded", "rq", "subspace_angles")


@pytest.mark.parametrize("name", CASES)
def test_against_scipy(name: str) -> None:
    function, args = CASES[name]
    got, want = function(linalg, *args), function(scipy.linalg, *args)
    np.testing.assert_allclose(got, want, 1e-8, 1e-10)
    numbers = tuple(range(len(args)))
    assert go.gradcheck(
        lambda *args: np.sum(np.sin(function(scipy.linalg, *args))), args, argnums=numbers,
        order=2 if name in SECOND else 1,
    )  # fmt: skip
    if name in SECOND:
        found = function(linalg, *[np.float32(a) for a in args])
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, want, 5e-3, 1e-3)


def test_more_rows_than_there_are() -> None:
    r, q = linalg.rq(TALL.T)
    np.testing.assert_allclose(r @ q, TALL.T, 1e-13, 1e-13)
    np.testing.assert_allclose(q @ q.T, np.eye(6), 1e-13, 1e-13)
    want = scipy.linalg.rq(TALL.T, mode="r")
    np.testing.assert_allclose(np.abs(linalg.rq(TALL.T, mode="r")), np.abs(want), 1e-12, 1e-13)


def test_what_is_said_of_matrices() -> None:
    near = (A + A.T) * (1 + 1e-9 * A)
    for matrix in (A, A + A.T, near, near + 1j * (A - A.T)):
        for tolerances in ({}, {"atol": 1e-6}, {"rtol": 1e-6}):
            for name in ("issymmetric", "ishermitian"):
                want = getattr(scipy.linalg, name)(matrix, **tolerances)
                assert getattr(linalg, name)(matrix, **tolerances) == want
    band = np.triu(np.tril(RNG.normal(size=(5, 6)), 2), -1)
    for matrix in (band, 0 * band, np.arange(3) * np.eye(3, dtype=int)):
        assert linalg.bandwidth(matrix) == scipy.linalg.bandwidth(matrix)


@pytest.mark.parametrize("name", ["solve_toeplitz", "solve_circulant", "eig_banded", "rq",
                                  "solveh_banded", "cholesky_banded", "expm_frechet"])  # fmt: skip
def test_parameters_are_scipys(name: str) -> None:
    ours = inspect.signature(getattr(linalg, name)).parameters
    theirs = inspect.signature(getattr(scipy.linalg, name)).parameters
    assert [*ours] == [*theirs]


def test_errors() -> None:
    with pytest.raises(LinAlgError, match="not positive definite"):
        linalg.cholesky_banded(-BANDS)
    with pytest.raises(LinAlgError, match="near singular circulant"):
        linalg.solve_circulant(np.ones(4), np.ones(4))
    with pytest.raises(LinAlgError, match="must be a square matrix"):
        linalg.issymmetric(TALL)
    with pytest.raises(ShapeError, match="expected an array of 5 rows"):
        linalg.solve_toeplitz(COLUMN, SIX)
    with pytest.raises(ShapeError, match="the same shape"):
        linalg.expm_frechet(A, TALL)
    with pytest.raises(UnsupportedError, match=r"select= of scipy\.linalg\.eig_banded"):
        linalg.eig_banded(BANDS, select="i", select_range=(0, 1))
