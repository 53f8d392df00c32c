# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Factorisations of complex matrices: values, derivatives, phases."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.linalg
from matrices import Array, normal, regular

import gradopt as go
from gradopt import errors
from gradopt.scipy import linalg


def complex_normal(*shape: int, seed: int = 0) -> Array:
    return normal(*shape, seed=seed) + 1j * normal(*shape, seed=seed + 100)


def adjoint(a: Any) -> Any:
    return np.conj(np.swapaxes(a, -1, -2))


def hermitian(*shape: int) -> Array:
    """Positive definite, with numbers in the upper triangle and the diagonal that are not read."""
    a = complex_normal(*shape)
    return a @ adjoint(a) + shape[-1] * np.eye(shape[-1])


def agree(got: Any, want: Any, rtol: float = 1e-9) -> None:
    got, want = (list(x) if isinstance(x, tuple) else [x] for x in (got, want))
    for one, other in zip(got, want, strict=True):
        assert one.shape == np.shape(other)
        assert one.dtype == np.asarray(other).dtype
        scale = np.abs(other).max(initial=1)
        np.testing.assert_allclose(one, other, rtol=rtol, atol=rtol * scale)


# What does not depend on phases of vectors.
VALUES: dict[str, tuple[Callable[..., Any], Callable[..., Array]]] = {
    "cholesky": (np.linalg.cholesky, hermitian),
    "upper cholesky": (lambda a: np.linalg.cholesky(a, upper=True), hermitian),
    "eigvalsh": (np.linalg.eigvalsh, complex_normal),
    "upper eigvalsh": (lambda a: np.linalg.eigvalsh(a, "U"), complex_normal),
    "qr": (lambda a: tuple(np.linalg.qr(a)), complex_normal),
    "complete qr": (lambda a: tuple(np.linalg.qr(a, mode="complete")), complex_normal),
    "svdvals": (np.linalg.svdvals, complex_normal),
    "hermitian svd": (lambda a: np.linalg.svd(a, compute_uv=False, hermitian=True), complex_normal),
    "pinv": (np.linalg.pinv, complex_normal),
    "matrix_rank": (np.linalg.matrix_rank, complex_normal),
    "cond": (np.linalg.cond, complex_normal),
    "norms": (
        lambda a: tuple([np.linalg.norm(a, order, (-2, -1)) for order in (2, -2, "nuc", "fro", 1)]),
        complex_normal,
    ),
}


@pytest.mark.parametrize("name", VALUES)
def test_values_are_those_of_numpy(name: str) -> None:
    function, make = VALUES[name]
    compiled = go.compile(function)
    for shape in ((1, 1), (2, 4, 4), (0, 0), (30, 30)):
        if 0 in shape and name in ("cond", "norms"):
            continue
        agree(compiled(make(*shape)), function(make(*shape)))
    a = make(4, 4).astype("c8")
    agree(compiled(a), function(a), rtol=2e-4)


@pytest.mark.parametrize("shape", [(5, 3), (3, 5), (2, 4, 3), (40, 30), (30, 40)])
def test_rectangles(shape: tuple[int, ...]) -> None:
    a = complex_normal(*shape)
    agree(tuple(go.compile(np.linalg.qr)(a)), tuple(np.linalg.qr(a)))
    agree(go.compile(np.linalg.pinv)(a), np.linalg.pinv(a))
    for full in (False, True):
        u, s, vh = go.compile(lambda a, full=full: np.linalg.svd(a, full_matrices=full))(a)
        agree(s, np.linalg.svd(a)[1])
        k = s.shape[-1]
        agree(u[..., :k] * s[..., None, :] @ vh[..., :k, :], a)
        for columns in (u, adjoint(vh)):
            agree(adjoint(columns) @ columns, np.eye(columns.shape[-1]) + 0 * columns[..., :1, :1])


@pytest.mark.parametrize("n", [3, 30])
def test_eigenvectors(n: int) -> None:
    a = complex_normal(2, n, n)
    w, v = go.compile(np.linalg.eigh)(a)
    whole = np.tril(a, -1) + adjoint(np.tril(a, -1)) + np.tril(np.triu(a)).real
    agree(whole @ v, v * w[..., None, :])
    agree(adjoint(v) @ v, np.eye(n) + 0j * v)


def test_lstsq() -> None:
    a, b = complex_normal(5, 3), complex_normal(5, 2, seed=1)
    agree(tuple(go.compile(np.linalg.lstsq)(a, b)[:2]), tuple(np.linalg.lstsq(a, b)[:2]))


@pytest.mark.parametrize("lower", [False, True])
def test_scipy(lower: bool) -> None:
    a, b = hermitian(4, 4), complex_normal(4, 2, seed=1)
    agree(linalg.cholesky(a, lower=lower), scipy.linalg.cholesky(a, lower=lower))
    agree(linalg.cho_solve(linalg.cho_factor(a, lower=lower), b), np.linalg.solve(a, b))
    symmetric = a + a.T
    for kind, matrix in (("pos", a), ("her", a), ("sym", symmetric)):
        got = linalg.solve(matrix, b, assume_a=kind, lower=lower)
        agree(got, scipy.linalg.solve(matrix, b, assume_a=kind, lower=lower))


def weighted(*parts: Any) -> Any:
    """A smooth real number that depends on both parts of all elements."""
    total: Any = 0.0
    for part in parts:
        weights = np.cos(1.0 + np.arange(part.size)).reshape(part.shape)
        total = total + np.sum(weights * (np.sin(np.real(part)) + np.cos(1 + 2 * np.imag(part))))
    return total


def projector(columns: Any, weights: bool = True) -> Any:
    """What does not change with phases of columns."""
    factors = np.arange(1.0, 1 + columns.shape[-1]) if weights else 1.0
    return columns * factors @ adjoint(columns)


def parts_of_svd(a: Any, full: bool = False) -> Any:
    u, s, vh = np.linalg.svd(a, full_matrices=full)
    k = s.shape[-1]
    weights = np.arange(1.0, 1 + k)
    both = u[..., :k] * weights @ vh[..., :k, :]
    others = [projector(m[..., k:], False) for m in (u, adjoint(vh)) if m.shape[-1] > k]
    return s, projector(u[..., :k]), projector(adjoint(vh)[..., :k]), both, *others


DERIVATIVES: dict[str, tuple[Callable[..., Any], list[Array]]] = {
    "cholesky": (np.linalg.cholesky, [hermitian(3, 3)]),
    "upper cholesky": (lambda a: np.linalg.cholesky(a, upper=True), [hermitian(2, 2, 2)]),
    "qr": (np.linalg.qr, [complex_normal(3, 3)]),
    "tall qr": (np.linalg.qr, [complex_normal(2, 3, 2)]),
    "wide qr": (np.linalg.qr, [complex_normal(2, 3)]),
    "complete qr": (
        lambda a: projector(np.linalg.qr(a, mode="complete")[0][:, 1:]),
        [complex_normal(2, 1)],
    ),
    "eigh": (
        lambda a: (np.linalg.eigh(a)[0], projector(np.linalg.eigh(a)[1])),
        [hermitian(3, 3)],
    ),
    "upper eigh": (lambda a: projector(np.linalg.eigh(a, "U")[1]), [hermitian(2, 2, 2)]),
    "svd": (parts_of_svd, [complex_normal(3, 3)]),
    "tall svd": (parts_of_svd, [complex_normal(2, 3, 2)]),
    "wide svd": (parts_of_svd, [complex_normal(2, 3)]),
    "full svd": (lambda a: parts_of_svd(a, True), [complex_normal(3, 1)]),
    "full wide svd": (lambda a: parts_of_svd(a, True), [complex_normal(1, 3)]),
    "pinv": (np.linalg.pinv, [complex_normal(3, 2)]),
    "wide pinv": (np.linalg.pinv, [complex_normal(2, 3)]),
    "lstsq": (
        lambda a, b: np.linalg.lstsq(a, b)[:2],
        [complex_normal(3, 2), complex_normal(3, 1, seed=1)],
    ),
    "norms": (
        lambda a: tuple([np.linalg.norm(a, order) for order in (2, "nuc")]),
        [complex_normal(2, 3)],
    ),
    "cho_solve": (
        lambda a, b: linalg.cho_solve(linalg.cho_factor(a), b),
        [hermitian(2, 2), complex_normal(2)],
    ),
}


@pytest.mark.parametrize("name", DERIVATIVES)
def test_derivatives_are_limits_of_differences(name: str) -> None:
    function, args = DERIVATIVES[name]

    def loss(*a: Any) -> Any:
        result = function(*a)
        return weighted(*(result if isinstance(result, tuple) else (result,)))

    go.gradcheck(loss, tuple(args), order=2)


def test_a_map_is_a_loop_of_calls() -> None:
    def loss(a: Any) -> Any:
        return weighted(*parts_of_svd(a), np.linalg.cholesky(a @ adjoint(a) + np.eye(3)))

    a = complex_normal(3, 3, 2)
    gradient = go.grad(loss)
    got = go.compile(go.vmap(gradient))(a)
    agree(got, np.stack([gradient(x) for x in a]))


def test_vectors_of_equal_values_have_no_turn() -> None:
    """The projection onto what they span has its true derivative all the same."""

    def loss(a: Any) -> Any:
        return weighted(projector(np.linalg.eigh(a)[1][:, :2], False))

    a = np.diag([1.0, 1.0, 3.0]) + 0j
    t = complex_normal(3, 3)
    t, step = t + adjoint(t), 1e-6
    _, got = go.compile_jvp(loss)((a,), (t,))
    compiled = go.compile(loss)
    want = (compiled(a + step * t) - compiled(a - step * t)) / (2 * step)
    np.testing.assert_allclose(got, want, rtol=1e-6)


def test_no_singular_value_has_a_finite_derivative() -> None:
    for a in (np.zeros((3, 2)), np.eye(3), np.outer([1.0, 2.0, 3.0], [1.0, 1j])):
        gradient = go.compile_grad(lambda a: weighted(*np.linalg.svd(a, full_matrices=False)))
        assert np.isfinite(gradient(a + 0j)).all()


def test_what_is_not_positive_definite() -> None:
    for n in (2, 30):
        with pytest.raises(errors.LinAlgError, match="Matrix is not positive definite"):
            go.compile(np.linalg.cholesky)(-np.eye(n) + 0j)


def test_imaginary_parts_of_the_diagonal_are_not_read() -> None:
    a = hermitian(3, 3)
    changed = a + 1j * np.eye(3)
    agree(go.compile(np.linalg.cholesky)(changed), np.linalg.cholesky(a))
    for function in (lambda a: weighted(np.linalg.cholesky(a)), lambda a: np.linalg.eigvalsh(a)[0]):
        gradient = go.compile_grad(function)(a)
        np.testing.assert_array_equal(np.triu(gradient, 1), 0)
        np.testing.assert_array_equal(np.diag(gradient).imag, 0)


def test_regular_systems_stay_holomorphic() -> None:
    a = regular(3, 3) + 1j * normal(3, 3, seed=1)
    gradient = go.grad(lambda a: np.linalg.det(a), holomorphic=True)(a)
    agree(gradient, np.linalg.det(a) * np.linalg.inv(a).T)
