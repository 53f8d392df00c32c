# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""gradopt.scipy.linalg against SciPy; derivatives against differences."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.linalg
from matrices import Array, normal, positive, regular

import gradopt as go
from gradopt.errors import ArgumentError, LinAlgError, ShapeError
from gradopt.scipy import linalg


def check(got: Any, want: Any, rtol: float = 1e-10) -> None:
    if not isinstance(want, tuple):
        got, want = (got,), (want,)
    for one, other in zip(got, want, strict=True):
        other = np.asarray(other)
        assert one.shape == other.shape
        assert one.dtype == other.dtype
        np.testing.assert_allclose(one, other, rtol=rtol, atol=rtol * np.abs(other).max(initial=1))


def check_all(ours: Callable[..., Any], theirs: Callable[..., Any], *args: Any) -> None:
    """Called as it is, and in compiled code."""
    want = theirs(*args)
    check(ours(*args), want)
    check(go.compile(ours)(*args), want)


@pytest.mark.parametrize("n", [1, 2, 5, 40])
@pytest.mark.parametrize("lower", [False, True])
def test_cholesky(n: int, lower: bool) -> None:
    a, b = positive(n, n), normal(n, 2, seed=1)
    check_all(lambda a: linalg.cholesky(a, lower), lambda a: scipy.linalg.cholesky(a, lower), a)
    factor = linalg.cho_factor(a, lower)
    assert factor[1] is lower
    check(linalg.cho_solve(factor, b), scipy.linalg.cho_solve(scipy.linalg.cho_factor(a, lower), b))
    vector = linalg.cho_solve(factor, b[:, 0])
    check(vector, np.linalg.solve(a, b[:, 0]))


@pytest.mark.parametrize("n", [1, 3, 40])
@pytest.mark.parametrize("lower", [False, True])
@pytest.mark.parametrize("unit", [False, True])
@pytest.mark.parametrize("trans", [0, 1, 2, "N", "T", "C"])
@pytest.mark.parametrize("dtype", ["f8", "c16"])
def test_triangular_systems(n: int, lower: bool, unit: bool, trans: Any, dtype: str) -> None:
    a, b = (regular(n, n) / np.sqrt(n)).astype(dtype), normal(n, 2, seed=1).astype(dtype)
    if dtype == "c16":
        a = a * (1 + 0.5j)
    if unit:
        a = a / 5
    check_all(
        lambda a, b: linalg.solve_triangular(a, b, trans, lower, unit),
        lambda a, b: scipy.linalg.solve_triangular(a, b, trans, lower, unit),
        a,
        b,
    )


@pytest.mark.parametrize("shape", [(1, 1), (4, 4), (5, 3), (3, 5), (2, 3, 3), (40, 40), (40, 30)])
def test_lu(shape: tuple[int, ...]) -> None:
    a = normal(*shape)
    check_all(linalg.lu, scipy.linalg.lu, a)
    check_all(lambda a: linalg.lu(a, permute_l=True), lambda a: scipy.linalg.lu(a, True), a)
    order, left, right = linalg.lu(a, p_indices=True)
    if len(shape) == 2:
        check(left[order] @ right, a)
        check_all(linalg.lu_factor, scipy.linalg.lu_factor, a)


@pytest.mark.parametrize("n", [1, 4, 40])
@pytest.mark.parametrize("trans", [0, 1, 2])
@pytest.mark.parametrize("dtype", ["f8", "c16"])
def test_systems_of_factored_matrices(n: int, trans: int, dtype: str) -> None:
    a, b = normal(n, n).astype(dtype), normal(n, 3, seed=1)
    if dtype == "c16":
        a = a + 1j * normal(n, n, seed=2)
    factors = scipy.linalg.lu_factor(a)
    check(linalg.lu_solve(factors, b, trans), scipy.linalg.lu_solve(factors, b, trans))
    got = go.compile(lambda a, b: linalg.lu_solve(linalg.lu_factor(a), b[:, 0], trans))(a, b)
    check(got, scipy.linalg.lu_solve(factors, b[:, 0], trans))


@pytest.mark.parametrize(
    ("assume_a", "matrix"),
    [
        *[(name, regular(4, 4)) for name in (None, "gen", "general")],
        *[(name, regular(4, 4)) for name in ("lower triangular", "upper triangular")],
        *[(name, positive(4, 4)) for name in ("sym", "pos", "symmetric", "positive definite")],
        ("diagonal", np.diag([1.0, 2.0, 3.0, 4.0])),
    ],
)
@pytest.mark.parametrize("lower", [False, True])
def test_solve(assume_a: Any, matrix: Array, lower: bool) -> None:
    b = normal(4, 2, seed=1)
    a = matrix
    if assume_a in ("sym", "pos"):
        a = np.tril(a) if lower else np.triu(a)  # The other triangle is not read.
    if assume_a == "lower triangular":
        matrix = np.tril(a)
    elif assume_a == "upper triangular":
        matrix = np.triu(a)
    got = go.compile(lambda a, b: linalg.solve(a, b, lower=lower, assume_a=assume_a))(a, b)
    check(got, np.linalg.solve(matrix, b))
    check(linalg.solve(matrix, b[:, 0], assume_a=assume_a), np.linalg.solve(matrix, b[:, 0]))


def test_transposed_systems() -> None:
    a, b = regular(3, 3), normal(3, seed=1)
    check(linalg.solve(a, b, transposed=True), np.linalg.solve(a.T, b))


@pytest.mark.parametrize("scale", [0.0, 1e-3, 0.1, 1.0, 10.0, 100.0])
@pytest.mark.parametrize("shape", [(1, 1), (4, 4), (3, 2, 2), (30, 30)])
def test_expm(scale: float, shape: tuple[int, ...]) -> None:
    a = scale * (normal(*shape) / shape[-1] - 2 * np.eye(shape[-1]))
    want = scipy.linalg.expm(a)
    check(linalg.expm(a), want, rtol=1e-12 * (1 + scale))
    check(go.compile(linalg.expm)(a), want, rtol=1e-12 * (1 + scale))


def test_expm_of_a_rotation() -> None:
    turn = linalg.expm(np.array([[0.0, -1.0], [1.0, 0.0]]) * 2.0)
    check(turn, np.array([[np.cos(2), -np.sin(2)], [np.sin(2), np.cos(2)]]))
    check(linalg.expm(np.eye(2) * 1j * np.pi), -np.eye(2) + 0j)
    assert linalg.expm(np.zeros((0, 0))).shape == (0, 0)


@pytest.mark.parametrize(
    "blocks", [[(2, 3), (1, 1)], [(3,), (2, 2), ()], [(2, 0), (1, 2)], [(0, 2), (2, 1)], []]
)
def test_block_diag(blocks: list[tuple[int, ...]]) -> None:
    arrays = [np.asarray(normal(*shape)) for shape in blocks]
    check(linalg.block_diag(*arrays), scipy.linalg.block_diag(*arrays))
    if arrays:
        check(go.compile(linalg.block_diag)(*arrays), scipy.linalg.block_diag(*arrays))


def test_toeplitz() -> None:
    c, r = normal(4), normal(3, seed=1)
    check_all(linalg.toeplitz, scipy.linalg.toeplitz, c, r)
    check_all(linalg.toeplitz, scipy.linalg.toeplitz, c)
    check_all(linalg.toeplitz, scipy.linalg.toeplitz, c * (1 + 2j))


# -- Derivatives -----------------------------------------------------------------------------


def weighted(*parts: Any) -> Any:
    total: Any = 0.0
    for part in parts:
        weights = np.cos(1.0 + np.arange(part.size)).reshape(part.shape)
        total = total + np.sum(weights * np.sin(part))
    return total


DERIVATIVES: dict[str, tuple[Callable[..., Any], list[Array]]] = {
    "cholesky": (linalg.cholesky, [positive(3, 3)]),
    "cho_solve": (
        lambda a, b: linalg.cho_solve(linalg.cho_factor(a), b),
        [positive(3, 3), normal(3)],
    ),
    "solve_triangular": (
        lambda a, b: linalg.solve_triangular(a, b, "T", lower=True),
        [regular(3, 3), normal(3, 2)],
    ),
    "lu": (lambda a: linalg.lu(a)[1:], [regular(3, 3)]),
    "lu_solve": (
        lambda a, b: linalg.lu_solve(linalg.lu_factor(a), b),
        [normal(3, 3), normal(3)],
    ),
    "transposed lu_solve": (
        lambda a, b: linalg.lu_solve(linalg.lu_factor(a), b, 1),
        [normal(3, 3), normal(3, 2)],
    ),
    "solve pos": (
        lambda a, b: linalg.solve(a, b, assume_a="pos"),
        [positive(3, 3), normal(3)],
    ),
    "solve sym": (
        lambda a, b: linalg.solve(a, b, assume_a="sym"),
        [positive(3, 3), normal(3)],
    ),
    "expm": (linalg.expm, [normal(3, 3)]),
    "expm of a large matrix": (linalg.expm, [6 * normal(3, 3) - 20 * np.eye(3)]),
    "expm at equal eigenvalues": (linalg.expm, [np.eye(3)]),
    "block_diag": (linalg.block_diag, [normal(2, 2), normal(3)]),
    "toeplitz": (linalg.toeplitz, [normal(3), normal(4)]),
}


@pytest.mark.parametrize("name", DERIVATIVES)
def test_derivatives_are_limits_of_differences(name: str) -> None:
    function, args = DERIVATIVES[name]

    def loss(*a: Any) -> Any:
        result = function(*a)
        return weighted(*(result if isinstance(result, tuple) else (result,)))

    go.gradcheck(loss, tuple(args), order=2)


def test_the_derivative_of_expm_is_frechets() -> None:
    a, t = normal(4, 4), normal(4, 4, seed=1)
    _, got = go.compile_jvp(linalg.expm)((a,), (t,))
    check(got, scipy.linalg.expm_frechet(a, t, compute_expm=False), rtol=1e-12)


def test_maps() -> None:
    a = positive(5, 3, 3)
    check(go.vmap(linalg.cholesky)(a), linalg.cholesky(a))
    check(go.vmap(linalg.expm)(a / 9), scipy.linalg.expm(a / 9))
    pairs = go.vmap(lambda a, b: linalg.lu_solve(linalg.lu_factor(a), b))(a, a[:, 0])
    check(pairs, np.linalg.solve(a, a[:, 0][..., None])[..., 0])


# -- Errors ----------------------------------------------------------------------------------


def test_failures() -> None:
    with pytest.raises(LinAlgError, match="The matrix is not positive definite"):
        linalg.cholesky(-np.eye(3))
    with pytest.raises(LinAlgError, match="Singular matrix"):
        linalg.solve(np.zeros((3, 3)), np.ones(3))
    with pytest.raises(LinAlgError, match="singular matrix"):
        go.compile(linalg.solve_triangular)(np.zeros((3, 3)), np.ones(3))
    with pytest.raises(LinAlgError, match="Last 2 dimensions of the array must be square"):
        linalg.expm(np.zeros((2, 3)))
    with pytest.raises(ShapeError, match="do not go with right-hand sides"):
        linalg.cho_solve((np.eye(3), True), np.ones(4))
    with pytest.raises(ArgumentError, match="not a recognized matrix structure"):
        linalg.solve(np.eye(3), np.ones(3), assume_a="round")
    with pytest.raises(ArgumentError, match="trans must be 0, 1 or 2"):
        linalg.solve_triangular(np.eye(3), np.ones(3), "X")
