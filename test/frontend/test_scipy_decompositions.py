# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What `scipy.linalg` has of decompositions and special matrices, called as SciPy's.

Vectors are compared by their sizes: signs and phases are free.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.linalg
from matrices import normal, positive

import gradopt as go
from gradopt.errors import ArgumentError, LinAlgError, ShapeError, UnsupportedError
from gradopt.scipy import linalg

A = normal(4, 4)
S = positive(4, 4)
M = normal(5, 3, seed=2)
B = normal(5, 2, seed=3)
V = normal(4, seed=4) + 3.0
# Far from equal eigenvalues.
G = A + np.diag([1.0, 5.0, 9.0, 14.0])


def sizes(parts: Any) -> list[Any]:
    return [np.abs(part) for part in parts]


CASES: dict[str, tuple[Callable[..., Any], Any]] = {
    "det": (lambda a: scipy.linalg.det(a), A),
    "dets": (lambda a: scipy.linalg.det(np.stack([a, 2 * a])), A),
    "inv": (lambda a: scipy.linalg.inv(a), A),
    "inv of one triangle": (
        lambda a: (
            scipy.linalg.inv(a, assume_a="sym", lower=True),
            scipy.linalg.inv(a, assume_a="sym"),
            scipy.linalg.inv(a @ a.T + S, assume_a="pos", lower=True),
        ),
        A,
    ),
    "eigh": (lambda a: sizes(scipy.linalg.eigh(a)), S),
    "eigh of the upper triangle": (
        lambda a: (
            scipy.linalg.eigh(a, lower=False, eigvals_only=True),
            scipy.linalg.eigvalsh(a, lower=False, subset_by_index=(1, 2)),
        ),
        A,
    ),
    "generalized eigh": (lambda a: sizes(scipy.linalg.eigh(a, a @ a + S)), S),
    "eig": (lambda a: sizes(scipy.linalg.eig(a, left=True)), G),
    "eigvals": (lambda a: np.sum(scipy.linalg.eigvals(a) ** 3), A),
    "generalized eigvals": (lambda a: np.sum(scipy.linalg.eigvals(a, S) ** 2), A),
    "svd": (lambda a: sizes(scipy.linalg.svd(a, full_matrices=False)), M),
    "svdvals": (
        lambda a: (scipy.linalg.svdvals(a), scipy.linalg.svd(a.T, compute_uv=False)),
        M,
    ),
    "qr": (lambda a: sizes(scipy.linalg.qr(a, mode="economic")), M),
    "r": (lambda a: sizes((scipy.linalg.qr(a)[1], scipy.linalg.qr(a.T, mode="r")[0])), M),
    "polar": (lambda a: (*scipy.linalg.polar(a), *scipy.linalg.polar(a, side="left")), M),
    "orthogonal_procrustes": (lambda a: scipy.linalg.orthogonal_procrustes(a, M[::-1] * 0.7), M),
    "lstsq": (
        lambda a: (
            *scipy.linalg.lstsq(a, B[:, 0])[:2],
            *scipy.linalg.lstsq(a, B)[:2],
            scipy.linalg.lstsq(a.T, B[:3])[0],
            scipy.linalg.lstsq(a, B, 1e-3)[0],
        ),
        M,
    ),
    "pinv": (
        lambda a: (scipy.linalg.pinv(a), scipy.linalg.pinv(a, atol=1e-3, rtol=0.01)),
        M,
    ),
    "pinvh": (lambda a: (scipy.linalg.pinvh(a), scipy.linalg.pinvh(a, 0.1, lower=False)), S),
    "norm": (
        lambda a: (
            scipy.linalg.norm(a),
            scipy.linalg.norm(a, 1),
            scipy.linalg.norm(a, axis=0),
            scipy.linalg.norm(a, "nuc"),
        ),
        M,
    ),
    "circulant": (lambda c: scipy.linalg.circulant(c), V),
    "hankel": (lambda c: (scipy.linalg.hankel(c), scipy.linalg.hankel(c, c[::-1][:3])), V),
    "companion": (lambda a: scipy.linalg.companion(a), V),
    "convolution_matrix": (
        lambda a: [
            scipy.linalg.convolution_matrix(a, n, mode)
            for n in (3, 6)
            for mode in ("full", "same", "valid")
        ],
        V,
    ),
    "khatri_rao": (lambda a: scipy.linalg.khatri_rao(a, a[:2]), M),
    "tanm": (lambda a: scipy.linalg.tanm(a), A[:2, :2]),
    "tanhm": (lambda a: scipy.linalg.tanhm(a), A[:2, :2]),
}


def parts(result: Any) -> list[Any]:
    return list(result) if isinstance(result, (tuple, list)) else [result]


@pytest.mark.parametrize("name", CASES)
def test_values_and_derivatives(name: str) -> None:
    function, x = CASES[name]
    compiled = go.compile(function)
    for got, want in zip(parts(compiled(x)), parts(function(x)), strict=True):
        np.testing.assert_allclose(got, want, 1e-10, 1e-10)
        assert np.asarray(got).dtype == np.asarray(want).dtype
        assert np.shape(got) == np.shape(want)
    # Second derivatives of exponentials are those of test_scipy_linalg, and take seconds.
    go.gradcheck(function, (x,), order=1 if name in ("tanm", "tanhm") else 2)


@pytest.mark.parametrize("dtype", ["f4", "c16"])
def test_dtypes(dtype: str) -> None:
    a = (A + (0.3j * A.T if dtype == "c16" else 0)).astype(dtype)
    b = (M + (0.3j if dtype == "c16" else 0)).astype(dtype)
    calls: list[Callable[[Any], Any]] = [
        lambda m: m.inv(a),
        lambda m: m.det(a),
        lambda m: m.eigvalsh(a),
        lambda m: m.pinv(b),
        lambda m: m.svdvals(b),
        lambda m: m.polar(b)[0],
        lambda m: m.pinv(b, atol=1.2, rtol=0.1),
        lambda m: m.lstsq(b, b[:, 0], 0.7)[0],
        lambda m: m.cosm(a),
        lambda m: m.sinm(a),
        lambda m: m.coshm(a),
        lambda m: m.sinhm(a),
        lambda m: m.norm(b),
        lambda m: m.circulant(a[0]),
    ]
    for call in calls:
        got, want = call(linalg), call(scipy.linalg)
        tolerance = 1e-10 if dtype == "c16" else 2e-5
        np.testing.assert_allclose(got, want, tolerance, tolerance)
        assert got.dtype == want.dtype


def test_full_factors_and_ranks() -> None:
    q, r = linalg.qr(M)
    np.testing.assert_allclose(q @ r, M, 1e-13, 1e-13)
    assert q.shape == (5, 5)
    u, s, vh = linalg.svd(M)
    np.testing.assert_allclose(u[:, :3] * s @ vh, M, 1e-13, 1e-13)
    assert linalg.pinv(np.outer(V, V), return_rank=True)[1] == 1
    assert linalg.pinv(np.zeros((2, 3)), return_rank=True)[1] == 0


def test_errors() -> None:
    for call, message in (
        (lambda: linalg.inv(A, assume_a="diagonal"), "assume_a='diagonal'"),
        (lambda: linalg.eigh(S, subset_by_value=(0, 1)), "keyword subset_by_value= of scipy"),
        (lambda: linalg.eigh(S, S, type=2), "type=2"),
        (lambda: linalg.eig(S, S, left=True), "left=True"),
        (lambda: linalg.qr(S, pivoting=True), "keyword pivoting= of scipy"),
        (lambda: linalg.qr(S, mode="raw"), "mode='raw'"),
    ):
        with pytest.raises(UnsupportedError, match=message):
            call()
    with pytest.raises(ArgumentError, match="Mode argument"):
        linalg.qr(S, mode="thin")
    with pytest.raises(ArgumentError, match="`side`"):
        linalg.polar(S, "both")
    with pytest.raises(LinAlgError, match="square"):
        linalg.inv(M)
    with pytest.raises(ShapeError, match=r"matrices of one shape.* \(5, 3\) and \(4, 4\)"):
        linalg.orthogonal_procrustes(M, A)
    with pytest.raises(ShapeError, match=r"as many columns.* \(5, 3\) and \(4, 4\)"):
        linalg.khatri_rao(M, A)
    with pytest.raises(ShapeError, match="at least 2"):
        linalg.companion(V[:1])
    with pytest.raises(ShapeError, match=r"vector that has elements, but the shape is \(5, 3\)"):
        linalg.circulant(M)
