# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Eigenvalues of general matrices, Schur's form, and functions of matrices by it."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.linalg
from matrices import Array, normal, positive, regular

import gradopt as go
from gradopt import errors
from gradopt.scipy import linalg


def complex_normal(*shape: int, seed: int = 0) -> Array:
    return normal(*shape, seed=seed) + 1j * normal(*shape, seed=seed + 100)


def agree(got: Any, want: Any, rtol: float = 1e-9) -> None:
    assert got.shape == np.shape(want)
    assert got.dtype == np.asarray(want).dtype
    np.testing.assert_allclose(got, want, rtol=rtol, atol=rtol * np.abs(want).max(initial=1))


# Of real eigenvalues, and of pairs.
REAL = np.diag([1.0, 2.0, 4.0]) + 0.2 * normal(3, 3, seed=3)
PAIRS = np.array(
    [[1.0, 2.0, 0.3, 0.1], [-2.0, 1.2, 0.2, 0.5], [0.1, 0.2, 3.0, 1.0], [0.3, -0.1, -1.5, 3.5]]
)


@pytest.mark.parametrize(
    "a", [normal(5, 5), normal(2, 3, 3), complex_normal(4, 4), normal(0, 0), normal(40, 40)]
)
def test_eigenvalues_are_those_of_numpy(a: Array) -> None:
    w, v = go.compile(np.linalg.eig)(a)
    want = np.linalg.eig(a)
    agree(w, want[0].astype(complex))
    # Rounding chooses the signs of vectors in large matrices.
    along = np.sum(np.conj(want[1]) * v, -2, keepdims=True)
    agree(v * np.sign(along.real), want[1].astype(complex))
    agree(go.compile(np.linalg.eigvals)(a), w)


def test_real_eigenvalues_are_complex_numbers_too() -> None:
    """The dtype does not depend on values."""
    w = go.compile(np.linalg.eigvals)(np.diag([1.0, 2.0]).astype("f4"))
    assert w.dtype == np.complex64
    np.testing.assert_array_equal(w, [1, 2])


@pytest.mark.parametrize("a", [REAL, PAIRS, complex_normal(3, 3)])
def test_derivatives_of_eigenvectors(a: Array) -> None:
    def loss(a: Any) -> Any:
        w, v = np.linalg.eig(a)
        weights = np.cos(1 + np.arange(v.size)).reshape(v.shape)
        return np.sum(np.sin(w.real) + np.cos(1 + 2 * w.imag)) + np.sum(
            weights * (np.sin(v.real) + v.imag)
        )

    go.gradcheck(loss, (a,), order=2)


def test_a_gradient_by_left_vectors() -> None:
    """dw/da is the outer product of left and right vectors (Giles 2008)."""
    a = complex_normal(4, 4)
    _, left, right = scipy.linalg.eig(a, left=True)
    for i in range(4):
        got = go.grad(lambda a, i=i: np.linalg.eigvals(a)[i], holomorphic=True)(a)
        row = np.conj(left[:, i])
        agree(got, np.outer(row, right[:, i]) / (row @ right[:, i]))


def test_symmetric_functions_of_equal_eigenvalues() -> None:
    """Sums of powers have true derivatives where values are equal, if there are all vectors."""
    gradient = go.compile_grad(lambda a: np.sum(np.linalg.eigvals(a) ** 3).real)
    agree(gradient(2 * np.eye(3)), 12 * np.eye(3))


def test_characteristic_polynomials() -> None:
    p = np.array([2.0, -3.0, 1.0, 5.0, 0.0])
    agree(np.sort(go.compile(np.roots)(p)), np.sort(np.roots(p).astype(complex)))
    slope = go.compile_grad(lambda p: np.sum(np.roots(p) ** 2).real)(p)
    # By Newton's identities, (p1 / p0)^2 - 2 p2 / p0.
    agree(slope, np.array([-2 * 9 / 8 + 2 / 4, -2 * 3 / 4, -1.0, 0, 0]))
    with pytest.raises(errors.LinAlgError, match="leading coefficient"):
        go.compile(np.roots)(np.array([0.0, 1.0, 2.0]))
    assert go.compile(np.roots)(np.array([3.0])).shape == (0,)


# -- Schur's form ----------------------------------------------------------------------------


@pytest.mark.parametrize("a", [normal(5, 5), complex_normal(4, 4), normal(2, 30, 30), normal(1, 1)])
@pytest.mark.parametrize("output", ["real", "complex"])
def test_schur(a: Array, output: str) -> None:
    t, z = linalg.schur(a, output)
    zh = np.conj(np.swapaxes(z, -1, -2))
    whole = a.astype(t.dtype)
    agree(z @ t @ zh, whole)
    agree(zh @ z, np.eye(a.shape[-1]) + 0 * whole)
    if t.dtype == complex:
        np.testing.assert_array_equal(np.tril(t, -1), 0)
    elif a.ndim == 2:
        # Rounding may choose other signs in large matrices, and in the second half of a pair.
        agree(abs(t), abs(scipy.linalg.schur(a, output)[0]))


@pytest.mark.parametrize("a", [REAL, PAIRS])
def test_derivatives_of_a_real_form(a: Array) -> None:
    def loss(a: Any) -> Any:
        t, z = linalg.schur(a)
        weights = np.cos(1 + np.arange(t.size)).reshape(t.shape)
        return np.sum(weights * np.sin(t)) + np.sum(weights.T * np.sin(2 * z))

    go.gradcheck(loss, (a,), order=2)


def test_derivatives_of_a_complex_form() -> None:
    """Of what does not depend on phases."""

    def loss(a: Any) -> Any:
        t, z = linalg.schur(a, "complex")
        weights = np.cos(1 + np.arange(t.size)).reshape(t.shape)
        d = np.diagonal(t)
        return np.sum(weights * (abs(t) ** 2 + abs(z) ** 2)) + np.sum(np.sin(d.real) + d.imag**2)

    go.gradcheck(loss, (complex_normal(3, 3),), order=2)


# -- Functions of matrices -------------------------------------------------------------------

FUNCTIONS: dict[str, tuple[Callable[..., Any], Callable[..., Any]]] = {
    "sqrtm": (linalg.sqrtm, scipy.linalg.sqrtm),
    "logm": (linalg.logm, scipy.linalg.logm),
}
MATRICES = {
    "regular": regular(4, 4),
    "pairs": PAIRS,
    "complex": regular(3, 3) + 1j * normal(3, 3, seed=1),
    "a large one": positive(30, 30),
    "a rotation": np.array([[np.cos(3), -np.sin(3)], [np.sin(3), np.cos(3)]]),
    "negative": -regular(3, 3) + 0j,
    "a Jordan block": np.eye(3) + np.eye(3, k=1),
    "far from one": 1e6 * positive(3, 3),
    "near to one": np.eye(3) + 1e-9 * normal(3, 3),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_of_matrices(name: str) -> None:
    ours, theirs = FUNCTIONS[name]
    for matrix in MATRICES.values():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # Of SciPy's estimates of its errors.
            want = theirs(matrix).astype(matrix.dtype)
        agree(ours(matrix), want, rtol=1e-11)
    agree(ours(regular(4, 4).astype("f4")), theirs(regular(4, 4)).astype("f4"), rtol=1e-5)
    stack = regular(2, 3, 3)
    agree(ours(stack), np.stack([theirs(a) for a in stack]))


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("matrix", ["regular", "pairs", "complex", "a Jordan block"])
def test_derivatives_of_functions_of_matrices(name: str, matrix: str) -> None:
    def loss(a: Any) -> Any:
        x = FUNCTIONS[name][0](a)
        weights = np.cos(1 + np.arange(x.size)).reshape(x.shape)
        return np.sum(weights * (np.sin(x.real) + np.sin(2 * x.imag)))

    go.gradcheck(loss, (MATRICES[matrix],), order=2)


def test_the_exponential_of_a_logarithm() -> None:
    a, t = regular(3, 3), normal(3, 3, seed=1)
    value, change = go.compile_jvp(lambda a: linalg.expm(linalg.logm(a)))((a,), (t,))
    agree(value, a)
    agree(change, t)


def test_a_map_is_a_loop_of_calls() -> None:
    a = regular(3, 3, 3)
    gradient = go.grad(lambda a: np.sum(linalg.sqrtm(a) ** 3) + np.sum(np.sin(linalg.logm(a))))
    agree(go.vmap(gradient)(a), np.stack([gradient(x) for x in a]))


def test_what_has_no_real_result() -> None:
    for name, (function, reference) in FUNCTIONS.items():
        a = np.diag([1.0, -2.0])
        with pytest.raises(errors.LinAlgError, match=f"{name}: .* convert it to complex"):
            function(a)
        agree(function(a + 0j), reference(a + 0j))
    with pytest.raises(errors.LinAlgError, match=r"logm: .* singular"):
        linalg.logm(np.zeros((2, 2)) + 0j)
    with pytest.raises(errors.LinAlgError, match=r"sqrtm: .* singular"):
        linalg.sqrtm(np.eye(2, k=1) + 0j)
    agree(linalg.sqrtm(np.zeros((2, 2))), np.zeros((2, 2)))


def test_refusals() -> None:
    for function in (np.linalg.eigvals, linalg.schur, linalg.sqrtm):
        with pytest.raises(errors.LinAlgError, match="infs or NaNs"):
            go.compile(lambda a, function=function: function(a))(np.full((2, 2), np.nan))
        with pytest.raises(errors.LinAlgError, match="square"):
            go.compile(lambda a, function=function: function(a))(np.ones((2, 3)))
    with pytest.raises(errors.UnsupportedError, match=r"sort= of scipy\.linalg\.schur"):
        linalg.schur(np.eye(2), sort="lhp")
    with pytest.raises(errors.UnsupportedError, match=r"disp=False of scipy\.linalg\.logm"):
        linalg.logm(np.eye(2), disp=False)
    with pytest.raises(errors.ArgumentError, match=r"real.*complex"):
        linalg.schur(np.eye(2), "upper")
